/*
 * fault.c - from an address to a page: what a page fault, a copy from the kernel, /proc/N/mem and populate all need.
 *
 * A page is mapped writable only after it was noted dirty in this epoch (P4); the barrier takes the right away again, so the most frequent fault of a running
 * program is a write to a page it owns, and that path is the shortest: find the area, one walk of its tree, note, map.
 *
 *      private, no file    read: the zero page; write: a new page in the area's tree
 *      private, file       read: the inode's page; write: a copy of it in the area's tree
 *      shared              the inode's page; a hole is filled by the first touch, read or write, so that all see the same page
 *      page of the tree    read: as it is; write: copied first when it or a node above is shared with a relative
 *
 * Invariants: P4, P14. mmu_map flushes everywhere when a page takes another's place.
 */
#include "posix/mm/mm_internal.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"
#include <linux/resource.h>

#define FAULT_PRESENT 1u
#define FAULT_WRITE   2u
#define FAULT_FETCH   16u

static unsigned area_prot(const struct vma *v)
{
        return MMU_U | (v->prot & PROT_EXEC ? MMU_X : 0);
}

/* An absent page makes the section start again, so it is met before the change. */
static void page_touch(ppn_t p)
{
        (void)*(volatile uint64_t *)space_page(p);
}

/* The inode's page, LOCK_INODE held from here on. A hole gets its page. */
static int file_page(struct inode *i, uint64_t index, ppn_t *page)
{
        lock(LOCK_INODE, i);
        if (index >= (i->size + PAGE_SIZE - 1) >> PAGE_SHIFT)
                return -EOVERFLOW;
        *page = inode_page(i, index);
        if (likely(*page)) {
                page_touch(*page);
                return 0;
        }
        if (!space_room(ptree_cost(&i->data, index)))
                return -ENOMEM;
        section_changes();
        *page = inode_page_create(i, index);
        return *page ? 0 : -ENOMEM;
}

static int private_page(struct vma *v, uint64_t index, bool write, struct page_view *pv)
{
        struct ptree_probe at;
        ppn_t p, from;
        int r;

        ptree_probe(&v->anon, index, &at);
        p = at.leaf;
        if (p) {
                if (v->inode && index >= (READ_ONCE(v->inode->size) + PAGE_SIZE - 1) >> PAGE_SHIFT)
                        return -EOVERFLOW; /* truncated: the copy is gone with the page, as on Linux */
                if (!write) {
                        if (!at.shared && v->prot & PROT_WRITE && arena_is_dirty(p))
                                pv->prot |= MMU_W;
                } else if (!at.shared) {
                        section_changes();
                        space_page_dirty(p);
                } else {
                        if (!space_room(at.cost))
                                return -ENOMEM;
                        section_changes();
                        pv->fresh = true;
                        p = ptree_own(&v->anon, index);
                        space_page_dirty(p); /* a relative may have let go meanwhile: then it is the old page */
                }
        } else if (!v->inode) {
                if (!write) {
                        pv->pa = mm_zero_frame;
                        return 0;
                }
                if (!space_room(at.cost))
                        return -ENOMEM;
                section_changes();
                pv->fresh = true;
                p = ptree_own_at(&v->anon, index, &at);
        } else {
                r = file_page(v->inode, index, &p);
                if (r < 0)
                        return r;
                if (write) {
                        from = p;
                        if (!space_room(at.cost))
                                return -ENOMEM;
                        section_changes();
                        pv->fresh = true;
                        p = space_page_alloc(PAGE_ANON);
                        memcpy(space_page(p), space_page(from), PAGE_SIZE);
                        ptree_set(&v->anon, index, p);
                        unlock(LOCK_INODE, v->inode);
                }
        }
        pv->ppn = p;
        pv->pa = arena_frame(p);
        if (write)
                pv->prot |= MMU_W;
        return 0;
}

static int shared_page(struct vma *v, uint64_t index, bool write, struct page_view *pv)
{
        ppn_t p;
        int r = file_page(v->inode, index, &p);

        if (r < 0)
                return r;
        if (write) {
                section_changes();
                space_page_dirty(p);
                if ((v->inode->mode & S_IFMT) == S_IFREG && v->file)
                        v->inode->mtime_ns = v->inode->ctime_ns = (int64_t)time_now_coarse_ns();
                pv->prot |= MMU_W;
        } else if (v->prot & PROT_WRITE && arena_is_dirty(p)) {
                pv->prot |= MMU_W;
        }
        pv->ppn = p;
        pv->pa = arena_frame(p);
        return 0;
}

