/*
 * compile.c - a method's bytecode to machine code.
 *
 * Passes: (1) `expand` makes a list of instructions, small methods that are called in place of their calls; (2) `find_loops`; (3) `find_live`, backwards, which values are
 * still wanted, and `split`, which are several in one register of the method; (4) `find_invariants`, what is tested before loops, and `find_hoists`, what is loaded there; (5) `choose_registers`; (6) `find_dirty`, forwards, which values may be
 * in a machine register alone; (7) `emit`, one instruction after the other; what is rarely needed goes behind.
 *
 * Invariants of the code:
 *   J1  rbx points to the registers of the frame on top (f->r), r15 to the worker; the rest of the machine's registers hold values, or nothing across instructions (rax, rcx,
 *       rdx, xmm14, xmm15).
 *   J2  A reference is always in the frame, too. A number that is in a machine register and not in the frame is in the `dirty` set.
 *   J3  Every way out of the code first brings what is dirty and alive into the frame, and sets its pc: an instruction that cannot go on has changed nothing, and the
 *       interpreter does it over.
 *   J4  An inlined method has no frame: a way out of it goes to the call. So nothing may leave behind its first store.
 */
#include "pvm/jit/jit.h"
#include "kernel/lib/string.h"
#include "pvm/jit/x86.h"

#define MAX_CODE    12000u /* words of a method; longer ones stay with the interpreter */
#define MAX_VALUES  640u
#define MAX_HOISTS  24u
#define MAX_SPLITS  128u
#define MAX_SPLIT   200u /* instructions */
#define MAX_INLINE  24u  /* instructions */
#define MAX_DEPTH   3u
#define MAX_COUNTED 30u  /* instructions of a counted loop that is made in strips */
#define STRIP       1000 /* turns, at most */
#define FEW_TURNS   200  /* known before: not worth it */
#define MAX_LOOPS   16u  /* that are looked at for invariants */
#define MAX_ITEMS   8u
#define MAX_PASSES  40u      /* over a method, till nothing changes: more than any compiler's code needs */
#define MAX_WORK    1000000u /* words times handlers */
#define FETCH       64u      /* a processor takes code in such pieces: a short loop is in as few of them as can be */
#define NONE        0xffffffffu
#define NOWHERE     0xffffu /* no register of the frame */
#define HEADER      ((int32_t)sizeof(struct frame))

/* Instructions that no file has. */
enum { I_GUARD = PVM_OP_COUNT, I_ZERO, I_BOX, I_LENGTH, I_LIMIT, I_LIMITI };

struct ins {
        uint8_t op;
        bool target;      /* somebody jumps here */
        bool header;      /* of a loop: polls */
        bool tight;       /* a loop without loops in it begins here, in the order of the code */
        bool inlined;     /* leaves to pc, which is the call */
        bool stored;      /* inlined, behind a store */
        bool strip;       /* jumps back in a strip: no poll there */
        uint16_t a, b, c; /* values: registers of the method, those of inlined ones, splits, hoists */
        bool hoisted;     /* b is a hoist; it was: */
        uint16_t was;
        uint16_t store; /* the hoist that is the store of the array b; 0: none */
        uint32_t pc;
        struct method *m;
        const uint32_t *w, *file; /* as it is now, as it was in the file */
        const uint32_t *call;     /* inlined: the call, in the file */
        uint32_t to;              /* jumps: the instruction */
        uint32_t depth;           /* of loops */
        uint32_t start;           /* where its code begins, behind the poll */
};

struct fact {
        uint32_t class; /* its objects' class is this one; 0: who knows */
        uint8_t array;  /* kind */
        bool there;     /* not null */
        bool writable;
        bool young; /* allocated since the last safepoint: a reference in it needs no card */
};

/* Code that is rarely run, put behind the rest. */
struct cold {
        enum { COLD_EXIT, COLD_LEAVE, COLD_POLL, COLD_STEP, COLD_CALL, COLD_DEEP, COLD_SATURATE, COLD_APPEND } kind;
        uint32_t from[2], nfrom; /* jumps to it */
        uint32_t back;
        uint32_t ins;
        unsigned reg, wide;
        uint32_t pop;
};

/* A loop, and what is tested before it instead of in it: of values that it does not change. */
struct loop {
        uint32_t header;
        uint64_t *body; /* instructions */
        struct invariant {
                unsigned v;
                struct fact fact;
        } item[MAX_ITEMS];
        unsigned n;
        bool calls;      /* there is a call in it that comes back to it, but no inlined one */
        bool hoists;     /* it has some */
        uint64_t stored; /* references: bit n: to the n-th 8 bytes of an object, modulo 64 */
        uint32_t tests;  /* where they stand in x, for who comes from outside; 0: not yet */
};

/*
 * What a loop loads before it instead of in it: a reference in a field, which nothing in the loop stores to, of an object that it does not change; the store of an array that it does not change. It is a
 * value of its own, in a machine register or not there at all, alive in all of the loop; made again at each way in: what other threads store is seen behind the next poll that sends away. Behind
 * interp_step, which may have made the array grow, the store is made again, but not the reference: another thread may have stored there what has not been tested.
 */
struct hoist {
        uint32_t loop;
        uint16_t v, of;            /* the value, and the object */
        const struct field *field; /* NULL: the store */
};

struct comp {
        struct method *m;
        struct ins *ins;
        uint32_t n, cap;
        uint32_t *at_pc; /* instruction of a pc */
        unsigned nvalues, words;
        char type[MAX_VALUES];
        uint16_t slot[MAX_VALUES]; /* register of the frame; NOWHERE: it has none */
        int8_t home[MAX_VALUES];   /* machine register; -1: memory */
        struct fact fact[MAX_VALUES];
        uint64_t *live, *dirty; /* before each instruction */
        bool self;              /* value 0 is the receiver, always */
        unsigned first_limit;   /* values from here to last_limit are those of strips */
        unsigned last_limit;
        unsigned first_hoist; /* values from here on are hoists */
        bool failed, learning, may_inline;
        struct x86 x;
        uint32_t *label; /* of instructions: where in x */
        struct {
                uint32_t at, ins, from;
        } * jumps;
        uint32_t njumps;
        struct {
                uint32_t from, to;
        } closing[MAX_LOOPS * 2]; /* edges that close loops, the first ones */
        uint32_t nclosing;
        struct loop loop[MAX_LOOPS];
        uint32_t nloops;
        struct hoist hoist[MAX_HOISTS];
        uint32_t nhoists;
        uint64_t *bodies;
        struct cold *cold;
        uint32_t ncold, cold_cap;
        uint32_t place; /* of the code in the area */
        struct jit_code *code;
        uint32_t now; /* the instruction that is emitted */
};

static void *scratch(struct comp *c, size_t len)
{
        void *p = pvm_host->mem_alloc(len);

        c->failed |= !p;
        return p;
}

static bool has(const uint64_t *set, unsigned v)
{
        return set[v / 64] >> v % 64 & 1;
}

static void add(uint64_t *set, unsigned v)
{
        set[v / 64] |= 1ul << v % 64;
}

static void del(uint64_t *set, unsigned v)
{
        set[v / 64] &= ~(1ul << v % 64);
}

static bool is_float(char type)
{
        return type == 'F' || type == 'D';
}

/* ---- what an instruction is ---- */

static unsigned format_of(const struct ins *i)
{
        return i->op < PVM_OP_COUNT ? pvm_op_info[i->op].format : PVM_ABC;
}

static unsigned arguments(const struct ins *i, uint16_t *v)
{
        unsigned n = i->file[0] >> 16 & 0xff, first = format_of(i) == PVM_CALL ? 2 : 1;

        for (unsigned k = 0; k < n; k++)
                v[k] = (uint16_t)(i->file[first + k / 4] >> k % 4 * 8 & 0xff);
        return n;
}

static bool writes(const struct ins *i)
{
        return (i->op >= I_ZERO && i->op <= I_LIMITI) || (i->op < PVM_OP_COUNT && pvm_op_info[i->op].writes);
}

/* Which of its values an instruction reads: bits 1, 2, 4 for a, b, c. Not what stands in a list of arguments. */
static unsigned names(const struct ins *i)
{
        const struct pvm_op_info *info = &pvm_op_info[i->op < PVM_OP_COUNT ? i->op : 0];

        if (i->op == I_GUARD || i->op == I_BOX || i->op == I_LENGTH || i->op == I_LIMITI)
                return 2;
        if (i->op == I_LIMIT)
                return 2 | 4;
        if (i->op == I_ZERO || info->format == PVM_CALL || info->format == PVM_CAT)
                return 0;
        return (!info->writes && info->a != '-' ? 1 : 0) | (info->b != '-' ? 2 : 0) | (info->c != '-' ? 4 : 0);
}

static unsigned reads(const struct ins *i, uint16_t *v)
{
        unsigned which = names(i), n = 0, f = format_of(i);

        if (f == PVM_CALL || f == PVM_CAT)
                return arguments(i, v);
        if (which & 1)
                v[n++] = i->a;
        if (which & 2)
                v[n++] = i->b;
        if (which & 4)
                v[n++] = i->c;
        /* Whoever leaves an inlined method makes its call. */
        if (i->inlined) {
                const struct ins call = {.op = PVM_CALLV, .file = i->call};

                n += arguments(&call, v + n);
        }
        return n;
}

static bool jumps_on(const struct ins *i)
{
        switch (i->op) {
        case PVM_JMP:
        case PVM_TSWITCH:
        case PVM_LSWITCH:
        case PVM_RET:
        case PVM_RETN:
        case PVM_THROW:
        case PVM_RETHROW:
                return true;
        default:
                return false;
        }
}

static bool branches(const struct ins *i)
{
        unsigned f = format_of(i);

        return f == PVM_J || f == PVM_ABJ || f == PVM_AIJ;
}

/* Where it may go to but the next instruction: the k-th. */
static uint32_t successor(const struct comp *c, const struct ins *i, uint32_t k)
{
        if (branches(i))
                return k ? NONE : i->to;
        if (i->op == PVM_TSWITCH)
                return k > i->file[2] ? NONE : c->at_pc[i->pc + i->file[3 + k]];
        if (i->op == PVM_LSWITCH)
                return k > i->file[1] ? NONE : c->at_pc[i->pc + i->file[k ? 2 + 2 * k : 2]];
        return NONE;
}

/* The field, if it is known by now. */
static const struct field *field_of(const struct ins *i, bool is_static)
{
        uint32_t k = is_static ? i->file[0] >> 16 : i->file[1];
        const struct field *f = (const struct field *)i->m->constants[k].bits;

        return f && !(f->flags & PVM_STATIC) == !is_static ? f : NULL;
}

/* It has run; or it can never say what it has learnt (see do_field). */
static bool field_known(const struct ins *i)
{
        const struct field *f = field_of(i, false);

        return f && !f->class->lazy && ((i->w[0] & 0xff) != i->op || f->offset / 4 > 255);
}

/* ---- 1: instructions ---- */

static struct ins *new_ins(struct comp *c)
{
        if (c->n == c->cap) {
                uint32_t cap = c->cap * 2;
                struct ins *more = scratch(c, cap * sizeof(*more));

                if (!more)
                        return NULL;
                memcpy(more, c->ins, c->n * sizeof(*more));
                pvm_host->mem_free(c->ins, c->cap * sizeof(*more));
                c->ins = more;
                c->cap = cap;
        }
        c->ins[c->n] = (struct ins){0};
        return &c->ins[c->n++];
}

static const uint32_t *file_code(const struct method *m)
{
        return pvm_file_code(&m->class->file, m->file);
}

static bool can_be_inlined(unsigned op)
{
        if (op >= PVM_ADD_I && op <= PVM_D2F)
                return op != PVM_REM_F && op != PVM_REM_D && op != PVM_DIV_I && op != PVM_DIV_L && op != PVM_REM_I &&
                       op != PVM_REM_L;
        switch (op) {
        case PVM_NOP:
        case PVM_MOV:
        case PVM_LDNULL:
        case PVM_LDI:
        case PVM_LDL:
        case PVM_LDF:
        case PVM_LDD:
        case PVM_LDK:
        case PVM_BOX:
        case PVM_UNBOX:
        case PVM_GETF:
        case PVM_SETF:
        case PVM_RET:
        case PVM_RETN:
        case PVM_CALLC:
        case PVM_CALLV:
                return true;
        default:
                return false;
        }
}

static bool is_untyped(const struct ins *call)
{
        return call->op == PVM_CALLN || call->op == PVM_CALLO;
}

static bool callable(const struct ins *call)
{
        const struct site *s = &call->m->sites[call->w[1]];

        return site_target(s) && site_target(s)->code && (call->op == PVM_CALLS || site_class(s)) &&
               (!is_untyped(call) || site_target(s)->plain);
}

/*
 * The body of the method that a call runs, in its place: value numbers of its registers are new ones, but arguments that it never writes are the caller's. `map`
 * are the caller's registers. False: not done, nothing has changed.
 */
