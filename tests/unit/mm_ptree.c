/*
 * mm_ptree.c - page trees against a model: random writes, sharing, removal in pieces, cuts. The pages are malloc'd one by one and freed at
 * once, so that ASan sees what is used too late; pages go absent at random, and touching an absent one after the change began
 * fails the test (P14). At the end every page must be gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define space_page space_page_in_kernel
#include "persist/space.h"
#undef space_page

#define PAGES 200000u
static struct {
        uint64_t *data;
        uint32_t refs;
        uint32_t kind;
        bool absent;
} page[PAGES];
static ppn_t free_list[PAGES];
static unsigned nfree, live, allocated;
static bool changing;

static void *space_page(ppn_t p)
{
        assert_true(p && p < PAGES && page[p].data);
        if (page[p].absent) {
                assert_false(changing);
                page[p].absent = false;
        }
        return page[p].data;
}
#include "posix/mm/ptree.c"

_Thread_local struct section *persist_section;
void lock(enum lock_rank r, const void *o)
{
        (void)r, (void)o;
}
void unlock(enum lock_rank r, const void *o)
{
        (void)r, (void)o;
}
ppn_t space_page_alloc(enum page_kind kind)
{
        ppn_t p;

        assert_true(changing && nfree);
        p = free_list[--nfree];
        page[p].data = malloc(4096);
        memset(page[p].data, 0xa5, 4096);
        page[p].refs = 1;
        page[p].kind = kind;
        page[p].absent = false;
        live++;
        allocated++;
        return p;
}
ppn_t space_page_alloc_zeroed(enum page_kind kind)
{
        ppn_t p = space_page_alloc(kind);

        memset(page[p].data, 0, 4096);
        return p;
}
void space_page_ref(ppn_t p)
{
        assert_true(changing && page[p].data);
        page[p].refs++;
}
void space_page_unref(ppn_t p)
{
        assert_true(changing && page[p].data && page[p].refs);
        if (--page[p].refs == 0) {
                free(page[p].data);
                page[p].data = NULL;
                free_list[nfree++] = p;
                live--;
        }
}
uint32_t space_page_refs(ppn_t p)
{
        assert_true(page[p].data);
        return page[p].refs;
}
bool space_page_absent(ppn_t p)
{
        return page[p].absent;
}

/* ---- the model ------------------------------------------------------------------------------------------------------------ */

#define TREES    6
#define UNIVERSE 2048
static uint64_t universe[UNIVERSE]; /* ascending indexes that are used at all */
static uint64_t model[TREES][UNIVERSE];
static struct ptree tree[TREES + 1];
static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
        seed = seed * 6364136223846793005ul + 1442695040888963407ul;
        return (seed >> 33) % n;
}
static int ascending(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}
static void universe_make(bool wide)
{
        static const uint64_t from[] = {0,          510, 1ul << 18, (1ul << 27) - 40, 1ul << 36, (1ul << 45) - 1000,
                                        0x7fffffff0};
        unsigned n = 0;

        while (n < UNIVERSE) {
                uint64_t i = (wide ? from[rnd(ARRAY_SIZE(from))] : 5000) + rnd(wide ? 1200 : 3000);
                unsigned k = 0;

                while (k < n && universe[k] != i)
                        k++;
                if (k == n)
                        universe[n++] = i;
        }
        qsort(universe, UNIVERSE, sizeof(universe[0]), ascending);
}
static void verify(unsigned t)
{
        uint64_t at = 0, seen = 0;
        ppn_t p;
        unsigned k = 0;

        while ((p = ptree_next(&tree[t], &at))) {
                while (k < UNIVERSE && universe[k] < at)
                        assert_int_equal(model[t][k++], 0);
                assert_true(k < UNIVERSE && universe[k] == at);
                assert_int_equal(*(uint64_t *)space_page(p), model[t][k]);
                assert_int_equal(ptree_lookup(&tree[t], at), p);
                at++;
                k++;
                seen++;
        }
        while (k < UNIVERSE)
                assert_int_equal(model[t][k++], 0);
        for (unsigned i = 0; i < 20; i++) {
                uint64_t first = universe[rnd(UNIVERSE)] - rnd(3);
                unsigned n = 1 + rnd(512);
                ppn_t run[512];

                ptree_lookup_run(&tree[t], first, n, run);
                for (unsigned j = 0; j < n; j++)
                        assert_int_equal(run[j], ptree_lookup(&tree[t], first + j));
        }
}
static void drop(unsigned t, uint64_t from, uint64_t to)
{
        for (;;) {
                uint64_t i = from;

                if (!ptree_next(&tree[t], &i) || i >= to)
                        break;
                changing = true;
                from = ptree_remove(&tree[t], i, to, 1 + rnd(PTREE_BUDGET));
                changing = false;
        }
        for (unsigned k = 0; k < UNIVERSE; k++) {
                if (universe[k] >= from && universe[k] < to)
                        model[t][k] = 0;
        }
}
static void drop_range(unsigned t, uint64_t from, uint64_t to)
{
        for (unsigned k = 0; k < UNIVERSE; k++) {
                if (universe[k] >= from && universe[k] < to)
                        model[t][k] = 0;
        }
        drop(t, from, to);
}

