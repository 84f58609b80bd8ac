/*
 * proc.h - between the files of posix/proc only.
 */
#pragma once
#include "posix/include/ptimer.h"
#include "posix/include/deadline.h"

/* pid.c */
int pid_reserve(void);  /* a number nobody has; holds until this section ends. -EAGAIN: none left */
void pid_used(int pid); /* after changes(): numbering goes on from here after a reboot */
void pid_publish_process(struct process *p); /* LOCK_PROCTREE for these four */
void pid_publish_thread(struct thread *t);
void pid_withdraw_process(struct process *p);
void pid_withdraw_thread(struct thread *t);

/* group.c: LOCK_PROCTREE held */
struct session *session_new(int sid);
struct pgrp *pgrp_new(int pgid, struct session *s); /* gets a reference on s */
void pgrp_join(struct process *p, struct pgrp *g);  /* gets references on g and its session for p, drops those p had */
void pgrp_leave(struct process *p);
void pgrp_orphan_check(struct pgrp *g); /* newly orphaned and has stopped members: SIGHUP, SIGCONT */

/* exec.c. No other record in its process but that of a dead leader, whose number exec takes. Its sighand is locked. */
bool thread_is_alone(const struct thread *t);

/* exit.c. A record of schema 1: OTHERS came in between CLEARTID and TIMERS, and for a short while had the last number. */
void exit_stage_migrate(struct call *c);

/* exit.c, wait.c: LOCK_PROCTREE held, after changes() */
void child_link(struct process *parent, struct process *child); /* takes the caller's reference on child */
void child_unlink(struct process *child);                       /* and gives it back */
void process_reap(
        struct process *p); /* a zombie: out of all tables; its parent has its times; records go to the dying list */
void thread_fold_times(struct thread *t); /* a thread's sums into its process's */
struct user *user_get(uint32_t uid);      /* cred.c: counted; after changes(); LOCK_PROCTREE held */

/* Fills a process and its first thread as init's or as a copy. */
void vfork_release(struct thread *t);
void init_died(struct process *p);

/*
 * Hooks of other areas. ipc_exit: semaphore undo and attached segments, while sem_undo or shm_attached is not NULL: called in a section that has not changed anything,
 * again until both are; ipc_fork: in fork's publishing section, after the change. tty_session_exit: a session leader with a terminal ends: hang up; a
 * section that has not changed anything.
 */
void ipc_exit(struct process *p) __attribute__((weak));
void ipc_fork(struct process *parent, struct process *child) __attribute__((weak));
void tty_session_exit(struct session *s) __attribute__((weak));

/* cred.c */
long cred_prctl(struct call *c, int option); /* -ENOSYS: not one of its options */
struct cred *cred_root(void);                /* after changes() */

/* pidfd.c */
struct file *pidfd_new(struct process *p, uint32_t flags); /* after changes(), 2 pages of room: refs 1 */
struct process *pidfd_process(struct file *f);             /* borrows; NULL: not a pidfd */

/* wait.c */
void rusage_fill(struct rusage *r, struct process *p, int who); /* who: RUSAGE_*; LOCK_PROCTREE held */
#define WAIT_NONBLOCK 0x10000000u /* of a pidfd opened with PIDFD_NONBLOCK: nothing there is EAGAIN */

/* limits.c, priority.c */
void limits_init(struct process *p);
void priority_fork(struct thread *child); /* SCHED_RESET_ON_FORK */

/* system.c */
bool process_may_look(const struct process *p); /* ptrace's rule for reading another's state */
struct file *process_file(struct process *p, uint64_t fd);
