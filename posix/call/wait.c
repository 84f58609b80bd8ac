/*
 * wait.c - going to sleep and being woken (calls.md, "Two kinds of wait").
 * The truth of a sleep is the thread's wait record; the queue entry is volatile and can be made from it. A CONDITION sleeper is woken to look again. A GRANT sleeper stays
 * queued until a waker has written `granted` into its record, or until it takes itself off under the queue's lock: whoever comes first wins (call_ungrant).
 * Chaos: with a probability, a block is followed at once by what a reboot would do: the thread's volatile half is emptied and made anew from the record, and the
 * thread is dispatched.
 */
#include "posix/call/call_internal.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/rng.h"

static uint64_t next_ticket = 1; /* [V] order of GRANT sleepers; recovery sets it past the highest in the records */

bool chaos_strikes(void)
{
        uint16_t r;

        if (!chaos_per_mille)
                return false;
        rng_bytes(&r, sizeof(r));
        return r % 1000 < chaos_per_mille;
}

/* Ticket order among the GRANT sleepers of a key. */
static bool after(const struct waiter *queued, const void *arg)
{
        const struct thread *t = arg;

        return queued->thread && queued->key == t->wait.key && queued->thread->owner->wait.ticket > t->wait.ticket;
}

/* The thread goes on as after a reboot: queue place from the record's ticket, dispatch from the record. */
static void rebuild(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        if (t->wait.kind == GRANT)
                waiter_reorder(&st->waiters[st->nwaiters - 1], after, t);
        sched_post(st, SCHED_WOKEN);
}

static bool queue_again(struct thread *t)
{
        struct waiter *q = sched_waiter(sched_of(t->slot));

        if (!q)
                return false;
        waiter_add(q, t->wait.key);
        waiter_reorder(q, after, t);
        if (t->wait.ticket >= next_ticket)
                next_ticket = t->wait.ticket + 1;
        return true;
}

/*
 * A CONDITION sleeper may have been woken and not have looked yet, which only its queue place told: it looks again. A GRANT sleeper sleeps on in its place until it is
 * given what it waits for; what was given is in the record. Whether a signal or a deadline ends the sleep comes afterwards. One that was stopped in the middle of its call
 * (stop.c) keeps its place, too, and looks at what it was given when it is continued.
 */
bool wait_restore(struct thread *t, bool stopped)
{
        struct sched_thread *st = sched_of(t->slot);
        struct wait_record *w = &t->wait;
        bool waits = t->in_call && w->active && w->kind == GRANT && !w->granted;

        if (waits && !queue_again(t))
                return false;
        if (stopped) {
                sched_restore(st, SCHED_STOPPED, false, true);
                return true;
        }
        if (!waits) {
                sched_ready(st);
                return true;
        }
        sched_restore(st, SCHED_WAITING, w->interrupt == INTERRUPTIBLE, w->interrupt != UNINTERRUPTIBLE);
        if (w->deadline)
                sched_set_deadline(st, w->deadline);
        return true;
}

void wait_forget(void)
{
        next_ticket = 1;
}

static long sleep(struct call *c, enum wait_kind kind, const void *key, uint64_t bits, enum interrupt i,
                  uint64_t deadline_ns)
{
        struct thread *t = c->thread;
        struct sched_thread *st = sched_of(t->slot);
        struct wait_record *w = &t->wait;

        call_save(c);
        w->key = key;
        w->deadline = deadline_ns;
        w->ticket = kind == GRANT ? __atomic_fetch_add(&next_ticket, 1, __ATOMIC_RELAXED) : 0;
        w->bits = bits;
        w->granted = 0;
        w->kind = (uint8_t)kind;
        w->interrupt = (uint8_t)i;
        w->active = 1;
        thread_save_regs(t);
        t->nvcsw++;
        if (key) {
                struct waiter *q = sched_waiter(st);

                if (q)
                        waiter_add(q, key);
                else
                        sched_post(st, SCHED_WOKEN); /* no memory for an entry: look again rather than sleep unseen */
        }
        return call_sleep(c, i, deadline_ns);
}

