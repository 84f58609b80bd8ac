/* mask.h - temporary signal masks and timeouts of ppoll, pselect6, epoll_pwait: between the files of posix/poll only. */
#pragma once
#include "posix/include/poll.h"
#include <linux/time_types.h>

/* What such calls remember from decode to end. */
struct poll_wait {
        sigset64 mask;
        uint8_t has_mask, has_deadline, immediate, pad;
};
/* Copies in and checks a mask: 0, -EINVAL, or user_fault's result. A zero address is no mask. */
long wait_mask_decode(struct call *c, struct poll_wait *w, uint64_t user, uint64_t size);
/* Before the first sleep: the mask becomes the thread's, the call is saved. True: a signal is there already. Changes. */
bool wait_mask_install(struct call *c, struct poll_wait *w);
void wait_timeout_ns(struct call *c, struct poll_wait *w, uint64_t ns);
/* Relative timespec at `user` (0: none) into c->deadline: 0, -EINVAL, or user_fault's result. */
long wait_timespec_decode(struct call *c, struct poll_wait *w, uint64_t user);
uint64_t wait_remaining_ns(struct call *c, const struct poll_wait *w);
