/* stdlib.h - what the libraries in the kernel mention: no memory from here, and no way out but a trap. */
#pragma once
#include <stddef.h>

static inline void *malloc(size_t size)
{
        (void)size;
        return NULL;
}

static inline void free(void *p)
{
        (void)p;
}

static inline int abs(int x)
{
        return x < 0 ? -x : x;
}

static inline __attribute__((noreturn)) void abort(void)
{
        __builtin_trap();
}

static inline __attribute__((noreturn)) void exit(int status)
{
        (void)status;
        __builtin_trap();
}
