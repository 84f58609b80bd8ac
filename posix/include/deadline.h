/*
 * deadline.h - "call me when the clock passes this": for persistent objects with an absolute CLOCK_MONOTONIC deadline of their own (interval timers, POSIX
 * timers, timerfd). The truth is in the object; the armed timer is volatile, found by the object's address, and armed again at boot from the object.
 *
 *      deadline_reserve(c)      before changes(): memory for one new timer. 0 or -ENOMEM.
 *      deadline_set(...)        after changes(): arms, moves or (ns = 0) disarms. An object that has had a deadline keeps its memory: no reserve again.
 *      deadline_drop(...)       before the object is freed.
 * On expiry, deadline_fns[kind] runs as a section of its own, with no current thread, once; it looks at the object's own deadline first (it may have been moved
 * meanwhile), locks what it needs, changes, and arms again when it repeats.
 */
#pragma once
#include "posix/include/process.h"

enum deadline_kind { DEADLINE_ITIMER_REAL, DEADLINE_CPU, DEADLINE_PTIMER, DEADLINE_TIMERFD, DEADLINE_KINDS };
typedef void (*deadline_fn)(void *object);
/* Expiry functions: itimer_expired, cpu_limits_check, ptimer_expired are ours; timerfd_expired is posix/poll's (weak). */
int deadline_reserve(struct call *c);
void deadline_set(void *object, enum deadline_kind kind, uint64_t mono_ns);
void deadline_drop(void *object, enum deadline_kind kind);
bool deadline_unserved(
        uint64_t until_ns); /* the expiry of one that was due by then has not run yet; until_ns is past */
void deadline_forget(void); /* storm */
int deadline_boot(void);    /* recovery: arms what the space holds. 0 or -ENOMEM */

/*
 * CLOCK_REALTIME may be set, and is read anew at a boot: whoever holds an absolute time on it waits on this key as well (CONDITION sleepers look again) and
 * has its function here called by time_real_changed().
 */
extern const char time_real_key[1];
void time_real_changed(void); /* a section's, after changes() */
void timerfd_real_changed(void) __attribute__((weak));
uint64_t time_boot_ns(void);                  /* CLOCK_BOOTTIME */
uint64_t time_boot_to_mono(uint64_t boot_ns); /* in this life: time off only grows at a recovery */
uint64_t time_real_to_mono(uint64_t real_ns); /* deadline on the monotonic clock, never 0 */
