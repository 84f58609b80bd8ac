/*
 * pty.c - the master side of pseudo terminals. What the slave writes (and what is echoed) waits in tty->out until the master reads it; what the
 * master writes goes through the line discipline in the writer's own section. A full ring holds the slave's writers up, a full input queue the
 * master's.
 */
#include "posix/tty/tty_internal.h"
#include "posix/include/pipe.h"
#include "kernel/lib/fmt.h"
#include <asm/ioctls.h>

#define TTY_GROUP 5u /* Debian's "tty": who may write(1) to a terminal */

struct tty *pty_find(unsigned index)
{
        struct tty *t = index < PTY_MAX ? READ_ONCE(tty_state()->pty[index]) : NULL;

        return t && t->master_open ? t : NULL;
}

int pty_next(unsigned from)
{
        for (; from < PTY_MAX; from++)
                if (pty_find(from))
                        return (int)from;
        return -1;
}

long ptmx_open(struct call *c, struct inode *i, uint32_t flags)
{
        struct tty_state *s = tty_state();
        struct cred *cred = c->thread->cred;
        unsigned index = 0;
        struct file *f;
        struct tty *t;
        int fd = fd_reserve(c, 0);

        if (fd < 0)
                return fd;
        lock(LOCK_TTY, s); /* the numbers */
        while (index < PTY_MAX && s->pty[index])
                index++;
        if (index == PTY_MAX)
                return -ENOSPC;
        if (!space_room(6))
                return -ENOMEM;
        changes(c);
        t = tty_new(TTY_PTY, index);
        t->locked = 1;
        t->master_open = 1;
        t->uid = cred->fsuid;
        t->gid = TTY_GROUP;
        t->mode = 0620;
        t->time_ns = (int64_t)time_now_coarse_ns();
        s->pty[index] = t;
        f = tty_file_new(t, FILE_PTMX, i, flags);
        object_put(t);
        fd_install(c, fd, f, flags & O_CLOEXEC);
        return fd;
}

/* The last file of the slave is closed: the master reads what is left, then EIO. */
void pty_slave_closed(struct tty *t)
{
        t->slave_closed = 1;
        if (t->packet)
                t->packet_status = 0;
        tty_flush_input(t);
        wake(&t->out_head);
}

static void ptmx_release(struct file *f)
{
        struct tty *t = file_tty(f);

        tty_lock(t);
        t->master_open = 0;
        t->packet = 0;
        tty_hangup(t, false);
        tty_unlock(t);
}

static long ptmx_read(struct call *c, struct file *f)
{
        struct tty *t = file_tty(f);
        struct io_mark mark = io_mark(&c->io);
        size_t n, done = 0;
        char status = 0;

        if (c->io.len == 0)
                return c->io.done;
        tty_lock(t);
        tty_touch(t);
        n = t->out_head - t->out_tail;
        if (!n && !t->packet_status) {
                if (t->slave_closed)
                        return -EIO;
                if (f->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &t->out_head, INTERRUPTIBLE, NO_DEADLINE);
        }
        if (t->packet) {
                status = (char)t->packet_status;
                if (io_copy_out(&c->io, &status, 1) != 1)
                        return user_fault(c);
                io_advance(&c->io, 1);
                if (status)
                        n = 0;
        }
        n = MIN(n, c->io.len);
        while (done < n) {
                size_t at = (t->out_tail + done) % TTY_OUT, want = MIN(n - done, TTY_OUT - at),
                       got = io_copy_out(&c->io, t->out + at, want);

                io_advance(&c->io, got);
                done += got;
                if (got < want)
                        break;
        }
        if (done < n) {
                io_reset(&c->io, mark);
                return user_fault(c);
        }
        changes(c);
        if (status)
                t->packet_status = 0;
        t->out_tail += n;
        wake(&t->out_room);
        return c->io.done;
}

