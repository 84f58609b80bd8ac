/*
 * vector.S - with 32-byte registers, for processors with AVX: comparing pages, and, for those without a fast `rep movs` (ERMS), long moves and fills. A user thread's vector
 * registers are live in the kernel: the ones used are saved in struct cpu and put back at the end; `vec_busy` says how many. Whoever finds
 * them busy (an interrupt, a fault on the space in the middle of a move) takes the scalar way. A section that is abandoned in the
 * middle never comes back here: arch_stack_reset puts the registers back then (vector_abandon).
 */
#include "kernel/arch/x86_64/asm.h"
#include "kernel/arch/x86_64/x86.h"

.macro vec_save
        movb    $4, %gs:CPU_VEC_BUSY
        vmovdqu %ymm0, %gs:CPU_VEC_SAVE
        vmovdqu %ymm1, %gs:CPU_VEC_SAVE + 32
        vmovdqu %ymm2, %gs:CPU_VEC_SAVE + 64
        vmovdqu %ymm3, %gs:CPU_VEC_SAVE + 96
.endm
.macro vec_restore
        vmovdqu %gs:CPU_VEC_SAVE, %ymm0
        vmovdqu %gs:CPU_VEC_SAVE + 32, %ymm1
        vmovdqu %gs:CPU_VEC_SAVE + 64, %ymm2
        vmovdqu %gs:CPU_VEC_SAVE + 96, %ymm3
        movb    $0, %gs:CPU_VEC_BUSY
.endm
/* 256 bytes; %rsi and %rdi are the ends, %rcx counts up to 0. */
.macro vec_step
        vmovdqu 0(%rsi, %rcx), %ymm0
        vmovdqu 32(%rsi, %rcx), %ymm1
        vmovdqu 64(%rsi, %rcx), %ymm2
        vmovdqu 96(%rsi, %rcx), %ymm3
        vmovdqu %ymm0, 0(%rdi, %rcx)
        vmovdqu %ymm1, 32(%rdi, %rcx)
        vmovdqu %ymm2, 64(%rdi, %rcx)
        vmovdqu %ymm3, 96(%rdi, %rcx)
        vmovdqu 128(%rsi, %rcx), %ymm0
        vmovdqu 160(%rsi, %rcx), %ymm1
        vmovdqu 192(%rsi, %rcx), %ymm2
        vmovdqu 224(%rsi, %rcx), %ymm3
        vmovdqu %ymm0, 128(%rdi, %rcx)
        vmovdqu %ymm1, 160(%rdi, %rcx)
        vmovdqu %ymm2, 192(%rdi, %rcx)
        vmovdqu %ymm3, 224(%rdi, %rcx)
.endm
        .text
/* void vector_move(void *dst, const void *src, size_t len): forwards */
        .globl  vector_move
        .balign 16
vector_move:
        cmpb    $0, %gs:CPU_VEC_BUSY
        jne     2f
        mov     %rdx, %rcx
        and     $~255, %rcx
        jz      2f
        add     %rcx, %rsi
        add     %rcx, %rdi
        neg     %rcx
        vec_save
1:      vec_step
        add     $256, %rcx
        jnz     1b
        vec_restore
        and     $255, %edx
2:      mov     %rdx, %rcx
        shr     $3, %rcx
        rep movsq
        mov     %edx, %ecx
        and     $7, %ecx
        rep movsb
        ret

/* void vector_fill(void *dst, uint64_t pattern, size_t len): pattern is one byte eight times */
        .globl  vector_fill
        .balign 16
vector_fill:
        mov     %rsi, %rax
        cmpb    $0, %gs:CPU_VEC_BUSY
        jne     2f
        mov     %rdx, %rcx
        and     $~255, %rcx
        jz      2f
        add     %rcx, %rdi
        neg     %rcx
        movb    $1, %gs:CPU_VEC_BUSY
        vmovdqu %ymm0, %gs:CPU_VEC_SAVE
        vmovq   %rax, %xmm0
        vpunpcklqdq %xmm0, %xmm0, %xmm0
        vinsertf128 $1, %xmm0, %ymm0, %ymm0
1:
        vmovdqu %ymm0, 0(%rdi, %rcx)
        vmovdqu %ymm0, 32(%rdi, %rcx)
        vmovdqu %ymm0, 64(%rdi, %rcx)
        vmovdqu %ymm0, 96(%rdi, %rcx)
        vmovdqu %ymm0, 128(%rdi, %rcx)
        vmovdqu %ymm0, 160(%rdi, %rcx)
        vmovdqu %ymm0, 192(%rdi, %rcx)
        vmovdqu %ymm0, 224(%rdi, %rcx)
        add     $256, %rcx
        jnz     1b
        vmovdqu %gs:CPU_VEC_SAVE, %ymm0
        movb    $0, %gs:CPU_VEC_BUSY
        and     $255, %edx
2:      mov     %rdx, %rcx
        shr     $3, %rcx
        rep stosq
        mov     %edx, %ecx
        and     $7, %ecx
        rep stosb
        ret

/* unsigned long vector_differ(const void *a, const void *b): pages_differ() */
        .globl  vector_differ
        .balign 16
vector_differ:
        cmpb    $0, %gs:CPU_VEC_BUSY
        jne     words_differ
        vec_save
        vxorps  %xmm2, %xmm2, %xmm2
        mov     $-4096, %rcx
        sub     %rcx, %rdi
        sub     %rcx, %rsi
1:
        .irp    line, 0, 64, 128, 192
        vmovdqu \line(%rdi, %rcx), %ymm0
        vmovdqu \line+32(%rdi, %rcx), %ymm1
        vxorps  \line(%rsi, %rcx), %ymm0, %ymm0
        vxorps  \line+32(%rsi, %rcx), %ymm1, %ymm1
        vorps   %ymm1, %ymm0, %ymm0
        vptest  %ymm0, %ymm2            /* CF: it is all zero */
        rcr     $1, %rax
        .endr
        add     $256, %rcx
        jnz     1b
        vec_restore
        not     %rax
        ret

/*
 * size_t user_move_long(void *dst, const void *src, size_t len): user_move for 512 bytes or more. After a fault the registers are put back and
 * the scalar code goes on from the last whole step.
 */
        .globl  user_move_long
        .balign 16
user_move_long:
        cmpb    $0, %gs:CPU_VEC_BUSY
        jne     user_move
        mov     %rdx, %rcx
        and     $~255, %rcx
        add     %rcx, %rsi
        add     %rcx, %rdi
        neg     %rcx
        SMAP_STAC
        vec_save
1:      vec_step
2:      add     $256, %rcx
        jnz     1b
        vec_restore
        and     $255, %edx
        jmp     user_move
3:      vec_restore
        add     %rcx, %rsi
        add     %rcx, %rdi
        and     $255, %edx
        sub     %rcx, %rdx
        jmp     user_move
        EX_RANGE 1b, 2b, 3b

/* void vector_abandon(void): what the abandoned code had saved goes back. */
        .globl  vector_abandon
vector_abandon:
        cmpb    $4, %gs:CPU_VEC_BUSY
        je      1f
        cmpb    $1, %gs:CPU_VEC_BUSY
        jne     2f
        vmovdqu %gs:CPU_VEC_SAVE, %ymm0
        movb    $0, %gs:CPU_VEC_BUSY
        ret
1:      vec_restore
2:      ret
        .section .note.GNU-stack, "", @progbits
