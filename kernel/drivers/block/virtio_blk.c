/*
 * virtio_blk.c - virtio disks (virtio 1.1, 5.2).
 *
 * A request takes a slot: header, status byte and a table of descriptors in memory that the device sees, set aside at
 * probing, so that submitting never allocates. Requests that find no slot wait in `pending`, in order, and are taken up
 * by completions. A CPU submits to the queue of its number; each queue has its own lock, slots and interrupt.
 *
 * queue.lock guards ring, slots and pending; interrupts are off while it is held. done() is called without it, since it
 * may submit again. Requests finish in any order: who needs an order waits, or flushes. All state is volatile.
 */
#include <linux/virtio_blk.h>
#include "kernel/drivers/block/virtio_blk.h"
#include "kernel/drivers/bus/virtio.h"
#include "kernel/include/block.h"
#include "kernel/include/cpu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define QUEUES_MAX     4
#define QUEUE_SIZE_MAX 128
#define SLOTS_MAX      64
#define EXTRA_SEGS     2 /* header and status */
#define TABLE_LEN      (BLOCK_SEGS_MAX + EXTRA_SEGS)
#define PROBE_SPINS    100000000ul
#define MAJOR_VIRTIO   254
#define MINORS         16 /* of a disk: itself, and 15 partitions */

/*
 * In memory that the device reads and writes; `request` and `next` are ours, and nothing follows what the device
 * writes.
 */
struct slot {
        struct vring_desc table[TABLE_LEN];
        struct virtio_blk_outhdr header;
        struct virtio_blk_discard_write_zeroes range;
        char id[VIRTIO_BLK_ID_BYTES];
        uint8_t status;
        struct block_request *request;
        struct slot *next;
};
_Static_assert(sizeof(struct slot) <= 512, "eight slots to a page");
#define SLOT_BYTES 512

struct blk;
struct blk_queue {
        struct blk *blk;
        struct spinlock lock;
        struct virtio_queue q;
        struct slot *free;                            /* l */
        struct block_request *pending, **pending_end; /* l */
};

struct blk {
        struct block_device disk;
        struct virtio_device dev;
        bool indirect;
        bool dead; /* the device broke its promises; all requests fail */
        unsigned nqueues;
        struct blk_queue queue[QUEUES_MAX];
};

static paddr_t slot_pa(const struct slot *s, const void *field)
{
        return direct_pa(s) + ((const char *)field - (const char *)s);
}

static uint32_t type_of(enum block_op op)
{
        switch (op) {
        case BLOCK_READ:
                return VIRTIO_BLK_T_IN;
        case BLOCK_WRITE:
                return VIRTIO_BLK_T_OUT;
        case BLOCK_FLUSH:
                return VIRTIO_BLK_T_FLUSH;
        case BLOCK_DISCARD:
                break;
        }
        return VIRTIO_BLK_T_DISCARD;
}

/* Header, data, status as the device wants them. 0 or -ENOSPC. */
static int add(struct blk_queue *bq, struct slot *s, uint32_t type, uint64_t sector, const struct vq_segment *data,
               unsigned ndata, bool device_writes)
{
        struct vq_segment segs[TABLE_LEN];
        unsigned nout = device_writes ? 1 : 1 + ndata;
        bool indirect = bq->blk->indirect;

        s->header = (struct virtio_blk_outhdr){.type = type, .sector = sector};
        s->status = VIRTIO_BLK_S_IOERR;
        segs[0] = (struct vq_segment){slot_pa(s, &s->header), sizeof(s->header)};
        memcpy(&segs[1], data, ndata * sizeof(*data));
        segs[1 + ndata] = (struct vq_segment){slot_pa(s, &s->status), sizeof(s->status)};
        return vq_add(&bq->q.vq, segs, nout, ndata + EXTRA_SEGS - nout, indirect ? s->table : NULL,
                      slot_pa(s, s->table), s);
}

