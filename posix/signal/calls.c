/*
 * calls.c - the system calls about signals.
 */
#include "posix/signal/signal_internal.h"
#include "posix/include/timespec.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
#define SA_KNOWN                                                                                                       \
        (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND |              \
         SA_RESTORER | 0x800ul /* SA_EXPOSE_TAGBITS */)

static bool valid(int signo)
{
        return signo >= 1 && signo <= SIGNAL_MAX;
}

/* ---- actions and masks ---- */

long sys_rt_sigaction(struct call *c)
{
        struct process *p = c->thread->proc;
        int signo = (int)c->arg[0];
        struct sigaction64 new, old, *slot;
        struct sighand *sh;
        bool ignore;

        if (c->arg[3] != sizeof(sigset64) || !valid(signo) || (c->arg[1] && (sigbit(signo) & SIGNALS_UNBLOCKABLE)))
                return -EINVAL;
        if (c->arg[1] && !copy_in(c, &new, c->arg[1], sizeof(new)))
                return user_fault(c);
        if (c->arg[1] && signo > 32 && !space_room(1))
                return -ENOMEM;
        sh = signal_lock(p);
        old = signal_action(sh, signo);
        if (c->arg[2] && !copy_out(c, c->arg[2], &old, sizeof(old)))
                return user_fault(c);
        if (!c->arg[1])
                return 0;
        changes(c);
        new.flags &= SA_KNOWN;
        new.mask &= ~SIGNALS_UNBLOCKABLE;
        slot = action_slot(sh, signo, true);
        *slot = new;
        ignore = new.handler == (uint64_t)SIG_IGN ||
                 (new.handler == (uint64_t)SIG_DFL && (sigbit(signo) & SIGNALS_IGNORE));
        sh->ignored &= ~sigbit(signo);
        sh->caught &= ~sigbit(signo);
        if (new.handler == (uint64_t)SIG_IGN)
                sh->ignored |= sigbit(signo);
        else if (new.handler != (uint64_t)SIG_DFL)
                sh->caught |= sigbit(signo);
        if (ignore) {
                sigpending_discard(&p->pending, sigbit(signo));
                for (struct thread *t = p->threads; t; t = t->next)
                        sigpending_discard(&t->pending, sigbit(signo));
        }
        return 0;
}

long sys_rt_sigprocmask(struct call *c)
{
        struct thread *t = c->thread;
        sigset64 old = t->blocked, set, new;

        if (c->arg[3] != sizeof(sigset64))
                return -EINVAL;
        if (c->arg[1]) {
                if (!copy_in(c, &set, c->arg[1], sizeof(set)))
                        return user_fault(c);
                set &= ~SIGNALS_UNBLOCKABLE;
        }
        if (c->arg[1] && (int)c->arg[0] != SIG_BLOCK && (int)c->arg[0] != SIG_UNBLOCK && (int)c->arg[0] != SIG_SETMASK)
                return -EINVAL;
        if (c->arg[2] && !copy_out(c, c->arg[2], &old, sizeof(old)))
                return user_fault(c);
        if (!c->arg[1])
                return 0;
        new = (int)c->arg[0] == SIG_BLOCK ? old | set : (int)c->arg[0] == SIG_UNBLOCK ? old & ~set : set;
        if (new == old)
                return 0;
        changes(c);
        signal_mask_set(t, new);
        return 0;
}

long sys_rt_sigpending(struct call *c)
{
        struct thread *t = c->thread;
        sigset64 set = (t->pending.set | t->proc->pending.set) & t->blocked;

        if (c->arg[1] > sizeof(set))
                return -EINVAL;
        return copy_out(c, c->arg[0], &set, c->arg[1]) ? 0 : user_fault(c);
}

