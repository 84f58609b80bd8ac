/*
 * address_space.c - the life of an address space: made, shared copy-on-write at fork, taken apart in pieces; its volatile half; the owner field.
 */
#include "posix/mm/mm_internal.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

/* ---- the volatile half ----------------------------------------------------------------------------------------------------- */

struct mm_volatile *mm_chunk[MM_SLOTS / MM_CHUNK]; /* made when the first address space of the chunk runs */

struct mm_volatile *mm_volatile_slot(unsigned slot)
{
        struct mm_volatile *row = __atomic_load_n(&mm_chunk[slot / MM_CHUNK], __ATOMIC_ACQUIRE);

        return row && row[slot % MM_CHUNK].mm ? &row[slot % MM_CHUNK] : NULL;
}

struct mm_volatile *mm_volatile_peek(const struct mm *m)
{
        struct mm_volatile *row = __atomic_load_n(&mm_chunk[m->slot / MM_CHUNK], __ATOMIC_ACQUIRE);

        return row && row[m->slot % MM_CHUNK].mm == m ? &row[m->slot % MM_CHUNK] : NULL;
}

struct mm_volatile *mm_volatile(struct mm *m)
{
        struct mm_volatile **row = &mm_chunk[m->slot / MM_CHUNK], *mv;

        if (!__atomic_load_n(row, __ATOMIC_ACQUIRE)) {
                struct mm_volatile *new = kzalloc(MM_CHUNK * sizeof(*new)), *none = NULL;

                if (!new)
                        return NULL;
                if (!__atomic_compare_exchange_n(row, &none, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                        kfree(new);
        }
        mv = &(*row)[m->slot % MM_CHUNK];
        if (mv->mm != m)
                __atomic_store_n(&mv->mm, m, __ATOMIC_RELEASE);
        return mv;
}

struct mmu *mm_tables(struct mm *m)
{
        struct mm_volatile *mv = mm_volatile(m);
        struct mmu *none = NULL, *new;

        if (!mv)
                return NULL;
        if (likely(mv->mmu))
                return mv->mmu;
        new = mmu_create();
        /* Two threads of a process may begin at once on two CPUs. */
        if (new && !__atomic_compare_exchange_n(&mv->mmu, &none, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                mmu_destroy(new);
        return mv->mmu;
}

/* ---- made and unmade ------------------------------------------------------------------------------------------------------- */

static bool slot_claim(uint32_t *slot)
{
        struct posix_root *root = posix_root();

        for (unsigned i = 0; i < ARRAY_SIZE(root->mm_slot_bitmap); i++) {
                uint64_t word = READ_ONCE(root->mm_slot_bitmap[i]);

                while (word != ~0ul) {
                        unsigned bit = (unsigned)__builtin_ctzl(~word);

                        if (!(__atomic_fetch_or(&root->mm_slot_bitmap[i], 1ul << bit, __ATOMIC_SEQ_CST) >> bit & 1)) {
                                *slot = i * 64 + bit;
                                return true;
                        }
                        word = READ_ONCE(root->mm_slot_bitmap[i]);
                }
        }
        return false;
}

struct mm *mm_new(void)
{
        uint32_t slot;
        struct mm *m;

        if (!slot_claim(&slot))
                return NULL;
        m = object_new(TYPE_MM);
        m->slot = slot;
        m->mmap_base = USER_TOP - (128ul << 20);
        return m;
}

static void no_retry(void *arg)
{
        panic("a page is absent where volatile state is dropped (%p)", arg);
}

/*
 * A CPU that has just left the last thread may still have the tables in CR3 until it finds something else to do. Then they stay with the slot, empty, and serve the
 * next address space there.
 */
static void volatile_drop(struct mm *m)
{
        struct mm_volatile *mv = mm_volatile_peek(m);
        struct mmu *tables;

        if (!mv)
                return;
        mapping_leave_all(mv);
        tables = mv->mmu;
        if (tables && cpu_this()->mmu == tables)
                mmu_load(NULL);
        if (tables && !mmu_is_loaded(tables)) {
                mmu_destroy(tables);
                tables = NULL;
        }
        if (tables)
                mmu_unmap(tables, 0, USER_TOP);
        *mv = (struct mm_volatile){.mmu = tables};
}

/* Storm: page tables and registers go; what is needed comes with the next faults. All CPUs are parked, no section is open. */
void mm_forget(void)
{
        for (unsigned slot = 0; slot < MM_SLOTS; slot++) {
                struct mm_volatile *mv = mm_volatile_slot(slot);

                if (!mv)
                        continue;
                section_begin(no_retry, NULL);
                volatile_drop(mv->mm);
                section_end();
        }
}

/* What may write the program again. Set by execve, kept over fork. */
static void exe_drop(struct mm *m)
{
        if (!m->exe)
                return;
        __atomic_add_fetch(&m->exe->writers, 1, __ATOMIC_RELAXED);
        object_put(m->exe);
        m->exe = NULL;
}

#define PIECE_RELEASE 16u

static void mm_touch_object(void *object)
{
        struct mm *m = object;
        unsigned n = 0;

        if (m->first)
                ptree_next(&m->first->anon, &(uint64_t){0});
        for (struct vma *v = m->first; v && n < PIECE_RELEASE; v = v->next, n++)
                area_touch(v);
        if (m->exe)
                (void)READ_ONCE(m->exe->writers);
}

/* The first area leaves the tree of a dead address space, which nobody searches any more: without balancing it, but so that nothing points at the area afterwards. */
static void unlink_first(struct vma *v)
{
        struct rb_node *n = &v->node;

        if (n->right)
                n->right->parent = n->parent;
        if (n->parent)
                n->parent->left = n->right;
        n->right = n->parent = NULL;
        if (v->next)
                v->next->prev = NULL;
}

static bool mm_release_object(void *object)
{
        struct mm *m = object;
        struct vma *v;
        unsigned n = PIECE_RELEASE; /* as many as were touched */

        volatile_drop(m);
        exe_drop(m);
        m->tree.node = NULL;
        while ((v = m->first) && n--) {
                struct vma *next = v->next;

                unlink_first(v);
                if (piece_full() || !area_free(v, PIECE_DIRTY - section_this()->dirtied))
                        return true;
                m->first = next;
        }
        if (m->first)
                return true;
        __atomic_fetch_and(&posix_root()->mm_slot_bitmap[m->slot / 64], ~(1ul << m->slot % 64), __ATOMIC_SEQ_CST);
        space_free(m);
        return false;
}

/* ---- the owner field ------------------------------------------------------------------------------------------------------- */

long mm_enter(struct call *c, struct mm *m)
{
        if (!lock_held(LOCK_MM, m)) /* loops come back with and without it */
                lock(LOCK_MM, m);
        if (likely(!m->owner || m->owner == c->thread))
                return 0;
        return call_wait(c, CONDITION, &m->owner, UNINTERRUPTIBLE, NO_DEADLINE);
}

void mm_owner_take(struct call *c, struct mm *m)
{
        m->owner = c->thread;
}

void mm_owner_drop(struct mm *m)
{
        if (m->owner) {
                m->owner = NULL;
                wake(&m->owner);
        }
}

long mm_leave(struct call *c, struct mm *m, long result)
{
        bool more = result <= CALL_WAIT && result >= CALL_DONE;

        if (m->owner == c->thread && !more) {
                changes(c);
                mm_owner_drop(m);
        }
        return result;
}

/* ---- fork ------------------------------------------------------------------------------------------------------------------ */

#define PIECE_FORK 24u
#define FORK_TURN  64u

/* One area of the child. Private pages are shared copy-on-write, by one reference where that is possible. False: they go in pieces. */
static bool area_fork(struct mm *to, struct vma *v)
{
        struct vma *w;

        if (v->flags & VMA_DONTFORK)
                return true;
        w = mm_map_area(to, v->start, v->end - v->start, v->prot, v->flags & ~(uint32_t)MAP_LOCKED, v->inode, v->pgoff,
                        v->file);
        if (!v->anon.root || v->flags & VMA_WIPEONFORK)
                return true;
        if (!ptree_share_whole(&v->anon))
                return false;
        ptree_share(&w->anon, &v->anon);
        return true;
}

/*
 * Pages of the one area that is half copied: to->fork_index - 1 is the next index. One piece; a section that has not changed anything. Locks are held as in
 * mm_fork. True: the area is done.
 */
static bool area_fork_pages(struct call *c, struct mm *to, struct vma *v)
{
        struct vma *w = mm_find(to, to->fork_at);
        uint64_t index = to->fork_index - 1;
        bool any = ptree_next(&v->anon, &index) != 0;

        if (any)
                ptree_cost(&w->anon, index);
        changes(c);
        if (any)
                index = ptree_share_piece(&w->anon, &v->anon, index);
        to->fork_index = any && index != ~0ul ? index + 1 : 0;
        return !to->fork_index;
}

static void fork_protect(struct mm *from, uint64_t start, uint64_t end)
{
        struct mm_volatile *mv = mm_volatile_peek(from);

        if (mv && mv->mmu)
                mmu_protect(mv->mmu, start, end - start);
}

/* A piece is done and more is to come. */
static long fork_again(struct call *c, struct mm *from, struct mm *to)
{
        c->objects[3] = &to->obj;
        c->counted |= 1u << 3;
        mm_owner_take(c, from);
        return CALL_AGAIN;
}

/*
 * Does a device work on pages of this space? Shared with a child, the page would be the child's when the parent writes to it first, and the device would go on there. The fork waits till that is
 * over; other threads copy meanwhile. Once a fork that goes in pieces owns the space nothing is begun.
 */
static bool dma_under_way(const struct mm *from)
{
        struct mm_volatile *mv = mm_volatile_peek(from);

        if (!mv)
                return false;
        mv->fork_waits = mv->ndma != 0;
        mv->fork_turn = mv->fork_waits ? FORK_TURN : 0;
        return mv->fork_waits;
}

long mm_fork(struct call *c, struct mm *from, struct mm **out)
{
        struct mm *to = (struct mm *)c->objects[3];
        struct vma *first, *v;
        unsigned n = 0;
        long r = mm_enter(c, from);

        if (r)
                return r;
        if (!to && dma_under_way(from))
                return call_wait(c, CONDITION, &from->fork_at, UNINTERRUPTIBLE, NO_DEADLINE);
        first = to ? mm_find_next(from, to->fork_at) : from->first;
        if (to && to->fork_index) {
                if (!space_room(PTREE_COST_MAX)) {
                        changes(c);
                        mm_owner_drop(from);
                        return -ENOMEM;
                }
                if (area_fork_pages(c, to, first))
                        to->fork_at = first->end;
                fork_protect(from, first->start, first->end);
                return fork_again(c, from, to);
        }
        for (v = first; v && n < PIECE_FORK; v = v->next, n++) {
                area_touch(v);
                if (v->anon.height == 1)
                        ptree_next(&v->anon, &(uint64_t){0});
        }
        if (from->exe)
                (void)READ_ONCE(from->exe->writers);
        if (!space_room(n + 2)) {
                if (to) {
                        changes(c);
                        mm_owner_drop(from);
                }
                return -ENOMEM; /* what there is of the child goes with the call */
        }
        changes(c);
        if (!to) {
                to = mm_new();
                if (!to)
                        return -ENOMEM;
                to->brk_start = from->brk_start;
                to->brk = from->brk;
                to->mmap_base = from->mmap_base;
                to->stack_top = from->stack_top;
                to->vdso = from->vdso;
                to->membarrier = from->membarrier;
                to->exe = from->exe;
                if (to->exe) {
                        object_get(to->exe);
                        __atomic_sub_fetch(&to->exe->writers, 1, __ATOMIC_RELAXED);
                }
        }
        for (v = first; v && n && !piece_full(); v = v->next, n--) {
                if (!area_fork(to, v)) {
                        to->fork_index = 1;
                        break;
                }
        }
        if (first)
                fork_protect(from, first->start, v ? v->start : USER_TOP);
        if (v) {
                to->fork_at = v->start;
                return fork_again(c, from, to);
        }
        mm_owner_drop(from);
        unlock(LOCK_MM, from);
        c->objects[3] = NULL;
        c->counted &= (uint8_t) ~(1u << 3);
        *out = to;
        return 0;
}

/* ---- asked by others ------------------------------------------------------------------------------------------------------- */

uint64_t mm_rss_pages(struct mm *m)
{
        uint64_t n = 0;

        for (struct vma *v = READ_ONCE(m->first); v; v = READ_ONCE(v->next)) {
                struct area_stats s;

                mm_area_stats(v, &s);
                n += s.rss;
        }
        return n;
}

void mm_futex_key(struct mm *m, uint64_t va, uint64_t key[2])
{
        bool held = lock_held(LOCK_MM, m);
        struct vma *v;

        if (!held)
                lock(LOCK_MM, m);
        v = mm_find(m, va);
        if (v && v->flags & MAP_SHARED && v->inode) {
                key[0] = (uint64_t)v->inode;
                key[1] = (vma_index(v, va) << PAGE_SHIFT) + (va & (PAGE_SIZE - 1));
        } else {
                key[0] = (uint64_t)m;
                key[1] = va;
        }
        if (!held)
                unlock(LOCK_MM, m);
}

struct writable_search {
        const struct inode *inode;
        bool found;
};

static bool writable_in(struct process *p, void *arg)
{
        struct writable_search *s = arg;
        struct mm *m = READ_ONCE(p->mm);

        for (struct vma *v = m ? READ_ONCE(m->first) : NULL; v && !s->found; v = READ_ONCE(v->next))
                s->found = v->inode == s->inode && v->flags & MAP_SHARED && !(v->flags & VMA_NOWRITE);
        return !s->found;
}

bool mm_inode_mapped_writable(const struct inode *i)
{
        struct writable_search s = {i, false};

        process_each(writable_in, &s);
        return s.found;
}

static const struct space_field mm_fields[] = {
        {offsetof(struct mm, tree), FIELD_BORROW, 1}, {offsetof(struct mm, first), FIELD_REF, 1},
        {offsetof(struct mm, last), FIELD_BORROW, 1}, {offsetof(struct mm, owner), FIELD_BORROW, 1},
        {offsetof(struct mm, exe), FIELD_REF, 1},     {0, 0, 0},
};
static const struct space_field vma_fields[] = {
        {offsetof(struct vma, node), FIELD_BORROW, 3}, {offsetof(struct vma, next), FIELD_REF, 1},
        {offsetof(struct vma, prev), FIELD_BORROW, 1}, {offsetof(struct vma, inode), FIELD_REF, 1},
        {offsetof(struct vma, file), FIELD_REF, 1},    {0, 0, 0},
};
const struct posix_type mm_types[] = {
        {TYPE_MM,
         {"mm", sizeof(struct mm), 1, SPACE_RESIDENT | SPACE_OBJECT, mm_fields},
         mm_release_object,
         mm_touch_object},
        {TYPE_VMA,
         {"vma", sizeof(struct vma), 1, SPACE_RESIDENT | SPACE_OBJECT, vma_fields},
         vma_release_object,
         vma_touch_object},
        {.type = 0},
};
