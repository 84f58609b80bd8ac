/*
 * deadline.c - persistent deadlines on volatile timers. An entry (volatile) stands in a hash by object and kind as long as the object may be armed. Its timer
 * fires in an interrupt, which hangs the entry on this CPU's list and queues this CPU's work item; the item runs one expiry function a section.
 *
 * An item that is abandoned for an absent page runs again: what it was about is kept in `current`, and looked up anew, as the object may have gone meanwhile.
 * Lock: one spinlock over hash and lists, taken by interrupts too; timers are armed under it, and cancelled outside of it.
 */
#include "posix/time/time_internal.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/work.h"

struct armed {
        struct armed *next; /* in the hash */
        void *object;
        enum deadline_kind kind;
        bool fired;   /* on a list */
        uint64_t due; /* once it fired */
        struct vtimer timer;
        struct armed *next_fired;
};

#define BUCKETS 1024u
static struct armed *table[BUCKETS];
static struct spinlock table_lock;
static struct {
        struct armed *spare, *first, *last;
        struct {
                void *object;
                enum deadline_kind kind;
                uint64_t due;
        } current;
        struct work work;
} cpu_state[MAX_CPUS];

void timerfd_expired(void *object) __attribute__((weak));
static deadline_fn expiry(enum deadline_kind kind)
{
        switch (kind) {
        case DEADLINE_ITIMER_REAL:
                return itimer_expired;
        case DEADLINE_CPU:
                return cpu_limits_check;
        case DEADLINE_PTIMER:
                return ptimer_expired;
        default:
                return timerfd_expired;
        }
}

static struct armed **bucket(const void *object)
{
        return &table[((uint64_t)object * 0x9e3779b97f4a7c15ul) >> 54];
}

static struct armed *find(const void *object, enum deadline_kind kind)
{
        struct armed *a = *bucket(object);

        while (a && (a->object != object || a->kind != kind))
                a = a->next;
        return a;
}

int deadline_reserve(struct call *c)
{
        struct armed **spare = &cpu_state[cpu_this()->id].spare;

        (void)c;
        if (!*spare)
                *spare = kzalloc(sizeof(**spare));
        return *spare ? 0 : -ENOMEM;
}

static void run(struct work *w)
{
        typeof(&cpu_state[0]) cs = container_of(w, typeof(cpu_state[0]), work);
        struct armed *a;
        uint64_t f = spin_lock(&table_lock);

        if (!cs->current.object && cs->first) {
                a = cs->first;
                cs->first = a->next_fired;
                if (!cs->first)
                        cs->last = NULL;
                a->fired = false;
                cs->current.object = a->object;
                cs->current.kind = a->kind;
                cs->current.due = a->due;
        }
        a = cs->current.object ? find(cs->current.object, cs->current.kind) : NULL;
        spin_unlock(&table_lock, f);
        if (a)
                expiry(cs->current.kind)(cs->current.object);
        cs->current.object = NULL;
        if (cs->first)
                work_queue(w);
}

static void fire(struct vtimer *t)
{
        struct armed *a = container_of(t, struct armed, timer);
        typeof(&cpu_state[0]) cs = &cpu_state[cpu_this()->id];
        uint64_t f = spin_lock(&table_lock);

        if (!a->fired) {
                a->fired = true;
                a->due = t->deadline_ns;
                a->next_fired = NULL;
                if (cs->last)
                        cs->last->next_fired = a;
                else
                        cs->first = a;
                cs->last = a;
        }
        spin_unlock(&table_lock, f);
        cs->work.fn = run;
        work_queue(&cs->work);
}

/* A CPU's list is in the order in which they were due: timers fire so. What has not fired, since its CPU is late, is searched for only when some timer is. */
bool deadline_unserved(uint64_t until_ns)
{
        bool late = vtimer_overdue(until_ns), yes = false;
        uint64_t f = spin_lock(&table_lock);

        for (unsigned i = 0; i < cpu_count && !yes; i++) {
                typeof(&cpu_state[0]) cs = &cpu_state[i];

                yes = (cs->current.object && cs->current.due <= until_ns) || (cs->first && cs->first->due <= until_ns);
        }
        for (unsigned i = 0; i < BUCKETS && late && !yes; i++)
                for (struct armed *a = table[i]; a && !yes; a = a->next)
                        yes = a->timer.deadline_ns <= until_ns && vtimer_is_pending(&a->timer);
        spin_unlock(&table_lock, f);
        return yes;
}

