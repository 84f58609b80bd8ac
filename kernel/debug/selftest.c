/*
 * selftest.c - the machine layer tests itself when the command line says `selftest`: memory, page tables, traps, user mode, time, other
 * CPUs. Runs before there is anything above; prints one line for each failure, figures (TSC ticks: instructions under icount), and
 * `SELFTEST n passed, n failed`, then leaves QEMU. It runs on a stack of its own, because entries from user mode start at
 * the top of the CPU's.
 */
#include "kernel/debug/debug.h"
#include "kernel/include/acpi.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/boot.h"
#include "kernel/include/hooks.h"
#include "kernel/include/irq.h"
#include "kernel/include/mem.h"
#include "kernel/include/power.h"
#include "kernel/include/rng.h"
#include "kernel/include/sched.h"
#include "kernel/include/time.h"
#include "kernel/include/uaccess.h"
#include "kernel/include/work.h"
#include "kernel/include/worker.h"
#include "kernel/lib/string.h"

#define CODE_VA  0x400000ul
#define DATA_VA  0x600000ul
#define STACK_VA 0x800000ul
#define USER_CS  0x33
#define USER_SS  0x2b

static unsigned passed, failed;

static void check(bool ok, const char *what, unsigned line)
{
        if (ok) {
                __atomic_fetch_add(&passed, 1, __ATOMIC_RELAXED);
        } else {
                __atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
                klog(LOG_ERR, "SELFTEST failed: line %u: %s", line, what);
        }
}
#define CHECK(c) check(c, #c, __LINE__)

static void figure(const char *what, uint64_t ticks)
{
        klog(LOG_INFO, "SELFTEST figure: %s: %lu", what, ticks);
}

/* TSC ticks of the statement, the fewest of five times. */
#define TICKS(...)                                                                                                     \
        ({                                                                                                             \
                uint64_t _best = ~0ul;                                                                                 \
                for (unsigned _i = 0; _i < 5; _i++) {                                                                  \
                        uint64_t _t = rdtsc();                                                                         \
                        __VA_ARGS__;                                                                                   \
                        _t = rdtsc() - _t;                                                                             \
                        _best = MIN(_best, _t);                                                                        \
                }                                                                                                      \
                _best;                                                                                                 \
        })

/* ---- memory ---- */

static void test_frames(void)
{
        static paddr_t pa[200];
        uint64_t before = frames_free();
        paddr_t run;

        for (unsigned i = 0; i < 200; i++) {
                pa[i] = frame_alloc();
                CHECK(pa[i] && !(pa[i] & (PAGE_SIZE - 1)));
                memset(direct(pa[i]), (int)i, PAGE_SIZE);
        }
        CHECK(frames_free() == before - 200);
        for (unsigned i = 0; i < 200; i++) {
                CHECK(*(uint8_t *)direct(pa[i]) == (uint8_t)i);
                frame_free(pa[i]);
        }
        CHECK(frames_free() == before);
        run = frame_alloc_contig(5, 0);
        CHECK(run && !(run & (8 * PAGE_SIZE - 1)));
        CHECK(frames_free() == before - 5);
        frame_free_contig(run, 5);
        CHECK(frames_free() == before);
        run = frame_alloc_contig(4, 16ul << 20);
        CHECK(!run || run + 4 * PAGE_SIZE <= 16ul << 20);
        if (run)
                frame_free_contig(run, 4);
        CHECK(frame_alloc_contig(1ul << 40, 0) == 0);
        figure("frame_alloc + frame_free", TICKS(frame_free(frame_alloc())));
}

static void test_heap(void)
{
        static void *p[300];
        uint64_t before = 0;

        for (unsigned round = 0; round < 10; round++) {
                if (round == 2)
                        before = frames_free();
                for (unsigned i = 0; i < 300; i++) {
                        size_t size = i * 13 + 1;
                        p[i] = kmalloc(size);
                        CHECK(p[i] && !((uint64_t)p[i] & 15));
                        memset(p[i], (int)i, size);
                }
                for (unsigned i = 0; i < 300; i++) {
                        size_t size = i * 13 + 1;
                        CHECK(((uint8_t *)p[i])[0] == (uint8_t)i && ((uint8_t *)p[i])[size - 1] == (uint8_t)i);
                        kfree(p[i]);
                }
        }
        CHECK(frames_free() + 16 >= before); /* later rounds find what the first ones left */
        p[0] = kmalloc(100000);
        CHECK(p[0] != NULL);
        kfree(p[0]);
        kfree(NULL);
        p[1] = vmalloc(5 * PAGE_SIZE);
        CHECK(p[1] != NULL);
        memset(p[1], 1, 5 * PAGE_SIZE);
        vfree(p[1]);
        CHECK(!safe_read64((uint64_t)p[1], &before));
        figure("kmalloc + kfree", TICKS(kfree(kmalloc(64))));
}

static void test_wx(void)
{
        extern char text_start[], rodata_start[];
        uint64_t v;

        CHECK(safe_read64((uint64_t)text_start, &v));
        CHECK(!safe_read64(0xdead000000000000ul, &v)); /* not canonical */
        CHECK(!safe_read64(0xffffb07000000000ul, &v));
        CHECK(!probe_write((uint64_t)text_start));
        CHECK(!probe_write((uint64_t)rodata_start));
        CHECK(!probe_write(DIRECT_BASE + (uint64_t)text_start - KIMAGE_BASE));
        CHECK(probe_write((uint64_t)&passed));
}

/* ---- user mode ---- */

extern const char selftest_user[], selftest_user_end[], user_registers[], user_syscall_cost[], selftest_user_fault[],
        user_single_step[], user_spin[];

static void *back[5];
static struct {
        uint64_t value, addr, err;
        unsigned vector;
        struct frame frame;
} event;
enum { CAME_EXIT = 1, CAME_FAULT, CAME_TRAP, CAME_IRQ };
static volatile unsigned came;
static bool fault_resolve;
static struct mmu *space;
static paddr_t data_frame;

