/*
 * keymap.c - what the keys of a layout send, and what xterm sends for the keys that are no characters ("xterm control sequences",
 * "PC-style function keys"): modifiers as a parameter, 1 + shift 1 + alt 2 + ctrl 4. Alt before a character is ESC
 * before it.
 */
#include <linux/input-event-codes.h>
#include "kernel/drivers/input/keymap.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define ESC '\033'

/* Keys that are the same in all layouts. */
static const struct {
        uint16_t code;
        char c;
} fixed[] = {{KEY_SPACE, ' '}, {KEY_KPASTERISK, '*'}, {KEY_KPMINUS, '-'}, {KEY_KPPLUS, '+'}, {KEY_KPSLASH, '/'}};

/* Keys that send CSI letter (ESC O letter in application mode; for F1 to F4 always). */
static const struct {
        uint16_t code;
        char letter;
        bool function;
} letter_keys[] = {
        {KEY_UP, 'A', false},   {KEY_DOWN, 'B', false}, {KEY_RIGHT, 'C', false}, {KEY_LEFT, 'D', false},
        {KEY_HOME, 'H', false}, {KEY_END, 'F', false},  {KEY_F1, 'P', true},     {KEY_F2, 'Q', true},
        {KEY_F3, 'R', true},    {KEY_F4, 'S', true},
};

/* Keys that send CSI number ~. */
static const struct {
        uint16_t code;
        uint8_t number;
} number_keys[] = {
        {KEY_INSERT, 2}, {KEY_DELETE, 3}, {KEY_PAGEUP, 5}, {KEY_PAGEDOWN, 6}, {KEY_F5, 15},  {KEY_F6, 17},
        {KEY_F7, 18},    {KEY_F8, 19},    {KEY_F9, 20},    {KEY_F10, 21},     {KEY_F11, 23}, {KEY_F12, 24},
};

/* The keypad: its digit, what it is with Num Lock off, and its letter in application mode. */
static const struct {
        uint16_t code;
        char digit;
        uint16_t otherwise;
        char letter;
} keypad[] = {
        {KEY_KP0, '0', KEY_INSERT, 'p'},   {KEY_KP1, '1', KEY_END, 'q'},      {KEY_KP2, '2', KEY_DOWN, 'r'},
        {KEY_KP3, '3', KEY_PAGEDOWN, 's'}, {KEY_KP4, '4', KEY_LEFT, 't'},     {KEY_KP5, '5', KEY_RESERVED, 'u'},
        {KEY_KP6, '6', KEY_RIGHT, 'v'},    {KEY_KP7, '7', KEY_HOME, 'w'},     {KEY_KP8, '8', KEY_UP, 'x'},
        {KEY_KP9, '9', KEY_PAGEUP, 'y'},   {KEY_KPDOT, '.', KEY_DELETE, 'n'},
};

static bool shift(const struct keymap *k)
{
        return k->lshift || k->rshift;
}

static bool ctrl(const struct keymap *k)
{
        return k->lctrl || k->rctrl;
}

static bool alt(const struct keymap *k)
{
        return k->lalt || k->ralt;
}

/* The layout that counts now: of two scripts, the one that is on. */
static const struct layout *layout(const struct keymap *k)
{
        if (!k->layout)
                return layout_by_index(0);
        return k->layout->script && !k->second ? layout_find(k->layout->script) : k->layout;
}

int keymap_set(struct keymap *k, const char *name)
{
        const struct layout *l = layout_find(name);

        if (!l)
                return -EINVAL;
        k->layout = l;
        k->second = false;
        return 0;
}

const char *keymap_name(const struct keymap *k)
{
        return k->layout ? k->layout->name : layout_by_index(0)->name;
}

uint8_t keymap_leds(const struct keymap *k)
{
        return (k->caps ? 1u << LED_CAPSL : 0) | (k->num ? 1u << LED_NUML : 0);
}

