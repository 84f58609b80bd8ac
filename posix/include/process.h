/*
 * process.h - processes, groups, sessions, credentials, limits (posix/proc). All in the space.
 * Lock order: LOCK_PROCTREE, then LOCK_SIGNAL. pid tables are hash tables in the space, reached from struct posix_root.
 */
#pragma once
#include "posix/include/thread.h"
#include <linux/resource.h>
#include <linux/capability.h>

struct mm;
struct fdtable;
struct fs;
struct tty;

struct cred {
        struct object obj;
        uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
        uint64_t cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
        uint32_t securebits, ngroups;
        uint32_t *groups;                /* FIELD_OWN byte block */
};

struct sigaction64 { uint64_t handler, flags, restorer; sigset64 mask; };  /* kernel's rt_sigaction layout */
struct sighand { struct object obj; struct sigaction64 action[64]; };

struct fs { struct object obj; struct inode *root, *cwd; uint32_t umask; uint32_t pad; struct file *unused; };

struct pgrp { struct object obj; int32_t pgid; uint32_t pad; struct session *session; struct process *members; struct pgrp *hash_next; };
struct session { struct object obj; int32_t sid; uint32_t pad; struct tty *tty; struct pgrp *foreground; };

enum process_state { PROCESS_LIVE, PROCESS_STOPPED, PROCESS_ZOMBIE, PROCESS_DEAD };

struct process {
        struct object obj;
        int32_t pid;
        uint8_t state;
        uint8_t exiting;                 /* exit_group asked: exit_status is final */
        uint8_t dumpable, no_new_privs, child_subreaper, did_exec, vforked, stop_reported;
        uint32_t personality;
        int32_t exit_status;             /* wait4's word */
        int32_t exit_signal;             /* to the parent; 0 none */
        int32_t stop_signal;             /* of a job-control stop being or been done */
        uint8_t continued, stopped_notify, pad1[2];
        struct process *parent, *children, *sibling_next, *sibling_prev;  /* LOCK_PROCTREE */
        struct process *hash_next;       /* by pid */
        struct process *pgrp_next, *pgrp_prev;
        struct pgrp *pgrp;               /* FIELD_REF */
        struct session *session;         /* FIELD_REF */
        struct thread *threads;          /* list head; leader is the one with tid == pid */
        uint32_t nthreads, nstopped;
        struct mm *mm;                   /* FIELD_REF; NULL once exited */
        struct fdtable *files;           /* FIELD_REF */
        struct fs *fs;                   /* FIELD_REF */
        struct sighand *sighand;         /* FIELD_REF */
        struct sigpending pending;       /* shared; LOCK_SIGNAL */
        struct rlimit64 limits[16];
        struct itimerval_ns { uint64_t value_ns, interval_ns; } itimer[3];  /* REAL: absolute monotonic deadline */
        void *timers;                    /* POSIX timers; posix/time */
        void *sem_undo;                  /* posix/ipc */
        void *shm_attached;
        struct file *exe;                /* FIELD_REF: /proc/N/exe */
        uint64_t start_ns;
        uint64_t user_ns, system_ns, cuser_ns, csystem_ns, minflt, majflt, cminflt, cmajflt, nvcsw, nivcsw, maxrss, cmaxrss, inblock, oublock;
        uint64_t arg_start, arg_end, env_start, env_end;
        int32_t oom_score_adj;
        uint32_t pad2;
        uint64_t spare[8];
};

/* Root of all Unix state: space_root_get(ROOT_POSIX). Fields are added at the end. */
struct posix_root {
        struct process *init;            /* FIELD_REF */
        struct process *pid_hash[1024];
        struct thread *tid_hash[1024];
        struct pgrp *pgrp_hash[256];
        int32_t last_pid; uint32_t nprocesses, nthreads, next_slot, next_mm_slot;
        struct inode *fs_root;           /* FIELD_REF */
        void *fs_state, *ipc_state, *tty_state, *socket_state, *notify_state, *mm_state, *time_state;  /* FIELD_OWN, each area's own root block */
        struct thread *reaper_list;      /* objects that died without a thread to drain them */
        struct object *reaper_dying;
        char hostname[65], domainname[65];
        uint64_t slot_bitmap[512];       /* thread slots in use: 32,768 */
        uint64_t mm_slot_bitmap[512];
        uint64_t spare[32];
};
static inline struct posix_root *posix_root(void) { return space_root_get(ROOT_POSIX); }
#define MAX_THREADS 32768u
#define PID_MAX     32768

static inline struct process *process_current(void) { return thread_current()->proc; }
struct process *process_find(int pid);           /* borrows; LOCK_PROCTREE held, or the section borrows what is found */
struct thread *thread_find(int tid);
int process_create_init(void);                   /* first boot: pid 1 with a prepared execve of /sbin/init (or init= on the command line) */
uint64_t rlimit_of(struct process *p, unsigned resource);

/* Permission helpers: Linux's rules. */
bool cred_capable(const struct cred *c, unsigned cap);
static inline bool capable(unsigned cap) { return cred_capable(thread_current()->cred, cap); }
bool cred_in_group(const struct cred *c, uint32_t gid);
struct cred *cred_copy(const struct cred *from);  /* refs 1; after changes(); the caller fills and installs */

/* Signals (posix/signal). info: NULL means SI_KERNEL/SI_USER by signo's nature. From a section, after changes(). */
#include <asm/siginfo.h>
int signal_send_process(struct process *p, int signo, const siginfo_t *info);  /* 0 or -EAGAIN (queue limit) */
int signal_send_thread(struct thread *t, int signo, const siginfo_t *info);
int signal_send_pgrp(struct pgrp *g, int signo, const siginfo_t *info);
bool signal_ignored_or_blocked(struct thread *t, int signo);
/* Pending set of the current thread, own and shared (signalfd, sigtimedwait): takes one of `set` out. 0 or the signal number. */
int signal_dequeue(struct thread *t, sigset64 set, siginfo_t *info);
const void *signal_key(struct process *p);       /* wake key: something became pending in p (signalfd, sigtimedwait) */
bool process_orphaned_pgrp(struct pgrp *g);

/* exec, fork hooks into other areas: */
struct mm *mm_new(void);                         /* refs 1; after changes() */
long mm_fork(struct call *c, struct mm *from, struct mm **out);   /* before changes of its own pieces: see mm.h */
struct fdtable *fdtable_new(void);
struct fdtable *fdtable_fork(struct fdtable *from);               /* after changes(); the room was asked: fdtable_pages(from) */
uint64_t fdtable_pages(struct fdtable *t);
