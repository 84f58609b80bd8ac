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
        uint32_t *groups;  /* FIELD_OWN byte block */
        struct user *user; /* FIELD_REF: whose limits count (by real uid) */
};

/* What one real uid uses, for RLIMIT_NPROC and RLIMIT_SIGPENDING. Found by uid in root->user_hash (LOCK_PROCTREE); counts by atomic instructions. */
struct user {
        struct object obj;
        uint32_t uid, pad;
        struct user *hash_next;
        uint64_t nthreads, nsignals;
};

struct sigaction64 {
        uint64_t handler, flags, restorer;
        sigset64 mask;
}; /* kernel's rt_sigaction layout */
/* Actions, by signal_action(). Real-time signals have theirs in a block made when the first is set. [l LOCK_SIGNAL of the sighand] */
struct sighand {
        struct object obj;
        sigset64 ignored, caught; /* SIG_IGN; a handler: which entries of the tables differ from SIG_DFL */
        struct sigaction64 low[32];
        struct sigaction64 *high; /* FIELD_OWN byte block of 32, or NULL: all default */
};

struct fs {
        struct object obj;
        struct inode *root, *cwd;
        uint32_t umask;
        uint32_t pad;
        struct file *unused;
};

struct pgrp {
        struct object obj;
        int32_t pgid;
        uint32_t nbulk; /* sends to it that are still under way */
        struct session *session;
        struct process *members;
        struct pgrp *hash_next;
};
struct session {
        struct object obj;
        int32_t sid;
        uint32_t pad;
        struct tty *tty;
        struct pgrp *foreground;
        struct session *hash_next;
};

enum process_state { PROCESS_LIVE, PROCESS_STOPPED, PROCESS_ZOMBIE, PROCESS_DEAD };

struct process {
        struct object obj;
        int32_t pid;
        uint8_t state;
        uint8_t exiting; /* exit_group asked: exit_status is final */
        uint8_t dumpable, no_new_privs, child_subreaper, did_exec, vforked, stop_reported;
        uint32_t personality;
        int32_t exit_status; /* wait4's word */
        int32_t exit_signal; /* to the parent; 0 none */
        int32_t stop_signal; /* of a job-control stop being or been done */
        uint8_t continued, stopped_notify, pad1[2];
        struct process *parent, *children, *sibling_next, *sibling_prev; /* LOCK_PROCTREE */
        struct process *hash_next;                                       /* by pid */
        struct process *pgrp_next, *pgrp_prev;
        struct pgrp *pgrp;           /* FIELD_REF */
        struct session *session;     /* FIELD_REF */
        struct thread *threads;      /* FIELD_REF list head (and thread.next); leader is the one with tid == pid */
        struct thread *leader;       /* FIELD_BORROW; stays, dead, until the process is reaped */
        uint32_t nthreads, nstopped; /* nthreads: records in the list; nstopped: of them in THREAD_STOPPED */
        uint32_t nlive;              /* threads that have not begun to exit */
        uint8_t stopping;     /* a group stop is under way or done: SIGCONT ends it. Threads find out by stop_seq */
        uint8_t child_notice; /* CLD_CONTINUED or CLD_STOPPED that the next thread to run tells the parent */
        uint8_t times_folded; /* threads' times and counts are in the process's */
        uint8_t reparented_to_init;
        struct thread
                *exec_thread; /* FIELD_BORROW: the one that waits for its siblings' death in execve: all others die */
        uint32_t stop_seq;    /* number of the group stop */
        uint32_t pad_stop;
        struct mm *mm;              /* FIELD_REF; NULL once exited */
        struct fdtable *files;      /* FIELD_REF */
        struct fs *fs;              /* FIELD_REF */
        struct sighand *sighand;    /* FIELD_REF */
        struct sigpending pending;  /* shared; LOCK_SIGNAL */
        struct rlimit64 limits[16]; /* [l LOCK_SIGNAL] */
        struct itimerval_ns {
                uint64_t value_ns, interval_ns;
        } itimer[3];           /* [l LOCK_TIMER] absolute: monotonic, user CPU, CPU time; 0 off */
        struct ptimer *timers; /* FIELD_OWN list of POSIX timers; posix/time */
        uint32_t next_timer, ntimers;
        uint64_t rlimit_cpu_next_ns; /* CPU time at which SIGXCPU is due again; 0: by the soft limit */
        void *sem_undo;              /* posix/ipc */
        void *shm_attached;
        struct file *exe; /* FIELD_REF: /proc/N/exe */
        uint64_t start_ns;
        uint64_t user_ns, system_ns, cuser_ns, csystem_ns, minflt, majflt, cminflt, cmajflt, nvcsw, nivcsw, maxrss,
                cmaxrss, inblock, oublock;
        uint64_t arg_start, arg_end, env_start, env_end;
        int32_t oom_score_adj;
        uint32_t pad2;
        uint64_t spare[8];
};

