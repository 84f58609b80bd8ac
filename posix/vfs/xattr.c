/*
 * xattr.c - extended attributes: all of an inode's in one byte block, rebuilt when one changes. At most 64 KiB together, so that a rebuild fits one section.
 * LOCK_INODE guards the block.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"
#include <linux/inotify.h>
#include <linux/limits.h>
#include <linux/xattr.h>

struct xattr_entry {
        uint32_t name_len, value_len;
        char bytes[];
}; /* name, then value; padded to 8 */

static size_t entry_size(size_t name_len, size_t value_len)
{
        return ALIGN_UP(sizeof(struct xattr_entry) + name_len + value_len, 8ul);
}

static struct xattr_entry *entry_at(const struct xattr_block *b, size_t at)
{
        return (struct xattr_entry *)(b->entries + at);
}

static struct xattr_entry *find(const struct xattr_block *b, const char *name, size_t len)
{
        for (size_t at = 0; b && at < b->used;) {
                struct xattr_entry *e = entry_at(b, at);

                if (e->name_len == len && memcmp(e->bytes, name, len) == 0)
                        return e;
                at += entry_size(e->name_len, e->value_len);
        }
        return NULL;
}

bool xattrs_sound(const struct xattr_block *b)
{
        size_t at = 0;

        while (at < b->used) {
                const struct xattr_entry *e = entry_at(b, at);
                size_t left = b->used - at;

                if (left < sizeof(*e) || e->name_len > XATTR_NAME_MAX || e->value_len > XATTR_SIZE_MAX ||
                    entry_size(e->name_len, e->value_len) > left)
                        return false;
                at += entry_size(e->name_len, e->value_len);
        }
        return true;
}

/* The attributes of i, to read; LOCK_INODE held. NULL: none, or *error. */
static const struct xattr_block *block_of(struct call *c, struct inode *i, long *error)
{
        *error = 0;
        return unlikely(inode_ops(i)->xattrs != NULL) ? inode_ops(i)->xattrs(c, i, error) : i->xattrs;
}

void xattrs_touch(struct inode *i)
{
        if (i->xattrs)
                (void)*(volatile uint32_t *)i->xattrs;
}

void xattrs_free(struct inode *i)
{
        space_free_bytes(i->xattrs);
        i->xattrs = NULL;
}

