/*
 * classes.c - types, the table of classes, and what classes are to each other.
 *
 * .internal.object is untyped: every reference is one. .internal.int, long, float and double are int, long, float and double.
 */
#include "pvm/plc/plc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct type type_int = {.kind = Y_INT, .machine = 'I'}, type_long = {.kind = Y_LONG, .machine = 'L'};
struct type type_float = {.kind = Y_FLOAT, .machine = 'F'}, type_double = {.kind = Y_DOUBLE, .machine = 'D'};
struct type type_any = {.kind = Y_ANY, .machine = 'R'}, type_null = {.kind = Y_NULL, .machine = 'R'};
struct type type_void = {.kind = Y_VOID, .machine = 'R'}, type_bytes = {.kind = Y_BYTES, .machine = 'R'};
struct type type_bad = {.kind = Y_BAD, .machine = 'R'};
struct known known;

/* ---- the table ---- */

static struct cls **table;
static size_t table_size, table_used;

struct cls *class_detached(struct name *name)
{
        struct cls *cls = arena_alloc(&permanent, sizeof(*cls));
        cls->name = name;
        cls->last = name;
        cls->fields_end = &cls->fields;
        cls->methods_end = &cls->methods;
        cls->type =
                (struct type){.kind = Y_CLASS, .machine = 'R', .cls = cls, .descriptor = name_cat(name->text, ";", "")};
        return cls;
}

static struct cls *entry(struct name *name, bool make)
{
        if (make && table_used >= table_size) {
                size_t size = table_size ? table_size * 2 : 1024;
                struct cls **bigger = NULL;
                size_t capacity = 0;
                bigger = grown(bigger, &capacity, size, sizeof(*bigger));
                memset(bigger, 0, size * sizeof(*bigger));
                for (size_t i = 0; i < table_size; i++)
                        for (struct cls *cls = table[i], *next; cls; cls = next) {
                                next = cls->hash_next;
                                cls->hash_next = bigger[cls->name->hash & (size - 1)];
                                bigger[cls->name->hash & (size - 1)] = cls;
                        }
                free(table);
                table = bigger;
                table_size = size;
        }
        if (!table_size)
                return NULL;
        struct cls **slot = &table[name->hash & (table_size - 1)];
        for (struct cls *cls = *slot; cls; cls = cls->hash_next)
                if (cls->name == name)
                        return cls;
        if (!make)
                return NULL;
        struct cls *cls = class_detached(name);
        cls->absent = true;
        cls->hash_next = *slot;
        *slot = cls;
        table_used++;
        return cls;
}

struct cls *class_find(struct name *name)
{
        struct cls *cls = entry(name, false);
        return cls && !cls->absent ? cls : NULL;
}

struct cls *class_add(struct name *name)
{
        struct cls *cls = entry(name, true);
        cls->absent = false;
        return cls;
}

static struct name **looked_for; /* in files, in vain */
static size_t nlooked_for, cap_looked_for;

struct cls *class_load(struct run *run, struct name *name)
{
        struct cls *cls = class_find(name);
        if (cls || !run->npaths || name->text[0] != '.' || strchr(name->text, '/'))
                return cls;
        for (size_t i = 0; i < nlooked_for; i++)
                if (looked_for[i] == name)
                        return NULL;
        for (unsigned i = 0; i < run->npaths; i++) {
                struct mark mark = arena_mark(&passing);
                size_t room = strlen(run->paths[i]) + name->len + 16;
                char *path = arena_alloc(&passing, room);
                int begin = snprintf(path, room, "%s/", run->paths[i]);
                int end = snprintf(path + begin, room - (size_t)begin, "%s", name->text + 1) + begin;
                for (int k = begin; k < end; k++)
                        if (path[k] == '.')
                                path[k] = '/';
                snprintf(path + end, room - (size_t)end, "%s", PVM_SUFFIX);
                size_t len;
                char *data = read_whole(path, PVM_MAX_FILE, &len);
                if (data) {
                        const char *wrong = file_read(run, name, (uint8_t *)data, len, &cls);
                        free(data);
                        if (wrong)
                                error_plain("%s: %s", path, wrong);
                        arena_release(&passing, mark);
                        if (wrong)
                                break;
                        return cls;
                }
                arena_release(&passing, mark);
        }
        looked_for = grown(looked_for, &cap_looked_for, nlooked_for + 1, sizeof(struct name *));
        looked_for[nlooked_for++] = name;
        return NULL;
}

