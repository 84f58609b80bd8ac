/*
 * mmu_leaf.h - what leaf tables of user address spaces (mmu.c) and of the arena (arena.c) have in common: tracking of writable leaves and
 * taking the write right away as a whole. See mmu.c.
 */
#pragma once
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/types.h"

#define LEAF_SPAN  (512 * PAGE_SIZE)
#define LEAF_WORDS 8

/* Bits that the processor ignores. */
#define PTE_UNTRACKED (1ul << 9)  /* device memory: no part in P4 */
#define PTE_SET_ASIDE (1ul << 10) /* arena: made absent by the test knob, the frame is still here */

#define WITHHOLD_MIN 24 /* more writable leaves than this: take W away above the table */
/* More leaf tables with writable leaves than this, of one address space or of one GiB of the arena: take W away higher up. */
#define TABLES_MIN 4

struct leaf_table {
        uint64_t va;
        uint64_t *table;
        uint64_t *above;               /* the entry that names it */
        uint64_t writable[LEAF_WORDS]; /* W is set in the entry */
        uint16_t nwritable, nuntracked;
        bool withheld; /* W is clear in *above: none is writable in truth */
};

/* All W bits off, W above on again. */
static inline void leaf_push_down(struct leaf_table *t)
{
        for (unsigned w = 0; w < LEAF_WORDS; w++) {
                for (uint64_t bits = t->writable[w]; bits; bits &= bits - 1)
                        t->table[w * 64 + (unsigned)__builtin_ctzl(bits)] &= ~PTE_W;
                t->writable[w] = 0;
        }
        t->nwritable = 0;
        if (t->withheld) {
                t->withheld = false;
                __atomic_fetch_or(t->above, PTE_W, __ATOMIC_RELEASE);
        }
}

static inline void leaf_withhold(struct leaf_table *t)
{
        t->withheld = true;
        *t->above &= ~PTE_W;
}

static inline bool leaf_may_withhold(const struct leaf_table *t)
{
        return t->nwritable > WITHHOLD_MIN && !t->nuntracked;
}

/* The barrier's step for one table: nothing in it is writable afterwards. TLBs are the caller's. Returns of how many entries W was taken. */
static inline unsigned leaf_protect(struct leaf_table *t)
{
        unsigned n = t->nwritable;

        if (t->withheld)
                return 0;
        if (leaf_may_withhold(t)) {
                leaf_withhold(t);
                return 1;
        }
        leaf_push_down(t);
        return n;
}

/* arena.c, for mmu.c. */
unsigned arena_protect_all(bool freeze);
void arena_check_begin(void);
bool arena_frame_is_dirty(paddr_t pa);

/* mmu.c, for arena.c. All other CPUs parked. */
void mmu_sweep(void (*mapped)(
        paddr_t pa)); /* leaves not accessed since the last sweep are cleared, of the others mapped() is told */
void mmu_flush_at_release(void); /* TLBs: this CPU's now, the others' when they go on */
