/*
 * x86.h - machine code into a buffer. Encodings: Intel SDM volume 2, chapters 2 and 3 to 5.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

struct x86 {
        uint8_t *p;
        uint32_t n, cap;
        bool full;
};

/* An opcode with its prefix (66, F2, F3) in bits 16-23 and 0F in bits 8-15. */
enum {
        X_ADD = 0x03,
        X_OR = 0x0b,
        X_AND = 0x23,
        X_SUB = 0x2b,
        X_XOR = 0x33,
        X_CMP = 0x3b,
        X_TEST = 0x85,
        X_LOAD = 0x8b,
        X_STORE = 0x89,
        X_LEA = 0x8d,
        X_IMUL = 0x0faf,
        X_IMULI = 0x69,
        X_MOVSXD = 0x63,
        X_MOVZXB = 0x0fb6,
        X_CMOV = 0x0f40, /* + condition */
        X_STOREB = 0x88,
        X_CMPXCHG = 0x0fb1,
        X_MOVAPS = 0x0f28,
        X_XORPS = 0x0f57,
        X_UCOMISS = 0x0f2e,
        X_UCOMISD = 0x660f2e,
        X_MOVSS = 0xf30f10,
        X_MOVSD = 0xf20f10,
        X_STSS = 0xf30f11,
        X_STSD = 0xf20f11,
        X_ADDSD = 0xf20f58,
        X_MULSD = 0xf20f59,
        X_SUBSD = 0xf20f5c,
        X_DIVSD = 0xf20f5e,
        X_CVTSI2SD = 0xf20f2a,
        X_CVTTSD2SI = 0xf20f2c,
        X_CVTSD2SS = 0xf20f5a,
        X_CVTSI2SS = 0xf30f2a,
        X_CVTSS2SD = 0xf30f5a,
        X_MOVGX = 0x660f6e, /* xmm from a general register */
        X_MOVXG = 0x660f7e, /* reg is the xmm, rm the general register */
};
/* F2 0F xx of doubles is F3 0F xx of floats. */
#define X_SINGLE(op) ((op) ^ 0x010000u)

/* Conditions, as in Jcc. */
enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

static inline void x_byte(struct x86 *x, unsigned b)
{
        if (x->n == x->cap) {
                x->full = true;
                return;
        }
        x->p[x->n++] = (uint8_t)b;
}

static inline void x_u32(struct x86 *x, uint32_t v)
{
        for (unsigned i = 0; i < 4; i++)
                x_byte(x, v >> 8 * i & 0xff);
}

static inline void x_opcode(struct x86 *x, unsigned op, bool wide, unsigned reg, unsigned index, unsigned base)
{
        unsigned rex = (unsigned)wide << 3 | reg >> 3 << 2 | index >> 3 << 1 | base >> 3;

        if (op >> 16)
                x_byte(x, op >> 16);
        if (rex)
                x_byte(x, 0x40 | rex);
        if (op >> 8 & 0xff)
                x_byte(x, op >> 8 & 0xff);
        x_byte(x, op & 0xff);
}

