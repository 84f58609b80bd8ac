/*
 * block.c - the registry of block devices, and the one place where requests are checked. Devices are registered when they
 * are found and never go away: a device that fails for good answers -EIO. So the table needs no lock for readers: `count` is
 * published after the entry.
 */
#include "kernel/include/block.h"
#include "kernel/include/cpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define BLOCK_DEVICES_MAX 128

static struct block_device *devices[BLOCK_DEVICES_MAX];
static unsigned count;
static struct spinlock registry_lock;

int block_register(struct block_device *d)
{
        uint64_t flags = spin_lock(&registry_lock);
        int err = -ENOSPC;

        if (count < BLOCK_DEVICES_MAX) {
                d->index = count;
                devices[count] = d;
                __atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
                err = 0;
        }
        spin_unlock(&registry_lock, flags);
        return err;
}

unsigned block_count(void)
{
        return __atomic_load_n(&count, __ATOMIC_ACQUIRE);
}

struct block_device *block_by_index(unsigned index)
{
        return index < block_count() ? devices[index] : NULL;
}

struct block_device *block_find(const char *name)
{
        for (unsigned i = 0; i < block_count(); i++)
                if (strcmp(devices[i]->name, name) == 0)
                        return devices[i];
        return NULL;
}

#define MAJOR_SD  8
#define SD_MINORS 16u

void block_name_sd(struct block_device *d)
{
        static unsigned disks;
        unsigned n = __atomic_fetch_add(&disks, 1, __ATOMIC_RELAXED);

        if (n < 26)
                fmt_append(d->name, sizeof(d->name), 0, "sd%c", 'a' + n);
        else
                fmt_append(d->name, sizeof(d->name), 0, "sd%c%c", 'a' + (n / 26 - 1) % 26, 'a' + n % 26);
        d->major = MAJOR_SD;
        d->minor = n * SD_MINORS;
}

void block_gone(struct block_device *d)
{
        __atomic_store_n(&d->gone, true, __ATOMIC_RELEASE);
        for (unsigned i = 0; i < block_count(); i++)
                if (devices[i]->whole == d)
                        __atomic_store_n(&devices[i]->gone, true, __ATOMIC_RELEASE);
}

static void (*listener)(void);

void block_listen(void (*changed)(void))
{
        __atomic_store_n(&listener, changed, __ATOMIC_RELEASE);
}

void block_changed(void)
{
        void (*changed)(void) = __atomic_load_n(&listener, __ATOMIC_ACQUIRE);

        if (changed)
                changed();
}

static int check_range(const struct block_device *d, const struct block_request *r)
{
        uint32_t per_block = d->logical_block / 512;

        if (r->nsectors == 0 || r->sector > d->nsectors || r->nsectors > d->nsectors - r->sector)
                return -EINVAL;
        if (r->sector % per_block || r->nsectors % per_block)
                return -EINVAL;
        return 0;
}

static int check_segments(const struct block_device *d, const struct block_request *r)
{
        uint64_t bytes = 0;

        if (r->nsegs == 0 || r->nsegs > d->max_segs)
                return -EINVAL;
        for (uint32_t i = 0; i < r->nsegs; i++) {
                uint32_t len = r->seg[i].len;

                if (len == 0 || len % 512 || len > d->max_seg_bytes || r->seg[i].pa % 4)
                        return -EINVAL;
                if (d->seg_boundary && ((i > 0 && r->seg[i].pa % d->seg_boundary) ||
                                        (i + 1 < r->nsegs && (r->seg[i].pa + len) % d->seg_boundary)))
                        return -EINVAL;
                bytes += len;
        }
        return bytes == (uint64_t)r->nsectors * 512 ? 0 : -EINVAL;
}

static int check(const struct block_device *d, const struct block_request *r)
{
        int err;

        switch (r->op) {
        case BLOCK_READ:
        case BLOCK_WRITE:
                if (r->op == BLOCK_WRITE && d->read_only)
                        return -EROFS;
                err = check_range(d, r);
                return err ? err : check_segments(d, r);
        case BLOCK_FLUSH:
                return d->has_flush ? 0 : -EOPNOTSUPP;
        case BLOCK_DISCARD:
                if (d->read_only)
                        return -EROFS;
                if (!d->has_discard)
                        return -EOPNOTSUPP;
                return r->nsectors > d->max_discard_sectors ? -EINVAL : check_range(d, r);
        }
        return -EINVAL;
}

int block_submit(struct block_device *d, struct block_request *r)
{
        int err = check(d, r);

        return err ? err : d->ops->submit(d, r);
}

#define WAITING 1

static void wake_spinner(struct block_request *r, int status)
{
        __atomic_store_n((int *)r->arg, status, __ATOMIC_RELEASE);
}

int block_submit_wait(struct block_device *d, struct block_request *r)
{
        int status = WAITING;
        int err;

        r->done = wake_spinner;
        r->arg = &status;
        err = block_submit(d, r);
        if (err)
                return err;
        while (__atomic_load_n(&status, __ATOMIC_ACQUIRE) == WAITING) {
                d->ops->poll(d);
                cpu_relax();
        }
        return status;
}
