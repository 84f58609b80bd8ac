/*
 * ptree.c - page trees: index -> page, nodes of 512 entries, shared copy-on-write.
 *
 * A node belongs to this tree alone when it and every node above it have one reference. Only such nodes are written. Two trees that share a
 * node are guarded by different locks, so the one race here is that both let go of it at once; release_shared() decides who was last under
 * the node's own lock (LOCK_NODE), and the last one keeps the node and takes it apart in the pieces of ptree_remove. Hence no
 * operation ever takes apart more than its budget.
 *
 * Invariants: a reference count counts entries (and roots) that name the page. Window: base is a multiple of 512^height. An empty tree has
 * root 0 and height 0. Nothing is read after changes() that ptree_cost or ptree_next did not touch before it (P14).
 */
#include "posix/include/ptree.h"
#include "kernel/lib/string.h"

#define FANOUT     512u
#define LEVEL_BITS 9u
#define HEIGHT_MAX 6u /* 2^54 pages: more than any file offset or address */
#define RECORDS_PER_PAGE_BITS                                                                                          \
        8 /* page records share a page of the allocator by 256: what one count costs the section's credit */

static uint64_t *entries(ppn_t node)
{
        return space_page(node);
}

static bool in_window(const struct ptree *t, uint64_t index)
{
        return !((index ^ t->base) >> (LEVEL_BITS * t->height));
}

void ptree_init(struct ptree *t, enum page_kind leaf_kind)
{
        *t = (struct ptree){.kind = leaf_kind};
}

ppn_t ptree_lookup(const struct ptree *t, uint64_t index)
{
        ppn_t p = t->root;

        if (!in_window(t, index))
                return 0;
        for (unsigned shift = LEVEL_BITS * t->height; p && shift;) {
                shift -= LEVEL_BITS;
                p = entries(p)[index >> shift & (FANOUT - 1)];
        }
        return p;
}

ppn_t ptree_look(const struct ptree *t, uint64_t index, bool *shared)
{
        ppn_t p = t->root;

        *shared = false;
        if (!p || !in_window(t, index))
                return 0;
        for (unsigned shift = LEVEL_BITS * t->height;;) {
                if (space_page_refs(p) > 1)
                        *shared = true;
                if (!shift)
                        return p;
                shift -= LEVEL_BITS;
                p = entries(p)[index >> shift & (FANOUT - 1)];
                if (!p)
                        return 0;
        }
}

ppn_t ptree_next(const struct ptree *t, uint64_t *index)
{
        unsigned top = LEVEL_BITS * t->height;
        uint64_t at = *index;

        if (!t->root)
                return 0;
        if (at < t->base)
                at = t->base;
        while (in_window(t, at)) {
                ppn_t p = t->root;
                unsigned shift = top;

                while (p && shift) {
                        shift -= LEVEL_BITS;
                        p = entries(p)[at >> shift & (FANOUT - 1)];
                }
                if (p) {
                        *index = at;
                        return p;
                }
                at = ((at >> shift) + 1) << shift;
        }
        return 0;
}

void ptree_lookup_run(const struct ptree *t, uint64_t first, unsigned n, ppn_t *out)
{
        while (n) {
                unsigned run = MIN(n, (unsigned)(FANOUT - (first & (FANOUT - 1))));
                ppn_t p = 0;

                if (t->height && in_window(t, first)) {
                        p = t->root;
                        for (unsigned shift = LEVEL_BITS * t->height; p && shift > LEVEL_BITS;) {
                                shift -= LEVEL_BITS;
                                p = entries(p)[first >> shift & (FANOUT - 1)];
                        }
                }
                if (p)
                        memcpy(out, &entries(p)[first & (FANOUT - 1)], run * sizeof(*out));
                else
                        memset(out, 0, run * sizeof(*out));
                if (!t->height && t->root && t->base - first < run)
                        out[t->base - first] = t->root;
                first += run;
                out += run;
                n -= run;
        }
}

bool ptree_shared_leaf(const struct ptree *t, uint64_t index)
{
        ppn_t p = t->root;
        unsigned shift = LEVEL_BITS * t->height;

        if (!p || !in_window(t, index))
                return false;
        for (; space_page_refs(p) == 1 && shift;) {
                shift -= LEVEL_BITS;
                p = entries(p)[index >> shift & (FANOUT - 1)];
                if (!p)
                        return false;
        }
        return space_page_refs(p) > 1;
}

