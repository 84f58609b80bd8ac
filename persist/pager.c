/*
 * pager.c - pages that are not in memory: those a recovered space has on its store, and those that were evicted.
 *
 * Who meets an absent page asks for it (space_fetch_start) and sleeps; the writer, which alone uses the store, reads all that is wanted and wakes the sleepers. A page is mapped only when its
 * contents are there and their checksum holds. A wanted page that was freed, or given a frame by its next owner, meanwhile is left alone: page_install
 * says so. A page that cannot be read is remembered as damaged until the next boot. When the page on one side of a wanted one is there, those on the other side are read, too.
 *
 * The list of wanted pages has a place for every thread and work item there can be, since each waits for one page.
 */
#include "persist/engine.h"
#include "persist/store/store.h"

#define WANTED_MAX  (1u << 16)
#define DAMAGED_MAX 1024u
#define AHEAD_MAX   7u

struct store *space_store;
static uint32_t wanted[WANTED_MAX]; /* ring of page numbers; [lock] */
static uint32_t wanted_first, wanted_end;
static uint32_t damaged[DAMAGED_MAX]; /* [lock] */
static uint32_t ndamaged;
static uint32_t lock_word;
static uint64_t nfetched;

static bool is_damaged(ppn_t ppn)
{
        for (uint32_t i = 0; i < ndamaged; i++)
                if (damaged[i] == ppn)
                        return true;
        return false;
}

int space_fetch_start(ppn_t ppn)
{
        bool known = false;
        int r = 1;

        if (!ppn) { /* no page, but a reason to wait (reclaim.c) */
                reclaim_look();
                return reclaim_must_wait();
        }
        if (persist_host->page_present(ppn))
                return 0;
        if (!space_store) {
                struct section *s = section_this();

                persist_host->page_set_present(ppn,
                                               true); /* the test knob's, which leaves it present until it was used */
                if (s->npins < SECTION_PAGES)
                        s->pins[s->npins++] = ppn;
                return 0;
        }
        spin_take(&lock_word);
        if (is_damaged(ppn))
                r = -EIO;
        for (uint32_t i = wanted_first; r > 0 && i != wanted_end && !known; i++)
                known = wanted[i % WANTED_MAX] == ppn;
        if (r > 0 && !known) {
                must(wanted_end - wanted_first < WANTED_MAX, "more pages are wanted than there are threads");
                wanted[wanted_end++ % WANTED_MAX] = (uint32_t)ppn;
        }
        spin_give(&lock_word);
        if (r > 0 && !known)
                persist_host->writer_wake();
        return r;
}

/* 0, or why the page is not there. */
int pager_fetch(ppn_t ppn)
{
        void *frame;
        int r;

        if (persist_host->page_present(ppn))
                return 0;
        frame = persist_host->frame_get();
        if (!frame)
                return -ENOMEM;
        turn_take();
        r = store_read(space_store, ppn, frame);
        turn_give();
        if (r == -ENOENT)
                r = 0; /* all zeroes */
        if (!r && ppn >= DATA_PPN && record(ppn)->kind == PAGE_SLAB)
                r = slab_migrate(frame, record(ppn)->type);
        if (!r) {
                r = persist_host->page_install(ppn, frame);
                nfetched++;
        }
        if (r)
                persist_host->frame_put(frame);
        return r == -EEXIST ? 0 : r;
}

/*
 * Who goes through memory in order, upwards or down, comes from a page that is there: then those behind the wanted one are read with it, while there is room. [first, end) has them and it.
 */
static void reach(ppn_t ppn, ppn_t *first, ppn_t *end)
{
        bool up, down;

        *first = ppn;
        *end = ppn + 1;
        if (ppn < DATA_PPN + AHEAD_MAX || reclaim_wanted())
                return;
        up = persist_host->page_present(ppn - 1);
        down = persist_host->page_present(ppn + 1);
        if (up == down)
                return;
        for (unsigned n = 0; n < AHEAD_MAX; n++) {
                ppn_t p = up ? *end : *first - 1;

                if (p >= root()->frontier || persist_host->page_present(p) || record(p)->kind == PAGE_FREE)
                        return;
                *first -= !up;
                *end += up;
        }
}

/* Those that lie side by side on the disk are read at once. */
static void read_ahead(ppn_t first, ppn_t end)
{
        uint64_t block;
        uint32_t n = 1;

        turn_take();
        block = store_place(space_store, first);
        while (block && first + n < end && store_place(space_store, first + n) == block + n)
                n++;
        if (n > 1)
                store_ahead(space_store, block, n);
        turn_give();
}

/* With what will be wanted next. */
static int fetch_on(ppn_t ppn)
{
        ppn_t first, end;
        int r;

        reach(ppn, &first, &end);
        if (end - first > 1)
                read_ahead(first, end);
        warm_note(ppn);
        r = pager_fetch(ppn);
        for (ppn_t p = first; p < end && !r; p++) {
                if (p == ppn)
                        continue;
                if (pager_fetch(p)) /* what nobody asked for need not be good */
                        break;
                warm_note(p);
        }
        return r;
}

int pager_bring(ppn_t ppn)
{
        if (space_store)
                return pager_fetch(ppn);
        persist_host->page_set_present(ppn, true);
        return 0;
}

void pager_serve(void)
{
        for (;;) {
                ppn_t ppn;
                int r;

                spin_take(&lock_word);
                if (wanted_first == wanted_end) {
                        spin_give(&lock_word);
                        return;
                }
                ppn = wanted[wanted_first % WANTED_MAX];
                spin_give(&lock_word);
                r = fetch_on(ppn);
                if (r == -ENOMEM) /* the writer makes room, and comes back */
                        return;
                if (r)
                        persist_host->log("persist: page %lx of the space cannot be read: %d\n", ppn, r);
                spin_take(&lock_word);
                if (r && ndamaged < DAMAGED_MAX)
                        damaged[ndamaged++] = (uint32_t)ppn;
                wanted_first++;
                spin_give(&lock_word);
                persist_host->wake(space_page(ppn));
        }
}

bool pager_waits(void)
{
        return __atomic_load_n(&wanted_first, __ATOMIC_RELAXED) != __atomic_load_n(&wanted_end, __ATOMIC_RELAXED);
}

uint64_t pager_fetched(void)
{
        return nfetched;
}

void pager_forget(void)
{
        space_store = NULL;
        wanted_first = wanted_end = ndamaged = 0;
        nfetched = 0;
}
