/*
 * page.c - pages and runs of pages: who has which, free lists, credit.
 *
 * A page is in use (record: refs, kind), in its CPU's own free list, or in a global list. Own lists are touched by their CPU alone, so
 * allocation takes no lock; they exchange chains of CHAIN_PAGES pages with the global lists, under LOCK_SPACE. Free pages are linked
 * through their records. A free page keeps its frame and its mapping: freeing costs no flush, and the next owner writes to a page
 * that is probably noted dirty already. Only when memory is short do free pages lose their frames, a batch per flush; such a page is
 * "bare" and waits in a list of its own until frames are there again.
 *
 * Runs have a list per order. They are split into single pages only when memory is short, and never joined: a run that finds its
 * list empty takes new addresses from the frontier, of which there are 2^32. So the frontier is bounded by the sum, over
 * singles and each order, of the most that were ever in use at once.
 *
 * A space that was opened from a store has no frames behind its free pages: the lists of pages with frames say what was true in the life before. Whoever takes a page from
 * them sees to its frame; `unframed` counts what is missing.
 *
 * Invariants: P10. A section begins with CPU_CREDIT pages in the own list if memory can give them; space_room() says no long
 * before it cannot. Locks: LOCK_SPACE guards struct root_page.
 */
#include "persist/engine.h"

bool space_is_low;
#define LOOK_PAGES 32u
static uint32_t dirtied_since_look; /* [V] a hint: racing updates do not matter */
static uint64_t unframed; /* [V, LOCK_SPACE] free pages in the global lists of framed ones that have none, at most */

/* Frames that must stay for the sections of all CPUs, and for page tables. */
static uint64_t frames_floor(void)
{
        return __atomic_load_n(&persist_ncpus, __ATOMIC_RELAXED) * CPU_CREDIT + 64;
}

static uint64_t frames_available(void)
{
        const struct root_page *r = root();
        uint64_t n = persist_host->frames_free() + __atomic_load_n(&r->nfree, __ATOMIC_RELAXED), missing;

        for (unsigned order = 0; order < RUN_ORDERS; order++)
                n += (uint64_t)__atomic_load_n(&r->run[order].nframed, __ATOMIC_RELAXED) << order;
        missing = __atomic_load_n(&unframed, __ATOMIC_RELAXED);
        return n > missing ? n - missing : 0;
}

static void low_update(void)
{
        __atomic_store_n(&space_is_low, frames_available() < frames_floor() + 4 * CHAIN_PAGES, __ATOMIC_RELAXED);
}

void page_dirtied(ppn_t ppn)
{
        struct section *s = section_this();

        if (space_store) {
                if (unlikely_(__atomic_load_n(&snapshot_idle, __ATOMIC_RELAXED)))
                        snapshot_first_dirty();
                uint32_t n = __atomic_load_n(&dirtied_since_look, __ATOMIC_RELAXED) + 1;

                __atomic_store_n(&dirtied_since_look, n, __ATOMIC_RELAXED);
                if (unlikely_(!(n % LOOK_PAGES)))
                        reclaim_note();
        }
        if (!s || !s->active)
                return;
        if (ppn < DATA_PPN)
                must(++s->dirtied_meta <= META_DIRTY_MAX, "section dirtied %u of the allocator's pages",
                     s->dirtied_meta);
        else
                must(++s->dirtied <= SECTION_PAGES, "P10: section dirtied %u pages", s->dirtied);
}

/* ---- a CPU's own list ---- */

static inline void own_push(struct cpu_heap *h, ppn_t ppn)
{
        record(ppn)->next = h->free;
        h->free = (uint32_t)ppn;
        h->nfree++;
}

static void bare_push(struct root_page *r, ppn_t ppn);

/* Takes a page out of the count of those without a frame. LOCK_SPACE held. */
static void frame_settled(void)
{
        if (unframed)
                __atomic_store_n(&unframed, unframed - 1, __ATOMIC_RELAXED);
}

