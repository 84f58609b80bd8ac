/*
 * gen.c - checks and translates the bodies of methods: one walk over the tree, that gives each expression a type and a register.
 *
 * Registers have one machine type for the whole method (pvm/FORMAT.md): locals own one while their block lasts, temporaries are reused by type.
 * gen_expression may put its value into the register asked for, by its last instruction alone, so that an exception before changes no variable.
 * A value in a local's register is copied if what is evaluated after it may change that local (node->assigns).
 * A closure's body is a static method of its class, whose first parameters are what it captures: this, and those of the locals around it that it mentions. A local that is
 * assigned elsewhere than where it is declared is shared: both sides have the same array of one element ("cell") that has the value. The bodies are translated behind the method.
 * Constants that a loop needs are loaded once: the outermost loop is entered by way of a list of loads behind it.
 */
#include "pvm/plc/plc.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HOISTED  24
#define CONCAT_PARTS 24
#define ANYWHERE     (-1)

struct value {
        enum { V_REGISTER, V_CONSTANT } kind;
        struct type *type;
        uint8_t reg;
        bool temp;
        int64_t integer;   /* constants: int, long */
        double real;       /* float, double */
        struct name *name; /* string; bytes of a file */
        uint32_t at;
};
struct patch {
        struct patch *next;
        size_t from, word;
        bool narrow; /* JMP: 24 bits in the instruction itself */
};
struct label {
        bool bound;
        size_t at;
        struct patch *patches;
};
struct local {
        struct name *name;
        struct type *type;
        uint32_t at;
        uint8_t reg;
        uint8_t hidden;
        bool constant, ended;
        bool cell; /* the register has an array of one element: the variable */
};
struct attempt { /* a try around what is translated */
        struct attempt *outer;
        struct node *finally;
        struct loop *loops;
        size_t nlocals, open;
        struct range {
                size_t start, end;
        } * ranges;
        size_t nranges, cap_ranges;
};
struct loop {
        struct loop *outer;
        struct label *to_break, *to_continue; /* to_continue 0: a switch */
        struct attempt *attempts;
};
struct hoisted {
        char machine;
        uint64_t bits;
        struct name *name;
        uint8_t reg;
};
struct closure {
        struct closure *next;
        struct node *node;
        struct method method;
        bool has_this;
        unsigned ncaptured; /* this included */
        struct local captured[PVM_MAX_ARGS];
};
struct gen {
        struct run *run;
        struct source *source;
        struct cls *cls;
        struct class_file *file;
        struct method *method; /* 0: initialisers of statics */
        struct code code;
        bool is_static, constructor, reachable, full, keep, retry;
        uint32_t line;
        uint8_t free[5][256];
        unsigned nfree[5];
        struct local *locals;
        size_t nlocals, cap_locals;
        size_t block; /* locals before that are not of the innermost block */
        struct local *ended;
        size_t nended, cap_ended;
        struct loop *loops;
        struct attempt *attempts;
        unsigned loop_depth;
        struct hoisted hoisted[MAX_HOISTED];
        unsigned nhoisted;
        struct closure *closures, **closures_end; /* to be translated */
        unsigned nclosures;                       /* of the class */
        uint32_t body;                            /* number of what is translated: a method, a closure */
        unsigned ncaptured;                       /* of its parameters the first are variables from around it */
};

static struct value gen_expression(struct gen *g, struct node *node, int dest);
static void gen_statement(struct gen *g, struct node *node);
static void gen_condition(struct gen *g, struct node *node, struct label *label, bool when);

/* ---- registers ---- */

static unsigned bank(char machine)
{
        switch (machine) {
        case 'I':
                return 0;
        case 'L':
                return 1;
        case 'F':
                return 2;
        case 'D':
                return 3;
        default:
                return 4;
        }
}

static uint8_t reg_new(struct gen *g, char machine, bool *fresh)
{
        unsigned b = bank(machine);
        if (fresh)
                *fresh = !g->nfree[b];
        if (g->nfree[b])
                return g->free[b][--g->nfree[b]];
        if (g->code.nregs >= PVM_MAX_REGS) {
                if (!g->full)
                        error_at(g->source, g->method ? g->method->at : g->cls->at,
                                 "this method needs more than %u registers: make it smaller", PVM_MAX_REGS);
                g->full = true;
                return 0;
        }
        g->code.types[g->code.nregs] = machine;
        return (uint8_t)g->code.nregs++;
}

static void reg_release(struct gen *g, uint8_t reg)
{
        unsigned b = bank(g->code.types[reg]);
        if (!g->full && g->nfree[b] < 255)
                g->free[b][g->nfree[b]++] = reg;
}

static void drop(struct gen *g, struct value v)
{
        if (v.kind == V_REGISTER && v.temp)
                reg_release(g, v.reg);
}

/* The register for a result: the one asked for if it is of that type. */
static struct value result_in(struct gen *g, struct type *type, int dest)
{
        struct value v = {.kind = V_REGISTER, .type = type};
        if (dest >= 0 && g->code.types[dest] == type->machine) {
                v.reg = (uint8_t)dest;
        } else {
                v.reg = reg_new(g, type->machine, NULL);
                v.temp = true;
        }
        return v;
}

static struct value in_register(struct type *type, uint8_t reg, bool temp)
{
        return (struct value){.kind = V_REGISTER, .type = type, .reg = reg, .temp = temp};
}

static struct value constant_int(int64_t n)
{
        return (struct value){.kind = V_CONSTANT, .type = &type_int, .integer = n};
}

static struct value bad_value(void)
{
        return (struct value){.kind = V_CONSTANT, .type = &type_bad};
}

/* ---- instructions ---- */

static void word(struct gen *g, uint32_t w)
{
        if (g->code.nwords >= PVM_MAX_CODE) {
                if (!g->full)
                        error_at(g->source, g->method ? g->method->at : g->cls->at,
                                 "this method is too large: more than %u words of code", PVM_MAX_CODE);
                g->full = true;
        }
        if (g->full)
                return;
        g->code.words = grown(g->code.words, &g->code.cap_words, g->code.nwords + 1, 4);
        g->code.words[g->code.nwords++] = w;
}

/* Begins an instruction. */
static void op_word(struct gen *g, uint32_t w)
{
        struct code *c = &g->code;
        if (!c->nlines || c->lines[c->nlines - 1].line != g->line) {
                if (c->nlines && c->lines[c->nlines - 1].pc == c->nwords)
                        c->nlines--;
                c->lines = grown(c->lines, &c->cap_lines, c->nlines + 1, sizeof(*c->lines));
                c->lines[c->nlines++] = (struct pvm_file_line){(uint32_t)c->nwords, g->line};
        }
        word(g, w);
}

static void op_abc(struct gen *g, enum pvm_op op, unsigned a, unsigned b, unsigned c)
{
        op_word(g, pvm_abc(op, a, b, c));
}

static void op_ax(struct gen *g, enum pvm_op op, unsigned a, int x)
{
        op_word(g, pvm_ax(op, a, x));
}

static void op_abk(struct gen *g, enum pvm_op op, unsigned a, unsigned b, unsigned k)
{
        op_abc(g, op, a, b, 0);
        word(g, k);
}

static void target(struct gen *g, struct label *label, size_t from, bool narrow)
{
        size_t at = narrow ? from : g->code.nwords;
        if (!narrow)
                word(g, 0);
        if (g->full)
                return;
        if (label->bound) {
                uint32_t offset = (uint32_t)((int64_t)label->at - (int64_t)from);
                g->code.words[at] = narrow ? g->code.words[at] | offset << 8 : offset;
                return;
        }
        struct patch *patch = arena_alloc(&passing, sizeof(*patch));
        *patch = (struct patch){label->patches, from, at, narrow};
        label->patches = patch;
}

static void jump(struct gen *g, struct label *label)
{
        size_t from = g->code.nwords;
        op_word(g, pvm_j(PVM_JMP, 0));
        target(g, label, from, true);
        g->reachable = false;
}

static void jump_abc(struct gen *g, enum pvm_op op, unsigned a, unsigned b, struct label *label)
{
        size_t from = g->code.nwords;
        op_abc(g, op, a, b, 0);
        target(g, label, from, false);
}

static void jump_imm(struct gen *g, enum pvm_op op, unsigned a, int imm, struct label *label)
{
        size_t from = g->code.nwords;
        op_ax(g, op, a, imm);
        target(g, label, from, false);
}

static void bind(struct gen *g, struct label *label)
{
        label->bound = true;
        label->at = g->code.nwords;
        for (struct patch *p = label->patches; p && !g->full; p = p->next) {
                uint32_t offset = (uint32_t)((int64_t)label->at - (int64_t)p->from);
                g->code.words[p->word] = p->narrow ? g->code.words[p->word] | offset << 8 : offset;
        }
        if (label->patches)
                g->reachable = true;
}

static void load(struct gen *g, struct value *c, uint8_t reg)
{
        switch (c->type->kind) {
        case Y_INT:
                if (c->integer == (int16_t)c->integer)
                        op_ax(g, PVM_LDI, reg, (int)c->integer);
                else
                        op_ax(g, PVM_LDK, reg, (int)pool_number(g->file, PVM_POOL_INT, (uint64_t)c->integer));
                break;
        case Y_LONG:
                if (c->integer == (int16_t)c->integer)
                        op_ax(g, PVM_LDL, reg, (int)c->integer);
                else
                        op_ax(g, PVM_LDK, reg, (int)pool_number(g->file, PVM_POOL_LONG, (uint64_t)c->integer));
                break;
        case Y_FLOAT:
        case Y_DOUBLE: {
                bool single = c->type->kind == Y_FLOAT;
                if (c->real >= -32768 && c->real <= 32767 && c->real == (int)c->real &&
                    !(c->real == 0 && signbit(c->real))) {
                        op_ax(g, single ? PVM_LDF : PVM_LDD, reg, (int)c->real);
                        break;
                }
                uint64_t bits = 0;
                float narrow = (float)c->real;
                if (single) {
                        uint32_t low;
                        memcpy(&low, &narrow, 4);
                        bits = low;
                } else {
                        memcpy(&bits, &c->real, 8);
                }
                op_ax(g, PVM_LDK, reg, (int)pool_number(g->file, single ? PVM_POOL_FLOAT : PVM_POOL_DOUBLE, bits));
                break;
        }
        case Y_CLASS:
                op_ax(g, PVM_LDK, reg, (int)pool_string(g->file, c->name));
                break;
        case Y_BYTES:
                op_ax(g, PVM_LDK, reg, (int)pool_bytes(g->file, c->name->text, c->name->len));
                break;
        default:
                op_abc(g, PVM_LDNULL, reg, 0, 0);
        }
}

/* The value in a register: dest if it is a constant and dest is given. */
static struct value use(struct gen *g, struct value v, int dest)
{
        if (v.kind == V_REGISTER)
                return v;
        char machine = v.type->machine;
        if (dest >= 0 && g->code.types[dest] == machine) {
                load(g, &v, (uint8_t)dest);
                return in_register(v.type, (uint8_t)dest, false);
        }
        if (g->loop_depth) {
                struct hoisted h = {.machine = machine, .name = v.name};
                if (machine == 'I' || machine == 'L')
                        h.bits = (uint64_t)v.integer;
                else if (machine != 'R')
                        memcpy(&h.bits, &v.real, 8);
                else
                        h.bits = v.type->kind;
                for (unsigned i = 0; i < g->nhoisted; i++) {
                        struct hoisted *other = &g->hoisted[i];
                        if (other->machine == machine && other->bits == h.bits && other->name == v.name)
                                return in_register(v.type, other->reg, false);
                }
                if (g->nhoisted < MAX_HOISTED && g->code.nregs < 200) {
                        bool fresh = false;
                        /* A register of its own from the beginning of the loop: one that nothing in the loop has used before. */
                        unsigned b = bank(machine), kept = g->nfree[b];
                        g->nfree[b] = 0;
                        h.reg = reg_new(g, machine, &fresh);
                        g->nfree[b] = kept;
                        g->hoisted[g->nhoisted++] = h;
                        return in_register(v.type, h.reg, false);
                }
        }
        struct value r = in_register(v.type, reg_new(g, machine, NULL), true);
        load(g, &v, r.reg);
        return r;
}

/* The value in this register. */
static void into(struct gen *g, struct value v, uint8_t reg)
{
        if (v.kind == V_CONSTANT)
                use(g, v, reg);
        else if (v.reg != reg)
                op_abc(g, PVM_MOV, reg, v.reg, 0);
}

/* A value that stays as it is whatever happens to locals in what follows. */
static struct value steady(struct gen *g, struct value v, bool assigns)
{
        if (!assigns || v.kind == V_CONSTANT || v.temp)
                return v;
        struct value copy = in_register(v.type, reg_new(g, v.type->machine, NULL), true);
        op_abc(g, PVM_MOV, copy.reg, v.reg, 0);
        return copy;
}

/* ---- conversions ---- */

static bool is_number(struct type *type)
{
        return type->kind <= Y_DOUBLE;
}

static bool is_untyped(struct type *type)
{
        return type->kind == Y_ANY || type->kind == Y_VOID || type->kind == Y_BAD;
}

static bool is_string(struct type *type)
{
        return type->kind == Y_CLASS && type->cls == known.string;
}

static double saturated(double d, double low, double high)
{
        return d != d ? 0 : d < low ? low : d > high ? high : d;
}

/* A number as another type of number, no questions asked. */
static struct value number_to(struct gen *g, struct value v, struct type *to, int dest)
{
        static const enum pvm_op ops[4][4] = {
                {PVM_MOV, PVM_I2L, PVM_I2F, PVM_I2D},
                {PVM_L2I, PVM_MOV, PVM_L2F, PVM_L2D},
                {PVM_F2I, PVM_F2L, PVM_MOV, PVM_F2D},
                {PVM_D2I, PVM_D2L, PVM_D2F, PVM_MOV},
        };
        if (v.type == to)
                return v;
        if (v.kind == V_CONSTANT) {
                bool real = v.type->kind >= Y_FLOAT;
                double d = real ? v.real : (double)v.integer;
                switch (to->kind) {
                case Y_INT:
                        v.integer = real ? (int32_t)saturated(d, INT32_MIN, INT32_MAX)
                                         : (int32_t)(uint32_t)(uint64_t)v.integer;
                        break;
                case Y_LONG:
                        if (real)
                                v.integer = d != d                        ? 0
                                            : d >= 9223372036854775807.0  ? INT64_MAX
                                            : d <= -9223372036854775808.0 ? INT64_MIN
                                                                          : (int64_t)d;
                        break;
                case Y_FLOAT:
                        v.real = real ? (double)(float)d : (double)(float)v.integer;
                        break;
                default:
                        v.real = d;
                }
                v.type = to;
                return v;
        }
        drop(g, v);
        struct value r = result_in(g, to, dest);
        op_abc(g, ops[v.type->kind][to->kind], r.reg, v.reg, 0);
        return r;
}

static struct value boxed(struct gen *g, struct value v, int dest)
{
        if (!is_number(v.type))
                return v;
        v = use(g, v, ANYWHERE);
        drop(g, v);
        struct value r = result_in(g, &type_any, dest);
        op_abc(g, PVM_BOX, r.reg, v.reg, 0);
        return r;
}

static struct value to_text(struct gen *g, struct value v, int dest)
{
        v = use(g, v, ANYWHERE);
        drop(g, v);
        struct value r = result_in(g, &known.string->type, dest);
        op_abc(g, PVM_TOSTR, r.reg, v.reg, 0);
        return r;
}

static struct value retyped(struct value v, struct type *type)
{
        v.type = type;
        return v;
}

static struct value checked(struct gen *g, struct value v, struct type *to, int dest)
{
        v = use(g, v, ANYWHERE);
        drop(g, v);
        struct value r = result_in(g, to, dest);
        op_abk(g, PVM_CAST, r.reg, v.reg, pool_utf8(g->file, to->descriptor));
        return r;
}

/* Is every object of this type one of that, both references? */
static bool is_kind_of(struct type *from, struct type *to)
{
        if (from == to || to->kind == Y_ANY || from->kind == Y_NULL)
                return true;
        if (to->kind == Y_CLASS && from->kind == Y_CLASS)
                return class_is(from->cls, to->cls);
        if (to->kind == Y_CLASS)
                return from->kind == Y_ARRAY && to->cls == known.array;
        if (from->kind == Y_ARRAY && to->kind == Y_ARRAY)
                return from->element->machine == 'R' && to->element->machine == 'R' &&
                       is_kind_of(from->element, to->element);
        return false;
}

enum context { ASSIGNED, ARGUMENT, CASTED };

/*
 * How a value gets from one type to another: 0 it is of it, 1 by widening, 2 untyped, 3 by toString, 4 by narrowing, -1 not at all.
 */
