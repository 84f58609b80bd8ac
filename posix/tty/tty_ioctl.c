/*
 * tty_ioctl.c - ioctl on terminals (ioctl_tty(2)). On the master of a pty most of them concern the slave.
 */
#include "posix/tty/tty_internal.h"
#include <asm/ioctls.h>
#include <linux/serial.h>
#include <linux/tty.h>

/* What a call that has to wait for the end of output remembers. */
struct ioctl_state {
        struct ktermios termios;
        uint32_t decoded;
};

static const uint32_t speeds[] = {0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
static const uint32_t speeds_extra[] = {0,       57600,   115200,  230400,  460800,  500000,  576000,  921600,
                                        1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000};

static uint32_t speed_of(uint32_t bits, uint32_t other)
{
        bits &= CBAUD;
        if (bits == BOTHER)
                return other;
        return bits & CBAUDEX ? speeds_extra[bits & 15] : speeds[bits & 15];
}

/* Copies settings in, in the form of cmd, over what is there now. */
static long decode_termios(struct call *c, struct tty *t, unsigned cmd, uint64_t arg, struct ktermios *k)
{
        struct termio old;
        uint32_t in;

        *k = t->termios;
        if (cmd >= TCSETA && cmd <= TCSETAF) {
                if (!copy_in(c, &old, arg, sizeof(old)))
                        return user_fault(c);
                k->c_iflag = (k->c_iflag & 0xffff0000) | old.c_iflag;
                k->c_oflag = (k->c_oflag & 0xffff0000) | old.c_oflag;
                k->c_cflag = (k->c_cflag & 0xffff0000) | old.c_cflag;
                k->c_lflag = (k->c_lflag & 0xffff0000) | old.c_lflag;
                k->c_line = old.c_line;
                __builtin_memcpy(k->c_cc, old.c_cc, NCC);
        } else if (!copy_in(c, k, arg,
                            cmd >= TCSETS2 && cmd <= TCSETSF2 ? sizeof(struct termios2) : sizeof(struct termios))) {
                return user_fault(c);
        }
        k->c_ospeed = speed_of(k->c_cflag, k->c_ospeed);
        in = k->c_cflag >> IBSHIFT & CBAUD;
        k->c_ispeed = in == B0 ? k->c_ospeed : speed_of(in, k->c_ispeed);
        return 0;
}

/* Bits that TIOCSLCKTRMIOS locked stay. */
static void keep_locked(const struct tty *t, struct ktermios *k)
{
        const struct ktermios *now = &t->termios, *l = &t->termios_locked;

#define KEEP(field) (k->field = (now->field & l->field) | (k->field & ~l->field))
        KEEP(c_iflag);
        KEEP(c_oflag);
        KEEP(c_cflag);
        KEEP(c_lflag);
        KEEP(c_line);
        for (unsigned i = 0; i < NCCS; i++)
                if (l->c_cc[i])
                        k->c_cc[i] = now->c_cc[i];
#undef KEEP
}

enum { SET_NOW, SET_WAIT, SET_FLUSH };

static long set_termios(struct call *c, struct tty *t, unsigned cmd, uint64_t arg, int how)
{
        struct ioctl_state *st = call_state(c, struct ioctl_state);
        struct tty_port *port = tty_port_of(t);
        long r;

        if (!c->saved)
                st->decoded = 0;
        if (!st->decoded) {
                r = tty_job_check(c, t, SIGTTOU);
                if (!r)
                        r = decode_termios(c, t, cmd, arg, &st->termios);
                if (r)
                        return r;
                st->decoded = 1;
        }
        tty_lock(t);
        tty_touch(t);
        if (how != SET_NOW) {
                r = tty_wait_sent(c, t);
                if (r)
                        return r;
        }
        if (port && port->ops->prepare)
                port->ops->prepare(port);
        changes(c);
        if (how == SET_FLUSH)
                tty_flush_input(t);
        keep_locked(t, &st->termios);
        tty_termios_set(t, &st->termios);
        if (port && port->ops->set_line)
                port->ops->set_line(port, t->termios.c_ospeed, t->termios.c_cflag);
        return 0;
}

static long get_termios(struct call *c, const struct tty *t, unsigned cmd, uint64_t arg)
{
        const struct ktermios *k = &t->termios;
        struct termio old = {.c_iflag = (uint16_t)k->c_iflag,
                             .c_oflag = (uint16_t)k->c_oflag,
                             .c_cflag = (uint16_t)k->c_cflag,
                             .c_lflag = (uint16_t)k->c_lflag,
                             .c_line = k->c_line};
        bool ok;

        __builtin_memcpy(old.c_cc, k->c_cc, NCC);
        if (cmd == TCGETA)
                ok = copy_out(c, arg, &old, sizeof(old));
        else
                ok = copy_out(c, arg, k, cmd == TCGETS ? sizeof(struct termios) : sizeof(struct termios2));
        return ok ? 0 : user_fault(c);
}

static long locked_termios(struct call *c, struct tty *t, unsigned cmd, uint64_t arg)
{
        struct ktermios k = t->termios_locked;

        if (cmd == TIOCGLCKTRMIOS)
                return copy_out(c, arg, &k, sizeof(struct termios)) ? 0 : user_fault(c);
        if (!capable(CAP_SYS_ADMIN))
                return -EPERM;
        if (!copy_in(c, &k, arg, sizeof(struct termios)))
                return user_fault(c);
        changes(c);
        t->termios_locked = k;
        return 0;
}

static long set_winsize(struct call *c, struct tty *t, uint64_t arg)
{
        struct winsize ws;

        if (!copy_in(c, &ws, arg, sizeof(ws)))
                return user_fault(c);
        tty_lock(t);
        if (!__builtin_memcmp(&ws, &t->winsize, sizeof(ws)))
                return 0;
        changes(c);
        t->winsize = ws;
        tty_signal_foreground(t, SIGWINCH);
        return 0;
}

/* TIOCSTI: as if it had been typed. */
static long fake_input(struct call *c, struct tty *t, uint64_t arg)
{
        struct tty_port *port = tty_port_of(t);
        struct tty_sink echo;
        char ch;

        if (!tty_is_mine(t) && !capable(CAP_SYS_ADMIN))
                return -EPERM;
        if (!copy_in(c, &ch, arg, 1))
                return user_fault(c);
        tty_lock(t);
        tty_touch(t);
        if (port && port->ops->prepare)
                port->ops->prepare(port);
        changes(c);
        sink_init(&echo, t);
        tty_input(t, &echo, &ch, 1);
        sink_flush(&echo);
        return 0;
}

static long flush(struct call *c, struct tty *t, bool master, uint64_t which)
{
        long r = tty_job_check(c, t, SIGTTOU);

        if (r)
                return r;
        if (which > TCIOFLUSH)
                return -EINVAL;
        tty_lock(t);
        tty_touch(t);
        changes(c);
        if (which != TCOFLUSH && !master)
                tty_flush_input(t);
        if (which != TCIFLUSH)
                tty_flush_output(t);
        return 0;
}

static long flow(struct call *c, struct tty *t, uint64_t action)
{
        struct tty_port *port = tty_port_of(t);
        struct tty_sink sink;
        long r = tty_job_check(c, t, SIGTTOU);

        if (r)
                return r;
        if (action > TCION)
                return -EINVAL;
        tty_lock(t);
        tty_touch(t);
        if (port && port->ops->prepare)
                port->ops->prepare(port);
        changes(c);
        switch (action) {
        case TCOOFF:
                t->stopped_by_call = 1;
                tty_stop(t);
                break;
        case TCOON:
                t->stopped_by_call = 0;
                tty_start(t);
                break;
        default: {
                unsigned char ch = t->termios.c_cc[action == TCIOFF ? VSTOP : VSTART];

                if (!ch)
                        break;
                sink_init(&sink, t);
                sink_char(&sink, (char)ch);
                sink_flush(&sink);
        }
        }
        return 0;
}

/* Drain; a break itself cannot be sent by any of our ports' drivers, and a console has none. */
static long send_break(struct call *c, struct tty *t)
{
        long r = c->saved ? 0 : tty_job_check(c, t, SIGTTOU);

        if (r)
                return r;
        tty_lock(t);
        return tty_wait_sent(c, t);
}

static unsigned input_bytes(const struct tty *t)
{
        unsigned n = 0;

        if (!tty_canonical(t))
                return (unsigned)(t->read_head - t->read_tail);
        for (uint64_t at = t->read_tail; at != t->canon_head; at++)
                if (!(t->line_end[at % TTY_IN / 64] >> (at % 64) & 1) || t->in[at % TTY_IN] != '\0')
                        n++;
        return n;
}

static long serial_info(struct call *c, const struct tty *t, uint64_t arg)
{
        static const int bases[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
        unsigned n = t->index - 64;
        struct serial_struct s = {.type = PORT_16550A,
                                  .line = (int)n,
                                  .baud_base = 115200,
                                  .xmit_fifo_size = 16,
                                  .close_delay = 50,
                                  .closing_wait = 3000};

        if (t->kind == TTY_PTY || t->index < 64)
                return -ENOTTY;
        if (n < 4) {
                s.port = (unsigned)bases[n];
                s.irq = n & 1 ? 3 : 4;
        }
        return copy_out(c, arg, &s, sizeof(s)) ? 0 : user_fault(c);
}

static long put_int(struct call *c, uint64_t arg, int value)
{
        return copy_out(c, arg, &value, sizeof(value)) ? 0 : user_fault(c);
}

static long set_exclusive(struct call *c, struct tty *t, bool on)
{
        changes(c);
        t->exclusive = on;
        return 0;
}

static long set_local(struct call *c, struct tty *t, uint64_t arg)
{
        int on;

        if (!copy_in(c, &on, arg, sizeof(on)))
                return user_fault(c);
        changes(c);
        t->termios.c_cflag = (t->termios.c_cflag & ~(uint32_t)CLOCAL) | (on ? CLOCAL : 0);
        return 0;
}

static long set_discipline(struct call *c, struct tty *t, uint64_t arg)
{
        int n;

        if (!copy_in(c, &n, arg, sizeof(n)))
                return user_fault(c);
        return n == N_TTY ? 0 : t->kind == TTY_PTY || capable(CAP_SYS_TTY_CONFIG) ? -EINVAL : -EPERM;
}

static uint32_t device_number(const struct tty *t, bool master)
{
        if (t->kind == TTY_PORT)
                return 4 << 8 | t->index;
        return ((master ? 128 : PTY_MAJOR) + t->index / 256) << 8 | t->index % 256;
}

static long tty_ioctl_any(struct call *c, struct file *f, struct tty *t, bool master, unsigned cmd, uint64_t arg)
{
        bool serial = t->kind == TTY_PORT && t->index >= 64;

        switch (cmd) {
        case TCGETS:
        case TCGETA:
        case TCGETS2:
                return get_termios(c, t, cmd, arg);
        case TCSETS:
        case TCSETA:
        case TCSETS2:
                return set_termios(c, t, cmd, arg, SET_NOW);
        case TCSETSW:
        case TCSETAW:
        case TCSETSW2:
                return set_termios(c, t, cmd, arg, SET_WAIT);
        case TCSETSF:
        case TCSETAF:
        case TCSETSF2:
                return set_termios(c, t, cmd, arg, SET_FLUSH);
        case TIOCGLCKTRMIOS:
        case TIOCSLCKTRMIOS:
                return locked_termios(c, t, cmd, arg);
        case TIOCGWINSZ:
                return copy_out(c, arg, &t->winsize, sizeof(t->winsize)) ? 0 : user_fault(c);
        case TIOCSWINSZ:
                return set_winsize(c, t, arg);
        case TCFLSH:
                return flush(c, t, master, arg);
        case TCXONC:
                return flow(c, t, arg);
        case TCSBRK:
        case TCSBRKP:
                return send_break(c, t);
        case TIOCSBRK:
        case TIOCCBRK:
                return serial ? 0 : -ENOTTY;
        case TIOCSTI:
                return fake_input(c, t, arg);
        case FIONREAD:
                return put_int(c, arg, master ? (int)(t->out_head - t->out_tail) : (int)input_bytes(t));
        case TIOCOUTQ:
                return put_int(c, arg, t->kind == TTY_PTY ? 0 : (int)(t->out_head - t->out_tail));
        case TIOCEXCL:
                return set_exclusive(c, t, true);
        case TIOCNXCL:
                return set_exclusive(c, t, false);
        case TIOCGEXCL:
                return put_int(c, arg, t->exclusive);
        case TIOCGETD:
                return put_int(c, arg, N_TTY);
        case TIOCSETD:
                return set_discipline(c, t, arg);
        case TIOCGSOFTCAR:
                return put_int(c, arg, !!(t->termios.c_cflag & CLOCAL));
        case TIOCSSOFTCAR:
                return set_local(c, t, arg);
        case TIOCGDEV:
                return put_int(c, arg, (int)device_number(t, master));
        case TIOCMGET:
                return serial ? put_int(c, arg, TIOCM_DTR | TIOCM_RTS | TIOCM_CTS | TIOCM_DSR | TIOCM_CAR) : -ENOTTY;
        case TIOCMSET:
        case TIOCMBIS:
        case TIOCMBIC:
                return serial ? 0 : -ENOTTY;
        case TIOCGSERIAL:
                return serial_info(c, t, arg);
        case TIOCVHANGUP:
                if (!capable(CAP_SYS_ADMIN))
                        return -EPERM;
                tty_lock(t);
                tty_touch(t);
                changes(c);
                tty_hangup(t, false);
                return 0;
        case TIOCCONS:
                return capable(CAP_SYS_ADMIN) ? -EBUSY : -EPERM; /* the log's place is fixed */
        default:
                (void)f;
                return -ENOIOCTLCMD;
        }
}

long tty_ioctl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        bool master = f->ops_type == FILE_PTMX;
        struct tty *t = file_tty(f);
        long r;

        if (!master && tty_hung_up(f))
                return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
        r = tty_ioctl_any(c, f, t, master, cmd, arg);
        if (r == -ENOIOCTLCMD)
                r = tty_ioctl_job(c, f, t, master, cmd, arg);
        if (r == -ENOIOCTLCMD)
                r = pty_ioctl(c, f, t, master, cmd, arg);
        if (r == -ENOIOCTLCMD)
                r = vt_ioctl(c, t, cmd, arg);
        return r == -ENOIOCTLCMD ? -ENOTTY : r;
}
