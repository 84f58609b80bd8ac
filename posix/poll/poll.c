/*
 * poll.c - poll, ppoll, select, pselect6.
 * A first look over all descriptors registers nothing. Only when nothing is ready are the keys registered (volatile), everything looked at again,
 * and the thread put to sleep: what becomes ready in between finds the entries. Descriptors are looked up anew on each run: the call
 * holds no references. Few descriptors stand in the call itself, more in its overflow block.
 */
#include "posix/poll/mask.h"
#include "posix/include/process.h"
#include "kernel/include/time.h"
#include <linux/poll.h>
#include <linux/time.h>
#include <asm/unistd.h>

enum { STAGE_DECODE, STAGE_WAIT };

static void add_key(struct poll_table *pt, const void *key)
{
        if (pt->error == 0)
                pt->error = poll_key(pt->call, key);
}

/* ---- poll ---- */

#define POLL_INLINE 16u
struct poll_state {
        struct poll_wait w;
        uint32_t n, pad;
        struct pollfd fd[POLL_INLINE];
};

/* Volatile array to look with: the call's own or, when that stands in the space by now, a copy. NULL: no memory. */
static struct pollfd *poll_fds(struct call *c)
{
        struct poll_state *st = call_state(c, struct poll_state);
        struct pollfd *copy;

        if (st->n <= POLL_INLINE)
                return st->fd;
        if (!c->overflow_saved)
                return c->overflow;
        copy = call_scratch(c, 1, st->n * sizeof(*copy));
        if (copy)
                __builtin_memcpy(copy, c->overflow, st->n * sizeof(*copy));
        return copy;
}

static unsigned poll_look(struct call *c, struct pollfd *fds, uint32_t n, bool sleeping)
{
        struct poll_table pt = {.add = sleeping ? add_key : NULL, .call = c};
        unsigned ready = 0;

        for (uint32_t i = 0; i < n; i++) {
                uint32_t mask = 0;

                if (fds[i].fd >= 0) {
                        struct file *f = fd_lookup_io(c, (uint64_t)fds[i].fd);

                        pt.events = (uint16_t)fds[i].events | POLL_ALWAYS;
                        mask = f ? file_poll(f, &pt) & pt.events : POLLNVAL;
                }
                fds[i].revents = (short)mask;
                ready += mask != 0;
        }
        return pt.error && !ready ? ~0u : ready;
}

static long poll_decode(struct call *c)
{
        struct poll_state *st = call_state(c, struct poll_state);
        uint64_t n = (uint32_t)c->arg[1];

        st->n = (uint32_t)n;
        if (n > rlimit_of(c->thread->proc, RLIMIT_NOFILE))
                return -EINVAL;
        if (n > POLL_INLINE && !call_overflow(c, n * sizeof(struct pollfd)))
                return -ENOMEM;
        if (n && !copy_in(c, poll_fds(c), c->arg[0], n * sizeof(struct pollfd))) {
                c->overflow = NULL;
                return user_fault(c);
        }
        c->stage = STAGE_WAIT;
        return 0;
}

static long poll_result(struct call *c, const struct pollfd *fds, unsigned ready)
{
        struct poll_state *st = call_state(c, struct poll_state);

        if (ready == ~0u)
                return -ENOMEM;
        if (st->n && !copy_out(c, c->arg[0], fds, st->n * sizeof(*fds)))
                return user_fault(c);
        return ready;
}

/* Nothing was ready: 0 at the deadline, the interruption, or sleep. */
static long poll_run(struct call *c)
{
        struct poll_state *st = call_state(c, struct poll_state);
        struct pollfd *fds = poll_fds(c);
        unsigned ready;

        if (!fds)
                return -ENOMEM;
        ready = poll_look(c, fds, st->n, false);
        if (ready || st->w.immediate || c->why == WHY_DEADLINE)
                return poll_result(c, fds, ready);
        if (c->why != WHY_RUN)
                return call_interrupted(c);
        if (st->w.has_mask && !c->has_mask) {
                if (wait_mask_install(c, &st->w))
                        return call_interrupted(c);
                fds = poll_fds(c); /* the save has moved them */
                if (!fds)
                        return -ENOMEM;
        }
        ready = poll_look(c, fds, st->n, true);
        if (ready)
                return poll_result(c, fds, ready);
        return call_wait_poll(c, INTERRUPTIBLE, c->deadline);
}

/* poll goes on after a signal without a handler, with the deadline it had. */
static long poll_with_restart(struct call *c)
{
        struct poll_state *st = call_state(c, struct poll_state);
        struct thread *t = c->thread;
        long r = poll_run(c);

        if (r != -ERESTART_RESTARTBLOCK)
                return r;
        changes(c);
        t->restart.nr = __NR_poll;
        t->restart.deadline = st->w.has_deadline ? c->deadline : NO_DEADLINE;
        t->restart.arg[0] = c->arg[0];
        t->restart.arg[1] = c->arg[1];
        return r;
}

