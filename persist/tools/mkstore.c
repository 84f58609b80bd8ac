/*
 * mkstore.c - makes an empty store in a file, or in a part of one.
 *
 * usage: mkstore FILE OFFSET BYTES      what is there is lost
 * The space it is for is the kernel's.
 */
#define _GNU_SOURCE
#include "persist/host/filedisk.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define KERNEL_SPACE 0xffff900000000000ul

int main(int argc, char **argv)
{
        struct filedisk f;
        uint8_t uuid[16];
        uint64_t offset, len;
        int fd, r;

        if (argc != 4) {
                fprintf(stderr, "usage: mkstore FILE OFFSET BYTES\n");
                return 2;
        }
        offset = strtoull(argv[2], NULL, 0);
        len = strtoull(argv[3], NULL, 0);
        fd = open(argv[1], O_RDWR | O_CLOEXEC);
        if (fd < 0 || getrandom(uuid, sizeof(uuid), 0) != sizeof(uuid)) {
                fprintf(stderr, "mkstore: %s: %s\n", argv[1], strerror(errno));
                return 1;
        }
        filedisk_open(&f, fd, offset, len, false);
        r = store_format(&f.d, uuid, KERNEL_SPACE);
        if (r) {
                fprintf(stderr, "mkstore: %s: %s\n", argv[1],
                        r == -EINVAL ? "2 MiB to 16 TiB are needed" : strerror(-r));
                return 1;
        }
        return close(fd) ? 1 : 0;
}
