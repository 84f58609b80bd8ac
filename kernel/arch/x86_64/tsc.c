/*
 * tsc.c - how fast the TSC and the local APIC's timer run, and programming the latter.
 *
 * The reference is the HPET, else ACPI's timer, else the PIT's channel 2. A sample is a reading of the reference between two of the TSC; of several
 * the one with the smallest gap is taken, and the window is at least a thousand gaps long, so that a host that takes the processor away
 * in between (TCG, loaded) costs time but not accuracy. Under QEMU's icount a gap is a few ns, so the window is its minimum and
 * booting stays short. Within the error that is left the roundest number is taken: 1 GHz under icount.
 */
#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/acpi.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/lib/muldiv.h"

#define SAMPLES       8
#define TRIES         5
#define WINDOW_GAPS   1000ul
#define WINDOW_MIN_NS 200000ul
#define WINDOW_MAX_NS 20000000ul  /* shorter than any reference's wrap */
#define PM_PERIOD_FS  279365114ul /* 3.579545 MHz */
#define PIT_PERIOD_FS 838095344ul /* 1.193182 MHz */

struct sample {
        uint64_t tsc, gap, ref; /* TSC in the middle, width of the bracket, the reference's ticks */
};

/* Counts up, wraps at mask + 1. */
static struct {
        uint64_t (*read)(void);
        uint64_t period_fs, mask;
} ref;
static volatile uint64_t *hpet;
static struct sample first; /* tsc_refine measures from here */
static uint64_t found_hz;
static uint64_t timer_mult; /* APIC timer ticks per ns, << 32 */

static uint64_t read_hpet(void)
{
        return hpet[30];
}

static bool open_hpet(void)
{
        uint64_t caps;

        hpet = acpi.hpet ? mmio_map(acpi.hpet, PAGE_SIZE, false) : NULL;
        if (!hpet)
                return false;
        caps = hpet[0];
        ref.period_fs = caps >> 32;
        ref.mask = caps & 1 << 13 ? ~0ul : 0xffffffffu;
        ref.read = read_hpet;
        if (!ref.period_fs || ref.period_fs > 100000000) /* the specification's bound: 100 ns */
                return false;
        hpet[2] = (hpet[2] & ~2ul) | 1; /* run, without legacy routing */
        return true;
}

static uint64_t read_pm(void)
{
        return inl(acpi.pm_timer) & 0xffffff;
}

static bool open_pm(void)
{
        ref.read = read_pm;
        ref.period_fs = PM_PERIOD_FS;
        ref.mask = 0xffffff;
        return acpi.pm_timer != 0;
}

static uint64_t read_pit(void)
{
        uint64_t left;

        outb(0x43, 0x80); /* latch channel 2 */
        left = inb(0x42);
        left |= (uint64_t)inb(0x42) << 8;
        return 0x10000 - left;
}

static bool open_pit(void)
{
        outb(0x61, (inb(0x61) & ~2u) | 1); /* gate on, speaker off */
        outb(0x43, 0xb4);                  /* channel 2, both bytes, mode 2: counts round and round */
        outb(0x42, 0);
        outb(0x42, 0);
        ref.read = read_pit;
        ref.period_fs = PIT_PERIOD_FS;
        ref.mask = 0xffff;
        return true;
}

static struct sample take_sample(void)
{
        struct sample best = {.gap = ~0ul};

        for (unsigned i = 0; i < SAMPLES; i++) {
                uint64_t before = rdtsc(), at = ref.read(), after = rdtsc();
                if (after - before < best.gap)
                        best = (struct sample){before + (after - before) / 2, after - before, at};
        }
        return best;
}

/* Frequency between two samples and how wrong it may be, both in Hz. False: too wrong to use. */
static bool measure(const struct sample *a, const struct sample *b, uint64_t *hz, uint64_t *error)
{
        uint64_t ticks = (b->ref - a->ref) & ref.mask, tsc = b->tsc - a->tsc;
        uint64_t ns = mul_div(ticks, ref.period_fs, 1000000);

        if (!ns || !tsc)
                return false;
        *hz = mul_div(tsc, NSEC_PER_SEC, ns);
        /* Half a gap at each end, one tick of the reference. */
        *error = mul_div(*hz, (a->gap + b->gap) / 2 + 1, tsc) + *hz / (ticks ? ticks : 1) + 1;
        return *error < *hz / 1000;
}

