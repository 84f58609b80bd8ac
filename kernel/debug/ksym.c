/*
 * ksym.c - addresses to names and back, by the table that the build makes (kernel/include/ksym.h).
 */
#include "kernel/debug/debug.h"
#include "kernel/include/ksym.h"
#include "kernel/lib/string.h"

extern char text_start[], text_end[];

const char *ksym_find(uint64_t addr, uint64_t *offset)
{
        unsigned lo = 0, hi = ksyms_count;

        if (addr < (uint64_t)text_start || addr >= (uint64_t)text_end)
                return NULL;
        while (lo < hi) { /* first entry above addr */
                unsigned mid = (lo + hi) / 2;
                if (ksyms[mid].addr <= addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        if (!lo)
                return NULL;
        *offset = addr - ksyms[lo - 1].addr;
        return ksyms[lo - 1].name;
}

uint64_t ksym_by_name(const char *name)
{
        for (unsigned i = 0; i < ksyms_count; i++) {
                if (!strcmp(ksyms[i].name, name))
                        return ksyms[i].addr;
        }
        return 0;
}
