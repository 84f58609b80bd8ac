/*
 * pipe.c - pipes: a ring of pages. Readers and writers wait with CONDITION; what they wait for is looked at again under LOCK_PIPE.
 *
 * Bytes move once: from the writer's memory into the pipe's page and from there into the reader's. A reader's copy is made before the change
 * (bytes copied out but not consumed are no change). A writer's small copy goes through the stack; a big one is probed page by page
 * before the change, then copied straight into the pages after it, where it may stop short (another thread unmapped the source) and
 * then publishes what it has.
 *
 * An empty ring starts again at slot 0, and slots keep their pages: a pipe that carries small messages to and fro uses one page for ever
 * and dirties two (that page and the struct) per epoch, whatever it carries.
 *
 * Lock order: LOCK_FDTABLE, LOCK_INODE (which guards inode->priv), LOCK_PIPE.
 */
#include "posix/pipe/pipe_internal.h"
#include "posix/include/poll.h"
#include "posix/include/process.h"
#include <asm/ioctls.h>
#include <linux/limits.h>

#define SMALL_COPY 512u

struct pipe *pipe_new(void)
{
        struct pipe *p = object_new(TYPE_PIPE);

        p->nslots = PIPE_SLOTS_DEFAULT;
        return p;
}

/* Last reference gone: no file, no inode. Its pages go in pieces. */
static bool pipe_release(void *object)
{
        struct pipe *p = object;
        struct pipe_slot *ring = p->ring ? p->ring : p->slot;
        unsigned freed = 0;

        section_changes();
        for (uint32_t i = 0; i < p->nslots; i++) {
                if (!ring[i].page)
                        continue;
                if (freed++ == 32)
                        return true;
                space_page_unref(ring[i].page);
                ring[i].page = 0;
        }
        space_free_bytes(p->ring);
        space_free(p);
        return false;
}

void pipe_pop(struct pipe *p)
{
        struct pipe_slot *s = pipe_slot(p, 0);

        if ((s->flags & PIPE_SLOT_SHARED) || p->ring) {
                space_page_unref(s->page);
                s->page = 0;
        }
        s->off = s->len = s->flags = 0;
        p->head = (p->head + 1) & (p->nslots - 1);
        if (--p->count == 0)
                p->head = 0;
}

/* n bytes from the front; a packet that is touched goes whole. */
void pipe_consume(struct pipe *p, size_t n)
{
        while (n) {
                struct pipe_slot *s = pipe_slot(p, 0);
                uint16_t k = (uint16_t)MIN(n, (size_t)s->len);

                n -= k;
                p->len -= s->flags & PIPE_SLOT_PACKET ? s->len : k;
                s->off += k;
                s->len = s->flags & PIPE_SLOT_PACKET ? 0 : s->len - k;
                if (s->len == 0)
                        pipe_pop(p);
        }
}

/* Copies from the front to the user, moving the (volatile) io along; consumes nothing. Stops at the end of a packet. */
static size_t copy_front(struct pipe *p, struct user_io *io)
{
        size_t done = 0, budget = MIN(io->len, PIECE_MAX);

        for (uint32_t i = 0; i < p->count && budget; i++) {
                struct pipe_slot *s = pipe_slot(p, i);
                size_t want = MIN((size_t)s->len, budget), n;

                if (i && (s->flags & PIPE_SLOT_PACKET))
                        break;
                n = io_copy_out(io, (char *)space_page(s->page) + s->off, want);
                io_advance(io, n);
                done += n;
                budget -= n;
                if (n < want || (s->flags & PIPE_SLOT_PACKET))
                        break;
        }
        return done;
}

