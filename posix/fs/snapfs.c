/*
 * snapfs.c - file trees of kept snapshots: `mount -t snapshot -o epoch=N snapshot DIR`. Read-only.
 *
 * An inode here is computed, as in /proc: what it shows is an inode of that epoch, named by its address of that time (proc_key[0]) and the epoch (proc_key[1]). All that is behind it
 * (inodes, directory blocks, page trees, symlinks, attributes) is read through persist/old.h: copies, checked, never followed as pointers of today. So a
 * section may wait for a page wherever it reads, as long as it has changed nothing: it is run again.
 * File systems that were mounted in that epoch and are kept in inodes (/tmp, /dev) are shown where they were; of those that are computed only the empty directory.
 * Damaged or strange contents are -EIO, or the end of a directory.
 */
#include "posix/fs/fs_internal.h"
#include "kernel/lib/string.h"
#include "persist/old.h"
#include <linux/fs.h>

struct old {
        uint64_t epoch;
        const struct inode *at; /* old address */
};

static struct old old_of(const struct inode *i)
{
        return (struct old){i->proc_key[1], (const struct inode *)i->proc_key[0]};
}

static const struct inode *old_inode(struct old o)
{
        return old_object(o.epoch, o.at, TYPE_INODE);
}

/* What is mounted over the directory o, if it is made of inodes; the last of them. */
static struct old cross_down(struct old o)
{
        for (unsigned depth = 0; depth < 8; depth++) {
                const struct inode *i = old_inode(o), *over;

                if (!i || !i->mounted)
                        break;
                over = old_inode((struct old){o.epoch, i->mounted});
                if (!over || over->kind != INODE_FS)
                        break;
                o.at = i->mounted;
        }
        return o;
}

/* *i as o was. False: it cannot be read. */
static bool show(struct inode *i, struct old o, uint32_t dev)
{
        const struct inode *was = old_inode(o);

        if (!was)
                return false;
        *i = (struct inode){
                .ino = was->ino,
                .mode = was->mode,
                .nlink = was->nlink,
                .uid = was->uid,
                .gid = was->gid,
                .kind = INODE_SNAP,
                .rdev = was->rdev,
                .dev = dev,
                .size = was->size,
                .atime_ns = was->atime_ns,
                .mtime_ns = was->mtime_ns,
                .ctime_ns = was->ctime_ns,
                .btime_ns = was->btime_ns,
                .data = {.npages = was->data.npages},
                .proc_key = {(uint64_t)o.at, o.epoch},
        };
        return true;
}

/* ---- directories ---- */

static const void *block_at(void *arg, const void *at)
{
        return old_bytes(*(uint64_t *)arg, at, PAGE_SIZE);
}

static long lookup(struct call *c, struct inode *dir, const char *name, unsigned len, struct inode **out)
{
        struct old o = old_of(dir);
        const struct inode *was = old_inode(o);
        struct dir_reader d;
        struct dir_entry e;
        long r;

        (void)c;
        if (!was)
                return -EIO;
        if (was->kind != INODE_FS)
                return -ENOENT;
        d = (struct dir_reader){.root = was->dir, .block = block_at, .arg = &o.epoch};
        r = dir_read_find(&d, name, len, &e);
        if (r)
                return r;
        *out = scratch_inode();
        if (!*out)
                return -ENOMEM;
        return show(*out, cross_down((struct old){o.epoch, e.inode}), dir->dev) ? 0 : -EIO;
}

static bool next(struct inode *dir, uint64_t cookie, struct dir_entry *e)
{
        struct old o = old_of(dir);
        const struct inode *was = old_inode(o);
        struct dir_reader d;

        if (!was || was->kind != INODE_FS)
                return false;
        d = (struct dir_reader){.root = was->dir, .block = block_at, .arg = &o.epoch};
        return dir_read_next(&d, cookie, e);
}

/* The directory above, as it was: NULL and *top: o is the root of that time. */
static bool above(struct old o, struct old *up, bool *top)
{
        const struct inode *i = old_inode(o);

        *top = false;
        for (unsigned depth = 0; i && i->mount_point && depth < 8; depth++) {
                o.at = i->mount_point;
                i = old_inode(o);
        }
        if (!i)
                return false;
        *top = !i->parent;
        *up = (struct old){o.epoch, i->parent};
        return !*top;
}

