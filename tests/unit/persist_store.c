/* The store: looked at without owning it, damaged, refused. */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "persist/host/hosted.h"
#include "persist/host/simdisk.h"
#include "persist/store/internal.h"

#define NBLOCKS 600u

static struct simdisk disk;
static uint64_t rng = 1;

static void ignore(void *arg, const char *line)
{
        (void)line;
        ++*(unsigned *)arg;
}

/* One page, of a commit of its own. */
static void commit_page(struct store *s, ppn_t ppn, const void *page)
{
        struct store_clock clock = {1, 2};

        assert_int_equal(store_commit_begin(s, 1, store_next_epoch(s), &clock), 0);
        assert_int_equal(store_commit_page(s, ppn, page), 0);
        assert_int_equal(store_commit_end(s), 0);
}

/* A word here and there changes. */
static void change_some(struct store *s, ppn_t ppn, uint64_t value)
{
        static uint64_t page[STORE_BLOCK / 8];

        store_read(s, ppn, page);
        page[0] = page[100] = page[101] = page[511] = value;
        commit_page(s, ppn, page);
}

/* A store with packed pages, pages in blocks, pages with deltas, a kept snapshot, and records after the last checkpoint. */
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
                for (unsigned i = 8; i < 10; i++)
                        change_some(s, c * 5 + i, c + 1);
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

/* A store with any one damaged block goes on: it commits, makes checkpoints, and what was committed then is there. Where the one place of something was hit it may stop, and says so. */
static void damage_is_lived_with(void **state)
{
        static uint8_t page[STORE_BLOCK], got[STORE_BLOCK], want[64][STORE_BLOCK];
        uint8_t *whole = malloc(NBLOCKS * STORE_BLOCK);
        struct store_info info;
        unsigned opened = 0;
        uint64_t newest = 0;
        struct store *s;

        (void)state;
        make();
        memcpy(whole, disk.now, NBLOCKS * STORE_BLOCK);
        assert_int_equal(store_open(&disk.d, 0, &s), 0);
        for (unsigned i = 0; i < 64; i++)
                store_read(s, i, want[i]);
        store_close(s);
        for (uint64_t b = 0; b < NBLOCKS; b++) {
                struct store_clock clock = {1, 2};
                int r = 0;

                memcpy(disk.now, whole, NBLOCKS * STORE_BLOCK);
                simdisk_settle(&disk);
                disk.now[b * STORE_BLOCK + hosted_random(&rng) % STORE_BLOCK] ^= 0x10;
                if (store_open(&disk.d, 5, &s))
                        continue;
                opened++;
                store_info(s, &info);
                newest = newest > info.epoch ? newest : info.epoch;
                for (unsigned c = 0; c < 8 && !r; c++) {
                        r = store_commit_begin(s, 2, store_next_epoch(s), &clock);
                        for (unsigned i = 0; i < 2 && !r; i++) {
                                memset(page, (int)(10 * i + c + 1), sizeof(page));
                                r = store_commit_page(s, i ? 50 : c, page);
                        }
                        r = r ? r : store_commit_end(s);
                        if (!r && c % 3 == 1)
                                r = store_checkpoint(s);
                }
                store_close(s);
                if (r && b >= BLOCK_BITMAPS && b < BLOCK_BITMAPS + HOMES * (1 + UNIT_BLOCKS))
                        continue;
                if (r)
                        fail_msg("block %lu damaged: commits stop: %d", b, r);
                assert_int_equal(store_open(&disk.d, 6, &s), 0);
                for (unsigned c = 0; c < 8; c++) {
                        memset(page, (int)c + 1, sizeof(page));
                        if (store_read(s, c, got) || memcmp(got, page, sizeof(got)) != 0)
                                fail_msg("block %lu damaged: page %u is not what was written then", b, c);
                }
                for (unsigned i = 8; i < 50 && info.epoch == newest; i++) {
                        r = store_read(s, i, got);
                        if (r != -EIO && memcmp(got, want[i], sizeof(got)) != 0)
                                fail_msg("block %lu damaged: page %u is wrong", b, i);
                }
                store_close(s);
        }
        assert_true(opened > NBLOCKS - 12);
        simdisk_free(&disk);
        free(whole);
}

/* ---- refusals ---- */

static uint8_t *block_of(uint64_t b)
{
        return disk.now + b * STORE_BLOCK;
}

/* Opening fails with `error`, what is said has `words`, and nothing was written. */
static void refused(int error, const char *words)
{
        uint8_t *before = malloc(NBLOCKS * STORE_BLOCK);
        size_t nops = disk.nops;
        struct store *s;

        memcpy(before, disk.now, NBLOCKS * STORE_BLOCK);
        hosted_said[0] = 0;
        assert_int_equal(store_open(&disk.d, 7, &s), error);
        assert_null(s);
        if (words ? !strstr(hosted_said, words) : hosted_said[0])
                fail_msg("not \"%s\", but: %s", words ? words : "", hosted_said);
        assert_int_equal(disk.nops, nops);
        assert_memory_equal(disk.now, before, NBLOCKS * STORE_BLOCK);
        free(before);
}

static void opens(bool fallen_back)
{
        struct store_info info;
        struct store *s;

        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        store_info(s, &info);
        assert_int_equal(info.fell_back, fallen_back);
        assert_int_equal(store_check(s, true, NULL, NULL), 0);
        store_close(s);
}

static void super_change(uint64_t block, uint32_t version, uint32_t schema, uint64_t nblocks)
{
        struct disk_super *b = (struct disk_super *)block_of(block);

        b->version = version;
        b->schema = schema;
        b->nblocks = nblocks;
        b->sum = self_sum(b, &b->sum, sizeof(*b));
}

static void both_change(uint32_t version, uint32_t schema, uint64_t nblocks)
{
        super_change(BLOCK_SUPER_A, version, schema, nblocks);
        super_change(NBLOCKS - 1, version, schema, nblocks);
}

static void refusals(void **state)
{
        uint8_t *whole = malloc(NBLOCKS * STORE_BLOCK);
        struct store *s;
        char text[32];

        (void)state;
        simdisk_init(&disk, NBLOCKS, 1);
        refused(-ENOENT, NULL); /* an empty disk, or one of something else */
        simdisk_free(&disk);
        make();
        memcpy(whole, disk.now, NBLOCKS * STORE_BLOCK);

        disk.d.nblocks = NBLOCKS - 1;
        refused(-EINVAL, "it has 600 blocks, the disk only 599");
        disk.d.nblocks = 3;
        refused(-EINVAL, "the end is missing");
        disk.d.nblocks = NBLOCKS;

        both_change(STORE_VERSION + 1, SPACE_SCHEMA, NBLOCKS);
        refused(-EOPNOTSUPP, "of version 3");
        both_change(STORE_OLDEST - 1, SPACE_SCHEMA, NBLOCKS);
        refused(-EOPNOTSUPP, "of version 0");
        both_change(STORE_VERSION, SPACE_SCHEMA, NBLOCKS);
        super_change(NBLOCKS - 1, STORE_VERSION + 1, SPACE_SCHEMA, NBLOCKS);
        refused(-EOPNOTSUPP, "of version 3"); /* half migrated */
        both_change(STORE_VERSION, SPACE_SCHEMA + 6, NBLOCKS);
        snprintf(text, sizeof(text), "of schema %u", SPACE_SCHEMA + 6);
        refused(-EOPNOTSUPP, text);
        both_change(STORE_VERSION, SPACE_SCHEMA_OLDEST - 1, NBLOCKS);
        refused(-EOPNOTSUPP, "of schema 0");
        assert_int_equal(store_open(&disk.d, 0, &s), 0); /* to look is allowed */
        store_close(s);
        both_change(STORE_VERSION, SPACE_SCHEMA, STORE_BLOCKS_MIN - 1);
        refused(-EUCLEAN, "tells of 511 blocks");

        memcpy(disk.now, whole, NBLOCKS * STORE_BLOCK);
        block_of(BLOCK_SUPER_A)[100] ^= 1;
        opens(true);
        block_of(NBLOCKS - 1)[3000] ^= 1;
        refused(-EUCLEAN, "the superblock in block 599 is damaged");
        refused(-EUCLEAN, "the superblock in block 1 is damaged");
        memset(block_of(BLOCK_SUPER_A), 0, STORE_BLOCK);
        refused(-EUCLEAN, "the superblock in block 599 is damaged");
        memcpy(disk.now, whole, NBLOCKS * STORE_BLOCK);
        memset(block_of(BLOCK_SUPER_A), 0, STORE_BLOCK);
        opens(true);
        disk.unreadable = NBLOCKS - 1;
        refused(-EIO, "block 599, where a superblock may be, cannot be read");
        disk.unreadable = 0;
        super_change(NBLOCKS - 1, STORE_VERSION, SPACE_SCHEMA, NBLOCKS + 5);
        refused(-EUCLEAN, "block 599 is the last of a store that begins elsewhere");

        memcpy(disk.now, whole, NBLOCKS * STORE_BLOCK);
        memset(block_of(20), 0x55, (NBLOCKS - 21) * STORE_BLOCK);
        refused(-EUCLEAN, "superblock B leads to no good state");
        memcpy(disk.now, whole, NBLOCKS * STORE_BLOCK);
        disk.bad_block = BLOCK_ATTEMPT;
        refused(-EROFS, "block 2, which says whose it is, cannot be written");
        disk.bad_block = 0;
        opens(false);
        simdisk_free(&disk);
        free(whole);
}

