/*
 * persist_space.c - allocator of the space on one CPU: pages, runs, slabs and byte blocks against models, shortage of memory, the root, and that the
 * checkers find what is wrong.
 */
#include "tests/unit/persist_test.h"

#define SLOTS 700

/* ---- single pages ---- */

static void pages_are_distinct_and_counted(void **state)
{
        ppn_t page[SLOTS] = {0};
        uint32_t refs[SLOTS] = {0};
        uint64_t rng = 42;
        struct space_stats st;
        unsigned live = 0;

        (void)state;
        for (unsigned round = 0; round < 4000; round++) {
                change();
                for (unsigned i = 0; i < 16; i++) {
                        unsigned k = hosted_random(&rng) % SLOTS;

                        if (!page[k]) {
                                assert_true(space_room(1));
                                page[k] = space_page_alloc(PAGE_ANON);
                                refs[k] = 1;
                                live++;
                                *(uint64_t *)space_page(page[k]) = k;
                        } else if (hosted_random(&rng) % 3 == 0) {
                                space_page_ref(page[k]);
                                refs[k]++;
                        } else {
                                assert_int_equal(*(uint64_t *)space_page(page[k]), k);
                                assert_int_equal(space_page_refs(page[k]), refs[k]);
                                space_page_unref(page[k]);
                                if (!--refs[k]) {
                                        page[k] = 0;
                                        live--;
                                }
                        }
                }
                section_end();
                if (round % 500 == 0) {
                        space_check_pages();
                        space_stats(&st);
                        assert_int_equal(st.pages[PAGE_ANON] - st.deferred, live);
                }
        }
        /* An own list that grew gives pages back, and what was free was used again. */
        space_stats(&st);
        assert_true(st.pages_cached <= CPU_SPILL);
        assert_true(hosted_frames_used() < SLOTS + 400);
}

static void zeroed_page_is_zero(void **state)
{
        (void)state;
        change();
        for (unsigned i = 0; i < 40; i++) {
                const uint64_t *p = space_page(space_page_alloc_zeroed(PAGE_ANON));

                for (unsigned j = 0; j < 512; j++)
                        assert_int_equal(p[j], 0);
        }
        section_end();
}

/* ---- slabs and byte blocks ---- */

static void fill(unsigned char *p, size_t len, unsigned seed)
{
        for (size_t i = 0; i < len; i++)
                p[i] = (unsigned char)(seed + i * 7);
}

static void check_filled(const unsigned char *p, size_t len, unsigned seed)
{
        for (size_t i = 0; i < len; i++)
                if (p[i] != (unsigned char)(seed + i * 7))
                        fail_msg("byte %zu of %p changed", i, (const void *)p);
}

static void check_zero(const unsigned char *p, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (p[i])
                        fail_msg("byte %zu of %p is not zero", i, (const void *)p);
}

static void objects_keep_their_bytes(void **state)
{
        static struct {
                unsigned char *p;
                size_t len;
                unsigned type, seed;
        } slot[SLOTS];
        uint64_t rng = 7;

        (void)state;
        memset(slot, 0, sizeof(slot));
        for (unsigned round = 0; round < 20000; round++) {
                unsigned k = hosted_random(&rng) % SLOTS;

                change();
                if (slot[k].p) {
                        check_filled(slot[k].p, slot[k].len, slot[k].seed);
                        if (slot[k].type) {
                                assert_int_equal(space_type_of(slot[k].p), slot[k].type);
                                space_free(slot[k].p);
                        } else {
                                assert_true(space_bytes_size(slot[k].p) >= slot[k].len);
                                space_free_bytes(slot[k].p);
                        }
                        slot[k].p = NULL;
                } else {
                        slot[k].seed = round;
                        slot[k].type = hosted_random(&rng) % 2 ? 1 + hosted_random(&rng) % (T_TYPES - 1) : 0;
                        if (slot[k].type) {
                                slot[k].len = test_types[slot[k].type].size;
                                slot[k].p = space_alloc(slot[k].type);
                                assert_int_equal((uint64_t)slot[k].p % (slot[k].type == T_LINE ? 64 : 16), 0);
                        } else {
                                uint64_t r = hosted_random(&rng);

                                slot[k].len = r % 50 == 0 ? r / 50 % 20000 : r / 50 % 2400;
                                slot[k].p = space_alloc_bytes(slot[k].len);
                        }
                        check_zero(slot[k].p, slot[k].len);
                        fill(slot[k].p, slot[k].len, slot[k].seed);
                }
                section_end();
                if (round % 1000 == 0)
                        space_check_pages();
        }
}

static void count_one(void *object, void *arg)
{
        (void)object;
        ++*(unsigned *)arg;
}

