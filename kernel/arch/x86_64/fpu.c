/*
 * fpu.c - x87, SSE, AVX state of user threads. The kernel itself is built with general registers only, so the state stays in the
 * registers through system calls and interrupts, and is saved when another thread is to run.
 *
 * Save areas are persistent: the standard (not compacted) XSAVE format, whose layout CPUID fixes, or FXSAVE's 512 bytes. XSAVEOPT leaves
 * out what has not changed since the last XRSTOR *from that same address*; areas move with threads between CPUs, and the processor
 * tracks address and modification itself (SDM 1, 13.11), so this is safe.
 */
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/fpu.h"
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/lib/string.h"

#define FXSAVE_SIZE   512
#define XSAVE_MIN     576
#define FCW_DEFAULT   0x37f
#define MXCSR_DEFAULT 0x1f80

static uint64_t xcr0;
static size_t area_size = FXSAVE_SIZE;
static uint32_t mxcsr_mask;

struct legacy_area {
        uint16_t fcw, fsw;
        uint8_t ftw, reserved;
        uint16_t fop;
        uint64_t fip, fdp;
        uint32_t mxcsr, mxcsr_mask;
        uint8_t registers[480];
};
struct xsave_header {
        uint64_t features, compaction, reserved[6];
};
_Static_assert(sizeof(struct legacy_area) == FXSAVE_SIZE, "SDM 1, 10.5.1");

void fpu_cpu_init(bool first)
{
        __asm__ volatile("fninit");
        __asm__ volatile("ldmxcsr %0" ::"m"((uint32_t){MXCSR_DEFAULT}));
        if (cpu_features.xsave) {
                if (first) {
                        struct cpuid r = cpuid(0xd, 0);
                        xcr0 = XCR0_X87 | XCR0_SSE | (r.a & XCR0_AVX);
                        if ((xcr0 & XCR0_AVX) && (r.a & XCR0_AVX512) == XCR0_AVX512)
                                xcr0 |= XCR0_AVX512;
                }
                __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32)));
                if (first)
                        area_size = cpuid(0xd, 0).b;
        } else if (first) {
                xcr0 = XCR0_X87 | XCR0_SSE;
        }
        if (first) {
                static struct legacy_area probe __attribute__((aligned(16)));
                __asm__ volatile("fxsave64 %0" : "=m"(probe));
                mxcsr_mask = probe.mxcsr_mask ? probe.mxcsr_mask : 0xffbf; /* SDM 1, 11.6.6 */
        }
}

void fpu_cpu_follow(void)
{
        if (cpu_features.xsave)
                __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32)));
        else
                write_cr(4, read_cr(4) & ~(uint64_t)CR4_OSXSAVE);
        if (!(xcr0 & XCR0_AVX))
                cpu_this()->vec_busy = 0xff;
}

int fpu_limit(uint64_t features, size_t size)
{
        if (features & ~xcr0)
                return -EOPNOTSUPP;
        if (size == FXSAVE_SIZE) /* the areas have no place for XSAVE's header */
                cpu_features.xsave = cpu_features.xsaveopt = false;
        xcr0 = features;
        fpu_cpu_follow();
        area_size = cpu_features.xsave ? cpuid(0xd, 0).b : FXSAVE_SIZE;
        return area_size == size ? 0 : -EOPNOTSUPP;
}

size_t fpu_size(void)
{
        return area_size;
}

uint64_t fpu_features(void)
{
        return xcr0;
}

void fpu_init_area(void *area)
{
        struct legacy_area *l = area;

        memset(area, 0, area_size);
        l->fcw = FCW_DEFAULT;
        l->mxcsr = MXCSR_DEFAULT;
        l->mxcsr_mask = mxcsr_mask;
}

void fpu_save(void *area)
{
        if (cpu_features.xsaveopt)
                __asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32))
                                 : "memory");
        else if (cpu_features.xsave)
                __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32))
                                 : "memory");
        else
                __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void fpu_save_whole(void *area)
{
        if (cpu_features.xsave)
                __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32))
                                 : "memory");
        else
                __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void fpu_restore(const void *area)
{
        if (cpu_features.xsave)
                __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32))
                                 : "memory");
        else
                __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

bool fpu_sanitize(void *area)
{
        struct legacy_area *l = area;

        if (l->mxcsr & ~mxcsr_mask)
                return false;
        if (cpu_features.xsave) {
                struct xsave_header *h = (void *)((char *)area + FXSAVE_SIZE);
                if (h->features & ~xcr0)
                        return false;
                if (h->compaction)
                        return false;
                for (unsigned i = 0; i < ARRAY_SIZE(h->reserved); i++) {
                        if (h->reserved[i])
                                return false;
                }
        }
        return true;
}
