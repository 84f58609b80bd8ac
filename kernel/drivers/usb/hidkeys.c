/* hidkeys.c - HID Usage Tables 1.12, page 7 (keyboard), by evdev's codes. */
#include <linux/input-event-codes.h>
#include "kernel/drivers/usb/hidkeys.h"

static const uint8_t keys[] = {
        [0x04] = KEY_A, KEY_B, KEY_C, KEY_D, KEY_E, KEY_F, KEY_G, KEY_H, KEY_I, KEY_J, KEY_K, KEY_L, KEY_M, KEY_N,
        [0x12] = KEY_O, KEY_P, KEY_Q, KEY_R, KEY_S, KEY_T, KEY_U, KEY_V, KEY_W, KEY_X, KEY_Y, KEY_Z,
        [0x1e] = KEY_1, KEY_2, KEY_3, KEY_4, KEY_5, KEY_6, KEY_7, KEY_8, KEY_9, KEY_0,
        [0x28] = KEY_ENTER, KEY_ESC, KEY_BACKSPACE, KEY_TAB, KEY_SPACE, KEY_MINUS, KEY_EQUAL, KEY_LEFTBRACE,
        [0x30] = KEY_RIGHTBRACE, KEY_BACKSLASH, KEY_BACKSLASH, KEY_SEMICOLON, KEY_APOSTROPHE, KEY_GRAVE, KEY_COMMA,
        [0x37] = KEY_DOT, KEY_SLASH, KEY_CAPSLOCK, KEY_F1, KEY_F2, KEY_F3, KEY_F4, KEY_F5, KEY_F6, KEY_F7, KEY_F8,
        [0x42] = KEY_F9, KEY_F10, KEY_F11, KEY_F12, KEY_SYSRQ, KEY_SCROLLLOCK, KEY_PAUSE, KEY_INSERT, KEY_HOME,
        [0x4b] = KEY_PAGEUP, KEY_DELETE, KEY_END, KEY_PAGEDOWN, KEY_RIGHT, KEY_LEFT, KEY_DOWN, KEY_UP, KEY_NUMLOCK,
        [0x54] = KEY_KPSLASH, KEY_KPASTERISK, KEY_KPMINUS, KEY_KPPLUS, KEY_KPENTER, KEY_KP1, KEY_KP2, KEY_KP3,
        [0x5c] = KEY_KP4, KEY_KP5, KEY_KP6, KEY_KP7, KEY_KP8, KEY_KP9, KEY_KP0, KEY_KPDOT, KEY_102ND, KEY_COMPOSE,
        [0x66] = KEY_POWER, KEY_KPEQUAL, KEY_F13, KEY_F14, KEY_F15, KEY_F16, KEY_F17, KEY_F18, KEY_F19, KEY_F20,
        [0x70] = KEY_F21, KEY_F22, KEY_F23, KEY_F24,
        [0x7f] = KEY_MUTE, KEY_VOLUMEUP, KEY_VOLUMEDOWN,
        [0x85] = KEY_KPCOMMA,
        [0x87] = KEY_RO, KEY_KATAKANAHIRAGANA, KEY_YEN, KEY_HENKAN, KEY_MUHENKAN,
};
static const uint8_t modifiers[8] = {KEY_LEFTCTRL,  KEY_LEFTSHIFT,  KEY_LEFTALT,  KEY_LEFTMETA,
                                     KEY_RIGHTCTRL, KEY_RIGHTSHIFT, KEY_RIGHTALT, KEY_RIGHTMETA};

uint16_t hid_key(uint8_t usage)
{
        return usage < sizeof(keys) ? keys[usage] : KEY_RESERVED;
}

uint16_t hid_modifier(unsigned bit)
{
        return modifiers[bit & 7];
}

void hid_key_codes(uint8_t *bits, size_t len)
{
        for (unsigned i = 0; i < sizeof(keys) + sizeof(modifiers); i++) {
                uint8_t code = i < sizeof(keys) ? keys[i] : modifiers[i - sizeof(keys)];

                if (code && code / 8u < len)
                        bits[code / 8] |= (uint8_t)(1u << code % 8);
        }
}
