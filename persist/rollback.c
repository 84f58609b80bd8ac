/*
 * rollback.c - a kept snapshot becomes the newest state: one commit of every page in which the two differ, under a new epoch, with the clock of then. What is given up stays where it is
 * if it is kept, so that the way back can be gone again. The running space is of the state that was given up, and must not commit any more: the caller starts
 * the machine again.
 * Two passes over all pages that either state has: the first counts those that differ, by their sums, so that a store without room refuses before it has begun; the second reads them.
 */
#include "persist/engine.h"
#include "persist/store/store.h"

#define YIELD_PAGES 64u

struct rollback {
        struct store *store;
        uint64_t epoch;
        bool write;
        uint64_t npages;
        uint64_t seen;
        uint8_t then[PAGE_BYTES], now[PAGE_BYTES];
};

static int read_then(struct rollback *r, ppn_t ppn)
{
        int e = store_read_at(r->store, r->epoch, ppn, r->then);

        return e == -ENOENT ? 0 : e;
}

static int read_now(struct rollback *r, ppn_t ppn)
{
        int e = store_read(r->store, ppn, r->now);

        return e == -ENOENT ? 0 : e;
}

/* The page becomes what it was then. */
static int put_back(struct rollback *r, ppn_t ppn)
{
        int e = store_read_at(r->store, r->epoch, ppn, r->then);

        return e == -ENOENT ? store_commit_none(r->store, ppn) : e ? e : store_commit_page(r->store, ppn, r->then);
}

static int range(struct rollback *r, ppn_t first, ppn_t end)
{
        for (ppn_t ppn = first; ppn < end; ppn++) {
                int e = store_differs(r->store, r->epoch, ppn);

                if (e > 0 && r->write)
                        e = put_back(r, ppn);
                else if (e > 0)
                        r->npages++;
                if (e < 0)
                        return e;
                if (++r->seen % YIELD_PAGES == 0)
                        persist_host->writer_yield();
        }
        return 0;
}

static int all(struct rollback *r, uint64_t records_end, ppn_t frontier)
{
        struct page_range ranges[SPACE_RANGES];
        int e = 0;

        space_ranges(ranges, records_end, frontier);
        for (unsigned i = 0; i < SPACE_RANGES && !e; i++)
                e = range(r, ranges[i].first, ranges[i].end);
        return e;
}

int space_rollback(uint64_t epoch, const struct space_clock *clock)
{
        struct rollback *r = persist_host->mem_alloc(sizeof(*r));
        const struct store_clock at = {clock->mono_ns, clock->real_ns};
        const struct root_page *then, *now;
        uint64_t records_end, frontier;
        int e;

        if (!r)
                return -ENOMEM;
        *r = (struct rollback){.store = space_store, .epoch = epoch};
        then = (const struct root_page *)r->then;
        now = (const struct root_page *)r->now;
        e = read_then(r, ROOT_PPN);
        if (!e)
                e = read_now(r, ROOT_PPN);
        if (!e && (then->magic != ROOT_MAGIC || then->layout != LAYOUT_VERSION || then->frontier > SPACE_PAGES ||
                   then->records_end > SPACE_PAGES))
                e = -EINVAL;
        records_end = then->records_end > now->records_end ? then->records_end : now->records_end;
        frontier = then->frontier > now->frontier ? then->frontier : now->frontier;
        if (!e)
                e = all(r, records_end, frontier);
        if (!e && !store_room(space_store, r->npages, 0))
                e = -ENOSPC;
        if (!e)
                e = store_commit_begin(space_store, r->npages, store_next_epoch(space_store), &at);
        if (!e) {
                r->write = true;
                e = all(r, records_end, frontier);
                if (!e)
                        e = store_commit_end(space_store);
        }
        persist_host->mem_free(r, sizeof(*r));
        return e;
}
