/*
 * fcntl.c - fcntl and the ioctls that every descriptor has. Locks are in locks.c, pipe sizes in posix/pipe.
 */
#include "posix/include/pipe.h"
#include "posix/vfs/vfs_internal.h"
#include <asm/ioctls.h>
#include <linux/fs.h>

#define SETTABLE (O_APPEND | O_NONBLOCK | O_DIRECT | FASYNC | O_NOATIME)

static long set_flags(struct call *c, struct file *f, uint32_t flags)
{
        uint32_t new;
        int r;

        if (flags & O_NOATIME && !(f->flags & O_NOATIME) && !inode_owner_or_capable(f->inode))
                return -EPERM;
        lock(LOCK_FILE, f);
        new = (f->flags & ~(uint32_t)SETTABLE) | (flags & SETTABLE);
        if (new == f->flags)
                return 0;
        changes(c);
        r = file_ops(f)->set_flags ? file_ops(f)->set_flags(f, new) : 0;
        if (r)
                return r;
        f->flags = new;
        return 0;
}

static bool owner_exists(uint32_t type, int32_t pid)
{
        return type == F_OWNER_PGRP  ? pgrp_find(pid) != NULL
               : type == F_OWNER_PID ? process_find(pid) != NULL
                                     : thread_find(pid) != NULL;
}

/* Numbers are checked when they are set, so what F_GETOWN gives is never taken for an error of another kind. */
static long set_owner(struct call *c, struct file *f, uint32_t type, int32_t pid)
{
        if (pid && !owner_exists(type, pid))
                return -ESRCH;
        lock(LOCK_FILE, f);
        changes(c);
        f->owner_type = type;
        f->owner_pid = pid;
        return 0;
}

