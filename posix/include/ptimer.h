/*
 * ptimer.h - POSIX timers (timer_create) and what posix/proc needs of posix/time.
 */
#pragma once
#include "posix/include/signal.h"

struct ptimer {
        struct ptimer *next;   /* FIELD_OWN: list of the process, LOCK_TIMER */
        struct process *proc;  /* FIELD_BORROW */
        int32_t id, clock;     /* [I] */
        int32_t notify, signo; /* [I] SIGEV_* */
        uint64_t value;        /* [I] sigev_value */
        int32_t tid;           /* [I] SIGEV_THREAD_ID */
        uint8_t absolute;      /* armed with TIMER_ABSTIME: follows a change of CLOCK_REALTIME */
        uint8_t signalled;     /* its signal is queued and not yet taken */
        uint8_t dead;          /* deleted, waits for its section's end */
        uint8_t pad;
        uint64_t deadline; /* on its own clock; 0: disarmed */
        uint64_t interval;
        int32_t last_overrun; /* told with the signal taken last */
        int32_t cpu_tid;      /* thread whose CPU clock it is; 0: the process's */
};

int ptimer_overrun(const struct ptimer *t); /* what its signal would tell if it were taken now */
void ptimer_arm(struct ptimer *t);          /* by its own deadline; its memory was reserved when it was made */
void ptimer_taken(struct ptimer *t); /* LOCK_SIGNAL: its signal was dequeued: overrun is told, the interval goes on */
bool process_timers_drop(struct process *p); /* exit and exec: at most 16 a call; true: call again. After changes() */
void itimers_drop(struct process *p);        /* exit; execve keeps them */
/* Process CPU limits: (re)arms the check for ITIMER_VIRTUAL, ITIMER_PROF, RLIMIT_CPU and CPU-clock timers. */
void cpu_limits_arm(struct process *p);