static noreturn void leave(unsigned how, struct frame *f)
{
        came = how;
        event.frame = *f;
        __builtin_longjmp(back, 1);
}

static void on_syscall(struct frame *f)
{
        if ((uint32_t)f->nr == 39) {
                f->rax = 7;
                arch_return_to_user(f);
        }
        event.value = f->rdi;
        leave(CAME_EXIT, f);
}

static void on_user_fault(struct frame *f, uint64_t addr, uint64_t err)
{
        event.addr = addr;
        event.err = err;
        if (fault_resolve) {
                CHECK(mmu_map(space, addr, data_frame, MMU_U | MMU_W) == 0);
                arch_return_to_user(f);
        }
        leave(CAME_FAULT, f);
}

static void on_user_trap(struct frame *f, unsigned vector, uint64_t err)
{
        event.vector = vector;
        event.err = err;
        leave(CAME_TRAP, f);
}

static void on_user_irq(struct frame *f)
{
        cpu_this()->need = 0;
        leave(CAME_IRQ, f);
}

/* Runs a program of selftest_user.S until it comes back; says how. */
static unsigned run_user(uint64_t rip, uint64_t rdi, uint64_t rflags)
{
        struct frame f = {.rip = rip,
                          .rdi = rdi,
                          .cs = USER_CS,
                          .ss = USER_SS,
                          .rflags = rflags | 0x202,
                          .rsp = STACK_VA + PAGE_SIZE};

        came = 0;
        if (!__builtin_setjmp(back))
                arch_return_to_user(&f);
        irq_restore(0x200);
        return came;
}

static uint64_t program(const char *at)
{
        return CODE_VA + (uint64_t)(at - selftest_user);
}

static void test_user(void)
{
        paddr_t code = frame_alloc(), stack = frame_alloc();
        unsigned prot;

        hooks.syscall = on_syscall;
        hooks.user_fault = on_user_fault;
        hooks.user_trap = on_user_trap;
        hooks.user_irq_return = on_user_irq;
        data_frame = frame_alloc();
        memcpy(direct(code), selftest_user, (size_t)(selftest_user_end - selftest_user));
        space = mmu_create();
        CHECK(space != NULL);
        CHECK(mmu_map(space, CODE_VA, code, MMU_U | MMU_X) == 0);
        CHECK(mmu_map(space, STACK_VA, stack, MMU_U | MMU_W) == 0);
        CHECK(mmu_lookup(space, CODE_VA, &prot) == code && prot == (MMU_U | MMU_X));
        CHECK(mmu_lookup(space, DATA_VA, &prot) == 0);
        mmu_load(space);

        CHECK(run_user(program(user_registers), 0, 0) == CAME_EXIT && event.value == 85);
        CHECK(run_user(program(user_syscall_cost), 0, 0) == CAME_EXIT);
        CHECK(run_user(program(user_syscall_cost), 0, 0) == CAME_EXIT);
        figure("system call, entry + exit + trivial handler", event.value);

        fault_resolve = false;
        CHECK(run_user(program(selftest_user_fault), DATA_VA, 0) == CAME_FAULT && event.addr == DATA_VA &&
              event.err == 6);
        CHECK(event.frame.rip == program(selftest_user_fault) && (event.frame.nr >> 32) == 1);
        CHECK(run_user(program(selftest_user_fault), CODE_VA, 0) == CAME_FAULT && event.err == 7);
        CHECK(run_user(program(selftest_user_fault), DIRECT_BASE, 0) == CAME_FAULT && event.err == 7);
        CHECK(run_user(STACK_VA, 0, 0) == CAME_FAULT && event.err == 0x15); /* not executable */
        CHECK(run_user(program(selftest_user_fault), 0x8000000000000000ul, 0) == CAME_TRAP && event.vector == 13);
        fault_resolve = true;
        CHECK(run_user(program(selftest_user_fault), DATA_VA, 0) == CAME_EXIT && event.value == 42);
        fault_resolve = false;
        CHECK(*(uint64_t *)direct(data_frame) == 42);

        /* Frames that cannot be returned to: the fault is the program's. */
        CHECK(run_user(0x8000000000000000ul, 0, 0) == CAME_TRAP && event.vector == 13 &&
              event.frame.rip == 0x8000000000000000ul);
        CHECK(run_user(0x0000800000000000ul, 0, 0) == CAME_TRAP && event.vector == 13);
        CHECK(run_user(0x00007ffffffffffful, 0, 0) == CAME_FAULT);
        CHECK(run_user(program(user_single_step), 0, 0) == CAME_TRAP && event.vector == 1);
        CHECK(run_user(program(user_registers), 0, 0x100) == CAME_TRAP && event.vector == 1);
        CHECK(run_user(program(user_registers), 0, 0) == CAME_EXIT && event.value == 85);
}

