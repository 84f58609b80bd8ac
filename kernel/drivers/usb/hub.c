/*
 * hub.c - hubs (USB 2.0 chapter 11; USB 3.2 chapter 10). The hub says by its interrupt endpoint that a port has changed;
 * then the thread of control asks all its ports.
 */
#include "kernel/drivers/usb/usb.h"
#include "kernel/drivers/usb/xhci.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/include/worker.h"

#define HUB_DESCRIPTOR       0x29u
#define HUB_DESCRIPTOR_SUPER 0x2au
#define SET_DEPTH            12u /* USB 3.2 10.16.2.9 */
#define PORTS                15u /* a route has four bits for each (xHCI 8.9) */
#define ERRORS_MAX           8u
#define ATTEMPTS             3u
#define RESET_NS             (NSEC_PER_SEC / 2)
#define STEP_NS              (NSEC_PER_SEC / 100)
#define DEBOUNCE_NS          (NSEC_PER_SEC / 10)

/* Features of ports (table 11-17) and their state (11.24.2.7). */
#define PORT_RESET        4u
#define PORT_POWER        8u
#define C_PORT_CONNECTION 16u
#define C_PORT_RESET      20u
#define STATE_CONNECTED   1u
#define STATE_ENABLED     2u
#define STATE_LOW         (1u << 9)
#define STATE_HIGH        (1u << 10)
#define CHANGE_CONNECTION 1u
#define CHANGE_RESET      16u

#define TO_PORT (USB_TYPE_CLASS | USB_TO_OTHER)

struct hub {
        struct usb_device *dev;
        struct usb_transfer changes;
        unsigned errors; /* without an answer between */
        uint8_t *bits;   /* what the interrupt endpoint says: a page */
        uint8_t attempts[PORTS + 1];
};

static bool match(const struct usb_interface *i)
{
        return i->class == USB_CLASS_HUB && i->nendpoints && i->endpoint[0].kind == USB_INTERRUPT &&
               (i->endpoint[0].address & USB_IN);
}

static int listen(struct hub *h)
{
        struct usb_segment seg = {direct_pa(h->bits), h->dev->interface.endpoint[0].max_packet};

        return usb_submit(h->dev->endpoint[0], &h->changes, &seg, 1);
}

static void changed(struct usb_transfer *t)
{
        struct hub *h = t->arg;

        if (t->status != -ENODEV && t->status != -ECANCELED)
                usb_wake(h->dev);
}

/* State and changes; false: no answer. */
static bool port_status(struct usb_device *d, unsigned port, unsigned *state, unsigned *changes)
{
        uint8_t s[4];

        if (usb_request(d, USB_IN | TO_PORT, USB_GET_STATUS, 0, (uint16_t)port, s, sizeof(s)) != sizeof(s))
                return false;
        *state = s[0] | (unsigned)s[1] << 8;
        *changes = s[2] | (unsigned)s[3] << 8;
        for (unsigned i = 0; i < 8; i++)
                if (*changes >> i & 1)
                        usb_request(d, TO_PORT, USB_CLEAR_FEATURE, (uint16_t)(C_PORT_CONNECTION + i), (uint16_t)port,
                                    NULL, 0);
        return true;
}

static enum usb_speed speed_of(const struct usb_device *hub, unsigned state)
{
        if (hub->speed >= USB_SUPER)
                return hub->speed;
        return state & STATE_LOW ? USB_LOW : state & STATE_HIGH ? USB_HIGH : USB_FULL;
}

