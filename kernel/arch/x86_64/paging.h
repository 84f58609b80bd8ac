/* paging.h - the kernel's own page tables: what mmu.c and smp.c need of them. Private to kernel/arch. */
#pragma once
#include "kernel/include/types.h"

extern uint64_t kernel_pml4[512]; /* upper half complete from paging_init on: copies of it never go stale */
extern uint64_t *arena_pdpt[32];  /* second-level tables of the space, all there from the start */
static inline paddr_t image_pa(const void *p)
{
        return (paddr_t)p - KIMAGE_BASE;
}
