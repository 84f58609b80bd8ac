/*
 * persist_host.c - the kernel's struct persist_host: frames and protection from arch/mmu.h, parking by NEED_PARK.
 *
 * Parking. Barriers are numbered. `asked` is the newest one asked for, `released` the newest one that is over; they differ while one is
 * under way. A CPU that comes by park_if_asked() writes asked's number in its place and waits, interrupts on, until it is released. The
 * numbers are what counts; NEED_PARK only makes a CPU come by. A CPU takes part from persist_cpu_online() on.
 * An idle CPU is not asked: it is in the mask `idle`, and looks whether a barrier is under way when it leaves that. In both cases,
 * joining and leaving idle, the CPU first writes its mask bit and then reads `asked`, the leader first writes `asked` and then reads
 * the masks; so one of them sees the other.
 * A parked CPU spins for a while, since barriers are short, and then halts: under an emulator, or a hypervisor with fewer CPUs than the
 * guest, the leader may be waiting for the very processor that the spinning takes.
 */
#include "kernel/glue/persist_host.h"
#include "kernel/glue/gate.h"
#include "kernel/glue/store_writer.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/irq.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/sched.h"
#include "kernel/include/time.h"
#include "kernel/include/worker.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/muldiv.h"
#include "kernel/lib/string.h"
#include "persist/section.h"
#include "persist/space.h"

_Static_assert(SPACE_START == SPACE_BASE && SPACE_PAGES << PAGE_SHIFT == SPACE_MAX, "the space's place");

static struct section sections[MAX_CPUS];
static uint32_t participants; /* [a] mask of CPUs */
static uint32_t idle;         /* [a] mask of CPUs that touch nothing of the space */
static uint32_t
        halted; /* [a] mask of CPUs that want an IPI: parked ones at the release, the leader when another parks */
static uint32_t leader;           /* CPU of the barrier under way */
static uint64_t asked, released;  /* [a] */
static uint64_t parked[MAX_CPUS]; /* [a] barrier for which the CPU waits, or waited last */

/* ---- frames ---- */

static int host_page_provide(ppn_t ppn)
{
        paddr_t pa;
        int r;

        if (arena_frame(ppn)) { /* it was read in while it was nobody's */
                arena_note_dirty(ppn);
                return 0;
        }
        pa = frame_alloc();
        if (!pa)
                return -ENOMEM;
        r = arena_map(ppn, pa, true);
        if (r) {
                frame_free(pa);
                if (r == -EEXIST)
                        arena_note_dirty(ppn);
        }
        return r == -EEXIST ? 0 : r;
}

static void *host_frame_get(void)
{
        paddr_t pa = frame_alloc_common();

        return pa ? direct(pa) : NULL;
}

static void host_frame_put(void *frame)
{
        frame_free(direct_pa(frame));
}

static int host_page_install(ppn_t ppn, void *frame)
{
        return arena_map(ppn, direct_pa(frame), false);
}

static void host_pages_withdraw(const ppn_t *ppns, unsigned n)
{
        paddr_t pa[HOST_WITHDRAW_MAX];

        for (unsigned i = 0; i < n; i++) {
                pa[i] = arena_frame(ppns[i]);
                arena_unmap(ppns[i]);
        }
        arena_flush();
        for (unsigned i = 0; i < n; i++)
                frame_free(pa[i]);
}

static bool host_page_present(ppn_t ppn)
{
        return arena_frame(ppn) != 0;
}

static uint64_t host_protect_all(bool freeze)
{
        uint64_t f = irq_save(), leaves = mmu_protect_all(freeze);

        irq_restore(f);
        return leaves;
}

bool persist_arena_fault(uint64_t addr, uint64_t err, struct frame *f)
{
        (void)f;
        if (err & 16) /* instruction fetch */
                return false;
        return space_fault(addr, err & 1, err & 2);
}

#if PHANTOM_CHECKS
static void host_guard(bool on)
{
        arena_guard(on);
}
#endif

