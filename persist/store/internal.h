/*
 * internal.h - struct store and what the files of persist/store share.
 *
 * All of it is volatile and rebuilt by recovery. Which block is needed by what:
 *   map         what the newest superblock's map reaches: the state of epoch slot_epoch[newest]
 *   recent      pages that changed since: volatile index over the records after it
 *   shadows     contents of hot pages: a cache, but for pages whose newest entry is a delta (delta.c)
 *   queues      dead blocks that some superblock, one of the last 3 commits, or (kept) a kept snapshot still needs
 * A bit in the bitmaps is set for everything that is not free, the queues' blocks included.
 */
#pragma once
#include <asm/errno.h>
#include "persist/store/format.h"
#include "persist/store/store.h"
#include "persist/engine.h"

#define DATA_RUN 64u /* blocks gathered for one write */
#ifdef STORE_SMALL   /* tests: limits are met soon */
#define CHAIN_MAX      30u
#define RECENT_MAX     250u
#define RECENT_MANY    100u
#define RECENT_EARLY   40u
#define EARLY_PAGES    2u
#define PACK_PAGES     3u
#define DELTA_PAGES    12u
#define SHADOWS        10u
#define SHADOW_CHUNK   2u
#define MAP_CACHE      8u
#define LONG_RUN       4u
#define CRUMB_ALLOCS   20u
#define SEGMENT_BLOCKS 64u
#define MOVES_MAX      8u
#define EXTENTS_MAX    1u
#define BIG_COMMIT     60u
#else
#define CHAIN_MAX      256u  /* commits since the last checkpoint: above it one is due, since recovery reads each */
#define MAP_CACHE      4096u /* map nodes in memory: with so many, leaves go before another one is read or made */
#define LONG_RUN       16u   /* shorter runs of free blocks are crumbs: passed over at first */
#define CRUMB_ALLOCS   1024u /* where there is nothing else, so many allocations take them without looking farther */
#define SEGMENT_BLOCKS 4096u /* 16 MiB: what the cleaner empties as a whole */
#define MOVES_MAX      256u  /* pages that it moves in one checkpoint */
#define PACK_PAGES     16u   /* commits of more pages are not packed */
#define DELTA_PAGES    64u   /* commits of more pages have no deltas */
#define SHADOWS        256u  /* pages whose contents are remembered */
#define SHADOW_CHUNK   32u   /* allocated at once */
#define EXTENTS_MAX    RECORD_EXTENTS
#define RECENT_MAX     65536u /* pages in the recent index: above it a checkpoint is due */
#define RECENT_MANY    16384u /* the same, if it is cheap: */
#define RECENT_EARLY   4096u  /* there are so many, */
#define EARLY_PAGES    64u    /* and so many for each block that it writes */
#define BIG_COMMIT     1024u  /* data blocks: above it the data is flushed before the record */
#endif
#define WRITE_TRIES  16u   /* places that are tried for a block that cannot be written, farther and farther apart */
#define PACKED_MAX   2048u /* a page that does not compress below this gets a block */
#define DELTA_MAX    2048u /* a page that differs by more is written whole */
#define BODY_MAX     (RECORD_INLINE + 60u * STORE_BLOCK)
#define COMMITS_KEPT 3u
#define LEASE_NS     500000000ul  /* so long an owner believes that the store is still its own */
#define CLAIM_NS     1000000000ul /* so long a new owner waits, if the one before may still write */
#define KEPT_MAX     1024u
#define FREED_MAX    1024u /* runs of blocks that the disk has yet to be told of; what does not fit is not told */
#define RENEW_MAX    32u   /* damaged pages that wait for the next commit */
#define DISCARDS     16u   /* of one call */
#define DISCARD_MAX  4096u /* blocks: a longer one makes others wait for the disk */

_Static_assert(PACK_PAGES *PACKED_MAX + DELTA_PAGES * sizeof(struct disk_entry) <=
                       RECORD_INLINE + EXTENTS_MAX * STORE_BLOCK,
               "what is packed fits into a record whose extents are single blocks");

struct queue { /* of deaths, first in first out */
        struct disk_death *d;
        size_t first, n, cap;
};

struct run { /* of blocks */
        uint64_t block;
        uint32_t n;
};

struct group {
        uint64_t bits[GROUP_BLOCKS / 64];
};

struct unit {
        struct disk_index entry[UNIT_GROUPS];
        uint8_t older[UNIT_GROUPS]; /* home that the older superblock means */
        struct group *group[UNIT_GROUPS];
        uint64_t dirty[UNIT_GROUPS / 64];
};