static void step(void)
{
        unsigned t = rnd(TREES), u = rnd(TREES), k = rnd(UNIVERSE), cost;
        uint64_t value = 1 + rnd(1u << 30), from, to;

        for (unsigned i = 0; i < 50; i++) {
                ppn_t p = 1 + rnd(PAGES - 1);

                page[p].absent = page[p].data != NULL;
        }
        switch (rnd(12)) {
        default: {
                ppn_t p;
                bool shared = ptree_shared_leaf(&tree[t], universe[k]), above;

                p = ptree_look(&tree[t], universe[k], &above);
                assert_int_equal(p, ptree_lookup(&tree[t], universe[k]));
                assert_true(!p || above == shared);

                struct ptree_probe probe;

                cost = ptree_cost(&tree[t], universe[k]);
                assert_true(cost && cost <= PTREE_COST_MAX);
                ptree_probe(&tree[t], universe[k], &probe);
                assert_int_equal(probe.leaf, p);
                assert_int_equal(probe.cost, cost);
                assert_true(!p || probe.shared == shared);
                ptree_lookup(&tree[t], universe[k]);
                changing = true;
                allocated = 0;
                if (rnd(3) == 0) {
                        p = space_page_alloc(PAGE_ANON);
                        ptree_set(&tree[t], universe[k], p);
                } else {
                        p = rnd(2) ? ptree_own(&tree[t], universe[k]) : ptree_own_at(&tree[t], universe[k], &probe);
                        assert_int_equal(*(uint64_t *)space_page(p), model[t][k]);
                        if (!model[t][k])
                                assert_int_equal(((uint64_t *)space_page(p))[511], 0);
                        assert_true(!shared || allocated);
                }
                assert_true(allocated <= cost);
                assert_false(ptree_shared_leaf(&tree[t], universe[k]));
                *(uint64_t *)space_page(p) = model[t][k] = value;
                changing = false;
                return;
        }
        case 0:
                from = universe[k];
                to = from + rnd(700);
                drop_range(t, from, to);
                return;
        case 1:
                if (t == u || rnd(4))
                        return;
                drop_range(u, 0, ~0ul);
                assert_int_equal(tree[u].root, 0);
                ptree_next(&tree[t], &(uint64_t){0});
                if (ptree_share_whole(&tree[t])) {
                        changing = true;
                        ptree_share(&tree[u], &tree[t]);
                } else {
                        for (uint64_t i = 0; i != ~0ul && ptree_next(&tree[t], &i);) {
                                ptree_cost(&tree[u], i);
                                changing = true;
                                i = ptree_share_piece(&tree[u], &tree[t], i);
                                changing = false;
                        }
                        assert_int_equal(tree[u].npages <= UNIVERSE, 1);
                }
                changing = false;
                memcpy(model[u], model[t], sizeof(model[t]));
                return;
        case 2:
                if (t == u || rnd(4))
                        return;
                drop_range(u, 0, ~0ul);
                cost = ptree_cost(&tree[t], universe[k]);
                changing = true;
                allocated = 0;
                ptree_split(&tree[t], universe[k], &tree[u]);
                assert_true(allocated <= PTREE_COST_MAX);
                changing = false;
                for (unsigned i = 0; i < UNIVERSE; i++) {
                        model[u][i] = i >= k ? model[t][i] : 0;
                        if (i >= k)
                                model[t][i] = 0;
                }
                return;
        case 4:
                if (t == u)
                        return;
                /* whatever of u lies below the cut goes, and of t above it: then u's leaves follow t's */
                drop_range(t, universe[k], ~0ul);
                drop_range(u, 0, universe[k]);
                from = universe[k] - (universe[k] != 0);
                ptree_cost(&tree[t], from);
                ptree_cost(&tree[u], universe[k]);
                changing = true;
                allocated = 0;
                if (rnd(2)) {
                        ptree_join(&tree[t], &tree[u]);
                } else {
                        ptree_join(&tree[u], &tree[t]);
                        tree[TREES] = tree[t];
                        tree[t] = tree[u];
                        tree[u] = tree[TREES];
                }
                assert_true(allocated <= 2 * PTREE_COST_MAX);
                changing = false;
                for (unsigned i = 0; i < UNIVERSE; i++) {
                        model[t][i] += model[u][i];
                        model[u][i] = 0;
                }
                return;
        case 3:
                if (rnd(20) == 0)
                        drop_range(t, 0, ~0ul);
                return;
        }
}

