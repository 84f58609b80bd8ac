/*
 * persist_section.c - sections, locks, absence and the barrier: order and release of locks, abandonment and its undo list, dirty tracking against a
 * model (P4, P13), deferred frees that wait for other CPUs, and a stress of several CPUs with barriers, absent pages and all checkers.
 */
#include "tests/unit/persist_test.h"
#include <pthread.h>
#include <sched.h>

/* ---- locks ---- */

static int object[64];

static void lock_downwards(void *arg)
{
        (void)arg;
        section_begin(NULL, NULL);
        lock(LOCK_INODE, &object[0]);
        lock(LOCK_FILE, &object[1]);
}

static void lock_same_rank(void *arg)
{
        (void)arg;
        section_begin(NULL, NULL);
        lock(LOCK_INODE, &object[0]);
        lock(LOCK_INODE, &object[1]);
}

static void lock_outside(void *arg)
{
        (void)arg;
        lock(LOCK_INODE, &object[0]);
}

static void lock_after(void *arg)
{
        (void)arg;
        section_begin(NULL, NULL);
        section_end();
        lock(LOCK_INODE, &object[0]);
}

static void unlock_unheld(void *arg)
{
        (void)arg;
        section_begin(NULL, NULL);
        lock(LOCK_FILE, &object[0]);
        unlock(LOCK_PIPE, &object[0]);
}

static void order_downwards(void **state)
{
        (void)state;
        assert_string_equal(hosted_panic_of(lock_downwards, NULL), "lock order: FILE wanted while INODE is held");
}

static void order_same_rank(void **state)
{
        (void)state;
        assert_string_equal(hosted_panic_of(lock_same_rank, NULL), "lock order: INODE wanted while INODE is held");
}

static void order_outside(void **state)
{
        (void)state;
        assert_string_equal(hosted_panic_of(lock_outside, NULL), "lock INODE outside a section");
}

static void order_after(void **state)
{
        (void)state;
        assert_string_equal(hosted_panic_of(lock_after, NULL), "lock INODE outside a section");
}

static void unlock_of_unheld(void **state)
{
        (void)state;
        assert_string_equal(hosted_panic_of(unlock_unheld, NULL), "unlock of PIPE, which is not held");
}

static void all_ranks_and_all_pairs(void **state)
{
        (void)state;
        section_begin(NULL, NULL);
        for (unsigned r = 1; r < LOCK_SPACE; r++)
                lock2(r, &object[r], &object[63 - r]);
        for (unsigned r = 1; r < LOCK_SPACE; r++) {
                assert_true(lock_held(r, &object[r]));
                assert_true(lock_held(r, &object[63 - r]));
        }
        for (unsigned r = 2; r < LOCK_SPACE; r += 2)
                unlock2(r, &object[63 - r], &object[r]);
        assert_false(lock_held(LOCK_RENAME, &object[LOCK_RENAME]));
        assert_true(lock_held(LOCK_IPC, &object[LOCK_IPC]));
        section_end();
        locks_check_free();

        section_begin(NULL, NULL);
        for (unsigned i = 0; i < 64; i++)
                for (unsigned j = 0; j < 64; j++) {
                        lock2(LOCK_SOCK, &object[i], &object[j]);
                        unlock2(LOCK_SOCK, &object[i], &object[j]);
                }
        /* One in the middle is dropped; its rank may come again only when what is above it is gone. */
        lock(LOCK_MM, &object[0]);
        lock(LOCK_FILE, &object[1]);
        lock(LOCK_INODE, &object[2]);
        unlock(LOCK_FILE, &object[1]);
        unlock(LOCK_INODE, &object[2]);
        lock(LOCK_FILE, &object[3]);
        section_step();
        locks_check_free();
        section_end();
}

/* P2, P3: a barrier that a CPU did not stop for is found. */
static void barrier_beside_a_section(void *arg)
{
        persist_sections[1] = arg;
        persist_ncpus = 2;
        snapshot_barrier();
}

static void barrier_looks_at_each_cpu(void **state)
{
        static struct section in_section = {.active = true}, with_lock = {.nheld = 1};

        (void)state;
        assert_string_equal(hosted_panic_of(barrier_beside_a_section, &in_section),
                            "P3: CPU 1 is in a section at the barrier, with 0 locks");
        hosted_close();
        machine(4096);
        assert_string_equal(hosted_panic_of(barrier_beside_a_section, &with_lock),
                            "P3: CPU 1 is in a section at the barrier, with 1 locks");
}

/* ---- abandonment ---- */

static struct {
        unsigned undone[4], nundone, runs;
        void *page;
        unsigned char seen;
} ab;

