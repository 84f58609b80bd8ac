/*
 * sched.h - the scheduler: volatile entities, run queues and hashed sleep queues. It knows nothing of processes: each entity is the volatile
 * half of a thread record in the space, found by the record's dense slot number, and rebuilt from it at boot.
 *
 * Life of an entity: NONE -> READY <-> RUNNING -> WAITING -> READY ... -> DEAD. A wake, signal or kill that meets RUNNING leaves a flag,
 * which makes the step RUNNING -> WAITING fail. `on_cpu` is cleared last when a CPU leaves a thread: nobody else runs it before.
 * Run queues: one per CPU, 40 levels (nice -20..19) by weighted virtual time; an idle CPU takes from the busiest.
 */
#pragma once
#include "kernel/include/cpu.h"
#include "kernel/include/time.h"

enum sched_state { SCHED_NONE, SCHED_READY, SCHED_RUNNING, SCHED_WAITING, SCHED_STOPPED, SCHED_DEAD };

#define SCHED_WOKEN    0x100u /* a wake came */
#define SCHED_SIGNAL   0x200u /* look at signals */
#define SCHED_KILL     0x400u /* die */
#define SCHED_DEADLINE 0x800u
#define SCHED_STATE(w) ((w)&0xffu)

/* One entry in the hashed sleep queues. */
struct sched_thread;
struct waiter {
        struct waiter *next, *prev; /* in its bucket; oldest first; next NULL: not queued */
        const void *key;
        struct sched_thread *thread;     /* NULL: a callback (epoll) */
        void (*notify)(struct waiter *); /* called by sched_wake outside the bucket's lock, in the waker's section */
        void *arg;
};
#define SCHED_WAITERS 4

struct sched_thread {
        volatile uint32_t word;   /* state | flags, by compare-and-swap */
        volatile uint32_t on_cpu; /* CPU + 1 while a CPU works for it */
        struct thread *owner;     /* the persistent record; NULL: a worker's */
        struct worker *worker;
        uint32_t cpu; /* run queue it is or was on */
        int8_t nice;
        uint8_t policy; /* SCHED_OTHER.., realtime policies run before others by rt_priority */
        uint8_t rt_priority;
        bool interruptible, killable; /* of the wait it is in */
        uint64_t affinity;            /* bit a CPU */
        uint64_t vruntime, slice_end_ns, run_since_ns;
        uint64_t runtime_ns; /* since last folded into the record */
        uint64_t user_ns; /* of runtime_ns, as the ticks found it: each says where all time since the last one went */
        uint64_t sampled_ns;              /* run time at the last tick */
        bool sampled_system;              /* and where it was */
        struct sched_thread *next, *prev; /* run queue */
        struct vtimer timer;              /* its deadline */
        void *scratch[2];   /* volatile blocks of the call in progress: freed when it ends or is abandoned */
        struct waiter page; /* an absent page it waits for, besides what its call waits for */
        uint32_t nwaiters, waiter_cap;
        struct waiter *waiters; /* what it sleeps on: one, or many (poll); points at `first` until it grows */
        struct waiter first[SCHED_WAITERS];
};

struct sched_thread *sched_create(struct thread *owner, unsigned slot);          /* NULL: no memory */
void sched_attach(struct sched_thread *st, struct thread *owner, unsigned slot); /* a spare one gets its thread */
struct sched_thread *sched_of(unsigned slot);
struct sched_thread *sched_current(void); /* what runs on this CPU, thread or worker, or NULL */
void sched_destroy(unsigned slot);        /* DEAD and off its CPU */
/* Storm: no thread has an entity, and none is current anywhere; workers stay. All other CPUs are parked; what they serve there may post to threads until this ends. */
void sched_forget_threads(void);

