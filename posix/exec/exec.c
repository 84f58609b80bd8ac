/*
 * exec.c - execve(2), execveat(2), the start of init.
 *
 * Stages (numbers are part of the schema):
 *   0 OPEN      walk, permissions, scripts, headers of program and interpreter: all into the plan; nothing changes
 *   1 STRINGS   environment and arguments from the top of the new stack downwards: gathered in a volatile block; when they fit one section, nothing changes
 *   2 ALONE     the other threads are told to die; waits for that
 *   3 POINTERS  the table that argv and envp point to (pieces), then, in one section, the rest: segments, auxiliary vector, SWAP: no return
 *   4 CLOEXEC   close-on-exec descriptors, a piece a section
 * Before SWAP a failure is an errno and the caller is as it was; the new address space hangs on the call (objects[1]) and goes with it. A small program of a single thread
 * goes through 0..3 in one section.
 */
#include "posix/exec/exec_internal.h"
#include "posix/include/signal.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/rng.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <linux/auxvec.h>
#include <linux/binfmts.h>
#include <linux/personality.h>

enum { STAGE_OPEN, STAGE_STRINGS, STAGE_ALONE, STAGE_POINTERS, STAGE_CLOEXEC };
enum { PHASE_NAME, PHASE_ENV, PHASE_ARGS, PHASE_PREFIX, PHASE_END };
#define OBJ_MM         1
#define INODE_MAIN     c->inode
#define INODE_LDSO     c->inode2
#define SCRIPTS_MAX    4
#define STACK_HEADROOM (16 * PAGE_SIZE) /* [vvar] and [vdso] stand above the stack */
#define STACK_SLACK    (128ul << 10)    /* below the first stack pointer, as in Linux: the rest comes by growth */

struct exec_args {
        uint64_t path, argv, envp;
        int dirfd;
        unsigned flags;
};

static const char init_env[] = "HOME=/\0TERM=linux\0PATH=/sbin:/usr/sbin:/bin:/usr/bin\0";

/* Which program is the first one: init= on the command line, or the usual. */
static const char *init_path(void)
{
        static char path[256];

        if (!boot_option("init", path, sizeof(path)))
                str_copy(path, "/sbin/init", sizeof(path));
        return path;
}

static struct exec_plan *plan_of(struct call *c)
{
        return c->overflow;
}

static struct mm *new_mm(struct call *c)
{
        return (struct mm *)c->objects[OBJ_MM];
}

static void args_of(const struct call *c, struct exec_args *a)
{
        bool at = c->nr != 59 && c->nr != NR_START_INIT;

        *a = at ? (struct exec_args){c->arg[1], c->arg[2], c->arg[3], (int)c->arg[0], (unsigned)c->arg[4]}
                : (struct exec_args){c->arg[0], c->arg[1], c->arg[2], AT_FDCWD, 0};
}

static bool randomize(void)
{
        return !(process_current()->personality & ADDR_NO_RANDOMIZE);
}

static uint64_t random_pages(unsigned bits)
{
        uint64_t r = 0;

        if (randomize())
                rng_bytes(&r, sizeof(r));
        return (r & ((1ul << bits) - 1)) << PAGE_SHIFT;
}

/* ---- OPEN ---- */

/* While a walk may wait the call has no plan: it begins anew then, with another one. */
static long walk_to(struct call *c, const struct exec_args *a, unsigned flags, const char *path, struct walk *w)
{
        void *plan = c->overflow;
        long r;

        c->overflow = NULL;
        r = a ? path_walk(c, a->dirfd, a->path, flags, w) : path_walk_kernel(c, NULL, path, flags, w);
        if (r != CALL_WAIT && r != CALL_RETRY)
                c->overflow = plan;
        return r;
}

static int may_execute(struct inode *i)
{
        int r;

        if ((i->mode & S_IFMT) != S_IFREG || i->kind == INODE_FUSE)
                return -EACCES;
        if (!(i->mode & 0111))
                return -EACCES; /* not even root */
        r = inode_permission(i, 1);
        if (r < 0)
                return r;
        return (int32_t)i->writers > 0 ? -ETXTBSY : 0;
}

