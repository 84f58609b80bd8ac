/*
 * vtimer.c - one-shot timers: a red-black tree by deadline on each CPU, the earliest programmed into the CPU's own timer.
 * Cancelling does not reprogram: an interrupt that comes for nothing costs less than a device access at each cancel.
 * Lock: the queue's (volatile, interrupts off); two queues are never locked together.
 */
#include "kernel/include/arch/machine.h"
#include "kernel/include/hooks.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"

#define TICK_NS (NSEC_PER_SEC / 100)

static struct queue {
        struct spinlock lock;
        struct rb_root tree;
        struct vtimer *first;
        struct vtimer *running;
        uint64_t serving_ns; /* deadline of the one that runs; 0: none */
        uint64_t first_ns;   /* [a] serving_ns, else deadline of the first one; 0: none */
        uint64_t programmed; /* ~0: nothing */
        struct vtimer tick;
        bool ticked_idle; /* the tick found the CPU idle and stopped */
} __attribute__((aligned(64))) queues[MAX_CPUS];

static inline struct vtimer *timer_of(struct rb_node *n)
{
        return rb_entry(n, struct vtimer, node);
}

static void publish(struct queue *q)
{
        uint64_t first = q->first ? q->first->deadline_ns : 0;

        __atomic_store_n(&q->first_ns, q->serving_ns ? q->serving_ns : first, __ATOMIC_RELEASE);
}

static void insert(struct queue *q, struct vtimer *t)
{
        struct rb_node **at = &q->tree.node, *parent = NULL;
        bool first = true;

        while (*at) {
                parent = *at;
                if (t->deadline_ns < timer_of(parent)->deadline_ns) {
                        at = &parent->left;
                } else {
                        at = &parent->right;
                        first = false;
                }
        }
        rb_insert(&q->tree, &t->node, parent, at);
        t->index = 1;
        if (first)
                q->first = t;
}

static void take_off(struct queue *q, struct vtimer *t)
{
        if (q->first == t) {
                struct rb_node *n = rb_next(&t->node);
                q->first = n ? timer_of(n) : NULL;
        }
        rb_erase(&q->tree, &t->node);
        t->index = 0;
}

static void program(struct queue *q)
{
        uint64_t want = q->first ? q->first->deadline_ns : ~0ul;

        if (want < q->programmed) {
                q->programmed = want;
                timer_program(want);
        }
}

/* Off whatever queue it is on. Its owner may change until the lock is held. */
void vtimer_disarm(struct vtimer *t)
{
        while (READ_ONCE(t->index)) {
                struct queue *q = &queues[READ_ONCE(t->cpu)];
                uint64_t f = spin_lock(&q->lock);
                if (t->index && q == &queues[t->cpu]) {
                        take_off(q, t);
                        publish(q);
                }
                spin_unlock(&q->lock, f);
        }
}

void vtimer_arm(struct vtimer *t, uint64_t deadline_ns)
{
        uint64_t f = irq_save(), g;
        struct queue *q = &queues[cpu_this()->id];

        while (__atomic_exchange_n(&t->arming, 1, __ATOMIC_ACQUIRE)) /* else two CPUs put it into two queues */
                cpu_relax();
        if (t->index && t->cpu != cpu_this()->id)
                vtimer_disarm(t);
        g = spin_lock(&q->lock);
        if (t->index)
                take_off(q, t);
        t->deadline_ns = deadline_ns;
        t->cpu = cpu_this()->id;
        insert(q, t);
        publish(q);
        program(q);
        spin_unlock(&q->lock, g);
        __atomic_store_n(&t->arming, 0, __ATOMIC_RELEASE);
        irq_restore(f);
}

void vtimer_cancel(struct vtimer *t)
{
        unsigned self;

        vtimer_disarm(t);
        self = cpu_this()->id;
        for (unsigned i = 0; i < cpu_count; i++) {
                while (i != self && READ_ONCE(queues[i].running) == t)
                        cpu_relax();
        }
}

void timer_interrupt(void)
{
        struct queue *q = &queues[cpu_this()->id];
        uint64_t f = spin_lock(&q->lock);

        q->programmed = ~0ul;
        while (q->first && q->first->deadline_ns <= time_mono_ns()) {
                struct vtimer *t = q->first;
                q->running = t;
                take_off(q, t);
                q->serving_ns = t->deadline_ns;
                spin_unlock(&q->lock, f);
                t->fn(t);
                f = spin_lock(&q->lock);
                q->running = NULL;
                q->serving_ns = 0;
                publish(q);
        }
        program(q);
        spin_unlock(&q->lock, f);
}

bool vtimer_overdue(uint64_t until_ns)
{
        for (unsigned i = 0; i < cpu_count; i++) {
                uint64_t first = __atomic_load_n(&queues[i].first_ns, __ATOMIC_ACQUIRE);

                if (first && first <= until_ns)
                        return true;
        }
        return false;
}

bool vtimer_is_pending(const struct vtimer *t)
{
        if (READ_ONCE(t->index))
                return true;
        for (unsigned i = 0; i < cpu_count; i++)
                if (READ_ONCE(queues[i].running) == t)
                        return true;
        return false;
}

void vtimer_nap(uint64_t ns)
{
        struct queue *q = &queues[cpu_this()->id];
        uint64_t until = time_mono_ns() + ns;

        irq_save();
        if (until < q->programmed) { /* the interrupt finds nothing due, and programs what is */
                q->programmed = until;
                timer_program(until);
        }
        cpu_halt();
}

static void tick(struct vtimer *t)
{
        struct queue *q = container_of(t, struct queue, tick);

        if (hooks.tick)
                hooks.tick();
        if (cpu_this()->current)
                vtimer_arm(t, t->deadline_ns + TICK_NS);
        else
                q->ticked_idle = true;
}

void tick_resume(void)
{
        struct queue *q = &queues[cpu_this()->id];

        if (!hooks.tick || !q->ticked_idle)
                return;
        q->ticked_idle = false;
        vtimer_arm(&q->tick, time_mono_ns() + TICK_NS);
}

void vtimer_cpu_init(void)
{
        struct queue *q = &queues[cpu_this()->id];

        q->programmed = ~0ul;
        q->tick.fn = tick;
        q->ticked_idle = true;
}
