/*
 * thread.h - the persistent half of a thread: registers, signal state, wait record, progress record. Resident slab: never absent.
 * Its volatile half is sched_of(t->slot). While the thread runs, its user registers are in cpu_this()->frame; they are copied here at block, switch and park.
 */
#pragma once
#include "kernel/include/cpu.h"
#include "kernel/include/sched.h"
#include "posix/include/call.h"
#include <asm/signal.h>

#define NSIG_WORDS 1
typedef uint64_t sigset64;
#define sigbit(n) (1ul << ((n)-1))

struct process;
struct cred;
struct sigqueue;
struct fuse_request;

/* 64 bytes: what a sleeper waits for (calls.md, "Two kinds of wait"). */
struct wait_record {
        const void *key;   /* [P] */
        uint64_t deadline; /* [P] absolute CLOCK_MONOTONIC ns or 0 */
        uint64_t ticket;   /* [P] order among GRANT sleepers of a key */
        int64_t result;    /* [P] of a grant */
        uint64_t bits;     /* [P] futex bitset */
        uint8_t active, kind, granted, interrupt;
        uint32_t pad;
        uint64_t spare[2];
};
_Static_assert(sizeof(struct wait_record) == 64, "wait record");

/* One standard signal's siginfo has its place here, others are queued (posix/signal/queue.c). */
struct sigpending {
        sigset64 set;
        struct sigqueue *head, *tail;
        uint32_t count;
        int32_t slot_signo;
        uint64_t slot_info[6];
};

enum thread_run { THREAD_NEW, THREAD_LIVE, THREAD_STOPPED, THREAD_EXITING, THREAD_DEAD };

struct thread {
        struct object obj;
        uint32_t slot;              /* [I] dense number: volatile tables are indexed by it */
        int32_t tid;                /* [I] */
        struct process *proc;       /* [I] FIELD_REF */
        struct thread *next, *prev; /* threads of the process; LOCK_PROCTREE */
        struct thread *hash_next;   /* by tid; LOCK_PROCTREE */
        uint8_t run;                /* enum thread_run */
        uint8_t in_call;            /* record is active: dispatch from it */
        uint8_t release;            /* the record of a call that ended still holds references */
        uint8_t has_frame;          /* frame below is valid (not while it runs) */
        uint8_t nice_plus20;
        uint8_t policy, rt_priority;
        uint64_t affinity;
        struct cred *cred;  /* FIELD_REF; replaced, never changed; own thread only */
        struct frame frame; /* user registers while it does not run */
        uint64_t fs_base, gs_base;
        void *fpu; /* FIELD_OWN byte block, 64-byte aligned inside (fpu_area()) */
        /* signals: [l: LOCK_SIGNAL of proc->sighand] except where the thread itself reads */
        sigset64 blocked;
        sigset64 restore_mask; /* sigsuspend, ppoll: mask to put back after the handler's frame is made */
        uint8_t has_restore_mask;
        struct sigpending pending;
        uint64_t altstack_sp, altstack_size;
        uint32_t altstack_flags;
        uint64_t clear_tid; /* CLONE_CHILD_CLEARTID address */
        uint64_t robust_list;
        uint64_t robust_len;
        int32_t exit_code;
        int32_t pdeath_signal;
        char comm[16];
        /* restart_syscall: absolute deadline and what was asked */
        struct {
                uint32_t nr;
                uint32_t spare;
                uint64_t deadline, arg[4];
        } restart;
        uint64_t user_ns, system_ns, start_ns;
        uint64_t minflt, majflt, nvcsw, nivcsw;
        int64_t pending_result; /* -ERESTART* of the call that just ended, for the signal code; 0 = none */
        uint64_t pending_nr;
        struct object *dying;          /* objects to destroy before the return to user mode */
        struct thread *vfork_child_of; /* FIELD_BORROW: parent thread that waits (GRANT) for this one's exec or exit */
        uint32_t ptrace_flags;
        struct thread *tracer;
        uint32_t stop_seq;    /* own: the group stop it took part in last (process.stop_seq) */
        uint16_t io_priority; /* ioprio_set(2) */
        uint16_t pad_io;
        uint32_t timer_slack_ns;
        sigset64 awaited;                      /* [l LOCK_SIGNAL] sigtimedwait looks for these */
        uint64_t trap_nr, trap_err, trap_addr; /* of the last synchronous fault, for the handler's frame */
        uint64_t pi_owned;                     /* futex PI: words this thread was handed or holds with waiters */
        struct fuse_request *fuse;             /* FIELD_REF: what its call asked of file servers; own thread only */
        uint64_t spare[7];
        struct wait_record wait;
        struct call call; /* progress record, valid while in_call */
};

