/*
 * area.c - the areas of an address space: a red-black tree and a list, both by address; cutting, joining, finding a gap.
 *
 * An area's private pages stand in its own page tree under indexes that do not change when the area moves (vma_index), so that a move or a cut touches
 * nodes, not pages. For private memory without a file the index is free: a new area takes its address, like Linux.
 * Areas are resident, so the tree may be walked and balanced after changes(); inodes, files and nodes are not: they are touched before.
 * Invariants: areas do not overlap; list and tree agree; mm->nareas, mm->total_pages, mm->locked_pages are their sums.
 */
#include "posix/mm/mm_internal.h"

static struct vma *of(struct rb_node *n)
{
        return n ? rb_entry(n, struct vma, node) : NULL;
}

struct vma *mm_find_next(struct mm *m, uint64_t va)
{
        struct rb_node *n = m->tree.node;
        struct vma *found = NULL;

        while (n) {
                struct vma *v = of(n);

                if (va >= v->end) {
                        n = n->right;
                } else {
                        found = v;
                        if (va >= v->start)
                                break;
                        n = n->left;
                }
        }
        return found;
}

struct vma *mm_find(struct mm *m, uint64_t va)
{
        struct vma *v = mm_find_next(m, va);

        return v && v->start <= va ? v : NULL;
}

bool mm_range_free(struct mm *m, uint64_t va, uint64_t len)
{
        struct vma *v = mm_find_next(m, va);

        return !v || v->start >= va + len;
}

struct vma *area_new(void)
{
        struct vma *v = object_new(TYPE_VMA);

        ptree_init(&v->anon, PAGE_ANON);
        return v;
}

void area_insert(struct mm *m, struct vma *v)
{
        struct rb_node **at = &m->tree.node, *parent = NULL;
        struct vma *prev = NULL;

        while (*at) {
                parent = *at;
                if (v->start < of(parent)->start) {
                        at = &parent->left;
                } else {
                        prev = of(parent);
                        at = &parent->right;
                }
        }
        rb_insert(&m->tree, &v->node, parent, at);
        v->prev = prev;
        v->next = prev ? prev->next : m->first;
        *(prev ? &prev->next : &m->first) = v;
        *(v->next ? &v->next->prev : &m->last) = v;
        m->nareas++;
        m->total_pages += vma_pages(v);
        if (v->flags & MAP_LOCKED)
                m->locked_pages += vma_pages(v);
}

void area_erase(struct mm *m, struct vma *v)
{
        struct mm_volatile *mv = mm_volatile_peek(m);

        if (mv)
                mv->hit = NULL;
        rb_erase(&m->tree, &v->node);
        *(v->prev ? &v->prev->next : &m->first) = v->next;
        *(v->next ? &v->next->prev : &m->last) = v->prev;
        v->next = v->prev = NULL;
        m->nareas--;
        m->total_pages -= vma_pages(v);
        if (v->flags & MAP_LOCKED)
                m->locked_pages -= vma_pages(v);
}

void area_remove(struct mm *m, struct vma *v)
{
        struct mm_volatile *mv = mm_volatile_peek(m);

        if (mv && v->end > mv->hint)
                mv->hint = v->end;
        if (mv && v->inode)
                mapping_leave(mv, v);
        area_erase(m, v);
}

/* ---- cutting and joining --------------------------------------------------------------------------------------------------- */

bool area_cut_ready(struct vma *v, uint64_t at)
{
        if (!space_room(MM_CUT_ROOM))
                return false;
        ptree_cost(&v->anon, vma_index(v, at));
        area_touch(v);
        return true;
}

struct vma *area_cut(struct mm *m, struct vma *v, uint64_t at)
{
        struct vma *w = area_new();
        uint64_t index = vma_index(v, at);

