/*
 * sync.c - durability, advice and figures of file systems.
 * Everything is in the space, so there is one way to make anything durable: a commit that holds it. The call notes the epoch in which it runs (c->pos) and waits
 * for that one; calls that wait together share it, and after a recovery to it the wait is over at once. Of a file or directory of which it is known when it last changed, that epoch is what
 * counts: often it is durable by now (a directory right after the file that was made in it). Without a store there is nothing more durable than the space itself, and the wait is over at
 * once, too. The file's type is asked for what is not in the space: block devices.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/include/rng.h"
#include "kernel/lib/string.h"
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <asm/statfs.h>

#define PHANTOM_SUPER_MAGIC 0x50484e54 /* "PHNT" */

/* The epoch that holds the file's last change, if that is known; when commits have stopped, who asks is told. */
static uint64_t epoch_to_wait_for(const struct file *f)
{
        const struct inode *i = f->inode;
        uint64_t now = snapshot_epoch();
        bool known = file_ops(f)->fsync == space_fsync && inode_change_known(i) && i->changed_epoch <= now;

        return known && !snapshot_error() ? i->changed_epoch : now;
}

static long sync_file(struct call *c, bool data_only)
{
        if (c->stage == 0) {
                struct file *f = fd_lookup_io(c, c->arg[0]);

                if (!f)
                        return -EBADF;
                if (!file_ops(f)->fsync)
                        return -EINVAL;
                c->file = f;
                c->pos = epoch_to_wait_for(f);
                c->stage = 1;
        }
        return file_ops(c->file)->fsync(c, c->file, data_only);
}

/* Files and directories of the space: data, names and attributes are durable together. */
long space_fsync(struct call *c, struct file *f, bool data_only)
{
        (void)f;
        (void)data_only;
        return call_wait_commit(c, c->pos);
}

long sys_fsync(struct call *c)
{
        return sync_file(c, false);
}

long sys_fdatasync(struct call *c)
{
        return sync_file(c, true);
}

/* All that has been done so far. */
static long sync_all(struct call *c)
{
        if (c->stage == 0) {
                c->pos = snapshot_epoch();
                c->stage = 1;
        }
        return call_wait_commit(c, c->pos);
}

long sys_sync(struct call *c)
{
        long r = sync_all(c);

        return r <= CALL_WAIT ? r : 0; /* sync(2) does not say that it failed */
}

long sys_syncfs(struct call *c)
{
        return c->stage || fd_lookup_io(c, c->arg[0]) ? sync_all(c) : -EBADF;
}

/* SYNC_FILE_RANGE_WRITE begins, the others wait. Linux writes the range and promises nothing of what leads to it; a commit has both. */
long sys_sync_file_range(struct call *c)
{
        struct file *f;

        if (c->stage)
                return sync_all(c);
        f = fd_lookup_io(c, c->arg[0]);
        if (!f)
                return -EBADF;
        if (c->arg[3] & ~7ul || (int64_t)c->arg[1] < 0 || (int64_t)c->arg[2] < 0 ||
            (int64_t)(c->arg[1] + c->arg[2]) < 0)
                return -EINVAL;
        if (!S_ISREG(f->inode->mode) && !S_ISBLK(f->inode->mode) && !S_ISDIR(f->inode->mode) &&
            !S_ISLNK(f->inode->mode))
                return -ESPIPE;
        if (c->arg[3] & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER))
                return sync_all(c);
        if (c->arg[3] & SYNC_FILE_RANGE_WRITE)
                snapshot_request();
        return 0;
}

long sys_fadvise64(struct call *c)
{
        struct file *f = fd_lookup_io(c, c->arg[0]);

        if (!f)
                return -EBADF;
        if (S_ISFIFO(f->inode->mode))
                return -ESPIPE;
        return c->arg[3] > 5 || (int64_t)c->arg[2] < 0 ? -EINVAL : 0;
}

long sys_readahead(struct call *c)
{
        struct file *f = fd_lookup_io(c, c->arg[0]);

        if (!f || !(f->mode & FMODE_READ))
                return -EBADF;
        return S_ISREG(f->inode->mode) || S_ISBLK(f->inode->mode) ? 0 : -EINVAL;
}

