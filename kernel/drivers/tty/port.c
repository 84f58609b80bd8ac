/*
 * port.c - the registry of terminals below the line discipline. Ports are registered at boot and never go away, so
 * readers need no lock: `count` is published after the entry.
 */
#include "kernel/include/cpu.h"
#include "kernel/include/tty.h"

#define TTY_PORTS_MAX 16

static struct tty_port *ports[TTY_PORTS_MAX];
static unsigned count;
static struct spinlock registry_lock;

int tty_port_register(struct tty_port *p)
{
        uint64_t flags = spin_lock(&registry_lock);
        int err = -ENOSPC;

        if (count < TTY_PORTS_MAX) {
                ports[count] = p;
                __atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
                err = 0;
        }
        spin_unlock(&registry_lock, flags);
        return err;
}

struct tty_port *tty_port_by_index(unsigned index)
{
        return index < __atomic_load_n(&count, __ATOMIC_ACQUIRE) ? ports[index] : NULL;
}

struct tty_port *tty_port_by_minor(unsigned minor)
{
        struct tty_port *p;

        for (unsigned i = 0; (p = tty_port_by_index(i)); i++)
                if (p->minor == minor)
                        return p;
        return NULL;
}