unsigned ptree_cost(const struct ptree *t, uint64_t index)
{
        uint64_t base = t->base;
        unsigned height = t->height, cost = 1;
        bool shared = false;
        ppn_t p = t->root;

        if (!p)
                return 1;
        for (; (index ^ base) >> (LEVEL_BITS * height); height++, cost++)
                ;
        if (height > t->height)
                return cost + height - 1; /* the new top, then a fresh path below it */
        for (unsigned shift = LEVEL_BITS * height; shift;) {
                shared |= space_page_refs(p) > 1;
                cost += shared;
                shift -= LEVEL_BITS;
                p = entries(p)[index >> shift & (FANOUT - 1)];
                if (!p)
                        return cost + shift / LEVEL_BITS;
        }
        (void)*(volatile uint64_t *)space_page(p);
        return cost;
}

/*
 * Lets go of a shared page. False: this was the only reference after all; it stays with the caller. Counts grow only through a reference that
 * somebody holds, so a count of one, seen by its holder under the lock, is final.
 */
static bool release_shared(ppn_t p)
{
        bool shared;

        if (space_page_refs(p) == 1)
                return false;
        lock(LOCK_NODE, space_page(p));
        shared = space_page_refs(p) > 1;
        if (shared)
                space_page_unref(p);
        unlock(LOCK_NODE, space_page(p));
        return shared;
}

/* Children's records lie close together as a rule; this counts the record pages that a change of all counts dirties, at worst. */
static unsigned record_pages(ppn_t node)
{
        const uint64_t *e = entries(node);
        uint64_t last = ~0ul;
        unsigned n = 0;

        for (unsigned i = 0; i < FANOUT; i++) {
                if (e[i] && e[i] >> RECORDS_PER_PAGE_BITS != last) {
                        last = e[i] >> RECORDS_PER_PAGE_BITS;
                        n++;
                }
        }
        return n;
}

/* Eight entries at once: most nodes are nearly empty. */
static inline bool group_used(const uint64_t *e)
{
        return e[0] | e[1] | e[2] | e[3] | e[4] | e[5] | e[6] | e[7];
}

/* The node in *slot becomes this tree's own: made when missing, copied when shared. */
static uint64_t *own_node(uint64_t *slot)
{
        ppn_t old = *slot, copy;
        uint64_t *from, *to;

        if (!old) {
                *slot = space_page_alloc_zeroed(PAGE_NODE);
                return entries(*slot);
        }
        if (space_page_refs(old) == 1)
                return entries(old);
        copy = space_page_alloc(PAGE_NODE);
        from = entries(old);
        to = entries(copy);
        memcpy(to, from, PAGE_SIZE);
        for (unsigned i = 0; i < FANOUT; i += 8) {
                if (!group_used(&from[i]))
                        continue;
                for (unsigned k = i; k < i + 8; k++) {
                        if (from[k])
                                space_page_ref(from[k]);
                }
        }
        if (release_shared(old)) {
                *slot = copy;
                return to;
        }
        /* The other tree let go meanwhile: keep the original. Its children have another reference, so none of these counts reaches zero. */
        for (unsigned i = 0; i < FANOUT; i++) {
                if (from[i])
                        space_page_unref(from[i]);
        }
        space_page_unref(copy);
        return from;
}

/* One level more: the window becomes 512 times as wide. */
static void grow(struct ptree *t)
{
        ppn_t top = space_page_alloc_zeroed(PAGE_NODE);

        entries(top)[t->base >> (LEVEL_BITS * t->height) & (FANOUT - 1)] = t->root;
        t->root = top;
        t->height++;
        t->base &= ~((1ul << (LEVEL_BITS * t->height)) - 1);
}

/* Place of the leaf at index; the window grows to hold it, the path becomes this tree's own. */
static uint64_t *own_slot(struct ptree *t, uint64_t index)
{
        uint64_t *slot = &t->root;

        if (!t->root) {
                t->height = 0;
                t->base = index;
                return slot;
        }
        while (!in_window(t, index))
                grow(t);
        for (unsigned shift = LEVEL_BITS * t->height; shift;) {
                uint64_t *node = own_node(slot);

                shift -= LEVEL_BITS;
                slot = &node[index >> shift & (FANOUT - 1)];
        }
        return slot;
}

