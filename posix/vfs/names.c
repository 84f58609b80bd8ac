/*
 * names.c - names come, go and move: mkdir, mknod, symlink, link, unlink, rmdir, rename.
 *
 * Locks: LOCK_RENAME for moves between directories (so that the shape above a directory stands still while it is looked at), then LOCK_INODE of the
 * directories (lock2 for two), then LOCK_CHILD of a directory that gets a name and of one that goes: an empty directory cannot get a name while
 * it is being removed. Link counts are atomic (posix/fs/inode.c). Everything is found again under the locks; the walk only led there.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/include/rng.h"
#include "kernel/lib/string.h"
#include <linux/fs.h>
#include <linux/inotify.h>

/* A name may go from dir (or be replaced there). */
static long may_delete(struct inode *dir, struct inode *i)
{
        long r = inode_permission(dir, MAY_WRITE | MAY_EXEC);

        if (r)
                return r;
        if (dir->mode & S_ISVTX && i->uid != cred_current()->fsuid && dir->uid != cred_current()->fsuid &&
            !capable(CAP_FOWNER))
                return -EPERM;
        return 0;
}

/* A name may come into dir, whose locks are held. */
static long may_create(struct inode *dir)
{
        if (!dir->nlink)
                return -ENOENT;
        return inode_permission(dir, MAY_WRITE | MAY_EXEC);
}

/* Why names in dir do not change. */
static long unchangeable(const struct inode *dir)
{
        return dir->kind == INODE_SNAP || dir->kind == INODE_FUSE ? -EROFS : -EPERM;
}

/* What stands under the walk's last name in a directory that cannot be changed. */
static long lookup_fixed(struct call *c, struct inode *dir, const struct walk *w, struct inode **i)
{
        return inode_ops(dir)->lookup ? inode_ops(dir)->lookup(c, dir, w->last, w->last_len, i) : -ENOENT;
}

struct new_node {
        uint32_t mode, rdev;
        const char *target;
        unsigned target_len;
};

static long make(struct call *c, int dirfd, uint64_t path, const struct new_node *n)
{
        struct dir_place p;
        struct inode *dir, *i;
        uint32_t mode = n->mode, gid;
        struct walk w;
        long r;

        r = path_walk(c, dirfd, path, WALK_PARENT | WALK_NO_LOOKUP, &w);
        if (r)
                return r;
        if (w.last_type != LAST_NAME)
                return -EEXIST;
        dir = w.dir;
        if (!inode_ops(dir)->changeable) {
                r = lookup_fixed(c, dir, &w, &i);
                if (r <= CALL_WAIT)
                        return r;
                return !r ? -EEXIST : dir->kind == INODE_PROC ? -ENOENT : unchangeable(dir);
        }
        lock(LOCK_INODE, dir);
        lock(LOCK_CHILD, dir);
        dir_find(dir, w.last, w.last_len, &p);
        if (p.found)
                return -EEXIST;
        if (w.trailing_slash && !S_ISDIR(mode))
                return -ENOENT;
        r = may_create(dir);
        if (r)
                return r;
        if ((S_ISCHR(mode) || S_ISBLK(mode)) && !capable(CAP_MKNOD))
                return -EPERM;
        if (S_ISDIR(mode) && dir->nlink >= NLINK_MAX)
                return -EMLINK;
        r = dir_room(dir, &p, w.last_len);
        if (r)
                return r;
        if (!space_room(SMALL_CHANGE))
                return -ENOSPC;
        watches_touch_self(dir);
        changes(c);
        inode_creation(dir, &mode, &gid);
        i = inode_new(dir->dev, INODE_FS, mode, cred_current()->fsuid, gid);
        i->rdev = n->rdev;
        if (n->target)
                inode_set_symlink(i, n->target, n->target_len);
        inode_link(i);
        if (S_ISDIR(mode)) {
                i->nlink = 2;
                dir->nlink++;
        }
        dir_insert(dir, &p, w.last, w.last_len, i);
        inode_touch_times(dir, true);
        if (unlikely(dir->watches))
                notify_name(dir, IN_CREATE | (S_ISDIR(mode) ? IN_ISDIR : 0), w.last, w.last_len, 0);
        object_put(i);
        return 0;
}

