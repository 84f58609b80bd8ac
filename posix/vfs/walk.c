/*
 * walk.c - from a path to an inode.
 * No references are taken: what is found stays readable until the section ends. Each component: search permission on the directory, lookup (under the
 * directory's lock), mounts crossed, symlinks followed. A symlink's target is read where it stands in the space; what was left of the path around it waits on
 * a stack of at most 40, and the walk goes on with a path whose last component is last only if that stack is empty.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

static struct vfs_scratch *scratches[MAX_CPUS];

struct vfs_scratch *vfs_scratch(void)
{
        unsigned cpu = cpu_this()->id;
        struct vfs_scratch *s = scratches[cpu];

        if (unlikely(!s)) {
                s = vmalloc(ALIGN_UP(sizeof(*s), PAGE_SIZE));
                if (!s)
                        return NULL;
                memset(s, 0, sizeof(*s));
                scratches[cpu] = s;
        }
        return s;
}

struct inode *scratch_inode(void)
{
        struct vfs_scratch *s = vfs_scratch();

        /* A walk needs the one it stands on and the next: older ones may be used again. */
        return s ? &s->inode[s->next_inode++ % SCRATCH_INODES] : NULL;
}

/* Linux's rules: owner's bits for the owner, else the group's for a member, else the others'; capabilities on top. */
int inode_permission_as(const struct cred *cr, struct inode *i, unsigned may)
{
        unsigned mode = i->mode;

        if (cr->fsuid == i->uid)
                mode >>= 6;
        else if ((mode >> 3 & 7) != (mode & 7) && cred_in_group(cr, i->gid))
                mode >>= 3;
        if (may & MAY_WRITE && unlikely(inode_read_only(i)) &&
            (S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode)))
                return -EROFS;
        if (likely((mode & may) == may))
                return 0;
        if (S_ISDIR(i->mode)) {
                if (!(may & MAY_WRITE) && cred_capable(cr, CAP_DAC_READ_SEARCH))
                        return 0;
                return cred_capable(cr, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
        }
        if (may == MAY_READ && cred_capable(cr, CAP_DAC_READ_SEARCH))
                return 0;
        /* Nobody executes what nobody may execute. */
        if ((!(may & MAY_EXEC) || i->mode & 0111) && cred_capable(cr, CAP_DAC_OVERRIDE))
                return 0;
        return -EACCES;
}

int inode_permission(struct inode *i, unsigned may)
{
        return inode_permission_as(cred_current(), i, may);
}

/* Credentials as access(2) sees them: the real ids, and capabilities for real root only. */
void cred_real(struct cred *as)
{
        const struct cred *cr = cred_current();

        *as = *cr;
        as->fsuid = cr->uid;
        as->fsgid = cr->gid;
        as->cap_effective = cr->uid ? 0 : cr->cap_permitted;
}

static struct inode *cross_down(struct inode *i)
{
        while (unlikely(i->mounted != NULL))
                i = i->mounted;
        return i;
}

/* ".." of a directory: never above root; from a mounted root to what it covers, then up. */
static struct inode *parent_of(struct inode *i, const struct inode *root)
{
        struct inode *up;

        while (i != root && i->mount_point)
                i = i->mount_point;
        if (i == root)
                return i;
        up = inode_ops(i)->parent ? inode_ops(i)->parent(i) : i->parent;
        return up ? cross_down(up) : i;
}

static long lookup(struct call *c, struct inode *dir, const char *name, unsigned len, struct inode **out)
{
        if (likely(dir->kind == INODE_FS)) {
                lock(LOCK_INODE, dir);
                *out = dir_lookup(dir, name, len);
                unlock(LOCK_INODE, dir);
                return *out ? 0 : -ENOENT;
        }
        if (!inode_ops(dir)->lookup)
                return -ENOENT;
        return inode_ops(dir)->lookup(c, dir, name, len, out);
}

