/*
 * advise.c - madvise, msync, mincore and the mlock family: calls over a range of areas that leave the areas in place.
 */
#include "posix/mm/mm_internal.h"
#include <linux/resource.h>

/* ---- madvise --------------------------------------------------------------------------------------------------------------- */

/* Sets and clears flags on [at, stop) of v; after it the area is cut to that. 0 or -ENOMEM. */
static long area_flags(struct call *c, struct mm *m, struct vma *v, uint64_t at, uint64_t stop, uint32_t set,
                       uint32_t clear)
{
        uint32_t flags = (v->flags | set) & ~clear;

        if (flags == v->flags)
                return 0;
        if (((at > v->start || stop < v->end) && m->nareas + 2 > AREAS_MAX) ||
            (at > v->start && !area_cut_ready(v, at)) || (stop < v->end && !area_cut_ready(v, stop)) ||
            !space_room(2 * MM_CUT_ROOM + 4 * PTREE_COST_MAX))
                return -ENOMEM;
        area_merge_touch(m, v);
        changes(c);
        if (stop < v->end)
                area_cut(m, v, stop);
        if (at > v->start)
                v = area_cut(m, v, at);
        if ((v->flags ^ flags) & MAP_LOCKED)
                m->locked_pages += flags & MAP_LOCKED ? vma_pages(v) : -vma_pages(v);
        v->flags = flags;
        area_merge(m, v);
        return 0;
}

/* The private pages of [*at, stop) go; a piece. The next touch finds zeros, or the file. 0 or CALL_AGAIN. */
static long discard(struct call *c, struct mm *m, struct vma *v, uint64_t *at, uint64_t stop)
{
        struct mm_volatile *mv = mm_volatile_peek(m);
        uint64_t index = vma_index(v, *at), end = vma_index(v, stop), first = index, reached;

        if (!v->anon.root || !ptree_next(&v->anon, &first) || first >= end) {
                if (mv && mv->mmu)
                        mmu_unmap(mv->mmu, *at, stop - *at);
                *at = stop;
                return 0;
        }
        if (!space_room(PTREE_COST_MAX))
                return -ENOMEM;
        changes(c);
        reached = ptree_remove(&v->anon, first, end, PIECE_DIRTY);
        if (reached > end)
                reached = end;
        stop = *at + ((reached - index) << PAGE_SHIFT);
        if (mv && mv->mmu)
                mmu_unmap(mv->mmu, *at, stop - *at);
        *at = stop;
        return reached < end ? CALL_AGAIN : 0;
}

static long advise_area(struct call *c, struct mm *m, struct vma *v, uint64_t *at, uint64_t stop, int advice)
{
        long r;

        switch (advice) {
        case MADV_FREE:
                if (v->inode || v->flags & (MAP_SHARED | MAP_LOCKED))
                        return -EINVAL;
                return discard(c, m, v, at, stop);
        case MADV_DONTNEED:
                if (v->flags & (MAP_LOCKED | VMA_DEVICE))
                        return -EINVAL;
                return discard(c, m, v, at, stop);
        case MADV_DONTNEED_LOCKED:
                if (v->flags & VMA_DEVICE)
                        return -EINVAL;
                return discard(c, m, v, at, stop);
        case MADV_DONTFORK:
                r = area_flags(c, m, v, *at, stop, VMA_DONTFORK, 0);
                break;
        case MADV_DOFORK:
                if (v->flags & VMA_DEVICE)
                        return -EINVAL;
                r = area_flags(c, m, v, *at, stop, 0, VMA_DONTFORK);
                break;
        case MADV_WIPEONFORK:
                if (v->inode || v->flags & MAP_SHARED)
                        return -EINVAL;
                r = area_flags(c, m, v, *at, stop, VMA_WIPEONFORK, 0);
                break;
        case MADV_KEEPONFORK:
                r = area_flags(c, m, v, *at, stop, 0, VMA_WIPEONFORK);
                break;
        case MADV_DONTDUMP:
                r = area_flags(c, m, v, *at, stop, VMA_DONTDUMP, 0);
                break;
        case MADV_DODUMP:
                r = area_flags(c, m, v, *at, stop, 0, VMA_DONTDUMP);
                break;
        case MADV_REMOVE:
                return v->inode && v->flags & MAP_SHARED ? -EOPNOTSUPP : -EINVAL;
        default:
                r = 0; /* hints about reading ahead, merging and huge pages: there is nothing to do */
        }
        if (r == 0)
                *at = stop;
        return r;
}

