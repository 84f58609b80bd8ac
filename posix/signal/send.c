/*
 * send.c - a signal becomes pending, and somebody is told to look.
 * What a signal does at once: SIGKILL and other deadly signals that nobody handles start the group's end; SIGCONT continues; a stop signal takes a pending SIGCONT
 * away and the other way round. All else waits for signal_deliver in the thread that was chosen.
 *
 * Choice: a thread that does not block the signal, the current one or the leader first. When the chosen one blocks it meanwhile or exits, it hands on what is
 * pending for the process (signal_mask_set, signal_thread_exits).
 */
#include "posix/signal/signal_internal.h"
#include "kernel/include/work.h"

const void *signal_key(struct process *p)
{
        return &p->pending;
}

static bool default_action(const struct sighand *sh, int signo)
{
        return !((sh->ignored | sh->caught) & sigbit(signo));
}

static bool deadly(const struct sighand *sh, int signo)
{
        return default_action(sh, signo) && !((SIGNALS_STOP | SIGNALS_IGNORE) & sigbit(signo));
}

static bool unkillable(const struct process *p)
{
        return p == posix_root()->init;
}

static bool ignored(const struct process *p, const struct thread *t, const struct sighand *sh, int signo)
{
        if (t && (t->blocked | t->awaited) & sigbit(signo))
                return false;
        if (unkillable(p) && default_action(sh, signo))
                return true;
        if (sh->ignored & sigbit(signo))
                return true;
        return default_action(sh, signo) && (SIGNALS_IGNORE & sigbit(signo));
}

bool signal_ignored_or_blocked(struct thread *t, int signo)
{
        return t->blocked & sigbit(signo) || t->proc->sighand->ignored & sigbit(signo);
}

static void discard_everywhere(struct process *p, sigset64 set)
{
        sigpending_discard(&p->pending, set);
        for (struct thread *t = p->threads; t; t = t->next)
                sigpending_discard(&t->pending, set);
}

/* Threads find out by themselves (thread_is_stopped): only the process is written, however many they are. */
static void continue_all(struct process *p)
{
        if (!p->stopping)
                return;
        if (p->state == PROCESS_STOPPED) {
                p->child_notice = CLD_CONTINUED;
                p->continued = 1;
                p->state = PROCESS_LIVE;
        } else {
                p->child_notice = CLD_STOPPED;
        }
        p->stopping = 0;
        p->nstopped = 0;
        for (struct thread *t = p->threads; t; t = t->next)
                if (t->run <= THREAD_STOPPED)
                        thread_continue(t);
}

void signal_group_exit(struct process *p, int status)
{
        p->exiting = 1;
        p->exit_status = status;
        p->stopping = 0;
        p->nstopped = 0;
        if (p->state == PROCESS_STOPPED)
                p->state = PROCESS_LIVE;
        for (struct thread *t = p->threads; t; t = t->next)
                if (t->run <= THREAD_STOPPED)
                        thread_kill_post(t);
}

static bool takes(const struct thread *t, int signo)
{
        if (t->run > THREAD_STOPPED || (t->blocked & ~t->awaited & sigbit(signo)))
                return false;
        return signo == SIGKILL || !thread_is_stopped(t);
}

static struct thread *choose(struct process *p, int signo)
{
        struct thread *self = thread_current();

        if (self && self->proc == p && takes(self, signo))
                return self;
        if (p->leader && takes(p->leader, signo))
                return p->leader;
        for (struct thread *t = p->threads; t; t = t->next)
                if (takes(t, signo))
                        return t;
        return NULL;
}

/* LOCK_SIGNAL held; the signal is in a set. */
static void announce(struct process *p, struct thread *t, const struct sighand *sh, int signo)
{
        if (!t)
                t = choose(p, signo);
        else if (!takes(t, signo))
                t = NULL;
        if (!t)
                return;
        if (deadly(sh, signo) && !(SIGNALS_CORE & sigbit(signo)) && !(t->awaited & sigbit(signo)) && !p->exiting)
                signal_group_exit(p, signo);
        else
                thread_signal_post(t);
}

/* One signal to t, or to the process when t is NULL. LOCK_SIGNAL held. */
static int send_locked(struct process *p, struct thread *t, const struct sighand *sh, int signo, const siginfo_t *info,
                       struct ptimer *timer)
{
        static const siginfo_t kernel = {.si_code = SI_KERNEL};
        struct sigpending *pending = t ? &t->pending : &p->pending;

        if (p->state >= PROCESS_ZOMBIE || (p->exiting && signo != SIGKILL) || (t && t->run > THREAD_STOPPED))
                return 0;
        if (SIGNALS_STOP & sigbit(signo)) {
                discard_everywhere(p, sigbit(SIGCONT));
        } else if (signo == SIGCONT) {
                discard_everywhere(p, SIGNALS_STOP);
                continue_all(p);
        }
        if (ignored(p, t ? t : p->leader, sh, signo))
                return 0;
        if (signo < SIGRTMIN && pending->set & sigbit(signo))
                return 0;
        if (!info)
                info = &kernel;
        if (signo != SIGKILL && signo != SIGSTOP) {
                bool force = timer || (signo < SIGRTMIN && info->si_code >= 0);

                if (!sigqueue_add(pending, signo, info, force, timer)) {
                        if (signo >= SIGRTMIN && info->si_code != SI_USER)
                                return -EAGAIN;
                }
                if (timer)
                        timer->signalled = 1;
        }
        pending->set |= sigbit(signo);
        announce(p, t, sh, signo);
        wake(signal_key(p));
        return 0;
}

