/*
 * itimer.c - interval timers, alarm, and the limits on CPU time.
 * A process's itimer[REAL] is an absolute monotonic time with a deadline of its own. The two on CPU time, RLIMIT_CPU and POSIX timers on CPU clocks share one check,
 * which comes at the earliest moment at which the first of them can be due (all threads running all the time) and sets the next; it looks at most once
 * a millisecond, so that a process that sleeps just before its limit costs little.
 */
#include "posix/time/time_internal.h"

#define CPU_CHECK_NS 1000000ul

enum { REAL, VIRTUAL, PROF };
struct itimer_user {
        struct {
                int64_t sec, usec;
        } interval, value;
};

static uint64_t timeval_ns(int64_t sec, int64_t usec)
{
        struct timespec64 ts = {sec, usec * 1000};

        return timespec_ns(&ts);
}

/* The clock that itimer `which` stands on. */
static uint64_t clock_of(struct process *p, int which)
{
        struct cpu_times ct;

        if (which == REAL)
                return time_mono_ns();
        process_cpu_times(p, &ct);
        return which == VIRTUAL ? ct.user_ns : ct.user_ns + ct.system_ns;
}

static void report(struct process *p, int which, struct itimer_user *u)
{
        struct itimerval_ns *it = &p->itimer[which];
        uint64_t now, left = 0;

        if (it->value_ns) {
                now = clock_of(p, which);
                left = it->value_ns > now ? it->value_ns - now : 1000; /* about to fire is not yet off */
                left = MAX(left, 1000ul);
        }
        u->value.sec = (int64_t)(left / NSEC_PER_SEC);
        u->value.usec = (int64_t)(left % NSEC_PER_SEC / 1000);
        u->interval.sec = (int64_t)(it->interval_ns / NSEC_PER_SEC);
        u->interval.usec = (int64_t)(it->interval_ns % NSEC_PER_SEC / 1000);
}

/* After changes(), LOCK_TIMER held. */
static void set(struct process *p, int which, uint64_t value_ns, uint64_t interval_ns)
{
        struct itimerval_ns *it = &p->itimer[which];
        uint64_t now = value_ns ? clock_of(p, which) : 0;

        it->value_ns = !value_ns ? 0 : value_ns > TIME_FOR_EVER - now ? TIME_FOR_EVER : now + value_ns;
        it->interval_ns = interval_ns;
        if (which == REAL)
                deadline_set(p, DEADLINE_ITIMER_REAL, it->value_ns);
        else if (it->value_ns)
                cpu_limits_arm(p);
}

long sys_getitimer(struct call *c)
{
        struct process *p = c->thread->proc;
        int which = (int)c->arg[0];
        struct itimer_user u;

        if (which < REAL || which > PROF)
                return -EINVAL;
        lock(LOCK_TIMER, p);
        report(p, which, &u);
        return copy_out(c, c->arg[1], &u, sizeof(u)) ? 0 : user_fault(c);
}

static bool valid_usec(int64_t sec, int64_t usec)
{
        return sec >= 0 && usec >= 0 && usec < 1000000;
}

long sys_setitimer(struct call *c)
{
        struct process *p = c->thread->proc;
        int which = (int)c->arg[0];
        struct itimer_user new = {0}, old;

        if (c->arg[1] && !copy_in(c, &new, c->arg[1], sizeof(new)))
                return user_fault(c);
        if (which < REAL || which > PROF)
                return -EINVAL;
        if (!valid_usec(new.value.sec, new.value.usec) || !valid_usec(new.interval.sec, new.interval.usec))
                return -EINVAL;
        if (deadline_reserve(c) < 0)
                return -ENOMEM;
        lock(LOCK_TIMER, p);
        report(p, which, &old);
        if (c->arg[2] && !copy_out(c, c->arg[2], &old, sizeof(old)))
                return user_fault(c);
        changes(c);
        set(p, which, timeval_ns(new.value.sec, new.value.usec), timeval_ns(new.interval.sec, new.interval.usec));
        return 0;
}

long sys_alarm(struct call *c)
{
        struct process *p = c->thread->proc;
        struct itimer_user old;
        uint64_t sec = (uint32_t)c->arg[0];

        if (deadline_reserve(c) < 0)
                return -ENOMEM;
        lock(LOCK_TIMER, p);
        report(p, REAL, &old);
        changes(c);
        set(p, REAL, sec * NSEC_PER_SEC, 0);
        /* Rounded, but never to nothing while one was set. */
        if ((!old.value.sec && old.value.usec) || old.value.usec >= 500000)
                old.value.sec++;
        return old.value.sec;
}

/* Moves a timer that is due past `now`. */
static void advance(struct itimerval_ns *it, uint64_t now)
{
        if (it->interval_ns)
                it->value_ns += it->interval_ns * ((now - it->value_ns) / it->interval_ns + 1);
        else
                it->value_ns = 0;
}

