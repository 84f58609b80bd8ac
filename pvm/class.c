/*
 * class.c - classes: found, loaded, linked, looked into.
 *
 * What persists of a class is its struct class_obj: name, bytes of the file, statics, index and ids. Everything here is made of that, after a recovery again, when the first object
 * or frame needs it; then the file is checked and verified anew, by this machine. Classes stay.
 *
 * A load first finds the parent and the interfaces (which may load them), then makes everything volatile, then what is in the heap, and only then is the class
 * known; a failure before that leaves nothing but what was found.
 */
#include "pvm/machine.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <asm/errno.h>
#include <stdarg.h>

#define HASH_SIZE   4096u
#define MAX_NESTING 128u /* parents and interfaces that are being loaded */

struct klass **classes;
struct method **methods;
char class_error[400];
struct method *object_equals, *object_toString;
static uint32_t classes_cap, methods_cap;
static struct atom *atoms[HASH_SIZE];
static struct klass *by_name[HASH_SIZE];
static unsigned nesting;

/* Volatile memory of classes: a list, so that a load that fails gives back what it took. */
struct piece {
        struct piece *next;
        size_t size;
};
static struct piece *pieces;

static void *piece(size_t size)
{
        struct piece *p = pvm_host->mem_alloc(sizeof(*p) + size);

        if (!p)
                return NULL;
        p->next = pieces;
        p->size = sizeof(*p) + size;
        pieces = p;
        return p + 1;
}

static void pieces_free(struct piece *to)
{
        while (pieces != to) {
                struct piece *next = pieces->next;

                pvm_host->mem_free(pieces, pieces->size);
                pieces = next;
        }
}

static void *__attribute__((format(printf, 1, 2))) failed(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(class_error, sizeof(class_error), fmt, ap);
        va_end(ap);
        return NULL;
}

static void *no_memory(void)
{
        return failed("no memory");
}

const struct atom *atom(const char *text, size_t len)
{
        uint32_t hash = bytes_hash(text, len);
        struct atom **head = &atoms[hash % HASH_SIZE], *a;

        for (a = *head; a; a = a->next)
                if (a->hash == hash && a->len == len && !memcmp(a->text, text, len))
                        return a;
        a = pvm_host->mem_alloc(sizeof(*a) + len + 1);
        if (!a)
                return no_memory();
        a->hash = hash;
        a->len = (uint32_t)len;
        memcpy(a->text, text, len);
        a->next = *head;
        *head = a;
        return a;
}

static const struct atom *atom_of(struct pvm_text t)
{
        return atom(t.p, t.len);
}

/* ---- what is known of internal classes ---- */

enum { NOTNEW = 1, FINAL = 2, INTERFACE = 4 };
#define NONE PVM_NO_ORDINAL
static const struct {
        const char *name, *parent;
        unsigned flags;
} internal[] = {
        {0},
#define CLASS(id, name, parent, flags) {name, parent, flags},
#define FIELD(id, name, desc)
#define METHOD(id, function, name, ordinal, desc)
#define STATIC(id, function, name, ordinal, desc)
#define MISSING(id, name, ordinal, desc)
#include "pvm/internal.def"
        {".internal.store.raw", ".internal.object", NOTNEW | FINAL},
        {".internal.store.references", ".internal.object", NOTNEW | FINAL},
        {".internal.stack", ".internal.object", NOTNEW | FINAL},
        {"[i", ".internal.container.array", NOTNEW | FINAL},
        {"[l", ".internal.container.array", NOTNEW | FINAL},
        {"[f", ".internal.container.array", NOTNEW | FINAL},
        {"[d", ".internal.container.array", NOTNEW | FINAL},
        {"[u", ".internal.container.array", NOTNEW | FINAL},
};
_Static_assert(sizeof(internal) / sizeof(internal[0]) == CLASS_FIXED, "internal classes");

/* Objects of internal classes that are more than a header: references come first, one behind the other. */
static const struct {
        uint8_t kind, nrefs;
        uint16_t size;
} shape[CLASS_FIXED] = {
        [CLASS_string] = {CLASS_RAW, 0, sizeof(struct string)},
        [CLASS_int] = {CLASS_RAW, 0, sizeof(struct box32)},
        [CLASS_long] = {CLASS_RAW, 0, sizeof(struct box64)},
        [CLASS_float] = {CLASS_RAW, 0, sizeof(struct box32)},
        [CLASS_double] = {CLASS_RAW, 0, sizeof(struct box64)},
        [CLASS_class] = {CLASS_PLAIN, 5, sizeof(struct class_obj)},
        [CLASS_array] = {CLASS_PLAIN, 1, sizeof(struct array)},
        [CLASS_iterator] = {CLASS_PLAIN, 1, sizeof(struct iterator)},
        [CLASS_binary] = {CLASS_PLAIN, 1, sizeof(struct binary)},
        [CLASS_directory] = {CLASS_PLAIN, 2, sizeof(struct directory)},
        [CLASS_mutex] = {CLASS_PLAIN, 3, sizeof(struct mutex)},
        [CLASS_cond] = {CLASS_PLAIN, 2, sizeof(struct cond)},
        [CLASS_sema] = {CLASS_PLAIN, 2, sizeof(struct sema)},
        [CLASS_thread] = {CLASS_THREAD, 0, sizeof(struct thread)},
        [CLASS_weakref] = {CLASS_WEAK, 0, sizeof(struct weakref)},
        [CLASS_closure] = {CLASS_PLAIN, 3, sizeof(struct closure)},
        [CLASS_error] = {CLASS_PLAIN, 1, sizeof(struct error)},
        [CLASS_store_raw] = {CLASS_RAW, 0, sizeof(struct store)},
        [CLASS_store_refs] = {CLASS_REFS, 0, sizeof(struct store)},
        [CLASS_stack] = {CLASS_STACK, 0, sizeof(struct stack)},
        [CLASS_array_i] = {CLASS_PLAIN, 1, sizeof(struct array)},
        [CLASS_array_l] = {CLASS_PLAIN, 1, sizeof(struct array)},
        [CLASS_array_f] = {CLASS_PLAIN, 1, sizeof(struct array)},
        [CLASS_array_d] = {CLASS_PLAIN, 1, sizeof(struct array)},
        [CLASS_array_u] = {CLASS_PLAIN, 1, sizeof(struct array)},
};

