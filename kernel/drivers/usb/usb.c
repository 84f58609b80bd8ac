/*
 * usb.c - devices: who is attached where, how one is made known to the system, and the thread of control.
 *
 * The thread of control is the boot CPU at boot (devices that are there then are usable at once: the store may be on
 * one), and the worker `usb` later. It looks at the ports when the controller says that one has changed, and gives
 * drivers their turn. A device is tried ATTEMPTS times, each time after a reset of its port; then it is left alone
 * until it is taken out.
 *
 * A port's state: empty -> (connected, DEBOUNCE_NS, reset) -> device, or given up -> (taken out) -> empty.
 * `child` and `attempts` are the thread of control's alone.
 */
#include "kernel/drivers/usb/usb.h"
#include "kernel/drivers/bus/pci.h"
#include "kernel/drivers/usb/descriptor.h"
#include "kernel/drivers/usb/xhci.h"
#include "kernel/include/boot.h"
#include "kernel/include/cpu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/include/worker.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define CONTROLLERS_MAX 8u
#define ROOT_PORTS_MAX  256u
#define REQUEST_NS      (5 * NSEC_PER_SEC)
#define DEBOUNCE_NS     (NSEC_PER_SEC / 10)       /* 7.1.7.3 */
#define RECOVERY_NS     (NSEC_PER_SEC / 100)      /* after a reset (7.1.7.5) */
#define ADDRESS_NS      (2 * NSEC_PER_SEC / 1000) /* 9.2.6.3 */
#define BOOT_NS         (10 * NSEC_PER_SEC)       /* after that no further device is tried before the system runs */
#define ATTEMPTS        3u

#define DESCRIPTOR_DEVICE        1u
#define DESCRIPTOR_CONFIGURATION 2u
#define DESCRIPTOR_STRING        3u

struct root {
        struct xhci *hc;
        struct usb_device *child[ROOT_PORTS_MAX];
        uint8_t attempts[ROOT_PORTS_MAX];
        bool ended;
};

static struct root *roots[CONTROLLERS_MAX];
static unsigned nroots;
static struct worker *worker;
static bool running;     /* atomic: the worker */
static uint32_t pending; /* atomic: something is to be done */
static uint8_t *buffer;  /* what requests to endpoint 0 move */
static uint64_t boot_end_ns;

static const struct usb_driver *const drivers[] = {&usb_storage_driver, &usb_hid_driver, &usb_hub_driver};

bool usb_has_worker(void)
{
        return __atomic_load_n(&running, __ATOMIC_ACQUIRE);
}

void usb_wake(struct usb_device *d)
{
        if (d)
                __atomic_store_n(&d->work, 1, __ATOMIC_RELEASE);
        __atomic_store_n(&pending, 1, __ATOMIC_RELEASE);
        if (worker)
                worker_wake(worker);
}

bool usb_wait(struct usb_device *d, const uint32_t *done, uint64_t ns)
{
        uint64_t end = time_mono_ns() + ns;

        while (!__atomic_load_n(done, __ATOMIC_ACQUIRE)) {
                if (xhci_dead(d->hc))
                        return false;
                if (time_mono_ns() >= end) {
                        xhci_poll(d->hc); /* an interrupt may have been lost */
                        return __atomic_load_n(done, __ATOMIC_ACQUIRE);
                }
                if (worker_this()) {
                        worker_sleep(end);
                } else {
                        xhci_poll(d->hc);
                        cpu_relax();
                }
        }
        return true;
}

void usb_give_up(struct usb_device *d)
{
        d->given_up = true;
}

void usb_stop(struct usb_device *d)
{
        xhci_stop(d);
}

void usb_poll(struct usb_device *d)
{
        xhci_poll(d->hc);
}

/* ---- requests to endpoint 0 ---- */

static void request_done(struct usb_transfer *t)
{
        __atomic_store_n((uint32_t *)t->arg, 1, __ATOMIC_RELEASE);
        usb_wake(NULL);
}