/* 0, or -ENOSPC when there is no slot or the ring is full. */
static int start_request(struct blk_queue *bq, struct block_request *r)
{
        struct vq_segment data[BLOCK_SEGS_MAX];
        struct slot *s = bq->free;
        unsigned ndata = r->nsegs;
        uint64_t sector = r->sector;
        int err;

        if (!s)
                return -ENOSPC;
        for (unsigned i = 0; i < ndata; i++)
                data[i] = (struct vq_segment){r->seg[i].pa, r->seg[i].len};
        if (r->op == BLOCK_DISCARD) {
                s->range = (struct virtio_blk_discard_write_zeroes){.sector = r->sector, .num_sectors = r->nsectors};
                data[0] = (struct vq_segment){slot_pa(s, &s->range), sizeof(s->range)};
                ndata = 1;
                sector = 0;
        }
        err = add(bq, s, type_of(r->op), sector, data, ndata, r->op == BLOCK_READ);
        if (err)
                return err;
        bq->free = s->next;
        s->request = r;
        return 0;
}

static void start_pending(struct blk_queue *bq)
{
        struct block_request *r;

        while ((r = bq->pending) && start_request(bq, r) == 0) {
                bq->pending = r->next;
                if (!bq->pending)
                        bq->pending_end = &bq->pending;
        }
}

static int blk_submit(struct block_device *disk, struct block_request *r)
{
        struct blk *b = disk->driver;
        struct blk_queue *bq = &b->queue[cpu_this()->id % b->nqueues];
        uint64_t flags = spin_lock(&bq->lock);

        if (b->dead) {
                spin_unlock(&bq->lock, flags);
                return -EIO;
        }
        if (bq->pending || start_request(bq, r) < 0) {
                r->next = NULL;
                *bq->pending_end = r;
                bq->pending_end = &r->next;
        }
        virtio_kick(&bq->q);
        spin_unlock(&bq->lock, flags);
        return 0;
}

/*
 * The device wrote nonsense, or says that it needs a reset, or was taken out: it is stopped, so that it touches no memory any more, and
 * nothing is taken from its rings again. What was in flight stays without an answer only until here: everything fails.
 */
static void fail_all(struct blk *b, const char *why)
{
        if (__atomic_exchange_n(&b->dead, true, __ATOMIC_ACQ_REL))
                return;
        klog(LOG_ERR, "%s: %s: all requests fail from now on", b->disk.name, why);
        block_gone(&b->disk);
        virtio_stop(&b->dev);
        for (unsigned i = 0; i < b->nqueues; i++) {
                struct blk_queue *bq = &b->queue[i];
                uint64_t flags = spin_lock(&bq->lock);
                struct block_request *list = bq->pending, *r;

                for (unsigned id = 0; id < bq->q.vq.size; id++) {
                        struct slot *s = bq->q.vq.cookie[id];

                        if (!s)
                                continue;
                        s->request->next = list;
                        list = s->request;
                        bq->q.vq.cookie[id] = NULL;
                }
                bq->pending = NULL;
                bq->pending_end = &bq->pending;
                spin_unlock(&bq->lock, flags);
                while ((r = list)) {
                        list = r->next;
                        r->done(r, -EIO);
                }
        }
        block_changed();
}

static bool may_go(void *arg)
{
        const struct blk *b = arg;

        return !b->disk.claimed;
}

static void gone(void *arg, const char *why)
{
        fail_all(arg, why);
}

static const struct pci_user blk_user = {.may_go = may_go, .gone = gone};

/*
 * Requests that the device has finished: returns those that went well, in the order of completion, and gives the others
 * in *failed.
 */
static struct block_request *take_finished(struct blk_queue *bq, struct block_request **failed)
{
        struct block_request *ok = NULL, **end = &ok;
        struct slot *s;
        uint32_t len;

        while ((s = vq_take(&bq->q.vq, &len))) {
                struct block_request *r = s->request;

                if (s->status == VIRTIO_BLK_S_OK) {
                        r->next = NULL;
                        *end = r;
                        end = &r->next;
                } else {
                        r->next = *failed;
                        *failed = r;
                }
                s->next = bq->free;
                bq->free = s;
        }
        return ok;
}

static void finish(struct block_request *list, int status)
{
        struct block_request *r;

        while ((r = list)) {
                list = r->next; /* done() may use the request again */
                r->done(r, status);
        }
}

static void complete(struct blk_queue *bq)
{
        struct block_request *ok, *failed;
        bool again;

        do {
                uint64_t flags = spin_lock(&bq->lock);

                failed = NULL;
                ok = take_finished(bq, &failed);
                start_pending(bq);
                virtio_kick(&bq->q);
                again = !vq_wait_for_interrupt(&bq->q.vq);
                spin_unlock(&bq->lock, flags);
                finish(ok, 0);
                finish(failed, -EIO);
        } while (again);
        if (bq->q.vq.broken)
                fail_all(bq->blk, "the device answers nonsense");
}