int signal_send_process(struct process *p, int signo, const siginfo_t *info)
{
        struct sighand *sh = signal_lock(p);
        int r = send_locked(p, NULL, sh, signo, info, NULL);

        signal_unlock(sh);
        return r;
}

int signal_send_thread(struct thread *t, int signo, const siginfo_t *info)
{
        struct sighand *sh = signal_lock(t->proc);
        int r = send_locked(t->proc, t, sh, signo, info, NULL);

        signal_unlock(sh);
        return r;
}

bool signal_send_timer(struct process *p, struct thread *t, struct ptimer *timer, const siginfo_t *info)
{
        struct sighand *sh;
        bool queued;

        if (timer->signalled)
                return false;
        sh = signal_lock(p);
        send_locked(p, t, sh, info->si_signo, info, timer);
        queued = timer->signalled;
        signal_unlock(sh);
        return queued;
}

/*
 * To a group: to as many as fit in one section, lowest pid first, the rest by a work item. What is sent to the group meanwhile queues behind, so that
 * hang-up still comes before continue. Who forks meanwhile has a higher pid and is met, too.
 */
#define GROUP_PIECE 8 /* a process, its leader, what is queued */

static void bulk_run(struct work *w);
static struct work bulk_work = {.fn = bulk_run};

/* True: all have it. LOCK_PROCTREE held. */
static bool send_piece(struct pgrp *g, int signo, const siginfo_t *info, int32_t *after, int *result)
{
        struct process *some[GROUP_PIECE];
        unsigned n = process_pick(g, *after, some, GROUP_PIECE);

        for (unsigned i = 0; i < n; i++) {
                int r = signal_send_process(some[i], signo, info);

                if (*result)
                        *result = r;
                *after = some[i]->pid;
        }
        return n < GROUP_PIECE;
}

static void bulk_run(struct work *w)
{
        struct posix_root *root = posix_root();
        struct sigbulk *b;
        int r = 0;

        proctree_lock();
        b = root->bulk;
        if (!b)
                return;
        section_changes();
        if (send_piece(b->pgrp, b->signo, (const siginfo_t *)b->info, &b->after, &r)) {
                root->bulk = b->next;
                if (!root->bulk)
                        root->bulk_last = NULL;
                b->pgrp->nbulk--;
                object_put(b->pgrp);
                space_free(b);
        }
        if (root->bulk)
                work_queue(w);
}

/* Every boot: what was under way goes on. */
void signal_bulk_boot(void)
{
        if (posix_root()->bulk)
                work_queue(&bulk_work);
}

static void bulk_add(struct pgrp *g, int signo, const siginfo_t *info, int32_t after)
{
        struct posix_root *root = posix_root();
        struct sigbulk *b = space_alloc(TYPE_SIGBULK);

        b->pgrp = g;
        object_get(g);
        b->signo = signo;
        b->after = after;
        if (info)
                __builtin_memcpy(b->info, info, sizeof(b->info));
        else
                ((siginfo_t *)b->info)->si_code = SI_KERNEL;
        g->nbulk++;
        if (root->bulk_last)
                root->bulk_last->next = b;
        else
                root->bulk = b;
        root->bulk_last = b;
        work_queue(&bulk_work);
}

int signal_send_pgrp(struct pgrp *g, int signo, const siginfo_t *info)
{
        bool mine = !lock_held(LOCK_PROCTREE, NULL);
        int32_t after = 0;
        int r = -ESRCH;

        if (mine)
                proctree_lock();
        if (g->nbulk) {
                bulk_add(g, signo, info, 0);
                r = 0;
        } else if (!send_piece(g, signo, info, &after, &r)) {
                bulk_add(g, signo, info, after);
        }
        if (mine)
                proctree_unlock();
        return r;
}

void siginfo_kill(siginfo_t *info, int signo, int code)
{
        struct thread *t = thread_current();

        __builtin_memset(info, 0, 48);
        info->si_signo = signo;
        info->si_code = code;
        info->si_pid = t->proc->pid;
        info->si_uid = t->cred->uid;
}