/* ---- tables ---- */

static bool table_room(void **table, uint32_t *cap, uint32_t need)
{
        uint32_t more = *cap ? *cap : 1024;
        void *p;

        if (need <= *cap)
                return true;
        while (more < need)
                more *= 2;
        p = pvm_host->mem_alloc(more * sizeof(void *));
        if (!p)
                return false;
        if (*table) {
                memcpy(p, *table, *cap * sizeof(void *));
                pvm_host->mem_free(*table, *cap * sizeof(void *));
        }
        *table = p;
        *cap = more;
        return true;
}

static struct klass *known(const struct atom *name)
{
        struct klass *k = by_name[name->hash % HASH_SIZE];

        while (k && k->name != name)
                k = k->next;
        return k;
}

/* The class is known from here on. Its index and ids are set; there is room in the tables. */
static void enter(struct klass *k)
{
        struct klass **head = &by_name[k->name->hash % HASH_SIZE];

        k->next = *head;
        *head = k;
        classes[k->index] = k;
        for (uint32_t i = 0; i < k->nmethods; i++)
                methods[k->methods[i].id] = &k->methods[i];
}

bool class_is(const struct klass *k, const struct klass *of)
{
        if (of->flags & PVM_CLASS_INTERFACE) {
                for (uint32_t i = 0; i < k->ninterfaces; i++)
                        if (k->interfaces[i] == of)
                                return true;
                return k == of;
        }
        if (k->depth >= of->depth && k->display[of->depth] == of)
                return true;
        if (k->array != ARRAY_R || of->array != ARRAY_R)
                return false;
        if (of->index == CLASS_array_u)
                return true;
        struct klass *a = class_of_type((struct pvm_text){k->element->text, k->element->len});
        struct klass *b = class_of_type((struct pvm_text){of->element->text, of->element->len});

        return a && b && class_is(a, b);
}

/* ---- linking ---- */

struct names { /* pairs of pointers that were seen, or a pointer and a number */
        const void *(*pair)[2];
        uint32_t mask;
};

static bool names_room(struct names *n, uint32_t count)
{
        uint32_t size = 16;

        while (size < count * 2)
                size *= 2;
        n->mask = size - 1;
        n->pair = pvm_host->mem_alloc(size * sizeof(*n->pair));
        return n->pair;
}

static void names_free(struct names *n)
{
        if (n->pair)
                pvm_host->mem_free(n->pair, (n->mask + 1ul) * sizeof(*n->pair));
}

/* False: it was there. a is not NULL. */
static bool names_add(struct names *n, const void *a, const void *b)
{
        uint32_t i = (uint32_t)(((uint64_t)a * 31 ^ (uint64_t)b) * 0x9e3779b97f4a7c15ul >> 40);

        for (;; i++) {
                const void **p = n->pair[i & n->mask];

                if (!p[0]) {
                        p[0] = a;
                        p[1] = b;
                        return true;
                }
                if (p[0] == a && p[1] == b)
                        return false;
        }
}

static uint32_t method_hash(const struct atom *name, const struct atom *params)
{
        return name->hash * 31 + params->hash;
}

struct method *class_virtual(const struct klass *k, const struct atom *name, const struct atom *params)
{
        for (uint32_t i = method_hash(name, params);; i++) {
                struct method *m = k->lookup[i & k->lookup_mask];

                if (!m || (m->name == name && m->params == params))
                        return m;
        }
}

static bool make_lookup(struct klass *k)
{
        uint32_t size = 4;

        while (size < k->nvtable * 2)
                size *= 2;
        k->lookup = piece(size * sizeof(*k->lookup));
        if (!k->lookup)
                return no_memory();
        k->lookup_mask = size - 1;
        for (uint32_t v = 0; v < k->nvtable; v++) {
                struct method *m = k->vtable[v];
                uint32_t i = method_hash(m->name, m->params);

                while (k->lookup[i & k->lookup_mask])
                        i++;
                k->lookup[i & k->lookup_mask] = m;
        }
        return true;
}

static bool is_virtual(const struct method *m)
{
        return !(m->flags & (PVM_STATIC | PVM_PRIVATE)) && m->name->text[0] != '.';
}

