/* filedisk.c - see filedisk.h. */
#define _GNU_SOURCE
#include "persist/host/filedisk.h"
#include "persist/store/format.h"
#include <unistd.h>

static bool read_all(int fd, void *buf, size_t len, uint64_t at)
{
        for (ssize_t n; len; buf = (char *)buf + n, len -= (size_t)n, at += (uint64_t)n) {
                n = pread(fd, buf, len, (off_t)at);
                if (n <= 0)
                        return false;
        }
        return true;
}

static bool write_all(int fd, const void *buf, size_t len, uint64_t at)
{
        for (ssize_t n; len; buf = (const char *)buf + n, len -= (size_t)n, at += (uint64_t)n) {
                n = pwrite(fd, buf, len, (off_t)at);
                if (n <= 0)
                        return false;
        }
        return true;
}

static int file_read(struct store_disk *d, uint64_t block, void *buf, uint32_t nblocks)
{
        struct filedisk *f = (struct filedisk *)d;

        return read_all(f->fd, buf, (size_t)nblocks * STORE_BLOCK, f->offset + block * STORE_BLOCK) ? 0 : -1;
}

static int file_write(struct store_disk *d, uint64_t block, const void *buf, uint32_t nblocks)
{
        struct filedisk *f = (struct filedisk *)d;

        if (f->read_only)
                return -1;
        return write_all(f->fd, buf, (size_t)nblocks * STORE_BLOCK, f->offset + block * STORE_BLOCK) ? 0 : -1;
}

static int file_write_sector(struct store_disk *d, uint64_t sector, const void *buf)
{
        struct filedisk *f = (struct filedisk *)d;

        return !f->read_only && write_all(f->fd, buf, SECTOR, f->offset + sector * SECTOR) ? 0 : -1;
}

static int file_flush(struct store_disk *d)
{
        struct filedisk *f = (struct filedisk *)d;

        return f->read_only || fdatasync(f->fd) ? -1 : 0;
}

void filedisk_open(struct filedisk *f, int fd, uint64_t offset, uint64_t len, bool read_only)
{
        *f = (struct filedisk){.d = {.nblocks = len / STORE_BLOCK,
                                     .read = file_read,
                                     .write = file_write,
                                     .write_sector = file_write_sector,
                                     .flush = file_flush,
                                     .can_share = true},
                               .fd = fd,
                               .offset = offset,
                               .read_only = read_only};
}