static struct inode *parent(struct inode *dir)
{
        struct mount *m = mount_of(dir);
        struct inode *i;
        struct old up;
        bool top;

        if (!m || !above(old_of(dir), &up, &top) || (uint64_t)up.at == m->root->proc_key[0])
                return m ? m->root : NULL;
        i = scratch_inode();
        return i && show(i, cross_down(up), dir->dev) ? i : m->root;
}

/* Name of the directory or file o where it was named last; len 0: not found. */
static bool name_of(struct old o, struct old dir, struct dir_entry *e)
{
        const struct inode *i = old_inode(o), *d = old_inode(dir);
        struct dir_reader reader;

        if (!i || !d)
                return false;
        reader = (struct dir_reader){.root = d->dir, .block = block_at, .arg = &dir.epoch};
        return dir_read_next(&reader, i->name_key - 1, e) && e->cookie == i->name_key;
}

static int path(struct inode *inode, char *buf, size_t len)
{
        struct mount *m = mount_of(inode);
        struct old o = old_of(inode), up;
        size_t at = len;
        bool top;

        if (!m)
                return -ENOENT;
        for (unsigned steps = 0; (uint64_t)o.at != m->root->proc_key[0]; steps++) {
                const struct inode *i = old_inode(o);
                struct dir_entry e;

                if (steps == len)
                        return -EIO; /* a circle */
                if (i && i->mount_point) {
                        o.at = i->mount_point;
                        continue;
                }
                if (!above(o, &up, &top) || !name_of(o, up, &e))
                        return -ENOENT;
                if (at < e.len + 1u)
                        return -ENAMETOOLONG;
                at -= e.len;
                memcpy(buf + at, e.name, e.len);
                buf[--at] = '/';
                o = up;
        }
        memmove(buf, buf + at, len - at);
        return (int)(len - at);
}

/* A target lies in one page, and ends there with a zero byte. */
static long readlink(struct call *c, struct inode *i, const char **target, uint32_t *len, struct inode **jump,
                     struct file **magic)
{
        struct old o = old_of(i);
        const struct inode *was = old_inode(o);
        const char *text;

        (void)c;
        (void)jump;
        (void)magic;
        if (!S_ISLNK(i->mode))
                return -EINVAL;
        if (!was || was->size >= PATH_MAX_LEN)
                return -EIO;
        text = old_bytes(o.epoch, was->symlink, was->size + 1);
        if (!text || text[was->size])
                return -EIO;
        *target = text;
        *len = (uint32_t)was->size;
        return 0;
}

/* The attributes' block, checked, in a volatile copy of this run of the call. *error only with NULL. */
static const struct xattr_block *xattrs(struct call *c, struct inode *i, long *error)
{
        struct old o = old_of(i);
        const struct inode *was = old_inode(o);
        struct xattr_block head, *copy;

        *error = -EIO;
        if (!was)
                return NULL;
        if (!was->xattrs) {
                *error = 0;
                return NULL;
        }
        if (!old_copy(o.epoch, was->xattrs, &head, sizeof(head)) || head.used > XATTR_BLOCK_MAX)
                return NULL;
        copy = call_scratch(c, 0, sizeof(head) + head.used);
        if (!copy) {
                *error = -ENOMEM;
                return NULL;
        }
        if (!old_copy(o.epoch, was->xattrs, copy, sizeof(head) + head.used) || copy->used != head.used ||
            !xattrs_sound(copy))
                return NULL;
        return copy;
}

const struct inode_ops snap_inode_ops = {
        .lookup = lookup,
        .next = next,
        .parent = parent,
        .readlink = readlink,
        .path = path,
        .xattrs = xattrs,
        .directory_type = FILE_DIRECTORY,
        .regular_type = FILE_SNAP,
};

/* ---- contents ---- */

/* Page of the file at index: 0 a hole. False: what leads to it cannot be read. */
static bool leaf(uint64_t epoch, const struct ptree *t, uint64_t index, ppn_t *out)
{
        ppn_t p = t->root;

        *out = 0;
        if (!p || t->height > 6 || (index ^ t->base) >> (9 * t->height))
                return true;
        for (unsigned shift = 9 * t->height; p && shift;) {
                const uint64_t *node = old_page(epoch, p);

                if (!node)
                        return false;
                shift -= 9;
                p = node[index >> shift & 511];
        }
        *out = p;
        return true;
}