static int distance(struct type *from, struct type *to)
{
        if (from == to || from->kind == Y_BAD || to->kind == Y_BAD)
                return 0;
        if (to->kind == Y_VOID)
                to = &type_any;
        if (from->kind == Y_VOID)
                from = &type_any;
        if (from == to)
                return 0;
        if (is_number(from) && is_number(to))
                return from->kind < to->kind ? 1 : 4;
        if (to->kind == Y_ANY || from->kind == Y_ANY)
                return 2;
        if (is_number(from))
                return is_string(to) ? 3 : -1;
        if (is_number(to))
                return -1;
        if (from->kind == Y_BYTES)
                return is_string(to) || (to->kind == Y_CLASS && to->cls == known.binary) ? 1 : -1;
        if (is_kind_of(from, to))
                return 1;
        if (from->kind == Y_ARRAY && to->kind == Y_ARRAY && from->element->kind == Y_ANY && to->element->machine == 'R')
                return 2;
        if (from->kind == Y_CLASS && from->cls == known.array && to->kind == Y_ARRAY)
                return 2;
        return -1;
}

static struct value convert(struct gen *g, struct value v, struct type *to, enum context context, uint32_t at, int dest)
{
        if (to->kind == Y_VOID)
                to = &type_any;
        if (v.type->kind == Y_VOID)
                v.type = &type_any;
        if (v.type == to)
                return v;
        if (v.type->kind == Y_BAD || to->kind == Y_BAD) { /* there was an error; keep the types of registers right */
                if (v.kind == V_REGISTER && v.type->machine == to->machine)
                        return retyped(v, to);
                drop(g, v);
                return (struct value){.kind = V_CONSTANT, .type = is_number(to) ? to : &type_null};
        }
        int how = distance(v.type, to);
        if (is_number(v.type) && is_number(to)) {
                if (how == 4 && context != CASTED) {
                        struct value back = v;
                        bool exact = false;
                        if (v.kind == V_CONSTANT) {
                                back = number_to(g, v, to, ANYWHERE);
                                back = number_to(g, back, v.type, ANYWHERE);
                                exact = v.type->kind >= Y_FLOAT ? back.real == v.real || to->kind == Y_FLOAT
                                                                : back.integer == v.integer;
                        }
                        if (context == ARGUMENT && !exact)
                                error_at(g->source, at, "%s given, %s expected: a cast '(%s)' is needed",
                                         type_text(v.type), type_text(to), type_text(to));
                        else if (!exact)
                                warn_at(g->source, at,
                                        "%s becomes %s: it may lose its value; a cast '(%s)' says that this is meant",
                                        type_text(v.type), type_text(to), type_text(to));
                }
                return number_to(g, v, to, dest);
        }
        if (to->kind == Y_ANY) {
                v = boxed(g, v, dest);
                return retyped(use(g, v, dest), &type_any);
        }
        if (is_number(to)) {
                if (v.type->kind != Y_ANY) {
                        error_at(g->source, at, "%s given, %s expected%s", type_text(v.type), type_text(to),
                                 is_string(v.type) ? " (toInt(), toDouble()... read a number from a string)" : "");
                        drop(g, v);
                        return (struct value){.kind = V_CONSTANT, .type = to};
                }
                v = use(g, v, ANYWHERE);
                drop(g, v);
                struct value r = result_in(g, to, dest);
                op_abc(g, PVM_UNBOX, r.reg, v.reg, 0);
                return r;
        }
        if (is_string(to) && (v.type->kind == Y_ANY || is_number(v.type)) &&
            (context == ARGUMENT || (context == CASTED && is_number(v.type))))
                return to_text(g, v, dest);
        if (v.type->kind == Y_BYTES) {
                if (is_string(to)) {
                        if (utf8_valid(v.name->text, v.name->len))
                                return retyped(v, to);
                        warn_at(g->source, at, "this file is not UTF-8: it stays a .internal.binary");
                        return retyped(use(g, v, ANYWHERE), to);
                }
                if (to->kind == Y_CLASS && to->cls == known.binary)
                        return retyped(use(g, v, ANYWHERE), to);
        }
        if (v.type->kind == Y_NULL || how == 1)
                return v.type->kind == Y_NULL ? (v.kind == V_CONSTANT ? v : retyped(v, to)) : retyped(v, to);
        if (v.type->kind == Y_ANY || how == 2)
                return checked(g, v, to, dest);
        if (context == CASTED && v.type->kind == Y_CLASS && to->kind == Y_CLASS &&
            (class_is(to->cls, v.type->cls) || ((v.type->cls->flags | to->cls->flags) & PVM_CLASS_INTERFACE)))
                return checked(g, v, to, dest);
        if (context == CASTED && v.type->kind == Y_CLASS && v.type->cls == known.array && to->kind == Y_ARRAY)
                return checked(g, v, to, dest);
        bool down = v.type->kind == Y_CLASS && to->kind == Y_CLASS && class_is(to->cls, v.type->cls);
        error_at(g->source, at, "%s given, %s expected%s", type_text(v.type), type_text(to),
                 down                                 ? ": a cast is needed"
                 : context == CASTED                  ? ": it can never be one"
                 : is_number(v.type) && is_string(to) ? " (toString() makes a string of a number)"
                                                      : "");
        drop(g, v);
        return (struct value){.kind = V_CONSTANT, .type = &type_null};
}

/* ---- names ---- */

static struct local *local_find(struct gen *g, struct name *name)
{
        for (size_t i = g->nlocals; i > 0; i--)
                if (g->locals[i - 1].name == name && !g->locals[i - 1].hidden)
                        return &g->locals[i - 1];
        return NULL;
}

/* In the original, a variable lived to the end of its method, whatever block it was declared in. */
static struct local *local_ended(struct gen *g, struct name *name, uint32_t at)
{
        for (size_t i = g->nended; i > 0; i--) {
                struct local *local = &g->ended[i - 1];
                if (local->name != name || local->cell)
                        continue;
                if (!g->keep) {
                        g->retry = true;
                        return NULL;
                }
                if (!local->ended)
                        warn_at(g->source, at, "'%s' was declared in a block that has ended: declare it before",
                                name->text);
                local->ended = true;
                return local;
        }
        return NULL;
}

static struct local *local_add(struct gen *g, struct name *name, struct type *type, uint32_t at, bool *fresh)
{
        if (type->kind == Y_VOID || type->kind == Y_NULL || type->kind == Y_BYTES)
                type = &type_any;
        g->locals = grown(g->locals, &g->cap_locals, g->nlocals + 1, sizeof(*g->locals));
        struct local *local = &g->locals[g->nlocals++];
        *local = (struct local){.name = name, .type = type, .at = at, .reg = reg_new(g, type->machine, fresh)};
        return local;
}

/* Must closures and what is around them see each other's assignments? */
static bool is_shared(const struct gen *g, const struct name *name)
{
        return name->captured == g->body && parse_is_assigned(name);
}

/* Before a body is translated: what do the closures in it mention? */
static void note_captured(struct gen *g, const struct closure_names *closures)
{
        static uint32_t bodies;
        g->body = ++bodies;
        for (; closures; closures = closures->next)
                for (struct node *name = closures->names; name; name = name->next)
                        name->name->captured = g->body;
}

/* A new variable for a shared local. */
static void cell_new(struct gen *g, struct local *local)
{
        struct value one = use(g, constant_int(1), ANYWHERE);
        struct type *element = local->type->machine == 'R' ? &type_any : local->type;
        op_abk(g, PVM_NEWARR, local->reg, one.reg, pool_utf8(g->file, element->descriptor));
        drop(g, one);
}

static struct local *shared_add(struct gen *g, struct name *name, struct type *type, uint32_t at)
{
        struct local *local = local_add(g, name, &type_any, at, NULL);
        local->type = type->kind == Y_VOID || type->kind == Y_NULL || type->kind == Y_BYTES ? &type_any : type;
        local->cell = true;
        return local;
}

static void scope_end(struct gen *g, size_t from)
{
        while (g->nlocals > from) {
                struct local *local = &g->locals[--g->nlocals];
                g->ended = grown(g->ended, &g->cap_ended, g->nended + 1, sizeof(*g->ended));
                g->ended[g->nended++] = *local;
                if (!g->keep)
                        reg_release(g, local->reg);
        }
}

static struct field *field_above(struct gen *g, struct cls *cls, struct name *name, struct field **hidden)
{
        class_complete(cls);
        class_complete(cls);
        for (; cls; cls = cls->parent) {
                struct field *field = field_find(cls, name);
                if (!field)
                        continue;
                if (!(field->flags & PVM_PRIVATE) || field->cls == g->cls)
                        return field;
                *hidden = field;
        }
        return NULL;
}

/* A dotted name that is no variable: a class? */
static struct cls *class_of_node(struct gen *g, struct node *node)
{
        if (node->kind == E_CLASSNAME)
                return class_load(g->run, node->name);
        char text[PVM_MAX_NAME];
        size_t len = sizeof(text);
        text[--len] = 0;
        struct field *hidden = NULL;
        for (struct node *n = node;; n = n->a) {
                if ((n->kind != E_NAME && n->kind != E_FIELD) || n->paren || n->name->len + 1 > len)
                        return NULL;
                len -= n->name->len;
                memcpy(text + len, n->name->text, n->name->len);
                if (n->kind == E_NAME) {
                        if (local_find(g, n->name) || field_above(g, g->cls, n->name, &hidden))
                                return NULL;
                        break;
                }
                text[--len] = '.';
        }
        return class_named(g->run, g->source, name_cstr(text + len));
}

/* ---- places: what can be assigned to ---- */

struct place {
        enum { P_NOWHERE, P_LOCAL, P_FIELD, P_STATIC, P_ELEMENT } kind;
        struct type *type;
        struct local *local;
        struct field *field;
        struct value object, index;
        uint32_t at;
};

static struct value this_value(struct gen *g)
{
        return in_register(&g->cls->type, 0, false);
}

static struct place place_of_field(struct gen *g, struct field *field, struct value object, uint32_t at)
{
        (void)g;
        return (struct place){.kind = field->flags & PVM_STATIC ? P_STATIC : P_FIELD,
                              .type = field->type ? field->type : &type_bad,
                              .field = field,
                              .object = object,
                              .at = at};
}

static struct place place_of_local(struct gen *g, struct local *local, uint32_t at)
{
        if (!local->cell)
                return (struct place){.kind = P_LOCAL, .type = local->type, .local = local, .at = at};
        return (struct place){.kind = P_ELEMENT,
                              .type = local->type,
                              .object = in_register(&type_any, local->reg, false),
                              .index = use(g, constant_int(0), ANYWHERE),
                              .at = at};
}

static void near_fields(struct near *near, struct cls *cls)
{
        for (; cls; cls = cls->parent)
                for (struct field *f = cls->fields; f; f = f->next)
                        if (!(f->flags & PVM_PRIVATE))
                                near_consider(near, f->name->text);
}

/* A name that is no value, but a method. */
static const char *method_meant(struct cls *cls, struct name *name)
{
        for (; cls; cls = cls->parent)
                if (method_find(cls, name))
                        return ": it is a method, and '(' is expected behind it";
        return NULL;
}

static void no_variable(struct gen *g, struct node *node)
{
        struct near near = {.name = node->name->text};
        const char *hint = hint_value(near.name);
        if (!hint)
                hint = method_meant(g->cls, node->name);
        for (size_t i = 0; i < g->nlocals; i++)
                if (g->locals[i].name && !g->locals[i].hidden)
                        near_consider(&near, g->locals[i].name->text);
        near_fields(&near, g->cls);
        error_at(g->source, node->at, "no variable or field '%s'%s", near.name, hint ? hint : near_text(&near));
}

static void no_field(struct gen *g, struct node *node, struct cls *cls)
{
        struct near near = {.name = node->name->text};
        const char *hint = method_meant(cls, node->name);
        near_fields(&near, cls);
        error_at(g->source, node->at, "no field '%s' in %s%s", near.name, cls->name->text,
                 hint ? hint : near_text(&near));
}

/* later: may what follows change locals? */
static struct place place_of(struct gen *g, struct node *node, bool later)
{
        struct place nowhere = {.kind = P_NOWHERE, .type = &type_bad, .at = node->at};
        struct field *field, *hidden = NULL;
        switch (node->kind) {
        case E_NAME: {
                struct local *local = local_find(g, node->name);
                if (local)
                        return place_of_local(g, local, node->at);
                field = field_above(g, g->cls, node->name, &hidden);
                if (field) {
                        if (g->is_static && !(field->flags & PVM_STATIC)) {
                                error_at(g->source, node->at,
                                         "'%s' is a field of an object, and here is none: the method is static",
                                         node->name->text);
                                return nowhere;
                        }
                        return place_of_field(g, field, this_value(g), node->at);
                }
                local = local_ended(g, node->name, node->at);
                if (local)
                        return (struct place){.kind = P_LOCAL, .type = local->type, .local = local, .at = node->at};
                if (g->retry)
                        return nowhere;
                if (hidden)
                        error_at(g->source, node->at, "'%s' is private in %s", node->name->text,
                                 hidden->cls->name->text);
                else
                        no_variable(g, node);
                return nowhere;
        }
        case E_FIELD: {
                struct cls *cls = class_of_node(g, node->a);
                struct value object = {0};
                if (!cls) {
                        if (node->a->kind == E_CLASSNAME) {
                                error_at(g->source, node->a->at, "no class '%s'", node->a->name->text);
                                return nowhere;
                        }
                        object = gen_expression(g, node->a, ANYWHERE);
                        if (object.type->kind == Y_BAD)
                                return nowhere;
                        if (object.type->kind != Y_CLASS) {
                                error_at(g->source, node->at, "%s has no fields that could be named",
                                         type_text(object.type));
                                drop(g, object);
                                return nowhere;
                        }
                        cls = object.type->cls;
                        object = steady(g, use(g, object, ANYWHERE), later);
                }
                field = field_above(g, cls, node->name, &hidden);
                if (!field) {
                        if (hidden)
                                error_at(g->source, node->at, "'%s' is private in %s", node->name->text,
                                         hidden->cls->name->text);
                        else
                                no_field(g, node, cls);
                        drop(g, object);
                        return nowhere;
                }
                if (!object.type && !(field->flags & PVM_STATIC)) {
                        error_at(g->source, node->at, "'%s' is not static: an object is needed before the '.'",
                                 node->name->text);
                        return nowhere;
                }
                if (object.type && field->flags & PVM_STATIC)
                        drop(g, object);
                return place_of_field(g, field, object, node->at);
        }
        case E_INDEX: {
                struct value object = gen_expression(g, node->a, ANYWHERE);
                object = steady(g, use(g, object, ANYWHERE), later || node->b->assigns);
                struct value index = gen_expression(g, node->b, ANYWHERE);
                struct type *element = &type_any;
                if (object.type->kind == Y_ARRAY)
                        element = object.type->element;
                else if (object.type->kind == Y_CLASS && object.type->cls == known.binary)
                        element = &type_int;
                else if (object.type->kind == Y_CLASS && object.type->cls == known.string)
                        element = &type_int;
                else if (!is_untyped(object.type) &&
                         !(object.type->kind == Y_CLASS && object.type->cls == known.array)) {
                        error_at(g->source, node->at, "%s has no elements: an array expected before '['",
                                 type_text(object.type));
                        element = &type_bad;
                } else if (object.type->kind == Y_BAD) {
                        element = &type_bad;
                }
                if (is_number(index.type) && index.type->kind != Y_INT)
                        error_at(g->source, node->b->at, "an index is an int, not a %s", type_text(index.type));
                index = steady(g, use(g, convert(g, index, &type_int, CASTED, node->b->at, ANYWHERE), ANYWHERE), later);
                return (struct place){
                        .kind = P_ELEMENT, .type = element, .object = object, .index = index, .at = node->at};
        }
        default:
                return nowhere; /* told by the parser */
        }
}

static enum pvm_op by_machine(enum pvm_op first, char machine)
{
        return first + bank(machine);
}

static struct value place_get(struct gen *g, struct place *place, int dest)
{
        struct value r;
        switch (place->kind) {
        case P_LOCAL:
                return in_register(place->type, place->local->reg, false);
        case P_FIELD:
        case P_STATIC:
                if (place->field->flags & PVM_STATIC && place->field->flags & PVM_CONST &&
                    gen_constant(g->run, place->field)) {
                        struct value v = {.kind = V_CONSTANT,
                                          .type = place->type,
                                          .integer = place->field->integer,
                                          .real = place->field->real};
                        return v;
                }
                r = result_in(g, place->type, dest);
                unsigned k = pool_member(g->file, PVM_POOL_FIELD, place->field->cls, place->field->name,
                                         place->type->descriptor);
                if (place->kind == P_FIELD)
                        op_abk(g, PVM_GETF, r.reg, place->object.reg, k);
                else
                        op_ax(g, PVM_GETS, r.reg, (int)k);
                return r;
        case P_ELEMENT:
                if (place->type->kind == Y_BAD)
                        return bad_value();
                r = result_in(g, place->type, dest);
                if (place->object.type->kind == Y_CLASS && place->object.type->cls != known.array)
                        op_abc(g, PVM_LDB, r.reg, place->object.reg, place->index.reg);
                else
                        op_abc(g, by_machine(PVM_ALD_I, place->type->machine), r.reg, place->object.reg,
                               place->index.reg);
                return r;
        default:
                return bad_value();
        }
}

