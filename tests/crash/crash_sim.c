/*
 * crash_sim.c - simulated power cuts. A store on a disk in memory lives through random commits, checkpoints, kept snapshots and restarts, while a
 * model remembers what each epoch was. Afterwards power is cut at points of its past, with sectors that were not flushed lost, kept, torn and
 * reordered; each surviving image is opened and must show exactly one epoch, not older than the last one acknowledged before the cut, page by page,
 * with all kept snapshots. Some images live on and are cut again, recovery included.
 *
 * Some images are damaged besides, and what must come of it depends on what was hit:
 *   the newer superblock      the other one leads to the same state, whole
 *   the record of one of the  the commit before that one is the state, whole: the last 3 commits can be gone back to
 *   last two commits
 *   any bits anywhere         never a page that is wrong: it is right, or cannot be read
 * Some disks have blocks that cannot be written. The store is built with small limits (STORE_SMALL), on small disks that are nearly full, so that every block is soon used again.
 *
 * usage: crash_sim [-n states] [-s seed] [-c (check P11 and all checksums of every state)] [-v]
 * Prints the seed of a run that fails; with -s that run comes first.
 */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "persist/host/hosted.h"
#include "persist/host/simdisk.h"
#include "persist/store/internal.h"

#define PAGES   400u /* pages of the model */
#define HOT     6u   /* of these, so many are changed often */
#define HISTORY 400u /* epochs it remembers */
#define KEPT    64u
#define SEEDS   1000000u /* of the contents of pages */
#define FAMILY  8u       /* seeds of pages that are much alike */
#define NEVER   SIZE_MAX

static uint64_t rng, run_seed;
static bool verbose, check_all;

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        printf("FAILED, seed %lu: ", run_seed);
        vprintf(fmt, ap);
        putchar('\n');
        exit(1);
}

static uint64_t pick(uint64_t n)
{
        return hosted_random(&rng) % n;
}

/* ---- the model ---- */

struct state {
        uint64_t epoch;
        struct store_clock clock;
        size_t begun, acked;  /* number of disk operations when the commit was begun, and acknowledged */
        size_t record;        /* the operation that wrote its last record; NEVER: unknown */
        uint32_t seed[PAGES]; /* 0: no such page */
};

struct model {
        struct state *state; /* [0] is the empty store */
        unsigned n;
        struct {
                uint64_t epoch;
                size_t kept, drop_begun, dropped; /* kept 0: in an earlier life, and perhaps not acknowledged */
                size_t named; /* until here the older superblock may name it, though dropped: power went before that was acknowledged */
        } kept[KEPT];
        unsigned nkept;
        unsigned first; /* index of the state that this life began with; before it those of kept snapshots */
        bool forked; /* that state was never acknowledged: till both superblocks are written, one of them may lead to the one before, as its record's block was bad */
        uint64_t used; /* greatest epoch number of earlier lives: not to be used again */
        struct state next;
};

static ppn_t ppn_of(unsigned i)
{
        /* near together and far apart, in a few places */
        static const ppn_t region[4] = {1, 4096, 1ul << 24, 0xfffff000}, step[4] = {1, 17, 300, 3};

        return region[i % 4] + i / 4 * step[i % 4];
}

/* Seeds of one family make pages that differ in a few runs of words; those of the first one are nearly all zeroes. */
static const void *page_of(uint32_t seed)
{
        static const unsigned packing[3] = {0, 235, 512}; /* words that do not pack */
        static uint64_t page[512];
        uint32_t family = seed / FAMILY;
        uint64_t x = family * 0x9e3779b97f4a7c15ul + 1;

        for (unsigned i = 0, n = packing[family % 3]; i < 512; i++)
                page[i] = !family ? 0 : i < n ? hosted_random(&x) : family + i / 64;
        x = seed * 0x9e3779b97f4a7c15ul + 1;
        for (unsigned n = seed % FAMILY, at; n; n--) {
                at = (unsigned)(hosted_random(&x) % 512);
                for (unsigned len = 1 + (unsigned)(hosted_random(&x) % 60); len && at < 512; len--)
                        page[at++] = seed;
        }
        return page;
}

/* Its sum, remembered: pages are compared by it. */
static uint64_t sum_of(uint32_t seed)
{
        static uint64_t sum[SEEDS];

        if (!sum[seed])
                sum[seed] = XXH64(page_of(seed), STORE_BLOCK, 1);
        return sum[seed];
}

