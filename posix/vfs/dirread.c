/*
 * dirread.c - reading directories. Positions are cookies: 0 the start, 1 behind ".", 2 behind "..", then the entry's own (posix/fs/dir.c). Records are made in this
 * CPU's scratch, copied out, and only then the position moves.
 */
#include "posix/include/fuse.h"
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"
#include <linux/fs.h>
#include <linux/fuse.h>

struct linux_dirent64 {
        uint64_t d_ino;
        int64_t d_off;
        uint16_t d_reclen;
        uint8_t d_type;
        char d_name[];
};
struct linux_dirent {
        uint64_t d_ino;
        uint64_t d_off;
        uint16_t d_reclen;
        char d_name[];
}; /* type in the last byte */

#define RECORD(type, len) ((unsigned)((offsetof(type, d_name) + (len) + 1 + 7) & ~7ul))

struct emit {
        char *buf;
        size_t room, used;
        bool old;
};

/* False: no room. */
static bool emit(struct emit *e, uint64_t ino, uint64_t cookie, uint8_t type, const char *name, unsigned len)
{
        unsigned size = e->old ? (unsigned)((offsetof(struct linux_dirent, d_name) + len + 2 + 7) & ~7ul)
                               : RECORD(struct linux_dirent64, len);
        char *at = e->buf + e->used, *n;

        if (size > e->room - e->used)
                return false;
        if (e->old) {
                struct linux_dirent *d = (struct linux_dirent *)at;

                d->d_ino = ino;
                d->d_off = cookie;
                d->d_reclen = (uint16_t)size;
                n = d->d_name;
        } else {
                struct linux_dirent64 *d = (struct linux_dirent64 *)at;

                d->d_ino = ino;
                d->d_off = (int64_t)cookie;
                d->d_reclen = (uint16_t)size;
                d->d_type = type;
                n = d->d_name;
        }
        memcpy(n, name, len);
        memset(n + len, 0, size - (size_t)(n - at) - len);
        if (e->old)
                at[size - 1] = (char)type;
        e->used += size;
        return true;
}

static struct inode *dotdot(struct inode *dir)
{
        struct inode *up = inode_ops(dir)->parent ? inode_ops(dir)->parent(dir)
                           : dir->mount_point     ? dir->mount_point->parent
                                                  : dir->parent;

        return up ? up : dir;
}

static long directory_read(struct call *c, struct file *f, size_t len, bool old)
{
        struct inode *dir = f->inode;
        struct vfs_scratch *s = vfs_scratch();
        struct emit e;
        struct dir_entry d;
        uint64_t pos;
        bool full = false;

        if (!s)
                return -ENOMEM;
        lock(LOCK_FILE, f);
        pos = f->pos;
        if (dir->kind == INODE_FS)
                lock(LOCK_INODE, dir);
        if (dir->kind == INODE_FS && !dir->nlink)
                return -ENOENT;
        e = (struct emit){.buf = s->out, .room = MIN(len, (size_t)SCRATCH_OUT), .old = old};
        if (pos == 0 && !(full = !emit(&e, dir->ino, 1, 4, ".", 1)))
                pos = 1;
        if (pos == 1 && !(full = !emit(&e, dotdot(dir)->ino, 2, 4, "..", 2)))
                pos = 2;
        while (!full && (dir->kind == INODE_FS ? dir_next(dir, pos, &d) : inode_ops(dir)->next(dir, pos, &d))) {
                full = !emit(&e, d.ino, d.cookie, d.type, d.name, d.len);
                if (!full)
                        pos = d.cookie;
        }
        if (e.used == 0)
                return full ? -EINVAL : 0;
        if (!copy_out(c, c->arg[1], e.buf, e.used))
                return user_fault(c);
        changes(c);
        f->pos = pos;
        inode_accessed(f);
        return (long)e.used;
}

/* An entry of a server's answer, of which n bytes are left: its size; 0: the rest is none; -EIO. */
static long fuse_entry(const char *data, uint32_t n, struct fuse_dirent *d)
{
        size_t size;

        if (n < FUSE_NAME_OFFSET)
                return 0;
        memcpy(d, data, FUSE_NAME_OFFSET);
        if (d->namelen == 0 || d->namelen > NAME_MAX_LEN)
                return -EIO;
        size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d->namelen);
        if (size > n)
                return 0;
        data += FUSE_NAME_OFFSET;
        return memchr(data, '/', d->namelen) || memchr(data, 0, d->namelen) ? -EIO : (long)size;
}

/*
 * A directory that a program serves: records of one of its answers; "." and ".." are among them if it has them. What did not fit is asked for again. Positions are the server's.
 */
static long fuse_directory_read(struct call *c, struct file *f, size_t len, bool old)
{
        struct vfs_scratch *s = vfs_scratch();
        struct fuse_request *r;
        struct fuse_dirent d;
        const char *data;
        bool full = false;
        struct emit e;
        uint64_t pos;
        uint32_t n;
        long size;

        if (!s)
                return -ENOMEM;
        lock(LOCK_FILE, f);
        pos = f->pos;
        size = fuse_readdir(c, f, pos, &r, &data, &n);
        if (size)
                return size;
        e = (struct emit){.buf = s->out, .room = MIN(len, (size_t)SCRATCH_OUT), .old = old};
        while (!full && (size = fuse_entry(data, n, &d)) > 0) {
                full = !emit(&e, d.ino, d.off, (uint8_t)(d.type & 15), data + FUSE_NAME_OFFSET, d.namelen);
                if (!full)
                        pos = d.off;
                data += size;
                n -= (uint32_t)size;
        }
        if (!e.used)
                return full ? -EINVAL : size;
        if (!copy_out(c, c->arg[1], e.buf, e.used))
                return user_fault(c);
        changes(c);
        f->pos = pos;
        fuse_used(r);
        return (long)e.used;
}

static long getdents(struct call *c, bool old)
{
        struct file *f;

        if (c->stage == 0) {
                f = fd_lookup_io(c, c->arg[0]);
                if (!f || !(f->mode & FMODE_READ))
                        return -EBADF;
                if (!S_ISDIR(f->inode->mode))
                        return -ENOTDIR;
                c->file = f;
                c->stage = 1;
        }
        f = c->file;
        if (unlikely(f->ops_type == FILE_FUSE_DIR))
                return fuse_directory_read(c, f, (uint32_t)c->arg[2], old);
        return directory_read(c, f, (uint32_t)c->arg[2], old);
}

long sys_getdents64(struct call *c)
{
        return getdents(c, false);
}

long sys_getdents(struct call *c)
{
        return getdents(c, true);
}

static long directory_seek(struct call *c, struct file *f, int64_t off, int whence)
{
        int64_t pos;

        lock(LOCK_FILE, f);
        if (whence == SEEK_SET)
                pos = off;
        else if (whence == SEEK_CUR)
                pos = (int64_t)f->pos + off;
        else
                return -EINVAL;
        if (pos < 0)
                return -EINVAL;
        if ((uint64_t)pos != f->pos) {
                changes(c);
                f->pos = (uint64_t)pos;
        }
        return pos;
}

static long directory_io(struct call *c, struct file *f)
{
        (void)c;
        (void)f;
        return -EISDIR;
}

const struct file_ops directory_file_ops = {
        .name = "directory",
        .read = directory_io,
        .seek = directory_seek,
        .fsync = space_fsync,
};
const struct file_ops fuse_dir_file_ops = {
        .name = "fuse directory",
        .read = directory_io,
        .seek = directory_seek,
        .fsync = space_fsync,
};
