/*
 * drv_usb.c - what USB devices say of themselves: interfaces of good descriptors, of ones that are cut short or make no
 * sense, of random bytes; texts; key usages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/input-event-codes.h>
#include "kernel/drivers/usb/descriptor.h"
#include "kernel/drivers/usb/hidkeys.h"

/* A keyboard, a disk with a second setting, both at super speed. */
static const uint8_t good[] = {
        9, 2, 62,   0, 2, 7, 0,  0x80, 50,                                         /* configuration 7 */
        9, 4, 0,    0, 1, 3, 1,  1,    0,    9,  0x21, 0x11, 1, 0, 1, 0x22, 63, 0, /* boot keyboard, HID descriptor */
        7, 5, 0x81, 3, 8, 0, 10,                                                   /* interrupt in */
        9, 4, 1,    0, 2, 8, 6,  0x50, 0,                                          /* disk */
        7, 5, 0x82, 2, 0, 4, 0,  6,    0x30, 15, 0,    0,    0,                    /* bulk in, 16 packets */
        7, 5, 0x03, 2, 0, 4, 0,                                                    /* bulk out */
        9, 4, 1,    1, 0, 8, 6,  0x62, 0,                                          /* another setting */
};

static void interfaces(void **state)
{
        struct usb_interface i;

        (void)state;
        assert_true(usb_parse_interface(good, sizeof(good), 0, USB_SUPER, &i));
        assert_int_equal(i.class, 3);
        assert_int_equal(i.configuration, 7);
        assert_int_equal(i.nendpoints, 1);
        assert_int_equal(i.endpoint[0].address, 0x81);
        assert_int_equal(i.endpoint[0].kind, USB_INTERRUPT);
        assert_int_equal(i.endpoint[0].interval, 10);
        assert_true(usb_parse_interface(good, sizeof(good), 1, USB_SUPER, &i));
        assert_int_equal(i.number, 1);
        assert_int_equal(i.protocol, 0x50);
        assert_int_equal(i.nendpoints, 2);
        assert_int_equal(i.endpoint[0].max_packet, 1024);
        assert_int_equal(i.endpoint[0].burst, 15);
        assert_int_equal(i.endpoint[1].burst, 0);
        assert_false(usb_parse_interface(good, sizeof(good), 2, USB_SUPER, &i));
        /* Packets of 1,024 bytes are nothing for a slower bus. */
        assert_true(usb_parse_interface(good, sizeof(good), 1, USB_HIGH, &i));
        assert_int_equal(i.nendpoints, 0);
}

static void nonsense(void **state)
{
        uint8_t bad[sizeof(good)];
        struct usb_interface i;

        (void)state;
        memcpy(bad, good, sizeof(bad));
        bad[47] = 0; /* packets of no bytes */
        bad[48] = 0;
        assert_true(usb_parse_interface(bad, sizeof(bad), 1, USB_SUPER, &i));
        assert_int_equal(i.nendpoints, 0);
        memcpy(bad, good, sizeof(bad));
        bad[58] = 0x82; /* the same endpoint twice */
        assert_true(usb_parse_interface(bad, sizeof(bad), 1, USB_SUPER, &i));
        assert_int_equal(i.nendpoints, 0);
        memcpy(bad, good, sizeof(bad));
        bad[9] = 0; /* a descriptor without length */
        assert_false(usb_parse_interface(bad, sizeof(bad), 0, USB_SUPER, &i));
        for (size_t len = 0; len < 18; len++)
                assert_false(usb_parse_interface(good, len, 0, USB_SUPER, &i));
}

static void any_bytes(void **state)
{
        static const enum usb_speed speeds[] = {USB_FULL, USB_LOW, USB_HIGH, USB_SUPER, USB_SUPER_PLUS};
        struct usb_interface i;

        (void)state;
        srand(1);
        for (unsigned n = 0; n < 200000; n++) {
                size_t len = (size_t)rand() % (sizeof(good) + 1);
                uint8_t *b = malloc(len); /* of just this length: the sanitizer sees who looks behind it */
                char text[8];

                assert_true(b || !len);
                memcpy(b, good, len);
                for (int k = rand() % 6; len && k; k--)
                        b[(size_t)rand() % len] = (uint8_t)rand();
                for (unsigned k = 0; usb_parse_interface(b, len, k, speeds[n % 5], &i); k++) {
                        assert_in_range(i.nendpoints, 0, USB_ENDPOINTS_MAX);
                        for (unsigned e = 0; e < i.nendpoints; e++) {
                                assert_in_range(i.endpoint[e].max_packet, 1, 1024);
                                assert_in_range(i.endpoint[e].address & 0x7f, 1, 15);
                                assert_in_range(i.endpoint[e].burst, 0, 15);
                                for (unsigned f = 0; f < e; f++)
                                        assert_int_not_equal(i.endpoint[e].address, i.endpoint[f].address);
                        }
                }
                usb_parse_string(b, len, text, sizeof(text));
                assert_in_range(strlen(text), 0, sizeof(text) - 1);
                free(b);
        }
}

static void texts(void **state)
{
        static const uint8_t text[] = {14, 3, ' ', 0, 'A', 0, 0xac, 0x20, 'b', 0, ' ', 0, ' ', 0, 'x', 0};
        char out[8];

        (void)state;
        usb_parse_string(text, sizeof(text), out, sizeof(out));
        assert_string_equal(out, "A?b");
        usb_parse_string(text, 6, out, sizeof(out));
        assert_string_equal(out, "A");
        usb_parse_string(text, 2, out, sizeof(out));
        assert_string_equal(out, "");
}

static void keys(void **state)
{
        static const struct {
                uint8_t usage, code;
        } some[] = {{0x04, KEY_A},
                    {0x1d, KEY_Z},
                    {0x1e, KEY_1},
                    {0x27, KEY_0},
                    {0x28, KEY_ENTER},
                    {0x31, KEY_BACKSLASH},
                    {0x38, KEY_SLASH},
                    {0x39, KEY_CAPSLOCK},
                    {0x3a, KEY_F1},
                    {0x45, KEY_F12},
                    {0x46, KEY_SYSRQ},
                    {0x4b, KEY_PAGEUP},
                    {0x4e, KEY_PAGEDOWN},
                    {0x4f, KEY_RIGHT},
                    {0x52, KEY_UP},
                    {0x53, KEY_NUMLOCK},
                    {0x58, KEY_KPENTER},
                    {0x59, KEY_KP1},
                    {0x62, KEY_KP0},
                    {0x63, KEY_KPDOT},
                    {0x64, KEY_102ND},
                    {0x65, KEY_COMPOSE},
                    {0x73, KEY_F24},
                    {0x8b, KEY_MUHENKAN},
                    {0, 0},
                    {3, 0},
                    {0xff, 0}};
        uint8_t bits[96] = {0};

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(some); i++)
                assert_int_equal(hid_key(some[i].usage), some[i].code);
        assert_int_equal(hid_modifier(0), KEY_LEFTCTRL);
        assert_int_equal(hid_modifier(6), KEY_RIGHTALT);
        hid_key_codes(bits, sizeof(bits));
        for (unsigned usage = 0; usage < 256; usage++)
                if (hid_key((uint8_t)usage))
                        assert_true(bits[hid_key((uint8_t)usage) / 8] >> hid_key((uint8_t)usage) % 8 & 1);
        assert_false(bits[0] & 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(interfaces), cmocka_unit_test(nonsense),
                                           cmocka_unit_test(any_bytes), cmocka_unit_test(texts),
                                           cmocka_unit_test(keys)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
