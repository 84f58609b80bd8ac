/*
 * xhci.c - USB host controllers (xHCI 1.2; section numbers are its).
 *
 * One ring of commands, one of events, one for each endpoint that is used; each is a page. A ring of transfers remembers
 * for each entry whose it is, so that an event finds its transfer by the place that it names; what names no transfer in
 * flight is nobody's and is dropped. One command is in flight at a time: commands are given by the thread of control
 * alone (usb.h), which waits for the answer.
 *
 * States of a controller: opening -> RUNNING -> DEAD. Dead is for ever: it may not touch memory any more (no bus
 * master), and its devices are taken out. It dies of a failure that it reports, of being gone (registers read as ones),
 * and of a command that is not answered in COMMAND_NS.
 *
 * Interrupts: MSI-X, MSI, or, where there is neither, a timer that looks every POLL_NS.
 *
 * Lock: xhci.lock for rings and events; interrupts are off while it is held, and done() is called without it. Memory of
 * a device is given back, and its transfers end, after the controller has let go of its slot; one that does not is dead.
 */
#include "kernel/drivers/usb/xhci.h"
#include "kernel/drivers/bus/pci.h"
#include "kernel/drivers/usb/xhci_regs.h"
#include "kernel/include/arch/io.h"
#include "kernel/include/cpu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/include/worker.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define RING_TRBS     (PAGE_SIZE / sizeof(struct trb))
#define SLOTS_MAX     64u
#define INDEXES       32u /* of endpoints: DCI */
#define MODERATION    40u /* in 250 ns between two interrupts (5.5.2.2) */
#define COMMAND_NS    (5 * NSEC_PER_SEC)
#define START_NS      NSEC_PER_SEC
#define FIRMWARE_NS   NSEC_PER_SEC
#define RESET_NS      (NSEC_PER_SEC / 2)
#define POLL_NS       (8 * NSEC_PER_SEC / 1000)
#define CAPS_MAX      64u
#define GONE          ~0u
#define EVENTS_A_TURN (2 * RING_TRBS)

struct ring {
        struct trb *trb;
        paddr_t pa;
        uint32_t at; /* next entry */
        uint32_t cycle;
};

struct usb_endpoint {
        struct usb_device *dev;
        uint8_t address, kind, dci;
        uint16_t max_packet;
        struct ring ring;
        uint32_t used;                         /* l: entries whose transfer has not finished */
        struct usb_transfer *owner[RING_TRBS]; /* l */
};

struct device_slot {
        struct usb_device *dev;
        struct usb_endpoint *endpoint[INDEXES];
};

struct xhci {
        struct pci_device *pci;
        char name[8];
        volatile uint8_t *caps, *op, *runtime, *doorbells;
        unsigned nports, nslots, context_bytes;
        uint32_t super[8]; /* bits: ports of USB 3 */
        bool dead;         /* atomic */
        struct spinlock lock;
        struct ring commands, events;
        uint64_t *slots; /* the controller's table of device contexts */
        struct device_slot slot[SLOTS_MAX + 1];
        uint64_t command_pa; /* l: the one in flight; 0: none */
        uint32_t command_done, command_status, command_control;
        uint8_t *input; /* the input context, a page: one command at a time */
        struct vtimer timer;
};

static uint32_t op(const struct xhci *x, unsigned reg)
{
        return mmio_read32(x->op + reg);
}

static void op_set(const struct xhci *x, unsigned reg, uint32_t v)
{
        mmio_write32(x->op + reg, v);
}

static bool op_becomes(const struct xhci *x, unsigned reg, uint32_t mask, uint32_t value, uint64_t ns)
{
        uint64_t end = time_mono_ns() + ns;

        while ((op(x, reg) & mask) != value) {
                if (time_mono_ns() > end)
                        return false;
                cpu_relax();
        }
        return true;
}

const char *xhci_name(const struct xhci *x)
{
        return x->name;
}

unsigned xhci_ports(const struct xhci *x)
{
        return x->nports;
}

bool xhci_dead(const struct xhci *x)
{
        return __atomic_load_n(&x->dead, __ATOMIC_ACQUIRE);
}

static void die(struct xhci *x, const char *why)
{
        if (__atomic_exchange_n(&x->dead, true, __ATOMIC_ACQ_REL))
                return;
        pci_quiet(x->pci);
        klog(LOG_ERR, "%s: %s: its devices are not used any more", x->name, why);
        usb_wake(NULL);
}

/* ---- rings ---- */

static int ring_new(struct ring *r)
{
        paddr_t pa = frame_alloc();

        if (!pa)
                return -ENOMEM;
        *r = (struct ring){.trb = memset(direct(pa), 0, PAGE_SIZE), .pa = pa, .cycle = 1};
        return 0;
}

