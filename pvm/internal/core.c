/* core.c - objects as such, classes, numbers, arrays, binaries, directories, weak references, closures, time, mathematics, errors. */
#include "pvm/internal/internal.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

/* ---- object ---- */

int n_object_new(struct call *c)
{
        (void)c;
        return DONE;
}

int n_object_destruct(struct call *c)
{
        (void)c;
        return DONE;
}

int n_object_getClass(struct call *c)
{
        return give(c, obj_class(OBJECT(c))->object);
}

/* Fields as they are; an array's elements, a binary's bytes are copied. */
int n_object_clone(struct call *c)
{
        struct obj *o = OBJECT(c), *n;
        struct klass *k = obj_class(o);
        struct store **s = NULL;

        if (is_number(o) || o->class == CLASS_string)
                return give(c, o);
        if (o->class == CLASS_class || o->class == CLASS_thread || k->kind == CLASS_STACK || o->class == CLASS_mutex ||
            o->class == CLASS_cond || o->class == CLASS_sema || o->class == CLASS_connection || k->kind == CLASS_WEAK)
                return throw_error(c, CLASS_error_state, "%s cannot be copied", k->name->text);
        /* A pending one's copy is pending, too. */
        n = heap_alloc(o->class, o->info & OBJ_PENDING ? obj_size(o) : k->size,
                       o->info & (OBJ_ARRAY | (o->info & OBJ_PENDING ? OBJ_PENDING | OBJ_RELAID : 0)));
        if (!n)
                return OUT_OF_MEMORY(c);
        /* Whole words: somebody may be writing to a field. */
        memcpy(n + 1, o + 1, ((k->size + 7) & ~7u) - sizeof(*o));
        if (n->info & OBJ_RELAID)
                *obj_trailer(n) = (struct trailer){.identity = obj_identity(o), .seen = obj_trailer(o)->seen};
        if (o->class == CLASS_directory) {
                struct directory *d = (struct directory *)n;

                for (s = &d->keys; s <= &d->values; s++)
                        if (*s) {
                                struct store *copy = store_new(CLASS_store_refs, (*s)->len, (*s)->len, 8);

                                if (!copy)
                                        return OUT_OF_MEMORY(c);
                                memcpy(copy->b, (*s)->b, (*s)->len * 8ul);
                                *s = copy;
                        }
                return give(c, n);
        }
        if (array_kind(o) != ARRAY_NONE)
                s = &((struct array *)n)->store;
        else if (o->class == CLASS_binary)
                s = &((struct binary *)n)->store;
        if (s && *s) {
                unsigned each = o->class == CLASS_binary ? 1 : array_element_bytes(array_kind(o));
                struct store *copy = store_new((*s)->o.class, (*s)->len, (*s)->len, each);

                if (!copy)
                        return OUT_OF_MEMORY(c);
                memcpy(copy->b, (*s)->b, (size_t)(*s)->len * each);
                *s = copy;
        }
        return give(c, n);
}

int n_object_equals(struct call *c)
{
        return give_int(c, OBJECT(c) == c->args[1].r);
}

int n_object_toString(struct call *c)
{
        char text[300];
        const struct klass *k = obj_class(OBJECT(c));
        size_t n = fmt_append(text, sizeof(text), 0, "%.250s@%x", k->name->text, obj_identity(OBJECT(c)));

        return give(c, string_new(text, n));
}

int n_object_setImmutable(struct call *c)
{
        OBJECT(c)->info |= OBJ_IMMUTABLE;
        return DONE;
}

int n_object_hashCode(struct call *c)
{
        return give_int(c, (int32_t)(obj_identity(OBJECT(c)) & INT32_MAX));
}

/* ---- numbers ---- */

static int number_equals(struct call *c)
{
        bool known;

        return give_int(c, value_equal(OBJECT(c), c->args[1].r, &known));
}

