/*
 * lib_fmt.c - formatting against libc's snprintf over products of flags, widths, precisions and values; number parsing at its edges.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define vsnprintf k_vsnprintf
#define snprintf  k_snprintf
#include "kernel/lib/fmt.c"
#undef vsnprintf
#undef snprintf

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

#define SAME(fmt, ...)                                                                                                 \
        do {                                                                                                           \
                char a_[200], b_[200];                                                                                 \
                int n_ = k_snprintf(a_, sizeof(a_), fmt, ##__VA_ARGS__),                                               \
                    m_ = snprintf(b_, sizeof(b_), fmt, ##__VA_ARGS__);                                                 \
                assert_string_equal(a_, b_);                                                                           \
                assert_int_equal(n_, m_);                                                                              \
        } while (0)

static const char *const flags[] = {"", "-", "0", "+", " ", "#", "-0", "+0", "#0", "-#", "- ", "+-"};
static const char *const widths[] = {"", "1", "5", "12", "30"};
static const char *const precisions[] = {"", ".", ".0", ".1", ".7", ".25"};

static void integers(void **state)
{
        static const long values[] = {0,       1,        -1,       7,    42,   -12345, INT_MAX,
                                      INT_MIN, LONG_MAX, LONG_MIN, 0x7f, 0x80, 0xffff};

        (void)state;
        for (size_t f = 0; f < 12; f++) {
                for (size_t w = 0; w < 5; w++) {
                        for (size_t p = 0; p < 6; p++) {
                                for (const char *c = "diuxXo"; *c; c++) {
                                        for (size_t l = 0; l < 5; l++) {
                                                static const char *const lens[] = {"", "l", "ll", "h", "hh"};
                                                char fmt[40];
                                                sprintf(fmt, "<%%%s%s%s%s%c>", flags[f], widths[w], precisions[p],
                                                        lens[l], *c);
                                                for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
                                                        SAME(fmt, values[v]);
                                        }
                                }
                        }
                }
        }
        SAME("%zu %zd %jd %td", (size_t)5, (ssize_t)-5, (intmax_t)-6, (ptrdiff_t)7);
}

static void strings(void **state)
{
        (void)state;
        for (size_t w = 0; w < 5; w++) {
                for (size_t p = 0; p < 6; p++) {
                        for (size_t left = 0; left < 2; left++) {
                                char fmt[40];
                                sprintf(fmt, "<%%%s%s%ss>", left ? "-" : "", widths[w], precisions[p]);
                                SAME(fmt, "");
                                SAME(fmt, "hello");
                                SAME(fmt, "a longer text than any width");
                        }
                }
        }
        SAME("%c%c %5c|%-5c|", 'a', 'b', 'c', 'd');
        SAME("%%|%5d%%", 3);
        SAME("%*d|%-*d|%.*d|%*.*s", 6, 1, 6, 2, 4, 3, 8, 2, "xyz");
        SAME("%*d|%.*d", -6, 1, -4, 3);
        SAME("%p %p", (void *)0x1234, (void *)-1L);
}

static void bounds(void **state)
{
        char buf[8];

        (void)state;
        memset(buf, 'x', sizeof(buf));
        assert_int_equal(k_snprintf(buf, 4, "abcdefg"), 7);
        assert_memory_equal(buf, "abc\0xxxx", 8);
        assert_int_equal(k_snprintf(NULL, 0, "%d", 12345), 5);
        assert_int_equal(k_snprintf(buf, 1, "abc"), 3);
        assert_string_equal(buf, "");
        assert_int_equal(fmt_append(buf, sizeof(buf), 0, "%s", "abcd"), 4);
        assert_int_equal(fmt_append(buf, sizeof(buf), 4, "%s", "efghij"), 7);
        assert_string_equal(buf, "abcdefg");
        assert_int_equal(fmt_append(buf, sizeof(buf), 7, "more"), 7);
        assert_int_equal(fmt_append(buf, sizeof(buf), 8, "more"), 8);
        k_snprintf(buf, sizeof(buf), "%");
        assert_string_equal(buf, "");
        k_snprintf(buf, sizeof(buf), "%s", (char *)NULL);
        assert_string_equal(buf, "(null)");
}

static void parsing(void **state)
{
        unsigned long v = 99;
        const char *end, *text;

        (void)state;
        text = "123abc";
        assert_true(fmt_parse_u64(text, 10, &end, &v) && v == 123 && end == text + 3);
        text = "0x1Fg";
        assert_true(fmt_parse_u64(text, 0, &end, &v) && v == 0x1f && end == text + 4);
        assert_true(fmt_parse_u64("0777", 0, NULL, &v) && v == 0777);
        assert_true(fmt_parse_u64("0", 0, NULL, &v) && v == 0);
        text = "0x";
        assert_true(fmt_parse_u64(text, 0, &end, &v) && v == 0 && end == text + 1);
        assert_true(fmt_parse_u64("18446744073709551615", 10, NULL, &v) && v == ULONG_MAX);
        v = 5;
        assert_false(fmt_parse_u64("18446744073709551616", 10, NULL, &v));
        assert_false(fmt_parse_u64("0x10000000000000000", 0, NULL, &v));
        assert_false(fmt_parse_u64("", 10, NULL, &v));
        assert_false(fmt_parse_u64("-1", 10, NULL, &v));
        assert_int_equal(v, 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(integers), cmocka_unit_test(strings),
                                           cmocka_unit_test(bounds), cmocka_unit_test(parsing)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
