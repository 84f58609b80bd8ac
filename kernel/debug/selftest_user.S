/*
 * selftest_user.S - programs that the self-test runs in user mode; copied to a page, position-independent. They report by system calls:
 * number 1000 ends with a result in %rdi, 39 comes back with 7.
 */
        .section .rodata
        .globl  selftest_user, selftest_user_end
        .globl  user_registers, selftest_user_fault, user_single_step, user_spin, user_syscall_cost

selftest_user:
/* All registers survive a system call, but rax, rcx, r11. */
user_registers:
        mov     $1, %ebx
        mov     $2, %ebp
        mov     $3, %r12d
        mov     $4, %r13d
        mov     $5, %r14d
        mov     $6, %r15d
        mov     $7, %edi
        mov     $8, %esi
        mov     $9, %edx
        mov     $10, %r8d
        mov     $11, %r9d
        mov     $12, %r10d
        mov     $0x123456789abcdef, %rax
        movq    %rax, %xmm5
        mov     $39, %eax
        syscall
        add     %rbx, %rax
        add     %rbp, %rax
        add     %r12, %rax
        add     %r13, %rax
        add     %r14, %rax
        add     %r15, %rax
        add     %rdi, %rax
        add     %rsi, %rax
        add     %rdx, %rax
        add     %r8, %rax
        add     %r9, %rax
        add     %r10, %rax              /* 78 + 7 */
        movq    %xmm5, %rdi
        mov     $0x123456789abcdef, %rsi
        sub     %rsi, %rdi
        add     %rax, %rdi
        mov     $1000, %eax
        syscall

/* TSC ticks of one trivial system call, the loop's own subtracted. */
user_syscall_cost:
        rdtsc
        mov     %eax, %r12d
        rdtsc
        sub     %r12d, %eax
        mov     %eax, %r13d
        rdtsc
        mov     %eax, %r12d
        mov     $39, %eax
        syscall
        rdtsc
        sub     %r12d, %eax
        sub     %r13d, %eax
        sub     $2, %eax                /* mov, syscall */
        mov     %eax, %edi
        mov     $1000, %eax
        syscall

/* Stores to the address in %rdi. */
selftest_user_fault:
        movq    $42, (%rdi)
        mov     (%rdi), %rdi
        mov     $1000, %eax
        syscall

/* The trap flag: a #DB after the next instruction. */
user_single_step:
        pushfq
        orq     $0x100, (%rsp)
        popfq
        nop
        mov     $1000, %eax
        syscall

/* Counts in %rdi until an interrupt's hook takes it away. */
user_spin:
        xor     %edi, %edi
1:      inc     %rdi
        jmp     1b
selftest_user_end:
        .section .note.GNU-stack, "", @progbits
