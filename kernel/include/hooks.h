/*
 * hooks.h - where the machine layer calls up. Set once by kernel/init before interrupts are enabled: the composition root
 * wires them, so that kernel/arch includes neither persist nor posix.
 */
#pragma once
#include "kernel/include/cpu.h"
struct kernel_hooks {
        /* entry.S / trap.c, interrupts on, on the CPU's stack, frame at its top. None of them returns: they end in arch_return_to_user. */
        void (*syscall)(struct frame *f);
        void (*user_fault)(struct frame *f, uint64_t addr, uint64_t err);  /* page fault from user mode */
        void (*user_trap)(struct frame *f, unsigned vector, uint64_t err); /* other exceptions from user mode */
        void (*user_irq_return)(struct frame *f); /* after an interrupt from user mode when cpu->need != 0 */
        /* Ring-0 page fault on an arena address; interrupts as they were. true: retry the instruction. May not return (abandon). */
        bool (*arena_fault)(uint64_t addr, uint64_t err, struct frame *f);
        void (*tick)(void);         /* scheduler tick of this CPU, interrupt context */
        void (*cpu_start)(void);    /* an AP is up: becomes the scheduler loop, does not return */
        void (*power_button)(void); /* it was pressed; a work item, before the section's first change; may be NULL */
        void (*changes)(void);      /* marks the first change of the running section, for work items of drivers */
};
extern struct kernel_hooks hooks;
