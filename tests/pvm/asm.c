/* asm.c - see asm.h. It writes what it is told to, good or bad: the verifier is what is tested. */
#include "tests/pvm/asm.h"
#include "pvm/file.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_POOL    4096
#define MAX_CODE    65536
#define MAX_MEMBERS 256
#define MAX_LABELS  4096

struct label {
        char name[48];
        uint32_t pc;
};
struct fix {
        char name[48];
        uint32_t at, from, line;
        int kind; /* 0: word, 1: 24 bits, 2: a number of a handler */
};

static struct {
        const char *p;
        unsigned line;
        struct pvm_file_pool pool[MAX_POOL];
        unsigned npool;
        char *heap; /* texts */
        size_t nheap;
        struct pvm_file_header h;
        struct pvm_file_field fields[MAX_MEMBERS];
        struct pvm_file_method methods[MAX_MEMBERS];
        uint16_t interfaces[MAX_MEMBERS];
        struct {
                uint32_t *code;
                char types[256];
                struct pvm_file_handler handlers[64];
                struct pvm_file_line *lines;
        } body[MAX_MEMBERS];
        struct label labels[MAX_LABELS];
        unsigned nlabels;
        struct fix fixes[MAX_LABELS];
        unsigned nfixes;
} s;

static void __attribute__((noreturn)) wrong(const char *what, const char *more)
{
        fprintf(stderr, "assembler: line %u: %s %s\n", s.line, what, more);
        exit(2);
}

static bool blank(char c)
{
        return c == ' ' || c == '\t';
}

/* The next word of the line; "" at its end. */
static const char *word(void)
{
        static char buf[16][1200];
        static unsigned next;
        char *w = buf[next++ % 16];
        size_t n = 0;

        while (blank(*s.p))
                s.p++;
        if (*s.p == '"') {
                w[n++] = *s.p++;
                while (*s.p && *s.p != '"' && *s.p != '\n') {
                        if (*s.p == '\\' && s.p[1] && strchr("n\"\\", s.p[1])) {
                                w[n++] = s.p[1] == 'n' ? '\n' : s.p[1];
                                s.p += 2;
                        } else {
                                w[n++] = *s.p++;
                        }
                }
                if (*s.p == '"')
                        s.p++;
        } else {
                while (*s.p && !isspace((unsigned char)*s.p) && *s.p != ',' && n < 1199)
                        w[n++] = *s.p++;
                if (*s.p == ',')
                        s.p++;
        }
        w[n] = 0;
        return w;
}

static bool more(void)
{
        while (blank(*s.p))
                s.p++;
        return *s.p && *s.p != '\n' && *s.p != '#';
}

static unsigned pool_add(struct pvm_file_pool e)
{
        for (unsigned i = 1; i < s.npool; i++)
                if (s.pool[i].tag == e.tag && s.pool[i].a == e.a && s.pool[i].b == e.b && s.pool[i].c == e.c)
                        return i;
        if (s.npool == MAX_POOL)
                wrong("pool is full", "");
        s.pool[s.npool] = e;
        return s.npool++;
}

static unsigned text_entry(enum pvm_pool_tag tag, const char *t)
{
        size_t len = strlen(t);

        for (unsigned i = 1; i < s.npool; i++)
                if (s.pool[i].tag == tag && s.pool[i].c == len && !memcmp(s.heap + s.pool[i].b, t, len))
                        return i;
        s.heap = realloc(s.heap, s.nheap + len + 1);
        memcpy(s.heap + s.nheap, t, len);
        s.nheap += len;
        return pool_add((struct pvm_file_pool){.tag = tag, .b = (uint32_t)(s.nheap - len), .c = len});
}

static unsigned utf8(const char *t)
{
        return text_entry(PVM_POOL_UTF8, t);
}

static unsigned class_entry(const char *t)
{
        return pool_add((struct pvm_file_pool){.tag = PVM_POOL_CLASS, .a = (uint16_t)utf8(t)});
}

static unsigned member(enum pvm_pool_tag tag, const char *class, const char *name, const char *type)
{
        return pool_add((struct pvm_file_pool){
                .tag = tag, .a = (uint16_t)class_entry(class), .b = utf8(name) | utf8(type) << 16});
}

static void split_name(const char *t, char *name, char *type)
{
        const char *p = strchr(t, '(');

        if (!p)
                wrong("no method:", t);
        memcpy(name, t, (size_t)(p - t));
        name[p - t] = 0;
        strcpy(type, p);
}

static unsigned reg(void)
{
        const char *w = word();

        if (w[0] != 'r' || !isdigit((unsigned char)w[1]))
                wrong("no register:", w);
        return (unsigned)atoi(w + 1);
}