static void undo(void *arg)
{
        assert_true(lock_held(LOCK_PIPE, &object[5]));
        ab.undone[ab.nundone++] = (unsigned)(uintptr_t)arg;
}

static void read_page(void *arg);

static void read_again(void *arg)
{
        assert_true(section_quiet());
        assert_int_equal(space_fetch_pending(), space_ppn(ab.page));
        assert_int_equal(space_fetch_start(space_fetch_pending()), 0);
        read_page(arg);
}

static void read_page(void *arg)
{
        section_begin(read_again, arg);
        ab.runs++;
        section_on_abandon(undo, (void *)1);
        section_on_abandon(undo, (void *)2);
        section_on_abandon(undo, (void *)3);
        section_undo_forget((void *)2);
        lock(LOCK_PIPE, &object[5]);
        if (arg)
                section_changes();
        ab.seen = *(volatile unsigned char *)ab.page;
        section_end();
}

static void absent_page_abandons(void **state)
{
        (void)state;
        memset(&ab, 0, sizeof(ab));
        change();
        ab.page = space_page(space_page_alloc_zeroed(PAGE_FILE));
        *(unsigned char *)ab.page = 77;
        section_end();
        persist_host->page_set_present(space_ppn(ab.page), false);
        assert_true(space_page_absent(space_ppn(ab.page)));
        hosted_run(read_page, NULL);
        assert_int_equal(ab.runs, 2);
        assert_int_equal(ab.seen, 77);
        assert_int_equal(ab.nundone, 2);
        assert_int_equal(ab.undone[0], 3);
        assert_int_equal(ab.undone[1], 1);
        assert_int_equal(section_this()->abandoned, 1);
        locks_check_free();
}

static void absent_page_after_the_change_is_found(void **state)
{
        (void)state;
        memset(&ab, 0, sizeof(ab));
        change();
        ab.page = space_page(space_page_alloc_zeroed(PAGE_FILE));
        section_end();
        persist_host->page_set_present(space_ppn(ab.page), false);
        assert_non_null(strstr(hosted_panic_of(read_page, &ab), "absent after the first change"));
}

/* ---- dirty tracking ---- */

static void first_writes_are_noted(void **state)
{
        enum { N = 300 };
        ppn_t page[N];
        bool written[N];
        uint64_t rng = 3, noted;
        unsigned nwritten;
        struct space_stats st;

        (void)state;
        for (unsigned i = 0; i < N; i++) {
                change();
                page[i] = space_page_alloc(PAGE_ANON);
                section_end();
        }
        for (unsigned round = 0; round < 50; round++) {
                uint64_t before = snapshot_epoch();

                snapshot_barrier();
                assert_int_equal(snapshot_epoch(), before + 1);
                space_stats(&st);
                assert_int_equal(st.dirty_now, 0);
                memset(written, 0, sizeof(written));
                nwritten = 0;
                for (unsigned i = 0; i < 40; i++) {
                        unsigned k = hosted_random(&rng) % N;

                        change();
                        if (i % 2) /* as a user mapping would do it */
                                space_page_dirty(page[k]);
                        *((volatile uint64_t *)space_page(page[k]) + k) += 1;
                        section_end();
                        nwritten += !written[k];
                        written[k] = true;
                }
                noted = 0;
                for (unsigned i = 0; i < N; i++) {
                        assert_int_equal(hosted_page_noted(page[i]), written[i]);
                        assert_int_equal(hosted_page_writable(page[i]), written[i]);
                        noted += written[i];
                }
                space_stats(&st);
                assert_int_equal(st.dirty_now, nwritten);
                assert_int_equal(noted, nwritten);
                persist_host->check_tracking();
        }
}

static void reading_dirties_nothing(void **state)
{
        struct node *n;
        struct space_stats st;
        uint64_t sum = 0;

        (void)state;
        change();
        n = node_new();
        n->own = space_alloc_bytes(5000);
        section_end();
        snapshot_barrier();
        for (unsigned i = 0; i < 100; i++) {
                section_begin(NULL, NULL);
                lock(LOCK_INODE, n);
                assert_true(space_room(3));
                sum += n->tag + *(char *)n->own + space_type_of(n) + space_page_refs(space_ppn(n->own)) +
                       space_bytes_size(n->own);
                section_end();
        }
        assert_int_not_equal(sum, 0);
        space_stats(&st);
        assert_int_equal(st.dirty_now, 0);
}

/* ---- several CPUs ---- */

static struct {
        volatile unsigned stage;
        struct node *n;
} gate;

