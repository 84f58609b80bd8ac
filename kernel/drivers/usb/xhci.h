/* xhci.h - the host controller, for usb.c. All but the last two: in the thread of control (usb.h). */
#pragma once
#include "kernel/drivers/usb/usb.h"

struct pci_device;

#define CLASS_XHCI 0x0c0330u

/* A controller that runs; NULL: it cannot be used, which is logged. `name` is "usbN". */
struct xhci *xhci_open(struct pci_device *pci, unsigned number);
const char *xhci_name(const struct xhci *x);
unsigned xhci_ports(const struct xhci *x);
bool xhci_dead(const struct xhci *x);

struct xhci_port {
        bool connected, enabled, changed, super;
        enum usb_speed speed;
};
/* How port `port` (from 1) is; its changes are forgotten. */
struct xhci_port xhci_port(struct xhci *x, unsigned port);
/* Resets it: 0 when a device is enabled there. */
int xhci_port_reset(struct xhci *x, unsigned port);

/* A slot, with endpoint 0, and the device's address. On failure nothing is left. */
int xhci_address(struct usb_device *d);
void xhci_stop(struct usb_device *d);    /* everything queued finishes with -ENODEV, nothing can be queued */
void xhci_release(struct usb_device *d); /* the same, and its endpoints are freed: its driver has let go of them */
int xhci_control_packet(struct usb_device *d, unsigned max_packet);
int xhci_configure(struct usb_device *d); /* the endpoints of d->interface */
int xhci_hub(struct usb_device *d);       /* it is a hub with d->nports ports */
int xhci_restart(struct usb_endpoint *e); /* without telling the device */
uint8_t xhci_endpoint_address(const struct usb_endpoint *e);
struct usb_device *xhci_endpoint_device(const struct usb_endpoint *e);
int xhci_control(struct usb_device *d, struct usb_transfer *t, const uint8_t setup[8], paddr_t pa, uint16_t len);

void xhci_poll(struct xhci *x); /* any context */
