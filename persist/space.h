/*
 * space.h - the persistent space: pages with reference counts, typed slabs, byte blocks, the root.
 *
 * Allocation and freeing happen after section_changes() and, within the credit of SECTION_PAGES, cannot fail. What grows memory asks
 * space_room() *before* the change and returns -ENOMEM/-ENOSPC when it says no. Frees are deferred until every CPU has left the
 * section it was in, so what was found inside a section stays readable to its end. Pointers never change.
 *
 * Pages: every page has a 16-byte record {refs, kind}. space_page_alloc gives refs = 1.
 * Typed objects: from slabs whose page header names type and version; zeroed. Types are registered once at boot in a const table, which
 * also lists the pointer fields so that P1 (no stranger in the space) and P12 (counts equal references) can be checked by walking.
 */
#pragma once
#include "persist/host.h"

/*
 * The kernel's space is 16 TiB at a fixed address. A Linux process has its own place for it: one that the address sanitizer, or the
 * thread sanitizer, takes for ordinary memory.
 */
#ifndef PERSIST_HOSTED
#define SPACE_START 0xffff900000000000ul
#define SPACE_PAGES (1ul << 32)
#elif defined(__SANITIZE_THREAD__)
#define SPACE_START 0x1000000000ul
#define SPACE_PAGES (1ul << 24)
#else
#define SPACE_START 0x200000000000ul
#define SPACE_PAGES (1ul << 24)
#endif

enum page_kind {
        PAGE_FREE = 0,
        PAGE_META, /* allocator's own, root: resident */
        PAGE_SLAB, /* typed objects and byte classes; resident when the type says so */
        PAGE_RUN,  /* part of a multi-page block */
        PAGE_NODE, /* page-tree node: 512 entries */
        PAGE_ANON, /* private memory */
        PAGE_FILE, /* file contents */
        PAGE_DIR,  /* directory blocks */
        PAGE_KINDS
};

/* How a pointer field counts. */
enum field_kind {
        FIELD_REF,    /* counted reference to an object that starts with struct object */
        FIELD_BORROW, /* not counted (back pointer, list link) */
        FIELD_OWN,    /* sole owner of a byte block or of a slab object without a header */
        FIELD_TRAIL, /* not counted; left as it was when the object went off its list, for a reader on its way: may name what is freed by now */
};
struct space_field {
        uint16_t offset;
        uint16_t kind;
        uint16_t count; /* consecutive pointers */
};

struct space_type {
        const char *name;
        uint32_t size; /* bytes, <= 2016 */
        uint16_t version;
        uint16_t flags;
        const struct space_field *fields; /* ends with count 0; NULL: no pointers */
        /*
         * Makes an object of version `from` >= 1 one of `version`. Each time a page comes from the store that was written with an older version, until somebody
         * writes to that page; so the same bytes must give the same result, and nothing but them is looked at: the object is not at its address yet. Its size,
         * rounded up to 16 (64 when aligned so), must not change; a type that outgrows it needs a new type number. NULL: there is one version.
         */
        void (*migrate)(void *object, unsigned from);
};
#define SPACE_RESIDENT 1u /* never absent */
#define SPACE_OBJECT   2u /* starts with struct object: takes part in P12 */
#define SPACE_ALIGN64  4u /* else 16 */

void space_types_register(const struct space_type *table,
                          unsigned ntypes); /* before space_create; index = type number, 0 unused */
int space_create(void);                     /* a fresh, empty space. 0 or -ENOMEM */

/*
 * The pass that finishes a change of schema, so that one day nobody needs to know the older: makes every page that holds objects of a type with several versions be written
 * again. In a section that has changed nothing; some pages a call, from *at (0 at first) on. True: done, and the root says so.
 */
bool space_migrate(ppn_t *at);
bool space_is_migrated(void); /* nothing is left to do */

void space_forget(void); /* all volatile state of persist/, as at power-off; outside sections, one CPU */

/* Is there room for npages more? Counts what other CPUs' sections may still take. Before the change, in a section. */
bool space_room(uint64_t npages);
/*
 * For who asks how large things may get; neither promises anything. space_growth: how many pages more there may be: on the disk, as of the last commit, if there is one, else in memory.
 * space_limit: how many there can ever be. Any context.
 */
uint64_t space_growth(void);
uint64_t space_limit(void);
/*
 * In a section, something was refused memory. With a store, and before the first change, the section is abandoned until the writer has made room; returns if nothing can be done.
 */
void space_make_room(void);
/*
 * Memory is short: gives frames of free pages back to the host, npages or as many as there are; returns how many. With interrupts on
 * (one flush a batch). In a section, before its first change, too. Also called by the allocator itself.
 */
uint64_t space_trim(uint64_t npages);

