/*
 * pi.c - words that are owned: FUTEX_LOCK_PI and what belongs to it. The word holds the owner's tid; who finds it taken sets FUTEX_WAITERS and sleeps on the word's
 * PI key. The owner's unlock makes the next in line the owner, in the word and by the grant, before anybody else can take it.
 * Next in line: highest real-time priority, then nicest last, then who came first. The owner runs at the best priority of those who wait for it while
 * they do (one step, not along chains): without that, a thread in between could keep both from running.
 * Lock: LOCK_FUTEX of the PI key, over the look at the word, the change of it, sleep, hand-over, and giving up.
 */
#include "posix/futex/futex_internal.h"
#include "kernel/include/sched.h"

enum { STAGE_DECODE, STAGE_RUN, STAGE_SLEEP };

/* Better: smaller. */
static int rank_of(const struct thread *t)
{
        return t->rt_priority ? -(int)t->rt_priority : t->nice_plus20;
}

static void set_boost(struct thread *t, int rank)
{
        struct sched_thread *st = sched_of(t->slot);

        if (!st)
                return;
        if (rank < 0)
                sched_set_nice(st, t->nice_plus20 - 20, t->policy & 0x7f ? t->policy & 0x7f : 1, -rank);
        else
                sched_set_nice(st, rank - 20, t->policy & 0x7f, 0);
}

static void boost(struct thread *owner, const struct thread *waiter)
{
        struct sched_thread *st = sched_of(owner->slot);
        int now = !st ? 0 : st->rt_priority ? -(int)st->rt_priority : st->nice + 20;

        if (st && rank_of(waiter) < now)
                set_boost(owner, rank_of(waiter));
}

static void unboost(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        if (st && (st->rt_priority != t->rt_priority || st->nice != t->nice_plus20 - 20))
                set_boost(t, rank_of(t));
}

struct line {
        struct thread *first;
        unsigned n;
};

static bool look_at(struct thread *t, void *arg)
{
        struct line *l = arg;

        if (!l->first || rank_of(t) < rank_of(l->first))
                l->first = t;
        l->n++;
        return true;
}

long futex_pi_hand_over(struct call *c, struct mm *m, uint64_t va, const void *key, uint32_t uval, bool died)
{
        struct line l = {0};
        uint32_t new, seen;

        (void)m;
        grant_each(key, look_at, &l);
        new = l.first ? (uint32_t)l.first->tid | (l.n > 1 ? FUTEX_WAITERS : 0) : 0;
        if (died)
                new |= FUTEX_OWNER_DIED;
        if (user_cmpxchg32(va, uval, new, &seen) < 0)
                return user_fault(c);
        if (seen != uval)
                return CALL_AGAIN;
        if (l.first) {
                changes(c);
                l.first->pi_owned++;
                grant_thread(l.first, 0);
        }
        return 0;
}

static long give_up(struct call *c, struct futex_state *s)
{
        long r;

        lock(LOCK_FUTEX, s->key); /* nobody is choosing us meanwhile */
        r = futex_sleep_end(c, s);
        if (r == -ERESTARTSYS)
                r = -ERESTARTNOINTR;
        return r;
}

long futex_lock_pi(struct call *c, struct futex_state *s, bool try)
{
        struct thread *self = c->thread, *owner;
        uint32_t tid = (uint32_t)self->tid, now, seen;

        if (c->stage == STAGE_SLEEP)
                return give_up(c, s);
        s->key = futex_key(self->proc->mm, s->uaddr, s->private, true);
        lock(LOCK_FUTEX, s->key);
        if (user_read32(s->uaddr, &now) < 0)
                return user_fault(c);
        for (;;) {
                if ((now & FUTEX_TID_MASK) == tid)
                        return -EDEADLK;
                if (!(now & FUTEX_TID_MASK)) {
                        struct line l = {0};

                        grant_each(s->key, look_at, &l);
                        if (user_cmpxchg32(s->uaddr, now, tid | (now & FUTEX_OWNER_DIED) | (l.n ? FUTEX_WAITERS : 0),
                                           &seen) < 0)
                                return user_fault(c);
                        if (seen == now)
                                return 0;
                        now = seen;
                        continue;
                }
                if (try)
                        return -EAGAIN;
                owner = thread_find((int)(now & FUTEX_TID_MASK));
                if (!owner || owner->run >= THREAD_EXITING)
                        return -ESRCH;
                if (now & FUTEX_WAITERS)
                        break;
                if (user_cmpxchg32(s->uaddr, now, now | FUTEX_WAITERS, &seen) < 0)
                        return user_fault(c);
                if (seen == now)
                        break;
                now = seen;
        }
        changes(c);
        owner->pi_owned++;
        boost(owner, self);
        c->stage = STAGE_SLEEP;
        return call_wait_grant(c, s->key, ~0ul, INTERRUPTIBLE, futex_deadline(s));
}

long futex_unlock_pi(struct call *c, struct futex_state *s)
{
        struct thread *self = c->thread;
        uint32_t now;
        long r;

        s->key = futex_key(self->proc->mm, s->uaddr, s->private, true);
        lock(LOCK_FUTEX, s->key);
        do {
                if (user_read32(s->uaddr, &now) < 0)
                        return user_fault(c);
                if ((now & FUTEX_TID_MASK) != (uint32_t)self->tid)
                        return -EPERM;
                r = futex_pi_hand_over(c, self->proc->mm, s->uaddr, s->key, now, false);
        } while (r == CALL_AGAIN);
        if (r)
                return r;
        unboost(self);
        return 0;
}
