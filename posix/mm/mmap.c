/*
 * mmap.c - the calls that make, cut, move and unmake areas: mmap, munmap, mprotect, mremap, brk.
 *
 * Each change of areas is one section where it fits: PIECE_AREAS areas, and the pages that the section's credit allows. What does not fit goes in pieces under the
 * owner field, so that others see it as one; pages that are left over hang on the thread's dying list with their area and are freed before the
 * return to user mode. Page tables follow in the same section: what is taken away is unmapped at once, what is granted comes by faults.
 */
#include "posix/mm/mm_internal.h"
#include "kernel/include/log.h"
#include <linux/personality.h>

#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

/* ---- limits ---------------------------------------------------------------------------------------------------------------- */

static bool counts_as_data(uint32_t prot, uint32_t flags)
{
        return prot & PROT_WRITE && !(flags & (MAP_SHARED | MAP_GROWSDOWN));
}

int mm_may_map(struct mm *m, uint64_t len, uint32_t prot, uint32_t flags)
{
        struct process *p = process_current();
        uint64_t limit = rlimit_of(p, RLIMIT_AS);

        if (m->nareas >= AREAS_MAX)
                return -ENOMEM;
        if (limit != RLIM64_INFINITY && (m->total_pages << PAGE_SHIFT) + len > limit)
                return -ENOMEM;
        limit = rlimit_of(p, RLIMIT_DATA);
        if (limit != RLIM64_INFINITY && counts_as_data(prot, flags)) {
                struct mm_sizes s;

                mm_sizes(m, &s);
                if ((s.data << PAGE_SHIFT) + len > limit)
                        return -ENOMEM;
        }
        /* Linux's heuristic overcommit: only what can never be is refused. */
        if (counts_as_data(prot, flags) && !(flags & MAP_NORESERVE) && len >> PAGE_SHIFT > space_limit())
                return -ENOMEM;
        return 0;
}

static int may_lock(struct mm *m, uint64_t len, int error)
{
        uint64_t limit = rlimit_of(process_current(), RLIMIT_MEMLOCK);

        if (capable(CAP_IPC_LOCK) || limit == RLIM64_INFINITY)
                return 0;
        if (!limit)
                return -EPERM;
        return (m->locked_pages << PAGE_SHIFT) + len > limit ? error : 0;
}

/* ---- munmap ---------------------------------------------------------------------------------------------------------------- */

#define TRIM_PAGES 512u

/* A prefix or suffix goes without making an area for it, when its pages fit in one piece; false: some are left, cut it off. */
static bool trim(struct mm *m, struct mm_volatile *mv, struct vma *v, uint64_t from, uint64_t to)
{
        uint64_t index = vma_index(v, from), n = (to - from) >> PAGE_SHIFT;

        if (mv && mv->mmu)
                mmu_unmap(mv->mmu, from, to - from);
        if (v->anon.root && ptree_remove(&v->anon, index, index + n, PIECE_DIRTY) < index + n)
                return false;
        if (from == v->start) {
                v->start = to;
                v->pgoff += n;
        } else {
                v->end = from;
        }
        if (mv && to > mv->hint)
                mv->hint = to;
        m->total_pages -= n;
        if (v->flags & MAP_LOCKED)
                m->locked_pages -= n;
        return true;
}

