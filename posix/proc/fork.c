/*
 * fork.c - new processes and threads: fork, vfork, clone, clone3.
 * Everything that can fail comes first, the address space last of it (mm_fork may need several sections and begins the change when it is done); then child and
 * thread are filled in and appear in one section: before it they are reachable from nowhere, after it they run.
 * A signal that is pending when the child would be made is taken first (ERESTARTNOINTR): one sent to the group before the child joins it would miss the child.
 */
#include "posix/proc/proc.h"
#include "posix/include/file.h"
#include "posix/include/mm.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/log.h"
#include <linux/sched.h>

struct fork_state {
        uint64_t flags;
        uint64_t stack; /* top; 0: the parent's */
        uint64_t tls;
        uint64_t parent_tid, child_tid, pidfd;
        uint32_t exit_signal;
        int32_t pid; /* the child's, while the parent waits in vfork */
};

enum { STAGE_DECODE, STAGE_MAKE, STAGE_VFORK };

#define CLONE_NAMESPACES                                                                                               \
        ((uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |       \
                    CLONE_NEWNET) |                                                                                    \
         CLONE_NEWTIME)
#define FORK_ROOM 16 /* pages: records, processor state, tables' first pages, each perhaps the first of its slab */

static long check_flags(const struct fork_state *s)
{
        uint64_t f = s->flags;

        if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
                return -EINVAL;
        if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
                return -EINVAL;
        if ((f & CLONE_PARENT) && process_current() == posix_root()->init)
                return -EINVAL;
        if ((f & CLONE_PIDFD) && (f & (CLONE_DETACHED | CLONE_THREAD)))
                return -EINVAL;
        if (f & CLONE_NAMESPACES)
                return -EINVAL; /* no namespaces, as a kernel built without them answers */
        return 0;
}

static bool over_process_limit(struct thread *t)
{
        const struct cred *cr = t->cred;

        return cr->user->nthreads >= rlimit_of(t->proc, RLIMIT_NPROC) && cr->uid != 0 && !capable(CAP_SYS_RESOURCE) &&
               !capable(CAP_SYS_ADMIN);
}

/* After changes(): the new thread's record, from the caller's. */
static struct thread *thread_make(struct process *p, const struct fork_state *s, int tid)
{
        struct thread *self = thread_current(), *t = thread_new(p);

        t->tid = tid;
        t->nice_plus20 = self->nice_plus20;
        t->policy = self->policy;
        t->rt_priority = self->rt_priority;
        t->affinity = self->affinity;
        t->io_priority = self->io_priority;
        priority_fork(t);
        t->cred = self->cred;
        object_get(t->cred);
        __atomic_fetch_add(&t->cred->user->nthreads, 1, __ATOMIC_RELAXED);
        t->frame = *user_frame();
        t->frame.rax = 0;
        if (s->stack)
                t->frame.rsp = s->stack;
        t->fs_base = s->flags & CLONE_SETTLS ? s->tls : self->fs_base;
        t->gs_base = self->gs_base;
        fpu_save(fpu_area(t));
        t->blocked = self->blocked;
        if (!(s->flags & CLONE_VM) || (s->flags & CLONE_VFORK)) {
                t->altstack_sp = self->altstack_sp;
                t->altstack_size = self->altstack_size;
                t->altstack_flags = self->altstack_flags;
        }
        if (s->flags & CLONE_CHILD_CLEARTID)
                t->clear_tid = s->child_tid;
        t->timer_slack_ns = self->timer_slack_ns;
        __builtin_memcpy(t->comm, self->comm, sizeof(t->comm));
        t->start_ns = time_mono_ns();
        return t;
}

/* LOCK_PROCTREE held: the thread joins its process and runs from here on. */
static void thread_publish(struct thread *t)
{
        struct process *p = t->proc;
        struct sighand *sh;

        pid_publish_thread(t);
        sh = signal_lock(p);
        t->prev = NULL;
        t->next = p->threads;
        if (p->threads)
                p->threads->prev = t;
        p->threads = t;
        p->nthreads++;
        p->nlive++;
        if (thread_is_doomed(t))
                thread_kill_post(t);
        signal_unlock(sh);
        thread_start(t);
}

static long make_thread(struct call *c, struct fork_state *s)
{
        struct thread *t;
        int32_t tid = pid_reserve();

        if (tid < 0)
                return tid;
        if (thread_reserve() < 0)
                return -EAGAIN;
        if (!space_room(6))
                return -EAGAIN;
        if ((s->flags & CLONE_PARENT_SETTID) && !copy_out(c, s->parent_tid, &tid, sizeof(tid)))
                return user_fault(c);
        if ((s->flags & CLONE_CHILD_SETTID) && !copy_out(c, s->child_tid, &tid, sizeof(tid)))
                return user_fault(c);
        changes(c);
        pid_used(tid);
        t = thread_make(process_current(), s, tid);
        proctree_lock();
        thread_publish(t);
        return tid;
}

static struct process *process_make(struct fork_state *s, struct mm *mm, int pid)
{
        struct process *self = process_current(), *p = object_new(TYPE_PROCESS);

