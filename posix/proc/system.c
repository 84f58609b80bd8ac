/*
 * system.c - calls about the machine as a whole: its names, its load, its log, turning it off; and the few about namespaces that can be answered.
 */
#include "posix/proc/proc.h"
#include "posix/include/file.h"
#include "posix/include/mm.h"
#include "posix/include/deadline.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/power.h"
#include "kernel/include/sched.h"
#include <linux/kcmp.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#define PHANTOM_RELEASE "6.1.0-phantom" /* what programs compare is the number: the system calls are Linux 6.1's */
#define PHANTOM_VERSION "#1 SMP Phantom"

static void name(char *to, const char *from)
{
        size_t len = MIN(__builtin_strlen(from), (size_t)__NEW_UTS_LEN);

        __builtin_memcpy(to, from, len);
}

const char *system_release(void)
{
        return PHANTOM_RELEASE;
}

const char *system_version(void)
{
        return PHANTOM_VERSION;
}

long sys_uname(struct call *c)
{
        struct posix_root *root = posix_root();
        struct new_utsname u = {0};

        name(u.sysname, "Linux");
        name(u.nodename, root->hostname[0] ? root->hostname : "phantom");
        name(u.release, PHANTOM_RELEASE);
        name(u.version, PHANTOM_VERSION);
        name(u.machine, "x86_64");
        name(u.domainname, root->domainname[0] ? root->domainname : "(none)");
        return copy_out(c, c->arg[0], &u, sizeof(u)) ? 0 : user_fault(c);
}

static long set_name(struct call *c, char *to)
{
        char new[__NEW_UTS_LEN + 1] = {0};
        int len = (int)c->arg[1];

        if (!capable(CAP_SYS_ADMIN))
                return -EPERM;
        if (len < 0 || len > __NEW_UTS_LEN)
                return -EINVAL;
        if (!copy_in(c, new, c->arg[0], (size_t)len))
                return user_fault(c);
        changes(c);
        __builtin_memcpy(to, new, sizeof(new));
        return 0;
}

long sys_sethostname(struct call *c)
{
        return set_name(c, posix_root()->hostname);
}

long sys_setdomainname(struct call *c)
{
        return set_name(c, posix_root()->domainname);
}

long sys_sysinfo(struct call *c)
{
        struct sysinfo s = {0};
        struct sched_load l;

        sched_load_get(&l);
        s.uptime = (long)(time_boot_ns() / NSEC_PER_SEC);
        for (unsigned i = 0; i < 3; i++)
                s.loads[i] = l.avg[i] << (SI_LOAD_SHIFT - 11);
        s.totalram = frames_total() * PAGE_SIZE;
        s.freeram = frames_free() * PAGE_SIZE;
        s.procs = (uint16_t)MIN(posix_root()->nthreads, 65535u);
        s.mem_unit = 1;
        return copy_out(c, c->arg[0], &s, sizeof(s)) ? 0 : user_fault(c);
}

/* ---- the log: reading it by syslog(2) is reading the whole ring ---- */

enum {
        LOG_CLOSE,
        LOG_OPEN,
        LOG_READ,
        LOG_READ_ALL,
        LOG_READ_CLEAR,
        LOG_CLEAR,
        LOG_CONSOLE_OFF,
        LOG_CONSOLE_ON,
        LOG_CONSOLE_LEVEL,
        LOG_SIZE_UNREAD,
        LOG_SIZE
};
#define LOG_RING_BYTES 65536u
static uint64_t log_cleared, log_read_to; /* [V] */

static long log_copy(struct call *c, uint64_t from, uint64_t *reached)
{
        uint64_t to = c->arg[1];
        size_t len = (uint32_t)c->arg[2], done = 0;
        char *piece = call_scratch(c, 0, 4096);

        if (!piece)
                return -ENOMEM;
        while (done < len) {
                uint64_t next;
                size_t n = klog_read(from, piece, MIN(len - done, 4096ul), &next);

                if (n == 0)
                        break;
                if (!copy_out(c, to + done, piece, n))
                        return user_fault(c);
                from = next;
                done += n;
        }
        *reached = from;
        return (long)done;
}