        w->start = at;
        w->end = v->end;
        w->prot = v->prot;
        w->flags = v->flags;
        w->pgoff = index;
        w->inode = v->inode;
        w->file = v->file;
        object_get(w->inode);
        object_get(w->file);
        ptree_split(&v->anon, index, &w->anon);
        v->end = at;
        m->total_pages -= vma_pages(w);
        if (w->flags & MAP_LOCKED)
                m->locked_pages -= vma_pages(w);
        area_insert(m, w);
        return w;
}

/* b follows a. An anonymous area without pages takes whatever index suits the other. */
static bool alike(const struct vma *a, const struct vma *b)
{
        if (a->end != b->start || a->prot != b->prot || a->flags != b->flags || a->inode != b->inode ||
            a->file != b->file || a->flags & (VMA_VVAR | VMA_VDSO | MAP_GROWSDOWN))
                return false;
        if (a->pgoff + vma_pages(a) == b->pgoff)
                return true;
        if (a->inode || a->flags & VMA_DEVICE)
                return false;
        return !b->anon.root || (!a->anon.root && b->pgoff >= vma_pages(a));
}

static void join_touch(const struct vma *a, const struct vma *b)
{
        area_touch(b);
        if (a->anon.root && b->anon.root) {
                ptree_cost(&a->anon, vma_index(a, a->end) - 1);
                ptree_cost(&b->anon, b->pgoff);
        }
}

void area_merge_touch(struct mm *m, struct vma *v)
{
        (void)m;
        area_touch(v);
        if (v->prev && v->prev->end == v->start)
                join_touch(v->prev, v);
        if (v->next && v->next->start == v->end)
                join_touch(v, v->next);
}

bool area_merge_room(void)
{
        return space_room(4 * PTREE_COST_MAX);
}

static void join(struct mm *m, struct vma *a, struct vma *b)
{
        if (!a->anon.root)
                a->pgoff = a->inode || a->flags & VMA_DEVICE || !b->anon.root ? a->pgoff : b->pgoff - vma_pages(a);
        ptree_join(&a->anon, &b->anon);
        area_erase(m, b);
        m->total_pages += vma_pages(b);
        if (b->flags & MAP_LOCKED)
                m->locked_pages += vma_pages(b);
        a->end = b->end;
        area_drop(b);
}

struct vma *area_merge(struct mm *m, struct vma *v)
{
        if (v->next && alike(v, v->next))
                join(m, v, v->next);
        if (v->prev && alike(v->prev, v)) {
                struct vma *prev = v->prev;

                join(m, prev, v);
                return prev;
        }
        return v;
}

/* ---- the end of an area ---------------------------------------------------------------------------------------------------- */

void area_touch(const struct vma *v)
{
        if (v->inode)
                (void)READ_ONCE(v->inode->obj.refs);
        if (v->file)
                (void)READ_ONCE(v->file->obj.refs);
}

bool area_free(struct vma *v, unsigned budget)
{
        if (v->anon.root && ptree_remove(&v->anon, 0, ~0ul, budget) != ~0ul)
                return false;
        object_put(v->inode);
        object_put(v->file);
        space_free(v);
        return true;
}

void area_drop(struct vma *v)
{
        unsigned dirtied = section_this()->dirtied;

        if (dirtied >= PIECE_DIRTY || !area_free(v, PIECE_DIRTY - dirtied))
                object_put(v);
}

void vma_touch_object(void *object)
{
        struct vma *v = object;

        ptree_next(&v->anon, &(uint64_t){0});
        area_touch(v);
}

bool vma_release_object(void *object)
{
        return !area_free(object, PTREE_BUDGET);
}

/* ---- places ---------------------------------------------------------------------------------------------------------------- */

/* Where the free range below v begins to be usable: an area that grows down wants its guard gap. */
static uint64_t floor_of(const struct vma *v)
{
        if (v->flags & MAP_GROWSDOWN)
                return v->start > GUARD_GAP ? v->start - GUARD_GAP : 0;
        return v->start;
}

