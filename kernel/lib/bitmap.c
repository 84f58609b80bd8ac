/*
 * bitmap.c - searching in arrays of bits, a word at a time.
 */
#include "kernel/lib/bitmap.h"

static size_t next(const uint64_t *map, size_t nbits, size_t from, uint64_t flip)
{
        size_t w = from / 64;
        uint64_t word;

        if (from >= nbits)
                return nbits;
        word = (map[w] ^ flip) & (~0ul << (from % 64));
        while (!word) {
                if (++w * 64 >= nbits)
                        return nbits;
                word = map[w] ^ flip;
        }
        from = w * 64 + __builtin_ctzl(word);
        return from < nbits ? from : nbits;
}

size_t bitmap_next_set(const uint64_t *map, size_t nbits, size_t from)
{
        return next(map, nbits, from, 0);
}

size_t bitmap_next_clear(const uint64_t *map, size_t nbits, size_t from)
{
        return next(map, nbits, from, ~0ul);
}

size_t bitmap_find_run(const uint64_t *map, size_t nbits, size_t from, size_t n, size_t align)
{
        size_t start = from, end;

        for (;;) {
                start = bitmap_next_clear(map, nbits, start);
                start = (start + align - 1) & ~(align - 1);
                if (start >= nbits || n > nbits - start)
                        return nbits;
                end = bitmap_next_set(map, start + n, start);
                if (end >= start + n)
                        return start;
                start = end + 1;
        }
}

void bitmap_set_range(uint64_t *map, size_t from, size_t n)
{
        for (; n && from % 64; n--)
                bit_set(map, from++);
        for (; n >= 64; n -= 64, from += 64)
                map[from / 64] = ~0ul;
        while (n--)
                bit_set(map, from++);
}

void bitmap_clear_range(uint64_t *map, size_t from, size_t n)
{
        for (; n && from % 64; n--)
                bit_clear(map, from++);
        for (; n >= 64; n -= 64, from += 64)
                map[from / 64] = 0;
        while (n--)
                bit_clear(map, from++);
}

size_t bitmap_count(const uint64_t *map, size_t nbits)
{
        size_t n = 0, w;

        for (w = 0; w < nbits / 64; w++)
                n += bits_count(map[w]);
        if (nbits % 64)
                n += bits_count(map[w] & ~(~0ul << (nbits % 64)));
        return n;
}
