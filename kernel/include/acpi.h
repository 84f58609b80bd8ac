/*
 * acpi.h - the static ACPI tables. No interpreter: besides the tables only `_S5` is looked for in the byte code, to switch off.
 * Filled once by acpi_init on the boot CPU; constant afterwards.
 */
#pragma once
#include "kernel/include/types.h"

#define ACPI_CPUS      64
#define ACPI_IOAPICS   8
#define ACPI_OVERRIDES 24

struct acpi_address {
        uint8_t space, width, offset, access;
        uint64_t address;
} __attribute__((packed));
enum { ACPI_MEMORY = 0, ACPI_IO = 1, ACPI_PCI = 2 };

struct acpi_info {
        paddr_t lapic; /* 0: no MADT */
        unsigned ncpus;
        uint32_t apic_id[ACPI_CPUS];
        unsigned nioapics;
        struct {
                paddr_t pa;
                uint32_t gsi_base;
        } ioapic[ACPI_IOAPICS];
        unsigned noverrides;
        struct {
                uint8_t isa;
                uint32_t gsi;
                bool level, active_low;
        } override[ACPI_OVERRIDES];
        paddr_t hpet; /* 0: none */
        bool has_fadt, hardware_reduced, has_reset, has_s5, has_8042;
        uint8_t century; /* CMOS index, 0: none */
        uint16_t sci, smi_command, pm1a_control, pm1b_control, pm_timer;
        uint16_t pm1a_event, pm1b_event; /* ports of the status registers; 0: none */
        uint8_t pm1_event_len;           /* of a status and an enable register together */
        bool power_button;               /* a fixed one: its events are in the registers above */
        uint8_t acpi_enable, reset_value, s5_a, s5_b;
        struct acpi_address reset, sleep_control;
};
extern struct acpi_info acpi;

void acpi_init(void);
/* The index-th table with this signature, checksum verified; stays mapped. NULL: there is none. */
const void *acpi_table(const char *signature, unsigned index, size_t *len);

struct acpi_mcfg_entry {
        paddr_t base;
        uint16_t segment;
        uint8_t first_bus, last_bus;
};
int acpi_mcfg(unsigned index, struct acpi_mcfg_entry *e); /* 0 or -ENOENT */
