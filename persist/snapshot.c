/*
 * snapshot.c - the barrier: all CPUs outside sections at one instant, every page read-only again, a new epoch.
 * In a RAM-only space that is all of a snapshot; capture and commit build on it.
 * States: RUNNING -> PARKING (park_others) -> FROZEN (protect, epoch) -> RUNNING. One leader; others that want to lead wait for it.
 * Invariants: P2 and P3 at FROZEN (every section has ended, no lock is held), P4 after it. No lock is taken while FROZEN.
 */
#include "persist/engine.h"

uint32_t space_absent_per_mille;
bool space_check_each_barrier;

static uint64_t epoch = 1; /* [V] written while FROZEN */
static uint32_t leading;   /* [a] */
static struct barrier_stats stats;
static uint64_t random_state = 0x9e3779b97f4a7c15ul;

uint64_t snapshot_epoch(void)
{
        return __atomic_load_n(&epoch, __ATOMIC_ACQUIRE);
}

void snapshot_barrier_stats(struct barrier_stats *s)
{
        *s = stats;
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

static bool evictable(ppn_t ppn)
{
        const struct page_record *r = record(ppn);

        switch (r->kind) {
        case PAGE_NODE:
        case PAGE_ANON:
        case PAGE_FILE:
        case PAGE_DIR:
                return persist_host->page_present(ppn);
        case PAGE_SLAB:
                return r->type < TYPE_BYTES && !(type_info[r->type].flags & SPACE_RESIDENT) &&
                       persist_host->page_present(ppn) && !((const struct slab *)space_page(ppn))->owner;
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

                if (!evictable(ppn) || pinned(ppn))
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

static void lead(void)
{
        uint64_t begin = persist_host->clock_ticks(), pause;

        persist_host->park_others();
        check_quiet();
        if (space_check_each_barrier)
                check_barrier();
        stats.leaves_last = persist_host->protect_all();
        __atomic_store_n(&epoch, epoch + 1, __ATOMIC_RELEASE);
        if (space_absent_per_mille)
                make_absent();
        persist_host->release_others();
        pause = persist_host->clock_ticks() - begin;
        stats.count++;
        stats.pause_last = pause;
        stats.pause_sum += pause;
        if (pause > stats.pause_max)
                stats.pause_max = pause;
}

void snapshot_barrier(void)
{
        uint64_t before = snapshot_epoch();
        uint32_t nobody = 0;

        must(section_quiet(), "barrier inside a section");
        while (!__atomic_compare_exchange_n(&leading, &nobody, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
                nobody = 0;
                persist_host->park_if_asked();
                cpu_pause();
                if (snapshot_epoch() != before) /* frozen after this call began: this is as good as an own one */
                        return;
        }
        lead();
        __atomic_store_n(&leading, 0, __ATOMIC_RELEASE);
}

void snapshot_forget(void)
{
        epoch = 1;
        leading = 0;
        stats = (struct barrier_stats){0};
        space_absent_per_mille = 0;
        space_check_each_barrier = false;
}
