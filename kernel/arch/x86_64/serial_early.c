/*
 * serial_early.c - COM1 by polling: the kernel log before there are drivers, panics, the debugger. It sets the line once and never
 * touches interrupts, so the driver in kernel/drivers/tty can own the port at the same time.
 */
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/arch/machine.h"

#define COM1 0x3f8
enum { DATA = 0, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5, SCRATCH = 7 };
#define LSR_DATA  0x01
#define LSR_EMPTY 0x20

static bool present;

void serial_early_init(void)
{
        outb(COM1 + SCRATCH, 0x5a);
        if (inb(COM1 + SCRATCH) != 0x5a)
                return;
        outb(COM1 + IER, 0);
        outb(COM1 + LCR, 0x80);
        outb(COM1 + DATA, 1); /* 115200 */
        outb(COM1 + IER, 0);
        outb(COM1 + LCR, 3);
        outb(COM1 + FCR, 7);
        outb(COM1 + MCR, 3);
        present = true;
}

void serial_early_putc(char c)
{
        if (!present)
                return;
        if (c == '\n')
                serial_early_putc('\r');
        for (unsigned i = 0; i < 100000 && !(inb(COM1 + LSR) & LSR_EMPTY); i++)
                cpu_relax();
        outb(COM1 + DATA, (uint8_t)c);
}

int serial_early_getc(void)
{
        if (!present || !(inb(COM1 + LSR) & LSR_DATA))
                return -1;
        return inb(COM1 + DATA);
}
