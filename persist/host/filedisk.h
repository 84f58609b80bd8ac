/* filedisk.h - a part of a file, or of a disk, as the disk of a store, for programs of the host. */
#pragma once
#include "persist/store/store.h"

struct filedisk {
        struct store_disk d;
        int fd;
        uint64_t offset; /* bytes */
        bool read_only;
};
/* fd is borrowed. offset and len in bytes; len is rounded down to blocks. */
void filedisk_open(struct filedisk *f, int fd, uint64_t offset, uint64_t len, bool read_only);
