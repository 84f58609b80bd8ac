/*
 * recover.c - from a disk to a store: the newest superblock that is good, then the records after its map, as far as they are whole.
 *
 * A record belongs to the chain if it stands where the one before says, carries that one's checksum, and is of the right life: up to the
 * superblock's life_epoch of an earlier incarnation, after it of the superblock's own. Epochs at or below the greatest flushed_through that any
 * record of the chain tells are durable; of later ones (there is one, or two) all data is read and checked, unless the record says that it was
 * flushed before. The first epoch that is not whole ends the chain: its blocks are free.
 * Replaying does to bitmaps, queues and recent index what the commits did. It may free more than they did, since there may be fewer superblocks that
 * need something now; never less, or a block would be taken twice.
 * Invariants: P8. Nothing read from the disk is believed before its checksum and its bounds hold.
 */
#include "persist/store/internal.h"

#define EPOCH_SKIP 1024u /* epochs that an earlier life may have used without our seeing it are left out */

struct chain {
        uint64_t block, sum, epoch; /* of the record to come: place, sum and epoch before it */
        uint64_t partial;           /* epoch that is under way; 0: none */
};

static void chain_start(const struct store *s, struct chain *c)
{
        *c = (struct chain){s->super.next_block, s->super.prev_sum, s->super.map_epoch, 0};
}

/* Reads the next record of the chain into h (body: s->body). -EUCLEAN: the chain ends here. */
static int chain_next(struct store *s, struct chain *c, struct disk_record *h)
{
        int r = record_read(s, c->block, h);

        if (r)
                return r == -EIO ? -EUCLEAN : r; /* what cannot be read is no record */
        if (h->incarnation > s->seen_incarnation)
                s->seen_incarnation = h->incarnation;
        if (h->epoch >= s->next_epoch)
                s->next_epoch = h->epoch + 1;
        if (h->prev_sum != c->sum || h->prev_epoch != c->epoch || h->epoch <= c->epoch ||
            (c->partial && h->epoch != c->partial))
                return -EUCLEAN;
        if (c->epoch < s->super.life_epoch ? h->incarnation >= s->super.incarnation
                                           : h->incarnation != s->super.incarnation)
                return -EUCLEAN;
        if (c->epoch < s->super.life_epoch && h->epoch > s->super.life_epoch)
                return -EUCLEAN;
        if (h->epoch == s->super.life_epoch && !(h->flags & RECORD_PARTIAL) && h->sum != s->super.life_sum)
                return -EUCLEAN;
        c->block = h->next_block;
        c->sum = h->sum;
        c->partial = h->epoch;
        if (!(h->flags & RECORD_PARTIAL)) {
                c->epoch = h->epoch;
                c->partial = 0;
        }
        return 0;
}

/* All data blocks of the record, against their sums. */
static int record_verify(struct store *s, const struct disk_record *h)
{
        const struct disk_entry *e = (const struct disk_entry *)s->body;
        int r = 0;

        for (uint32_t i = 0; i < h->nentries && !r; i++, e++) {
                if (entry_kind(e) != ENTRY_BLOCK)
                        continue;
                r = disk_read(s, e->where, s->run, 1);
                if (!r && page_sum(s->run) != (e->sum & MAP_SUM_MASK))
                        r = -EUCLEAN;
        }
        return r == -EIO ? -EUCLEAN : r;
}

/* Is the epoch that begins at c whole? */
static int epoch_verify(struct store *s, struct chain c, struct disk_record *h)
{
        struct chain from = c;
        int r;

        do /* the last record tells whether the data was flushed */
                r = chain_next(s, &c, h);
        while (!r && c.partial);
        if (r || h->flags & RECORD_DATA_FLUSHED)
                return r;
        do {
                r = chain_next(s, &from, h);
                if (!r)
                        r = record_verify(s, h);
        } while (!r && from.partial);
        return r;
}