static inline struct thread *thread_current(void)
{
        return cpu_this()->current;
}
static inline void *fpu_area(struct thread *t)
{
        return (void *)(((uint64_t)t->fpu + 63) & ~63ul);
}
/* User registers of the current thread, to read or change in its own call. */
static inline struct frame *user_frame(void)
{
        return cpu_this()->frame;
}

/* New record in state THREAD_NEW, slot assigned, volatile half made; refs 1. After changes(); NULL only if space_room was not asked or volatile memory is gone
 * (call thread_reserve() before changes()). */
int thread_reserve(void); /* volatile half for the next thread_new on this CPU: 0, -EAGAIN */
struct thread *thread_new(struct process *p);
void thread_start(struct thread *t); /* first READY: frame and FPU are set */
/* Posts to t so that it looks at its signals (or dies). From a section. */
void thread_signal_post(struct thread *t);
void thread_kill_post(struct thread *t);
/* Stop and continue (job control): a thread stops itself in signal_deliver by returning THREAD_STOP; thread_continue makes it READY again. */
void thread_continue(struct thread *t);
void thread_save_regs(struct thread *t); /* current thread: frame and FPU into the record (park, switch) */

/* Current credentials, groups and so on: cred.h. The dispatcher's own entry points, wired into hooks by kernel/init: */
void call_syscall_entry(struct frame *f);
void call_user_fault_entry(struct frame *f, uint64_t addr, uint64_t err);
void call_user_trap_entry(struct frame *f, unsigned vector, uint64_t err);
void call_user_irq_return(struct frame *f);
void thread_run(struct thread *t);
void thread_resume(struct thread *t);    /* after an abandoned work item; does not return */
void thread_slot_release(uint32_t slot); /* the thread is dead: volatile half and slot go */
void thread_enter(struct thread *t);
void thread_leave(struct thread *t);

/*
 * Supplied by posix/signal: called by the dispatcher in a section before the return to user mode when the thread has something to look at, or its call
 * ended with -ERESTART*. Looks at pending signals, builds one handler frame or acts (terminate, stop, core), fixes restart. Returns 0: go on (look again if
 * more is pending), CALL_FAULT with c->fault_* (stack page absent), SIGNAL_STOP (leave the thread stopped), CALL_EXIT path begun (thread now exits: c becomes NR_EXIT).
 */
#define SIGNAL_STOP (-0x10010L)
#define SIGNAL_EXIT (-0x10011L)
long signal_deliver(struct call *c);
bool signal_wanted(struct thread *t); /* unblocked signal pending, group stop or exit asked */
void signal_force_fault(struct thread *t, int signo, int code, uint64_t addr, unsigned trap,
                        uint64_t err); /* synchronous: cannot be blocked */
/* Supplied by posix/mm: resolve a user access. 0 resolved; -EFAULT etc. with signo and code for a user-mode fault; CALL_WAIT if c waits for a page. */
long mm_fault(struct call *c, uint64_t addr, uint64_t err, int *signo, int *code);
/* Supplied by posix/proc: runs as pseudo-call NR_EXIT in stages until the thread is gone (returns CALL_EXIT). */
long exit_run(struct call *c);
bool exit_goes_on(
        const struct thread *t);    /* of a dead thread: it still has something to do (init, that is to start anew) */
long child_tid_run(struct call *c); /* NR_CHILD_TID: CLONE_CHILD_SETTID, the first act of a new process */