static bool inline_call(struct comp *c, const struct ins *call, const uint16_t *map, unsigned depth,
                        const struct ins *outer, bool *stored)
{
        const struct site *s = &call->m->sites[call->w[1]];
        struct method *t = site_target(s);
        const uint32_t *file;
        uint16_t mine[PVM_MAX_REGS + 1], args[PVM_MAX_ARGS * 3];
        uint32_t n = c->n, before = c->nvalues;
        unsigned nargs = arguments(call, args);
        bool had = *stored;
        struct ins *i;

        if (!c->may_inline || depth > MAX_DEPTH || !callable(call) || s->nbefore || t->ncode > 2 * MAX_INLINE ||
            t->file->nhandlers || before + t->nregs > MAX_VALUES - MAX_HOISTS - MAX_SPLITS ||
            before + t->nregs > c->m->nregs + 200u)
                return false;
        file = file_code(t);
        for (unsigned r = 0; r < t->nregs; r++)
                mine[r] = r < nargs ? map[args[r]] : (uint16_t)NONE;
        for (uint32_t pc = 0; pc < t->ncode; pc += pvm_op_words(file, pc, t->ncode)) {
                unsigned op = file[pc] & 0xff;

                if (!can_be_inlined(op))
                        return false;
                if (pvm_op_info[op].writes && (file[pc] >> 8 & 0xff) < nargs)
                        mine[file[pc] >> 8 & 0xff] = (uint16_t)NONE;
                if (op == PVM_RET || op == PVM_RETN)
                        break;
        }
        i = new_ins(c);
        if (!i)
                return false;
        *i = *outer;
        i->op = I_GUARD;
        i->b = map[args[0]];
        i->to = site_class(s);
        i->call = outer->file;
        i->inlined = true;
        i->stored = *stored;
        for (unsigned r = 0; r < t->nregs; r++) {
                if (mine[r] != (uint16_t)NONE)
                        continue;
                mine[r] = (uint16_t)c->nvalues;
                c->type[c->nvalues++] = t->types[r];
                i = new_ins(c);
                if (!i)
                        return false;
                *i = *outer;
                i->call = outer->file;
                i->inlined = true;
                i->op = r < nargs ? PVM_MOV : I_ZERO;
                i->a = mine[r];
                i->b = r < nargs ? map[args[r]] : 0;
        }
        for (uint32_t pc = 0;; pc += pvm_op_words(file, pc, t->ncode)) {
                uint32_t w = file[pc];
                unsigned op = w & 0xff;
                struct ins body = *outer;

                body.inlined = true;
                body.stored = *stored;
                body.op = (uint8_t)op;
                body.m = t;
                body.w = t->code + pc;
                body.file = file + pc;
                body.call = outer->file;
                if (op == PVM_RET || op == PVM_RETN) {
                        bool boxes = is_untyped(call) && t->result != 'R';

                        if (boxes && (*stored || op == PVM_RETN))
                                break;
                        body.op = boxes ? I_BOX : op == PVM_RET ? PVM_MOV : I_ZERO;
                        body.a = map[call->a];
                        body.b = op == PVM_RET ? mine[w >> 8 & 0xff] : 0;
                        i = new_ins(c);
                        if (i)
                                *i = body;
                        return i != NULL;
                }
                if (op == PVM_CALLV || op == PVM_CALLC) {
                        struct ins inner = {.op = (uint8_t)op,
                                            .a = (uint16_t)(w >> 8 & 0xff),
                                            .m = t,
                                            .w = t->code + pc,
                                            .file = file + pc};

                        if (inline_call(c, &inner, mine, depth + 1, outer, stored))
                                continue;
                        break;
                }
                /* What has not run yet teaches nothing; a class object is found by a function. */
                if (c->n - n > MAX_INLINE * 2 || ((op == PVM_GETF || op == PVM_SETF) && !field_known(&body)) ||
                    (op == PVM_LDK && t->class->file.pool[w >> 16].tag == PVM_POOL_CLASS))
                        break;
                body.a = mine[w >> 8 & 0xff];
                body.b = mine[w >> 16 & 0xff];
                body.c = format_of(&body) == PVM_ABC ? mine[w >> 24] : 0;
                i = new_ins(c);
                if (!i)
                        return false;
                *i = body;
                *stored |= op == PVM_SETF;
        }
        c->n = n;
        c->nvalues = before;
        *stored = had;
        return false;
}

/* .internal.string's: a load. */
static bool is_length(const struct site *s)
{
        return site_class(s) == CLASS_string && site_target(s)->class->index == CLASS_string &&
               !strcmp(site_target(s)->name->text, "length");
}

static void expand(struct comp *c)
{
        struct method *m = c->m;
        const uint32_t *file = file_code(m);
        uint16_t map[PVM_MAX_REGS + 1];

        c->nvalues = m->nregs;
        memcpy(c->type, m->types, m->nregs);
        for (unsigned v = 0; v < MAX_VALUES; v++)
                c->slot[v] = v < m->nregs ? (uint16_t)v : NOWHERE;
        for (unsigned r = 0; r <= PVM_MAX_REGS; r++)
                map[r] = (uint16_t)r;
        c->n = 0;
        for (uint32_t pc = 0; pc < m->ncode && !c->failed; pc += pvm_op_words(file, pc, m->ncode)) {
                uint32_t w = file[pc];
                struct ins i = {.op = (uint8_t)(w & 0xff), .pc = pc, .m = m, .w = m->code + pc, .file = file + pc};
                struct ins *to;
                bool stored = false;

                c->at_pc[pc] = c->n;
                i.a = (uint16_t)(w >> 8 & 0xff);
                i.b = (uint16_t)(w >> 16 & 0xff);
                i.c = (uint16_t)(w >> 24);
                if ((i.op == PVM_CALLV || i.op == PVM_CALLC || is_untyped(&i)) &&
                    inline_call(c, &i, map, 1, &i, &stored))
                        continue;
                if (i.op == PVM_CALLV && is_length(&i.m->sites[i.w[1]])) {
                        i.op = I_LENGTH;
                        i.inlined = true;
                        i.call = i.file;
                        i.b = (uint16_t)(i.file[2] & 0xff);
                }
                to = new_ins(c);
                if (to)
                        *to = i;
        }
        c->at_pc[m->ncode] = c->n;
        for (uint32_t k = 0; k < c->n; k++) {
                struct ins *i = &c->ins[k];

                if (i->inlined)
                        continue;
                if (i->op == PVM_JMP)
                        i->to = c->at_pc[i->pc + (uint32_t)((int32_t)i->file[0] >> 8)];
                else if (branches(i))
                        i->to = c->at_pc[i->pc + i->file[1]];
                for (uint32_t s = 0; successor(c, i, s) != NONE; s++)
                        c->ins[successor(c, i, s)].target = true;
        }
        for (unsigned h = 0; h < m->file->nhandlers; h++) {
                const struct pvm_file_handler *handlers = (const void *)(m->class->file.data + m->file->handlers);

                c->ins[c->at_pc[handlers[h].target]].target = true;
        }
}

/* ---- 2: loops ---- */

enum shape {
        PLAIN, /* done here */
        STEP,  /* interp_step does it */
        CALLS, /* a frame is pushed */
        LEAVE, /* the interpreter does it */
};

/* Of a NEW that has run. */
static const struct klass *made_class(const struct ins *i)
{
        return (const struct klass *)i->m->constants[i->file[0] >> 16].bits;
}

static enum shape shape_of(const struct ins *i)
{
        switch (i->op) {
        case PVM_REM_F:
        case PVM_REM_D:
        case PVM_VLT:
        case PVM_VLE:
        case PVM_VEQ:
        case PVM_TOSTR:
        case PVM_CONCAT:
        case PVM_CAST:
        case PVM_INSTOF:
        case PVM_NEWARR:
        case PVM_CLOSURE:
                return STEP;
        case PVM_LDK:
                return i->m->class->file.pool[i->file[0] >> 16].tag == PVM_POOL_CLASS ? STEP : PLAIN;
        case PVM_CALLV:
        case PVM_CALLC:
        case PVM_CALLS:
                return callable(i) ? CALLS : LEAVE;
        case PVM_NEW:
                return (*i->w & 0xff) == i->op ? LEAVE : made_class(i)->size > OBJ_SHORT ? STEP : PLAIN;
        case PVM_GETF:
        case PVM_SETF:
                return field_known(i) ? PLAIN : LEAVE;
        case PVM_GETS:
        case PVM_SETS:
                return (*i->w & 0xff) == i->op ? LEAVE : PLAIN;
        case PVM_CALLN:
        case PVM_CALLO:
                return callable(i) && site_target(&i->m->sites[i->w[1]])->result == 'R' ? CALLS : LEAVE;
        case PVM_CALLD:
        case PVM_NEWD:
        case PVM_CASTD:
        case PVM_INSTOFD:
        case PVM_THROW:
        case PVM_RETHROW:
        case PVM_RETN:
                return i->op == PVM_RETN ? PLAIN : LEAVE;
        default:
                return PLAIN;
        }
}

/* The jump that is taken when it was not: of those that end counted loops. */
static void turn_round(struct ins *i)
{
        uint16_t a = i->a;

        if (i->op == PVM_JLTI_I || i->op == PVM_JLEI_I) {
                i->op = i->op == PVM_JLTI_I ? PVM_JGEI_I : PVM_JGTI_I;
                return;
        }
        i->op = i->op == PVM_JLT_I ? PVM_JLE_I : PVM_JLT_I;
        i->a = i->b;
        i->b = a;
}

/* Whether somebody outside goes to one of [from, k] but by its end, or comes to it from what stands before. */
static bool has_ways_in(const struct comp *c, uint32_t from, uint32_t k)
{
        const struct pvm_file_handler *h = (const void *)(c->m->class->file.data + c->m->file->handlers);

        if (!from || !jumps_on(&c->ins[from - 1]))
                return true;
        for (unsigned j = 0; j < c->m->file->nhandlers; j++)
                if (c->at_pc[h[j].target] >= from && c->at_pc[h[j].target] < k)
                        return true;
        for (uint32_t j = 0; j < c->n; j++)
                for (uint32_t s = 0; (j < from || j > k) && successor(c, &c->ins[j], s) != NONE; s++)
                        if (successor(c, &c->ins[j], s) >= from && successor(c, &c->ins[j], s) < k)
                                return true;
        return false;
}

/*
 * Whether the k-th ends a loop that counts a number up to one that it does not change, by the same in each turn, and is short: no calls, no loops in it. Then no more than some turns need a poll.
 */
static bool is_counted(const struct comp *c, uint32_t k)
{
        const struct ins *last = &c->ins[k];
        bool immediate = last->op == PVM_JLTI_I || last->op == PVM_JLEI_I;
        uint32_t from = last->to, counts = NONE;

        if (!(immediate ? (int32_t)last->file[0] >> 16 >= FEW_TURNS : last->op == PVM_JLT_I || last->op == PVM_JLE_I) ||
            from > k || k - from > MAX_COUNTED || (!immediate && last->a == last->b) || has_ways_in(c, from, k))
                return false;
        for (uint32_t j = from; j < k; j++) {
                const struct ins *i = &c->ins[j];

                if (writes(i) && i->a == last->a) {
                        if (counts != NONE || i->op != PVM_ADDI_I || i->b != i->a || (int32_t)i->w[0] >> 24 <= 0)
                                return false;
                        counts = j;
                }
                if ((!immediate && writes(i) && i->a == last->b) || i->op == PVM_TSWITCH || i->op == PVM_LSWITCH ||
                    (!i->inlined && (shape_of(i) == CALLS || shape_of(i) == LEAVE)))
                        return false;
        }
        for (uint32_t j = from; j < k; j++)
                if (branches(&c->ins[j]) &&
                    (c->ins[j].to <= j || (j < counts && c->ins[j].to > counts && c->ins[j].to <= k)))
                        return false;
        return counts != NONE;
}

/*
 * Loop strip mining: a counted loop runs without polls to a limit, at most STRIP further or its end; behind it stands what polls, sees whether that was the end, and if not makes a new limit and goes on. Whoever comes from elsewhere
 * finds no limit, which is INT_MIN (`reload`), and gets there.
 */
static void strip_mine(struct comp *c)
{
        c->first_limit = c->nvalues;
        for (uint32_t k = 0; k < c->n && c->nvalues < c->first_limit + MAX_LOOPS; k++) {
                struct ins end = c->ins[k], limit = end, again = end;
                bool immediate = end.op == PVM_JLTI_I || end.op == PVM_JLEI_I;
                uint32_t from = end.to;

                if (!is_counted(c, k))
                        continue;
                for (unsigned j = 0; j < 3; j++)
                        new_ins(c);
                if (c->failed)
                        return;
                memmove(&c->ins[k + 4], &c->ins[k + 1], (c->n - (k + 4)) * sizeof(end));
                c->type[c->nvalues] = 'I';
                c->slot[c->nvalues] = NOWHERE;
                limit.op = immediate ? I_LIMITI : I_LIMIT;
                limit.c = end.b;
                limit.b = end.a;
                limit.a = (uint16_t)c->nvalues;
                limit.target = false;
                again.op = PVM_JMP;
                again.target = false;
                turn_round(&end);
                end.to = k + 1; /* behind the loop, once all are moved */
                end.target = true;
                c->ins[k + 1] = end;
                c->ins[k + 2] = limit;
                c->ins[k + 3] = again;
                c->ins[k].op = end.op == PVM_JGEI_I || end.op == PVM_JLE_I ? PVM_JLT_I : PVM_JLE_I;
                c->ins[k].b = limit.a;
                c->ins[k].strip = true;
                c->ins[k].target = false;
                c->ins[k + 4].target = true;
                for (uint32_t j = 0; j < c->n; j++) {
                        struct ins *i = &c->ins[j];

                        if (!branches(i))
                                continue;
                        if (i->to > k)
                                i->to += 3;
                        else if (i->to == k && j >= from && j < k)
                                c->ins[k].target = true;
                        else if (i->to == k)
                                i->to++;
                }
                for (uint32_t pc = 0; pc <= c->m->ncode; pc++)
                        if (c->at_pc[pc] > k)
                                c->at_pc[pc] += 3;
                c->at_pc[end.pc] = k + 1;
                c->nvalues++;
                k += 3;
        }
        c->last_limit = c->nvalues;
}

/* A jump to an instruction on the path that leads to it closes a loop. */
static void find_loops(struct comp *c)
{
        enum { NEW, OPEN, CLOSED };
        uint8_t *state = scratch(c, c->n + 1);
        struct {
                uint32_t ins, next;
        } *path = scratch(c, (c->n + 1ul) * sizeof(*path));
        const struct pvm_file_handler *h = (const void *)(c->m->class->file.data + c->m->file->handlers);
        uint32_t depth, root = 0;

        for (unsigned k = 0; path && state && k <= c->m->file->nhandlers;
             root = k < c->m->file->nhandlers ? c->at_pc[h[k].target] : 0, k++) {
                if (state[root] != NEW)
                        continue;
                depth = 0;
                path[0].ins = root;
                path[0].next = 0;
                state[root] = OPEN;
                for (;;) {
                        struct ins *i = &c->ins[path[depth].ins];
                        uint32_t k2 = path[depth].next++, to = NONE;

                        if (!jumps_on(i))
                                to = k2 ? successor(c, i, k2 - 1) : path[depth].ins + 1;
                        else
                                to = successor(c, i, k2);
                        if (to == NONE) {
                                state[path[depth].ins] = CLOSED;
                                if (!depth--)
                                        break;
                                continue;
                        }
                        if (state[to] == OPEN && !(i->strip && to == i->to)) {
                                c->ins[to].header = true;
                                if (c->nclosing < MAX_LOOPS * 2) {
                                        c->closing[c->nclosing].from = path[depth].ins;
                                        c->closing[c->nclosing].to = to;
                                }
                                c->nclosing++;
                        }
                        if (state[to] != NEW)
                                continue;
                        state[to] = OPEN;
                        depth++;
                        path[depth].ins = to;
                        path[depth].next = 0;
                }
        }
        if (state)
                pvm_host->mem_free(state, c->n + 1);
        if (path)
                pvm_host->mem_free(path, (c->n + 1ul) * sizeof(*path));
        /* How deep: by jumps that go back, which is what compilers write. */
        for (uint32_t k = 0; k < c->n; k++)
                for (uint32_t s = 0; successor(c, &c->ins[k], s) != NONE; s++) {
                        uint32_t to = successor(c, &c->ins[k], s);

                        for (uint32_t j = to; j <= k; j++)
                                c->ins[j].depth++;
                }
        for (uint32_t k = 0; k < c->n; k++)
                for (uint32_t s = 0; successor(c, &c->ins[k], s) != NONE; s++) {
                        uint32_t to = successor(c, &c->ins[k], s), j = to;

                        while (j <= k && c->ins[j].depth == c->ins[k].depth)
                                j++;
                        c->ins[to].tight |= to <= k && j > k;
                }
}

