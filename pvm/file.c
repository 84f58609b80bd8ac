/*
 * file.c - class files: is the structure what FORMAT.md says?
 *
 * Nothing in the file is trusted before it was looked at; after pvm_file_open all indexes into the pool, all offsets and all lengths in tables are good, and
 * text that names or describes something is well formed. The code is verify.c's.
 */
#include "pvm/file.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <stdarg.h>

#define PVM_OP_INFO(name, format, a, b, c, writes) {#name, format, a, b, c, writes},
const struct pvm_op_info pvm_op_info[PVM_OP_COUNT] = {PVM_OPS(PVM_OP_INFO)};

struct check {
        struct pvm_file *f;
        char *why;
        size_t why_len;
};

static void __attribute__((format(printf, 2, 3))) complain(const struct check *c, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(c->why, c->why_len, fmt, ap);
        va_end(ap);
}
/* False, for whoever looked. */
#define bad(...) (complain(__VA_ARGS__), false)

bool pvm_utf8_ok(const char *text, size_t len)
{
        const uint8_t *p = (const uint8_t *)text, *end = p + len;

        while (p < end) {
                unsigned more = *p < 0x80                 ? 0
                                : *p >= 0xc2 && *p < 0xe0 ? 1
                                : (*p & 0xf0) == 0xe0     ? 2
                                : *p >= 0xf0 && *p < 0xf5 ? 3
                                                          : 4;

                if (more > 3 || (size_t)(end - p) <= more)
                        return false;
                if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) || (*p == 0xf0 && p[1] < 0x90) ||
                    (*p == 0xf4 && p[1] >= 0x90))
                        return false;
                for (p++; more; more--, p++)
                        if ((*p & 0xc0) != 0x80)
                                return false;
        }
        return true;
}

/* In names and descriptors. */
static bool name_byte(char c)
{
        return (uint8_t)c > ' ' && c != '/' && c != ';' && c != '(' && c != ')' && c != '[' && c != 0x7f;
}

bool pvm_class_name_ok(struct pvm_text name)
{
        if (name.len < 2 || name.len > PVM_MAX_NAME || name.p[0] != '.' || name.p[name.len - 1] == '.')
                return false;
        for (uint32_t i = 0; i < name.len; i++)
                if (!name_byte(name.p[i]) || (i && name.p[i] == '.' && name.p[i - 1] == '.'))
                        return false;
        return true;
}

char pvm_type_next(const char **p, const char *end)
{
        const char *at = *p;
        unsigned depth = 0;

        while (at < end && *at == '[' && depth < 8)
                at++, depth++;
        if (at == end)
                return 0;
        switch (*at++) {
        case 'i':
                *p = at;
                return depth ? 'R' : 'I';
        case 'l':
                *p = at;
                return depth ? 'R' : 'L';
        case 'f':
                *p = at;
                return depth ? 'R' : 'F';
        case 'd':
                *p = at;
                return depth ? 'R' : 'D';
        case 'u':
                *p = at;
                return 'R';
        case '.':
                break;
        default:
                return 0;
        }
        const char *name = at - 1;

        while (at < end && *at != ';')
                at++;
        if (at == end || !pvm_class_name_ok((struct pvm_text){name, (uint32_t)(at - name)}))
                return 0;
        *p = at + 1;
        return 'R';
}

bool pvm_method_split(struct pvm_text desc, char *types, unsigned max, unsigned *n, char *result, uint32_t *params_len)
{
        const char *p = desc.p, *end = p + desc.len;

        *n = 0;
        if (desc.len < 3 || *p++ != '(')
                return false;
        while (p < end && *p != ')') {
                char t = pvm_type_next(&p, end);

                if (!t || *n == max)
                        return false;
                types[(*n)++] = t;
        }
        if (p == end || ++p == end)
                return false;
        *params_len = (uint32_t)(p - desc.p);
        if (*p == 'v' && p + 1 == end) {
                *result = 'R';
                return true;
        }
        *result = pvm_type_next(&p, end);
        return *result && p == end;
}

static bool range(const struct check *c, const char *what, uint64_t offset, uint64_t count, uint64_t each,
                  unsigned align)
{
        uint64_t size = c->f->size;

        if (offset % align)
                return bad(c, "%s at %lu: not aligned to %u", what, (unsigned long)offset, align);
        if (offset > size || count * each > size - offset)
                return bad(c, "%s: %lu bytes at %lu, the file has %lu", what, (unsigned long)(count * each),
                           (unsigned long)offset, (unsigned long)size);
        return true;
}

