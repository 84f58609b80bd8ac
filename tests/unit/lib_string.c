/*
 * lib_string.c - the kernel's memory and string functions against libc's, on all small sizes, alignments and overlaps; blocks end at
 * the edge of an allocation, so that ASan sees a byte too much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define memcpy  k_memcpy
#define memmove k_memmove
#define memset  k_memset
#define memcmp  k_memcmp
#define memchr  k_memchr
#define strlen  k_strlen
#define strnlen k_strnlen
#define strcmp  k_strcmp
#define strncmp k_strncmp
#define strchr  k_strchr
#define strrchr k_strrchr
#define strstr  k_strstr
#include "kernel/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr
#undef strstr

static unsigned char *pattern(size_t n)
{
        unsigned char *p = malloc(n ? n : 1);
        for (size_t i = 0; i < n; i++)
                p[i] = (unsigned char)(i * 7 + 3);
        return p;
}

static void copies(void **state)
{
        (void)state;
        for (size_t len = 0; len < 150; len++) {
                for (size_t off = 0; off < 9; off++) {
                        unsigned char *src = pattern(off + len), *dst = malloc(off + len + 1);
                        assert_ptr_equal(k_memcpy(dst, src + off, len), dst);
                        assert_memory_equal(dst, src + off, len);
                        k_memset(dst + off, (int)len, len);
                        for (size_t i = 0; i < len; i++)
                                assert_int_equal(dst[off + i], (unsigned char)len);
                        free(src);
                        free(dst);
                }
        }
}

static void overlaps(void **state)
{
        (void)state;
        for (size_t len = 0; len < 100; len++) {
                for (size_t from = 0; from < 40; from++) {
                        for (size_t to = 0; to < 40; to++) {
                                unsigned char *a = pattern(40 + len), *b = pattern(40 + len);
                                k_memmove(a + to, a + from, len);
                                memmove(b + to, b + from, len);
                                assert_memory_equal(a, b, 40 + len);
                                free(a);
                                free(b);
                        }
                }
        }
}

static int sign(int x)
{
        return (x > 0) - (x < 0);
}

static void compares(void **state)
{
        (void)state;
        for (size_t len = 0; len < 40; len++) {
                unsigned char *a = pattern(len), *b = pattern(len);
                assert_int_equal(k_memcmp(a, b, len), 0);
                for (size_t i = 0; i < len; i++) {
                        b[i] ^= 0x80;
                        assert_int_equal(sign(k_memcmp(a, b, len)), sign(memcmp(a, b, len)));
                        assert_ptr_equal(k_memchr(a, a[i], len), memchr(a, a[i], len));
                        b[i] ^= 0x80;
                }
                assert_null(k_memchr(a, 2, len));
                free(a);
                free(b);
        }
}

static void strings(void **state)
{
        static const char *const words[] = {"", "a", "ab", "abc", "abd", "b", "aab", "\xff", "aba\xff"};
        char buf[4];

        (void)state;
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                const char *x = words[i];
                assert_int_equal(k_strlen(x), strlen(x));
                assert_int_equal(k_strnlen(x, 2), strnlen(x, 2));
                assert_ptr_equal(k_strchr(x, 'b'), strchr(x, 'b'));
                assert_ptr_equal(k_strchr(x, 0), strchr(x, 0));
                assert_ptr_equal(k_strrchr(x, 'a'), strrchr(x, 'a'));
                for (size_t j = 0; j < sizeof(words) / sizeof(words[0]); j++) {
                        const char *y = words[j];
                        assert_int_equal(sign(k_strcmp(x, y)), sign(strcmp(x, y)));
                        assert_int_equal(sign(k_strncmp(x, y, 2)), sign(strncmp(x, y, 2)));
                        assert_ptr_equal(k_strstr(x, y), strstr(x, y));
                }
        }
        assert_int_equal(str_copy(buf, "abc", sizeof(buf)), 3);
        assert_string_equal(buf, "abc");
        assert_int_equal(str_copy(buf, "abcdef", sizeof(buf)), 6);
        assert_string_equal(buf, "abc");
        buf[1] = 0;
        assert_int_equal(str_append(buf, "xyz", sizeof(buf)), 4);
        assert_string_equal(buf, "axy");
}

static unsigned long all_differ(const void *a, const void *b)
{
        (void)a, (void)b;
        return ~0ul;
}

static void pages(void **state)
{
        static _Alignas(4096) uint8_t a[4096], b[4096];

        (void)state;
        assert_int_equal(pages_differ(a, b), 0);
        for (unsigned i = 0; i < sizeof(a); i++) {
                a[i] = (uint8_t)(1u << i % 8);
                assert_true(pages_differ(a, b) == 1ul << i / 64);
                assert_true(pages_differ(b, a) == 1ul << i / 64);
                a[i] = 0;
        }
        a[70] = b[1000] = b[4095] = 1;
        assert_true(pages_differ(a, b) == (1ul << 1 | 1ul << 15 | 1ul << 63));
        memset(a, 'x', sizeof(a));
        assert_true(pages_differ(a, b) == ~0ul);
        string_use_vector_differ(all_differ);
        assert_true(pages_differ(a, a) == ~0ul);
        string_use_vector_differ(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(copies), cmocka_unit_test(overlaps),
                                           cmocka_unit_test(compares), cmocka_unit_test(strings),
                                           cmocka_unit_test(pages)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
