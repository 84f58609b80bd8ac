/*
 * partition.c - partitions as block devices of their own. A request to one is shifted and handed to its disk, which completes it; so a partition has no state but its place.
 * The table is read once, at boot: the header in sector 1, or the one in the last sector if that is damaged.
 */
#include "kernel/drivers/block/partition.h"
#include "kernel/drivers/block/gpt.h"
#include "kernel/include/block.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define PARTITIONS_MAX 15u /* of a disk */
#define TABLE_BYTES    (GPT_ENTRIES_MAX * GPT_SECTOR)

struct partition {
        struct block_device d; /* d.whole: its disk */
        uint64_t first;
};

static int partition_submit(struct block_device *d, struct block_request *r)
{
        struct partition *p = d->driver;

        if (r->op != BLOCK_FLUSH)
                r->sector += p->first;
        return d->whole->ops->submit(d->whole, r);
}

static void partition_poll(struct block_device *d)
{
        d->whole->ops->poll(d->whole);
}

static const struct block_ops partition_ops = {.submit = partition_submit, .poll = partition_poll};

/* n sectors to the page-aligned direct-mapped buffer, a page a request. */
static int read_sectors(struct block_device *d, uint64_t sector, uint8_t *buf, uint32_t n)
{
        for (uint32_t some; n; n -= some, sector += some, buf += some * GPT_SECTOR) {
                struct block_request r = {.op = BLOCK_READ, .sector = sector, .nsegs = 1};
                int e;

                some = MIN(n, (uint32_t)(PAGE_SIZE / GPT_SECTOR));
                r.nsectors = some;
                r.seg[0].pa = direct_pa(buf);
                r.seg[0].len = some * GPT_SECTOR;
                e = block_submit_wait(d, &r);
                if (e)
                        return e;
        }
        return 0;
}

/* The table that the header in sector `at` describes. */
static bool table_read(struct block_device *d, uint64_t at, uint8_t *buf, struct gpt_partition *list, unsigned *n)
{
        struct gpt_header h;
        uint32_t bytes;

        if (read_sectors(d, at, buf, 1) || !gpt_header_parse(buf, at, d->nsectors, &h))
                return false;
        bytes = h.nentries * h.entry_size;
        return !read_sectors(d, h.entries, buf, (bytes + GPT_SECTOR - 1) / GPT_SECTOR) &&
               gpt_entries_parse(&h, buf, list, PARTITIONS_MAX, n);
}

static void add(struct block_device *disk, const struct gpt_partition *g)
{
        struct partition *p = kzalloc(sizeof(*p));

        if (!p)
                return;
        p->d = *disk;
        fmt_append(p->d.name, sizeof(p->d.name), 0, "%s%u", disk->name, g->number);
        p->d.nsectors = g->nsectors;
        memcpy(p->d.type, g->type, sizeof(p->d.type));
        memcpy(p->d.uuid, g->uuid, sizeof(p->d.uuid));
        p->d.ops = &partition_ops;
        p->d.driver = p;
        p->d.whole = disk;
        p->first = g->first;
        if (block_register(&p->d)) {
                klog(LOG_WARN, "%s: too many block devices", p->d.name);
                kfree(p);
        }
}

static void scan(struct block_device *d, uint8_t *buf)
{
        struct gpt_partition list[PARTITIONS_MAX];
        unsigned n = 0;

        if (d->logical_block != GPT_SECTOR || d->nsectors < 68)
                return;
        if (!table_read(d, 1, buf, list, &n)) {
                if (!table_read(d, d->nsectors - 1, buf, list, &n))
                        return;
                klog(LOG_WARN, "%s: the partition table at the beginning is damaged; the one at the end is used",
                     d->name);
        }
        for (unsigned i = 0; i < n; i++)
                add(d, &list[i]);
        klog(LOG_INFO, "%s: %u partition%s", d->name, n, n == 1 ? "" : "s");
}

void partitions_init(void)
{
        unsigned ndisks = block_count();
        paddr_t pa = ndisks ? frame_alloc_contig(TABLE_BYTES / PAGE_SIZE, ~0ul) : 0;

        if (!pa)
                return;
        for (unsigned i = 0; i < ndisks; i++)
                scan(block_by_index(i), direct(pa));
        frame_free_contig(pa, TABLE_BYTES / PAGE_SIZE);
}
