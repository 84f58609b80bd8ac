/*
 * map.c - where pages are: the copy-on-write tree on disk, and the index of what changed since it was written.
 *
 * The tree is a radix tree over page numbers; an entry has block, checksum and birth epoch of what it points to, so every node is checked when
 * it is read, and a dead block's birth is known. A checkpoint writes changed nodes to new blocks, bottom up. Nodes are read on demand and kept, up to MAP_CACHE; then the leaves go, and
 * those that a checkpoint has changed are written by then. It changes them in the order of pages, so that hardly one is read or written twice.
 * The recent index is a hash table with linear probing over the pages named by records after the last checkpoint; emptied by it. Beside it is a table of the same kind of the nodes above
 * those pages: so it is known what room the next checkpoint needs.
 */
#include "persist/store/internal.h"
#include "kernel/lib/sort.h"

static inline unsigned slot_of(uint64_t ppn, unsigned level)
{
        return ppn >> (8 * level) & (MAP_FANOUT - 1);
}

static size_t node_size(unsigned level)
{
        return (sizeof(struct map_node) + (level ? MAP_FANOUT * sizeof(struct map_node *) : 0) + 15) & ~15ul;
}

static struct map_node *node_new(struct store *s, unsigned level)
{
        struct map_node *n = persist_host->mem_alloc(node_size(level));

        if (n) {
                zero16(n, node_size(level));
                s->nnodes++;
        }
        return n;
}

static int node_read(struct store *s, struct disk_map m, unsigned level, struct map_node **node)
{
        struct map_node *n = node_new(s, level);
        int r = n ? disk_read(s, map_block(&m), n->e, 1) : -ENOMEM;

        if (!r && page_sum(n->e) != map_sum(&m)) {
                persist_host->log("store: map node in block %lu is damaged\n", map_block(&m));
                r = -EIO;
        }
        if (r) {
                if (n) {
                        persist_host->mem_free(n, node_size(level));
                        s->nnodes--;
                }
                return r;
        }
        n->block = map_block(&m);
        n->birth = map_birth(&m);
        *node = n;
        return 0;
}

/*
 * A node in place of one that cannot be read: checkpoints go on, and what it named is lost, page by page, until it is written anew. Its blocks stay in use: kept snapshots may
 * name them, too.
 */
static int node_replace(struct store *s, struct disk_map m, unsigned level, struct map_node **node)
{
        struct map_node *n = node_new(s, level);

        if (!n)
                return -ENOMEM;
        for (unsigned i = 0; i < MAP_FANOUT; i++)
                n->e[i].sum_birth = 1;
        n->block = map_block(&m);
        n->birth = map_birth(&m);
        *node = n;
        return 0;
}

/* The node that m names, or, to make, what it can be replaced by. */
static int node_get(struct store *s, struct disk_map m, unsigned level, bool make, struct map_node **node)
{
        int r = map_lost(&m) ? -EIO : node_read(s, m, level, node);

        return r == -EIO && make ? node_replace(s, m, level, node) : r;
}

/* A 128th of a small machine's memory. */
static uint64_t map_cache(void)
{
        uint64_t some = persist_host->frames_total() / 128;

        return some < MAP_CACHE ? some : MAP_CACHE;
}

static int node_write(struct store *s, struct map_node *n, unsigned level, uint64_t epoch, struct disk_map *m);

/* All leaves below n leave the memory, written if they were changed. */
static int leaves_drop(struct store *s, struct map_node *n, unsigned level)
{
        int r = 0;

        for (unsigned i = 0; i < MAP_FANOUT && !r; i++) {
                struct map_node *child = n->child[i];

                if (!child)
                        continue;
                if (level > 1) {
                        r = leaves_drop(s, child, level - 1);
                        continue;
                }
                r = node_write(s, child, 0, s->epoch, &n->e[i]);
                if (r)
                        break;
                persist_host->mem_free(child, node_size(0));
                s->nnodes--;
                n->child[i] = NULL;
        }
        return r;
}

