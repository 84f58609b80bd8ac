/*
 * devices.c - character devices that are only memory: null, zero, full, random; and which kind of open file each device number leads to.
 * Terminals are recognised by posix/tty (tty_device), block devices stand in block.c.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/include/rng.h"

enum file_type device_type(uint32_t mode, uint32_t rdev)
{
        static const uint8_t mem[16] = {
                [1] = FILE_DEV_MEM,    [3] = FILE_DEV_NULL,   [5] = FILE_DEV_ZERO,  [7] = FILE_DEV_FULL,
                [8] = FILE_DEV_RANDOM, [9] = FILE_DEV_RANDOM, [11] = FILE_DEV_KMSG,
        };
        unsigned major = RDEV_MAJOR(rdev), minor = RDEV_MINOR(rdev);

        if (S_ISBLK(mode))
                return FILE_BLOCK;
        if (major == 1 && minor < ARRAY_SIZE(mem))
                return mem[minor];
        if (major == 10 && minor == 229)
                return FILE_FUSE_DEVICE;
        if (major == 13)
                return FILE_INPUT;
        if (major == 29)
                return FILE_FB;
        return FILE_NONE;
}

uint32_t device_seekable(enum file_type type)
{
        return type == FILE_DEV_NULL || type == FILE_DEV_ZERO || type == FILE_DEV_FULL || type == FILE_DEV_RANDOM ||
                               type == FILE_FB || type == FILE_DEV_KMSG || type == FILE_PROC || type == FILE_PROC_DIR
                       ? FMODE_PREAD
                       : 0;
}

static long null_read(struct call *c, struct file *f)
{
        (void)c;
        (void)f;
        return 0;
}

static long null_write(struct call *c, struct file *f)
{
        (void)f;
        return (long)c->io.len;
}

static long full_write(struct call *c, struct file *f)
{
        (void)f;
        return c->io.len ? -ENOSPC : 0;
}

static long zero_read(struct call *c, struct file *f)
{
        size_t n = MIN(c->io.len, PIECE_MAX), got;

        (void)f;
        if (c->why == WHY_SIGNAL || c->why == WHY_KILL)
                return call_interrupted(c);
        got = io_zero(&c->io, n);
        if (got < n && (got == 0 || !c->fault_failed))
                return user_fault(c);
        io_advance(&c->io, got);
        return got == n && c->io.len ? CALL_AGAIN : (long)c->io.done;
}

static long random_read(struct call *c, struct file *f)
{
        struct vfs_scratch *s = vfs_scratch();
        size_t n = MIN(c->io.len, (size_t)SCRATCH_OUT), got;

        (void)f;
        if (!s)
                return -ENOMEM;
        if (c->io.done && (c->why == WHY_SIGNAL || c->why == WHY_KILL))
                return (long)c->io.done;
        rng_bytes(s->out, n);
        got = io_copy_out(&c->io, s->out, n);
        if (got < n && (got == 0 || !c->fault_failed))
                return user_fault(c);
        io_advance(&c->io, got);
        return got == n && c->io.len ? CALL_AGAIN : (long)c->io.done;
}

static long random_write(struct call *c, struct file *f)
{
        struct vfs_scratch *s = vfs_scratch();
        size_t n = MIN(c->io.len, (size_t)SCRATCH_OUT);

        (void)f;
        if (!s)
                return -ENOMEM;
        if (io_copy_in(&c->io, s->out, n) < n)
                return user_fault(c);
        rng_add_entropy(s->out, n);
        io_advance(&c->io, n);
        return c->io.len ? CALL_AGAIN : (long)c->io.done;
}

/* A position that nothing depends on. */
static long memory_seek(struct call *c, struct file *f, int64_t off, int whence)
{
        (void)c;
        (void)f;
        (void)off;
        (void)whence;
        return 0;
}

static long zero_mmap(struct call *c, struct file *f, struct vma_request *r)
{
        (void)c;
        (void)f;
        r->inode = NULL; /* as anonymous memory */
        return 0;
}

const struct file_ops null_file_ops = {.name = "null", .read = null_read, .write = null_write, .seek = memory_seek};
const struct file_ops zero_file_ops = {
        .name = "zero", .read = zero_read, .write = null_write, .seek = memory_seek, .mmap = zero_mmap};
const struct file_ops full_file_ops = {.name = "full", .read = zero_read, .write = full_write, .seek = memory_seek};
const struct file_ops random_file_ops = {
        .name = "random", .read = random_read, .write = random_write, .seek = memory_seek};

/* getrandom: never short for want of entropy; signals end a long one. */
long sys_getrandom(struct call *c)
{
        if (c->arg[2] & ~7ul || (c->arg[2] & 6) == 6)
                return -EINVAL;
        if (c->stage == 0) {
                io_single(&c->io, c->arg[0], c->arg[1]);
                c->stage = 1;
        }
        return c->io.len ? random_read(c, NULL) : 0;
}