static void link_ring(struct ring *r)
{
        r->trb[RING_TRBS - 1] = (struct trb){.parameter = r->pa, .control = TRB_TYPE(TRB_LINK) | TRB_TOGGLE};
}

/* The entry's place. It is the controller's at once, unless `hold`: then when ring_give is called. */
static uint32_t ring_put(struct ring *r, uint64_t parameter, uint32_t status, uint32_t control, bool hold)
{
        uint32_t at = r->at;
        struct trb *t = &r->trb[at];

        t->parameter = parameter;
        t->status = status;
        io_wmb();
        *(volatile uint32_t *)&t->control = control | (hold ? !r->cycle : r->cycle);
        if (++r->at == RING_TRBS - 1) {
                /* The link is passed within a transfer, too: it is part of the chain then (4.11.5.1). */
                io_wmb();
                *(volatile uint32_t *)&r->trb[r->at].control =
                        TRB_TYPE(TRB_LINK) | TRB_TOGGLE | (control & TRB_CHAIN) | r->cycle;
                r->at = 0;
                r->cycle ^= 1;
        }
        return at;
}

static void ring_give(struct ring *r, uint32_t at)
{
        io_wmb();
        *(volatile uint32_t *)&r->trb[at].control = r->trb[at].control ^ TRB_CYCLE;
}

static void doorbell(const struct xhci *x, uint32_t slot, uint32_t target)
{
        io_wmb();
        mmio_write32(x->doorbells + 4 * slot, target);
}

/* ---- transfers ---- */

static uint32_t ring_next(uint32_t at)
{
        return at + 1 == RING_TRBS - 1 ? 0 : at + 1;
}

static void own(struct usb_endpoint *e, struct usb_transfer *t, uint32_t first, uint32_t last)
{
        t->first = (uint16_t)first;
        t->last = (uint16_t)last;
        t->next = NULL;
        for (uint32_t at = first;; at = ring_next(at)) {
                e->owner[at] = t;
                e->used++;
                if (at == last)
                        return;
        }
}

static void disown(struct usb_endpoint *e, struct usb_transfer *t)
{
        for (uint32_t at = t->first;; at = ring_next(at)) {
                if (e->owner[at] == t) {
                        e->owner[at] = NULL;
                        e->used--;
                }
                if (at == t->last)
                        return;
        }
}

static bool can_queue(const struct usb_endpoint *e)
{
        return !xhci_dead(e->dev->hc) && !__atomic_load_n(&e->dev->gone, __ATOMIC_ACQUIRE);
}

/* Entries that a segment takes: none crosses a multiple of TRB_BYTES_MAX. */
static unsigned pieces(const struct usb_segment *s)
{
        return (unsigned)((s->pa % TRB_BYTES_MAX + s->len + TRB_BYTES_MAX - 1) / TRB_BYTES_MAX);
}

int usb_submit(struct usb_endpoint *e, struct usb_transfer *t, const struct usb_segment *seg, unsigned nsegs)
{
        static const struct usb_segment empty = {0, 0};
        struct xhci *x = e->dev->hc;
        uint32_t left = 0, need = nsegs ? 0 : 1, first = 0, at = 0;
        bool in = e->address & USB_IN, begun = false;
        uint64_t flags;

        for (unsigned i = 0; i < nsegs; i++) {
                left += seg[i].len;
                need += pieces(&seg[i]);
        }
        if (!nsegs) {
                seg = &empty;
                nsegs = 1;
        }
        t->length = left;
        t->actual = 0;
        t->status = 0;
        flags = spin_lock(&x->lock);
        if (!can_queue(e) || e->used + need > RING_TRBS - 2) {
                int err = can_queue(e) ? -ENOSPC : -ENODEV;

                spin_unlock(&x->lock, flags);
                return err;
        }
        for (unsigned i = 0; i < nsegs; i++) {
                paddr_t pa = seg[i].pa;
                uint32_t len = seg[i].len;

                do {
                        uint32_t n = MIN(len, TRB_BYTES_MAX - (uint32_t)(pa % TRB_BYTES_MAX)), packets;
                        uint32_t control = TRB_TYPE(TRB_NORMAL) | (in ? TRB_ISP : 0);

                        left -= n;
                        packets = (left + e->max_packet - 1) / e->max_packet;
                        if (left)
                                control |= TRB_CHAIN;
                        else if (!t->quiet)
                                control |= TRB_IOC;
                        at = ring_put(&e->ring, pa, n | TRB_SIZE(MIN(packets, 31u)), control, !begun);
                        if (!begun)
                                first = at;
                        begun = true;
                        pa += n;
                        len -= n;
                } while (len);
        }
        own(e, t, first, at);
        ring_give(&e->ring, first);
        doorbell(x, e->dev->slot, e->dci);
        spin_unlock(&x->lock, flags);
        return 0;
}