static const struct state *state_of(const struct model *m, uint64_t epoch)
{
        for (unsigned i = m->n; i--;)
                if (m->state[i].epoch == epoch)
                        return &m->state[i];
        return NULL;
}

/* ---- looking at a store ---- */

static void print_finding(void *arg, const char *line)
{
        (void)arg;
        printf("check: %s\n", line);
}

/* damaged: pages may be unreadable, but not wrong. */
static void compare(struct store *s, const struct state *want, uint64_t kept, bool damaged, const char *when)
{
        static uint8_t got[4096];

        for (unsigned i = 0; i < PAGES; i++) {
                int r = kept ? store_read_at(s, kept, ppn_of(i), got) : store_read(s, ppn_of(i), got);

                if (damaged && r && r != -ENOENT)
                        continue;
                if (r && !(r == -ENOENT && !want->seed[i]))
                        fail("%s: page %u of epoch %lu: error %d, expected seed %u", when, i, want->epoch, r,
                             want->seed[i]);
                if (XXH64(got, sizeof(got), 1) != sum_of(want->seed[i]))
                        fail("%s: page %u of epoch %lu is not what it was", when, i, want->epoch);
        }
}

/* What is to be found: a state with least <= index <= most; damaged: or an older one, with pages that cannot be read. */
struct expected {
        unsigned least, most;
        bool damaged, one_super;
};

static unsigned acked_at(const struct model *m, size_t at)
{
        unsigned acked = 0;

        for (unsigned i = 0; i < m->n; i++)
                if (m->state[i].acked <= at)
                        acked = i;
        return acked;
}

static void verify_kept(struct store *s, const struct model *m, size_t at, struct expected e, const char *when)
{
        struct store_kept kept[KEPT];
        unsigned n = store_kept(s, kept, KEPT);

        for (unsigned k = 0; k < m->nkept; k++) {
                bool there = false;

                for (unsigned j = 0; j < n; j++)
                        there |= kept[j].epoch == m->kept[k].epoch;
                if (!there && !e.damaged && m->kept[k].kept <= at && m->kept[k].drop_begun > at &&
                    (m->kept[k].kept || !e.one_super))
                        fail("%s: kept snapshot %lu is gone", when, m->kept[k].epoch);
                if (there && !e.damaged && m->kept[k].dropped <= at && !(e.one_super && at < m->kept[k].named))
                        fail("%s: dropped snapshot %lu is back", when, m->kept[k].epoch);
        }
        for (unsigned j = 0; j < n; j++) {
                const struct state *st = state_of(m, kept[j].epoch);

                if (!st && e.damaged)
                        continue; /* dropped long ago; the superblock that said so is damaged */
                if (!st)
                        fail("%s: kept snapshot %lu, which never was", when, kept[j].epoch);
                compare(s, st, kept[j].epoch, e.damaged, when);
        }
}

/* The state it recovered to, after operation `at`, must be one of the model, as expected. Returns its index. */
static unsigned verify(struct store *s, const struct model *m, size_t at, struct expected e, const char *when)
{
        struct store_info info;
        const struct state *st;
        unsigned i;

        store_info(s, &info);
        st = state_of(m, info.epoch);
        if (!st && e.damaged && info.epoch < m->state[m->first].epoch)
                return 0;
        if (!st)
                fail("%s: recovered to epoch %lu, which never was", when, info.epoch);
        i = (unsigned)(st - m->state);
        if ((i < e.least && !e.damaged) || i > e.most)
                fail("%s: recovered to epoch %lu, expected %lu", when, info.epoch, m->state[e.least].epoch);
        if (info.clock.mono_ns != st->clock.mono_ns || info.clock.real_ns != st->clock.real_ns)
                fail("%s: epoch %lu has the wrong time", when, info.epoch);
        for (unsigned k = 0; k < m->n; k++)
                if (m->state[k].begun <= at && store_next_epoch(s) <= m->state[k].epoch && !e.damaged)
                        fail("%s: epoch number %lu would be used again", when, m->state[k].epoch);
        if (store_next_epoch(s) <= m->used && !e.damaged)
                fail("%s: epoch number %lu would be used again", when, m->used);
        if (s->tolerant && !e.damaged)
                fail("%s: it opens only by leaving out what should be whole", when);
        compare(s, st, 0, e.damaged, when);
        verify_kept(s, m, at, e, when);
        if (!e.damaged && (check_all || pick(8) == 0) && store_check(s, true, print_finding, NULL))
                fail("%s: the store contradicts itself", when);
        return i;
}

