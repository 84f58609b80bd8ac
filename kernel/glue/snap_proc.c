/*
 * snap_proc.c - time travel as programs see it (psnap does): three files in /proc/phantom.
 *
 *   snapshots   a line for each snapshot that is kept, oldest first: epoch, time (ns since 1970), `pinned` or `auto`, `mounted` or `-`
 *   status      figures, a line each: name, number
 *   control     takes one command a write, which returns when it is done:
 *                 keep            what is now is made durable, and kept until it is dropped
 *                 drop EPOCH      -EBUSY while it is mounted, -ENOENT
 *                 rollback EPOCH  that becomes the newest state, and the machine starts again; returns only if that cannot be
 *                 attach DEVICE FIRST N  a space without a store gets one: N sectors of /dev/DEVICE from FIRST, all of whose contents go. Returns when this instant is
 *                                 durable there. -EEXIST: there is one; -ENXIO: no such device; -EBUSY, -EROFS, -EINVAL, -ENOSPC: not on that one
 *                 format DEVICE FIRST N  the same sectors become an empty store, for a system that is yet to start
 *                 interval MS     commits this often; 0: only when somebody waits for one
 *                 auto SECONDS    one is kept by itself this often; 0: none
 *               -ENODEV without a store
 *
 * A command is a call that waits: keep first for its commit, then, like drop, for the writer. The request is volatile and found by its thread (block.c does the same); a call that finds none
 * after a reboot asks again, and a snapshot that is gone by then was dropped.
 */
#include "kernel/glue/snap_proc.h"
#include "kernel/glue/old_pages.h"
#include "kernel/glue/snap_request.h"
#include "kernel/glue/store_disk.h"
#include "kernel/include/block.h"
#include "kernel/include/cpu.h"
#include "kernel/include/mem.h"
#include "kernel/include/sched.h"
#include "kernel/include/time.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "posix/include/call.h"
#include "posix/include/process.h"
#include "posix/include/procfs.h"
#include <asm/errno.h>

struct command {
        uint64_t op, epoch, commit, asked;
        uint64_t device, sector, nsectors; /* of SNAP_ATTACH; the device by its index in this life */
};
struct asked {
        struct snap_request request;
        struct asked *next;
        uint32_t slot; /* of the thread that asks */
        volatile bool done;
};
static struct spinlock asked_lock;
static struct asked *all;

static struct asked *asked_find(uint32_t slot)
{
        uint64_t f = spin_lock(&asked_lock);
        struct asked *a = all;

        while (a && a->slot != slot)
                a = a->next;
        spin_unlock(&asked_lock, f);
        return a;
}

static void asked_free(struct asked *a)
{
        uint64_t f = spin_lock(&asked_lock);
        struct asked **at = &all;

        while (*at != a)
                at = &(*at)->next;
        *at = a->next;
        spin_unlock(&asked_lock, f);
        kfree(a);
}

static void asked_done(struct snap_request *r)
{
        struct asked *a = container_of(r, struct asked, request);
        struct sched_thread *st = sched_of(a->slot); /* it cannot end: its call does not before this is done */

        __atomic_store_n(&a->done, true, __ATOMIC_RELEASE);
        sched_post(st, SCHED_WOKEN);
}

static long ask(struct call *c, struct command *cmd)
{
        struct asked *a = asked_find(c->thread->slot);
        bool again = cmd->asked && !a;
        uint64_t f;
        long r;

        if (!a) {
                a = kzalloc(sizeof(*a));
                if (!a)
                        return -ENOMEM;
                a->slot = c->thread->slot;
                a->request = (struct snap_request){.op = (enum snap_op)cmd->op,
                                                   .epoch = cmd->epoch,
                                                   .device = block_by_index((unsigned)cmd->device),
                                                   .sector = cmd->sector,
                                                   .nsectors = cmd->nsectors,
                                                   .done = asked_done};
                f = spin_lock(&asked_lock);
                a->next = all;
                all = a;
                spin_unlock(&asked_lock, f);
                cmd->asked = 1 + again;
                snap_submit(&a->request);
        }
        if (!__atomic_load_n(&a->done, __ATOMIC_ACQUIRE))
                return call_wait(c, CONDITION, NULL, UNINTERRUPTIBLE, NO_DEADLINE);
        r = a->request.status;
        asked_free(a);
        if (cmd->asked > 1 && r == (cmd->op == SNAP_DROP ? -ENOENT : cmd->op == SNAP_ATTACH ? -EEXIST : 1))
                return 0; /* it was done in the life before */
        return r;
}