static inline void x_rr(struct x86 *x, unsigned op, bool wide, unsigned reg, unsigned rm)
{
        x_opcode(x, op, wide, reg, 0, rm);
        x_byte(x, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void x_rm(struct x86 *x, unsigned op, bool wide, unsigned reg, unsigned base, int32_t disp)
{
        bool small = disp >= -128 && disp <= 127;

        x_opcode(x, op, wide, reg, 0, base);
        x_byte(x, (small ? 0x40 : 0x80) | (reg & 7) << 3 | (base & 7));
        if ((base & 7) == RSP)
                x_byte(x, 0x24);
        if (small)
                x_byte(x, (unsigned)disp & 0xff);
        else
                x_u32(x, (uint32_t)disp);
}

/* [base + (index << scale) + disp]; index is not RSP. */
static inline void x_rmx(struct x86 *x, unsigned op, bool wide, unsigned reg, unsigned base, unsigned index,
                         unsigned scale, int8_t disp)
{
        bool none = !disp && (base & 7) != RBP; /* an address of two parts is made sooner than one of three */

        x_opcode(x, op, wide, reg, index, base);
        x_byte(x, (none ? 0x04 : 0x44) | (reg & 7) << 3);
        x_byte(x, scale << 6 | (index & 7) << 3 | (base & 7));
        if (!none)
                x_byte(x, (uint8_t)disp);
}

/* Group 1: add, or, adc, sbb, and, sub, xor, cmp by number: 0, 1, 4, 5, 6, 7 */
static inline void x_ri(struct x86 *x, unsigned group, bool wide, unsigned rm, int32_t imm)
{
        bool small = imm >= -128 && imm <= 127;

        x_rr(x, small ? 0x83 : 0x81, wide, group, rm);
        if (small)
                x_byte(x, (unsigned)imm & 0xff);
        else
                x_u32(x, (uint32_t)imm);
}

static inline void x_mi(struct x86 *x, unsigned group, bool wide, unsigned base, int32_t disp, int32_t imm)
{
        bool small = imm >= -128 && imm <= 127;

        x_rm(x, small ? 0x83 : 0x81, wide, group, base, disp);
        if (small)
                x_byte(x, (unsigned)imm & 0xff);
        else
                x_u32(x, (uint32_t)imm);
}

/* Group 2: shl 4, shr 5, sar 7 */
static inline void x_shift(struct x86 *x, unsigned group, bool wide, unsigned rm, unsigned n)
{
        x_rr(x, 0xc1, wide, group, rm);
        x_byte(x, n);
}

static inline void x_imm(struct x86 *x, unsigned reg, uint64_t v)
{
        if (!v) {
                x_rr(x, X_XOR, false, reg, reg);
        } else if (v <= UINT32_MAX) {
                x_opcode(x, 0xb8 | (reg & 7), false, 0, 0, reg);
                x_u32(x, (uint32_t)v);
        } else if ((int64_t)v == (int32_t)v) {
                x_rr(x, 0xc7, true, 0, reg);
                x_u32(x, (uint32_t)v);
        } else {
                x_opcode(x, 0xb8 | (reg & 7), true, 0, 0, reg);
                x_u32(x, (uint32_t)v);
                x_u32(x, (uint32_t)(v >> 32));
        }
}

/* So many bytes that do nothing, in as few instructions as can be (SDM volume 2, NOP). */
static inline void x_nops(struct x86 *x, unsigned n)
{
        static const uint8_t forms[9][9] = {{0x90},
                                            {0x66, 0x90},
                                            {0x0f, 0x1f, 0x00},
                                            {0x0f, 0x1f, 0x40, 0},
                                            {0x0f, 0x1f, 0x44, 0, 0},
                                            {0x66, 0x0f, 0x1f, 0x44, 0, 0},
                                            {0x0f, 0x1f, 0x80, 0, 0, 0, 0},
                                            {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
                                            {0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}};

        while (n) {
                unsigned len = n < 9 ? n : 9;

                for (unsigned i = 0; i < len; i++)
                        x_byte(x, forms[len - 1][i]);
                n -= len;
        }
}

/* Jumps with a 32-bit distance, to be filled in: where that stands. */
static inline uint32_t x_jcc(struct x86 *x, unsigned cc)
{
        x_byte(x, 0x0f);
        x_byte(x, 0x80 | cc);
        x_u32(x, 0);
        return x->n - 4;
}

static inline uint32_t x_jmp(struct x86 *x)
{
        x_byte(x, 0xe9);
        x_u32(x, 0);
        return x->n - 4;
}

static inline void x_land(struct x86 *x, uint32_t at, uint32_t target)
{
        uint32_t d = target - (at + 4);

        if (x->full)
                return;
        for (unsigned i = 0; i < 4; i++)
                x->p[at + i] = (uint8_t)(d >> 8 * i);
}
