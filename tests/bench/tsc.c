/*
 * tsc.c - prints the time stamp counter. It stands in the prompt of the shell that is measured, and marks the first prompt for the plugin
 * that counts instructions (tests/tools/count.c) by an instruction that does nothing and that no compiler makes.
 */
#include <stdio.h>
#include <x86intrin.h>

int main(void)
{
        __asm__ volatile("xchg %bx, %bx");
        printf("%llu", __rdtsc());
        return 0;
}
