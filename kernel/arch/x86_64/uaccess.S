/*
 * uaccess.S - copies through the current user mapping, and reads that may fail. Faults at the marked instructions go on at the fix-up
 * (trap.c), after CR2 and the error code were noted in struct cpu. Eight bytes a step (`rep movsq`: under QEMU's icount an iteration is an
 * instruction); when that faults the rest is tried byte by byte, so that the count is exact to the byte.
 */
#include "kernel/arch/x86_64/asm.h"

        .text
/* size_t user_move(void *dst, const void *src, size_t len): bytes not moved */
        .globl  user_move
        .balign 16
user_move:
        mov     %rdx, %rcx
        shr     $3, %rcx
        SMAP_STAC
1:      rep movsq
        mov     %edx, %ecx
        and     $7, %ecx
        jnz     2f
        SMAP_CLAC
        xor     %eax, %eax
        ret
2:      rep movsb
        SMAP_CLAC
        mov     %rcx, %rax
        ret
3:      and     $7, %edx                /* rcx words and rdx bytes are left */
        lea     (%rdx, %rcx, 8), %rcx
        jmp     2b
4:      SMAP_CLAC
        mov     %rcx, %rax
        ret
        EX_TABLE 1b, 3b, 0
        EX_TABLE 2b, 4b, 0

/* size_t user_clear(void *dst, size_t len): bytes not cleared */
        .globl  user_clear
        .balign 16
user_clear:
        mov     %rsi, %rdx
        mov     %rsi, %rcx
        shr     $3, %rcx
        xor     %eax, %eax
        SMAP_STAC
1:      rep stosq
        mov     %edx, %ecx
        and     $7, %ecx
2:      rep stosb
        SMAP_CLAC
        mov     %rcx, %rax
        ret
3:      and     $7, %edx
        lea     (%rdx, %rcx, 8), %rcx
        jmp     2b
4:      SMAP_CLAC
        mov     %rcx, %rax
        ret
        EX_TABLE 1b, 3b, 0
        EX_TABLE 2b, 4b, 0

/*
 * long user_string(char *dst, const char *src, size_t max): length without NUL; max when none was found; -1 after a fault.
 */
        .globl  user_string
        .balign 16
user_string:
        xor     %eax, %eax
        SMAP_STAC
1:      cmp     %rdx, %rax
        je      3f
2:      movzbl  (%rsi, %rax), %ecx
        mov     %cl, (%rdi, %rax)
        inc     %rax
        test    %cl, %cl
        jnz     1b
        dec     %rax
3:      SMAP_CLAC
        ret
4:      SMAP_CLAC
        mov     $-1, %rax
        ret
        EX_TABLE 2b, 4b, 0

/* int user_load32(uint64_t addr, uint32_t *value), user_load64: 0 or -1 */
        .globl  user_load32
        .balign 16
user_load32:
        SMAP_STAC
1:      mov     (%rdi), %ecx
        SMAP_CLAC
        mov     %ecx, (%rsi)
        xor     %eax, %eax
        ret
        EX_TABLE 1b, user_fail, 0
        .globl  user_load64
        .balign 16
user_load64:
        SMAP_STAC
1:      mov     (%rdi), %rcx
        SMAP_CLAC
        mov     %rcx, (%rsi)
        xor     %eax, %eax
        ret
        EX_TABLE 1b, user_fail, 0

/* int user_exchange32(uint64_t addr, uint32_t expect, uint32_t desired, uint32_t *old) */
        .globl  user_exchange32
        .balign 16
user_exchange32:
        mov     %esi, %eax
        SMAP_STAC
1:      lock cmpxchg %edx, (%rdi)
        SMAP_CLAC
        mov     %eax, (%rcx)
        xor     %eax, %eax
        ret
        EX_TABLE 1b, user_fail, 0

user_fail:
        SMAP_CLAC
        mov     $-1, %eax
        ret

/* int probe_load64(uint64_t addr, uint64_t *value): any address */
        .globl  probe_load64
probe_load64:
        SMAP_STAC
1:      mov     (%rdi), %rcx
        SMAP_CLAC
        mov     %rcx, (%rsi)
        xor     %eax, %eax
        ret
        EX_TABLE 1b, user_fail, 1
/* int probe_touch(uint64_t addr): a store that changes nothing */
        .globl  probe_touch
probe_touch:
        SMAP_STAC
1:      lock orb $0, (%rdi)
        SMAP_CLAC
        xor     %eax, %eax
        ret
        EX_TABLE 1b, user_fail, 1
        .section .note.GNU-stack, "", @progbits
