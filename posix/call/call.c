/*
 * call.c - the dispatcher (calls.md). One way in for a first run, for a run after a wake-up, a signal, a barrier, an absent page and a reboot: call_dispatch() on a
 * struct call that stands on the CPU's stack, made from user registers or copied from the thread's record.
 *
 * Where a call can be when its section is abandoned (absent page): nothing has changed in that section, so it is run again from the record when there is one
 * (in_call), else from the user registers. A call that has had an effect is therefore always saved before its next section begins. If the page must be read first, the thread sleeps
 * meanwhile, its call put down in the record as it was at the entry (stage 0).
 *
 * States of a thread, as this file moves it:
 *   user mode --syscall/fault/trap--> section --result--> thread_return() --> user mode
 *                                        |  CALL_WAIT: record, asleep; sched_leave()     wake: thread_run() -> section
 *                                        |  CALL_AGAIN: record; gate; section
 *                                        |  CALL_FAULT: (record if there was an effect); section for the fault; section
 * Invariants: P2 (a thread off a CPU is in its record), P9, P14 (persist/README.md).
 */
#include "posix/include/deadline.h"
#include "posix/include/fuse.h"
#include "posix/include/mm.h"
#include "posix/call/call_internal.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/hooks.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/rng.h"
#include "persist/old.h"

uint32_t chaos_per_mille, call_trace;

/* What this CPU's section does, for its run after an abandonment. */
static struct {
        uint64_t addr, err;
} user_access[MAX_CPUS];

static long run_user_fault(struct call *c);
static long run_user_trap(struct call *c);
static void call_redo(void *arg);

static const struct syscall_entry pseudo_table[NR_PSEUDO_END - NR_PSEUDO] = {
        [NR_USER_FAULT -
         NR_PSEUDO] = {.name = "(fault)", .run = run_user_fault, .interrupt = KILLABLE, .restart = ERESTARTNOINTR},
        [NR_SIGNAL - NR_PSEUDO] = {.name = "(signal)",
                                   .run = signal_deliver,
                                   .interrupt = KILLABLE,
                                   .restart = ERESTARTNOINTR},
        [NR_EXIT - NR_PSEUDO] = {.name = "(exit)",
                                 .run = exit_run,
                                 .interrupt = UNINTERRUPTIBLE,
                                 .restart = ERESTARTNOINTR},
        [NR_START_INIT - NR_PSEUDO] = {.name = "(init)",
                                       .run = exec_start,
                                       .interrupt = UNINTERRUPTIBLE,
                                       .restart = ERESTARTNOINTR},
        [NR_CHILD_TID - NR_PSEUDO] = {.name = "(child tid)",
                                      .run = child_tid_run,
                                      .interrupt = KILLABLE,
                                      .restart = ERESTARTNOINTR},
        [NR_USER_TRAP - NR_PSEUDO] = {.name = "(trap)",
                                      .run = run_user_trap,
                                      .interrupt = UNINTERRUPTIBLE,
                                      .restart = ERESTARTNOINTR},
};
static const struct syscall_entry unknown = {.name = "(unknown)", .restart = ERESTARTNOINTR};

static const struct syscall_entry *entry_of(uint64_t nr)
{
        if (nr < syscall_count && (syscall_table[nr].run || syscall_table[nr].quick))
                return &syscall_table[nr];
        if (nr >= NR_PSEUDO && nr < NR_PSEUDO_END)
                return &pseudo_table[nr - NR_PSEUDO];
        return &unknown;
}

static void call_init(struct call *c, struct thread *t, unsigned nr)
{
        c->thread = t;
        c->nr = (uint16_t)nr;
        c->stage = 0;
        c->why = WHY_RUN;
        c->saved = 0;
        c->counted = 0;
        c->fault_failed = 0;
        c->has_mask = 0;
        for (unsigned i = 0; i < CALL_OBJECTS; i++)
                c->objects[i] = NULL;
        c->deadline = NO_DEADLINE;
        c->overflow = NULL;
        c->overflow_len = 0;
        c->overflow_saved = 0;
        c->pos = 0;
        c->io.len = c->io.done = 0;
        c->io.nvec = 0;
        c->io.overflow = NULL;
}