/* ---- 3: what is alive ---- */

static uint64_t *set_of(const struct comp *c, uint64_t *sets, uint32_t ins)
{
        return sets + (size_t)ins * c->words;
}

static bool join(struct comp *c, uint64_t *to, const uint64_t *from)
{
        bool changed = false;

        for (unsigned w = 0; w < c->words; w++) {
                changed |= (from[w] & ~to[w]) != 0;
                to[w] |= from[w];
        }
        return changed;
}

static void find_live(struct comp *c)
{
        const struct pvm_file_handler *h = (const void *)(c->m->class->file.data + c->m->file->handlers);
        uint64_t now[MAX_VALUES / 64];
        uint16_t v[PVM_MAX_ARGS * 5];
        bool changed = true;

        for (unsigned pass = 0; changed && !c->failed; pass++) {
                changed = false;
                c->failed |= pass == MAX_PASSES;
                for (uint32_t k = c->n; k--;) {
                        struct ins *i = &c->ins[k];
                        uint64_t *live = set_of(c, c->live, k);
                        unsigned n;

                        memset(now, 0, c->words * 8);
                        if (!jumps_on(i))
                                memcpy(now, set_of(c, c->live, k + 1), c->words * 8);
                        for (uint32_t s = 0; successor(c, i, s) != NONE; s++)
                                for (unsigned w = 0; w < c->words; w++)
                                        now[w] |= set_of(c, c->live, successor(c, i, s))[w];
                        if (writes(i))
                                del(now, i->a);
                        n = reads(i, v);
                        for (unsigned r = 0; r < n; r++)
                                add(now, v[r]);
                        for (unsigned j = 0; j < c->m->file->nhandlers; j++) {
                                if (i->pc < h[j].start || i->pc >= h[j].end)
                                        continue;
                                for (unsigned w = 0; w < c->words; w++) {
                                        uint64_t more = set_of(c, c->live, c->at_pc[h[j].target])[w];

                                        if (w == h[j].reg / 64u)
                                                more &= ~(1ul << h[j].reg % 64);
                                        now[w] |= more;
                                }
                        }
                        if (memcmp(now, live, c->words * 8)) {
                                memcpy(live, now, c->words * 8);
                                changed = true;
                        }
                }
        }
}

/*
 * Numbers that are made anew in a register of the method, and wanted no longer when the next instruction comes to which somebody jumps, become values of their own, splits, so that each may be in another machine
 * register. In the frame they are in the register that they were. What is in a list of arguments stays: such lists are in the file.
 */
static bool can_split(const struct comp *c, uint32_t k, uint32_t *end)
{
        unsigned r = c->ins[k].a;
        uint16_t v[PVM_MAX_ARGS * 5];

        for (uint32_t j = k + 1; j < c->n && j < k + MAX_SPLIT; j++) {
                const struct ins *i = &c->ins[j];
                unsigned n = reads(i, v), named = names(i);

                *end = j;
                if (!has(set_of(c, c->live, j), r))
                        return true;
                if (i->target || jumps_on(i - 1))
                        return false;
                named = (named & 1 && i->a == r) + (named & 2 && i->b == r) + (named & 4 && i->c == r);
                for (unsigned a = 0; a < n; a++)
                        named -= v[a] == r;
                if (named)
                        return false;
                for (uint32_t s = 0; successor(c, i, s) != NONE; s++)
                        if (has(set_of(c, c->live, successor(c, i, s)), r))
                                return false;
                if (writes(i) && i->a == r) {
                        *end = j + 1;
                        return true;
                }
        }
        return false;
}

static void split(struct comp *c)
{
        const struct pvm_file_handler *h = (const void *)(c->m->class->file.data + c->m->file->handlers);
        uint64_t caught[MAX_VALUES / 64] = {0};
        unsigned first = c->nvalues;

        for (unsigned j = 0; j < c->m->file->nhandlers; j++)
                join(c, caught, set_of(c, c->live, c->at_pc[h[j].target]));
        for (uint32_t k = 0; k < c->n && c->nvalues < first + MAX_SPLITS; k++) {
                unsigned r = c->ins[k].a, v = c->nvalues;
                uint32_t end;

                if (!writes(&c->ins[k]) || r >= c->m->nregs || c->type[r] == 'R' || has(caught, r) ||
                    !has(set_of(c, c->live, k + 1), r) || !can_split(c, k, &end))
                        continue;
                c->type[v] = c->type[r];
                c->slot[v] = (uint16_t)r;
                c->nvalues++;
                c->ins[k].a = (uint16_t)v;
                for (uint32_t j = k + 1; j < end; j++) {
                        struct ins *i = &c->ins[j];
                        unsigned named = names(i);

                        if (named & 1 && i->a == r)
                                i->a = (uint16_t)v;
                        if (named & 2 && i->b == r)
                                i->b = (uint16_t)v;
                        if (named & 4 && i->c == r)
                                i->c = (uint16_t)v;
                }
        }
        memset(c->live, 0, (c->n + 1ul) * c->words * 8);
        find_live(c);
}

/* ---- 4: what need not be done in loops ---- */

static bool leads_to(const struct comp *c, uint32_t k, const uint64_t *set, uint32_t but)
{
        const struct ins *i = &c->ins[k];

        if (!jumps_on(i) && k + 1 != but && has(set, k + 1))
                return true;
        for (uint32_t s = 0; successor(c, i, s) != NONE; s++)
                if (successor(c, i, s) != but && has(set, successor(c, i, s)))
                        return true;
        return false;
}

/* The instructions from which the header is reached again. False: it has another way in, or there is none. */
static bool find_body(struct comp *c, struct loop *l)
{
        bool changed = true;

        for (uint32_t k = 0; k < c->nclosing; k++)
                if (c->closing[k].to == l->header)
                        add(l->body, c->closing[k].from);
        for (unsigned pass = 0; changed; pass++) {
                changed = false;
                if (pass == MAX_PASSES)
                        return false;
                for (uint32_t k = c->n; k--;)
                        if (!has(l->body, k) && leads_to(c, k, l->body, l->header) && k != l->header) {
                                add(l->body, k);
                                changed = true;
                        }
        }
        add(l->body, l->header);
        /* Whatever leads to the body but by its header is in it by now; so the rest is what no jump leads to. */
        return !has(l->body, 0);
}

static void add_invariant(struct loop *l, unsigned v, struct fact fact)
{
        for (unsigned k = 0; k < l->n; k++)
                if (l->item[k].v == v) {
                        struct fact *f = &l->item[k].fact;

                        if ((!f->array || !fact.array || f->array == fact.array) &&
                            (!f->class || !fact.class || f->class == fact.class)) {
                                f->array |= fact.array;
                                f->class |= fact.class;
                                f->writable |= fact.writable;
                        }
                        return;
                }
        if (l->n == MAX_ITEMS)
                return;
        l->item[l->n].v = v;
        l->item[l->n++].fact = fact;
}

/* By a loop around the k-th. */
static bool tested_outside(const struct comp *c, uint32_t k, const struct invariant *item)
{
        for (uint32_t o = 0; o < c->nloops; o++) {
                const struct loop *l = &c->loop[o];

                if (o == k || !has(l->body, c->loop[k].header))
                        continue;
                for (unsigned j = 0; j < l->n; j++)
                        if (l->item[j].v == item->v && l->item[j].fact.array == item->fact.array &&
                            l->item[j].fact.class == item->fact.class &&
                            l->item[j].fact.writable >= item->fact.writable)
                                return true;
        }
        return false;
}

static bool is_put(const struct ins *i)
{
        return i->op >= PVM_AST_I && i->op <= PVM_AST_R;
}

/* Of an instruction on an array: its kind. 0: it is another one. */
static uint8_t kind_of(const struct ins *i)
{
        if (i->op >= PVM_ALD_I && i->op <= PVM_AST_R)
                return (uint8_t)(ARRAY_I + i->op - (is_put(i) ? PVM_AST_I : PVM_ALD_I));
        return 0;
}

/* The bits of `stored` in struct loop. */
static uint64_t place_of(const struct field *f)
{
        return 1ul << f->offset / 8 % 64 | 1ul << (f->offset + 7) / 8 % 64;
}

static bool is_self(const struct comp *c, unsigned v, const struct field *f)
{
        return v == 0 && c->self && class_is(c->m->class, f->class);
}

static void find_invariants(struct comp *c)
{
        uint32_t words = (c->n + 64) / 64;
        uint64_t written[MAX_VALUES / 64];

        if (c->m->careful || c->nclosing > MAX_LOOPS * 2)
                return;
        for (uint32_t h = 0; h < c->n && c->nloops < MAX_LOOPS; h++) {
                struct loop *l = &c->loop[c->nloops];
                bool leaves = false;

                if (!c->ins[h].header)
                        continue;
                *l = (struct loop){.header = h, .body = c->bodies + (size_t)c->nloops * words};
                memset(l->body, 0, words * 8);
                memset(written, 0, sizeof(written));
                if (!find_body(c, l))
                        continue;
                for (uint32_t k = 0; k < c->n; k++) {
                        const struct ins *i = &c->ins[k];

                        if (!has(l->body, k))
                                continue;
                        if (writes(i))
                                add(written, i->a);
                        /* One that has not run yet: who comes back from it comes by a way in. */
                        if (i->op == PVM_SETF && c->type[i->a] == 'R' && field_known(i))
                                l->stored |= place_of(field_of(i, false));
                        l->calls |= !i->inlined && shape_of(i) == CALLS;
                        leaves |= !i->inlined && shape_of(i) == LEAVE;
                }
                for (uint32_t k = 0; k < c->n; k++) {
                        const struct ins *i = &c->ins[k];
                        bool put = is_put(i) || i->op == PVM_SETF;
                        struct fact fact = {.there = true, .writable = put && !l->calls && !leaves};

                        if (!has(l->body, k))
                                continue;
                        if (kind_of(i))
                                fact.array = kind_of(i);
                        else if ((i->op == PVM_GETF || i->op == PVM_SETF) && field_known(i) &&
                                 (i->w[0] & 0xff) != i->op)
                                fact.class = i->w[1];
                        else
                                continue;
                        if (fact.class && is_self(c, i->b, field_of(i, false))) {
                                fact.class = 0; /* of any class that is of this one */
                                if (!fact.writable)
                                        continue;
                        }
                        if (!has(written, i->b) && has(set_of(c, c->live, h), i->b))
                                add_invariant(l, i->b, fact);
                }
                c->nloops++;
        }
        for (uint32_t k = 0; k < c->nloops; k++)
                for (unsigned j = 0; j < c->loop[k].n;)
                        if (tested_outside(c, k, &c->loop[k].item[j]))
                                c->loop[k].item[j] = c->loop[k].item[--c->loop[k].n];
                        else
                                j++;
}

/* What is tested before the loop, or one around it, of v. */
static bool tested(const struct comp *c, const struct loop *l, unsigned v, uint8_t array, uint32_t class)
{
        for (uint32_t o = 0; o < c->nloops; o++)
                for (unsigned j = 0; has(c->loop[o].body, l->header) && j < c->loop[o].n; j++) {
                        const struct invariant *item = &c->loop[o].item[j];

                        if (item->v == v && (array ? item->fact.array == array : item->fact.class == class))
                                return true;
                }
        return false;
}

static struct loop *loop_of(struct comp *c, unsigned hoist)
{
        return &c->loop[c->hoist[hoist - c->first_hoist].loop];
}

/* The value that the loops around instruction k can have instead of the load there; made for the outermost of them. 0: there is none. */
static uint16_t hoist(struct comp *c, uint32_t k, const struct field *f)
{
        const struct ins *i = &c->ins[k];
        struct loop *best = NULL;
        struct hoist *h;

        for (uint32_t n = 0; n < c->nloops; n++) {
                struct loop *l = &c->loop[n];

                if (!has(l->body, k) || l->calls || (best && !has(l->body, best->header)))
                        continue;
                if (i->hoisted && !has(loop_of(c, i->b)->body, l->header))
                        continue;
                if (f ? (l->stored & place_of(f)) || !(is_self(c, i->b, f) || tested(c, l, i->b, 0, i->w[1]))
                      : !tested(c, l, i->b, kind_of(i), 0))
                        continue;
                best = l;
        }
        if (!best)
                return 0;
        for (uint32_t n = 0; n < c->nhoists; n++)
                if (c->hoist[n].of == i->b && c->hoist[n].field == f && &c->loop[c->hoist[n].loop] == best)
                        return c->hoist[n].v;
        if (c->nhoists == MAX_HOISTS)
                return 0;
        h = &c->hoist[c->nhoists++];
        *h = (struct hoist){.loop = (uint32_t)(best - c->loop), .v = (uint16_t)c->nvalues, .of = i->b, .field = f};
        best->hoists = true;
        c->type[c->nvalues++] = f ? 'R' : 'P';
        for (uint32_t n = 0; n < c->n; n++)
                if (has(best->body, n))
                        add(set_of(c, c->live, n), h->v);
        return h->v;
}

/*
 * Where a run may begin: at pc 0, where jumps go, behind what calls. What was found out before is not known there. (Behind an inlined call it is, so the interpreter goes on to the next jump.)
 */
static bool is_entry(const struct comp *c, uint32_t n)
{
        const struct ins *before = n ? &c->ins[n - 1] : NULL;

        if (!before || c->ins[n].target)
                return true;
        return !before->inlined && (shape_of(before) == CALLS || shape_of(before) == LEAVE || before->op == PVM_TOSTR ||
                                    before->op == PVM_VEQ);
}

/* The value that instruction k makes is the hoist's: so it is for those behind, in the loop, that use it as an array, until somebody else may come, also back from the interpreter, or it is another one. */
static void use_hoist(struct comp *c, uint32_t k, uint16_t v)
{
        struct ins *i = &c->ins[k];
        uint16_t r = i->a;
        struct fact fact = {.there = true};

        i->was = i->b;
        i->b = v;
        i->hoisted = true;
        i->op = PVM_MOV;
        while (++k < c->n && has(loop_of(c, v)->body, k) && !is_entry(c, k) && !jumps_on(&c->ins[k - 1])) {
                i = &c->ins[k];
                if (i->b == r && kind_of(i)) {
                        fact.array = kind_of(i);
                        fact.writable = is_put(i);
                        add_invariant(loop_of(c, v), v, fact);
                        i->was = r;
                        i->b = v;
                        i->hoisted = true;
                }
                if (writes(i) && i->a == r)
                        break;
        }
}