/* The leaf node for ppn; with make, missing nodes are made (and all on the way marked dirty). *node NULL: no such leaf. */
static int leaf_find(struct store *s, uint64_t ppn, bool make, struct map_node **node)
{
        struct map_node *n = s->root, *child;
        int r;

        *node = NULL;
        if (!n) {
                if (map_block(&s->super.map_root)) {
                        r = node_get(s, s->super.map_root, MAP_LEVELS - 1, make, &n);
                        if (r)
                                return r;
                } else if (make) {
                        n = node_new(s, MAP_LEVELS - 1);
                        if (!n)
                                return -ENOMEM;
                } else {
                        return 0;
                }
                s->root = n;
        }
        for (unsigned level = MAP_LEVELS - 1; level; level--, n = child) {
                unsigned i = slot_of(ppn, level);

                n->dirty |= make;
                child = n->child[i];
                if (child)
                        continue;
                if (level == 1 && s->nnodes >= map_cache()) {
                        r = leaves_drop(s, s->root, MAP_LEVELS - 1);
                        if (r)
                                return r;
                }
                if (map_block(&n->e[i]) || map_lost(&n->e[i])) {
                        r = node_get(s, n->e[i], level - 1, make, &child);
                        if (r)
                                return r;
                } else if (make) {
                        child = node_new(s, level - 1);
                        if (!child)
                                return -ENOMEM;
                } else {
                        return 0;
                }
                n->child[i] = child;
        }
        n->dirty |= make;
        *node = n;
        return 0;
}

/* Recovery: the root is read, so that a superblock whose map begins with a damaged node is not taken. */
int map_open(struct store *s)
{
        return map_block(&s->super.map_root) ? node_read(s, s->super.map_root, MAP_LEVELS - 1, &s->root) : 0;
}

/* What the tree says, checkpoints only; all zero: nothing. -EIO: that cannot be known. */
int map_get(struct store *s, uint64_t ppn, struct disk_map *m)
{
        struct map_node *leaf;
        int r = leaf_find(s, ppn, false, &leaf);

        *m = (struct disk_map){0};
        if (!r && leaf)
                *m = leaf->e[slot_of(ppn, 0)];
        return !r && map_lost(m) ? -EIO : r;
}

int map_next(struct store *s, uint64_t *ppn, const struct disk_map **e)
{
        for (uint64_t p = *ppn; p >> 8 * MAP_LEVELS == 0;) {
                struct map_node *leaf, *n;
                unsigned level = MAP_LEVELS - 1;
                int r = leaf_find(s, p, false, &leaf);

                if (r && r != -EIO)
                        return r;
                if (!r && leaf) {
                        *ppn = p;
                        *e = leaf->e;
                        return 1;
                }
                if (!s->root)
                        return 0;
                for (n = s->root; level > 1 && n->child[slot_of(p, level)]; level--)
                        n = n->child[slot_of(p, level)];
                p = ((p >> 8 * level) + 1) << 8 * level; /* there is nothing below that */
        }
        return 0;
}

int map_set(struct store *s, uint64_t ppn, struct disk_map m)
{
        struct map_node *leaf;
        int r = leaf_find(s, ppn, true, &leaf);

        if (!r)
                leaf->e[slot_of(ppn, 0)] = m;
        return r;
}

static bool node_empty(const struct map_node *n)
{
        for (unsigned i = 0; i < MAP_FANOUT; i++)
                if (n->e[i].block_birth || map_lost(&n->e[i]))
                        return false;
        return true;
}