static bool make_vtable(struct klass *k)
{
        uint32_t inherited = k->parent ? k->parent->nvtable : 0;
        struct names ordinals = {0};

        k->vtable = piece((inherited + k->nmethods) * sizeof(*k->vtable));
        if (!k->vtable)
                return no_memory();
        if (inherited)
                memcpy(k->vtable, k->parent->vtable, inherited * sizeof(*k->vtable));
        k->nvtable = inherited;
        for (uint32_t i = 0; i < k->nmethods; i++) {
                struct method *m = &k->methods[i], *over;

                m->vindex = -1;
                if (!is_virtual(m))
                        continue;
                over = inherited ? class_virtual(k->parent, m->name, m->params) : NULL;
                if (!over) {
                        m->vindex = (int32_t)k->nvtable;
                        k->vtable[k->nvtable++] = m;
                        continue;
                }
                if (over->flags & PVM_FINAL)
                        return failed("%s: %s%s is final in %s", k->name->text, m->name->text, m->desc->text,
                                      over->class->name->text);
                if (over->result != m->result)
                        return failed("%s: %s%s has another result than in %s: %s", k->name->text, m->name->text,
                                      m->desc->text, over->class->name->text, over->desc->text);
                if (m->ordinal == PVM_NO_ORDINAL)
                        m->ordinal = over->ordinal;
                else if (over->ordinal != PVM_NO_ORDINAL && over->ordinal != m->ordinal)
                        return failed("%s: %s%s has ordinal %u, in %s it is %u", k->name->text, m->name->text,
                                      m->desc->text, m->ordinal, over->class->name->text, over->ordinal);
                m->vindex = over->vindex;
                k->vtable[m->vindex] = m;
        }
        if (!names_room(&ordinals, k->nvtable))
                return no_memory();
        for (uint32_t v = 0; v < k->nvtable; v++) {
                struct method *m = k->vtable[v];

                /* The original's internal classes use some numbers of their parent again. */
                if (m->ordinal != PVM_NO_ORDINAL && !names_add(&ordinals, (void *)(m->ordinal + 1ul), NULL) &&
                    k->index >= CLASS_FIXED) {
                        names_free(&ordinals);
                        return failed("%s: ordinal %u of %s%s belongs to another method, too", k->name->text,
                                      m->ordinal, m->name->text, m->desc->text);
                }
                if (m->flags & PVM_ABSTRACT && !(k->flags & (PVM_CLASS_ABSTRACT | PVM_CLASS_INTERFACE))) {
                        names_free(&ordinals);
                        return failed("%s: %s%s is abstract in %s, and the class is not", k->name->text, m->name->text,
                                      m->desc->text, m->class->name->text);
                }
        }
        names_free(&ordinals);
        return make_lookup(k);
}

static bool under(struct klass *k, struct klass *parent)
{
        k->parent = parent;
        k->depth = 0;
        if (parent) {
                if (parent->depth == PVM_MAX_DEPTH)
                        return failed("%s: more than %u classes above it", k->name->text, PVM_MAX_DEPTH);
                if (parent->flags & PVM_CLASS_FINAL)
                        return failed("%s: its parent %s is final", k->name->text, parent->name->text);
                if (parent->flags & PVM_CLASS_INTERFACE)
                        return failed("%s: its parent %s is an interface", k->name->text, parent->name->text);
                memcpy(k->display, parent->display, sizeof(k->display));
                k->depth = parent->depth + 1;
                k->kind = parent->kind;
                k->no_new |= parent->no_new;
        }
        k->display[k->depth] = k;
        return true;
}

static bool split_method(struct method *m)
{
        char types[PVM_MAX_ARGS];
        unsigned n;
        uint32_t params;

        if (!pvm_method_split((struct pvm_text){m->desc->text, m->desc->len}, types, PVM_MAX_ARGS - 1, &n, &m->result,
                              &params))
                return failed("bad descriptor %s", m->desc->text);
        m->nargs = (uint16_t)(n + !(m->flags & PVM_STATIC));
        m->params = atom(m->desc->text, params);
        if (!m->params)
                return false;
        if (!m->code) {
                char *t = piece(m->nargs + 1u);

                if (!t)
                        return no_memory();
                t[0] = 'R';
                memcpy(t + !(m->flags & PVM_STATIC), types, n);
                m->types = t;
        }
        return true;
}

