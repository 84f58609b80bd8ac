/*
 * bitmap.h - arrays of bits in 64-bit words. The *_atomic forms are for words that several CPUs change.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BITMAP_WORDS(bits) (((bits) + 63) / 64)

static inline bool bit_test(const uint64_t *map, size_t i)
{
        return map[i / 64] >> (i % 64) & 1;
}
static inline void bit_set(uint64_t *map, size_t i)
{
        map[i / 64] |= 1ul << (i % 64);
}
static inline void bit_clear(uint64_t *map, size_t i)
{
        map[i / 64] &= ~(1ul << (i % 64));
}
/* Old value. */
static inline bool bit_set_atomic(uint64_t *map, size_t i)
{
        uint64_t mask = 1ul << (i % 64);
        return __atomic_fetch_or(&map[i / 64], mask, __ATOMIC_ACQ_REL) & mask;
}
static inline bool bit_clear_atomic(uint64_t *map, size_t i)
{
        uint64_t mask = 1ul << (i % 64);
        return __atomic_fetch_and(&map[i / 64], ~mask, __ATOMIC_ACQ_REL) & mask;
}
/* Not gcc's builtin: the baseline processor has no POPCNT, and the kernel no libgcc. */
static inline unsigned bits_count(uint64_t x)
{
        x -= x >> 1 & 0x5555555555555555ul;
        x = (x & 0x3333333333333333ul) + (x >> 2 & 0x3333333333333333ul);
        x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0ful;
        return (unsigned)(x * 0x0101010101010101ul >> 56);
}
/* First set (clear) bit at or after `from`; nbits when there is none. */
size_t bitmap_next_set(const uint64_t *map, size_t nbits, size_t from);
size_t bitmap_next_clear(const uint64_t *map, size_t nbits, size_t from);
/* First run of n clear bits at or after `from`, start a multiple of align (a power of two); nbits when there is none. */
size_t bitmap_find_run(const uint64_t *map, size_t nbits, size_t from, size_t n, size_t align);
void bitmap_set_range(uint64_t *map, size_t from, size_t n);
void bitmap_clear_range(uint64_t *map, size_t from, size_t n);
size_t bitmap_count(const uint64_t *map, size_t nbits);
