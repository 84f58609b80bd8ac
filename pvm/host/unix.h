/* unix.h - the functions of pvm/host.h's Unix part, for host.c, and what it takes to wait for processes. Errors as there. */
#pragma once
#include <poll.h>
#include <time.h>
#include "pvm/host.h"
int64_t unix_read(const char *path, uint64_t at, void *to, uint64_t len);
int unix_write(const char *path, int64_t at, const void *from, uint64_t len);
int unix_replace(const char *path, const void *from, uint64_t len);
int unix_info(const char *path, struct pvm_unix_file *f);
int unix_change(enum pvm_unix_change how, const char *path, const char *to, uint64_t size);
int unix_list(const char *path, void **names, size_t *len);
const char *unix_error_text(int error);
int unix_reboot(void);
int process_start(const char *const *args);
int64_t process_read(int process, void *to, uint64_t len);
int64_t process_write(int process, const void *from, uint64_t len);
int process_close_input(int process);
int process_status(int process);
int process_signal(int process, int signal);
int process_forget(int process);

#define UNIX_PROCESSES 64 /* at a time; a power of two */
#define UNIX_WAIT_MORE 8
struct unix_wait {
        struct pollfd fds[2 * UNIX_PROCESSES + UNIX_WAIT_MORE];
        unsigned n;
};
/* Is there something about that source (not 0) of input_ready? If not, the next unix_wait_begin is for it, too. */
bool unix_ready(uint32_t source);
/* To wait for these (UNIX_WAIT_MORE at most, which come first), for what unix_ready was asked about, and for children that end; unix_wait then needs no lock: as ppoll. */
void unix_wait_begin(struct unix_wait *w, const struct pollfd *more, unsigned nmore);
int unix_wait(struct unix_wait *w, const struct timespec *time);
/* Before there are more threads in which programs run: the end of a child ends unix_wait, in whichever. */
void unix_children(void);
void unix_close(void); /* what processes there are go on alone */
