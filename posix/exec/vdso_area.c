/*
 * vdso_area.c - the vDSO in the space and in address spaces: [vvar], a volatile frame that kernel/time writes, and right after it [vdso], the code.
 *
 * The code is copied into pages of the space at the first boot and stays: threads that are inside it go on after a reboot, even into a kernel whose own image
 * differs. Each address space has the pages in its area's tree, shared copy-on-write, so that a debugger's breakpoint stays with its process.
 */
#include "posix/mm/mm_internal.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/lib/string.h"

#define VDSO_PAGES_MAX 4u

/* posix_root()->mm_state */
struct mm_root {
        uint64_t vdso_pages;
        ppn_t vdso[VDSO_PAGES_MAX]; /* [P] one reference each */
};

extern const char vdso_image_start[], vdso_image_end[];

paddr_t mm_zero_frame, mm_vvar_frame;

/* Page references: what nodes name, the roots in areas and inodes, the vDSO. */
static void visit_area(void *object, void *arg)
{
        const struct space_visitor *v = arg;
        struct vma *a = object;

        if (a->anon.root)
                v->page(a->anon.root);
}

static void visit_inode(void *object, void *arg)
{
        const struct space_visitor *v = arg;
        struct inode *i = object;

        if (i->data.root)
                v->page(i->data.root);
}

static void walk_pages(const struct space_visitor *v)
{
        struct posix_root *root = posix_root();
        struct space_stats s;

        space_stats(&s);
        for (ppn_t p = s.pages_first; p < s.pages_top; p++) {
                const uint64_t *e = space_page(p);

                if (space_page_kind(p) != PAGE_NODE || !space_page_refs(p))
                        continue; /* freed, or waiting for its grace period */
                for (unsigned i = 0; i < PAGE_SIZE / sizeof(*e); i++) {
                        if (e[i])
                                v->page(e[i]);
                }
        }
        space_each(TYPE_VMA, visit_area, (void *)(uintptr_t)v);
        space_each(TYPE_INODE, visit_inode, (void *)(uintptr_t)v);
        if (root && root->mm_state) {
                struct mm_root *r = root->mm_state;

                for (unsigned i = 0; i < r->vdso_pages; i++)
                        v->page(r->vdso[i]);
        }
}

int mm_boot(void)
{
        struct time_vdso *page;

        mm_zero_frame = frame_alloc();
        mm_vvar_frame = frame_alloc();
        if (!mm_zero_frame || !mm_vvar_frame)
                return -ENOMEM;
        memset(direct(mm_zero_frame), 0, PAGE_SIZE);
        page = direct(mm_vvar_frame);
        memset(page, 0, PAGE_SIZE);
        /* Another start in each life, so that a reader caught in the middle by the end of the last one sees that it changed. */
        page->seq = (uint32_t)(time_real_ns() >> 10) & ~1u;
        time_vdso_register(page);
        if (page->shift != 32)
                panic("the vDSO wants clock numbers for a shift of 32, not %u", page->shift);
        space_ref_walker_register(walk_pages, 1u << PAGE_ANON | 1u << PAGE_NODE | 1u << PAGE_FILE);
        return 0;
}

static void no_retry(void *arg)
{
        panic("a page is absent while the space is made (%p)", arg);
}

int mm_create_vdso(void)
{
        size_t len = (size_t)(vdso_image_end - vdso_image_start);
        struct mm_root *r;
        int e = 0;

        section_begin(no_retry, NULL);
        if (len > VDSO_PAGES_MAX * PAGE_SIZE || !space_room(VDSO_PAGES_MAX + 1)) {
                e = -ENOMEM;
                goto out;
        }
        section_changes();
        r = space_alloc_bytes(sizeof(*r));
        for (size_t at = 0; at < len; at += PAGE_SIZE) {
                ppn_t p = space_page_alloc_zeroed(PAGE_ANON);

                memcpy(space_page(p), vdso_image_start + at, MIN(len - at, PAGE_SIZE));
                r->vdso[r->vdso_pages++] = p;
        }
        posix_root()->mm_state = r;
out:
        section_end();
        return e;
}

/*
 * After changes(), LOCK_MM held or the address space not yet seen by anybody, stack_top set: maps both, above the stack where there is place (the same leaf table
 * then serves both). MM_VDSO_ROOM pages. Returns the address of the ELF header, 0 when there is no room.
 */
uint64_t mm_map_vdso(struct mm *m)
{
        struct mm_root *r = posix_root()->mm_state;
        uint64_t len = (r->vdso_pages + 1) * PAGE_SIZE, at = m->stack_top + PAGE_SIZE;
        struct vma *v;

        if (!m->stack_top || at + len > USER_TOP || !mm_range_free(m, at, len))
                at = mm_gap(m, len, PAGE_SIZE);
        if (!at)
                return 0;
        mm_map_area(m, at, PAGE_SIZE, PROT_READ, VMA_VVAR | VMA_DONTDUMP, NULL, 0, NULL);
        at += PAGE_SIZE;
        v = mm_map_area(m, at, len - PAGE_SIZE, PROT_READ | PROT_EXEC, VMA_VDSO, NULL, 0, NULL);
        for (unsigned i = 0; i < r->vdso_pages; i++) {
                space_page_ref(r->vdso[i]);
                ptree_set(&v->anon, v->pgoff + i, r->vdso[i]);
        }
        m->vdso = at;
        return at;
}
