/*
 * exit.c - the end of a thread, and with the last thread that of its process. exit_run is the pseudo-call NR_EXIT: stages, each a section or several, all repeatable.
 *
 *      BEGIN     the thread takes no more signals, a parent in vfork goes on; is it the last one of its process?
 *      ROBUST    futex words that it held are marked; CLEARTID: who joins it is woken
 *      OTHERS    (last thread) the others are this far too: the memory is theirs until then
 *      RESOURCES (last thread) timers, semaphores, descriptors, memory: put on the dying list, which the dispatcher drains before the next stage
 *      SESSION   (last thread) a session leader's terminal is hung up
 *      CHILDREN  (last thread) children get another parent
 *      END       the record leaves its process; when only a dead leader is left, the process is a zombie and its parent is told
 *      INIT...   pid 1 is gone: all other processes end, init is started anew
 *
 * A leader that dies before its threads stays in the list, dead, until the process is reaped: its tid is the pid.
 */
#include "posix/proc/proc.h"
#include "posix/include/file.h"
#include "posix/include/futex.h"
#include "posix/include/mm.h"
#include "kernel/include/log.h"
#include <linux/wait.h>

enum {
        EXIT_BEGIN,
        EXIT_ROBUST,
        EXIT_CLEARTID,
        EXIT_OTHERS,
        EXIT_TIMERS,
        EXIT_IPC,
        EXIT_RESOURCES,
        EXIT_SESSION,
        EXIT_CHILDREN,
        EXIT_END,
        EXIT_INIT_KILL,
        EXIT_INIT_WAIT
}; /* numbers are part of the schema */

struct exit_state {
        uint64_t robust[3];
        bool last;
};

#define CHILDREN_PIECE                                                                                                 \
        4 /* each may dirty a dozen pages: its own, its neighbours' in several lists, its leader's, its group's, a parent's */

static bool is_init(const struct process *p)
{
        return p == posix_root()->init;
}

void child_link(struct process *parent, struct process *child)
{
        child->parent = parent;
        child->sibling_prev = NULL;
        child->sibling_next = parent->children;
        if (parent->children)
                parent->children->sibling_prev = child;
        parent->children = child;
}

void child_unlink(struct process *child)
{
        if (child->sibling_prev)
                child->sibling_prev->sibling_next = child->sibling_next;
        else if (child->parent)
                child->parent->children = child->sibling_next;
        if (child->sibling_next)
                child->sibling_next->sibling_prev = child->sibling_prev;
        child->sibling_next = child->sibling_prev = NULL;
}

void thread_fold_times(struct thread *t)
{
        struct process *p = t->proc;
        struct cpu_times ct;

        thread_cpu_times(t, &ct);
        p->user_ns += ct.user_ns;
        p->system_ns += ct.system_ns;
        p->minflt += t->minflt;
        p->majflt += t->majflt;
        p->nvcsw += t->nvcsw;
        p->nivcsw += t->nivcsw;
}

void process_reap(struct process *p)
{
        struct process *parent = p->parent;
        struct thread *leader = p->leader;

        if (parent) {
                parent->cuser_ns += p->user_ns + p->cuser_ns;
                parent->csystem_ns += p->system_ns + p->csystem_ns;
                parent->cminflt += p->minflt + p->cminflt;
                parent->cmajflt += p->majflt + p->cmajflt;
                parent->cmaxrss = MAX(parent->cmaxrss, MAX(p->maxrss, p->cmaxrss));
        }
        child_unlink(p);
        p->parent = NULL;
        p->state = PROCESS_DEAD;
        pid_withdraw_process(p);
        pid_withdraw_thread(leader);
        pgrp_leave(p);
        object_put(p->session);
        p->session = NULL;
        p->threads = NULL;
        p->nthreads = 0;
        p->leader = NULL;
        posix_root()->nprocesses--;
        wake(&posix_root()->nprocesses);
        object_put(leader);
        object_put(p);
}

