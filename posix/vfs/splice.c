/*
 * splice.c - data from one descriptor to another without a detour through user memory: sendfile, copy_file_range, splice, tee, vmsplice.
 *
 * The source lends its bytes as vectors of kernel addresses (pages of the space, good to the section's end), and the target's own write operation takes them. So every
 * kind of target works, with its own waits and signals. Nothing is held between sections but counters: what the target took (io.done) is accounted for
 * first thing in the next run, which then makes the vectors anew.
 * A pipe as source gives up the bytes in the section in which a regular file took them; with other targets directly after.
 */
#include "posix/pipe/pipe_internal.h"
#include "posix/vfs/vfs_internal.h"
#include <linux/fs.h>

#define SPLICE_F_NONBLOCK 2u
#define SPLICE_F_ALL      15u

static const char zero_page[PAGE_SIZE] __attribute__((aligned(4096)));

enum pump_stage { PUMP_START, PUMP_RUN, PUMP_END, PUMP_COMMIT };
enum source { FROM_FILE, FROM_PIPE };

struct pump {
        uint64_t left, total;
        uint64_t in_pos, out_pos;   /* POS_CURRENT: the file's own */
        uint64_t in_user, out_user; /* where positions go in the end; 0: to the file, or nowhere */
        uint8_t source, move_in_pos;
        uint8_t nonblock;
        int32_t result; /* of the end: an error, when nothing was moved */
};

static long pump_end(struct call *c, struct pump *st)
{
        struct file *in = c->file;

        c->stage = PUMP_END;
        c->io.done = 0;
        if (st->in_user && !copy_out(c, st->in_user, &st->in_pos, sizeof(st->in_pos)))
                return user_fault(c);
        if (st->out_user && !copy_out(c, st->out_user, &st->out_pos, sizeof(st->out_pos)))
                return user_fault(c);
        if (st->move_in_pos && st->total) {
                lock(LOCK_FILE, in);
                changes(c);
                in->pos = st->in_pos;
        }
        return st->total ? (long)st->total : st->result;
}

/* What the target took. */
static void pump_account(struct call *c, struct pump *st)
{
        uint64_t n = c->io.done;

        if (!n)
                return;
        c->io.done = 0;
        st->left -= n;
        st->total += n;
        st->in_pos += n;
        if (st->out_pos != POS_CURRENT)
                st->out_pos += n;
        if (st->source == FROM_PIPE) {
                struct pipe *p = file_pipe(c->file);
                bool was_full;

                if (!lock_held(LOCK_PIPE, p))
                        lock(LOCK_PIPE, p);
                was_full = pipe_full(p);
                changes(c);
                pipe_consume(p, n);
                if (was_full)
                        wake(&p->space);
        }
}

/* Vectors over the next bytes of a file; false: there are none. */
static bool lend_file(struct call *c, struct pump *st)
{
        struct inode *i = c->file->inode;
        struct user_io *io = &c->io;
        uint64_t pos = st->in_pos;
        size_t left;

        lock(LOCK_INODE, i);
        left = pos < i->size ? MIN(st->left, i->size - pos) : 0;
        *io = (struct user_io){.kernel = 1};
        while (left && io->nvec < IO_INLINE) {
                size_t in_page = pos & (PAGE_SIZE - 1), n = MIN(left, PAGE_SIZE - in_page);
                ppn_t page = ptree_lookup(&i->data, pos >> PAGE_SHIFT);
                const char *base = page ? space_page(page) : zero_page;

                (void)*(const volatile char *)base;
                io->vec[io->nvec++] = (struct user_vec){(uint64_t)base + in_page, n};
                io->len += n;
                pos += n;
                left -= n;
        }
        unlock(LOCK_INODE, i);
        return io->nvec;
}

/* The same over what stands in a pipe; LOCK_PIPE held. */
static void lend_pipe(struct call *c, struct pump *st)
{
        struct pipe *p = file_pipe(c->file);
        struct user_io *io = &c->io;
        size_t left = st->left;

        *io = (struct user_io){.kernel = 1};
        for (uint32_t k = 0; left && k < p->count && io->nvec < IO_INLINE; k++) {
                struct pipe_slot *s = pipe_slot(p, k);
                size_t n = MIN((size_t)s->len, left);
                const char *base = (char *)space_page(s->page) + s->off;

                (void)*(const volatile char *)base;
                io->vec[io->nvec++] = (struct user_vec){(uint64_t)base, n};
                io->len += n;
                left -= n;
        }
}

