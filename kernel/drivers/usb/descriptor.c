/*
 * descriptor.c - configuration and string descriptors (USB 2.0 9.6; USB 3.2 9.6.7 for the companions of endpoints). The
 * bytes are a device's: each descriptor is looked at only if all of it is there, and one of length 0 ends the walk.
 */
#include "kernel/drivers/usb/descriptor.h"

#define TYPE_INTERFACE 4
#define TYPE_ENDPOINT  5
#define TYPE_COMPANION 0x30

static bool endpoint_ok(const struct usb_interface *i, const struct usb_endpoint_info *e, enum usb_speed speed)
{
        static const uint16_t bulk_max[] = {
                [USB_FULL] = 64, [USB_HIGH] = 512, [USB_SUPER] = 1024, [USB_SUPER_PLUS] = 1024};

        if ((e->address & 0x70) || !(e->address & 15) || !e->max_packet || e->max_packet > 1024)
                return false;
        for (unsigned k = 0; k < i->nendpoints; k++)
                if (i->endpoint[k].address == e->address)
                        return false;
        return e->kind != USB_BULK || e->max_packet <= bulk_max[speed];
}

bool usb_parse_interface(const uint8_t *buf, size_t len, unsigned index, enum usb_speed speed,
                         struct usb_interface *out)
{
        bool inside = false, sense = true;
        unsigned seen = 0;

        *out = (struct usb_interface){0};
        if (len < 9)
                return false;
        for (size_t at = buf[0]; at + 2 <= len && buf[at] >= 2 && buf[at] <= len - at; at += buf[at]) {
                const uint8_t *d = buf + at;

                if (d[1] == TYPE_INTERFACE && d[0] >= 9) {
                        if (inside)
                                break;
                        inside = d[3] == 0 && seen++ == index;
                        if (inside)
                                *out = (struct usb_interface){.number = d[2],
                                                              .class = d[5],
                                                              .subclass = d[6],
                                                              .protocol = d[7],
                                                              .configuration = buf[5]};
                } else if (d[1] == TYPE_ENDPOINT && d[0] >= 7 && inside) {
                        struct usb_endpoint_info e = {.address = d[2],
                                                      .kind = d[3] & 3,
                                                      .interval = d[6],
                                                      .max_packet = (d[4] | d[5] << 8) & 0x7ff};

                        if (e.kind == USB_CONTROL || e.kind == USB_ISOCHRONOUS)
                                continue;
                        sense = sense && endpoint_ok(out, &e, speed);
                        if (sense && out->nendpoints < USB_ENDPOINTS_MAX)
                                out->endpoint[out->nendpoints++] = e;
                } else if (d[1] == TYPE_COMPANION && d[0] >= 6 && inside && out->nendpoints && d[2] <= 15) {
                        out->endpoint[out->nendpoints - 1].burst = speed >= USB_SUPER ? d[2] : 0;
                }
        }
        if (!sense)
                out->nendpoints = 0;
        return inside;
}

void usb_parse_string(const uint8_t *buf, size_t len, char *out, size_t size)
{
        size_t n = 0;

        if (len >= 2 && buf[0] < len)
                len = buf[0];
        for (size_t at = 2; at + 2 <= len && n + 1 < size; at += 2) {
                unsigned c = buf[at] | buf[at + 1] << 8;

                if (c == 0)
                        break;
                if (n || c != ' ')
                        out[n++] = c >= ' ' && c < 0x7f ? (char)c : '?';
        }
        while (n && out[n - 1] == ' ')
                n--;
        out[n] = 0;
}
