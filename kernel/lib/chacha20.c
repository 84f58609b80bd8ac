/* chacha20.c - RFC 8439, section 2.3. Little-endian machines only. */
#include "kernel/lib/chacha20.h"
#include "kernel/lib/string.h"

static inline uint32_t rotate(uint32_t x, unsigned n)
{
        return x << n | x >> (32 - n);
}

static inline void quarter(uint32_t *s, unsigned a, unsigned b, unsigned c, unsigned d)
{
        s[a] += s[b];
        s[d] = rotate(s[d] ^ s[a], 16);
        s[c] += s[d];
        s[b] = rotate(s[b] ^ s[c], 12);
        s[a] += s[b];
        s[d] = rotate(s[d] ^ s[a], 8);
        s[c] += s[d];
        s[b] = rotate(s[b] ^ s[c], 7);
}

void chacha20_block(uint8_t out[64], const uint32_t key[8], uint32_t counter, const uint32_t nonce[3])
{
        uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, s[16];

        memcpy(start + 4, key, 32);
        start[12] = counter;
        memcpy(start + 13, nonce, 12);
        memcpy(s, start, sizeof(s));
        for (unsigned i = 0; i < 10; i++) {
                quarter(s, 0, 4, 8, 12);
                quarter(s, 1, 5, 9, 13);
                quarter(s, 2, 6, 10, 14);
                quarter(s, 3, 7, 11, 15);
                quarter(s, 0, 5, 10, 15);
                quarter(s, 1, 6, 11, 12);
                quarter(s, 2, 7, 8, 13);
                quarter(s, 3, 4, 9, 14);
        }
        for (unsigned i = 0; i < 16; i++)
                s[i] += start[i];
        memcpy(out, s, 64);
}