static void interrupt(void *arg)
{
        complete(arg);
}

static void blk_poll(struct block_device *disk)
{
        struct blk *b = disk->driver;

        for (unsigned i = 0; i < b->nqueues; i++)
                complete(&b->queue[i]);
        if (!b->dead && virtio_needs_reset(&b->dev))
                fail_all(b, "the device needs a reset, or is gone");
}

static const struct block_ops blk_ops = {.submit = blk_submit, .poll = blk_poll};

/* The device's serial number, by polling: no request is in flight yet. Left empty when it has none. */
static void read_serial(struct blk *b)
{
        struct blk_queue *bq = &b->queue[0];
        struct slot *s = bq->free;
        struct vq_segment seg = {slot_pa(s, s->id), sizeof(s->id)};
        uint32_t len;

        memset(s->id, 0, sizeof(s->id));
        if (add(bq, s, VIRTIO_BLK_T_GET_ID, 0, &seg, 1, true) < 0)
                return;
        virtio_kick(&bq->q);
        for (unsigned long spin = 0; spin < PROBE_SPINS; spin++) {
                if (vq_take(&bq->q.vq, &len)) {
                        if (s->status == VIRTIO_BLK_S_OK)
                                memcpy(b->disk.serial, s->id, sizeof(s->id)); /* serial is longer: it ends with NUL */
                        return;
                }
                cpu_relax();
        }
        b->dead = true;
}

static int make_slots(struct blk_queue *bq)
{
        unsigned nslots = MIN(bq->q.vq.size, SLOTS_MAX);

        for (unsigned i = 0; i < nslots;) {
                paddr_t pa = frame_alloc();

                if (!pa)
                        return i ? 0 : -ENOMEM; /* fewer in flight, that is all */
                memset(direct(pa), 0, PAGE_SIZE);
                for (unsigned at = 0; at < PAGE_SIZE && i < nslots; at += SLOT_BYTES, i++) {
                        struct slot *s = (struct slot *)((char *)direct(pa) + at);

                        s->next = bq->free;
                        bq->free = s;
                }
        }
        return 0;
}

static int make_queues(struct blk *b)
{
        uint16_t offered = 1;

        if (b->dev.features & VIRTIO_FEATURE(VIRTIO_BLK_F_MQ))
                virtio_config(&b->dev, offsetof(struct virtio_blk_config, num_queues), &offered, sizeof(offered));
        b->nqueues = MIN(MIN((unsigned)offered, cpu_count), (unsigned)QUEUES_MAX);
        if (b->nqueues == 0)
                b->nqueues = 1;
        for (unsigned i = 0; i < b->nqueues; i++) {
                struct blk_queue *bq = &b->queue[i];
                int err;

                bq->blk = b;
                bq->pending_end = &bq->pending;
                err = virtio_queue(&b->dev, &bq->q, i, QUEUE_SIZE_MAX, interrupt, bq, i);
                if (!err)
                        err = make_slots(bq);
                if (err && i == 0)
                        return err;
                if (err) {
                        b->nqueues = i; /* what is set up is enough */
                        break;
                }
        }
        return 0;
}

/* A field of the configuration that exists only with its feature. */
static uint32_t config32(struct blk *b, unsigned feature, unsigned offset, uint32_t otherwise)
{
        uint32_t v;

        if (!(b->dev.features & VIRTIO_FEATURE(feature)) || virtio_config(&b->dev, offset, &v, sizeof(v)) < 0)
                return otherwise;
        return v;
}
#define CONFIG32(b, feature, field, otherwise)                                                                         \
        config32(b, feature, offsetof(struct virtio_blk_config, field), otherwise)

