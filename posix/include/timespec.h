/*
 * timespec.h - times as user mode gives them.
 */
#pragma once
#include "posix/include/thread.h"
#include "kernel/include/time.h"

struct timespec64 {
        int64_t sec, nsec;
};
#define TIME_FOR_EVER 0x7fffffffffffffffull /* ns: later than any clock will be */

static inline bool timespec_valid(const struct timespec64 *t)
{
        return t->sec >= 0 && t->nsec >= 0 && t->nsec < (int64_t)NSEC_PER_SEC;
}
/* Saturates. */
static inline uint64_t timespec_ns(const struct timespec64 *t)
{
        uint64_t ns;

        if (__builtin_mul_overflow((uint64_t)t->sec, NSEC_PER_SEC, &ns) ||
            __builtin_add_overflow(ns, (uint64_t)t->nsec, &ns) || ns > TIME_FOR_EVER)
                return TIME_FOR_EVER;
        return ns;
}
/* Absolute CLOCK_MONOTONIC time that is ns from now; never 0 (NO_DEADLINE). Zero ns is a deadline that has passed. */
static inline uint64_t deadline_after(uint64_t ns)
{
        uint64_t now = time_mono_ns();

        if (ns > TIME_FOR_EVER - now)
                return TIME_FOR_EVER;
        return now + ns ? now + ns : 1;
}
static inline struct timespec64 ns_timespec(uint64_t ns)
{
        return (struct timespec64){(int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC)};
}
