/*
 * fmt.c - printf-like formatting. One pass, no buffer but the caller's and 24 digits.
 */
#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

struct out {
        char *buf;
        size_t size, len; /* len: what was wanted so far */
};

static void put(struct out *o, char c)
{
        if (o->len + 1 < o->size)
                o->buf[o->len] = c;
        o->len++;
}

static void put_many(struct out *o, const char *s, size_t n)
{
        while (n--)
                put(o, *s++);
}

static void pad(struct out *o, char c, int n)
{
        while (n-- > 0)
                put(o, c);
}

struct spec {
        bool left, zero, plus, space, alt;
        int width, precision; /* precision < 0: none */
};

static void put_number(struct out *o, const struct spec *sp, uint64_t v, bool negative, unsigned base, bool upper)
{
        const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
        char tmp[24], sign[3];
        int n = 0, nsign = 0, zeros, total;

        if (negative)
                sign[nsign++] = '-';
        else if (sp->plus)
                sign[nsign++] = '+';
        else if (sp->space)
                sign[nsign++] = ' ';
        if (sp->alt && base == 16 && v) {
                sign[nsign++] = '0';
                sign[nsign++] = upper ? 'X' : 'x';
        }
        if (base == 10) {
                for (; v; v /= 10)
                        tmp[n++] = digits[v % 10];
        } else {
                unsigned shift = base == 16 ? 4 : 3;
                for (; v; v >>= shift)
                        tmp[n++] = digits[v & (base - 1)];
        }
        zeros = sp->precision < 0 ? (n == 0) : sp->precision - n;
        if (sp->alt && base == 8 && zeros <= 0)
                zeros = 1;
        if (zeros < 0)
                zeros = 0;
        total = nsign + zeros + n;
        if (sp->zero && !sp->left && sp->precision < 0 && sp->width > total) {
                zeros += sp->width - total;
                total = sp->width;
        }
        if (!sp->left)
                pad(o, ' ', sp->width - total);
        put_many(o, sign, nsign);
        pad(o, '0', zeros);
        while (n)
                put(o, tmp[--n]);
        if (sp->left)
                pad(o, ' ', sp->width - total);
}

static void put_string(struct out *o, const struct spec *sp, const char *s, size_t len)
{
        if (!sp->left)
                pad(o, ' ', sp->width - (int)len);
        put_many(o, s, len);
        if (sp->left)
                pad(o, ' ', sp->width - (int)len);
}

static int parse_int(const char **f)
{
        int v = 0;
        while (**f >= '0' && **f <= '9')
                v = v * 10 + (*(*f)++ - '0');
        return v;
}

enum length { LEN_CHAR, LEN_SHORT, LEN_INT, LEN_LONG };

static enum length parse_length(const char **f)
{
        switch (**f) {
        case 'h':
                if (*++*f != 'h')
                        return LEN_SHORT;
                ++*f;
                return LEN_CHAR;
        case 'l':
                if (*++*f == 'l')
                        ++*f;
                return LEN_LONG;
        case 'z':
        case 'j':
        case 't':
                ++*f;
                return LEN_LONG;
        }
        return LEN_INT;
}

static uint64_t unsigned_arg(va_list *ap, enum length len)
{
        switch (len) {
        case LEN_CHAR:
                return (unsigned char)va_arg(*ap, unsigned);
        case LEN_SHORT:
                return (unsigned short)va_arg(*ap, unsigned);
        case LEN_INT:
                return va_arg(*ap, unsigned);
        default:
                return va_arg(*ap, unsigned long);
        }
}

static int64_t signed_arg(va_list *ap, enum length len)
{
        switch (len) {
        case LEN_CHAR:
                return (signed char)va_arg(*ap, int);
        case LEN_SHORT:
                return (short)va_arg(*ap, int);
        case LEN_INT:
                return va_arg(*ap, int);
        default:
                return va_arg(*ap, long);
        }
}

