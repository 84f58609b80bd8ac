/*
 * proc_pid.c - /proc/N: what a process looks like from outside, in Linux's formats to the letter (ps, top, lsof, fuser, pgrep parse them).
 * Everything is read from the process's own objects in the reader's section; a process may end meanwhile, its record stays readable to the section's end.
 * LOCK_MM of the process is held while its areas are shown.
 */
#include "posix/fs/proc_internal.h"
#include "posix/include/fuse.h"
#include "posix/include/signal.h"
#include "posix/include/tty.h"
#include <linux/fs.h>
#include <linux/mount.h>

#define TICK_NS 10000000ul /* USER_HZ is 100 */

enum entry_nr {
        E_AUXV,
        E_CGROUP,
        E_CLEAR_REFS,
        E_CMDLINE,
        E_COMM,
        E_COREDUMP_FILTER,
        E_CWD,
        E_ENVIRON,
        E_EXE,
        E_FD,
        E_FDINFO,
        E_IO,
        E_LIMITS,
        E_MAPS,
        E_MEM,
        E_MOUNTINFO,
        E_MOUNTS,
        E_MOUNTSTATS,
        E_NET,
        E_OOM_ADJ,
        E_OOM_SCORE,
        E_OOM_SCORE_ADJ,
        E_PERSONALITY,
        E_ROOT,
        E_SCHEDSTAT,
        E_SMAPS,
        E_SMAPS_ROLLUP,
        E_STACK,
        E_STAT,
        E_STATM,
        E_STATUS,
        E_SYSCALL,
        E_TASK,
        E_TIMERSLACK,
        E_WCHAN,
        ENTRIES
};
#define ONLY_PROCESS 1u /* not below task/ */
#define PRIVATE      2u /* owner and CAP_SYS_PTRACE only */
static const struct {
        const char *name;
        uint32_t mode;
        unsigned flags;
} entries[ENTRIES] = {
        [E_CGROUP] = {"cgroup", S_IFREG | 0444, 0},
        [E_CLEAR_REFS] = {"clear_refs", S_IFREG | 0200, PRIVATE},
        [E_CMDLINE] = {"cmdline", S_IFREG | 0444, 0},
        [E_COMM] = {"comm", S_IFREG | 0644, 0},
        [E_COREDUMP_FILTER] = {"coredump_filter", S_IFREG | 0644, ONLY_PROCESS},
        [E_CWD] = {"cwd", S_IFLNK | 0777, PRIVATE},
        [E_ENVIRON] = {"environ", S_IFREG | 0400, PRIVATE},
        [E_EXE] = {"exe", S_IFLNK | 0777, PRIVATE},
        [E_FD] = {"fd", S_IFDIR | 0500, PRIVATE},
        [E_FDINFO] = {"fdinfo", S_IFDIR | 0555, PRIVATE},
        [E_IO] = {"io", S_IFREG | 0400, PRIVATE},
        [E_LIMITS] = {"limits", S_IFREG | 0444, 0},
        [E_MAPS] = {"maps", S_IFREG | 0444, PRIVATE},
        [E_MEM] = {"mem", S_IFREG | 0600, PRIVATE},
        [E_MOUNTINFO] = {"mountinfo", S_IFREG | 0444, 0},
        [E_MOUNTS] = {"mounts", S_IFREG | 0444, 0},
        [E_MOUNTSTATS] = {"mountstats", S_IFREG | 0400, ONLY_PROCESS},
        [E_OOM_ADJ] = {"oom_adj", S_IFREG | 0644, 0},
        [E_OOM_SCORE] = {"oom_score", S_IFREG | 0444, 0},
        [E_OOM_SCORE_ADJ] = {"oom_score_adj", S_IFREG | 0644, 0},
        [E_PERSONALITY] = {"personality", S_IFREG | 0400, PRIVATE},
        [E_ROOT] = {"root", S_IFLNK | 0777, PRIVATE},
        [E_SCHEDSTAT] = {"schedstat", S_IFREG | 0444, 0},
        [E_SMAPS] = {"smaps", S_IFREG | 0444, PRIVATE},
        [E_SMAPS_ROLLUP] = {"smaps_rollup", S_IFREG | 0444, PRIVATE},
        [E_STAT] = {"stat", S_IFREG | 0444, 0},
        [E_STATM] = {"statm", S_IFREG | 0444, 0},
        [E_STATUS] = {"status", S_IFREG | 0444, 0},
        [E_TASK] = {"task", S_IFDIR | 0555, ONLY_PROCESS},
        [E_TIMERSLACK] = {"timerslack_ns", S_IFREG | 0666, ONLY_PROCESS},
        [E_WCHAN] = {"wchan", S_IFREG | 0444, 0},
};

/* ---- who ---- */

static bool is_task(const struct inode *i)
{
        return proc_tag(i) == PROC_TASK || proc_tag(i) == PROC_TENTRY;
}

/* The process of an inode; NULL: it is gone, or the number is another's. */
static struct process *process_of(const struct inode *i)
{
        struct process *p = process_find(proc_pid(i));

