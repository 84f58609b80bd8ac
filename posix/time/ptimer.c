/*
 * ptimer.c - POSIX timers. A timer belongs to its process; LOCK_TIMER of the process guards the list and each timer.
 * States: disarmed (deadline 0) -> armed -> due: the signal is queued and the timer stands still -> taken: the expirations missed meanwhile are the overrun, and a
 * periodic timer is armed for the next one. So a period of a nanosecond costs a signal each time the program takes one, not more. When the signal
 * is ignored, a periodic timer goes on at most 250 times a second.
 * SIGEV_NONE timers are never armed: reading works out where they are.
 */
#include "posix/time/time_internal.h"

#define TIMERS_MAX        1024u /* of one process: execve drops them in one section */
#define IGNORED_PERIOD_NS 4000000ul

static const struct space_field ptimer_fields[] = {
        {offsetof(struct ptimer, next), FIELD_OWN, 1}, {offsetof(struct ptimer, proc), FIELD_BORROW, 1}, {0, 0, 0}};
const struct posix_type time_types[] = {
        {TYPE_PTIMER, {"ptimer", sizeof(struct ptimer), 1, SPACE_RESIDENT, ptimer_fields}, NULL, NULL},
        {.type = 0},
};

struct itimerspec_user {
        struct timespec64 interval, value;
};

static bool signals(const struct ptimer *t)
{
        return (t->notify & ~SIGEV_THREAD_ID) != SIGEV_NONE;
}

/* The clock its deadline is on: relative times on the wall clock run on the monotonic one. */
static int runs_on(const struct ptimer *t)
{
        return clock_is_cpu(t->clock) || (t->absolute && (clock_is_real(t->clock) || clock_is_boot(t->clock)))
                       ? t->clock
                       : CLOCK_MONOTONIC;
}

/* A thread's or process's CPU clock as seen from its process, whoever runs now. */
static long clock_now(const struct ptimer *t, uint64_t *now)
{
        struct cpu_times ct;
        struct thread *th;

        if (!clock_is_cpu(t->clock))
                return clock_read(runs_on(t), now);
        if (t->cpu_tid) {
                th = thread_find(t->cpu_tid);
                if (!th || th->proc != t->proc)
                        return -ESRCH;
                thread_cpu_times(th, &ct);
        } else {
                process_cpu_times(t->proc, &ct);
        }
        *now = t->clock < 0 && (t->clock & 3) == 1 ? ct.user_ns : ct.user_ns + ct.system_ns;
        return 0;
}

void ptimer_arm(struct ptimer *t)
{
        if (clock_is_cpu(t->clock)) {
                if (t->deadline)
                        cpu_limits_arm(t->proc);
        } else if (!t->deadline || t->signalled || !signals(t)) {
                deadline_set(t, DEADLINE_PTIMER, 0);
        } else {
                int clock = runs_on(t);

                deadline_set(t, DEADLINE_PTIMER,
                             clock == CLOCK_MONOTONIC ? t->deadline
                             : clock_is_boot(clock)   ? time_boot_to_mono(t->deadline)
                                                      : time_real_to_mono(t->deadline));
        }
}

/* Expirations up to now, the first included. */
static uint64_t expirations(const struct ptimer *t, uint64_t now)
{
        if (!t->deadline || now < t->deadline)
                return 0;
        return t->interval ? (now - t->deadline) / t->interval + 1 : 1;
}

int ptimer_overrun(const struct ptimer *t)
{
        uint64_t now, n;

        if (clock_now(t, &now))
                return 0;
        n = expirations(t, now);
        return n ? (int)MIN(n - 1, (uint64_t)INT32_MAX) : 0;
}

void ptimer_taken(struct ptimer *t)
{
        uint64_t now, n;

        t->signalled = 0;
        if (clock_now(t, &now))
                return;
        n = expirations(t, now);
        t->last_overrun = n ? (int)MIN(n - 1, (uint64_t)INT32_MAX) : 0;
        if (!n)
                return;
        t->deadline = t->interval ? t->deadline + n * t->interval : 0;
        ptimer_arm(t);
}