static void begin(struct thread *t, struct exit_state *s)
{
        struct process *p = t->proc;
        struct sighand *sh;

        section_changes();
        proctree_lock();
        sh = signal_lock(p);
        t->run = THREAD_EXITING;
        p->nlive--;
        s->last = p->nlive == 0;
        if (s->last && !p->exiting) {
                p->exiting = 1;
                p->exit_status = t->exit_code;
        }
        signal_unlock(sh);
        signal_thread_exits(t);
        proctree_unlock();
        vfork_release(t);
}

static bool mm_has_others(struct process *p)
{
        return p->nlive || (p->mm && READ_ONCE(p->mm->obj.refs) > 1);
}

/* What the thread library waits for in pthread_join. */
static long clear_tid(struct call *c)
{
        struct thread *t = c->thread;
        struct process *p = t->proc;
        uint32_t zero = 0;

        if (!t->clear_tid || !p->mm || !mm_has_others(p))
                return 0;
        if (!copy_out(c, t->clear_tid, &zero, sizeof(zero))) {
                if (user_fault(c) == CALL_FAULT)
                        return CALL_FAULT;
                return 0;
        }
        section_changes();
        futex_wake_word(p->mm, t->clear_tid, 1);
        return 0;
}

/* The last thread lets go of the memory in which the others, whose exits began earlier, still mark what they held. */
static long await_others(struct call *c)
{
        struct thread *self = c->thread;
        struct process *p = self->proc;
        struct sighand *sh;

        if (READ_ONCE(p->nthreads) == 1)
                return 0;
        if (section_this()->changed) /* the leader may be on an absent page */
                return CALL_AGAIN;
        sh = signal_lock(p);
        if (!thread_is_alone(self)) /* locked until it sleeps: who ends meanwhile wakes it */
                return call_wait(c, CONDITION, &p->exec_thread, UNINTERRUPTIBLE, NO_DEADLINE);
        signal_unlock(sh);
        return 0;
}

/* What is let go of must be present, and most stages begin with a change: so each section looks first. */
static void look(struct process *p)
{
        object_look(p->files);
        object_look(p->exe);
}

static long release_resources(struct process *p)
{
        uint64_t rss = p->mm ? mm_rss_pages(p->mm) : 0; /* reads areas and their inodes: before the change */

        section_changes();
        itimers_drop(p);
        if (p->mm) {
                struct mm *mm = p->mm;

                p->maxrss = MAX(p->maxrss, rss);
                p->mm = NULL;
                mmu_load(NULL);
                object_put(mm);
        }
        object_put(p->fs);
        p->fs = NULL;
        object_put(p->exe);
        p->exe = NULL;
        /* Put last, it is drained first: descriptors close while the rest still waits. */
        object_put(p->files);
        p->files = NULL;
        return CALL_AGAIN;
}

static struct process *next_parent(struct process *p)
{
        for (struct process *a = p->parent; a; a = a->parent)
                if (a->child_subreaper && a->nlive)
                        return a;
        return posix_root()->init;
}

static int exit_code_of(int status)
{
        return (status & 0x7f) == 0 ? CLD_EXITED : status & 0x80 ? CLD_DUMPED : CLD_KILLED;
}

static void tell_parent(struct process *p)
{
        if (signal_notify_parent(p, exit_code_of(p->exit_status), p->exit_status))
                process_reap(p);
}

static void reparent(struct process *child, struct process *from, struct process *to)
{
        int32_t death_signal = 0;

        child_unlink(child);
        child_link(to, child);
        for (struct thread *t = child->threads; t; t = t->next)
                if (t->pdeath_signal)
                        death_signal = t->pdeath_signal;
        if (death_signal)
                signal_send_process(child, death_signal, NULL);
        child->exit_signal = SIGCHLD;
        if (child->pgrp != from->pgrp && child->session == from->session)
                pgrp_orphan_check(child->pgrp);
        if (child->state == PROCESS_ZOMBIE)
                tell_parent(child);
}

static long leave_children(struct process *p)
{
        struct process *to;

        if (!READ_ONCE(p->children))
                return 0;
        if (is_init(p))
                return 0; /* its children end with it */
        proctree_lock();
        section_changes();
        to = next_parent(p);
        for (unsigned n = 0; p->children && n < CHILDREN_PIECE; n++)
                reparent(p->children, p, to);
        if (p->children)
                return CALL_AGAIN;
        proctree_unlock();
        return 0;
}

