/*
 * sched.c - run queues. One per CPU: realtime threads in a list by priority, the others in a calendar of 64 buckets of virtual time (1 ms each, first
 * in first out inside a bucket), so that queueing and picking cost the same with a thousand threads as with two.
 *
 * A thread's word (state and flags) changes by compare-and-swap only; whoever moves it to READY queues it. on_cpu is cleared last by the CPU that leaves a thread,
 * and a CPU that picked the thread meanwhile waits for that: so nobody reads a record that is still being written.
 * Locks: a queue's spinlock is innermost but for the timer's. Sleep queues (waitq.c) may be held when one is taken.
 */
#include "kernel/include/sched.h"
#include "kernel/include/irq.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/work.h"
#include "kernel/include/arch/thread_regs.h"

#define MAX_SLOTS  32768u
#define BUCKETS    64u
#define BUCKET_NS  1000000ul
#define SLICE_NS   4000000ul
#define SLEEPER_NS 3000000ul /* how far behind a sleeper may come back */
#define DEBIT_NS   3000000ul /* how far ahead a new thread begins: who made it goes on first */
#define GRANULE_NS 1000000ul /* a woken thread preempts when it is this much behind */

struct run_queue {
        struct spinlock lock;
        struct sched_thread *head[BUCKETS], *tail[BUCKETS]; /* by virtual time */
        uint64_t nonempty;                                  /* bit a bucket */
        uint64_t base;                                      /* number of the first bucket (virtual time / BUCKET_NS) */
        struct sched_thread *realtime;
        uint32_t nready;
        struct sched_thread *current;
        uint64_t vtime; /* virtual time of what runs */
        struct vtimer slice;
        uint64_t switches;
        bool idle;
};

static struct run_queue queues[MAX_CPUS];
static struct sched_thread *entities[MAX_SLOTS];
static uint32_t weight[40];
static uint64_t load_avg[3];
static struct vtimer load_timer;
struct sched_hooks sched_hooks;

static struct run_queue *queue_this(void)
{
        return &queues[cpu_this()->id];
}

static bool is_realtime(const struct sched_thread *st)
{
        return st->rt_priority != 0;
}

static void enqueue(struct run_queue *q, struct sched_thread *st)
{
        st->next = NULL;
        q->nready++;
        if (is_realtime(st)) {
                struct sched_thread **at = &q->realtime;

                while (*at && (*at)->rt_priority >= st->rt_priority)
                        at = &(*at)->next;
                st->next = *at;
                *at = st;
                return;
        }
        uint64_t n = st->vruntime / BUCKET_NS;

        if (!q->nonempty && n > q->base)
                q->base = n;
        if (n < q->base)
                n = q->base;
        if (n >= q->base + BUCKETS)
                n = q->base + BUCKETS - 1;
        unsigned i = n % BUCKETS;

        if (q->tail[i])
                q->tail[i]->next = st;
        else
                q->head[i] = st;
        q->tail[i] = st;
        q->nonempty |= 1ul << i;
}

/* First bucket at or after base, as an index; nonempty is not 0. */
static unsigned first_bucket(const struct run_queue *q)
{
        unsigned shift = q->base % BUCKETS;
        uint64_t turned = shift ? q->nonempty >> shift | q->nonempty << (BUCKETS - shift) : q->nonempty;

        return (shift + (unsigned)__builtin_ctzl(turned)) % BUCKETS;
}

static bool allowed(const struct sched_thread *st, unsigned cpu)
{
        return st->affinity >> cpu & 1;
}

/* Oldest thread in virtual time that may run on cpu; taken off the queue. NULL: none. */
static struct sched_thread *dequeue(struct run_queue *q, unsigned cpu)
{
        for (struct sched_thread **at = &q->realtime; *at; at = &(*at)->next) {
                struct sched_thread *st = *at;

                if (!allowed(st, cpu))
                        continue;
                *at = st->next;
                q->nready--;
                return st;
        }
        uint64_t left = q->nonempty;

