/*
 * mount.c - mounted file systems. A mount joins a root inode to the directory it covers: point->mounted = root, root->mount_point = point. Every inode carries its file
 * system's number (dev), by which the mount is found.
 * A file system is its inodes: when it is detached, what is still open stays, and its tree is taken down from the root, name by name, when nobody stands in it.
 * There are no bind mounts: an inode knows one place where it is mounted, and a second one would let ".." lead out of a chroot.
 * The list of mounts changes under LOCK_RENAME.
 */
#include "posix/include/fuse.h"
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "persist/old.h"
#include <linux/fs.h>
#include <linux/mount.h>

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
        if (m->type == FS_SNAPSHOT)
                (void)old_use(m->root->proc_key[1], false);
        object_put(m->root);
        object_put(m->point);
        space_free_bytes(m->source);
        space_free(m);
        return false;
}

/* ---- mount(2) ------------------------------------------------------------------------------------------------------------- */

#define KEPT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME)

static void sum_flags(void)
{
        struct fs_state *s = fs_state();
        uint64_t any = 0;

        for (struct mount *m = s->mounts; m; m = m->next)
                any |= m->flags;
        s->any_flags = any;
}

#define SNAPSHOT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)

struct fs_options {
        uint32_t mode, uid, gid;
        uint64_t epoch; /* 0: not given */
        struct fuse_options fuse;
};

/* "mode=1777,size=10m,..." */
static long parse_options(char *text, enum fs_type type, struct fs_options *o)
{
        while (*text) {
                char *end = strchr(text, ','), *value;
                const char *rest;
                unsigned long n = 0;

                if (end)
                        *end = 0;
                value = strchr(text, '=');
                if (value)
                        *value++ = 0;
                if (type == FS_FUSE) {
                        if (*text && !fuse_option(&o->fuse, text, value))
                                return -EINVAL;
                } else if (strcmp(text, "mode") == 0 && value && fmt_parse_u64(value, 8, &rest, &n))
                        o->mode = (uint32_t)n & 07777;
                else if (strcmp(text, "uid") == 0 && value && fmt_parse_u64(value, 10, &rest, &n))
                        o->uid = (uint32_t)n;
                else if (strcmp(text, "gid") == 0 && value && fmt_parse_u64(value, 10, &rest, &n))
                        o->gid = (uint32_t)n;
                else if (strcmp(text, "epoch") == 0 && value && fmt_parse_u64(value, 10, &rest, &n) && !*rest && n)
                        o->epoch = n;
                else if (*text && strcmp(text, "size") && strcmp(text, "nr_inodes") && strcmp(text, "nr_blocks") &&
                         strcmp(text, "ptmxmode") && strcmp(text, "newinstance") && strcmp(text, "hidepid") &&
                         strcmp(text, "gid") && strcmp(text, "huge") && strcmp(text, "inode64"))
                        return -EINVAL;
                if (!end)
                        break;
                text = end + 1;
        }
        return 0;
}

static const struct {
        const char *name;
        enum fs_type type;
        enum inode_kind kind;
        uint32_t mode;
} kinds[] = {
        {"tmpfs", FS_TMPFS, INODE_FS, 01777},      {"ramfs", FS_TMPFS, INODE_FS, 0755},
        {"devtmpfs", FS_DEVTMPFS, INODE_FS, 0755}, {"proc", FS_PROC, INODE_PROC, 0555},
        {"sysfs", FS_SYSFS, INODE_SYS, 0555},      {"devpts", FS_DEVPTS, INODE_DEVPTS, 0755},
        {"snapshot", FS_SNAPSHOT, INODE_SNAP, 0},  {"fuse", FS_FUSE, INODE_FUSE, 0},
};

/* A string argument; NULL gives "". */
static long copy_text(struct call *c, char *to, uint64_t from, size_t len)
{
        long r;

        *to = 0;
        if (!from)
                return 0;
        r = copy_string(c, to, from, len);
        return r == -EFAULT ? user_fault(c) : r < 0 ? -EINVAL : 0;
}

/* Whatever is asked: a snapshot is looked at, not lived in; what a program serves cannot be written yet. */
static uint64_t forced_flags(enum fs_type type)
{
        return type == FS_SNAPSHOT ? SNAPSHOT_FLAGS : type == FS_FUSE ? MS_RDONLY : 0;
}

static long remount(struct call *c, struct inode *root, uint64_t flags)
{
        struct mount *m = mount_of(root);

        if (!m || m->root != root)
                return -EINVAL;
        changes(c);
        m->flags = (flags & KEPT_FLAGS) | forced_flags(m->type);
        sum_flags();
        return 0;
}

