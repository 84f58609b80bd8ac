/* watch.c - see watch.h. One spinlock: it guards volatile lists for a few instructions. */
#include "posix/poll/watch.h"
#include "kernel/include/mem.h"

#define BUCKETS 1024u

static struct watch *table[BUCKETS], *pool, *reserved[MAX_CPUS];
static struct spinlock guard;

static struct watch **bucket(const void *object)
{
        return &table[(uint64_t)object * 0x9e3779b97f4a7c15ul >> 54];
}

int watch_reserve(void)
{
        struct watch **mine = &reserved[cpu_this()->id];
        uint64_t f;

        if (*mine)
                return 0;
        f = spin_lock(&guard);
        if (pool) {
                *mine = pool;
                pool = pool->next;
        }
        spin_unlock(&guard, f);
        if (!*mine)
                *mine = kzalloc(sizeof(**mine));
        return *mine ? 0 : -ENOMEM;
}

struct watch *watch_new(void *object)
{
        struct watch *w = reserved[cpu_this()->id];
        struct watch **b = bucket(object);
        uint64_t f;

        reserved[cpu_this()->id] = NULL;
        w->nwaiters = 0;
        w->object = object;
        f = spin_lock(&guard);
        w->next = *b;
        *b = w;
        spin_unlock(&guard, f);
        return w;
}

struct watch *watch_find(const void *object)
{
        uint64_t f = spin_lock(&guard);
        struct watch *w = *bucket(object);

        while (w && w->object != object)
                w = w->next;
        spin_unlock(&guard, f);
        return w;
}

void watch_free(struct watch *w)
{
        uint64_t f = spin_lock(&guard);
        struct watch **p = bucket(w->object);

        while (*p != w)
                p = &(*p)->next;
        *p = w->next;
        w->object = NULL;
        w->next = pool;
        pool = w;
        spin_unlock(&guard, f);
}

void watch_forget(void)
{
        for (unsigned i = 0; i < BUCKETS; i++)
                while (table[i]) {
                        struct watch *w = table[i];

                        for (unsigned k = 0; k < w->nwaiters; k++)
                                waiter_remove(&w->waiter[k]);
                        watch_free(w);
                }
}
