/*
 * limits.c - resource limits, and what has been used: rlimits, rusage, CPU times.
 * Times: a thread's record holds what was folded into it, its volatile entity what ran since (sched_runtime); a dead thread's are in its process.
 */
#include "posix/proc/proc.h"
#include "posix/include/timespec.h"
#include "kernel/include/sched.h"
#include <linux/times.h>

#define NR_OPEN_MAX 1048576u

uint64_t rlimit_of(struct process *p, unsigned resource)
{
        return READ_ONCE(p->limits[resource].rlim_cur);
}

void limits_init(struct process *p)
{
        static const struct rlimit64 initial[16] = {
                [RLIMIT_CPU] = {RLIM64_INFINITY, RLIM64_INFINITY},
                [RLIMIT_FSIZE] = {RLIM64_INFINITY, RLIM64_INFINITY},
                [RLIMIT_DATA] = {RLIM64_INFINITY, RLIM64_INFINITY},
                [RLIMIT_STACK] = {8 << 20, RLIM64_INFINITY},
                [RLIMIT_CORE] = {0, RLIM64_INFINITY},
                [RLIMIT_RSS] = {RLIM64_INFINITY, RLIM64_INFINITY},
                [RLIMIT_NPROC] = {MAX_THREADS / 2, MAX_THREADS / 2},
                [RLIMIT_NOFILE] = {1024, 4096},
                [RLIMIT_MEMLOCK] = {8 << 20, 8 << 20},
                [RLIMIT_AS] = {RLIM64_INFINITY, RLIM64_INFINITY},
                [RLIMIT_LOCKS] = {RLIM64_INFINITY, RLIM64_INFINITY},
                [RLIMIT_SIGPENDING] = {MAX_THREADS / 2, MAX_THREADS / 2},
                [RLIMIT_MSGQUEUE] = {819200, 819200},
                [RLIMIT_NICE] = {0, 0},
                [RLIMIT_RTPRIO] = {0, 0},
                [RLIMIT_RTTIME] = {RLIM64_INFINITY, RLIM64_INFINITY},
        };

        __builtin_memcpy(p->limits, initial, sizeof(initial));
}

static bool may_limit(const struct process *p)
{
        const struct cred *me = thread_current()->cred, *it = p->leader->cred;

        if (p == process_current())
                return true;
        if (me->uid == it->euid && me->uid == it->suid && me->uid == it->uid && me->gid == it->egid &&
            me->gid == it->sgid && me->gid == it->gid)
                return true;
        return cred_capable(me, CAP_SYS_RESOURCE);
}

static long set_limit(struct call *c, struct process *p, unsigned resource, const struct rlimit64 *new)
{
        struct rlimit64 *slot = &p->limits[resource];

        if (new->rlim_cur > new->rlim_max)
                return -EINVAL;
        if (resource == RLIMIT_NOFILE && new->rlim_max > NR_OPEN_MAX)
                return -EPERM;
        if (new->rlim_max > slot->rlim_max && !capable(CAP_SYS_RESOURCE))
                return -EPERM;
        if (!space_room(1) || deadline_reserve(c) < 0)
                return -ENOMEM;
        changes(c);
        struct sighand *sh = signal_lock(p);

        *slot = *new;
        if (resource == RLIMIT_CPU) {
                if (slot->rlim_cur == 0)
                        slot->rlim_cur = 1;
                p->rlimit_cpu_next_ns = 0;
        }
        signal_unlock(sh);
        if (resource == RLIMIT_CPU && new->rlim_cur != RLIM64_INFINITY)
                cpu_limits_arm(p);
        return 0;
}

long sys_prlimit64(struct call *c)
{
        int pid = (int)c->arg[0];
        unsigned resource = (unsigned)c->arg[1];
        struct process *p = c->thread->proc;
        struct rlimit64 new, old;

        if (resource >= RLIM_NLIMITS)
                return -EINVAL;
        if (c->arg[2] && !copy_in(c, &new, c->arg[2], sizeof(new)))
                return user_fault(c);
        if (pid && pid != p->pid) {
                struct thread *t = thread_find(pid);

                if (!t || t->proc->state >= PROCESS_ZOMBIE)
                        return -ESRCH;
                p = t->proc;
                if (!may_limit(p))
                        return -EPERM;
        }
        old = p->limits[resource];
        if (c->arg[3] && !copy_out(c, c->arg[3], &old, sizeof(old)))
                return user_fault(c);
        return c->arg[2] ? set_limit(c, p, resource, &new) : 0;
}