static void scratch_free(struct sched_thread *st)
{
        for (unsigned i = 0; i < ARRAY_SIZE(st->scratch); i++)
                if (st->scratch[i]) {
                        kvfree(st->scratch[i]);
                        st->scratch[i] = NULL;
                }
}

void call_drop_volatile(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        if (!(t->wait.active && t->wait.kind == GRANT))
                sched_waiters_clear(st);
        scratch_free(st);
}

void *call_scratch(struct call *c, unsigned which, size_t len)
{
        void **p = &sched_of(c->thread->slot)->scratch[which];

        kvfree(*p);
        do {
                /* Chaos: no frames stand side by side now. */
                *p = len > PAGE_SIZE && chaos_strikes() ? vmalloc(len) : kvmalloc(len);
                /* Free pages of the space keep their frames till they are asked for. */
        } while (!*p && space_trim(ALIGN_UP(len, PAGE_SIZE) >> PAGE_SHIFT));
        if (!*p)
                space_make_room();
        return *p;
}

void *call_overflow(struct call *c, size_t len)
{
        if (c->overflow || len > SECTION_PAGES / 2 * PAGE_SIZE)
                return NULL;
        /* Slot 0's block for now; call_save moves it into the space. */
        c->overflow = call_scratch(c, 0, len);
        if (c->overflow) {
                __builtin_memset(c->overflow, 0, len);
                c->overflow_len = (uint32_t)len;
        }
        return c->overflow;
}

/* Copies the call into the thread's record and counts what it names. After this the call survives anything. */
void call_save(struct call *c)
{
        struct thread *t = c->thread;
        struct sched_thread *st = sched_of(t->slot);

        section_changes();
        if (c->overflow && !c->overflow_saved) {
                void *block = space_alloc_bytes(c->overflow_len);

                __builtin_memcpy(block, c->overflow, c->overflow_len);
                c->overflow = block;
                c->overflow_saved = 1;
        }
        if (c->io.overflow && c->io.overflow == st->scratch[1]) {
                size_t len = c->io.nvec * sizeof(struct user_vec);
                void *block = space_alloc_bytes(len);

                __builtin_memcpy(block, c->io.overflow, len);
                c->io.overflow = block;
        }
        scratch_free(st);
        for (unsigned i = 0; i < CALL_OBJECTS; i++)
                if (c->objects[i] && !(c->counted >> i & 1)) {
                        object_get(c->objects[i]);
                        c->counted |= (uint8_t)(1u << i);
                }
        c->saved = 1;
        t->call = *c;
        t->call.entry = NULL;
        t->in_call = 1;
}

static bool in_space(const void *p)
{
        return (uint64_t)p >= SPACE_BASE && (uint64_t)p < SPACE_BASE + SPACE_MAX;
}

/*
 * The call is over; what its record holds is let go on the way out, in a section that has looked at it first (an object may be on an absent page). Until then the
 * record alone names the references.
 */
static void call_close(struct call *c)
{
        struct thread *t = c->thread;

        section_changes();
        for (unsigned i = 0; i < CALL_OBJECTS; i++)
                t->call.objects[i] = c->counted >> i & 1 ? c->objects[i] : NULL;
        t->call.counted = c->counted;
        t->call.overflow = c->overflow_saved ? c->overflow : NULL;
        /* A call of many messages may be saved and have vectors that are not. */
        t->call.io.overflow = c->io.nvec > IO_INLINE && in_space(c->io.overflow) ? c->io.overflow : NULL;
        t->in_call = 0;
        t->wait.active = 0;
        t->release = t->call.counted || t->call.overflow || t->call.io.overflow || t->fuse;
}

static void return_redo(void *arg);
static noreturn void run_exit(struct thread *t);

static void call_release(struct thread *t)
{
        struct call *c = &t->call;

        section_begin(return_redo, NULL);
        for (unsigned i = 0; i < CALL_OBJECTS; i++)
                object_look(c->objects[i]);
        section_changes();
        for (unsigned i = 0; i < CALL_OBJECTS; i++) {
                object_put(c->objects[i]);
                c->objects[i] = NULL;
        }
        c->counted = 0;
        space_free_bytes(c->overflow);
        space_free_bytes(c->io.overflow);
        c->overflow = NULL;
        c->io.overflow = NULL;
        t->release = t->fuse && fuse_call_end(t);
        section_end();
}