/* Classes that class files mention are read when somebody wants to know more of them than their name. */
static struct run *the_run;

void class_complete(struct cls *cls)
{
        if (cls->absent && class_load(the_run, cls->name) && cls->parent == NULL)
                cls->parent = known.object;
}

struct cls *class_named(struct run *run, struct source *source, struct name *name)
{
        if (name->text[0] == '.')
                return class_load(run, name);
        struct cls *cls = NULL;
        if (source->package && (cls = class_load(run, name_cat(source->package->text, ".", name->text))))
                return cls;
        for (struct import *import = source->imports; import; import = import->next)
                if (import->last == name)
                        return class_load(run, import->full);
        for (struct import *import = source->imports; import; import = import->next)
                if (!import->last && (cls = class_load(run, name_cat(import->full->text, ".", name->text))))
                        return cls;
        return NULL;
}

struct cls *class_called(struct run *run, struct name *last)
{
        static const char *const library[] = {".internal.", ".phantom.util.", ".phantom.unix."};
        struct cls *cls = NULL;
        for (size_t i = 0; !cls && i < sizeof(library) / sizeof(*library); i++)
                cls = class_load(run, name_cat(library[i], last->text, ""));
        for (struct cls *c = run->classes; !cls && c; c = c->next)
                if (c->last == last)
                        cls = c;
        return cls;
}

static void no_class(struct run *run, struct source *source, struct name *name, uint32_t at)
{
        const char *hint = hint_class(run, name);
        error_at(source, at, "no class '%s': not in this run%s%s", name->text,
                 run->npaths ? " nor in the folders of -L" : "",
                 hint                   ? hint
                 : name->text[0] == '.' ? ""
                                        : " (or not imported)");
}

/* ---- members, by class and name ---- */

struct member {
        struct member *next;
        struct cls *cls;
        struct name *name;
        struct field *field;
        struct method *methods;
};
static struct member **members;
static size_t members_size, members_used;

static size_t member_hash(struct cls *cls, struct name *name)
{
        return (size_t)name->hash ^ ((size_t)cls->name->hash * 31);
}

static struct member *member(struct cls *cls, struct name *name, bool make)
{
        if (make && members_used >= members_size) {
                size_t size = members_size ? members_size * 2 : 4096, capacity = 0;
                struct member **bigger = grown(NULL, &capacity, size, sizeof(struct member *));
                memset(bigger, 0, size * sizeof(struct member *));
                for (size_t i = 0; i < members_size; i++)
                        for (struct member *m = members[i], *next; m; m = next) {
                                next = m->next;
                                size_t slot = member_hash(m->cls, m->name) & (size - 1);
                                m->next = bigger[slot];
                                bigger[slot] = m;
                        }
                free(members);
                members = bigger;
                members_size = size;
        }
        struct member **slot = &members[member_hash(cls, name) & (members_size - 1)];
        for (struct member *m = *slot; m; m = m->next)
                if (m->cls == cls && m->name == name)
                        return m;
        if (!make)
                return NULL;
        struct member *m = arena_alloc(&permanent, sizeof(*m));
        m->cls = cls;
        m->name = name;
        m->next = *slot;
        *slot = m;
        members_used++;
        return m;
}

struct field *field_add(struct cls *cls, struct name *name)
{
        struct field *field = arena_alloc(&permanent, sizeof(*field));
        field->name = name;
        field->cls = cls;
        *cls->fields_end = field;
        cls->fields_end = &field->next;
        cls->nfields++;
        struct member *m = member(cls, name, true);
        if (!m->field)
                m->field = field;
        return field;
}

struct method *method_add(struct cls *cls, struct name *name)
{
        struct method *method = arena_alloc(&permanent, sizeof(*method));
        method->name = name;
        method->cls = cls;
        method->ordinal = PVM_NO_ORDINAL;
        *cls->methods_end = method;
        cls->methods_end = &method->next;
        cls->nmethods++;
        struct member *m = member(cls, name, true);
        method->same = m->methods;
        m->methods = method;
        return method;
}