static int number_toString(struct call *c)
{
        slot v;
        char type = number_type(OBJECT(c));

        unbox(OBJECT(c), type, &v);
        return give(c, string_of_number(type, v));
}

/* Equal numbers have equal codes, whatever their types. */
static int number_hashCode(struct call *c)
{
        slot v;

        if (!unbox(OBJECT(c), 'L', &v)) {
                unbox(OBJECT(c), 'D', &v);
                if (v.d == (double)(int64_t)(v.d < 9e18 && v.d > -9e18 ? v.d : 0))
                        v.l = (int64_t)v.d;
        }
        return give_int(c, (int32_t)((v.bits * 0x9e3779b97f4a7c15ul) >> 33));
}

static int number_to(struct call *c, char type)
{
        slot v;
        double d;

        if (unbox(OBJECT(c), type, &c->result))
                return DONE;
        if (unbox(OBJECT(c), 'L', &v)) { /* a long to an int */
                c->result.bits = (uint32_t)v.l;
                return DONE;
        }
        unbox(OBJECT(c), 'D', &v);
        d = v.d;
        if (type == 'F')
                c->result.bits = (slot){.f = (float)d}.bits & 0xffffffffu;
        else if (type == 'I')
                c->result.bits = (uint32_t)(d != d               ? 0
                                            : d >= 2147483647.0  ? INT32_MAX
                                            : d <= -2147483648.0 ? INT32_MIN
                                                                 : (int32_t)d);
        else
                c->result.l = d != d                        ? 0
                              : d >= 9223372036854775807.0  ? INT64_MAX
                              : d <= -9223372036854775808.0 ? INT64_MIN
                                                            : (int64_t)d;
        return DONE;
}

#define NUMBER(id)                                                                                                     \
        int n_##id##_equals(struct call *c)                                                                            \
        {                                                                                                              \
                return number_equals(c);                                                                               \
        }                                                                                                              \
        int n_##id##_toString(struct call *c)                                                                          \
        {                                                                                                              \
                return number_toString(c);                                                                             \
        }                                                                                                              \
        int n_##id##_hashCode(struct call *c)                                                                          \
        {                                                                                                              \
                return number_hashCode(c);                                                                             \
        }                                                                                                              \
        int n_##id##_toInt(struct call *c)                                                                             \
        {                                                                                                              \
                return number_to(c, 'I');                                                                              \
        }                                                                                                              \
        int n_##id##_toLong(struct call *c)                                                                            \
        {                                                                                                              \
                return number_to(c, 'L');                                                                              \
        }                                                                                                              \
        int n_##id##_toFloat(struct call *c)                                                                           \
        {                                                                                                              \
                return number_to(c, 'F');                                                                              \
        }                                                                                                              \
        int n_##id##_toDouble(struct call *c)                                                                          \
        {                                                                                                              \
                return number_to(c, 'D');                                                                              \
        }
NUMBER(int)
NUMBER(long)
NUMBER(float)
NUMBER(double)

/* ---- class ---- */

static struct klass *self_class(struct call *c)
{
        return class_by_index(((struct class_obj *)OBJECT(c))->index);
}

int n_class_toString(struct call *c)
{
        return give(c, ((struct class_obj *)OBJECT(c))->name);
}

int n_class_newClass(struct call *c)
{
        struct klass *k = self_class(c);
        int r;

        if (k->no_new || k->flags & (PVM_CLASS_INTERFACE | PVM_CLASS_ABSTRACT))
                return throw_error(c, CLASS_error_link, "%s cannot be made by new", k->name->text);
        if (!may_use(c, k, &r))
                return r;
        return give(c, heap_alloc(k->index, k->size, 0));
}

int n_class_getName(struct call *c)
{
        return give(c, ((struct class_obj *)OBJECT(c))->name);
}

int n_class_getParent(struct call *c)
{
        struct klass *k = self_class(c);

        c->result.r = k->parent ? &k->parent->object->o : NULL;
        return DONE;
}

