/*
 * mmu.c - page tables of user address spaces (arch/mmu.h). The arena's are in arena.c.
 *
 * What the code works with are the leaf tables (2 MiB each): a struct leaf describes one, with a bitmap of present and one of writable leaves.
 * They are found by a small cache, else in a tree by address; the hardware's upper tables are touched only when a leaf table comes or goes.
 *
 * Tracking (P4). A leaf table with any writable leaf stands on its address space's list, and the address space on the global one; the
 * barrier walks these lists. Up to WITHHOLD_MIN writable leaves it clears their W bits; above that it clears W in the one entry above
 * the table (x86 takes the AND along the walk) and marks the table `withheld`: the bitmap then says what *was* writable. Before the first
 * leaf of such a table becomes writable again, all its W bits are cleared (push_down) and the upper entry gets its W back; no flush is needed,
 * since no TLB can hold a writable translation from before. fork's mmu_protect works the same way. An address space with more such tables than TABLES_MIN
 * is withheld as a whole, in the entries of its PML4, and the rest of the barrier's work for it is done before its first leaf becomes writable again (settle): so
 * the pause does not grow with what was written.
 *
 * Tables and descriptors are kept, zeroed, in a small stock for each CPU: they are zero again when the last leaf was cleared, so making
 * and destroying an address space zeroes nothing.
 *
 * Locks: mmu->lock, then lists_lock; both volatile, interrupts stay on: callers are sections, which are not preempted, and no interrupt
 * handler calls in here. Shoot-downs are done after the locks are released. The stock belongs to its CPU.
 */
#include "kernel/arch/x86_64/mmu_leaf.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/tlb.h"
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/bitmap.h"
#include "kernel/lib/list.h"
#include "kernel/lib/rbtree.h"
#include "kernel/lib/string.h"

#define HINTS        8
#define STOCK_LEAVES 24
#define STOCK_UPPERS 12
#define STOCK_SPACES 4
#define FLUSH_PAGES  32 /* more: reload CR3 */

struct leaf {
        struct leaf_table t;
        struct rb_node node; /* in mmu.leaves, by t.va */
        struct list dirty;   /* in mmu.dirty from the first writable leaf to the barrier */
        struct leaf *next;   /* in the stock */
        uint64_t present[LEAF_WORDS];
        uint32_t words; /* words of `present` that may not be 0 */
};

/* A table above the leaf tables: PDPT or PD. */
struct upper {
        struct upper *next; /* of the address space, or in the stock */
        uint64_t *table;
        uint64_t *parent; /* entry that names it */
};

struct mmu {
        struct spinlock lock;
        uint32_t loaded; /* [a] CPUs that have it in CR3 */
        uint64_t *pml4;
        paddr_t cr3;
        struct leaf *hint[HINTS]; /* [lock] by (va >> 21) % HINTS */
        struct rb_root leaves;    /* [lock] */
        struct list dirty;        /* [lock] leaf tables with writable leaves */
        bool withheld; /* [lock] W is clear in the PML4's entries: none of the leaves of `dirty` is writable in truth */
        struct upper *tops;     /* [lock] PDPTs */
        struct upper *uppers;   /* [lock] PDs */
        struct list dirty_link; /* [lists_lock] in dirty_spaces while `dirty` is not empty */
        struct list all_link;   /* [lists_lock] in all_spaces */
        struct mmu *next;       /* in the stock */
};

static struct list dirty_spaces = LIST_INIT(dirty_spaces);
static struct list all_spaces = LIST_INIT(all_spaces);
static struct spinlock lists_lock;
static uint32_t generation; /* [a] raised by each barrier */

static struct stock {
        struct leaf *leaves;
        struct upper *uppers;
        struct mmu *spaces;
        unsigned nleaves, nuppers, nspaces;
        uint32_t generation_seen;
} __attribute__((aligned(64))) stocks[MAX_CPUS];

static struct stock *stock_this(void)
{
        return &stocks[cpu_this()->id];
}

