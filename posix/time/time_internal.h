/*
 * time_internal.h - between the files of posix/time only.
 */
#pragma once
#include "posix/include/deadline.h"
#include "posix/include/ptimer.h"
#include "posix/include/timespec.h"
#include <linux/time.h>

/* clock.c: CPU clocks have the pid in the upper bits. */
bool clock_is_cpu(int clock);
/* 0 with the clock's value, -EINVAL: no such clock (or process). */
long clock_read(int clock, uint64_t *ns);
bool clock_is_boot(int clock);
bool clock_is_real(int clock); /* follows settings of the wall clock */
bool clock_waits(int clock);   /* one may sleep or set timers on it */

void itimer_expired(void *process);
void cpu_limits_check(void *process);
void ptimer_expired(void *timer);
bool ptimers_cpu_check(
        struct process *p,
        uint64_t *
                left_ns); /* CPU-clock timers: fires what is due, lowers *left_ns; LOCK_TIMER not held; true: there are some */