int n_class_instanceOf(struct call *c)
{
        return give_int(c, c->args[1].r && class_is(obj_class(c->args[1].r), self_class(c)));
}

static struct field *static_field(struct call *c, int *r)
{
        const struct atom *name;
        struct field *f;

        if (!want(c, 1, CLASS_string, r))
                return NULL;
        name = atom(STRING(c, 1)->text, STRING(c, 1)->len);
        f = name ? class_field(self_class(c), name, NULL, true) : NULL;
        if (!f || f->flags & PVM_PRIVATE) {
                *r = throw_error(c, CLASS_error_link, "%s: no public static field %.100s", self_class(c)->name->text,
                                 STRING(c, 1)->text);
                return NULL;
        }
        return f;
}

int n_class_getStatic(struct call *c)
{
        int r;
        struct field *f = static_field(c, &r);

        if (!f)
                return r;
        c->result.r = box(f->machine, *f->address);
        return c->result.r || f->machine == 'R' ? DONE : OUT_OF_MEMORY(c);
}

int n_class_setStatic(struct call *c)
{
        int r;
        struct field *f = static_field(c, &r);
        slot v = c->args[2];

        if (!f)
                return r;
        if (f->machine != 'R' && (!v.r || !unbox(v.r, f->machine, &v)))
                return throw_error(c, CLASS_error_cast, "static field %s is a number of another type", f->name->text);
        *f->address = v;
        if (f->machine == 'R')
                heap_wrote(f->address);
        return DONE;
}

/* An array of strings; fill returns the next text, in buf, and false at the end. */
static int string_array(struct call *c, uint32_t n, size_t (*fill)(struct klass *k, uint32_t i, char *buf, size_t size))
{
        struct klass *of = class_find("[.internal.string;", 18), *k = self_class(c);
        struct array *a = of ? array_new(of, (int32_t)n) : NULL;
        char buf[2 * PVM_MAX_NAME + 8];

        if (!a)
                return OUT_OF_MEMORY(c);
        for (uint32_t i = 0; i < n; i++) {
                a->store->r[i] = (struct obj *)string_new(buf, fill(k, i, buf, sizeof(buf)));
                if (!a->store->r[i])
                        return OUT_OF_MEMORY(c);
        }
        return give(c, a);
}

static size_t method_text(struct klass *k, uint32_t i, char *buf, size_t size)
{
        return fmt_append(buf, size, 0, "%s%s", k->vtable[i]->name->text, k->vtable[i]->desc->text);
}

int n_class_getMethods(struct call *c)
{
        return string_array(c, self_class(c)->nvtable, method_text);
}

static size_t field_text(struct klass *k, uint32_t i, char *buf, size_t size)
{
        return fmt_append(buf, size, 0, "%s %s", k->fields[i].name->text, k->fields[i].type->text);
}

int n_class_getFields(struct call *c)
{
        return string_array(c, self_class(c)->nfields, field_text);
}

/* ---- arrays ---- */

int n_array_iterator(struct call *c)
{
        struct iterator *it = heap_alloc(CLASS_iterator, sizeof(*it), 0);

        if (it)
                it->array = (struct array *)OBJECT(c);
        return give(c, it);
}

int n_iterator_hasNext(struct call *c)
{
        struct iterator *it = (struct iterator *)OBJECT(c);

        return give_int(c, it->array && it->next < array_store(it->array)->len);
}

static int element(struct call *c, enum array_kind kind, const struct store *s, uint32_t at)
{
        slot v;

        if (kind == ARRAY_I || kind == ARRAY_F)
                v.bits = (uint32_t)s->i[at];
        else
                v.l = s->l[at];
        c->result.r = box("-ILFDR"[kind], v);
        return c->result.r || kind == ARRAY_R ? DONE : OUT_OF_MEMORY(c);
}

