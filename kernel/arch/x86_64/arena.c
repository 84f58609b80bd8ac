/*
 * arena.c - page tables of the arena, the kernel's mapping of the persistent space (arch/mmu.h).
 *
 * The second-level tables are all there from the start and shared by all address spaces (paging.c); below them tables are made when a
 * page is first mapped and stay. Beside the hardware's tree stands a tree of descriptors of the same shape, so finding the
 * descriptor of a leaf table is four loads. Writable leaves are exactly the pages noted dirty in this epoch, up to withheld tables (mmu.c).
 *
 * A barrier that freezes hands the dirty pages of the epoch that ends over as the frozen set: per table a bitmap `set`, emptied by the one who takes from it
 * (the writer), and `frozen`, whose bits go one by one as the pages' contents are captured, by whoever is first. Both are empty before the next such barrier.
 *
 * So that the pause does not grow with what was written, the barrier does this for TABLES_MIN tables of a GiB. If more are dirty, it withholds the GiB as a whole, in the
 * one entry above its directory; whoever asks about a page of it next, or takes the frozen set, does the rest first (settle). Until then nothing in it has changed.
 *
 * Locks: each directory's and leaf table's own (in this order), tree_lock while tables are made; all volatile, innermost but for the allocators', interrupts as they are: handlers
 * never touch the space. Lists of dirty tables and directories are pushed to without a lock, and emptied at the barrier alone.
 */
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/mmu_leaf.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/tlb.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/bitmap.h"
#include "kernel/lib/string.h"

#define PENDING_MAX        8
#define ENTRY_FLAGS        (PTE_P | PTE_A | PTE_D | PTE_NX | PTE_KEY1) /* the key's bits are ignored where there are no keys */
#define PKRS_KEY1_NO_WRITE 8

struct arena_leaf {
        struct leaf_table t;
        struct arena_dir *dir;
        struct spinlock lock;
        struct arena_leaf *next_dirty;
        bool queued; /* on its directory's dirty list; by who raised nwritable from 0 */
        struct arena_leaf *next_frozen;
        uint64_t set[LEAF_WORDS];    /* of the frozen set, not yet taken; the writer's alone */
        uint64_t frozen[LEAF_WORDS]; /* [a] not captured yet */
};

enum withheld { NOT_WITHHELD, PROTECTS, FREEZES };

/* A page directory: 1 GiB. */
struct arena_dir {
        uint64_t *above; /* the entry that names it */
        struct spinlock lock;
        enum withheld withheld;   /* [a] W is clear in *above, and `dirty` is what the barrier left to do */
        uint32_t queued;          /* [a] on the list of dirty directories */
        struct arena_leaf *dirty; /* [a] tables */
        struct arena_dir *next_dirty, *next_withheld;
        struct arena_leaf *leaves[512]; /* [a] */
};

/* ppn = 5 bits of PDPT, 9 of PD, 9 of leaf table, 9 of page */
static struct arena_dir **directory[32];
static struct spinlock tree_lock;
static struct arena_dir *dirty_dirs;    /* [a] */
static struct arena_dir *withheld_dirs; /* with pages of the frozen set; the writer's */
/* [a] Tables with pages of the frozen set; the writer's once no directory is withheld. */
static struct arena_leaf *frozen_list;
static bool frozen_sorted;

static struct {
        uint64_t dirty;    /* pages noted in this epoch by this CPU */
        unsigned npending; /* unmapped since the last flush; > PENDING_MAX: too many to list */
        uint64_t pending[PENDING_MAX];
} __attribute__((aligned(64))) local[MAX_CPUS];

/* Onto a list, of which nobody takes anything off meanwhile. */
#define push(list, item, link)                                                                                         \
        do {                                                                                                           \
                *(link) = __atomic_load_n(list, __ATOMIC_RELAXED);                                                     \
        } while (!__atomic_compare_exchange_n(list, link, item, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))

static inline struct arena_leaf *leaf_find(ppn_t ppn)
{
        struct arena_dir **dirs = __atomic_load_n(&directory[ppn >> 27 & 31], __ATOMIC_ACQUIRE);
        struct arena_dir *dir = likely(dirs) ? __atomic_load_n(&dirs[ppn >> 18 & 511], __ATOMIC_ACQUIRE) : NULL;
        return likely(dir) ? __atomic_load_n(&dir->leaves[ppn >> 9 & 511], __ATOMIC_ACQUIRE) : NULL;
}

