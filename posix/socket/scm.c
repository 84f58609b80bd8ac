/*
 * scm.c - descriptors in messages: which messages carry sockets, and the collection of cycles.
 *
 * A socket whose only references are messages in queues that only such sockets could read can never be received again. Messages that carry sockets are on
 * a list in the space (LOCK_SOCKETS(SCM_KEY)). When a socket is closed while there are any, a work item looks: a socket whose file has more references
 * than there are messages with it is alive; what stands in the queue of a live socket (or of one that never travelled) is alive; the rest is
 * dead, and their queues are emptied into carriers, which the dying list destroys in pieces. All marks are volatile.
 * While the lock is held nobody can take a descriptor out of a message, so a dead set stays dead.
 */
#include "posix/socket/socket_internal.h"
#include "kernel/include/mem.h"
#include "kernel/include/work.h"

#define EMPTIED_MAX 8u /* dead sockets a section empties */

static void collect(struct work *w);
static struct work collector = {.fn = collect};

void flight_add(struct skb *b)
{
        struct socket_state *st = socket_state();

        b->in_flight = 1;
        b->flight_prev = NULL;
        b->flight_next = st->flight;
        if (st->flight)
                st->flight->flight_prev = b;
        st->flight = b;
        st->nflight++;
}

void flight_remove(struct skb *b)
{
        struct socket_state *st = socket_state();

        if (b->flight_prev)
                b->flight_prev->flight_next = b->flight_next;
        else
                st->flight = b->flight_next;
        if (b->flight_next)
                b->flight_next->flight_prev = b->flight_prev;
        b->flight_next = b->flight_prev = NULL;
        b->in_flight = 0;
        st->nflight--;
}

void collect_later(void)
{
        work_queue(&collector);
}

/* Sockets that travel, by address: open addressing. */
struct travellers {
        struct traveller {
                struct sock *sock;
                uint32_t messages;
                bool alive;
        } * slot;
        size_t size;
};

static struct traveller *find(struct travellers *t, const struct sock *s, bool make)
{
        size_t i = ((uint64_t)s * 0x9e3779b97f4a7c15ul >> 20) & (t->size - 1);

        while (t->slot[i].sock && t->slot[i].sock != s)
                i = (i + 1) & (t->size - 1);
        if (!t->slot[i].sock) {
                if (!make)
                        return NULL;
                t->slot[i].sock = (struct sock *)s;
        }
        return &t->slot[i];
}

/* Can somebody still read s's queue, as far as is known? */
static bool readable(struct travellers *t, const struct sock *s)
{
        struct traveller *v;

        if (s->listener)
                s = s->listener; /* not accepted yet: as alive as who may accept it */
        v = find(t, s, false);
        return !v || v->alive;
}

static bool mark(struct travellers *t)
{
        bool more = false;

        for (struct skb *b = socket_state()->flight; b; b = b->flight_next) {
                if (!readable(t, b->owner))
                        continue;
                for (uint32_t i = 0; i < b->nfiles; i++) {
                        struct traveller *v =
                                b->files[i]->ops_type == FILE_SOCKET ? find(t, file_sock(b->files[i]), false) : NULL;

                        if (v && !v->alive)
                                v->alive = more = true;
                }
        }
        return more;
}

static void empty(struct sock *s)
{
        struct sock *carrier;

        lock(LOCK_SOCK, s);
        if (s->head || s->accept_head) {
                carrier = carrier_new();
                carrier->head = s->head;
                carrier->accept_head = s->accept_head;
                s->head = s->tail = NULL;
                s->accept_head = s->accept_tail = NULL;
                s->rx_count = s->naccept = 0;
                s->rx_bytes = 0;
                object_put(carrier);
        }
        unlock(LOCK_SOCK, s);
}

static void collect(struct work *w)
{
        struct travellers t;
        size_t files = 0;
        unsigned emptied = 0;

        if (!socket_state())
                return;
        lock(LOCK_SOCKETS, SCM_KEY);
        for (struct skb *b = socket_state()->flight; b; b = b->flight_next)
                files += b->nfiles;
        if (!files)
                return;
        for (t.size = 16; t.size < 2 * files; t.size *= 2)
                ;
        t.slot = kzalloc(t.size * sizeof(*t.slot));
        if (!t.slot)
                return; /* the next close tries again */
        section_on_abandon(kfree, t.slot);
        for (struct skb *b = socket_state()->flight; b; b = b->flight_next)
                for (uint32_t i = 0; i < b->nfiles; i++)
                        if (b->files[i]->ops_type == FILE_SOCKET)
                                find(&t, file_sock(b->files[i]), true)->messages++;
        for (size_t i = 0; i < t.size; i++)
                if (t.slot[i].sock) {
                        struct file *f = t.slot[i].sock->file;

                        t.slot[i].alive = !f || f->obj.refs > t.slot[i].messages;
                }
        while (mark(&t))
                ;
        section_undo_forget(t.slot);
        for (size_t i = 0; i < t.size && emptied < EMPTIED_MAX; i++) {
                struct sock *s = t.slot[i].sock;

                if (!s || t.slot[i].alive || (!s->head && !s->accept_head))
                        continue;
                section_changes();
                empty(s);
                emptied++;
        }
        kfree(t.slot);
        if (emptied == EMPTIED_MAX)
                work_queue(w);
}

/* For the reference checker: files that messages hold. */
static void report(void *object, void *arg)
{
        const struct space_visitor *v = arg;
        struct skb *b = object;

        for (uint32_t i = 0; i < b->nfiles; i++)
                v->object(b->files[i]);
}

static void walk(const struct space_visitor *v)
{
        space_each(TYPE_SKB, report, (void *)(uintptr_t)v);
}

void socket_boot(void)
{
        space_ref_walker_register(walk, 0);
        if (posix_root() && socket_state() && socket_state()->nflight)
                collect_later();
}
