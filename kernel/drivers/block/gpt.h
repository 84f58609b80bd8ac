/*
 * gpt.h - the GUID partition table (UEFI specification 2.10, chapter 5). Plain C over bytes from the disk, which may be anything.
 */
#pragma once
#include "kernel/include/types.h"

#define GPT_SECTOR      512u
#define GPT_ENTRIES_MAX 128u

struct gpt_partition {
        unsigned number; /* from 1: its place in the table */
        uint8_t type[16], uuid[16];
        uint64_t first, nsectors;
};
struct gpt_header {
        uint64_t entries; /* sector of the table */
        uint32_t nentries, entry_size, entries_crc;
        uint64_t first_usable, last_usable;
};
uint32_t gpt_crc32(const void *data, size_t len); /* of IEEE 802.3, as in zlib */
/* The header in `sector` of a disk of nsectors, read from sector number `at`: false if it is not one, or not whole, or names what the disk has not. */
bool gpt_header_parse(const uint8_t sector[GPT_SECTOR], uint64_t at, uint64_t nsectors, struct gpt_header *h);
/* Partitions of the table (its first nentries * entry_size bytes); false: the table is damaged. Those that overlap an earlier one, or lie outside, are left out. */
bool gpt_entries_parse(const struct gpt_header *h, const uint8_t *table, struct gpt_partition *list, unsigned max,
                       unsigned *n);
