/*
 * store_disk.c - struct store_disk over a block device.
 *
 * A transfer goes in pieces through bounce buffers, several requests in flight; so the store's buffers may be any memory. On a worker the waiting is worker_sleep. While a space is
 * recovered - at boot, before threads run, and after that as long as the store is used from anywhere (at_once) - the device is polled, and a single block that is read brings its
 * neighbours along: recovery reads the store in about the order in which it was written. Later the store says what it will read.
 * One transfer at a time, as one thread at a time uses a store.
 */
#include "kernel/glue/store_disk.h"
#include "kernel/include/cpu.h"
#include "kernel/include/mem.h"
#include "kernel/include/rng.h"
#include "kernel/include/worker.h"
#include "kernel/lib/string.h"
#include "persist/space.h"

#define BLOCK_BYTES  4096u
#define PIECE_BLOCKS 16u
#define SLOTS        4u

struct slot {
        struct block_request request;
        uint8_t *bounce;
        void *to; /* a read: where it goes */
        uint32_t len;
        volatile bool busy; /* with the device */
        int status;
        struct worker *waits; /* NULL: somebody polls */
};

struct disk {
        struct store_disk d;
        struct block_device *device;
        uint64_t first;   /* sector */
        uint32_t per_seg; /* bytes of a segment */
        struct slot slot[SLOTS];
        uint8_t *near; /* what was read ahead: near_n blocks from near_block */
        uint64_t near_block;
        uint32_t near_n;
};

static struct store_disk_counts counts; /* by whoever uses a store: one at a time */

void store_disk_counts(struct store_disk_counts *c)
{
        *c = counts;
}

static void slot_done(struct block_request *r, int status)
{
        struct slot *s = container_of(r, struct slot, request);
        struct worker *w = s->waits;

        s->status = status;
        __atomic_store_n(&s->busy, false, __ATOMIC_RELEASE);
        if (w)
                worker_wake(w);
}

static bool is_polled(const struct disk *k)
{
        return k->d.at_once || !worker_this();
}

static void wait_for(struct disk *k, struct slot *s)
{
        while (__atomic_load_n(&s->busy, __ATOMIC_ACQUIRE)) {
                if (s->waits) {
                        worker_sleep(0);
                } else {
                        k->device->ops->poll(k->device);
                        cpu_relax();
                }
        }
}

static int slot_submit(struct disk *k, struct slot *s, enum block_op op, uint64_t sector, uint32_t len)
{
        struct block_request *r = &s->request;
        int e;

        *r = (struct block_request){.op = op, .sector = sector, .nsectors = len / 512, .done = slot_done};
        for (uint32_t at = 0; at < len && op != BLOCK_DISCARD; at += k->per_seg) {
                r->seg[r->nsegs].pa = direct_pa(s->bounce + at);
                r->seg[r->nsegs++].len = MIN(len - at, k->per_seg);
        }
        if (op == BLOCK_READ)
                counts.read += len;
        else if (op == BLOCK_FLUSH)
                counts.flushes++;
        else if (op == BLOCK_DISCARD)
                counts.discarded += len;
        else
                counts.writes++, counts.written += len;
        s->waits = is_polled(k) ? NULL : worker_this();
        s->busy = true;
        e = block_submit(k->device, r);
        if (e)
                s->busy = false;
        return e;
}

/* The slot's transfer is over: 0 or -EIO; what was read is where it belongs. */
static int slot_finish(struct disk *k, struct slot *s)
{
        if (!s->len)
                return 0;
        wait_for(k, s);
        if (s->to && !s->status)
                memcpy(s->to, s->bounce, s->len);
        s->len = 0;
        return s->status ? -EIO : 0;
}

static int transfer(struct disk *k, enum block_op op, uint64_t sector, void *buf, uint64_t len)
{
        int r = 0, e;

        for (unsigned i = 0; len && !r; i = (i + 1) % SLOTS) {
                struct slot *s = &k->slot[i];
                uint32_t n = (uint32_t)MIN(len, (uint64_t)PIECE_BLOCKS * BLOCK_BYTES);

                r = slot_finish(k, s);
                if (r)
                        break;
                s->to = op == BLOCK_READ ? buf : NULL;
                if (op == BLOCK_WRITE)
                        memcpy(s->bounce, buf, n);
                r = slot_submit(k, s, op, k->first + sector, n);
                s->len = r ? 0 : n;
                sector += n / 512;
                buf = (char *)buf + n;
                len -= n;
        }
        for (unsigned i = 0; i < SLOTS; i++) {
                e = slot_finish(k, &k->slot[i]);
                r = r ? r : e;
        }
        return r ? -EIO : 0;
}

static void disk_forget(struct store_disk *d)
{
        container_of(d, struct disk, d)->near_n = 0;
}

static void disk_ahead(struct store_disk *d, uint64_t block, uint32_t nblocks)
{
        struct disk *k = container_of(d, struct disk, d);
        uint32_t n = MIN(nblocks, SLOTS * PIECE_BLOCKS);

        disk_forget(d);
        if (!k->near || transfer(k, BLOCK_READ, block * (BLOCK_BYTES / 512), k->near, (uint64_t)n * BLOCK_BYTES))
                return;
        k->near_block = block;
        k->near_n = n;
}

