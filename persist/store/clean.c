/*
 * clean.c - the cleaner: long runs of free blocks are made again, when commits have to take crumbs.
 *
 * Segments in which little is in use are emptied: pages that lie there are given blocks elsewhere by a checkpoint, in the order of their numbers, so that neighbours lie side by side behind it. What
 * kept snapshots need of a segment stays. A pass chooses segments, goes over the map to find whose blocks they have, moves those, some a checkpoint, and has what is dead by then
 * freed; passes follow each other until there are empty segments enough. Nothing is taken from the chosen segments meanwhile, unless there is nothing else.
 * The block that a page leaves dies with the epoch of the checkpoint, like one that deltas built on (DEATH_BASE): older superblocks may need it as long as their maps do. Behind one of those a
 * replay goes past the checkpoint, and knows nothing of it: recover.c.
 */
#include "persist/store/internal.h"

#ifdef STORE_SMALL
#define PASS_BLOCKS  100u
#define EMPTY_ENOUGH 1000u /* never: it is to work */
#else
#define PASS_BLOCKS  16384u /* in use in the segments of a pass */
#define EMPTY_ENOUGH 16u    /* segments */
#endif
#define LOOK_GROUPS  256u /* from the cursor on: more bitmaps than these are not brought into memory for it */
#define LOOK_LEAVES  16u  /* of the map, in one call */
#define PATIENCE_MAX 63u  /* times that there was nothing but crumbs: 252 MiB that were written to those */
#define SHARES       32u  /* classes of segments, by what is in use; the upper half is left alone, */
#define EMPTY        1u   /* and so are those that are as good as empty */

static uint32_t share_of(uint32_t used)
{
        return (used * SHARES + SEGMENT_BLOCKS - 1) / SEGMENT_BLOCKS;
}

/* Calls fn for segments of which half at least is free, as long as it says so. */
static void each_segment(struct store *s, bool (*fn)(struct store *s, uint64_t segment, uint32_t used, void *arg),
                         void *arg)
{
        uint64_t ngroups = (s->end_data + GROUP_BLOCKS - 1) / GROUP_BLOCKS, n = s->cursor / GROUP_BLOCKS;
        bool more = true;

        for (uint64_t i = 0; i < ngroups && i < LOOK_GROUPS && more; i++, n = n + 1 < ngroups ? n + 1 : 0) {
                if (blocks_group_free(s, n) < SEGMENT_BLOCKS / 2)
                        continue;
                for (uint64_t k = 0; k < GROUP_BLOCKS / SEGMENT_BLOCKS && more; k++) {
                        uint64_t segment = n * (GROUP_BLOCKS / SEGMENT_BLOCKS) + k;
                        uint32_t used = blocks_segment_used(s, segment);

                        if (used <= SEGMENT_BLOCKS / 2)
                                more = fn(s, segment, used, arg);
                }
        }
}

struct choice {
        uint64_t empty;              /* segments */
        uint32_t blocks[SHARES + 1]; /* in use in segments of the class */
        uint32_t most, left;
};

static bool count(struct store *s, uint64_t segment, uint32_t used, void *arg)
{
        struct choice *c = arg;

        (void)s;
        (void)segment;
        if (share_of(used) <= EMPTY)
                c->empty++;
        else
                c->blocks[share_of(used)] += used;
        return true;
}

static bool take(struct store *s, uint64_t segment, uint32_t used, void *arg)
{
        struct choice *c = arg;

        if (share_of(used) <= EMPTY || share_of(used) > c->most || used > c->left)
                return true;
        if (!s->clean.nthin++)
                s->clean.first = segment;
        s->clean.thin[segment / 64] |= 1ul << segment % 64;
        c->left -= used;
        return c->left;
}

static size_t thin_bytes(const struct store *s)
{
        return (s->super.nblocks / SEGMENT_BLOCKS / 128 + 1) * 16;
}

static void pass_end(struct store *s)
{
        struct cleaner *c = &s->clean;

        if (c->thin)
                persist_host->mem_free(c->thin, thin_bytes(s));
        c->thin = NULL;
        c->nmove = c->nthin = 0;
}

/*
 * The emptiest, as many as empty ones have room for, so that what is moved goes out in long runs; if there are none, what one has, which goes to crumbs. False: there is nothing to do, or there
 * are empty ones enough by now.
 */
