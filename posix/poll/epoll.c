/*
 * epoll.c - interest lists. Persistent: the sets, their items, and which items are on the ready list. Volatile: the entries in the sleep queues through
 * which wakers find the items (watch.h), made anew at boot.
 *
 * The ready list: a waker puts an item on it (item_notify), epoll_wait takes it off when it finds nothing ready there. Level-triggered items that
 * are ready stay, so that reporting them changes nothing; an edge-triggered item leaves with its report, and comes back by the next wake only:
 * its place on the list *is* the edge. A one-shot item that was reported has events 0 until EPOLL_CTL_MOD.
 *
 * LOCK_EPOLL is one word for all sets, of nearly the last rank: wakers hold what they hold. It is not held while a set's own sleepers are woken,
 * which may be a set again. Poll functions take no lock, so they are called with it held.
 */
#include "posix/poll/mask.h"
#include "posix/poll/watch.h"
#include "posix/poll/epoll.h"
#include "posix/include/process.h"
#include "kernel/include/log.h"
#include <linux/fcntl.h>

static const char epoll_word[1];
#define EPOLL_LOCK_KEY ((const void *)epoll_word)
#define PRIVATE_BITS   ((uint32_t)(EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE))
#define REPORT_MAX     128u /* events a section copies out */
#define CHANGES_MAX    40u  /* items a section changes: each may stand in a page of its own */

static void epoll_lock(void)
{
        lock(LOCK_EPOLL, EPOLL_LOCK_KEY);
}
static void epoll_unlock(void)
{
        unlock(LOCK_EPOLL, EPOLL_LOCK_KEY);
}

/* ---- ready list ---- */

static void ready_add(struct epitem *i)
{
        struct epoll *e = i->set;

        i->on_ready = 1;
        i->ready_next = NULL;
        i->ready_prev = e->ready_last;
        if (e->ready_last)
                e->ready_last->ready_next = i;
        else
                e->ready = i;
        e->ready_last = i;
        e->nready++;
}

static void ready_remove(struct epitem *i)
{
        struct epoll *e = i->set;

        if (i->ready_prev)
                i->ready_prev->ready_next = i->ready_next;
        else
                e->ready = i->ready_next;
        if (i->ready_next)
                i->ready_next->ready_prev = i->ready_prev;
        else
                e->ready_last = i->ready_prev;
        i->ready_next = i->ready_prev = NULL;
        i->on_ready = 0;
        e->nready--;
}

/* Called by wake(), in the waker's section, after its change. */
static void item_notify(struct waiter *w)
{
        struct watch *watch = w->arg;
        struct epitem *i;
        struct epoll *e;

        epoll_lock();
        i = READ_ONCE(watch->object);
        e = i && i->events & ~PRIVATE_BITS ? i->set : NULL;
        if (e && !i->on_ready)
                ready_add(i);
        epoll_unlock();
        if (e)
                wake(&e->ready);
}

/* ---- looking ---- */

static uint32_t item_look(struct epitem *i)
{
        struct poll_table pt = {.events = i->events | POLL_ALWAYS};

        return file_poll(i->file, &pt) & i->events;
}

static void add_watch_key(struct poll_table *pt, const void *key)
{
        struct watch *watch = pt->watch;
        struct waiter *w;

        if (watch->nwaiters == WATCH_KEYS) {
                pt->error = -ENOMEM;
                return;
        }
        w = &watch->waiter[watch->nwaiters++];
        *w = (struct waiter){.notify = item_notify, .arg = watch};
        waiter_add(w, key);
}

/* (Re-)registers the item's keys; what is ready there now. */
static uint32_t item_register(struct epitem *i, struct watch *watch)
{
        struct poll_table pt = {.add = add_watch_key,
                                .events = i->events | POLL_ALWAYS,
                                .watch = watch,
                                .signal_key = (const void *)i->signal_key};

        for (unsigned k = 0; k < watch->nwaiters; k++)
                waiter_remove(&watch->waiter[k]);
        watch->nwaiters = 0;
        return file_poll(i->file, &pt) & i->events;
}

