/*
 * persist_snapshot.c - snapshots with a store: what a random program does to a space is committed while it goes on (P5), power is cut at points of the disk's
 * past, and the space that is opened from what survived must be that of one epoch, whole, not older than the last one that was durable (P6), and good to go on with.
 */
#include "tests/unit/persist_test.h"
#include <pthread.h>
#include "persist/old.h"
#include "persist/host/simdisk.h"
#include "persist/store/internal.h"

#ifdef __SANITIZE_THREAD__ /* one thread: a short run is enough */
#define CUTS 8u
#elif !defined(CUTS)
#define CUTS 60u
#endif
#define SLOTS   200u
#define BLOCKS  8192u
#define HISTORY 256u

/* What the program has: blocks of bytes, objects, and pages, each filled from a seed. */
struct table {
        struct {
                void *p;
                uint32_t kind, seed, len;
        } slot[SLOTS];
};
enum { NONE, BYTES, BIG, PAGE };

static struct simdisk disk;
static struct store *store;
static uint64_t rng;
static struct {
        uint64_t epoch, sum, mono_ns;
        size_t acked; /* disk operations when it was known durable */
} history[HISTORY];
static unsigned nhistory;

static uint64_t pick(uint64_t n)
{
        return hosted_random(&rng) % n;
}

static struct table *table(void)
{
        return space_root_get(ROOT_PVM);
}

static void fill(void *p, size_t len, uint32_t seed)
{
        for (size_t i = 0; i < len / 4; i++)
                ((uint32_t *)p)[i] = seed + (uint32_t)i;
}

static void mutate_one(void)
{
        struct table *t = table();
        unsigned i = (unsigned)pick(SLOTS);
        void *p = t->slot[i].p;
        size_t len;

        if (t->slot[i].kind && pick(2)) {
                fill(p, t->slot[i].len, t->slot[i].seed = (uint32_t)pick(1 << 30));
                return;
        }
        if (t->slot[i].kind == BYTES)
                space_free_bytes(p);
        else if (t->slot[i].kind == BIG)
                space_free(p);
        else if (t->slot[i].kind == PAGE)
                space_page_unref(space_ppn(p));
        t->slot[i].kind = (uint32_t)pick(4);
        t->slot[i].p = NULL;
        switch (t->slot[i].kind) {
        case NONE:
                return;
        case BYTES:
                len = pick(10) ? 4 + pick(600) : 4096 * pick(5) + 4;
                p = space_alloc_bytes(len);
                break;
        case BIG:
                len = 2016;
                p = space_alloc(T_BIG);
                break;
        default:
                len = 4096;
                p = space_page(space_page_alloc_zeroed(PAGE_ANON));
        }
        t->slot[i].p = p;
        t->slot[i].len = (uint32_t)len;
        fill(p, len, t->slot[i].seed = (uint32_t)pick(1 << 30));
}

/* In sections of a few changes each; pages that are absent are fetched. */
static void retry(void *arg)
{
        uint64_t next;
        void (*fn)(void) = arg;
        int r;

        while ((r = space_fetch_start(space_fetch_pending())) > 0)
                snapshot_step(&next);
        assert_int_equal(r, 0);
        section_begin(retry, arg);
        fn();
        section_end();
}

static void run_section(void *arg)
{
        void (*fn)(void) = arg;

        section_begin(retry, arg);
        fn();
        section_end();
}

static void touch_all(void)
{
        const struct table *t = table();

        for (unsigned i = 0; i < SLOTS; i++)
                if (t->slot[i].kind)
                        (void)*(volatile char *)t->slot[i].p;
}

static void mutate_few(void)
{
        touch_all();
        section_changes();
        for (unsigned n = 0; n < 4; n++)
                mutate_one();
}

static void mutate(unsigned n)
{
        for (; n; n--)
                hosted_run(run_section, mutate_few);
}

static void mutate_in_yield(void)
{
        /* outside hosted_run: nothing may be absent any more, and nobody can wait */
        if (reclaim_must_wait())
                return;
        section_begin(NULL, NULL);
        mutate_few();
        section_end();
}

static uint64_t seen_sum;

static void sum_up(void)
{
        const struct table *t = table();
        uint64_t h = 1;

        touch_all();
        for (unsigned i = 0; i < SLOTS; i++) {
                h = h * 31 + t->slot[i].kind;
                for (size_t k = 0; t->slot[i].kind && k < t->slot[i].len / 4; k++) {
                        uint32_t v = ((uint32_t *)t->slot[i].p)[k];

                        assert_int_equal(v, t->slot[i].seed + (uint32_t)k);
                        h = h * 31 + v;
                }
        }
        seen_sum = h;
}

static uint64_t sum(void)
{
        hosted_run(run_section, sum_up);
        return seen_sum;
}

static void make_table(void)
{
        section_changes();
        space_root_set(ROOT_PVM, space_alloc_bytes(sizeof(struct table)));
}

