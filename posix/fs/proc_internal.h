/* proc_internal.h - between the files of /proc and /sys. */
#pragma once
#include "posix/fs/fs_internal.h"
#include "posix/include/procfs.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

struct proc_text {
        char *buf;
        size_t cap, len;
        uint64_t skip;
        bool full;
};

/* What an inode of kind INODE_PROC or INODE_SYS shows: proc_key[0] = tag | index << 8 | pid << 32, proc_key[1] by tag. */
enum proc_tag {
        PROC_NODE,   /* registered: key[1] is the path's hash */
        PROC_PID,    /* /proc/N: key[1] = start time of the process */
        PROC_ENTRY,  /* /proc/N/x: index in proc_entries, key[1] = start time */
        PROC_TASKS,  /* /proc/N/task */
        PROC_TASK,   /* /proc/N/task/T: key[1] = T */
        PROC_TENTRY, /* /proc/N/task/T/x: key[1] = T */
        PROC_FDS,    /* /proc/N/fd; index 1: fdinfo */
        PROC_FD,     /* /proc/N/fd/F: key[1] = F */
        PROC_FDINFO, /* /proc/N/fdinfo/F */
};
static inline enum proc_tag proc_tag(const struct inode *i)
{
        return (enum proc_tag)(i->proc_key[0] & 0xff);
}
static inline unsigned proc_index(const struct inode *i)
{
        return i->proc_key[0] >> 8 & 0xffffff;
}
static inline int proc_pid(const struct inode *i)
{
        return (int)(i->proc_key[0] >> 32);
}

struct proc_node {
        const char *name;
        struct proc_node *parent, *children, *next;
        uint64_t hash;
        uint32_t mode; /* with type */
        uint32_t cookie;
        bool hidden; /* not found and not listed; who has it open goes on */
        proc_read_fn read;
        proc_write_fn write;
        void *arg;
        const char *target; /* links */
        /* Links whose target depends on who asks: text into buf, length. */
        int (*link)(char *buf, size_t len);
};
extern struct proc_node proc_root, sys_root;

struct inode *proc_inode(enum inode_kind kind, enum proc_tag tag, unsigned index, int pid, uint64_t key,
                         uint32_t mode); /* scratch; NULL: no memory */

/* /proc/N (proc_pid.c) */
long pid_lookup(struct inode *dir, const char *name, unsigned len, struct inode **out);
bool pid_next(struct inode *dir, uint64_t cookie, struct dir_entry *e);
struct inode *pid_inode(int pid); /* /proc/N; NULL: no such process */
bool pid_root_next(uint64_t cookie, struct dir_entry *e);
void pid_show(struct inode *i, struct proc_text *t);
long pid_write(struct call *c, struct inode *i, const char *text, size_t len);
long pid_readlink(struct inode *i, const char **target, uint32_t *len, struct inode **jump, struct file **magic);
struct inode *pid_parent(struct inode *i);
int pid_path(struct inode *i, char *buf, size_t len);
void pid_refresh(struct inode *i);
long pid_open_check(struct inode *i);
bool pid_is_mem(const struct inode *i);
long pid_mem_io(struct call *c, struct file *f, bool write);
uint64_t proc_ino(uint64_t a, uint64_t b);

#define PROC_PID_COOKIE 0x100000000ul /* processes come behind the registered names of /proc */
