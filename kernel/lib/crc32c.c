/*
 * crc32c.c - CRC-32C by the SSE4.2 instruction where there is one, else eight bytes a step by table ("slicing by 8", Kounavis and Berry).
 * The table is made at the first use: 8 KiB that most machines never need. Two CPUs that make it at once write the same words.
 */
#include <stdbool.h>
#include "kernel/lib/crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* bit-reversed */

typedef uint64_t __attribute__((may_alias, aligned(1))) u64_any;

static uint32_t (*chosen)(uint32_t, const void *, size_t) = crc32c_table;
static uint32_t table[8][256];
static bool table_ready;

static void make_table(void)
{
        for (uint32_t i = 0; i < 256; i++) {
                uint32_t c = i;
                for (int k = 0; k < 8; k++)
                        c = c >> 1 ^ (c & 1 ? POLYNOMIAL : 0);
                table[0][i] = c;
        }
        for (uint32_t i = 0; i < 256; i++) {
                for (int t = 1; t < 8; t++)
                        table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 255];
        }
        __atomic_store_n(&table_ready, true, __ATOMIC_RELEASE);
}

uint32_t crc32c_table(uint32_t crc, const void *data, size_t len)
{
        const unsigned char *p = data;

        if (!__atomic_load_n(&table_ready, __ATOMIC_ACQUIRE))
                make_table();
        crc = ~crc;
        for (; len >= 8; p += 8, len -= 8) {
                uint64_t v = *(const u64_any *)p ^ crc;
                crc = table[7][v & 255] ^ table[6][v >> 8 & 255] ^ table[5][v >> 16 & 255] ^ table[4][v >> 24 & 255] ^
                      table[3][v >> 32 & 255] ^ table[2][v >> 40 & 255] ^ table[1][v >> 48 & 255] ^ table[0][v >> 56];
        }
        while (len--)
                crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
        return ~crc;
}

uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
        const unsigned char *p = data;
        uint64_t c = ~crc;

        for (; len >= 8; p += 8, len -= 8)
                __asm__("crc32q %1, %0" : "+r"(c) : "r"(*(const u64_any *)p));
        while (len--)
                __asm__("crc32b %b1, %k0" : "+r"(c) : "q"(*p++));
        return ~(uint32_t)c;
}

void crc32c_use_sse42(void)
{
        chosen = crc32c_sse42;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
        return chosen(crc, data, len);
}
