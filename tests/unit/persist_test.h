/*
 * persist_test.h - what the tests of persist/ share: a small set of types, and a machine per test.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "persist/engine.h"
#include "persist/host/hosted.h"

enum { T_NODE = 1, T_SMALL, T_BIG, T_RESIDENT, T_LINE, T_TWIN, T_TYPES };

struct node {
        struct object o;
        void *ref[2];
        void *own;
        void *borrow;
        uint64_t tag;
};

static const struct space_field node_fields[] = {
        {offsetof(struct node, ref), FIELD_REF, 2},
        {offsetof(struct node, own), FIELD_OWN, 1},
        {offsetof(struct node, borrow), FIELD_BORROW, 1},
        {0, 0, 0},
};
static const struct space_type test_types[T_TYPES] = {
        [T_NODE] = {"node", sizeof(struct node), 1, SPACE_OBJECT, node_fields, NULL},
        [T_SMALL] = {"small", 24, 1, 0, NULL, NULL},
        [T_BIG] = {"big", 2016, 1, 0, NULL, NULL},
        [T_RESIDENT] = {"resident", 40, 1, SPACE_RESIDENT, NULL, NULL},
        [T_LINE] = {"line", 100, 1, SPACE_ALIGN64, NULL, NULL},
        [T_TWIN] = {"twin", 2016, 1, 0, NULL, NULL}, /* as T_BIG, but for the number */
};

static inline void machine(uint64_t nframes)
{
        hosted_open(nframes);
        hosted_cpu_enter(0);
        space_types_register(test_types, T_TYPES);
        assert_int_equal(space_create(), 0);
        hosted_cpu_ready();
}

/* cmocka takes over SIGSEGV for the time of a test, so the machine is made inside it. One left by a test that failed goes first. */
static inline void on_small_machine(void **state)
{
        void (*test)(void **state) = (void (*)(void **)) * state;

        hosted_close();
        machine(4096);
        test(state);
        hosted_close();
}

static inline void change(void)
{
        section_begin(NULL, NULL);
        section_changes();
}

static inline struct node *node_new(void)
{
        struct node *n = space_alloc(T_NODE);

        n->o.refs = 1;
        n->o.type = T_NODE;
        return n;
}

#define TEST(f)                                                                                                        \
        {                                                                                                              \
#f, on_small_machine, NULL, NULL, (void *)(f)                                                          \
        }