void call_prepare(struct thread *t, unsigned nr, const uint64_t arg[6])
{
        call_init(&t->call, t, nr);
        for (unsigned i = 0; i < 6; i++)
                t->call.arg[i] = arg[i];
        t->call.entry = NULL;
        t->in_call = 1;
}

/*
 * Its deadline is past, and timers that were due no later have had their effect, as a sleep that outlasts a timer is interrupted by its signal. They have not when another CPU is late with
 * its interrupt, or their section waits for a page: then who is told to look goes back to sleep for a moment (call_sleep).
 */
static bool deadline_passed(const struct wait_record *w)
{
        return w->active && w->deadline && time_mono_ns() >= w->deadline && !deadline_unserved(w->deadline);
}

enum why call_why(struct call *c)
{
        struct thread *t = c->thread;
        struct sched_thread *st = sched_of(t->slot);
        uint32_t flags = sched_take_flags(st);
        unsigned allows = t->wait.active ? t->wait.interrupt : c->entry->interrupt;
        enum why why = flags & SCHED_DEADLINE && deadline_passed(&t->wait) ? WHY_DEADLINE : WHY_RUN;

        if (flags & (SCHED_SIGNAL | SCHED_KILL) && signal_wanted(t)) {
                /* It is acted upon on the way out: keep the mark. */
                __atomic_fetch_or(&st->word, flags & (SCHED_SIGNAL | SCHED_KILL), __ATOMIC_SEQ_CST);
                __atomic_fetch_or(&cpu_this()->need, NEED_SIGNAL, __ATOMIC_RELAXED);
                if (allows == INTERRUPTIBLE)
                        why = WHY_SIGNAL;
        }
        if (flags & SCHED_KILL && allows != UNINTERRUPTIBLE)
                why = WHY_KILL;
        return why;
}

/*
 * Gate between two sections of one thread: what others wait for this CPU to do. The thread is in its record. Sections that save its registers are not abandoned: its call may have ended,
 * and what is done again would be the whole call.
 */
static void gate(struct thread *t)
{
        struct cpu *cpu = cpu_this();

        while (cpu->need & (NEED_PARK | NEED_WORK)) {
                bool park = cpu->need &
                            NEED_PARK; /* one that is asked for from now on waits until the registers are saved */

                if (park) {
                        section_begin_ungated(call_redo, NULL);
                        section_changes();
                        thread_save_regs(t);
                        section_end();
                }
                sched_hooks.gate(park);
        }
        if (cpu->need & NEED_RESCHED) {
                __atomic_fetch_and(&cpu->need, ~NEED_RESCHED, __ATOMIC_SEQ_CST);
                if (sched_should_switch()) {
                        section_begin_ungated(call_redo, NULL);
                        section_changes();
                        thread_save_regs(t);
                        t->nivcsw++;
                        section_end();
                        sched_preempted(sched_of(t->slot));
                        sched_leave();
                }
        }
}

/* Everything that died in the thread's calls, an object or a piece of a big one a section; the gate is between them. Who borrowed one may still count it (object.c). */
static void drain(struct thread *t, void (*redo)(void *arg))
{
        struct object *passed = NULL; /* from it on, all sections of that time are over */
        bool wait = true;

        while (t->dying) {
                struct object *o;

                if (wait) {
                        uint64_t stamp = section_stamp();

                        passed = t->dying;
                        section_wait_passed(stamp);
                }
                section_begin(redo, NULL);
                o = t->dying;
                object_touch(o);
                wait = o != passed && !(o->flags & OBJECT_ALONE); /* it has come since */
                if (!wait) {
                        section_changes();
                        if (o == passed)
                                passed = o->next_dying;
                        t->dying = o->next_dying;
                        o->next_dying = NULL;
                        object_destroy(o);
                }
                section_end();
                if (cpu_this()->need & ~NEED_SIGNAL)
                        gate(t); /* a big address space takes many pieces */
        }
}

/* A user address in the way of a call, or of the user itself. Its own section; on return no section is open. */
static long resolve(struct call *c, uint64_t addr, uint64_t err, int *signo, int *code)
{
        long r;

        section_begin(call_redo, NULL);
        r = mm_fault(c, addr, err, signo, code);
        section_end();
        return r;
}

