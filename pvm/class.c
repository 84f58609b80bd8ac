/*
 * class.c - classes: found, loaded, linked, looked into.
 *
 * What persists of a class is its struct class_obj: name, bytes of the file, statics, index and ids. Everything here is made of that, after a recovery again, when the first object
 * or frame needs it; then the file is checked and verified anew, by this machine. Classes stay. Of versions that were replaced (upgrade.c) the code is kept, as a struct
 * klass of its own, which is in no table: methods are what leads to it.
 *
 * A load first finds the parent and the interfaces (which may load them), then makes everything volatile, then what is in the heap, and only then is the class
 * known; a failure before that leaves nothing but what was found.
 */
#include "pvm/machine.h"
#include "pvm/jit/jit.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <asm/errno.h>
#include <stdarg.h>

#define HASH_SIZE   4096u
#define MAX_NESTING 128u /* parents and interfaces that are being loaded */

struct klass **classes;
struct method **methods;
_Thread_local char class_error[400];
_Thread_local const struct atom *class_wanted;
struct method *object_equals, *object_toString, *bootstrap_loadClass;
static uint32_t classes_cap, methods_cap;
static bool frames_ready; /* the methods of all frames are in the table */
static struct atom *atoms[HASH_SIZE];
static struct klass *by_name[HASH_SIZE];
static unsigned nesting;

/* Volatile memory of classes: a list, so that a load that fails gives back what it took. */
struct piece {
        struct piece *next;
        size_t size;
};
static struct piece *pieces;

struct class_world {
        struct piece *pieces;
        struct klass **classes;
        struct method **methods;
        uint32_t classes_cap, methods_cap;
        struct klass *by_name[HASH_SIZE];
};

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

void class_explain(const char *fmt, va_list ap)
{
        vsnprintf(class_error, sizeof(class_error), fmt, ap);
        class_wanted = NULL;
}

static void *__attribute__((format(printf, 1, 2))) failed(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        class_explain(fmt, ap);
        va_end(ap);
        return NULL;
}

static void *no_memory(void)
{
        return failed("no memory");
}

static struct atom *known_atom(const char *text, size_t len, uint32_t hash)
{
        struct atom *a = __atomic_load_n(&atoms[hash % HASH_SIZE], __ATOMIC_ACQUIRE);

        while (a && (a->hash != hash || a->len != len || memcmp(a->text, text, len) != 0))
                a = a->next;
        return a;
}

/* With the machine's lock. */
static const struct atom *new_atom(const char *text, size_t len, uint32_t hash)
{
        struct atom **head = &atoms[hash % HASH_SIZE], *a = known_atom(text, len, hash);

        if (a)
                return a;
        a = pvm_host->mem_alloc(sizeof(*a) + len + 1);
        if (!a)
                return no_memory();
        a->hash = hash;
        a->len = (uint32_t)len;
        memcpy(a->text, text, len);
        a->next = *head;
        __atomic_store_n(head, a, __ATOMIC_RELEASE);
        return a;
}

