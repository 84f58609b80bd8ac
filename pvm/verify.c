/*
 * verify.c - is the code of a class file safe to run?
 *
 * Registers have one type for the whole method, so each instruction is looked at once, alone, against the table in format.h. What must hold between
 * instructions is only that branches, handlers and lines name the beginning of one: a bit per word, made in a first pass. What classes, fields and methods
 * really are is for the linker, when the instruction runs for the first time.
 */
#include "pvm/file.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <stdarg.h>

struct method_check {
        const struct pvm_file *f;
        const struct pvm_file_method *m;
        const uint32_t *code;
        const char *types;
        uint32_t n, pc;
        unsigned index;
        char result;
        bool is_static;
        char *why;
        size_t why_len;
};

static void __attribute__((format(printf, 2, 3))) complain(const struct method_check *c, const char *fmt, ...)
{
        struct pvm_text name = pvm_file_text(c->f, c->m->name);
        size_t at = fmt_append(c->why, c->why_len, 0, "method %u %.*s at %u: ", c->index,
                               (int)(name.len < 80 ? name.len : 80), name.p, c->pc);
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(c->why + at, c->why_len - at, fmt, ap);
        va_end(ap);
}
/* False, for whoever looked. */
#define bad(...) (complain(__VA_ARGS__), false)

/* Words at which an instruction begins, of the method that is looked at: one bit each. Classes are loaded one at a time. */
static uint64_t starts[PVM_MAX_CODE / 64];

static bool is_start(const struct method_check *c, uint64_t pc)
{
        return pc < c->n && starts[pc / 64] >> pc % 64 & 1;
}

static bool reg(const struct method_check *c, unsigned r, char type)
{
        if (r >= c->m->nregs)
                return bad(c, "register %u of %u", r, c->m->nregs);
        if (type != '*' && c->types[r] != type)
                return bad(c, "register %u is %c, not %c", r, c->types[r], type);
        return true;
}

/* One byte of the first word: a register of that type, or zero if it is none. */
static bool operand(const struct method_check *c, unsigned byte, char type)
{
        if (type == '-')
                return byte == 0 || bad(c, "unused bits are not zero");
        return reg(c, byte, type);
}

static bool target(const struct method_check *c, int64_t offset)
{
        int64_t to = (int64_t)c->pc + offset;

        return (to >= 0 && is_start(c, (uint64_t)to)) || bad(c, "branch to %ld, where no instruction begins", (long)to);
}

static const struct pvm_file_pool *entry(const struct method_check *c, uint32_t index, unsigned tag)
{
        if (!index || index >= c->f->h->npool || c->f->pool[index].tag != tag)
                return complain(c, "pool entry %u is not what is needed", index), NULL;
        return &c->f->pool[index];
}

static bool is_type(const struct method_check *c, uint32_t index, char *machine)
{
        const struct pvm_file_pool *e = entry(c, index, PVM_POOL_UTF8);
        struct pvm_text t;
        const char *p;

        if (!e)
                return false;
        t = pvm_file_text(c->f, index);
        p = t.p;
        *machine = t.len <= PVM_MAX_NAME ? pvm_type_next(&p, t.p + t.len) : 0;
        return (*machine && p == t.p + t.len) || bad(c, "not a type descriptor");
}

static bool constant(const struct method_check *c, unsigned a, uint32_t k)
{
        static const char type[PVM_POOL_TAGS] = {
                [PVM_POOL_BYTES] = 'R', [PVM_POOL_STRING] = 'R', [PVM_POOL_INT] = 'I',  [PVM_POOL_LONG] = 'L',
                [PVM_POOL_FLOAT] = 'F', [PVM_POOL_DOUBLE] = 'D', [PVM_POOL_CLASS] = 'R'};
        char t = k && k < c->f->h->npool ? type[c->f->pool[k].tag] : 0;

        return t ? reg(c, a, t) : bad(c, "pool entry %u is no constant", k);
}

static bool is_field(const struct method_check *c, unsigned a, uint32_t k)
{
        const struct pvm_file_pool *e = entry(c, k, PVM_POOL_FIELD);
        struct pvm_text t;
        const char *p;

        if (!e)
                return false;
        t = pvm_file_text(c->f, e->b >> 16);
        p = t.p;
        return reg(c, a, pvm_type_next(&p, t.p + t.len));
}

static bool two_words(const struct method_check *c, unsigned op, unsigned a, unsigned b, uint32_t k)
{
        char machine;

        switch (op) {
        case PVM_GETF:
        case PVM_SETF:
                return reg(c, b, 'R') && is_field(c, a, k);
        case PVM_NEWARR:
        case PVM_CAST:
        case PVM_INSTOF:
                return reg(c, a, pvm_op_info[op].a) && reg(c, b, pvm_op_info[op].b) && is_type(c, k, &machine);
        default:
                return bad(c, "unknown instruction");
        }
}

