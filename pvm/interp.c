/*
 * interp.c - runs bytecode.
 *
 * The code that runs is a copy of the file's, in which instructions that had to look something up are replaced by what was found (Q_x below; the same
 * number of words, so that a place in the code means the same in both). GETF and SETF hold the class that they met last in their second word, call sites
 * have a struct site.
 *
 * While a frame runs, its place is in `pc`; f->pc is behind the call for all frames below, and is written before anything that may look at the
 * stack: collection, poll, throw, call. An instruction that throws, or that is run again after a collection, has changed nothing.
 */
#include "pvm/machine.h"
#include "kernel/lib/fmt.h"
#include "pvm/jit/jit.h"
#include "kernel/lib/string.h"
#include <stdarg.h>

#define POLL_COMPILED 0x80000000u /* in worker.poll: at the next jump compiled code could go on */
enum pvm_compile pvm_compile;
uint32_t pvm_drop_code;
uint32_t pvm_hot_calls = 200;
#define WARM_TURN    1000u /* as many calls as a turn counts */
#define WARM_CALLERS 4u
#define WARM_JUMPS   1024u /* are as many calls as: */
#define WARM_JUMPED  100u
static uint32_t pvm_hot; /* as pvm_compile wants it */

#define Q_OPS(Q)                                                                                                       \
        Q(Q_LDK)                                                                                                       \
        Q(Q_NEW)                                                                                                       \
        Q(Q_GETF_32)                                                                                                   \
        Q(Q_GETF_64) Q(Q_SETF_32) Q(Q_SETF_64) Q(Q_SETF_R) Q(Q_GETS) Q(Q_SETS) Q(Q_CALLV) Q(Q_CALLC) Q(Q_CALLS)
#define Q_NUMBER(name) name,
enum { Q_BEFORE = 191, Q_OPS(Q_NUMBER) Q_END };
#undef Q_NUMBER
_Static_assert(Q_END <= 256, "opcodes are bytes");

#define MAX_TRACE     1024u
#define FIRST_SEGMENT 4096u
#define SEGMENT       (PVM_BLOCK_BYTES - 64)

/* ---- stacks ---- */

static struct frame *frame_at(const struct frame *f)
{
        return (struct frame *)(f->r + f->nregs);
}

/*
 * A frame on top, in a new segment if need be. Registers from `set` on are 0, those below are for the caller to fill. NULL: no memory, or the limit: *overflow.
 */
static struct frame *push_slow(struct thread *t, struct frame *f, unsigned nregs, bool *overflow)
{
        size_t need = sizeof(struct frame) + nregs * sizeof(slot);
        struct stack *s;
        size_t size = t->stack ? SEGMENT : FIRST_SEGMENT;

        *overflow = false;
        if (size < sizeof(*s) + need)
                size = sizeof(*s) + need;
        if (t->stack_bytes + size > pvm_limits.stack_bytes) {
                *overflow = true;
                return NULL;
        }
        s = heap_alloc(CLASS_stack, size, 0);
        if (!s)
                return NULL;
        s->prev = t->stack;
        s->end = (uint64_t)s + size;
        t->stack = s;
        t->stack_bytes += size;
        f = (struct frame *)s->data;
        f->flags = FRAME_FIRST;
        return f;
}

static inline struct frame *push(struct thread *t, struct frame *below, const struct method *m, unsigned nregs,
                                 unsigned set, bool *overflow)
{
        struct frame *f = below ? frame_at(below) : NULL;

        if (!f || (uint64_t)(f->r + nregs) > t->stack->end) {
                f = push_slow(t, below, nregs, overflow);
                if (!f)
                        return NULL;
        } else {
                f->flags = 0;
        }
        f->prev = below;
        f->method = m->id;
        f->pc = 0;
        f->nregs = (uint16_t)nregs;
        for (unsigned i = set; i < nregs; i++)
                f->r[i].bits = 0;
        return f;
}

static void pop_segment(struct thread *t)
{
        t->stack_bytes -= obj_size(&t->stack->o);
        t->stack = t->stack->prev;
}

bool interp_begin(struct thread *t, struct method *m, const slot *args, unsigned nargs)
{
        bool overflow;
        struct frame *f = push(t, NULL, m, m->code ? m->nregs : nargs + NATIVE_LOCALS, nargs, &overflow);

        if (!f)
                return false;
        memcpy(f->r, args, nargs * sizeof(*args));
        f->flags |= FRAME_LAST;
        t->top = f;
        return true;
}

/* ---- errors ---- */

static struct obj *make_error(uint32_t class, const char *text)
{
        struct string *s = string_new(text, strlen(text));
        struct error *e = s ? heap_alloc(class, sizeof(*e), 0) : NULL;

        if (!e)
                return root()->no_memory;
        e->message = s;
        return &e->o;
}

int throw_error(struct call *c, uint32_t class, const char *fmt, ...)
{
        char text[300];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        c->result.r = make_error(class, text);
        return THROW;
}

int throw_object(struct call *c, struct obj *o)
{
        c->result.r = o;
        return THROW;
}

static void note_trace(struct thread *t, struct frame *f)
{
        unsigned n = 0;
        struct trace_entry *e;

        for (struct frame *g = f; g && n < MAX_TRACE; g = g->prev)
                n++;
        t->trace = store_new(CLASS_store_raw, n * 8, n * 8, 1);
        t->trace_len = t->trace ? n : 0;
        if (!t->trace)
                return;
        e = (struct trace_entry *)t->trace->b;
        for (struct frame *g = f; n--; g = g->prev)
                *e++ = (struct trace_entry){g->method, g->pc ? g->pc - 1 : 0};
}

/* Where the exception is caught, in the frame at pc; -1: not there. */
static int64_t handler_of(const struct method *m, uint32_t pc, struct obj *thrown, unsigned *reg)
{
        const struct pvm_file *file = &m->class->file;
        const struct pvm_file_handler *h;

        if (!m->code)
                return -1;
        h = (const void *)(file->data + m->file->handlers);
        for (unsigned i = 0; i < m->file->nhandlers; i++, h++) {
                if (pc < h->start || pc >= h->end)
                        continue;
                if (h->class) {
                        struct pvm_text name = pvm_file_class_name(file, h->class);
                        struct klass *k = class_find(name.p, name.len);

                        /* Of a class that cannot be loaded there is no object. */
                        if (!k || !class_is(obj_class(thrown), k))
                                continue;
                }
                *reg = h->reg;
                return h->target;
        }
        return -1;
}

/* ---- names at run time ---- */

static const struct atom *pool_atom(const struct method *m, unsigned utf8)
{
        struct pvm_text t = pvm_file_text(&m->class->file, utf8);

        return atom(t.p, t.len);
}

static struct klass *pool_class(const struct method *m, unsigned class)
{
        struct pvm_text t = pvm_file_class_name(&m->class->file, class);

        return class_find(t.p, t.len);
}

static bool visible(unsigned flags, const struct klass *owner, const struct klass *from)
{
        return !(flags & PVM_PRIVATE) || owner->current == from->current;
}

static void __attribute__((format(printf, 1, 2))) explain(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        class_explain(fmt, ap);
        va_end(ap);
}

/* The field that a pool entry names: from the constants, once it was found. NULL: class_error. */
static struct field *pool_field(struct method *m, uint32_t index, bool is_static)
{
        const struct pvm_file_pool *e = &m->class->file.pool[index];
        struct field *f = (struct field *)m->constants[index].bits;
        const struct atom *name, *type;
        struct klass *k;

        if (f && !(f->flags & PVM_STATIC) == !is_static)
                return f;
        k = pool_class(m, e->a);
        name = k ? pool_atom(m, e->b & 0xffff) : NULL;
        type = name ? pool_atom(m, e->b >> 16) : NULL;
        if (!type)
                return NULL;
        f = class_field(k, name, type, is_static);
        if (!f && m->class != m->class->current)
                f = class_kept_field(k, name, type, is_static);
        if (!f || !visible(f->flags, f->class, m->class)) {
                explain("%s: no %sfield %s of type %s%s", k->name->text, is_static ? "static " : "", name->text,
                        type->text, f ? " that can be seen here" : "");
                return NULL;
        }
        /* Written once: an instruction that took it from there may do so again at any time. */
        if (!m->constants[index].bits)
                __atomic_store_n(&m->constants[index].bits, (uint64_t)f, __ATOMIC_RELEASE);
        return f;
}

static struct method *own_method(const struct klass *k, const struct atom *name, const struct atom *params)
{
        for (uint32_t i = 0; i < k->nmethods; i++)
                if (k->methods[i].name == name && k->methods[i].params == params)
                        return &k->methods[i];
        return NULL;
}

static bool suits(const struct method *found, const struct method *m, char result, bool is_static)
{
        return found && !(found->flags & PVM_STATIC) == !is_static && visible(found->flags, found->class, m->class) &&
               found->result == result;
}

/* The method that a pool entry names. What its class has no more, code of a version that was replaced finds in its own. NULL: class_error. */
static struct method *pool_method(struct method *m, uint32_t index, bool is_static)
{
        const struct pvm_file_pool *e = &m->class->file.pool[index];
        struct klass *k = pool_class(m, e->a);
        struct pvm_text desc = pvm_file_text(&m->class->file, e->b >> 16);
        const struct atom *name = k ? pool_atom(m, e->b & 0xffff) : NULL, *params;
        char types[PVM_MAX_ARGS], result;
        unsigned n;
        uint32_t params_len;
        struct method *found;

        if (!name || !pvm_method_split(desc, types, PVM_MAX_ARGS - 1, &n, &result, &params_len))
                return NULL;
        params = atom(desc.p, params_len);
        if (!params)
                return NULL;
        found = class_callable(k, name, params);
        if (!suits(found, m, result, is_static) && m->class != k && m->class->current == k) {
                struct method *own = own_method(m->class, name, params);

                found = own ? own : found;
        }
        if (!suits(found, m, result, is_static)) {
                explain("%s: no %smethod %s%.*s%s", k->name->text, is_static ? "static " : "", name->text,
                        (int)desc.len, desc.p,
                        !found                                           ? ""
                        : found->result != result                        ? ": its result is another"
                        : !visible(found->flags, found->class, m->class) ? ": it is private"
                                                                         : ": static or not, it is the other");
                return NULL;
        }
        return found;
}

