/*
 * string.c - memory and string functions of the kernel.
 * Long moves use `rep movsq`: under QEMU's icount one iteration of rep is one instruction, so eight bytes for each is half of what any
 * loop of loads and stores reaches, and on real machines it is the fast-string path. Short ones use two overlapping moves.
 * General registers only: the user's vector registers are live while the kernel runs. A CPU for which that is slow may bring its own
 * routines for long ones (string_use_vectors).
 */
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/string.h"

/* gcc would make calls of memset, memmove and strlen out of the loops here. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

typedef uint64_t __attribute__((may_alias, aligned(1))) u64_any;
typedef uint32_t __attribute__((may_alias, aligned(1))) u32_any;
typedef uint16_t __attribute__((may_alias, aligned(1))) u16_any;

#define LONG_MOVE 512
static void (*vector_move)(void *dst, const void *src, size_t len);
static void (*vector_fill)(void *dst, unsigned long pattern, size_t len);
static unsigned long (*vector_differ)(const void *a, const void *b);

void string_use_vectors(void (*move)(void *dst, const void *src, size_t len),
                        void (*fill)(void *dst, unsigned long pattern, size_t len))
{
        vector_move = move;
        vector_fill = fill;
}

void string_use_vector_differ(unsigned long (*differ)(const void *a, const void *b))
{
        vector_differ = differ;
}

/* vector.S falls back on it. */
unsigned long words_differ(const void *a, const void *b);
unsigned long words_differ(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;
        unsigned long lines = 0;

        for (unsigned i = 0; i < 64; i++, x += 8, y += 8)
                lines |= (unsigned long)(((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) |
                                          (x[4] ^ y[4]) | (x[5] ^ y[5]) | (x[6] ^ y[6]) | (x[7] ^ y[7])) != 0)
                         << i;
        return lines;
}

unsigned long pages_differ(const void *a, const void *b)
{
        return vector_differ ? vector_differ(a, b) : words_differ(a, b);
}

static inline void rep_movsq(void **dst, const void **src, size_t words)
{
        __asm__ volatile("rep movsq" : "+D"(*dst), "+S"(*src), "+c"(words)::"memory");
}

/* len <= 16: both ends are loaded before either is stored, so overlap does no harm. */
static inline void move_short(void *dst, const void *src, size_t len)
{
        char *d = dst;
        const char *s = src;

        if (len >= 8) {
                uint64_t a = *(const u64_any *)s, b = *(const u64_any *)(s + len - 8);
                *(u64_any *)d = a;
                *(u64_any *)(d + len - 8) = b;
        } else if (len >= 4) {
                uint32_t a = *(const u32_any *)s, b = *(const u32_any *)(s + len - 4);
                *(u32_any *)d = a;
                *(u32_any *)(d + len - 4) = b;
        } else if (len >= 2) {
                uint16_t a = *(const u16_any *)s, b = *(const u16_any *)(s + len - 2);
                *(u16_any *)d = a;
                *(u16_any *)(d + len - 2) = b;
        } else if (len) {
                *d = *s;
        }
}

/* len > 16, forwards. The last eight bytes are loaded first: the regions may overlap with dst below src. */
static inline void move_long(void *dst, const void *src, size_t len)
{
        uint64_t tail = *(const u64_any *)((const char *)src + len - 8);
        char *end = (char *)dst + len - 8;

        if (len >= LONG_MOVE && vector_move) {
                vector_move(dst, src, len);
                return;
        }
        rep_movsq(&dst, &src, (len - 1) / 8);
        *(u64_any *)end = tail;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
        if (len <= 16)
                move_short(dst, src, len);
        else
                move_long(dst, src, len);
        return dst;
}

void *memmove(void *dst, const void *src, size_t len)
{
        if (len <= 16) {
                move_short(dst, src, len);
        } else if ((uintptr_t)dst - (uintptr_t)src >= len) {
                move_long(dst, src, len);
        } else {
                char *d = dst;
                const char *s = src;
                while (len >= 8) {
                        len -= 8;
                        *(u64_any *)(d + len) = *(const u64_any *)(s + len);
                }
                if (len) { /* the first bytes: backwards, one by one */
                        while (len--)
                                d[len] = s[len];
                }
        }
        return dst;
}

void *memset(void *dst, int c, size_t len)
{
        uint64_t pattern = (uint8_t)c * 0x0101010101010101ul;
        char *d = dst;

        if (len >= LONG_MOVE && vector_fill) {
                vector_fill(dst, pattern, len);
        } else if (len >= 8) {
                void *at = dst;
                size_t words = (len - 1) / 8;
                *(u64_any *)(d + len - 8) = pattern;
                __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
        } else if (len >= 4) {
                *(u32_any *)d = (uint32_t)pattern;
                *(u32_any *)(d + len - 4) = (uint32_t)pattern;
        } else if (len) {
                d[0] = (char)c;
                d[len / 2] = (char)c;
                d[len - 1] = (char)c;
        }
        return dst;
}

int memcmp(const void *a, const void *b, size_t len)
{
        const unsigned char *x = a, *y = b;

        while (len >= 8 && *(const u64_any *)x == *(const u64_any *)y) {
                x += 8;
                y += 8;
                len -= 8;
        }
        for (; len; x++, y++, len--) {
                if (*x != *y)
                        return *x - *y;
        }
        return 0;
}

void *memchr(const void *s, int c, size_t len)
{
        for (const unsigned char *p = s; len; p++, len--) {
                if (*p == (unsigned char)c)
                        return (void *)p;
        }
        return NULL;
}

size_t strlen(const char *s)
{
        const char *p = s;
        while (*p)
                p++;
        return p - s;
}

size_t strnlen(const char *s, size_t max)
{
        size_t n = 0;
        while (n < max && s[n])
                n++;
        return n;
}

int strcmp(const char *a, const char *b)
{
        while (*a && *a == *b) {
                a++;
                b++;
        }
        return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t max)
{
        for (; max; a++, b++, max--) {
                if (*a != *b || !*a)
                        return (unsigned char)*a - (unsigned char)*b;
        }
        return 0;
}

char *strchr(const char *s, int c)
{
        for (;; s++) {
                if (*s == (char)c)
                        return (char *)s;
                if (!*s)
                        return NULL;
        }
}

char *strrchr(const char *s, int c)
{
        const char *found = NULL;
        do {
                if (*s == (char)c)
                        found = s;
        } while (*s++);
        return (char *)found;
}

char *strstr(const char *s, const char *what)
{
        size_t len = strlen(what);
        for (;; s++) {
                if (!strncmp(s, what, len))
                        return (char *)s;
                if (!*s)
                        return NULL;
        }
}

size_t str_copy(char *dst, const char *src, size_t size)
{
        size_t len = strlen(src);
        size_t n = len < size ? len : size - 1;
        memcpy(dst, src, n);
        dst[n] = 0;
        return len;
}

size_t str_append(char *dst, const char *src, size_t size)
{
        size_t at = strnlen(dst, size);
        if (at == size)
                return size + strlen(src);
        return at + str_copy(dst + at, src, size - at);
}