static bool *modifier(struct keymap *k, uint16_t code)
{
        switch (code) {
        case KEY_LEFTSHIFT:
                return &k->lshift;
        case KEY_RIGHTSHIFT:
                return &k->rshift;
        case KEY_LEFTCTRL:
                return &k->lctrl;
        case KEY_RIGHTCTRL:
                return &k->rctrl;
        case KEY_LEFTALT:
                return &k->lalt;
        case KEY_RIGHTALT:
                return &k->ralt;
        }
        return NULL;
}

static void add(struct key_result *r, char c)
{
        r->bytes[r->len++] = c;
}

static void add_sequence(struct key_result *r, const char *fmt, unsigned a, unsigned b)
{
        r->len = snprintf(r->bytes, sizeof(r->bytes), fmt, a, b);
}

static unsigned modifiers(const struct keymap *k)
{
        return 1 + shift(k) + 2 * alt(k) + 4 * ctrl(k);
}

static bool special_key(const struct keymap *k, uint16_t code, unsigned modes, struct key_result *r)
{
        unsigned m = modifiers(k);

        for (unsigned i = 0; i < ARRAY_SIZE(letter_keys); i++)
                if (letter_keys[i].code == code) {
                        bool application = letter_keys[i].function || (modes & KEYMAP_CURSOR_KEYS);

                        if (m > 1)
                                add_sequence(r, "\033[1;%u%c", m, letter_keys[i].letter);
                        else
                                add_sequence(r, application ? "\033O%c" : "\033[%c", letter_keys[i].letter, 0);
                        return true;
                }
        for (unsigned i = 0; i < ARRAY_SIZE(number_keys); i++)
                if (number_keys[i].code == code) {
                        if (m > 1)
                                add_sequence(r, "\033[%u;%u~", number_keys[i].number, m);
                        else
                                add_sequence(r, "\033[%u~", number_keys[i].number, 0);
                        return true;
                }
        return false;
}

/* A keypad key as digit, sequence or the key it stands for. Returns that key, or KEY_RESERVED when r is filled. */
static uint16_t keypad_key(const struct keymap *k, uint16_t code, unsigned modes, struct key_result *r)
{
        for (unsigned i = 0; i < ARRAY_SIZE(keypad); i++) {
                if (keypad[i].code != code)
                        continue;
                if (k->num != shift(k))
                        add(r, keypad[i].digit);
                else if (modes & KEYMAP_KEYPAD)
                        add_sequence(r, "\033O%c", keypad[i].letter, 0);
                else
                        return keypad[i].otherwise;
                return KEY_RESERVED;
        }
        return code;
}

/* What Ctrl makes of a character; -1: nothing. */
static int control_of(char c)
{
        switch (c) {
        case ' ':
        case '2':
        case '@':
                return 0;
        case '/':
        case '-':
        case '_':
                return 0x1f;
        case '8':
        case '?':
                return 0x7f;
        case '`':
        case '~':
                return 0x1e;
        }
        if (c >= '3' && c <= '7')
                return c - '3' + 0x1b;
        if (c >= '@' && c <= '_')
                return c & 0x1f;
        if (c >= 'a' && c <= 'z')
                return c & 0x1f;
        return -1;
}

/* A letter and its capital: ASCII, Latin-1 and Cyrillic keep them 0x20 or 0x50 apart. Caps Lock is for these. */
static bool is_letter(uint16_t plain, uint16_t shifted)
{
        return plain >= 'a' && (plain - shifted == 0x20 || plain - shifted == 0x50);
}

static void add_utf8(struct key_result *r, uint16_t c)
{
        if (c < 0x80) {
                add(r, (char)c);
        } else if (c < 0x800) {
                add(r, (char)(0xc0 | c >> 6));
                add(r, (char)(0x80 | (c & 0x3f)));
        } else {
                add(r, (char)(0xe0 | c >> 12));
                add(r, (char)(0x80 | (c >> 6 & 0x3f)));
                add(r, (char)(0x80 | (c & 0x3f)));
        }
}

