/*
 * work.h - volatile work items: how interrupt handlers hand something to a section.
 * work_queue may be called from any context; fn runs soon on some CPU's stack, as a section of its own (persist/section.h), from the
 * scheduler loop or before the return to user mode. It may touch the space; it may not wait; if it meets an absent page before
 * its first change it is run again, so it must be idempotent until then. Queuing an item that is queued already does nothing.
 */
#pragma once
#include "kernel/include/types.h"
struct work {
        struct work *next;
        void (*fn)(struct work *);
        uint32_t queued;
};
void work_queue(struct work *w);
struct work *work_take(void); /* oldest item queued on this CPU, or NULL; the runner's (kernel/glue) */
