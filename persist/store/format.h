/*
 * format.h - every byte of the store on disk; FORMAT.md says what it means and in which order it is written. Little endian. Unit is the block of
 * 4096 bytes; block numbers count from the start of the partition. Never change a struct: raise STORE_VERSION and migrate.
 */
#pragma once
#include <stdint.h>

#define STORE_BLOCK      4096u
#define STORE_VERSION    2u
#define STORE_OLDEST     1u   /* version that is read, and becomes the newest with the first commit */
#define STORE_BLOCKS_MIN 512u /* 2 MiB */
#define SECTOR           512u /* what a disk writes whole, or not at all */

#define SUPER_MAGIC   0x726f7453746e6150ul /* "PantStor" */
#define ATTEMPT_MAGIC 0x706d657474416e50ul
#define RECORD_MAGIC  0x64726f6365526e50ul
#define LIST_MAGIC    0x7473694c64614450ul
#define KEPT_MAGIC    0x74706570736e5050ul

#define BLOCK_SUPER_A 1u /* superblock; the other one is the last block */
#define BLOCK_ATTEMPT 2u
#define BLOCK_BITMAPS 8u /* bitmaps and their index begin here */

/* ---- free space: fixed places, three homes each ---- */

#define HOMES        3u
#define GROUP_BLOCKS 32768u /* blocks that one bitmap of one block covers: 128 MiB */
#define UNIT_GROUPS  1024u  /* groups that one unit of the index covers: 128 GiB */
#define UNIT_BLOCKS  4u     /* blocks of a unit */
#define UNITS_MAX    128u   /* 16 TiB */

struct disk_index {      /* of a group in its unit, of a unit in the superblock */
        uint64_t sum;    /* of the bitmap block, or of the unit; */
        uint32_t free;   /* free blocks */
        uint8_t home;    /* which of the three places is the current one */
        uint8_t written; /* 0: never written, all free */
        uint16_t zero;
};
_Static_assert(sizeof(struct disk_index) == 16, "index entry");
_Static_assert(UNIT_GROUPS * 16 == UNIT_BLOCKS * STORE_BLOCK, "unit");

/* ---- page map: radix tree over page numbers, 256 entries a node, 4 levels ---- */

#define MAP_FANOUT 256u
#define MAP_LEVELS 4u
struct disk_map {             /* all zero: nothing there, the pages are all zeroes; block and birth 0, sum not: lost */
        uint64_t block_birth; /* block: bits 0-39; birth: low 24 bits in bits 40-63 */
        uint64_t sum_birth;   /* sum: bits 0-47; birth: high 16 bits in bits 48-63 */
};
_Static_assert(sizeof(struct disk_map) == 16 && MAP_FANOUT * 16 == STORE_BLOCK, "map node");
#define MAP_SUM_MASK 0xfffffffffffful

/* ---- records: one a commit ---- */

struct disk_extent {
        uint64_t block;
        uint32_t nblocks;
        uint32_t zero;
};

#define RECORD_EXTENTS 8u
#define RECORD_INLINE  3840u /* bytes of the body that the header block holds */
#ifdef STORE_SMALL
#define RECORD_ENTRIES 100u
#else
#define RECORD_ENTRIES 4096u /* at most; an epoch that has more takes several records */
#endif
#define RECORD_PARTIAL      1u /* not the last one of its epoch */
#define RECORD_DATA_FLUSHED 2u /* a flush lies between all data blocks of the epoch and this record */

struct disk_record {
        uint64_t magic;
        uint64_t sum;      /* self sum (FORMAT.md) of this block up to the body's end (version 1: of all of it) */
        uint64_t body_sum; /* of the body's bytes that are not in this block (version 1: of all) */
        uint8_t uuid[16];
        uint32_t version;
        uint32_t flags;
        uint64_t incarnation;
        uint64_t epoch;
        uint64_t prev_epoch, prev_sum; /* of the record before */
        uint64_t flushed_through;      /* newest epoch that was known durable when this was written */
        uint64_t next_block;           /* where the next record's header will be */
        uint64_t mono_ns, real_ns;     /* clocks at the barrier */
        uint32_t nentries;
        uint32_t nextents;
        uint32_t nbody; /* bytes: entries, then packed pages and deltas; the first RECORD_INLINE follow here */
        uint32_t zero;
        struct disk_extent extent[RECORD_EXTENTS]; /* the rest of the body */
        uint8_t body[RECORD_INLINE];
};
_Static_assert(sizeof(struct disk_record) == STORE_BLOCK, "record header");