        if (!p || ((proc_tag(i) == PROC_PID || proc_tag(i) == PROC_ENTRY) && p->start_ns != i->proc_key[1]))
                return NULL;
        return p;
}

static struct thread *thread_of(const struct inode *i, struct process *p)
{
        struct thread *t = is_task(i) ? thread_find((int)i->proc_key[1]) : p->leader;

        return t && t->proc == p ? t : NULL;
}

static bool may_inspect(struct process *p)
{
        const struct cred *me = cred_current(), *it = p->leader->cred;

        if (p == process_current() || capable(CAP_SYS_PTRACE))
                return true;
        return p->dumpable && me->fsuid == it->uid && me->fsuid == it->euid && me->fsuid == it->suid &&
               me->fsgid == it->gid && me->fsgid == it->egid && me->fsgid == it->sgid;
}

void pid_refresh(struct inode *i)
{
        struct process *p = process_of(i);

        if (!p || !p->leader || !p->dumpable)
                return;
        if (proc_tag(i) == PROC_PID || proc_tag(i) == PROC_TASK || !S_ISDIR(i->mode) || proc_tag(i) == PROC_FDS) {
                i->uid = p->leader->cred->euid;
                i->gid = p->leader->cred->egid;
        }
}

static struct inode *owned(struct inode *i)
{
        if (i)
                pid_refresh(i);
        return i;
}

struct inode *pid_inode(int pid)
{
        struct process *p = process_find(pid);

        return p ? owned(proc_inode(INODE_PROC, PROC_PID, 0, pid, p->start_ns, S_IFDIR | 0555)) : NULL;
}

long pid_open_check(struct inode *i)
{
        struct process *p = process_of(i);
        unsigned tag = proc_tag(i);

        if (!p)
                return -ESRCH;
        if ((tag == PROC_ENTRY || tag == PROC_TENTRY) && entries[proc_index(i)].flags & PRIVATE && !may_inspect(p))
                return -EACCES;
        return 0;
}

/* ---- names ---- */

static int number(const char *name, unsigned len)
{
        int n = 0;

        if (len == 0 || len > 7)
                return -1;
        for (unsigned k = 0; k < len; k++) {
                if (name[k] < '0' || name[k] > '9' || (k == 0 && name[k] == '0' && len > 1))
                        return -1;
                n = n * 10 + (name[k] - '0');
        }
        return n;
}

static struct inode *fd_inode(struct process *p, int fd, bool info)
{
        struct file *f = p->files ? fdtable_get(p->files, (uint64_t)fd) : NULL;
        struct inode *i;

        if (!f)
                return NULL;
        if (info)
                return owned(proc_inode(INODE_PROC, PROC_FDINFO, 0, p->pid, (uint64_t)fd, S_IFREG | 0444));
        i = proc_inode(INODE_PROC, PROC_FD, 0, p->pid, (uint64_t)fd,
                       S_IFLNK | (f->mode & FMODE_READ ? 0500u : 0) | (f->mode & FMODE_WRITE ? 0300u : 0));
        if (i)
                i->size = 64;
        return owned(i);
}

static struct inode *entry_inode(struct inode *dir, unsigned nr)
{
        int pid = proc_pid(dir);
        bool task = is_task(dir);

        if (nr == E_FD || nr == E_FDINFO)
                return owned(proc_inode(INODE_PROC, PROC_FDS, nr == E_FDINFO, pid, task ? dir->proc_key[1] : 0,
                                        entries[nr].mode));
        if (nr == E_TASK)
                return owned(proc_inode(INODE_PROC, PROC_TASKS, 0, pid, 0, entries[nr].mode));
        return owned(
                proc_inode(INODE_PROC, task ? PROC_TENTRY : PROC_ENTRY, nr, pid, dir->proc_key[1], entries[nr].mode));
}

long pid_lookup(struct inode *dir, const char *name, unsigned len, struct inode **out)
{
        struct process *p = process_of(dir);
        struct thread *t;
        int n;

        *out = NULL;
        if (!p)
                return -ENOENT;
        switch (proc_tag(dir)) {
        case PROC_PID:
        case PROC_TASK:
                for (unsigned k = 0; k < ENTRIES; k++) {
                        if (entries[k].name && strncmp(entries[k].name, name, len) == 0 && !entries[k].name[len] &&
                            !(is_task(dir) && entries[k].flags & ONLY_PROCESS)) {
                                *out = entry_inode(dir, k);
                                break;
                        }
                }
                break;
        case PROC_TASKS:
                n = number(name, len);
                t = n > 0 ? thread_find(n) : NULL;
                if (t && t->proc == p)
                        *out = owned(proc_inode(INODE_PROC, PROC_TASK, 0, p->pid, (uint64_t)n, S_IFDIR | 0555));
                break;
        case PROC_FDS:
                n = number(name, len);
                if (n >= 0 && !may_inspect(p))
                        return -EACCES;
                if (n >= 0)
                        *out = fd_inode(p, n, proc_index(dir) == 1);
                break;
        default:
                return -ENOTDIR;
        }
        return *out ? 0 : -ENOENT;
}

