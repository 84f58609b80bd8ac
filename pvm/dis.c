/* dis.c - the disassembler. It believes pvm_file_open, and nothing of the code. */
#include "pvm/dis.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

struct out {
        const struct pvm_file *f;
        void (*put)(void *arg, const char *line);
        void *arg;
        char line[600];
        size_t at;
};

#define SAY(o, ...) ((o)->at = fmt_append((o)->line, sizeof((o)->line), (o)->at, __VA_ARGS__))

static void end(struct out *o)
{
        o->line[o->at] = 0;
        o->put(o->arg, o->line);
        o->at = 0;
        o->line[0] = 0;
}

static void text(struct out *o, struct pvm_text t)
{
        SAY(o, "%.*s", (int)(t.len < 120 ? t.len : 120), t.p);
}

static void quoted(struct out *o, struct pvm_text t)
{
        SAY(o, "\"");
        for (uint32_t i = 0; i < t.len && i < 60; i++) {
                if ((uint8_t)t.p[i] < ' ' || t.p[i] == '"' || t.p[i] == '\\')
                        SAY(o, "\\x%02x", (uint8_t)t.p[i]);
                else
                        SAY(o, "%c", t.p[i]);
        }
        SAY(o, t.len > 60 ? "\"..." : "\"");
}

static void pool(struct out *o, uint32_t k)
{
        const struct pvm_file_pool *e;

        if (!k || k >= o->f->h->npool) {
                SAY(o, "?%u", k);
                return;
        }
        e = &o->f->pool[k];
        switch (e->tag) {
        case PVM_POOL_UTF8:
                text(o, pvm_file_text(o->f, k));
                break;
        case PVM_POOL_BYTES:
                SAY(o, "%lu bytes", (unsigned long)e->c);
                break;
        case PVM_POOL_STRING:
                quoted(o, pvm_file_text(o->f, e->a));
                break;
        case PVM_POOL_INT:
        case PVM_POOL_LONG:
                SAY(o, "%ld", (long)e->c);
                break;
        case PVM_POOL_FLOAT:
        case PVM_POOL_DOUBLE:
                SAY(o, "bits %lx", (unsigned long)e->c);
                break;
        case PVM_POOL_CLASS:
                text(o, pvm_file_class_name(o->f, k));
                break;
        default:
                text(o, pvm_file_class_name(o->f, e->a));
                SAY(o, " ");
                text(o, pvm_file_text(o->f, e->b & 0xffff));
                SAY(o, "%s", e->tag == PVM_POOL_FIELD ? " " : "");
                text(o, pvm_file_text(o->f, e->b >> 16));
        }
}

static void arguments(struct out *o, const uint32_t *words, unsigned n)
{
        SAY(o, " (");
        for (unsigned i = 0; i < n; i++)
                SAY(o, "%sr%u", i ? " " : "", words[i / 4] >> i % 4 * 8 & 0xff);
        SAY(o, ")");
}

static void instruction(struct out *o, const uint32_t *code, uint32_t pc)
{
        uint32_t w = code[pc], op = w & 0xff;
        unsigned a = w >> 8 & 0xff, b = w >> 16 & 0xff, c = w >> 24;
        const struct pvm_op_info *i = &pvm_op_info[op];
        const uint32_t *more = code + pc + 1;

        SAY(o, "  %5u  %-7s", pc, i->name);
        switch (i->format) {
        case PVM_ABC:
                if (i->a != '-')
                        SAY(o, " r%u", a);
                if (i->b != '-')
                        SAY(o, " r%u", b);
                if (i->c != '-')
                        SAY(o, " r%u", c);
                break;
        case PVM_ABI:
                SAY(o, " r%u r%u %d", a, b, (int8_t)c);
                break;
        case PVM_AI:
                SAY(o, " r%u %d", a, (int32_t)w >> 16);
                break;
        case PVM_AK:
                SAY(o, " r%u ", a);
                pool(o, w >> 16);
                break;
        case PVM_J:
                SAY(o, " -> %d", (int32_t)pc + ((int32_t)w >> 8));
                break;
        case PVM_ABJ:
                SAY(o, " r%u r%u -> %ld", a, b, (long)pc + (int32_t)more[0]);
                break;
        case PVM_AIJ:
                SAY(o, " r%u", a);
                if (op != PVM_JNULL && op != PVM_JNNULL)
                        SAY(o, " %d", (int32_t)w >> 16);
                SAY(o, " -> %ld", (long)pc + (int32_t)more[0]);
                break;
        case PVM_ABK:
                SAY(o, " r%u r%u ", a, b);
                pool(o, more[0]);
                break;
        case PVM_CALL:
                SAY(o, " r%u ", a);
                if (op == PVM_CALLO)
                        SAY(o, "%u", more[0]);
                else if (op != PVM_CALLD)
                        pool(o, more[0]);
                arguments(o, more + 1, b);
                break;
        case PVM_CAT:
                SAY(o, " r%u", a);
                arguments(o, more, b);
                break;
        case PVM_TABLE:
                SAY(o, " r%u from %d, else -> %ld", a, (int32_t)more[0], (long)pc + (int32_t)more[2]);
                for (uint32_t k = 0; k < more[1]; k++) {
                        end(o);
                        SAY(o, "                  %ld -> %ld", (long)(int32_t)more[0] + k,
                            (long)pc + (int32_t)more[3 + k]);
                }
                break;
        default:
                SAY(o, " r%u, else -> %ld", a, (long)pc + (int32_t)more[1]);
                for (uint32_t k = 0; k < more[0]; k++) {
                        end(o);
                        SAY(o, "                  %d -> %ld", (int32_t)more[2 + 2 * k],
                            (long)pc + (int32_t)more[3 + 2 * k]);
                }
        }
        end(o);
}