static uint32_t epoll_poll(struct file *f, struct poll_table *pt)
{
        struct epoll *e = (struct epoll *)f->priv;
        bool locked = lock_held(LOCK_EPOLL, EPOLL_LOCK_KEY);
        uint32_t ready = 0;

        poll_register_for(pt, &e->ready, EPOLLIN | EPOLLRDNORM);
        if (!READ_ONCE(e->ready))
                return 0;
        if (!locked)
                epoll_lock();
        for (struct epitem *i = e->ready; i && !ready; i = i->ready_next)
                if (item_look(i)) /* sets in sets: at most EPOLL_DEPTH deep */
                        ready = EPOLLIN | EPOLLRDNORM;
        if (!locked)
                epoll_unlock();
        return ready;
}

/* ---- items ---- */

static struct epitem **index_slot(struct epoll *e, uint32_t fd)
{
        uint32_t chunk = fd / EPOLL_CHUNK;

        if (chunk >= e->nchunks || !e->index[chunk])
                return NULL;
        return &e->index[chunk][fd % EPOLL_CHUNK];
}

static struct epitem *item_find(struct epoll *e, uint32_t fd, struct file *f)
{
        struct epitem **slot = index_slot(e, fd);
        struct epitem *i = slot ? *slot : NULL;

        while (i && i->file != f)
                i = i->same_fd;
        return i;
}

/* Pages the index may need for fd. */
static unsigned index_cost(struct epoll *e, uint32_t fd)
{
        uint32_t chunk = fd / EPOLL_CHUNK;

        return 1 + (chunk >= e->nchunks ? (unsigned)(chunk / (PAGE_SIZE / 16)) + 2 : 0);
}

static struct epitem **index_make(struct epoll *e, uint32_t fd)
{
        uint32_t chunk = fd / EPOLL_CHUNK;

        if (chunk >= e->nchunks) {
                uint32_t n = e->nchunks ? e->nchunks : 4;
                struct epitem ***bigger;

                while (n <= chunk)
                        n *= 2;
                bigger = space_alloc_bytes(n * sizeof(*bigger));
                if (e->nchunks)
                        __builtin_memcpy(bigger, e->index, e->nchunks * sizeof(*bigger));
                space_free_bytes(e->index);
                e->index = bigger;
                e->nchunks = n;
        }
        if (!e->index[chunk])
                e->index[chunk] = space_alloc_bytes(EPOLL_CHUNK * sizeof(struct epitem *));
        return &e->index[chunk][fd % EPOLL_CHUNK];
}

static void item_remove(struct epitem *i)
{
        struct epitem **p = index_slot(i->set, i->fd);
        struct watch *w = watch_find(i);

        if (w) {
                for (unsigned k = 0; k < w->nwaiters; k++)
                        waiter_remove(&w->waiter[k]);
                watch_free(w);
        }
        while (*p != i)
                p = &(*p)->same_fd;
        *p = i->same_fd;
        if (i->file_prev)
                i->file_prev->file_next = i->file_next;
        else
                i->file->epoll_items = i->file_next;
        if (i->file_next)
                i->file_next->file_prev = i->file_prev;
        if (i->on_ready)
                ready_remove(i);
        i->set->nitems--;
        space_free(i);
}

bool epoll_file_gone(struct file *f)
{
        unsigned n = 0;

        if (!f->epoll_items)
                return false;
        epoll_lock();
        while (f->epoll_items && n++ < 32)
                item_remove(f->epoll_items);
        epoll_unlock();
        return f->epoll_items != NULL;
}