static void *zeroed_frame(void)
{
        paddr_t pa = frame_alloc();
        if (!pa)
                return NULL;
        return memset(direct(pa), 0, PAGE_SIZE);
}

/* tree_lock held. NULL: no memory; what was made meanwhile stays for the next try. */
static struct arena_dir *dir_make_locked(ppn_t ppn)
{
        struct arena_dir ***dirs = &directory[ppn >> 27 & 31], *dir;
        uint64_t *above = &arena_pdpt[ppn >> 27 & 31][ppn >> 18 & 511];

        if (!*above) {
                void *pd = zeroed_frame();

                if (!pd)
                        return NULL;
                *above = direct_pa(pd) | PTE_P | PTE_W | PTE_A;
        }
        if (!*dirs) {
                void *frame = zeroed_frame();

                if (!frame)
                        return NULL;
                __atomic_store_n(dirs, frame, __ATOMIC_RELEASE);
        }
        dir = (*dirs)[ppn >> 18 & 511];
        if (!dir) {
                dir = kzalloc(sizeof(*dir));
                if (!dir)
                        return NULL;
                dir->above = above;
                __atomic_store_n(&(*dirs)[ppn >> 18 & 511], dir, __ATOMIC_RELEASE);
        }
        return dir;
}

static struct arena_leaf *leaf_make_locked(ppn_t ppn)
{
        struct arena_leaf *l = leaf_find(ppn);
        struct arena_dir *dir;

        if (l)
                return l;
        dir = dir_make_locked(ppn);
        l = dir ? kzalloc(sizeof(*l)) : NULL;
        if (!l)
                return NULL;
        l->t.table = zeroed_frame();
        if (!l->t.table) {
                kfree(l);
                return NULL;
        }
        l->dir = dir;
        l->t.va = SPACE_BASE + (ALIGN_DOWN(ppn, 512ul) << PAGE_SHIFT);
        l->t.above = (uint64_t *)direct(*dir->above & PTE_PA) + (ppn >> 9 & 511);
        *l->t.above = direct_pa(l->t.table) | PTE_P | PTE_W | PTE_A;
        __atomic_store_n(&dir->leaves[ppn >> 9 & 511], l, __ATOMIC_RELEASE);
        return l;
}

static struct arena_leaf *leaf_make(ppn_t ppn)
{
        struct arena_leaf *l;

        spin_acquire(&tree_lock);
        l = leaf_make_locked(ppn);
        spin_release(&tree_lock);
        return l;
}

/* The barrier's step for a dirty table. */
static unsigned protect(struct arena_leaf *l, bool freeze)
{
        l->queued = false;
        if (freeze) {
                for (unsigned w = 0; w < LEAF_WORDS; w++)
                        l->set[w] = l->frozen[w] = l->t.writable[w];
                push(&frozen_list, l, &l->next_frozen);
        }
        return leaf_protect(&l->t);
}

static __attribute__((noinline)) void dir_settle(struct arena_dir *dir)
{
        spin_acquire(&dir->lock);
        if (dir->withheld) {
                for (struct arena_leaf *l = dir->dirty; l; l = l->next_dirty)
                        protect(l, dir->withheld == FREEZES);
                dir->dirty = NULL;
                __atomic_fetch_or(dir->above, PTE_W, __ATOMIC_RELEASE);
                __atomic_store_n(&dir->withheld, NOT_WITHHELD, __ATOMIC_RELEASE);
        }
        spin_release(&dir->lock);
}

/* Before anything about the pages of l is read or changed but presence. */
static inline void settle(struct arena_leaf *l)
{
        if (unlikely(__atomic_load_n(&l->dir->withheld, __ATOMIC_ACQUIRE)))
                dir_settle(l->dir);
}

