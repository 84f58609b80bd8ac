/*
 * trampoline.S - where the other CPUs begin: 16-bit code, copied by smp.c to a page below 640 KiB, started there by a startup IPI with
 * %cs = page / 16. It finds everything in the words at its end, which smp.c fills in for one CPU at a time.
 */
#include "kernel/arch/x86_64/x86.h"

#define AT(label) ((label) - trampoline_start)

        .section .rodata
        .globl  trampoline_start, trampoline_end, trampoline_words
        .code16
        .balign 16
trampoline_start:
        cli
        cld
        mov     %cs, %ax
        mov     %ax, %ds
        movzwl  %ax, %ebx
        shl     $4, %ebx                /* physical address of this page */
        lea     AT(gdt)(%ebx), %eax
        mov     %eax, AT(gdt_pointer) + 2
        lea     AT(in_32)(%ebx), %eax
        mov     %eax, AT(jump_32)
        lea     AT(in_64)(%ebx), %eax
        mov     %eax, AT(jump_64)
        lgdtl   AT(gdt_pointer)
        mov     $(CR0_PE | CR0_NE | CR0_MP), %eax
        mov     %eax, %cr0
        ljmpl   *AT(jump_32)

        .code32
in_32:
        mov     $SEL_KERNEL_DS, %eax
        mov     %eax, %ds
        mov     %eax, %ss
        mov     $CR4_PAE, %eax
        mov     %eax, %cr4
        mov     AT(word_cr3)(%ebx), %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        rdmsr
        or      $(EFER_LME | EFER_NXE), %eax
        wrmsr
        mov     $(CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE), %eax
        mov     %eax, %cr0
        ljmpl   *AT(jump_64)(%ebx)

        .code64
in_64:
        mov     %ebx, %ebx
        mov     AT(word_stack)(%rbx), %rsp
        mov     AT(word_id)(%rbx), %rdi
        mov     AT(word_entry)(%rbx), %rax
        xor     %ebp, %ebp
        call    *%rax
        ud2

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* 0x08: 32-bit code */
        .quad   0x00af9b000000ffff      /* SEL_KERNEL_CS */
        .quad   0x00cf93000000ffff      /* SEL_KERNEL_DS */
gdt_end:
gdt_pointer:
        .short  gdt_end - gdt - 1
        .long   0
jump_32:
        .long   0
        .short  0x08
jump_64:
        .long   0
        .short  SEL_KERNEL_CS
        .balign 8
trampoline_words:
word_cr3:       .quad 0
word_stack:     .quad 0
word_id:        .quad 0
word_entry:     .quad 0
trampoline_end:
        .section .note.GNU-stack, "", @progbits