void sched_ready(struct sched_thread *st); /* NONE/WAITING/STOPPED -> READY and queued */
/* Recovery: a new entity is asleep or stopped, as its record says. Nothing was posted to it before. */
void sched_restore(struct sched_thread *st, enum sched_state state, bool interruptible, bool killable);
/* Sets flag and makes the thread look at it: wakes a WAITING one if the kind of wait allows, prods a RUNNING one. */
void sched_post(struct sched_thread *st, uint32_t flag);
uint32_t sched_take_flags(struct sched_thread *st);
void sched_forget_wake(struct sched_thread *st); /* takes the flags of wakes and deadlines alone */
/* RUNNING -> WAITING (or STOPPED); false when a flag that matters is set: nothing changed. */
bool sched_sleep(struct sched_thread *st, enum sched_state to, bool interruptible, bool killable);
void sched_set_deadline(struct sched_thread *st, uint64_t mono_ns); /* posts SCHED_DEADLINE; 0 = none */
void sched_set_nice(struct sched_thread *st, int nice, int policy, int rt_priority);
void sched_set_affinity(struct sched_thread *st, uint64_t mask);

/* Sleep queues. key: an address in the space, or any word that names the condition. */
void waiter_add(struct waiter *w, const void *key);
void waiter_remove(struct waiter *w);                 /* no-op if it is not queued */
struct waiter *sched_waiter(struct sched_thread *st); /* one more entry for this thread, not queued; NULL: no memory */
void sched_waiters_clear(struct sched_thread *st);
/* Wakes all (max = ~0u) or the oldest max threads on key; returns how many threads. Callbacks always run. */
unsigned sched_wake(const void *key, unsigned max);
/* Walks the entries on key, oldest first, under the bucket's lock: fn says what to do with each. */
enum waiter_verdict { WAITER_KEEP, WAITER_REMOVE, WAITER_STOP, WAITER_REMOVE_STOP, WAITER_MOVE };
void waiter_each(const void *key, enum waiter_verdict (*fn)(struct waiter *w, void *arg), void *arg);
/* The same over two queues at once: WAITER_MOVE puts the entry at the end of `to`'s. */
void waiter_each_move(const void *from, const void *to, enum waiter_verdict (*fn)(struct waiter *w, void *arg),
                      void *arg);
/* Takes a queued entry off and puts it before the first one of which before() says so, else at the end: as a queue made anew from records. */
void waiter_reorder(struct waiter *w, bool (*before)(const struct waiter *queued, const void *arg), const void *arg);

/* Preemption: is there a thread that should run instead of the current one? Re-arms the slice when not. */
bool sched_should_switch(void);
void sched_yield(struct sched_thread *st);     /* current: behind all that is ready here, at its next way out */
void sched_preempted(struct sched_thread *st); /* RUNNING -> READY, queued; the caller then leaves */

/* This CPU leaves the thread it ran (its registers are in its record) and picks another. Never returns. */
noreturn void sched_leave(void);
noreturn void sched_loop(void *unused); /* each CPU's idle and dispatch loop: entered by arch_stack_reset */
void sched_init(void);                  /* boot CPU, before there is any entity */
void sched_tick(void);                  /* hooks.tick: user or system time? Interrupt context */
struct sched_load {
        uint64_t switches, idle_ns, run_ns;
        unsigned ready, running;
        uint64_t avg[3]; /* load averages, 11-bit fixed point */
};
void sched_load_get(struct sched_load *l);
uint64_t sched_take_runtime(struct sched_thread *st, uint64_t *user_ns); /* the current thread: and from now on anew */
uint64_t sched_runtime(struct sched_thread *st, uint64_t *user_ns); /* since folded, the running stretch included */

/* worker.c's part: goes on with the worker on its own stack. Never returns. */
noreturn void worker_run(struct worker *w);

/* Supplied by posix (set by kernel/init): run this thread now, on an empty stack, current and address space set. Never returns. */
struct sched_hooks {
        void (*run)(struct thread *t);
        void (*resume)(struct thread *t); /* after an abandoned work item on top of t: go on with it. Never returns. */
        void (*idle)(void);               /* nothing to run: drop the address space; counts as parked from here */
        void (*awake)(void);              /* after idle, before anything of the space is touched */
        /*
         * NEED_PARK or NEED_WORK is set: run work, and park, which only he allows whose thread is in its record, or who has none. Returns, or enters sched_loop anew.
         */
        void (*gate)(bool may_park);
};
extern struct sched_hooks sched_hooks;
