/*
 * pvm_image.c - full collections on an image of the heap (pvm/image.c), step by step: what happens between the image and its verdict is written down here, and the image can be made to wait.
 * PVM_IMAGE_STEPS, PVM_IMAGE_SEED: of the random program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "pvm/heap.h"
#include "pvm/host/host.h"
#include "tests/pvm/program.h"

static const struct pvm_host *real;
static struct pvm_host host;
static void (*mark)(void); /* what the machine wants to have run in the image */
static struct {
        volatile uint32_t go; /* images wait for it */
        volatile uint32_t alive;
} * shared;

static void pause_us(long us)
{
        nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

static void wait_and_mark(void)
{
        while (!shared->go) {
                shared->alive++;
                pause_us(200);
        }
        mark();
}

static void be_killed(void)
{
        raise(SIGKILL);
}

static int held_image(void (*fn)(void))
{
        mark = fn;
        return real->image_begin(wait_and_mark);
}

static int killed_image(void (*fn)(void))
{
        (void)fn;
        return real->image_begin(be_killed);
}

static int no_image(void (*fn)(void))
{
        (void)fn;
        return -12;
}

static void open_machine(void)
{
        struct pvm_limits limits = {.heap_bytes = 64ul << 20, .stack_bytes = 1ul << 20};
        char why[200];

        assert_int_equal(hosted_pvm_open(NULL, 0), 0);
        real = pvm_host;
        host = *real;
        host.image_begin = held_image;
        pvm_host = &host;
        shared->go = 0;
        pvm_hostile = true;
        assert_int_equal(pvm_create(&limits, why, sizeof(why)), 0);
}

static void close_machine(void)
{
        char why[200];

        if (!pvm_heap_check(why, sizeof(why)))
                fail_msg("heap: %s", why);
        pvm_hostile = false;
        pvm_forget();
        pvm_host = real;
        hosted_pvm_close();
}

/* ---- objects: nodes of a number and references ---- */

#define EDGES 3u

static struct store *node(int number)
{
        struct store *s = store_new(CLASS_store_refs, 1 + EDGES, 1 + EDGES, 8);

        s->r[0] = box('I', (slot){.i = number});
        return s;
}

static void set(struct store *s, uint32_t i, void *o)
{
        s->r[i] = o;
        heap_wrote(&s->r[i]);
}

static int number_of(const void *o)
{
        const struct store *s = o;

        assert_int_equal(s->o.class, CLASS_store_refs);
        assert_int_equal(s->r[0]->class, CLASS_int);
        return ((struct box32 *)s->r[0])->i;
}

static void put(const char *key, void *o)
{
        assert_true(directory_put(root()->directory, string_new(key, strlen(key)), o));
}

static void *got(const char *key)
{
        uint32_t at;

        assert_true(directory_find(root()->directory, string_new(key, strlen(key)), &at));
        return root()->directory->values->r[at];
}

static struct weakref *weak(void *target)
{
        struct weakref *w = heap_alloc(CLASS_weakref, sizeof(*w), 0);

        w->target = target;
        return w;
}

/* ---- steps ---- */

static void young(void)
{
        heap_wants = WANTS_YOUNG;
        heap_collect_wanted();
        assert_int_equal(heap_wants, WANTS_NOTHING);
}

/* A hostile machine makes images when it likes, too. */
static void freeze(void)
{
        young();
        image_abandon();
        assert_true(image_begin(0));
}

static void decide(void)
{
        shared->go = 1;
        while (image_state() == IMAGE_MARKING)
                pause_us(200);
        assert_int_equal(image_state(), IMAGE_DECIDED);
}

static void verdict(void)
{
        struct pvm_stats before, s;

        decide();
        pvm_stats(&before);
        young();
        pvm_stats(&s);
        assert_int_equal(s.images, before.images + 1);
        shared->go = 0;
}

/* Old, and only the weak references "w" and "v" have it: 1 -> 2. */
static void make_weak(void)
{
        struct store *s = node(1);

        s->r[1] = &node(2)->o;
        put("w", weak(s));
        put("v", weak(s));
        put("s", s);
        heap_collect();
        put("s", NULL);
        freeze();
}

static struct obj *loaded(const char *key)
{
        return heap_weak_load(((struct weakref *)got(key))->target);
}

/* ---- tests ---- */

/* What is dead in S is freed, what has moved on or is new is not, whatever blocks it shares. */
static void test_verdict(void **state)
{
        enum { N = 20000 };
        struct store *list, *other;
        uint64_t blocks;
        struct pvm_stats s;

        (void)state;
        open_machine();
        list = store_new(CLASS_store_refs, N, N, 8);
        other = store_new(CLASS_store_refs, N, N, 8);
        put("list", list);
        put("other", other);
        put("bytes", store_new(CLASS_store_raw, 1 << 20, 1 << 20, 1));
        for (int i = 0; i < N; i++)
                list->r[i] = &node(i)->o;
        heap_collect();
        for (int i = 0; i < N; i++)
                if (i % 4)
                        list->r[i] = NULL;
        put("bytes", NULL);
        blocks = root()->blocks_in_use;
        freeze();
        for (int i = 0; i < N; i += 8) { /* a reference that the image finds in `list` alone */
                set(other, (uint32_t)i, list->r[i]);
                list->r[i] = NULL;
        }
        for (int i = 1; i < N; i += 4) {
                set(other, (uint32_t)i, node(i));
                if (i % 1000 == 1)
                        young();
        }
        put("new", store_new(CLASS_store_raw, 1 << 18, 1 << 18, 1));
        verdict();
        for (int i = 0; i < N; i++) {
                if (i % 8 == 0 || i % 4 == 1)
                        assert_int_equal(number_of(other->r[i]), i);
                if (i % 8 == 4)
                        assert_int_equal(number_of(list->r[i]), i);
        }
        for (int i = 0; i < 10; i++) /* blocks that were handed out meanwhile are swept, too */
                young();
        image_abandon();
        put("other", NULL);
        put("list", NULL);
        freeze();
        verdict();
        assert_true(root()->blocks_in_use < blocks / 4);
        pvm_stats(&s);
        assert_true(s.live < 1 << 20);
        close_machine();
}

/* A weak load before it has decided: its object lives, and all that it led to in S. */
static void test_weak_load(void **state)
{
        struct store *s;

        (void)state;
        open_machine();
        make_weak();
        s = (struct store *)loaded("w");
        assert_int_equal(number_of(s), 1);
        put("two", s->r[1]);
        set(s, 1, NULL);
        verdict();
        assert_int_equal(number_of(got("two")), 2);
        assert_int_equal(number_of(loaded("v")), 1);
        freeze();
        verdict();
        assert_int_equal(number_of(got("two")), 2);
        assert_null(loaded("w"));
        assert_null(((struct weakref *)got("v"))->target);
        close_machine();
}

/* And behind it: it is gone, for all, whether there is a verdict or not. */
static void test_decided(void **state)
{
        (void)state;
        for (int abandoned = 0; abandoned < 2; abandoned++) {
                open_machine();
                make_weak();
                put("new", weak(got("w")));
                decide();
                assert_null(loaded("w"));
                assert_null(loaded("v"));
                assert_ptr_equal(loaded("new"), got("w"));
                if (abandoned)
                        image_abandon();
                else
                        young();
                assert_null(((struct weakref *)got("w"))->target);
                assert_null(((struct weakref *)got("v"))->target);
                assert_ptr_equal(((struct weakref *)got("new"))->target, got("w"));
                close_machine();
        }
}

/* What is short of memory, or moves objects, does not wait; an image that is killed, or cannot be made, is none. */
static void test_abandoned(void **state)
{
        (void)state;
        open_machine();
        make_weak();
        heap_collect();
        assert_int_equal(image_state(), IMAGE_NONE);
        assert_null(loaded("w"));

        make_weak();
        assert_true(heap_mark(NULL, NULL));
        assert_int_equal(image_state(), IMAGE_NONE);
        heap_unmark();
        heap_collect();

        host.image_begin = no_image;
        young();
        image_abandon();
        assert_false(image_begin(0));
        assert_int_equal(image_state(), IMAGE_NONE);

        host.image_begin = killed_image;
        make_weak();
        assert_non_null(loaded("w"));
        while (image_state() == IMAGE_MARKING)
                pause_us(200);
        assert_int_equal(image_state(), IMAGE_FAILED);
        heap_wants = WANTS_NOTHING;
        heap_collect_wanted();
        assert_int_equal(image_state(), IMAGE_NONE);
        assert_null(loaded("w"));
        close_machine();
}

/* Processes of programs, while there is an image: its end is not theirs, and it holds no end of their pipes. */
static void test_processes(void **state)
{
        const char *const cat[] = {"cat", NULL};
        char byte;
        int process, n;

        (void)state;
        open_machine();
        process = pvm_host->process_start(cat);
        assert_true(process > 0);
        freeze();
        assert_int_equal(pvm_host->process_write(process, "x", 1), 1);
        pvm_host->process_close_input(process);
        while ((n = (int)pvm_host->process_read(process, &byte, 1)) == -11)
                pause_us(200);
        assert_int_equal(n, 1);
        while ((n = (int)pvm_host->process_read(process, &byte, 1)) == -11)
                pause_us(200);
        assert_int_equal(n, 0);
        verdict();
        while ((n = pvm_host->process_status(process)) == -11)
                pause_us(200);
        assert_int_equal(n, 0);
        freeze(); /* ends with the machine */
        close_machine();
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* An image outlives a machine that is killed by moments. */
static void test_killed(void **state)
{
        uint32_t seen;
        int status;
        pid_t pid = fork();

        (void)state;
        if (!pid) {
                open_machine();
                make_weak();
                while (!shared->alive)
                        pause_us(200);
                raise(SIGKILL);
        }
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        do {
                seen = shared->alive;
                pause_us(300000);
        } while (shared->alive != seen);
}

/* ---- a random program ---- */

enum { SLOTS = 64 };

static uint64_t seed;

static unsigned below(unsigned n)
{
        seed = seed * 6364136223846793005 + 1442695040888963407;
        return (unsigned)(seed >> 33) % n;
}

/* Any node that can be reached, of those at most so many steps away. */
static struct store *walk(void)
{
        struct store *s = (struct store *)((struct store *)got("slots"))->r[below(SLOTS)];

        for (unsigned steps = below(8); s && steps--;) {
                struct store *next = (struct store *)s->r[1 + below(EDGES)];

                s = next ? next : s;
        }
        return s;
}

static void step(int i)
{
        struct store *slots = got("slots"), *weaks = got("weaks"), *a = walk(), *b = walk();
        struct obj *o;

        switch (below(8)) {
        case 0:
        case 1:
                o = &node(i)->o;
                if (a)
                        set((struct store *)o, 1, a);
                set(slots, below(SLOTS), o);
                break;
        case 2:
                set(slots, below(SLOTS), below(4) ? b : NULL);
                break;
        case 3:
        case 4:
                if (a)
                        set(a, 1 + below(EDGES), below(4) ? b : NULL);
                break;
        case 5:
                if (a)
                        set(weaks, below(SLOTS), weak(a));
                break;
        default:
                o = weaks->r[below(SLOTS)];
                o = o ? heap_weak_load(((struct weakref *)o)->target) : NULL;
                if (o) {
                        assert_in_range(number_of(o), 0, i);
                        for (unsigned e = 1; e <= EDGES; e++)
                                if (((struct store *)o)->r[e])
                                        number_of(((struct store *)o)->r[e]);
                        if (below(2))
                                set(slots, below(SLOTS), o);
                        else if (a)
                                set(a, 1 + below(EDGES), o);
                }
        }
}

static void test_random(void **state)
{
        const char *steps = getenv("PVM_IMAGE_STEPS"), *from = getenv("PVM_IMAGE_SEED");
        int n = steps ? atoi(steps) : 40000;
        struct pvm_stats s;

        (void)state;
        seed = from ? strtoull(from, NULL, 0) : (uint64_t)time(NULL);
        printf("PVM_IMAGE_SEED=%llu\n", (unsigned long long)seed);
        open_machine();
        host.image_begin = real->image_begin;
        put("slots", store_new(CLASS_store_refs, SLOTS, SLOTS, 8));
        put("weaks", store_new(CLASS_store_refs, SLOTS, SLOTS, 8));
        for (int i = 0; i < n; i++) {
                step(i);
                if (below(16))
                        continue;
                heap_wants = below(3) ? WANTS_NOTHING : WANTS_YOUNG;
                heap_collect_wanted();
                if (!image_marking && !below(32)) {
                        young();
                        if (!image_marking)
                                assert_true(image_begin(0));
                }
        }
        pvm_stats(&s);
        printf("%lu full collections, %lu on images, %lu young ones\n", s.collections, s.images, s.young);
        assert_true(s.images > 0);
        close_machine();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_verdict),   cmocka_unit_test(test_weak_load), cmocka_unit_test(test_decided),
                cmocka_unit_test(test_abandoned), cmocka_unit_test(test_processes), cmocka_unit_test(test_killed),
                cmocka_unit_test(test_random),
        };

        shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED)
                return 2;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
