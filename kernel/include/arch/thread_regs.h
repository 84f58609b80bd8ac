/*
 * thread_regs.h - machine state of a user thread beyond struct frame. The save area is persistent memory given by the caller,
 * 64-byte aligned, fpu_size() bytes (XSAVE standard format; FXSAVE where there is no XSAVE).
 */
#pragma once
#include "kernel/include/cpu.h"
size_t fpu_size(void);
uint64_t fpu_features(void); /* XCR0 as shown to user mode */
/*
 * Areas are from another machine, whose figures these were: this one does as that one did. Boot CPU, before threads; every CPU calls fpu_cpu_follow() before its first one. 0, or -EOPNOTSUPP:
 * this processor cannot (then no thread may run).
 */
int fpu_limit(uint64_t features, size_t size);
void fpu_cpu_follow(void);
void fpu_init_area(void *area); /* initial state */
void fpu_save(void *area);
void fpu_save_whole(
        void *area); /* every component is written, also those in their initial state: for areas that user mode will read */
void fpu_restore(const void *area); /* area is kernel-made or passed fpu_sanitize */
bool fpu_sanitize(void *area);      /* user-supplied header: false when it cannot be loaded */
void fs_base_set(uint64_t base);    /* this CPU now */
void gs_base_user_set(uint64_t base);
bool addr_canonical(uint64_t va);
/* Leaves the kernel: loads cpu->frame's registers from f and returns to user mode (sysret when possible, else iret). */
noreturn void arch_return_to_user(const struct frame *f);
/* Forgets everything on this CPU's stack and calls fn on its top: how a section is abandoned and a thread is left. */
noreturn void arch_stack_reset(void (*fn)(void *), void *arg);
/*
 * For workers. stack_park keeps what a call preserves on the current stack, writes that stack's pointer to *saved and calls fn (which does not
 * return) on top of this CPU's own; stack_resume makes that stack_park return. stack_start begins on a new stack, given its end.
 */
void stack_park(uint64_t *saved, void (*fn)(void));
noreturn void stack_resume(uint64_t saved);
noreturn void stack_start(uint64_t top, void (*fn)(void *), void *arg);
/* Sleeps until an interrupt with interrupts enabled atomically; returns with interrupts on. */
void arch_idle(void);
uint32_t arch_hwcap(void); /* AT_HWCAP: CPUID.1:EDX */
/*
 * QEMU before 8.0, when it translates for a machine of one CPU, leaves barriers and the locks of instructions out, though its devices run beside that CPU (its commit "tcg: Do not elide memory barriers for
 * !CF_PARALLEL in system mode"): a store may pass a later load of what a device has written. Any access to a device is a barrier there.
 */
bool arch_barriers_are_elided(void);
struct cpu_identity {
        char vendor[16], model[64];
        uint32_t family, model_nr, stepping;
        uint64_t khz;
        char flags[768];
};
void arch_cpu_identity(struct cpu_identity *id);
