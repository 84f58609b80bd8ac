/* hidkeys.h - key usages of HID keyboards as evdev's codes. Pure. */
#pragma once
#include "kernel/include/types.h"

uint16_t hid_key(uint8_t usage);     /* KEY_RESERVED: none */
uint16_t hid_modifier(unsigned bit); /* of a boot report's first byte, 0 to 7 */
void hid_key_codes(uint8_t *bits, size_t len);
