/*
 * work.c - work items queued by interrupt handlers on the CPU that took the interrupt. They are run by kernel/glue as sections.
 */
#include "kernel/include/work.h"
#include "kernel/include/cpu.h"

static struct {
        struct work *head, *tail;
} lists[MAX_CPUS];

void work_queue(struct work *w)
{
        uint64_t f = irq_save();
        struct cpu *cpu = cpu_this();

        if (!__atomic_exchange_n(&w->queued, 1, __ATOMIC_ACQ_REL)) {
                w->next = NULL;
                if (lists[cpu->id].tail)
                        lists[cpu->id].tail->next = w;
                else
                        lists[cpu->id].head = w;
                lists[cpu->id].tail = w;
                __atomic_fetch_or(&cpu->need, NEED_WORK, __ATOMIC_RELAXED);
        }
        irq_restore(f);
}

struct work *work_take(void)
{
        uint64_t f = irq_save();
        struct cpu *cpu = cpu_this();
        struct work *w = lists[cpu->id].head;

        if (w) {
                lists[cpu->id].head = w->next;
                if (!w->next)
                        lists[cpu->id].tail = NULL;
                __atomic_store_n(&w->queued, 0, __ATOMIC_RELEASE);
        } else {
                __atomic_fetch_and(&cpu->need, ~NEED_WORK, __ATOMIC_RELAXED);
        }
        irq_restore(f);
        return w;
}
