/*
 * time.h - clocks and volatile timers.
 * Monotonic ns come from the TSC (calibrated against HPET or PIT; retried on a loaded host). CLOCK_REALTIME = monotonic + offset.
 */
#pragma once
#include "kernel/include/types.h"
#include "kernel/lib/rbtree.h"

uint64_t time_mono_ns(void);
uint64_t time_real_ns(void); /* since 1970 */
void time_set_real_ns(uint64_t ns);
uint64_t time_tsc_khz(void);
void time_set_mono_base(uint64_t ns); /* recovery: monotonic goes on from here */
struct time_vdso {
        uint64_t tsc_base, mono_base_ns, real_offset_ns, mult;
        uint32_t shift, seq;
};
void time_vdso_fill(struct time_vdso *v);        /* numbers for the vDSO's data page */
void time_vdso_register(struct time_vdso *page); /* the data page: rewritten with seq odd during each update */

/* One-shot timer on the arming CPU; fn runs in interrupt context with interrupts off: volatile memory only. */
struct vtimer {
        uint64_t deadline_ns;
        void (*fn)(struct vtimer *);
        uint32_t cpu, index; /* owner; index 0 = not armed */
        uint32_t arming;     /* [a] a CPU arms it: others that want to wait */
        struct rb_node node; /* in the owner's tree */
};
void vtimer_arm(struct vtimer *t, uint64_t deadline_ns); /* re-arms if armed (from any CPU) */
void vtimer_disarm(struct vtimer *t);                    /* fn may be running, or about to */
void vtimer_cancel(struct vtimer *t);                    /* after return fn is not running */
/* until_ns is past: on some CPU a timer that was due by then has not fired, or its fn has not returned. */
bool vtimer_overdue(uint64_t until_ns);
bool vtimer_is_pending(const struct vtimer *t); /* armed, or its fn has not returned */
void vtimer_nap(uint64_t ns); /* this CPU stops until an interrupt comes, for ns at the most; interrupts are on */

/* `watchdog=SECONDS`: the kernel panics when it was not stopped by then. */
void watchdog_cpu_start(void);
void watchdog_stop(void);
unsigned watchdog_left(void); /* seconds; 0: it does not run */

void tick_resume(void); /* a thread begins to run on this CPU: hooks.tick is called at intervals again */
