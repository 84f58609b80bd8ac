/*
 * string.h - memory and string functions. In a hosted build (unit tests, tools) these are libc's; string.c is then compiled under other names.
 */
#pragma once
#if __STDC_HOSTED__
#include <string.h>
#else
#include <stddef.h>
void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memmove(void *dst, const void *src, size_t len);
void *memset(void *dst, int c, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *s, int c, size_t len);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
#endif
/* BSD's: copy at most size-1 bytes and always end with NUL (size > 0); return the length that was wanted. */
size_t str_copy(char *dst, const char *src, size_t size);
size_t str_append(char *dst, const char *src, size_t size);
/* Two pages, aligned: bit i is set if bytes [64 i, 64 i + 64) of them differ. */
unsigned long pages_differ(const void *a, const void *b);
/* Ways for 512 bytes or more, set once by who knows the CPU. fill gets the byte eight times. */
void string_use_vectors(void (*move)(void *dst, const void *src, size_t len),
                        void (*fill)(void *dst, unsigned long pattern, size_t len));
void string_use_vector_differ(unsigned long (*differ)(const void *a, const void *b));
