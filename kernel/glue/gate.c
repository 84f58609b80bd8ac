/*
 * gate.c - what a CPU does between sections when somebody asks: park for a barrier (or lead one), run queued work items as sections.
 * The barrier clock asks for one barrier a tick: the store's cadence in a system with a disk, a knob (barrier=HZ, /proc/phantom/barrier_hz) without.
 */
#include "kernel/glue/gate.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/sched.h"
#include "kernel/include/work.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/include/arch/thread_regs.h"
#include "persist/section.h"
#include "persist/space.h"
#include "posix/include/boot.h"

static struct work *running[MAX_CPUS];
static struct vtimer barrier_clock;
static uint32_t barrier_hz;
static volatile uint32_t barrier_due;
static struct vtimer storm_clock;
static uint32_t storm_every_ms;
static volatile uint32_t storm_due;
static uint64_t storms; /* [a] so many were there */

static void barrier_tick(struct vtimer *t)
{
        __atomic_store_n(&barrier_due, 1, __ATOMIC_RELEASE);
        __atomic_fetch_or(&cpu_this()->need, NEED_PARK, __ATOMIC_RELAXED);
        (void)t;
}

/* The next one comes a period after this one was due, but not before the machine has run three times as long as this one took: checkers on a slow machine, or a host that runs only some of our
 * CPUs, must not stop it. */
static void barrier_lead(void)
{
        uint64_t begin = time_mono_ns(), end;

        snapshot_barrier();
        end = time_mono_ns();
        if (barrier_hz)
                vtimer_arm(&barrier_clock,
                           MAX(barrier_clock.deadline_ns + NSEC_PER_SEC / barrier_hz, end + 3 * (end - begin)));
}

void barrier_set_rate(uint32_t hz)
{
        barrier_hz = hz < 10000 ? hz : 10000;
        barrier_clock.fn = barrier_tick;
        if (barrier_hz)
                vtimer_arm(&barrier_clock, time_mono_ns() + NSEC_PER_SEC / barrier_hz);
        else
                vtimer_cancel(&barrier_clock);
}

uint32_t barrier_rate(void)
{
        return barrier_hz;
}

/* ---- soft storm: every so often all volatile state above the drivers is dropped and made again from the space (posix_storm) ---- */

static void storm_tick(struct vtimer *t)
{
        (void)t;
        __atomic_store_n(&storm_due, 1, __ATOMIC_RELEASE);
        __atomic_fetch_or(&cpu_this()->need, NEED_PARK, __ATOMIC_RELAXED);
}

static void storm_arm(void)
{
        storm_clock.fn = storm_tick;
        if (storm_every_ms)
                vtimer_arm(&storm_clock, time_mono_ns() + storm_every_ms * 1000000ul);
        else
                vtimer_cancel(&storm_clock);
}

int storm_set_interval(uint32_t ms)
{
        if (ms && snapshot_has_store()) /* a storm reads what is absent at once, and the store is the writer's alone */
                return -EBUSY;
        storm_every_ms = ms;
        storm_arm();
        return 0;
}

uint32_t storm_interval(void)
{
        return storm_every_ms;
}

uint64_t storm_count(void)
{
        return __atomic_load_n(&storms, __ATOMIC_RELAXED);
}

static uint64_t storm(uint64_t unused)
{
        int r = posix_storm();

        (void)unused;
        if (r < 0)
                panic("a storm could not be recovered from: error %d", r);
        __atomic_fetch_add(&storms, 1, __ATOMIC_RELEASE);
        return 0;
}

static void work_run(struct work *w);

/*
 * Work items that wait for a page; each is queued again when that is there. The places are never freed: a waker that still holds one which has got another item meanwhile makes that
 * run too early, and wait again.
 */
static struct page_wait {
        struct waiter waiter;
        struct work *work; /* [a] NULL: the place is free */
} page_waits[32];

static void page_came(struct waiter *waiter)
{
        struct page_wait *p = container_of(waiter, struct page_wait, waiter);
        struct work *w;

        waiter_remove(&p->waiter);
        w = __atomic_exchange_n(&p->work, NULL, __ATOMIC_SEQ_CST);
        if (w)
                work_queue(w);
}

static void work_await(struct work *w, ppn_t ppn)
{
        for (unsigned i = 0; i < ARRAY_SIZE(page_waits); i++) {
                struct page_wait *p = &page_waits[i];
                struct work *none = NULL;

                if (!__atomic_compare_exchange_n(&p->work, &none, w, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
                        continue;
                p->waiter.notify = page_came;
                waiter_add(&p->waiter, space_page(ppn));
                if (space_fetch_start(ppn) <= 0) /* it came before it was waited for */
                        page_came(&p->waiter);
                return;
        }
        work_queue(w);
}

/* Abandoned for an absent page, on an empty stack: the item runs again when it is there; the CPU goes on with what it was doing. */
static void work_redo(void *arg)
{
        struct cpu *cpu = cpu_this();
        struct work *w = running[cpu->id];
        ppn_t ppn = space_fetch_pending();
        int r = space_fetch_start(ppn);

        (void)arg;
        if (r < 0)
                klog(LOG_ERR, "page %#lx of the space cannot be read: what needed it is dropped", ppn);
        else if (r > 0)
                work_await(w, ppn);
        else
                work_run(w);
        if (cpu->current)
                sched_hooks.resume(cpu->current);
        sched_loop(NULL);
}

static void work_run(struct work *w)
{
        running[cpu_this()->id] = w;
        section_begin(work_redo, NULL);
        w->fn(w);
        section_end();
}

static void park(struct cpu *cpu)
{
        if (__atomic_exchange_n(&storm_due, 0, __ATOMIC_ACQ_REL)) {
                snapshot_at_barrier(storm, 0);
                storm_arm();
        } else if (__atomic_exchange_n(&barrier_due, 0, __ATOMIC_ACQ_REL)) {
                __atomic_fetch_and(&cpu->need, ~NEED_PARK, __ATOMIC_SEQ_CST);
                barrier_lead();
        } else {
                park_if_asked();
        }
}

/* A barrier does not wait for all that is queued: the gate is looked at before each item. */
void gate_run(bool may_park)
{
        struct cpu *cpu = cpu_this();
        uint64_t seen = storm_count();
        struct work *w;

        do {
                if (cpu->need & NEED_PARK) {
                        if (!may_park)
                                return;
                        park(cpu);
                }
                if (unlikely(seen != storm_count())) /* the thread that was here is on a queue */
                        arch_stack_reset(sched_loop, NULL);
                w = work_take();
                if (w)
                        work_run(w);
        } while (w);
}

void gate_idle(void)
{
        if (cpu_this()->mmu)
                mmu_load(NULL);
        park_idle_begin();
}

void gate_awake(void)
{
        park_idle_end();
        if (storm_due || barrier_due) /* an idle CPU counts as parked, but somebody has to lead */
                __atomic_fetch_or(&cpu_this()->need, NEED_PARK, __ATOMIC_RELAXED);
}
