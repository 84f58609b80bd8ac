/*
 * tty.c - terminals as files: open, read, write, poll. The bytes' treatment is ldisc.c's.
 * A file that was open when its terminal was hung up is dead: it reads end-of-file and refuses the rest. It knows by the count it was opened at.
 * Lock order: LOCK_FDTABLE, LOCK_TTY, LOCK_PROCTREE, LOCK_SIGNAL.
 */
#include "posix/tty/tty_internal.h"
#include "posix/include/pipe.h"
#include "kernel/include/boot.h"
#include "kernel/include/time.h"
#include "kernel/lib/string.h"
#include <linux/tty.h>

#define TENTH     100000000ul /* VTIME's unit, ns */
#define SENT_POLL 2000000ul   /* the last bytes of a serial port leave without an interrupt */

struct tty *tty_new(enum tty_kind kind, uint32_t index)
{
        struct tty *t = object_new(TYPE_TTY);

        t->kind = (uint8_t)kind;
        t->index = index;
        t->termios = tty_termios_default;
        t->kb_mode = 3; /* K_UNICODE */
        t->in = space_alloc_bytes(TTY_IN);
        t->out = space_alloc_bytes(TTY_OUT);
        return t;
}

void tty_release_touch(void *object)
{
        struct tty *t = object;

        (void)READ_ONCE(t->in);
}

/* Only a pty's: ports are for ever. */
bool tty_release(void *object)
{
        struct tty *t = object;

        if (t->kind == TTY_PTY && tty_state()->pty[t->index] == t)
                tty_state()->pty[t->index] = NULL;
        space_free_bytes(t->in);
        space_free_bytes(t->out);
        space_free(t);
        return false;
}

/* ---- reading ---- */

/* Copies out of the input queue from read_tail, moving the io along. */
static size_t copy_in_queue(struct tty *t, struct user_io *io, size_t n)
{
        size_t done = 0;

        n = MIN(n, io->len);
        while (done < n) {
                size_t at = (t->read_tail + done) % TTY_IN, want = MIN(n - done, TTY_IN - at),
                       got = io_copy_out(io, t->in + at, want);

                io_advance(io, got);
                done += got;
                if (got < want)
                        break;
        }
        return done;
}

/* Length of the next line, at most max: *data bytes to give, result: bytes to take off. An end-of-file mark is taken but not given. */
static size_t line_length(const struct tty *t, size_t max, size_t *data)
{
        size_t limit = MIN(t->canon_head - t->read_tail, max + 1);

        for (size_t i = 0; i < limit; i++) {
                uint64_t at = (t->read_tail + i) % TTY_IN;

                if (!(t->line_end[at / 64] >> (at % 64) & 1))
                        continue;
                if (t->in[at] == '\0') {
                        *data = i;
                        return i + 1;
                }
                *data = MIN(i + 1, max);
                return *data;
        }
        *data = MIN(limit, max);
        return *data;
}

static void take_off(struct tty *t, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t at = t->read_tail++ % TTY_IN;

                t->line_end[at / 64] &= ~(1ul << (at % 64));
        }
        tty_unthrottle(t);
        wake(&t->in_room);
        tty_port_kick(t);
}

static long read_nothing_there(struct call *c, struct file *f, struct tty *t)
{
        unsigned min = t->termios.c_cc[VMIN], tenths = t->termios.c_cc[VTIME];

        if (!tty_canonical(t) && !min) {
                if (!tenths)
                        return c->io.done;
                if (!c->deadline)
                        c->deadline = time_mono_ns() + tenths * TENTH;
        }
        if (c->why == WHY_DEADLINE && c->deadline)
                return c->io.done;
        if (f->flags & O_NONBLOCK)
                return c->io.done ? (long)c->io.done : -EAGAIN;
        if (c->why != WHY_RUN && c->why != WHY_DEADLINE)
                return call_interrupted(c);
        return call_wait(c, CONDITION, &t->read_head, INTERRUPTIBLE, c->deadline);
}

