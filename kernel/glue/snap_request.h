/*
 * snap_request.h - what others want of the store: to keep and drop snapshots, to go back to one, and pages of them. The writer alone uses the store, so they ask it.
 *
 * A request is volatile and belongs to who submits it until it is done; nobody waits on the spot. What must survive a reboot keeps its own record and asks again.
 */
#pragma once
#include "persist/space.h"
#include "persist/store/format.h"
#include "persist/store/store.h"

enum snap_op {
        SNAP_KEEP, /* the last commit is kept, pinned by the user; out: epoch */
        SNAP_DROP, /* epoch; -EBUSY while it is in use */
        SNAP_ROLLBACK, /* epoch becomes the newest state, and the machine starts again in it; done() only if that cannot be */
        SNAP_READ_PAGE, /* epoch, ppn; the page to buf */
        SNAP_FORMAT, /* sectors of a device, all of whose contents go, become an empty store; whether there is one or not */
        SNAP_ATTACH, /* sectors of a device, all of whose contents go, become the store of the space that has none */
};

struct snap_request {
        enum snap_op op;
        uint64_t epoch;
        ppn_t ppn;
        void *buf;
        struct block_device *device;
        uint64_t sector, nsectors;
        int status;                           /* out: 0 or -Exxx */
        void (*done)(struct snap_request *r); /* by the writer, outside sections; at once where there is no store */
        struct snap_request *next;            /* the queue's */
};

/* Any context but interrupt handlers. Without a store a request is done at once, with -ENODEV, but for SNAP_ATTACH, for which a store is -EEXIST. */
void snap_submit(struct snap_request *r);
/* The writer, in its loop, between commits: carries out what was submitted, and keeps snapshots by the policy. */
void snap_serve(struct store *s);

/* The writer, or the boot CPU before there is one: as SNAP_ROLLBACK. Returns only if that cannot be. */
int snap_rollback(struct store *s, uint64_t epoch);

/*
 * The policy: every snap_auto_s seconds in which something changed a snapshot is kept (0: none). Which of them stay, retention.h says. When the store is nearly full the oldest go first.
 */
extern uint64_t snap_auto_s;

/* What the writer saw last. Any context; max: places in list; returns how many are kept. */
#define SNAP_KEPT_MAX 1024u
unsigned snap_list(struct store_kept *list, unsigned max);
bool snap_is_kept(uint64_t epoch); /* true for all before the writer has first looked */
void snap_store_info(struct store_info *info);
