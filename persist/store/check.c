/*
 * check.c - P11: every block is free, or needed by exactly those who say so; and all checksums. The heart of pfsck, and of the tests.
 *
 * One byte a block collects who names it: the newest state (its map, as far as the recent index does not say otherwise, and the recent index), or
 * one of the queues and dead lists. Each block is named once, and the bitmaps say the same. Then every kept snapshot is walked: what it
 * reaches must be named, by the newest state or as dead in an interval that has the snapshot's epoch.
 */
#include "kernel/lib/fmt.h"
#include "persist/store/internal.h"

enum { LIVE = 1, DEAD = 2 };

struct check {
        struct store *s;
        uint8_t *seen;
        struct disk_death *death; /* by block, for dead ones */
        bool read_pages;
        void (*report)(void *arg, const char *line);
        void *arg;
        uint64_t findings;
        uint64_t kept_epoch; /* of the walk under way; 0: newest state */
};

static void __attribute__((format(printf, 2, 3))) found(struct check *c, const char *fmt, ...)
{
        char line[200];
        __builtin_va_list ap;

        __builtin_va_start(ap, fmt);
        vsnprintf(line, sizeof(line), fmt, ap);
        __builtin_va_end(ap);
        c->findings++;
        c->report(c->arg, line);
}

static bool in_range(struct check *c, uint64_t block, const char *who)
{
        if (block >= c->s->first_data && block < c->s->end_data)
                return true;
        found(c, "%s names block %lu, which is outside of the data", who, block);
        return false;
}

/* False: it was named before, or cannot be. */
static bool name(struct check *c, uint64_t block, uint8_t how, const char *who)
{
        if (!in_range(c, block, who))
                return false;
        if (c->seen[block]) {
                found(c, "block %lu is named twice: %s by %s", block,
                      c->seen[block] == LIVE ? "in use, and" : "dead, and", who);
                return false;
        }
        c->seen[block] = how;
        return true;
}

static void name_dead(struct check *c, struct queue *q, const char *who)
{
        for (size_t i = 0; i < q->n; i++) {
                const struct disk_death *d = queue_at(q, i);

                name(c, death_block(d), DEAD, who);
                if (death_block(d) < c->s->end_data)
                        c->death[death_block(d)] = *d;
        }
}

/* A block that the walk under way reaches; false: it leads nowhere. */
static bool reach(struct check *c, struct disk_map m, const char *who)
{
        const struct disk_death *d;

        if (!c->kept_epoch)
                return name(c, map_block(&m), LIVE, who);
        if (!in_range(c, map_block(&m), who))
                return false;
        d = &c->death[map_block(&m)];
        if (map_birth(&m) > c->kept_epoch)
                found(c, "block %lu of kept snapshot %lu is younger than that", map_block(&m), c->kept_epoch);
        if (!c->seen[map_block(&m)])
                found(c, "block %lu of kept snapshot %lu is free", map_block(&m), c->kept_epoch);
        else if (c->seen[map_block(&m)] == DEAD && !(death_flags(d) & DEATH_UNKEPT) &&
                 (d->birth > c->kept_epoch || d->death <= c->kept_epoch))
                found(c, "block %lu of kept snapshot %lu is dead for other epochs", map_block(&m), c->kept_epoch);
        else if (c->seen[map_block(&m)] == DEAD && death_flags(d) & DEATH_UNKEPT)
                found(c, "block %lu of kept snapshot %lu is about to be free", map_block(&m), c->kept_epoch);
        return true;
}

static void walk(struct check *c, struct disk_map m, unsigned level, uint64_t ppn)
{
        struct disk_map *node = persist_host->mem_alloc(STORE_BLOCK);

        if (!reach(c, m, "the map"))
                goto out;
        if (!node || disk_read(c->s, map_block(&m), node, 1) || page_sum(node) != map_sum(&m)) {
                found(c, "map node in block %lu is damaged", map_block(&m));
                goto out;
        }
        for (unsigned i = 0; i < MAP_FANOUT; i++) {
                struct disk_map *e = &node[i];
                uint64_t at = ppn | (uint64_t)i << (8 * level);

                if (map_lost(e))
                        found(c, "map: %s at page %lx is lost: a node was damaged", level ? "what lies" : "what was",
                              at);
                if (!map_block(e))
                        continue;
                if (map_birth(e) > map_birth(&m))
                        found(c, "map: block %lu is younger than the node that names it", map_block(e));
                if (level) {
                        walk(c, *e, level - 1, at);
                        continue;
                }
                if (!c->kept_epoch && recent_find(c->s, at))
                        continue; /* dead by now: it is in a queue */
                reach(c, *e, "the map");
                if (c->read_pages &&
                    (disk_read(c->s, map_block(e), c->s->page, 1) || page_sum(c->s->page) != map_sum(e)))
                        found(c, "page %lx in block %lu is damaged", at, map_block(e));
        }
out:
        if (node)
                persist_host->mem_free(node, STORE_BLOCK);
}

