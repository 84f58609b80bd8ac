/*
 * lib_hash.c - bitmaps against a byte array, CRC-32C and ChaCha20 against published vectors, hash functions pinned: their values
 * are part of the persistent schema.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/lib/bitmap.c"
#include "kernel/lib/chacha20.c"
#include "kernel/lib/crc32c.c"
#undef POLYNOMIAL
#define u64_any u64_any_of_hash
#include "kernel/lib/hash.c"
#undef u64_any
#include "kernel/lib/muldiv.h"

#define BITS 517

static size_t model_find(const bool *m, size_t from, bool what)
{
        while (from < BITS && m[from] != what)
                from++;
        return from < BITS ? from : BITS;
}

static size_t model_run(const bool *m, size_t from, size_t n, size_t align)
{
        for (size_t s = (from + align - 1) / align * align; s + n <= BITS; s += align) {
                size_t i = 0;
                while (i < n && !m[s + i])
                        i++;
                if (i == n)
                        return s;
        }
        return BITS;
}

static void bitmaps(void **state)
{
        uint64_t map[BITMAP_WORDS(BITS)] = {0};
        bool model[BITS] = {false};

        (void)state;
        srand(2);
        for (unsigned round = 0; round < 20000; round++) {
                size_t from = (size_t)rand() % BITS, n = (size_t)rand() % (BITS - from) / (1 + (size_t)rand() % 20),
                       count = 0;
                size_t align = 1ul << rand() % 6, want = 1 + (size_t)rand() % 80;
                switch (rand() % 6) {
                case 0:
                        bit_set(map, from);
                        model[from] = true;
                        break;
                case 1:
                        bit_clear(map, from);
                        model[from] = false;
                        break;
                case 2:
                        assert_int_equal(bit_set_atomic(map, from), model[from]);
                        model[from] = true;
                        break;
                case 3:
                        assert_int_equal(bit_clear_atomic(map, from), model[from]);
                        model[from] = false;
                        break;
                case 4:
                        bitmap_set_range(map, from, n);
                        memset(model + from, 1, n);
                        break;
                case 5:
                        bitmap_clear_range(map, from, n);
                        memset(model + from, 0, n);
                        break;
                }
                for (size_t i = 0; i < BITS; i++)
                        count += model[i];
                assert_int_equal(bitmap_count(map, BITS), count);
                assert_int_equal(bit_test(map, from), model[from]);
                assert_int_equal(bitmap_next_set(map, BITS, from), model_find(model, from, true));
                assert_int_equal(bitmap_next_clear(map, BITS, from), model_find(model, from, false));
                assert_int_equal(bitmap_find_run(map, BITS, from, want, align), model_run(model, from, want, align));
        }
        assert_int_equal(bitmap_next_set(map, BITS, BITS), BITS);
        assert_int_equal(bits_count(~0ul), 64);
}

static void checksums(void **state)
{
        unsigned char data[300];
        bool sse42;

        (void)state;
        __builtin_cpu_init();
        sse42 = __builtin_cpu_supports("sse4.2");
        assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (unsigned char)(i * i + 1);
        memset(data, 0, 32); /* RFC 3720, B.4 */
        assert_int_equal(crc32c(0, data, 32), 0x8a9136aa);
        memset(data, 0xff, 32);
        assert_int_equal(crc32c(0, data, 32), 0x62a8ab43);
        for (size_t from = 0; from < 9; from++) {
                for (size_t len = 0; len + from <= sizeof(data); len += 7) {
                        uint32_t whole = crc32c_table(0, data + from, len);
                        assert_int_equal(crc32c_table(crc32c_table(0, data + from, len / 3), data + from + len / 3,
                                                      len - len / 3),
                                         whole);
                        if (sse42)
                                assert_int_equal(crc32c_sse42(0, data + from, len), whole);
                }
        }
        if (sse42) {
                crc32c_use_sse42();
                assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
        }
}

static void stream(void **state)
{
        /* RFC 8439, 2.3.2 */
        static const uint8_t want[64] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
                                         0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
                                         0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
                                         0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
                                         0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
        static const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
        uint8_t key[32], out[64];
        uint32_t words[8];

        (void)state;
        for (unsigned i = 0; i < 32; i++)
                key[i] = (uint8_t)i;
        memcpy(words, key, 32);
        chacha20_block(out, words, 1, nonce);
        assert_memory_equal(out, want, 64);
}

static void hashes(void **state)
{
        uint64_t seen[64] = {0};

        (void)state;
        assert_int_equal(hash_u64(0), 0);
        assert_int_equal(hash_u64(1), 0xb456bcfc34c2cb2cul);
        assert_int_equal(hash_bytes("", 0, 0), 0x5d9523da6aa671d3ul);
        assert_int_equal(hash_bytes("a", 1, 0), 0x2a4f595b59dfe592ul);
        assert_int_equal(hash_bytes("hello, world", 12, 7), 0xec3fef056c863d6eul);
        assert_int_equal(hash_pair(1, 2), 0xa288ccdc266474e3ul);
        /* One bit of input changes about half of the output. */
        for (unsigned bit = 0; bit < 64; bit++) {
                uint64_t x = 0x123456789abcdef, y = x ^ 1ul << bit;
                unsigned d = bits_count(hash_bytes(&x, 8, 0) ^ hash_bytes(&y, 8, 0));
                assert_in_range(d, 14, 50);
                seen[bit] = d;
        }
        assert_true(seen[0]);
        assert_int_not_equal(hash_bytes("ab", 2, 0), hash_bytes("ab\0", 3, 0));
        assert_int_equal(mul_div(~0ul, 10, 20), ~0ul / 2);
        assert_int_equal(mul_div(1000000007, 998244353, 1000000007), 998244353);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(bitmaps), cmocka_unit_test(checksums),
                                           cmocka_unit_test(stream), cmocka_unit_test(hashes)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