/* Leaf lock held, settled. True if the page was not noted yet. The entry's own W is the caller's. */
static inline bool note(struct arena_leaf *l, unsigned i)
{
        if (unlikely(l->t.withheld))
                leaf_push_down(&l->t);
        if (bit_test(l->t.writable, i))
                return false;
        bit_set(l->t.writable, i);
        l->t.nwritable++;
        if (!l->queued) {
                l->queued = true;
                push(&l->dir->dirty, l, &l->next_dirty);
                if (!__atomic_exchange_n(&l->dir->queued, 1, __ATOMIC_RELAXED))
                        push(&dirty_dirs, l->dir, &l->dir->next_dirty);
        }
        local[cpu_this()->id].dirty++;
        return true;
}

static inline void forget(struct arena_leaf *l, unsigned i)
{
        if (bit_test(l->t.writable, i)) {
                bit_clear(l->t.writable, i);
                l->t.nwritable--;
        }
}

/* Settled. */
static inline void captured(struct arena_leaf *l, unsigned i)
{
        __atomic_fetch_and(&l->frozen[i >> 6], ~(1ul << (i & 63)), __ATOMIC_RELEASE);
}

int arena_map(ppn_t ppn, paddr_t frame, bool writable)
{
        struct arena_leaf *l = leaf_find(ppn);
        unsigned i = ppn & 511;
        uint64_t entry = frame | ENTRY_FLAGS;
        int r = -EEXIST;

        if (unlikely(!l)) {
                l = leaf_make(ppn);
                if (!l)
                        return -ENOMEM;
        }
        if (writable)
                settle(l);
        spin_acquire(&l->lock);
        if (!l->t.table[i]) {
                if (writable) {
                        note(l, i);
                        entry |= PTE_W;
                }
                WRITE_ONCE(l->t.table[i], entry);
                r = 0;
        }
        spin_release(&l->lock);
        return r;
}

paddr_t arena_frame(ppn_t ppn)
{
        struct arena_leaf *l = leaf_find(ppn);
        uint64_t e = l ? READ_ONCE(l->t.table[ppn & 511]) : 0;

        return e & PTE_P ? e & PTE_PA : 0;
}

static void flush_later(ppn_t ppn)
{
        unsigned id = cpu_this()->id;

        if (local[id].npending < PENDING_MAX)
                local[id].pending[local[id].npending] = SPACE_BASE + (ppn << PAGE_SHIFT);
        local[id].npending++;
}

void arena_unmap(ppn_t ppn)
{
        struct arena_leaf *l = leaf_find(ppn);

        if (!l)
                return;
        settle(l);
        spin_acquire(&l->lock);
        WRITE_ONCE(l->t.table[ppn & 511], 0);
        forget(l, ppn & 511);
        captured(l, ppn & 511);
        spin_release(&l->lock);
        flush_later(ppn);
}

void arena_set_present(ppn_t ppn, bool present)
{
        struct arena_leaf *l = leaf_find(ppn);
        uint64_t *e;

        if (!l)
                return;
        spin_acquire(&l->lock);
        e = &l->t.table[ppn & 511];
        if (present && (*e & PTE_SET_ASIDE)) {
                WRITE_ONCE(*e, (*e | PTE_P) & ~PTE_SET_ASIDE);
        } else if (!present && (*e & PTE_P)) {
                WRITE_ONCE(*e, (*e & ~PTE_P) | PTE_SET_ASIDE);
                flush_later(ppn);
        }
        spin_release(&l->lock);
}

bool arena_note_dirty(ppn_t ppn)
{
        struct arena_leaf *l = leaf_find(ppn);
        bool new = false;

        assert(l);
        settle(l);
        spin_acquire(&l->lock);
        assert(l->t.table[ppn & 511]);
        if (note(l, ppn & 511)) {
                l->t.table[ppn & 511] |= PTE_W;
                new = true;
        }
        spin_release(&l->lock);
        return new;
}

bool arena_frozen(ppn_t ppn)
{
        struct arena_leaf *l = leaf_find(ppn);

        if (l)
                settle(l);
        return l && __atomic_load_n(&l->frozen[ppn >> 6 & 7], __ATOMIC_ACQUIRE) >> (ppn & 63) & 1;
}

void arena_captured(ppn_t ppn)
{
        struct arena_leaf *l = leaf_find(ppn);

        if (!l)
                return;
        settle(l);
        captured(l, ppn & 511);
}

static struct arena_leaf *frozen_merge(struct arena_leaf *a, struct arena_leaf *b)
{
        struct arena_leaf *first = NULL, **end = &first;

