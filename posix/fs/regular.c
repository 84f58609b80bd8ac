/*
 * regular.c - contents of regular files: pages in a page tree, holes where there is none.
 *
 * A read copies out before the change, which is the new position alone. A write copies in after changes(), in place: it stops short where the user's memory does
 * and records what was done. Pieces are at most 64 KiB; what goes on in another section holds inode->owner (writers wait for each other) and file->pos_owner.
 * Bytes of the last page beyond the size may be anything (a shared mapping can write there); who makes the file longer clears them first.
 * Truncation moves the tail of the tree to an inode of its own, so that no length of file needs more than one section; mappings are dropped between that and
 * the end of the pages.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"
#include <asm/ioctls.h>
#include <linux/fs.h>
#include <linux/inotify.h>
#include <linux/mount.h>

#define DAY_NS (24l * 3600 * 1000000000l)

long inode_wait_owner(struct call *c, struct inode *i)
{
        if (likely(!i->owner) || i->owner == c->thread)
                return 0;
        if (c->why == WHY_KILL)
                return c->io.done ? (long)c->io.done : -EINTR;
        return call_wait(c, CONDITION, &i->owner, KILLABLE, NO_DEADLINE);
}

long file_wait_pos(struct call *c, struct file *f)
{
        if (likely(!f->pos_owner) || f->pos_owner == c->thread)
                return 0;
        if (c->why == WHY_KILL)
                return c->io.done ? (long)c->io.done : -EINTR;
        return call_wait(c, CONDITION, &f->pos_owner, KILLABLE, NO_DEADLINE);
}

void owners_release(struct call *c, struct file *f, struct inode *i)
{
        if (unlikely(f && f->pos_owner == c->thread)) {
                changes(c);
                f->pos_owner = NULL;
                wake(&f->pos_owner);
        }
        if (unlikely(i && i->owner == c->thread)) {
                changes(c);
                i->owner = NULL;
                wake(&i->owner);
        }
}

void inode_accessed(struct file *f)
{
        struct inode *i = f->inode;
        int64_t now;

        if (f->flags & O_NOATIME || fs_state()->any_flags & MS_NOATIME)
                return;
        if (i->atime_ns > i->mtime_ns && i->atime_ns > i->ctime_ns) {
                now = (int64_t)time_now_coarse_ns();
                if (now - i->atime_ns < DAY_NS)
                        return;
        } else {
                now = (int64_t)time_now_coarse_ns();
        }
        i->atime_ns = now;
        inode_note_change(i);
}

/* Copies n bytes from pos to the user; short where the user's memory stops. On a short copy io stands where it was. */
static size_t copy_to_user(struct call *c, struct inode *i, uint64_t pos, size_t n)
{
        struct user_io *io = &c->io;
        struct io_mark start = io_mark(io);
        size_t done = 0;

        for (;;) {
                size_t in_page = pos & (PAGE_SIZE - 1), chunk = MIN(n - done, PAGE_SIZE - in_page), got;
                ppn_t page = ptree_lookup(&i->data, pos >> PAGE_SHIFT);

                got = likely(page) ? io_copy_out(io, (char *)space_page(page) + in_page, chunk) : io_zero(io, chunk);
                if (unlikely(got < chunk)) {
                        done += got;
                        break;
                }
                io_advance(io, chunk);
                done += chunk;
                if (done == n)
                        return n;
                pos += chunk;
        }
        io_reset(io, start); /* the caller decides whether the part counts */
        return done;
}

static long regular_read(struct call *c, struct file *f)
{
        struct inode *i = f->inode;
        bool positional = c->pos != POS_CURRENT;
        size_t len = c->io.len, n = 0, got;
        uint64_t pos = c->pos;
        long r;

        if (unlikely(notify_active))
                watches_touch(i);
        if (!positional) {
                lock(LOCK_FILE, f);
                r = file_wait_pos(c, f);
                if (unlikely(r))
                        return r;
                pos = f->pos;
        }
        lock(LOCK_INODE, i);
        if (likely(pos < i->size))
                n = MIN(MIN(len, i->size - pos), PIECE_MAX);
        if (unlikely(n == 0 || c->why == WHY_KILL)) {
                owners_release(c, f, NULL);
                return (long)c->io.done;
        }
        got = copy_to_user(c, i, pos, n);
        if (unlikely(got < n)) {
                if (!c->fault_failed || got == 0) {
                        r = user_fault(c);
                        if (r != CALL_FAULT)
                                owners_release(c, f, NULL);
                        return r;
                }
                io_advance(&c->io, got);
        }
        if (unlikely(notify_active)) {
                changes(c);
                unlock(LOCK_INODE, i);
                notify_event(i, IN_ACCESS, NULL, 0);
        }
        if (positional) {
                c->pos = pos + got;
                return unlikely(got == n && c->io.len && c->pos < i->size) ? CALL_AGAIN : (long)c->io.done;
        }
        changes(c);
        f->pos = pos + got;
        inode_accessed(f);
        if (unlikely(got == n && c->io.len && f->pos < i->size)) {
                f->pos_owner = c->thread;
                return CALL_AGAIN;
        }
        owners_release(c, f, NULL);
        return (long)c->io.done;
}

