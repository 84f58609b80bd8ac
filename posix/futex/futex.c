/*
 * futex.c - fast user-space mutexes: the kernel's part is queues named by a word of user memory.
 * A sleeper waits with GRANT: the waker takes it off and writes the result into its record, so a wake-up is given exactly once, over signals and reboots alike.
 *
 * Key: a private word is (address space, address), a shared one (inode, offset): never a page. It is one machine word here, as sleep queues want:
 *      00 slot:15 address:47      private; exact
 *      10 hash                    shared: 61 bits of a mix of inode and offset. Two words that share a hash share a queue: a wake could go to the wrong one;
 *                                 with a million sleepers the chance is below 1 in a million.
 *      01, 110                    the same two for those who wait to own a PI word: other wakes do not see them
 * LOCK_FUTEX of the key is held from the look at the word to the sleep, and by wakers over look and wake.
 * What touches many sleepers goes in pieces: each has its record on a page of its own.
 */
#include "posix/futex/futex_internal.h"
#include "posix/include/deadline.h"
#include "posix/include/timespec.h"
#include <asm/unistd.h>

#define PIECE 24u

enum { STAGE_DECODE, STAGE_RUN, STAGE_SLEEP };

static uint64_t mix(uint64_t x)
{
        x ^= x >> 32;
        x *= 0xd6e8feb86659fd93ul;
        x ^= x >> 32;
        x *= 0xd6e8feb86659fd93ul;
        return x ^ x >> 32;
}

const void *futex_key(struct mm *m, uint64_t va, bool private, bool pi)
{
        uint64_t parts[2] = {(uint64_t)m, va}, key;

        if (!private)
                mm_futex_key(m, va, parts);
        if (parts[0] == (uint64_t)m)
                key = (uint64_t)m->slot << 47 | va | (pi ? 1ul << 62 : 0);
        else
                key = (mix(parts[0] * 0x9e3779b97f4a7c15ul + mix(parts[1])) >> 3) | 1ul << 63 | (pi ? 1ul << 62 : 0);
        return (const void *)key;
}

static bool bad_address(uint64_t va)
{
        return va >= USER_TOP;
}

/* ---- sleeping ---- */

uint64_t futex_deadline(const struct futex_state *s)
{
        if (!s->timed)
                return NO_DEADLINE;
        return s->real ? time_real_to_mono(s->deadline) : s->deadline;
}

static long keep_for_restart(struct call *c, const struct futex_state *s)
{
        struct thread *t = c->thread;

        t->restart.nr = __NR_futex;
        t->restart.deadline = s->deadline;
        t->restart.arg[0] = s->uaddr;
        t->restart.arg[1] = s->val;
        t->restart.arg[2] = s->val3;
        t->restart.arg[3] = (uint64_t)s->real << 1 | s->private;
        return -ERESTART_RESTARTBLOCK;
}

long futex_sleep_end(struct call *c, const struct futex_state *s)
{
        long r;

        if (call_granted(c, &r))
                return r;
        if (c->why == WHY_RUN)
                return call_wait_more(c);
        if (c->why == WHY_DEADLINE && s->real && time_real_ns() < s->deadline) {
                changes(c); /* the wall clock was set back meanwhile */
                c->thread->wait.deadline = futex_deadline(s);
                return call_wait_more(c);
        }
        if (call_ungrant(c, &r))
                return r;
        if (c->why == WHY_DEADLINE)
                return -ETIMEDOUT;
        return s->timed && (s->op == FUTEX_WAIT || s->op == FUTEX_WAIT_BITSET) ? keep_for_restart(c, s) : -ERESTARTSYS;
}

