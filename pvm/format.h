/*
 * format.h - the class file and the bytecode of the object machine: layout, numbers, limits. FORMAT.md tells what they mean.
 * Shared by the machine and by whoever writes class files; includes nothing of either.
 */
#pragma once
#include <stdint.h>

#define PVM_MAGIC         0x434d5650u /* "PVMC" */
#define PVM_VERSION_MAJOR 1u          /* files of another one are refused */
#define PVM_VERSION_MINOR 1u          /* files of a newer one are refused */
#define PVM_SUFFIX        ".pvmc"     /* .a.b.c is in a/b/c.pvmc */

/* Limits that the loader holds files to. */
#define PVM_MAX_FILE     (64u << 20)
#define PVM_MAX_POOL     65535u
#define PVM_MAX_MEMBERS  4096u      /* methods; fields; interfaces */
#define PVM_MAX_CODE     (1u << 20) /* words of one method */
#define PVM_MAX_HANDLERS 4096u
#define PVM_MAX_REGS     255u
#define PVM_MAX_ARGS     64u   /* receiver included */
#define PVM_MAX_NAME     1024u /* bytes of a name or a descriptor */
#define PVM_MAX_DEPTH    64u   /* classes above a class */

/* All numbers are little endian. Offsets are bytes from the beginning of the file; tables are aligned to 4, pool to 8. */
struct pvm_file_header {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t size;       /* of the whole file, bytes */
        uint16_t flags;      /* PVM_CLASS_* */
        uint16_t this_class; /* pool: CLASS */
        uint16_t parent;     /* pool: CLASS; 0: .internal.object */
        uint16_t source;     /* pool: UTF8, name of the source file; 0: unknown */
        uint16_t ninterfaces;
        uint16_t nfields;
        uint16_t nmethods;
        uint16_t npool; /* entries, the unused 0 included */
        uint32_t pool;
        uint32_t interfaces; /* uint16_t pool indexes: CLASS */
        uint32_t fields;
        uint32_t methods;
        uint32_t attributes; /* anything; the machine does not look at it */
        uint32_t attributes_len;
        uint32_t zero;
};
_Static_assert(sizeof(struct pvm_file_header) == 56, "format");

#define PVM_CLASS_INTERFACE 1u /* no fields but static ones, no bodies but static ones */
#define PVM_CLASS_ABSTRACT  2u /* cannot be made by new */
#define PVM_CLASS_FINAL     4u /* has no children */
#define PVM_CLASS_FLAGS     7u

enum pvm_pool_tag {
        PVM_POOL_NONE = 0, /* entry 0 only */
        PVM_POOL_UTF8,     /* b: offset, c: length in bytes; well-formed UTF-8 */
        PVM_POOL_BYTES,    /* b: offset, c: length; LDK gives a .internal.binary */
        PVM_POOL_STRING,   /* a: UTF8; LDK gives the string */
        PVM_POOL_INT,      /* c: the value, sign-extended */
        PVM_POOL_LONG,     /* c */
        PVM_POOL_FLOAT,    /* c: IEEE bits in the low half, high half 0 */
        PVM_POOL_DOUBLE,   /* c: IEEE bits */
        PVM_POOL_CLASS,    /* a: UTF8, absolute name: .demo.shop.item */
        PVM_POOL_FIELD,    /* a: CLASS, b: UTF8 name | UTF8 type descriptor << 16 */
        PVM_POOL_METHOD,   /* a: CLASS, b: UTF8 name | UTF8 method descriptor << 16 */
        PVM_POOL_TAGS
};
struct pvm_file_pool {
        uint8_t tag;
        uint8_t zero;
        uint16_t a;
        uint32_t b;
        uint64_t c;
};
_Static_assert(sizeof(struct pvm_file_pool) == 16, "format");