bool epoll_release(void *object)
{
        struct epoll *e = object;
        unsigned n = 0;

        epoll_lock();
        section_changes();
        for (; e->releasing < e->nchunks; e->releasing++) {
                struct epitem **chunk = e->index[e->releasing];

                for (unsigned k = 0; chunk && k < EPOLL_CHUNK; k++)
                        while (chunk[k]) {
                                if (n++ == 32) {
                                        epoll_unlock();
                                        return true;
                                }
                                item_remove(chunk[k]);
                        }
                space_free_bytes(chunk);
                e->index[e->releasing] = NULL;
        }
        epoll_unlock();
        space_free_bytes(e->index);
        space_free(e);
        return false;
}

/* ---- sets in sets ---- */

/* Sets below e, e included; more than EPOLL_DEPTH when e reaches `stop`. */
static unsigned depth_below(struct epoll *e, struct epoll *stop, unsigned limit)
{
        unsigned deepest = 0;

        if (e == stop || !limit)
                return EPOLL_DEPTH + 1;
        for (uint32_t c = 0; c < e->nchunks; c++)
                for (unsigned k = 0; e->index[c] && k < EPOLL_CHUNK; k++)
                        for (struct epitem *i = e->index[c][k]; i; i = i->same_fd)
                                if (i->file->ops_type == FILE_EPOLL)
                                        deepest = MAX(deepest,
                                                      depth_below((struct epoll *)i->file->priv, stop, limit - 1));
        return deepest + 1;
}

static unsigned depth_above(struct epoll *e, unsigned limit)
{
        unsigned highest = 0;

        if (!limit)
                return EPOLL_DEPTH + 1;
        for (struct epitem *i = e->file->epoll_items; i; i = i->file_next)
                highest = MAX(highest, depth_above(i->set, limit - 1));
        return highest + 1;
}

static bool too_deep(struct epoll *e, struct epoll *inner)
{
        return depth_below(inner, e, EPOLL_DEPTH) + depth_above(e, EPOLL_DEPTH) > EPOLL_DEPTH;
}

/* ---- calls ---- */

static long epoll_make(struct call *c, uint64_t flags)
{
        struct inode *i;
        struct epoll *e;
        struct file *f;
        int fd;

        if (flags & ~(uint64_t)O_CLOEXEC)
                return -EINVAL;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        if (!space_room(3))
                return -ENOMEM;
        changes(c);
        e = object_new(TYPE_EPOLL);
        i = inode_anonymous(0600, "[eventpoll]");
        f = file_new(FILE_EPOLL, FMODE_READ | FMODE_WRITE, O_RDWR, i, e);
        e->file = f;
        object_put(e);
        object_put(i);
        fd_install(c, fd, f, flags & O_CLOEXEC);
        return fd;
}

long sys_epoll_create(struct call *c)
{
        return (int)c->arg[0] <= 0 ? -EINVAL : epoll_make(c, 0);
}

long sys_epoll_create1(struct call *c)
{
        return epoll_make(c, c->arg[0]);
}

static long ctl_add(struct call *c, struct epoll *e, struct file *f, const struct epoll_event *ev)
{
        uint32_t fd = (uint32_t)c->arg[2];
        struct epitem *i, **slot;
        bool ready;
        int r;

        if (item_find(e, fd, f))
                return -EEXIST;
        if (f->ops_type == FILE_EPOLL && too_deep(e, (struct epoll *)f->priv))
                return -ELOOP;
        r = watch_reserve();
        if (r < 0)
                return r;
        if (!space_room(1 + index_cost(e, fd)))
                return -ENOMEM;
        changes(c);
        i = space_alloc(TYPE_EPITEM);
        i->set = e;
        i->file = f;
        i->fd = fd;
        i->events = ev->events | POLL_ALWAYS;
        i->data = ev->data;
        if (f->ops_type == FILE_SIGNALFD)
                i->signal_key = (uint64_t)signal_key(c->thread->proc);
        slot = index_make(e, fd);
        i->same_fd = *slot;
        *slot = i;
        i->file_next = f->epoll_items;
        if (i->file_next)
                i->file_next->file_prev = i;
        f->epoll_items = i;
        e->nitems++;
        ready = item_register(i, watch_new(i)) != 0;
        if (ready && !i->on_ready)
                ready_add(i);
        epoll_unlock();
        if (ready)
                wake(&e->ready);
        return 0;
}