enum record_entry_kind {
        ENTRY_BLOCK = 1, /* contents in a block of their own */
        ENTRY_PACKED,    /* contents in this record, behind the entries, compressed with lz4 */
        ENTRY_NONE,      /* the page is free, or all zeroes */
        ENTRY_DELTA,     /* in this record, behind the entries: what differs from the state before, runs of words */
};
struct disk_entry {
        uint64_t ppn_kind;  /* page number: bits 0-39; enum record_entry_kind: bits 56-63 */
        uint64_t where;     /* block; packed, delta: offset in the body: bits 0-31, length: bits 32-47; none: 0 */
        uint64_t sum;       /* of the page; delta: of old_block */
        uint64_t old_block; /* the block that this makes superfluous, or that the delta builds on; 0: none */
        uint64_t old_birth; /* and the epoch that it was born in */
};
_Static_assert(sizeof(struct disk_entry) == 40, "record entry");

struct disk_run {        /* of a delta: its words follow, 8 bytes each; runs ascend, without overlap */
        uint16_t first;  /* word of the page, 0 to 511 */
        uint16_t nwords; /* 1 or more */
};
_Static_assert(sizeof(struct disk_run) == 4, "run of a delta");

/* ---- lists of dead blocks ---- */

#define DEATH_RECORD 1u /* block of a record: needed by superblocks whose map is older than it */
#define DEATH_BAD    2u /* could not be written: never used again */
#define DEATH_UNKEPT 4u /* no kept snapshot needs it */
#define DEATH_BASE   8u /* deltas built on it: needed by superblocks whose map is older than its death, too */
struct disk_death {
        uint64_t block_flags;  /* block: bits 0-39; DEATH_*: bits 56-63 */
        uint64_t birth, death; /* needed by states of epochs e with birth <= e < death */
};
#define LIST_ENTRIES 168u
struct disk_list {
        uint64_t magic;
        uint64_t sum;   /* self sum of the block */
        uint64_t next;  /* block; 0: last */
        uint64_t birth; /* epoch this block itself was born in */
        uint32_t n;
        uint32_t zero[3];
        struct disk_death death[LIST_ENTRIES];
        uint64_t zero2[2];
};
_Static_assert(sizeof(struct disk_list) == STORE_BLOCK, "list block");

/* ---- kept snapshots ---- */

#define KEPT_PINNED 1u /* by the user: the policy does not drop it */
struct disk_kept {
        uint64_t epoch;
        struct disk_map root;
        uint64_t dead_list; /* first block of its dead list; 0: empty */
        uint64_t ndead;
        uint64_t mono_ns, real_ns;
        uint32_t flags;
        uint32_t schema;
};
_Static_assert(sizeof(struct disk_kept) == 64, "kept snapshot");
#define KEPT_ENTRIES 63u
struct disk_kept_block {
        uint64_t magic;
        uint64_t sum;
        uint64_t next;
        uint64_t birth;
        uint32_t n;
        uint32_t zero[7];
        struct disk_kept kept[KEPT_ENTRIES]; /* ascending epochs */
};
_Static_assert(sizeof(struct disk_kept_block) == STORE_BLOCK, "kept block");

/* ---- superblock, attempt sector ---- */

struct disk_super {
        uint64_t magic;
        uint64_t sum; /* self sum of the block */
        uint32_t version;
        uint32_t schema; /* of what is in the space */
        uint8_t uuid[16];
        uint64_t sequence; /* the newer superblock has the greater one */
        uint64_t nblocks;  /* size of the store */
        uint64_t base;     /* address of page 0 of the space */
        uint64_t incarnation;
        uint64_t map_epoch; /* the map shows the state of this epoch */
        struct disk_map map_root;
        uint64_t next_block;           /* header of the first record after map_epoch */
        uint64_t prev_sum;             /* sum of the record of map_epoch */
        uint64_t life_epoch, life_sum; /* records up to this one are of earlier incarnations, later ones of this */
        uint64_t mono_ns, real_ns;     /* at map_epoch */
        uint64_t old, nold;            /* list of dead blocks that a superblock may need */
        uint64_t young, nyoung;        /* list of those that one of the last commits may need, by death */
        uint64_t last[3];              /* epochs of the last commits, oldest first; the last is map_epoch */
        uint64_t kept, nkept;          /* table of kept snapshots */
        uint64_t free;                 /* free blocks */
        uint64_t features[4];          /* CPU features shown to user mode */
        uint64_t next_epoch;           /* smaller numbers were given to epochs when this was written */
        uint8_t zero[1784];
        struct disk_index unit[UNITS_MAX];
};
_Static_assert(sizeof(struct disk_super) == STORE_BLOCK, "superblock");

struct disk_attempt {
        uint64_t magic;
        uint64_t sum;
        uint8_t uuid[16];
        uint64_t owner;    /* random number of the life that has the store open; 0: closed in order */
        uint32_t attempts; /* boots since the last that went well */
        uint32_t zero[117];
};
_Static_assert(sizeof(struct disk_attempt) == SECTOR, "attempt sector");