static long run(struct call *c, struct command *cmd)
{
        long r = cmd->op == SNAP_KEEP ? call_wait_commit(c, cmd->commit) : 0;

        return r ? r : ask(c, cmd);
}

static bool is(const char **text, const char *word)
{
        size_t n = strlen(word);

        if (strncmp(*text, word, n) != 0)
                return false;
        *text += n;
        return true;
}

static long parse_place(const char *text, struct command *cmd)
{
        const char *end = strchr(text, ' ');
        char name[16] = "";
        struct block_device *d;

        if (!end || (size_t)(end - text) >= sizeof(name))
                return -EINVAL;
        memcpy(name, text, (size_t)(end - text));
        if (!fmt_parse_u64(end + 1, 10, &text, &cmd->sector) || *text != ' ' ||
            proc_parse_u64(text + 1, &cmd->nsectors))
                return -EINVAL;
        d = block_find(name);
        if (!d)
                return -ENXIO;
        cmd->device = d->index;
        return 0;
}

/* text NULL: the call goes on with the command that it keeps. */
static long control(struct call *c, const char *text, size_t len, void *arg)
{
        struct command *cmd = call_state(c, struct command);
        bool attach;
        uint64_t n;
        long r;

        (void)len;
        (void)arg;
        if (!text)
                return run(c, cmd);
        *cmd = (struct command){.commit = snapshot_epoch()};
        if (strcmp(text, "keep") == 0 || strcmp(text, "keep\n") == 0) {
                cmd->op = SNAP_KEEP;
        } else if (is(&text, "drop ")) {
                cmd->op = SNAP_DROP;
        } else if (is(&text, "rollback ")) {
                cmd->op = SNAP_ROLLBACK;
        } else if ((attach = is(&text, "attach ")) || is(&text, "format ")) {
                cmd->op = attach ? SNAP_ATTACH : SNAP_FORMAT;
                r = parse_place(text, cmd);
                if (r)
                        return r;
                c->stage = PROC_WRITE_MORE;
                return run(c, cmd);
        } else if (is(&text, "interval ")) {
                if (proc_parse_u64(text, &n) || n > 3600000)
                        return -EINVAL;
                changes(c);
                posix_root()->snap_interval_ms = n + 1;
                snapshot_interval_ns = n * 1000000;
                return 0;
        } else if (is(&text, "auto ")) {
                if (proc_parse_u64(text, &n) || n > 366ul * 86400)
                        return -EINVAL;
                changes(c);
                posix_root()->snap_auto_s = n + 1;
                snap_auto_s = n;
                return 0;
        } else if (strcmp(text, "scrub") == 0 || strcmp(text, "scrub\n") == 0) {
                if (!snapshot_has_store())
                        return -ENODEV;
                scrub_start();
                return 0;
        } else {
                return -EINVAL;
        }
        if (cmd->op != SNAP_KEEP && proc_parse_u64(text, &cmd->epoch))
                return -EINVAL;
        if (!snapshot_has_store())
                return -ENODEV;
        c->stage = PROC_WRITE_MORE;
        return run(c, cmd);
}

static void show_snapshots(struct proc_text *t, void *arg)
{
        struct store_kept *list = kmalloc(SNAP_KEPT_MAX * sizeof(*list));
        unsigned n;

        (void)arg;
        if (!list)
                return;
        n = MIN(snap_list(list, SNAP_KEPT_MAX), SNAP_KEPT_MAX);
        for (unsigned i = 0; i < n && !proc_full(t); i++)
                proc_printf(t, "%lu %lu %s %s\n", list[i].epoch, list[i].clock.real_ns,
                            list[i].flags & KEPT_PINNED ? "pinned" : "auto",
                            old_pages_in_use(list[i].epoch) ? "mounted" : "-");
        kfree(list);
}

