/*
 * usb.h - USB devices, as their drivers see them (USB 2.0 chapter 9, USB 3.2 chapter 9; section numbers are USB 2.0's).
 *
 * Everything but transfers is done by one thread of control: at boot by polling, later by the worker `usb`. So devices
 * come and go, requests to endpoint 0 are made, and errors are mended in straight lines, without locks. Transfers are
 * queued from any context and finish in interrupts.
 */
#pragma once
#include "kernel/include/types.h"

#define USB_PORTS_MAX     32u /* of a hub or a controller's root that are used */
#define USB_DEPTH_MAX     5u  /* hubs one behind the other, beside the root (4.1.1) */
#define USB_ENDPOINTS_MAX 4u  /* of a device that are used, beside endpoint 0 */
#define USB_BUFFER_BYTES  4096u

enum usb_speed { USB_FULL = 1, USB_LOW, USB_HIGH, USB_SUPER, USB_SUPER_PLUS }; /* xHCI's numbers (7.2.2.1.1 there) */
enum usb_kind { USB_CONTROL, USB_ISOCHRONOUS, USB_BULK, USB_INTERRUPT };       /* bmAttributes 1:0 (9.6.6) */

struct usb_endpoint;
struct usb_device;
struct xhci;

struct usb_segment {
        paddr_t pa;
        uint32_t len;
};

/* One transfer. The owner fills the first part and keeps all of it until done(). */
struct usb_transfer {
        void (*done)(struct usb_transfer *); /* interrupt context, no lock held */
        void *arg;
        bool quiet; /* not told of success: something that is queued behind it will tell. done() may never be called */
        int status; /* 0; -EPIPE: stall; -EIO: no answer, or nonsense; -ENODEV: taken out; -ECANCELED: restarted */
        uint32_t actual; /* bytes, if status is 0 */
        uint32_t length;
        uint16_t first, last; /* controller's: its places in the ring */
        struct usb_transfer *next;
};

/*
 * Queue, in order. 0, -ENODEV, -ENOSPC (the ring is full). nsegs 0: an empty packet. Segments are of any length and
 * alignment, and are not needed after the return.
 */
int usb_submit(struct usb_endpoint *e, struct usb_transfer *t, const struct usb_segment *seg, unsigned nsegs);

/* A quiet transfer whose end is known from elsewhere has left the ring. Nothing if it had ended. */
void usb_forget(struct usb_endpoint *e, struct usb_transfer *t);

/* An interface and its endpoints, from the configuration descriptor. */
struct usb_interface {
        uint8_t number, class, subclass, protocol, configuration;
        unsigned nendpoints;
        struct usb_endpoint_info {
                uint8_t address, kind, interval, burst; /* burst: packets beside the first, at super speed */
                uint16_t max_packet;
        } endpoint[USB_ENDPOINTS_MAX];
};

/* A driver of a class of interfaces. All of these run in the thread of control. */
struct usb_driver {
        const char *name;
        bool (*match)(const struct usb_interface *i);
        /* The device is configured, its endpoints are there. 0, or why not: the device is then left alone. */
        int (*attach)(struct usb_device *d);
        /* It is gone: what was queued has finished (-ENODEV), nothing can be queued. */
        void (*detach)(struct usb_device *d);
        /* What it asked for by usb_wake(). */
        void (*work)(struct usb_device *d);
};
extern const struct usb_driver usb_storage_driver, usb_hid_driver, usb_hub_driver;

struct usb_device {
        struct xhci *hc;
        struct usb_device *parent; /* hub; NULL: the root */
        unsigned port, depth;      /* of the parent, from 1; 0: at the root */
        uint32_t route;            /* xHCI 8.9 */
        unsigned root_port;
        enum usb_speed speed;
        char name[24]; /* "usb1-2.3": controller, ports */
        uint16_t vendor, product, version;
        uint8_t class, configuration;
        char manufacturer[48], model[48], serial[32];
        struct usb_interface interface; /* the one that is driven */
        struct usb_endpoint *endpoint[USB_ENDPOINTS_MAX];
        const struct usb_driver *driver; /* NULL: none */
        void *driver_data;
        struct usb_device **child; /* of a hub: by port; NULL: no hub */
        unsigned nports;
        bool gone; /* atomic */
        bool given_up;
        uint32_t work; /* atomic: usb_wake() was called */
        uint32_t slot; /* the controller's */
        void *context; /* what the controller writes of it */
        struct usb_endpoint *control;
        /* The same for the transaction translator that a slow device on a fast hub is behind (xHCI 4.3.3). */
        struct usb_device *translator;
        unsigned translator_port;
};

/* ---- for drivers, in the thread of control ---- */

/* Standard requests (9.4) and the types of others (9.3). */
#define USB_IN                0x80u
#define USB_TYPE_CLASS        0x20u
#define USB_TO_DEVICE         0u
#define USB_TO_INTERFACE      1u
#define USB_TO_ENDPOINT       2u
#define USB_TO_OTHER          3u
#define USB_GET_STATUS        0u
#define USB_CLEAR_FEATURE     1u
#define USB_SET_FEATURE       3u
#define USB_GET_DESCRIPTOR    6u
#define USB_SET_CONFIGURATION 9u
#define USB_CLASS_HID         3u
#define USB_CLASS_STORAGE     8u
#define USB_CLASS_HUB         9u

/*
 * A request to endpoint 0; buf (any memory) is read or filled, len at most USB_BUFFER_BYTES. The number of bytes that
 * came, or -EPIPE (refused), -EIO, -ETIMEDOUT, -ENODEV. Waits 5 s at most.
 */
int usb_request(struct usb_device *d, uint8_t type, uint8_t request, uint16_t value, uint16_t index, void *buf,
                uint16_t len);
/*
 * The endpoint begins anew: nothing is queued on it any more (what was finishes with -ECANCELED), it is not halted, its
 * toggle is back where both sides have it. clear: the device is told, too. 0 or why not.
 */
int usb_restart(struct usb_endpoint *e, bool clear);
/* Waits until *done (atomic) is nonzero: false if it is not within ns. */
bool usb_wait(struct usb_device *d, const uint32_t *done, uint64_t ns);
/* A device at a port of the hub `parent`, or at a root port: it is enabled and reset. NULL: it does not answer. */
struct usb_device *usb_attach(struct xhci *hc, struct usb_device *parent, unsigned port, enum usb_speed speed);
void usb_detach(struct usb_device *d);
/* From work(): the device is let go of when work() returns, as if it had been taken out. */
void usb_give_up(struct usb_device *d);
/* The device can move no data any more, and no transfer is queued: for an attach() that fails. */
void usb_stop(struct usb_device *d);
/* Takes up what the controller has finished, without an interrupt. */
void usb_poll(struct usb_device *d);
/* From any context: driver->work is wanted (d NULL: a look at the ports). */
void usb_wake(struct usb_device *d);
/* False until the worker runs: whoever polls then does the work, too. */
bool usb_has_worker(void);
void usb_work(void);

/* ---- for kernel/drivers/init.c ---- */

void usb_init(void);  /* controllers, and what is attached now */
void usb_start(void); /* the worker; threads can be made */
void usb_poll_all(void);
