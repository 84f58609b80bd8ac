/*
 * rbtree.c - red-black tree (Cormen et al., chapter 13), with NULL for the black leaves.
 */
#include "kernel/lib/rbtree.h"

static void set_child(struct rb_root *root, struct rb_node *parent, struct rb_node *old, struct rb_node *n)
{
        if (!parent)
                root->node = n;
        else if (parent->left == old)
                parent->left = n;
        else
                parent->right = n;
}

static void rotate_left(struct rb_root *root, struct rb_node *x)
{
        struct rb_node *y = x->right;

        x->right = y->left;
        if (y->left)
                y->left->parent = x;
        y->parent = x->parent;
        set_child(root, x->parent, x, y);
        y->left = x;
        x->parent = y;
}

static void rotate_right(struct rb_root *root, struct rb_node *x)
{
        struct rb_node *y = x->left;

        x->left = y->right;
        if (y->right)
                y->right->parent = x;
        y->parent = x->parent;
        set_child(root, x->parent, x, y);
        y->right = x;
        x->parent = y;
}

void rb_insert(struct rb_root *root, struct rb_node *n, struct rb_node *parent, struct rb_node **at)
{
        struct rb_node *g, *uncle;

        n->left = n->right = NULL;
        n->parent = parent;
        n->red = 1;
        *at = n;
        while ((parent = n->parent) && parent->red) {
                g = parent->parent; /* exists: the root is black */
                if (parent == g->left) {
                        uncle = g->right;
                        if (uncle && uncle->red) {
                                parent->red = uncle->red = 0;
                                g->red = 1;
                                n = g;
                                continue;
                        }
                        if (n == parent->right) {
                                rotate_left(root, parent);
                                n = parent;
                                parent = n->parent;
                        }
                        parent->red = 0;
                        g->red = 1;
                        rotate_right(root, g);
                } else {
                        uncle = g->left;
                        if (uncle && uncle->red) {
                                parent->red = uncle->red = 0;
                                g->red = 1;
                                n = g;
                                continue;
                        }
                        if (n == parent->left) {
                                rotate_right(root, parent);
                                n = parent;
                                parent = n->parent;
                        }
                        parent->red = 0;
                        g->red = 1;
                        rotate_left(root, g);
                }
        }
        root->node->red = 0;
}

static bool is_black(const struct rb_node *n)
{
        return !n || !n->red;
}

/* x (may be NULL) stands under parent and is one black short. */
static void erase_fix(struct rb_root *root, struct rb_node *x, struct rb_node *parent)
{
        struct rb_node *w;

        while (x != root->node && is_black(x)) {
                if (x == parent->left) {
                        w = parent->right;
                        if (w->red) {
                                w->red = 0;
                                parent->red = 1;
                                rotate_left(root, parent);
                                w = parent->right;
                        }
                        if (is_black(w->left) && is_black(w->right)) {
                                w->red = 1;
                                x = parent;
                                parent = x->parent;
                                continue;
                        }
                        if (is_black(w->right)) {
                                w->left->red = 0;
                                w->red = 1;
                                rotate_right(root, w);
                                w = parent->right;
                        }
                        w->red = parent->red;
                        parent->red = 0;
                        w->right->red = 0;
                        rotate_left(root, parent);
                } else {
                        w = parent->left;
                        if (w->red) {
                                w->red = 0;
                                parent->red = 1;
                                rotate_right(root, parent);
                                w = parent->left;
                        }
                        if (is_black(w->left) && is_black(w->right)) {
                                w->red = 1;
                                x = parent;
                                parent = x->parent;
                                continue;
                        }
                        if (is_black(w->left)) {
                                w->right->red = 0;
                                w->red = 1;
                                rotate_left(root, w);
                                w = parent->left;
                        }
                        w->red = parent->red;
                        parent->red = 0;
                        w->left->red = 0;
                        rotate_right(root, parent);
                }
                x = root->node;
                break;
        }
        if (x)
                x->red = 0;
}

void rb_erase(struct rb_root *root, struct rb_node *n)
{
        struct rb_node *x, *parent;
        unsigned long removed_red;

        if (n->left && n->right) {
                struct rb_node *s = n->right; /* the successor takes n's place */
                while (s->left)
                        s = s->left;
                x = s->right;
                removed_red = s->red;
                if (s->parent == n) {
                        parent = s;
                } else {
                        parent = s->parent;
                        parent->left = x;
                        if (x)
                                x->parent = parent;
                        s->right = n->right;
                        s->right->parent = s;
                }
                s->left = n->left;
                s->left->parent = s;
                s->red = n->red;
                s->parent = n->parent;
                set_child(root, n->parent, n, s);
        } else {
                x = n->left ? n->left : n->right;
                parent = n->parent;
                removed_red = n->red;
                if (x)
                        x->parent = parent;
                set_child(root, parent, n, x);
        }
        if (!removed_red)
                erase_fix(root, x, parent);
}

void rb_replace(struct rb_root *root, struct rb_node *old, struct rb_node *n)
{
        *n = *old;
        set_child(root, n->parent, old, n);
        if (n->left)
                n->left->parent = n;
        if (n->right)
                n->right->parent = n;
}

struct rb_node *rb_first(const struct rb_root *root)
{
        struct rb_node *n = root->node;
        while (n && n->left)
                n = n->left;
        return n;
}

struct rb_node *rb_last(const struct rb_root *root)
{
        struct rb_node *n = root->node;
        while (n && n->right)
                n = n->right;
        return n;
}

struct rb_node *rb_next(const struct rb_node *n)
{
        struct rb_node *p;

        if (n->right) {
                for (p = n->right; p->left; p = p->left)
                        ;
                return p;
        }
        for (p = n->parent; p && n == p->right; p = p->parent)
                n = p;
        return p;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
        struct rb_node *p;

        if (n->left) {
                for (p = n->left; p->right; p = p->right)
                        ;
                return p;
        }
        for (p = n->parent; p && n == p->left; p = p->parent)
                n = p;
        return p;
}

/* Black height of the subtree, -1 when a rule is broken. The depth is at most 2 log2(n). */
static int check_below(const struct rb_node *n, const struct rb_node *parent)
{
        int left, right;

        if (!n)
                return 0;
        if (n->parent != parent || (n->red && parent && parent->red))
                return -1;
        left = check_below(n->left, n);
        right = check_below(n->right, n);
        if (left < 0 || left != right)
                return -1;
        return left + !n->red;
}

bool rb_check(const struct rb_root *root)
{
        return is_black(root->node) && check_below(root->node, NULL) >= 0;
}