/* ---- tables ---- */

static uint64_t *table_new(void)
{
        paddr_t pa = frame_alloc();
        if (!pa)
                return NULL;
        memset(direct(pa), 0, PAGE_SIZE);
        return direct(pa);
}

static struct leaf *leaf_new(void)
{
        struct stock *s = stock_this();
        struct leaf *l = s->leaves;

        if (likely(l)) {
                s->leaves = l->next;
                s->nleaves--;
                return l;
        }
        l = kzalloc(sizeof(*l));
        if (!l)
                return NULL;
        l->t.table = table_new();
        if (!l->t.table) {
                kfree(l);
                return NULL;
        }
        list_init(&l->dirty);
        return l;
}

/* Its table is zero again. */
static void leaf_release(struct leaf *l)
{
        struct stock *s = stock_this();

        if (s->nleaves >= STOCK_LEAVES) {
                frame_free(direct_pa(l->t.table));
                kfree(l);
                return;
        }
        l->next = s->leaves;
        s->leaves = l;
        s->nleaves++;
}

static struct upper *upper_new(void)
{
        struct stock *s = stock_this();
        struct upper *u = s->uppers;

        if (likely(u)) {
                s->uppers = u->next;
                s->nuppers--;
                return u;
        }
        u = kmalloc(sizeof(*u));
        if (!u)
                return NULL;
        u->table = table_new();
        if (!u->table) {
                kfree(u);
                return NULL;
        }
        return u;
}

static void upper_release(struct upper *u)
{
        struct stock *s = stock_this();

        if (s->nuppers >= STOCK_UPPERS) {
                frame_free(direct_pa(u->table));
                kfree(u);
                return;
        }
        u->next = s->uppers;
        s->uppers = u;
        s->nuppers++;
}

/* ---- finding leaf tables ---- */

static inline struct leaf *leaf_entry(struct rb_node *n)
{
        return rb_entry(n, struct leaf, node);
}

static struct leaf *leaf_search(struct mmu *m, uint64_t base)
{
        for (struct rb_node *n = m->leaves.node; n;) {
                struct leaf *l = leaf_entry(n);
                if (l->t.va == base) {
                        m->hint[base / LEAF_SPAN % HINTS] = l;
                        return l;
                }
                n = base < l->t.va ? n->left : n->right;
        }
        return NULL;
}

static inline struct leaf *leaf_find(struct mmu *m, uint64_t va)
{
        uint64_t base = ALIGN_DOWN(va, LEAF_SPAN);
        struct leaf *l = m->hint[base / LEAF_SPAN % HINTS];

        if (likely(l && l->t.va == base))
                return l;
        return leaf_search(m, base);
}

/* First leaf table that ends above va. */
static struct leaf *leaf_at_or_after(struct mmu *m, uint64_t va)
{
        uint64_t base = ALIGN_DOWN(va, LEAF_SPAN);
        struct leaf *best = m->hint[base / LEAF_SPAN % HINTS];

        if (likely(best && best->t.va == base))
                return best;
        best = NULL;
        for (struct rb_node *n = m->leaves.node; n;) {
                struct leaf *l = leaf_entry(n);
                if (l->t.va >= base) {
                        best = l;
                        n = n->left;
                } else {
                        n = n->right;
                }
        }
        return best;
}

static struct leaf *leaf_next(struct leaf *l)
{
        struct rb_node *n = rb_next(&l->node);
        return n ? leaf_entry(n) : NULL;
}

static uint64_t *upper_entry(struct mmu *m, uint64_t *table, unsigned index)
{
        struct upper *u, **list = table == m->pml4 ? &m->tops : &m->uppers;

        if (table[index])
                return direct(table[index] & PTE_PA);
        u = upper_new();
        if (!u)
                return NULL;
        u->parent = &table[index];
        u->next = *list;
        *list = u;
        table[index] = direct_pa(u->table) | PTE_P | PTE_W | PTE_U | PTE_A;
        return u->table;
}

