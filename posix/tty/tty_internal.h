/* tty_internal.h - between the files of posix/tty only. */
#pragma once
#include "posix/include/tty.h"
#include "posix/include/poll.h"
#include "kernel/include/work.h"

#define TTY_PORTS 80u   /* minors of major 4: tty1.. and ttyS0.. */
#define TTY_CHUNK 1024u /* user bytes a section reads or writes */

/* Root block: posix_root()->tty_state. */
struct tty_state {
        struct tty *port[TTY_PORTS]; /* FIELD_REF, kept for ever */
        struct tty *pty[PTY_MAX];    /* FIELD_BORROW: gone with the last reference */
};
static inline struct tty_state *tty_state(void)
{
        return posix_root()->tty_state;
}

/* Volatile half of a port: input between interrupt and work item. */
#define PORT_RING 4096u
struct tty_upper {
        struct work work;
        struct tty_port *port;
        struct tty *tty;
        struct spinlock lock;
        uint32_t head, tail;      /* l */
        volatile uint32_t events; /* UPPER_* */
        char ring[PORT_RING];     /* l */
};
#define UPPER_HANGUP  1u
#define UPPER_RESIZED 2u
struct tty_port *tty_port_of(const struct tty *t); /* NULL: pty, or a port this machine lacks */
void tty_port_kick(struct tty *t);                 /* its work item: more room for input, or output to go on with */

/* ---- discipline (ldisc.c): all after changes(), LOCK_TTY held ---- */

/* Output on its way: gathered, then given to the port or the pty's ring. */
struct tty_sink {
        struct tty *tty;
        struct tty_port *port;
        unsigned n;
        bool refused; /* the port took less: the rest is in tty->out, nothing more may follow but echoes */
        bool any;
        char buf[256];
};
void sink_init(struct tty_sink *s, struct tty *t);
void sink_char(struct tty_sink *s, char ch);
void sink_flush(struct tty_sink *s);      /* hands on and wakes the master's readers */
bool sink_open(const struct tty_sink *s); /* eight more bytes of a program's output may be put */
void tty_out_pump(struct tty *t);         /* what waits in tty->out goes to the port */

size_t tty_output(struct tty_sink *s, const char *bytes, size_t len); /* write(2): OPOST; bytes taken */
size_t tty_input(struct tty *t, struct tty_sink *echo, const char *bytes,
                 size_t len);               /* bytes taken; signals, echoes, wakes */
size_t tty_input_room(const struct tty *t); /* at least; > 0 says that input can be taken */
bool tty_readable(const struct tty *t, bool poll);
void tty_start(struct tty *t);
void tty_stop(struct tty *t);
void tty_flush_input(struct tty *t);
void tty_flush_output(struct tty *t);
void tty_termios_set(struct tty *t, const struct ktermios *k);
void tty_packet_note(struct tty *t, unsigned status);
void tty_unthrottle(struct tty *t);
void tty_touch(const struct tty *t); /* before changes(): its pages are there */
extern const struct ktermios tty_termios_default;

static inline bool l_flag(const struct tty *t, uint32_t f)
{
        return t->termios.c_lflag & f;
}
static inline bool i_flag(const struct tty *t, uint32_t f)
{
        return t->termios.c_iflag & f;
}
static inline bool tty_canonical(const struct tty *t)
{
        return l_flag(t, ICANON) && !l_flag(t, EXTPROC);
}

/* ---- job control (job.c) ---- */
/* May the caller's group use the terminal? 0, -EIO, or -ERESTARTSYS after the signal was sent (a change). No lock of rank >= LOCK_TTY held. */
long tty_job_check(struct call *c, struct tty *t, int signo);
void tty_signal_foreground(struct tty *t, int signo); /* after changes() */
bool tty_is_mine(const struct tty *t);                /* the caller's controlling terminal */
void tty_set_controlling(struct tty *t);              /* of the caller's session; after changes(), LOCK_TTY held */
void tty_open_controlling(struct tty *t, struct file *f, uint32_t flags);
void tty_hangup(struct tty *t, bool session_exit); /* after changes(), LOCK_TTY held */
long tty_ioctl_job(struct call *c, struct file *f, struct tty *t, bool master, unsigned cmd, uint64_t arg);

/* ---- the rest ---- */
static inline struct tty *file_tty(struct file *f)
{
        return (struct tty *)f->priv;
}
#define FILE_HANGUPS aux[0]
static inline bool tty_hung_up(const struct file *f)
{
        const struct tty *t = (const struct tty *)f->priv;

        return f->ops_type != FILE_DEV_CONSOLE && f->FILE_HANGUPS != READ_ONCE(t->hangups);
}
static inline void tty_lock(struct tty *t)
{
        lock(LOCK_TTY, t);
}
static inline void tty_unlock(struct tty *t)
{
        unlock(LOCK_TTY, t);
}
long tty_wait_sent(struct call *c, struct tty *t); /* 0: all output is out; else the call's result. LOCK_TTY held */
long tty_ioctl(struct call *c, struct file *f, unsigned cmd, uint64_t arg);
long vt_ioctl(struct call *c, struct tty *t, unsigned cmd, uint64_t arg); /* -ENOIOCTLCMD (515): not one of its */
#define ENOIOCTLCMD 515
struct tty *tty_new(enum tty_kind kind, uint32_t index);
bool tty_release(void *object);
void tty_release_touch(void *object);
long ptmx_open(struct call *c, struct inode *i, uint32_t flags);
void pty_slave_closed(struct tty *t);
long pty_ioctl(struct call *c, struct file *f, struct tty *t, bool master, unsigned cmd, uint64_t arg);
uint32_t tty_file_mode(uint32_t flags);
struct file *tty_file_new(struct tty *t, enum file_type type, struct inode *i, uint32_t flags);