static void commit_one(struct store *s, uint64_t ppn, uint8_t value, int error)
{
        static uint8_t page[STORE_BLOCK];
        struct store_clock clock = {1, 2};
        int r;

        memset(page, value, sizeof(page));
        r = store_commit_begin(s, 1, store_next_epoch(s), &clock);
        if (!r) {
                int e = store_commit_page(s, ppn, page);

                r = store_commit_end(s);
                assert_true(!e || e == r);
        }
        assert_int_equal(r, error);
}

enum writing { COMMIT, CHECKPOINT, KEEP, DROP, SETTLE, WELL, LEAVE, WRITINGS };

static int do_write(struct store *s, enum writing what, uint64_t kept)
{
        uint64_t epoch;

        switch (what) {
        case CHECKPOINT:
                return store_checkpoint(s);
        case KEEP:
                return store_keep(s, 0, &epoch);
        case DROP:
                return store_drop(s, kept);
        case SETTLE:
                return store_settle(s);
        case WELL:
                return store_well(s);
        case LEAVE:
                return store_leave(s);
        default:
                commit_one(s, 3, 3, -EBUSY);
                return -EBUSY;
        }
}

/* The same disk by a driver that reads all of it ahead, once. */
static struct {
        struct store_disk d;
        uint8_t all[NBLOCKS * STORE_BLOCK];
        bool ahead;
} eager;

static int eager_read(struct store_disk *d, uint64_t block, void *buf, uint32_t n)
{
        (void)d;
        if (!eager.ahead)
                memcpy(eager.all, disk.now, sizeof(eager.all));
        eager.ahead = true;
        memcpy(buf, eager.all + block * STORE_BLOCK, n * STORE_BLOCK);
        return 0;
}

static void eager_forget(struct store_disk *d)
{
        (void)d;
        eager.ahead = false;
}

static int eager_write(struct store_disk *d, uint64_t block, const void *buf, uint32_t n)
{
        eager_forget(d);
        return disk.d.write(&disk.d, block, buf, n);
}

static int eager_write_sector(struct store_disk *d, uint64_t sector, const void *buf)
{
        eager_forget(d);
        return disk.d.write_sector(&disk.d, sector, buf);
}

static int eager_flush(struct store_disk *d)
{
        (void)d;
        return disk.d.flush(&disk.d);
}

static struct store_disk *eager_disk(void)
{
        eager.d = (struct store_disk){.nblocks = NBLOCKS,
                                      .read = eager_read,
                                      .write = eager_write,
                                      .write_sector = eager_write_sector,
                                      .flush = eager_flush,
                                      .forget = eager_forget};
        eager.ahead = false;
        return &eager.d;
}

/* A second machine opens the store: the first one is told when its lease has ended, whatever it does then, and writes nothing more; what the second one has is whole. */
static void two_machines(void **state)
{
        (void)state;
        for (unsigned what = 0; what < WRITINGS; what++) {
                struct store *first, *second;
                uint64_t kept;
                size_t nops;

                make();
                assert_int_equal(store_open(eager_disk(), 7, &first), 0);
                assert_int_equal(store_wait_ns(first), CLAIM_NS);
                commit_one(first, 3, 1, 0);
                assert_int_equal(store_wait_ns(first), 0);
                assert_int_equal(store_keep(first, 0, &kept), 0);
                commit_one(first, 5, 1, 0); /* for the checkpoint */
                assert_int_equal(store_open(&disk.d, 8, &second), 0);
                commit_one(second, 3, 2, 0); /* this waits */
                nops = disk.nops;
                hosted_said[0] = 0;
                assert_int_equal(do_write(first, what, kept), -EBUSY);
                assert_non_null(strstr(hosted_said, "another machine has opened it"));
                commit_one(first, 3, 3, -EBUSY);
                assert_int_equal(disk.nops, nops);
                commit_one(second, 4, 4, 0);
                assert_int_equal(store_check(second, true, NULL, NULL), 0);
                store_close(first);
                store_close(second);
                opens(false);
                simdisk_free(&disk);
        }
}

static void expect_page(struct store *s, ppn_t ppn, uint8_t value)
{
        static uint8_t got[STORE_BLOCK];

        assert_int_equal(store_read(s, ppn, got), 0);
        assert_int_equal(got[0], value);
        assert_int_equal(got[STORE_BLOCK - 1], value);
}

/* The first machine writes on while its lease lasts, behind what the second one took for the end: the second one stops before its first write, and all is there for the third. */
static void two_machines_at_once(void **state)
{
        (void)state;
        for (unsigned checkpoint = 0; checkpoint < 2; checkpoint++) {
                struct store *first, *second, *third;
                size_t nops;

                make();
                assert_int_equal(store_open(&disk.d, 7, &first), 0);
                commit_one(first, 3, 1, 0);
                assert_int_equal(store_open(eager_disk(), 8, &second), 0);
                expect_page(second, 3, 1); /* all is read ahead now */
                if (checkpoint)
                        assert_int_equal(store_checkpoint(first), 0);
                else
                        commit_one(first, 3, 2, 0);
                nops = disk.nops;
                hosted_said[0] = 0;
                commit_one(second, 3, 9, -EBUSY);
                assert_non_null(strstr(hosted_said, "still writing"));
                commit_one(first, 3, 3, -EBUSY);
                assert_int_equal(disk.nops, nops);
                store_close(first);
                store_close(second);
                assert_int_equal(store_open(&disk.d, 9, &third), 0);
                expect_page(third, 3, checkpoint ? 1 : 2);
                commit_one(third, 3, 4, 0);
                assert_int_equal(store_check(third, true, NULL, NULL), 0);
                store_close(third);
                simdisk_free(&disk);
        }
}

static int (*flush)(struct store_disk *d);

static int slow_flush(struct store_disk *d)
{
        hosted_clock_ns += LEASE_NS;
        return flush(d);
}

/* The lease ends within a commit: it is not acknowledged after another machine has come. */
static void lease_ends_before_the_flush(void **state)
{
        static uint8_t page[STORE_BLOCK] = {1};
        struct store_clock clock = {1, 2};
        struct store *first, *second;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 7, &first), 0);
        commit_one(first, 3, 1, 0);
        assert_int_equal(store_commit_begin(first, 1, store_next_epoch(first), &clock), 0);
        assert_int_equal(store_commit_page(first, 3, page), 0);
        assert_int_equal(store_open(&disk.d, 8, &second), 0);
        flush = disk.d.flush;
        disk.d.flush = slow_flush;
        assert_int_equal(store_commit_end(first), -EBUSY);
        disk.d.flush = flush;
        store_close(first);
        store_close(second);
        opens(false);
        simdisk_free(&disk);
}

/* A superblock that a life writes is its own, also when it writes one before its first commit. */
static void checkpoint_begins_a_life(void **state)
{
        struct store_info before, after;
        struct store *s;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        store_info(s, &before);
        assert_int_equal(store_checkpoint(s), 0);
        store_info(s, &after);
        assert_int_equal(after.incarnation, before.incarnation + 1);
        store_close(s);
        opens(false);
        simdisk_free(&disk);
}

/* A page that a scrub wants written elsewhere is, once; and is forgotten when it changed, or was freed, before that. */
static void renewed_once(void **state)
{
        static uint8_t page[STORE_BLOCK];
        struct store_clock clock = {1, 2};
        struct store *s;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        for (unsigned how = 0; how < 3; how++) {
                struct recent before, after;

                commit_one(s, 3, 1, 0);
                before = *recent_find(s, 3);
                assert_true(store_renew(s, 0, 3));
                assert_int_equal(store_commit_begin(s, 1, store_next_epoch(s), &clock), 0);
                memset(page, how == 1 ? 2 : 1, sizeof(page));
                assert_int_equal(how == 2 ? store_commit_none(s, 3) : store_commit_page(s, 3, page), 0);
                assert_int_equal(store_commit_end(s), 0);
                after = *recent_find(s, 3);
                assert_true(after.birth > before.birth && after.block != before.block);
                assert_int_equal(s->nrenew, 0);
        }
        store_close(s);
        opens(false);
        simdisk_free(&disk);
}

/* Closed in order: who opens it next need not wait, attempts begin anew, and it is nobody's to write to. */
static void closed_in_order(void **state)
{
        struct store_info info;
        struct store *s;

        (void)state;
        make();
        for (unsigned i = 2; i < 5; i++) { /* the first one was make's */
                assert_int_equal(store_open(&disk.d, 7, &s), 0);
                store_info(s, &info);
                assert_int_equal(info.attempts, i);
                store_close(s);
        }
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        assert_int_equal(store_well(s), 0);
        store_close(s);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        store_info(s, &info);
        assert_int_equal(info.attempts, 1);
        commit_one(s, 3, 1, 0);
        assert_int_equal(store_leave(s), 0);
        commit_one(s, 3, 2, -EROFS);
        store_close(s);
        assert_int_equal(store_open(&disk.d, 8, &s), 0);
        store_info(s, &info);
        assert_int_equal(info.attempts, 1);
        assert_int_equal(store_wait_ns(s), 0);
        expect_page(s, 3, 1);
        store_close(s);
        simdisk_free(&disk);
}

