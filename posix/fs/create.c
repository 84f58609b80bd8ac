/*
 * create.c - the first boot: an empty tree, the mounts every system has, the nodes of /dev. Each name is a section of its own; nothing is absent yet, and no
 * thread runs, so the calls' own checks (permissions, races) have no part in it.
 */
#include "posix/fs/fs_internal.h"
#include "kernel/include/rng.h"
#include "kernel/lib/string.h"

static void no_retry(void *arg)
{
        panic("a page of a file tree that is being made is absent (%p)", arg);
}

void fs_section_begin(void)
{
        section_begin(no_retry, NULL);
}

/* The entry `name` of dir, made when it is not there. In a section; NULL: no room. */
struct inode *fs_make(struct inode *dir, const char *name, unsigned len, uint32_t mode, uint32_t rdev)
{
        struct dir_place p;
        struct inode *i;

        lock(LOCK_INODE, dir);
        dir_find(dir, name, len, &p);
        if (p.found) {
                unlock(LOCK_INODE, dir);
                return p.entry.inode;
        }
        if (dir_room(dir, &p, len) || !space_room(SMALL_CHANGE))
                return NULL;
        section_changes();
        i = inode_new(dir->dev, INODE_FS, mode, 0, 0);
        i->rdev = rdev;
        inode_link(i);
        if (S_ISDIR(mode)) {
                i->nlink = 2;
                dir->nlink++;
        }
        dir_insert(dir, &p, name, len, i);
        unlock(LOCK_INODE, dir);
        object_put(i);
        return i;
}

/* A path below dir, of existing directories but the last. NULL: no room, or the way is not there. */
struct inode *fs_make_path(struct inode *dir, const char *path, uint32_t mode, uint32_t rdev)
{
        struct inode *i = dir;

        while (i && *path) {
                const char *end = strchr(path, '/');
                unsigned len = end ? (unsigned)(end - path) : (unsigned)strlen(path);

                if (i->mounted)
                        i = i->mounted;
                fs_section_begin();
                i = fs_make(i, path, len, end ? S_IFDIR | 0755 : mode, end ? 0 : rdev);
                section_end();
                path += len + (end != NULL);
        }
        return i;
}

static int make_symlink(struct inode *dir, const char *path, const char *target)
{
        struct inode *i = fs_make_path(dir, path, S_IFLNK | 0777, 0);

        if (!i)
                return -ENOMEM;
        fs_section_begin();
        section_changes();
        inode_set_symlink(i, target, (unsigned)strlen(target));
        section_end();
        return 0;
}

void inode_set_symlink(struct inode *i, const char *target, unsigned len)
{
        i->symlink = space_alloc_bytes(len + 1);
        memcpy(i->symlink, target, len);
        i->size = len;
}

static const struct {
        const char *path;
        enum fs_type type;
        enum inode_kind kind;
        uint32_t mode;
        const char *source;
} mounts[] = {
        {"proc", FS_PROC, INODE_PROC, 0555, "proc"},      {"sys", FS_SYSFS, INODE_SYS, 0555, "sysfs"},
        {"dev", FS_DEVTMPFS, INODE_FS, 0755, "devtmpfs"}, {"dev/pts", FS_DEVPTS, INODE_DEVPTS, 0755, "devpts"},
        {"dev/shm", FS_TMPFS, INODE_FS, 01777, "tmpfs"},
};

static const struct {
        const char *name;
        uint32_t mode;
        uint16_t major, minor;
} nodes[] = {
        {"null", S_IFCHR | 0666, 1, 3},   {"zero", S_IFCHR | 0666, 1, 5},    {"full", S_IFCHR | 0666, 1, 7},
        {"random", S_IFCHR | 0666, 1, 8}, {"urandom", S_IFCHR | 0666, 1, 9}, {"kmsg", S_IFCHR | 0644, 1, 11},
        {"tty", S_IFCHR | 0666, 5, 0},    {"console", S_IFCHR | 0600, 5, 1}, {"ptmx", S_IFCHR | 0666, 5, 2},
        {"tty0", S_IFCHR | 0620, 4, 0},   {"tty1", S_IFCHR | 0620, 4, 1},    {"tty2", S_IFCHR | 0620, 4, 2},
        {"tty3", S_IFCHR | 0620, 4, 3},   {"tty4", S_IFCHR | 0620, 4, 4},    {"ttyS0", S_IFCHR | 0660, 4, 64},
        {"ttyS1", S_IFCHR | 0660, 4, 65},
};

static const char *const links[][2] = {
        {"fd", "/proc/self/fd"},
        {"stdin", "/proc/self/fd/0"},
        {"stdout", "/proc/self/fd/1"},
        {"stderr", "/proc/self/fd/2"},
};

static int make_root(void)
{
        struct fs_state *s;

        fs_section_begin();
        if (!space_room(SMALL_CHANGE))
                return -ENOMEM;
        section_changes();
        s = space_alloc(TYPE_FS_STATE);
        posix_root()->fs_state = s;
        s->next_ino = 2;
        s->next_dev = 16;
        s->next_mount = 1;
        rng_bytes(&s->hash_seed, sizeof(s->hash_seed));
        posix_root()->fs_root = mount_new_root(INODE_FS, 0755);
        object_get(posix_root()->fs_root);
        mount_make(FS_ROOT, "phantom", posix_root()->fs_root, NULL, 0);
        s->anon = inode_new(ANON_DEV, INODE_ANON, S_IFREG | 0600, 0, 0);
        section_end();
        return 0;
}

int vfs_create(void)
{
        struct inode *root, *i, *fs;
        int r;

        if (!vfs_scratch())
                return -ENOMEM;
        r = make_root();
        if (r)
                return r;
        root = posix_root()->fs_root;
        if (!fs_make_path(root, "tmp", S_IFDIR | 01777, 0))
                return -ENOMEM;
        for (unsigned k = 0; k < ARRAY_SIZE(mounts); k++) {
                i = fs_make_path(root, mounts[k].path, S_IFDIR | 0755, 0);
                if (!i)
                        return -ENOMEM;
                fs_section_begin();
                section_changes();
                fs = mount_new_root(mounts[k].kind, mounts[k].mode);

                mount_make(mounts[k].type, mounts[k].source, fs, i, 0);
                if (mounts[k].type == FS_PROC)
                        fs_state()->proc_dev = fs->dev;
                else if (mounts[k].type == FS_SYSFS)
                        fs_state()->sys_dev = fs->dev;
                else if (mounts[k].type == FS_DEVPTS)
                        fs_state()->pts_dev = fs->dev;
                if (mounts[k].type == FS_DEVTMPFS)
                        fs_state()->dev = fs;
                else if (mounts[k].type == FS_DEVPTS)
                        fs_state()->devpts = fs;
                if (mounts[k].type == FS_DEVTMPFS || mounts[k].type == FS_DEVPTS)
                        object_get(fs);
                section_end();
        }
        for (unsigned k = 0; k < ARRAY_SIZE(nodes); k++) {
                if (!fs_make_path(fs_state()->dev, nodes[k].name, nodes[k].mode, RDEV(nodes[k].major, nodes[k].minor)))
                        return -ENOMEM;
        }
        for (unsigned k = 0; k < ARRAY_SIZE(links); k++) {
                r = make_symlink(fs_state()->dev, links[k][0], links[k][1]);
                if (r)
                        return r;
        }
        return 0;
}
