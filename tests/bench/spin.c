/*
 * spin.c - a program that works: what does the barrier cost it? Writes in turn to PAGES pages, ROUNDS times, a little arithmetic between,
 * and prints the ticks of the time stamp counter that took. Run with and without barriers; under -icount ticks are instructions.
 */
#include <stdint.h>
#include <stdio.h>
#include <x86intrin.h>

#define PAGES  16
#define ROUNDS 20000

static volatile uint64_t area[PAGES][512];

int main(void)
{
        uint64_t begin, x = 1;

        for (int i = 0; i < PAGES; i++)
                area[i][0] = i;
        begin = __rdtsc();
        for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < PAGES; i++) {
                        for (int j = 0; j < 100; j++)
                                x = x * 6364136223846793005u + 1442695040888963407u;
                        area[i][round % 512] = x;
                }
        }
        printf("BENCH spin %lu\n", (unsigned long)(__rdtsc() - begin));
        return 0;
}
