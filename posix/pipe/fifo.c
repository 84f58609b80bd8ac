/*
 * fifo.c - opening FIFOs: each side waits for the other. The opener counts as a reader or writer while it waits (its partner must find it), so
 * the file is made first and belongs to the call's record; a call that ends without success drops it, and with it its end.
 */
#include "posix/pipe/pipe_internal.h"

struct fifo_state {
        uint32_t reader_seen, writer_seen;
        uint8_t cloexec;
};
#define FIFO_FILE 3 /* objects[] index that holds the file while we wait */

static uint32_t mode_of(uint32_t flags)
{
        switch (flags & O_ACCMODE) {
        case O_RDONLY:
                return FMODE_READ;
        case O_WRONLY:
                return FMODE_WRITE;
        default:
                return FMODE_READ | FMODE_WRITE;
        }
}

static bool partner_missing(struct pipe *p, uint32_t mode)
{
        if (mode == FMODE_READ)
                return p->nwriters == 0;
        return mode == FMODE_WRITE && p->nreaders == 0;
}

static long wait_for_partner(struct call *c, struct pipe *p, uint32_t mode)
{
        return call_wait(c, CONDITION, mode == FMODE_READ ? &p->w_opens : &p->r_opens, INTERRUPTIBLE, NO_DEADLINE);
}

long fifo_open(struct call *c, struct inode *i, uint32_t flags)
{
        struct fifo_state *st = call_state(c, struct fifo_state);
        uint32_t mode = mode_of(flags);
        struct pipe *p;
        struct file *f;
        bool wait;
        int fd = fd_reserve(c, 0);

        if (fd < 0)
                return fd;
        lock(LOCK_INODE, i);
        p = (struct pipe *)i->priv;
        if (p)
                lock(LOCK_PIPE, p);
        if (mode == FMODE_WRITE && (flags & O_NONBLOCK) && (!p || p->nreaders == 0))
                return -ENXIO;
        if (!space_room(4))
                return -ENOMEM;
        changes(c);
        if (!p) {
                p = pipe_new();
                i->priv = &p->obj;
                lock(LOCK_PIPE, p);
        }
        f = file_new(FILE_FIFO, mode, flags & ~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC), i, p);
        pipe_end_add(p, mode);
        wake(mode & FMODE_READ ? &p->r_opens : &p->w_opens);
        if (mode == (FMODE_READ | FMODE_WRITE))
                wake(&p->w_opens);
        wait = partner_missing(p, mode) && !(flags & O_NONBLOCK);
        if (!wait) {
                if (mode == FMODE_READ && p->nwriters == 0)
                        f->aux[0] = p->w_opens + 1ul; /* no hang-up before a first writer has come */
                fd_install(c, fd, f, flags & O_CLOEXEC);
                return fd;
        }
        c->stage = STAGE_SPECIAL_OPEN;
        c->objects[FIFO_FILE] = &f->obj;
        c->counted |= 1u << FIFO_FILE; /* the file's one reference is the call's */
        *st = (struct fifo_state){
                .reader_seen = p->r_opens, .writer_seen = p->w_opens, .cloexec = !!(flags & O_CLOEXEC)};
        return wait_for_partner(c, p, mode);
}

long special_open_more(struct call *c)
{
        struct fifo_state *st = call_state(c, struct fifo_state);
        struct file *f = (struct file *)c->objects[FIFO_FILE];
        struct pipe *p = file_pipe(f);
        bool came;
        int fd = fd_reserve(c, 0);

        lock(LOCK_INODE, f->inode);
        lock(LOCK_PIPE, p);
        came = (f->mode & FMODE_READ) ? p->w_opens != st->writer_seen : p->r_opens != st->reader_seen;
        if (fd >= 0 && !came && c->why == WHY_RUN)
                return wait_for_partner(c, p, f->mode);
        if (fd < 0 || !came) { /* nobody is to find it waiting from here on */
                object_touch(&f->obj);
                pipe_end_leave(f);
                f->mode = 0; /* its release takes nothing back */
                return fd < 0 ? fd : call_interrupted(c);
        }
        changes(c);
        object_get(f);
        fd_install(c, fd, f, st->cloexec);
        return fd;
}