/* ---- CPUs ---- */

#define SPINS  2000
#define NAP_NS 50000

/* Who waits longer than any section takes waits for a CPU that does not run: where CPUs are virtual ones, it may run when this one does not. */
static void host_spin(unsigned turn)
{
        if (turn < SPINS)
                cpu_relax();
        else
                vtimer_nap(NAP_NS);
}

/* Waits until done(barrier); whoever makes that true calls prod() afterwards. */
static void wait_until(bool (*done)(uint64_t barrier), uint64_t barrier)
{
        uint32_t self = 1u << cpu_this()->id;

        for (unsigned i = 0; i < SPINS; i++) {
                if (done(barrier))
                        return;
                cpu_relax();
        }
        __atomic_fetch_or(&halted, self, __ATOMIC_SEQ_CST);
        for (;;) {
                __asm__ volatile("cli" ::: "memory");
                if (done(barrier))
                        break;
                cpu_halt();
        }
        __asm__ volatile("sti" ::: "memory");
        __atomic_fetch_and(&halted, ~self, __ATOMIC_SEQ_CST);
}

static void prod(uint32_t mask)
{
        for (mask &= __atomic_load_n(&halted, __ATOMIC_SEQ_CST); mask; mask &= mask - 1)
                ipi_resched((unsigned)__builtin_ctz(mask));
}

static bool is_released(uint64_t barrier)
{
        return __atomic_load_n(&released, __ATOMIC_SEQ_CST) >= barrier;
}

/* All others are parked for the barrier, or idle. */
static bool all_parked(uint64_t barrier)
{
        uint32_t m = __atomic_load_n(&participants, __ATOMIC_SEQ_CST) & ~(1u << cpu_this()->id);

        for (m &= ~__atomic_load_n(&idle, __ATOMIC_SEQ_CST); m; m &= m - 1)
                if (__atomic_load_n(&parked[__builtin_ctz(m)], __ATOMIC_SEQ_CST) != barrier)
                        return false;
        return true;
}

void park_if_asked(void)
{
        struct cpu *c = cpu_this();
        uint64_t barrier;

        if (c->need & NEED_PARK)
                __atomic_fetch_and(&c->need, ~NEED_PARK, __ATOMIC_SEQ_CST);
        while ((barrier = __atomic_load_n(&asked, __ATOMIC_SEQ_CST)) != __atomic_load_n(&released, __ATOMIC_ACQUIRE)) {
                assert(section_quiet());
                __atomic_store_n(&parked[c->id], barrier, __ATOMIC_SEQ_CST);
                prod(1u << leader);
                wait_until(is_released, barrier);
                mmu_tlb_sync();
        }
}

void park_idle_begin(void)
{
        __atomic_fetch_or(&idle, 1u << cpu_this()->id, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&asked, __ATOMIC_SEQ_CST) != __atomic_load_n(&released, __ATOMIC_ACQUIRE))
                prod(1u << leader);
}

void park_idle_end(void)
{
        __atomic_fetch_and(&idle, ~(1u << cpu_this()->id), __ATOMIC_SEQ_CST);
        park_if_asked();
        mmu_tlb_sync();
}

static void host_park_others(void)
{
        uint64_t barrier;
        uint32_t m;

        leader = cpu_this()->id;
        barrier = __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);
        m = __atomic_load_n(&participants, __ATOMIC_SEQ_CST) & ~(1u << leader);
        for (m &= ~__atomic_load_n(&idle, __ATOMIC_SEQ_CST); m; m &= m - 1) {
                unsigned i = (unsigned)__builtin_ctz(m);

                __atomic_fetch_or(&cpus[i].need, NEED_PARK, __ATOMIC_SEQ_CST);
                ipi_resched(i);
        }
        wait_until(all_parked, barrier);
}

static void host_release_others(void)
{
        __atomic_store_n(&released, asked, __ATOMIC_SEQ_CST);
        prod(~0u);
}

