/*
 * hid.c - keyboards and mice by the boot protocol (HID 1.11, appendix B): reports of a fixed form, one interrupt
 * endpoint, which is always asked for the next report.
 *
 * A keyboard's report lists the keys that are down; what changed since the last one becomes events. It says nothing of a
 * key that stays down (idle rate 0), so repeating is done here. Input devices are registered for ever: one that was
 * taken out leaves its place to the next of its kind.
 *
 * hid.serving is held while events are passed on, by the interrupt and by the repeat's timer; a listener may call
 * set_leds, which only notes the lights and wakes the thread of control.
 */
#include <linux/input-event-codes.h>
#include "kernel/drivers/usb/hidkeys.h"
#include "kernel/drivers/usb/usb.h"
#include "kernel/include/cpu.h"
#include "kernel/include/input.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define BUS_USB           3 /* <linux/input.h>, which cannot be had without a libc */
#define SUBCLASS_BOOT     1u
#define PROTOCOL_KEYBOARD 1u
#define PROTOCOL_MOUSE    2u
#define SET_REPORT        9u /* 7.2 */
#define SET_IDLE          10u
#define SET_PROTOCOL      11u
#define REPORT_OUTPUT     2u
#define KEYBOARD_BYTES    8u
#define KEYS              6u /* of a report, from byte 2 */
#define ROLLOVER          1u /* usages below are no keys: too many are down, or an error */
#define REPORT_MAX        64u
#define DELAY_NS          (NSEC_PER_SEC / 4)
#define REPEAT_NS         (NSEC_PER_SEC / 30)
#define ERRORS_MAX        8u
#define DEVICES_MAX       8u

struct hid {
        struct input_device input;
        struct usb_device *dev; /* NULL: its place is free */
        struct usb_endpoint *in;
        struct usb_transfer transfer;
        uint8_t *report; /* a page: the report; behind it, what is sent */
        struct spinlock serving;
        bool keyboard, registered;
        unsigned errors;              /* without a report between */
        uint8_t last[KEYBOARD_BYTES]; /* s */
        uint16_t repeating;           /* s; KEY_RESERVED: none */
        struct vtimer repeat;
        uint8_t leds; /* atomic: as wanted */
};

static struct hid *devices[DEVICES_MAX];

static bool match(const struct usb_interface *i)
{
        return i->class == USB_CLASS_HID && i->subclass == SUBCLASS_BOOT &&
               (i->protocol == PROTOCOL_KEYBOARD || i->protocol == PROTOCOL_MOUSE) && i->nendpoints &&
               i->endpoint[0].kind == USB_INTERRUPT && (i->endpoint[0].address & USB_IN);
}

static int listen(struct hid *h)
{
        struct usb_segment seg = {direct_pa(h->report), MIN(h->dev->interface.endpoint[0].max_packet, REPORT_MAX)};

        return usb_submit(h->in, &h->transfer, &seg, 1);
}

/* ---- keyboard ---- */

static void key(struct hid *h, uint16_t code, bool down)
{
        if (code == KEY_RESERVED)
                return;
        input_event(&h->input, EV_KEY, code, down);
        if (down && code != KEY_CAPSLOCK && code != KEY_NUMLOCK && code != KEY_SCROLLLOCK) {
                h->repeating = code;
                vtimer_arm(&h->repeat, time_mono_ns() + DELAY_NS);
        } else if (!down && code == h->repeating) {
                h->repeating = KEY_RESERVED;
        }
}

static void repeat(struct vtimer *t)
{
        struct hid *h = container_of(t, struct hid, repeat);
        uint64_t flags = spin_lock(&h->serving);

        if (h->repeating != KEY_RESERVED) {
                input_event(&h->input, EV_KEY, h->repeating, 1); /* of a key that is down: a repeat */
                input_event(&h->input, EV_SYN, SYN_REPORT, 0);
                vtimer_arm(&h->repeat, time_mono_ns() + REPEAT_NS);
        }
        spin_unlock(&h->serving, flags);
}