int usb_request(struct usb_device *d, uint8_t type, uint8_t request, uint16_t value, uint16_t index, void *buf,
                uint16_t len)
{
        const uint8_t setup[8] = {type,           request,
                                  (uint8_t)value, (uint8_t)(value >> 8),
                                  (uint8_t)index, (uint8_t)(index >> 8),
                                  (uint8_t)len,   (uint8_t)(len >> 8)};
        uint32_t done = 0;
        struct usb_transfer t = {.done = request_done, .arg = &done};
        int err;

        if (len && !(type & USB_IN))
                memcpy(buffer, buf, len);
        err = xhci_control(d, &t, setup, direct_pa(buffer), len);
        if (err)
                return err;
        if (!usb_wait(d, &done, REQUEST_NS)) {
                xhci_restart(d->control); /* t is not the controller's any more */
                return xhci_dead(d->hc) ? -ENODEV : -ETIMEDOUT;
        }
        if (t.status) {
                xhci_restart(d->control);
                return t.status;
        }
        if (type & USB_IN)
                memcpy(buf, buffer, t.actual);
        return (int)t.actual;
}

int usb_restart(struct usb_endpoint *e, bool clear)
{
        struct usb_device *d = xhci_endpoint_device(e);
        int err = xhci_restart(e);

        if (!err && clear)
                err = usb_request(d, USB_TO_ENDPOINT, USB_CLEAR_FEATURE, 0, xhci_endpoint_address(e), NULL, 0);
        return MIN(err, 0);
}

static int get_descriptor(struct usb_device *d, unsigned type, unsigned index, uint16_t language, uint8_t *buf,
                          uint16_t len)
{
        return usb_request(d, USB_IN, USB_GET_DESCRIPTOR, (uint16_t)(type << 8 | index), language, buf, len);
}

/* ---- making a device known ---- */

static void read_text(struct usb_device *d, uint8_t index, uint16_t language, uint8_t *buf, char *out, size_t size)
{
        int n;

        out[0] = 0;
        if (!index)
                return;
        n = get_descriptor(d, DESCRIPTOR_STRING, index, language, buf, 255);
        if (n > 2)
                usb_parse_string(buf, (size_t)n, out, size);
}

static void read_texts(struct usb_device *d, const uint8_t *device, uint8_t *buf)
{
        uint8_t manufacturer = device[14], model = device[15], serial = device[16];
        uint16_t language;

        if (get_descriptor(d, DESCRIPTOR_STRING, 0, 0, buf, 255) < 4)
                return; /* it has none */
        language = (uint16_t)(buf[2] | buf[3] << 8);
        read_text(d, manufacturer, language, buf, d->manufacturer, sizeof(d->manufacturer));
        read_text(d, model, language, buf, d->model, sizeof(d->model));
        read_text(d, serial, language, buf, d->serial, sizeof(d->serial));
}

static int read_device(struct usb_device *d, uint8_t *buf)
{
        uint8_t device[18];
        int n = get_descriptor(d, DESCRIPTOR_DEVICE, 0, 0, device, 8), packet, err;

        if (n < 8)
                return n < 0 ? n : -EIO;
        packet = d->speed >= USB_SUPER ? device[7] < 16 ? 1 << device[7] : 0 : device[7];
        if (packet != 8 && packet != 16 && packet != 32 && packet != 64 && packet != 512)
                return -EIO;
        err = xhci_control_packet(d, (unsigned)packet);
        if (err)
                return err;
        n = get_descriptor(d, DESCRIPTOR_DEVICE, 0, 0, device, sizeof(device));
        if (n < (int)sizeof(device))
                return n < 0 ? n : -EIO;
        d->class = device[4];
        d->vendor = (uint16_t)(device[8] | device[9] << 8);
        d->product = (uint16_t)(device[10] | device[11] << 8);
        d->version = (uint16_t)(device[12] | device[13] << 8);
        read_texts(d, device, buf);
        return device[17] ? 0 : -EIO;
}

/* The first interface of the first configuration that a driver wants. */
static int choose(struct usb_device *d, uint8_t *buf)
{
        int n = get_descriptor(d, DESCRIPTOR_CONFIGURATION, 0, 0, buf, 9);
        uint32_t total;

        if (n < 9)
                return n < 0 ? n : -EIO;
        total = buf[2] | (uint32_t)buf[3] << 8;
        n = get_descriptor(d, DESCRIPTOR_CONFIGURATION, 0, 0, buf, (uint16_t)MIN(total, USB_BUFFER_BYTES));
        if (n < 9)
                return n < 0 ? n : -EIO;
        for (unsigned i = 0; usb_parse_interface(buf, (size_t)n, i, d->speed, &d->interface); i++) {
                for (unsigned k = 0; k < ARRAY_SIZE(drivers); k++) {
                        if (drivers[k]->match(&d->interface)) {
                                d->driver = drivers[k];
                                return 0;
                        }
                }
        }
        return -EOPNOTSUPP;
}