/* ---- a life ---- */

struct world {
        struct simdisk disk;
        struct store *store;
        struct model model;
};

static void expect_ok(int r, const char *what)
{
        if (r)
                fail("%s: error %d", what, r);
}

static void remember(struct world *w, uint64_t epoch, size_t begun, size_t record)
{
        struct model *m = &w->model;

        if (m->n == HISTORY)
                fail("history is too short");
        m->next.epoch = epoch;
        m->next.begun = begun;
        m->next.acked = w->disk.nops;
        m->next.record = record;
        m->state[m->n++] = m->next;
        for (unsigned k = 0; k < m->nkept; k++) /* this life has written both superblocks */
                if (m->kept[k].named == NEVER)
                        m->kept[k].named = w->disk.nops;
}

/* The operation before the last flush, if it wrote a record. */
static size_t record_op(const struct simdisk *d)
{
        const struct simdisk_op *op = &d->op[d->nops - 2];

        return op->nsectors == 8 && ((struct disk_record *)op->data)->magic == RECORD_MAGIC ? d->nops - 2 : NEVER;
}

/* What the store does not know yet to be bad is no room. */
static bool room(const struct world *w, uint64_t npages)
{
        return store_room(w->store, npages, npages + w->disk.d.nblocks * w->disk.bad_per_mille / 1000);
}

static void commit(struct world *w)
{
        struct model *m = &w->model;
        unsigned n = pick(3) ? (unsigned)pick(12) : (unsigned)pick(160);
        bool done[PAGES] = {false};
        struct store_clock clock;
        uint64_t epoch;
        size_t begun;

        if (!room(w, n))
                n /= 16;
        if (!room(w, n))
                return;
        epoch = store_next_epoch(w->store) + pick(3);
        clock = (struct store_clock){epoch * 7 + 1, epoch * 13 + 2};
        expect_ok(store_commit_begin(w->store, pick(6) ? n : pick(4), epoch, &clock), "commit_begin");
        begun = w->disk.nops;
        m->next = m->state[m->n - 1];
        m->next.clock = clock;
        for (unsigned k = 0, i = (unsigned)pick(pick(2) ? PAGES : HOT); k < n;
             k++, i = (i + 1 + (pick(4) ? 0 : (unsigned)pick(9))) % PAGES) {
                uint32_t seed = pick(6) ? (uint32_t)pick(SEEDS) : 0;

                if (pick(10) == 0)
                        seed = m->next.seed[i]; /* dirty, but the same */
                else if (seed && pick(3))
                        seed = m->next.seed[i] / FAMILY * FAMILY + (uint32_t)pick(FAMILY);
                if (done[i])
                        continue; /* once a commit */
                done[i] = true;
                m->next.seed[i] = seed;
                if (!seed && pick(2))
                        expect_ok(store_commit_none(w->store, ppn_of(i)), "commit_none");
                else
                        expect_ok(store_commit_page(w->store, ppn_of(i), page_of(seed)), "commit_page");
        }
        expect_ok(store_commit_end(w->store), "commit_end");
        remember(w, epoch, begun, record_op(&w->disk));
}

/* Replaying frees what the commits freed, or more: there may be less that needs it now. */
static void reopen(struct world *w)
{
        struct store_info before, after;

        store_info(w->store, &before);
        store_close(w->store);
        expect_ok(store_open(&w->disk.d, hosted_random(&rng), &w->store), "open again");
        store_info(w->store, &after);
        if (after.free < before.free)
                fail("reopen: %lu blocks were free, now %lu", before.free, after.free);
        if (pick(3) == 0) /* before any page is read: deltas find what they build on */
                expect_ok(store_checkpoint(w->store), "checkpoint after open");
        verify(w->store, &w->model, w->disk.nops, (struct expected){w->model.n - 1, w->model.n - 1, false, false},
               "reopen");
}

/* Keeping and dropping make epochs in which nothing changes; more than one, if a record's block could not be written: each may be found. */
static void remember_same(struct world *w, uint64_t from)
{
        struct model *m = &w->model;
        struct store_info info;

        store_info(w->store, &info);
        for (uint64_t epoch = from; epoch <= info.epoch; epoch++) {
                m->next = m->state[m->n - 1];
                remember(w, epoch, w->disk.nops, NEVER);
        }
}

