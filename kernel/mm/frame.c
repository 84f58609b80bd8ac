/*
 * frame.c - physical frames: a binary buddy allocator behind per-CPU caches.
 *
 * frame_state has one byte for each frame: the order, for the first frame of a free block; FRAME_USED or the heap's marks otherwise. Free
 * blocks are linked through their own first bytes (direct map), so nothing is touched at boot but the first line of each
 * maximal block. Before frames_init, early_frame() hands out frames for the first page tables from one range below 4 GiB.
 *
 * Locks: frames_lock (volatile, interrupts off). The caches belong to their CPU, interrupts off while in use.
 */
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/worker.h"
#include "kernel/lib/list.h"
#include "kernel/lib/string.h"

#define ORDERS         16 /* up to 128 MiB */
#define CACHE_SIZE     64
#define CACHE_BATCH    32
#define RANGES_MAX     96
#define MIN_MEMORY     (40ul << 20)
#define LOW_MEMORY_END 0xa0000ul

uint8_t *frame_state;
paddr_t ap_trampoline;

static uint64_t nframes;      /* numbers below it have a state byte */
static uint64_t total, nfree; /* nfree: in the buddy lists */
static uint64_t aside;        /* [a] the last ones, which only aside_for gets */
static const struct worker *aside_for;
static bool use_aside[MAX_CPUS]; /* own CPU only */
static struct list free_blocks[ORDERS];
static struct spinlock frames_lock;

static struct frame_cache {
        unsigned n;
        paddr_t slot[CACHE_SIZE];
} __attribute__((aligned(64))) caches[MAX_CPUS];

/* Boot time: usable RAM without what is in use. */
static struct {
        paddr_t start, end;
} usable[RANGES_MAX];
static unsigned nusable;
static paddr_t early_at, early_end;
static unsigned early_range;

extern char image_start[], image_end[], init_bss_start[];

static void cut(paddr_t start, paddr_t end)
{
        unsigned n = nusable;

        for (unsigned i = 0; i < n; i++) {
                paddr_t s = usable[i].start, e = usable[i].end;
                if (end <= s || start >= e)
                        continue;
                usable[i].end = MAX(s, MIN(start, e));
                if (end < e && nusable < RANGES_MAX) {
                        usable[nusable].start = end;
                        usable[nusable++].end = e;
                }
        }
}

static void find_usable(void)
{
        uint64_t sum = 0, best = 0;

        for (unsigned i = 0; i < ram_ranges && nusable < RANGES_MAX; i++) {
                if (!ram_map[i].usable)
                        continue;
                usable[nusable].start = ram_map[i].start;
                usable[nusable++].end = ram_map[i].end;
                sum += ram_map[i].end - ram_map[i].start;
        }
        if (sum < MIN_MEMORY)
                boot_refuse("%lu MiB of memory are too little: 64 MiB are needed", sum >> 20);
        for (unsigned i = 0; i < ram_ranges; i++) { /* maps of bad firmware overlap */
                if (!ram_map[i].usable)
                        cut(ram_map[i].start, ram_map[i].end);
        }
        cut(0, PAGE_SIZE); /* address 0 means "none" */
        cut((paddr_t)image_start - KIMAGE_BASE, (paddr_t)image_end - KIMAGE_BASE);
        if (boot_info.install_pa)
                cut(ALIGN_DOWN(boot_info.install_pa, PAGE_SIZE),
                    ALIGN_UP(boot_info.install_pa + boot_info.install_len, PAGE_SIZE));
        if (boot_info.archive_pa)
                cut(ALIGN_DOWN(boot_info.archive_pa, PAGE_SIZE),
                    ALIGN_UP(boot_info.archive_pa + boot_info.archive_len, PAGE_SIZE));
        for (unsigned i = 0; i < nusable && !ap_trampoline; i++) {
                if (usable[i].start < usable[i].end && usable[i].start + PAGE_SIZE <= LOW_MEMORY_END)
                        ap_trampoline = usable[i].start;
        }
        if (ap_trampoline)
                cut(ap_trampoline, ap_trampoline + PAGE_SIZE);
        for (unsigned i = 0; i < nusable; i++) {
                uint64_t len = usable[i].end - usable[i].start;
                if (usable[i].end <= 1ul << 32 && len > best) {
                        best = len;
                        early_range = i;
                }
        }
        if (best < 4ul << 20)
                boot_refuse("no 4 MiB of contiguous memory below 4 GiB");
        early_at = usable[early_range].start;
        early_end = usable[early_range].end;
}