static bool internal_class(uint32_t index)
{
        struct klass *k = piece(sizeof(*k));
        struct klass *parent = NULL;
        unsigned n = 0;

        if (!k)
                return no_memory();
        k->index = index;
        k->name = atom(internal[index].name, strlen(internal[index].name));
        if (!k->name)
                return false;
        if (*internal[index].parent) {
                const struct atom *p = atom(internal[index].parent, strlen(internal[index].parent));

                parent = p ? known(p) : NULL;
                if (!parent)
                        pvm_host->panic("%s comes before its parent", internal[index].name);
        }
        k->no_new = internal[index].flags & NOTNEW;
        k->kind = shape[index].kind;
        k->size = shape[index].size ? shape[index].size : parent ? parent->size : sizeof(struct obj);
        k->nrefs = shape[index].size || !parent ? shape[index].nrefs : parent->nrefs;
        k->refs = piece((k->nrefs + 1u) * sizeof(*k->refs));
        if (!k->refs)
                return no_memory();
        for (unsigned i = 0; i < k->nrefs; i++)
                k->refs[i] = (uint16_t)(i + 1);
        if (index >= CLASS_array_i && index <= CLASS_array_u) {
                k->array = (uint8_t)(ARRAY_I + (index - CLASS_array_i));
                k->element = atom(internal[index].name + 1, 1);
                if (!k->element)
                        return false;
        }
        uint8_t kind = k->kind;

        /* Array classes are children of a class that is final for all others. */
        if (parent) {
                uint16_t flags = parent->flags;

                parent->flags &= (uint16_t)~PVM_CLASS_FINAL;
                if (!under(k, parent))
                        return false;
                parent->flags = flags;
                k->no_new = internal[index].flags & NOTNEW;
        } else {
                under(k, NULL);
        }
        k->kind = kind;
        k->flags = internal[index].flags & FINAL ? PVM_CLASS_FINAL : 0;
        for (unsigned i = 0; i < native_nmethods; i++)
                k->nmethods += native_methods[i].class == index;
        k->methods = piece((k->nmethods + 1) * sizeof(*k->methods));
        if (!k->methods)
                return no_memory();
        for (unsigned i = 0; i < native_nmethods; i++) {
                const struct native_method *from = &native_methods[i];
                struct method *m = &k->methods[n];

                if (from->class != index)
                        continue;
                *m = (struct method){.class = k,
                                     .flags = from->is_static ? PVM_STATIC : 0,
                                     .native = from->fn,
                                     .ordinal = from->ordinal,
                                     .name = atom(from->name, strlen(from->name)),
                                     .desc = atom(from->desc, strlen(from->desc))};
                if (!m->name || !m->desc || !split_method(m))
                        return false;
                m->id = root()->nmethods + n++;
        }
        if (index == CLASS_error) {
                k->fields = piece(sizeof(*k->fields));
                if (!k->fields)
                        return no_memory();
                k->fields[0] = (struct field){.name = atom("message", 7),
                                              .type = atom(".internal.string;", 17),
                                              .class = k,
                                              .machine = 'R',
                                              .offset = offsetof(struct error, message)};
                k->nfields = 1;
                if (!k->fields[0].name || !k->fields[0].type)
                        return false;
        }
        if (!make_vtable(k) || !table_room((void **)&classes, &classes_cap, index + 1) ||
            !table_room((void **)&methods, &methods_cap, root()->nmethods + k->nmethods))
                return false;
        enter(k);
        return true;
}

/* ---- what is in the heap of a class ---- */

/* The persistent part of a new class. */
static bool make_object(struct klass *k, struct store *file, uint32_t nliterals, uint32_t nstatic_refs,
                        uint32_t nstatic_raw)
{
        struct root *r = root();
        struct class_obj *o = heap_alloc(CLASS_class, sizeof(*o), 0);
        struct store *table = r->classes;

        if (!o)
                return no_memory();
        if (!table || k->index >= table->cap) {
                table = store_new(CLASS_store_refs, 0, table ? table->cap * 2 : 256, 8);
                if (!table)
                        return no_memory();
                if (r->classes)
                        memcpy(table->r, r->classes->r, r->classes->len * 8ul);
        }
        o->name = string_new(k->name->text, k->name->len);
        o->literals = nliterals ? store_new(CLASS_store_refs, nliterals, nliterals, 8) : NULL;
        o->static_refs = nstatic_refs ? store_new(CLASS_store_refs, nstatic_refs, nstatic_refs, 8) : NULL;
        o->static_raw = nstatic_raw ? store_new(CLASS_store_raw, nstatic_raw, nstatic_raw, 8) : NULL;
        if (!o->name || (nliterals && !o->literals) || (nstatic_refs && !o->static_refs) ||
            (nstatic_raw && !o->static_raw))
                return no_memory();
        o->file = file;
        o->index = k->index;
        o->method_base = r->nmethods;
        o->nmethods = k->nmethods;
        k->object = o;
        for (uint32_t i = 0; i < nliterals; i++) {
                /* In the order of the pool; class.c only knows how many. */
                o->literals->r[i] = NULL;
        }
        table->len = k->index + 1;
        table->r[k->index] = &o->o;
        r->classes = table;
        r->nclasses = table->len;
        r->nmethods += k->nmethods;
        return true;
}

static int find_object_methods(void)
{
        const struct atom *equals = atom("equals", 6), *one = atom("(u)", 3), *to_string = atom("toString", 8),
                          *none = atom("()", 2);

        if (!equals || !one || !to_string || !none)
                return -ENOMEM;
        object_equals = class_virtual(classes[CLASS_object], equals, one);
        object_toString = class_virtual(classes[CLASS_object], to_string, none);
        return 0;
}

int class_create(void)
{
        root()->nclasses = 1;
        for (uint32_t i = 1; i < CLASS_FIXED; i++)
                if (!internal_class(i) || !make_object(classes[i], NULL, 0, 0, 0))
                        return -ENOMEM;
        return find_object_methods();
}

