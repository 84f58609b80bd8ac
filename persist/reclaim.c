/*
 * reclaim.c - memory of a space that has a store: what sections wait for at their gate, and what the writer does about it (persistence.md, "Reserves", "Paging").
 *
 * Waiting is harmless before a section begins, and where it asks for room, before its first change: it is abandoned as for an absent page, namely page 0, which is
 * "here" when there is no reason to wait any more. The reasons:
 *   copies   a section may have to copy every page it writes to. Memory for that is set aside; when it is being used, while a frozen set is captured, no section begins
 *   dirty    the epoch has as many dirty pages as a commit should have; the next one takes them. So what an epoch can need on the disk is bounded, too, and growth
 *            ends (space_room) while the disk still has room for one that changes as much as it may
 *   room     space_room() found no frame; the writer commits, so that pages are clean, and evicts
 *
 * The writer's own memory, for what the next commit and checkpoint may need, is set aside: nobody gets it for pages. Without it a commit might fail just when memory is to be made.
 *
 * Eviction is done by the writer at a barrier, between commits, so that every clean page is on the disk as it is in memory. A sweep takes user mappings away that were not used
 * since the last one; frames that stay mapped, were used, or are pinned stay. A clock goes over the pages of the space. Before that, pages that are free give back their frames: a process that
 * has ended may have left more of them than all others have pages, and those who wait for absent pages do not come to ask.
 */
#include "persist/engine.h"
#include "persist/store/store.h"

#define EVICT_SPAN    65536u /* pages the clock looks at in one barrier */
#define EVICT_BATCH   1024u
#define REQUEST_BYTES (64ul * PAGE_BYTES) /* of memory, for requests to the disk */
#define DIRTY_MAX     16384u              /* 64 MiB; at most a quarter of the memory, and a 64th of the disk */

uint32_t space_gate;
static uint32_t room_wanted;   /* [a] sections wait for room */
static uint32_t room_hopeless; /* [a] the last try for room gained nothing */
static bool disk_full;         /* [a] no room for an epoch that changes, or adds, as much as it may */
static uint64_t rescue_floor;  /* [a] commits have stopped: so many frames are not for growth */
static uint64_t
        disk_growth; /* [a] for so many pages more there was room behind the last commit; dead blocks are room */
static uint64_t disk_blocks; /* [a] */
static uint64_t settled;     /* dead blocks that were left when the store last settled */
static ppn_t hand = DATA_PPN;
static uint64_t nevicted;

uint64_t reclaim_copies(void)
{
        return persist_ncpus * (SECTION_PAGES + META_DIRTY_MAX + 8);
}

uint64_t reclaim_dirty_max(uint64_t nblocks)
{
        uint64_t max = DIRTY_MAX;

        if (persist_host->frames_total() / 4 < max)
                max = persist_host->frames_total() / 4;
        return nblocks / 64 < max ? nblocks / 64 : max;
}

/* What grows now will be lost. Some growth there is: shells and the like, for who saves elsewhere what the memory has. */
void reclaim_failed(void)
{
        uint64_t free = persist_host->frames_free(), some = persist_host->frames_total() / 8;

        __atomic_store_n(&rescue_floor, free > some ? free - some : 0, __ATOMIC_RELAXED);
}

bool reclaim_disk_full(void)
{
        if (unlikely_(snapshot_error()))
                return persist_host->frames_free() < __atomic_load_n(&rescue_floor, __ATOMIC_RELAXED);
        return __atomic_load_n(&disk_full, __ATOMIC_RELAXED);
}

/* So many pages an epoch may dirty: till the gate closes, then those of sections that have passed it, and what devices write to. Of the allocator's own there are not more than there are. */
static uint64_t epoch_most(uint64_t nblocks)
{
        uint64_t end = root()->records_end,
                 own = 1 + persist_ncpus + (end - DATA_PPN) / RECORDS_PAGE + resident_stop(end) - RESIDENT_FIRST + 8;

        if (own > persist_ncpus * META_DIRTY_MAX)
                own = persist_ncpus * META_DIRTY_MAX;
        return reclaim_dirty_max(nblocks) + persist_ncpus * (SECTION_PAGES + 8) + PINS_MAX + own;
}

void reclaim_settle(void)
{
        struct store_info info;
        uint64_t most;

        store_info(space_store, &info);
        most = epoch_most(info.nblocks);
        if (store_room(space_store, most, most) ||
            (store_room(space_store, most, 0) && info.pending <= settled + most / 2))
                return;
        if (store_settle(space_store)) /* the next commit tells what is wrong */
                return;
        store_info(space_store, &info);
        settled = info.pending;
}

