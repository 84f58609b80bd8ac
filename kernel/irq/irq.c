/*
 * irq.c - vectors to handlers. One vector space for all CPUs: 176 vectors for devices, given out once and kept. A line (GSI) has one
 * handler. Line interrupts go to the boot CPU; MSIs where their driver says.
 * Lock: irq_lock (volatile, interrupts off) for the tables; dispatch reads a handler that is complete before its line is routed.
 */
#include "kernel/include/irq.h"
#include "kernel/include/acpi.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/log.h"

#define GSI_MAX 256

static struct {
        irq_handler fn;
        void *arg;
} handlers[IRQ_VECTORS];
static unsigned nvectors;
static uint8_t gsi_taken[GSI_MAX];
static struct spinlock irq_lock;
static uint64_t counts[MAX_CPUS];

void irq_dispatch(unsigned vector)
{
        struct cpu *c = cpu_this();
        unsigned n = vector - IRQ_VECTOR_FIRST;

        c->irq_depth++;
        counts[c->id]++;
        if (likely(n < IRQ_VECTORS)) {
                if (handlers[n].fn)
                        handlers[n].fn(handlers[n].arg);
                irq_eoi();
        } else {
                irq_local(vector);
        }
        c->irq_depth--;
}

uint64_t irq_count(unsigned cpu)
{
        return counts[cpu];
}

/* Lock held. -1: none left. */
static int vector_new(irq_handler h, void *arg)
{
        if (nvectors == IRQ_VECTORS)
                return -1;
        handlers[nvectors].arg = arg;
        __atomic_store_n(&handlers[nvectors].fn, h, __ATOMIC_RELEASE);
        return (int)(IRQ_VECTOR_FIRST + nvectors++);
}

int irq_register_gsi(unsigned gsi, bool level, bool active_low, irq_handler h, void *arg)
{
        uint64_t f = spin_lock(&irq_lock);
        int r, vector = -1;

        if (gsi >= GSI_MAX) {
                r = -ENODEV;
        } else if (gsi_taken[gsi]) {
                r = -EBUSY;
        } else if ((vector = vector_new(h, arg)) < 0) {
                r = -ENOSPC;
        } else {
                r = irq_route_gsi(gsi, (unsigned)vector, level, active_low);
                if (r)
                        nvectors--; /* nothing was routed to it */
                else
                        gsi_taken[gsi] = 1;
        }
        spin_unlock(&irq_lock, f);
        return r;
}

int irq_register_isa(unsigned isa_irq, irq_handler h, void *arg)
{
        for (unsigned i = 0; i < acpi.noverrides; i++) {
                if (acpi.override[i].isa == isa_irq)
                        return irq_register_gsi(acpi.override[i].gsi, acpi.override[i].level,
                                                acpi.override[i].active_low, h, arg);
        }
        return irq_register_gsi(isa_irq, false, false, h, arg);
}

int irq_alloc_msi(irq_handler h, void *arg, unsigned cpu, uint64_t *msg_addr, uint32_t *msg_data)
{
        uint64_t f;
        int vector;

        if (cpu >= cpu_count || cpus[cpu].apic_id > 255)
                cpu = 0;
        f = spin_lock(&irq_lock);
        vector = vector_new(h, arg);
        spin_unlock(&irq_lock, f);
        if (vector < 0)
                return -ENOSPC;
        *msg_addr = 0xfee00000ul | (uint64_t)cpus[cpu].apic_id << 12;
        *msg_data = (uint32_t)vector;
        return 0;
}
