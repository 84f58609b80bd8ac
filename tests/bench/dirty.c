/*
 * dirty.c - writes to PAGES pages of its own, then sleeps MS milliseconds, ROUNDS times: what snapshots have to freeze and commit. Prints the instructions (time stamp counter) that one
 * round of writing took, on average.
 *
 * usage: dirty PAGES MS ROUNDS
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static uint64_t tsc(void)
{
        uint32_t lo, hi;

        __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
        return (uint64_t)hi << 32 | lo;
}

int main(int argc, char **argv)
{
        size_t npages = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
        long ms = argc > 2 ? strtol(argv[2], NULL, 0) : 0, rounds = argc > 3 ? strtol(argv[3], NULL, 0) : 0;
        uint64_t spent = 0;
        volatile uint64_t *p;

        if (!npages || ms < 0 || rounds <= 0) {
                fprintf(stderr, "usage: dirty PAGES MS ROUNDS\n");
                return 2;
        }
        p = mmap(NULL, npages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
                perror("dirty: mmap");
                return 1;
        }
        for (long r = 0; r < rounds; r++) {
                struct timespec nap = {ms / 1000, ms % 1000 * 1000000};
                uint64_t begin = tsc();

                for (size_t i = 0; i < npages; i++)
                        p[i * 512 + (size_t)r % 512] += (uint64_t)r + i * 2654435761u;
                spent += tsc() - begin;
                if (ms)
                        nanosleep(&nap, NULL);
        }
        printf("%lu\n", (unsigned long)(spent / (uint64_t)rounds));
        return 0;
}