static long tty_read(struct call *c, struct file *f)
{
        struct tty *t = file_tty(f);
        struct tty_port *port = tty_port_of(t);
        struct io_mark mark = io_mark(&c->io);
        size_t n, data;
        long r;

        if (tty_hung_up(f))
                return c->io.done;
        r = c->io.done ? 0 : tty_job_check(c, t, SIGTTIN);
        if (r < 0 || c->io.len == 0)
                return r;
        tty_lock(t);
        tty_touch(t);
        if (!tty_readable(t, false))
                return read_nothing_there(c, f, t);
        if (t->throttled && port && port->ops->prepare)
                port->ops->prepare(port);
        if (tty_canonical(t)) {
                n = line_length(t, c->io.len, &data);
        } else {
                n = data = MIN(t->read_head - t->read_tail, c->io.len);
        }
        if (data && copy_in_queue(t, &c->io, data) != data) {
                io_reset(&c->io, mark);
                return user_fault(c);
        }
        changes(c);
        take_off(t, n);
        if (tty_canonical(t) || c->io.len == 0 || c->io.done >= t->termios.c_cc[VMIN])
                return c->io.done;
        c->deadline = t->termios.c_cc[VTIME] ? time_mono_ns() + t->termios.c_cc[VTIME] * TENTH : NO_DEADLINE;
        return read_nothing_there(c, f, t);
}

/* ---- writing ---- */

static long write_no_room(struct call *c, struct file *f, struct tty *t)
{
        if (f->flags & O_NONBLOCK)
                return c->io.done ? (long)c->io.done : -EAGAIN;
        if (c->why != WHY_RUN)
                return call_interrupted(c);
        return call_wait(c, CONDITION, &t->out_room, INTERRUPTIBLE, NO_DEADLINE);
}

static long tty_write(struct call *c, struct file *f)
{
        struct tty *t = file_tty(f);
        struct tty_port *port = tty_port_of(t);
        struct tty_sink sink;
        char bytes[TTY_CHUNK];
        size_t n, took;
        long r;

        if (tty_hung_up(f))
                return c->io.done ? (long)c->io.done : -EIO;
        if (l_flag(t, TOSTOP) && !c->io.done) {
                r = tty_job_check(c, t, SIGTTOU);
                if (r < 0)
                        return r;
        }
        if (c->io.len == 0)
                return c->io.done;
        n = io_copy_in(&c->io, bytes, MIN(c->io.len, sizeof(bytes)));
        if (n == 0)
                return user_fault(c);
        tty_lock(t);
        tty_touch(t);
        if (port && port->ops->prepare)
                port->ops->prepare(port);
        sink_init(&sink, t);
        if (!sink_open(&sink))
                return write_no_room(c, f, t);
        changes(c);
        took = tty_output(&sink, bytes, n);
        sink_flush(&sink);
        io_advance(&c->io, took);
        if (c->io.len == 0)
                return c->io.done;
        return sink_open(&sink) ? CALL_AGAIN : write_no_room(c, f, t);
}

static uint32_t tty_poll(struct file *f, struct poll_table *pt)
{
        struct tty *t = file_tty(f);
        struct tty_port *port = tty_port_of(t);
        uint32_t ready = 0;
        size_t used;

        poll_register(pt, &t->read_head);
        poll_register_for(pt, &t->out_room, EPOLLOUT | EPOLLWRNORM);
        if (tty_hung_up(f))
                return EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM;
        if (tty_readable(t, true))
                ready |= EPOLLIN | EPOLLRDNORM;
        used = READ_ONCE(t->out_head) - READ_ONCE(t->out_tail);
        if (!t->stopped && (t->kind == TTY_PTY ? TTY_OUT - used >= 256 : !used && (!port || port->ops->room(port))))
                ready |= EPOLLOUT | EPOLLWRNORM;
        return ready;
}

long tty_wait_sent(struct call *c, struct tty *t)
{
        struct tty_port *port = tty_port_of(t);

        if (t->kind == TTY_PTY ||
            (t->out_head == t->out_tail && (!port || !port->ops->empty || port->ops->empty(port))))
                return 0;
        if (c->why != WHY_RUN && c->why != WHY_DEADLINE)
                return call_interrupted(c);
        return call_wait(c, CONDITION, &t->out_room, INTERRUPTIBLE, time_mono_ns() + SENT_POLL);
}

/* ---- open and close ---- */

uint32_t tty_file_mode(uint32_t flags)
{
        switch (flags & O_ACCMODE) {
        case O_RDONLY:
                return FMODE_READ;
        case O_WRONLY:
                return FMODE_WRITE;
        default:
                return FMODE_READ | FMODE_WRITE;
        }
}

struct file *tty_file_new(struct tty *t, enum file_type type, struct inode *i, uint32_t flags)
{
        struct file *f = file_new(type, tty_file_mode(flags),
                                  flags & ~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC), i, t);

        f->FILE_HANGUPS = t->hangups;
        if (type != FILE_PTMX) {
                t->nopen++;
                if (t->slave_closed) {
                        t->slave_closed = 0;
                        wake(&t->out_head);
                }
        }
        return f;
}

