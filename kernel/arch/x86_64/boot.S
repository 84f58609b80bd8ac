/*
 * boot.S - the kernel's first instructions: multiboot2 header, 32-bit entry, the step into long mode.
 * GRUB enters at the physical address of boot_entry with paging off, %eax = magic, %ebx = information block (below 4 GiB, on UEFI
 * often below 1 MiB). The page tables made here map the first 4 GiB twice (identity, direct map) and the image, everything
 * writable and executable: they live until paging_init. A processor without long mode gets a message, not a triple fault.
 */
#include "kernel/arch/x86_64/x86.h"

#define PHYS(x) ((x) - 0xffffffff80000000)
#define MULTIBOOT2_MAGIC 0xe85250d6
#define COM1 0x3f8

        .section .multiboot, "a"
        .balign 8
header:
        .long MULTIBOOT2_MAGIC, 0, header_end - header
        .long -(MULTIBOOT2_MAGIC + 0 + (header_end - header))
        .balign 8
        .short 5, 1                     /* frame buffer, optional */
        .long 20, 1024, 768, 32
        .balign 8
        .short 6, 1                     /* modules on page boundaries */
        .long 8
        .balign 8
        .short 0, 0
        .long 8
header_end:

        .section .boot, "ax"
        .code32
        .globl boot_entry
boot_entry:
        cli
        cld
        mov     %eax, %ebp
        mov     %ebx, %esi
        mov     $PHYS(boot_stack_end), %esp

        cmp     $0x36d76289, %ebp
        jne     not_multiboot

        pushfl                          /* CPUID exists if flag ID can be changed */
        popl    %eax
        mov     %eax, %ecx
        xor     $0x200000, %eax
        pushl   %eax
        popfl
        pushfl
        popl    %eax
        cmp     %eax, %ecx
        je      no_long_mode
        rdtsc
        mov     %eax, PHYS(boot_entry_tsc)
        mov     %edx, PHYS(boot_entry_tsc) + 4
        mov     $0x80000000, %eax
        cpuid
        cmp     $0x80000001, %eax
        jb      no_long_mode
        mov     $0x80000001, %eax
        cpuid
        test    $(1 << 29), %edx
        jz      no_long_mode

        /* boot_pd[0..3]: 2 MiB pages over 4 GiB. */
        mov     $PHYS(boot_pd), %edi
        mov     $0x83, %eax
        mov     $2048, %ecx
1:      mov     %eax, (%edi)
        add     $0x200000, %eax
        add     $8, %edi
        dec     %ecx
        jnz     1b
        movl    $PHYS(boot_pd) + 0x0003, PHYS(boot_pdpt_low)
        movl    $PHYS(boot_pd) + 0x1003, PHYS(boot_pdpt_low) + 8
        movl    $PHYS(boot_pd) + 0x2003, PHYS(boot_pdpt_low) + 16
        movl    $PHYS(boot_pd) + 0x3003, PHYS(boot_pdpt_low) + 24
        movl    $PHYS(boot_pd) + 3, PHYS(boot_pdpt_high) + 510 * 8
        movl    $PHYS(boot_pdpt_low) + 3, PHYS(boot_pml4)
        movl    $PHYS(boot_pdpt_low) + 3, PHYS(boot_pml4) + 256 * 8
        movl    $PHYS(boot_pdpt_high) + 3, PHYS(boot_pml4) + 511 * 8

        mov     $CR4_PAE, %eax
        mov     %eax, %cr4
        mov     $PHYS(boot_pml4), %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        rdmsr
        or      $EFER_LME, %eax
        wrmsr
        mov     $(CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE), %eax
        mov     %eax, %cr0
        lgdt    PHYS(boot_gdt_pointer)
        ljmp    $SEL_KERNEL_CS, $PHYS(in_long_mode)

        .code64
in_long_mode:
        mov     $SEL_KERNEL_DS, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        xor     %eax, %eax
        mov     %eax, %fs
        mov     %eax, %gs
        mov     $1f, %rax
        jmp     *%rax
1:      mov     $boot_stack_end, %rsp
        mov     %esi, %edi
        xor     %ebp, %ebp
        call    early_main
        ud2

        .code32
not_multiboot:
        xor     %ebx, %ebx
        mov     $PHYS(text_not_multiboot), %esi
        jmp     refuse
