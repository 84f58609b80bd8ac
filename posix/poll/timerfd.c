/*
 * timerfd.c - timers as something to read. An expiration changes nothing: how many there were is computed from the clock when somebody reads. What happens
 * at the deadline (deadline.h) is a wake-up, one per arming, as on Linux; reading arms the next.
 */
#include "posix/poll/events.h"
#include "posix/poll/anon.h"
#include "posix/include/deadline.h"
#include <linux/time.h>
#include <linux/timerfd.h>

static bool wall_clock(int clock)
{
        return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
}

static uint64_t now_on(const struct timerfd *t)
{
        if (t->clock == CLOCK_BOOTTIME || t->clock == CLOCK_BOOTTIME_ALARM)
                return time_boot_ns();
        return wall_clock(t->clock) ? time_real_ns() : time_mono_ns();
}

static bool expired(const struct timerfd *t)
{
        return t->armed && now_on(t) >= t->deadline_ns;
}

/* ---- the deadline ---- */

/* Runs as a section of its own, without a current thread. */
void timerfd_expired(void *object)
{
        struct timerfd *t = object;

        section_changes(); /* epoll items hear of it */
        wake(&t->deadline_ns);
}

/* After changes(). */
static void arm(struct timerfd *t)
{
        uint64_t now = now_on(t), mono = time_mono_ns();

        if (!t->armed)
                deadline_set(t, DEADLINE_TIMERFD, 0);
        else
                deadline_set(t, DEADLINE_TIMERFD, t->deadline_ns > now ? mono + (t->deadline_ns - now) : mono);
}

bool timerfd_release(void *object)
{
        struct timerfd *t = object;

        section_changes();
        deadline_drop(t, DEADLINE_TIMERFD);
        t->armed = 0;
        space_free(t);
        return false;
}

static void boot_one(void *object, void *arg)
{
        struct timerfd *t = object;
        int *error = arg;

        if (!t->armed)
                return;
        if (deadline_reserve(NULL) < 0)
                *error = -ENOMEM;
        else
                arm(t);
}

int timerfd_boot(void)
{
        int error = 0;

        space_each(TYPE_TIMERFD, boot_one, &error);
        return error;
}

static void clock_set_one(void *object, void *arg)
{
        struct timerfd *t = object;

        (void)arg;
        if (!wall_clock(t->clock) || !t->armed)
                return;
        if (t->cancel_on_set && t->absolute)
                t->cancelled = 1;
        arm(t);
        wake(&t->deadline_ns);
}

/* CLOCK_REALTIME was set. */
void timerfd_real_changed(void)
{
        space_each(TYPE_TIMERFD, clock_set_one, NULL);
}

/* ---- reading ---- */

static long timerfd_read(struct call *c, struct file *f)
{
        struct timerfd *t = (struct timerfd *)f->priv;
        uint64_t ticks = 1, now;

        if (c->io.len < sizeof(ticks))
                return -EINVAL;
        lock(LOCK_EVENT, t);
        if (t->cancelled) {
                changes(c);
                t->cancelled = 0;
                return -ECANCELED;
        }
        if (!expired(t)) {
                if (f->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &t->deadline_ns, INTERRUPTIBLE, NO_DEADLINE);
        }
        now = now_on(t);
        if (t->interval_ns)
                ticks += (now - t->deadline_ns) / t->interval_ns;
        if (io_copy_out(&c->io, &ticks, sizeof(ticks)) != sizeof(ticks))
                return user_fault(c);
        changes(c);
        t->armed = t->interval_ns != 0;
        t->deadline_ns += ticks * t->interval_ns;
        arm(t);
        return sizeof(ticks);
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *pt)
{
        struct timerfd *t = (struct timerfd *)f->priv;

        poll_register(pt, &t->deadline_ns);
        return expired(t) || READ_ONCE(t->cancelled) ? EPOLLIN : 0;
}

static long timerfd_ioctl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        struct timerfd *t = (struct timerfd *)f->priv;
        uint64_t ticks;

        if (cmd != TFD_IOC_SET_TICKS)
                return -ENOTTY;
        if (!capable(CAP_SYS_RESOURCE)) /* what CONFIG_CHECKPOINT_RESTORE's users have */
                return -EPERM;
        if (!copy_in(c, &ticks, arg, sizeof(ticks)))
                return user_fault(c);
        if (!ticks)
                return -EINVAL;
        lock(LOCK_EVENT, t);
        if (!t->armed || !t->interval_ns)
                return -ECANCELED;
        changes(c);
        t->deadline_ns = now_on(t) - (ticks - 1) * t->interval_ns;
        wake(&t->deadline_ns);
        return 0;
}