int xhci_control(struct usb_device *d, struct usb_transfer *t, const uint8_t setup[8], paddr_t pa, uint16_t len)
{
        struct usb_endpoint *e = d->control;
        struct xhci *x = d->hc;
        bool in = setup[0] & USB_IN;
        uint64_t flags = spin_lock(&x->lock), packet;
        uint32_t first, last;

        if (!can_queue(e) || e->used + 3 > RING_TRBS - 2) {
                int err = can_queue(e) ? -ENOSPC : -ENODEV;

                spin_unlock(&x->lock, flags);
                return err;
        }
        memcpy(&packet, setup, sizeof(packet));
        t->length = t->actual = len;
        t->status = 0;
        first = ring_put(&e->ring, packet, 8, TRB_TYPE(TRB_SETUP) | TRB_IDT | (len ? in ? TRB_TRT_IN : TRB_TRT_OUT : 0),
                         true);
        if (len)
                ring_put(&e->ring, pa, len, TRB_TYPE(TRB_DATA) | (in ? TRB_DIR_IN | TRB_ISP : 0), false);
        /* The status goes the other way than the data, and in where there are none (4.11.2.2). */
        last = ring_put(&e->ring, 0, 0, TRB_TYPE(TRB_STATUS) | TRB_IOC | (len && in ? 0 : TRB_DIR_IN), false);
        own(e, t, first, last);
        ring_give(&e->ring, first);
        doorbell(x, d->slot, e->dci);
        spin_unlock(&x->lock, flags);
        return 0;
}

static int status_of(uint32_t code)
{
        switch (code) {
        case CODE_SUCCESS:
        case CODE_SHORT:
                return 0;
        case CODE_STALL:
                return -EPIPE;
        default:
                return -EIO;
        }
}

/* Bytes of the entries of t before `at`. */
static uint32_t bytes_before(const struct usb_endpoint *e, const struct usb_transfer *t, uint32_t at)
{
        uint32_t n = 0;

        for (uint32_t k = t->first; k != at; k = ring_next(k))
                n += TRB_LENGTH(e->ring.trb[k].status);
        return n;
}

/* Lock held. The transfer that has ended by this event; NULL: none. */
static struct usb_transfer *transfer_event(struct xhci *x, const struct trb *ev)
{
        uint32_t slot = TRB_SLOT_OF(ev->control), dci = TRB_ENDPOINT_OF(ev->control), code = TRB_CODE(ev->status);
        struct usb_endpoint *e = slot <= x->nslots ? x->slot[slot].endpoint[dci] : NULL;
        uint64_t offset;
        struct usb_transfer *t;
        uint32_t at, len;

        if (!e || code == CODE_STOPPED || code == CODE_STOPPED_LENGTH || code == CODE_STOPPED_SHORT)
                return NULL;
        offset = ev->parameter - e->ring.pa;
        if (offset >= PAGE_SIZE || offset % sizeof(struct trb))
                return NULL;
        at = (uint32_t)(offset / sizeof(struct trb));
        t = e->owner[at];
        if (!t)
                return NULL;
        len = TRB_LENGTH(e->ring.trb[at].status);
        len -= MIN(len, TRB_RESIDUE(ev->status));
        t->status = status_of(code);
        if (e->dci == 1) {
                if (!t->status && at != t->last) {
                        t->actual = MIN(len, t->length);
                        return NULL; /* the status stage is still to come */
                }
        } else {
                if (!t->status && code != CODE_SHORT && at != t->last)
                        return NULL;
                t->actual = bytes_before(e, t, at) + len;
        }
        disown(e, t);
        return t;
}

void usb_forget(struct usb_endpoint *e, struct usb_transfer *t)
{
        uint64_t flags = spin_lock(&e->dev->hc->lock);

        if (e->owner[t->first] == t)
                disown(e, t);
        spin_unlock(&e->dev->hc->lock, flags);
}

/* ---- events ---- */

static bool next_event(struct xhci *x, struct trb *ev)
{
        struct trb *t = &x->events.trb[x->events.at];
        uint32_t control = __atomic_load_n(&t->control, __ATOMIC_ACQUIRE);

        if ((control & TRB_CYCLE) != x->events.cycle)
                return false;
        *ev = (struct trb){.parameter = t->parameter, .status = t->status, .control = control};
        if (++x->events.at == RING_TRBS) {
                x->events.at = 0;
                x->events.cycle ^= 1;
        }
        return true;
}

struct finished {
        struct usb_transfer *first, *last;
};

static void finished_add(struct finished *f, struct usb_transfer *t)
{
        t->next = NULL;
        if (f->first)
                f->last->next = t;
        else
                f->first = t;
        f->last = t;
}