static uint32_t masked(uint64_t mode)
{
        return (uint32_t)mode & 07777 & ~fs_current()->umask;
}

static long mkdir_at(struct call *c, int dirfd, uint64_t path, uint64_t mode)
{
        return make(c, dirfd, path, &(struct new_node){.mode = S_IFDIR | (masked(mode) & 01777)});
}

long sys_mkdir(struct call *c)
{
        return mkdir_at(c, AT_FDCWD, c->arg[0], c->arg[1]);
}

long sys_mkdirat(struct call *c)
{
        return mkdir_at(c, (int)c->arg[0], c->arg[1], c->arg[2]);
}

static long mknod_at(struct call *c, int dirfd, uint64_t path, uint64_t mode, uint64_t dev)
{
        struct new_node n = {.mode = masked(mode) | ((uint32_t)mode & S_IFMT)};

        switch (n.mode & S_IFMT) {
        case 0:
                n.mode |= S_IFREG;
                break;
        case S_IFREG:
        case S_IFIFO:
        case S_IFSOCK:
                break;
        case S_IFCHR:
        case S_IFBLK:
                n.rdev = (uint32_t)dev;
                break;
        case S_IFDIR:
                return -EPERM;
        default:
                return -EINVAL;
        }
        return make(c, dirfd, path, &n);
}

long sys_mknod(struct call *c)
{
        return mknod_at(c, AT_FDCWD, c->arg[0], c->arg[1], c->arg[2]);
}

long sys_mknodat(struct call *c)
{
        return mknod_at(c, (int)c->arg[0], c->arg[1], c->arg[2], c->arg[3]);
}

static long symlink_at(struct call *c, uint64_t target, int dirfd, uint64_t path)
{
        struct new_node n = {.mode = S_IFLNK | 0777};
        char *text;
        long r = path_copy(c, target, &text);

        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        n.target = text;
        n.target_len = (unsigned)r;
        return make(c, dirfd, path, &n);
}

long sys_symlink(struct call *c)
{
        return symlink_at(c, c->arg[0], AT_FDCWD, c->arg[1]);
}

long sys_symlinkat(struct call *c)
{
        return symlink_at(c, c->arg[0], (int)c->arg[1], c->arg[2]);
}

/* For AF_UNIX bind: a node of type S_IFSOCK at path; *out borrowed until the section ends. 0 after the change, or an error (EEXIST is theirs to turn into EADDRINUSE). */
long vfs_make_socket(struct call *c, const char *path, uint32_t mode, struct inode **out)
{
        struct dir_place p;
        struct inode *i;
        struct walk w;
        uint32_t gid;
        long r = path_walk_kernel(c, NULL, path, WALK_PARENT | WALK_NO_LOOKUP, &w);

        if (r)
                return r;
        if (w.last_type != LAST_NAME)
                return -EEXIST;
        if (!inode_ops(w.dir)->changeable)
                return unchangeable(w.dir);
        lock(LOCK_INODE, w.dir);
        lock(LOCK_CHILD, w.dir);
        dir_find(w.dir, w.last, w.last_len, &p);
        if (p.found)
                return -EEXIST;
        if (w.trailing_slash)
                return -ENOENT;
        r = may_create(w.dir);
        if (!r)
                r = dir_room(w.dir, &p, w.last_len);
        if (r)
                return r;
        if (!space_room(SMALL_CHANGE))
                return -ENOSPC;
        watches_touch_self(w.dir);
        changes(c);
        mode = S_IFSOCK | (mode & 0777 & ~fs_current()->umask);
        inode_creation(w.dir, &mode, &gid);
        i = inode_new(w.dir->dev, INODE_FS, mode, cred_current()->fsuid, gid);
        inode_link(i);
        dir_insert(w.dir, &p, w.last, w.last_len, i);
        inode_touch_times(w.dir, true);
        if (w.dir->watches)
                notify_name(w.dir, IN_CREATE, w.last, w.last_len, 0);
        unlock(LOCK_CHILD, w.dir);
        unlock(LOCK_INODE, w.dir);
        object_put(i);
        *out = i;
        return 0;
}

