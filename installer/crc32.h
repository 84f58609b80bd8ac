/*
 * crc32.h - the checksum of partition tables and of sealed kernels. (XXH64, of boot archives and superblocks, is xxHash's own: <xxhash.h>.)
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Goes on from a sum of what stood before; 0 at the beginning. */
uint32_t crc32(uint32_t sum, const void *p, size_t n);
