/*
 * i8042.c - the PC's keyboard controller with a PS/2 keyboard and mouse.
 *
 * Probing polls with interrupts of the controller off; afterwards all is done by interrupts 1 and 12, which share one
 * handler: the status register says whose byte it is. No device is reset: the firmware has done that, and a reset takes
 * half a second on real hardware. Commands to the keyboard after probing (its lights) go byte by byte, each sent when
 * the one before was acknowledged.
 *
 * i8042.serving is held by the interrupt handler, so that both lines together pass events on in order; inside it
 * i8042.lock guards the ports and `out`. A listener may call set_leds, which takes i8042.lock alone. Interrupts are off
 * under both. All state is volatile.
 */
#include <linux/input-event-codes.h>
#include "kernel/drivers/input/i8042.h"
#include "kernel/drivers/input/ps2.h"
#include "kernel/include/arch/io.h"
#include "kernel/include/cpu.h"
#include "kernel/include/input.h"
#include "kernel/include/irq.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"
#include "kernel/lib/string.h"

#define BUS_I8042 0x11 /* <linux/input.h>, which cannot be had without a libc */

#define PORT_DATA   0x60
#define PORT_STATUS 0x64
#define PORT_CMD    0x64

#define STATUS_OUT 0x01 /* a byte for us */
#define STATUS_IN  0x02 /* it has not taken ours yet */
#define STATUS_AUX 0x20 /* the byte is the mouse's */

#define CMD_READ_CONFIG  0x20
#define CMD_WRITE_CONFIG 0x60
#define CMD_DISABLE_AUX  0xa7
#define CMD_ENABLE_AUX   0xa8
#define CMD_DISABLE_KBD  0xad
#define CMD_ENABLE_KBD   0xae
#define CMD_TO_AUX       0xd4

#define CONFIG_KBD_IRQ   0x01
#define CONFIG_AUX_IRQ   0x02
#define CONFIG_AUX_OFF   0x20
#define CONFIG_TRANSLATE 0x40 /* scan code set 2 to set 1 */

#define DEV_ACK          0xfa
#define DEV_RESEND       0xfe
#define DEV_ENABLE       0xf4
#define DEV_DEFAULTS     0xf6
#define DEV_GET_ID       0xf2
#define DEV_SET_RATE     0xf3 /* keyboard: repeat rate and delay; mouse: samples a second */
#define KBD_SET_LEDS     0xed
#define MOUSE_RESOLUTION 0xe8

#define ANSWER_NS   (30 * 1000000ul)
#define TAKE_SPINS  10000 /* port reads, about a microsecond each on real hardware */
#define DRAIN_BYTES 32    /* of one interrupt; the controller holds one or two */

static struct {
        struct spinlock serving;
        struct spinlock lock;
        struct input_device kbd, mouse;
        struct ps2_keyboard kbd_state;
        struct ps2_mouse mouse_state;
        uint8_t out[2];   /* l: command to the keyboard that is under way */
        uint8_t out_len;  /* l: 0 when none */
        uint8_t out_at;   /* l: byte that waits for its acknowledgement */
        uint8_t leds;     /* l: what the lights should show */
        bool leds_wanted; /* l: they changed while a command was under way */
        bool have_kbd, have_mouse;
} i8042;

static bool wait_taken(void)
{
        for (unsigned i = 0; i < TAKE_SPINS; i++)
                if (!(inb(PORT_STATUS) & STATUS_IN))
                        return true;
        return false;
}

static bool command(uint8_t c)
{
        if (!wait_taken())
                return false;
        outb(PORT_CMD, c);
        return true;
}

static bool send(uint8_t byte)
{
        if (!wait_taken())
                return false;
        outb(PORT_DATA, byte);
        return true;
}

/* Probing: the next byte, or -1. */
static int answer(void)
{
        uint64_t deadline = time_mono_ns() + ANSWER_NS;

        do {
                if (inb(PORT_STATUS) & STATUS_OUT)
                        return inb(PORT_DATA);
                cpu_relax();
        } while (time_mono_ns() < deadline);
        return -1;
}

static void discard_output(void)
{
        for (unsigned i = 0; i < DRAIN_BYTES && (inb(PORT_STATUS) & STATUS_OUT); i++)
                inb(PORT_DATA);
}

