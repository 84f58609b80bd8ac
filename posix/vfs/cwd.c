/*
 * cwd.c - where a process stands: working directory, root, umask; and the way back from an inode to its path.
 * A path is read upwards: each inode knows the directory of the name given last and that name's cookie there. A file that lost that name and has others has no path.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

/* Puts "/name" before at; NULL: no room. */
static char *prepend(char *start, char *at, const char *name, unsigned len)
{
        if ((size_t)(at - start) < len + 1u)
                return NULL;
        at -= len;
        memcpy(at, name, len);
        *--at = '/';
        return at;
}

/* The way from i up to root, written backwards before `at`. */
static long path_up(struct inode *i, const struct inode *root, char *start, char **at)
{
        while (i != root) {
                struct inode *dir;
                struct dir_entry e;
                bool found;

                if (i->mount_point) {
                        i = i->mount_point;
                        continue;
                }
                if (inode_ops(i)->path) {
                        char text[1024];
                        int n = inode_ops(i)->path(i, text, sizeof(text));
                        struct mount *m = mount_of(i);

                        if (n < 0 || !m)
                                return -ENOENT;
                        if ((*at - start) < n)
                                return -ENAMETOOLONG;
                        *at -= n;
                        memcpy(*at, text, (size_t)n);
                        i = m->root;
                        if (i == root)
                                break;
                        if (!i->mount_point)
                                return -ENOENT;
                        continue;
                }
                dir = i->parent;
                if (!dir)
                        return -ENOENT;
                lock(LOCK_INODE, dir);
                found = dir_next(dir, i->name_key - 1, &e) && e.cookie == i->name_key;
                if (found)
                        *at = prepend(start, *at, e.name, e.len);
                unlock(LOCK_INODE, dir);
                if (!found)
                        return -ENOENT;
                if (!*at)
                        return -ENAMETOOLONG;
                i = dir;
        }
        return 0;
}

/* Absolute path by the current process's root (or the system's when nobody is current). Length, -ENOENT (no name leads to it), -ENAMETOOLONG. */
int path_of_inode(struct inode *i, char *buf, size_t len)
{
        struct inode *root = thread_current() ? fs_current()->root : posix_root()->fs_root;
        char *at = buf + len - 1;
        size_t n;
        long r;

        r = path_up(i, root, buf, &at);
        if (r)
                return (int)r;
        if (at == buf + len - 1)
                *--at = '/';
        n = (size_t)(buf + len - 1 - at);
        memmove(buf, at, n);
        buf[n] = 0;
        return (int)n;
}

/* What /proc/N/fd shows. len >= 256. */
int path_of_file(struct file *f, char *buf, size_t len)
{
        int n;

        if (file_ops(f)->show_path)
                return file_ops(f)->show_path(f, buf, len);
        if (f->inode->kind == INODE_ANON && !f->path) {
                uint32_t kind = f->inode->mode & S_IFMT;

                if (kind == S_IFIFO || kind == S_IFSOCK)
                        n = snprintf(buf, len, "%s:[%lu]", kind == S_IFIFO ? "pipe" : "socket", f->inode->ino);
                else
                        n = snprintf(buf, len, "anon_inode:[%s]", file_ops(f)->name);
                return MIN(n, (int)len - 1);
        }
        n = path_of_inode(f->inode, buf, len);
        if (n >= 0)
                return n;
        if (f->path)
                return (int)MIN(str_copy(buf, f->path, len), len - 1);
        return (int)MIN(str_copy(buf, "/ (deleted)", len), len - 1);
}

long sys_getcwd(struct call *c)
{
        struct vfs_scratch *s = vfs_scratch();
        int n;

        if (!s)
                return -ENOMEM;
        n = path_of_inode(fs_current()->cwd, s->path[0], PATH_MAX_LEN);
        if (n < 0)
                return n;
        if ((uint64_t)n + 1 > c->arg[1])
                return -ERANGE;
        return copy_out(c, c->arg[0], s->path[0], (size_t)n + 1) ? n + 1 : user_fault(c);
}

/* The directory becomes *slot of the process's fs. */
static long set_directory(struct call *c, struct inode *dir, struct inode **slot)
{
        struct inode *old = *slot;

        if (!space_room(1))
                return -ENOMEM;
        (void)READ_ONCE(old->obj.refs);
        changes(c);
        *slot = inode_hold(dir);
        object_put(old);
        return 0;
}

static long change_to(struct call *c, struct inode *dir, struct inode **slot)
{
        long r;

        if (!S_ISDIR(dir->mode))
                return -ENOTDIR;
        r = inode_refresh(c, dir);
        if (!r)
                r = inode_permission(dir, MAY_EXEC);
        return r ? r : set_directory(c, dir, slot);
}

long sys_chdir(struct call *c)
{
        struct walk w;
        long r = path_walk(c, AT_FDCWD, c->arg[0], WALK_FOLLOW | WALK_DIRECTORY, &w);

        return r ? r : change_to(c, w.inode, &fs_current()->cwd);
}

long sys_fchdir(struct call *c)
{
        struct file *f = fd_lookup(c, c->arg[0]);

        return f ? change_to(c, f->inode, &fs_current()->cwd) : -EBADF;
}

long sys_chroot(struct call *c)
{
        struct walk w;
        long r = path_walk(c, AT_FDCWD, c->arg[0], WALK_FOLLOW | WALK_DIRECTORY, &w);

        if (!r)
                r = inode_refresh(c, w.inode);
        if (r)
                return r;
        r = inode_permission(w.inode, MAY_EXEC);
        if (r)
                return r;
        if (!capable(CAP_SYS_CHROOT))
                return -EPERM;
        return set_directory(c, w.inode, &fs_current()->root);
}

long sys_umask(struct call *c)
{
        struct fs *fs = fs_current();
        uint32_t old = fs->umask, new = (uint32_t)c->arg[0] & 0777;

        if (new != old) {
                changes(c);
                fs->umask = new;
        }
        return old;
}
