/*
 * object.c - counts of persistent objects and how they end. A count that reaches zero hangs the object on the current thread's dying list, which is drained
 * one section at a time before the return to user mode (end-of-file and unlock must be visible when close returns); without a
 * current thread it goes to the root's list, drained by a work item.
 *
 * A section borrows what it finds, and may count it later: on another CPU the count may have come to zero meanwhile. So a release begins only when every section
 * that ran elsewhere at that time has ended; who counts an object before that revives it, and the drainer lets it live. OBJECT_DYING says that it
 * stands on a list: whoever sets it pushes.
 */
#include "posix/include/process.h"
#include "kernel/include/log.h"
#include "kernel/include/work.h"

static void reap(struct work *w);
static struct work reaper = {.fn = reap};

void object_init(void *o, unsigned type)
{
        *(struct object *)o = (struct object){.refs = 1, .type = (uint16_t)type};
}

void *object_new(unsigned type)
{
        void *o = space_alloc(type);

        object_init(o, type);
        return o;
}

void object_put(void *o)
{
        struct object *obj = o;
        uint32_t left;

        if (!obj)
                return;
        left = __atomic_sub_fetch(&obj->refs, 1, __ATOMIC_SEQ_CST);
        if (left != 0) {
                if (left == ~0u)
                        panic("object %p of type %u released once too often", o, obj->type);
                return;
        }
        if (!(__atomic_fetch_or(&obj->flags, OBJECT_DYING, __ATOMIC_SEQ_CST) & OBJECT_DYING))
                object_put_dying(obj);
}

/* On a list that will be drained; OBJECT_DYING is set. */
void object_put_dying(struct object *obj)
{
        struct posix_root *root = posix_root();
        struct thread *t = thread_current();
        struct object *head = root->reaper_dying;

        if (t && (void *)t != (void *)obj) {
                obj->next_dying = t->dying;
                t->dying = obj;
                return;
        }
        do
                obj->next_dying = head;
        while (!__atomic_compare_exchange_n(&root->reaper_dying, &head, obj, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_SEQ_CST));
        work_queue(&reaper);
}

/* Off its list and counted again by somebody, who may have let go of it once more. */
static void revive(struct object *o)
{
        __atomic_fetch_and(&o->flags, (uint16_t)~OBJECT_DYING, __ATOMIC_SEQ_CST);
        if (READ_ONCE(o->refs) == 0 && !(__atomic_fetch_or(&o->flags, OBJECT_DYING, __ATOMIC_SEQ_CST) & OBJECT_DYING))
                object_put_dying(o);
}

void object_destroy(struct object *o)
{
        object_release_fn release = object_release_table[o->type];

        if (unlikely(READ_ONCE(o->refs) != 0)) {
                revive(o);
                return;
        }
        if (!release)
                panic("object %p of type %u has no release", (void *)o, o->type);
        if (release(o)) {
                o->flags |= OBJECT_ALONE;
                object_put_dying(o);
        }
}

void object_touch(struct object *o)
{
        void (*touch)(void *object) = object_touch_table[o->type];

        if (touch)
                touch(o);
}

/* Recovery: what was dying without a thread goes on dying. */
int object_boot(void)
{
        if (posix_root()->reaper_dying)
                work_queue(&reaper);
        return 0;
}

/* One object. Pushing needs no lock; popping does, as two CPUs may run this at once. */
static void reap(struct work *w)
{
        struct posix_root *root = posix_root();
        struct object *head;

        (void)w;
        lock(LOCK_IPC, &root->reaper_dying); /* the lowest rank: release functions take their own locks */
        head = READ_ONCE(root->reaper_dying);
        if (!head)
                return;
        if (!(head->flags & OBJECT_ALONE) &&
            !section_passed(section_stamp())) { /* not from here: the others may wait for what this section holds */
                work_queue(&reaper);
                return;
        }
        object_touch(head);
        section_changes();
        while (!__atomic_compare_exchange_n(&root->reaper_dying, &head, head->next_dying, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_SEQ_CST))
                object_touch(head);
        unlock(LOCK_IPC, &root->reaper_dying);
        head->next_dying = NULL;
        object_destroy(head);
        if (root->reaper_dying)
                work_queue(&reaper);
}
