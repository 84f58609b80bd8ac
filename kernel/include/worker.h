/*
 * worker.h - the kernel's own threads: volatile, each with a stack of its own (calls.md names them as the exception). The store's writer is one. A worker is
 * scheduled like a thread of normal priority if nobody says otherwise, is not preempted, and runs outside sections with interrupts on; it gives way by worker_sleep and
 * worker_yield, so long work yields often. While it runs its CPU may lead a barrier; it parks for others' barriers in worker_yield and worker_sleep.
 * It stays on the CPU that created it, so that what the compiler keeps of cpu_this() over a sleep remains true. What can abandon a section (a touch of an
 * absent page inside one) is not for workers: it would forget the wrong stack.
 */
#pragma once
#include "kernel/include/types.h"
struct worker;
/* Boot, or later outside interrupt handlers. fn never returns; name is borrowed for ever. NULL: no memory. */
struct worker *worker_create(const char *name, void (*fn)(void *arg), void *arg);
/* Its weight among the threads that want the CPU: -20 to 19, 0 in the beginning. */
void worker_set_nice(struct worker *w, int nice);
struct worker *worker_this(void); /* NULL: no worker runs on this CPU. Also in an interrupt handler on top of one. */
const char *worker_name(const struct worker *w);
/* Any context. A wake that comes before the sleep makes the sleep return at once. */
void worker_wake(struct worker *w);
/* The calling worker sleeps until it is woken, or until mono_ns (absolute CLOCK_MONOTONIC; 0: none). */
void worker_sleep(uint64_t mono_ns);
/* Returns after so long, at least. With no worker on the CPU, at boot, it spins. */
void worker_pause(uint64_t ns);
/* Whatever waits for this CPU goes first: barrier, work items, threads whose turn it is. */
void worker_yield(void);
