/*
 * ldisc.c - the line discipline: input editing, echo, signals, flow control, output processing. What Linux's N_TTY does, told by termios(3) and
 * by its behaviour.
 *
 * All functions run after the section's first change with LOCK_TTY held, on bytes that are in kernel memory: nothing here waits or fails. Echo goes
 * out as it arises; when the port has no room, or output is stopped, it waits in tty->out before anything a program writes later.
 */
#include "posix/tty/tty_internal.h"
#include "kernel/lib/string.h"
#include <linux/tty.h>

#define CTRL(ch) ((ch)&0x1f)
#define DISABLED '\0' /* end-of-file is queued as this, with line_end set */

const struct ktermios tty_termios_default = {
        .c_iflag = ICRNL | IXON,
        .c_oflag = OPOST | ONLCR,
        .c_cflag = B38400 | CS8 | CREAD | HUPCL,
        .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        .c_cc = {[VINTR] = CTRL('C'),
                 [VQUIT] = CTRL('\\'),
                 [VERASE] = 0177,
                 [VKILL] = CTRL('U'),
                 [VEOF] = CTRL('D'),
                 [VTIME] = 0,
                 [VMIN] = 1,
                 [VSTART] = CTRL('Q'),
                 [VSTOP] = CTRL('S'),
                 [VSUSP] = CTRL('Z'),
                 [VREPRINT] = CTRL('R'),
                 [VDISCARD] = CTRL('O'),
                 [VWERASE] = CTRL('W'),
                 [VLNEXT] = CTRL('V')},
        .c_ispeed = 38400,
        .c_ospeed = 38400,
};

static bool is_control(unsigned char ch)
{
        return ch < 0x20 || ch == 0x7f;
}