/* Without the lock. */
static void finish(struct finished *f)
{
        struct usb_transfer *t, *next;

        for (t = f->first; t; t = next) {
                next = t->next;
                t->done(t);
        }
}

static void command_event(struct xhci *x, const struct trb *ev)
{
        if (!x->command_pa || ev->parameter != x->command_pa)
                return;
        x->command_pa = 0;
        x->command_status = ev->status;
        x->command_control = ev->control;
        __atomic_store_n(&x->command_done, 1, __ATOMIC_RELEASE);
}

void xhci_poll(struct xhci *x)
{
        struct finished f = {0};
        struct usb_transfer *t;
        bool any = false, wake = false;
        const char *failed = NULL;
        struct trb ev;
        uint64_t flags;

        if (xhci_dead(x))
                return;
        flags = spin_lock(&x->lock);
        for (unsigned n = 0; n < EVENTS_A_TURN && next_event(x, &ev); n++) {
                any = true;
                switch (TRB_TYPE_OF(ev.control)) {
                case TRB_EV_TRANSFER:
                        t = transfer_event(x, &ev);
                        if (t)
                                finished_add(&f, t);
                        break;
                case TRB_EV_COMMAND:
                        command_event(x, &ev);
                        wake = true;
                        break;
                case TRB_EV_PORT:
                        wake = true;
                        break;
                case TRB_EV_HOST:
                        if (TRB_CODE(ev.status) == CODE_EVENTS_FULL)
                                failed = "it has lost events";
                        break;
                }
        }
        if (any)
                mmio_write64(x->runtime + RT_ERDP, (x->events.pa + x->events.at * sizeof(struct trb)) | ERDP_EHB);
        spin_unlock(&x->lock, flags);
        finish(&f);
        if (failed)
                die(x, failed);
        else if (wake)
                usb_wake(NULL);
}

static void interrupt(void *arg)
{
        struct xhci *x = arg;
        uint32_t status;

        if (xhci_dead(x))
                return;
        status = op(x, OP_USBSTS);
        if (status == GONE || (status & (STS_HSE | STS_HCE))) {
                die(x, status == GONE ? "it was taken out" : "it has failed");
                return;
        }
        op_set(x, OP_USBSTS, STS_EINT | STS_PCD);
        mmio_write32(x->runtime + RT_IMAN, IMAN_IP | IMAN_IE);
        xhci_poll(x);
}

static void look(struct vtimer *t)
{
        struct xhci *x = container_of(t, struct xhci, timer);

        interrupt(x);
        if (!xhci_dead(x))
                vtimer_arm(t, time_mono_ns() + POLL_NS);
}

/* ---- commands ---- */

/* 0, -EPIPE, -EIO (refused; *code), -ENODEV. *slot as the answer names it. */
static int command(struct xhci *x, uint64_t parameter, uint32_t control, uint32_t *slot, uint32_t *code)
{
        uint64_t flags;

        if (xhci_dead(x))
                return -ENODEV;
        flags = spin_lock(&x->lock);
        x->command_done = 0;
        x->command_pa = x->commands.pa + x->commands.at * sizeof(struct trb);
        ring_put(&x->commands, parameter, 0, control, false);
        doorbell(x, 0, 0);
        spin_unlock(&x->lock, flags);
        if (!usb_wait(&(struct usb_device){.hc = x}, &x->command_done, COMMAND_NS)) {
                die(x, "it does not answer a command");
                return -ENODEV;
        }
        if (slot)
                *slot = TRB_SLOT_OF(x->command_control);
        if (code)
                *code = TRB_CODE(x->command_status);
        return status_of(TRB_CODE(x->command_status));
}

static uint32_t *input_context(struct xhci *x, unsigned index)
{
        return (uint32_t *)(x->input + (size_t)(1 + index) * x->context_bytes);
}

static const uint32_t *context(const struct usb_device *d, unsigned index)
{
        return (const uint32_t *)((const uint8_t *)d->context + (size_t)index * d->hc->context_bytes);
}

/* Input control context (6.2.5.1): which are taken over. */
static void input_begin(struct xhci *x, uint32_t which)
{
        memset(x->input, 0, PAGE_SIZE);
        ((uint32_t *)x->input)[1] = which;
}

static void input_slot(struct usb_device *d, unsigned entries)
{
        uint32_t *c = input_context(d->hc, 0);

        c[0] = SLOT_ROUTE_SPEED(d->route, d->speed) | SLOT_ENTRIES(entries) | (d->nports ? SLOT_HUB : 0);
        c[1] = SLOT_ROOT(d->root_port) | SLOT_NPORTS(d->nports);
        if (d->translator)
                c[2] = SLOT_TRANSLATOR(d->translator->slot, d->translator_port);
}