int n_iterator_next(struct call *c)
{
        struct iterator *it = (struct iterator *)OBJECT(c);
        const struct store *s = it->array ? array_store(it->array) : NULL;
        uint32_t at = __atomic_load_n(&it->next, __ATOMIC_RELAXED);
        int r;

        if (!s || at >= s->len)
                return throw_error(c, CLASS_error_bounds, "the iterator is at its end");
        r = element(c, array_kind(&it->array->o), s, at);
        if (r == DONE)
                it->next = at + 1;
        return r;
}

int n_array_subarray(struct call *c)
{
        struct array *a = (struct array *)OBJECT(c), *n;
        int32_t from = c->args[1].i, len = c->args[2].i;
        unsigned each = array_element_bytes(array_kind(&a->o));

        if (from < 0 || len < 0 || (int64_t)from + len > a->store->len)
                return throw_error(c, CLASS_error_bounds, "%d elements from %d on, of %u", len, from, a->store->len);
        n = array_new(obj_class(&a->o), len);
        if (n)
                memcpy(n->store->b, a->store->b + (size_t)from * each, (size_t)len * each);
        return give(c, n);
}

int n_array_get(struct call *c)
{
        struct array *a = (struct array *)OBJECT(c);
        const struct store *s = array_store(a);
        uint32_t len = s->len;

        if ((uint32_t)c->args[1].i >= len)
                return throw_error(c, CLASS_error_bounds, "index %d of %u elements", c->args[1].i, len);
        return element(c, array_kind(&a->o), s, (uint32_t)c->args[1].i);
}

int n_array_set(struct call *c)
{
        struct array *a = (struct array *)OBJECT(c);
        enum array_kind kind = array_kind(&a->o);
        slot v = c->args[2];
        int32_t at = c->args[1].i;
        struct store *s = array_store(a);

        if (at < 0 || at == INT32_MAX)
                return throw_error(c, CLASS_error_bounds, "index %d", at);
        if (a->o.info & OBJ_IMMUTABLE)
                return throw_error(c, CLASS_error_state, "the array must not be changed");
        if (kind != ARRAY_R && (!v.r || !unbox(v.r, "-ILFDR"[kind], &v)))
                return throw_error(c, CLASS_error_cast, "not a number that fits into the array");
        if ((uint32_t)at >= s->len)
                s = array_grow(a, (uint32_t)at);
        if (!s)
                return OUT_OF_MEMORY(c);
        if (kind == ARRAY_I || kind == ARRAY_F)
                s->i[at] = v.i;
        else
                s->l[at] = v.l;
        if (kind == ARRAY_R)
                heap_wrote(&s->r[at]);
        return DONE;
}

int n_array_size(struct call *c)
{
        return give_int(c, (int32_t)array_store((struct array *)OBJECT(c))->len);
}

int n_array_toString(struct call *c)
{
        char text[PVM_MAX_NAME + 40];
        struct array *a = (struct array *)OBJECT(c);

        return give(c, string_new(text, fmt_append(text, sizeof(text), 0, "%s of %u", obj_class(&a->o)->name->text,
                                                   a->store->len)));
}

int n_array_resize(struct call *c)
{
        struct array *a = (struct array *)OBJECT(c);
        int32_t len = c->args[1].i;

        if (len < 0)
                return throw_error(c, CLASS_error_bounds, "an array of %d elements", len);
        if (a->o.info & OBJ_IMMUTABLE)
                return throw_error(c, CLASS_error_state, "the array must not be changed");
        if ((uint32_t)len > a->store->len)
                return array_grow(a, (uint32_t)len - 1) ? DONE : OUT_OF_MEMORY(c);
        a->store->len = (uint32_t)len;
        return DONE;
}

