/*
 * signal.h - signals, for the rest of the personality (posix/signal). Sending and taking out are declared in process.h.
 *
 * Lock: LOCK_SIGNAL of the process's sighand guards actions, pending sets, group stop and masks of other threads; a thread reads and writes its own mask, but others
 * look at it when they choose who takes a signal. Rank after LOCK_PROCTREE; two are never held: SIGCHLD to a parent is sent under LOCK_PROCTREE alone.
 */
#pragma once
#include "posix/include/process.h"
#include <linux/signal.h>

#define SIGNAL_MAX 64
/* What the default action of a signal is. */
#define SIGNALS_STOP   (sigbit(SIGSTOP) | sigbit(SIGTSTP) | sigbit(SIGTTIN) | sigbit(SIGTTOU))
#define SIGNALS_IGNORE (sigbit(SIGCHLD) | sigbit(SIGCONT) | sigbit(SIGURG) | sigbit(SIGWINCH))
#define SIGNALS_CORE                                                                                                   \
        (sigbit(SIGQUIT) | sigbit(SIGILL) | sigbit(SIGTRAP) | sigbit(SIGABRT) | sigbit(SIGBUS) | sigbit(SIGFPE) |      \
         sigbit(SIGSEGV) | sigbit(SIGXCPU) | sigbit(SIGSYS) | sigbit(SIGXFSZ))
#define SIGNALS_FAULT                                                                                                  \
        (sigbit(SIGSEGV) | sigbit(SIGBUS) | sigbit(SIGILL) | sigbit(SIGTRAP) | sigbit(SIGFPE) | sigbit(SIGSYS))
#define SIGNALS_UNBLOCKABLE (sigbit(SIGKILL) | sigbit(SIGSTOP))

/* One queued signal with its siginfo (the 48 bytes that carry anything). */
struct sigqueue {
        struct sigqueue *next; /* FIELD_OWN */
        struct user *user;     /* FIELD_REF: against whose RLIMIT_SIGPENDING it counts; NULL: nobody's */
        struct ptimer *timer;  /* FIELD_BORROW: of a POSIX timer, whose overrun is told at delivery; NULL else */
        uint64_t info[6];
};

/* Locks the sighand of p, which execve may replace meanwhile. */
struct sighand *signal_lock(struct process *p);
void signal_unlock(struct sighand *sh);
struct sigaction64 signal_action(const struct sighand *sh, int signo);

struct sighand *sighand_new(void); /* all default; refs 1; after changes() */
struct sighand *sighand_copy(const struct sighand *from);
void sighand_touch(const struct sighand *sh);  /* before changes(): what a copy will read */
void sighand_reset_caught(struct sighand *sh); /* execve: handlers become SIG_DFL */

/*
 * The calls that replace the mask while they wait (ppoll, pselect6, epoll_pwait, sigsuspend): after changes(). The dispatcher puts the old mask back when the
 * call ends, after the frame of a handler that ended it.
 */
void signal_mask_swap(struct call *c, sigset64 temporary);
void signal_mask_set(struct thread *t, sigset64 blocked); /* own thread: what it no longer takes goes to others */

void sigpending_flush(struct sigpending *p); /* after changes(), all entries are freed */
/* A group-wide death: status is wait4's word. LOCK_SIGNAL held. Every thread is told; the caller looks at its own by signal_wanted. */
void signal_group_exit(struct process *p, int status);
/*
 * Recovery, after changes(), no lock held: p, in which no thread runs, is stopped as by SIGSTOP, its threads where they stand, in calls too; each call of this takes a number of them, the last
 * one tells the parent. True: there are others.
 */
bool signal_stop_piece(struct process *p);
/* A thread stops counting for group stop and takes no more signals; what it should have taken goes to others. LOCK_PROCTREE held. */
void signal_thread_exits(struct thread *t);
/* SIGCHLD and the wake of a waiting parent. LOCK_PROCTREE held, no LOCK_SIGNAL. code CLD_*; true: nobody will wait, reap at once. */
bool signal_notify_parent(struct process *p, int code, int status);

void siginfo_kill(siginfo_t *info, int signo,
                  int code); /* SI_USER, SI_TKILL of the current thread: the 48 bytes that are sent */
/* A pending POSIX timer signal: queued with `q` made beforehand. True: it was queued; false: it is pending already (the caller counts an overrun) or ignored. */
bool signal_send_timer(struct process *p, struct thread *t, struct ptimer *timer, const siginfo_t *info);
void signal_forget_timer(struct process *p,
                         struct ptimer *timer); /* the timer goes: its queued signal no longer names it */
int signal_boot(void);                          /* every boot: volatile memory for frames. 0 or -ENOMEM */