#define PVM_PUBLIC       1u
#define PVM_PRIVATE      2u /* neither: public, too */
#define PVM_STATIC       4u
#define PVM_ABSTRACT     8u /* methods: no code */
#define PVM_FINAL        16u
#define PVM_CONST        32u /* fields: written by constructors; not enforced */
#define PVM_FIELD_FLAGS  (PVM_PUBLIC | PVM_PRIVATE | PVM_STATIC | PVM_FINAL | PVM_CONST)
#define PVM_METHOD_FLAGS (PVM_PUBLIC | PVM_PRIVATE | PVM_STATIC | PVM_ABSTRACT | PVM_FINAL)
struct pvm_file_field {
        uint16_t name; /* pool: UTF8 */
        uint16_t type; /* pool: UTF8, type descriptor */
        uint16_t flags;
        uint16_t zero;
        uint32_t attributes, attributes_len;
};
_Static_assert(sizeof(struct pvm_file_field) == 16, "format");

#define PVM_NO_ORDINAL 0xffffu
struct pvm_file_method {
        uint16_t name; /* pool: UTF8 */
        uint16_t type; /* pool: UTF8, method descriptor */
        uint16_t flags;
        uint16_t ordinal; /* what the source wrote; PVM_NO_ORDINAL: nothing */
        uint8_t nregs;    /* arguments included; 0 without code */
        uint8_t zero;
        uint16_t nhandlers;
        uint32_t ncode; /* words; 0 without code */
        uint32_t code;  /* uint32_t[ncode] */
        uint32_t types; /* char[nregs]: I L F D R, the machine type of each register for the whole method */
        uint32_t handlers;
        uint32_t nlines;
        uint32_t lines;
        uint32_t attributes, attributes_len;
};
_Static_assert(sizeof(struct pvm_file_method) == 44, "format");

/* The first handler of the table that covers the throwing instruction and whose class fits gets the exception. */
struct pvm_file_handler {
        uint32_t start, end; /* words: start <= pc < end */
        uint32_t target;
        uint16_t class; /* pool: CLASS; 0: everything */
        uint8_t reg;    /* R: gets the object thrown */
        uint8_t zero;
};
_Static_assert(sizeof(struct pvm_file_handler) == 16, "format");

/* Line of every instruction from pc to the next entry's; ascending pc. */
struct pvm_file_line {
        uint32_t pc, line;
};
_Static_assert(sizeof(struct pvm_file_line) == 8, "format");

/*
 * Instructions. word[0] = op | a << 8 | b << 16 | c << 24; what the format does not use is 0. Offsets of branches are in words, from the
 * branch's own first word.
 */
enum pvm_op_format {
        PVM_ABC,  /* a, b, c: registers */
        PVM_ABI,  /* a, b: registers; c: int8_t */
        PVM_AI,   /* a: register; c:b: int16_t */
        PVM_AK,   /* a: register; c:b: uint16_t, pool */
        PVM_J,    /* c:b:a: signed 24 bits, offset */
        PVM_ABJ,  /* a, b: registers; word[1]: int32_t, offset */
        PVM_AIJ,  /* a: register; c:b: int16_t; word[1]: int32_t, offset */
        PVM_ABK,  /* a, b: registers; word[1]: pool */
        PVM_CALL, /* a: register for the result; b: how many arguments; word[1]: pool, or ordinal; then the arguments, four registers a word */
        PVM_CAT,  /* a: register; b: how many parts; then the parts, four registers a word */
        PVM_TABLE, /* a: register; word[1]: int32_t lowest; word[2]: n; word[3]: offset of default; then n offsets */
        PVM_LOOKUP, /* a: register; word[1]: n; word[2]: offset of default; then n pairs int32_t key, offset; keys ascending */
};

/*
 * OP(name, format, type of a, of b, of c, is a written). Types: I L F D R; '*' any; '-' not a register. The numbers are the
 * positions: new ones go to the end.
 */