static void place_drop(struct gen *g, struct place *place)
{
        if (place->kind == P_FIELD || place->kind == P_ELEMENT)
                drop(g, place->object);
        if (place->kind == P_ELEMENT)
                drop(g, place->index);
}

/* v is of the place's type. Gives what the assignment is worth. */
static struct value place_set(struct gen *g, struct place *place, struct value v)
{
        switch (place->kind) {
        case P_LOCAL:
                if (place->local->constant)
                        error_at(g->source, place->at, "'%s' is const", place->local->name->text);
                into(g, v, place->local->reg);
                drop(g, v);
                return in_register(place->type, place->local->reg, false);
        case P_FIELD:
        case P_STATIC: {
                struct field *field = place->field;
                if (field->flags & PVM_CONST &&
                    !(g->cls == field->cls && ((g->constructor && place->kind == P_FIELD) || !g->method)))
                        error_at(g->source, place->at, "'%s' is const: it is written once, %s", field->name->text,
                                 field->flags & PVM_STATIC ? "where it is declared"
                                                           : "by its declaration or the constructors of its class");
                v = use(g, v, ANYWHERE);
                unsigned k = pool_member(g->file, PVM_POOL_FIELD, field->cls, field->name, place->type->descriptor);
                if (place->kind == P_FIELD)
                        op_abk(g, PVM_SETF, v.reg, place->object.reg, k);
                else
                        op_ax(g, PVM_SETS, v.reg, (int)k);
                return v;
        }
        case P_ELEMENT:
                v = use(g, v, ANYWHERE);
                if (is_string(place->object.type))
                        error_at(g->source, place->at, "a string does not change: its bytes cannot be assigned to");
                else if (place->object.type->kind == Y_CLASS && place->object.type->cls == known.binary)
                        op_abc(g, PVM_STB, v.reg, place->object.reg, place->index.reg);
                else if (place->type->kind != Y_BAD)
                        op_abc(g, by_machine(PVM_AST_I, place->type->machine), v.reg, place->object.reg,
                               place->index.reg);
                return v;
        default:
                return v;
        }
}

/* ---- operators ---- */

enum { ARITHMETIC = PVM_ADD_L - PVM_ADD_I, BITS = PVM_AND_L - PVM_AND_I, COMPARE = PVM_SEQ_L - PVM_SEQ_I };
static_assert(PVM_ADD_D == PVM_ADD_I + 3 * ARITHMETIC && PVM_SEQ_D == PVM_SEQ_I + 3 * COMPARE &&
                      PVM_NEG_I == PVM_ADD_I + 5 && PVM_USHR_I == PVM_AND_I + 5 && PVM_ALD_R == PVM_ALD_I + 4 &&
                      PVM_AST_R == PVM_AST_I + 4 && PVM_JLE_I == PVM_SEQ_I + 7,
              "the order of instructions in pvm/format.h");

static const char *shown_op(unsigned op)
{
        return token_text((enum token_kind)op);
}

/* + - * / % as 0 to 4; & | ^ << >> >>> as 5 to 10. */
static int operation(unsigned op)
{
        switch (op) {
        case P_PLUS:
        case P_ADD_SET:
        case P_INC:
                return 0;
        case P_MINUS:
        case P_SUB_SET:
        case P_DEC:
                return 1;
        case P_STAR:
        case P_MUL_SET:
                return 2;
        case P_SLASH:
        case P_DIV_SET:
                return 3;
        case P_PERCENT:
        case P_REM_SET:
                return 4;
        case P_AMP:
        case P_AND_SET:
                return 5;
        case P_BAR:
        case P_OR_SET:
                return 6;
        case P_CARET:
        case P_XOR_SET:
                return 7;
        case P_SHL:
        case P_SHL_SET:
                return 8;
        case P_SHR:
        case P_SHR_SET:
                return 9;
        default:
                return 10;
        }
}

/* Two constants of one type; as the machine would. False: the machine shall say. */
static bool fold(int what, struct value a, struct value b, struct value *result)
{
        *result = a;
        if (a.type->kind >= Y_FLOAT) {
                double x = a.real, y = b.real;
                double r = what == 0 ? x + y : what == 1 ? x - y : what == 2 ? x * y : x / y;
                if (what > 3)
                        return false;
                if (a.type->kind == Y_FLOAT) {
                        float f = (float)x, h = (float)y;
                        r = what == 0 ? f + h : what == 1 ? f - h : what == 2 ? f * h : f / h;
                }
                result->real = r;
                return true;
        }
        bool wide = a.type->kind == Y_LONG;
        uint64_t x = (uint64_t)a.integer, y = (uint64_t)b.integer, r = 0;
        unsigned shift = (unsigned)y & (wide ? 63 : 31);
        switch (what) {
        case 0:
                r = x + y;
                break;
        case 1:
                r = x - y;
                break;
        case 2:
                r = x * y;
                break;
        case 3:
                if (!y)
                        return false;
                r = b.integer == -1 ? 0 - x : (uint64_t)(a.integer / b.integer);
                break;
        case 4:
                if (!y)
                        return false;
                r = b.integer == -1 ? 0 : (uint64_t)(a.integer % b.integer);
                break;
        case 5:
                r = x & y;
                break;
        case 6:
                r = x | y;
                break;
        case 7:
                r = x ^ y;
                break;
        case 8:
                r = x << shift;
                break;
        case 9:
                r = (uint64_t)(a.integer >> shift);
                break;
        default:
                r = wide ? x >> shift : (uint32_t)x >> shift;
        }
        result->integer = wide ? (int64_t)r : (int32_t)(uint32_t)r;
        return true;
}

/* The type two operands meet in. */
static struct type *common(struct type *a, struct type *b)
{
        if (is_number(a) && is_number(b))
                return a->kind > b->kind ? a : b;
        return is_number(a) ? a : is_number(b) ? b : &type_int;
}

static bool numeric_operand(struct gen *g, struct value v, unsigned op, uint32_t at)
{
        if (is_number(v.type) || is_untyped(v.type))
                return true;
        error_at(g->source, at, "'%s' works on numbers, not on %s", shown_op(op), type_text(v.type));
        return false;
}

/* a op b, both evaluated. */
static struct value arithmetic(struct gen *g, unsigned op, struct value a, struct value b, uint32_t at, int dest)
{
        if (a.type->kind == Y_BAD || b.type->kind == Y_BAD || !numeric_operand(g, a, op, at) ||
            !numeric_operand(g, b, op, at)) {
                drop(g, a);
                drop(g, b);
                return bad_value();
        }
        int what = operation(op);
        struct type *type = common(a.type, b.type);
        if (what >= 8)
                type = is_number(a.type) ? a.type : &type_int;
        if (what >= 5 && type->kind >= Y_FLOAT) {
                error_at(g->source, at, "'%s' works on int and long, not on %s", shown_op(op), type_text(type));
                drop(g, a);
                drop(g, b);
                return bad_value();
        }
        /* Not into dest: the other operand may be in it. */
        a = convert(g, a, type, CASTED, at, ANYWHERE);
        if (what >= 8) {
                if (b.type->kind >= Y_FLOAT && is_number(b.type)) {
                        error_at(g->source, at, "'%s' shifts by a whole number, not by a %s", shown_op(op),
                                 type_text(b.type));
                        drop(g, b);
                        b = constant_int(0);
                }
                b = convert(g, b, &type_int, CASTED, at, ANYWHERE);
        } else {
                b = convert(g, b, type, CASTED, at, ANYWHERE);
        }
        struct value r;
        if (a.kind == V_CONSTANT && b.kind == V_CONSTANT && fold(what, a, b, &r))
                return r;
        bool integer = type->kind <= Y_LONG;
        if ((what == 3 || what == 4) && integer && b.kind == V_CONSTANT && !b.integer)
                warn_at(g->source, at, "division by zero: this throws .internal.error.divide");

        /* Immediate forms: the constant on the right, or on either side of what commutes. */
        if (integer && a.kind == V_CONSTANT && (what == 0 || what == 2 || what == 5)) {
                struct value swap = a;
                a = b;
                b = swap;
        }
        if (integer && b.kind == V_CONSTANT) {
                int64_t n = what == 1   ? -b.integer
                            : what >= 8 ? b.integer & (type->kind == Y_LONG ? 63 : 31)
                                        : b.integer;
                enum pvm_op first = type->kind == Y_LONG ? PVM_ADDI_L : PVM_ADDI_I;
                static const int8_t form[] = {0,  0,  1, 2, 3, 4,
                                              -1, -1, 5, 6, 7}; /* ADDI MULI DIVI REMI ANDI SHLI SHRI USHRI */
                if (form[what] >= 0 && n >= -128 && n <= 127 && !((what == 3 || what == 4) && !n)) {
                        a = use(g, a, ANYWHERE);
                        drop(g, a);
                        r = result_in(g, type, dest);
                        op_abc(g, first + (unsigned)form[what], r.reg, a.reg, (unsigned)(uint8_t)(int8_t)n);
                        return r;
                }
        }
        a = use(g, a, ANYWHERE);
        b = use(g, b, ANYWHERE);
        drop(g, a);
        drop(g, b);
        r = result_in(g, type, dest);
        if (what <= 4)
                op_abc(g, PVM_ADD_I + (unsigned)type->kind * ARITHMETIC + (unsigned)what, r.reg, a.reg, b.reg);
        else
                op_abc(g, PVM_AND_I + (unsigned)type->kind * BITS + (unsigned)(what - 5), r.reg, a.reg, b.reg);
        return r;
}

/* ---- strings ---- */

struct parts {
        uint8_t regs[CONCAT_PARTS + 8];
        struct value values[CONCAT_PARTS + 8];
        unsigned n;
};

static struct value parts_join(struct gen *g, struct parts *parts, int dest)
{
        if (parts->n == 1 && is_string(parts->values[0].type))
                return parts->values[0];
        for (unsigned i = 0; i < parts->n; i++) {
                parts->values[i] = use(g, parts->values[i], ANYWHERE);
                parts->regs[i] = parts->values[i].reg;
        }
        for (unsigned i = 0; i < parts->n; i++)
                drop(g, parts->values[i]);
        struct value r = result_in(g, &known.string->type, dest);
        op_abc(g, PVM_CONCAT, r.reg, parts->n, 0);
        for (unsigned i = 0; i < parts->n; i += 4) {
                uint32_t w = 0;
                for (unsigned k = 0; k < 4 && i + k < parts->n; k++)
                        w |= (uint32_t)parts->regs[i + k] << (8 * k);
                word(g, w);
        }
        return r;
}

static void parts_add(struct gen *g, struct parts *parts, struct value v, bool later)
{
        if (v.type->kind == Y_BYTES)
                v = convert(g, v, &known.string->type, ARGUMENT, v.at, ANYWHERE);
        struct value *last = parts->n ? &parts->values[parts->n - 1] : NULL;
        if (v.kind == V_CONSTANT && last && last->kind == V_CONSTANT && is_string(v.type) && is_string(last->type) &&
            v.name && last->name) {
                if (!v.name->len)
                        return;
                struct mark mark = arena_mark(&passing);
                size_t len = (size_t)last->name->len + v.name->len;
                char *text = arena_alloc(&passing, len + 1);
                memcpy(text, last->name->text, last->name->len);
                memcpy(text + last->name->len, v.name->text, v.name->len);
                last->name = name_of(text, len);
                arena_release(&passing, mark);
                return;
        }
        if (v.type->kind != Y_NULL && !is_number(v.type) && !is_string(v.type))
                v = to_text(g, v, ANYWHERE);
        else
                v = steady(g, v, later);
        if (parts->n == CONCAT_PARTS) {
                struct value so_far = parts_join(g, parts, ANYWHERE);
                parts->values[0] = so_far;
                parts->n = 1;
        }
        parts->values[parts->n++] = v;
}

static struct value concatenated(struct gen *g, struct value a, struct value b, int dest)
{
        struct parts parts = {.n = 0};
        parts_add(g, &parts, a, false);
        parts_add(g, &parts, b, false);
        return parts_join(g, &parts, dest);
}

/* a + b + c...: one instruction for all that is text. */
static struct value gen_sum(struct gen *g, struct node *node, int dest)
{
        unsigned n = 1;
        for (struct node *left = node; left->kind == E_BINARY && left->op == P_PLUS && (left == node || !left->paren);
             left = left->a)
                n++;
        struct node **operands = arena_alloc(&passing, n * sizeof(struct node *));
        uint32_t *at = arena_alloc(&passing, n * sizeof(uint32_t));
        struct node *left = node;
        for (unsigned i = n - 1; i > 0; i--, left = left->a) {
                operands[i] = left->b;
                at[i] = left->at;
        }
        operands[0] = left;
        /* assigns of all behind */
        struct parts parts = {.n = 0};
        bool text = false, later = false;
        struct value so_far = {0};
        for (unsigned i = 1; i < n; i++)
                later |= operands[i]->assigns;
        for (unsigned i = 0; i < n; i++) {
                struct value v = gen_expression(g, operands[i], ANYWHERE);
                v.at = operands[i]->at;
                if (!i) {
                        so_far = steady(g, v, later);
                } else if (text) {
                        parts_add(g, &parts, v, later);
                } else if (is_string(so_far.type) || is_string(v.type) || so_far.type->kind == Y_BYTES ||
                           v.type->kind == Y_BYTES) {
                        text = true;
                        parts_add(g, &parts, so_far, later);
                        parts_add(g, &parts, v, later);
                } else {
                        so_far = arithmetic(g, P_PLUS, so_far, v, at[i], i + 1 == n ? dest : ANYWHERE);
                }
        }
        return text ? parts_join(g, &parts, dest) : so_far;
}

/* ---- comparisons ---- */

/* Evaluates both sides; if they are numbers, in a common type. False: they are compared as objects, and are references in registers. */
static bool operands_of(struct gen *g, struct node *node, struct value *a, struct value *b)
{
        *a = steady(g, gen_expression(g, node->a, ANYWHERE), node->b->assigns);
        *b = gen_expression(g, node->b, ANYWHERE);
        if (a->type->kind == Y_VOID)
                a->type = &type_any;
        if (b->type->kind == Y_VOID)
                b->type = &type_any;
        if (is_number(a->type) && is_number(b->type)) {
                struct type *type = common(a->type, b->type);
                *a = number_to(g, *a, type, ANYWHERE);
                *b = number_to(g, *b, type, ANYWHERE);
                return true;
        }
        return false;
}

static bool is_null(struct value v)
{
        return v.kind == V_CONSTANT && v.type->kind == Y_NULL;
}

static bool compare_constants(unsigned op, struct value a, struct value b)
{
        bool real = a.type->kind >= Y_FLOAT, less, equal;
        less = real ? a.real < b.real : a.integer < b.integer;
        equal = real ? a.real == b.real : a.integer == b.integer;
        bool more = real ? a.real > b.real : a.integer > b.integer;
        switch (op) {
        case P_EQ:
        case P_SAME:
                return equal;
        case P_NE:
        case P_NSAME:
                return !equal;
        case P_LT:
                return less;
        case P_GT:
                return more;
        case P_LE:
                return less || equal;
        default:
                return more || equal;
        }
}

static void check_comparable(struct gen *g, struct node *node, struct value a, struct value b)
{
        if (a.type->kind == Y_BAD || b.type->kind == Y_BAD)
                return;
        bool order = node->op != P_EQ && node->op != P_NE && node->op != P_SAME && node->op != P_NSAME;
        if (order && ((!is_number(a.type) && !is_untyped(a.type) && !is_string(a.type)) ||
                      (!is_number(b.type) && !is_untyped(b.type) && !is_string(b.type)) ||
                      (is_number(a.type) && is_string(b.type)) || (is_string(a.type) && is_number(b.type))))
                error_at(g->source, node->at,
                         "'%s' compares numbers with numbers and strings with strings, not %s with %s",
                         shown_op(node->op), type_text(a.type), type_text(b.type));
        else if ((is_number(a.type) && !is_untyped(b.type) && !is_number(b.type)) ||
                 (is_number(b.type) && !is_untyped(a.type) && !is_number(a.type)))
                warn_at(g->source, node->at, "%s and %s are never equal", type_text(a.type), type_text(b.type));
}