/* trace on the command line, or /proc/phantom/trace: every ended call to the log. */
static void trace(const struct call *c, long r)
{
        klog(LOG_INFO, "[%d] %s(%#lx, %#lx, %#lx, %#lx) = %ld", c->thread->tid, c->entry->name, c->arg[0], c->arg[1],
             c->arg[2], c->arg[3], r);
}

static noreturn void call_end(struct call *c, long r)
{
        struct thread *t = c->thread;
        struct sched_thread *st = sched_of(t->slot);
        bool restart = r <= -ERESTARTSYS && r >= -ERESTART_RESTARTBLOCK && c->nr < NR_PSEUDO;

        if (unlikely(call_trace))
                trace(c, r);

        if (t->in_call)
                call_close(c);
        if (st->nwaiters)
                sched_waiters_clear(st);
        scratch_free(st);
        if (restart) {
                section_changes();
                t->pending_result = r;
                t->pending_nr = c->nr;
        } else if (r != CALL_DONE && c->nr < NR_PSEUDO) {
                user_frame()->rax = (uint64_t)r;
        }
        if (c->has_mask) {
                section_changes();
                t->restore_mask = c->saved_mask;
                t->has_restore_mask = 1;
        }
        section_end();
        thread_return();
}

static noreturn void thread_gone(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);

        mmu_load(NULL);
        scratch_free(st);
        sched_waiters_clear(st);
        cpu_this()->current = NULL;
        while (t->dying) {
                struct object *o = t->dying;

                t->dying = o->next_dying;
                object_put_dying(o);
        }
        section_end();
        __atomic_store_n(&st->word, SCHED_DEAD, __ATOMIC_SEQ_CST);
        sched_leave();
}

/* What an unsaved call borrowed went with the section it was found in: it decodes again. */
static void call_rewind(struct call *c)
{
        c->stage = 0;
        for (unsigned i = 0; i < CALL_OBJECTS; i++)
                c->objects[i] = NULL;
        c->overflow = NULL;
        c->overflow_len = 0;
        c->io.len = c->io.done = 0;
        c->io.nvec = 0;
        c->io.overflow = NULL;
}

/*
 * The same for one that is in its record, when it has more than the record counts: objects, or an overflow block of this run (it waited for memory before it was
 * decoded, and is decoded now). It goes on from the record.
 */
static void call_reload(struct call *c)
{
        struct call now = *c;
        bool borrowed = c->overflow && !c->overflow_saved;

        for (unsigned i = 0; i < CALL_OBJECTS; i++)
                borrowed |= c->objects[i] && !(c->counted >> i & 1);
        if (!borrowed)
                return;
        *c = c->thread->call;
        c->entry = now.entry;
        c->why = now.why;
        c->fault_failed = now.fault_failed;
}

noreturn void call_dispatch(struct call *c)
{
        struct thread *t = c->thread;

        for (;;) {
                long r = c->entry->run     ? c->entry->run(c)
                         : c->entry->quick ? c->entry->quick(t, user_frame())
                                           : -ENOSYS;

                if (likely(r > CALL_WAIT))
                        call_end(c, r);
                switch (r) {
                case CALL_DONE:
                        call_end(c, r);
                case CALL_WAIT:
                        section_end();
                        sched_leave();
                case CALL_RETRY:
                        section_step();
                        break;
                case CALL_AGAIN:
                        call_save(c);
                        section_end();
                        drain(t, call_redo);
                        gate(t);
                        section_begin(call_redo, NULL);
                        c->why = call_why(c);
                        break;
                case CALL_FAULT: {
                        uint64_t addr = c->fault_addr, err = c->fault_err;
                        int signo, code;

                        if (section_this()->changed)
                                call_save(c);
                        else if (t->in_call)
                                call_reload(c);
                        else
                                call_rewind(c);
                        section_end();
                        r = resolve(c, addr, err, &signo, &code);
                        if (r == CALL_WAIT) /* memory is short: the call is in its record */
                                sched_leave();
                        if (r != 0 && r != CALL_RETRY)
                                c->fault_failed = 1;
                        section_begin(call_redo, NULL);
                        break;
                }
                case CALL_EXIT:
                        thread_gone(t);
                default:
                        panic("call %s returned %ld", c->entry->name, r);
                }
        }
}