static void unlink_thread(struct thread *t)
{
        struct process *p = t->proc;

        if (t->prev)
                t->prev->next = t->next;
        else
                p->threads = t->next;
        if (t->next)
                t->next->prev = t->prev;
        t->prev = t->next = NULL;
        p->nthreads--;
        pid_withdraw_thread(t);
}

static long finish(struct call *c, const struct exit_state *s)
{
        struct thread *t = c->thread;
        struct process *p = t->proc;
        struct sighand *sh;

        /* What died in earlier sections may be on absent pages by now; the dispatcher destroys it. The rest is touched in this section, and goes to the reaper. */
        if (t->dying)
                return CALL_AGAIN;
        section_changes();
        proctree_lock();
        if (s->last && p->parent && p->parent->pgrp != p->pgrp && p->parent->session == p->session)
                pgrp_orphan_check(p->pgrp);
        sh = signal_lock(p);
        thread_fold_times(t);
        t->run = THREAD_DEAD;
        if (t != p->leader) {
                unlink_thread(t);
                signal_unlock(sh);
                object_put(t);
        } else {
                signal_unlock(sh);
        }
        wake(&p->exec_thread);
        if (p->nthreads > 1 || p->leader->run != THREAD_DEAD)
                return CALL_EXIT;
        p->times_folded = 1;
        p->state = PROCESS_ZOMBIE;
        wake(&p->state);
        if (is_init(p)) {
                klog(LOG_ERR, "init ended (status %#x): all processes end, init is started anew\n",
                     (unsigned)p->exit_status);
                c->stage = EXIT_INIT_KILL;
                return CALL_AGAIN;
        }
        tell_parent(p);
        return CALL_EXIT;
}

struct kill_args {
        unsigned budget;
        bool more;
};

static bool kill_other(struct process *p, void *arg)
{
        struct kill_args *a = arg;

        if (is_init(p) || p->exiting || p->state >= PROCESS_ZOMBIE)
                return true;
        if (a->budget == 0) {
                a->more = true;
                return false;
        }
        a->budget--;
        struct sighand *sh = signal_lock(p);

        signal_group_exit(p, SIGKILL);
        signal_unlock(sh);
        return true;
}

static long init_kill_all(void)
{
        struct kill_args a = {.budget = 16};

        proctree_lock();
        section_changes();
        process_each(kill_other, &a);
        return a.more ? CALL_AGAIN : 0;
}

/* An init that dies at once is not started at full speed for ever. */
static long init_again(struct call *c)
{
        struct posix_root *root = posix_root();
        struct process *p = root->init;
        uint64_t lived = time_mono_ns() - root->init_start_ns;
        int r;

        if (root->nprocesses > 1)
                return call_wait(c, CONDITION, &root->nprocesses, UNINTERRUPTIBLE, time_mono_ns() + NSEC_PER_SEC / 5);
        if (lived < 2 * NSEC_PER_SEC)
                return call_wait(c, CONDITION, NULL, UNINTERRUPTIBLE, root->init_start_ns + 2 * NSEC_PER_SEC);
        if (root->init_deaths >= 8)
                panic("init cannot run: it ended %u times in a row", root->init_deaths);
        if (thread_reserve() < 0 || !space_room(64))
                return call_wait(c, CONDITION, NULL, UNINTERRUPTIBLE, time_mono_ns() + NSEC_PER_SEC);
        if (c->thread->dying)
                return CALL_AGAIN;
        changes(c);
        root->init_deaths = lived < 10 * NSEC_PER_SEC ? root->init_deaths + 1 : 0;
        proctree_lock();
        process_reap(p);
        root->init = NULL;
        proctree_unlock();
        r = process_create_init();
        if (r < 0)
                panic("init cannot be started anew: %d", r);
        return CALL_EXIT;
}

