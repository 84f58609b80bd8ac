/*
 * pvm_heap.c - the heap and its collections from C: what they need of volatile memory, and where objects come to lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pvm/heap.h"
#include "pvm/host/host.h"
#include "pvm/host/store.h"
#include <unistd.h>

static const struct pvm_host *real;
static struct pvm_host host;
static size_t in_use, most; /* volatile memory, as its users say */

static void *counting_alloc(size_t len)
{
        void *p = real->mem_alloc(len);

        in_use += p ? len : 0;
        most = in_use > most ? in_use : most;
        return p;
}

static void counting_free(void *p, size_t len)
{
        in_use -= len;
        real->mem_free(p, len);
}

static void open_on(const char *store)
{
        struct pvm_limits limits = {.heap_bytes = 64ul << 20, .stack_bytes = 1ul << 20};
        char why[200];
        int r = hosted_pvm_open(store, limits.heap_bytes);

        assert_true(r >= 0);
        real = pvm_host;
        host = *real;
        host.mem_alloc = counting_alloc;
        host.mem_free = counting_free;
        host.image_begin = NULL;
        pvm_host = &host;
        in_use = 0;
        assert_int_equal((r ? pvm_recover : pvm_create)(&limits, why, sizeof(why)), 0);
}

static int open_machine(void **state)
{
        (void)state;
        open_on(NULL);
        return 0;
}

static int close_machine(void **state)
{
        char why[200];

        (void)state;
        if (!pvm_heap_check(why, sizeof(why)))
                fail_msg("heap: %s", why);
        pvm_forget();
        pvm_host = real;
        hosted_pvm_close();
        assert_int_equal(in_use, 0);
        return 0;
}

static void put(const char *key, void *o)
{
        assert_true(directory_put(root()->directory, string_new(key, strlen(key)), o));
}

/*
 * Lists, more of them than marking looks at at once, all of whose members have one more object in common: the stack of marking does not grow with what leads to it, but with objects that
 * have their marks.
 */
static void test_common(void **state)
{
        struct store *lists = store_new(CLASS_store_refs, 64, 64, 8), *common = store_new(CLASS_store_refs, 0, 0, 8);

        (void)state;
        for (unsigned i = 0; i < 200000; i++) {
                struct directory *d = heap_alloc(CLASS_directory, sizeof(*d), 0);

                assert_non_null(d);
                d->keys = (struct store *)lists->r[i % 64];
                d->values = common;
                lists->r[i % 64] = &d->o;
        }
        put("lists", lists);
        for (int full = 0; full < 2; full++) {
                size_t before = in_use;

                most = in_use;
                if (full) {
                        heap_collect();
                } else {
                        heap_wants = WANTS_YOUNG;
                        heap_collect_wanted();
                }
                assert_in_range(most - before, 1, 200000);
        }
}

/* ---- on a store ---- */

static uint64_t snapshot_pages(void)
{
        uint64_t before = heap_store_pages();

        pvm_snapshot_comes();
        heap_store_snapshot(1, true);
        return heap_store_pages() - before;
}

#define STEP 1000 /* so some lie alone in their blocks, and not in the first page */
/* A list of numbers, every STEP-th, and n objects that die beside it: of 24 bytes, and of some lines. */
static struct directory *list_of(int n)
{
        struct directory *list = NULL;

        for (int i = 0; i < n; i++) {
                if (i % STEP == 0) {
                        struct directory *d = heap_alloc(CLASS_directory, sizeof(*d), 0);

                        d->keys = (struct store *)list;
                        list = d;
                        d->values = (struct store *)box('I', (slot){.i = i});
                }
                store_new(CLASS_store_refs, i % 40, i % 40, 8);
        }
        return list;
}

static void check_list(const char *key, int n)
{
        uint32_t at;
        const struct directory *d;

        assert_true(directory_find(root()->directory, string_new(key, strlen(key)), &at));
        d = (const struct directory *)root()->directory->values->r[at];
        for (int i = (n - 1) / STEP * STEP; i >= 0; i -= STEP, d = (const struct directory *)d->keys)
                assert_int_equal(((const struct box32 *)d->values)->i, i);
        assert_null(d);
}

/* Young objects that are dead cost no pages of a snapshot; what lives beside them, or where they were, is in it. */
static void test_free_pages(void **state)
{
        char folder[] = "/tmp/pvm-heap-XXXXXX", store[sizeof(folder) + 6];

        (void)state;
        heap_store_survives = true;
        assert_non_null(mkdtemp(folder));
        snprintf(store, sizeof(store), "%s/store", folder);
        open_on(store);
        snapshot_pages();
        for (int epoch = 0; epoch < 4; epoch++) {
                for (int i = 0; i < 40000; i++)
                        assert_non_null(store_new(CLASS_store_refs, i % 6, i % 6, 8));
                assert_in_range(snapshot_pages(), 0, 8);
        }
        put("first", list_of(60000)); /* where the dead were: in units that have stayed dirty */
        assert_in_range(snapshot_pages(), 8, 200);
        check_list("first", 60000);
        close_machine(NULL);
        open_on(store);
        check_list("first", 60000);
        heap_collect();
        put("second", list_of(90000));
        snapshot_pages();
        close_machine(NULL);
        open_on(store);
        check_list("first", 60000);
        check_list("second", 90000);
        close_machine(NULL);
        unlink(store);
        rmdir(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_common, open_machine, close_machine),
                cmocka_unit_test(test_free_pages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