long sys_mount(struct call *c)
{
        uint64_t flags = (c->arg[3] & 0xffff0000ul) == 0xc0ed0000ul ? c->arg[3] & 0xffff : c->arg[3];
        struct fs_options o = {0};
        char type[32], source[256], *data;
        struct inode *root, old_root;
        struct file *device = NULL;
        struct walk w;
        unsigned k;
        long r;

        if (!capable(CAP_SYS_ADMIN))
                return -EPERM;
        data = call_scratch(c, 0, PAGE_SIZE);
        if (!data)
                return -ENOMEM;
        r = copy_text(c, type, c->arg[2], sizeof(type));
        if (!r)
                r = copy_text(c, source, c->arg[0], sizeof(source));
        if (!r)
                r = copy_text(c, data, c->arg[4], PAGE_SIZE);
        if (!r)
                r = path_walk(c, AT_FDCWD, c->arg[1], WALK_FOLLOW, &w);
        if (r)
                return r;
        if (flags & MS_REMOUNT)
                return remount(c, w.inode, flags);
        if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) /* between name spaces; there is one */
                return mount_of(w.inode) && mount_of(w.inode)->root == w.inode ? 0 : -EINVAL;
        if (flags & (MS_BIND | MS_MOVE))
                return -EINVAL;
        for (k = 0; k < ARRAY_SIZE(kinds) && strcmp(kinds[k].name, type); k++)
                ;
        if (k == ARRAY_SIZE(kinds))
                return -ENODEV;
        if (kinds[k].type == FS_DEVTMPFS && w.inode->mounted == NULL && mount_of(w.inode) &&
            mount_of(w.inode)->type == FS_DEVTMPFS)
                return -EBUSY; /* /dev is there already */
        o.mode = kinds[k].mode;
        r = parse_options(data, kinds[k].type, &o);
        if (r)
                return r;
        if (!o.epoch != (kinds[k].type != FS_SNAPSHOT))
                return -EINVAL;
        if (!S_ISDIR(w.inode->mode))
                return -ENOTDIR;
        if (inode_is_volatile(w.inode) || w.inode->kind == INODE_SNAP)
                return -EPERM;
        flags |= forced_flags(kinds[k].type);
        if (o.epoch) {
                r = snap_root(o.epoch, 0, &old_root);
                if (r)
                        return r;
        }
        lock(LOCK_RENAME, fs_state());
        if (w.inode->mounted)
                return -EBUSY;
        if (kinds[k].type == FS_FUSE) {
                r = fuse_mount_check(c, &o.fuse, &device);
                if (r)
                        return r;
        }
        for (struct mount *m = fs_state()->mounts; m; m = m->next) /* touches them: the last one gets a successor */
                (void)READ_ONCE(m->next);
        if (!space_room(SMALL_CHANGE))
                return -ENOMEM;
        r = o.epoch ? old_use(o.epoch, true) : 0;
        if (r)
                return r;
        changes(c);
        if (o.epoch) {
                root = inode_hold(&old_root);
                root->dev = RDEV(0, fs_state()->next_dev++);
        } else {
                root = mount_new_root(kinds[k].kind, o.mode);
                root->uid = o.uid;
                root->gid = o.gid;
        }
        if (device)
                fuse_mount(&o.fuse, device, root);
        mount_make(kinds[k].type, *source ? source : "none", root, w.inode, flags & KEPT_FLAGS);
        return 0;
}

/* ---- umount2 -------------------------------------------------------------------------------------------------------------- */

struct use {
        uint32_t dev;
        bool found;
};

static bool uses_dev(struct process *p, void *arg)
{
        struct use *u = arg;
        struct fdtable *t = READ_ONCE(p->files);
        struct fs *fs = READ_ONCE(p->fs);

        if (fs && (fs->cwd->dev == u->dev || fs->root->dev == u->dev))
                u->found = true;
        for (uint64_t fd = 0; t && !u->found && (fd = fdtable_next(t, fd)) != ~0ul; fd++) {
                struct file *f = fdtable_get(t, fd);

                if (f && f->inode->dev == u->dev)
                        u->found = true;
        }
        return !u->found;
}

long sys_umount2(struct call *c)
{
        struct use u = {0};
        struct mount *m, **at;
        struct walk w;
        long r;

        if (c->arg[1] & ~15ul)
                return -EINVAL;
        if (!capable(CAP_SYS_ADMIN))
                return -EPERM;
        r = path_walk(c, AT_FDCWD, c->arg[0], c->arg[1] & 8 /* UMOUNT_NOFOLLOW */ ? 0 : WALK_FOLLOW, &w);
        if (r)
                return r;
        lock(LOCK_RENAME, fs_state());
        for (at = &fs_state()->mounts; (m = *at) && m->root != w.inode; at = &m->next)
                ;
        if (!m || !m->point)
                return -EINVAL;
        u.dev = m->dev;
        for (struct mount *other = fs_state()->mounts; other; other = other->next) {
                if (other->point && other->point->dev == m->dev)
                        return -EBUSY; /* something is mounted in it */
        }
        if (!(c->arg[1] & 2 /* MNT_DETACH */)) {
                process_each(uses_dev, &u);
                if (u.found)
                        return -EBUSY;
        }
        mount_release_touch(m);
        changes(c);
        if (m->type == FS_FUSE)
                fuse_unmount(m->root);
        *at = m->next;
        m->next = NULL;
        m->point->mounted = NULL;
        m->root->mount_point = NULL;
        object_put(m->root); /* the covered directory's reference */
        sum_flags();
        object_put(m);
        return 0;
}