static void call_from_frame(struct call *c, struct thread *t, const struct frame *f)
{
        call_init(c, t, f->nr < syscall_count ? (unsigned)f->nr : syscall_count);
        c->entry = f->nr < syscall_count ? &syscall_table[f->nr] : &unknown;
        c->arg[0] = f->rdi;
        c->arg[1] = f->rsi;
        c->arg[2] = f->rdx;
        c->arg[3] = f->r10;
        c->arg[4] = f->r8;
        c->arg[5] = f->r9;
}

void call_syscall_entry(struct frame *f)
{
        struct cpu *cpu = cpu_this();
        struct thread *t = cpu->current;
        uint64_t nr = f->nr = (uint32_t)f->nr; /* Linux looks at eax; the upper half must not pass for FRAME_TRAP */
        const struct syscall_entry *e = nr < syscall_count ? &syscall_table[nr] : &unknown;
        struct call c;

        if (e->quick) {
                f->rax = (uint64_t)e->quick(t, f);
                if (likely(!cpu->need))
                        arch_return_to_user(f);
                thread_return();
        }
        call_from_frame(&c, t, f);
        section_begin(call_redo, NULL);
        call_dispatch(&c);
}

/* The user's own access, as a pseudo-call: a signal when it cannot be. */
static long run_user_fault(struct call *c)
{
        int signo = 0, code = 0;
        long r = mm_fault(c, c->arg[0], c->arg[1], &signo, &code);

        if (r == 0 || r == CALL_WAIT || r == CALL_AGAIN || r == CALL_RETRY)
                return r ? r : CALL_DONE;
        signal_force_fault(c->thread, signo, code, c->arg[0], 14, c->arg[1]);
        return CALL_DONE;
}

void call_user_fault_entry(struct frame *f, uint64_t addr, uint64_t err)
{
        struct cpu *cpu = cpu_this();
        struct call c;

        (void)f;
        user_access[cpu->id].addr = addr;
        user_access[cpu->id].err = err;
        call_init(&c, cpu->current, NR_USER_FAULT);
        c.entry = &pseudo_table[NR_USER_FAULT - NR_PSEUDO];
        c.arg[0] = addr;
        c.arg[1] = err;
        section_begin(call_redo, NULL);
        call_dispatch(&c);
}

struct trap_signal {
        int signo, code;
};

static void trap_signal(unsigned vector, uint64_t err, uint64_t rip)
{
        static const struct trap_signal signals[32] = {
                [0] = {SIGFPE, FPE_INTDIV},  [1] = {SIGTRAP, TRAP_TRACE}, [3] = {SIGTRAP, SI_KERNEL},
                [4] = {SIGSEGV, SI_KERNEL},  [5] = {SIGSEGV, SI_KERNEL},  [6] = {SIGILL, ILL_ILLOPN},
                [7] = {SIGSEGV, SI_KERNEL},  [9] = {SIGFPE, SI_KERNEL},   [10] = {SIGSEGV, SI_KERNEL},
                [11] = {SIGBUS, SI_KERNEL},  [12] = {SIGBUS, SI_KERNEL},  [13] = {SIGSEGV, SI_KERNEL},
                [16] = {SIGFPE, FPE_FLTINV}, [17] = {SIGBUS, BUS_ADRALN}, [19] = {SIGFPE, FPE_FLTINV},
        };
        struct trap_signal s =
                vector < 32 && signals[vector].signo ? signals[vector] : (struct trap_signal){SIGSEGV, SI_KERNEL};
        bool address = vector == 0 || vector == 1 || vector == 6 || vector == 16 || vector == 19;

        signal_force_fault(thread_current(), s.signo, s.code, address ? rip : 0, vector, err);
}

static long run_user_trap(struct call *c)
{
        trap_signal((unsigned)c->arg[0], c->arg[1], c->arg[2]);
        return CALL_DONE;
}

void call_user_trap_entry(struct frame *f, unsigned vector, uint64_t err)
{
        section_begin(call_redo, NULL);
        trap_signal(vector, err, f->rip);
        section_end();
        thread_return();
}

void call_user_irq_return(struct frame *f)
{
        (void)f;
        thread_return();
}

