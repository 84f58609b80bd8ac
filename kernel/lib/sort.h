/*
 * sort.h - sorting in place, ascending, without memory of its own: heapsort (Knuth, volume 3, 5.2.3), so n log n steps whatever the order was.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The heap's key at i goes down to where it belongs. */
static inline void sort_sift(uint64_t *key, size_t i, size_t n)
{
        for (size_t child; (child = 2 * i + 1) < n; i = child) {
                uint64_t swap = key[i];

                if (child + 1 < n && key[child + 1] > key[child])
                        child++;
                if (key[child] <= swap)
                        return;
                key[i] = key[child];
                key[child] = swap;
        }
}

static inline void sort_u64(uint64_t *key, size_t n)
{
        for (size_t i = n / 2; i--;)
                sort_sift(key, i, n);
        for (size_t last = n; last-- > 1;) {
                uint64_t swap = key[0];

                key[0] = key[last];
                key[last] = swap;
                sort_sift(key, 0, last);
        }
}