long sys_syslog(struct call *c)
{
        int type = (int)c->arg[0], len = (int)c->arg[2];
        uint64_t end = klog_end(), from, reached = 0;
        long r;

        if (type != LOG_READ_ALL && type != LOG_SIZE && !capable(CAP_SYSLOG) && !capable(CAP_SYS_ADMIN))
                return -EPERM;
        switch (type) {
        case LOG_CLOSE:
        case LOG_OPEN:
                return 0;
        case LOG_READ:
                if (!c->arg[1] || len < 0)
                        return -EINVAL;
                if (len == 0)
                        return 0;
                if (log_read_to == end) {
                        if (c->why != WHY_RUN && c->why != WHY_DEADLINE)
                                return call_interrupted(c);
                        return call_wait(c, CONDITION, NULL, INTERRUPTIBLE, time_mono_ns() + NSEC_PER_SEC / 4);
                }
                r = log_copy(c, log_read_to, &reached);
                if (r >= 0)
                        log_read_to = reached;
                return r;
        case LOG_READ_ALL:
        case LOG_READ_CLEAR:
                if (!c->arg[1] || len < 0)
                        return -EINVAL;
                from = end > LOG_RING_BYTES ? end - LOG_RING_BYTES : 0;
                from = MAX(from, log_cleared);
                if (end - from > (uint64_t)len)
                        from = end - (uint64_t)len; /* the newest of it */
                r = log_copy(c, from, &reached);
                if (r >= 0 && type == LOG_READ_CLEAR)
                        log_cleared = end;
                return r;
        case LOG_CLEAR:
                log_cleared = end;
                return 0;
        case LOG_CONSOLE_OFF:
                klog_set_console_level(1);
                return 0;
        case LOG_CONSOLE_ON:
                klog_set_console_level(7);
                return 0;
        case LOG_CONSOLE_LEVEL:
                if (len < 1 || len > 8)
                        return -EINVAL;
                klog_set_console_level(len);
                return 0;
        case LOG_SIZE_UNREAD:
                return (long)MIN(end - log_read_to, (uint64_t)LOG_RING_BYTES);
        case LOG_SIZE:
                return LOG_RING_BYTES;
        }
        return -EINVAL;
}

/*
 * ---- turning off: no program is told, none is ended (persistence.md, "Turning off") ----
 * The call is in its record, marked with the life it was made in, before the commit that it waits for; when that is durable the machine goes off. Who finds himself in
 * another life has been through that, and returns.
 */

struct turn_off {
        uint64_t life, epoch;
};

static noreturn void stop_here(void)
{
        klog(LOG_INFO, "system halted\n");
        persist_host->park_others();
        for (;;)
                __asm__ volatile("cli; hlt");
}

/* By the writer, or in the call if there is no store. */
static void turn_off(uint64_t command)
{
        int r;

        switch (command) {
        case LINUX_REBOOT_CMD_HALT:
                break;
        case LINUX_REBOOT_CMD_POWER_OFF:
                klog(LOG_INFO, "power off\n");
                r = power_off();
                klog(LOG_ERR, "power off failed: %d\n", r);
                break;
        default:
                klog(LOG_INFO, "restart\n");
                r = power_reset();
                klog(LOG_ERR, "restart failed: %d\n", r);
        }
        stop_here();
}