        while (a && b) {
                struct arena_leaf **less = a->t.va < b->t.va ? &a : &b;

                *end = *less;
                end = &(*less)->next_frozen;
                *less = *end;
        }
        *end = a ? a : b;
        return first;
}

/* Merge sort, bottom up: run[i] has 2^i tables or none. */
static void frozen_sort(void)
{
        struct arena_leaf *run[32] = {NULL}, *l;
        unsigned i;

        while ((l = frozen_list)) {
                frozen_list = l->next_frozen;
                l->next_frozen = NULL;
                for (i = 0; run[i]; i++) {
                        l = frozen_merge(run[i], l);
                        run[i] = NULL;
                }
                run[i] = l;
        }
        for (i = 0; i < ARRAY_SIZE(run); i++)
                frozen_list = frozen_merge(run[i], frozen_list);
        frozen_sorted = true;
}

unsigned arena_frozen_take(ppn_t *ppns, unsigned max)
{
        unsigned n = 0;

        for (; withheld_dirs; withheld_dirs = withheld_dirs->next_withheld)
                dir_settle(withheld_dirs);
        if (!frozen_sorted)
                frozen_sort();
        while (frozen_list && n < max) {
                struct arena_leaf *l = frozen_list;
                ppn_t first = (l->t.va - SPACE_BASE) >> PAGE_SHIFT;
                bool more = false;

                for (unsigned w = 0; w < LEAF_WORDS; w++) {
                        for (; l->set[w] && n < max; l->set[w] &= l->set[w] - 1)
                                ppns[n++] = first + w * 64 + (unsigned)__builtin_ctzl(l->set[w]);
                        more |= l->set[w] != 0;
                }
                if (!more)
                        frozen_list = l->next_frozen;
        }
        return n;
}

bool arena_is_dirty(ppn_t ppn)
{
        struct arena_leaf *l = leaf_find(ppn);

        if (l)
                settle(l);
        return l && !l->t.withheld && bit_test(l->t.writable, ppn & 511);
}

/* Only what this CPU took away since its last flush needs to go; a flush that does not know what it is for takes all. */
void arena_flush(void)
{
        unsigned id = cpu_this()->id, n = local[id].npending;

        local[id].npending = 0;
        if (n == 0 || n > PENDING_MAX) {
                tlb_flush_local(0, TLB_ALL);
                tlb_shoot(tlb_others(), NULL, 0, TLB_ALL);
                return;
        }
        for (unsigned i = 0; i < n; i++)
                tlb_flush_local(local[id].pending[i], 1);
        if (n == 1)
                tlb_shoot(tlb_others(), NULL, local[id].pending[0], 1);
        else
                tlb_shoot(tlb_others(), NULL, 0, TLB_ALL);
}

bool arena_guard(bool on)
{
        if (cpu_features.pks)
                wrmsr(MSR_PKRS, on ? PKRS_KEY1_NO_WRITE : 0);
        return cpu_features.pks;
}

uint64_t arena_dirty_count(void)
{
        uint64_t n = 0;
        for (unsigned i = 0; i < cpu_count; i++)
                n += READ_ONCE(local[i].dirty);
        return n;
}

static unsigned dir_protect(struct arena_dir *dir, bool freeze)
{
        unsigned cleared = 0;

        for (unsigned n = 0; dir->dirty && n < TABLES_MIN; n++) {
                struct arena_leaf *l = dir->dirty;

                dir->dirty = l->next_dirty;
                cleared += protect(l, freeze);
        }
        if (!dir->dirty)
                return cleared;
        dir->withheld = freeze ? FREEZES : PROTECTS;
        *dir->above &= ~PTE_W;
        if (freeze) {
                dir->next_withheld = withheld_dirs;
                withheld_dirs = dir;
        }
        return cleared + 1;
}

unsigned arena_protect_all(bool freeze)
{
        unsigned cleared = 0;

        if (freeze) {
                assert(!frozen_list && !withheld_dirs);
                frozen_sorted = false;
        }
        for (; dirty_dirs; dirty_dirs = dirty_dirs->next_dirty) {
                dirty_dirs->queued = 0;
                cleared += dir_protect(dirty_dirs, freeze);
        }
        for (unsigned i = 0; i < cpu_count; i++)
                local[i].dirty = 0;
        return cleared;
}