static void find_hoists(struct comp *c)
{
        c->first_hoist = c->nvalues;
        for (uint32_t k = 0; k < c->n; k++) {
                const struct ins *i = &c->ins[k];
                uint16_t v;

                if (i->op != PVM_GETF || c->type[i->a] != 'R' || !field_known(i) || (i->w[0] & 0xff) == i->op)
                        continue;
                v = hoist(c, k, field_of(i, false));
                if (v)
                        use_hoist(c, k, v);
        }
        for (uint32_t k = 0; k < c->n; k++)
                if (kind_of(&c->ins[k]))
                        c->ins[k].store = hoist(c, k, NULL);
}

/* ---- 5: registers ---- */

static const uint8_t general[] = {RSI, RDI, R8, R9, R10, R11, RBP, R12, R13, R14};
#define NGENERAL ((unsigned)sizeof(general))
#define NFLOAT   14u
#define X0       15u
#define X1       14u

static bool kept_over_c(unsigned reg)
{
        return reg == RBP || reg >= R12;
}

/* Those that have found no register, and what is loaded by way of them. */
static void forget_hoists(struct comp *c)
{
        for (uint32_t n = 0; n < c->nhoists; n++) {
                const struct hoist *h = &c->hoist[n];

                if (h->of >= c->first_hoist && c->home[h->of] < 0)
                        c->home[h->v] = -1;
                if (c->home[h->v] >= 0)
                        continue;
                for (uint32_t k = 0; k < c->n; k++) {
                        struct ins *i = &c->ins[k];

                        if (i->store == h->v)
                                i->store = 0;
                        if (!i->hoisted || i->b != h->v)
                                continue;
                        i->hoisted = false;
                        i->b = i->was;
                        if (i->op == PVM_MOV)
                                i->op = PVM_GETF;
                }
        }
}

static bool commutes(const struct ins *i)
{
        static const uint8_t ops[] = {PVM_ADD_I, PVM_MUL_I, PVM_ADD_L, PVM_MUL_L, PVM_ADD_F, PVM_MUL_F, PVM_ADD_D,
                                      PVM_MUL_D, PVM_AND_I, PVM_OR_I,  PVM_XOR_I, PVM_AND_L, PVM_OR_L,  PVM_XOR_L};

        return memchr(ops, i->op, sizeof(ops));
}

/* The register of what v is made of, or of what is made of it, so that nothing has to be moved: if it is free. Else -1. */
static int wished(const struct comp *c, unsigned v, uint32_t from, uint32_t to, uint32_t taken)
{
        const struct ins *made = &c->ins[from / 2], *last = &c->ins[to / 2];
        unsigned with[3], n = 0;

        if (from % 2 && names(made) & 2)
                with[n++] = made->b;
        if (to % 2 == 0 && writes(last) && names(last) & 2 && last->b == v)
                with[n++] = last->a;
        if (from % 2 && names(made) & 4 && commutes(made))
                with[n++] = made->c;
        for (unsigned k = 0; k < n; k++)
                if (c->home[with[k]] >= 0 && is_float(c->type[with[k]]) == is_float(c->type[v]) &&
                    !(taken >> c->home[with[k]] & 1))
                        return c->home[with[k]];
        return -1;
}

/* The heaviest first; each gets a register that is free from its first to its last instruction. */
static void choose_registers(struct comp *c)
{
        struct range {
                uint32_t from, to; /* 2k: before instruction k, which may read it; 2k + 1: behind it, which makes it */
                uint32_t weight;
                bool done;
        } *range = scratch(c, c->nvalues * sizeof(*range));
        uint16_t v[PVM_MAX_ARGS * 5];

        if (!range)
                return;
        for (unsigned r = 0; r < c->nvalues; r++) {
                range[r].from = NONE;
                c->home[r] = -1;
        }
        for (uint32_t k = 0; k < c->n; k++) {
                const struct ins *i = &c->ins[k];
                uint32_t weight = 1u << 3 * (i->depth < 7 ? i->depth : 7);
                struct ins alone = *i;
                unsigned n;

                alone.inlined = false;
                n = reads(&alone, v);
                if (writes(i))
                        v[n++] = i->a;
                if (i->store)
                        v[n++] = i->store;
                for (unsigned r = 0; r < n; r++)
                        range[v[r]].weight += weight;
                for (unsigned r = 0; r < c->nvalues; r++) {
                        bool before = has(set_of(c, c->live, k), r), made = writes(i) && i->a == r;

                        if (!before && !made)
                                continue;
                        if (range[r].from == NONE)
                                range[r].from = 2 * k + !before;
                        range[r].to = 2 * k + made;
                }
        }
        for (;;) {
                unsigned best = NONE;
                uint32_t taken = 0;

                for (unsigned r = 0; r < c->nvalues; r++)
                        if (!range[r].done && range[r].from != NONE && range[r].weight &&
                            (best == NONE || range[r].weight > range[best].weight))
                                best = r;
                if (best == NONE)
                        break;
                range[best].done = true;
                for (unsigned r = 0; r < c->nvalues; r++)
                        if (c->home[r] >= 0 && is_float(c->type[r]) == is_float(c->type[best]) &&
                            range[r].from <= range[best].to && range[best].from <= range[r].to)
                                taken |= 1u << c->home[r];
                c->home[best] = (int8_t)wished(c, best, range[best].from, range[best].to, taken);
                for (unsigned k = 0; c->home[best] < 0 && k < (is_float(c->type[best]) ? NFLOAT : NGENERAL); k++) {
                        unsigned reg = is_float(c->type[best]) ? k : general[k];

                        if (!(taken >> reg & 1))
                                c->home[best] = (int8_t)reg;
                }
        }
        pvm_host->mem_free(range, c->nvalues * sizeof(*range));
        forget_hoists(c);
}

/* ---- 6: what is dirty ---- */

static bool can_be_dirty(const struct comp *c, unsigned v)
{
        return c->home[v] >= 0 && c->type[v] != 'R' && c->slot[v] != NOWHERE;
}

/* The set behind an instruction, made of that before it. */
static void step_dirty(const struct comp *c, const struct ins *i, uint64_t *dirty)
{
        enum shape s = i->inlined ? PLAIN : shape_of(i);

        if (s != PLAIN)
                memset(dirty, 0, c->words * 8);
        if (!writes(i))
                return;
        del(dirty, i->a);
        if ((s == PLAIN || s == CALLS) && can_be_dirty(c, i->a))
                add(dirty, i->a);
}

static void find_dirty(struct comp *c)
{
        uint64_t now[MAX_VALUES / 64];
        bool changed = true;

        for (unsigned pass = 0; changed && !c->failed; pass++) {
                changed = false;
                c->failed |= pass == MAX_PASSES;
                for (uint32_t k = 0; k < c->n; k++) {
                        const struct ins *i = &c->ins[k];

                        memcpy(now, set_of(c, c->dirty, k), c->words * 8);
                        step_dirty(c, i, now);
                        if (!jumps_on(i))
                                changed |= join(c, set_of(c, c->dirty, k + 1), now);
                        for (uint32_t s = 0; successor(c, i, s) != NONE; s++)
                                changed |= join(c, set_of(c, c->dirty, successor(c, i, s)), now);
                }
        }
}

/* ---- 7: machine code: values ---- */

static unsigned base_of(const struct comp *c, unsigned v)
{
        return c->slot[v] != NOWHERE ? RBX : R15;
}

static int32_t disp_of(const struct comp *c, unsigned v)
{
        return c->slot[v] != NOWHERE ? (int32_t)(8 * c->slot[v])
                                     : JIT_WORKER(temporary) + (int32_t)((v - c->m->nregs) * sizeof(slot));
}

static void load(struct comp *c, unsigned v, unsigned reg)
{
        static const char types[] = "ILRFD";
        static const unsigned op[] = {X_LOAD, X_LOAD, X_LOAD, X_MOVSS, X_MOVSD};
        unsigned k = (unsigned)(strchr(types, c->type[v]) - types);

        x_rm(&c->x, op[k], k == 1 || k == 2, reg, base_of(c, v), disp_of(c, v));
}

static void store(struct comp *c, unsigned v, unsigned reg)
{
        switch (c->type[v]) {
        case 'F':
                x_rm(&c->x, X_STSS, false, reg, base_of(c, v), disp_of(c, v));
                break;
        case 'D':
                x_rm(&c->x, X_STSD, false, reg, base_of(c, v), disp_of(c, v));
                break;
        default:
                x_rm(&c->x, X_STORE, true, reg, base_of(c, v), disp_of(c, v));
        }
}

/* The register that holds v; `spare`, if it is in memory. */
static unsigned get(struct comp *c, unsigned v, unsigned spare)
{
        if (c->home[v] >= 0)
                return (unsigned)c->home[v];
        load(c, v, spare);
        return spare;
}

static void move(struct comp *c, char type, unsigned to, unsigned from)
{
        if (to == from)
                return;
        if (is_float(type))
                x_rr(&c->x, X_MOVAPS, false, to, from);
        else
                x_rr(&c->x, X_LOAD, type != 'I', to, from);
}

static void get_into(struct comp *c, unsigned v, unsigned reg)
{
        if (c->home[v] >= 0)
                move(c, c->type[v], reg, (unsigned)c->home[v]);
        else
                load(c, v, reg);
}

/* Where the value v is to be made. */
static unsigned want(const struct comp *c, unsigned v)
{
        return c->home[v] >= 0 ? (unsigned)c->home[v] : is_float(c->type[v]) ? X0 : RAX;
}

/* v is in reg now. */
static void set(struct comp *c, unsigned v, unsigned reg)
{
        if (c->home[v] < 0 || (c->type[v] == 'R' && c->slot[v] != NOWHERE))
                store(c, v, reg);
        if (c->home[v] >= 0 && has(set_of(c, c->live, c->now + 1), v))
                move(c, c->type[v], (unsigned)c->home[v], reg);
        c->fact[v] = (struct fact){0};
}

static void spill(struct comp *c, const uint64_t *dirty, const uint64_t *live)
{
        for (unsigned v = 0; v < c->nvalues; v++)
                if (has(dirty, v) && has(live, v) && can_be_dirty(c, v))
                        store(c, v, (unsigned)c->home[v]);
}

static int32_t hoist_at(const struct hoist *h)
{
        return h->field ? (int32_t)h->field->offset : (int32_t) __builtin_offsetof(struct array, store);
}

/* Of one loop, or, l is NULL, of all around the instruction `at`: references, or stores. */
static void load_hoists(struct comp *c, uint32_t at, const struct loop *l, bool stores)
{
        for (uint32_t n = 0; n < c->nhoists; n++) {
                const struct hoist *h = &c->hoist[n];

                if (c->home[h->v] >= 0 && !h->field == stores &&
                    (l ? l == &c->loop[h->loop] : has(c->loop[h->loop].body, at)))
                        x_rm(&c->x, X_LOAD, true, (unsigned)c->home[h->v], get(c, h->of, RCX), hoist_at(h));
        }
}

/* Over a C function that instruction `at` calls: references are stored, or loaded again. */
static void keep_hoists(struct comp *c, uint32_t at, void (*how)(struct comp *c, unsigned v, unsigned reg))
{
        for (uint32_t n = 0; n < c->nhoists; n++) {
                const struct hoist *h = &c->hoist[n];

                if (h->field && c->home[h->v] >= 0 && has(c->loop[h->loop].body, at) &&
                    !kept_over_c((unsigned)c->home[h->v]))
                        how(c, h->v, (unsigned)c->home[h->v]);
        }
}

static void reload(struct comp *c, const uint64_t *live, unsigned but, bool all)
{
        for (unsigned v = 0; v < c->nvalues; v++)
                if (c->home[v] >= 0 && c->slot[v] != NOWHERE && v != but && has(live, v) &&
                    (all || is_float(c->type[v]) || !kept_over_c((unsigned)c->home[v])))
                        load(c, v, (unsigned)c->home[v]);
        for (unsigned v = c->first_limit; v < c->last_limit; v++)
                if (has(live, v)) {
                        x_imm(&c->x, RAX, (uint32_t)INT32_MIN);
                        if (c->home[v] >= 0)
                                move(c, 'I', (unsigned)c->home[v], RAX);
                        else
                                store(c, v, RAX);
                }
}

/* ---- jumps ---- */

static struct cold *cold(struct comp *c, int kind)
{
        struct cold *k;

        if (c->ncold == c->cold_cap) {
                uint32_t cap = c->cold_cap * 2;
                struct cold *more = scratch(c, cap * sizeof(*more));

                if (!more)
                        return &c->cold[0];
                memcpy(more, c->cold, c->ncold * sizeof(*more));
                pvm_host->mem_free(c->cold, c->cold_cap * sizeof(*more));
                c->cold = more;
                c->cold_cap = cap;
        }
        k = &c->cold[c->ncold++];
        *k = (struct cold){.kind = kind, .ins = c->now};
        return k;
}

/* If cc, the instruction leaves. */
static void leave_if(struct comp *c, unsigned cc)
{
        struct cold *k = NULL;

        c->failed |= c->ins[c->now].stored;
        k = cold(c, COLD_EXIT);
        k->from[k->nfrom++] = x_jcc(&c->x, cc);
}

static void note_jump(struct comp *c, uint32_t at, uint32_t to)
{
        c->jumps[c->njumps].at = at;
        c->jumps[c->njumps].from = c->now;
        c->jumps[c->njumps++].ins = to;
}

static void jump_if(struct comp *c, unsigned cc, uint32_t to)
{
        note_jump(c, x_jcc(&c->x, cc), to);
}

static void jump(struct comp *c, uint32_t to)
{
        if (to == c->now + 1)
                return;
        note_jump(c, x_jmp(&c->x), to);
}

static void jump_area(struct comp *c, uint32_t offset)
{
        uint32_t at = x_jmp(&c->x);

        x_land(&c->x, at, offset - c->place);
}

static void call_c(struct comp *c, const void *function)
{
        x_imm(&c->x, RAX, (uint64_t)function);
        x_rr(&c->x, 0xff, false, 2, RAX);
}