/* Internal classes again, with the ids that they had; the same machine, or one that has the same internal classes. */
int class_recover(void)
{
        struct root *r = root();
        uint32_t nmethods = r->nmethods;

        if (r->nclasses < CLASS_FIXED || !table_room((void **)&classes, &classes_cap, r->nclasses) ||
            !table_room((void **)&methods, &methods_cap, r->nmethods))
                return r->nclasses < CLASS_FIXED ? -EINVAL : -ENOMEM;
        for (uint32_t i = 1; i < CLASS_FIXED; i++) {
                struct class_obj *o = (struct class_obj *)r->classes->r[i];

                if (strcmp(o->name->text, internal[i].name)) {
                        failed("internal class %u is %s there, %s here", i, o->name->text, internal[i].name);
                        return -EINVAL;
                }
                r->nmethods = o->method_base; /* where internal_class takes its ids from */
                bool ok = internal_class(i);

                r->nmethods = nmethods;
                if (!ok)
                        return -ENOMEM;
                if (classes[i]->nmethods != o->nmethods) {
                        failed("%s has %u methods there, %u here", internal[i].name, o->nmethods, classes[i]->nmethods);
                        return -EINVAL;
                }
                classes[i]->object = o;
        }
        return find_object_methods();
}

void class_forget(void)
{
        pieces_free(NULL);
        for (unsigned i = 0; i < HASH_SIZE; i++) {
                while (atoms[i]) {
                        struct atom *next = atoms[i]->next;

                        pvm_host->mem_free(atoms[i], sizeof(*next) + atoms[i]->len + 1);
                        atoms[i] = next;
                }
                by_name[i] = NULL;
        }
        if (classes)
                pvm_host->mem_free(classes, classes_cap * sizeof(void *));
        if (methods)
                pvm_host->mem_free(methods, methods_cap * sizeof(void *));
        classes = NULL;
        methods = NULL;
        classes_cap = methods_cap = 0;
        nesting = 0;
}

/* ---- files ---- */

static bool link_fields(struct klass *k, uint32_t *nstatic_refs, uint32_t *nstatic_raw)
{
        const struct pvm_file *f = &k->file;
        uint32_t size = k->parent ? k->parent->size : sizeof(struct obj), hole = 0,
                 nrefs = k->parent ? k->parent->nrefs : 0;
        struct names names = {0};

        k->nfields = f->h->nfields;
        k->fields = piece((k->nfields + 1) * sizeof(*k->fields));
        k->refs = piece((nrefs + k->nfields + 1) * sizeof(*k->refs));
        if (!k->fields || !k->refs || !names_room(&names, k->nfields))
                return no_memory();
        if (nrefs)
                memcpy(k->refs, k->parent->refs, nrefs * sizeof(*k->refs));
        for (uint32_t i = 0; i < k->nfields; i++) {
                const struct pvm_file_field *from = &f->fields[i];
                struct field *to = &k->fields[i];
                const char *p;

                *to = (struct field){.class = k,
                                     .flags = from->flags,
                                     .name = atom_of(pvm_file_text(f, from->name)),
                                     .type = atom_of(pvm_file_text(f, from->type))};
                if (!to->name || !to->type) {
                        names_free(&names);
                        return false;
                }
                p = to->type->text;
                to->machine = pvm_type_next(&p, p + to->type->len);
                if (!names_add(&names, to->name, to->type)) {
                        names_free(&names);
                        return failed("%s: two fields %s", k->name->text, to->name->text);
                }
                if (from->flags & PVM_STATIC) {
                        to->offset = to->machine == 'R' ? (*nstatic_refs)++ : (*nstatic_raw)++;
                } else if (to->machine == 'I' || to->machine == 'F') {
                        if (!hole && size % 8) {
                                hole = size;
                                size += 4;
                        }
                        if (hole) {
                                to->offset = hole;
                                hole = 0;
                        } else {
                                to->offset = size;
                                hole = size + 4;
                                size += 8;
                        }
                } else {
                        if (size % 8) {
                                hole = size;
                                size += 4;
                        }
                        to->offset = size;
                        size += 8;
                        if (to->machine == 'R')
                                k->refs[nrefs++] = (uint16_t)(to->offset / 8);
                }
        }
        /* What is free behind the last field, children may use. */
        k->size = hole && hole + 4 == size ? hole : size;
        k->nrefs = (uint16_t)nrefs;
        names_free(&names);
        if (k->size > OBJ_LARGE)
                return failed("%s: an object would have %u bytes", k->name->text, k->size);
        return true;
}

/* Call sites get a number each; what depends on register types is made an instruction of its own (interp.h has them). */
static bool prepare_code(struct klass *k, struct method *m)
{
        const uint32_t *from = pvm_file_code(&k->file, m->file);

        m->ncode = m->file->ncode;
        m->code = piece(m->ncode * 4ul);
        if (!m->code)
                return no_memory();
        memcpy(m->code, from, m->ncode * 4ul);
        for (uint32_t pc = 0; pc < m->ncode; pc += pvm_op_words(from, pc, m->ncode))
                if (pvm_op_info[from[pc] & 0xff].format == PVM_CALL)
                        k->nsites++;
        return true;
}