static noreturn void host_abandon(void (*retry)(void *arg), void *arg)
{
        cpu_this()->in_user_fixup = false;
        __asm__ volatile("sti" ::: "memory"); /* the fault came through an interrupt gate */
        arch_stack_reset(retry, arg);
}

void persist_cpu_online(void)
{
        struct cpu *c = cpu_this();

        if (c->section)
                return;
        __atomic_fetch_or(&participants, 1u << c->id, __ATOMIC_SEQ_CST);
        park_if_asked();
        c->section = &sections[c->id];
        section_cpu_init(c->section, c->id);
}

/* ---- clocks, the writer ---- */

static void host_clock(uint64_t *mono_ns, uint64_t *real_ns)
{
        *mono_ns = time_mono_ns();
        *real_ns = time_real_ns();
}

static uint64_t host_uptime_ns(void)
{
        return mul_div(rdtsc(), 1000000, time_tsc_khz());
}

static void host_wake(const void *key)
{
        sched_wake(key, ~0u);
}

/* ---- messages, scratch ---- */

static void *host_scratch(size_t len)
{
        static void *area;
        static size_t size;

        if (len > size) {
                vfree(area);
                size = ALIGN_UP(len + len / 4, PAGE_SIZE);
                area = vmalloc(size);
                if (!area)
                        size = 0;
        }
        return area;
}

#define LARGE 65536u /* above this, mapped page by page */

static void *host_mem_alloc(size_t len)
{
        return len > LARGE ? vmalloc(len) : kmalloc(len);
}

static void host_set_aside(size_t len)
{
        frames_set_aside((len + PAGE_SIZE - 1) / PAGE_SIZE, writer_worker());
}

static void host_mem_free(void *p, size_t len)
{
        (void)len;
        kvfree(p);
}

static void __attribute__((format(printf, 1, 2))) host_log(const char *fmt, ...)
{
        char line[200];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(line, sizeof(line), fmt, ap);
        va_end(ap);
        klog(LOG_WARN, "%s", line);
}

static noreturn void __attribute__((format(printf, 1, 2))) host_panic(const char *fmt, ...)
{
        char line[200];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(line, sizeof(line), fmt, ap);
        va_end(ap);
        panic("%s", line);
}

static const struct persist_host kernel_host = {
        .page_provide = host_page_provide,
        .pages_withdraw = host_pages_withdraw,
        .page_present = host_page_present,
        .page_set_present = arena_set_present,
        .page_note_dirty = arena_note_dirty,
        .dirty_count = arena_dirty_count,
        .flush = arena_flush,
        .protect_all = host_protect_all,
        .frozen_take = arena_frozen_take,
        .page_frozen = arena_frozen,
        .page_captured = arena_captured,
        .page_is_dirty = arena_is_dirty,
        .pages_differ = pages_differ,
        .frame_get = host_frame_get,
        .frame_put = host_frame_put,
        .page_install = host_page_install,
        .check_tracking = mmu_check_p4,
        .frames_free = frames_free,
        .frames_total = frames_total,
        .evict_begin = arena_evict_begin,
        .page_evict = arena_evict,
        .evict_end = arena_evict_end,
#if PHANTOM_CHECKS
        .guard = host_guard,
#endif
        .spin = host_spin,
        .park_others = host_park_others,
        .release_others = host_release_others,
        .park_if_asked = park_if_asked,
        .abandon = host_abandon,
        .clock_ticks = rdtsc,
        .clock = host_clock,
        .uptime_ns = host_uptime_ns,
        .wake = host_wake,
        .writer_yield = writer_yield,
        .writer_pause = worker_pause,
        .writer_wake = writer_wake,
        .scratch = host_scratch,
        .mem_alloc = host_mem_alloc,
        .mem_free = host_mem_free,
        .set_aside = host_set_aside,
        .use_aside = frames_use_aside,
        .log = host_log,
        .panic = host_panic,
};
const struct persist_host *persist_host = &kernel_host;