/* interp_step; leaves if it could not. Then what is alive is in its registers. */
static void emit_step(struct comp *c, uint32_t ins, const uint64_t *dirty)
{
        const struct ins *i = &c->ins[ins];
        struct cold *k;

        spill(c, dirty, set_of(c, c->live, ins));
        keep_hoists(c, ins, store);
        x_imm(&c->x, RDI, (uint64_t)i->m);
        x_rr(&c->x, X_LOAD, true, RSI, RBX);
        x_imm(&c->x, RDX, (uint64_t)i->w);
        call_c(c, (const void *)interp_step);
        x_rr(&c->x, X_TEST, false, RAX, RAX);
        k = cold(c, COLD_EXIT);
        k->ins = ins;
        k->pop = 1; /* nothing is dirty */
        k->from[k->nfrom++] = x_jcc(&c->x, CC_NE);
        reload(c, set_of(c, c->live, ins + 1), NONE, false);
        if (writes(i) && c->home[i->a] >= 0)
                load(c, i->a, (unsigned)c->home[i->a]);
        keep_hoists(c, ins, load);
        load_hoists(c, ins, NULL, true);
}

/* If cc, interp_step does the instruction. Returns what goes on at `back`. */
static uint32_t step_if(struct comp *c, unsigned cc)
{
        struct cold *k;

        if (c->ins[c->now].inlined) {
                leave_if(c, cc);
                return NONE;
        }
        k = cold(c, COLD_STEP);
        k->from[k->nfrom++] = x_jcc(&c->x, cc);
        return (uint32_t)(k - c->cold);
}

static void back(struct comp *c, uint32_t step)
{
        if (step != NONE)
                c->cold[step].back = c->x.n;
}

/* ---- instructions ---- */

static void immediate(struct comp *c, unsigned v, uint64_t bits)
{
        unsigned to = want(c, v);

        if (!is_float(c->type[v])) {
                x_imm(&c->x, to, bits);
        } else if (!bits) {
                x_rr(&c->x, X_XORPS, false, to, to);
        } else {
                x_imm(&c->x, RAX, bits);
                x_rr(&c->x, X_MOVGX, c->type[v] == 'D', to, RAX);
        }
        set(c, v, to);
}

static void arithmetic(struct comp *c, const struct ins *i, unsigned op, bool commutes)
{
        bool wide = c->type[i->a] == 'L';
        unsigned b = get(c, i->b, RAX), d = get(c, i->c, RCX), a = want(c, i->a);

        if (op == X_ADD && a != b && a != d) {
                x_rmx(&c->x, X_LEA, wide, a, b, d, 0, 0);
                set(c, i->a, a);
                return;
        }
        if (a == d && a != b) {
                if (commutes) {
                        d = b;
                        b = a;
                } else {
                        a = RAX;
                }
        }
        move(c, c->type[i->a], a, b);
        x_rr(&c->x, op, wide, a, d);
        set(c, i->a, a);
}

static void with_number(struct comp *c, const struct ins *i, unsigned op)
{
        bool wide = c->type[i->a] == 'L';
        int32_t n = (int32_t)i->w[0] >> 24;
        unsigned b = get(c, i->b, RAX), a = want(c, i->a);
        unsigned bits = (unsigned)n & (wide ? 63 : 31);

        switch (op) {
        case PVM_ADDI_I:
                if (a != b)
                        x_rm(&c->x, X_LEA, wide, a, b, n);
                else
                        x_ri(&c->x, 0, wide, a, n);
                break;
        case PVM_MULI_I:
                if (n == 3 || n == 5 || n == 9) {
                        x_rmx(&c->x, X_LEA, wide, a, b, b, n == 3 ? 1 : n == 5 ? 2 : 3, 0);
                } else {
                        x_rr(&c->x, X_IMULI, wide, a, b);
                        x_u32(&c->x, (uint32_t)n);
                }
                break;
        case PVM_ANDI_I:
                move(c, c->type[i->a], a, b);
                x_ri(&c->x, 4, wide, a, n);
                break;
        default:
                move(c, c->type[i->a], a, b);
                x_shift(&c->x, op == PVM_SHLI_I ? 4 : op == PVM_SHRI_I ? 7 : 5, wide, a, bits);
        }
        set(c, i->a, a);
}

static void shift(struct comp *c, const struct ins *i, unsigned group)
{
        bool wide = c->type[i->a] == 'L';

        get_into(c, i->b, RAX);
        get_into(c, i->c, RCX);
        x_rr(&c->x, 0xd3, wide, group, RAX);
        set(c, i->a, RAX);
}

static void divide(struct comp *c, const struct ins *i, bool rest)
{
        bool wide = c->type[i->a] == 'L';
        uint32_t minus, end;

        get_into(c, i->c, RCX);
        x_rr(&c->x, X_TEST, wide, RCX, RCX);
        leave_if(c, CC_E);
        get_into(c, i->b, RAX);
        x_ri(&c->x, 7, wide, RCX, -1);
        minus = x_jcc(&c->x, CC_E);
        x_opcode(&c->x, 0x99, wide, 0, 0, 0);
        x_rr(&c->x, 0xf7, wide, 7, RCX);
        end = x_jmp(&c->x);
        x_land(&c->x, minus, c->x.n);
        x_rr(&c->x, 0xf7, wide, 3, RAX);
        x_imm(&c->x, RDX, 0);
        x_land(&c->x, end, c->x.n);
        set(c, i->a, rest ? RDX : RAX);
}

/*
 * By a constant. Of ints by a product: x / d is floor(x * M / 2^(31 + l)), + 1 if x < 0, with l = ceil(log2 d) and M = floor(2^(31 + l) / d) + 1 (Granlund, Montgomery 1994).
 */
static void divide_by(struct comp *c, const struct ins *i, bool rest)
{
        bool wide = c->type[i->a] == 'L';
        int32_t n = (int32_t)i->w[0] >> 24;
        uint32_t d = (uint32_t)(n < 0 ? -n : n);
        unsigned l = 0;

        get_into(c, i->b, RAX);
        if (d == 1) {
                if (rest)
                        x_imm(&c->x, RAX, 0);
                else if (n < 0)
                        x_rr(&c->x, 0xf7, wide, 3, RAX);
                set(c, i->a, RAX);
                return;
        }
        if (wide) {
                x_imm(&c->x, RCX, (uint64_t)(int64_t)n);
                x_opcode(&c->x, 0x99, true, 0, 0, 0);
                x_rr(&c->x, 0xf7, true, 7, RCX);
                set(c, i->a, rest ? RDX : RAX);
                return;
        }
        while (1u << l < d)
                l++;
        x_rr(&c->x, X_MOVSXD, true, RAX, RAX);
        x_imm(&c->x, RCX, (1ul << (31 + l)) / d + 1);
        x_rr(&c->x, X_IMUL, true, RCX, RAX);
        x_shift(&c->x, 7, true, RCX, 31 + l);
        x_rr(&c->x, X_LOAD, false, RDX, RAX);
        x_shift(&c->x, 5, false, RDX, 31);
        x_rr(&c->x, X_ADD, false, RCX, RDX);
        /* ecx = x / d */
        if (!rest) {
                if (n < 0)
                        x_rr(&c->x, 0xf7, false, 3, RCX);
                set(c, i->a, RCX);
                return;
        }
        x_rr(&c->x, X_IMULI, false, RCX, RCX);
        x_u32(&c->x, d);
        x_rr(&c->x, X_SUB, false, RAX, RCX);
        set(c, i->a, RAX);
}

static const unsigned float_op[] = {X_ADDSD, X_SUBSD, X_MULSD, X_DIVSD};

static void float_arithmetic(struct comp *c, const struct ins *i, unsigned op, bool commutes)
{
        unsigned b = get(c, i->b, X0), d = get(c, i->c, X1), a = want(c, i->a);

        if (c->type[i->a] == 'F')
                op = X_SINGLE(op);
        if (a == d && a != b) {
                if (commutes) {
                        d = b;
                        b = a;
                } else {
                        a = X0;
                }
        }
        move(c, 'D', a, b);
        x_rr(&c->x, op, false, a, d);
        set(c, i->a, a);
}

static void float_minus(struct comp *c, const struct ins *i)
{
        bool wide = c->type[i->a] == 'D';

        x_imm(&c->x, RAX, wide ? 1ul << 63 : 1ul << 31);
        get_into(c, i->b, X0);
        x_rr(&c->x, X_MOVGX, wide, X1, RAX);
        x_rr(&c->x, X_XORPS, false, X0, X1);
        set(c, i->a, X0);
}

/* Flags of b ? d; for numbers with a point so that CC_A is b > d. */
static void compare(struct comp *c, unsigned b, unsigned d)
{
        char t = c->type[b];

        if (is_float(t)) {
                unsigned x = get(c, b, X0);

                x_rr(&c->x, t == 'D' ? X_UCOMISD : X_UCOMISS, false, x, get(c, d, X1));
        } else {
                unsigned x = get(c, b, RAX);

                x_rr(&c->x, X_CMP, t != 'I', x, get(c, d, RCX));
        }
}

static void set_cc(struct comp *c, unsigned v, unsigned cc)
{
        x_rr(&c->x, 0x0f90 | cc, false, 0, RAX);
        x_rr(&c->x, X_MOVZXB, false, RAX, RAX);
        set(c, v, RAX);
}

/* SEQ SNE SLT SLE and JEQ JNE JLT JLE of one type stand one behind the other: which is 0 to 3. */
static void compare_set(struct comp *c, const struct ins *i, unsigned which)
{
        if (!is_float(c->type[i->b])) {
                static const uint8_t cc[] = {CC_E, CC_NE, CC_L, CC_LE};

                compare(c, i->b, i->c);
                set_cc(c, i->a, cc[which]);
        } else if (which >= 2) {
                compare(c, i->c, i->b);
                set_cc(c, i->a, which == 2 ? CC_A : CC_AE);
        } else {
                compare(c, i->b, i->c);
                x_rr(&c->x, 0x0f90 | (which ? CC_NE : CC_E), false, 0, RAX);
                x_rr(&c->x, 0x0f90 | (which ? CC_P : CC_NP), false, 0, RCX);
                x_rr(&c->x, which ? 0x0a : 0x22, false, RAX, RCX);
                x_rr(&c->x, X_MOVZXB, false, RAX, RAX);
                set(c, i->a, RAX);
        }
}

static void compare_jump(struct comp *c, const struct ins *i, unsigned which)
{
        if (!is_float(c->type[i->a])) {
                static const uint8_t cc[] = {CC_E, CC_NE, CC_L, CC_LE};

                compare(c, i->a, i->b);
                jump_if(c, cc[which], i->to);
        } else if (which >= 2) {
                compare(c, i->b, i->a);
                jump_if(c, which == 2 ? CC_A : CC_AE, i->to);
        } else if (which) {
                compare(c, i->a, i->b);
                jump_if(c, CC_NE, i->to);
                jump_if(c, CC_P, i->to);
        } else {
                uint32_t over;

                compare(c, i->a, i->b);
                over = x_jcc(&c->x, CC_P);
                jump_if(c, CC_E, i->to);
                x_land(&c->x, over, c->x.n);
        }
}

static void to_integer(struct comp *c, const struct ins *i)
{
        bool wide = c->type[i->a] == 'L';
        unsigned b = get(c, i->b, X0);
        struct cold *k;

        if (c->type[i->b] == 'F') {
                x_rr(&c->x, X_CVTSS2SD, false, X0, b);
                b = X0;
        }
        x_rr(&c->x, X_CVTTSD2SI, wide, RAX, b);
        if (wide)
                x_imm(&c->x, RCX, 1ul << 63);
        if (wide)
                x_rr(&c->x, X_CMP, true, RAX, RCX);
        else
                x_ri(&c->x, 7, false, RAX, INT32_MIN);
        k = cold(c, COLD_SATURATE);
        k->from[k->nfrom++] = x_jcc(&c->x, CC_E);
        k->reg = b;
        k->wide = wide;
        k->back = c->x.n;
        set(c, i->a, RAX);
}

/* The object v in a register, not null; else the instruction leaves. */
static unsigned object(struct comp *c, unsigned v, unsigned spare)
{
        unsigned o = get(c, v, spare);

        if (!c->fact[v].there && !(v == 0 && c->self)) {
                x_rr(&c->x, X_TEST, true, o, o);
                leave_if(c, CC_E);
        }
        c->fact[v].there = true;
        return o;
}

/* heap_wrote(): what is at this address has got a reference. Changes at, rdx. */
static void mark_card(struct comp *c, unsigned at)
{
        x_shift(&c->x, 5, true, at, CARD_SHIFT);
        x_rm(&c->x, X_LOAD, true, RDX, R15, JIT_WORKER(cards));
        x_rmx(&c->x, 0xc6, false, 0, RDX, at, 0, 0);
        x_byte(&c->x, 1);
}

/*
 * The field that instruction k loads is a number that the next one alone adds to another, or the like: it takes it from the object.
 */
static bool folds(const struct comp *c, uint32_t k)
{
        const struct ins *i = &c->ins[k], *next = i + 1;

        return k + 1 < c->n && i->op == PVM_GETF && is_float(c->type[i->a]) && next->op >= PVM_ADD_F &&
               next->op <= PVM_NEG_D && (next->op - PVM_ADD_F) % 6 < 4 && next->c == i->a && next->b != i->a &&
               !next->target && i->inlined == next->inlined && !(c->m->careful && !i->inlined) &&
               (next->a == i->a || !has(set_of(c, c->live, k + 2), i->a));
}

static void field_access(struct comp *c, const struct ins *i)
{
        const struct field *f = field_of(i, false);
        unsigned op = *i->w & 0xff;
        bool put = i->op == PVM_SETF;
        uint32_t class = op == i->op ? f->class->index : i->w[1], step = NONE;
        unsigned o = object(c, i->b, RCX);
        struct fact *fact = &c->fact[i->b];
        unsigned v;

        if (!is_self(c, i->b, f) && !(fact->class && class_is(classes[fact->class], f->class))) {
                x_mi(&c->x, 7, false, o, 0, (int32_t) class);
                if (c->m->careful && !i->inlined) {
                        step = step_if(c, CC_NE);
                } else {
                        leave_if(c, CC_NE);
                        fact->class = class;
                }
        }
        if (put && !fact->writable) {
                x_rm(&c->x, 0xf7, false, 0, o, 4);
                x_u32(&c->x, OBJ_IMMUTABLE);
                leave_if(c, CC_NE);
                fact->writable = step == NONE;
        }
        if (put) {
                v = get(c, i->a, is_float(c->type[i->a]) ? X0 : RAX);
                x_rm(&c->x,
                     c->type[i->a] == 'F'   ? X_STSS
                     : c->type[i->a] == 'D' ? X_STSD
                                            : X_STORE,
                     c->type[i->a] == 'L' || c->type[i->a] == 'R', v, o, (int32_t)f->offset);
                if (c->type[i->a] == 'R' && !fact->young) {
                        move(c, 'R', RCX, o);
                        mark_card(c, RCX);
                }
        } else if (folds(c, c->now)) {
                i = &c->ins[++c->now];
                v = want(c, i->a);
                get_into(c, i->b, v);
                op = float_op[(i->op - PVM_ADD_F) % 6];
                x_rm(&c->x, c->type[i->a] == 'F' ? X_SINGLE(op) : op, false, v, o, (int32_t)f->offset);
                set(c, i->a, v);
        } else {
                v = want(c, i->a);
                x_rm(&c->x,
                     c->type[i->a] == 'F'   ? X_MOVSS
                     : c->type[i->a] == 'D' ? X_MOVSD
                                            : X_LOAD,
                     c->type[i->a] == 'L' || c->type[i->a] == 'R', v, o, (int32_t)f->offset);
                set(c, i->a, v);
        }
        back(c, step);
}

