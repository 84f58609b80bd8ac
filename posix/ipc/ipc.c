/*
 * ipc.c - what the three System V facilities share: numbers, keys, permissions.
 * An id is sequence << 15 | index; the sequence goes on with every object made, so that an id is not soon used again.
 */
#include "posix/ipc/ipc_internal.h"
#include <asm/ipcbuf.h>

static uint32_t bucket_of(int key)
{
        return (uint32_t)key * 0x9e3779b1u >> 26;
}

struct ipc_object *ipc_at(enum ipc_kind k, unsigned index)
{
        struct ipc_object **chunk =
                index < IPC_CHUNK * IPC_CHUNKS ? READ_ONCE(ipc_table(k)->chunk[index / IPC_CHUNK]) : NULL;

        return chunk ? READ_ONCE(chunk[index % IPC_CHUNK]) : NULL;
}

struct ipc_object *ipc_find(enum ipc_kind k, int id)
{
        struct ipc_object *o = id >= 0 ? ipc_at(k, (unsigned)id & ((1u << IPC_INDEX_BITS) - 1)) : NULL;

        return o && o->id == id ? o : NULL;
}

int ipc_top(enum ipc_kind k)
{
        int top = 0;

        for (unsigned i = 0; i < ipc_table(k)->top; i++)
                if (ipc_at(k, i))
                        top = (int)i;
        return top;
}

void ipc_each(enum ipc_kind k, bool (*fn)(struct ipc_object *o, void *arg), void *arg)
{
        for (unsigned i = 0; i < ipc_table(k)->top; i++) {
                struct ipc_object *o = ipc_at(k, i);

                if (o && !fn(o, arg))
                        return;
        }
}

long ipc_allowed(const struct ipc_object *o, uint32_t flag)
{
        const struct cred *me = thread_current()->cred;
        uint32_t want = (flag >> 6) | (flag >> 3) | flag, granted = o->mode;

        if (me->euid == o->cuid || me->euid == o->uid)
                granted >>= 6;
        else if (cred_in_group(me, o->cgid) || cred_in_group(me, o->gid))
                granted >>= 3;
        return want & ~granted & 7 && !capable(CAP_IPC_OWNER) ? -EACCES : 0;
}

bool ipc_owner(const struct ipc_object *o)
{
        const struct cred *me = thread_current()->cred;

        return me->euid == o->cuid || me->euid == o->uid || capable(CAP_SYS_ADMIN);
}

long ipc_get_begin(enum ipc_kind k, int key, uint32_t flags, struct ipc_object **found)
{
        struct ipc_object *o = NULL;

        lock(LOCK_IPC, ipc_table(k));
        if (key != IPC_PRIVATE)
                for (o = ipc_table(k)->bucket[bucket_of(key)]; o && o->key != key; o = o->key_next)
                        ;
        *found = o;
        if (!o)
                return key == IPC_PRIVATE || flags & IPC_CREAT ? -ENOENT : -ENODATA;
        if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
                return -EEXIST;
        return o->id;
}

long ipc_full(enum ipc_kind k, unsigned max)
{
        return ipc_table(k)->used >= max ? -ENOSPC : 0;
}

unsigned ipc_room(enum ipc_kind k)
{
        (void)k;
        return 3;
}

long ipc_add(struct ipc_object *o, enum ipc_kind k, int key, uint32_t mode)
{
        struct ipc_table *t = ipc_table(k);
        const struct cred *me = thread_current()->cred;
        unsigned i = 0;

        while (i < IPC_CHUNK * IPC_CHUNKS && ipc_at(k, i))
                i++;
        if (!t->chunk[i / IPC_CHUNK])
                t->chunk[i / IPC_CHUNK] = space_alloc_bytes(IPC_CHUNK * sizeof(struct ipc_object *));
        o->kind = (uint8_t)k;
        o->seq = (uint16_t)t->seq++;
        o->id = (int)((uint32_t)o->seq << IPC_INDEX_BITS | i) & 0x7fffffff;
        o->key = key;
        o->uid = o->cuid = me->euid;
        o->gid = o->cgid = me->egid;
        o->mode = mode & 0777;
        o->ctime = IPC_STAT_TIME();
        if (key != IPC_PRIVATE) {
                o->key_next = t->bucket[bucket_of(key)];
                t->bucket[bucket_of(key)] = o;
        }
        __atomic_store_n(&t->chunk[i / IPC_CHUNK][i % IPC_CHUNK], o, __ATOMIC_RELEASE);
        t->used++;
        if (i >= t->top)
                t->top = i + 1;
        return o->id;
}

void ipc_lock_both(struct ipc_object *o)
{
        lock2(LOCK_IPC, ipc_table(o->kind), o);
}

/* The key is free for another object from now on. */
void ipc_forget_key(struct ipc_object *o)
{
        struct ipc_object **p = &ipc_table(o->kind)->bucket[bucket_of(o->key)];

        if (o->key == IPC_PRIVATE)
                return;
        while (*p && *p != o)
                p = &(*p)->key_next;
        if (*p)
                *p = o->key_next;
        o->key_next = NULL;
        o->key = IPC_PRIVATE;
}

void ipc_remove(struct ipc_object *o)
{
        struct ipc_table *t = ipc_table(o->kind);
        unsigned i = (unsigned)o->id & ((1u << IPC_INDEX_BITS) - 1);

        ipc_forget_key(o);
        t->chunk[i / IPC_CHUNK][i % IPC_CHUNK] = NULL;
        t->used--;
        o->deleted = 1;
        object_put(o);
}

void ipc_perm_fill(const struct ipc_object *o, struct ipc64_perm *p)
{
        *p = (struct ipc64_perm){.key = o->key,
                                 .uid = o->uid,
                                 .gid = o->gid,
                                 .cuid = o->cuid,
                                 .cgid = o->cgid,
                                 .mode = o->mode,
                                 .seq = o->seq};
}

void ipc_set(struct ipc_object *o, const struct ipc64_perm *p)
{
        o->uid = p->uid;
        o->gid = p->gid;
        o->mode = (o->mode & ~0777u) | (p->mode & 0777);
        o->ctime = IPC_STAT_TIME();
}

static void report(void *object, void *arg)
{
        const struct space_visitor *v = arg;

        v->object(object);
}

/* References the tables hold, for the checker. */
static void walk(const struct space_visitor *v)
{
        struct ipc_state *s = posix_root() ? ipc_state() : NULL;

        for (unsigned k = 0; s && k < IPC_KINDS; k++)
                for (unsigned i = 0; i < s->table[k]->top; i++)
                        if (ipc_at(k, i))
                                report(ipc_at(k, i), (void *)(uintptr_t)v);
        if (s && s->queues)
                v->object(s->queues);
}

static void no_retry(void *arg)
{
        (void)arg;
}

void ipc_boot(void)
{
        section_begin(no_retry, NULL);
        if (!ipc_state()) {
                struct ipc_state *s;

                section_changes();
                s = space_alloc_bytes(sizeof(*s));
                for (unsigned k = 0; k < IPC_KINDS; k++)
                        s->table[k] = space_alloc_bytes(sizeof(struct ipc_table));
                posix_root()->ipc_state = s;
        }
        section_end();
        space_ref_walker_register(walk, 0);
}
