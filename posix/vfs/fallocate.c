/*
 * fallocate.c - space in files: reserved, punched out, zeroed. In pieces of at most 16 pages, under the inode's owner field when there is more than one.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"
#include <linux/falloc.h>
#include <linux/fs.h>

#define PIECE_PAGES 16u

static long done(struct call *c, struct inode *i, long r)
{
        owners_release(c, NULL, i);
        return r;
}

/* Pages exist from pos on: those missing of the next piece are made. */
static long reserve_piece(struct call *c, struct inode *i, uint64_t end)
{
        uint64_t n = MIN(end - c->pos, PIECE_PAGES * PAGE_SIZE - (c->pos & (PAGE_SIZE - 1))),
                 need = inode_write_room(i, c->pos, n);

        if (need && !space_room(need))
                return -ENOSPC;
        changes(c);
        inode_note_change(i);
        for (uint64_t at = c->pos >> PAGE_SHIFT; at <= (c->pos + n - 1) >> PAGE_SHIFT; at++) {
                if (!ptree_lookup(&i->data, at))
                        ptree_own(&i->data, at);
        }
        c->pos += n;
        return 0;
}

static void zero_part(struct inode *i, uint64_t from, uint64_t to)
{
        ppn_t page = from < to ? ptree_lookup(&i->data, from >> PAGE_SHIFT) : 0;

        if (page)
                memset((char *)space_page(page) + (from & (PAGE_SIZE - 1)), 0, to - from);
}

/*
 * The next piece becomes zero: parts of pages are cleared, whole pages go to an inode of their own, whose end frees them after the
 * mappings are dropped. Unlocks the inode.
 */
static long punch_piece(struct call *c, struct inode *i, uint64_t end)
{
        uint64_t at = c->pos >> PAGE_SHIFT, from = c->pos, to;
        struct inode *hole = NULL;

        if (!ptree_next(&i->data, &at) || at << PAGE_SHIFT >= end) {
                changes(c);
                c->pos = end;
                unlock(LOCK_INODE, i);
                return 0;
        }
        from = MAX(from, at << PAGE_SHIFT);
        to = MIN(end, ALIGN_DOWN(from, PAGE_SIZE) + PIECE_PAGES * PAGE_SIZE);
        (void)inode_write_room(i, from, to - from);
        if (!space_room(PTREE_COST_MAX + SMALL_CHANGE))
                return -ENOSPC;
        changes(c);
        inode_note_change(i);
        zero_part(i, from, MIN(to, ALIGN_UP(from, PAGE_SIZE)));
        if (to >> PAGE_SHIFT >= ALIGN_UP(from, PAGE_SIZE) >> PAGE_SHIFT)
                zero_part(i, MAX(from, ALIGN_DOWN(to, PAGE_SIZE)), to);
        for (at = ALIGN_UP(from, PAGE_SIZE) >> PAGE_SHIFT; at < to >> PAGE_SHIFT; at++) {
                ppn_t page = ptree_lookup(&i->data, at);

                if (!page)
                        continue;
                if (!hole)
                        hole = inode_anonymous(S_IFREG, "hole");
                space_page_ref(page);
                ptree_set(&hole->data, at, page);
        }
        if (hole)
                ptree_remove(&i->data, ALIGN_UP(from, PAGE_SIZE) >> PAGE_SHIFT, to >> PAGE_SHIFT, PTREE_BUDGET);
        c->pos = to;
        unlock(LOCK_INODE, i);
        if (hole)
                mm_unmap_inode(i, ALIGN_UP(from, PAGE_SIZE) >> PAGE_SHIFT, to >> PAGE_SHIFT);
        object_put(hole);
        return 0;
}

long sys_fallocate(struct call *c)
{
        uint64_t mode = c->arg[1], off = c->arg[2], len = c->arg[3], end = off + len;
        struct file *f = c->stage ? c->file : fd_lookup_io(c, c->arg[0]);
        bool punch = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
        struct inode *i;
        long r;

        if ((int64_t)off < 0 || (int64_t)len <= 0)
                return -EINVAL;
        if (mode & ~(uint64_t)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
                return -EOPNOTSUPP;
        if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
                return -EOPNOTSUPP;
        if (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE))
                return -EOPNOTSUPP;
        if (!f || !(f->mode & FMODE_WRITE))
                return -EBADF;
        i = f->inode;
        if (S_ISFIFO(i->mode))
                return -ESPIPE;
        if (S_ISDIR(i->mode))
                return -EISDIR;
        if (f->ops_type != FILE_REGULAR)
                return -ENODEV;
        if ((int64_t)end < 0 || end > FILE_SIZE_MAX)
                return -EFBIG;
        if (c->stage == 0) {
                c->file = f;
                c->pos = off;
                c->stage = 1;
        }
        lock(LOCK_INODE, i);
        r = inode_wait_owner(c, i);
        if (r)
                return r;
        if (c->why == WHY_KILL)
                return done(c, i, -EINTR);
        (void)inode_write_room(i, MAX(end, i->size + 1), 1); /* touches the last page */
        if (punch && i->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
                return done(c, i, -EPERM);
        if (!(mode & FALLOC_FL_KEEP_SIZE) && end > i->size) {
                if (i->seals & F_SEAL_GROW)
                        return done(c, i, -EPERM);
                if (end > rlimit_of(c->thread->proc, RLIMIT_FSIZE)) {
                        changes(c);
                        send_sigxfsz();
                        return done(c, i, -EFBIG);
                }
        }
        if (c->pos < end) {
                uint64_t stop = punch ? MIN(end, ALIGN_UP(i->size, PAGE_SIZE)) : end;

                if (c->pos < stop) {
                        r = punch ? punch_piece(c, i, stop) : reserve_piece(c, i, stop);
                        if (r)
                                return done(c, i, r);
                        if (c->pos < stop) {
                                i->owner = c->thread;
                                return CALL_AGAIN;
                        }
                        if (punch)
                                lock(LOCK_INODE, i);
                }
        }
        changes(c);
        if (!(mode & FALLOC_FL_KEEP_SIZE) && end > i->size) {
                if (i->size & (PAGE_SIZE - 1)) /* what stood behind the old end shows from now on */
                        zero_part(i, i->size, MIN(end, ALIGN_UP(i->size, PAGE_SIZE)));
                i->size = end;
        }
        inode_touch_times(i, true);
        inode_clear_privileges(i);
        return done(c, i, 0);
}
