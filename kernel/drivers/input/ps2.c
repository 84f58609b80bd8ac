/*
 * ps2.c - PS/2 byte streams to evdev codes. Set 1 is what every keyboard controller delivers when translation is on,
 * emulated ones included; evdev numbered its first 83 keys after it, so that most of the table is the identity.
 */
#include <linux/input-event-codes.h>
#include "kernel/drivers/input/ps2.h"

#define SET1_IDENTITY_LAST 0x53

struct pair {
        uint8_t scan, code;
};

static const struct pair plain[] = {
        {0x54, KEY_SYSRQ}, {0x56, KEY_102ND},   {0x57, KEY_F11},
        {0x58, KEY_F12},   {0x59, KEY_KPEQUAL}, {0x70, KEY_KATAKANAHIRAGANA},
        {0x73, KEY_RO},    {0x79, KEY_HENKAN},  {0x7b, KEY_MUHENKAN},
        {0x7d, KEY_YEN},   {0x7e, KEY_KPCOMMA},
};

static const struct pair extended[] = {
        {0x10, KEY_PREVIOUSSONG}, {0x19, KEY_NEXTSONG},  {0x1c, KEY_KPENTER}, {0x1d, KEY_RIGHTCTRL},
        {0x20, KEY_MUTE},         {0x22, KEY_PLAYPAUSE}, {0x24, KEY_STOPCD},  {0x2e, KEY_VOLUMEDOWN},
        {0x30, KEY_VOLUMEUP},     {0x35, KEY_KPSLASH},   {0x37, KEY_SYSRQ},   {0x38, KEY_RIGHTALT},
        {0x46, KEY_PAUSE},        {0x47, KEY_HOME},      {0x48, KEY_UP},      {0x49, KEY_PAGEUP},
        {0x4b, KEY_LEFT},         {0x4d, KEY_RIGHT},     {0x4f, KEY_END},     {0x50, KEY_DOWN},
        {0x51, KEY_PAGEDOWN},     {0x52, KEY_INSERT},    {0x53, KEY_DELETE},  {0x5b, KEY_LEFTMETA},
        {0x5c, KEY_RIGHTMETA},    {0x5d, KEY_COMPOSE},   {0x5e, KEY_POWER},   {0x5f, KEY_SLEEP},
        {0x63, KEY_WAKEUP},
};

static uint16_t lookup(const struct pair *table, size_t n, uint8_t scan)
{
        for (size_t i = 0; i < n; i++)
                if (table[i].scan == scan)
                        return table[i].code;
        return KEY_RESERVED;
}

/*
 * Pause sends e1 1d 45 e1 9d c5 when pressed and nothing when released: reported down at the third byte, up at the
 * sixth.
 */
static bool pause_byte(struct ps2_keyboard *k, uint16_t *code, bool *down)
{
        k->e1--;
        *code = KEY_PAUSE;
        *down = k->e1 == 3;
        return k->e1 == 3 || k->e1 == 0;
}

bool ps2_keyboard_byte(struct ps2_keyboard *k, uint8_t byte, uint16_t *code, bool *down)
{
        uint8_t scan = byte & 0x7f;
        bool e0 = k->e0;

        if (k->e1)
                return pause_byte(k, code, down);
        k->e0 = byte == 0xe0;
        if (byte == 0xe1)
                k->e1 = 5;
        if (byte == 0xe0 || byte == 0xe1)
                return false;
        if (e0 && (scan == 0x2a || scan == 0x36))
                return false; /* the shifts that old keyboards wrap around cursor keys */

        if (e0)
                *code = lookup(extended, ARRAY_SIZE(extended), scan);
        else
                *code = scan <= SET1_IDENTITY_LAST ? scan : lookup(plain, ARRAY_SIZE(plain), scan);
        *down = !(byte & 0x80);
        return *code != KEY_RESERVED;
}

static void set_bit(uint8_t *bits, size_t len, uint16_t code)
{
        if (code / 8u < len)
                bits[code / 8] |= 1u << (code % 8);
}

void ps2_keyboard_codes(uint8_t *bits, size_t len)
{
        for (uint16_t code = 1; code <= SET1_IDENTITY_LAST; code++)
                set_bit(bits, len, code);
        for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
                set_bit(bits, len, plain[i].code);
        for (size_t i = 0; i < ARRAY_SIZE(extended); i++)
                set_bit(bits, len, extended[i].code);
}

/* First byte of a packet: y overflow, x overflow, y sign, x sign, always 1, middle, right, left. */
#define MOUSE_ALWAYS   0x08
#define MOUSE_X_SIGN   0x10
#define MOUSE_Y_SIGN   0x20
#define MOUSE_OVERFLOW 0xc0

bool ps2_mouse_byte(struct ps2_mouse *m, uint8_t byte, struct ps2_motion *motion)
{
        uint8_t head;

        if (m->n == 0 && !(byte & MOUSE_ALWAYS))
                return false;
        m->packet[m->n++] = byte;
        if (m->n < m->packet_len)
                return false;
        m->n = 0;

        head = m->packet[0];
        *motion = (struct ps2_motion){.buttons = head & 7};
        if (!(head & MOUSE_OVERFLOW)) {
                motion->dx = m->packet[1] - (head & MOUSE_X_SIGN ? 256 : 0);
                motion->dy = -(m->packet[2] - (head & MOUSE_Y_SIGN ? 256 : 0));
        }
        if (m->packet_len == 4) {
                int z = m->packet[3] & 0x0f;

                motion->wheel = -(z & 8 ? z - 16 : z);
                if (m->five_buttons)
                        motion->buttons |= (m->packet[3] >> 1) & 0x18;
        }
        return true;
}
