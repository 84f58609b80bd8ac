/*
 * virtio.c - the PCI transport of virtio (virtio 1.1, 4.1), and the table of drivers. A modern device describes where
 * its registers are by vendor capabilities; a transitional one (its old interface still there) has them as well and is
 * driven the same way. Interrupts are MSI-X, one for each queue; changes of configuration are not listened to.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include "kernel/drivers/block/virtio_blk.h"
#include "kernel/drivers/bus/virtio.h"
#include "kernel/drivers/rng/virtio_rng.h"
#include "kernel/include/arch/io.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

#define VENDOR_VIRTIO       0x1af4
#define DEVICE_TRANSITIONAL 0x1000 /* to 0x103f; the type is in the subsystem id */
#define DEVICE_MODERN       0x1040 /* + type, to 0x107f */
#define NO_VECTOR           0xffff
#define RESET_SPINS         1000000
#define CONFIG_RETRIES      16
#define GONE                0xff /* all registers of a device that was taken out */

unsigned virtio_type(const struct pci_device *pci)
{
        if (pci->vendor != VENDOR_VIRTIO)
                return 0;
        if (pci->device >= DEVICE_MODERN && pci->device < DEVICE_MODERN + 0x40)
                return pci->device - DEVICE_MODERN;
        if (pci->device >= DEVICE_TRANSITIONAL && pci->device < DEVICE_MODERN)
                return pci->subsystem;
        return 0;
}

static uint8_t status(const struct virtio_device *d)
{
        return mmio_read8(d->common + VIRTIO_PCI_COMMON_STATUS);
}

static void add_status(struct virtio_device *d, uint8_t bits)
{
        mmio_write8(d->common + VIRTIO_PCI_COMMON_STATUS, status(d) | bits);
}

static bool reset(struct virtio_device *d)
{
        mmio_write8(d->common + VIRTIO_PCI_COMMON_STATUS, 0);
        for (unsigned i = 0; i < RESET_SPINS; i++) {
                uint8_t now = status(d);

                if (now == 0 || now == GONE)
                        return now == 0;
        }
        return false;
}

/* The registers named by one capability type. The first that can be mapped counts; *len is its length. */
static volatile uint8_t *map_registers(struct pci_device *pci, uint8_t type, uint32_t min_len, uint32_t *len,
                                       unsigned *cap)
{
        for (unsigned at = 0; (at = pci_capability(pci, PCI_CAP_ID_VNDR, at));) {
                uint32_t length = pci_read32(pci, at + VIRTIO_PCI_CAP_LENGTH);
                volatile uint8_t *p;

                if (pci_read8(pci, at + VIRTIO_PCI_CAP_CFG_TYPE) != type || length < min_len)
                        continue;
                p = pci_map(pci, pci_read8(pci, at + VIRTIO_PCI_CAP_BAR), pci_read32(pci, at + VIRTIO_PCI_CAP_OFFSET),
                            length);
                if (!p)
                        continue;
                *len = length;
                *cap = at;
                return p;
        }
        return NULL;
}

static int map_all(struct virtio_device *d)
{
        uint32_t len;
        unsigned cap;

        d->common = map_registers(d->pci, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_COMMON_Q_USEDHI + 4, &len, &cap);
        if (!d->common)
                return -ENODEV;
        d->notify = map_registers(d->pci, VIRTIO_PCI_CAP_NOTIFY_CFG, 2, &d->notify_len, &cap);
        if (!d->notify)
                return -ENODEV;
        d->notify_multiplier = pci_read32(d->pci, cap + VIRTIO_PCI_NOTIFY_CAP_MULT);
        d->device = map_registers(d->pci, VIRTIO_PCI_CAP_DEVICE_CFG, 1, &d->device_len, &cap);
        return 0;
}

static uint64_t offered(struct virtio_device *d)
{
        uint64_t features;

        mmio_write32(d->common + VIRTIO_PCI_COMMON_DFSELECT, 1);
        features = (uint64_t)mmio_read32(d->common + VIRTIO_PCI_COMMON_DF) << 32;
        mmio_write32(d->common + VIRTIO_PCI_COMMON_DFSELECT, 0);
        return features | mmio_read32(d->common + VIRTIO_PCI_COMMON_DF);
}

static int negotiate(struct virtio_device *d, uint64_t wanted)
{
        wanted |= VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_F_ACCESS_PLATFORM) |
                  VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);
        d->features = offered(d) & wanted;
        if (!(d->features & VIRTIO_FEATURE(VIRTIO_F_VERSION_1)))
                return -ENODEV;
        mmio_write32(d->common + VIRTIO_PCI_COMMON_GFSELECT, 1);
        mmio_write32(d->common + VIRTIO_PCI_COMMON_GF, (uint32_t)(d->features >> 32));
        mmio_write32(d->common + VIRTIO_PCI_COMMON_GFSELECT, 0);
        mmio_write32(d->common + VIRTIO_PCI_COMMON_GF, (uint32_t)d->features);
        add_status(d, VIRTIO_CONFIG_S_FEATURES_OK);
        return status(d) & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EIO;
}

