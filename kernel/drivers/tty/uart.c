/*
 * uart.c - 16550 serial ports at their PC addresses, as terminals ttyS0 to ttyS3.
 *
 * Output: write() copies into a ring; the transmitter empties it by interrupt, one FIFO at a time. `sending` says that
 * a transmitter-empty interrupt will come; whoever finds it false fills the FIFO itself. Two ports may share an
 * interrupt line (the PC's habit): one handler serves each line and looks at all its ports, until none has anything to
 * say, since the line is edge-triggered and would else stay up for ever.
 *
 * The kernel log goes the same way once this driver is up (log_write), so that its bytes and those of programs never
 * fight for the FIFO. Until work items are run (interrupts may be off all through boot), and in a panic, it is sent by
 * polling.
 *
 * uart.lock guards ring and registers; interrupts are off while it is held. Input is delivered without it. All state is
 * volatile.
 */
#include <asm/termbits.h>
#include "kernel/drivers/tty/uart.h"
#include "kernel/include/arch/io.h"
#include "kernel/include/cpu.h"
#include "kernel/include/irq.h"
#include "kernel/include/log.h"
#include "kernel/include/tty.h"
#include "kernel/include/work.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

/* Registers (PC16550D data sheet); the first two are the divisor while LCR_DLAB is set. */
enum { UART_DATA, UART_IER, UART_IIR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCRATCH, UART_FCR = UART_IIR };

#define IER_RX           0x01
#define IER_TX           0x02
#define IER_LINE         0x04
#define IIR_NONE         0x01
#define IIR_FIFO         0xc0
#define FCR_ENABLE       0x01
#define FCR_CLEAR        0x06
#define FCR_TRIGGER_8    0x80
#define LCR_STOP2        0x04
#define LCR_PARITY       0x08
#define LCR_EVEN         0x10
#define LCR_DLAB         0x80
#define MCR_DTR_RTS_OUT2 0x0b /* OUT2 lets the interrupt through on a PC */
#define MCR_LOOP         0x10
#define LSR_DATA         0x01
#define LSR_BREAK        0x10
#define LSR_THR_EMPTY    0x20
#define LSR_IDLE         0x40

#define UART_CLOCK     115200
#define UART_FIFO      16u
#define RING_SIZE      4096u /* a power of two */
#define RX_BATCH       64
#define LOG_SPINS      1000000
#define HANDLER_ROUNDS 256 /* bound for a device that never falls silent */

struct uart {
        struct tty_port port;
        struct spinlock lock;
        uint16_t base;
        uint8_t isa_irq;
        bool present;
        bool sending;         /* l */
        bool want_drained;    /* l: a writer found too little room */
        uint8_t ier;          /* l */
        uint32_t head, tail;  /* l: free-running; head is where write() puts */
        char ring[RING_SIZE]; /* l */
};

static struct uart uarts[4] = {
        {.base = 0x3f8, .isa_irq = 4},
        {.base = 0x2f8, .isa_irq = 3},
        {.base = 0x3e8, .isa_irq = 4},
        {.base = 0x2e8, .isa_irq = 3},
};

/* Work items are run: so interrupts are taken, too. */
static volatile bool system_runs;

static uint8_t reg_read(const struct uart *u, unsigned reg)
{
        return inb(u->base + reg);
}

static void reg_write(const struct uart *u, unsigned reg, uint8_t v)
{
        outb(u->base + reg, v);
}

static uint32_t ring_used(const struct uart *u)
{
        return u->head - u->tail;
}

static void set_ier(struct uart *u, uint8_t ier)
{
        if (u->ier == ier)
                return;
        u->ier = ier;
        reg_write(u, UART_IER, ier);
}

/* The FIFO is empty: give it what there is. */
static void fill_fifo(struct uart *u)
{
        unsigned n = MIN(ring_used(u), UART_FIFO);

        for (unsigned i = 0; i < n; i++)
                reg_write(u, UART_DATA, u->ring[u->tail++ % RING_SIZE]);
        u->sending = n != 0;
        set_ier(u, u->sending ? u->ier | IER_TX : u->ier & ~IER_TX);
}

static void start_sending(struct uart *u)
{
        if (!u->sending && ring_used(u) && (reg_read(u, UART_LSR) & LSR_THR_EMPTY))
                fill_fifo(u);
        else if (ring_used(u))
                set_ier(u, u->ier | IER_TX);
}

