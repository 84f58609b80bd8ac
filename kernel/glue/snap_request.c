/*
 * snap_request.c - what others want of the store (snap_request.h): the queue, and the writer's side of it: requests, and the policy by which snapshots are kept.
 * The writer publishes a copy of the table of kept snapshots and of the store's figures, so that who only looks need not ask.
 */
#include "kernel/glue/snap_request.h"
#include "kernel/glue/old_pages.h"
#include "kernel/glue/retention.h"
#include "kernel/glue/store_disk.h"
#include "kernel/glue/store_writer.h"
#include "kernel/include/block.h"
#include "kernel/include/cpu.h"
#include "kernel/include/log.h"
#include "kernel/include/power.h"
#include "kernel/include/time.h"
#include "kernel/lib/string.h"
#include <asm/errno.h>

static struct spinlock queue_lock, seen_lock;
static struct snap_request *first, **last = &first;
static struct store_kept seen[SNAP_KEPT_MAX], work[SNAP_KEPT_MAX]; /* work: the writer's */
static unsigned nseen;
static bool seen_once;
static struct store_info info;
static uint64_t auto_epoch,
        auto_ns; /* the last one kept by the policy, or found at boot: its epoch, and when (monotonic) */
uint64_t snap_auto_s = 60;

void snap_submit(struct snap_request *r)
{
        uint64_t f;

        if (r->op != SNAP_FORMAT && snapshot_has_store() == (r->op == SNAP_ATTACH)) {
                r->status = r->op == SNAP_ATTACH ? -EEXIST : -ENODEV;
                r->done(r);
                return;
        }
        r->next = NULL;
        f = spin_lock(&queue_lock);
        *last = r;
        last = &r->next;
        spin_unlock(&queue_lock, f);
        writer_wake();
}

static struct snap_request *take(void)
{
        uint64_t f = spin_lock(&queue_lock);
        struct snap_request *r = first;

        if (r) {
                first = r->next;
                if (!first)
                        last = &first;
        }
        spin_unlock(&queue_lock, f);
        return r;
}

unsigned snap_list(struct store_kept *list, unsigned max)
{
        uint64_t f = spin_lock(&seen_lock);
        unsigned n = nseen;

        memcpy(list, seen, MIN(n, max) * sizeof(*list));
        spin_unlock(&seen_lock, f);
        return n;
}

bool snap_is_kept(uint64_t epoch)
{
        uint64_t f = spin_lock(&seen_lock);
        bool found = !seen_once;

        for (unsigned i = 0; i < nseen; i++)
                found |= seen[i].epoch == epoch;
        spin_unlock(&seen_lock, f);
        return found;
}

void snap_store_info(struct store_info *to)
{
        uint64_t f = spin_lock(&seen_lock);

        *to = info;
        spin_unlock(&seen_lock, f);
}

static void publish_info(struct store *s)
{
        struct store_info now;
        uint64_t f;

        store_info(s, &now);
        f = spin_lock(&seen_lock);
        info = now;
        spin_unlock(&seen_lock, f);
}

static unsigned list_kept(struct store *s)
{
        unsigned n = store_kept(s, work, SNAP_KEPT_MAX);

        return MIN(n, SNAP_KEPT_MAX);
}

static void publish_kept(struct store *s)
{
        unsigned n = list_kept(s);
        uint64_t f = spin_lock(&seen_lock);

        seen_once = true;
        nseen = n;
        memcpy(seen, work, n * sizeof(*seen));
        spin_unlock(&seen_lock, f);
}

static const struct store_kept *find_kept(struct store *s, uint64_t epoch)
{
        unsigned n = list_kept(s);

        for (unsigned i = 0; i < n; i++) {
                if (work[i].epoch == epoch)
                        return &work[i];
        }
        return NULL;
}

int snap_rollback(struct store *s, uint64_t epoch)
{
        const struct store_kept *k = find_kept(s, epoch);
        struct space_clock clock;
        int e;

        if (!k)
                return -ENOENT;
        clock = (struct space_clock){k->clock.mono_ns, k->clock.real_ns};
        klog(LOG_INFO, "going back to epoch %lu", epoch);
        e = space_rollback(epoch, &clock);
        if (e)
                return e;
        (void)store_leave(s);
        e = power_reset();
        panic("the machine went back to epoch %lu, and does not restart by itself: error %d", epoch, e);
}

/* ---- attaching: one request at a time, from here to attached() ---- */