int chain_goes_on(struct store *s)
{
        struct disk_record *h = persist_host->mem_alloc(sizeof(*h));
        int r = h ? epoch_verify(s, (struct chain){s->next_block, s->prev_sum, s->epoch, 0}, h) : -ENOMEM;

        if (h)
                persist_host->mem_free(h, sizeof(*h));
        return r == -EUCLEAN ? 0 : r ? r : 1;
}

static int dead_add_if_used(struct store *s, const struct disk_entry *e, uint64_t epoch)
{
        int r;

        if (!e->old_block)
                return 0;
        r = blocks_used(s, e->old_block);
        if (r < 0)
                return r;
        /* Free: it was allocated by a checkpoint whose superblock is lost. We know nothing of it, and need not. */
        return r ? dead_add(s, e->old_block, e->old_birth, epoch, 0) : 0;
}

/*
 * What the page has before this record, as the records up to here tell, or (behind the older superblock, from where a replay goes past a checkpoint that may have moved the page) the map. False: that
 * is not known, or not needed, since it is what the entry says.
 */
static bool known(struct store *s, const struct disk_entry *e, struct recent *old)
{
        const struct recent *r = recent_find(s, entry_ppn(e));
        struct disk_map m = {0};

        if (r)
                *old = *r;
        else if (s->fell_back && !map_get(s, entry_ppn(e), &m))
                *old = (struct recent){.block = map_block(&m), .birth = map_birth(&m), .sum = map_sum(&m)};
        return r || map_block(&m);
}

/* The delta's page: its base. */
static int delta_entry(struct store *s, const struct disk_entry *e, struct recent *p)
{
        if (!known(s, e, p))
                *p = (struct recent){.block = e->old_block, .birth = e->old_birth, .sum = e->sum & MAP_SUM_MASK};
        p->ppn = entry_ppn(e);
        p->delta = 1;
        if (!p->block || p->block < s->first_data || p->block >= s->end_data)
                return -EUCLEAN;
        return delta_apply(s, p->ppn, s->body + entry_offset(e), entry_length(e));
}

/* The page is written whole, and what it had dies: what the entry says, and what is known here, if that is another. */
static int superseded(struct store *s, const struct disk_entry *e, uint64_t epoch)
{
        struct recent old;
        int r = 0;

        shadow_drop(s, entry_ppn(e));
        if (known(s, e, &old) && old.block && !old.length && old.block != e->old_block)
                r = dead_add(s, old.block, old.birth, epoch, 0);
        return r ? r : dead_add_if_used(s, e, epoch);
}

/* What the commit did, to the state in memory. */
static int record_apply(struct store *s, uint64_t block, const struct disk_record *h)
{
        const struct disk_entry *e = (const struct disk_entry *)s->body;
        int r = dead_add_old(s, block, 0, h->epoch, DEATH_RECORD);

        for (uint32_t i = 0; i < h->nextents && !r; i++)
                for (uint32_t b = 0; b < h->extent[i].nblocks && !r; b++) {
                        r = blocks_take(s, h->extent[i].block + b);
                        if (!r)
                                r = dead_add_old(s, h->extent[i].block + b, 0, h->epoch, DEATH_RECORD);
                }
        for (uint32_t i = 0; i < h->nentries && !r; i++, e++) {
                struct recent p = {.ppn = entry_ppn(e), .birth = h->epoch, .sum = e->sum & MAP_SUM_MASK};

                switch (entry_kind(e)) {
                case ENTRY_BLOCK:
                        p.block = e->where;
                        r = blocks_take(s, p.block);
                        break;
                case ENTRY_PACKED:
                        p.block = block;
                        p.offset = entry_offset(e);
                        p.length = entry_length(e);
                        r = p.length ? 0 : -EUCLEAN;
                        break;
                case ENTRY_NONE:
                        p.sum = 0;
                        break;
                case ENTRY_DELTA:
                        r = delta_entry(s, e, &p);
                        break;
                default:
                        r = -EUCLEAN;
                }
                if (!r && entry_kind(e) != ENTRY_DELTA)
                        r = superseded(s, e, h->epoch);
                if (!r)
                        r = recent_set(s, &p);
        }
        return r ? r : blocks_take(s, h->next_block);
}

