/*
 * ptree.h - page tree: index -> page of the space, a 512-ary radix tree of PAGE_NODE pages, shared copy-on-write (posix/mm/ptree.c).
 * Used for file contents (index = offset / 4096) and for private memory of an address space (index = va / 4096).
 * Node entries: ppn of a child node or leaf, 0 = nothing. A page's reference count counts the entries that name it; a node with refs > 1 is shared and
 * is copied before it changes (its children each get a reference). Hence fork: one reference on the root. Height 0: the root *is* the page of index 0.
 * The caller's lock guards the tree (LOCK_INODE, LOCK_MM). Lookups change nothing.
 */
#pragma once
#include "posix/include/types.h"

struct ptree {
        uint64_t root;      /* [P] ppn, 0 = empty */
        uint32_t height;    /* [P] levels of nodes above the leaf: covers 512^height pages */
        uint32_t kind;      /* [P] enum page_kind of its leaves */
        uint64_t npages;    /* [P] leaves present in this tree's view (approximate after sharing) */
};
void ptree_init(struct ptree *t, enum page_kind leaf_kind);
ppn_t ptree_lookup(const struct ptree *t, uint64_t index);              /* 0: none */
ppn_t ptree_next(const struct ptree *t, uint64_t *index);               /* first present leaf at or after *index; 0: none */
/* Pages that a change at index may need (nodes to create or copy, the leaf): for space_room and the section's credit. */
unsigned ptree_cost(const struct ptree *t, uint64_t index);
/* After changes(). Leaf at index that this tree owns alone: made (zeroed) or copied when shared. */
ppn_t ptree_own(struct ptree *t, uint64_t index);
void ptree_set(struct ptree *t, uint64_t index, ppn_t page);            /* takes the reference on page; replaces */
/* Removes leaves in [from, to), at most `budget` pages touched; returns the index reached (== to when done). */
uint64_t ptree_remove(struct ptree *t, uint64_t from, uint64_t to, unsigned budget);
void ptree_share(struct ptree *to, const struct ptree *from);           /* fork: to becomes a copy-on-write twin */
bool ptree_shared_leaf(const struct ptree *t, uint64_t index);          /* leaf or a node above it has refs > 1 */
