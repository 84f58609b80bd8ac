/*
 * asm.h - for assembly: offsets in struct frame (checked in cpu.c), the exception table, instructions that are patched at boot.
 */
#pragma once

#define FRAME_R15    0
#define FRAME_RBP    32
#define FRAME_RBX    40
#define FRAME_R11    48
#define FRAME_RAX    80
#define FRAME_RCX    88
#define FRAME_NR     120
#define FRAME_ERR    128
#define FRAME_RIP    136
#define FRAME_CS     144
#define FRAME_RFLAGS 152
#define FRAME_RSP    160
#define FRAME_SIZE   176

#ifdef __ASSEMBLY__
/* clang-format off */
/* A fault at `from` goes on at `to` (trap.c). Kinds: 0 only for user addresses, 1 for any address. EX_RANGE: from `from` up to `end`. */
.macro EX_TABLE from, to, kind
        .pushsection .ex_table, "a"
        .quad   \from, \from + 1, \to, \kind
        .popsection
.endm
.macro EX_RANGE from, end, to
        .pushsection .ex_table, "a"
        .quad   \from, \end, \to, 0
        .popsection
.endm

/* stac and clac: replaced by a nop of the same length where there is no SMAP. */
.macro SMAP_SITE
        .pushsection .smap_sites, "a"
        .quad   9999f
        .popsection
9999:
.endm
.macro SMAP_STAC
        SMAP_SITE
        stac
.endm
.macro SMAP_CLAC
        SMAP_SITE
        clac
.endm
/* clang-format on */
#endif