static long num(void)
{
        return strtol(word(), NULL, 0);
}

static void fix(uint32_t at, uint32_t from, int kind)
{
        struct fix *f = &s.fixes[s.nfixes++];

        snprintf(f->name, sizeof(f->name), "%s", word());
        f->at = at;
        f->from = from;
        f->kind = kind;
        f->line = s.line;
}

static unsigned constant(void)
{
        const char *kind = word(), *v = word();
        union {
                float f;
                uint32_t w;
                double d;
                uint64_t l;
        } u = {.l = 0};

        if (!strcmp(kind, "int"))
                return pool_add((struct pvm_file_pool){.tag = PVM_POOL_INT,
                                                       .c = (uint64_t)(int64_t)(int32_t)strtol(v, NULL, 0)});
        if (!strcmp(kind, "long"))
                return pool_add((struct pvm_file_pool){.tag = PVM_POOL_LONG, .c = (uint64_t)strtoll(v, NULL, 0)});
        if (!strcmp(kind, "float")) {
                u.f = strtof(v, NULL);
                return pool_add((struct pvm_file_pool){.tag = PVM_POOL_FLOAT, .c = u.w});
        }
        if (!strcmp(kind, "double")) {
                u.d = strtod(v, NULL);
                return pool_add((struct pvm_file_pool){.tag = PVM_POOL_DOUBLE, .c = u.l});
        }
        if (!strcmp(kind, "string"))
                return pool_add((struct pvm_file_pool){.tag = PVM_POOL_STRING, .a = (uint16_t)utf8(v + 1)});
        if (!strcmp(kind, "bytes"))
                return text_entry(PVM_POOL_BYTES, v + 1);
        if (!strcmp(kind, "class"))
                return class_entry(v);
        wrong("no constant:", kind);
}

static void registers(uint32_t *words, uint32_t *n)
{
        unsigned i = 0;

        for (; more(); i++) {
                if (i % 4 == 0)
                        words[i / 4] = 0;
                words[i / 4] |= reg() << i % 4 * 8;
        }
        *n = i;
}

static void instruction(const char *name, unsigned m)
{
        uint32_t *code = s.body[m].code, pc = s.methods[m].ncode, *w = code + pc, n;
        char method[1200], type[1200];
        const char *class, *t;
        unsigned op = 0, a;

        while (op < PVM_OP_COUNT && strcmp(pvm_op_info[op].name, name))
                op++;
        if (op == PVM_OP_COUNT)
                wrong("no instruction:", name);
        const struct pvm_op_info *i = &pvm_op_info[op];

        w[0] = op;
        n = 1;
        switch (i->format) {
        case PVM_ABC:
                if (i->a != '-')
                        w[0] |= reg() << 8;
                if (i->b != '-')
                        w[0] |= reg() << 16;
                if (i->c != '-')
                        w[0] |= reg() << 24;
                break;
        case PVM_ABI:
                w[0] |= reg() << 8;
                w[0] |= reg() << 16;
                w[0] |= (uint32_t)num() << 24;
                break;
        case PVM_AI:
                w[0] |= reg() << 8;
                w[0] |= (uint32_t)num() << 16;
                break;
        case PVM_AK:
                w[0] |= reg() << 8;
                if (op == PVM_LDK) {
                        w[0] |= constant() << 16;
                } else {
                        class = word();
                        if (op == PVM_NEW) {
                                w[0] |= class_entry(class) << 16;
                        } else {
                                t = word();
                                w[0] |= member(PVM_POOL_FIELD, class, t, word()) << 16;
                        }
                }
                break;
        case PVM_J:
                fix(pc, pc, 1);
                break;
        case PVM_ABJ:
                w[0] |= reg() << 8;
                w[0] |= reg() << 16;
                fix(pc + 1, pc, 0);
                n = 2;
                break;
        case PVM_AIJ:
                w[0] |= reg() << 8;
                if (op != PVM_JNULL && op != PVM_JNNULL)
                        w[0] |= (uint32_t)num() << 16;
                fix(pc + 1, pc, 0);
                n = 2;
                break;
        case PVM_ABK:
                w[0] |= reg() << 8;
                w[0] |= reg() << 16;
                class = word();
                if (op == PVM_GETF || op == PVM_SETF) {
                        t = word();
                        w[1] = member(PVM_POOL_FIELD, class, t, word());
                } else {
                        w[1] = utf8(class);
                }
                n = 2;
                break;
        case PVM_CALL:
                w[0] |= reg() << 8;
                if (op == PVM_CALLN) {
                        w[1] = utf8(word());
                } else if (op == PVM_CALLO) {
                        w[1] = (uint32_t)num();
                } else if (op == PVM_CALLD) {
                        w[1] = 0;
                } else {
                        class = word();
                        split_name(word(), method, type);
                        w[1] = member(PVM_POOL_METHOD, class, method, type);
                }
                registers(w + 2, &a);
                w[0] |= a << 16;
                n = 2 + (a + 3) / 4;
                break;
        case PVM_CAT:
                w[0] |= reg() << 8;
                registers(w + 1, &a);
                w[0] |= a << 16;
                n = 1 + (a + 3) / 4;
                break;
        case PVM_TABLE:
                w[0] |= reg() << 8;
                w[1] = (uint32_t)num();
                fix(pc + 3, pc, 0);
                for (n = 0; more(); n++)
                        fix(pc + 4 + n, pc, 0);
                w[2] = n;
                n += 4;
                break;
        case PVM_LOOKUP:
                w[0] |= reg() << 8;
                fix(pc + 2, pc, 0);
                for (n = 0; more(); n++) {
                        w[3 + 2 * n] = (uint32_t)num();
                        fix(pc + 4 + 2 * n, pc, 0);
                }
                w[1] = n;
                n = 3 + 2 * n;
                break;
        }
        s.methods[m].ncode += n;
}