/* ---- the chain ---- */

enum forgery {
        PREV_SUM,
        PREV_EPOCH,
        INCARNATION,
        UUID,
        EPOCH,
        NEXT_BLOCK,
        NENTRIES,
        NBODY,
        EXTENT,
        VERSION,
        KIND,
        FORGERIES
};

/* The record is whole by its sums, and wrong in one thing. */
static void forge(struct disk_record *h, enum forgery what)
{
        struct disk_entry *e = (struct disk_entry *)h->body;

        switch (what) {
        case PREV_SUM:
                h->prev_sum++;
                break;
        case PREV_EPOCH:
                h->prev_epoch--;
                break;
        case INCARNATION:
                h->incarnation++;
                break;
        case UUID:
                h->uuid[3]++;
                break;
        case EPOCH:
                h->epoch = h->prev_epoch;
                break;
        case NEXT_BLOCK:
                h->next_block = NBLOCKS - 1;
                break;
        case NENTRIES:
                h->nentries = RECORD_ENTRIES + 1;
                break;
        case NBODY:
                h->nbody = BODY_MAX + 1;
                break;
        case EXTENT:
                h->nextents = 1;
                h->extent[0] = (struct disk_extent){NBLOCKS - 2, 2, 0};
                break;
        case VERSION:
                h->version++;
                break;
        default:
                e->ppn_kind = entry_ppn(e) | 9ul << 56;
        }
        h->sum = record_sum(h);
}

/* A record that does not continue the chain ends it, whatever its sums say. */
static void forged_records(void **state)
{
        struct store *s;
        struct store_info info;

        (void)state;
        for (unsigned what = 0; what < FORGERIES; what++) {
                struct disk_record *h;
                uint64_t before, block;

                make();
                assert_int_equal(store_open(&disk.d, 7, &s), 0);
                commit_one(s, 3, 1, 0);
                store_info(s, &info);
                before = info.epoch;
                block = s->next_block;
                commit_one(s, 3, 2, 0);
                store_close(s);
                h = (struct disk_record *)block_of(block);
                assert_true(h->magic == RECORD_MAGIC && h->prev_epoch == before && h->nentries == 1);
                forge(h, (enum forgery)what);
                if (what == KIND) { /* not an end of the chain: no life writes such a record */
                        hosted_said[0] = 0;
                        assert_int_equal(store_open(&disk.d, 7, &s), -EUCLEAN);
                        assert_non_null(strstr(hosted_said, "contradicts the store"));
                } else {
                        assert_int_equal(store_open(&disk.d, 7, &s), 0);
                        store_info(s, &info);
                        if (info.epoch != before)
                                fail_msg("forgery %u: epoch %lu, not %lu", what, info.epoch, before);
                        assert_int_equal(store_check(s, true, NULL, NULL), 0);
                        store_close(s);
                }
                simdisk_free(&disk);
        }
}

/* What of a record is not in its header block is damaged: it does not count. */
static void record_behind_its_header(void **state)
{
        static uint64_t page[STORE_BLOCK / 8];
        struct store_clock clock = {1, 2};
        struct store_info info;
        const struct disk_record *h;
        uint64_t before, block;
        struct store *s;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        commit_one(s, 3, 1, 0);
        store_info(s, &info);
        before = info.epoch;
        block = s->next_block;
        assert_int_equal(store_commit_begin(s, 4, store_next_epoch(s), &clock), 0);
        for (unsigned i = 0; i < 4; i++) {
                for (unsigned w = 0; w < 200; w++)
                        page[w] = hosted_random(&rng);
                assert_int_equal(store_commit_page(s, 70 + i, page), 0);
        }
        assert_int_equal(store_commit_end(s), 0);
        store_close(s);
        h = (const struct disk_record *)block_of(block);
        assert_true(h->magic == RECORD_MAGIC && h->nentries == 4 && h->nextents == 1);
        block_of(h->extent[0].block)[100] ^= 1;
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        store_info(s, &info);
        assert_int_equal(info.epoch, before);
        store_close(s);
        simdisk_free(&disk);
}

/* The image's newer superblock is damaged. */
static void newer_super_damaged(struct simdisk *d)
{
        struct disk_super *a = (struct disk_super *)(d->now + BLOCK_SUPER_A * STORE_BLOCK);
        struct disk_super *b = (struct disk_super *)(d->now + (NBLOCKS - 1) * STORE_BLOCK);

        (a->sequence > b->sequence ? a : b)->sum ^= 1;
}

/* Opens the image: how many snapshots are kept. All is whole. begin: and a life begins on it. */
static unsigned kept_in(struct simdisk *d, bool begin)
{
        unsigned n;
        struct store *s;

        assert_int_equal(store_open(&d->d, 8, &s), 0);
        n = store_kept(s, NULL, 0);
        assert_int_equal(store_check(s, true, NULL, NULL), 0);
        if (begin)
                commit_one(s, 3, 1, 0);
        store_close(s);
        return n;
}

/*
 * Power goes while a snapshot is dropped: it is there or it is not. If it is not, but the drop was not acknowledged, the older superblock may still name it, till the next life has begun: what
 * comes back when the newer one is damaged is whole. Dropped for certain, it does not come back.
 */
static void drop_is_cut(void **state)
{
        unsigned came_back = 0;
        struct simdisk cut;
        struct store *s;
        size_t begun;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        assert_int_equal(s->nkept, 1);
        begun = disk.nops;
        assert_int_equal(store_drop(s, s->kept[0].k.epoch), 0);
        store_close(s);
        for (size_t at = begun; at <= disk.nops; at++) {
                bool dropped = false;

                for (unsigned life = 0; life < 2; life++) { /* before and after the next one has begun */
                        simdisk_init(&cut, NBLOCKS, 1);
                        simdisk_cut(&disk, at, CUT_NONE, &rng, &cut);
                        dropped = !kept_in(&cut, life);
                        newer_super_damaged(&cut);
                        if (kept_in(&cut, true) && dropped) {
                                assert_true(!life && at < disk.nops);
                                came_back++;
                        }
                        simdisk_free(&cut);
                }
                assert_true(dropped || at < disk.nops);
        }
        assert_true(came_back > 0);
        simdisk_free(&disk);
}

/* One page, of a commit with a number of its own. */
static void commit_numbered(struct store *s, uint64_t epoch, uint8_t value)
{
        static uint8_t page[STORE_BLOCK];
        struct store_clock clock = {1, 2};

        memset(page, value, sizeof(page));
        assert_int_equal(store_commit_begin(s, 1, epoch, &clock), 0);
        assert_int_equal(store_commit_page(s, 3, page), 0);
        assert_int_equal(store_commit_end(s), 0);
}

/*
 * Two records with one place and one predecessor, as two machines on one store write them: `mine`, from which the next life went on, and another, of the same number or of a life that began
 * meanwhile. The other one in its place is not taken for it: the state is that before, and the loss is told.
 */
static void other_record(bool next_life)
{
        static uint8_t got[STORE_BLOCK];
        uint64_t block, before, mine;
        const struct disk_record *h;
        struct store_info info;
        struct store *s, *t;
        struct simdisk fork;

        make();
        simdisk_init(&fork, NBLOCKS, 1);
        memcpy(fork.now, disk.now, NBLOCKS * STORE_BLOCK);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        assert_int_equal(store_open(&fork.d, 7, &t), 0);
        commit_one(s, 3, 1, 0);
        commit_one(t, 3, 1, 0);
        store_info(s, &info);
        before = info.epoch;
        block = s->next_block;
        mine = before + 5000;
        if (next_life) {
                store_close(t);
                assert_int_equal(store_open(&fork.d, 8, &t), 0);
        }
        assert_int_equal(t->next_block, block);
        commit_numbered(s, mine, 2);
        commit_numbered(t, next_life ? store_next_epoch(t) : mine, 9);
        store_close(s);
        store_close(t);
        assert_int_equal(store_open(&disk.d, 8, &s), 0);
        commit_one(s, 4, 4, 0);
        store_close(s);
        h = (const struct disk_record *)(fork.now + block * STORE_BLOCK);
        assert_true(h->magic == RECORD_MAGIC && h->prev_epoch == before && h->epoch <= mine && !h->nextents);
        memcpy(block_of(block), h, STORE_BLOCK);
        assert_int_equal(store_open(&disk.d, 9, &s), 0);
        store_info(s, &info);
        assert_int_equal(info.epoch, before);
        assert_int_equal(info.evidence, mine);
        assert_int_equal(store_read(s, 3, got), 0);
        assert_int_equal(got[0], 1);
        store_close(s);
        simdisk_free(&fork);
        simdisk_free(&disk);
}

static void records_of_two_machines(void **state)
{
        (void)state;
        other_record(false);
        other_record(true);
}

/* A page that no record has room for. */
static const void *random_page(void)
{
        static uint64_t page[STORE_BLOCK / 8];

        for (unsigned w = 0; w < STORE_BLOCK / 8; w++)
                page[w] = hosted_random(&rng);
        return page;
}

static struct store *again(struct store *s)
{
        struct store_info before, after;

        store_info(s, &before);
        store_close(s);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        store_info(s, &after);
        assert_int_equal(after.epoch, before.epoch);
        assert_int_equal(after.evidence, 0);
        return s;
}