/* The value of a comparison of references: a register with 0 or 1. */
static struct value compare_references(struct gen *g, struct node *node, struct value a, struct value b, int dest,
                                       bool *negated)
{
        check_comparable(g, node, a, b);
        a = use(g, boxed(g, a, ANYWHERE), ANYWHERE);
        b = use(g, boxed(g, b, ANYWHERE), ANYWHERE);
        drop(g, a);
        drop(g, b);
        struct value r = result_in(g, &type_int, dest);
        *negated = node->op == P_NE || node->op == P_NSAME;
        switch (node->op) {
        case P_EQ:
        case P_NE:
                op_abc(g, PVM_VEQ, r.reg, a.reg, b.reg);
                break;
        case P_SAME:
        case P_NSAME:
                op_abc(g, PVM_SSAME, r.reg, a.reg, b.reg);
                break;
        case P_LT:
                op_abc(g, PVM_VLT, r.reg, a.reg, b.reg);
                break;
        case P_GT:
                op_abc(g, PVM_VLT, r.reg, b.reg, a.reg);
                break;
        case P_LE:
                op_abc(g, PVM_VLE, r.reg, a.reg, b.reg);
                break;
        default:
                op_abc(g, PVM_VLE, r.reg, b.reg, a.reg);
        }
        return r;
}

static bool is_comparison(struct node *node)
{
        return node->kind == E_BINARY &&
               (node->op == P_EQ || node->op == P_NE || node->op == P_LT || node->op == P_GT || node->op == P_LE ||
                node->op == P_GE || node->op == P_SAME || node->op == P_NSAME);
}

static struct value gen_comparison(struct gen *g, struct node *node, int dest)
{
        struct value a, b, r;
        if (!operands_of(g, node, &a, &b)) {
                bool negated;
                r = compare_references(g, node, a, b, ANYWHERE, &negated);
                if (negated) {
                        struct value zero = use(g, constant_int(0), ANYWHERE);
                        drop(g, r);
                        drop(g, zero);
                        struct value flipped = result_in(g, &type_int, dest);
                        op_abc(g, PVM_SEQ_I, flipped.reg, r.reg, zero.reg);
                        return flipped;
                }
                return r;
        }
        if (a.kind == V_CONSTANT && b.kind == V_CONSTANT)
                return constant_int(compare_constants(node->op, a, b));
        enum pvm_op first = PVM_SEQ_I + (unsigned)a.type->kind * COMPARE;
        a = use(g, a, ANYWHERE);
        b = use(g, b, ANYWHERE);
        drop(g, a);
        drop(g, b);
        r = result_in(g, &type_int, dest);
        bool swap = node->op == P_GT || node->op == P_GE;
        unsigned which = node->op == P_EQ || node->op == P_SAME    ? 0
                         : node->op == P_NE || node->op == P_NSAME ? 1
                         : node->op == P_LT || node->op == P_GT    ? 2
                                                                   : 3;
        op_abc(g, first + which, r.reg, swap ? b.reg : a.reg, swap ? a.reg : b.reg);
        return r;
}

static void jump_comparison(struct gen *g, struct node *node, struct label *label, bool when)
{
        struct value a, b;
        if (!operands_of(g, node, &a, &b)) {
                bool equality = node->op == P_EQ || node->op == P_NE || node->op == P_SAME || node->op == P_NSAME;
                bool equal = (node->op == P_EQ || node->op == P_SAME) == when;
                if (equality && (is_null(a) || is_null(b)) && !is_number(a.type) && !is_number(b.type)) {
                        struct value v = use(g, is_null(a) ? b : a, ANYWHERE);
                        jump_imm(g, equal ? PVM_JNULL : PVM_JNNULL, v.reg, 0, label);
                        drop(g, v);
                        return;
                }
                if ((node->op == P_SAME || node->op == P_NSAME) && !is_number(a.type) && !is_number(b.type)) {
                        a = use(g, a, ANYWHERE);
                        b = use(g, b, ANYWHERE);
                        jump_abc(g, equal ? PVM_JSAME : PVM_JNSAME, a.reg, b.reg, label);
                        drop(g, a);
                        drop(g, b);
                        return;
                }
                bool negated;
                struct value r = compare_references(g, node, a, b, ANYWHERE, &negated);
                jump_imm(g, when != negated ? PVM_JNEI_I : PVM_JEQI_I, r.reg, 0, label);
                drop(g, r);
                return;
        }
        if (a.kind == V_CONSTANT && b.kind == V_CONSTANT) {
                if (compare_constants(node->op, a, b) == when)
                        jump(g, label);
                return;
        }
        unsigned op = node->op == P_SAME ? P_EQ : node->op == P_NSAME ? P_NE : node->op;
        if (a.type->kind == Y_INT) {
                if (a.kind == V_CONSTANT) {
                        struct value swap = a;
                        a = b;
                        b = swap;
                        op = op == P_LT ? P_GT : op == P_GT ? P_LT : op == P_LE ? P_GE : op == P_GE ? P_LE : op;
                }
                if (!when)
                        op = op == P_EQ   ? P_NE
                             : op == P_NE ? P_EQ
                             : op == P_LT ? P_GE
                             : op == P_GE ? P_LT
                             : op == P_GT ? P_LE
                                          : P_GT;
                when = true;
                if (b.kind == V_CONSTANT && b.integer == (int16_t)b.integer) {
                        enum pvm_op imm = op == P_EQ   ? PVM_JEQI_I
                                          : op == P_NE ? PVM_JNEI_I
                                          : op == P_LT ? PVM_JLTI_I
                                          : op == P_LE ? PVM_JLEI_I
                                          : op == P_GT ? PVM_JGTI_I
                                                       : PVM_JGEI_I;
                        jump_imm(g, imm, a.reg, (int)b.integer, label);
                        drop(g, a);
                        return;
                }
        } else if (a.type->kind == Y_LONG && !when) {
                op = op == P_EQ   ? P_NE
                     : op == P_NE ? P_EQ
                     : op == P_LT ? P_GE
                     : op == P_GE ? P_LT
                     : op == P_GT ? P_LE
                                  : P_GT;
                when = true;
        }
        enum pvm_op first = PVM_SEQ_I + (unsigned)a.type->kind * COMPARE + 4;
        a = use(g, a, ANYWHERE);
        b = use(g, b, ANYWHERE);
        bool swap = op == P_GT || op == P_GE;
        unsigned x = swap ? b.reg : a.reg, y = swap ? a.reg : b.reg;
        if (op == P_EQ || op == P_NE)
                jump_abc(g, first + ((op == P_NE) == when), x, y, label);
        else if (when)
                jump_abc(g, first + (op == P_LT || op == P_GT ? 2 : 3), x, y, label);
        else /* NaN: not (a < b) is not b <= a */
                jump_abc(g, (a.type->kind == Y_FLOAT ? PVM_JNLT_F : PVM_JNLT_D) + (op == P_LT || op == P_GT ? 0 : 1), x,
                         y, label);
        drop(g, a);
        drop(g, b);
}

/* Jumps if the value is true: not 0, not null. */
static void jump_value(struct gen *g, struct value v, struct label *label, bool when)
{
        if (v.type->kind == Y_BAD)
                return;
        if (v.kind == V_CONSTANT) {
                bool yes = v.type->kind <= Y_LONG     ? v.integer != 0
                           : v.type->kind <= Y_DOUBLE ? v.real != 0
                                                      : v.type->kind != Y_NULL;
                if (yes == when)
                        jump(g, label);
                return;
        }
        switch (v.type->kind) {
        case Y_INT:
                jump_imm(g, when ? PVM_JNEI_I : PVM_JEQI_I, v.reg, 0, label);
                break;
        case Y_LONG:
        case Y_FLOAT:
        case Y_DOUBLE: {
                struct value zero = use(g, (struct value){.kind = V_CONSTANT, .type = v.type}, ANYWHERE);
                jump_abc(g, PVM_SEQ_I + (unsigned)v.type->kind * COMPARE + (when ? 5 : 4), v.reg, zero.reg, label);
                drop(g, zero);
                break;
        }
        case Y_ANY:
        case Y_VOID: { /* null, and a boxed 0 */
                struct label over = {0};
                jump_imm(g, PVM_JNULL, v.reg, 0, when ? &over : label);
                struct value zero = boxed(g, constant_int(0), ANYWHERE);
                struct value equal = result_in(g, &type_int, ANYWHERE);
                op_abc(g, PVM_VEQ, equal.reg, v.reg, zero.reg);
                jump_imm(g, when ? PVM_JEQI_I : PVM_JNEI_I, equal.reg, 0, label);
                drop(g, zero);
                drop(g, equal);
                bind(g, &over);
                break;
        }
        default:
                jump_imm(g, when ? PVM_JNNULL : PVM_JNULL, v.reg, 0, label);
        }
        drop(g, v);
}

static void gen_condition(struct gen *g, struct node *node, struct label *label, bool when)
{
        g->line = node->line;
        if (node->kind == E_NOT) {
                gen_condition(g, node->a, label, !when);
        } else if (node->kind == E_AND || node->kind == E_OR) {
                bool decides = node->kind == E_OR; /* the first that is so decides */
                if (decides == when) {
                        gen_condition(g, node->a, label, when);
                        bool first = g->reachable;
                        gen_condition(g, node->b, label, when);
                        g->reachable &= first;
                } else {
                        struct label over = {0};
                        gen_condition(g, node->a, &over, decides);
                        bool first = g->reachable;
                        gen_condition(g, node->b, label, when);
                        g->reachable &= first;
                        bind(g, &over);
                }
        } else if (is_comparison(node)) {
                jump_comparison(g, node, label, when);
        } else {
                jump_value(g, gen_expression(g, node, ANYWHERE), label, when);
        }
}

/* 0 or 1. */
static struct value gen_truth(struct gen *g, struct node *node, int dest)
{
        struct label no = {0}, end = {0};
        struct value r = in_register(&type_int, reg_new(g, 'I', NULL), true);
        (void)dest; /* a variable of the condition may be in it */
        gen_condition(g, node, &no, false);
        op_ax(g, PVM_LDI, r.reg, 1);
        jump(g, &end);
        bind(g, &no);
        op_ax(g, PVM_LDI, r.reg, 0);
        g->reachable = true;
        bind(g, &end);
        return r;
}

/* ---- calls ---- */

struct arguments {
        struct value values[PVM_MAX_ARGS];
        uint32_t at[PVM_MAX_ARGS];
        unsigned n;
};

static void gen_arguments(struct gen *g, struct node *list, struct arguments *args)
{
        args->n = 0;
        for (struct node *node = list; node; node = node->next) {
                if (args->n >= PVM_MAX_ARGS - 2) {
                        error_at(g->source, node->at, "more than %u arguments", PVM_MAX_ARGS - 2);
                        return;
                }
                bool later = false;
                for (struct node *rest = node->next; rest && !later; rest = rest->next)
                        later = rest->assigns;
                args->values[args->n] = steady(g, gen_expression(g, node, ANYWHERE), later);
                args->at[args->n++] = node->at;
        }
}

static void drop_arguments(struct gen *g, struct arguments *args)
{
        for (unsigned i = 0; i < args->n; i++)
                drop(g, args->values[i]);
}

/* The words of a call; registers of receiver and arguments. */
static void op_call(struct gen *g, enum pvm_op op, unsigned result, unsigned k, const uint8_t *regs, unsigned n)
{
        op_abc(g, op, result, n, 0);
        word(g, k);
        for (unsigned i = 0; i < n; i += 4) {
                uint32_t w = 0;
                for (unsigned b = 0; b < 4 && i + b < n; b++)
                        w |= (uint32_t)regs[i + b] << (8 * b);
                word(g, w);
        }
}

/* Untyped: everything boxed. name: of CALLD. */
static struct value call_untyped(struct gen *g, enum pvm_op op, unsigned k, struct value receiver, struct value *name,
                                 struct arguments *args, int dest)
{
        uint8_t regs[PVM_MAX_ARGS + 1];
        unsigned n = 0;
        receiver = use(g, receiver, ANYWHERE);
        regs[n++] = receiver.reg;
        if (name)
                regs[n++] = name->reg;
        for (unsigned i = 0; i < args->n; i++) {
                if (args->values[i].type->kind == Y_BAD)
                        args->values[i].type = &type_null;
                args->values[i] = use(g, boxed(g, args->values[i], ANYWHERE), ANYWHERE);
                regs[n++] = args->values[i].reg;
        }
        drop_arguments(g, args);
        drop(g, receiver);
        if (name)
                drop(g, *name);
        struct value r = result_in(g, &type_any, dest);
        op_call(g, op, r.reg, k, regs, n);
        return r;
}

struct choice {
        struct method *best;
        int most, sum;
        bool tie;
        struct method *other, *some, *hidden; /* of the name */
        unsigned some_count;
};

static bool better_parameters(struct method *a, struct method *b)
{
        for (unsigned i = 0; i < a->nparameters; i++) {
                struct type *x = a->parameters[i].type, *y = b->parameters[i].type;
                int d = distance(x, y);
                if (x != y && (d != 1 && !(y->kind == Y_ANY)))
                        return false;
        }
        return true;
}

static void consider(struct gen *g, struct choice *choice, struct method *method, struct arguments *args)
{
        for (; method; method = method->same) {
                if (method->flags & PVM_PRIVATE && method->cls != g->cls) {
                        choice->hidden = method;
                        continue;
                }
                if (!method->descriptor)
                        continue;
                choice->some = method;
                choice->some_count++;
                if (method->nparameters != args->n)
                        continue;
                int most = 0, sum = 0;
                for (unsigned i = 0; i < args->n && most >= 0; i++) {
                        int d = distance(args->values[i].type, method->parameters[i].type);
                        if (d == 4 && args->values[i].kind == V_CONSTANT && args->values[i].type->kind == Y_DOUBLE &&
                            method->parameters[i].type->kind == Y_FLOAT)
                                d = 3; /* a literal */
                        most = d < 0 || d == 4 ? -1 : d > most ? d : most;
                        sum += d;
                }
                if (most < 0)
                        continue;
                struct method *best = choice->best;
                if (best && best->cls != method->cls) { /* overridden */
                        size_t len = (size_t)(strchr(best->descriptor->text, ')') - best->descriptor->text);
                        if (!strncmp(best->descriptor->text, method->descriptor->text, len + 1))
                                continue;
                }
                bool wins = !best || most < choice->most || (most == choice->most && sum < choice->sum);
                if (best && most == choice->most && sum == choice->sum) {
                        if (better_parameters(method, best))
                                wins = true;
                        else if (!better_parameters(best, method)) {
                                choice->tie = true;
                                choice->other = method;
                        }
                }
                if (wins) {
                        choice->best = method;
                        choice->most = most;
                        choice->sum = sum;
                        choice->tie = false;
                }
        }
}

static void consider_class(struct gen *g, struct choice *choice, struct cls *cls, struct name *name,
                           struct arguments *args, unsigned depth)
{
        class_complete(cls);
        for (struct cls *c = cls; c; c = c->parent)
                consider(g, choice, method_find(c, name), args);
        if (choice->best || depth > 32)
                return;
        for (struct cls *c = cls; c; c = c->parent)
                for (struct interface_ref *ref = c->interfaces; ref; ref = ref->next)
                        if (ref->cls)
                                consider_class(g, choice, ref->cls, name, args, depth + 1);
}

static const char *argument_types(struct arguments *args)
{
        static char text[400];
        size_t len = 0;
        text[0] = 0;
        for (unsigned i = 0; i < args->n && len < 300; i++)
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? ", " : "",
                                        type_text(args->values[i].type));
        return text;
}

/* Tells why there is no method; what: how to call it in the message. */
static void no_method(struct gen *g, struct choice *choice, struct cls *cls, const char *what, struct arguments *args,
                      uint32_t at)
{
        for (unsigned i = 0; i < args->n; i++)
                if (args->values[i].type->kind == Y_BAD)
                        return;
        struct method *some = choice->some;
        if (choice->tie) {
                error_at(g->source, at, "'%s(%s)' fits several methods equally well: casts would decide", what,
                         argument_types(args));
                note_at(choice->best->cls->source, choice->best->at, "this one");
                note_at(choice->other->cls->source, choice->other->at, "and this one");
        } else if (!some && choice->hidden) {
                error_at(g->source, at, "'%s' is private in %s", what, choice->hidden->cls->name->text);
        } else if (!some) {
                struct near near = {.name = what};
                for (struct cls *c = cls; c; c = c->parent)
                        for (struct method *m = c->methods; m; m = m->next)
                                if (!(m->flags & PVM_PRIVATE) || c == g->cls)
                                        near_consider(&near, m->name->text);
                error_at(g->source, at, "no method '%s' in %s%s", what, cls->name->text, near_text(&near));
        } else if (choice->some_count == 1 && some->nparameters != args->n) {
                error_at(g->source, at, "'%s' takes %u argument%s, %u given", what, some->nparameters,
                         some->nparameters == 1 ? "" : "s", args->n);
                note_at(some->cls->source, some->at, "here");
        } else if (choice->some_count == 1) {
                for (unsigned i = 0; i < args->n; i++) {
                        int d = distance(args->values[i].type, some->parameters[i].type);
                        if (d < 0 || d == 4)
                                error_at(g->source, args->at[i], "argument %u of '%s' is %s: %s expected", i + 1, what,
                                         type_text(args->values[i].type), type_text(some->parameters[i].type));
                }
                note_at(some->cls->source, some->at, "here");
        } else {
                error_at(g->source, at, "no method '%s' takes (%s)", what, argument_types(args));
                for (struct cls *c = cls; c; c = c->parent)
                        for (struct method *m = method_find(c, some->name); m; m = m->same)
                                note_at(m->cls->source, m->at, "there is this one");
        }
}