int n_array_copy(struct call *c)
{
        struct array *to = (struct array *)OBJECT(c), *from = (struct array *)c->args[2].r;
        int32_t at = c->args[1].i, at_from = c->args[3].i, len = c->args[4].i;
        unsigned each = array_element_bytes(array_kind(&to->o));

        if (!from)
                return throw_error(c, CLASS_error_reference, "a copy from null");
        if (array_kind(&from->o) != array_kind(&to->o))
                return throw_error(c, CLASS_error_cast, "%s into %s", obj_class(&from->o)->name->text,
                                   obj_class(&to->o)->name->text);
        if (at < 0 || at_from < 0 || len < 0 || (int64_t)at_from + len > from->store->len ||
            (int64_t)at + len >= INT32_MAX)
                return throw_error(c, CLASS_error_bounds, "%d elements from %d on, of %u, to %d", len, at_from,
                                   from->store->len, at);
        if (to->o.info & OBJ_IMMUTABLE)
                return throw_error(c, CLASS_error_state, "the array must not be changed");
        if (len && (uint32_t)(at + len) > to->store->len && !array_grow(to, (uint32_t)(at + len - 1)))
                return OUT_OF_MEMORY(c);
        memmove(to->store->b + (size_t)at * each, from->store->b + (size_t)at_from * each, (size_t)len * each);
        if (array_kind(&to->o) == ARRAY_R)
                heap_wrote_elements(to->store, (uint32_t)at, (uint32_t)len);
        return DONE;
}

/* ---- binary ---- */

static uint32_t binary_len(const struct binary *b)
{
        const struct store *s = __atomic_load_n(&b->store, __ATOMIC_RELAXED);

        return s ? s->len : 0;
}

/* Byte n of it; NULL, and the error is made: it has none. */
static uint8_t *byte_at(struct call *c, struct binary *b, int32_t n, int *r)
{
        struct store *s = __atomic_load_n(&b->store, __ATOMIC_RELAXED);
        uint32_t len = s ? s->len : 0;

        if ((uint32_t)n < len)
                return &s->b[n];
        *r = throw_error(c, CLASS_error_bounds, "byte %d of %u", n, len);
        return NULL;
}

int n_binary_newSize(struct call *c)
{
        struct binary *b = (struct binary *)OBJECT(c);
        struct store *s;

        if (c->args[1].i < 0)
                return throw_error(c, CLASS_error_bounds, "a binary of %d bytes", c->args[1].i);
        s = store_new(CLASS_store_raw, (uint32_t)c->args[1].i, (uint32_t)c->args[1].i, 1);
        if (!s)
                return OUT_OF_MEMORY(c);
        b->store = s;
        heap_wrote(b);
        return DONE;
}

int n_binary_equals(struct call *c)
{
        const struct binary *a = (struct binary *)OBJECT(c), *b = (struct binary *)c->args[1].r;

        return give_int(c, b && b->o.class == CLASS_binary && binary_len(a) == binary_len(b) &&
                                   (!binary_len(a) || !memcmp(a->store->b, b->store->b, a->store->len)));
}

int n_binary_getByte(struct call *c)
{
        int r;
        const uint8_t *byte = byte_at(c, (struct binary *)OBJECT(c), c->args[1].i, &r);

        return byte ? give_int(c, *byte) : r;
}

int n_binary_setByte(struct call *c)
{
        struct binary *b = (struct binary *)OBJECT(c);
        int r;
        uint8_t *byte = byte_at(c, b, c->args[1].i, &r);

        if (!byte)
                return r;
        if (b->o.info & OBJ_IMMUTABLE)
                return throw_error(c, CLASS_error_state, "the binary must not be changed");
        *byte = (uint8_t)c->args[2].i;
        return DONE;
}