/* The class that a type descriptor of the pool stands for; with array, the class of arrays of that type. Found ones are behind the constants. */
static struct klass *pool_type(const struct method *m, uint32_t index, bool array)
{
        uint64_t *known = &m->constants[m->class->file.h->npool * (1u + array) + index].bits;
        struct klass *k = (struct klass *)__atomic_load_n(known, __ATOMIC_ACQUIRE);
        struct pvm_text t = pvm_file_text(&m->class->file, index);
        char name[PVM_MAX_NAME + 2];

        if (k)
                return k;
        if (array) {
                name[0] = '[';
                memcpy(name + 1, t.p, t.len);
                k = class_find(name, t.len + 1);
        } else {
                k = class_of_type(t);
        }
        __atomic_store_n(known, (uint64_t)k, __ATOMIC_RELEASE);
        return k;
}

static const uint32_t *file_code(const struct method *m)
{
        return pvm_file_code(&m->class->file, m->file);
}

/*
 * An instruction's first word becomes this, for all workers: whoever sees it sees what was written before it. Two may learn at once; then either word is right, with either of
 * what was written before.
 */
static void learn(const uint32_t *pc, uint32_t w)
{
        __atomic_store_n((uint32_t *)pc, w, __ATOMIC_RELEASE);
}

/* What a call site has seen last: one word, so that nobody finds one call's class with another's method. */
static void site_learn(struct site *s, uint32_t class, const struct method *target)
{
        uint64_t last = site_last(s);
        bool known = !(uint32_t)last || (uint32_t)last == class;

        for (unsigned n = 0; n < SITE_BEFORE; n++)
                known |= (uint32_t)s->before[n] == (uint32_t)last;
        if (!known)
                __atomic_store_n(&s->before[s->nbefore++ % SITE_BEFORE], last, __ATOMIC_RELAXED);
        __atomic_store_n(&s->last, (uint64_t)target->id << 32 | class, __ATOMIC_RELEASE);
}

/* ---- untyped calls ---- */

/* How well an object fits a parameter: 0 not, 1 untyped, 2 widening, 3 exactly. */
static unsigned fits(struct obj *o, struct pvm_text type)
{
        slot v;
        struct klass *k;

        switch (type.p[0]) {
        case 'u':
                return 1;
        case 'i':
                return o && o->class == CLASS_int ? 3 : 0;
        case 'l':
        case 'f':
        case 'd':
                if (!o || !unbox(o, (char)(type.p[0] - 'a' + 'A'), &v))
                        return 0;
                return o->class == (type.p[0] == 'l'   ? CLASS_long
                                    : type.p[0] == 'f' ? CLASS_float
                                                       : CLASS_double)
                               ? 3
                               : 2;
        default:
                if (!o)
                        return 2;
                k = class_of_type(type);
                if (!k)
                        return 0;
                if (k->index == CLASS_string && is_number(o))
                        return 1;
                return !class_is(obj_class(o), k) ? 0 : obj_class(o) == k ? 3 : 2;
        }
}

static bool next_param(const char **p, const struct method *m, struct pvm_text *type)
{
        const char *end = m->params->text + m->params->len - 1, *at = *p;

        if (at == end)
                return false;
        pvm_type_next(p, end);
        *type = (struct pvm_text){at, (uint32_t)(*p - at)};
        return true;
}

static unsigned score(const struct method *m, unsigned nargs, const slot *args)
{
        const char *p = m->params->text + 1;
        struct pvm_text type;
        unsigned sum = 1;

        for (unsigned i = 1; i < nargs && next_param(&p, m, &type); i++) {
                unsigned s = fits(args[i].r, type);

                if (!s)
                        return 0;
                sum += s == 3 ? 10000 : s == 2 ? 100 : 1;
        }
        return sum;
}

static void candidate(struct method *m, unsigned nargs, const slot *args, struct method **best, unsigned *most,
                      bool *tie, unsigned *n)
{
        unsigned s;

        if (m->nargs != nargs || m->flags & (PVM_PRIVATE | PVM_STATIC))
                return;
        (*n)++;
        s = score(m, nargs, args);
        if (s > *most || (*n == 1 && !s)) {
                *most = s;
                *best = m;
                *tie = false;
        } else if (s == *most) {
                *tie = true;
        }
}

uint32_t untyped_choose(struct klass *k, const struct atom *name, uint32_t ordinal, unsigned nargs, const slot *args,
                        struct method **chosen)
{
        struct method *best = NULL;
        unsigned most = 0, n = 0;
        bool tie = false;

        if (!name) {
                best = class_by_ordinal(k, ordinal);
                if (best && best->nargs == nargs)
                        n = 1;
        } else if (name->text[0] == '.') {
                /* Constructors: of the nearest class that has one of so many arguments. */
                for (struct klass *c = k; c && !n; c = c->parent)
                        for (uint32_t i = 0; i < c->nmethods; i++)
                                if (c->methods[i].name == name)
                                        candidate(&c->methods[i], nargs, args, &best, &most, &tie, &n);
        } else {
                for (uint32_t v = 0; v < k->nvtable; v++)
                        if (k->vtable[v]->name == name)
                                candidate(k->vtable[v], nargs, args, &best, &most, &tie, &n);
        }
        if (!n) {
                if (name)
                        explain("%s: no method %s with %u arguments", k->name->text, name->text, nargs - 1);
                else
                        explain("%s: no method %u with %u arguments", k->name->text, ordinal, nargs - 1);
                return CLASS_error_link;
        }
        if (n > 1 && (tie || !most)) {
                explain("%s: %s methods %s fit these %u arguments", k->name->text, most ? "several" : "none of the",
                        name->text, nargs - 1);
                return CLASS_error_link;
        }
        if (best->flags & PVM_ABSTRACT) {
                explain("%s: %s is abstract", k->name->text, best->name->text);
                return CLASS_error_link;
        }
        *chosen = best;
        return 0;
}

bool untyped_only(const struct klass *k, const struct method *m)
{
        for (uint32_t v = 0; v < k->nvtable; v++)
                if (k->vtable[v] != m && k->vtable[v]->name == m->name && k->vtable[v]->nargs == m->nargs)
                        return false;
        return m->vindex >= 0;
}

/* Are arguments not looked at, nor changed? */
static void see_if_plain(struct method *m)
{
        struct klass **k = m->nargs > 1 ? class_params(m) : NULL;

        for (unsigned i = 1; i < m->nargs; i++)
                if (!k || k[i] || m->types[i] != 'R')
                        return;
        m->plain = true;
}

/* Which argument, for a message: those behind the first `before` are counted from 1 on. */
static void explain_argument(unsigned i, unsigned before, const struct method *m, const char *params, const char *is)
{
        if (i < before)
                explain("value %u of the closure over %s%s is %s", i, m->name->text, params, is);
        else
                explain("argument %u of %s%s is %s", i - before + 1, m->name->text, params, is);
}

/* From args[first] on; `before` of them are none of the caller's: a receiver, what a closure brings. */
static uint32_t convert_from(struct method *m, slot *args, unsigned first, unsigned before)
{
        struct klass **k = m->nargs > first ? class_params(m) : NULL;

        if (!k && m->nargs > first)
                return CLASS_error_link;
        for (unsigned i = first; i < m->nargs; i++) {
                struct obj *o = args[i].r;
                char machine = m->types[i];

                if (machine != 'R') {
                        if (!o) {
                                explain_argument(i, before, m, "", "null");
                                return CLASS_error_reference;
                        }
                        if (unbox(o, machine, &args[i]))
                                continue;
                } else {
                        if (!o || !k[i] || class_is(obj_class(o), k[i]))
                                continue;
                        if (k[i]->index == CLASS_string && is_number(o)) {
                                slot v;
                                char t = number_type(o);

                                unbox(o, t, &v);
                                args[i].r = (struct obj *)string_of_number(t, v);
                                if (args[i].r)
                                        continue;
                                return CLASS_error_memory;
                        }
                }
                explain_argument(i, before, m, m->params->text, obj_class(o)->name->text);
                return CLASS_error_cast;
        }
        return 0;
}

uint32_t untyped_convert(struct method *m, slot *args)
{
        return convert_from(m, args, 1, 1);
}

uint32_t closure_arguments(const struct closure *k, slot *args, unsigned n, struct method **m)
{
        const struct atom *name;
        unsigned ncaptured = k->captured ? k->captured->len : 0;
        uint32_t error;

        if (!k->target) {
                if (!k->object) {
                        explain("a closure over null");
                        return CLASS_error_reference;
                }
                name = k->method->text[0] == '.' ? NULL : atom(k->method->text, k->method->len);
                if (!name || !name->len) {
                        explain("not the name of a method");
                        return CLASS_error_link;
                }
                memmove(args + 1, args, n * sizeof(*args));
                args[0].r = k->object;
                error = untyped_choose(obj_class(k->object), name, 0, n + 1, args, m);
                return error ? error : untyped_convert(*m, args);
        }
        *m = method_by_id(k->target);
        if ((*m)->nargs != ncaptured + n) {
                explain("%s.%s takes %u argument%s, %u given", (*m)->class->name->text, (*m)->name->text,
                        (*m)->nargs - ncaptured, (*m)->nargs - ncaptured == 1 ? "" : "s", n);
                return CLASS_error_link;
        }
        memmove(args + ncaptured, args, n * sizeof(*args));
        for (unsigned i = 0; i < ncaptured; i++)
                args[i].r = k->captured->r[i];
        return convert_from(*m, args, 0, ncaptured);
}

/* ---- parts of instructions ---- */

#define A (w >> 8 & 0xff)
#define B (w >> 16 & 0xff)
#define C (w >> 24)

static int32_t d2i(double v)
{
        return v != v ? 0 : v >= 2147483647.0 ? INT32_MAX : v <= -2147483648.0 ? INT32_MIN : (int32_t)v;
}

static int64_t d2l(double v)
{
        return v != v                        ? 0
               : v >= 9223372036854775807.0  ? INT64_MAX
               : v <= -9223372036854775808.0 ? INT64_MIN
                                             : (int64_t)v;
}

/* What CONCAT takes without a call: text of a number, a string, null. NULL: something else. */
static const char *part_text(char type, slot v, char *buf, size_t *len)
{
        const struct string *s;

        if (type == 'R') {
                if (!v.r) {
                        *len = 4;
                        return "null";
                }
                if (v.r->class == CLASS_string) {
                        s = (const struct string *)v.r;
                        *len = s->len;
                        return s->text;
                }
                if (!is_number(v.r))
                        return NULL;
                type = v.r->class == CLASS_int     ? 'I'
                       : v.r->class == CLASS_long  ? 'L'
                       : v.r->class == CLASS_float ? 'F'
                                                   : 'D';
                unbox(v.r, type, &v);
        }
        *len = format_number(type, v, buf);
        return buf;
}

