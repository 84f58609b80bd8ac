/*
 * partition.c - partitions as block devices of their own. A request to one is shifted and handed to its disk, which
 * completes it; so a partition has no state but its place.
 *
 * Tables are read at boot, and again when somebody asks (block_rescan): by a worker, which is made for the first one who
 * asks. A GPT counts where the first block has a protective entry, as UEFI wants it: its header in block 1, or the one in
 * the last block if that is damaged. Else the table in the first block, with the chain in an extended partition.
 *
 * A partition device is registered once for its number and never goes away: when the table has it no more it is `gone`,
 * and a later table can bring it back with another place. What has changed while a store is open on the partition is
 * not taken over (-EBUSY, and nothing changes).
 *
 * All of this runs on one CPU at a time: at boot, then on the worker. `first` and `nsectors` change only while the
 * partition is gone.
 */
#include "kernel/drivers/block/partition.h"
#include "kernel/drivers/block/gpt.h"
#include "kernel/drivers/block/mbr.h"
#include "kernel/include/block.h"
#include "kernel/include/cpu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/worker.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define PARTITIONS_MAX BLOCK_PARTITIONS_MAX
#define BUFFER_BYTES   (GPT_ENTRIES_MAX * GPT_SECTOR)
#define CHAIN_MAX      64u
#define LOGICAL_FIRST  5u

struct partition {
        struct block_device d; /* d.whole: its disk */
        uint64_t first;
};

/* What a table says; places in blocks of the disk. */
struct table {
        const char *kind;
        struct gpt_partition list[PARTITIONS_MAX];
        unsigned n;
};

static int partition_submit(struct block_device *d, struct block_request *r)
{
        struct partition *p = d->driver;

        if (d->gone)
                return -EIO;
        if (r->op != BLOCK_FLUSH)
                r->sector += p->first;
        return d->whole->ops->submit(d->whole, r);
}

static void partition_poll(struct block_device *d)
{
        d->whole->ops->poll(d->whole);
}

static const struct block_ops partition_ops = {.submit = partition_submit, .poll = partition_poll};

/* ---- reading tables ---- */

struct read_wait {
        struct worker *worker;
        volatile bool done;
        int status;
};

static void read_done(struct block_request *r, int status)
{
        struct read_wait *w = r->arg;
        struct worker *worker = w->worker;

        w->status = status;
        __atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
        worker_wake(worker);
}

/* At boot the device is polled, later the worker sleeps. */
static int read_one(struct block_device *d, struct block_request *r)
{
        struct read_wait w = {.worker = worker_this()};
        int err;

        if (!w.worker)
                return block_submit_wait(d, r);
        r->done = read_done;
        r->arg = &w;
        err = block_submit(d, r);
        if (err)
                return err;
        while (!__atomic_load_n(&w.done, __ATOMIC_ACQUIRE))
                worker_sleep(0);
        return w.status;
}

/* n blocks to the page-aligned direct-mapped buffer, a page a request. */
static int read_blocks(struct block_device *d, uint64_t block, uint8_t *buf, uint32_t n)
{
        uint32_t size = d->logical_block;

        for (uint32_t some; n; n -= some, block += some, buf += (size_t)some * size) {
                struct block_request r = {.op = BLOCK_READ, .sector = block * (size / 512), .nsegs = 1};
                int e;

                some = MIN(n, (uint32_t)PAGE_SIZE / size);
                r.nsectors = some * (size / 512);
                r.seg[0].pa = direct_pa(buf);
                r.seg[0].len = some * size;
                e = read_one(d, &r);
                if (e)
                        return e;
        }
        return 0;
}

static uint64_t blocks_of(const struct block_device *d)
{
        return d->nsectors / (d->logical_block / 512);
}

/* The table that the header in block `at` describes. */
static bool gpt_read(struct block_device *d, uint64_t at, uint8_t *buf, struct table *t)
{
        uint32_t bytes, size = d->logical_block;
        struct gpt_header h;

        if (read_blocks(d, at, buf, 1) || !gpt_header_parse(buf, at, blocks_of(d), &h))
                return false;
        bytes = h.nentries * h.entry_size;
        if (bytes > BUFFER_BYTES)
                return false;
        return !read_blocks(d, h.entries, buf, (bytes + size - 1) / size) &&
               gpt_entries_parse(&h, buf, t->list, PARTITIONS_MAX, &t->n);
}