static void try(struct hub *h, unsigned port)
{
        struct usb_device *d = h->dev;
        unsigned state = 0, changes = 0;

        if (usb_has_worker())
                worker_pause(DEBOUNCE_NS);
        while (h->attempts[port] < ATTEMPTS && !d->child[port]) {
                uint64_t end = time_mono_ns() + RESET_NS;

                h->attempts[port]++;
                if (usb_request(d, TO_PORT, USB_SET_FEATURE, PORT_RESET, (uint16_t)port, NULL, 0) < 0)
                        return;
                do {
                        worker_pause(STEP_NS);
                        if (!port_status(d, port, &state, &changes) || !(state & STATE_CONNECTED))
                                return;
                } while (!(changes & CHANGE_RESET) && time_mono_ns() < end);
                if (!(state & STATE_ENABLED)) {
                        klog(LOG_WARN, "%s, port %u: it cannot be reset", d->name, port);
                        continue;
                }
                worker_pause(STEP_NS);
                d->child[port] = usb_attach(d->hc, d, port, speed_of(d, state));
        }
}

static void look_at_port(struct hub *h, unsigned port)
{
        struct usb_device *d = h->dev;
        unsigned state, changes;

        if (!port_status(d, port, &state, &changes))
                return;
        if (d->child[port] &&
            (!(state & STATE_CONNECTED) || !(state & STATE_ENABLED) || (changes & CHANGE_CONNECTION))) {
                usb_detach(d->child[port]);
                d->child[port] = NULL;
        }
        if (!(state & STATE_CONNECTED) || (changes & CHANGE_CONNECTION))
                h->attempts[port] = 0;
        if ((state & STATE_CONNECTED) && !d->child[port] && h->attempts[port] < ATTEMPTS)
                try(h, port);
}

static void work(struct usb_device *d)
{
        struct hub *h = d->driver_data;
        int status = h->changes.status;

        h->errors = status ? h->errors + 1 : 0;
        if (status && (h->errors > ERRORS_MAX || usb_restart(d->endpoint[0], true))) {
                klog(LOG_WARN, "%s: it does not answer any more", d->name);
                usb_give_up(d);
                return;
        }
        for (unsigned port = 1; port <= d->nports; port++)
                look_at_port(h, port);
        if (listen(h))
                usb_give_up(d);
}

static void detach(struct usb_device *d)
{
        struct hub *h = d->driver_data;

        frame_free(direct_pa(h->bits));
        kfree(h);
        kfree(d->child);
}

static int attach(struct usb_device *d)
{
        bool super = d->speed >= USB_SUPER;
        struct hub *h = kzalloc(sizeof(*h));
        paddr_t bits = frame_alloc();
        uint8_t about[12] = {0};
        int n, err;

        d->child = kzalloc(sizeof(*d->child) * (PORTS + 1));
        err = h && bits && d->child ? 0 : -ENOMEM;
        if (!err && d->depth >= USB_DEPTH_MAX)
                err = -EMLINK;
        if (!err) {
                n = usb_request(d, USB_IN | USB_TYPE_CLASS, USB_GET_DESCRIPTOR,
                                (uint16_t)((super ? HUB_DESCRIPTOR_SUPER : HUB_DESCRIPTOR) << 8), 0, about,
                                super ? 12 : 8);
                err = n < 0 ? n : n < 7 ? -EIO : 0;
        }
        if (!err) {
                d->nports = MIN((unsigned)about[2], PORTS);
                err = xhci_hub(d);
        }
        if (!err && super)
                err = MIN(usb_request(d, USB_TYPE_CLASS, SET_DEPTH, (uint16_t)d->depth, 0, NULL, 0), 0);
        if (err) {
                kfree(h);
                kfree(d->child);
                d->child = NULL;
                if (bits)
                        frame_free(bits);
                return err;
        }
        h->dev = d;
        h->bits = direct(bits);
        h->changes = (struct usb_transfer){.done = changed, .arg = h};
        d->driver_data = h;
        for (unsigned port = 1; port <= d->nports; port++)
                usb_request(d, TO_PORT, USB_SET_FEATURE, PORT_POWER, (uint16_t)port, NULL, 0);
        worker_pause(MIN(about[5] * 2, 200) * (NSEC_PER_SEC / 1000));
        usb_wake(d);
        return 0;
}

const struct usb_driver usb_hub_driver = {"hub", match, attach, detach, work};