static void stage_wait(unsigned stage)
{
        while (__atomic_load_n(&gate.stage, __ATOMIC_ACQUIRE) < stage)
                sched_yield();
}

static void stage_set(unsigned stage)
{
        __atomic_store_n(&gate.stage, stage, __ATOMIC_RELEASE);
}

static void *reader(void *arg)
{
        (void)arg;
        hosted_cpu_enter(1);
        hosted_cpu_ready();
        section_begin(NULL, NULL);
        stage_set(1);
        stage_wait(2);
        assert_int_equal(gate.n->tag, 99); /* freed meanwhile, but not while we are in here */
        section_end();
        stage_set(3);
        hosted_cpu_leave();
        return NULL;
}

static void frees_wait_for_other_sections(void **state)
{
        pthread_t t;
        struct space_stats st;

        (void)state;
        gate.stage = 0;
        change();
        gate.n = node_new();
        gate.n->tag = 99;
        section_end();
        assert_int_equal(pthread_create(&t, NULL, reader, NULL), 0);
        stage_wait(1);
        change();
        space_free(gate.n);
        section_end();
        for (unsigned i = 0; i < 100; i++) {
                change();
                assert_ptr_not_equal(node_new(), gate.n);
                section_end();
        }
        space_stats(&st);
        assert_int_equal(st.deferred, 1);
        stage_set(2);
        stage_wait(3);
        change();
        section_end();
        space_stats(&st);
        assert_int_equal(st.deferred, 0);
        pthread_join(t, NULL);
}

/*
 * Stress: slots outside the space hold counted references to nodes; nodes refer to leaves, which other nodes share; everything is under the
 * lock of its slot. CPU 0 runs barriers with all checkers, and makes pages absent.
 */
enum { SLOTS = 200, STRESS_CPUS = 4 };
static struct node *slot[SLOTS]; /* guarded by LOCK_INODE of the slot */
static ppn_t slot_page[SLOTS];
static uint64_t slot_tag[SLOTS];
static unsigned running;

static void stress_walk(const struct space_visitor *v)
{
        for (unsigned i = 0; i < SLOTS; i++) {
                if (slot[i])
                        v->object(slot[i]);
                if (slot_page[i])
                        v->page(slot_page[i]);
        }
}

struct op {
        uint64_t rng;
        unsigned a, b, what;
        uint64_t done;
};

static void op_run(void *arg);

static void op_again(void *arg)
{
        space_fetch_start(space_fetch_pending());
        op_run(arg);
}

static void put(struct node *n)
{
        if (__atomic_sub_fetch(&n->o.refs, 1, __ATOMIC_ACQ_REL))
                return;
        space_free_bytes(n->own);
        space_free(n);
}

static void op_run(void *arg)
{
        struct op *op = arg;
        struct node *a, *b, *leaf;
        volatile uint64_t *p;

        section_begin(op_again, op);
        lock2(LOCK_INODE, &slot[op->a], &slot[op->b]);
        a = slot[op->a];
        b = slot[op->b];
        /* Look at everything before the change: what is absent shows up here. */
        if (a && a->tag != slot_tag[op->a])
                persist_host->panic("slot %u: tag %lx, expected %lx", op->a, a->tag, slot_tag[op->a]);
        leaf = b ? b->ref[0] : NULL;
        if (leaf && leaf->tag != 0x1eaf)
                persist_host->panic("leaf %p has tag %lx", (void *)leaf, leaf->tag);
        if (a && a->own && *(unsigned char *)a->own != (unsigned char)a->tag)
                persist_host->panic("block of slot %u changed", op->a);
        if (a)
                for (unsigned i = 0; i < 2; i++)
                        if (a->ref[i] && __atomic_load_n(&((struct node *)a->ref[i])->o.refs, __ATOMIC_RELAXED) == 0)
                                persist_host->panic("leaf without references");
        if (slot_page[op->a] && *(volatile uint64_t *)space_page(slot_page[op->a]) != op->a)
                persist_host->panic("page of slot %u changed", op->a);
        switch (op->what) {
        case 0: /* make or break the node */
                section_changes();
                if (!a) {
                        a = node_new();
                        slot_tag[op->a] = a->tag = hosted_random(&op->rng);
                        a->own = space_alloc_bytes(1 + hosted_random(&op->rng) % (op->a % 8 ? 300 : 9000));
                        *(unsigned char *)a->own = (unsigned char)a->tag;
                        slot[op->a] = a;
                        break;
                }
                for (unsigned i = 0; i < 2; i++)
                        if (a->ref[i])
                                put(a->ref[i]);
                put(a);
                slot[op->a] = NULL;
                break;
        case 1: /* a new leaf, or b's shared */
                if (!a || a->ref[1])
                        break;
                if (leaf && op->a != op->b) {
                        section_changes();
                        __atomic_fetch_add(&leaf->o.refs, 1, __ATOMIC_RELAXED);
                } else {
                        section_changes();
                        leaf = node_new();
                        leaf->tag = 0x1eaf;
                }
                if (a->ref[0])
                        a->ref[1] = leaf;
                else
                        a->ref[0] = leaf;
                break;
        case 2: /* a page */
                section_changes();
                if (slot_page[op->a]) {
                        space_page_unref(slot_page[op->a]);
                        slot_page[op->a] = 0;
                } else {
                        slot_page[op->a] = space_page_alloc(op->a % 2 ? PAGE_FILE : PAGE_ANON);
                        p = space_page(slot_page[op->a]);
                        *p = op->a;
                }
                break;
        case 3:
                if (!a)
                        break;
                section_changes();
                slot_tag[op->a] = a->tag = hosted_random(&op->rng);
                if (a->own)
                        *(unsigned char *)a->own = (unsigned char)a->tag;
                break;
        default:
                break;
        }
        section_end();
}

