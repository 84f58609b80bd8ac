/*
 * defer.c - frees that wait until nobody can be looking (persistence.md, "Lifetime").
 *
 * What a section frees goes to its CPU's persistent bag (layout.h), oldest first: after a power cut nobody looks at anything, and
 * recovery drains all bags, so nothing leaks. When things may leave the bag is volatile: each section carries the generation at its
 * begin. At the end of a section that freed something the generation is raised; its frees form a batch tagged with the value before.
 * A section that could have found them began with that value or an older one, so the batch may go as soon as every section that
 * runs has a greater one. With nobody else in a section, that is at once.
 *
 * The object is not touched when it is freed, only when its grace period is over, in pieces of at most DRAIN_PIECE.
 */
#include "persist/engine.h"

#define DRAIN_PIECE   64u
#define DRAIN_BACKLOG 1024u /* above this, pieces are twice as large: the bag must not grow for ever */
#define BATCHES       16u

uint64_t persist_generation = 1;

/* Position in the CPU's stream of frees: entries drained since boot; those in the bag follow. */
static struct cpu_defer {
        uint64_t drained, closed, safe; /* everything before `closed` is in a batch, before `safe` may go */
        struct {
                uint64_t tag, end;
        } batch[BATCHES];
        unsigned first, n;
} cpu_defer[PERSIST_CPUS]; /* [V] own CPU only */

/* Makes room at the end of the bag. */
__attribute__((noinline)) static void bag_make_room(struct cpu_heap *h)
{
        uint32_t n = h->bag_end - h->bag_first;
        struct bag_page *b;
        ppn_t ppn;

        if (n > BAG_ENTRIES / 2) {
                ppn = space_page_alloc(PAGE_META);
                resident_note(ppn);
                b = space_page(ppn);
                b->first = 0;
                b->end = n;
                for (uint32_t i = 0; i < n; i++)
                        b->entry[i] = h->bag[h->bag_first + i];
                record(ppn)->next = 0;
                if (h->chain_last)
                        record(h->chain_last)->next = (uint32_t)ppn;
                else
                        h->chain_first = (uint32_t)ppn;
                h->chain_last = (uint32_t)ppn;
                n = 0;
        }
        for (uint32_t i = 0; i < n; i++)
                h->bag[i] = h->bag[h->bag_first + i];
        h->bag_first = 0;
        h->bag_end = n;
}

void defer_free(void *p)
{
        struct section *s = section_this();
        struct cpu_heap *h = s->heap;

        must(s->changed, "P14: freed before section_changes");
        if (unlikely_(h->bag_end == BAG_ENTRIES))
                bag_make_room(h);
        h->bag[h->bag_end++] = p;
        h->ndeferred++;
}

/* The oldest entry of the pages of older frees. */
static void *chain_first(const struct cpu_heap *h)
{
        const struct bag_page *b = space_page(h->chain_first);

        return b->entry[b->first];
}

__attribute__((noinline)) static void chain_take(struct cpu_heap *h)
{
        uint32_t ppn = h->chain_first;
        struct bag_page *b = space_page(ppn);

        b->first++;
        if (b->first == b->end) {
                h->chain_first = record(ppn)->next;
                if (!h->chain_first)
                        h->chain_last = 0;
                record(ppn)->refs = 0;
                page_free_now(h, ppn);
        }
}

/* The oldest generation a running section began with. */
static uint64_t generation_oldest(void)
{
        uint64_t oldest = UINT64_MAX, g;
        struct section *s;

        for (unsigned i = 0, n = __atomic_load_n(&persist_ncpus, __ATOMIC_ACQUIRE); i < n; i++) {
                s = __atomic_load_n(&persist_sections[i], __ATOMIC_ACQUIRE);
                g = s ? __atomic_load_n(&s->generation, __ATOMIC_ACQUIRE) : 0;
                if (g && g < oldest)
                        oldest = g;
        }
        return oldest;
}

uint64_t section_stamp(void)
{
        return __atomic_fetch_add(&persist_generation, 1, __ATOMIC_SEQ_CST);
}

bool section_passed(uint64_t stamp)
{
        struct section *own = section_this(), *s;
        uint64_t g;

        for (unsigned i = 0, n = __atomic_load_n(&persist_ncpus, __ATOMIC_ACQUIRE); i < n; i++) {
                s = __atomic_load_n(&persist_sections[i], __ATOMIC_ACQUIRE);
                g = s && s != own ? __atomic_load_n(&s->generation, __ATOMIC_ACQUIRE) : 0;
                if (g && g <= stamp)
                        return false;
        }
        return true;
}