struct map_node {
        struct disk_map e[MAP_FANOUT];
        uint64_t block, birth; /* 0: not on disk yet */
        bool dirty;
        struct map_node *child[]; /* above level 0: MAP_FANOUT of them */
};

struct recent {
        uint64_t ppn;   /* + 1; 0: free place */
        uint64_t block; /* of the page, or header block of the record it is packed in; 0: none */
        uint64_t birth, sum;
        uint32_t offset;
        uint16_t length; /* packed; 0: not */
        uint16_t delta;  /* 1: all this is of its base; the page as it is has a shadow, which is pinned */
};

#define PAGE_WORDS     512u
#define SHADOW_BUCKETS 256u
struct shadow {
        struct shadow *link; /* with the same hash */
        struct shadow *turn; /* ring of all */
        uint64_t ppn;        /* + 1; 0: of none */
        uint32_t nknown;     /* words that are known: less than all only after recovery */
        bool pinned, used;
        uint64_t known[PAGE_WORDS / 64]; /* which, as long as it is not all */
        uint64_t word[PAGE_WORDS];
};

struct kept {
        struct disk_kept k;
        struct queue add; /* dead blocks not in its list on disk yet */
};

struct cleaner {
        uint64_t *thin; /* bit per segment: it is to become free; NULL: no pass is under way */
        uint64_t nthin, first;
        uint64_t at;              /* page that is looked at next */
        bool looked;              /* at all of them */
        uint64_t move[MOVES_MAX]; /* pages that the next checkpoint moves */
        unsigned nmove;
        uint64_t planned, moved, total; /* blocks: of this pass, and of all */
        uint64_t crumbs, patience;      /* how often there was nothing but crumbs; a pass begins when that is more */
};

struct store {
        struct store_disk *disk;
        uint8_t uuid[16];
        uint64_t base;
        int failed; /* 0, or the error */
        uint64_t evidence;
        bool fell_back;
        bool tolerant; /* recovery goes on without lists and bitmaps that are damaged */

        /* superblocks */
        struct disk_super super; /* the newest */
        unsigned slot;           /* where it is: 0 or 1 */
        uint64_t slot_epoch[2];
        bool slot_valid[2];
        struct disk_index older_unit[UNITS_MAX]; /* of the older one; valid if slot_valid[!slot] */
        uint64_t super_seen[2]; /* sums of both places, as recovery found them; 0: it could not be read */
        bool life_begun;

        /* whose it is; times are the host's uptime_ns */
        struct disk_attempt attempt;
        uint64_t lease_ns;                /* till then it is ours without asking */
        uint64_t ready_ns;                /* from then on it may be written */
        uint8_t owner_block[STORE_BLOCK]; /* the attempt sector's block, when it is read again */

        /* the chain of records */
        uint64_t epoch, prev_sum, next_block, next_epoch;
        uint64_t seen_incarnation; /* greatest one in any record that was found, part of the chain or not */
        struct store_clock clock;
        uint64_t last[COMMITS_KEPT]; /* epochs of the last commits, oldest first */

        /* free space */
        uint64_t first_data, end_data, unit_home, free;
        unsigned nunits;
        struct unit *unit[UNITS_MAX];
        uint64_t cursor;
        uint32_t crumb_allocs;
        struct cleaner clean;
        struct run freed[FREED_MAX]; /* since the disk was last told */
        unsigned nfreed;
        bool no_discard; /* it went wrong */

        /* map */
        struct map_node *root;
        struct way { /* in a kept snapshot's tree, by level */
                struct disk_map at;
                struct disk_map e[MAP_FANOUT];
        } way[MAP_LEVELS];
        uint64_t nnodes;
        struct recent *recent;
        uint64_t nrecent, recent_size;
        uint64_t nrecent_packed; /* of these, so many have no block of their own: packed in records, or with deltas */
        uint64_t *touched;       /* numbers of the nodes that the next checkpoint writes for them (map.c) */
        uint64_t ntouched, touched_size;
        uint64_t touched_last; /* the leaf that was asked for last */
        uint64_t nchain;       /* commits since the last checkpoint */

        /* shadows (delta.c) */
        struct shadow *shadows[SHADOW_BUCKETS];
        struct shadow *shadow_hand;
        struct shadow_chunk *shadow_chunks;
        unsigned nshadows;

        /* dead blocks */
        struct queue young; /* perhaps needed by one of the last commits; by death */
        struct queue old;   /* perhaps needed by a superblock */
        struct queue meta;  /* blocks of the newest superblock's lists: they die with the next one */
        struct kept kept[KEPT_MAX];
        unsigned nkept;

        uint64_t renew[RENEW_MAX]; /* pages that the next commit of each writes elsewhere, though unchanged */
        unsigned nrenew;

