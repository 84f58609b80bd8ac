/*
 * drv_input.c - PS/2 byte streams to evdev codes, and evdev codes to what a terminal is sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/input-event-codes.h>
#include "kernel/drivers/input/keymap.h"
#include "kernel/drivers/input/ps2.h"

static struct ps2_keyboard kbd;
static uint16_t code;
static bool down;

static unsigned bytes(const char *s, size_t n)
{
        unsigned events = 0;

        for (size_t i = 0; i < n; i++)
                events += ps2_keyboard_byte(&kbd, (uint8_t)s[i], &code, &down);
        return events;
}
#define BYTES(s) bytes(s, sizeof(s) - 1)

static void scan_codes(void **state)
{
        (void)state;
        assert_int_equal(BYTES("\x1e"), 1);
        assert_int_equal(code, KEY_A);
        assert_true(down);
        assert_int_equal(BYTES("\x9e"), 1);
        assert_false(down);
        assert_int_equal(BYTES("\x58"), 1);
        assert_int_equal(code, KEY_F12);
        assert_int_equal(BYTES("\xe0\x48"), 1);
        assert_int_equal(code, KEY_UP);
        assert_int_equal(BYTES("\xe0\xc8"), 1);
        assert_int_equal(code, KEY_UP);
        assert_false(down);
        assert_int_equal(BYTES("\x48"), 1);
        assert_int_equal(code, KEY_KP8);
        assert_int_equal(BYTES("\xe0\x2a\xe0\x47\xe0\xc7\xe0\xaa"), 2); /* with the false shifts */
        assert_int_equal(code, KEY_HOME);
        assert_int_equal(BYTES("\xe1\x1d\x45\xe1\x9d\xc5"), 2);
        assert_int_equal(code, KEY_PAUSE);
        assert_false(down);
        assert_int_equal(BYTES("\x1c"), 1); /* and in step again */
        assert_int_equal(code, KEY_ENTER);
        assert_int_equal(BYTES("\xe0\x1c"), 1);
        assert_int_equal(code, KEY_KPENTER);
        assert_int_equal(BYTES("\x7a\xe0\x01"), 0); /* none of these is a key */
}

/* Whatever comes, codes are evdev's and announced. */
static void random_scan_codes(void **state)
{
        uint8_t announced[96] = {0};
        uint64_t seed = 7;

        (void)state;
        ps2_keyboard_codes(announced, sizeof(announced));
        for (unsigned i = 0; i < 1000000; i++) {
                seed = seed * 6364136223846793005ul + 1442695040888963407ul;
                if (ps2_keyboard_byte(&kbd, (uint8_t)(seed >> 40), &code, &down))
                        assert_true(announced[code / 8] >> code % 8 & 1);
        }
        memset(&kbd, 0, sizeof(kbd));
}

static void mouse_packets(void **state)
{
        struct ps2_mouse m = {.packet_len = 3};
        struct ps2_motion motion;

        (void)state;
        assert_false(ps2_mouse_byte(&m, 0x00, &motion)); /* out of step: no packet begins so */
        assert_false(ps2_mouse_byte(&m, 0x09, &motion));
        assert_false(ps2_mouse_byte(&m, 5, &motion));
        assert_true(ps2_mouse_byte(&m, 7, &motion));
        assert_int_equal(motion.buttons, 1);
        assert_int_equal(motion.dx, 5);
        assert_int_equal(motion.dy, -7);
        ps2_mouse_byte(&m, 0x3c, &motion);
        ps2_mouse_byte(&m, 0xff, &motion);
        assert_true(ps2_mouse_byte(&m, 0x80, &motion));
        assert_int_equal(motion.buttons, 4);
        assert_int_equal(motion.dx, -1);
        assert_int_equal(motion.dy, 128);
        ps2_mouse_byte(&m, 0xc8, &motion); /* overflow: not to be believed */
        ps2_mouse_byte(&m, 0x55, &motion);
        assert_true(ps2_mouse_byte(&m, 0x55, &motion));
        assert_int_equal(motion.dx, 0);

        m = (struct ps2_mouse){.packet_len = 4, .five_buttons = true};
        ps2_mouse_byte(&m, 0x08, &motion);
        ps2_mouse_byte(&m, 0, &motion);
        ps2_mouse_byte(&m, 0, &motion);
        assert_true(ps2_mouse_byte(&m, 0x1f, &motion)); /* side button, wheel -1: away from the user is 1 */
        assert_int_equal(motion.buttons, 8);
        assert_int_equal(motion.wheel, 1);
}

static struct keymap map;

static const char *press(uint16_t key, unsigned modes)
{
        static char text[16];
        struct key_result r = keymap_event(&map, key, 1, modes);

        assert_true(r.len < sizeof(r.bytes));
        memset(text, 0, sizeof(text));
        memcpy(text, r.bytes, r.len);
        keymap_event(&map, key, 0, modes);
        return text;
}

static void hold(uint16_t key, bool on)
{
        keymap_event(&map, key, on, 0);
}

