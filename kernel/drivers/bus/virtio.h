/*
 * virtio.h - virtio devices on PCI, modern (virtio 1.0 and later) only. virtio_open .. virtio_queue .. virtio_start, in
 * this order, at boot; a device that misbehaves is reset and left alone.
 */
#pragma once
#include "kernel/drivers/bus/pci.h"
#include "kernel/drivers/bus/virtqueue.h"

struct virtio_queue {
        struct virtqueue vq;
        volatile uint16_t *notify;
        uint16_t index;
};

struct virtio_device {
        struct pci_device *pci;
        uint64_t features; /* what was negotiated */
        volatile uint8_t *common, *device, *notify;
        uint32_t device_len; /* of the configuration behind `device`; 0: none */
        uint32_t notify_len, notify_multiplier;
        uint16_t nvectors; /* MSI-X entries given away */
};

#define VIRTIO_FEATURE(n) (1ul << (n))

/* The virtio type of a PCI device (VIRTIO_ID_*), 0 when it is not one that can be driven. */
unsigned virtio_type(const struct pci_device *pci);
/*
 * Reset the device and agree on features: those in `wanted` that it offers, and the ring features. 0, -ENODEV (no
 * modern interface or no MSI-X), -ENOMEM, -EIO (it does not take the features).
 */
int virtio_open(struct virtio_device *d, struct pci_device *pci, uint64_t wanted);
/*
 * Copy `len` bytes of device configuration at `offset`, untorn. 0 or -EINVAL (beyond what the device has; buf is
 * zeroed).
 */
int virtio_config(struct virtio_device *d, unsigned offset, void *buf, size_t len);
/*
 * Set up queue `index` with at most `size_max` entries and its own interrupt on `cpu` (handler NULL: none, the owner
 * polls). 0, -ENODEV (no such queue), -ENOMEM, -ENOSPC (no vector).
 */
int virtio_queue(struct virtio_device *d, struct virtio_queue *q, unsigned index, uint16_t size_max,
                 irq_handler handler, void *arg, unsigned cpu);
void virtio_start(struct virtio_device *d);
/* Give up: the device is reset and will touch no memory any more. */
void virtio_stop(struct virtio_device *d);
/* After vq_add. */
static inline void virtio_kick(struct virtio_queue *q)
{
        if (vq_kick_needed(&q->vq))
                *q->notify = q->index;
}
bool virtio_needs_reset(const struct virtio_device *d);

/* Finds the virtio devices on PCI and starts their drivers. */
void virtio_init(void);
