/*
 * persist_schema.c - a store whose objects are of an older version: they are today's wherever they are met (in memory, in kept snapshots, after a cut anywhere in the pass that
 * finishes the change), each is migrated exactly once per reading of its page, and what was freed is left alone.
 */
#include "tests/unit/persist_test.h"
#include "persist/old.h"
#include "persist/host/simdisk.h"
#include "persist/store/store.h"

#define BLOCKS 1024u
#define SMALLS 600u
#define CUTS   40u
#define TODAY  0x70DA7ul

/* Version 1 had the number alone; version 2 says that it knows. */
struct small {
        uint64_t number, knows, zero;
};
struct table {
        struct small *small[SMALLS];
        struct small *resident;
};

static struct simdisk disk;
static struct store *store;
static unsigned nmigrated;

static void small_migrate(void *object, unsigned from)
{
        struct small *s = object;

        assert_int_equal(from, 1);
        assert_true(s->number && !s->knows);
        s->knows = TODAY;
        nmigrated++;
}

static void register_version(unsigned version)
{
        static struct space_type types[T_TYPES];

        memcpy(types, test_types, sizeof(types));
        types[T_SMALL].version = types[T_RESIDENT].version = (uint16_t)version;
        types[T_SMALL].migrate = types[T_RESIDENT].migrate = version > 1 ? small_migrate : NULL;
        space_types_register(types, T_TYPES);
}

static void retry(void *arg)
{
        void (*fn)(void) = arg;
        uint64_t next;
        int r;

        while ((r = space_fetch_start(space_fetch_pending())) > 0)
                snapshot_step(&next);
        assert_int_equal(r, 0);
        section_begin(retry, arg);
        fn();
        section_end();
}

static void start(void *arg)
{
        void (*fn)(void) = arg;

        section_begin(retry, arg);
        fn();
        section_end();
}

static void run(void (*fn)(void))
{
        hosted_run(start, fn);
}

static void commit(void)
{
        uint64_t next;

        hosted_clock_ns += 1000;
        snapshot_request();
        snapshot_step(&next);
        assert_int_equal(snapshot_error(), 0);
}

static struct table *table(void)
{
        return space_root_get(ROOT_PVM);
}

static void make_table(void)
{
        section_changes();
        space_root_set(ROOT_PVM, space_alloc_bytes(sizeof(struct table)));
        table()->resident = space_alloc(T_RESIDENT);
        table()->resident->number = 1;
        root()->schema = 0; /* as stores of the first schema have it */
}

static unsigned made;

static void make_some(void)
{
        section_changes();
        for (unsigned i = 0; i < 20; i++, made++) {
                table()->small[made] = space_alloc(T_SMALL);
                table()->small[made]->number = made + 1;
        }
}

/* Every third is freed: its place keeps the links of the free list. */
static void free_some(void)
{
        section_changes();
        for (unsigned i = 0; i < SMALLS; i += 3) {
                space_free(table()->small[i]);
                table()->small[i] = NULL;
        }
}

static unsigned nseen;

static void look(void)
{
        nseen = 1;
        assert_true(table()->resident->number == 1 && table()->resident->knows == TODAY);
        for (unsigned i = 0; i < SMALLS; i++) {
                const struct small *s = table()->small[i];

                if (!s)
                        continue;
                assert_true(s->number == i + 1 && s->knows == TODAY && !s->zero);
                nseen++;
        }
}

