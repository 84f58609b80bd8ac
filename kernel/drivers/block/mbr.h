/*
 * mbr.h - the old partition table: four entries in the first block, and a chain of further tables in an extended
 * partition. Plain C over bytes from the disk, which may be anything. Places and lengths are in blocks of the disk.
 */
#pragma once
#include "kernel/include/types.h"

#define MBR_BYTES 512u

struct mbr_entry {
        uint8_t type; /* 0: unused */
        uint64_t first, nblocks;
};
struct mbr {
        bool valid;      /* it is a partition table */
        bool protective; /* it says that there is a GPT */
        struct mbr_entry entry[4];
        uint32_t signature; /* of the disk */
};
bool mbr_is_extended(uint8_t type);
/* The table in `bytes`, of a disk of nblocks. Entries that lie outside are cleared. */
void mbr_parse(const uint8_t bytes[MBR_BYTES], uint64_t nblocks, struct mbr *m);
/*
 * One table of the chain in the extended partition `outer`, read from block `at`: its partition (type 0: none) and where
 * the next table is (0: the chain ends). A chain can go in circles: who walks it counts.
 */
void mbr_parse_logical(const uint8_t bytes[MBR_BYTES], const struct mbr_entry *outer, uint64_t at,
                       struct mbr_entry *partition, uint64_t *next);