bool signal_notify_parent(struct process *p, int code, int status)
{
        struct process *parent = p->parent;
        bool ends = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
        int signo = ends ? p->exit_signal : SIGCHLD;
        bool reap = false;
        struct sighand *sh;
        struct cpu_times ct;
        siginfo_t info;

        if (!parent)
                return false;
        if (ends && !parent->nlive)
                return true; /* init, ending itself */
        sh = signal_lock(parent);
        if (signo == SIGCHLD) {
                const struct sigaction64 *a = &sh->low[SIGCHLD - 1];
                bool ignore = sh->ignored & sigbit(SIGCHLD);

                if (ends && (ignore || (a->flags & SA_NOCLDWAIT)))
                        reap = true;
                if (ignore || (!ends && (a->flags & SA_NOCLDSTOP)))
                        signo = 0;
        }
        if (signo) {
                process_cpu_times(p, &ct);
                __builtin_memset(&info, 0, sizeof(info));
                info.si_signo = signo;
                info.si_code = code;
                info.si_pid = p->pid;
                info.si_uid = p->leader->cred->uid;
                info.si_status = code == CLD_EXITED      ? status >> 8 & 0xff
                                 : code == CLD_CONTINUED ? SIGCONT
                                                         : status & 0x7f;
                info.si_utime = (long)(ct.user_ns / (NSEC_PER_SEC / 100));
                info.si_stime = (long)(ct.system_ns / (NSEC_PER_SEC / 100));
                send_locked(parent, NULL, sh, signo, &info, NULL);
        }
        signal_unlock(sh);
        wake(&parent->children);
        return reap;
}

/* Something pending for the process that t will not take: whoever can is told. */
static void hand_on(struct process *p, const struct sighand *sh, sigset64 set)
{
        for (set &= p->pending.set; set; set &= set - 1)
                announce(p, NULL, sh, __builtin_ctzl(set) + 1);
}

void signal_mask_set(struct thread *t, sigset64 blocked)
{
        struct process *p = t->proc;
        sigset64 newly = blocked & ~SIGNALS_UNBLOCKABLE & ~t->blocked;

        t->blocked = blocked & ~SIGNALS_UNBLOCKABLE;
        if (unlikely(newly & p->pending.set) && p->nlive > 1) {
                struct sighand *sh = signal_lock(p);

                hand_on(p, sh, newly);
                signal_unlock(sh);
        }
        if ((t->pending.set | p->pending.set) & ~t->blocked)
                __atomic_fetch_or(&cpu_this()->need, NEED_SIGNAL, __ATOMIC_RELAXED);
}

void signal_mask_swap(struct call *c, sigset64 temporary)
{
        struct thread *t = c->thread;

        c->saved_mask = t->blocked;
        c->has_mask = 1;
        signal_mask_set(t, temporary);
}

static bool stop_complete(struct process *p)
{
        if (!p->stopping || p->state != PROCESS_LIVE || p->nlive == 0 || p->nstopped < p->nlive)
                return false;
        p->state = PROCESS_STOPPED;
        p->stop_reported = 0;
        p->continued = 0;
        return true;
}

void signal_thread_exits(struct thread *t)
{
        struct process *p = t->proc;
        struct sighand *sh;
        bool stopped;

        if (p->nlive == 0)
                return;
        sh = signal_lock(p);
        if (p->pending.set)
                hand_on(p, sh, ~t->blocked);
        if (p->stopping && t->stop_seq == p->stop_seq)
                p->nstopped--; /* woken from the stop to die: execve by another thread */
        stopped = stop_complete(p);
        signal_unlock(sh);
        if (stopped)
                signal_notify_parent(p, CLD_STOPPED, p->stop_signal);
}

/* ---- group stop, from signal_deliver: LOCK_PROCTREE held, LOCK_SIGNAL not ---- */

void signal_stop_begin(struct thread *self, int signo)
{
        struct process *p = self->proc;

        p->stopping = 1;
        p->stop_seq++;
        p->stop_signal = signo;
        p->nstopped = 0;
        for (struct thread *t = p->threads; t; t = t->next)
                if (t != self &&
                    t->run <= THREAD_STOPPED) /* one that was continued may not have come out of its call yet */
                        thread_signal_post(t);
}

void signal_stop_join(struct thread *self)
{
        struct process *p = self->proc;
        struct sighand *sh = signal_lock(p);
        bool stopped = false;

        if (p->stopping && self->stop_seq != p->stop_seq) {
                self->stop_seq = p->stop_seq;
                self->run = THREAD_STOPPED;
                p->nstopped++;
                stopped = stop_complete(p);
        }
        signal_unlock(sh);
        if (stopped)
                signal_notify_parent(p, CLD_STOPPED, p->stop_signal);
}

#define STOP_PIECE 8 /* threads: a record, and a signal of its own that is discarded */

bool signal_stop_piece(struct process *p)
{
        struct sighand *sh;
        unsigned n = 0;

        proctree_lock();
        sh = signal_lock(p);
        if (!p->stopping) {
                sigpending_discard(&p->pending, sigbit(SIGCONT));
                p->child_notice = 0; /* what the parent is told now stands for it */
                signal_stop_begin(p->leader, SIGSTOP);
        }
        signal_unlock(sh);
        for (struct thread *t = p->threads; t; t = t->next) {
                if (t->run > THREAD_STOPPED || t->stop_seq == p->stop_seq || thread_is_doomed(t))
                        continue;
                if (n++ == STOP_PIECE)
                        return true;
                sh = signal_lock(p);
                sigpending_discard(&t->pending, sigbit(SIGCONT));
                signal_unlock(sh);
                signal_stop_join(t);
        }
        return false;
}
