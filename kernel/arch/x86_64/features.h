/* features.h - what the processor can do, found once by the boot CPU. Private to kernel/arch. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cpu_features {
        bool nx, cx16, sse3, sse42, pge, smep, smap, umip, xsave, xsaveopt, fsgsbase, erms, rdrand, rdseed, x2apic,
                tsc_deadline, invariant_tsc, popcnt, avx, pks;
        uint32_t max_leaf, max_ext, physical_bits;
};
extern struct cpu_features cpu_features;