struct field *field_find(struct cls *cls, struct name *name)
{
        struct member *m = member(cls, name, false);
        return m ? m->field : NULL;
}

struct method *method_find(struct cls *cls, struct name *name)
{
        struct member *m = member(cls, name, false);
        return m ? m->methods : NULL;
}

struct method *method_ordinal(struct cls *cls, unsigned ordinal)
{
        for (; cls; cls = cls->parent)
                for (struct method *method = cls->methods; method; method = method->next)
                        if (method->ordinal == ordinal)
                                return method;
        return NULL;
}

/* ---- types ---- */

struct type *array_of(struct type *element)
{
        if (!element->array) {
                struct type *array = arena_alloc(&permanent, sizeof(*array));
                array->kind = Y_ARRAY;
                array->machine = 'R';
                array->element = element;
                array->cls = known.array;
                array->descriptor = name_cat("[", element->descriptor->text, "");
                element->array = array;
        }
        return element->array;
}

static struct type *class_type(struct cls *cls)
{
        if (cls == known.object)
                return &type_any;
        if (cls == known.boxes[0])
                return &type_int;
        if (cls == known.boxes[1])
                return &type_long;
        if (cls == known.boxes[2])
                return &type_float;
        if (cls == known.boxes[3])
                return &type_double;
        return &cls->type;
}

struct type *type_resolve(struct run *run, struct source *source, struct typeref *ref)
{
        struct type *type = &type_any;
        if (ref && ref->name) {
                struct name *name = ref->name;
                if (name == known.name_int) {
                        type = &type_int;
                } else if (name == known.name_string) {
                        type = &known.string->type;
                } else {
                        struct cls *cls = class_named(run, source, name);
                        if (cls) {
                                type = class_type(cls);
                        } else if (name == known.name_long) {
                                type = &type_long;
                        } else if (name == known.name_float) {
                                type = &type_float;
                        } else if (name == known.name_double) {
                                type = &type_double;
                        } else {
                                no_class(run, source, name, ref->at);
                                type = &type_bad;
                        }
                }
        }
        if (type->kind == Y_BAD)
                return type;
        for (unsigned i = 0; ref && i < ref->dims; i++)
                type = array_of(type);
        return type;
}

const char *type_text(struct type *type)
{
        static char text[4][256];
        static unsigned turn;
        char *out = text[turn++ & 3];
        switch (type->kind) {
        case Y_INT:
                return "int";
        case Y_LONG:
                return "long";
        case Y_FLOAT:
                return "float";
        case Y_DOUBLE:
                return "double";
        case Y_ANY:
                return "untyped";
        case Y_NULL:
                return "null";
        case Y_VOID:
                return "void";
        case Y_BYTES:
                return "the bytes of a file";
        case Y_BAD:
                return "?";
        case Y_ARRAY:
                snprintf(out, 256, "%.200s[]", type->element->kind == Y_ANY ? "void" : type_text(type->element));
                return out;
        case Y_CLASS:
                if (type->cls == known.string)
                        return "string";
                snprintf(out, 256, "%.250s", type->cls->name->text);
                return out;
        }
        return "?";
}

/* The type at *p of a descriptor; moves *p behind it. */
static struct type *descriptor_type(const char **p)
{
        switch (*(*p)++) {
        case 'i':
                return &type_int;
        case 'l':
                return &type_long;
        case 'f':
                return &type_float;
        case 'd':
                return &type_double;
        case 'v':
                return &type_void;
        case '[':
                return array_of(descriptor_type(p));
        case '.': {
                const char *begin = *p - 1, *end = strchr(begin, ';');
                if (!end)
                        return &type_any;
                *p = end + 1;
                return class_type(entry(name_of(begin, (size_t)(end - begin)), true));
        }
        default:
                return &type_any;
        }
}

struct type *types_of_field(const char *descriptor)
{
        return descriptor_type(&descriptor);
}

void types_of_method(struct method *method, const char *descriptor)
{
        struct parameter found[PVM_MAX_ARGS];
        unsigned n = 0;
        const char *p = descriptor + 1;
        method->descriptor = name_cstr(descriptor);
        while (*p && *p != ')' && n < PVM_MAX_ARGS)
                found[n++] = (struct parameter){.type = descriptor_type(&p)};
        if (*p == ')')
                p++;
        method->result = descriptor_type(&p);
        method->nparameters = n;
        method->parameters = arena_alloc(&permanent, n * sizeof(*found));
        if (n)
                memcpy(method->parameters, found, n * sizeof(*found));
}

