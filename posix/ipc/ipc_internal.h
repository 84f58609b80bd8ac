/*
 * ipc_internal.h - between the files of posix/ipc only.
 * Locks, all of rank LOCK_IPC: the table of a kind (names and numbers), an object (its contents). Removing takes both by lock2.
 */
#pragma once
#include "posix/include/ipc.h"
#include "kernel/include/time.h"
#include <linux/ipc.h>
#include <asm/ipcbuf.h>

#define IPC_STAT_TIME() ((int64_t)(time_real_ns() / NSEC_PER_SEC))

struct ipc_table {
        struct ipc_object **chunk[IPC_CHUNKS];  /* FIELD_REF by chunks */
        struct ipc_object *bucket[IPC_BUCKETS]; /* FIELD_BORROW, by key */
        uint32_t used, top;                     /* objects; indices below top were ever used */
        uint32_t seq, pad;
};
struct ipc_state {
        struct ipc_table *table[IPC_KINDS]; /* FIELD_OWN */
        struct mqueue *queues;              /* FIELD_REF: POSIX queues with a name */
        uint64_t nqueues, shm_pages;
};
static inline struct ipc_state *ipc_state(void)
{
        return posix_root()->ipc_state;
}
#define IPC_STATE_KEY ((const void *)&posix_root()->ipc_state)

/* The tables are made at the first boot. */
static inline struct ipc_table *ipc_table(enum ipc_kind k)
{
        return ipc_state()->table[k];
}
/* Borrows; NULL: -EINVAL. By id: the sequence must fit. */
struct ipc_object *ipc_find(enum ipc_kind k, int id);
struct ipc_object *ipc_at(enum ipc_kind k, unsigned index);
/* The number a *_STAT command names is an index. */
int ipc_top(enum ipc_kind k); /* highest index in use; 0 for an empty table, as on Linux */
/* Linux's ipcperms: 0 or -EACCES. flag: permission bits wanted, in any of the three places. */
long ipc_allowed(const struct ipc_object *o, uint32_t flag);
bool ipc_owner(const struct ipc_object *o);
/*
 * The get calls. The table is locked. Finds by key: >= 0 an id, *found set for more checks; -ENOENT: to be made (the section has not changed
 * anything); -ENODATA: it is not there and shall not be made (-ENOENT for the user); -EEXIST.
 */
long ipc_get_begin(enum ipc_kind k, int key, uint32_t flags, struct ipc_object **found);
unsigned ipc_room(enum ipc_kind k);                                          /* pages ipc_add may need */
long ipc_add(struct ipc_object *o, enum ipc_kind k, int key, uint32_t mode); /* after changes(): takes it: its id */
long ipc_full(enum ipc_kind k, unsigned max);                                /* before: 0 or -ENOSPC */
void ipc_remove(
        struct ipc_object
                *o); /* after changes(), table and object locked: off the table; the table's reference is dropped */
void ipc_lock_both(struct ipc_object *o);
/* struct ipc64_perm for the *_STAT commands. */
void ipc_perm_fill(const struct ipc_object *o, struct ipc64_perm *p);
void ipc_set(struct ipc_object *o, const struct ipc64_perm *p); /* IPC_SET's common part, after changes() */
void ipc_forget_key(struct ipc_object *o);

/* types.c */
extern const struct space_field shm_fields[], semset_fields[], undo_fields[], msgq_fields[], message_fields[],
        mqueue_fields[];
bool shm_release(void *object);
void shm_touch(void *object);
bool semset_release(void *object);
bool msgq_release(void *object);
void msgq_touch(void *object);
bool mqueue_release(void *object);
void mqueue_touch(void *object);
