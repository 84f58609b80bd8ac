/*
 * job.c - sessions and terminals: who may read and write, whom the keys signal, hang-up.
 * session->tty, session->foreground and tty->session change together under LOCK_TTY and LOCK_PROCTREE; single looks need neither.
 */
#include "posix/tty/tty_internal.h"
#include <asm/ioctls.h>

bool tty_is_mine(const struct tty *t)
{
        struct session *s = process_current()->session;

        return s && READ_ONCE(s->tty) == t;
}

long tty_job_check(struct call *c, struct tty *t, int signo)
{
        struct process *p = c->thread->proc;
        struct pgrp *fg;
        bool orphaned;

        if (!tty_is_mine(t))
                return 0;
        fg = READ_ONCE(p->session->foreground);
        if (!fg || fg == p->pgrp)
                return 0;
        if (signal_ignored_or_blocked(c->thread, signo))
                return signo == SIGTTIN ? -EIO : 0;
        proctree_lock();
        orphaned = process_orphaned_pgrp(p->pgrp);
        proctree_unlock();
        if (orphaned)
                return -EIO;
        changes(c);
        signal_send_pgrp(p->pgrp, signo, NULL);
        return -ERESTARTSYS;
}

void tty_signal_foreground(struct tty *t, int signo)
{
        struct session *s = t->session;
        struct pgrp *g = s ? s->foreground : NULL;

        if (g)
                signal_send_pgrp(g, signo, NULL);
}

/* LOCK_PROCTREE held. */
static void let_go(struct session *s)
{
        if (s->tty)
                s->tty->session = NULL;
        s->tty = NULL;
        s->foreground = NULL;
}

void tty_set_controlling(struct tty *t)
{
        struct process *p = process_current();

        proctree_lock();
        if (t->session)
                let_go(t->session);
        p->session->tty = t;
        p->session->foreground = p->pgrp;
        t->session = p->session;
        proctree_unlock();
}

/* A session leader without a terminal that opens one nobody has gets it. */
void tty_open_controlling(struct tty *t, struct file *f, uint32_t flags)
{
        struct process *p = process_current();

        if (flags & O_NOCTTY || !(f->mode & FMODE_READ) || p->session->sid != p->pid || p->session->tty || t->session)
                return;
        tty_set_controlling(t);
}

void tty_hangup(struct tty *t, bool session_exit)
{
        struct session *s = t->session;
        struct process *leader;

        t->hangups++;
        if (s) {
                if (session_exit && s->foreground)
                        signal_send_pgrp(s->foreground, SIGHUP, NULL);
                leader = process_find(s->sid);
                if (leader) {
                        signal_send_process(leader, SIGHUP, NULL);
                        signal_send_process(leader, SIGCONT, NULL);
                }
                proctree_lock();
                let_go(s);
                proctree_unlock();
        }
        t->stopped_by_call = 0;
        tty_start(t);
        tty_flush_input(t);
        if (t->kind == TTY_PTY) {
                wake(&t->out_head);
        } else {
                uint32_t cflag = t->termios.c_cflag;
                uint32_t utf8 = t->termios.c_iflag & IUTF8;

                tty_flush_output(t);
                t->termios = tty_termios_default;
                t->termios.c_cflag = cflag;
                t->termios.c_iflag |= utf8;
        }
        wake(&t->read_head);
        wake(&t->out_room);
        wake(&t->in_room);
}

void tty_session_exit(struct session *s)
{
        struct tty *t = s->tty;

        if (!t)
                return;
        tty_lock(t);
        tty_touch(t);
        section_changes();
        if (s->tty == t)
                tty_hangup(t, true);
        tty_unlock(t);
}