        /* the commit under way */
        bool open;
        bool pack, small;  /* few pages: they are packed; or at least have shadows and deltas */
        bool chain_broken; /* a record is not where the one before says: a checkpoint must follow */
        uint64_t ndata;    /* data blocks so far */
        struct store_clock new_clock;
        uint32_t nentries, npacked;
        uint64_t run_block;
        uint32_t run_n;
        struct disk_entry entry[RECORD_ENTRIES];
        uint8_t packed[PACK_PAGES * PACKED_MAX];
        uint8_t body[BODY_MAX];
        uint8_t run[DATA_RUN * STORE_BLOCK];
        uint8_t page[2 * STORE_BLOCK];
};

#define STORE_SIZE ((sizeof(struct store) + 15) & ~15ul)

uint64_t block_sum(const void *p, size_t len);
/* Sum of a block that holds it, in the field at `sum`: of what follows the field, seeded with the sum of what precedes it. */
uint64_t self_sum(const void *block, const uint64_t *sum, size_t len);
static inline uint64_t page_sum(const void *page)
{
        return block_sum(page, STORE_BLOCK) & MAP_SUM_MASK;
}

static inline uint64_t map_block(const struct disk_map *m)
{
        return m->block_birth & 0xfffffffffful;
}
static inline uint64_t map_birth(const struct disk_map *m)
{
        return m->block_birth >> 40 | (m->sum_birth >> 48) << 24;
}
static inline uint64_t map_sum(const struct disk_map *m)
{
        return m->sum_birth & MAP_SUM_MASK;
}
/* Something was here, and its place is not known any more: the node that named it was damaged. */
static inline bool map_lost(const struct disk_map *m)
{
        return !m->block_birth && m->sum_birth;
}
static inline struct disk_map map_entry(uint64_t block, uint64_t birth, uint64_t sum)
{
        return (struct disk_map){block | birth << 40, (sum & MAP_SUM_MASK) | (birth >> 24) << 48};
}
static inline uint64_t death_block(const struct disk_death *d)
{
        return d->block_flags & 0xfffffffffful;
}
static inline unsigned death_flags(const struct disk_death *d)
{
        return d->block_flags >> 56;
}
static inline uint64_t entry_ppn(const struct disk_entry *e)
{
        return e->ppn_kind & 0xfffffffffful;
}
static inline unsigned entry_kind(const struct disk_entry *e)
{
        return e->ppn_kind >> 56;
}
static inline uint32_t entry_offset(const struct disk_entry *e)
{
        return (uint32_t)e->where;
}
static inline uint16_t entry_length(const struct disk_entry *e)
{
        return (uint16_t)(e->where >> 32);
}

/*
 * disk.c: access to the disk; errors of writes and flushes, and losing the store to another machine, mark it failed. disk_try: 0; 1: this place cannot be written, and nothing is marked; or the
 * error with which the store has failed. disk_write_new: to `got` <= want free blocks; those that cannot be written are never used again, and others are taken.
 */
int disk_read(struct store *s, uint64_t block, void *buf, uint32_t n);
int disk_try(struct store *s, uint64_t block, const void *buf, uint32_t n);
int disk_write(struct store *s, uint64_t block, const void *buf, uint32_t n);
int disk_flush(struct store *s);
int disk_discard(struct store *s, uint64_t block,
                 uint32_t n); /* free ones; -EIO: it cannot do that, and the store goes on */
int disk_write_new(struct store *s, const void *buf, uint32_t want, uint64_t *block, uint32_t *got);
int attempt_write(struct store *s);
int claim(struct store *s, uint64_t owner); /* a state is accepted: the store becomes ours */
int claim_settle(struct store *s);          /* before the first write: waits until nobody else writes */

/* recover.c */
int chain_goes_on(struct store *s); /* has a whole epoch appeared behind the last one? 1, 0, or an error */

/* blocks.c: free space */
void blocks_geometry(struct store *s, uint64_t nblocks);
int blocks_alloc(struct store *s, uint32_t want, uint64_t *block, uint32_t *got);
int blocks_take(struct store *s, uint64_t block);  /* -EUCLEAN: is not free */
void blocks_skip(struct store *s, unsigned tries); /* the next are taken from elsewhere, farther away with each try */
int blocks_used(struct store *s, uint64_t block);  /* 0, 1 or an error */
void blocks_release(struct store *s, uint64_t block);
int blocks_write(struct store *s, struct disk_super *next);
void blocks_written(struct store *s, bool same);
void blocks_close(struct store *s);

uint64_t blocks_group_free(struct store *s, uint64_t group); /* 0 also if that cannot be known */
uint32_t blocks_segment_used(struct store *s, uint64_t segment);
static inline bool blocks_thin(const struct store *s, uint64_t block)
{
        uint64_t segment = block / SEGMENT_BLOCKS;

        return s->clean.thin && s->clean.thin[segment / 64] >> segment % 64 & 1;
}