static bool known(int advice)
{
        switch (advice) {
        case MADV_NORMAL:
        case MADV_RANDOM:
        case MADV_SEQUENTIAL:
        case MADV_WILLNEED:
        case MADV_DONTNEED:
        case MADV_FREE:
        case MADV_REMOVE:
        case MADV_DONTFORK:
        case MADV_DOFORK:
        case MADV_MERGEABLE:
        case MADV_UNMERGEABLE:
        case MADV_HUGEPAGE:
        case MADV_NOHUGEPAGE:
        case MADV_DONTDUMP:
        case MADV_DODUMP:
        case MADV_WIPEONFORK:
        case MADV_KEEPONFORK:
        case MADV_COLD:
        case MADV_PAGEOUT:
        case MADV_POPULATE_READ:
        case MADV_POPULATE_WRITE:
        case MADV_DONTNEED_LOCKED:
                return true;
        default:
                return false;
        }
}

struct advise_state {
        uint64_t at;
        uint32_t started, hole;
};

long sys_madvise(struct call *c)
{
        struct advise_state *s = call_state(c, struct advise_state);
        struct mm *m = c->thread->proc->mm;
        uint64_t addr = c->arg[0], len = ALIGN_UP(c->arg[1], PAGE_SIZE), end = addr + len;
        int advice = (int)c->arg[2];

        if (c->stage == 0) {
                if (!known(advice) || addr & (PAGE_SIZE - 1) || (c->arg[1] && !len) || end < addr)
                        return -EINVAL;
                if (!len)
                        return 0;
                if (end > USER_TOP)
                        return -ENOMEM;
                s->at = addr;
                s->hole = 0;
                c->stage = 1;
        }
        if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
                return c->why == WHY_KILL ? -EINTR
                                          : mm_populate_piece(c, m, &s->at, end, advice == MADV_POPULATE_WRITE);
        while (s->at < end) {
                struct vma *v;
                long r = mm_enter(c, m);

                if (r)
                        return r;
                v = mm_find_next(m, s->at);
                if (!v || v->start >= end)
                        return -ENOMEM;
                if (v->start > s->at) {
                        s->at = v->start;
                        s->hole = 1;
                }
                r = advise_area(c, m, v, &s->at, MIN(v->end, end), advice);
                if (r < 0)
                        return r;
                if (s->at < end && cpu_this()->need)
                        return CALL_AGAIN;
                section_step(); /* done again from the start if it is abandoned: nothing is lost */
        }
        return s->hole ? -ENOMEM : 0;
}

/* ---- msync, mincore -------------------------------------------------------------------------------------------------------- */

long sys_msync(struct call *c)
{
        struct mm *m = c->thread->proc->mm;
        uint64_t addr = c->arg[0], len = ALIGN_UP(c->arg[1], PAGE_SIZE), end = addr + len, at = addr;
        int flags = (int)c->arg[2];
        bool hole = false, shared = false;
        long r;

        if (c->stage)
                goto commit;
        if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || addr & (PAGE_SIZE - 1) ||
            (flags & MS_ASYNC && flags & MS_SYNC))
                return -EINVAL;
        if (end < addr || (c->arg[1] && !len))
                return -ENOMEM;
        lock(LOCK_MM, m);
        while (at < end) {
                struct vma *v = mm_find_next(m, at);

                if (!v || v->start >= end)
                        return -ENOMEM;
                hole |= v->start > at;
                if (flags & MS_INVALIDATE && v->flags & MAP_LOCKED)
                        return -EBUSY;
                shared |= v->inode && v->flags & MAP_SHARED;
                at = v->end;
        }
        /* Pages of files are pages of the space: there is no other copy to bring up to date; only a commit may be missing. */
        if (!(flags & MS_SYNC && shared))
                return hole ? -ENOMEM : 0;
        unlock(LOCK_MM, m);
        c->pos = snapshot_epoch();
        c->io.done = hole;
        c->stage = 1;
