/*
 * panic.c - the end of the world: say why and from where, stop the other CPUs, then what the command line says: panic=exit leaves QEMU
 * (tests), panic=reset starts again, kdb opens the debugger, else the machine halts with the text on its screen.
 *
 * Stacks are walked by frame pointers; each word is read through safe_read64, so a ruined stack ends the list and nothing else. An odd
 * frame pointer is the mark that entry.S leaves: a struct frame lies there (interrupt or exception in ring 0).
 */
#include <stdarg.h>
#include "kernel/debug/debug.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/power.h"
#include "kernel/include/worker.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define DEPTH_MAX 40

static uint32_t panicking; /* CPU + 1 */

static void print_address(uint64_t addr)
{
        uint64_t offset = 0;
        const char *name = ksym_find(addr, &offset);
        klog(LOG_ERR, "  %016lx %s+0x%lx", addr, name ? name : "?", offset);
}

void backtrace_print(uint64_t rbp)
{
        for (unsigned depth = 0; depth < DEPTH_MAX && rbp; depth++) {
                uint64_t next, rip;
                if (rbp & 1) {
                        struct frame f;
                        uint64_t *words = (uint64_t *)&f;
                        for (unsigned i = 0; i < sizeof(f) / 8; i++) {
                                if (!safe_read64(rbp - 1 + i * 8, &words[i]))
                                        return;
                        }
                        klog(LOG_ERR, "  -- %s --", vector_name((uint8_t)f.nr));
                        print_address(f.rip);
                        rbp = f.cs & 3 ? 0 : f.rbp;
                        continue;
                }
                if (!safe_read64(rbp, &next) || !safe_read64(rbp + 8, &rip) || !rip)
                        return;
                print_address(rip);
                if (!(next & 1) && next <= rbp && next + (1 << 16) > rbp) /* must go up, or be another stack */
                        return;
                rbp = next;
        }
}

static void print_worker(void)
{
        if (worker_this())
                klog(LOG_ERR, "  in worker %s", worker_name(worker_this()));
}

void frame_print(const struct frame *f)
{
        klog(LOG_ERR, "rip %016lx cs %02lx rflags %06lx rsp %016lx ss %02lx err %lx", f->rip, f->cs, f->rflags, f->rsp,
             f->ss, f->err);
        klog(LOG_ERR, "rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
        klog(LOG_ERR, "rsi %016lx rdi %016lx rbp %016lx r8  %016lx", f->rsi, f->rdi, f->rbp, f->r8);
        klog(LOG_ERR, "r9  %016lx r10 %016lx r11 %016lx r12 %016lx", f->r9, f->r10, f->r11, f->r12);
        klog(LOG_ERR, "r13 %016lx r14 %016lx r15 %016lx", f->r13, f->r14, f->r15);
}

static noreturn void halt(void)
{
        for (;;)
                __asm__ volatile("cli; hlt");
}

/* False: this CPU panics inside its own panic, or after another: it must be quiet. */
static bool panic_begin(void)
{
        uint32_t expect = 0, me = cpu_this()->id + 1;

        irq_save();
        if (!__atomic_compare_exchange_n(&panicking, &expect, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
                if (expect == me) {
                        static unsigned nested;
                        if (nested++ == 0)
                                klog(LOG_ERR, "panic inside panic");
                        return nested == 1;
                }
                halt();
        }
        klog_enter_panic();
        ipi_stop_others();
        return true;
}

static noreturn void panic_end(const struct frame *f, uint64_t rbp)
{
        char how[16] = "";

        boot_option("panic", how, sizeof(how));
        if (!strcmp(how, "exit"))
                power_test_exit(PANIC_EXIT_STATUS);
        if (!strcmp(how, "reset"))
                power_reset();
        if (!klog_has_screen()) /* last: it takes memory, and locks may be held */
                early_screen_start();
        if (boot_option("kdb", NULL, 0))
                kdb_enter(f, rbp);
        klog(LOG_ERR, "halted");
        halt();
}

noreturn void panic(const char *fmt, ...)
{
        char text[256];
        va_list ap;

        if (panic_begin()) {
                va_start(ap, fmt);
                vsnprintf(text, sizeof(text), fmt, ap);
                va_end(ap);
                klog(LOG_ERR, "PANIC on CPU %u: %s", cpu_this()->id, text);
                print_worker();
                backtrace_print((uint64_t)__builtin_frame_address(0));
        }
        panic_end(NULL, (uint64_t)__builtin_frame_address(0));
}

noreturn void panic_trap(struct frame *f, const char *what, uint64_t addr)
{
        if (panic_begin()) {
                klog(LOG_ERR, "PANIC on CPU %u: %s at %016lx, address %016lx", cpu_this()->id, what, f->rip, addr);
                print_worker();
                frame_print(f);
                backtrace_print((uint64_t)f | 1);
        }
        panic_end(f, 0);
}