long mm_unmap_piece(struct call *c, struct mm *m, uint64_t from, uint64_t to)
{
        struct vma *first = mm_find_next(m, from), *last = NULL, *v;
        struct mm_volatile *mv = mm_volatile_peek(m);
        uint64_t low, high;
        unsigned n = 0;
        bool more;

        if (!first || first->start >= to) {
                if (m->owner) {
                        changes(c);
                        mm_owner_drop(m);
                }
                return 0;
        }
        for (v = first; v && v->start < to && n < PIECE_AREAS; v = v->next, n++) {
                area_touch(v);
                last = v;
        }
        more = v && v->start < to;
        low = MAX(first->start, from);
        high = MIN(last->end, to);
        if (low > first->start && high < first->end && m->nareas >= AREAS_MAX)
                return -ENOMEM;
        if ((low > first->start && !area_cut_ready(first, low)) || (high < last->end && !area_cut_ready(last, high)) ||
            !space_room(2 * MM_CUT_ROOM))
                return -ENOMEM;
        if (first->anon.root)
                ptree_next(&first->anon, &(uint64_t){vma_index(first, low)});
        changes(c);
        if (n == 1 && high - low <= TRIM_PAGES * PAGE_SIZE && (low == first->start) != (high == first->end) &&
            trim(m, mv, first, low, high)) {
                if (m->owner)
                        mm_owner_drop(m);
                return 0;
        }
        if (high < last->end)
                area_cut(m, last, high);
        if (low > first->start)
                first = area_cut(m, first, low);
        if (mv && mv->mmu)
                mmu_unmap(mv->mmu, low, high - low);
        for (v = first; n--; v = first) {
                first = v->next;
                area_remove(m, v);
                area_drop(v);
        }
        if (more) {
                mm_owner_take(c, m);
                return CALL_AGAIN;
        }
        if (m->owner)
                mm_owner_drop(m);
        return 0;
}

long sys_munmap(struct call *c)
{
        struct mm *m = c->thread->proc->mm;
        uint64_t addr = c->arg[0], len = ALIGN_UP(c->arg[1], PAGE_SIZE);
        long r;

        if (addr & (PAGE_SIZE - 1) || !len || addr > USER_TOP || len > USER_TOP - addr)
                return -EINVAL;
        r = mm_enter(c, m);
        return r ? r : mm_leave(c, m, mm_unmap_piece(c, m, addr, addr + len));
}

/* ---- mmap ------------------------------------------------------------------------------------------------------------------ */

/* Decoded once: what stays the same over the pieces. */
struct mmap_state {
        uint64_t addr, len, at;
        uint32_t prot, flags; /* of the area to be */
        uint64_t pgoff, device_pa;
        uint8_t fixed, populate;
};

/* The file's own say, and what its mode allows. c->file borrows it. */
static long mmap_file(struct call *c, struct mmap_state *s, uint64_t fd, unsigned type)
{
        struct vma_request r = {.len = s->len, .pgoff = s->pgoff, .prot = s->prot, .flags = s->flags};
        struct file *f = fd_lookup_io(c, fd);
        long e;

        if (!f)
                return -EBADF;
        if (type == MAP_PRIVATE) {
                if (!(f->mode & FMODE_READ))
                        return -EACCES;
        } else {
                if (s->prot & PROT_WRITE && !(f->mode & FMODE_WRITE))
                        return -EACCES;
                if (!(f->mode & FMODE_READ))
                        return -EACCES;
                if (!(f->mode & FMODE_WRITE))
                        s->flags |= VMA_NOWRITE;
        }
        r.flags = s->flags;
        if (!file_ops(f)->mmap)
                return -ENODEV;
        e = file_ops(f)->mmap(c, f, &r);
        if (e < 0)
                return e;
        s->prot = r.prot & PROT_ALL;
        s->flags = r.flags;
        s->pgoff = r.pgoff;
        if (r.device) {
                s->flags |= VMA_DEVICE | MAP_SHARED | (r.write_combining ? VMA_DEVICE_WC : 0);
                s->pgoff = r.device_pa >> PAGE_SHIFT;
        } else if (r.inode && s->flags & MAP_SHARED && r.inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) {
                if (s->prot & PROT_WRITE)
                        return -EPERM;
                s->flags |= VMA_NOWRITE;
        }
        c->file = f;
        c->inode = r.inode; /* objects[2] */
        return 0;
}