static void keep(struct world *w)
{
        struct model *m = &w->model;
        uint64_t epoch, from = store_next_epoch(w->store);

        if (m->nkept == KEPT || !room(w, 60))
                return;
        expect_ok(store_keep(w->store, 0, &epoch), "keep");
        remember_same(w, from);
        m->kept[m->nkept++] = (typeof(m->kept[0])){epoch, w->disk.nops, NEVER, NEVER, 0};
}

static void drop(struct world *w)
{
        struct model *m = &w->model;
        uint64_t from = store_next_epoch(w->store);
        unsigned k;

        if (!m->nkept)
                return;
        k = (unsigned)pick(m->nkept);
        if (m->kept[k].drop_begun != NEVER)
                return;
        m->kept[k].drop_begun = w->disk.nops;
        expect_ok(store_drop(w->store, m->kept[k].epoch), "drop");
        m->kept[k].dropped = w->disk.nops;
        remember_same(w, from);
}

static void settle(struct world *w)
{
        uint64_t from = store_next_epoch(w->store);

        expect_ok(store_settle(w->store), "settle");
        remember_same(w, from);
}

/* A pass of the cleaner, or some of it. */
static void clean(struct world *w)
{
        uint64_t from = store_next_epoch(w->store), spare = 12 + w->disk.d.nblocks * w->disk.bad_per_mille / 1000;

        w->store->clean.crumbs += pick(2); /* sooner than crumbs make it */
        while (store_clean(w->store, spare) && pick(20))
                ;
        expect_ok(w->store->failed, "clean");
        remember_same(w, from);
}

static void live(struct world *w, unsigned steps)
{
        while (steps--) {
                struct store_info info;
                uint64_t what = pick(100);

                store_info(w->store, &info);
                if (what < 75 && info.free > 60)
                        commit(w);
                else if (what < 83)
                        expect_ok(store_checkpoint(w->store), "checkpoint");
                else if (what < 88)
                        keep(w);
                else if (what < 94 || info.free < 200)
                        drop(w);
                else if (what < 97)
                        reopen(w);
                else if (what < 99)
                        settle(w);
                if (pick(3) == 0)
                        clean(w);
                while (pick(2) && store_discard(w->store, pick(2)))
                        ;
                if (pick(10) == 0 && store_check(w->store, false, print_finding, NULL))
                        fail("while running: the store contradicts itself");
        }
}

static void world_init(struct world *w, uint64_t nblocks)
{
        memset(w, 0, sizeof(*w));
        simdisk_init(&w->disk, nblocks, hosted_random(&rng));
        w->model.state = calloc(HISTORY, sizeof(*w->model.state));
        w->model.n = 1;
}

static void world_free(struct world *w)
{
        if (w->store)
                store_close(w->store);
        simdisk_free(&w->disk);
        free(w->model.state);
}

/* ---- states that were seen ---- */

static uint64_t *seen, nseen, seen_size = 1 << 22;

static bool is_new(const struct simdisk *d)
{
        uint64_t h = XXH64(d->now, d->d.nblocks * 4096, 0) | 1, i = h;

        if (!seen)
                seen = calloc(seen_size, sizeof(*seen));
        for (; seen[i % seen_size]; i++)
                if (seen[i % seen_size] == h)
                        return false;
        if (nseen < seen_size / 2)
                seen[i % seen_size] = h;
        nseen++;
        return true;
}

/* ---- cuts ---- */

/* The model of a world that lives on from a cut has the state of a kept snapshot, too, before the newest. */
static void inherit_state(struct model *to, const struct state *st)
{
        if (state_of(to, st->epoch))
                return;
        if (to->n == HISTORY)
                fail("history is too short");
        to->state[to->n] = to->state[to->n - 1];
        to->state[to->n++ - 1] = *st;
}

