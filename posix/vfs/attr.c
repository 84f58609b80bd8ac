/*
 * attr.c - attributes of inodes: mode, owner, times, size. Who may, what is cleared with it (set-id bits), and what Linux answers otherwise.
 */
#include "posix/vfs/vfs_internal.h"
#include <linux/fs.h>
#include <linux/inotify.h>
#include <linux/time_types.h>

/* Locks i and opens the change of its attributes. */
static long attr_begin(struct call *c, struct inode *i)
{
        if (unlikely(inode_read_only(i)))
                return -EROFS;
        watches_touch(i);
        lock(LOCK_INODE, i);
        changes(c);
        return 0;
}

static void attr_end(struct inode *i)
{
        inode_touch_times(i, false);
        if (inode_ops(i)->changed)
                inode_ops(i)->changed(i);
        unlock(LOCK_INODE, i);
        if (unlikely(notify_active))
                notify_event(i, IN_ATTRIB, NULL, 0);
}

static bool fixed(const struct inode *i)
{
        return !inode_ops(i)->changeable && !inode_ops(i)->changed && i->kind != INODE_ANON;
}

static long change_mode(struct call *c, struct inode *i, uint64_t mode)
{
        long r;

        if (S_ISLNK(i->mode))
                return -EOPNOTSUPP;
        if (inode_read_only(i))
                return -EROFS;
        if (!inode_owner_or_capable(i))
                return -EPERM;
        if (fixed(i))
                return -EPERM;
        r = attr_begin(c, i);
        if (r)
                return r;
        if (mode & S_ISGID && !cred_in_group(cred_current(), i->gid) && !capable(CAP_FSETID))
                mode &= ~(uint64_t)S_ISGID;
        i->mode = (i->mode & S_IFMT) | ((uint32_t)mode & 07777);
        attr_end(i);
        return 0;
}

static long chmod_at(struct call *c, int dirfd, uint64_t path, uint64_t mode)
{
        struct walk w;
        long r = path_walk(c, dirfd, path, WALK_FOLLOW, &w);

        return r ? r : change_mode(c, w.inode, mode);
}

long sys_chmod(struct call *c)
{
        return chmod_at(c, AT_FDCWD, c->arg[0], c->arg[1]);
}

long sys_fchmodat(struct call *c)
{
        return chmod_at(c, (int)c->arg[0], c->arg[1], c->arg[2]);
}

long sys_fchmod(struct call *c)
{
        struct file *f = fd_lookup_io(c, c->arg[0]);

        return f ? change_mode(c, f->inode, c->arg[1]) : -EBADF;
}

static long change_owner(struct call *c, struct inode *i, uint32_t uid, uint32_t gid)
{
        const struct cred *cr = cred_current();
        bool chown = capable(CAP_CHOWN);
        long r;

        if (inode_read_only(i))
                return -EROFS;
        if (uid != ~0u && !chown && (cr->fsuid != i->uid || uid != i->uid))
                return -EPERM;
        if (gid != ~0u && !chown && (cr->fsuid != i->uid || (gid != i->gid && !cred_in_group(cr, gid))))
                return -EPERM;
        if (fixed(i))
                return -EPERM;
        r = attr_begin(c, i);
        if (r)
                return r;
        if (uid != ~0u)
                i->uid = uid;
        if (gid != ~0u)
                i->gid = gid;
        if (!S_ISDIR(i->mode)) { /* also when root does it, as Linux */
                i->mode &= ~(uint32_t)S_ISUID;
                if (i->mode & S_IXGRP)
                        i->mode &= ~(uint32_t)S_ISGID;
        }
        attr_end(i);
        return 0;
}

static long chown_at(struct call *c, int dirfd, uint64_t path, uint64_t uid, uint64_t gid, unsigned walk)
{
        struct walk w;
        long r = path_walk(c, dirfd, path, walk, &w);

        return r ? r : change_owner(c, w.inode, (uint32_t)uid, (uint32_t)gid);
}

long sys_chown(struct call *c)
{
        return chown_at(c, AT_FDCWD, c->arg[0], c->arg[1], c->arg[2], WALK_FOLLOW);
}

long sys_lchown(struct call *c)
{
        return chown_at(c, AT_FDCWD, c->arg[0], c->arg[1], c->arg[2], 0);
}

