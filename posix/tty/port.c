/*
 * port.c - the volatile half of a driver's port. Interrupts put bytes into a ring; a work item, whose section may touch the space, gives them to the
 * line discipline as far as its queue has room. What has no room waits in the ring until somebody reads.
 *
 * Lock order: LOCK_TTY, then upper->lock (a spinlock over volatile memory, also taken by interrupt handlers).
 */
#include "posix/tty/tty_internal.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"

static void port_input(struct tty_port *p, const char *bytes, size_t len)
{
        struct tty_upper *u = p->upper;
        uint64_t f = spin_lock(&u->lock);

        for (size_t i = 0; i < len && u->head - u->tail < PORT_RING; i++)
                u->ring[u->head++ % PORT_RING] = bytes[i];
        spin_unlock(&u->lock, f);
        work_queue(&u->work);
}

static void port_drained(struct tty_port *p)
{
        work_queue(&((struct tty_upper *)p->upper)->work);
}

static void port_event(struct tty_port *p, uint32_t event)
{
        struct tty_upper *u = p->upper;

        __atomic_fetch_or(&u->events, event, __ATOMIC_RELEASE);
        work_queue(&u->work);
}

static void port_resized(struct tty_port *p)
{
        port_event(p, UPPER_RESIZED);
}

static void port_hangup(struct tty_port *p)
{
        port_event(p, UPPER_HANGUP);
}

/* Looks at the oldest bytes without taking them: the section may be abandoned. */
static size_t ring_peek(struct tty_upper *u, char *to, size_t max)
{
        uint64_t f = spin_lock(&u->lock);
        size_t n = MIN((size_t)(u->head - u->tail), max);

        for (size_t i = 0; i < n; i++)
                to[i] = u->ring[(u->tail + i) % PORT_RING];
        spin_unlock(&u->lock, f);
        return n;
}

static bool ring_take(struct tty_upper *u, size_t n)
{
        uint64_t f = spin_lock(&u->lock);
        bool more;

        u->tail += n;
        more = u->head != u->tail;
        spin_unlock(&u->lock, f);
        return more;
}

static void port_work(struct work *w)
{
        struct tty_upper *u = container_of(w, struct tty_upper, work);
        struct tty *t = u->tty;
        struct tty_sink echo;
        uint32_t events;
        char bytes[256];
        size_t n, took;

        tty_lock(t);
        tty_touch(t);
        if (u->port->ops->prepare)
                u->port->ops->prepare(u->port);
        n = ring_peek(u, bytes, sizeof(bytes));
        section_changes();
        events = __atomic_exchange_n(&u->events, 0, __ATOMIC_ACQ_REL);
        if (events & UPPER_HANGUP)
                tty_hangup(t, false);
        if (events & UPPER_RESIZED && (t->winsize.ws_row != u->port->rows || t->winsize.ws_col != u->port->cols)) {
                t->winsize = (struct winsize){.ws_row = u->port->rows, .ws_col = u->port->cols};
                tty_signal_foreground(t, SIGWINCH);
        }
        tty_out_pump(t);
        if (n) {
                sink_init(&echo, t);
                took = tty_input(t, &echo, bytes, n);
                sink_flush(&echo);
                if (ring_take(u, took) && took)
                        work_queue(w);
        }
        wake(&t->out_room);
}

struct tty_port *tty_port_of(const struct tty *t)
{
        return t->kind == TTY_PORT ? tty_port_by_minor(t->index) : NULL;
}

void tty_port_kick(struct tty *t)
{
        struct tty_port *p = tty_port_of(t);

        if (p)
                work_queue(&((struct tty_upper *)p->upper)->work);
}

static void no_retry(void *arg)
{
        panic("a terminal's page is absent at boot (%p)", arg);
}

/* The console's cells: a block of their own, made in a section of its own (it is most of what a section may dirty). */
static void console_boot(struct tty_port *p, struct tty *t)
{
        bool restored = t->console;
        int r;

        if (console_state_size() > SECTION_PAGES * PAGE_SIZE) {
                klog(LOG_ERR, "%s: a console block of %zu bytes is more than the space gives at once", p->name,
                     console_state_size());
                return;
        }
        section_changes();
        if (!restored)
                t->console = space_alloc_bytes(console_state_size());
        section_step();
        if (!restored)
                section_changes(); /* a new block is written */
        r = console_attach(p, t->console, restored);
        if (r == -ERANGE) {
                section_changes();
                r = console_reshape(p, t->console);
                section_step();
                if (!r)
                        r = console_attach(p, t->console, true);
        }
        if (r == -EINVAL) {
                section_changes();
                __builtin_memset(t->console, 0, console_state_size());
                r = console_attach(p, t->console, false);
        }
        if (r < 0)
                klog(LOG_ERR, "%s: no console: error %d", p->name, r);
}

static int port_boot(struct tty_port *p)
{
        struct tty_upper *u = p->upper;
        struct tty *t;
        bool found;

        if (p->minor >= TTY_PORTS)
                return 0;
        if (!u) {
                u = vmalloc(ALIGN_UP(sizeof(*u), PAGE_SIZE));
                if (!u)
                        return -ENOMEM;
                __builtin_memset(u, 0, sizeof(*u));
        }
        section_begin(no_retry, NULL);
        section_changes();
        t = tty_state()->port[p->minor];
        found = t != NULL;
        if (!found) {
                t = tty_new(TTY_PORT, p->minor);
                tty_state()->port[p->minor] = t;
                if (p->minor >= 64) {
                        t->termios.c_cflag = B115200 | CS8 | CREAD | HUPCL | CLOCAL;
                        t->termios.c_ispeed = t->termios.c_ospeed = 115200;
                } else {
                        t->termios.c_iflag |= IUTF8;
                }
        }
        if (p->rows && !found)
                t->winsize = (struct winsize){.ws_row = p->rows, .ws_col = p->cols};
        section_step();
        if (console_is(p))
                console_boot(p, t);
        u->port = p;
        u->tty = t;
        u->work.fn = port_work;
        p->upper = u;
        p->drained = port_drained;
        p->resized = port_resized;
        p->hangup = port_hangup;
        p->input = port_input;
        section_end();
        if (!found)
                return 0;
        /* Another life's: the line is set as it was, the screen may have another size, and output may wait. */
        if (p->ops->set_line)
                p->ops->set_line(p, t->termios.c_ospeed, t->termios.c_cflag);
        if (p->rows)
                port_resized(p);
        else
                port_drained(p);
        return 0;
}

static void walk_ports(const struct space_visitor *v)
{
        struct tty_state *s = posix_root() ? tty_state() : NULL;

        for (unsigned i = 0; s && i < TTY_PORTS; i++)
                if (s->port[i])
                        v->object(s->port[i]);
}

int tty_boot(void)
{
        struct tty_port *p;
        int r = 0;

        section_begin(no_retry, NULL);
        if (!tty_state()) {
                section_changes();
                posix_root()->tty_state = space_alloc_bytes(sizeof(struct tty_state));
        }
        section_end();
        space_ref_walker_register(walk_ports, 0);
        for (unsigned i = 0; r == 0 && (p = tty_port_by_index(i)); i++)
                r = port_boot(p);
        return r;
}