int n_binary_setRange(struct call *c)
{
        struct binary *b = (struct binary *)OBJECT(c), *from = (struct binary *)c->args[1].r;
        int64_t to_pos = c->args[2].i, from_pos = c->args[3].i, len = c->args[4].i;
        int r;

        if (!want(c, 1, CLASS_binary, &r))
                return r;
        if (to_pos < 0 || from_pos < 0 || len < 0 || to_pos + len > binary_len(b) || from_pos + len > binary_len(from))
                return throw_error(c, CLASS_error_bounds, "%ld bytes from %ld of %u to %ld of %u", (long)len,
                                   (long)from_pos, binary_len(from), (long)to_pos, binary_len(b));
        if (b->o.info & OBJ_IMMUTABLE)
                return throw_error(c, CLASS_error_state, "the binary must not be changed");
        if (len)
                memmove(b->store->b + to_pos, from->store->b + from_pos, (size_t)len);
        return DONE;
}

int n_binary_length(struct call *c)
{
        return give_int(c, (int32_t)binary_len((struct binary *)OBJECT(c)));
}

int n_binary_text(struct call *c)
{
        const struct binary *b = (struct binary *)OBJECT(c);
        int64_t from = c->args[1].i, len = c->args[2].i;

        if (from < 0 || len < 0 || from + len > binary_len(b))
                return throw_error(c, CLASS_error_bounds, "%ld bytes from %ld on, of %u", (long)len, (long)from,
                                   binary_len(b));
        if (len && !pvm_utf8_ok((const char *)b->store->b + from, (size_t)len))
                return throw_error(c, CLASS_error_argument, "these bytes are not UTF-8");
        return give(c, string_new(len ? (const char *)b->store->b + from : "", (size_t)len));
}

int n_binary_resize(struct call *c)
{
        struct binary *b = (struct binary *)OBJECT(c);
        uint32_t len = (uint32_t)c->args[1].i, old = binary_len(b);
        struct store *s;

        if (c->args[1].i < 0)
                return throw_error(c, CLASS_error_bounds, "a binary of %d bytes", c->args[1].i);
        if (b->o.info & OBJ_IMMUTABLE)
                return throw_error(c, CLASS_error_state, "the binary must not be changed");
        s = store_new(CLASS_store_raw, len, len, 1);
        if (!s)
                return OUT_OF_MEMORY(c);
        if (old)
                memcpy(s->b, b->store->b, old < len ? old : len);
        b->store = s;
        heap_wrote(b);
        return DONE;
}

/* ---- directory ---- */

int n_directory_put(struct call *c)
{
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        return directory_put((struct directory *)OBJECT(c), STRING(c, 1), c->args[2].r) ? DONE : OUT_OF_MEMORY(c);
}

int n_directory_get(struct call *c)
{
        const struct directory *d = (struct directory *)OBJECT(c);
        uint32_t at;
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        c->result.r = directory_find(d, STRING(c, 1), &at) ? d->values->r[at] : NULL;
        return DONE;
}

int n_directory_remove(struct call *c)
{
        struct directory *d = (struct directory *)OBJECT(c);
        uint32_t at, len;
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        c->result.r = NULL;
        if (!directory_find(d, STRING(c, 1), &at))
                return DONE;
        c->result.r = d->values->r[at];
        len = --d->keys->len;
        d->values->len = len;
        memmove(d->keys->r + at, d->keys->r + at + 1, (len - at) * 8ul);
        memmove(d->values->r + at, d->values->r + at + 1, (len - at) * 8ul);
        d->keys->r[len] = d->values->r[len] = NULL;
        heap_wrote_elements(d->keys, at, len - at);
        heap_wrote_elements(d->values, at, len - at);
        return DONE;
}

int n_directory_size(struct call *c)
{
        const struct directory *d = (struct directory *)OBJECT(c);

        return give_int(c, d->keys ? (int32_t)d->keys->len : 0);
}

static struct array *array_of(const char *class, const struct store *from)
{
        struct klass *k = class_find(class, strlen(class));
        struct array *a = k ? array_new(k, from ? (int32_t)from->len : 0) : NULL;

        if (a && from)
                memcpy(a->store->r, from->r, from->len * 8ul);
        return a;
}