/* make: what the program begins with, in a section. */
/* On a disk of so many blocks, in a machine with so many frames. */
static void first_life_in(uint64_t nblocks, uint64_t frames, void (*make)(void))
{
        static const uint8_t uuid[16] = {1};

        simdisk_init(&disk, nblocks, rng);
        assert_int_equal(store_format(&disk.d, uuid, SPACE_START), 0);
        assert_int_equal(store_open(&disk.d, 77, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        hosted_open(frames);
        hosted_cpu_enter(0);
        space_types_register(test_types, T_TYPES);
        assert_int_equal(space_create(), 0);
        assert_int_equal(space_attach(store, NULL), 0);
        hosted_cpu_ready();
        hosted_run(run_section, make);
        nhistory = 0;
}

static void first_life_on(uint64_t nblocks, void (*make)(void))
{
        first_life_in(nblocks, 8192, make);
}

static void first_life(void)
{
        first_life_on(BLOCKS, make_table);
}

/* P5: every page in use, as it was at the barrier. Nothing runs between that and this. */
static struct {
        ppn_t ppn;
        uint8_t page[4096];
} image[4096];
static unsigned nimage;

static void image_range(ppn_t first, ppn_t end)
{
        for (ppn_t ppn = first; ppn < end; ppn++) {
                if (!persist_host->page_present(ppn) || (ppn >= DATA_PPN && record(ppn)->kind == PAGE_FREE))
                        continue;
                assert_true(nimage < 4096);
                image[nimage].ppn = ppn;
                memcpy(image[nimage++].page, hosted_alias(ppn), 4096);
        }
}

static void image_take(void)
{
        nimage = 0;
        image_range(ROOT_PPN, CPU_PPN + root()->ncpus);
        image_range(RESIDENT_FIRST, resident_stop(root()->records_end));
        image_range(RECORD_FIRST, record_ppn(root()->records_end));
        image_range(DATA_PPN, root()->frontier);
}

static void image_compare(void)
{
        static uint8_t got[4096];

        for (unsigned i = 0; i < nimage; i++) {
                int r = store_read(store, image[i].ppn, got);

                if ((r && r != -ENOENT) || memcmp(got, image[i].page, sizeof(got)) != 0)
                        fail_msg("P5: page %lx was committed otherwise than it was: %d", image[i].ppn, r);
        }
}

static void commit_now(bool busy)
{
        uint64_t epoch = snapshot_epoch(), now = sum(), next;

        hosted_clock_ns += 1000;
        assert_false(snapshot_is_durable(epoch));
        snapshot_request();
        image_take();
        hosted_on_yield = busy ? mutate_in_yield : NULL;
        snapshot_step(&next);
        hosted_on_yield = NULL;
        assert_int_equal(snapshot_error(), 0);
        assert_true(snapshot_is_durable(epoch));
        image_compare();
        assert_true(nhistory < HISTORY);
        history[nhistory].epoch = epoch;
        history[nhistory].sum = now;
        history[nhistory].mono_ns = hosted_clock_ns;
        history[nhistory++].acked = disk.nops;
}

static void open_life(void)
{
        struct space_clock clock;

        hosted_open(8192);
        hosted_cpu_enter(0);
        space_types_register(test_types, T_TYPES);
        assert_int_equal(space_open(store, &clock), 0);
        hosted_cpu_ready();
        space_fetch_at_once(false);
        for (ppn_t ppn = DATA_PPN; ppn < root()->frontier; ppn++) /* resident is what nobody waits for */
                if (record(ppn)->kind == PAGE_RUN ||
                    (record(ppn)->kind == PAGE_SLAB && record(ppn)->type >= TYPE_BYTES))
                        assert_true(persist_host->page_present(ppn));
        for (unsigned cpu = 0; cpu < root()->ncpus; cpu++) {
                const struct cpu_heap *h = space_page(CPU_PPN + cpu);

                for (unsigned t = 0; t < SPACE_TYPES; t++)
                        assert_true(!h->slab[t] || persist_host->page_present(space_ppn(h->slab[t])));
        }
}

static void power_off(void)
{
        hosted_close();
        store_close(store);
}

static void check_structure(void)
{
        const struct cpu_heap *h = space_page(CPU_PPN);

        space_check_pages();
        for (uint32_t ppn = h->free; ppn; ppn = record(ppn)->next) /* what a section takes has a frame */
                assert_true(persist_host->page_present(ppn));
}

static void commits_while_running(void **state)
{
        (void)state;
        rng = 4711;
        first_life();
        for (unsigned i = 0; i < 40; i++) {
                mutate((unsigned)pick(30));
                commit_now(i % 2);
        }
        check_structure();
        power_off();
        /* Everything that was committed is there, after each of many cuts. */
        for (unsigned cut = 0; cut < CUTS; cut++) {
                struct simdisk past;
                size_t at = history[0].acked + pick(disk.nops - history[0].acked + 1);
                unsigned newest = 0, found = HISTORY;
                struct store_info info;
                uint64_t epoch, next;

                while (newest + 1 < nhistory && history[newest + 1].acked <= at)
                        newest++;
                simdisk_init(&past, BLOCKS, rng);
                simdisk_cut(&disk, at, (enum cut_mode)(cut % CUT_MODES), &rng, &past);
                assert_int_equal(store_open(&past.d, 100 + cut, &store), 0);
                hosted_clock_ns += store_wait_ns(store);
                store_info(store, &info);
                for (unsigned i = 0; i < nhistory; i++)
                        if (history[i].epoch == info.epoch)
                                found = i;
                assert_true(found < HISTORY && found >= newest);
                assert_true(info.clock.mono_ns == history[found].mono_ns);
                open_life();
                epoch = snapshot_epoch();
                assert_true(epoch > info.epoch && snapshot_is_durable(info.epoch) && !snapshot_is_durable(epoch));
                assert_true(sum() == history[found].sum);
                /* and it goes on: */
                mutate(20);
                snapshot_request();
                hosted_on_yield = mutate_in_yield;
                snapshot_step(&next);
                hosted_on_yield = NULL;
                assert_true(snapshot_is_durable(epoch));
                sum();
                check_structure();
                power_off();
                simdisk_free(&past);
        }
        simdisk_free(&disk);
}

/* What was written between two barriers is a snapshot; a page that goes back to what it was is no write; nothing dirty is no commit. */
static void cadence(void **state)
{
        struct snapshot_stats before, after;
        uint64_t next;

        (void)state;
        rng = 99;
        first_life();
        mutate(20);
        commit_now(false);
        snapshot_stats(&before);
        hosted_clock_ns += 1000000000;
        snapshot_step(&next);
        snapshot_stats(&after);
        assert_int_equal(after.commits, before.commits);
        mutate(1);
        snapshot_step(&next);
        snapshot_stats(&after);
        assert_int_equal(after.commits, before.commits);
        assert_int_equal(next, hosted_clock_ns + snapshot_interval_ns);
        hosted_clock_ns = next;
        snapshot_step(&next);
        snapshot_stats(&after);
        assert_int_equal(after.commits, before.commits + 1);
        power_off();
        simdisk_free(&disk);
}

static bool refused;

static void grow_if_there_is_room(void)
{
        refused = !space_room(1);
        if (refused)
                return;
        section_changes();
        (void)space_page_alloc_zeroed(PAGE_ANON);
}

/* A disk that fails: commits stop, what was durable stays, the program goes on but does not grow by more than an eighth of the memory. */
static void failing_disk(void **state)
{
        uint64_t last, next, grown;

        (void)state;
        rng = 5;
        hosted_quiet = true;
        first_life();
        mutate(10);
        commit_now(false);
        last = history[0].sum;
        mutate(5);
        disk.fail_writes = 1000;
        snapshot_request();
        snapshot_step(&next);
        assert_int_equal(snapshot_error(), -EIO);
        assert_false(snapshot_is_durable(snapshot_epoch() - 1));
        mutate(10);
        sum();
        for (grown = 0; !refused; grown++)
                hosted_run(run_section, grow_if_there_is_room);
        assert_in_range(grown, 100, persist_host->frames_total() / 8 + 1000);
        mutate(1);
        power_off();
        disk.fail_writes = 0;
        assert_int_equal(store_open(&disk.d, 78, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        open_life();
        assert_true(sum() == last);
        power_off();
        simdisk_free(&disk);
        hosted_quiet = false;
}

/* ---- more pages than memory, more than the disk ---- */

#define MANY   3000u
#define FRAMES 1500u
#define SMALL  3200u /* blocks of a disk that is soon full */

struct many {
        ppn_t ppn[MANY];
        uint32_t seed[MANY];
};
static unsigned chosen;
static uint32_t chosen_seed;
static bool no_room;

static struct many *many(void)
{
        return space_root_get(ROOT_PVM);
}

static void make_many(void)
{
        section_changes();
        space_root_set(ROOT_PVM, space_alloc_bytes(sizeof(struct many)));
}

static void write_chosen(void)
{
        struct many *m = many();

        if (m->ppn[chosen]) {
                (void)*(volatile char *)space_page(m->ppn[chosen]);
        } else if (!space_room(1)) {
                no_room = true;
                return;
        }
        section_changes();
        if (!m->ppn[chosen])
                m->ppn[chosen] = space_page_alloc(PAGE_ANON);
        m->seed[chosen] = chosen_seed;
        fill(space_page(m->ppn[chosen]), 4096, chosen_seed);
}

static void read_chosen(void)
{
        const struct many *m = many();

        for (unsigned k = 0; m->ppn[chosen] && k < 1024; k++)
                assert_int_equal(((uint32_t *)space_page(m->ppn[chosen]))[k], m->seed[chosen] + k);
}

/* The space that the disk has, in a machine with so many frames. */
static void life_begins(uint64_t owner, uint64_t frames)
{
        struct space_clock clock;

        assert_int_equal(store_open(&disk.d, owner, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        hosted_open(frames);
        hosted_cpu_enter(0);
        space_types_register(test_types, T_TYPES);
        assert_int_equal(space_open(store, &clock), 0);
        hosted_cpu_ready();
        space_fetch_at_once(false);
}

static void larger_than_memory(void **state)
{
        struct snapshot_stats stats;
        uint64_t next, before;

        (void)state;
        rng = 31;
        first_life_in(4 * BLOCKS, FRAMES, make_many);
        for (unsigned i = 0; i < 4 * MANY; i++) {
                chosen = i < MANY ? i : (unsigned)pick(MANY);
                chosen_seed = (uint32_t)pick(1 << 30);
                hosted_run(run_section, write_chosen);
                assert_false(no_room);
                if (i % 3 == 0) {
                        chosen = (unsigned)pick(MANY);
                        hosted_run(run_section, read_chosen);
                }
                if (i % 500 == 0)
                        simdisk_settle(&disk);
        }
        snapshot_stats(&stats);
        assert_true(stats.evicted > MANY && stats.fetched > 0 && hosted_frames_used() <= FRAMES);
        snapshot_request();
        snapshot_step(&next);
        assert_int_equal(snapshot_error(), 0);
        power_off();
        life_begins(79, FRAMES);
        before = section_this()->abandoned;
        for (chosen = 0; chosen < MANY; chosen++)
                hosted_run(run_section, read_chosen);
        assert_true(section_this()->abandoned - before < MANY / 4); /* others came with a neighbour */
        power_off();
        simdisk_free(&disk);
}

static void write_warm(void)
{
        space_warm_write();
}

/* As the kernel does a second after a resume, and then the power goes, behind a commit. */
static void life_ends(void)
{
        uint64_t next;

        hosted_run(run_section, write_warm);
        snapshot_request();
        snapshot_step(&next);
        assert_int_equal(snapshot_error(), 0);
        power_off();
}

/* Every 16th page: nobody comes along with a neighbour. Returns how many are here, after what the writer does by itself. */
static unsigned warmed(void)
{
        struct snapshot_stats stats;
        uint64_t next;
        unsigned n = 0;

        for (unsigned i = 0; i < MANY; i++)
                if (!snapshot_step(&next))
                        hosted_clock_ns = next;
        for (unsigned i = 0; i < MANY; i++) {
                bool there = persist_host->page_present(many()->ppn[i]);

                n += there;
                assert_true(!there || i % 16 == 5);
        }
        snapshot_stats(&stats);
        assert_true(stats.warmed >= n && stats.warmed <= n + 1); /* the table of them, too */
        return n;
}

static void working_set(void **state)
{
        unsigned all = 0, n, missed = 0;
        uint64_t used;

        (void)state;
        rng = 41;
        first_life();
        hosted_run(run_section, make_many);
        for (chosen = 0; chosen < MANY; chosen++) {
                chosen_seed = chosen;
                hosted_run(run_section, write_chosen);
        }
        life_ends();
        life_begins(81, 8192);
        assert_int_equal(warmed(), 0);
        for (chosen = 5; chosen < MANY; chosen += 16, all++)
                hosted_run(run_section, read_chosen);
        life_ends();
        /* Those on trial stay on the list because they are asked for. */
        for (unsigned life = 0; life < 8; life++) {
                life_begins(82 + life, 8192);
                n = warmed();
                assert_true(n >= all * 3 / 4 && n < all);
                missed += all - n;
                for (chosen = 5; chosen < MANY; chosen += 16)
                        hosted_run(run_section, read_chosen);
                used = persist_host->dirty_count();
                hosted_run(run_section, write_warm);
                assert_int_equal(persist_host->dirty_count(), used); /* the same again: nothing is written */
                life_ends();
        }
        assert_int_equal(missed, all); /* each was once */
        /* What nobody asks for any more is forgotten in eight lives. */
        for (unsigned life = 0; life < 8; life++) {
                life_begins(90 + life, 8192);
                n = warmed();
                life_ends();
        }
        life_begins(98, 8192);
        assert_int_equal(warmed(), 0);
        power_off();
        simdisk_free(&disk);
}

static void free_chosen(void)
{
        struct many *m = many();

        if (!m->ppn[chosen])
                return;
        section_changes();
        space_page_unref(m->ppn[chosen]);
        m->ppn[chosen] = 0;
}

/* Growth ends with an error, what is there can still be changed and committed, and freeing makes room. */
static void full_disk(void **state)
{
        static const uint8_t uuid[16] = {3};
        unsigned grown[2];
        uint64_t next;

        (void)state;
        rng = 8;
        hosted_quiet = true;
        simdisk_init(&disk, SMALL, rng);
        assert_int_equal(store_format(&disk.d, uuid, SPACE_START), 0);
        assert_int_equal(store_open(&disk.d, 77, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        hosted_open(8192);
        hosted_cpu_enter(0);
        space_types_register(test_types, T_TYPES);
        assert_int_equal(space_create(), 0);
        assert_int_equal(space_attach(store, NULL), 0);
        hosted_cpu_ready();
        hosted_run(run_section, make_many);
        for (unsigned round = 0; round < 2; round++) {
                no_room = false;
                for (chosen = 0; chosen < MANY && !no_room; chosen++) {
                        chosen_seed = (uint32_t)pick(1 << 30);
                        hosted_run(run_section, write_chosen);
                }
                grown[round] = chosen;
                if (!no_room || chosen <= 200)
                        fail_msg("round %u: room for %u pages, then %s", round, chosen,
                                 no_room ? "none" : "still some");
                for (unsigned i = 0; i < 2000; i++) {
                        chosen = (unsigned)pick(grown[round] - 1);
                        chosen_seed = (uint32_t)pick(1 << 30);
                        hosted_run(run_section, write_chosen);
                        assert_int_equal(snapshot_error(), 0);
                }
                if (round)
                        break;
                for (chosen = 0; chosen < grown[0]; chosen += 2)
                        hosted_run(run_section, free_chosen);
                for (unsigned i = 0; i < 6;
                     i++) { /* blocks are free when the commits that are kept do not need them any more */
                        chosen = 1;
                        hosted_run(run_section, write_chosen);
                        snapshot_request();
                        snapshot_step(&next);
                }
        }
        assert_true(grown[1] > grown[0] / 2);
        snapshot_request();
        snapshot_step(&next);
        assert_int_equal(snapshot_error(), 0);
        power_off();
        life_begins(79, 8192);
        for (chosen = 0; chosen < MANY; chosen++)
                hosted_run(run_section, read_chosen);
        power_off();
        simdisk_free(&disk);
        hosted_quiet = false;
}

#define DISK_64M 16384u /* blocks */

static ppn_t filled[DISK_64M];
static unsigned nfilled;

static void grow_one(void)
{
        uint64_t *page;

        no_room = !space_room(1);
        if (no_room)
                return;
        assert_true(nfilled < DISK_64M);
        section_changes();
        filled[nfilled] = space_page_alloc(PAGE_ANON);
        page = space_page(filled[nfilled++]);
        for (unsigned k = 0; k < 512; k++)
                page[k] = hosted_random(&rng);
}

static void rewrite_one(void)
{
        uint64_t *page = space_page(filled[chosen]);

        (void)*(volatile uint64_t *)page;
        section_changes();
        page[0]++;
}

static void drop_one(void)
{
        section_changes();
        space_page_unref(filled[--nfilled]);
}

static void grow_all(void)
{
        do {
                hosted_run(run_section, grow_one);
                if (nfilled % 2000 == 0)
                        simdisk_settle(&disk);
        } while (!no_room);
        if (nfilled < DISK_64M / 100 * 85)
                fail_msg("full with %u pages on %u blocks", nfilled, DISK_64M);
}

/* A small disk is full when 85 % of it are pages; then all of them can be changed, and what is freed can be had again. */
static void small_disk_is_used(void **state)
{
        static const uint8_t uuid[16] = {6};
        uint64_t next;

        (void)state;
        rng = 64;
        nfilled = 0;
        hosted_quiet = true;
        simdisk_init(&disk, DISK_64M, rng);
        assert_int_equal(store_format(&disk.d, uuid, SPACE_START), 0);
        assert_int_equal(store_open(&disk.d, 77, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        hosted_open(DISK_64M + 8192);
        hosted_cpu_enter(0);
        space_types_register(test_types, T_TYPES);
        assert_int_equal(space_create(), 0);
        assert_int_equal(space_attach(store, NULL), 0);
        hosted_cpu_ready();
        for (unsigned round = 0; round < 2; round++) {
                grow_all();
                for (chosen = 0; chosen < nfilled; chosen++) {
                        hosted_run(run_section, rewrite_one);
                        assert_int_equal(snapshot_error(), 0);
                        if (chosen % 2000 == 0)
                                simdisk_settle(&disk);
                }
                for (unsigned n = nfilled / 2; n && !round; n--)
                        hosted_run(run_section, drop_one);
                for (unsigned i = 0; i < 2; i++) {
                        snapshot_request();
                        snapshot_step(&next);
                        assert_int_equal(snapshot_error(), 0);
                }
        }
        power_off();
        assert_int_equal(store_open(&disk.d, 78, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        assert_int_equal(store_check(store, true, NULL, NULL), 0);
        store_close(store);
        simdisk_free(&disk);
        hosted_quiet = false;
}

static void write_all(unsigned n, uint32_t seed)
{
        for (chosen = 0; chosen < n; chosen++) {
                chosen_seed = seed + 100000 * chosen;
                hosted_run(run_section, write_chosen);
        }
}

static void commit_all(void)
{
        uint64_t next;

        snapshot_request();
        snapshot_step(&next);
        assert_int_equal(snapshot_error(), 0);
}

/* Promise 5: a page that is damaged on the disk is an error to who wants it, each time, and to nobody else. */
static void damaged_page(void **state)
{
        unsigned hits = 0;
        uint64_t next;
        ppn_t ppn;

        (void)state;
        rng = 12;
        hosted_quiet = true;
        first_life_on(BLOCKS, make_many);
        write_all(50, 1);
        commit_all();
        write_all(1, 1);
        commit_all(); /* the data of the last commit is checked at recovery, that of older ones when it is wanted */
        ppn = many()->ppn[20];
        power_off();
        for (uint64_t b = 0; b < BLOCKS; b++) {
                uint32_t *block = (uint32_t *)(disk.now + b * 4096);

                if (block[0] != 1 + 100000 * 20 || block[1] != block[0] + 1)
                        continue;
                block[700] ^= 4;
                hits++;
        }
        assert_true(hits > 0);
        assert_int_equal(store_open(&disk.d, 78, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        open_life();
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(space_fetch_start(ppn), i ? -EIO : 1);
                snapshot_step(&next);
                assert_int_equal(space_fetch_start(ppn), -EIO);
        }
        for (chosen = 0; chosen < 50; chosen++)
                if (chosen != 20)
                        hosted_run(run_section, read_chosen);
        chosen = 21;
        hosted_run(run_section, write_chosen);
        commit_all();
        power_off();
        simdisk_free(&disk);
        hosted_quiet = false;
}

static ppn_t own_slab, resident_slab, anon_page;

static void make_pages(void)
{
        section_changes();
        own_slab = space_ppn(space_alloc(T_BIG));
        resident_slab = space_ppn(space_alloc(T_RESIDENT));
        anon_page = space_page_alloc_zeroed(PAGE_ANON);
}

/* Paging takes what can be waited for: not what is resident, and not the slab that the next allocation, after the first change, takes from. */
static void what_may_go(void **state)
{
        (void)state;
        rng = 15;
        first_life_on(BLOCKS, make_many);
        hosted_run(run_section, make_pages);
        assert_true(page_evictable(anon_page));
        assert_false(page_evictable(own_slab));
        assert_false(page_evictable(resident_slab));
        assert_false(page_evictable(space_ppn(many())));
        power_off();
        simdisk_free(&disk);
}

static struct space_pins pins;

static void pin_page(void)
{
        section_changes();
        pins = (struct space_pins){.device_writes = true, .n = 1, .ppn = {anon_page}};
        assert_true(space_pin(&pins));
}

static void unpin_page(void)
{
        section_changes();
        space_unpin(&pins);
}

static void unref_page(void)
{
        section_changes();
        space_page_unref(anon_page);
}

static void pin_too_many(void)
{
        struct space_pins most[PINS_MAX / SPACE_PINS + 1];

        section_changes();
        for (unsigned i = 0; i <= PINS_MAX / SPACE_PINS; i++) {
                most[i] = (struct space_pins){.device_writes = true, .n = SPACE_PINS};
                for (unsigned k = 0; k < SPACE_PINS; k++)
                        most[i].ppn[k] = anon_page;
                assert_int_equal(space_pin(&most[i]), i < PINS_MAX / SPACE_PINS);
        }
        for (unsigned i = 0; i < PINS_MAX / SPACE_PINS; i++)
                space_unpin(&most[i]);
        most[0].device_writes = false;
        assert_true(space_pin(&most[0]));
        assert_true(page_is_pinned(anon_page));
        space_unpin(&most[0]);
        assert_false(page_is_pinned(anon_page));
}

/* What a device writes to stays where it is, is captured in each epoch, and belongs to its owner's last page until the device is done. */
static void pinned_page(void **state)
{
        uint32_t *device;

        (void)state;
        rng = 16;
        first_life_on(BLOCKS, make_many);
        hosted_run(run_section, make_pages);
        hosted_run(run_section, pin_too_many);
        hosted_run(run_section, pin_page);
        device = hosted_alias(anon_page);
        for (uint32_t epoch = 1; epoch < 4; epoch++) {
                commit_all();
                assert_false(page_evictable(anon_page));
                *device = epoch;
                write_all(1, epoch);
        }
        commit_all();
        power_off();
        assert_int_equal(store_open(&disk.d, 98, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        open_life();
        space_fetch_at_once(true);
        assert_int_equal(*(uint32_t *)space_page(anon_page), 3);
        space_fetch_at_once(false);
        assert_false(page_is_pinned(anon_page)); /* no device works for anybody after a power cut */

        hosted_run(run_section, pin_page);
        commit_all();
        device = hosted_alias(anon_page);
        *device = 4;
        hosted_run(run_section, unpin_page); /* done: the data is of this epoch */
        assert_true(page_evictable(anon_page));
        write_all(1, 5);
        commit_all();
        power_off();
        assert_int_equal(store_open(&disk.d, 99, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        open_life();
        space_fetch_at_once(true);
        assert_int_equal(*(uint32_t *)space_page(anon_page), 4);
        space_fetch_at_once(false);

        hosted_run(run_section, pin_page);
        hosted_run(run_section, unref_page);
        for (unsigned i = 0; i < 10; i++) {
                write_all(3, i);
                assert_int_equal(space_page_kind(anon_page), PAGE_ANON);
        }
        hosted_run(run_section, unpin_page);
        write_all(1, 1);
        assert_int_equal(space_page_kind(anon_page), PAGE_FREE);
        commit_all();
        check_structure();
        power_off();
        simdisk_free(&disk);
}

static void free_in_yield(void)
{
        if (chosen == 0)
                return;
        chosen--;
        section_begin(NULL, NULL);
        free_chosen();
        section_end();
}

/* P5: what was freed after the barrier was in use at it, also where its record was not written in the epoch before. */
static void freed_while_captured(void **state)
{
        uint64_t next;

        (void)state;
        rng = 14;
        first_life_on(2 * BLOCKS, make_many); /* on a smaller disk an epoch has fewer dirty pages */
        write_all(200, 1);
        commit_all();
        write_all(200, 7); /* nothing is allocated: the records stay as they are */
        image_take();
        chosen = 200;
        hosted_on_yield = free_in_yield;
        snapshot_request();
        snapshot_step(&next);
        hosted_on_yield = NULL;
        assert_true(chosen < 195);
        image_compare();
        commit_all();
        power_off();
        simdisk_free(&disk);
}

/* Pages of records; absent: of these, that are not there. */
static unsigned nrecords(unsigned *absent)
{
        ppn_t stop = record_ppn(root()->records_end);

        *absent = 0;
        for (ppn_t ppn = RECORD_FIRST; ppn < stop; ppn++)
                *absent += !persist_host->page_present(ppn);
        return (unsigned)(stop - RECORD_FIRST);
}

/* Nothing of the program's is in memory, nor are most records: it takes and drops pages, objects and runs all the same. */
static void change_everything(void)
{
        struct many *m = many();

        section_changes();
        for (unsigned i = 0; i < 20; i++) {
                chosen = (unsigned)pick(MANY);
                if (m->ppn[chosen])
                        space_page_unref(m->ppn[chosen]);
                m->ppn[chosen] = 0;
        }
        space_free_bytes(space_alloc_bytes(3 * 4096));
        space_free(space_alloc(T_BIG));
}

static void read_everything(void)
{
        for (chosen = 0; chosen < MANY; chosen++)
                hosted_run(run_section, read_chosen);
}

/* Evicted pages are freed while no frame is to be had: they are bare, and found when there are frames again. */
static void no_frame_for_the_evicted(void **state)
{
        unsigned freed = 0, before;

        (void)state;
        rng = 32;
        first_life_in(4 * BLOCKS, FRAMES, make_many);
        write_all(MANY, 1);
        commit_all();
        hosted_no_frames = true;
        before = root()->nbare;
        for (chosen = 0; chosen < MANY && freed < 300; chosen++)
                if (!persist_host->page_present(many()->ppn[chosen])) {
                        hosted_run(run_section, free_chosen);
                        freed++;
                }
        assert_int_equal(freed, 300);
        assert_true(root()->nbare - before > 100);
        check_structure();
        hosted_no_frames = false;
        commit_all();
        write_all(MANY, 3);
        read_everything();
        check_structure();
        commit_all();
        power_off();
        life_begins(79, FRAMES);
        read_everything();
        power_off();
        simdisk_free(&disk);
}

static uint8_t *run;

static void make_run(void)
{
        section_changes();
        run = space_alloc_bytes(4 * 4096);
        fill(run, 4 * 4096, 5);
}

static void free_run(void)
{
        section_changes();
        space_free_bytes(run);
}

/* Behind the next commit the store has none of its pages. */
static void freed_run_goes(void **state)
{
        static uint8_t got[4096];

        (void)state;
        rng = 16;
        first_life_on(BLOCKS, make_many);
        hosted_run(run_section, make_run);
        commit_all();
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(store_read(store, space_ppn(run) + i, got), 0);
        hosted_run(run_section, free_run);
        commit_all();
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(store_read(store, space_ppn(run) + i, got), -ENOENT);
        power_off();
        simdisk_free(&disk);
}

/* Pages that were free in the life before have no frames in this one until somebody is about to take them: sections find them with frames all the same. */
static void free_in_the_life_before(void **state)
{
        (void)state;
        rng = 15;
        first_life_on(4 * BLOCKS, make_many);
        write_all(MANY, 1);
        for (chosen = 0; chosen < MANY; chosen++)
                hosted_run(run_section, free_chosen);
        commit_all();
        power_off();
        life_begins(78, 8192);
        assert_true(root()->nfree > MANY / 2);
        for (unsigned n = MANY / 8; n <= MANY; n += MANY / 8) {
                write_all(n, 9);
                check_structure();
        }
        read_everything();
        commit_all();
        power_off();
        simdisk_free(&disk);
}

static unsigned resident_bits(void)
{
        unsigned n = 0;

        for (uint64_t i = 0; i < root()->records_end / RECORDS_PAGE; i += 64)
                n += i >= (DATA_PPN / RECORDS_PAGE & ~63ul) ? (unsigned)__builtin_popcountl(*resident_word(i)) : 0;
        return n;
}

#define SPREAD 40u
#define LONE   20u
static void *spread[SPREAD], *lone;

/* Runs in places that are far from each other: of pages of records nearly each has some. One has a byte block alone. */
static void make_spread(void)
{
        unsigned i = chosen / (MANY / SPREAD) - 1;

        section_changes();
        if (i == LONE)
                lone = space_alloc_bytes(1900);
        spread[i] = i < LONE - 6 || i > LONE + 6 ? space_alloc_bytes(2 * 4096) : NULL;
}

static void free_spread(void)
{
        section_changes();
        for (unsigned i = 0; i < SPREAD; i++)
                if (spread[i])
                        space_free_bytes(spread[i]);
}

static void forget_map(void)
{
        section_changes();
        root()->resident_map = 0;
        for (uint64_t i = DATA_PPN / RECORDS_PAGE & ~63ul; i < root()->records_end / RECORDS_PAGE; i += 64)
                *resident_word(i) = 0;
}

/* A life begins with few page records; who touches one of the others has it read, and the writer reads the rest before it commits anything. */
static void records_when_touched(void **state)
{
        struct space_clock clock = {1, 2};
        unsigned absent, bits;
        uint64_t next, kept;

        (void)state;
        rng = 21;
        first_life_on(4 * BLOCKS, make_many);
        for (unsigned i = 0; i < SPREAD; i++) {
                for (chosen = i * (MANY / SPREAD); chosen < (i + 1) * (MANY / SPREAD); chosen++) {
                        chosen_seed = 100000 * chosen;
                        hosted_run(run_section, write_chosen);
                }
                hosted_run(run_section, make_spread);
        }
        commit_all();
        assert_true(nrecords(&absent) >= 12);
        assert_int_equal(absent, 0);
        bits = resident_bits();
        assert_true(bits >= 9);
        assert_int_equal(store_keep(store, KEPT_PINNED, &kept), 0);
        hosted_run(run_section, free_spread);
        commit_all();
        commit_all();
        space_check_pages();
        power_off();

        life_begins(78, 8192); /* takes back what the map has for nothing */
        assert_true(resident_bits() < bits / 2);
        assert_true(persist_host->page_present(space_ppn(lone)));
        commit_all();
        bits = resident_bits();
        power_off();

        for (unsigned life = 0; life < 6; life++) {
                disk.d.can_share = life != 3;
                life_begins(79 + life, 8192);
                assert_int_equal(root()->resident_map, 1);
                assert_true(persist_host->page_present(space_ppn(lone)));
                assert_int_equal(records_missing(),
                                 life != 3 && life != 2); /* life 2: the map is made from all of them */
                if (records_missing()) {
                        unsigned n = nrecords(&absent);

                        assert_true(life ||
                                    n < 2 * absent); /* later the free pages that the CPU has are of all parts */
                        for (unsigned i = 0; i < 3 * (life + 1); i++)
                                hosted_run(run_section, change_everything);
                        assert_true(records_on_the_spot() > 2);
                        assert_true(life || records_missing());
                        if (life == 4)
                                commit_all(); /* has all read first */
                        assert_true(life != 4 || !records_missing());
                }
                while (!snapshot_step(&next))
                        hosted_clock_ns = next;
                (void)nrecords(&absent);
                assert_int_equal(absent, 0);
                assert_false(records_missing() || disk.d.at_once);
                assert_true(resident_bits() >= bits);
                write_all(400, life);
                commit_all();
                space_check_pages();
                read_everything();
                if (life == 1) {
                        hosted_run(run_section, forget_map);
                        commit_all();
                }
                if (life == 5)
                        assert_int_equal(space_rollback(kept, &clock), 0);
                power_off();
        }
        life_begins(98, 8192); /* what was resident then, with a map that was forgotten since */
        for (unsigned i = 0; i < SPREAD; i++)
                assert_true(!spread[i] || persist_host->page_present(space_ppn(spread[i])));
        space_check_pages();
        power_off();
        assert_int_equal(store_open(&disk.d, 99, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        assert_int_equal(store_check(store, true, NULL, NULL), 0);
        store_close(store);
        simdisk_free(&disk);
}

/* Drops pages of all parts, but so few that nobody must wait for a commit. The table is changed later. */
#define SIDES 2u
#define DROPS 100u /* by each side */
static unsigned dropped[SIDES];

static void drop_next(unsigned side)
{
        ppn_t ppn = many()->ppn[(dropped[side] * SIDES + side) * (MANY / (SIDES * DROPS))];

        section_changes();
        space_page_unref(ppn);
        dropped[side]++;
}

static void drop_here(void)
{
        drop_next(0);
}

static void drop_there(void)
{
        drop_next(1);
}

static void *other_side(void *arg)
{
        hosted_cpu_enter(1);
        hosted_cpu_ready();
        __atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE); /* the writer may run: CPUs come before it does */
        while (dropped[1] < DROPS)
                hosted_run(run_section, drop_there);
        hosted_cpu_leave();
        return NULL;
}

static void forget_pages(void)
{
        section_changes();
        for (unsigned i = 0; i < SIDES * DROPS; i++)
                many()->ppn[i * (MANY / (SIDES * DROPS))] = 0;
}

/* Two CPUs meet page records that are not there yet, while the writer reads them, too. */
static void records_from_all_sides(void **state)
{
        bool begun = false;
        uint64_t next;
        pthread_t t;

        (void)state;
        rng = 22;
        first_life_on(4 * BLOCKS, make_many);
        write_all(MANY, 5);
        commit_all();
        power_off();
        memset(dropped, 0, sizeof(dropped));
        life_begins(78, 8192);
        assert_true(records_missing());
        assert_int_equal(pthread_create(&t, NULL, other_side, &begun), 0);
        while (!__atomic_load_n(&begun, __ATOMIC_ACQUIRE))
                sched_yield();
        while (dropped[0] < DROPS) {
                hosted_run(run_section, drop_here);
                if (dropped[0] % 30 == 0 && !snapshot_step(&next))
                        hosted_clock_ns = next;
        }
        assert_int_equal(pthread_join(t, NULL), 0);
        hosted_run(run_section, forget_pages);
        commit_all();
        assert_false(records_missing());
        space_check_pages();
        power_off();
        life_begins(79, 8192);
        space_check_pages();
        power_off();
        simdisk_free(&disk);
}

/* A store of a space at another address is refused. */
static void other_space(void **state)
{
        static const uint8_t uuid[16] = {5};
        struct space_clock clock;

        (void)state;
        hosted_quiet = true;
        simdisk_init(&disk, BLOCKS, 1);
        assert_int_equal(store_format(&disk.d, uuid, SPACE_START + 4096), 0);
        assert_int_equal(store_open(&disk.d, 77, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        assert_int_equal(space_open(store, &clock), -ENOENT);
        assert_int_equal(store_commit_begin(store, 1, store_next_epoch(store), &(struct store_clock){1, 2}), 0);
        assert_int_equal(store_commit_end(store), 0);
        hosted_open(8192);
        hosted_cpu_enter(0);
        space_types_register(test_types, T_TYPES);
        hosted_said[0] = 0;
        assert_int_equal(space_open(store, &clock), -EOPNOTSUPP);
        assert_non_null(strstr(hosted_said, "the store is of a space at"));
        power_off();
        simdisk_free(&disk);
        hosted_quiet = false;
}

/* Going back needs room for all that differs: refused before anything is written, and what is there goes on. */
static void rollback_without_room(void **state)
{
        struct space_clock clock = {1, 2};
        uint64_t epoch, nread;
        size_t nops;

        (void)state;
        rng = 13;
        hosted_quiet = true;
        first_life_on(SMALL, make_many);
        write_all(1000, 1);
        commit_all();
        assert_int_equal(store_keep(store, 0, &epoch), 0);
        for (unsigned i = 0; i < 1000; i += 100) {
                for (chosen = i; chosen < i + 100; chosen++) {
                        chosen_seed = 7 + 100000 * chosen;
                        hosted_run(run_section, write_chosen);
                }
                commit_all();
        }
        nops = disk.nops;
        nread = disk.nblocks_read;
        assert_int_equal(space_rollback(epoch, &clock), -ENOSPC);
        assert_true(disk.nblocks_read - nread < 100); /* sums are compared, not pages */
        assert_int_equal(disk.nops, nops);
        chosen = 3;
        chosen_seed = 99;
        hosted_run(run_section, write_chosen);
        commit_all();
        assert_int_equal(store_check(store, true, NULL, NULL), 0);
        power_off();
        simdisk_free(&disk);
        hosted_quiet = false;
}

#define TEST_ALONE(f) cmocka_unit_test(f)

/* ---- time travel ---- */

#define COPIES 4096u
static struct {
        uint64_t epoch;
        ppn_t ppn;
        int error;
        uint8_t *page; /* NULL: wanted */
} copies[COPIES];
static unsigned ncopies;

static const void *copy_find(uint64_t epoch, ppn_t ppn, int *error)
{
        *error = 0;
        for (unsigned i = 0; i < ncopies; i++) {
                if (copies[i].epoch == epoch && copies[i].ppn == ppn) {
                        *error = copies[i].error;
                        return copies[i].page;
                }
        }
        return NULL;
}

static void copy_fetch(uint64_t epoch, ppn_t ppn)
{
        int e;

        assert_true(ncopies < COPIES);
        copies[ncopies].epoch = epoch;
        copies[ncopies].ppn = ppn;
        copies[ncopies].page = malloc(4096);
        e = store_read_at(store, epoch, ppn, copies[ncopies].page);
        copies[ncopies].error = e == -ENOENT ? 0 : e;
        if (copies[ncopies].error) {
                free(copies[ncopies].page);
                copies[ncopies].page = NULL;
        }
        ncopies++;
}

static int copy_use(uint64_t epoch, bool on)
{
        (void)epoch;
        (void)on;
        return 0;
}

static uint64_t old_epoch;
static unsigned nforged;

static void old_retry(void *arg)
{
        void (*fn)(void) = arg;

        assert_true(old_pending());
        old_fetch();
        assert_true(old_arrived());
        section_begin(old_retry, arg);
        fn();
        section_end();
}

static void run_old(void *arg)
{
        void (*fn)(void) = arg;

        section_begin(old_retry, arg);
        fn();
        section_end();
}

/* The table of then, read as a stranger reads it: same sum as then. */
static void sum_up_old(void)
{
        const void *at = old_root(old_epoch, ROOT_PVM);
        static uint32_t bytes[5 * 1024];
        static struct table t;
        uint64_t h = 1;

        assert_non_null(at);
        assert_true(old_copy(old_epoch, at, &t, sizeof(t)));
        for (unsigned i = 0; i < SLOTS; i++) {
                h = h * 31 + t.slot[i].kind;
                if (!t.slot[i].kind)
                        continue;
                assert_true(old_copy(old_epoch, t.slot[i].p, bytes, t.slot[i].len / 4 * 4));
                if (t.slot[i].kind == BIG) {
                        const char *o = old_object(old_epoch, t.slot[i].p, T_BIG);
                        unsigned offset = (uint64_t)t.slot[i].p % 4096, inside = offset + 16;
                        struct slab *b = (struct slab *)(uintptr_t)(o - offset);

                        assert_memory_equal(o, bytes, t.slot[i].len);
                        assert_null(old_object(old_epoch, t.slot[i].p, T_TWIN));
                        assert_null(old_object(old_epoch, (char *)t.slot[i].p + 16, T_BIG));
                        /* What a page of then says is not trusted: a live bit inside an object makes none there. */
                        b->live[inside >> 10] |= 1ul << (inside >> 4 & 63);
                        assert_null(old_object(old_epoch, (char *)t.slot[i].p + 16, T_BIG));
                        b->live[inside >> 10] &= ~(1ul << (inside >> 4 & 63));
                        nforged += offset == SLAB_FIRST; /* behind the other one there is no room for a third */
                }
                for (size_t k = 0; k < t.slot[i].len / 4; k++)
                        h = h * 31 + bytes[k];
        }
        assert_null(old_bytes(old_epoch, (void *)8, 8));
        assert_null(old_bytes(old_epoch, (char *)at + 4090 - (uint64_t)at % 4096, 8)); /* across a page's end */
        assert_false(old_copy(old_epoch, (void *)~0ul, bytes, 8));
        seen_sum = h;
}

/* A kept snapshot is read while the space goes on; then it becomes the newest state; then what was given up does. */
static void time_travel(void **state)
{
        static const struct old_source source = {copy_find, copy_fetch, copy_use};
        struct store_kept kept[4];
        struct space_clock clock;
        uint64_t epoch[2], sums[2];
        struct store_info info;

        (void)state;
        rng = 815;
        old_source_register(&source);
        first_life();
        for (unsigned k = 0; k < 2; k++) {
                for (unsigned i = 0; i < 10; i++) {
                        mutate((unsigned)pick(30) + 5);
                        commit_now(i % 2);
                }
                mutate(1);
                commit_now(false);
                assert_int_equal(store_keep(store, 0, &epoch[k]), 0);
                assert_int_equal(epoch[k], history[nhistory - 1].epoch);
                sums[k] = history[nhistory - 1].sum;
        }
        mutate(50);
        commit_now(true);
        assert_true(sums[0] != sums[1]);
        for (unsigned k = 0; k < 2; k++) {
                old_epoch = epoch[k];
                hosted_run(run_old, sum_up_old);
                assert_true(seen_sum == sums[k]);
        }
        assert_true(nforged);
        assert_int_equal(store_kept(store, kept, 4), 2);
        for (unsigned k = 0; k < 4; k++) {
                uint64_t to = epoch[k % 2];

                clock = (struct space_clock){kept[k % 2].clock.mono_ns, kept[k % 2].clock.real_ns};
                assert_int_equal(space_rollback(to + 1000, &clock) == 0, false);
                assert_int_equal(space_rollback(to, &clock), 0);
                power_off();
                assert_int_equal(store_open(&disk.d, 200 + k, &store), 0);
                hosted_clock_ns += store_wait_ns(store);
                store_info(store, &info);
                assert_true(info.epoch > epoch[1] && info.clock.mono_ns == kept[k % 2].clock.mono_ns);
                open_life();
                assert_true(sum() == sums[k % 2]);
                mutate(20);
                nhistory = 0;
                commit_now(true);
                check_structure();
        }
        assert_int_equal(store_check(store, true, NULL, NULL), 0);
        assert_int_equal(store_drop(store, epoch[0]), 0);
        assert_int_equal(store_check(store, true, NULL, NULL), 0);
        power_off();
        while (ncopies)
                free(copies[--ncopies].page);
        simdisk_free(&disk);
}

/* ---- a space that runs gets a store ---- */

static int attached; /* 1: not yet */

static void note_attached(int error)
{
        attached = error;
}

static void memory_life(void)
{
        hosted_open(8192);
        hosted_cpu_enter(0);
        space_types_register(test_types, T_TYPES);
        assert_int_equal(space_create(), 0);
        hosted_cpu_ready();
        hosted_run(run_section, make_table);
        mutate(60);
        snapshot_barrier(); /* part of what it has is clean */
        mutate(10);
        nhistory = 0;
}

static void attach_to(uint64_t nblocks, uint32_t fail_writes)
{
        static const uint8_t uuid[16] = {9};
        uint64_t next;

        simdisk_init(&disk, nblocks, rng);
        assert_int_equal(store_format(&disk.d, uuid, SPACE_START), 0);
        simdisk_settle(&disk);
        assert_int_equal(store_open(&disk.d, 77, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        attached = 1;
        if (space_attach(store, note_attached))
                return;
        disk.fail_writes = fail_writes;
        hosted_on_yield = mutate_in_yield;
        while (attached == 1)
                snapshot_step(&next);
        hosted_on_yield = NULL;
        disk.fail_writes = 0;
}

/* What a cut leaves of the first state is that state whole, or says that it was never finished. */
static void attach_while_running(void **state)
{
        unsigned whole = 0, unfinished = 0;
        uint64_t at_barrier, end;
        struct space_clock clock;

        (void)state;
        hosted_quiet = true;
        rng = 99;
        snapshot_attach_slice = 64;
        memory_life();
        at_barrier = sum();
        attach_to(BLOCKS, 0);
        assert_int_equal(attached, 0);
        end = disk.nops;
        assert_int_not_equal(sum(), at_barrier); /* it went on meanwhile */
        assert_true(snapshot_has_store());
        mutate(20);
        commit_now(true);
        power_off();
        for (unsigned cut = 0; cut < CUTS; cut++) {
                size_t at = cut % 4 ? pick(end + 1) : end;
                struct simdisk past;
                int r;

                simdisk_init(&past, BLOCKS, rng);
                simdisk_cut(&disk, at, (enum cut_mode)(cut % CUT_MODES), &rng, &past);
                assert_int_equal(store_open(&past.d, 100 + cut, &store), 0);
                hosted_clock_ns += store_wait_ns(store);
                hosted_open(8192);
                hosted_cpu_enter(0);
                space_types_register(test_types, T_TYPES);
                r = space_open(store, &clock);
                if (!r) {
                        hosted_cpu_ready();
                        space_fetch_at_once(false);
                        assert_true(sum() == at_barrier);
                        check_structure();
                        assert_int_equal(store_check(store, true, NULL, NULL), 0);
                        whole++;
                } else {
                        assert_int_equal(r, -ENOENT);
                        assert_true(at < end);
                        unfinished++;
                }
                power_off();
                simdisk_free(&past);
        }
        assert_true(whole && unfinished);
        assert_int_equal(store_open(&disk.d, 99, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        open_life();
        assert_true(sum() == history[0].sum);
        power_off();
        simdisk_free(&disk);
        snapshot_attach_slice = 16384;
}

static void grow(void)
{
        section_changes();
        for (unsigned i = 0; i < 50; i++)
                (void)space_page_alloc_zeroed(PAGE_ANON);
}

/* A disk that fails, or is too small: the space goes on in memory alone, and can get another one. */
static void attach_fails(void **state)
{
        uint64_t before;

        (void)state;
        hosted_quiet = true;
        rng = 5;
        memory_life();
        for (unsigned i = 0; i < 12; i++)
                hosted_run(run_section, grow);
        before = sum();
        attach_to(512, 0);
        assert_int_equal(attached, 1);
        assert_true(sum() == before && !snapshot_has_store());
        store_close(store);
        simdisk_free(&disk);
        attach_to(BLOCKS, 1000);
        assert_int_equal(attached, -EIO);
        assert_false(snapshot_has_store());
        store_close(store);
        simdisk_free(&disk);
        mutate(50);
        snapshot_barrier();
        check_structure();
        space_check_each_barrier = true; /* as before: without a store the checkers run */
        snapshot_barrier();
        space_check_each_barrier = false;
        before = sum();
        attach_to(BLOCKS, 0);
        assert_int_equal(attached, 0);
        power_off();
        assert_int_equal(store_open(&disk.d, 99, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        open_life();
        assert_true(sum() == before);
        power_off();
        simdisk_free(&disk);
}

/* The machine before may still write for a moment: commits wait, pages come. */
static void waits_for_the_one_before(void **state)
{
        uint64_t epoch, before, next;

        (void)state;
        rng = 5;
        first_life_on(2 * BLOCKS, make_table); /* so many pages may be dirty that nobody waits for a commit */
        mutate(50);
        commit_now(false);
        before = sum();
        power_off();
        assert_int_equal(store_open(&disk.d, 78, &store), 0);
        assert_int_equal(store_wait_ns(store), 1000000000);
        open_life();
        assert_true(sum() == before);
        mutate(5);
        epoch = snapshot_epoch();
        for (unsigned i = 0; i < 3; i++) {
                snapshot_request();
                snapshot_step(&next);
                assert_false(snapshot_is_durable(epoch));
                assert_int_equal(next, hosted_clock_ns + store_wait_ns(store));
                hosted_clock_ns += 300000000;
        }
        hosted_clock_ns = next;
        snapshot_step(&next);
        assert_true(snapshot_is_durable(epoch));
        power_off();
        simdisk_free(&disk);
}

/* Where the page is now. */
static uint8_t *block_of(ppn_t ppn)
{
        struct recent *r = recent_find(store, ppn);
        struct disk_map m = {0};

        if (!r)
                assert_int_equal(map_get(store, ppn, &m), 0);
        return disk.now + (r ? r->block : map_block(&m)) * 4096;
}

static struct scrub_stats scrub_all(void)
{
        struct scrub_stats s;
        uint64_t next;

        scrub_start();
        do {
                snapshot_step(&next);
                if (next > hosted_clock_ns)
                        hosted_clock_ns = next;
                scrub_stats(&s);
        } while (s.running);
        return s;
}

static ppn_t nth_page(unsigned n, bool present)
{
        for (ppn_t ppn = DATA_PPN; ppn < root()->frontier; ppn++)
                if (record(ppn)->kind == PAGE_ANON && persist_host->page_present(ppn) == present && !n--)
                        return ppn;
        fail_msg("no such page");
        return 0;
}

/* Pages of the newest state, and those that are another one in the kept snapshot. */
static uint64_t stored(ppn_t first, ppn_t end, uint64_t kept)
{
        uint64_t n = 0;

        for (ppn_t ppn = first; ppn < end; ppn++) {
                n += store_verify(store, 0, ppn, 0) == 0;
                n += store_verify(store, kept, ppn, 0) == 0 && store_differs(store, kept, ppn) == 1;
        }
        return n;
}

/* All is read, each block once; a damaged page that is in memory is written anew, one that is not is told of, one of a kept snapshot too. */
static void scrubbed(void **state)
{
        struct scrub_stats s;
        uint64_t before, kept, nread, next;
        ppn_t ppn;

        (void)state;
        rng = 7;
        first_life();
        mutate(150);
        commit_now(false);
        assert_int_equal(store_keep(store, KEPT_PINNED, &kept), 0);
        mutate(30);
        commit_now(false);
        assert_int_equal(store_checkpoint(store), 0);
        before = sum();
        nread = disk.nblocks_read;
        s = scrub_all();
        assert_true(s.passes == 1 && s.states == 1 && s.damaged == 0);
        nread = disk.nblocks_read - nread;
        assert_true(s.pages > 100 &&
                    nread < s.pages + s.pages / 4 + 50); /* packed pages take their record, and there are nodes */
        assert_int_equal(s.pages, stored(ROOT_PPN, CPU_PPN + PERSIST_CPUS, kept) +
                                          stored(RESIDENT_FIRST, resident_stop(root()->records_end), kept) +
                                          stored(RECORD_FIRST, record_ppn(root()->records_end), kept) +
                                          stored(DATA_PPN, root()->frontier, kept));

        ppn = nth_page(3, true); /* in memory */
        block_of(ppn)[77] ^= 4;
        s = scrub_all();
        assert_true(s.damaged == 1 && s.mended == 1);
        snapshot_request();
        snapshot_step(&next);
        s = scrub_all(); /* if a kept snapshot has the same block, there it stays damaged */
        assert_true(s.damaged <= 1 && s.mended == 0);
        assert_true(sum() == before);
        power_off();

        assert_int_equal(store_open(&disk.d, 78, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        open_life();
        assert_true(sum() == before); /* it was written anew */
        power_off();

        assert_int_equal(store_open(&disk.d, 79, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        open_life();
        ppn = nth_page(5, false); /* nowhere but on the disk */
        block_of(ppn)[99] ^= 1;
        hosted_quiet = true;
        hosted_said[0] = 0;
        s = scrub_all();
        hosted_quiet = false;
        assert_true(s.damaged >= 1 && s.mended == 0);
        assert_non_null(strstr(hosted_said, "whoever reads it gets an error"));
        block_of(ppn)[99] ^= 1;
        assert_true(sum() == before);
        power_off();
        simdisk_free(&disk);
}

static uint64_t left;

static void then(uint64_t arg)
{
        left = arg;
}

/* The machine is turned off in order: what was durable is the last state, nothing is written behind it, and the next life need not wait. */
static void leaving(void **state)
{
        struct store_info info;
        uint64_t before, next;
        size_t nops;

        (void)state;
        rng = 6;
        first_life();
        mutate(50);
        commit_now(false);
        before = sum();
        mutate(5);
        left = 0;
        snapshot_leave(then, 42);
        assert_int_equal(left, 0);
        snapshot_step(&next);
        assert_int_equal(left, 42);
        nops = disk.nops;
        snapshot_request();
        snapshot_step(&next);
        assert_int_equal(disk.nops, nops);
        power_off();
        assert_int_equal(store_open(&disk.d, 78, &store), 0);
        store_info(store, &info);
        assert_int_equal(info.attempts, 1);
        assert_int_equal(store_wait_ns(store), 0);
        open_life();
        assert_true(sum() == before);
        power_off();
        simdisk_free(&disk);
}

/* usage: persist_snapshot [TEST] */
int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {TEST_ALONE(commits_while_running),
                                           TEST_ALONE(cadence),
                                           TEST_ALONE(failing_disk),
                                           TEST_ALONE(larger_than_memory),
                                           TEST_ALONE(no_frame_for_the_evicted),
                                           TEST_ALONE(working_set),
                                           TEST_ALONE(full_disk),
                                           TEST_ALONE(small_disk_is_used),
                                           TEST_ALONE(time_travel),
                                           TEST_ALONE(what_may_go),
                                           TEST_ALONE(freed_while_captured),
                                           TEST_ALONE(freed_run_goes),
                                           TEST_ALONE(free_in_the_life_before),
                                           TEST_ALONE(damaged_page),
                                           TEST_ALONE(records_when_touched),
                                           TEST_ALONE(records_from_all_sides),
                                           TEST_ALONE(other_space),
                                           TEST_ALONE(rollback_without_room),
                                           TEST_ALONE(attach_while_running),
                                           TEST_ALONE(attach_fails),
                                           TEST_ALONE(waits_for_the_one_before),
                                           TEST_ALONE(leaving),
                                           TEST_ALONE(scrubbed),
                                           TEST_ALONE(pinned_page)};

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