long inode_readlink(struct call *c, struct inode *i, const char **target, uint32_t *len, struct inode **jump,
                    struct file **magic)
{
        *jump = NULL;
        *magic = NULL;
        if (i->symlink) {
                *target = i->symlink;
                *len = (uint32_t)i->size;
                return 0;
        }
        if (!inode_ops(i)->readlink)
                return -EINVAL;
        return inode_ops(i)->readlink(c, i, target, len, jump, magic);
}

static long walk_path(struct call *c, struct inode *start, const char *p, unsigned flags, const struct cred *cr,
                      struct walk *w)
{
        struct inode *fs_root = fs_current()->root, *root = flags & WALK_IN_ROOT ? start : fs_root;
        const char *rest[LINKS_MAX];
        unsigned depth = 0, links = 0;
        struct inode *dir = NULL, *i = start;
        bool must_dir = flags & WALK_DIRECTORY;

        w->magic = NULL;
        w->last = NULL;
        w->last_len = 0;
        w->last_type = LAST_ROOT;
        w->trailing_slash = false;
        if (*p == '/') {
                if (flags & WALK_BENEATH)
                        return -EXDEV;
                if (flags & WALK_NO_XDEV && root->dev != i->dev)
                        return -EXDEV;
                i = root;
        }
        for (;;) {
                const char *name, *after;
                unsigned len = 0;
                struct inode *next, *jump;
                bool last;
                long r;

                while (*p == '/')
                        p++;
                if (!*p) {
                        if (!depth)
                                break;
                        p = rest[--depth];
                        continue;
                }
                name = p;
                while (*p && *p != '/')
                        p++;
                len = (unsigned)(p - name);
                for (after = p; *after == '/'; after++)
                        ;
                last = !*after && depth == 0;
                if (last && *p == '/')
                        w->trailing_slash = true;
                if (unlikely(!S_ISDIR(i->mode)))
                        return -ENOTDIR;
                if (unlikely(i->kind == INODE_FUSE)) {
                        r = flags & WALK_NO_WAIT ? -EOPNOTSUPP : inode_refresh(c, i);
                        if (r)
                                return r;
                }
                r = inode_permission_as(cr, i, MAY_EXEC);
                if (unlikely(r))
                        return r;
                if (unlikely(len > NAME_MAX_LEN))
                        return -ENAMETOOLONG;
                if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))) {
                        if (last)
                                w->last_type = len == 1 ? LAST_DOT : LAST_DOTDOT;
                        if (last && flags & WALK_PARENT) {
                                w->last = name;
                                w->last_len = len;
                        }
                        if (len == 2) {
                                struct inode *up = parent_of(i, root);

                                if (flags & WALK_BENEATH && i == start)
                                        return -EXDEV;
                                if (flags & WALK_NO_XDEV && up->dev != i->dev)
                                        return -EXDEV;
                                i = up;
                        }
                        dir = i;
                        if (last)
                                break;
                        continue;
                }
                if (last) {
                        w->last = name;
                        w->last_len = len;
                        w->last_type = LAST_NAME;
                        if (flags & WALK_NO_LOOKUP) {
                                w->dir = i;
                                w->inode = NULL;
                                return 0;
                        }
                }
                r = lookup(c, i, name, len, &next);
                if (unlikely(r)) {
                        if (r != -ENOENT || !last || !(flags & WALK_PARENT))
                                return r;
                        w->dir = i;
                        w->inode = NULL;
                        return 0;
                }
                if (unlikely(next->mounted != NULL)) {
                        if (flags & WALK_NO_XDEV)
                                return -EXDEV;
                        next = cross_down(next);
                }
                if (likely(!S_ISLNK(next->mode)) || (last && !(flags & WALK_FOLLOW) && !w->trailing_slash)) {
                        dir = i;
                        i = next;
                        if (last)
                                break;
                        continue;
                }
                if (last && !(flags & WALK_FOLLOW) &&
                    flags & WALK_PARENT) { /* names that end in '/' are the caller's to judge */
                        dir = i;
                        i = next;
                        break;
                }
                /* A symlink on the way, or at the end and to be followed. */
                if (flags & WALK_NO_LINKS || ++links > LINKS_MAX)
                        return -ELOOP;
                {
                        const char *target;
                        uint32_t target_len;
                        struct file *magic;

                        r = inode_readlink(c, next, &target, &target_len, &jump, &magic);
                        if (r)
                                return r;
                        if (jump) {
                                if (flags & WALK_NO_MAGIC)
                                        return -ELOOP;
                                if (flags & (WALK_BENEATH | WALK_IN_ROOT) ||
                                    (flags & WALK_NO_XDEV && jump->dev != i->dev))
                                        return -EXDEV;
                                dir = i;
                                i = jump;
                                if (last) {
                                        w->magic = magic;
                                        break;
                                }
                                continue;
                        }
                        if (*after)
                                rest[depth++] = after;
                        must_dir |= last && w->trailing_slash;
                        p = target;
                        if (*p == '/') {
                                if (flags & WALK_BENEATH)
                                        return -EXDEV;
                                if (flags & WALK_NO_XDEV && root->dev != i->dev)
                                        return -EXDEV;
                                i = root;
                        } else if (!*p) {
                                return -ENOENT;
                        }
                        w->last_type = LAST_ROOT;
                }
        }
        w->dir = dir;
        w->inode = i;
        if ((must_dir || (w->trailing_slash && !(flags & WALK_PARENT))) && !S_ISDIR(i->mode))
                return -ENOTDIR;
        return 0;
}

