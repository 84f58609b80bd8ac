/*
 * virtio_rng.c - randomness from the host, mixed into the kernel's generator: once at boot and every few minutes after
 * that. One buffer is in flight or a timer is armed, never both.
 */
#include "kernel/drivers/bus/virtio.h"
#include "kernel/drivers/rng/virtio_rng.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/rng.h"
#include "kernel/include/time.h"
#include "kernel/lib/string.h"

#define BYTES     64u
#define PERIOD_NS (300 * NSEC_PER_SEC)

struct virtio_rng {
        struct virtio_device dev;
        struct virtio_queue queue;
        struct vtimer timer;
        uint8_t *buffer;
        paddr_t buffer_pa;
};

static void ask(struct virtio_rng *r)
{
        struct vq_segment seg = {.pa = r->buffer_pa, .len = BYTES};

        if (vq_add(&r->queue.vq, &seg, 0, 1, NULL, 0, r) == 0)
                virtio_kick(&r->queue);
}

static void timer_fired(struct vtimer *t)
{
        ask(container_of(t, struct virtio_rng, timer));
}

static void interrupt(void *arg)
{
        struct virtio_rng *r = arg;
        uint32_t len;

        do {
                while (vq_take(&r->queue.vq, &len)) {
                        rng_add_entropy(r->buffer, MIN(len, BYTES));
                        memset(r->buffer, 0, BYTES);
                        vtimer_arm(&r->timer, time_mono_ns() + PERIOD_NS);
                }
        } while (!vq_wait_for_interrupt(&r->queue.vq));
}

static int start(struct virtio_rng *r, struct pci_device *pci)
{
        int err = virtio_open(&r->dev, pci, 0);

        if (err)
                return err;
        r->buffer_pa = frame_alloc();
        if (!r->buffer_pa)
                return -ENOMEM;
        r->buffer = direct(r->buffer_pa);
        r->timer.fn = timer_fired;
        err = virtio_queue(&r->dev, &r->queue, 0, 8, interrupt, r, 0);
        if (err) {
                virtio_stop(&r->dev);
                frame_free(r->buffer_pa);
                return err;
        }
        virtio_start(&r->dev);
        return 0;
}

void virtio_rng_probe(struct pci_device *pci)
{
        struct virtio_rng *r = kzalloc(sizeof(*r));
        int err = r ? start(r, pci) : -ENOMEM;

        if (err) {
                klog(LOG_WARN, "virtio-rng: error %d", err);
                kfree(r);
                return;
        }
        ask(r);
        klog(LOG_INFO, "virtio-rng: host randomness");
}
