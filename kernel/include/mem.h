/*
 * mem.h - physical frames and the volatile kernel heap.
 * Frames: 4 KiB, from the boot memory map. Per-CPU caches; contiguous runs for DMA.
 * Heap: kmalloc size classes with per-CPU caches; memory is not zeroed unless asked. Volatile only: what must survive is
 * allocated in the space (persist/space.h). Callable with interrupts on or off, not from NMI.
 */
#pragma once
#include "kernel/include/types.h"

paddr_t frame_alloc(void); /* 0: none left. Contents undefined. */
paddr_t frame_alloc_contig(size_t nframes,
                           paddr_t below); /* aligned to its size rounded up to a power of two; 0: none */
void frame_free(paddr_t pa);
void frame_free_contig(paddr_t pa, size_t nframes);
uint64_t frames_total(void);
uint64_t frames_free(void); /* without those that are set aside */
/*
 * The last n frames that are free, but for a few in the CPUs' caches, are for one worker: the writer needs memory to write down what then can be evicted. What it shares out, frames for pages
 * of the space, is not of these: frame_alloc_common. frames_use_aside(true): nor is there a difference on this CPU, till false.
 */
struct worker;
void frames_set_aside(uint64_t n, const struct worker *whom);
void frames_use_aside(bool on);
paddr_t frame_alloc_common(void);
static inline void *direct(paddr_t pa)
{
        return (void *)(DIRECT_BASE + pa);
}
static inline paddr_t direct_pa(const void *p)
{
        return (paddr_t)p - DIRECT_BASE;
}
static inline ppn_t space_ppn_of(const void *p)
{
        return ((uint64_t)p - SPACE_BASE) >> PAGE_SHIFT;
}

void *kmalloc(size_t size); /* NULL: no memory; aligned to 16 */
void *kzalloc(size_t size);
void kfree(void *p);
void *vmalloc(size_t size);  /* page multiple, virtually contiguous in the heap range; NULL: no memory */
void vfree(void *p);         /* NULL is nothing; interrupts on: other CPUs forget the mapping */
void *kvmalloc(size_t size); /* kmalloc's, or vmalloc's where no frames stand side by side; NULL: no memory */
void kvfree(void *p);        /* either's; NULL is nothing; interrupts on */
void *mmio_map(paddr_t pa, size_t len, bool write_combining); /* uncached by default; never unmapped; NULL: no memory */
