/*
 * dead.c - blocks that the newest state does not need any more, and when they are free.
 *
 * A dead block has a birth and a death: the states of epochs e with birth <= e < death need it. It is free when no state that somebody may
 * ask for is among them. Who may ask, in the order in which it is looked at:
 *   1. recovery, for one of the last COMMITS_KEPT commits: queue `young`, left when death is not after the oldest of them;
 *   2. recovery, for the state of either superblock's map: queue `old`, left when neither map epoch is among them. A block of a record is
 *      needed by superblocks whose map is older than the record, since they replay it: then death is the record's epoch. So is a block that deltas built on until a checkpoint, which is its death;
 *   3. a kept snapshot: the block goes to the dead list of the youngest one that needs it. Dropping that one moves its list on to the next older
 *      one that needs it, or frees. (ZFS does the same with its dead lists.)
 * A checkpoint writes both queues, and what was added to dead lists, beside the superblock that it makes.
 */
#include "persist/store/internal.h"

int queue_push(struct queue *q, struct disk_death d)
{
        if (q->first + q->n == q->cap) {
                size_t cap = q->n < 64 ? 128 : 2 * q->n;
                struct disk_death *p = persist_host->mem_alloc(cap * sizeof(*p));

                if (!p)
                        return -ENOMEM;
                for (size_t i = 0; i < q->n; i++)
                        p[i] = q->d[q->first + i];
                if (q->d)
                        persist_host->mem_free(q->d, q->cap * sizeof(*p));
                q->d = p;
                q->first = 0;
                q->cap = cap;
        }
        q->d[q->first + q->n++] = d;
        return 0;
}

struct disk_death queue_pop(struct queue *q)
{
        q->n--;
        return q->d[q->first++];
}

void queue_free(struct queue *q)
{
        if (q->d)
                persist_host->mem_free(q->d, q->cap * sizeof(*q->d));
        *q = (struct queue){0};
}

static struct disk_death death_of(uint64_t block, uint64_t birth, uint64_t death, unsigned flags)
{
        return (struct disk_death){block | (uint64_t)flags << 56, birth, death};
}

/* A queue that cannot grow loses track of a block: the store must not go on as if it had not. */
static int push(struct store *s, struct queue *q, struct disk_death d)
{
        int r = queue_push(q, d);

        if (r)
                s->failed = r;
        return r;
}

int dead_add(struct store *s, uint64_t block, uint64_t birth, uint64_t death, unsigned flags)
{
        return push(s, &s->young, death_of(block, birth, death, flags));
}

int dead_add_old(struct store *s, uint64_t block, uint64_t birth, uint64_t death, unsigned flags)
{
        return push(s, &s->old, death_of(block, birth, death, flags));
}

static bool slot_needs(const struct store *s, const struct disk_death *d)
{
        for (unsigned i = 0; i < 2; i++) {
                uint64_t e = s->slot_epoch[i];

                if (!s->slot_valid[i])
                        continue;
                if (death_flags(d) & (DEATH_RECORD | DEATH_BASE) ? e < d->death : d->birth <= e && e < d->death)
                        return true;
        }
        return death_flags(d) & DEATH_BAD;
}

/* The youngest kept snapshot with an epoch below `below` that needs the block; -1: none. */
static int kept_needs(const struct store *s, const struct disk_death *d, uint64_t below)
{
        if (death_flags(d) & (DEATH_RECORD | DEATH_UNKEPT))
                return -1;
        for (unsigned i = s->nkept; i--;) {
                uint64_t e = s->kept[i].k.epoch;

                if (e < d->death && e < below)
                        return d->birth <= e ? (int)i : -1;
        }
        return -1;
}

/* No commit needs it: on to the superblocks, a kept snapshot, or it is free. */
static int settle(struct store *s, struct disk_death d)
{
        int k;

        if (slot_needs(s, &d))
                return push(s, &s->old, d);
        k = kept_needs(s, &d, UINT64_MAX);
        if (k >= 0)
                return push(s, &s->kept[k].add, d);
        blocks_release(s, death_block(&d));
        return 0;
}

int dead_settle_young(struct store *s)
{
        int r = 0;

        while (!r && s->young.n && queue_at(&s->young, 0)->death <= s->last[0])
                r = settle(s, queue_pop(&s->young));
        return r;
}

int dead_settle_old(struct store *s)
{
        int r = 0;

        for (size_t n = s->old.n; n && !r; n--)
                r = settle(s, queue_pop(&s->old));
        return r;
}

/* ---- lists on disk ---- */

