/*
 * snap_request.c - the queue of what others want of the store (snap_request.h).
 */
#include "kernel/glue/snap_request.h"
#include "kernel/include/cpu.h"
#include <asm/errno.h>

static struct spinlock queue_lock;
static struct snap_request *first, **last = &first;

void snap_submit(struct snap_request *r)
{
        uint64_t f;

        if (!snapshot_has_store()) {
                r->status = -ENODEV;
                r->done(r);
                return;
        }
        r->next = NULL;
        f = spin_lock(&queue_lock);
        *last = r;
        last = &r->next;
        spin_unlock(&queue_lock, f);
}