/* Probing: one byte to a device, acknowledged. */
static bool tell(bool aux, uint8_t byte)
{
        for (unsigned attempt = 0; attempt < 3; attempt++) {
                int a;

                if ((aux && !command(CMD_TO_AUX)) || !send(byte))
                        return false;
                a = answer();
                if (a != DEV_RESEND)
                        return a == DEV_ACK;
        }
        return false;
}

static int read_config(void)
{
        return command(CMD_READ_CONFIG) ? answer() : -1;
}

static bool write_config(uint8_t config)
{
        return command(CMD_WRITE_CONFIG) && send(config);
}

/* The lights of set_leds, or the next byte of a command under way. */
static void send_next(void)
{
        if (i8042.out_at == i8042.out_len) {
                i8042.out_at = i8042.out_len = 0;
                if (!i8042.leds_wanted)
                        return;
                i8042.leds_wanted = false;
                i8042.out[0] = KBD_SET_LEDS;
                i8042.out[1] = i8042.leds;
                i8042.out_len = 2;
        }
        send(i8042.out[i8042.out_at]);
}

static void set_leds(struct input_device *d, uint8_t leds)
{
        bool scroll = leds & 1u << LED_SCROLLL, num = leds & 1u << LED_NUML, caps = leds & 1u << LED_CAPSL;
        uint64_t flags = spin_lock(&i8042.lock);

        (void)d;
        i8042.leds = scroll | num << 1 | caps << 2;
        i8042.leds_wanted = true;
        if (i8042.out_len == 0)
                send_next();
        spin_unlock(&i8042.lock, flags);
}

/* An answer to a command under way? */
static bool take_acknowledgement(uint8_t byte)
{
        if (i8042.out_len == 0 || (byte != DEV_ACK && byte != DEV_RESEND))
                return false;
        if (byte == DEV_ACK)
                i8042.out_at++;
        else
                i8042.out_at = i8042.out_len; /* it does not know the command */
        send_next();
        return true;
}

static void mouse_byte(uint8_t byte)
{
        static const uint16_t codes[] = {BTN_LEFT, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA};
        struct input_device *d = &i8042.mouse;
        struct ps2_motion m;

        if (!ps2_mouse_byte(&i8042.mouse_state, byte, &m))
                return;
        for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
                bool down = m.buttons >> i & 1;

                if (down != (d->key_state[codes[i] / 8] >> codes[i] % 8 & 1))
                        input_event(d, EV_KEY, codes[i], down);
        }
        if (m.dx)
                input_event(d, EV_REL, REL_X, m.dx);
        if (m.dy)
                input_event(d, EV_REL, REL_Y, m.dy);
        if (m.wheel)
                input_event(d, EV_REL, REL_WHEEL, m.wheel);
        input_event(d, EV_SYN, SYN_REPORT, 0);
}

/* One byte from the controller and what it is; NOTHING when it has none. */
enum source { NOTHING, ANSWERED, FROM_KEYBOARD, FROM_MOUSE };

static enum source next_byte(uint8_t *byte)
{
        uint64_t flags = spin_lock(&i8042.lock);
        uint8_t status = inb(PORT_STATUS);
        enum source s = NOTHING;

        *byte = 0;
        if (status & STATUS_OUT) {
                *byte = inb(PORT_DATA);
                if (status & STATUS_AUX)
                        s = FROM_MOUSE;
                else
                        s = take_acknowledgement(*byte) ? ANSWERED : FROM_KEYBOARD;
        }
        spin_unlock(&i8042.lock, flags);
        return s;
}

static void keyboard_byte(uint8_t byte)
{
        uint16_t code;
        bool down;

        if (!ps2_keyboard_byte(&i8042.kbd_state, byte, &code, &down))
                return;
        input_event(&i8042.kbd, EV_KEY, code, down);
        input_event(&i8042.kbd, EV_SYN, SYN_REPORT, 0);
}

static void interrupt(void *arg)
{
        uint64_t flags = spin_lock(&i8042.serving);
        enum source s;
        uint8_t byte;

        (void)arg;
        for (unsigned i = 0; i < DRAIN_BYTES && (s = next_byte(&byte)) != NOTHING; i++) {
                if (s == FROM_MOUSE && i8042.have_mouse)
                        mouse_byte(byte);
                else if (s == FROM_KEYBOARD && i8042.have_kbd)
                        keyboard_byte(byte);
        }
        spin_unlock(&i8042.serving, flags);
}

void i8042_poll(void)
{
        if (i8042.have_kbd || i8042.have_mouse)
                interrupt(NULL);
}

