/*
 * entry.S - the ways into the kernel and out of it: system call, exceptions, interrupts, return to user mode.
 *
 * Every entry from user mode builds a struct frame at the top of the CPU's stack (%gs:CPU_STACK_TOP), so that it stands at a fixed place;
 * an entry from the kernel builds one where the stack is. %gs is the kernel's whenever interrupts can be on in ring 0. Where it may not
 * be (first and last instructions of the entries) only NMI, #DB and #MC can strike: these run on stacks of their own and look at the
 * base register itself. User GS bases are always in the lower half, so its sign tells whose it is.
 */
#include "kernel/arch/x86_64/x86.h"
#include "kernel/arch/x86_64/asm.h"

        .section .text.entry, "ax"

.macro push_regs
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rax
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
.endm

.macro pop_regs
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
.endm

/* SFMASK has cleared IF, DF, TF, AC, NT. The arguments stay in their registers and in the frame. */
        .globl  syscall_entry
        .balign 16
syscall_entry:
        swapgs
        mov     %rsp, %gs:CPU_SCRATCH
        mov     %gs:CPU_STACK_TOP, %rsp
        push    $SEL_USER_DS
        push    %gs:CPU_SCRATCH
        push    %r11
        push    $SEL_USER_CS
        push    %rcx
        push    $0
        push    %rax
        push_regs
        mov     %rsp, %rdi
        xor     %ebp, %ebp
        sti
        call    *hooks + 0              /* hooks.syscall: never comes back */
        ud2

/*
 * noreturn void arch_return_to_user(const struct frame *f): thread_regs.h. Ordinarily f is the frame at the top of this CPU's stack.
 * `need` is looked at with interrupts off, so that no request is left behind until the next entry.
 * sysret when it gives what the frame says: it takes rip from rcx, flags from r11 and fixed selectors. With a non-canonical rip sysret
 * faults in ring 0 on the user's stack (Intel), so rip must be below USER_TOP; flags TF and RF make it lose a debug trap.
 */
        .globl  arch_return_to_user
        .balign 16
arch_return_to_user:
        cli
        cmp     %rdi, %gs:CPU_FRAME
        jne     1f
        cmpl    $0, %gs:CPU_NEED
        jne     1f
        mov     %rdi, %rsp
        mov     FRAME_RIP(%rsp), %rcx
        mov     FRAME_RFLAGS(%rsp), %r11
        cmp     %rcx, FRAME_RCX(%rsp)
        jne     return_iret
        cmp     %r11, FRAME_R11(%rsp)
        jne     return_iret
        test    $(RFLAGS_TF | RFLAGS_RF), %r11d
        jnz     return_iret
        mov     %rcx, %rax
        shr     $47, %rax
        jnz     return_iret
        cmpq    $SEL_USER_CS, FRAME_CS(%rsp)
        jne     return_iret
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        add     $8, %rsp
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        add     $8, %rsp
        pop     %rdx
        pop     %rsi
        pop     %rdi
        mov     40(%rsp), %rsp
        swapgs
        sysretq

1:      call    return_slow             /* comes back here with the frame in place, interrupts off and nothing needed; or not at all */
        mov     %rax, %rdi
        jmp     arch_return_to_user

return_iret:
        pop_regs
        add     $16, %rsp
        swapgs
        .globl  return_iretq
return_iretq:
        iretq

/* Back to ring 0. */
return_kernel:
        pop_regs
        add     $16, %rsp
        iretq

/* Exceptions and interrupts: number and error code are pushed, here is the rest. */
        .balign 16
trap_common:
        movl    $1, 4(%rsp)             /* FRAME_TRAP */
        testb   $3, 24(%rsp)
        jz      trap_kernel
        swapgs
trap_user:
        push_regs
        SMAP_CLAC
        cld
        mov     %rsp, %rdi
        xor     %ebp, %ebp
        call    trap_from_user          /* comes back with interrupts off when the thread may just go on */
        mov     %rsp, %rdi
        jmp     return_iret

trap_kernel:
        push_regs
        SMAP_CLAC
        cld
        mov     %rsp, %rdi
        lea     1(%rsp), %rbp            /* odd: backtrace finds a frame here */
        call    trap_from_kernel
        jmp     return_kernel

/*
 * #GP, #SS and #NP may be iretq's own, when the user's frame is bad: then %gs is already the user's, and the fault belongs to the
 * user's instruction. The frame that iretq was reading becomes the trap frame again; below it the number and the error code.
 */
trap_maybe_iret:
        cmpq    $return_iretq, 16(%rsp)
        jne     trap_common
        testb   $3, 24(%rsp)
        jnz     trap_common
        swapgs
        push    %rax
        push    %rbx
        mov     %gs:CPU_STACK_TOP, %rbx
        mov     16(%rsp), %rax
        mov     %rax, -56(%rbx)
        mov     24(%rsp), %rax
        mov     %rax, -48(%rbx)
        mov     8(%rsp), %rax
        mov     (%rsp), %rbx
        mov     %gs:CPU_STACK_TOP, %rsp
        sub     $56, %rsp
        movl    $1, 4(%rsp)
        jmp     trap_user

/*
 * NMI, #DF, #MC, and #DB from ring 0: on their own stacks, %gs looked up. They never leave to anywhere else.
 */
trap_paranoid:
        movl    $1, 4(%rsp)
        push_regs
        SMAP_CLAC
        cld
        mov     $MSR_GS_BASE, %ecx
        rdmsr
        xor     %ebx, %ebx
        test    %edx, %edx
        js      1f
        swapgs
        inc     %ebx
1:      mov     %rsp, %rdi
        lea     1(%rsp), %rbp            /* odd: backtrace finds a frame here */
        call    trap_on_ist
        test    %ebx, %ebx
        jz      return_kernel
        swapgs
        jmp     return_kernel

/* #DB from user mode goes the ordinary way: its seven words move to the CPU's stack. */
trap_debug:
        testb   $3, 24(%rsp)
        jz      trap_paranoid
        swapgs
        mov     %rax, %gs:CPU_SCRATCH
        mov     %rsp, %rax
        mov     %gs:CPU_STACK_TOP, %rsp
        push    48(%rax)
        push    40(%rax)
        push    32(%rax)
        push    24(%rax)
        push    16(%rax)
        push    8(%rax)
        push    (%rax)
        mov     %gs:CPU_SCRATCH, %rax
        movl    $1, 4(%rsp)
        jmp     trap_user

/* One stub of 16 bytes for each vector. */
        .balign 16
        .globl  trap_stubs
trap_stubs:
        vector = 0
        .rept   256
        .balign 16
        /* 8, 10..14, 17, 21, 29, 30 bring an error code. */
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
        push    $0
        .endif
        push    $vector
        .if vector == VECTOR_DB
        jmp     trap_debug
        .elseif vector == VECTOR_NMI || vector == VECTOR_DF || vector == VECTOR_MC
        jmp     trap_paranoid
        .elseif vector >= 11 && vector <= 13
        jmp     trap_maybe_iret
        .else
        jmp     trap_common
        .endif
        vector = vector + 1
        .endr

/* Stacks: contracts in thread_regs.h. */
        .text
        .globl  stack_start, stack_park, stack_resume
stack_start:
        mov     %rdi, %rsp
        mov     %rdx, %rdi
        xor     %ebp, %ebp
        call    *%rsi
        ud2
stack_park:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, (%rdi)
        mov     %gs:CPU_FRAME, %rsp
        xor     %ebp, %ebp
        call    *%rsi
        ud2
stack_resume:
        mov     %rdi, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret
        .section .note.GNU-stack, "", @progbits