long sys_reboot(struct call *c)
{
        struct turn_off *t = call_state(c, struct turn_off);
        uint32_t magic2 = (uint32_t)c->arg[1], command = (uint32_t)c->arg[2];
        long r;

        if (c->stage == 0) {
                if (!capable(CAP_SYS_BOOT))
                        return -EPERM;
                if ((uint32_t)c->arg[0] != LINUX_REBOOT_MAGIC1 ||
                    (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
                     magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
                        return -EINVAL;
                if (command == LINUX_REBOOT_CMD_CAD_ON || command == LINUX_REBOOT_CMD_CAD_OFF)
                        return 0; /* Ctrl-Alt-Del has no meaning of its own here */
                if (command != LINUX_REBOOT_CMD_HALT && command != LINUX_REBOOT_CMD_POWER_OFF &&
                    command != LINUX_REBOOT_CMD_RESTART && command != LINUX_REBOOT_CMD_RESTART2)
                        return -EINVAL;
                t->life = posix_root()->lives;
                c->stage = 1;
                return CALL_AGAIN; /* into the record */
        }
        if (t->life != posix_root()->lives)
                return 0;
        if (c->stage == 1) {
                t->epoch = snapshot_epoch(); /* the record is of this epoch or an older one */
                c->stage = 2;
        }
        r = call_wait_commit(c, t->epoch);
        if (r <= CALL_WAIT || r == -EINTR)
                return r;
        if (r)
                klog(LOG_ERR, "what was done since the last commit will be lost: error %ld\n", r);
        snapshot_leave(turn_off, command);
        return call_wait(c, CONDITION, t, UNINTERRUPTIBLE, NO_DEADLINE); /* for ever */
}

/* ---- namespaces: there is one of each ---- */

#define UNSHARE_NEW                                                                                                    \
        ((uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |       \
                    CLONE_NEWNET | CLONE_NEWTIME))
#define UNSHARE_OK ((uint64_t)(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM))

long sys_unshare(struct call *c)
{
        struct process *p = c->thread->proc;
        uint64_t flags = c->arg[0];
        struct fdtable *files = p->files, *old;

        if (flags & ~(UNSHARE_NEW | UNSHARE_OK))
                return -EINVAL;
        if (flags & UNSHARE_NEW)
                return flags & CLONE_NEWUSER || capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
        if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && p->nlive > 1)
                return -EINVAL;
        if ((flags & (CLONE_SIGHAND | CLONE_VM)) && p->sighand->obj.refs > 1)
                return -EINVAL;
        if ((flags & CLONE_VM) && p->mm->obj.refs > 1)
                return -EINVAL;
        /* Descriptors and directories belong to the process here: threads of one cannot part with them. */
        if ((flags & (CLONE_FS | CLONE_FILES)) && p->nlive > 1)
                return -EINVAL;
        if ((flags & CLONE_FS) && p->fs->obj.refs == 1)
                flags &= ~(uint64_t)CLONE_FS;
        if ((flags & CLONE_FILES) && files && ((struct object *)files)->refs == 1)
                flags &= ~(uint64_t)CLONE_FILES;
        if (!(flags & (CLONE_FS | CLONE_FILES)))
                return 0;
        lock(LOCK_FDTABLE, files);
        object_look(p->fs->root);
        object_look(p->fs->cwd);
        if (!space_room(2 + fdtable_pages(files)))
                return -ENOMEM;
        changes(c);
        if (flags & CLONE_FS) {
                struct fs *was = p->fs;

                p->fs = fs_copy(was);
                object_put(was);
        }
        if (flags & CLONE_FILES) {
                old = p->files;
                p->files = fdtable_fork(old);
                object_put(old);
        }
        return 0;
}

long sys_setns(struct call *c)
{
        return fd_lookup(c, c->arg[0]) ? -EINVAL : -EBADF;
}

/* ---- kcmp: are two processes' things one? The order is by a scrambled address. ---- */

bool process_may_look(const struct process *p)
{
        const struct cred *me = thread_current()->cred, *it = p->leader ? p->leader->cred : NULL;

        if (p == process_current())
                return true;
        return it && ((me->fsuid == it->uid && me->fsuid == it->euid && me->fsuid == it->suid && me->fsgid == it->gid &&
                       me->fsgid == it->egid && me->fsgid == it->sgid && p->dumpable) ||
                      cred_capable(me, CAP_SYS_PTRACE));
}

static long compare(const void *a, const void *b)
{
        uint64_t x = (uint64_t)a * 0x9e3779b97f4a7c15ul, y = (uint64_t)b * 0x9e3779b97f4a7c15ul;

        return x == y ? 0 : x < y ? 1 : 2;
}

struct file *process_file(struct process *p, uint64_t fd)
{
        struct thread t = {.proc = p};
        struct call probe = {.thread = &t};

        return p->files ? fd_lookup(&probe, fd) : NULL;
}

long sys_kcmp(struct call *c)
{
        struct thread *t1 = thread_find((int)c->arg[0]), *t2 = thread_find((int)c->arg[1]);
        struct process *a, *b;
        struct file *f, *g;

        if (!t1 || !t2)
                return -ESRCH;
        a = t1->proc;
        b = t2->proc;
        if (!process_may_look(a) || !process_may_look(b))
                return -EPERM;
        switch ((int)c->arg[2]) {
        case KCMP_FILE:
                f = process_file(a, c->arg[3]);
                g = process_file(b, c->arg[4]);
                return f && g ? compare(f, g) : -EBADF;
        case KCMP_VM:
                return compare(a->mm, b->mm);
        case KCMP_FILES:
                return compare(a->files, b->files);
        case KCMP_FS:
                return compare(a->fs, b->fs);
        case KCMP_SIGHAND:
                return compare(a->sighand, b->sighand);
        case KCMP_SYSVSEM:
                return compare(a->sem_undo, b->sem_undo);
        case KCMP_IO:
                return compare(NULL, NULL);
        }
        return -EINVAL;
}