static bool start_keyboard(void)
{
        struct input_device *d = &i8042.kbd;

        if (!command(CMD_ENABLE_KBD))
                return false;
        discard_output();
        if (!tell(false, DEV_SET_RATE) || !tell(false, 0x00)) /* 250 ms, then 30 a second */
                return false;
        if (!tell(false, DEV_ENABLE))
                return false;

        str_copy(d->name, "PS/2 keyboard", sizeof(d->name));
        d->bus = BUS_I8042;
        d->vendor = d->product = 1;
        d->version = 0xab41;
        d->evbits = 1ul << EV_SYN | 1ul << EV_KEY | 1ul << EV_LED | 1ul << EV_REP;
        d->ledbits = 1u << LED_NUML | 1u << LED_CAPSL | 1u << LED_SCROLLL;
        d->set_leds = set_leds;
        ps2_keyboard_codes(d->keybits, sizeof(d->keybits));
        return true;
}

/* The knock that makes a mouse with a wheel or five buttons say so. */
static int mouse_id_after(uint8_t a, uint8_t b, uint8_t c)
{
        const uint8_t rates[] = {a, b, c};

        for (unsigned i = 0; i < ARRAY_SIZE(rates); i++)
                if (!tell(true, DEV_SET_RATE) || !tell(true, rates[i]))
                        return -1;
        return tell(true, DEV_GET_ID) ? answer() : -1;
}

static bool start_mouse(void)
{
        struct input_device *d = &i8042.mouse;
        unsigned nbuttons = 3;
        int config;

        if (!command(CMD_ENABLE_AUX))
                return false;
        config = read_config();
        if (config < 0 || (config & CONFIG_AUX_OFF))
                return false; /* a controller without a second port keeps its clock off */
        if (!tell(true, DEV_DEFAULTS))
                return false;

        i8042.mouse_state.packet_len = 3;
        if (mouse_id_after(200, 100, 80) == 3) {
                i8042.mouse_state.packet_len = 4;
                if (mouse_id_after(200, 200, 80) == 4) {
                        i8042.mouse_state.five_buttons = true;
                        nbuttons = 5;
                }
        }
        if (!tell(true, DEV_SET_RATE) || !tell(true, 100) || !tell(true, MOUSE_RESOLUTION) || !tell(true, 3) ||
            !tell(true, DEV_ENABLE))
                return false;

        str_copy(d->name, "PS/2 mouse", sizeof(d->name));
        d->bus = BUS_I8042;
        d->vendor = 2;
        d->product = nbuttons == 5 ? 6 : 1;
        d->evbits = 1ul << EV_SYN | 1ul << EV_KEY | 1ul << EV_REL;
        for (unsigned i = 0; i < nbuttons; i++)
                d->keybits[(BTN_LEFT + i) / 8] |= 1u << (BTN_LEFT + i) % 8;
        d->relbits[0] = 1u << REL_X | 1u << REL_Y;
        if (i8042.mouse_state.packet_len == 4)
                d->relbits[REL_WHEEL / 8] |= 1u << REL_WHEEL % 8;
        return true;
}

static void enable_interrupts(uint8_t config)
{
        if (i8042.have_kbd && irq_register_isa(1, interrupt, NULL) == 0)
                config |= CONFIG_KBD_IRQ;
        if (i8042.have_mouse && irq_register_isa(12, interrupt, NULL) == 0)
                config |= CONFIG_AUX_IRQ;
        discard_output();
        write_config(config);
}

void i8042_init(void)
{
        int config;

        if (inb(PORT_STATUS) == 0xff)
                return;
        command(CMD_DISABLE_KBD);
        command(CMD_DISABLE_AUX);
        discard_output();
        config = read_config();
        if (config < 0)
                return;
        config = (config | CONFIG_TRANSLATE) & ~(CONFIG_KBD_IRQ | CONFIG_AUX_IRQ);
        if (!write_config(config))
                return;

        i8042.have_kbd = start_keyboard();
        i8042.have_mouse = start_mouse();
        config = read_config();
        if (config < 0)
                return;
        if (i8042.have_kbd && input_register(&i8042.kbd) == 0)
                klog(LOG_INFO, "i8042: PS/2 keyboard");
        if (i8042.have_mouse && input_register(&i8042.mouse) == 0)
                klog(LOG_INFO, "i8042: PS/2 mouse%s", i8042.mouse_state.five_buttons ? ", five buttons" : "");
        enable_interrupts(config);
}
