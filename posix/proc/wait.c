/*
 * wait.c - wait4 and waitid. A CONDITION sleeper on its process's list of children: it is woken by every change of a child's state and looks again.
 * Status and rusage are copied out first, then the child is reaped: both in one section under LOCK_PROCTREE, so that no race can lose a status.
 */
#include "posix/proc/proc.h"
#include "posix/include/file.h"
#include "posix/include/mm.h"
#include "kernel/include/log.h"
#include <linux/wait.h>

struct wait_state {
        uint32_t which, options; /* P_* and W* */
        int32_t id;
        uint32_t siginfo;        /* waitid: what is told is a siginfo */
        uint64_t status, rusage; /* user addresses or 0 */
        struct process *process; /* P_PIDFD: borrowed from the file in c->file */
};

struct found {
        struct process *p;
        int code;
        int status;
};

static bool matches(const struct wait_state *s, const struct process *p)
{
        bool clone = p->exit_signal != SIGCHLD;

        if (s->which == P_PID && p->pid != s->id)
                return false;
        if (s->which == P_PGID && (!p->pgrp || p->pgrp->pgid != s->id))
                return false;
        if (s->which == P_PIDFD && p != s->process)
                return false;
        return (s->options & __WALL) || clone == !!(s->options & __WCLONE);
}

/* What p has to tell that the caller asked for. */
static bool reports(const struct wait_state *s, struct process *p, struct found *f)
{
        f->p = p;
        if (p->state == PROCESS_ZOMBIE) {
                if (!(s->options & WEXITED))
                        return false;
                f->status = p->exit_status;
                f->code = (f->status & 0x7f) == 0 ? CLD_EXITED : f->status & 0x80 ? CLD_DUMPED : CLD_KILLED;
                return true;
        }
        if (p->state == PROCESS_STOPPED && (s->options & WSTOPPED) && !p->stop_reported) {
                f->code = CLD_STOPPED;
                f->status = p->stop_signal << 8 | 0x7f;
                return true;
        }
        if (p->continued && (s->options & WCONTINUED)) {
                f->code = CLD_CONTINUED;
                f->status = 0xffff;
                return true;
        }
        return false;
}

void rusage_fill(struct rusage *r, struct process *p, int who)
{
        uint64_t user = 0, system = 0;

        *r = (struct rusage){0};
        if (who != RUSAGE_CHILDREN) {
                struct cpu_times ct;

                process_cpu_times(p, &ct);
                user += ct.user_ns;
                system += ct.system_ns;
                r->ru_minflt += (long)p->minflt;
                r->ru_majflt += (long)p->majflt;
                r->ru_nvcsw += (long)p->nvcsw;
                r->ru_nivcsw += (long)p->nivcsw;
                for (struct thread *t = p->times_folded ? NULL : p->threads; t; t = t->next) {
                        if (t->run == THREAD_DEAD)
                                continue;
                        r->ru_minflt += (long)t->minflt;
                        r->ru_majflt += (long)t->majflt;
                        r->ru_nvcsw += (long)t->nvcsw;
                        r->ru_nivcsw += (long)t->nivcsw;
                }
                r->ru_maxrss = (long)(MAX(p->maxrss, p->mm ? mm_rss_pages(p->mm) : 0) * (PAGE_SIZE / 1024));
        }
        if (who != RUSAGE_SELF) {
                user += p->cuser_ns;
                system += p->csystem_ns;
                r->ru_minflt += (long)p->cminflt;
                r->ru_majflt += (long)p->cmajflt;
                r->ru_maxrss = MAX(r->ru_maxrss, (long)(p->cmaxrss * (PAGE_SIZE / 1024)));
        }
        r->ru_utime.tv_sec = (long)(user / NSEC_PER_SEC);
        r->ru_utime.tv_usec = (long)(user % NSEC_PER_SEC / 1000);
        r->ru_stime.tv_sec = (long)(system / NSEC_PER_SEC);
        r->ru_stime.tv_usec = (long)(system % NSEC_PER_SEC / 1000);
}

/* What waitid writes: the first six words of a siginfo, the rest of the struct is not touched. */
struct wait_info {
        int32_t signo, err, code, pad;
        int32_t pid;
        uint32_t uid;
        int32_t status;
};