ppn_t space_page_alloc(enum page_kind kind); /* contents undefined */
ppn_t space_page_alloc_zeroed(enum page_kind kind);
void space_page_ref(ppn_t ppn);
void space_page_unref(ppn_t ppn); /* at zero: deferred free */
uint32_t space_page_refs(ppn_t ppn);
enum page_kind space_page_kind(ppn_t ppn);
static inline void *space_page(ppn_t ppn)
{
        return (void *)(SPACE_START + (ppn << 12));
}
static inline ppn_t space_ppn(const void *p)
{
        return ((uint64_t)p - SPACE_START) >> 12;
}

void *space_alloc(unsigned type);           /* zeroed */
void space_free(void *object);              /* deferred */
unsigned space_type_of(const void *object); /* type number of a slab object */
void *space_alloc_bytes(size_t len);        /* zeroed, 16-aligned, len <= 64 pages; classes to 2016, then page runs */
void space_free_bytes(void *block);         /* deferred; NULL is nothing */
size_t space_bytes_size(const void *block); /* usable size */
/*
 * Recovery, and when all CPUs are parked: nobody looks at anything, so all that was freed goes, and space_each shows only what is there.
 */
void space_drain(void);
/* While on, who meets an absent page gets it at once, also outside sections and after the first change: for recovery, and a first boot. Nor does anybody wait for the writer, which does not run yet. space_open turns it on; off again before anybody else uses the store. */
void space_fetch_at_once(bool on);
/* Walk all live objects of a type (boot, checkers): no concurrent change of that type. In a walker of a checker, freed ones are left out. */
void space_each(unsigned type, void (*fn)(void *object, void *arg), void *arg);

/* The root object's slots: persistent pointers everything else hangs on. */
enum root_slot { ROOT_POSIX = 0, ROOT_PVM, ROOT_CONSOLE, ROOT_WARM, ROOT_SLOTS = 16 };
void *space_root_get(enum root_slot slot);
void space_root_set(enum root_slot slot, void *object); /* after section_changes */

struct space_stats {
        uint64_t pages[PAGE_KINDS]; /* PAGE_FREE: pages with a frame that are free */
        uint64_t pages_cached;      /* of those, in the CPUs' own lists */
        uint64_t pages_first;       /* first page that can be of another kind than PAGE_META */
        uint64_t pages_top;         /* pages of the space ever used */
        uint64_t dirty_now, epoch;
        uint64_t deferred; /* frees that wait for their grace period */
};
void space_stats(struct space_stats *s);

/*
 * Ring-0 fault on the space. Absent: abandons the section and goes to its retry (does not return); after the first change it panics.
 * Protection: notes the page dirty and returns true (retry the instruction). False: not ours.
 */
bool space_fault(uint64_t addr, bool present, bool write);
void space_page_dirty(ppn_t ppn); /* a user mapping is about to become writable */
bool space_page_absent(ppn_t ppn);

/*
 * Pages that a device reads, or writes, by itself (pin.c): from pinning to unpinning each keeps its frame, and the frame is nobody else's. No reference: who frees a page meanwhile frees it, a
 * little later. Both after section_changes(); what a device writes to is noted dirty by both. The struct is the caller's, volatile, left alone till it is unpinned. False: devices
 * write to as many pages as they may, nothing happened. The pages must be present.
 */
#define SPACE_PINS 17u /* 64 KiB at any alignment */
struct space_pins {
        struct space_pins *next, *prev;
        bool device_writes;
        uint32_t n;
        ppn_t ppn[SPACE_PINS];
};
bool space_pin(struct space_pins *p);
void space_unpin(struct space_pins *p);
ppn_t space_fetch_pending(void); /* the page for which this CPU's last section was abandoned */

/* Epochs. One barrier with the caller as leader, outside any section. In a RAM-only space it ends there. */
void snapshot_barrier(void);
uint64_t snapshot_at_barrier(uint64_t (*fn)(uint64_t arg), uint64_t arg); /* fn with all CPUs parked; no new epoch */
uint64_t snapshot_epoch(void);
struct barrier_stats {
        uint64_t count, pause_last, pause_max, pause_sum, entries_last;
}; /* pauses in clock ticks */
void snapshot_barrier_stats(struct barrier_stats *s);

/* Test knobs and checkers. Checkers run while all CPUs are parked and panic with what they found. */
extern uint32_t space_absent_per_mille; /* at each barrier this share of evictable pages is made absent */
extern bool space_check_each_barrier;   /* P1, P3, P4, P12 at every barrier */
extern uint32_t snapshot_attach_slice;  /* pages that a commit of an attached space's first state takes; 16384 */
void space_check_p1(void);
void space_check_p12(void);
void space_check_pages(void); /* every page is in exactly one list or in use; counts agree */

/*
 * References that fields of typed objects do not show (descriptor arrays, page-tree nodes) are reported by walkers, called by the P12
 * checker while all CPUs are parked: once per reference. Page counts are checked only for kinds some walker reports.
 */
