/*
 * drv_gpt.c - the partition table parser: a good table, then the same with every byte of header and entries changed, and with nonsense in every field.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/drivers/block/gpt.h"

#define DISK 4096u /* sectors */
static uint8_t header[512], table[128 * 128];

static void put(uint8_t *p, uint64_t v, unsigned len)
{
        for (unsigned i = 0; i < len; i++)
                p[i] = (uint8_t)(v >> 8 * i);
}

static void seal(void)
{
        put(header + 88, gpt_crc32(table, sizeof(table)), 4);
        put(header + 16, 0, 4);
        put(header + 16, gpt_crc32(header, 92), 4);
}

static void entry(unsigned i, uint8_t type, uint64_t first, uint64_t last)
{
        uint8_t *e = table + i * 128;

        memset(e, type, 16);
        memset(e + 16, (int)i + 1, 16);
        put(e + 32, first, 8);
        put(e + 40, last, 8);
}

static void good(void)
{
        memset(header, 0, sizeof(header));
        memset(table, 0, sizeof(table));
        memcpy(header, "EFI PART", 8);
        put(header + 8, 0x10000, 4);
        put(header + 12, 92, 4);
        put(header + 24, 1, 8);
        put(header + 32, DISK - 1, 8);
        put(header + 40, 34, 8);
        put(header + 48, DISK - 34, 8);
        put(header + 72, 2, 8);
        put(header + 80, 128, 4);
        put(header + 84, 128, 4);
        entry(0, 7, 34, 99);
        entry(2, 8, 100, DISK - 34);
        seal();
}

static bool parse(struct gpt_partition *list, unsigned *n)
{
        struct gpt_header h;

        return gpt_header_parse(header, 1, DISK, &h) && h.nentries * h.entry_size <= sizeof(table) &&
               gpt_entries_parse(&h, table, list, 15, n);
}

static void parses(void **state)
{
        struct gpt_partition list[15];
        unsigned n;

        (void)state;
        assert_int_equal(gpt_crc32("123456789", 9), 0xcbf43926);
        good();
        assert_true(parse(list, &n) && n == 2);
        assert_int_equal(list[0].number, 1);
        assert_int_equal(list[0].nsectors, 66);
        assert_int_equal(list[1].number, 3);
        assert_int_equal(list[1].first, 100);
        assert_int_equal(list[1].type[15], 8);
        assert_int_equal(list[1].uuid[0], 3);
}

static void every_byte_counts(void **state)
{
        struct gpt_partition list[15];
        unsigned n;

        (void)state;
        for (unsigned i = 0; i < 92; i++) {
                good();
                header[i] ^= 0x41;
                assert_false(parse(list, &n));
        }
        for (unsigned i = 0; i < sizeof(table); i += 7) {
                good();
                table[i] ^= 0x41;
                assert_false(parse(list, &n));
        }
}

/* Well-formed checksums over nonsense. */
static void nonsense(void **state)
{
        static const uint64_t odd[] = {0, 1, 33, DISK - 1, DISK, 0x7fffffff, 0xffffffff, ~0ul, 1ul << 63};
        struct gpt_partition list[15];
        unsigned n;

        (void)state;
        for (unsigned field = 12; field < 92; field += 4) {
                for (unsigned k = 0; k < sizeof(odd) / sizeof(*odd); k++) {
                        good();
                        put(header + field, odd[k], field == 88 ? 4 : 8);
                        seal();
                        parse(list, &n);
                }
        }
        for (unsigned a = 0; a < sizeof(odd) / sizeof(*odd); a++) {
                for (unsigned b = 0; b < sizeof(odd) / sizeof(*odd); b++) {
                        good();
                        entry(1, 9, odd[a], odd[b]);
                        seal();
                        assert_true(parse(list, &n));
                        for (unsigned i = 0; i < n; i++)
                                assert_true(list[i].first >= 34 && list[i].nsectors > 0 &&
                                            list[i].first + list[i].nsectors <= DISK - 33);
                }
        }
        good();
        entry(4, 9, 90, 110); /* overlaps both */
        seal();
        assert_true(parse(list, &n) && n == 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(parses), cmocka_unit_test(every_byte_counts),
                                           cmocka_unit_test(nonsense)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