/* What a program may not do ends in #GP (or #UD), whatever the operand. */
static void test_privileged(void)
{
        static const struct {
                uint8_t code[14];
                uint8_t vector;
        } cases[] = {
                {{0xf4}, 13},                                                             /* hlt */
                {{0xfa}, 13},                                                             /* cli */
                {{0xfb}, 13},                                                             /* sti */
                {{0xec}, 13},                                                             /* in (%dx), %al */
                {{0xee}, 13},                                                             /* out */
                {{0x0f, 0x01, 0xf8}, 13},                                                 /* swapgs */
                {{0x0f, 0x20, 0xc0}, 13},                                                 /* mov %cr0, %rax */
                {{0x0f, 0x22, 0xd8}, 13},                                                 /* mov %rax, %cr3 */
                {{0x0f, 0x30}, 13},                                                       /* wrmsr */
                {{0x0f, 0x32}, 13},                                                       /* rdmsr */
                {{0x0f, 0x01, 0x10}, 13},                                                 /* lgdt (%rax) */
                {{0x0f, 0x00, 0xd8}, 13},                                                 /* ltr */
                {{0x0f, 0x01, 0x38}, 13},                                                 /* invlpg */
                {{0x0f, 0x06}, 13},                                                       /* clts */
                {{0x48, 0x0f, 0x07}, 13},                                                 /* sysret */
                {{0xcd, 0x80}, 13},                                                       /* int $0x80 */
                {{0xcd, 0x30}, 13},                                                       /* a device's vector */
                {{0xcd, 0x0e}, 13},                                                       /* a false page fault */
                {{0x0f, 0x0b}, 6},                                                        /* ud2 */
                {{0xcc}, 3},                                                              /* int3 */
                {{0x48, 0xb8, 0, 0, 0x40, 0, 0x23, 0, 0, 0, 0x50, 0xff, 0x2c, 0x24}, 13}, /* far jump to 32-bit code */
                {{0x31, 0xc9, 0x31, 0xc0, 0xf7, 0xf1}, 0},                                /* division by 0 */
                {{0x66, 0xb8, 0x18, 0, 0x8e, 0xd0}, 13}, /* the kernel's stack segment */
        };
        uint8_t *code = direct(mmu_lookup(space, CODE_VA, NULL));

        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
                memcpy(code, cases[i].code, sizeof(cases[i].code));
                CHECK(run_user(CODE_VA, 0, 0) == CAME_TRAP && event.vector == cases[i].vector);
        }
        memcpy(code, selftest_user, (size_t)(selftest_user_end - selftest_user));
}

static void irq_need(struct vtimer *t)
{
        (void)t;
        cpu_this()->need = NEED_RESCHED;
}

static void test_user_irq(void)
{
        struct vtimer t = {.fn = irq_need};

        for (unsigned i = 0; i < 20; i++) { /* on a loaded host the interrupt may come before the program has begun */
                vtimer_arm(&t, time_mono_ns() + 2000000);
                CHECK(run_user(program(user_spin), 0, 0) == CAME_IRQ);
                if (event.frame.rdi > 100)
                        break;
        }
        CHECK(event.frame.rdi > 100);
        /* need set before the return: it must not be lost. */
        cpu_this()->need = NEED_RESCHED;
        CHECK(run_user(program(user_spin), 0, 0) == CAME_IRQ);
}

/* Moves of all sizes around the steps of vector.S, and its comparing, with faults at each place; the user's vector registers stay as they were. */
static void test_long_moves(void)
{
        uint8_t *a = kmalloc(3 * PAGE_SIZE), *page = direct(data_frame);
        uint64_t v = 0x1234567812345678, w = 0x8765432187654321, x, y;

        __asm__ volatile("movq %0, %%xmm0; movq %1, %%xmm3" ::"r"(v), "r"(w));
        for (unsigned len = 500; len < 1100; len += 7) {
                unsigned off = len % 13, at = PAGE_SIZE - len + off;
                bool same = true;
                for (unsigned i = 0; i < 3 * PAGE_SIZE; i++)
                        a[i] = (uint8_t)(i * 31 + len);
                for (unsigned i = 0; i < PAGE_SIZE; i++)
                        page[i] = (uint8_t)(i ^ len);
                /* off bytes lie beyond the page. */
                CHECK(user_copy_in(a + 5, DATA_VA + at, len) == off);
                CHECK(!memcmp(a + 5, page + at, len - off) && a[4] == (uint8_t)(4 * 31 + len));
                CHECK(!off || cpu_this()->fault_addr == DATA_VA + PAGE_SIZE);
                memcpy(a + PAGE_SIZE + 3, page + at - off, len);
                CHECK(!memcmp(a + PAGE_SIZE + 3, page + at - off, len));
                memmove(a + PAGE_SIZE, a + PAGE_SIZE + 3, len); /* overlapping, down */
                CHECK(!memcmp(a + PAGE_SIZE, page + at - off, len));
                memset(a + off, (int)len, len);
                for (unsigned i = 0; i < len; i++)
                        same &= a[off + i] == (uint8_t)len;
                CHECK(same);
        }
        memcpy(a, page, PAGE_SIZE);
        CHECK(pages_differ(a, page) == 0);
        for (unsigned i = 0; i < PAGE_SIZE; i += 7) {
                a[i] ^= 1;
                CHECK(pages_differ(a, page) == 1ul << i / 64);
                a[i] ^= 1;
        }
        __asm__ volatile("movq %%xmm0, %0; movq %%xmm3, %1" : "=r"(x), "=r"(y));
        CHECK(x == v && y == w);
        figure("memset, 4096 bytes", TICKS(memset(a, 0, PAGE_SIZE)));
        figure("memcpy, 4096 bytes", TICKS(memcpy(a, page, PAGE_SIZE)));
        figure("pages_differ", TICKS(pages_differ(a, page)));
        kfree(a);
}

