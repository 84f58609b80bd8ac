/*
 * exec.c - what execve does to the process beside its memory (posix/exec). Two moments: being alone, before the point of no return; and the section that swaps.
 */
#include "posix/proc/proc.h"
#include "posix/include/mm.h"

bool thread_is_alone(const struct thread *t)
{
        const struct process *p = t->proc;

        return p->nthreads == 1 || (p->nthreads == 2 && p->leader != t && p->leader->run == THREAD_DEAD);
}

long process_exec_alone(struct call *c)
{
        struct thread *self = c->thread;
        struct process *p = self->proc;
        struct sighand *sh;

        if (p->nthreads == 1 && !p->exec_thread)
                return 0;
        sh = signal_lock(p);
        if (thread_is_doomed(self)) {
                signal_unlock(sh);
                return -EAGAIN;
        }
        if (thread_is_alone(self)) {
                signal_unlock(sh);
                return 0;
        }
        changes(c);
        if (!p->exec_thread) {
                p->exec_thread = self;
                for (struct thread *t = p->threads; t; t = t->next)
                        if (t != self && t->run <= THREAD_STOPPED)
                                thread_kill_post(t);
        }
        if (c->why == WHY_KILL) {
                p->exec_thread = NULL;
                signal_unlock(sh);
                return -EAGAIN;
        }
        /* locked until it sleeps: who ends meanwhile wakes it */
        return call_wait(c, CONDITION, &p->exec_thread, KILLABLE, NO_DEADLINE);
}

static void become_leader(struct thread *t)
{
        struct process *p = t->proc;
        struct thread *old = p->leader;

        pid_withdraw_thread(t);
        pid_withdraw_thread(old);
        if (old->prev)
                old->prev->next = old->next;
        else
                p->threads = old->next;
        if (old->next)
                old->next->prev = old->prev;
        old->next = old->prev = NULL;
        p->nthreads--;
        t->tid = p->pid;
        p->leader = t;
        pid_publish_thread(t);
        object_put(old);
}

void process_exec_commit(struct thread *t, const char *comm, struct cred *cred)
{
        struct process *p = t->proc;
        struct sighand *sh, *old;

        proctree_lock();
        if (p->leader != t)
                become_leader(t);
        p->exec_thread = NULL;
        p->did_exec = 1;
        proctree_unlock();
        if (p->sighand->obj.refs > 1) {
                struct sighand *own = sighand_copy(p->sighand);

                old = p->sighand;
                lock(LOCK_SIGNAL, old);
                p->sighand = own;
                unlock(LOCK_SIGNAL, old);
                object_put(old);
        }
        sh = signal_lock(p);
        sighand_reset_caught(sh);
        signal_unlock(sh);
        t->altstack_sp = t->altstack_size = 0;
        t->altstack_flags = 0;
        t->robust_list = t->robust_len = 0;
        t->clear_tid = 0;
        t->pi_owned = 0;
        t->restart.nr = 0;
        p->dumpable = 1;
        while (p->timers && process_timers_drop(p))
                ;
        if (cred)
                cred_install(cred); /* clears dumpable and the parent-death signal when it gives more */
        for (unsigned i = 0; i < sizeof(t->comm); i++) {
                t->comm[i] = *comm;
                if (*comm)
                        comm++;
        }
        t->comm[sizeof(t->comm) - 1] = 0;
        vfork_release(t);
}