static void characters(void **state)
{
        (void)state;
        assert_string_equal(press(KEY_A, 0), "a");
        assert_string_equal(press(KEY_SPACE, 0), " ");
        assert_string_equal(press(KEY_ENTER, 0), "\r");
        assert_string_equal(press(KEY_ENTER, KEYMAP_NEWLINE), "\r\n");
        assert_string_equal(press(KEY_BACKSPACE, 0), "\x7f");
        hold(KEY_LEFTSHIFT, true);
        assert_string_equal(press(KEY_A, 0), "A");
        assert_string_equal(press(KEY_1, 0), "!");
        assert_string_equal(press(KEY_TAB, 0), "\033[Z");
        assert_string_equal(press(KEY_UP, 0), "\033[1;2A");
        hold(KEY_RIGHTSHIFT, true);
        hold(KEY_LEFTSHIFT, false);
        assert_string_equal(press(KEY_GRAVE, 0), "~");
        hold(KEY_RIGHTSHIFT, false);

        assert_int_equal(keymap_event(&map, KEY_CAPSLOCK, 1, 0).command, KEY_CMD_LEDS);
        assert_int_equal(keymap_leds(&map), 1u << LED_CAPSL);
        assert_int_equal(keymap_event(&map, KEY_CAPSLOCK, 2, 0).command, KEY_CMD_NONE);
        assert_string_equal(press(KEY_Z, 0), "Z");
        assert_string_equal(press(KEY_2, 0), "2");
        hold(KEY_LEFTSHIFT, true);
        assert_string_equal(press(KEY_Z, 0), "z");
        hold(KEY_LEFTSHIFT, false);
        keymap_event(&map, KEY_CAPSLOCK, 1, 0);

        hold(KEY_LEFTCTRL, true);
        assert_string_equal(press(KEY_C, 0), "\003");
        assert_string_equal(press(KEY_LEFTBRACE, 0), "\033");
        assert_string_equal(press(KEY_BACKSLASH, 0), "\034");
        assert_string_equal(press(KEY_SLASH, 0), "\037");
        assert_string_equal(press(KEY_RIGHT, KEYMAP_CURSOR_KEYS), "\033[1;5C");
        assert_int_equal(keymap_event(&map, KEY_SPACE, 1, 0).len, 1); /* NUL */
        assert_string_equal(press(KEY_EQUAL, 0), "");
        hold(KEY_LEFTCTRL, false);

        hold(KEY_RIGHTALT, true);
        assert_string_equal(press(KEY_B, 0), "\033b");
        assert_string_equal(press(KEY_BACKSPACE, 0), "\033\x7f");
        hold(KEY_RIGHTALT, false);
        assert_string_equal(press(KEY_MUTE, 0), "");
}

static void layouts(void **state)
{
        (void)state;
        assert_int_equal(keymap_set(&map, "xx"), -EINVAL);
        assert_string_equal(keymap_name(&map), "us");
        assert_int_equal(keymap_set(&map, "de"), 0);
        assert_string_equal(press(KEY_Y, 0), "z");
        assert_string_equal(press(KEY_APOSTROPHE, 0), "ä");
        assert_string_equal(press(KEY_SPACE, 0), " ");
        hold(KEY_LEFTSHIFT, true);
        assert_string_equal(press(KEY_MINUS, 0), "?");
        assert_string_equal(press(KEY_LEFTBRACE, 0), "Ü");
        hold(KEY_LEFTSHIFT, false);
        hold(KEY_RIGHTALT, true);
        assert_string_equal(press(KEY_Q, 0), "@");
        assert_string_equal(press(KEY_E, 0), "€");
        assert_string_equal(press(KEY_7, 0), "{");
        assert_string_equal(press(KEY_MINUS, 0), "\\");
        assert_string_equal(press(KEY_102ND, 0), "|");
        assert_string_equal(press(KEY_W, 0), "");
        hold(KEY_RIGHTALT, false);
        hold(KEY_LEFTALT, true);
        assert_string_equal(press(KEY_SEMICOLON, 0), "\033ö");
        hold(KEY_LEFTALT, false);
        hold(KEY_LEFTCTRL, true);
        assert_string_equal(press(KEY_Z, 0), "\031"); /* Ctrl-Y, which is there */
        hold(KEY_LEFTCTRL, false);

        assert_int_equal(keymap_set(&map, "fr"), 0);
        assert_string_equal(press(KEY_Q, 0), "a");
        assert_string_equal(press(KEY_1, 0), "&");
        keymap_event(&map, KEY_CAPSLOCK, 1, 0);
        assert_string_equal(press(KEY_1, 0), "&");
        assert_string_equal(press(KEY_SEMICOLON, 0), "M");
        keymap_event(&map, KEY_CAPSLOCK, 1, 0);
        hold(KEY_LEFTSHIFT, true);
        assert_string_equal(press(KEY_1, 0), "1");
        assert_string_equal(press(KEY_GRAVE, 0), "");
        hold(KEY_LEFTSHIFT, false);

        assert_int_equal(keymap_set(&map, "ru"), 0);
        assert_string_equal(press(KEY_Q, 0), "q");
        hold(KEY_LEFTALT, true);
        hold(KEY_LEFTSHIFT, true);
        hold(KEY_LEFTSHIFT, false);
        hold(KEY_LEFTALT, false);
        assert_string_equal(press(KEY_Q, 0), "й");
        keymap_event(&map, KEY_CAPSLOCK, 1, 0);
        assert_string_equal(press(KEY_GRAVE, 0), "Ё");
        keymap_event(&map, KEY_CAPSLOCK, 1, 0);
        hold(KEY_LEFTSHIFT, true);
        assert_string_equal(press(KEY_3, 0), "№");
        hold(KEY_LEFTSHIFT, false);
        hold(KEY_LEFTCTRL, true);
        assert_string_equal(press(KEY_C, 0), "\003");
        hold(KEY_LEFTCTRL, false);
        hold(KEY_LEFTSHIFT, true);
        hold(KEY_LEFTALT, true);
        hold(KEY_LEFTALT, false);
        hold(KEY_LEFTSHIFT, false);
        assert_string_equal(press(KEY_Q, 0), "q");

        assert_int_equal(keymap_set(&map, "uk"), 0);
        hold(KEY_LEFTSHIFT, true);
        assert_string_equal(press(KEY_3, 0), "£");
        hold(KEY_LEFTSHIFT, false);
        for (unsigned i = 0; layout_by_index(i); i++)
                for (unsigned row = 0; row < 5; row++)
                        for (unsigned level = 1; level < LEVELS; level++) {
                                const struct layout_row *r = &layout_by_index(i)->rows[row];
                                size_t n = 0, other = 0;

                                while (r->level[0][n])
                                        n++;
                                while (r->level[level] && r->level[level][other])
                                        other++;
                                assert_true(!r->level[level] || other == n);
                        }
        assert_int_equal(keymap_set(&map, "us"), 0);
}