static long pipe_read(struct call *c, struct file *f)
{
        struct pipe *p = file_pipe(f);
        bool was_full, packet;
        size_t n;

        if (c->io.len == 0)
                return c->io.done;
        lock(LOCK_PIPE, p);
        if (p->count == 0) {
                if (c->io.done || p->nwriters == 0)
                        return c->io.done;
                if (f->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &p->len, INTERRUPTIBLE, NO_DEADLINE);
        }
        packet = pipe_slot(p, 0)->flags & PIPE_SLOT_PACKET;
        n = copy_front(p, &c->io);
        if (n == 0)
                return user_fault(c);
        was_full = pipe_full(p);
        changes(c);
        pipe_consume(p, n);
        if (was_full && !pipe_full(p))
                wake(&p->space);
        if (c->io.len && p->count && !packet)
                return CALL_AGAIN;
        return c->io.done;
}

/*
 * How many of `want` bytes may go in now. Up to PIPE_BUF it is all or nothing, in one slot; a packet always takes a fresh one.
 * *merge: so many of them go to the end of the last slot.
 */
static size_t room_for(struct pipe *p, size_t want, bool packet, size_t *merge)
{
        uint32_t free = p->nslots - p->count;
        struct pipe_slot *last = p->count ? pipe_slot(p, p->count - 1) : NULL;
        size_t tail = last && !last->flags && !packet ? PAGE_SIZE - last->off - last->len : 0;

        *merge = 0;
        if (want <= PIPE_BUF) {
                if (want <= tail)
                        *merge = want;
                return *merge || free ? want : 0;
        }
        want = MIN(want, MIN(tail + free * PAGE_SIZE, PIECE_MAX));
        *merge = MIN(want, tail);
        return want;
}

/* n bytes into the ring, which has room; bytes of `small` or, when it is NULL, the user's. Returns how many there were. */
static size_t fill(struct pipe *p, struct user_io *io, const char *small, size_t n, size_t merge, bool packet)
{
        size_t done = 0;

        while (done < n) {
                struct pipe_slot *s;
                size_t want, got;
                char *to;

                if (done < merge) {
                        s = pipe_slot(p, p->count - 1);
                        want = merge;
                } else {
                        s = pipe_slot(p, p->count);
                        want = MIN(n - done, PAGE_SIZE);
                        if (!s->page)
                                s->page = space_page_alloc(PAGE_ANON);
                }
                to = (char *)space_page(s->page) + s->off + s->len;
                if (small) {
                        __builtin_memcpy(to, small + done, want);
                        got = want;
                } else {
                        got = io_copy_in(io, to, want);
                }
                if (got && done >= merge) {
                        p->count++;
                        s->flags = packet ? PIPE_SLOT_PACKET : 0;
                }
                s->len += (uint16_t)got;
                p->len += got;
                io_advance(io, got);
                done += got;
                if (got < want)
                        break;
        }
        return done;
}

/* Before the change: pages the fill will need anew; touches those that are there. */
static unsigned pages_missing(struct pipe *p, size_t n, size_t merge)
{
        unsigned missing = 0;
        uint32_t at = p->count;

        if (merge)
                (void)READ_ONCE(*(char *)space_page(pipe_slot(p, at - 1)->page));
        for (n -= merge; n; n -= MIN(n, PAGE_SIZE), at++) {
                struct pipe_slot *s = pipe_slot(p, at);

                if (s->page)
                        (void)READ_ONCE(*(char *)space_page(s->page));
                else
                        missing++;
        }
        return missing;
}

static long write_no_room(struct call *c, struct file *f, struct pipe *p)
{
        if (f->flags & O_NONBLOCK)
                return c->io.done ? (long)c->io.done : -EAGAIN;
        if (c->why != WHY_RUN)
                return call_interrupted(c);
        return call_wait(c, CONDITION, &p->space, INTERRUPTIBLE, NO_DEADLINE);
}

