/* eventfd.c - a counter that can be waited for. */
#include "posix/poll/events.h"
#include "posix/poll/anon.h"

/* <sys/eventfd.h> has them, the kernel's own headers do not. */
#define EFD_SEMAPHORE 1
#define EFD_CLOEXEC   O_CLOEXEC
#define EFD_NONBLOCK  O_NONBLOCK

#define COUNT_MAX (~0ul - 1) /* ~0 says overflow, which only the kernel's own users of an eventfd could cause */

bool eventfd_release(void *object)
{
        section_changes();
        space_free(object);
        return false;
}

static long eventfd_read(struct call *c, struct file *f)
{
        struct eventfd *e = (struct eventfd *)f->priv;
        uint64_t value;

        if (c->io.len < sizeof(value))
                return -EINVAL;
        lock(LOCK_EVENT, e);
        if (e->count == 0) {
                if (f->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &e->count, INTERRUPTIBLE, NO_DEADLINE);
        }
        value = e->semaphore ? 1 : e->count;
        if (io_copy_out(&c->io, &value, sizeof(value)) != sizeof(value))
                return user_fault(c);
        changes(c);
        e->count -= value;
        wake(&e->space);
        return sizeof(value);
}

static long eventfd_write(struct call *c, struct file *f)
{
        struct eventfd *e = (struct eventfd *)f->priv;
        uint64_t value;

        if (c->io.len < sizeof(value))
                return -EINVAL;
        if (io_copy_in(&c->io, &value, sizeof(value)) != sizeof(value))
                return user_fault(c);
        if (value == ~0ul)
                return -EINVAL;
        lock(LOCK_EVENT, e);
        if (value > COUNT_MAX - e->count) {
                if (f->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &e->space, INTERRUPTIBLE, NO_DEADLINE);
        }
        changes(c);
        e->count += value;
        wake(&e->count);
        return sizeof(value);
}

static uint32_t eventfd_poll(struct file *f, struct poll_table *pt)
{
        struct eventfd *e = (struct eventfd *)f->priv;
        uint64_t count;

        poll_register_for(pt, &e->count, EPOLLIN);
        poll_register_for(pt, &e->space, EPOLLOUT);
        count = READ_ONCE(e->count);
        return (count ? EPOLLIN : 0) | (count < COUNT_MAX ? EPOLLOUT : 0);
}

const struct file_ops eventfd_file_ops = {
        .name = "[eventfd]",
        .read = eventfd_read,
        .write = eventfd_write,
        .poll = eventfd_poll,
};

static long eventfd_make(struct call *c, uint32_t flags)
{
        struct eventfd *e;
        int fd;

        if (flags & ~(uint32_t)(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
                return -EINVAL;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        if (!space_room(3))
                return -ENOMEM;
        changes(c);
        e = object_new(TYPE_EVENTFD);
        e->count = (uint32_t)c->arg[0];
        e->semaphore = flags & EFD_SEMAPHORE;
        anon_install(c, fd, FILE_EVENTFD, flags, e, "[eventfd]");
        return fd;
}

long sys_eventfd(struct call *c)
{
        return eventfd_make(c, 0);
}

long sys_eventfd2(struct call *c)
{
        return eventfd_make(c, (uint32_t)c->arg[1]);
}
