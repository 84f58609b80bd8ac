/*
 * menu_line.h - what is typed at the menu before recovery: keys to characters, a line that is edited, the number in it. Pure.
 */
#pragma once
#include "kernel/include/types.h"

#define MENU_LINE 10u

struct menu_line {
        char text[MENU_LINE + 1];
        unsigned len;
};
/* The character of a key that was pressed (<linux/input-event-codes.h>): a digit, also of the keypad, f, p, carriage return, backspace. 0: no such key. */
char menu_key_char(uint16_t code);
/* One more character. True: the line has ended. Else *echo is what the terminal is to show of it. What does not fit in, or is no text, is dropped. */
bool menu_line_add(struct menu_line *l, int c, const char **echo);
/* The number that the line is; -1: it is none, or greater than any process has. */
int menu_line_number(const struct menu_line *l);
