/*
 * promise.c - what a call of the fsync family has promised is there after any later cut. Writes a number to /s/promise.number by some way, makes it durable, and only then says so on the
 * serial line, `PROMISE n`; who recorded that line may cut power any time later and must find n or more.
 */
#include "tests/survive/survive.h"

static void promises(volatile uint64_t *good)
{
        const char *path = "/s/promise.number";
        int line = open("/dev/ttyS0", O_WRONLY | O_NOCTTY), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644),
            folder = open("/s", O_RDONLY), direct = open(path, O_WRONLY | O_SYNC);
        char *p, text[32];

        MUST(line >= 0 && fd >= 0 && folder >= 0 && direct >= 0 && ftruncate(fd, 21) == 0);
        for (uint64_t n = 1;; n++) {
                int len = snprintf(text, sizeof(text), "%-20lu\n", n);

                if (n % 8 == 3) {
                        p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                        MUST(p != MAP_FAILED);
                        memcpy(p, text, (size_t)len);
                        MUST(n % 16 == 3 ? msync(p, 4096, MS_SYNC) == 0 : fsync(fd) == 0);
                        MUST(munmap(p, 4096) == 0);
                } else if (n % 8 == 4) {
                        MUST(pwrite(direct, text, (size_t)len, 0) == len);
                } else if (n % 8 == 5) { /* another file in its place, which has never been mapped */
                        MUST(close(fd) == 0 && close(direct) == 0);
                        fd = open("/s/promise.new", O_RDWR | O_CREAT | O_TRUNC, 0644);
                        MUST(fd >= 0 && write(fd, text, (size_t)len) == len && fsync(fd) == 0);
                        MUST(rename("/s/promise.new", path) == 0 && fsync(folder) == 0);
                        direct = open(path, O_WRONLY | O_SYNC);
                        MUST(direct >= 0);
                } else {
                        MUST(pwrite(fd, text, (size_t)len, 0) == len);
                        if (n % 8 == 6)
                                MUST(fsync(fd) == 0 && fsync(fd) == 0 && fsync(folder) == 0);
                        else if (n % 8 == 0)
                                MUST(fsync(fd) == 0);
                        else if (n % 8 == 1)
                                MUST(fdatasync(fd) == 0);
                        else if (n % 8 == 2)
                                sync();
                        else
                                MUST(syncfs(folder) == 0);
                }
                len = snprintf(text, sizeof(text), "\nPROMISE %lu\n", n);
                survive_write(line, text, (size_t)len);
                *good = n;
                survive_nap(40);
        }
}

int main(void)
{
        survive_begin("promise");
        survive_part(promises);
        survive_watch();
}
