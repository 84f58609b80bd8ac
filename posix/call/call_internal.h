/* call_internal.h - between the files of posix/call only. */
#pragma once
#include "posix/include/process.h"

extern uint32_t chaos_per_mille; /* test knob: how often a block is followed by a pretended recovery of the thread */
extern uint32_t call_trace;      /* log every call */
bool chaos_strikes(void);
noreturn void thread_return(void); /* the way to user mode: dying objects, work, signals, preemption */
noreturn void call_dispatch(struct call *c);
void call_drop_volatile(struct thread *t); /* scratch blocks and queue entries of an abandoned call */
enum why call_why(struct call *c);         /* takes the entity's flags */
long call_sleep(struct call *c, enum interrupt i, uint64_t deadline_ns);
bool wait_restore(struct thread *t,
                  bool stopped); /* recovery: the sleep that t's record tells of, or a stop in it. False: no memory */
int thread_boot(void);           /* recovery: every thread gets its volatile half. 0 or -ENOMEM */
void wait_forget(void);          /* storm: as if nobody had ever waited */
void thread_forget(void);        /* storm: no thread has a volatile half */
int object_boot(void);
