/*
 * pci.h - PCI and PCIe: configuration space, base addresses, message interrupts.
 * Devices are found once at boot; those that are taken out stay in the list. Configuration accesses may be made from any context.
 */
#pragma once
#include "kernel/include/irq.h"
#include "kernel/include/types.h"

#define PCI_BARS 6

/* What a driver does when its device is taken out; from an interrupt. */
struct pci_user {
        bool (*may_go)(void *arg);                /* somebody asks for it: false, it stays */
        void (*gone)(void *arg, const char *why); /* now, or already. Must be ready to be called more than once */
};

struct pci_device {
        struct pci_device *next;
        uint16_t segment;
        uint8_t bus, slot, function;
        uint16_t vendor, device, subsystem;
        uint32_t class; /* class, subclass, programming interface: 24 bits */
        uint8_t header_type;
        struct pci_bar {
                bool sized;
                bool present; /* memory with an address; I/O bars are not used by any driver here */
                paddr_t pa;
                uint64_t len;
        } bar[PCI_BARS];
        uint8_t msix_cap; /* 0: none */
        uint16_t msix_count;
        volatile uint8_t *msix_table; /* NULL until pci_msix_enable */
        const struct pci_user *user;  /* its driver's; NULL: none, or one that need not know */
        void *user_arg;
};

/* Finds all devices; one log line. */
void pci_init(void);
struct pci_device *pci_first(void);

uint8_t pci_read8(const struct pci_device *d, unsigned offset);
uint16_t pci_read16(const struct pci_device *d, unsigned offset);
uint32_t pci_read32(const struct pci_device *d, unsigned offset);
void pci_write8(const struct pci_device *d, unsigned offset, uint8_t v);
void pci_write16(const struct pci_device *d, unsigned offset, uint16_t v);
void pci_write32(const struct pci_device *d, unsigned offset, uint32_t v);

/*
 * Offset of the first capability with this id after `after` (0: from the start); 0 when there is none. Broken lists
 * end.
 */
unsigned pci_capability(const struct pci_device *d, uint8_t id, unsigned after);
/* Memory decoding and bus mastering on, the legacy interrupt off. */
void pci_enable(const struct pci_device *d);
/* No bus mastering any more: the device cannot touch memory, whatever it does. */
void pci_quiet(const struct pci_device *d);
/* A part of a memory bar, uncached. NULL: no such bar, out of its bounds, or no memory. */
volatile void *pci_map(struct pci_device *d, unsigned bar, uint64_t offset, uint64_t len);
/* Turns MSI-X on, all vectors masked. 0, -ENODEV (the device has none), -ENOMEM. */
int pci_msix_enable(struct pci_device *d);
/* Gives entry `index` to a handler on that CPU. 0, -EINVAL, or what irq_alloc_msi says. */
int pci_msix_set(struct pci_device *d, unsigned index, irq_handler handler, void *arg, unsigned cpu);
/* One vector for the whole device: MSI-X's first entry (after pci_msix_enable), else MSI. The boot CPU serves it. 0, -ENODEV, or what irq_alloc_msi says. */
int pci_one_vector(struct pci_device *d, irq_handler handler, void *arg);
