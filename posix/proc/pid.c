/*
 * pid.c - numbers of processes, threads, groups and sessions, and the tables they are found in.
 * A number is free when no thread, group or session has it (a leader's tid is its process's pid and stays until it is reaped). Numbers are given out in
 * rising order and wrap below PID_MAX, as Linux does: a number comes back as late as possible.
 * Tables are chained hash tables in the root; chains are changed under LOCK_PROCTREE and read without it: what was taken off keeps its link until its free,
 * and frees wait for the reader's section to end.
 */
#include "posix/proc/proc.h"

#define PID_FIRST_AGAIN 300 /* after a wrap: low numbers stay with the daemons that took them at boot */

static volatile int32_t cursor; /* [V] last number given out; 0 until the first: then root->last_pid */

static bool in_use(int nr)
{
        return thread_find(nr) || pgrp_find(nr) || session_find(nr);
}

/*
 * The cursor alone keeps two CPUs from choosing one number: to meet again, it would have to go all the way round while one section lasts.
 */
int pid_reserve(void)
{
        for (int tries = 0; tries < PID_MAX; tries++) {
                int32_t last = cursor, next;

                do {
                        next = (last ? last : posix_root()->last_pid) + 1;
                        if (next >= PID_MAX)
                                next = PID_FIRST_AGAIN;
                } while (!__atomic_compare_exchange_n(&cursor, &last, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
                if (!in_use(next))
                        return next;
        }
        return -EAGAIN;
}

void pid_forget(void)
{
        cursor = 0;
}

void pid_used(int pid)
{
        posix_root()->last_pid = pid;
}

static struct process **process_bucket(int pid)
{
        return &posix_root()->pid_hash[(unsigned)pid % ARRAY_SIZE(((struct posix_root *)0)->pid_hash)];
}

static struct thread **thread_bucket(int tid)
{
        return &posix_root()->tid_hash[(unsigned)tid % ARRAY_SIZE(((struct posix_root *)0)->tid_hash)];
}

struct process *process_find(int pid)
{
        struct process *p = READ_ONCE(*process_bucket(pid));

        while (p && p->pid != pid)
                p = READ_ONCE(p->hash_next);
        return p;
}

struct thread *thread_find(int tid)
{
        struct thread *t = READ_ONCE(*thread_bucket(tid));

        while (t && t->tid != tid)
                t = READ_ONCE(t->hash_next);
        return t;
}

void pid_publish_process(struct process *p)
{
        struct process **b = process_bucket(p->pid);

        p->hash_next = *b;
        __atomic_store_n(b, p, __ATOMIC_RELEASE);
}

void pid_publish_thread(struct thread *t)
{
        struct thread **b = thread_bucket(t->tid);

        t->hash_next = *b;
        __atomic_store_n(b, t, __ATOMIC_RELEASE);
}

void pid_withdraw_process(struct process *p)
{
        for (struct process **at = process_bucket(p->pid); *at; at = &(*at)->hash_next)
                if (*at == p) {
                        WRITE_ONCE(*at, p->hash_next);
                        return;
                }
}

void pid_withdraw_thread(struct thread *t)
{
        for (struct thread **at = thread_bucket(t->tid); *at; at = &(*at)->hash_next)
                if (*at == t) {
                        WRITE_ONCE(*at, t->hash_next);
                        return;
                }
}

void process_each(bool (*fn)(struct process *p, void *arg), void *arg)
{
        struct posix_root *root = posix_root();

        for (unsigned i = 0; i < ARRAY_SIZE(root->pid_hash); i++)
                for (struct process *p = READ_ONCE(root->pid_hash[i]), *next; p; p = next) {
                        next = READ_ONCE(p->hash_next);
                        if (!fn(p, arg))
                                return;
                }
}

struct pick {
        int after;
        unsigned n, max;
        struct process **out;
};

/* Keeps the lowest ones, sorted. */
static void consider(struct pick *k, struct process *p)
{
        unsigned i = k->n;

        if (p->pid <= k->after || p->state >= PROCESS_DEAD || (k->n == k->max && p->pid > k->out[k->max - 1]->pid))
                return;
        if (k->n == k->max)
                i--;
        else
                k->n++;
        for (; i > 0 && k->out[i - 1]->pid > p->pid; i--)
                k->out[i] = k->out[i - 1];
        k->out[i] = p;
}

static bool consider_each(struct process *p, void *arg)
{
        consider(arg, p);
        return true;
}

unsigned process_pick(struct pgrp *g, int after, struct process **out, unsigned max)
{
        struct pick k = {.after = after, .max = max, .out = out};

        if (!g)
                process_each(consider_each, &k);
        for (struct process *p = g ? g->members : NULL; p; p = p->pgrp_next)
                consider(&k, p);
        return k.n;
}