static struct leaf *leaf_make(struct mmu *m, uint64_t va)
{
        uint64_t base = ALIGN_DOWN(va, LEAF_SPAN), *pdpt, *pd;
        struct rb_node **at = &m->leaves.node, *parent = NULL;
        struct leaf *l;

        pdpt = upper_entry(m, m->pml4, va >> 39 & 511);
        pd = pdpt ? upper_entry(m, pdpt, va >> 30 & 511) : NULL;
        l = pd ? leaf_new() : NULL;
        if (!l)
                return NULL;
        l->t.va = base;
        l->t.above = &pd[va >> 21 & 511];
        *l->t.above = direct_pa(l->t.table) | PTE_P | PTE_W | PTE_U | PTE_A;
        while (*at) {
                parent = *at;
                at = base < leaf_entry(parent)->t.va ? &parent->left : &parent->right;
        }
        rb_insert(&m->leaves, &l->node, parent, at);
        m->hint[base / LEAF_SPAN % HINTS] = l;
        return l;
}

/* ---- tracking ---- */

static void track(struct mmu *m, struct leaf *l)
{
        if (list_empty(&m->dirty_link)) {
                spin_acquire(&lists_lock);
                list_add_tail(&dirty_spaces, &m->dirty_link);
                spin_release(&lists_lock);
        }
        list_add_tail(&m->dirty, &l->dirty);
}

static void space_withhold(struct mmu *m)
{
        m->withheld = true;
        for (struct upper *u = m->tops; u; u = u->next)
                *u->parent &= ~PTE_W;
}

/* What a barrier left to do. */
static __attribute__((noinline)) void settle(struct mmu *m)
{
        struct list *t;

        while ((t = list_pop(&m->dirty)))
                leaf_protect(&list_entry(t, struct leaf, dirty)->t);
        m->withheld = false;
        for (struct upper *u = m->tops; u; u = u->next)
                __atomic_fetch_or(u->parent, PTE_W, __ATOMIC_RELEASE);
}

/* Leaf i becomes writable: noted, except that the entry itself is the caller's. The space is settled. */
static inline void note_writable(struct mmu *m, struct leaf *l, unsigned i)
{
        uint64_t mask = 1ul << (i & 63), *word = &l->t.writable[i >> 6];

        if (unlikely(l->t.withheld))
                leaf_push_down(&l->t);
        if (*word & mask)
                return;
        *word |= mask;
        l->t.nwritable++;
        if (unlikely(list_empty(&l->dirty)))
                track(m, l);
}

static inline void note_read_only(struct leaf *l, unsigned i)
{
        uint64_t mask = 1ul << (i & 63), *word = &l->t.writable[i >> 6];

        if (*word & mask) {
                *word &= ~mask;
                l->t.nwritable--;
        }
}

/* A device's leaf comes or goes. Its table is never withheld by itself; if its space is, the next write there faults, and maps it again. */
static void note_untracked(struct leaf *l, bool comes)
{
        if (!comes) {
                l->t.nuntracked--;
                return;
        }
        l->t.nuntracked++;
        if (l->t.withheld)
                leaf_push_down(&l->t);
}

/* ---- flushing ---- */

/* What one operation took away: from the first to the last page of it. */
struct gather {
        uint64_t from, to;
        struct leaf *freed; /* tables to release once no CPU can walk them */
};

static inline void gather_page(struct gather *g, uint64_t va)
{
        if (!g->to || va < g->from)
                g->from = va;
        if (va >= g->to)
                g->to = va + PAGE_SIZE;
}

static void flush_range(struct mmu *m, uint64_t va, size_t npages)
{
        struct cpu *c = cpu_this();
        uint32_t others;

        __atomic_thread_fence(
                __ATOMIC_SEQ_CST); /* the entries are cleared before `loaded` is read; mmu_load does it the other way round */
        others = __atomic_load_n(&m->loaded, __ATOMIC_RELAXED) & ~(1u << c->id);
        if (c->mmu == m)
                tlb_flush_local(va, npages);
        if (unlikely(others))
                tlb_shoot(others, m, va, npages);
}