/* A commit that takes nearly every block that is free. */
static void fill_up(struct store *s)
{
        struct store_clock clock = {1, 2};
        struct store_info info;

        store_info(s, &info);
        assert_int_equal(store_commit_begin(s, info.free - 20, store_next_epoch(s), &clock), 0);
        for (uint64_t i = 0; i < info.free - 20; i++)
                assert_int_equal(store_commit_page(s, 100 + i, random_page()), 0);
        assert_int_equal(store_commit_end(s), 0);
}

/* The last commits can be gone back to (P7), also when the next life has begun, and has written to every block that is free. */
static void last_commits_outlive_a_boot(void **state)
{
        static uint8_t want[4][STORE_BLOCK], got[STORE_BLOCK];
        struct store_clock clock = {1, 2};
        uint64_t block[4], epoch[4];
        struct store_info info;
        struct store *s;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        for (unsigned c = 0; c < 4; c++) {
                block[c] = s->next_block;
                memcpy(want[c], random_page(), STORE_BLOCK);
                assert_int_equal(store_commit_begin(s, 1, store_next_epoch(s), &clock), 0);
                assert_int_equal(store_commit_page(s, 3, want[c]), 0);
                assert_int_equal(store_commit_end(s), 0);
                store_info(s, &info);
                epoch[c] = info.epoch;
        }
        store_close(s);
        assert_int_equal(store_open(&disk.d, 8, &s), 0);
        store_info(s, &info);
        assert_int_equal(info.epoch, epoch[3]);
        for (unsigned c = 0; c < COMMITS_KEPT; c++)
                assert_int_equal(s->last[c], epoch[4 - COMMITS_KEPT + c]);
        fill_up(s);
        store_close(s);
        block_of(block[3])[270] ^= 1;
        assert_int_equal(store_open(&disk.d, 9, &s), 0);
        store_info(s, &info);
        assert_int_equal(info.epoch, epoch[2]);
        assert_int_equal(info.evidence, epoch[3]);
        assert_int_equal(store_read(s, 3, got), 0);
        assert_memory_equal(got, want[2], STORE_BLOCK);
        assert_int_equal(store_check(s, true, NULL, NULL), 0);
        store_close(s);
        simdisk_free(&disk);
}

/* Where the rest of a record's body lies is in use until the next checkpoint, also when the next life has begun, and has written to every block that is free. */
static void bodies_outlive_a_boot(void **state)
{
        static uint8_t page[STORE_BLOCK];
        struct store_clock clock = {1, 2};
        struct store *s;
        uint64_t block;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        for (unsigned c = 0; c < 4; c++) {
                block = s->next_block;
                assert_int_equal(store_commit_begin(s, PACK_PAGES, store_next_epoch(s), &clock), 0);
                for (unsigned i = 0; i < PACK_PAGES; i++) {
                        memset(page, 0, sizeof(page));
                        memcpy(page, random_page(), 1500);
                        assert_int_equal(store_commit_page(s, i, page), 0);
                }
                assert_int_equal(store_commit_end(s), 0);
                assert_int_not_equal(((struct disk_record *)block_of(block))->nextents, 0);
        }
        s = again(s);
        fill_up(s);
        s = again(s);
        assert_int_equal(store_check(s, true, NULL, NULL), 0);
        store_close(s);
        simdisk_free(&disk);
}

/* Promise 5, and disks that lie: what was durable and is lost is told, as long as something newer remains; a tail that is lost whole cannot be seen. */
static void lost_commits(void **state)
{
        struct store_info info;
        uint64_t block[6], epoch[6];
        struct store *s;

        (void)state;
        for (unsigned damaged = 0; damaged < 6; damaged++) {
                make();
                assert_int_equal(store_open(&disk.d, 7, &s), 0);
                commit_one(s, 3, 9, 0);
                for (unsigned i = 0; i < 6; i++) {
                        block[i] = s->next_block;
                        commit_one(s, 3 + i, (uint8_t)i, 0);
                        store_info(s, &info);
                        epoch[i] = info.epoch;
                }
                store_close(s);
                block_of(block[damaged])[270] ^= 1;
                hosted_said[0] = 0;
                assert_int_equal(store_open(&disk.d, 8, &s), 0);
                store_info(s, &info);
                assert_true(info.epoch < epoch[damaged]);
                /* The record after it knows it to be durable; nothing knows of the last one. */
                assert_int_equal(info.evidence, damaged < 5 ? epoch[damaged] : 0);
                assert_int_equal(strstr(hosted_said, "the disk has lost it") != NULL, damaged < 5);
                commit_one(s, 30, 1, 0);
                store_close(s);
                simdisk_free(&disk);
        }
        /* Both superblocks of a life were durable, the commits before it are gone. */
        make();
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        block[0] = s->next_block;
        commit_one(s, 3, 1, 0);
        store_close(s);
        assert_int_equal(store_open(&disk.d, 8, &s), 0);
        store_info(s, &info);
        epoch[0] = info.epoch;
        commit_one(s, 3, 2, 0);
        store_close(s);
        memset(block_of(block[0]), 0, STORE_BLOCK);
        assert_int_equal(store_open(&disk.d, 9, &s), 0);
        store_info(s, &info);
        assert_true(info.epoch < epoch[0] && info.evidence == epoch[0]);
        store_close(s);
        simdisk_free(&disk);
}

/* What a life found that cannot be written, and no checkpoint wrote down, is free in the next one, among blocks that are all in use: it goes on elsewhere. */
static void forgotten_bad_blocks(void **state)
{
        static const uint8_t uuid[16] = "bad blocks";
        struct store_clock clock = {1, 2};
        struct store_info info;
        struct store *s;

        (void)state;
        simdisk_init(&disk, NBLOCKS, 1);
        assert_int_equal(store_format(&disk.d, uuid, 0), 0);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        disk.bad_from = s->first_data;
        disk.bad_per_mille = 60;
        assert_int_equal(store_commit_begin(s, 350, store_next_epoch(s), &clock), 0);
        for (unsigned i = 0; i < 350; i++)
                assert_int_equal(store_commit_page(s, i, random_page()), 0);
        assert_int_equal(store_commit_end(s), 0);
        store_close(s);
        assert_int_equal(store_open(&disk.d, 8, &s), 0);
        store_info(s, &info);
        assert_true(info.epoch && !info.evidence);
        for (unsigned i = 0; i < 10; i++)
                commit_one(s, i, (uint8_t)i, 0);
        assert_int_equal(store_checkpoint(s), 0);
        assert_int_equal(store_check(s, true, NULL, NULL), 0);
        store_close(s);
        opens(false);
        simdisk_free(&disk);
}

/* Blocks that cannot be written lie together, more of them than places are tried for one block. */
static void bad_blocks_in_a_row(void **state)
{
        struct store_clock clock = {1, 2};
        struct store *s;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        for (unsigned i = 0; i < 40; i++) {
                if (i == 5) {
                        disk.bad_from = s->cursor + 5;
                        disk.bad_until = disk.bad_from + 4 * WRITE_TRIES;
                        disk.bad_per_mille = 1000;
                }
                assert_int_equal(store_commit_begin(s, 1, store_next_epoch(s), &clock), 0);
                assert_int_equal(store_commit_page(s, i, random_page()), 0);
                assert_int_equal(store_commit_end(s), 0);
        }
        assert_true(s->cursor > disk.bad_until);
        assert_int_equal(store_checkpoint(s), 0);
        assert_int_equal(store_check(s, true, NULL, NULL), 0);
        store_close(s);
        opens(false);
        simdisk_free(&disk);
}

/* When there is room for a commit there is room for the checkpoint after it: for pages that lie packed in records, and for the nodes above pages that lie far apart. */
static void room_for_the_checkpoint(void **state)
{
        static const uint8_t uuid[16] = "room";
        static uint8_t page[STORE_BLOCK];
        struct store_clock clock = {1, 2};
        struct store *s;

        (void)state;
        for (unsigned shift = 0; shift <= 16; shift += 16) {
                unsigned n = 0;

                simdisk_init(&disk, NBLOCKS, 1);
                assert_int_equal(store_format(&disk.d, uuid, 0), 0);
                assert_int_equal(store_open(&disk.d, 7, &s), 0);
                while (store_room(s, PACK_PAGES, PACK_PAGES)) {
                        assert_int_equal(store_commit_begin(s, PACK_PAGES, store_next_epoch(s), &clock), 0);
                        for (unsigned i = 0; i < PACK_PAGES; i++, n++) {
                                memset(page, (int)(1 + n % 250), sizeof(page));
                                assert_int_equal(store_commit_page(s, (ppn_t)n << shift, page), 0);
                        }
                        assert_int_equal(store_commit_end(s), 0);
                }
                assert_true(n > 80 && s->nrecent_packed == n);
                assert_int_equal(store_checkpoint(s), 0);
                assert_int_equal(store_check(s, true, NULL, NULL), 0);
                store_close(s);
                simdisk_free(&disk);
        }
}

