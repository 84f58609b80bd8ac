#include "posix/vfs/vfs_internal.h"
void watches_touch(struct inode *i) { (void)i; }
void watches_inode_gone(struct inode *i) { (void)i; }
void notify_event(struct inode *i, uint32_t mask, const char *name, uint32_t cookie) { (void)i; (void)mask; (void)name; (void)cookie; }
void notify_name(struct inode *dir, uint32_t mask, const char *name, unsigned len, uint32_t cookie) { (void)dir; (void)mask; (void)name; (void)len; (void)cookie; }
