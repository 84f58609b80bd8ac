/* stdio.h - formatting is kernel/lib's; messages to a stream go nowhere. */
#pragma once
#include <stdarg.h>
#include <stddef.h>

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int snprintf(char *buf, size_t size, const char *fmt, ...);
#define stderr               ((void *)0)
#define fprintf(stream, ...) ((void)(stream))
