/* string.h - functions that kernel/lib has, declared as libc does, and strncpy, which no new code should use. */
#pragma once
#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memmove(void *dst, const void *src, size_t len);
void *memset(void *dst, int c, size_t len);
int memcmp(const void *a, const void *b, size_t len);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strncmp(const char *a, const char *b, size_t max);

static inline char *strncpy(char *restrict dst, const char *restrict src, size_t len)
{
        size_t n = strnlen(src, len);

        memset((char *)memcpy(dst, src, n) + n, 0, len - n);
        return dst;
}
