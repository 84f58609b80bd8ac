/*
 * types.c - what posix/proc keeps in the space: pointer fields for the checkers, release functions for the dying list.
 * All of it is resident: it is looked at after a section's first change, and by wakers.
 */
#include "posix/proc/proc.h"
#include "posix/include/fuse.h"

#define REF(type, field)                                                                                               \
        {                                                                                                              \
                offsetof(struct type, field), FIELD_REF, 1                                                             \
        }
#define BORROW(type, field)                                                                                            \
        {                                                                                                              \
                offsetof(struct type, field), FIELD_BORROW, 1                                                          \
        }
#define TRAIL(type, field)                                                                                             \
        {                                                                                                              \
                offsetof(struct type, field), FIELD_TRAIL, 1                                                           \
        }
#define OWN(type, field)                                                                                               \
        {                                                                                                              \
                offsetof(struct type, field), FIELD_OWN, 1                                                             \
        }
#define END                                                                                                            \
        {                                                                                                              \
                0, 0, 0                                                                                                \
        }

bool session_release(void *object);
bool pgrp_release(void *object);
bool cred_release(void *object);
bool user_release(void *object);

/* What a call in progress names is counted by call_save(), object by object: `counted` says which. What is dying has no count. */
static const struct space_field thread_fields[] = {BORROW(thread, obj.next_dying),
                                                   REF(thread, proc),
                                                   REF(thread, next),
                                                   BORROW(thread, prev),
                                                   TRAIL(thread, hash_next),
                                                   REF(thread, cred),
                                                   OWN(thread, fpu),
                                                   OWN(thread, pending.head),
                                                   BORROW(thread, pending.tail),
                                                   BORROW(thread, dying),
                                                   BORROW(thread, vfork_child_of),
                                                   BORROW(thread, tracer),
                                                   REF(thread, fuse),
                                                   BORROW(thread, call.thread),
                                                   OWN(thread, call.overflow),
                                                   OWN(thread, call.io.overflow),
                                                   END};
static const struct space_field process_fields[] = {BORROW(process, obj.next_dying),
                                                    BORROW(process, parent),
                                                    REF(process, children),
                                                    REF(process, sibling_next),
                                                    BORROW(process, sibling_prev),
                                                    TRAIL(process, hash_next),
                                                    TRAIL(process, pgrp_next),
                                                    BORROW(process, pgrp_prev),
                                                    REF(process, pgrp),
                                                    REF(process, session),
                                                    REF(process, threads),
                                                    BORROW(process, leader),
                                                    BORROW(process, exec_thread),
                                                    REF(process, mm),
                                                    REF(process, files),
                                                    REF(process, fs),
                                                    REF(process, sighand),
                                                    OWN(process, pending.head),
                                                    BORROW(process, pending.tail),
                                                    OWN(process, timers),
                                                    OWN(process, sem_undo),
                                                    OWN(process, shm_attached),
                                                    REF(process, exe),
                                                    END};
static const struct space_field session_fields[] = {BORROW(session, obj.next_dying), BORROW(session, tty),
                                                    BORROW(session, foreground), TRAIL(session, hash_next), END};
static const struct space_field pgrp_fields[] = {BORROW(pgrp, obj.next_dying), REF(pgrp, session),
                                                 BORROW(pgrp, members), TRAIL(pgrp, hash_next), END};
static const struct space_field cred_fields[] = {BORROW(cred, obj.next_dying), OWN(cred, groups), REF(cred, user), END};
static const struct space_field user_fields[] = {BORROW(user, obj.next_dying), TRAIL(user, hash_next), END};
static const struct space_field fs_fields[] = {BORROW(fs, obj.next_dying), REF(fs, root), REF(fs, cwd),
                                               BORROW(fs, unused), END};