static void test_uaccess(void)
{
        char buf[64];
        uint64_t v;
        uint32_t w, old;
        char *page = direct(data_frame);

        CHECK(mmu_map(space, DATA_VA, data_frame, MMU_U | MMU_W) == 0);
        mmu_unmap(space, DATA_VA + PAGE_SIZE, PAGE_SIZE);
        for (unsigned i = 0; i < PAGE_SIZE; i++)
                page[i] = (char)i;
        CHECK(user_copy_in(buf, DATA_VA + 3, 61) == 0 && !memcmp(buf, page + 3, 61));
        CHECK(user_copy_in(buf, DATA_VA + PAGE_SIZE - 21, 64) == 43);
        CHECK(cpu_this()->fault_addr == DATA_VA + PAGE_SIZE && !memcmp(buf, page + PAGE_SIZE - 21, 21));
        CHECK(user_copy_out(DATA_VA + PAGE_SIZE - 5, buf, 13) == 8 && cpu_this()->fault_err == 2);
        CHECK(user_copy_in(buf, USER_TOP - 8, 16) == 16 && cpu_this()->fault_addr == USER_TOP);
        CHECK(user_copy_in(buf, DIRECT_BASE, 16) == 16);
        CHECK(user_copy_in(buf, ~0ul, 16) == 16);
        CHECK(user_copy_in(buf, 0x8000000000000000ul, 1) == 1);
        CHECK(user_copy_in(buf, DATA_VA, 0) == 0);
        CHECK(user_zero(DATA_VA + PAGE_SIZE - 9, 20) == 11 && page[PAGE_SIZE - 1] == 0 && page[PAGE_SIZE - 9] == 0);
        memcpy(page + PAGE_SIZE - 6, "hello", 6);
        CHECK(user_copy_string(buf, DATA_VA + PAGE_SIZE - 6, 64) == 5 && !strcmp(buf, "hello"));
        CHECK(user_copy_string(buf, DATA_VA + PAGE_SIZE - 6, 5) == -ENAMETOOLONG);
        page[PAGE_SIZE - 1] = 'x';
        CHECK(user_copy_string(buf, DATA_VA + PAGE_SIZE - 6, 64) == -EFAULT);
        CHECK(cpu_this()->fault_addr == DATA_VA + PAGE_SIZE);
        CHECK(user_copy_string(buf, USER_TOP, 64) == -EFAULT);
        *(uint32_t *)page = 5;
        CHECK(user_cmpxchg32(DATA_VA, 5, 6, &old) == 0 && old == 5 && *(uint32_t *)page == 6);
        CHECK(user_cmpxchg32(DATA_VA, 5, 7, &old) == 0 && old == 6 && *(uint32_t *)page == 6);
        CHECK(user_cmpxchg32(DATA_VA + PAGE_SIZE, 5, 7, &old) == -EFAULT);
        CHECK(user_read32(DATA_VA, &w) == 0 && w == 6);
        CHECK(user_read64(DATA_VA + PAGE_SIZE, &v) == -EFAULT);
        CHECK(mmu_map(space, DATA_VA, data_frame, MMU_U) == 0); /* read-only: CR0.WP counts */
        CHECK(user_copy_out(DATA_VA, buf, 8) == 8 && cpu_this()->fault_err == 3);
        CHECK(user_copy_in(buf, DATA_VA, 8) == 0);
        figure("user_copy_in, 64 bytes", TICKS(user_copy_in(buf, DATA_VA, 64)));
        figure("user_copy_in, 4096 bytes", TICKS(user_copy_in(page, DATA_VA, 4096)));
        test_long_moves();
}

/* ---- page tables ---- */

static bool writable(uint64_t va)
{
        return user_zero(va, 1) == 0;
}

/* An address space with many dirty tables is withheld as a whole, and settled when it is written to. */
static void test_many_tables(struct mmu *m, uint64_t base)
{
        const uint64_t table = 512 * PAGE_SIZE, device = base + 200 * table;
        unsigned few = 0, many, prot;

        CHECK(mmu_map(m, device, data_frame, MMU_U | MMU_W | MMU_DEVICE) == 0);
        for (unsigned tables = 10; tables <= 100; tables += 90) {
                mmu_protect_all(false);
                for (unsigned i = 0; i < tables; i++)
                        CHECK(mmu_map(m, base + i * table, data_frame, MMU_U | MMU_W) == 0);
                CHECK(writable(base) && writable(base + (tables - 1) * table));
                many = mmu_protect_all(false);
                if (tables == 10)
                        few = many;
        }
        CHECK(many == few && many < 10);
        CHECK(mmu_protect_all(false) == 0);
        for (unsigned i = 0; i < 100; i++)
                CHECK(!writable(base + i * table) && mmu_lookup(m, base + i * table, &prot) == data_frame &&
                      prot == MMU_U);
        mmu_unmap(m, base + 50 * table, table);
        mmu_protect(m, base + 60 * table, 2 * table);
        CHECK(mmu_map(m, base + 0x8000000000, data_frame, MMU_U) == 0); /* a new PDPT */
        CHECK(mmu_map(m, base + 99 * table, data_frame, MMU_U | MMU_W) == 0);
        for (unsigned i = 0; i < 100; i++)
                CHECK(writable(base + i * table) == (i == 99));
        CHECK(writable(device) && mmu_protect_all(false) == 1);
        /* A device's page faults when its space is withheld, and is mapped again. */
        for (unsigned i = 0; i < 10; i++)
                CHECK(mmu_map(m, base + i * table, data_frame, MMU_U | MMU_W) == 0);
        mmu_protect_all(false);
        CHECK(!writable(device) && mmu_map(m, device, data_frame, MMU_U | MMU_W | MMU_DEVICE) == 0 &&
              writable(device) && !writable(base));
        for (unsigned i = 0; i < 10; i++)
                CHECK(mmu_map(m, base + i * table, data_frame, MMU_U | MMU_W) == 0);
        mmu_protect_all(false); /* unmapped, or destroyed, as it is */
        mmu_unmap(m, base, 1ul << 40);
}