/* 0, or the class of the error. */
static uint32_t concat(const struct method *m, const slot *r, const uint32_t *words, unsigned n, struct string **result)
{
        char buf[40];
        const char *text;
        size_t len, total = 0;
        char *to;

        for (unsigned i = 0; i < n; i++) {
                unsigned reg = words[i / 4] >> i % 4 * 8 & 0xff;

                text = part_text(m->types[reg], r[reg], buf, &len);
                if (!text) {
                        explain("%s in a concatenation", obj_class(r[reg].r)->name->text);
                        return CLASS_error_cast;
                }
                total += len;
        }
        *result = string_room(total);
        if (!*result)
                return CLASS_error_memory;
        to = (*result)->text;
        for (unsigned i = 0; i < n; i++) {
                unsigned reg = words[i / 4] >> i % 4 * 8 & 0xff;

                text = part_text(m->types[reg], r[reg], buf, &len);
                memcpy(to, text, len);
                to += len;
        }
        return 0;
}

/* b[c] = a, where it is not the plain case. 0, or the class of the error. */
static uint32_t store_element(struct obj *o, int32_t index, char type, slot v)
{
        struct array *a = (struct array *)o;
        enum array_kind kind;
        struct store *s;

        if (!o) {
                explain("an element of null");
                return CLASS_error_reference;
        }
        kind = array_kind(o);
        if (kind == ARRAY_NONE || (type != 'R' && "-ILFDR"[kind] != type)) {
                explain("%s is not an array of that type", obj_class(o)->name->text);
                return CLASS_error_cast;
        }
        if (o->info & OBJ_IMMUTABLE) {
                explain("the array must not be changed");
                return CLASS_error_state;
        }
        if (type == 'R' && kind != ARRAY_R) {
                if (!v.r) {
                        explain("null into an array of numbers");
                        return CLASS_error_reference;
                }
                if (!unbox(v.r, "-ILFDR"[kind], &v)) {
                        explain("%s into an array of numbers", obj_class(v.r)->name->text);
                        return CLASS_error_cast;
                }
        }
        if (index < 0 || index == INT32_MAX) {
                explain("index %d", index);
                return CLASS_error_bounds;
        }
        s = array_store(a);
        if ((uint32_t)index >= s->len)
                s = array_grow(a, (uint32_t)index);
        if (!s)
                return CLASS_error_memory;
        if (kind == ARRAY_I || kind == ARRAY_F)
                s->i[index] = v.i;
        else
                s->l[index] = v.l;
        if (kind == ARRAY_R)
                heap_wrote(&s->r[index]);
        return 0;
}

static uint32_t load_element(struct obj *o, int32_t index, char type, slot *v)
{
        struct store *s;
        enum array_kind kind;

        if (!o) {
                explain("an element of null");
                return CLASS_error_reference;
        }
        kind = array_kind(o);
        if (kind == ARRAY_NONE || (type != 'R' && "-ILFDR"[kind] != type)) {
                explain("%s is not an array of that type", obj_class(o)->name->text);
                return CLASS_error_cast;
        }
        s = array_store((struct array *)o);
        if ((uint32_t)index >= s->len) {
                explain("index %d of %u elements", index, s->len);
                return CLASS_error_bounds;
        }
        if (kind == ARRAY_I || kind == ARRAY_F)
                v->bits = (uint32_t)s->i[index];
        else
                v->l = s->l[index];
        if (type == 'R' && kind != ARRAY_R) {
                v->r = box("-ILFDR"[kind], *v);
                if (!v->r)
                        return CLASS_error_memory;
        }
        return 0;
}

/* The bytes of a binary or a string. NULL: neither. */
static uint8_t *bytes_of(struct obj *o, uint32_t *len)
{
        struct string *s = (struct string *)o;
        struct store *bytes;

        if (o->class == CLASS_string) {
                *len = s->len;
                return (uint8_t *)s->text;
        }
        if (o->class != CLASS_binary)
                return NULL;
        bytes = __atomic_load_n(&((struct binary *)o)->store, __ATOMIC_RELAXED);
        *len = bytes ? bytes->len : 0;
        return bytes ? bytes->b : (uint8_t *)o;
}

static struct klass *named_class(struct obj *o)
{
        if (o->class == CLASS_class)
                return class_by_index(((struct class_obj *)o)->index);
        if (o->class == CLASS_string)
                return class_find(((struct string *)o)->text, ((struct string *)o)->len);
        explain("%s names no class", obj_class(o)->name->text);
        return NULL;
}

static bool can_be_made(const struct klass *k)
{
        if (!k->no_new && !(k->flags & (PVM_CLASS_INTERFACE | PVM_CLASS_ABSTRACT)))
                return true;
        explain("%s cannot be made by new", k->name->text);
        return false;
}

/*
 * Instructions that neither call nor poll, for the loop and for compiled code. 0, or the class of the error: then class_error has the text, and nothing has changed.
 */
#define ERROR(class, ...)                                                                                              \
        do {                                                                                                           \
                explain(__VA_ARGS__);                                                                                  \
                return (class);                                                                                        \
        } while (0)

static uint32_t do_order(slot *R, uint32_t w)
{
        bool unordered;
        int d;

        if (!R[B].r || !R[C].r)
                ERROR(CLASS_error_reference, "null is compared");
        d = value_compare(R[B].r, R[C].r, &unordered);
        if (d == -2)
                ERROR(CLASS_error_cast, "%s and %s have no order", obj_class(R[B].r)->name->text,
                      obj_class(R[C].r)->name->text);
        R[A].bits = !unordered && (d < 0 || (d == 0 && (w & 0xff) == PVM_VLE));
        return 0;
}

static uint32_t do_box(const struct method *m, slot *R, uint32_t w)
{
        struct obj *o = box(m->types[B], R[B]);

        if (!o)
                return CLASS_error_memory;
        R[A].r = o;
        return 0;
}

static inline uint32_t do_unbox(const struct method *m, slot *R, uint32_t w)
{
        slot v;

        if (!R[B].r)
                ERROR(CLASS_error_reference, "null is no number");
        if (!unbox(R[B].r, m->types[A], &v))
                ERROR(CLASS_error_cast, "%s is not %s", obj_class(R[B].r)->name->text,
                      m->types[A] == 'I'   ? "int"
                      : m->types[A] == 'L' ? "long"
                      : m->types[A] == 'F' ? "float"
                                           : "double");
        R[A] = v;
        return 0;
}

/* Of what is not an object with a method toString of its own: that is for the caller. */
static bool has_text(const struct method *m, const slot *R, uint32_t w)
{
        return m->types[B] != 'R' || !R[B].r || R[B].r->class == CLASS_string || is_number(R[B].r);
}

static uint32_t do_text(const struct method *m, slot *R, uint32_t w)
{
        struct string *s;
        char type = m->types[B];
        slot v = R[B];

        if (type == 'R') {
                if (!v.r || v.r->class == CLASS_string) {
                        R[A] = v;
                        return 0;
                }
                type = number_type(v.r);
                unbox(v.r, type, &v);
        }
        s = string_of_number(type, v);
        if (!s)
                return CLASS_error_memory;
        R[A].r = &s->o;
        return 0;
}

static uint32_t do_concat(const struct method *m, slot *R, const uint32_t *pc)
{
        struct string *s;
        uint32_t w = pc[0], error = concat(m, R, pc + 1, B, &s);

        if (!error)
                R[A].r = &s->o;
        return error;
}

static uint32_t do_cast(const struct method *m, slot *R, const uint32_t *pc)
{
        uint32_t w = pc[0];

        if (R[B].r) {
                struct klass *k = pool_type(m, pc[1], false);

                if (!k)
                        return CLASS_error_link;
                if (!class_is(obj_class(R[B].r), k))
                        ERROR(CLASS_error_cast, "%s is not %s", obj_class(R[B].r)->name->text, k->name->text);
        }
        R[A] = R[B];
        return 0;
}

static uint32_t do_instance(const struct method *m, slot *R, const uint32_t *pc)
{
        uint32_t w = pc[0];
        struct klass *k = R[B].r ? pool_type(m, pc[1], false) : NULL;

        if (R[B].r && !k)
                return CLASS_error_link;
        R[A].bits = R[B].r && class_is(obj_class(R[B].r), k);
        return 0;
}

static uint32_t do_new(const struct method *m, slot *R, uint32_t w)
{
        const struct klass *k = (const struct klass *)m->constants[w >> 16].bits;
        struct obj *o = heap_alloc(k->index, k->size, 0);

        if (__builtin_expect(!o, 0))
                return CLASS_error_memory;
        R[A].r = o;
        return 0;
}

static uint32_t do_array(const struct method *m, slot *R, const uint32_t *pc)
{
        uint32_t w = pc[0];
        struct klass *k = pool_type(m, pc[1], true);
        struct array *a;

        if (!k)
                return CLASS_error_link;
        if (R[B].i < 0)
                ERROR(CLASS_error_bounds, "an array of %d elements", R[B].i);
        a = array_new(k, R[B].i);
        if (!a)
                return CLASS_error_memory;
        R[A].r = &a->o;
        return 0;
}

static uint32_t do_closure(struct method *m, slot *R, const uint32_t *pc)
{
        struct site *s = &m->sites[pc[1]];
        uint32_t w = pc[0];
        struct store *captured = NULL;
        struct closure *k;

        if (!s->ref) {
                struct method *named = pool_method(m, s->pool, true);

                if (!named)
                        return CLASS_error_link;
                /* The names of such methods are the compiler's: in another version the same one may be something else. */
                s->ref = own_method(m->class, named->name, named->params);
                if (!s->ref)
                        ERROR(CLASS_error_link, "a closure over a method of %s", named->class->name->text);
        }
        if (B) {
                captured = store_new(CLASS_store_refs, B, B, 8);
                if (!captured)
                        return CLASS_error_memory;
                for (unsigned i = 0; i < B; i++) {
                        unsigned reg = pc[2 + i / 4] >> i % 4 * 8 & 0xff;

                        captured->r[i] = box(m->types[reg], R[reg]);
                        if (!captured->r[i] && m->types[reg] != 'R')
                                return CLASS_error_memory;
                }
        }
        k = heap_alloc(CLASS_closure, sizeof(*k), 0);
        if (!k)
                return CLASS_error_memory;
        k->captured = captured;
        k->target = s->ref->id;
        R[A].r = &k->o;
        return 0;
}

