/*
 * fuse.h - file systems that a user program serves (posix/fuse): what the rest of posix needs of them.
 */
#pragma once
#include "posix/include/vfs.h"

struct fuse_request;

struct fuse_options { /* of mount(2) */
        uint32_t fd, rootmode, user_id, group_id;
        uint8_t given; /* bit for each of these four */
        bool allow_other;
};
#define FUSE_OPTIONS_GIVEN 15u
/* One option of the list; value NULL: it has none. False: not one of FUSE's. */
bool fuse_option(struct fuse_options *o, const char *name, const char *value);
/* Before the change: the device file a mount is to be served by. 0, -EINVAL. */
long fuse_mount_check(struct call *c, const struct fuse_options *o, struct file **device);
/* After it, 4 pages: the connection of device and root is made, and its first request waits. */
void fuse_mount(const struct fuse_options *o, struct file *device, struct inode *root);
void fuse_unmount(struct inode *root); /* after changes(): the connection ends */
int fuse_mount_options(const struct inode *root, char *buf, size_t len, size_t at); /* for /proc/mounts */

/* A call that kept answers is over: lets some of them go, after changes(). True: call again in another section. */
bool fuse_call_end(struct thread *t);
/* The server opens i. 0: *handle, borrowed, is to be the file's private object; else what the call returns. */
long fuse_open(struct call *c, struct inode *i, uint32_t flags, void **handle);
/*
 * One piece of the directory f from pos on, as struct fuse_dirent. 0: *r has it till fuse_used(), which comes after changes(); else what the call returns.
 */
long fuse_readdir(struct call *c, struct file *f, uint64_t pos, struct fuse_request **r, const char **data,
                  uint32_t *len);
void fuse_used(struct fuse_request *r);