/* The page is from a list of framed ones. True: it has a frame. LOCK_SPACE held. */
static bool frame_ensure(ppn_t ppn)
{
        if (persist_host->page_present(ppn))
                return true;
        frame_settled();
        return !persist_host->page_provide(ppn);
}

/* The same for a chain of a recovered space: what gets no frame is bare from now on. */
static void own_push_unframed(struct cpu_heap *h, ppn_t first)
{
        for (uint32_t ppn = (uint32_t)first, next; ppn; ppn = next) {
                struct page_record *r = record(ppn);

                next = r->next;
                r->type = 0;
                r->prev = 0;
                if (frame_ensure(ppn))
                        own_push(h, ppn);
                else
                        bare_push(root(), ppn);
        }
}

static void own_push_chain(struct cpu_heap *h, ppn_t first)
{
        struct page_record *r = record(first), *last = r;

        if (unlikely_(unframed)) {
                own_push_unframed(h, first);
                return;
        }

        while (last->next)
                last = record(last->next);
        last->next = h->free;
        h->free = (uint32_t)first;
        h->nfree += r->type;
        r->type = 0;
        r->prev = 0;
}

/* Moves CHAIN_PAGES pages from the own list to the global one. LOCK_SPACE held. */
static void own_spill(struct cpu_heap *h)
{
        struct page_record *first = record(h->free), *last = first;
        struct root_page *r = root();
        uint32_t ppn = h->free;

        for (unsigned i = 1; i < CHAIN_PAGES; i++)
                last = record(last->next);
        h->free = last->next;
        h->nfree -= CHAIN_PAGES;
        last->next = 0;
        first->type = CHAIN_PAGES;
        first->prev = r->chains;
        r->chains = ppn;
        __atomic_store_n(&r->nfree, r->nfree + CHAIN_PAGES, __ATOMIC_RELAXED);
}

static uint32_t chain_pop(struct root_page *r)
{
        uint32_t ppn = r->chains;

        if (ppn) {
                r->chains = record(ppn)->prev;
                __atomic_store_n(&r->nfree, r->nfree - record(ppn)->type, __ATOMIC_RELAXED);
        }
        return ppn;
}

/* ---- frames: LOCK_SPACE held in all of these ---- */

static void bare_push(struct root_page *r, ppn_t ppn)
{
        struct page_record *rec = record(ppn);

        rec->order = FREE_BARE;
        rec->next = r->bare;
        r->bare = (uint32_t)ppn;
        r->nbare++;
}

/* Their frames, of those that have one, go back to the host. Returns how many that were. */
static unsigned frames_take(const ppn_t *ppns, unsigned n)
{
        ppn_t framed[HOST_WITHDRAW_MAX];
        unsigned nframed = 0;

        for (unsigned i = 0; i < n; i++) {
                if (unlikely_(unframed) && !persist_host->page_present(ppns[i])) {
                        frame_settled();
                        continue;
                }
                capture_before_withdraw(ppns[i]);
                framed[nframed++] = ppns[i];
        }
        if (nframed)
                persist_host->pages_withdraw(framed, nframed);
        return nframed;
}

/* Takes the frames of one chain, or one run, of free pages. Returns how many pages lost theirs. */
static unsigned withdraw_some(struct root_page *r)
{
        ppn_t batch[HOST_WITHDRAW_MAX];
        unsigned n = 0, framed;
        uint32_t ppn;

        while ((ppn = chain_pop(r))) {
                record(ppn)->type = 0;
                record(ppn)->prev = 0;
                for (; ppn; ppn = record(ppn)->next)
                        batch[n++] = ppn;
                framed = frames_take(batch, n);
                for (unsigned i = 0; i < n; i++)
                        bare_push(r, batch[i]);
                if (framed)
                        return framed;
                n = 0;
        }
        for (unsigned order = RUN_ORDERS; order--;) {
                ppn = r->run[order].framed;
                if (!ppn)
                        continue;
                r->run[order].framed = record(ppn)->next;
                __atomic_store_n(&r->run[order].nframed, r->run[order].nframed - 1, __ATOMIC_RELAXED);
                for (n = 0; n < 1u << order; n++)
                        batch[n] = ppn + n;
                framed = frames_take(batch, n);
                for (unsigned i = 0; i < n; i++)
                        record(ppn + i)->order |= FREE_BARE;
                record(ppn)->next = r->run[order].bare;
                r->run[order].bare = ppn;
                r->run[order].nbare++;
                if (framed)
                        return framed;
                order++; /* the same list again */
        }
        return 0;
}

