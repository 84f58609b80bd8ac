/* The store: looked at without owning it, damaged, refused. */
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
#include "persist/store/internal.h"

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
        refused(-EOPNOTSUPP, "of version 2");
        both_change(STORE_VERSION, SPACE_SCHEMA, NBLOCKS);
        super_change(NBLOCKS - 1, STORE_VERSION + 1, SPACE_SCHEMA, NBLOCKS);
        refused(-EOPNOTSUPP, "of version 2"); /* half migrated */
        both_change(STORE_VERSION, SPACE_SCHEMA + 6, NBLOCKS);
        refused(-EOPNOTSUPP, "of schema 8");
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
                h->body_sum = block_sum(h->body, h->nbody);
        }
        h->sum = self_sum(h, &h->sum, sizeof(*h));
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
        assert_int_equal(store_commit_begin(s, info.free - 20, store_next_epoch(s), &clock), 0);
        for (uint64_t i = 0; i < info.free - 20; i++)
                assert_int_equal(store_commit_page(s, 100 + i, random_page()), 0);
        assert_int_equal(store_commit_end(s), 0);
        store_close(s);
        block_of(block[3])[STORE_BLOCK - 1] ^= 1;
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
                block_of(block[damaged])[STORE_BLOCK - 1] ^= 1;
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
                                           cmocka_unit_test(drop_is_cut),
                                           cmocka_unit_test(lost_commits),
                                           cmocka_unit_test(records_of_two_machines),
                                           cmocka_unit_test(last_commits_outlive_a_boot),
                                           cmocka_unit_test(forgotten_bad_blocks),
                                           cmocka_unit_test(room_for_the_checkpoint)};

        hosted_quiet = true;
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
