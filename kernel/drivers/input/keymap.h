/*
 * keymap.h - from evdev key codes to the bytes a terminal sends (layout.h, xterm's sequences) and to the console's own
 * key commands. Pure: also built hosted.
 */
#pragma once
#include "kernel/drivers/input/layout.h"

struct keymap {
        bool lshift, rshift, lctrl, rctrl, lalt, ralt, caps, num;
        bool second;                 /* of a layout with two scripts, its own is on */
        const struct layout *layout; /* NULL: us */
};
/* Modes of the terminal that the keys go to. */
#define KEYMAP_CURSOR_KEYS 1u /* DECCKM: cursor keys send ESC O */
#define KEYMAP_NEWLINE     2u /* LNM: Enter sends CR LF */
#define KEYMAP_KEYPAD      4u /* DECKPAM, with Num Lock off: the keypad sends ESC O sequences */

enum key_command {
        KEY_CMD_NONE,
        KEY_CMD_SWITCH,    /* to terminal `number` (0 is the first) */
        KEY_CMD_SCROLL_UP, /* half a screen */
        KEY_CMD_SCROLL_DOWN,
        KEY_CMD_LEDS, /* lights changed: keymap_leds */
        KEY_CMD_CTRL_ALT_DEL,
};
struct key_result {
        enum key_command command;
        unsigned number;
        uint8_t len; /* of bytes */
        char bytes[12];
};
/* One key event: value 0 up, 1 down, 2 repeat. */
struct key_result keymap_event(struct keymap *k, uint16_t code, int value, unsigned modes);
uint8_t keymap_leds(const struct keymap *k);        /* bits LED_* */
int keymap_set(struct keymap *k, const char *name); /* a layout by its name; 0 or -EINVAL: there is none */
const char *keymap_name(const struct keymap *k);