static long mmap_decode(struct call *c, struct mmap_state *s)
{
        uint64_t addr = c->arg[0], len = c->arg[1], flags = c->arg[3], off = c->arg[5];
        unsigned type = flags & MAP_TYPE;

        if (off & (PAGE_SIZE - 1))
                return -EINVAL;
        if (!(flags & MAP_ANONYMOUS) && !fd_lookup_io(c, c->arg[4]))
                return -EBADF;
        if (!len)
                return -EINVAL;
        if (type == MAP_SHARED_VALIDATE && !(flags & MAP_ANONYMOUS)) {
                if (flags & ~(uint64_t)(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE |
                                        MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |
                                        MAP_STACK | MAP_HUGETLB | MAP_FIXED_NOREPLACE | MAP_32BIT))
                        return -EOPNOTSUPP;
                type = MAP_SHARED;
        }
        if (type != MAP_SHARED && type != MAP_PRIVATE)
                return -EINVAL;
        if (type == MAP_SHARED && flags & MAP_GROWSDOWN)
                return -EINVAL;
        len = ALIGN_UP(len, PAGE_SIZE);
        if (!len || len > USER_TOP)
                return -ENOMEM;
        if ((off >> PAGE_SHIFT) + (len >> PAGE_SHIFT) < off >> PAGE_SHIFT || off + len < off)
                return -EOVERFLOW;
        if (flags & MAP_HUGETLB)
                return flags & MAP_ANONYMOUS ? -ENOMEM
                                             : -EINVAL; /* no pool of huge pages, as on a Linux where nobody made one */
        s->len = len;
        s->fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;
        s->prot = (uint32_t)c->arg[2] & PROT_ALL;
        s->flags = (uint32_t)flags & VMA_KEPT & ~(uint32_t)MAP_SHARED;
        if (type == MAP_SHARED)
                s->flags |= MAP_SHARED;
        if (c->arg[2] & PROT_READ && c->thread->proc->personality & READ_IMPLIES_EXEC)
                s->prot |= PROT_EXEC;
        s->flags |= c->thread->proc->mm->lock_future;
        s->pgoff = off >> PAGE_SHIFT;
        s->populate = (flags & MAP_POPULATE && !(flags & MAP_NONBLOCK)) || s->flags & MAP_LOCKED;
        s->addr = ALIGN_DOWN(addr, PAGE_SIZE);
        if (s->fixed) {
                if (addr & (PAGE_SIZE - 1))
                        return -EINVAL;
                if (addr > USER_TOP || len > USER_TOP - addr)
                        return -ENOMEM;
                if (addr < MMAP_MIN_ADDR && !capable(CAP_SYS_RAWIO))
                        return -EPERM;
        }
        if (flags & MAP_ANONYMOUS) {
                s->pgoff = 0;
                return 0;
        }
        return mmap_file(c, s, c->arg[4], type);
}

/*
 * An anonymous private area directly above or below that is alike takes the new range in. Its pages keep their indexes. After changes(); returns the area or NULL.
 */
static struct vma *extend_neighbour(struct mm *m, uint64_t va, uint64_t len, uint32_t prot, uint32_t flags)
{
        struct vma *above = mm_find_next(m, va), *below = above ? above->prev : m->last, *v;
        uint64_t n = len >> PAGE_SHIFT;

        if (flags & MAP_GROWSDOWN)
                return NULL;
        if (below && below->end == va && below->prot == prot && below->flags == flags && !below->inode &&
            !below->file) {
                v = below;
                v->end += len;
        } else if (above && above->start == va + len && above->prot == prot && above->flags == flags && !above->inode &&
                   !above->file && above->pgoff >= n) {
                v = above;
                v->start -= len;
                v->pgoff -= n;
        } else {
                return NULL;
        }
        m->total_pages += n;
        if (flags & MAP_LOCKED)
                m->locked_pages += n;
        return v;
}