static void test_mmu(void)
{
        uint64_t base = 0x10000000, before;
        unsigned prot;
        struct mmu *m, *many[12];
        paddr_t pa = data_frame;

        for (unsigned i = 0; i < 12; i++) { /* stocks filled and emptied */
                many[i] = mmu_create();
                for (unsigned k = 0; k < 6; k++)
                        CHECK(mmu_map(many[i], base + k * 0x40200000ul, pa, MMU_U) == 0);
        }
        for (unsigned i = 0; i < 12; i++)
                mmu_destroy(many[i]);
        before = frames_free();
        for (unsigned i = 0; i < 3; i++) {
                m = mmu_create();
                CHECK(mmu_map(m, base, pa, MMU_U) == 0);
                CHECK(mmu_lookup(m, base + 0x200000, NULL) == 0);
                mmu_destroy(m);
        }
        CHECK(frames_free() == before);

        m = mmu_create();
        mmu_load(m);
        for (unsigned i = 0; i < 600; i++)
                CHECK(mmu_map(m, base + i * PAGE_SIZE, pa, MMU_U | MMU_W) == 0);
        CHECK(writable(base) && writable(base + 511 * PAGE_SIZE));
        mmu_protect(m, base, 4 * PAGE_SIZE); /* single leaves */
        CHECK(!writable(base) && writable(base + 4 * PAGE_SIZE));
        CHECK(mmu_map(m, base, pa, MMU_U | MMU_W) == 0 && writable(base));
        mmu_protect(m, base, 600 * PAGE_SIZE); /* one table withheld, one not */
        CHECK(!writable(base) && !writable(base + 100 * PAGE_SIZE) && !writable(base + 599 * PAGE_SIZE));
        CHECK(mmu_lookup(m, base, &prot) == pa && prot == MMU_U);
        CHECK(mmu_map(m, base + 7 * PAGE_SIZE, pa, MMU_U | MMU_W) == 0); /* pushes down */
        CHECK(writable(base + 7 * PAGE_SIZE) && !writable(base + 8 * PAGE_SIZE) && !writable(base));
        for (unsigned i = 0; i < 600; i++)
                CHECK(mmu_map(m, base + i * PAGE_SIZE, pa, MMU_U | MMU_W) == 0);
        CHECK(mmu_map(m, base - PAGE_SIZE, pa, MMU_U | MMU_W | MMU_DEVICE) == 0);
        CHECK(mmu_protect_all(false) >= 2);
        CHECK(!writable(base) && !writable(base + 599 * PAGE_SIZE) && writable(base - PAGE_SIZE));
        CHECK(mmu_protect_all(false) == 0);
        CHECK(mmu_map(m, base + 9 * PAGE_SIZE, pa, MMU_U | MMU_W) == 0 && writable(base + 9 * PAGE_SIZE));
        CHECK(mmu_protect_all(false) == 1 && !writable(base + 9 * PAGE_SIZE));
        CHECK(mmu_map(m, base + PAGE_SIZE, pa, MMU_U | MMU_W | MMU_DEVICE) == 0); /* into a withheld table */
        CHECK(writable(base + PAGE_SIZE) && !writable(base + 2 * PAGE_SIZE));
        mmu_set_x(m, base, PAGE_SIZE, true);
        CHECK(mmu_lookup(m, base, &prot) == pa && (prot & MMU_X));
        CHECK(mmu_accessed_clear(m, base) && !mmu_accessed_clear(m, base));
        test_many_tables(m, base + 0x40000000);
        mmu_unmap(m, base + 5 * PAGE_SIZE, 10 * PAGE_SIZE);
        CHECK(mmu_lookup(m, base + 5 * PAGE_SIZE, NULL) == 0 && mmu_lookup(m, base + 15 * PAGE_SIZE, NULL) == pa);
        mmu_unmap(m, 0, USER_TOP);
        CHECK(mmu_lookup(m, base, NULL) == 0 && !writable(base));
        CHECK(mmu_map(m, base, pa, MMU_U | MMU_W) == 0 && writable(base));
        figure("mmu_map, leaf table there", TICKS(mmu_map(m, base + PAGE_SIZE, pa, MMU_U | MMU_W)));
        figure("mmu_map, read-only to writable", ({
                       uint64_t n = ~0ul;
                       for (int i = 0; i < 3; i++) {
                               mmu_map(m, base + PAGE_SIZE, pa, MMU_U);
                               uint64_t t = rdtsc();
                               mmu_map(m, base + PAGE_SIZE, pa, MMU_U | MMU_W);
                               t = rdtsc() - t;
                               n = MIN(n, t);
                       }
                       n;
               }));
        figure("mmu_map + mmu_unmap, one page",
               TICKS(mmu_map(m, base, pa, MMU_U | MMU_W), mmu_unmap(m, base, PAGE_SIZE)));
        mmu_load(NULL);
        mmu_destroy(m);
        figure("mmu_create + mmu_destroy, empty", TICKS(mmu_destroy(mmu_create())));
        figure("mmu_create + 4 pages in 3 tables + mmu_destroy",
               TICKS(m = mmu_create(), mmu_map(m, CODE_VA, pa, MMU_U),
                     mmu_map(m, CODE_VA + PAGE_SIZE, pa, MMU_U | MMU_W), mmu_map(m, 0x7ffff0000000, pa, MMU_U | MMU_W),
                     mmu_map(m, 0x7fffe0000000, pa, MMU_U), mmu_destroy(m)));
        figure("mmu_load, two of them", TICKS(mmu_load(space), mmu_load(NULL)));
        mmu_load(space);
}

/* ---- the arena ---- */

static unsigned arena_faults;

static bool on_arena_fault(uint64_t addr, uint64_t err, struct frame *f)
{
        ppn_t ppn = (addr - SPACE_BASE) >> PAGE_SHIFT;

        (void)f;
        arena_faults++;
        if (err & 1)
                CHECK(arena_note_dirty(ppn));
        else
                arena_set_present(ppn, true);
        return true;
}

static void take_frozen(ppn_t first, unsigned step, unsigned n)
{
        ppn_t got[8];
        unsigned taken = 0, k;

        while ((k = arena_frozen_take(got, 8)))
                for (unsigned i = 0; i < k; i++, taken++)
                        CHECK(got[i] == first + taken * step);
        CHECK(taken == n);
}