static void mbr_add(struct table *t, unsigned number, const struct mbr_entry *e)
{
        struct gpt_partition *p = &t->list[t->n];

        if (t->n == PARTITIONS_MAX || number > PARTITIONS_MAX || !e->type)
                return;
        *p = (struct gpt_partition){.number = number, .first = e->first, .nsectors = e->nblocks};
        p->type[0] = e->type;
        t->n++;
}

static int chain_read(struct block_device *d, const struct mbr_entry *outer, uint8_t *buf, struct table *t)
{
        uint64_t at = outer->first, next;
        unsigned number = LOGICAL_FIRST;
        struct mbr_entry e;

        for (unsigned i = 0; i < CHAIN_MAX && at; i++, at = next) {
                int err = read_blocks(d, at, buf, 1);

                if (err)
                        return err;
                mbr_parse_logical(buf, outer, at, &e, &next);
                if (e.type)
                        mbr_add(t, number++, &e);
        }
        return 0;
}

static int mbr_read(struct block_device *d, const struct mbr *m, uint8_t *buf, struct table *t)
{
        t->kind = "MBR";
        for (unsigned i = 0; i < ARRAY_SIZE(m->entry); i++) {
                struct mbr_entry e = m->entry[i];

                /* A boot loader may lie in the first KiB of an extended partition; more of it is not to be seen. */
                if (mbr_is_extended(e.type))
                        e.nblocks = MIN(e.nblocks, MAX(1024u / d->logical_block, 1u));
                mbr_add(t, i + 1, &e);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(m->entry); i++) {
                if (mbr_is_extended(m->entry[i].type))
                        return chain_read(d, &m->entry[i], buf, t);
        }
        return 0;
}

static int table_read(struct block_device *d, uint8_t *buf, struct table *t)
{
        uint64_t nblocks = blocks_of(d);
        struct mbr m;
        int err;

        *t = (struct table){0};
        if (nblocks < 68 || d->removable)
                return 0;
        err = read_blocks(d, 0, buf, 1);
        if (err)
                return err;
        mbr_parse(buf, nblocks, &m);
        if (!m.valid)
                return 0;
        if (!m.protective)
                return mbr_read(d, &m, buf, t);
        t->kind = "GPT";
        if (gpt_read(d, 1, buf, t))
                return 0;
        if (gpt_read(d, nblocks - 1, buf, t))
                klog(LOG_WARN, "%s: the partition table at the beginning is damaged; the one at the end is used",
                     d->name);
        else
                klog(LOG_WARN, "%s: both partition tables are damaged: no partition is used", d->name);
        return 0;
}

/* ---- devices ---- */

static struct partition *find(const struct block_device *disk, unsigned number)
{
        for (unsigned i = 0; i < block_count(); i++) {
                struct block_device *d = block_by_index(i);

                if (d->whole == disk && d->minor == disk->minor + number)
                        return container_of(d, struct partition, d);
        }
        return NULL;
}

static void set(struct partition *p, const struct gpt_partition *g)
{
        struct block_device *disk = p->d.whole;
        uint64_t unit = disk->logical_block / 512;

        p->first = p->d.first_sector = g->first * unit;
        p->d.nsectors = g->nsectors * unit;
        memcpy(p->d.type, g->type, sizeof(p->d.type));
        memcpy(p->d.uuid, g->uuid, sizeof(p->d.uuid));
        __atomic_store_n(&p->d.gone, false, __ATOMIC_RELEASE);
}

static void add(struct block_device *disk, const struct gpt_partition *g)
{
        struct partition *p = kzalloc(sizeof(*p));
        bool digit = disk->name[strlen(disk->name) - 1] <= '9';

        if (!p)
                return;
        p->d = *disk;
        fmt_append(p->d.name, sizeof(p->d.name), 0, "%s%s%u", disk->name, digit ? "p" : "", g->number);
        p->d.ops = &partition_ops;
        p->d.driver = p;
        p->d.whole = disk;
        p->d.minor = disk->minor + g->number;
        p->d.claimed = false;
        set(p, g);
        if (block_register(&p->d)) {
                klog(LOG_WARN, "%s: too many block devices", p->d.name);
                kfree(p);
        }
}

