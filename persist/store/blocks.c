/*
 * blocks.c - free space of the store: which blocks are in use.
 *
 * One bitmap block per group of 32768 blocks, an index of groups in units, an index of units in the superblock. Bitmaps and units have
 * three fixed places each: a checkpoint writes what changed to the place that neither superblock means, so nothing needs to be allocated for
 * writing down what is allocated. In memory a bitmap is ahead of the disk between checkpoints; replaying records brings it there again.
 * Bits are set for everything that is not free, dead blocks that something still needs included (dead.c).
 */
#include "persist/store/internal.h"

void blocks_geometry(struct store *s, uint64_t nblocks)
{
        uint64_t ngroups = (nblocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;

        s->nunits = (ngroups + UNIT_GROUPS - 1) / UNIT_GROUPS;
        s->unit_home = BLOCK_BITMAPS + ngroups * HOMES;
        s->first_data = s->unit_home + (uint64_t)s->nunits * HOMES * UNIT_BLOCKS;
        s->end_data = nblocks - 1; /* the last one is the second superblock */
        s->cursor = s->first_data;
}

static uint64_t group_place(uint64_t group, unsigned home)
{
        return BLOCK_BITMAPS + group * HOMES + home;
}

static uint64_t unit_place(const struct store *s, uint64_t unit, unsigned home)
{
        return s->unit_home + (unit * HOMES + home) * UNIT_BLOCKS;
}

/* What of the group is for data: blocks from `from` to before `to`. */
static void group_bounds(const struct store *s, uint64_t group, uint32_t *from, uint32_t *to)
{
        uint64_t first = group * GROUP_BLOCKS, a = s->first_data, b = s->end_data;

        a = a < first ? 0 : a - first;
        b = b < first ? 0 : b - first;
        *from = a < GROUP_BLOCKS ? (uint32_t)a : GROUP_BLOCKS;
        *to = b < *from ? *from : b < GROUP_BLOCKS ? (uint32_t)b : GROUP_BLOCKS;
}

static uint32_t group_data(const struct store *s, uint64_t group)
{
        uint32_t from, to;

        group_bounds(s, group, &from, &to);
        return to - from;
}

/* Another place than the two that superblocks mean. */
static uint8_t home_free(uint8_t a, uint8_t b)
{
        for (uint8_t h = 0; h < HOMES; h++)
                if (h != a && h != b)
                        return h;
        return 0;
}

static int unit_read(struct store *s, uint64_t n, struct unit **unit)
{
        const struct disk_index *now = &s->super.unit[n], *then = &s->older_unit[n];
        struct unit *u;
        int r = 0;

        u = persist_host->mem_alloc(sizeof(*u));
        if (!u)
                return -ENOMEM;
        zero16(u, sizeof(*u));
        for (unsigned i = 0; i < UNIT_GROUPS; i++)
                u->older[i] = HOMES;
        if (s->slot_valid[!s->slot] && then->written) {
                /* If it cannot be read, the older superblock is of no use any more, and its places are free to take. */
                bool whole = !disk_read(s, unit_place(s, n, then->home), u->entry, UNIT_BLOCKS) &&
                             block_sum(u->entry, sizeof(u->entry)) == then->sum;

                for (unsigned i = 0; whole && i < UNIT_GROUPS; i++)
                        u->older[i] = u->entry[i].written ? u->entry[i].home : HOMES;
                zero16(u->entry, sizeof(u->entry));
        }
        if (now->written) {
                r = disk_read(s, unit_place(s, n, now->home), u->entry, UNIT_BLOCKS);
                if (!r && block_sum(u->entry, sizeof(u->entry)) != now->sum)
                        r = -EIO;
        } else {
                for (unsigned i = 0; i < UNIT_GROUPS; i++)
                        u->entry[i].free = group_data(s, n * UNIT_GROUPS + i);
        }
        if (r) {
                persist_host->log("store: index of free space, unit %lu, cannot be read: %d\n", n, r);
                persist_host->mem_free(u, sizeof(*u));
                return r;
        }
        s->unit[n] = *unit = u;
        return 0;
}

/* Of a recovery half is this, so what is in memory is found at once. */
static inline int unit_load(struct store *s, uint64_t n, struct unit **unit)
{
        *unit = s->unit[n];
        return likely_(*unit != NULL) ? 0 : unit_read(s, n, unit);
}

static int group_read(struct store *s, uint64_t n, struct unit *unit, struct group **group)
{
        unsigned i = n % UNIT_GROUPS;
        struct disk_index *e = &unit->entry[i];
        struct group *g;
        int r;

        g = persist_host->mem_alloc(sizeof(*g));
        if (!g)
                return -ENOMEM;
        if (e->written) {
                r = disk_read(s, group_place(n, e->home), g, 1);
                if (!r && block_sum(g, sizeof(*g)) != e->sum)
                        r = -EIO;
                if (r) {
                        persist_host->log("store: bitmap of group %lu cannot be read: %d\n", n, r);
                        if (!s->tolerant) {
                                persist_host->mem_free(g, sizeof(*g));
                                return r;
                        }
                        __builtin_memset(g, 0xff, sizeof(*g)); /* perhaps in use */
                        s->free -= e->free;
                        e->free = 0;
                }
        } else {
                uint32_t from, to;

                zero16(g, sizeof(*g));
                group_bounds(s, n, &from, &to);
                for (uint32_t b = 0; b < from; b++)
                        g->bits[b / 64] |= 1ul << b % 64;
                for (uint32_t b = to; b < GROUP_BLOCKS; b++)
                        g->bits[b / 64] |= 1ul << b % 64;
        }
        unit->group[i] = *group = g;
        return 0;
}

static inline int group_load(struct store *s, uint64_t n, struct unit **unit, struct group **group)
{
        int r = unit_load(s, n / UNIT_GROUPS, unit);

        if (r)
                return r;
        *group = (*unit)->group[n % UNIT_GROUPS];
        return likely_(*group != NULL) ? 0 : group_read(s, n, *unit, group);
}

static inline bool bit_of(const struct group *g, uint32_t b)
{
        return g->bits[b / 64] >> b % 64 & 1;
}

static void bit_change(struct store *s, struct unit *u, uint64_t n, struct group *g, uint32_t b, bool used)
{
        unsigned i = n % UNIT_GROUPS;

        if (used)
                g->bits[b / 64] |= 1ul << b % 64;
        else
                g->bits[b / 64] &= ~(1ul << b % 64);
        u->entry[i].free += used ? -1 : 1;
        s->free += used ? -1 : 1;
        u->dirty[i / 64] |= 1ul << i % 64;
}

/* 0, 1: in use, or an error. */
static inline int block_find(struct store *s, uint64_t block, struct unit **u, struct group **g)
{
        int r;

        if (block < s->first_data || block >= s->end_data)
                return -EUCLEAN;
        r = group_load(s, block / GROUP_BLOCKS, u, g);
        return r ? r : bit_of(*g, block % GROUP_BLOCKS);
}

int blocks_used(struct store *s, uint64_t block)
{
        struct unit *u;
        struct group *g;

        return block_find(s, block, &u, &g);
}

int blocks_take(struct store *s, uint64_t block)
{
        struct unit *u;
        struct group *g;
        int r = block_find(s, block, &u, &g);

        if (r)
                return r != 1 ? r : s->tolerant ? 0 : -EUCLEAN;
        bit_change(s, u, block / GROUP_BLOCKS, g, block % GROUP_BLOCKS, true);
        return 0;
}

/* The newest run often goes on: what dies in one commit was mostly written in one. */
static void freed_note(struct store *s, uint64_t block)
{
        struct run *last = s->nfreed ? &s->freed[s->nfreed - 1] : NULL;

        if (!s->disk->discard || s->no_discard)
                return;
        if (last && last->block + last->n == block && last->n < DISCARD_MAX)
                last->n++;
        else if (s->nfreed < FREED_MAX)
                s->freed[s->nfreed++] = (struct run){block, 1};
}

void blocks_release(struct store *s, uint64_t block)
{
        struct unit *u;
        struct group *g;
        int r = block_find(s, block, &u, &g);

        if (r == 1) {
                bit_change(s, u, block / GROUP_BLOCKS, g, block % GROUP_BLOCKS, false);
                freed_note(s, block);
        } else {
                /* A bitmap that cannot be read: the block is lost until pfsck. One that says free: the store contradicts itself. */
                persist_host->log("store: block %lu cannot be freed: %s\n", block,
                                  r ? "its bitmap is damaged" : "it is free");
                if (!r && !s->tolerant)
                        s->failed = -EUCLEAN;
        }
}

uint64_t blocks_group_free(struct store *s, uint64_t group)
{
        struct unit *u;

        return unit_load(s, group / UNIT_GROUPS, &u) ? 0 : u->entry[group % UNIT_GROUPS].free;
}

/* Adds up neighbours: bits, pairs, fours, and then all bytes by one multiplication (Warren, Hacker's Delight, 5-1). */
static uint32_t bits_set(uint64_t x)
{
        x -= x >> 1 & 0x5555555555555555ul;
        x = (x & 0x3333333333333333ul) + (x >> 2 & 0x3333333333333333ul);
        x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0ful;
        return (uint32_t)(x * 0x0101010101010101ul >> 56);
}

uint32_t blocks_segment_used(struct store *s, uint64_t segment)
{
        uint64_t first = segment * SEGMENT_BLOCKS;
        struct unit *u;
        struct group *g;
        uint32_t n = 0;

        if (group_load(s, first / GROUP_BLOCKS, &u, &g))
                return SEGMENT_BLOCKS;
        for (uint64_t w = first % GROUP_BLOCKS / 64, end = w + SEGMENT_BLOCKS / 64; w < end; w++)
                n += bits_set(g->bits[w]);
        return n;
}

/* First run of at least `least` free blocks at or after *b in group n, up to `most` of them; 0: none. Without those that the cleaner is about to empty, if it is not to `scrape`. */
static uint32_t run_find(const struct store *s, uint64_t n, const struct group *g, uint32_t *b, uint32_t least,
                         uint32_t most, bool scrape)
{
        uint32_t at = *b, run = 0;

        while (at < GROUP_BLOCKS) {
                uint32_t skip = 0;

                if (!scrape && blocks_thin(s, n * GROUP_BLOCKS + at))
                        skip = SEGMENT_BLOCKS - at % SEGMENT_BLOCKS;
                else if (bit_of(g, at))
                        skip = at % 64 || g->bits[at / 64] != UINT64_MAX ? 1 : 64;
                if (!skip) {
                        run++;
                        at++;
                        if (run == most)
                                break;
                        continue;
                }
                if (run >= least)
                        break;
                run = 0;
                at += skip;
        }
        *b = at - run;
        return run >= least ? run : 0;
}

#define LONG_GROUPS 4u /* groups in which crumbs are passed over */

/* Does the run go on that the last allocation is of? */
static bool goes_on(struct store *s)
{
        return s->cursor < s->end_data && !blocks_thin(s, s->cursor) && blocks_used(s, s->cursor) == 0;
}

int blocks_alloc(struct store *s, uint32_t want, uint64_t *block, uint32_t *got)
{
        uint64_t ngroups = (s->end_data + GROUP_BLOCKS - 1) / GROUP_BLOCKS, n = s->cursor / GROUP_BLOCKS;
        uint32_t from = s->cursor % GROUP_BLOCKS, least = LONG_RUN, run;
        struct unit *u;
        struct group *g;
        int r;

        if (!s->free)
                return -ENOSPC;
        if (s->crumb_allocs) {
                s->crumb_allocs--;
                least = 1;
        } else if (want == 1 && goes_on(s)) {
                least = 1;
        }
        /* Twice around: the group with the cursor is looked at from its beginning in the end. */
        for (uint64_t i = 0; i < 2 * ngroups + 1; i++, from = 0, n = n + 1 < ngroups ? n + 1 : 0) {
                if ((i == LONG_GROUPS || i > ngroups) && least > 1) {
                        least = 1;
                        s->crumb_allocs = CRUMB_ALLOCS;
                        s->clean.crumbs++;
                }
                r = unit_load(s, n / UNIT_GROUPS, &u);
                if (r || !u->entry[n % UNIT_GROUPS].free)
                        continue;
                r = group_load(s, n, &u, &g);
                if (r)
                        continue;
                run = run_find(s, n, g, &from, least, want > least ? want : least, i > ngroups);
                if (!run)
                        continue;
                run = run < want ? run : want;
                for (uint32_t b = from; b < from + run; b++)
                        bit_change(s, u, n, g, b, true);
                *block = n * GROUP_BLOCKS + from;
                *got = run;
                s->cursor = *block + run;
                return 0;
        }
        return -ENOSPC;
}

/*
 * Blocks that cannot be written lie together. And those that a life found after its last checkpoint are free again in the next one, when nearly every free block among the
 * first is one of them.
 */
void blocks_skip(struct store *s, unsigned tries)
{
        s->cursor = s->first_data + (s->cursor - s->first_data + (1ul << 2 * tries)) % (s->end_data - s->first_data);
}

/* Are they all free, and ours to free? */
static bool all_free(struct store *s, uint64_t block, uint32_t n)
{
        bool all = true;

        for (; n && all; n--, block++)
                all = blocks_used(s, block) == 0;
        return all;
}

/* The whole units that the run touches and in which nothing is in use any more, as few requests as possible. */
static void discard_run(struct store *s, struct run r)
{
        uint32_t unit = s->disk->discard_unit ? s->disk->discard_unit : 1;
        uint64_t at = r.block / unit * unit, end = r.block + r.n, from;

        while (at < end) {
                for (from = at; at < end && all_free(s, at, unit); at += unit)
                        ;
                if (at > from && disk_discard(s, from, (uint32_t)(at - from))) {
                        s->no_discard = true;
                        s->nfreed = 0;
                        return;
                }
                at += at < end ? unit : 0;
        }
}

bool store_discard(struct store *s, bool idle)
{
        unsigned least = idle ? 0 : FREED_MAX / 2;

        must(!s->open, "store: discarding inside a commit");
        for (unsigned i = 0; i < DISCARDS && s->nfreed > least && !s->failed; i++)
                discard_run(s, s->freed[--s->nfreed]);
        return s->nfreed > least && !s->failed;
}

/* Part of a checkpoint: bitmaps and units that changed go to the places nobody means. Fills next->unit. */
int blocks_write(struct store *s, struct disk_super *next)
{
        int r;

        for (unsigned n = 0; n < s->nunits; n++) {
                struct unit *u = s->unit[n];
                bool changed = false;
                uint8_t home;

                next->unit[n] = s->super.unit[n];
                for (unsigned i = 0; u && i < UNIT_GROUPS; i++) {
                        struct disk_index *e = &u->entry[i];

                        if (!(u->dirty[i / 64] >> i % 64 & 1))
                                continue;
                        home = home_free(e->written ? e->home : HOMES, u->older[i]);
                        r = disk_write(s, group_place((uint64_t)n * UNIT_GROUPS + i, home), u->group[i], 1);
                        if (r)
                                return r;
                        u->older[i] =
                                e->written ? e->home
                                           : HOMES; /* true once the superblock is written; else the store has failed */
                        e->home = home;
                        e->written = 1;
                        e->sum = block_sum(u->group[i], STORE_BLOCK);
                        changed = true;
                }
                if (!changed)
                        continue;
                home = home_free(next->unit[n].written ? next->unit[n].home : HOMES,
                                 s->slot_valid[!s->slot] && s->older_unit[n].written ? s->older_unit[n].home : HOMES);
                r = disk_write(s, unit_place(s, n, home), u->entry, UNIT_BLOCKS);
                if (r)
                        return r;
                next->unit[n].home = home;
                next->unit[n].written = 1;
                next->unit[n].sum = block_sum(u->entry, sizeof(u->entry));
        }
        next->free = s->free;
        return 0;
}

/* A superblock is durable: with what blocks_write() wrote, or (same) with the same bitmaps as the one before. */
void blocks_written(struct store *s, bool same)
{
        for (unsigned n = 0; n < s->nunits; n++) {
                struct unit *u = s->unit[n];

                for (unsigned i = 0; u && i < UNIT_GROUPS; i++) {
                        bool dirty = u->dirty[i / 64] >> i % 64 & 1;

                        /* Both superblocks mean the same place now, but for what was just written anew. */
                        if (same || !dirty)
                                u->older[i] = u->entry[i].written ? u->entry[i].home : HOMES;
                }
                for (unsigned w = 0; u && !same && w < UNIT_GROUPS / 64; w++)
                        u->dirty[w] = 0;
        }
}

void blocks_close(struct store *s)
{
        for (unsigned n = 0; n < UNITS_MAX; n++) {
                for (unsigned i = 0; s->unit[n] && i < UNIT_GROUPS; i++)
                        if (s->unit[n]->group[i])
                                persist_host->mem_free(s->unit[n]->group[i], sizeof(struct group));
                if (s->unit[n])
                        persist_host->mem_free(s->unit[n], sizeof(struct unit));
                s->unit[n] = NULL;
        }
}