ppn_t ptree_own(struct ptree *t, uint64_t index)
{
        uint64_t *slot = own_slot(t, index);
        ppn_t old = *slot;

        if (!old) {
                t->npages++;
                return *slot = space_page_alloc_zeroed(t->kind);
        }
        if (space_page_refs(old) == 1)
                return old;
        *slot = space_page_alloc(t->kind);
        memcpy(space_page(*slot), space_page(old), PAGE_SIZE);
        space_page_unref(old);
        return *slot;
}

void ptree_probe(struct ptree *t, uint64_t index, struct ptree_probe *pr)
{
        unsigned shift = LEVEL_BITS * t->height;
        uint64_t *slot = &t->root;

        *pr = (struct ptree_probe){0};
        if (!t->root || !in_window(t, index)) {
                pr->cost = ptree_cost(t, index);
                return;
        }
        for (; shift; slot = &entries(*slot)[index >> shift & (FANOUT - 1)]) {
                if (unlikely(!*slot || space_page_refs(*slot) > 1)) {
                        pr->leaf = ptree_look(t, index, &pr->shared);
                        pr->cost = ptree_cost(t, index);
                        return;
                }
                shift -= LEVEL_BITS;
        }
        pr->slot = slot;
        pr->leaf = *slot;
        pr->cost = 1;
        if (pr->leaf) {
                pr->shared = space_page_refs(pr->leaf) > 1;
                (void)*(volatile uint64_t *)space_page(pr->leaf);
        }
}

ppn_t ptree_own_at(struct ptree *t, uint64_t index, const struct ptree_probe *pr)
{
        if (unlikely(!pr->slot || pr->leaf))
                return ptree_own(t, index);
        t->npages++;
        return *pr->slot = space_page_alloc_zeroed(t->kind);
}

void ptree_set(struct ptree *t, uint64_t index, ppn_t page)
{
        uint64_t *slot = own_slot(t, index);

        if (*slot)
                space_page_unref(*slot);
        else
                t->npages++;
        *slot = page;
}

/* ---- removal in pieces ---------------------------------------------------------------------------------------------------- */

struct removal {
        struct ptree *tree;
        uint64_t from, to;      /* as asked */
        unsigned budget, spent; /* pages dirtied */
        uint64_t record;        /* record page touched last */
};

static void spend_on_record(struct removal *r, ppn_t p)
{
        if (p >> RECORDS_PER_PAGE_BITS != r->record) {
                r->record = p >> RECORDS_PER_PAGE_BITS;
                r->spent++;
        }
}

static bool node_empty(ppn_t node)
{
        const uint64_t *e = entries(node);

        for (unsigned i = 0; i < FANOUT; i += 8) {
                if (group_used(&e[i]))
                        return false;
        }
        return true;
}

static unsigned node_count(ppn_t node)
{
        const uint64_t *e = entries(node);
        unsigned n = 0;

        for (unsigned i = 0; i < FANOUT; i++)
                n += e[i] != 0;
        return n;
}

/*
 * Below *slot, whose window is [base, base + 2^shift). Returns the index reached: the window's end (or r->to) when all is done here.
 * A shared node that is wholly in the range is let go without a look inside: at the root (the leaves are no longer counted then), or one level above
 * the leaves, where the count stays exact for little. The nodes between are copied and descended into; they are few.
 */
