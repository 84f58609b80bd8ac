/*
 * input.h - keyboard and mouse events, evdev's shapes and codes (<linux/input-event-codes.h>).
 * Drivers call input_event from interrupt context; consumers drain in their own work item.
 */
#pragma once
#include "kernel/include/types.h"
#define INPUT_KEY_BYTES 96 /* KEY_CNT bits */
struct input_event_raw {
        uint64_t time_ns;
        uint16_t type, code;
        int32_t value;
};
struct input_device {
        char name[48];
        uint16_t bus, vendor, product, version;
        uint64_t evbits;
        uint8_t keybits[INPUT_KEY_BYTES], relbits[2], ledbits;
        unsigned index;                                        /* dense, assigned by input_register */
        uint8_t key_state[INPUT_KEY_BYTES], led_state;         /* now; kept by input_event (EVIOCGKEY, EVIOCGLED) */
        void (*set_leds)(struct input_device *, uint8_t leds); /* bit LED_*; may be NULL; any context, does not wait */
        void *driver;
};
int input_register(struct input_device *d);          /* keeps the pointer for ever; 0 or -ENOSPC */
struct input_device *input_by_index(unsigned index); /* NULL past the last */
/*
 * One event. Keys: value 1 press, 0 release, 2 repeat; a press of a key that is down becomes a repeat, a release of one
 * that is up is dropped. A driver ends each group that belongs together with EV_SYN, SYN_REPORT, 0. One device's events
 * come from one CPU at a time.
 */
void input_event(struct input_device *d, uint16_t type, uint16_t code, int32_t value);
/* At most 8 listeners; fn runs in interrupt context. 0 or -ENOSPC. */
int input_listen(void (*fn)(void *arg, struct input_device *, const struct input_event_raw *), void *arg);
/* Until programs run: fn alone gets all events, listeners none; NULL ends it. Boot CPU, interrupts off. */
void input_grab(void (*fn)(struct input_device *, const struct input_event_raw *));
/* The keyboard's layout, as the console takes it: us, de, fr, ru, uk. 0 or -EINVAL. The console's (drivers/video). */
int keyboard_layout_set(const char *name);
const char *keyboard_layout(void);