static void set_comm(struct exec_plan *p, const char *name)
{
        const char *slash = strrchr(name, '/');

        str_copy(p->comm, slash ? slash + 1 : name, sizeof(p->comm));
}

/* "#! interpreter argument" to the front of the prefix, which begins with the script's own name when that is an interpreter itself. */
static int read_script(struct exec_plan *p, char *head, size_t len, char *interp, size_t interp_size)
{
        char *end = memchr(head, '\n', len), *s = head + 2, *arg;
        size_t need, n = 0;
        char built[EXEC_PREFIX];
        uint32_t count = 1;

        if (!end) {
                if (len == BINPRM_BUF_SIZE)
                        return -ENOEXEC; /* the line is cut off */
                end = head + len;
        }
        while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
                end--;
        *end = 0;
        while (*s == ' ' || *s == '\t')
                s++;
        if (!*s)
                return -ENOEXEC;
        for (arg = s; *arg && *arg != ' ' && *arg != '\t'; arg++)
                ;
        if (*arg) {
                *arg++ = 0;
                while (*arg == ' ' || *arg == '\t')
                        arg++;
        }
        str_copy(interp, s, interp_size);
        need = strlen(s) + 1 + (*arg ? strlen(arg) + 1 : 0) + p->prefix_len;
        if (need > sizeof(built))
                return -E2BIG;
        str_copy(built, s, sizeof(built));
        n = strlen(s) + 1;
        if (*arg) {
                memcpy(built + n, arg, strlen(arg) + 1);
                n += strlen(arg) + 1;
                count++;
        }
        memcpy(built + n, p->prefix, p->prefix_len);
        n += p->prefix_len;
        memcpy(p->prefix, built, n);
        p->prefix_len = (uint32_t)n;
        p->nprefix += count;
        p->is_script = true;
        return 0;
}

static long open_interp(struct call *c, const char *path)
{
        struct exec_plan *p = plan_of(c);
        struct walk w;
        char none[PATH_MAX];
        bool ignored;
        long r = walk_to(c, NULL, WALK_FOLLOW, path, &w);

        if (r < 0)
                return r;
        r = may_execute(w.inode);
        if (r < 0)
                return r;
        INODE_LDSO = w.inode;
        r = elf_read(w.inode, &p->interp, none, &ignored);
        p->has_interp = true;
        return r == -ENOEXEC ? -ELIBBAD : r;
}

