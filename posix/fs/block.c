/*
 * block.c - block devices as files. No cache: each read or write is a request to the device, through bounce frames.
 *
 * A transfer (struct transfer) is volatile and found by its thread: a thread has one call at a time, and the call waits for it uninterruptibly. Completion sets a bit and
 * makes the thread look again. A call that finds no transfer of its own (first run, or after a reboot) starts it; one that finds it done copies the data and
 * lets go of it. Writing is safe to repeat: the user's memory is read anew each time. What does not fill whole blocks is read first.
 */
#include "posix/fs/fs_internal.h"
#include "kernel/include/block.h"
#include "kernel/include/mem.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <linux/fs.h>
#include <linux/hdreg.h>

#define PARTITIONS 16u
#define NOBODY     ~0u /* slot of a transfer whose thread has forgotten it */
#define FRAMES     17u /* 64 KiB at any alignment */

enum phase { READING, WRITING, FLUSHING };

struct transfer {
        struct block_request request;
        struct transfer *next;
        struct sched_thread *thread;
        uint32_t slot;
        enum phase phase;
        volatile bool done;
        int status;
        uint64_t first; /* byte offset of the first frame's first byte */
        uint32_t bytes, nframes;
        paddr_t frame[FRAMES];
};

static struct transfer *transfers;
static struct spinlock transfers_lock;

static struct block_device *device_of(uint32_t rdev)
{
        unsigned index = RDEV_MINOR(rdev) / PARTITIONS;

        if (RDEV_MAJOR(rdev) != BLOCK_MAJOR || RDEV_MINOR(rdev) % PARTITIONS || index >= block_count())
                return NULL;
        return block_by_index(index);
}

long block_open_check(uint32_t rdev, uint32_t flags)
{
        struct block_device *d = device_of(rdev);

        if (!d)
                return -ENXIO;
        if ((flags & O_ACCMODE) == O_RDONLY)
                return 0;
        return d->read_only ? -EROFS : d->claimed ? -EBUSY : 0;
}

/* ---- transfers ---- */

static struct transfer *transfer_find(struct call *c)
{
        uint64_t f = spin_lock(&transfers_lock);
        struct transfer *t = transfers;

        while (t && t->slot != c->thread->slot)
                t = t->next;
        spin_unlock(&transfers_lock, f);
        return t;
}

static void transfer_free(struct transfer *t)
{
        struct transfer **at;
        uint64_t f = spin_lock(&transfers_lock);

        for (at = &transfers; *at; at = &(*at)->next) {
                if (*at == t) {
                        *at = t->next;
                        break;
                }
        }
        spin_unlock(&transfers_lock, f);
        for (uint32_t k = 0; k < t->nframes; k++)
                frame_free(t->frame[k]);
        kfree(t);
}

static void free_forgotten(void)
{
        struct transfer *t;
        uint64_t f;

        do {
                f = spin_lock(&transfers_lock);
                for (t = transfers; t && (t->slot != NOBODY || !t->done); t = t->next)
                        ;
                spin_unlock(&transfers_lock, f);
                if (t)
                        transfer_free(t);
        } while (t);
}

static struct transfer *transfer_new(struct call *c, uint64_t first, uint32_t bytes)
{
        struct transfer *t;
        uint64_t f;

        free_forgotten();
        t = kzalloc(sizeof(*t));
        if (!t)
                return NULL;
        t->slot = c->thread->slot;
        t->thread = sched_of(t->slot);
        t->first = first;
        t->bytes = bytes;
        while (t->nframes * PAGE_SIZE < bytes) {
                t->frame[t->nframes] = frame_alloc();
                if (!t->frame[t->nframes]) {
                        transfer_free(t);
                        return NULL;
                }
                t->nframes++;
        }
        f = spin_lock(&transfers_lock);
        t->next = transfers;
        transfers = t;
        spin_unlock(&transfers_lock, f);
        return t;
}

/* Interrupt context: volatile memory only. */
static void transfer_done(struct block_request *r, int status)
{
        struct transfer *t = r->arg;
        uint64_t f = spin_lock(&transfers_lock);
        struct sched_thread *thread = t->thread;

        t->status = status;
        __atomic_store_n(&t->done, true, __ATOMIC_RELEASE);
        if (thread)
                sched_post(thread, SCHED_WOKEN);
        spin_unlock(&transfers_lock, f);
}

/* Storm: no thread knows its transfer any more. What the device still works on is let go of when that is done. */
void block_forget(void)
{
        uint64_t f = spin_lock(&transfers_lock);

        for (struct transfer *t = transfers; t; t = t->next) {
                t->slot = NOBODY;
                t->thread = NULL;
        }
        spin_unlock(&transfers_lock, f);
}