long sys_mmap(struct call *c)
{
        struct mmap_state *s = call_state(c, struct mmap_state);
        struct mm *m = c->thread->proc->mm;
        bool anonymous = c->arg[3] & MAP_ANONYMOUS, noreplace = c->arg[3] & MAP_FIXED_NOREPLACE;
        struct inode *shared = NULL;
        struct vma *v;
        uint64_t va;
        long r;

        if (c->stage == 0) {
                r = mmap_decode(c, s);
                if (r < 0)
                        return r;
                c->stage = 1;
        }
        if (c->stage == 2)
                goto populate;
        r = mm_enter(c, m);
        if (r)
                return r;
        va = s->addr;
        if (!s->fixed) {
                if (va && va < MMAP_MIN_ADDR)
                        va = MMAP_MIN_ADDR;
                if (!va || va > USER_TOP || s->len > USER_TOP - va || !mm_range_free(m, va, s->len))
                        va = mm_gap(m, s->len, PAGE_SIZE);
                if (!va)
                        return -ENOMEM;
        }
        if (noreplace && !mm_range_free(m, va, s->len))
                return -EEXIST;
        r = mm_may_map(m, s->len, s->prot, s->flags);
        if (r < 0)
                return r;
        if (s->flags & MAP_LOCKED) {
                r = may_lock(m, s->len, -EAGAIN);
                if (r < 0)
                        return r;
        }
        if (!space_room(MM_AREA_ROOM))
                return -ENOMEM;
        if (c->inode)
                (void)READ_ONCE(c->inode->obj.refs);
        if (s->fixed && !mm_range_free(m, va, s->len)) {
                r = mm_unmap_piece(c, m, va, va + s->len);
                if (r)
                        return mm_leave(c, m, r);
        }
        changes(c);
        if (anonymous && s->flags & MAP_SHARED) {
                shared = inode_anonymous(S_IFREG | 0777, "zero");
                shared->size = s->len;
        }
        v = anonymous && !shared ? extend_neighbour(m, va, s->len, s->prot, s->flags) : NULL;
        if (!v)
                mm_map_area(m, va, s->len, s->prot, s->flags, shared ? shared : c->inode, s->pgoff, c->file);
        if (c->file && (c->file->inode->mode & S_IFMT) == S_IFREG)
                inode_accessed(c->file);
        if (shared)
                object_put(shared);
        if (likely(!s->populate || !s->prot))
                return (long)va;
        s->addr = va;
        s->at = va;
        c->stage = 2;
        return CALL_AGAIN;
populate:
        if (c->why == WHY_KILL)
                return (long)s->addr;
        if (mm_populate_piece(c, m, &s->at, s->addr + s->len, true) == CALL_AGAIN)
                return CALL_AGAIN;
        return (long)s->addr; /* pages that could not be had come, or fail, by faults */
}

/* ---- mprotect -------------------------------------------------------------------------------------------------------------- */

/* The page tables follow: at once for what is taken away; rights that are granted come by faults, but for execution. */
static void protect_tables(struct mm *m, uint64_t from, uint64_t to, uint32_t old, uint32_t new)
{
        struct mm_volatile *mv = mm_volatile_peek(m);

        if (!mv || !mv->mmu)
                return;
        if (!new || !old) {
                mmu_unmap(mv->mmu, from, to - from);
                return;
        }
        if (old & PROT_WRITE && !(new &PROT_WRITE))
                mmu_protect(mv->mmu, from, to - from);
        if ((old ^ new) & PROT_EXEC)
                mmu_set_x(mv->mmu, from, to - from, new &PROT_EXEC);
}