/*
 * The chain ends at c. If what stands there is a record that is damaged, and not one that power was lost under, another comes after it that knows of it: what the chain has lost was
 * durable.
 */
static void look_beyond(struct store *s, const struct chain *c, struct disk_record *h, uint64_t *durable)
{
        uint64_t next;

        if (disk_read(s, c->block, h, 1) || h->magic != RECORD_MAGIC ||
            __builtin_memcmp(h->uuid, s->uuid, sizeof(h->uuid)) != 0)
                return;
        next = h->next_block;
        if (next < s->first_data || next >= s->end_data || record_read(s, next, h) ||
            h->incarnation > s->super.incarnation)
                return;
        if (h->flushed_through > c->epoch && h->flushed_through > *durable)
                *durable = h->flushed_through;
}

static int replay(struct store *s)
{
        struct disk_record *h = persist_host->mem_alloc(sizeof(*h));
        uint64_t durable = 0, end = s->super.map_epoch, nentries = 0;
        struct chain c, before;
        int r = h ? 0 : -ENOMEM;

        /* How far the chain goes, and what it knows to be durable. */
        chain_start(s, &c);
        while (!r) {
                r = chain_next(s, &c, h);
                if (r)
                        break;
                if (h->flushed_through > durable)
                        durable = h->flushed_through;
                end = c.epoch;
                nentries += h->nentries;
        }
        if (r == -EUCLEAN && nentries)
                r = recent_room(s, nentries < RECENT_MAX ? nentries : RECENT_MAX) ? -ENOMEM : r;
        if (r != -EUCLEAN)
                goto out;
        look_beyond(s, &c, h, &durable);
        /* A life settles after its checkpoints, too. */
        r = dead_settle_young(s);
        if (!r)
                r = dead_settle_old(s);
        chain_start(s, &c);
        while (!r && c.epoch < end) {
                if (c.epoch >= durable) {
                        r = epoch_verify(s, c, h);
                        if (r)
                                break;
                }
                do {
                        before = c;
                        r = chain_next(s, &c, h);
                        if (!r)
                                r = record_apply(s, before.block, h);
                        s->prev_sum = c.sum;
                        s->next_block = c.block;
                } while (!r && c.partial);
                if (r) {
                        persist_host->log("store: record of epoch %lu contradicts the store: %d\n", h->epoch, r);
                        r = r == -EUCLEAN ? -EIO : r;
                        goto out;
                }
                for (unsigned i = 0; i + 1 < COMMITS_KEPT; i++)
                        s->last[i] = s->last[i + 1];
                s->last[COMMITS_KEPT - 1] = s->epoch = c.epoch;
                s->nchain++;
                s->clock = (struct store_clock){h->mono_ns, h->real_ns};
                r = dead_settle_young(s);
        }
        if (r == -EUCLEAN)
                r = 0;
        if (s->super.life_epoch > durable)
                durable = s->super.life_epoch;
        if (durable > s->epoch)
                s->evidence = durable;
out:
        if (h)
                persist_host->mem_free(h, sizeof(*h));
        return r ? r : s->failed;
}

/* ---- superblocks ---- */

/*
 * 0, -ENOENT: no superblock, -EUCLEAN: a damaged one, -EOPNOTSUPP: of another version, -EIO. Magic, sum and version stand where they stand in every
 * version, and the sum covers the block: so a damaged one is told from one of another version.
 */