commit:
        r = call_wait_commit(c, c->pos);
        return r ? r : c->io.done ? -ENOMEM : 0;
}

#define MINCORE_PIECE 2048u
struct mincore_state {
        uint64_t done;
};

long sys_mincore(struct call *c)
{
        struct mincore_state *s = call_state(c, struct mincore_state);
        struct mm *m = c->thread->proc->mm;
        uint64_t addr = c->arg[0], npages = (c->arg[1] + PAGE_SIZE - 1) >> PAGE_SHIFT, at;
        struct mm_volatile *mv;
        unsigned char *vec;
        unsigned n;

        if (c->stage == 0) {
                if (addr & (PAGE_SIZE - 1))
                        return -EINVAL;
                if (addr > USER_TOP || c->arg[1] > USER_TOP - addr)
                        return -ENOMEM;
                s->done = 0;
                c->stage = 1;
        }
        if (s->done >= npages)
                return 0;
        vec = call_scratch(c, 0, MINCORE_PIECE);
        if (!vec)
                return -ENOMEM;
        n = (unsigned)MIN(npages - s->done, (uint64_t)MINCORE_PIECE);
        at = addr + (s->done << PAGE_SHIFT);
        lock(LOCK_MM, m);
        mv = mm_volatile_peek(m);
        for (unsigned i = 0; i < n; i++, at += PAGE_SIZE) {
                struct vma *v = mm_find(m, at);

                if (!v)
                        return -ENOMEM;
                vec[i] = (v->anon.root && ptree_lookup(&v->anon, vma_index(v, at))) ||
                         (v->inode && ptree_lookup(&v->inode->data, vma_index(v, at))) ||
                         (mv && mv->mmu && mmu_lookup(mv->mmu, at, &(unsigned){0}));
        }
        unlock(LOCK_MM, m);
        if (!copy_out(c, c->arg[2] + s->done, vec, n))
                return user_fault(c);
        s->done += n;
        return s->done < npages ? CALL_AGAIN : 0;
}

/* ---- mlock ----------------------------------------------------------------------------------------------------------------- */

/* Nothing is evicted from a space in memory; the accounting and the limits are those of Linux, and the pages are made present. */
struct lock_state {
        uint64_t at, end, next;
        uint32_t hole, onfault;
};

static long lock_limit(struct mm *m, uint64_t more)
{
        uint64_t limit = rlimit_of(process_current(), RLIMIT_MEMLOCK);

        if (capable(CAP_IPC_LOCK) || limit == RLIM64_INFINITY)
                return 0;
        if (!limit)
                return -EPERM;
        return (m->locked_pages << PAGE_SHIFT) + more > limit ? -ENOMEM : 0;
}