        while (left) {
                unsigned shift = q->base % BUCKETS;
                uint64_t turned = shift ? left >> shift | left << (BUCKETS - shift) : left;
                unsigned i = (shift + (unsigned)__builtin_ctzl(turned)) % BUCKETS;
                struct sched_thread *prev = NULL;

                for (struct sched_thread *st = q->head[i]; st; prev = st, st = st->next) {
                        if (!allowed(st, cpu))
                                continue;
                        if (prev)
                                prev->next = st->next;
                        else
                                q->head[i] = st->next;
                        if (q->tail[i] == st)
                                q->tail[i] = prev;
                        if (!q->head[i])
                                q->nonempty &= ~(1ul << i);
                        q->nready--;
                        return st;
                }
                left &= ~(1ul << i);
        }
        return NULL;
}

static void set_base(struct run_queue *q, const struct sched_thread *st)
{
        if (is_realtime(st))
                return;
        if (st->vruntime > q->vtime)
                q->vtime = st->vruntime;
        if (q->nonempty) {
                unsigned i = first_bucket(q);

                q->base += (i + BUCKETS - q->base % BUCKETS) % BUCKETS;
        }
}

/* Virtual time of a running thread, the stretch that is under way included. Queue locked. */
static uint64_t running_vtime(const struct sched_thread *st, uint64_t now)
{
        return st->vruntime + (now - st->run_since_ns) * 1024 / weight[st->nice + 20];
}

/* The queue's. A thread that runs alone is neither queued nor picked: time passes with it. Queue locked. */
static uint64_t vtime_now(const struct run_queue *q, uint64_t now)
{
        const struct sched_thread *st = q->current;

        return !st || q->nready || is_realtime(st) ? q->vtime : MAX(q->vtime, running_vtime(st, now));
}

static void cpu_need(unsigned cpu, uint32_t bits)
{
        __atomic_fetch_or(&cpus[cpu].need, bits, __ATOMIC_SEQ_CST);
        if (cpu != cpu_this()->id)
                ipi_resched(cpu);
}

/* Run time of the current stretch into vruntime. Queue locked. */
static void account(struct sched_thread *st, uint64_t now)
{
        uint64_t ran = now - st->run_since_ns;

        st->run_since_ns = now;
        st->runtime_ns += ran;
        st->vruntime += ran * 1024 / weight[st->nice + 20];
}

static unsigned choose_cpu(const struct sched_thread *st)
{
        unsigned last = st->cpu;

        if (cpu_count == 1)
                return 0;
        if (allowed(st, last) && queues[last].idle)
                return last;
        for (unsigned i = 0; i < cpu_count; i++)
                if (queues[i].idle && allowed(st, i))
                        return i;
        if (allowed(st, last))
                return last;
        for (unsigned i = 0; i < cpu_count; i++)
                if (allowed(st, i))
                        return i;
        return 0;
}

static bool preempts(const struct run_queue *q, const struct sched_thread *st, uint64_t now)
{
        const struct sched_thread *running = q->current;

        if (!running)
                return true;
        if (is_realtime(st) || is_realtime(running))
                return st->rt_priority > running->rt_priority;
        return st->vruntime + GRANULE_NS < running_vtime(running, now);
}

static void make_ready(struct sched_thread *st)
{
        unsigned cpu = choose_cpu(st);
        struct run_queue *q = &queues[cpu];
        uint64_t f = spin_lock(&q->lock), now = time_mono_ns(), vtime = vtime_now(q, now);
        uint64_t floor = vtime > SLEEPER_NS ? vtime - SLEEPER_NS : 0;

        st->cpu = cpu;
        if (st->vruntime < floor)
                st->vruntime = floor;
        enqueue(q, st);
        /* The first one that waits behind a running thread needs that CPU's slice timer armed. */
        bool prod = q->idle || q->nready == 1 || preempts(q, st, now);

        spin_unlock(&q->lock, f);
        if (prod)
                cpu_need(cpu, NEED_RESCHED);
}

void sched_ready(struct sched_thread *st)
{
        uint32_t old = st->word;

        do {
                uint32_t state = SCHED_STATE(old);

                if (state == SCHED_READY || state == SCHED_RUNNING || state == SCHED_DEAD)
                        return;
        } while (!__atomic_compare_exchange_n(&st->word, &old, (old & ~0xffu) | SCHED_READY, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_SEQ_CST));
        make_ready(st);
}

