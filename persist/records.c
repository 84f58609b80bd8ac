/*
 * records.c - page records of a recovered space: which are there from the beginning, and how the others come.
 *
 * The allocator meets records where it can neither fail nor wait: a reference that is dropped, a neighbour in a list of slabs. So no record may be absent; but there are 16 bytes of them
 * for each page in use, and to read them all first would make every start as long as the state is large. Two things make it short:
 *
 * The resident map has a bit for each page of records: does it have that of a resident page? Recovery reads the map, those pages of records, and the resident pages. A bit is set by who
 * makes a page resident; it is taken back by a recovery that finds nothing behind it. A space of before schema 5 has no map: all its records are read, once, and the map is made.
 *
 * The other pages of records are read by the writer, beside the programs, before it does anything else but read what is wanted; who meets one that is not there yet reads it on the spot. Till all
 * are there the store has several users: they take turns, and wait for the disk without giving way, since who waits may be in a section, past its first change. A
 * disk that cannot do that (store_share) has all read first. Frames for all of them are set aside before anything runs, so that none can be missing. Commits begin when all are there.
 */
#include "persist/engine.h"
#include "persist/store/store.h"

#define STEP_PAGES 16u /* read by the writer between two looks at what else there is */

static bool loading;  /* [V,a] some may be missing */
static ppn_t load_at; /* [V, writer] all before it are there */
static uint32_t turn;
static uint64_t nread_on_the_spot; /* [a] */

static ppn_t records_stop(void)
{
        return record_ppn(root()->records_end);
}

/* ---- the resident map ---- */

int resident_map_extend(const struct root_page *r)
{
        ppn_t ppn = RESIDENT_PPN + r->records_end / RECORDS_PAGE / RESIDENT_BITS;

        if (persist_host->page_present(ppn))
                return 0;
        if (persist_host->page_provide(ppn))
                return -ENOMEM;
        zero_page(space_page(ppn));
        return 0;
}

/* Of a space that has none. */
static int map_make(struct root_page *r)
{
        for (ppn_t ppn = RESIDENT_FIRST; ppn < resident_stop(r->records_end); ppn++) {
                if (persist_host->page_provide(ppn))
                        return -ENOMEM;
                zero_page(space_page(ppn));
        }
        for (ppn_t ppn = DATA_PPN; ppn < r->frontier; ppn++)
                if (record_is_resident(record(ppn)))
                        resident_note(ppn);
        r->resident_map = 1;
        return 0;
}

/* ---- recovery ---- */

static int fetch_range(ppn_t first, ppn_t end)
{
        int r = 0;

        for (ppn_t ppn = first; ppn < end && !r; ppn++)
                r = pager_fetch(ppn);
        return r;
}

/* A page of records that the map names, and what is resident of its pages. */
static int fetch_residents(uint64_t index)
{
        ppn_t first = index * RECORDS_PAGE;
        bool any = false;
        int r = pager_fetch(RECORD_PPN + index);

        for (ppn_t ppn = first; ppn < first + RECORDS_PAGE && !r; ppn++) {
                if (!record_is_resident(record(ppn)))
                        continue;
                any = true;
                r = pager_fetch(ppn);
        }
        if (!any && !r)
                *resident_word(index) &= ~(1ul << index % 64);
        return r;
}

/* Slabs that CPUs own: objects are taken from them after the first change. */
static int fetch_slabs(const struct root_page *root_page)
{
        int r = 0;

        for (unsigned cpu = 0; cpu < root_page->ncpus && !r; cpu++) {
                const struct cpu_heap *h = space_page(CPU_PPN + cpu);

                for (unsigned t = 0; t < SPACE_TYPES && !r; t++)
                        if (h->slab[t])
                                r = pager_fetch(space_ppn(h->slab[t]));
        }
        return r;
}

/* What is not there comes later, if the disk allows. Nothing depends on the state's size here. */
static int load_begin(uint64_t nread)
{
        if (nread == records_stop() - RECORD_FIRST)
                return 0;
        if (!store_share(space_store, true))
                return fetch_range(RECORD_FIRST, records_stop());
        load_at = RECORD_FIRST;
        loading = true;
        return persist_host->frames_free() > records_frames() ? 0 : -ENOMEM;
}

int records_open(void)
{
        struct root_page *root_page = root();
        uint64_t stop = root_page->records_end / RECORDS_PAGE, nread = 0;
        bool all = !root_page->resident_map;
        int r = fetch_range(CPU_PPN, CPU_PPN + root_page->ncpus);

        if (!r && !all) {
                r = fetch_range(RESIDENT_FIRST, resident_stop(root_page->records_end));
        } else if (!r) {
                r = fetch_range(RECORD_FIRST, records_stop());
                if (!r)
                        r = map_make(root_page);
        }
        for (uint64_t at = DATA_PPN / RECORDS_PAGE & ~63ul; at < stop && !r; at += 64)
                for (uint64_t w = *resident_word(at); w && !r; w &= w - 1, nread++)
                        r = fetch_residents(at + (unsigned)__builtin_ctzl(w));
        if (!r)
                r = fetch_slabs(root_page);
        return r || all ? r : load_begin(nread);
}

/* ---- while some are missing ---- */

bool records_missing(void)
{
        return __atomic_load_n(&loading, __ATOMIC_ACQUIRE);
}

void turn_take(void)
{
        if (likely_(!records_missing()))
                return;
        for (unsigned n = 0; __atomic_exchange_n(&turn, 1, __ATOMIC_ACQUIRE); n++)
                persist_host->spin(n);
}

void turn_give(void)
{
        __atomic_store_n(&turn, 0, __ATOMIC_RELEASE);
}

/* The page of records is there, or the machine stops: without it nobody can go on, and nothing that was changed since the start is durable yet. The turn is ours. */
static void bring(ppn_t ppn)
{
        void *frame;
        int r;

        if (persist_host->page_present(ppn))
                return;
        persist_host->use_aside(true);
        frame = persist_host->frame_get();
        r = frame ? store_read(space_store, ppn, frame) : -ENOMEM;
        if (!r || r == -ENOENT) /* all zeroes */
                r = persist_host->page_install(ppn, frame);
        persist_host->use_aside(false);
        must(!r, "page %lx, which is one of the allocator's own, cannot be read from the store: error %d", ppn, r);
}

bool records_fault(ppn_t ppn)
{
        if (!records_missing())
                return space_at_once && !pager_fetch(ppn); /* recovery itself */
        turn_take();
        __atomic_fetch_add(&nread_on_the_spot, 1, __ATOMIC_RELAXED);
        bring(ppn);
        turn_give();
        return true;
}

void records_step(void)
{
        for (unsigned n = 0; n < STEP_PAGES && load_at < records_stop(); load_at++) {
                if (persist_host->page_present(load_at))
                        continue;
                turn_take();
                bring(load_at);
                turn_give();
                n++;
        }
        if (load_at < records_stop())
                return;
        store_share(space_store, false); /* nobody can meet an absent one any more */
        __atomic_store_n(&loading, false, __ATOMIC_RELEASE);
}

uint64_t records_frames(void)
{
        uint64_t n = records_missing() ? records_stop() - load_at : 0;

        return n + n / 256; /* a page table has room for 512 */
}

uint64_t records_on_the_spot(void)
{
        return __atomic_load_n(&nread_on_the_spot, __ATOMIC_RELAXED);
}

void records_forget(void)
{
        loading = false;
        turn = 0;
        nread_on_the_spot = 0;
}
