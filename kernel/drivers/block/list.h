/* list.h - requests in order, through their `next`. Whoever owns a list locks it. */
#pragma once
#include "kernel/include/block.h"

struct request_list {
        struct block_request *first, *last;
};

static inline void list_push(struct request_list *l, struct block_request *r)
{
        r->next = NULL;
        if (l->first)
                l->last->next = r;
        else
                l->first = r;
        l->last = r;
}

static inline void list_push_front(struct request_list *l, struct block_request *r)
{
        r->next = l->first;
        if (!l->first)
                l->last = r;
        l->first = r;
}

static inline struct block_request *list_pop(struct request_list *l)
{
        struct block_request *r = l->first;

        if (r)
                l->first = r->next;
        return r;
}

/* Outside the lock: done() may submit again, and use the request again. */
static inline void list_finish(struct request_list *l, int status)
{
        struct block_request *r;

        while ((r = list_pop(l)))
                r->done(r, status);
}
