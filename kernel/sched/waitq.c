/*
 * waitq.c - the hashed sleep queues: who waits for which word. Volatile: recovery fills them from the wait records.
 * A bucket's lock may be held while a thread is made ready (run-queue lock inside). Callbacks (epoll) run after the lock is dropped: what they
 * reach cannot vanish, as the waker is in a section.
 */
#include "kernel/include/sched.h"
#include "kernel/include/mem.h"
#include "kernel/include/log.h"

#define QUEUES 2048u

static struct waitq {
        struct spinlock lock;
        struct waiter *head, *tail;
} table[QUEUES];

static struct waitq *queue_of(const void *key)
{
        return &table[((uint64_t)key * 0x9e3779b97f4a7c15ul) >> 53];
}

static void link(struct waitq *q, struct waiter *w)
{
        w->next = (struct waiter *)q; /* end mark, so that next != NULL says "queued" */
        w->prev = q->tail;
        if (q->tail)
                q->tail->next = w;
        else
                q->head = w;
        q->tail = w;
}

static struct waiter *following(struct waitq *q, struct waiter *w)
{
        return w->next == (struct waiter *)q ? NULL : w->next;
}

static void unlink(struct waitq *q, struct waiter *w)
{
        struct waiter *next = following(q, w);

        if (next)
                next->prev = w->prev;
        else
                q->tail = w->prev;
        if (w->prev)
                w->prev->next = w->next;
        else
                q->head = next;
        w->next = w->prev = NULL;
}

void waiter_add(struct waiter *w, const void *key)
{
        struct waitq *q = queue_of(key);
        uint64_t f = spin_lock(&q->lock);

        w->key = key;
        link(q, w);
        spin_unlock(&q->lock, f);
}

void waiter_remove(struct waiter *w)
{
        while (READ_ONCE(w->next)) {
                const void *key = READ_ONCE(w->key);
                struct waitq *q = queue_of(key);
                uint64_t f = spin_lock(&q->lock);
                bool same = w->next && w->key == key; /* it may have moved or been taken off meanwhile */

                if (same)
                        unlink(q, w);
                spin_unlock(&q->lock, f);
                if (same)
                        return;
        }
}

struct waiter *sched_waiter(struct sched_thread *st)
{
        if (st->nwaiters == st->waiter_cap) {
                uint32_t cap = st->waiter_cap * 4;
                struct waiter *more = kmalloc(cap * sizeof(*more));

                if (!more)
                        return NULL;
                /* Entries that are queued cannot move: queue them anew in the new array. */
                for (uint32_t i = 0; i < st->nwaiters; i++) {
                        const void *key = st->waiters[i].next ? st->waiters[i].key : NULL;

                        waiter_remove(&st->waiters[i]);
                        more[i] = (struct waiter){.thread = st};
                        if (key)
                                waiter_add(&more[i], key);
                }
                if (st->waiters != st->first)
                        kfree(st->waiters);
                st->waiters = more;
                st->waiter_cap = cap;
        }
        struct waiter *w = &st->waiters[st->nwaiters++];

        *w = (struct waiter){.thread = st};
        return w;
}

void sched_waiters_clear(struct sched_thread *st)
{
        for (uint32_t i = 0; i < st->nwaiters; i++)
                waiter_remove(&st->waiters[i]);
        st->nwaiters = 0;
}

unsigned sched_wake(const void *key, unsigned max)
{
        enum { BATCH = 16 };
        struct waitq *q = queue_of(key);
        struct waiter *calls[BATCH];
        unsigned woken = 0, ncalls;

        if (!READ_ONCE(q->head))
                return 0;
        ncalls = 0;
        uint64_t f = spin_lock(&q->lock);

        for (struct waiter *w = q->head, *next; w; w = next) {
                next = following(q, w);
                if (w->key != key)
                        continue;
                if (!w->thread) {
                        if (ncalls < BATCH)
                                calls[ncalls++] = w;
                        else
                                w->notify(w);
                        continue;
                }
                if (woken == max)
                        continue;
                unlink(q, w);
                woken++;
                sched_post(w->thread, SCHED_WOKEN);
        }
        spin_unlock(&q->lock, f);
        for (unsigned i = 0; i < ncalls; i++)
                calls[i]->notify(calls[i]);
        return woken;
}

/* fn is asked about each entry on key; q is locked, and so is to (which may be q, or NULL when nothing moves). */
static void each(struct waitq *q, const void *key, struct waitq *to, const void *to_key,
                 enum waiter_verdict (*fn)(struct waiter *w, void *arg), void *arg)
{
        struct waiter *last = q->tail;

        for (struct waiter *w = q->head, *next; w; w = next) {
                enum waiter_verdict v = WAITER_KEEP;
                bool end = w == last; /* what moves behind the tail of the same bucket is not asked again */

                next = following(q, w);
                if (w->key == key && w->thread)
                        v = fn(w, arg);
                if (v == WAITER_REMOVE || v == WAITER_REMOVE_STOP || v == WAITER_MOVE)
                        unlink(q, w);
                if (v == WAITER_MOVE) {
                        w->key = to_key;
                        link(to, w);
                }
                if (v == WAITER_STOP || v == WAITER_REMOVE_STOP || end)
                        return;
        }
}

void waiter_each(const void *key, enum waiter_verdict (*fn)(struct waiter *w, void *arg), void *arg)
{
        struct waitq *q = queue_of(key);

        if (!READ_ONCE(q->head))
                return;
        uint64_t f = spin_lock(&q->lock);

        each(q, key, NULL, NULL, fn, arg);
        spin_unlock(&q->lock, f);
}

void waiter_each_move(const void *from, const void *to, enum waiter_verdict (*fn)(struct waiter *w, void *arg),
                      void *arg)
{
        struct waitq *q = queue_of(from), *r = queue_of(to);
        struct waitq *first = q < r ? q : r, *second = q < r ? r : q;
        uint64_t f = spin_lock(&first->lock), g = 0;

        if (first != second)
                g = spin_lock(&second->lock);
        each(q, from, r, to, fn, arg);
        if (first != second)
                spin_unlock(&second->lock, g);
        spin_unlock(&first->lock, f);
}

void waiter_reorder(struct waiter *w, bool (*before)(const struct waiter *queued, const void *arg), const void *arg)
{
        struct waitq *q = queue_of(w->key);
        uint64_t f = spin_lock(&q->lock);

        if (w->next) {
                struct waiter *at;

                unlink(q, w);
                at = q->head;
                while (at && !before(at, arg))
                        at = following(q, at);
                if (at) {
                        w->next = at;
                        w->prev = at->prev;
                        if (at->prev)
                                at->prev->next = w;
                        else
                                q->head = w;
                        at->prev = w;
                } else {
                        link(q, w);
                }
        }
        spin_unlock(&q->lock, f);
}