static void first_life(void)
{
        static const uint8_t uuid[16] = {1};

        simdisk_init(&disk, BLOCKS, 7);
        assert_int_equal(store_format(&disk.d, uuid, SPACE_START), 0);
        assert_int_equal(store_open(&disk.d, 77, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        hosted_open(8192);
        hosted_cpu_enter(0);
        register_version(1);
        assert_int_equal(space_create(), 0);
        assert_int_equal(space_attach(store, NULL), 0);
        hosted_cpu_ready();
        run(make_table);
        for (made = 0; made < SMALLS;)
                run(make_some);
        commit();
        run(free_some);
        space_drain();
        commit();
}

static int open_life(struct simdisk *d, unsigned version, uint64_t owner)
{
        struct space_clock clock;
        int r;

        assert_int_equal(store_open(&d->d, owner, &store), 0);
        hosted_clock_ns += store_wait_ns(store);
        hosted_open(8192);
        hosted_cpu_enter(0);
        register_version(version);
        nmigrated = 0;
        r = space_open(store, &clock);
        if (r)
                return r;
        hosted_cpu_ready();
        space_fetch_at_once(false);
        return 0;
}

static void power_off(void)
{
        hosted_close();
        store_close(store);
}

/* New ones beside the old, in places that old ones left. */
static void add_some(void)
{
        (void)*(volatile uint64_t *)&table()->resident->number;
        section_changes();
        for (unsigned i = 0; i < 30; i += 3) {
                table()->small[i] = space_alloc(T_SMALL);
                *table()->small[i] = (struct small){i + 1, TODAY, 0};
        }
}

static ppn_t pass_at;
static bool pass_done;

static void pass(void)
{
        pass_done = space_migrate(&pass_at);
}

static void migrated_as_it_is_met(void **state)
{
        (void)state;
        first_life();
        power_off();
        for (unsigned k = 0; k < 2; k++) { /* the second time as the first: nobody wrote */
                assert_int_equal(open_life(&disk, 2, 100 + k), 0);
                assert_false(space_is_migrated());
                run(look);
                assert_int_equal(nseen, SMALLS * 2 / 3 + 1);
                assert_int_equal(nmigrated, nseen);
                power_off();
        }
        assert_int_equal(open_life(&disk, 2, 110), 0);
        run(add_some);
        run(look);
        commit();
        assert_int_equal(nmigrated, SMALLS * 2 / 3 + 1);
        power_off();
        assert_int_equal(open_life(&disk, 2, 111), 0);
        run(look);
        assert_int_equal(nseen, SMALLS * 2 / 3 + 1 + 10);
        assert_true(nmigrated && nmigrated < nseen - 10); /* pages that were written to are today's */
        space_check_pages();
        power_off();
        hosted_quiet =
                true; /* a system of the older schema: the page that every boot reads is of a version that it does not know */
        assert_int_equal(open_life(&disk, 1, 112), -EOPNOTSUPP);
        hosted_quiet = false;
        power_off();
        simdisk_free(&disk);
}

static void pass_with_cuts(void **state)
{
        size_t from;
        uint64_t rng = 5;

        (void)state;
        first_life();
        power_off();
        from = disk.nops;
        assert_int_equal(open_life(&disk, 2, 120), 0);
        pass_at = 0;
        do {
                run(pass);
                commit();
        } while (!pass_done);
        assert_true(space_is_migrated());
        power_off();
        assert_int_equal(open_life(&disk, 2, 121), 0);
        run(look);
        assert_int_equal(nmigrated, 0);
        assert_true(space_is_migrated());
        power_off();
        for (unsigned cut = 0; cut < CUTS; cut++) {
                struct simdisk past;

                simdisk_init(&past, BLOCKS, 7);
                simdisk_cut(&disk, from + hosted_random(&rng) % (disk.nops - from), (enum cut_mode)(cut % CUT_MODES),
                            &rng, &past);
                assert_int_equal(open_life(&past, 2, 130 + cut), 0);
                run(look);
                assert_int_equal(nseen, SMALLS * 2 / 3 + 1);
                assert_true(nmigrated == 0 || !space_is_migrated());
                power_off();
                simdisk_free(&past);
        }
        simdisk_free(&disk);
}

/* ---- a kept snapshot of then, read today ---- */

static struct {
        ppn_t ppn;
        uint8_t page[4096];
        bool none;
} copies[256];
static unsigned ncopies;

static const void *copy_find(uint64_t epoch, ppn_t ppn, int *error)
{
        (void)epoch;
        for (unsigned i = 0; i < ncopies; i++)
                if (copies[i].ppn == ppn) {
                        *error = copies[i].none ? -EIO : 0;
                        return copies[i].none ? NULL : copies[i].page;
                }
        *error = 0;
        return NULL;
}

static void copy_fetch(uint64_t epoch, ppn_t ppn)
{
        assert_true(ncopies < sizeof(copies) / sizeof(copies[0]));
        copies[ncopies].ppn = ppn;
        copies[ncopies].none = store_read_at(store, epoch, ppn, copies[ncopies].page) != 0;
        ncopies++;
}

static int copy_use(uint64_t epoch, bool on)
{
        (void)epoch;
        (void)on;
        return 0;
}

static uint64_t kept;

static void old_retry(void *arg)
{
        old_fetch();
        section_begin(old_retry, arg);
        ((void (*)(void))arg)();
        section_end();
}

static void start_old(void *arg)
{
        section_begin(old_retry, arg);
        ((void (*)(void))arg)();
        section_end();
}

static void look_back(void)
{
        static struct table t;

        assert_true(old_copy(kept, old_root(kept, ROOT_PVM), &t, sizeof(t)));
        for (unsigned i = 0; i < SMALLS; i++) {
                const struct small *s = t.small[i] ? old_object(kept, t.small[i], T_SMALL) : NULL;

                assert_int_equal(s != NULL, i % 3 != 0);
                assert_true(!s || (s->number == i + 1 && s->knows == TODAY));
        }
}

static void kept_snapshot_of_then(void **state)
{
        static const struct old_source source = {copy_find, copy_fetch, copy_use};

        (void)state;
        old_source_register(&source);
        first_life();
        assert_int_equal(store_keep(store, 0, &kept), 0);
        power_off();
        assert_int_equal(open_life(&disk, 2, 150), 0);
        pass_at = 0;
        do
                run(pass);
        while (!pass_done);
        run(add_some);
        commit();
        nmigrated = 0;
        hosted_run(start_old, look_back);
        assert_int_equal(nmigrated, SMALLS * 2 / 3);
        hosted_run(start_old, look_back);
        assert_int_equal(nmigrated, SMALLS * 2 / 3); /* once */
        power_off();
        simdisk_free(&disk);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(migrated_as_it_is_met), cmocka_unit_test(pass_with_cuts),
                                           cmocka_unit_test(kept_snapshot_of_then)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