static void statics(struct comp *c, const struct ins *i)
{
        const struct field *f = field_of(i, true);
        char t = c->type[i->a];
        unsigned v;

        x_imm(&c->x, RCX, (uint64_t)f->address);
        if (i->op == PVM_SETS) {
                v = get(c, i->a, is_float(t) ? X0 : RAX);
                x_rm(&c->x, t == 'F' ? X_STSS : t == 'D' ? X_STSD : X_STORE, !is_float(t), v, RCX, 0);
                if (t == 'R')
                        mark_card(c, RCX);
                return;
        }
        v = want(c, i->a);
        x_rm(&c->x, t == 'F' ? X_MOVSS : t == 'D' ? X_MOVSD : X_LOAD, !is_float(t) && t != 'I', v, RCX, 0);
        set(c, i->a, v);
}

/* The value of an AST to its place in the store `from`, whose index is in the register `at`. Changes rdx. */
static void put_element(struct comp *c, const struct ins *i, unsigned from, unsigned at)
{
        char t = c->type[i->a];
        bool wide = t != 'I' && t != 'F';
        unsigned v = get(c, i->a, is_float(t) ? X0 : RDX);

        x_rmx(&c->x,
              t == 'F'   ? X_STSS
              : t == 'D' ? X_STSD
                         : X_STORE,
              wide && t != 'D', v, from, at, wide ? 3 : 2, __builtin_offsetof(struct store, i));
}

static void mark_element(struct comp *c, unsigned from, unsigned at)
{
        x_rmx(&c->x, X_LEA, true, RCX, from, at, 3, __builtin_offsetof(struct store, i));
        mark_card(c, RCX);
}

/*
 * Right behind the end of the array, while its store has room: the element, and then the length, if that is still what it was: others that make the array longer have the machine's lock. Else
 * interp_step does it all.
 */
static void append(struct comp *c, const struct ins *i, struct cold *k)
{
        unsigned at = c->home[i->c] >= 0 ? (unsigned)c->home[i->c] : RAX,
                 from = i->store ? (unsigned)c->home[i->store] : RCX;
        uint32_t full, no;

        x_rm(&c->x, X_CMP, false, at, from, (int32_t) __builtin_offsetof(struct store, cap));
        full = x_jcc(&c->x, CC_AE);
        put_element(c, i, from, at);
        x_rm(&c->x, X_LEA, false, RDX, at, 1);
        move(c, 'I', RAX, at);
        x_byte(&c->x, 0xf0);
        x_rm(&c->x, X_CMPXCHG, false, RDX, from, (int32_t) __builtin_offsetof(struct store, len));
        no = x_jcc(&c->x, CC_NE);
        if (c->type[i->a] == 'R')
                mark_element(c, from, at);
        x_land(&c->x, x_jmp(&c->x), k->back);
        x_land(&c->x, full, c->x.n);
        x_land(&c->x, no, c->x.n);
}

static void element(struct comp *c, const struct ins *i)
{
        bool put = is_put(i);
        unsigned kind = kind_of(i);
        char t = c->type[i->a];
        bool wide = t != 'I' && t != 'F';
        struct fact *fact = &c->fact[i->b];
        unsigned o = object(c, i->b, RCX), at = get(c, i->c, RAX), from = RCX, v;
        uint32_t step = NONE, beyond;

        if (fact->array != kind || (put && !fact->writable)) {
                x_rm(&c->x, X_LOAD, false, RDX, o, 4);
                x_ri(&c->x, 4, false, RDX, put ? (int32_t)(OBJ_ARRAY | OBJ_IMMUTABLE) : (int32_t)OBJ_ARRAY);
                x_ri(&c->x, 7, false, RDX, (int32_t)ARRAY_BITS(kind));
                if (kind != ARRAY_R) {
                        /* Nothing but an error can come of it. */
                        leave_if(c, CC_NE);
                        fact->array = (uint8_t)kind;
                        fact->writable |= put;
                } else {
                        step = step_if(c, CC_NE);
                }
        }
        if (i->store)
                from = (unsigned)c->home[i->store];
        else
                x_rm(&c->x, X_LOAD, true, RCX, o, (int32_t) __builtin_offsetof(struct array, store));
        x_rm(&c->x, X_CMP, false, at, from, (int32_t) __builtin_offsetof(struct store, len));
        beyond = step_if(c, CC_AE);
        if (put) {
                c->cold[beyond].kind = COLD_APPEND;
                put_element(c, i, from, at);
                if (t == 'R')
                        mark_element(c, from, at);
        } else {
                v = want(c, i->a);
                x_rmx(&c->x,
                      t == 'F'   ? X_MOVSS
                      : t == 'D' ? X_MOVSD
                                 : X_LOAD,
                      wide && t != 'D', v, from, at, wide ? 3 : 2, __builtin_offsetof(struct store, i));
                set(c, i->a, v);
        }
        back(c, step);
        back(c, beyond);
}

static void length(struct comp *c, const struct ins *i)
{
        unsigned o = object(c, i->b, RCX), a = want(c, i->a);

        if (!c->fact[i->b].array) {
                x_rm(&c->x, 0xf7, false, 0, o, 4);
                x_u32(&c->x, OBJ_ARRAY);
                leave_if(c, CC_E);
        }
        x_rm(&c->x, X_LOAD, true, RCX, o, (int32_t) __builtin_offsetof(struct array, store));
        x_rm(&c->x, X_LOAD, false, a, RCX, (int32_t) __builtin_offsetof(struct store, len));
        set(c, i->a, a);
}

static void make_object(struct comp *c, const struct ins *i)
{
        const struct klass *k = made_class(i);
        uint32_t size = (k->size + 7) & ~7u, step;
        x_rm(&c->x, X_LOAD, true, RAX, R15, JIT_WORKER(cur));
        x_rm(&c->x, X_LEA, true, RCX, RAX, (int32_t)size);
        x_rm(&c->x, X_CMP, true, RCX, R15, JIT_WORKER(end));
        step = step_if(c, CC_A);
        x_rm(&c->x, X_STORE, true, RCX, R15, JIT_WORKER(cur));
        x_imm(&c->x, RDX, k->index | (uint64_t)(size / 8) << 32);
        x_rm(&c->x, X_STORE, true, RDX, RAX, 0);
        set(c, i->a, RAX);
        back(c, step);
        c->fact[i->a] = (struct fact){.class = k->index, .there = true, .writable = true, .young = true};
}

static uint32_t box_class(char type)
{
        return type == 'I' ? CLASS_int : type == 'L' ? CLASS_long : type == 'F' ? CLASS_float : CLASS_double;
}

#define BOX_VALUE 8
_Static_assert(__builtin_offsetof(struct box32, i) == BOX_VALUE && __builtin_offsetof(struct box64, l) == BOX_VALUE &&
                       sizeof(struct box32) == 16 && sizeof(struct box64) == 16,
               "both kinds of boxes alike");

static void make_box(struct comp *c, const struct ins *i)
{
        char t = c->type[i->b];
        uint32_t step;
        unsigned v;

        x_rm(&c->x, X_LOAD, true, RAX, R15, JIT_WORKER(cur));
        x_rm(&c->x, X_LEA, true, RCX, RAX, sizeof(struct box32));
        x_rm(&c->x, X_CMP, true, RCX, R15, JIT_WORKER(end));
        step = step_if(c, CC_A);
        if (step == NONE)
                c->cold[c->ncold - 1].kind = COLD_LEAVE; /* no guess that was wrong */
        x_rm(&c->x, X_STORE, true, RCX, R15, JIT_WORKER(cur));
        x_imm(&c->x, RDX, box_class(t) | (uint64_t)(sizeof(struct box32) / 8) << 32);
        x_rm(&c->x, X_STORE, true, RDX, RAX, 0);
        v = get(c, i->b, is_float(t) ? X0 : RCX);
        x_rm(&c->x, t == 'F' ? X_STSS : t == 'D' ? X_STSD : X_STORE, t == 'L', v, RAX, BOX_VALUE);
        set(c, i->a, RAX);
        back(c, step);
        c->fact[i->a] = (struct fact){.class = box_class(t), .there = true};
}

/* The number in the box that instruction k makes is taken out by the next one, and nobody wants the box: it is not made. */
static bool is_taken_out(const struct comp *c, uint32_t k)
{
        const struct ins *i = &c->ins[k], *next = i + 1;

        return k + 1 < c->n && next->op == PVM_UNBOX && next->b == i->a && c->type[next->a] == c->type[i->b] &&
               !next->target && !has(set_of(c, c->live, k + 2), i->a);
}

/* What was in the reference's register is not kept alive. */
static void pass_number(struct comp *c, const struct ins *i)
{
        unsigned v = get(c, i->b, is_float(c->type[i->b]) ? X0 : RAX);

        x_rm(&c->x, 0xc7, true, 0, base_of(c, i->a), disp_of(c, i->a));
        x_u32(&c->x, 0);
        c->fact[i->a] = (struct fact){0};
        set(c, c->ins[++c->now].a, v);
}

/* UNBOX: of the box of its type here; wider by interp_step. */
static void take_out(struct comp *c, const struct ins *i)
{
        char t = c->type[i->a];
        unsigned o = object(c, i->b, RCX), a = want(c, i->a);
        uint32_t step = NONE;

        if (c->fact[i->b].class != box_class(t)) {
                x_mi(&c->x, 7, false, o, 0, (int32_t)box_class(t));
                step = step_if(c, CC_NE);
        }
        x_rm(&c->x, t == 'F' ? X_MOVSS : t == 'D' ? X_MOVSD : X_LOAD, t == 'L', a, o, BOX_VALUE);
        set(c, i->a, a);
        back(c, step);
}

static void string_length(struct comp *c, const struct ins *i)
{
        unsigned o = object(c, i->b, RCX), a = want(c, i->a);

        if (c->fact[i->b].class != CLASS_string) {
                x_mi(&c->x, 7, false, o, 0, CLASS_string);
                leave_if(c, CC_NE);
                c->fact[i->b].class = CLASS_string;
        }
        x_rm(&c->x, X_LOAD, false, a, o, (int32_t) __builtin_offsetof(struct string, len));
        set(c, i->a, a);
}

/* A binary search by jumps, for both kinds of switches. */
static void choose(struct comp *c, const struct ins *i, unsigned key, uint32_t low, uint32_t high)
{
        while (high - low > 1) {
                uint32_t mid = low + (high - low) / 2, less;

                x_ri(&c->x, 7, false, key, (int32_t)i->file[3 + 2 * mid]);
                less = x_jcc(&c->x, CC_L);
                choose(c, i, key, mid, high);
                x_land(&c->x, less, c->x.n);
                high = mid;
        }
        x_ri(&c->x, 7, false, key, (int32_t)i->file[3 + 2 * low]);
        jump_if(c, CC_E, c->at_pc[i->pc + i->file[4 + 2 * low]]);
        note_jump(c, x_jmp(&c->x), c->at_pc[i->pc + i->file[2]]);
}

static void table(struct comp *c, const struct ins *i, uint32_t low, uint32_t high)
{
        while (high - low > 1) {
                uint32_t mid = low + (high - low) / 2, less;

                x_ri(&c->x, 7, false, RAX, (int32_t)mid);
                less = x_jcc(&c->x, CC_B);
                table(c, i, mid, high);
                x_land(&c->x, less, c->x.n);
                high = mid;
        }
        note_jump(c, x_jmp(&c->x), c->at_pc[i->pc + i->file[4 + low]]);
}

/* Out of the frame: the result is in rax. */
static void emit_return(struct comp *c, const struct ins *i)
{
        if (i->op == PVM_RET && is_float(c->type[i->a])) {
                unsigned v = get(c, i->a, X0);

                x_rr(&c->x, X_MOVXG, c->type[i->a] == 'D', v, RAX);
        } else if (i->op == PVM_RET) {
                get_into(c, i->a, RAX);
        }
        x_rm(&c->x, 0x80, false, 7, RBX, (int32_t) __builtin_offsetof(struct frame, flags) - HEADER);
        x_byte(&c->x, 0);
        leave_if(c, CC_NE);
        c->cold[c->ncold - 1].kind = COLD_LEAVE; /* no guess: the caller wants more than a result */
        if (i->op == PVM_RETN)
                x_imm(&c->x, RAX, 0);
        x_ri(&c->x, 0, true, RSP, 8);
        x_byte(&c->x, 0xc3);
}

/* A store of a constant: mov dword [base + disp], n */
static void put32(struct comp *c, unsigned base, int32_t disp, uint32_t n)
{
        x_rm(&c->x, 0xc7, false, 0, base, disp);
        x_u32(&c->x, n);
}

_Static_assert(__builtin_offsetof(struct frame, pc) == __builtin_offsetof(struct frame, method) + 4, "stored together");
/*
 * A frame for the method, arguments in it, and there. target: known; else the method is in rax.
 */