static long protect(struct call *c, uint64_t addr, uint64_t length, uint64_t prot)
{
        struct mm *m = c->thread->proc->mm;
        uint64_t grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP), len = ALIGN_UP(length, PAGE_SIZE), end, at;
        struct vma *v;
        long r;

        prot &= ~(uint64_t)(PROT_GROWSDOWN | PROT_GROWSUP);
        if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || addr & (PAGE_SIZE - 1))
                return -EINVAL;
        if (!length)
                return 0;
        if (!len || addr > USER_TOP || len > USER_TOP - addr)
                return -ENOMEM;
        if (prot & ~(uint64_t)(PROT_ALL | PROT_SEM))
                return -EINVAL;
        prot &= PROT_ALL;
        if (prot & PROT_READ && c->thread->proc->personality & READ_IMPLIES_EXEC)
                prot |= PROT_EXEC;
        end = addr + len;
        if (c->stage == 0) {
                c->state[0] = addr; /* how far the pieces have come */
                c->stage = 1;
        }
        at = c->state[0];
        for (;;) {
                struct vma *next;
                uint32_t old;
                uint64_t stop;

                r = mm_enter(c, m);
                if (r)
                        return r;
                v = mm_find_next(m, at);
                r = -ENOMEM;
                if (!v || (v->start > at && !(at == addr && grows == PROT_GROWSDOWN && v->start < end)))
                        break;
                if (at == addr && grows == PROT_GROWSDOWN) {
                        r = -EINVAL;
                        if (!(v->flags & MAP_GROWSDOWN))
                                break;
                        at = v->start;
                }
                if (grows == PROT_GROWSUP) {
                        r = -EINVAL;
                        break;
                }
                stop = MIN(v->end, end);
                r = -EACCES;
                if ((prot & PROT_WRITE && v->flags & VMA_NOWRITE) || (prot & PROT_EXEC && v->flags & VMA_NOEXEC))
                        break;
                if (v->prot != prot) {
                        r = -ENOMEM;
                        if ((at > v->start || stop < v->end) && m->nareas + 2 > AREAS_MAX)
                                break;
                        if (counts_as_data((uint32_t)prot, v->flags) && !counts_as_data(v->prot, v->flags) &&
                            !v->inode && mm_may_map(m, 0, (uint32_t)prot, v->flags) < 0)
                                break;
                        if ((at > v->start && !area_cut_ready(v, at)) || (stop < v->end && !area_cut_ready(v, stop)) ||
                            !area_merge_room() || !space_room(2 * MM_CUT_ROOM + 4 * PTREE_COST_MAX))
                                break;
                        area_merge_touch(m, v);
                        changes(c);
                        if (stop < v->end)
                                area_cut(m, v, stop);
                        if (at > v->start)
                                v = area_cut(m, v, at);
                        old = v->prot;
                        v->prot = (uint32_t)prot;
                        protect_tables(m, at, stop, old, (uint32_t)prot);
                        area_merge(m, v);
                }
                at = stop;
                r = 0;
                if (at >= end)
                        break;
                next = mm_find(m, at);
                if (!next)
                        continue;
                changes(c);
                mm_owner_take(c, m);
                c->state[0] = at;
                if (cpu_this()->need)
                        return CALL_AGAIN;
                section_step(); /* when abandoned, all is done once more from the start, which changes nothing */
        }
        return mm_leave(c, m, r);
}

long sys_mprotect(struct call *c)
{
        return protect(c, c->arg[0], c->arg[1], c->arg[2]);
}

long sys_pkey_mprotect(struct call *c)
{
        if ((int)c->arg[3] != -1)
                return -EINVAL;
        return protect(c, c->arg[0], c->arg[1], c->arg[2]);
}

long sys_pkey_alloc(struct call *c)
{
        return c->arg[0] || c->arg[1] & ~3ul ? -EINVAL : -ENOSPC; /* as on a CPU without protection keys */
}

long sys_pkey_free(struct call *c)
{
        (void)c;
        return -EINVAL;
}

/* ---- brk ------------------------------------------------------------------------------------------------------------------- */

