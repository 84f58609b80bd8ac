/*
 * store_disk.c - struct store_disk over a block device: through one bounce page, each request waited for.
 */
#include "kernel/glue/store_disk.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

struct disk {
        struct store_disk d;
        struct block_device *device;
        uint64_t first; /* sector */
        uint8_t *bounce;
};

static int transfer(struct store_disk *d, enum block_op op, uint64_t sector, void *buf, uint32_t len)
{
        struct disk *k = container_of(d, struct disk, d);

        for (uint32_t n; len; buf = (char *)buf + n, len -= n, sector += n / 512) {
                struct block_request r = {.op = op, .sector = k->first + sector, .nsegs = 1};
                int e;

                n = MIN(len, (uint32_t)PAGE_SIZE);
                r.nsectors = n / 512;
                r.seg[0].pa = direct_pa(k->bounce);
                r.seg[0].len = n;
                if (op == BLOCK_WRITE)
                        memcpy(k->bounce, buf, n);
                e = block_submit_wait(k->device, &r);
                if (e)
                        return e;
                if (op == BLOCK_READ)
                        memcpy(buf, k->bounce, n);
        }
        return 0;
}

static int disk_read(struct store_disk *d, uint64_t block, void *buf, uint32_t nblocks)
{
        return transfer(d, BLOCK_READ, block * 8, buf, nblocks * 4096);
}

static int disk_write(struct store_disk *d, uint64_t block, const void *buf, uint32_t nblocks)
{
        return transfer(d, BLOCK_WRITE, block * 8, (void *)(uintptr_t)buf, nblocks * 4096);
}

static int disk_write_sector(struct store_disk *d, uint64_t sector, const void *buf)
{
        return transfer(d, BLOCK_WRITE, sector, (void *)(uintptr_t)buf, 512);
}

static int disk_flush(struct store_disk *d)
{
        struct disk *k = container_of(d, struct disk, d);
        struct block_request r = {.op = BLOCK_FLUSH};

        return k->device->has_flush ? block_submit_wait(k->device, &r) : 0;
}

int store_disk_open(struct block_device *device, uint64_t sector, uint64_t nsectors, struct store_disk **disk)
{
        struct disk *k = kzalloc(sizeof(*k));
        paddr_t pa = frame_alloc();

        if (!k || !pa || sector % 8 || nsectors % 8) {
                kfree(k);
                if (pa)
                        frame_free(pa);
                return k && pa ? -EINVAL : -ENOMEM;
        }
        *k = (struct disk){.d = {.nblocks = nsectors / 8,
                                 .read = disk_read,
                                 .write = disk_write,
                                 .write_sector = disk_write_sector,
                                 .flush = disk_flush},
                           .device = device,
                           .first = sector,
                           .bounce = direct(pa)};
        *disk = &k->d;
        return 0;
}

void store_disk_close(struct store_disk *disk)
{
        struct disk *k = container_of(disk, struct disk, d);

        frame_free(direct_pa(k->bounce));
        kfree(k);
}
