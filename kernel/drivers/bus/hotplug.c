/*
 * hotplug.c - PCIe slots whose devices can be taken out while the system runs (PCI Express Base specification 4.0, 6.7 and
 * 7.5.3.9 to 7.5.3.11).
 *
 * A port tells of two things. Somebody asks for the slot's device (the attention button; a virtual machine's host): its
 * drivers let go of it and the slot is turned off, unless one of them needs it, which is said. Or the device is gone
 * already: its drivers fail what waits for it. What is put in is found by the next boot: nothing here gives out
 * addresses.
 *
 * All runs in the port's interrupt, which one CPU serves.
 */
#include <linux/pci_regs.h>
#include "kernel/drivers/bus/hotplug.h"
#include "kernel/drivers/bus/pci.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"

#define EVENTS      (PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC)
#define LISTEN      (PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_HPIE)
#define NO_MORE     (PCI_EXP_SLTCTL_PFDE | PCI_EXP_SLTCTL_MRLSCE | PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_DLLSCE)
#define TURNS       8u
#define SLOT_NUMBER 19 /* SLTCAP: from this bit */

struct slot {
        struct pci_device *port;
        unsigned cap; /* of the port: PCI Express */
        unsigned number;
        uint8_t first_bus, last_bus; /* behind it */
        bool full;
};

/* The next device behind the port, after d (NULL: the first). */
static struct pci_device *behind(const struct slot *s, struct pci_device *d)
{
        for (d = d ? d->next : pci_first(); d; d = d->next)
                if (d->bus >= s->first_bus && d->bus <= s->last_bus)
                        return d;
        return NULL;
}

static void leave(struct slot *s, const char *why)
{
        s->full = false;
        for (struct pci_device *d = NULL; (d = behind(s, d));)
                if (d->user)
                        d->user->gone(d->user_arg, why);
                else
                        pci_quiet(d);
}

/* Turned off, and its light, so that it is seen that the device may be taken. */
static void turn_off(const struct slot *s)
{
        uint16_t control = pci_read16(s->port, s->cap + PCI_EXP_SLTCTL) & ~(PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_PCC);

        pci_write16(s->port, s->cap + PCI_EXP_SLTCTL, control | PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF);
}

static void asked(struct slot *s)
{
        for (struct pci_device *d = NULL; (d = behind(s, d));)
                if (d->user && !d->user->may_go(d->user_arg)) {
                        klog(LOG_WARN, "slot %u: its device is needed and stays: turn the machine off first",
                             s->number);
                        return;
                }
        leave(s, "it was taken out");
        turn_off(s);
}

static void interrupt(void *arg)
{
        struct slot *s = arg;
        uint16_t status;

        for (unsigned turn = 0; turn < TURNS; turn++) {
                status = pci_read16(s->port, s->cap + PCI_EXP_SLTSTA);
                if (!(status & EVENTS))
                        return;
                pci_write16(s->port, s->cap + PCI_EXP_SLTSTA, status & EVENTS);
                if (s->full && !(status & PCI_EXP_SLTSTA_PDS))
                        leave(s, "it is gone");
                else if (s->full && (status & PCI_EXP_SLTSTA_ABP))
                        asked(s);
                else if (!s->full && (status & PCI_EXP_SLTSTA_PDC) && (status & PCI_EXP_SLTSTA_PDS))
                        klog(LOG_WARN, "slot %u: what was put in is used from the next boot on", s->number);
        }
}

static void listen(struct pci_device *port)
{
        unsigned cap = pci_capability(port, PCI_CAP_ID_EXP, 0);
        struct slot *s;
        uint32_t what;
        uint16_t control;
        int err;

        if (!cap || !(pci_read16(port, cap + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_SLOT))
                return;
        what = pci_read32(port, cap + PCI_EXP_SLTCAP);
        if (!(what & PCI_EXP_SLTCAP_HPC))
                return;
        s = kzalloc(sizeof(*s));
        if (!s)
                return;
        *s = (struct slot){.port = port,
                           .cap = cap,
                           .number = what >> SLOT_NUMBER,
                           .first_bus = pci_read8(port, PCI_SECONDARY_BUS),
                           .last_bus = pci_read8(port, PCI_SUBORDINATE_BUS)};
        s->full = s->first_bus > port->bus && behind(s, NULL);
        pci_write16(port, PCI_COMMAND, pci_read16(port, PCI_COMMAND) | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
        err = pci_msix_enable(port);
        if (!err || err == -ENODEV)
                err = pci_one_vector(port, interrupt, s);
        if (err) {
                klog(LOG_WARN, "slot %u: it cannot tell when its device is taken out, error %d", s->number, err);
                kfree(s);
                return;
        }
        pci_write16(port, cap + PCI_EXP_SLTSTA, pci_read16(port, cap + PCI_EXP_SLTSTA));
        control = pci_read16(port, cap + PCI_EXP_SLTCTL) & ~NO_MORE;
        pci_write16(port, cap + PCI_EXP_SLTCTL, control | LISTEN);
}

void hotplug_init(void)
{
        for (struct pci_device *d = pci_first(); d; d = d->next)
                if ((d->header_type & PCI_HEADER_TYPE_MASK) == PCI_HEADER_TYPE_BRIDGE)
                        listen(d);
}