/* The exponent of the interval in 125 us (6.2.3.6). */
static unsigned interval_of(const struct usb_device *d, const struct usb_endpoint_info *i)
{
        unsigned frames = MAX(i->interval, 1u), exponent = 3;

        if (i->kind == USB_BULK)
                return 0;
        if (d->speed >= USB_HIGH)
                return MIN(frames, 16u) - 1;
        while (exponent < 10 && (2u << exponent) <= frames * 8)
                exponent++;
        return exponent;
}

static void input_endpoint(struct usb_device *d, struct usb_endpoint *e, const struct usb_endpoint_info *i)
{
        uint32_t *c = input_context(d->hc, e->dci);
        unsigned type = e->dci == 1 ? EP_TYPE_CONTROL : e->kind | (e->address & USB_IN ? EP_TYPE_IN : 0);
        unsigned burst = i ? i->burst : 0;
        bool periodic = e->kind == USB_INTERRUPT;

        c[0] = i ? EP_INTERVAL(interval_of(d, i)) : 0;
        c[1] = EP_RETRIES | EP_TYPE(type) | EP_BURST(burst) | EP_PACKET(e->max_packet);
        c[2] = (uint32_t)e->ring.pa | 1;
        c[3] = (uint32_t)(e->ring.pa >> 32);
        c[4] = EP_AVERAGE(e->dci == 1 ? 8u : e->max_packet) |
               (periodic ? EP_ESIT((uint32_t)e->max_packet * (burst + 1)) : 0);
}

static struct usb_endpoint *endpoint_new(struct usb_device *d, uint8_t address, uint8_t kind, uint16_t max_packet)
{
        struct usb_endpoint *e = kzalloc(sizeof(*e));

        if (!e || ring_new(&e->ring)) {
                kfree(e);
                return NULL;
        }
        link_ring(&e->ring);
        e->dev = d;
        e->address = address;
        e->kind = kind;
        e->max_packet = max_packet;
        e->dci = kind == USB_CONTROL ? 1 : (address & 15) * 2 + (address & USB_IN ? 1 : 0);
        d->hc->slot[d->slot].endpoint[e->dci] = e;
        return e;
}

static void endpoints_free(struct usb_device *d)
{
        struct device_slot *s = &d->hc->slot[d->slot];

        for (unsigned i = 0; i < INDEXES; i++) {
                struct usb_endpoint *e = s->endpoint[i];
                uint64_t flags = spin_lock(&d->hc->lock);

                s->endpoint[i] = NULL;
                spin_unlock(&d->hc->lock, flags);
                if (e)
                        frame_free(e->ring.pa);
                kfree(e);
        }
        d->control = NULL;
        memset(d->endpoint, 0, sizeof(d->endpoint));
}

/* Everything that is queued ends. */
static void cancel(struct usb_endpoint *e, int status)
{
        struct finished f = {0};
        uint64_t flags = spin_lock(&e->dev->hc->lock);

        for (uint32_t n = 0, at = e->ring.at; n < RING_TRBS - 1; n++, at = ring_next(at)) {
                struct usb_transfer *t = e->owner[at];

                if (!t)
                        continue;
                disown(e, t);
                t->status = status;
                t->actual = 0;
                finished_add(&f, t);
        }
        spin_unlock(&e->dev->hc->lock, flags);
        finish(&f);
}

void xhci_stop(struct usb_device *d)
{
        struct xhci *x = d->hc;

        if (__atomic_exchange_n(&d->gone, true, __ATOMIC_ACQ_REL) || !d->slot)
                return;
        if (command(x, 0, TRB_TYPE(TRB_DISABLE_SLOT) | TRB_SLOT(d->slot), NULL, NULL))
                die(x, "it does not let go of a device");
        for (unsigned i = 0; i < INDEXES; i++)
                if (x->slot[d->slot].endpoint[i])
                        cancel(x->slot[d->slot].endpoint[i], -ENODEV);
        x->slots[d->slot] = 0;
}

void xhci_release(struct usb_device *d)
{
        struct xhci *x = d->hc;

        xhci_stop(d);
        if (!d->slot)
                return;
        endpoints_free(d);
        x->slot[d->slot].dev = NULL;
        frame_free(direct_pa(d->context));
        d->context = NULL;
        d->slot = 0;
}