/* Writes the node if anything below changed; *m becomes the entry for it, all zero if it is empty. */
static int node_write(struct store *s, struct map_node *n, unsigned level, uint64_t epoch, struct disk_map *m)
{
        uint64_t block;
        uint32_t got;
        int r = 0;

        if (!n->dirty)
                return 0;
        for (unsigned i = 0; level && i < MAP_FANOUT && !r; i++) {
                struct map_node *child = n->child[i];

                if (!child)
                        continue;
                r = node_write(s, child, level - 1, epoch, &n->e[i]);
                if (!r && !n->e[i].block_birth && !map_lost(&n->e[i])) { /* became empty */
                        persist_host->mem_free(child, node_size(level - 1));
                        s->nnodes--;
                        n->child[i] = NULL;
                }
        }
        if (!r && n->block)
                r = dead_add_old(s, n->block, n->birth, epoch, 0);
        if (r)
                return r;
        n->dirty = false;
        n->block = 0;
        *m = (struct disk_map){0};
        if (node_empty(n))
                return 0;
        r = disk_write_new(s, n->e, 1, &block, &got);
        if (r)
                return r;
        n->block = block;
        n->birth = epoch;
        *m = map_entry(block, epoch, page_sum(n->e));
        return 0;
}

static void node_free(struct store *s, struct map_node *n, unsigned level)
{
        for (unsigned i = 0; level && i < MAP_FANOUT; i++)
                if (n->child[i])
                        node_free(s, n->child[i], level - 1);
        persist_host->mem_free(n, node_size(level));
        s->nnodes--;
}

int map_write(struct store *s, uint64_t epoch, struct disk_map *root)
{
        int r = 0;

        *root = s->super.map_root;
        if (s->root)
                r = node_write(s, s->root, MAP_LEVELS - 1, epoch, root);
        if (s->root && !map_block(root))
                map_close(s);
        return r;
}

void map_close(struct store *s)
{
        if (s->root)
                node_free(s, s->root, MAP_LEVELS - 1);
        s->root = NULL;
}

/* In the tree of a kept snapshot. The nodes of the way that was gone last are remembered: neighbours are asked for one after the other. */
int map_get_at(struct store *s, struct disk_map root, uint64_t ppn, struct disk_map *m)
{
        *m = root;
        for (unsigned level = MAP_LEVELS; level-- && map_block(m);) {
                struct way *w = &s->way[level];

                if (w->at.block_birth != m->block_birth || w->at.sum_birth != m->sum_birth) {
                        w->at = (struct disk_map){0};
                        if (disk_read(s, map_block(m), w->e, 1) || page_sum(w->e) != map_sum(m))
                                return -EIO;
                        w->at = *m;
                }
                *m = w->e[slot_of(ppn, level)];
                if (map_lost(m))
                        return -EIO;
        }
        return 0;
}

/* ---- the recent index ---- */

static struct recent *place_of(struct store *s, uint64_t ppn)
{
        uint64_t i = ppn * 0x9e3779b97f4a7c15ul >> 20;

        while (s->recent[i & (s->recent_size - 1)].ppn && s->recent[i & (s->recent_size - 1)].ppn != ppn + 1)
                i++;
        return &s->recent[i & (s->recent_size - 1)];
}

struct recent *recent_find(struct store *s, uint64_t ppn)
{
        struct recent *r;

        if (!s->nrecent)
                return NULL;
        r = place_of(s, ppn);
        return r->ppn ? r : NULL;
}

/* Of a hash table that is to have n entries and has room for size: for how many it gets room. */
static uint64_t table_size(uint64_t size, uint64_t least, uint64_t n)
{
        if (!size)
                size = least;
        while (size < 2 * n)
                size *= 2;
        return size;
}

static uint64_t recent_size(const struct store *s, uint64_t n)
{
        return table_size(s->recent_size, 1024, n);
}

static uint64_t touched_size(const struct store *s, uint64_t n)
{
        return table_size(s->touched_size, 256, n);
}

int recent_room(struct store *s, uint64_t n)
{
        uint64_t old_size = s->recent_size, size = recent_size(s, n);
        struct recent *old = s->recent, *new;

        if (size == old_size)
                return 0;
        new = persist_host->mem_alloc(size * sizeof(*new));
        if (!new)
                return -ENOMEM;
        zero16(new, size * sizeof(*new));
        s->recent = new;
        s->recent_size = size;
        for (uint64_t i = 0; i < old_size; i++)
                if (old[i].ppn)
                        *place_of(s, old[i].ppn - 1) = old[i];
        if (old)
                persist_host->mem_free(old, old_size * sizeof(*old));
        return 0;
}

