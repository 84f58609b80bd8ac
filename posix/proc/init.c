/*
 * init.c - pid 1. Made at the first boot and again when it dies; at every other boot it is simply there.
 * It starts as a thread with no program and no memory whose first act, prepared in its record, is execve.
 * Called in a section that has begun its change, thread_reserve() done.
 */
#include "posix/proc/proc.h"
#include "posix/include/file.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/log.h"

#define USER_CS 0x33
#define USER_SS 0x2b

int process_create_init(void)
{
        struct posix_root *root = posix_root();
        struct session *s;
        struct process *p;
        struct thread *t;
        struct pgrp *g;
        int r;

        if (!root->fs_root)
                return -ENOENT;
        r = thread_reserve();
        if (r < 0)
                return r;
        if (!space_room(16))
                return -ENOMEM;
        p = object_new(TYPE_PROCESS);
        p->pid = 1;
        p->dumpable = 1;
        p->start_ns = root->init_start_ns = time_mono_ns();
        limits_init(p);
        p->files = fdtable_new();
        p->fs = fs_new(root->fs_root);
        p->sighand = sighand_new();
        t = thread_new(p);
        t->tid = 1;
        t->cred = cred_root();
        t->cred->user->nthreads++;
        __builtin_memcpy(t->comm, "init", 5);
        t->start_ns = p->start_ns;
        t->frame.cs = USER_CS;
        t->frame.ss = USER_SS;
        t->frame.rflags = 0x202;
        fpu_init_area(fpu_area(t));
        call_prepare(t, NR_START_INIT, (uint64_t[6]){0});
        proctree_lock();
        s = session_new(1);
        g = pgrp_new(1, s);
        pgrp_join(p, g);
        object_put(g);
        object_put(s);
        p->leader = t;
        p->threads = t;
        p->nthreads = p->nlive = 1;
        root->init = p;
        root->nprocesses++;
        root->nforks++;
        if (root->last_pid < 1)
                root->last_pid = 1;
        pid_publish_process(p);
        pid_publish_thread(t);
        proctree_unlock();
        thread_start(t);
        return 0;
}