static uint32_t do_load(slot *R, uint32_t w)
{
        slot v;
        uint32_t error = load_element(R[B].r, R[C].i, pvm_op_info[w & 0xff].a, &v);

        if (!error)
                R[A] = v;
        return error;
}

static uint32_t do_store(slot *R, uint32_t w)
{
        return store_element(R[B].r, R[C].i, pvm_op_info[w & 0xff].a, R[A]);
}

static uint32_t do_byte(slot *R, uint32_t w)
{
        uint32_t len;
        uint8_t *p;

        if (!R[B].r)
                ERROR(CLASS_error_reference, "a byte of null");
        p = bytes_of(R[B].r, &len);
        if (!p || ((w & 0xff) == PVM_STB && R[B].r->class != CLASS_binary))
                ERROR(CLASS_error_cast, "%s is not a binary", obj_class(R[B].r)->name->text);
        if ((uint32_t)R[C].i >= len)
                ERROR(CLASS_error_bounds, "byte %d of %u", R[C].i, len);
        if ((w & 0xff) == PVM_LDB) {
                R[A].bits = p[R[C].i];
                return 0;
        }
        if (R[B].r->info & OBJ_IMMUTABLE)
                ERROR(CLASS_error_state, "the binary must not be changed");
        p[R[C].i] = (uint8_t)R[A].i;
        return 0;
}

/* By the thread that runs: then it may be changed even if it is immutable. */
static bool migrates(struct obj *o)
{
        return o->info & OBJ_PENDING && obj_trailer(o)->by == worker.runs->id;
}

/* GETF and SETF; the instruction learns the class. */
static uint32_t do_field(struct method *m, slot *R, const uint32_t *pc)
{
        uint32_t w = *pc, at = (uint32_t)(pc - m->code);
        const struct field *d = pool_field(m, file_code(m)[at + 1], false);
        struct obj *o = R[B].r;
        bool set = (file_code(m)[at] & 0xff) == PVM_SETF, wide, is_ref;
        int32_t *p;

        if (!d)
                return CLASS_error_link;
        if (!o)
                ERROR(CLASS_error_reference, "field %s of null", d->name->text);
        if (!class_is(obj_class(o), d->class))
                ERROR(CLASS_error_cast, "field %s: %s is not %s", d->name->text, obj_class(o)->name->text,
                      d->class->name->text);
        if (set && o->info & OBJ_IMMUTABLE && !migrates(o))
                ERROR(CLASS_error_state, "field %s: the object must not be changed", d->name->text);
        wide = d->machine != 'I' && d->machine != 'F';
        is_ref = d->machine == 'R';
        p = (int32_t *)((char *)o + d->offset);
        if (d->offset / 4 <= 255 && !d->class->lazy) {
                /* Of whatever class: the field is at the same place in all that may be found here. */
                __atomic_store_n((uint32_t *)pc + 1, o->class, __ATOMIC_RELAXED);
                learn(pc, (!set     ? wide ? Q_GETF_64 : Q_GETF_32
                           : is_ref ? Q_SETF_R
                           : wide   ? Q_SETF_64
                                    : Q_SETF_32) |
                                  (w & 0xffff00) | d->offset / 4 << 24);
        }
        if (set) {
                if (wide)
                        *(slot *)p = R[A];
                else
                        *p = R[A].i;
                if (is_ref)
                        heap_wrote(o);
        } else {
                if (wide)
                        R[A] = *(slot *)p;
                else
                        R[A].bits = (uint32_t)*p;
        }
        return 0;
}

static inline void set_static(const struct field *d, slot v)
{
        *d->address = v;
        if (d->machine == 'R')
                heap_wrote(d->address);
}

/* The object whose migrate() comes before the GETF or SETF at pc; NULL: none, as far as is known. */
static struct obj *waits_for_migrate(struct method *m, const slot *R, const uint32_t *pc)
{
        uint32_t w = *pc;
        struct obj *o = R[B].r;
        const struct field *d;

        if (!o || !(o->info & OBJ_PENDING))
                return NULL;
        d = pool_field(m, file_code(m)[pc - m->code + 1], false);
        return d && d->class->lazy && class_is(obj_class(o), d->class) ? o : NULL;
}

uint32_t interp_step(struct method *m, slot *R, const uint32_t *pc)
{
        uint32_t w = *pc;

        /* What the interpreter has learnt does not matter here. */
        switch (file_code(m)[pc - m->code] & 0xff) {
        case PVM_REM_F:
                R[A].bits = (slot){.f = (float)fmod_exact((double)R[B].f, (double)R[C].f)}.bits & 0xffffffffu;
                return 0;
        case PVM_REM_D:
                R[A].d = fmod_exact(R[B].d, R[C].d);
                return 0;
        case PVM_VLT:
        case PVM_VLE:
                return do_order(R, w);
        case PVM_VEQ: {
                bool known, equal = value_equal(R[B].r, R[C].r, &known);

                if (known)
                        R[A].bits = equal;
                return !known;
        }
        case PVM_BOX:
                return do_box(m, R, w);
        case PVM_UNBOX:
                return do_unbox(m, R, w);
        case PVM_TOSTR:
                return has_text(m, R, w) ? do_text(m, R, w) : 1;
        case PVM_CONCAT:
                return do_concat(m, R, pc);
        case PVM_CAST:
                return do_cast(m, R, pc);
        case PVM_INSTOF:
                return do_instance(m, R, pc);
        case PVM_NEW:
                return do_new(m, R, w);
        case PVM_NEWARR:
                return do_array(m, R, pc);
        case PVM_CLOSURE:
                return do_closure(m, R, pc);
        case PVM_LDB:
        case PVM_STB:
                return do_byte(R, w);
        case PVM_GETF:
        case PVM_SETF:
                return waits_for_migrate(m, R, pc) ? 1 : do_field(m, R, pc);
        case PVM_LDK: {
                struct klass *named = pool_class(m, w >> 16);

                if (!named)
                        return CLASS_error_link;
                R[A].r = &named->object->o;
                return 0;
        }
        case PVM_ALD_I:
        case PVM_ALD_L:
        case PVM_ALD_F:
        case PVM_ALD_D:
        case PVM_ALD_R:
                return do_load(R, w);
        case PVM_AST_I:
        case PVM_AST_L:
        case PVM_AST_F:
        case PVM_AST_D:
        case PVM_AST_R:
                return do_store(R, w);
        default:
                return 1;
        }
}

/* What a call by CALLV or CALLC runs; NULL, class_error: nothing that fits. */
static struct method *find_target(const struct site *s, const struct klass *k, bool virtual)
{
        struct method *target = s->ref;

        if (virtual && target->vindex >= 0)
                target = s->ref->class->flags & PVM_CLASS_INTERFACE ? class_virtual(k, s->ref->name, s->ref->params)
                                                                    : k->vtable[s->ref->vindex];
        if (target && !(target->flags & PVM_ABSTRACT) && target->result == s->ref->result)
                return target;
        explain("%s: no method %s%s", k->name->text, s->ref->name->text, s->ref->desc->text);
        return NULL;
}

struct method *interp_find(const struct site *site, const struct obj *o, uint32_t virtual)
{
        struct found *k = &worker.found[((uint64_t)site->ref / 32 + o->class * 31ul) % WORKER_FOUND];

        if (k->ref != site->ref || k->class != o->class || k->virtual != virtual) {
                const struct klass *class = obj_class(o);
                struct method *target =
                        class_is(class, site->ref->class->current) ? find_target(site, class, virtual) : NULL;

                if (!target || !target->code)
                        return NULL;
                k->ref = site->ref;
                k->class = o->class;
                k->virtual = virtual;
                k->target = target;
        }
        if (!k->target->native_code)
                k->target->native_code = jit_address(jit_stubs.call);
        return k->target;
}

/* ---- compiled code ---- */

#define MAX_COMPILATIONS 100u

/* So much more has been done in the method. True: it is to be compiled. */
static bool is_hot(struct method *m, uint32_t calls)
{
        if (m->compiled || pvm_compile == PVM_COMPILE_NEVER)
                return false;
        m->heat += calls;
        return m->heat >= pvm_hot && m->compilations < MAX_COMPILATIONS;
}

/* At a safepoint: the frame's method. */
static void compile(void *frame)
{
        struct method *m = method_by_id(((struct frame *)frame)->method);

        if (m->compiled)
                return;
        m->compilations++;
        m->heat = pvm_hot;
        if (!jit_compile(m))
                m->compilations = MAX_COMPILATIONS;
}

/* The interpreter had to do an instruction. True: the code is to be dropped; with what that has taught, the method is compiled again, in time. */
static bool exited(struct method *m)
{
        uint32_t enough;

        if (!m->compiled)
                return false;
        m->compiled->exits++;
        if (m->compiled->learning)
                enough = pvm_compile == PVM_COMPILE_ALWAYS ? 1 + m->compilations / 2 : 2;
        else
                enough = 16u << (m->compilations < 16 ? m->compilations : 16);
        return m->compiled->exits >= enough;
}

/* At a safepoint: the code of the frame's method. */
static void drop(void *frame)
{
        struct method *m = method_by_id(((struct frame *)frame)->method);

        if (!m->compiled)
                return;
        m->careful |= !m->compiled->learning;
        jit_drop_method(m);
        m->heat = pvm_hot / 2;
}

static void collect(void *arg)
{
        (void)arg;
        heap_collect();
}

/* ---- the loop ---- */

static inline int call_native(const struct method *m, struct call *c)
{
        int how;

        if (m->unlocked)
                return m->native(c);
        machine_lock();
        how = m->native(c);
        machine_unlock();
        return how;
}

#define WAIT_NS 1000000u

/* Another thread is in a .static, or a migrate(), that has to end before the instruction at pc. */
static enum run_end wait_for_other(struct thread *t)
{
        machine_lock();
        thread_wait(t, NULL, pvm_host->monotonic_ns() + WAIT_NS);
        machine_unlock();
        return RUN_BLOCKED;
}

/* Kinds of errors raised in the loop. */
#define FAIL_TEXT(class, ...)                                                                                          \
        do {                                                                                                           \
                explain(__VA_ARGS__);                                                                                  \
                error = (class);                                                                                       \
                goto failed;                                                                                           \
        } while (0)
