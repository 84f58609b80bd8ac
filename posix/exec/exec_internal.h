/*
 * exec_internal.h - between the files of posix/exec only.
 */
#pragma once
#include "posix/include/mm.h"
#include <linux/elf.h>
#include <linux/limits.h>

#define EXEC_LOADS   24u      /* PT_LOAD segments of one file; more is ENOEXEC */
#define EXEC_PREFIX  1100u    /* interpreters and their arguments, four scripts deep */
#define EXEC_STRING  131072ul /* longest argument: Linux's MAX_ARG_STRLEN */
#define EXEC_SCRATCH 16384ul  /* strings gathered in one section, ordinarily */

struct exec_load {
        uint64_t va, offset, filesz, memsz;
        uint32_t prot, pad;
};
struct exec_image {
        uint64_t entry, phoff;
        uint16_t phnum, type;
        uint32_t nloads;
        struct exec_load load[EXEC_LOADS];
};

/* Everything known of the program before anything has changed; the call's overflow block, so it lasts with the call. */
struct exec_plan {
        struct exec_image main, interp;
        bool has_interp, stack_executable, is_script, from_kernel, no_args;
        uint32_t prefix_len, nprefix; /* strings that stand before the caller's argv[1..] */
        uint32_t argc, envc;          /* the caller's, argv[0] included */
        uint32_t phase, index;        /* strings still to be copied: phase, then index counts down */
        uint64_t p;                   /* stack address of the lowest string so far */
        uint64_t stack_top;
        uint64_t pointer_at; /* table of pointers: next word */
        uint64_t scan;       /* next string that the table will name */
        uint32_t pointers_done;
        uint64_t arg_start, arg_end, env_start, env_end, execfn;
        char prefix[EXEC_PREFIX];
        char comm[16];
};

/* elf.c. Before the change. 0, -ENOEXEC, -ELIBBAD (as_interp), -E2BIG...; interp_path (PATH_MAX) gets PT_INTERP's or "". */
int elf_read(struct inode *i, struct exec_image *im, char *interp_path, bool *stack_executable);
bool elf_present(struct inode *i, const struct exec_image *im); /* touches the pages whose tails will be zeroed */
/* After the change, LOCK_MM held. Returns the load bias; *end is the highest address used. */
uint64_t elf_map(struct mm *m, struct inode *i, struct file *f, const struct exec_image *im, uint64_t bias,
                 uint64_t *end);
uint64_t elf_span(const struct exec_image *im); /* bytes from the first page to the last */
uint64_t elf_phdr_address(const struct exec_image *im, uint64_t bias);
unsigned elf_areas(const struct exec_image *im);
