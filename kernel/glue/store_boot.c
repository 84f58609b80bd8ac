/*
 * store_boot.c - which disk has the store, and what becomes of the space. The first device with a superblock is it; a store that is there and cannot be used is never
 * passed over for another one, nor for an empty space: the user would think that everything is lost.
 */
#include "kernel/glue/store_boot.h"
#include "kernel/glue/store_disk.h"
#include "kernel/glue/store_writer.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"
#include "kernel/include/work.h"
#include "persist/store/store.h"

#define BLOCK_SECTORS 8u

static struct store *store;
static struct store_disk *disk; /* its disk */

static noreturn void refuse(const struct block_device *d, const char *why, int error)
{
        panic("the store on %s cannot be used: %s (error %d). Nothing was written. The option `nostore` starts without "
              "it",
              d->name, why, error);
}

static const char *reason(int error)
{
        switch (error) {
        case -EOPNOTSUPP:
                return "it is of another version of this system";
        case -EINVAL:
                return "the disk is smaller than it: its end is missing";
        case -EUCLEAN:
                return "it is damaged: no state in it is whole";
        case -ENOMEM:
                return "there is not enough memory";
        case -EROFS:
                return "the disk cannot be written";
        default:
                return "it cannot be read";
        }
}

/* 0: the store is on this device, and open; -ENOENT: there is none; -EIO: it cannot be read. Does not return if there is one that cannot be used. */
static int try(struct block_device *d)
{
        int r;

        if (d->nsectors < BLOCK_SECTORS)
                return -ENOENT;
        r = store_disk_open(d, 0, d->nsectors - d->nsectors % BLOCK_SECTORS, &disk);
        if (r == -ENOMEM)
                refuse(d, reason(r), r);
        if (r)
                return -ENOENT;
        r = store_open(disk, d->read_only ? 0 : store_owner(), &store);
        if (!r && d->read_only)
                refuse(d, reason(-EROFS), -EROFS);
        if (!r) {
                store_device_claim(d, true);
                return 0;
        }
        if (r != -ENOENT && r != -EIO)
                refuse(d, reason(r), r);
        store_disk_close(disk);
        return r;
}

/* Safe mode: nobody writes to the store on d; what is in it, whole or not (error), is to be got out of it. */
static void keep_safe(struct block_device *d, int error)
{
        struct store_info info;

        store_device_claim(d, true);
        klog(LOG_WARN, "safe mode: the store on %s stays as it is, and nothing in it is started", d->name);
        if (error) {
                klog(LOG_WARN, "  %s", reason(error));
                return;
        }
        store_info(store, &info);
        klog(LOG_WARN, "  its newest state is that of epoch %lu; %lu snapshots are kept; %lu of %lu MiB are free",
             info.epoch, info.nkept, info.free >> 8, info.nblocks >> 8);
}

/* A live system writes to no disk, not even the attempt sector; it says what it sees. */
static void look_only(struct block_device *d, bool safe)
{
        int r;

        if (d->nsectors < BLOCK_SECTORS || store_disk_open(d, 0, d->nsectors - d->nsectors % BLOCK_SECTORS, &disk))
                return;
        r = store_open(disk, 0, &store);
        if (r != -ENOENT && r != -EIO) {
                if (safe)
                        keep_safe(d, r);
                else
                        klog(LOG_WARN,
                             "%s has a Phantom that is installed; this live system leaves it alone. Start from that "
                             "disk to go on with it",
                             d->name);
        }
        if (!r)
                store_close(store);
        store_disk_close(disk);
        store = NULL;
}

/* What is there of the space was never all of it, and is nobody's: the store is made anew. */
static void begin_anew(const struct block_device *d)
{
        int r;

        klog(LOG_WARN, "store: it was being made on %s when the power went: it begins anew", d->name);
        store_close(store);
        r = store_disk_format(disk);
        if (!r)
                r = store_open(disk, store_owner(), &store);
        if (r)
                refuse(d, reason(r), r);
}

enum store_boot_result store_boot_open(struct space_clock *clock)
{
        struct block_device *d = NULL, *unreadable = NULL;
        struct store_info info;
        bool safe = boot_option("safe", NULL, 0);
        int r;

        if (boot_option("nostore", NULL, 0))
                return STORE_NONE;
        if (safe || boot_option("live", NULL, 0)) {
                for (unsigned i = 0; i < block_count(); i++)
                        look_only(block_by_index(i), safe);
                return STORE_NONE;
        }
        for (unsigned i = 0; !store && i < block_count(); i++) {
                d = block_by_index(i);
                if (try(d) == -EIO)
                        unreadable = d;
        }
        if (!store && unreadable) /* it may be the one */
                refuse(unreadable, reason(-EIO), -EIO);
        if (!store)
                return STORE_NONE;
        r = space_open(store, clock);
        store_info(store, &info);
        if (r == -ENOENT && info.epoch)
                begin_anew(d);
        if (r == -ENOENT) {
                klog(LOG_INFO, "store: empty, on %s, %lu MiB", d->name, info.nblocks >> 8);
                return STORE_EMPTY;
        }
        if (r)
                refuse(d, reason(r), r);
        klog(LOG_INFO, "store: epoch %lu on %s, %lu of %lu MiB free", info.epoch, d->name, info.free >> 8,
             info.nblocks >> 8);
        if (info.attempts > 1)
                klog(LOG_WARN, "store: boot attempt %u since the last one that went well", info.attempts);
        return STORE_RECOVERED;
}

struct store *store_boot_store(void)
{
        return store;
}

void store_boot_attach(void)
{
        int r = space_attach(store, NULL);

        if (r)
                panic("the disk of the store is too small: error %d", r);
        space_fetch_at_once(true);
}

/* ---- a store of an older schema: the pass that leaves nothing of it, in small pieces beside the programs ---- */

#define MIGRATE_PAUSE_NS 10000000ul

static struct vtimer migrate_clock;
static struct work migrate_work;
static ppn_t migrate_at;

static void migrate_tick(struct vtimer *t)
{
        (void)t;
        work_queue(&migrate_work);
}

static void migrate(struct work *w)
{
        (void)w;
        if (space_migrate(&migrate_at))
                klog(LOG_INFO, "store: everything in it is of this system's schema now");
        else
                vtimer_arm(&migrate_clock, time_mono_ns() + MIGRATE_PAUSE_NS);
}

static void migrate_start(void)
{
        if (space_is_migrated())
                return;
        klog(LOG_INFO, "store: it is of an older schema; this system takes it over while everything goes on");
        migrate_clock.fn = migrate_tick;
        migrate_work.fn = migrate;
        vtimer_arm(&migrate_clock, time_mono_ns() + MIGRATE_PAUSE_NS);
}

/* ---- what the first second needed ---- */

static struct vtimer warm_clock;
static struct work warm_work;

static void warm_tick(struct vtimer *t)
{
        (void)t;
        work_queue(&warm_work);
}

static void warm(struct work *w)
{
        (void)w;
        space_warm_write();
}

static void warm_start(void)
{
        warm_clock.fn = warm_tick;
        warm_work.fn = warm;
        vtimer_arm(&warm_clock, time_mono_ns() + NSEC_PER_SEC);
}

void store_boot_run(void)
{
        space_fetch_at_once(false); /* from here on the store is the writer's alone */
        if (writer_start())
                panic("no memory for the store's writer");
        migrate_start();
        warm_start();
}
