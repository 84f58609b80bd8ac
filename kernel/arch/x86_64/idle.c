/*
 * idle.c - waiting for work. The time asleep is counted; TLB work that came up meanwhile is done before anything else.
 */
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/time.h"

void arch_idle(void)
{
        struct cpu *c = cpu_this();
        uint64_t from;

        irq_disable();
        if (c->need) {
                irq_enable();
                return;
        }
        from = time_mono_ns();
        cpu_halt();
        c->idle_ns += time_mono_ns() - from;
        mmu_tlb_sync();
}
