/*
 * inode.c - inodes: made, named, kept, ended.
 * References: directory entries do not count one each; while nlink > 0 the inode holds itself (field `held`), so that a name costs one counter and the
 * directory blocks need no walk to check counts (P12). Open files, working directories, areas and mounts count as everywhere.
 * A computed inode (/proc, /sys) is volatile until inode_hold() makes a real copy of it.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/include/time.h"
#include "kernel/lib/string.h"

uint64_t time_now_coarse_ns(void)
{
        return time_real_ns();
}

struct inode *inode_new(uint32_t dev, enum inode_kind kind, uint32_t mode, uint32_t uid, uint32_t gid)
{
        struct inode *i = object_new(TYPE_INODE);

        i->ino = __atomic_fetch_add(&fs_state()->next_ino, 1, __ATOMIC_RELAXED);
        i->dev = dev;
        i->kind = (uint8_t)kind;
        i->mode = mode;
        i->uid = uid;
        i->gid = gid;
        i->atime_ns = i->mtime_ns = i->ctime_ns = i->btime_ns = (int64_t)time_now_coarse_ns();
        i->changed_epoch = snapshot_epoch();
        i->data.kind = PAGE_FILE;
        if (inode_is(i, S_IFDIR))
                i->size = 40; /* what tmpfs shows for an empty one */
        return i;
}

/* Names of one inode come and go under the locks of different directories: the counter is atomic, and who moves it from or to zero sees to `held`. */
void inode_link(struct inode *i)
{
        if (__atomic_add_fetch(&i->nlink, 1, __ATOMIC_RELAXED) == 1) {
                i->held = i;
                object_get(i);
        }
}

/* One more name for an inode that has one; false: it has none any more. */
bool inode_link_again(struct inode *i)
{
        uint32_t n = READ_ONCE(i->nlink);

        do {
                if (n == 0)
                        return false;
        } while (!__atomic_compare_exchange_n(&i->nlink, &n, n + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
        return true;
}

void inode_unlink(struct inode *i)
{
        if (__atomic_sub_fetch(&i->nlink, 1, __ATOMIC_RELAXED) == 0)
                inode_nameless(i);
}

void inode_nameless(struct inode *i)
{
        i->nlink = 0;
        if (i->held) {
                i->held = NULL;
                object_put(i);
        }
}

struct inode *inode_hold(struct inode *i)
{
        struct inode *real;

        if (likely(!inode_is_volatile(i))) {
                object_get(i);
                return i;
        }
        real = object_new(TYPE_INODE);
        *real = *i;
        object_init(real, TYPE_INODE);
        object_get(real->priv);
        return real;
}

struct inode *inode_anonymous(uint32_t mode, const char *kind)
{
        struct cred *cr = thread_current() ? cred_current() : NULL;
        struct inode *i = inode_new(ANON_DEV, INODE_ANON, mode, cr ? cr->fsuid : 0, cr ? cr->fsgid : 0);

        (void)kind;
        return i;
}

/* Pages that one call of the release below takes out; a leaf's record is all that is written of it. */
void inode_release_touch(void *o)
{
        struct inode *i = o;
        uint64_t at = 0;
        struct dir_entry e;

        if (ptree_next(&i->data, &at))
                return;
        if (inode_is(i, S_IFDIR) && i->nentries && dir_next(i, 0, &e)) {
                struct dir_place p;

                dir_find(i, e.name, e.len, &p);
                (void)READ_ONCE(e.inode->nlink);
                return;
        }
        if (i->priv)
                (void)READ_ONCE(i->priv->refs);
        if (i->mounted)
                (void)READ_ONCE(i->mounted->obj.refs);
        watches_touch_self(i);
        xattrs_touch(i);
}

bool inode_release(void *o)
{
        struct inode *i = o;
        struct dir_entry e;
        uint64_t at = 0;

        if (i->data.root && ptree_next(&i->data, &at)) {
                ptree_remove(&i->data, at, ~0ul, PTREE_BUDGET);
                return true;
        }
        if (inode_is(i, S_IFDIR) && i->nentries && dir_next(i, 0, &e)) { /* a file system was unmounted: name by name */
                struct dir_place p;

                dir_find(i, e.name, e.len, &p);
                dir_remove(i, &p);
                if (inode_is(e.inode, S_IFDIR)) {
                        e.inode->nlink = 1;
                        e.inode->parent = NULL;
                }
                inode_unlink(e.inode);
                return true;
        }
        dir_free(i);
        watches_inode_gone(i);
        xattrs_free(i);
        space_free_bytes(i->symlink);
        object_put(i->priv);
        object_put(i->mounted);
        space_free(i);
        return false;
}