void method_seal(struct method *method)
{
        char text[PVM_MAX_NAME * 2];
        size_t len = 0;
        text[len++] = '(';
        for (unsigned i = 0; i < method->nparameters; i++) {
                struct name *part = method->parameters[i].type->descriptor;
                if (len + part->len + 64 > sizeof(text))
                        break; /* too long by far: told below */
                memcpy(text + len, part->text, part->len);
                len += part->len;
        }
        text[len++] = ')';
        struct name *result = method->result->descriptor;
        if (len + result->len <= PVM_MAX_NAME) {
                memcpy(text + len, result->text, result->len);
                len += result->len;
        } else {
                error_at(method->cls->source, method->at,
                         "the types of this method are too long to be written down: more than %u bytes", PVM_MAX_NAME);
        }
        method->descriptor = name_of(text, len);
}

bool class_is(struct cls *cls, struct cls *other)
{
        unsigned depth = 0;
        if (other == known.object)
                return true;
        class_complete(cls);
        for (; cls && depth < 1000; cls = cls->parent, depth++) {
                if (cls == other)
                        return true;
                if (cls->visiting)
                        return false;
                cls->visiting = true;
                bool yes = false;
                for (struct interface_ref *ref = cls->interfaces; ref && !yes; ref = ref->next)
                        yes = ref->cls && class_is(ref->cls, other);
                cls->visiting = false;
                if (yes)
                        return true;
        }
        return false;
}

/* ---- the internal classes ---- */

enum { NOTNEW = 1, FINAL = 2, INTERFACE = 4, NONE = PVM_NO_ORDINAL };
static const struct internal {
        enum { I_CLASS, I_FIELD, I_METHOD, I_STATIC } kind;
        const char *name, *text; /* text: parent, or descriptor */
        int number;              /* flags, or ordinal */
} internals[] = {
#define CLASS(id, name, parent, flags)            {I_CLASS, name, parent, flags},
#define FIELD(id, name, type)                     {I_FIELD, name, type, 0},
#define METHOD(id, function, name, ordinal, type) {I_METHOD, name, type, ordinal},
#define STATIC(id, function, name, ordinal, type) {I_STATIC, name, type, ordinal},
#define MISSING(id, name, ordinal, type)          {I_METHOD, name, type, ordinal},
#include "pvm/internal.def"
};

static void know(void)
{
        type_int.descriptor = name_cstr("i");
        type_long.descriptor = name_cstr("l");
        type_float.descriptor = name_cstr("f");
        type_double.descriptor = name_cstr("d");
        type_any.descriptor = type_null.descriptor = type_bytes.descriptor = type_bad.descriptor = name_cstr("u");
        type_void.descriptor = name_cstr("v");
        known.constructor = name_cstr(".new");
        known.initialiser = name_cstr(".static");
        known.to_string = name_cstr("toString");
        known.iterator = name_cstr("iterator");
        known.has_next = name_cstr("hasNext");
        known.next = name_cstr("next");
        known.call = name_cstr("call");
        known.clone = name_cstr("clone");
        known.length = name_cstr("length");
        known.name_super = name_cstr("super");
        known.instanceof = name_cstr("instanceof");
        known.name_int = name_cstr("int");
        known.name_long = name_cstr("long");
        known.name_float = name_cstr("float");
        known.name_double = name_cstr("double");
        known.name_string = name_cstr("string");
        known.name_static = name_cstr("static");
        known.name_private = name_cstr("private");
        known.name_const = name_cstr("const");
        known.name_final = name_cstr("final");
        known.name_abstract = name_cstr("abstract");
        known.object = class_add(name_cstr(".internal.object"));
        known.string = class_add(name_cstr(".internal.string"));
        known.klass = class_add(name_cstr(".internal.class"));
        known.array = class_add(name_cstr(".internal.container.array"));
        known.binary = class_add(name_cstr(".internal.binary"));
        known.closure = class_add(name_cstr(".internal.closure"));
        known.error = class_add(name_cstr(".internal.error"));
        known.boxes[0] = class_add(name_cstr(".internal.int"));
        known.boxes[1] = class_add(name_cstr(".internal.long"));
        known.boxes[2] = class_add(name_cstr(".internal.float"));
        known.boxes[3] = class_add(name_cstr(".internal.double"));
}

