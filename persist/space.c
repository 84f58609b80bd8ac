/*
 * space.c - the space as a whole: creation, the root, faults on it, absent pages, statistics.
 * Invariants: P4 (the first write to a page in an epoch comes through space_fault or space_page_dirty), P14 (an absent page is met only
 * before the first change).
 */
#include "persist/engine.h"

bool space_may_be_absent;
bool space_checking;
bool space_at_once; /* [V] recovery in place, booting: no writer runs */

int space_create(void)
{
        struct root_page *r = root();

        if (persist_host->page_provide(ROOT_PPN))
                return -ENOMEM;
        zero_page(r);
        r->magic = ROOT_MAGIC;
        r->layout = LAYOUT_VERSION;
        r->schema = SPACE_SCHEMA;
        r->frontier = DATA_PPN;
        r->records_end = DATA_PPN;
        r->resident_map = 1;
        return resident_map_extend(r);
}

/* The CPU's page, and its first credit. Boot: memory that is missing now is missing for good. */
void space_cpu_create(unsigned cpu)
{
        struct root_page *r = root();
        struct cpu_heap *h = space_page(CPU_PPN + cpu);

        space_lock();
        while (r->ncpus <= cpu) {
                ppn_t ppn = CPU_PPN + r->ncpus;

                must(!persist_host->page_provide(ppn), "no memory for CPU %u's page of the space", r->ncpus);
                zero_page(space_page(ppn));
                r->ncpus++;
        }
        space_unlock();
        must(!pages_open_own(h), "no memory for CPU %u's share of the space", cpu);
        pages_refill(h);
        must(h->nfree >= CPU_CREDIT, "no memory for CPU %u's share of the space", cpu);
}

void space_forget(void)
{
        lock_forget();
        page_forget();
        defer_forget();
        section_forget();
        snapshot_forget();
        capture_forget();
        pager_forget();
        pins_forget();
        records_forget();
        warm_forget();
        reclaim_forget();
        check_forget();
        space_may_be_absent = false;
        space_checking = false;
        space_at_once = false;
}

void *space_root_get(enum root_slot slot)
{
        return root()->slot[slot];
}

void space_root_set(enum root_slot slot, void *object)
{
        must(section_this()->changed, "P14: root set before section_changes");
        root()->slot[slot] = object;
}

/* ---- faults ---- */

void space_fetch_at_once(bool on)
{
        space_at_once = on;
}

__attribute__((noinline)) static bool fault_absent(uint64_t addr, ppn_t ppn)
{
        struct section *s = section_this();
        struct page_record *r;

        if (ppn >= RECORD_FIRST && ppn < record_ppn(root()->records_end))
                return records_fault(ppn);
        if (ppn < DATA_PPN || ppn >= __atomic_load_n(&root()->frontier, __ATOMIC_ACQUIRE))
                return false;
        if (!persist_host->page_present(record_ppn(ppn)) && !records_fault(record_ppn(ppn)))
                return false; /* asked for, so that no fault comes in a fault */
        r = record(ppn);
        if (r->kind == PAGE_FREE || r->kind >= PAGE_KINDS)
                return false;
        if (space_checking || space_at_once)
                return pager_bring(ppn) == 0;
        if (!s || !s->active)
                return false;
        must(!s->changed, "P14: page %lx (kind %u, type %u) at %lx is absent after the first change", ppn, r->kind,
             r->type, addr);
        s->pending = ppn;
        section_abandon();
        persist_host->abandon(s->retry, s->retry_arg);
}

bool space_fault(uint64_t addr, bool present, bool write)
{
        ppn_t ppn = (addr - SPACE_START) / PAGE_BYTES;
        struct section *s = section_this();

        if (!space_contains(addr))
                return false;
        if (!present)
                return fault_absent(addr, ppn);
        if (!write)
                return false;
        must(!s || !s->active || s->changed, "P14: store to %lx before section_changes", addr);
        page_note(ppn);
        return true;
}

void space_page_dirty(ppn_t ppn)
{
        page_note(ppn);
}

bool space_page_absent(ppn_t ppn)
{
        return !persist_host->page_present(ppn);
}

ppn_t space_fetch_pending(void)
{
        return section_this()->pending;
}

/* ---- statistics ---- */

void space_stats(struct space_stats *st)
{
        const struct root_page *r = root();
        int64_t count[PAGE_KINDS] = {0};

        *st = (struct space_stats){.pages_first = DATA_PPN,
                                   .pages_top = r->frontier,
                                   .dirty_now = persist_host->dirty_count(),
                                   .epoch = snapshot_epoch()};
        for (unsigned cpu = 0; cpu < r->ncpus; cpu++) {
                const struct cpu_heap *h = space_page(CPU_PPN + cpu);

                for (unsigned k = 0; k < PAGE_KINDS; k++)
                        count[k] += __atomic_load_n(&h->count[k], __ATOMIC_RELAXED);
                st->pages_cached += __atomic_load_n(&h->nfree, __ATOMIC_RELAXED);
                st->deferred += __atomic_load_n(&h->ndeferred, __ATOMIC_RELAXED);
        }
        for (unsigned k = 0; k < PAGE_KINDS; k++)
                st->pages[k] = count[k] > 0 ? (uint64_t)count[k] : 0;
        st->pages[PAGE_META] += 1 + r->ncpus + (r->records_end - DATA_PPN) / RECORDS_PAGE +
                                resident_stop(r->records_end) - RESIDENT_FIRST;
        st->pages[PAGE_FREE] = st->pages_cached + r->nfree;
        for (unsigned order = 0; order < RUN_ORDERS; order++)
                st->pages[PAGE_FREE] += (uint64_t)r->run[order].nframed << order;
}