static void *stress(void *arg)
{
        unsigned cpu = (unsigned)(uintptr_t)arg;
        struct op op = {.rng = 1000 + cpu};

        hosted_cpu_enter(cpu);
        hosted_cpu_ready();
        for (unsigned i = 0; i < 6000; i++) {
                op.a = hosted_random(&op.rng) % SLOTS;
                op.b = hosted_random(&op.rng) % SLOTS;
                op.what = hosted_random(&op.rng) % 6;
                persist_host->park_if_asked();
                hosted_run(op_run, &op);
                if (i % 500 == cpu)
                        snapshot_barrier(); /* sometimes two want to lead */
        }
        __atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) || section_this()->heap->ndeferred) {
                persist_host->park_if_asked();
                section_begin(NULL, NULL);
                section_end();
        }
        hosted_cpu_leave();
        return NULL;
}

static void stress_of_several_cpus(void **state)
{
        pthread_t t[STRESS_CPUS];
        struct op op = {.rng = 5};
        uint64_t barriers = 0;
        struct space_stats st;

        (void)state;
        space_ref_walker_register(stress_walk, 1u << PAGE_FILE | 1u << PAGE_ANON);
        space_absent_per_mille = 50;
        space_check_each_barrier = true;
        running = STRESS_CPUS - 1;
        for (unsigned i = 1; i < STRESS_CPUS; i++)
                assert_int_equal(pthread_create(&t[i], NULL, stress, (void *)(uintptr_t)i), 0);
        /* On a busy host the others may be done before this CPU has met absent pages: it goes on until it has. */
        while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) || (section_this()->abandoned <= 5 && barriers < 10000)) {
                for (unsigned i = 0; i < 200; i++) {
                        op.a = hosted_random(&op.rng) % SLOTS;
                        op.b = hosted_random(&op.rng) % SLOTS;
                        op.what = hosted_random(&op.rng) % 6;
                        persist_host->park_if_asked();
                        hosted_run(op_run, &op);
                }
                snapshot_barrier();
                barriers++;
        }
        for (unsigned i = 1; i < STRESS_CPUS; i++)
                pthread_join(t[i], NULL);
        assert_true(barriers > 2);
        assert_true(section_this()->abandoned > 5);
        /* Everything goes; nothing is left but caches. */
        space_absent_per_mille = 0;
        for (unsigned i = 0; i < SLOTS; i++) {
                op.a = op.b = i;
                if (slot[i]) {
                        op.what = 0;
                        hosted_run(op_run, &op);
                }
                if (slot_page[i]) {
                        op.what = 2;
                        hosted_run(op_run, &op);
                }
        }
        do {
                change();
                section_end();
                space_stats(&st);
        } while (st.deferred);
        assert_int_equal(st.pages[PAGE_FILE] + st.pages[PAGE_ANON] + st.pages[PAGE_RUN], 0);
        snapshot_barrier();
}

/* usage: persist_section [TEST] */
int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                TEST(order_downwards),
                TEST(order_same_rank),
                TEST(order_outside),
                TEST(order_after),
                TEST(unlock_of_unheld),
                TEST(all_ranks_and_all_pairs),
                TEST(barrier_looks_at_each_cpu),
                TEST(absent_page_abandons),
                TEST(absent_page_after_the_change_is_found),
                TEST(first_writes_are_noted),
                TEST(reading_dirties_nothing),
                TEST(frees_wait_for_other_sections),
                TEST(stress_of_several_cpus),
        };

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