/* The call of the user's registers goes into the record as it was at its beginning. Those of an interrupt name none. */
static void call_of_registers(struct thread *t)
{
        const struct frame *f = user_frame();
        unsigned vector = f->nr & 0xff;

        if (!(f->nr & FRAME_TRAP)) {
                call_prepare(t, f->nr < syscall_count ? (unsigned)f->nr : syscall_count,
                             (uint64_t[6]){f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9});
        } else if (vector == 14) {
                uint64_t addr = user_access[cpu_this()->id].addr, err = user_access[cpu_this()->id].err;

                call_prepare(t, NR_USER_FAULT, (uint64_t[6]){addr, err});
        } else if (vector < 32) {
                call_prepare(t, NR_USER_TRAP, (uint64_t[6]){vector, f->err, f->rip});
        }
}

/* What this CPU's section was abandoned for: a page of the space (page 0: memory), or pages of a kept snapshot. */
struct missing {
        bool old;
        ppn_t ppn;
};

static struct missing missing_now(void)
{
        struct missing m = {.old = old_pending(), .ppn = space_fetch_pending()};

        if (m.old)
                old_fetch();
        return m;
}

/* 0: it is here; 1: it is being read; -EIO: it is lost. */
static int missing_ask(const struct missing *m)
{
        return m->old ? !old_arrived() : space_fetch_start(m->ppn);
}

/*
 * The thread, which is in its record, sleeps until what is missing is here; its wait record is left alone. Returns if it is here by the time it was to fall asleep; -EIO: it is
 * lost.
 */
static int missing_await(struct thread *t, const struct missing *m)
{
        struct sched_thread *st = sched_of(t->slot);
        int r;

        section_begin_ungated(call_redo, NULL);
        section_changes();
        thread_save_regs(t);
        t->majflt++;
        section_end();
        /*
         * What woke it before is no reason not to sleep now: whatever it waited for is looked at again, and a deadline armed again, when the call goes on. Without this a
         * thread that was woken, and finds the next page absent (or the gate shut again) before its call could take the flags, would spin here for ever, and
         * the writer, which it waits for, might never get this CPU.
         */
        sched_forget_wake(st);
        waiter_add(&st->page, m->old ? old_key() : space_page(m->ppn));
        r = missing_ask(m);
        if (r > 0 && sched_sleep(st, SCHED_WAITING, false, false))
                sched_leave();
        waiter_remove(&st->page);
        if (r >
            0) { /* a wake for the call itself, which it cannot look at yet: others go first, among them the writer */
                sched_yield(st);
                sched_preempted(st);
                sched_leave();
        }
        return r < 0 ? r : 0;
}

/* Damage in what the call needs. */
static noreturn void call_lost(struct thread *t, ppn_t ppn)
{
        struct call c;

        klog(LOG_ERR, "[%d] %s needs page %#lx of the space, which cannot be read", t->tid, t->comm, ppn);
        section_begin_ungated(call_redo, NULL);
        c = t->call;
        c.entry = entry_of(c.nr);
        if (c.nr == NR_USER_FAULT)
                signal_force_fault(t, SIGBUS, BUS_ADRERR, c.arg[0], 14, c.arg[1]);
        call_end(&c, c.nr < NR_PSEUDO ? -EIO : CALL_DONE);
}

/* A section was abandoned for an absent page: do again what the CPU was doing when it is there, on an empty stack. */
static void call_redo(void *arg)
{
        struct cpu *cpu = cpu_this();
        struct thread *t = cpu->current;
        struct missing m = missing_now();

        (void)arg;
        call_drop_volatile(t);
        if (missing_ask(&m)) {
                if (!t->in_call) {
                        section_begin_ungated(call_redo, NULL);
                        section_changes();
                        call_of_registers(t);
                        section_end();
                }
                if (missing_await(t, &m) < 0)
                        call_lost(t, m.ppn);
        }
        if (t->in_call)
                thread_resume(t);
        if (cpu->frame->nr & FRAME_TRAP) {
                if ((cpu->frame->nr & 0xff) == 14)
                        call_user_fault_entry(cpu->frame, user_access[cpu->id].addr, user_access[cpu->id].err);
                if ((cpu->frame->nr & 0xff) < 32)
                        call_user_trap_entry(cpu->frame, cpu->frame->nr & 0xff, cpu->frame->err);
                thread_return();
        }
        call_syscall_entry(cpu->frame);
}