static struct snap_request *attach_request;
static struct store_disk *attach_disk;
static struct store *attach_store;

static void attach_undo(void)
{
        if (attach_store)
                store_close(attach_store);
        if (attach_disk)
                store_disk_close(attach_disk);
        attach_store = NULL;
        attach_disk = NULL;
}

static void attached(int error)
{
        struct snap_request *r = attach_request;

        attach_request = NULL;
        if (error) {
                attach_undo();
                store_device_claim(r->device, false);
        }
        klog(LOG_INFO,
             error ? "%s did not become the store: error %d. The space is in memory alone, as before"
                   : "%s is the store of this space now",
             r->device->name, error);
        r->status = error;
        r->done(r);
}

/* An empty store where the request says; its disk is open. */
static int format(const struct snap_request *r, struct store_disk **disk)
{
        int e;

        if (r->device->claimed)
                return -EBUSY;
        if (r->device->read_only)
                return -EROFS;
        e = store_disk_open(r->device, r->sector, r->nsectors, disk);
        if (e)
                return e;
        e = store_disk_format(*disk);
        if (e)
                store_disk_close(*disk);
        return e;
}

static int attach(struct snap_request *r)
{
        int e = format(r, &attach_disk);

        if (e)
                return e;
        e = store_open(attach_disk, store_owner(), &attach_store);
        if (!e) {
                attach_request = r;
                store_device_claim(r->device, true);
                e = space_attach(attach_store, attached);
                if (e) {
                        attach_request = NULL;
                        store_device_claim(r->device, false);
                }
        }
        if (e)
                attach_undo();
        return e;
}

static int carry_out(struct store *s, struct snap_request *r)
{
        struct store_disk *disk;
        int e;

        switch (r->op) {
        case SNAP_KEEP:
                return store_keep(s, KEPT_PINNED, &r->epoch);
        case SNAP_DROP:
                return old_pages_in_use(r->epoch) ? -EBUSY : store_drop(s, r->epoch);
        case SNAP_ROLLBACK:
                return snap_rollback(s, r->epoch);
        case SNAP_READ_PAGE:
                if (!find_kept(s, r->epoch))
                        return -EIO; /* it is gone */
                e = store_read_at(s, r->epoch, r->ppn, r->buf);
                return e == -ENOENT ? 0 : e; /* a page of zeroes */
        case SNAP_FORMAT:
                e = format(r, &disk);
                if (!e)
                        store_disk_close(disk);
                return e;
        case SNAP_ATTACH:
                return snapshot_has_store() ? -EEXIST : attach(r);
        }
        return -EINVAL;
}

static bool nearly_full(struct store *s)
{
        struct store_info now;

        store_info(s, &now);
        return now.free + now.pending < now.nblocks / 16;
}

static void policy(struct store *s)
{
        uint64_t now_ns = time_mono_ns(), now_s = time_real_ns() / NSEC_PER_SEC, epoch;
        struct store_info now;
        unsigned n;
        int r = 0;

        if (!snap_auto_s || now_ns - auto_ns < snap_auto_s * NSEC_PER_SEC)
                return;
        auto_ns = now_ns;
        store_info(s, &now);
        if (!now.epoch || now.epoch == auto_epoch)
                return; /* nothing has changed */
        n = list_kept(s);
        for (unsigned i = 0; i < n && !r; i++)
                if (retention_goes(work, n, i, now_s, old_pages_in_use))
                        r = store_drop(s, work[i].epoch);
        n = list_kept(s);
        for (unsigned i = 0; i < n && !r && (nearly_full(s) || n - i >= SNAP_KEPT_MAX - 1); i++)
                if (retention_may_go(&work[i], old_pages_in_use))
                        r = store_drop(s, work[i].epoch);
        if (!r && !nearly_full(s))
                r = store_keep(s, 0, &epoch);
        auto_epoch = now.epoch;
        publish_kept(s);
        if (r)
                klog(LOG_ERR, "snapshots: the policy cannot be kept: %d", r);
}

void snap_serve(struct store *s)
{
        struct snap_request *r;

        if (s && !seen_once)
                publish_kept(s);
        while ((r = take())) {
                r->status = carry_out(s, r);
                if (r == attach_request)
                        continue; /* attached() ends it */
                if (s && r->op != SNAP_READ_PAGE)
                        publish_kept(s);
                r->done(r);
        }
        if (!s)
                return;
        if (!snapshot_error() && !store_wait_ns(s))
                policy(s);
        publish_info(s);
}