static long link_at(struct call *c, int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t flags)
{
        struct dir_place p;
        struct inode *i, *dir;
        struct walk w;
        long r;

        if (flags & ~(uint64_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
                return -EINVAL;
        if (flags & AT_EMPTY_PATH && !capable(CAP_DAC_READ_SEARCH))
                return -ENOENT;
        r = path_walk(c, from_fd, from,
                      (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), &w);
        if (r)
                return r;
        i = w.inode;
        r = path_walk(c, to_fd, to, WALK_PARENT | WALK_NO_LOOKUP, &w);
        if (r)
                return r;
        if (w.last_type != LAST_NAME)
                return -EEXIST;
        dir = w.dir;
        if (dir->dev != i->dev)
                return -EXDEV;
        if (!inode_ops(dir)->changeable)
                return unchangeable(dir);
        lock(LOCK_INODE, dir);
        lock(LOCK_CHILD, dir);
        dir_find(dir, w.last, w.last_len, &p);
        if (p.found)
                return -EEXIST;
        if (w.trailing_slash)
                return -ENOENT;
        r = may_create(dir);
        if (r)
                return r;
        if (S_ISDIR(i->mode))
                return -EPERM;
        if (!i->nlink && !(i->iflags & INODE_LINKABLE))
                return -ENOENT;
        if (i->nlink >= NLINK_MAX)
                return -EMLINK;
        r = dir_room(dir, &p, w.last_len);
        if (r)
                return r;
        watches_touch_self(dir);
        watches_touch_self(i);
        changes(c);
        if (!inode_link_again(i)) {
                if (!(__atomic_fetch_and(&i->iflags, ~INODE_LINKABLE, __ATOMIC_RELAXED) & INODE_LINKABLE))
                        return -ENOENT;
                inode_link(i);
        }
        dir_insert(dir, &p, w.last, w.last_len, i);
        inode_touch_times(dir, true);
        inode_touch_times(i, false);
        if (unlikely(i->watches))
                notify_self(i, IN_ATTRIB);
        if (unlikely(dir->watches))
                notify_name(dir, IN_CREATE, w.last, w.last_len, 0);
        return 0;
}

long sys_link(struct call *c)
{
        return link_at(c, AT_FDCWD, c->arg[0], AT_FDCWD, c->arg[1], 0);
}

long sys_linkat(struct call *c)
{
        return link_at(c, (int)c->arg[0], c->arg[1], (int)c->arg[2], c->arg[3], c->arg[4]);
}

/* ---- removal -------------------------------------------------------------------------------------------------------------- */

static long unlink_at(struct call *c, int dirfd, uint64_t path)
{
        struct dir_place p;
        struct inode *dir, *i;
        struct walk w;
        long r;

        r = path_walk(c, dirfd, path, WALK_PARENT | WALK_NO_LOOKUP, &w);
        if (r)
                return r;
        if (w.last_type != LAST_NAME)
                return -EISDIR;
        dir = w.dir;
        if (!inode_ops(dir)->changeable) {
                r = lookup_fixed(c, dir, &w, &i);
                return r ? r : S_ISDIR(i->mode) ? -EISDIR : unchangeable(dir);
        }
        lock(LOCK_INODE, dir);
        dir_find(dir, w.last, w.last_len, &p);
        if (!p.found)
                return -ENOENT;
        i = p.entry.inode;
        if (w.trailing_slash)
                return S_ISDIR(i->mode) ? -EISDIR : -ENOTDIR;
        r = may_delete(dir, i);
        if (r)
                return r;
        if (S_ISDIR(i->mode))
                return -EISDIR;
        if (i->mounted)
                return -EBUSY;
        watches_touch_self(dir);
        watches_touch_self(i);
        changes(c);
        if (unlikely(i->watches))
                notify_self(i, IN_ATTRIB);
        if (unlikely(dir->watches))
                notify_name(dir, IN_DELETE, w.last, w.last_len, 0);
        dir_remove(dir, &p);
        inode_touch_times(dir, true);
        i->ctime_ns = dir->ctime_ns;
        inode_note_change(i);
        inode_unlink(i);
        return 0;
}

static long rmdir_at(struct call *c, int dirfd, uint64_t path)
{
        struct dir_place p;
        struct inode *dir, *i;
        struct walk w;
        long r;

        r = path_walk(c, dirfd, path, WALK_PARENT | WALK_NO_LOOKUP, &w);
        if (r)
                return r;
        if (w.last_type != LAST_NAME)
                return w.last_type == LAST_DOT ? -EINVAL : w.last_type == LAST_DOTDOT ? -ENOTEMPTY : -EBUSY;
        dir = w.dir;
        if (!inode_ops(dir)->changeable) {
                r = lookup_fixed(c, dir, &w, &i);
                return r ? r : S_ISDIR(i->mode) ? unchangeable(dir) : -ENOTDIR;
        }
        lock(LOCK_INODE, dir);
        dir_find(dir, w.last, w.last_len, &p);
        if (!p.found)
                return -ENOENT;
        i = p.entry.inode;
        r = may_delete(dir, i);
        if (r)
                return r;
        if (!S_ISDIR(i->mode))
                return -ENOTDIR;
        if (i->mounted || i == fs_current()->root)
                return -EBUSY;
        lock(LOCK_CHILD, i);
        if (i->nentries)
                return -ENOTEMPTY;
        watches_touch_self(dir);
        watches_touch_self(i);
        changes(c);
        if (unlikely(dir->watches))
                notify_name(dir, IN_DELETE | IN_ISDIR, w.last, w.last_len, 0);
        dir_remove(dir, &p);
        dir->nlink--;
        inode_touch_times(dir, true);
        i->ctime_ns = dir->ctime_ns;
        inode_note_change(i);
        inode_nameless(i);
        return 0;
}

long sys_unlink(struct call *c)
{
        return unlink_at(c, AT_FDCWD, c->arg[0]);
}

long sys_rmdir(struct call *c)
{
        return rmdir_at(c, AT_FDCWD, c->arg[0]);
}

long sys_unlinkat(struct call *c)
{
        if (c->arg[2] & ~(uint64_t)AT_REMOVEDIR)
                return -EINVAL;
        return c->arg[2] ? rmdir_at(c, (int)c->arg[0], c->arg[1]) : unlink_at(c, (int)c->arg[0], c->arg[1]);
}

/* ---- rename --------------------------------------------------------------------------------------------------------------- */

struct rename {
        struct walk from, to;
        struct dir_place at, over;
        uint32_t flags;
};

/* Is `above` on the way from dir to its root? LOCK_RENAME is held: nothing moves. */
static bool is_ancestor(const struct inode *above, const struct inode *dir)
{
        for (; dir; dir = dir->parent) {
                if (dir == above)
                        return true;
        }
        return false;
}

static long rename_check(struct rename *m)
{
        struct inode *od = m->from.dir, *nd = m->to.dir, *i, *over;
        bool exchange = m->flags & RENAME_EXCHANGE;
        long r;

        if (!m->at.found)
                return -ENOENT;
        i = m->at.entry.inode;
        over = m->over.found ? m->over.entry.inode : NULL;
        if (over && m->flags & RENAME_NOREPLACE)
                return -EEXIST;
        if (!over && exchange)
                return -ENOENT;
        if (exchange && !S_ISDIR(over->mode) && m->to.trailing_slash)
                return -ENOTDIR;
        if (!S_ISDIR(i->mode) && (m->from.trailing_slash || (!exchange && m->to.trailing_slash)))
                return -ENOTDIR;
        if (od != nd && S_ISDIR(i->mode) && is_ancestor(i, nd))
                return -EINVAL;
        if (od != nd && over && S_ISDIR(over->mode) && is_ancestor(over, od))
                return exchange ? -EINVAL : -ENOTEMPTY;
        if (i == over)
                return 1; /* two names of one file: nothing to do */
        r = may_delete(od, i);
        if (r)
                return r;
        r = over ? may_delete(nd, over) : may_create(nd);
        if (r)
                return r;
        if (over && !exchange && S_ISDIR(i->mode) != S_ISDIR(over->mode))
                return S_ISDIR(i->mode) ? -ENOTDIR : -EISDIR;
        if (od != nd) { /* ".." inside changes: that is a write to the directory */
                r = S_ISDIR(i->mode) ? inode_permission(i, MAY_WRITE) : 0;
                if (!r && exchange && S_ISDIR(over->mode))
                        r = inode_permission(over, MAY_WRITE);
                if (r)
                        return r;
        }
        if (i->mounted || (over && over->mounted))
                return -EBUSY;
        if (over && !exchange && S_ISDIR(over->mode) && over->nentries)
                return -ENOTEMPTY;
        return 0;
}

static void rename_change(struct rename *m)
{
        struct inode *od = m->from.dir, *nd = m->to.dir, *i = m->at.entry.inode,
                     *over = m->over.found ? m->over.entry.inode : NULL;
        bool dir = S_ISDIR(i->mode), over_dir = over && S_ISDIR(over->mode);
        int64_t now = (int64_t)time_now_coarse_ns();
        uint32_t cookie = 0, is_dir = dir ? IN_ISDIR : 0;

        if (unlikely(od->watches || nd->watches)) {
                rng_bytes(&cookie, sizeof(cookie));
                notify_name(od, IN_MOVED_FROM | is_dir, m->from.last, m->from.last_len, cookie);
                notify_name(nd, IN_MOVED_TO | is_dir, m->to.last, m->to.last_len, cookie);
        }
        if (m->flags & RENAME_EXCHANGE) {
                dir_replace(od, &m->at, over);
                dir_replace(nd, &m->over, i);
                over->parent = od;
                over->name_key = m->at.key;
                over->ctime_ns = now;
                inode_note_change(over);
                od->nlink += (uint32_t)over_dir - (uint32_t)dir;
                nd->nlink += (uint32_t)dir - (uint32_t)over_dir;
        } else {
                if (over)
                        dir_replace(nd, &m->over, i);
                else
                        dir_insert(nd, &m->over, m->to.last, m->to.last_len, i);
                /* The insertion may have moved the old name's place. */
                dir_find(od, m->from.last, m->from.last_len, &m->at);
                dir_remove(od, &m->at);
                od->nlink -= dir;
                nd->nlink += (uint32_t)dir - (uint32_t)over_dir;
                if (over) {
                        over->ctime_ns = now;
                        inode_note_change(over);
                        if (over_dir)
                                inode_nameless(over);
                        else
                                inode_unlink(over);
                }
        }
        od->mtime_ns = od->ctime_ns = nd->mtime_ns = nd->ctime_ns = i->ctime_ns = now;
        inode_note_change(od);
        inode_note_change(nd);
        inode_note_change(i);
        if (unlikely(i->watches))
                notify_self(i, IN_MOVE_SELF);
}

/* The root is in no directory. */
static uint32_t parent_dev(const struct walk *w)
{
        return w->dir ? w->dir->dev : w->inode->dev;
}

static long rename_at(struct call *c, int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t flags)
{
        struct inode *victim;
        struct rename m;
        long r;

        if (flags & ~(uint64_t)(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
                return -EINVAL;
        m.flags = (uint32_t)flags;
        r = path_walk(c, from_fd, from, WALK_PARENT | WALK_NO_LOOKUP, &m.from);
        if (r)
                return r;
        r = path_walk(c, to_fd, to, WALK_PARENT | WALK_NO_LOOKUP, &m.to);
        if (r)
                return r;
        if (parent_dev(&m.from) != parent_dev(&m.to))
                return -EXDEV;
        if (m.from.last_type != LAST_NAME)
                return -EBUSY;
        if (m.to.last_type != LAST_NAME)
                return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
        if (!inode_ops(m.from.dir)->changeable)
                return unchangeable(m.from.dir);
        if (m.from.dir != m.to.dir) {
                lock(LOCK_RENAME, fs_state());
                lock2(LOCK_INODE, m.from.dir, m.to.dir);
        } else {
                lock(LOCK_INODE, m.from.dir);
        }
        dir_find(m.from.dir, m.from.last, m.from.last_len, &m.at);
        dir_find(m.to.dir, m.to.last, m.to.last_len, &m.over);
        victim = m.over.found && S_ISDIR(m.over.entry.inode->mode) && !(flags & RENAME_EXCHANGE) ? m.over.entry.inode
                                                                                                 : NULL;
        if (victim && victim != m.to.dir)
                lock2(LOCK_CHILD, m.to.dir, victim);
        else
                lock(LOCK_CHILD, m.to.dir);
        r = rename_check(&m);
        if (r)
                return r == 1 ? 0 : r;
        if (!m.over.found) {
                r = dir_room(m.to.dir, &m.over, m.to.last_len);
                if (r)
                        return r;
        }
        watches_touch_self(m.from.dir);
        watches_touch_self(m.to.dir);
        watches_touch_self(m.at.entry.inode);
        if (m.over.found)
                watches_touch_self(m.over.entry.inode);
        changes(c);
        rename_change(&m);
        return 0;
}

long sys_rename(struct call *c)
{
        return rename_at(c, AT_FDCWD, c->arg[0], AT_FDCWD, c->arg[1], 0);
}

long sys_renameat(struct call *c)
{
        return rename_at(c, (int)c->arg[0], c->arg[1], (int)c->arg[2], c->arg[3], 0);
}

long sys_renameat2(struct call *c)
{
        return rename_at(c, (int)c->arg[0], c->arg[1], (int)c->arg[2], c->arg[3], c->arg[4]);
}

/* ---- readlink ------------------------------------------------------------------------------------------------------------- */

static long readlink_at(struct call *c, int dirfd, uint64_t path, uint64_t buf, uint64_t size)
{
        const char *target;
        struct inode *jump;
        struct file *magic;
        struct walk w;
        uint32_t len;
        long r;

        if ((int32_t)size <= 0)
                return -EINVAL;
        r = path_walk(c, dirfd, path, WALK_EMPTY, &w);
        if (r)
                return r;
        if (!S_ISLNK(w.inode->mode))
                return w.last_type == LAST_ROOT && dirfd != AT_FDCWD ? -ENOENT : -EINVAL;
        r = inode_readlink(c, w.inode, &target, &len, &jump, &magic);
        if (r)
                return r;
        len = MIN(len, (uint32_t)size);
        return copy_out(c, buf, target, len) ? (long)len : user_fault(c);
}

long sys_readlink(struct call *c)
{
        return readlink_at(c, AT_FDCWD, c->arg[0], c->arg[1], c->arg[2]);
}

long sys_readlinkat(struct call *c)
{
        return readlink_at(c, (int)c->arg[0], c->arg[1], c->arg[2], c->arg[3]);
}
