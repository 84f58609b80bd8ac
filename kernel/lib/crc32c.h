/*
 * crc32c.h - CRC-32C (Castagnoli), as in iSCSI, btrfs and SSE4.2's crc32 instruction. crc32c("123456789") is 0xe3069283.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
/* Goes on from an earlier result; 0 to begin. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The two ways, for the choice at start and for tests. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);
uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t len);
/* Called once by who knows the CPU; without the call the table is used. */
void crc32c_use_sse42(void);