static void flags(struct out *o, unsigned f)
{
        SAY(o, "%s%s%s%s%s%s", f & PVM_PUBLIC ? "public " : "", f & PVM_PRIVATE ? "private " : "",
            f & PVM_STATIC ? "static " : "", f & PVM_ABSTRACT ? "abstract " : "", f & PVM_FINAL ? "final " : "",
            f & PVM_CONST ? "const " : "");
}

static void method(struct out *o, const struct pvm_file_method *m)
{
        const uint32_t *code = pvm_file_code(o->f, m);
        const struct pvm_file_line *l = (const void *)(o->f->data + m->lines);
        const struct pvm_file_handler *h = (const void *)(o->f->data + m->handlers);
        uint32_t line = 0, words;

        SAY(o, "method ");
        flags(o, m->flags);
        text(o, pvm_file_text(o->f, m->name));
        text(o, pvm_file_text(o->f, m->type));
        if (m->ordinal != PVM_NO_ORDINAL)
                SAY(o, " [%u]", m->ordinal);
        if (m->ncode)
                SAY(o, " registers %.*s", m->nregs, (const char *)o->f->data + m->types);
        end(o);
        for (uint32_t pc = 0; pc < m->ncode; pc += words) {
                while (line < m->nlines && l[line].pc <= pc) {
                        SAY(o, "                                        ; line %u", l[line++].line);
                        end(o);
                }
                words = pvm_op_words(code, pc, m->ncode);
                if (!words) {
                        SAY(o, "  %5u  ?       %08x: the rest is no code", pc, code[pc]);
                        end(o);
                        break;
                }
                instruction(o, code, pc);
        }
        for (unsigned i = 0; i < m->nhandlers; i++) {
                SAY(o, "  catch r%u ", h[i].reg);
                if (h[i].class)
                        pool(o, h[i].class);
                else
                        SAY(o, "all");
                SAY(o, " in %u to %u -> %u", h[i].start, h[i].end, h[i].target);
                end(o);
        }
}

void pvm_disassemble(const struct pvm_file *f, void (*put)(void *arg, const char *line), void *arg)
{
        struct out out = {.f = f, .put = put, .arg = arg}, *o = &out;

        SAY(o, "; version %u.%u", f->h->major, f->h->minor);
        if (f->h->source) {
                SAY(o, ", from ");
                text(o, pvm_file_text(f, f->h->source));
        }
        end(o);
        SAY(o, "%s%s%s ",
            f->h->flags & PVM_CLASS_ABSTRACT ? "abstract "
            : f->h->flags & PVM_CLASS_FINAL  ? "final "
                                             : "",
            f->h->flags & PVM_CLASS_INTERFACE ? "interface" : "class", "");
        text(o, pvm_file_class_name(f, f->h->this_class));
        if (f->h->parent) {
                SAY(o, " extends ");
                text(o, pvm_file_class_name(f, f->h->parent));
        }
        for (unsigned i = 0; i < f->h->ninterfaces; i++) {
                SAY(o, i ? ", " : " implements ");
                text(o, pvm_file_class_name(f, f->interfaces[i]));
        }
        end(o);
        for (unsigned i = 0; i < f->h->nfields; i++) {
                SAY(o, "field ");
                flags(o, f->fields[i].flags);
                text(o, pvm_file_text(f, f->fields[i].name));
                SAY(o, " ");
                text(o, pvm_file_text(f, f->fields[i].type));
                end(o);
        }
        for (unsigned i = 0; i < f->h->nmethods; i++)
                method(o, &f->methods[i]);
}
