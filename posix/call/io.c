/*
 * io.c - where the data of a read or a write stands in user memory, and copies of user structs. Nothing here changes the space.
 * A copy that meets an absent or forbidden user address stops short; user_fault() turns that into CALL_FAULT, which the dispatcher resolves.
 */
#include "posix/call/call_internal.h"
#include "kernel/include/mem.h"
#include "kernel/include/log.h"
#include <linux/uio.h>

static struct user_vec *vectors(struct user_io *io)
{
        return io->nvec > IO_INLINE ? io->overflow : io->vec;
}

size_t io_straight(const struct user_io *io, uint64_t *va)
{
        const struct user_vec *v = io->nvec > IO_INLINE ? io->overflow : io->vec;
        uint64_t offset = io->offset;

        if (!io->len || io->kernel)
                return 0;
        for (v += io->at; offset == v->len; v++)
                offset = 0;
        *va = v->base + offset;
        return MIN(io->len, v->len - offset);
}

void io_single(struct user_io *io, uint64_t base, size_t len)
{
        io->len = len < MAX_RW_COUNT ? len : MAX_RW_COUNT;
        io->kernel = 0;
        io->done = 0;
        io->nvec = 1;
        io->at = 0;
        io->offset = 0;
        io->overflow = NULL;
        io->vec[0] = (struct user_vec){base, io->len};
}

long io_vectors(struct call *c, uint64_t iov, uint64_t count)
{
        struct user_io *io = &c->io;
        struct user_vec *v = io->vec;
        size_t total = 0;

        if (count > UIO_MAXIOV)
                return -EINVAL;
        io->nvec = 0;
        io->kernel = 0;
        if (count > IO_INLINE) {
                v = call_scratch(c, 1, count * sizeof(*v));
                if (!v)
                        return -ENOMEM;
        }
        if (count && !copy_in(c, v, iov, count * sizeof(*v)))
                return user_fault(c);
        for (uint64_t i = 0; i < count; i++) {
                if ((int64_t)v[i].len < 0)
                        return -EINVAL;
                if (v[i].len > MAX_RW_COUNT - total)
                        v[i].len = MAX_RW_COUNT - total;
                total += v[i].len;
        }
        io->overflow = v == io->vec ? NULL : v;
        io->nvec = (uint32_t)count;
        io->len = total;
        io->done = 0;
        io->at = 0;
        io->offset = 0;
        return 0;
}

enum direction { OUT, IN, ZERO };

static size_t transfer(struct user_io *io, void *kernel, size_t len, enum direction d)
{
        struct user_vec *v = vectors(io);
        uint32_t at = io->at;
        uint64_t offset = io->offset;
        size_t done = 0;

        if (len > io->len)
                len = io->len;
        while (done < len) {
                size_t n, left;

                while (offset == v[at].len) {
                        at++;
                        offset = 0;
                }
                n = MIN(len - done, v[at].len - offset);
                if (unlikely(io->kernel)) {
                        __builtin_memcpy(d == IN ? (char *)kernel + done : (char *)v[at].base + offset,
                                         d == IN ? (char *)v[at].base + offset : (char *)kernel + done, n);
                        left = 0;
                } else if (d == OUT)
                        left = user_copy_out(v[at].base + offset, (char *)kernel + done, n);
                else if (d == IN)
                        left = user_copy_in((char *)kernel + done, v[at].base + offset, n);
                else
                        left = user_zero(v[at].base + offset, n);
                done += n - left;
                if (left)
                        return done;
                offset += n;
        }
        return done;
}

size_t io_copy_out(struct user_io *io, const void *src, size_t len)
{
        return transfer(io, (void *)(uintptr_t)src, len, OUT);
}

size_t io_copy_in(struct user_io *io, void *dst, size_t len)
{
        return transfer(io, dst, len, IN);
}

size_t io_zero(struct user_io *io, size_t len)
{
        return transfer(io, NULL, len, ZERO);
}

void io_advance(struct user_io *io, size_t len)
{
        struct user_vec *v = vectors(io);

        io->len -= len;
        io->done += len;
        while (len) {
                size_t n = v[io->at].len - io->offset;

                if (n > len)
                        n = len;
                io->offset += n;
                len -= n;
                if (io->offset == v[io->at].len && io->at + 1 < io->nvec) {
                        io->at++;
                        io->offset = 0;
                }
        }
}

bool io_probe_in(struct user_io *io, size_t n)
{
        struct io_mark start = io_mark(io);
        char byte;

        if (io->kernel)
                return true;
        if (n > io->len)
                n = io->len;
        while (n) {
                const struct user_vec *v;
                size_t step;

                if (transfer(io, &byte, 1, IN) != 1) {
                        io_reset(io, start);
                        return false;
                }
                v = &vectors(io)[io->at];
                step = PAGE_SIZE - ((v->base + io->offset) & (PAGE_SIZE - 1));
                step = io->offset < v->len ? MIN(step, v->len - io->offset) : 1;
                step = MIN(step, n);
                io_advance(io, step);
                n -= step;
        }
        io_reset(io, start);
        return true;
}

bool copy_in(struct call *c, void *dst, uint64_t src, size_t len)
{
        (void)c;
        return user_copy_in(dst, src, len) == 0;
}

bool copy_out(struct call *c, uint64_t dst, const void *src, size_t len)
{
        (void)c;
        return user_copy_out(dst, src, len) == 0;
}

long copy_string(struct call *c, char *dst, uint64_t src, size_t len)
{
        (void)c;
        return user_copy_string(dst, src, len);
}

long user_fault(struct call *c)
{
        struct cpu *cpu = cpu_this();

        if (c->fault_failed) {
                c->fault_failed = 0;
                return c->io.done ? (long)c->io.done : -EFAULT;
        }
        c->fault_addr = cpu->fault_addr;
        c->fault_err = cpu->fault_err;
        return CALL_FAULT;
}

long copy_struct_in(struct call *c, void *dst, size_t ksize, uint64_t src, size_t usize)
{
        uint8_t rest[64];
        size_t known = MIN(ksize, usize);

        if (!copy_in(c, dst, src, known))
                return user_fault(c);
        __builtin_memset((char *)dst + known, 0, ksize - known);
        for (size_t at = known; at < usize;) {
                size_t n = MIN(usize - at, sizeof(rest));

                if (!copy_in(c, rest, src + at, n))
                        return user_fault(c);
                for (size_t i = 0; i < n; i++)
                        if (rest[i])
                                return -E2BIG;
                at += n;
        }
        return 0;
}
