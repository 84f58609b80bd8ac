/*
 * signal_internal.h - between the files of posix/signal only.
 */
#pragma once
#include "posix/include/ptimer.h"
#include "kernel/include/log.h"

/* queue.c; LOCK_SIGNAL held */
struct sigqueue *sigqueue_take(struct sigpending *p, int signo,
                               siginfo_t *info); /* oldest of signo, info filled; frees nothing yet */
void sigqueue_free(struct sigqueue *q);
void sigpending_discard(struct sigpending *p, sigset64 set);                  /* all of set, queued or not */
bool sigpending_peek(const struct sigpending *p, int signo, siginfo_t *info); /* without taking it: changes nothing */
bool sigqueue_add(struct sigpending *p, int signo, const siginfo_t *info, bool force,
                  struct ptimer *timer); /* false: the limit is reached */
int signal_next(sigset64 set);           /* faults first, then by number; 0: none */

/* frame.c */
struct resume {
        uint64_t rax, rip;
}; /* where the interrupted program goes on, in place of the frame's */
/*
 * Writes the frame of a handler on the user's stack (or the alternate one): 0 with *sp, CALL_FAULT, -EFAULT (it cannot be). Changes only user memory.
 * info: only with SA_SIGINFO.
 */
long frame_build(struct call *c, const struct resume *r, const struct sigaction64 *a, const siginfo_t *info,
                 sigset64 mask, uint64_t *sp);
void frame_enter(const struct sigaction64 *a, int signo,
                 uint64_t sp); /* registers become the handler's; after changes() */
bool signal_on_altstack(const struct thread *t, uint64_t sp);

/* calls.c: sets the alternate stack as sigaltstack(2) does, after changes(): 0, -EPERM (on it at user_sp), -EINVAL, -ENOMEM */
long signal_altstack_set(struct thread *t, uint64_t sp, uint64_t flags, uint64_t size, uint64_t user_sp);

struct sigaction64 *action_slot(struct sighand *sh, int signo, bool make); /* NULL: default and not made */

/* send.c */
struct sigbulk { /* a signal on its way to the rest of a group */
        struct sigbulk *next;
        struct pgrp *pgrp;
        int32_t signo, after; /* who has a pid up to `after` has it */
        uint64_t info[6];
};
void signal_bulk_boot(void);
void signal_stop_begin(struct thread *self, int signo); /* LOCK_SIGNAL held: all live threads are asked to stop */
void signal_stop_join(
        struct thread
                *self); /* LOCK_PROCTREE held, LOCK_SIGNAL not: self has stopped, unless it was continued meanwhile */