static const char *parse_flags(const char *f, struct spec *sp)
{
        for (;; f++) {
                switch (*f) {
                case '-':
                        sp->left = true;
                        break;
                case '0':
                        sp->zero = true;
                        break;
                case '+':
                        sp->plus = true;
                        break;
                case ' ':
                        sp->space = true;
                        break;
                case '#':
                        sp->alt = true;
                        break;
                default:
                        return f;
                }
        }
}

int vsnprintf(char *buf, size_t size, const char *f, va_list args)
{
        struct out o = {buf, size, 0};
        va_list ap;

        va_copy(ap, args);
        while (*f) {
                struct spec sp = {.precision = -1};
                enum length len;
                if (*f != '%') {
                        put(&o, *f++);
                        continue;
                }
                f = parse_flags(f + 1, &sp);
                if (*f == '*') {
                        sp.width = va_arg(ap, int);
                        if (sp.width < 0) {
                                sp.left = true;
                                sp.width = -sp.width;
                        }
                        f++;
                } else {
                        sp.width = parse_int(&f);
                }
                if (*f == '.') {
                        f++;
                        if (*f == '*') {
                                sp.precision = va_arg(ap, int);
                                f++;
                        } else {
                                sp.precision = parse_int(&f);
                        }
                }
                len = parse_length(&f);
                switch (*f) {
                case 'd':
                case 'i': {
                        int64_t v = signed_arg(&ap, len);
                        put_number(&o, &sp, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0, 10, false);
                        break;
                }
                case 'u':
                        sp.plus = sp.space = false;
                        put_number(&o, &sp, unsigned_arg(&ap, len), false, 10, false);
                        break;
                case 'x':
                case 'X':
                        sp.plus = sp.space = false;
                        put_number(&o, &sp, unsigned_arg(&ap, len), false, 16, *f == 'X');
                        break;
                case 'o':
                        sp.plus = sp.space = false;
                        put_number(&o, &sp, unsigned_arg(&ap, len), false, 8, false);
                        break;
                case 'p':
                        sp.alt = true;
                        put_number(&o, &sp, (uintptr_t)va_arg(ap, void *), false, 16, false);
                        break;
                case 'c': {
                        char c = (char)va_arg(ap, int);
                        put_string(&o, &sp, &c, 1);
                        break;
                }
                case 's': {
                        const char *s = va_arg(ap, const char *);
                        if (!s)
                                s = "(null)";
                        put_string(&o, &sp, s, sp.precision < 0 ? strlen(s) : strnlen(s, sp.precision));
                        break;
                }
                case '%':
                        put(&o, '%');
                        break;
                case 0:
                        f--;
                        break;
                default: /* unknown: shown as it stands */
                        put(&o, '%');
                        put(&o, *f);
                }
                f++;
        }
        va_end(ap);
        if (size)
                buf[o.len < size ? o.len : size - 1] = 0;
        return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
        va_list ap;
        int n;
        va_start(ap, fmt);
        n = vsnprintf(buf, size, fmt, ap);
        va_end(ap);
        return n;
}

size_t fmt_append(char *buf, size_t size, size_t at, const char *fmt, ...)
{
        va_list ap;
        size_t n;
        if (at >= size)
                return at;
        va_start(ap, fmt);
        n = vsnprintf(buf + at, size - at, fmt, ap);
        va_end(ap);
        return n < size - at ? at + n : size - 1;
}

static unsigned digit_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if ((c | 32) >= 'a' && (c | 32) <= 'f')
                return (c | 32) - 'a' + 10;
        return 99;
}

int fmt_parse_u64(const char *s, unsigned base, const char **end, unsigned long *value)
{
        unsigned long v = 0;
        const char *start;

        if ((base == 0 || base == 16) && s[0] == '0' && (s[1] | 32) == 'x' && digit_value(s[2]) < 16) {
                s += 2;
                base = 16;
        } else if (base == 0) {
                base = s[0] == '0' ? 8 : 10;
        }
        for (start = s; digit_value(*s) < base; s++) {
                if (__builtin_mul_overflow(v, (unsigned long)base, &v) ||
                    __builtin_add_overflow(v, (unsigned long)digit_value(*s), &v))
                        return 0;
        }
        if (s == start)
                return 0;
        if (end)
                *end = s;
        *value = v;
        return 1;
}