static uint64_t remove_below(struct removal *r, uint64_t *slot, unsigned shift, uint64_t base)
{
        uint64_t end = base + (1ul << shift), stop = MIN(end, r->to), at = MAX(base, r->from);
        bool whole = r->from <= base && end <= r->to;
        uint64_t removed = 0;
        ppn_t p = *slot;

        if (!p)
                return stop;
        if (r->spent >= r->budget)
                return at;
        if (shift == 0) {
                spend_on_record(r, p);
                space_page_unref(p);
                *slot = 0;
                r->tree->npages -= r->tree->npages > 0;
                return stop;
        }
        if (space_page_absent(p))
                return at;
        if (space_page_refs(p) > 1) {
                bool root = slot == &r->tree->root;
                unsigned lost = 0;

                if (whole && shift == LEVEL_BITS)
                        lost = node_count(p);
                if (whole && (root || shift == LEVEL_BITS) && release_shared(p)) {
                        r->tree->npages -= root ? r->tree->npages : MIN(r->tree->npages, lost);
                        *slot = 0;
                        spend_on_record(r, p);
                        return stop;
                }
                if (space_page_refs(p) > 1) {
                        r->spent += 2 + record_pages(p);
                        own_node(slot);
                        p = *slot;
                }
        }
        shift -= LEVEL_BITS;
        r->spent++;
        for (uint64_t *e = entries(p); !shift && at < stop; at++) { /* the same as below, for leaves */
                uint64_t *entry = &e[at & (FANOUT - 1)];

                if (!(at & 7) && stop - at >= 8 && !group_used(entry)) {
                        at += 7;
                        continue;
                }
                if (!*entry)
                        continue;
                if (unlikely(r->spent >= r->budget)) {
                        r->tree->npages -= MIN(r->tree->npages, removed);
                        return at;
                }
                spend_on_record(r, *entry);
                space_page_unref(*entry);
                *entry = 0;
                removed++;
        }
        r->tree->npages -= MIN(r->tree->npages, removed);
        while (at < stop) {
                unsigned i = at >> shift & (FANOUT - 1);
                uint64_t child = base + ((uint64_t)i << shift), reached;

                reached = remove_below(r, &entries(p)[i], shift, child);
                if (reached < MIN(child + (1ul << shift), stop))
                        return reached;
                at = reached;
        }
        if (whole || node_empty(p)) {
                *slot = 0;
                space_page_unref(p);
        }
        return stop;
}

uint64_t ptree_remove(struct ptree *t, uint64_t from, uint64_t to, unsigned budget)
{
        struct removal r = {.tree = t, .from = from, .to = to, .budget = budget, .record = ~0ul};
        unsigned shift = LEVEL_BITS * t->height;
        uint64_t reached;

        if (!t->root || from >= to || to <= t->base || from >= t->base + (1ul << shift))
                return to;
        reached = remove_below(&r, &t->root, shift, t->base);
        if (!t->root)
                ptree_init(t, t->kind);
        return reached < t->base + (1ul << shift) && t->root ? reached : to;
}

/*
 * A shared node is copied in one section, which counts all its children: the records of those must lie in few pages. One call may copy four such nodes (two cuts, two
 * joins), and a section may dirty 128 pages of records.
 */
#define SHARED_RECORDS 24u
#define PIECE_RECORDS  48u

bool ptree_share_whole(const struct ptree *from)
{
        if (from->height == 0 || !from->root)
                return true;
        return from->height == 1 && (from->npages <= SHARED_RECORDS || record_pages(from->root) <= SHARED_RECORDS);
}

/* Place of the node directly above the leaves for index. */
static uint64_t *own_node_slot(struct ptree *t, uint64_t index)
{
        uint64_t *slot = &t->root;

        if (!t->root) {
                t->height = 1;
                t->base = index & ~(uint64_t)(FANOUT - 1);
                return slot;
        }
        while (!in_window(t, index))
                grow(t);
        for (unsigned shift = LEVEL_BITS * t->height; shift > LEVEL_BITS;) {
                uint64_t *node = own_node(slot);

                shift -= LEVEL_BITS;
                slot = &node[index >> shift & (FANOUT - 1)];
        }
        return slot;
}

