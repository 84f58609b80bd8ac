/*
 * hash.c - byte strings: eight bytes a step through a folded 64x64->128 multiplication.
 */
#include "kernel/lib/hash.h"

typedef uint64_t __attribute__((may_alias, aligned(1))) u64_any;

static inline uint64_t fold(uint64_t a, uint64_t b)
{
        unsigned __int128 p = (unsigned __int128)a * b;
        return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t hash_bytes(const void *data, size_t len, uint64_t seed)
{
        const unsigned char *p = data;
        uint64_t h = seed ^ (len + 1) * 0x9e3779b97f4a7c15ul, last = 0;

        for (; len >= 8; p += 8, len -= 8)
                h = fold(h ^ *(const u64_any *)p, 0xa0761d6478bd642ful);
        for (size_t i = 0; i < len; i++)
                last |= (uint64_t)p[i] << (8 * i);
        return hash_u64(fold(h ^ last, 0xe7037ed1a0b428dbul));
}
