/*
 * input.c - input devices and who listens to them. Both tables only grow, at boot; their counts are published after the
 * entries, so that interrupt handlers read them without a lock.
 */
#include <linux/input-event-codes.h>
#include "kernel/include/cpu.h"
#include "kernel/include/input.h"
#include "kernel/include/time.h"

#define DEVICES_MAX   16
#define LISTENERS_MAX 8

struct listener {
        void (*fn)(void *arg, struct input_device *, const struct input_event_raw *);
        void *arg;
};

static struct input_device *devices[DEVICES_MAX];
static unsigned ndevices;
static struct listener listeners[LISTENERS_MAX];
static unsigned nlisteners;
static struct spinlock tables_lock;
static void (*grab)(struct input_device *, const struct input_event_raw *);

_Static_assert(INPUT_KEY_BYTES * 8 >= KEY_CNT, "every key has a bit");

int input_register(struct input_device *d)
{
        uint64_t flags = spin_lock(&tables_lock);
        int err = -ENOSPC;

        if (ndevices < DEVICES_MAX) {
                d->index = ndevices;
                devices[ndevices] = d;
                __atomic_store_n(&ndevices, ndevices + 1, __ATOMIC_RELEASE);
                err = 0;
        }
        spin_unlock(&tables_lock, flags);
        return err;
}

struct input_device *input_by_index(unsigned index)
{
        return index < __atomic_load_n(&ndevices, __ATOMIC_ACQUIRE) ? devices[index] : NULL;
}

int input_listen(void (*fn)(void *arg, struct input_device *, const struct input_event_raw *), void *arg)
{
        uint64_t flags = spin_lock(&tables_lock);
        int err = -ENOSPC;

        if (nlisteners < LISTENERS_MAX) {
                listeners[nlisteners] = (struct listener){fn, arg};
                __atomic_store_n(&nlisteners, nlisteners + 1, __ATOMIC_RELEASE);
                err = 0;
        }
        spin_unlock(&tables_lock, flags);
        return err;
}

void input_grab(void (*fn)(struct input_device *, const struct input_event_raw *))
{
        grab = fn;
}

/* Returns false for a release of a key that is up; turns a second press into a repeat. */
static bool key_changes(struct input_device *d, uint16_t code, int32_t *value)
{
        uint8_t *byte = &d->key_state[code / 8];
        uint8_t bit = 1u << (code % 8);
        bool down = *byte & bit;

        if (*value == 0) {
                *byte &= ~bit;
                return down;
        }
        *byte |= bit;
        *value = down ? 2 : 1;
        return true;
}

void input_event(struct input_device *d, uint16_t type, uint16_t code, int32_t value)
{
        struct input_event_raw ev = {.time_ns = time_mono_ns(), .type = type, .code = code};
        unsigned n = __atomic_load_n(&nlisteners, __ATOMIC_ACQUIRE);

        if (type == EV_KEY && (code >= KEY_CNT || !key_changes(d, code, &value)))
                return;
        ev.value = value;
        if (unlikely(grab != NULL)) {
                grab(d, &ev);
                return;
        }
        for (unsigned i = 0; i < n; i++)
                listeners[i].fn(listeners[i].arg, d, &ev);
}