#define NAP_NS 50000u

/* The step RUNNING -> WAITING, everything else being in place. Who comes with a deadline that is past was told to look again. */
long call_sleep(struct call *c, enum interrupt i, uint64_t deadline_ns)
{
        struct thread *t = c->thread;
        struct sched_thread *st = sched_of(t->slot);

        if (deadline_ns) {
                uint64_t now = time_mono_ns();

                sched_set_deadline(st, deadline_ns > now ? deadline_ns : now + NAP_NS);
        }
        if (!sched_sleep(st, SCHED_WAITING, i == INTERRUPTIBLE, i != UNINTERRUPTIBLE)) {
                sched_set_deadline(st, 0);
                if (t->wait.kind != GRANT)
                        sched_waiters_clear(st);
                c->why = call_why(c);
                return CALL_RETRY;
        }
        if (chaos_strikes())
                rebuild(t);
        return CALL_WAIT;
}

long call_wait(struct call *c, enum wait_kind kind, const void *key, enum interrupt i, uint64_t deadline_ns)
{
        return sleep(c, kind, key, ~0ul, i, deadline_ns);
}

long call_wait_grant(struct call *c, const void *key, uint64_t bits, enum interrupt i, uint64_t deadline_ns)
{
        return sleep(c, GRANT, key, bits, i, deadline_ns);
}

int poll_key(struct call *c, const void *key)
{
        struct waiter *w = sched_waiter(sched_of(c->thread->slot));

        if (!w)
                return -ENOMEM;
        waiter_add(w, key);
        return 0;
}

long call_wait_poll(struct call *c, enum interrupt i, uint64_t deadline_ns)
{
        return sleep(c, CONDITION, NULL, 0, i, deadline_ns);
}

/* The commit may come between the look and the sleep, and its waker holds none of our locks: so like poll, the key first, then the look. */
long call_wait_commit(struct call *c, uint64_t epoch)
{
        int error;

        if (likely(snapshot_is_durable(epoch)))
                return 0;
        error = snapshot_error();
        if (error)
                return error;
        if (c->why == WHY_KILL)
                return -EINTR;
        if (poll_key(c, snapshot_key()))
                return -ENOMEM;
        snapshot_request();
        if (snapshot_is_durable(epoch))
                return 0;
        error = snapshot_error();
        return error ? error : call_wait_poll(c, KILLABLE, NO_DEADLINE);
}

long call_interrupted(struct call *c)
{
        if (c->io.done)
                return (long)c->io.done;
        if (c->why == WHY_DEADLINE)
                return -EAGAIN;
        return -(long)c->entry->restart;
}

void wake(const void *key)
{
        sched_wake(key, ~0u);
}

unsigned wake_some(const void *key, unsigned max)
{
        return sched_wake(key, max);
}

/* Grants. All of the following run under the lock of the queue the record's key hashes to. */

static void give(struct thread *t, long result)
{
        t->wait.result = result;
        t->wait.granted = 1;
}

struct grant_args {
        unsigned max, given;
        uint64_t mask;
        long result;
};

static enum waiter_verdict grant_one(struct waiter *w, void *arg)
{
        struct grant_args *a = arg;
        struct thread *t = w->thread->owner;

        if (a->given == a->max)
                return WAITER_STOP;
        if (!t->wait.active || t->wait.kind != GRANT || t->wait.granted || !(t->wait.bits & a->mask))
                return WAITER_KEEP;
        give(t, a->result);
        a->given++;
        sched_post(w->thread, SCHED_WOKEN);
        return a->given == a->max ? WAITER_REMOVE_STOP : WAITER_REMOVE;
}

unsigned grant(const void *key, unsigned max, uint64_t mask, long result)
{
        struct grant_args a = {.max = max, .mask = mask, .result = result};

        if (max)
                waiter_each(key, grant_one, &a);
        return a.given;
}