long sys_brk(struct call *c)
{
        struct mm *m = c->thread->proc->mm;
        uint64_t want = c->arg[0], old, new;
        struct vma *v, *next;
        uint32_t flags;
        long r = mm_enter(c, m);

        if (r)
                return r;
        if (want < m->brk_start || want > USER_TOP)
                return (long)m->brk;
        old = ALIGN_UP(m->brk, PAGE_SIZE);
        new = ALIGN_UP(want, PAGE_SIZE);
        if (new < old) {
                r = mm_unmap_piece(c, m, new, old);
                if (r)
                        return mm_leave(c, m, r == -ENOMEM ? (long)m->brk : r);
        } else if (new > old) {
                uint64_t limit = rlimit_of(c->thread->proc, RLIMIT_DATA);

                if (limit != RLIM64_INFINITY && want - m->brk_start > limit)
                        return (long)m->brk;
                flags = m->lock_future;
                next = mm_find_next(m, old);
                if (next && (next->start < new + (next->flags & MAP_GROWSDOWN ? GUARD_GAP : 0)))
                        return (long)m->brk;
                if (mm_may_map(m, new - old, PROT_READ | PROT_WRITE, flags) < 0 || !space_room(MM_AREA_ROOM) ||
                    (flags && may_lock(m, new - old, -EAGAIN) < 0))
                        return (long)m->brk;
                changes(c);
                v = extend_neighbour(m, old, new - old, PROT_READ | PROT_WRITE, flags);
                if (!v)
                        mm_map_area(m, old, new - old, PROT_READ | PROT_WRITE, flags, NULL, 0, NULL);
        }
        if (want != m->brk) {
                changes(c);
                m->brk = want;
        }
        return (long)m->brk;
}

/* ---- mremap ---------------------------------------------------------------------------------------------------------------- */

/* The whole area goes to `to`, longer or not; its pages keep their indexes. After changes(). */
static void area_move(struct mm *m, struct vma *v, uint64_t to, uint64_t len)
{
        struct mm_volatile *mv = mm_volatile_peek(m);

        if (mv && mv->mmu)
                mmu_unmap(mv->mmu, v->start, v->end - v->start);
        area_remove(m, v);
        v->start = to;
        v->end = to + len;
        area_insert(m, v);
}

/* MREMAP_DONTUNMAP: the pages move, the old range stays, empty. */
static void area_empty_out(struct mm *m, struct vma *v, uint64_t to)
{
        struct mm_volatile *mv = mm_volatile_peek(m);
        struct vma *w = mm_map_area(m, to, v->end - v->start, v->prot, v->flags, v->inode, v->pgoff, v->file);

        if (mv && mv->mmu)
                mmu_unmap(mv->mmu, v->start, v->end - v->start);
        w->anon = v->anon;
        ptree_init(&v->anon, PAGE_ANON);
}

struct mremap_state {
        uint64_t result, at, end;
};