void section_wait_passed(uint64_t stamp)
{
        for (unsigned turn = 0; !section_passed(stamp); turn++)
                persist_host->spin(turn);
}

/* What was freed since the last call becomes a batch, and what may go is found out. */
static inline void advance(struct cpu_defer *d, uint64_t end)
{
        uint64_t tag = 0, oldest;
        unsigned last;
        bool more = end != d->closed;

        d->closed = end;
        if (more)
                tag = __atomic_fetch_add(&persist_generation, 1, __ATOMIC_SEQ_CST);
        oldest = generation_oldest();
        if (oldest == UINT64_MAX) { /* nobody else is in a section */
                d->safe = end;
                d->n = 0;
                return;
        }
        if (more) {
                if (d->n < BATCHES)
                        d->n++; /* else the newest batch grows: it goes later than it could */
                last = (d->first + d->n - 1) % BATCHES;
                d->batch[last].tag = tag;
                d->batch[last].end = end;
        }
        while (d->n && d->batch[d->first].tag < oldest) {
                d->safe = d->batch[d->first].end;
                d->first = (d->first + 1) % BATCHES;
                d->n--;
        }
}

/* n frees whose time has come. all: also those on pages that must be read first, which brings them; then nothing is pinned. */
static void drain(struct cpu_heap *h, struct cpu_defer *d, uint64_t n, bool all)
{
        for (; n; n--) {
                void *p = h->chain_first ? chain_first(h) : h->bag[h->bag_first];
                ppn_t ppn = space_ppn(p);
                struct page_record *r = record(ppn);
                int fetched = 0;

                if (r->kind == PAGE_ANON && !all && unlikely_(page_is_pinned(ppn))) /* its time has not come */
                        break;
                if (unlikely_(space_may_be_absent) && r->kind == PAGE_SLAB)
                        fetched = space_fetch_start(ppn);
                if (fetched > 0 && !all) /* it goes on when the page is there */
                        break;
                d->drained++;
                h->ndeferred--;
                if (h->chain_first)
                        chain_take(h);
                else
                        h->bag_first++;
                if (fetched < 0) /* damaged: what was in it is lost */
                        continue;
                if (r->kind == PAGE_SLAB) {
                        slab_free_now(h, p);
                } else if (r->kind == PAGE_RUN) {
                        must(r->order < RUN_ORDERS, "%p freed: the middle of a run", p);
                        run_free_now(h, ppn, r->order);
                } else {
                        page_free_now(h, ppn);
                }
        }
        if (h->bag_first == h->bag_end)
                h->bag_first = h->bag_end = 0;
        if (unlikely_(h->nfree > CPU_SPILL))
                pages_spill(h);
}

/* After a section's end: nothing is held, this CPU counts as outside. */
void defer_drain(struct section *s)
{
        struct cpu_heap *h = s->heap;
        struct cpu_defer *d = &cpu_defer[s->cpu];
        uint64_t n, piece = h->ndeferred > DRAIN_BACKLOG ? 2 * DRAIN_PIECE : DRAIN_PIECE;

        advance(d, d->drained + h->ndeferred);
        n = d->safe - d->drained;
        drain(h, d, n < piece ? n : piece, false);
}

void space_drain(void)
{
        for (unsigned cpu = 0; cpu < root()->ncpus; cpu++) {
                struct cpu_heap *h = space_page(CPU_PPN + cpu);
                struct cpu_defer *d = &cpu_defer[cpu];

                while (h->ndeferred)
                        drain(h, d, h->ndeferred, true);
                d->closed = d->safe = d->drained;
                d->n = 0;
        }
}

void defer_each(void (*fn)(void *p))
{
        for (unsigned cpu = 0; cpu < root()->ncpus; cpu++) {
                const struct cpu_heap *h = space_page(CPU_PPN + cpu);

                for (uint32_t ppn = h->chain_first; ppn; ppn = record(ppn)->next) {
                        const struct bag_page *b = space_page(ppn);

                        for (uint32_t i = b->first; i < b->end; i++)
                                fn(b->entry[i]);
                }
                for (uint32_t i = h->bag_first; i < h->bag_end; i++)
                        fn(h->bag[i]);
        }
}

void defer_forget(void)
{
        persist_generation = 1;
        for (unsigned cpu = 0; cpu < PERSIST_CPUS; cpu++)
                cpu_defer[cpu] = (struct cpu_defer){0};
}