static int read_limits(struct blk *b)
{
        struct block_device *d = &b->disk;
        uint32_t segs;

        if (virtio_config(&b->dev, offsetof(struct virtio_blk_config, capacity), &d->nsectors, sizeof(d->nsectors)) < 0)
                return -EIO;
        d->logical_block = CONFIG32(b, VIRTIO_BLK_F_BLK_SIZE, blk_size, 512);
        if (d->logical_block < 512 || d->logical_block > PAGE_SIZE || (d->logical_block & (d->logical_block - 1)))
                return -EIO;
        segs = CONFIG32(b, VIRTIO_BLK_F_SEG_MAX, seg_max, BLOCK_SEGS_MAX);
        d->max_segs = MIN(MAX(segs, 1u), (uint32_t)BLOCK_SEGS_MAX);
        d->max_seg_bytes = CONFIG32(b, VIRTIO_BLK_F_SIZE_MAX, size_max, 1u << 30) & ~511u;
        if (d->max_seg_bytes < PAGE_SIZE)
                return -EIO;
        d->read_only = b->dev.features & VIRTIO_FEATURE(VIRTIO_BLK_F_RO);
        d->has_flush = b->dev.features & VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH);
        d->max_discard_sectors = CONFIG32(b, VIRTIO_BLK_F_DISCARD, max_discard_sectors, 0);
        d->discard_align = MAX(CONFIG32(b, VIRTIO_BLK_F_DISCARD, discard_sector_alignment, 1), 1u);
        d->has_discard = d->max_discard_sectors != 0 && !d->read_only;
        d->polls = true;
        return 0;
}

/* A chain, indirect or not, may not be longer than the queue. */
static int fit_segments(struct blk *b)
{
        for (unsigned i = 0; i < b->nqueues; i++) {
                uint32_t size = b->queue[i].q.vq.size;

                if (size <= EXTRA_SEGS)
                        return -EIO;
                b->disk.max_segs = MIN(b->disk.max_segs, size - EXTRA_SEGS);
        }
        return 0;
}

/* vda to vdz, then vdaa: Linux's names, in the order of the bus. */
static void name_disk(struct block_device *d)
{
        static unsigned count;
        unsigned n = count++;

        if (n < 26)
                snprintf(d->name, sizeof(d->name), "vd%c", 'a' + n);
        else
                snprintf(d->name, sizeof(d->name), "vd%c%c", 'a' + (n / 26 - 1) % 26, 'a' + n % 26);
        str_copy(d->model, "virtio disk", sizeof(d->model));
        d->major = MAJOR_VIRTIO;
        d->minor = n * MINORS;
}

static int start(struct blk *b, struct pci_device *pci)
{
        uint64_t wanted = VIRTIO_FEATURE(VIRTIO_BLK_F_SIZE_MAX) | VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
                          VIRTIO_FEATURE(VIRTIO_BLK_F_RO) | VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
                          VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_MQ) |
                          VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD);
        int err = virtio_open(&b->dev, pci, wanted);

        if (err)
                return err;
        b->indirect = b->dev.features & VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
        err = read_limits(b);
        if (!err)
                err = make_queues(b);
        if (!err)
                err = fit_segments(b);
        if (err) {
                virtio_stop(&b->dev);
                return err;
        }
        virtio_start(&b->dev);
        read_serial(b);
        if (b->dead) {
                virtio_stop(&b->dev);
                return -EIO;
        }
        for (unsigned i = 0; i < b->nqueues; i++)
                vq_wait_for_interrupt(&b->queue[i].q.vq);
        return 0;
}

void virtio_blk_probe(struct pci_device *pci)
{
        struct blk *b = kzalloc(sizeof(*b));
        struct block_device *d;
        int err = b ? start(b, pci) : -ENOMEM;

        if (err) {
                klog(LOG_WARN, "virtio-blk at %02x:%02x.%x: error %d", pci->bus, pci->slot, pci->function, err);
                return; /* rings and slots are not given back: this happens once, and the device may still hold them */
        }
        d = &b->disk;
        name_disk(d);
        d->ops = &blk_ops;
        d->driver = b;
        if (block_register(d) < 0) {
                klog(LOG_WARN, "virtio-blk: too many disks");
                virtio_stop(&b->dev);
                return;
        }
        pci->user_arg = b;
        pci->user = &blk_user;
        klog(LOG_INFO, "%s: virtio disk, %lu MiB, %u queue%s%s%s%s%s%s", d->name, d->nsectors >> 11, b->nqueues,
             b->nqueues == 1 ? "" : "s", d->has_flush ? ", flush" : "", d->has_discard ? ", discard" : "",
             d->read_only ? ", read-only" : "", d->serial[0] ? ", serial " : "", d->serial);
}
