/*
 * drv_mbr.c - the old partition table: a good one with logical partitions, what is none, and random bytes: whatever comes
 * out lies on the disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/drivers/block/mbr.h"

#define DISK 100000u /* blocks */
static uint8_t block[512];

static void entry(unsigned i, uint8_t type, uint32_t first, uint32_t nblocks)
{
        uint8_t *e = block + 446 + 16 * i;

        e[4] = type;
        memcpy(e + 8, &first, 4);
        memcpy(e + 12, &nblocks, 4);
}

static void fresh(void)
{
        memset(block, 0, sizeof(block));
        block[510] = 0x55;
        block[511] = 0xaa;
}

static void parses(void **state)
{
        struct mbr_entry logical;
        struct mbr m;
        uint64_t next;

        (void)state;
        fresh();
        entry(0, 0x0c, 2048, 1000);
        entry(1, 0x05, 5000, 90000);
        entry(2, 0x83, 99000, 1001); /* ends behind the disk */
        entry(3, 0x83, DISK, 1);
        block[446] = 0x80;
        mbr_parse(block, DISK, &m);
        assert_true(m.valid && !m.protective);
        assert_int_equal(m.entry[0].first, 2048);
        assert_int_equal(m.entry[0].nblocks, 1000);
        assert_true(mbr_is_extended(m.entry[1].type));
        assert_int_equal(m.entry[2].type, 0);
        assert_int_equal(m.entry[3].type, 0);

        fresh();
        entry(0, 0x83, 63, 937);
        entry(1, 0x05, 1000, 500);
        mbr_parse_logical(block, &m.entry[1], 5000, &logical, &next);
        assert_int_equal(logical.first, 5063);
        assert_int_equal(logical.nblocks, 937);
        assert_int_equal(next, 6000);
        entry(0, 0x83, 63, 90000); /* longer than what it lies in */
        entry(1, 0x05, 90000, 1);
        mbr_parse_logical(block, &m.entry[1], 5000, &logical, &next);
        assert_true(logical.type == 0 && next == 0);
}

static void none(void **state)
{
        struct mbr m;

        (void)state;
        fresh();
        entry(0, 0x83, 1, 10);
        block[510] = 0;
        mbr_parse(block, DISK, &m);
        assert_false(m.valid);
        fresh();
        entry(0, 0x83, 1, 10);
        block[446 + 16] = 'A'; /* code, not the mark of a partition: the first block of a FAT */
        mbr_parse(block, DISK, &m);
        assert_true(!m.valid && m.entry[0].type == 0);
        fresh();
        entry(0, 0xee, 1, 0xffffffff);
        mbr_parse(block, DISK, &m);
        assert_true(m.valid && m.protective);
        memset(block + 446 + 16, 'A', 48); /* a boot loader's code behind it */
        mbr_parse(block, DISK, &m);
        assert_true(m.valid && m.protective && m.entry[1].type == 0);
}

static void nonsense(void **state)
{
        struct mbr_entry outer = {.type = 5, .first = 300, .nblocks = 5000}, logical;
        struct mbr m;
        uint64_t next;

        (void)state;
        srand(1);
        for (unsigned turn = 0; turn < 200000; turn++) {
                uint64_t at = outer.first + (unsigned)rand() % 5000;

                fresh();
                for (unsigned i = 446; i < 510; i++)
                        block[i] = (uint8_t)((i - 446) % 16 >= 10 || rand() % 3 == 0 ? rand() % 2 * rand() : 0);
                for (unsigned i = 0; i < 4; i++)
                        block[446 + 16 * i] &= 0x80;
                mbr_parse(block, DISK, &m);
                for (unsigned i = 0; i < 4; i++)
                        assert_true(!m.entry[i].type || (m.entry[i].first && m.entry[i].nblocks &&
                                                         m.entry[i].first + m.entry[i].nblocks <= DISK));
                mbr_parse_logical(block, &outer, at, &logical, &next);
                assert_true(!logical.type || (logical.first > at && logical.first + logical.nblocks <= 5300));
                assert_true(!next || (next > outer.first && next < 5300));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(parses), cmocka_unit_test(none),
                                           cmocka_unit_test(nonsense)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