static long futex_wait(struct call *c, struct futex_state *s)
{
        uint32_t now;

        if (c->stage == STAGE_SLEEP)
                return futex_sleep_end(c, s);
        s->key = futex_key(c->thread->proc->mm, s->uaddr, s->private, false);
        lock(LOCK_FUTEX, s->key);
        if (user_read32(s->uaddr, &now) < 0)
                return user_fault(c);
        if (now != s->val)
                return -EAGAIN;
        c->stage = STAGE_SLEEP;
        return call_wait_grant(c, s->key, s->val3, INTERRUPTIBLE, futex_deadline(s));
}

/* A timed wait that a signal without handler interrupted: to the same deadline; the word is looked at again. */
long futex_restart(struct call *c)
{
        struct futex_state *s = call_state(c, struct futex_state);

        if (c->stage == STAGE_DECODE) {
                const struct thread *t = c->thread;

                *s = (struct futex_state){
                        .op = FUTEX_WAIT_BITSET,
                        .timed = true,
                        .deadline = t->restart.deadline,
                        .uaddr = t->restart.arg[0],
                        .val = (uint32_t)t->restart.arg[1],
                        .val3 = (uint32_t)t->restart.arg[2],
                        .private = t->restart.arg[3] & 1,
                        .real = t->restart.arg[3] & 2,
                };
                c->stage = STAGE_RUN;
        }
        return futex_wait(c, s);
}

/* ---- waking ---- */

/* At most n, in one section's piece: how many. LOCK_FUTEX held. */
static unsigned wake_piece(struct call *c, const void *key, uint32_t n, uint64_t mask, unsigned budget)
{
        changes(c);
        return grant(key, MIN(n, budget), mask, 0);
}

static long futex_wake(struct call *c, struct futex_state *s)
{
        unsigned n;

        s->key = futex_key(c->thread->proc->mm, s->uaddr, s->private, false);
        lock(LOCK_FUTEX, s->key);
        n = wake_piece(c, s->key, s->wake, s->val3, PIECE);
        s->done += n;
        s->wake -= n;
        return n == PIECE && s->wake ? CALL_AGAIN : (long)s->done;
}

void futex_wake_word(struct mm *m, uint64_t va, unsigned n)
{
        const void *key;

        if (bad_address(va) || va & 3)
                return;
        key = futex_key(m, va, false, false);
        lock(LOCK_FUTEX, key);
        grant(key, n, ~0ul, 0);
        unlock(LOCK_FUTEX, key);
}

static long futex_requeue(struct call *c, struct futex_state *s, bool compare)
{
        struct mm *m = c->thread->proc->mm;
        unsigned n, budget = PIECE;
        uint32_t now;

        s->key = futex_key(m, s->uaddr, s->private, false);
        s->key2 = futex_key(m, s->uaddr2, s->private, false);
        lock2(LOCK_FUTEX, s->key, s->key2);
        if (compare && !s->cmp_passed) {
                if (user_read32(s->uaddr, &now) < 0)
                        return user_fault(c);
                if (now != s->val3)
                        return -EAGAIN;
                s->cmp_passed = true;
        }
        changes(c);
        n = grant(s->key, MIN(s->wake, budget), ~0ul, 0);
        s->wake -= n;
        s->done += n;
        budget -= n;
        if (s->wake && budget == 0)
                return CALL_AGAIN;
        n = grant_requeue(s->key, s->key2, MIN(s->requeue, budget));
        s->requeue -= n;
        s->done += n;
        s->wake = 0;
        return s->requeue && n == budget ? CALL_AGAIN : (long)s->done;
}

static int32_t sign_extend12(uint32_t v)
{
        return (int32_t)(v << 20) >> 20;
}

