/*
 * pci.c - finding PCI devices and talking to their configuration space.
 *
 * Configuration space is reached through memory (ECAM, where the ACPI table MCFG names it) or through the ports
 * CF8/CFC. With ECAM a bus is mapped, 1 MiB, when a device is first looked for on it. Bridges were numbered by the
 * firmware: the walk starts at bus 0 and goes down through their secondary bus numbers, so that it costs as many reads
 * as there are slots on buses that exist. Base addresses, too, are the firmware's; a bar without an address is not
 * used. Sizes are asked for only when a driver maps a bar.
 */
#include <linux/pci_regs.h>
#include "kernel/drivers/bus/pci.h"
#include "kernel/include/acpi.h"
#include "kernel/include/arch/io.h"
#include "kernel/include/cpu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

#define PORT_ADDRESS      0xcf8
#define PORT_DATA         0xcfc
#define SLOTS             32
#define FUNCTIONS         8
#define BUSES             256
#define DEPTH_MAX         16
#define ECAM_BUS_LEN      (1ul << 20)
#define CLASS_HOST_BRIDGE 0x0600

static struct pci_device *devices, **devices_end = &devices;
static unsigned device_count;
static struct spinlock port_lock;

static struct {
        paddr_t pa; /* of bus first_bus; 0: no ECAM */
        uint8_t first_bus, last_bus;
        volatile uint8_t *bus[BUSES];
} ecam;

static volatile uint8_t *ecam_address(const struct pci_device *d, unsigned offset)
{
        unsigned bus = d->bus;

        if (!ecam.pa || bus < ecam.first_bus || bus > ecam.last_bus)
                return NULL;
        if (!ecam.bus[bus])
                ecam.bus[bus] = mmio_map(ecam.pa + (bus - ecam.first_bus) * ECAM_BUS_LEN, ECAM_BUS_LEN, false);
        if (!ecam.bus[bus])
                return NULL;
        return ecam.bus[bus] + (d->slot << 15 | d->function << 12 | (offset & 0xfff));
}

/* The data port for this register; the lock is held until ports_done. Registers above 255 do not exist here. */
static uint16_t ports_begin(const struct pci_device *d, unsigned offset, uint64_t *flags)
{
        *flags = spin_lock(&port_lock);
        outl(PORT_ADDRESS, 1u << 31 | d->bus << 16 | d->slot << 11 | d->function << 8 | (offset & 0xfc));
        return PORT_DATA + (offset & 3);
}

static void ports_done(uint64_t flags)
{
        spin_unlock(&port_lock, flags);
}

uint32_t pci_read32(const struct pci_device *d, unsigned offset)
{
        volatile uint8_t *p = ecam_address(d, offset);
        uint64_t flags;
        uint32_t v;

        if (p)
                return mmio_read32(p);
        v = inl(ports_begin(d, offset, &flags));
        ports_done(flags);
        return v;
}

uint16_t pci_read16(const struct pci_device *d, unsigned offset)
{
        volatile uint8_t *p = ecam_address(d, offset);
        uint64_t flags;
        uint16_t v;

        if (p)
                return mmio_read16(p);
        v = inw(ports_begin(d, offset, &flags));
        ports_done(flags);
        return v;
}

uint8_t pci_read8(const struct pci_device *d, unsigned offset)
{
        volatile uint8_t *p = ecam_address(d, offset);
        uint64_t flags;
        uint8_t v;

        if (p)
                return mmio_read8(p);
        v = inb(ports_begin(d, offset, &flags));
        ports_done(flags);
        return v;
}

void pci_write32(const struct pci_device *d, unsigned offset, uint32_t v)
{
        volatile uint8_t *p = ecam_address(d, offset);
        uint64_t flags;

        if (p) {
                mmio_write32(p, v);
                return;
        }
        outl(ports_begin(d, offset, &flags), v);
        ports_done(flags);
}

void pci_write16(const struct pci_device *d, unsigned offset, uint16_t v)
{
        volatile uint8_t *p = ecam_address(d, offset);
        uint64_t flags;

        if (p) {
                mmio_write16(p, v);
                return;
        }
        outw(ports_begin(d, offset, &flags), v);
        ports_done(flags);
}

void pci_write8(const struct pci_device *d, unsigned offset, uint8_t v)
{
        volatile uint8_t *p = ecam_address(d, offset);
        uint64_t flags;

        if (p) {
                mmio_write8(p, v);
                return;
        }
        outb(ports_begin(d, offset, &flags), v);
        ports_done(flags);
}