int n_directory_iterate(struct call *c)
{
        struct iterator *it = heap_alloc(CLASS_iterator, sizeof(*it), 0);

        if (!it)
                return OUT_OF_MEMORY(c);
        it->array = array_of("[u", ((struct directory *)OBJECT(c))->values);
        return it->array ? give(c, it) : OUT_OF_MEMORY(c);
}

int n_directory_keys(struct call *c)
{
        return give(c, array_of("[.internal.string;", ((struct directory *)OBJECT(c))->keys));
}

/* ---- weak references, closures ---- */

int n_weakref_newOf(struct call *c)
{
        ((struct weakref *)OBJECT(c))->target = c->args[1].r;
        heap_wrote(OBJECT(c));
        return DONE;
}

int n_weakref_get(struct call *c)
{
        c->result.r = heap_weak_load(((struct weakref *)OBJECT(c))->target);
        return DONE;
}

int n_closure_newOf(struct call *c)
{
        struct closure *k = (struct closure *)OBJECT(c);
        int r;

        if (!c->args[1].r)
                return throw_error(c, CLASS_error_reference, "a closure over null");
        if (!want(c, 2, CLASS_string, &r))
                return r;
        k->object = c->args[1].r;
        k->method = STRING(c, 2);
        heap_wrote(k);
        return DONE;
}

static int closure_call(struct call *c, unsigned nargs)
{
        uint32_t error;

        if (c->phase) {
                c->result.r = c->frame->r[nargs + 1].r;
                return DONE;
        }
        memcpy(c->callee_args, c->args + 1, nargs * sizeof(*c->args));
        error = closure_arguments((struct closure *)OBJECT(c), c->callee_args, nargs, &c->callee);
        if (error)
                return error == CLASS_error_memory ? OUT_OF_MEMORY(c) : throw_error(c, error, "%s", class_error);
        c->ncallee_args = c->callee->nargs;
        c->phase = 1;
        return CALL;
}

#define CLOSURE_CALL(n)                                                                                                \
        int n_closure_call##n(struct call *c)                                                                          \
        {                                                                                                              \
                return closure_call(c, n);                                                                             \
        }
CLOSURE_CALL(0)
CLOSURE_CALL(1)
CLOSURE_CALL(2)
CLOSURE_CALL(3)
CLOSURE_CALL(4)
CLOSURE_CALL(5)
CLOSURE_CALL(6)

/* ---- time, mathematics ---- */

int n_time_now(struct call *c)
{
        c->result.l = (int64_t)(pvm_host->real_ns() / 1000000);
        return DONE;
}

int n_time_monotonic(struct call *c)
{
        c->result.l = (int64_t)pvm_host->monotonic_ns();
        return DONE;
}

/* The x87 computes with 64 bits and rounds once at the end; its ranges are seen to here. */
int n_math_sqrt(struct call *c)
{
        double v = c->args[0].d;

        __asm__("sqrtsd %1, %0" : "=x"(v) : "x"(v));
        c->result.d = v;
        return DONE;
}

static long double reduced(double v)
{
        long double two_pi, x = v;

        __asm__("fldpi" : "=t"(two_pi));
        two_pi += two_pi;
        if (x > 1e5L || x < -1e5L)
                __asm__("1: fprem\n\tfnstsw %%ax\n\ttestb $4, %%ah\n\tjnz 1b" : "+t"(x) : "u"(two_pi) : "ax", "cc");
        return x;
}

static bool is_finite(double v)
{
        return v - v == 0;
}

int n_math_sin(struct call *c)
{
        long double x;

        if (!is_finite(c->args[0].d)) {
                c->result.d = __builtin_nan("");
                return DONE;
        }
        x = reduced(c->args[0].d);
        __asm__("fsin" : "+t"(x));
        c->result.d = (double)x;
        return DONE;
}

int n_math_cos(struct call *c)
{
        long double x;

        if (!is_finite(c->args[0].d)) {
                c->result.d = __builtin_nan("");
                return DONE;
        }
        x = reduced(c->args[0].d);
        __asm__("fcos" : "+t"(x));
        c->result.d = (double)x;
        return DONE;
}

