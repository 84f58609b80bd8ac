/*
 * mount.c - mounted file systems. A mount joins a root inode to the directory it covers: point->mounted = root, root->mount_point = point. Every inode carries its file
 * system's number (dev), by which the mount is found.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"

struct mount *mount_of(const struct inode *i)
{
        struct mount *m = fs_state()->mounts;

        while (m && m->dev != i->dev)
                m = m->next;
        return m;
}

/* After changes(): a new file system with root (one reference, taken) over point (NULL: the root file system). */
struct mount *mount_make(enum fs_type type, const char *source, struct inode *root, struct inode *point, uint64_t flags)
{
        struct fs_state *s = fs_state();
        struct mount *m = object_new(TYPE_MOUNT), **at = &s->mounts, *over = point ? mount_of(point) : NULL;
        size_t len = strlen(source) + 1;

        m->type = type;
        m->root = root;
        m->dev = root->dev;
        m->id = s->next_mount++;
        m->parent_id = over ? over->id : m->id;
        m->flags = flags;
        m->source = space_alloc_bytes(len);
        memcpy(m->source, source, len);
        if (point) {
                m->point = point;
                object_get(point);
                object_get(root);
                point->mounted = root;
                root->mount_point = point;
        }
        s->any_flags |= flags;
        while (*at)
                at = &(*at)->next;
        *at = m;
        return m;
}

/* A directory that is the root of a file system of kind. After changes(); one reference, the caller's. */
struct inode *mount_new_root(enum inode_kind kind, uint32_t mode)
{
        uint32_t minor = fs_state()->next_dev++;
        struct inode *root = inode_new(RDEV(0, minor), kind, S_IFDIR | mode, 0, 0);

        root->nlink = 2;
        if (kind == INODE_FS) { /* held until the mount's release */
                root->held = root;
                object_get(root);
        }
        return root;
}

void mount_release_touch(void *o)
{
        struct mount *m = o;

        (void)READ_ONCE(m->root->obj.refs);
        if (m->point)
                (void)READ_ONCE(m->point->obj.refs);
}

bool mount_release(void *o)
{
        struct mount *m = o;

        if (m->root->held) {
                m->root->nlink = 0;
                m->root->held = NULL;
                object_put(m->root);
        }
        object_put(m->root);
        object_put(m->point);
        space_free_bytes(m->source);
        space_free(m);
        return false;
}
