/*
 * commit.c - commits: data blocks in runs, then one record, then one flush.
 *
 * The first block of the record was allocated by the record before, which names it; data and the rest of the record come right behind it if
 * the room is there, so that a commit is one burst of sequential writes. Few pages that compress well go into the record itself, and of hot pages only what differs (delta.c). A commit of
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
                uint64_t block = s->run_block + i;

                do
                        e--;
                while (entry_kind(e) != ENTRY_BLOCK || e->where != block);
                r = disk_try(s, block, s->run + i * STORE_BLOCK, 1);
                if (r <= 0)
                        continue;
                persist_host->log("store: block %lu cannot be written; another is taken\n", block);
                r = dead_add_old(s, block, 0, 0, DEATH_BAD | DEATH_UNKEPT);
                if (!r)
                        r = disk_write_new(s, s->run + i * STORE_BLOCK, 1, &e->where, &got);
                if (!r)
                        recent_find(s, entry_ppn(e))->block = e->where;
        }
        return r;
}

/* Writes out the run that was gathered. */
int data_flush(struct store *s)
{
        int r = s->run_n ? disk_try(s, s->run_block, s->run, s->run_n) : 0;

        if (r > 0)
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

/* Room for a body of nbody bytes, if there are so few runs of free blocks; *room tells for how many bytes there is. */
static int extents_alloc(struct store *s, struct disk_record *h, uint32_t nbody, uint32_t *room)
{
        uint32_t got;

        *room = RECORD_INLINE;
        while (*room < nbody && h->nextents < EXTENTS_MAX) {
                struct disk_extent *x = &h->extent[h->nextents];
                int r = blocks_alloc(s, (nbody - *room + STORE_BLOCK - 1) / STORE_BLOCK, &x->block, &got);

                if (r)
                        return r;
                x->nblocks = got;
                h->nextents++;
                *room += got * STORE_BLOCK;
        }
        return 0;
}

/* What the header's extents have of the body. -EIO: one of them cannot be written, none of them is used. */
static int extents_write(struct store *s, struct disk_record *h)
{
        const uint8_t *from = s->body + RECORD_INLINE;
        int r = 0, bad = 0;

        for (uint32_t i = 0; i < h->nextents && !bad; from += h->extent[i++].nblocks * STORE_BLOCK)
                bad = disk_try(s, h->extent[i].block, from, h->extent[i].nblocks);
        if (bad < 0)
                return bad;
        for (uint32_t i = 0; i < h->nextents; i++)
                for (uint32_t b = 0; b < h->extent[i].nblocks && !r; b++)
                        r = dead_add_old(s, h->extent[i].block + b, 0, bad ? 0 : h->epoch,
                                         bad ? DEATH_BAD | DEATH_UNKEPT : DEATH_RECORD);
        return r ? r : bad ? -EIO : 0;
}

/* The header cannot be written where the record before says: the chain ends there. It goes elsewhere for what is packed in it, until the checkpoint that must follow. */
static int header_elsewhere(struct store *s, const struct disk_record *h)
{
        const struct disk_entry *e = (const struct disk_entry *)s->body;
        uint64_t other;
        uint32_t got;
        int r = disk_write_new(s, h, 1, &other, &got);

        if (!r)
                r = dead_add_old(s, other, 0, h->epoch, DEATH_RECORD);
        for (uint32_t i = 0; i < h->nentries && !r; i++)
                if (entry_kind(&e[i]) == ENTRY_PACKED)
                        recent_find(s, entry_ppn(&e[i]))->block = other;
        s->chain_broken = true;
        return r;
}

/* Version 1 had the sum of the whole block. */
uint64_t record_sum(const struct disk_record *h)
{
        uint32_t body = h->version == 1 || h->nbody > RECORD_INLINE ? RECORD_INLINE : h->nbody;

        return self_sum(h, &h->sum, offsetof(struct disk_record, body) + body);
}

/* Of what the header's own sum does not cover. Version 1 had the sum of the whole body. */
static uint64_t body_sum(const struct store *s, const struct disk_record *h)
{
        uint32_t from = h->version == 1 ? 0 : h->nbody < RECORD_INLINE ? h->nbody : RECORD_INLINE;

        return block_sum(s->body + from, h->nbody - from);
}

/* Writes a record with the first entries that were gathered, all of them if there is room; all that is packed, and all deltas, are among them. */
static int record_part(struct store *s, uint32_t flags)
{
        struct disk_record *h = (struct disk_record *)s->page;
        uint32_t n = s->nentries, nbody = n * sizeof(struct disk_entry) + s->npacked, room, got;
        uint64_t here = s->next_block;
        int r;

        zero16(h, sizeof(*h));
        r = extents_alloc(s, h, nbody, &room);
        if (r)
                return r;
        if (nbody > room) { /* free space is in crumbs */
                n = (room - s->npacked) / sizeof(struct disk_entry);
                flags = RECORD_PARTIAL;
        }
        h->magic = RECORD_MAGIC;
        h->version = STORE_VERSION;
        h->flags = flags;
        h->incarnation = s->super.incarnation;
        h->epoch = s->next_epoch;
        h->prev_epoch = s->epoch;
        h->prev_sum = s->prev_sum;
        h->flushed_through = s->epoch;
        h->mono_ns = s->new_clock.mono_ns;
        h->real_ns = s->new_clock.real_ns;
        h->nentries = n;
        h->nbody = n * sizeof(struct disk_entry) + s->npacked;
        __builtin_memcpy(h->uuid, s->uuid, sizeof(h->uuid));
        for (uint32_t i = 0; i < n; i++) { /* offsets were counted from the first packed page */
                struct disk_entry *e = (struct disk_entry *)s->body + i;

                *e = s->entry[i];
                if (entry_kind(e) != ENTRY_PACKED && entry_kind(e) != ENTRY_DELTA)
                        continue;
                e->where += n * sizeof(struct disk_entry);
                if (entry_kind(e) == ENTRY_PACKED)
                        recent_find(s, entry_ppn(e))->offset = (uint32_t)e->where;
        }
        __builtin_memcpy(s->body + n * sizeof(struct disk_entry), s->packed, s->npacked);
        __builtin_memcpy(h->body, s->body, h->nbody < RECORD_INLINE ? h->nbody : RECORD_INLINE);
        r = extents_write(s, h);
        if (!r)
                r = blocks_alloc(s, 1, &h->next_block, &got);
        if (r)
                return r;
        h->body_sum = body_sum(s, h);
        h->sum = record_sum(h);
        r = disk_try(s, here, h, 1);
        if (r < 0)
                return r;
        if (!r) {
                r = dead_add_old(s, here, 0, h->epoch, DEATH_RECORD);
        } else {
                persist_host->log("store: block %lu, a record's, cannot be written\n", here);
                r = dead_add_old(s, here, 0, 0, DEATH_BAD | DEATH_UNKEPT);
                if (!r)
                        r = header_elsewhere(s, h);
        }
        s->prev_sum = h->sum;
        s->next_block = h->next_block;
        s->nentries -= n;
        s->npacked = 0;
        for (uint32_t i = 0; i < s->nentries; i++)
                s->entry[i] = s->entry[n + i];
        return r;
}

/* Writes what was gathered as a record, or as several if it must be. Again, too, with other extents, if those could not be written. */
static int record_write(struct store *s, uint32_t flags)
{
        unsigned tries = 0;
        int r = data_flush(s);

        if (!r && !(flags & RECORD_PARTIAL) && s->ndata > BIG_COMMIT) {
                r = disk_flush(s);
                flags |= RECORD_DATA_FLUSHED;
        }
        if (r)
                return r;
        do {
                r = record_part(s, flags);
                if (r == -EIO && !s->failed && ++tries < WRITE_TRIES) {
                        blocks_skip(s, tries);
                        r = 0;
                }
        } while (!r && s->nentries);
        return r;
}

/* Are the runs of all deltas within the body, and within pages? */
static bool deltas_valid(const struct store *s, const struct disk_record *h)
{
        const struct disk_entry *e = (const struct disk_entry *)s->body;

        for (uint32_t i = 0; i < h->nentries; i++, e++) {
                if (entry_kind(e) != ENTRY_DELTA)
                        continue;
                if (h->version == 1 || entry_offset(e) > h->nbody || entry_length(e) > h->nbody - entry_offset(e) ||
                    !delta_valid(s->body + entry_offset(e), entry_length(e)))
                        return false;
        }
        return true;
}

/*
 * Reads the record with its header at `block` and checks its sums and its deltas; not its place in the chain. The body is in s->body. -EUCLEAN: there is
 * no record, or a damaged one.
 */
int record_read(struct store *s, uint64_t block, struct disk_record *h)
{
        uint32_t at = RECORD_INLINE;
        int r = disk_read(s, block, h, 1);

        if (r)
                return r;
        if (h->magic != RECORD_MAGIC || h->version < STORE_OLDEST || h->version > STORE_VERSION ||
            record_sum(h) != h->sum || __builtin_memcmp(h->uuid, s->uuid, sizeof(h->uuid)))
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
        return at >= h->nbody && body_sum(s, h) == h->body_sum && deltas_valid(s, h) ? 0 : -EUCLEAN;
}

/* A page packed in a record. It uses the body's buffer. */
static int packed_read(struct store *s, const struct recent *p, void *page)
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

int base_read(struct store *s, const struct recent *at, void *page)
{
        int r;

        if (at->length)
                return packed_read(s, at, page);
        r = disk_read(s, at->block, page, 1);
        return r ? r : page_sum(page) == at->sum ? 0 : -EIO;
}

int page_read(struct store *s, const struct recent *at, void *page)
{
        return at->delta ? delta_read(s, at, page) : base_read(s, at, page);
}

/* ---- the commit ---- */

uint64_t store_next_epoch(const struct store *s)
{
        return s->next_epoch;
}

/* So many pages in the recent index, with those of the commit, and a checkpoint is due first; fewer where memory is little. */
static uint64_t recent_most(const struct store *s)
{
        uint64_t most = store_checkpoint_is_cheap(s) ? RECENT_MANY : RECENT_MAX,
                 some = persist_host->frames_total() / 2;

        return some < most ? some : most;
}

int store_commit_begin(struct store *s, uint64_t npages, uint64_t epoch, const struct store_clock *clock)
{
        int r = s->failed;

        must(!s->open, "store: commit inside a commit");
        if (epoch < s->next_epoch)
                return -EINVAL;
        if (!r && !s->life_begun)
                r = life_begin(s);
        if (!r && s->nrecent && (s->nrecent + npages > recent_most(s) || s->nchain >= CHAIN_MAX))
                r = store_checkpoint(s);
        if (r)
                return r;
        s->open = true;
        s->next_epoch = epoch;
        s->pack = npages <= PACK_PAGES;
        s->small = npages <= DELTA_PAGES;
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

/* One more entry; what the page had before dies, unless a delta builds on it. */
static int enter(struct store *s, ppn_t ppn, const struct recent *old, const struct recent *new,
                 enum record_entry_kind kind, uint64_t where)
{
        struct disk_entry *e = &s->entry[s->nentries++];
        int r;

        *e = (struct disk_entry){.ppn_kind = ppn | (uint64_t)kind << 56, .where = where, .sum = new->sum};
        if (old->block && !old->length) {
                e->old_block = old->block;
                e->old_birth = old->birth;
        }
        r = recent_set(s, new);
        if (!r && e->old_block && kind != ENTRY_DELTA)
                r = dead_add(s, e->old_block, e->old_birth, s->next_epoch, 0);
        if (!r && s->nentries == RECORD_ENTRIES)
                r = record_write(s, RECORD_PARTIAL);
        return r;
}

/*
 * Nothing that lz4 could use: of 64 bytes, spread over the page, nearly all are different. Of random ones 57 are, and 31 if half of the page is. lz4 would look at all of it, for as much as
 * all else that is done for a page.
 */
static bool is_random(const uint8_t *page)
{
        uint64_t seen[4] = {0};
        unsigned n = 0;

        for (unsigned i = 0; i < 64; i++, page += 65) /* the last one is byte 4095 */
                seen[*page / 64] |= 1ul << *page % 64;
        for (unsigned i = 0; i < 4; i++)
                for (; seen[i]; seen[i] &= seen[i] - 1)
                        n++;
        return n > 42;
}

/* Packs the page into the record if that pays: true. */
static bool pack(struct store *s, const void *page, struct recent *new)
{
        uint32_t room = sizeof(s->packed) - s->npacked;
        int n;

        if (!s->pack || s->nentries >= PACK_PAGES || is_random(page))
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

/* What differs in the page from its shadow, as an entry; 0: done, or nothing does; 1: it is to be written whole; or an error. */
static int commit_delta(struct store *s, ppn_t ppn, struct shadow *sh, const void *page, const struct recent *old)
{
        uint32_t at = s->npacked, room = s->small && s->nentries < DELTA_PAGES ? sizeof(s->packed) - at : 0;
        struct recent new = *old;
        bool zeroes;
        int n = delta_make(sh, page, s->packed + at, room < DELTA_MAX ? room : DELTA_MAX, &zeroes);

        if (n <= 0)
                return n ? 1 : 0;
        if (zeroes && is_zero(page))
                return 1;
        s->npacked += (uint32_t)n;
        sh->pinned = true;
        new.ppn = ppn;
        new.delta = 1;
        return enter(s, ppn, old, &new, ENTRY_DELTA, at | (uint64_t)n << 32);
}

/* The page is committed: was it one of those that are to be written elsewhere? It is not any more. */
static bool renewed(struct store *s, ppn_t ppn)
{
        for (unsigned i = 0; i < s->nrenew; i++) {
                if (s->renew[i] != ppn)
                        continue;
                s->renew[i] = s->renew[--s->nrenew];
                return true;
        }
        return false;
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
        bool differs = renewed(s, ppn);
        struct shadow *sh;
        int r = s->failed;

        must(s->open, "store: page outside a commit");
        if (!r)
                r = look_up(s, ppn, &old);
        if (r == -EIO) { /* what it was cannot be known: that is lost, this is not */
                old = (struct recent){0};
                r = s->failed;
        }
        if (r)
                return commit_fail(s, r);
        sh = shadow_find(s, ppn);
        if (sh && sh->nknown == PAGE_WORDS && old.block && !differs) {
                r = commit_delta(s, ppn, sh, page, &old);
                if (r <= 0)
                        return commit_fail(s, r);
                differs = true;
        }
        if (is_zero(page))
                return store_commit_none(s, ppn);
        new.sum = page_sum(page);
        if (old.block && old.sum == new.sum && !old.delta && !differs)
                return 0; /* dirty, but the same: sums of 48 bits are believed, here as in recovery */
        shadow_set(s, ppn, page, s->small);
        if (pack(s, page, &new))
                return commit_fail(s,
                                   enter(s, ppn, &old, &new, ENTRY_PACKED, new.offset | (uint64_t) new.length << 32));
        r = data_add(s, page, &new.block);
        return commit_fail(s, r ? r : enter(s, ppn, &old, &new, ENTRY_BLOCK, new.block));
}

int store_commit_none(struct store *s, ppn_t ppn)
{
        struct recent old, new = {.ppn = ppn, .birth = s->next_epoch};
        int r = s->failed;

        must(s->open, "store: page outside a commit");
        (void)renewed(s, ppn);
        shadow_drop(s, ppn);
        if (!r)
                r = look_up(s, ppn, &old);
        if (r == -EIO && !s->failed)
                return commit_fail(s, enter(s, ppn, &(struct recent){0}, &new, ENTRY_NONE, 0));
        if (!r && old.block)
                r = enter(s, ppn, &old, &new, ENTRY_NONE, 0);
        return commit_fail(s, r);
}

int store_commit_end(struct store *s)
{
        int r = s->failed;

        must(s->open, "store: end outside a commit");
        s->open = false;
        if (!r)
                r = record_write(s, 0);
        if (!r && !s->chain_broken)
                r = disk_flush(s);
        if (r)
                return commit_fail(s, r);
        for (unsigned i = 0; i + 1 < COMMITS_KEPT; i++)
                s->last[i] = s->last[i + 1];
        s->last[COMMITS_KEPT - 1] = s->next_epoch;
        s->epoch = s->next_epoch++;
        s->nchain++;
        s->clock = s->new_clock;
        if (s->chain_broken) { /* the checkpoint makes it durable, both superblocks since no chain leads to it */
                s->chain_broken = false;
                r = store_checkpoint(s);
                if (!r)
                        r = super_again(s);
        }
        return commit_fail(s, r ? r : dead_settle_young(s));
}

static const struct kept *kept_find(const struct store *s, uint64_t epoch)
{
        for (unsigned i = 0; i < s->nkept; i++)
                if (s->kept[i].k.epoch == epoch)
                        return &s->kept[i];
        return NULL;
}

/* Where the page is in a kept snapshot. -ENOENT: no such snapshot. */
static int look_up_kept(struct store *s, uint64_t epoch, ppn_t ppn, struct recent *then)
{
        const struct kept *k = kept_find(s, epoch);
        struct disk_map m;
        int r = k ? map_get_at(s, k->k.root, ppn, &m) : -ENOENT;

        if (!r)
                *then = (struct recent){.block = map_block(&m), .birth = map_birth(&m), .sum = map_sum(&m)};
        return r;
}

/* In a state; epoch 0: the newest. */
static int look_up_at(struct store *s, uint64_t epoch, ppn_t ppn, struct recent *at)
{
        return epoch ? look_up_kept(s, epoch, ppn, at) : look_up(s, ppn, at);
}

static int read_page(struct store *s, const struct recent *at, void *buf)
{
        if (at->block)
                return page_read(s, at, buf);
        zero_page(buf);
        return -ENOENT;
}

int store_read(struct store *s, ppn_t ppn, void *buf)
{
        struct recent at;
        int r = look_up(s, ppn, &at);

        return r ? r : read_page(s, &at, buf);
}

uint64_t store_place(struct store *s, ppn_t ppn)
{
        struct recent at;

        return !look_up(s, ppn, &at) && !at.length ? at.block : 0;
}

void store_ahead(struct store *s, uint64_t block, uint32_t n)
{
        if (s->disk->ahead)
                s->disk->ahead(s->disk, block, n);
}

int store_read_at(struct store *s, uint64_t epoch, ppn_t ppn, void *buf)
{
        struct recent at;
        int r = look_up_kept(s, epoch, ppn, &at);

        return r ? r : read_page(s, &at, buf);
}

int store_verify(struct store *s, uint64_t epoch, ppn_t ppn, uint64_t since)
{
        struct recent at;
        int r = look_up_at(s, epoch, ppn, &at);

        if (r)
                return r;
        return at.block && at.birth > since ? base_read(s, &at, s->page) : -ENOENT;
}

bool store_renew(struct store *s, uint64_t epoch, ppn_t ppn)
{
        struct recent now, then;

        if (s->nrenew == RENEW_MAX || look_up(s, ppn, &now) || look_up_at(s, epoch, ppn, &then) || !now.block ||
            now.block != then.block || now.birth != then.birth)
                return false;
        s->renew[s->nrenew++] = ppn;
        return true;
}

uint64_t store_kept_after(const struct store *s, uint64_t epoch)
{
        for (unsigned i = 0; i < s->nkept; i++)
                if (s->kept[i].k.epoch > epoch)
                        return s->kept[i].k.epoch;
        return 0;
}

int store_differs(struct store *s, uint64_t epoch, ppn_t ppn)
{
        struct recent now, then;
        int r = look_up_kept(s, epoch, ppn, &then);

        if (r)
                return r;
        r = look_up(s, ppn, &now);
        if (!r && now.delta) {
                r = delta_read(s, &now, s->page);
                now.sum = page_sum(s->page);
        }
        if (r) /* what is there now cannot be known */
                return r == -EIO ? 1 : r;
        return !now.block != !then.block || (now.block && now.sum != then.sum);
}
