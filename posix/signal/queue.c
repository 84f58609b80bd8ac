/*
 * queue.c - sets of pending signals with their queued siginfos, and tables of actions. Everything under LOCK_SIGNAL, after the change unless said otherwise.
 * A standard signal is pending at most once; real-time signals as often as they were sent, up to RLIMIT_SIGPENDING of the sender's user. A
 * signal whose siginfo found no place is pending all the same, with si_code SI_USER.
 * Mostly one standard signal is pending at a time: its siginfo stands in the set itself (slot_signo is not 0), allocates nothing and counts for nobody.
 */
#include "posix/signal/signal_internal.h"

static const struct space_field sigqueue_fields[] = {{offsetof(struct sigqueue, next), FIELD_OWN, 1},
                                                     {offsetof(struct sigqueue, user), FIELD_REF, 1},
                                                     {offsetof(struct sigqueue, timer), FIELD_BORROW, 1},
                                                     {0, 0, 0}};
static const struct space_field sigbulk_fields[] = {
        {offsetof(struct sigbulk, next), FIELD_OWN, 1}, {offsetof(struct sigbulk, pgrp), FIELD_REF, 1}, {0, 0, 0}};
static const struct space_field sighand_fields[] = {{offsetof(struct sighand, obj.next_dying), FIELD_BORROW, 1},
                                                    {offsetof(struct sighand, high), FIELD_OWN, 1},
                                                    {0, 0, 0}};

static bool sighand_release(void *object)
{
        struct sighand *sh = object;

        space_free_bytes(sh->high);
        space_free(sh);
        return false;
}

static void sighand_release_touch(void *object)
{
        sighand_touch(object);
}

const struct posix_type signal_types[] = {
        {TYPE_SIGQUEUE, {"sigqueue", sizeof(struct sigqueue), 1, SPACE_RESIDENT, sigqueue_fields}, NULL, NULL},
        {TYPE_SIGHAND,
         {"sighand", sizeof(struct sighand), 1, SPACE_RESIDENT | SPACE_OBJECT, sighand_fields},
         sighand_release,
         sighand_release_touch},
        {TYPE_SIGBULK, {"sigbulk", sizeof(struct sigbulk), 1, SPACE_RESIDENT, sigbulk_fields}, NULL, NULL},
        {.type = 0},
};

/* ---- actions ---- */

struct sighand *signal_lock(struct process *p)
{
        for (;;) {
                struct sighand *sh = READ_ONCE(p->sighand);

                lock(LOCK_SIGNAL, sh);
                if (likely(READ_ONCE(p->sighand) == sh))
                        return sh;
                unlock(LOCK_SIGNAL, sh);
        }
}

void signal_unlock(struct sighand *sh)
{
        unlock(LOCK_SIGNAL, sh);
}

void sighand_touch(const struct sighand *sh)
{
        if (sh->high)
                (void)READ_ONCE(sh->high[0].handler);
}

struct sigaction64 *action_slot(struct sighand *sh, int signo, bool make)
{
        if (signo <= 32)
                return &sh->low[signo - 1];
        if (!sh->high && make)
                sh->high = space_alloc_bytes(32 * sizeof(struct sigaction64));
        return sh->high ? &sh->high[signo - 33] : NULL;
}

struct sigaction64 signal_action(const struct sighand *sh, int signo)
{
        const struct sigaction64 *a = signo <= 32 ? &sh->low[signo - 1] : sh->high ? &sh->high[signo - 33] : NULL;

        return a ? *a : (struct sigaction64){0};
}

struct sighand *sighand_new(void)
{
        return object_new(TYPE_SIGHAND);
}

struct sighand *sighand_copy(const struct sighand *from)
{
        struct sighand *sh = sighand_new();
        sigset64 set = from->ignored | from->caught;

        sh->ignored = from->ignored;
        sh->caught = from->caught;
        sh->low[SIGCHLD - 1] = from->low[SIGCHLD - 1]; /* SA_NOCLDWAIT counts with SIG_DFL too */
        for (sigset64 s = set; s; s &= s - 1) {
                int signo = __builtin_ctzl(s) + 1;

                *action_slot(sh, signo, true) = signal_action(from, signo);
        }
        return sh;
}

void sighand_reset_caught(struct sighand *sh)
{
        for (sigset64 s = sh->caught; s; s &= s - 1)
                *action_slot(sh, __builtin_ctzl(s) + 1, true) = (struct sigaction64){0};
        sh->caught = 0;
        sh->low[SIGCHLD - 1].flags = 0;
}

/* ---- pending sets ---- */

int signal_next(sigset64 set)
{
        sigset64 first = set & SIGNALS_FAULT;

        if (!set)
                return 0;
        return __builtin_ctzl(first ? first : set) + 1;
}

static void info_pack(uint64_t to[6], const siginfo_t *info)
{
        __builtin_memcpy(to, info, 48);
}

static void info_unpack(siginfo_t *info, const uint64_t from[6])
{
        __builtin_memset(info, 0, sizeof(*info));
        __builtin_memcpy(info, from, 48);
}