static void check_recent(struct check *c)
{
        struct store *s = c->s;

        for (uint64_t i = 0; i < s->recent_size; i++) {
                const struct recent *p = &s->recent[i];

                if (!p->ppn || !p->block)
                        continue;
                if (!p->length)
                        name(c, p->block, LIVE, "the recent index");
                if (p->delta) {
                        const struct shadow *sh = shadow_find(s, p->ppn - 1);

                        if (!sh || !sh->pinned)
                                found(c, "page %lx has deltas, and no shadow", p->ppn - 1);
                }
                if (!c->read_pages)
                        continue;
                if (base_read(s, p, s->page))
                        found(c, "page %lx, %s block %lu, is damaged", p->ppn - 1,
                              p->length ? "packed in record" : "in", p->block);
        }
}

static void check_kept_lists(struct check *c, struct kept *k)
{
        struct queue dead = {0}, blocks = {0};

        if (list_read(c->s, k->k.dead_list, &dead, &blocks))
                found(c, "dead list of kept snapshot %lu is damaged", k->k.epoch);
        for (size_t i = 0; i < dead.n; i++) {
                const struct disk_death *d = queue_at(&dead, i);

                if (d->birth > k->k.epoch || d->death <= k->k.epoch)
                        found(c, "block %lu is in the dead list of kept snapshot %lu, which does not need it",
                              death_block(d), k->k.epoch);
        }
        name_dead(c, &dead, "a dead list");
        for (size_t i = 0; i < blocks.n; i++)
                name(c, death_block(queue_at(&blocks, i)), LIVE, "a dead list's blocks");
        name_dead(c, &k->add, "a dead list to be");
        queue_free(&dead);
        queue_free(&blocks);
}

static void check_bitmaps(struct check *c)
{
        struct store *s = c->s;
        uint64_t nfree = 0;

        for (uint64_t b = s->first_data; b < s->end_data; b++) {
                int used = blocks_used(s, b);

                if (used < 0) {
                        found(c, "bitmap of block %lu cannot be read", b);
                        b |= GROUP_BLOCKS - 1;
                        continue;
                }
                nfree += !used;
                if (used && !c->seen[b])
                        found(c, "block %lu is in use by nobody", b);
                if (!used && c->seen[b])
                        found(c, "block %lu is free and %s", b, c->seen[b] == LIVE ? "in use" : "dead");
        }
        if (nfree != s->free)
                found(c, "%lu blocks are free, %lu are counted", nfree, s->free);
}

int store_check(struct store *s, bool read_pages, void (*report)(void *arg, const char *line), void *arg)
{
        struct check c = {.s = s, .read_pages = read_pages, .report = report, .arg = arg};
        uint64_t n = s->super.nblocks;

        must(!s->open, "store: check inside a commit");
        c.seen = persist_host->mem_alloc(n);
        c.death = persist_host->mem_alloc(n * sizeof(*c.death));
        if (!c.seen || !c.death)
                return -ENOMEM;
        __builtin_memset(c.seen, 0, n);
        name(&c, s->next_block, LIVE, "the chain");
        if (map_block(&s->super.map_root))
                walk(&c, s->super.map_root, MAP_LEVELS - 1, 0);
        check_recent(&c);
        name_dead(&c, &s->young, "the young dead");
        name_dead(&c, &s->old, "the old dead");
        for (size_t i = 0; i < s->meta.n; i++)
                name(&c, death_block(queue_at(&s->meta, i)), LIVE, "the superblock");
        for (unsigned i = 0; i < s->nkept; i++)
                check_kept_lists(&c, &s->kept[i]);
        check_bitmaps(&c);
        for (unsigned i = 0; i < s->nkept; i++) {
                c.kept_epoch = s->kept[i].k.epoch;
                if (map_block(&s->kept[i].k.root))
                        walk(&c, s->kept[i].k.root, MAP_LEVELS - 1, 0);
        }
        persist_host->mem_free(c.seen, n);
        persist_host->mem_free(c.death, n * sizeof(*c.death));
        return c.findings ? -EUCLEAN : 0;
}
