/*
 * procfs.h - files of /proc and /sys that are computed: registered at every boot by whoever knows what they show. The registry is volatile; an open file finds its
 * entry again by the path's hash.
 */
#pragma once
#include "posix/include/types.h"

struct call;
struct proc_text; /* what a read sees: bytes before its position are skipped, what does not fit is cut */

/* Both for read functions. proc_full: nothing more is wanted, a loop may stop. */
void proc_printf(struct proc_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void proc_put(struct proc_text *t, const char *bytes, size_t len);
bool proc_full(const struct proc_text *t);

/* Makes the whole text, from the section of a read: changes nothing, or calls section_step() after what it changed. */
typedef void (*proc_read_fn)(struct proc_text *t, void *arg);
/*
 * text is copied in, NUL-terminated, len bytes. Calls changes(c) before it changes something of the space. 0 or -Exxx. It may wait: before its first wait it
 * puts what it needs of the text into call_state() and sets the call's stage to PROC_WRITE_MORE; from then on it is called with text NULL.
 */
#define PROC_WRITE_MORE 2
typedef long (*proc_write_fn)(struct call *c, const char *text, size_t len, void *arg);

/*
 * path: "/proc/..." or "/sys/...", directories are made on the way. mode: permissions. read NULL: -EACCES... as permissions say; write NULL: -EACCES.
 * Before threads run, or later (a device appears). 0, -EEXIST or -ENOMEM. The strings are copied.
 */
int proc_register(const char *path, uint32_t mode, proc_read_fn read, proc_write_fn write, void *arg);
int proc_register_dir(const char *path);
int proc_register_link(const char *path, const char *target);
/* What is at path, and below it, is there no more (hidden), or again. */
void proc_hide(const char *path, bool hidden);
/* For one number: decimal and a newline; writable when max > 0. Sizes 4 and 8 bytes, volatile. */
struct proc_number {
        void *at;
        uint32_t bytes;
        uint64_t max;
        void (*set)(uint64_t value); /* or NULL: stored */
};
int proc_register_number(const char *path, struct proc_number *n);
/* Text to number: leading blanks and a newline are fine. 0 or -EINVAL. */
int proc_parse_u64(const char *text, uint64_t *value);
