/* cpu.h - in place of the kernel's, for drivers that run in a unit test: one CPU, no interrupts. A lock knows if it is held. */
#pragma once
#include "kernel/include/types.h"

struct spinlock {
        uint32_t word;
};
static inline uint64_t spin_lock(struct spinlock *l)
{
        if (l->word)
                __builtin_trap(); /* it is held: by us */
        l->word = 1;
        return 0;
}
static inline void spin_unlock(struct spinlock *l, uint64_t flags)
{
        (void)flags;
        if (!l->word)
                __builtin_trap();
        l->word = 0;
}