static long open_first(struct call *c, const struct exec_args *a, struct walk *w)
{
        struct exec_plan *p = plan_of(c);
        unsigned follow = a->flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
        long r;

        if (c->nr == NR_START_INIT) {
                p->from_kernel = true;
                set_comm(p, init_path());
                return walk_to(c, NULL, WALK_FOLLOW, init_path(), w);
        }
        if (a->flags & ~(unsigned)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
                return -EINVAL;
        r = walk_to(c, a, follow | (a->flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), NULL, w);
        if (r)
                return r;
        if (w->magic && !w->inode)
                w->inode = w->magic->inode;
        if ((w->inode->mode & S_IFMT) == S_IFLNK)
                return -ELOOP;
        return 0;
}

static long open_program(struct call *c, const struct exec_args *a)
{
        struct exec_plan *p = call_overflow(c, sizeof(*p));
        char interp[PATH_MAX], head[BINPRM_BUF_SIZE + 1];
        struct walk w = {0};
        struct inode *i;
        long r;

        if (!p)
                return -ENOMEM;
        r = open_first(c, a, &w);
        if (r)
                return r;
        i = w.inode;
        for (unsigned depth = 0;; depth++) {
                size_t len;

                r = may_execute(i);
                if (r < 0)
                        return r;
                len = inode_read(i, 0, head, BINPRM_BUF_SIZE);
                if (len < 2 || head[0] != '#' || head[1] != '!')
                        break;
                if (depth > SCRIPTS_MAX)
                        return -ELOOP;
                head[len] = 0;
                r = read_script(p, head, len, interp, sizeof(interp));
                if (r < 0)
                        return r;
                r = walk_to(c, NULL, WALK_FOLLOW, interp, &w);
                if (r < 0)
                        return r;
                i = w.inode;
        }
        r = elf_read(i, &p->main, interp, &p->stack_executable);
        if (r >= 0 && interp[0])
                r = open_interp(c, interp);
        if (r < 0)
                return r;
        INODE_MAIN = i; /* not before the last walk */
        return 0;
}

/* ---- STRINGS ---- */

static long count_strings(struct call *c, uint64_t list, uint32_t *count)
{
        *count = 0;
        for (uint64_t s = list; s; s += 8) {
                uint64_t string;

                if (user_read64(s, &string) < 0)
                        return user_fault(c);
                if (!string)
                        break;
                if (++*count > EXEC_STRING)
                        return -E2BIG;
        }
        return 0;
}

static uint64_t strings_limit(void)
{
        uint64_t quarter = rlimit_of(process_current(), RLIMIT_STACK) / 4;

        return MIN(MAX(quarter, EXEC_STRING), 6ul << 20);
}

/*
 * Strings stand in [low, size) of the block. phase and index are how far this section has come: they go to the plan with the strings (lay_down), after the change. Were
 * they kept in the plan, which is in the space once the call was saved, a fault in the middle of a piece would lose what was gathered before it.
 */
struct gather {
        char *block;
        size_t size, low;
        uint32_t phase, index;
};

/* One string to the front of what was gathered. 0, -ENAMETOOLONG: does not fit in what is left, or what user_fault gave. */
static long gather_user(struct call *c, struct gather *g, uint64_t string)
{
        size_t room = MIN(g->low, EXEC_STRING);
        long len = user_copy_string(g->block, string, room);

        if (len == -EFAULT)
                return user_fault(c);
        if (len < 0)
                return -ENAMETOOLONG;
        g->low -= (size_t)len + 1;
        memmove(g->block + g->low, g->block, (size_t)len + 1);
        return 0;
}

static long gather_kernel(struct gather *g, const char *s, size_t len)
{
        if (len > g->low)
                return -ENAMETOOLONG;
        g->low -= len;
        memcpy(g->block + g->low, s, len);
        return 0;
}

/* How the program was named: the caller's string; for execveat of a descriptor "/dev/fd/N" or "/dev/fd/N/string". */
static long gather_name(struct call *c, const struct exec_args *a, struct gather *g)
{
        size_t before = g->low;
        char at[32];
        long r;

        if (plan_of(c)->from_kernel)
                return gather_kernel(g, init_path(), strlen(init_path()) + 1);
        r = gather_user(c, g, a->path);
        if (r || a->dirfd == AT_FDCWD || g->block[g->low] == '/')
                return r;
        if (before - g->low == 1) {
                g->low = before;
                return gather_kernel(g, at, (size_t)snprintf(at, sizeof(at), "/dev/fd/%d", a->dirfd) + 1);
        }
        return gather_kernel(g, at, (size_t)snprintf(at, sizeof(at), "/dev/fd/%d/", a->dirfd));
}

/* The string that comes next, going down. g->phase, g->index move when it was taken. */
static long gather_next(struct call *c, const struct exec_args *a, struct gather *g)
{
        struct exec_plan *p = plan_of(c);
        uint64_t string;
        long r;

        switch (g->phase) {
        case PHASE_NAME:
                r = gather_name(c, a, g);
                if (r)
                        return r;
                g->phase = PHASE_ENV;
                g->index = p->envc;
                return 0;
        case PHASE_ENV:
                if (p->from_kernel) {
                        r = gather_kernel(g, init_env, sizeof(init_env) - 1);
                        g->index = 0;
                } else if (g->index) {
                        if (user_read64(a->envp + 8ul * (g->index - 1), &string) < 0)
                                return user_fault(c);
                        r = gather_user(c, g, string);
                        if (r)
                                return r;
                        g->index--;
                }
                if (!g->index) {
                        g->phase = PHASE_ARGS;
                        g->index = p->argc;
                }
                return 0;
        case PHASE_ARGS:
                /* argv[0] of a script gives way to the prefix and the script's name; a program without arguments is given an empty one. */
                if (g->index == 1 && (p->is_script || p->from_kernel || p->no_args)) {
                        r = p->is_script || p->from_kernel ? gather_name(c, a, g) : gather_kernel(g, "", 1);
                        if (r)
                                return r;
                        g->index = 0;
                } else if (g->index) {
                        if (user_read64(a->argv + 8ul * (g->index - 1), &string) < 0)
                                return user_fault(c);
                        r = gather_user(c, g, string);
                        if (r)
                                return r;
                        g->index--;
                }
                if (!g->index)
                        g->phase = PHASE_PREFIX;
                return 0;
        default:
                r = gather_kernel(g, p->prefix, p->prefix_len);
                if (!r)
                        g->phase = PHASE_END;
                return r;
        }
}

/* Kernel's view of the new stack: its own pages, made as they are touched. After changes(), LOCK_MM held. */
static void stack_write(struct mm *m, uint64_t va, const void *from, size_t len)
{
        struct vma *v = mm_find(m, va);
        const char *s = from;

        while (len) {
                size_t at = va & (PAGE_SIZE - 1), n = MIN(len, PAGE_SIZE - at);

                memcpy((char *)space_page(ptree_own(&v->anon, vma_index(v, va))) + at, s, n);
                va += n;
                s += n;
                len -= n;
        }
}

/* Before the change: what an earlier section wrote of the stack in [from, to), and the nodes above, may be absent by now. */
static void stack_touch(struct mm *m, uint64_t from, uint64_t to)
{
        struct vma *v = mm_find(m, from);

        for (uint64_t va = ALIGN_DOWN(from, PAGE_SIZE); v && va < to; va += PAGE_SIZE)
                ptree_cost(&v->anon, vma_index(v, va));
}

static void lay_down_touch(struct call *c, const struct gather *g)
{
        struct exec_plan *p = plan_of(c);

        if (new_mm(c))
                stack_touch(new_mm(c), p->p - (g->size - g->low), p->p + 1);
}

static void make_stack(struct call *c)
{
        struct exec_plan *p = plan_of(c);
        uint64_t limit = rlimit_of(process_current(), RLIMIT_STACK), gap, bottom;
        struct mm *m = mm_new();

        c->objects[OBJ_MM] = &m->obj;
        c->counted |= 1u << OBJ_MM;
        gap = limit > USER_TOP / 6 * 5 ? USER_TOP / 6 * 5 : limit;
        gap = MAX(ALIGN_UP(gap, PAGE_SIZE), 128ul << 20) + (64ul << 20);
        m->stack_top = p->stack_top;
        m->mmap_base = p->stack_top - gap - random_pages(14);
        lock(LOCK_MM, m);
        bottom = ALIGN_DOWN(p->stack_top - strings_limit() - (128ul << 10), PAGE_SIZE);
        mm_map_area(m, bottom, p->stack_top - bottom, PROT_READ | PROT_WRITE | (p->stack_executable ? PROT_EXEC : 0),
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK, NULL, bottom >> PAGE_SHIFT, NULL);
}

static void lay_down(struct call *c, const struct gather *g)
{
        struct exec_plan *p = plan_of(c);
        size_t len = g->size - g->low;

        if (!new_mm(c))
                make_stack(c);
        else if (!lock_held(LOCK_MM, new_mm(c)))
                lock(LOCK_MM, new_mm(c));
        p->p -= len;
        p->phase = g->phase;
        p->index = g->index;
        stack_write(new_mm(c), p->p, g->block + g->low, len);
}

/* 0 with all strings in *g (not laid down yet), CALL_AGAIN after a piece was laid down, or an error. */
static long copy_strings(struct call *c, const struct exec_args *a, struct gather *g)
{
        struct exec_plan *p = plan_of(c);
        bool large = new_mm(c) != NULL;
        uint64_t limit = strings_limit();

        g->size = large ? EXEC_STRING + PAGE_SIZE : EXEC_SCRATCH;
        g->block = call_scratch(c, 1, g->size);
        if (!g->block)
                return -ENOMEM;
        g->low = g->size;
        g->phase = p->phase;
        g->index = p->index;
        while (g->phase != PHASE_END) {
                long r = gather_next(c, a, g);

                if (r == -ENAMETOOLONG && (!large || g->low < g->size)) {
                        if (!space_room(SECTION_PAGES))
                                return -ENOMEM;
                        lay_down_touch(c, g);
                        changes(c);
                        lay_down(c, g);
                        return CALL_AGAIN;
                }
                if (r == -ENAMETOOLONG)
                        return -E2BIG;
                if (r)
                        return r;
                if (p->stack_top - p->p + (g->size - g->low) + 8ul * (p->argc + p->envc) > limit)
                        return -E2BIG;
        }
        return 0;
}

static long begin_strings(struct call *c, const struct exec_args *a)
{
        struct exec_plan *p = plan_of(c);
        long r;

        if (p->from_kernel) {
                p->argc = 1;
                p->envc = 3;
        } else {
                r = count_strings(c, a->argv, &p->argc);
                if (r)
                        return r;
                r = count_strings(c, a->envp, &p->envc);
                if (r)
                        return r;
                p->no_args = p->argc == 0;
                p->argc += p->no_args;
        }
        p->stack_top = USER_TOP - STACK_HEADROOM - random_pages(12);
        p->p = p->stack_top - 8;
        p->phase = PHASE_NAME;
        return 0;
}

/* ---- POINTERS and the rest ---- */

/* The stack was made as large as strings may become: what the program does not need now comes by growth. Nothing below was touched. */
static void trim_stack(struct mm *m, uint64_t sp)
{
        struct vma *v = mm_find(m, sp);
        uint64_t start = ALIGN_DOWN(sp, PAGE_SIZE) - STACK_SLACK, n;

        if (start <= v->start)
                return;
        n = (start - v->start) >> PAGE_SHIFT;
        v->start = start;
        v->pgoff += n;
        m->total_pages -= n;
}

static uint32_t string_count(const struct exec_plan *p)
{
        return p->nprefix + p->argc + p->envc;
}

static uint32_t arg_count(const struct exec_plan *p)
{
        return string_count(p) - p->envc;
}

#define AUX_WORDS 44u

/* Where the words begin that _start finds: argc, argv, 0, envp, 0, auxiliary vector. */
static uint64_t words_at(const struct exec_plan *p)
{
        uint64_t random_at = ALIGN_DOWN(p->p - 16 - 16, 16); /* AT_RANDOM, AT_PLATFORM */

        return ALIGN_DOWN(random_at - 8ul * (1 + string_count(p) + 2 + AUX_WORDS), 16);
}

/* 0: the string does not end below limit. */
static uint64_t after_string(struct vma *stack, uint64_t va, uint64_t limit)
{
        while (va < limit) {
                const char *page = space_page(ptree_lookup(&stack->anon, vma_index(stack, va)));
                size_t at = va & (PAGE_SIZE - 1), len = strnlen(page + at, PAGE_SIZE - at);

                va += len;
                if (len < PAGE_SIZE - at)
                        return va + 1;
        }
        return 0;
}

#define WORDS_PIECE   2048u
#define STRINGS_PIECE (36 * PAGE_SIZE) /* the longest string, and a page at either end */

static uint64_t scan_limit(const struct exec_plan *p)
{
        return MIN(ALIGN_DOWN(p->scan ? p->scan : p->p, PAGE_SIZE) + STRINGS_PIECE, p->stack_top);
}

/* All that one piece of the table reads and writes, and the place of what comes after it. */
static void pointers_touch(struct call *c)
{
        struct exec_plan *p = plan_of(c);
        struct mm *m = new_mm(c);
        uint64_t at = p->pointer_at ? p->pointer_at : words_at(p);

        stack_touch(m, p->scan ? p->scan : p->p, scan_limit(p));
        stack_touch(m, at, MIN(at + (WORDS_PIECE + AUX_WORDS + 8) * 8, p->p));
        stack_touch(m, p->p - 64, p->p);
}

/* A piece of the table. True: it is complete. After changes(). */
static bool write_pointers(struct call *c)
{
        struct exec_plan *p = plan_of(c);
        struct mm *m = new_mm(c);
        struct vma *stack = mm_find(m, p->p);
        uint32_t nargs = arg_count(p), total = string_count(p);
        uint64_t words[64];
        unsigned filled = 0, budget = WORDS_PIECE;
        uint64_t limit = scan_limit(p), next;

        if (!p->pointer_at) {
                words[filled++] = nargs;
                p->pointer_at = words_at(p);
                p->scan = p->arg_start = p->p;
        }
        while (p->pointers_done < total && budget--) {
                next = after_string(stack, p->scan, limit);
                if (!next)
                        break;
                if (filled >= ARRAY_SIZE(words) - 3) {
                        stack_write(m, p->pointer_at, words, filled * 8);
                        p->pointer_at += filled * 8;
                        filled = 0;
                }
                if (p->pointers_done == nargs) {
                        words[filled++] = 0;
                        p->arg_end = p->env_start = p->scan;
                }
                words[filled++] = p->scan;
                p->scan = next;
                p->pointers_done++;
        }
        if (p->pointers_done == total) {
                if (nargs == total) {
                        words[filled++] = 0;
                        p->arg_end = p->env_start = p->scan;
                }
                words[filled++] = 0;
                p->env_end = p->execfn = p->scan;
        }
        stack_write(m, p->pointer_at, words, filled * 8);
        p->pointer_at += filled * 8;
        return p->pointers_done == total;
}

struct placed {
        uint64_t bias, interp_bias, entry, vdso;
};

static void write_aux(struct call *c, const struct placed *at, const struct cred *cr, bool secure)
{
        struct exec_plan *p = plan_of(c);
        struct mm *m = new_mm(c);
        uint64_t random_at = ALIGN_DOWN(p->p - 32, 16);
        uint64_t aux[AUX_WORDS];
        unsigned n = 0;
        char seed[32] = {0};

        rng_bytes(seed, 16);
        memcpy(seed + 16, "x86_64", 7);
        stack_write(m, random_at, seed, sizeof(seed));
#define AUX(type, value) (aux[n++] = (type), aux[n++] = (uint64_t)(value))
        if (at->vdso)
                AUX(AT_SYSINFO_EHDR, at->vdso);
        AUX(AT_HWCAP, arch_hwcap());
        AUX(AT_PAGESZ, PAGE_SIZE);
        AUX(AT_CLKTCK, 100);
        AUX(AT_PHDR, elf_phdr_address(&p->main, at->bias));
        AUX(AT_PHENT, sizeof(struct elf64_phdr));
        AUX(AT_PHNUM, p->main.phnum);
        AUX(AT_BASE, at->interp_bias);
        AUX(AT_FLAGS, 0);
        AUX(AT_ENTRY, p->main.entry + at->bias);
        AUX(AT_UID, cr->uid);
        AUX(AT_EUID, cr->euid);
        AUX(AT_GID, cr->gid);
        AUX(AT_EGID, cr->egid);
        AUX(AT_SECURE, secure);
        AUX(AT_RANDOM, random_at);
        AUX(AT_HWCAP2, 0);
        AUX(AT_EXECFN, p->execfn);
        AUX(AT_PLATFORM, random_at + 16);
        AUX(51 /* AT_MINSIGSTKSZ */, fpu_size() + 1024);
        AUX(AT_NULL, 0);
#undef AUX
        assert(n <= AUX_WORDS);
        stack_write(m, p->pointer_at, aux, n * 8);
}

/* For /proc/N/exe and the names in /proc/N/maps. */
static struct file *program_file(struct inode *i)
{
        return file_new(FILE_REGULAR, FMODE_READ | FMODE_PREAD | FMODE_EXEC, O_RDONLY, i, NULL);
}

static void place(struct call *c, struct placed *at, struct file *exe)
{
        struct exec_plan *p = plan_of(c);
        struct mm *m = new_mm(c);
        uint64_t end = 0, ignored = 0;

        if (p->main.type == ET_DYN) {
                uint64_t base =
                        p->has_interp ? 0x555555554000ul + random_pages(24) : mm_gap(m, elf_span(&p->main), PAGE_SIZE);

                at->bias = base - ALIGN_DOWN(p->main.load[0].va, PAGE_SIZE);
        }
        elf_map(m, INODE_MAIN, exe, &p->main, at->bias, &end);
        at->entry = p->main.entry + at->bias;
        /* A static-PIE program stands among the mappings: its heap does not grow into them, it begins where an ordinary program would stand. */
        m->brk_start = m->brk = p->main.type == ET_DYN && !p->has_interp ? 0x555555554000ul + random_pages(24)
                                                                         : ALIGN_UP(end, PAGE_SIZE) + random_pages(12);
        if (p->has_interp) {
                struct file *f = program_file(INODE_LDSO);
                uint64_t base = p->interp.type == ET_DYN ? mm_gap(m, elf_span(&p->interp), PAGE_SIZE) -
                                                                   ALIGN_DOWN(p->interp.load[0].va, PAGE_SIZE)
                                                         : 0;

                at->interp_bias = elf_map(m, INODE_LDSO, f, &p->interp, base, &ignored);
                at->entry = p->interp.entry + base;
                object_put(f); /* the areas have counted it */
        }
        at->vdso = mm_map_vdso(m);
}

/* What the swap counts, drops and writes beside the new address space. Takes LOCK_FDTABLE when the table must be copied. */
static void swap_touch(struct call *c)
{
        struct process *proc = process_current();
        struct cred *cr = c->thread->cred;

        (void)READ_ONCE(INODE_MAIN->writers);
        object_look(INODE_LDSO);
        object_look(proc->exe);
        object_look(proc->sighand);
        object_look(cr);
        object_look(cr->user);
        if (proc->files->obj.refs > 1) {
                if (!lock_held(LOCK_FDTABLE, proc->files))
                        lock(LOCK_FDTABLE, proc->files);
                fdtable_pages(proc->files);
        }
        if (new_mm(c))
                pointers_touch(c);
}

/* Do the images stand where they may, and is everything there that the last step needs? Before the change. */
static long ready(struct call *c)
{
        struct exec_plan *p = plan_of(c);
        uint64_t stack_bottom = p->stack_top - strings_limit() - (512ul << 20);

        if (p->main.type == ET_EXEC &&
            (p->main.load[0].va < 65536 || p->main.load[0].va + elf_span(&p->main) > stack_bottom))
                return -ENOEXEC;
        if (elf_span(&p->main) > USER_TOP / 4 || (p->has_interp && elf_span(&p->interp) > USER_TOP / 4))
                return -ENOMEM;
        if (p->has_interp && p->interp.type == ET_EXEC) {
                uint64_t lo = p->interp.load[0].va, hi = lo + elf_span(&p->interp), mlo = p->main.load[0].va,
                         mhi = mlo + elf_span(&p->main);

                if (lo < 65536 || hi > stack_bottom || (p->main.type == ET_EXEC && lo < mhi && mlo < hi))
                        return -ELIBBAD;
        }
        if (!elf_present(INODE_MAIN, &p->main) || (p->has_interp && !elf_present(INODE_LDSO, &p->interp)))
                return -ENOEXEC;
        swap_touch(c);
        return space_room(SECTION_PAGES) ? 0 : -ENOMEM;
}

static struct cred *credentials(struct call *c, bool *secure)
{
        struct inode *i = INODE_MAIN;
        struct process *proc = process_current();
        const struct cred *old = c->thread->cred;
        bool setuid = i->mode & S_ISUID && !proc->no_new_privs,
             setgid = (i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !proc->no_new_privs;
        struct cred *new = cred_exec(old, i->uid, i->gid, setuid, setgid);

        *secure = new->euid != new->uid || new->egid != new->gid;
        return new;
}

static void start_registers(struct call *c, uint64_t entry, uint64_t sp)
{
        struct thread *t = c->thread;
        struct frame *f = user_frame();

        *f = (struct frame){.rip = entry, .rsp = sp, .rflags = 0x202, .cs = f->cs, .ss = f->ss};
        t->fs_base = t->gs_base = 0;
        fs_base_set(0);
        gs_base_user_set(0);
        fpu_init_area(fpu_area(t));
        fpu_restore(fpu_area(t));
}

static void swap(struct call *c)
{
        struct exec_plan *p = plan_of(c);
        struct process *proc = process_current();
        struct mm *m = new_mm(c), *old = proc->mm;
        struct file *exe = program_file(INODE_MAIN), *old_exe = proc->exe;
        struct fdtable *files = proc->files;
        struct placed at = {0};
        bool secure;
        struct cred *cr;

        place(c, &at, exe);
        cr = credentials(c, &secure);
        write_aux(c, &at, cr, secure);
        trim_stack(m, words_at(p));
        __atomic_sub_fetch(&INODE_MAIN->writers, 1, __ATOMIC_RELAXED);
        object_get(INODE_MAIN);
        m->exe = INODE_MAIN;
        unlock(LOCK_MM, m);

        object_get(m); /* the process's; the call keeps its own till it ends */
        proc->mm = m;
        mmu_load(mm_tables(m));
        object_put(old);
        proc->exe = exe;
        object_put(old_exe);
        if (((struct object *)files)->refs > 1) {
                proc->files = fdtable_fork(files);
                object_put(files);
        }
        proc->arg_start = p->arg_start;
        proc->arg_end = p->arg_end;
        proc->env_start = p->env_start;
        proc->env_end = p->env_end;
        process_exec_commit(c->thread, p->comm, cr);
        start_registers(c, at.entry, words_at(p));
}

static long close_on_exec(struct call *c)
{
        return fdtable_close_piece(c->thread->proc->files, true) ? CALL_AGAIN : CALL_DONE;
}

/* The program's name is the highest string: the first that was gathered. Its last part is the thread's new name. */
static void name_from(struct exec_plan *p, const struct gather *g)
{
        size_t at = g->size - 1;

        while (at > g->low && g->block[at - 1])
                at--;
        set_comm(p, g->block + at);
}

static long run(struct call *c, const struct exec_args *a)
{
        struct gather g = {0};
        long r;

        if (c->stage == STAGE_OPEN) {
                r = open_program(c, a);
                if (r)
                        return r;
                r = begin_strings(c, a);
                if (r)
                        return r;
                c->stage = STAGE_STRINGS;
        }
        if (c->stage == STAGE_STRINGS) {
                struct exec_plan *p = plan_of(c);
                bool alone = process_current()->nthreads <= 1;

                r = copy_strings(c, a, &g);
                if (!p->comm[0] && g.block && g.low < g.size)
                        name_from(p, &g);
                if (r)
                        return r;
                if (!alone || new_mm(c)) {
                        if (!space_room(SECTION_PAGES))
                                return -ENOMEM;
                        lay_down_touch(c, &g);
                        changes(c);
                        lay_down(c, &g);
                        c->stage = alone ? STAGE_POINTERS : STAGE_ALONE;
                        return CALL_AGAIN;
                }
                c->stage = STAGE_POINTERS;
        }
        if (c->stage == STAGE_ALONE) {
                r = process_exec_alone(c);
                if (r)
                        return r;
                c->stage = STAGE_POINTERS;
        }
        if (c->stage == STAGE_POINTERS) {
                r = ready(c);
                if (r)
                        return r;
                if (new_mm(c))
                        lock(LOCK_MM, new_mm(c));
                changes(c);
                if (g.block)
                        lay_down(c, &g);
                if (!write_pointers(c))
                        return CALL_AGAIN;
                swap(c);
                c->stage = STAGE_CLOEXEC;
                if (c->overflow_saved)
                        space_free_bytes(c->overflow);
                c->overflow = NULL;
                c->overflow_saved = 0;
                return CALL_AGAIN;
        }
        return close_on_exec(c);
}

long sys_execve(struct call *c)
{
        struct exec_args a;

        args_of(c, &a);
        return run(c, &a);
}

long sys_execveat(struct call *c)
{
        return sys_execve(c);
}

long exec_start(struct call *c)
{
        long r = sys_execve(c);

        if (r < 0 && r > -4096)
                panic("%s cannot be started: error %ld", init_path(), r);
        return r;
}
