/*
 * boot.c - every boot: what of the file tree is volatile, and the operations of inodes by kind.
 */
#include "posix/fs/fs_internal.h"

static const struct inode_ops fs_inode_ops = { .directory_type = FILE_DIRECTORY, .regular_type = FILE_REGULAR, .changeable = true };
static const struct inode_ops anon_inode_ops = { .regular_type = FILE_REGULAR };

const struct inode_ops *const inode_ops_table[INODE_KINDS] = {
        [0] = &anon_inode_ops, [INODE_FS] = &fs_inode_ops, [INODE_PROC] = &anon_inode_ops, [INODE_SYS] = &anon_inode_ops, [INODE_ANON] = &anon_inode_ops,
        [INODE_SHM] = &anon_inode_ops,
};

static void walk_refs(const struct space_visitor *v)
{
        (void)v;
}

void vfs_boot(void)
{
        space_ref_walker_register(walk_refs, 0);
}