static void enter(struct comp *c, const struct ins *i, struct method *target, uint32_t ins)
{
        int32_t g = (int32_t)(8u * c->m->nregs);
        uint16_t args[PVM_MAX_ARGS];
        unsigned n = arguments(i, args);

        if (target) {
                if (!target->native_code)
                        target->native_code = jit_address(jit_stubs.call);
                x_rm(&c->x, X_LEA, true, RCX, RBX, g + HEADER + (int32_t)(8u * target->nregs));
        } else {
                x_rm(&c->x, 0x0fb7, false, RDX, RAX, (int32_t) __builtin_offsetof(struct method, nregs));
                x_rmx(&c->x, X_LEA, true, RCX, RBX, RDX, 3, HEADER);
                x_ri(&c->x, 0, true, RCX, g);
        }
        x_rm(&c->x, X_CMP, true, RCX, R15, JIT_WORKER(stack_end));
        struct cold *k = cold(c, COLD_LEAVE);

        k->ins = ins;
        k->from[k->nfrom++] = x_jcc(&c->x, CC_A);
        /* From here on nothing leaves: the frame becomes what it must be for whoever looks at it from above. */
        for (unsigned a = 0; a < n; a++) {
                char t = c->type[args[a]];
                unsigned v = get(c, args[a], is_float(t) ? X0 : RCX);

                x_rm(&c->x,
                     t == 'F'   ? X_STSS
                     : t == 'D' ? X_STSD
                                : X_STORE,
                     !is_float(t), v, RBX, g + HEADER + (int32_t)(8 * a));
        }
        x_rm(&c->x, X_LEA, true, RCX, RBX, -HEADER);
        x_rm(&c->x, X_STORE, true, RCX, RBX, g + (int32_t) __builtin_offsetof(struct frame, prev));
        if (target) {
                /* The method, and its pc, which is 0. */
                x_rm(&c->x, 0xc7, true, 0, RBX, g + (int32_t) __builtin_offsetof(struct frame, method));
                x_u32(&c->x, target->id);
                put32(c, RBX, g + (int32_t) __builtin_offsetof(struct frame, dest),
                      c->slot[i->a] | (uint32_t)target->nregs << 16);
        } else {
                x_rm(&c->x, X_LOAD, false, RCX, RAX, (int32_t) __builtin_offsetof(struct method, id));
                x_rm(&c->x, X_STORE, true, RCX, RBX, g + (int32_t) __builtin_offsetof(struct frame, method));
                x_shift(&c->x, 4, false, RDX, 16);
                x_ri(&c->x, 1, false, RDX, (int32_t)c->slot[i->a]);
                x_rm(&c->x, X_STORE, false, RDX, RBX, g + (int32_t) __builtin_offsetof(struct frame, dest));
        }
        put32(c, RBX, (int32_t) __builtin_offsetof(struct frame, pc) - HEADER,
              i->pc + pvm_op_words(i->file, 0, 2 + PVM_MAX_ARGS));
        x_ri(&c->x, 0, true, RBX, g + HEADER);
        if (target)
                x_imm(&c->x, RAX, (uint64_t)target);
        x_rm(&c->x, 0xff, false, 2, RAX, (int32_t) __builtin_offsetof(struct method, native_code));
        x_ri(&c->x, 5, true, RBX, g + HEADER);
}

static void emit_call(struct comp *c, const struct ins *i)
{
        const struct site *s = &i->m->sites[i->w[1]];
        struct method *target = site_target(s);
        const uint64_t *live = set_of(c, c->live, c->now + 1);
        uint64_t after[MAX_VALUES / 64];
        uint16_t args[PVM_MAX_ARGS];
        struct cold *k = NULL;

        arguments(i, args);
        if (i->op != PVM_CALLS) {
                unsigned o = object(c, args[0], RCX);

                if (c->fact[args[0]].class != site_class(s)) {
                        x_mi(&c->x, 7, false, o, 0, (int32_t)site_class(s));
                        if (is_untyped(i)) {
                                leave_if(c, CC_NE);
                        } else {
                                k = cold(c, COLD_CALL);
                                k->from[k->nfrom++] = x_jcc(&c->x, CC_NE);
                        }
                }
        }
        uint32_t slow = k ? (uint32_t)(k - c->cold) : NONE;

        /* What is alive behind the call is in the frame before it. */
        memcpy(after, live, c->words * 8);
        del(after, i->a);
        spill(c, set_of(c, c->dirty, c->now), set_of(c, c->live, c->now));
        enter(c, i, target, c->now);
        if (slow != NONE)
                c->cold[slow].back = c->x.n;
        if (is_float(c->type[i->a])) {
                x_rr(&c->x, X_MOVGX, c->type[i->a] == 'D', X0, RAX);
                set(c, i->a, X0);
        } else {
                set(c, i->a, RAX);
        }
        reload(c, after, NONE, true);
}

/* The interpreter would learn from it. */
static bool has_not_run(const struct ins *i)
{
        switch (i->op) {
        case PVM_NEW:
        case PVM_GETF:
        case PVM_SETF:
        case PVM_GETS:
        case PVM_SETS:
                return true;
        case PVM_CALLV:
        case PVM_CALLC:
        case PVM_CALLS:
                return !site_last(&i->m->sites[i->w[1]]);
        case PVM_CALLN:
        case PVM_CALLO:
                return !i->m->sites[i->w[1]].ref;
        default:
                return false;
        }
}

/* It does nothing else, or a reference that nobody sees in the frame. */
static bool makes_number(const struct comp *c, const struct ins *i)
{
        if (i->op >= PVM_DIV_I && i->op <= PVM_REM_I)
                return false;
        if (i->op >= PVM_DIV_L && i->op <= PVM_REM_L)
                return false;
        if (c->type[i->a] == 'R' && c->slot[i->a] != NOWHERE)
                return false;
        switch (i->op) {
        case I_ZERO:
        case PVM_MOV:
        case PVM_LDI:
        case PVM_LDL:
        case PVM_LDF:
        case PVM_LDD:
                return true;
        default:
                return writes(i) && i->op >= PVM_ADD_I && i->op <= PVM_D2F && shape_of(i) == PLAIN;
        }
}

/* STRIP further than the counter is, or the end. Where a step could go beyond the largest number, INT_MIN: turn by turn. */
static void limit(struct comp *c, const struct ins *i)
{
        unsigned end = i->op == I_LIMIT ? get(c, i->c, RCX) : RCX;

        get_into(c, i->b, RAX);
        x_ri(&c->x, 0, false, RAX, STRIP + INT8_MAX);
        x_rm(&c->x, X_LEA, false, RAX, RAX, -INT8_MAX);
        x_imm(&c->x, RDX, (uint32_t)INT32_MIN);
        x_rr(&c->x, X_CMOV + CC_O, false, RAX, RDX);
        if (i->op == I_LIMITI)
                x_imm(&c->x, RCX, (uint32_t)((int32_t)i->file[0] >> 16));
        x_rr(&c->x, X_CMP, false, RAX, end);
        x_rr(&c->x, X_CMOV + CC_G, false, RAX, end);
        set(c, i->a, RAX);
}

static void emit_ins(struct comp *c, struct ins *i)
{
        static const unsigned int_op[] = {X_ADD, X_SUB, X_IMUL};
        static const unsigned bit_op[] = {X_AND, X_OR, X_XOR};
        enum shape shape = i->inlined ? PLAIN : shape_of(i);
        int32_t n = (int32_t)i->w[0] >> 16;
        unsigned op = i->op, v;

        if (shape == LEAVE) {
                bool new = has_not_run(i);
                struct cold *k = cold(c, new ? COLD_EXIT : COLD_LEAVE);

                k->from[k->nfrom++] = x_jmp(&c->x);
                c->learning |= new;
                return;
        }
        if (shape == STEP) {
                emit_step(c, c->now, set_of(c, c->dirty, c->now));
                for (v = 0; v < c->nvalues; v++)
                        c->fact[v].writable = false;
                if (writes(i))
                        c->fact[i->a] = (struct fact){0};
                return;
        }
        if (shape == CALLS) {
                emit_call(c, i);
                return;
        }
        if (op >= PVM_ADD_I && op <= PVM_NEG_L) {
                unsigned which = (op - PVM_ADD_I) % 6;

                if (which < 3)
                        arithmetic(c, i, int_op[which], which != 1);
                else if (which < 5)
                        divide(c, i, which == 4);
                if (which == 5) {
                        get_into(c, i->b, RAX);
                        x_rr(&c->x, 0xf7, c->type[i->a] == 'L', 3, RAX);
                        set(c, i->a, RAX);
                }
                return;
        }
        if (op >= PVM_ADD_F && op <= PVM_NEG_D) {
                unsigned which = (op - PVM_ADD_F) % 6;

                if (which < 4)
                        float_arithmetic(c, i, float_op[which], which != 1 && which != 3);
                else
                        float_minus(c, i);
                return;
        }
        if (op >= PVM_AND_I && op <= PVM_USHRI_L) {
                unsigned which = (op - PVM_AND_I) % (PVM_AND_L - PVM_AND_I);
                static const uint8_t group[] = {4, 7, 5};

                if (which < 3)
                        arithmetic(c, i, bit_op[which], true);
                else if (which < 6)
                        shift(c, i, group[which - 3]);
                else if (which == 6) {
                        get_into(c, i->b, RAX);
                        x_rr(&c->x, 0xf7, c->type[i->a] == 'L', 2, RAX);
                        set(c, i->a, RAX);
                } else if (PVM_AND_I + which == PVM_DIVI_I || PVM_AND_I + which == PVM_REMI_I)
                        divide_by(c, i, PVM_AND_I + which == PVM_REMI_I);
                else
                        with_number(c, i, PVM_AND_I + which);
                return;
        }
        if (op >= PVM_SEQ_I && op <= PVM_JLE_D) {
                unsigned which = (op - PVM_SEQ_I) % 8;

                if (which < 4)
                        compare_set(c, i, which);
                else
                        compare_jump(c, i, which - 4);
                return;
        }
        if (op >= PVM_JNLT_F && op <= PVM_JNLE_D) {
                compare(c, i->b, i->a);
                jump_if(c, op == PVM_JNLT_F || op == PVM_JNLT_D ? CC_BE : CC_B, i->to);
                return;
        }
        if (op >= PVM_JEQI_I && op <= PVM_JGEI_I) {
                static const uint8_t cc[] = {CC_E, CC_NE, CC_L, CC_LE, CC_G, CC_GE};

                v = get(c, i->a, RAX);
                if (n)
                        x_ri(&c->x, 7, false, v, n);
                else
                        x_rr(&c->x, X_TEST, false, v, v);
                jump_if(c, cc[op - PVM_JEQI_I], i->to);
                return;
        }
        if (op >= PVM_ALD_I && op <= PVM_AST_R) {
                element(c, i);
                return;
        }
        switch (op) {
        case PVM_NOP:
                break;
        case PVM_BOX:
        case I_BOX:
                if (c->type[i->b] != 'R') {
                        if (is_taken_out(c, c->now))
                                pass_number(c, i);
                        else
                                make_box(c, i);
                        break;
                }
                __attribute__((fallthrough));
        case PVM_MOV: {
                struct fact f = c->fact[i->b];

                if (i->b == 0 && c->self)
                        f.there = true;
                v = get(c, i->b, is_float(c->type[i->b]) ? X0 : RAX);
                set(c, i->a, v);
                c->fact[i->a] = f;
                break;
        }
        case I_ZERO:
        case PVM_LDNULL:
                immediate(c, i->a, 0);
                break;
        case PVM_LDI:
                immediate(c, i->a, (uint32_t)n);
                break;
        case PVM_LDL:
                immediate(c, i->a, (uint64_t)(int64_t)n);
                break;
        case PVM_LDF:
                immediate(c, i->a, (slot){.f = (float)n}.bits & UINT32_MAX);
                break;
        case PVM_LDD:
                immediate(c, i->a, (slot){.d = n}.bits);
                break;
        case PVM_LDK:
                immediate(c, i->a,
                          c->type[i->a] == 'I' || c->type[i->a] == 'F'
                                  ? i->m->constants[i->w[0] >> 16].bits & UINT32_MAX
                                  : i->m->constants[i->w[0] >> 16].bits);
                break;
        case PVM_I2L:
                x_rr(&c->x, X_MOVSXD, true, want(c, i->a), get(c, i->b, RAX));
                set(c, i->a, want(c, i->a));
                break;
        case PVM_L2I:
                x_rr(&c->x, X_LOAD, false, want(c, i->a), get(c, i->b, RAX));
                set(c, i->a, want(c, i->a));
                break;
        case PVM_I2F:
        case PVM_I2D:
        case PVM_L2F:
        case PVM_L2D:
                v = want(c, i->a);
                x_rr(&c->x, X_XORPS, false, v, v);
                x_rr(&c->x, op == PVM_I2F || op == PVM_L2F ? X_CVTSI2SS : X_CVTSI2SD, op == PVM_L2F || op == PVM_L2D, v,
                     get(c, i->b, RAX));
                set(c, i->a, v);
                break;
        case PVM_F2D:
        case PVM_D2F:
                v = get(c, i->b, X1);
                x_rr(&c->x, X_XORPS, false, X0, X0);
                x_rr(&c->x, op == PVM_F2D ? X_CVTSS2SD : X_CVTSD2SS, false, X0, v);
                set(c, i->a, X0);
                break;
        case PVM_F2I:
        case PVM_F2L:
        case PVM_D2I:
        case PVM_D2L:
                to_integer(c, i);
                break;
        case PVM_JMP:
                jump(c, i->to);
                break;
        case PVM_JNULL:
        case PVM_JNNULL:
                v = get(c, i->a, RAX);
                x_rr(&c->x, X_TEST, true, v, v);
                jump_if(c, op == PVM_JNULL ? CC_E : CC_NE, i->to);
                if (op == PVM_JNULL)
                        c->fact[i->a].there = true;
                break;
        case PVM_JSAME:
        case PVM_JNSAME:
                compare(c, i->a, i->b);
                jump_if(c, op == PVM_JSAME ? CC_E : CC_NE, i->to);
                break;
        case PVM_SSAME:
                compare(c, i->b, i->c);
                set_cc(c, i->a, CC_E);
                break;
        case PVM_TSWITCH:
                get_into(c, i->a, RAX);
                x_ri(&c->x, 5, false, RAX, (int32_t)i->file[1]);
                x_ri(&c->x, 7, false, RAX, (int32_t)i->file[2]);
                jump_if(c, CC_AE, c->at_pc[i->pc + i->file[3]]);
                table(c, i, 0, i->file[2]);
                break;
        case PVM_LSWITCH:
                choose(c, i, get(c, i->a, RAX), 0, i->file[1]);
                break;
        case PVM_NEW:
                make_object(c, i);
                break;
        case PVM_GETF:
        case PVM_SETF:
                field_access(c, i);
                break;
        case PVM_GETS:
        case PVM_SETS:
                statics(c, i);
                break;
        case PVM_LEN:
                length(c, i);
                break;
        case PVM_UNBOX:
                take_out(c, i);
                break;
        case I_LIMIT:
        case I_LIMITI:
                limit(c, i);
                break;
        case I_LENGTH:
                string_length(c, i);
                break;
        case PVM_LDB:
        case PVM_STB:
                emit_step(c, c->now, set_of(c, c->dirty, c->now));
                break;
        case PVM_RET:
        case PVM_RETN:
                emit_return(c, i);
                break;
        case I_GUARD:
                v = object(c, i->b, RCX);
                if (c->fact[i->b].class != i->to) {
                        x_mi(&c->x, 7, false, v, 0, (int32_t)i->to);
                        leave_if(c, CC_NE);
                        c->fact[i->b].class = i->to;
                }
                break;
        default:
                c->failed = true;
        }
}

/* ---- behind ---- */

