/*
 * deliver.c - what a thread does about its signals before it returns to user mode. signal_deliver() does one thing a section (the end of the thread, a stop, one
 * default action, one handler's frame) and is called again while there is more, so that everything that can fail stands before that section's change.
 *
 * The result of the call that was interrupted (pending_result, -ERESTART*) is settled with the first handler that runs, or when no signal is left:
 *      code            handler without SA_RESTART   with SA_RESTART   no handler
 *      RESTARTSYS      EINTR                        again             again
 *      RESTARTNOINTR   again                        again             again
 *      RESTARTNOHAND   EINTR                        EINTR             again
 *      RESTARTBLOCK    EINTR                        EINTR             restart_syscall
 */
#include "posix/signal/signal_internal.h"
#include <asm/unistd.h>

#define SYSCALL_LENGTH 2 /* bytes of the instruction */

bool signal_wanted(struct thread *t)
{
        struct process *p = t->proc;

        if (t->run > THREAD_STOPPED)
                return false;
        return ((t->pending.set | p->pending.set) & ~t->blocked) || p->child_notice || p->stopping ||
               thread_is_doomed(t);
}

void signal_force_fault(struct thread *t, int signo, int code, uint64_t addr, unsigned trap, uint64_t err)
{
        struct process *p = t->proc;
        struct sighand *sh;
        siginfo_t info;

        section_changes();
        t->trap_nr = trap;
        t->trap_err = err;
        if (trap == 14)
                t->trap_addr = addr;
        __builtin_memset(&info, 0, sizeof(info));
        info.si_signo = signo;
        info.si_code = code;
        info.si_addr = (void *)addr;
        sh = signal_lock(p);
        if ((t->blocked | sh->ignored) & sigbit(signo)) {
                /* It cannot be put off: the program would meet the same instruction for ever. */
                sh->ignored &= ~sigbit(signo);
                sh->caught &= ~sigbit(signo);
                *action_slot(sh, signo, false) = (struct sigaction64){0};
                t->blocked &= ~sigbit(signo);
        }
        if (!(t->pending.set & sigbit(signo))) {
                sigqueue_add(&t->pending, signo, &info, true, NULL);
                t->pending.set |= sigbit(signo);
        }
        thread_signal_post(t);
        signal_unlock(sh);
}

/* rax and rip of an interrupted call when a handler with these flags runs. */
static void settle_for_handler(const struct thread *t, uint64_t flags, struct resume *f)
{
        switch (-t->pending_result) {
        case ERESTARTSYS:
                if (!(flags & SA_RESTART)) {
                        f->rax = (uint64_t)-EINTR;
                        break;
                }
                /* fallthrough */
        case ERESTARTNOINTR:
                f->rax = t->pending_nr;
                f->rip -= SYSCALL_LENGTH;
                break;
        case ERESTARTNOHAND:
        case ERESTART_RESTARTBLOCK:
                f->rax = (uint64_t)-EINTR;
                break;
        }
}

/* No signal is left: the call goes on, the mask of before comes back. */
static void settle(struct thread *t)
{
        struct frame *f = user_frame();

        if (t->pending_result) {
                section_changes();
                f->rax = t->pending_result == -ERESTART_RESTARTBLOCK ? __NR_restart_syscall : t->pending_nr;
                f->rip -= SYSCALL_LENGTH;
                t->pending_result = 0;
        }
        if (t->has_restore_mask) {
                section_changes();
                t->has_restore_mask = 0;
                signal_mask_set(t, t->restore_mask);
        }
}

static void log_death(struct thread *t, int signo, const siginfo_t *info)
{
        const struct frame *f = user_frame();

        if (!(SIGNALS_FAULT & sigbit(signo)) || info->si_code <= 0)
                return;
        klog(LOG_DEBUG, "%s[%d]: signal %d code %d at %#lx ip %#lx sp %#lx error %lx\n", t->comm, t->tid, signo,
             info->si_code, (uint64_t)info->si_addr, f->rip, f->rsp, t->trap_err);
}

static long die(struct thread *t, struct sighand *sh, int status)
{
        struct process *p = t->proc;

        if (!p->exiting)
                signal_group_exit(p, status);
        t->exit_code = status;
        signal_unlock(sh);
        return SIGNAL_EXIT;
}

static void discard(struct sigpending *queue, int signo)
{
        struct sigqueue *q = sigqueue_take(queue, signo, NULL);

        if (q)
                sigqueue_free(q);
}

/* LOCK_SIGNAL held, and LOCK_PROCTREE. */
static long stop(struct thread *t, struct sighand *sh, struct sigpending *queue, int signo)
{
        struct process *p = t->proc;

        section_changes();
        discard(queue, signo);
        if (signo != SIGSTOP && process_orphaned_pgrp(p->pgrp)) {
                signal_unlock(sh);
                return 0; /* nobody could continue it */
        }
        signal_stop_begin(t, signo);
        signal_unlock(sh);
        signal_stop_join(t);
        return thread_is_stopped(t) ? SIGNAL_STOP : 0;
}

