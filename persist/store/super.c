/*
 * super.c - superblocks and what is written with them: making a store, beginning a life, checkpoints, kept snapshots.
 *
 * Two superblocks, written in turn, each with one flush before (what it names is there) and one after (the other may go). A checkpoint brings
 * the map on disk to the last commit: packed pages get blocks, changed map nodes, bitmaps and lists are written, then the superblock that names them.
 * What must not be lost with one of them is written to both: a life's first commit is preceded by both superblocks with the next incarnation, which also say up to where the chain is of earlier lives.
 */
#include <xxhash.h>
#include "persist/store/internal.h"

uint64_t block_sum(const void *p, size_t len)
{
        return XXH64(p, len, 0);
}

uint64_t self_sum(const void *block, const uint64_t *sum, size_t len)
{
        size_t at = (size_t)((const char *)sum - (const char *)block);

        return XXH64(sum + 1, len - at - sizeof(*sum), XXH64(block, at, 0));
}

/* ---- superblocks ---- */

uint64_t super_place(const struct store *s, unsigned slot)
{
        return slot ? s->super.nblocks - 1 : BLOCK_SUPER_A;
}

/* Everything it names is flushed; it goes over the older superblock and is durable at return. */
int super_write(struct store *s, struct disk_super *next)
{
        unsigned slot = !s->slot;
        int r;

        next->sequence = s->super.sequence + 1;
        next->next_epoch = s->next_epoch;
        next->sum = self_sum(next, &next->sum, sizeof(*next));
        r = disk_write(s, super_place(s, slot), next, 1);
        if (!r)
                r = disk_flush(s);
        if (r)
                return r;
        for (unsigned i = 0; i < UNITS_MAX; i++)
                s->older_unit[i] = s->super.unit[i];
        s->super = *next;
        s->slot = slot;
        s->slot_valid[slot] = true;
        s->slot_epoch[slot] = next->map_epoch;
        return 0;
}

int store_format(struct store_disk *d, const uint8_t uuid[16], uint64_t base)
{
        struct store *s;
        int r = 0;

        if (d->nblocks < STORE_BLOCKS_MIN || d->nblocks > (uint64_t)UNITS_MAX * UNIT_GROUPS * GROUP_BLOCKS)
                return -EINVAL;
        s = persist_host->mem_alloc(STORE_SIZE);
        if (!s)
                return -ENOMEM;
        zero16(s, STORE_SIZE);
        s->disk = d;
        blocks_geometry(s, d->nblocks);
        __builtin_memcpy(s->uuid, uuid, sizeof(s->uuid));
        s->super = (struct disk_super){.magic = SUPER_MAGIC,
                                       .version = STORE_VERSION,
                                       .schema = SPACE_SCHEMA,
                                       .nblocks = d->nblocks,
                                       .base = base,
                                       .incarnation = 1,
                                       .free = s->end_data - s->first_data};
        __builtin_memcpy(s->super.uuid, uuid, sizeof(s->super.uuid));
        s->free = s->super.free;
        s->lease_ns = UINT64_MAX; /* it is nobody's yet */
        /* The first record's block, the one allocation in the first bitmap. Both superblocks know it. */
        s->slot = 1;
        for (unsigned i = 0; i < 2 && !r; i++) {
                struct disk_super next = s->super;
                uint32_t got;

                if (!i)
                        r = blocks_alloc(s, 1, &next.next_block, &got);
                if (!r && !i)
                        r = blocks_write(s, &next);
                if (!r)
                        r = disk_flush(s);
                if (!r)
                        r = super_write(s, &next);
        }
        if (!r)
                r = attempt_write(s);
        blocks_close(s);
        persist_host->mem_free(s, STORE_SIZE);
        return r;
}

/* The newest superblock goes over the older one, too: what it says is not lost when one of them is damaged. */
int super_again(struct store *s)
{
        struct disk_super next = s->super;
        int r = super_write(s, &next);

        if (r)
                return r;
        blocks_written(s, true);
        return dead_settle_old(s); /* the older superblock with its older map is gone */
}

/* ---- checkpoint ---- */

