/*
 * block.c - block devices as files. No cache: each read or write is a request to the device. With O_DIRECT the device reads and writes the user's own pages (direct_io decides when), else
 * it goes through bounce frames.
 *
 * A transfer (struct transfer) is volatile and found by its thread: a thread has one call at a time, and the call waits for it uninterruptibly. Completion sets a bit and
 * makes the thread look again. A call that finds no transfer of its own (first run, or after a reboot) starts it; one that finds it done copies the data and
 * lets go of it. Writing is safe to repeat: the user's memory is read anew each time. What does not fill whole blocks is read first.
 */
#include "posix/fs/fs_internal.h"
#include "posix/include/mm.h"
#include "kernel/include/block.h"
#include "kernel/include/mem.h"
#include "kernel/include/work.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <linux/fs.h>
#include <linux/hdreg.h>

#define NOBODY ~0u /* slot of a transfer whose thread has forgotten it */
#define FRAMES SPACE_PINS

enum phase { READING, WRITING, FLUSHING, DISCARDING, SCANNING, NODES };

struct transfer {
        struct block_request request;
        struct block_rescan rescan;
        struct transfer *next;
        struct sched_thread *thread;
        uint32_t slot;
        enum phase phase;
        volatile bool done;
        int status;
        uint64_t first; /* byte offset of the first frame's first byte */
        uint32_t bytes, nframes;
        uint32_t start; /* data begins here in the first frame */
        struct block_device *device;
        struct mm *mm; /* the frames are those of its pages, which are pinned; NULL: they are the transfer's own */
        struct space_pins pins;
        uint64_t pos; /* the part of it that the call wants, whatever becomes of the file's position meanwhile */
        uint32_t wanted;
        paddr_t frame[FRAMES];
};

static struct transfer *transfers;
static struct spinlock transfers_lock;

static struct block_device *device_of(uint32_t rdev)
{
        for (unsigned k = 0; k < block_count(); k++) {
                struct block_device *d = block_by_index(k);

                if (d->minor == RDEV_MINOR(rdev) && d->major == RDEV_MAJOR(rdev))
                        return __atomic_load_n(&d->gone, __ATOMIC_ACQUIRE) ? NULL : d;
        }
        return NULL;
}

/* A store on a partition claims the whole disk as well, but not the other partitions; a store on the whole claims all. */
static bool is_claimed(const struct block_device *d)
{
        if (d->claimed || !d->whole || !d->whole->claimed)
                return d->claimed;
        for (unsigned k = 0; k < block_count(); k++) {
                struct block_device *other = block_by_index(k);

                if (other->whole == d->whole && other->claimed)
                        return false;
        }
        return true;
}

long block_open_check(uint32_t rdev, uint32_t flags)
{
        struct block_device *d = device_of(rdev);

        if (!d)
                return -ENXIO;
        if (d->removable && !d->nsectors && !(flags & O_NONBLOCK))
                return -ENOMEDIUM;
        if ((flags & O_ACCMODE) == O_RDONLY)
                return 0;
        return d->read_only ? -EROFS : is_claimed(d) ? -EBUSY : 0;
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
        if (t->mm)
                mm_dma_end(t->mm, &t->pins);
        for (uint32_t k = 0; !t->mm && k < t->nframes; k++)
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
        f = spin_lock(&transfers_lock);
        t->next = transfers;
        transfers = t;
        spin_unlock(&transfers_lock, f);
        return t;
}

static int bounce_frames(struct transfer *t)
{
        while (t->nframes * PAGE_SIZE < t->bytes) {
                t->frame[t->nframes] = frame_alloc();
                if (!t->frame[t->nframes])
                        return -ENOMEM;
                t->nframes++;
        }
        return 0;
}

/* Interrupt context: volatile memory only. */
static void transfer_over(struct transfer *t, int status)
{
        uint64_t f = spin_lock(&transfers_lock);
        struct sched_thread *thread = t->thread;

        t->status = status;
        __atomic_store_n(&t->done, true, __ATOMIC_RELEASE);
        if (thread)
                sched_post(thread, SCHED_WOKEN);
        spin_unlock(&transfers_lock, f);
}

static void transfer_done(struct block_request *r, int status)
{
        transfer_over(r->arg, status);
}

static void scan_done(struct block_rescan *r, int status)
{
        transfer_over(container_of(r, struct transfer, rescan), status);
}

/*
 * Storm: no thread knows its transfer any more. What the device still works on is let go of when that is done; but it must not go on in pages of a program that will ask again, so for those
 * the storm waits. All other CPUs are parked.
 */