/* Calls a method that is chosen, arguments evaluated. receiver 0: static. */
static struct value call_method(struct gen *g, enum pvm_op op, struct cls *named, struct method *method,
                                struct value *receiver, struct arguments *args, int dest)
{
        uint8_t regs[PVM_MAX_ARGS + 1];
        unsigned n = 0;
        if (receiver) {
                *receiver = use(g, *receiver, ANYWHERE);
                regs[n++] = receiver->reg;
        }
        for (unsigned i = 0; i < args->n; i++) {
                args->values[i] =
                        use(g, convert(g, args->values[i], method->parameters[i].type, ARGUMENT, args->at[i], ANYWHERE),
                            ANYWHERE);
                regs[n++] = args->values[i].reg;
        }
        drop_arguments(g, args);
        if (receiver)
                drop(g, *receiver);
        struct value r = result_in(g, method->result, dest);
        op_call(g, op, r.reg, pool_member(g->file, PVM_POOL_METHOD, named, method->name, method->descriptor), regs, n);
        return r;
}

/* The class whose methods a value has. */
static struct cls *class_of_value(struct value v)
{
        switch (v.type->kind) {
        case Y_INT:
        case Y_LONG:
        case Y_FLOAT:
        case Y_DOUBLE:
                return known.boxes[v.type->kind];
        case Y_CLASS:
                return v.type->cls;
        case Y_ARRAY:
                return known.array;
        case Y_BYTES:
                return known.binary;
        default:
                return known.object;
        }
}

/* receiver.name(arguments), both evaluated. */
static struct value call_on(struct gen *g, struct value receiver, struct name *name, struct arguments *args,
                            uint32_t at, int dest)
{
        if (receiver.type->kind == Y_BAD || receiver.type->kind == Y_NULL) {
                if (receiver.type->kind == Y_NULL)
                        error_at(g->source, at, "null has no methods");
                drop_arguments(g, args);
                return bad_value();
        }
        struct cls *cls = class_of_value(receiver);
        if (name == known.to_string && !args->n && is_number(receiver.type))
                return to_text(g, receiver, dest);
        struct choice choice = {0};
        consider_class(g, &choice, cls, name, args, 0);
        if (!choice.best && cls->flags & PVM_CLASS_INTERFACE)
                consider(g, &choice, method_find(known.object, name), args);
        if (choice.best && !choice.tie) {
                struct method *m = choice.best;
                if (m->flags & PVM_STATIC) {
                        drop(g, receiver);
                        return call_method(g, PVM_CALLS, m->cls, m, NULL, args, dest);
                }
                receiver = use(g, boxed(g, receiver, ANYWHERE), ANYWHERE);
                if (m->cls == known.array && m->ordinal == 12) { /* size */
                        drop(g, receiver);
                        struct value r = result_in(g, &type_int, dest);
                        op_abc(g, PVM_LEN, r.reg, receiver.reg, 0);
                        return r;
                }
                if ((m->cls == known.string || m->cls == known.binary) &&
                    m->ordinal == (m->cls == known.string ? 9 : 8)) { /* charAt, getByte */
                        struct value index = use(
                                g, convert(g, args->values[0], &type_int, ARGUMENT, args->at[0], ANYWHERE), ANYWHERE);
                        drop(g, index);
                        drop(g, receiver);
                        struct value r = result_in(g, &type_int, dest);
                        op_abc(g, PVM_LDB, r.reg, receiver.reg, index.reg);
                        return r;
                }
                struct cls *named =
                        m->cls == known.object || cls->flags & PVM_CLASS_INTERFACE || is_number(receiver.type) ? m->cls
                                                                                                               : cls;
                return call_method(g, PVM_CALLV, named, m, &receiver, args, dest);
        }
        if (cls == known.object && !choice.tie)
                return call_untyped(g, PVM_CALLN, pool_utf8(g->file, name), receiver, NULL, args, dest);
        no_method(g, &choice, cls, name->text, args, at);
        drop_arguments(g, args);
        drop(g, receiver);
        return bad_value();
}

static void need_object(struct gen *g, struct node *node)
{
        if (g->is_static)
                error_at(g->source, node->at, "there is no 'this' in a static method");
}

static void gen_initialisers(struct gen *g, bool of_class);

static struct value gen_super_constructor(struct gen *g, struct node *node)
{
        struct arguments args;
        gen_arguments(g, node->list, &args);
        if (!g->constructor || !node->flag) {
                error_at(g->source, node->at, "super(...) is the first statement of a constructor");
                drop_arguments(g, &args);
                return bad_value();
        }
        struct cls *parent = constructed_above(g->cls->parent);
        struct choice choice = {0};
        consider(g, &choice, method_find(parent, known.constructor), &args);
        if (!choice.best || choice.tie) {
                no_method(g, &choice, parent, parent->last->text, &args, node->at);
                drop_arguments(g, &args);
                return bad_value();
        }
        struct value receiver = this_value(g);
        struct value r = call_method(g, PVM_CALLC, choice.best->cls, choice.best, &receiver, &args, ANYWHERE);
        drop(g, r);
        gen_initialisers(g, false);
        return (struct value){.kind = V_CONSTANT, .type = &type_null};
}

/* Is this a variable to be called, a closure, and not a method? */
static bool calls_variable(struct gen *g, struct name *name)
{
        struct field *hidden = NULL, *field;
        for (struct cls *c = g->cls; c; c = c->parent)
                if (method_find(c, name))
                        return false;
        struct local *local = local_find(g, name);
        field = local ? NULL : field_above(g, g->cls, name, &hidden);
        struct type *type = local ? local->type : field ? field->type : NULL;
        return type && (is_untyped(type) || (type->kind == Y_CLASS && type->cls == known.closure));
}

static struct value gen_call(struct gen *g, struct node *node, int dest)
{
        struct arguments args;
        if (!node->a && calls_variable(g, node->name)) {
                struct node variable = {.kind = E_NAME, .at = node->at, .line = node->line, .name = node->name};
                struct node call = *node;
                call.a = &variable;
                call.name = known.call;
                return gen_call(g, &call, dest);
        }
        if (!node->a) { /* of this class */
                gen_arguments(g, node->list, &args);
                struct choice choice = {0};
                consider_class(g, &choice, g->cls, node->name, &args, 0);
                if (!choice.best || choice.tie) {
                        no_method(g, &choice, g->cls, node->name->text, &args, node->at);
                        drop_arguments(g, &args);
                        return bad_value();
                }
                struct method *m = choice.best;
                if (m->flags & PVM_STATIC)
                        return call_method(g, PVM_CALLS, m->cls, m, NULL, &args, dest);
                if (g->is_static) {
                        error_at(g->source, node->at,
                                 "'%s' is not static: it needs an object, and in a static method is none",
                                 node->name->text);
                        drop_arguments(g, &args);
                        return bad_value();
                }
                struct value receiver = this_value(g);
                bool direct = m->flags & (PVM_PRIVATE | PVM_FINAL);
                return call_method(g, direct ? PVM_CALLC : PVM_CALLV, direct ? m->cls : g->cls, m, &receiver, &args,
                                   dest);
        }
        if (node->a->kind == E_SUPER) {
                if (node->name == known.name_super)
                        return gen_super_constructor(g, node);
                need_object(g, node);
                gen_arguments(g, node->list, &args);
                struct choice choice = {0};
                for (struct cls *c = g->cls->parent; c && !g->is_static; c = c->parent)
                        consider(g, &choice, method_find(c, node->name), &args);
                if (!choice.best || choice.tie || g->is_static) {
                        if (!g->is_static)
                                no_method(g, &choice, g->cls->parent, node->name->text, &args, node->at);
                        drop_arguments(g, &args);
                        return bad_value();
                }
                if (choice.best->flags & PVM_ABSTRACT)
                        error_at(g->source, node->at, "'%s' is abstract in %s", node->name->text,
                                 choice.best->cls->name->text);
                struct value receiver = this_value(g);
                return call_method(g, PVM_CALLC, choice.best->cls, choice.best, &receiver, &args, dest);
        }
        struct cls *cls = class_of_node(g, node->a);
        if (cls || node->a->kind == E_CLASSNAME) {
                gen_arguments(g, node->list, &args);
                struct choice choice = {0};
                if (cls)
                        consider_class(g, &choice, cls, node->name, &args, 0);
                else
                        error_at(g->source, node->a->at, "no class '%s'", node->a->name->text);
                if (cls && choice.best && !choice.tie && !(choice.best->flags & PVM_STATIC))
                        error_at(g->source, node->at, "'%s' is not static: an object is needed before the '.'",
                                 node->name->text);
                else if (cls && choice.best && !choice.tie)
                        return call_method(g, PVM_CALLS, choice.best->cls, choice.best, NULL, &args, dest);
                else if (cls)
                        no_method(g, &choice, cls, node->name->text, &args, node->at);
                drop_arguments(g, &args);
                return bad_value();
        }
        struct value receiver = gen_expression(g, node->a, ANYWHERE);
        bool later = false;
        for (struct node *argument = node->list; argument && !later; argument = argument->next)
                later = argument->assigns;
        receiver = steady(g, receiver, later);
        gen_arguments(g, node->list, &args);
        g->line = node->line;
        return call_on(g, receiver, node->name, &args, node->at, dest);
}

static struct value gen_call_ordinal(struct gen *g, struct node *node, int dest)
{
        struct arguments args;
        bool later = false;
        for (struct node *argument = node->list; argument && !later; argument = argument->next)
                later = argument->assigns;
        struct value receiver = steady(g, gen_expression(g, node->a, ANYWHERE), later);
        gen_arguments(g, node->list, &args);
        if (receiver.type->kind == Y_BAD || receiver.type->kind == Y_NULL) {
                drop_arguments(g, &args);
                return bad_value();
        }
        if (node->integer < 0 || node->integer >= PVM_NO_ORDINAL) {
                error_at(g->source, node->at, "an ordinal is a number from 0 to %u", PVM_NO_ORDINAL - 1);
                drop_arguments(g, &args);
                drop(g, receiver);
                return bad_value();
        }
        struct cls *cls = class_of_value(receiver);
        struct method *m = method_ordinal(cls, (unsigned)node->integer);
        receiver = boxed(g, receiver, ANYWHERE);
        if (m && m->name != known.constructor && m->result && !(m->flags & PVM_STATIC)) {
                struct choice choice = {.some = m, .some_count = 1};
                bool fits = m->nparameters == args.n;
                for (unsigned i = 0; i < args.n && fits; i++) {
                        int d = distance(args.values[i].type, m->parameters[i].type);
                        fits = d >= 0 && d != 4;
                }
                if (m->flags & PVM_PRIVATE && m->cls != g->cls)
                        error_at(g->source, node->at, "'%s' is private in %s", m->name->text, m->cls->name->text);
                else if (fits)
                        return call_method(g, PVM_CALLV,
                                           m->cls == known.object || cls->flags & PVM_CLASS_INTERFACE ? m->cls : cls, m,
                                           &receiver, &args, dest);
                else
                        no_method(g, &choice, cls, m->name->text, &args, node->at);
                drop_arguments(g, &args);
                drop(g, receiver);
                return bad_value();
        }
        if (cls != known.object)
                warn_at(g->source, node->at, "%s has no method of ordinal %lld: looked for at run time",
                        cls->name->text, (long long)node->integer);
        return call_untyped(g, PVM_CALLO, (unsigned)node->integer, receiver, NULL, &args, dest);
}

static struct value gen_call_named(struct gen *g, struct node *node, int dest)
{
        struct arguments args;
        bool later = node->b->assigns;
        for (struct node *argument = node->list; argument && !later; argument = argument->next)
                later = argument->assigns;
        struct value receiver = steady(g, boxed(g, gen_expression(g, node->a, ANYWHERE), ANYWHERE), later);
        struct value name = gen_expression(g, node->b, ANYWHERE);
        name = steady(g, use(g, convert(g, name, &known.string->type, ARGUMENT, node->b->at, ANYWHERE), ANYWHERE),
                      later);
        gen_arguments(g, node->list, &args);
        if (receiver.type->kind == Y_BAD) {
                drop_arguments(g, &args);
                drop(g, name);
                return bad_value();
        }
        return call_untyped(g, PVM_CALLD, 0, receiver, &name, &args, dest);
}

static struct value gen_new(struct gen *g, struct node *node, int dest)
{
        struct arguments args;
        struct type *type;
        struct cls *cls = NULL;
        /* .internal.object and the numbers are types of another kind than their classes */
        if (node->type->name && !node->type->dims && (cls = class_named(g->run, g->source, node->type->name)))
                type = &cls->type;
        else
                type = type_resolve(g->run, g->source, node->type);
        if (is_string(type) && !cls)
                cls = known.string;
        gen_arguments(g, node->list, &args);
        g->line = node->line;
        if (type->kind == Y_ARRAY) {
                if (args.n > 1)
                        error_at(g->source, node->at,
                                 "an array is made with its size, or with nothing: %u arguments given", args.n);
                struct value size = args.n ? args.values[0] : constant_int(0);
                if (is_number(size.type) && size.type->kind != Y_INT)
                        error_at(g->source, node->at, "the size of an array is an int, not a %s", type_text(size.type));
                size = use(g, convert(g, size, &type_int, CASTED, args.n ? args.at[0] : node->at, ANYWHERE), ANYWHERE);
                for (unsigned i = 1; i < args.n; i++)
                        drop(g, args.values[i]);
                drop(g, size);
                struct value r = result_in(g, type, dest);
                op_abk(g, PVM_NEWARR, r.reg, size.reg, pool_utf8(g->file, type->element->descriptor));
                return r;
        }
        if (!cls) {
                if (type->kind != Y_BAD)
                        error_at(g->source, node->at, "a class or an array expected behind 'new'");
                drop_arguments(g, &args);
                return bad_value();
        }
        if (cls == known.string && !args.n)
                return (struct value){.kind = V_CONSTANT, .type = &known.string->type, .name = name_cstr("")};
        if (cls->not_new || cls->flags & (PVM_CLASS_INTERFACE | PVM_CLASS_ABSTRACT)) {
                error_at(g->source, node->at, "%s cannot be made by 'new'%s", cls->name->text,
                         cls->not_new                       ? ""
                         : cls->flags & PVM_CLASS_INTERFACE ? ": it is an interface"
                                                            : ": it is abstract");
                drop_arguments(g, &args);
                return bad_value();
        }
        struct cls *made = constructed_above(cls);
        struct choice choice = {0};
        if (made)
                consider(g, &choice, method_find(made, known.constructor), &args);
        if (!choice.best && !args.n && made && made->internal) /* theirs are additional ones */
                choice.best = method_find(known.object, known.constructor);
        if (!choice.best || choice.tie) {
                no_method(g, &choice, cls, cls->last->text, &args, node->at);
                drop_arguments(g, &args);
                return bad_value();
        }
        /* Into a register of its own: the variable shall not have it before it is made. */
        struct value object = in_register(cls == known.object ? &type_any : &cls->type, reg_new(g, 'R', NULL), true);
        op_ax(g, PVM_NEW, object.reg, (int)pool_class(g->file, cls));
        if (choice.best->cls != known.object) {
                struct value receiver = object;
                receiver.temp = false;
                drop(g, call_method(g, PVM_CALLC, cls, choice.best, &receiver, &args, ANYWHERE));
        }
        return object;
}

static struct value gen_new_named(struct gen *g, struct node *node, int dest)
{
        struct arguments args;
        struct value cls = gen_expression(g, node->a, ANYWHERE);
        bool later = false;
        for (struct node *argument = node->list; argument && !later; argument = argument->next)
                later = argument->assigns;
        if (is_number(cls.type) || cls.type->kind == Y_NULL) {
                error_at(g->source, node->a->at, "%s given, a class or the name of one expected", type_text(cls.type));
                drop(g, cls);
                cls = bad_value();
        }
        cls = steady(g, use(g, cls, ANYWHERE), later);
        gen_arguments(g, node->list, &args);
        drop(g, cls);
        struct value object = in_register(&type_any, reg_new(g, 'R', NULL), true);
        op_abc(g, PVM_NEWD, object.reg, cls.reg, 0);
        struct value receiver = object;
        receiver.temp = false;
        drop(g, call_untyped(g, PVM_CALLN, pool_utf8(g->file, known.constructor), receiver, NULL, &args, ANYWHERE));
        if (!node->type)
                return object;
        return convert(g, object, type_resolve(g->run, g->source, node->type), CASTED, node->at, dest);
}