/* Stage 1: the areas; stage 2: the pages. */
static long lock_run(struct call *c, struct lock_state *s, bool on)
{
        struct mm *m = c->thread->proc->mm;

        while (c->stage == 1 && s->at < s->end) {
                struct vma *v;
                long r = mm_enter(c, m);

                if (r)
                        return r;
                v = mm_find_next(m, s->at);
                if (!v || v->start >= s->end) {
                        s->hole = 1;
                        break;
                }
                s->hole |= v->start > s->at;
                s->at = MAX(s->at, v->start);
                if (!(v->flags & (VMA_DEVICE | VMA_VVAR | VMA_VDSO))) {
                        r = area_flags(c, m, v, s->at, MIN(v->end, s->end), on ? MAP_LOCKED : 0, on ? 0 : MAP_LOCKED);
                        if (r < 0)
                                return r;
                        v = mm_find(m, s->at);
                }
                s->at = MIN(v->end, s->end);
                section_step();
        }
        if (c->stage == 1) {
                c->stage = 2;
                s->at = s->next;
        }
        if (on && !s->onfault && c->why != WHY_KILL) {
                while (s->at < s->end) {
                        long r = mm_populate_piece(c, m, &s->at, s->end, true);

                        if (r == CALL_AGAIN)
                                return r;
                        if (r == 0)
                                break;
                        if (r == -ENOMEM && mm_find_next(m, s->at) && !mm_find(m, s->at)) { /* a hole, already told */
                                s->at = mm_find_next(m, s->at)->start;
                                continue;
                        }
                        if (r == -EFAULT) { /* PROT_NONE or beyond the file: locked when it comes */
                                s->at += PAGE_SIZE;
                                continue;
                        }
                        return r == -ENOMEM ? -EAGAIN : r;
                }
        }
        return s->hole ? -ENOMEM : 0;
}

static long lock_range(struct call *c, bool on, bool onfault)
{
        struct lock_state *s = call_state(c, struct lock_state);

        if (c->stage == 0) {
                uint64_t start = ALIGN_DOWN(c->arg[0], PAGE_SIZE),
                         len = ALIGN_UP(c->arg[1] + (c->arg[0] & (PAGE_SIZE - 1)), PAGE_SIZE);

                if (start + len < start || (c->arg[1] && !len))
                        return on ? -ENOMEM : -EINVAL;
                if (!len)
                        return 0;
                if (on) {
                        long r;

                        lock(LOCK_MM, c->thread->proc->mm);
                        r = lock_limit(c->thread->proc->mm, len);
                        unlock(LOCK_MM, c->thread->proc->mm);
                        if (r < 0)
                                return r;
                }
                *s = (struct lock_state){.at = start,
                                         .next = start,
                                         .end = MIN(start + len, USER_TOP),
                                         .hole = start + len > USER_TOP,
                                         .onfault = onfault};
                c->stage = 1;
        }
        return lock_run(c, s, on);
}

long sys_mlock(struct call *c)
{
        return lock_range(c, true, false);
}

long sys_mlock2(struct call *c)
{
        if (c->arg[2] & ~(uint64_t)MLOCK_ONFAULT)
                return -EINVAL;
        return lock_range(c, true, c->arg[2] & MLOCK_ONFAULT);
}

long sys_munlock(struct call *c)
{
        return lock_range(c, false, false);
}

static long lock_all(struct call *c, bool on, uint64_t flags)
{
        struct lock_state *s = call_state(c, struct lock_state);
        struct mm *m = c->thread->proc->mm;

        if (c->stage == 0) {
                if (on &&
                    (!flags || flags & ~(uint64_t)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT))
                        return -EINVAL;
                lock(LOCK_MM, m);
                if (on) {
                        long r = lock_limit(m,
                                            flags & MCL_CURRENT ? (m->total_pages - m->locked_pages) << PAGE_SHIFT : 0);

                        if (r < 0)
                                return r;
                }
                *s = (struct lock_state){.end = on && !(flags & MCL_CURRENT) ? 0 : USER_TOP,
                                         .onfault = (flags & MCL_ONFAULT) != 0};
                changes(c);
                m->lock_future = on && flags & MCL_FUTURE ? MAP_LOCKED : 0;
                c->stage = 1;
                section_step();
        }
        long r = lock_run(c, s, on);

        return r == -ENOMEM || r == -EAGAIN ? 0 : r; /* holes are not an error here */
}

long sys_mlockall(struct call *c)
{
        return lock_all(c, true, c->arg[0]);
}

long sys_munlockall(struct call *c)
{
        return lock_all(c, false, 0);
}
