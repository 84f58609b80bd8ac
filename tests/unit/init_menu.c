/*
 * init_menu.c - what is typed at the menu before recovery: keys, editing, numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <linux/input-event-codes.h>
#include "kernel/init/menu_line.h"

static struct menu_line line;

/* True: the line ended with the last character, and not before. What a terminal shows of it comes to `shown`. */
static bool type(const char *chars, char *shown, size_t size)
{
        bool ended = false;

        memset(&line, 0, sizeof(line));
        shown[0] = 0;
        for (; *chars; chars++) {
                const char *echo;

                assert_false(ended);
                ended = menu_line_add(&line, *chars, &echo);
                assert_true(strlen(shown) + strlen(echo) < size);
                strcat(shown, echo);
        }
        return ended;
}

static int number(const char *chars)
{
        char shown[100];

        assert_true(type(chars, shown, sizeof(shown)));
        return menu_line_number(&line);
}

static void keys(void **state)
{
        (void)state;
        assert_int_equal(menu_key_char(KEY_1), '1');
        assert_int_equal(menu_key_char(KEY_9), '9');
        assert_int_equal(menu_key_char(KEY_0), '0');
        assert_int_equal(menu_key_char(KEY_KP0), '0');
        assert_int_equal(menu_key_char(KEY_KP7), '7');
        assert_int_equal(menu_key_char(KEY_ENTER), '\r');
        assert_int_equal(menu_key_char(KEY_KPENTER), '\r');
        assert_int_equal(menu_key_char(KEY_BACKSPACE), '\b');
        assert_int_equal(menu_key_char(KEY_P), 'p');
        assert_int_equal(menu_key_char(KEY_F), 'f');
        assert_int_equal(menu_key_char(KEY_ESC), 0);
        assert_int_equal(menu_key_char(KEY_F1), 0);
        for (unsigned code = 0; code <= UINT16_MAX; code++)
                assert_true(menu_key_char((uint16_t)code) >= 0);
}

static void editing(void **state)
{
        char shown[100];

        (void)state;
        assert_false(type("12", shown, sizeof(shown)));
        assert_string_equal(shown, "12");
        assert_true(type("\b\x7f"
                         "9\b12\x7f"
                         "3\n",
                         shown, sizeof(shown)));
        assert_string_equal(shown, "9\b \b12\b \b3");
        assert_string_equal(line.text, "13");
        assert_true(type("\x1b[A\t\x01 4\r", shown, sizeof(shown)));
        assert_string_equal(line.text, "[A4");
        assert_true(type("12345678901234567890\b1\r", shown, sizeof(shown)));
        assert_string_equal(line.text, "1234567891");
        assert_int_equal(line.len, MENU_LINE);
}

static void numbers(void **state)
{
        (void)state;
        assert_int_equal(number("42\r"), 42);
        assert_int_equal(number("0\r"), 0);
        assert_int_equal(number("007\n"), 7);
        assert_int_equal(number("999999999\r"), 999999999);
        assert_int_equal(number("2147483648\r"), -1);
        assert_int_equal(number("\r"), -1);
        assert_int_equal(number("-1\r"), -1);
        assert_int_equal(number("12x\r"), -1);
}

/* Whatever comes: the line stays within itself, and no character is less than one that a terminal prints. */
static void random_characters(void **state)
{
        uint64_t seed = 11;
        const char *echo;

        (void)state;
        memset(&line, 0, sizeof(line));
        for (unsigned i = 0; i < 1000000; i++) {
                seed = seed * 6364136223846793005ul + 1442695040888963407ul;
                if (menu_line_add(&line, (int)(seed >> 40 & 0xff), &echo))
                        line = (struct menu_line){.len = 0};
                assert_true(line.len <= MENU_LINE && strlen(line.text) == line.len);
                assert_true(menu_line_number(&line) >= -1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keys),
                cmocka_unit_test(editing),
                cmocka_unit_test(numbers),
                cmocka_unit_test(random_characters),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