/* A GiB with many dirty tables is withheld as a whole; who asks about it finds it as if it had been done at the barrier. */
static void test_many_arena_tables(ppn_t first, paddr_t pa)
{
        const unsigned step = 512, n = 100;
        unsigned few = 0, many;

        mmu_protect_all(true);
        take_frozen(0, 0, 0);
        for (unsigned i = 0; i < n; i++)
                CHECK(arena_map(first + i * step, pa, false) == 0 && !arena_is_dirty(first + i * step));
        for (unsigned tables = 10; tables <= n; tables += 90) {
                for (unsigned i = 0; i < tables; i++)
                        CHECK(arena_note_dirty(first + i * step));
                CHECK(arena_dirty_count() == tables);
                many = mmu_protect_all(true);
                if (tables == 10)
                        few = many;
                mmu_check_p4();
                CHECK(arena_dirty_count() == 0 && mmu_protect_all(false) == 0);
                take_frozen(first, step, tables);
                for (unsigned i = 0; i < tables; i++) {
                        CHECK(arena_frozen(first + i * step) && !arena_frozen(first + i * step + 1));
                        arena_captured(first + i * step);
                        CHECK(!arena_frozen(first + i * step) && !arena_is_dirty(first + i * step));
                }
        }
        CHECK(many == few && many < 10);
        /* Written to, and unmapped, before anybody takes the set. */
        for (unsigned i = 0; i < n; i++)
                CHECK(arena_note_dirty(first + i * step));
        mmu_protect_all(true);
        CHECK(arena_frozen(first + 7 * step) && arena_note_dirty(first + 7 * step) && arena_dirty_count() == 1);
        mmu_check_p4();
        arena_unmap(first + 8 * step);
        arena_flush();
        CHECK(!arena_frozen(first + 8 * step) && arena_frozen(first + 9 * step) && arena_frozen(first + 7 * step));
        take_frozen(first, step, n);
        for (unsigned i = 0; i < n; i++) {
                arena_captured(first + i * step);
                arena_unmap(first + i * step);
        }
        arena_flush();
        mmu_protect_all(false);
        mmu_check_p4();
}

static void test_arena(void)
{
        ppn_t ppn = 0x12345;
        volatile uint64_t *p = (void *)(SPACE_BASE + (ppn << PAGE_SHIFT));
        paddr_t pa = frame_alloc();
        uint64_t v, t;

        hooks.arena_fault = on_arena_fault;
        mmu_protect_all(false);
        CHECK(arena_frame(ppn) == 0);
        CHECK(arena_map(ppn, pa, true) == 0 && arena_frame(ppn) == pa && arena_is_dirty(ppn));
        CHECK(arena_dirty_count() == 1 && !arena_note_dirty(ppn));
        *p = 1;
        CHECK(arena_faults == 0);
        CHECK(mmu_protect_all(false) == 1 && !arena_is_dirty(ppn) && arena_dirty_count() == 0);
        v = *p;
        CHECK(v == 1 && arena_faults == 0);
        t = rdtsc();
        *p = 2;
        t = rdtsc() - t;
        CHECK(arena_faults == 1 && arena_is_dirty(ppn) && *(uint64_t *)direct(pa) == 2);
        figure("first store to a page of the space, fault included", t);
        arena_set_present(ppn, false);
        arena_flush();
        CHECK(arena_frame(ppn) == 0 && !safe_read64((uint64_t)p, &v));
        v = *p;
        CHECK(v == 2 && arena_faults == 2 && arena_frame(ppn) == pa);
        CHECK(!safe_read64((uint64_t)p + PAGE_SIZE, &v));

        *p = 3;
        if (arena_guard(true)) {
                v = *p;
                CHECK(v == 3 && !probe_write((uint64_t)p));
                arena_guard(false);
        }
        CHECK(probe_write((uint64_t)p));

        /* P4: a user leaf may be writable only while its page is noted dirty. The data page plays a page of the space. */
        CHECK(arena_map(ppn + 1, data_frame, true) == 0);
        mmu_unmap(space, 0, USER_TOP);
        CHECK(mmu_map(space, DATA_VA, data_frame, MMU_U | MMU_W) == 0);
        mmu_check_p4();
        mmu_protect_all(false);
        mmu_check_p4();
        CHECK(!writable(DATA_VA));

        /* Many: tables withheld and pushed down. */
        for (unsigned i = 0; i < 400; i++)
                CHECK(arena_map(ppn + 0x1000 + i, pa, true) == 0);
        CHECK(arena_dirty_count() == 400);
        figure("mmu_protect_all, 400 pages in one table", ({
                       uint64_t s = rdtsc();
                       mmu_protect_all(false);
                       rdtsc() - s;
               }));
        mmu_check_p4();
        CHECK(!arena_is_dirty(ppn + 0x1000));
        CHECK(arena_note_dirty(ppn + 0x1001) && arena_is_dirty(ppn + 0x1001) && !arena_is_dirty(ppn + 0x1000));
        mmu_check_p4();
        for (unsigned i = 0; i < 16; i++)
                CHECK(arena_note_dirty(ppn + 0x1000 + 2 * i));
        figure("mmu_protect_all, 17 pages in one table", ({
                       uint64_t s = rdtsc();
                       mmu_protect_all(false);
                       rdtsc() - s;
               }));
        for (unsigned i = 0; i < 400; i++)
                arena_unmap(ppn + 0x1000 + i);
        arena_flush();
        CHECK(arena_frame(ppn + 0x1000) == 0);
        test_many_arena_tables(ppn + 0x80000, pa);
        arena_unmap(ppn);
        arena_unmap(ppn + 1);
        arena_flush();
        frame_free(pa);
}

/* ---- vector state, randomness, time ---- */

static void test_fpu(void)
{
        void *area = kzalloc(fpu_size() + 64), *area2 = kzalloc(fpu_size() + 64);
        void *a = (void *)ALIGN_UP((uint64_t)area, 64ul), *b = (void *)ALIGN_UP((uint64_t)area2, 64ul);
        uint64_t v = 0x1122334455667788;

        CHECK(fpu_size() >= 512 && (fpu_features() & 3) == 3);
        fpu_init_area(a);
        fpu_init_area(b);
        CHECK(fpu_sanitize(a));
        fpu_restore(a);
        __asm__ volatile("movq %0, %%xmm3" ::"r"(v));
        fpu_save(a);
        fpu_restore(b);
        __asm__ volatile("movq %%xmm3, %0" : "=r"(v));
        CHECK(v == 0);
        fpu_restore(a);
        __asm__ volatile("movq %%xmm3, %0" : "=r"(v));
        CHECK(v == 0x1122334455667788);
        ((uint32_t *)b)[6] = ~0u; /* MXCSR */
        CHECK(!fpu_sanitize(b));
        fpu_init_area(b);
        if (fpu_size() > 512) {
                ((uint64_t *)b)[64] = 1ul << 62;
                CHECK(!fpu_sanitize(b));
                ((uint64_t *)b)[64] = 0;
                ((uint64_t *)b)[66] = 1;
                CHECK(!fpu_sanitize(b));
        }
        figure("fpu_save + fpu_restore", TICKS(fpu_save(a), fpu_restore(a)));
        kfree(area);
        kfree(area2);
}