paddr_t early_frame(void)
{
        if (!nusable)
                find_usable();
        if (early_at + PAGE_SIZE > early_end)
                panic("early_frame: none left");
        early_at += PAGE_SIZE;
        memset(direct(early_at - PAGE_SIZE), 0, PAGE_SIZE);
        return early_at - PAGE_SIZE;
}

static inline struct list *block_link(uint64_t pfn)
{
        return direct(pfn << PAGE_SHIFT);
}

static void block_put(uint64_t pfn, unsigned order)
{
        while (order < ORDERS - 1) {
                uint64_t buddy = pfn ^ 1ul << order;
                if (buddy + (1ul << order) > nframes || frame_state[buddy] != order)
                        break;
                list_del(block_link(buddy));
                frame_state[buddy] = FRAME_USED;
                pfn &= ~(1ul << order);
                order++;
        }
        frame_state[pfn] = (uint8_t)order;
        list_add(&free_blocks[order], block_link(pfn));
}

/* Takes pfn, the head of a free block of order `from`, off its list and gives back all but its first 2^order frames. */
static void block_split(uint64_t pfn, unsigned from, unsigned order)
{
        list_del(block_link(pfn));
        frame_state[pfn] = FRAME_USED;
        while (from > order) {
                from--;
                frame_state[pfn + (1ul << from)] = (uint8_t)from;
                list_add(&free_blocks[from], block_link(pfn + (1ul << from)));
        }
}

/* Lock held. 0: none. */
static uint64_t block_take(unsigned order, paddr_t below)
{
        for (unsigned o = order; o < ORDERS; o++) {
                struct list *l;
                for (l = free_blocks[o].next; l != &free_blocks[o]; l = l->next) {
                        paddr_t pa = direct_pa(l);
                        if (below && pa + (PAGE_SIZE << order) > below)
                                continue;
                        block_split(pa >> PAGE_SHIFT, o, order);
                        nfree -= 1ul << order;
                        return pa >> PAGE_SHIFT;
                }
        }
        return 0;
}

static void range_put(uint64_t pfn, uint64_t end)
{
        nfree += end - pfn;
        while (pfn < end) {
                unsigned order = pfn ? (unsigned)__builtin_ctzl(pfn) : ORDERS - 1;
                if (order > ORDERS - 1)
                        order = ORDERS - 1;
                while (pfn + (1ul << order) > end)
                        order--;
                block_put(pfn, order);
                pfn += 1ul << order;
        }
}

void frames_add(paddr_t start, paddr_t end)
{
        uint64_t f = spin_lock(&frames_lock);
        total += (end - start) >> PAGE_SHIFT;
        range_put(start >> PAGE_SHIFT, end >> PAGE_SHIFT);
        spin_unlock(&frames_lock, f);
}

void frames_init(void)
{
        paddr_t top = 0;
        size_t bytes;

        for (unsigned i = 0; i < ORDERS; i++)
                list_init(&free_blocks[i]);
        for (unsigned i = 0; i < ram_ranges; i++) {
                if (ram_map[i].usable)
                        top = MAX(top, ram_map[i].end);
        }
        nframes = top >> PAGE_SHIFT;
        bytes = ALIGN_UP(nframes, PAGE_SIZE);
        if (early_at + bytes > early_end)
                panic("no room for the frame table");
        frame_state = direct(early_at);
        memset(frame_state, FRAME_USED, bytes);
        early_at += bytes;
        cut(usable[early_range].start, early_at);
        for (unsigned i = 0; i < nusable; i++) {
                if (usable[i].start < usable[i].end)
                        frames_add(usable[i].start, usable[i].end);
        }
        early_end = early_at; /* early_frame() is over */
}

/* May so many be had? */
static bool may_take(uint64_t n, bool all)
{
        return all || READ_ONCE(nfree) >= READ_ONCE(aside) + n;
}

