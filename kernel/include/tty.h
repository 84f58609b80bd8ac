/*
 * tty.h - character terminals below the line discipline: serial ports and the text console. Output is pushed by
 * posix/tty from a section; a driver takes what it has room for and calls `drained` (interrupt context) when more can
 * be taken. Input bytes are delivered in interrupt context by `input`; posix/tty queues them for its work item. What
 * must survive (termios, input queue, cells, cursor, modes) is posix/tty's, in the space.
 */
#pragma once
#include "kernel/include/types.h"

struct tty_port;
struct tty_port_ops {
        /*
         * Returns bytes taken, may be 0. Called after the section's first change, by one caller at a time for each
         * port. A short count has two reasons: no room (room() is 0 then: wait for drained), or one section may not
         * dirty more (room() is not 0: go on in the next section).
         */
        size_t (*write)(struct tty_port *, const char *bytes, size_t len);
        size_t (*room)(struct tty_port *);
        bool (*empty)(struct tty_port *);                                   /* all sent (tcdrain) */
        void (*set_line)(struct tty_port *, uint32_t baud, uint32_t cflag); /* may be NULL */
        /*
         * NULL: nothing to prepare. Otherwise called before the section's first change whenever write() will follow in
         * the same section: reads every persistent page that write() may touch, so that an absent one abandons the
         * section now.
         */
        void (*prepare)(struct tty_port *);
};
struct tty_port {
        char name[8];   /* "tty1", "ttyS0" */
        unsigned minor; /* Linux's: tty1 -> 4:1, ttyS0 -> 4:64 */
        uint16_t rows, cols;
        const struct tty_port_ops *ops;
        void *driver;
        void (*input)(struct tty_port *, const char *bytes, size_t len); /* set by posix/tty */
        void (*drained)(struct tty_port *);
        void (*resized)(struct tty_port *);
        void (*hangup)(struct tty_port *);
        void *upper; /* posix/tty's volatile half */
};
int tty_port_register(struct tty_port *p); /* drivers, at boot; 0 or -ENOSPC */
struct tty_port *tty_port_by_minor(unsigned minor);
struct tty_port *tty_port_by_index(unsigned index); /* NULL past the last */

/*
 * Text console (kernel/drivers/video + libvterm): its emulator state is volatile; cells, cursor, modes and scrollback
 * live in a block of the space that posix/tty allocates and hands over: console_state_size() bytes (the same for every
 * kernel of one version), page-aligned, for each virtual terminal, attached before the first output. The driver writes
 * it in sections only (tty_port.write, and work items of its own that call hooks.changes). No pointers in it; it
 * carries a version.
 *
 * console_attach with restored false: the block is zero-filled and the section's first change was made; what was on the
 * screen before (the kernel's log, tty1) is copied into it. With restored true it only reads the block, so it may be
 * abandoned and run again; it may also be called again later, when volatile state was dropped. Returns 0, or -EINVAL
 * when the block is not one (other version, damaged): zero it then, and attach it as new. A block whose screen had
 * another size is turned into this one's by console_reshape, in a section after its first change, before any output;
 * console_attach says so by -ERANGE, having attached nothing.
 */
size_t console_state_size(void);
int console_attach(struct tty_port *p, void *state, bool restored);
int console_reshape(struct tty_port *p, void *state); /* 0 or -ENOMEM; then attach with restored true */
bool console_is(const struct tty_port *p);            /* a text console: wants a block */
unsigned console_active(void);                        /* number of the terminal in front, from 1; any context */
int console_activate(unsigned vt);                    /* 0 or -ENXIO; any context */