no_long_mode:
        mov     %esi, %ebx
        mov     $PHYS(text_no_long_mode), %esi

/* Shows the text at %esi on COM1 and on the screen, and stops. %ebx: the loader's block, 0 if there is none. */
refuse:
        push    %esi
        mov     $COM1 + 3, %dx          /* 115200 8n1 */
        mov     $0x80, %al
        outb    %al, %dx
        mov     $COM1, %dx
        mov     $1, %al
        outb    %al, %dx
        mov     $COM1 + 1, %dx
        xor     %eax, %eax
        outb    %al, %dx
        mov     $COM1 + 3, %dx
        mov     $3, %al
        outb    %al, %dx
1:      mov     $100000, %ecx           /* there may be no port: wait with a bound */
2:      mov     $COM1 + 5, %dx
        inb     %dx, %al
        test    $0x20, %al
        loopz   2b
        lodsb
        test    %al, %al
        jz      3f
        mov     $COM1, %dx
        outb    %al, %dx
        jmp     1b
3:      pop     %esi
        test    %ebx, %ebx
        jz      stop
        mov     (%ebx), %ecx            /* the block's end */
        add     %ebx, %ecx
        add     $8, %ebx
4:      cmp     %ecx, %ebx              /* tag 8 is the frame buffer */
        jae     stop
        mov     (%ebx), %eax
        test    %eax, %eax
        jz      stop
        cmp     $8, %eax
        je      5f
        mov     4(%ebx), %eax
        add     $7, %eax
        and     $~7, %eax
        add     %eax, %ebx
        jmp     4b
5:      cmpb    $2, 29(%ebx)            /* type: 2 is VGA text */
        je      text_screen
        cmpb    $1, 29(%ebx)
        jne     stop
        cmpb    $32, 28(%ebx)           /* bits a pixel */
        jne     stop
        cmpl    $0, 12(%ebx)
        jne     stop
        mov     8(%ebx), %edi
        mov     16(%ebx), %ebp          /* bytes a row */

/* Seven rows of five points, each point 2x2 pixels. */
6:      lodsb
        cmp     $' ', %al
        jb      stop
        cmp     $'a', %al
        jb      7f
        sub     $32, %al
7:      movzbl  %al, %eax
        lea     PHYS(early_font) - 32 * 8(, %eax, 8), %ebx
        mov     $7, %ch
        push    %edi
8:      mov     (%ebx), %al
        mov     $5, %cl
        push    %edi
9:      mov     $0, %edx
        test    $0x10, %al
        jz      10f
        dec     %edx
10:     mov     %edx, (%edi)
        mov     %edx, 4(%edi)
        mov     %edx, (%edi, %ebp)
        mov     %edx, 4(%edi, %ebp)
        add     $8, %edi
        shl     %al
        dec     %cl
        jnz     9b
        pop     %edi
        lea     (%edi, %ebp, 2), %edi
        inc     %ebx
        dec     %ch
        jnz     8b
        pop     %edi
        add     $12 * 4, %edi
        jmp     6b

text_screen:
        mov     $0xb8000, %edi
        mov     $0x4f, %ah
1:      lodsb
        cmp     $' ', %al
        jb      stop
        stosw
        jmp     1b

stop:   hlt
        jmp     stop

text_no_long_mode:
        .asciz "Phantom: this processor cannot run 64-bit code (no long mode). Stopped.\r\n"
text_not_multiboot:
        .asciz "Phantom: not started by a multiboot2 loader. Stopped.\r\n"

        .balign 8
boot_gdt:
        .quad   0, 0
        .quad   0x00af9b000000ffff      /* SEL_KERNEL_CS */
        .quad   0x00cf93000000ffff      /* SEL_KERNEL_DS */
boot_gdt_end:
boot_gdt_pointer:
        .short  boot_gdt_end - boot_gdt - 1
        .long   PHYS(boot_gdt)

        .section .data
        .globl  boot_entry_tsc
        .balign 8
boot_entry_tsc:
        .quad   0

        .section .init.bss, "aw", @nobits
        .balign 4096
boot_pml4:
        .skip   4096
boot_pdpt_low:
        .skip   4096
boot_pdpt_high:
        .skip   4096
boot_pd:
        .skip   4 * 4096
boot_stack:
        .skip   8192
boot_stack_end:
        .section .note.GNU-stack, "", @progbits