void itimer_expired(void *object)
{
        struct process *p = object;
        struct itimerval_ns *it = &p->itimer[REAL];
        uint64_t now = time_mono_ns();

        lock(LOCK_TIMER, p);
        if (!it->value_ns || p->state >= PROCESS_ZOMBIE)
                return;
        if (it->value_ns > now) {
                deadline_set(p, DEADLINE_ITIMER_REAL, it->value_ns);
                return;
        }
        section_changes();
        advance(it, now);
        deadline_set(p, DEADLINE_ITIMER_REAL, it->value_ns);
        unlock(LOCK_TIMER, p);
        signal_send_process(p, SIGALRM, NULL);
}

void itimers_drop(struct process *p)
{
        p->itimer[REAL].value_ns = p->itimer[VIRTUAL].value_ns = p->itimer[PROF].value_ns = 0;
        deadline_drop(p, DEADLINE_ITIMER_REAL);
        deadline_drop(p, DEADLINE_CPU);
}

/* ---- CPU time ---- */

static bool due(struct itimerval_ns *it, uint64_t now, uint64_t *left)
{
        if (!it->value_ns)
                return false;
        if (it->value_ns <= now) {
                section_changes();
                advance(it, now);
                if (it->value_ns)
                        *left = MIN(*left, it->value_ns - now);
                return true;
        }
        *left = MIN(*left, it->value_ns - now);
        return false;
}

/* When RLIMIT_CPU strikes next, in ns of CPU time; TIME_FOR_EVER: never. */
static uint64_t cpu_limit_at(const struct process *p)
{
        uint64_t soft = p->limits[RLIMIT_CPU].rlim_cur, hard = p->limits[RLIMIT_CPU].rlim_max, at;

        if (soft == RLIM64_INFINITY && hard == RLIM64_INFINITY)
                return TIME_FOR_EVER;
        at = p->rlimit_cpu_next_ns                 ? p->rlimit_cpu_next_ns
             : soft > TIME_FOR_EVER / NSEC_PER_SEC ? TIME_FOR_EVER
                                                   : soft * NSEC_PER_SEC;
        if (hard < TIME_FOR_EVER / NSEC_PER_SEC)
                at = MIN(at, hard * NSEC_PER_SEC);
        return at;
}

static int cpu_limit_signal(struct process *p, uint64_t used, uint64_t *left)
{
        uint64_t at = cpu_limit_at(p), hard = p->limits[RLIMIT_CPU].rlim_max;

        if (at == TIME_FOR_EVER)
                return 0;
        if (used < at) {
                *left = MIN(*left, at - used);
                return 0;
        }
        if (hard < TIME_FOR_EVER / NSEC_PER_SEC && used >= hard * NSEC_PER_SEC)
                return SIGKILL;
        section_changes();
        p->rlimit_cpu_next_ns = used - used % NSEC_PER_SEC + NSEC_PER_SEC;
        *left = MIN(*left, p->rlimit_cpu_next_ns - used);
        return SIGXCPU;
}

static void check_again(struct process *p, uint64_t left)
{
        unsigned at_once = MIN(p->nlive ? p->nlive : 1u, cpu_count);

        if (left != TIME_FOR_EVER)
                deadline_set(p, DEADLINE_CPU, time_mono_ns() + MAX(left / at_once, CPU_CHECK_NS));
}

void cpu_limits_check(void *object)
{
        struct process *p = object;
        uint64_t left = TIME_FOR_EVER, user, all;
        struct cpu_times ct;
        bool virtual, prof;
        int limit;

        if (p->state >= PROCESS_ZOMBIE || !p->nlive)
                return;
        lock(LOCK_TIMER, p);
        process_cpu_times(p, &ct);
        user = ct.user_ns;
        all = user + ct.system_ns;
        virtual = due(&p->itimer[VIRTUAL], user, &left);
        prof = due(&p->itimer[PROF], all, &left);
        limit = cpu_limit_signal(p, all, &left);
        unlock(LOCK_TIMER, p);
        if (virtual || prof || limit)
                section_changes();
        if (virtual)
                signal_send_process(p, SIGVTALRM, NULL);
        if (prof)
                signal_send_process(p, SIGPROF, NULL);
        if (limit)
                signal_send_process(p, limit, NULL);
        ptimers_cpu_check(p, &left);
        check_again(p, left);
}

/* LOCK_TIMER may be held. The next check may be too early, never too late. */
void cpu_limits_arm(struct process *p)
{
        uint64_t left = TIME_FOR_EVER, at = cpu_limit_at(p);
        struct cpu_times ct;

        process_cpu_times(p, &ct);
        for (int i = VIRTUAL; i <= PROF; i++)
                if (p->itimer[i].value_ns) {
                        uint64_t now = i == VIRTUAL ? ct.user_ns : ct.user_ns + ct.system_ns;

                        left = MIN(left, p->itimer[i].value_ns > now ? p->itimer[i].value_ns - now : 0);
                }
        if (at != TIME_FOR_EVER)
                left = MIN(left, at > ct.user_ns + ct.system_ns ? at - ct.user_ns - ct.system_ns : 0);
        for (struct ptimer *t = p->timers; t; t = t->next)
                if (clock_is_cpu(t->clock) && t->deadline)
                        left = 0;
        check_again(p, left);
}