/* ---- bitmaps of frames: what eviction and the P4 checker note ---- */

struct frame_set {
        uint64_t *bits;
        uint64_t max;
};

/* Empties it; -ENOMEM: there is none. */
static int frame_set_clear(struct frame_set *s)
{
        if (!s->bits) {
                for (unsigned i = 0; i < ram_ranges; i++)
                        s->max = MAX(s->max, ram_map[i].end >> PAGE_SHIFT);
                s->bits = vmalloc(s->max / 8 + 8);
                if (!s->bits)
                        return -ENOMEM;
        }
        memset(s->bits, 0, s->max / 8 + 8);
        return 0;
}

static void frame_set_add(struct frame_set *s, paddr_t pa)
{
        if (pa >> PAGE_SHIFT < s->max)
                bit_set(s->bits, pa >> PAGE_SHIFT);
}

static bool frame_set_has(const struct frame_set *s, paddr_t pa)
{
        return pa >> PAGE_SHIFT < s->max && bit_test(s->bits, pa >> PAGE_SHIFT);
}

/* ---- eviction ---- */

static struct frame_set mapped_frames;
static paddr_t evicted; /* chained through their first words until the flush */

static void note_mapped(paddr_t pa)
{
        frame_set_add(&mapped_frames, pa);
}

int arena_evict_begin(void)
{
        int r = frame_set_clear(&mapped_frames);

        if (!r)
                mmu_sweep(note_mapped);
        return r;
}

bool arena_evict(ppn_t ppn)
{
        struct arena_leaf *l = leaf_find(ppn);
        unsigned i = ppn & 511;
        uint64_t e = l ? l->t.table[i] : 0;
        bool dirty = arena_is_dirty(ppn);

        if (!(e & PTE_P) || dirty || arena_frozen(ppn) || frame_set_has(&mapped_frames, e & PTE_PA))
                return false;
        if (e & PTE_A) {
                l->t.table[i] = e & ~PTE_A;
                return false;
        }
        if (bit_test(l->t.writable, i))
                leaf_push_down(&l->t);
        l->t.table[i] = 0;
        *(paddr_t *)direct(e & PTE_PA) = evicted;
        evicted = e & PTE_PA;
        return true;
}

void arena_evict_end(void)
{
        mmu_flush_at_release();
        while (evicted) {
                paddr_t pa = evicted;

                evicted = *(paddr_t *)direct(pa);
                frame_free(pa);
        }
}

/* ---- checking P4: a bitmap of the frames that are writable through the arena ---- */

static struct frame_set dirty_frames;

static void check_leaf(struct arena_leaf *l)
{
        unsigned count = 0;

        for (unsigned i = 0; i < 512; i++) {
                uint64_t e = l->t.table[i];
                bool noted = bit_test(l->t.writable, i);
                count += noted;
                if (noted != !!(e & PTE_W))
                        panic("arena: writability of %#lx is not as noted", l->t.va + ((uint64_t)i << PAGE_SHIFT));
                if (noted && !l->t.withheld && !l->dir->withheld)
                        frame_set_add(&dirty_frames, e & PTE_PA);
        }
        if (count != l->t.nwritable || !!(*l->t.above & PTE_W) == l->t.withheld)
                panic("arena: leaf table of %#lx is not as noted", l->t.va);
}

static void check_dir(struct arena_dir *dir)
{
        if (!!(*dir->above & PTE_W) == (dir->withheld != NOT_WITHHELD))
                panic("arena: directory %p is not as noted", (void *)dir);
        for (unsigned i = 0; i < 512; i++)
                if (dir->leaves[i])
                        check_leaf(dir->leaves[i]);
}

void arena_check_begin(void)
{
        if (frame_set_clear(&dirty_frames))
                panic("no memory to check P4");
        for (unsigned a = 0; a < 32; a++)
                for (unsigned b = 0; directory[a] && b < 512; b++)
                        if (directory[a][b])
                                check_dir(directory[a][b]);
}

bool arena_frame_is_dirty(paddr_t pa)
{
        return frame_set_has(&dirty_frames, pa);
}
