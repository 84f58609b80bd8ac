/*
 * sums.h - the two checksums of what is installed: CRC-32 (partition tables, sealed kernels) and XXH64 (boot archives, superblocks of a store).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Goes on from a sum of what stood before; 0 at the beginning. */
uint32_t crc32(uint32_t sum, const void *p, size_t n);
uint64_t xxh64(const void *p, size_t n, uint64_t seed);
