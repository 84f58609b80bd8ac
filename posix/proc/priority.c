/*
 * priority.c - nice values, scheduling policies, affinity: the truth is in the thread's record, the scheduler is told.
 */
#include "posix/proc/proc.h"
#include "posix/include/timespec.h"
#include "kernel/include/sched.h"
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

#define POLICY_RESET_ON_FORK 0x80u /* in thread.policy */
#define POLICY(t)            ((t)->policy & 0x7fu)

static int nice_of(const struct thread *t)
{
        return t->nice_plus20 - 20;
}

static void apply(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        /* SCHED_IDLE: as nice as can be. */
        if (st)
                sched_set_nice(st, POLICY(t) == SCHED_IDLE ? 19 : nice_of(t), (int)POLICY(t), t->rt_priority);
}

void priority_fork(struct thread *child)
{
        if (!(child->policy & POLICY_RESET_ON_FORK))
                return;
        if (child->rt_priority || nice_of(child) < 0)
                child->nice_plus20 = 20;
        child->policy = SCHED_NORMAL;
        child->rt_priority = 0;
}

static bool owns(const struct thread *t)
{
        const struct cred *me = thread_current()->cred;

        return me->euid == t->cred->uid || me->euid == t->cred->euid;
}

static bool may_nice(const struct thread *t, int nice)
{
        return nice >= nice_of(t) || capable(CAP_SYS_NICE) ||
               20 - nice <= (int)MIN(rlimit_of(t->proc, RLIMIT_NICE), 40ul);
}

/*
 * ---- getpriority, setpriority: all threads of a process, group or user; PRIO_PROCESS names one thread ----
 * Setting goes in pieces, by rising tid: each thread has its record on a page of its own.
 */
#define PRIO_PIECE 24

struct prio_walk {
        int which, who;
        uint32_t uid;
        int after; /* set: threads up to this tid are done */
        long best; /* get: 20 - nice of the most favoured */
        unsigned n;
        struct thread *some[PRIO_PIECE]; /* set: the lowest tids above `after` */
};

static void prio_thread(struct thread *t, struct prio_walk *w)
{
        unsigned i = w->n;

        w->best = MAX(w->best, 20 - nice_of(t));
        if (t->tid <= w->after || (w->n == PRIO_PIECE && t->tid > w->some[PRIO_PIECE - 1]->tid))
                return;
        if (w->n == PRIO_PIECE)
                i--;
        else
                w->n++;
        for (; i > 0 && w->some[i - 1]->tid > t->tid; i--)
                w->some[i] = w->some[i - 1];
        w->some[i] = t;
}

static void prio_process(struct process *p, struct prio_walk *w)
{
        for (struct thread *t = p->threads; t; t = t->next)
                prio_thread(t, w);
}

static bool prio_user(struct process *p, void *arg)
{
        struct prio_walk *w = arg;

        for (struct thread *t = p->threads; t; t = t->next)
                if (t->cred->uid == w->uid)
                        prio_thread(t, w);
        return true;
}

/* LOCK_PROCTREE held. */
static int prio_collect(struct prio_walk *w)
{
        struct thread *self = thread_current(), *t;
        struct pgrp *g;

        switch (w->which) {
        case PRIO_PROCESS:
                t = w->who ? thread_find(w->who) : self;
                if (t)
                        prio_thread(t, w);
                return 0;
        case PRIO_PGRP:
                g = w->who ? pgrp_find(w->who) : self->proc->pgrp;
                for (struct process *p = g ? g->members : NULL; p; p = p->pgrp_next)
                        prio_process(p, w);
                return 0;
        case PRIO_USER:
                w->uid = w->who ? (uint32_t)w->who : self->cred->uid;
                process_each(prio_user, w);
                return 0;
        }
        return -EINVAL;
}

