/*
 * persist.c - what bench.py persist measures in the guest. It prints lines `NAME NUMBER`; NAME as in /proc/phantom/status is by how much that grew.
 *
 * usage: persist write PAGES COMMITS   writes to PAGES pages again and again, until so many commits have been made
 *        persist fsync FILE COUNT      writes a page of FILE and makes it durable, COUNT times; fsync stands between two marks for tests/tools/count.c
 *        persist sync PAGES COMMITS    writes to PAGES pages and has them committed, so many times
 *        persist hold MIB THREADS      keeps MIB of memory and THREADS threads that wait, says HELD, and does nothing but marks for ever: the first one after a reboot is the first
 *                                      instruction of a program
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE         4096u
#define WARM_COMMITS 3 /* the first ones have more than what is repeated */
#define LOOK_NS      20000000u
#define STACK_BYTES  16384u

static const char *const names[] = {"commits", "committed_pages", "disk_writes", "disk_written_bytes", "disk_flushes"};
enum { NAMES = sizeof(names) / sizeof(names[0]), COMMITS = 0 };

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state;
}

static void die(const char *what)
{
        perror(what);
        exit(1);
}

static void mark(void)
{
        __asm__ volatile("xchg %%bx, %%bx" ::: "memory");
}

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void status(uint64_t *values)
{
        static int fd = -1;
        char text[4096] = "\n";
        ssize_t n;

        if (fd < 0)
                fd = open("/proc/phantom/status", O_RDONLY);
        n = pread(fd, text + 1, sizeof(text) - 2, 0);
        if (n <= 0)
                die("/proc/phantom/status");
        text[n + 1] = 0;
        for (int i = 0; i < NAMES; i++) {
                char line[64];
                const char *at;

                snprintf(line, sizeof(line), "\n%s ", names[i]);
                at = strstr(text, line);
                if (!at) {
                        fprintf(stderr, "persist: the status has no %s\n", names[i]);
                        exit(1);
                }
                values[i] = strtoull(at + strlen(line), NULL, 10);
        }
}

static void show(const uint64_t *begin, const uint64_t *end, uint64_t ns)
{
        for (int i = 0; i < NAMES; i++)
                printf("%s %" PRIu64 "\n", names[i], end[i] - begin[i]);
        printf("ns %" PRIu64 "\n", ns);
}

static char *memory(size_t len)
{
        char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                die("mmap");
        return p;
}

static void write_once(volatile uint64_t *p, size_t npages)
{
        static uint64_t round;

        round++;
        for (size_t i = 0; i < npages; i++)
                p[i * (PAGE / 8) + round % (PAGE / 8)] += round + i * 2654435761u;
}

static void write_for(volatile uint64_t *p, size_t npages, uint64_t commits, uint64_t *end)
{
        uint64_t begin[NAMES], look = now_ns();

        status(begin);
        memcpy(end, begin, sizeof(begin));
        do {
                write_once(p, npages);
                if (now_ns() - look < LOOK_NS)
                        continue;
                look = now_ns();
                status(end);
        } while (end[COMMITS] - begin[COMMITS] < commits);
}

static void write_pages(size_t npages, uint64_t commits)
{
        volatile uint64_t *p = (volatile uint64_t *)(void *)memory(npages * PAGE);
        uint64_t begin[NAMES], end[NAMES], ns;

        write_for(p, npages, WARM_COMMITS, begin);
        ns = now_ns();
        write_for(p, npages, commits, end);
        show(begin, end, now_ns() - ns);
}

static void sync_pages(size_t npages, uint64_t commits)
{
        volatile uint64_t *p = (volatile uint64_t *)(void *)memory(npages * PAGE);
        uint64_t begin[NAMES], end[NAMES], ns;

        write_for(p, npages, WARM_COMMITS, begin);
        ns = now_ns();
        for (uint64_t n = 0; n < commits; n++) {
                write_once(p, npages);
                sync();
        }
        status(end);
        show(begin, end, now_ns() - ns);
}

static void sync_file(const char *path, uint64_t count)
{
        static uint64_t page[PAGE / 8];
        uint64_t begin[NAMES] = {0}, end[NAMES], ns = 0;
        int fd = open(path, O_RDWR | O_CREAT, 0600);

        if (fd < 0)
                die(path);
        for (uint64_t n = 0; n <= count; n++) { /* the first one, with what came before, is not counted */
                for (size_t i = 0; i < PAGE / 8; i++)
                        page[i] = random_next();
                if (pwrite(fd, page, PAGE, 0) != PAGE)
                        die(path);
                if (n)
                        mark();
                if (fsync(fd))
                        die("fsync");
                if (n)
                        mark();
                else
                        status(begin), ns = now_ns();
        }
        status(end);
        show(begin, end, now_ns() - ns);
}

static void *wait_for_ever(void *arg)
{
        for (;;)
                pause();
        return arg;
}

static void hold(size_t mib, unsigned threads)
{
        char *p = memory(mib << 20);
        pthread_attr_t attr;
        pthread_t thread;

        for (size_t at = 0; at < mib << 20; at += PAGE)
                *(uint64_t *)(void *)(p + at) = random_next();
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, STACK_BYTES);
        for (unsigned i = 0; i < threads; i++) {
                if (pthread_create(&thread, &attr, wait_for_ever, NULL)) {
                        fprintf(stderr, "persist: no thread %u\n", i);
                        exit(1);
                }
        }
        puts("HELD");
        fflush(stdout);
        for (;;)
                mark();
}

int main(int argc, char **argv)
{
        if (argc == 4 && strcmp(argv[1], "write") == 0) {
                write_pages(strtoul(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
        } else if (argc == 4 && strcmp(argv[1], "fsync") == 0) {
                sync_file(argv[2], strtoull(argv[3], NULL, 0));
        } else if (argc == 4 && strcmp(argv[1], "sync") == 0) {
                sync_pages(strtoul(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
        } else if (argc == 4 && strcmp(argv[1], "hold") == 0) {
                hold(strtoul(argv[2], NULL, 0), (unsigned)strtoul(argv[3], NULL, 0));
        } else {
                fprintf(stderr, "usage: persist write PAGES COMMITS | sync PAGES COMMITS | fsync FILE COUNT | hold MIB "
                                "THREADS\n");
                return 2;
        }
        return 0;
}