static long pipe_write(struct call *c, struct file *f)
{
        struct pipe *p = file_pipe(f);
        bool packet = f->flags & O_DIRECT;
        char small[SMALL_COPY];
        size_t n, merge;
        unsigned missing;

        if (c->io.len == 0)
                return c->io.done;
        lock(LOCK_PIPE, p);
        if (p->nreaders == 0) {
                changes(c);
                signal_send_thread(thread_current(), SIGPIPE, NULL);
                return c->io.done ? (long)c->io.done : -EPIPE;
        }
        n = room_for(p, packet ? MIN(c->io.len, (size_t)PIPE_BUF) : c->io.len, packet, &merge);
        if (n == 0)
                return write_no_room(c, f, p);
        missing = pages_missing(p, n, merge);
        if (n <= SMALL_COPY) {
                if (io_copy_in(&c->io, small, n) != n)
                        return user_fault(c);
        } else if (!io_probe_in(&c->io, n)) {
                return user_fault(c);
        }
        if (missing && !space_room(missing))
                return c->io.done ? (long)c->io.done : -ENOMEM;
        changes(c);
        n = fill(p, &c->io, n <= SMALL_COPY ? small : NULL, n, merge, packet);
        if (n == 0)
                return CALL_AGAIN; /* unmapped since the probe: the next run will say so */
        wake(&p->len);
        if (c->io.len == 0)
                return c->io.done;
        if (room_for(p, packet ? MIN(c->io.len, (size_t)PIPE_BUF) : c->io.len, packet, &merge))
                return CALL_AGAIN;
        return write_no_room(c, f, p);
}

static uint32_t pipe_poll(struct file *f, struct poll_table *pt)
{
        struct pipe *p = file_pipe(f);
        uint32_t ready = 0;

        if (f->mode & FMODE_READ) {
                poll_register(pt, &p->len);
                if (READ_ONCE(p->count))
                        ready |= EPOLLIN | EPOLLRDNORM;
                if (READ_ONCE(p->nwriters) == 0 && f->aux[0] != p->w_opens + 1ul)
                        ready |= EPOLLHUP;
        }
        if (f->mode & FMODE_WRITE) {
                poll_register(pt, &p->space);
                if (!pipe_full(p))
                        ready |= EPOLLOUT | EPOLLWRNORM;
                if (READ_ONCE(p->nreaders) == 0)
                        ready |= EPOLLERR;
        }
        return ready;
}

static long pipe_ioctl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        int len;

        if (cmd != FIONREAD)
                return -ENOTTY;
        len = (int)file_pipe(f)->len;
        return copy_out(c, arg, &len, sizeof(len)) ? 0 : user_fault(c);
}

void pipe_end_add(struct pipe *p, uint32_t mode)
{
        if (mode & FMODE_READ) {
                p->nreaders++;
                p->r_opens++;
        }
        if (mode & FMODE_WRITE) {
                p->nwriters++;
                p->w_opens++;
        }
}

/* A file is gone. With the last one what was in the pipe goes too (a FIFO is empty when it is opened anew). */
void pipe_end_leave(struct file *f)
{
        struct pipe *p = file_pipe(f);
        struct inode *i = f->inode;

        section_changes();
        if (f->mode & FMODE_READ)
                p->nreaders--;
        if (f->mode & FMODE_WRITE)
                p->nwriters--;
        if (p->nreaders == 0)
                wake(&p->space);
        if (p->nwriters == 0)
                wake(&p->len);
        if (p->nreaders + p->nwriters == 0 && i->priv == &p->obj) {
                i->priv = NULL;
                object_put(p);
        }
}

static void pipe_file_release(struct file *f)
{
        struct pipe *p = file_pipe(f);

        lock(LOCK_INODE, f->inode);
        lock(LOCK_PIPE, p);
        pipe_end_leave(f);
        unlock(LOCK_PIPE, p);
        unlock(LOCK_INODE, f->inode);
}

const struct file_ops pipe_file_ops = {
        .name = "pipe",
        .read = pipe_read,
        .write = pipe_write,
        .poll = pipe_poll,
        .ioctl = pipe_ioctl,
        .release = pipe_file_release,
};