/* Due: the signal goes out. LOCK_TIMER not held. */
static void expire(struct ptimer *t, uint64_t now)
{
        struct process *p = t->proc;
        struct thread *to = NULL;
        siginfo_t info;

        section_changes();
        if (t->notify & SIGEV_THREAD_ID) {
                to = thread_find(t->tid);
                if (!to || to->proc != p)
                        return;
        }
        __builtin_memset(&info, 0, sizeof(info));
        info.si_signo = t->signo;
        info.si_code = SI_TIMER;
        info.si_tid = t->id;
        info.si_ptr = (void *)t->value;
        if (signal_send_timer(p, to, t, &info))
                return;
        /* Ignored. */
        uint64_t n = expirations(t, now);

        if (t->interval && n)
                t->deadline = MAX(t->deadline + n * t->interval, now + IGNORED_PERIOD_NS);
        else
                t->deadline = 0;
        ptimer_arm(t);
}

void ptimer_expired(void *object)
{
        struct ptimer *t = object;
        uint64_t now;

        if (t->dead || !t->deadline || t->signalled || clock_now(t, &now))
                return;
        if (now < t->deadline)
                ptimer_arm(t);
        else
                expire(t, now);
}

bool ptimers_cpu_check(struct process *p, uint64_t *left)
{
        bool any = false;

        for (struct ptimer *t = p->timers; t; t = t->next) {
                uint64_t now;

                if (!clock_is_cpu(t->clock) || !t->deadline || t->signalled || !signals(t) || clock_now(t, &now))
                        continue;
                any = true;
                if (now >= t->deadline)
                        expire(t, now);
                else
                        *left = MIN(*left, t->deadline - now);
        }
        return any;
}

static struct ptimer *timer_find(struct process *p, int id)
{
        struct ptimer *t = p->timers;

        while (t && t->id != id)
                t = t->next;
        return t;
}

struct sigevent_user {
        uint64_t value;
        int32_t signo, notify, tid;
        int32_t pad[11];
};

long sys_timer_create(struct call *c)
{
        struct thread *self = c->thread;
        struct process *p = self->proc;
        int clock = (int)c->arg[0];
        struct sigevent_user e = {.signo = SIGALRM, .notify = SIGEV_SIGNAL};
        struct thread *target = NULL;
        struct ptimer *t;
        uint64_t ns;
        int id;

        if (c->arg[1] && !copy_in(c, &e, c->arg[1], sizeof(e)))
                return user_fault(c);
        if (clock_read(clock, &ns))
                return -EINVAL;
        if (!clock_is_cpu(clock) && !clock_waits(clock))
                return -EOPNOTSUPP;
        if (e.notify & SIGEV_THREAD_ID) {
                target = thread_find(e.tid);
                if (!target || target->proc != p || e.notify != SIGEV_THREAD_ID)
                        return -EINVAL;
        } else if (e.notify != SIGEV_SIGNAL && e.notify != SIGEV_NONE && e.notify != SIGEV_THREAD) {
                return -EINVAL;
        }
        if (e.notify != SIGEV_NONE && (e.signo < 1 || e.signo > SIGNAL_MAX))
                return -EINVAL;
        if (p->ntimers >= MIN(rlimit_of(p, RLIMIT_SIGPENDING), (uint64_t)TIMERS_MAX) || !space_room(1) ||
            deadline_reserve(c) < 0)
                return -EAGAIN;
        lock(LOCK_TIMER, p);
        id = (int)(p->next_timer & 0x7fffffff);
        if (!copy_out(c, c->arg[2], &id, sizeof(id)))
                return user_fault(c);
        changes(c);
        t = space_alloc(TYPE_PTIMER);
        t->proc = p;
        t->id = id;
        t->clock = clock;
        t->notify = e.notify;
        t->signo = e.signo;
        t->value = c->arg[1] ? e.value : (uint64_t)id;
        t->tid = target ? target->tid : 0;
        if (clock == CLOCK_THREAD_CPUTIME_ID)
                t->cpu_tid = self->tid;
        else if (clock < 0 && (clock & 4))
                t->cpu_tid = ~(clock >> 3) ? ~(clock >> 3) : self->tid;
        t->next = p->timers;
        p->timers = t;
        p->next_timer++;
        p->ntimers++;
        if (!clock_is_cpu(clock))
                deadline_set(t, DEADLINE_PTIMER, TIME_FOR_EVER); /* takes its memory now: arming never fails later */
        else
                deadline_set(p, DEADLINE_CPU, TIME_FOR_EVER);
        ptimer_arm(t);
        return 0;
}

