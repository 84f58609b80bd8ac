/*
 * snapshot.c - the barrier: all CPUs outside sections at one instant, every page read-only again, a new epoch; and what the writer does with it.
 * In a RAM-only space the barrier is all of a snapshot. With a store, a barrier of the writer freezes: what was dirty becomes the frozen set, whose pages are captured (capture.c) and committed.
 * Another barrier (storm, knobs) only parks and checks as long as the set is not taken.
 * States: RUNNING -> PARKING (park_others) -> FROZEN (protect, epoch) -> RUNNING. One leader; others that want to lead wait for it.
 * The writer: IDLE -> (barrier) CAPTURING -> COMMITTING -> IDLE. After a failed commit there are no more.
 * Cadence: the first change after a snapshot starts a clock of snapshot_interval_ns; requests do not wait for it. After a commit the clock counts from its barrier, since what was dirtied
 * meanwhile has been at risk for that long; but the writer rests for a quarter of what the commit took, so that others run.
 * Invariants: P2 and P3 at FROZEN (every section has ended, no lock is held), P4 after it, P5, P6. No lock is taken while FROZEN.
 */
#include "persist/engine.h"
#include "persist/store/store.h"

#define YIELD_PAGES   16u /* the writer gives way after so many */
#define TAKE_PAGES    64u
#define SHORT_NS      1000000u /* when memory is short, the writer looks again after this */
#define CLEAN_NS      20000000u
#define LOAD_AFTER_NS 10000000u /* programs that go on go first */

uint32_t space_absent_per_mille;
bool space_check_each_barrier;

static uint64_t epoch = 1; /* [V] written while FROZEN */
static uint32_t leading;   /* [a] */
static struct barrier_stats stats;
static uint64_t random_state = 0x9e3779b97f4a7c15ul;

/* The writer's. */
uint64_t snapshot_interval_ns = 100000000;
uint32_t snapshot_attach_slice = 16384;
static uint64_t frozen_epoch, frozen_pages;
static struct store_clock frozen_clock;
static uint64_t durable;   /* [a] newest epoch that a commit made durable */
static int failure;        /* [a] why commits cannot go on */
static uint32_t requested; /* [a] somebody waits for a commit */
uint32_t snapshot_idle;
static bool cleaning;
static uint64_t clean_ns; /* when the cleaner goes on */
static uint64_t load_ns;  /* when more page records are read; 0: not known yet */
static uint64_t due;      /* monotonic ns of the next commit; 0: nothing was dirty when last looked at */
static uint64_t ncommits, npages;
static bool attaching;                 /* no commit has been made on this store yet */
static void (*attach_done)(int error); /* of a space that can go on without the store */
static uint64_t attach_pages, attach_total;

uint64_t snapshot_epoch(void)
{
        return __atomic_load_n(&epoch, __ATOMIC_ACQUIRE);
}

void snapshot_barrier_stats(struct barrier_stats *s)
{
        *s = stats;
}

/* Pauses by length: eight classes to a power of two. */
static uint64_t pauses[64 * 8];

static unsigned pause_class(uint64_t ticks)
{
        unsigned top = 63u - (unsigned)__builtin_clzl(ticks | 8);

        return (top - 3) * 8 + (unsigned)(ticks >> (top - 3) & 7);
}

uint64_t snapshot_pause(unsigned per_mille)
{
        uint64_t below = 0;

        for (unsigned k = 0; k < sizeof(pauses) / sizeof(pauses[0]); k++) {
                below += pauses[k];
                if (below && below * 1000 >= stats.count * per_mille) {
                        uint64_t end = (8ul + k % 8 + 1) << (k / 8);

                        return end < stats.pause_max ? end : stats.pause_max;
                }
        }
        return 0;
}

static uint64_t random_next(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state;
}

static bool pinned(ppn_t ppn)
{
        for (unsigned cpu = 0; cpu < persist_ncpus; cpu++) {
                const struct section *s = persist_sections[cpu];

                for (unsigned i = 0; s && i < s->npins; i++)
                        if (s->pins[i] == ppn)
                                return true;
        }
        return false;
}

bool page_evictable(ppn_t ppn)
{
        const struct page_record *r = record(ppn);

        if (pinned(ppn) || page_is_pinned(ppn))
                return false;
        switch (r->kind) {
        case PAGE_NODE:
        case PAGE_ANON:
        case PAGE_FILE:
        case PAGE_DIR:
                return persist_host->page_present(ppn);
        case PAGE_SLAB:
                return !type_is_resident(r->type) && persist_host->page_present(ppn) &&
                       !((const struct slab *)space_page(ppn))->owner;
        default:
                return false;
        }
}