int xhci_address(struct usb_device *d)
{
        static const uint16_t packet[] = {
                [USB_FULL] = 8, [USB_LOW] = 8, [USB_HIGH] = 64, [USB_SUPER] = 512, [USB_SUPER_PLUS] = 512};
        struct xhci *x = d->hc;
        paddr_t context_pa = frame_alloc();
        uint32_t code = 0;
        int err;

        if (!context_pa)
                return -ENOMEM;
        err = command(x, 0, TRB_TYPE(TRB_ENABLE_SLOT), &d->slot, &code);
        if (!err && (d->slot == 0 || d->slot > x->nslots || x->slot[d->slot].dev))
                err = -EIO;
        if (err) {
                d->slot = 0;
                frame_free(context_pa);
                return code == CODE_NO_SLOTS ? -ENOSPC : err;
        }
        d->context = memset(direct(context_pa), 0, PAGE_SIZE);
        x->slot[d->slot].dev = d;
        x->slots[d->slot] = context_pa;
        d->control = endpoint_new(d, 0, USB_CONTROL, packet[d->speed]);
        err = -ENOMEM;
        if (d->control) {
                input_begin(x, 3);
                input_slot(d, 1);
                input_endpoint(d, d->control, NULL);
                err = command(x, direct_pa(x->input), TRB_TYPE(TRB_ADDRESS) | TRB_SLOT(d->slot), NULL, NULL);
        }
        if (err)
                xhci_release(d);
        return err;
}

int xhci_control_packet(struct usb_device *d, unsigned max_packet)
{
        struct xhci *x = d->hc;

        if (d->control->max_packet == max_packet)
                return 0;
        d->control->max_packet = (uint16_t)max_packet;
        input_begin(x, 2);
        input_endpoint(d, d->control, NULL);
        return command(x, direct_pa(x->input), TRB_TYPE(TRB_EVALUATE) | TRB_SLOT(d->slot), NULL, NULL);
}

int xhci_configure(struct usb_device *d)
{
        struct xhci *x = d->hc;
        uint32_t which = 1;
        unsigned highest = 1;

        for (unsigned i = 0; i < d->interface.nendpoints; i++) {
                const struct usb_endpoint_info *info = &d->interface.endpoint[i];

                d->endpoint[i] = endpoint_new(d, info->address, info->kind, info->max_packet);
                if (!d->endpoint[i])
                        return -ENOMEM; /* what is there goes with the device */
                which |= 1u << d->endpoint[i]->dci;
                highest = MAX(highest, (unsigned)d->endpoint[i]->dci);
        }
        input_begin(x, which);
        input_slot(d, highest);
        for (unsigned i = 0; i < d->interface.nendpoints; i++)
                input_endpoint(d, d->endpoint[i], &d->interface.endpoint[i]);
        return command(x, direct_pa(x->input), TRB_TYPE(TRB_CONFIGURE) | TRB_SLOT(d->slot), NULL, NULL);
}

int xhci_hub(struct usb_device *d)
{
        struct xhci *x = d->hc;

        input_begin(x, 1);
        input_slot(d, context(d, 0)[0] >> 27);
        return command(x, direct_pa(x->input), TRB_TYPE(TRB_CONFIGURE) | TRB_SLOT(d->slot), NULL, NULL);
}

int xhci_restart(struct usb_endpoint *e)
{
        struct usb_device *d = e->dev;
        struct xhci *x = d->hc;
        uint32_t which = TRB_SLOT(d->slot) | TRB_ENDPOINT(e->dci), state = EP_STATE(context(d, e->dci)[0]);
        int err = 0;

        /* It may halt while it is being stopped: the command is refused then (4.6.9), and the second turn resets it. */
        for (unsigned turn = 0; turn < 2; turn++) {
                if (state == EP_HALTED)
                        err = command(x, 0, TRB_TYPE(TRB_RESET_ENDPOINT) | which, NULL, NULL);
                else if (state == EP_RUNNING)
                        err = command(x, 0, TRB_TYPE(TRB_STOP_ENDPOINT) | which, NULL, NULL);
                state = EP_STATE(context(d, e->dci)[0]);
                if (state == EP_STOPPED)
                        err = 0;
                if (!err)
                        break;
        }
        if (!err)
                err = command(x, (e->ring.pa + e->ring.at * sizeof(struct trb)) | e->ring.cycle,
                              TRB_TYPE(TRB_SET_DEQUEUE) | which, NULL, NULL);
        if (!err || e->dci == 1) /* else it may still move data: the device has to go */
                cancel(e, -ECANCELED);
        return err;
}

uint8_t xhci_endpoint_address(const struct usb_endpoint *e)
{
        return e->address;
}

struct usb_device *xhci_endpoint_device(const struct usb_endpoint *e)
{
        return e->dev;
}

/* ---- ports ---- */

static unsigned portsc(unsigned port)
{
        return OP_PORTSC + 16 * (port - 1);
}

static bool is_super(const struct xhci *x, unsigned port)
{
        return x->super[port / 32] >> port % 32 & 1;
}

struct xhci_port xhci_port(struct xhci *x, unsigned port)
{
        uint32_t v = op(x, portsc(port));
        struct xhci_port p = {0};

