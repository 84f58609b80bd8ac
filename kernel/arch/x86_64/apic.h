/* apic.h - the local APIC and the IOAPICs, among the files of kernel/arch. */
#pragma once
#include "kernel/include/types.h"

void lapic_init(void);     /* boot CPU: find and map it */
void lapic_cpu_init(void); /* each CPU */
uint32_t lapic_id(void);
void lapic_eoi(void);
void lapic_ipi(uint32_t apic_id, uint32_t command);
#define ICR_FIXED   0x00000
#define ICR_NMI     0x00400
#define ICR_INIT    0x00500
#define ICR_STARTUP 0x00600
#define ICR_ASSERT  0x04000
#define ICR_LEVEL   0x08000
/* Timer: counts down once from `count`; 0 stops. */
void lapic_timer_mode(bool tsc_deadline);
void lapic_timer_start(uint32_t count);
uint32_t lapic_timer_left(void);

void ioapic_init(void);
/* 0, -ENODEV (nobody has this GSI). */
int ioapic_route(unsigned gsi, unsigned vector, uint32_t apic_id, bool level, bool active_low);
void pic_disable(void);
