/* pipe_internal.h - between the files of posix/pipe only. */
#pragma once
#include "posix/include/pipe.h"

static inline struct pipe_slot *pipe_slot(struct pipe *p, uint32_t i)
{
        struct pipe_slot *ring = p->ring ? p->ring : p->slot;

        return &ring[(p->head + i) & (p->nslots - 1)];
}
static inline bool pipe_full(const struct pipe *p)
{
        return p->count == p->nslots;
}
struct pipe *pipe_new(void);   /* after changes(); refs 1, no ends */
void pipe_pop(struct pipe *p); /* the first slot is empty: drop it; after changes() */
void pipe_consume(struct pipe *p, size_t n);
void pipe_end_add(struct pipe *p, uint32_t mode); /* a file with these FMODE_* bits was opened */
/* A file is of no use any more: its ends count no more, others are told. LOCK_INODE, LOCK_PIPE held. Begins the change. */
void pipe_end_leave(struct file *f);
