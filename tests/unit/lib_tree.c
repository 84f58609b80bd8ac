/*
 * lib_tree.c - red-black trees and lists against sorted arrays: random inserts, removals, replacements; the rules are checked at each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/lib/list.h"
#include "kernel/lib/rbtree.c"

struct item {
        struct rb_node node;
        struct list link;
        unsigned key;
        bool in;
};
#define ITEMS 300
static struct item items[ITEMS + 1];
static struct rb_root root;

static void insert(struct item *it)
{
        struct rb_node **at = &root.node, *parent = NULL;
        while (*at) {
                parent = *at;
                at = it->key < rb_entry(parent, struct item, node)->key ? &parent->left : &parent->right;
        }
        rb_insert(&root, &it->node, parent, at);
        it->in = true;
}

static void compare(void)
{
        struct rb_node *n = rb_first(&root);
        unsigned last = ITEMS;

        assert_true(rb_check(&root));
        for (unsigned i = 0; i < ITEMS; i++) {
                if (!items[i].in)
                        continue;
                assert_non_null(n);
                assert_int_equal(rb_entry(n, struct item, node)->key, i);
                n = rb_next(n);
                last = i;
        }
        assert_null(n);
        n = rb_last(&root);
        for (unsigned i = ITEMS; i-- > 0;) {
                if (!items[i].in)
                        continue;
                assert_int_equal(rb_entry(n, struct item, node)->key, i);
                n = rb_prev(n);
        }
        assert_null(n);
        if (last == ITEMS)
                assert_null(root.node);
}

static void random_tree(void **state)
{
        (void)state;
        srand(1);
        for (unsigned i = 0; i < ITEMS; i++)
                items[i].key = i;
        for (unsigned round = 0; round < 20000; round++) {
                /* Grows and shrinks in turn, so that it is empty and full again and again. */
                bool grow = round / 1000 % 2 == 0 ? rand() % 4 : !(rand() % 4);
                struct item *it = &items[rand() % ITEMS];
                if (it->in && !grow) {
                        rb_erase(&root, &it->node);
                        it->in = false;
                } else if (!it->in && grow) {
                        insert(it);
                }
                if (round % 16 == 0 || round < 500)
                        compare();
        }
}

static void ordered_tree(void **state)
{
        (void)state;
        root.node = NULL;
        for (unsigned i = 0; i < ITEMS; i++)
                items[i].in = false;
        for (unsigned i = 0; i < ITEMS; i++) {
                insert(&items[i]);
                assert_true(rb_check(&root));
        }
        items[ITEMS] = items[17];
        rb_replace(&root, &items[17].node, &items[ITEMS].node);
        memset(&items[17], 0xee, sizeof(items[17]));
        assert_true(rb_check(&root));
        rb_replace(&root, &items[ITEMS].node, &items[17].node);
        items[17].key = 17;
        items[17].in = true;
        compare();
        for (unsigned i = 0; i < ITEMS; i++) {
                rb_erase(&root, &items[i].node);
                items[i].in = false;
                assert_true(rb_check(&root));
        }
        assert_null(root.node);
}

static void lists(void **state)
{
        struct list a = LIST_INIT(a), b = LIST_INIT(b);
        struct item *it, *tmp;
        unsigned n = 0;

        (void)state;
        assert_true(list_empty(&a));
        assert_null(list_pop(&a));
        assert_null(list_first(&a, struct item, link));
        for (unsigned i = 0; i < 10; i++) {
                items[i].key = i;
                list_add_tail(i % 2 ? &a : &b, &items[i].link);
        }
        list_splice(&a, &b);
        assert_true(list_empty(&b));
        list_splice(&a, &b);
        list_each(it, &a, link) assert_int_equal(it->key, n < 5 ? 2 * n + 1 : 2 * (n - 5)), n++;
        assert_int_equal(n, 10);
        list_each_safe(it, tmp, &a, link)
        {
                if (it->key % 2)
                        list_del(&it->link);
        }
        assert_true(list_empty(&items[1].link));
        list_add(&a, &items[1].link);
        assert_int_equal(list_first(&a, struct item, link)->key, 1);
        assert_int_equal(list_last(&a, struct item, link)->key, 8);
        for (n = 0; list_pop(&a); n++)
                ;
        assert_int_equal(n, 6);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(random_tree), cmocka_unit_test(ordered_tree),
                                           cmocka_unit_test(lists)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