/* What the model knows at the time of a cut, for a world that lives on from it. */
static void inherit(struct world *to, const struct world *from, unsigned state, size_t at)
{
        const struct model *m = &from->model;
        struct model *t = &to->model;
        struct store_kept kept[KEPT];
        unsigned n = store_kept(to->store, kept, KEPT);

        t->used = m->used;
        for (unsigned i = 0; i < m->n; i++)
                if (m->state[i].begun <= at && m->state[i].epoch > t->used)
                        t->used = m->state[i].epoch;
        t->state[0] = m->state[state];
        t->n = 1;
        for (unsigned j = 0; j < n; j++) {
                inherit_state(t, state_of(m, kept[j].epoch));
                t->kept[t->nkept++] = (typeof(t->kept[0])){kept[j].epoch, 0, NEVER, NEVER, 0};
        }
        for (unsigned k = 0; k < m->nkept; k++) {
                bool there = false, cut = m->kept[k].drop_begun <= at && at < m->kept[k].dropped;

                for (unsigned j = 0; j < n; j++)
                        there |= kept[j].epoch == m->kept[k].epoch;
                if (there || !(cut || at < m->kept[k].named))
                        continue;
                inherit_state(t, state_of(m, m->kept[k].epoch));
                t->kept[t->nkept++] = (typeof(t->kept[0])){m->kept[k].epoch, 0, 0, 0, NEVER};
        }
        t->forked = state && m->state[state].acked > at;
        if (t->forked)
                inherit_state(t, &m->state[state - 1]);
        t->first = t->n - 1;
        for (unsigned i = 0; i < t->n; i++) {
                t->state[i].begun = t->state[i].acked = 0;
                t->state[i].record = NEVER;
        }
}

/* ---- damage ---- */

static struct disk_super *super_at(struct simdisk *d, unsigned slot)
{
        return (struct disk_super *)(d->now + (slot ? d->d.nblocks - 1 : BLOCK_SUPER_A) * STORE_BLOCK);
}

static bool super_whole(const struct disk_super *b)
{
        return b->magic == SUPER_MAGIC && self_sum(b, &b->sum, sizeof(*b)) == b->sum;
}

static void flip(uint8_t *block)
{
        block[pick(STORE_BLOCK)] ^= 1u << pick(8);
}

/* The newer of two superblocks. */
static bool damage_super(struct simdisk *d)
{
        struct disk_super *a = super_at(d, 0), *b = super_at(d, 1);

        if (!super_whole(a) || !super_whole(b))
                return false;
        flip((uint8_t *)(a->sequence > b->sequence ? a : b));
        return true;
}

/* Bytes of the header block that its sum covers. */
static size_t record_used(const void *block)
{
        const struct disk_record *h = block;

        return offsetof(struct disk_record, body) + (h->nbody < RECORD_INLINE ? h->nbody : RECORD_INLINE);
}

/* The record of one of the last two commits: the one before is what is left, if no superblock is past it. */
static bool damage_record(struct simdisk *d, const struct world *w, size_t at, struct expected *e)
{
        unsigned victim = acked_at(&w->model, at);
        const struct simdisk_op *op;
        const struct state *st;

        if (victim + 1 < w->model.n && w->model.state[victim + 1].record == NEVER)
                return false; /* keeping or dropping, in which there are commits that the model does not see */
        victim -= victim && pick(2);
        st = &w->model.state[victim];
        if (!victim || st->record == NEVER)
                return false;
        op = &w->disk.op[st->record];
        if (memcmp(d->now + op->sector * SECTOR, op->data, STORE_BLOCK) != 0)
                return false; /* not needed any more: something else is there */
        for (unsigned i = 0; i < 2; i++)
                if (super_whole(super_at(d, i)) && super_at(d, i)->map_epoch >= st->epoch)
                        return false;
        d->now[op->sector * SECTOR + pick(record_used(op->data))] ^= 1u << pick(8);
        e->least = e->most = victim - 1;
        return true;
}

static void damage_anything(struct simdisk *d, const struct world *w)
{
        for (uint64_t n = 1 + pick(4); n; n--) {
                const struct simdisk_op *op = &w->disk.op[pick(w->disk.nops)];

                flip(d->now + (op->nsectors ? op->sector / 8 : pick(d->d.nblocks)) * STORE_BLOCK);
        }
}

/* What may be done to an image besides; what is to be expected of it then. Returns what was done. */
static const char *damage(struct simdisk *d, const struct world *w, size_t at, struct expected *e)
{
        switch (pick(8)) {
        case 0:
                e->one_super = damage_super(d);
                if (e->one_super && w->model.forked && e->least == w->model.first)
                        e->least--;
                return e->one_super ? "cut, superblock damaged" : NULL;
        case 1:
        case 2:
                return damage_record(d, w, at, e) ? "cut, record damaged" : NULL;
        case 3:
                damage_anything(d, w);
                e->damaged = true;
                return "cut, anything damaged";
        default:
                return NULL;
        }
}

