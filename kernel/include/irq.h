/*
 * irq.h - interrupts. Handlers touch volatile memory only: they queue, a section takes it up (work.h).
 */
#pragma once
#include "kernel/include/types.h"

typedef void (*irq_handler)(void *arg);
int irq_register_gsi(unsigned gsi, bool level, bool active_low, irq_handler h, void *arg); /* 0, -EBUSY, -ENOSPC */
int irq_register_isa(unsigned isa_irq, irq_handler h, void *arg);                          /* applies MADT overrides */
int irq_alloc_msi(irq_handler h, void *arg, unsigned cpu, uint64_t *msg_addr,
                  uint32_t *msg_data); /* vector for MSI/MSI-X */
void ipi_resched(unsigned cpu);        /* make cpu look at its `need` word */
void ipi_resched_all_but_self(void);
uint64_t irq_count(unsigned cpu); /* interrupts taken since boot */