const struct file_ops timerfd_file_ops = {
        .name = "[timerfd]",
        .read = timerfd_read,
        .poll = timerfd_poll,
        .ioctl = timerfd_ioctl,
};

/* ---- calls ---- */

long sys_timerfd_create(struct call *c)
{
        int clock = (int)c->arg[0];
        uint32_t flags = (uint32_t)c->arg[1];
        struct timerfd *t;
        int fd;

        if (flags & ~(uint32_t)(TFD_CLOEXEC | TFD_NONBLOCK))
                return -EINVAL;
        if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_ALARM &&
            clock != CLOCK_BOOTTIME && clock != CLOCK_BOOTTIME_ALARM)
                return -EINVAL;
        if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) && !capable(CAP_WAKE_ALARM))
                return -EPERM;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        if (!space_room(3))
                return -ENOMEM;
        changes(c);
        t = object_new(TYPE_TIMERFD);
        t->clock = clock;
        anon_install(c, fd, FILE_TIMERFD, flags, t, "[timerfd]");
        return fd;
}

static struct timerfd *timerfd_of(struct call *c, long *error)
{
        struct file *f = fd_lookup_io(c, c->arg[0]);

        *error = !f ? -EBADF : -EINVAL;
        return f && f->ops_type == FILE_TIMERFD ? (struct timerfd *)f->priv : NULL;
}

/* What is left and the interval, as Linux shows it: never 0 for a timer that is armed. */
static void show(const struct timerfd *t, struct __kernel_itimerspec *its)
{
        uint64_t now = now_on(t), left = 0;

        if (t->armed) {
                uint64_t next = t->deadline_ns;

                if (next <= now && t->interval_ns)
                        next += (1 + (now - next) / t->interval_ns) * t->interval_ns;
                left = next > now ? next - now : 0;
        }
        its->it_value.tv_sec = (long long)(left / NSEC_PER_SEC);
        its->it_value.tv_nsec = (long long)(left % NSEC_PER_SEC);
        its->it_interval.tv_sec = (long long)(t->interval_ns / NSEC_PER_SEC);
        its->it_interval.tv_nsec = (long long)(t->interval_ns % NSEC_PER_SEC);
}

static bool valid(const struct __kernel_timespec *ts)
{
        return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long long)NSEC_PER_SEC;
}

static uint64_t to_ns(const struct __kernel_timespec *ts)
{
        if (ts->tv_sec >= (long long)(~0ul / 2 / NSEC_PER_SEC))
                return ~0ul / 2;
        return (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
}

long sys_timerfd_settime(struct call *c)
{
        uint32_t flags = (uint32_t)c->arg[1];
        struct __kernel_itimerspec new, old;
        uint64_t value, now;
        struct timerfd *t;
        long error;

        if (!copy_in(c, &new, c->arg[2], sizeof(new)))
                return user_fault(c);
        if (flags & ~(uint32_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) || !valid(&new.it_value) ||
            !valid(&new.it_interval))
                return -EINVAL;
        t = timerfd_of(c, &error);
        if (!t)
                return error;
        lock(LOCK_EVENT, t);
        show(t, &old);
        if (c->arg[3] && !copy_out(c, c->arg[3], &old, sizeof(old)))
                return user_fault(c);
        if (deadline_reserve(c) < 0)
                return -ENOMEM;
        changes(c);
        value = to_ns(&new.it_value);
        now = now_on(t);
        t->armed = value != 0;
        t->absolute = flags & TFD_TIMER_ABSTIME;
        t->cancel_on_set = wall_clock(t->clock) && t->absolute && flags & TFD_TIMER_CANCEL_ON_SET;
        t->cancelled = 0;
        t->interval_ns = to_ns(&new.it_interval);
        t->deadline_ns = t->absolute ? value : value > ~0ul / 2 - now ? ~0ul / 2 : now + value;
        arm(t);
        wake(&t->deadline_ns);
        return 0;
}

long sys_timerfd_gettime(struct call *c)
{
        struct __kernel_itimerspec its;
        struct timerfd *t;
        long error;

        t = timerfd_of(c, &error);
        if (!t)
                return error;
        lock(LOCK_EVENT, t);
        show(t, &its);
        return copy_out(c, c->arg[1], &its, sizeof(its)) ? 0 : user_fault(c);
}