void deadline_set(void *object, enum deadline_kind kind, uint64_t mono_ns)
{
        uint64_t f = spin_lock(&table_lock);
        struct armed *a = find(object, kind);

        if (!a && mono_ns) {
                a = cpu_state[cpu_this()->id].spare;
                cpu_state[cpu_this()->id].spare = NULL;
                if (!a)
                        a = kzalloc(sizeof(*a)); /* an interrupt took the reserved one meanwhile */
                if (!a)
                        panic("no memory for a timer that was promised");
                a->object = object;
                a->kind = kind;
                a->timer.fn = fire;
                a->next = *bucket(object);
                *bucket(object) = a;
        }
        /* Under the lock: another CPU may be about to drop it. One that fires in spite of being disarmed finds the object's own deadline. */
        if (mono_ns)
                vtimer_arm(&a->timer, mono_ns);
        else if (a)
                vtimer_disarm(&a->timer);
        spin_unlock(&table_lock, f);
}

static void unlink_fired(struct armed *a)
{
        for (unsigned i = 0; i < cpu_count; i++)
                for (struct armed **at = &cpu_state[i].first, *prev = NULL; *at; prev = *at, at = &(*at)->next_fired)
                        if (*at == a) {
                                *at = a->next_fired;
                                if (cpu_state[i].last == a)
                                        cpu_state[i].last = prev;
                                return;
                        }
}

void deadline_drop(void *object, enum deadline_kind kind)
{
        uint64_t f = spin_lock(&table_lock);
        struct armed *a = find(object, kind);

        for (struct armed **at = bucket(object); a && *at; at = &(*at)->next)
                if (*at == a) {
                        *at = a->next;
                        break;
                }
        spin_unlock(&table_lock, f);
        if (!a)
                return;
        vtimer_cancel(&a->timer);
        f = spin_lock(&table_lock);
        if (a->fired)
                unlink_fired(a);
        spin_unlock(&table_lock, f);
        kfree(a);
}

/* ---- storm: nothing is armed; all CPUs are parked ---- */

void deadline_forget(void)
{
        struct armed *all = NULL, *a;
        uint64_t f = spin_lock(&table_lock);

        for (unsigned i = 0; i < BUCKETS; i++)
                while ((a = table[i])) {
                        table[i] = a->next;
                        a->next = all;
                        all = a;
                }
        spin_unlock(&table_lock, f);
        for (a = all; a; a = a->next)
                vtimer_cancel(&a->timer);
        f = spin_lock(&table_lock);
        for (unsigned i = 0; i < MAX_CPUS; i++) {
                cpu_state[i].first = cpu_state[i].last = NULL;
                cpu_state[i].current.object = NULL;
                kfree(cpu_state[i].spare);
                cpu_state[i].spare = NULL;
        }
        spin_unlock(&table_lock, f);
        while ((a = all)) {
                all = a->next;
                kfree(a);
        }
}

/* ---- recovery: what the space holds is armed again ---- */

static void arm_process(void *object, void *arg)
{
        struct process *p = object;
        int *error = arg;

        if (p->state >= PROCESS_ZOMBIE)
                return;
        if (p->itimer[0].value_ns) {
                *error = *error ? *error : deadline_reserve(NULL);
                if (!*error)
                        deadline_set(p, DEADLINE_ITIMER_REAL, p->itimer[0].value_ns);
        }
        *error = *error ? *error : deadline_reserve(NULL);
        if (!*error)
                cpu_limits_arm(p);
}

static void arm_ptimer(void *object, void *arg)
{
        int *error = arg;

        *error = *error ? *error : deadline_reserve(NULL);
        if (!*error)
                ptimer_arm(object);
}

int deadline_boot(void)
{
        int error = 0;

        space_each(TYPE_PROCESS, arm_process, &error);
        space_each(TYPE_PTIMER, arm_ptimer, &error);
        return error;
}
