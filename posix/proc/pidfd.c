/*
 * pidfd.c - a process by descriptor. The file counts the process's record, which therefore outlives its reaping; the number may be somebody else's by then.
 * Readable (for poll) when the process has ended.
 */
#include "posix/proc/proc.h"
#include "posix/include/file.h"
#include <linux/pidfd.h>

static uint32_t pidfd_poll(struct file *f, struct poll_table *pt)
{
        struct process *p = (struct process *)f->priv;

        poll_register(pt, &p->state);
        return p->state >= PROCESS_ZOMBIE ? POLLIN | POLLRDNORM : 0;
}

static int pidfd_path(struct file *f, char *buf, size_t len)
{
        static const char name[] = "anon_inode:[pidfd]";

        (void)f;
        len = MIN(len, sizeof(name) - 1);
        __builtin_memcpy(buf, name, len);
        return (int)len;
}

const struct file_ops pidfd_file_ops = {.name = "pidfd", .poll = pidfd_poll, .show_path = pidfd_path};

struct file *pidfd_new(struct process *p, uint32_t flags)
{
        struct inode *i = inode_anonymous(0600, "pidfd");
        struct file *f = file_new(FILE_PIDFD, FMODE_READ | FMODE_WRITE, O_RDWR | flags, i, p);

        object_put(i);
        return f;
}

struct process *pidfd_process(struct file *f)
{
        return f->ops_type == FILE_PIDFD ? (struct process *)f->priv : NULL;
}

long sys_pidfd_open(struct call *c)
{
        int pid = (int)c->arg[0];
        uint32_t flags = (uint32_t)c->arg[1];
        struct process *p;
        int fd;

        if (flags & ~(uint32_t)PIDFD_NONBLOCK)
                return -EINVAL;
        if (pid <= 0)
                return -EINVAL;
        p = process_find(pid);
        if (!p)
                return thread_find(pid) ? -EINVAL : -ESRCH;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        if (!space_room(3))
                return -ENOMEM;
        changes(c);
        fd_install(c, fd, pidfd_new(p, flags), true);
        return fd;
}

long sys_pidfd_send_signal(struct call *c)
{
        int signo = (int)c->arg[1];
        struct file *f;
        struct process *p;
        siginfo_t info;

        if (c->arg[3])
                return -EINVAL;
        f = fd_lookup(c, c->arg[0]);
        if (!f)
                return -EBADF;
        p = pidfd_process(f);
        if (!p)
                return -EBADF;
        if (c->arg[2]) {
                if (!copy_in(c, &info, c->arg[2], sizeof(info)))
                        return user_fault(c);
                if (info.si_signo != signo)
                        return -EINVAL;
                if (p != c->thread->proc && (info.si_code >= 0 || info.si_code == SI_TKILL))
                        return -EPERM;
        } else {
                siginfo_kill(&info, signo, SI_USER);
        }
        if (signo < 0 || signo > SIGNAL_MAX)
                return -EINVAL;
        if (p->state == PROCESS_DEAD)
                return -ESRCH;
        if (!process_may_signal(p, signo))
                return -EPERM;
        if (!signo)
                return 0;
        changes(c);
        return signal_send_process(p, signo, &info);
}

long sys_pidfd_getfd(struct call *c)
{
        struct file *f = fd_lookup(c, c->arg[0]), *theirs;
        struct process *p = f ? pidfd_process(f) : NULL;
        int fd;

        if (c->arg[2])
                return -EINVAL;
        if (!p)
                return -EBADF;
        if (!process_may_look(p))
                return -EPERM;
        if (p->state >= PROCESS_ZOMBIE || !p->files)
                return -ESRCH;
        theirs = process_file(p, c->arg[1]);
        if (!theirs)
                return -EBADF;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        object_look(theirs);
        changes(c);
        object_get(theirs);
        fd_install(c, fd, theirs, true);
        return fd;
}
