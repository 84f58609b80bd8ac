/* The store looked at without owning it: nothing is written; and any one damaged block is found, or was free. */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "persist/host/hosted.h"
#include "persist/host/simdisk.h"
#include "persist/store/format.h"
#include "persist/store/store.h"

#define NBLOCKS 600u

static struct simdisk disk;
static uint64_t rng = 1;

static void ignore(void *arg, const char *line)
{
        (void)line;
        ++*(unsigned *)arg;
}

/* A store with packed pages, pages in blocks, a kept snapshot, and records after the last checkpoint. */
static void make(void)
{
        static const uint8_t uuid[16] = "store unit tests";
        static uint64_t page[512];
        struct store_clock clock = {1, 2};
        struct store *s;
        uint64_t epoch;

        simdisk_init(&disk, NBLOCKS, 1);
        assert_int_equal(store_format(&disk.d, uuid, 0), 0);
        assert_int_equal(store_open(&disk.d, 1, &s), 0);
        for (unsigned c = 0; c < 6; c++) {
                assert_int_equal(store_commit_begin(s, 10, store_next_epoch(s), &clock), 0);
                for (unsigned i = 0; i < 10; i++) {
                        for (unsigned w = 0; w < 512; w++)
                                page[w] = i % 2 ? hosted_random(&rng) : c + 1;
                        assert_int_equal(store_commit_page(s, c * 5 + i, page), 0);
                }
                assert_int_equal(store_commit_end(s), 0);
                if (c == 2)
                        assert_int_equal(store_keep(s, 0, &epoch), 0);
        }
        store_close(s);
}

static void looking_writes_nothing(void **state)
{
        struct store_clock clock = {1, 2};
        unsigned findings = 0;
        struct store *s;
        uint8_t *before = malloc(NBLOCKS * STORE_BLOCK);
        size_t nops;

        (void)state;
        make();
        nops = disk.nops;
        memcpy(before, disk.now, NBLOCKS * STORE_BLOCK);
        assert_int_equal(store_open(&disk.d, 0, &s), 0);
        assert_int_equal(store_check(s, true, ignore, &findings), 0);
        assert_int_equal(findings, 0);
        assert_int_equal(store_commit_begin(s, 1, store_next_epoch(s), &clock), -EROFS);
        assert_int_equal(store_checkpoint(s), -EROFS);
        assert_int_equal(store_well(s), -EROFS);
        assert_int_equal(store_leave(s), -EROFS);
        store_close(s);
        assert_int_equal(disk.nops, nops);
        assert_memory_equal(disk.now, before, NBLOCKS * STORE_BLOCK);
        simdisk_free(&disk);
        free(before);
}

/* One byte at a time, in each block: what opens and is said to be whole has every page as it was, or fell back and says so. */
static void damage_is_found(void **state)
{
        static uint8_t want[64][STORE_BLOCK], got[STORE_BLOCK];
        struct store_info info, now;
        unsigned hits = 0;
        struct store *s;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 0, &s), 0);
        store_info(s, &info);
        for (unsigned i = 0; i < 64; i++)
                store_read(s, i, want[i]);
        store_close(s);
        for (uint64_t b = 0; b < NBLOCKS; b++) {
                uint8_t *at = (uint8_t *)disk.now + b * STORE_BLOCK + hosted_random(&rng) % STORE_BLOCK;
                unsigned findings = 0;

                *at ^= 0x10;
                if (!store_open(&disk.d, 0, &s)) {
                        bool damaged = store_check(s, true, ignore, &findings) != 0;

                        store_info(s, &now);
                        damaged |= now.fell_back || now.evidence || now.epoch != info.epoch;
                        hits += damaged;
                        for (unsigned i = 0; i < 64 && !damaged; i++) {
                                int r = store_read(s, i, got);

                                assert_true(!r || r == -ENOENT);
                                assert_memory_equal(got, want[i], STORE_BLOCK);
                        }
                        store_close(s);
                } else {
                        hits++;
                }
                *at ^= 0x10;
        }
        assert_true(hits > 40);
        simdisk_free(&disk);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(looking_writes_nothing), cmocka_unit_test(damage_is_found)};

        hosted_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