/* ---- expressions ---- */

static struct closure *closure_new(struct gen *g, struct node *node)
{
        struct closure *k = arena_alloc(&passing, sizeof(*k));
        struct name *name;
        do {
                char number[16];
                snprintf(number, sizeof(number), "%u", ++g->nclosures);
                name = name_cat("closure", "$", number);
        } while (method_find(g->cls, name)); /* a name that a source may have, too */
        k->node = node;
        k->method = (struct method){.name = name,
                                    .cls = g->cls,
                                    .result = &type_void,
                                    .flags = PVM_PRIVATE | PVM_STATIC,
                                    .ordinal = PVM_NO_ORDINAL,
                                    .at = node->at,
                                    .line = node->line};
        return k;
}

static bool is_captured(const struct closure *k, const struct name *name)
{
        for (unsigned i = 0; i < k->ncaptured; i++)
                if (k->captured[i].name == name)
                        return true;
        return false;
}

/* In what order the machine passes them: captured ones first. False: too many. */
static bool closure_parameters(struct gen *g, struct closure *k)
{
        struct method *m = &k->method;
        k->has_this = !g->is_static;
        if (k->has_this)
                k->captured[k->ncaptured++] = (struct local){.type = &g->cls->type};
        for (struct node *n = k->node->closures->names; n; n = n->next) {
                struct local *local = is_captured(k, n->name) ? NULL : local_find(g, n->name);
                if (local && k->ncaptured < PVM_MAX_ARGS)
                        k->captured[k->ncaptured++] = *local;
        }
        m->nparameters = k->ncaptured;
        for (struct node *n = k->node->list; n; n = n->next)
                m->nparameters++;
        if (m->nparameters > PVM_MAX_ARGS - 1) {
                error_at(g->source, k->node->at,
                         "this closure has too many parameters and variables from around it: %u at most",
                         PVM_MAX_ARGS - 1);
                return false;
        }
        m->parameters = arena_alloc(&passing, m->nparameters * sizeof(*m->parameters));
        for (unsigned i = 0; i < k->ncaptured; i++) {
                struct local *local = &k->captured[i];
                m->parameters[i] =
                        (struct parameter){.name = local->name,
                                           .type = local->cell || is_untyped(local->type) ? &type_any : local->type,
                                           .at = local->at};
        }
        struct parameter *p = m->parameters + k->ncaptured;
        for (struct node *n = k->node->list; n; n = n->next) {
                struct type *type = type_resolve(g->run, g->source, n->type);
                *p++ = (struct parameter){.name = n->name, .type = is_untyped(type) ? &type_any : type, .at = n->at};
        }
        method_seal(m);
        return true;
}

static struct value gen_closure(struct gen *g, struct node *node, int dest)
{
        struct closure *k = closure_new(g, node);
        uint8_t regs[PVM_MAX_ARGS];
        if (!closure_parameters(g, k))
                return bad_value();
        *g->closures_end = k;
        g->closures_end = &k->next;
        for (unsigned i = 0; i < k->ncaptured; i++)
                regs[i] = k->captured[i].reg;
        struct value r = result_in(g, &known.closure->type, dest);
        op_call(g, PVM_CLOSURE, r.reg,
                pool_member(g->file, PVM_POOL_METHOD, g->cls, k->method.name, k->method.descriptor), regs,
                k->ncaptured);
        return r;
}

static struct value gen_import(struct gen *g, struct node *node)
{
        size_t len = 0;
        char *data = NULL;
        const char *slash = strrchr(g->source->path, '/');
        if (slash && node->name->text[0] != '/') { /* beside the source, or as it stands */
                size_t room = (size_t)(slash - g->source->path) + node->name->len + 2;
                char *path = arena_alloc(&passing, room);
                snprintf(path, room, "%.*s/%s", (int)(slash - g->source->path), g->source->path, node->name->text);
                data = read_whole(path, PVM_MAX_FILE / 2, &len);
        }
        if (!data)
                data = read_whole(node->name->text, PVM_MAX_FILE / 2, &len);
        if (!data) {
                error_at(g->source, node->at, "%s: %s", node->name->text, strerror(errno));
                return bad_value();
        }
        struct value v = {.kind = V_CONSTANT, .type = &type_bytes, .name = name_of(data, len), .at = node->at};
        free(data);
        return v;
}

static struct value gen_assign(struct gen *g, struct node *node, int dest)
{
        (void)dest;
        bool simple = node->op == P_ASSIGN || node->op == P_VASSIGN;
        struct place place = place_of(g, node->a, node->b->assigns);
        struct value v;
        if (simple) {
                int to = place.kind == P_LOCAL ? place.local->reg : ANYWHERE;
                v = gen_expression(g, node->b, to);
                g->line = node->line;
                if (node->op == P_VASSIGN && !is_number(v.type) && !is_string(v.type) && v.type->kind != Y_NULL &&
                    v.type->kind != Y_BAD) {
                        /* The value, not the object: a copy. */
                        struct arguments none = {.n = 0};
                        struct type *type = v.type;
                        v = call_on(g, v, known.clone, &none, node->at, ANYWHERE);
                        v.type = v.type->kind == Y_BAD ? v.type : type->kind == Y_BYTES ? &type_any : type;
                }
                v = convert(g, v, place.type, ASSIGNED, node->b->at, to);
        } else {
                struct value old = place_get(g, &place, ANYWHERE);
                old = steady(g, old, node->b->assigns);
                v = gen_expression(g, node->b, ANYWHERE);
                g->line = node->line;
                int to = place.kind == P_LOCAL ? place.local->reg : ANYWHERE;
                if (node->op == P_ADD_SET && (is_string(old.type) || (is_string(v.type) && is_untyped(old.type))))
                        v = concatenated(g, old, v, to);
                else
                        v = arithmetic(g, node->op, old, v, node->at, to);
                v = convert(g, v, place.type, ASSIGNED, node->at, to);
        }
        struct value r = place_set(g, &place, v);
        place_drop(g, &place);
        return place.kind == P_NOWHERE ? bad_value() : r;
}

static struct value gen_increment(struct gen *g, struct node *node, bool wanted)
{
        struct place place = place_of(g, node->a, false);
        struct value old = place_get(g, &place, ANYWHERE), kept = old, one = constant_int(1);
        if (place.kind == P_NOWHERE || old.type->kind == Y_BAD)
                return bad_value();
        bool behind = !node->flag && wanted;
        if (behind) { /* what it was */
                kept = in_register(old.type, reg_new(g, old.type->machine, NULL), true);
                into(g, old, kept.reg);
        }
        int to = place.kind == P_LOCAL ? place.local->reg : ANYWHERE;
        struct value v = arithmetic(g, node->op, old, one, node->at, to);
        v = convert(g, v, place.type, ASSIGNED, node->at, to);
        struct value r = place_set(g, &place, v);
        place_drop(g, &place);
        if (!behind)
                return r;
        drop(g, r);
        return kept;
}

static struct value gen_unary(struct gen *g, struct node *node, int dest)
{
        if (node->op == P_MINUS && node->a->kind == E_LONG && node->a->flag && !node->a->paren)
                return constant_int(INT32_MIN);
        struct value v = gen_expression(g, node->a, ANYWHERE);
        if (v.type->kind == Y_BAD || !numeric_operand(g, v, node->op, node->at)) {
                drop(g, v);
                return bad_value();
        }
        if (!is_number(v.type))
                v = convert(g, v, &type_int, CASTED, node->at, ANYWHERE);
        if (node->op == P_PLUS)
                return v;
        if (node->op == P_TILDE && v.type->kind >= Y_FLOAT) {
                error_at(g->source, node->at, "'~' works on int and long, not on %s", type_text(v.type));
                drop(g, v);
                return bad_value();
        }
        if (v.kind == V_CONSTANT) {
                if (v.type->kind >= Y_FLOAT)
                        v.real = -v.real;
                else if (node->op == P_TILDE)
                        v.integer = ~v.integer;
                else
                        v.integer = v.type->kind == Y_INT ? (int32_t)(0u - (uint32_t)v.integer)
                                                          : (int64_t)(0u - (uint64_t)v.integer);
                return v;
        }
        drop(g, v);
        struct value r = result_in(g, v.type, dest);
        if (node->op == P_TILDE)
                op_abc(g, v.type->kind == Y_LONG ? PVM_NOT_L : PVM_NOT_I, r.reg, v.reg, 0);
        else
                op_abc(g, PVM_NEG_I + (unsigned)v.type->kind * ARITHMETIC, r.reg, v.reg, 0);
        return r;
}

/* The type both branches of a ? b : c have; what is known before they are translated is not enough, so the first decides, and numbers widen. */
static struct type *joined(struct type *a, struct type *b)
{
        if (a->kind == Y_VOID)
                a = &type_any;
        if (b->kind == Y_VOID)
                b = &type_any;
        if (a == b || b->kind == Y_BAD)
                return a;
        if (a->kind == Y_BAD)
                return b;
        if (is_number(a) && is_number(b))
                return common(a, b);
        if (is_number(a) || is_number(b))
                return &type_any;
        if (is_kind_of(a, b))
                return b;
        if (is_kind_of(b, a))
                return a;
        return &type_any;
}

static struct value gen_choice(struct gen *g, struct node *node)
{
        struct label no = {0}, end = {0};
        gen_condition(g, node->a, &no, false);
        struct value b = gen_expression(g, node->b, ANYWHERE);
        /* The conversion to the common type of the first stands before it is known: room for it is behind the second. */
        struct label convert_first = {0};
        bool constant = b.kind == V_CONSTANT;
        jump(g, &convert_first);
        bind(g, &no);
        g->reachable = true;
        struct value c = gen_expression(g, node->c, ANYWHERE);
        struct type *type = joined(b.type, c.type);
        if (type->kind == Y_NULL || type->kind == Y_BYTES)
                type = &type_any;
        if (type->kind == Y_BAD) {
                bind(g, &convert_first);
                drop(g, b);
                drop(g, c);
                return bad_value();
        }
        (void)constant;
        struct value r = in_register(type, reg_new(g, type->machine, NULL), true);
        c = convert(g, c, type, CASTED, node->c->at, ANYWHERE);
        into(g, c, r.reg);
        drop(g, c);
        jump(g, &end);
        bind(g, &convert_first);
        g->reachable = true;
        b = convert(g, b, type, CASTED, node->b->at, ANYWHERE);
        into(g, b, r.reg);
        drop(g, b);
        bind(g, &end);
        return r;
}

static struct value gen_expression(struct gen *g, struct node *node, int dest)
{
        g->line = node->line;
        switch (node->kind) {
        case E_INT:
                return (struct value){.kind = V_CONSTANT, .type = &type_int, .integer = node->integer};
        case E_LONG:
                if (node->integer == INT64_MIN) /* only behind '-' */
                        warn_at(g->source, node->at, "this number is one more than the largest long");
                return (struct value){.kind = V_CONSTANT, .type = &type_long, .integer = node->integer};
        case E_FLOAT:
        case E_DOUBLE:
                return (struct value){.kind = V_CONSTANT,
                                      .type = node->kind == E_FLOAT ? &type_float : &type_double,
                                      .real = node->real};
        case E_STRING:
                return (struct value){.kind = V_CONSTANT, .type = &known.string->type, .name = node->name};
        case E_NULL:
                return (struct value){.kind = V_CONSTANT, .type = &type_null};
        case E_IMPORT:
                return gen_import(g, node);
        case E_THIS:
                need_object(g, node);
                return g->is_static ? bad_value() : this_value(g);
        case E_SUPER:
                error_at(g->source, node->at,
                         "'super' stands before '.method(...)', or before '(...)' in a constructor");
                return bad_value();
        case E_CLASSNAME:
                error_at(g->source, node->at, "a class is no value: '.method(...)' or '.field' expected behind it");
                return bad_value();
        case E_NAME:
        case E_FIELD:
        case E_INDEX: {
                struct place place = place_of(g, node, false);
                place_drop(g, &place);
                return place_get(g, &place, dest);
        }
        case E_BINARY:
                if (is_comparison(node))
                        return gen_comparison(g, node, dest);
                if (node->op == P_PLUS)
                        return gen_sum(g, node, dest);
                struct value a = steady(g, gen_expression(g, node->a, ANYWHERE), node->b->assigns);
                struct value b = gen_expression(g, node->b, ANYWHERE);
                g->line = node->line;
                return arithmetic(g, node->op, a, b, node->at, dest);
        case E_UNARY:
                return gen_unary(g, node, dest);
        case E_NOT:
        case E_AND:
        case E_OR:
                return gen_truth(g, node, dest);
        case E_CONDITION:
                return gen_choice(g, node);
        case E_ASSIGN:
                return gen_assign(g, node, dest);
        case E_INCREMENT:
                return gen_increment(g, node, true);
        case E_CALL:
                return gen_call(g, node, dest);
        case E_CALL_ORDINAL:
                return gen_call_ordinal(g, node, dest);
        case E_CALL_NAMED:
                return gen_call_named(g, node, dest);
        case E_NEW:
                return gen_new(g, node, dest);
        case E_NEW_NAMED:
                return gen_new_named(g, node, dest);
        case E_CLOSURE:
                return gen_closure(g, node, dest);
        case E_CAST: {
                struct type *type = type_resolve(g->run, g->source, node->type);
                struct value v = gen_expression(g, node->a, ANYWHERE);
                return convert(g, v, type, CASTED, node->at, dest);
        }
        case E_INSTANCEOF: {
                struct type *type = type_resolve(g->run, g->source, node->type);
                struct value v = use(g, boxed(g, gen_expression(g, node->a, ANYWHERE), ANYWHERE), ANYWHERE);
                drop(g, v);
                struct value r = result_in(g, &type_int, dest);
                op_abk(g, PVM_INSTOF, r.reg, v.reg, pool_utf8(g->file, type->descriptor));
                return r;
        }
        default:
                return bad_value();
        }
}

/* ---- statements ---- */

static void ranges_close(struct gen *g, struct attempt *attempt)
{
        if (g->code.nwords > attempt->open) {
                attempt->ranges =
                        grown(attempt->ranges, &attempt->cap_ranges, attempt->nranges + 1, sizeof(*attempt->ranges));
                attempt->ranges[attempt->nranges++] = (struct range){attempt->open, g->code.nwords};
        }
        attempt->open = g->code.nwords;
}

/* On the way out of all attempts inside of 'outer': what their finally says. Afterwards leave_end. */
static void leave_begin(struct gen *g, struct attempt *outer)
{
        struct loop *loops = g->loops;
        for (struct attempt *attempt = g->attempts; attempt != outer; attempt = attempt->outer) {
                ranges_close(g, attempt);
                if (!attempt->finally || g->full)
                        continue;
                struct attempt *present = g->attempts;
                size_t hidden = g->nlocals;
                for (size_t i = attempt->nlocals; i < hidden; i++)
                        g->locals[i].hidden++;
                g->attempts = attempt->outer;
                g->loops = attempt->loops;
                gen_statement(g, attempt->finally);
                g->attempts = present;
                for (size_t i = attempt->nlocals; i < hidden; i++)
                        g->locals[i].hidden--;
        }
        g->loops = loops;
}

static void leave_end(struct gen *g, struct attempt *outer)
{
        for (struct attempt *attempt = g->attempts; attempt != outer; attempt = attempt->outer)
                attempt->open = g->code.nwords;
}

static void handlers_add(struct gen *g, struct attempt *attempt, unsigned cls, size_t entry, uint8_t reg)
{
        struct code *c = &g->code;
        for (size_t i = 0; i < attempt->nranges && !g->full; i++) {
                if (c->nhandlers >= PVM_MAX_HANDLERS) {
                        error_at(g->source, g->method ? g->method->at : g->cls->at,
                                 "more than %u handlers in one method", PVM_MAX_HANDLERS);
                        g->full = true;
                        return;
                }
                c->handlers = grown(c->handlers, &c->cap_handlers, c->nhandlers + 1, sizeof(*c->handlers));
                c->handlers[c->nhandlers++] = (struct pvm_file_handler){
                        .start = (uint32_t)attempt->ranges[i].start,
                        .end = (uint32_t)attempt->ranges[i].end,
                        .target = (uint32_t)entry,
                        .class = (uint16_t)cls,
                        .reg = reg,
                };
        }
}