/* The encoded operation on the second word: 0 with its old value, -ENOSYS, or what user_fault() says. */
static long apply_op(struct call *c, const struct futex_state *s, uint32_t *old)
{
        unsigned op = s->val3 >> 28 & 7;
        int32_t arg = sign_extend12(s->val3 >> 12 & 0xfff);
        uint32_t now, new, seen;

        *old = 0;
        if (s->val3 >> 28 & FUTEX_OP_OPARG_SHIFT)
                arg = (int32_t)(1u << (arg & 31));
        if (user_read32(s->uaddr2, &now) < 0)
                return user_fault(c);
        for (;;) {
                switch (op) {
                case FUTEX_OP_SET:
                        new = (uint32_t)arg;
                        break;
                case FUTEX_OP_ADD:
                        new = now + (uint32_t)arg;
                        break;
                case FUTEX_OP_OR:
                        new = now | (uint32_t)arg;
                        break;
                case FUTEX_OP_ANDN:
                        new = now & ~(uint32_t)arg;
                        break;
                case FUTEX_OP_XOR:
                        new = now ^ (uint32_t)arg;
                        break;
                default:
                        return -ENOSYS;
                }
                if (user_cmpxchg32(s->uaddr2, now, new, &seen) < 0)
                        return user_fault(c);
                if (seen == now) {
                        *old = now;
                        return 0;
                }
                now = seen;
        }
}

static bool op_compares(uint32_t val3, uint32_t old)
{
        int32_t arg = sign_extend12(val3 & 0xfff), v = (int32_t)old;

        switch (val3 >> 24 & 15) {
        case FUTEX_OP_CMP_EQ:
                return v == arg;
        case FUTEX_OP_CMP_NE:
                return v != arg;
        case FUTEX_OP_CMP_LT:
                return v < arg;
        case FUTEX_OP_CMP_GE:
                return v >= arg;
        case FUTEX_OP_CMP_LE:
                return v <= arg;
        case FUTEX_OP_CMP_GT:
                return v > arg;
        }
        return false;
}

static long futex_wake_op(struct call *c, struct futex_state *s)
{
        struct mm *m = c->thread->proc->mm;
        unsigned n, budget = PIECE;

        s->key = futex_key(m, s->uaddr, s->private, false);
        s->key2 = futex_key(m, s->uaddr2, s->private, false);
        lock2(LOCK_FUTEX, s->key, s->key2);
        if (!s->cmp_passed) {
                uint32_t old = 0;
                long r;

                if ((s->val3 >> 24 & 15) > FUTEX_OP_CMP_GT)
                        return -ENOSYS;
                r = apply_op(c, s, &old);
                if (r)
                        return r;
                changes(c); /* the word has changed: from here on it is only finished */
                s->cmp_passed = true;
                if (!op_compares(s->val3, old))
                        s->requeue = 0;
        }
        n = wake_piece(c, s->key, s->wake, ~0ul, budget);
        s->wake -= n;
        s->done += n;
        budget -= n;
        if (s->wake && budget == 0)
                return CALL_AGAIN;
        s->wake = 0;
        n = wake_piece(c, s->key2, s->requeue, ~0ul, budget);
        s->requeue -= n;
        s->done += n;
        return s->requeue && n == budget ? CALL_AGAIN : (long)s->done;
}

/* ---- the call ---- */

/* A count of 0 or less wakes one, as on Linux. */
static uint32_t count(uint32_t n)
{
        return (int32_t)n <= 0 ? 1 : n;
}

static bool takes_timeout(unsigned op)
{
        return op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || op == FUTEX_LOCK_PI || op == FUTEX_LOCK_PI2 ||
               op == FUTEX_WAIT_REQUEUE_PI;
}

static long decode_timeout(struct call *c, struct futex_state *s)
{
        struct timespec64 ts;

        if (!c->arg[3])
                return 0;
        if (!copy_in(c, &ts, c->arg[3], sizeof(ts)))
                return user_fault(c);
        if (!timespec_valid(&ts))
                return -EINVAL;
        s->timed = true;
        s->deadline = s->op == FUTEX_WAIT ? deadline_after(timespec_ns(&ts)) : MAX(timespec_ns(&ts), 1ul);
        return 0;
}