void classes_init(struct run *run)
{
        the_run = run;
        know();
        struct cls *cls = NULL;
        for (size_t i = 0; i < sizeof(internals) / sizeof(*internals); i++) {
                const struct internal *in = &internals[i];
                if (in->kind == I_CLASS) {
                        cls = class_add(name_cstr(in->name));
                        cls->last = name_cstr(strrchr(in->name, '.') + 1);
                        cls->internal = cls->linked = true;
                        cls->not_new = in->number & NOTNEW;
                        cls->flags = (in->number & FINAL ? PVM_CLASS_FINAL : 0) |
                                     (in->number & INTERFACE ? PVM_CLASS_INTERFACE : 0);
                        cls->parent = *in->text ? class_find(name_cstr(in->text)) : NULL;
                } else if (in->kind == I_FIELD) {
                        const char *p = in->text;
                        struct field *field = field_add(cls, name_cstr(in->name));
                        field->type = descriptor_type(&p);
                } else {
                        struct method *method = method_add(cls, name_cstr(in->name));
                        method->ordinal = (uint16_t)in->number;
                        method->flags = in->kind == I_STATIC ? PVM_STATIC : 0;
                        cls->has_constructor |= method->name == known.constructor;
                        types_of_method(method, in->text);
                }
        }
}

/* ---- links between the classes of the run ---- */

static size_t parameters_len(struct name *descriptor)
{
        return (size_t)(strchr(descriptor->text, ')') - descriptor->text);
}

static bool same_parameters(struct method *a, struct method *b)
{
        size_t len = parameters_len(a->descriptor);
        return len == parameters_len(b->descriptor) && !memcmp(a->descriptor->text, b->descriptor->text, len);
}

static struct method *find_same(struct cls *cls, struct method *like)
{
        for (; cls; cls = cls->parent)
                for (struct method *method = method_find(cls, like->name); method; method = method->same)
                        if (method != like && method->descriptor && same_parameters(method, like))
                                return method;
        return NULL;
}

static void link_class(struct run *run, struct cls *cls);

static struct cls *link_to(struct run *run, struct cls *cls, struct name *name, uint32_t at)
{
        struct cls *other = class_named(run, cls->source, name);
        if (!other) {
                no_class(run, cls->source, name, at);
                return NULL;
        }
        if (other->visiting || other == cls) {
                error_at(cls->source, at, "'%s' would be its own parent", cls->name->text);
                return NULL;
        }
        link_class(run, other);
        return other;
}

struct cls *constructed_above(struct cls *cls)
{
        while (cls && !cls->has_constructor)
                cls = cls->parent;
        return cls;
}

static void inherit_constructor(struct cls *cls, struct method *from)
{
        struct method *method = method_add(cls, known.constructor);
        method->inherited = true;
        method->inherits = from;
        method->at = cls->at;
        method->line = cls->line;
        method->result = &type_void;
        method->nparameters = from ? from->nparameters : 0;
        method->parameters = from ? from->parameters : NULL;
        method->descriptor = from ? from->descriptor : name_cstr("()v");
}

/* A class that gives fields a first value needs constructors: without any it gets its parent's. */
static void inherit_constructors(struct cls *cls)
{
        bool needed = false, plain = false;
        for (struct field *field = cls->fields; field; field = field->next)
                needed |= field->has_init && !(field->flags & PVM_STATIC);
        if (!needed || cls->has_constructor || cls->flags & PVM_CLASS_INTERFACE)
                return;
        struct cls *parent = constructed_above(cls->parent);
        for (struct method *from = parent ? method_find(parent, known.constructor) : NULL; from; from = from->same) {
                inherit_constructor(cls, from);
                plain |= !from->nparameters;
        }
        if (!plain && (!parent || parent->internal)) /* theirs are additional ones */
                inherit_constructor(cls, NULL);
        cls->has_constructor = true;
}