long signal_altstack_set(struct thread *t, uint64_t sp, uint64_t flags, uint64_t size, uint64_t user_sp)
{
        uint64_t mode = flags & ~(uint64_t)SS_AUTODISARM;

        if (signal_on_altstack(t, user_sp))
                return -EPERM;
        if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
                return -EINVAL;
        if (mode == SS_DISABLE) {
                sp = 0;
                size = 0;
        } else if (size < MINSIGSTKSZ) {
                return -ENOMEM;
        }
        if (t->altstack_size == size && t->altstack_sp == sp && t->altstack_flags == flags)
                return 0;
        section_changes();
        t->altstack_sp = sp;
        t->altstack_size = size;
        t->altstack_flags = (uint32_t)flags;
        return 0;
}

long sys_sigaltstack(struct call *c)
{
        struct thread *t = c->thread;
        uint64_t sp = user_frame()->rsp;
        stack_t new, old;

        if (c->arg[0] && !copy_in(c, &new, c->arg[0], sizeof(new)))
                return user_fault(c);
        if (c->arg[1]) {
                __builtin_memset(&old, 0, sizeof(old));
                old.ss_sp = (void *)t->altstack_sp;
                old.ss_size = t->altstack_size;
                old.ss_flags = (int)(!t->altstack_size ? SS_DISABLE
                                                       : (signal_on_altstack(t, sp) ? SS_ONSTACK : 0u) |
                                                                 (t->altstack_flags & SS_AUTODISARM));
                if (!copy_out(c, c->arg[1], &old, sizeof(old)))
                        return user_fault(c);
        }
        if (!c->arg[0])
                return 0;
        return signal_altstack_set(t, (uint64_t) new.ss_sp, (uint32_t) new.ss_flags, new.ss_size, sp);
}

/* ---- waiting ---- */

long sys_rt_sigsuspend(struct call *c)
{
        sigset64 set;

        if (c->stage == 0) {
                if (c->arg[1] != sizeof(set))
                        return -EINVAL;
                if (!copy_in(c, &set, c->arg[0], sizeof(set)))
                        return user_fault(c);
                changes(c);
                signal_mask_swap(c, set);
                c->stage = 1;
                if (signal_wanted(c->thread))
                        return -ERESTARTNOHAND;
        }
        if (c->why != WHY_RUN)
                return -ERESTARTNOHAND;
        return call_wait(c, CONDITION, NULL, INTERRUPTIBLE, NO_DEADLINE);
}

long sys_pause(struct call *c)
{
        if (c->why != WHY_RUN || signal_wanted(c->thread))
                return -ERESTARTNOHAND;
        return call_wait(c, CONDITION, NULL, INTERRUPTIBLE, NO_DEADLINE);
}

static struct sigpending *queue_with(struct thread *t, sigset64 set)
{
        if (t->pending.set & set)
                return &t->pending;
        return t->proc->pending.set & set ? &t->proc->pending : NULL;
}

int signal_peek(struct thread *t, sigset64 set, siginfo_t *info)
{
        struct sigpending *queue = queue_with(t, set);
        int signo = queue ? signal_next(queue->set & set) : 0;

        if (signo)
                sigpending_peek(queue, signo, info);
        return signo;
}

int signal_dequeue(struct thread *t, sigset64 set, siginfo_t *info)
{
        bool mine = !lock_held(LOCK_SIGNAL, t->proc->sighand);
        struct sighand *sh = mine ? signal_lock(t->proc) : NULL;
        struct sigpending *queue = queue_with(t, set);
        int signo = queue ? signal_next(queue->set & set) : 0;

        if (signo) {
                struct sigqueue *q = sigqueue_take(queue, signo, info);

                if (q)
                        sigqueue_free(q);
        }
        if (mine)
                signal_unlock(sh);
        return signo;
}

struct timedwait {
        sigset64 set;
        uint64_t deadline;
        bool no_wait;
};