static uint64_t ticks_ns(uint64_t ticks)
{
        return ticks * 1000 / MAX(time_tsc_khz() / 1000, 1ul);
}

static void show_status(struct proc_text *t, void *arg)
{
        static const char *const kinds[PAGE_KINDS] = {NULL,         "allocator", "objects", "blocks",
                                                      "page_trees", "memory",    "files",   "directories"};
        struct snapshot_stats commits;
        struct store_disk_counts disk;
        struct barrier_stats b;
        struct scrub_stats scrub;
        struct space_stats s;
        struct store_info store;
        uint64_t used = 0;

        (void)arg;
        snapshot_stats(&commits);
        snapshot_barrier_stats(&b);
        space_stats(&s);
        snap_store_info(&store);
        store_disk_counts(&disk);
        scrub_stats(&scrub);
        for (unsigned k = 1; k < PAGE_KINDS; k++)
                used += s.pages[k];
        proc_printf(t, "store %d\nerror %d\nepoch %lu\ndurable_epoch %lu\ninterval_ms %lu\nauto_s %lu\n",
                    snapshot_has_store(), snapshot_error(), s.epoch, commits.durable_epoch,
                    snapshot_interval_ns / 1000000, snap_auto_s);
        for (unsigned k = 1; k < PAGE_KINDS; k++)
                proc_printf(t, "pages_%s %lu\n", kinds[k], s.pages[k]);
        proc_printf(t, "commits %lu\ncommitted_pages %lu\ncopied_pages %lu\ndirty_pages %lu\nused_pages %lu\n",
                    commits.commits, commits.pages, commits.copied, s.dirty_now, used);
        proc_printf(t,
                    "disk_writes %lu\ndisk_written_bytes %lu\ndisk_flushes %lu\ndisk_read_bytes "
                    "%lu\ndisk_discarded_bytes %lu\n",
                    disk.writes, disk.written, disk.flushes, disk.read, disk.discarded);
        proc_printf(t, "attach_pages %lu\nattach_total %lu\n", commits.attach_pages, commits.attach_total);
        proc_printf(t, "fetched_pages %lu\nread_ahead_pages %lu\nevicted_pages %lu\n", commits.fetched, commits.warmed,
                    commits.evicted);
        proc_printf(t, "pauses %lu\npause_last_ns %lu\npause_p50_ns %lu\npause_p99_ns %lu\npause_max_ns %lu\n", b.count,
                    ticks_ns(b.pause_last), ticks_ns(snapshot_pause(500)), ticks_ns(snapshot_pause(990)),
                    ticks_ns(b.pause_max));
        proc_printf(t,
                    "scrub_passes %lu\nscrub_running %d\nscrub_states %lu\nscrub_pages %lu\nscrub_damaged "
                    "%lu\nscrub_mended %lu\n",
                    scrub.passes, scrub.running, scrub.states, scrub.pages, scrub.damaged, scrub.mended);
        proc_printf(t, "store_blocks %lu\nstore_free %lu\nstore_pending %lu\nkept %lu\nincarnation %lu\n",
                    store.nblocks, store.free, store.pending + store.recent, store.nkept, store.incarnation);
}

void snap_proc_register(void)
{
        if (posix_root()->snap_interval_ms)
                snapshot_interval_ns = (posix_root()->snap_interval_ms - 1) * 1000000;
        if (posix_root()->snap_auto_s)
                snap_auto_s = posix_root()->snap_auto_s - 1;
        proc_register("/proc/phantom/snapshots", 0444, show_snapshots, NULL, NULL);
        proc_register("/proc/phantom/status", 0444, show_status, NULL, NULL);
        proc_register("/proc/phantom/control", 0600, NULL, control, NULL);
}