static bool has_prefix(const char *name, const char *prefix)
{
        return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* May the current thread read or write an attribute of this name on i? */
static long allowed(struct inode *i, const char *name, bool write)
{
        if (has_prefix(name, XATTR_TRUSTED_PREFIX))
                return capable(CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
        if (has_prefix(name, XATTR_SECURITY_PREFIX))
                return write && !capable(CAP_SYS_ADMIN) ? -EPERM : 0;
        if (!has_prefix(name, XATTR_USER_PREFIX))
                return -EOPNOTSUPP;
        if (!S_ISREG(i->mode) && !S_ISDIR(i->mode))
                return write ? -EPERM : -ENODATA;
        if (write && S_ISDIR(i->mode) && i->mode & S_ISVTX && !inode_owner_or_capable(i))
                return -EPERM;
        return inode_permission(i, write ? MAY_WRITE : MAY_READ);
}

static long copy_name(struct call *c, char name[XATTR_NAME_MAX + 1], uint64_t user)
{
        long len = copy_string(c, name, user, XATTR_NAME_MAX + 1);

        if (len == -EFAULT)
                return user_fault(c);
        if (len <= 0)
                return -ERANGE;
        if ((has_prefix(name, XATTR_USER_PREFIX) && len == (long)strlen(XATTR_USER_PREFIX)) ||
            (has_prefix(name, XATTR_TRUSTED_PREFIX) && len == (long)strlen(XATTR_TRUSTED_PREFIX)))
                return -EINVAL;
        return len;
}

/* name's value becomes the `size` bytes at value in user memory; size ~0: the attribute goes. */
static long set(struct call *c, struct inode *i, uint64_t user_name, uint64_t value, size_t size, uint64_t flags)
{
        char name[XATTR_NAME_MAX + 1];
        struct xattr_block *old, *new = NULL;
        struct xattr_entry *e;
        bool remove = size == ~0ul;
        size_t used, need;
        char *copy = NULL;
        long len, r;

        if (flags & ~(uint64_t)(XATTR_CREATE | XATTR_REPLACE))
                return -EINVAL;
        len = copy_name(c, name, user_name);
        if (len < 0)
                return len;
        if (!remove && size > XATTR_SIZE_MAX)
                return -E2BIG;
        if (!remove && size) {
                copy = call_scratch(c, 0, size);
                if (!copy)
                        return -ENOMEM;
                if (!copy_in(c, copy, value, size))
                        return user_fault(c);
        }
        if (inode_read_only(i))
                return -EROFS;
        if (!inode_ops(i)->changeable)
                return -EOPNOTSUPP;
        r = allowed(i, name, true);
        if (r)
                return r;
        watches_touch(i);
        lock(LOCK_INODE, i);
        old = i->xattrs;
        e = find(old, name, (size_t)len);
        if (e && flags & XATTR_CREATE)
                return -EEXIST;
        if (!e && (remove || flags & XATTR_REPLACE))
                return -ENODATA;
        used = (old ? old->used : 0) - (e ? entry_size(e->name_len, e->value_len) : 0);
        need = remove ? 0 : entry_size((size_t)len, size);
        if (used + need > XATTR_BLOCK_MAX)
                return -ENOSPC;
        if (!space_room((used + need) / PAGE_SIZE + 2))
                return -ENOSPC;
        changes(c);
        if (used + need) {
                size_t out = 0;

                new = space_alloc_bytes(sizeof(*new) + used + need);
                for (size_t at = 0; old && at < old->used;) {
                        struct xattr_entry *k = entry_at(old, at);
                        size_t n = entry_size(k->name_len, k->value_len);

                        if (k != e) {
                                memcpy(new->entries + out, k, n);
                                out += n;
                        }
                        at += n;
                }
                if (!remove) {
                        struct xattr_entry *k = entry_at(new, out);

                        k->name_len = (uint32_t)len;
                        k->value_len = (uint32_t)size;
                        memcpy(k->bytes, name, (size_t)len);
                        memcpy(k->bytes + len, copy, size);
                        out += need;
                }
                new->used = (uint32_t)out;
        }
        i->xattrs = new;
        space_free_bytes(old);
        inode_touch_times(i, false);
        unlock(LOCK_INODE, i);
        notify_event(i, IN_ATTRIB, NULL, 0);
        return 0;
}

static long get(struct call *c, struct inode *i, uint64_t user_name, uint64_t value, size_t size)
{
        char name[XATTR_NAME_MAX + 1];
        struct xattr_entry *e;
        long len = copy_name(c, name, user_name), r;

        if (len < 0)
                return len;
        r = allowed(i, name, false);
        if (r)
                return r;
        lock(LOCK_INODE, i);
        e = find(block_of(c, i, &r), name, (size_t)len);
        if (!e)
                return r ? r : -ENODATA;
        if (!size)
                return e->value_len;
        if (e->value_len > size)
                return -ERANGE;
        return copy_out(c, value, e->bytes + e->name_len, e->value_len) ? (long)e->value_len : user_fault(c);
}

static long list(struct call *c, struct inode *i, uint64_t out, size_t size)
{
        const struct xattr_block *b;
        size_t total = 0;
        long r;

        lock(LOCK_INODE, i);
        b = block_of(c, i, &r);
        if (r)
                return r;
        for (size_t at = 0; b && at < b->used;) {
                struct xattr_entry *e = entry_at(b, at);

                at += entry_size(e->name_len, e->value_len);
                if (e->name_len > 8 && memcmp(e->bytes, XATTR_TRUSTED_PREFIX, 8) == 0 && !capable(CAP_SYS_ADMIN))
                        continue;
                if (size) {
                        if (total + e->name_len + 1 > size)
                                return -ERANGE;
                        if (!copy_out(c, out + total, e->bytes, e->name_len) ||
                            !copy_out(c, out + total + e->name_len, "", 1))
                                return user_fault(c);
                }
                total += e->name_len + 1u;
        }
        return (long)total;
}

/* The three ways to name an inode. */
static long by_path(struct call *c, unsigned walk, struct inode **i)
{
        struct walk w;
        long r = path_walk(c, AT_FDCWD, c->arg[0], walk, &w);

        *i = w.inode;
        return r;
}

static long by_fd(struct call *c, unsigned unused, struct inode **i)
{
        struct file *f = fd_lookup_io(c, c->arg[0]);

        (void)unused;
        if (!f)
                return -EBADF;
        *i = f->inode;
        return 0;
}

#define XATTR_CALLS(prefix, find_inode, walk)                                                                          \
        long sys_##prefix##setxattr(struct call *c)                                                                    \
        {                                                                                                              \
                struct inode *i;                                                                                       \
                long r = find_inode(c, walk, &i);                                                                      \
                                                                                                                       \
                if (r)                                                                                                 \
                        return r;                                                                                      \
                return c->arg[3] == ~0ul ? -E2BIG : set(c, i, c->arg[1], c->arg[2], c->arg[3], c->arg[4]);             \
        }                                                                                                              \
        long sys_##prefix##getxattr(struct call *c)                                                                    \
        {                                                                                                              \
                struct inode *i;                                                                                       \
                long r = find_inode(c, walk, &i);                                                                      \
                                                                                                                       \
                return r ? r : get(c, i, c->arg[1], c->arg[2], c->arg[3]);                                             \
        }                                                                                                              \
        long sys_##prefix##listxattr(struct call *c)                                                                   \
        {                                                                                                              \
                struct inode *i;                                                                                       \
                long r = find_inode(c, walk, &i);                                                                      \
                                                                                                                       \
                return r ? r : list(c, i, c->arg[1], c->arg[2]);                                                       \
        }                                                                                                              \
        long sys_##prefix##removexattr(struct call *c)                                                                 \
        {                                                                                                              \
                struct inode *i;                                                                                       \
                long r = find_inode(c, walk, &i);                                                                      \
                                                                                                                       \
                return r ? r : set(c, i, c->arg[1], 0, ~0ul, 0);                                                       \
        }

XATTR_CALLS(, by_path, WALK_FOLLOW)
XATTR_CALLS(l, by_path, 0)
XATTR_CALLS(f, by_fd, 0)