long sys_getpriority(struct call *c)
{
        struct prio_walk w = {.which = (int)c->arg[0], .who = (int)c->arg[1], .best = -ESRCH};
        int r;

        proctree_lock();
        r = prio_collect(&w);
        return r ? r : w.best;
}

struct prio_state {
        int32_t after;
        int32_t result;
};

static long prio_set(struct call *c, struct thread *t, int nice)
{
        const struct cred *me = c->thread->cred;

        if (!owns(t) && t->cred->uid != me->euid && !cred_capable(me, CAP_SYS_NICE))
                return -EPERM;
        if (!may_nice(t, nice))
                return -EACCES;
        changes(c);
        t->nice_plus20 = (uint8_t)(nice + 20);
        apply(t);
        return 0;
}

long sys_setpriority(struct call *c)
{
        struct prio_state *s = call_state(c, struct prio_state);
        int nice = (int)c->arg[2];
        struct prio_walk w;
        int r;

        if (c->stage == 0) {
                *s = (struct prio_state){.result = -ESRCH};
                c->stage = 1;
        }
        w = (struct prio_walk){.which = (int)c->arg[0], .who = (int)c->arg[1], .after = s->after};
        nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
        proctree_lock();
        r = prio_collect(&w);
        if (r)
                return r;
        for (unsigned i = 0; i < w.n; i++) {
                long one = prio_set(c, w.some[i], nice);

                s->after = w.some[i]->tid;
                if (one)
                        s->result = (int32_t)one;
                else if (s->result == -ESRCH)
                        s->result = 0;
        }
        return w.n == PRIO_PIECE ? CALL_AGAIN : s->result;
}

/* ---- policies ---- */

static bool realtime(int policy)
{
        return policy == SCHED_FIFO || policy == SCHED_RR;
}

static long set_policy(struct call *c, int pid, int policy, bool reset, int priority, const int *nice)
{
        struct thread *t = pid ? thread_find(pid) : c->thread;

        if (!t)
                return -ESRCH;
        if (policy < 0)
                policy = (int)POLICY(t);
        if (policy != SCHED_NORMAL && !realtime(policy) && policy != SCHED_BATCH && policy != SCHED_IDLE)
                return -EINVAL;
        if (priority < 0 || priority > 99 || realtime(policy) != (priority != 0))
                return -EINVAL;
        if (!capable(CAP_SYS_NICE)) {
                if (nice && !may_nice(t, *nice))
                        return -EPERM;
                if (realtime(policy)) {
                        uint64_t limit = rlimit_of(t->proc, RLIMIT_RTPRIO);

                        if ((policy != (int)POLICY(t) && !limit) ||
                            (priority > t->rt_priority && (uint64_t)priority > limit))
                                return -EPERM;
                }
                if (POLICY(t) == SCHED_IDLE && policy != SCHED_IDLE && !may_nice(t, nice_of(t) - 1))
                        return -EPERM;
                if (!owns(t))
                        return -EPERM;
                if ((t->policy & POLICY_RESET_ON_FORK) && !reset)
                        return -EPERM;
        }
        changes(c);
        t->policy = (uint8_t)((unsigned)policy | (reset ? POLICY_RESET_ON_FORK : 0));
        t->rt_priority = (uint8_t)priority;
        if (nice)
                t->nice_plus20 = (uint8_t)(*nice + 20);
        apply(t);
        return 0;
}

long sys_sched_setscheduler(struct call *c)
{
        int pid = (int)c->arg[0], policy = (int)c->arg[1], priority;

        if (policy < 0 || !c->arg[2] || pid < 0)
                return -EINVAL;
        if (!copy_in(c, &priority, c->arg[2], sizeof(priority)))
                return user_fault(c);
        return set_policy(c, pid, policy & ~SCHED_RESET_ON_FORK, policy & SCHED_RESET_ON_FORK, priority, NULL);
}

