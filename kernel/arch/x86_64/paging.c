/*
 * paging.c - the kernel half of every address space: direct map, image, heap, and the top of the space's tables.
 *
 * W^X: only the image's text is executable, and neither it nor .rodata is writable, not even through the direct map (4 KiB pages there).
 * RAM is mapped with 2 MiB pages; the first 2 MiB with 4 KiB pages, because firmware gives its parts different memory types. Devices are
 * not in the direct map. All PML4 entries of the upper half are made here, so an address space takes a copy of them once. Kernel
 * pages are global, the space's never (TLB flushes of the space are reloads of CR3).
 */
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

#define LARGE_PAGE       (1ul << 21)
#define INDEX(va, level) ((va) >> (12 + 9 * (level)) & 511)

uint64_t kernel_pml4[512] __attribute__((aligned(4096)));
uint64_t *arena_pdpt[32];

static struct spinlock kmap_lock;
static bool frames_ready;
static uint64_t global;

extern char text_start[], text_end[], rodata_start[], rodata_end[], data_start[], image_end[], init_bss_start[];

static paddr_t new_table(void)
{
        paddr_t pa;

        if (!frames_ready)
                return early_frame();
        pa = frame_alloc();
        if (pa)
                memset(direct(pa), 0, PAGE_SIZE);
        return pa;
}

/* Entry of `va` at `level` (0: 4 KiB, 1: 2 MiB), tables above it made when missing. NULL: no memory. */
static uint64_t *entry_at(uint64_t va, unsigned level)
{
        uint64_t *table = kernel_pml4;

        for (unsigned l = 3; l > level; l--) {
                uint64_t *e = &table[INDEX(va, l)];
                if (!*e) {
                        paddr_t pa = new_table();
                        if (!pa)
                                return NULL;
                        *e = pa | PTE_P | PTE_W | PTE_A;
                }
                assert(!(*e & PTE_PS));
                table = direct(*e & PTE_PA);
        }
        return &table[INDEX(va, level)];
}

static void map_small(uint64_t va, paddr_t pa, uint64_t flags)
{
        *entry_at(va, 0) = pa | flags | PTE_P | PTE_A | PTE_D | global;
}

/* What the image's sections allow, seen through the direct map: data pages are writable, the rest is not. */
static uint64_t direct_flags(paddr_t pa)
{
        if (pa >= image_pa(text_start) && pa < image_pa(rodata_end))
                return PTE_NX;
        return PTE_NX | PTE_W;
}

static void map_direct(paddr_t start, paddr_t end)
{
        paddr_t small_end = ALIGN_UP(image_pa(image_end), LARGE_PAGE);

        start = ALIGN_DOWN(start, LARGE_PAGE);
        end = ALIGN_UP(end, LARGE_PAGE);
        for (paddr_t pa = start; pa < end; pa += LARGE_PAGE) {
                uint64_t *e;
                if (pa < small_end) {
                        for (paddr_t p = pa; p < pa + LARGE_PAGE; p += PAGE_SIZE)
                                map_small(DIRECT_BASE + p, p, direct_flags(p));
                        continue;
                }
                e = entry_at(DIRECT_BASE + pa, 1);
                *e = pa | PTE_P | PTE_W | PTE_NX | PTE_PS | PTE_A | PTE_D | global;
        }
}

static void map_image(const char *from, const char *to, uint64_t flags)
{
        for (uint64_t va = (uint64_t)from; va < (uint64_t)to; va += PAGE_SIZE)
                map_small(va, va - KIMAGE_BASE, flags);
}

void paging_init(void)
{
        global = cpu_features.pge ? PTE_G : 0;
        for (unsigned i = 0; i < ram_ranges; i++)
                map_direct(ram_map[i].start, ram_map[i].end);
        map_direct(0, LARGE_PAGE);
        map_image(text_start, text_end, 0);
        map_image(rodata_start, rodata_end, PTE_NX);
        map_image(data_start, image_end, PTE_NX | PTE_W);
        for (unsigned i = 0; i < ARRAY_SIZE(arena_pdpt); i++) {
                paddr_t pa = early_frame();
                kernel_pml4[INDEX(SPACE_BASE, 3) + i] = pa | PTE_P | PTE_W | PTE_A | PTE_NX;
                arena_pdpt[i] = direct(pa);
        }
        (void)entry_at(KHEAP_BASE, 0);
        write_cr(3, image_pa(kernel_pml4));
        frames_ready = true;
}

bool paging_ready(void)
{
        return frames_ready;
}

static uint64_t *find(uint64_t va, unsigned *level)
{
        uint64_t *table = kernel_pml4;

        for (unsigned l = 3;; l--) {
                uint64_t *e = &table[INDEX(va, l)];
                if (!(*e & PTE_P))
                        return NULL;
                if (l == 0 || (*e & PTE_PS)) {
                        *level = l;
                        return e;
                }
                table = direct(*e & PTE_PA);
        }
}

paddr_t kernel_translate(uint64_t va)
{
        unsigned level;
        uint64_t *e = find(va, &level), mask;

        if (!e)
                return 0;
        mask = (PAGE_SIZE << 9 * level) - 1;
        return (*e & PTE_PA & ~mask) | (va & mask);
}

bool direct_covers(paddr_t pa, size_t len)
{
        unsigned level;

        for (paddr_t p = ALIGN_DOWN(pa, PAGE_SIZE); p < pa + len; p += PAGE_SIZE) {
                if (p >= SPACE_BASE - DIRECT_BASE || !find(DIRECT_BASE + p, &level))
                        return false;
        }
        return true;
}

int kmap(uint64_t va, paddr_t pa, unsigned flags)
{
        uint64_t f, pte = pa | PTE_P | PTE_A | PTE_D | PTE_NX | global, *e;

        if (pa >> cpu_features.physical_bits) /* reserved bits: firmware told nonsense */
                return -EINVAL;
        f = spin_lock(&kmap_lock);
        e = entry_at(va, 0);

        if (flags & KMAP_W)
                pte |= PTE_W;
        if (flags & KMAP_UC)
                pte |= PTE_UC;
        if (flags & KMAP_WC)
                pte |= PTE_WC;
        if (e)
                *e = pte;
        spin_unlock(&kmap_lock, f);
        return e ? 0 : -ENOMEM;
}

paddr_t kunmap(uint64_t va)
{
        uint64_t f = spin_lock(&kmap_lock);
        unsigned level;
        uint64_t *e = find(va, &level);
        paddr_t pa = 0;

        if (e) {
                pa = *e & PTE_PA;
                *e = 0;
        }
        spin_unlock(&kmap_lock, f);
        return pa;
}
