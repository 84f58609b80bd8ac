/*
 * commit.c - commits: data blocks in runs, then one record, then one flush.
 *
 * The first block of the record was allocated by the record before, which names it; data and the rest of the record come right behind it if
 * the room is there, so that a commit is one burst of sequential writes. Few pages that compress well go into the record itself. A commit of
 * more than RECORD_ENTRIES pages takes several records, all but the last marked partial: recovery takes an epoch whole or not at all.
 * More than BIG_COMMIT data blocks are flushed before the last record, so that recovery need not read them to believe them.
 * Invariants: P6, P7 (what is allocated is free of all who may ask: dead.c).
 */
#include <lz4.h>
#include "persist/store/internal.h"

/* ---- data ---- */

/* Blocks of the run that could not be written get others, one by one. Their places are lost for good. */
static int run_again(struct store *s)
{
        struct disk_entry *e = &s->entry[s->nentries];
        uint32_t got;
        int r = 0;

        for (uint32_t i = s->run_n; i-- && !r;) {
                uint64_t block = s->run_block + i, other;

                do
                        e--;
                while (entry_kind(e) != ENTRY_BLOCK || e->where != block);
                if (!s->disk->write(s->disk, block, s->run + i * STORE_BLOCK, 1))
                        continue;
                for (unsigned tries = 0;; tries++) {
                        r = blocks_alloc(s, 1, &other, &got);
                        if (r)
                                break;
                        r = dead_add_old(s, block, 0, 0, DEATH_BAD | DEATH_UNKEPT);
                        if (r)
                                break;
                        block = other;
                        r = s->disk->write(s->disk, block, s->run + i * STORE_BLOCK, 1);
                        if (!r || tries == 8)
                                break;
                }
                e->where = block;
                if (!r) {
                        struct recent *rec = recent_find(s, entry_ppn(e));

                        rec->block = block;
                }
        }
        return r;
}

/* Writes out the run that was gathered. */
int data_flush(struct store *s)
{
        int r = 0;

        if (s->run_n && s->disk->write(s->disk, s->run_block, s->run, s->run_n))
                r = run_again(s);
        if (r)
                s->failed = r;
        s->run_n = 0;
        return r;
}

/* A block for the page, copied to the run. */
static int data_add(struct store *s, const void *page, uint64_t *block)
{
        uint32_t got;
        int r = blocks_alloc(s, 1, block, &got);

        if (!r && s->run_n && (s->run_n == DATA_RUN || *block != s->run_block + s->run_n))
                r = data_flush(s);
        if (r)
                return r;
        if (!s->run_n)
                s->run_block = *block;
        __builtin_memcpy(s->run + s->run_n++ * STORE_BLOCK, page, STORE_BLOCK);
        s->ndata++;
        return 0;
}

/* ---- records ---- */

static bool is_zero(const void *page)
{
        for (const uint64_t *p = page, *end = p + STORE_BLOCK / 8; p < end; p++)
                if (*p)
                        return false;
        return true;
}

/* Writes the record with what was gathered. */
static int record_write(struct store *s, uint32_t flags)
{
        struct disk_record *h = (struct disk_record *)s->page;
        uint32_t nentry_bytes = s->nentries * sizeof(struct disk_entry), rest, got;
        uint64_t here = s->next_block, epoch = s->next_epoch, next;
        int r = data_flush(s);

        if (r)
                return r;
        if (!(flags & RECORD_PARTIAL) && s->ndata > BIG_COMMIT) {
                r = disk_flush(s);
                if (r)
                        return r;
                flags |= RECORD_DATA_FLUSHED;
        }
        for (uint32_t i = 0; i < s->nentries; i++) { /* offsets were counted from the first packed page */
                if (entry_kind(&s->entry[i]) != ENTRY_PACKED)
                        continue;
                s->entry[i].where += nentry_bytes;
                recent_find(s, entry_ppn(&s->entry[i]))->offset = (uint32_t)s->entry[i].where;
        }
        __builtin_memcpy(s->body, s->entry, nentry_bytes);
        __builtin_memcpy(s->body + nentry_bytes, s->packed, s->npacked);
        zero16(h, sizeof(*h));
        *h = (struct disk_record){.magic = RECORD_MAGIC,
                                  .version = STORE_VERSION,
                                  .flags = flags,
                                  .incarnation = s->super.incarnation,
                                  .epoch = epoch,
                                  .prev_epoch = s->epoch,
                                  .prev_sum = s->prev_sum,
                                  .flushed_through = s->epoch,
                                  .mono_ns = s->new_clock.mono_ns,
                                  .real_ns = s->new_clock.real_ns,
                                  .nentries = s->nentries,
                                  .nbody = nentry_bytes + s->npacked};
        __builtin_memcpy(h->uuid, s->uuid, sizeof(h->uuid));
        __builtin_memcpy(h->body, s->body, h->nbody < RECORD_INLINE ? h->nbody : RECORD_INLINE);
        rest = h->nbody > RECORD_INLINE ? (h->nbody - RECORD_INLINE + STORE_BLOCK - 1) / STORE_BLOCK : 0;
        for (uint32_t done = 0; done < rest; done += got) {
                struct disk_extent *x = &h->extent[h->nextents++];

                if (h->nextents > RECORD_EXTENTS)
                        return -ENOSPC; /* free space in crumbs; the store fails, what is committed stays */
                r = blocks_alloc(s, rest - done, &x->block, &got);
                if (!r)
                        r = disk_write(s, x->block, s->body + RECORD_INLINE + done * STORE_BLOCK, got);
                for (uint32_t i = 0; i < got && !r; i++)
                        r = dead_add_old(s, x->block + i, 0, epoch, DEATH_RECORD);
                if (r)
                        return r;
                x->nblocks = got;
        }
        r = blocks_alloc(s, 1, &next, &got);
        if (r)
                return r;
        h->next_block = next;
        h->body_sum = block_sum(s->body, h->nbody);
        h->sum = self_sum(h, &h->sum, sizeof(*h));
        r = disk_write(s, here, h, 1);
        if (!r)
                r = dead_add_old(s, here, 0, epoch, DEATH_RECORD);
        s->prev_sum = h->sum;
        s->next_block = next;
        s->nentries = s->npacked = 0;
        return r;
}

