/*
 * sums.c - checksums (sums.h): CRC-32 of IEEE 802.3; XXH64 as its specification (xxhash, doc/xxhash_spec.md) says.
 */
#include "sums.h"
#include <string.h>

#define P1 0x9e3779b185ebca87ul
#define P2 0xc2b2ae3d27d4eb4ful
#define P3 0x165667b19e3779f9ul
#define P4 0x85ebca77c2b2ae63ul
#define P5 0x27d4eb2f165667c5ul

uint32_t crc32(uint32_t sum, const void *p, size_t n)
{
        static uint32_t table[256];
        const uint8_t *b = p;
        uint32_t c = ~sum;

        for (uint32_t i = 0; !table[255] && i < 256; i++) {
                uint32_t v = i;

                for (int k = 0; k < 8; k++)
                        v = v >> 1 ^ (v & 1 ? 0xedb88320u : 0);
                table[i] = v;
        }
        while (n--)
                c = c >> 8 ^ table[(c ^ *b++) & 0xff];
        return ~c;
}

static uint64_t rotate(uint64_t x, int n)
{
        return x << n | x >> (64 - n);
}

static uint64_t lane(uint64_t sum, uint64_t input)
{
        return rotate(sum + input * P2, 31) * P1;
}

static uint64_t word(const uint8_t *b)
{
        uint64_t v;

        memcpy(&v, b, 8);
        return v;
}

uint64_t xxh64(const void *p, size_t n, uint64_t seed)
{
        const uint8_t *b = p, *end = b + n;
        uint64_t h = seed + P5;
        uint32_t half;

        if (n >= 32) {
                uint64_t v[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};

                for (; end - b >= 32; b += 32)
                        for (int i = 0; i < 4; i++)
                                v[i] = lane(v[i], word(b + 8l * i));
                h = rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) + rotate(v[3], 18);
                for (int i = 0; i < 4; i++)
                        h = (h ^ lane(0, v[i])) * P1 + P4;
        }
        h += n;
        for (; end - b >= 8; b += 8)
                h = rotate(h ^ lane(0, word(b)), 27) * P1 + P4;
        if (end - b >= 4) {
                memcpy(&half, b, 4);
                h = rotate(h ^ half * P1, 23) * P2 + P3;
                b += 4;
        }
        for (; b < end; b++)
                h = rotate(h ^ *b * P5, 11) * P1;
        h = (h ^ h >> 33) * P2;
        h = (h ^ h >> 29) * P3;
        return h ^ h >> 32;
}
