/*
 * tty.h - terminals (posix/tty): ports of drivers and pseudo terminals. One object is a whole terminal; for a pty both sides.
 */
#pragma once
#include "posix/include/process.h"
#include "posix/include/vfs.h"
#include "kernel/include/tty.h"
#include <asm/termbits.h>
#include <asm/termios.h>

#define TTY_IN  4096u /* input queue, also the longest line; powers of two */
#define TTY_OUT 8192u /* pty: what the master has not read. Port: what the driver had no room for */

enum tty_kind { TTY_PORT, TTY_PTY };

/*
 * [P, l LOCK_TTY]. Positions run on for ever; they index modulo the size. `in` holds [read_tail, read_head); in canonical mode what is
 * readable ends at canon_head, and line_end marks the last character of each line. Resident: wakers and interrupts' work items write it.
 * Wake keys: &read_head (readers), &out_room (writers, and who waits for the end of output), &out_head (master's readers), &in_room
 * (master's writers).
 */
struct tty {
        struct object obj;
        uint8_t kind;                      /* [I] enum tty_kind */
        uint8_t stopped;                   /* by ^S or TCOOFF */
        uint8_t stopped_by_call;           /* TCOOFF: IXANY does not start it */
        uint8_t lnext, erasing;            /* after ^V; in the middle of ECHOPRT */
        uint8_t throttled;                 /* IXOFF: STOP was sent */
        uint8_t exclusive;                 /* TIOCEXCL */
        uint8_t discipline;                /* N_TTY; another number is kept and means the same */
        uint8_t locked;                    /* pty: TIOCSPTLCK */
        uint8_t packet, packet_status;     /* pty: TIOCPKT, TIOCPKT_* to tell */
        uint8_t master_open, slave_closed; /* pty: slave_closed: was open and is not */
        uint8_t vt_mode, kb_mode, kb_leds; /* port of a console: KD_TEXT.., K_UNICODE.. */
        uint32_t index;                    /* [I] port: minor of major 4; pty: number */
        uint32_t nopen;                    /* files, the master's not counted */
        uint32_t hangups;                  /* a file opened before the last one is dead */
        uint32_t column, canon_column;
        uint32_t uid, gid, mode; /* pty: of /dev/pts/N */
        int64_t time_ns;         /* pty: made; [V] nothing: it is only shown */
        struct session *session; /* FIELD_BORROW: whose controlling terminal it is; LOCK_PROCTREE too */
        struct ktermios termios, termios_locked;
        struct winsize winsize;
        char *in, *out; /* FIELD_OWN: TTY_IN, TTY_OUT bytes */
        void *console;  /* FIELD_OWN: the console driver's block */
        uint64_t read_head, read_tail, canon_head, in_room;
        uint64_t out_head, out_tail, out_room;
        uint64_t line_end[TTY_IN / 64];
        uint64_t spare[4];
};

extern const struct file_ops tty_file_ops, ptmx_file_ops, console_file_ops; /* FILE_TTY, FILE_PTMX, FILE_DEV_CONSOLE */

int tty_boot(
        void); /* every boot, after drivers: makes or finds the ports' terminals. Opens its own sections. 0, -ENOMEM */
void tty_session_exit(
        struct session *s);    /* its leader exits: hangs up the terminal; a section that has not changed anything */
struct tty *tty_console(void); /* what /dev/console is */

/* /dev/pts: number and owner of what there is. */
struct tty *pty_find(unsigned index); /* borrows; NULL: no such */
int pty_next(unsigned from);          /* first number >= from, -1: none */
#define PTY_MAX   1024u
#define PTY_MAJOR 136u
struct inode *devpts_inode(unsigned index) __attribute__((weak)); /* posix/fs: for TIOCGPTPEER; borrowed */