static void test_rng(void)
{
        uint8_t a[100] = {0}, b[100] = {0};
        unsigned same = 0;

        rng_bytes(a, sizeof(a));
        rng_bytes(b, sizeof(b));
        for (unsigned i = 0; i < 100; i++)
                same += a[i] == b[i];
        CHECK(same < 20);
        rng_bytes(a, 5);
        rng_bytes(b, 5);
        CHECK(memcmp(a, b, 5));
}

static volatile unsigned fired;
static uint64_t fired_order[4];

static void on_timer(struct vtimer *t)
{
        if (fired < 4)
                fired_order[fired] = t->deadline_ns;
        fired++;
        cpu_this()->need = NEED_WORK; /* else one that comes just before the sleep would not end it */
}

static void test_time(void)
{
        struct vtimer t[3] = {{.fn = on_timer}, {.fn = on_timer}, {.fn = on_timer}};
        uint64_t from = time_mono_ns(), last = from, now;
        struct time_vdso v = {0};

        for (unsigned i = 0; i < 1000; i++) {
                now = time_mono_ns();
                CHECK(now >= last);
                last = now;
        }
        vtimer_arm(&t[0], from + 150000000);
        vtimer_arm(&t[1], from + 50000000);
        vtimer_arm(&t[2], from + 100000000);
        vtimer_arm(&t[0], from + 200000000); /* again */
        vtimer_cancel(&t[2]);
        CHECK(t[0].index && !t[2].index);
        while (fired < 2 && time_mono_ns() < from + 2 * NSEC_PER_SEC) {
                arch_idle();
                cpu_this()->need = 0;
        }
        CHECK(fired == 2 && fired_order[0] == from + 50000000 && fired_order[1] == from + 200000000);
        CHECK(time_mono_ns() >= from + 200000000);
        vtimer_cancel(&t[2]);
        time_vdso_fill(&v);
        now = v.mono_base_ns + (uint64_t)((unsigned __int128)(rdtsc() - v.tsc_base) * v.mult >> v.shift);
        CHECK(now - time_mono_ns() + 100000000 < 200000000);
        CHECK(time_real_ns() > 1600000000ul * NSEC_PER_SEC);
        now = time_real_ns();
        time_set_mono_base(1000 * NSEC_PER_SEC);
        CHECK(time_mono_ns() - 1000 * NSEC_PER_SEC < NSEC_PER_SEC && time_real_ns() - now < NSEC_PER_SEC);
        figure("time_mono_ns", TICKS(time_mono_ns()));
        figure("vtimer_arm + vtimer_cancel", TICKS(vtimer_arm(&t[0], ~0ul >> 1), vtimer_cancel(&t[0])));
}

/* ---- workers ---- */

#define ROUNDS 1000

static struct worker *ring[MAX_CPUS], *ping, *pong, *tester; /* ring: one on each other CPU */
static volatile unsigned ball, pong_seen, barriers, works;
static volatile unsigned ring_at, ring_rounds;

static void hooks_none(void)
{
}

static bool on_cpu_stack(void)
{
        uint64_t here = (uint64_t)__builtin_frame_address(0);

        return cpu_this()->stack_top - here < 32768 && !worker_this();
}

static void gate_stand_in(bool may_park)
{
        struct work *w;

        (void)may_park;

        CHECK(on_cpu_stack());
        if (cpu_this()->need & NEED_PARK) {
                __atomic_fetch_and(&cpu_this()->need, ~NEED_PARK, __ATOMIC_SEQ_CST);
                barriers++;
        }
        while ((w = work_take()))
                w->fn(w);
}

static void hooks_for_workers(void)
{
        sched_hooks.idle = hooks_none;
        sched_hooks.awake = hooks_none;
        sched_hooks.gate = gate_stand_in;
}

/* Waits for its number, passes the token to the next CPU's. */
static void ring_member(void *unused)
{
        unsigned self = cpu_this()->id;

        (void)unused;
        for (;;) {
                while (ring_at != self)
                        worker_sleep(0);
                if (self == cpu_count - 1)
                        ring_rounds++;
                ring_at = (self + 1) % cpu_count;
                worker_wake(ring_at ? ring[ring_at] : tester);
        }
}

static void on_work(struct work *w)
{
        (void)w;
        works++;
        CHECK(on_cpu_stack());
        worker_wake(tester);
}

static struct work item = {.fn = on_work};

static void on_barrier_timer(struct vtimer *t)
{
        __atomic_fetch_or(&cpu_this()->need, NEED_PARK, __ATOMIC_SEQ_CST);
        work_queue(&item);
        vtimer_arm(t, time_mono_ns() + 200000);
}

static void play(volatile unsigned *seen, unsigned mine, struct worker *const *other)
{
        volatile char deep[2000]; /* lives on the worker's stack over all sleeps */
        unsigned sum = 0;

        memset((void *)deep, (int)mine, sizeof(deep));
        while (ball < 2 * ROUNDS) {
                while (ball % 2 != mine && ball < 2 * ROUNDS)
                        worker_sleep(0);
                if (ball < 2 * ROUNDS)
                        ball++;
                worker_wake(*other);
                if (ball % 64 == mine)
                        worker_yield();
        }
        for (unsigned i = 0; i < sizeof(deep); i++)
                sum += (unsigned char)deep[i];
        CHECK(sum == sizeof(deep) * mine);
        *seen = 1;
        worker_wake(tester);
}

static void ping_main(void *seen)
{
        play(seen, 0, &pong);
        for (;;)
                worker_sleep(0);
}

