/*
 * clock.c - monotonic and wall time from the TSC: ns = mono_base + (tsc - tsc_base) * mult >> 32.
 * The numbers change seldom (calibration, refinement, setting the clock, recovery) under a sequence count: readers take no lock. The vDSO's
 * data page gets the same numbers under its own count. A refinement starts a new straight line at the present point, so time never jumps.
 * Lock: clock_lock for writers (volatile, interrupts off).
 */
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"

#define SHIFT        32
#define REFINE_NS    200000000ul
#define REFINE_TRIES 4

static struct time_vdso clk = {.mult = 1ul << (SHIFT - 2),
                               .shift = SHIFT}; /* until calibrated: 4 GHz, so that it only runs slow */
static struct time_vdso *vdso_page;
static struct spinlock clock_lock;
static uint64_t tsc_hz = NSEC_PER_SEC;
static struct vtimer refine_timer;
static unsigned refine_tries;

static inline uint64_t scale(uint64_t ticks, uint64_t mult)
{
        return (uint64_t)((unsigned __int128)ticks * mult >> SHIFT);
}

static inline uint64_t mono_at(const struct time_vdso *c, uint64_t tsc)
{
        int64_t ticks = (int64_t)(tsc - c->tsc_base);
        return c->mono_base_ns + (likely(ticks > 0) ? scale((uint64_t)ticks, c->mult) : 0);
}

uint64_t time_mono_ns(void)
{
        uint64_t ns;
        uint32_t seq;

        do {
                while (unlikely((seq = __atomic_load_n(&clk.seq, __ATOMIC_ACQUIRE)) & 1))
                        cpu_relax();
                ns = mono_at(&clk, rdtsc());
                barrier();
        } while (unlikely(READ_ONCE(clk.seq) != seq));
        return ns;
}

uint64_t time_real_ns(void)
{
        return time_mono_ns() + READ_ONCE(clk.real_offset_ns);
}

uint64_t time_tsc_khz(void)
{
        return tsc_hz / 1000;
}

static void copy_to_vdso(void)
{
        uint32_t seq;

        if (!vdso_page)
                return;
        seq = vdso_page->seq | 1;
        __atomic_store_n(&vdso_page->seq, seq, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        vdso_page->tsc_base = clk.tsc_base;
        vdso_page->mono_base_ns = clk.mono_base_ns;
        vdso_page->real_offset_ns = clk.real_offset_ns;
        vdso_page->mult = clk.mult;
        vdso_page->shift = clk.shift;
        __atomic_store_n(&vdso_page->seq, seq + 1, __ATOMIC_RELEASE);
}

static uint64_t clock_begin(void)
{
        uint64_t f = spin_lock(&clock_lock);
        __atomic_store_n(&clk.seq, clk.seq + 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        return f;
}

static void clock_end(uint64_t f)
{
        __atomic_store_n(&clk.seq, clk.seq + 1, __ATOMIC_RELEASE);
        copy_to_vdso();
        spin_unlock(&clock_lock, f);
}

static void set_rate(uint64_t hz)
{
        uint64_t f = clock_begin(), tsc = rdtsc();

        clk.mono_base_ns = mono_at(&clk, tsc);
        clk.tsc_base = tsc;
        clk.mult = (NSEC_PER_SEC << SHIFT) / hz;
        tsc_hz = hz;
        clock_end(f);
}

void time_set_real_ns(uint64_t ns)
{
        uint64_t now = time_mono_ns(), f = clock_begin();
        clk.real_offset_ns = ns - now;
        clock_end(f);
}

void time_set_mono_base(uint64_t ns)
{
        uint64_t f = clock_begin(), tsc = rdtsc(), before = mono_at(&clk, tsc);
        clk.mono_base_ns = ns;
        clk.tsc_base = tsc;
        clk.real_offset_ns -= ns - before; /* wall time does not move */
        clock_end(f);
}

void time_vdso_fill(struct time_vdso *v)
{
        uint64_t f = spin_lock(&clock_lock);
        uint32_t seq = v->seq;
        *v = clk;
        v->seq = seq;
        spin_unlock(&clock_lock, f);
}

void time_vdso_register(struct time_vdso *page)
{
        uint64_t f = spin_lock(&clock_lock);
        vdso_page = page;
        copy_to_vdso();
        spin_unlock(&clock_lock, f);
}

/* The first calibration is short, so that booting is; a longer span gives the missing digits. */
static void refine(struct vtimer *t)
{
        uint64_t hz = tsc_refine();

        if (hz) {
                if (hz != tsc_hz)
                        set_rate(hz);
        } else if (++refine_tries < REFINE_TRIES) {
                vtimer_arm(t, time_mono_ns() + (REFINE_NS << refine_tries));
        }
}

void time_early_init(uint64_t entry_tsc)
{
        clk.tsc_base = entry_tsc;
}

void time_init(void)
{
        uint64_t f, hz, seconds;

        hz = tsc_calibrate();
        f = clock_begin();
        tsc_hz = hz;
        clk.tsc_base = boot_info.entry_tsc;
        clk.mono_base_ns = 0;
        clk.mult = (NSEC_PER_SEC << SHIFT) / hz;
        clock_end(f);
        seconds = rtc_read();
        time_set_real_ns(seconds * NSEC_PER_SEC);
        timer_calibrate();
        timer_cpu_init();
        refine_timer.fn = refine;
        vtimer_arm(&refine_timer, time_mono_ns() + REFINE_NS);
        klog(LOG_INFO, "time: TSC at %lu.%03lu MHz%s", tsc_hz / 1000000, tsc_hz / 1000 % 1000,
             seconds ? "" : ", no wall clock");
}