        if (v == GONE) {
                die(x, "it was taken out");
                return p;
        }
        if (v & PORT_CHANGES)
                op_set(x, portsc(port), (v & PORT_KEEP) | (v & PORT_CHANGES));
        p.connected = v & PORT_CCS;
        p.enabled = v & PORT_PED;
        p.changed = v & PORT_CSC;
        p.super = is_super(x, port);
        p.speed = PORT_SPEED(v);
        return p;
}

int xhci_port_reset(struct xhci *x, unsigned port)
{
        uint32_t v = op(x, portsc(port)), kind = PORT_PR, done = PORT_PRC;
        uint64_t end;

        if (is_super(x, port)) {
                if ((v & PORT_PED) && PORT_PLS(v) == PLS_U0)
                        return 0; /* the link has trained by itself (4.3) */
                if (PORT_PLS(v) == PLS_INACTIVE || PORT_PLS(v) == PLS_COMPLIANCE) {
                        kind = PORT_WPR;
                        done = PORT_WRC;
                }
        }
        op_set(x, portsc(port), (v & PORT_KEEP) | kind);
        end = time_mono_ns() + RESET_NS;
        do {
                worker_pause(NSEC_PER_SEC / 1000);
                v = op(x, portsc(port));
        } while (!(v & done) && time_mono_ns() < end && v != GONE);
        op_set(x, portsc(port), (v & PORT_KEEP) | (v & PORT_CHANGES & ~PORT_CSC)); /* another device is noticed */
        if (!(v & done) || !(v & PORT_PED))
                return -EIO;
        return 0;
}

/* ---- opening ---- */

static void take_over(struct xhci *x, unsigned at, uint32_t v)
{
        uint64_t end = time_mono_ns() + FIRMWARE_NS;

        mmio_write32(x->caps + at, v | LEGACY_SYSTEM);
        while ((mmio_read32(x->caps + at) & LEGACY_FIRMWARE) && time_mono_ns() < end)
                cpu_relax();
        v = mmio_read32(x->caps + at + LEGACY_CONTROL);
        mmio_write32(x->caps + at + LEGACY_CONTROL, (v & ~LEGACY_SMI_ON) | LEGACY_SMI_STATE);
}

/* The firmware lets go (4.22.1), and the ports say which of them are of USB 3 (7.2). */
static void read_extended(struct xhci *x, unsigned at, uint64_t len)
{
        for (unsigned n = 0; n < CAPS_MAX && at && at + 12 <= len; n++) {
                uint32_t v = mmio_read32(x->caps + at), ports;

                if (XECP_ID(v) == XECP_LEGACY) {
                        take_over(x, at, v);
                } else if (XECP_ID(v) == XECP_PROTOCOL && PROTOCOL_MAJOR(v) >= 3) {
                        ports = mmio_read32(x->caps + at + 8);
                        for (unsigned i = 0; i < PROTOCOL_COUNT(ports); i++) {
                                unsigned port = PROTOCOL_FIRST(ports) + i;

                                if (port && port <= x->nports)
                                        x->super[port / 32] |= 1u << port % 32;
                        }
                }
                if (!XECP_NEXT(v))
                        return;
                at += XECP_NEXT(v);
        }
}

static int scratchpad(struct xhci *x, unsigned count)
{
        uint64_t *array;
        paddr_t pa;

        if (!count)
                return 0;
        pa = frame_alloc_contig(2, ~0ul); /* 1,023 at most */
        if (!pa)
                return -ENOMEM;
        array = memset(direct(pa), 0, 2 * PAGE_SIZE);
        for (unsigned i = 0; i < count; i++) {
                array[i] = frame_alloc();
                if (!array[i])
                        return -ENOMEM;
                memset(direct(array[i]), 0, PAGE_SIZE);
        }
        x->slots[0] = pa;
        return 0;
}

/* Its memory is lost if this fails: once in the life of a machine. */
static int make_memory(struct xhci *x, uint32_t hcs2)
{
        paddr_t slots = frame_alloc(), input = frame_alloc(), table = frame_alloc();
        struct event_segment *segment;

        if (!slots || !input || !table || ring_new(&x->commands) || ring_new(&x->events))
                return -ENOMEM;
        link_ring(&x->commands);
        x->slots = memset(direct(slots), 0, PAGE_SIZE);
        x->input = direct(input);
        segment = memset(direct(table), 0, PAGE_SIZE);
        *segment = (struct event_segment){.base = x->events.pa, .entries = RING_TRBS};
        if (scratchpad(x, HCS2_SCRATCH(hcs2)))
                return -ENOMEM;
        mmio_write64(x->op + OP_DCBAAP, slots);
        mmio_write64(x->op + OP_CRCR, x->commands.pa | 1);
        op_set(x, OP_CONFIG, x->nslots);
        mmio_write32(x->runtime + RT_ERSTSZ, 1);
        mmio_write64(x->runtime + RT_ERDP, x->events.pa | ERDP_EHB);
        mmio_write64(x->runtime + RT_ERSTBA, table);
        mmio_write32(x->runtime + RT_IMOD, MODERATION);
        return 0;
}