#define FAIL(class)                                                                                                    \
        do {                                                                                                           \
                error = (class);                                                                                       \
                goto failed;                                                                                           \
        } while (0)
#define SETI(reg, v) (R[reg].bits = (uint32_t)(v))
#define SETF(reg, v) (R[reg].bits = (slot){.f = (v)}.bits & 0xffffffffu)
/* Another worker may learn in between: what comes behind the word is read behind it (see `learn`). */
#define WORD(pc) __atomic_load_n(pc, __ATOMIC_ACQUIRE)
#define NEXT(words)                                                                                                    \
        do {                                                                                                           \
                pc += (words);                                                                                         \
                w = WORD(pc);                                                                                          \
                goto *label[w & 0xff];                                                                                 \
        } while (0)
#define JUMP(offset)                                                                                                   \
        do {                                                                                                           \
                pc += (int32_t)(offset);                                                                               \
                if (__builtin_expect(worker.poll, 0))                                                                  \
                        goto yield;                                                                                    \
                if (__builtin_expect(!--jumps, 0))                                                                     \
                        goto warm;                                                                                     \
                w = WORD(pc);                                                                                          \
                goto *label[w & 0xff];                                                                                 \
        } while (0)
#define BRANCH(condition)                                                                                              \
        do {                                                                                                           \
                if (condition)                                                                                         \
                        JUMP(pc[1]);                                                                                   \
                NEXT(2);                                                                                               \
        } while (0)
#define ENTER(frame)                                                                                                   \
        do {                                                                                                           \
                f = (frame);                                                                                           \
                m = methods[f->method];                                                                                \
                R = f->r;                                                                                              \
                pc = m->code + f->pc;                                                                                  \
        } while (0)
#define CASE_INT(T, TYPE, UTYPE, FIELD, SET, MASK)                                                                     \
        op_ADD_##T : SET(A, (UTYPE)R[B].FIELD + (UTYPE)R[C].FIELD);                                                    \
        NEXT(1);                                                                                                       \
        op_SUB_##T : SET(A, (UTYPE)R[B].FIELD - (UTYPE)R[C].FIELD);                                                    \
        NEXT(1);                                                                                                       \
        op_MUL_##T : SET(A, (UTYPE)R[B].FIELD *(UTYPE)R[C].FIELD);                                                     \
        NEXT(1);                                                                                                       \
        op_DIV_##T : if (!R[C].FIELD) goto divide;                                                                     \
        SET(A, R[C].FIELD == -1 ? (TYPE)(0 - (UTYPE)R[B].FIELD) : R[B].FIELD / R[C].FIELD);                            \
        NEXT(1);                                                                                                       \
        op_REM_##T : if (!R[C].FIELD) goto divide;                                                                     \
        SET(A, R[C].FIELD == -1 ? 0 : R[B].FIELD % R[C].FIELD);                                                        \
        NEXT(1);                                                                                                       \
        op_NEG_##T : SET(A, 0 - (UTYPE)R[B].FIELD);                                                                    \
        NEXT(1);                                                                                                       \
        op_AND_##T : SET(A, R[B].FIELD &R[C].FIELD);                                                                   \
        NEXT(1);                                                                                                       \
        op_OR_##T : SET(A, R[B].FIELD | R[C].FIELD);                                                                   \
        NEXT(1);                                                                                                       \
        op_XOR_##T : SET(A, R[B].FIELD ^ R[C].FIELD);                                                                  \
        NEXT(1);                                                                                                       \
        op_SHL_##T : SET(A, (UTYPE)R[B].FIELD << (R[C].i & MASK));                                                     \
        NEXT(1);                                                                                                       \
        op_SHR_##T : SET(A, R[B].FIELD >> (R[C].i & MASK));                                                            \
        NEXT(1);                                                                                                       \
        op_USHR_##T : SET(A, (UTYPE)R[B].FIELD >> (R[C].i & MASK));                                                    \
        NEXT(1);                                                                                                       \
        op_NOT_##T : SET(A, ~R[B].FIELD);                                                                              \
        NEXT(1);                                                                                                       \
        op_ADDI_##T : SET(A, (UTYPE)R[B].FIELD + (UTYPE)(int8_t)C);                                                    \
        NEXT(1);                                                                                                       \
        op_MULI_##T : SET(A, (UTYPE)R[B].FIELD *(UTYPE)(int8_t)C);                                                     \
        NEXT(1);                                                                                                       \
        op_DIVI_##T : SET(A, (int8_t)C == -1 ? (TYPE)(0 - (UTYPE)R[B].FIELD) : R[B].FIELD / (int8_t)C);                \
        NEXT(1);                                                                                                       \
        op_REMI_##T : SET(A, (int8_t)C == -1 ? 0 : R[B].FIELD % (int8_t)C);                                            \
        NEXT(1);                                                                                                       \
        op_ANDI_##T : SET(A, R[B].FIELD &(TYPE)(int8_t)C);                                                             \
        NEXT(1);                                                                                                       \
        op_SHLI_##T : SET(A, (UTYPE)R[B].FIELD << (C & MASK));                                                         \
        NEXT(1);                                                                                                       \
        op_SHRI_##T : SET(A, R[B].FIELD >> (C & MASK));                                                                \
        NEXT(1);                                                                                                       \
        op_USHRI_##T : SET(A, (UTYPE)R[B].FIELD >> (C & MASK));                                                        \
        NEXT(1);
#define CASE_FLOAT(T, FIELD, SET, FMOD)                                                                                \
        op_ADD_##T : SET(A, R[B].FIELD + R[C].FIELD);                                                                  \
        NEXT(1);                                                                                                       \
        op_SUB_##T : SET(A, R[B].FIELD - R[C].FIELD);                                                                  \
        NEXT(1);                                                                                                       \
        op_MUL_##T : SET(A, R[B].FIELD *R[C].FIELD);                                                                   \
        NEXT(1);                                                                                                       \
        op_DIV_##T : SET(A, R[B].FIELD / R[C].FIELD);                                                                  \
        NEXT(1);                                                                                                       \
        op_REM_##T : SET(A, FMOD);                                                                                     \
        NEXT(1);                                                                                                       \
        op_NEG_##T : SET(A, -R[B].FIELD);                                                                              \
        NEXT(1);
#define CASE_COMPARE(T, FIELD)                                                                                         \
        op_SEQ_##T : SETI(A, R[B].FIELD == R[C].FIELD);                                                                \
        NEXT(1);                                                                                                       \
        op_SNE_##T : SETI(A, R[B].FIELD != R[C].FIELD);                                                                \
        NEXT(1);                                                                                                       \
        op_SLT_##T : SETI(A, R[B].FIELD < R[C].FIELD);                                                                 \
        NEXT(1);                                                                                                       \
        op_SLE_##T : SETI(A, R[B].FIELD <= R[C].FIELD);                                                                \
        NEXT(1);                                                                                                       \
        op_JEQ_##T : BRANCH(R[A].FIELD == R[B].FIELD);                                                                 \
        op_JNE_##T : BRANCH(R[A].FIELD != R[B].FIELD);                                                                 \
        op_JLT_##T : BRANCH(R[A].FIELD < R[B].FIELD);                                                                  \
        op_JLE_##T : BRANCH(R[A].FIELD <= R[B].FIELD);
#define SETL(reg, v) (R[reg].l = (int64_t)(v))
#define SETD(reg, v) (R[reg].d = (v))
#define CASE_ARRAY(T, KIND, SETTER, MEMBER, WROTE)                                                                     \
        op_ALD_##T:                                                                                                    \
        {                                                                                                              \
                struct obj *o = R[B].r;                                                                                \
                uint32_t at = (uint32_t)R[C].i;                                                                        \
                struct store *s;                                                                                       \
                if (__builtin_expect(!o || (o->info & OBJ_ARRAY) != ARRAY_BITS(KIND), 0))                              \
                        goto array_load;                                                                               \
                s = array_store((struct array *)o);                                                                    \
                if (__builtin_expect(at >= s->len, 0))                                                                 \
                        goto array_load;                                                                               \
                SETTER(A, s->MEMBER[at]);                                                                              \
                NEXT(1);                                                                                               \
        }                                                                                                              \
        op_AST_##T:                                                                                                    \
        {                                                                                                              \
                struct obj *o = R[B].r;                                                                                \
                uint32_t at = (uint32_t)R[C].i;                                                                        \
                struct store *s;                                                                                       \
                if (__builtin_expect(!o || (o->info & (OBJ_ARRAY | OBJ_IMMUTABLE)) != ARRAY_BITS(KIND), 0))            \
                        goto array_store;                                                                              \
                s = array_store((struct array *)o);                                                                    \
                if (__builtin_expect(at >= s->len, 0))                                                                 \
                        goto array_store;                                                                              \
                s->MEMBER[at] = R[A].MEMBER;                                                                           \
                WROTE(&s->MEMBER[at]);                                                                                 \
                NEXT(1);                                                                                               \
        }
#define SETR(reg, v) (R[reg].r = (v))
#define NO_REFERENCE(at)

enum run_end interp_run(struct thread *t)
{
#define OP_LABEL(name, format, a, b, c, writes) [PVM_##name] = &&op_##name,
#define Q_LABEL(name)                           [name] = &&op_##name,
        static const void *const label[256] = {PVM_OPS(OP_LABEL) Q_OPS(Q_LABEL)};
        struct frame *f = t->top, *g;
        struct method *m, *target;
        slot *R;
        const uint32_t *pc, *at = NULL, *retried = NULL; /* at: the instruction that goes to invoke */
        uint32_t w, error;
        slot arg[PVM_MAX_ARGS];
        unsigned nargs, dest, flags;
        struct obj *thrown;
        bool overflow;
        struct call c = {.thread = t};
        enum jit_end ended;
        enum class_init init;
        int how;
        uint32_t jumps = WARM_JUMPS; /* till the method that makes the last of them is so much warmer */

        pvm_hot = pvm_compile == PVM_COMPILE_ALWAYS ? 1 : pvm_hot_calls;
        m = methods[f->method];
        R = f->r;
        if (!m->code) {
                pc = NULL;
                goto native_again;
        }
        pc = m->code + f->pc;
        if (pvm_compile != PVM_COMPILE_NEVER) {
                /* What is at it when its turn is over has loops that are worth it, or the loop is in who called it: ticks fall into what polls. */
                g = f;
                for (unsigned k = 0; g && k <= WARM_CALLERS; k++, g = g->prev)
                        if (methods[g->method]->code && is_hot(methods[g->method], WARM_TURN) &&
                            !at_safepoint(compile, g))
                                return RUN_YIELD;
                ENTER(f);
                if (m->compiled)
                        goto resume;
        }
        NEXT(0);