static bool make_sites(struct klass *k)
{
        uint32_t n = 0;

        k->sites = piece((k->nsites + 1ul) * sizeof(*k->sites));
        if (!k->sites)
                return no_memory();
        for (uint32_t i = 0; i < k->nmethods; i++) {
                struct method *m = &k->methods[i];
                const uint32_t *from = m->code ? pvm_file_code(&k->file, m->file) : NULL;

                for (uint32_t pc = 0; m->code && pc < m->ncode; pc += pvm_op_words(from, pc, m->ncode))
                        if (pvm_op_info[from[pc] & 0xff].format == PVM_CALL) {
                                k->sites[n].pool = from[pc + 1];
                                m->code[pc + 1] = n++;
                        }
        }
        return true;
}

static bool link_methods(struct klass *k)
{
        const struct pvm_file *f = &k->file;
        struct names names = {0};
        bool ok = true;

        k->nmethods = f->h->nmethods;
        k->methods = piece((k->nmethods + 1) * sizeof(*k->methods));
        if (!k->methods || !names_room(&names, k->nmethods))
                return no_memory();
        for (uint32_t i = 0; ok && i < k->nmethods; i++) {
                const struct pvm_file_method *from = &f->methods[i];
                struct method *m = &k->methods[i];

                *m = (struct method){.class = k,
                                     .flags = (uint8_t)from->flags,
                                     .ordinal = from->ordinal,
                                     .file = from,
                                     .nregs = from->nregs,
                                     .types = (const char *)f->data + from->types,
                                     .name = atom_of(pvm_file_text(f, from->name)),
                                     .desc = atom_of(pvm_file_text(f, from->type))};
                ok = m->name && m->desc && (!from->ncode || prepare_code(k, m)) && split_method(m);
                if (ok && !names_add(&names, m->name, m->params)) {
                        failed("%s: two methods %s%s", k->name->text, m->name->text, m->params->text);
                        ok = false;
                }
        }
        names_free(&names);
        return ok && make_sites(k);
}

static bool link_interfaces(struct klass *k, struct klass **direct, uint32_t ndirect)
{
        uint32_t max = ndirect + (k->parent ? k->parent->ninterfaces : 0), n = 0;
        struct names names = {0};

        for (uint32_t i = 0; i < ndirect; i++) {
                if (!(direct[i]->flags & PVM_CLASS_INTERFACE))
                        return failed("%s: implements %s, which is no interface", k->name->text, direct[i]->name->text);
                max += direct[i]->ninterfaces;
        }
        if (max > PVM_MAX_MEMBERS)
                return failed("%s: more than %u interfaces", k->name->text, PVM_MAX_MEMBERS);
        k->interfaces = piece((max + 1) * sizeof(*k->interfaces));
        if (!k->interfaces || !names_room(&names, max))
                return no_memory();
        for (uint32_t i = 0; k->parent && i < k->parent->ninterfaces; i++)
                if (names_add(&names, k->parent->interfaces[i], NULL))
                        k->interfaces[n++] = k->parent->interfaces[i];
        for (uint32_t i = 0; i < ndirect; i++) {
                if (names_add(&names, direct[i], NULL))
                        k->interfaces[n++] = direct[i];
                for (uint32_t j = 0; j < direct[i]->ninterfaces; j++)
                        if (names_add(&names, direct[i]->interfaces[j], NULL))
                                k->interfaces[n++] = direct[i]->interfaces[j];
        }
        k->ninterfaces = n;
        names_free(&names);
        return true;
}

static bool is_literal(unsigned tag)
{
        return tag == PVM_POOL_STRING || tag == PVM_POOL_BYTES;
}

static struct obj *literal(const struct pvm_file *f, unsigned i)
{
        struct pvm_text t = pvm_file_text(f, f->pool[i].tag == PVM_POOL_STRING ? f->pool[i].a : i);
        struct binary *b;

        if (f->pool[i].tag == PVM_POOL_STRING)
                return (struct obj *)string_new(t.p, t.len);
        b = heap_alloc(CLASS_binary, sizeof(*b), OBJ_IMMUTABLE);
        if (!b)
                return NULL;
        b->store = store_new(CLASS_store_raw, t.len, t.len, 1);
        if (!b->store)
                return NULL;
        memcpy(b->store->b, t.p, t.len);
        return &b->o;
}

static bool make_constants(struct klass *k, bool new)
{
        const struct pvm_file *f = &k->file;
        uint32_t n = 0;

        for (uint32_t i = 1; i < f->h->npool; i++) {
                k->constants[i].bits =
                        f->pool[i].tag >= PVM_POOL_INT && f->pool[i].tag <= PVM_POOL_DOUBLE ? f->pool[i].c : 0;
                if (!is_literal(f->pool[i].tag))
                        continue;
                if (new) {
                        struct obj *o = literal(f, i);

                        if (!o)
                                return no_memory();
                        k->object->literals->r[n] = o;
                }
                k->constants[i].r = k->object->literals->r[n++];
        }
        return true;
}

/*
 * A class of a file that is in the heap. object: its persistent part, when there is one already. The parent and the interfaces are loaded first.
 */
static struct klass *build(struct store *file, struct class_obj *object, const struct atom *name)
{
        struct klass *k, *parent, **direct = NULL;
        struct pvm_file f;
        struct piece *mark;
        char why[300];
        uint32_t nstatic_refs = 0, nstatic_raw = 0, nliterals = 0, ndirect;