int n_math_atan2(struct call *c)
{
        long double x = c->args[1].d;

        __asm__("fpatan" : "+t"(x) : "u"((long double)c->args[0].d) : "st(1)");
        c->result.d = (double)x;
        return DONE;
}

/* 2^(x * log2(base)) */
static double power2(long double e)
{
        long double whole, part;

        if (e != e)
                return __builtin_nan("");
        if (e > 16000)
                return __builtin_inf();
        if (e < -16000)
                return 0;
        whole = e;
        __asm__("frndint" : "+t"(whole));
        part = e - whole;
        __asm__("f2xm1" : "+t"(part));
        part += 1;
        __asm__("fscale" : "+t"(part) : "u"(whole));
        return (double)part;
}

int n_math_exp(struct call *c)
{
        long double log2e;

        __asm__("fldl2e" : "=t"(log2e));
        c->result.d = power2(log2e * (long double)c->args[0].d);
        return DONE;
}

/* y * log2(x), x > 0 */
static long double y_log2(long double y, long double x)
{
        __asm__("fyl2x" : "+t"(x) : "u"(y) : "st(1)");
        return x;
}

int n_math_log(struct call *c)
{
        double v = c->args[0].d;
        long double ln2;

        __asm__("fldln2" : "=t"(ln2));
        c->result.d = v != v || v < 0 ? __builtin_nan("")
                      : v == 0        ? -__builtin_inf()
                      : !is_finite(v) ? v
                                      : (double)y_log2(ln2, v);
        return DONE;
}

int n_math_pow(struct call *c)
{
        double x = c->args[0].d, y = c->args[1].d;
        bool whole = y == (double)(int64_t)(y < 9e18 && y > -9e18 ? y : 0) || y >= 9e18 || y <= -9e18;
        bool odd = whole && y < 9e15 && y > -9e15 && (int64_t)y & 1;
        double r;

        if (y == 0 || x == 1)
                r = 1;
        else if (x != x || y != y || (x < 0 && !whole && is_finite(x)))
                r = __builtin_nan("");
        else if (x == 0 || !is_finite(x))
                r = (x == 0) == (y > 0) ? 0.0 : __builtin_inf();
        else
                r = x == -1 ? 1 : power2(y_log2(y, x < 0 ? -x : x));
        c->result.d = odd && (slot){.d = x}.l < 0 ? -r : r;
        return DONE;
}

static double whole_below(double v)
{
        double t;

        if (!(v < 4503599627370496.0 && v > -4503599627370496.0))
                return v;
        t = (double)(int64_t)v;
        return t > v ? t - 1 : t == 0 ? v * 0 + t : t;
}

int n_math_floor(struct call *c)
{
        c->result.d = whole_below(c->args[0].d);
        return DONE;
}

int n_math_ceil(struct call *c)
{
        c->result.d = -whole_below(-c->args[0].d);
        return DONE;
}

/* ---- errors ---- */

int n_error_newMessage(struct call *c)
{
        ((struct error *)OBJECT(c))->message = STRING(c, 1);
        heap_wrote(OBJECT(c));
        return DONE;
}

int n_error_toString(struct call *c)
{
        struct string *m = ((struct error *)OBJECT(c))->message, *s;
        const struct atom *name = obj_class(OBJECT(c))->name;

        if (!m || m->o.class != CLASS_string)
                return give(c, string_new(name->text, name->len));
        s = string_room(name->len + 2ul + m->len);
        if (s) {
                memcpy(s->text, name->text, name->len);
                memcpy(s->text + name->len, ": ", 2);
                memcpy(s->text + name->len + 2, m->text, m->len);
        }
        return give(c, s);
}

int n_error_getMessage(struct call *c)
{
        c->result.r = (struct obj *)((struct error *)OBJECT(c))->message;
        return DONE;
}