static void function_keys(void **state)
{
        (void)state;
        assert_string_equal(press(KEY_UP, 0), "\033[A");
        assert_string_equal(press(KEY_UP, KEYMAP_CURSOR_KEYS), "\033OA");
        assert_string_equal(press(KEY_HOME, 0), "\033[H");
        assert_string_equal(press(KEY_DELETE, 0), "\033[3~");
        assert_string_equal(press(KEY_F1, 0), "\033OP");
        assert_string_equal(press(KEY_F5, 0), "\033[15~");
        assert_string_equal(press(KEY_F12, 0), "\033[24~");
        assert_string_equal(press(KEY_KP7, 0), "\033[H");
        assert_string_equal(press(KEY_KP7, KEYMAP_KEYPAD), "\033Ow");
        assert_string_equal(press(KEY_KP5, 0), "");
        assert_int_equal(keymap_event(&map, KEY_NUMLOCK, 1, 0).command, KEY_CMD_LEDS);
        assert_string_equal(press(KEY_KP7, KEYMAP_KEYPAD), "7");
        assert_string_equal(press(KEY_KPDOT, 0), ".");
        keymap_event(&map, KEY_NUMLOCK, 1, 0);
        assert_string_equal(press(KEY_KPPLUS, 0), "+");
        assert_string_equal(press(KEY_KPENTER, 0), "\r");
        assert_int_equal(keymap_event(&map, KEY_LEFT, 2, 0).len, 3); /* repeat */
}

static void commands(void **state)
{
        struct key_result r;

        (void)state;
        hold(KEY_LEFTALT, true);
        r = keymap_event(&map, KEY_F3, 1, 0);
        assert_int_equal(r.command, KEY_CMD_SWITCH);
        assert_int_equal(r.number, 2);
        assert_int_equal(r.len, 0);
        assert_string_equal(press(KEY_F5, 0), "\033[15;3~");
        hold(KEY_LEFTCTRL, true);
        assert_int_equal(keymap_event(&map, KEY_DELETE, 1, 0).command, KEY_CMD_CTRL_ALT_DEL);
        hold(KEY_LEFTCTRL, false);
        hold(KEY_LEFTALT, false);
        hold(KEY_RIGHTSHIFT, true);
        assert_int_equal(keymap_event(&map, KEY_PAGEUP, 2, 0).command, KEY_CMD_SCROLL_UP);
        assert_int_equal(keymap_event(&map, KEY_PAGEDOWN, 1, 0).command, KEY_CMD_SCROLL_DOWN);
        hold(KEY_RIGHTSHIFT, false);
}

static void every_code(void **state)
{
        uint64_t seed = 3;

        (void)state;
        for (unsigned i = 0; i < 1000000; i++) {
                struct key_result r;

                seed = seed * 6364136223846793005ul + 1442695040888963407ul;
                r = keymap_event(&map, seed >> 40 & 0x3ff, seed >> 60 & 3, seed >> 56 & 7);
                assert_true(r.len < sizeof(r.bytes));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(scan_codes), cmocka_unit_test(random_scan_codes), cmocka_unit_test(mouse_packets),
                cmocka_unit_test(characters), cmocka_unit_test(layouts),           cmocka_unit_test(function_keys),
                cmocka_unit_test(commands),   cmocka_unit_test(every_code),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