#define PVM_ARITHMETIC(OP, T, t)                                                                                       \
        OP(ADD_##T, PVM_ABC, t, t, t, 1)                                                                               \
        OP(SUB_##T, PVM_ABC, t, t, t, 1)                                                                               \
        OP(MUL_##T, PVM_ABC, t, t, t, 1)                                                                               \
        OP(DIV_##T, PVM_ABC, t, t, t, 1)                                                                               \
        OP(REM_##T, PVM_ABC, t, t, t, 1)                                                                               \
        OP(NEG_##T, PVM_ABC, t, t, '-', 1)
#define PVM_BITS(OP, T, t)                                                                                             \
        OP(AND_##T, PVM_ABC, t, t, t, 1)                                                                               \
        OP(OR_##T, PVM_ABC, t, t, t, 1)                                                                                \
        OP(XOR_##T, PVM_ABC, t, t, t, 1)                                                                               \
        OP(SHL_##T, PVM_ABC, t, t, 'I', 1)                                                                             \
        OP(SHR_##T, PVM_ABC, t, t, 'I', 1)                                                                             \
        OP(USHR_##T, PVM_ABC, t, t, 'I', 1)                                                                            \
        OP(NOT_##T, PVM_ABC, t, t, '-', 1)                                                                             \
        OP(ADDI_##T, PVM_ABI, t, t, '-', 1)                                                                            \
        OP(MULI_##T, PVM_ABI, t, t, '-', 1)                                                                            \
        OP(DIVI_##T, PVM_ABI, t, t, '-', 1)                                                                            \
        OP(REMI_##T, PVM_ABI, t, t, '-', 1)                                                                            \
        OP(ANDI_##T, PVM_ABI, t, t, '-', 1)                                                                            \
        OP(SHLI_##T, PVM_ABI, t, t, '-', 1)                                                                            \
        OP(SHRI_##T, PVM_ABI, t, t, '-', 1)                                                                            \
        OP(USHRI_##T, PVM_ABI, t, t, '-', 1)
#define PVM_COMPARE(OP, T, t)                                                                                          \
        OP(SEQ_##T, PVM_ABC, 'I', t, t, 1)                                                                             \
        OP(SNE_##T, PVM_ABC, 'I', t, t, 1)                                                                             \
        OP(SLT_##T, PVM_ABC, 'I', t, t, 1)                                                                             \
        OP(SLE_##T, PVM_ABC, 'I', t, t, 1)                                                                             \
        OP(JEQ_##T, PVM_ABJ, t, t, '-', 0)                                                                             \
        OP(JNE_##T, PVM_ABJ, t, t, '-', 0)                                                                             \
        OP(JLT_##T, PVM_ABJ, t, t, '-', 0)                                                                             \
        OP(JLE_##T, PVM_ABJ, t, t, '-', 0)
#define PVM_OPS(OP)                                                                                                    \
        OP(NOP, PVM_ABC, '-', '-', '-', 0)                                                                             \
        OP(MOV, PVM_ABC, '*', '*', '-', 1) /* types equal */                                                           \
        OP(LDNULL, PVM_ABC, 'R', '-', '-', 1)                                                                          \
        OP(LDI, PVM_AI, 'I', '-', '-', 1)                                                                              \
        OP(LDL, PVM_AI, 'L', '-', '-', 1)                                                                              \
        OP(LDF, PVM_AI, 'F', '-', '-', 1)                                                                              \
        OP(LDD, PVM_AI, 'D', '-', '-', 1)                                                                              \
        OP(LDK, PVM_AK, '*', '-', '-', 1) /* INT LONG FLOAT DOUBLE STRING BYTES CLASS */                               \
        PVM_ARITHMETIC(OP, I, 'I')                                                                                     \
        PVM_ARITHMETIC(OP, L, 'L')                                                                                     \
        PVM_ARITHMETIC(OP, F, 'F')                                                                                     \
        PVM_ARITHMETIC(OP, D, 'D')                                                                                     \
        PVM_BITS(OP, I, 'I')                                                                                           \
        PVM_BITS(OP, L, 'L')                                                                                           \
        OP(I2L, PVM_ABC, 'L', 'I', '-', 1)                                                                             \
        OP(I2F, PVM_ABC, 'F', 'I', '-', 1)                                                                             \
        OP(I2D, PVM_ABC, 'D', 'I', '-', 1)                                                                             \
        OP(L2I, PVM_ABC, 'I', 'L', '-', 1)                                                                             \
        OP(L2F, PVM_ABC, 'F', 'L', '-', 1)                                                                             \
        OP(L2D, PVM_ABC, 'D', 'L', '-', 1)                                                                             \
        OP(F2I, PVM_ABC, 'I', 'F', '-', 1)                                                                             \
        OP(F2L, PVM_ABC, 'L', 'F', '-', 1)                                                                             \
        OP(F2D, PVM_ABC, 'D', 'F', '-', 1)                                                                             \
        OP(D2I, PVM_ABC, 'I', 'D', '-', 1)                                                                             \
        OP(D2L, PVM_ABC, 'L', 'D', '-', 1)                                                                             \
        OP(D2F, PVM_ABC, 'F', 'D', '-', 1)                                                                             \
        PVM_COMPARE(OP, I, 'I')                                                                                        \
        PVM_COMPARE(OP, L, 'L')                                                                                        \
        PVM_COMPARE(OP, F, 'F')                                                                                        \
        PVM_COMPARE(OP, D, 'D')                                                                                        \
        OP(JNLT_F, PVM_ABJ, 'F', 'F', '-', 0)                                                                          \
        OP(JNLE_F, PVM_ABJ, 'F', 'F', '-', 0)                                                                          \
        OP(JNLT_D, PVM_ABJ, 'D', 'D', '-', 0)                                                                          \
        OP(JNLE_D, PVM_ABJ, 'D', 'D', '-', 0)                                                                          \
        OP(JEQI_I, PVM_AIJ, 'I', '-', '-', 0)                                                                          \
        OP(JNEI_I, PVM_AIJ, 'I', '-', '-', 0)                                                                          \
        OP(JLTI_I, PVM_AIJ, 'I', '-', '-', 0)                                                                          \
        OP(JLEI_I, PVM_AIJ, 'I', '-', '-', 0)                                                                          \
        OP(JGTI_I, PVM_AIJ, 'I', '-', '-', 0)                                                                          \
        OP(JGEI_I, PVM_AIJ, 'I', '-', '-', 0)                                                                          \
        OP(JMP, PVM_J, '-', '-', '-', 0)                                                                               \
        OP(JNULL, PVM_AIJ, 'R', '-', '-', 0)  /* immediate 0 */                                                        \
        OP(JNNULL, PVM_AIJ, 'R', '-', '-', 0) /* immediate 0 */                                                        \
        OP(JSAME, PVM_ABJ, 'R', 'R', '-', 0)                                                                           \
        OP(JNSAME, PVM_ABJ, 'R', 'R', '-', 0)                                                                          \
        OP(SSAME, PVM_ABC, 'I', 'R', 'R', 1)                                                                           \
        OP(VEQ, PVM_ABC, 'I', 'R', 'R', 1) /* by value */                                                              \
        OP(VLT, PVM_ABC, 'I', 'R', 'R', 1)                                                                             \
        OP(VLE, PVM_ABC, 'I', 'R', 'R', 1)                                                                             \
        OP(TSWITCH, PVM_TABLE, 'I', '-', '-', 0)                                                                       \
        OP(LSWITCH, PVM_LOOKUP, 'I', '-', '-', 0)                                                                      \
        OP(BOX, PVM_ABC, 'R', '*', '-', 1)                                                                             \
        OP(UNBOX, PVM_ABC, '*', 'R', '-', 1)                                                                           \
        OP(TOSTR, PVM_ABC, 'R', '*', '-', 1)                                                                           \
        OP(CONCAT, PVM_CAT, 'R', '*', '-', 1)                                                                          \
        OP(NEW, PVM_AK, 'R', '-', '-', 1) /* CLASS */                                                                  \
        OP(NEWD, PVM_ABC, 'R', 'R', '-', 1)                                                                            \
        OP(CAST, PVM_ABK, 'R', 'R', '-', 1) /* UTF8: type descriptor */                                                \
        OP(CASTD, PVM_ABC, 'R', 'R', 'R', 1)                                                                           \
        OP(INSTOF, PVM_ABK, 'I', 'R', '-', 1) /* UTF8: type descriptor */                                              \
        OP(INSTOFD, PVM_ABC, 'I', 'R', 'R', 1)                                                                         \
        OP(GETF, PVM_ABK, '*', 'R', '-', 1) /* FIELD; a = b.field */                                                   \
        OP(SETF, PVM_ABK, '*', 'R', '-', 0) /* FIELD; b.field = a */                                                   \
        OP(GETS, PVM_AK, '*', '-', '-', 1)  /* FIELD, static */                                                        \
        OP(SETS, PVM_AK, '*', '-', '-', 0)                                                                             \
        OP(NEWARR, PVM_ABK, 'R', 'I', '-', 1) /* UTF8: descriptor of the elements */                                   \
        OP(LEN, PVM_ABC, 'I', 'R', '-', 1)                                                                             \
        OP(ALD_I, PVM_ABC, 'I', 'R', 'I', 1) /* a = b[c] */                                                            \
        OP(ALD_L, PVM_ABC, 'L', 'R', 'I', 1)                                                                           \
        OP(ALD_F, PVM_ABC, 'F', 'R', 'I', 1)                                                                           \
        OP(ALD_D, PVM_ABC, 'D', 'R', 'I', 1)                                                                           \
        OP(ALD_R, PVM_ABC, 'R', 'R', 'I', 1)                                                                           \
        OP(AST_I, PVM_ABC, 'I', 'R', 'I', 0) /* b[c] = a */                                                            \
        OP(AST_L, PVM_ABC, 'L', 'R', 'I', 0)                                                                           \
        OP(AST_F, PVM_ABC, 'F', 'R', 'I', 0)                                                                           \
        OP(AST_D, PVM_ABC, 'D', 'R', 'I', 0)                                                                           \
        OP(AST_R, PVM_ABC, 'R', 'R', 'I', 0)                                                                           \
        OP(LDB, PVM_ABC, 'I', 'R', 'I', 1)    /* byte c of a binary or a string */                                     \
        OP(STB, PVM_ABC, 'I', 'R', 'I', 0)    /* of a binary */                                                        \
        OP(CALLV, PVM_CALL, '*', '*', '-', 1) /* METHOD; by the receiver's class */                                    \
        OP(CALLC, PVM_CALL, '*', '*', '-', 1) /* METHOD; the named class's (constructors, the parent's method) */      \
        OP(CALLS, PVM_CALL, '*', '*', '-', 1) /* METHOD; static */                                                     \
        OP(CALLN, PVM_CALL, 'R', 'R', '-', 1) /* UTF8: name; untyped */                                                \
        OP(CALLO, PVM_CALL, 'R', 'R', '-', 1) /* ordinal; untyped */                                                   \
        OP(CALLD, PVM_CALL, 'R', 'R', '-', 1) /* 0; the second argument is the name; untyped */                        \
        OP(RET, PVM_ABC, '*', '-', '-', 0)                                                                             \
        OP(RETN, PVM_ABC, '-', '-', '-', 0) /* 0, or null */                                                           \
        OP(THROW, PVM_ABC, 'R', '-', '-', 0)                                                                           \
        OP(RETHROW, PVM_ABC, 'R', '-', '-', 0)                                                                         \
        OP(CLOSURE, PVM_CALL, 'R', '*', '-', 1) /* METHOD, static, of this class; its first arguments */

#define PVM_OP_NUMBER(name, format, a, b, c, writes) PVM_##name,
enum pvm_op { PVM_OPS(PVM_OP_NUMBER) PVM_OP_COUNT };
#undef PVM_OP_NUMBER
_Static_assert(PVM_OP_COUNT <= 192, "the numbers above are for what the machine makes of these in memory");

static inline uint32_t pvm_abc(enum pvm_op op, unsigned a, unsigned b, unsigned c)
{
        return (uint32_t)op | (a & 0xff) << 8 | (b & 0xff) << 16 | (c & 0xff) << 24;
}
static inline uint32_t pvm_ax(enum pvm_op op, unsigned a, int x) /* PVM_AI, PVM_AK, first word of PVM_AIJ */
{
        return (uint32_t)op | (a & 0xff) << 8 | (uint32_t)x << 16;
}
static inline uint32_t pvm_j(enum pvm_op op, int offset)
{
        return (uint32_t)op | (uint32_t)offset << 8;
}