bool sigqueue_add(struct sigpending *p, int signo, const siginfo_t *info, bool force, struct ptimer *timer)
{
        struct thread *self = thread_current();
        struct user *u;
        struct sigqueue *q;

        if (signo < SIGRTMIN && !p->slot_signo && !timer) {
                p->slot_signo = signo;
                info_pack(p->slot_info, info);
                return true;
        }
        u = self ? self->cred->user : NULL;
        if (u && !force && READ_ONCE(u->nsignals) >= rlimit_of(self->proc, RLIMIT_SIGPENDING))
                return false;
        q = space_alloc(TYPE_SIGQUEUE);
        if (u) {
                __atomic_fetch_add(&u->nsignals, 1, __ATOMIC_RELAXED);
                object_get(u);
                q->user = u;
        }
        q->timer = timer;
        info_pack(q->info, info);
        ((siginfo_t *)q->info)->si_signo = signo;
        if (p->tail)
                p->tail->next = q;
        else
                p->head = q;
        p->tail = q;
        p->count++;
        return true;
}

void sigqueue_free(struct sigqueue *q)
{
        if (q->user) {
                __atomic_fetch_sub(&q->user->nsignals, 1, __ATOMIC_RELAXED);
                object_put(q->user);
        }
        space_free(q);
}

static void unlink_after(struct sigpending *p, struct sigqueue *prev, struct sigqueue *q)
{
        if (prev)
                prev->next = q->next;
        else
                p->head = q->next;
        if (p->tail == q)
                p->tail = prev;
        p->count--;
        q->next = NULL;
}

static int signo_of(const struct sigqueue *q)
{
        return ((const siginfo_t *)q->info)->si_signo;
}

bool sigpending_peek(const struct sigpending *p, int signo, siginfo_t *info)
{
        if (p->slot_signo == signo) {
                info_unpack(info, p->slot_info);
                info->si_signo = signo;
                return true;
        }
        for (const struct sigqueue *q = p->head; q; q = q->next)
                if (signo_of(q) == signo) {
                        info_unpack(info, q->info);
                        if (q->timer)
                                info->si_overrun = ptimer_overrun(q->timer);
                        return true;
                }
        __builtin_memset(info, 0, sizeof(*info));
        info->si_signo = signo;
        return false;
}

struct sigqueue *sigqueue_take(struct sigpending *p, int signo, siginfo_t *info)
{
        struct sigqueue *found = NULL, *prev = NULL;
        bool more = false;

        if (p->slot_signo == signo) {
                p->slot_signo = 0;
                p->set &= ~sigbit(signo);
                if (info) {
                        info_unpack(info, p->slot_info);
                        info->si_signo = signo;
                }
                return NULL;
        }
        for (struct sigqueue *q = p->head, *before = NULL; q; before = q, q = q->next)
                if (signo_of(q) == signo) {
                        if (found) {
                                more = true;
                                break;
                        }
                        found = q;
                        prev = before;
                }
        if (!more)
                p->set &= ~sigbit(signo);
        if (info) {
                __builtin_memset(info, 0, sizeof(*info));
                info->si_signo = signo;
        }
        if (!found)
                return NULL;
        unlink_after(p, prev, found);
        if (found->timer)
                ptimer_taken(found->timer);
        if (info) {
                info_unpack(info, found->info);
                if (found->timer)
                        info->si_overrun = found->timer->last_overrun;
        }
        return found;
}

void sigpending_discard(struct sigpending *p, sigset64 set)
{
        struct sigqueue *prev = NULL;

        if (!(p->set & set))
                return;
        p->set &= ~set;
        if (p->slot_signo && sigbit(p->slot_signo) & set)
                p->slot_signo = 0;
        for (struct sigqueue *q = p->head, *next; q; q = next) {
                next = q->next;
                if (sigbit(signo_of(q)) & set) {
                        unlink_after(p, prev, q);
                        if (q->timer)
                                q->timer->signalled = 0;
                        sigqueue_free(q);
                } else {
                        prev = q;
                }
        }
}

/* At most 32 a call: the owner's release is called again while there are more. */
void sigpending_flush(struct sigpending *p)
{
        for (unsigned n = 0; p->head && n < 32; n++) {
                struct sigqueue *q = p->head;

                unlink_after(p, NULL, q);
                sigqueue_free(q);
        }
        p->set = 0;
}

/* A signal outlives the timer that sent it. */
static void forget(struct sigpending *p, const struct ptimer *timer)
{
        for (struct sigqueue *q = p->head; q; q = q->next)
                if (q->timer == timer)
                        q->timer = NULL;
}

void signal_forget_timer(struct process *p, struct ptimer *timer)
{
        struct sighand *sh;

        if (!timer->signalled)
                return;
        sh = signal_lock(p);
        forget(&p->pending, timer);
        for (struct thread *t = p->threads; t; t = t->next)
                forget(&t->pending, timer);
        timer->signalled = 0;
        signal_unlock(sh);
}