uint64_t ptree_share_piece(struct ptree *to, const struct ptree *from, uint64_t index)
{
        uint64_t next = (index | (FANOUT - 1)) + 1, record = ~0ul, *slot, *into;
        ppn_t node = from->root;
        unsigned records = 0;

        if (!from->height) {
                ptree_share(to, from);
                return ~0ul;
        }
        for (unsigned shift = LEVEL_BITS * from->height; shift > LEVEL_BITS;) {
                shift -= LEVEL_BITS;
                node = entries(node)[index >> shift & (FANOUT - 1)];
        }
        slot = own_node_slot(to, index);
        if (!*slot && record_pages(node) <= SHARED_RECORDS) {
                space_page_ref(node);
                *slot = node;
                to->npages += node_count(node);
                return next;
        }
        into = own_node(slot);
        for (; index < next && records < PIECE_RECORDS; index++) {
                ppn_t leaf = entries(node)[index & (FANOUT - 1)];

                if (!leaf)
                        continue;
                if (leaf >> RECORDS_PER_PAGE_BITS != record) {
                        record = leaf >> RECORDS_PER_PAGE_BITS;
                        records++;
                }
                space_page_ref(leaf);
                into[index & (FANOUT - 1)] = leaf;
                to->npages++;
        }
        return index;
}

void ptree_share(struct ptree *to, const struct ptree *from)
{
        *to = *from;
        if (from->root)
                space_page_ref(from->root);
}

/* ---- cutting in two ------------------------------------------------------------------------------------------------------- */

/* How many of the tree's leaves lie right of the cut: exact below one node, else by the share of the top node's children. */
static uint64_t leaves_right(const struct ptree *t, uint64_t index)
{
        unsigned shift = LEVEL_BITS * (t->height - 1), cut = index >> shift & (FANOUT - 1), left = 0, right = 0;
        const uint64_t *e = entries(t->root);

        for (unsigned i = 0; i < FANOUT; i++) {
                if (e[i])
                        *(i < cut ? &left : &right) += 1;
        }
        return left + right ? t->npages * right / (left + right) : 0;
}

/* Frees the nodes on the path to index that the cut left without entries: an empty node would outlive all its leaves. */
static void prune(uint64_t *slot, unsigned shift, uint64_t index)
{
        ppn_t p = *slot;

        if (!p || !shift)
                return;
        shift -= LEVEL_BITS;
        prune(&entries(p)[index >> shift & (FANOUT - 1)], shift, index);
        if (node_empty(p)) {
                *slot = 0;
                space_page_unref(p);
        }
}

static void prune_tree(struct ptree *t, uint64_t index)
{
        prune(&t->root, LEVEL_BITS * t->height, index);
        if (!t->root)
                ptree_init(t, t->kind);
}

void ptree_split(struct ptree *t, uint64_t index, struct ptree *to)
{
        uint64_t *slot = &t->root, *into = &to->root;
        unsigned shift = LEVEL_BITS * t->height;

        if (!t->root || index >= t->base + (1ul << shift))
                return;
        if (index <= t->base) {
                uint32_t kind = t->kind;

                *to = *t;
                ptree_init(t, kind);
                return;
        }
        to->height = t->height;
        to->base = t->base;
        to->npages = leaves_right(t, index);
        t->npages -= to->npages;
        while (shift && *slot) {
                uint64_t *left = own_node(slot), *right;
                unsigned cut;

                shift -= LEVEL_BITS;
                cut = index >> shift & (FANOUT - 1);
                *into = space_page_alloc_zeroed(PAGE_NODE);
                right = entries(*into);
                for (unsigned i = cut + 1; i < FANOUT; i++) {
                        right[i] = left[i];
                        left[i] = 0;
                }
                slot = &left[cut];
                into = &right[cut];
        }
        if (*slot && !shift) { /* the leaf at index itself */
                *into = *slot;
                *slot = 0;
        }
        prune_tree(t, index);
        prune_tree(to, index);
}

static void join_below(uint64_t *slot, uint64_t *from)
{
        uint64_t *to, *moved;

        if (!*slot || !*from) {
                *slot += *from;
                *from = 0;
                return;
        }
        to = own_node(slot);
        moved = own_node(from);
        for (unsigned i = 0; i < FANOUT; i++) {
                if (moved[i])
                        join_below(&to[i], &moved[i]);
        }
        space_page_unref(*from);
        *from = 0;
}

void ptree_join(struct ptree *t, struct ptree *from)
{
        if (!from->root)
                return;
        if (!t->root) {
                *t = *from;
        } else {
                while (!in_window(t, from->base) || t->height < from->height)
                        grow(t);
                while (from->height < t->height)
                        grow(from);
                join_below(&t->root, &from->root);
                t->npages += from->npages;
        }
        ptree_init(from, from->kind);
}
