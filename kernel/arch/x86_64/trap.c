/*
 * trap.c - exceptions and interrupts, after entry.S has built the frame. Those from user mode go to the hooks, which do not come back unless
 * nothing is to be done; those from ring 0 are interrupts, faults on the space (hooks.arena_fault), faults that the exception table expects
 * (user copies, probing reads), or the kernel's end.
 */
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/hooks.h"
#include "kernel/include/log.h"

struct kernel_hooks hooks;

struct ex_entry {
        uint64_t from, end, to, any_address;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

const char *vector_name(unsigned vector)
{
        static const char *const names[] = {"divide error",
                                            "debug",
                                            "NMI",
                                            "breakpoint",
                                            "overflow",
                                            "bound range",
                                            "invalid opcode",
                                            "no coprocessor",
                                            "double fault",
                                            "coprocessor overrun",
                                            "invalid TSS",
                                            "segment not present",
                                            "stack fault",
                                            "general protection",
                                            "page fault",
                                            "exception 15",
                                            "x87 error",
                                            "alignment check",
                                            "machine check",
                                            "SIMD error",
                                            "virtualization",
                                            "control protection"};
        if (vector < ARRAY_SIZE(names))
                return names[vector];
        return vector < 32 ? "exception" : "interrupt";
}

static const struct ex_entry *ex_find(uint64_t rip)
{
        for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++) {
                if (rip - e->from < e->end - e->from)
                        return e;
        }
        return NULL;
}

static void kernel_page_fault(struct frame *f)
{
        uint64_t addr = read_cr(2);
        struct cpu *c = cpu_this();
        const struct ex_entry *e;

        if (addr - SPACE_BASE < SPACE_MAX && !c->probing) {
                if (unlikely(f->err & PF_KEY))
                        panic_trap(f, "P14: store to the space before section_changes", addr);
                if (!(f->err & 1) && f->rflags & RFLAGS_IF) /* it may have to wait for a disk */
                        irq_enable();
                if (hooks.arena_fault && hooks.arena_fault(addr, f->err, f)) {
                        irq_disable();
                        return;
                }
                panic_trap(f, "page fault on the space", addr);
        }
        e = ex_find(f->rip);
        if (e && (addr < USER_TOP || e->any_address)) {
                c->fault_addr = addr;
                c->fault_err = f->err;
                f->rip = e->to;
                return;
        }
        panic_trap(f, f->err & 1 ? "page fault (protection)" : "page fault (not present)", addr);
}

void trap_from_kernel(struct frame *f)
{
        unsigned vector = (uint8_t)f->nr;
        const struct ex_entry *e;

        if (vector >= 32) {
                irq_dispatch(vector);
                return;
        }
        if (vector == VECTOR_PF) {
                kernel_page_fault(f);
                return;
        }
        e = vector == VECTOR_GP ? ex_find(f->rip) : NULL;
        if (e) { /* a non-canonical address in a copy or a probe */
                cpu_this()->fault_addr = 0;
                cpu_this()->fault_err = 0;
                f->rip = e->to;
                return;
        }
        panic_trap(f, vector_name(vector), 0);
}

void trap_from_user(struct frame *f)
{
        unsigned vector = (uint8_t)f->nr;

        if (vector >= 32) {
                cpu_this()->irq_from_user = true;
                irq_dispatch(vector);
                cpu_this()->irq_from_user = false;
                if (unlikely(cpu_this()->need) && hooks.user_irq_return) {
                        irq_enable();
                        hooks.user_irq_return(f);
                }
                return;
        }
        if (vector == VECTOR_PF) {
                uint64_t addr = read_cr(2);
                irq_enable();
                if (hooks.user_fault)
                        hooks.user_fault(f, addr, f->err);
        } else {
                if (vector == VECTOR_DB)
                        write_dr6(DR6_CLEAR);
                irq_enable();
                if (hooks.user_trap)
                        hooks.user_trap(f, vector, f->err);
        }
        panic_trap(f, "nobody handles user exceptions", 0);
}

static volatile bool stopping;

void trap_on_ist(struct frame *f)
{
        unsigned vector = (uint8_t)f->nr;

        if (vector == VECTOR_NMI) {
                if (!READ_ONCE(stopping)) /* nobody's: it may have struck inside the log, so nothing is said */
                        return;
                cpu_this()->stopped_frame = f;
                for (;;)
                        __asm__ volatile("cli; hlt");
        }
        if (vector ==
            VECTOR_DB) { /* single steps that slipped in behind the user's back (mov ss, syscall): not for ring 0 */
                write_dr6(DR6_CLEAR);
                f->rflags &= ~(uint64_t)RFLAGS_TF;
                return;
        }
        panic_trap(f, vector == VECTOR_DF ? "double fault (stack overflow?)" : vector_name(vector), read_cr(2));
}

void trap_stop_on_nmi(void)
{
        stopping = true;
}

struct frame *return_slow(const struct frame *f)
{
        struct cpu *c = cpu_this();

        if (f != c->frame)
                *c->frame = *f;
        if (!c->need)
                return c->frame;
        if (hooks.user_irq_return) {
                irq_enable();
                hooks.user_irq_return(c->frame);
        }
        irq_disable();
        c->need = 0; /* nobody to look at it: only before the hooks are wired */
        return c->frame;
}