/* Abandoned on the way out: the call itself has ended, only the rest is done again. */
static void return_redo(void *arg)
{
        struct thread *t = thread_current();
        struct missing m = missing_now();

        (void)arg;
        /* Whatever was looked at is looked at again, here or where the thread goes on. */
        __atomic_fetch_or(&sched_of(t->slot)->word, SCHED_SIGNAL, __ATOMIC_SEQ_CST);
        if (missing_ask(&m) && missing_await(t, &m) < 0) {
                klog(LOG_ERR, "[%d] %s cannot go on without page %#lx of the space, which cannot be read", t->tid,
                     t->comm, m.ppn);
                run_exit(t);
        }
        __atomic_fetch_or(&cpu_this()->need, NEED_SIGNAL, __ATOMIC_RELAXED);
        thread_return();
}

static noreturn void run_exit(struct thread *t)
{
        struct call c;

        call_init(&c, t, NR_EXIT);
        c.entry = &pseudo_table[NR_EXIT - NR_PSEUDO];
        section_begin_ungated(call_redo, NULL); /* not abandoned: its last call has ended */
        section_changes();
        call_save(&c);
        section_end();
        section_begin(call_redo, NULL);
        call_dispatch(&c);
}

static void look_at_signals(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);
        struct call c;
        long r;

        sched_take_flags(st);
        call_init(&c, t, NR_SIGNAL);
        c.entry = &pseudo_table[NR_SIGNAL - NR_PSEUDO];
        for (;;) {
                section_begin(return_redo, NULL);
                r = signal_deliver(&c);
                if (r == CALL_FAULT) {
                        int signo, code;

                        section_end();
                        section_begin(return_redo, NULL);
                        if (mm_fault(&c, c.fault_addr, c.fault_err, &signo, &code) != 0)
                                c.fault_failed = 1;
                        section_end();
                        continue;
                }
                if (r == SIGNAL_STOP) {
                        section_changes();
                        thread_save_regs(t);
                        if (sched_sleep(st, SCHED_STOPPED, false, true)) {
                                section_end();
                                sched_leave();
                        }
                        sched_take_flags(st);
                        section_end();
                        continue;
                }
                section_end();
                if (r == SIGNAL_EXIT)
                        run_exit(t);
                return;
        }
}

/* The way to user mode. Everything that must be done before is done here, each as a section of its own. */
noreturn void thread_return(void)
{
        struct cpu *cpu = cpu_this();
        struct thread *t = cpu->current;

        for (;;) {
                if (t->release) {
                        call_release(t);
                        continue;
                }
                if (t->dying) {
                        drain(t, return_redo);
                        continue;
                }
                if (cpu->need & NEED_SIGNAL || t->pending_result || t->has_restore_mask) {
                        __atomic_fetch_and(&cpu->need, ~NEED_SIGNAL, __ATOMIC_SEQ_CST);
                        look_at_signals(t);
                        if (signal_wanted(t))
                                __atomic_fetch_or(&cpu->need, NEED_SIGNAL, __ATOMIC_RELAXED);
                        continue;
                }
                if (cpu->need) {
                        gate(t);
                        continue;
                }
                __asm__ volatile("cli" ::: "memory");
                if (!cpu->need)
                        arch_return_to_user(cpu->frame);
                __asm__ volatile("sti" ::: "memory");
        }
}

/* Go on with what t was doing on this CPU: its call from the record, or the way to user mode. Empty stack; registers are in the CPU's frame. */
void thread_resume(struct thread *t)
{
        struct sched_thread *st = sched_of(t->slot);
        struct call c;

        if (!t->in_call)
                thread_return();
        sched_set_deadline(st, 0);
        if (!(t->wait.active && t->wait.kind == GRANT))
                sched_waiters_clear(st);
        c = t->call;
        c.entry = entry_of(c.nr);
        section_begin(call_redo, NULL);
        c.why = call_why(&c);
        call_dispatch(&c);
}

/* Chosen by the scheduler. */
void thread_run(struct thread *t)
{
        thread_enter(t);
        thread_resume(t);
}