        /*
         * Compiled code goes on at pc of the frame on top, if it can; if not, at the next turn of a loop that it knows.
         */
resume:
        for (;;) {
                uint32_t entry = jit_entry(m, (uint32_t)(pc - m->code));

                if (!entry) {
                        if (m->compiled)
                                __atomic_fetch_or(&worker.poll, POLL_COMPILED, __ATOMIC_RELAXED);
                        NEXT(0);
                }
                ended = jit_run(t, f, entry);
                ENTER(worker.top);
                t->top = f;
                switch (ended) {
                case JIT_YIELD:
                        if (worker.poll & ~POLL_COMPILED)
                                return RUN_YIELD;
                        __atomic_fetch_and(&worker.poll, ~POLL_COMPILED, __ATOMIC_RELAXED);
                        continue;
                case JIT_EXIT:
                        if (exited(m)) {
                                if (!at_safepoint(drop, f))
                                        return RUN_YIELD;
                                ENTER(f);
                        }
                        __attribute__((fallthrough));
                case JIT_LEAVE:
                        __atomic_fetch_or(&worker.poll, POLL_COMPILED, __ATOMIC_RELAXED);
                        NEXT(0);
                case JIT_CALL:
                        for (unsigned i = m->nargs; i < m->nregs; i++)
                                R[i].bits = 0;
                        if (is_hot(m, 1)) {
                                if (!at_safepoint(compile, f))
                                        return RUN_YIELD;
                                ENTER(f);
                        }
                        if (!m->compiled)
                                NEXT(0);
                        continue;
                case JIT_RETURN:
                        if (!m->compiled)
                                NEXT(0);
                        continue;
                }
        }

op_NOP:
        NEXT(1);
op_MOV:
        R[A] = R[B];
        NEXT(1);
op_LDNULL:
        R[A].r = NULL;
        NEXT(1);
op_LDI:
        SETI(A, (int32_t)w >> 16);
        NEXT(1);
op_LDL:
        R[A].l = (int32_t)w >> 16;
        NEXT(1);
op_LDF:
        SETF(A, (float)((int32_t)w >> 16));
        NEXT(1);
op_LDD:
        R[A].d = (int32_t)w >> 16;
        NEXT(1);
op_LDK : {
        unsigned k = w >> 16;

        if (m->class->file.pool[k].tag == PVM_POOL_CLASS) {
                struct klass *named = pool_class(m, k);

                if (!named)
                        FAIL(CLASS_error_link);
                /* NEW has the same entry for its own purpose: it looks up again. */
                R[A].r = &named->object->o;
                NEXT(1);
        }
        learn(pc, (w & ~0xffu) | Q_LDK);
}
op_Q_LDK:
        R[A] = m->constants[w >> 16];
        NEXT(1);

        CASE_INT(I, int32_t, uint32_t, i, SETI, 31)
        CASE_INT(L, int64_t, uint64_t, l, SETL, 63)
        CASE_FLOAT(F, f, SETF, (float)fmod_exact((double)R[B].f, (double)R[C].f))
        CASE_FLOAT(D, d, SETD, fmod_exact(R[B].d, R[C].d))
        CASE_COMPARE(I, i)
        CASE_COMPARE(L, l)
        CASE_COMPARE(F, f)
        CASE_COMPARE(D, d)

op_I2L:
        R[A].l = R[B].i;
        NEXT(1);
op_I2F:
        SETF(A, (float)R[B].i);
        NEXT(1);
op_I2D:
        R[A].d = R[B].i;
        NEXT(1);
op_L2I:
        SETI(A, R[B].l);
        NEXT(1);
op_L2F:
        SETF(A, (float)R[B].l);
        NEXT(1);
op_L2D:
        R[A].d = (double)R[B].l;
        NEXT(1);
op_F2I:
        SETI(A, d2i((double)R[B].f));
        NEXT(1);
op_F2L:
        R[A].l = d2l((double)R[B].f);
        NEXT(1);
op_F2D:
        R[A].d = (double)R[B].f;
        NEXT(1);
op_D2I:
        SETI(A, d2i(R[B].d));
        NEXT(1);
op_D2L:
        R[A].l = d2l(R[B].d);
        NEXT(1);
op_D2F:
        SETF(A, (float)R[B].d);
        NEXT(1);
op_JNLT_F:
        BRANCH(!(R[A].f < R[B].f));
op_JNLE_F:
        BRANCH(!(R[A].f <= R[B].f));
op_JNLT_D:
        BRANCH(!(R[A].d < R[B].d));
op_JNLE_D:
        BRANCH(!(R[A].d <= R[B].d));
op_JEQI_I:
        BRANCH(R[A].i == (int32_t)w >> 16);
op_JNEI_I:
        BRANCH(R[A].i != (int32_t)w >> 16);
op_JLTI_I:
        BRANCH(R[A].i < (int32_t)w >> 16);
op_JLEI_I:
        BRANCH(R[A].i <= (int32_t)w >> 16);
op_JGTI_I:
        BRANCH(R[A].i > (int32_t)w >> 16);
op_JGEI_I:
        BRANCH(R[A].i >= (int32_t)w >> 16);
op_JMP:
        JUMP((int32_t)w >> 8);
op_JNULL:
        BRANCH(!R[A].r);
op_JNNULL:
        BRANCH(R[A].r);
op_JSAME:
        BRANCH(R[A].r == R[B].r);
op_JNSAME:
        BRANCH(R[A].r != R[B].r);
op_SSAME:
        SETI(A, R[B].r == R[C].r);
        NEXT(1);
op_VEQ : {
        bool known, equal = value_equal(R[B].r, R[C].r, &known);

        if (known) {
                SETI(A, equal);
                NEXT(1);
        }
        target = obj_class(R[B].r)->vtable[object_equals->vindex];
        arg[0] = R[B];
        arg[1] = R[C];
        nargs = 2;
        flags = 0;
        dest = A;
        at = pc;
        pc += 1;
        goto invoke;
}
op_VLT:
op_VLE:
        error = do_order(R, w);
        if (error)
                goto failed;
        NEXT(1);
op_TSWITCH : {
        uint32_t at = (uint32_t)R[A].i - pc[1];

        JUMP(at < pc[2] ? pc[4 + at] : pc[3]);
}
op_LSWITCH : {
        uint32_t low = 0, high = pc[1];
        int32_t key = R[A].i;

        while (low < high) {
                uint32_t mid = low + (high - low) / 2;

                if ((int32_t)pc[3 + 2 * mid] < key)
                        low = mid + 1;
                else
                        high = mid;
        }
        JUMP(low < pc[1] && (int32_t)pc[3 + 2 * low] == key ? pc[4 + 2 * low] : pc[2]);
}
op_BOX:
        if (m->types[B] == 'R') {
                R[A] = R[B];
                NEXT(1);
        }
        error = do_box(m, R, w);
        if (error)
                goto failed;
        NEXT(1);
op_UNBOX:
        error = do_unbox(m, R, w);
        if (error)
                goto failed;
        NEXT(1);
op_TOSTR:
        if (!has_text(m, R, w)) {
                target = obj_class(R[B].r)->vtable[object_toString->vindex];
                arg[0] = R[B];
                nargs = 1;
                flags = FRAME_TEXT;
                dest = A;
                at = pc;
                pc += 1;
                goto invoke;
        }
        error = do_text(m, R, w);
        if (error)
                goto failed;
        NEXT(1);
op_CONCAT:
        error = do_concat(m, R, pc);
        if (error)
                goto failed;
        NEXT(1 + (B + 3) / 4);
op_NEW : {
        struct klass *k = pool_class(m, w >> 16);

        if (!k || !can_be_made(k))
                FAIL(CLASS_error_link);
        init = class_static_init(k, t, &target);
        if (init >= INIT_RUN)
                goto static_init;
        __atomic_store_n(&m->constants[w >> 16].bits, (uint64_t)k, __ATOMIC_RELAXED);
        if (init == INIT_DONE)
                learn(pc, (w & ~0xffu) | Q_NEW);
}
op_Q_NEW:
        error = do_new(m, R, w);
        if (error)
                goto failed;
        NEXT(1);
op_NEWD : {
        struct klass *k;
        struct obj *o;

        if (!R[B].r)
                FAIL_TEXT(CLASS_error_reference, "null names no class");
        k = named_class(R[B].r);
        if (!k || !can_be_made(k))
                FAIL(CLASS_error_link);
        init = class_static_init(k, t, &target);
        if (init >= INIT_RUN)
                goto static_init;
        o = heap_alloc(k->index, k->size, 0);
        if (!o)
                FAIL(CLASS_error_memory);
        R[A].r = o;
        NEXT(1);
}
op_CAST:
        error = do_cast(m, R, pc);
        if (error)
                goto failed;
        NEXT(2);
op_INSTOF:
        error = do_instance(m, R, pc);
        if (error)
                goto failed;
        NEXT(2);
op_CASTD:
op_INSTOFD : {
        struct klass *k;
        bool is;

        if (!R[C].r)
                FAIL_TEXT(CLASS_error_reference, "null names no class");
        k = named_class(R[C].r);
        if (!k)
                FAIL(CLASS_error_link);
        is = R[B].r && class_is(obj_class(R[B].r), k);
        if ((w & 0xff) == PVM_INSTOFD)
                SETI(A, is);
        else if (R[B].r && !is)
                FAIL_TEXT(CLASS_error_cast, "%s is not %s", obj_class(R[B].r)->name->text, k->name->text);
        else
                R[A] = R[B];
        NEXT(1);
}
op_Q_GETF_32 : {
        struct obj *o = R[B].r;

        if (__builtin_expect(!o || o->class != pc[1], 0))
                goto op_GETF;
        SETI(A, ((int32_t *)o)[C]);
        NEXT(2);
}
op_Q_GETF_64 : {
        struct obj *o = R[B].r;

        if (__builtin_expect(!o || o->class != pc[1], 0))
                goto op_GETF;
        R[A] = *(slot *)((int32_t *)o + C);
        NEXT(2);
}
op_Q_SETF_32 : {
        struct obj *o = R[B].r;

        if (__builtin_expect(!o || o->class != pc[1] || o->info & OBJ_IMMUTABLE, 0))
                goto op_SETF;
        ((int32_t *)o)[C] = R[A].i;
        NEXT(2);
}
op_Q_SETF_64 : {
        struct obj *o = R[B].r;

        if (__builtin_expect(!o || o->class != pc[1] || o->info & OBJ_IMMUTABLE, 0))
                goto op_SETF;
        *(slot *)((int32_t *)o + C) = R[A];
        NEXT(2);
}
op_Q_SETF_R : {
        struct obj *o = R[B].r;

        if (__builtin_expect(!o || o->class != pc[1] || o->info & OBJ_IMMUTABLE, 0))
                goto op_SETF;
        *(slot *)((int32_t *)o + C) = R[A];
        heap_wrote(o);
        NEXT(2);
}
op_GETF:
op_SETF : {
        struct obj *o = waits_for_migrate(m, R, pc);
        bool wait = false;

        target = o ? upgrade_next(t, o, &wait) : NULL;
        if (target)
                goto migrate;
        if (o && wait) {
                f->pc = (uint32_t)(pc - m->code);
                t->top = f;
                return wait_for_other(t);
        }
        error = do_field(m, R, pc);
        if (error)
                goto failed;
        NEXT(2);
}
op_GETS:
op_SETS : {
        const struct field *d = pool_field(m, w >> 16, true);

        if (!d)
                FAIL(CLASS_error_link);
        init = class_static_init(d->class, t, &target);
        if (init >= INIT_RUN)
                goto static_init;
        if (init == INIT_DONE && m->constants[w >> 16].bits == (uint64_t)d) {
                learn(pc, (w & ~0xffu) | ((w & 0xff) == PVM_GETS ? Q_GETS : Q_SETS));
                NEXT(0);
        }
        /* It is looked up each time: others must wait here, or to another instruction the entry is an object's field. */
        if ((w & 0xff) == PVM_GETS)
                R[A] = *d->address;
        else
                set_static(d, R[A]);
        NEXT(1);
}
op_Q_GETS:
        R[A] = *((const struct field *)m->constants[w >> 16].bits)->address;
        NEXT(1);
op_Q_SETS:
        set_static((const struct field *)m->constants[w >> 16].bits, R[A]);
        NEXT(1);
op_NEWARR:
        error = do_array(m, R, pc);
        if (error)
                goto failed;
        NEXT(2);
op_CLOSURE:
        error = do_closure(m, R, pc);
        if (error)
                goto failed;
        NEXT(2 + (B + 3) / 4);
op_LEN:
        if (!R[B].r)
                FAIL_TEXT(CLASS_error_reference, "length of null");
        if (!(R[B].r->info & OBJ_ARRAY))
                FAIL_TEXT(CLASS_error_cast, "%s is not an array", obj_class(R[B].r)->name->text);
        SETI(A, array_store((struct array *)R[B].r)->len);
        NEXT(1);

