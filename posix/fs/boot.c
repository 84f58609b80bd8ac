/*
 * boot.c - every boot: what of the file tree is volatile, and the operations of inodes by kind.
 */
#include "posix/fs/fs_internal.h"

extern const struct inode_ops proc_inode_ops, devpts_inode_ops, snap_inode_ops, fuse_inode_ops;

static const struct inode_ops fs_inode_ops = {
        .directory_type = FILE_DIRECTORY, .regular_type = FILE_REGULAR, .changeable = true};
static const struct inode_ops anon_inode_ops = {.regular_type = FILE_REGULAR};

const struct inode_ops *const inode_ops_table[INODE_KINDS] = {
        [0] = &anon_inode_ops,         [INODE_FS] = &fs_inode_ops,         [INODE_PROC] = &proc_inode_ops,
        [INODE_SYS] = &proc_inode_ops, [INODE_DEVPTS] = &devpts_inode_ops, [INODE_ANON] = &anon_inode_ops,
        [INODE_SHM] = &anon_inode_ops, [INODE_SNAP] = &snap_inode_ops,     [INODE_FUSE] = &fuse_inode_ops,
};

static void walk_one(void *inode, void *arg)
{
        struct inode *i = inode;

        if (S_ISDIR(i->mode))
                dir_walk_pages(i, arg);
}

/* P12: blocks of directories. File pages are posix/mm's to report. */
static void walk_refs(const struct space_visitor *v)
{
        space_each(TYPE_INODE, walk_one, (void *)(uintptr_t)v);
}

void vfs_boot(void)
{
        space_ref_walker_register(walk_refs, 1u << PAGE_DIR);
        inotify_boot();
        proc_system_boot();
        sys_boot();
        block_boot();
        kmsg_boot();
        snap_boot();
        if (!fs_make_path(fs_state()->dev, "fuse", S_IFCHR | 0666, RDEV(10, 229))) /* not in a tree of older days */
                klog(LOG_ERR, "no room for /dev/fuse");
}
