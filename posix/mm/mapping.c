/*
 * mapping.c - which address spaces have pages of an inode in their page tables: a volatile register, so that truncate finds them. An address space joins
 * when it maps the first page of the inode and is listed with the range of addresses where such pages can be. After a reboot nothing is mapped and
 * the register is empty.
 *
 * Who maps a page of an inode holds LOCK_INODE from the look-up to the mapping, and so does who takes pages away: none can slip through.
 * Locks: LOCK_MAPPING by bucket. An entry is made and freed under LOCK_MM of its address space too (or when that is dying), which guards the list by space.
 */
#include "posix/mm/mm_internal.h"
#include "kernel/include/mem.h"
#include "kernel/lib/hash.h"

#define BUCKETS 256u

struct mapping {
        struct mapping *next; /* in its bucket */
        struct mapping *next_of_mm;
        struct inode *
                inode; /* only compared: it may be gone, and another may stand in its place; then a page is unmapped in vain */
        struct mm_volatile *mv;
        uint64_t low, high; /* addresses that may show the inode; low == high: none now */
        uint64_t delta;     /* address minus offset, while all areas agree */
        bool mixed;         /* they do not */
};
static struct mapping *bucket[BUCKETS];

static struct mapping **bucket_of(const struct inode *i)
{
        return &bucket[hash_ptr(i) >> 56];
}

static void entry_free(struct mapping *e)
{
        struct mapping **at = bucket_of(e->inode);

        lock(LOCK_MAPPING, at);
        while (*at != e)
                at = &(*at)->next;
        *at = e->next;
        unlock(LOCK_MAPPING, bucket_of(e->inode));
        e->mv->nmappings--;
        kfree(e);
}

/* Entries of inodes that the address space no longer maps; looked for when the list has doubled. */
static void sweep(struct mm_volatile *mv)
{
        for (struct mapping **at = &mv->mappings; *at;) {
                struct mapping *e = *at;
                struct vma *v = mv->mm->first;

                while (v && v->inode != e->inode)
                        v = v->next;
                if (v) {
                        at = &e->next_of_mm;
                } else {
                        *at = e->next_of_mm;
                        entry_free(e);
                }
        }
        mv->sweep_at = 2 * mv->nmappings + 32;
}

int mapping_join(struct mm_volatile *mv, struct vma *v)
{
        struct mapping **head = bucket_of(v->inode), *e;
        uint64_t delta = v->start - (v->pgoff << PAGE_SHIFT);

        lock(LOCK_MAPPING, head);
        for (e = *head; e && (e->inode != v->inode || e->mv != mv); e = e->next)
                ;
        if (!e) {
                unlock(LOCK_MAPPING, head);
                if (mv->nmappings >= mv->sweep_at)
                        sweep(mv);
                e = kzalloc(sizeof(*e));
                if (!e)
                        return -ENOMEM;
                e->inode = v->inode;
                e->mv = mv;
                e->next_of_mm = mv->mappings;
                mv->mappings = e;
                mv->nmappings++;
                lock(LOCK_MAPPING, head);
                e->next = *head;
                *head = e;
        }
        if (e->low == e->high) {
                e->low = v->start;
                e->high = v->end;
                e->delta = delta;
                e->mixed = false;
        } else {
                e->low = MIN(e->low, v->start);
                e->high = MAX(e->high, v->end);
                e->mixed |= e->delta != delta;
        }
        unlock(LOCK_MAPPING, head);
        return 0;
}

void mapping_leave(struct mm_volatile *mv, struct vma *v)
{
        for (struct mapping **at = &mv->mappings; *at; at = &(*at)->next_of_mm) {
                struct mapping *e = *at;

                if (e->inode != v->inode)
                        continue;
                if (e->low >= v->start && e->high <= v->end) {
                        *at = e->next_of_mm;
                        entry_free(e);
                }
                return;
        }
}

void mapping_leave_all(struct mm_volatile *mv)
{
        struct mapping *e;

        while ((e = mv->mappings)) {
                mv->mappings = e->next_of_mm;
                entry_free(e);
        }
}

void mm_unmap_inode(struct inode *i, uint64_t from, uint64_t to)
{
        struct mapping **head = bucket_of(i);

        if (from >= to)
                return;
        lock(LOCK_MAPPING, head);
        for (struct mapping *e = *head; e; e = e->next) {
                uint64_t low = e->low, high = e->high;

                if (e->inode != i || low == high)
                        continue;
                if (!e->mixed) {
                        if (from << PAGE_SHIFT >> PAGE_SHIFT == from)
                                low = MAX((int64_t)low, (int64_t)(e->delta + (from << PAGE_SHIFT)));
                        if (to < USER_TOP >> PAGE_SHIFT)
                                high = MIN((int64_t)high, (int64_t)(e->delta + (to << PAGE_SHIFT)));
                        if ((int64_t)low >= (int64_t)high)
                                continue;
                }
                mmu_unmap(e->mv->mmu, low, high - low);
                if (low == e->low && high == e->high)
                        e->low = e->high = 0;
        }
        unlock(LOCK_MAPPING, head);
}