const struct atom *atom(const char *text, size_t len)
{
        uint32_t hash = bytes_hash(text, len);
        const struct atom *a = known_atom(text, len, hash);

        if (a)
                return a;
        machine_lock();
        a = new_atom(text, len, hash);
        machine_unlock();
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
        [CLASS_bitmap] = {CLASS_PLAIN, 1, sizeof(struct bitmap)},
        [CLASS_connection] = {CLASS_PLAIN, 2, sizeof(struct connection)},
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

/* Before a table's first entry. Workers look into tables at any time, so those that were too small stay, too. */
struct table {
        void *smaller; /* NULL: none */
        size_t size;
};

static bool table_room(void **table, uint32_t *cap, uint32_t need)
{
        uint32_t more = *cap ? *cap : 1024;
        struct table *t;

        if (need <= *cap)
                return true;
        while (more < need)
                more *= 2;
        t = pvm_host->mem_alloc(sizeof(*t) + more * sizeof(void *));
        if (!t)
                return false;
        t->smaller = *table;
        t->size = sizeof(*t) + more * sizeof(void *);
        if (*table)
                memcpy(t + 1, *table, *cap * sizeof(void *));
        __atomic_store_n(table, (void *)(t + 1), __ATOMIC_RELEASE);
        __atomic_store_n(cap, more, __ATOMIC_RELEASE);
        return true;
}

static void table_free(void *table)
{
        while (table) {
                struct table *t = (struct table *)table - 1;

                table = t->smaller;
                pvm_host->mem_free(t, t->size);
        }
}

/* What a table has there; NULL: nothing yet. */
static struct klass *known_class(uint32_t index)
{
        return index < __atomic_load_n(&classes_cap, __ATOMIC_ACQUIRE) ? classes[index] : NULL;
}

static struct method *known_method(uint32_t id)
{
        return id < __atomic_load_n(&methods_cap, __ATOMIC_ACQUIRE) ? methods[id] : NULL;
}

struct klass *class_known(const struct atom *name)
{
        struct klass *k = __atomic_load_n(&by_name[name->hash % HASH_SIZE], __ATOMIC_ACQUIRE);

        while (k && k->name != name)
                k = k->next;
        return k;
}

/* The class is known from here on. Its index and ids are set; there is room in the tables. */
static void enter(struct klass *k)
{
        struct klass **head = &by_name[k->name->hash % HASH_SIZE];

        k->next = *head;
        for (uint32_t i = 0; i < k->nmethods; i++)
                methods[k->methods[i].id] = &k->methods[i];
        __atomic_store_n(&classes[k->index], k, __ATOMIC_RELEASE);
        __atomic_store_n(head, k, __ATOMIC_RELEASE);
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
        k->current = k;
        k->version = 1;
        k->name = atom(internal[index].name, strlen(internal[index].name));
        if (!k->name)
                return false;
        if (*internal[index].parent) {
                const struct atom *p = atom(internal[index].parent, strlen(internal[index].parent));

                parent = p ? class_known(p) : NULL;
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
                                     .unlocked = native_is_unlocked(from->fn),
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

bool class_make_literals(struct class_obj *o, const struct pvm_file *f)
{
        struct store *s = NULL;
        uint32_t n = 0;

        for (uint32_t i = 1; i < f->h->npool; i++)
                n += is_literal(f->pool[i].tag);
        if (n) {
                s = store_new(CLASS_store_refs, n, n, 8);
                if (!s)
                        return no_memory();
        }
        n = 0;
        for (uint32_t i = 1; i < f->h->npool; i++) {
                if (!is_literal(f->pool[i].tag))
                        continue;
                s->r[n] = literal(f, i);
                if (!s->r[n++])
                        return no_memory();
        }
        o->literals = s;
        return true;
}

static void find_statics(struct klass *k)
{
        for (uint32_t i = 0; i < k->nfields + k->nkept; i++) {
                struct field *d = &k->fields[i];
                struct store *s = d->machine == 'R' ? k->object->static_refs : k->object->static_raw;

                if (d->flags & PVM_STATIC && s)
                        d->address = (slot *)s->l + d->offset;
        }
}

bool class_make_statics(struct klass *k)
{
        uint32_t nrefs = k->nstatic_refs, nraw = k->nstatic_raw;
        struct store *refs = nrefs ? store_new(CLASS_store_refs, nrefs, nrefs, 8) : NULL;
        struct store *raw = nraw ? store_new(CLASS_store_raw, nraw, nraw, 8) : NULL;

        if ((nrefs && !refs) || (nraw && !raw))
                return no_memory();
        k->object->static_refs = refs;
        k->object->static_raw = raw;
        find_statics(k);
        return true;
}

/* The persistent part of a new class. */
static bool make_object(struct klass *k, struct store *file)
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
        if (!o->name)
                return no_memory();
        o->file = file;
        o->index = k->index;
        o->method_base = r->nmethods;
        o->nmethods = k->nmethods;
        k->object = o;
        if (file && (!class_make_literals(o, &k->file) || !class_make_statics(k)))
                return false;
        table->len = k->index + 1;
        table->r[k->index] = &o->o;
        heap_wrote(&table->r[k->index]);
        r->classes = table;
        r->nclasses = table->len;
        r->nmethods += k->nmethods;
        return true;
}

/* Internal methods that the machine itself calls. */
static int find_methods(void)
{
        const struct atom *equals = atom("equals", 6), *one = atom("(u)", 3), *to_string = atom("toString", 8),
                          *none = atom("()", 2);

        if (!equals || !one || !to_string || !none)
                return -ENOMEM;
        object_equals = class_virtual(classes[CLASS_object], equals, one);
        object_toString = class_virtual(classes[CLASS_object], to_string, none);
        bootstrap_loadClass = class_by_ordinal(classes[CLASS_bootstrap], 8);
        return 0;
}

int class_create(void)
{
        root()->nclasses = 1;
        for (uint32_t i = 1; i < CLASS_FIXED; i++)
                if (!internal_class(i) || !make_object(classes[i], NULL))
                        return -ENOMEM;
        return find_methods();
}

/* Internal classes again, with the ids that they had; the same machine, or one that has the same internal classes. */
int class_recover(void)
{
        struct root *r = root();
        uint32_t nmethods;

        if (r->nclasses < CLASS_FIXED)
                return -EINVAL;
        if (r->version != ROOT_VERSION)
                upgrade_older_methods();
        nmethods = r->nmethods;
        if (!table_room((void **)&classes, &classes_cap, r->nclasses) ||
            !table_room((void **)&methods, &methods_cap, r->nmethods))
                return -ENOMEM;
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
        return find_methods();
}

static void forget_tables(void)
{
        pieces_free(NULL);
        table_free(classes);
        table_free(methods);
        memset(by_name, 0, sizeof(by_name));
        classes = NULL;
        methods = NULL;
        classes_cap = methods_cap = 0;
        frames_ready = false;
}

void class_forget(void)
{
        forget_tables();
        for (unsigned i = 0; i < HASH_SIZE; i++)
                while (atoms[i]) {
                        struct atom *next = atoms[i]->next;

                        pvm_host->mem_free(atoms[i], sizeof(*next) + atoms[i]->len + 1);
                        atoms[i] = next;
                }
        nesting = 0;
}

struct class_world *class_world_leave(void)
{
        struct class_world *w = pvm_host->mem_alloc(sizeof(*w));

        if (!w)
                return no_memory();
        *w = (struct class_world){pieces, classes, methods, classes_cap, methods_cap, {NULL}};
        memcpy(w->by_name, by_name, sizeof(by_name));
        pieces = NULL;
        classes_cap = methods_cap = 0;
        classes = NULL;
        methods = NULL;
        forget_tables();
        return w;
}

static void exchange(struct class_world *w)
{
        struct class_world here = {pieces, classes, methods, classes_cap, methods_cap, {NULL}};

        memcpy(here.by_name, by_name, sizeof(by_name));
        pieces = w->pieces;
        classes = w->classes;
        methods = w->methods;
        classes_cap = w->classes_cap;
        methods_cap = w->methods_cap;
        memcpy(by_name, w->by_name, sizeof(by_name));
        *w = here;
        frames_ready = false;
}

void class_world_return(struct class_world *w)
{
        exchange(w);
        find_methods();
        class_world_free(w);
}

void class_world_free(struct class_world *w)
{
        exchange(w);
        forget_tables();
        exchange(w);
        pvm_host->mem_free(w, sizeof(*w));
}

struct klass *class_world_class(const struct class_world *w, uint32_t index)
{
        return index < w->classes_cap ? w->classes[index] : NULL;
}

/* ---- files ---- */

/* Where the fields of a class go that come next. */
struct layout {
        uint32_t size, hole, nrefs;
        struct names names;
};

/* False: class_error, or (*twice) there is such a field. */
static bool add_field(struct klass *k, struct layout *l, const struct pvm_file *f, const struct pvm_file_field *from,
                      bool *twice)
{
        struct field *to = &k->fields[k->nfields + k->nkept];
        const char *p;

        *to = (struct field){.class = k,
                             .flags = from->flags,
                             .name = atom_of(pvm_file_text(f, from->name)),
                             .type = atom_of(pvm_file_text(f, from->type))};
        *twice = false;
        if (!to->name || !to->type)
                return false;
        p = to->type->text;
        to->machine = pvm_type_next(&p, p + to->type->len);
        if (!names_add(&l->names, to->name, to->type)) {
                *twice = true;
                return false;
        }
        if (from->flags & PVM_STATIC) {
                to->offset = to->machine == 'R' ? k->nstatic_refs++ : k->nstatic_raw++;
                return true;
        }
        if (to->machine == 'I' || to->machine == 'F') {
                if (!l->hole && l->size % 8) {
                        l->hole = l->size;
                        l->size += 4;
                }
                if (l->hole) {
                        to->offset = l->hole;
                        l->hole = 0;
                } else {
                        to->offset = l->size;
                        l->hole = l->size + 4;
                        l->size += 8;
                }
                return true;
        }
        if (l->size % 8) {
                l->hole = l->size;
                l->size += 4;
        }
        to->offset = l->size;
        l->size += 8;
        if (to->machine == 'R')
                k->refs[l->nrefs++] = (uint16_t)(to->offset / 8);
        return true;
}

/* The next of the class's replaced versions, from *at on, of which objects keep fields, its file in f; false: no more. */
static bool keeping_version(const struct klass *k, uint32_t *at, struct pvm_file *f)
{
        const struct store *v = root()->versions;
        char why[300];

        for (; v && *at < v->len; ++*at) {
                const struct class_obj *o = (const struct class_obj *)v->r[*at];

                if (o->index != k->index || !o->replaced.keeps_fields)
                        continue;
                if (!pvm_file_open(f, o->file->b, o->file->len, why, sizeof(why)))
                        pvm_host->panic("pvm: class %s, version %u: %s", k->name->text, o->replaced.version, why);
                ++*at;
                return true;
        }
        return false;
}

static bool link_fields(struct klass *k)
{
        const struct pvm_file *f = &k->file;
        struct layout l = {.size = k->parent ? k->parent->size : sizeof(struct obj),
                           .nrefs = k->parent ? k->parent->nrefs : 0};
        uint32_t most = f->h->nfields, at = 0;
        struct pvm_file version;
        bool ok = true, twice;

        while (keeping_version(k, &at, &version))
                most += version.h->nfields;
        k->fields = piece((most + 1) * sizeof(*k->fields));
        k->refs = piece((l.nrefs + most + 1) * sizeof(*k->refs));
        if (!k->fields || !k->refs || !names_room(&l.names, most))
                return no_memory();
        if (l.nrefs)
                memcpy(k->refs, k->parent->refs, l.nrefs * sizeof(*k->refs));
        for (; ok && k->nfields < f->h->nfields; k->nfields++) {
                ok = add_field(k, &l, f, &f->fields[k->nfields], &twice);
                if (!ok && twice)
                        failed("%s: two fields %s", k->name->text, k->fields[k->nfields].name->text);
        }
        for (at = 0; ok && keeping_version(k, &at, &version);)
                for (uint32_t i = 0; ok && i < version.h->nfields; i++) {
                        ok = add_field(k, &l, &version, &version.fields[i], &twice);
                        k->nkept += ok;
                        ok |= twice;
                }
        names_free(&l.names);
        if (!ok)
                return false;
        /* What is free behind the last field, children may use. */
        k->size = l.hole && l.hole + 4 == l.size ? l.hole : l.size;
        k->nrefs = (uint16_t)l.nrefs;
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
                m->starts = m->name && !strcmp(m->name->text, ".static");
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

/* What instructions find by pool index; the literals are there. */
static void set_constants(struct klass *k)
{
        const struct pvm_file *f = &k->file;
        uint32_t n = 0;

        for (uint32_t i = 1; i < f->h->npool; i++) {
                k->constants[i].bits =
                        f->pool[i].tag >= PVM_POOL_INT && f->pool[i].tag <= PVM_POOL_DOUBLE ? f->pool[i].c : 0;
                if (is_literal(f->pool[i].tag))
                        k->constants[i].r = k->object->literals->r[n++];
        }
}

static void number_methods(struct klass *k)
{
        set_constants(k);
        for (uint32_t i = 0; i < k->nmethods; i++) {
                k->methods[i].id = k->object->method_base + i;
                k->methods[i].constants = k->constants;
                k->methods[i].sites = k->sites;
        }
}

static bool writes_register_0(const struct klass *k, const struct method *m)
{
        const uint32_t *code = pvm_file_code(&k->file, m->file);
        const struct pvm_file_handler *h = (const void *)(k->file.data + m->file->handlers);

        for (uint32_t pc = 0; pc < m->ncode; pc += pvm_op_words(code, pc, m->ncode))
                if (pvm_op_info[code[pc] & 0xff].writes && !(code[pc] >> 8 & 0xff))
                        return true;
        for (uint32_t i = 0; i < m->file->nhandlers; i++)
                if (!h[i].reg)
                        return true;
        return false;
}

/* migrate() is for objects of versions before: the first one's is a method as any other. */
static bool find_migrate(struct klass *k)
{
        const struct store *s = root()->upgrades;
        const struct upgrade *u = s && (k->index + 1) * sizeof(*u) <= s->len ? (struct upgrade *)s->b + k->index : NULL;

        k->version = 1;
        if (!u || !u->version)
                return true;
        k->version = u->version;
        k->generation = u->generation;
        for (uint32_t i = 0; i < k->nmethods; i++) {
                struct method *m = &k->methods[i];

                if (strcmp(m->name->text, "migrate") || m->nargs != 1 || m->flags & PVM_STATIC || !m->code)
                        continue;
                if (writes_register_0(k, m))
                        return failed("%s: migrate() writes to register 0, its object", k->name->text);
                k->migrate = m;
        }
        k->lazy = k->migrate;
        return true;
}

static bool open_file(struct pvm_file *f, const struct store *file, const struct atom *name)
{
        char why[300];

        return (pvm_file_open(f, file->b, file->len, why, sizeof(why)) && pvm_file_verify(f, why, sizeof(why))) ||
               failed("%s is refused: %s", name->text, why);
}

/*
 * A class of a file that is in the heap. object: its persistent part, when there is one already. The parent and the interfaces are loaded first.
 */
static struct klass *build(struct store *file, struct class_obj *object, const struct atom *name)
{
        struct klass *k, *parent, **direct = NULL;
        struct pvm_file f;
        struct piece *mark;
        uint32_t ndirect;

        if (!open_file(&f, file, name))
                return NULL;
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
                k->current = k;
                k->flags = f.h->flags;
                k->constants = piece(3ul * f.h->npool * sizeof(*k->constants));
        }
        bool ok = k && k->constants;

        if (!ok)
                no_memory();
        ok = ok && under(k, parent) && link_fields(k) && link_methods(k) && find_migrate(k) &&
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
                find_statics(k);
        } else if (ok) {
                ok = make_object(k, file); /* nothing of it is reachable before all of it is there */
        }
        if (!ok) {
                pieces_free(mark);
                return NULL;
        }
        number_methods(k);
        enter(k);
        return k;
}

/* The code of a version that was replaced: what it is to others is what its class is now. NULL: class_error. */
static struct klass *build_version(struct class_obj *object, struct klass *current)
{
        struct piece *mark = pieces;
        struct klass *k = piece(sizeof(*k));

        if (!k)
                return no_memory();
        *k = *current;
        k->object = object;
        k->fields = NULL;
        k->nfields = k->nkept = 0;
        k->vtable = k->lookup = NULL;
        k->nvtable = 0;
        k->nsites = 0;
        k->migrate = NULL;
        k->generation = 0;
        k->version = object->replaced.version;
        if (!open_file(&k->file, object->file, k->name)) {
                pieces_free(mark);
                return NULL;
        }
        k->constants = piece(3ul * k->file.h->npool * sizeof(*k->constants));
        if (!k->constants || !link_methods(k) || !table_room((void **)&methods, &methods_cap, root()->nmethods)) {
                pieces_free(mark);
                return no_memory();
        }
        number_methods(k);
        for (uint32_t i = 0; i < k->nmethods; i++) {
                k->methods[i].vindex = -1;
                methods[k->methods[i].id] = &k->methods[i];
        }
        return k;
}

struct klass *class_version(const struct class_obj *replaced)
{
        return replaced->nmethods ? method_by_id(replaced->method_base)->class : NULL;
}

void class_drop_version(const struct class_obj *replaced)
{
        for (uint32_t id = replaced->method_base; id < replaced->method_base + replaced->nmethods; id++)
                if (known_method(id)) {
                        jit_drop_method(methods[id]);
                        methods[id] = NULL;
                }
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
        k->current = k;
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
        if (!object && !make_object(k, NULL))
                return NULL;
        enter(k);
        return k;
}

static void *circle(const struct atom *name)
{
        return failed("%s: its parents or interfaces lead in a circle, or are too many", name->text);
}

/* build(), for the parents and interfaces of a class as well. */
static struct klass *build_nested(struct store *file, struct class_obj *object, const struct atom *name)
{
        struct klass *k;

        if (nesting == MAX_NESTING)
                return circle(name);
        nesting++;
        k = build(file, object, name);
        nesting--;
        return k;
}

/* A class that the heap has not. */
static struct klass *build_new(const struct atom *name, const void *bytes, size_t size)
{
        struct store *file =
                size <= PVM_MAX_FILE ? store_new(CLASS_store_raw, (uint32_t)size, (uint32_t)size, 1) : NULL;

        if (!file)
                return no_memory();
        memcpy(file->b, bytes, size);
        return build_nested(file, NULL, name);
}

/* With the machine's lock. */
static struct klass *load(const struct atom *name)
{
        const char *text = name->text;
        size_t len = name->len;
        struct klass *k = class_known(name);
        void *bytes;
        size_t size;
        int r;

        if (k)
                return k;
        if (*name->text != '[' && !pvm_class_name_ok((struct pvm_text){text, (uint32_t)len}))
                return failed("\"%.*s\" is not the name of a class", (int)(len < 200 ? len : 200), text);
        /* After a recovery: it may be there, and not yet known. */
        for (uint32_t i = CLASS_FIXED; i < root()->nclasses; i++) {
                struct class_obj *o = (struct class_obj *)root()->classes->r[i];

                if (!known_class(i) && o->name->len == len && !memcmp(o->name->text, text, len)) {
                        if (*text == '[')
                                return build_array(name, o);
                        return build_nested(o->file, o, name);
                }
        }
        if (len && *text == '[')
                return build_array(name, NULL);
        r = pvm_host->find_class(text, len, &bytes, &size);
        if (r) {
                failed("%s: %s", name->text,
                       r == -ENOENT   ? "no such class"
                       : r == -ENOMEM ? "no memory"
                       : r == -EFBIG  ? "the file is too long"
                                      : "cannot be read");
                class_wanted = r == -ENOENT ? name : NULL;
                return NULL;
        }
        k = build_new(name, bytes, size);
        pvm_host->mem_free(bytes, size);
        return k;
}

struct klass *class_find(const char *text, size_t len)
{
        const struct atom *name = atom(text, len);
        struct klass *k = name ? class_known(name) : NULL;

        if (k || !name)
                return k;
        machine_lock();
        k = load(name);
        machine_unlock();
        return k;
}

struct klass *class_define(const char *text, size_t len, const void *bytes, size_t size)
{
        struct klass *k = class_find(text, len);

        return k || !class_wanted || class_wanted != atom(text, len) ? k : build_new(class_wanted, bytes, size);
}

/* NULL: class_error. */
static struct klass *load_index(uint32_t index)
{
        struct class_obj *o = (struct class_obj *)root()->classes->r[index];

        struct klass *k = known_class(index);

        return k ? k : class_find(o->name->text, o->name->len);
}

struct klass *class_by_index(uint32_t index)
{
        struct klass *k = known_class(index);

        if (k)
                return k;
        if (!index || index >= root()->nclasses)
                pvm_host->panic("pvm: an object of class %u", index);
        k = load_index(index);
        if (!k)
                pvm_host->panic("pvm: class %s, of which there are objects: %s",
                                ((struct class_obj *)root()->classes->r[index])->name->text, class_error);
        return k;
}

bool class_world_build(void)
{
        const struct store *v = root()->versions;

        for (uint32_t i = 1; i < root()->nclasses; i++)
                if (!load_index(i))
                        return false;
        for (uint32_t i = 0; v && i < v->len; i++) {
                struct class_obj *o = (struct class_obj *)v->r[i];

                if (o->nmethods && !methods[o->method_base] && !build_version(o, classes[o->index]))
                        return false;
        }
        return true;
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

static bool has_method(const struct class_obj *o, uint32_t id)
{
        return id - o->method_base < o->nmethods;
}

/* With the machine's lock. */
static struct method *find_method(uint32_t id)
{
        const struct store *s = root()->classes, *v = root()->versions;

        if (known_method(id))
                return known_method(id);
        for (uint32_t i = 1; i < s->len; i++)
                if (has_method((struct class_obj *)s->r[i], id))
                        return class_by_index(i), methods[id];
        for (uint32_t i = 0; v && i < v->len; i++) {
                struct class_obj *o = (struct class_obj *)v->r[i];

                if (!has_method(o, id))
                        continue;
                if (!build_version(o, class_by_index(o->index)))
                        pvm_host->panic("pvm: version %u of %s: %s", o->replaced.version, o->name->text, class_error);
                return methods[id];
        }
        pvm_host->panic("pvm: there is no method %u", id);
}

struct method *method_by_id(uint32_t id)
{
        struct method *m = known_method(id);

        if (m)
                return m;
        machine_lock();
        m = find_method(id);
        machine_unlock();
        return m;
}

void methods_of_frames(void)
{
        if (frames_ready)
                return;
        for (const struct thread *t = root()->threads; t; t = t->next)
                for (const struct frame *f = t->top; f; f = f->prev)
                        method_by_id(f->method);
        frames_ready = true;
}

/* ---- looking into them ---- */

static struct field *field_among(struct field *fields, uint32_t n, const struct atom *name, const struct atom *type,
                                 bool is_static)
{
        for (uint32_t i = 0; i < n; i++)
                if (fields[i].name == name && (!type || fields[i].type == type) &&
                    !(fields[i].flags & PVM_STATIC) == !is_static)
                        return &fields[i];
        return NULL;
}

struct field *class_field(struct klass *k, const struct atom *name, const struct atom *type, bool is_static)
{
        struct field *f = NULL;

        for (; k && !f; k = k->parent)
                f = field_among(k->fields, k->nfields, name, type, is_static);
        return f;
}

struct field *class_kept_field(struct klass *k, const struct atom *name, const struct atom *type, bool is_static)
{
        struct field *f = NULL;

        for (; k && !f; k = k->parent)
                f = field_among(k->fields + k->nfields, k->nkept, name, type, is_static);
        return f;
}

struct method *class_method(struct klass *k, const struct atom *name, const struct atom *params)
{
        for (; k; k = k->parent)
                for (uint32_t i = 0; i < k->nmethods; i++)
                        if (k->methods[i].name == name && k->methods[i].params == params)
                                return &k->methods[i];
        return NULL;
}

struct method *class_callable(struct klass *k, const struct atom *name, const struct atom *params)
{
        struct method *found = class_method(k, name, params);

        for (uint32_t i = 0; !found && i < k->ninterfaces; i++)
                found = class_method(k->interfaces[i], name, params);
        if (!found && k->flags & PVM_CLASS_INTERFACE)
                found = class_method(classes[CLASS_object], name, params);
        return found;
}

/* With the machine's lock. */
static struct klass **find_params(struct method *m)
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
        __atomic_store_n(&m->params_classes, k, __ATOMIC_RELEASE);
        return k;
}

struct klass **class_params(struct method *m)
{
        struct klass **k = __atomic_load_n(&m->params_classes, __ATOMIC_ACQUIRE);

        if (k)
                return k;
        machine_lock();
        k = find_params(m);
        machine_unlock();
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

static bool is_initialised(const struct klass *k)
{
        return __atomic_load_n(&k->object->initialised, __ATOMIC_ACQUIRE) == CLASS_INITIALISED;
}

/* With the machine's lock, of this class alone. */
static enum class_init begin(struct klass *k, const struct thread *t, struct method **init)
{
        uint32_t *state = &k->object->initialised, own = t->id + 2;

        if (*state == own)
                return INIT_OWN;
        if (*state > CLASS_INITIALISED && thread_lives(*state - 2))
                return INIT_WAIT;
        for (uint32_t i = 0; !*state && i < k->nmethods; i++)
                if (k->methods[i].starts) {
                        *state = own;
                        *init = &k->methods[i];
                        return INIT_RUN;
                }
        *state = CLASS_INITIALISED;
        return INIT_DONE;
}

enum class_init class_static_init(struct klass *k, const struct thread *t, struct method **init)
{
        enum class_init what = INIT_DONE;
        bool all = true, own = false;

        for (struct klass *p = k; p; p = p->parent)
                all &= is_initialised(p);
        if (all)
                return INIT_DONE;
        machine_lock();
        for (unsigned depth = 0; depth <= k->depth && what != INIT_RUN && what != INIT_WAIT; depth++) {
                if (!is_initialised(k->display[depth]))
                        what = begin(k->display[depth], t, init);
                own |= what == INIT_OWN;
        }
        machine_unlock();
        return own && what == INIT_DONE ? INIT_OWN : what;
}

void class_initialised(const struct method *m)
{
        __atomic_store_n(&m->class->current->object->initialised, CLASS_INITIALISED, __ATOMIC_RELEASE);
}

void class_not_begun(const struct method *m)
{
        if (m->starts)
                m->class->object->initialised = 0;
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
