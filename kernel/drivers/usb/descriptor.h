/* descriptor.h - what a device says of itself, parsed from bytes. Pure. */
#pragma once
#include "kernel/drivers/usb/usb.h"

/*
 * The interface at place `index` of a configuration descriptor, in its first setting. False: there are no more. One that
 * makes no sense is given without endpoints: no driver wants such.
 */
bool usb_parse_interface(const uint8_t *buf, size_t len, unsigned index, enum usb_speed speed,
                         struct usb_interface *out);
/* A string descriptor (UTF-16) as text; what is not ASCII is '?'; without spaces at the ends. */
void usb_parse_string(const uint8_t *buf, size_t len, char *out, size_t size);