static unsigned flag(const char *w)
{
        static const struct {
                const char *name;
                unsigned bit;
        } flags[] = {{"public", PVM_PUBLIC},     {"private", PVM_PRIVATE}, {"static", PVM_STATIC},
                     {"abstract", PVM_ABSTRACT}, {"final", PVM_FINAL},     {"const", PVM_CONST}};

        for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
                if (!strcmp(w, flags[i].name))
                        return flags[i].bit;
        return 0;
}

static void resolve(unsigned m)
{
        for (unsigned i = 0; i < s.nfixes; i++) {
                struct fix *f = &s.fixes[i];
                unsigned l = 0;
                uint32_t *handler = (uint32_t *)s.body[m].handlers;

                while (l < s.nlabels && strcmp(s.labels[l].name, f->name))
                        l++;
                s.line = f->line;
                if (l == s.nlabels)
                        wrong("no label", f->name);
                if (f->kind == 0)
                        s.body[m].code[f->at] = s.labels[l].pc - f->from;
                else if (f->kind == 1)
                        s.body[m].code[f->at] |= (s.labels[l].pc - f->from) << 8;
                else
                        handler[f->at] = s.labels[l].pc;
        }
        s.nfixes = s.nlabels = 0;
}

static size_t put(uint8_t **file, size_t *size, const void *p, size_t len, size_t align)
{
        size_t at = (*size + align - 1) / align * align;

        *file = realloc(*file, at + len + 1);
        memset(*file + *size, 0, at - *size);
        if (len)
                memcpy(*file + at, p, len);
        *size = at + len;
        return at;
}

static uint8_t *finish(size_t *size)
{
        uint8_t *file = NULL;
        size_t text;

        *size = 0;
        put(&file, size, &s.h, sizeof(s.h), 1);
        text = put(&file, size, s.heap, s.nheap, 1);
        for (unsigned i = 1; i < s.npool; i++)
                if (s.pool[i].tag == PVM_POOL_UTF8 || s.pool[i].tag == PVM_POOL_BYTES)
                        s.pool[i].b += (uint32_t)text;
        s.h.npool = (uint16_t)s.npool;
        s.h.pool = (uint32_t)put(&file, size, s.pool, s.npool * sizeof(s.pool[0]), 8);
        s.h.interfaces = (uint32_t)put(&file, size, s.interfaces, s.h.ninterfaces * 2, 4);
        s.h.fields = (uint32_t)put(&file, size, s.fields, s.h.nfields * sizeof(s.fields[0]), 4);
        for (unsigned i = 0; i < s.h.nmethods; i++) {
                struct pvm_file_method *m = &s.methods[i];

                if (!m->ncode)
                        continue;
                m->code = (uint32_t)put(&file, size, s.body[i].code, m->ncode * 4, 4);
                m->types = (uint32_t)put(&file, size, s.body[i].types, m->nregs, 1);
                m->handlers =
                        (uint32_t)put(&file, size, s.body[i].handlers, m->nhandlers * sizeof(s.body[i].handlers[0]), 4);
                m->lines = (uint32_t)put(&file, size, s.body[i].lines, m->nlines * sizeof(s.body[i].lines[0]), 4);
        }
        s.h.methods = (uint32_t)put(&file, size, s.methods, s.h.nmethods * sizeof(s.methods[0]), 4);
        s.h.size = (uint32_t)*size;
        memcpy(file, &s.h, sizeof(s.h));
        for (unsigned i = 0; i < s.h.nmethods; i++) {
                free(s.body[i].code);
                free(s.body[i].lines);
        }
        free(s.heap);
        return file;
}