static const struct gpt_partition *wanted(const struct table *t, unsigned number)
{
        for (unsigned i = 0; i < t->n; i++)
                if (t->list[i].number == number)
                        return &t->list[i];
        return NULL;
}

static bool is_at(const struct partition *p, const struct gpt_partition *g)
{
        uint64_t unit = p->d.logical_block / 512;

        return g && !p->d.gone && p->first == g->first * unit && p->d.nsectors == g->nsectors * unit;
}

static int take_over(struct block_device *disk, const struct table *t)
{
        struct partition *p;

        for (unsigned number = 1; number <= PARTITIONS_MAX; number++) {
                p = find(disk, number);
                if (p && p->d.claimed && !is_at(p, wanted(t, number)))
                        return -EBUSY;
        }
        for (unsigned number = 1; number <= PARTITIONS_MAX; number++) {
                const struct gpt_partition *g = wanted(t, number);

                p = find(disk, number);
                if (p && !is_at(p, g))
                        __atomic_store_n(&p->d.gone, true, __ATOMIC_RELEASE);
                if (p && g)
                        set(p, g);
                else if (g)
                        add(disk, g);
        }
        if (t->kind)
                klog(LOG_INFO, "%s: %s, %u partition%s", disk->name, t->kind, t->n, t->n == 1 ? "" : "s");
        return 0;
}

static int scan(struct block_device *d, uint8_t *buf)
{
        static struct table t; /* the boot CPU's, then the worker's */
        int err = table_read(d, buf, &t);

        if (err) {
                klog(LOG_WARN, "%s: its partition table cannot be read: error %d", d->name, err);
                return -EIO;
        }
        return take_over(d, &t);
}

void partitions_init(void)
{
        unsigned ndisks = block_count();
        paddr_t pa = ndisks ? frame_alloc_contig(BUFFER_BYTES / PAGE_SIZE, ~0ul) : 0;

        if (!pa)
                return;
        for (unsigned i = 0; i < ndisks; i++)
                scan(block_by_index(i), direct(pa));
        frame_free_contig(pa, BUFFER_BYTES / PAGE_SIZE);
}

/* ---- again ---- */

static struct {
        struct spinlock lock;
        struct block_rescan *first, *last; /* l */
        struct worker *worker;             /* l; made once */
} asked;

static struct block_rescan *next_asked(void)
{
        uint64_t f = spin_lock(&asked.lock);
        struct block_rescan *r = asked.first;

        if (r)
                asked.first = r->next;
        spin_unlock(&asked.lock, f);
        return r;
}

static int rescan(struct block_device *d)
{
        paddr_t pa = frame_alloc_contig(BUFFER_BYTES / PAGE_SIZE, ~0ul);
        int err;

        if (!pa)
                return -ENOMEM;
        err = scan(d, direct(pa));
        frame_free_contig(pa, BUFFER_BYTES / PAGE_SIZE);
        return err;
}

static void rescan_worker(void *arg)
{
        struct block_rescan *r;

        (void)arg;
        for (;;) {
                while ((r = next_asked()))
                        r->done(r, rescan(r->disk));
                worker_sleep(0);
        }
}

int block_rescan(struct block_rescan *r)
{
        struct worker *w;
        uint64_t f;

        if (r->disk->whole)
                return -EINVAL;
        f = spin_lock(&asked.lock);
        if (!asked.worker)
                asked.worker = worker_create("partitions", rescan_worker, NULL);
        w = asked.worker;
        if (w) {
                r->next = NULL;
                if (asked.first)
                        asked.last->next = r;
                else
                        asked.first = r;
                asked.last = r;
        }
        spin_unlock(&asked.lock, f);
        if (!w)
                return -ENOMEM;
        worker_wake(w);
        return 0;
}