/* It is when many neighbours were written as they are, and not when they lie far apart, or packed in records, which it would have to write again. */
static void checkpoint_is_cheap(void **state)
{
        static const uint8_t uuid[16] = "cheap";
        static const struct {
                unsigned shift, npages;
                bool cheap;
        } tries[] = {{0, 64, true}, {8, 64, false}, {0, PACK_PAGES, false}};
        static uint8_t page[STORE_BLOCK];
        struct store_clock clock = {1, 2};
        struct store *s;

        (void)state;
        simdisk_init(&disk, 8 * RECENT_EARLY, 1);
        assert_int_equal(store_format(&disk.d, uuid, 0), 0);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        for (unsigned t = 0; t < sizeof(tries) / sizeof(tries[0]); t++) {
                for (unsigned n = 0; n < RECENT_EARLY; n++) {
                        assert_false(store_checkpoint_is_cheap(s));
                        if (n % tries[t].npages == 0)
                                assert_int_equal(store_commit_begin(s, tries[t].npages, store_next_epoch(s), &clock),
                                                 0);
                        memset(page, (int)(n % 255 + 1), sizeof(page));
                        assert_int_equal(store_commit_page(s, (ppn_t)n << tries[t].shift,
                                                           tries[t].npages > PACK_PAGES ? random_page() : page),
                                         0);
                        if (n % tries[t].npages == tries[t].npages - 1)
                                assert_int_equal(store_commit_end(s), 0);
                }
                assert_int_equal(s->nrecent, RECENT_EARLY);
                assert_true(store_checkpoint_is_cheap(s) == tries[t].cheap);
                assert_int_equal(store_checkpoint(s), 0);
        }
        assert_int_equal(store_check(s, true, NULL, NULL), 0);
        store_close(s);
        simdisk_free(&disk);
}

static uint64_t in_use, most_in_use;
static const struct persist_host *real_host;

static void *counting_alloc(size_t len)
{
        in_use += len;
        if (in_use > most_in_use)
                most_in_use = in_use;
        return real_host->mem_alloc(len);
}

static void counting_free(void *p, size_t len)
{
        in_use -= len;
        real_host->mem_free(p, len);
}

/* What a commit takes of memory, the checkpoint before or after it, and settling, is what store_memory has said, at most: pages side by side, far apart, and dead in great number. */
static void memory_is_known(void **state)
{
        enum { PER_COMMIT = 700, COMMITS = 100 };
        static const uint8_t uuid[16] = "memory";
        struct store_clock clock = {1, 2};
        struct persist_host host = *persist_host;
        uint64_t grown = 0;
        struct store *s;

        (void)state;
        rng = 6;
        real_host = persist_host;
        host.mem_alloc = counting_alloc;
        host.mem_free = counting_free;
        persist_host = &host;
        simdisk_init(&disk, 30000, 1);
        assert_int_equal(store_format(&disk.d, uuid, 0), 0);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        for (unsigned c = 0; c < COMMITS; c++) {
                uint64_t before = in_use, bound = store_memory(s, PER_COMMIT);
                unsigned shift = c / 10 % 2 * 8;

                most_in_use = in_use;
                assert_int_equal(store_commit_begin(s, PER_COMMIT, store_next_epoch(s), &clock), 0);
                for (unsigned i = 0; i < PER_COMMIT; i++) {
                        ppn_t ppn = (ppn_t)(c % 4 * PER_COMMIT + i) << shift;

                        assert_int_equal(
                                c % 5 == 4 ? store_commit_none(s, ppn) : store_commit_page(s, ppn, random_page()), 0);
                }
                assert_int_equal(store_commit_end(s), 0);
                if (c % 10 == 9)
                        assert_int_equal(c % 20 == 9 ? store_checkpoint(s) : store_settle(s), 0);
                assert_in_range(most_in_use - before, 0, bound);
                if (most_in_use - before > grown)
                        grown = most_in_use - before;
        }
        assert_true(grown > PER_COMMIT * sizeof(struct recent));
        assert_int_equal(store_check(s, true, NULL, NULL), 0);
        store_close(s);
        simdisk_free(&disk);
        assert_int_equal(in_use, 0);
        persist_host = real_host;
}

static void whole(struct store *s)
{
        assert_int_equal(store_check(s, true, NULL, NULL), 0);
}

static void whole_to_the_end(struct store *s)
{
        whole(s);
        store_close(s);
        simdisk_free(&disk);
}

/* A commit whose record needs more runs of blocks than a header names is several records: all of them count, or none. */
static void records_in_crumbs(void **state)
{
        enum { BLOCKS = 6000, PER_COMMIT = 50, GONE = 1500 };
        static const uint8_t uuid[16] = "crumbs";
        static uint8_t got[STORE_BLOCK];
        struct store_clock clock = {1, 2};
        struct disk_record *h = (struct disk_record *)got;
        uint64_t first, run;
        uint32_t length;
        unsigned n = 0;
        struct store *s;

        (void)state;
        simdisk_init(&disk, BLOCKS, 1);
        assert_int_equal(store_format(&disk.d, uuid, 0), 0);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        for (; store_room(s, PER_COMMIT, PER_COMMIT); n += PER_COMMIT) {
                assert_int_equal(store_commit_begin(s, 100, store_next_epoch(s), &clock), 0);
                for (unsigned i = 0; i < PER_COMMIT; i++)
                        assert_int_equal(store_commit_page(s, n + i, random_page()), 0);
                assert_int_equal(store_commit_end(s), 0);
        }
        assert_true(n > 2 * GONE);
        assert_int_equal(store_commit_begin(s, n, store_next_epoch(s), &clock), 0);
        for (unsigned i = 1; i < n; i += 2) /* single blocks are free, and runs that are taken here */
                assert_int_equal(store_commit_none(s, i), 0);
        assert_int_equal(store_commit_end(s), 0);
        assert_int_equal(store_settle(s), 0);
        do
                assert_int_equal(blocks_alloc(s, 64, &run, &length), 0);
        while (length > 1);
        first = s->next_block;
        assert_int_equal(store_commit_begin(s, GONE, store_next_epoch(s), &clock), 0);
        for (unsigned i = 0; i < 2 * GONE; i += 2)
                assert_int_equal(store_commit_none(s, i), 0);
        assert_int_equal(store_commit_end(s), 0);
        assert_int_equal(s->disk->read(s->disk, first, got, 1), 0);
        assert_true(h->magic == RECORD_MAGIC && h->flags == RECORD_PARTIAL && h->nextents == RECORD_EXTENTS);
        s = again(s);
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(store_read(s, i, got), i % 2 || i < 2 * GONE ? -ENOENT : 0);
        whole_to_the_end(s);
}

/* ---- deltas ---- */

static uint64_t shown[STORE_BLOCK / 8]; /* the page that the next tests change */

static void expect_shown(struct store *s, ppn_t ppn)
{
        static uint8_t got[STORE_BLOCK];

        assert_int_equal(store_read(s, ppn, got), 0);
        assert_memory_equal(got, shown, STORE_BLOCK);
}

/* A store whose page 3 is in a block, by the last checkpoint if checkpoint, and has n deltas since. */
static struct store *with_deltas(bool checkpoint, unsigned n)
{
        static const uint8_t uuid[16] = "deltas";
        struct store *s;

        simdisk_init(&disk, NBLOCKS, 1);
        assert_int_equal(store_format(&disk.d, uuid, 0), 0);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        memcpy(shown, random_page(), STORE_BLOCK);
        commit_page(s, 3, shown);
        if (checkpoint)
                assert_int_equal(store_checkpoint(s), 0);
        for (unsigned i = 0; i < n; i++) {
                shown[i] += 5;
                shown[100 + i * 3] = i;
                shown[511]++;
                commit_page(s, 3, shown);
                assert_true(recent_find(s, 3)->delta);
        }
        return s;
}

/* Read at once, after a boot, after a checkpoint, before and behind which nobody asked for the page; a commit costs one block. */
static void deltas(void **state)
{
        (void)state;
        for (unsigned how = 0; how < 8; how++) {
                struct store *s = with_deltas(how & 1, 5);
                uint64_t base = recent_find(s, 3)->block;
                struct store_info before, after;

                expect_shown(s, 3);
                whole(s);
                assert_int_equal(s->nrecent_packed, 1);
                store_info(s, &before);
                shown[7] = how;
                commit_page(s, 3, shown);
                store_info(s, &after);
                assert_int_equal(before.free - after.free, 1);
                assert_int_equal(recent_find(s, 3)->block, base);
                s = again(s);
                assert_int_equal(recent_find(s, 3)->block, base);
                assert_true(shadow_find(s, 3)->nknown < PAGE_WORDS);
                whole(s);
                if (how & 2)
                        expect_shown(s, 3);
                if (how & 4) { /* what is known is too little for a delta */
                        shown[300]++;
                        commit_page(s, 3, shown);
                        assert_int_equal(recent_find(s, 3)->delta, how & 2 ? 1 : 0);
                }
                assert_int_equal(store_checkpoint(s), 0);
                expect_shown(s, 3);
                assert_int_equal(store_settle(s), 0);
                if (!(how & 4))
                        assert_int_equal(blocks_used(s, base), 0);
                whole(s);
                shown[8] = ~shown[8];
                commit_page(s, 3, shown);
                assert_true(recent_find(s, 3)->delta);
                s = again(s);
                expect_shown(s, 3);
                whole_to_the_end(s);
        }
}

/* Whose deltas nobody has put together yet, and which becomes what it was before them: that is a change. */
static void back_to_the_base(void **state)
{
        static uint64_t base[STORE_BLOCK / 8];
        struct store *s = with_deltas(true, 0);

        (void)state;
        memcpy(base, shown, sizeof(base));
        shown[1]++;
        commit_page(s, 3, shown);
        s = again(s);
        memcpy(shown, base, sizeof(base));
        commit_page(s, 3, shown);
        expect_shown(s, 3);
        s = again(s);
        expect_shown(s, 3);
        whole_to_the_end(s);
}

