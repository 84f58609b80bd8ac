/*
 * spin.c - a program that works: what do barriers and commits cost it? Writes in turn to PAGES pages, ROUNDS times, a little arithmetic between,
 * and prints the ticks of the time stamp counter that took. Run with and without them; under -icount ticks are instructions.
 *
 * usage: spin [PAGES ROUNDS]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <x86intrin.h>

#define PAGES_MAX 1024

static volatile uint64_t area[PAGES_MAX][512];

int main(int argc, char **argv)
{
        int pages = argc > 2 ? atoi(argv[1]) : 16, rounds = argc > 2 ? atoi(argv[2]) : 20000;
        uint64_t begin, x = 1;

        if (pages < 1 || pages > PAGES_MAX)
                return 2;
        for (int i = 0; i < pages; i++)
                area[i][0] = i;
        begin = __rdtsc();
        for (int round = 0; round < rounds; round++) {
                for (int i = 0; i < pages; i++) {
                        for (int j = 0; j < 100; j++)
                                x = x * 6364136223846793005u + 1442695040888963407u;
                        area[i][round % 512] = x;
                }
        }
        printf("BENCH spin %lu\n", (unsigned long)(__rdtsc() - begin));
        return 0;
}