static void flush(struct mmu *m, struct gather *g)
{
        size_t npages = (g->to - g->from) >> PAGE_SHIFT;

        if (!g->to)
                return;
        flush_range(m, g->from, npages > FLUSH_PAGES ? TLB_ALL : npages);
        while (g->freed) {
                struct leaf *l = g->freed;
                g->freed = l->next;
                leaf_release(l);
        }
}

static __attribute__((noinline)) void flush_page(struct mmu *m, uint64_t va)
{
        flush_range(m, va, 1);
}

/* ---- life ---- */

static struct mmu *space_new(void)
{
        struct stock *s = stock_this();
        struct mmu *m = s->spaces;

        if (likely(m)) {
                s->spaces = m->next;
                s->nspaces--;
                return m;
        }
        m = kzalloc(sizeof(*m));
        if (!m)
                return NULL;
        m->pml4 = table_new();
        if (!m->pml4) {
                kfree(m);
                return NULL;
        }
        m->cr3 = direct_pa(m->pml4);
        memcpy(m->pml4 + 256, kernel_pml4 + 256, PAGE_SIZE / 2);
        list_init(&m->dirty);
        list_init(&m->dirty_link);
        return m;
}

struct mmu *mmu_create(void)
{
        struct mmu *m = space_new();

        if (!m)
                return NULL;
        spin_acquire(&lists_lock);
        list_add_tail(&all_spaces, &m->all_link);
        spin_release(&lists_lock);
        return m;
}

/* Clears the leaves that are there; the table is zero then. */
static void leaf_clear(struct leaf *l)
{
        for (unsigned words = l->words; words; words &= words - 1) {
                unsigned w = (unsigned)__builtin_ctz(words);
                uint64_t bits = l->present[w], *entry = l->t.table + w * 64;
                l->t.writable[w] = 0;
                l->present[w] = 0;
                if (bits == ~0ul) {
                        memset(entry, 0, 64 * sizeof(*entry));
                        continue;
                }
                for (; bits; bits &= bits - 1)
                        entry[__builtin_ctzl(bits)] = 0;
        }
        l->words = 0;
        l->t.nwritable = 0;
        l->t.nuntracked = 0;
        l->t.withheld = false;
        list_init(&l->dirty);
}

static void uppers_release(struct upper **list)
{
        struct upper *u;

        while ((u = *list)) {
                *list = u->next;
                *u->parent = 0;
                upper_release(u);
        }
}

void mmu_destroy(struct mmu *m)
{
        struct stock *s = stock_this();
        struct leaf *l, *next;

        assert(!m->loaded);
        spin_acquire(&lists_lock);
        list_del(&m->all_link);
        list_del(&m->dirty_link);
        spin_release(&lists_lock);
        list_init(&m->dirty);
        /* Nodes keep their links while they are walked: the stock has a link of its own. */
        l = m->leaves.node ? leaf_entry(rb_first(&m->leaves)) : NULL;
        m->leaves.node = NULL;
        for (struct leaf *done = NULL;; l = next) {
                if (!l) {
                        while ((l = done)) {
                                done = l->next;
                                leaf_release(l);
                        }
                        break;
                }
                next = leaf_next(l);
                leaf_clear(l);
                *l->t.above = 0;
                l->next = done;
                done = l;
        }
        m->withheld = false;
        uppers_release(&m->uppers);
        uppers_release(&m->tops);
        memset(m->hint, 0, sizeof(m->hint));
        if (s->nspaces >= STOCK_SPACES) {
                frame_free(m->cr3);
                kfree(m);
                return;
        }
        m->next = s->spaces;
        s->spaces = m;
        s->nspaces++;
}