static void check_override(struct cls *cls, struct method *method)
{
        if (method->name == known.constructor || method->flags & PVM_PRIVATE)
                return;
        struct method *above = cls->parent ? find_same(cls->parent, method) : NULL;
        if (!above || above->flags & PVM_PRIVATE) {
                struct method *owner = method->ordinal != PVM_NO_ORDINAL && cls->parent
                                               ? method_ordinal(cls->parent, method->ordinal)
                                               : NULL;
                if (owner) {
                        error_at(cls->source, method->at, "ordinal %u belongs to '%s' of %s", method->ordinal,
                                 owner->name == known.constructor ? "the constructor" : owner->name->text,
                                 owner->cls->name->text);
                        note_at(owner->cls->source, owner->at, "here");
                }
                return;
        }
        if ((above->flags ^ method->flags) & PVM_STATIC)
                error_at(cls->source, method->at, "'%s' is %sstatic in %s", method->name->text,
                         above->flags & PVM_STATIC ? "" : "not ", above->cls->name->text);
        else if (above->flags & PVM_FINAL)
                error_at(cls->source, method->at, "'%s' is final in %s", method->name->text, above->cls->name->text);
        else if (above->result->machine != method->result->machine)
                error_at(cls->source, method->at, "'%s' gives %s in %s, and %s here: an override gives the same",
                         method->name->text, type_text(above->result), above->cls->name->text,
                         type_text(method->result));
        else if (method->ordinal != PVM_NO_ORDINAL && above->ordinal != method->ordinal)
                error_at(cls->source, method->at, "'%s' has %s in %s: an override keeps it", method->name->text,
                         above->ordinal == PVM_NO_ORDINAL ? "no ordinal" : "another ordinal", above->cls->name->text);
        else
                method->ordinal = method->ordinal == PVM_NO_ORDINAL ? above->ordinal : method->ordinal;
}

static void check_ordinals(struct cls *cls)
{
        static uint32_t stamps[65536], stamp;
        static struct method *owners[65536];
        stamp++;
        for (struct method *method = cls->methods; method; method = method->next) {
                unsigned ordinal = method->ordinal;
                if (ordinal == PVM_NO_ORDINAL || method->name == known.constructor)
                        continue;
                if (stamps[ordinal] == stamp) {
                        error_at(cls->source, method->at, "ordinal %u belongs to '%s'", ordinal,
                                 owners[ordinal]->name->text);
                        note_at(cls->source, owners[ordinal]->at, "here");
                }
                stamps[ordinal] = stamp;
                owners[ordinal] = method;
        }
}

/* All that is abstract in the class 'of' must be there in cls. */
static void check_abstract(struct cls *cls, struct cls *of, unsigned depth)
{
        for (struct method *method = of->methods; method && depth < 64; method = method->next) {
                if (!(method->flags & PVM_ABSTRACT) || !method->descriptor)
                        continue;
                struct method *found = find_same(cls, method);
                if (found && found->flags & PVM_ABSTRACT && found->cls != of)
                        continue; /* told for that one */
                if (!found || found->flags & PVM_ABSTRACT) {
                        error_at(cls->source, cls->at, "'%s' lacks the method '%s%s' of %s", cls->last->text,
                                 method->name->text, method->descriptor->text, of->name->text);
                        note_at(of->source, method->at, "here");
                } else if (found->result->machine != method->result->machine) {
                        error_at(found->cls->source ? found->cls->source : cls->source,
                                 found->cls->source ? found->at : cls->at, "'%s' gives %s in %s, and %s here",
                                 method->name->text, type_text(method->result), of->name->text,
                                 type_text(found->result));
                } else if (found->flags & (PVM_PRIVATE | PVM_STATIC)) {
                        error_at(found->cls->source ? found->cls->source : cls->source,
                                 found->cls->source ? found->at : cls->at,
                                 "'%s' is a method of %s: it is neither private nor static", method->name->text,
                                 of->name->text);
                }
        }
        for (struct interface_ref *ref = of->interfaces; ref && depth < 64; ref = ref->next)
                if (ref->cls)
                        check_abstract(cls, ref->cls, depth + 1);
        if (of->parent && depth < 64)
                check_abstract(cls, of->parent, depth + 1);
}