static long handle(struct call *c, struct sighand *sh, struct sigpending *queue, int signo)
{
        struct thread *t = c->thread;
        struct sigaction64 a = signal_action(sh, signo);
        sigset64 mask = t->has_restore_mask ? t->restore_mask : t->blocked, blocked;
        struct resume at = {user_frame()->rax, user_frame()->rip};
        siginfo_t info;
        uint64_t sp;
        long r;

        if (a.flags & SA_SIGINFO)
                sigpending_peek(queue, signo, &info);
        if (t->pending_result)
                settle_for_handler(t, a.flags, &at);
        r = frame_build(c, &at, &a, &info, mask, &sp);
        if (r == CALL_FAULT)
                return r;
        section_changes();
        discard(queue, signo);
        if (r) {
                /* No room for the frame: as on Linux, SIGSEGV, and no second try for its own handler. */
                if (signo == SIGSEGV) {
                        sh->caught &= ~sigbit(SIGSEGV);
                        *action_slot(sh, SIGSEGV, false) = (struct sigaction64){0};
                }
                signal_unlock(sh);
                klog(LOG_DEBUG, "%s[%d]: no stack for the handler of signal %d at %#lx\n", t->comm, t->tid, signo,
                     user_frame()->rsp);
                signal_force_fault(t, SIGSEGV, SI_KERNEL, 0, 0, 0);
                return 0;
        }
        if (a.flags & SA_RESETHAND) {
                sh->caught &= ~sigbit(signo);
                *action_slot(sh, signo, false) = (struct sigaction64){0};
        }
        signal_unlock(sh);
        blocked = t->blocked | a.mask;
        if (!(a.flags & SA_NODEFER))
                blocked |= sigbit(signo);
        t->pending_result = 0;
        t->has_restore_mask = 0;
        if (t->altstack_flags & SS_AUTODISARM) {
                t->altstack_sp = t->altstack_size = 0;
                t->altstack_flags = 0;
        }
        signal_mask_set(t, blocked);
        frame_enter(&a, signo, sp);
        return 0;
}

static bool interrupted(const struct thread *t)
{
        return t->pending_result || user_frame()->rax == (uint64_t)-EINTR;
}

long signal_deliver(struct call *c)
{
        struct thread *t = c->thread;
        struct process *p = t->proc;
        struct sigpending *queue;
        struct sighand *sh;
        sigset64 own;
        int signo;

        if (t->run == THREAD_STOPPED && !thread_is_stopped(t)) {
                section_changes();
                t->run = THREAD_LIVE;
        }
        if (thread_is_doomed(t)) {
                section_changes();
                t->exit_code = p->exiting ? p->exit_status : 0;
                return SIGNAL_EXIT;
        }
        if (p->child_notice || p->stopping) {
                section_changes();
                proctree_lock();
                if (p->child_notice) {
                        int code = p->child_notice;

                        p->child_notice = 0;
                        signal_notify_parent(p, code, code == CLD_CONTINUED ? SIGCONT : p->stop_signal);
                        return 0;
                }
                signal_stop_join(t);
                return thread_is_stopped(t) ? SIGNAL_STOP : 0;
        }
        if (t->has_restore_mask && !interrupted(t)) {
                section_changes();
                t->has_restore_mask = 0;
                signal_mask_set(t, t->restore_mask);
                return 0;
        }
        if ((t->pending.set | p->pending.set) & ~t->blocked & SIGNALS_STOP)
                proctree_lock();
        sh = signal_lock(p);
        own = t->pending.set & ~t->blocked;
        queue = own ? &t->pending : &p->pending;
        signo = signal_next(queue->set & ~t->blocked);
        if (!signo) {
                signal_unlock(sh);
                settle(t);
                return 0;
        }
        if (sh->caught & sigbit(signo))
                return handle(c, sh, queue, signo);
        if ((sh->ignored | SIGNALS_IGNORE) & sigbit(signo)) {
                section_changes();
                discard(queue, signo);
                signal_unlock(sh);
                return 0;
        }
        if (SIGNALS_STOP & sigbit(signo)) {
                if (lock_held(LOCK_PROCTREE, NULL))
                        return stop(t, sh, queue, signo);
                signal_unlock(sh);
                return 0; /* it came just now: look again, in order */
        }
        siginfo_t info;

        sigpending_peek(queue, signo, &info);
        section_changes();
        log_death(t, signo, &info);
        discard(queue, signo);
        return die(t, sh, signo);
}