/* A frame for a page that must get one: from the host, from free pages, or in the end from the own list. */
static void provide_surely(struct root_page *r, struct cpu_heap *h, ppn_t ppn)
{
        while (persist_host->page_provide(ppn)) {
                ppn_t victim = h->free;

                if (withdraw_some(r))
                        continue;
                must(victim, "no frame left after the first change: space_room() was not asked");
                h->free = record(victim)->next;
                h->nfree--;
                frames_take(&victim, 1);
                bare_push(r, victim);
        }
}

/* Records exist for the pages below end. 0 or -ENOMEM. */
static int records_extend(struct root_page *r, ppn_t end)
{
        while (r->records_end < end) {
                ppn_t ppn = record_ppn(r->records_end);

                if (r->records_end >= SPACE_PAGES || resident_map_extend(r) || persist_host->page_provide(ppn))
                        return -ENOMEM;
                zero_page(space_page(ppn));
                r->records_end += RECORDS_PAGE;
        }
        return 0;
}

static bool own_grow_bare(struct root_page *r, struct cpu_heap *h)
{
        ppn_t ppn = r->bare;
        struct page_record *rec = record(ppn);

        if (!ppn || persist_host->page_provide(ppn))
                return false;
        r->bare = rec->next;
        r->nbare--;
        rec->order = 0;
        own_push(h, ppn);
        return true;
}

static bool own_grow_frontier(struct root_page *r, struct cpu_heap *h)
{
        ppn_t ppn = r->frontier;

        if (records_extend(r, ppn + 1) || persist_host->page_provide(ppn))
                return false;
        __atomic_store_n(&r->frontier, ppn + 1, __ATOMIC_RELEASE);
        own_push(h, ppn);
        return true;
}

static bool own_grow_split(struct root_page *r, struct cpu_heap *h)
{
        for (unsigned order = 0; order < RUN_ORDERS; order++) {
                uint32_t ppn = r->run[order].framed;

                if (!ppn)
                        continue;
                r->run[order].framed = record(ppn)->next;
                __atomic_store_n(&r->run[order].nframed, r->run[order].nframed - 1, __ATOMIC_RELAXED);
                for (uint32_t i = 0; i < 1u << order; i++) {
                        record(ppn + i)->order = 0;
                        if (likely_(!unframed) || frame_ensure(ppn + i))
                                own_push(h, ppn + i);
                        else
                                bare_push(r, ppn + i);
                }
                return true;
        }
        return false;
}

/* Fills the own list up to the credit, or as far as memory goes. */
void pages_refill(struct cpu_heap *h)
{
        struct root_page *r = root();
        uint32_t chain;
        bool plenty;

        space_lock();
        plenty = persist_host->frames_free() > frames_floor() + CHAIN_PAGES;
        while (h->nfree < CPU_CREDIT) {
                chain = chain_pop(r);
                if (chain) {
                        own_push_chain(h, chain);
                        continue;
                }
                if (!plenty && own_grow_split(r, h))
                        continue;
                /* A batch, so that the lock is not taken for every page of a program that grows. */
                for (unsigned i = 0; i < (plenty ? CHAIN_PAGES : 1); i++)
                        if (!own_grow_bare(r, h) && !own_grow_frontier(r, h))
                                goto out;
        }
out:
        space_unlock();
        low_update();
        if (space_store) /* pages are dirty by birth */
                reclaim_note();
}