static void each_object_is_walked_once(void **state)
{
        struct node *n[500];
        unsigned seen = 0;

        (void)state;
        for (unsigned i = 0; i < 500; i++) {
                change();
                n[i] = node_new();
                section_end();
        }
        for (unsigned i = 0; i < 500; i += 3) {
                change();
                space_free(n[i]);
                section_end();
        }
        space_each(T_NODE, count_one, &seen);
        assert_int_equal(seen, 500 - 167);
        seen = 0;
        space_each(T_BIG, count_one, &seen);
        assert_int_equal(seen, 0);
}

static void block_sizes(void **state)
{
        (void)state;
        for (size_t len = 0; len <= 64 * 4096; len += len < 5000 ? 13 : 4099) {
                void *p;
                change();
                p = space_alloc_bytes(len);
                assert_true(space_bytes_size(p) >= len);
                assert_int_equal((uint64_t)p % 16, 0);
                check_zero(p, len);
                section_end();
                change();
                space_free_bytes(p);
                space_free_bytes(NULL);
                section_end();
        }
        change();
        space_alloc_bytes(0);
        section_end();
        space_check_pages();
}

/* ---- misuse ---- */

static void free_twice(void *p)
{
        for (unsigned i = 0; i < 2; i++) {
                change();
                space_free(p);
                section_end();
        }
}

static void double_free_is_found(void **state)
{
        void *p;

        (void)state;
        change();
        p = space_alloc(T_SMALL);
        section_end();
        assert_non_null(strstr(hosted_panic_of(free_twice, p), "not a live object"));
}

static void unref_twice(void *p)
{
        for (unsigned i = 0; i < 2; i++) {
                change();
                space_page_unref(space_ppn(p));
                section_end();
        }
}

static void page_released_too_often_is_found(void **state)
{
        ppn_t ppn;

        (void)state;
        change();
        ppn = space_page_alloc(PAGE_FILE);
        section_end();
        assert_non_null(strstr(hosted_panic_of(unref_twice, space_page(ppn)), "more often"));
}

static void alloc_early(void *arg)
{
        (void)arg;
        section_begin(NULL, NULL);
        space_alloc(T_SMALL);
}

static void allocation_before_the_change_is_found(void **state)
{
        (void)state;
        assert_non_null(strstr(hosted_panic_of(alloc_early, NULL), "P14"));
}

static void store_early(void *p)
{
        snapshot_barrier();
        section_begin(NULL, NULL);
        *(volatile char *)p = 1;
}

static void store_before_the_change_is_found(void **state)
{
        void *p;

        (void)state;
        change();
        p = space_alloc(T_SMALL);
        section_end();
        assert_non_null(strstr(hosted_panic_of(store_early, p), "P14"));
}

static void dirty_many(void *first)
{
        change();
        for (unsigned i = 0; i <= SECTION_PAGES; i++)
                *((volatile char *)first + i * 4096) = 1;
}

static void more_than_the_credit_is_found(void **state)
{
        void *p;

        (void)state;
        change();
        p = space_alloc_bytes(64 * 4096);
        section_end();
        change();
        assert_ptr_equal((char *)p + 64 * 4096,
                         space_alloc_bytes(64 * 4096)); /* a neighbour, so that there are 65 in a row */
        section_end();
        snapshot_barrier();
        assert_non_null(strstr(hosted_panic_of(dirty_many, p), "P10"));
}

/* ---- shortage ---- */

static void growth_stops_before_memory_ends(void **state)
{
        ppn_t page[4096];
        unsigned n = 0;
        bool room;

        (void)state;
        for (;;) {
                section_begin(NULL, NULL);
                room = space_room(1);
                if (room) {
                        section_changes();
                        assert_true(n < 4096);
                        page[n++] = space_page_alloc(PAGE_ANON);
                }
                section_end();
                if (!room)
                        break;
        }
        /* All but the floor was given out, and what remains is enough for sections that do not ask. */
        assert_in_range(n, 4096 - 450, 4096);
        for (unsigned i = 0; i < 3; i++) {
                change();
                for (unsigned j = 0; j < 20; j++)
                        space_alloc_bytes(2000);
                section_end();
        }
        space_check_pages();
        while (n) {
                change();
                for (unsigned i = 0; i < 50 && n; i++)
                        space_page_unref(page[--n]);
                section_end();
        }
        section_begin(NULL, NULL);
        assert_true(space_room(3000));
        section_end();
        space_check_pages();
}