/* Test knob: a share of the pages that paging could take away is taken away. */
static void make_absent(void)
{
        uint64_t npages = root()->frontier - DATA_PPN, n = npages * space_absent_per_mille / 1000;
        bool any = false;

        for (; n; n--) {
                ppn_t ppn = DATA_PPN + random_next() % npages;

                if (!page_evictable(ppn))
                        continue;
                space_may_be_absent = true;
                persist_host->page_set_present(ppn, false);
                any = true;
        }
        if (any)
                persist_host->flush();
}

static void check_quiet(void)
{
        for (unsigned cpu = 0; cpu < persist_ncpus; cpu++) {
                const struct section *s = persist_sections[cpu];

                must(!s || (!s->active && !s->nheld), "P3: CPU %u is in a section at the barrier, with %u locks", cpu,
                     s->nheld);
        }
}

static void lead(bool freeze)
{
        uint64_t begin = persist_host->clock_ticks(), pause;

        persist_host->park_others();
        check_quiet();
        if (space_check_each_barrier && !space_store) /* a checker meets absent pages, and could not wait for them */
                check_barrier();
        if (!space_store || freeze) {
                if (freeze) {
                        pins_note_dirty();
                        frozen_epoch = epoch;
                        if (frozen_epoch < store_next_epoch(space_store)) /* kept snapshots take numbers, too */
                                frozen_epoch = store_next_epoch(space_store);
                        frozen_pages = persist_host->dirty_count();
                        if (attaching)
                                frozen_epoch += frozen_pages / snapshot_attach_slice;
                        persist_host->clock(&frozen_clock.mono_ns, &frozen_clock.real_ns);
                        capture_open = true;
                }
                stats.entries_last = persist_host->protect_all(freeze);
                __atomic_store_n(&epoch, freeze ? frozen_epoch + 1 : epoch + 1, __ATOMIC_RELEASE);
                if (space_absent_per_mille && !space_store)
                        make_absent();
        }
        persist_host->release_others();
        pause = persist_host->clock_ticks() - begin;
        stats.count++;
        stats.pause_last = pause;
        stats.pause_sum += pause;
        if (pause > stats.pause_max)
                stats.pause_max = pause;
        pauses[pause_class(pause)]++;
}

