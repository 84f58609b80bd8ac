/*
 * types.c - what posix/vfs and posix/fs keep in the space.
 */
#include "posix/vfs/vfs_internal.h"

#define REF(type, field, n)                                                                                            \
        {                                                                                                              \
                offsetof(struct type, field), FIELD_REF, n                                                             \
        }
#define BORROW(type, field, n)                                                                                         \
        {                                                                                                              \
                offsetof(struct type, field), FIELD_BORROW, n                                                          \
        }
#define OWN(type, field, n)                                                                                            \
        {                                                                                                              \
                offsetof(struct type, field), FIELD_OWN, n                                                             \
        }
#define END                                                                                                            \
        {                                                                                                              \
                0, 0, 0                                                                                                \
        }

static const struct space_field fdtable_fields[] = {REF(fdtable, node, FD_CHUNK), REF(fdtable, first.file, FD_CHUNK),
                                                    END};
static const struct space_field fdnode_fields[] = {REF(fdnode, chunk, FD_CHUNK), END};
static const struct space_field fdchunk_fields[] = {REF(fdchunk, file, FD_CHUNK), END};
static const struct space_field file_fields[] = {
        REF(file, inode, 2), BORROW(file, pos_owner, 1), OWN(file, path, 1), BORROW(file, epoll_items, 1), END,
};
static const struct space_field inode_fields[] = {
        BORROW(inode, dir, 1),         BORROW(inode, parent, 1), REF(inode, priv, 1),     OWN(inode, locks, 1),
        OWN(inode, xattrs, 1),         OWN(inode, watches, 1),   BORROW(inode, owner, 1), REF(inode, mounted, 1),
        BORROW(inode, mount_point, 1), OWN(inode, symlink, 1),   REF(inode, held, 1),     END,
};
static const struct space_field mount_fields[] = {REF(mount, next, 3), OWN(mount, source, 1), END};
static const struct space_field fs_state_fields[] = {REF(fs_state, mounts, 3), REF(fs_state, anon, 1), END};

extern const struct space_field inotify_fields[], watch_fields[];

/* When those of version 1 changed is not known, nor who has them mapped. */
static void inode_migrate(void *object, unsigned from)
{
        struct inode *i = object;

        (void)from;
        i->changes_unseen = 1;
}

const struct posix_type vfs_types[] = {
        {TYPE_FDTABLE,
         {"fdtable", sizeof(struct fdtable), 1, SPACE_OBJECT, fdtable_fields},
         fdtable_release,
         fdtable_release_touch},
        {TYPE_FDNODE,
         {"fdnode", sizeof(struct fdnode), 1, SPACE_OBJECT, fdnode_fields},
         fdnode_release,
         fdnode_release_touch},
        {TYPE_FDCHUNK,
         {"fdchunk", sizeof(struct fdchunk), 1, SPACE_OBJECT, fdchunk_fields},
         fdchunk_release,
         fdchunk_release_touch},
        {TYPE_FILE, {"file", sizeof(struct file), 1, SPACE_OBJECT, file_fields}, file_release, file_release_touch},
        {TYPE_INODE,
         {"inode", sizeof(struct inode), 2, SPACE_OBJECT, inode_fields, inode_migrate},
         inode_release,
         inode_release_touch},
        {TYPE_MOUNT,
         {"mount", sizeof(struct mount), 1, SPACE_OBJECT, mount_fields},
         mount_release,
         mount_release_touch},
        {TYPE_FS_STATE, {"fs_state", sizeof(struct fs_state), 1, SPACE_RESIDENT, fs_state_fields}, NULL, NULL},
        {TYPE_INOTIFY,
         {"inotify", INOTIFY_BYTES, 1, SPACE_OBJECT, inotify_fields},
         inotify_release,
         inotify_release_touch},
        {TYPE_WATCH, {"watch", WATCH_BYTES, 1, 0, watch_fields}, NULL, NULL},
        {0},
};