/* A page packed in a record, or one with deltas, gets a block. It is lost if the block that those build on is damaged. */
static int promote(struct store *s, const struct recent *p, uint64_t epoch)
{
        struct disk_map to = {.sum_birth = 1};
        uint64_t block;
        uint32_t got;
        int r = page_read(s, p, s->page);

        if (!r) {
                r = disk_write_new(s, s->page, 1, &block, &got);
                if (!r)
                        to = map_entry(block, epoch, p->delta ? page_sum(s->page) : p->sum);
        } else if (r == -EIO && p->delta && !s->failed) {
                r = 0;
        }
        if (!r)
                r = map_set(s, p->ppn - 1, to);
        if (!r && p->delta && !p->length)
                r = dead_add_old(s, p->block, p->birth, epoch, DEATH_BASE);
        return r;
}

static int checkpoint(struct store *s)
{
        struct disk_super *next = persist_host->mem_alloc(sizeof(*next));
        uint64_t *sorted = NULL;
        int r = next ? 0 : -ENOMEM;

        if (!r && s->nrecent)
                r = recent_sorted(s, &sorted);
        for (uint64_t i = 0; i < s->nrecent && !r; i++) {
                const struct recent *p = &s->recent[(uint32_t)sorted[i]];

                if (p->length || p->delta)
                        r = promote(s, p, s->epoch);
                else
                        r = map_set(s, p->ppn - 1,
                                    p->block ? map_entry(p->block, p->birth, p->sum) : (struct disk_map){0});
        }
        if (sorted)
                persist_host->mem_free(sorted, s->nrecent * sizeof(*sorted));
        if (!r)
                r = clean_move(s);
        if (r)
                goto out;
        *next = s->super;
        r = map_write(s, s->epoch, &next->map_root);
        if (!r)
                r = dead_write(s, next, s->epoch);
        if (!r)
                r = blocks_write(s, next);
        if (!r)
                r = disk_flush(s);
        if (r)
                goto out;
        next->map_epoch = s->epoch;
        next->next_block = s->next_block;
        next->prev_sum = s->prev_sum;
        next->mono_ns = s->clock.mono_ns;
        next->real_ns = s->clock.real_ns;
        r = super_write(s, next);
        if (r)
                goto out;
        blocks_written(s, false);
        recent_clear(s);
        shadows_unpin(s);
        s->nchain = 0;
        r = dead_settle_old(s);
out:
        if (next)
                persist_host->mem_free(next, sizeof(*next));
        if (r)
                s->failed = r;
        return r;
}

/*
 * What is left of the other superblock, which is damaged or leads nowhere. To write over it at once would be wrong: nothing keeps what it names, and a write that is torn where it is damaged may
 * make it whole.
 */
static int super_wipe(struct store *s)
{
        int r;

        zero_page(s->page);
        r = disk_write(s, super_place(s, !s->slot), s->page, 1);
        return r ? r : disk_flush(s);
}

/*
 * Before the first commit of this life. The map stays where it is, but behind the older superblock: replaying went past a checkpoint that may have moved pages (clean.c), and must not have to do
 * so again once both superblocks are good, when it would not know of that.
 */
int life_begin(struct store *s)
{
        struct disk_super next;
        int r = claim_settle(s);

        if (r)
                return r;
        if (s->super.incarnation < s->seen_incarnation)
                s->super.incarnation = s->seen_incarnation;
        s->super.incarnation++;
        s->super.life_epoch = s->epoch;
        s->super.life_sum = s->prev_sum;
        next = s->super;
        if (s->fell_back)
                r = super_wipe(s);
        if (r)
                return r;
        r = s->fell_back && s->epoch != next.map_epoch ? checkpoint(s) : super_write(s, &next);
        if (r)
                return r;
        s->life_begun = true;
        return super_again(s);
}

int store_checkpoint(struct store *s)
{
        int r = s->failed;

        must(!s->open, "store: checkpoint inside a commit");
        if (!r && s->epoch != s->super.map_epoch && !s->life_begun)
                r = life_begin(s);
        return r || s->epoch == s->super.map_epoch ? r : checkpoint(s);
}

bool store_checkpoint_is_cheap(const struct store *s)
{
        return !s->failed && s->life_begun && s->nrecent >= RECENT_EARLY &&
               (s->ntouched + s->nrecent_packed) * EARLY_PAGES <= s->nrecent;
}

/* A new epoch with nothing changed in it: some steps need one that is newer than the superblocks'. */
static int epoch_new(struct store *s)
{
        struct store_clock clock = s->clock;
        int r = store_commit_begin(s, 0, s->next_epoch, &clock);

        return r ? r : store_commit_end(s);
}

int checkpoint_now(struct store *s)
{
        int r = s->epoch == s->super.map_epoch ? epoch_new(s) : 0;

        return r ? r : store_checkpoint(s);
}