int virtio_open(struct virtio_device *d, struct pci_device *pci, uint64_t wanted)
{
        int err;

        *d = (struct virtio_device){.pci = pci};
        pci_enable(pci);
        err = map_all(d);
        if (!err)
                err = pci_msix_enable(pci);
        if (err)
                return err;
        if (!reset(d))
                return -EIO;
        add_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
        add_status(d, VIRTIO_CONFIG_S_DRIVER);
        err = negotiate(d, wanted);
        if (err) {
                virtio_stop(d);
                return err;
        }
        mmio_write16(d->common + VIRTIO_PCI_COMMON_MSIX, NO_VECTOR);
        return 0;
}

int virtio_config(struct virtio_device *d, unsigned offset, void *buf, size_t len)
{
        uint8_t *bytes = buf;
        uint8_t generation;

        memset(buf, 0, len);
        if (offset > d->device_len || len > d->device_len - offset)
                return -EINVAL;
        for (unsigned attempt = 0; attempt < CONFIG_RETRIES; attempt++) {
                generation = mmio_read8(d->common + VIRTIO_PCI_COMMON_CFGGENERATION);
                for (size_t i = 0; i < len; i++)
                        bytes[i] = mmio_read8(d->device + offset + i);
                if (generation == mmio_read8(d->common + VIRTIO_PCI_COMMON_CFGGENERATION))
                        break;
        }
        return 0;
}

static void write_address(struct virtio_device *d, unsigned reg, paddr_t pa)
{
        mmio_write64(d->common + reg, pa);
}

static int give_vector(struct virtio_device *d, irq_handler handler, void *arg, unsigned cpu)
{
        uint16_t vector = NO_VECTOR;

        if (handler) {
                int err = pci_msix_set(d->pci, d->nvectors, handler, arg, cpu);

                if (err < 0)
                        return err == -EINVAL ? -ENOSPC : err;
                vector = d->nvectors++;
        }
        mmio_write16(d->common + VIRTIO_PCI_COMMON_Q_MSIX, vector);
        return mmio_read16(d->common + VIRTIO_PCI_COMMON_Q_MSIX) == vector ? 0 : -ENOSPC;
}

static uint16_t floor_power_of_two(uint16_t n)
{
        while (n & (n - 1))
                n &= n - 1;
        return n;
}

int virtio_queue(struct virtio_device *d, struct virtio_queue *q, unsigned index, uint16_t size_max,
                 irq_handler handler, void *arg, unsigned cpu)
{
        uint64_t notify_at;
        uint16_t size;
        size_t nframes;
        paddr_t pa;
        int err;

        if (index >= mmio_read16(d->common + VIRTIO_PCI_COMMON_NUMQ))
                return -ENODEV;
        mmio_write16(d->common + VIRTIO_PCI_COMMON_Q_SELECT, index);
        size = floor_power_of_two(
                MIN(mmio_read16(d->common + VIRTIO_PCI_COMMON_Q_SIZE), MIN(size_max, (uint16_t)VQ_SIZE_MAX)));
        notify_at = (uint64_t)mmio_read16(d->common + VIRTIO_PCI_COMMON_Q_NOFF) * d->notify_multiplier;
        if (size == 0 || notify_at + 2 > d->notify_len)
                return -ENODEV;
        err = give_vector(d, handler, arg, cpu);
        if (err)
                return err;

        nframes = ALIGN_UP(vq_memory(size), PAGE_SIZE) / PAGE_SIZE;
        pa = frame_alloc_contig(nframes, ~0ul);
        if (!pa)
                return -ENOMEM;
        memset(direct(pa), 0, nframes * PAGE_SIZE);
        vq_init(&q->vq, size, direct(pa), pa, d->features & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
        q->index = index;
        q->notify = (volatile uint16_t *)(d->notify + notify_at);

        mmio_write16(d->common + VIRTIO_PCI_COMMON_Q_SIZE, size);
        write_address(d, VIRTIO_PCI_COMMON_Q_DESCLO, q->vq.desc_pa);
        write_address(d, VIRTIO_PCI_COMMON_Q_AVAILLO, q->vq.avail_pa);
        write_address(d, VIRTIO_PCI_COMMON_Q_USEDLO, q->vq.used_pa);
        mmio_write16(d->common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
        return 0;
}

void virtio_start(struct virtio_device *d)
{
        add_status(d, VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_stop(struct virtio_device *d)
{
        if (reset(d))
                add_status(d, VIRTIO_CONFIG_S_FAILED);
}

bool virtio_needs_reset(const struct virtio_device *d)
{
        return status(d) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static const struct {
        unsigned type;
        void (*probe)(struct pci_device *pci);
} drivers[] = {
        {VIRTIO_ID_BLOCK, virtio_blk_probe},
        {VIRTIO_ID_RNG, virtio_rng_probe},
};

static void port_write(void)
{
        outb(0x80, 0); /* the port of POST codes: nobody minds */
}

/* A missed answer or a missed kick is a request that never ends. */
void virtio_init(void)
{
        if (arch_barriers_are_elided())
                vq_barrier = port_write;
        for (struct pci_device *pci = pci_first(); pci; pci = pci->next)
                for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++)
                        if (virtio_type(pci) == drivers[i].type)
                                drivers[i].probe(pci);
}
