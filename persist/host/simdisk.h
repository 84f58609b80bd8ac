/*
 * simdisk.h - a disk in memory that remembers every write and flush, so that afterwards power can be cut at any point of the past: what was flushed
 * is there, of the rest any subset of sectors, in any order, and of sectors written more than once any version.
 *
 * What it remembers is in memory that is shared with processes forked later; `now` is not. So what a child writes to a disk that lies in shared memory itself its parent can cut.
 */
#pragma once
#include "persist/store/store.h"

struct simdisk_op {
        uint64_t sector;   /* 512 bytes */
        uint32_t nsectors; /* 0: a flush */
        uint8_t *data;
};

struct simdisk {
        struct store_disk d;
        uint8_t *now; /* what reads see */
        struct simdisk_op *op;
        size_t nops, ndata;
        uint8_t *data; /* of all operations, one behind the other */
        uint8_t *
                base; /* contents before op[0], if there is one; NULL: who cuts it has them in `now`, since it was a child of his that wrote */
        bool forgets; /* remembers nothing */
        /* misbehaviour */
        uint32_t fail_writes; /* of 1000 writes this many fail; a failed write may have written some sectors */
        uint64_t bad_block;   /* this one cannot be written; 0: none */
        uint32_t
                bad_per_mille; /* of the blocks from bad_from up to bad_until, or, if that is 0, the last, so many cannot be written */
        uint64_t bad_from, bad_until;
        uint64_t unreadable;    /* this one cannot be read; 0: none */
        uint32_t fail_discards; /* of 1000 discards so many fail */
        uint32_t lose_flushes;  /* of 1000 flushes this many do nothing, and say they did */
        uint64_t rng;
        uint64_t nwrites, nflushes, ndiscards, nblocks_written, nblocks_read;
};

void simdisk_init(struct simdisk *s, uint64_t nblocks, uint64_t seed);
void simdisk_free(struct simdisk *s);
/* Forgets the past: contents now, until the next operation, are what was always there. */
void simdisk_settle(struct simdisk *s);

enum cut_mode {
        CUT_NONE,   /* everything issued is there */
        CUT_ALL,    /* nothing unflushed is there */
        CUT_RANDOM, /* each unflushed sector by chance */
        CUT_FEW,    /* nearly all are lost */
        CUT_MOST,   /* nearly none is lost */
        CUT_ONE,    /* one whole write is lost */
        CUT_MODES
};
/* The disk as it may be after power was lost when op[0] to op[at - 1] had been issued. `to` is settled; same size; s itself, or a copy with the same `now`, if that has no base. */
void simdisk_cut(const struct simdisk *s, size_t at, enum cut_mode mode, uint64_t *rng, struct simdisk *to);