static long snap_read(struct call *c, struct file *f)
{
        struct old o = old_of(f->inode);
        const struct inode *was = old_inode(o);
        bool positional = c->pos != POS_CURRENT;
        uint64_t pos, size = f->inode->size;
        ppn_t page[PIECE_MAX / PAGE_SIZE + 1];
        size_t n, done = 0;

        if (!was)
                return c->io.done ? (long)c->io.done : -EIO;
        if (!positional)
                lock(LOCK_FILE, f);
        pos = positional ? c->pos : f->pos;
        n = pos < size ? MIN(MIN(c->io.len, size - pos), PIECE_MAX) : 0;
        if (n == 0 || c->why == WHY_KILL || (c->io.done && c->why == WHY_SIGNAL))
                return (long)c->io.done;
        for (uint64_t at = pos >> PAGE_SHIFT, k = 0; at <= (pos + n - 1) >> PAGE_SHIFT; at++, k++) {
                if (!leaf(o.epoch, &was->data, at, &page[k]))
                        return c->io.done ? (long)c->io.done : -EIO;
                if (page[k])
                        old_want(o.epoch, page[k]);
        }
        old_wait();
        while (done < n) {
                size_t in_page = (pos + done) & (PAGE_SIZE - 1), chunk = MIN(n - done, PAGE_SIZE - in_page), got;
                ppn_t ppn = page[((pos + done) >> PAGE_SHIFT) - (pos >> PAGE_SHIFT)];
                const char *from = ppn ? old_page(o.epoch, ppn) : NULL;

                if (ppn && !from) {
                        if (!done && !c->io.done)
                                return -EIO;
                        break;
                }
                got = from ? io_copy_out(&c->io, from + in_page, chunk) : io_zero(&c->io, chunk);
                if (got < chunk) {
                        io_advance(&c->io, got);
                        done += got;
                        if (!done)
                                return user_fault(c);
                        break;
                }
                io_advance(&c->io, chunk);
                done += chunk;
        }
        if (positional) {
                c->pos = pos + done;
        } else {
                changes(c);
                f->pos = pos + done;
        }
        return done == n && c->io.len && pos + done < size ? CALL_AGAIN : (long)c->io.done;
}

static long snap_seek(struct call *c, struct file *f, int64_t off, int whence)
{
        lock(LOCK_FILE, f);
        return file_seek_within(c, f, off, whence, f->inode->size);
}

const struct file_ops snap_file_ops = {.name = "snapshot", .read = snap_read, .seek = snap_seek, .fsync = space_fsync};

/* ---- mounting ---- */

/* Is epoch there and of our kind? Fills *root as its root directory, of device dev. */
long snap_root(uint64_t epoch, uint32_t dev, struct inode *root)
{
        struct old o = {epoch, NULL};
        const struct posix_root *posix = old_root(epoch, ROOT_POSIX);
        const struct fs_state *state;
        uint64_t addr = (uint64_t)posix;

        if (!posix)
                return -ENOENT;
        if (!old_copy(epoch, (const void *)(addr + offsetof(struct posix_root, fs_root)), &o.at, 8) ||
            !old_copy(epoch, (const void *)(addr + offsetof(struct posix_root, fs_state)), &addr, 8))
                return -EINVAL;
        state = old_object(epoch, (const void *)addr, TYPE_FS_STATE);
        if (!state || state->hash_seed != fs_state()->hash_seed)
                return -EINVAL; /* of another kernel, or another file system */
        return show(root, cross_down(o), dev) && S_ISDIR(root->mode) ? 0 : -EINVAL;
}

/* Every boot: what is mounted is in use. */
void snap_boot(void)
{
        for (struct mount *m = fs_state()->mounts; m; m = m->next)
                if (m->type == FS_SNAPSHOT && old_use(m->root->proc_key[1], true))
                        klog(LOG_ERR, "the snapshot of epoch %lu is mounted, but cannot be used", m->root->proc_key[1]);
}