/* Appends what the list at `block` has to q, and the list's own blocks to `blocks` (either may be NULL). */
int list_read(struct store *s, uint64_t block, struct queue *q, struct queue *blocks)
{
        struct disk_list *l = persist_host->mem_alloc(sizeof(*l));
        uint64_t left = s->super.nblocks; /* a longer one goes in a circle */
        int r = l ? 0 : -ENOMEM;

        while (block && !r) {
                if (disk_read(s, block, l, 1) || !left-- || l->magic != LIST_MAGIC ||
                    self_sum(l, &l->sum, sizeof(*l)) != l->sum || l->n > LIST_ENTRIES) {
                        persist_host->log("store: list block %lu is damaged\n", block);
                        r = s->tolerant ? 0 : -EIO; /* what it names stays in use */
                        break;
                }
                for (uint32_t i = 0; i < l->n && q && !r; i++)
                        r = queue_push(q, l->death[i]);
                if (blocks && !r)
                        r = queue_push(blocks, death_of(block, l->birth, 0, 0));
                block = l->next;
        }
        if (l)
                persist_host->mem_free(l, sizeof(*l));
        return r;
}

/* Writes q from entry `from` on as blocks in front of the list *head, in order. The blocks' numbers go to `blocks`, if there is one. */
static int list_write(struct store *s, struct queue *q, size_t from, uint64_t epoch, uint64_t *head,
                      struct queue *blocks)
{
        struct disk_list *l = persist_host->mem_alloc(sizeof(*l));
        size_t left = q->n - from;
        uint64_t block;
        uint32_t got;
        int r = l ? 0 : -ENOMEM;

        while (left && !r) { /* from the end, since each block is put in front; the one that is not full comes first */
                uint32_t n = left > LIST_ENTRIES ? LIST_ENTRIES : (uint32_t)left;

                zero16(l, sizeof(*l));
                l->magic = LIST_MAGIC;
                l->next = *head;
                l->birth = epoch;
                l->n = n;
                for (uint32_t i = 0; i < n; i++)
                        l->death[i] = *queue_at(q, from + left - n + i);
                l->sum = self_sum(l, &l->sum, sizeof(*l));
                r = disk_write_new(s, l, 1, &block, &got);
                if (r)
                        break;
                if (blocks)
                        r = queue_push(blocks, death_of(block, epoch, 0, 0));
                *head = block;
                left -= n;
        }
        if (l)
                persist_host->mem_free(l, sizeof(*l));
        return r;
}

/* What was added to a dead list goes in front of it; a first block that is not full is taken in. */
static int kept_write_list(struct store *s, struct kept *k, uint64_t epoch)
{
        struct queue all = {0};
        struct disk_list *l;
        int r = 0;

        if (!k->add.n)
                return 0;
        l = persist_host->mem_alloc(sizeof(*l));
        if (!l)
                return -ENOMEM;
        if (k->k.dead_list) {
                if (disk_read(s, k->k.dead_list, l, 1))
                        l->magic = 0;
                /* A damaged one stays where it is: dropping the snapshot will find it. */
                if (l->magic == LIST_MAGIC && self_sum(l, &l->sum, sizeof(*l)) == l->sum && l->n < LIST_ENTRIES) {
                        for (uint32_t i = 0; i < l->n && !r; i++)
                                r = queue_push(&all, l->death[i]);
                        if (!r)
                                r = dead_add_old(s, k->k.dead_list, l->birth, epoch, DEATH_UNKEPT);
                        k->k.dead_list = l->next;
                }
        }
        for (size_t i = 0; i < k->add.n && !r; i++)
                r = queue_push(&all, *queue_at(&k->add, i));
        if (!r)
                r = list_write(s, &all, 0, epoch, &k->k.dead_list, NULL);
        k->k.ndead += k->add.n;
        queue_free(&k->add);
        queue_free(&all);
        persist_host->mem_free(l, sizeof(*l));
        return r;
}

static int kept_write(struct store *s, struct disk_super *next, uint64_t epoch)
{
        struct disk_kept_block *b = persist_host->mem_alloc(sizeof(*b));
        uint64_t block;
        unsigned left = s->nkept;
        uint32_t got;
        int r = b ? 0 : -ENOMEM;

        next->kept = 0;
        next->nkept = s->nkept;
        while (left && !r) { /* the last ones first, so that the list is in order */
                unsigned n = left % KEPT_ENTRIES ? left % KEPT_ENTRIES : KEPT_ENTRIES;

                zero16(b, sizeof(*b));
                b->magic = KEPT_MAGIC;
                b->next = next->kept;
                b->birth = epoch;
                b->n = n;
                for (unsigned i = 0; i < n; i++)
                        b->kept[i] = s->kept[left - n + i].k;
                b->sum = self_sum(b, &b->sum, sizeof(*b));
                r = disk_write_new(s, b, 1, &block, &got);
                if (r)
                        break;
                r = queue_push(&s->meta, death_of(block, epoch, 0, DEATH_UNKEPT));
                next->kept = block;
                left -= n;
        }
        if (b)
                persist_host->mem_free(b, sizeof(*b));
        return r;
}

