/*
 * tty.h - character terminals below the line discipline: serial ports and the text console.
 * Output is pushed by posix/tty from a section; a driver takes what it has room for and calls `drained` (interrupt context) when
 * more can be taken. Input bytes are delivered in interrupt context by `input`; posix/tty queues them for its work item.
 * What must survive (termios, input queue, cells, cursor, modes) is posix/tty's, in the space.
 */
#pragma once
#include "kernel/include/types.h"

struct tty_port;
struct tty_port_ops {
        size_t (*write)(struct tty_port *, const char *bytes, size_t len);  /* returns bytes taken, may be 0 */
        size_t (*room)(struct tty_port *);
        bool (*empty)(struct tty_port *);                                     /* all sent (tcdrain) */
        void (*set_line)(struct tty_port *, uint32_t baud, uint32_t cflag);   /* may be NULL */
};
struct tty_port {
        char name[8];                 /* "tty1", "ttyS0" */
        unsigned minor;               /* Linux's: tty1 -> 4:1, ttyS0 -> 4:64 */
        uint16_t rows, cols;
        const struct tty_port_ops *ops;
        void *driver;
        void (*input)(struct tty_port *, const char *bytes, size_t len);  /* set by posix/tty */
        void (*drained)(struct tty_port *);
        void (*resized)(struct tty_port *);
        void (*hangup)(struct tty_port *);
        void *upper;                  /* posix/tty's volatile half */
};
int tty_port_register(struct tty_port *p);        /* drivers, at boot; 0 or -ENOSPC */
struct tty_port *tty_port_by_minor(unsigned minor);
struct tty_port *tty_port_by_index(unsigned index);  /* NULL past the last */

/*
 * Text console (kernel/drivers/video + libvterm): its emulator state is volatile; cells, cursor, modes and scrollback live in a
 * block of the space that posix/tty allocates and hands over: console_state_size() bytes for each virtual terminal, attached
 * before the first output; after a reboot console_attach(vt, state, true) redraws from it. The driver writes it in sections only
 * (tty_port.write is called from a section).
 */
size_t console_state_size(void);
void console_attach(struct tty_port *p, void *state, bool restored);