static long ctl_mod(struct call *c, struct epoll *e, struct epitem *i, const struct epoll_event *ev)
{
        struct watch *w = watch_find(i);
        bool ready;

        if ((i->events | ev->events) & EPOLLEXCLUSIVE)
                return -EINVAL;
        changes(c);
        i->events = ev->events | POLL_ALWAYS;
        i->data = ev->data;
        ready = item_register(i, w) != 0;
        if (ready && !i->on_ready)
                ready_add(i);
        epoll_unlock();
        if (ready)
                wake(&e->ready);
        return 0;
}

long sys_epoll_ctl(struct call *c)
{
        struct file *set = fd_lookup_io(c, c->arg[0]), *f;
        unsigned op = (unsigned)c->arg[1];
        struct epoll_event ev = {0};
        struct epitem *i;
        struct epoll *e;

        if (op != EPOLL_CTL_DEL && !copy_in(c, &ev, c->arg[3], sizeof(ev)))
                return user_fault(c);
        if (!set)
                return -EBADF;
        f = fd_lookup_io(c, c->arg[2]);
        if (!f)
                return -EBADF;
        if (!file_ops(f)->poll)
                return -EPERM;
        if (set == f || set->ops_type != FILE_EPOLL)
                return -EINVAL;
        ev.events &= ~(uint32_t)EPOLLWAKEUP; /* there is no system suspend to hold up */
        if (op != EPOLL_CTL_DEL && ev.events & EPOLLEXCLUSIVE) {
                if (op == EPOLL_CTL_MOD || f->ops_type == FILE_EPOLL ||
                    ev.events & ~(uint32_t)(EPOLLEXCLUSIVE | EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP |
                                            EPOLLET))
                        return -EINVAL;
        }
        e = (struct epoll *)set->priv;
        epoll_lock();
        if (op == EPOLL_CTL_ADD)
                return ctl_add(c, e, f, &ev);
        i = item_find(e, (uint32_t)c->arg[2], f);
        if (op != EPOLL_CTL_DEL && op != EPOLL_CTL_MOD)
                return -EINVAL;
        if (!i)
                return -ENOENT;
        if (op == EPOLL_CTL_MOD)
                return ctl_mod(c, e, i, &ev);
        changes(c);
        item_remove(i);
        return 0;
}

struct epoll_state {
        struct poll_wait w;
        uint32_t max;
};

/*
 * Looks at the ready list. Copies out up to `max` events, then (after the change) takes off what was not ready and what was an edge, and
 * disarms one-shots. Events reported, 0, or user_fault's result. LOCK_EPOLL is held.
 */
static long collect(struct call *c, struct epoll *e, uint32_t max)
{
        struct epoll_event out[REPORT_MAX];
        struct epitem *gone[CHANGES_MAX], *i;
        uint64_t reported = 0; /* bit k: gone[k] */
        unsigned n = 0, ngone = 0;

        max = MIN(max, REPORT_MAX);
        for (i = e->ready; i && n < max && ngone < CHANGES_MAX; i = i->ready_next) {
                uint32_t ready = i->events & ~PRIVATE_BITS ? item_look(i) : 0;

                if (ready)
                        out[n++] = (struct epoll_event){.events = ready, .data = i->data};
                if (ready && !(i->events & (EPOLLET | EPOLLONESHOT)))
                        continue;
                reported |= (uint64_t)(ready != 0) << ngone;
                gone[ngone++] = i;
        }
        if (n && !copy_out(c, c->arg[1], out, n * sizeof(out[0])))
                return user_fault(c);
        if (ngone || i)
                changes(c);
        for (unsigned k = 0; k < ngone; k++) {
                ready_remove(gone[k]);
                if (reported >> k & 1 && gone[k]->events & EPOLLONESHOT)
                        gone[k]->events &= PRIVATE_BITS;
        }
        if (i && i != e->ready) {
                /* Not all were looked at: the list goes on with those, so that all have their turn. */
                e->ready_last->ready_next = e->ready;
                e->ready->ready_prev = e->ready_last;
                e->ready_last = i->ready_prev;
                e->ready_last->ready_next = NULL;
                e->ready = i;
                i->ready_prev = NULL;
        }
        return n;
}