        CASE_ARRAY(I, ARRAY_I, SETI, i, NO_REFERENCE)
        CASE_ARRAY(L, ARRAY_L, SETL, l, NO_REFERENCE)
        CASE_ARRAY(F, ARRAY_F, SETF, f, NO_REFERENCE)
        CASE_ARRAY(D, ARRAY_D, SETD, d, NO_REFERENCE)
        CASE_ARRAY(R, ARRAY_R, SETR, r, heap_wrote)

array_load:
        error = do_load(R, w);
        if (error)
                goto failed;
        NEXT(1);
array_store:
        error = do_store(R, w);
        if (error)
                goto failed;
        NEXT(1);
op_LDB:
op_STB:
        error = do_byte(R, w);
        if (error)
                goto failed;
        NEXT(1);

        /* ---- calls ---- */
op_CALLV:
op_CALLC:
op_CALLS : {
        struct site *s = &m->sites[pc[1]];
        unsigned op = w & 0xff;
        struct method *named = pool_method(m, s->pool, op == PVM_CALLS);

        if (!named)
                FAIL(CLASS_error_link);
        s->ref = named;
        if (op == PVM_CALLS) {
                init = class_static_init(pool_class(m, m->class->file.pool[s->pool].a), t, &target);
                if (init >= INIT_RUN)
                        goto static_init;
                target = named;
                flags = 0;
                if (init != INIT_DONE)
                        goto call; /* others must wait here */
                site_learn(s, 0, named);
        }
        learn(pc, (w & ~0xffu) | (op == PVM_CALLV ? Q_CALLV : op == PVM_CALLC ? Q_CALLC : Q_CALLS));
        NEXT(0);
}
op_Q_CALLV:
op_Q_CALLC : {
        struct site *s = &m->sites[pc[1]];
        struct obj *o = R[pc[2] & 0xff].r;
        uint64_t last = site_last(s);
        struct klass *k;

        flags = 0;
        if (__builtin_expect(o && o->class == (uint32_t)last, 1)) {
                target = methods[last >> 32];
                goto call;
        }
        if (!o)
                FAIL_TEXT(CLASS_error_reference, "method %s of null", s->ref->name->text);
        k = obj_class(o);
        if (!class_is(k, s->ref->class->current))
                FAIL_TEXT(CLASS_error_cast, "method %s: %s is not %s", s->ref->name->text, k->name->text,
                          s->ref->class->name->text);
        target = find_target(s, k, (w & 0xff) == Q_CALLV);
        if (!target)
                FAIL(CLASS_error_link);
        site_learn(s, o->class, target);
        goto call;
}
op_Q_CALLS:
        target = m->sites[pc[1]].ref;
        flags = 0;
        /* `target`, whose arguments are as it wants them, with these flags. */
call:
        if (__builtin_expect(!!target->code, 1)) {
                unsigned n = B;
                const uint32_t *words = pc + 2;

                g = frame_at(f);
                if (__builtin_expect((uint64_t)(g->r + target->nregs) > t->stack->end, 0)) {
                        g = push_slow(t, f, target->nregs, &overflow);
                        if (!g)
                                goto no_frame;
                        g->flags |= (uint8_t)flags;
                } else {
                        g->flags = (uint8_t)flags;
                }
                g->prev = f;
                g->method = target->id;
                g->dest = (uint8_t)A;
                g->nregs = target->nregs;
                for (unsigned i = 0; i < n; i++)
                        g->r[i] = R[words[i / 4] >> i % 4 * 8 & 0xff];
                for (unsigned i = n; i < target->nregs; i++)
                        g->r[i].bits = 0;
                f->pc = (uint32_t)(pc - m->code) + 2 + (n + 3) / 4;
                f = g;
                m = target;
                R = f->r;
                pc = m->code;
                if (m->heat < pvm_hot && ++m->heat == pvm_hot && is_hot(m, 0))
                        goto hot;
                if (m->compiled && !worker.poll)
                        goto resume;
                JUMP(0);
        }
        nargs = B;
        for (unsigned i = 0; i < nargs; i++)
                arg[i] = R[pc[2 + i / 4] >> i % 4 * 8 & 0xff];
        dest = A;
        at = pc;
        pc += 2 + (nargs + 3) / 4;
        goto invoke;
op_CALLN:
op_CALLO:
op_CALLD : {
        struct site *s = &m->sites[pc[1]];
        const struct atom *name = NULL;
        uint64_t last = site_last(s);
        struct klass *k;

        if (R[pc[2] & 0xff].r && R[pc[2] & 0xff].r->class == (uint32_t)last && methods[last >> 32]->plain) {
                target = methods[last >> 32];
                flags = target->result == 'R' ? 0 : FRAME_BOX;
                goto call;
        }
        nargs = B;
        for (unsigned i = 0; i < nargs; i++)
                arg[i] = R[pc[2 + i / 4] >> i % 4 * 8 & 0xff];
        if (!arg[0].r)
                FAIL_TEXT(CLASS_error_reference, "a method of null");
        error = 0;
        if (arg[0].r->class == (uint32_t)last) {
                target = methods[last >> 32];
        } else {
                k = obj_class(arg[0].r);
                if ((w & 0xff) == PVM_CALLN) {
                        name = pool_atom(m, s->pool);
                        if (!name)
                                FAIL(CLASS_error_memory);
                } else if ((w & 0xff) == PVM_CALLD) {
                        struct string *text = (struct string *)arg[1].r;

                        if (!text)
                                FAIL_TEXT(CLASS_error_reference, "null is no name of a method");
                        if (text->o.class != CLASS_string || !text->len || text->text[0] == '.')
                                FAIL_TEXT(CLASS_error_link, "not the name of a method");
                        name = atom(text->text, text->len);
                        if (!name)
                                FAIL(CLASS_error_memory);
                        nargs--;
                        memmove(arg + 1, arg + 2, (nargs - 1) * sizeof(*arg));
                }
                error = untyped_choose(k, name, s->pool, nargs, arg, &target);
                /* The site learns it if the arguments had no say. */
                if (!error && (w & 0xff) != PVM_CALLD && (!name || untyped_only(k, target))) {
                        see_if_plain(target);
                        site_learn(s, k->index, target);
                }
        }
        if (!error)
                error = untyped_convert(target, arg);
        if (error)
                goto failed;
        s->ref = target;
        dest = A;
        flags = FRAME_BOX;
        at = pc;
        pc += 2 + (B + 3) / 4;
        goto invoke;
}