        if (!pvm_file_open(&f, file->b, file->len, why, sizeof(why)) || !pvm_file_verify(&f, why, sizeof(why)))
                return failed("%s is refused: %s", name->text, why);
        if (pvm_file_class_name(&f, f.h->this_class).len != name->len ||
            memcmp(pvm_file_class_name(&f, f.h->this_class).p, name->text, name->len))
                return failed("%s: the file has another class in it", name->text);
        parent = f.h->parent
                         ? class_find(pvm_file_class_name(&f, f.h->parent).p, pvm_file_class_name(&f, f.h->parent).len)
                         : classes[CLASS_object];
        if (!parent)
                return NULL;
        ndirect = f.h->ninterfaces;
        if (ndirect) {
                direct = pvm_host->mem_alloc(ndirect * sizeof(*direct));
                if (!direct)
                        return no_memory();
        }
        for (uint32_t i = 0; i < ndirect; i++) {
                struct pvm_text t = pvm_file_class_name(&f, f.interfaces[i]);

                direct[i] = class_find(t.p, t.len);
                if (!direct[i]) {
                        pvm_host->mem_free(direct, ndirect * sizeof(*direct));
                        return NULL;
                }
        }
        mark = pieces;
        k = piece(sizeof(*k));
        if (k) {
                k->file = f;
                k->name = name;
                k->index = object ? object->index : root()->nclasses;
                k->flags = f.h->flags;
                k->constants = piece(3ul * f.h->npool * sizeof(*k->constants));
        }
        for (uint32_t i = 1; i < f.h->npool; i++)
                nliterals += is_literal(f.pool[i].tag);
        bool ok = k && k->constants;

        if (!ok)
                no_memory();
        ok = ok && under(k, parent) && link_fields(k, &nstatic_refs, &nstatic_raw) && link_methods(k) &&
             link_interfaces(k, direct, ndirect) && make_vtable(k);
        if (direct)
                pvm_host->mem_free(direct, ndirect * sizeof(*direct));
        if (ok && (!table_room((void **)&classes, &classes_cap, k->index + 1) ||
                   !table_room((void **)&methods, &methods_cap, root()->nmethods + k->nmethods))) {
                no_memory();
                ok = false;
        }
        if (ok && object) {
                k->object = object;
        } else if (ok) {
                /* Nothing of it is reachable before all of it is there. */
                struct root before = *root();

                ok = make_object(k, file, nliterals, nstatic_refs, nstatic_raw) && make_constants(k, true);
                if (!ok) {
                        root()->nclasses = before.nclasses;
                        root()->nmethods = before.nmethods;
                        if (root()->classes)
                                root()->classes->len = before.nclasses;
                }
        }
        if (!ok) {
                pieces_free(mark);
                return NULL;
        }
        make_constants(k, false);
        for (uint32_t i = 0; i < k->nmethods; i++) {
                k->methods[i].id = k->object->method_base + i;
                k->methods[i].constants = k->constants;
                k->methods[i].sites = k->sites;
        }
        for (uint32_t i = 0; i < k->nfields; i++) {
                struct field *d = &k->fields[i];

                if (d->flags & PVM_STATIC)
                        d->address = (slot *)(d->machine == 'R' ? (void *)k->object->static_refs->r
                                                                : (void *)k->object->static_raw->l) +
                                     d->offset;
        }
        enter(k);
        return k;
}

static struct klass *build_array(const struct atom *name, struct class_obj *object)
{
        struct klass *k = piece(sizeof(*k));
        struct klass *parent = classes[CLASS_array];
        const char *p = name->text + 1;
        char machine = pvm_type_next(&p, name->text + name->len);

        if (!k || !machine || p != name->text + name->len)
                return failed("%s: not an array", name->text);
        *k = *parent;
        k->index = object ? object->index : root()->nclasses;
        k->name = name;
        k->element = atom(name->text + 1, name->len - 1);
        k->array = ARRAY_R;
        k->parent = parent;
        k->depth = parent->depth + 1;
        k->display[k->depth] = k;
        k->methods = NULL;
        k->nmethods = 0;
        if (!k->element || !table_room((void **)&classes, &classes_cap, k->index + 1))
                return no_memory();
        k->object = object;
        if (!object && !make_object(k, NULL, 0, 0, 0))
                return NULL;
        enter(k);
        return k;
}

struct klass *class_find(const char *text, size_t len)
{
        const struct atom *name = atom(text, len);
        struct klass *k = name ? known(name) : NULL;
        struct store *file;
        void *bytes;
        size_t size;
        int r;

