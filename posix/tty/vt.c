/*
 * vt.c - ioctls of virtual terminals (ioctl_console(2)): what programs ask to find out that they are on a console and which one is in front.
 */
#include "posix/tty/tty_internal.h"
#include <linux/kd.h>
#include <linux/keyboard.h>
#include <linux/vt.h>

static bool is_console(unsigned minor)
{
        return minor >= 1 && minor < 64 && tty_state()->port[minor];
}

static long put_bytes(struct call *c, uint64_t arg, const void *value, size_t len)
{
        return copy_out(c, arg, value, len) ? 0 : user_fault(c);
}

static long get_state(struct call *c, uint64_t arg)
{
        struct vt_stat s = {.v_active = (uint16_t)console_active(), .v_state = 1};

        for (unsigned i = 1; i < 16; i++)
                if (is_console(i) && (tty_state()->port[i]->nopen || i == console_active()))
                        s.v_state |= (uint16_t)(1u << i);
        return put_bytes(c, arg, &s, sizeof(s));
}

static long first_free(struct call *c, uint64_t arg)
{
        int n = -1;

        for (unsigned i = 1; n < 0 && i < 64; i++)
                if (is_console(i) && !tty_state()->port[i]->nopen)
                        n = (int)i;
        return put_bytes(c, arg, &n, sizeof(n));
}

static long set_byte(struct call *c, uint8_t *field, uint64_t value)
{
        changes(c);
        *field = (uint8_t)value;
        return 0;
}

static long activate(uint64_t vt)
{
        if (!is_console((unsigned)vt))
                return -ENXIO;
        return console_activate((unsigned)vt);
}

long vt_ioctl(struct call *c, struct tty *t, unsigned cmd, uint64_t arg)
{
        bool mine = tty_is_mine(t) || capable(CAP_SYS_TTY_CONFIG);
        uint8_t byte;
        int value;

        if (t->kind != TTY_PORT || t->index >= 64)
                return -ENOIOCTLCMD;
        switch (cmd) {
        case KDGKBTYPE:
                byte = KB_101;
                return put_bytes(c, arg, &byte, 1);
        case KDGETMODE:
                value = t->vt_mode;
                return put_bytes(c, arg, &value, sizeof(value));
        case KDSETMODE:
                if (!mine)
                        return -EPERM;
                return arg > KD_TEXT1 ? -EINVAL : set_byte(c, &t->vt_mode, arg == KD_GRAPHICS);
        case KDGKBMODE:
                value = t->kb_mode;
                return put_bytes(c, arg, &value, sizeof(value));
        case KDSKBMODE:
                if (!mine)
                        return -EPERM;
                return arg > K_OFF ? -EINVAL : set_byte(c, &t->kb_mode, arg);
        case KDGKBLED:
                byte = t->kb_leds & 7;
                return put_bytes(c, arg, &byte, 1);
        case KDSKBLED:
                if (!mine)
                        return -EPERM;
                return arg & ~0x77ul ? -EINVAL : set_byte(c, &t->kb_leds, arg);
        case KDGETLED:
                byte = t->kb_leds & 7;
                return put_bytes(c, arg, &byte, 1);
        case KDSETLED:
                return mine ? 0 : -EPERM;
        case KDGKBMETA:
                value = K_ESCPREFIX;
                return put_bytes(c, arg, &value, sizeof(value));
        case KIOCSOUND:
        case KDMKTONE:
                return mine ? 0 : -EPERM; /* no speaker: silence is what such a machine gives on Linux too */
        case VT_OPENQRY:
                return first_free(c, arg);
        case VT_GETSTATE:
                return get_state(c, arg);
        case VT_GETMODE: {
                struct vt_mode m = {.mode = VT_AUTO};

                return put_bytes(c, arg, &m, sizeof(m));
        }
        case VT_SETMODE: {
                struct vt_mode m;

                if (!mine)
                        return -EPERM;
                if (!copy_in(c, &m, arg, sizeof(m)))
                        return user_fault(c);
                return m.mode == VT_AUTO ? 0 : -EINVAL; /* the kernel draws: no program takes part in switching */
        }
        case VT_ACTIVATE:
                return mine ? activate(arg) : -EPERM;
        case VT_WAITACTIVE:
                return !is_console((unsigned)arg) ? -ENXIO : arg == console_active() ? 0 : -EINTR;
        case VT_RELDISP:
                return mine ? -EINVAL : -EPERM;
        case VT_DISALLOCATE:
                if (arg > 63)
                        return -ENXIO;
                return arg == 0 ? 0 : !is_console((unsigned)arg) ? 0 : -EBUSY;
        default:
                return -ENOIOCTLCMD;
        }
}