uint64_t inode_write_room(struct inode *i, uint64_t pos, size_t len)
{
        uint64_t first = pos >> PAGE_SHIFT, last = (pos + len - 1) >> PAGE_SHIFT, need = 0,
                 tail = i->size >> PAGE_SHIFT;
        bool path_known = false;

        for (uint64_t at = first; at <= last; at++) {
                ppn_t page = ptree_lookup(&i->data, at);

                if (page) {
                        (void)*(volatile char *)space_page(page);
                        continue;
                }
                need += path_known && at % 512 ? 1 : ptree_cost(&i->data, at);
                path_known = true;
        }
        if (pos > i->size && i->size & (PAGE_SIZE - 1) && tail < first) {
                ppn_t page = ptree_lookup(&i->data, tail);

                if (page)
                        (void)*(volatile char *)space_page(page);
        }
        return need;
}

/* The file grows to include `pos`: what stands behind the old end in its page becomes zero. */
static void clear_tail(struct inode *i, uint64_t pos)
{
        uint64_t size = i->size, in_page = size & (PAGE_SIZE - 1);
        ppn_t page;

        if (!in_page || pos <= size)
                return;
        page = ptree_lookup(&i->data, size >> PAGE_SHIFT);
        if (page)
                memset((char *)space_page(page) + in_page, 0, MIN(PAGE_SIZE - in_page, pos - size));
}

/* Page to be written at. A new one is cleared, but for one that will be written whole: *raw says that its contents are undefined. */
static char *page_to_write(struct inode *i, uint64_t index, bool whole, bool *raw)
{
        ppn_t page = ptree_lookup(&i->data, index);

        *raw = !page && whole;
        if (page)
                return space_page(page);
        if (!whole)
                return space_page(ptree_own(&i->data, index));
        page = space_page_alloc(PAGE_FILE);
        ptree_set(&i->data, index, page);
        return space_page(page);
}

void inode_clear_privileges(struct inode *i)
{
        uint32_t bits = i->mode & (S_ISUID | (i->mode & S_IXGRP ? S_ISGID : 0));

        if (unlikely(bits) && !capable(CAP_FSETID))
                i->mode &= ~bits;
}

size_t inode_write_kernel(struct inode *i, uint64_t pos, const void *src, size_t len)
{
        size_t done = 0;
        bool raw;

        clear_tail(i, pos);
        while (done < len) {
                size_t in_page = (pos + done) & (PAGE_SIZE - 1), chunk = MIN(len - done, PAGE_SIZE - in_page);

                memcpy(page_to_write(i, (pos + done) >> PAGE_SHIFT, chunk == PAGE_SIZE, &raw) + in_page,
                       (const char *)src + done, chunk);
                done += chunk;
        }
        if (pos + done > i->size)
                i->size = pos + done;
        inode_touch_times(i, true);
        return done;
}

static long write_end(struct call *c, struct file *f, struct inode *i, long r)
{
        owners_release(c, f, i);
        return c->io.done ? (long)c->io.done : r;
}

