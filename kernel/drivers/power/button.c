/*
 * button.c - the fixed power button of ACPI (ACPI 6.4, 4.8.3.1): it raises the system control interrupt, which is
 * level-triggered, so all that is pending is acknowledged in the handler. A press is an input event (KEY_POWER), a line
 * in the log, and a call of hooks.power_button from a work item. What it means is decided above.
 */
#include <linux/input-event-codes.h>
#include "kernel/drivers/power/button.h"
#include "kernel/include/acpi.h"
#include "kernel/include/arch/io.h"
#include "kernel/include/hooks.h"
#include "kernel/include/input.h"
#include "kernel/include/irq.h"
#include "kernel/include/log.h"
#include "kernel/include/work.h"
#include "kernel/lib/string.h"

#define STATUS_POWER_BUTTON 0x0100u
#define CONTROL_SCI_ENABLED 0x0001u
#define BUS_HOST            0x19 /* <linux/input.h>, which cannot be had without a libc */
#define SWITCH_SPINS        1000000

static struct input_device button;
static struct work pressed;

static void pressed_work(struct work *w)
{
        (void)w;
        if (hooks.power_button)
                hooks.power_button();
}

static bool acknowledge(uint16_t status_port)
{
        uint16_t status;

        if (!status_port)
                return false;
        status = inw(status_port);
        outw(status_port, status); /* a one clears */
        return status & STATUS_POWER_BUTTON;
}

static void interrupt(void *arg)
{
        bool power = acknowledge(acpi.pm1a_event);

        (void)arg;
        power |= acknowledge(acpi.pm1b_event);
        if (!power)
                return;
        klog(LOG_INFO, "the power button was pressed");
        for (int down = 1; down >= 0; down--) {
                input_event(&button, EV_KEY, KEY_POWER, down);
                input_event(&button, EV_SYN, SYN_REPORT, 0);
        }
        work_queue(&pressed);
}

/* From the firmware's hands into ours: until then events go to its own handler. */
static bool take_over(void)
{
        if (inw(acpi.pm1a_control) & CONTROL_SCI_ENABLED)
                return true;
        if (!acpi.smi_command || !acpi.acpi_enable)
                return false;
        outb(acpi.smi_command, acpi.acpi_enable);
        for (unsigned spin = 0; spin < SWITCH_SPINS; spin++)
                if (inw(acpi.pm1a_control) & CONTROL_SCI_ENABLED)
                        return true;
        return false;
}

/* Enables the button's event alone; all others stay off, and what happened before is forgotten. */
static void enable(uint16_t status_port, uint16_t events)
{
        if (!status_port)
                return;
        outw(status_port + acpi.pm1_event_len / 2, events);
        outw(status_port, inw(status_port));
}

/*
 * A number below 16 is an ISA interrupt, for which the firmware says how it is wired; others are level-triggered,
 * active low.
 */
static int register_interrupt(void)
{
        if (acpi.sci < 16)
                return irq_register_isa(acpi.sci, interrupt, NULL);
        return irq_register_gsi(acpi.sci, true, true, interrupt, NULL);
}

void power_button_init(void)
{
        if (!acpi.has_fadt || !acpi.power_button || !acpi.pm1a_event || !acpi.pm1a_control || acpi.pm1_event_len < 4)
                return;
        if (!take_over())
                return;
        str_copy(button.name, "Power Button", sizeof(button.name));
        button.bus = BUS_HOST;
        button.evbits = 1ul << EV_SYN | 1ul << EV_KEY;
        button.keybits[KEY_POWER / 8] = 1u << KEY_POWER % 8;
        pressed.fn = pressed_work;
        enable(acpi.pm1a_event, STATUS_POWER_BUTTON);
        enable(acpi.pm1b_event, 0);
        if (register_interrupt() < 0) {
                enable(acpi.pm1a_event, 0);
                return;
        }
        if (input_register(&button) == 0)
                klog(LOG_INFO, "acpi: power button");
}