static bool may_take_all(void)
{
        return aside_for && worker_this() == aside_for;
}

static void cache_fill(struct frame_cache *c, bool all)
{
        uint64_t f = spin_lock(&frames_lock);
        while (c->n < CACHE_BATCH && may_take(1, all)) {
                uint64_t pfn = block_take(0, 0);
                if (!pfn)
                        break;
                c->slot[c->n++] = pfn << PAGE_SHIFT;
        }
        spin_unlock(&frames_lock, f);
}

static void cache_drain(struct frame_cache *c)
{
        uint64_t f = spin_lock(&frames_lock);
        while (c->n > CACHE_SIZE - CACHE_BATCH) {
                block_put(c->slot[--c->n] >> PAGE_SHIFT, 0);
                nfree++;
        }
        spin_unlock(&frames_lock, f);
}

/* Test builds: a frame freed twice panics, what still uses a freed one reads poison. */
static inline void check_free(paddr_t pa)
{
#if PHANTOM_CHECKS
        uint8_t *state = &frame_state[pa >> PAGE_SHIFT];

        if (pa & (PAGE_SIZE - 1) || pa >> PAGE_SHIFT >= nframes || *state != FRAME_USED)
                panic("frame_free: %#lx is not in use (state %#x)", pa, *state);
        *state = FRAME_CACHED;
        memset(direct(pa), FRAME_POISON, PAGE_SIZE);
#else
        (void)pa;
#endif
}

static inline void check_alloc(paddr_t pa)
{
#if PHANTOM_CHECKS
        frame_state[pa >> PAGE_SHIFT] = FRAME_USED;
#else
        (void)pa;
#endif
}

static inline __attribute__((always_inline)) paddr_t alloc(bool may_all)
{
        uint64_t f = irq_save();
        struct frame_cache *c = &caches[cpu_this()->id];
        paddr_t pa = 0;

        if (unlikely(!c->n))
                cache_fill(c, use_aside[cpu_this()->id] || (may_all && may_take_all()));
        if (likely(c->n))
                pa = c->slot[--c->n];
        irq_restore(f);
        if (likely(pa))
                check_alloc(pa);
        return pa;
}

paddr_t frame_alloc(void)
{
        return alloc(true);
}

paddr_t frame_alloc_common(void)
{
        return alloc(false);
}

void frames_use_aside(bool on)
{
        use_aside[cpu_this()->id] = on;
}

void frames_set_aside(uint64_t n, const struct worker *whom)
{
        WRITE_ONCE(aside, n);
        WRITE_ONCE(aside_for, whom);
}

void frame_free(paddr_t pa)
{
        uint64_t f = irq_save();
        struct frame_cache *c = &caches[cpu_this()->id];

        check_free(pa);
        if (unlikely(c->n == CACHE_SIZE))
                cache_drain(c);
        c->slot[c->n++] = pa;
        irq_restore(f);
}

paddr_t frame_alloc_contig(size_t n, paddr_t below)
{
        unsigned order = n > 1 ? 64 - (unsigned)__builtin_clzl(n - 1) : 0;
        uint64_t f, pfn;

        if (!n || order >= ORDERS)
                return 0;
        f = spin_lock(&frames_lock);
        pfn = may_take(1ul << order, may_take_all()) ? block_take(order, below) : 0;
        if (pfn && n < 1ul << order)
                range_put(pfn + n, pfn + (1ul << order));
        spin_unlock(&frames_lock, f);
        return pfn << PAGE_SHIFT;
}

void frame_free_contig(paddr_t pa, size_t n)
{
        uint64_t f = spin_lock(&frames_lock);
        range_put(pa >> PAGE_SHIFT, (pa >> PAGE_SHIFT) + n);
        spin_unlock(&frames_lock, f);
}

uint64_t frames_total(void)
{
        return total;
}

uint64_t frames_free(void)
{
        uint64_t n = READ_ONCE(nfree);
        for (unsigned i = 0; i < MAX_CPUS; i++)
                n += READ_ONCE(caches[i].n);
        return n > READ_ONCE(aside) ? n - READ_ONCE(aside) : 0;
}