long sys_getrlimit(struct call *c)
{
        unsigned resource = (unsigned)c->arg[0];

        if (resource >= RLIM_NLIMITS)
                return -EINVAL;
        return copy_out(c, c->arg[1], &c->thread->proc->limits[resource], sizeof(struct rlimit64)) ? 0 : user_fault(c);
}

long sys_setrlimit(struct call *c)
{
        unsigned resource = (unsigned)c->arg[0];
        struct rlimit64 new;

        if (resource >= RLIM_NLIMITS)
                return -EINVAL;
        if (!copy_in(c, &new, c->arg[1], sizeof(new)))
                return user_fault(c);
        return set_limit(c, c->thread->proc, resource, &new);
}

void thread_cpu_times(struct thread *t, struct cpu_times *ct)
{
        struct sched_thread *st = sched_of(t->slot);
        uint64_t user = 0, total = st && st->owner == t ? sched_runtime(st, &user) : 0;

        ct->user_ns = t->user_ns + user;
        ct->system_ns = t->system_ns + (total - user);
}

void process_cpu_times(struct process *p, struct cpu_times *ct)
{
        struct cpu_times one;

        ct->user_ns = p->user_ns;
        ct->system_ns = p->system_ns;
        if (p->times_folded)
                return;
        for (struct thread *t = p->threads; t; t = t->next) {
                if (t->run == THREAD_DEAD)
                        continue;
                thread_cpu_times(t, &one);
                ct->user_ns += one.user_ns;
                ct->system_ns += one.system_ns;
        }
}

long sys_getrusage(struct call *c)
{
        struct thread *t = c->thread;
        int who = (int)c->arg[0];
        struct rusage r;

        if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
                return -EINVAL;
        proctree_lock();
        rusage_fill(&r, t->proc, who == RUSAGE_THREAD ? RUSAGE_SELF : who);
        if (who == RUSAGE_THREAD) {
                struct cpu_times ct;

                thread_cpu_times(t, &ct);
                r.ru_utime.tv_sec = (long)(ct.user_ns / NSEC_PER_SEC);
                r.ru_utime.tv_usec = (long)(ct.user_ns % NSEC_PER_SEC / 1000);
                r.ru_stime.tv_sec = (long)(ct.system_ns / NSEC_PER_SEC);
                r.ru_stime.tv_usec = (long)(ct.system_ns % NSEC_PER_SEC / 1000);
                r.ru_minflt = (long)t->minflt;
                r.ru_majflt = (long)t->majflt;
                r.ru_nvcsw = (long)t->nvcsw;
                r.ru_nivcsw = (long)t->nivcsw;
        }
        return copy_out(c, c->arg[1], &r, sizeof(r)) ? 0 : user_fault(c);
}

#define TICK_NS (NSEC_PER_SEC / 100)

long sys_times(struct call *c)
{
        struct process *p = c->thread->proc;
        struct cpu_times ct;
        struct tms t;

        process_cpu_times(p, &ct);
        t.tms_utime = (long)(ct.user_ns / TICK_NS);
        t.tms_stime = (long)(ct.system_ns / TICK_NS);
        t.tms_cutime = (long)(p->cuser_ns / TICK_NS);
        t.tms_cstime = (long)(p->csystem_ns / TICK_NS);
        if (c->arg[0] && !copy_out(c, c->arg[0], &t, sizeof(t)))
                return user_fault(c);
        return (long)(time_mono_ns() / TICK_NS);
}

char thread_state_letter(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        if (t->proc->state == PROCESS_ZOMBIE || t->run == THREAD_DEAD)
                return 'Z';
        if (t->run == THREAD_EXITING)
                return 'X';
        if (thread_is_stopped(t))
                return 'T';
        if (!st || SCHED_STATE(st->word) == SCHED_READY || SCHED_STATE(st->word) == SCHED_RUNNING)
                return 'R';
        return t->wait.active && t->wait.interrupt != INTERRUPTIBLE ? 'D' : 'S';
}