/* TIOCNOTTY: the leader gives the terminal up for its whole session. */
static long ioctl_notty(struct call *c, struct tty *t)
{
        struct process *p = c->thread->proc;
        struct pgrp *g;

        if (!tty_is_mine(t))
                return -ENOTTY;
        if (p->session->sid != p->pid)
                return 0; /* Linux takes it from this process alone; here a session has one terminal or none */
        tty_lock(t);
        tty_touch(t);
        changes(c);
        g = p->session->foreground;
        if (t->kind != TTY_PTY) {
                tty_hangup(t, false);
                return 0;
        }
        proctree_lock();
        let_go(p->session);
        proctree_unlock();
        if (g) {
                signal_send_pgrp(g, SIGHUP, NULL);
                signal_send_pgrp(g, SIGCONT, NULL);
        }
        return 0;
}

static long ioctl_sctty(struct call *c, struct file *f, struct tty *t, uint64_t steal)
{
        struct process *p = c->thread->proc;
        bool leader = p->session->sid == p->pid;

        tty_lock(t);
        if (leader && t->session == p->session)
                return 0;
        if (!leader || p->session->tty)
                return -EPERM;
        if (t->session && !(steal == 1 && capable(CAP_SYS_ADMIN)))
                return -EPERM;
        if (!(f->mode & FMODE_READ) && !capable(CAP_SYS_ADMIN))
                return -EPERM;
        changes(c);
        tty_set_controlling(t);
        return 0;
}

static long ioctl_gpgrp(struct call *c, struct tty *t, bool master, uint64_t arg)
{
        struct session *s = READ_ONCE(t->session);
        struct pgrp *g;
        int32_t id;

        if (!master && !tty_is_mine(t))
                return -ENOTTY;
        g = s ? READ_ONCE(s->foreground) : NULL;
        id = g ? g->pgid : 0;
        return copy_out(c, arg, &id, sizeof(id)) ? 0 : user_fault(c);
}

static long ioctl_spgrp(struct call *c, struct tty *t, uint64_t arg)
{
        struct process *p = c->thread->proc;
        struct pgrp *g;
        int32_t id;
        long r = tty_job_check(c, t, SIGTTOU);

        if (r == -EIO)
                return -ENOTTY;
        if (r < 0)
                return r;
        if (!tty_is_mine(t))
                return -ENOTTY;
        if (!copy_in(c, &id, arg, sizeof(id)))
                return user_fault(c);
        if (id < 0)
                return -EINVAL;
        tty_lock(t);
        proctree_lock();
        g = pgrp_find(id);
        if (!g)
                return -ESRCH;
        if (g->session != p->session)
                return -EPERM;
        changes(c);
        p->session->foreground = g;
        return 0;
}

static long ioctl_gsid(struct call *c, struct tty *t, bool master, uint64_t arg)
{
        struct session *s = READ_ONCE(t->session);

        if ((!master && !tty_is_mine(t)) || !s)
                return -ENOTTY;
        return copy_out(c, arg, &s->sid, sizeof(s->sid)) ? 0 : user_fault(c);
}

long tty_ioctl_job(struct call *c, struct file *f, struct tty *t, bool master, unsigned cmd, uint64_t arg)
{
        switch (cmd) {
        case TIOCNOTTY:
                return ioctl_notty(c, t);
        case TIOCSCTTY:
                return ioctl_sctty(c, f, t, arg);
        case TIOCGPGRP:
                return ioctl_gpgrp(c, t, master, arg);
        case TIOCSPGRP:
                return ioctl_spgrp(c, t, arg);
        case TIOCGSID:
                return ioctl_gsid(c, t, master, arg);
        default:
                return -ENOIOCTLCMD;
        }
}

long sys_vhangup(struct call *c)
{
        struct session *s = c->thread->proc->session;
        struct tty *t;

        if (!capable(CAP_SYS_TTY_CONFIG))
                return -EPERM;
        t = s ? s->tty : NULL;
        if (!t)
                return 0;
        tty_lock(t);
        tty_touch(t);
        changes(c);
        tty_hangup(t, false);
        return 0;
}