/* Dirty, but the same; all zeroes; freed; too much changed; a commit of many pages: no delta, and what comes next is right. */
static void no_deltas(void **state)
{
        struct store_clock clock = {1, 2};
        static const uint8_t zero[STORE_BLOCK];
        static uint8_t got[STORE_BLOCK];
        struct store *s = with_deltas(false, 2);
        struct store_info before, after;

        (void)state;
        store_info(s, &before);
        commit_page(s, 3, shown);
        store_info(s, &after);
        assert_int_equal(before.recent, after.recent);
        assert_int_equal(((struct disk_record *)s->page)->nentries, 0);
        for (unsigned i = 0; i < STORE_BLOCK / 16; i++)
                shown[i] = ~shown[i];
        commit_page(s, 3, shown);
        assert_false(recent_find(s, 3)->delta);
        shown[9]++;
        commit_page(s, 3, shown);
        assert_true(recent_find(s, 3)->delta);
        s = again(s); /* deltas from before it was written whole count no more */
        expect_shown(s, 3);
        assert_int_equal(store_commit_begin(s, DELTA_PAGES + 1, store_next_epoch(s), &clock), 0);
        assert_int_equal(store_commit_page(s, 3, shown), 0); /* the same */
        assert_int_equal(s->nentries, 0);
        assert_int_equal(store_commit_end(s), 0);
        assert_int_equal(store_commit_begin(s, DELTA_PAGES + 1, store_next_epoch(s), &clock), 0);
        shown[10]++;
        assert_int_equal(store_commit_page(s, 3, shown), 0);
        assert_int_equal(store_commit_end(s), 0);
        assert_false(recent_find(s, 3)->delta);
        whole(s);
        s = again(s);
        expect_shown(s, 3);
        /* From a word that is not zero to none at all, and back. */
        memset(shown, 0, sizeof(shown));
        shown[77] = 1;
        commit_page(s, 3, shown);
        shown[77] = 2;
        commit_page(s, 3, shown);
        assert_true(recent_find(s, 3)->delta);
        commit_page(s, 3, zero);
        assert_int_equal(recent_find(s, 3)->block, 0);
        assert_int_equal(store_read(s, 3, got), -ENOENT);
        commit_page(s, 3, shown);
        assert_false(recent_find(s, 3)->delta);
        shown[78] = 1;
        commit_page(s, 3, shown);
        assert_true(recent_find(s, 3)->delta);
        s = again(s);
        expect_shown(s, 3);
        assert_int_equal(store_commit_begin(s, 1, store_next_epoch(s), &clock), 0);
        assert_int_equal(store_commit_none(s, 3), 0);
        assert_int_equal(store_commit_end(s), 0);
        assert_null(shadow_find(s, 3));
        whole(s);
        s = again(s);
        assert_int_equal(store_read(s, 3, got), -ENOENT);
        whole_to_the_end(s);
}

/* More hot pages than shadows: those that find none are written whole, and all are right; a checkpoint makes room. */
static void more_hot_pages_than_shadows(void **state)
{
        static uint8_t got[STORE_BLOCK];
        struct store_clock clock = {1, 2};
        unsigned ndelta = 0;
        struct store *s;

        (void)state;
        simdisk_init(&disk, 4 * NBLOCKS, 1);
        assert_int_equal(store_format(&disk.d, (const uint8_t *)"hot pages, many", 0), 0);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        for (unsigned round = 0; round < 4; round++) {
                for (unsigned n = 0; n < SHADOWS + 20; n += 4) { /* there and back */
                        unsigned from = round % 2 ? SHADOWS + 16 - n : n;

                        assert_int_equal(store_commit_begin(s, 4, store_next_epoch(s), &clock), 0);
                        for (unsigned i = from; i < from + 4; i++) {
                                memset(shown, (int)i, sizeof(shown));
                                shown[i % 512] = ~(uint64_t)round;
                                assert_int_equal(store_commit_page(s, 10 + i, shown), 0);
                                ndelta += recent_find(s, 10 + i)->delta;
                        }
                        assert_int_equal(store_commit_end(s), 0);
                }
                assert_true(s->nshadows == SHADOWS);
                if (round == 1) {
                        assert_true(ndelta > 0 && ndelta <= SHADOWS && s->nrecent_packed >= ndelta);
                        commit_page(s, 5, random_page());
                        assert_int_equal(shadow_find(s, 5) != NULL, ndelta < SHADOWS);
                        whole(s);
                        assert_int_equal(store_checkpoint(s), 0);
                        assert_int_equal(s->nrecent_packed, 0);
                        commit_page(s, 6, random_page());
                        assert_non_null(shadow_find(s, 6));
                }
        }
        s = again(s);
        whole(s);
        for (unsigned i = 0; i < SHADOWS + 20; i++) {
                memset(shown, (int)i, sizeof(shown));
                shown[i % 512] = ~3ul;
                assert_int_equal(store_read(s, 10 + i, got), 0);
                assert_memory_equal(got, shown, STORE_BLOCK);
        }
        store_close(s);
        simdisk_free(&disk);
}

/* From the older superblock a replay goes past a checkpoint: pages that got blocks by it still have deltas then; their bases are there, and die when those pages are written whole. */
static void deltas_past_a_checkpoint(void **state)
{
        (void)state;
        for (unsigned how = 0; how < 6; how++) {
                struct store *s = with_deltas(how & 1, 3);
                uint64_t base = recent_find(s, 3)->block;
                unsigned fill = 0;

                assert_int_equal(store_checkpoint(s), 0);
                s->cursor = base; /* what is free is used at once */
                for (unsigned i = 0; i < 8; i++) {
                        memset(shown + 20, (int)(i + 1), 100);
                        commit_page(s, 3, shown);
                        commit_page(s, 100 + fill, random_page());
                        fill++;
                }
                if (how / 2 == 1)
                        memcpy(shown, random_page(), STORE_BLOCK);
                commit_page(s, 3, shown);
                for (unsigned i = 0; i < 4 && how / 2; i++)
                        commit_page(s, 100 + fill++, random_page());
                if (how / 2 == 2) {
                        shown[400]++;
                        commit_page(s, 3, shown);
                }
                assert_int_equal(recent_find(s, 3)->delta, how / 2 != 1);
                newer_super_damaged(&disk);
                s = again(s);
                expect_shown(s, 3);
                whole(s);
                for (unsigned i = 0; i < 8; i++)
                        commit_page(s, 100 + fill++, random_page());
                assert_int_equal(store_checkpoint(s), 0);
                s = again(s);
                expect_shown(s, 3);
                whole_to_the_end(s);
        }
}

/* A kept snapshot has the block that deltas build on, as it was, and the state before a delta can be gone back to. */
static void deltas_and_kept_snapshots(void **state)
{
        static uint64_t then[STORE_BLOCK / 8], got[STORE_BLOCK / 8];
        struct store *s = with_deltas(true, 2);
        uint64_t kept, later;

        (void)state;
        memcpy(then, shown, sizeof(then));
        assert_int_equal(store_keep(s, 0, &kept), 0);
        assert_int_equal(store_differs(s, kept, 3), 0);
        for (unsigned i = 0; i < 20; i++) {
                shown[i]++;
                commit_page(s, 3, shown);
                commit_page(s, 100 + i, random_page());
                assert_int_equal(store_differs(s, kept, 3), 1);
                if (i % 6 == 5)
                        assert_int_equal(store_checkpoint(s), 0);
        }
        commit_page(s, 3, then);
        assert_int_equal(store_differs(s, kept, 3), 0);
        commit_page(s, 3, shown);
        assert_int_equal(store_keep(s, 0, &later), 0);
        s = again(s);
        assert_int_equal(store_read_at(s, kept, 3, got), 0);
        assert_memory_equal(got, then, sizeof(got));
        assert_int_equal(store_read_at(s, later, 3, got), 0);
        assert_memory_equal(got, shown, sizeof(got));
        whole(s);
        assert_int_equal(store_drop(s, kept), 0);
        assert_int_equal(store_drop(s, later), 0);
        whole(s);
        expect_shown(s, 3);
        store_close(s);
        simdisk_free(&disk);
}

/* The record of the last delta is damaged: the state before is right. */
static void delta_is_lost(void **state)
{
        struct store *s = with_deltas(false, 4);
        uint64_t block = s->next_block, was = shown[200];
        struct store_info info;

        (void)state;
        shown[200] = 1;
        commit_page(s, 3, shown);
        store_close(s);
        block_of(block)[300] ^= 1;
        shown[200] = was;
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        store_info(s, &info);
        assert_int_equal(info.evidence, 0); /* nothing knows of it */
        expect_shown(s, 3);
        whole_to_the_end(s);
}

