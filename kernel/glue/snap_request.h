/*
 * snap_request.h - what others want of the store: to keep, drop and go back to snapshots, and pages of them. The writer alone uses the store, so they ask it.
 *
 * A request is volatile and belongs to who submits it until it is done; nobody waits on the spot. What must survive a reboot keeps its own record and asks again.
 */
#pragma once
#include "persist/space.h"
#include "persist/store/store.h"

enum snap_op {
        SNAP_KEEP,     /* the last commit is kept, pinned by the user; out: epoch */
        SNAP_DROP,     /* epoch; -EBUSY while it is in use */
        SNAP_ROLLBACK, /* epoch becomes the newest state, and the machine goes down to come up in it; done() is called only when that cannot be */
        SNAP_POLICY,   /* policy becomes the store's */
        SNAP_READ_PAGE, /* epoch, ppn; the page to buf */
};

struct snap_request {
        enum snap_op op;
        uint64_t epoch;
        ppn_t ppn;
        void *buf;
        int status; /* out: 0 or -Exxx */
        void (*done)(struct snap_request
                             *r);  /* the writer calls it, outside sections, or whoever finds that there is no store */
        struct snap_request *next; /* the queue's */
};

/* Any context but interrupt handlers. Without a store the request is done at once, with -ENODEV. */
void snap_submit(struct snap_request *r);
/* The writer, in its loop, between commits: carries out what was submitted. */
void snap_serve(struct store *s);
