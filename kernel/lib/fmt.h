/*
 * fmt.h - printf-like formatting into a buffer. Conversions: d i u x X o c s p %, flags - 0 + space #, width and precision (also *),
 * lengths hh h l ll z j t. No floating point. Results as C99's: the length that was wanted, always ended by NUL if size > 0.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#if __STDC_HOSTED__
#include <stdio.h>
#else
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
int snprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#endif
/* Like snprintf but returns what was stored without the NUL: for appending piece by piece. */
size_t fmt_append(char *buf, size_t size, size_t at, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/*
 * Unsigned number in base 10, or in 16 after "0x", or (base 0 rules) as given; stores where it ended. Returns false when there is no digit
 * or it does not fit 64 bits; *end and *value are then untouched.
 */
int fmt_parse_u64(const char *s, unsigned base, const char **end, unsigned long *value);
