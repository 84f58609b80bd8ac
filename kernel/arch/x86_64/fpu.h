/* fpu.h - private to kernel/arch: preparing a CPU's vector state. The rest is in arch/thread_regs.h. */
#pragma once
#include <stdbool.h>
void fpu_cpu_init(bool first);