struct inode *pid_parent(struct inode *i)
{
        struct process *p = process_of(i);

        if (!p)
                return NULL;
        switch (proc_tag(i)) {
        case PROC_TASK:
                return proc_inode(INODE_PROC, PROC_TASKS, 0, p->pid, 0, S_IFDIR | 0555);
        case PROC_TENTRY:
                return proc_inode(INODE_PROC, PROC_TASK, 0, p->pid, i->proc_key[1], S_IFDIR | 0555);
        default:
                return pid_inode(p->pid);
        }
}

int pid_path(struct inode *i, char *buf, size_t len)
{
        size_t at = fmt_append(buf, len, 0, "/%d", proc_pid(i));

        switch (proc_tag(i)) {
        case PROC_ENTRY:
                at = fmt_append(buf, len, at, "/%s", entries[proc_index(i)].name);
                break;
        case PROC_TASKS:
                at = fmt_append(buf, len, at, "/task");
                break;
        case PROC_TASK:
                at = fmt_append(buf, len, at, "/task/%lu", i->proc_key[1]);
                break;
        case PROC_TENTRY:
                at = fmt_append(buf, len, at, "/task/%lu/%s", i->proc_key[1], entries[proc_index(i)].name);
                break;
        case PROC_FDS:
                at = fmt_append(buf, len, at, proc_index(i) ? "/fdinfo" : "/fd");
                break;
        case PROC_FD:
                at = fmt_append(buf, len, at, "/fd/%lu", i->proc_key[1]);
                break;
        case PROC_FDINFO:
                at = fmt_append(buf, len, at, "/fdinfo/%lu", i->proc_key[1]);
                break;
        default:
                break;
        }
        return (int)at;
}

/* Entries whose name is a number: the text stands in the scratch until the next one. */
static bool give_number(struct dir_entry *e, int n, uint64_t cookie, uint64_t ino, uint8_t type)
{
        char *text = vfs_scratch()->block;

        *e = (struct dir_entry){.ino = ino, .cookie = cookie, .name = text, .type = type};
        e->len = (uint8_t)fmt_append(text, 16, 0, "%d", n);
        return true;
}

bool pid_next(struct inode *dir, uint64_t cookie, struct dir_entry *e)
{
        struct process *p = process_of(dir);
        uint64_t from = cookie < DIR_COOKIE_FIRST ? 0 : cookie - DIR_COOKIE_FIRST + 1, fd;
        int best = 0;

        if (!p)
                return false;
        switch (proc_tag(dir)) {
        case PROC_PID:
        case PROC_TASK:
                while (from < ENTRIES && (!entries[from].name || (is_task(dir) && entries[from].flags & ONLY_PROCESS)))
                        from++;
                if (from >= ENTRIES)
                        return false;
                *e = (struct dir_entry){.ino = proc_ino(dir->ino, from),
                                        .cookie = from + DIR_COOKIE_FIRST,
                                        .name = entries[from].name,
                                        .len = (uint8_t)strlen(entries[from].name),
                                        .type = mode_to_dtype(entries[from].mode)};
                return true;
        case PROC_FDS:
                fd = p->files && may_inspect(p) ? fdtable_next(p->files, from) : ~0ul;
                return fd != ~0ul &&
                       give_number(e, (int)fd, fd + DIR_COOKIE_FIRST, proc_ino(dir->ino, fd), proc_index(dir) ? 8 : 10);
        case PROC_TASKS:
                for (struct thread *t = p->threads; t; t = t->next) {
                        if ((uint64_t)t->tid >= from && (!best || t->tid < best))
                                best = t->tid;
                }
                return best &&
                       give_number(e, best, (uint64_t)best + DIR_COOKIE_FIRST, proc_ino(dir->ino, (uint64_t)best), 4);
        default:
                return false;
        }
}

struct lowest {
        int from, found;
};

static bool keep_lowest(struct process *p, void *arg)
{
        struct lowest *l = arg;

        if (p->pid >= l->from && (!l->found || p->pid < l->found))
                l->found = p->pid;
        return true;
}

bool pid_root_next(uint64_t cookie, struct dir_entry *e)
{
        struct lowest l = {.from = cookie < PROC_PID_COOKIE ? 1 : (int)(cookie - PROC_PID_COOKIE) + 1};
        struct process *p;

        /* Numbers are given in order: the next one is near as a rule. */
        for (int k = 0; k < 48 && !l.found; k++) {
                if (process_find(l.from + k))
                        l.found = l.from + k;
        }
        if (!l.found)
                process_each(keep_lowest, &l);
        p = l.found ? process_find(l.found) : NULL;
        if (!p)
                return false;
        return give_number(e, p->pid, PROC_PID_COOKIE + (uint64_t)p->pid,
                           proc_ino(PROC_PID | (uint64_t)p->pid << 32, p->start_ns), 4);
}