long sys_sched_setparam(struct call *c)
{
        int pid = (int)c->arg[0], priority;
        struct thread *t;

        if (!c->arg[1] || pid < 0)
                return -EINVAL;
        if (!copy_in(c, &priority, c->arg[1], sizeof(priority)))
                return user_fault(c);
        t = pid ? thread_find(pid) : c->thread;
        return set_policy(c, pid, -1, t && (t->policy & POLICY_RESET_ON_FORK), priority, NULL);
}

long sys_sched_getscheduler(struct call *c)
{
        int pid = (int)c->arg[0];
        struct thread *t = pid ? thread_find(pid) : c->thread;

        if (pid < 0)
                return -EINVAL;
        if (!t)
                return -ESRCH;
        return (long)POLICY(t) | (t->policy & POLICY_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0);
}

long sys_sched_getparam(struct call *c)
{
        int pid = (int)c->arg[0], priority;
        struct thread *t = pid ? thread_find(pid) : c->thread;

        if (pid < 0 || !c->arg[1])
                return -EINVAL;
        if (!t)
                return -ESRCH;
        priority = t->rt_priority;
        return copy_out(c, c->arg[1], &priority, sizeof(priority)) ? 0 : user_fault(c);
}

long sys_sched_setattr(struct call *c)
{
        int pid = (int)c->arg[0], nice;
        struct sched_attr a = {0};
        uint32_t size;
        long r;

        if (!c->arg[1] || pid < 0 || c->arg[2])
                return -EINVAL;
        if (!copy_in(c, &size, c->arg[1], sizeof(size)))
                return user_fault(c);
        if (size == 0)
                size = SCHED_ATTR_SIZE_VER0;
        if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
                return -E2BIG;
        r = copy_struct_in(c, &a, sizeof(a), c->arg[1], size);
        if (r)
                return r;
        if ((int)a.sched_policy < 0 || (a.sched_flags & ~(uint64_t)SCHED_FLAG_RESET_ON_FORK))
                return -EINVAL;
        nice = a.sched_nice < -20 ? -20 : a.sched_nice > 19 ? 19 : a.sched_nice;
        return set_policy(c, pid, (int)a.sched_policy, a.sched_flags & SCHED_FLAG_RESET_ON_FORK, (int)a.sched_priority,
                          realtime((int)a.sched_policy) ? NULL : &nice);
}

long sys_sched_getattr(struct call *c)
{
        int pid = (int)c->arg[0];
        uint32_t size = (uint32_t)c->arg[2];
        struct thread *t = pid ? thread_find(pid) : c->thread;
        struct sched_attr a = {0};

        if (!c->arg[1] || pid < 0 || size > PAGE_SIZE || size < SCHED_ATTR_SIZE_VER0 || c->arg[3])
                return -EINVAL;
        if (!t)
                return -ESRCH;
        a.size = MIN(size, (uint32_t)sizeof(a));
        a.sched_policy = POLICY(t);
        a.sched_flags = t->policy & POLICY_RESET_ON_FORK ? SCHED_FLAG_RESET_ON_FORK : 0;
        if (realtime((int)POLICY(t)))
                a.sched_priority = t->rt_priority;
        else
                a.sched_nice = nice_of(t);
        return copy_out(c, c->arg[1], &a, a.size) ? 0 : user_fault(c);
}

static long priority_bound(int policy, long bound)
{
        switch (policy) {
        case SCHED_FIFO:
        case SCHED_RR:
                return bound;
        case SCHED_NORMAL:
        case SCHED_BATCH:
        case SCHED_IDLE:
        case SCHED_DEADLINE:
                return 0;
        }
        return -EINVAL;
}

long sys_sched_get_priority_max(struct call *c)
{
        return priority_bound((int)c->arg[0], 99);
}

long sys_sched_get_priority_min(struct call *c)
{
        return priority_bound((int)c->arg[0], 1);
}