static long epoll_wait_decode(struct call *c)
{
        struct epoll_state *st = call_state(c, struct epoll_state);
        int max = (int)c->arg[2];

        if (max <= 0 || (size_t)max > 0x7fffffff / sizeof(struct epoll_event))
                return -EINVAL;
        if (c->arg[1] >= USER_TOP)
                return -EFAULT;
        c->file = fd_lookup_io(c, c->arg[0]);
        if (!c->file)
                return -EBADF;
        if (c->file->ops_type != FILE_EPOLL)
                return -EINVAL;
        st->max = (uint32_t)max;
        c->stage = 1;
        return 0;
}

static long epoll_wait_run(struct call *c)
{
        struct epoll_state *st = call_state(c, struct epoll_state);
        struct epoll *e = (struct epoll *)c->file->priv;
        long n;

        if (READ_ONCE(e->ready)) {
                epoll_lock();
                n = collect(c, e, st->max);
                if (n)
                        return n;
                epoll_unlock();
        }
        if (st->w.immediate || c->why == WHY_DEADLINE)
                return 0;
        if (c->why != WHY_RUN || wait_mask_install(c, &st->w))
                return call_interrupted(c);
        epoll_lock();
        if (e->ready)
                return CALL_AGAIN; /* came since the look, or the look stopped at its limit of changes */
        return call_wait(c, CONDITION, &e->ready, INTERRUPTIBLE, c->deadline);
}

static long epoll_wait_ms(struct call *c, bool masked)
{
        struct epoll_state *st = call_state(c, struct epoll_state);
        int timeout_ms = (int)c->arg[3];
        long r;

        if (c->stage == 0) {
                st->w = (struct poll_wait){0};
                if (timeout_ms >= 0)
                        wait_timeout_ns(c, &st->w, (uint64_t)timeout_ms * 1000000);
                r = masked ? wait_mask_decode(c, &st->w, c->arg[4], c->arg[5]) : 0;
                if (!r)
                        r = epoll_wait_decode(c);
                if (r)
                        return r;
        }
        return epoll_wait_run(c);
}

long sys_epoll_wait(struct call *c)
{
        return epoll_wait_ms(c, false);
}

long sys_epoll_pwait(struct call *c)
{
        return epoll_wait_ms(c, true);
}

long sys_epoll_pwait2(struct call *c)
{
        struct epoll_state *st = call_state(c, struct epoll_state);
        long r;

        if (c->stage == 0) {
                r = wait_timespec_decode(c, &st->w, c->arg[3]);
                if (!r)
                        r = wait_mask_decode(c, &st->w, c->arg[4], c->arg[5]);
                if (!r)
                        r = epoll_wait_decode(c);
                if (r)
                        return r;
        }
        return epoll_wait_run(c);
}

void epoll_forget(void)
{
        watch_forget();
}

/* ---- recovery: items stand in the queues of what they watch again ---- */

static void no_retry(void *arg)
{
        panic("a page is absent in recovery (%p)", arg);
}

static void item_boot(void *object, void *arg)
{
        struct epitem *i = object;
        int *error = arg;

        if (watch_reserve() < 0) {
                *error = -ENOMEM;
                return;
        }
        section_begin(no_retry, NULL); /* poll functions take locks */
        item_register(i, watch_new(i));
        section_end();
}

int epoll_boot(void)
{
        int error = 0;

        space_each(TYPE_EPITEM, item_boot, &error);
        return error;
}

const struct file_ops epoll_file_ops = {
        .name = "[eventpoll]",
        .poll = epoll_poll,
};