/* Top-down from mmap_base, as Linux: new areas lie below the older ones. Linear in areas, but for the hint, which skips what was found full. */
static uint64_t gap_below(struct mm *m, uint64_t top, uint64_t len, uint64_t align, uint64_t *largest)
{
        struct vma *above = mm_find_next(m, top), *below;

        if (above && floor_of(above) < top)
                top = floor_of(above);
        below = above ? above->prev : m->last;
        for (;;) {
                uint64_t low = below ? below->end : MMAP_MIN_ADDR, at;

                if (low < MMAP_MIN_ADDR)
                        low = MMAP_MIN_ADDR;
                if (top > low && top - low >= len) {
                        at = ALIGN_DOWN(top - len, align);
                        if (at >= low)
                                return at;
                }
                if (top > low && top - low > *largest)
                        *largest = top - low;
                if (!below)
                        return 0;
                top = floor_of(below);
                below = below->prev;
        }
}

uint64_t mm_gap(struct mm *m, uint64_t len, uint64_t align)
{
        struct mm_volatile *mv = mm_volatile_peek(m);
        uint64_t none = 0, at;

        if (!len || len > USER_TOP)
                return 0;
        if (!mv)
                return gap_below(m, m->mmap_base, len, align, &none);
        if (!mv->hint || mv->hint > m->mmap_base || len <= mv->hole) {
                mv->hint = m->mmap_base;
                mv->hole = 0;
        }
        at = gap_below(m, mv->hint, len, align, &mv->hole);
        if (!at && mv->hint != m->mmap_base) {
                mv->hole = 0;
                at = gap_below(m, m->mmap_base, len, align, &mv->hole);
        }
        if (!at) /* bottom-up, above mmap_base: what lies between it and the stack */
                at = gap_below(m, USER_TOP, len, align, &none);
        else
                mv->hint = at;
        return at;
}

struct vma *mm_map_area(struct mm *m, uint64_t va, uint64_t len, uint32_t prot, uint32_t flags, struct inode *i,
                        uint64_t pgoff, struct file *f)
{
        struct vma *v = area_new();

        v->start = va;
        v->end = va + len;
        v->prot = prot;
        v->flags = flags;
        v->pgoff = i || pgoff || flags & VMA_DEVICE ? pgoff : va >> PAGE_SHIFT;
        v->inode = i;
        v->file = f;
        object_get(i);
        object_get(f);
        if (i && flags & MAP_SHARED && !(flags & VMA_NOWRITE))
                i->changes_unseen = 1;
        area_insert(m, v);
        return v;
}

/* ---- what /proc shows ------------------------------------------------------------------------------------------------------ */

const char *mm_area_name(struct mm *m, struct vma *v)
{
        if (v->flags & VMA_VDSO)
                return "[vdso]";
        if (v->flags & VMA_VVAR)
                return "[vvar]";
        if (v->file || v->inode)
                return NULL;
        if (v->start < m->brk && v->end > m->brk_start)
                return "[heap]";
        if (v->start < m->stack_top && v->end >= m->stack_top)
                return "[stack]";
        return NULL;
}

void mm_area_stats(struct vma *v, struct area_stats *s)
{
        uint64_t shared = v->inode ? MIN(vma_pages(v), v->inode->data.npages) : 0;

        *s = (struct area_stats){.anon = v->anon.npages, .dirty = v->anon.npages};
        s->rss = v->anon.npages + shared;
        if (s->rss > vma_pages(v))
                s->rss = vma_pages(v);
}

void mm_sizes(struct mm *m, struct mm_sizes *s)
{
        *s = (struct mm_sizes){.total = m->total_pages, .locked = m->locked_pages};
        for (struct vma *v = m->first; v; v = v->next) {
                struct area_stats a;

                mm_area_stats(v, &a);
                s->resident += a.rss;
                s->shared += a.rss - a.anon;
                if (v->start < m->stack_top && v->end >= m->stack_top)
                        s->stack += vma_pages(v);
                else if (v->prot & PROT_WRITE && !(v->flags & MAP_SHARED))
                        s->data += vma_pages(v);
                if (v->prot & PROT_EXEC)
                        s->text += vma_pages(v);
        }
}
