#include "posix/vfs/vfs_internal.h"
void flock_posix_close(struct file *f, struct fdtable *t) { (void)f; (void)t; }
void flock_file_release(struct file *f) { (void)f; }
void flock_touch(struct inode *i) { (void)i; }
long flock_fcntl(struct call *c, struct file *f, unsigned cmd, uint64_t arg) { (void)c; (void)f; (void)cmd; (void)arg; return -EINVAL; }