static uint64_t *touched_place(struct store *s, uint64_t node)
{
        uint64_t i = node * 0x9e3779b97f4a7c15ul >> 20;

        while (s->touched[i & (s->touched_size - 1)] && s->touched[i & (s->touched_size - 1)] != node)
                i++;
        return &s->touched[i & (s->touched_size - 1)];
}

static int touched_grow(struct store *s)
{
        uint64_t old_size = s->touched_size, size = touched_size(s, s->ntouched + 1);
        uint64_t *old = s->touched, *new = persist_host->mem_alloc(size * sizeof(*new));

        if (!new)
                return -ENOMEM;
        zero16(new, size * sizeof(*new));
        s->touched = new;
        s->touched_size = size;
        for (uint64_t i = 0; i < old_size; i++)
                if (old[i])
                        *touched_place(s, old[i]) = old[i];
        if (old)
                persist_host->mem_free(old, old_size * sizeof(*old));
        return 0;
}

/* The nodes on the way to the page, from the leaf up; those above one that is known are known. A node's number has its level in the low bits, and is not 0. */
static int touch(struct store *s, uint64_t ppn)
{
        for (unsigned level = 0; level < MAP_LEVELS; level++) {
                uint64_t node = ppn >> 8 * (level + 1) << 3 | (level + 1), *at;
                int r;

                if (!level) { /* neighbours come one after the other */
                        if (node == s->touched_last)
                                return 0;
                        s->touched_last = node;
                }
                r = 2 * (s->ntouched + 1) > s->touched_size ? touched_grow(s) : 0;
                if (r) {
                        s->touched_last = 0;
                        return r;
                }
                at = touched_place(s, node);
                if (*at)
                        return 0;
                *at = node;
                s->ntouched++;
        }
        return 0;
}

/* r->ppn is the page number; kept as that + 1. */
int recent_set(struct store *s, const struct recent *r)
{
        struct recent *at;
        int e = 0;

        if (2 * (s->nrecent + 1) > s->recent_size)
                e = recent_room(s, s->nrecent + 1);
        if (!e)
                e = touch(s, r->ppn);
        if (e)
                return e;
        at = place_of(s, r->ppn);
        s->nrecent += !at->ppn;
        s->nrecent_packed += r->length || r->delta;
        s->nrecent_packed -= at->ppn && (at->length || at->delta);
        *at = *r;
        at->ppn = r->ppn + 1;
        return 0;
}

uint64_t map_memory(const struct store *s, uint64_t npages)
{
        uint64_t nrecent = s->nrecent + npages, ntouched = s->ntouched + npages + MAP_LEVELS, most = map_cache();
        uint64_t nodes = s->nnodes < most ? most - s->nnodes : 0, sum;
        uint64_t recent = recent_size(s, nrecent + 1), touched = touched_size(s, ntouched + 1);

        if (nodes > ntouched)
                nodes = ntouched;
        sum = nrecent * sizeof(uint64_t) + (nodes + MAP_LEVELS) * node_size(1);
        if (recent != s->recent_size)
                sum += recent * sizeof(*s->recent);
        if (touched != s->touched_size)
                sum += touched * sizeof(*s->touched);
        return sum;
}

int recent_sorted(struct store *s, uint64_t **sorted)
{
        uint64_t *key = persist_host->mem_alloc(s->nrecent * sizeof(*key));
        size_t n = 0;

        if (!key)
                return -ENOMEM;
        for (uint64_t i = 0; i < s->recent_size; i++)
                if (s->recent[i].ppn)
                        key[n++] = (s->recent[i].ppn - 1) << 32 | i;
        sort_u64(key, n);
        *sorted = key;
        return 0;
}

void recent_clear(struct store *s)
{
        for (uint64_t i = 0; i < s->recent_size; i++)
                s->recent[i].ppn = 0;
        for (uint64_t i = 0; i < s->touched_size; i++)
                s->touched[i] = 0;
        s->nrecent = s->nrecent_packed = s->ntouched = s->touched_last = 0;
}