static bool pass_begin(struct store *s)
{
        struct cleaner *c = &s->clean;
        struct choice choice = {.most = EMPTY};
        uint64_t room, sum = 0;

        each_segment(s, count, &choice);
        room = choice.empty > 1 ? choice.empty * SEGMENT_BLOCKS / 2 : SEGMENT_BLOCKS / 2;
        choice.left = room < PASS_BLOCKS ? (uint32_t)room : PASS_BLOCKS;
        while (choice.most < SHARES / 2 && sum < choice.left)
                sum += choice.blocks[++choice.most];
        if (!sum || choice.empty >= EMPTY_ENOUGH)
                return false;
        c->thin = persist_host->mem_alloc(thin_bytes(s));
        if (!c->thin)
                return false;
        zero16(c->thin, thin_bytes(s));
        c->planned = choice.left;
        each_segment(s, take, &choice);
        c->planned -= choice.left;
        c->at = c->moved = 0;
        c->looked = false;
        if (!c->nthin)
                pass_end(s);
        return c->thin;
}

/* Is the page in a block that is to become free? */
static bool is_thin(const struct store *s, const struct disk_map *m)
{
        return map_block(m) && blocks_thin(s, map_block(m));
}

/* Some leaves of the map are looked at. 1: a checkpoint is to move what was found. */
static int look(struct store *s)
{
        struct cleaner *c = &s->clean;
        const struct disk_map *e;
        int r = 1;

        for (unsigned n = 0; n < LOOK_LEAVES; n++) {
                r = map_next(s, &c->at, &e);
                if (r <= 0)
                        break;
                for (uint64_t i = c->at % MAP_FANOUT; i < MAP_FANOUT; i++, c->at++) {
                        if (!is_thin(s, &e[i]) || recent_find(s, c->at))
                                continue;
                        if (c->nmove == MOVES_MAX)
                                return 1;
                        c->move[c->nmove++] = c->at;
                }
        }
        c->looked = r <= 0;
        return r < 0 ? r : c->looked;
}

struct moving {
        uint64_t ppn;
        struct disk_map was;
};

/* The pages are in the run, in order: they get blocks, and their old ones die. */
static int run_move(struct store *s, const struct moving *page, uint32_t n)
{
        uint64_t block;
        uint32_t got;
        int r = 0;

        for (uint32_t done = 0; done < n && !r; done += got) {
                r = disk_write_new(s, s->run + done * STORE_BLOCK, n - done, &block, &got);
                for (uint32_t i = 0; i < got && !r; i++, page++) {
                        r = map_set(s, page->ppn, map_entry(block + i, s->epoch, map_sum(&page->was)));
                        if (!r)
                                r = dead_add_old(s, map_block(&page->was), map_birth(&page->was), s->epoch, DEATH_BASE);
                }
        }
        s->clean.moved += n;
        s->clean.total += n;
        return r;
}

int clean_move(struct store *s)
{
        struct cleaner *c = &s->clean;
        struct moving page[DATA_RUN];
        uint32_t n = 0;
        int r = 0;

        for (unsigned i = 0; i < c->nmove && !r; i++) {
                uint8_t *to = s->run + n * STORE_BLOCK;
                struct disk_map m;

                if (map_get(s, c->move[i], &m) || !is_thin(s, &m)) /* it has changed since */
                        continue;
                if (disk_read(s, map_block(&m), to, 1) || page_sum(to) != map_sum(&m)) /* the scrub's */
                        continue;
                page[n++] = (struct moving){c->move[i], m};
                if (n == DATA_RUN) {
                        r = run_move(s, page, n);
                        n = 0;
                }
        }
        if (!r && n)
                r = run_move(s, page, n);
        c->nmove = 0;
        return r;
}

/* There was nothing, or little, to gain: not soon again. */
static void be_patient(struct cleaner *c)
{
        c->patience = c->patience < PATIENCE_MAX ? 2 * c->patience + 1 : c->patience;
}

bool store_clean(struct store *s, uint64_t spare)
{
        struct cleaner *c = &s->clean;
        bool good;
        int r;

        must(!s->open, "store: cleaning inside a commit");
        if (s->failed || !s->life_begun || (!c->thin && c->crumbs <= c->patience))
                return false;
        if (!store_room(s, spare, 2 * MOVES_MAX)) {
                pass_end(s);
                c->crumbs = 0;
                return false;
        }
        if (!c->thin) {
                c->crumbs = 0;
                if (pass_begin(s))
                        return true;
                be_patient(c);
                return false;
        }
        r = look(s);
        if (r > 0 && c->nmove)
                r = checkpoint_now(s);
        if (r < 0) {
                pass_end(s);
                return false;
        }
        if (!c->looked)
                return true;
        good = c->moved >= c->planned / 2; /* else most of it is kept snapshots': not soon again */
        if (good)
                c->patience = 0;
        else
                be_patient(c);
        c->crumbs = good;
        s->cursor = c->first * SEGMENT_BLOCKS;
        s->crumb_allocs = 0;
        pass_end(s);
        return !store_settle(s) && good;
}

void clean_close(struct store *s)
{
        pass_end(s);
}
