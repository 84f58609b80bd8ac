/* tlb.h - forgetting translations on other CPUs, among the files of kernel/arch. */
#pragma once
#include "kernel/include/types.h"

struct mmu;
#define TLB_ALL 0u /* npages: everything that is not global */

/*
 * Makes the CPUs in mask forget npages from va and waits until they have. m: only if they have it loaded; NULL: in any case. May be called with
 * interrupts off: a CPU that waits serves the others' requests itself.
 */
void tlb_shoot(uint32_t mask, const struct mmu *m, uint64_t va, size_t npages);
void tlb_flush_local(uint64_t va, size_t npages);
uint32_t tlb_others(void); /* mask of the other CPUs that run */