void mmu_load(struct mmu *m)
{
        struct cpu *c = cpu_this();
        struct mmu *old = c->mmu;
        uint32_t self = 1u << c->id;

        if (old == m)
                return;
        if (m)
                __atomic_fetch_or(&m->loaded, self, __ATOMIC_SEQ_CST);
        c->mmu = m;
        stocks[c->id].generation_seen = __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
        write_cr(3, m ? m->cr3 : image_pa(kernel_pml4));
        if (old)
                __atomic_fetch_and(&old->loaded, ~self, __ATOMIC_RELEASE);
}

bool mmu_is_loaded(const struct mmu *m)
{
        return __atomic_load_n(&m->loaded, __ATOMIC_ACQUIRE) != 0;
}

void mmu_sync(struct mmu *m)
{
        uint32_t others;

        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        others = __atomic_load_n(&m->loaded, __ATOMIC_RELAXED) & ~(1u << cpu_this()->id);
        if (others)
                tlb_shoot(others, m, 0, 1);
}

void mmu_tlb_sync(void)
{
        struct stock *s = stock_this();
        uint32_t now = __atomic_load_n(&generation, __ATOMIC_ACQUIRE);

        if (s->generation_seen == now)
                return;
        s->generation_seen = now;
        tlb_flush_local(0, TLB_ALL);
}

/* ---- leaves ---- */

static inline uint64_t make_entry(paddr_t pa, unsigned prot)
{
        uint64_t e = pa | PTE_P | PTE_A | PTE_D; /* preset: no microcode assist to set them later */

        if (prot & MMU_W)
                e |= PTE_W;
        if (prot & MMU_U)
                e |= PTE_U;
        if (!(prot & MMU_X))
                e |= PTE_NX;
        if (prot & (MMU_DEVICE | MMU_WC))
                e |= PTE_UNTRACKED | (prot & MMU_WC ? PTE_WC : PTE_UC);
        return e;
}

int mmu_map(struct mmu *m, uint64_t va, paddr_t pa, unsigned prot)
{
        uint64_t entry = make_entry(pa, prot), old;
        unsigned i = va >> PAGE_SHIFT & 511;
        struct leaf *l;

        spin_acquire(&m->lock);
        l = leaf_find(m, va);
        if (unlikely(!l)) {
                l = leaf_make(m, va);
                if (!l) {
                        spin_release(&m->lock);
                        return -ENOMEM;
                }
        }
        if (unlikely(m->withheld && entry & PTE_W))
                settle(m);
        old = l->t.table[i];
        if ((entry & (PTE_W | PTE_UNTRACKED)) == PTE_W)
                note_writable(m, l, i);
        else if (old)
                note_read_only(l, i);
        if (unlikely((old ^ entry) & PTE_UNTRACKED))
                note_untracked(l, entry & PTE_UNTRACKED);
        l->present[i >> 6] |= 1ul << (i & 63);
        l->words |= 1u << (i >> 6);
        WRITE_ONCE(l->t.table[i], entry);
        spin_release(&m->lock);
        /* More rights need no flush: a fault on the old entry finds the new one. */
        if (old && ((old ^ entry) & (PTE_PA | PTE_U) || (old & ~entry & PTE_W) || (entry & ~old & PTE_NX)))
                flush_page(m, va);
        return 0;
}

void mmu_map_absent(struct mmu *m, uint64_t va, const paddr_t *pa, unsigned n, unsigned prot)
{
        uint64_t flags = make_entry(0, prot & ~MMU_W);
        unsigned i = va >> PAGE_SHIFT & 511;
        struct leaf *l;

        spin_acquire(&m->lock);
        l = leaf_find(m, va);
        if (!l)
                l = leaf_make(m, va);
        for (; l && n; n--, i++, pa++) {
                if (!*pa || l->t.table[i])
                        continue;
                bit_set(l->present, i);
                l->words |= 1u << (i >> 6);
                WRITE_ONCE(l->t.table[i], flags | *pa);
        }
        spin_release(&m->lock);
}

