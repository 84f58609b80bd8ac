/*
 * mm.h - address spaces (posix/mm). The truth is areas and page trees, in the space; page tables (struct mmu) are volatile, found by mm->slot.
 *
 * LOCK_MM guards areas and their page trees. A change of areas that does not fit in one section takes the owner field (mm_enter, mm_leave); faults
 * do not look at it. Pages of a shared or file area belong to the inode, under LOCK_INODE, which is held until the page is mapped, so that a truncate, which
 * holds it too, finds every mapping (mm_unmap_inode).
 */
#pragma once
#include "posix/include/process.h"
#include "posix/include/vfs.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/lib/rbtree.h"
#include <linux/mman.h>

/* Counted only so that it can hang on a dying list while its pages are freed in pieces: the address space holds the one reference. Resident, like struct mm. */
struct vma {
        struct object obj;
        struct rb_node node;     /* [P, l LOCK_MM] by start */
        struct vma *next, *prev; /* [P, l] in address order; FIELD_REF, FIELD_BORROW */
        uint64_t start, end;     /* [P, l] page-aligned, end exclusive */
        uint32_t prot, flags;    /* [P, l] PROT_*; MAP_* that matter later and VMA_* */
        uint64_t pgoff;          /* [P, l] index of start's page: in the inode, in `anon`; frame number of a device */
        struct inode *inode;     /* FIELD_REF: file or shared memory; NULL anonymous private, device */
        struct file *file;       /* FIELD_REF: what was mapped, for /proc/maps; may be NULL */
        struct ptree anon;       /* [P, l] private pages, by vma_index() */
        uint64_t spare[2];
};
/* vma->flags: MAP_SHARED MAP_GROWSDOWN MAP_NORESERVE MAP_LOCKED MAP_STACK, and these, which no mmap(2) argument has: */
#define VMA_DEVICE     0x00200000u /* pgoff is a physical frame number: untracked, volatile at a new boot */
#define VMA_DEVICE_WC  0x00400000u
#define VMA_DONTFORK   0x00800000u
#define VMA_WIPEONFORK 0x01000000u
#define VMA_NOWRITE    0x02000000u /* shared mapping of a file not opened for writing: PROT_WRITE is EACCES */
#define VMA_NOEXEC     0x08000000u
#define VMA_VVAR       0x10000000u /* the vDSO's data page: a volatile frame */
#define VMA_VDSO       0x20000000u
#define VMA_DONTDUMP   0x40000000u
#define VMA_KEPT       (MAP_SHARED | MAP_GROWSDOWN | MAP_NORESERVE | MAP_LOCKED | MAP_STACK)

static inline uint64_t vma_index(const struct vma *v, uint64_t va)
{
        return v->pgoff + ((va - v->start) >> PAGE_SHIFT);
}
static inline uint64_t vma_pages(const struct vma *v)
{
        return (v->end - v->start) >> PAGE_SHIFT;
}

/* What a file's mmap operation may set. */
struct vma_request {
        uint64_t len, pgoff;
        uint32_t prot, flags;
        struct inode *inode;
        paddr_t device_pa;
        bool device;
        bool write_combining;
};

struct mm {
        struct object obj;
        uint32_t slot;   /* [I] dense: volatile page tables */
        uint32_t nareas; /* [l LOCK_MM], like all below */
        struct rb_root tree;
        struct vma *first, *last;
        uint64_t brk_start, brk, mmap_base, stack_top, vdso;
        uint64_t total_pages, locked_pages;
        struct thread *owner; /* FIELD_BORROW: owner field of work in pieces */
        struct inode *exe;    /* FIELD_REF: the program, which may not be written (inode->writers) */
        uint32_t lock_future; /* mlockall(MCL_FUTURE): MAP_LOCKED or 0 */
        uint32_t membarrier;  /* commands registered for */
        uint64_t fork_at;     /* unfinished copy: the parent's next area, */
        uint64_t fork_index;  /* and, while that area's pages are being shared in pieces, the next one + 1 */
        uint64_t spare[4];
};

/* ---- for everybody ---- */
struct mmu *mm_tables(struct mm *m); /* volatile; made when missing; NULL: no memory */
struct mm *mm_new(void);             /* empty, refs 1; after changes(); NULL: none left */
uint64_t mm_rss_pages(struct mm *m); /* no lock needed */
/* Shared mapping's futex key: (inode, offset) or (mm, va). Takes LOCK_MM unless it is held. */
void mm_futex_key(struct mm *m, uint64_t va, uint64_t key[2]);
/* Memory of any process (/proc/N/{mem,environ,cmdline}, ptrace): bytes copied, stops at what is not mapped. A section's, before changes(): it may
 * change (copy-on-write, first touch), so a caller that copies in a loop calls section_step() between. At most up to a page's end a call. */