long sys_rt_sigtimedwait(struct call *c)
{
        struct timedwait *w = call_state(c, struct timedwait);
        struct thread *t = c->thread;
        siginfo_t info;
        long r;
        int signo;

        if (c->stage == 0) {
                struct timespec64 ts;

                *w = (struct timedwait){.deadline = NO_DEADLINE};
                if (c->arg[3] != sizeof(sigset64))
                        return -EINVAL;
                if (!copy_in(c, &w->set, c->arg[0], sizeof(w->set)))
                        return user_fault(c);
                w->set &= ~SIGNALS_UNBLOCKABLE;
                if (c->arg[2]) {
                        if (!copy_in(c, &ts, c->arg[2], sizeof(ts)))
                                return user_fault(c);
                        if (!timespec_valid(&ts))
                                return -EINVAL;
                        w->deadline = deadline_after(timespec_ns(&ts));
                        w->no_wait = ts.sec == 0 && ts.nsec == 0;
                }
                c->stage = 1;
        }
        struct sighand *sh = signal_lock(t->proc);

        signo = signal_peek(t, w->set, &info);
        if (signo) {
                if (c->arg[1] && !copy_out(c, c->arg[1], &info, sizeof(info)))
                        return user_fault(c);
                changes(c);
                signal_dequeue(t, sigbit(signo), NULL);
                t->awaited = 0;
                return signo;
        }
        if (w->no_wait || c->why != WHY_RUN) {
                r = c->why == WHY_DEADLINE || w->no_wait ? -EAGAIN : -EINTR;
                if (t->awaited) {
                        changes(c);
                        t->awaited = 0;
                }
                return r;
        }
        changes(c);
        t->awaited = w->set;
        (void)sh;
        return call_wait(c, CONDITION, signal_key(t->proc), INTERRUPTIBLE, w->deadline);
}

/* ---- sending ---- */

bool process_may_signal(const struct process *p, int signo)
{
        const struct thread *self = thread_current();
        const struct cred *me = self->cred, *it = p->leader ? p->leader->cred : NULL;

        if (p == self->proc || !it)
                return true;
        if (me->euid == it->suid || me->euid == it->uid || me->uid == it->suid || me->uid == it->uid)
                return true;
        if (signo == SIGCONT && p->session == self->proc->session)
                return true;
        return cred_capable(me, CAP_KILL);
}

static long send_one(struct call *c, struct process *p, int signo, const siginfo_t *info)
{
        if (p->state == PROCESS_DEAD)
                return -ESRCH;
        if (!process_may_signal(p, signo))
                return -EPERM;
        if (signo == 0)
                return 0;
        changes(c);
        return signal_send_process(p, signo, info);
}

/*
 * To many: in pieces by rising pid, so that a section's pages suffice; who forks meanwhile has a higher number and is met too (unless numbers wrap: as
 * likely as a signal that comes just before the fork).
 */
#define KILL_PIECE 8
struct kill_state {
        int32_t after;
        int32_t pgid;
        int64_t sent, permitted;
        int32_t error;
};
static long kill_many(struct call *c, int signo)
{
        struct kill_state *s = call_state(c, struct kill_state);
        struct process *some[KILL_PIECE];
        struct pgrp *g = NULL;
        siginfo_t info;
        unsigned n;

        siginfo_kill(&info, signo, SI_USER);
        proctree_lock();
        if (s->pgid) {
                g = pgrp_find(s->pgid);
                if (!g)
                        return s->permitted ? 0 : s->sent ? s->error : -ESRCH;
        }
        n = process_pick(g, s->after, some, KILL_PIECE);
        for (unsigned i = 0; i < n; i++) {
                struct process *p = some[i];
                long r;

                s->after = p->pid;
                if (!s->pgid && (p->pid == 1 || p == c->thread->proc))
                        continue;
                r = send_one(c, p, signo, &info);
                s->sent++;
                if (r == 0)
                        s->permitted++;
                else if (s->pgid || r != -EPERM)
                        s->error = (int32_t)r;
        }
        if (n == KILL_PIECE)
                return CALL_AGAIN;
        if (s->pgid == 0)
                return s->sent ? s->error : -ESRCH;
        return s->permitted ? 0 : s->sent ? s->error : -ESRCH;
}