static uint16_t character_of(const struct keymap *k, const struct layout *l, uint16_t code)
{
        uint16_t plain, shifted;

        for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++)
                if (fixed[i].code == code)
                        return fixed[i].c;
        if (l->altgr && k->ralt)
                return layout_char(l, code, LEVEL_ALTGR);
        plain = layout_char(l, code, LEVEL_PLAIN);
        shifted = layout_char(l, code, LEVEL_SHIFT);
        return shift(k) != (k->caps && is_letter(plain, shifted)) ? shifted : plain;
}

static void character_key(const struct keymap *k, uint16_t code, struct key_result *r)
{
        const struct layout *l = layout(k);
        uint16_t c = character_of(k, l, code);
        int value = c;

        if (ctrl(k) && c >= 0x80) /* Ctrl-C is on the same key in every script */
                c = character_of(k, layout_by_index(0), code);
        if (!c)
                return;
        if (ctrl(k))
                value = c < 0x80 ? control_of((char)c) : -1;
        if (value < 0)
                return;
        if (k->lalt || (k->ralt && !l->altgr))
                add(r, ESC);
        add_utf8(r, (uint16_t)value);
}

static bool editing_key(const struct keymap *k, uint16_t code, unsigned modes, struct key_result *r)
{
        if (code != KEY_ENTER && code != KEY_KPENTER && code != KEY_BACKSPACE && code != KEY_TAB && code != KEY_ESC)
                return false;
        if (code == KEY_TAB && shift(k)) {
                add_sequence(r, "\033[Z", 0, 0);
                return true;
        }
        if (alt(k))
                add(r, ESC);
        switch (code) {
        case KEY_BACKSPACE:
                add(r, ctrl(k) ? '\b' : 0x7f);
                break;
        case KEY_TAB:
                add(r, '\t');
                break;
        case KEY_ESC:
                add(r, ESC);
                break;
        default:
                add(r, '\r');
                if (modes & KEYMAP_NEWLINE)
                        add(r, '\n');
        }
        return true;
}

/* Keys that are for the console itself. */
static bool command_key(struct keymap *k, uint16_t code, int value, struct key_result *r)
{
        if (alt(k) && code >= KEY_F1 && code <= KEY_F4) {
                r->command = KEY_CMD_SWITCH;
                r->number = code - KEY_F1;
                return true;
        }
        if (shift(k) && (code == KEY_PAGEUP || code == KEY_PAGEDOWN)) {
                r->command = code == KEY_PAGEUP ? KEY_CMD_SCROLL_UP : KEY_CMD_SCROLL_DOWN;
                return true;
        }
        if (ctrl(k) && alt(k) && (code == KEY_DELETE || code == KEY_KPDOT)) {
                r->command = KEY_CMD_CTRL_ALT_DEL;
                return true;
        }
        if (code == KEY_CAPSLOCK || code == KEY_NUMLOCK) {
                bool *lock = code == KEY_CAPSLOCK ? &k->caps : &k->num;

                if (value == 1) {
                        *lock = !*lock;
                        r->command = KEY_CMD_LEDS;
                }
                return true;
        }
        return false;
}

struct key_result keymap_event(struct keymap *k, uint16_t code, int value, unsigned modes)
{
        struct key_result r = {0};
        bool *m = modifier(k, code);

        if (m) {
                *m = value != 0;
                if (value == 1 && k->lalt && shift(k) && (code == KEY_LEFTALT || m == &k->lshift || m == &k->rshift))
                        k->second = !k->second;
                return r;
        }
        if (value == 0 || command_key(k, code, value, &r))
                return r;
        code = keypad_key(k, code, modes, &r);
        if (code == KEY_RESERVED || special_key(k, code, modes, &r) || editing_key(k, code, modes, &r))
                return r;
        character_key(k, code, &r);
        return r;
}
