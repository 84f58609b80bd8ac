/* mkstore.c - mkstore IMAGE MIB: an empty store over a whole file, as a disk for tests. */
#include "persist/host/hosted.h"
#include "persist/store/format.h"
#include "persist/store/store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define KERNEL_BASE 0xffff900000000000ul /* where the kernel has its space; a hosted one is elsewhere */

static int fd;

static int transfer(ssize_t done, size_t wanted)
{
        return done == (ssize_t)wanted ? 0 : -EIO;
}

static int read_blocks(struct store_disk *d, uint64_t block, void *buf, uint32_t n)
{
        (void)d;
        return transfer(pread(fd, buf, (size_t)n * STORE_BLOCK, (off_t)(block * STORE_BLOCK)), (size_t)n * STORE_BLOCK);
}

static int write_blocks(struct store_disk *d, uint64_t block, const void *buf, uint32_t n)
{
        (void)d;
        return transfer(pwrite(fd, buf, (size_t)n * STORE_BLOCK, (off_t)(block * STORE_BLOCK)),
                        (size_t)n * STORE_BLOCK);
}

static int write_sector(struct store_disk *d, uint64_t sector, const void *buf)
{
        (void)d;
        return transfer(pwrite(fd, buf, SECTOR, (off_t)(sector * SECTOR)), SECTOR);
}

static int flush(struct store_disk *d)
{
        (void)d;
        return fdatasync(fd) ? -errno : 0;
}

int main(int argc, char **argv)
{
        struct store_disk disk = {
                .read = read_blocks, .write = write_blocks, .write_sector = write_sector, .flush = flush};
        uint8_t uuid[16];
        int r;

        if (argc != 3 || !(disk.nblocks = strtoul(argv[2], NULL, 10) << 8)) {
                fprintf(stderr, "usage: mkstore IMAGE MIB\n");
                return 2;
        }
        fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);
        if (fd < 0 || ftruncate(fd, (off_t)(disk.nblocks * STORE_BLOCK)) ||
            getrandom(uuid, sizeof(uuid), 0) != sizeof(uuid)) {
                perror(argv[1]);
                return 1;
        }
        hosted_open(64);
        r = store_format(&disk, uuid, KERNEL_BASE);
        if (r) {
                fprintf(stderr, "mkstore: %s: %s\n", argv[1], strerror(-r));
                return 1;
        }
        return 0;
}
