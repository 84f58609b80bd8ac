/*
 * interrupt.c - the interrupts that the processors send themselves and each other, and the wiring of lines: what kernel/irq needs of this
 * architecture.
 */
#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/acpi.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/irq.h"

_Static_assert(VECTOR_DEVICE == IRQ_VECTOR_FIRST && VECTOR_DEVICES == IRQ_VECTORS, "machine.h");

void trap_stop_on_nmi(void);

void irq_init(void)
{
        acpi_init();
        pic_disable();
        lapic_init();
        lapic_cpu_init();
        ioapic_init();
}

void irq_eoi(void)
{
        lapic_eoi();
}

void irq_local(unsigned vector)
{
        if (vector < VECTOR_DEVICE || vector == VECTOR_SPURIOUS)
                return; /* spurious: no end of interrupt */
        if (vector == VECTOR_TLB)
                tlb_interrupt();
        else if (vector == VECTOR_TIMER)
                timer_interrupt();
        lapic_eoi(); /* VECTOR_RESCHED has done its work by coming */
}

int irq_route_gsi(unsigned gsi, unsigned vector, bool level, bool active_low)
{
        return ioapic_route(gsi, vector, cpus[0].apic_id, level, active_low);
}

void ipi_send(unsigned cpu, unsigned vector)
{
        lapic_ipi(cpus[cpu].apic_id, ICR_FIXED | ICR_ASSERT | vector);
}

void ipi_resched(unsigned cpu)
{
        ipi_send(cpu, VECTOR_RESCHED);
}

void ipi_resched_all_but_self(void)
{
        for (unsigned i = 0; i < cpu_count; i++) {
                if (i != cpu_this()->id)
                        ipi_send(i, VECTOR_RESCHED);
        }
}

void ipi_stop_others(void)
{
        if (cpu_count == 1)
                return;
        trap_stop_on_nmi();
        for (unsigned i = 0; i < cpu_count; i++) {
                if (i != cpu_this()->id)
                        lapic_ipi(cpus[i].apic_id, ICR_NMI | ICR_ASSERT);
        }
        for (unsigned spins = 0; spins < 1000000; spins++) { /* kdb shows where they were */
                unsigned stopped = 0;
                for (unsigned i = 0; i < cpu_count; i++)
                        stopped += i != cpu_this()->id && READ_ONCE(cpus[i].stopped_frame);
                if (stopped == cpu_count - 1)
                        return;
                cpu_relax();
        }
}