static size_t ring_put(struct uart *u, const char *bytes, size_t len)
{
        size_t room = RING_SIZE - ring_used(u);
        size_t n = MIN(len, room);
        size_t at = u->head % RING_SIZE;
        size_t first = MIN(n, RING_SIZE - at);

        memcpy(u->ring + at, bytes, first);
        memcpy(u->ring, bytes + first, n - first);
        u->head += n;
        return n;
}

static size_t uart_write(struct tty_port *p, const char *bytes, size_t len)
{
        struct uart *u = p->driver;
        uint64_t flags = spin_lock(&u->lock);
        size_t n = ring_put(u, bytes, len);

        if (n < len)
                u->want_drained = true;
        start_sending(u);
        spin_unlock(&u->lock, flags);
        return n;
}

static size_t uart_room(struct tty_port *p)
{
        struct uart *u = p->driver;
        uint64_t flags = spin_lock(&u->lock);
        size_t room = RING_SIZE - ring_used(u);

        if (room == 0)
                u->want_drained = true;
        spin_unlock(&u->lock, flags);
        return room;
}

static bool uart_empty(struct tty_port *p)
{
        struct uart *u = p->driver;
        uint64_t flags = spin_lock(&u->lock);
        bool empty = ring_used(u) == 0;

        if (!empty)
                u->want_drained = true;
        spin_unlock(&u->lock, flags);
        return empty && (reg_read(u, UART_LSR) & LSR_IDLE);
}

/* Speed and format; an impossible speed leaves the old one, as a 16550 has no other answer. */
static void uart_set_line(struct tty_port *p, uint32_t baud, uint32_t cflag)
{
        struct uart *u = p->driver;
        uint32_t divisor = baud ? UART_CLOCK / baud : 0;
        uint8_t lcr = (cflag & CSIZE) >> 4; /* CS5..CS8 are 0..3 << 4, LCR's word length is 0..3 */
        uint64_t flags;

        if (cflag & CSTOPB)
                lcr |= LCR_STOP2;
        if (cflag & PARENB)
                lcr |= LCR_PARITY | (cflag & PARODD ? 0 : LCR_EVEN);

        flags = spin_lock(&u->lock);
        if (divisor >= 1 && divisor <= 0xffff) {
                reg_write(u, UART_LCR, lcr | LCR_DLAB);
                reg_write(u, UART_DATA, divisor & 0xff);
                reg_write(u, UART_IER, divisor >> 8);
        }
        reg_write(u, UART_LCR, lcr);
        reg_write(u, UART_IER, u->ier);
        spin_unlock(&u->lock, flags);
}

static const struct tty_port_ops uart_ops = {
        .write = uart_write,
        .room = uart_room,
        .empty = uart_empty,
        .set_line = uart_set_line,
};

static size_t receive(struct uart *u, char *buf)
{
        uint64_t flags = spin_lock(&u->lock);
        size_t n = 0;
        uint8_t lsr;

        while (n < RX_BATCH && ((lsr = reg_read(u, UART_LSR)) & LSR_DATA)) {
                char c = reg_read(u, UART_DATA);

                if (!(lsr & LSR_BREAK)) /* a break also reads as a NUL that nobody sent */
                        buf[n++] = c;
        }
        spin_unlock(&u->lock, flags);
        return n;
}

/* Returns whether the upper half is to be told that there is room again. */
static bool transmit(struct uart *u)
{
        uint64_t flags = spin_lock(&u->lock);
        bool tell = false;

        if ((u->ier & IER_TX) && (reg_read(u, UART_LSR) & LSR_THR_EMPTY)) {
                fill_fifo(u);
                tell = u->want_drained && ring_used(u) <= RING_SIZE / 2;
                if (tell)
                        u->want_drained = false;
        }
        spin_unlock(&u->lock, flags);
        return tell;
}

static bool serve(struct uart *u)
{
        char buf[RX_BATCH];
        size_t n;

        if (reg_read(u, UART_IIR) & IIR_NONE)
                return false;
        n = receive(u, buf);
        if (n && u->port.input)
                u->port.input(&u->port, buf, n);
        if (transmit(u) && u->port.drained)
                u->port.drained(&u->port);
        reg_read(u, UART_MSR);
        return true;
}

static void line_interrupt(void *arg)
{
        uint8_t isa_irq = (uint8_t)(uintptr_t)arg;

        for (unsigned round = 0; round < HANDLER_ROUNDS; round++) {
                bool any = false;

                for (unsigned i = 0; i < ARRAY_SIZE(uarts); i++)
                        if (uarts[i].present && uarts[i].isa_irq == isa_irq)
                                any |= serve(&uarts[i]);
                if (!any)
                        return;
        }
}

