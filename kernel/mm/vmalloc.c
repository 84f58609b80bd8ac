/*
 * vmalloc.c - the KHEAP range: virtually contiguous memory with a guard page after each block, and mappings of devices.
 * Areas are kept in a list by address; a search for a gap starts where the last one ended.
 * Lock: areas_lock (volatile, interrupts off); page tables have their own.
 */
#include "kernel/include/arch/machine.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/list.h"

#define KHEAP_SIZE (1ul << 39)

struct area {
        struct list link;
        uint64_t va;
        size_t npages; /* without the guard */
};

static struct list areas = LIST_INIT(areas);
static struct spinlock areas_lock;

/* NULL: no memory or no room. */
static struct area *area_new(size_t npages)
{
        struct area *a = kmalloc(sizeof(*a)), *last;
        uint64_t f;

        if (!a)
                return NULL;
        a->npages = npages;
        f = spin_lock(&areas_lock);
        last = list_last(&areas, struct area, link);
        a->va = last ? last->va + (last->npages + 1) * PAGE_SIZE : KHEAP_BASE + PAGE_SIZE;
        if (a->va + (npages + 1) * PAGE_SIZE <= KHEAP_BASE + KHEAP_SIZE) {
                list_add_tail(&areas, &a->link);
        } else { /* the end was reached: first gap that is large enough */
                struct area *at;
                uint64_t from = KHEAP_BASE + PAGE_SIZE;
                bool found = false;
                list_each(at, &areas, link)
                {
                        if (at->va - from >= (npages + 1) * PAGE_SIZE) {
                                a->va = from;
                                list_add_tail(&at->link, &a->link);
                                found = true;
                                break;
                        }
                        from = at->va + (at->npages + 1) * PAGE_SIZE;
                }
                if (!found) {
                        spin_unlock(&areas_lock, f);
                        kfree(a);
                        return NULL;
                }
        }
        spin_unlock(&areas_lock, f);
        return a;
}

static void area_free(struct area *a)
{
        uint64_t f = spin_lock(&areas_lock);
        list_del(&a->link);
        spin_unlock(&areas_lock, f);
        kfree(a);
}

static void unmap_pages(uint64_t va, size_t npages, bool free)
{
        paddr_t batch[16];

        while (npages) {
                size_t n = MIN(npages, ARRAY_SIZE(batch));
                for (size_t i = 0; i < n; i++)
                        batch[i] = kunmap(va + i * PAGE_SIZE);
                tlb_flush_kernel(va, n);
                for (size_t i = 0; free && i < n; i++) {
                        if (batch[i])
                                frame_free(batch[i]);
                }
                va += n * PAGE_SIZE;
                npages -= n;
        }
}

void *vmalloc(size_t size)
{
        size_t npages = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
        struct area *a = area_new(npages);

        if (!a)
                return NULL;
        for (size_t i = 0; i < npages; i++) {
                paddr_t pa = frame_alloc();
                if (!pa || kmap(a->va + i * PAGE_SIZE, pa, KMAP_W)) {
                        if (pa)
                                frame_free(pa);
                        unmap_pages(a->va, i, true);
                        area_free(a);
                        return NULL;
                }
        }
        return (void *)a->va;
}

void vfree(void *p)
{
        struct area *a;
        uint64_t f;
        bool found = false;

        if (!p)
                return;
        f = spin_lock(&areas_lock);
        list_each(a, &areas, link)
        {
                if (a->va == (uint64_t)p) {
                        found = true;
                        break;
                }
        }
        spin_unlock(&areas_lock, f);
        if (!found)
                panic("vfree: %p was not made by vmalloc", p);
        unmap_pages(a->va, a->npages, true);
        area_free(a);
}

void *kvmalloc(size_t size)
{
        void *p = kmalloc(size);

        return p || size <= PAGE_SIZE ? p : vmalloc(size);
}

void kvfree(void *p)
{
        if ((uint64_t)p >= KHEAP_BASE && (uint64_t)p < KHEAP_BASE + KHEAP_SIZE)
                vfree(p);
        else
                kfree(p);
}

static void *map_physical(paddr_t pa, size_t len, unsigned flags)
{
        paddr_t first = ALIGN_DOWN(pa, PAGE_SIZE);
        size_t npages = (ALIGN_UP(pa + len, PAGE_SIZE) - first) >> PAGE_SHIFT;
        struct area *a = area_new(npages);

        if (!a)
                return NULL;
        for (size_t i = 0; i < npages; i++) {
                if (kmap(a->va + i * PAGE_SIZE, first + i * PAGE_SIZE, flags)) {
                        unmap_pages(a->va, i, false);
                        area_free(a);
                        return NULL;
                }
        }
        return (char *)a->va + (pa - first);
}

void *mmio_map(paddr_t pa, size_t len, bool write_combining)
{
        return map_physical(pa, len, KMAP_W | (write_combining ? KMAP_WC : KMAP_UC));
}

void *phys_map(paddr_t pa, size_t len)
{
        return direct_covers(pa, len) ? direct(pa) : map_physical(pa, len, 0);
}