static void attempt_begin(struct gen *g, struct attempt *attempt, struct node *finally)
{
        *attempt = (struct attempt){.outer = g->attempts,
                                    .finally = finally,
                                    .loops = g->loops,
                                    .nlocals = g->nlocals,
                                    .open = g->code.nwords};
        g->attempts = attempt;
}

static void gen_catches(struct gen *g, struct node *node)
{
        struct attempt attempt;
        struct label end = {0};
        attempt_begin(g, &attempt, NULL);
        gen_statement(g, node->a);
        ranges_close(g, &attempt);
        g->attempts = attempt.outer;
        bool after = g->reachable;
        if (after)
                jump(g, &end);
        for (struct node *handler = node->list; handler; handler = handler->next) {
                struct type *type = handler->type ? type_resolve(g->run, g->source, handler->type) : &type_any;
                size_t scope = g->nlocals;
                g->line = handler->line;
                g->reachable = true;
                uint8_t reg = reg_new(g, 'R', NULL);
                unsigned cls = 0;
                if (type->kind == Y_CLASS)
                        cls = pool_class(g->file, type->cls);
                else if (is_number(type))
                        cls = pool_class(g->file, known.boxes[type->kind]);
                else if (type->kind == Y_ARRAY)
                        cls = pool_class(g->file, known.array);
                handlers_add(g, &attempt, cls, g->code.nwords, reg);
                struct local *local = is_shared(g, handler->name)
                                              ? shared_add(g, handler->name, type, handler->at)
                                              : local_add(g, handler->name, type, handler->at, NULL);
                if (local->cell)
                        cell_new(g, local);
                struct place place = place_of_local(g, local, handler->at);
                struct value caught = in_register(type, reg, true);
                if (is_number(type)) {
                        caught = result_in(g, type, local->reg);
                        op_abc(g, PVM_UNBOX, caught.reg, reg, 0);
                        reg_release(g, reg);
                }
                drop(g, place_set(g, &place, caught));
                place_drop(g, &place);
                gen_statement(g, handler->a);
                scope_end(g, scope);
                if (g->reachable && handler->next)
                        jump(g, &end);
        }
        bind(g, &end);
        free(attempt.ranges);
}

static void gen_try(struct gen *g, struct node *node)
{
        if (!node->b) {
                gen_catches(g, node);
                return;
        }
        struct attempt attempt;
        attempt_begin(g, &attempt, node->b);
        if (node->list)
                gen_catches(g, node);
        else
                gen_statement(g, node->a);
        ranges_close(g, &attempt);
        g->attempts = attempt.outer;
        struct label end = {0};
        bool after = g->reachable;
        if (after && !g->full) {
                gen_statement(g, node->b);
                after = g->reachable;
                if (after)
                        jump(g, &end);
        }
        if (!g->full) {
                uint8_t reg = reg_new(g, 'R', NULL);
                handlers_add(g, &attempt, 0, g->code.nwords, reg);
                g->reachable = true;
                if (attempt.nranges) {
                        gen_statement(g, node->b);
                        op_abc(g, PVM_RETHROW, reg, 0, 0);
                }
                reg_release(g, reg);
        }
        g->reachable = false;
        bind(g, &end);
        free(attempt.ranges);
}

/* The outermost loop is entered by this jump; loop_end says where to. */
static void loop_begin(struct gen *g, struct loop *loop, struct label *to_break, struct label *to_continue,
                       struct label *entry)
{
        *loop = (struct loop){g->loops, to_break, to_continue, g->attempts};
        g->loops = loop;
        if (!g->loop_depth++)
                g->nhoisted = 0;
        jump(g, entry);
}

/* first: where the loop really begins; behind it, if the entry needs loads of constants. */
static void loop_end(struct gen *g, struct label *entry, struct label *first)
{
        g->loops = g->loops->outer;
        if (!--g->loop_depth && g->nhoisted) {
                struct label over = {0};
                bool after = g->reachable;
                if (after)
                        jump(g, &over);
                bind(g, entry);
                for (unsigned i = 0; i < g->nhoisted; i++) {
                        struct hoisted *h = &g->hoisted[i];
                        struct value v = {.kind = V_CONSTANT, .integer = (int64_t)h->bits, .name = h->name};
                        switch (h->machine) {
                        case 'I':
                                v.type = &type_int;
                                break;
                        case 'L':
                                v.type = &type_long;
                                break;
                        case 'F':
                        case 'D':
                                v.type = h->machine == 'F' ? &type_float : &type_double;
                                memcpy(&v.real, &h->bits, 8);
                                break;
                        default:
                                v.type = h->bits == Y_BYTES   ? &type_bytes
                                         : h->bits == Y_CLASS ? &known.string->type
                                                              : &type_null;
                        }
                        load(g, &v, h->reg);
                        reg_release(g, h->reg);
                }
                g->nhoisted = 0;
                jump(g, first);
                g->reachable = after;
                bind(g, &over);
        } else {
                /* as if bound there */
                for (struct patch *p = entry->patches; p && !g->full; p = p->next)
                        g->code.words[p->word] |= (uint32_t)((int64_t)first->at - (int64_t)p->from) << 8;
        }
}

static void gen_while(struct gen *g, struct node *node)
{
        struct label entry = {0}, body = {0}, test = {0}, end = {0};
        struct loop loop;
        loop_begin(g, &loop, &end, &test, &entry);
        bind(g, &body);
        g->reachable = true;
        gen_statement(g, node->b);
        bind(g, &test);
        g->reachable = true;
        gen_condition(g, node->a, &body, true);
        loop_end(g, &entry, &test);
        bind(g, &end);
}

static void gen_do(struct gen *g, struct node *node)
{
        struct label entry = {0}, top = {0}, test = {0}, end = {0};
        struct loop loop;
        loop_begin(g, &loop, &end, &test, &entry);
        bind(g, &top);
        g->reachable = true;
        gen_statement(g, node->a);
        bind(g, &test);
        if (node->c) {
                gen_condition(g, node->b, &end, false);
                g->loops->to_continue = &top;
                gen_statement(g, node->c);
                if (g->reachable)
                        jump(g, &top);
        } else {
                gen_condition(g, node->b, &top, true);
        }
        loop_end(g, &entry, &top);
        bind(g, &end);
}

static void gen_for(struct gen *g, struct node *node)
{
        size_t scope = g->nlocals, around = g->block;
        struct label entry = {0}, body = {0}, step = {0}, test = {0}, end = {0};
        struct loop loop;
        g->block = scope;
        if (node->a)
                gen_statement(g, node->a);
        loop_begin(g, &loop, &end, &step, &entry);
        bind(g, &body);
        g->reachable = true;
        gen_statement(g, node->list);
        bind(g, &step);
        if (node->c)
                gen_statement(g, node->c);
        bind(g, &test);
        g->reachable = true;
        if (node->b)
                gen_condition(g, node->b, &body, true);
        else
                jump(g, &body);
        loop_end(g, &entry, &test);
        bind(g, &end);
        scope_end(g, scope);
        g->block = around;
}

/* The variable of a foreach gets an element. */
static void gen_element(struct gen *g, struct node *node, struct local *local, struct value v)
{
        struct place place = place_of_local(g, local, node->at);
        v = convert(g, v, local->type, ASSIGNED, node->at, local->cell ? ANYWHERE : local->reg);
        drop(g, place_set(g, &place, v));
        place_drop(g, &place);
}

static void gen_foreach(struct gen *g, struct node *node)
{
        size_t scope = g->nlocals;
        struct label entry = {0}, body = {0}, step = {0}, test = {0}, end = {0};
        struct loop loop;
        struct value c = use(g, gen_expression(g, node->a, ANYWHERE), ANYWHERE);
        if (is_number(c.type) || c.type->kind == Y_NULL) {
                error_at(g->source, node->a->at, "%s has no elements: an array or an object with iterator() expected",
                         type_text(c.type));
                c = bad_value();
        }
        bool array = c.type->kind == Y_ARRAY;
        struct value copy = in_register(array ? c.type : &type_any, reg_new(g, 'R', NULL), true);
        struct arguments none = {.n = 0};
        if (!array && c.type->kind != Y_BAD) {
                struct value iterator = call_on(g, c, known.iterator, &none, node->a->at, copy.reg);
                if (iterator.type->kind != Y_BAD) {
                        into(g, boxed(g, iterator, ANYWHERE), copy.reg);
                        copy.type = iterator.type->kind == Y_CLASS ? iterator.type : &type_any;
                }
                drop(g, iterator);
        } else {
                into(g, c, copy.reg);
                drop(g, c);
        }
        struct local *local = node->flag ? NULL : local_find(g, node->name);
        size_t index_of = 0;
        bool own_cell = false;
        if (!local) {
                struct type *type = node->type             ? type_resolve(g->run, g->source, node->type)
                                    : array && !node->flag ? c.type->element
                                    : array                ? c.type->element
                                                           : &type_any;
                own_cell = is_shared(g, node->name);
                local = own_cell ? shared_add(g, node->name, type, node->at)
                                 : local_add(g, node->name, type, node->at, NULL);
        }
        index_of = (size_t)(local - g->locals); /* the table may move */
        struct value index = {0};
        if (array) {
                index = in_register(&type_int, reg_new(g, 'I', NULL), true);
                op_ax(g, PVM_LDI, index.reg, 0);
        }
        loop_begin(g, &loop, &end, array ? &step : &test, &entry);
        bind(g, &body);
        g->reachable = true;
        struct value at = copy;
        at.temp = false;
        int dest = g->locals[index_of].cell ? ANYWHERE : g->locals[index_of].reg;
        if (own_cell)
                cell_new(g, &g->locals[index_of]); /* one for each turn */
        if (array) {
                struct value v = result_in(g, c.type->element, dest);
                op_abc(g, by_machine(PVM_ALD_I, c.type->element->machine), v.reg, copy.reg, index.reg);
                gen_element(g, node, &g->locals[index_of], v);
        } else if (c.type->kind != Y_BAD) {
                none.n = 0;
                gen_element(g, node, &g->locals[index_of], call_on(g, at, known.next, &none, node->at, dest));
        }
        gen_statement(g, node->b);
        bind(g, &step);
        g->line = node->line;
        if (array)
                op_abc(g, PVM_ADDI_I, index.reg, index.reg, 1);
        bind(g, &test);
        g->reachable = true;
        if (array) {
                struct value len = result_in(g, &type_int, ANYWHERE);
                op_abc(g, PVM_LEN, len.reg, copy.reg, 0);
                jump_abc(g, PVM_JLT_I, index.reg, len.reg, &body);
                drop(g, len);
        } else if (c.type->kind != Y_BAD) {
                none.n = 0;
                struct value more = call_on(g, at, known.has_next, &none, node->at, ANYWHERE);
                more = use(g, convert(g, more, &type_int, ASSIGNED, node->at, ANYWHERE), ANYWHERE);
                jump_imm(g, PVM_JNEI_I, more.reg, 0, &body);
                drop(g, more);
        }
        loop_end(g, &entry, &test);
        bind(g, &end);
        drop(g, copy);
        if (array)
                drop(g, index);
        scope_end(g, scope);
}

struct case_of {
        int32_t value;
        struct label *label;
        uint32_t at;
};

static int case_order(const void *a, const void *b)
{
        const struct case_of *x = a, *y = b;
        return x->value < y->value ? -1 : x->value > y->value ? 1 : x->at < y->at ? -1 : x->at > y->at;
}

/* A word that is the distance to a label. */
static void offset_to(struct gen *g, struct label *label, size_t from)
{
        target(g, label, from, false);
}

/* Who comes here from the head of the switch has passed by the declarations before: shared variables of theirs are made. */
static void gen_case(struct gen *g, struct label *label, size_t scope)
{
        struct label behind = {0};
        while (scope < g->nlocals && !g->locals[scope].cell)
                scope++;
        if (scope < g->nlocals && g->reachable)
                jump(g, &behind);
        bind(g, label);
        for (; scope < g->nlocals; scope++)
                if (g->locals[scope].cell)
                        cell_new(g, &g->locals[scope]);
        bind(g, &behind);
}

static void gen_switch(struct gen *g, struct node *node)
{
        size_t scope = g->nlocals, n = 0, k = 0;
        for (struct node *s = node->list; s; s = s->next)
                n += s->kind == S_CASE;
        struct label *labels = arena_alloc(&passing, (n + 1) * sizeof(*labels)), end = {0}, *otherwise = &end;
        struct case_of *cases = arena_alloc(&passing, (n + 1) * sizeof(*cases));
        struct value v = gen_expression(g, node->a, ANYWHERE);
        struct node *given = NULL;
        v = use(g, v, ANYWHERE);
        bool table = v.type->kind == Y_INT;
        size_t i = 0;
        for (struct node *s = node->list; s; s = s->next) {
                if (s->kind != S_CASE)
                        continue;
                struct label *label = &labels[i++];
                if (!s->a) {
                        if (given) {
                                error_at(g->source, s->at, "a switch has one default");
                                note_at(g->source, given->at, "here");
                        }
                        given = s;
                        otherwise = label;
                        continue;
                }
                struct value c = gen_expression(g, s->a, ANYWHERE);
                if (table && c.kind == V_CONSTANT && c.type->kind == Y_INT) {
                        cases[k++] = (struct case_of){(int32_t)c.integer, label, s->a->at};
                        continue;
                }
                if (c.type->kind == Y_BAD || v.type->kind == Y_BAD)
                        continue;
                if (is_number(v.type) && is_number(c.type)) {
                        struct type *type = common(v.type, c.type);
                        struct value kept = v;
                        kept.temp = false;
                        kept = use(g, number_to(g, kept, type, ANYWHERE), ANYWHERE);
                        c = use(g, number_to(g, c, type, ANYWHERE), ANYWHERE);
                        jump_abc(g, PVM_SEQ_I + (unsigned)type->kind * COMPARE + 4, kept.reg, c.reg, label);
                        drop(g, kept);
                        drop(g, c);
                } else {
                        struct value kept = v;
                        kept.temp = false;
                        kept = use(g, boxed(g, kept, ANYWHERE), ANYWHERE);
                        c = use(g, boxed(g, c, ANYWHERE), ANYWHERE);
                        struct value equal = result_in(g, &type_int, ANYWHERE);
                        op_abc(g, PVM_VEQ, equal.reg, kept.reg, c.reg);
                        jump_imm(g, PVM_JNEI_I, equal.reg, 0, label);
                        drop(g, equal);
                        drop(g, kept);
                        drop(g, c);
                }
        }
        qsort(cases, k, sizeof(*cases), case_order);
        size_t kept = 0;
        for (size_t c = 0; c < k; c++) {
                if (kept && cases[kept - 1].value == cases[c].value) {
                        error_at(g->source, cases[c].at, "case %d is there already", cases[c].value);
                        note_at(g->source, cases[kept - 1].at, "here");
                        continue;
                }
                cases[kept++] = cases[c];
        }
        k = kept;
        g->line = node->line;
        if (k) {
                size_t from = g->code.nwords;
                int64_t span = (int64_t)cases[k - 1].value - cases[0].value + 1;
                if (k >= 3 && span <= (int64_t)k * 3) {
                        op_abc(g, PVM_TSWITCH, v.reg, 0, 0);
                        word(g, (uint32_t)cases[0].value);
                        word(g, (uint32_t)span);
                        offset_to(g, otherwise, from);
                        size_t next = 0;
                        for (int64_t c = 0; c < span; c++)
                                offset_to(g, cases[next].value == cases[0].value + c ? cases[next++].label : otherwise,
                                          from);
                } else {
                        op_abc(g, PVM_LSWITCH, v.reg, 0, 0);
                        word(g, (uint32_t)k);
                        offset_to(g, otherwise, from);
                        for (size_t c = 0; c < k; c++) {
                                word(g, (uint32_t)cases[c].value);
                                offset_to(g, cases[c].label, from);
                        }
                }
                g->reachable = false;
        } else {
                jump(g, otherwise);
        }
        drop(g, v);
        struct loop loop = {g->loops, &end, NULL, g->attempts};
        g->loops = &loop;
        i = 0;
        for (struct node *s = node->list; s; s = s->next) {
                if (s->kind == S_CASE)
                        gen_case(g, &labels[i++], scope);
                else
                        gen_statement(g, s);
        }
        g->loops = loop.outer;
        bind(g, &end);
        scope_end(g, scope);
}

static void gen_leave_loop(struct gen *g, struct node *node)
{
        struct loop *loop = g->loops;
        bool out = node->kind == S_BREAK;
        while (loop && !out && !loop->to_continue)
                loop = loop->outer;
        if (!loop) {
                error_at(g->source, node->at,
                         out ? "'break' outside of a loop or a switch" : "'continue' outside of a loop");
                return;
        }
        leave_begin(g, loop->attempts);
        if (g->reachable)
                jump(g, out ? loop->to_break : loop->to_continue);
        leave_end(g, loop->attempts);
}