        if (k || !name)
                return k;
        if (len && *text == '[')
                return build_array(name, NULL);
        if (!pvm_class_name_ok((struct pvm_text){text, (uint32_t)len}))
                return failed("\"%.*s\" is not the name of a class", (int)(len < 200 ? len : 200), text);
        /* After a recovery: it may be there, and not yet known. */
        for (uint32_t i = CLASS_FIXED; i < root()->nclasses; i++) {
                struct class_obj *o = (struct class_obj *)root()->classes->r[i];

                if (!classes[i] && o->name->len == len && !memcmp(o->name->text, text, len))
                        return class_by_index(i);
        }
        if (nesting == MAX_NESTING)
                return failed("%s: its parents or interfaces lead in a circle, or are too many", name->text);
        r = pvm_host->find_class(text, len, &bytes, &size);
        if (r)
                return failed("%s: %s", name->text,
                              r == -ENOENT   ? "no such class"
                              : r == -ENOMEM ? "no memory"
                              : r == -EFBIG  ? "the file is too long"
                                             : "cannot be read");
        file = size <= PVM_MAX_FILE ? store_new(CLASS_store_raw, (uint32_t)size, (uint32_t)size, 1) : NULL;
        if (file)
                memcpy(file->b, bytes, size);
        pvm_host->mem_free(bytes, size);
        if (!file)
                return no_memory();
        nesting++;
        k = build(file, NULL, name);
        nesting--;
        return k;
}

struct klass *class_by_index(uint32_t index)
{
        struct class_obj *o;
        const struct atom *name;
        struct klass *k;

        if (index < classes_cap && classes[index])
                return classes[index];
        if (!index || index >= root()->nclasses)
                pvm_host->panic("pvm: an object of class %u", index);
        o = (struct class_obj *)root()->classes->r[index];
        name = atom(o->name->text, o->name->len);
        k = !name ? NULL : o->name->text[0] == '[' ? build_array(name, o) : build(o->file, o, name);
        if (!k)
                pvm_host->panic("pvm: class %s, of which there are objects: %s", o->name->text, class_error);
        return k;
}

struct klass *class_of_type(struct pvm_text t)
{
        switch (t.len ? t.p[0] : 0) {
        case 'i':
                return classes[CLASS_int];
        case 'l':
                return classes[CLASS_long];
        case 'f':
                return classes[CLASS_float];
        case 'd':
                return classes[CLASS_double];
        case '.':
                return class_find(t.p, t.len - 1);
        case '[':
                return class_find(t.p, t.len);
        default:
                return classes[CLASS_object];
        }
}

struct method *method_by_id(uint32_t id)
{
        uint32_t low = 1, high = root()->nclasses;

        if (id < methods_cap && methods[id])
                return methods[id];
        if (id >= root()->nmethods)
                pvm_host->panic("pvm: method %u of %u", id, root()->nmethods);
        /* The class with the greatest base that is not above; ids ascend with indexes. */
        while (high - low > 1) {
                uint32_t mid = low + (high - low) / 2;

                if (((struct class_obj *)root()->classes->r[mid])->method_base <= id)
                        low = mid;
                else
                        high = mid;
        }
        class_by_index(low);
        return methods[id];
}

/* ---- looking into them ---- */

struct field *class_field(struct klass *k, const struct atom *name, const struct atom *type, bool is_static)
{
        for (; k; k = k->parent)
                for (uint32_t i = 0; i < k->nfields; i++)
                        if (k->fields[i].name == name && (!type || k->fields[i].type == type) &&
                            !(k->fields[i].flags & PVM_STATIC) == !is_static)
                                return &k->fields[i];
        return NULL;
}

struct method *class_method(struct klass *k, const struct atom *name, const struct atom *params)
{
        for (; k; k = k->parent)
                for (uint32_t i = 0; i < k->nmethods; i++)
                        if (k->methods[i].name == name && k->methods[i].params == params)
                                return &k->methods[i];
        return NULL;
}

struct klass **class_params(struct method *m)
{
        const char *p = m->params->text + 1, *end = m->params->text + m->params->len - 1;
        struct klass **k;

        if (m->params_classes)
                return m->params_classes;
        k = piece((m->nargs + 1ul) * sizeof(*k));
        if (!k)
                return no_memory();
        for (unsigned i = !(m->flags & PVM_STATIC); p < end; i++) {
                const char *type = p;

                pvm_type_next(&p, end);
                if (m->types[i] != 'R' || *type == 'u')
                        continue;
                k[i] = class_of_type((struct pvm_text){type, (uint32_t)(p - type)});
                if (!k[i])
                        return NULL;
        }
        m->params_classes = k;
        return k;
}

struct method *class_by_ordinal(const struct klass *k, uint32_t ordinal)
{
        /* The youngest first: see make_vtable. */
        for (uint32_t v = k->nvtable; v--;)
                if (k->vtable[v]->ordinal == ordinal)
                        return k->vtable[v];
        return NULL;
}

struct method *class_static_init(struct klass *k)
{
        for (;;) {
                struct klass *first = NULL;

                for (struct klass *p = k; p; p = p->parent)
                        if (!p->object->initialised)
                                first = p;
                if (!first)
                        return NULL;
                first->object->initialised = 1;
                for (uint32_t i = 0; i < first->nmethods; i++)
                        if (!strcmp(first->methods[i].name->text, ".static"))
                                return &first->methods[i];
        }
}

uint32_t line_of(const struct method *m, uint32_t pc)
{
        const struct pvm_file_line *l;
        uint32_t line = 0;

        if (!m->code || !m->file->nlines)
                return 0;
        l = (const void *)(m->class->file.data + m->file->lines);
        for (uint32_t i = 0; i < m->file->nlines && l[i].pc <= pc; i++)
                line = l[i].line;
        return line;
}
