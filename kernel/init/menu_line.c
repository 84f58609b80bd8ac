/*
 * menu_line.c - keys, and the line that is typed (menu_line.h). Digits are where they are on the keyboard, whatever the layout: nobody needs Shift.
 */
#include <linux/input-event-codes.h>
#include "kernel/init/menu_line.h"

#define NUMBER_DIGITS 9u /* fit in an int */

char menu_key_char(uint16_t code)
{
        static const char chars[] = {
                [KEY_1] = '1',          [KEY_2] = '2',      [KEY_3] = '3',        [KEY_4] = '4',   [KEY_5] = '5',
                [KEY_6] = '6',          [KEY_7] = '7',      [KEY_8] = '8',        [KEY_9] = '9',   [KEY_0] = '0',
                [KEY_BACKSPACE] = '\b', [KEY_ENTER] = '\r', [KEY_KPENTER] = '\r', [KEY_P] = 'p',   [KEY_F] = 'f',
                [KEY_KP1] = '1',        [KEY_KP2] = '2',    [KEY_KP3] = '3',      [KEY_KP4] = '4', [KEY_KP5] = '5',
                [KEY_KP6] = '6',        [KEY_KP7] = '7',    [KEY_KP8] = '8',      [KEY_KP9] = '9', [KEY_KP0] = '0',
        };

        return code < ARRAY_SIZE(chars) ? chars[code] : 0;
}

bool menu_line_add(struct menu_line *l, int c, const char **echo)
{
        static char shown[2];

        *echo = "";
        if (c == '\r' || c == '\n')
                return true;
        if (c == '\b' || c == 0x7f) {
                if (l->len) {
                        l->text[--l->len] = 0;
                        *echo = "\b \b";
                }
        } else if (c > ' ' && c < 0x7f && l->len < MENU_LINE) {
                l->text[l->len++] = (char)c;
                l->text[l->len] = 0;
                shown[0] = (char)c;
                *echo = shown;
        }
        return false;
}

int menu_line_number(const struct menu_line *l)
{
        int n = 0;

        if (!l->len || l->len > NUMBER_DIGITS)
                return -1;
        for (unsigned i = 0; i < l->len; i++) {
                if (l->text[i] < '0' || l->text[i] > '9')
                        return -1;
                n = n * 10 + (l->text[i] - '0');
        }
        return n;
}