void statfs_fill(struct inode *i, struct statfs *s)
{
        struct mount *m = mount_of(i);
        struct space_stats stats;

        *s = (struct statfs){
                .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE, .f_namelen = NAME_MAX_LEN, .f_flags = 0x20 /* ST_VALID */};
        s->f_fsid.val[0] = (int)i->dev;
        if (!m) {
                s->f_type = 0x09041934; /* ANON_INODE_FS_MAGIC */
                return;
        }
        s->f_flags |= (long)(m->flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME));
        switch (m->type) {
        case FS_PROC:
                s->f_type = PROC_SUPER_MAGIC;
                return;
        case FS_SYSFS:
                s->f_type = SYSFS_MAGIC;
                return;
        case FS_DEVPTS:
                s->f_type = DEVPTS_SUPER_MAGIC;
                return;
        case FS_FUSE:
                s->f_type = FUSE_SUPER_MAGIC;
                return;
        case FS_SNAPSHOT:
        case FS_ROOT:
                s->f_type = PHANTOM_SUPER_MAGIC;
                break;
        default:
                s->f_type = TMPFS_MAGIC;
                break;
        }
        space_stats(&stats);
        s->f_bfree = (long)space_growth();
        s->f_bavail = s->f_bfree;
        s->f_blocks = (long)(stats.pages[PAGE_FILE] + stats.pages[PAGE_DIR]) + s->f_bfree;
        s->f_files = (long)fs_state()->next_ino + s->f_bfree * 8;
        s->f_ffree = s->f_bfree * 8;
}

static long statfs_give(struct call *c, struct inode *i, uint64_t buf)
{
        struct statfs s;

        statfs_fill(i, &s);
        return copy_out(c, buf, &s, sizeof(s)) ? 0 : user_fault(c);
}

long sys_statfs(struct call *c)
{
        struct walk w;
        long r = path_walk(c, AT_FDCWD, c->arg[0], WALK_FOLLOW, &w);

        return r ? r : statfs_give(c, w.inode, c->arg[1]);
}

long sys_fstatfs(struct call *c)
{
        struct file *f = fd_lookup(c, c->arg[0]);

        return f ? statfs_give(c, f->inode, c->arg[1]) : -EBADF;
}

long sys_ustat(struct call *c)
{
        struct {
                int32_t free;
                uint64_t inodes;
                char name[6], pack[6];
        } u = {0};
        struct inode probe = {.dev = (uint32_t)c->arg[0]};
        struct statfs s;

        if (!mount_of(&probe))
                return -EINVAL;
        statfs_fill(&probe, &s);
        u.free = (int32_t)s.f_bfree;
        u.inodes = (uint64_t)s.f_ffree;
        return copy_out(c, c->arg[1], &u, sizeof(u)) ? 0 : user_fault(c);
}

/* Handles would be names that outlive renames; nothing here needs them. */
long sys_name_to_handle_at(struct call *c)
{
        (void)c;
        return -EOPNOTSUPP;
}

long sys_open_by_handle_at(struct call *c)
{
        (void)c;
        return capable(CAP_DAC_READ_SEARCH) ? -EOPNOTSUPP : -EPERM;
}

/* memfd: a file without a name that may be sealed. */
long sys_memfd_create(struct call *c)
{
        uint64_t flags = c->arg[1];
        char name[250];
        struct inode *i;
        struct file *f;
        long len;
        int fd;

        if (flags & ~7ul)
                return -EINVAL;
        if (flags & 4 /* MFD_HUGETLB */)
                return -ENODEV;
        len = copy_string(c, name, c->arg[0], sizeof(name));
        if (len == -EFAULT)
                return user_fault(c);
        if (len < 0)
                return -EINVAL;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        if (!space_room(SMALL_CHANGE))
                return -ENOMEM;
        changes(c);
        i = inode_new(ANON_DEV, INODE_SHM, S_IFREG | 0777, cred_current()->fsuid, cred_current()->fsgid);
        i->seals = flags & 2 /* MFD_ALLOW_SEALING */ ? 0 : F_SEAL_SEAL;
        f = file_new(FILE_REGULAR, FMODE_READ | FMODE_WRITE | FMODE_PREAD, O_RDWR | O_LARGEFILE, i, NULL);
        i->writers = 1;
        f->path = space_alloc_bytes((size_t)len + 32);
        memcpy(f->path, "/memfd:", 7);
        memcpy(f->path + 7, name, (size_t)len);
        memcpy(f->path + 7 + len, " (deleted)", 11);
        object_put(i);
        fd_install(c, fd, f, flags & 1 /* MFD_CLOEXEC */);
        return fd;
}