long exit_run(struct call *c)
{
        struct thread *t = c->thread;
        struct process *p = t->proc;
        struct exit_state *s = call_state(c, struct exit_state);
        long r;

        look(p);
        switch (c->stage) {
        case EXIT_BEGIN:
                *s = (struct exit_state){0};
                begin(t, s);
                c->stage = EXIT_ROBUST;
                /* fallthrough */
        case EXIT_ROBUST:
                if (t->robust_list && p->mm) {
                        r = futex_exit_robust(c, s->robust);
                        if (r)
                                return r;
                }
                c->stage = EXIT_CLEARTID;
                /* fallthrough */
        case EXIT_CLEARTID:
                r = clear_tid(c);
                if (r)
                        return r;
                c->stage = s->last ? EXIT_OTHERS : EXIT_END;
                if (!s->last)
                        return finish(c, s);
                /* fallthrough */
        case EXIT_OTHERS:
                r = await_others(c);
                if (r)
                        return r;
                c->stage = EXIT_TIMERS;
                /* fallthrough */
        case EXIT_TIMERS:
                if (p->timers && process_timers_drop(p))
                        return CALL_AGAIN;
                c->stage = EXIT_IPC;
                /* fallthrough */
        case EXIT_IPC:
                if (ipc_exit && (p->sem_undo || p->shm_attached)) {
                        if (!section_this()->changed)
                                ipc_exit(p);
                        return CALL_AGAIN;
                }
                c->stage = EXIT_RESOURCES;
                /* fallthrough */
        case EXIT_RESOURCES:
                if (section_this()->changed)
                        return CALL_AGAIN;
                c->stage = EXIT_SESSION;
                return release_resources(p);
        case EXIT_SESSION:
                c->stage = EXIT_CHILDREN;
                if (tty_session_exit && p->session->sid == p->pid && p->session->tty) {
                        tty_session_exit(p->session);
                        return CALL_AGAIN;
                }
                /* fallthrough */
        case EXIT_CHILDREN:
                r = leave_children(p);
                if (r)
                        return r;
                c->stage = EXIT_END;
                /* fallthrough */
        case EXIT_END:
                return finish(c, s);
        case EXIT_INIT_KILL:
                r = init_kill_all();
                if (r)
                        return r;
                c->stage = EXIT_INIT_WAIT;
                return CALL_AGAIN;
        default:
                return init_again(c);
        }
}

void exit_stage_migrate(struct call *c)
{
        enum { SCHEMA1_INIT_WAIT = 9 };

        if (c->nr != NR_EXIT || c->stage < EXIT_OTHERS)
                return;
        c->stage = c->stage > SCHEMA1_INIT_WAIT ? EXIT_OTHERS : c->stage + 1;
}

bool exit_goes_on(const struct thread *t)
{
        return t->in_call && t->call.nr == NR_EXIT && t->call.stage >= EXIT_INIT_KILL && is_init(t->proc);
}

void process_end_init(void)
{
        struct process *p = posix_root()->init;
        struct sighand *sh;

        if (!p || p->exiting || p->state >= PROCESS_ZOMBIE)
                return;
        sh = signal_lock(p);
        signal_group_exit(p, SIGKILL);
        signal_unlock(sh);
}

/* Both become the pseudo-call: from here on the thread only dies. */
static long exit_now(struct call *c)
{
        c->nr = NR_EXIT;
        c->stage = EXIT_BEGIN;
        return exit_run(c);
}

long sys_exit(struct call *c)
{
        if (c->nr == NR_EXIT)
                return exit_run(c);
        look(c->thread->proc);
        changes(c);
        c->thread->exit_code = (int32_t)(c->arg[0] & 0xff) << 8;
        return exit_now(c);
}

long sys_exit_group(struct call *c)
{
        struct process *p = c->thread->proc;
        struct sighand *sh;

        if (c->nr == NR_EXIT)
                return exit_run(c);
        look(c->thread->proc);
        changes(c);
        c->thread->exit_code = (int32_t)(c->arg[0] & 0xff) << 8;
        sh = signal_lock(p);
        if (!p->exiting)
                signal_group_exit(p, c->thread->exit_code);
        signal_unlock(sh);
        return exit_now(c);
}
