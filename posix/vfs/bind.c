/*
 * bind.c - the name of an AF_UNIX socket: what mknod makes, with the socket as the inode's private object. It stays after the socket is closed, until somebody
 * unlinks it, as on Linux.
 */
#include "posix/vfs/vfs_internal.h"
#include "posix/include/socket.h"
#include <linux/inotify.h>

long socket_name_make(struct call *c, const char *path, struct sock *s)
{
        uint32_t mode = (S_IFSOCK | 0777) & ~fs_current()->umask, gid;
        struct inode *dir, *i;
        struct dir_place p;
        struct walk w;
        long r = path_walk_kernel(c, fs_current()->cwd, path, WALK_PARENT | WALK_NO_WAIT, &w);

        if (r)
                return r;
        if (w.inode)
                return -EADDRINUSE;
        if (w.trailing_slash)
                return -ENOENT;
        dir = w.dir;
        if (!inode_ops(dir)->changeable)
                return -EACCES;
        if (inode_read_only(dir))
                return -EROFS;
        lock(LOCK_INODE, dir);
        if (!dir->nlink)
                return -ENOENT;
        dir_find(dir, w.last, w.last_len, &p);
        if (p.found)
                return -EADDRINUSE;
        r = inode_permission(dir, MAY_WRITE | MAY_EXEC);
        if (!r)
                r = dir_room(dir, &p, w.last_len);
        if (r)
                return r;
        if (!space_room(SMALL_CHANGE))
                return -ENOSPC;
        watches_touch(dir);
        changes(c);
        inode_creation(dir, &mode, &gid);
        i = inode_new(dir->dev, INODE_FS, mode, cred_current()->fsuid, gid);
        i->priv = &s->obj;
        object_get(s);
        inode_link(i);
        dir_insert(dir, &p, w.last, w.last_len, i);
        inode_touch_times(dir, true);
        object_put(i);
        if (unlikely(dir->watches))
                notify_name(dir, IN_CREATE, w.last, w.last_len, 0);
        unlock(LOCK_INODE, dir);
        return 0;
}