/* own: what is more than the credit in this list, too; NULL: in none. */
static uint64_t trim(uint64_t npages, struct cpu_heap *own)
{
        struct root_page *r = root();
        uint64_t done = 0;
        unsigned n;

        while (done < npages) {
                space_lock();
                while (own && own->nfree >= CPU_CREDIT + CHAIN_PAGES)
                        own_spill(own);
                n = withdraw_some(r);
                space_unlock();
                if (!n)
                        break;
                done += n;
        }
        return done;
}

uint64_t pages_trim(uint64_t npages)
{
        return trim(npages, NULL);
}

/* As at a section's begin, the allocator's own lists may change here, though nothing else has. */
uint64_t space_trim(uint64_t npages)
{
        struct section *s = section_this();
        bool changed = s->changed;
        uint64_t done;

        section_guard(false);
        s->changed = true;
        done = trim(npages, s->heap);
        s->changed = changed;
        section_guard(!changed);
        return done;
}

bool space_room(uint64_t npages)
{
        const struct cpu_heap *h = section_this()->heap;
        uint64_t need = npages + frames_floor(), frames;

        if (likely_(h->nfree >= npages + CPU_CREDIT - SECTION_PAGES &&
                    !__atomic_load_n(&space_is_low, __ATOMIC_RELAXED)))
                return !reclaim_disk_full();
        low_update();
        if (frames_available() < need) {
                space_make_room();
                return false;
        }
        if (reclaim_disk_full())
                return false;
        frames = persist_host->frames_free();
        if (frames < need) /* runs and page tables take frames from the host, not free pages */
                space_trim(need - frames);
        return true;
}

/* ---- single pages ---- */

__attribute__((noinline, cold)) static ppn_t own_empty(struct cpu_heap *h)
{
        pages_refill(h);
        must(h->free, "no page left after the first change: space_room() was not asked");
        return h->free;
}

ppn_t space_page_alloc(enum page_kind kind)
{
        struct section *s = section_this();
        struct cpu_heap *h = s->heap;
        ppn_t ppn = h->free;
        struct page_record *r;

        must(s->changed, "P14: page allocated before section_changes");
        if (unlikely_(!ppn))
                ppn = own_empty(h);
        r = record(ppn);
        h->free = r->next;
        h->nfree--;
        h->count[kind]++;
        *r = (struct page_record){.refs = 1, .kind = kind};
        return ppn;
}

ppn_t space_page_alloc_zeroed(enum page_kind kind)
{
        ppn_t ppn = space_page_alloc(kind);

        space_page_dirty(ppn); /* cheaper than the fault that the first store would take */
        zero_page(space_page(ppn));
        return ppn;
}

void space_page_ref(ppn_t ppn)
{
        must(__atomic_fetch_add(&record(ppn)->refs, 1, __ATOMIC_RELAXED), "reference taken to the free page %lx", ppn);
}

void space_page_unref(ppn_t ppn)
{
        uint32_t refs = __atomic_sub_fetch(&record(ppn)->refs, 1, __ATOMIC_ACQ_REL);

        must(refs != UINT32_MAX, "page %lx released more often than referenced", ppn);
        if (!refs)
                defer_free(space_page(ppn));
}

uint32_t space_page_refs(ppn_t ppn)
{
        return __atomic_load_n(&record(ppn)->refs, __ATOMIC_RELAXED);
}

enum page_kind space_page_kind(ppn_t ppn)
{
        return ppn < DATA_PPN ? PAGE_META : record(ppn)->kind;
}

void pages_spill(struct cpu_heap *h)
{
        space_lock();
        while (h->nfree > CPU_SPILL - 2 * CHAIN_PAGES)
                own_spill(h);
        space_unlock();
}

/* ---- runs ---- */