static void frames_come_back_on_demand(void **state)
{
        ppn_t page[2000];
        void *run;
        uint64_t before;
        struct space_stats st;

        (void)state;
        for (unsigned i = 0; i < 2000;) {
                change();
                for (unsigned j = 0; j < 40; j++)
                        page[i++] = space_page_alloc(PAGE_ANON);
                section_end();
        }
        for (unsigned i = 0; i < 2000;) {
                change();
                for (unsigned j = 0; j < 40; j++)
                        space_page_unref(page[i++]);
                section_end();
        }
        before = hosted_frames_used();
        assert_true(space_trim(500) >= 500);
        assert_true(hosted_frames_used() <= before - 500);
        space_check_pages();
        space_trim(UINT64_MAX);
        space_check_pages();
        space_stats(&st);
        assert_true(st.pages[PAGE_FREE] < CPU_CREDIT + CHAIN_PAGES);
        /* The addresses are used again. */
        before = st.pages_top;
        for (unsigned i = 0; i < 1000; i++) {
                change();
                space_page_alloc(PAGE_ANON);
                section_end();
        }
        space_stats(&st);
        assert_int_equal(st.pages_top, before);
        /* So are runs', with and without frames. */
        for (unsigned round = 0; round < 2; round++) {
                change();
                run = space_alloc_bytes(10 * 4096);
                section_end();
                change();
                space_free_bytes(run);
                section_end();
                space_trim(round ? UINT64_MAX : 0);
                space_check_pages();
        }
        /* The writer takes them outside sections, but for those in the CPUs' own lists. */
        for (unsigned i = 0; i < 1000; i++) {
                change();
                page[i] = space_page_alloc(PAGE_ANON);
                section_end();
        }
        for (unsigned i = 0; i < 1000;) {
                change();
                for (unsigned j = 0; j < 40; j++)
                        space_page_unref(page[i++]);
                section_end();
        }
        before = hosted_frames_used();
        assert_true(pages_trim(200) >= 200);
        assert_true(hosted_frames_used() <= before - 200);
        while (pages_trim(200))
                ;
        space_check_pages();
        change();
        assert_ptr_equal(space_alloc_bytes(16 * 4096), run);
        section_end();
        space_check_pages();
}

/* All free memory is in single pages: a run takes it from there. And the other way round. Who asks for room has not changed anything, and the allocator's own pages are clean. */
static void runs_and_pages_share_memory(void **state)
{
        void *run[60];
        ppn_t page[3000];
        unsigned n = 0;

        (void)state;
        for (unsigned round = 0; round < 3; round++) {
                for (n = 0; n < 3000; n++) {
                        section_begin(NULL, NULL);
                        assert_true(space_room(1));
                        section_changes();
                        page[n] = space_page_alloc(PAGE_ANON);
                        section_end();
                }
                while (n) {
                        change();
                        space_page_unref(page[--n]);
                        section_end();
                }
                for (n = 0; n < 45; n++) {
                        snapshot_barrier();
                        section_begin(NULL, NULL);
                        assert_true(space_room(CPU_SPILL)); /* more than the own list has */
                        section_changes();
                        run[n] = space_alloc_bytes(64 * 4096 - 5);
                        section_end();
                }
                space_check_pages();
                while (n) {
                        change();
                        space_free_bytes(run[--n]);
                        section_end();
                }
                space_check_pages();
        }
}

static void take_all(void *arg)
{
        (void)arg;
        change();
        for (;;)
                space_page_alloc(PAGE_ANON);
}

static void who_does_not_ask_is_stopped(void **state)
{
        (void)state;
        assert_non_null(strstr(hosted_panic_of(take_all, NULL), "space_room() was not asked"));
}

/* ---- deferred frees ---- */

static void many_frees_in_one_go(void **state)
{
        ppn_t page[3000];
        struct space_stats st;

        (void)state;
        for (unsigned i = 0; i < 3000; i++) {
                change();
                page[i] = space_page_alloc(PAGE_ANON);
                section_end();
        }
        change();
        for (unsigned i = 0; i < 3000; i++) {
                space_page_unref(page[i]);
                if (i % 60 == 59) {
                        section_step();
                        section_changes();
                }
        }
        space_stats(&st);
        assert_int_equal(st.deferred, 3000);
        assert_int_equal(*(char *)space_page(page[0]), *(char *)space_page(page[0])); /* still readable */
        section_end();
        space_check_pages();
        space_stats(&st);
        assert_true(st.deferred > 2800); /* a bounded piece */
        for (unsigned i = 0; i < 60; i++) {
                change();
                section_end();
        }
        space_stats(&st);
        assert_int_equal(st.deferred, 0);
        assert_int_equal(st.pages[PAGE_ANON], 0);
        space_check_pages();
}

/* ---- root and checkers ---- */

static void root_slots(void **state)
{
        void *p;

        (void)state;
        change();
        p = space_alloc(T_NODE);
        space_root_set(ROOT_PVM, p);
        section_end();
        assert_ptr_equal(space_root_get(ROOT_PVM), p);
        assert_null(space_root_get(ROOT_POSIX));
}