static long decode(struct call *c, struct futex_state *s)
{
        unsigned op = (unsigned)c->arg[1];
        long r;

        *s = (struct futex_state){
                .uaddr = c->arg[0],
                .op = op & FUTEX_CMD_MASK,
                .val = (uint32_t)c->arg[2],
                .uaddr2 = c->arg[4],
                .val3 = (uint32_t)c->arg[5],
                .private = op & FUTEX_PRIVATE_FLAG,
                .real = op & FUTEX_CLOCK_REALTIME,
        };
        if (s->real && s->op != FUTEX_WAIT_BITSET && s->op != FUTEX_WAIT_REQUEUE_PI && s->op != FUTEX_LOCK_PI2)
                return -ENOSYS;
        if (s->op == FUTEX_LOCK_PI)
                s->real = true;
        if (takes_timeout(s->op)) {
                r = decode_timeout(c, s);
                if (r)
                        return r;
        }
        if (s->uaddr & 3)
                return -EINVAL;
        if (bad_address(s->uaddr))
                return -EFAULT;
        switch (s->op) {
        case FUTEX_REQUEUE:
        case FUTEX_CMP_REQUEUE:
                if ((int32_t)s->val < 0 || (int32_t)c->arg[3] < 0)
                        return -EINVAL;
                /* fallthrough */
        case FUTEX_WAKE_OP:
                if (s->uaddr2 & 3)
                        return -EINVAL;
                if (bad_address(s->uaddr2))
                        return -EFAULT;
                s->wake = s->op == FUTEX_WAKE_OP ? count(s->val) : s->val;
                s->requeue = s->op == FUTEX_WAKE_OP ? count((uint32_t)c->arg[3]) : (uint32_t)c->arg[3];
                break;
        case FUTEX_WAIT:
                s->val3 = FUTEX_BITSET_MATCH_ANY;
                break;
        case FUTEX_WAKE:
                s->val3 = FUTEX_BITSET_MATCH_ANY;
                s->wake = count(s->val);
                break;
        case FUTEX_WAIT_BITSET:
        case FUTEX_WAKE_BITSET:
                if (!s->val3)
                        return -EINVAL;
                s->wake = count(s->val);
                break;
        }
        c->stage = STAGE_RUN;
        return 0;
}

/* The usual wake: a few sleepers on a private word. Nothing of it needs to be kept. -ENOSYS: not so. */
static long wake_quickly(struct call *c)
{
        uint64_t va = c->arg[0];
        uint32_t n = count((uint32_t)c->arg[2]);
        const void *key;

        if (n >= PIECE || va & 3 || bad_address(va))
                return -ENOSYS;
        key = futex_key(c->thread->proc->mm, va, true, false);
        lock(LOCK_FUTEX, key);
        changes(c);
        return grant(key, n, FUTEX_BITSET_MATCH_ANY, 0);
}

long sys_futex(struct call *c)
{
        struct futex_state *s = call_state(c, struct futex_state);

        if (c->stage == STAGE_DECODE) {
                long r = (uint32_t)c->arg[1] == FUTEX_WAKE_PRIVATE ? wake_quickly(c) : -ENOSYS;

                if (r != -ENOSYS)
                        return r;
                r = decode(c, s);

                if (r)
                        return r;
        }
        switch (s->op) {
        case FUTEX_WAIT:
        case FUTEX_WAIT_BITSET:
                return futex_wait(c, s);
        case FUTEX_WAKE:
        case FUTEX_WAKE_BITSET:
                return futex_wake(c, s);
        case FUTEX_REQUEUE:
                return futex_requeue(c, s, false);
        case FUTEX_CMP_REQUEUE:
                return futex_requeue(c, s, true);
        case FUTEX_WAKE_OP:
                return futex_wake_op(c, s);
        case FUTEX_LOCK_PI:
        case FUTEX_LOCK_PI2:
                return futex_lock_pi(c, s, false);
        case FUTEX_TRYLOCK_PI:
                return futex_lock_pi(c, s, true);
        case FUTEX_UNLOCK_PI:
                return futex_unlock_pi(c, s);
        }
        return -ENOSYS;
}