/* The whole ring by polling; gives up on a transmitter that takes nothing. */
static void send_all(struct uart *u)
{
        for (unsigned spin = 0; ring_used(u) && spin < LOG_SPINS; spin++)
                if (reg_read(u, UART_LSR) & LSR_THR_EMPTY) {
                        fill_fifo(u);
                        spin = 0;
                }
        if (ring_used(u))
                u->tail = u->head;
}

static void log_part(struct uart *u, const char *bytes, size_t len)
{
        while (len) {
                size_t n = ring_put(u, bytes, len);

                bytes += n;
                len -= n;
                if (len)
                        send_all(u);
        }
}

/* Log lines on ttyS0. A full ring is emptied by polling: a line of the log is not lost. */
static void log_write(struct klog_console *c, const char *text, size_t len)
{
        struct uart *u = &uarts[0];
        bool panicking = klog_panicking();
        uint64_t flags = panicking ? irq_save() : spin_lock(&u->lock);
        const char *end = text + len, *line = text;

        (void)c;
        for (; text < end; text++)
                if (*text == '\n') {
                        log_part(u, line, text - line);
                        log_part(u, "\r\n", 2);
                        line = text + 1;
                }
        log_part(u, line, text - line);
        if (panicking || !system_runs)
                send_all(u);
        else
                start_sending(u);
        if (panicking)
                irq_restore(flags);
        else
                spin_unlock(&u->lock, flags);
}

static void first_work(struct work *w)
{
        (void)w;
        system_runs = true;
}

static struct work running = {.fn = first_work};
static struct klog_console log_console = {.write = log_write, .replaces_serial = true};

/*
 * A port that is not there reads as all ones, or keeps nothing in its scratch register; what is left must answer in
 * loop-back.
 */
static bool probe(const struct uart *u)
{
        uint8_t mcr;
        bool echoes;

        reg_write(u, UART_SCRATCH, 0x5a);
        if (reg_read(u, UART_SCRATCH) != 0x5a)
                return false;
        reg_write(u, UART_SCRATCH, 0xa5);
        if (reg_read(u, UART_SCRATCH) != 0xa5)
                return false;
        mcr = reg_read(u, UART_MCR);
        reg_write(u, UART_MCR, MCR_LOOP | 0x0a);
        echoes = (reg_read(u, UART_MSR) & 0xf0) == 0x90;
        reg_write(u, UART_MCR, mcr);
        return echoes;
}

static void start(struct uart *u, unsigned i)
{
        struct tty_port *p = &u->port;

        snprintf(p->name, sizeof(p->name), "ttyS%u", i);
        p->minor = 64 + i;
        p->ops = &uart_ops;
        p->driver = u;

        for (unsigned spin = 0; spin < 100000 && !(reg_read(u, UART_LSR) & LSR_IDLE); spin++)
                cpu_relax(); /* what the log sent by polling */
        reg_write(u, UART_IER, 0);
        reg_write(u, UART_FCR, FCR_ENABLE | FCR_CLEAR | FCR_TRIGGER_8);
        reg_write(u, UART_MCR, MCR_DTR_RTS_OUT2);
        uart_set_line(p, 115200, CS8);
        reg_read(u, UART_LSR);
        reg_read(u, UART_DATA);
        reg_read(u, UART_IIR);
        reg_read(u, UART_MSR);
        u->present = true;
        set_ier(u, IER_RX | IER_LINE);
}

void uart_init(void)
{
        bool line_taken[16] = {false};

        for (unsigned i = 0; i < ARRAY_SIZE(uarts); i++) {
                struct uart *u = &uarts[i];

                if (!probe(u))
                        continue;
                if (!line_taken[u->isa_irq] &&
                    irq_register_isa(u->isa_irq, line_interrupt, (void *)(uintptr_t)u->isa_irq) < 0) {
                        klog(LOG_WARN, "ttyS%u: interrupt %u is taken", i, u->isa_irq);
                        continue;
                }
                line_taken[u->isa_irq] = true;
                start(u, i);
                if (tty_port_register(&u->port) == 0)
                        klog(LOG_INFO, "ttyS%u: 16550 at %#x, irq %u", i, u->base, u->isa_irq);
        }
        if (!uarts[0].present)
                return;
        klog_console_register(&log_console);
        work_queue(&running);
}