static int super_read(struct store_disk *d, uint64_t block, struct disk_super *b)
{
        if (d->read(d, block, b, 1)) {
                b->magic = 0;
                persist_host->log("store: block %lu, where a superblock may be, cannot be read\n", block);
                return -EIO;
        }
        if (b->magic != SUPER_MAGIC)
                return -ENOENT;
        if (self_sum(b, &b->sum, sizeof(*b)) != b->sum) {
                persist_host->log("store: the superblock in block %lu is damaged\n", block);
                return -EUCLEAN;
        }
        if (b->version < STORE_OLDEST || b->version > STORE_VERSION) {
                persist_host->log("store: it is of version %u, this program knows versions %u to %u\n", b->version,
                                  STORE_OLDEST, STORE_VERSION);
                return -EOPNOTSUPP;
        }
        if (b->nblocks >= STORE_BLOCKS_MIN && b->nblocks <= (uint64_t)UNITS_MAX * UNIT_GROUPS * GROUP_BLOCKS)
                return 0;
        persist_host->log("store: the superblock in block %lu tells of %lu blocks, which cannot be\n", block,
                          b->nblocks);
        return -EUCLEAN;
}

/*
 * Both superblocks; good[i] is 0 for those that can be used. The second one is where the first says that the store ends; if there is no first one, where
 * the disk ends. Returns 0, or as store_open().
 */
static int supers_read(struct store_disk *d, struct disk_super b[2], int good[2])
{
        uint64_t last = d->nblocks - 1;

        if (d->nblocks <= BLOCK_SUPER_A)
                return -ENOENT;
        good[0] = super_read(d, BLOCK_SUPER_A, &b[0]);
        if (!good[0] && b[0].nblocks > d->nblocks) {
                persist_host->log("store: it has %lu blocks, the disk only %lu: the end is missing\n", b[0].nblocks,
                                  d->nblocks);
                return -EINVAL;
        }
        if (!good[0])
                last = b[0].nblocks - 1;
        good[1] = super_read(d, last, &b[1]);
        if (good[0] == -EUCLEAN && good[1] && b[0].nblocks >= STORE_BLOCKS_MIN && b[0].nblocks <= last) {
                last = b[0].nblocks - 1; /* damaged, but perhaps not there */
                good[1] = super_read(d, last, &b[1]);
        }
        if (good[0] == -EOPNOTSUPP || good[1] == -EOPNOTSUPP)
                return -EOPNOTSUPP;
        if (!good[1] && b[1].nblocks != last + 1) {
                persist_host->log("store: block %lu is the last of a store that begins elsewhere\n", last);
                good[1] = -EUCLEAN;
        }
        if (!good[0] && !good[1] && __builtin_memcmp(b[0].uuid, b[1].uuid, sizeof(b[0].uuid)))
                good[1] = -ENOENT; /* left over from another store */
        if (!good[0] || !good[1])
                return 0;
        if (good[0] == -EUCLEAN || good[1] == -EUCLEAN)
                return -EUCLEAN;
        return good[0] == -EIO || good[1] == -EIO ? -EIO : -ENOENT;
}

/* The store as one superblock shows it. */
static int open_with(struct store *s, const struct disk_super *this, unsigned slot, const struct disk_super *other)
{
        int r;

        s->super = *this;
        s->slot = slot;
        s->slot_valid[slot] = true;
        s->slot_epoch[slot] = this->map_epoch;
        s->slot_valid[!slot] = other;
        for (unsigned i = 0; other && i < UNITS_MAX; i++)
                s->older_unit[i] = other->unit[i];
        if (other)
                s->slot_epoch[!slot] = other->map_epoch;
        __builtin_memcpy(s->uuid, this->uuid, sizeof(s->uuid));
        s->base = this->base;
        blocks_geometry(s, this->nblocks);
        s->free = this->free;
        s->epoch = this->map_epoch;
        s->prev_sum = this->prev_sum;
        s->next_block = this->next_block;
        s->next_epoch = this->next_epoch;
        if (other && other->next_epoch > s->next_epoch)
                s->next_epoch = other->next_epoch;
        s->seen_incarnation = this->incarnation;
        s->clock = (struct store_clock){this->mono_ns, this->real_ns};
        r = map_open(s);
        if (!r)
                r = dead_read(s);
        if (!r)
                r = replay(s);
        if (s->next_epoch <= s->epoch)
                s->next_epoch = s->epoch + 1;
        s->next_epoch += EPOCH_SKIP;
        return r;
}

