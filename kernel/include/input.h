/*
 * input.h - keyboard and mouse events, evdev's shapes and codes (<linux/input-event-codes.h>).
 * Drivers call input_event from interrupt context; consumers drain in their own work item.
 */
#pragma once
#include "kernel/include/types.h"
struct input_event_raw { uint64_t time_ns; uint16_t type, code; int32_t value; };
struct input_device { char name[48]; uint16_t bus, vendor, product, version; uint64_t evbits; uint8_t keybits[96], relbits[2]; unsigned index; };
int input_register(struct input_device *d);
void input_event(struct input_device *d, uint16_t type, uint16_t code, int32_t value);
/* At most 8 listeners; fn runs in interrupt context. */
int input_listen(void (*fn)(void *arg, struct input_device *, const struct input_event_raw *), void *arg);