static void emit_cold(struct comp *c, uint32_t at)
{
        struct cold k = c->cold[at];
        struct ins *i = &c->ins[k.ins];
        const uint64_t *live = set_of(c, c->live, k.ins), *dirty = set_of(c, c->dirty, k.ins);

        if (!k.nfrom)
                return;
        for (uint32_t f = 0; f < k.nfrom; f++)
                x_land(&c->x, k.from[f], c->x.n);
        c->now = k.ins;
        switch (k.kind) {
        case COLD_EXIT:
        case COLD_LEAVE:
        case COLD_POLL:
                if (!k.pop)
                        spill(c, dirty, live);
                put32(c, RBX, (int32_t) __builtin_offsetof(struct frame, pc) - HEADER, i->pc);
                jump_area(c, k.kind == COLD_EXIT    ? jit_stubs.exit
                             : k.kind == COLD_LEAVE ? jit_stubs.leave
                                                    : jit_stubs.poll);
                break;
        case COLD_APPEND:
                append(c, i, &k);
                __attribute__((fallthrough));
        case COLD_STEP:
                emit_step(c, k.ins, dirty);
                x_land(&c->x, x_jmp(&c->x), k.back);
                break;
        case COLD_CALL: {
                /* Another class than the one seen first. */
                uint16_t args[PVM_MAX_ARGS];
                struct cold *e;

                const struct site *s = &i->m->sites[i->w[1]];

                arguments(i, args);
                spill(c, dirty, live);
                for (unsigned b = 0; b < SITE_BEFORE; b++) {
                        uint32_t class, other;
                        struct method *target = site_before(s, b, &class);

                        if (!target || !target->code || class == site_class(s))
                                continue;
                        x_mi(&c->x, 7, false, get(c, args[0], RCX), 0, (int32_t) class);
                        other = x_jcc(&c->x, CC_NE);
                        enter(c, i, target, k.ins);
                        x_land(&c->x, x_jmp(&c->x), k.back);
                        x_land(&c->x, other, c->x.n);
                }
                get_into(c, args[0], RSI);
                x_imm(&c->x, RDI, (uint64_t)s);
                x_imm(&c->x, RDX, i->op == PVM_CALLV);
                call_c(c, (const void *)interp_find);
                x_rr(&c->x, X_TEST, true, RAX, RAX);
                e = cold(c, COLD_EXIT);
                e->ins = k.ins;
                e->pop = 1;
                e->from[e->nfrom++] = x_jcc(&c->x, CC_E);
                /* Arguments come from the frame: whatever is alive is there. */
                int8_t home[PVM_MAX_ARGS];
                unsigned n = arguments(i, args);

                for (unsigned a = 0; a < n; a++)
                        home[a] = c->home[args[a]];
                for (unsigned a = 0; a < n; a++)
                        c->home[args[a]] = -1;
                enter(c, i, NULL, k.ins);
                c->cold[c->ncold - 1].pop = 1;
                for (unsigned a = n; a--;)
                        c->home[args[a]] = home[a];
                x_land(&c->x, x_jmp(&c->x), k.back);
                break;
        }
        case COLD_DEEP:
                x_rm(&c->x, X_LOAD, true, RSP, R15, JIT_WORKER(base));
                x_land(&c->x, x_jmp(&c->x), k.back);
                break;
        case COLD_SATURATE: {
                uint32_t nan, below, end[2];

                x_rr(&c->x, X_UCOMISD, false, k.reg, k.reg);
                nan = x_jcc(&c->x, CC_P);
                x_rr(&c->x, X_XORPS, false, X1, X1);
                x_rr(&c->x, X_UCOMISD, false, k.reg, X1);
                below = x_jcc(&c->x, CC_B);
                x_imm(&c->x, RAX, k.wide ? (uint64_t)INT64_MAX : (uint64_t)INT32_MAX);
                end[0] = x_jmp(&c->x);
                x_land(&c->x, below, c->x.n);
                end[1] = x_jmp(&c->x); /* rax is the smallest number already */
                x_land(&c->x, nan, c->x.n);
                x_imm(&c->x, RAX, 0);
                x_land(&c->x, end[0], c->x.n);
                x_land(&c->x, end[1], c->x.n);
                x_land(&c->x, x_jmp(&c->x), k.back);
                break;
        }
        }
}

/* What is taken for granted of a value. Else the instruction is the interpreter's. */
static void emit_test(struct comp *c, unsigned v, const struct fact *f)
{
        unsigned o = get(c, v, RCX);

        x_rr(&c->x, X_TEST, true, o, o);
        leave_if(c, CC_E);
        if (f->array || f->writable) {
                uint32_t bits = (f->array ? OBJ_ARRAY : 0) | (f->writable ? OBJ_IMMUTABLE : 0);

                x_rm(&c->x, X_LOAD, false, RDX, o, 4);
                x_ri(&c->x, 4, false, RDX, (int32_t)bits);
                x_ri(&c->x, 7, false, RDX, (int32_t)ARRAY_BITS(f->array));
                leave_if(c, CC_NE);
        }
        if (f->class) {
                x_mi(&c->x, 7, false, o, 0, (int32_t)f->class);
                leave_if(c, CC_NE);
        }
}

/* Before a loop, or, l is NULL, all those around the instruction `at`: what they take for granted, and have loaded; first what that is loaded by way of. */
static void emit_tests(struct comp *c, const struct loop *l, uint32_t at)
{
        c->now = at;
        for (unsigned hoists = 0; hoists < 2; hoists++) {
                for (uint32_t n = 0; n < c->nloops; n++)
                        for (unsigned k = 0; k < c->loop[n].n; k++) {
                                const struct invariant *item = &c->loop[n].item[k];

                                if ((l ? l == &c->loop[n] : has(c->loop[n].body, at)) &&
                                    (hoists ? item->v >= c->first_hoist && c->home[item->v] >= 0
                                            : item->v < c->first_hoist))
                                        emit_test(c, item->v, &item->fact);
                        }
                load_hoists(c, at, l, hoists);
        }
}

/* What is known at the instruction n when somebody comes from elsewhere. */
static void forget_facts(struct comp *c, uint32_t n)
{
        memset(c->fact, 0, sizeof(c->fact));
        for (uint32_t k = 0; k < c->nloops; k++)
                if (has(c->loop[k].body, n))
                        for (unsigned j = 0; j < c->loop[k].n; j++)
                                c->fact[c->loop[k].item[j].v] = c->loop[k].item[j].fact;
}

static struct loop *loop_at(struct comp *c, uint32_t header)
{
        for (uint32_t k = 0; k < c->nloops; k++)
                if (c->loop[k].header == header && (c->loop[k].n || c->loop[k].hoists))
                        return &c->loop[k];
        return NULL;
}

/* A way in: what is alive comes from the frame. */
static void emit_entry(struct comp *c, uint32_t ins)
{
        uint32_t pc = c->ins[ins].pc;

        c->code->entry[pc] = c->place + c->x.n;
        reload(c, set_of(c, c->live, ins), NONE, true);
        emit_tests(c, NULL, ins);
        /* Behind the poll: who was sent away by it must get on. */
        x_land(&c->x, x_jmp(&c->x), c->ins[ins].start);
}

static void emit(struct comp *c)
{
        struct method *m = c->m;
        struct cold *k;
        uint32_t first, deep;

        /* By a call: the frame has the arguments; references are null, what is read before it is written is 0. */
        x_ri(&c->x, 5, true, RSP, 8);
        x_rm(&c->x, X_CMP, true, RSP, R15, JIT_WORKER(limit));
        k = cold(c, COLD_DEEP);
        k->from[k->nfrom++] = x_jcc(&c->x, CC_B);
        deep = c->x.n;
        c->cold[0].back = deep;
        first = 0;
        for (unsigned v = m->nargs; v < m->nregs; v++) {
                if (c->type[v] != 'R' && !has(c->live, v))
                        continue;
                if (!first++)
                        x_imm(&c->x, RAX, 0);
                x_rm(&c->x, X_STORE, true, RAX, RBX, (int32_t)(8 * v));
        }
        reload(c, c->live, NONE, true);
        if (!c->ins[0].header) {
                x_mi(&c->x, 7, false, R15, JIT_WORKER(poll), 0);
                c->now = 0;
                k = cold(c, COLD_POLL);
                k->from[k->nfrom++] = x_jcc(&c->x, CC_NE);
                k->pop = 1;
        }
        for (uint32_t n = 0; n < c->n && !c->failed && !c->x.full; n++) {
                struct ins *i = &c->ins[n];

                struct loop *l = loop_at(c, n);

                c->now = n;
                /* Who falls into a loop from before it falls through its tests. */
                if (l && !(has(l->body, n - 1) && !jumps_on(&c->ins[n - 1]))) {
                        l->tests = c->x.n;
                        emit_tests(c, l, n);
                }
                if (i->tight)
                        x_nops(&c->x, -(c->place + c->x.n) % FETCH);
                c->label[n] = c->x.n;
                if (is_entry(c, n))
                        forget_facts(c, n);
                if (i->header) {
                        x_mi(&c->x, 7, false, R15, JIT_WORKER(poll), 0);
                        k = cold(c, COLD_POLL);
                        k->from[k->nfrom++] = x_jcc(&c->x, CC_NE);
                }
                i->start = c->x.n;
                if (makes_number(c, i) && !has(set_of(c, c->live, n + 1), i->a))
                        continue; /* nobody wants it */
                emit_ins(c, i);
                n = c->now; /* it may have done the next one, too */
        }
        for (uint32_t n = 0; n < c->nloops && !c->failed; n++)
                if (!c->loop[n].tests && loop_at(c, c->loop[n].header)) {
                        c->loop[n].tests = c->x.n;
                        emit_tests(c, &c->loop[n], c->loop[n].header);
                        x_land(&c->x, x_jmp(&c->x), c->label[c->loop[n].header]);
                }
        for (uint32_t n = 0; n < c->n && !c->failed; n++)
                if (is_entry(c, n))
                        emit_entry(c, n);
        for (uint32_t n = 0; n < c->ncold && !c->failed && !c->x.full; n++)
                emit_cold(c, n);
        for (uint32_t n = 0; n < c->njumps && !c->failed; n++) {
                const struct loop *l = loop_at(c, c->jumps[n].ins);
                bool outside = l && !has(l->body, c->jumps[n].from);

                x_land(&c->x, c->jumps[n].at, outside ? l->tests : c->label[c->jumps[n].ins]);
        }
}

static uint32_t words_of(const struct ins *i)
{
        if (i->op == PVM_TSWITCH)
                return 4 * i->file[2] + 4;
        if (i->op == PVM_LSWITCH)
                return 4 * i->file[1] + 4;
        return 3;
}

static bool compile(struct comp *c)
{
        struct method *m = c->m;
        uint32_t nwords, njumps = 0, ncalls = 0;
        size_t sets, bodies;
        bool done = false;

        c->cap = m->ncode * 2 + 64;
        c->cold_cap = 256;
        c->at_pc = scratch(c, (m->ncode + 1ul) * sizeof(*c->at_pc));
        c->ins = scratch(c, c->cap * sizeof(*c->ins));
        c->cold = scratch(c, c->cold_cap * sizeof(*c->cold));
        if (c->failed)
                goto out;
        expand(c);
        strip_mine(c);
        if (c->failed)
                goto out;
        c->words = (c->nvalues + MAX_HOISTS + MAX_SPLITS + 63) / 64;
        sets = (c->n + 1ul) * c->words * 8;
        bodies = (size_t)MAX_LOOPS * ((c->n + 64) / 64) * 8;
        for (uint32_t n = 0; n < c->n; n++)
                njumps += words_of(&c->ins[n]), ncalls += format_of(&c->ins[n]) == PVM_CALL;
        c->x.cap = 4096 + c->n * 600 + ncalls * SITE_BEFORE * 400;
        c->live = scratch(c, sets);
        c->dirty = scratch(c, sets);
        c->label = scratch(c, (c->n + 1ul) * sizeof(*c->label));
        c->bodies = scratch(c, bodies);
        c->jumps = scratch(c, njumps * sizeof(*c->jumps));
        c->x.p = scratch(c, c->x.cap);
        nwords = (uint32_t)(sizeof(*c->code) + (m->ncode + 1ul) * 4);
        c->code = scratch(c, nwords);
        if (!c->failed) {
                c->code->size = nwords;
                find_loops(c);
                find_live(c);
                split(c);
                c->self = !(m->flags & PVM_STATIC);
                for (uint32_t n = 0; n < c->n; n++)
                        c->self &= !(writes(&c->ins[n]) && c->ins[n].a == 0);
                find_invariants(c);
                find_hoists(c);
                choose_registers(c);
                find_dirty(c);
                c->place = jit_place();
                if (!c->failed)
                        emit(c);
        }
        if (!c->failed && !c->x.full && jit_install(c->x.p, c->x.n)) {
                jit_drop_method(m);
                c->code->learning = c->learning;
                m->compiled = c->code;
                m->native_code = jit_address(c->place);
                done = true;
        } else if (c->code) {
                pvm_host->mem_free(c->code, nwords);
        }
        if (c->live)
                pvm_host->mem_free(c->live, sets);
        if (c->dirty)
                pvm_host->mem_free(c->dirty, sets);
        if (c->bodies)
                pvm_host->mem_free(c->bodies, bodies);
        if (c->label)
                pvm_host->mem_free(c->label, (c->n + 1ul) * sizeof(*c->label));
        if (c->jumps)
                pvm_host->mem_free(c->jumps, njumps * sizeof(*c->jumps));
        if (c->x.p)
                pvm_host->mem_free(c->x.p, c->x.cap);
out:
        if (c->at_pc)
                pvm_host->mem_free(c->at_pc, (m->ncode + 1ul) * sizeof(*c->at_pc));
        if (c->ins)
                pvm_host->mem_free(c->ins, c->cap * sizeof(*c->ins));
        if (c->cold)
                pvm_host->mem_free(c->cold, c->cold_cap * sizeof(*c->cold));
        return done;
}

bool jit_compile(struct method *m)
{
        uint64_t began = pvm_host->monotonic_ns();
        struct comp *c;
        bool done = false;

        if (!m->code || m->ncode > MAX_CODE || m->ncode * m->file->nhandlers > MAX_WORK || !jit_address(0))
                return false;
        c = pvm_host->mem_alloc(sizeof(*c));
        if (!c)
                return false;
        for (unsigned attempt = 0; attempt < 2 && !done; attempt++) {
                memset(c, 0, sizeof(*c));
                c->m = m;
                c->may_inline = attempt == 0;
                if (JIT_AREA - jit_place() < (8u << 20))
                        jit_drop();
                done = compile(c);
        }
        jit.methods += done;
        jit.words += done ? m->ncode : 0;
        jit.bytes += done ? c->x.n : 0;
        jit.ns += pvm_host->monotonic_ns() - began;
        pvm_host->mem_free(c, sizeof(*c));
        return done;
}
