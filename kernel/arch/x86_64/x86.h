/*
 * x86.h - the processor's words: control register bits, MSRs, selectors, vectors, one-instruction wrappers. Private to kernel/arch
 * (and the boot code of kernel/irq and kernel/time that stands on it). Used by assembly too.
 */
#pragma once

#define SEL_KERNEL_CS 0x10
#define SEL_KERNEL_DS 0x18
#define SEL_USER32_CS 0x23
#define SEL_USER_DS   0x2b /* these two as on Linux: programs see them in signal frames */
#define SEL_USER_CS   0x33
#define SEL_TSS       0x40

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_EM (1 << 2)
#define CR0_TS (1 << 3)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_AM (1 << 18)
#define CR0_NW (1 << 29)
#define CR0_CD (1 << 30)
#define CR0_PG (1 << 31)

#define CR4_PAE        (1 << 5)
#define CR4_MCE        (1 << 6)
#define CR4_PGE        (1 << 7)
#define CR4_OSFXSR     (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define CR4_UMIP       (1 << 11)
#define CR4_OSXSAVE    (1 << 18)
#define CR4_SMEP       (1 << 20)
#define CR4_SMAP       (1 << 21)
#define CR4_PKS        (1 << 24)

#define MSR_APIC_BASE    0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_PAT          0x277
#define MSR_X2APIC       0x800
#define MSR_PKRS         0x6e1
#define MSR_EFER         0xc0000080
#define MSR_STAR         0xc0000081
#define MSR_LSTAR        0xc0000082
#define MSR_CSTAR        0xc0000083
#define MSR_SFMASK       0xc0000084
#define MSR_FS_BASE      0xc0000100
#define MSR_GS_BASE      0xc0000101
#define MSR_KERNEL_GS    0xc0000102
#define EFER_SCE         (1 << 0)
#define EFER_LME         (1 << 8)
#define EFER_LMA         (1 << 10)
#define EFER_NXE         (1 << 11)

#define RFLAGS_CF   0x1
#define RFLAGS_ONE  0x2
#define RFLAGS_TF   0x100
#define RFLAGS_IF   0x200
#define RFLAGS_DF   0x400
#define RFLAGS_IOPL 0x3000
#define RFLAGS_NT   0x4000
#define RFLAGS_RF   0x10000
#define RFLAGS_AC   0x40000

#define VECTOR_DB  1
#define VECTOR_NMI 2
#define VECTOR_BP  3
#define VECTOR_OF  4
#define VECTOR_UD  6
#define VECTOR_NM  7
#define VECTOR_DF  8
#define VECTOR_GP  13
#define VECTOR_PF  14
#define VECTOR_MC  18

/* 0x20..0x2f: the 8259s, masked; a spurious one may still come. Devices have 0x30..0xdf. */
#define VECTOR_PIC      0x20
#define VECTOR_DEVICE   0x30
#define VECTOR_DEVICES  0xb0
#define VECTOR_TIMER    0xf0
#define VECTOR_RESCHED  0xf1
#define VECTOR_TLB      0xf2
#define VECTOR_SPURIOUS 0xff

/* Offsets in struct cpu, checked in cpu.c. */
#define CPU_STACK_TOP 8
#define CPU_SCRATCH   16
#define CPU_NEED      48
#define CPU_FRAME     72
#define CPU_VEC_BUSY  88
#define CPU_VEC_SAVE  128

#define PTE_P    (1ul << 0)
#define PTE_W    (1ul << 1)
#define PTE_U    (1ul << 2)
#define PTE_PWT  (1ul << 3)
#define PTE_PCD  (1ul << 4)
#define PTE_A    (1ul << 5)
#define PTE_D    (1ul << 6)
#define PTE_PS   (1ul << 7)
#define PTE_G    (1ul << 8)
#define PTE_NX   (1ul << 63)
#define PTE_KEY1 (1ul << 59) /* protection key 1: the space */
#define PF_KEY   32          /* error code: a protection key forbade it */
#define PTE_PA   0x000ffffffffff000ul
/* PAT as set in cpu_init: index 1 (PWT alone) is write-combining, 3 is uncached. */
#define PTE_WC PTE_PWT
#define PTE_UC (PTE_PCD | PTE_PWT)

#ifndef __ASSEMBLY__
#include "kernel/include/types.h"
#include "kernel/include/arch/io.h"

static inline uint64_t rdmsr(uint32_t msr)
{
        uint32_t lo, hi;
        __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
        return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
        __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
struct cpuid {
        uint32_t a, b, c, d;
};
static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
        struct cpuid r;
        __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
        return r;
}
#define read_cr(n)                                                                                                     \
        ({                                                                                                             \
                uint64_t _v;                                                                                           \
                __asm__ volatile("mov %%cr" #n ", %0" : "=r"(_v));                                                     \
                _v;                                                                                                    \
        })
#define write_cr(n, v) __asm__ volatile("mov %0, %%cr" #n ::"r"((uint64_t)(v)) : "memory")
#define DR6_CLEAR      0xffff0ff0ul
static inline void write_dr6(uint64_t v)
{
        __asm__ volatile("mov %0, %%dr6" ::"r"(v));
}
static inline void invlpg(uint64_t va)
{
        __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}
static inline void irq_enable(void)
{
        __asm__ volatile("sti" ::: "memory");
}
static inline void irq_disable(void)
{
        __asm__ volatile("cli" ::: "memory");
}
static inline bool irq_enabled(void)
{
        uint64_t f;
        __asm__ volatile("pushfq; popq %0" : "=r"(f));
        return f & RFLAGS_IF;
}
#endif
