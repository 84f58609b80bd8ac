/*
 * rbtree.h - intrusive red-black tree. The owner searches and finds the place itself (no callbacks), then links and rebalances:
 *
 *      struct rb_node **at = &root->node, *parent = NULL;
 *      while (*at) { parent = *at; at = key < entry(parent)->key ? &parent->left : &parent->right; }
 *      rb_insert(root, &new->node, parent, at);
 *
 * Plain pointers without tag bits, so that a tree in the persistent space can be scanned like any other object.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct rb_node {
        struct rb_node *left, *right, *parent;
        unsigned long red;
};
struct rb_root {
        struct rb_node *node;
};

#define rb_entry(n, type, member) ((type *)((char *)(n)-offsetof(type, member)))

void rb_insert(struct rb_root *root, struct rb_node *n, struct rb_node *parent, struct rb_node **at);
void rb_erase(struct rb_root *root, struct rb_node *n);
/* `n` takes the place of `old` (equal order). */
void rb_replace(struct rb_root *root, struct rb_node *old, struct rb_node *n);
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *n);
struct rb_node *rb_prev(const struct rb_node *n);
/* True when colours and links obey the rules (tests, checkers). */
bool rb_check(const struct rb_root *root);