long sys_sched_rr_get_interval(struct call *c)
{
        int pid = (int)c->arg[0];
        struct thread *t = pid ? thread_find(pid) : c->thread;
        struct timespec64 ts = {0};

        if (pid < 0)
                return -EINVAL;
        if (!t)
                return -ESRCH;
        if (POLICY(t) != SCHED_FIFO)
                ts.nsec = POLICY(t) == SCHED_RR ? 100000000 : 4000000;
        return copy_out(c, c->arg[1], &ts, sizeof(ts)) ? 0 : user_fault(c);
}

long sys_sched_yield(struct call *c)
{
        sched_yield(sched_of(c->thread->slot));
        return 0;
}

/* ---- affinity ---- */

static uint64_t online(void)
{
        return (1ul << cpu_count) - 1;
}

long sys_sched_setaffinity(struct call *c)
{
        int pid = (int)c->arg[0];
        uint64_t mask = 0;
        struct thread *t;

        if (!copy_in(c, &mask, c->arg[2], MIN(c->arg[1], sizeof(mask))))
                return user_fault(c);
        t = pid ? thread_find(pid) : c->thread;
        if (!t)
                return -ESRCH;
        if (!owns(t) && !capable(CAP_SYS_NICE))
                return -EPERM;
        if (!(mask & online()))
                return -EINVAL;
        changes(c);
        t->affinity = (mask & online()) == online() ? ~0ul : mask;
        if (sched_of(t->slot))
                sched_set_affinity(sched_of(t->slot), t->affinity);
        return 0;
}

long sys_sched_getaffinity(struct call *c)
{
        int pid = (int)c->arg[0];
        uint64_t mask;
        struct thread *t;

        if ((c->arg[1] * 8 < cpu_count) || (c->arg[1] & 7))
                return -EINVAL;
        t = pid ? thread_find(pid) : c->thread;
        if (!t)
                return -ESRCH;
        mask = t->affinity & online();
        if (!mask)
                mask = online();
        return copy_out(c, c->arg[2], &mask, sizeof(mask)) ? (long)sizeof(mask) : user_fault(c);
}

long sys_getcpu(struct call *c)
{
        uint32_t cpu = cpu_this()->id, node = 0;

        if (c->arg[0] && !copy_out(c, c->arg[0], &cpu, sizeof(cpu)))
                return user_fault(c);
        if (c->arg[1] && !copy_out(c, c->arg[1], &node, sizeof(node)))
                return user_fault(c);
        return 0;
}

/* ---- I/O priorities: kept and told; the disks serve in order ---- */

static struct thread *io_target(struct call *c)
{
        int who = (int)c->arg[1];

        return who ? thread_find(who) : c->thread;
}

long sys_ioprio_get(struct call *c)
{
        struct thread *t;

        if ((int)c->arg[0] != IOPRIO_WHO_PROCESS)
                return (int)c->arg[0] == IOPRIO_WHO_PGRP || (int)c->arg[0] == IOPRIO_WHO_USER ? -ESRCH : -EINVAL;
        t = io_target(c);
        if (!t)
                return -ESRCH;
        return t->io_priority ? t->io_priority : IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, t->nice_plus20 / 5);
}

long sys_ioprio_set(struct call *c)
{
        unsigned value = (unsigned)c->arg[2], class = value >> IOPRIO_CLASS_SHIFT, level = value & 0x1fff;
        struct thread *t;

        if (class > IOPRIO_CLASS_IDLE || (class != IOPRIO_CLASS_NONE && class != IOPRIO_CLASS_IDLE && level >= 8) ||
            (class == IOPRIO_CLASS_NONE && level))
                return -EINVAL;
        if (class == IOPRIO_CLASS_RT && !capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_NICE))
                return -EPERM;
        if ((int)c->arg[0] != IOPRIO_WHO_PROCESS)
                return -EINVAL;
        t = io_target(c);
        if (!t)
                return -ESRCH;
        if (!owns(t) && !capable(CAP_SYS_NICE))
                return -EPERM;
        changes(c);
        t->io_priority = (uint16_t)value;
        return 0;
}