/* Root of all Unix state: space_root_get(ROOT_POSIX). Fields are added at the end. */
struct posix_root {
        struct process *init; /* FIELD_REF */
        struct process *pid_hash[1024];
        struct thread *tid_hash[1024];
        struct pgrp *pgrp_hash[256];
        int32_t last_pid;
        uint32_t nprocesses, nthreads, next_slot, next_mm_slot;
        struct inode *fs_root; /* FIELD_REF */
        void *fs_state, *ipc_state, *tty_state, *socket_state, *notify_state, *mm_state,
                *time_state;        /* FIELD_OWN, each area's own root block */
        struct thread *reaper_list; /* objects that died without a thread to drain them */
        struct object *reaper_dying;
        char hostname[65], domainname[65];
        uint64_t slot_bitmap[512]; /* thread slots in use: 32,768 */
        uint64_t mm_slot_bitmap[512];
        struct session *session_hash[64];
        struct user *user_hash[64];
        struct sigbulk *bulk,
                *bulk_last; /* FIELD_OWN list: signals on their way to the rest of a large group; LOCK_PROCTREE */
        uint64_t nforks;    /* processes ever made, for /proc/stat */
        uint64_t init_start_ns;
        uint32_t init_deaths;
        uint32_t fresh; /* the next recovery keeps the files alone: all processes end, init starts anew */
        uint64_t snap_interval_ms,
                snap_auto_s;  /* how often commits are made and snapshots kept, plus one; 0: never set */
        uint64_t lives;       /* recoveries that this space has seen */
        uint64_t time_off_ns; /* CLOCK_BOOTTIME less CLOCK_MONOTONIC: how long no machine ran it */
        char *cpu_flags;      /* FIELD_OWN: what the processor of the newest life could do, as in /proc/cpuinfo */
        uint64_t fpu_features;
        uint64_t fpu_size;
        char keyboard[8]; /* layout, by its name; empty: never chosen */
        uint64_t spare[24];
};
static inline struct posix_root *posix_root(void)
{
        return space_root_get(ROOT_POSIX);
}
#define MAX_THREADS 32768u
#define PID_MAX     32768

static inline struct process *process_current(void)
{
        return thread_current()->proc;
}
struct process *process_find(int pid); /* borrows; LOCK_PROCTREE held, or the section borrows what is found */
struct thread *thread_find(int tid);
struct pgrp *pgrp_find(int pgid);
struct session *session_find(int sid);
/* The one word that guards pids, parents and children, groups, sessions and zombies. */
static inline void proctree_lock(void)
{
        lock(LOCK_PROCTREE, NULL);
}
static inline void proctree_unlock(void)
{
        unlock(LOCK_PROCTREE, NULL);
}
/* Every process, in no order, by pid hash; new ones may be missed. fn returns false to end the walk. LOCK_PROCTREE held, or read-only use in a section. */
void process_each(bool (*fn)(struct process *p, void *arg), void *arg);
void process_end_init(void); /* recovery, after changes(): init is to die, all others with it, and to start anew */
bool process_stop_piece(
        int pid); /* recovery, after changes(): some threads more of the process that is not to run. True: there are others */
void pid_forget(void);  /* storm */
int process_boot(void); /* every boot: what the checkers need. 0 */
int process_create_init(
        void); /* first boot: pid 1 with a prepared execve of /sbin/init (or init= on the command line) */
uint64_t rlimit_of(struct process *p, unsigned resource);

