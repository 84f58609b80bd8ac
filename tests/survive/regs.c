/*
 * regs.c - running programs: general, x87, SSE and AVX registers, rounding mode and thread pointer hold over any interruption.
 */
#include "tests/survive/survive.h"
#include <stdbool.h>
#include <stddef.h>

struct regs {
        uint64_t general[8];
        uint8_t vector[16][32];
        double x87[4];
};

#define LOAD_GENERAL                                                                                                   \
        "mov 0(%0), %%r8; mov 8(%0), %%r9; mov 16(%0), %%r10; mov 24(%0), %%r11;"                                      \
        "mov 32(%0), %%r12; mov 40(%0), %%r13; mov 48(%0), %%r14; mov 56(%0), %%r15;"
#define STORE_GENERAL                                                                                                  \
        "mov %%r8, 0(%1); mov %%r9, 8(%1); mov %%r10, 16(%1); mov %%r11, 24(%1);"                                      \
        "mov %%r12, 32(%1); mov %%r13, 40(%1); mov %%r14, 48(%1); mov %%r15, 56(%1);"
#define LOAD_X87  "fninit; fldl 576(%0); fldl 584(%0); fldl 592(%0); fldl 600(%0);"
#define STORE_X87 "fstpl 600(%1); fstpl 592(%1); fstpl 584(%1); fstpl 576(%1);"
#define SPIN      "1: dec %2; jnz 1b;"
#define VECTORS(one)                                                                                                   \
        one("0", "64") one("1", "96") one("2", "128") one("3", "160") one("4", "192") one("5", "224") one("6", "256")  \
                one("7", "288") one("8", "320") one("9", "352") one("10", "384") one("11", "416") one("12", "448")     \
                        one("13", "480") one("14", "512") one("15", "544")
#define LOAD_AVX(r, at)  "vmovdqu " at "(%0), %%ymm" r ";"
#define STORE_AVX(r, at) "vmovdqu %%ymm" r ", " at "(%1);"
#define LOAD_SSE(r, at)  "movdqu " at "(%0), %%xmm" r ";"
#define STORE_SSE(r, at) "movdqu %%xmm" r ", " at "(%1);"
#define CLOBBERS                                                                                                       \
        "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",  \
                "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)",  \
                "st(3)", "memory", "cc"

static _Thread_local uint64_t thread_number;

static void check(volatile uint64_t *good, bool avx, uint64_t salt)
{
        struct regs in, out;
        uint64_t spins;
        uint32_t csr;

        for (uint64_t n = salt;; n++) {
                uint32_t rounding = (uint32_t)(n % 4) << 13 | 0x1f80;

                for (size_t i = 0; i < offsetof(struct regs, x87) / 8; i++)
                        ((uint64_t *)(void *)&in)[i] = survive_mix(n * 100 + i);
                for (size_t i = 0; i < 4; i++)
                        in.x87[i] = (double)(n + i) / 3;
                memset(&out, 0, sizeof(out));
                thread_number = n;
                __asm__ volatile("ldmxcsr %0" : : "m"(rounding));
                spins = 500000 + n % 7 * 300000;
                if (avx)
                        __asm__ volatile(LOAD_GENERAL LOAD_X87 VECTORS(LOAD_AVX) SPIN VECTORS(STORE_AVX)
                                                 STORE_X87 STORE_GENERAL "vzeroupper"
                                         : "+r"((void *){&in}), "+r"((void *){&out}), "+r"(spins)
                                         :
                                         : CLOBBERS);
                else
                        __asm__ volatile(LOAD_GENERAL LOAD_X87 VECTORS(LOAD_SSE) SPIN VECTORS(STORE_SSE)
                                                 STORE_X87 STORE_GENERAL
                                         : "+r"((void *){&in}), "+r"((void *){&out}), "+r"(spins)
                                         :
                                         : CLOBBERS);
                __asm__ volatile("stmxcsr %0" : "=m"(csr));
                SAME(csr & 0x6000, rounding & 0x6000);
                MUST(thread_number == n);
                MUST(memcmp(in.general, out.general, sizeof(in.general)) == 0);
                for (size_t i = 0; i < 16; i++)
                        MUST(memcmp(in.vector[i], out.vector[i], avx ? 32 : 16) == 0);
                MUST(memcmp(in.x87, out.x87, sizeof(in.x87)) == 0);
                (*good)++;
                survive_nap(10);
        }
}

static void with_avx(volatile uint64_t *good)
{
        check(good, __builtin_cpu_supports("avx"), 1);
}

static void with_sse(volatile uint64_t *good)
{
        check(good, false, 1000000);
}

int main(void)
{
        survive_begin("regs");
        survive_part(with_avx);
        survive_part(with_sse);
        survive_watch();
}