static int map(struct xhci *x, uint32_t *hcs2)
{
        struct pci_bar *bar = &x->pci->bar[0];
        uint32_t hcs1, hcc1;

        x->caps = pci_map(x->pci, 0, 0, 0x20);
        if (!x->caps)
                return -ENODEV;
        x->caps = pci_map(x->pci, 0, 0, MIN(bar->len, 1ul << 16));
        if (!x->caps)
                return -ENODEV;
        hcs1 = mmio_read32(x->caps + CAP_HCSPARAMS1);
        *hcs2 = mmio_read32(x->caps + CAP_HCSPARAMS2);
        hcc1 = mmio_read32(x->caps + CAP_HCCPARAMS1);
        x->nports = HCS1_PORTS(hcs1);
        x->nslots = MIN(HCS1_SLOTS(hcs1), SLOTS_MAX);
        x->context_bytes = hcc1 & HCC1_CSZ ? 64 : 32;
        x->op = x->caps + mmio_read8(x->caps + CAP_LENGTH);
        x->doorbells = x->caps + (mmio_read32(x->caps + CAP_DBOFF) & ~3u);
        x->runtime = x->caps + (mmio_read32(x->caps + CAP_RTSOFF) & ~31u);
        if (hcs1 == GONE || !x->nports || !x->nslots || x->op + OP_PORTSC + 16 * x->nports > x->caps + bar->len ||
            x->doorbells + 4 * (x->nslots + 1) > x->caps + MIN(bar->len, 1ul << 16) ||
            x->runtime + 0x40 > x->caps + MIN(bar->len, 1ul << 16))
                return -EIO;
        if (!(hcc1 & HCC1_AC64) || !(op(x, OP_PAGESIZE) & 1))
                return -EOPNOTSUPP; /* memory may be anywhere; pages are of 4 KiB */
        read_extended(x, HCC1_XECP(hcc1), MIN(bar->len, 1ul << 16));
        return 0;
}

static int reset(struct xhci *x)
{
        if (!op_becomes(x, OP_USBSTS, STS_CNR, 0, START_NS))
                return -EIO;
        op_set(x, OP_USBCMD, op(x, OP_USBCMD) & ~(CMD_RUN | CMD_INTE));
        if (!op_becomes(x, OP_USBSTS, STS_HALTED, STS_HALTED, START_NS))
                return -EIO;
        op_set(x, OP_USBCMD, CMD_RESET);
        if (!op_becomes(x, OP_USBCMD, CMD_RESET, 0, START_NS) || !op_becomes(x, OP_USBSTS, STS_CNR, 0, START_NS))
                return -EIO;
        return 0;
}

static int start(struct xhci *x, const char **how)
{
        uint32_t hcs2;
        int err;

        pci_enable(x->pci);
        err = map(x, &hcs2);
        if (!err)
                err = reset(x);
        if (!err)
                err = make_memory(x, hcs2);
        if (err)
                return err;
        err = pci_msix_enable(x->pci);
        *how = err ? "MSI" : "MSI-X";
        if (err && err != -ENODEV)
                return err;
        err = pci_one_vector(x->pci, interrupt, x);
        if (err && err != -ENODEV)
                return err;
        if (err) {
                *how = "a timer";
                vtimer_arm(&x->timer, time_mono_ns() + POLL_NS);
        }
        mmio_write32(x->runtime + RT_IMAN, IMAN_IP | IMAN_IE);
        op_set(x, OP_USBCMD, CMD_RUN | CMD_INTE);
        for (unsigned port = 1; port <= x->nports; port++)
                if (!(op(x, portsc(port)) & PORT_PP))
                        op_set(x, portsc(port), PORT_PP);
        return 0;
}

struct xhci *xhci_open(struct pci_device *pci, unsigned number)
{
        struct xhci *x = kzalloc(sizeof(*x));
        const char *how = "";
        int err;

        if (!x)
                return NULL;
        x->pci = pci;
        x->timer.fn = look;
        fmt_append(x->name, sizeof(x->name), 0, "usb%u", number);
        err = start(x, &how);
        if (err) {
                klog(LOG_WARN, "%s at %02x:%02x.%x: error %d", x->name, pci->bus, pci->slot, pci->function, err);
                pci_quiet(pci);
                return NULL; /* x stays: a vector may be its */
        }
        klog(LOG_INFO, "%s: xHCI, %u ports, interrupts by %s", x->name, x->nports, how);
        return x;
}