static long remap(struct call *c)
{
        struct mremap_state *s = call_state(c, struct mremap_state);
        struct mm *m = c->thread->proc->mm;
        uint64_t from = c->arg[0], old = ALIGN_UP(c->arg[1], PAGE_SIZE), new = ALIGN_UP(c->arg[2], PAGE_SIZE),
                 flags = c->arg[3], to = c->arg[4];
        struct vma *v;
        long r;

        if (c->stage == 2) {
                if (c->why == WHY_KILL || mm_populate_piece(c, m, &s->at, s->end, true) != CALL_AGAIN)
                        return (long)s->result;
                return CALL_AGAIN;
        }
        if (flags & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) ||
            (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE)) ||
            (flags & MREMAP_DONTUNMAP && old != new) || from & (PAGE_SIZE - 1) || !new || c->arg[1] > USER_TOP ||
            c->arg[2] > USER_TOP)
                return -EINVAL;
        if (flags & MREMAP_FIXED) {
                if (to & (PAGE_SIZE - 1) || to > USER_TOP || new > USER_TOP - to || (from < to + new &&to < from + old))
                        return -EINVAL;
                if (to < MMAP_MIN_ADDR)
                        return -EPERM;
        }
        r = mm_enter(c, m);
        if (r)
                return r;
        v = mm_find(m, from);
        if (!v)
                return -EFAULT;
        if (!old && !(v->flags & MAP_SHARED && v->inode))
                return -EINVAL;
        if (old > v->end - from) {
                /* shrinking over a hole or several areas is munmap's work */
                if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) || new > old || new > v->end - from)
                        return -EFAULT;
        }
        if (v->flags & (VMA_DEVICE | VMA_VVAR | VMA_VDSO) && (new > old || !old))
                return -EFAULT;
        if (flags & MREMAP_DONTUNMAP && (v->inode || v->flags & MAP_SHARED))
                return -EINVAL;
        if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && old >= new) {
                if (old == new)
                        return (long)from;
                r = mm_unmap_piece(c, m, from + new, from + old);
                return r ? r : (long)from;
        }
        if (new > old && v->flags &MAP_LOCKED) {
                r = may_lock(m, new - old, -EAGAIN);
                if (r < 0)
                        return r;
        }
        r = mm_may_map(m, flags & MREMAP_DONTUNMAP ? new : new > old ? new - old : 0, v->prot, v->flags);
        if (r < 0)
                return r;
        if (m->nareas + 3 > AREAS_MAX || !space_room(2 * MM_CUT_ROOM + MM_AREA_ROOM))
                return -ENOMEM;
        if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && old && from + old == v->end &&
            mm_range_free(m, v->end, new - old) && new <= USER_TOP - from) {
                changes(c);
                v->end += new - old;
                m->total_pages += (new - old) >> PAGE_SHIFT;
                if (v->flags & MAP_LOCKED)
                        m->locked_pages += (new - old) >> PAGE_SHIFT;
                s->result = from;
                goto grown;
        }
        if (!(flags & MREMAP_MAYMOVE))
                return -ENOMEM;
        if (!(flags & MREMAP_FIXED)) {
                to = mm_gap(m, new, PAGE_SIZE);
                if (!to)
                        return -ENOMEM;
        } else if (!mm_range_free(m, to, new)) {
                r = mm_unmap_piece(c, m, to, to + new);
                if (r)
                        return r;
                /* the room, the touched paths: asked for again in a section of their own */
                changes(c);
                mm_owner_take(c, m);
                return CALL_AGAIN;
        }
        if (new < old) { /* FIXED: the tail goes first */
                r = mm_unmap_piece(c, m, from + new, from + old);
                if (r)
                        return r;
                c->arg[1] = new;
                changes(c);
                mm_owner_take(c, m);
                return CALL_AGAIN;
        }
        if (old &&
            ((from > v->start && !area_cut_ready(v, from)) || (from + old < v->end && !area_cut_ready(v, from + old))))
                return -ENOMEM;
        area_touch(v);
        changes(c);
        if (!old) {
                mm_map_area(m, to, new, v->prot, v->flags, v->inode, vma_index(v, from), v->file);
        } else {
                if (from + old < v->end)
                        area_cut(m, v, from + old);
                if (from > v->start)
                        v = area_cut(m, v, from);
                if (flags & MREMAP_DONTUNMAP)
                        area_empty_out(m, v, to);
                else
                        area_move(m, v, to, new);
        }
        s->result = to;
grown:
        if (!(v->flags & MAP_LOCKED))
                return (long)s->result;
        s->at = s->result;
        s->end = s->result + new;
        c->stage = 2;
        return CALL_AGAIN;
}

long sys_mremap(struct call *c)
{
        return mm_leave(c, c->thread->proc->mm, remap(c));
}

long sys_remap_file_pages(struct call *c)
{
        (void)c;
        return -EINVAL; /* deprecated in Linux, where an emulation is left; nothing in use calls it */
}