/*
 * Reads the record with its header at `block` and checks its sums; not its place in the chain. The body is in s->body. -EUCLEAN: there is
 * no record, or a damaged one.
 */
int record_read(struct store *s, uint64_t block, struct disk_record *h)
{
        uint32_t at = RECORD_INLINE;
        int r = disk_read(s, block, h, 1);

        if (r)
                return r;
        if (h->magic != RECORD_MAGIC || h->version != STORE_VERSION || self_sum(h, &h->sum, sizeof(*h)) != h->sum ||
            __builtin_memcmp(h->uuid, s->uuid, sizeof(h->uuid)))
                return -EUCLEAN;
        if (h->nentries > RECORD_ENTRIES || h->nbody > BODY_MAX || h->nextents > RECORD_EXTENTS ||
            h->nbody < h->nentries * sizeof(struct disk_entry) || h->next_block < s->first_data ||
            h->next_block >= s->end_data)
                return -EUCLEAN;
        __builtin_memcpy(s->body, h->body, RECORD_INLINE);
        for (uint32_t i = 0; i < h->nextents; i++) {
                const struct disk_extent *x = &h->extent[i];

                if (x->block < s->first_data || x->block >= s->end_data || x->nblocks > s->end_data - x->block ||
                    x->nblocks > (BODY_MAX - at) / STORE_BLOCK)
                        return -EUCLEAN;
                r = disk_read(s, x->block, s->body + at, x->nblocks);
                if (r)
                        return r;
                at += x->nblocks * STORE_BLOCK;
        }
        return at >= h->nbody && block_sum(s->body, h->nbody) == h->body_sum ? 0 : -EUCLEAN;
}

/* A page packed in a record. Not within a call of a commit: it uses the body's buffer. */
int packed_read(struct store *s, const struct recent *p, void *page)
{
        struct disk_record *h = (struct disk_record *)(s->page + STORE_BLOCK);
        int r = record_read(s, p->block, h);

        if (r)
                return r == -EUCLEAN ? -EIO : r;
        if (h->epoch != p->birth || p->length > h->nbody || p->offset > h->nbody - p->length ||
            LZ4_decompress_safe((const char *)s->body + p->offset, page, p->length, STORE_BLOCK) != (int)STORE_BLOCK)
                return -EIO;
        return page_sum(page) == p->sum ? 0 : -EIO;
}

/* ---- the commit ---- */

uint64_t store_next_epoch(const struct store *s)
{
        return s->next_epoch;
}

int store_commit_begin(struct store *s, uint64_t npages, uint64_t epoch, const struct store_clock *clock)
{
        int r = s->failed;

        must(!s->open, "store: commit inside a commit");
        if (epoch < s->next_epoch)
                return -EINVAL;
        if (!r && s->life_begun && clock->mono_ns >= s->owner_due_ns)
                r = owner_check(s);
        if (!r && !s->life_begun)
                r = life_begin(s);
        if (!r && clock->mono_ns >= s->owner_due_ns)
                s->owner_due_ns = clock->mono_ns + OWNER_NS;
        if (!r && s->nrecent && (s->nrecent + npages > RECENT_MAX || s->nchain >= CHAIN_MAX))
                r = store_checkpoint(s);
        if (r)
                return r;
        s->open = true;
        s->next_epoch = epoch;
        s->pack = npages <= PACK_PAGES;
        s->ndata = 0;
        s->nentries = s->npacked = 0;
        s->run_n = 0;
        s->new_clock = *clock;
        return 0;
}

