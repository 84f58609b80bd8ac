/* fs_internal.h - between the files of posix/fs. */
#pragma once
#include "posix/vfs/vfs_internal.h"

void fs_section_begin(void); /* boot: a section in which nothing can be absent */
struct inode *fs_make(struct inode *dir, const char *name, unsigned len, uint32_t mode, uint32_t rdev);
struct inode *fs_make_path(struct inode *dir, const char *path, uint32_t mode, uint32_t rdev);
void proc_system_boot(void); /* every boot: the registered files of /proc */
void sys_boot(void);         /* and of /sys */
void sys_block_renew(void);  /* partitions have come or gone */
void kmsg_boot(void);
void snap_boot(void);
void block_boot(void); /* every boot: nodes of the disks that are there */