static bool is(const struct check *c, unsigned index, enum pvm_pool_tag tag)
{
        return index && index < c->f->h->npool && c->f->pool[index].tag == tag;
}

static bool type_ok(const struct check *c, unsigned utf8)
{
        struct pvm_text t;
        const char *p;

        if (!is(c, utf8, PVM_POOL_UTF8))
                return false;
        t = pvm_file_text(c->f, utf8);
        p = t.p;
        return t.len <= PVM_MAX_NAME && pvm_type_next(&p, t.p + t.len) && p == t.p + t.len;
}

static bool method_type_ok(const struct check *c, unsigned utf8)
{
        char types[PVM_MAX_ARGS], result;
        unsigned n;
        uint32_t params;
        struct pvm_text t;

        if (!is(c, utf8, PVM_POOL_UTF8))
                return false;
        t = pvm_file_text(c->f, utf8);
        return t.len <= PVM_MAX_NAME && pvm_method_split(t, types, PVM_MAX_ARGS - 1, &n, &result, &params);
}

static bool name_ok(const struct check *c, unsigned utf8)
{
        struct pvm_text t;

        if (!is(c, utf8, PVM_POOL_UTF8))
                return false;
        t = pvm_file_text(c->f, utf8);
        if (!t.len || t.len > PVM_MAX_NAME)
                return false;
        for (uint32_t i = 0; i < t.len; i++)
                if (!name_byte(t.p[i]))
                        return false;
        return true;
}

static bool pool_entry(const struct check *c, unsigned i)
{
        const struct pvm_file_pool *e = &c->f->pool[i];
        unsigned name = e->b & 0xffff, type = e->b >> 16;

        if (e->zero)
                return bad(c, "pool entry %u: not zero", i);
        switch (e->tag) {
        case PVM_POOL_UTF8:
        case PVM_POOL_BYTES:
                if (e->a || e->c > PVM_MAX_FILE || !range(c, "text", e->b, e->c, 1, 1))
                        return bad(c, "pool entry %u: text outside of the file", i);
                if (e->tag == PVM_POOL_UTF8 && !pvm_utf8_ok((const char *)c->f->data + e->b, e->c))
                        return bad(c, "pool entry %u: not UTF-8", i);
                return true;
        case PVM_POOL_STRING:
                if (!is(c, e->a, PVM_POOL_UTF8) || e->b || e->c)
                        return bad(c, "pool entry %u: string without text", i);
                return true;
        case PVM_POOL_INT:
                if (e->a || e->b || (int64_t)e->c != (int32_t)e->c)
                        return bad(c, "pool entry %u: not an int", i);
                return true;
        case PVM_POOL_FLOAT:
                if (e->a || e->b || e->c >> 32)
                        return bad(c, "pool entry %u: not a float", i);
                return true;
        case PVM_POOL_LONG:
        case PVM_POOL_DOUBLE:
                if (e->a || e->b)
                        return bad(c, "pool entry %u: not zero", i);
                return true;
        case PVM_POOL_CLASS:
                if (!is(c, e->a, PVM_POOL_UTF8) || !pvm_class_name_ok(pvm_file_text(c->f, e->a)) || e->b || e->c)
                        return bad(c, "pool entry %u: not the name of a class", i);
                return true;
        case PVM_POOL_FIELD:
                if (!is(c, e->a, PVM_POOL_CLASS) || !name_ok(c, name) || !type_ok(c, type) || e->c)
                        return bad(c, "pool entry %u: not a field", i);
                return true;
        case PVM_POOL_METHOD:
                if (!is(c, e->a, PVM_POOL_CLASS) || !name_ok(c, name) || !method_type_ok(c, type) || e->c)
                        return bad(c, "pool entry %u: not a method", i);
                return true;
        default:
                return bad(c, "pool entry %u: unknown tag %u", i, e->tag);
        }
}