static bool is_in(const uint8_t *report, uint8_t usage)
{
        return memchr(report + 2, usage, KEYS) != NULL;
}

static void keyboard_report(struct hid *h, const uint8_t *now)
{
        bool any = false;

        for (unsigned i = 0; i < KEYS; i++)
                if (now[2 + i] && now[2 + i] <= ROLLOVER + 2)
                        return;
        for (unsigned bit = 0; bit < 8; bit++) {
                if ((now[0] ^ h->last[0]) >> bit & 1) {
                        input_event(&h->input, EV_KEY, hid_modifier(bit), now[0] >> bit & 1);
                        any = true;
                }
        }
        for (unsigned i = 2; i < 2 + KEYS; i++) {
                if (h->last[i] && !is_in(now, h->last[i])) {
                        key(h, hid_key(h->last[i]), false);
                        any = true;
                }
        }
        for (unsigned i = 2; i < 2 + KEYS; i++) {
                if (now[i] && !is_in(h->last, now[i])) {
                        key(h, hid_key(now[i]), true);
                        any = true;
                }
        }
        memcpy(h->last, now, KEYBOARD_BYTES);
        if (any)
                input_event(&h->input, EV_SYN, SYN_REPORT, 0);
}

static void set_leds(struct input_device *d, uint8_t leds)
{
        struct hid *h = container_of(d, struct hid, input);
        struct usb_device *dev = h->dev;

        __atomic_store_n(&h->leds, leds, __ATOMIC_RELEASE);
        if (dev)
                usb_wake(dev);
}

/* The bits of a boot keyboard's output report (B.1): Num, Caps, Scroll, as evdev numbers them. */
static void send_leds(struct hid *h)
{
        uint8_t report =
                __atomic_load_n(&h->leds, __ATOMIC_ACQUIRE) & (1u << LED_NUML | 1u << LED_CAPSL | 1u << LED_SCROLLL);

        usb_request(h->dev, USB_TYPE_CLASS | USB_TO_INTERFACE, SET_REPORT, REPORT_OUTPUT << 8, h->dev->interface.number,
                    &report, 1);
}

/* ---- mouse ---- */

static void mouse_report(struct hid *h, const uint8_t *r, uint32_t len)
{
        static const uint16_t codes[] = {BTN_LEFT, BTN_RIGHT, BTN_MIDDLE};
        struct input_device *d = &h->input;

        for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
                bool down = r[0] >> i & 1;

                if (down != (d->key_state[codes[i] / 8] >> codes[i] % 8 & 1))
                        input_event(d, EV_KEY, codes[i], down);
        }
        if (r[1])
                input_event(d, EV_REL, REL_X, (int8_t)r[1]);
        if (r[2])
                input_event(d, EV_REL, REL_Y, (int8_t)r[2]);
        if (len > 3 && r[3])
                input_event(d, EV_REL, REL_WHEEL, (int8_t)r[3]);
        input_event(d, EV_SYN, SYN_REPORT, 0);
}

/* ---- both ---- */

static void reported(struct usb_transfer *t)
{
        struct hid *h = t->arg;
        uint64_t flags;

        if (t->status == -ENODEV || t->status == -ECANCELED)
                return;
        if (t->status) {
                usb_wake(h->dev);
                return;
        }
        h->errors = 0;
        flags = spin_lock(&h->serving);
        if (h->keyboard && t->actual >= KEYBOARD_BYTES)
                keyboard_report(h, h->report);
        else if (!h->keyboard && t->actual >= 3)
                mouse_report(h, h->report, t->actual);
        spin_unlock(&h->serving, flags);
        if (listen(h))
                usb_wake(h->dev);
}

static void work(struct usb_device *d)
{
        struct hid *h = d->driver_data;

        if (h->transfer.status) {
                if (++h->errors > ERRORS_MAX || usb_restart(h->in, true) || listen(h)) {
                        klog(LOG_WARN, "%s: it does not answer any more", d->name);
                        usb_give_up(d);
                        return;
                }
        }
        if (h->keyboard)
                send_leds(h);
}

