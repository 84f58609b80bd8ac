/*
 * elf.c - reading and mapping ELF programs (System V ABI, chapter 5; elf(5)). All checks are made on a copy of the headers before anything changes: a file that is
 * written to meanwhile cannot surprise the mapping. Segments must ascend; one that begins in the page where the former ends takes that page over, as with MAP_FIXED.
 */
#include "posix/exec/exec_internal.h"
#include "kernel/lib/string.h"

#define ELF_PHDRS_MAX 65536u

static bool header_good(const struct elf64_hdr *h)
{
        return !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
               h->e_machine == EM_X86_64 && (h->e_type == ET_EXEC || h->e_type == ET_DYN) &&
               h->e_phentsize == sizeof(struct elf64_phdr) && h->e_phnum != 0 &&
               h->e_phnum * sizeof(struct elf64_phdr) <= ELF_PHDRS_MAX;
}

static int add_load(struct exec_image *im, const struct elf64_phdr *p)
{
        struct exec_load *l = &im->load[im->nloads];

        if (p->p_memsz == 0)
                return 0;
        if (im->nloads == EXEC_LOADS || p->p_filesz > p->p_memsz || p->p_vaddr > USER_TOP ||
            p->p_memsz > USER_TOP - p->p_vaddr || (p->p_offset ^ p->p_vaddr) & (PAGE_SIZE - 1) ||
            p->p_offset > INT64_MAX - p->p_memsz)
                return -ENOEXEC;
        if (im->nloads && p->p_vaddr < l[-1].va + l[-1].memsz)
                return -ENOEXEC;
        *l = (struct exec_load){.va = p->p_vaddr, .offset = p->p_offset, .filesz = p->p_filesz, .memsz = p->p_memsz};
        l->prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
                  (p->p_flags & PF_X ? PROT_EXEC : 0);
        im->nloads++;
        return 0;
}

int elf_read(struct inode *i, struct exec_image *im, char *interp_path, bool *stack_executable)
{
        struct elf64_hdr h;
        struct elf64_phdr p;

        interp_path[0] = 0;
        im->nloads = 0;
        if (inode_read(i, 0, &h, sizeof(h)) != sizeof(h) || !header_good(&h))
                return -ENOEXEC;
        im->entry = h.e_entry;
        im->phoff = h.e_phoff;
        im->phnum = h.e_phnum;
        im->type = h.e_type;
        if (h.e_phoff > i->size)
                return -ENOEXEC;
        for (unsigned n = 0; n < h.e_phnum; n++) {
                if (inode_read(i, h.e_phoff + n * sizeof(p), &p, sizeof(p)) != sizeof(p))
                        return -ENOEXEC;
                if (p.p_type == PT_LOAD) {
                        int r = add_load(im, &p);

                        if (r < 0)
                                return r;
                } else if (p.p_type == PT_INTERP && !interp_path[0]) {
                        if (p.p_filesz < 2 || p.p_filesz > PATH_MAX ||
                            inode_read(i, p.p_offset, interp_path, p.p_filesz) != p.p_filesz ||
                            interp_path[p.p_filesz - 1] != 0)
                                return -ENOEXEC;
                } else if (p.p_type == PT_GNU_STACK) {
                        *stack_executable = p.p_flags & PF_X;
                }
        }
        return im->nloads ? 0 : -ENOEXEC;
}

static bool tail_to_zero(const struct exec_load *l)
{
        return l->filesz && l->memsz > l->filesz && (l->va + l->filesz) & (PAGE_SIZE - 1);
}

bool elf_present(struct inode *i, const struct exec_image *im)
{
        bool all = true;
        char byte;

        for (unsigned n = 0; n < im->nloads; n++)
                if (tail_to_zero(&im->load[n]))
                        all &= inode_read(i, im->load[n].offset + im->load[n].filesz - 1, &byte, 1) == 1;
        return all;
}

uint64_t elf_span(const struct exec_image *im)
{
        const struct exec_load *last = &im->load[im->nloads - 1];

        return ALIGN_UP(last->va + last->memsz, PAGE_SIZE) - ALIGN_DOWN(im->load[0].va, PAGE_SIZE);
}

unsigned elf_areas(const struct exec_image *im)
{
        return im->nloads * 2;
}

/* The last page of a segment's file part is private from the start: its tail reads as zero. */
static void zero_tail(struct vma *v, struct inode *i, const struct exec_load *l, uint64_t va)
{
        uint64_t end = va + l->filesz, page_va = ALIGN_DOWN(end, PAGE_SIZE);
        ppn_t from = inode_page(i, (l->offset + l->filesz) >> PAGE_SHIFT);
        char *to = space_page(ptree_own(&v->anon, vma_index(v, page_va)));

        if (from)
                memcpy(to, space_page(from), end - page_va);
}

static void map_load(struct mm *m, struct inode *i, struct file *f, const struct exec_load *l, uint64_t va,
                     uint64_t from)
{
        uint64_t start = ALIGN_DOWN(va, PAGE_SIZE), file_end = l->filesz ? ALIGN_UP(va + l->filesz, PAGE_SIZE) : start;
        uint64_t end = ALIGN_UP(va + l->memsz, PAGE_SIZE);

        if (from > start)
                start = from;
        if (file_end > start) {
                uint64_t pgoff = (l->offset - (va - start)) >> PAGE_SHIFT;
                struct vma *v;

                if (start > va)
                        pgoff = (l->offset + (start - va)) >> PAGE_SHIFT;
                v = mm_map_area(m, start, file_end - start, l->prot, MAP_PRIVATE, i, pgoff, f);
                if (tail_to_zero(l))
                        zero_tail(v, i, l, va);
        }
        if (end > MAX(file_end, start)) {
                uint64_t bss = MAX(file_end, start);

                mm_map_area(m, bss, end - bss, l->prot, MAP_PRIVATE | MAP_ANONYMOUS, NULL, bss >> PAGE_SHIFT, NULL);
        }
}

uint64_t elf_map(struct mm *m, struct inode *i, struct file *f, const struct exec_image *im, uint64_t bias,
                 uint64_t *end)
{
        uint64_t mapped = 0;

        for (unsigned n = 0; n < im->nloads; n++) {
                const struct exec_load *l = &im->load[n];
                uint64_t va = l->va + bias;

                /* A page shared with the former segment stays the former's, tail and all, unless this one is later in it. */
                map_load(m, i, f, l, va, mapped);
                mapped = ALIGN_UP(va + l->memsz, PAGE_SIZE);
                *end = va + l->memsz;
        }
        return bias;
}

uint64_t elf_phdr_address(const struct exec_image *im, uint64_t bias)
{
        for (unsigned n = 0; n < im->nloads; n++) {
                const struct exec_load *l = &im->load[n];

                if (im->phoff >= l->offset && im->phoff < l->offset + l->filesz)
                        return im->phoff - l->offset + l->va + bias;
        }
        return 0;
}
