/*
 * clock.c - reading and setting clocks. The vDSO answers most reads; these are the calls behind it.
 * CPU clocks of other threads and processes have negative numbers: ~pid << 3, then 4 for one thread, then which time.
 */
#include "posix/time/time_internal.h"
#include "kernel/include/sched.h"
#include <linux/timex.h>

#define COARSE_NS 4000000l /* what Linux with 250 Hz says */

const char time_real_key[1];

enum { CPU_PROF, CPU_VIRT, CPU_SCHED, CPU_FD };

bool clock_is_cpu(int clock)
{
        return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

bool clock_is_real(int clock)
{
        return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM || clock == CLOCK_TAI ||
               clock == CLOCK_REALTIME_COARSE;
}

bool clock_is_boot(int clock)
{
        return clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM;
}

uint64_t time_boot_ns(void)
{
        return time_mono_ns() + posix_root()->time_off_ns;
}

uint64_t time_boot_to_mono(uint64_t boot_ns)
{
        uint64_t off = posix_root()->time_off_ns;

        return boot_ns > off ? boot_ns - off : 1;
}

bool clock_waits(int clock)
{
        return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI ||
               clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

static long cpu_read(int clock, uint64_t *ns)
{
        struct thread *self = thread_current(), *t;
        struct process *p;
        struct cpu_times ct;
        unsigned which = CPU_SCHED;

        if (clock == CLOCK_PROCESS_CPUTIME_ID) {
                process_cpu_times(self->proc, &ct);
        } else if (clock == CLOCK_THREAD_CPUTIME_ID) {
                thread_cpu_times(self, &ct);
        } else {
                int pid = ~(clock >> 3);

                which = clock & 3;
                if (which == CPU_FD)
                        return -EINVAL;
                if (clock & 4) {
                        t = pid ? thread_find(pid) : self;
                        if (!t || t->proc != self->proc)
                                return -EINVAL;
                        thread_cpu_times(t, &ct);
                } else {
                        p = pid ? process_find(pid) : self->proc;
                        if (!p)
                                return -EINVAL;
                        process_cpu_times(p, &ct);
                }
        }
        *ns = which == CPU_VIRT ? ct.user_ns : ct.user_ns + ct.system_ns;
        return 0;
}

long clock_read(int clock, uint64_t *ns)
{
        switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_COARSE:
        case CLOCK_REALTIME_ALARM:
        case CLOCK_TAI:
                *ns = time_real_ns();
                return 0;
        case CLOCK_MONOTONIC:
        case CLOCK_MONOTONIC_RAW:
        case CLOCK_MONOTONIC_COARSE:
                *ns = time_mono_ns();
                return 0;
        case CLOCK_BOOTTIME:
        case CLOCK_BOOTTIME_ALARM:
                *ns = time_boot_ns();
                return 0;
        }
        return clock_is_cpu(clock) ? cpu_read(clock, ns) : -EINVAL;
}

uint64_t time_real_to_mono(uint64_t real_ns)
{
        uint64_t real = time_real_ns(), mono = time_mono_ns();
        uint64_t at = real_ns > real ? mono + (real_ns - real) : mono - MIN(real - real_ns, mono);

        if (real_ns > real && real_ns - real > TIME_FOR_EVER - mono)
                return TIME_FOR_EVER;
        return at ? at : 1;
}

static long put_ns(struct call *c, uint64_t to, uint64_t ns)
{
        struct timespec64 ts = ns_timespec(ns);

        return copy_out(c, to, &ts, sizeof(ts)) ? 0 : user_fault(c);
}

long sys_clock_gettime(struct call *c)
{
        uint64_t ns;
        long r = clock_read((int)c->arg[0], &ns);

        return r ? r : put_ns(c, c->arg[1], ns);
}

long sys_clock_getres(struct call *c)
{
        int clock = (int)c->arg[0];
        uint64_t ns;
        long r = clock_read(clock, &ns);

        if (r || !c->arg[1])
                return r;
        return put_ns(c, c->arg[1], clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ? COARSE_NS : 1);
}

long sys_gettimeofday(struct call *c)
{
        uint64_t now = time_real_ns();
        struct {
                int64_t sec, usec;
        } tv = {(int64_t)(now / NSEC_PER_SEC), (int64_t)(now % NSEC_PER_SEC / 1000)};
        struct timezone tz = {0};

        if (c->arg[0] && !copy_out(c, c->arg[0], &tv, sizeof(tv)))
                return user_fault(c);
        if (c->arg[1] && !copy_out(c, c->arg[1], &tz, sizeof(tz)))
                return user_fault(c);
        return 0;
}

long sys_time(struct call *c)
{
        int64_t now = (int64_t)(time_real_ns() / NSEC_PER_SEC);

        if (c->arg[0] && !copy_out(c, c->arg[0], &now, sizeof(now)))
                return user_fault(c);
        return now;
}

static void real_timer_changed(void *object, void *arg)
{
        struct ptimer *t = object;

        (void)arg;
        if (t->absolute && t->deadline && clock_is_real(t->clock))
                ptimer_arm(t);
}

void time_real_changed(void)
{
        wake(time_real_key);
        space_each(TYPE_PTIMER, real_timer_changed, NULL);
        if (timerfd_real_changed)
                timerfd_real_changed();
}

static long set_real(struct call *c, const struct timespec64 *ts)
{
        if (!timespec_valid(ts))
                return -EINVAL;
        if (!capable(CAP_SYS_TIME))
                return -EPERM;
        if (timespec_ns(ts) == TIME_FOR_EVER)
                return -EINVAL;
        changes(c);
        time_set_real_ns(timespec_ns(ts));
        time_real_changed();
        return 0;
}

long sys_clock_settime(struct call *c)
{
        int clock = (int)c->arg[0];
        struct timespec64 ts;
        uint64_t ns;

        if (clock_is_cpu(clock))
                return clock_read(clock, &ns) ? -EINVAL : -EPERM;
        if (clock != CLOCK_REALTIME)
                return -EINVAL;
        if (!copy_in(c, &ts, c->arg[1], sizeof(ts)))
                return user_fault(c);
        return set_real(c, &ts);
}

long sys_settimeofday(struct call *c)
{
        struct timespec64 ts;
        struct timezone tz;

        if (c->arg[0]) {
                if (!copy_in(c, &ts, c->arg[0], sizeof(ts)))
                        return user_fault(c);
                if (ts.nsec < 0 || ts.nsec >= 1000000)
                        return -EINVAL;
                ts.nsec *= 1000;
        }
        if (c->arg[1] && !copy_in(c, &tz, c->arg[1], sizeof(tz)))
                return user_fault(c);
        if (c->arg[0])
                return set_real(c, &ts);
        return capable(CAP_SYS_TIME) ? 0 : -EPERM;
}

/* Nothing disciplines the clock: adjtimex tells so, and adjusts nothing. */
static long adjtime(struct call *c, uint64_t at)
{
        struct __kernel_timex tx;
        uint64_t now;

        if (!copy_in(c, &tx, at, sizeof(tx)))
                return user_fault(c);
        if (tx.modes && tx.modes != ADJ_OFFSET_SS_READ)
                return -EPERM;
        __builtin_memset(&tx, 0, sizeof(tx));
        tx.maxerror = tx.esterror = 16000000;
        tx.status = STA_UNSYNC;
        tx.constant = 2;
        tx.precision = 1;
        tx.tolerance = 32768000;
        tx.tick = 10000;
        now = time_real_ns();
        tx.time.tv_sec = (long long)(now / NSEC_PER_SEC);
        tx.time.tv_usec = (long long)(now % NSEC_PER_SEC / 1000);
        return copy_out(c, at, &tx, sizeof(tx)) ? TIME_ERROR : user_fault(c);
}

long sys_adjtimex(struct call *c)
{
        return adjtime(c, c->arg[0]);
}

long sys_clock_adjtime(struct call *c)
{
        uint64_t ns;

        if ((int)c->arg[0] != CLOCK_REALTIME)
                return clock_read((int)c->arg[0], &ns) ? -EINVAL : -EOPNOTSUPP;
        return adjtime(c, c->arg[1]);
}