long sys_fchownat(struct call *c)
{
        uint64_t flags = c->arg[4];

        if (flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
                return -EINVAL;
        return chown_at(c, (int)c->arg[0], c->arg[1], c->arg[2], c->arg[3],
                        (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0));
}

long sys_fchown(struct call *c)
{
        struct file *f = fd_lookup_io(c, c->arg[0]);

        return f ? change_owner(c, f->inode, (uint32_t)c->arg[1], (uint32_t)c->arg[2]) : -EBADF;
}

/* ---- times ---------------------------------------------------------------------------------------------------------------- */

#define UTIME_NOW  ((1l << 30) - 1) /* <sys/stat.h>'s; the kernel's user headers do not have them */
#define UTIME_OMIT ((1l << 30) - 2)
/* What those become. */
#define TIME_OMIT INT64_MIN
#define TIME_NOW  (INT64_MIN + 1)

static long change_times(struct call *c, struct inode *i, int64_t atime, int64_t mtime)
{
        int64_t now = (int64_t)time_now_coarse_ns();
        long r;

        if (atime == TIME_OMIT && mtime == TIME_OMIT)
                return 0;
        if (atime == TIME_NOW && mtime == TIME_NOW) {
                r = inode_owner_or_capable(i) ? 0 : inode_permission(i, MAY_WRITE);
                if (inode_read_only(i))
                        return -EROFS;
        } else {
                r = inode_owner_or_capable(i) ? 0 : -EPERM;
        }
        if (r)
                return r;
        if (fixed(i))
                return -EPERM;
        r = attr_begin(c, i);
        if (r)
                return r;
        if (atime != TIME_OMIT)
                i->atime_ns = atime == TIME_NOW ? now : atime;
        if (mtime != TIME_OMIT)
                i->mtime_ns = mtime == TIME_NOW ? now : mtime;
        attr_end(i);
        return 0;
}

static int64_t seconds(int64_t s, int64_t ns)
{
        const int64_t limit = INT64_MAX / 1000000000 - 1;

        return (s > limit ? limit : s < -limit ? -limit : s) * 1000000000 + ns;
}

static long utimens_at(struct call *c, int dirfd, uint64_t path, int64_t atime, int64_t mtime, uint64_t flags)
{
        struct walk w;
        long r;

        if (!path) { /* futimens: the descriptor itself */
                struct file *f = fd_lookup_io(c, (uint64_t)(uint32_t)dirfd);

                if (flags)
                        return -EINVAL;
                if (dirfd == AT_FDCWD)
                        return -EFAULT;
                return f ? change_times(c, f->inode, atime, mtime) : -EBADF;
        }
        r = path_walk(c, dirfd, path,
                      (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), &w);
        return r ? r : change_times(c, w.inode, atime, mtime);
}

static long decode_timespec(const struct __kernel_timespec *ts, int64_t *ns)
{
        if (ts->tv_nsec == UTIME_OMIT)
                *ns = TIME_OMIT;
        else if (ts->tv_nsec == UTIME_NOW)
                *ns = TIME_NOW;
        else if (ts->tv_nsec < 0 || ts->tv_nsec > 999999999)
                return -EINVAL;
        else
                *ns = seconds(ts->tv_sec, ts->tv_nsec);
        return 0;
}

long sys_utimensat(struct call *c)
{
        struct __kernel_timespec ts[2];
        int64_t atime = TIME_NOW, mtime = TIME_NOW;

        if (c->arg[3] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
                return -EINVAL;
        if (c->arg[2]) {
                if (!copy_in(c, ts, c->arg[2], sizeof(ts)))
                        return user_fault(c);
                if (ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT)
                        return 0; /* nothing is looked at, not even the path */
                if (decode_timespec(&ts[0], &atime) || decode_timespec(&ts[1], &mtime))
                        return -EINVAL;
        }
        return utimens_at(c, (int)c->arg[0], c->arg[1], atime, mtime, c->arg[3]);
}

static long utimes_at(struct call *c, int dirfd, uint64_t path, uint64_t times)
{
        struct {
                int64_t sec, usec;
        } tv[2];

        if (!times)
                return utimens_at(c, dirfd, path, TIME_NOW, TIME_NOW, 0);
        if (!copy_in(c, tv, times, sizeof(tv)))
                return user_fault(c);
        if (tv[0].usec < 0 || tv[0].usec > 999999 || tv[1].usec < 0 || tv[1].usec > 999999)
                return -EINVAL;
        return utimens_at(c, dirfd, path, seconds(tv[0].sec, tv[0].usec * 1000), seconds(tv[1].sec, tv[1].usec * 1000),
                          0);
}

long sys_utimes(struct call *c)
{
        return utimes_at(c, AT_FDCWD, c->arg[0], c->arg[1]);
}

long sys_futimesat(struct call *c)
{
        return utimes_at(c, (int)c->arg[0], c->arg[1], c->arg[2]);
}

long sys_utime(struct call *c)
{
        int64_t t[2];

        if (!c->arg[1])
                return utimens_at(c, AT_FDCWD, c->arg[0], TIME_NOW, TIME_NOW, 0);
        if (!copy_in(c, t, c->arg[1], sizeof(t)))
                return user_fault(c);
        return utimens_at(c, AT_FDCWD, c->arg[0], seconds(t[0], 0), seconds(t[1], 0), 0);
}

/* ---- size ----------------------------------------------------------------------------------------------------------------- */

long sys_truncate(struct call *c)
{
        struct walk w;
        long r;

        if ((int64_t)c->arg[1] < 0)
                return -EINVAL;
        r = path_walk(c, AT_FDCWD, c->arg[0], WALK_FOLLOW, &w);
        if (r)
                return r;
        if (S_ISDIR(w.inode->mode))
                return -EISDIR;
        if (!S_ISREG(w.inode->mode))
                return -EINVAL;
        r = inode_permission(w.inode, MAY_WRITE);
        if (r)
                return r;
        if (inode_ops(w.inode)->regular_type != FILE_REGULAR)
                return -EACCES;
        if ((int32_t)w.inode->writers < 0)
                return -ETXTBSY;
        return inode_truncate(c, w.inode, c->arg[1]);
}

long sys_ftruncate(struct call *c)
{
        struct file *f;

        if ((int64_t)c->arg[1] < 0)
                return -EINVAL;
        f = fd_lookup_io(c, c->arg[0]);
        if (!f)
                return -EBADF;
        if (!S_ISREG(f->inode->mode) || !(f->mode & FMODE_WRITE) || f->ops_type != FILE_REGULAR)
                return -EINVAL;
        return inode_truncate(c, f->inode, c->arg[1]);
}