/* The block that deltas build on is damaged: a scrub sees it while the page is known, and the page is written whole; else who reads it is told, what is written then is there, and checkpoints go on. */
static void base_is_damaged(void **state)
{
        static uint8_t got[STORE_BLOCK];

        (void)state;
        for (unsigned how = 0; how < 3; how++) {
                struct store *s = with_deltas(how & 1, 3);
                struct recent at = *recent_find(s, 3);
                unsigned findings = 0;

                block_of(at.block)[1234] ^= 4;
                assert_int_equal(store_verify(s, 0, 3, 0), -EIO);
                expect_shown(s, 3);
                if (!how) {
                        assert_true(store_renew(s, 0, 3));
                        commit_page(s, 3, shown);
                        assert_int_equal(store_verify(s, 0, 3, 0), 0);
                        whole(s);
                        s = again(s);
                        expect_shown(s, 3);
                        store_close(s);
                        simdisk_free(&disk);
                        continue;
                }
                s = again(s);
                assert_int_equal(store_check(s, true, ignore, &findings), -EUCLEAN);
                assert_int_equal(store_read(s, 3, got), -EIO);
                if (how == 2) {
                        assert_int_equal(store_checkpoint(s), 0);
                        assert_int_equal(store_read(s, 3, got), -EIO);
                        assert_int_equal(store_settle(s), 0);
                        s = again(s);
                        assert_int_equal(store_read(s, 3, got), -EIO);
                }
                commit_page(s, 3, shown);
                expect_shown(s, 3);
                assert_int_equal(store_checkpoint(s), 0);
                assert_int_equal(store_settle(s), 0);
                whole(s);
                s = again(s);
                expect_shown(s, 3);
                store_close(s);
                simdisk_free(&disk);
        }
}

/* ---- the cleaner ---- */

#define FULL 20000u /* pages; the disk has little more */

static void page_of(uint64_t *page, ppn_t ppn, unsigned version)
{
        for (unsigned w = 0; w < 512; w++)
                page[w] = hosted_random(&(uint64_t){ppn * 1000 + version * 77 + w + 1});
}

/* So many pages from `ppn` on, in one commit: requests that it took. */
static uint64_t commit_many(struct store *s, ppn_t ppn, unsigned n, unsigned step, unsigned version)
{
        static uint64_t page[512];
        struct store_clock clock = {1, 2};
        uint64_t before;

        assert_int_equal(store_commit_begin(s, n, store_next_epoch(s), &clock), 0);
        before = disk.nwrites;
        for (unsigned i = 0; i < n; i++, ppn += step) {
                page_of(page, ppn, version);
                assert_int_equal(version ? store_commit_page(s, ppn, page) : store_commit_none(s, ppn), 0);
        }
        assert_int_equal(store_commit_end(s), 0);
        return disk.nwrites - before;
}

static void expect_pages(struct store *s, const uint8_t *version)
{
        static uint64_t page[512], got[512];

        for (ppn_t ppn = 0; ppn < FULL; ppn++) {
                int r = store_read(s, ppn, got);

                assert_int_equal(r, version[ppn] ? 0 : -ENOENT);
                page_of(page, ppn, version[ppn]);
                assert_true(!version[ppn] || !memcmp(page, got, sizeof(got)));
        }
}

/* Of a full disk three of four pages are freed, one here, one there: what is free is crumbs. keep: a snapshot is kept of when half of the pages were there. */
static struct store *in_crumbs(uint8_t *version, uint64_t *keep)
{
        static const uint8_t uuid[16] = "store unit tests";
        struct store *s;

        simdisk_init(&disk, FULL + 1500, 1);
        assert_int_equal(store_format(&disk.d, uuid, 0), 0);
        assert_int_equal(store_open(&disk.d, 1, &s), 0);
        for (unsigned i = 50; i--;) /* the first pages have shadows */
                commit_many(s, i * 20, 20, 1, 1);
        for (ppn_t ppn = 1000; ppn < FULL; ppn += 1000)
                commit_many(s, ppn, 1000, 1, 1);
        for (unsigned k = 1; k < 4; k++) {
                if (k == 3 && keep)
                        assert_int_equal(store_keep(s, 0, keep), 0);
                for (ppn_t ppn = k; ppn < FULL; ppn += 1000)
                        commit_many(s, ppn, 250, 4, 0);
        }
        for (ppn_t ppn = 0; ppn < FULL; ppn++)
                version[ppn] = ppn % 4 == 0;
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(store_settle(s), 0);
        simdisk_settle(&disk);
        return s;
}

/* A pass of the cleaner makes long runs, and a kept snapshot stays what it was. */
static void crumbs_are_cleaned(void **state)
{
        static uint64_t page[512], got[512];
        static uint8_t version[FULL];
        uint64_t crumbs, before, more, kept = 0;
        struct store_info info;
        struct store *s;

        (void)state;
        for (unsigned with_kept = 0; with_kept < 2; with_kept++) {
                s = in_crumbs(version, with_kept ? &kept : NULL);
                assert_false(store_clean(s, 100)); /* nobody has missed anything yet */
                /* What is free at the end of the disk is used up first. */
                for (more = 1000000; !s->clean.crumbs; more += 100)
                        commit_many(s, more, 100, 1, 1);
                crumbs = commit_many(s, more, 1000, 1, 1);
                assert_true(crumbs > 250);
                before = disk.nwrites;
                while (store_clean(s, 100))
                        ;
                store_info(s, &info);
                assert_true(info.moved > 1000);
                if (!with_kept) { /* else what the snapshot needs stays where it is */
                        assert_true(disk.nwrites - before < info.moved / 2); /* they go out in runs */
                        crumbs = commit_many(s, more, 1000, 1, 2);
                        assert_true(crumbs < 40);
                }
                whole(s);
                s = again(s);
                expect_pages(s, version);
                whole(s);
                for (ppn_t ppn = 3; ppn < FULL && with_kept; ppn += 4) {
                        page_of(page, ppn, 1);
                        assert_int_equal(store_read_at(s, kept, ppn, got), 0);
                        assert_memory_equal(page, got, sizeof(got));
                }
                whole_to_the_end(s);
        }
}

/*
 * Pages are moved, and then changed: some written whole, some by deltas. The superblock that knows of it is lost, and the older one leads to a state that has all changes, and knows of no block
 * twice, and of all.
 */
static void moved_and_forgotten(void **state)
{
        enum { HOT = 30, STEP = 8 };
        static uint64_t page[512], got[512];
        static uint8_t version[FULL];
        uint64_t newest;
        struct store *s = in_crumbs(version, NULL);

        (void)state;
        s->clean.crumbs = 1;
        while (!s->clean.moved)
                assert_true(store_clean(s, 100));
        assert_true(s->clean.at >= 1000 && s->clean.moved > 200);
        for (ppn_t ppn = 0; ppn < HOT * STEP; ppn += STEP) {
                change_some(s, ppn, ppn);
                assert_true(recent_find(s, ppn)->delta);
        }
        for (ppn_t ppn = 4; ppn < HOT * STEP; ppn += STEP) {
                commit_many(s, ppn, 1, 1, 3);
                version[ppn] = 3;
        }
        newest = super_place(s, s->slot);
        s = again(s);
        store_close(s);
        block_of(newest)[100] ^= 1;
        assert_int_equal(store_open(&disk.d, 3, &s), 0);
        whole(s);
        commit_many(s, 4, 1, 1, 4); /* a life begins, which makes both superblocks good, and is cut */
        version[4] = 4;
        s = again(s);
        whole(s);
        for (ppn_t ppn = 0; ppn < HOT * STEP; ppn += STEP) {
                page_of(page, ppn, 1);
                page[0] = page[100] = page[101] = page[511] = ppn;
                assert_int_equal(store_read(s, ppn, got), 0);
                assert_memory_equal(page, got, sizeof(got));
                page_of(page, ppn, 1);
                commit_page(s, ppn, page);
        }
        expect_pages(s, version);
        assert_int_equal(store_checkpoint(s), 0);
        whole_to_the_end(s);
}

/* Dead blocks that only wait for superblocks and commits are free when those have come. */
static void settled(void **state)
{
        struct store_info before, after;
        struct store *s;

        (void)state;
        make();
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        for (unsigned i = 0; i < 5; i++)
                commit_many(s, 10, 20, 1, i);
        store_info(s, &before);
        assert_int_equal(store_settle(s), 0);
        store_info(s, &after);
        assert_true(before.pending > 20 && after.pending < 10); /* what settling itself has superseded */
        store_close(s);
        simdisk_free(&disk);
}

/* The disk's past up to an operation, of which only the sectors in `mask` were written. */
static void torn_at(struct simdisk *after, size_t at, unsigned mask)
{
        simdisk_init(after, NBLOCKS, 1);
        memcpy(after->now, disk.base, NBLOCKS * STORE_BLOCK);
        for (size_t i = 0; i <= at; i++) {
                const struct simdisk_op *op = &disk.op[i];

                for (uint32_t k = 0; k < op->nsectors; k++)
                        if (i < at || mask >> (k % 8) & 1)
                                memcpy(after->now + (op->sector + k) * SECTOR, op->data + k * SECTOR, SECTOR);
        }
        simdisk_settle(after);
}