size_t mm_read_other(struct mm *m, uint64_t va, void *buf, size_t len);
size_t mm_write_other(struct mm *m, uint64_t va, const void *buf, size_t len);
/* Some address space may write the inode through a shared mapping (F_SEAL_WRITE). */
bool mm_inode_mapped_writable(const struct inode *i);
void mm_forget(void);            /* storm: all address spaces lose their volatile halves */
int mm_boot(void);               /* every boot: volatile tables, vDSO data page. 0 or -ENOMEM */
int mm_create_vdso(void);        /* first boot, no section open: vDSO code pages into the space. 0 or -ENOMEM */
long exec_start(struct call *c); /* NR_START_INIT: execve with kernel strings; see posix/exec/README.md */
extern const struct posix_type mm_types[];

/*
 * Direct I/O (fault.c): the device itself reads or writes the caller's private memory. mm_dma_pages, before changes(), takes LOCK_MM and finds the pages of [va, va + len),
 * at most SPACE_PINS. 0: page[] has them, present, and of this space alone; CALL_FAULT: return it, and come again; -EFAULT: not such memory, or a fork is under way: copy; LOCK_MM is not held.
 * mm_dma_begin, in the same section, pins those in p; false: too many are. From then to mm_dma_end, by the same thread, after what is done without LOCK_MM, no fork shares them. Both begin the change.
 */
long mm_dma_pages(struct call *c, uint64_t va, size_t len, bool device_writes, ppn_t *page);
bool mm_dma_begin(struct mm *m, struct space_pins *p);
void mm_dma_end(struct mm *m, struct space_pins *p);

/* ---- /proc/N/{maps,smaps,statm,status}: LOCK_MM held ---- */
struct vma *mm_find(struct mm *m, uint64_t va);      /* area that holds va, or NULL */
struct vma *mm_find_next(struct mm *m, uint64_t va); /* first area that ends after va, or NULL */
const char *
mm_area_name(struct mm *m,
             struct vma *v); /* "[heap]", "[stack]", "[vdso]", "[vvar]" or NULL: the file's path or nothing */
struct mm_sizes {
        uint64_t total, resident, shared, text, data, stack, locked;
}; /* pages */
void mm_sizes(struct mm *m, struct mm_sizes *s);
struct area_stats {
        uint64_t rss, anon, swap_zero, dirty;
}; /* pages of one area */
void mm_area_stats(struct vma *v, struct area_stats *s);

/* ---- kernel-made areas (exec, SysV shm) ---- */
/*
 * Changes of areas: mm_enter locks LOCK_MM and, while another thread owns the address space, waits: 0 or CALL_WAIT, CALL_RETRY (return it). Pages that
 * mm_map_area may need: MM_AREA_ROOM.
 */
long mm_enter(struct call *c, struct mm *m);
#define MM_AREA_ROOM 4u
uint64_t mm_map_vdso(struct mm *m); /* [vvar] and [vdso]: posix/exec/vdso_area.c */
#define MM_VDSO_ROOM 8u
/* Free range of len bytes (a page multiple), `align` a power of two: address, 0: none. LOCK_MM held. */
uint64_t mm_gap(struct mm *m, uint64_t len, uint64_t align);
bool mm_range_free(struct mm *m, uint64_t va, uint64_t len);
/* After changes(), LOCK_MM held: an area over a free range. Counts inode and file. Limits were checked by the caller (mm_may_map). Returns the area. */
struct vma *mm_map_area(struct mm *m, uint64_t va, uint64_t len, uint32_t prot, uint32_t flags, struct inode *i,
                        uint64_t pgoff, struct file *f);
/* RLIMIT_AS, RLIMIT_DATA, number of areas: 0 or -ENOMEM. */
int mm_may_map(struct mm *m, uint64_t len, uint32_t prot, uint32_t flags);
/* Unmaps [from, to): one piece of work in a section that has not changed anything, LOCK_MM held by mm_enter. 0, CALL_AGAIN or -ENOMEM (nothing changed). */
long mm_leave(struct call *c, struct mm *m,
              long result); /* a call that may own m ends: lets go unless it goes on; returns result */
long mm_unmap_piece(struct call *c, struct mm *m, uint64_t from, uint64_t to);

/* ---- fork ---- */
/*
 * Stage of clone: called in sections that have changed nothing, until it returns something else than CALL_AGAIN, CALL_WAIT, CALL_RETRY (which the caller returns).
 * 0: *out is the child's address space with one reference, for the caller; the section is changed, LOCK_MM is not held. -ENOMEM: nothing is left behind.
 * Between pieces the unfinished copy is c->objects[3]; c->inode2 must not be used before.
 */
long mm_fork(struct call *c, struct mm *from, struct mm **out);
