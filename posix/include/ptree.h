/*
 * ptree.h - page tree: index -> page of the space, a 512-ary radix tree of PAGE_NODE pages, shared copy-on-write (posix/mm/ptree.c).
 * Used for file contents (index = offset / 4096) and for private memory of an area (index as vma_index() says).
 * Node entries: ppn of a child node or leaf, 0 = nothing. A page's reference count counts the entries that name it; a node with refs > 1 is shared and
 * is copied before it changes (its children each get a reference). Hence fork: one reference on the root, or on each node above the leaves. The tree covers only the aligned window
 * it needs: [base, base + 512^height); height 0: the root *is* the page of index `base`. So go through these functions, never through `root`.
 * The caller's lock guards the tree (LOCK_INODE, LOCK_MM). Lookups change nothing.
 */
#pragma once
#include "posix/include/types.h"

struct ptree {
        uint64_t root;   /* [P] ppn, 0 = empty */
        uint32_t height; /* [P] levels of nodes above the leaf: the window has 512^height pages */
        uint32_t kind;   /* [P] enum page_kind of its leaves */
        uint64_t npages; /* [P] leaves present in this tree's view; approximate after ptree_split */
        uint64_t base;   /* [P] first index of the window, a multiple of its size */
};
#define PTREE_COST_MAX 16u /* no ptree_cost() is above it: for callers that ask for room before they know the index */

void ptree_init(struct ptree *t, enum page_kind leaf_kind);
ppn_t ptree_lookup(const struct ptree *t, uint64_t index); /* 0: none */
ppn_t ptree_next(const struct ptree *t, uint64_t *index);  /* first present leaf at or after *index; 0: none */
/* Leaves of [first, first + n) into out[] (0: none), n <= 512; one walk per node. */
void ptree_lookup_run(const struct ptree *t, uint64_t first, unsigned n, ppn_t *out);
/*
 * Pages that a change at index may need (nodes to create or copy, the leaf), for space_room and the section's credit. Before changes(): it also
 * touches what ptree_own and ptree_set will read, so that nothing of it is absent after the change began.
 */
unsigned ptree_cost(const struct ptree *t, uint64_t index);
/* After changes(). Leaf at index that this tree owns alone: made (zeroed) or copied when shared. */
ppn_t ptree_own(struct ptree *t, uint64_t index);
void ptree_set(struct ptree *t, uint64_t index, ppn_t page); /* takes the reference on page; replaces */
/*
 * Removes leaves in [from, to), at most about `budget` pages touched; returns the index reached (>= to when done). It stops before a node that is
 * absent. Shape of a removal in pieces:
 *      before the change   i = from; if (!ptree_next(&t, &i) || i >= to) done;      (touches the path)
 *      after changes()     from = ptree_remove(&t, i, to, PTREE_BUDGET);            then CALL_AGAIN
 * A node shared with another tree and only partly in the range is copied: ask space_room(PTREE_COST_MAX) first.
 */
uint64_t ptree_remove(struct ptree *t, uint64_t from, uint64_t to, unsigned budget);
#define PTREE_BUDGET 40u
/*
 * fork: `to` becomes a copy-on-write twin of `from`. A small tree, or one whose pages' records lie together, is shared by one reference: ptree_share_whole says so
 * (before the change). Else in pieces: node by node, and the leaves of a node with scattered records one by one, so that no later copy of a shared
 * node dirties more record pages than a section may. Shape:
 *      before the change   if (!ptree_next(from, &i)) done;  ptree_cost(to, i);
 *      after changes()     i = ptree_share_piece(to, from, i);      ~0: done
 */
bool ptree_share_whole(const struct ptree *from);
void ptree_share(struct ptree *to, const struct ptree *from);
uint64_t ptree_share_piece(struct ptree *to, const struct ptree *from, uint64_t index);
bool ptree_shared_leaf(const struct ptree *t, uint64_t index); /* leaf or a node above it has refs > 1 */
/*
 * Moves the leaves at or after index into the empty tree `to`. Whole subtrees move; only nodes on the cut's path are made anew (both trees: at most
 * PTREE_COST_MAX pages). Before changes(): ptree_cost(t, index) to touch the path.
 */
void ptree_split(struct ptree *t, uint64_t index, struct ptree *to);
/*
 * The reverse: all leaves of `from`, every one of which lies after (or before) all of t's, move into t; `from` is empty then. At most
 * 2 * PTREE_COST_MAX pages. Before changes(): ptree_cost of the last index on one side and of the first on the other.
 */
void ptree_join(struct ptree *t, struct ptree *from);
/*
 * One walk for a fault: the leaf (0: none), whether it or a node above it is shared, and, when the whole path is this tree's own, its place. Touches like
 * ptree_cost, and `cost` is the same. ptree_own_at, after changes() in the same section, is ptree_own for what was found.
 */
struct ptree_probe {
        ppn_t leaf;
        uint64_t *slot;
        unsigned cost;
        bool shared;
};
void ptree_probe(struct ptree *t, uint64_t index, struct ptree_probe *pr);
ppn_t ptree_own_at(struct ptree *t, uint64_t index, const struct ptree_probe *pr);
/* Leaf at index, and whether a node above it or it itself is shared: ptree_lookup and ptree_shared_leaf in one walk. */
ppn_t ptree_look(const struct ptree *t, uint64_t index, bool *shared);
