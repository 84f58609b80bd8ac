/*
 * vdso.c - the clocks without a system call. User-mode code: baseline instructions, no data of its own, no relocations.
 *
 * The code is in the space and outlives a reboot with the threads that are in it; the data page (`vvar`) is volatile and is written by kernel/time. A reader
 * that is caught by an update, or by a reboot into another life's numbers, finds another sequence count and reads again.
 * `shift` is 32 (mm_boot sees to it): a constant saves a tenth of the instructions.
 * What the page does not answer (CPU clocks, clocks that count the time off) is left to the system call.
 */
#include "kernel/include/time.h"
#include <asm/unistd.h>
#include <linux/time.h>

extern const struct time_vdso vvar __attribute__((visibility("hidden")));

static inline long call2(long nr, long a, void *b)
{
        long r;

        __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
        return r;
}

/* Nanoseconds of CLOCK_MONOTONIC, or of CLOCK_REALTIME. */
static inline uint64_t now(bool real)
{
        const volatile struct time_vdso *v = &vvar;
        uint32_t seq, lo, hi;
        uint64_t ns;
        int64_t ticks;

        do {
                while ((seq = __atomic_load_n(&v->seq, __ATOMIC_ACQUIRE)) & 1)
                        __asm__ volatile("pause");
                __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
                ticks = (int64_t)(((uint64_t)hi << 32 | lo) - v->tsc_base);
                ns = v->mono_base_ns;
                if (ticks > 0) /* another CPU's counter may be a little behind */
                        ns += (uint64_t)((unsigned __int128)(uint64_t)ticks * v->mult >> 32);
                if (real)
                        ns += v->real_offset_ns;
                __atomic_thread_fence(__ATOMIC_ACQUIRE);
        } while (v->seq != seq);
        return ns;
}

int __vdso_clock_gettime(int clock, struct __kernel_timespec *ts)
{
        uint64_t ns;

        switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_COARSE:
                ns = now(true);
                break;
        case CLOCK_MONOTONIC:
        case CLOCK_MONOTONIC_COARSE:
        case CLOCK_MONOTONIC_RAW:
                ns = now(false);
                break;
        default:
                return (int)call2(__NR_clock_gettime, clock, ts);
        }
        ts->tv_sec = (long)(ns / NSEC_PER_SEC);
        ts->tv_nsec = (long)(ns % NSEC_PER_SEC);
        return 0;
}

int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
{
        if (tv) {
                uint64_t us = now(true) / 1000;

                tv->tv_sec = (long)(us / 1000000);
                tv->tv_usec = (long)(us % 1000000);
        }
        if (tz)
                tz->tz_minuteswest = tz->tz_dsttime = 0;
        return 0;
}

long __vdso_time(long *t)
{
        long seconds = (long)(now(true) / NSEC_PER_SEC);

        if (t)
                *t = seconds;
        return seconds;
}

int __vdso_clock_getres(int clock, struct __kernel_timespec *ts)
{
        return (int)call2(__NR_clock_getres, clock, ts);
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
        long r;
        register void *third __asm__("rdx") = unused;

        /* RDTSCP and RDPID are not baseline, and a thread may wake up on a CPU that lacks them. */
        __asm__ volatile("syscall"
                         : "=a"(r)
                         : "a"(__NR_getcpu), "D"(cpu), "S"(node), "r"(third)
                         : "rcx", "r11", "memory");
        return r;
}

int clock_gettime(int clock, struct __kernel_timespec *ts) __attribute__((weak, alias("__vdso_clock_gettime")));
int gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
        __attribute__((weak, alias("__vdso_gettimeofday")));
long time(long *t) __attribute__((weak, alias("__vdso_time")));
int clock_getres(int clock, struct __kernel_timespec *ts) __attribute__((weak, alias("__vdso_clock_getres")));
long getcpu(unsigned *cpu, unsigned *node, void *unused) __attribute__((weak, alias("__vdso_getcpu")));