static long add_seals(struct call *c, struct file *f, uint32_t seals)
{
        struct inode *i = f->inode;

        if (seals & ~(uint32_t)(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
                return -EINVAL;
        if (!(f->mode & FMODE_WRITE))
                return -EPERM;
        if (i->kind != INODE_SHM)
                return -EINVAL;
        lock(LOCK_INODE, i);
        if (i->seals & F_SEAL_SEAL)
                return -EPERM;
        if (seals & F_SEAL_WRITE && !(i->seals & F_SEAL_WRITE) && mm_inode_mapped_writable(i))
                return -EBUSY;
        changes(c);
        i->seals |= seals;
        return 0;
}

long sys_fcntl(struct call *c)
{
        struct fdtable *t = c->thread->proc->files;
        uint64_t fd = (uint32_t)c->arg[0], arg = c->arg[2];
        unsigned cmd = (unsigned)c->arg[1];
        struct file *f = c->stage ? c->file : fd_lookup(c, fd);
        struct {
                int32_t type, pid;
        } owner;
        long r;

        if (!f)
                return -EBADF;
        if (f->ops_type == FILE_PATH && cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC && cmd != F_GETFD && cmd != F_SETFD &&
            cmd != F_GETFL)
                return -EBADF;
        switch (cmd) {
        case F_DUPFD:
        case F_DUPFD_CLOEXEC:
                if ((int32_t)arg < 0)
                        return -EINVAL;
                return fd_dup(c, f, (uint32_t)arg, cmd == F_DUPFD_CLOEXEC);
        case F_GETFD:
                return fdtable_cloexec(t, fd) ? FD_CLOEXEC : 0;
        case F_SETFD:
                lock(LOCK_FDTABLE, t);
                if (fdtable_get(t, fd) != f)
                        return -EBADF;
                if (fdtable_cloexec(t, fd) == !!(arg & FD_CLOEXEC))
                        return 0;
                r = fdtable_prepare(t, fd);
                if (r)
                        return r;
                changes(c);
                fdtable_set_cloexec(t, fd, arg & FD_CLOEXEC);
                return 0;
        case F_GETFL:
                return f->flags;
        case F_SETFL:
                return set_flags(c, f, (uint32_t)arg);
        case F_GETLK:
        case F_SETLK:
        case F_SETLKW:
        case F_OFD_GETLK:
        case F_OFD_SETLK:
        case F_OFD_SETLKW:
                return flock_fcntl(c, f, cmd, arg);
        case F_SETOWN:
                if ((int32_t)arg == INT32_MIN)
                        return -EINVAL;
                return set_owner(c, f, (int32_t)arg < 0 ? F_OWNER_PGRP : F_OWNER_PID,
                                 (int32_t)arg < 0 ? -(int32_t)arg : (int32_t)arg);
        case F_GETOWN:
                return f->owner_type == F_OWNER_PGRP ? -f->owner_pid : f->owner_pid;
        case F_SETOWN_EX:
                if (!copy_in(c, &owner, arg, sizeof(owner)))
                        return user_fault(c);
                if ((uint32_t)owner.type > F_OWNER_PGRP)
                        return -EINVAL;
                return set_owner(c, f, (uint32_t)owner.type, owner.pid);
        case F_GETOWN_EX:
                owner.type = (int32_t)f->owner_type;
                owner.pid = f->owner_pid;
                return copy_out(c, arg, &owner, sizeof(owner)) ? 0 : user_fault(c);
        case F_SETSIG:
                if (arg > 64)
                        return -EINVAL;
                lock(LOCK_FILE, f);
                changes(c);
                f->owner_signal = (int32_t)arg;
                return 0;
        case F_GETSIG:
                return f->owner_signal;
        case F_GETPIPE_SZ:
        case F_SETPIPE_SZ:
                return pipe_fcntl(c, f, cmd, arg);
        case F_ADD_SEALS:
                return add_seals(c, f, (uint32_t)arg);
        case F_GET_SEALS:
                return f->inode->kind == INODE_SHM ? (long)f->inode->seals : -EINVAL;
        case F_GETLEASE:
                return F_UNLCK;
        case F_SETLEASE:
                return arg == F_UNLCK ? -EAGAIN : -EINVAL;
        default:
                return -EINVAL;
        }
}

long sys_ioctl(struct call *c)
{
        unsigned cmd = (unsigned)c->arg[1];
        uint64_t arg = c->arg[2];
        struct fdtable *t = c->thread->proc->files;
        struct file *f;
        int32_t on;
        long r;

        if (c->stage)
                return file_ops(c->file)->ioctl(c, c->file, cmd, arg);
        f = fd_lookup_io(c, c->arg[0]);
        if (!f)
                return -EBADF;
        switch (cmd) {
        case FIOCLEX:
        case FIONCLEX:
                lock(LOCK_FDTABLE, t);
                r = fdtable_prepare(t, (uint32_t)c->arg[0]);
                if (r)
                        return r;
                changes(c);
                fdtable_set_cloexec(t, (uint32_t)c->arg[0], cmd == FIOCLEX);
                return 0;
        case FIONBIO:
        case FIOASYNC:
                if (!copy_in(c, &on, arg, sizeof(on)))
                        return user_fault(c);
                return set_flags(c, f,
                                 on ? f->flags | (cmd == FIONBIO ? O_NONBLOCK : FASYNC)
                                    : f->flags & ~(uint32_t)(cmd == FIONBIO ? O_NONBLOCK : FASYNC));
        case FIGETBSZ:
                on = PAGE_SIZE;
                if (!S_ISREG(f->inode->mode) && !S_ISDIR(f->inode->mode))
                        break;
                return copy_out(c, arg, &on, sizeof(on)) ? 0 : user_fault(c);
        default:
                break;
        }
        if (!file_ops(f)->ioctl)
                return -ENOTTY;
        c->file = f;
        c->stage = 1;
        r = file_ops(f)->ioctl(c, f, cmd, arg);
        return r == -ENOIOCTLCMD ? -ENOTTY : r;
}