/* One leader at a time. False: `enough`, and meanwhile another's barrier began a new epoch. */
static bool lead_begin(bool enough)
{
        uint64_t before = snapshot_epoch();
        uint32_t nobody = 0;

        must(section_quiet(), "barrier inside a section");
        while (!__atomic_compare_exchange_n(&leading, &nobody, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
                nobody = 0;
                persist_host->park_if_asked();
                cpu_pause();
                if (enough && snapshot_epoch() != before)
                        return false;
        }
        return true;
}

static void lead_end(void)
{
        __atomic_store_n(&leading, 0, __ATOMIC_RELEASE);
}

static void barrier(bool freeze)
{
        if (!lead_begin(!freeze))
                return;
        lead(freeze);
        lead_end();
}

uint64_t snapshot_at_barrier(uint64_t (*fn)(uint64_t arg), uint64_t arg)
{
        uint64_t r;

        lead_begin(false);
        persist_host->park_others();
        check_quiet();
        r = fn(arg);
        persist_host->release_others();
        lead_end();
        return r;
}

void snapshot_barrier(void)
{
        barrier(false);
}

/* ---- durability ---- */

bool snapshot_has_store(void)
{
        return space_store != NULL;
}

struct store *snapshot_store(void)
{
        return space_store;
}

bool snapshot_is_durable(uint64_t e)
{
        return !space_store || __atomic_load_n(&durable, __ATOMIC_ACQUIRE) >= e;
}

int snapshot_error(void)
{
        return __atomic_load_n(&failure, __ATOMIC_ACQUIRE);
}

const void *snapshot_key(void)
{
        return &durable;
}

void snapshot_request(void)
{
        if (space_store && !__atomic_exchange_n(&requested, 1, __ATOMIC_SEQ_CST))
                persist_host->writer_wake();
}

/* ---- leaving ---- */

static void (*leave_then)(uint64_t arg); /* [a] the store is to be closed in order, and then this is called */
static uint64_t leave_arg;

void snapshot_leave(void (*then)(uint64_t arg), uint64_t arg)
{
        if (!space_store) {
                then(arg);
                return;
        }
        leave_arg = arg;
        __atomic_store_n(&leave_then, then, __ATOMIC_RELEASE);
        persist_host->writer_wake();
}

static void leave(void)
{
        void (*then)(uint64_t arg) = __atomic_load_n(&leave_then, __ATOMIC_ACQUIRE);
        int r;

        if (!then)
                return;
        r = store_leave(space_store);
        if (r)
                persist_host->log("persist: the store could not be closed in order: %d. Nothing in it is lost\n", r);
        leave_then = NULL;
        then(leave_arg);
}

/* ---- the writer ---- */

/* One page of the set, as it was, to the store. */
static int commit_page(ppn_t ppn, const void *page)
{
        npages++;
        return page ? store_commit_page(space_store, ppn, page) : store_commit_none(space_store, ppn);
}

/*
 * The first state of a store may have more pages than a commit takes. It goes in slices, each a commit of its own, and the root page with the last one: what a power cut leaves of them
 * has no root, which is how space_open knows.
 */
static int slice_end(void)
{
        uint64_t next = store_next_epoch(space_store);
        int r = store_commit_end(space_store);

        return r ? r : store_commit_begin(space_store, snapshot_attach_slice, next + 1, &frozen_clock);
}

static int commit_pages(void)
{
        uint64_t first = attaching ? frozen_epoch - frozen_pages / snapshot_attach_slice : frozen_epoch, nslice = 0;
        const void *root_copy = NULL; /* one of the allocator's own: it stays until capture_close */
        ppn_t ppns[TAKE_PAGES];
        unsigned n, since = 0;
        int r;

        r = store_commit_begin(space_store,
                               attaching && frozen_pages > snapshot_attach_slice ? snapshot_attach_slice : frozen_pages,
                               first, &frozen_clock);
        while ((n = persist_host->frozen_take(ppns, TAKE_PAGES))) {
                for (unsigned i = 0; i < n; i++) {
                        const void *page = capture_take(ppns[i]);

                        if (attaching && ppns[i] == ROOT_PPN)
                                root_copy = page;
                        else if (!r)
                                r = commit_page(ppns[i], page);
                        capture_done(ppns[i]);
                        if (attaching && !r && ++nslice % snapshot_attach_slice == 0)
                                r = slice_end();
                        if (attaching)
                                __atomic_store_n(&attach_pages, nslice, __ATOMIC_RELAXED);
                        if (++since % YIELD_PAGES)
                                continue;
                        if (space_gate)
                                reclaim_look();
                        pager_serve();
                        persist_host->writer_yield();
                }
        }
        if (root_copy && !r)
                r = commit_page(ROOT_PPN, root_copy);
        capture_close();
        return r ? r : store_commit_end(space_store);
}

/* The space goes on in memory alone, as before. */
static uint64_t let_go_of_store(uint64_t arg)
{
        (void)arg;
        space_store = NULL;
        space_gate = 0;
        return 0;
}

static void attach_end(int error)
{
        void (*done)(int) = attach_done;

        attaching = false;
        attach_done = NULL;
        if (!done)
                return;
        if (error) {
                snapshot_at_barrier(let_go_of_store, 0);
                capture_forget();
                reclaim_forget();
                persist_host->wake(space_page(0));
        }
        done(error);
}

static void commit(void)
{
        int r;

        while ((!capture_reserve(reclaim_copies()) || !persist_host->frames_free()) && reclaim())
                ;
        if (capture_spare() <
            reclaim_copies()) { /* only before the first commit: later what is set aside comes back by itself */
                if (attach_done)
                        attach_end(-ENOMEM);
                return;
        }
        __atomic_store_n(&requested, 0, __ATOMIC_SEQ_CST); /* who asks from here on waits for the next one */
        if (!attaching)
                reclaim_settle();
        barrier(true);
        r = commit_pages();
        if (r && attach_done) {
                attach_end(r);
        } else if (r) {
                persist_host->log("persist: commits have stopped: %d. What was durable stays; nothing new is\n", r);
                reclaim_failed();
                __atomic_store_n(&failure, r == -ENOSPC ? -ENOSPC : -EIO, __ATOMIC_RELEASE);
        } else {
                ncommits++;
                __atomic_store_n(&durable, frozen_epoch, __ATOMIC_RELEASE);
                reclaim_settle();
                reclaim_disk();
                if (attaching)
                        attach_end(0);
        }
        persist_host->wake(&durable);
}

static uint64_t now_ns(void)
{
        struct store_clock now;

        persist_host->clock(&now.mono_ns, &now.real_ns);
        return now.mono_ns;
}

void snapshot_first_dirty(void)
{
        if (__atomic_exchange_n(&snapshot_idle, 0, __ATOMIC_SEQ_CST))
                persist_host->writer_wake();
}

/* Something is dirty: when is that to be committed? took_ns: how long the commit that ends now did, or 0. The flag comes first, so that a page noted after the look wakes the writer. */
static void set_due(uint64_t took_ns)
{
        uint64_t wait_ns = snapshot_interval_ns, rest_ns = took_ns / 4;

        __atomic_store_n(&snapshot_idle, 1, __ATOMIC_SEQ_CST);
        if (!snapshot_interval_ns || !persist_host->dirty_count())
                return;
        __atomic_store_n(&snapshot_idle, 0, __ATOMIC_SEQ_CST);
        if (rest_ns < wait_ns)
                wait_ns = took_ns + rest_ns < wait_ns ? wait_ns - took_ns : rest_ns;
        due = now_ns() + wait_ns;
}

static bool nobody_waits(void)
{
        return !__atomic_load_n(&requested, __ATOMIC_RELAXED) && !store_wait_ns(space_store) && !attaching;
}

/* The cleaner works a little every CLEAN_NS, when nobody waits for a commit. True: there is more to do, at clean_ns. */
static bool clean_step(uint64_t now)
{
        struct store_info info;

        if (!nobody_waits())
                return cleaning;
        if (cleaning && now < clean_ns)
                return true;
        store_info(space_store, &info);
        cleaning = store_clean(space_store, reclaim_dirty_max(info.nblocks));
        clean_ns = now + CLEAN_NS;
        return cleaning;
}

/*
 * Page records that have yet to come are read beside the programs: first those begin, then half of the time is theirs, and all of it the writer's when somebody waits for a commit. True: all
 * are there.
 */
static bool load(uint64_t *next_ns)
{
        while (records_missing()) {
                uint64_t now = now_ns();

                pager_serve();
                if (reclaim_wanted())
                        reclaim();
                if (!load_ns)
                        load_ns = now + LOAD_AFTER_NS;
                if (now < load_ns && !__atomic_load_n(&requested, __ATOMIC_SEQ_CST)) {
                        *next_ns = load_ns;
                        if (pager_waits() && load_ns > now + SHORT_NS)
                                *next_ns = now + SHORT_NS;
                        else if (warm_step())
                                *next_ns = now;
                        return false;
                }
                now = now_ns();
                records_step();
                load_ns = 2 * now_ns() - now;
                persist_host->writer_yield();
        }
        if (load_ns)
                reclaim_disk(); /* what was set aside for them is free */
        load_ns = 0;
        return true;
}

bool snapshot_step(uint64_t *next_ns)
{
        uint64_t wait;

        *next_ns = 0;
        if (!space_store)
                return true;
        if (!load(next_ns))
                return false;
        pager_serve();
        leave();
        if (failure)
                return true;
        if (!due)
                set_due(0);
        wait = store_wait_ns(space_store);
        if (!wait && (__atomic_load_n(&requested, __ATOMIC_SEQ_CST) || (due && now_ns() >= due))) {
                due = 0;
                commit();
                if (space_store && !failure)
                        set_due(now_ns() - frozen_clock.mono_ns);
        }
        if (reclaim_wanted())
                reclaim();
        else if (space_gate)
                reclaim_look();
        if (!space_store) /* attaching has failed */
                return true;
        pager_serve();
        if (!due)
                set_due(0);
        *next_ns = due;
        if (wait && (due || __atomic_load_n(&requested, __ATOMIC_RELAXED)))
                *next_ns = now_ns() + wait;
        if (pager_waits())
                *next_ns = now_ns() + SHORT_NS;
        else if (warm_step())
                *next_ns = now_ns();
        if (!failure && nobody_waits() && store_checkpoint_is_cheap(space_store))
                store_checkpoint(space_store); /* an error is the next commit's, too */
        if (!wait && !failure && store_discard(space_store, !due))
                *next_ns = now_ns(); /* what is wanted meanwhile goes first */
        if (!failure && clean_step(now_ns()) && (!*next_ns || *next_ns > clean_ns))
                *next_ns = clean_ns;
        if (!failure && !attaching && !__atomic_load_n(&requested, __ATOMIC_RELAXED)) {
                uint64_t scrub_ns = scrub_step(now_ns());

                if (!*next_ns || scrub_ns < *next_ns)
                        *next_ns = scrub_ns;
        }
        return true;
}

void snapshot_stats(struct snapshot_stats *s)
{
        *s = (struct snapshot_stats){ncommits,         npages,
                                     capture_copied(), __atomic_load_n(&durable, __ATOMIC_RELAXED),
                                     pager_fetched(),  reclaim_evicted(),
                                     warm_read(),      __atomic_load_n(&attach_pages, __ATOMIC_RELAXED),
                                     attach_total};
}

/* ---- a space and its store ---- */

/* Numbers go on where the store's end. */
static void epochs_begin(struct store *s)
{
        if (epoch < store_next_epoch(s))
                epoch = store_next_epoch(s);
        durable = epoch - 1;
        space_store = s;
        space_may_be_absent = true;
}

static void note_present(ppn_t ppn)
{
        persist_host->page_set_present(ppn, true); /* the test knob's */
        persist_host->page_note_dirty(ppn);
        attach_total++;
}

/* With all CPUs parked: all that is in use belongs to the first frozen set, whether it was written in this epoch or not. */
static uint64_t attach_begin(uint64_t arg)
{
        const struct root_page *root_page = root();

        attach_total = attach_pages = 0;
        note_present(ROOT_PPN);
        for (unsigned cpu = 0; cpu < root_page->ncpus; cpu++)
                note_present(CPU_PPN + cpu);
        for (ppn_t ppn = RESIDENT_FIRST; ppn < resident_stop(root_page->records_end); ppn++)
                note_present(ppn);
        for (ppn_t ppn = RECORD_FIRST; ppn < record_ppn(root_page->records_end); ppn++)
                note_present(ppn);
        for (ppn_t ppn = DATA_PPN; ppn < root_page->frontier; ppn++)
                if (record(ppn)->kind != PAGE_FREE)
                        note_present(ppn);
        attaching = true;
        epochs_begin((struct store *)arg);
        reclaim_disk();
        durable = 0;
        return 0;
}

int space_attach(struct store *s, void (*done)(int error))
{
        struct space_stats now;
        struct store_info info;
        uint64_t used = 0;

        must(!space_store, "a second store for the space");
        space_stats(&now);
        for (unsigned k = PAGE_FREE + 1; k < PAGE_KINDS; k++)
                used += now.pages[k];
        store_info(s, &info);
        if (!store_room(s, reclaim_dirty_max(info.nblocks), used))
                return -ENOSPC;
        attach_done = done;
        snapshot_at_barrier(attach_begin, (uint64_t)s);
        snapshot_request();
        return 0;
}

int space_open(struct store *s, struct space_clock *clock)
{
        struct store_info info;
        int r;

        store_info(s, &info);
        if (!info.epoch)
                return -ENOENT;
        if (info.base != SPACE_START) {
                persist_host->log("persist: the store is of a space at %lx, this one is at %lx\n", info.base,
                                  SPACE_START);
                return -EOPNOTSUPP;
        }
        epochs_begin(s);
        space_fetch_at_once(true);
        r = pager_fetch(ROOT_PPN);
        if (!r && !root()->magic) {
                persist_host->log("persist: the store was never finished\n");
                r = -ENOENT;
        }
        if (!r && (root()->magic != ROOT_MAGIC || root()->layout != LAYOUT_VERSION || root()->ncpus > PERSIST_CPUS)) {
                persist_host->log("persist: the space in the store is of layout %u, this kernel knows %u\n",
                                  root()->layout, LAYOUT_VERSION);
                r = -EOPNOTSUPP;
        }
        if (!r && !schema_is_known(root())) {
                persist_host->log("persist: objects in the store may be of schema %u, this kernel knows %u to %u\n",
                                  root()->schema, SPACE_SCHEMA_OLDEST, SPACE_SCHEMA);
                r = -EOPNOTSUPP;
        }
        if (!r)
                r = records_open();
        if (!r) {
                pages_open();
                reclaim_disk();
                warm_open(info.incarnation);
        } else {
                space_store = NULL;
        }
        *clock = (struct space_clock){info.clock.mono_ns, info.clock.real_ns};
        return r;
}

void snapshot_forget(void)
{
        epoch = 1;
        leading = 0;
        stats = (struct barrier_stats){0};
        space_absent_per_mille = 0;
        space_check_each_barrier = false;
        durable = 0;
        failure = 0;
        requested = 0;
        ncommits = npages = due = 0;
        cleaning = false;
        load_ns = 0;
        snapshot_idle = 0;
        attaching = false;
        attach_done = NULL;
        scrub_forget();
        leave_then = NULL;
        attach_pages = attach_total = 0;
        snapshot_interval_ns = 100000000;
}