long sys_poll(struct call *c)
{
        struct poll_state *st = call_state(c, struct poll_state);
        int timeout_ms = (int)c->arg[2];
        long r;

        if (c->stage == STAGE_DECODE) {
                st->w = (struct poll_wait){0};
                if (timeout_ms >= 0)
                        wait_timeout_ns(c, &st->w, (uint64_t)timeout_ms * 1000000);
                r = poll_decode(c);
                if (r)
                        return r;
        }
        return poll_with_restart(c);
}

long poll_restart(struct call *c)
{
        struct poll_state *st = call_state(c, struct poll_state);
        long r;

        if (c->stage == STAGE_DECODE) {
                c->arg[0] = c->thread->restart.arg[0];
                c->arg[1] = c->thread->restart.arg[1];
                c->deadline = c->thread->restart.deadline;
                st->w = (struct poll_wait){.has_deadline = c->deadline != NO_DEADLINE};
                r = poll_decode(c);
                if (r)
                        return r;
        }
        r = poll_with_restart(c);
        return r == -EINTR ? -ERESTART_RESTARTBLOCK : r;
}

/*
 * Linux writes the time that is left back. If it cannot, the call has succeeded all the same, but cannot be restarted.
 * user: a timespec, or a timeval when `micro`. Returns r, or CALL_FAULT.
 */
static long finish_timeout(struct call *c, const struct poll_wait *w, uint64_t user, bool micro, long r)
{
        uint64_t left, pair[2];

        if (!user || !w->has_deadline || (r < 0 && r != -ERESTARTNOHAND))
                return r;
        left = wait_remaining_ns(c, w);
        pair[0] = left / NSEC_PER_SEC;
        pair[1] = left % NSEC_PER_SEC / (micro ? 1000 : 1);
        if (copy_out(c, user, pair, sizeof(pair)))
                return r;
        if (!c->fault_failed)
                return user_fault(c);
        c->fault_failed = 0;
        return r == -ERESTARTNOHAND ? -EINTR : r;
}

long sys_ppoll(struct call *c)
{
        struct poll_state *st = call_state(c, struct poll_state);
        long r;

        if (c->stage == STAGE_DECODE) {
                r = wait_timespec_decode(c, &st->w, c->arg[2]);
                if (!r)
                        r = wait_mask_decode(c, &st->w, c->arg[3], c->arg[4]);
                if (!r)
                        r = poll_decode(c);
                if (r)
                        return r;
        }
        return finish_timeout(c, &st->w, c->arg[2], false, poll_run(c));
}

/* ---- select ---- */

#define SELECT_WORDS 4u /* per set, inline: 256 descriptors */
struct select_state {
        struct poll_wait w;
        uint32_t n, words;
        uint64_t set[3 * SELECT_WORDS]; /* read, write, except: what is asked */
};
#define SELECT_MAX 131072u /* higher bits are not looked at, as Linux does not beyond the end of the descriptor table */
#define IN_SET     ((uint32_t)(EPOLLRDNORM | EPOLLRDBAND | EPOLLIN | EPOLLHUP | EPOLLERR))
#define OUT_SET    ((uint32_t)(EPOLLWRBAND | EPOLLWRNORM | EPOLLOUT | EPOLLERR))
#define EX_SET     ((uint32_t)EPOLLPRI)

static uint64_t *select_sets(struct call *c)
{
        struct select_state *st = call_state(c, struct select_state);

        return st->words > SELECT_WORDS ? c->overflow : st->set;
}

static long select_decode(struct call *c, int n)
{
        struct select_state *st = call_state(c, struct select_state);
        uint64_t *set;
        size_t bytes;

        if (n < 0)
                return -EINVAL;
        st->n = MIN((uint32_t)n, SELECT_MAX);
        st->words = (st->n + 63) / 64;
        bytes = st->words * 8;
        if (st->words > SELECT_WORDS && !call_overflow(c, 3 * bytes))
                return -ENOMEM;
        set = select_sets(c);
        for (unsigned k = 0; k < 3; k++) {
                if (!c->arg[1 + k]) {
                        __builtin_memset(set + k * st->words, 0, bytes);
                } else if (bytes && !copy_in(c, set + k * st->words, c->arg[1 + k], bytes)) {
                        c->overflow = NULL;
                        return user_fault(c);
                }
        }
        c->stage = STAGE_WAIT;
        return 0;
}

