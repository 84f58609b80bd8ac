/*
 * file.c - open files: made with a reference on inode and private object, ended by their type's release.
 */
#include "posix/include/poll.h"
#include "posix/vfs/vfs_internal.h"
#include <linux/inotify.h>

struct file *file_new(enum file_type type, uint32_t mode, uint32_t flags, struct inode *inode, void *priv)
{
        struct file *f = object_new(TYPE_FILE);

        f->ops_type = (uint16_t)type;
        f->mode = mode;
        f->flags = flags;
        f->inode = inode_hold(inode);
        f->priv = priv;
        object_get(priv);
        return f;
}

void file_touch(struct file *f)
{
        (void)READ_ONCE(f->obj.refs);
        if (unlikely(f->inode->locks))
                flock_touch(f->inode);
}

void file_release_touch(void *o)
{
        struct file *f = o;

        (void)READ_ONCE(f->inode->obj.refs);
        if (f->inode->locks)
                flock_touch(f->inode);
        if (unlikely(notify_active))
                watches_touch(f->inode);
        if (f->priv)
                (void)READ_ONCE(f->priv->refs);
        if (file_ops(f)->touch)
                file_ops(f)->touch(f);
}

bool file_release(void *o)
{
        struct file *f = o;
        struct inode *i = f->inode;

        if (f->epoll_items && epoll_file_gone(f))
                return true;
        if (i->locks)
                flock_file_release(f);
        if (file_ops(f)->release)
                file_ops(f)->release(f);
        if (f->mode & FMODE_WRITE && inode_is(i, S_IFREG) && (int32_t)i->writers > 0)
                i->writers--;
        if (unlikely(notify_active))
                notify_event(i, f->mode & FMODE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE, NULL, 0);
        object_put(f->priv);
        object_put(i);
        space_free_bytes(f->path);
        space_free(f);
        return false;
}
