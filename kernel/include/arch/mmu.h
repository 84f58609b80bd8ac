/*
 * mmu.h - page tables of user address spaces and of the arena (the kernel's mapping of the persistent space).
 * Page tables are volatile and may be dropped at any time: posix/mm rebuilds them from areas and page trees.
 *
 * Tracking (persistence.md, P4): a leaf is writable only if the page behind it was noted dirty in this epoch. Each leaf table has a
 * volatile descriptor with a bitmap of writable leaves and stands on a list while any is set, so that mmu_protect_all() at
 * the barrier walks only what became writable, and no more of that than a few tables of each address space and each GiB of the arena. Leaves of device mappings (MMU_DEVICE) are not tracked.
 * Functions lock what they need (one spinlock per struct mmu); interrupts stay on. mmu_protect_all: interrupts off, all others parked.
 */
#pragma once
#include "kernel/include/types.h"

#define MMU_W      1u /* writable now */
#define MMU_X      2u
#define MMU_U      4u
#define MMU_DEVICE 8u /* uncached, untracked */
#define MMU_WC     16u

struct mmu;

struct mmu *mmu_create(void);    /* NULL: no memory. Upper half shared with the kernel's. */
void mmu_destroy(struct mmu *m); /* not loaded anywhere; frees tables, not the frames mapped */
void mmu_load(struct mmu *m);    /* this CPU; NULL = kernel only. Bumps the "loaded on" mask for shoot-downs. */
int mmu_map(struct mmu *m, uint64_t va, paddr_t pa, unsigned prot); /* one page; replaces a leaf; 0 or -ENOMEM */
paddr_t mmu_lookup(struct mmu *m, uint64_t va, unsigned *prot);     /* 0 if not present */
/* Remove / write-protect / change protection of leaves in [va, va+len); flushed on every CPU that has m loaded before return. */
void mmu_unmap(struct mmu *m, uint64_t va, uint64_t len);
void mmu_protect(struct mmu *m, uint64_t va, uint64_t len); /* clear W of all leaves; whole upper levels when dense */
void mmu_set_x(struct mmu *m, uint64_t va, uint64_t len, bool executable);
/*
 * Maps n pages from va, all in one leaf table (2 MiB), with the same read-only protection: those with a frame (pa not 0) that are not mapped yet. Nothing to
 * flush. Without memory for the table nothing is mapped.
 */
void mmu_map_absent(struct mmu *m, uint64_t va, const paddr_t *pa, unsigned n, unsigned prot);
bool mmu_is_loaded(const struct mmu *m); /* some CPU has it: it must not be destroyed */
void mmu_sync(struct mmu *m);            /* every other CPU that has m loaded takes an interrupt before return */
bool mmu_accessed_clear(struct mmu *m, uint64_t va); /* test and clear the accessed bit */

/* The arena. Present pages are mapped in the shared kernel half; W tells "noted dirty in this epoch". */
/* 0, -ENOMEM (tables), or -EEXIST: it has a frame, and keeps it. Writable: noted dirty. */
int arena_map(ppn_t ppn, paddr_t frame, bool writable);
paddr_t arena_frame(ppn_t ppn);                  /* 0 if absent */
void arena_unmap(ppn_t ppn);                     /* caller flushes by arena_flush() */
void arena_set_present(ppn_t ppn, bool present); /* test knob: absent pages keep their frame in the PTE */
bool arena_note_dirty(ppn_t ppn);                /* sets W; true if it was not yet noted in this epoch */
bool arena_is_dirty(ppn_t ppn);
void arena_flush(void); /* shoot-down of the arena on all CPUs */
/*
 * Test builds: while on, a store of this CPU in ring 0 to any page of the space panics at its line (supervisor protection keys; QEMU's -cpu max has
 * them). False: this processor cannot. Off at start.
 */
bool arena_guard(bool on);
uint64_t arena_dirty_count(void); /* pages noted dirty in this epoch */

/*
 * Barrier step, all other CPUs parked: takes W from every tracked leaf of arena and user tables; returns of how many entries, of all levels. freeze: what was dirty becomes the
 * frozen set, of which nothing may be left from before.
 */
unsigned mmu_protect_all(bool freeze);
bool arena_frozen(ppn_t ppn);   /* of the frozen set, and not captured yet. Any context */
void arena_captured(ppn_t ppn); /* its contents at the barrier are safe; for pages of no set it does nothing */
/* Takes up to max pages of the frozen set, each once, in ascending order; 0: none is left. One caller (the writer), outside the barrier. */
unsigned arena_frozen_take(ppn_t *ppns, unsigned max);
/* P4 checker (tests): every user leaf with W has its arena leaf W; panics with the address when not. */
void mmu_check_p4(void);
/*
 * mmu_protect_all flushes this CPU's TLB only. Every other CPU calls mmu_tlb_sync() when it is released and before it goes back to user mode or into
 * a section; arch_idle and mmu_load do it themselves. Cheap when there was no barrier.
 */
void mmu_tlb_sync(void);

/*
 * Eviction, all other CPUs parked. arena_evict_begin sweeps the user tables: leaves that were not used since the last sweep go, the frames of the others are
 * noted; 0 or -ENOMEM. arena_evict unmaps the page and frees its frame (at the end), unless it is dirty, frozen, noted, set aside, or was used by the kernel since the last time.
 * arena_evict_end: every CPU forgets its translations before it goes on, and the frames are free.
 */
int arena_evict_begin(void);
bool arena_evict(ppn_t ppn);
void arena_evict_end(void);