static void gen_return(struct gen *g, struct node *node)
{
        struct type *result = g->method ? g->method->result : &type_void;
        if (!node->a) {
                if (result->kind != Y_VOID && result->kind != Y_ANY)
                        warn_at(g->source, node->at, "return without a value in a method of %s: it gives %s",
                                type_text(result), result->machine == 'R' ? "null" : "0");
                leave_begin(g, NULL);
                if (g->reachable)
                        op_abc(g, PVM_RETN, 0, 0, 0);
                leave_end(g, NULL);
                g->reachable = false;
                return;
        }
        struct value v = gen_expression(g, node->a, ANYWHERE);
        g->line = node->line;
        v = use(g, convert(g, v, result, ASSIGNED, node->a->at, ANYWHERE), ANYWHERE);
        bool cleanup = false;
        for (struct attempt *attempt = g->attempts; attempt; attempt = attempt->outer)
                cleanup |= attempt->finally != NULL;
        v = steady(g, v, cleanup);
        leave_begin(g, NULL);
        if (g->reachable)
                op_abc(g, PVM_RET, v.reg, 0, 0);
        leave_end(g, NULL);
        drop(g, v);
        g->reachable = false;
}

/* Does the tree mention a name? */
static bool mentions(struct node *node, struct name *name)
{
        if (!node)
                return false;
        if ((node->kind == E_NAME || (node->kind == E_CALL && !node->a)) && node->name == name)
                return true;
        if (mentions(node->a, name) || mentions(node->b, name) || mentions(node->c, name))
                return true;
        for (struct node *n = node->list; n; n = n->next)
                if (mentions(n, name))
                        return true;
        return false;
}

static void gen_variable(struct gen *g, struct node *node)
{
        struct type *type = type_resolve(g->run, g->source, node->type);
        if (!node->name)
                return;
        struct local *there = local_find(g, node->name);
        if (there && (size_t)(there - g->locals) >= g->ncaptured &&
            (size_t)(there - g->locals) < (g->method ? g->method->nparameters : 0))
                warn_at(g->source, node->at, "'%s' hides a parameter", node->name->text);
        else if (there && (size_t)(there - g->locals) >= g->block)
                warn_at(g->source, node->at, "'%s' is declared in this block already", node->name->text);
        struct value v = {0};
        /* A closure that mentions the variable it is the first value of calls itself. */
        bool recursive = node->a && node->a->kind == E_CLOSURE && mentions(node->a->a, node->name);
        if (recursive || is_shared(g, node->name)) {
                if (node->a && !recursive)
                        v = convert(g, gen_expression(g, node->a, ANYWHERE), type, ASSIGNED, node->a->at, ANYWHERE);
                struct local *local = shared_add(g, node->name, type, node->at);
                cell_new(g, local);
                struct place place = place_of_local(g, local, node->at);
                if (recursive)
                        v = convert(g, gen_expression(g, node->a, ANYWHERE), type, ASSIGNED, node->a->at, ANYWHERE);
                if (node->a)
                        drop(g, place_set(g, &place, v));
                place_drop(g, &place);
                return;
        }
        if (node->a) {
                v = gen_expression(g, node->a, ANYWHERE);
                v = convert(g, v, type, ASSIGNED, node->a->at, ANYWHERE);
        }
        bool fresh = false;
        if (node->a && v.kind == V_REGISTER && v.temp && v.type->machine == type->machine) {
                /* the temporary becomes the variable */
                g->locals = grown(g->locals, &g->cap_locals, g->nlocals + 1, sizeof(*g->locals));
                g->locals[g->nlocals++] =
                        (struct local){.name = node->name, .type = type, .at = node->at, .reg = v.reg};
                return;
        }
        struct local *local = local_add(g, node->name, type, node->at, &fresh);
        if (node->a) {
                into(g, v, local->reg);
                drop(g, v);
                return;
        }
        if (fresh && !g->loop_depth)
                return; /* registers begin as 0 or null */
        struct node *next = node->next;
        if (next && next->kind == S_EXPRESSION && next->a->kind == E_ASSIGN && next->a->op == P_ASSIGN &&
            next->a->a->kind == E_NAME && next->a->a->name == node->name && !mentions(next->a->b, node->name) &&
            !g->attempts)
                return; /* assigned at once */
        struct value zero = {.kind = V_CONSTANT, .type = is_number(type) ? type : &type_null};
        load(g, &zero, local->reg);
}

static void gen_statement(struct gen *g, struct node *node)
{
        if (!node || g->full)
                return;
        g->line = node->line;
        switch (node->kind) {
        case S_BLOCK: {
                size_t scope = g->nlocals, around = g->block;
                g->block = scope;
                for (struct node *s = node->list; s; s = s->next)
                        gen_statement(g, s);
                scope_end(g, scope);
                g->block = around;
                break;
        }
        case S_VAR:
                gen_variable(g, node);
                break;
        case S_IF: {
                /* a chain of "else if" in a loop, as it was parsed */
                struct label end = {0};
                for (;;) {
                        struct label no = {0};
                        gen_condition(g, node->a, &no, false);
                        size_t scope = g->nlocals;
                        gen_statement(g, node->b);
                        scope_end(g, scope);
                        if (!node->c) {
                                bind(g, &no);
                                break;
                        }
                        if (g->reachable)
                                jump(g, &end);
                        bind(g, &no);
                        if (node->c->kind == S_IF) {
                                node = node->c;
                                g->line = node->line;
                                continue;
                        }
                        scope = g->nlocals;
                        gen_statement(g, node->c);
                        scope_end(g, scope);
                        break;
                }
                bind(g, &end);
                break;
        }
        case S_WHILE:
                gen_while(g, node);
                break;
        case S_DO:
                gen_do(g, node);
                break;
        case S_FOR:
                gen_for(g, node);
                break;
        case S_FOREACH:
                gen_foreach(g, node);
                break;
        case S_SWITCH:
                gen_switch(g, node);
                break;
        case S_BREAK:
        case S_CONTINUE:
                gen_leave_loop(g, node);
                break;
        case S_RETURN:
                gen_return(g, node);
                break;
        case S_THROW: {
                struct value v = use(g, boxed(g, gen_expression(g, node->a, ANYWHERE), ANYWHERE), ANYWHERE);
                g->line = node->line;
                op_abc(g, PVM_THROW, v.reg, 0, 0);
                drop(g, v);
                g->reachable = false;
                break;
        }
        case S_TRY:
                gen_try(g, node);
                break;
        case S_EXPRESSION:
                if (node->a->kind == E_INCREMENT) {
                        drop(g, gen_increment(g, node->a, false));
                } else {
                        struct value v = gen_expression(g, node->a, ANYWHERE);
                        int kind = node->a->kind;
                        if (v.type->kind != Y_BAD && kind != E_ASSIGN && kind != E_CALL && kind != E_CALL_ORDINAL &&
                            kind != E_CALL_NAMED && kind != E_NEW && kind != E_NEW_NAMED && kind != E_CONDITION)
                                warn_at(g->source, node->a->at, "this value is not used");
                        drop(g, v);
                }
                break;
        default:
                break;
        }
}

/* ---- methods and classes ---- */

static void gen_begin(struct gen *g, struct method *method, bool is_static)
{
        g->method = method;
        g->is_static = is_static;
        g->constructor = method && method->name == known.constructor;
        g->reachable = true;
        g->full = g->retry = false;
        g->code.nwords = g->code.nhandlers = g->code.nlines = 0;
        g->code.nregs = 0;
        memset(g->nfree, 0, sizeof(g->nfree));
        g->nlocals = g->nended = g->ncaptured = 0;
        g->block = 0;
        g->loops = NULL;
        g->attempts = NULL;
        g->loop_depth = g->nhoisted = 0;
        if (!is_static)
                g->code.types[g->code.nregs++] = 'R';
        for (unsigned i = 0; method && i < method->nparameters; i++)
                local_add(g, method->parameters[i].name, method->parameters[i].type, method->parameters[i].at, NULL);
}

/* The end of a method is never reached by falling. */
static void gen_finish(struct gen *g)
{
        struct code *c = &g->code;
        op_abc(g, PVM_RETN, 0, 0, 0);
        if (!c->nregs)
                c->types[c->nregs++] = 'I'; /* room for nothing */
}

static void gen_initialisers(struct gen *g, bool of_class)
{
        for (struct field *field = g->cls->fields; field; field = field->next) {
                if (!field->has_init || !(field->flags & PVM_STATIC) == of_class || !field->type)
                        continue;
                if (of_class && field->flags & PVM_CONST && gen_constant(g->run, field))
                        continue; /* known wherever it is used, but reflection sees it, too */
                struct mark mark = arena_mark(&passing);
                struct node *node = parse_initialiser(g->run, g->source, field->init_at, field->init_line);
                size_t hidden = g->nlocals;
                for (size_t i = 0; i < hidden; i++)
                        g->locals[i].hidden++; /* parameters are not seen from here */
                struct value v = gen_expression(g, node, ANYWHERE);
                v = convert(g, v, field->type, ASSIGNED, field->init_at, ANYWHERE);
                for (size_t i = 0; i < hidden; i++)
                        g->locals[i].hidden--;
                struct place place = place_of_field(g, field, of_class ? (struct value){0} : this_value(g), field->at);
                drop(g, place_set(g, &place, v));
                (void)mark; /* labels may point into the arena: it is emptied after the method */
        }
}

bool gen_constant(struct run *run, struct field *field)
{
        if (field->constant)
                return true;
        if (field->folding || !field->has_init || !field->cls->source || !field->type || !is_number(field->type))
                return false;
        /* Literals alone, with a sign: what needs code has its value from the static initialiser. */
        field->folding = true;
        struct source *source = field->cls->source;
        struct mark mark = arena_mark(&passing);
        struct node *node = parse_initialiser(run, source, field->init_at, field->init_line);
        bool minus = node->kind == E_UNARY && node->op == P_MINUS;
        struct node *literal = minus ? node->a : node;
        bool integer = literal->kind == E_INT || literal->kind == E_LONG,
             real = literal->kind == E_FLOAT || literal->kind == E_DOUBLE;
        if (integer && field->type->kind <= Y_LONG) {
                int64_t n = minus ? (int64_t)(0u - (uint64_t)literal->integer) : literal->integer;
                field->constant = field->type->kind == Y_LONG || n == (int32_t)n;
                field->integer = n;
        } else if ((integer || real) && field->type->kind >= Y_FLOAT) {
                double d = integer ? (double)literal->integer : literal->real;
                field->real = minus ? -d : d;
                if (field->type->kind == Y_FLOAT)
                        field->real = (double)(float)field->real;
                field->constant = true;
        }
        arena_release(&passing, mark);
        field->folding = false;
        return field->constant;
}

static void gen_parent_constructor(struct gen *g, uint32_t at)
{
        struct cls *parent = constructed_above(g->cls->parent);
        if (!parent || parent == known.object)
                return;
        for (struct method *m = method_find(parent, known.constructor); m; m = m->same) {
                if (m->nparameters)
                        continue;
                struct arguments none = {.n = 0};
                struct value receiver = this_value(g);
                drop(g, call_method(g, PVM_CALLC, m->cls, m, &receiver, &none, ANYWHERE));
                return;
        }
        if (!parent->internal)
                error_at(g->source, at, "%s has no constructor without arguments: 'super(...);' expected first",
                         parent->name->text);
}

/* Parameters that closures share. */
static void gen_parameters(struct gen *g, size_t first)
{
        for (size_t i = first; i < g->nlocals; i++) {
                struct local *local = &g->locals[i];
                if (local->cell || !local->name || !is_shared(g, local->name))
                        continue;
                struct value v = in_register(local->type, local->reg, false);
                local->reg = reg_new(g, 'R', NULL);
                local->cell = true;
                cell_new(g, local);
                struct place place = place_of_local(g, local, local->at);
                drop(g, place_set(g, &place, v));
                place_drop(g, &place);
        }
}

static void gen_closure_once(struct gen *g, struct closure *k)
{
        gen_begin(g, &k->method, true);
        g->is_static = !k->has_this;
        g->ncaptured = k->ncaptured;
        for (unsigned i = 0; i < k->ncaptured; i++) {
                g->locals[i].type = k->captured[i].type;
                g->locals[i].cell = k->captured[i].cell;
        }
        g->line = k->node->line;
        note_captured(g, k->node->a->closures);
        gen_parameters(g, k->ncaptured);
        gen_statement(g, k->node->a);
        gen_finish(g);
}

/* Forgets closures: from here on. */
static void closures_cut(struct gen *g, struct closure **end)
{
        *end = NULL;
        g->closures_end = end;
}

/* The bodies of the closures that were met, and of those in them. */
static void gen_closures(struct gen *g)
{
        for (struct closure *k = g->closures; k; k = k->next) {
                struct closure **end = g->closures_end;
                g->keep = false;
                gen_closure_once(g, k);
                if (g->retry) {
                        closures_cut(g, end);
                        g->keep = true;
                        gen_closure_once(g, k);
                }
                file_method(g->file, &k->method, &g->code);
        }
        closures_cut(g, &g->closures);
}

static void gen_method_once(struct gen *g, struct method *method)
{
        parse_new_method();
        gen_begin(g, method, method->flags & PVM_STATIC);
        struct node *body = parse_body(g->run, g->source, method->body_at, method->body_line);
        g->line = method->line;
        note_captured(g, body->closures);
        gen_parameters(g, 0);
        if (g->constructor) {
                struct node *first = body->list;
                bool explicit = first && first->kind == S_EXPRESSION && first->a->kind == E_CALL && first->a->a &&
                                first->a->a->kind == E_SUPER && first->a->name == known.name_super;
                if (explicit) {
                        first->a->flag = true;
                } else {
                        gen_parent_constructor(g, method->at);
                        gen_initialisers(g, false);
                }
        }
        gen_statement(g, body);
        if (g->reachable && method->result->kind != Y_VOID && !g->full)
                warn_at(g->source, method->at, "'%s' may end without return: it then gives %s", method->name->text,
                        method->result->machine == 'R' ? "null" : "0");
        gen_finish(g);
}

static void gen_method(struct gen *g, struct method *method)
{
        if (!method->has_body || method->flags & PVM_ABSTRACT) {
                if (!method->bad)
                        file_method(g->file, method, NULL);
                return;
        }
        if (method->bad || !method->descriptor)
                return;
        struct mark mark = arena_mark(&passing);
        text_next_method();
        g->keep = false;
        gen_method_once(g, method);
        if (g->retry) {
                arena_release(&passing, mark);
                closures_cut(g, &g->closures);
                g->keep = true;
                gen_method_once(g, method);
        }
        file_method(g->file, method, &g->code);
        gen_closures(g);
        text_next_method();
        arena_release(&passing, mark);
}

/* A constructor that the source has not: the parent's of the same parameters, and the fields' first values. */
static void gen_inherited_constructor(struct gen *g, struct method *method)
{
        struct mark mark = arena_mark(&passing);
        parse_new_method();
        gen_begin(g, method, false);
        g->line = g->cls->line;
        if (method->inherits && method->inherits->cls != known.object) {
                struct arguments args = {.n = method->nparameters};
                for (unsigned i = 0; i < args.n; i++)
                        args.values[i] = in_register(method->parameters[i].type, (uint8_t)(i + 1), false);
                struct value receiver = this_value(g);
                drop(g, call_method(g, PVM_CALLC, method->inherits->cls, method->inherits, &receiver, &args, ANYWHERE));
        }
        gen_initialisers(g, false);
        gen_finish(g);
        file_method(g->file, method, &g->code);
        gen_closures(g);
        arena_release(&passing, mark);
}

void gen_class(struct run *run, struct cls *cls)
{
        static struct gen gen; /* its tables are used again */
        struct gen *g = &gen;
        g->run = run;
        g->source = cls->source;
        g->cls = cls;
        g->file = file_begin(cls);
        closures_cut(g, &g->closures);
        g->nclosures = 0;
        bool of_class = false;
        for (struct field *field = cls->fields; field; field = field->next)
                of_class |= field->has_init && field->flags & PVM_STATIC;
        for (struct method *method = cls->methods; method; method = method->next)
                if (method->inherited)
                        gen_inherited_constructor(g, method);
                else
                        gen_method(g, method);
        if (of_class) {
                struct method made = {.name = known.initialiser,
                                      .cls = cls,
                                      .flags = PVM_STATIC,
                                      .ordinal = PVM_NO_ORDINAL,
                                      .result = &type_void,
                                      .at = cls->at};
                struct mark mark = arena_mark(&passing);
                made.descriptor = name_cstr("()v");
                parse_new_method();
                gen_begin(g, NULL, true);
                g->line = cls->line;
                gen_initialisers(g, true);
                gen_finish(g);
                file_method(g->file, &made, &g->code);
                gen_closures(g);
                arena_release(&passing, mark);
        }
        if (!text_errors)
                file_end(g->file, run, cls);
}
