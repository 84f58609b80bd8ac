/*
 * mask.c - temporary signal masks and timeouts of the waiting calls.
 * The mask is put in place only when the call is about to sleep: a call that finds something at once changes nothing. From then on the call
 * is saved (a run from user registers would take the temporary mask for the old one); the dispatcher puts the old one back at its end.
 */
#include "posix/poll/mask.h"
#include "posix/include/signal.h"
#include "kernel/include/time.h"

long wait_mask_decode(struct call *c, struct poll_wait *w, uint64_t user, uint64_t size)
{
        w->has_mask = 0;
        if (!user)
                return 0;
        if (size != sizeof(w->mask))
                return -EINVAL;
        if (!copy_in(c, &w->mask, user, sizeof(w->mask)))
                return user_fault(c);
        w->mask &= ~(sigbit(SIGKILL) | sigbit(SIGSTOP));
        w->has_mask = 1;
        return 0;
}

bool wait_mask_install(struct call *c, struct poll_wait *w)
{
        if (!w->has_mask || c->has_mask)
                return false;
        changes(c);
        signal_mask_swap(c, w->mask);
        call_save(c);
        return signal_wanted(c->thread);
}

void wait_timeout_ns(struct call *c, struct poll_wait *w, uint64_t ns)
{
        uint64_t now = time_mono_ns();

        w->has_deadline = 1;
        w->immediate = ns == 0;
        c->deadline = ns > ~0ul / 2 - now ? ~0ul / 2 : now + ns;
}

long wait_timespec_decode(struct call *c, struct poll_wait *w, uint64_t user)
{
        struct __kernel_timespec ts;

        w->has_deadline = w->immediate = 0;
        c->deadline = NO_DEADLINE;
        if (!user)
                return 0;
        if (!copy_in(c, &ts, user, sizeof(ts)))
                return user_fault(c);
        if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long long)NSEC_PER_SEC)
                return -EINVAL;
        wait_timeout_ns(c, w,
                        ts.tv_sec > 1ll << 32 ? ~0ul / 2 : (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec);
        return 0;
}

uint64_t wait_remaining_ns(struct call *c, const struct poll_wait *w)
{
        uint64_t now;

        if (!w->has_deadline || w->immediate)
                return 0;
        now = time_mono_ns();
        return c->deadline > now ? c->deadline - now : 0;
}
