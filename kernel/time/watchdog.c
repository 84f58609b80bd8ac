/*
 * watchdog.c - `watchdog=SECONDS` on the command line: who starts such a kernel wants to hear in that time that it came up (watchdog_stop), or the kernel panics. With `panic=reset` one
 * that hangs is started anew then, like one that panics by itself (installer/grub.cfg).
 * Every CPU looks once a second in its timer interrupt: one that hangs with its interrupts off is noticed by the others. The deadline is of the TSC: recovery sets the clocks.
 */
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"

static struct vtimer timers[MAX_CPUS];
static uint64_t deadline_tsc; /* 0: stopped */

static uint64_t second(void)
{
        return time_tsc_khz() * 1000;
}

unsigned watchdog_left(void)
{
        uint64_t deadline = READ_ONCE(deadline_tsc), now = rdtsc();

        return deadline ? (unsigned)(deadline > now ? (deadline - now + second() - 1) / second() : 1) : 0;
}

void watchdog_stop(void)
{
        WRITE_ONCE(deadline_tsc, 0);
}

static void look(struct vtimer *t)
{
        uint64_t deadline = READ_ONCE(deadline_tsc);

        if (!deadline)
                return;
        if (rdtsc() >= deadline)
                panic("watchdog: nobody said in time that this kernel came up");
        vtimer_arm(t, time_mono_ns() + NSEC_PER_SEC);
}

void watchdog_cpu_start(void)
{
        unsigned me = cpu_this()->id;
        uint64_t s = boot_option_u64("watchdog", 0);

        if (s == 0)
                return;
        if (me == 0)
                deadline_tsc = rdtsc() + MIN(s, 86400ul) * second();
        timers[me].fn = look;
        vtimer_arm(&timers[me], time_mono_ns() + NSEC_PER_SEC);
}
