/*
 * remote.c - the memory of another process: process_vm_readv and writev, and what /proc/N/mem and ptrace use. The other space's page tables are not needed: its
 * pages are pages of the space.
 */
#include "posix/mm/mm_internal.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

/* The kernel's address of va in m, up to the page's end; NULL: not mapped, or not so. LOCK_MM is held on return. */
static void *other_page(struct mm *m, uint64_t va, bool write, bool force, size_t *len)
{
        struct page_view pv;
        struct vma *v;

        if (!lock_held(LOCK_MM, m))
                lock(LOCK_MM, m);
        v = va < USER_TOP ? mm_find(m, va) : NULL;
        if (!v || v->flags & VMA_DEVICE || area_page(m, v, ALIGN_DOWN(va, PAGE_SIZE), write, force, &pv) < 0)
                return NULL;
        if (pv.fresh) {
                struct mm_volatile *mv = mm_volatile_peek(m);

                if (mv && mv->mmu)
                        mmu_unmap(mv->mmu, ALIGN_DOWN(va, PAGE_SIZE), PAGE_SIZE);
        }
        *len = MIN(*len, PAGE_SIZE - (va & (PAGE_SIZE - 1)));
        return (char *)(pv.ppn ? space_page(pv.ppn) : direct(pv.pa)) + (va & (PAGE_SIZE - 1));
}

size_t mm_read_other(struct mm *m, uint64_t va, void *buf, size_t len)
{
        void *p = other_page(m, va, false, true, &len);

        if (!p)
                return 0;
        memcpy(buf, p, len);
        return len;
}

size_t mm_write_other(struct mm *m, uint64_t va, const void *buf, size_t len)
{
        void *p = other_page(m, va, true, true, &len);

        if (!p)
                return 0;
        section_changes();
        memcpy(p, buf, len);
        return len;
}

/* ---- process_vm_readv, process_vm_writev ----------------------------------------------------------------------------------- */

struct vm_state {
        uint64_t index, offset;
};

static bool may_access(const struct process *p)
{
        const struct cred *me = thread_current()->cred, *it = p->leader ? p->leader->cred : NULL;

        if (p == process_current() || cred_capable(me, CAP_SYS_PTRACE))
                return true;
        return it && p->dumpable && me->uid == it->euid && me->uid == it->suid && me->uid == it->uid &&
               me->gid == it->egid && me->gid == it->sgid && me->gid == it->gid;
}

static long access_vm(struct call *c, bool write)
{
        struct vm_state *s = call_state(c, struct vm_state);
        uint64_t rvec = c->arg[3], nr = c->arg[4];
        struct process *p;
        struct mm *m;
        char *buf;
        long r;

        if (c->stage == 0) {
                if (c->arg[5])
                        return -EINVAL;
                if (nr > 1024)
                        return -EINVAL;
                r = io_vectors(c, c->arg[1], c->arg[2]);
                if (r)
                        return r;
                p = process_find((int)c->arg[0]);
                if (!p)
                        return -ESRCH;
                m = READ_ONCE(p->mm);
                if (!m)
                        return -ESRCH;
                if (!may_access(p))
                        return -EPERM;
                c->objects[2] = &m->obj;
                s->index = s->offset = 0;
                c->stage = 1;
        }
        m = (struct mm *)c->objects[2];
        buf = call_scratch(c, 0, PAGE_SIZE);
        if (!buf)
                return -ENOMEM;
        while (c->io.len && s->index < nr) {
                uint64_t vec[2], va;
                size_t n;

                if (section_this()->changed)
                        return CALL_AGAIN;
                if (!copy_in(c, vec, rvec + s->index * sizeof(vec), sizeof(vec)))
                        return user_fault(c);
                if (s->offset >= vec[1]) {
                        s->index++;
                        s->offset = 0;
                        continue;
                }
                va = vec[0] + s->offset;
                n = MIN(MIN(vec[1] - s->offset, PAGE_SIZE - (va & (PAGE_SIZE - 1))), c->io.len);
                if (write) {
                        n = io_copy_in(&c->io, buf, n);
                        if (!n)
                                return user_fault(c);
                        n = mm_write_other(m, va, buf, n);
                } else {
                        n = mm_read_other(m, va, buf, n);
                        if (n) {
                                if (section_this()
                                            ->changed) { /* a page of it was made just now: the copy out may fault, so it comes in the next section */
                                        return CALL_AGAIN;
                                }
                                unlock(LOCK_MM, m);
                                n = io_copy_out(&c->io, buf, n);
                                if (!n)
                                        return user_fault(c);
                        }
                }
                if (!n)
                        return c->io.done ? (long)c->io.done : -EFAULT;
                io_advance(&c->io, n);
                s->offset += n;
                if (cpu_this()->need)
                        return CALL_AGAIN;
                if (lock_held(LOCK_MM, m))
                        unlock(LOCK_MM, m);
        }
        return (long)c->io.done;
}

long sys_process_vm_readv(struct call *c)
{
        return access_vm(c, false);
}

long sys_process_vm_writev(struct call *c)
{
        return access_vm(c, true);
}