        /*
         * `target` with arg[0 .. nargs - 1], result to register `dest` as `flags` says; pc is behind the instruction.
         */
invoke:
        f->pc = (uint32_t)(pc - m->code);
        if (target->code) {
                g = push(t, f, target, target->nregs, nargs, &overflow);
                if (!g)
                        goto no_frame_behind;
                memcpy(g->r, arg, nargs * sizeof(*arg));
                g->dest = (uint8_t)dest;
                g->flags |= (uint8_t)flags;
                f = g;
                m = target;
                R = f->r;
                pc = m->code;
                if (m->heat < pvm_hot && ++m->heat == pvm_hot && is_hot(m, 0))
                        goto hot;
                if (m->compiled && !worker.poll)
                        goto resume;
                JUMP(0);
        }
        if (!target->native) {
                f->pc = (uint32_t)(pc - m->code);
                explain("%s.%s is not available on this machine", target->class->name->text, target->name->text);
                error = CLASS_error_unavailable;
                goto failed_behind;
        }
        c.args = arg;
        c.frame = NULL;
        c.phase = 0;
        c.result.bits = 0;
        t->top = f;
        how = call_native(target, &c);
        switch (how) {
        case DONE:
                break;
        case THROW:
                thrown = c.result.r;
                if (thrown != root()->no_memory || retried == at)
                        goto throw_behind;
        again:
                f->pc = (uint32_t)(at - m->code);
                goto once_more;
        case BLOCK:
        case CALL:
                /* It goes on later: it gets a frame. */
                g = push(t, f, target, nargs + NATIVE_LOCALS, nargs, &overflow);
                if (!g)
                        goto no_frame_behind;
                memcpy(g->r, arg, nargs * sizeof(*arg));
                g->dest = (uint8_t)dest;
                g->flags |= (uint8_t)flags;
                g->pc = c.phase;
                f = g;
                m = target;
                R = f->r;
                t->top = f;
                if (how == BLOCK)
                        return RUN_BLOCKED;
                goto native_calls;
        }
        if (flags) {
                c.result.r = flags & FRAME_BOX ? box(target->result, c.result) : c.result.r;
                if (flags & FRAME_BOX && target->result != 'R' && !c.result.r) {
                        thrown = root()->no_memory;
                        goto throw_behind;
                }
        }
        if (!(flags & FRAME_VOID))
                R[dest] = c.result;
        if (__builtin_expect(worker.poll, 0))
                goto yield;
        NEXT(0);

        /* The native method whose frame is on top is entered again. */
native_again:
        c.args = f->r;
        c.frame = f;
        c.phase = f->pc;
        c.result.bits = 0;
        t->top = f;
        how = call_native(m, &c);
        switch (how) {
        case DONE:
                goto native_done;
        case THROW:
                thrown = c.result.r;
                goto throw_behind;
        default:
                f->pc = c.phase;
                if (how == BLOCK)
                        return RUN_BLOCKED;
                goto native_calls;
        }
native_calls:
        target = c.callee;
        nargs = c.ncallee_args;
        memcpy(arg, c.callee_args, nargs * sizeof(*arg));
        if (!target->code) {
                /* A native one calls a native one: with a frame as well. */
                g = push(t, f, target, nargs + NATIVE_LOCALS, nargs, &overflow);
                if (!g)
                        goto no_frame_behind;
                memcpy(g->r, arg, nargs * sizeof(*arg));
                g->dest = (uint8_t)m->nargs;
                g->flags |= FRAME_BOX;
                f = g;
                m = target;
                R = f->r;
                if (!m->native) {
                        explain("%s.%s is not available on this machine", m->class->name->text, m->name->text);
                        error = CLASS_error_unavailable;
                        goto failed_behind;
                }
                goto native_again;
        }
        g = push(t, f, target, target->nregs, nargs, &overflow);
        if (!g)
                goto no_frame_behind;
        memcpy(g->r, arg, nargs * sizeof(*arg));
        g->dest = (uint8_t)m->nargs;
        g->flags |= FRAME_BOX;
        f = g;
        m = target;
        R = f->r;
        pc = m->code;
        JUMP(0);

op_RET : {
        slot v = R[A];

        g = f->prev;
        dest = f->dest;
        if (__builtin_expect(f->flags, 0)) {
                c.result = v;
                goto native_done;
        }
        f = g;
        m = methods[f->method];
        R = f->r;
        R[dest] = v;
        if (__builtin_expect(!m->code, 0))
                goto native_again;
        pc = m->code + f->pc;
        if (m->compiled)
                goto resume;
        NEXT(0);
}
op_RETN:
        c.result.bits = 0;
        goto native_done;

        /* c.result is what the method of the frame on top returns. */
native_done:
        flags = f->flags;
        dest = f->dest;
        if (flags & FRAME_MIGRATE)
                upgrade_done(m, f->r[0].r, true);
        if (m->starts)
                class_initialised(m);
        if (flags & (FRAME_MIGRATE | FRAME_AGAIN))
                f->prev->pc--;
        if (flags & FRAME_BOX && m->result != 'R') {
                struct obj *o = box(m->result, c.result);

                if (!o) {
                        thrown = root()->no_memory;
                        goto throw_behind;
                }
                c.result.r = o;
        }
        if (flags & FRAME_TEXT && c.result.r && c.result.r->class != CLASS_string) {
                explain("toString of %s gave %s", obj_class(f->r[0].r)->name->text, obj_class(c.result.r)->name->text);
                error = CLASS_error_cast;
                goto failed_behind;
        }
        if (flags & FRAME_FIRST)
                pop_segment(t);
        f = f->prev;
        t->top = f;
        if (flags & FRAME_LAST)
                return RUN_ENDED;
        m = methods[f->method];
        R = f->r;
        if (!(flags & FRAME_VOID))
                R[dest] = c.result;
        if (!m->code)
                goto native_again;
        pc = m->code + f->pc;
        if (m->compiled)
                goto resume;
        NEXT(0);

        /* Runs `target`, a class's .static, and then this instruction again; or another thread does. */
static_init:
        if (init == INIT_WAIT) {
                f->pc = (uint32_t)(pc - m->code);
                t->top = f;
                return wait_for_other(t);
        }
        nargs = 0;
        flags = FRAME_AGAIN;
        goto before;

        /* Runs `target`, a migrate(), on the object of the GETF or SETF at pc, and then this instruction again. */
migrate:
        arg[0] = R[B];
        nargs = 1;
        flags = FRAME_MIGRATE;
        goto before;

        /* Asks the class loader for the class that is wanted, arg[1], and then runs this instruction again. */
load_class:
        target = bootstrap_loadClass;
        arg[0].r = root()->boot;
        nargs = 2;
        flags = FRAME_AGAIN;
        goto before;

        /* `target` with arg[0 .. nargs - 1], before the instruction at pc: what it throws is thrown in the instruction; see native_done. */
before:
        at = pc;
        f->pc = (uint32_t)(pc - m->code) + 1;
        g = push(t, f, target, target->code ? target->nregs : nargs + NATIVE_LOCALS, nargs, &overflow);
        if (!g) {
                if (flags == FRAME_MIGRATE)
                        upgrade_not_begun(arg[0].r);
                else
                        class_not_begun(target);
                goto no_frame_behind;
        }
        memcpy(g->r, arg, nargs * sizeof(*arg));
        g->flags |= (uint8_t)(flags | FRAME_VOID);
        f = g;
        m = target;
        R = f->r;
        if (!m->code)
                goto native_again;
        pc = m->code;
        JUMP(0);

op_THROW:
        thrown = R[A].r;
        if (!thrown)
                FAIL_TEXT(CLASS_error_reference, "null is thrown");
        f->pc = (uint32_t)(pc - m->code) + 1;
        goto throw_behind;
op_RETHROW:
        thrown = R[A].r;
        if (!thrown)
                FAIL_TEXT(CLASS_error_reference, "null is thrown");
        f->pc = (uint32_t)(pc - m->code) + 1;
        if (t->thrown == thrown)
                goto unwind;
        goto throw_behind;

divide:
        FAIL_TEXT(CLASS_error_divide, "division by zero");
no_frame:
        if (overflow)
                FAIL_TEXT(CLASS_error_stack, "the stack is full: %lu bytes", (unsigned long)t->stack_bytes);
        FAIL(CLASS_error_memory);
no_frame_behind:
        if (!overflow && m->code && retried != at)
                goto again;
        if (overflow)
                explain("the stack is full: %lu bytes", (unsigned long)t->stack_bytes);
        error = overflow ? CLASS_error_stack : CLASS_error_memory;
        goto failed_behind;

        /* The instruction at pc failed with class_error. */
failed:
        if (error == CLASS_error_link && class_wanted && root()->class_loader) {
                arg[1].r = (struct obj *)string_new(class_wanted->text, class_wanted->len);
                if (arg[1].r)
                        goto load_class;
                error = CLASS_error_memory;
        }
        f->pc = (uint32_t)(pc - m->code) + 1;
        if (error == CLASS_error_memory && retried != pc) {
                f->pc--;
                goto once_more;
        }
failed_behind:
        if (error == CLASS_error_memory)
                explain("no memory");
        thrown = error == CLASS_error_memory ? root()->no_memory : make_error(error, class_error);
throw_behind:
        t->thrown = thrown;
        note_trace(t, f);
        /* The stack is searched, frame by frame; f->pc - 1 is in the instruction that threw, or called. */
unwind:
        for (;;) {
                unsigned reg;
                int64_t to = handler_of(m, f->pc ? f->pc - 1 : 0, thrown, &reg);

                if (to >= 0) {
                        R = f->r;
                        R[reg].r = thrown;
                        pc = m->code + to;
                        JUMP(0);
                }
                flags = f->flags;
                if (flags & FRAME_MIGRATE)
                        upgrade_done(m, f->r[0].r, false);
                if (m->starts)
                        class_initialised(m);
                if (flags & FRAME_FIRST)
                        pop_segment(t);
                f = f->prev;
                t->top = f;
                if (flags & FRAME_LAST) {
                        t->failed = 1;
                        return RUN_ENDED;
                }
                m = methods[f->method];
        }

        /* The instruction at f->pc once more, after a collection. */
once_more:
        t->top = f;
        if (!at_safepoint(collect, NULL))
                return RUN_YIELD;
        ENTER(f);
        retried = pc;
        NEXT(0);

        /* The method of the new frame on top is compiled before it runs. */
hot:
        f->pc = 0;
        t->top = f;
        if (!at_safepoint(compile, f))
                return RUN_YIELD;
        ENTER(f);
        if (m->compiled && !worker.poll)
                goto resume;
        JUMP(0);

        /* A loop need not wait for the end of a turn. */
warm:
        jumps = WARM_JUMPS;
        if (!is_hot(m, WARM_JUMPED))
                NEXT(0);
        f->pc = (uint32_t)(pc - m->code);
        t->top = f;
        if (!at_safepoint(compile, f))
                return RUN_YIELD;
        ENTER(f);
        if (m->compiled)
                goto resume;
        NEXT(0);

yield:
        if (worker.poll == POLL_COMPILED) {
                /* It is for us alone: back to compiled code. */
                if (m->compiled && !jit_entry(m, (uint32_t)(pc - m->code)))
                        NEXT(0);
                __atomic_fetch_and(&worker.poll, ~POLL_COMPILED, __ATOMIC_RELAXED);
                if (m->compiled)
                        goto resume;
                if (!--jumps)
                        goto warm;
                NEXT(0);
        }
        f->pc = (uint32_t)(pc - m->code);
        t->top = f;
        return RUN_YIELD;
}