/* Room in a target pipe, so that the write will not wait half-way; 0: wait or -EAGAIN. */
static long pipe_target(struct call *c, struct pump *st, struct file *out, size_t *room)
{
        struct pipe *p = file_pipe(out);

        lock(LOCK_PIPE, p);
        *room = p->nreaders ? (size_t)(p->nslots - p->count) * PAGE_SIZE : ~0ul;
        if (*room) {
                unlock(LOCK_PIPE, p);
                return 0;
        }
        if (st->total)
                return 1;
        if (st->nonblock || out->flags & O_NONBLOCK)
                return -EAGAIN;
        if (c->why != WHY_RUN)
                return call_interrupted(c);
        return call_wait(c, CONDITION, &p->space, INTERRUPTIBLE, NO_DEADLINE);
}

/* The target is to be durable before its writer goes on. */
static long pump_commit(struct call *c, struct pump *st)
{
        long r = file_ops(c->file2)->fsync(c, c->file2, true);

        if (r <= CALL_WAIT)
                return r;
        if (r < 0) {
                st->total = 0;
                st->result = (int32_t)r;
        }
        c->stage = PUMP_END;
        c->io.done = 0;
        if (st->total && (st->in_user || st->out_user || st->move_in_pos))
                call_save(c); /* the end may meet a user fault: what was done must not be done again */
        section_step();
        return pump_end(c, st);
}

static long finish(struct call *c, struct pump *st, long error)
{
        st->result = (int32_t)error;
        owners_release(c, c->file2, c->file2->inode);
        if (unlikely(st->total && c->file2->flags & O_DSYNC && file_ops(c->file2)->fsync)) {
                c->pos = snapshot_epoch();
                c->io.done = 0;
                c->stage = PUMP_COMMIT;
                return pump_commit(c, st);
        }
        if (st->total &&
            (st->in_user || st->out_user)) { /* the end may meet a user fault: what was done must not be done again */
                c->stage = PUMP_END;
                c->io.done = 0;
                call_save(c);
        }
        section_step();
        return pump_end(c, st);
}

/* An empty source pipe: its end, or a wait for more. LOCK_PIPE held. */
static long wait_for_data(struct call *c, struct pump *st)
{
        struct pipe *p = file_pipe(c->file);

        if (st->total || p->nwriters == 0)
                return finish(c, st, 0);
        if (st->nonblock || c->file->flags & O_NONBLOCK)
                return finish(c, st, -EAGAIN);
        if (c->why != WHY_RUN)
                return finish(c, st, call_interrupted(c));
        return call_wait(c, CONDITION, &p->len, INTERRUPTIBLE, NO_DEADLINE);
}

/* From a pipe into a regular file: taken and given in one section, all locks by rank. */
static long pipe_to_regular(struct call *c, struct pump *st)
{
        struct file *out = c->file2;
        struct inode *i = out->inode;
        struct pipe *p = file_pipe(c->file);
        long r;

        if (st->out_pos == POS_CURRENT) {
                lock(LOCK_FILE, out);
                r = file_wait_pos(c, out);
                if (r)
                        return r;
        }
        lock(LOCK_INODE, i);
        r = inode_wait_owner(c, i);
        if (r)
                return r;
        lock(LOCK_PIPE, p);
        if (p->count == 0)
                return wait_for_data(c, st);
        lend_pipe(c, st);
        r = regular_write_locked(c, out, st->out_pos != POS_CURRENT,
                                 st->out_pos == POS_CURRENT ? out->pos : st->out_pos);
        if (r > 0)
                pump_account(c, st);
        return r;
}

static long pump_run(struct call *c)
{
        struct pump *st = call_state(c, struct pump);
        struct file *out = c->file2;
        size_t room = ~0ul;
        long r;

        if (c->stage == PUMP_END)
                return pump_end(c, st);
        if (c->stage == PUMP_COMMIT)
                return pump_commit(c, st);
        c->stage = PUMP_RUN;
        pump_account(c, st);
        if (!st->left || (st->total && (c->why == WHY_SIGNAL || c->why == WHY_KILL)))
                return finish(c, st, 0);
        if (st->source == FROM_PIPE && out->ops_type == FILE_REGULAR) {
                r = pipe_to_regular(c, st);
        } else {
                if (out->ops_type == FILE_PIPE || out->ops_type == FILE_FIFO) {
                        r = pipe_target(c, st, out, &room);
                        if (r)
                                return r == 1                              ? finish(c, st, 0)
                                       : r == CALL_WAIT || r == CALL_RETRY ? r
                                                                           : finish(c, st, r);
                }
                if (st->source == FROM_PIPE) {
                        struct pipe *p = file_pipe(c->file);

                        lock(LOCK_PIPE, p);
                        if (p->count == 0)
                                return wait_for_data(c, st);
                        lend_pipe(c, st);
                        unlock(LOCK_PIPE, p);
                } else if (!lend_file(c, st)) {
                        return finish(c, st, 0);
                }
                c->io.len = MIN(c->io.len, room);
                c->pos = st->out_pos;
                r = file_ops(out)->write ? file_ops(out)->write(c, out) : -EINVAL;
        }
        if (r <= CALL_WAIT)
                return r; /* what was taken so far stands in io.done */
        if (r > 0 && c->io.done == 0 && st->source == FROM_PIPE && out->ops_type == FILE_REGULAR)
                return st->left ? CALL_AGAIN : finish(c, st, 0);
        if (r < 0)
                return finish(c, st, r);
        c->io.done = (size_t)r;
        if (r == 0)
                return finish(c, st, 0);
        section_step();
        pump_account(c, st);
        return st->left ? CALL_AGAIN : finish(c, st, 0);
}