uint8_t *pvm_assemble(const char *text, size_t *size)
{
        char name[1200], type[1200];
        const char *w;
        unsigned m = 0;

        memset(&s, 0, sizeof(s));
        s.npool = 1;
        s.h.magic = PVM_MAGIC;
        s.h.major = PVM_VERSION_MAJOR;
        s.h.minor = PVM_VERSION_MINOR;
        for (s.p = text; *s.p; s.p += *s.p == '\n') {
                s.line++;
                if (!more()) {
                        s.p += strcspn(s.p, "\n");
                        continue;
                }
                w = word();
                if (!strcmp(w, "class")) {
                        s.h.this_class = (uint16_t)class_entry(word());
                        bool implements = false;

                        while (more()) {
                                w = word();
                                if (!strcmp(w, "extends"))
                                        s.h.parent = (uint16_t)class_entry(word());
                                else if (!strcmp(w, "implements"))
                                        implements = true;
                                else if (*w == '.' && implements)
                                        s.interfaces[s.h.ninterfaces++] = (uint16_t)class_entry(w);
                                else
                                        s.h.flags |= !strcmp(w, "interface")  ? PVM_CLASS_INTERFACE
                                                     : !strcmp(w, "abstract") ? PVM_CLASS_ABSTRACT
                                                                              : PVM_CLASS_FINAL;
                        }
                } else if (!strcmp(w, "source")) {
                        s.h.source = (uint16_t)utf8(word());
                } else if (!strcmp(w, "field")) {
                        struct pvm_file_field *f = &s.fields[s.h.nfields++];

                        for (w = word(); flag(w); w = word())
                                f->flags |= (uint16_t)flag(w);
                        f->name = (uint16_t)utf8(w);
                        f->type = (uint16_t)utf8(word());
                } else if (!strcmp(w, "method")) {
                        if (s.h.nmethods)
                                resolve(m);
                        m = s.h.nmethods++;
                        s.methods[m].ordinal = PVM_NO_ORDINAL;
                        for (w = word(); flag(w); w = word())
                                s.methods[m].flags |= (uint16_t)flag(w);
                        split_name(w, name, type);
                        s.methods[m].name = (uint16_t)utf8(name);
                        s.methods[m].type = (uint16_t)utf8(type);
                        s.body[m].code = calloc(MAX_CODE, 4);
                        s.body[m].lines = calloc(MAX_CODE, sizeof(struct pvm_file_line));
                        while (more()) {
                                w = word();
                                if (!strcmp(w, "ordinal")) {
                                        s.methods[m].ordinal = (uint16_t)num();
                                } else {
                                        s.methods[m].nregs = (uint8_t)strlen(w);
                                        memcpy(s.body[m].types, w, strlen(w));
                                }
                        }
                } else if (!strcmp(w, "catch")) {
                        unsigned i = s.methods[m].nhandlers++;

                        fix(i * 4 + 0, 0, 2);
                        fix(i * 4 + 1, 0, 2);
                        fix(i * 4 + 2, 0, 2);
                        w = word();
                        if (*w == '.')
                                s.body[m].handlers[i].class = (uint16_t)class_entry(w);
                        s.body[m].handlers[i].reg = (uint8_t)reg();
                } else if (!strcmp(w, "line")) {
                        s.body[m].lines[s.methods[m].nlines++] =
                                (struct pvm_file_line){s.methods[m].ncode, (uint32_t)num()};
                } else if (w[strlen(w) - 1] == ':') {
                        struct label *l = &s.labels[s.nlabels++];

                        snprintf(l->name, sizeof(l->name), "%.*s", (int)strlen(w) - 1, w);
                        l->pc = s.methods[m].ncode;
                } else {
                        instruction(w, m);
                }
                if (more())
                        wrong("more than expected:", word());
                s.p += strcspn(s.p, "\n");
        }
        if (s.h.nmethods)
                resolve(m);
        return finish(size);
}

#ifdef PVM_ASM_PROGRAM
/* pvm-asm FILE OUT: a class file of a text. */
int main(int argc, char **argv)
{
        char *text = calloc(1, 1 << 20);
        FILE *in = argc == 3 ? fopen(argv[1], "r") : NULL, *out = in ? fopen(argv[2], "wb") : NULL;
        uint8_t *file;
        size_t size;

        if (!out || !fread(text, 1, (1 << 20) - 1, in)) {
                fprintf(stderr, "usage: pvm-asm FILE OUT\n");
                return 2;
        }
        file = pvm_assemble(text, &size);
        return fwrite(file, 1, size, out) != size || fclose(out);
}
#endif