static bool is_near(const struct disk *k, uint64_t block)
{
        return block - k->near_block < k->near_n;
}

static int disk_read(struct store_disk *d, uint64_t block, void *buf, uint32_t nblocks)
{
        struct disk *k = container_of(d, struct disk, d);

        if (nblocks == 1 && !is_near(k, block) && is_polled(k))
                disk_ahead(d, block, (uint32_t)MIN(d->nblocks - block, (uint64_t)SLOTS * PIECE_BLOCKS));
        if (nblocks > 1 || !is_near(k, block))
                return transfer(k, BLOCK_READ, block * (BLOCK_BYTES / 512), buf, (uint64_t)nblocks * BLOCK_BYTES);
        memcpy(buf, k->near + (block - k->near_block) * BLOCK_BYTES, BLOCK_BYTES);
        return 0;
}

static int disk_write(struct store_disk *d, uint64_t block, const void *buf, uint32_t nblocks)
{
        struct disk *k = container_of(d, struct disk, d);

        disk_forget(d);
        return transfer(k, BLOCK_WRITE, block * (BLOCK_BYTES / 512), (void *)(uintptr_t)buf,
                        (uint64_t)nblocks * BLOCK_BYTES);
}

static int disk_write_sector(struct store_disk *d, uint64_t sector, const void *buf)
{
        struct disk *k = container_of(d, struct disk, d);

        disk_forget(d);
        return transfer(k, BLOCK_WRITE, sector, (void *)(uintptr_t)buf, 512);
}

static int disk_flush(struct store_disk *d)
{
        struct disk *k = container_of(d, struct disk, d);
        struct slot *s = &k->slot[0];

        if (!k->device->has_flush)
                return 0;
        if (slot_submit(k, s, BLOCK_FLUSH, 0, 0))
                return -EIO;
        wait_for(k, s);
        return s->status ? -EIO : 0;
}

static int disk_discard(struct store_disk *d, uint64_t block, uint32_t nblocks)
{
        struct disk *k = container_of(d, struct disk, d);
        uint64_t sector = k->first + block * (BLOCK_BYTES / 512), left = (uint64_t)nblocks * (BLOCK_BYTES / 512);
        struct slot *s = &k->slot[0];

        for (uint32_t n; left; sector += n, left -= n) {
                n = (uint32_t)MIN(left, (uint64_t)k->device->max_discard_sectors);
                if (slot_submit(k, s, BLOCK_DISCARD, sector, n * 512))
                        return -EIO;
                wait_for(k, s);
                if (s->status)
                        return -EIO;
        }
        return 0;
}

int store_disk_format(struct store_disk *disk)
{
        uint8_t uuid[16];

        rng_bytes(uuid, sizeof(uuid));
        return store_format(disk, uuid, SPACE_START);
}

uint64_t store_owner(void)
{
        uint64_t owner = 0;

        while (!owner)
                rng_bytes(&owner, sizeof(owner));
        return owner;
}

void store_device_claim(struct block_device *d, bool claimed)
{
        d->claimed = claimed;
        if (d->whole)
                d->whole->claimed = claimed;
}

void store_disk_close(struct store_disk *disk)
{
        struct disk *k = container_of(disk, struct disk, d);

        for (unsigned i = 0; i < SLOTS; i++)
                if (k->slot[i].bounce)
                        frame_free_contig(direct_pa(k->slot[i].bounce), PIECE_BLOCKS);
        vfree(k->near);
        kfree(k);
}

int store_disk_open(struct block_device *device, uint64_t sector, uint64_t nsectors, struct store_disk **disk)
{
        struct disk *k;

        if (sector % 8 || nsectors % 8 || sector > device->nsectors || nsectors > device->nsectors - sector)
                return -EINVAL;
        k = kzalloc(sizeof(*k));
        if (!k)
                return -ENOMEM;
        k->d = (struct store_disk){.nblocks = nsectors / 8,
                                   .read = disk_read,
                                   .write = disk_write,
                                   .write_sector = disk_write_sector,
                                   .flush = disk_flush,
                                   .ahead = disk_ahead,
                                   .forget = disk_forget,
                                   .can_share = device->polls};
        if (device->has_discard) {
                k->d.discard = disk_discard;
                k->d.discard_unit = MAX(device->discard_align / 8, 1u);
        }
        k->device = device;
        k->first = sector;
        k->per_seg = MIN(device->max_seg_bytes & ~511u, PIECE_BLOCKS * BLOCK_BYTES);
        if (k->per_seg * device->max_segs < PIECE_BLOCKS * BLOCK_BYTES) {
                kfree(k);
                return -EINVAL;
        }
        for (unsigned i = 0; i < SLOTS; i++) {
                paddr_t pa = frame_alloc_contig(PIECE_BLOCKS, ~0ul);

                if (!pa) {
                        store_disk_close(&k->d);
                        return -ENOMEM;
                }
                k->slot[i].bounce = direct(pa);
        }
        k->near = vmalloc(SLOTS * PIECE_BLOCKS * BLOCK_BYTES); /* NULL: one by one */
        *disk = &k->d;
        return 0;
}