static void describe(struct hid *h)
{
        struct input_device *i = &h->input;

        if (h->keyboard) {
                i->evbits = 1ul << EV_SYN | 1ul << EV_KEY | 1ul << EV_LED | 1ul << EV_REP;
                i->ledbits = 1u << LED_NUML | 1u << LED_CAPSL | 1u << LED_SCROLLL;
                i->set_leds = set_leds;
                hid_key_codes(i->keybits, sizeof(i->keybits));
        } else {
                i->evbits = 1ul << EV_SYN | 1ul << EV_KEY | 1ul << EV_REL;
                for (unsigned b = 0; b < 3; b++)
                        i->keybits[(BTN_LEFT + b) / 8] |= (uint8_t)(1u << (BTN_LEFT + b) % 8);
                i->relbits[0] = 1u << REL_X | 1u << REL_Y;
                i->relbits[REL_WHEEL / 8] |= 1u << REL_WHEEL % 8;
        }
}

/* A free place of this kind, or a new one. */
static struct hid *place(bool keyboard)
{
        struct hid *h;

        for (unsigned i = 0; i < DEVICES_MAX; i++) {
                h = devices[i];
                if (h && !h->dev && h->keyboard == keyboard)
                        return h;
                if (h)
                        continue;
                h = kzalloc(sizeof(*h));
                if (!h)
                        return NULL;
                h->keyboard = keyboard;
                h->repeat.fn = repeat;
                h->transfer = (struct usb_transfer){.done = reported, .arg = h};
                describe(h);
                devices[i] = h;
                return h;
        }
        return NULL;
}

static int attach(struct usb_device *d)
{
        bool keyboard = d->interface.protocol == PROTOCOL_KEYBOARD;
        struct hid *h = place(keyboard);
        paddr_t page = h ? frame_alloc() : 0;
        int err = page ? 0 : -ENOMEM;

        if (!err)
                err = usb_request(d, USB_TYPE_CLASS | USB_TO_INTERFACE, SET_PROTOCOL, 0, d->interface.number, NULL, 0);
        if (err >= 0) {
                err = 0;
                /* A mouse need not know it (7.2.4). */
                usb_request(d, USB_TYPE_CLASS | USB_TO_INTERFACE, SET_IDLE, 0, d->interface.number, NULL, 0);
                h->report = memset(direct(page), 0, PAGE_SIZE);
                h->in = d->endpoint[0];
                h->errors = 0;
                memset(h->last, 0, sizeof(h->last));
                h->input.bus = BUS_USB;
                h->input.vendor = d->vendor;
                h->input.product = d->product;
                h->input.version = d->version;
                fmt_append(h->input.name, sizeof(h->input.name), 0, "%s %s", d->manufacturer, d->model);
                h->dev = d;
                d->driver_data = h;
                if (!h->registered)
                        err = input_register(&h->input);
                h->registered = !err;
                if (!err)
                        err = listen(h);
        }
        if (err) {
                usb_stop(d);
                if (h)
                        h->dev = NULL;
                if (page)
                        frame_free(page);
                return err;
        }
        if (keyboard && h->leds)
                send_leds(h);
        return 0;
}

/* Keys that are down go up. */
static void detach(struct usb_device *d)
{
        static const uint8_t nothing[KEYBOARD_BYTES];
        struct hid *h = d->driver_data;
        uint64_t flags = spin_lock(&h->serving);

        if (h->keyboard)
                keyboard_report(h, nothing);
        else
                mouse_report(h, nothing, 3);
        h->dev = NULL;
        spin_unlock(&h->serving, flags);
        frame_free(direct_pa(h->report));
        h->report = NULL;
}

const struct usb_driver usb_hid_driver = {"keyboard or mouse", match, attach, detach, work};
