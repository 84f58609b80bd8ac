/*
 * mm_internal.h - between the files of posix/mm only.
 *
 * Lock order: LOCK_MM, LOCK_FILE, LOCK_INODE, LOCK_MAPPING (the volatile register of who maps an inode), then the page tables' own spinlock.
 */
#pragma once
#include "posix/include/mm.h"

#define AREAS_MAX     65530u            /* Linux's vm.max_map_count */
#define GUARD_GAP     (256 * PAGE_SIZE) /* below an area that grows down */
#define MMAP_MIN_ADDR 65536ul
#define AROUND        16u /* pages mapped together by a read fault on a file */
#define PIECE_AREAS   8u  /* areas changed in one section */
#define PIECE_DIRTY   36u /* a piece ends when its section was the first to dirty this many pages */

/* Does this section still have credit for one more area or page? */
static inline bool piece_full(void)
{
        return section_this()->dirtied >= PIECE_DIRTY;
}

/* The volatile half of an address space. */
struct mapping;
struct mm_volatile {
        struct mmu *mmu;
        struct mm *mm;
        struct vma *hit;          /* last found; LOCK_MM; forgotten when an area goes */
        struct mapping *mappings; /* inodes that this space has pages of; LOCK_MM */
        uint32_t nmappings, sweep_at;
        uint64_t hint, hole; /* top-down search: there is no gap above hint larger than hole */
        uint32_t ndma;       /* requests whose device works on pages of this space; LOCK_MM, like the next two */
        uint32_t fork_turn;  /* so many more are refused, so that a fork gets its turn */
        bool fork_waits;
};
struct mm_volatile *mm_volatile(struct mm *m);            /* NULL: no memory */
struct mm_volatile *mm_volatile_peek(const struct mm *m); /* NULL: not made in this life */
struct mm_volatile *mm_volatile_slot(unsigned slot);      /* the same by number, for a walk of all */
#define MM_SLOTS 32768u
#define MM_CHUNK 64u
extern struct mm_volatile *mm_chunk[MM_SLOTS / MM_CHUNK];
/* The peek of a fault: for an address space that runs. */
static inline struct mm_volatile *mm_volatile_quick(const struct mm *m)
{
        struct mm_volatile *row = READ_ONCE(mm_chunk[m->slot / MM_CHUNK]);

        return likely(row && row[m->slot % MM_CHUNK].mm == m) ? &row[m->slot % MM_CHUNK] : NULL;
}

/* area.c: after changes(), LOCK_MM held, unless told */
struct vma *area_new(void); /* refs 1, not in any space */
void area_insert(struct mm *m, struct vma *v);
void area_erase(struct mm *m, struct vma *v);    /* off the tree and list; keeps its reference */
void area_remove(struct mm *m, struct vma *v);   /* the same for good: its pages are unmapped already */
bool area_cut_ready(struct vma *v, uint64_t at); /* before changes(): room for a cut at `at`, and its path touched */
struct vma *area_cut(struct mm *m, struct vma *v, uint64_t at); /* v keeps what is below; the upper part is returned */
#define MM_CUT_ROOM (1u + PTREE_COST_MAX)
void area_merge_touch(struct mm *m, struct vma *v); /* before changes() */
bool area_merge_room(void);
struct vma *
area_merge(struct mm *m,
           struct vma *v);            /* with its neighbours, where they are alike; returns the area v is now part of */
void area_touch(const struct vma *v); /* before changes(): all that area_drop will read */
void area_drop(struct vma *v);        /* off the tree: frees its pages, now if they are few, else the dying list does */
bool area_free(struct vma *v,
               unsigned budget); /* its pages, as many as the budget allows; true: all, and the area itself is gone */
bool vma_release_object(void *v);
void vma_touch_object(void *v);

/* fault.c */
struct page_view { /* what a fault finds for one page */
        ppn_t ppn; /* 0: the zero page, or a device */
        paddr_t pa;
        unsigned prot; /* MMU_* it may be mapped with now */
        bool fresh;    /* it takes the place of another page, or of the zero page, that may be mapped */
};
/*
 * The page at va of area v for this kind of access, made, copied or noted dirty as needed. LOCK_MM held; may take LOCK_INODE, which stays held to the section's
 * end or until unlocked. 0; -EFAULT (protection), -EOVERFLOW (beyond the end of the file: SIGBUS), -ENOMEM; all errors are before the change.
 */
int area_page(struct mm *m, struct vma *v, uint64_t va, bool write, bool force, struct page_view *pv);
int area_grow_down(struct mm *m, struct vma *v, uint64_t va); /* 0 or -EFAULT, -ENOMEM; begins the change */
/* Makes up to some pages of [*at, to) present: one piece; section_step() inside. *at advances. 0 done, CALL_AGAIN, -ENOMEM, -EFAULT (no area or not allowed). */
long mm_populate_piece(struct call *c, struct mm *m, uint64_t *at, uint64_t to, bool write_private);

/* oom.c: memory is gone for a fault. Kills somebody, or waits for one who dies: 0 (try again) or CALL_WAIT, CALL_RETRY. */
long oom_act(struct call *c);

/* mapping.c */
int mapping_join(struct mm_volatile *mv,
                 struct vma *v); /* LOCK_INODE held: before the area's page is mapped; 0 or -ENOMEM */
void mapping_leave(struct mm_volatile *mv, struct vma *v);
void mapping_leave_all(struct mm_volatile *mv);

/* address_space.c */
void mm_owner_take(struct call *c, struct mm *m); /* after changes() */
void mm_owner_drop(struct mm *m);                 /* after changes(); wakes who waits */
extern paddr_t mm_zero_frame, mm_vvar_frame;