static int make_known(struct usb_device *d, uint8_t *buf)
{
        int err = xhci_address(d);

        if (err)
                return err;
        worker_pause(ADDRESS_NS);
        err = read_device(d, buf);
        if (!err)
                err = choose(d, buf);
        if (err == -EOPNOTSUPP)
                return 0; /* it stays, without a driver */
        if (err)
                return err;
        err = usb_request(d, 0, USB_SET_CONFIGURATION, d->interface.configuration, 0, NULL, 0);
        if (err < 0)
                return err;
        return xhci_configure(d);
}

static void place(struct usb_device *d, struct xhci *hc, struct usb_device *parent, unsigned port)
{
        d->hc = hc;
        d->parent = parent;
        d->port = port;
        d->root_port = parent ? parent->root_port : port;
        if (parent) {
                d->depth = parent->depth + 1;
                d->route = parent->route | MIN(port, 15u) << 4 * parent->depth;
                fmt_append(d->name, sizeof(d->name), 0, "%s.%u", parent->name, port);
        } else {
                fmt_append(d->name, sizeof(d->name), 0, "%s-%u", xhci_name(hc), port);
        }
        if (parent && (d->speed == USB_LOW || d->speed == USB_FULL)) {
                d->translator = parent->speed == USB_HIGH ? parent : parent->translator;
                d->translator_port = parent->speed == USB_HIGH ? port : parent->translator_port;
        }
}

struct usb_device *usb_attach(struct xhci *hc, struct usb_device *parent, unsigned port, enum usb_speed speed)
{
        static const char *const speeds[] = {"?", "full", "low", "high", "super", "super"};
        struct usb_device *d = kzalloc(sizeof(*d));
        uint8_t *buf = kmalloc(USB_BUFFER_BYTES);
        int err = -ENOMEM;

        if (d && buf) {
                d->speed = speed;
                place(d, hc, parent, port);
                err = speed >= USB_FULL && speed <= USB_SUPER_PLUS ? make_known(d, buf) : -EIO;
        }
        kfree(buf);
        if (err) {
                klog(LOG_WARN, "%s, port %u: a device does not answer as it should: error %d",
                     parent ? parent->name : xhci_name(hc), port, err);
                if (d)
                        xhci_release(d);
                kfree(d);
                return NULL;
        }
        klog(LOG_INFO, "%s: %04x:%04x %s %s, %s speed%s%s", d->name, d->vendor, d->product, d->manufacturer, d->model,
             speeds[speed], d->driver ? ", " : ": no driver", d->driver ? d->driver->name : "");
        if (d->driver) {
                err = d->driver->attach(d);
                if (err) {
                        klog(LOG_WARN, "%s: error %d: it is not used", d->name, err);
                        d->driver = NULL;
                        xhci_release(d); /* it keeps its place, and can do nothing */
                }
        }
        return d;
}

void usb_detach(struct usb_device *d)
{
        for (unsigned port = 1; d->child && port <= d->nports; port++)
                if (d->child[port])
                        usb_detach(d->child[port]);
        xhci_stop(d);
        if (d->driver)
                d->driver->detach(d); /* from here on no other CPU can mean its endpoints */
        xhci_release(d);
        klog(LOG_INFO, "%s: %s %s is let go of", d->name, d->manufacturer, d->model);
        kfree(d);
}

/* ---- ports of the root ---- */

static bool may_try(void)
{
        return usb_has_worker() || time_mono_ns() < boot_end_ns;
}