int area_page(struct mm *m, struct vma *v, uint64_t va, bool write, bool force, struct page_view *pv)
{
        uint64_t index = vma_index(v, va);

        (void)m;
        if (write ? !(v->prot & PROT_WRITE) : !(v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) {
                if (!force || (write && v->flags & MAP_SHARED))
                        return -EFAULT;
        }
        pv->ppn = 0;
        pv->fresh = false;
        pv->prot = area_prot(v);
        if (unlikely(v->flags & (VMA_DEVICE | VMA_VVAR))) {
                if (v->flags & VMA_VVAR) {
                        pv->pa = mm_vvar_frame;
                        return write ? -EFAULT : 0;
                }
                pv->pa = index << PAGE_SHIFT;
                pv->prot |= MMU_DEVICE | (v->flags & VMA_DEVICE_WC ? MMU_WC : 0) | (v->prot & PROT_WRITE ? MMU_W : 0);
                return 0;
        }
        return v->flags & MAP_SHARED ? shared_page(v, index, write, pv) : private_page(v, index, write, pv);
}

/* ---- mapping it ------------------------------------------------------------------------------------------------------------ */

/* LOCK_INODE is held when the page is the inode's. */
static int page_map(struct mm_volatile *mv, struct vma *v, uint64_t va, const struct page_view *pv)
{
        if (v->inode && !(v->flags & VMA_DEVICE)) {
                int r = mapping_join(mv, v);

                if (r < 0)
                        return r;
        }
        return mmu_map(mv->mmu, va, pv->pa, pv->prot);
}

/*
 * A read fault on a file maps its neighbours that are there already: the AROUND aligned pages within the area, but not what is private by now, nor what is
 * mapped. LOCK_INODE is held; the area has joined.
 */
static void map_around(struct mm_volatile *mv, struct vma *v, uint64_t va)
{
        uint64_t low = MAX(ALIGN_DOWN(va, AROUND * PAGE_SIZE), v->start);
        uint64_t high = MIN(ALIGN_DOWN(va, AROUND * PAGE_SIZE) + AROUND * PAGE_SIZE, v->end);
        uint64_t index = vma_index(v, low), limit = (v->inode->size + PAGE_SIZE - 1) >> PAGE_SHIFT;
        unsigned n = (unsigned)((high - low) >> PAGE_SHIFT);
        ppn_t pages[AROUND], own[AROUND];

        if (index + n > limit)
                n = (unsigned)(limit - index);
        ptree_lookup_run(&v->inode->data, index, n, pages);
        if (v->anon.root)
                ptree_lookup_run(&v->anon, index, n, own);
        for (unsigned i = 0; i < n; i++) {
                if (pages[i])
                        pages[i] = v->anon.root && own[i] ? 0 : arena_frame(pages[i]);
        }
        mmu_map_absent(mv->mmu, low, pages, n, area_prot(v));
}

int area_grow_down(struct mm *m, struct vma *v, uint64_t va)
{
        struct process *p = process_current();
        uint64_t start = ALIGN_DOWN(va, PAGE_SIZE), more = v->start - start;
        struct vma *below = v->prev;

        if (v->end - start > rlimit_of(p, RLIMIT_STACK) || start < MMAP_MIN_ADDR || v->pgoff < more >> PAGE_SHIFT)
                return -EFAULT;
        if (below && below->prot && !(below->flags & MAP_GROWSDOWN) && below->end + GUARD_GAP > start)
                return -EFAULT;
        if (below && below->end > start)
                return -EFAULT;
        if (mm_may_map(m, more, v->prot, v->flags) < 0)
                return -ENOMEM;
        section_changes();
        v->start = start;
        v->pgoff -= more >> PAGE_SHIFT;
        m->total_pages += more >> PAGE_SHIFT;
        if (v->flags & MAP_LOCKED)
                m->locked_pages += more >> PAGE_SHIFT;
        return 0;
}

long mm_fault(struct call *c, uint64_t addr, uint64_t err, int *signo, int *code)
{
        struct mm *m = c->thread->proc->mm;
        bool write = err & FAULT_WRITE;
        struct mm_volatile *mv;
        struct page_view pv;
        struct vma *v;
        int r;

        *signo = SIGSEGV;
        *code = SEGV_MAPERR;
        if (unlikely(addr >= USER_TOP || !m))
                return -EFAULT;
        lock(LOCK_MM, m);
        mv = mm_volatile_quick(m);
        if (unlikely(!mv || !mv->mmu)) {
                mv = mm_volatile(m);
                if (!mv || !mm_tables(m))
                        return oom_act(c);
        }
        if (unlikely(cpu_this()->mmu != mv->mmu)) /* there was no memory for tables when the thread was entered */
                mmu_load(mv->mmu);
        v = mv->hit;
        if (!v || addr < v->start || addr >= v->end) {
                v = mm_find_next(m, addr);
                if (!v)
                        return -EFAULT;
                if (unlikely(addr < v->start)) {
                        if (!(v->flags & MAP_GROWSDOWN) || area_grow_down(m, v, addr) < 0)
                                return -EFAULT;
                }
                mv->hit = v;
        }
        *code = SEGV_ACCERR;
        if (err & FAULT_FETCH && !(v->prot & PROT_EXEC))
                return -EFAULT;
        addr = ALIGN_DOWN(addr, PAGE_SIZE);
        r = area_page(m, v, addr, write, false, &pv);
        if (likely(r == 0)) {
                r = page_map(mv, v, addr, &pv);
                if (!write && v->inode && pv.ppn && r == 0 && !section_this()->changed &&
                    lock_held(LOCK_INODE, v->inode))
                        map_around(mv, v, addr);
                if (section_this()->changed)
                        c->thread->minflt++;
        }
        if (likely(r == 0))
                return 0;
        if (r == -ENOMEM)
                return oom_act(c);
        if (r == -EOVERFLOW) {
                *signo = SIGBUS;
                *code = BUS_ADRERR;
        }
        return -EFAULT;
}

/* ---- many pages at once ---------------------------------------------------------------------------------------------------- */

#define PIECE_POPULATE 64u

long mm_populate_piece(struct call *c, struct mm *m, uint64_t *at, uint64_t to, bool write_private)
{
        for (unsigned n = 0; *at < to; n++, *at += PAGE_SIZE) {
                struct mm_volatile *mv;
                struct page_view pv;
                struct vma *v;
                unsigned prot;
                bool write;
                int r;

                if (n >= PIECE_POPULATE || (n && cpu_this()->need))
                        return CALL_AGAIN;
                if (section_this()->changed)
                        section_step();
                if (!lock_held(LOCK_MM, m))
                        lock(LOCK_MM, m);
                mv = mm_volatile(m);
                v = mm_find(m, *at);
                if (!v)
                        return -ENOMEM;
                if (!mv || !mm_tables(m))
                        return -ENOMEM;
                if (v->flags & (VMA_DEVICE | VMA_VVAR)) {
                        *at = v->end - PAGE_SIZE;
                        continue;
                }
                write = write_private && v->prot & PROT_WRITE && !(v->flags & MAP_SHARED);
                if (mmu_lookup(mv->mmu, *at, &prot) && (!write || prot & MMU_W))
                        continue;
                r = area_page(m, v, *at, write, false, &pv);
                if (r == 0)
                        r = page_map(mv, v, *at, &pv);
                if (v->inode && lock_held(LOCK_INODE, v->inode))
                        unlock(LOCK_INODE, v->inode);
                if (r < 0)
                        return r == -EOVERFLOW ? -EFAULT : r;
        }
        (void)c;
        return 0;
}

/* ---- direct I/O ------------------------------------------------------------------------------------------------------------ */

static bool area_takes_dma(const struct vma *v, bool device_writes)
{
        return v && !v->inode && !(v->flags & (MAP_SHARED | VMA_DEVICE | VMA_VVAR | VMA_VDSO)) &&
               v->prot & (device_writes ? PROT_WRITE : PROT_READ);
}

/* What a write of the program would make, make its own or bring is left to such a write's fault. */
static long dma_pages(struct call *c, uint64_t va, size_t len, bool device_writes, ppn_t *page)
{
        struct mm *m = c->thread->proc->mm;
        struct mm_volatile *mv = mm_volatile(m);
        struct vma *v = NULL;

        if (!mv || m->owner)
                return -EFAULT;
        if (unlikely(mv->fork_turn)) {
                mv->fork_turn--;
                return -EFAULT;
        }
        for (uint64_t at = ALIGN_DOWN(va, PAGE_SIZE); at < va + len; at += PAGE_SIZE) {
                bool shared;
                ppn_t p;

                if (!v || at >= v->end)
                        v = mm_find(m, at);
                if (!area_takes_dma(v, device_writes))
                        return -EFAULT;
                p = ptree_look(&v->anon, vma_index(v, at), &shared);
                if (unlikely(!p || shared)) {
                        if (!device_writes)
                                return -EFAULT;
                        if (c->fault_failed) { /* the one below was in vain; so will the copy's be */
                                c->fault_failed = 0;
                                return -EFAULT;
                        }
                        c->fault_addr = at;
                        c->fault_err = FAULT_WRITE;
                        return CALL_FAULT;
                }
                page_touch(p);
                *page++ = p;
        }
        return 0;
}

long mm_dma_pages(struct call *c, uint64_t va, size_t len, bool device_writes, ppn_t *page)
{
        struct mm *m = c->thread->proc->mm;
        long r;

        lock(LOCK_MM, m);
        r = dma_pages(c, va, len, device_writes, page);
        if (r == -EFAULT)
                unlock(LOCK_MM, m);
        return r;
}

bool mm_dma_begin(struct mm *m, struct space_pins *p)
{
        section_changes();
        if (!space_pin(p))
                return false;
        mm_volatile(m)->ndma++;
        return true;
}

void mm_dma_end(struct mm *m, struct space_pins *p)
{
        struct mm_volatile *mv = mm_volatile(m);

        if (!lock_held(LOCK_MM, m))
                lock(LOCK_MM, m);
        section_changes();
        space_unpin(p);
        if (--mv->ndma == 0 && mv->fork_waits) {
                mv->fork_waits = false;
                wake(&m->fork_at);
        }
}