long path_walk_kernel(struct call *c, struct inode *start, const char *path, unsigned flags, struct walk *w)
{
        return walk_path(c, start ? start : fs_current()->cwd, path, flags, cred_current(), w);
}

long decode_dirfd(struct call *c, int dirfd, struct inode **start)
{
        struct file *f;

        if (dirfd == AT_FDCWD) {
                *start = c->thread->proc->fs->cwd;
                return 0;
        }
        f = fd_lookup(c, (uint64_t)(uint32_t)dirfd);
        if (!f)
                return -EBADF;
        *start = f->inode;
        return 0;
}

/* Path from user memory into one of this section's two buffers; *buf stays good to its end. */
long path_copy(struct call *c, uint64_t user_path, char **buf)
{
        struct vfs_scratch *s = vfs_scratch();
        long len;

        if (!s)
                return -ENOMEM;
        *buf = s->path[s->paths++ & 1];
        len = copy_string(c, *buf, user_path, PATH_MAX_LEN);
        if (unlikely(len < 0))
                return len == -EFAULT ? user_fault(c) : len;
        return len;
}

long path_walk(struct call *c, int dirfd, uint64_t user_path, unsigned flags, struct walk *w)
{
        struct inode *start;
        char *path;
        long r = path_copy(c, user_path, &path);

        if (unlikely(r < 0))
                return r;
        if (unlikely(!*path)) {
                struct file *f;

                if (!(flags & WALK_EMPTY))
                        return -ENOENT;
                r = decode_dirfd(c, dirfd, &start);
                if (r)
                        return r;
                f = dirfd == AT_FDCWD ? NULL : fd_lookup(c, (uint64_t)(uint32_t)dirfd);
                *w = (struct walk){.inode = start, .dir = start->parent, .magic = f, .last_type = LAST_ROOT};
                return flags & WALK_DIRECTORY && !S_ISDIR(start->mode) ? -ENOTDIR : 0;
        }
        if (likely(dirfd == AT_FDCWD) || (*path == '/' && !(flags & (WALK_IN_ROOT | WALK_BENEATH)))) {
                start = c->thread->proc->fs->cwd;
        } else {
                r = decode_dirfd(c, dirfd, &start);
                if (r)
                        return r;
                if (*path != '/' && !S_ISDIR(start->mode))
                        return -ENOTDIR;
        }
        if (unlikely(flags & WALK_REAL_IDS)) {
                struct cred real;

                cred_real(&real);
                return walk_path(c, start, path, flags, &real, w);
        }
        return walk_path(c, start, path, flags, cred_current(), w);
}