/* Part of a checkpoint, after the map was written: dead lists, the table of kept snapshots, both queues. */
int dead_write(struct store *s, struct disk_super *next, uint64_t epoch)
{
        int r = 0;

        while (s->meta.n && !r) {
                struct disk_death d = queue_pop(&s->meta);

                r = dead_add_old(s, death_block(&d), d.birth, epoch, DEATH_UNKEPT);
        }
        for (unsigned i = 0; i < s->nkept && !r; i++)
                r = kept_write_list(s, &s->kept[i], epoch);
        if (!r)
                r = kept_write(s, next, epoch);
        next->old = next->young = 0;
        next->nyoung = s->young.n;
        if (!r)
                r = list_write(s, &s->young, 0, epoch, &next->young, &s->meta);
        /* Blocks that cannot be written are added to this one meanwhile. */
        for (size_t done = 0, n = s->old.n; done < n && !r; done = n, n = s->old.n)
                r = list_write(s, &s->old, done, epoch, &next->old, &s->meta);
        next->nold = s->old.n;
        for (unsigned i = 0; i < COMMITS_KEPT; i++)
                next->last[i] = s->last[i];
        return r;
}

/* ---- recovery ---- */

static int kept_read(struct store *s)
{
        struct disk_kept_block *b = persist_host->mem_alloc(sizeof(*b));
        uint64_t block = s->super.kept;
        int r = b ? 0 : -ENOMEM;

        while (block && !r) {
                if (disk_read(s, block, b, 1) || b->magic != KEPT_MAGIC || self_sum(b, &b->sum, sizeof(*b)) != b->sum ||
                    !b->n || b->n > KEPT_ENTRIES || s->nkept + b->n > KEPT_MAX) {
                        persist_host->log("store: table of kept snapshots, block %lu, is damaged\n", block);
                        r = s->tolerant ? 0 : -EIO;
                        break;
                }
                for (uint32_t i = 0; i < b->n; i++)
                        s->kept[s->nkept++] = (struct kept){.k = b->kept[i]};
                r = queue_push(&s->meta, death_of(block, b->birth, 0, DEATH_UNKEPT));
                block = b->next;
        }
        if (b)
                persist_host->mem_free(b, sizeof(*b));
        return r;
}

int dead_read(struct store *s)
{
        int r = kept_read(s);

        if (!r)
                r = list_read(s, s->super.old, &s->old, &s->meta);
        if (!r)
                r = list_read(s, s->super.young, &s->young, &s->meta);
        for (unsigned i = 0; i < COMMITS_KEPT; i++)
                s->last[i] = s->super.last[i];
        return r;
}

/*
 * Snapshot i is kept no more. What only it needed stays till both superblocks are past `epoch`, which is newer than either of theirs: the
 * older one still names it.
 */
int kept_drop(struct store *s, unsigned i, uint64_t epoch)
{
        struct kept *k = &s->kept[i];
        struct queue dead = {0}, blocks = {0};
        uint64_t at = k->k.epoch;
        int r = list_read(s, k->k.dead_list, &dead, &blocks);

        if (r)
                goto out; /* nothing has changed: it stays kept */
        while (k->add.n && !r)
                r = push(s, &dead, queue_pop(&k->add));
        while (dead.n && !r) {
                struct disk_death d = queue_pop(&dead);
                int older = kept_needs(s, &d, at);

                if (older >= 0)
                        r = push(s, &s->kept[older].add, d);
                else
                        r = dead_add_old(s, death_block(&d), d.birth, epoch, DEATH_UNKEPT);
        }
        while (blocks.n && !r) {
                struct disk_death d = queue_pop(&blocks);

                r = dead_add_old(s, death_block(&d), d.birth, epoch, DEATH_UNKEPT);
        }
        queue_free(&k->add);
        for (; i + 1 < s->nkept; i++)
                s->kept[i] = s->kept[i + 1];
        s->nkept--;
out:
        queue_free(&dead);
        queue_free(&blocks);
        return r;
}
