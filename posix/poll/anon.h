/* anon.h - making the file behind an event descriptor: between the files of posix/poll only. */
#pragma once
#include "posix/include/file.h"
#include <linux/fcntl.h>
/* After changes() and fd_reserve: a file for `object` (its one reference goes to the file), installed at fd. */
static inline struct file *anon_install(struct call *c, int fd, enum file_type type, uint32_t flags, void *object,
                                        const char *name)
{
        struct inode *i = inode_anonymous(0600, name);
        struct file *f = file_new(type, FMODE_READ | FMODE_WRITE, O_RDWR | (flags & O_NONBLOCK), i, object);

        object_put(object);
        object_put(i);
        fd_install(c, fd, f, flags & O_CLOEXEC);
        return f;
}
