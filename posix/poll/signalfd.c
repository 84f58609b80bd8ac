/* signalfd.c - signals as something to read. Shows what is pending for whoever reads, not for whoever made it, as on Linux. */
#include "posix/poll/events.h"
#include "posix/poll/anon.h"
#include <linux/signalfd.h>

#define UNMASKABLE (sigbit(SIGKILL) | sigbit(SIGSTOP))

bool signalfd_release(void *object)
{
        section_changes();
        space_free(object);
        return false;
}

static sigset64 pending(const struct thread *t)
{
        return READ_ONCE(t->pending.set) | READ_ONCE(t->proc->pending.set);
}

static void fill(struct signalfd_siginfo *out, const siginfo_t *si)
{
        *out = (struct signalfd_siginfo){
                .ssi_signo = (uint32_t)si->si_signo, .ssi_errno = si->si_errno, .ssi_code = si->si_code};
        if (si->si_signo == SIGCHLD && si->si_code > 0) {
                out->ssi_pid = (uint32_t)si->si_pid;
                out->ssi_uid = si->si_uid;
                out->ssi_status = si->si_status;
                out->ssi_utime = (uint64_t)si->si_utime;
                out->ssi_stime = (uint64_t)si->si_stime;
        } else if (si->si_code == SI_TIMER) {
                out->ssi_tid = (uint32_t)si->si_tid;
                out->ssi_overrun = (uint32_t)si->si_overrun;
                out->ssi_ptr = (uint64_t)si->si_ptr;
                out->ssi_int = si->si_int;
        } else if (si->si_signo == SIGPOLL && si->si_code > 0) {
                out->ssi_band = (uint32_t)si->si_band;
                out->ssi_fd = si->si_fd;
        } else if (si->si_code > 0 && si->si_code != SI_KERNEL) {
                out->ssi_addr = (uint64_t)si->si_addr;
        } else {
                out->ssi_pid = (uint32_t)si->si_pid;
                out->ssi_uid = si->si_uid;
                out->ssi_ptr = (uint64_t)si->si_ptr;
                out->ssi_int = si->si_int;
        }
}

/*
 * One signal a section: it is taken from the queue (a change) and then copied out, so the user's memory is tried first by writing zeroes, which
 * are no news to it: its bytes count only when read() returns.
 */
static long signalfd_read(struct call *c, struct file *f)
{
        struct signalfd *s = (struct signalfd *)f->priv;
        struct thread *t = c->thread;
        struct signalfd_siginfo out = {0};
        siginfo_t info;

        if (c->io.len + c->io.done < sizeof(out))
                return -EINVAL;
        if (c->io.len < sizeof(out))
                return c->io.done;
        if (!(pending(t) & s->set)) {
                if (c->io.done)
                        return c->io.done;
                if (f->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                if (poll_key(c, signal_key(t->proc)) < 0)
                        return -ENOMEM;
                if (pending(t) & s->set)
                        return CALL_AGAIN;
                return call_wait_poll(c, INTERRUPTIBLE, NO_DEADLINE);
        }
        if (io_copy_out(&c->io, &out, sizeof(out)) != sizeof(out))
                return user_fault(c);
        changes(c);
        __builtin_memset(&info, 0, sizeof(info));
        if (!signal_dequeue(t, s->set, &info))
                return CALL_AGAIN; /* another thread had it */
        fill(&out, &info);
        (void)io_copy_out(&c->io, &out, sizeof(out));
        io_advance(&c->io, sizeof(out));
        return c->io.len >= sizeof(out) && pending(t) & s->set ? CALL_AGAIN : (long)c->io.done;
}

static uint32_t signalfd_poll(struct file *f, struct poll_table *pt)
{
        struct signalfd *s = (struct signalfd *)f->priv;
        struct thread *t = thread_current();

        poll_register(pt, pt->signal_key ? pt->signal_key : signal_key(t->proc));
        return t && pending(t) & READ_ONCE(s->set) ? EPOLLIN : 0;
}

const struct file_ops signalfd_file_ops = {
        .name = "[signalfd]",
        .read = signalfd_read,
        .poll = signalfd_poll,
};

static long signalfd_make(struct call *c, uint32_t flags)
{
        struct signalfd *s;
        sigset64 set;
        int fd;

        if (flags & ~(uint32_t)(SFD_CLOEXEC | SFD_NONBLOCK) || c->arg[2] != sizeof(set))
                return -EINVAL;
        if (!copy_in(c, &set, c->arg[1], sizeof(set)))
                return user_fault(c);
        set &= ~UNMASKABLE;
        if ((int)c->arg[0] != -1) {
                struct file *f = fd_lookup_io(c, c->arg[0]);

                if (!f)
                        return -EBADF;
                if (f->ops_type != FILE_SIGNALFD)
                        return -EINVAL;
                changes(c);
                ((struct signalfd *)f->priv)->set = set;
                wake(signal_key(c->thread->proc));
                return (int)c->arg[0];
        }
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        if (!space_room(3))
                return -ENOMEM;
        changes(c);
        s = object_new(TYPE_SIGNALFD);
        s->set = set;
        anon_install(c, fd, FILE_SIGNALFD, flags, s, "[signalfd]");
        return fd;
}

long sys_signalfd(struct call *c)
{
        return signalfd_make(c, 0);
}

long sys_signalfd4(struct call *c)
{
        return signalfd_make(c, (uint32_t)c->arg[3]);
}