/* The page's entry in the newest state. */
static int look_up(struct store *s, ppn_t ppn, struct recent *now)
{
        struct recent *r = recent_find(s, ppn);
        struct disk_map m;
        int e;

        if (r) {
                *now = *r;
                return 0;
        }
        e = map_get(s, ppn, &m);
        *now = (struct recent){.block = map_block(&m), .birth = map_birth(&m), .sum = map_sum(&m)};
        return e;
}

/* One more entry; what the page had before dies. */
static int enter(struct store *s, ppn_t ppn, const struct recent *old, const struct recent *new,
                 enum record_entry_kind kind)
{
        struct disk_entry *e = &s->entry[s->nentries++];
        int r;

        *e = (struct disk_entry){.ppn_kind = ppn | (uint64_t)kind << 56, .sum = new->sum};
        if (kind == ENTRY_BLOCK)
                e->where = new->block;
        else if (kind == ENTRY_PACKED)
                e->where = new->offset | (uint64_t) new->length << 32;
        if (old->block && !old->length) {
                e->old_block = old->block;
                e->old_birth = old->birth;
        }
        r = recent_set(s, new);
        if (!r && e->old_block)
                r = dead_add(s, e->old_block, e->old_birth, s->next_epoch, 0);
        if (!r && s->nentries == RECORD_ENTRIES)
                r = record_write(s, RECORD_PARTIAL);
        return r;
}

/* Packs the page into the record if that pays: true. */
static bool pack(struct store *s, const void *page, struct recent *new)
{
        uint32_t room = sizeof(s->packed) - s->npacked;
        int n;

        if (!s->pack || s->nentries >= PACK_PAGES)
                return false;
        n = LZ4_compress_default(page, (char *)s->packed + s->npacked, STORE_BLOCK,
                                 room < PACKED_MAX ? (int)room : (int)PACKED_MAX);
        if (n <= 0)
                return false;
        new->block = s->next_block;
        new->offset = s->npacked;
        new->length = (uint16_t)n;
        s->npacked += (uint32_t)n;
        return true;
}

static int commit_fail(struct store *s, int r)
{
        if (r)
                s->failed = r;
        return r;
}

int store_commit_page(struct store *s, ppn_t ppn, const void *page)
{
        struct recent old, new = {.ppn = ppn, .birth = s->next_epoch};
        int r = s->failed;

        must(s->open, "store: page outside a commit");
        if (!r)
                r = look_up(s, ppn, &old);
        if (r)
                return commit_fail(s, r);
        if (is_zero(page))
                return store_commit_none(s, ppn);
        new.sum = page_sum(page);
        if (old.block && old.sum == new.sum)
                return 0; /* dirty, but the same: sums of 48 bits are believed, here as in recovery */
        if (pack(s, page, &new))
                return commit_fail(s, enter(s, ppn, &old, &new, ENTRY_PACKED));
        r = data_add(s, page, &new.block);
        return commit_fail(s, r ? r : enter(s, ppn, &old, &new, ENTRY_BLOCK));
}

int store_commit_none(struct store *s, ppn_t ppn)
{
        struct recent old, new = {.ppn = ppn, .birth = s->next_epoch};
        int r = s->failed;

        must(s->open, "store: page outside a commit");
        if (!r)
                r = look_up(s, ppn, &old);
        if (!r && old.block)
                r = enter(s, ppn, &old, &new, ENTRY_NONE);
        return commit_fail(s, r);
}

int store_commit_end(struct store *s)
{
        int r = s->failed;

        must(s->open, "store: end outside a commit");
        s->open = false;
        if (!r)
                r = record_write(s, 0);
        if (!r)
                r = disk_flush(s);
        if (r)
                return commit_fail(s, r);
        for (unsigned i = 0; i + 1 < COMMITS_KEPT; i++)
                s->last[i] = s->last[i + 1];
        s->last[COMMITS_KEPT - 1] = s->next_epoch;
        s->epoch = s->next_epoch++;
        s->nchain++;
        s->clock = s->new_clock;
        return commit_fail(s, dead_settle_young(s));
}

int store_read(struct store *s, ppn_t ppn, void *buf)
{
        struct recent now;
        int r;

        r = look_up(s, ppn, &now);
        if (r)
                return r;
        if (!now.block) {
                zero_page(buf);
                return -ENOENT;
        }
        if (now.length)
                return packed_read(s, &now, buf);
        r = disk_read(s, now.block, buf, 1);
        return r ? r : page_sum(buf) == now.sum ? 0 : -EIO;
}

int store_read_at(struct store *s, uint64_t epoch, ppn_t ppn, void *buf)
{
        struct disk_map m;
        int r = -ENOENT;

        for (unsigned i = 0; i < s->nkept; i++) {
                if (s->kept[i].k.epoch != epoch)
                        continue;
                r = map_get_at(s, s->kept[i].k.root, ppn, &m);
                if (r)
                        return r;
                if (!map_block(&m)) {
                        zero_page(buf);
                        return -ENOENT;
                }
                r = disk_read(s, map_block(&m), buf, 1);
                return r ? r : page_sum(buf) == map_sum(&m) ? 0 : -EIO;
        }
        return r;
}