static struct node *walked[10];
static ppn_t walked_page;

static void walk(const struct space_visitor *v)
{
        for (unsigned i = 0; i < 10 && walked[i]; i++)
                v->object(walked[i]);
        if (walked_page)
                v->page(walked_page);
}

/* a -> b (twice), b -> a; a owns bytes; c is found by the walker only. */
static void tree(struct node **a, struct node **b, struct node **c)
{
        change();
        *a = node_new();
        *b = node_new();
        *c = node_new();
        (*a)->ref[0] = (*a)->ref[1] = *b;
        (*b)->ref[0] = *a;
        (*b)->o.refs = 2;
        (*a)->own = space_alloc_bytes(100);
        (*b)->own = space_alloc_bytes(10000);
        (*a)->borrow = &(*c)->tag;
        section_end();
        memset(walked, 0, sizeof(walked));
        walked[0] = *c;
        walked_page = 0;
        space_ref_walker_register(walk, 1u << PAGE_FILE);
}

static void run_checks(void *arg)
{
        (void)arg;
        space_check_p1();
        space_check_p12();
}

static void checkers_accept_what_is_right(void **state)
{
        struct node *a, *b, *c, *gone;

        (void)state;
        tree(&a, &b, &c);
        change();
        walked_page = space_page_alloc(PAGE_FILE);
        section_end();
        run_checks(NULL);
        /* Freed and waiting: neither walked nor counted. */
        change();
        gone = node_new();
        gone->ref[0] = (void *)0x1234;
        space_free(gone);
        run_checks(NULL);
        section_end();
        run_checks(NULL);
}

#define CHECK_FINDS(name, message, ...)                                                                                \
        static void name(void **state)                                                                                 \
        {                                                                                                              \
                struct node *a, *b, *c;                                                                                \
                const char *found;                                                                                     \
                                                                                                                       \
                (void)state;                                                                                           \
                tree(&a, &b, &c);                                                                                      \
                change();                                                                                              \
                __VA_ARGS__;                                                                                           \
                section_end();                                                                                         \
                found = hosted_panic_of(run_checks, NULL);                                                             \
                assert_non_null(found);                                                                                \
                if (!strstr(found, message))                                                                           \
                        fail_msg("%s", found);                                                                         \
        }

CHECK_FINDS(stranger_is_found, "P1: pointer out of the space", a->borrow = &c)
CHECK_FINDS(pointer_to_free_page_is_found, "P1: pointer to a page that is not in use",
            a->borrow = (void *)(SPACE_START + (space_ppn(a) + 30) * 4096))
CHECK_FINDS(pointer_into_object_is_found, "P1: pointer to an object that is not live", a->own = (char *)c + 8)
CHECK_FINDS(reference_to_uncounted_is_found, "P1: counted reference to an object without a count",
            a->ref[1] = space_alloc(T_SMALL);
            b->o.refs = 1)
CHECK_FINDS(reference_to_freed_is_found, "P1: pointer to an object that is not live", space_free(b))
CHECK_FINDS(count_too_high_is_found, "P12: node", b->o.refs = 3)
CHECK_FINDS(count_too_low_is_found, "P12: node", a->o.refs = 0)
CHECK_FINDS(walked_to_freed_is_found, "P12: counted reference to", a->borrow = NULL; space_free(c))
CHECK_FINDS(page_count_is_found, "P12: page", walked_page = space_page_alloc(PAGE_FILE); space_page_ref(walked_page))
CHECK_FINDS(bad_root_is_found, "P1: root slot", space_root_set(ROOT_CONSOLE, &a))

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(pages_are_distinct_and_counted),
                TEST(zeroed_page_is_zero),
                TEST(objects_keep_their_bytes),
                TEST(each_object_is_walked_once),
                TEST(block_sizes),
                TEST(double_free_is_found),
                TEST(page_released_too_often_is_found),
                TEST(allocation_before_the_change_is_found),
                TEST(store_before_the_change_is_found),
                TEST(more_than_the_credit_is_found),
                TEST(growth_stops_before_memory_ends),
                TEST(frames_come_back_on_demand),
                TEST(runs_and_pages_share_memory),
                TEST(who_does_not_ask_is_stopped),
                TEST(many_frees_in_one_go),
                TEST(root_slots),
                TEST(checkers_accept_what_is_right),
                TEST(stranger_is_found),
                TEST(pointer_to_free_page_is_found),
                TEST(pointer_into_object_is_found),
                TEST(reference_to_uncounted_is_found),
                TEST(reference_to_freed_is_found),
                TEST(count_too_high_is_found),
                TEST(count_too_low_is_found),
                TEST(walked_to_freed_is_found),
                TEST(page_count_is_found),
                TEST(bad_root_is_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