/* One piece at pos. LOCK_INODE is held, LOCK_FILE too unless positional, and nobody else owns either. */
long regular_write_locked(struct call *c, struct file *f, bool positional, uint64_t pos)
{
        struct inode *i = f->inode;
        uint64_t limit, need;
        size_t n, done = 0;
        bool raw;
        char probe;
        long r;

        if (unlikely(c->io.len == 0 || c->why == WHY_KILL))
                return write_end(c, f, i, c->io.len ? -EINTR : 0);
        if (f->flags & O_APPEND)
                pos = i->size;
        limit = rlimit_of(c->thread->proc, RLIMIT_FSIZE);
        limit = MIN(limit, FILE_SIZE_MAX);
        if (unlikely(pos >= limit)) {
                if (!c->io.done && pos >= rlimit_of(c->thread->proc, RLIMIT_FSIZE)) {
                        changes(c);
                        send_sigxfsz();
                }
                return write_end(c, f, i, -EFBIG);
        }
        if (unlikely(i->seals) &&
            (i->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) || (i->seals & F_SEAL_GROW && pos + c->io.len > i->size)))
                return write_end(c, f, i, -EPERM);
        n = MIN(MIN(c->io.len, limit - pos), PIECE_MAX - (pos & (PAGE_SIZE - 1)));
        if (unlikely(io_copy_in(&c->io, &probe, 1) != 1)) {
                r = user_fault(c);
                return r == CALL_FAULT ? r : write_end(c, f, i, r);
        }
        need = inode_write_room(i, pos, n);
        if (unlikely(need && !space_room(need))) {
                n = MIN(n, PAGE_SIZE - (pos & (PAGE_SIZE - 1)));
                need = inode_write_room(i, pos, n);
                if (need && !space_room(need))
                        return write_end(c, f, i, -ENOSPC);
        }
        changes(c);
        clear_tail(i, pos);
        while (done < n) {
                size_t in_page = (pos + done) & (PAGE_SIZE - 1), chunk = MIN(n - done, PAGE_SIZE - in_page), got;
                char *page = page_to_write(i, (pos + done) >> PAGE_SHIFT, chunk == PAGE_SIZE, &raw) + in_page;

                got = io_copy_in(&c->io, page, chunk);
                io_advance(&c->io, got);
                done += got;
                if (unlikely(got < chunk)) {
                        if (raw)
                                memset(page + got, 0, chunk - got);
                        break;
                }
        }
        pos += done;
        if (pos > i->size)
                i->size = pos;
        inode_touch_times(i, true);
        inode_clear_privileges(i);
        if (positional)
                c->pos = pos;
        else
                f->pos = pos;
        if (unlikely(c->io.len && pos < limit)) {
                i->owner = c->thread;
                if (!positional)
                        f->pos_owner = c->thread;
                return CALL_AGAIN;
        }
        if (unlikely(notify_active)) {
                unlock(LOCK_INODE, i);
                notify_event(i, IN_MODIFY, NULL, 0);
        }
        return write_end(c, f, i, 0);
}

static long regular_write(struct call *c, struct file *f)
{
        struct inode *i = f->inode;
        bool positional = c->pos != POS_CURRENT;
        uint64_t pos = c->pos;
        long r;

        if (unlikely(notify_active))
                watches_touch(i);
        if (!positional) {
                lock(LOCK_FILE, f);
                r = file_wait_pos(c, f);
                if (unlikely(r))
                        return r;
                pos = f->pos;
        }
        lock(LOCK_INODE, i);
        r = inode_wait_owner(c, i);
        if (unlikely(r)) {
                if (r > CALL_WAIT && f->pos_owner == c->thread)
                        owners_release(c, f, NULL);
                return r;
        }
        return regular_write_locked(c, f, positional, pos);
}

static long regular_seek(struct call *c, struct file *f, int64_t off, int whence)
{
        struct inode *i = f->inode;
        uint64_t at;
        int64_t pos;
        long r;

        lock(LOCK_FILE, f);
        r = file_wait_pos(c, f);
        if (r)
                return r;
        lock(LOCK_INODE, i);
        switch (whence) {
        case SEEK_SET:
                pos = off;
                break;
        case SEEK_CUR:
                pos = (int64_t)f->pos + off;
                break;
        case SEEK_END:
                pos = (int64_t)i->size + off;
                break;
        case SEEK_DATA:
        case SEEK_HOLE:
                if (off < 0 || (uint64_t)off >= i->size)
                        return -ENXIO;
                at = (uint64_t)off >> PAGE_SHIFT;
                if (whence == SEEK_DATA) {
                        uint64_t want = at;

                        if (!ptree_next(&i->data, &at) || at << PAGE_SHIFT >= i->size)
                                return -ENXIO;
                        pos = at == want ? off : (int64_t)(at << PAGE_SHIFT);
                } else {
                        while (at << PAGE_SHIFT < i->size && ptree_lookup(&i->data, at))
                                at++;
                        pos = at == (uint64_t)off >> PAGE_SHIFT ? off : (int64_t)MIN(at << PAGE_SHIFT, i->size);
                }
                break;
        default:
                return -EINVAL;
        }
        if (pos < 0 || (uint64_t)pos > FILE_SIZE_MAX)
                return -EINVAL;
        if ((uint64_t)pos != f->pos) {
                changes(c);
                f->pos = (uint64_t)pos;
        }
        return pos;
}