static int transfer_submit(struct block_device *d, struct transfer *t, enum phase phase)
{
        static const enum block_op ops[] = {BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH};
        struct block_request *r = &t->request;

        t->phase = phase;
        t->done = false;
        *r = (struct block_request){.op = ops[phase], .done = transfer_done, .arg = t};
        if (phase != FLUSHING) {
                r->sector = t->first / 512;
                r->nsectors = t->bytes / 512;
                r->nsegs = t->nframes;
                for (uint32_t k = 0; k < t->nframes; k++) {
                        r->seg[k].pa = t->frame[k];
                        r->seg[k].len = (uint32_t)MIN(PAGE_SIZE, t->bytes - k * PAGE_SIZE);
                }
        }
        return block_submit(d, r);
}

static long transfer_wait(struct call *c)
{
        return call_wait(c, CONDITION, NULL, UNINTERRUPTIBLE, NO_DEADLINE);
}

/* Bytes [pos, pos + n) between the frames and the user; the io does not advance. */
static size_t copy(struct call *c, struct transfer *t, uint64_t pos, size_t n, bool out)
{
        struct user_io io = c->io;
        size_t done = 0;

        while (done < n) {
                size_t at = pos + done - t->first, chunk = MIN(n - done, PAGE_SIZE - at % PAGE_SIZE), got;
                char *p = (char *)direct(t->frame[at / PAGE_SIZE]) + at % PAGE_SIZE;

                got = out ? io_copy_out(&io, p, chunk) : io_copy_in(&io, p, chunk);
                io_advance(&io, got);
                done += got;
                if (got < chunk)
                        break;
        }
        return done;
}

static long advance(struct call *c, struct file *f, uint64_t pos, size_t n, bool more)
{
        io_advance(&c->io, n);
        if (c->pos != POS_CURRENT) {
                c->pos = pos + n;
        } else {
                lock(LOCK_FILE, f);
                changes(c);
                f->pos = pos + n;
        }
        return more && c->io.len ? CALL_AGAIN : (long)c->io.done;
}

static long fail(struct call *c, struct transfer *t, long error)
{
        if (t)
                transfer_free(t);
        return c->io.done ? (long)c->io.done : error;
}

static long block_io(struct call *c, struct file *f, bool write)
{
        struct block_device *d = device_of(f->inode->rdev);
        uint64_t pos = c->pos != POS_CURRENT ? c->pos : f->pos, size, unit, first, end;
        struct transfer *t = transfer_find(c);
        size_t n;
        bool whole;
        int r;

        if (!d)
                return fail(c, t, -ENXIO);
        size = d->nsectors * 512;
        unit = d->logical_block;
        if (!c->io.len || (c->why == WHY_KILL && !t))
                return (long)c->io.done;
        if (pos >= size)
                return write ? fail(c, t, -ENOSPC) : (long)c->io.done;
        n = MIN(MIN(c->io.len, size - pos), PIECE_MAX);
        if (d->max_segs < FRAMES)
                n = MIN(n, MAX(d->max_segs - 1, 1u) * PAGE_SIZE - pos % unit);
        first = ALIGN_DOWN(pos, unit);
        end = ALIGN_UP(pos + n, unit);
        if (end - first > PAGE_SIZE * MIN(FRAMES, d->max_segs)) {
                end = first + PAGE_SIZE * MIN(FRAMES, d->max_segs);
                n = end - pos;
        }
        whole = first == pos && end == pos + n;
        if (!t) {
                t = transfer_new(c, first, (uint32_t)(end - first));
                if (!t)
                        return -ENOMEM;
                if (write && whole) {
                        if (copy(c, t, pos, n, false) < n) {
                                transfer_free(t);
                                return user_fault(c);
                        }
                        r = transfer_submit(d, t, WRITING);
                } else {
                        r = transfer_submit(d, t, READING);
                }
                return r ? fail(c, t, r) : transfer_wait(c);
        }
        if (!__atomic_load_n(&t->done, __ATOMIC_ACQUIRE))
                return transfer_wait(c);
        if (t->status)
                return fail(c, t, -EIO);
        if (!write || t->phase == READING) {
                size_t got = copy(c, t, pos, n, !write);

                if (got < n) { /* the transfer is kept for the run after the fault, unless there is none */
                        long x = user_fault(c);

                        return x == CALL_FAULT ? x : fail(c, t, x);
                }
                if (write) {
                        r = transfer_submit(d, t, WRITING);
                        return r ? fail(c, t, r) : transfer_wait(c);
                }
        }
        transfer_free(t);
        return advance(c, f, pos, n, pos + n < size);
}