/* Addresses for a run, framed or not. LOCK_SPACE held. */
static ppn_t run_take(struct root_page *r, struct cpu_heap *h, unsigned order)
{
        uint32_t n = 1u << order;
        ppn_t ppn = r->run[order].framed;

        if (ppn) {
                r->run[order].framed = record(ppn)->next;
                __atomic_store_n(&r->run[order].nframed, r->run[order].nframed - 1, __ATOMIC_RELAXED);
                for (uint32_t i = 0; unlikely_(unframed) && i < n; i++) {
                        if (persist_host->page_present(ppn + i))
                                continue;
                        frame_settled();
                        provide_surely(r, h, ppn + i);
                        page_dirtied(ppn + i);
                }
                return ppn;
        }
        ppn = r->run[order].bare;
        if (ppn) {
                r->run[order].bare = record(ppn)->next;
                r->run[order].nbare--;
        } else {
                ppn = r->frontier;
                must(ppn + n <= SPACE_PAGES, "the space has no addresses left");
                while (records_extend(r, ppn + n))
                        must(withdraw_some(r), "no frame left for page records: space_room() was not asked");
                __atomic_store_n(&r->frontier, ppn + n, __ATOMIC_RELEASE);
        }
        for (uint32_t i = 0; i < n; i++) {
                provide_surely(r, h, ppn + i);
                page_dirtied(ppn + i);
        }
        return ppn;
}

ppn_t run_alloc(unsigned order)
{
        struct cpu_heap *h = section_this()->heap;
        ppn_t ppn;

        if (!order) {
                ppn = space_page_alloc(PAGE_RUN);
                resident_note(ppn);
                return ppn;
        }
        must(section_this()->changed, "P14: run of pages allocated before section_changes");
        space_lock();
        ppn = run_take(root(), h, order);
        space_unlock();
        h->count[PAGE_RUN] += 1 << order;
        resident_note(ppn);
        resident_note(ppn + (1u << order) - 1); /* a run is shorter than what a page of records has */
        *record(ppn) = (struct page_record){.refs = 1, .kind = PAGE_RUN, .order = order};
        for (uint32_t i = 1; i < 1u << order; i++)
                *record(ppn + i) = (struct page_record){.refs = 1, .kind = PAGE_RUN, .order = RUN_INNER};
        return ppn;
}

void run_free_now(struct cpu_heap *h, ppn_t ppn, unsigned order)
{
        struct root_page *r = root();
        struct page_record *rec = record(ppn);

        for (uint32_t i = 0; i < 1u << order; i++) {
                must(rec[i].kind == PAGE_RUN, "run %lx freed: page %u is of kind %u", ppn, i, rec[i].kind);
                if (space_store)
                        page_note(ppn + i);
                rec[i] = (struct page_record){.order = i ? RUN_INNER : order};
        }
        h->count[PAGE_RUN] -= 1 << order;
        if (!order) {
                own_push(h, ppn);
                return;
        }
        space_lock();
        rec->next = r->run[order].framed;
        r->run[order].framed = (uint32_t)ppn;
        __atomic_store_n(&r->run[order].nframed, r->run[order].nframed + 1, __ATOMIC_RELAXED);
        space_unlock();
}

/*
 * A page is about to be free. Its block on the disk goes with the commit of this epoch, so it must be in the epoch's set. One that was evicted gets a frame for that; if there is none it is bare,
 * and its block is kept until it has an owner again: false, there is nothing more to do.
 */
bool page_let_go(struct cpu_heap *h, ppn_t ppn)
{
        if (persist_host->page_present(ppn)) {
                if (space_store)
                        page_note(ppn);
                return true;
        }
        if (!space_store) {
                persist_host->page_set_present(ppn, true); /* the test knob's */
                return true;
        }
        if (!persist_host->page_provide(ppn))
                return true;
        space_lock();
        h->count[record(ppn)->kind]--;
        *record(ppn) = (struct page_record){0};
        bare_push(root(), ppn);
        space_unlock();
        return false;
}

int pages_open_own(struct cpu_heap *h)
{
        for (uint32_t ppn = h->free; ppn; ppn = record(ppn)->next)
                if (!persist_host->page_present(ppn) && persist_host->page_provide(ppn))
                        return -ENOMEM;
        return 0;
}

void pages_open(void)
{
        const struct root_page *r = root();

        unframed = r->nfree;
        for (unsigned order = 0; order < RUN_ORDERS; order++)
                unframed += (uint64_t)r->run[order].nframed << order;
}

void page_forget(void)
{
        space_is_low = false;
        unframed = 0;
}