static void tty_file_release(struct file *f)
{
        struct tty *t = file_tty(f);

        tty_lock(t);
        t->nopen--;
        if (t->nopen == 0) {
                t->exclusive = 0;
                if (t->kind == TTY_PTY)
                        pty_slave_closed(t);
                else
                        tty_flush_input(t);
        }
        tty_unlock(t);
}

#define MAJOR(d) ((d) >> 8 & 0xfff)
#define MINOR(d) (((d)&0xff) | ((d) >> 12 & 0xfff00))

bool tty_device(uint32_t rdev)
{
        return MAJOR(rdev) == 4 || (MAJOR(rdev) == 5 && MINOR(rdev) <= 2) ||
               (MAJOR(rdev) >= PTY_MAJOR && MAJOR(rdev) < PTY_MAJOR + 8);
}

static struct tty *port_tty(unsigned minor)
{
        struct tty *t = minor < TTY_PORTS ? tty_state()->port[minor] : NULL;

        return t && tty_port_of(t) ? t : NULL;
}

/* console=NAME[,options], the last one that is there; else the first screen, else the first serial port. */
struct tty *tty_console(void)
{
        static unsigned chosen; /* minor + 1 */
        struct tty_port *p;
        char name[32];

        if (!chosen && boot_option("console", name, sizeof(name))) {
                for (char *s = name; *s; s++)
                        if (*s == ',')
                                *s = '\0';
                for (unsigned i = 0; (p = tty_port_by_index(i)); i++)
                        if (!strcmp(p->name, strcmp(name, "tty0") ? name : "tty1"))
                                chosen = p->minor + 1;
        }
        if (!chosen)
                chosen = (port_tty(1) ? 1 : 64) + 1;
        return port_tty(chosen - 1);
}

static struct tty *tty_of_device(uint32_t rdev, bool *console, bool *controlling)
{
        struct session *s = process_current()->session;

        if (MAJOR(rdev) >= PTY_MAJOR)
                return pty_find((MAJOR(rdev) - PTY_MAJOR) * 256 + MINOR(rdev));
        if (MAJOR(rdev) == 4) {
                *controlling = MINOR(rdev) != 0;
                return port_tty(MINOR(rdev) ? MINOR(rdev) : console_active());
        }
        *controlling = false;
        if (MINOR(rdev) == 0)
                return s ? s->tty : NULL;
        *console = true;
        return tty_console();
}

long tty_open(struct call *c, struct inode *i, uint32_t flags)
{
        bool console = false, controlling = true;
        struct tty *t;
        struct file *f;
        int fd;

        if (i->rdev == (5 << 8 | 2))
                return ptmx_open(c, i, flags);
        t = tty_of_device(i->rdev, &console, &controlling);
        if (!t)
                return MAJOR(i->rdev) >= PTY_MAJOR                  ? -EIO
                       : MAJOR(i->rdev) == 5 && MINOR(i->rdev) == 1 ? -ENODEV
                                                                    : -ENXIO;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        tty_lock(t);
        if (MAJOR(i->rdev) == 5 && MINOR(i->rdev) == 0 && process_current()->session->tty != t)
                return -ENXIO; /* hung up meanwhile */
        if (t->kind == TTY_PTY && (t->locked || !t->master_open))
                return -EIO;
        if (t->exclusive && !capable(CAP_SYS_ADMIN))
                return -EBUSY;
        if (!space_room(2))
                return -ENOMEM;
        changes(c);
        f = tty_file_new(t, console ? FILE_DEV_CONSOLE : FILE_TTY, i, flags);
        if (controlling)
                tty_open_controlling(t, f, flags);
        fd_install(c, fd, f, flags & O_CLOEXEC);
        return fd;
}

const struct file_ops tty_file_ops = {
        .name = "tty",
        .read = tty_read,
        .write = tty_write,
        .poll = tty_poll,
        .ioctl = tty_ioctl,
        .release = tty_file_release,
};
/* The same, but a hang-up does not reach it. */
const struct file_ops console_file_ops = {
        .name = "console",
        .read = tty_read,
        .write = tty_write,
        .poll = tty_poll,
        .ioctl = tty_ioctl,
        .release = tty_file_release,
};

static const struct space_field tty_fields[] = {
        {offsetof(struct tty, session), FIELD_BORROW, 1},
        {offsetof(struct tty, in), FIELD_OWN, 3},
        {0, 0, 0},
};
const struct posix_type tty_types[] = {
        {TYPE_TTY,
         {"tty", sizeof(struct tty), 1, SPACE_OBJECT | SPACE_RESIDENT, tty_fields},
         tty_release,
         tty_release_touch},
        {0},
};