/* A superblock is damaged in one sector. What is written over it is torn so that this one is good again, and the others are as they were: it is whole, and leads to all that it did. */
static void whole_by_tearing(void **state)
{
        static const unsigned mask[] = {1, 0x80, 0x7f, 0xfe};

        (void)state;
        for (unsigned more = 1; more <= HOMES; more++) { /* what it names is in one place or another */
                struct store *s = with_deltas(true, 3);
                uint64_t newest, before;

                for (unsigned i = 0; i < more; i++) {
                        commit_many(s, 10 + i, 20, 1, 1);
                        assert_int_equal(store_checkpoint(s), 0);
                }
                newest = super_place(s, s->slot);
                before = s->super.sequence;
                s = again(s);
                store_close(s);
                block_of(newest)[STORE_BLOCK - 50] ^= 4;
                simdisk_settle(&disk);
                assert_int_equal(store_open(&disk.d, 3, &s), 0);
                assert_true(s->super.sequence < before);
                commit_many(s, 10, 1, 1, 2);
                store_close(s);
                for (size_t at = 0; at < disk.nops; at++)
                        for (unsigned i = 0; i < sizeof(mask) / sizeof(mask[0]); i++) {
                                struct simdisk after;

                                torn_at(&after, at, mask[i]);
                                assert_int_equal(store_open(&after.d, 5, &s), 0);
                                whole(s);
                                store_close(s);
                                simdisk_free(&after);
                        }
                simdisk_free(&disk);
        }
}

/* The last record's only entry is a delta; it is changed, and the sums hold. */
static struct disk_entry *last_delta(struct disk_record **h)
{
        struct store *s = with_deltas(false, 2);
        uint64_t block = s->next_block;
        struct disk_entry *e;

        memset(shown + 30, 1, 80);
        shown[60]++;
        commit_page(s, 3, shown);
        store_close(s);
        *h = (struct disk_record *)block_of(block);
        e = (struct disk_entry *)(*h)->body;
        assert_true((*h)->nentries == 1 && entry_kind(e) == ENTRY_DELTA);
        assert_int_equal(entry_offset(e), sizeof(*e));
        assert_int_equal(entry_length(e), 2 * sizeof(struct disk_run) + 11 * 8);
        return e;
}

/* A delta that is not within its record, or its page, is no part of a record that counts. */
static void bad_deltas(void **state)
{
        (void)state;
        for (unsigned how = 0; how < 14; how++) {
                struct disk_record *h;
                struct disk_entry *e = last_delta(&h);
                struct disk_run *first = (struct disk_run *)((uint8_t *)e + sizeof(*e));
                struct disk_run *second = (struct disk_run *)((uint8_t *)(first + 1) + 80);
                uint64_t length = entry_length(e);
                struct store_info info;
                struct store *s;

                assert_true(first->nwords == 10 && second->nwords == 1);
                switch (how) {
                case 0:
                        e->where = sizeof(*e); /* nothing at all */
                        break;
                case 1:
                        e->where = sizeof(*e) | (length - 8) << 32;
                        break;
                case 2:
                        e->where = sizeof(*e) | (length - 10) << 32;
                        break;
                case 3:
                        e->where = (sizeof(*e) + 1) | length << 32; /* one byte behind the body */
                        break;
                case 4:
                        e->where = (BODY_MAX + 5) | length << 32;
                        break;
                case 5:
                        e->where = UINT32_MAX | length << 32;
                        break;
                case 6:
                        e->where = sizeof(*e) | 65535ul << 32;
                        break;
                case 7:
                        first->nwords = 0;
                        break;
                case 8:
                        second->first = 512;
                        break;
                case 9:
                        second->first = 39; /* in the first run */
                        break;
                case 10:
                        first->first = 503;
                        break;
                case 11: /* the only run, over the end of the page */
                        first->first = 505;
                        e->where = sizeof(*e) | (sizeof(*first) + 80) << 32;
                        break;
                case 12:
                        h->nbody -= 8;
                        break;
                default:
                        second->nwords = 65535;
                }
                h->sum = record_sum(h);
                assert_int_equal(store_open(&disk.d, 7, &s), 0);
                store_info(s, &info);
                if (info.epoch != h->prev_epoch)
                        fail_msg("bad delta %u: epoch %lu, not %lu", how, info.epoch, h->prev_epoch);
                whole_to_the_end(s);
        }
}

/* Of a page that there was not, or in a place that no page can have: the record contradicts the store. */
static void deltas_of_nothing(void **state)
{
        (void)state;
        for (unsigned how = 0; how < 3; how++) {
                struct disk_record *h;
                struct disk_entry *e = last_delta(&h);
                struct store *s;

                e->ppn_kind = 50 | (uint64_t)ENTRY_DELTA << 56;
                e->old_block = how == 0 ? 0 : how == 1 ? 5 : NBLOCKS + 5;
                h->sum = record_sum(h);
                hosted_said[0] = 0;
                assert_int_equal(store_open(&disk.d, 7, &s), -EUCLEAN);
                assert_non_null(strstr(hosted_said, "contradicts the store"));
                simdisk_free(&disk);
        }
}

/* The image becomes one of version 1, where the body's sum covered what is in the header block, too. */
static void make_version_1(void)
{
        struct disk_super *a = (struct disk_super *)block_of(BLOCK_SUPER_A);
        struct disk_super *b = (struct disk_super *)block_of(NBLOCKS - 1);
        const struct disk_super *newer = a->sequence > b->sequence ? a : b;
        uint64_t sum = newer->prev_sum, at = newer->next_block;

        for (struct disk_record *h; (h = (struct disk_record *)block_of(at))->magic == RECORD_MAGIC;
             at = h->next_block) {
                assert_int_equal(h->nextents, 0);
                h->version = 1;
                h->prev_sum = sum;
                h->body_sum = block_sum(h->body, h->nbody);
                sum = h->sum = record_sum(h);
        }
        both_change(1, SPACE_SCHEMA, NBLOCKS);
}

/* A store of version 1 is read, and is one of version 2 before anything else is written to it; it has no deltas. */
static void version_1(void **state)
{
        const struct disk_super *a, *b;
        struct disk_record *h;
        struct disk_entry *e;
        struct store *s = with_deltas(true, 0);

        (void)state;
        for (unsigned i = 0; i < 3; i++) {
                memcpy(shown, random_page(), STORE_BLOCK);
                commit_page(s, 3, shown);
                commit_one(s, 4, (uint8_t)i, 0);
        }
        store_close(s);
        make_version_1();
        opens(false);
        assert_int_equal(store_open(&disk.d, 0, &s), 0);
        expect_shown(s, 3);
        expect_page(s, 4, 2);
        store_close(s);
        a = (const struct disk_super *)block_of(BLOCK_SUPER_A);
        b = (const struct disk_super *)block_of(NBLOCKS - 1);
        assert_true(a->version == 1 && b->version == 1);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        expect_shown(s, 3);
        commit_page(s, 3, shown);
        shown[5]++;
        commit_page(s, 3, shown);
        shown[6]++;
        commit_page(s, 3, shown);
        assert_true(a->version == 2 && b->version == 2);
        s = again(s);
        expect_shown(s, 3);
        expect_page(s, 4, 2);
        whole_to_the_end(s);
        e = last_delta(&h);
        h->version = 1;
        h->body_sum = block_sum(h->body, h->nbody);
        h->sum = record_sum(h);
        assert_int_equal(entry_kind(e), ENTRY_DELTA);
        assert_int_equal(store_open(&disk.d, 7, &s), 0);
        assert_int_equal(s->epoch, h->prev_epoch);
        store_close(s);
        simdisk_free(&disk);
}

/* usage: persist_store [TEST] */
int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(looking_writes_nothing),
                                           cmocka_unit_test(damage_is_found),
                                           cmocka_unit_test(damage_is_lived_with),
                                           cmocka_unit_test(refusals),
                                           cmocka_unit_test(two_machines),
                                           cmocka_unit_test(two_machines_at_once),
                                           cmocka_unit_test(lease_ends_before_the_flush),
                                           cmocka_unit_test(checkpoint_begins_a_life),
                                           cmocka_unit_test(renewed_once),
                                           cmocka_unit_test(closed_in_order),
                                           cmocka_unit_test(forged_records),
                                           cmocka_unit_test(record_behind_its_header),
                                           cmocka_unit_test(drop_is_cut),
                                           cmocka_unit_test(lost_commits),
                                           cmocka_unit_test(records_of_two_machines),
                                           cmocka_unit_test(last_commits_outlive_a_boot),
                                           cmocka_unit_test(bodies_outlive_a_boot),
                                           cmocka_unit_test(settled),
                                           cmocka_unit_test(forgotten_bad_blocks),
                                           cmocka_unit_test(bad_blocks_in_a_row),
                                           cmocka_unit_test(room_for_the_checkpoint),
                                           cmocka_unit_test(checkpoint_is_cheap),
                                           cmocka_unit_test(memory_is_known),
                                           cmocka_unit_test(records_in_crumbs),
                                           cmocka_unit_test(deltas),
                                           cmocka_unit_test(back_to_the_base),
                                           cmocka_unit_test(no_deltas),
                                           cmocka_unit_test(more_hot_pages_than_shadows),
                                           cmocka_unit_test(deltas_past_a_checkpoint),
                                           cmocka_unit_test(deltas_and_kept_snapshots),
                                           cmocka_unit_test(delta_is_lost),
                                           cmocka_unit_test(base_is_damaged),
                                           cmocka_unit_test(bad_deltas),
                                           cmocka_unit_test(crumbs_are_cleaned),
                                           cmocka_unit_test(moved_and_forgotten),
                                           cmocka_unit_test(whole_by_tearing),
                                           cmocka_unit_test(deltas_of_nothing),
                                           cmocka_unit_test(version_1)};

        hosted_quiet = true;
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
