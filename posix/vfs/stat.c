/*
 * stat.c - what an inode looks like to a program: stat and its kin, statx, access. Nothing here changes anything (P13).
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"
#include <asm/stat.h>
#include <linux/mount.h>

#define AT_STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)

static uint64_t blocks_of(const struct inode *i)
{
        return i->data.npages * (PAGE_SIZE / 512);
}

static void fill(struct stat *st, const struct inode *i)
{
        *st = (struct stat){
                .st_dev = i->dev,
                .st_ino = i->ino,
                .st_nlink = i->nlink,
                .st_mode = i->mode,
                .st_uid = i->uid,
                .st_gid = i->gid,
                .st_rdev = i->rdev,
                .st_size = (long)i->size,
                .st_blksize = PAGE_SIZE,
                .st_blocks = (long)blocks_of(i),
                .st_atime = (uint64_t)(i->atime_ns / 1000000000),
                .st_atime_nsec = (uint64_t)(i->atime_ns % 1000000000),
                .st_mtime = (uint64_t)(i->mtime_ns / 1000000000),
                .st_mtime_nsec = (uint64_t)(i->mtime_ns % 1000000000),
                .st_ctime = (uint64_t)(i->ctime_ns / 1000000000),
                .st_ctime_nsec = (uint64_t)(i->ctime_ns % 1000000000),
        };
        if (unlikely(i->nlink == 0 && i->kind != INODE_FS))
                st->st_nlink = 1;
}

static long give(struct call *c, struct inode *i, uint64_t buf)
{
        struct stat st;
        long r = inode_refresh(c, i);

        if (unlikely(r))
                return r;
        fill(&st, i);
        return likely(copy_out(c, buf, &st, sizeof(st))) ? 0 : user_fault(c);
}

static long stat_path(struct call *c, int dirfd, uint64_t path, unsigned flags, uint64_t buf)
{
        struct walk w;
        long r = path_walk(c, dirfd, path, flags, &w);

        return likely(!r) ? give(c, w.inode, buf) : r;
}

long sys_stat(struct call *c)
{
        return stat_path(c, AT_FDCWD, c->arg[0], WALK_FOLLOW, c->arg[1]);
}

long sys_lstat(struct call *c)
{
        return stat_path(c, AT_FDCWD, c->arg[0], 0, c->arg[1]);
}

long sys_fstat(struct call *c)
{
        struct file *f = fd_lookup(c, c->arg[0]);

        return likely(f != NULL) ? give(c, f->inode, c->arg[1]) : -EBADF;
}

static unsigned walk_flags(uint64_t at_flags)
{
        return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

long sys_newfstatat(struct call *c)
{
        if (c->arg[3] & ~(uint64_t)AT_STAT_FLAGS)
                return -EINVAL;
        return stat_path(c, (int)c->arg[0], c->arg[1], walk_flags(c->arg[3]), c->arg[2]);
}

static struct statx_timestamp stamp(int64_t ns)
{
        return (struct statx_timestamp){.tv_sec = ns / 1000000000, .tv_nsec = (uint32_t)(ns % 1000000000)};
}

long sys_statx(struct call *c)
{
        struct statx sx;
        struct inode *i;
        struct mount *m;
        struct walk w;
        long r;

        if (c->arg[3] & STATX__RESERVED)
                return -EINVAL;
        if (c->arg[2] & ~(uint64_t)(AT_STAT_FLAGS | AT_STATX_SYNC_TYPE) ||
            (c->arg[2] & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
                return -EINVAL;
        r = path_walk(c, (int)c->arg[0], c->arg[1], walk_flags(c->arg[2]), &w);
        if (r)
                return r;
        i = w.inode;
        r = inode_refresh(c, i);
        if (r)
                return r;
        sx = (struct statx){
                .stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID,
                .stx_blksize = PAGE_SIZE,
                .stx_nlink = i->nlink || i->kind == INODE_FS ? i->nlink : 1,
                .stx_uid = i->uid,
                .stx_gid = i->gid,
                .stx_mode = (uint16_t)i->mode,
                .stx_ino = i->ino,
                .stx_size = i->size,
                .stx_blocks = blocks_of(i),
                .stx_atime = stamp(i->atime_ns),
                .stx_mtime = stamp(i->mtime_ns),
                .stx_ctime = stamp(i->ctime_ns),
                .stx_btime = stamp(i->btime_ns),
                .stx_rdev_major = RDEV_MAJOR(i->rdev),
                .stx_rdev_minor = RDEV_MINOR(i->rdev),
                .stx_dev_major = RDEV_MAJOR(i->dev),
                .stx_dev_minor = RDEV_MINOR(i->dev),
                .stx_attributes_mask = STATX_ATTR_MOUNT_ROOT | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND,
        };
        m = mount_of(i);
        sx.stx_mnt_id = m ? m->id : 0;
        if (m && m->root == i)
                sx.stx_attributes |= STATX_ATTR_MOUNT_ROOT;
        return copy_out(c, c->arg[4], &sx, sizeof(sx)) ? 0 : user_fault(c);
}

/* ---- access: by the real ids, unless AT_EACCESS ---- */

static long access_at(struct call *c, int dirfd, uint64_t path, uint64_t mode, uint64_t flags)
{
        struct cred as;
        unsigned walk = walk_flags(flags);
        struct mount *m;
        struct walk w;
        long r;

        if (mode & ~7ul || flags & ~(uint64_t)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
                return -EINVAL;
        if (!(flags & AT_EACCESS))
                walk |= WALK_REAL_IDS;
        r = path_walk(c, dirfd, path, walk, &w);
        if (!r)
                r = inode_refresh(c, w.inode);
        if (r || !mode)
                return r;
        if (mode & MAY_EXEC && S_ISREG(w.inode->mode) && (m = mount_of(w.inode)) && m->flags & MS_NOEXEC)
                return -EACCES;
        if (flags & AT_EACCESS)
                return inode_permission(w.inode, (unsigned)mode);
        cred_real(&as);
        return inode_permission_as(&as, w.inode, (unsigned)mode);
}

long sys_access(struct call *c)
{
        return access_at(c, AT_FDCWD, c->arg[0], c->arg[1], 0);
}

long sys_faccessat(struct call *c)
{
        return access_at(c, (int)c->arg[0], c->arg[1], c->arg[2], 0);
}

long sys_faccessat2(struct call *c)
{
        return access_at(c, (int)c->arg[0], c->arg[1], c->arg[2], c->arg[3]);
}