static long regular_mmap(struct call *c, struct file *f, struct vma_request *r)
{
        (void)c;
        if (f->inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) && r->flags & 1 /* MAP_SHARED */ &&
            r->prot & 2 /* PROT_WRITE */)
                return -EPERM;
        r->inode = f->inode;
        return 0;
}

static long regular_ioctl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        int left;

        if (cmd != FIONREAD)
                return -ENOTTY;
        left = (int)(f->inode->size - f->pos);
        return copy_out(c, arg, &left, sizeof(left)) ? 0 : user_fault(c);
}

const struct file_ops regular_file_ops = {
        .name = "regular",
        .read = regular_read,
        .write = regular_write,
        .seek = regular_seek,
        .fsync = space_fsync,
        .mmap = regular_mmap,
        .ioctl = regular_ioctl,
};

/* ---- size ----------------------------------------------------------------------------------------------------------------- */

bool inode_is_empty_from(struct inode *i, uint64_t page)
{
        return !i->data.root || !ptree_next(&i->data, &page);
}

long inode_truncate_room(struct inode *i, uint64_t size)
{
        uint64_t in_page = size & (PAGE_SIZE - 1), first = ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT;
        ppn_t page;

        if (in_page && (page = ptree_lookup(&i->data, size >> PAGE_SHIFT)))
                (void)*(volatile char *)space_page(page);
        if (size > i->size && i->size & (PAGE_SIZE - 1) && (page = ptree_lookup(&i->data, i->size >> PAGE_SHIFT)))
                (void)*(volatile char *)space_page(page);
        if (inode_is_empty_from(i, first))
                return 0;
        (void)ptree_cost(&i->data, first);
        return space_room(2 * PTREE_COST_MAX + 2) ? 0 : -ENOSPC;
}

void inode_truncate_now(struct inode *i, uint64_t size)
{
        uint64_t in_page = size & (PAGE_SIZE - 1), first = ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT, old = i->size;
        struct inode *tail = NULL;
        ppn_t page;

        if (size > old)
                clear_tail(i, size);
        i->size = size;
        i->generation++;
        inode_touch_times(i, true);
        inode_clear_privileges(i);
        if (!inode_is_empty_from(i, first)) {
                tail = inode_anonymous(S_IFREG, "truncated");
                ptree_split(&i->data, first, &tail->data);
        }
        unlock(LOCK_INODE, i);
        if (size < old || tail)
                mm_unmap_inode(i, first, ~0ul);
        if (size < old && in_page && (page = ptree_lookup(&i->data, size >> PAGE_SHIFT)))
                memset((char *)space_page(page) + in_page, 0, PAGE_SIZE - in_page);
        object_put(tail);
        if (unlikely(notify_active))
                notify_event(i, IN_MODIFY, NULL, 0);
}

long inode_truncate(struct call *c, struct inode *i, uint64_t size)
{
        long r;

        if (size > FILE_SIZE_MAX)
                return -EFBIG;
        if (unlikely(notify_active))
                watches_touch(i);
        lock(LOCK_INODE, i);
        r = inode_wait_owner(c, i);
        if (r)
                return r;
        if (i->seals && ((size < i->size && i->seals & F_SEAL_SHRINK) || (size > i->size && i->seals & F_SEAL_GROW)))
                return -EPERM;
        if (size > i->size && size > rlimit_of(c->thread->proc, RLIMIT_FSIZE)) {
                changes(c);
                send_sigxfsz();
                return -EFBIG;
        }
        r = inode_truncate_room(i, size);
        if (r)
                return r;
        changes(c);
        inode_truncate_now(i, size);
        return 0;
}

/* ---- for posix/mm --------------------------------------------------------------------------------------------------------- */

ppn_t inode_page(struct inode *i, uint64_t index)
{
        return ptree_lookup(&i->data, index);
}

ppn_t inode_page_create(struct inode *i, uint64_t index)
{
        return ptree_own(&i->data, index);
}

size_t inode_read(struct inode *i, uint64_t offset, void *buf, size_t len)
{
        size_t done = 0;

        if (offset >= i->size)
                return 0;
        len = MIN(len, i->size - offset);
        while (done < len) {
                size_t in_page = (offset + done) & (PAGE_SIZE - 1), chunk = MIN(len - done, PAGE_SIZE - in_page);
                ppn_t page = ptree_lookup(&i->data, (offset + done) >> PAGE_SHIFT);

                if (page)
                        memcpy((char *)buf + done, (char *)space_page(page) + in_page, chunk);
                else
                        memset((char *)buf + done, 0, chunk);
                done += chunk;
        }
        return done;
}