/* clean.c */
int clean_move(struct store *s); /* part of a checkpoint, when the map has what records had */
void clean_close(struct store *s);

/* dead.c */
int queue_push(struct queue *q, struct disk_death d);
struct disk_death queue_pop(struct queue *q);
void queue_free(struct queue *q);
static inline struct disk_death *queue_at(struct queue *q, size_t i)
{
        return &q->d[q->first + i];
}
int dead_add(struct store *s, uint64_t block, uint64_t birth, uint64_t death, unsigned flags); /* during a commit */
int dead_add_old(struct store *s, uint64_t block, uint64_t birth, uint64_t death,
                 unsigned flags);       /* by a checkpoint, or a record's own */
int dead_settle_young(struct store *s); /* after a commit */
int dead_settle_old(struct store *s);   /* after a superblock changed, and before replay */
int dead_write(struct store *s, struct disk_super *next, uint64_t epoch);
int dead_read(struct store *s); /* recovery: list and kept snapshots of the superblock */
int list_read(struct store *s, uint64_t block, struct queue *q, struct queue *blocks);
int kept_drop(struct store *s, unsigned i, uint64_t epoch);

/* map.c */
int map_open(struct store *s);
int map_get(struct store *s, uint64_t ppn, struct disk_map *m);
int map_set(struct store *s, uint64_t ppn, struct disk_map m);
int map_write(struct store *s, uint64_t epoch, struct disk_map *root);
int map_get_at(struct store *s, struct disk_map root, uint64_t ppn, struct disk_map *m);
/* The first leaf at or after the page, as the last checkpoint left it, till the map is asked again: 1, and *ppn is in it; 0: there is none. Leaves that cannot be read are passed over. */
int map_next(struct store *s, uint64_t *ppn, const struct disk_map **e);
void map_close(struct store *s);
struct recent *recent_find(struct store *s, uint64_t ppn);
int recent_set(struct store *s, const struct recent *r);
int recent_room(struct store *s, uint64_t n); /* for so many in all, at once; 0 or -ENOMEM */
/* nrecent of them, by page: the page's number in the upper half, in the lower its place in recent[]; the caller frees the array. 0 or -ENOMEM. */
int recent_sorted(struct store *s, uint64_t **sorted);
uint64_t map_memory(const struct store *s, uint64_t npages); /* bytes: as store_memory, what this file needs */
void recent_clear(struct store *s);

/* commit.c */
uint64_t record_sum(const struct disk_record *h);                        /* what is to be in h->sum */
int record_read(struct store *s, uint64_t block, struct disk_record *r); /* body into s->body; -EUCLEAN: not a record */
/* What lies on the disk for a page, sums checked; of a page with deltas, its base. Not within a call of a commit. */
int base_read(struct store *s, const struct recent *at, void *page);
int page_read(struct store *s, const struct recent *at, void *page); /* the page as it is; it has a block */
int data_flush(struct store *s);

/*
 * delta.c. Shadows by page number; shadow_set: the page is written whole, and that is its shadow, if it has one or (take) may have one. shadows_unpin: a checkpoint has given all pages blocks.
 * delta_make: what differs in the page from its shadow, which is whole, as runs: so many bytes, 0 if nothing does; zeroes: no word that differs is anything but 0. The shadow is the page then.
 * -1: more than max; the shadow is worth nothing until shadow_set. delta_valid: runs that are within a page. delta_apply: recovery; they are valid: 0 or -ENOMEM. delta_read: a page with deltas.
 */
struct shadow *shadow_find(struct store *s, uint64_t ppn);
void shadow_set(struct store *s, uint64_t ppn, const void *page, bool take);
void shadow_drop(struct store *s, uint64_t ppn);
int shadows_add(struct store *s); /* SHADOW_CHUNK more; 0 or -ENOMEM */
void shadows_unpin(struct store *s);
void shadows_close(struct store *s);
int delta_make(struct shadow *sh, const void *page, void *delta, uint32_t max, bool *zeroes);
bool delta_valid(const uint8_t *delta, uint32_t len);
int delta_apply(struct store *s, uint64_t ppn, const uint8_t *delta, uint32_t len);
int delta_read(struct store *s, const struct recent *at, void *page);

/* super.c */
uint64_t super_place(const struct store *s, unsigned slot);
int super_write(struct store *s, struct disk_super *next);
int super_again(struct store *s);
int life_begin(struct store *s);
int checkpoint_now(struct store *s); /* also if nothing was committed since the last one */