int store_keep(struct store *s, uint32_t flags, uint64_t *epoch)
{
        struct kept *k = &s->kept[s->nkept];
        int r = 0;

        if (s->nkept == KEPT_MAX)
                return -EMFILE;
        if (s->epoch == s->super.map_epoch || !s->life_begun)
                r = epoch_new(s);
        if (r)
                return r;
        /* The table is written with the map, so the snapshot is entered first; its root is known in between. */
        r = store_checkpoint(s);
        if (r)
                return r;
        *k = (struct kept){.k = {.epoch = s->epoch,
                                 .root = s->super.map_root,
                                 .mono_ns = s->clock.mono_ns,
                                 .real_ns = s->clock.real_ns,
                                 .flags = flags,
                                 .schema = s->super.schema}};
        s->nkept++;
        *epoch = s->epoch;
        r = epoch_new(s);
        if (!r)
                r = store_checkpoint(s);
        return r ? r : super_again(s);
}

int store_drop(struct store *s, uint64_t epoch)
{
        int r = s->failed;

        for (unsigned i = 0; i < s->nkept && !r; i++) {
                if (s->kept[i].k.epoch != epoch)
                        continue;
                do /* a record that could not be written makes a superblock of its own: then a newer epoch is needed */
                        r = epoch_new(s);
                while (!r && s->epoch == s->super.map_epoch);
                if (!r)
                        r = kept_drop(s, i, s->epoch);
                if (!r)
                        r = store_checkpoint(s);
                return r ? r : super_again(s);
        }
        return r ? r : -ENOENT;
}

unsigned store_kept(const struct store *s, struct store_kept *list, unsigned max)
{
        for (unsigned i = 0; i < s->nkept && i < max; i++)
                list[i] = (struct store_kept){
                        s->kept[i].k.epoch, {s->kept[i].k.mono_ns, s->kept[i].k.real_ns}, s->kept[i].k.flags};
        return s->nkept;
}

/* ---- room ---- */

/*
 * What a commit needs besides the new pages: blocks for the pages that are changed, since the old ones are free only later, and for its records, which may be in crumbs; then for a checkpoint:
 * blocks for pages that are packed in records, for map nodes, each beside the old one (of those that leave the memory meanwhile some are written twice), and for lists. Pages that the
 * commit changes may each be in a node of its own.
 */
static uint64_t needed(const struct store *s, uint64_t npages)
{
        uint64_t nodes = s->ntouched + npages + MAP_LEVELS, records = npages / 32 + 8;
        uint64_t dead = s->old.n + s->young.n + s->nrecent_packed + npages + nodes + records;
        uint64_t lists = dead / LIST_ENTRIES + s->nkept + 8;

        return npages + records + s->nrecent_packed + nodes + nodes / 4 + lists + 64;
}

/* Queues double when they are full, and all that is in one may move on to the next one. */
uint64_t store_memory(const struct store *s, uint64_t npages)
{
        uint64_t dead = s->young.n + s->old.n + s->meta.n + needed(s, npages);

        return map_memory(s, npages) + 4 * dead * sizeof(struct disk_death) + 4 * STORE_BLOCK;
}

bool store_room(const struct store *s, uint64_t npages, uint64_t nnew)
{
        return s->free > needed(s, npages) + nnew;
}

uint64_t store_growth(const struct store *s, uint64_t npages)
{
        uint64_t need = needed(s, npages);

        return s->free > need ? s->free - need - 1 : 0;
}

int store_settle(struct store *s)
{
        int r = s->failed;

        must(!s->open, "store: settling inside a commit");
        if (!r && !s->life_begun)
                r = life_begin(s);
        if (!r)
                r = store_checkpoint(s);
        if (!r)
                r = super_again(s);
        for (unsigned i = 0; i < COMMITS_KEPT && !r && s->young.n; i++)
                r = epoch_new(s);
        return r;
}

void store_info(const struct store *s, struct store_info *i)
{
        *i = (struct store_info){.epoch = s->epoch,
                                 .evidence = s->evidence,
                                 .incarnation = s->super.incarnation,
                                 .base = s->base,
                                 .clock = s->clock,
                                 .nblocks = s->super.nblocks,
                                 .free = s->free,
                                 .recent = s->nrecent,
                                 .pending = s->young.n + s->old.n,
                                 .nkept = s->nkept,
                                 .attempts = s->attempt.attempts,
                                 .moved = s->clean.total,
                                 .fell_back = s->fell_back,
                                 .lists_lost = s->tolerant};
}
