/* muldiv.h - a * b / c with a 128-bit product; the quotient must fit 64 bits (c > a * b >> 64). The compiler's own would need libgcc. */
#pragma once
#include <stdint.h>
static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
        uint64_t quotient, high;
        __asm__("mulq %3; divq %4" : "=&a"(quotient), "=&d"(high) : "0"(a), "r"(b), "r"(c) : "cc");
        return quotient;
}