static long block_read(struct call *c, struct file *f)
{
        return block_io(c, f, false);
}

static long block_write(struct call *c, struct file *f)
{
        return block_io(c, f, true);
}

static long block_fsync(struct call *c, struct file *f, bool data_only)
{
        struct block_device *d = device_of(f->inode->rdev);
        struct transfer *t = transfer_find(c);
        int r;

        (void)data_only;
        if (!d)
                return fail(c, t, -ENXIO);
        if (!d->has_flush)
                return 0;
        if (!t) {
                t = transfer_new(c, 0, 0);
                if (!t)
                        return -ENOMEM;
                r = transfer_submit(d, t, FLUSHING);
                return r ? fail(c, t, r) : transfer_wait(c);
        }
        if (!__atomic_load_n(&t->done, __ATOMIC_ACQUIRE))
                return transfer_wait(c);
        r = t->status;
        transfer_free(t);
        return r ? -EIO : 0;
}

static long block_seek(struct call *c, struct file *f, int64_t off, int whence)
{
        struct block_device *d = device_of(f->inode->rdev);
        int64_t pos;

        lock(LOCK_FILE, f);
        switch (whence) {
        case SEEK_SET:
                pos = off;
                break;
        case SEEK_CUR:
                pos = (int64_t)f->pos + off;
                break;
        case SEEK_END:
                pos = (d ? (int64_t)d->nsectors * 512 : 0) + off;
                break;
        default:
                return -EINVAL;
        }
        if (pos < 0)
                return -EINVAL;
        if ((uint64_t)pos != f->pos) {
                changes(c);
                f->pos = (uint64_t)pos;
        }
        return pos;
}

static long give(struct call *c, uint64_t arg, const void *value, size_t len)
{
        return copy_out(c, arg, value, len) ? 0 : user_fault(c);
}

static long block_ioctl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        struct block_device *d = device_of(f->inode->rdev);
        struct hd_geometry geo;
        uint64_t n;
        int32_t i;

        if (!d)
                return -ENXIO;
        switch (cmd) {
        case BLKGETSIZE64:
                n = d->nsectors * 512;
                return give(c, arg, &n, sizeof(n));
        case BLKGETSIZE:
                n = d->nsectors;
                return give(c, arg, &n, sizeof(n));
        case BLKSSZGET:
        case BLKBSZGET:
        case BLKPBSZGET:
        case BLKIOMIN:
                i = (int32_t)d->logical_block;
                return give(c, arg, &i, sizeof(i));
        case BLKROGET:
                i = d->read_only;
                return give(c, arg, &i, sizeof(i));
        case BLKIOOPT:
        case BLKALIGNOFF:
        case BLKDISCARDZEROES:
                i = 0;
                return give(c, arg, &i, sizeof(i));
        case BLKROTATIONAL:
                return give(c, arg, &(uint16_t){0}, 2);
        case BLKSECTGET:
                return give(c, arg, &(uint16_t){PIECE_MAX / 512}, 2);
        case BLKRAGET:
                n = 0;
                return give(c, arg, &n, sizeof(n));
        case BLKFLSBUF:
                return capable(CAP_SYS_ADMIN) ? block_fsync(c, f, false) : -EACCES;
        case BLKRRPART:
                return capable(CAP_SYS_ADMIN) ? -EINVAL : -EACCES; /* no partitions are looked for */
        case HDIO_GETGEO:
                geo = (struct hd_geometry){
                        .heads = 16, .sectors = 63, .cylinders = (uint16_t)MIN(d->nsectors / (16 * 63), 65535ul)};
                return give(c, arg, &geo, sizeof(geo));
        default:
                return -ENOTTY;
        }
}

const struct file_ops block_file_ops = {
        .name = "block",
        .read = block_read,
        .write = block_write,
        .seek = block_seek,
        .ioctl = block_ioctl,
        .fsync = block_fsync,
};

/* Nodes in /dev for the disks of this boot. Those of disks that are gone stay, and answer ENXIO. */
void block_boot(void)
{
        for (unsigned k = 0; k < block_count(); k++) {
                struct inode *i = fs_make_path(fs_state()->dev, block_by_index(k)->name, S_IFBLK | 0660,
                                               RDEV(BLOCK_MAJOR, k * PARTITIONS));

                if (!i)
                        klog(LOG_ERR, "no room for a node of %s", block_by_index(k)->name);
        }
}
