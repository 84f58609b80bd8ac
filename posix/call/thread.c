/*
 * thread.c - thread records: made, entered, left. The record is in the space; the scheduler's entity for its slot is volatile.
 */
#include "posix/include/mm.h"
#include "posix/call/call_internal.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/arch/mmu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"

static struct sched_thread *spare[MAX_CPUS];

int thread_reserve(void)
{
        struct sched_thread **s = &spare[cpu_this()->id];

        if (!*s)
                *s = sched_create(NULL, ~0u);
        return *s && posix_root()->nthreads < MAX_THREADS - 1 ? 0 : -EAGAIN;
}

/* Lock-free: a slot is claimed by setting its bit. */
static uint32_t slot_claim(void)
{
        struct posix_root *root = posix_root();

        for (unsigned i = 0; i < ARRAY_SIZE(root->slot_bitmap); i++) {
                uint64_t word = READ_ONCE(root->slot_bitmap[i]);

                while (word != ~0ul) {
                        unsigned bit = (unsigned)__builtin_ctzl(~word);

                        if (!(__atomic_fetch_or(&root->slot_bitmap[i], 1ul << bit, __ATOMIC_SEQ_CST) >> bit & 1))
                                return i * 64 + bit;
                        word = READ_ONCE(root->slot_bitmap[i]);
                }
        }
        panic("no thread slot left though thread_reserve found room");
}

void thread_slot_release(uint32_t slot)
{
        struct posix_root *root = posix_root();

        sched_destroy(slot);
        __atomic_fetch_and(&root->slot_bitmap[slot / 64], ~(1ul << slot % 64), __ATOMIC_SEQ_CST);
        __atomic_fetch_sub(&root->nthreads, 1, __ATOMIC_SEQ_CST);
}

struct thread *thread_new(struct process *p)
{
        struct thread *t = object_new(TYPE_THREAD);
        struct sched_thread *st = spare[cpu_this()->id];

        spare[cpu_this()->id] = NULL;
        t->slot = slot_claim();
        t->fpu = space_alloc_bytes(fpu_size() + 64);
        t->proc = p;
        object_get(p);
        t->run = THREAD_NEW;
        t->affinity = ~0ul;
        t->nice_plus20 = 20;
        __atomic_fetch_add(&posix_root()->nthreads, 1, __ATOMIC_SEQ_CST);
        if (!st)
                panic("thread_new without thread_reserve");
        sched_attach(st, t, t->slot);
        return t;
}

void thread_start(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        t->run = THREAD_LIVE;
        t->has_frame = 1;
        st->affinity = t->affinity;
        if (t->nice_plus20 != 20 || t->rt_priority)
                sched_set_nice(st, t->nice_plus20 - 20, t->policy, t->rt_priority);
        sched_ready(st);
}

void thread_signal_post(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        if (st)
                sched_post(st, SCHED_SIGNAL);
}

void thread_kill_post(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        if (st)
                sched_post(st, SCHED_KILL | SCHED_SIGNAL);
}

/* The mark first: a thread that is just about to stop looks again, one that has stopped by then is seen stopped. */
void thread_continue(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        if (!st)
                return;
        sched_post(st, SCHED_SIGNAL);
        if (SCHED_STATE(st->word) == SCHED_STOPPED)
                sched_ready(st);
}

/* ---- storm, recovery ---- */

static void forget_scratch(void *object, void *arg)
{
        struct thread *t = object;
        struct sched_thread *st = sched_of(t->slot);

        (void)arg;
        for (unsigned i = 0; st && st->owner == t && i < ARRAY_SIZE(st->scratch); i++)
                kfree(st->scratch[i]);
}

void thread_forget(void)
{
        for (unsigned i = 0; i < cpu_count; i++) {
                kfree(spare[i]);
                spare[i] = NULL;
        }
        space_each(TYPE_THREAD, forget_scratch, NULL);
        sched_forget_threads();
}

static void restore(void *object, void *arg)
{
        struct thread *t = object;
        struct sched_thread *st;
        int *error = arg;

        if (*error || (t->run == THREAD_DEAD && !exit_goes_on(t)))
                return;
        st = sched_create(t, t->slot);
        if (!st) {
                *error = -ENOMEM;
                return;
        }
        sched_set_affinity(st, t->affinity);
        sched_set_nice(st, t->nice_plus20 - 20, t->policy, t->rt_priority);
        if (t->run == THREAD_NEW)
                return;
        if (!wait_restore(t, thread_is_stopped(t) && !thread_is_doomed(t)))
                *error = -ENOMEM;
        if (t->run > THREAD_STOPPED)
                return;
        /* Marks that the last life may have left in its volatile half: who has nothing to look at finds that out. */
        if (thread_is_doomed(t))
                sched_post(st, SCHED_KILL | SCHED_SIGNAL);
        else if (signal_wanted(t))
                sched_post(st, SCHED_SIGNAL);
}

int thread_boot(void)
{
        int error = 0;

        space_each(TYPE_THREAD, restore, &error);
        return error;
}

void thread_save_regs(struct thread *t)
{
        uint64_t user, total = sched_take_runtime(sched_of(t->slot), &user);

        t->user_ns += user;
        t->system_ns += total - user;
        t->frame = *user_frame();
        t->has_frame = 1;
        fpu_save(fpu_area(t));
}

void thread_enter(struct thread *t)
{
        struct cpu *cpu = cpu_this();
        struct mmu *tables = t->proc->mm ? mm_tables(t->proc->mm) : NULL;

        if (cpu->mmu != tables)
                mmu_load(tables);
        fs_base_set(t->fs_base);
        gs_base_user_set(t->gs_base);
        fpu_restore(fpu_area(t));
        *cpu->frame = t->frame;
}