static void cut(const struct world *w, unsigned depth)
{
        size_t at = pick(w->disk.nops + 1);
        enum cut_mode mode = (enum cut_mode)pick(CUT_MODES);
        struct expected e = {acked_at(&w->model, at), w->model.n - 1, false, false};
        struct world after;
        unsigned state = 0;
        const char *what;

        world_init(&after, w->disk.d.nblocks);
        after.disk.bad_per_mille = w->disk.bad_per_mille;
        after.disk.bad_from = w->disk.bad_from;
        after.disk.d.discard_unit = w->disk.d.discard_unit;
        simdisk_cut(&w->disk, at, mode, &rng, &after.disk);
        what = damage(&after.disk, w, at, &e);
        simdisk_settle(&after.disk);
        if (is_new(&after.disk) || depth) {
                int r = store_open(&after.disk.d, hosted_random(&rng), &after.store);

                if (r && !e.damaged)
                        fail("%s: it does not open: %d", what ? what : "cut", r);
                if (!r)
                        state = verify(after.store, &w->model, at, e, what ? what : depth ? "cut after a cut" : "cut");
                if (!r && !e.damaged && depth < 3 && pick(6) == 0) {
                        /* It lives on, and is cut again: from the first operation of its recovery. */
                        inherit(&after, w, state, at);
                        live(&after, 1 + (unsigned)pick(12));
                        for (unsigned i = 0; i < 4; i++)
                                cut(&after, depth + 1);
                }
        }
        world_free(&after);
}

/* Making a store: cut before its end, there is a store or there is none. */
static void cut_format(const struct simdisk *disk)
{
        for (unsigned i = 0; i < 3; i++) {
                struct simdisk after;
                struct store *s;
                int r;

                simdisk_init(&after, disk->d.nblocks, 1);
                simdisk_cut(disk, pick(disk->nops + 1), (enum cut_mode)pick(CUT_MODES), &rng, &after);
                r = store_open(&after.d, 1, &s);
                if (r && r != -ENOENT && r != -EUCLEAN) /* -EUCLEAN: half a superblock */
                        fail("cut while the store was made: error %d", r);
                if (!r) {
                        if (store_check(s, true, print_finding, NULL))
                                fail("cut while the store was made: it contradicts itself");
                        store_close(s);
                }
                simdisk_free(&after);
        }
}

static void run(unsigned ncuts)
{
        static const uint8_t uuid[16] = "crash simulation";
        struct world w;

        world_init(&w, pick(3) ? STORE_BLOCKS_MIN + pick(120) : 560 + pick(700));
        expect_ok(store_format(&w.disk.d, uuid, 0), "format");
        cut_format(&w.disk);
        simdisk_settle(&w.disk);
        if (pick(4) == 0) {
                w.disk.bad_per_mille = 1 + (uint32_t)pick(60);
                w.disk.bad_from = BLOCK_BITMAPS + HOMES * (1 + UNIT_BLOCKS); /* behind the fixed places */
        }
        w.disk.d.discard_unit = 1u << pick(4);
        w.disk.fail_discards = pick(4) ? 0 : 20;
        expect_ok(store_open(&w.disk.d, 1, &w.store), "open");
        live(&w, 10 + (unsigned)pick(60));
        if (store_check(w.store, true, print_finding, NULL))
                fail("at the end: the store contradicts itself");
        while (ncuts--)
                cut(&w, 0);
        world_free(&w);
}

int main(int argc, char **argv)
{
        uint64_t want = 2000, seed = 1;

        for (int i = 1; i < argc; i++) {
                if (!strcmp(argv[i], "-n") && i + 1 < argc)
                        want = strtoull(argv[++i], NULL, 10);
                else if (!strcmp(argv[i], "-s") && i + 1 < argc)
                        seed = strtoull(argv[++i], NULL, 10);
                else if (!strcmp(argv[i], "-c"))
                        check_all = true;
                else if (!strcmp(argv[i], "-v"))
                        verbose = true;
                else
                        return fprintf(stderr, "usage: crash_sim [-n states] [-s seed] [-c] [-v]\n"), 2;
        }
        hosted_quiet = !verbose;
        mallopt(M_MMAP_THRESHOLD, 1 << 30); /* disks and worlds come and go: their memory stays */
        mallopt(M_TRIM_THRESHOLD, 1 << 30);
        for (; nseen < want; seed++) {
                run_seed = seed;
                rng = seed * 0x9e3779b97f4a7c15ul + 12345;
                run(50);
                if (verbose)
                        printf("seed %lu: %lu states\n", seed, nseen);
        }
        printf("%lu distinct states after power cuts, all whole\n", nseen);
        free(seen);
        return 0;
}