/* ---- the calls ------------------------------------------------------------------------------------------------------------ */

static bool is_pipe(const struct file *f)
{
        return f->ops_type == FILE_PIPE || f->ops_type == FILE_FIFO;
}

long sys_sendfile(struct call *c)
{
        struct pump *st = call_state(c, struct pump);
        struct file *in, *out;

        if (c->stage != PUMP_START)
                return pump_run(c);
        in = fd_lookup_io(c, c->arg[1]);
        out = fd_lookup_io(c, c->arg[0]);
        if (!in || !out || !(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
                return -EBADF;
        *st = (struct pump){.left = MIN(c->arg[3], MAX_RW_COUNT),
                            .out_pos = POS_CURRENT,
                            .in_user = c->arg[2],
                            .source = FROM_FILE};
        if ((int64_t)c->arg[3] < 0 || in->ops_type != FILE_REGULAR || out->flags & O_APPEND)
                return -EINVAL;
        if (st->in_user) {
                if (!copy_in(c, &st->in_pos, st->in_user, sizeof(st->in_pos)))
                        return user_fault(c);
                if ((int64_t)st->in_pos < 0)
                        return -EINVAL;
        } else {
                st->in_pos = in->pos;
                st->move_in_pos = 1;
        }
        c->file = in;
        c->file2 = out;
        return pump_run(c);
}

static long read_offset(struct call *c, uint64_t user, struct file *f, uint64_t *pos)
{
        if (!user) {
                *pos = f->pos;
                return 0;
        }
        if (!copy_in(c, pos, user, sizeof(*pos)))
                return user_fault(c);
        return (int64_t)*pos < 0 ? -EINVAL : 0;
}

long sys_copy_file_range(struct call *c)
{
        struct pump *st = call_state(c, struct pump);
        struct file *in, *out;
        uint64_t out_pos;
        long r;

        if (c->stage != PUMP_START)
                return pump_run(c);
        in = fd_lookup_io(c, c->arg[0]);
        out = fd_lookup_io(c, c->arg[2]);
        if (!in || !out)
                return -EBADF;
        *st = (struct pump){.left = MIN(c->arg[4], MAX_RW_COUNT),
                            .in_user = c->arg[1],
                            .out_user = c->arg[3],
                            .source = FROM_FILE,
                            .move_in_pos = !c->arg[1]};
        r = read_offset(c, c->arg[1], in, &st->in_pos);
        if (!r)
                r = read_offset(c, c->arg[3], out, &out_pos);
        if (r)
                return r;
        if (c->arg[5])
                return -EINVAL;
        if (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode))
                return -EISDIR;
        if (!S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode))
                return -EINVAL;
        if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE) || out->flags & O_APPEND)
                return -EBADF;
        if (in->ops_type != FILE_REGULAR || out->ops_type != FILE_REGULAR)
                return -EINVAL;
        if (st->in_pos + c->arg[4] < st->in_pos || out_pos + c->arg[4] < out_pos)
                return -EOVERFLOW;
        if (in->inode == out->inode && st->in_pos < out_pos + st->left && out_pos < st->in_pos + st->left)
                return -EINVAL;
        st->out_pos = c->arg[3] ? out_pos : POS_CURRENT;
        c->file = in;
        c->file2 = out;
        return pump_run(c);
}