long pid_readlink(struct inode *i, const char **target, uint32_t *len, struct inode **jump, struct file **magic)
{
        struct process *p = process_of(i);
        struct vfs_scratch *s = vfs_scratch();
        struct file *f = NULL;
        int n;

        if (!S_ISLNK(i->mode) || !s)
                return -EINVAL;
        if (!p)
                return -ENOENT;
        if (!may_inspect(p))
                return -EACCES;
        if (proc_tag(i) == PROC_FD) {
                f = p->files ? fdtable_get(p->files, i->proc_key[1]) : NULL;
                if (!f)
                        return -ENOENT;
                *jump = f->inode;
                *magic = f;
        } else if (proc_index(i) == E_EXE) {
                if (p->exe) {
                        f = p->exe;
                        *jump = f->inode;
                } else {
                        *jump = p->mm ? p->mm->exe : NULL;
                }
        } else if (p->fs) {
                *jump = proc_index(i) == E_CWD ? p->fs->cwd : p->fs->root;
        }
        if (!*jump)
                return -ENOENT;
        n = f ? path_of_file(f, s->block, sizeof(s->block)) : path_of_inode(*jump, s->block, sizeof(s->block));
        if (n < 0)
                n = (int)fmt_append(s->block, sizeof(s->block), 0, "/ (deleted)");
        *target = s->block;
        *len = (uint32_t)n;
        return 0;
}

/* ---- texts ---- */

static uint32_t tty_dev(struct process *p)
{
        struct tty *t = p->session ? p->session->tty : NULL;

        return !t ? 0 : t->kind == TTY_PTY ? RDEV(PTY_MAJOR + t->index / 256, t->index % 256) : RDEV(4, t->index);
}

__attribute__((weak)) char thread_state_letter(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        if (t->run == THREAD_DEAD || !st)
                return 'X';
        switch (SCHED_STATE(st->word)) {
        case SCHED_WAITING:
                return st->interruptible ? 'S' : 'D';
        case SCHED_STOPPED:
                return 'T';
        case SCHED_DEAD:
                return 'X';
        default:
                return 'R';
        }
}

static char state_letter(struct process *p, struct thread *t, bool task)
{
        if (!task && p->state == PROCESS_ZOMBIE)
                return 'Z';
        return t ? thread_state_letter(t) : 'X';
}

static void sizes_of(struct mm *m, struct mm_sizes *s)
{
        *s = (struct mm_sizes){0};
        if (!m)
                return;
        lock(LOCK_MM, m);
        mm_sizes(m, s);
        unlock(LOCK_MM, m);
}

static uint64_t masks(const struct process *p, bool caught)
{
        return !p->sighand ? 0 : caught ? p->sighand->caught : p->sighand->ignored;
}

static void show_stat(struct process *p, struct thread *t, bool task, struct proc_text *out)
{
        struct mm *m = READ_ONCE(p->mm);
        struct cpu_times ct;
        struct mm_sizes s;
        uint32_t low = 0x7fffffff;

        sizes_of(m, &s);
        if (task)
                thread_cpu_times(t, &ct);
        else
                process_cpu_times(p, &ct);
        proc_printf(out, "%d (%s) %c %d %d %d %d %d %u ", task ? t->tid : p->pid, t->comm, state_letter(p, t, task),
                    p->parent ? p->parent->pid : 0, p->pgrp ? p->pgrp->pgid : 0, p->session ? p->session->sid : 0,
                    (int)tty_dev(p),
                    p->session && p->session->tty && p->session->foreground ? p->session->foreground->pgid : -1,
                    p->did_exec ? 0x400000u : 0x400040u);
        proc_printf(out, "%lu %lu %lu %lu %lu %lu %ld %ld %d %d %u 0 %lu ", task ? t->minflt : p->minflt, p->cminflt,
                    task ? t->majflt : p->majflt, p->cmajflt, ct.user_ns / TICK_NS, ct.system_ns / TICK_NS,
                    (long)(p->cuser_ns / TICK_NS), (long)(p->csystem_ns / TICK_NS), t->nice_plus20, t->nice_plus20 - 20,
                    p->nlive, (task ? t->start_ns : p->start_ns) / TICK_NS);
        proc_printf(out, "%lu %lu %lu 0 0 %lu 0 0 %lu %lu %lu %lu 0 0 0 %d %u %u %u 0 0 0 0 0 %lu %lu %lu %lu %lu %d\n",
                    s.total * PAGE_SIZE, s.resident, (uint64_t)p->limits[RLIMIT_RSS].rlim_cur, m ? m->stack_top : 0,
                    t->pending.set & low, t->blocked & low, masks(p, false) & low, masks(p, true) & low, p->exit_signal,
                    t->run == THREAD_DEAD ? 0
                    : sched_of(t->slot)   ? sched_of(t->slot)->cpu
                                          : 0,
                    t->rt_priority, t->policy, m ? m->brk_start : 0, p->arg_start, p->arg_end, p->env_start, p->env_end,
                    p->exit_status);
}