paddr_t mmu_lookup(struct mmu *m, uint64_t va, unsigned *prot)
{
        struct leaf *l;
        uint64_t e = 0;

        spin_acquire(&m->lock);
        l = leaf_find(m, va);
        if (l) {
                e = l->t.table[va >> PAGE_SHIFT & 511];
                if (l->t.withheld || m->withheld)
                        e &= ~PTE_W;
        }
        spin_release(&m->lock);
        if (prot && e) {
                *prot = (e & PTE_W ? MMU_W : 0) | (e & PTE_NX ? 0 : MMU_X) | (e & PTE_U ? MMU_U : 0);
                if (e & PTE_UNTRACKED)
                        *prot |= (e & PTE_UC) == PTE_UC ? MMU_DEVICE : MMU_WC;
        }
        return e & PTE_PA;
}

/* Bits of word w of a leaf table that lie in pages [from, to) of the table. */
static inline uint64_t word_mask(unsigned w, unsigned from, unsigned to)
{
        uint64_t mask = ~0ul;

        if (from > w * 64)
                mask &= from >= w * 64 + 64 ? 0 : ~0ul << (from - w * 64);
        if (to < w * 64 + 64)
                mask &= to <= w * 64 ? 0 : ~(~0ul << (to - w * 64));
        return mask;
}

/* Calls act for each present leaf in [va, end). */
typedef void (*leaf_action)(struct leaf *l, unsigned i, struct gather *g, unsigned arg);

static inline __attribute__((always_inline)) void each_present(struct leaf *l, uint64_t va, uint64_t end,
                                                               struct gather *g, leaf_action act, unsigned arg)
{
        unsigned from = va > l->t.va ? (unsigned)((va - l->t.va) >> PAGE_SHIFT) : 0;
        unsigned to = end - l->t.va < LEAF_SPAN ? (unsigned)((end - l->t.va) >> PAGE_SHIFT) : 512;

        for (unsigned w = from / 64; w <= (to - 1) / 64; w++) {
                uint64_t bits = l->present[w] & word_mask(w, from, to);
                for (; bits; bits &= bits - 1)
                        act(l, w * 64 + (unsigned)__builtin_ctzl(bits), g, arg);
        }
}

static inline void act_unmap(struct leaf *l, unsigned i, struct gather *g, unsigned arg)
{
        (void)arg;
        if (unlikely(l->t.table[i] & PTE_UNTRACKED))
                note_untracked(l, false);
        WRITE_ONCE(l->t.table[i], 0);
        bit_clear(l->present, i);
        note_read_only(l, i);
        gather_page(g, l->t.va + ((uint64_t)i << PAGE_SHIFT));
}

static bool leaf_is_empty(const struct leaf *l)
{
        uint64_t any = 0;
        for (unsigned w = 0; w < LEAF_WORDS; w++)
                any |= l->present[w];
        return !any;
}

/* An empty table goes only when all its range was asked for: what maps and unmaps pages in one place keeps it. */
static void leaf_drop(struct mmu *m, struct leaf *l, struct gather *g)
{
        l->t.withheld = false;
        l->words = 0;
        list_del(&l->dirty);
        *l->t.above = 0;
        rb_erase(&m->leaves, &l->node);
        if (m->hint[l->t.va / LEAF_SPAN % HINTS] == l)
                m->hint[l->t.va / LEAF_SPAN % HINTS] = NULL;
        gather_page(g, l->t.va);
        l->next = g->freed;
        g->freed = l;
}

static void unmap_page(struct mmu *m, uint64_t va)
{
        unsigned i = va >> PAGE_SHIFT & 511;
        struct leaf *l;
        uint64_t old;

        spin_acquire(&m->lock);
        l = leaf_find(m, va);
        old = l ? l->t.table[i] : 0;
        if (!old) {
                spin_release(&m->lock);
                return;
        }
        if (unlikely(old & PTE_UNTRACKED))
                note_untracked(l, false);
        WRITE_ONCE(l->t.table[i], 0);
        l->present[i >> 6] &= ~(1ul << (i & 63));
        note_read_only(l, i);
        spin_release(&m->lock);
        flush_page(m, va);
}