static bool tell(struct call *c, const struct wait_state *s, const struct found *f)
{
        if (s->rusage) {
                struct rusage r;

                rusage_fill(&r, f->p, RUSAGE_BOTH);
                if (!copy_out(c, s->rusage, &r, sizeof(r)))
                        return false;
        }
        if (!s->status)
                return true;
        if (!s->siginfo) {
                int32_t word = f->status;

                return copy_out(c, s->status, &word, sizeof(word));
        }
        struct wait_info info = {.signo = SIGCHLD, .code = f->code, .pid = f->p->pid};

        info.uid = f->p->leader->cred->uid;
        info.status = f->code == CLD_EXITED      ? f->status >> 8 & 0xff
                      : f->code == CLD_CONTINUED ? SIGCONT
                      : f->code == CLD_STOPPED   ? f->status >> 8 & 0xff
                                                 : f->status & 0x7f;
        return copy_out(c, s->status, &info, sizeof(info));
}

static void consume(const struct wait_state *s, const struct found *f)
{
        if (s->options & WNOWAIT)
                return;
        switch (f->code) {
        case CLD_STOPPED:
                f->p->stop_reported = 1;
                break;
        case CLD_CONTINUED:
                f->p->continued = 0;
                break;
        default:
                process_reap(f->p);
        }
}

static long wait_run(struct call *c, struct wait_state *s)
{
        struct process *self = c->thread->proc;
        struct found f;
        bool any = false;
        int pid;

        proctree_lock();
        for (struct process *p = self->children; p; p = p->sibling_next) {
                if (!matches(s, p))
                        continue;
                any = true;
                if (!reports(s, p, &f))
                        continue;
                if (!tell(c, s, &f))
                        return user_fault(c);
                pid = f.p->pid;
                if (!(s->options & WNOWAIT)) {
                        changes(c);
                        consume(s, &f);
                }
                return s->siginfo ? 0 : pid;
        }
        if (!any)
                return -ECHILD;
        if (s->options & WNOHANG) {
                struct wait_info none = {0};

                if (s->options & WAIT_NONBLOCK)
                        return -EAGAIN;
                if (s->siginfo && s->status && !copy_out(c, s->status, &none, sizeof(none)))
                        return user_fault(c);
                return 0;
        }
        if (c->why != WHY_RUN)
                return call_interrupted(c);
        return call_wait(c, CONDITION, &self->children, INTERRUPTIBLE, NO_DEADLINE);
}

long sys_wait4(struct call *c)
{
        struct wait_state *s = call_state(c, struct wait_state);

        if (c->stage == 0) {
                int pid = (int)c->arg[0];
                uint32_t options = (uint32_t)c->arg[2];

                if (options & ~(uint32_t)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
                        return -EINVAL;
                if (pid == INT32_MIN)
                        return -ESRCH;
                *s = (struct wait_state){.options = options | WEXITED, .status = c->arg[1], .rusage = c->arg[3]};
                if (pid > 0) {
                        s->which = P_PID;
                        s->id = pid;
                } else if (pid == -1) {
                        s->which = P_ALL;
                } else {
                        s->which = P_PGID;
                        s->id = pid ? -pid : c->thread->proc->pgrp->pgid;
                }
                c->stage = 1;
        }
        return wait_run(c, s);
}

long sys_waitid(struct call *c)
{
        struct wait_state *s = call_state(c, struct wait_state);

        if (c->stage == 0) {
                uint32_t options = (uint32_t)c->arg[3];
                int id = (int)c->arg[1];

                if ((options & ~(uint32_t)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD |
                                           __WCLONE | __WALL)) ||
                    !(options & (WEXITED | WSTOPPED | WCONTINUED)))
                        return -EINVAL;
                *s = (struct wait_state){.which = (uint32_t)c->arg[0],
                                         .options = options,
                                         .id = id,
                                         .siginfo = 1,
                                         .status = c->arg[2],
                                         .rusage = c->arg[4]};
                switch (s->which) {
                case P_ALL:
                        break;
                case P_PID:
                        if (id <= 0)
                                return -EINVAL;
                        break;
                case P_PGID:
                        if (id < 0)
                                return -EINVAL;
                        if (id == 0)
                                s->id = c->thread->proc->pgrp->pgid;
                        break;
                case P_PIDFD:
                        if (id < 0)
                                return -EINVAL;
                        c->file = fd_lookup(c, (uint64_t)id);
                        s->process = c->file ? pidfd_process(c->file) : NULL;
                        if (!s->process)
                                return -EBADF;
                        if ((c->file->flags & O_NONBLOCK) && !(options & WNOHANG))
                                s->options |= WNOHANG | WAIT_NONBLOCK;
                        break;
                default:
                        return -EINVAL;
                }
                c->stage = 1;
        }
        return wait_run(c, s);
}
