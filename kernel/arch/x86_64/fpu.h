/* fpu.h - private to kernel/arch: preparing a CPU's vector state. The rest is in arch/thread_regs.h. */
#pragma once
#include <stdbool.h>
#define XCR0_X87    (1ul << 0)
#define XCR0_SSE    (1ul << 1)
#define XCR0_AVX    (1ul << 2)
#define XCR0_AVX512 (7ul << 5)
void fpu_cpu_init(bool first);
void user_use_vectors(void); /* uaccess.c: long copies to and from user memory go by vector.S */