static void link_class(struct run *run, struct cls *cls)
{
        if (cls->linked || !cls->source)
                return;
        cls->visiting = true;
        cls->parent = known.object;
        if (cls->parent_name) {
                struct cls *parent = link_to(run, cls, cls->parent_name, cls->parent_at);
                if (parent && parent->flags & PVM_CLASS_INTERFACE)
                        error_at(cls->source, cls->parent_at, "'%s' is an interface: 'implements' expected",
                                 parent->name->text);
                else if (parent && parent->flags & PVM_CLASS_FINAL)
                        error_at(cls->source, cls->parent_at, "'%s' is final: it has no children", parent->name->text);
                else if (parent)
                        cls->parent = parent;
                unsigned depth = 0;
                for (struct cls *above = cls->parent; above; above = above->parent)
                        depth++;
                if (depth > PVM_MAX_DEPTH) {
                        error_at(cls->source, cls->parent_at, "more than %u classes above this one", PVM_MAX_DEPTH);
                        cls->parent = known.object;
                }
        }
        for (struct interface_ref *ref = cls->interfaces; ref; ref = ref->next) {
                ref->cls = link_to(run, cls, ref->name, ref->at);
                if (ref->cls && !(ref->cls->flags & PVM_CLASS_INTERFACE)) {
                        error_at(cls->source, ref->at, "'%s' is a class, not an interface%s", ref->name->text,
                                 cls->flags & PVM_CLASS_INTERFACE ? "" : ": 'extends' expected");
                        ref->cls = NULL;
                }
        }
        cls->visiting = false;
        cls->linked = true;

        for (struct field *field = cls->fields; field; field = field->next)
                field->type = type_resolve(run, cls->source, field->ref);
        for (struct method *method = cls->methods; method; method = method->next) {
                if (method->ref && method->ref->is_void && !method->ref->dims)
                        method->result = &type_void;
                else
                        method->result = type_resolve(run, cls->source, method->ref);
                for (unsigned i = 0; i < method->nparameters; i++)
                        method->parameters[i].type = type_resolve(run, cls->source, method->parameters[i].ref);
                method_seal(method);
                for (struct method *other = method->same; other; other = other->same)
                        if (other->descriptor && same_parameters(other, method)) {
                                error_at(cls->source, method->at, "a method '%s' of these parameters is there already",
                                         method->name == known.constructor ? cls->last->text : method->name->text);
                                note_at(cls->source, other->at, "here");
                                break;
                        }
        }
        inherit_constructors(cls);
}

static void check_class(struct cls *cls)
{
        for (struct method *method = cls->methods; method; method = method->next) {
                check_override(cls, method);
                if (method->flags & PVM_ABSTRACT && !(cls->flags & (PVM_CLASS_INTERFACE | PVM_CLASS_ABSTRACT)))
                        error_at(cls->source, method->at,
                                 "an abstract method in a class that is not: 'abstract class %s' expected",
                                 cls->last->text);
        }
        check_ordinals(cls);
        if (cls->nmethods > PVM_MAX_MEMBERS || cls->nfields > PVM_MAX_MEMBERS)
                error_at(cls->source, cls->at, "more than %u methods or fields", PVM_MAX_MEMBERS);
        unsigned n = 0;
        for (struct interface_ref *ref = cls->interfaces; ref; ref = ref->next) {
                for (struct interface_ref *other = cls->interfaces; other != ref; other = other->next)
                        if (other->cls && other->cls == ref->cls) {
                                error_at(cls->source, ref->at, "'%s' is there twice", ref->name->text);
                                break;
                        }
                if (++n > 256) {
                        error_at(cls->source, ref->at, "more than 256 interfaces");
                        break;
                }
        }
        if (!(cls->flags & (PVM_CLASS_INTERFACE | PVM_CLASS_ABSTRACT)))
                check_abstract(cls, cls, 0);
}

void classes_link(struct run *run)
{
        for (struct source *source = run->sources; source; source = source->next)
                for (struct import *import = source->imports; import; import = import->next)
                        if (import->last && !class_load(run, import->full))
                                no_class(run, source, import->full, import->at);
        for (struct cls *cls = run->classes; cls; cls = cls->next)
                link_class(run, cls);
        for (struct cls *cls = run->classes; cls; cls = cls->next)
                check_class(cls);
}