/* Between two pipes: slots move, or (tee) are shared. Both locks; one section. */
static long pipe_to_pipe(struct call *c, struct file *in, struct file *out, size_t len, unsigned flags, bool tee)
{
        struct pipe *from = file_pipe(in), *to = file_pipe(out);
        bool nonblock = flags & SPLICE_F_NONBLOCK || (in->flags | out->flags) & O_NONBLOCK;
        size_t moved = 0;
        uint32_t at = 0;
        bool was_full;

        if (from == to)
                return -EINVAL;
        if (!len)
                return 0;
        lock2(LOCK_PIPE, from, to);
        if (to->nreaders == 0) {
                changes(c);
                signal_send_thread(c->thread, SIGPIPE, NULL);
                return -EPIPE;
        }
        if (from->count == 0 || pipe_full(to)) {
                if (from->count == 0 && from->nwriters == 0)
                        return 0;
                if (nonblock)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                c->file = in;
                c->file2 = out;
                return call_wait(c, CONDITION, from->count == 0 ? &from->len : &to->space, INTERRUPTIBLE, NO_DEADLINE);
        }
        for (uint32_t k = 0; k < from->count && k < 24; k++)
                (void)space_page_refs(pipe_slot(from, k)->page);
        was_full = pipe_full(from);
        changes(c);
        while (moved < len && at < from->count && at < 24 && !pipe_full(to)) {
                struct pipe_slot *s = pipe_slot(from, at), *d = pipe_slot(to, to->count);
                size_t n = MIN((size_t)s->len, len - moved);

                if (d->page)
                        space_page_unref(d->page);
                s->flags |= PIPE_SLOT_SHARED;
                space_page_ref(s->page);
                *d = *s;
                d->len = (uint16_t)n;
                to->count++;
                to->len += n;
                moved += n;
                at++;
        }
        if (!tee) {
                pipe_consume(from, moved);
                if (was_full)
                        wake(&from->space);
        }
        wake(&to->len);
        return (long)moved;
}

long sys_tee(struct call *c)
{
        struct file *in = c->saved ? c->file : fd_lookup_io(c, c->arg[0]),
                    *out = c->saved ? c->file2 : fd_lookup_io(c, c->arg[1]);

        if (c->arg[3] & ~(uint64_t)SPLICE_F_ALL)
                return -EINVAL;
        if (!in || !out || !(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
                return -EBADF;
        if (!is_pipe(in) || !is_pipe(out))
                return -EINVAL;
        return pipe_to_pipe(c, in, out, MIN(c->arg[2], MAX_RW_COUNT), (unsigned)c->arg[3], true);
}

long sys_splice(struct call *c)
{
        struct pump *st = call_state(c, struct pump);
        struct file *in, *out;
        long r;

        if (c->stage != PUMP_START)
                return pump_run(c);
        in = c->saved ? c->file : fd_lookup_io(c, c->arg[0]);
        out = c->saved ? c->file2 : fd_lookup_io(c, c->arg[2]);
        if (c->arg[5] & ~(uint64_t)SPLICE_F_ALL)
                return -EINVAL;
        if (!c->arg[4])
                return 0;
        if (!in || !out || !(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
                return -EBADF;
        if ((is_pipe(in) && c->arg[1]) || (is_pipe(out) && c->arg[3]))
                return -ESPIPE;
        if (is_pipe(in) && is_pipe(out))
                return pipe_to_pipe(c, in, out, MIN(c->arg[4], MAX_RW_COUNT), (unsigned)c->arg[5], false);
        if (!is_pipe(in) && !is_pipe(out))
                return -EINVAL;
        *st = (struct pump){.left = MIN(c->arg[4], MAX_RW_COUNT),
                            .out_pos = POS_CURRENT,
                            .nonblock = !!(c->arg[5] & SPLICE_F_NONBLOCK)};
        if (is_pipe(in)) {
                st->source = FROM_PIPE;
                if (c->arg[3]) {
                        if (!(out->mode & FMODE_PREAD) || out->flags & O_APPEND)
                                return -EINVAL;
                        r = read_offset(c, c->arg[3], out, &st->out_pos);
                        if (r)
                                return r;
                        st->out_user = c->arg[3];
                }
                if (out->flags & O_APPEND)
                        return -EINVAL;
        } else {
                if (in->ops_type != FILE_REGULAR)
                        return -EINVAL;
                r = read_offset(c, c->arg[1], in, &st->in_pos);
                if (r)
                        return r;
                st->in_user = c->arg[1];
                st->move_in_pos = !c->arg[1];
        }
        c->file = in;
        c->file2 = out;
        return pump_run(c);
}

/* Copies: a gift of pages would gain nothing here. */
long sys_vmsplice(struct call *c)
{
        struct file *f = c->stage ? c->file : fd_lookup_io(c, c->arg[0]);
        bool out;
        long r;

        if (!f)
                return -EBADF;
        if (c->arg[3] & ~(uint64_t)SPLICE_F_ALL)
                return -EINVAL;
        if (!is_pipe(f))
                return -EBADF;
        out = f->mode & FMODE_WRITE;
        if (c->stage == 0) {
                r = io_vectors(c, c->arg[1], c->arg[2]);
                if (r)
                        return r;
                c->file = f;
                c->pos = POS_CURRENT;
                c->stage = 1;
        }
        return out ? file_ops(f)->write(c, f) : file_ops(f)->read(c, f);
}