struct requeue_args {
        const void *to;
        unsigned max, moved;
};

static enum waiter_verdict requeue_one(struct waiter *w, void *arg)
{
        struct requeue_args *a = arg;
        struct thread *t = w->thread->owner;

        if (a->moved == a->max)
                return WAITER_STOP;
        if (!t->wait.active || t->wait.kind != GRANT || t->wait.granted)
                return WAITER_KEEP;
        t->wait.key = a->to;
        t->wait.ticket = __atomic_fetch_add(&next_ticket, 1, __ATOMIC_RELAXED);
        a->moved++;
        return WAITER_MOVE;
}

unsigned grant_requeue(const void *from, const void *to, unsigned max)
{
        struct requeue_args a = {.to = to, .max = max};

        if (from != to)
                waiter_each_move(from, to, requeue_one, &a);
        return a.moved;
}

struct grant_thread_args {
        struct thread *t;
        long result;
};

static enum waiter_verdict grant_if_this(struct waiter *w, void *arg)
{
        struct grant_thread_args *a = arg;

        if (w->thread->owner != a->t)
                return WAITER_KEEP;
        if (a->t->wait.granted)
                return WAITER_STOP;
        give(a->t, a->result);
        sched_post(w->thread, SCHED_WOKEN);
        return WAITER_REMOVE_STOP;
}

void grant_thread(struct thread *t, long result)
{
        struct grant_thread_args a = {t, result};

        if (t->wait.active && t->wait.kind == GRANT)
                waiter_each(t->wait.key, grant_if_this, &a);
}

struct each_args {
        bool (*fn)(struct thread *t, void *arg);
        void *arg;
};

static enum waiter_verdict each_one(struct waiter *w, void *arg)
{
        struct each_args *a = arg;
        struct thread *t = w->thread->owner;
        bool go_on;

        if (!t->wait.active || t->wait.kind != GRANT || t->wait.granted)
                return WAITER_KEEP;
        go_on = a->fn(t, a->arg);
        if (t->wait.granted) {
                sched_post(w->thread, SCHED_WOKEN);
                return go_on ? WAITER_REMOVE : WAITER_REMOVE_STOP;
        }
        return go_on ? WAITER_KEEP : WAITER_STOP;
}

void grant_each(const void *key, bool (*fn)(struct thread *t, void *arg), void *arg)
{
        struct each_args a = {fn, arg};

        waiter_each(key, each_one, &a);
}

void grant_now(struct thread *t, long result)
{
        give(t, result);
}

bool call_granted(struct call *c, long *result)
{
        struct wait_record *w = &c->thread->wait;

        if (!w->active || !__atomic_load_n(&w->granted, __ATOMIC_ACQUIRE))
                return false;
        *result = w->result;
        return true;
}

struct ungrant_args {
        struct thread *t;
        bool removed;
};

static enum waiter_verdict remove_this(struct waiter *w, void *arg)
{
        struct ungrant_args *a = arg;

        if (w->thread->owner != a->t)
                return WAITER_KEEP;
        a->removed = true;
        return WAITER_REMOVE_STOP;
}

bool call_ungrant(struct call *c, long *result)
{
        struct thread *t = c->thread;
        struct ungrant_args a = {.t = t};

        /* The key may move (requeue) until the entry is off; granted means it is off. */
        while (!a.removed && !__atomic_load_n(&t->wait.granted, __ATOMIC_ACQUIRE)) {
                waiter_each(READ_ONCE(t->wait.key), remove_this, &a);
                if (!a.removed && sched_of(t->slot)->nwaiters == 0)
                        break;
        }
        if (call_granted(c, result))
                return true;
        section_changes();
        t->wait.active = 0;
        sched_waiters_clear(sched_of(t->slot));
        return false;
}

/* Still queued: sleep on, storing nothing. */
long call_wait_more(struct call *c)
{
        return call_sleep(c, c->thread->wait.interrupt, c->thread->wait.deadline);
}