static bool is_alnum(unsigned char ch)
{
        return (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || ch >= 0xc0;
}

/* A further byte of a UTF-8 character. */
static bool is_continuation(const struct tty *t, unsigned char ch)
{
        return i_flag(t, IUTF8) && (ch & 0xc0) == 0x80;
}

static unsigned char cc(const struct tty *t, unsigned which)
{
        return t->termios.c_cc[which];
}

static bool is_cc(const struct tty *t, unsigned char ch, unsigned which)
{
        return ch == cc(t, which) && ch != DISABLED;
}

void tty_touch(const struct tty *t)
{
        for (unsigned i = 0; i < TTY_IN; i += PAGE_SIZE)
                (void)READ_ONCE(t->in[i]);
        for (unsigned i = 0; i < TTY_OUT; i += PAGE_SIZE)
                (void)READ_ONCE(t->out[i]);
}

/* ---- output ---- */

static size_t out_used(const struct tty *t)
{
        return t->out_head - t->out_tail;
}

/* What does not fit is lost: only echoes can be too many. */
static void out_put(struct tty *t, const char *bytes, size_t n)
{
        n = MIN(n, TTY_OUT - out_used(t));
        while (n) {
                size_t at = t->out_head % TTY_OUT, k = MIN(n, TTY_OUT - at);

                memcpy(t->out + at, bytes, k);
                t->out_head += k;
                bytes += k;
                n -= k;
        }
}

void tty_out_pump(struct tty *t)
{
        struct tty_port *port = tty_port_of(t);

        if (t->kind == TTY_PTY)
                return;
        while (!t->stopped && out_used(t)) {
                size_t at = t->out_tail % TTY_OUT, n = MIN(out_used(t), TTY_OUT - at);
                size_t took = port ? port->ops->write(port, t->out + at, n) : n;

                t->out_tail += took;
                if (took == n)
                        continue;
                if (port->ops->room(port))
                        tty_port_kick(t); /* one section may not take more: go on in another */
                break;
        }
        if (!out_used(t))
                wake(&t->out_room);
}

/* Output was stopped or started, or the queue emptied. */
static void sink_look(struct tty_sink *s)
{
        s->refused = s->tty->kind == TTY_PORT && (s->tty->stopped || out_used(s->tty));
}

void sink_init(struct tty_sink *s, struct tty *t)
{
        s->tty = t;
        s->port = tty_port_of(t);
        s->n = 0;
        s->any = false;
        sink_look(s);
}

static void sink_out(struct tty_sink *s)
{
        struct tty *t = s->tty;
        size_t took = 0;

        if (t->kind == TTY_PORT && !s->refused)
                took = s->port ? s->port->ops->write(s->port, s->buf, s->n) : s->n;
        if (took < s->n) {
                out_put(t, s->buf + took, s->n - took);
                if (t->kind == TTY_PORT && !s->refused) {
                        s->refused = true;
                        if (s->port->ops->room(s->port))
                                tty_port_kick(t);
                }
        }
        s->any = true;
        s->n = 0;
}

void sink_char(struct tty_sink *s, char ch)
{
        if (s->n == sizeof(s->buf))
                sink_out(s);
        s->buf[s->n++] = ch;
}

void sink_flush(struct tty_sink *s)
{
        if (s->n)
                sink_out(s);
        if (s->any && s->tty->kind == TTY_PTY)
                wake(&s->tty->out_head);
}

bool sink_open(const struct tty_sink *s)
{
        if (s->tty->kind == TTY_PTY)
                return !s->tty->stopped && TTY_OUT - out_used(s->tty) >= s->n + 8;
        return !s->refused;
}

/* One character with output processing. At most eight bytes. */
static void post(struct tty_sink *s, unsigned char ch)
{
        struct tty *t = s->tty;
        uint32_t o = t->termios.c_oflag;
        unsigned n;

        if (!(o & OPOST)) {
                sink_char(s, (char)ch);
                return;
        }
        switch (ch) {
        case '\n':
                if (o & ONLRET)
                        t->column = 0;
                if (o & ONLCR) {
                        t->canon_column = t->column = 0;
                        sink_char(s, '\r');
                } else {
                        t->canon_column = t->column;
                }
                break;
        case '\r':
                if (o & ONOCR && t->column == 0)
                        return;
                if (o & OCRNL) {
                        ch = '\n';
                        if (o & ONLRET)
                                t->canon_column = t->column = 0;
                        break;
                }
                t->canon_column = t->column = 0;
                break;
        case '\t':
                n = 8 - (t->column & 7);
                t->column += n;
                if ((o & TABDLY) != XTABS)
                        break;
                while (n--)
                        sink_char(s, ' ');
                return;
        case '\b':
                if (t->column)
                        t->column--;
                break;
        default:
                if (is_control(ch))
                        break;
                if (o & OLCUC && ch >= 'a' && ch <= 'z')
                        ch -= 0x20;
                if (!is_continuation(t, ch))
                        t->column++;
        }
        sink_char(s, (char)ch);
}

size_t tty_output(struct tty_sink *s, const char *bytes, size_t len)
{
        size_t i;

        for (i = 0; i < len && sink_open(s); i++)
                post(s, (unsigned char)bytes[i]);
        return i;
}

/* ---- echo ---- */

static void echo_raw(struct tty_sink *s, unsigned char ch)
{
        post(s, ch);
}

/* Control characters show as ^X. */
static void echo(struct tty_sink *s, unsigned char ch)
{
        struct tty *t = s->tty;

        if (l_flag(t, ECHOCTL) && is_control(ch) && ch != '\t') {
                sink_char(s, '^');
                sink_char(s, (char)(ch ^ 0100));
                t->column += 2;
        } else {
                post(s, ch);
        }
}

static void back(struct tty_sink *s)
{
        sink_char(s, '\b');
        if (s->tty->column)
                s->tty->column--;
}

static void rub_out(struct tty_sink *s)
{
        echo_raw(s, '\b');
        echo_raw(s, ' ');
        echo_raw(s, '\b');
}

static void finish_erasing(struct tty *t, struct tty_sink *s)
{
        if (t->erasing) {
                echo_raw(s, '/');
                t->erasing = 0;
        }
}

/* ---- the input queue ---- */

static unsigned char in_at(const struct tty *t, uint64_t pos)
{
        return (unsigned char)t->in[pos % TTY_IN];
}

static void line_end_set(struct tty *t, uint64_t pos)
{
        t->line_end[pos % TTY_IN / 64] |= 1ul << (pos % 64);
}

/* In a full queue the last place is written over. */
static void make_place(struct tty *t)
{
        if (t->read_head - t->read_tail >= TTY_IN)
                t->read_head--;
}

static void queue(struct tty *t, unsigned char ch)
{
        make_place(t);
        t->in[t->read_head % TTY_IN] = (char)ch;
        t->read_head++;
}

size_t tty_input_room(const struct tty *t)
{
        size_t used = t->read_head - t->read_tail, room = TTY_IN - 1 - MIN(used, (size_t)TTY_IN - 1);

        if (i_flag(t, PARMRK))
                room /= 2;
        if (!room && l_flag(t, ICANON) && t->canon_head == t->read_tail)
                room = 1; /* a line too long: its last place is written over, so that its end still gets in */
        return room;
}

bool tty_readable(const struct tty *t, bool poll)
{
        size_t enough = poll && !cc(t, VTIME) && cc(t, VMIN) ? cc(t, VMIN) : 1;

        if (tty_canonical(t))
                return READ_ONCE(t->canon_head) != READ_ONCE(t->read_tail);
        return READ_ONCE(t->read_head) - READ_ONCE(t->read_tail) >= enough;
}

void tty_flush_input(struct tty *t)
{
        t->read_head = t->read_tail = t->canon_head = 0;
        memset(t->line_end, 0, sizeof(t->line_end));
        t->lnext = t->erasing = 0;
        wake(&t->in_room);
        tty_packet_note(t, TIOCPKT_FLUSHREAD);
}

void tty_flush_output(struct tty *t)
{
        t->out_tail = t->out_head;
        wake(&t->out_room);
        tty_packet_note(t, TIOCPKT_FLUSHWRITE);
}

void tty_packet_note(struct tty *t, unsigned status)
{
        if (!t->packet)
                return;
        t->packet_status |= (uint8_t)status;
        wake(&t->out_head);
}

/* ---- flow control ---- */

void tty_stop(struct tty *t)
{
        if (t->stopped)
                return;
        t->stopped = 1;
        if (t->packet) {
                t->packet_status &= (uint8_t)~TIOCPKT_START;
                tty_packet_note(t, TIOCPKT_STOP);
        }
}

void tty_start(struct tty *t)
{
        if (!t->stopped || t->stopped_by_call)
                return;
        t->stopped = 0;
        if (t->packet) {
                t->packet_status &= (uint8_t)~TIOCPKT_STOP;
                tty_packet_note(t, TIOCPKT_START);
        }
        tty_out_pump(t);
        wake(&t->out_room);
}

/* IXOFF: asks the other end to hold on, or to go on. */
static void throttle(struct tty *t, struct tty_sink *s)
{
        if (t->throttled || !i_flag(t, IXOFF) || t->kind == TTY_PTY || t->read_head - t->read_tail < TTY_IN - 128)
                return;
        t->throttled = 1;
        sink_char(s, (char)cc(t, VSTOP));
}

void tty_unthrottle(struct tty *t)
{
        struct tty_sink s;

        if (!t->throttled || t->read_head - t->read_tail > TTY_IN / 8)
                return;
        t->throttled = 0;
        sink_init(&s, t);
        sink_char(&s, (char)cc(t, VSTART));
        sink_flush(&s);
}

/* ---- editing ---- */

static void erase_tab(struct tty *t, struct tty_sink *s)
{
        uint64_t tail = t->read_head;
        unsigned columns = 0, n;
        bool after_tab = false;

        while (tail != t->canon_head) {
                unsigned char ch = in_at(t, --tail);

                if (ch == '\t') {
                        after_tab = true;
                        break;
                }
                if (is_control(ch))
                        columns += l_flag(t, ECHOCTL) ? 2 : 0;
                else if (!is_continuation(t, ch))
                        columns++;
        }
        if (!after_tab)
                columns += t->canon_column;
        for (n = 8 - (columns & 7); n; n--)
                back(s);
}

/* Shows that the character `ch`, which stood in [head, head + n), is gone. */
static void erase_echo(struct tty *t, struct tty_sink *s, unsigned char ch, uint64_t head, unsigned n, bool one)
{
        if (l_flag(t, ECHOPRT)) {
                if (!t->erasing) {
                        echo_raw(s, '\\');
                        t->erasing = 1;
                }
                echo(s, ch);
                for (unsigned i = 1; i < n; i++) {
                        echo_raw(s, in_at(t, head + i));
                        back(s);
                }
        } else if (one && !l_flag(t, ECHOE)) {
                echo(s, cc(t, VERASE));
        } else if (ch == '\t') {
                erase_tab(t, s);
        } else {
                if (is_control(ch) && l_flag(t, ECHOCTL))
                        rub_out(s);
                if (!is_control(ch) || l_flag(t, ECHOCTL))
                        rub_out(s);
        }
}

static void erase(struct tty *t, struct tty_sink *s, unsigned char key)
{
        bool one = is_cc(t, key, VERASE), word = !one && is_cc(t, key, VWERASE) && l_flag(t, IEXTEN), seen = false;

        if (t->read_head == t->canon_head)
                return;
        if (!one && !word) {
                if (!l_flag(t, ECHO)) {
                        t->read_head = t->canon_head;
                        return;
                }
                if (!l_flag(t, ECHOK) || !l_flag(t, ECHOKE) || !l_flag(t, ECHOE)) {
                        t->read_head = t->canon_head;
                        finish_erasing(t, s);
                        echo(s, cc(t, VKILL));
                        if (l_flag(t, ECHOK))
                                echo_raw(s, '\n');
                        return;
                }
        }
        while (t->read_head != t->canon_head) {
                uint64_t head = t->read_head;
                unsigned char ch;
                unsigned n;

                do
                        ch = in_at(t, --head);
                while (is_continuation(t, ch) && head != t->canon_head);
                if (is_continuation(t, ch))
                        break; /* half a character is not erased */
                if (word) {
                        if (is_alnum(ch) || ch == '_')
                                seen = true;
                        else if (seen)
                                break;
                }
                n = (unsigned)(t->read_head - head);
                t->read_head = head;
                if (l_flag(t, ECHO))
                        erase_echo(t, s, ch, head, n, one);
                if (one)
                        break;
        }
        if (t->read_head == t->canon_head && l_flag(t, ECHO))
                finish_erasing(t, s);
}

static void reprint(struct tty *t, struct tty_sink *s, unsigned char key)
{
        finish_erasing(t, s);
        echo(s, key);
        echo_raw(s, '\n');
        for (uint64_t at = t->canon_head; at != t->read_head; at++)
                echo(s, in_at(t, at));
}

/* ---- receiving ---- */

static void send_signal(struct tty *t, struct tty_sink *s, int signo, unsigned char key)
{
        tty_signal_foreground(t, signo);
        if (!l_flag(t, NOFLSH)) {
                s->n = 0; /* echoes that are not out yet */
                tty_flush_output(t);
                tty_flush_input(t);
        }
        if (i_flag(t, IXON))
                tty_start(t);
        sink_look(s);
        if (l_flag(t, ECHO))
                echo(s, key);
}

static void line_done(struct tty *t, unsigned char ch)
{
        make_place(t);
        line_end_set(t, t->read_head);
        queue(t, ch);
        t->canon_head = t->read_head;
        wake(&t->read_head);
}

/* An ordinary character, or a quoted one. */
static void plain(struct tty *t, struct tty_sink *s, unsigned char ch)
{
        if (l_flag(t, ECHO)) {
                finish_erasing(t, s);
                if (ch == '\n') {
                        echo_raw(s, '\n');
                } else {
                        if (t->canon_head == t->read_head)
                                t->canon_column = t->column;
                        echo(s, ch);
                }
        }
        if (ch == 0xff && i_flag(t, PARMRK))
                queue(t, ch);
        queue(t, ch);
}

/* Canonical mode's own characters; false: none of them. */
static bool editing(struct tty *t, struct tty_sink *s, unsigned char ch)
{
        bool extended = l_flag(t, IEXTEN), visible = l_flag(t, ECHO);

        if (is_cc(t, ch, VERASE) || is_cc(t, ch, VKILL) || (extended && is_cc(t, ch, VWERASE))) {
                erase(t, s, ch);
                return true;
        }
        if (extended && is_cc(t, ch, VLNEXT)) {
                t->lnext = 1;
                if (visible) {
                        finish_erasing(t, s);
                        if (l_flag(t, ECHOCTL)) {
                                echo_raw(s, '^');
                                echo_raw(s, '\b');
                        }
                }
                return true;
        }
        if (extended && visible && is_cc(t, ch, VREPRINT)) {
                reprint(t, s, ch);
                return true;
        }
        if (ch == '\n') {
                if (visible || l_flag(t, ECHONL))
                        echo_raw(s, '\n');
                line_done(t, ch);
                return true;
        }
        if (is_cc(t, ch, VEOF)) {
                line_done(t, DISABLED);
                return true;
        }
        if (is_cc(t, ch, VEOL) || (extended && is_cc(t, ch, VEOL2))) {
                if (visible) {
                        if (t->canon_head == t->read_head)
                                t->canon_column = t->column;
                        echo(s, ch);
                }
                if (ch == 0xff && i_flag(t, PARMRK))
                        queue(t, ch);
                line_done(t, ch);
                return true;
        }
        return false;
}

static void receive(struct tty *t, struct tty_sink *s, unsigned char ch)
{
        if (i_flag(t, ISTRIP))
                ch &= 0x7f;
        if (i_flag(t, IUCLC) && l_flag(t, IEXTEN) && ch >= 'A' && ch <= 'Z')
                ch |= 0x20;
        if (l_flag(t, EXTPROC)) {
                queue(t, ch);
                return;
        }
        if (t->lnext) {
                t->lnext = 0;
                plain(t, s, ch);
                return;
        }
        if (i_flag(t, IXON)) {
                if (is_cc(t, ch, VSTART) || is_cc(t, ch, VSTOP)) {
                        sink_flush(s);
                        if (is_cc(t, ch, VSTART))
                                tty_start(t);
                        else
                                tty_stop(t);
                        sink_look(s);
                        return;
                }
        }
        if (l_flag(t, ISIG)) {
                int signo = is_cc(t, ch, VINTR)   ? SIGINT
                            : is_cc(t, ch, VQUIT) ? SIGQUIT
                            : is_cc(t, ch, VSUSP) ? SIGTSTP
                                                  : 0;

                if (signo) {
                        send_signal(t, s, signo, ch);
                        return;
                }
        }
        if (t->stopped && !t->stopped_by_call && i_flag(t, IXON) && i_flag(t, IXANY)) {
                sink_flush(s);
                tty_start(t);
                sink_look(s);
        }
        if (ch == '\r') {
                if (i_flag(t, IGNCR))
                        return;
                if (i_flag(t, ICRNL))
                        ch = '\n';
        } else if (ch == '\n' && i_flag(t, INLCR)) {
                ch = '\r';
        }
        if (!l_flag(t, ICANON) || !editing(t, s, ch))
                plain(t, s, ch);
}

/* Nothing is interpreted and nothing shown: bytes go into the queue as they are. */
static bool is_raw(const struct tty *t)
{
        return !(t->termios.c_iflag & (ISTRIP | IUCLC | IGNCR | ICRNL | INLCR | IXON | IXOFF | PARMRK)) &&
               !(t->termios.c_lflag & (ISIG | ICANON | ECHO | ECHONL | EXTPROC)) && !t->lnext;
}

size_t tty_input(struct tty *t, struct tty_sink *s, const char *bytes, size_t len)
{
        size_t i = 0;

        if (is_raw(t)) {
                i = MIN(len, tty_input_room(t));
                for (size_t k = 0; k < i; k++)
                        queue(t, (unsigned char)bytes[k]);
        } else {
                for (; i < len && tty_input_room(t); i++)
                        receive(t, s, (unsigned char)bytes[i]);
                throttle(t, s);
        }
        if (!tty_canonical(t) && t->read_head != t->read_tail)
                wake(&t->read_head);
        return i;
}

/* ---- settings ---- */

void tty_termios_set(struct tty *t, const struct ktermios *k)
{
        struct ktermios old = t->termios;
        bool was_flow = old.c_iflag & IXON, flow;

        t->termios = *k;
        if ((old.c_lflag ^ k->c_lflag) & (ICANON | EXTPROC)) {
                /* What is queued becomes one line, or ordinary bytes. */
                memset(t->line_end, 0, sizeof(t->line_end));
                if (!(k->c_lflag & ICANON) || t->read_head == t->read_tail) {
                        t->canon_head = t->read_tail;
                } else {
                        line_end_set(t, t->read_head - 1);
                        t->canon_head = t->read_head;
                }
                t->erasing = t->lnext = 0;
        }
        if (was_flow && !(k->c_iflag & IXON))
                tty_start(t);
        if (t->packet) {
                bool old_flow = old.c_iflag & IXON && old.c_cc[VSTOP] == CTRL('S') && old.c_cc[VSTART] == CTRL('Q');

                flow = k->c_iflag & IXON && k->c_cc[VSTOP] == CTRL('S') && k->c_cc[VSTART] == CTRL('Q');
                if (old_flow != flow) {
                        t->packet_status &= (uint8_t) ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
                        tty_packet_note(t, flow ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP);
                }
                if ((old.c_lflag ^ k->c_lflag) & EXTPROC)
                        tty_packet_note(t, TIOCPKT_IOCTL);
        }
        wake(&t->read_head);
        wake(&t->out_room);
}
