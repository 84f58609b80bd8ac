/*
 * worker.c - the kernel's own threads (worker.h). To the scheduler a worker is an entity like any other; what differs is that it is left in the middle
 * of its calls: its stack is its state. The switch away happens on the CPU's stack (sched_leave clears on_cpu there), so nobody can go on
 * with a worker whose stack is still in use.
 * No wake is lost: the step RUNNING -> WAITING fails when one has come since the flags were last taken, and they are taken before
 * worker_sleep returns, that is before the caller looks at what it waits for.
 */
#include "kernel/include/worker.h"
#include "kernel/include/cpu.h"
#include "kernel/include/mem.h"
#include "kernel/include/sched.h"
#include "kernel/include/time.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/lib/string.h"

#define STACK_SIZE (32 * 1024)

struct worker {
        struct sched_thread *st;
        const char *name;
        void (*fn)(void *arg);
        void *arg;
        uint64_t stack_top;
        uint64_t saved; /* stack pointer while it does not run; 0: has not begun */
};

struct worker *worker_create(const char *name, void (*fn)(void *arg), void *arg)
{
        struct worker *w = kmalloc(sizeof(*w));
        char *stack = vmalloc(STACK_SIZE); /* with a guard page below */
        struct sched_thread *st = sched_create(NULL, ~0u);

        if (!w || !stack || !st) {
                kfree(w);
                vfree(stack);
                kfree(st);
                return NULL;
        }
        memset(stack, 0, STACK_SIZE); /* as for the CPUs' stacks: cpu.c */
        *w = (struct worker){.st = st, .name = name, .fn = fn, .arg = arg, .stack_top = (uint64_t)stack + STACK_SIZE};
        st->worker = w;
        st->affinity = 1ul << cpu_this()->id;
        sched_ready(st);
        return w;
}

void worker_set_nice(struct worker *w, int nice)
{
        sched_set_nice(w->st, nice, 0, 0);
}

struct worker *worker_this(void)
{
        struct sched_thread *st = sched_current();

        return st ? st->worker : NULL;
}

const char *worker_name(const struct worker *w)
{
        return w->name;
}

static void begin(void *worker)
{
        struct worker *w = worker;

        w->fn(w->arg);
        __builtin_unreachable();
}

noreturn void worker_run(struct worker *w)
{
        if (cpu_this()->mmu) /* a process may end meanwhile, and its page tables with it */
                mmu_load(NULL);
        if (w->saved)
                stack_resume(w->saved);
        stack_start(w->stack_top, begin, w);
}

void worker_wake(struct worker *w)
{
        sched_post(w->st, SCHED_WOKEN);
}

void worker_sleep(uint64_t mono_ns)
{
        struct worker *w = worker_this();

        sched_set_deadline(w->st, mono_ns);
        if (sched_sleep(w->st, SCHED_WAITING, false, false))
                stack_park(&w->saved, sched_leave);
        else
                worker_yield();
        sched_set_deadline(w->st, 0);
        sched_take_flags(w->st);
}

void worker_yield(void)
{
        struct worker *w = worker_this();
        struct cpu *cpu = cpu_this();

        if (!(cpu->need & (NEED_PARK | NEED_WORK))) {
                if (!(cpu->need & NEED_RESCHED))
                        return;
                __atomic_fetch_and(&cpu->need, ~NEED_RESCHED, __ATOMIC_SEQ_CST);
                if (!sched_should_switch())
                        return;
        }
        sched_preempted(w->st);
        stack_park(&w->saved, sched_leave);
}

void worker_pause(uint64_t ns)
{
        uint64_t end = time_mono_ns() + ns;

        while (time_mono_ns() < end) {
                if (worker_this())
                        worker_sleep(end);
                else
                        cpu_relax();
        }
}