static long select_look(struct call *c, uint64_t *out, bool sleeping)
{
        struct select_state *st = call_state(c, struct select_state);
        static const uint32_t interest[3] = {IN_SET, OUT_SET, EX_SET};
        struct poll_table pt = {.add = sleeping ? add_key : NULL, .call = c};
        uint64_t *set = select_sets(c);
        uint32_t words = st->words;
        long ready = 0;

        for (uint32_t i = 0; i < words; i++) {
                uint64_t all = set[i] | set[words + i] | set[2 * words + i];

                for (unsigned k = 0; k < 3; k++)
                        out[k * words + i] = 0;
                if (i == words - 1 && st->n % 64)
                        all &= (1ul << st->n % 64) - 1;
                for (; all; all &= all - 1) {
                        unsigned b = (unsigned)__builtin_ctzl(all);
                        struct file *f = fd_lookup_io(c, i * 64 + b);
                        uint32_t mask;

                        if (!f)
                                return -EBADF;
                        pt.events = 0;
                        for (unsigned k = 0; k < 3; k++)
                                if (set[k * words + i] >> b & 1)
                                        pt.events |= interest[k];
                        mask = file_poll(f, &pt);
                        for (unsigned k = 0; k < 3; k++) {
                                if (!(set[k * words + i] >> b & 1) || !(mask & interest[k]))
                                        continue;
                                out[k * words + i] |= 1ul << b;
                                ready++;
                        }
                }
        }
        return ready ? ready : pt.error;
}

static long select_result(struct call *c, const uint64_t *out, long ready)
{
        struct select_state *st = call_state(c, struct select_state);

        if (ready < 0)
                return ready;
        for (unsigned k = 0; k < 3; k++)
                if (c->arg[1 + k] && st->words && !copy_out(c, c->arg[1 + k], out + k * st->words, st->words * 8))
                        return user_fault(c);
        return ready;
}

/* Where the answer is put together: `small`, or a volatile block; NULL: no memory. */
static uint64_t *select_out(struct call *c, uint64_t *small)
{
        struct select_state *st = call_state(c, struct select_state);

        return st->words > SELECT_WORDS ? call_scratch(c, 1, 3 * st->words * 8) : small;
}

static long select_run(struct call *c)
{
        struct select_state *st = call_state(c, struct select_state);
        uint64_t small[3 * SELECT_WORDS], *out = select_out(c, small);
        long ready;

        if (!out)
                return -ENOMEM;
        ready = select_look(c, out, false);
        if (ready || st->w.immediate || c->why == WHY_DEADLINE)
                return select_result(c, out, ready);
        if (c->why != WHY_RUN)
                return call_interrupted(c);
        if (st->w.has_mask && !c->has_mask) {
                if (wait_mask_install(c, &st->w))
                        return call_interrupted(c);
                out = select_out(c, small); /* the save has freed it */
                if (!out)
                        return -ENOMEM;
        }
        ready = select_look(c, out, true);
        if (ready)
                return select_result(c, out, ready);
        return call_wait_poll(c, INTERRUPTIBLE, c->deadline);
}

long sys_select(struct call *c)
{
        struct select_state *st = call_state(c, struct select_state);
        uint64_t tv[2];
        long r;

        if (c->stage == STAGE_DECODE) {
                st->w = (struct poll_wait){0};
                if (c->arg[4]) {
                        if (!copy_in(c, tv, c->arg[4], sizeof(tv)))
                                return user_fault(c);
                        if ((int64_t)tv[0] < 0 || (int64_t)tv[1] < 0)
                                return -EINVAL;
                        tv[0] += tv[1] / 1000000;
                        wait_timeout_ns(c, &st->w,
                                        tv[0] > 1ul << 32 ? ~0ul / 2 : tv[0] * NSEC_PER_SEC + tv[1] % 1000000 * 1000);
                }
                r = select_decode(c, (int)c->arg[0]);
                if (r)
                        return r;
        }
        return finish_timeout(c, &st->w, c->arg[4], true, select_run(c));
}

long sys_pselect6(struct call *c)
{
        struct select_state *st = call_state(c, struct select_state);
        struct {
                uint64_t set, size;
        } sig = {0};
        long r;

        if (c->stage == STAGE_DECODE) {
                if (c->arg[5] && !copy_in(c, &sig, c->arg[5], sizeof(sig)))
                        return user_fault(c);
                r = wait_timespec_decode(c, &st->w, c->arg[4]);
                if (!r)
                        r = wait_mask_decode(c, &st->w, sig.set, sig.size);
                if (!r)
                        r = select_decode(c, (int)c->arg[0]);
                if (r)
                        return r;
        }
        return finish_timeout(c, &st->w, c->arg[4], false, select_run(c));
}