struct pci_device *pci_first(void)
{
        return devices;
}

unsigned pci_capability(const struct pci_device *d, uint8_t id, unsigned after)
{
        unsigned at;

        if (!(pci_read16(d, PCI_STATUS) & PCI_STATUS_CAP_LIST))
                return 0;
        at = pci_read8(d, after ? after + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST);
        for (unsigned n = 0; n < 48 && at >= 0x40; n++) { /* 48 is all that fit: a longer list is a circle */
                at &= ~3u;
                if (pci_read8(d, at + PCI_CAP_LIST_ID) == id)
                        return at;
                at = pci_read8(d, at + PCI_CAP_LIST_NEXT);
        }
        return 0;
}

void pci_enable(const struct pci_device *d)
{
        uint16_t cmd = pci_read16(d, PCI_COMMAND);

        pci_write16(d, PCI_COMMAND, cmd | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
}

void pci_quiet(const struct pci_device *d)
{
        pci_write16(d, PCI_COMMAND, pci_read16(d, PCI_COMMAND) & ~PCI_COMMAND_MASTER);
}

/*
 * The size is the lowest address bit that can be set. Decoding is off meanwhile: for a moment the bar claims a strange
 * address.
 */
static void size_bar(struct pci_device *d, unsigned i)
{
        struct pci_bar *b = &d->bar[i];
        unsigned at = PCI_BASE_ADDRESS_0 + 4 * i;
        uint16_t cmd = pci_read16(d, PCI_COMMAND);
        uint32_t low = pci_read32(d, at), high = 0;
        bool wide = (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
        uint64_t mask;

        b->sized = true;
        if ((low & PCI_BASE_ADDRESS_SPACE) != PCI_BASE_ADDRESS_SPACE_MEMORY || (wide && i == PCI_BARS - 1))
                return;
        if (wide)
                high = pci_read32(d, at + 4);

        pci_write16(d, PCI_COMMAND, cmd & ~(PCI_COMMAND_MEMORY | PCI_COMMAND_IO));
        pci_write32(d, at, ~0u);
        mask = pci_read32(d, at) & PCI_BASE_ADDRESS_MEM_MASK;
        pci_write32(d, at, low);
        if (wide) {
                pci_write32(d, at + 4, ~0u);
                mask |= (uint64_t)pci_read32(d, at + 4) << 32;
                pci_write32(d, at + 4, high);
        } else {
                mask |= 0xffffffff00000000ul;
        }
        pci_write16(d, PCI_COMMAND, cmd);

        b->pa = (uint64_t)high << 32 | (low & PCI_BASE_ADDRESS_MEM_MASK);
        b->len = mask & -mask;
        b->present = (uint32_t)mask != 0 && b->pa != 0;
}

volatile void *pci_map(struct pci_device *d, unsigned bar, uint64_t offset, uint64_t len)
{
        struct pci_bar *b;
        volatile uint8_t *p;
        paddr_t page;

        if (bar >= PCI_BARS)
                return NULL;
        b = &d->bar[bar];
        if (!b->sized)
                size_bar(d, bar);
        if (!b->present || len == 0 || offset > b->len || len > b->len - offset)
                return NULL;
        page = ALIGN_DOWN(b->pa + offset, PAGE_SIZE);
        p = mmio_map(page, b->pa + offset + len - page, false);
        return p ? p + (b->pa + offset - page) : NULL;
}

int pci_msix_enable(struct pci_device *d)
{
        uint32_t table;

        d->msix_cap = pci_capability(d, PCI_CAP_ID_MSIX, 0);
        if (!d->msix_cap)
                return -ENODEV;
        d->msix_count = (pci_read16(d, d->msix_cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1;
        table = pci_read32(d, d->msix_cap + PCI_MSIX_TABLE);
        d->msix_table = pci_map(d, table & PCI_MSIX_TABLE_BIR, table & PCI_MSIX_TABLE_OFFSET,
                                d->msix_count * PCI_MSIX_ENTRY_SIZE);
        if (!d->msix_table)
                return -ENOMEM;
        for (unsigned i = 0; i < d->msix_count; i++)
                mmio_write32(d->msix_table + i * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL,
                             PCI_MSIX_ENTRY_CTRL_MASKBIT);
        pci_write16(d, d->msix_cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
        return 0;
}

int pci_msix_set(struct pci_device *d, unsigned index, irq_handler handler, void *arg, unsigned cpu)
{
        volatile uint8_t *entry = d->msix_table + index * PCI_MSIX_ENTRY_SIZE;
        uint64_t address;
        uint32_t data;
        int err;

        if (!d->msix_table || index >= d->msix_count)
                return -EINVAL;
        err = irq_alloc_msi(handler, arg, cpu, &address, &data);
        if (err < 0)
                return err;
        mmio_write32(entry + PCI_MSIX_ENTRY_LOWER_ADDR, (uint32_t)address);
        mmio_write32(entry + PCI_MSIX_ENTRY_UPPER_ADDR, (uint32_t)(address >> 32));
        mmio_write32(entry + PCI_MSIX_ENTRY_DATA, data);
        mmio_write32(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
        return 0;
}

int pci_one_vector(struct pci_device *d, irq_handler handler, void *arg)
{
        unsigned cap = pci_capability(d, PCI_CAP_ID_MSI, 0);
        uint64_t address;
        uint16_t flags;
        uint32_t data;
        int err;

        if (d->msix_table)
                return pci_msix_set(d, 0, handler, arg, 0);
        if (!cap)
                return -ENODEV;
        err = irq_alloc_msi(handler, arg, 0, &address, &data);
        if (err)
                return err;
        flags = pci_read16(d, cap + PCI_MSI_FLAGS) & ~(PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE);
        pci_write32(d, cap + PCI_MSI_ADDRESS_LO, (uint32_t)address);
        if (flags & PCI_MSI_FLAGS_64BIT)
                pci_write32(d, cap + PCI_MSI_ADDRESS_HI, (uint32_t)(address >> 32));
        pci_write16(d, cap + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), (uint16_t)data);
        pci_write16(d, cap + PCI_MSI_FLAGS, flags | PCI_MSI_FLAGS_ENABLE);
        return 0;
}

static void scan_bus(uint8_t bus, unsigned depth);

static bool is_bridge(const struct pci_device *d)
{
        return (d->header_type & PCI_HEADER_TYPE_MASK) == PCI_HEADER_TYPE_BRIDGE;
}

static void found(const struct pci_device *probe, unsigned depth)
{
        struct pci_device *d = kzalloc(sizeof(*d));
        uint8_t secondary;

        if (!d)
                return;
        *d = *probe;
        d->class = pci_read32(d, PCI_CLASS_REVISION) >> 8;
        if (!is_bridge(d))
                d->subsystem = pci_read16(d, PCI_SUBSYSTEM_ID);
        *devices_end = d;
        devices_end = &d->next;
        device_count++;
        if (!is_bridge(d))
                return;
        secondary = pci_read8(d, PCI_SECONDARY_BUS);
        if (secondary > d->bus)
                scan_bus(secondary, depth + 1);
}

static bool probe_function(struct pci_device *p)
{
        uint32_t id = pci_read32(p, PCI_VENDOR_ID);

        if ((id & 0xffff) == 0xffff || (id & 0xffff) == 0)
                return false;
        p->vendor = id & 0xffff;
        p->device = id >> 16;
        p->header_type = pci_read8(p, PCI_HEADER_TYPE);
        return true;
}

static void scan_bus(uint8_t bus, unsigned depth)
{
        struct pci_device p = {.bus = bus};

        if (depth > DEPTH_MAX)
                return;
        for (p.slot = 0; p.slot < SLOTS; p.slot++) {
                unsigned functions = 1;

                for (p.function = 0; p.function < functions; p.function++) {
                        if (!probe_function(&p))
                                continue;
                        if (p.function == 0 && (p.header_type & 0x80))
                                functions = FUNCTIONS;
                        found(&p, depth);
                }
        }
}

/* The first entry of MCFG for segment 0; other segments belong to machines beyond what is supported. */
static void find_ecam(void)
{
        struct acpi_mcfg_entry e;

        if (acpi_mcfg(0, &e) < 0)
                return;
        ecam.first_bus = e.first_bus;
        ecam.last_bus = e.last_bus;
        ecam.pa = e.base;
}

void pci_init(void)
{
        find_ecam();
        scan_bus(0, 0);
        if (device_count)
                klog(LOG_INFO, "pci: %u devices, configuration by %s", device_count, ecam.pa ? "memory" : "ports");
}
