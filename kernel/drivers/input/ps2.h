/*
 * ps2.h - what the bytes of PS/2 keyboards and mice mean. Pure decoding, no device access: also built hosted.
 */
#pragma once
#include "kernel/include/types.h"

struct ps2_keyboard {
        bool e0;    /* the byte before was 0xe0 */
        uint8_t e1; /* bytes of the Pause sequence still to come */
};
/* A byte of scan code set 1. Returns true when it ends a key: *code is evdev's, *down whether it went down. */
bool ps2_keyboard_byte(struct ps2_keyboard *k, uint8_t byte, uint16_t *code, bool *down);
/* Every code that ps2_keyboard_byte can give, as evdev's bit array of `len` bytes. */
void ps2_keyboard_codes(uint8_t *bits, size_t len);

struct ps2_mouse {
        uint8_t packet_len; /* 3; 4 with a wheel (id 3) or five buttons (id 4) */
        bool five_buttons;
        uint8_t n;
        uint8_t packet[4];
};
struct ps2_motion {
        int dx, dy, wheel; /* evdev's directions: y grows downwards, wheel grows away from the user */
        uint8_t buttons;   /* bit 0 left, 1 right, 2 middle, 3 side, 4 extra */
};
/*
 * Returns true when the byte ends a packet. A byte that cannot begin a packet is skipped, so that the stream finds its
 * step again.
 */
bool ps2_mouse_byte(struct ps2_mouse *m, uint8_t byte, struct ps2_motion *motion);
