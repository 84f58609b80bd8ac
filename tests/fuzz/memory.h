/*
 * memory.h - what the fuzzers measure memory by.
 */
#pragma once
#include <stdio.h>

/* Free memory in kB, of meminfo; -1: it cannot be read. */
static inline long mem_free_kb(void)
{
        FILE *f = fopen("/proc/meminfo", "r");
        char line[128];
        long kb = -1;

        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "MemFree: %ld", &kb) == 1)
                        break;
        if (f)
                fclose(f);
        return kb;
}