        p->pid = pid;
        p->dumpable = self->dumpable;
        p->no_new_privs = self->no_new_privs;
        p->personality = self->personality;
        p->exit_signal = s->flags & CLONE_PARENT ? self->exit_signal : (int32_t)s->exit_signal;
        p->mm = mm;
        p->fs = self->fs;
        if (s->flags & CLONE_FS)
                object_get(p->fs);
        else
                p->fs = fs_copy(self->fs);
        p->files = self->files;
        if (s->flags & CLONE_FILES)
                object_get(p->files);
        else
                p->files = fdtable_fork(self->files);
        p->sighand = self->sighand;
        if (s->flags & CLONE_SIGHAND)
                object_get(p->sighand);
        else
                p->sighand = sighand_copy(self->sighand);
        if (s->flags & CLONE_CLEAR_SIGHAND)
                sighand_reset_caught(p->sighand);
        __builtin_memcpy(p->limits, self->limits, sizeof(p->limits));
        p->exe = self->exe;
        object_get(p->exe);
        p->arg_start = self->arg_start;
        p->arg_end = self->arg_end;
        p->env_start = self->env_start;
        p->env_end = self->env_end;
        p->oom_score_adj = self->oom_score_adj;
        p->start_ns = time_mono_ns();
        if (ipc_fork)
                ipc_fork(self, p);
        return p;
}

static long make_process(struct call *c, struct fork_state *s)
{
        struct thread *self = thread_current(), *t;
        struct process *from = self->proc, *p;
        struct mm *mm = from->mm;
        uint64_t room = FORK_ROOM;
        struct file *pidfd = NULL;
        int fd = -1;
        int32_t pid = pid_reserve();

        if (pid < 0)
                return pid;
        if (thread_reserve() < 0)
                return -EAGAIN;
        if (s->flags & CLONE_PIDFD) {
                fd = fd_reserve(c, 0);
                if (fd < 0)
                        return fd;
                if (!copy_out(c, s->pidfd, &fd, sizeof(fd)))
                        return user_fault(c);
        } else if (!(s->flags & CLONE_FILES)) {
                lock(LOCK_FDTABLE, from->files);
        }
        if (!(s->flags & CLONE_FILES))
                room += fdtable_pages(from->files);
        if ((s->flags & CLONE_PARENT_SETTID) && !copy_out(c, s->parent_tid, &pid, sizeof(pid)))
                return user_fault(c);
        if (from->limits[RLIMIT_CPU].rlim_cur != RLIM64_INFINITY && deadline_reserve(c) < 0)
                return -ENOMEM;
        sighand_touch(from->sighand);
        object_look(from->exe);
        object_look(from->fs->root);
        object_look(from->fs->cwd);
        if (!space_room(room))
                return -ENOMEM;
        if (s->flags & CLONE_VM) {
                changes(c);
                object_get(mm);
        } else {
                long r = mm_fork(c, mm, &mm);

                if (r != 0)
                        return r;
        }
        changes(c);
        pid_used(pid);
        p = process_make(s, mm, pid);
        if (fd < 0 && !(s->flags & CLONE_FILES))
                unlock(LOCK_FDTABLE, from->files);
        t = thread_make(p, s, pid);
        p->leader = t;
        if (s->flags & CLONE_VFORK)
                t->vfork_child_of = self;
        if (fd >= 0) {
                pidfd = pidfd_new(p, 0);
                fd_install(c, fd, pidfd, true);
        }
        if (s->flags & CLONE_CHILD_SETTID)
                call_prepare(t, NR_CHILD_TID, (uint64_t[6]){s->child_tid});
        proctree_lock();
        posix_root()->nprocesses++;
        posix_root()->nforks++;
        child_link(s->flags & CLONE_PARENT ? from->parent : from, p);
        pgrp_join(p, from->pgrp);
        pid_publish_process(p);
        thread_publish(t);
        if (p->limits[RLIMIT_CPU].rlim_cur != RLIM64_INFINITY)
                cpu_limits_arm(p);
        if (!(s->flags & CLONE_VFORK))
                return pid;
        s->pid = pid;
        c->stage = STAGE_VFORK;
        return call_wait_grant(c, &t->vfork_child_of, ~0ul, KILLABLE, NO_DEADLINE);
}

/* The parent of a vfork sleeps until the child execs or exits; only its own death ends that earlier. */
static long vfork_wait(struct call *c, const struct fork_state *s)
{
        long r;

        if (call_granted(c, &r))
                return s->pid;
        if (c->why != WHY_KILL)
                return call_wait_more(c);
        if (call_ungrant(c, &r))
                return s->pid;
        struct thread *t = thread_find(s->pid);

        changes(c);
        proctree_lock();
        if (t && t->vfork_child_of == c->thread)
                t->vfork_child_of = NULL;
        return -EINTR;
}

void vfork_release(struct thread *t)
{
        struct thread *parent;

        if (!t->vfork_child_of)
                return;
        proctree_lock();
        parent = t->vfork_child_of;
        t->vfork_child_of = NULL;
        if (parent)
                grant_thread(parent, 0);
        proctree_unlock();
}

