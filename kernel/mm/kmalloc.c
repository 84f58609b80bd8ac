/*
 * kmalloc.c - the volatile kernel heap: size classes in slabs, with a small stock of free objects per CPU and class.
 *
 * A slab is 1, 2 or 4 frames, aligned to its size, with its header at the start; frame_state of its frames names the class, so kfree
 * finds everything from the address. Above the largest class a block is whole frames, marked FRAME_LARGE and FRAME_CONT.
 * Locks: one per class (volatile, interrupts off) for the slab lists; stocks belong to their CPU, interrupts off.
 */
#include "kernel/include/arch/machine.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/list.h"
#include "kernel/lib/string.h"

/* 16..128 by 16, then four steps for each doubling. */
static const uint16_t class_size[] = {16,  32,  48,  64,  80,  96,  112, 128,  160,  192,  224,  256,
                                      320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048};
#define CLASSES    ARRAY_SIZE(class_size)
#define LARGEST    2048
#define STOCK_MAX  14
#define STOCK_HALF 7

struct slab {
        struct list link; /* in class.partial while it has free objects */
        void *free;       /* objects never used or given back, linked through their first word */
        char *fresh;      /* from here on never used */
        uint32_t used, capacity;
};
#define SLAB_HEADER 64 /* keeps objects of 64, 128... on cache lines of their own */
_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "slab header");

static struct class
{
        struct spinlock lock;
        struct list partial;
        unsigned order;
} classes[CLASSES];

static struct stock {
        uint32_t n;
        void *object[STOCK_MAX];
} stocks[MAX_CPUS][CLASSES] __attribute__((aligned(64)));

static inline unsigned class_of(size_t size)
{
        unsigned top, shift;

        if (size <= 128)
                return size ? (unsigned)(size - 1) / 16 : 0;
        top = 63 - (unsigned)__builtin_clzl(size - 1); /* 2^top <= size-1 < 2^(top+1), top >= 7 */
        shift = top - 2;
        return 8 + (top - 7) * 4 + (unsigned)((size - 1) >> shift & 3);
}

void kheap_init(void)
{
        for (unsigned c = 0; c < CLASSES; c++) {
                list_init(&classes[c].partial);
                classes[c].order = class_size[c] <= 256 ? 0 : class_size[c] <= 640 ? 1 : 2;
        }
}

static struct slab *slab_new(unsigned class)
{
        unsigned order = classes[class].order;
        paddr_t pa = order ? frame_alloc_contig(1ul << order, 0) : frame_alloc();
        struct slab *s;

        if (!pa)
                return NULL;
        for (unsigned i = 0; i < 1u << order; i++)
                frame_state[(pa >> PAGE_SHIFT) + i] = (uint8_t)(FRAME_SLAB | class);
        s = direct(pa);
        s->free = NULL;
        s->fresh = (char *)s + SLAB_HEADER;
        s->used = 0;
        s->capacity = (uint32_t)(((PAGE_SIZE << order) - SLAB_HEADER) / class_size[class]);
        return s;
}

static void slab_release(struct slab *s, unsigned class)
{
        unsigned order = classes[class].order;
        paddr_t pa = direct_pa(s);

        for (unsigned i = 0; i < 1u << order; i++)
                frame_state[(pa >> PAGE_SHIFT) + i] = FRAME_USED;
        if (order)
                frame_free_contig(pa, 1ul << order);
        else
                frame_free(pa);
}

static void stock_fill(struct stock *st, unsigned class)
{
        struct class *k = &classes[class];
        uint64_t f = spin_lock(&k->lock);

        while (st->n < STOCK_HALF) {
                struct slab *s = list_first(&k->partial, struct slab, link);
                void *p;
                if (!s) {
                        s = slab_new(class);
                        if (!s)
                                break;
                        list_add(&k->partial, &s->link);
                }
                p = s->free;
                if (p) {
                        s->free = *(void **)p;
                } else {
                        p = s->fresh;
                        s->fresh += class_size[class];
                }
                if (++s->used == s->capacity)
                        list_del(&s->link);
                st->object[st->n++] = p;
        }
        spin_unlock(&k->lock, f);
}

static void stock_drain(struct stock *st, unsigned class)
{
        struct class *k = &classes[class];
        uint64_t f = spin_lock(&k->lock);

        while (st->n > STOCK_HALF) {
                void *p = st->object[--st->n];
                struct slab *s = (struct slab *)((uint64_t)p & ~((PAGE_SIZE << k->order) - 1));
                *(void **)p = s->free;
                s->free = p;
                if (s->used-- == s->capacity)
                        list_add_tail(&k->partial, &s->link);
                if (!s->used && k->partial.next != k->partial.prev) { /* keep one for the next wish */
                        list_del(&s->link);
                        slab_release(s, class);
                }
        }
        spin_unlock(&k->lock, f);
}

static void *large_alloc(size_t size)
{
        size_t n = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
        paddr_t pa = frame_alloc_contig(n, 0);

        if (!pa)
                return NULL;
        frame_state[pa >> PAGE_SHIFT] = FRAME_LARGE;
        memset(&frame_state[(pa >> PAGE_SHIFT) + 1], FRAME_CONT, n - 1);
        return direct(pa);
}

static void large_free(void *p)
{
        uint64_t first = direct_pa(p) >> PAGE_SHIFT, end = first + 1;

        while (frame_state[end] == FRAME_CONT)
                end++;
        memset(&frame_state[first], FRAME_USED, end - first);
        frame_free_contig(first << PAGE_SHIFT, end - first);
}

void *kmalloc(size_t size)
{
        struct stock *st;
        void *p = NULL;
        unsigned class;
        uint64_t f;

        if (unlikely(size > LARGEST))
                return large_alloc(size);
        class = class_of(size);
        f = irq_save();
        st = &stocks[cpu_this()->id][class];
        if (unlikely(!st->n))
                stock_fill(st, class);
        if (likely(st->n))
                p = st->object[--st->n];
        irq_restore(f);
        return p;
}

void *kzalloc(size_t size)
{
        void *p = kmalloc(size);
        if (p)
                memset(p, 0, size);
        return p;
}

void kfree(void *p)
{
        struct stock *st;
        uint8_t state;
        uint64_t f;

        if (!p)
                return;
        assert((uint64_t)p >= DIRECT_BASE && (uint64_t)p < SPACE_BASE);
        state = frame_state[direct_pa(p) >> PAGE_SHIFT];
        if (state == FRAME_LARGE) {
                large_free(p);
                return;
        }
        if (unlikely((state & ~31u) != FRAME_SLAB))
                panic("kfree: %p is no block of the heap", p);
#if PHANTOM_CHECKS
        memset(p, FRAME_POISON, class_size[state & 31]);
#endif
        f = irq_save();
        st = &stocks[cpu_this()->id][state & 31];
        if (unlikely(st->n == STOCK_MAX))
                stock_drain(st, state & 31);
        st->object[st->n++] = p;
        irq_restore(f);
}