static void report(const struct ptimer *t, struct itimerspec_user *u)
{
        uint64_t now, left = 0;

        if (t->deadline && clock_now(t, &now) == 0) {
                uint64_t n = expirations(t, now), at = t->deadline + (t->interval ? n * t->interval : 0);

                if (at > now)
                        left = at - now;
                else if (signals(t) && !t->signalled)
                        left = 1; /* about to fire */
        }
        u->value = ns_timespec(left);
        u->interval = ns_timespec(t->interval);
}

long sys_timer_gettime(struct call *c)
{
        struct process *p = c->thread->proc;
        struct itimerspec_user u;
        struct ptimer *t;

        lock(LOCK_TIMER, p);
        t = timer_find(p, (int)c->arg[0]);
        if (!t)
                return -EINVAL;
        report(t, &u);
        return copy_out(c, c->arg[1], &u, sizeof(u)) ? 0 : user_fault(c);
}

long sys_timer_settime(struct call *c)
{
        struct process *p = c->thread->proc;
        bool absolute = c->arg[1] & TIMER_ABSTIME;
        struct itimerspec_user new, old;
        struct ptimer *t;
        uint64_t now, value;

        if (!c->arg[2])
                return -EINVAL;
        if (!copy_in(c, &new, c->arg[2], sizeof(new)))
                return user_fault(c);
        if (!timespec_valid(&new.value) || !timespec_valid(&new.interval))
                return -EINVAL;
        if (deadline_reserve(c) < 0)
                return -ENOMEM;
        lock(LOCK_TIMER, p);
        t = timer_find(p, (int)c->arg[0]);
        if (!t)
                return -EINVAL;
        report(t, &old);
        if (c->arg[3] && !copy_out(c, c->arg[3], &old, sizeof(old)))
                return user_fault(c);
        changes(c);
        value = timespec_ns(&new.value);
        t->absolute = absolute;
        t->interval = timespec_ns(&new.interval);
        if (!value) {
                t->deadline = 0;
        } else if (absolute) {
                t->deadline = value;
        } else {
                if (clock_now(t, &now))
                        now = 0;
                t->deadline = value > TIME_FOR_EVER - now ? TIME_FOR_EVER : now + value;
        }
        t->last_overrun = 0;
        unlock(LOCK_TIMER, p);
        signal_forget_timer(p, t);
        ptimer_arm(t);
        return 0;
}

long sys_timer_getoverrun(struct call *c)
{
        struct process *p = c->thread->proc;
        struct ptimer *t;

        lock(LOCK_TIMER, p);
        t = timer_find(p, (int)c->arg[0]);
        return t ? t->last_overrun : -EINVAL;
}

static void destroy(struct process *p, struct ptimer *t)
{
        t->dead = 1;
        signal_forget_timer(p, t);
        deadline_drop(t, DEADLINE_PTIMER);
        space_free(t);
}

long sys_timer_delete(struct call *c)
{
        struct process *p = c->thread->proc;

        lock(LOCK_TIMER, p);
        for (struct ptimer **at = &p->timers; *at; at = &(*at)->next)
                if ((*at)->id == (int)c->arg[0]) {
                        struct ptimer *t = *at;

                        changes(c);
                        *at = t->next;
                        p->ntimers--;
                        unlock(LOCK_TIMER, p);
                        destroy(p, t);
                        return 0;
                }
        return -EINVAL;
}

bool process_timers_drop(struct process *p)
{
        section_changes();
        for (unsigned n = 0; p->timers && n < 16; n++) {
                struct ptimer *t = p->timers;

                lock(LOCK_TIMER, p);
                p->timers = t->next;
                p->ntimers--;
                unlock(LOCK_TIMER, p);
                destroy(p, t);
        }
        return p->timers != NULL;
}