/* The processor state and the last of the counts go when no CPU works for the thread any more: thread_slot_release waits for that. */
static bool thread_release(void *object)
{
        struct thread *t = object;

        if (t->pending.head) {
                sigpending_flush(&t->pending);
                return true;
        }
        if (t->fuse && fuse_call_end(t)) /* its last call could not end in order */
                return true;
        thread_slot_release(t->slot);
        space_free_bytes(t->fpu);
        if (t->cred) {
                __atomic_fetch_sub(&t->cred->user->nthreads, 1, __ATOMIC_RELAXED);
                object_put(t->cred);
        }
        object_put(t->proc);
        space_free(t);
        return false;
}

static bool process_release(void *object)
{
        struct process *p = object;

        if (p->pending.head) {
                sigpending_flush(&p->pending);
                return true;
        }
        object_put(p->mm);
        object_put(p->files);
        object_put(p->fs);
        object_put(p->sighand);
        object_put(p->exe);
        space_free(p);
        return false;
}

static bool fs_release(void *object)
{
        struct fs *f = object;

        object_put(f->root);
        object_put(f->cwd);
        space_free(f);
        return false;
}

/* Before the change: objects of other areas whose counts the releases lower. */
static void process_touch(void *object)
{
        struct process *p = object;

        object_look(p->mm);
        object_look(p->files);
        object_look(p->exe);
}

static void fs_touch(void *object)
{
        struct fs *f = object;

        object_look(f->root);
        object_look(f->cwd);
}

static void cred_touch(void *object)
{
        struct cred *c = object;

        if (c->groups)
                (void)READ_ONCE(c->groups[0]);
}

static void thread_touch(void *object)
{
        struct thread *t = object;

        if (t->fpu)
                (void)READ_ONCE(*(uint64_t *)t->fpu);
}

static void walk_thread(void *object, void *arg)
{
        const struct space_visitor *v = arg;
        struct thread *t = object;

        for (unsigned i = 0; t->in_call && i < CALL_OBJECTS; i++)
                if (t->call.counted >> i & 1)
                        v->object(t->call.objects[i]);
}

static void walk_threads(const struct space_visitor *v)
{
        space_each(TYPE_THREAD, walk_thread, (void *)(uintptr_t)v);
}

static void thread_migrate(void *object, unsigned from)
{
        struct thread *t = object;

        (void)from; /* 1: the only one there was */
        if (t->in_call)
                exit_stage_migrate(&t->call);
}

int process_boot(void)
{
        space_ref_walker_register(walk_threads, 0);
        return 0;
}

#define RESIDENT (SPACE_RESIDENT | SPACE_OBJECT)
const struct posix_type proc_types[] = {
        {TYPE_THREAD,
         {"thread", sizeof(struct thread), 2, RESIDENT | SPACE_ALIGN64, thread_fields, thread_migrate},
         thread_release,
         thread_touch},
        {TYPE_PROCESS,
         {"process", sizeof(struct process), 1, RESIDENT, process_fields},
         process_release,
         process_touch},
        {TYPE_SESSION, {"session", sizeof(struct session), 1, RESIDENT, session_fields}, session_release, NULL},
        {TYPE_PGRP, {"pgrp", sizeof(struct pgrp), 1, RESIDENT, pgrp_fields}, pgrp_release, NULL},
        {TYPE_CRED, {"cred", sizeof(struct cred), 1, RESIDENT, cred_fields}, cred_release, cred_touch},
        {TYPE_USER, {"user", sizeof(struct user), 1, RESIDENT, user_fields}, user_release, NULL},
        {TYPE_FS, {"fs", sizeof(struct fs), 1, RESIDENT, fs_fields}, fs_release, fs_touch},
        {.type = 0},
};

struct fs *fs_new(struct inode *root)
{
        struct fs *f = object_new(TYPE_FS);

        f->root = f->cwd = root;
        object_get(root);
        object_get(root);
        f->umask = 022;
        return f;
}

struct fs *fs_copy(struct fs *from)
{
        struct fs *f = object_new(TYPE_FS);

        f->root = from->root;
        f->cwd = from->cwd;
        f->umask = from->umask;
        object_get(f->root);
        object_get(f->cwd);
        return f;
}
