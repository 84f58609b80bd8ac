/*
 * open.c - open, openat, openat2, creat, close and the rest of a descriptor's life in the table.
 * Order as on Linux: a number is reserved (EMFILE), the path walked, permissions checked, then file, name and number appear in one change. FIFOs and terminals are
 * handed to their types when all checks are done (posix/include/pipe.h).
 */
#include "posix/include/fuse.h"
#include "posix/include/pipe.h"
#include "posix/vfs/vfs_internal.h"
#include <linux/close_range.h>
#include <linux/inotify.h>
#include <linux/mount.h>
#include <linux/openat2.h>

#define OPEN_FLAGS                                                                                                     \
        (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | FASYNC | O_DIRECT |      \
         O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | __O_TMPFILE)
#define OPEN_ONCE (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)

struct open_args {
        int dirfd;
        uint64_t path;
        uint32_t flags, mode;
        unsigned walk;
};

static uint32_t file_mode_of(uint32_t flags)
{
        switch (flags & O_ACCMODE) {
        case O_RDONLY:
                return FMODE_READ;
        case O_WRONLY:
                return FMODE_WRITE;
        case O_RDWR:
                return FMODE_READ | FMODE_WRITE;
        default:
                return 0; /* ioctl only */
        }
}

static unsigned may_of(uint32_t flags)
{
        static const unsigned may[4] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};

        return may[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

/* Owner, group and set-gid of what is made in dir. */
void inode_creation(struct inode *dir, uint32_t *mode, uint32_t *gid)
{
        *gid = cred_current()->fsgid;
        if (!(dir->mode & S_ISGID))
                return;
        *gid = dir->gid;
        if (S_ISDIR(*mode))
                *mode |= S_ISGID;
        else if ((*mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !cred_in_group(cred_current(), dir->gid) &&
                 !capable(CAP_FSETID))
                *mode &= ~(uint32_t)S_ISGID;
}

static long finish(struct call *c, int fd, struct file *f, uint32_t flags)
{
        f->flags |= O_LARGEFILE;
        fd_install(c, fd, f, flags & O_CLOEXEC);
        return fd;
}

/* The name is not there: inode, name, file and number in one change. LOCK_INODE of dir is held. */
static long create(struct call *c, int fd, struct inode *dir, struct walk *w, struct dir_place *p,
                   const struct open_args *a)
{
        uint32_t mode = S_IFREG | (a->mode & 07777 & ~fs_current()->umask), gid;
        struct inode *i;
        struct file *f;
        long r;

        r = inode_permission(dir, MAY_WRITE | MAY_EXEC);
        if (r)
                return r;
        r = dir_room(dir, p, w->last_len);
        if (r)
                return r;
        if (!space_room(SMALL_CHANGE))
                return -ENOSPC;
        watches_touch_self(dir);
        changes(c);
        inode_creation(dir, &mode, &gid);
        i = inode_new(dir->dev, INODE_FS, mode, cred_current()->fsuid, gid);
        inode_link(i);
        dir_insert(dir, p, w->last, w->last_len, i);
        inode_touch_times(dir, true);
        f = file_new(FILE_REGULAR, file_mode_of(a->flags) | FMODE_PREAD, a->flags & ~OPEN_ONCE, i, NULL);
        if (f->mode & FMODE_WRITE)
                i->writers = 1;
        object_put(i);
        if (unlikely(dir->watches)) {
                notify_name(dir, IN_CREATE, w->last, w->last_len, 0);
                notify_name(dir, IN_OPEN, w->last, w->last_len, 0);
        }
        return finish(c, fd, f, a->flags);
}

/* O_TMPFILE: a file without a name in dir's file system. */
static long create_unnamed(struct call *c, int fd, struct inode *dir, const struct open_args *a)
{
        uint32_t mode = S_IFREG | (a->mode & 07777 & ~fs_current()->umask), gid;
        struct inode *i;
        struct file *f;
        long r;

        if (!inode_ops(dir)->changeable)
                return -EOPNOTSUPP;
        r = inode_permission(dir, MAY_WRITE | MAY_EXEC);
        if (r)
                return r;
        if (!space_room(SMALL_CHANGE))
                return -ENOSPC;
        changes(c);
        inode_creation(dir, &mode, &gid);
        i = inode_new(dir->dev, INODE_FS, mode, cred_current()->fsuid, gid);
        if (!(a->flags & O_EXCL))
                i->iflags |= INODE_LINKABLE;
        f = file_new(FILE_REGULAR, file_mode_of(a->flags) | FMODE_PREAD, a->flags & ~OPEN_ONCE, i, NULL);
        if (f->mode & FMODE_WRITE)
                i->writers = 1;
        object_put(i);
        return finish(c, fd, f, a->flags);
}

/* What kind of open file a node leads to; FILE_NONE with *error when to none. */
static enum file_type type_of(struct inode *i, uint32_t flags, long *error)
{
        enum file_type type;
        struct mount *m;

        *error = -ENXIO;
        switch (i->mode & S_IFMT) {
        case S_IFREG:
                return inode_ops(i)->regular_type;
        case S_IFDIR:
                return inode_ops(i)->directory_type;
        case S_IFLNK:
                *error = -ELOOP;
                return FILE_NONE;
        case S_IFCHR:
        case S_IFBLK:
                m = fs_state()->any_flags & MS_NODEV ? mount_of(i) : NULL;
                if (m && m->flags & MS_NODEV) {
                        *error = -EACCES;
                        return FILE_NONE;
                }
                type = device_type(i->mode, i->rdev);
                if (type == FILE_BLOCK)
                        *error = block_open_check(i->rdev, flags);
                return type == FILE_BLOCK && *error ? FILE_NONE : type;
        case 0:
                return (enum file_type)i->proc_key[0]; /* an anonymous inode through /proc/self/fd */
        default:
                return FILE_NONE;
        }
}

static long open_existing(struct call *c, int fd, struct walk *w, const struct open_args *a)
{
        struct inode *i = w->inode;
        uint32_t flags = a->flags, mode = file_mode_of(flags);
        bool truncate = false;
        void *priv = NULL;
        enum file_type type;
        struct file *f;
        long r, error;

        if (unlikely(flags & O_PATH)) {
                if (!space_room(SMALL_CHANGE))
                        return -ENOMEM;
                changes(c);
                f = file_new(FILE_PATH, 0, flags & ~O_CLOEXEC, i, NULL);
                fd_install(c, fd, f, flags & O_CLOEXEC);
                return fd;
        }
        if (S_ISLNK(i->mode))
                return -ELOOP;
        if (S_ISDIR(i->mode)) {
                if (flags & O_CREAT || may_of(flags) & MAY_WRITE)
                        return -EISDIR;
        } else if (flags & O_DIRECTORY) {
                return -ENOTDIR;
        }
        if (unlikely(i->kind == INODE_FUSE)) {
                r = inode_refresh(c, i);
                if (r)
                        return r;
        }
        r = inode_permission(i, may_of(flags));
        if (unlikely(r))
                return r;
        if (flags & O_NOATIME && !inode_owner_or_capable(i))
                return -EPERM;
        if (unlikely((i->kind == INODE_SNAP || i->kind == INODE_FUSE) && !S_ISREG(i->mode) && !S_ISDIR(i->mode)))
                return -ENXIO; /* the other end is not of this time, or of this machine */
        if (unlikely(S_ISFIFO(i->mode)))
                return fifo_open(c, i, flags);
        if (unlikely(S_ISCHR(i->mode) && tty_device(i->rdev)))
                return tty_open(c, i, flags);
        type = type_of(i, flags, &error);
        if (unlikely(type == FILE_NONE || !file_ops_table[type]))
                return error ? error : -ENXIO;
        if (likely(S_ISREG(i->mode))) {
                if (mode & FMODE_WRITE && (int32_t)i->writers < 0)
                        return -ETXTBSY;
                truncate = flags & O_TRUNC && type == FILE_REGULAR;
        }
        if (unlikely(i->kind == INODE_FUSE)) {
                r = fuse_open(c, i, flags, &priv);
                if (r)
                        return r;
        }
        if (unlikely(notify_active))
                watches_touch(i);
        if (unlikely(truncate)) {
                lock(LOCK_INODE, i);
                r = inode_wait_owner(c, i);
                if (r)
                        return r;
                if ((int32_t)i->writers < 0)
                        return -ETXTBSY;
                r = inode_truncate_room(i, 0);
                if (r)
                        return r;
        }
        if (!space_room(SMALL_CHANGE))
                return -ENOMEM;
        changes(c);
        if (truncate)
                inode_truncate_now(i, 0);
        f = file_new(type,
                     mode | (S_ISREG(i->mode) || S_ISDIR(i->mode) || type == FILE_BLOCK ? FMODE_PREAD
                                                                                        : device_seekable(type)),
                     flags & ~OPEN_ONCE, i, priv);
        if (mode & FMODE_WRITE && S_ISREG(i->mode))
                __atomic_fetch_add(&i->writers, 1, __ATOMIC_RELAXED);
        if (unlikely(notify_active))
                notify_event(i, IN_OPEN, NULL, 0);
        return finish(c, fd, f, flags);
}

static long open_at(struct call *c, struct open_args *a)
{
        uint32_t flags = a->flags;
        unsigned walk = a->walk;
        struct dir_place p;
        struct walk w;
        int fd;
        long r;

        if (flags & O_PATH) {
                flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
        } else if (flags & __O_TMPFILE) {
                if ((flags & O_TMPFILE) != O_TMPFILE || flags & O_CREAT || !(file_mode_of(flags) & FMODE_WRITE))
                        return -EINVAL;
        } else if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY)) {
                return -EINVAL;
        }
        a->flags = flags;
        fd = fd_reserve(c, 0);
        if (unlikely(fd < 0))
                return fd;
        if (!(flags & O_NOFOLLOW))
                walk |= WALK_FOLLOW;
        if (flags & O_DIRECTORY)
                walk |= WALK_DIRECTORY;
        if (likely(!(flags & O_CREAT))) {
                r = path_walk(c, a->dirfd, a->path, walk, &w);
                if (unlikely(r))
                        return r;
                if (unlikely(flags & __O_TMPFILE))
                        return create_unnamed(c, fd, w.inode, a);
                return open_existing(c, fd, &w, a);
        }
        if (flags & O_EXCL)
                walk &= ~WALK_FOLLOW;
        r = path_walk(c, a->dirfd, a->path, walk | WALK_PARENT, &w);
        if (unlikely(r))
                return r;
        if (w.inode) {
                if (flags & O_EXCL)
                        return -EEXIST;
                if (w.trailing_slash)
                        return -EISDIR;
                return open_existing(c, fd, &w, a);
        }
        if (w.trailing_slash)
                return -EISDIR;
        if (!inode_ops(w.dir)->changeable)
                return w.dir->kind == INODE_SNAP || w.dir->kind == INODE_FUSE ? -EROFS
                       : w.dir->kind == INODE_PROC                            ? -ENOENT
                                                   : -EACCES; /* as procfs and sysfs answer */
        lock(LOCK_INODE, w.dir);
        lock(LOCK_CHILD, w.dir);
        if (!w.dir->nlink)
                return -ENOENT;
        dir_find(w.dir, w.last, w.last_len, &p);
        if (unlikely(p.found)) { /* made by another CPU since the walk */
                if (flags & O_EXCL)
                        return -EEXIST;
                section_step();
                return open_at(c, a);
        }
        return create(c, fd, w.dir, &w, &p, a);
}

