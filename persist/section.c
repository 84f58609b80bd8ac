/*
 * section.c - sections: begin, end, step, abandon, the undo list.
 * On the path of every system call, hence short: what is rare (refilling the page credit, draining deferred frees) is elsewhere and
 * asked for by one compare each.
 * Invariants: P10 (the credit is there before the section begins), P14 (nothing can fail after section_changes).
 */
#include "persist/engine.h"

struct section *persist_sections[PERSIST_CPUS];
unsigned persist_ncpus;

#ifdef PERSIST_HOSTED
_Thread_local struct section *persist_section;
#endif

void section_cpu_init(struct section *s, unsigned cpu)
{
        must(cpu < PERSIST_CPUS, "CPU %u: the space has places for %u", cpu, PERSIST_CPUS);
        *s = (struct section){.cpu = cpu, .heap = space_page(CPU_PPN + cpu), .held = {UINT32_MAX}};
        space_cpu_create(cpu);
        __atomic_store_n(&persist_sections[cpu], s, __ATOMIC_RELEASE);
        for (unsigned n = __atomic_load_n(&persist_ncpus, __ATOMIC_RELAXED); n <= cpu;)
                __atomic_compare_exchange_n(&persist_ncpus, &n, cpu + 1, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static inline void begin(struct section *s, void (*retry)(void *arg), void *arg, bool gated)
{
        must(!s->active, "section begun inside a section");
        s->retry = retry;
        s->retry_arg = arg;
        s->dirtied = 0;
        s->dirtied_meta = 0;
        if (gated && unlikely_(__atomic_load_n(&space_gate, __ATOMIC_RELAXED)))
                reclaim_gate(s);
        if (unlikely_(s->heap->nfree < CPU_CREDIT))
                pages_refill(s->heap);
        s->active = true;
        s->held[0] = 0;
        /* A full fence: who reclaims either sees this section, or this section sees what was unlinked. */
        __atomic_exchange_n(&s->generation, __atomic_load_n(&persist_generation, __ATOMIC_RELAXED), __ATOMIC_SEQ_CST);
        section_guard(true);
}

void section_begin(void (*retry)(void *arg), void *arg)
{
        begin(section_this(), retry, arg, true);
}

void section_begin_ungated(void (*retry)(void *arg), void *arg)
{
        begin(section_this(), retry, arg, false);
}

/* Common to the normal end and abandonment. */
static inline void leave(struct section *s)
{
        if (s->nheld)
                locks_release(s);
        section_guard(false);
        s->active = false;
        s->changed = false;
        s->nundo = 0;
        s->held[0] = UINT32_MAX; /* no lock outside a section */
        __atomic_store_n(&s->generation, 0, __ATOMIC_RELEASE);
}

void section_end(void)
{
        struct section *s = section_this();

        must(s->active, "section ended outside a section");
        leave(s);
        s->npins = 0;
        if (unlikely_(s->heap->ndeferred))
                defer_drain(s);
}

void section_step(void)
{
        struct section *s = section_this();

        must(s->active, "section_step outside a section");
        locks_release(s);
        section_guard(false);
        s->changed = false;
        s->nundo = 0;
        s->dirtied = 0;
        s->dirtied_meta = 0;
        s->npins = 0;
        if (unlikely_(s->heap->nfree < CPU_CREDIT)) {
                s->changed = true; /* as at a section's begin, the allocator's own lists may change here */
                pages_refill(s->heap);
                s->changed = false;
        }
        section_guard(true);
}

void section_abandon(void)
{
        struct section *s = section_this();

        must(s->active && !s->changed, "P14: section abandoned %s", s->active ? "after its first change" : "twice");
        while (s->nundo) {
                s->nundo--;
                s->undo[s->nundo].fn(s->undo[s->nundo].arg);
        }
        leave(s);
        s->abandoned++;
}

void section_on_abandon(void (*fn)(void *arg), void *arg)
{
        struct section *s = section_this();
        unsigned n = s->nundo;

        must(s->active && n < SECTION_UNDO_MAX, "undo list: %u entries", n);
        s->undo[n].fn = fn;
        s->undo[n].arg = arg;
        s->nundo = n + 1;
}

void section_undo_forget(void *arg)
{
        struct section *s = section_this();
        unsigned i = s->nundo;

        while (i && s->undo[i - 1].arg != arg)
                i--;
        if (!i)
                return; /* the first change has been, or the step is over */
        for (s->nundo--; i <= s->nundo; i++)
                s->undo[i - 1] = s->undo[i];
}

void section_forget(void)
{
        for (unsigned cpu = 0; cpu < PERSIST_CPUS; cpu++)
                persist_sections[cpu] = NULL;
        persist_ncpus = 0;
}