/* Permission helpers: Linux's rules. */
bool cred_capable(const struct cred *c, unsigned cap);
static inline bool capable(unsigned cap)
{
        return cred_capable(thread_current()->cred, cap);
}
bool cred_in_group(const struct cred *c, uint32_t gid);
struct cred *
cred_copy(const struct cred *from); /* refs 1; after changes(); the caller fills and installs with cred_install */
void cred_install(
        struct
        cred *new); /* takes it: the current thread's from now on; moves the user's counts when the real uid differs */
struct cred *cred_exec(const struct cred *old, uint32_t uid, uint32_t gid, bool setuid,
                       bool setgid);                         /* after changes(): for execve; refs 1 */
bool process_may_signal(const struct process *p, int signo); /* kill(2)'s rule for the current thread */

/* Signals (posix/signal). info: NULL means SI_KERNEL/SI_USER by signo's nature. From a section, after changes(). */
#include <asm/siginfo.h>
int signal_send_process(struct process *p, int signo, const siginfo_t *info); /* 0 or -EAGAIN (queue limit) */
int signal_send_thread(struct thread *t, int signo, const siginfo_t *info);
int signal_send_pgrp(struct pgrp *g, int signo, const siginfo_t *info);
bool signal_ignored_or_blocked(struct thread *t, int signo);
/* Pending set of the current thread, own and shared (signalfd, sigtimedwait): takes one of `set` out, after changes(). 0 or the signal number.
 * Between a signal_peek (which changes nothing) and the dequeue of what it showed the caller holds signal_lock(t->proc) (signal.h). */
int signal_dequeue(struct thread *t, sigset64 set, siginfo_t *info);
int signal_peek(struct thread *t, sigset64 set, siginfo_t *info);
const void *signal_key(struct process *p);  /* wake key: something became pending in p (signalfd, sigtimedwait) */
bool process_orphaned_pgrp(struct pgrp *g); /* LOCK_PROCTREE */
/* Up to `max` of the processes with a pid above `after`, lowest first: how work on many goes in pieces. LOCK_PROCTREE. pgrp NULL: of all. */
unsigned process_pick(struct pgrp *g, int after, struct process **out, unsigned max);
/* Stopped by job control, and not continued. */
static inline bool thread_is_stopped(const struct thread *t)
{
        return t->run == THREAD_STOPPED && t->proc->stopping && t->stop_seq == t->proc->stop_seq && !t->proc->exiting;
}
/* Must die: the process ends, or another thread execs. */
static inline bool thread_is_doomed(const struct thread *t)
{
        return t->proc->exiting || (t->proc->exec_thread && t->proc->exec_thread != t);
}

/*
 * What execve needs of us. Before its point of no return, as a stage that is called again until it returns 0: tells the other threads to die and waits until the
 * caller is alone (0, CALL_WAIT, CALL_RETRY; -EAGAIN: another thread execs or the process exits). Then, after changes(), in the section that swaps:
 * process_exec_commit makes the caller the leader, gives it a sighand of its own with handlers reset, drops timers, alternate stack, robust list and
 * CLEARTID address, sets comm, dumpable, credentials (takes cred; NULL: unchanged) and releases a parent that waits in vfork. 8 pages of room.
 */
long process_exec_alone(struct call *c);
void process_exec_commit(struct thread *t, const char *comm, struct cred *cred);
/* CPU time and other sums, live threads included. */
struct cpu_times {
        uint64_t user_ns, system_ns;
};
void thread_cpu_times(struct thread *t, struct cpu_times *ct);
void process_cpu_times(struct process *p, struct cpu_times *ct);
/* /proc: one letter (R S D T Z X) of a thread. */
char thread_state_letter(struct thread *t);
/* Working directory and root of a process: an independent copy. After changes(). */
struct fs *fs_copy(struct fs *from);
struct fs *fs_new(struct inode *root);

/* exec, fork hooks into other areas: */
struct mm *mm_new(void);                                        /* refs 1; after changes() */
long mm_fork(struct call *c, struct mm *from, struct mm **out); /* before changes of its own pieces: see mm.h */
struct fdtable *fdtable_new(void);
struct fdtable *fdtable_fork(struct fdtable *from); /* after changes(); the room was asked: fdtable_pages(from) */
uint64_t fdtable_pages(struct fdtable *t);