static uint64_t round_within(uint64_t hz, uint64_t error)
{
        for (uint64_t step = 1000000000; step >= 1000000 && step > 50 * error; step /= 10) {
                uint64_t near = (hz + step / 2) / step * step;
                if (near && (near > hz ? near - hz : hz - near) <= error)
                        return near;
        }
        return hz;
}

/* 0: the reference does not count. */
static uint64_t calibrate(void)
{
        uint64_t window_ns = WINDOW_MIN_NS, hz = 0, error = 0;

        for (unsigned i = 0; i < TRIES; i++) {
                struct sample a = take_sample(), b;
                uint64_t wait = mul_div(window_ns, 1000000, ref.period_fs);
                for (unsigned spins = 0; ((ref.read() - a.ref) & ref.mask) < wait; spins++) {
                        if (spins > 10000000)
                                return 0;
                        cpu_relax();
                }
                b = take_sample();
                first = a;
                if (measure(&a, &b, &hz, &error) && (b.gap + a.gap) * WINDOW_GAPS <= b.tsc - a.tsc)
                        break;
                window_ns = MIN(window_ns * 4, WINDOW_MAX_NS);
        }
        return hz ? round_within(hz, error) : 0;
}

uint64_t tsc_calibrate(void)
{
        uint64_t hz = 0;

        if (open_hpet())
                hz = calibrate();
        if (!hz && open_pm())
                hz = calibrate();
        if (!hz && open_pit())
                hz = calibrate();
        if (hz < 10000000) {
                klog(LOG_WARN, "time: no clock tells the TSC's speed: 1 GHz assumed");
                hz = NSEC_PER_SEC;
                ref.mask = 0;
        }
        found_hz = hz;
        return hz;
}

uint64_t tsc_refine(void)
{
        struct sample now;
        uint64_t hz, error;

        if (ref.mask <= 0xffff) /* it has wrapped since */
                return found_hz;
        now = take_sample();
        if (!measure(&first, &now, &hz, &error) || error > hz / 20000)
                return 0;
        hz = round_within(hz, error);
        /* Far off the first value: the host stood still in one of the samples, or the reference wrapped. */
        if ((hz > found_hz ? hz - found_hz : found_hz - hz) > found_hz / 100)
                return 0;
        return hz;
}

void timer_calibrate(void)
{
        uint64_t best_ns = 0, best_ticks = 0, gap = ~0ul;

        if (cpu_features.tsc_deadline)
                return;
        lapic_timer_mode(false);
        for (unsigned i = 0; i < 3; i++) {
                uint64_t t0, t1, t2, t3;
                uint32_t left;
                t0 = time_mono_ns();
                lapic_timer_start(~0u);
                t1 = time_mono_ns();
                while (time_mono_ns() - t1 < WINDOW_MIN_NS / 4)
                        cpu_relax();
                t2 = time_mono_ns();
                left = lapic_timer_left();
                t3 = time_mono_ns();
                if (t1 - t0 + t3 - t2 >= gap)
                        continue;
                gap = t1 - t0 + t3 - t2;
                best_ns = (t2 + t3) / 2 - (t0 + t1) / 2;
                best_ticks = ~left;
        }
        lapic_timer_start(0);
        if (!best_ticks)
                panic("the local APIC's timer does not count");
        timer_mult = (best_ticks << 32) / best_ns;
}

void timer_cpu_init(void)
{
        vtimer_cpu_init();
        lapic_timer_mode(cpu_features.tsc_deadline);
        watchdog_cpu_start();
}

void timer_program(uint64_t deadline_ns)
{
        uint64_t now = time_mono_ns(), delta = deadline_ns > now ? deadline_ns - now : 1;

        if (cpu_features.tsc_deadline) {
                uint64_t ticks = mul_div(MIN(delta, 100 * NSEC_PER_SEC), time_tsc_khz(), 1000000);
                wrmsr(MSR_TSC_DEADLINE, deadline_ns == ~0ul ? 0 : rdtsc() + ticks + 1);
                return;
        }
        if (deadline_ns == ~0ul) {
                lapic_timer_start(0);
                return;
        }
        delta = MIN(delta, NSEC_PER_SEC); /* a far deadline is taken up again on the way */
        delta = (delta * timer_mult >> 32) + 1;
        lapic_timer_start((uint32_t)MIN(delta, 0xfffffffful));
}