static long ptmx_write(struct call *c, struct file *f)
{
        struct tty *t = file_tty(f);
        struct tty_sink echo;
        char bytes[TTY_CHUNK];
        size_t n, took;

        if (c->io.len == 0)
                return c->io.done;
        n = io_copy_in(&c->io, bytes, MIN(c->io.len, sizeof(bytes)));
        if (n == 0)
                return user_fault(c);
        tty_lock(t);
        tty_touch(t);
        if (!tty_input_room(t)) {
                if (f->flags & O_NONBLOCK)
                        return c->io.done ? (long)c->io.done : -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &t->in_room, INTERRUPTIBLE, NO_DEADLINE);
        }
        changes(c);
        sink_init(&echo, t);
        took = tty_input(t, &echo, bytes, n);
        sink_flush(&echo);
        io_advance(&c->io, took);
        return c->io.len ? CALL_AGAIN : (long)c->io.done;
}

static uint32_t ptmx_poll(struct file *f, struct poll_table *pt)
{
        struct tty *t = file_tty(f);
        uint32_t ready = 0;

        poll_register(pt, &t->out_head);
        poll_register_for(pt, &t->in_room, EPOLLOUT | EPOLLWRNORM);
        if (READ_ONCE(t->out_head) != READ_ONCE(t->out_tail))
                ready |= EPOLLIN | EPOLLRDNORM;
        if (t->packet_status)
                ready |= EPOLLPRI | EPOLLIN | EPOLLRDNORM;
        if (t->slave_closed)
                ready |= EPOLLHUP;
        if (tty_input_room(t))
                ready |= EPOLLOUT | EPOLLWRNORM;
        return ready;
}

/* TIOCGPTPEER: the slave, without a name to be looked up. */
static long open_peer(struct call *c, struct tty *t, uint32_t flags)
{
        struct inode *i = devpts_inode ? devpts_inode(t->index) : NULL;
        struct file *f;
        int fd;

        if (!i)
                return -EIO;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        tty_lock(t);
        if (!space_room(3))
                return -ENOMEM;
        changes(c);
        f = tty_file_new(t, FILE_TTY, i, flags);
        tty_open_controlling(t, f, flags);
        fd_install(c, fd, f, flags & O_CLOEXEC);
        return fd;
}

static long set_packet(struct call *c, struct tty *t, int on)
{
        tty_lock(t);
        changes(c);
        if (on && !t->packet)
                t->packet_status = 0;
        t->packet = on != 0;
        if (!on)
                t->packet_status = 0;
        return 0;
}

static long set_locked(struct call *c, struct tty *t, int on)
{
        changes(c);
        t->locked = on != 0;
        return 0;
}

long pty_ioctl(struct call *c, struct file *f, struct tty *t, bool master, unsigned cmd, uint64_t arg)
{
        int value;

        (void)f;
        if (t->kind != TTY_PTY || !master)
                return -ENOIOCTLCMD;
        switch (cmd) {
        case TIOCGPTN:
                value = (int)t->index;
                break;
        case TIOCGPTLCK:
                value = t->locked;
                break;
        case TIOCGPKT:
                value = t->packet;
                break;
        case TIOCPKT:
        case TIOCSPTLCK:
                if (!copy_in(c, &value, arg, sizeof(value)))
                        return user_fault(c);
                return cmd == TIOCPKT ? set_packet(c, t, value) : set_locked(c, t, value);
        case TIOCGPTPEER:
                return open_peer(c, t, (uint32_t)arg);
        case TIOCSIG:
                if (arg < 1 || arg > 64)
                        return -EINVAL;
                tty_lock(t);
                tty_touch(t);
                changes(c);
                tty_signal_foreground(t, (int)arg);
                return 0;
        default:
                return -ENOIOCTLCMD;
        }
        return copy_out(c, arg, &value, sizeof(value)) ? 0 : user_fault(c);
}

const struct file_ops ptmx_file_ops = {
        .name = "ptmx",
        .read = ptmx_read,
        .write = ptmx_write,
        .poll = ptmx_poll,
        .ioctl = tty_ioctl,
        .release = ptmx_release,
};