void mmu_unmap(struct mmu *m, uint64_t va, uint64_t len)
{
        uint64_t end = va + len;
        struct leaf *l, *next;
        struct gather g = {0};

        if (len == PAGE_SIZE) {
                unmap_page(m, va);
                return;
        }
        spin_acquire(&m->lock);
        for (l = leaf_at_or_after(m, va); l && l->t.va < end; l = next) {
                bool whole = va <= l->t.va && end - l->t.va >= LEAF_SPAN;
                next = end - l->t.va > LEAF_SPAN ? leaf_next(l) : NULL;
                each_present(l, va, end, &g, act_unmap, 0);
                if (whole && leaf_is_empty(l))
                        leaf_drop(m, l, &g);
        }
        spin_release(&m->lock);
        flush(m, &g);
}

static void protect_range(struct leaf *l, uint64_t va, uint64_t end, struct gather *g)
{
        unsigned from = va > l->t.va ? (unsigned)((va - l->t.va) >> PAGE_SHIFT) : 0;
        unsigned to = end - l->t.va < LEAF_SPAN ? (unsigned)((end - l->t.va) >> PAGE_SHIFT) : 512;

        for (unsigned w = from / 64; w <= (to - 1) / 64; w++) {
                uint64_t bits = l->t.writable[w] & word_mask(w, from, to);
                for (; bits; bits &= bits - 1) {
                        unsigned i = w * 64 + (unsigned)__builtin_ctzl(bits);
                        l->t.table[i] &= ~PTE_W;
                        note_read_only(l, i);
                        gather_page(g, l->t.va + ((uint64_t)i << PAGE_SHIFT));
                }
        }
}

void mmu_protect(struct mmu *m, uint64_t va, uint64_t len)
{
        uint64_t end = va + len;
        struct gather g = {0};

        spin_acquire(&m->lock);
        for (struct leaf *l = leaf_at_or_after(m, va); l && l->t.va < end; l = leaf_next(l)) {
                if (!l->t.nwritable || l->t.withheld)
                        continue;
                if (va <= l->t.va && end - l->t.va >= LEAF_SPAN && leaf_may_withhold(&l->t)) {
                        leaf_withhold(&l->t); /* stays on its list: the barrier passes it over */
                        gather_page(&g, l->t.va);
                        gather_page(&g, l->t.va + LEAF_SPAN - PAGE_SIZE);
                } else {
                        protect_range(l, va, end, &g);
                }
        }
        spin_release(&m->lock);
        flush(m, &g);
}

static inline void act_set_x(struct leaf *l, unsigned i, struct gather *g, unsigned executable)
{
        uint64_t e = l->t.table[i];

        l->t.table[i] = executable ? e & ~PTE_NX : e | PTE_NX;
        if (!executable && !(e & PTE_NX))
                gather_page(g, l->t.va + ((uint64_t)i << PAGE_SHIFT));
}

void mmu_set_x(struct mmu *m, uint64_t va, uint64_t len, bool executable)
{
        uint64_t end = va + len;
        struct gather g = {0};

        spin_acquire(&m->lock);
        for (struct leaf *l = leaf_at_or_after(m, va); l && l->t.va < end; l = leaf_next(l))
                each_present(l, va, end, &g, act_set_x, executable);
        spin_release(&m->lock);
        flush(m, &g);
}

bool mmu_accessed_clear(struct mmu *m, uint64_t va)
{
        struct leaf *l;
        bool was = false;

        spin_acquire(&m->lock);
        l = leaf_find(m, va);
        if (l) {
                uint64_t *e = &l->t.table[va >> PAGE_SHIFT & 511];
                was = __atomic_fetch_and(e, ~PTE_A, __ATOMIC_RELAXED) & PTE_A;
        }
        spin_release(&m->lock);
        return was;
}