static struct store *store_new(struct store_disk *d, bool tolerant)
{
        struct store *s = persist_host->mem_alloc(STORE_SIZE);

        if (s) {
                zero16(s, STORE_SIZE);
                s->disk = d;
                s->tolerant = tolerant;
                while (s->nshadows < SHADOWS && !shadows_add(s))
                        ; /* with less memory fewer pages are hot */
        }
        return s;
}

void store_close(struct store *s)
{
        blocks_close(s);
        clean_close(s);
        map_close(s);
        if (s->recent)
                persist_host->mem_free(s->recent, s->recent_size * sizeof(*s->recent));
        if (s->touched)
                persist_host->mem_free(s->touched, s->touched_size * sizeof(*s->touched));
        queue_free(&s->young);
        queue_free(&s->old);
        queue_free(&s->meta);
        for (unsigned i = 0; i < s->nkept; i++)
                queue_free(&s->kept[i].add);
        shadows_close(s);
        persist_host->mem_free(s, STORE_SIZE);
}

/* A state is found: it becomes ours, or is looked at only. */
static int take(struct store *s, uint64_t owner)
{
        if (!owner) {
                s->failed = -EROFS;
                return 0;
        }
        if (s->super.schema > SPACE_SCHEMA || s->super.schema < SPACE_SCHEMA_OLDEST) {
                persist_host->log("store: what is in it is of schema %u, this system knows schemas %u to %u\n",
                                  s->super.schema, SPACE_SCHEMA_OLDEST, SPACE_SCHEMA);
                return -EOPNOTSUPP;
        }
        s->super.schema = SPACE_SCHEMA; /* what is written from here on */
        s->super.version = STORE_VERSION;
        if (!claim(s, owner))
                return 0;
        persist_host->log("store: block %u, which says whose it is, cannot be written\n", BLOCK_ATTEMPT);
        return -EROFS;
}

int store_open(struct store_disk *d, uint64_t owner, struct store **store)
{
        struct disk_super *b = persist_host->mem_alloc(2 * sizeof(*b));
        struct store *s = NULL;
        unsigned newer;
        int good[2], r;

        *store = NULL;
        if (!b)
                return -ENOMEM;
        r = supers_read(d, b, good);
        if (r)
                goto out;
        newer = good[0] || (!good[1] && b[1].sequence > b[0].sequence);
        r = -EUCLEAN;
        /* The newer one, the other one; then both again, without what is not needed to know the state. */
        for (unsigned i = 0; i < 4 && r && r != -ENOMEM; i++) {
                unsigned slot = newer ^ (i & 1);
                /* What the newer one leads to is of no use when the older one is taken. */
                bool other = !good[!slot] && !i;

                if (good[slot])
                        continue;
                s = store_new(d, i >= 2);
                if (s)
                        s->fell_back = i || !other;
                r = s ? open_with(s, &b[slot], slot, other ? &b[!slot] : NULL) : -ENOMEM;
                if (!r)
                        break;
                if (s)
                        store_close(s);
                s = NULL;
                persist_host->log("store: superblock %c leads to no good state: %d\n", 'A' + slot, r);
        }
        if (!s) {
                r = r == -ENOMEM ? r : -EUCLEAN;
                goto out;
        }
        for (unsigned i = 0; i < 2; i++)
                s->super_seen[i] = good[i] == -EIO ? 0 : block_sum(&b[i], sizeof(b[i]));
        r = take(s, owner);
        if (r) {
                store_close(s);
                goto out;
        }
        if (s->tolerant)
                persist_host->log(
                        "store: lists of blocks are damaged. The state is whole, but some room is lost, and perhaps "
                        "kept snapshots\n");
        if (s->evidence)
                persist_host->log("store: epoch %lu was durable once; the disk has lost it. Going on from %lu\n",
                                  s->evidence, s->epoch);
        *store = s;
out:
        persist_host->mem_free(b, 2 * sizeof(*b));
        return r;
}
