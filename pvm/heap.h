/*
 * heap.h - what heap.c (blocks, lines, allocation), collect.c (marks, collections, moving) and check.c share.
 *
 * An object is old when its mark is set: it has outlived a collection, and is looked at again by the next full one alone. The others are young. They lie in runs that were handed
 * out since the last collection, and in nothing else.
 */
#pragma once
#include "pvm/machine.h"

#define FIRST_BLOCK 2113u
#define LINE        OBJ_SHORT
#define LINES       (PVM_BLOCK_BYTES / LINE)
#define CARD        (1u << CARD_SHIFT)
#define CARDS       (PVM_BLOCK_BYTES / CARD)

enum block_kind { BLOCK_FREE, BLOCK_SMALL, BLOCK_LARGE, BLOCK_LARGE_NEXT };

/* [P] By block. kinds: a byte each; lines: a bit a line, in use; of small blocks alone. */
static uint8_t *const kinds = (uint8_t *)(PVM_HEAP_START + PVM_BLOCK_BYTES);
static uint64_t (*const lines)[LINES / 64] = (void *)(PVM_HEAP_START + 65 * PVM_BLOCK_BYTES);

/* Large objects have this before them, at the beginning of their first block. */
struct large {
        uint64_t size; /* of the object */
        uint64_t zero;
        struct obj o;
};

/* [V] By card, from FIRST_BLOCK on; they grow with the heap. A card and its word of marks have the same number. */
extern struct side {
        uint64_t *marks; /* a bit for each 8 bytes: an old object begins here */
        uint8_t *cards;  /* 1: since the last collection a reference was stored here (heap_wrote) */
        /* By block, if it is a small one: 1 and how many free lines there are in a row, at most, when it was swept; 0: all gaps were handed out since. */
        uint8_t *holes;
        uint16_t *
                fill; /* by block, if it is a small one: how many units of 8 bytes old objects have; or more, until it is swept behind an image */
        uint8_t *group;  /* by block: whose objects it was handed out for last (heap.c); 0: nobody knows */
        uint32_t blocks; /* there is room for these, counted from FIRST_BLOCK on */
} side;

/* [V] What was handed out since the last collection: lines [from, to) of a block; from == to: a large object. */
struct run {
        uint32_t block;
        uint16_t from, to;
};
extern struct runs {
        struct run *run;
        size_t n, cap;
        uint64_t bytes;
        bool incomplete; /* there was no volatile memory to note some */
} given;

static inline char *block_address(uint32_t b)
{
        return (char *)PVM_HEAP_START + b * PVM_BLOCK_BYTES;
}

static inline uint32_t block_of(const void *p)
{
        return (uint32_t)(((uint64_t)p - PVM_HEAP_START) / PVM_BLOCK_BYTES);
}

static inline struct obj *large_object(uint32_t b)
{
        return &((struct large *)block_address(b))->o;
}

static inline bool line_used(uint32_t b, unsigned line)
{
        return lines[b][line / 64] >> line % 64 & 1;
}

/* Lines [from, to) are in use now, or not. */
static inline void lines_set(uint32_t b, unsigned from, unsigned to, bool used)
{
        for (unsigned next; from < to; from = next) {
                uint64_t mask;

                next = from / 64 * 64 + 64 < to ? from / 64 * 64 + 64 : to;
                mask = (next - from < 64 ? (1ul << (next - from)) - 1 : ~0ul) << from % 64;
                if (used)
                        lines[b][from / 64] |= mask;
                else
                        lines[b][from / 64] &= ~mask;
        }
}

static inline uint64_t unit_of(const struct obj *o)
{
        return ((uint64_t)o - (uint64_t)block_address(FIRST_BLOCK)) / 8;
}

static inline struct obj *unit_object(uint64_t unit)
{
        return (struct obj *)(block_address(FIRST_BLOCK) + unit * 8);
}

static inline bool is_old(const struct obj *o)
{
        return side.marks[unit_of(o) / 64] >> unit_of(o) % 64 & 1;
}

static inline uint64_t card_of(const void *p)
{
        return ((uint64_t)p - (uint64_t)block_address(FIRST_BLOCK)) / CARD;
}

/* ---- heap.c ---- */
/* Room for one more in an array of *cap elements of which n are used; volatile memory. */
bool room_for(void **array, size_t *cap, size_t n, size_t each);
/* A collection is over: blocks have been freed, and runs can be had again. young: in the blocks of `given`, which come first; else in all blocks. */
void heap_collected(bool young, uint64_t live);
void find_holes(uint32_t b); /* in a block whose lines were swept */
void heap_swept(uint32_t b); /* since heap_collected: there may be something in it, which is to be handed out soon */
void heap_no_holes(void);    /* marks are not what they were: no gaps between old objects are handed out any more */
void block_free(uint32_t b); /* with the rest of a large object */

/* ---- collect.c ---- */
extern struct pvm_stats heap_stats;
extern uint64_t collect_at;         /* when so many bytes are given, it is time for a collection */
void collect_begin(bool all_young); /* the objects that there are; else nobody knows */
void collect_forget(void);
/* The block's lines become those of the map, which is what is marked in it, or of what is marked. It is free if nothing is. Behind a collection. */
void sweep_block_to(uint32_t b, const uint64_t *map);
void sweep_block_to_marks(uint32_t b);
/* In an image: marks everything that is reachable, in these tables; then what is reachable from one more object; what has come of it (false: no memory), with all weak references. */
void collect_mark_image(uint64_t *marks, uint64_t *map, uint16_t *fill);
void collect_mark_from(struct obj *o);
bool collect_marked(uint64_t *live, struct weakref ***weak, size_t *nweak);

/* ---- image.c ---- */
bool image_possible(uint64_t live);  /* if so many bytes may live, it is better to make one */
bool image_begin(uint64_t promoted); /* right behind a young collection. False: not now */
enum image_state { IMAGE_NONE, IMAGE_MARKING, IMAGE_DECIDED, IMAGE_FAILED } image_state(void);
void image_handed_out(uint32_t b); /* some of the block was, since the last collection */
/*
 * Right behind a young collection, when it has decided: marks and weak references are what the verdict says. live: bytes that were marked; promoted: what image_begin was given. Then
 * image_sweep_first sweeps what can be swept at once, and image_sweep, behind heap_collected, here and behind the next young collections, the rest.
 */
void image_verdict(uint64_t *live, uint64_t *promoted);
void image_sweep_first(void);
void image_sweep(void);
void image_abandon(void); /* at a safepoint: whatever there is */
void image_forget(void);  /* the heap is not looked at any more */

/* ---- check.c ---- */
/* In a hostile machine; they panic. Before a young collection: is what C1 says true? Behind it: has it found all that is reachable? */
void check_before_young(void);
void check_behind_young(void);