static bool arguments(const struct method_check *c, unsigned first, unsigned n, const char *types)
{
        for (unsigned i = 0; i < (n + 3) / 4 * 4; i++) {
                unsigned r = c->code[c->pc + first + i / 4] >> i % 4 * 8 & 0xff;

                if (i >= n ? r != 0 : !reg(c, r, types ? types[i] : '*'))
                        return i < n ? false : bad(c, "unused bits are not zero");
        }
        return true;
}

static bool name_is(struct pvm_text t, const char *what)
{
        return t.len == strlen(what) && !memcmp(t.p, what, t.len);
}

static bool call(const struct method_check *c, unsigned op, unsigned a, unsigned n, uint32_t k)
{
        char types[PVM_MAX_ARGS + 1], result;
        unsigned nparams, receiver = op != PVM_CALLS && op != PVM_CLOSURE;
        uint32_t params;
        const struct pvm_file_pool *e;
        struct pvm_text name;

        if (n > PVM_MAX_ARGS)
                return bad(c, "%u arguments", n);
        memset(types, 'R', sizeof(types));
        switch (op) {
        case PVM_CALLV:
        case PVM_CALLC:
        case PVM_CALLS:
        case PVM_CLOSURE:
                e = entry(c, k, PVM_POOL_METHOD);
                if (!e)
                        return false;
                name = pvm_file_text(c->f, e->b & 0xffff);
                if (name.p[0] == '.' && !(name_is(name, ".new") && op == PVM_CALLC))
                        return bad(c, "not to be called like that");
                if (!pvm_method_split(pvm_file_text(c->f, e->b >> 16), types + receiver, PVM_MAX_ARGS - 1, &nparams,
                                      &result, &params))
                        return bad(c, "bad descriptor");
                if (op == PVM_CLOSURE)
                        return (n <= nparams || bad(c, "%u arguments, the method has %u", n, nparams)) &&
                               reg(c, a, 'R') && arguments(c, 2, n, types);
                if (n != nparams + receiver)
                        return bad(c, "%u arguments, the method has %u", n, nparams + receiver);
                return reg(c, a, result) && arguments(c, 2, n, types);
        case PVM_CALLN:
                if (!entry(c, k, PVM_POOL_UTF8))
                        return false;
                name = pvm_file_text(c->f, k);
                if (!name.len || name.len > PVM_MAX_NAME || (name.p[0] == '.' && !name_is(name, ".new")))
                        return bad(c, "not a name");
                break;
        case PVM_CALLO:
                if (k >= PVM_NO_ORDINAL)
                        return bad(c, "ordinal %u", k);
                break;
        default:
                if (k)
                        return bad(c, "unused bits are not zero");
        }
        if (n < 1u + (op == PVM_CALLD))
                return bad(c, "no receiver, or no name");
        return reg(c, a, 'R') && arguments(c, 2, n, types);
}

static bool switches(const struct method_check *c, unsigned op)
{
        const uint32_t *w = &c->code[c->pc];

        if (op == PVM_TSWITCH) {
                if (!w[2])
                        return bad(c, "empty table");
                if ((int64_t)(int32_t)w[1] + w[2] - 1 > INT32_MAX)
                        return bad(c, "table beyond the greatest int");
                if (!target(c, (int32_t)w[3]))
                        return false;
                for (uint32_t i = 0; i < w[2]; i++)
                        if (!target(c, (int32_t)w[4 + i]))
                                return false;
                return true;
        }
        if (!target(c, (int32_t)w[2]))
                return false;
        for (uint32_t i = 0; i < w[1]; i++) {
                if (i && (int32_t)w[3 + 2 * i] <= (int32_t)w[1 + 2 * i])
                        return bad(c, "keys do not ascend");
                if (!target(c, (int32_t)w[4 + 2 * i]))
                        return false;
        }
        return true;
}

/* What the table of operands does not say. */
static bool special(const struct method_check *c, unsigned op, unsigned a, unsigned b, unsigned cc)
{
        switch (op) {
        case PVM_MOV:
                return c->types[a] == c->types[b] || bad(c, "%c to %c", c->types[b], c->types[a]);
        case PVM_UNBOX:
                return c->types[a] != 'R' || bad(c, "unboxed to a reference");
        case PVM_DIVI_I:
        case PVM_DIVI_L:
        case PVM_REMI_I:
        case PVM_REMI_L:
                return cc || bad(c, "division by 0");
        case PVM_RET:
                return reg(c, a, c->result);
        default:
                return true;
        }
}

