/*
 * pfsck.c - looks whether a store is whole: that every block is free or reachable from exactly the states that say so (P11), and every checksum.
 *
 * usage: pfsck [--json] IMAGE [OFFSET BYTES]
 * IMAGE is a store, or a disk with a GUID partition table, of which the first partition with a store is taken. Nothing is written, ever.
 * Ends with 0: whole; 1: damaged; 2: usage; 3: no store, or one that cannot be opened.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "persist/host/filedisk.h"
#include "persist/host/hosted.h"
#include "persist/store/format.h"

enum { WHOLE, DAMAGED, USAGE, NO_STORE };

#define KEPT_SHOWN 1024u

static bool json;
static uint64_t nfindings;

static void finding(void *arg, const char *line)
{
        (void)arg;
        printf(json ? "%s\n    \"%s\"" : "%s%s\n", json && nfindings ? "," : "", line);
        nfindings++;
}

static bool is_store(int fd, uint64_t offset, uint64_t len)
{
        const uint64_t at[2] = {offset + (uint64_t)BLOCK_SUPER_A * STORE_BLOCK,
                                offset + (len / STORE_BLOCK - 1) * STORE_BLOCK};
        uint64_t magic;

        for (unsigned i = 0; len >= (uint64_t)STORE_BLOCKS_MIN * STORE_BLOCK && i < 2; i++)
                if (pread(fd, &magic, sizeof(magic), (off_t)at[i]) == sizeof(magic) && le64toh(magic) == SUPER_MAGIC)
                        return true;
        return false;
}

/* The first partition that has a store: where a table says that one is, there are looks only, so its own sums need not hold. */
static bool find_partition(int fd, uint64_t size, uint64_t *offset, uint64_t *len)
{
        uint8_t header[SECTOR], entry[128];
        uint64_t table, first, last;
        uint32_t n, entry_size;

        if (pread(fd, header, sizeof(header), SECTOR) != sizeof(header) || memcmp(header, "EFI PART", 8))
                return false;
        memcpy(&table, header + 72, sizeof(table));
        memcpy(&n, header + 80, sizeof(n));
        memcpy(&entry_size, header + 84, sizeof(entry_size));
        if (table > size / SECTOR || n > 1024 || entry_size < sizeof(entry) || entry_size > 4096)
                return false;
        for (uint64_t i = 0; i < n; i++) {
                if (pread(fd, entry, sizeof(entry), (off_t)(table * SECTOR + i * entry_size)) != sizeof(entry))
                        return false;
                memcpy(&first, entry + 32, sizeof(first));
                memcpy(&last, entry + 40, sizeof(last));
                if (first < 2 || last < first || last >= size / SECTOR)
                        continue;
                *offset = first * SECTOR;
                *len = (last - first + 1) * SECTOR;
                if (is_store(fd, *offset, *len))
                        return true;
        }
        return false;
}

static void print_state(struct store *s)
{
        static struct store_kept kept[KEPT_SHOWN];
        struct store_info i;
        unsigned n = store_kept(s, kept, KEPT_SHOWN);

        store_info(s, &i);
        if (json) {
                printf("  \"epoch\": %lu, \"incarnation\": %lu, \"blocks\": %lu, \"free\": %lu, \"dead\": %lu,\n"
                       "  \"changed\": %lu, \"lost_epoch\": %lu, \"fell_back\": %s, \"attempts\": %u, \"kept\": [",
                       i.epoch, i.incarnation, i.nblocks, i.free, i.pending, i.recent, i.evidence,
                       i.fell_back ? "true" : "false", i.attempts);
                for (unsigned k = 0; k < n; k++)
                        printf("%s%lu", k ? ", " : "", kept[k].epoch);
                printf("],\n");
                return;
        }
        printf("epoch %lu of incarnation %lu; %lu blocks, %lu free, %lu dead and not free yet; %lu pages changed since "
               "the last checkpoint; %u snapshots kept\n",
               i.epoch, i.incarnation, i.nblocks, i.free, i.pending, i.recent, n);
        for (unsigned k = 0; k < n; k++)
                printf("kept: epoch %lu%s\n", kept[k].epoch, kept[k].flags & KEPT_PINNED ? ", pinned" : "");
}

int main(int argc, char **argv)
{
        uint64_t offset = 0, len, lost;
        struct store_info info;
        struct filedisk f;
        struct store *s;
        off_t size;
        int fd, r;

        if (argc > 1 && !strcmp(argv[1], "--json")) {
                json = true;
                argc--;
                argv++;
        }
        if (argc != 2 && argc != 4)
                return fprintf(stderr, "usage: pfsck [--json] IMAGE [OFFSET BYTES]\n"), USAGE;
        hosted_quiet = json;
        fd = open(argv[1], O_RDONLY | O_CLOEXEC);
        size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
        if (size < 0)
                return fprintf(stderr, "pfsck: %s: %s\n", argv[1], strerror(errno)), NO_STORE;
        len = (uint64_t)size;
        if (argc == 4) {
                offset = strtoull(argv[2], NULL, 0);
                len = strtoull(argv[3], NULL, 0);
        } else if (!is_store(fd, 0, len) && !find_partition(fd, len, &offset, &len)) {
                return fprintf(stderr, "pfsck: %s: no store here, nor in a partition of it\n", argv[1]), NO_STORE;
        }
        filedisk_open(&f, fd, offset, len, true);
        r = store_open(&f.d, 0, &s);
        if (r)
                return fprintf(stderr, "pfsck: %s, at byte %lu: %s\n", argv[1], offset,
                               r == -ENOENT       ? "no store"
                               : r == -EINVAL     ? "the end of the store is missing"
                               : r == -EOPNOTSUPP ? "a store of another version"
                               : r == -EUCLEAN    ? "the store is damaged: no state in it is whole"
                                                  : strerror(-r)),
                       NO_STORE;
        if (json)
                printf("{\n");
        print_state(s);
        if (json)
                printf("  \"findings\": [");
        r = store_check(s, true, finding, NULL);
        store_info(s, &info);
        lost = info.evidence;
        if (json)
                printf("],\n  \"whole\": %s\n}\n", r || lost || info.fell_back || info.lists_lost ? "false" : "true");
        else if (r == -ENOMEM)
                printf("not enough memory\n");
        else if (r)
                printf("damaged: %lu findings\n", nfindings);
        else if (info.lists_lost)
                printf("whole, but lists of blocks are damaged: some room is lost, and perhaps kept snapshots\n");
        else if (lost)
                printf("whole, but epoch %lu, which was durable once, is lost\n", lost);
        else
                printf(info.fell_back ? "whole, but the newest superblock is damaged\n" : "whole\n");
        store_close(s);
        return close(fd) || r || lost || info.fell_back || info.lists_lost ? DAMAGED : WHOLE;
}