static void try(struct root *r, unsigned port)
{
        struct xhci_port p;
        int err;

        if (usb_has_worker())
                worker_pause(DEBOUNCE_NS);
        while (r->attempts[port] < ATTEMPTS && !r->child[port] && may_try()) {
                r->attempts[port]++;
                err = xhci_port_reset(r->hc, port);
                worker_pause(RECOVERY_NS);
                p = xhci_port(r->hc, port);
                if (!p.connected)
                        return;
                if (err)
                        klog(LOG_WARN, "%s, port %u: it cannot be reset", xhci_name(r->hc), port);
                else
                        r->child[port] = usb_attach(r->hc, NULL, port, p.speed);
        }
}

static void look_at_port(struct root *r, unsigned port)
{
        struct xhci_port p = xhci_port(r->hc, port);

        if (r->child[port] && (!p.connected || !p.enabled || p.changed)) {
                usb_detach(r->child[port]);
                r->child[port] = NULL;
        }
        if (!p.connected || p.changed)
                r->attempts[port] = 0;
        if (p.connected && !r->child[port] && r->attempts[port] < ATTEMPTS)
                try(r, port);
}

/* Drivers that asked for it have their turn. False: the device is to go. */
static bool serve(struct usb_device *d)
{
        if (__atomic_exchange_n(&d->work, 0, __ATOMIC_ACQ_REL) && d->driver)
                d->driver->work(d);
        for (unsigned port = 1; d->child && port <= d->nports; port++) {
                if (d->child[port] && !serve(d->child[port])) {
                        usb_detach(d->child[port]);
                        d->child[port] = NULL;
                }
        }
        return !d->given_up;
}

static void look_at(struct root *r)
{
        bool dead = xhci_dead(r->hc); /* if it dies meanwhile, the next look ends it */

        for (unsigned port = 1; port <= xhci_ports(r->hc) && !dead; port++)
                look_at_port(r, port);
        for (unsigned port = 1; port <= xhci_ports(r->hc); port++) {
                if (r->child[port] && (dead || !serve(r->child[port]))) {
                        usb_detach(r->child[port]);
                        r->child[port] = NULL;
                        r->attempts[port] = ATTEMPTS;
                }
        }
        r->ended = dead;
}

void usb_work(void)
{
        while (__atomic_exchange_n(&pending, 0, __ATOMIC_ACQ_REL))
                for (unsigned i = 0; i < nroots; i++)
                        if (!roots[i]->ended)
                                look_at(roots[i]);
}

static void work_for_ever(void *arg)
{
        (void)arg;
        __atomic_store_n(&running, true, __ATOMIC_RELEASE);
        for (;;) {
                usb_work();
                worker_sleep(0);
        }
}

/*
 * Devices that connect only after the controller was reset are waited for as long as they may take, so that a store on
 * one is not overlooked; a live system uses no store, and gets to know them later.
 */
static void settle(uint64_t begun_ns)
{
        if (boot_option("live", NULL, 0) || boot_option("nostore", NULL, 0))
                return;
        while (time_mono_ns() < begun_ns + DEBOUNCE_NS) {
                worker_pause(RECOVERY_NS);
                __atomic_store_n(&pending, 1, __ATOMIC_RELEASE);
                usb_work();
        }
}

void usb_init(void)
{
        uint64_t begun_ns = time_mono_ns();

        boot_end_ns = begun_ns + BOOT_NS;
        for (struct pci_device *pci = pci_first(); pci; pci = pci->next) {
                struct root *r;

                if (pci->class != CLASS_XHCI || nroots == CONTROLLERS_MAX)
                        continue;
                r = kzalloc(sizeof(*r));
                if (!buffer) {
                        paddr_t pa = frame_alloc();

                        buffer = pa ? direct(pa) : NULL;
                }
                if (!r || !buffer)
                        return;
                r->hc = xhci_open(pci, nroots + 1);
                if (r->hc)
                        roots[nroots++] = r;
                else
                        kfree(r);
        }
        if (!nroots)
                return;
        __atomic_store_n(&pending, 1, __ATOMIC_RELEASE);
        usb_work();
        settle(begun_ns);
}

void usb_poll_all(void)
{
        for (unsigned i = 0; i < nroots; i++)
                xhci_poll(roots[i]->hc);
}

void usb_start(void)
{
        if (!nroots)
                return;
        worker = worker_create("usb", work_for_ever, NULL);
        if (!worker)
                klog(LOG_ERR, "usb: no memory for its worker: what is attached from now on is not seen");
        else
                worker_wake(worker);
}
