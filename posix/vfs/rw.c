/*
 * rw.c - read, write and their kin: decode, then the file type's operation. c->pos tells it where (POS_CURRENT: the file's own position).
 */
#include "posix/vfs/vfs_internal.h"
#include <linux/fs.h>

/* The file, for reading or writing. Decoded once; a saved call has it counted. */
static long decode_file(struct call *c, uint32_t mode)
{
        struct file *f = fd_lookup_io(c, c->arg[0]);

        if (unlikely(!f || !(f->mode & mode)))
                return -EBADF;
        c->file = f;
        return 0;
}

static inline long user_range(uint64_t base, uint64_t len)
{
        return unlikely(base >= USER_TOP || len > USER_TOP - base) && (len || base > USER_TOP) ? -EFAULT : 0;
}

#define STAGE_COMMIT 255u /* everything is written (io.done); only the commit is missing. In c->pos: its epoch */

/* The end of a write that is to be durable. Linux's error then is the commit's, not a short count. */
static long commit(struct call *c)
{
        long r = file_ops(c->file)->fsync(c, c->file, true);

        return r ? r : (long)c->io.done;
}

static long run_write(struct call *c, bool sync)
{
        const struct file_ops *ops = file_ops(c->file);
        long r;

        if (unlikely(c->stage == STAGE_COMMIT))
                return commit(c);
        r = likely(ops->write != NULL) ? ops->write(c, c->file) : -EINVAL;
        if (likely(r <= 0 || !(sync || c->file->flags & O_DSYNC) || !ops->fsync))
                return r;
        c->io.done = (size_t)r;
        c->pos = snapshot_epoch();
        c->stage = STAGE_COMMIT;
        return commit(c);
}

static long run(struct call *c, uint32_t mode)
{
        const struct file_ops *ops = file_ops(c->file);

        if (mode == FMODE_READ)
                return likely(ops->read != NULL) ? ops->read(c, c->file) : -EINVAL;
        return run_write(c, false);
}

static long single(struct call *c, uint32_t mode)
{
        if (likely(c->stage == 0)) {
                long r = decode_file(c, mode);

                if (unlikely(r))
                        return r;
                if (unlikely((int64_t)c->arg[2] < 0))
                        return -EINVAL;
                r = user_range(c->arg[1], c->arg[2]);
                if (unlikely(r))
                        return r;
                io_single(&c->io, c->arg[1], c->arg[2]);
                c->pos = POS_CURRENT;
                c->stage = 1;
        }
        return run(c, mode);
}

long sys_read(struct call *c)
{
        return single(c, FMODE_READ);
}

long sys_write(struct call *c)
{
        return single(c, FMODE_WRITE);
}

static long positional(struct call *c, uint32_t mode)
{
        if (likely(c->stage == 0)) {
                long r;

                if (unlikely((int64_t)c->arg[3] < 0))
                        return -EINVAL;
                r = decode_file(c, mode);
                if (unlikely(r))
                        return r;
                if (unlikely(!(c->file->mode & FMODE_PREAD)))
                        return -ESPIPE;
                if (unlikely((int64_t)c->arg[2] < 0))
                        return -EINVAL;
                r = user_range(c->arg[1], c->arg[2]);
                if (unlikely(r))
                        return r;
                io_single(&c->io, c->arg[1], c->arg[2]);
                c->pos = c->arg[3];
                c->stage = 1;
        }
        return run(c, mode);
}

long sys_pread64(struct call *c)
{
        return positional(c, FMODE_READ);
}

long sys_pwrite64(struct call *c)
{
        return positional(c, FMODE_WRITE);
}

/* flags: RWF_*. pos POS_CURRENT: the file's own. */
static long vectored(struct call *c, uint32_t mode, uint64_t pos, uint64_t flags)
{
        if (likely(c->stage == 0)) {
                long r = decode_file(c, mode);

                if (r)
                        return r;
                if (pos != POS_CURRENT) {
                        if ((int64_t)pos < 0)
                                return -EINVAL;
                        if (!(c->file->mode & FMODE_PREAD))
                                return -ESPIPE;
                }
                if (flags & ~(uint64_t)RWF_SUPPORTED)
                        return -EOPNOTSUPP;
                r = io_vectors(c, c->arg[1], c->arg[2]);
                if (r)
                        return r;
                for (uint32_t i = 0; i < c->io.nvec; i++) {
                        struct user_vec *v = c->io.overflow ? &c->io.overflow[i] : &c->io.vec[i];

                        if (user_range(v->base, v->len))
                                return -EFAULT;
                }
                c->pos = pos;
                c->stage = 1;
        }
        return mode == FMODE_WRITE ? run_write(c, flags & (RWF_SYNC | RWF_DSYNC)) : run(c, mode);
}

long sys_readv(struct call *c)
{
        return vectored(c, FMODE_READ, POS_CURRENT, 0);
}

long sys_writev(struct call *c)
{
        return vectored(c, FMODE_WRITE, POS_CURRENT, 0);
}

static long explicit_pos(struct call *c, uint32_t mode)
{
        return (int64_t)c->arg[3] < 0 ? -EINVAL : vectored(c, mode, c->arg[3], 0);
}

long sys_preadv(struct call *c)
{
        return explicit_pos(c, FMODE_READ);
}

long sys_pwritev(struct call *c)
{
        return explicit_pos(c, FMODE_WRITE);
}

static long version2(struct call *c, uint32_t mode)
{
        if ((int64_t)c->arg[3] < -1)
                return -EINVAL;
        return vectored(c, mode, c->arg[3], c->arg[5]);
}

long sys_preadv2(struct call *c)
{
        return version2(c, FMODE_READ);
}

long sys_pwritev2(struct call *c)
{
        return version2(c, FMODE_WRITE);
}

long file_seek_within(struct call *c, struct file *f, int64_t off, int whence, uint64_t size)
{
        uint64_t pos = (uint64_t)off;

        switch (whence) {
        case SEEK_SET:
                break;
        case SEEK_CUR:
                pos += f->pos;
                break;
        case SEEK_END:
                pos += size;
                break;
        case SEEK_DATA:
        case SEEK_HOLE:
                if (pos >= size)
                        return -ENXIO;
                pos = whence == SEEK_DATA ? pos : size;
                break;
        default:
                return -EINVAL;
        }
        if ((int64_t)pos < 0)
                return -EINVAL;
        if (pos != f->pos) {
                changes(c);
                f->pos = pos;
        }
        return (long)pos;
}

long sys_lseek(struct call *c)
{
        struct file *f;

        if (c->stage == 0) {
                f = fd_lookup_io(c, c->arg[0]);
                if (!f)
                        return -EBADF;
                c->file = f;
                c->stage = 1;
        }
        f = c->file;
        if ((uint32_t)c->arg[2] > SEEK_HOLE)
                return -EINVAL;
        if (!file_ops(f)->seek || !(f->mode & FMODE_PREAD))
                return -ESPIPE;
        return file_ops(f)->seek(c, f, (int64_t)c->arg[1], (int)c->arg[2]);
}

void send_sigxfsz(void)
{
        siginfo_t info = {.si_signo = SIGXFSZ, .si_code = SI_KERNEL};

        signal_send_thread(thread_current(), SIGXFSZ, &info);
}