void block_forget(void)
{
        uint64_t f;

        for (struct transfer *t = transfers; t; t = t->next) {
                if (!t->mm)
                        continue;
                while (!__atomic_load_n(&t->done, __ATOMIC_ACQUIRE)) {
                        t->device->ops->poll(t->device);
                        cpu_relax();
                }
                space_unpin(&t->pins);
                t->mm = NULL;
                t->nframes = 0;
        }
        f = spin_lock(&transfers_lock);
        for (struct transfer *t = transfers; t; t = t->next) {
                t->slot = NOBODY;
                t->thread = NULL;
        }
        spin_unlock(&transfers_lock, f);
}

static int transfer_submit(struct block_device *d, struct transfer *t, enum phase phase)
{
        static const enum block_op ops[] = {BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD};
        struct block_request *r = &t->request;

        t->phase = phase;
        t->done = false;
        *r = (struct block_request){.op = ops[phase], .done = transfer_done, .arg = t};
        if (phase != FLUSHING) {
                r->sector = t->first / 512;
                r->nsectors = t->bytes / 512;
        }
        if (phase == READING || phase == WRITING) {
                uint32_t start = t->start, left = t->bytes;

                r->nsegs = t->nframes;
                for (uint32_t k = 0; k < t->nframes; k++) {
                        uint32_t len = (uint32_t)MIN(PAGE_SIZE - start, left);

                        r->seg[k].pa = t->frame[k] + start;
                        r->seg[k].len = len;
                        left -= len;
                        start = 0;
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

/* The device is no more. What it still works on is let go of when that is done; not so the user's own pages. */
static long device_gone(struct call *c, long error)
{
        struct transfer *t = transfer_find(c);
        uint64_t f = spin_lock(&transfers_lock);
        bool in_flight = t && !t->done, direct = in_flight && t->mm;

        if (in_flight && !direct) {
                t->slot = NOBODY;
                t->thread = NULL;
        }
        spin_unlock(&transfers_lock, f);
        return direct ? transfer_wait(c) : fail(c, in_flight ? NULL : t, error);
}

/* The call's transfer is done, or still under way. */
static long block_io_goes_on(struct call *c, struct file *f, struct block_device *d, struct transfer *t, bool write)
{
        uint64_t pos = t->pos;
        uint32_t n = t->wanted;

        if (!__atomic_load_n(&t->done, __ATOMIC_ACQUIRE))
                return transfer_wait(c);
        if (t->status)
                return fail(c, t, -EIO);
        if (!t->mm && (!write || t->phase == READING)) {
                size_t got = copy(c, t, pos, n, !write);

                if (got < n) { /* the transfer is kept for the run after the fault, unless there is none */
                        long x = user_fault(c);

                        return x == CALL_FAULT ? x : fail(c, t, x);
                }
                if (write) {
                        int r = transfer_submit(d, t, WRITING);

                        return r ? fail(c, t, r) : transfer_wait(c);
                }
        }
        transfer_free(t);
        return advance(c, f, pos, n, pos + n < d->nsectors * 512);
}

/*
 * The one place that decides whether the device gets the user's own pages, and begins that. True: *result is what the call returns. Not when place, address or length are no multiples of
 * what the device needs (what is left behind the last whole block is a transfer of its own), nor where mm_dma_pages or mm_dma_begin say no.
 */
static bool direct_io(struct call *c, struct block_device *d, uint64_t pos, size_t n, bool write, long *result)
{
        uint64_t va, unit = d->logical_block;
        uint32_t start, nsegs = MIN(FRAMES, d->max_segs);
        struct transfer *t;
        ppn_t page[FRAMES];

        n = MIN(n, io_straight(&c->io, &va));
        if (!n)
                return false;
        start = va % PAGE_SIZE;
        n = ALIGN_DOWN(MIN(n, nsegs * PAGE_SIZE - start), unit);
        if (!n || pos % unit || va % 512)
                return false;
        *result = mm_dma_pages(c, va, n, !write, page);
        if (*result)
                return *result == CALL_FAULT;
        *result = -ENOMEM;
        t = transfer_new(c, pos, (uint32_t)n);
        if (!t)
                return true;
        t->pos = pos;
        t->wanted = (uint32_t)n;
        t->start = start;
        t->nframes = t->pins.n = (uint32_t)((start + n + PAGE_SIZE - 1) / PAGE_SIZE);
        t->pins.device_writes = !write;
        for (uint32_t k = 0; k < t->nframes; k++) {
                t->pins.ppn[k] = page[k];
                t->frame[k] = arena_frame(page[k]);
        }
        if (!mm_dma_begin(c->thread->proc->mm, &t->pins)) {
                t->nframes = 0;
                transfer_free(t);
                return false;
        }
        t->mm = c->thread->proc->mm;
        t->device = d;
        *result = transfer_submit(d, t, write ? WRITING : READING);
        *result = *result ? fail(c, t, *result) : transfer_wait(c);
        return true;
}

static long block_io(struct call *c, struct file *f, bool write)
{
        struct block_device *d = device_of(f->inode->rdev);
        uint64_t pos = c->pos != POS_CURRENT ? c->pos : f->pos, size, unit, first, end;
        struct transfer *t = transfer_find(c);
        size_t n;
        long r;

        if (!d)
                return device_gone(c, -EIO);
        if (t)
                return block_io_goes_on(c, f, d, t, write);
        size = d->nsectors * 512;
        unit = d->logical_block;
        if (!c->io.len || c->why == WHY_KILL)
                return (long)c->io.done;
        if (pos >= size)
                return write ? fail(c, NULL, -ENOSPC) : (long)c->io.done;
        n = MIN(MIN(c->io.len, size - pos), PIECE_MAX);
        if (f->flags & O_DIRECT && direct_io(c, d, pos, n, write, &r))
                return r;
        if (d->max_segs < FRAMES)
                n = MIN(n, MAX(d->max_segs - 1, 1u) * PAGE_SIZE - pos % unit);
        first = ALIGN_DOWN(pos, unit);
        end = ALIGN_UP(pos + n, unit);
        if (end - first > PAGE_SIZE * MIN(FRAMES, d->max_segs)) {
                end = first + PAGE_SIZE * MIN(FRAMES, d->max_segs);
                n = end - pos;
        }
        t = transfer_new(c, first, (uint32_t)(end - first));
        if (!t)
                return -ENOMEM;
        if (bounce_frames(t)) {
                transfer_free(t);
                return -ENOMEM;
        }
        t->pos = pos;
        t->wanted = (uint32_t)n;
        if (write && first == pos && end == pos + n) {
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
                return device_gone(c, -EIO);
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

/* Bytes [from, from + len), which are whole blocks; piece by piece, as much as the device takes at a time. */
struct discard {
        uint64_t from, len;
};

static long discard_some(struct block_device *d, struct transfer *t, uint64_t from, uint64_t end)
{
        uint64_t most = (uint64_t)(d->max_discard_sectors - d->max_discard_sectors % (d->logical_block / 512)) * 512;

        t->first = from;
        t->bytes = (uint32_t)MIN(MIN(end - from, most), 1ul << 31);
        return transfer_submit(d, t, DISCARDING);
}

static long block_discard(struct call *c, struct file *f, struct block_device *d, uint64_t arg)
{
        struct transfer *t = transfer_find(c);
        struct discard range;
        long r;

        if (t && !__atomic_load_n(&t->done, __ATOMIC_ACQUIRE))
                return transfer_wait(c);
        if (!copy_in(c, &range, arg, sizeof(range))) {
                r = user_fault(c);
                return r == CALL_FAULT ? r : fail(c, t, r);
        }
        if (t && t->status)
                return fail(c, t, t->status);
        if ((f->flags & O_ACCMODE) == O_RDONLY)
                return fail(c, t, -EBADF);
        if (d->read_only || is_claimed(d))
                return fail(c, t, d->read_only ? -EROFS : -EBUSY);
        if (!d->has_discard)
                return fail(c, t, -EOPNOTSUPP);
        if (range.from % d->logical_block || range.len % d->logical_block || range.from > d->nsectors * 512 ||
            range.len > d->nsectors * 512 - range.from)
                return fail(c, t, -EINVAL);
        if (!range.len || (t && t->first + t->bytes >= range.from + range.len))
                return fail(c, t, 0);
        if (!t) {
                t = transfer_new(c, range.from, 0);
                if (!t)
                        return -ENOMEM;
        }
        r = discard_some(d, t, t->first + t->bytes, range.from + range.len);
        return r ? fail(c, t, r) : transfer_wait(c);
}

/*
 * The node of a device in /dev, with its number: true when something was changed, so that the section is at its end. A
 * node of an earlier boot may have another number.
 */
static bool make_node(struct block_device *d)
{
        uint32_t rdev = RDEV(d->major, d->minor), mode = S_IFBLK | (d->removable ? 0640 : 0660);
        struct inode *dev = fs_state()->dev, *i;
        struct dir_place p;

        lock(LOCK_INODE, dev);
        dir_find(dev, d->name, (unsigned)strlen(d->name), &p);
        i = p.found ? p.entry.inode : NULL;
        unlock(LOCK_INODE, dev);
        if (!i) {
                if (!fs_make(dev, d->name, (unsigned)strlen(d->name), mode, rdev))
                        klog(LOG_ERR, "no room for a node of %s", d->name);
                return true;
        }
        if (!S_ISBLK(i->mode) || i->rdev == rdev)
                return false;
        section_changes();
        i->rdev = rdev;
        return true;
}

/* The table is read by a worker; then /sys and /dev get what is new, a node for each run. */
static long block_scan(struct call *c, struct block_device *d)
{
        struct transfer *t = transfer_find(c);
        long r;

        if (d->whole)
                return fail(c, t, -EINVAL);
        if (!t) {
                t = transfer_new(c, 0, 0);
                if (!t)
                        return -ENOMEM;
                t->phase = SCANNING;
                t->rescan = (struct block_rescan){.disk = d, .done = scan_done};
                r = block_rescan(&t->rescan);
                return r ? fail(c, t, r) : transfer_wait(c);
        }
        if (!__atomic_load_n(&t->done, __ATOMIC_ACQUIRE))
                return transfer_wait(c);
        if (t->status)
                return fail(c, t, t->status);
        if (t->phase == SCANNING) {
                sys_block_renew();
                t->phase = NODES;
                t->bytes = 0; /* devices that have their node */
        }
        while (t->bytes < block_count()) {
                struct block_device *p = block_by_index(t->bytes);

                t->bytes++;
                if (p->whole == d && !p->gone && make_node(p))
                        return CALL_AGAIN;
        }
        transfer_free(t);
        return 0;
}

static long give(struct call *c, uint64_t arg, const void *value, size_t len)
{
        return copy_out(c, arg, value, len) ? 0 : user_fault(c);
}

static long give_int(struct call *c, uint64_t arg, int32_t value)
{
        return give(c, arg, &value, sizeof(value));
}

static long give_u64(struct call *c, uint64_t arg, uint64_t value)
{
        return give(c, arg, &value, sizeof(value));
}

static long give_geometry(struct call *c, const struct block_device *d, uint64_t arg)
{
        uint64_t nsectors = d->whole ? d->whole->nsectors : d->nsectors;
        unsigned heads = nsectors > 65535ul * 16 * 63 ? 255 : 16;
        struct hd_geometry geo = {.heads = (uint8_t)heads,
                                  .sectors = 63,
                                  .cylinders = (uint16_t)MIN(nsectors / (heads * 63), 65535ul),
                                  .start = d->first_sector};

        return give(c, arg, &geo, sizeof(geo));
}

static long block_ioctl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        struct block_device *d = device_of(f->inode->rdev);

        if (!d)
                return device_gone(c, -ENXIO);
        switch (cmd) {
        case BLKGETSIZE64:
                return give_u64(c, arg, d->nsectors * 512);
        case BLKGETSIZE:
                return give_u64(c, arg, d->nsectors);
        case BLKSSZGET:
        case BLKBSZGET:
        case BLKIOMIN:
                return give_int(c, arg, (int32_t)d->logical_block);
        case BLKPBSZGET:
                return give_int(c, arg, (int32_t)MAX(d->physical_block, d->logical_block));
        case BLKROGET:
                return give_int(c, arg, d->read_only);
        case BLKIOOPT:
        case BLKALIGNOFF:
        case BLKDISCARDZEROES:
                return give_int(c, arg, 0);
        case BLKROTATIONAL:
                return give(c, arg, &(uint16_t){d->rotational}, 2);
        case BLKSECTGET:
                return give(c, arg, &(uint16_t){PIECE_MAX / 512}, 2);
        case BLKRAGET:
                return give_u64(c, arg, 0);
        case BLKDISCARD:
                return block_discard(c, f, d, arg);
        case BLKFLSBUF:
                return capable(CAP_SYS_ADMIN) ? block_fsync(c, f, false) : -EACCES;
        case BLKRRPART:
                return capable(CAP_SYS_ADMIN) ? block_scan(c, d) : -EACCES;
        case HDIO_GETGEO:
                return give_geometry(c, d, arg);
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

/* Disks that have come while the system runs: /sys, then a node for each run. */
static void renew(struct work *w)
{
        sys_block_renew();
        for (unsigned k = 0; k < block_count(); k++) {
                struct block_device *d = block_by_index(k);

                if (!d->gone && make_node(d)) {
                        work_queue(w);
                        return;
                }
        }
}

static void changed(void)
{
        static struct work work = {.fn = renew};

        work_queue(&work);
}

/* Nodes in /dev for the disks of this boot. Those of disks that are gone stay, and answer ENXIO. */
void block_boot(void)
{
        for (unsigned k = 0; k < block_count(); k++) {
                if (block_by_index(k)->gone)
                        continue;
                fs_section_begin();
                make_node(block_by_index(k));
                section_end();
        }
        block_listen(changed);
        changed(); /* what came meanwhile */
}