static bool instruction(const struct method_check *c)
{
        uint32_t word = c->code[c->pc], next = c->pc + 1 < c->n ? c->code[c->pc + 1] : 0;
        unsigned op = word & 0xff, a = word >> 8 & 0xff, b = word >> 16 & 0xff, cc = word >> 24;
        const struct pvm_op_info *info = &pvm_op_info[op];

        switch (info->format) {
        case PVM_ABC:
                return operand(c, a, info->a) && operand(c, b, info->b) && operand(c, cc, info->c) &&
                       special(c, op, a, b, cc);
        case PVM_ABI:
                return operand(c, a, info->a) && operand(c, b, info->b) && special(c, op, a, b, cc);
        case PVM_AI:
                return reg(c, a, info->a);
        case PVM_AK:
                switch (op) {
                case PVM_LDK:
                        return constant(c, a, word >> 16);
                case PVM_NEW:
                        return entry(c, word >> 16, PVM_POOL_CLASS) && reg(c, a, 'R');
                default:
                        return is_field(c, a, word >> 16);
                }
        case PVM_J:
                return target(c, (int32_t)word >> 8);
        case PVM_ABJ:
                return operand(c, a, info->a) && operand(c, b, info->b) &&
                       (!cc || bad(c, "unused bits are not zero")) && target(c, (int32_t)next);
        case PVM_AIJ:
                if ((op == PVM_JNULL || op == PVM_JNNULL) && word >> 16)
                        return bad(c, "unused bits are not zero");
                return reg(c, a, info->a) && target(c, (int32_t)next);
        case PVM_ABK:
                return (!cc || bad(c, "unused bits are not zero")) && two_words(c, op, a, b, next);
        case PVM_CALL:
                return (!cc || bad(c, "unused bits are not zero")) && call(c, op, a, b, next);
        case PVM_CAT:
                return (!cc || bad(c, "unused bits are not zero")) && (b || bad(c, "nothing to concatenate")) &&
                       reg(c, a, 'R') && arguments(c, 1, b, NULL);
        default:
                return (!(word >> 16) || bad(c, "unused bits are not zero")) && reg(c, a, 'I') && switches(c, op);
        }
}

static bool ends(unsigned op)
{
        return op == PVM_RET || op == PVM_RETN || op == PVM_THROW || op == PVM_RETHROW || op == PVM_JMP ||
               op == PVM_TSWITCH || op == PVM_LSWITCH;
}

static bool tables(struct method_check *c)
{
        const struct pvm_file_handler *h = (const void *)(c->f->data + c->m->handlers);
        const struct pvm_file_line *l = (const void *)(c->f->data + c->m->lines);

        c->pc = 0;
        for (unsigned i = 0; i < c->m->nhandlers; i++) {
                if (h[i].zero || !is_start(c, h[i].start) || !is_start(c, h[i].target) ||
                    (h[i].end != c->n && !is_start(c, h[i].end)) || h[i].start >= h[i].end)
                        return bad(c, "handler %u: not at instructions", i);
                if (!reg(c, h[i].reg, 'R') || (h[i].class && !entry(c, h[i].class, PVM_POOL_CLASS)))
                        return false;
        }
        for (uint32_t i = 0; i < c->m->nlines; i++)
                if (!is_start(c, l[i].pc) || (i && l[i].pc <= l[i - 1].pc))
                        return bad(c, "line entry %u: not at an instruction, or not ascending", i);
        return true;
}

static bool method(struct method_check *c)
{
        char types[PVM_MAX_ARGS];
        unsigned n, first = !c->is_static, last = 0;
        uint32_t params;

        if (!pvm_method_split(pvm_file_text(c->f, c->m->type), types, PVM_MAX_ARGS - 1, &n, &c->result, &params))
                return bad(c, "bad descriptor");
        for (unsigned i = 0; i < c->m->nregs; i++)
                if (!c->types[i] || !strchr("ILFDR", c->types[i]))
                        return bad(c, "register %u: unknown type", i);
        if (n + first > c->m->nregs || (first && c->types[0] != 'R') || memcmp(types, c->types + first, n))
                return bad(c, "registers do not begin with the arguments");
        memset(starts, 0, (c->n + 63) / 64 * 8);
        while (c->pc < c->n) {
                uint32_t words = pvm_op_words(c->code, c->pc, c->n);

                if (!words)
                        return bad(c, "unknown instruction %u, or cut off", c->code[c->pc] & 0xff);
                starts[c->pc / 64] |= 1ul << c->pc % 64;
                last = c->code[c->pc] & 0xff;
                c->pc += words;
        }
        if (!ends(last))
                return bad(c, "the end can be reached");
        for (c->pc = 0; c->pc < c->n; c->pc += pvm_op_words(c->code, c->pc, c->n))
                if (!instruction(c))
                        return false;
        return tables(c);
}

bool pvm_file_verify(const struct pvm_file *f, char *why, size_t why_len)
{
        for (unsigned i = 0; i < f->h->nmethods; i++) {
                const struct pvm_file_method *m = &f->methods[i];
                struct method_check c = {.f = f,
                                         .m = m,
                                         .code = pvm_file_code(f, m),
                                         .types = (const char *)f->data + m->types,
                                         .n = m->ncode,
                                         .index = i,
                                         .is_static = m->flags & PVM_STATIC,
                                         .why = why,
                                         .why_len = why_len};

                if (m->ncode && !method(&c))
                        return false;
        }
        return true;
}