struct space_visitor {
        void (*object)(const void *object); /* a counted reference to an object */
        void (*page)(ppn_t ppn);            /* a counted reference to a page */
};
void space_ref_walker_register(void (*walk)(const struct space_visitor *v),
                               uint32_t page_kinds); /* kinds: bit mask of 1 << PAGE_x */

struct store;
/*
 * Durability. Changes made up to now belong to epoch snapshot_epoch(); they are durable when snapshot_is_durable() says so of it, which never becomes untrue again, also
 * over a recovery. In a space without a store there is nothing better than memory, so everything counts as durable at once.
 */
bool snapshot_is_durable(uint64_t epoch);
void snapshot_request(
        void); /* somebody waits: the next commit is brought forward; concurrent ones share it. Any section. */
int snapshot_error(void);       /* 0, or why commits cannot go on (-EIO, -ENOSPC): who waits for one gives up */
const void *snapshot_key(void); /* CONDITION sleepers on this key are woken when a commit is durable, or fails */
/*
 * What is durable by now is to be all: the writer closes the store in order, commits no more, and calls then(arg), which turns the machine off. It is called even if the store cannot be
 * closed. Without a store: at once. Any section.
 */
void snapshot_leave(void (*then)(uint64_t arg), uint64_t arg);
bool snapshot_has_store(void);
struct store *snapshot_store(void); /* the writer's alone; NULL: none */
/* Of all pauses since boot, per_mille were not longer than this: clock ticks, an eighth too long at most. */
uint64_t snapshot_pause(unsigned per_mille);

/*
 * A space on a store (persist/store/store.h).
 * space_open, at boot, one CPU, before its first section, instead of space_create: the state of the store's last commit becomes the space's, pages that must be resident are read, all others
 * come when they are touched. 0; -ENOENT: the store is empty, or was never finished (below); -EIO, -ENOMEM; -EINVAL: made for another place or by another kernel.
 * space_attach, outside sections, by who is or will be the writer: the space, in memory alone till now, goes to the store, which must be empty, with the first commit. All that is in use at
 * its barrier belongs to it. A large space takes several commits on the disk, the root page last; a store without one was never finished. done, if not NULL: called by the writer when that is over;
 * with an error the space is in memory alone again, as if nothing had been, and the store is the caller's. Without done, commits stop as after any other error.
 * 0; -ENOSPC: the disk is too small.
 */
struct store;
struct space_clock {
        uint64_t mono_ns, real_ns; /* at the barrier of the recovered state */
};
int space_open(struct store *s, struct space_clock *clock);
int space_attach(struct store *s, void (*done)(int error));
/*
 * The writer's: the kept snapshot becomes the newest state of the store, with this clock. 0: the machine must start again now, without another commit. Else, if -ENOSPC, -EINVAL
 * (made by another kernel), -EIO or -ENOMEM came before the commit, nothing has changed.
 */
int space_rollback(uint64_t epoch, const struct space_clock *clock);

/*
 * The writer's work, one piece: reads pages that are wanted, makes a snapshot and commits it when one is due. Called by the writer's thread in a loop, outside sections. Returns when there is
 * nothing to do before *next_ns (monotonic; 0: until writer_wake). False: the life has just begun, the store has other users than the writer, and the writer may do nothing else with it.
 */
bool snapshot_step(uint64_t *next_ns);
extern uint64_t
        snapshot_interval_ns; /* at most this much time is at risk; 0: commits only on request. Default 100 ms */
struct snapshot_stats {
        uint64_t commits, pages, copied; /* pages committed; of those, copied because somebody wrote first */
        uint64_t durable_epoch, fetched, evicted;
        uint64_t
                warmed; /* pages that were read before they were asked for, as in the life before (warm.c); fetched has them, too */
        uint64_t attach_pages, attach_total; /* of the first state on a store that was attached in this life */
};
void snapshot_stats(struct snapshot_stats *s);

/*
 * A second after a recovered space goes on, in a section that has changed nothing: which pages were asked for till now is written down, so that the writer of the next life reads them
 * ahead. Writes nothing if they are the same as the last time.
 */
void space_warm_write(void);

/*
 * Scrub: a pass that reads all blocks of all states and compares checksums, an hour after boot and every week; damaged pages that are in memory are written anew. scrub_start: one begins now,
 * if none is under way. Any context. Figures are of the pass under way, or the last one.
 */
void scrub_start(void);
struct scrub_stats {
        bool running;
        uint64_t passes, states, pages, damaged, mended; /* since boot; in this pass: states done, pages read, ... */
};
void scrub_stats(struct scrub_stats *s);

/*
 * Outside sections: asks for an absent page. 0: it is here. 1: it is being read; sleepers on space_page(ppn) are woken when that has ended, and
 * ask again (who is going to sleep queues first, then asks once more). -EIO: it cannot be read. Page 0 stands for memory, or room, that the writer has yet to make.
 */
int space_fetch_start(ppn_t ppn);