static long pipe_make(struct call *c, uint64_t user, uint64_t flags)
{
        struct inode *i;
        struct pipe *p;
        struct file *r, *w;
        int fd[2];

        if (flags & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
                return -EINVAL;
        for (int k = 0; k < 2; k++) {
                fd[k] = k ? fd_reserve_next(c, fd[0]) : fd_reserve(c, 0);
                if (fd[k] < 0)
                        return fd[k];
        }
        if (!copy_out(c, user, fd, sizeof(fd)))
                return user_fault(c);
        if (!space_room(4))
                return -ENFILE;
        changes(c);
        i = inode_anonymous(S_IFIFO | 0600, "pipe");
        p = pipe_new();
        r = file_new(FILE_PIPE, FMODE_READ, O_RDONLY | (flags & (O_NONBLOCK | O_DIRECT)), i, p);
        w = file_new(FILE_PIPE, FMODE_WRITE, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)), i, p);
        pipe_end_add(p, FMODE_READ);
        pipe_end_add(p, FMODE_WRITE);
        i->priv = &p->obj; /* takes the reference: /proc/self/fd opens it by the inode */
        object_put(i);
        fd_install(c, fd[0], r, flags & O_CLOEXEC);
        fd_install(c, fd[1], w, flags & O_CLOEXEC);
        return 0;
}

long sys_pipe(struct call *c)
{
        return pipe_make(c, c->arg[0], 0);
}

long sys_pipe2(struct call *c)
{
        return pipe_make(c, c->arg[0], c->arg[1]);
}

/* The ring becomes a byte block of nslots, contents moved to its front. Spare pages go. */
static void resize(struct pipe *p, uint32_t nslots)
{
        struct pipe_slot *to = space_alloc_bytes(nslots * sizeof(*to));
        struct pipe_slot *from = p->ring ? p->ring : p->slot;

        for (uint32_t k = 0; k < p->nslots; k++) {
                struct pipe_slot *s = &from[(p->head + k) & (p->nslots - 1)];

                if (k < p->count)
                        to[k] = *s;
                else if (s->page)
                        space_page_unref(s->page);
                *s = (struct pipe_slot){0};
        }
        space_free_bytes(p->ring);
        p->ring = to;
        p->nslots = nslots;
        p->head = 0;
}

long pipe_fcntl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        struct pipe *p = file_pipe(f);
        uint32_t nslots = 1;

        if (f->ops_type != FILE_PIPE && f->ops_type != FILE_FIFO)
                return -EBADF;
        lock(LOCK_PIPE, p);
        if (cmd == F_GETPIPE_SZ)
                return p->nslots * PAGE_SIZE;
        if ((uint32_t)arg > 1u << 31 || arg == 0)
                return -EINVAL;
        while (nslots * PAGE_SIZE < (uint32_t)arg)
                nslots *= 2;
        if (nslots > PIPE_SLOTS_MAX) /* beyond it Linux asks for CAP_SYS_RESOURCE; here it is the end */
                return capable(CAP_SYS_RESOURCE) ? -ENOMEM : -EPERM;
        if (nslots < p->count)
                return -EBUSY;
        if (nslots == p->nslots)
                return nslots * PAGE_SIZE;
        if (!space_room(1))
                return -ENOMEM;
        changes(c);
        resize(p, nslots);
        wake(&p->space);
        return nslots * PAGE_SIZE;
}

static const struct space_field pipe_fields[] = {
        {offsetof(struct pipe, ring), FIELD_OWN, 1},
        {0, 0, 0},
};
static void visit(void *object, void *arg)
{
        const struct space_visitor *v = arg;
        struct pipe *p = object;

        for (uint32_t i = 0; i < p->nslots; i++) {
                struct pipe_slot *s = pipe_slot(p, i);

                if (s->page)
                        v->page(s->page);
        }
}

static void walk(const struct space_visitor *v)
{
        space_each(TYPE_PIPE, visit, (void *)(uintptr_t)v);
}

void pipe_boot(void)
{
        space_ref_walker_register(walk, 0);
}

const struct posix_type pipe_types[] = {
        {TYPE_PIPE, {"pipe", sizeof(struct pipe), 1, SPACE_OBJECT, pipe_fields}, pipe_release},
        {0},
};