static bool pool(const struct check *c)
{
        const struct pvm_file_header *h = c->f->h;
        uint64_t text = 0;

        if (!h->npool)
                return bad(c, "no pool");
        if (!range(c, "pool", h->pool, h->npool, sizeof(struct pvm_file_pool), 8))
                return false;
        c->f->pool = (const void *)(c->f->data + h->pool);
        if (c->f->pool[0].tag || c->f->pool[0].zero || c->f->pool[0].a || c->f->pool[0].b || c->f->pool[0].c)
                return bad(c, "pool entry 0: not zero");
        /* Texts that overlap would make this more than linear; and no compiler has a reason to. */
        for (unsigned i = 1; i < h->npool; i++) {
                const struct pvm_file_pool *e = &c->f->pool[i];

                if (e->tag == PVM_POOL_UTF8 || e->tag == PVM_POOL_BYTES)
                        text += e->c <= PVM_MAX_FILE ? e->c : PVM_MAX_FILE;
        }
        if (text > c->f->size)
                return bad(c, "pool: more text than file");
        /* Texts first: other entries look at them. */
        for (unsigned i = 1; i < h->npool; i++)
                if (c->f->pool[i].tag == PVM_POOL_UTF8 && !pool_entry(c, i))
                        return false;
        for (unsigned i = 1; i < h->npool; i++)
                if (c->f->pool[i].tag == PVM_POOL_CLASS && !pool_entry(c, i))
                        return false;
        for (unsigned i = 1; i < h->npool; i++)
                if (c->f->pool[i].tag != PVM_POOL_UTF8 && c->f->pool[i].tag != PVM_POOL_CLASS && !pool_entry(c, i))
                        return false;
        return true;
}

static bool text_is(struct pvm_text t, const char *what)
{
        return t.len == strlen(what) && !memcmp(t.p, what, t.len);
}

static bool method(const struct check *c, unsigned i)
{
        const struct pvm_file_method *m = &c->f->methods[i];
        bool interface = c->f->h->flags & PVM_CLASS_INTERFACE;
        struct pvm_text name;

        if (!name_ok(c, m->name) || !method_type_ok(c, m->type))
                return bad(c, "method %u: bad name or descriptor", i);
        name = pvm_file_text(c->f, m->name);
        if (m->flags & ~PVM_METHOD_FLAGS || m->zero)
                return bad(c, "method %u: unknown flags %x", i, m->flags);
        if ((m->flags & PVM_PUBLIC && m->flags & PVM_PRIVATE) ||
            (m->flags & PVM_ABSTRACT && m->flags & (PVM_STATIC | PVM_PRIVATE | PVM_FINAL)))
                return bad(c, "method %u: flags %x contradict each other", i, m->flags);
        if (m->ordinal != PVM_NO_ORDINAL && m->flags & (PVM_STATIC | PVM_PRIVATE))
                return bad(c, "method %u: static or private, with an ordinal", i);
        if (name.p[0] == '.') {
                struct pvm_text desc = pvm_file_text(c->f, m->type);

                if (text_is(name, ".new") ? m->flags & (PVM_STATIC | PVM_ABSTRACT) || interface : !text_is(name, ".static") || !text_is(desc, "()v") || !(m->flags & PVM_STATIC))
                        return bad(c, "method %u: not a constructor nor .static ()v", i);
        }
        if (interface && !(m->flags & (PVM_STATIC | PVM_ABSTRACT)))
                return bad(c, "method %u: an interface's, with a body", i);
        if (m->flags & PVM_ABSTRACT) {
                if (m->nregs || m->ncode || m->nhandlers || m->nlines)
                        return bad(c, "method %u: abstract, with code", i);
                if (!interface && !(c->f->h->flags & PVM_CLASS_ABSTRACT))
                        return bad(c, "method %u: abstract, in a class that is not", i);
                return true;
        }
        if (!m->ncode || m->ncode > PVM_MAX_CODE)
                return bad(c, "method %u: %u words of code", i, m->ncode);
        if (m->nhandlers > PVM_MAX_HANDLERS || m->nlines > m->ncode)
                return bad(c, "method %u: more handlers or lines than allowed", i);
        return range(c, "code", m->code, m->ncode, 4, 4) && range(c, "register types", m->types, m->nregs, 1, 1) &&
               range(c, "handlers", m->handlers, m->nhandlers, sizeof(struct pvm_file_handler), 4) &&
               range(c, "lines", m->lines, m->nlines, sizeof(struct pvm_file_line), 4) &&
               range(c, "attributes", m->attributes, m->attributes_len, 1, 1);
}