/* ---- barrier ---- */

static unsigned protect_user_spaces(void)
{
        struct list *s, *t;
        unsigned cleared = 0;

        while ((s = list_pop(&dirty_spaces))) {
                struct mmu *m = list_entry(s, struct mmu, dirty_link);
                unsigned n = 0;

                for (; n < TABLES_MIN && (t = list_pop(&m->dirty)); n++)
                        cleared += leaf_protect(&list_entry(t, struct leaf, dirty)->t);
                if (n == TABLES_MIN && !list_empty(&m->dirty)) {
                        space_withhold(m);
                        cleared++;
                }
        }
        return cleared;
}

void mmu_flush_at_release(void)
{
        stock_this()->generation_seen = __atomic_add_fetch(&generation, 1, __ATOMIC_RELEASE);
        tlb_flush_local(0, TLB_ALL);
}

unsigned mmu_protect_all(bool freeze)
{
        unsigned cleared = protect_user_spaces() + arena_protect_all(freeze);

        mmu_flush_at_release();
        return cleared;
}

/* ---- eviction ---- */

static void sweep_leaf(struct leaf *l, void (*mapped)(paddr_t pa))
{
        for (unsigned w = 0; w < LEAF_WORDS; w++) {
                for (uint64_t bits = l->present[w]; bits; bits &= bits - 1) {
                        unsigned i = w * 64 + (unsigned)__builtin_ctzl(bits);
                        uint64_t e = l->t.table[i];

                        if (e & PTE_UNTRACKED)
                                continue;
                        if (e & PTE_A) {
                                l->t.table[i] = e & ~PTE_A;
                                mapped(e & PTE_PA);
                        } else {
                                l->t.table[i] = 0;
                                bit_clear(l->present, i);
                                note_read_only(l, i);
                        }
                }
        }
}

void mmu_sweep(void (*mapped)(paddr_t pa))
{
        struct mmu *m;

        list_each(m, &all_spaces, all_link)
        {
                for (struct rb_node *n = rb_first(&m->leaves); n; n = rb_next(n))
                        sweep_leaf(leaf_entry(n), mapped);
        }
}

/* ---- checking ---- */

static void check_leaf(const struct mmu *m, const struct leaf *l)
{
        unsigned count = 0;

        for (unsigned i = 0; i < 512; i++) {
                uint64_t e = l->t.table[i], va = l->t.va + ((uint64_t)i << PAGE_SHIFT);
                bool noted = bit_test(l->t.writable, i);
                count += noted;
                if (bit_test(l->present, i) != (e != 0))
                        panic("mmu: presence of %#lx is not as noted", va);
                if (e & PTE_UNTRACKED)
                        continue;
                if (noted != !!(e & PTE_W))
                        panic("mmu: writability of %#lx is not as noted", va);
                if ((e & PTE_W) && !l->t.withheld && !m->withheld && !arena_frame_is_dirty(e & PTE_PA))
                        panic("P4: %#lx of address space %p is writable, its page is not noted dirty", va,
                              (const void *)m);
        }
        if (count != l->t.nwritable || !!(*l->t.above & PTE_W) == l->t.withheld)
                panic("mmu: leaf table of %#lx is not as noted", l->t.va);
        if (count && !l->t.withheld && list_empty(&l->dirty))
                panic("mmu: leaf table of %#lx has writable leaves and is on no list", l->t.va);
}

void mmu_check_p4(void)
{
        struct mmu *m;

        arena_check_begin();
        list_each(m, &all_spaces, all_link)
        {
                for (const struct upper *u = m->tops; m->withheld && u; u = u->next)
                        if (*u->parent & PTE_W)
                                panic("mmu: address space %p is withheld, and its PML4 is not", (const void *)m);
                for (struct rb_node *n = rb_first(&m->leaves); n; n = rb_next(n))
                        check_leaf(m, leaf_entry(n));
        }
}