static void show_statm(struct process *p, struct proc_text *out)
{
        struct mm_sizes s;

        sizes_of(READ_ONCE(p->mm), &s);
        proc_printf(out, "%lu %lu %lu %lu 0 %lu 0\n", s.total, s.resident, s.shared, s.text, s.data + s.stack);
}

static void show_status(struct process *p, struct thread *t, bool task, struct proc_text *out)
{
        static const struct {
                char letter;
                const char *name;
        } states[] = {
                {'R', "running"},      {'S', "sleeping"}, {'D', "disk sleep"}, {'T', "stopped"},
                {'t', "tracing stop"}, {'Z', "zombie"},   {'X', "dead"},
        };
        const struct cred *cr = t->cred;
        char state = state_letter(p, t, task);
        struct mm_sizes s;
        uint64_t cpus = (cpu_count < 64 ? 1ul << cpu_count : 0) - 1;
        unsigned k = 0;

        while (k < ARRAY_SIZE(states) - 1 && states[k].letter != state)
                k++;
        proc_printf(out, "Name:\t%s\n", t->comm);
        if (p->fs)
                proc_printf(out, "Umask:\t%04o\n", p->fs->umask);
        proc_printf(out, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", state,
                    states[k].name, p->pid, task ? t->tid : p->pid, p->parent ? p->parent->pid : 0,
                    t->tracer ? t->tracer->tid : 0);
        proc_printf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", cr->uid, cr->euid, cr->suid, cr->fsuid,
                    cr->gid, cr->egid, cr->sgid, cr->fsgid);
        proc_printf(out, "FDSize:\t%u\nGroups:\t", p->files ? MAX(p->files->nchunks, 2u) * FD_CHUNK : 0);
        for (uint32_t g = 0; g < cr->ngroups; g++)
                proc_printf(out, "%u ", cr->groups[g]);
        proc_printf(out, "\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", p->pid, task ? t->tid : p->pid,
                    p->pgrp ? p->pgrp->pgid : 0, p->session ? p->session->sid : 0);
        if (p->mm) {
                sizes_of(READ_ONCE(p->mm), &s);
                proc_printf(out,
                            "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t%8u kB\nVmHWM:\t%8lu "
                            "kB\nVmRSS:\t%8lu kB\n",
                            s.total * 4, s.total * 4, s.locked * 4, 0, s.resident * 4, s.resident * 4);
                proc_printf(out,
                            "RssAnon:\t%8lu kB\nRssFile:\t%8lu kB\nRssShmem:\t%8u kB\nVmData:\t%8lu kB\nVmStk:\t%8lu "
                            "kB\nVmExe:\t%8lu kB\n",
                            (s.resident - MIN(s.shared, s.resident)) * 4, s.shared * 4, 0, s.data * 4, s.stack * 4,
                            s.text * 4);
                proc_printf(out,
                            "VmLib:\t%8u kB\nVmPTE:\t%8u kB\nVmSwap:\t%8u kB\nHugetlbPages:\t%8u "
                            "kB\nCoreDumping:\t0\nTHP_enabled:\t0\n",
                            0, 0, 0, 0);
        }
        proc_printf(out, "Threads:\t%u\nSigQ:\t%lu/%lu\n", p->nlive, cr->user ? cr->user->nsignals : 0,
                    (uint64_t)p->limits[RLIMIT_SIGPENDING].rlim_cur);
        proc_printf(out, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n",
                    t->pending.set, p->pending.set, t->blocked, masks(p, false), masks(p, true));
        proc_printf(out, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\n",
                    cr->cap_inheritable, cr->cap_permitted, cr->cap_effective, cr->cap_bounding, cr->cap_ambient);
        proc_printf(out, "NoNewPrivs:\t%u\nSeccomp:\t0\nSeccomp_filters:\t0\nSpeculation_Store_Bypass:\tvulnerable\n",
                    p->no_new_privs);
        proc_printf(out, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t0-%u\nMems_allowed:\t1\nMems_allowed_list:\t0\n",
                    t->affinity & cpus, cpu_count - 1);
        proc_printf(out, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n", t->nvcsw, t->nivcsw);
}

static void pad_to(struct proc_text *out, size_t have, size_t want)
{
        for (; have < want; have++)
                proc_put(out, " ", 1);
}

static void show_area(struct mm *m, struct vma *v, struct proc_text *out)
{
        struct vfs_scratch *sc = vfs_scratch();
        const char *name = mm_area_name(m, v);
        char line[128];
        size_t n = fmt_append(line, sizeof(line), 0, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", v->start, v->end,
                              v->prot & 1 ? 'r' : '-', v->prot & 2 ? 'w' : '-', v->prot & 4 ? 'x' : '-',
                              v->flags & 1 ? 's' : 'p', v->inode ? v->pgoff * PAGE_SIZE : 0,
                              v->inode ? RDEV_MAJOR(v->inode->dev) : 0, v->inode ? RDEV_MINOR(v->inode->dev) : 0,
                              v->inode ? v->inode->ino : 0);
        int len = 0;

        proc_put(out, line, n);
        if (!name && v->file)
                len = path_of_file(v->file, sc->block, sizeof(sc->block));
        else if (!name && v->inode)
                len = path_of_inode(v->inode, sc->block, sizeof(sc->block));
        if (len > 0)
                name = sc->block;
        if (name) {
                pad_to(out, n, 73);
                proc_put(out, name, len > 0 ? (size_t)len : strlen(name));
        }
        proc_put(out, "\n", 1);
}