static void pong_main(void *seen)
{
        uint64_t end, now;

        play(seen, 1, &ping);
        /* Never wanted, never asleep: it lives by worker_yield. */
        for (end = time_mono_ns() + 50000000; (now = time_mono_ns()) < end;)
                worker_yield();
        pong_seen = 2;
        for (;;)
                worker_sleep(now + 3600 * NSEC_PER_SEC);
}

static void test_workers(void)
{
        static volatile unsigned ping_seen;
        struct vtimer t = {.fn = on_barrier_timer};
        uint64_t from, until;

        tester = worker_this();
        CHECK(tester && !strcmp(worker_name(tester), "selftest") && !on_cpu_stack() && !cpu_this()->current);
        vtimer_arm(&t, time_mono_ns() + 200000);

        from = time_mono_ns();
        do
                worker_sleep(from + 20000000);
        while (time_mono_ns() < from + 20000000);
        CHECK(barriers > 0 && works > 0);
        vtimer_cancel(&t);
        worker_sleep(time_mono_ns() + 1000000); /* whatever wake was left is used up */
        worker_wake(tester);
        worker_sleep(0); /* at once */
        from = time_mono_ns();
        worker_sleep(from + 5000000);
        CHECK(time_mono_ns() >= from + 5000000);
        from = time_mono_ns();
        worker_sleep(1); /* long ago */
        CHECK(time_mono_ns() < from + NSEC_PER_SEC);
        vtimer_arm(&t, time_mono_ns() + 200000);

        ping = worker_create("ping", ping_main, (void *)&ping_seen);
        pong = worker_create("pong", pong_main, (void *)&pong_seen);
        CHECK(ping && pong && ball == 0);
        from = time_mono_ns();
        while (!(ping_seen && pong_seen == 2) && time_mono_ns() < from + 20 * NSEC_PER_SEC)
                worker_sleep(time_mono_ns() + 10000000);
        CHECK(ping_seen && pong_seen == 2 && ball == 2 * ROUNDS);
        vtimer_cancel(&t);

        until = time_mono_ns() + 20 * NSEC_PER_SEC;
        for (unsigned i = 0; cpu_count > 1 && i < 500; i++) {
                ring_at = 1;
                worker_wake(ring[1]);
                while (ring_at && time_mono_ns() < until)
                        worker_sleep(until);
        }
        CHECK(cpu_count == 1 || ring_rounds == 500);
        figure("worker_yield, nothing waits", TICKS(worker_yield()));
        figure("worker_yield through the gate",
               TICKS(__atomic_fetch_or(&cpu_this()->need, NEED_PARK, __ATOMIC_SEQ_CST), worker_yield()));
}

/* ---- other CPUs ---- */

static volatile unsigned up, stale, reads;
static volatile unsigned turn; /* odd: the page is not mapped */
static volatile bool quit;
static volatile unsigned quitted;
static struct spinlock count_lock;
static uint64_t locked_count;

static void other_cpu(void)
{
        __atomic_fetch_add(&up, 1, __ATOMIC_SEQ_CST);
        mmu_load(space);
        while (!quit) {
                unsigned before = turn;
                uint32_t v;
                barrier();
                if (user_read32(DATA_VA, &v) == 0) {
                        reads++;
                        if ((before & 1) && turn == before)
                                stale++;
                }
                kfree(kmalloc(100));
                frame_free(frame_alloc());
                uint64_t f = spin_lock(&count_lock);
                locked_count++;
                spin_unlock(&count_lock, f);
        }
        mmu_load(NULL);
        hooks_for_workers();
        CHECK((ring[cpu_this()->id] = worker_create("ring", ring_member, NULL)) != NULL);
        __atomic_fetch_add(&quitted, 1, __ATOMIC_SEQ_CST);
        arch_stack_reset(sched_loop, NULL);
}

static void test_smp(void)
{
        unsigned others = cpu_count - 1;
        uint64_t end, t = 0;

        hooks.cpu_start = other_cpu;
        smp_release();
        end = time_mono_ns() + 10 * NSEC_PER_SEC;
        while (up < others && time_mono_ns() < end)
                cpu_relax();
        CHECK(up == others);
        if (!others)
                return;
        for (unsigned i = 0; i < 100; i++) {
                unsigned r = reads;
                if (i)
                        turn++;
                CHECK(mmu_map(space, DATA_VA, data_frame, MMU_U) == 0);
                end = time_mono_ns() + 10 * NSEC_PER_SEC;
                while (reads == r && time_mono_ns() < end)
                        cpu_relax();
                t -= rdtsc();
                mmu_unmap(space, DATA_VA, PAGE_SIZE);
                t += rdtsc();
                turn++;
                for (unsigned k = 0; k < 100; k++)
                        cpu_relax();
                arena_flush();
        }
        CHECK(stale == 0);
        figure("mmu_unmap, one page, with shoot-down (mean)", t / 100);
        quit = true;
        while (quitted < others && time_mono_ns() < end + 10 * NSEC_PER_SEC)
                cpu_relax();
        CHECK(quitted == others && locked_count > 0);
        vfree(vmalloc(PAGE_SIZE)); /* while the others sleep */
}

static void selftest_end(void *unused)
{
        (void)unused;
        test_workers();
        klog(LOG_INFO, "SELFTEST %u passed, %u failed", passed, failed);
        power_test_exit(failed ? 1 : 0);
        power_off();
        panic("the machine does not switch off");
}

static void selftest_main(void *unused)
{
        (void)unused;
        irq_restore(0x200);
        test_frames();
        test_heap();
        test_wx();
        test_user();
        test_privileged();
        test_user_irq();
        test_uaccess();
        test_mmu();
        test_arena();
        test_fpu();
        test_rng();
        test_time();
        sched_init();
        test_smp();
        mmu_load(NULL);
        hooks_for_workers();
        CHECK(worker_create("selftest", selftest_end, NULL) != NULL);
        arch_stack_reset(sched_loop, NULL);
}

noreturn void selftest_run(void)
{
        char *stack = vmalloc(32768);

        stack_start((uint64_t)stack + 32768, selftest_main, NULL);
}