static bool flag_wakes(const struct sched_thread *st, uint32_t state, uint32_t flag)
{
        if (state == SCHED_STOPPED)
                return flag & SCHED_KILL;
        if (state != SCHED_WAITING)
                return false;
        if (flag & (SCHED_WOKEN | SCHED_DEADLINE))
                return true;
        return (flag & SCHED_SIGNAL && st->interruptible) || (flag & SCHED_KILL && st->killable);
}

void sched_post(struct sched_thread *st, uint32_t flag)
{
        uint32_t old = st->word, state, new;

        do {
                state = SCHED_STATE(old);
                if (state == SCHED_DEAD)
                        return;
                new = old | flag;
                if (flag_wakes(st, state, flag))
                        new = (new & ~0xffu) | SCHED_READY;
        } while (!__atomic_compare_exchange_n(&st->word, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
        if (SCHED_STATE(new) == SCHED_READY && state != SCHED_READY)
                make_ready(st);
        else if (state == SCHED_RUNNING && flag & (SCHED_SIGNAL | SCHED_KILL)) {
                uint32_t on = st->on_cpu;

                if (on)
                        cpu_need(on - 1, NEED_SIGNAL);
        }
}

uint32_t sched_take_flags(struct sched_thread *st)
{
        return __atomic_fetch_and(&st->word, 0xffu, __ATOMIC_SEQ_CST) & ~0xffu;
}

void sched_forget_wake(struct sched_thread *st)
{
        __atomic_fetch_and(&st->word, ~(SCHED_WOKEN | SCHED_DEADLINE), __ATOMIC_SEQ_CST);
}

bool sched_sleep(struct sched_thread *st, enum sched_state to, bool interruptible, bool killable)
{
        uint32_t stop = SCHED_WOKEN | SCHED_DEADLINE | (interruptible ? SCHED_SIGNAL : 0) | (killable ? SCHED_KILL : 0);
        uint32_t old = st->word;

        if (to == SCHED_STOPPED)
                stop = SCHED_KILL | SCHED_WOKEN | SCHED_SIGNAL; /* continued meanwhile: look again */
        st->interruptible = interruptible;
        st->killable = killable;
        do {
                if (old & stop)
                        return false;
        } while (!__atomic_compare_exchange_n(&st->word, &old, (old & ~0xffu) | to, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_SEQ_CST));
        return true;
}

void sched_restore(struct sched_thread *st, enum sched_state state, bool interruptible, bool killable)
{
        st->interruptible = interruptible;
        st->killable = killable;
        __atomic_store_n(&st->word, state, __ATOMIC_SEQ_CST);
}

static void deadline_fn(struct vtimer *t)
{
        sched_post(container_of(t, struct sched_thread, timer), SCHED_DEADLINE);
}

void sched_set_deadline(struct sched_thread *st, uint64_t mono_ns)
{
        if (mono_ns) {
                st->timer.fn = deadline_fn;
                vtimer_arm(&st->timer, mono_ns);
        } else if (st->timer.index) {
                vtimer_cancel(&st->timer);
        }
}

struct sched_thread *sched_create(struct thread *owner, unsigned slot)
{
        struct sched_thread *st = kzalloc(sizeof(*st));
        uint64_t f;

        if (!st)
                return NULL;
        st->owner = owner;
        st->page.thread = st;
        st->word = SCHED_NONE;
        st->affinity = ~0ul;
        st->waiters = st->first;
        st->waiter_cap = SCHED_WAITERS;
        st->cpu = cpu_this()->id;
        f = spin_lock(&queue_this()->lock);
        st->vruntime = vtime_now(queue_this(), time_mono_ns()) + DEBIT_NS;
        spin_unlock(&queue_this()->lock, f);
        if (slot < MAX_SLOTS)
                entities[slot] = st;
        return st;
}

struct sched_thread *sched_of(unsigned slot)
{
        return entities[slot];
}

struct sched_thread *sched_current(void)
{
        return queue_this()->current;
}

void sched_attach(struct sched_thread *st, struct thread *owner, unsigned slot)
{
        st->owner = owner;
        entities[slot] = st;
}

void sched_destroy(unsigned slot)
{
        struct sched_thread *st = entities[slot];

        if (!st)
                return;
        while (READ_ONCE(st->on_cpu))
                cpu_relax();
        sched_waiters_clear(st);
        waiter_remove(&st->page);
        vtimer_cancel(&st->timer);
        entities[slot] = NULL;
        if (st->waiters != st->first)
                kfree(st->waiters);
        kfree(st);
}

/* ---- storm ---- */

static void queue_forget(struct run_queue *q, struct cpu *cpu)
{
        uint64_t f = spin_lock(&q->lock);
        struct sched_thread **at = &q->realtime, *st;

        while ((st = *at)) {
                if (st->worker) {
                        at = &st->next;
                        continue;
                }
                *at = st->next;
                q->nready--;
        }
        for (unsigned i = 0; i < BUCKETS; i++) {
                q->tail[i] = NULL;
                for (at = &q->head[i]; (st = *at);) {
                        if (st->worker) {
                                q->tail[i] = st;
                                at = &st->next;
                                continue;
                        }
                        *at = st->next;
                        q->nready--;
                }
                if (!q->head[i])
                        q->nonempty &= ~(1ul << i);
        }
        if (q->current && !q->current->worker) {
                q->current = NULL;
                cpu->current = NULL;
        }
        spin_unlock(&q->lock, f);
}

/*
 * First the timers, after which nobody makes a thread ready; then off the queues. An interrupt on a parked CPU may still be looking at its current thread's entity, so
 * memory is given back one storm later.
 */
void sched_forget_threads(void)
{
        static struct sched_thread *forgotten;
        struct sched_thread *old = forgotten, *next;

        for (unsigned slot = 0; slot < MAX_SLOTS; slot++)
                if (entities[slot])
                        vtimer_cancel(&entities[slot]->timer);
        for (unsigned i = 0; i < cpu_count; i++)
                queue_forget(&queues[i], &cpus[i]);
        forgotten = NULL;
        for (unsigned slot = 0; slot < MAX_SLOTS; slot++) {
                struct sched_thread *st = entities[slot];

                if (!st)
                        continue;
                sched_waiters_clear(st);
                waiter_remove(&st->page);
                entities[slot] = NULL;
                st->next = forgotten;
                forgotten = st;
        }
        for (; old; old = next) {
                next = old->next;
                if (old->waiters != old->first)
                        kfree(old->waiters);
                kfree(old);
        }
}

void sched_set_nice(struct sched_thread *st, int nice, int policy, int rt_priority)
{
        struct run_queue *q = &queues[st->cpu];
        uint64_t f = spin_lock(&q->lock);

        st->nice = (int8_t)nice;
        st->policy = (uint8_t)policy;
        st->rt_priority = (uint8_t)rt_priority;
        spin_unlock(&q->lock, f);
        cpu_need(st->cpu, NEED_RESCHED);
}

void sched_set_affinity(struct sched_thread *st, uint64_t mask)
{
        uint64_t online = cpu_count >= 64 ? ~0ul : (1ul << cpu_count) - 1;

        st->affinity = mask & online ? mask : ~0ul; /* CPUs that are gone: all */
        uint32_t on = st->on_cpu;

        if (on && !allowed(st, on - 1))
                cpu_need(on - 1, NEED_RESCHED);
}

static uint64_t run_time(const struct sched_thread *st)
{
        return st->runtime_ns + (st->on_cpu && st->run_since_ns ? time_mono_ns() - st->run_since_ns : 0);
}

/* What no tick has met yet went where the last one was; without any, to user mode. */
uint64_t sched_runtime(struct sched_thread *st, uint64_t *user_ns)
{
        uint64_t total = run_time(st);
        uint64_t user = st->user_ns + (st->sampled_system || total < st->sampled_ns ? 0 : total - st->sampled_ns);

        *user_ns = MIN(user, total);
        return total;
}

uint64_t sched_take_runtime(struct sched_thread *st, uint64_t *user_ns)
{
        struct run_queue *q = queue_this();
        uint64_t f = spin_lock(&q->lock), total;

        account(st, time_mono_ns());
        total = sched_runtime(st, user_ns);
        st->runtime_ns = st->user_ns = st->sampled_ns = 0;
        spin_unlock(&q->lock, f);
        return total;
}

void sched_tick(void)
{
        struct sched_thread *st = queue_this()->current;
        uint64_t total;

        if (!st)
                return;
        total = run_time(st);
        st->sampled_system = !cpu_this()->irq_from_user;
        if (!st->sampled_system && total > st->sampled_ns)
                st->user_ns += total - st->sampled_ns;
        st->sampled_ns = total;
}

static void slice_fn(struct vtimer *t)
{
        (void)t;
        __atomic_fetch_or(&cpu_this()->need, NEED_RESCHED, __ATOMIC_SEQ_CST);
}

bool sched_should_switch(void)
{
        struct run_queue *q = queue_this();
        uint64_t now = time_mono_ns();
        uint64_t f = spin_lock(&q->lock);
        struct sched_thread *st = q->current;
        bool yes = false;

        if (q->nready && st) {
                account(st, now);
                if (!allowed(st, cpu_this()->id))
                        yes = true;
                else if (q->realtime)
                        yes = q->realtime->rt_priority > st->rt_priority || now >= st->slice_end_ns;
                else if (!is_realtime(st) && q->nonempty)
                        yes = now >= st->slice_end_ns || preempts(q, q->head[first_bucket(q)], now);
                if (!yes && !q->slice.index) {
                        q->slice.fn = slice_fn;
                        vtimer_arm(&q->slice, MAX(st->slice_end_ns, now + GRANULE_NS));
                }
        } else if (st && !allowed(st, cpu_this()->id)) {
                yes = true;
        }
        spin_unlock(&q->lock, f);
        return yes;
}

void sched_yield(struct sched_thread *st)
{
        struct run_queue *q = queue_this();
        uint64_t now = time_mono_ns();
        uint64_t f = spin_lock(&q->lock);

        account(st, now);
        st->slice_end_ns = now;
        if (q->nonempty && !is_realtime(st)) {
                unsigned shift = q->base % BUCKETS;
                uint64_t turned = shift ? q->nonempty >> shift | q->nonempty << (BUCKETS - shift) : q->nonempty;
                uint64_t last = (q->base + 63 - (unsigned)__builtin_clzl(turned)) * BUCKET_NS;

                st->vruntime = MAX(st->vruntime, last);
        }
        spin_unlock(&q->lock, f);
        __atomic_fetch_or(&cpu_this()->need, NEED_RESCHED, __ATOMIC_RELAXED);
}

void sched_preempted(struct sched_thread *st)
{
        struct run_queue *q = queue_this();
        uint64_t now = time_mono_ns();
        uint64_t f = spin_lock(&q->lock);

        account(st, now);
        spin_unlock(&q->lock, f);
        uint32_t old = st->word;

        while (!__atomic_compare_exchange_n(&st->word, &old, (old & ~0xffu) | SCHED_READY, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_SEQ_CST))
                ;
        unsigned cpu = allowed(st, cpu_this()->id) ? cpu_this()->id : choose_cpu(st);

        q = &queues[cpu];
        f = spin_lock(&q->lock);
        st->cpu = cpu;
        enqueue(q, st);
        spin_unlock(&q->lock, f);
        if (cpu != cpu_this()->id)
                cpu_need(cpu, NEED_RESCHED);
}

static struct sched_thread *steal(void)
{
        unsigned self = cpu_this()->id;
        struct run_queue *busiest = NULL;

        for (unsigned i = 0; i < cpu_count; i++)
                if (i != self && queues[i].nready > (queues[i].idle ? 1u : 0u) &&
                    (!busiest || queues[i].nready > busiest->nready))
                        busiest = &queues[i];
        if (!busiest)
                return NULL;
        uint64_t f = spin_lock(&busiest->lock);
        struct sched_thread *st = dequeue(busiest, self);
        uint64_t behind = st && st->vruntime > busiest->vtime ? st->vruntime - busiest->vtime : 0;

        spin_unlock(&busiest->lock, f);
        if (st) {
                st->vruntime = queues[self].vtime + behind;
                st->cpu = self;
        }
        return st;
}

/* A worker is pinned: what it keeps waiting here may run on a CPU that has nothing to do. */
static void offer_rest(void)
{
        for (unsigned i = 0; i < cpu_count; i++) {
                if (queues[i].idle) {
                        cpu_need(i, NEED_RESCHED);
                        return;
                }
        }
}

noreturn void sched_leave(void)
{
        struct cpu *cpu = cpu_this();
        struct run_queue *q = &queues[cpu->id];
        struct sched_thread *st = q->current;

        if (st) {
                account(st, time_mono_ns());
                q->current = NULL;
                cpu->current = NULL;
                __atomic_store_n(&st->on_cpu, 0, __ATOMIC_RELEASE);
        }
        arch_stack_reset(sched_loop, NULL);
}

static noreturn void run(struct run_queue *q, struct sched_thread *st)
{
        struct cpu *cpu = cpu_this();
        uint64_t now;
        uint32_t old;

        while (__atomic_load_n(&st->on_cpu, __ATOMIC_ACQUIRE))
                cpu_relax();
        st->on_cpu = cpu->id + 1;
        old = st->word;
        while (!__atomic_compare_exchange_n(&st->word, &old, (old & ~0xffu) | SCHED_RUNNING, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_SEQ_CST))
                ;
        now = time_mono_ns();
        q->current = st;
        q->idle = false;
        q->switches++;
        st->run_since_ns = now;
        st->slice_end_ns = now + SLICE_NS;
        if (q->nready && !q->slice.index) {
                q->slice.fn = slice_fn;
                vtimer_arm(&q->slice, st->slice_end_ns);
        }
        if (old & (SCHED_SIGNAL | SCHED_KILL))
                __atomic_fetch_or(&cpu->need, NEED_SIGNAL, __ATOMIC_RELAXED);
        cpu->current = st->owner;
        if (st->worker) {
                if (q->nready)
                        offer_rest();
                worker_run(st->worker);
        }
        tick_resume();
        sched_hooks.run(st->owner);
        __builtin_unreachable();
}

noreturn void sched_loop(void *unused)
{
        struct cpu *cpu = cpu_this();
        struct run_queue *q = &queues[cpu->id];

        (void)unused;
        for (;;) {
                if (cpu->need & (NEED_PARK | NEED_WORK))
                        sched_hooks.gate(true);
                /* A signal's mark was for a thread that has left; who comes next has its own in its word. */
                __atomic_fetch_and(&cpu->need, ~(NEED_RESCHED | NEED_SIGNAL), __ATOMIC_SEQ_CST);
                uint64_t f = spin_lock(&q->lock);
                struct sched_thread *st = dequeue(q, cpu->id);

                if (st)
                        set_base(q, st);
                spin_unlock(&q->lock, f);
                if (!st && cpu_count > 1)
                        st = steal();
                if (st)
                        run(q, st);
                q->idle = true;
                sched_hooks.idle();
                uint64_t flags = irq_save();

                if (!cpu->need && !q->nready)
                        arch_idle();
                irq_restore(flags);
                sched_hooks.awake();
                q->idle = false;
        }
}

static void load_fn(struct vtimer *t)
{
        static const uint64_t decay[3] = {1884, 2014, 2037}; /* exp(-5s/1m,5m,15m) * 2048 */
        struct sched_load l;

        sched_load_get(&l);
        for (unsigned i = 0; i < 3; i++)
                load_avg[i] =
                        (load_avg[i] * decay[i] + (uint64_t)(l.ready + l.running) * 2048 * (2048 - decay[i])) >> 11;
        vtimer_arm(t, t->deadline_ns + 5 * NSEC_PER_SEC);
}

void sched_load_get(struct sched_load *l)
{
        *l = (struct sched_load){0};
        for (unsigned i = 0; i < cpu_count; i++) {
                l->switches += queues[i].switches;
                l->ready += queues[i].nready;
                l->running += queues[i].current != NULL;
                l->idle_ns += cpus[i].idle_ns;
        }
        for (unsigned i = 0; i < 3; i++)
                l->avg[i] = load_avg[i];
}

void sched_init(void)
{
        weight[20] = 1024;
        for (unsigned i = 21; i < 40; i++)
                weight[i] = weight[i - 1] * 4 / 5;
        for (unsigned i = 20; i > 0; i--)
                weight[i - 1] = weight[i] * 5 / 4;
        load_timer.fn = load_fn;
        vtimer_arm(&load_timer, time_mono_ns() + 5 * NSEC_PER_SEC);
}
