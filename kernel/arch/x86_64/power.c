/*
 * power.c - leaving this machine: ACPI S5, reset, QEMU's exit device.
 */
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/acpi.h"
#include "kernel/include/cpu.h"
#include "kernel/include/mem.h"
#include "kernel/include/power.h"
#include "kernel/include/time.h"

#define PM1_SCI_ENABLE 1u
#define PM1_SLEEP      (1u << 13)
#define EXIT_PORT      0xf4

static void wait_ns(uint64_t ns)
{
        uint64_t end = time_mono_ns() + ns;
        while (time_mono_ns() < end)
                cpu_relax();
}

static void write_address(const struct acpi_address *a, uint8_t v)
{
        if (a->space == ACPI_IO) {
                outb((uint16_t)a->address, v);
        } else if (a->space == ACPI_MEMORY) {
                volatile uint8_t *p = mmio_map(a->address, 1, false);
                if (p)
                        *p = v;
        } else if (a->space == ACPI_PCI) { /* bus 0; device, function, offset in the address */
                uint32_t where = (uint32_t)(a->address >> 32 & 31) << 11 | (uint32_t)(a->address >> 16 & 7) << 8 |
                                 (a->address & 0xfc);
                outl(0xcf8, 1u << 31 | where);
                outb((uint16_t)(0xcfc + (a->address & 3)), v);
        }
}

int power_off(void)
{
        if (!acpi.has_s5)
                return -ENODEV;
        if (acpi.hardware_reduced) {
                write_address(&acpi.sleep_control, (uint8_t)(acpi.s5_a << 2 | 1u << 5));
        } else {
                if (!acpi.pm1a_control)
                        return -ENODEV;
                if (acpi.smi_command && acpi.acpi_enable && !(inw(acpi.pm1a_control) & PM1_SCI_ENABLE)) {
                        outb(acpi.smi_command, acpi.acpi_enable);
                        for (unsigned i = 0; i < 300 && !(inw(acpi.pm1a_control) & PM1_SCI_ENABLE); i++)
                                wait_ns(10000000);
                }
                outw(acpi.pm1a_control, (uint16_t)(acpi.s5_a << 10 | PM1_SLEEP));
                if (acpi.pm1b_control)
                        outw(acpi.pm1b_control, (uint16_t)(acpi.s5_b << 10 | PM1_SLEEP));
        }
        wait_ns(NSEC_PER_SEC);
        return -EIO;
}

int power_reset(void)
{
        static const struct {
                uint16_t limit;
                uint64_t base;
        } __attribute__((packed)) none;

        if (acpi.has_reset) {
                write_address(&acpi.reset, acpi.reset_value);
                wait_ns(50000000);
        }
        outb(0x64, 0xfe); /* the 8042 pulls the reset line */
        wait_ns(50000000);
        __asm__ volatile("lidt %0; int3" ::"m"(none)); /* triple fault */
        return -EIO;
}

void power_test_exit(unsigned char status)
{
        outb(EXIT_PORT, status);
}