static bool field(const struct check *c, unsigned i)
{
        const struct pvm_file_field *d = &c->f->fields[i];

        if (!name_ok(c, d->name) || !type_ok(c, d->type))
                return bad(c, "field %u: bad name or descriptor", i);
        if (d->flags & ~PVM_FIELD_FLAGS || d->zero || (d->flags & PVM_PUBLIC && d->flags & PVM_PRIVATE))
                return bad(c, "field %u: unknown flags %x", i, d->flags);
        if (c->f->h->flags & PVM_CLASS_INTERFACE && !(d->flags & PVM_STATIC))
                return bad(c, "field %u: an interface's, not static", i);
        return range(c, "attributes", d->attributes, d->attributes_len, 1, 1);
}

bool pvm_file_open(struct pvm_file *f, const void *data, size_t size, char *why, size_t why_len)
{
        struct check check = {f, why, why_len}, *c = &check;
        const struct pvm_file_header *h = data;
        uint64_t code = 0;

        *f = (struct pvm_file){.data = data, .size = size, .h = h};
        if (size < sizeof(*h) || h->magic != PVM_MAGIC)
                return bad(c, "not a class file");
        if (h->major != PVM_VERSION_MAJOR || h->minor > PVM_VERSION_MINOR)
                return bad(c, "version %u.%u, this machine has %u.%u", h->major, h->minor, PVM_VERSION_MAJOR,
                           PVM_VERSION_MINOR);
        if (h->size != size || size > PVM_MAX_FILE)
                return bad(c, "%lu bytes, the header says %u", (unsigned long)size, h->size);
        if (h->flags & ~PVM_CLASS_FLAGS || h->zero ||
            (h->flags & PVM_CLASS_FINAL && h->flags & (PVM_CLASS_INTERFACE | PVM_CLASS_ABSTRACT)))
                return bad(c, "unknown flags %x", h->flags);
        if (h->ninterfaces > PVM_MAX_MEMBERS || h->nfields > PVM_MAX_MEMBERS || h->nmethods > PVM_MAX_MEMBERS)
                return bad(c, "more members than allowed");
        if (!pool(c))
                return false;
        if (!range(c, "interfaces", h->interfaces, h->ninterfaces, 2, 4) ||
            !range(c, "fields", h->fields, h->nfields, sizeof(*f->fields), 4) ||
            !range(c, "methods", h->methods, h->nmethods, sizeof(*f->methods), 4) ||
            !range(c, "attributes", h->attributes, h->attributes_len, 1, 1))
                return false;
        f->interfaces = (const void *)(f->data + h->interfaces);
        f->fields = (const void *)(f->data + h->fields);
        f->methods = (const void *)(f->data + h->methods);
        if (!is(c, h->this_class, PVM_POOL_CLASS) || (h->parent && !is(c, h->parent, PVM_POOL_CLASS)))
                return bad(c, "no name, or no parent");
        if (h->source && !is(c, h->source, PVM_POOL_UTF8))
                return bad(c, "source file without a name");
        if (h->flags & PVM_CLASS_INTERFACE && h->parent)
                return bad(c, "an interface with a parent");
        for (unsigned i = 0; i < h->ninterfaces; i++)
                if (!is(c, f->interfaces[i], PVM_POOL_CLASS))
                        return bad(c, "interface %u: not a class", i);
        for (unsigned i = 0; i < h->nfields; i++)
                if (!field(c, i))
                        return false;
        for (unsigned i = 0; i < h->nmethods; i++) {
                if (!method(c, i))
                        return false;
                code += f->methods[i].ncode * 4ul + f->methods[i].nlines * 8ul + f->methods[i].nhandlers * 16ul;
        }
        /* Methods that share code would make the verifier more than linear. */
        if (code > size)
                return bad(c, "more code than file");
        return true;
}

uint32_t pvm_op_words(const uint32_t *code, uint32_t pc, uint32_t n)
{
        uint32_t word = code[pc], op = word & 0xff, left = n - pc;
        uint64_t words;

        if (op >= PVM_OP_COUNT)
                return 0;
        switch (pvm_op_info[op].format) {
        case PVM_ABJ:
        case PVM_AIJ:
        case PVM_ABK:
                words = 2;
                break;
        case PVM_CALL:
                words = 2 + ((word >> 16 & 0xff) + 3) / 4;
                break;
        case PVM_CAT:
                words = 1 + ((word >> 16 & 0xff) + 3) / 4;
                break;
        case PVM_TABLE:
                words = left < 4 ? 4 : 4 + (uint64_t)code[pc + 2];
                break;
        case PVM_LOOKUP:
                words = left < 3 ? 3 : 3 + 2 * (uint64_t)code[pc + 1];
                break;
        default:
                words = 1;
        }
        return words <= left ? (uint32_t)words : 0;
}