void reclaim_disk(void)
{
        struct store_info info;
        uint64_t most;
        bool full;

        store_info(space_store, &info);
        __atomic_store_n(&disk_blocks, info.nblocks, __ATOMIC_RELAXED);
        most = epoch_most(disk_blocks);
        full = !store_room(space_store, most, most);
        persist_host->set_aside(store_memory(space_store, most) + REQUEST_BYTES + records_frames() * PAGE_BYTES);
        __atomic_store_n(&disk_growth, full ? 0 : store_growth(space_store, most) - most + info.pending,
                         __ATOMIC_RELAXED);
        if (full != disk_full)
                persist_host->log(full ? "persist: the disk is full: %lu of %lu blocks are free, and set aside\n"
                                       : "persist: the disk has room again: %lu of %lu blocks\n",
                                  info.free, info.nblocks);
        __atomic_store_n(&disk_full, full, __ATOMIC_RELAXED);
}

uint64_t space_growth(void)
{
        struct space_stats st;

        if (space_store && !snapshot_error())
                return __atomic_load_n(&disk_growth, __ATOMIC_RELAXED);
        space_stats(&st);
        return persist_host->frames_free() + st.pages[PAGE_FREE];
}

uint64_t space_limit(void)
{
        uint64_t memory = persist_host->frames_total(), disk = __atomic_load_n(&disk_blocks, __ATOMIC_RELAXED);

        return disk > memory ? disk : memory;
}

bool reclaim_must_wait(void)
{
        if (!space_store || space_at_once || snapshot_error()) /* the writer does not run, or can do nothing */
                return false;
        if (__atomic_load_n(&capture_open, __ATOMIC_ACQUIRE) && capture_spare() < reclaim_copies())
                return true;
        return __atomic_load_n(&room_wanted, __ATOMIC_ACQUIRE) ||
               persist_host->dirty_count() > reclaim_dirty_max(disk_blocks);
}

void reclaim_look(void)
{
        bool wait = reclaim_must_wait();

        if (__atomic_exchange_n(&space_gate, wait, __ATOMIC_SEQ_CST) && !wait)
                persist_host->wake(space_page(0));
        if (wait)
                snapshot_request();
}

/* In a fault, whatever locks are held: nobody is woken but the writer. */
void reclaim_note(void)
{
        if (!reclaim_must_wait())
                return;
        __atomic_store_n(&space_gate, 1, __ATOMIC_SEQ_CST);
        snapshot_request();
}

/* Leaves the CPU's stack: the section is begun again when there is no reason to wait any more. */
static __attribute__((noreturn)) void wait_for_writer(struct section *s)
{
        s->pending = 0;
        snapshot_request();
        persist_host->abandon(s->retry, s->retry_arg);
}

void reclaim_gate(struct section *s)
{
        reclaim_look();
        if (__atomic_load_n(&space_gate, __ATOMIC_ACQUIRE))
                wait_for_writer(s);
}

void space_make_room(void)
{
        struct section *s = section_this();

        if (!space_store || snapshot_error() || s->changed || __atomic_load_n(&room_hopeless, __ATOMIC_ACQUIRE))
                return;
        __atomic_store_n(&room_wanted, 1, __ATOMIC_RELEASE);
        __atomic_store_n(&space_gate, 1, __ATOMIC_RELEASE);
        section_abandon();
        wait_for_writer(s);
}

/* At a barrier, with nothing frozen. */
static uint64_t evict_some(uint64_t want)
{
        ppn_t end = root()->frontier;
        uint64_t n = 0;

        if (persist_host->evict_begin())
                return 0;
        for (unsigned i = 0; i < EVICT_SPAN && n < want; i++) {
                if (hand >= end)
                        hand = DATA_PPN;
                if (page_evictable(hand) && persist_host->page_evict(hand))
                        n++;
                hand++;
        }
        persist_host->evict_end();
        return n;
}

static uint64_t low_mark(void)
{
        return reclaim_copies() + persist_host->frames_total() / 32;
}

bool reclaim_wanted(void)
{
        return space_store &&
               (__atomic_load_n(&room_wanted, __ATOMIC_ACQUIRE) || persist_host->frames_free() < low_mark());
}

bool reclaim(void)
{
        uint64_t free_before = persist_host->frames_free(), want = low_mark() + EVICT_BATCH, gained = 0, evicted;
        uint64_t rounds = 4 * (1 + root()->frontier / EVICT_SPAN);

        if (free_before >= want && !room_wanted)
                return false;
        if (free_before < want)
                gained = pages_trim(want - free_before);
        for (; rounds && persist_host->frames_free() < want && gained < EVICT_BATCH; rounds--) {
                evicted = snapshot_at_barrier(evict_some, EVICT_BATCH - gained);
                nevicted += evicted;
                gained += evicted;
        }
        __atomic_store_n(&room_hopeless, !gained && room_wanted, __ATOMIC_RELEASE);
        __atomic_store_n(&room_wanted, 0, __ATOMIC_RELEASE);
        reclaim_look();
        return gained != 0;
}

uint64_t reclaim_evicted(void)
{
        return nevicted;
}

void reclaim_forget(void)
{
        persist_host->set_aside(0);
        space_gate = room_wanted = room_hopeless = 0;
        disk_full = false;
        disk_blocks = disk_growth = settled = rescue_floor = 0;
        hand = DATA_PPN;
        nevicted = 0;
}