/* Something was missing when half of the address space was copied already: that ends, and the space is nobody's again. */
static long fork_leave(struct call *c, long r)
{
        struct mm *mm = c->thread->proc->mm;

        if (!c->objects[3] || r >= 0 || r <= CALL_WAIT)
                return r;
        if (!lock_held(LOCK_MM, mm))
                lock(LOCK_MM, mm);
        return mm_leave(c, mm, r);
}

static long fork_run(struct call *c)
{
        struct fork_state *s = call_state(c, struct fork_state);

        if (c->stage == STAGE_VFORK)
                return vfork_wait(c, s);
        if (!c->objects[3]) { /* no address space half copied */
                long r = check_flags(s);

                if (r)
                        return r;
                if (over_process_limit(c->thread))
                        return -EAGAIN;
                if (signal_wanted(c->thread))
                        return -ERESTARTNOINTR;
        }
        return s->flags & CLONE_THREAD ? make_thread(c, s) : fork_leave(c, make_process(c, s));
}

static struct fork_state *fork_decoded(struct call *c)
{
        struct fork_state *s = call_state(c, struct fork_state);

        *s = (struct fork_state){0};
        c->stage = STAGE_MAKE;
        return s;
}

long sys_fork(struct call *c)
{
        if (c->stage == STAGE_DECODE)
                fork_decoded(c)->exit_signal = SIGCHLD;
        return fork_run(c);
}

long sys_vfork(struct call *c)
{
        if (c->stage == STAGE_DECODE) {
                struct fork_state *s = fork_decoded(c);

                s->flags = CLONE_VFORK | CLONE_VM;
                s->exit_signal = SIGCHLD;
        }
        return fork_run(c);
}

long sys_clone(struct call *c)
{
        if (c->stage == STAGE_DECODE) {
                struct fork_state *s = fork_decoded(c);

                s->flags = (uint32_t)c->arg[0] & ~(uint64_t)CSIGNAL;
                s->exit_signal = c->arg[0] & CSIGNAL;
                s->stack = c->arg[1];
                s->parent_tid = c->arg[2];
                s->pidfd = c->arg[2];
                s->child_tid = c->arg[3];
                s->tls = c->arg[4];
                if ((s->flags & CLONE_PIDFD) && (s->flags & CLONE_PARENT_SETTID))
                        return -EINVAL; /* one word for both */
                if ((s->flags & CLONE_SETTLS) && s->tls >= USER_TOP)
                        return -EPERM;
        }
        return fork_run(c);
}

static long clone3_decode(struct call *c)
{
        struct fork_state *s = fork_decoded(c);
        struct clone_args a = {0};
        uint64_t size = c->arg[1];
        long r;

        c->stage = STAGE_DECODE; /* until all is well */
        if (size > PAGE_SIZE)
                return -E2BIG;
        if (size < CLONE_ARGS_SIZE_VER0)
                return -EINVAL;
        r = copy_struct_in(c, &a, sizeof(a), c->arg[0], size);
        if (r)
                return r;
        if ((a.flags & ~((uint64_t)0xffffffff | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP)) ||
            (a.flags & (CLONE_DETACHED | (CSIGNAL & ~CLONE_NEWTIME))))
                return -EINVAL;
        if ((a.flags & CLONE_SIGHAND) && (a.flags & CLONE_CLEAR_SIGHAND))
                return -EINVAL;
        if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal)
                return -EINVAL;
        if (a.exit_signal > SIGNAL_MAX)
                return -EINVAL;
        if (a.stack ? !a.stack_size : a.stack_size)
                return -EINVAL;
        if (a.stack && (a.stack >= USER_TOP || a.stack_size > USER_TOP - a.stack))
                return -EINVAL;
        if (a.set_tid_size > 32 || !a.set_tid != !a.set_tid_size)
                return -EINVAL;
        if (a.set_tid)
                return -EPERM; /* choosing numbers is for checkpoint tools: not needed here */
        if (a.flags & CLONE_INTO_CGROUP)
                return -EBADF; /* there are no control groups */
        if ((a.flags & CLONE_SETTLS) && a.tls >= USER_TOP)
                return -EPERM;
        s->flags = a.flags;
        s->exit_signal = (uint32_t)a.exit_signal;
        s->stack = a.stack ? a.stack + a.stack_size : 0;
        s->tls = a.tls;
        s->parent_tid = a.parent_tid;
        s->child_tid = a.child_tid;
        s->pidfd = a.pidfd;
        c->stage = STAGE_MAKE;
        return 0;
}

long sys_clone3(struct call *c)
{
        if (c->stage == STAGE_DECODE) {
                long r = clone3_decode(c);

                if (r)
                        return r;
        }
        return fork_run(c);
}

/* CLONE_CHILD_SETTID of a process: the child's first act. An address that cannot be written is not told. */
long child_tid_run(struct call *c)
{
        int32_t tid = c->thread->tid;

        if (!copy_out(c, c->arg[0], &tid, sizeof(tid)) && user_fault(c) == CALL_FAULT)
                return CALL_FAULT;
        return CALL_DONE;
}