static void show_maps(struct process *p, struct proc_text *out)
{
        struct mm *m = READ_ONCE(p->mm);

        if (!m)
                return;
        lock(LOCK_MM, m);
        for (struct vma *v = mm_find_next(m, 0); v && !out->full; v = v->next)
                show_area(m, v, out);
        unlock(LOCK_MM, m);
}

static void show_sums(const struct area_stats *a, uint64_t pages, bool size, struct proc_text *out)
{
        uint64_t file = a->rss - MIN(a->anon, a->rss);

        if (size)
                proc_printf(out, "Size:           %8lu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n",
                            pages * 4);
        proc_printf(out, "Rss:            %8lu kB\nPss:            %8lu kB\nPss_Dirty:      %8lu kB\n", a->rss * 4,
                    a->rss * 4, a->dirty * 4);
        if (!size)
                proc_printf(out, "Pss_Anon:       %8lu kB\nPss_File:       %8lu kB\nPss_Shmem:             0 kB\n",
                            a->anon * 4, file * 4);
        proc_printf(out,
                    "Shared_Clean:          0 kB\nShared_Dirty:          0 kB\nPrivate_Clean:  %8lu kB\nPrivate_Dirty: "
                    " %8lu kB\n",
                    (a->rss - MIN(a->dirty, a->rss)) * 4, a->dirty * 4);
        proc_printf(out,
                    "Referenced:     %8lu kB\nAnonymous:      %8lu kB\nLazyFree:              0 kB\nAnonHugePages:     "
                    "    0 kB\n"
                    "ShmemPmdMapped:        0 kB\nFilePmdMapped:         0 kB\nShared_Hugetlb:        0 "
                    "kB\nPrivate_Hugetlb:       0 kB\n"
                    "Swap:                  0 kB\nSwapPss:               0 kB\nLocked:                0 kB\n",
                    a->rss * 4, a->anon * 4);
}

static void show_smaps(struct process *p, bool rollup, struct proc_text *out)
{
        struct mm *m = READ_ONCE(p->mm);
        struct area_stats sum = {0}, a;
        struct vma *first;

        if (!m)
                return;
        lock(LOCK_MM, m);
        first = mm_find_next(m, 0);
        if (rollup && first)
                proc_printf(out, "%08lx-7ffffffff000 ---p 00000000 00:00 0                    [rollup]\n",
                            first->start);
        for (struct vma *v = first; v && !out->full; v = v->next) {
                mm_area_stats(v, &a);
                if (rollup) {
                        sum.rss += a.rss;
                        sum.anon += a.anon;
                        sum.dirty += a.dirty;
                        continue;
                }
                show_area(m, v, out);
                show_sums(&a, vma_pages(v), true, out);
                proc_printf(out, "THPeligible:    0\nVmFlags:%s%s%s%s mr mw me\n", v->prot & 1 ? " rd" : "",
                            v->prot & 2 ? " wr" : "", v->prot & 4 ? " ex" : "", v->flags & 1 ? " sh" : "");
        }
        if (rollup)
                show_sums(&sum, 0, false, out);
        unlock(LOCK_MM, m);
}

/* Bytes of the process's own memory. Bringing them in may change something: each page is a step of its own. */
static void show_memory(struct process *p, uint64_t start, uint64_t end, struct proc_text *out)
{
        struct mm *m = READ_ONCE(p->mm);
        uint64_t at = start + out->skip;
        size_t n;

        if (!m || start >= end || at >= end)
                return;
        out->skip = 0;
        while (at < end && out->len < out->cap) {
                n = mm_read_other(m, at, out->buf + out->len, MIN(end - at, out->cap - out->len));
                section_step();
                if (!n)
                        break;
                out->len += n;
                at += n;
        }
}