long sys_open(struct call *c)
{
        struct open_args a = {AT_FDCWD, c->arg[0], (uint32_t)c->arg[1] & OPEN_FLAGS, (uint32_t)c->arg[2], 0};

        return unlikely(c->stage >= STAGE_SPECIAL_OPEN) ? special_open_more(c) : open_at(c, &a);
}

long sys_creat(struct call *c)
{
        struct open_args a = {AT_FDCWD, c->arg[0], O_CREAT | O_WRONLY | O_TRUNC, (uint32_t)c->arg[1], 0};

        return unlikely(c->stage >= STAGE_SPECIAL_OPEN) ? special_open_more(c) : open_at(c, &a);
}

long sys_openat(struct call *c)
{
        struct open_args a = {(int)c->arg[0], c->arg[1], (uint32_t)c->arg[2] & OPEN_FLAGS, (uint32_t)c->arg[3], 0};

        return unlikely(c->stage >= STAGE_SPECIAL_OPEN) ? special_open_more(c) : open_at(c, &a);
}

long sys_openat2(struct call *c)
{
        struct open_how how = {0};
        struct open_args a;
        long r;

        if (c->stage >= STAGE_SPECIAL_OPEN)
                return special_open_more(c);
        if (c->arg[3] < sizeof(how))
                return -EINVAL;
        if (c->arg[3] > PAGE_SIZE)
                return -E2BIG;
        r = copy_struct_in(c, &how, sizeof(how), c->arg[2], c->arg[3]);
        if (r)
                return r;
        if (how.flags & ~(uint64_t)OPEN_FLAGS || how.resolve & ~0x3ful)
                return -EINVAL;
        if (how.flags & (O_CREAT | __O_TMPFILE) ? how.mode & ~07777ul : how.mode)
                return -EINVAL;
        if ((how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) == (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
                return -EINVAL;
        if (how.flags & O_PATH && how.flags & ~(uint64_t)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC))
                return -EINVAL;
        if (how.resolve & RESOLVE_CACHED && how.flags & (O_TRUNC | O_CREAT | __O_TMPFILE))
                return -EAGAIN;
        a = (struct open_args){(int)c->arg[0], c->arg[1], (uint32_t)how.flags, (uint32_t)how.mode, 0};
        if (how.resolve & RESOLVE_NO_XDEV)
                a.walk |= WALK_NO_XDEV;
        if (how.resolve & RESOLVE_NO_MAGICLINKS)
                a.walk |= WALK_NO_MAGIC;
        if (how.resolve & RESOLVE_NO_SYMLINKS)
                a.walk |= WALK_NO_LINKS;
        if (how.resolve & RESOLVE_BENEATH)
                a.walk |= WALK_BENEATH;
        if (how.resolve & RESOLVE_IN_ROOT)
                a.walk |= WALK_IN_ROOT;
        return open_at(c, &a);
}

/* ---- the table ------------------------------------------------------------------------------------------------------------ */

long sys_close(struct call *c)
{
        struct fdtable *t = c->thread->proc->files;
        uint64_t fd = (uint32_t)c->arg[0];
        struct file *f;
        long r;

        lock(LOCK_FDTABLE, t);
        f = fdtable_get(t, fd);
        if (unlikely(!f))
                return -EBADF;
        r = fdtable_prepare(t, fd);
        if (unlikely(r))
                return r;
        file_touch(f);
        changes(c);
        file_close(fdtable_take(t, fd), t);
        return 0;
}

static long dup_to(struct call *c, uint64_t from, uint64_t to, uint32_t flags)
{
        struct fdtable *t = c->thread->proc->files;
        struct file *f, *old;
        long r;

        if (to >= MIN(c->thread->proc->limits[RLIMIT_NOFILE].rlim_cur, (uint64_t)FD_MAX))
                return -EBADF;
        lock(LOCK_FDTABLE, t);
        f = fdtable_get(t, from);
        if (!f)
                return -EBADF;
        old = fdtable_get(t, to);
        r = fdtable_prepare(t, to);
        if (r)
                return r;
        (void)READ_ONCE(f->obj.refs);
        if (old)
                file_touch(old);
        changes(c);
        object_get(f);
        if (old)
                file_close(fdtable_take(t, to), t);
        fdtable_set(t, to, f, flags & O_CLOEXEC);
        return (long)to;
}

long sys_dup2(struct call *c)
{
        uint64_t from = (uint32_t)c->arg[0], to = (uint32_t)c->arg[1];

        if (from == to)
                return fd_lookup(c, from) ? (long)to : -EBADF;
        return dup_to(c, from, to, 0);
}

long sys_dup3(struct call *c)
{
        uint64_t from = (uint32_t)c->arg[0], to = (uint32_t)c->arg[1];

        if (from == to || c->arg[2] & ~(uint64_t)O_CLOEXEC)
                return -EINVAL;
        return dup_to(c, from, to, (uint32_t)c->arg[2]);
}

long fd_dup(struct call *c, struct file *f, uint64_t min, bool cloexec)
{
        int fd;

        if (min >= MIN(c->thread->proc->limits[RLIMIT_NOFILE].rlim_cur, (uint64_t)FD_MAX))
                return -EINVAL;
        fd = fd_reserve(c, (int)min);
        if (fd < 0)
                return fd;
        object_look(f);
        changes(c);
        object_get(f);
        fd_install(c, fd, f, cloexec);
        return fd;
}

long sys_dup(struct call *c)
{
        struct file *f = fd_lookup(c, c->arg[0]);

        return f ? fd_dup(c, f, 0, false) : -EBADF;
}

/* A chunk's worth of numbers a section; the cursor is the next number. */
long sys_close_range(struct call *c)
{
        struct fdtable *t = c->thread->proc->files;
        uint64_t first = (uint32_t)c->arg[0], last = (uint32_t)c->arg[1], flags = c->arg[2], at, found[FD_CHUNK];
        unsigned n = 0;

        if (flags & ~(uint64_t)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
                return -EINVAL;
        if (c->stage == 0) {
                c->pos = first;
                if (flags & CLOSE_RANGE_UNSHARE) {
                        long r = fdtable_unshare(c);

                        if (r)
                                return r;
                        c->stage = 1;
                        return CALL_AGAIN;
                }
                c->stage = 1;
        }
        lock(LOCK_FDTABLE, t);
        for (at = c->pos; (at = fdtable_next(t, at)) <= last; at++) {
                if (n && at / FD_CHUNK != found[0] / FD_CHUNK)
                        break;
                file_touch(fdtable_get(t, at));
                found[n++] = at;
        }
        if (n == 0)
                return 0;
        if (fdtable_prepare(t, found[0]))
                return -ENOMEM;
        changes(c);
        for (unsigned i = 0; i < n; i++) {
                if (flags & CLOSE_RANGE_CLOEXEC)
                        fdtable_set_cloexec(t, found[i], true);
                else
                        file_close(fdtable_take(t, found[i]), t);
        }
        c->pos = found[n - 1] + 1;
        return at <= last ? CALL_AGAIN : 0;
}

/* unshare(CLONE_FILES), close_range(CLOSE_RANGE_UNSHARE): a table of one's own. */
long fdtable_unshare(struct call *c)
{
        struct process *p = c->thread->proc;
        struct fdtable *t = p->files, *own;

        if (t->obj.refs == 1)
                return 0;
        lock(LOCK_FDTABLE, t);
        if (!space_room(fdtable_pages(t) + 2))
                return -ENOMEM;
        changes(c);
        own = fdtable_fork(t);
        unlock(LOCK_FDTABLE, t);
        p->files = own;
        object_put(t);
        return 0;
}