static void run(bool wide, unsigned steps)
{
        memset(model, 0, sizeof(model));
        nfree = live = 0;
        for (ppn_t p = PAGES - 1; p; p--)
                free_list[nfree++] = p;
        universe_make(wide);
        for (unsigned t = 0; t < TREES; t++)
                ptree_init(&tree[t], PAGE_ANON);
        for (unsigned i = 0; i < steps; i++) {
                step();
                if (i % 64 == 0)
                        verify(rnd(TREES));
        }
        for (unsigned t = 0; t < TREES; t++) {
                verify(t);
                drop_range(t, 0, ~0ul);
        }
        assert_int_equal(live, 0);
}
/* A node whose pages are scattered over the whole space: after a fork no change of either tree may count pages in more than SHARED_RECORDS record pages at once. */
static void scattered_pages_are_not_shared_by_node(void **state)
{
        uint64_t records[(PAGES >> RECORDS_PER_PAGE_BITS) + 1];

        (void)state;
        nfree = live = 0;
        for (ppn_t p = PAGES - 1; p; p--)
                free_list[nfree++] = p;
        seed = 3;
        for (unsigned i = nfree - 1; i; i--) {
                unsigned k = rnd(i + 1);
                ppn_t swap = free_list[i];

                free_list[i] = free_list[k];
                free_list[k] = swap;
        }
        ptree_init(&tree[0], PAGE_ANON);
        ptree_init(&tree[1], PAGE_ANON);
        changing = true;
        for (unsigned i = 0; i < 1500; i++)
                *(uint64_t *)space_page(ptree_own(&tree[0], i)) = i;
        assert_false(ptree_share_whole(&tree[0]));
        for (uint64_t i = 0; i != ~0ul && ptree_next(&tree[0], &i);)
                i = ptree_share_piece(&tree[1], &tree[0], i);
        assert_int_equal(tree[1].npages, 1500);
        for (unsigned i = 0; i < 1500; i += 7) {
                unsigned n = 0;
                uint32_t before[(PAGES >> RECORDS_PER_PAGE_BITS) + 1] = {0};

                memset(records, 0, sizeof(records));
                for (ppn_t p = 1; p < PAGES; p++)
                        before[p >> RECORDS_PER_PAGE_BITS] += page[p].data ? page[p].refs : 0;
                *(uint64_t *)space_page(ptree_own(&tree[i % 2], i)) = 99;
                for (ppn_t p = 1; p < PAGES; p++)
                        records[p >> RECORDS_PER_PAGE_BITS] += page[p].data ? page[p].refs : 0;
                for (unsigned k = 0; k < ARRAY_SIZE(records); k++)
                        n += records[k] != before[k];
                assert_true(n <= SHARED_RECORDS + 8);
                assert_int_equal(*(uint64_t *)space_page(ptree_lookup(&tree[!(i % 2)], i)), i);
        }
        changing = false;
        drop_range(0, 0, ~0ul);
        drop_range(1, 0, ~0ul);
        assert_int_equal(live, 0);
}
static void dense(void **state)
{
        (void)state;
        seed = 1;
        run(false, 60000);
}
static void sparse(void **state)
{
        (void)state;
        seed = 2;
        run(true, 60000);
}
static void one_page_needs_no_node(void **state)
{
        (void)state;
        nfree = live = 0;
        for (ppn_t p = 20; p; p--)
                free_list[nfree++] = p;
        ptree_init(&tree[0], PAGE_FILE);
        assert_int_equal(ptree_cost(&tree[0], 1ul << 40), 1);
        changing = true;
        ptree_own(&tree[0], 1ul << 40);
        assert_int_equal(live, 1);
        assert_int_equal(tree[0].npages, 1);
        changing = false;
        assert_int_equal(ptree_cost(&tree[0], (1ul << 40) + 1), 2);
        drop_range(0, 0, ~0ul);
        assert_int_equal(live, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(one_page_needs_no_node),
                                           cmocka_unit_test(scattered_pages_are_not_shared_by_node),
                                           cmocka_unit_test(dense), cmocka_unit_test(sparse)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