static void show_limits(struct process *p, struct proc_text *out)
{
        static const struct {
                unsigned nr;
                const char *name, *unit;
        } limits[] = {
                {RLIMIT_CPU, "Max cpu time", "seconds"},         {RLIMIT_FSIZE, "Max file size", "bytes"},
                {RLIMIT_DATA, "Max data size", "bytes"},         {RLIMIT_STACK, "Max stack size", "bytes"},
                {RLIMIT_CORE, "Max core file size", "bytes"},    {RLIMIT_RSS, "Max resident set", "bytes"},
                {RLIMIT_NPROC, "Max processes", "processes"},    {RLIMIT_NOFILE, "Max open files", "files"},
                {RLIMIT_MEMLOCK, "Max locked memory", "bytes"},  {RLIMIT_AS, "Max address space", "bytes"},
                {RLIMIT_LOCKS, "Max file locks", "locks"},       {RLIMIT_SIGPENDING, "Max pending signals", "signals"},
                {RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes"}, {RLIMIT_NICE, "Max nice priority", ""},
                {RLIMIT_RTPRIO, "Max realtime priority", ""},    {RLIMIT_RTTIME, "Max realtime timeout", "us"},
        };

        proc_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
        for (unsigned k = 0; k < ARRAY_SIZE(limits); k++) {
                struct rlimit64 l = p->limits[limits[k].nr];
                char soft[24], hard[24];

                fmt_append(soft, sizeof(soft), 0, l.rlim_cur == RLIM64_INFINITY ? "unlimited" : "%lu",
                           (unsigned long)l.rlim_cur);
                fmt_append(hard, sizeof(hard), 0, l.rlim_max == RLIM64_INFINITY ? "unlimited" : "%lu",
                           (unsigned long)l.rlim_max);
                proc_printf(out, "%-25s %-20s %-20s %-10s\n", limits[k].name, soft, hard, limits[k].unit);
        }
}

static const char *const fs_names[FS_TYPES] = {"phantom", "tmpfs",  "devtmpfs", "proc",
                                               "sysfs",   "devpts", "snapshot", "fuse"};

static int mount_options(const struct mount *m, char *buf, size_t len)
{
        static const struct {
                unsigned flag;
                const char *name;
        } options[] = {
                {MS_NOSUID, ",nosuid"},
                {MS_NODEV, ",nodev"},
                {MS_NOEXEC, ",noexec"},
                {MS_NOATIME, ",noatime"},
        };
        size_t at = fmt_append(buf, len, 0, "%s", m->flags & MS_RDONLY ? "ro" : "rw");

        for (unsigned k = 0; k < ARRAY_SIZE(options); k++) {
                if (m->flags & options[k].flag)
                        at = fmt_append(buf, len, at, "%s", options[k].name);
        }
        if (!(m->flags & MS_NOATIME))
                at = fmt_append(buf, len, at, ",relatime");
        if (m->type == FS_SNAPSHOT)
                at = fmt_append(buf, len, at, ",epoch=%lu", m->root->proc_key[1]);
        if (m->type == FS_FUSE)
                return fuse_mount_options(m->root, buf, len, at);
        return (int)at;
}

static void show_mounts(struct proc_text *out, enum entry_nr how)
{
        struct vfs_scratch *s = vfs_scratch();
        char options[160];

        for (struct mount *m = fs_state()->mounts; m && !out->full; m = m->next) {
                if (path_of_inode(m->root, s->block, sizeof(s->block)) < 0)
                        continue;
                mount_options(m, options, sizeof(options));
                if (how == E_MOUNTS)
                        proc_printf(out, "%s %s %s %s 0 0\n", m->source, s->block, fs_names[m->type], options);
                else if (how == E_MOUNTSTATS)
                        proc_printf(out, "device %s mounted on %s with fstype %s\n", m->source, s->block,
                                    fs_names[m->type]);
                else
                        proc_printf(out, "%u %u %u:%u / %s %s - %s %s %s\n", m->id, m->parent_id, RDEV_MAJOR(m->dev),
                                    RDEV_MINOR(m->dev), s->block, options, fs_names[m->type], m->source,
                                    m->flags & MS_RDONLY ? "ro" : "rw");
        }
}

static void show_fdinfo(struct process *p, int fd, struct proc_text *out)
{
        struct file *f = p->files ? fdtable_get(p->files, (uint64_t)fd) : NULL;
        struct mount *m;

        if (!f)
                return;
        m = mount_of(f->inode);
        proc_printf(out, "pos:\t%ld\nflags:\t0%o\nmnt_id:\t%u\nino:\t%lu\n", (long)f->pos,
                    f->flags | (fdtable_cloexec(p->files, (uint64_t)fd) ? O_CLOEXEC : 0), m ? m->id : 0, f->inode->ino);
}

static void show_entry(struct inode *i, struct process *p, struct proc_text *out)
{
        bool task = is_task(i);
        struct thread *t = thread_of(i, p);

        if (!t)
                return;
        switch ((enum entry_nr)proc_index(i)) {
        case E_STAT:
                show_stat(p, t, task, out);
                break;
        case E_STATM:
                show_statm(p, out);
                break;
        case E_STATUS:
                show_status(p, t, task, out);
                break;
        case E_MAPS:
                show_maps(p, out);
                break;
        case E_SMAPS:
                show_smaps(p, false, out);
                break;
        case E_SMAPS_ROLLUP:
                show_smaps(p, true, out);
                break;
        case E_CMDLINE:
                show_memory(p, p->arg_start, p->arg_end, out);
                break;
        case E_ENVIRON:
                show_memory(p, p->env_start, p->env_end, out);
                break;
        case E_COMM:
                proc_printf(out, "%s\n", t->comm);
                break;
        case E_CGROUP:
                proc_printf(out, "0::/\n");
                break;
        case E_LIMITS:
                show_limits(p, out);
                break;
        case E_MOUNTS:
        case E_MOUNTINFO:
        case E_MOUNTSTATS:
                show_mounts(out, (enum entry_nr)proc_index(i));
                break;
        case E_IO:
                proc_printf(out,
                            "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: %lu\nwrite_bytes: "
                            "%lu\ncancelled_write_bytes: 0\n",
                            p->inblock * 512, p->oublock * 512);
                break;
        case E_OOM_SCORE:
                proc_printf(out, "%d\n", MAX(666 + p->oom_score_adj * 2 / 3, 0));
                break;
        case E_OOM_SCORE_ADJ:
                proc_printf(out, "%d\n", p->oom_score_adj);
                break;
        case E_OOM_ADJ:
                proc_printf(out, "%d\n", p->oom_score_adj * 17 / 1000);
                break;
        case E_PERSONALITY:
                proc_printf(out, "%08x\n", p->personality);
                break;
        case E_SCHEDSTAT:
                proc_printf(out, "%lu 0 %lu\n", t->user_ns + t->system_ns, t->nvcsw + t->nivcsw);
                break;
        case E_TIMERSLACK:
                proc_printf(out, "%u\n", t->timer_slack_ns ? t->timer_slack_ns : 50000);
                break;
        case E_COREDUMP_FILTER:
                proc_printf(out, "00000033\n");
                break;
        case E_WCHAN:
                proc_put(out, "0", 1);
                break;
        default:
                break;
        }
}

void pid_show(struct inode *i, struct proc_text *out)
{
        struct process *p = process_of(i);

        if (!p)
                return;
        if (proc_tag(i) == PROC_FDINFO)
                show_fdinfo(p, (int)i->proc_key[1], out);
        else
                show_entry(i, p, out);
}

/* ---- writes ---- */

static long write_comm(struct call *c, struct process *p, struct thread *t, const char *text, size_t len)
{
        if (p != process_current())
                return -EINVAL;
        if (len && text[len - 1] == '\n')
                len--;
        len = MIN(len, sizeof(t->comm) - 1);
        changes(c);
        memset(t->comm, 0, sizeof(t->comm));
        memcpy(t->comm, text, len);
        return 0;
}

static long write_oom(struct call *c, struct process *p, const char *text, int scale)
{
        bool minus = *text == '-';
        uint64_t v;
        int adj;

        if (proc_parse_u64(text + minus, &v) || v > 1000)
                return -EINVAL;
        adj = (minus ? -(int)v : (int)v) * scale / 17;
        if (scale != 17)
                adj = MAX(MIN(adj, 1000), -1000);
        if (adj < p->oom_score_adj && !capable(CAP_SYS_RESOURCE))
                return -EACCES;
        changes(c);
        p->oom_score_adj = adj;
        return 0;
}

long pid_write(struct call *c, struct inode *i, const char *text, size_t len)
{
        struct process *p = process_of(i);
        struct thread *t = p ? thread_of(i, p) : NULL;
        uint64_t v;

        if (!t)
                return -ESRCH;
        switch ((enum entry_nr)proc_index(i)) {
        case E_COMM:
                return write_comm(c, p, t, text, len);
        case E_OOM_SCORE_ADJ:
                return write_oom(c, p, text, 17);
        case E_OOM_ADJ:
                return write_oom(c, p, text, 1000);
        case E_TIMERSLACK:
                if (proc_parse_u64(text, &v) || v > ~0u)
                        return -EINVAL;
                changes(c);
                t->timer_slack_ns = (uint32_t)v;
                return 0;
        case E_CLEAR_REFS:
        case E_COREDUMP_FILTER:
                return proc_parse_u64(text, &v);
        default:
                return -EINVAL;
        }
}

/* ---- /proc/N/mem: the position is an address ---- */

bool pid_is_mem(const struct inode *i)
{
        return (proc_tag(i) == PROC_ENTRY || proc_tag(i) == PROC_TENTRY) && proc_index(i) == E_MEM;
}

long pid_mem_io(struct call *c, struct file *f, bool write)
{
        struct vfs_scratch *s = vfs_scratch();
        bool positional = c->pos != POS_CURRENT;
        uint64_t at = positional ? c->pos : f->pos;
        struct process *p = process_of(f->inode);
        size_t n = MIN(c->io.len, PAGE_SIZE - (at & (PAGE_SIZE - 1))), got;
        struct mm *m;

        if (!p || !may_inspect(p))
                return p ? -EACCES : -ESRCH;
        m = READ_ONCE(p->mm);
        if (!m || !n || c->io.done >= PAGE_SIZE)
                return (long)c->io.done;
        if (write && io_copy_in(&c->io, s->block, n) < n)
                return user_fault(c);
        got = write ? mm_write_other(m, at, s->block, n) : mm_read_other(m, at, s->block, n);
        section_step();
        if (!got)
                return c->io.done ? (long)c->io.done : -EIO;
        if (!write && io_copy_out(&c->io, s->block, got) < got)
                return user_fault(c);
        changes(c);
        io_advance(&c->io, got);
        if (positional)
                c->pos = at + got;
        else
                f->pos = at + got;
        return c->io.len ? CALL_AGAIN : (long)c->io.done;
}