long sys_kill(struct call *c)
{
        struct kill_state *s = call_state(c, struct kill_state);
        int pid = (int)c->arg[0], signo = (int)c->arg[1];
        struct process *p;
        siginfo_t info;

        if (pid > 0) {
                p = process_find(pid);
                if (!p) {
                        struct thread *t = thread_find(pid); /* a thread's number names its process */

                        p = t ? t->proc : NULL;
                }
                if (signo && !valid(signo))
                        return p ? -EINVAL : -ESRCH;
                if (!p)
                        return -ESRCH;
                siginfo_kill(&info, signo, SI_USER);
                if (signo == SIGCONT)
                        proctree_lock(); /* sessions are compared */
                return send_one(c, p, signo, &info);
        }
        if (c->stage == 0) {
                if (pid == INT32_MIN)
                        return -ESRCH;
                *s = (struct kill_state){.pgid = pid == -1 ? 0 : pid ? -pid : c->thread->proc->pgrp->pgid};
                if (signo && !valid(signo))
                        return -EINVAL;
                c->stage = 1;
        }
        return kill_many(c, signo);
}

static long thread_send(struct call *c, int tgid, int tid, int signo, siginfo_t *info)
{
        struct thread *t = thread_find(tid);

        if (!t || (tgid > 0 && t->proc->pid != tgid))
                return -ESRCH;
        if (signo < 0 || signo > SIGNAL_MAX)
                return -EINVAL;
        if (!process_may_signal(t->proc, signo))
                return -EPERM;
        if (signo == 0)
                return 0;
        changes(c);
        return signal_send_thread(t, signo, info);
}

long sys_tkill(struct call *c)
{
        int tid = (int)c->arg[0], signo = (int)c->arg[1];
        siginfo_t info;

        if (tid <= 0)
                return -EINVAL;
        siginfo_kill(&info, signo, SI_TKILL);
        return thread_send(c, 0, tid, signo, &info);
}

long sys_tgkill(struct call *c)
{
        int tgid = (int)c->arg[0], tid = (int)c->arg[1], signo = (int)c->arg[2];
        siginfo_t info;

        if (tgid <= 0 || tid <= 0)
                return -EINVAL;
        siginfo_kill(&info, signo, SI_TKILL);
        return thread_send(c, tgid, tid, signo, &info);
}

/* The kernel alone says that a signal came from it, or by kill: others may not pretend. */
static long info_in(struct call *c, uint64_t from, int signo, int pid, siginfo_t *info)
{
        if (!copy_in(c, info, from, sizeof(*info)))
                return user_fault(c);
        info->si_signo = signo;
        if ((info->si_code >= 0 || info->si_code == SI_TKILL) && pid != c->thread->proc->pid)
                return -EPERM;
        return 0;
}

long sys_rt_sigqueueinfo(struct call *c)
{
        int pid = (int)c->arg[0], signo = (int)c->arg[1];
        struct process *p;
        siginfo_t info;
        long r = info_in(c, c->arg[2], signo, pid, &info);

        if (r)
                return r;
        p = process_find(pid);
        if (!p)
                return -ESRCH;
        if (signo && !valid(signo))
                return -EINVAL;
        return send_one(c, p, signo, &info);
}

long sys_rt_tgsigqueueinfo(struct call *c)
{
        int tgid = (int)c->arg[0], tid = (int)c->arg[1], signo = (int)c->arg[2];
        siginfo_t info;
        long r;

        if (tgid <= 0 || tid <= 0)
                return -EINVAL;
        r = info_in(c, c->arg[3], signo, tgid, &info);
        return r ? r : thread_send(c, tgid, tid, signo, &info);
}
