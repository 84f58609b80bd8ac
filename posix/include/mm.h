/*
 * mm.h - address spaces (posix/mm). The truth is areas and the page tree, in the space; page tables (struct mmu) are volatile, found by mm->slot.
 */
#pragma once
#include "posix/include/process.h"
#include "posix/include/vfs.h"
#include "kernel/include/arch/mmu.h"

struct vma {
        uint64_t start, end;       /* [P, l LOCK_MM] page-aligned, end exclusive */
        uint32_t prot, flags;      /* PROT_*, MAP_* that matter later (SHARED, GROWSDOWN, NORESERVE, LOCKED, STACK) and VMA_* */
        uint64_t pgoff;            /* of start in the inode, pages */
        struct inode *inode;       /* FIELD_REF: file or shared memory; NULL anonymous private */
        struct file *file;         /* FIELD_REF: for /proc/maps and device mappings; may be NULL */
        struct vma *left, *right, *parent; uint64_t color;   /* balanced tree by start */
        struct vma *next, *prev;   /* in address order */
        uint64_t spare[2];
};
/* What a file's mmap operation may set. */
struct vma_request { uint64_t len, pgoff; uint32_t prot, flags; struct inode *inode; paddr_t device_pa; bool device; };

struct mm {
        struct object obj;
        uint32_t slot;             /* [I] dense: volatile page tables */
        uint32_t nareas;
        struct vma *tree, *first, *last_hit;
        struct ptree anon;         /* private pages by va >> 12 */
        uint64_t brk_start, brk, mmap_base, stack_top, vdso;
        uint64_t total_pages, locked_pages, anon_pages;
        struct thread *owner;      /* FIELD_BORROW: owner field of work in pieces */
        uint64_t def_flags;
        uint64_t spare[6];
};

struct mmu *mm_tables(struct mm *m);       /* volatile; made when missing; NULL: no memory */
struct vma *mm_find(struct mm *m, uint64_t va);   /* LOCK_MM; area that holds va, or NULL */
/* Map [len] for kernel-made areas (exec, vdso, shm): LOCK_MM held, after changes(); address chosen when 0. */
long mm_map_area(struct mm *m, uint64_t va, uint64_t len, uint32_t prot, uint32_t flags, struct inode *i, uint64_t pgoff, struct file *f);
void mm_release_all(struct mm *m);
long exec_start(struct call *c);           /* sys_execve's body */
/* Private data of another process (proc/pid/mem, environ, cmdline): bytes copied. */
size_t mm_read_other(struct mm *m, uint64_t va, void *buf, size_t len);
uint64_t mm_rss_pages(struct mm *m);
/* Shared mapping's futex key: (inode, offset) or (mm, va). */
void mm_futex_key(struct mm *m, uint64_t va, uint64_t key[2]);
int mm_boot(void);                          /* every boot: volatile tables, vDSO data page */
int mm_create_vdso(void);                   /* first boot: vDSO code pages into the space */
