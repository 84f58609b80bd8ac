/*
 * sleep.c - nanosleep, clock_nanosleep, and restart_syscall. A sleep is a deadline on the monotonic clock; an absolute one on the wall clock is worked out anew
 * whenever that is set (time_real_key), one on a CPU clock whenever it can be due at the earliest.
 * Interrupted relative sleeps go on by restart_syscall to the same deadline.
 */
#include "posix/time/time_internal.h"
#include <asm/unistd.h>

struct sleep {
        uint64_t deadline;
        int32_t clock;
        uint32_t absolute;
        uint64_t remaining_at;
};

#define CPU_POLL_NS 1000000ul

/* Monotonic time of the wake-up; 0: it is due. */
static uint64_t wake_at(const struct sleep *s)
{
        uint64_t now;

        if (clock_read(s->clock, &now) || now >= s->deadline)
                return 0;
        if (clock_is_cpu(s->clock))
                return time_mono_ns() + MAX((s->deadline - now) / cpu_count, CPU_POLL_NS);
        if (clock_is_boot(s->clock)) /* absolute: relative ones are on the monotonic clock */
                return time_boot_to_mono(s->deadline);
        return clock_is_real(s->clock) && s->absolute ? time_real_to_mono(s->deadline) : s->deadline;
}

static long interrupted(struct call *c, const struct sleep *s)
{
        struct thread *t = c->thread;
        uint64_t now;

        if (s->absolute)
                return -ERESTARTNOHAND;
        clock_read(s->clock, &now);
        if (s->remaining_at) {
                struct timespec64 left = ns_timespec(s->deadline > now ? s->deadline - now : 0);

                if (!copy_out(c, s->remaining_at, &left, sizeof(left)))
                        return user_fault(c);
        }
        changes(c);
        t->restart.nr = __NR_clock_nanosleep;
        t->restart.deadline = s->deadline;
        t->restart.arg[0] = s->remaining_at;
        t->restart.arg[1] = (uint64_t)s->clock;
        return -ERESTART_RESTARTBLOCK;
}

/* That it is over is for call_why to say, which lets timers that were due earlier go first, not for whoever comes along and sees the clock. */
static long sleep_run(struct call *c, const struct sleep *s)
{
        uint64_t at = wake_at(s);

        if (!at && c->why != WHY_RUN)
                return 0;
        if (!at)
                at = time_mono_ns();
        if (c->why == WHY_SIGNAL || c->why == WHY_KILL)
                return interrupted(c, s);
        return call_wait(c, CONDITION, clock_is_real(s->clock) && s->absolute ? time_real_key : NULL, INTERRUPTIBLE,
                         at);
}

static long sleep_decode(struct call *c, struct sleep *s, int clock, bool absolute, uint64_t from, uint64_t remaining)
{
        struct timespec64 ts;
        uint64_t now, ns;

        if (!copy_in(c, &ts, from, sizeof(ts)))
                return user_fault(c);
        if (!timespec_valid(&ts))
                return -EINVAL;
        ns = timespec_ns(&ts);
        /* A relative sleep runs on the monotonic clock, whoever sets the other. */
        if (!absolute && !clock_is_cpu(clock))
                clock = CLOCK_MONOTONIC;
        *s = (struct sleep){
                .clock = clock, .absolute = absolute, .remaining_at = absolute ? 0 : remaining, .deadline = ns};
        if (!absolute) {
                long r = clock_read(clock, &now);

                if (r)
                        return r;
                s->deadline = ns > TIME_FOR_EVER - now ? TIME_FOR_EVER : now + ns;
        }
        c->stage = 1;
        return 0;
}

long sys_nanosleep(struct call *c)
{
        struct sleep *s = call_state(c, struct sleep);

        if (c->stage == 0) {
                long r = sleep_decode(c, s, CLOCK_MONOTONIC, false, c->arg[0], c->arg[1]);

                if (r)
                        return r;
        }
        return sleep_run(c, s);
}

long sys_clock_nanosleep(struct call *c)
{
        struct sleep *s = call_state(c, struct sleep);

        if (c->stage == 0) {
                int clock = (int)c->arg[0];
                uint64_t now;
                long r = clock_read(clock, &now);

                if (r)
                        return r;
                if (clock == CLOCK_THREAD_CPUTIME_ID || (clock < 0 && (clock & 4)))
                        return -EINVAL;
                if (!clock_is_cpu(clock) && !clock_waits(clock))
                        return -EOPNOTSUPP;
                r = sleep_decode(c, s, clock, c->arg[1] & TIMER_ABSTIME, c->arg[2], c->arg[3]);
                if (r)
                        return r;
        }
        return sleep_run(c, s);
}

static long sleep_again(struct call *c)
{
        struct sleep *s = call_state(c, struct sleep);

        if (c->stage == 0) {
                const struct thread *t = c->thread;

                *s = (struct sleep){.deadline = t->restart.deadline,
                                    .remaining_at = t->restart.arg[0],
                                    .clock = (int32_t)t->restart.arg[1]};
                c->stage = 1;
        }
        return sleep_run(c, s);
}

/* Others that restart with a deadline they had worked out already: poll, futex. They look at thread->restart when their call's number is this one. */
long poll_restart(struct call *c) __attribute__((weak));
long futex_restart(struct call *c) __attribute__((weak));

long sys_restart_syscall(struct call *c)
{
        switch (c->thread->restart.nr) {
        case __NR_clock_nanosleep:
                return sleep_again(c);
        case __NR_poll:
                return poll_restart ? poll_restart(c) : -EINTR;
        case __NR_futex:
                return futex_restart ? futex_restart(c) : -EINTR;
        }
        return -EINTR;
}
