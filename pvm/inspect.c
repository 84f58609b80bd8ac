/*
 * inspect.c - see inspect.h. A place in the tree is a value; each_member() is the one function that knows what is in a value, walking and listing are both made
 * of it. Names are looked for one after the other: who looks is a person.
 */
#include "pvm/inspect.h"
#include "pvm/machine.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define TEXT_MAX  200u /* bytes of a string in a printed form */
#define INNER_MAX 16u  /* members in the printed form of an object */
#define NAME_MAX  512u

enum place { TOP, THREADS, CLASSES, OBJECT, CLASS_STATICS, REPLACED_VERSION };
struct value {
        enum place place;
        char type; /* of an OBJECT: R, or that of the number it is */
        slot v;
};

/* False: no more are wanted. */
typedef bool (*member_fn)(void *arg, const char *name, struct value v);

static struct value reference(void *o)
{
        return (struct value){OBJECT, 'R', {.r = o}};
}

static struct value statics(struct class_obj *o)
{
        return (struct value){CLASS_STATICS, 'R', {.r = &o->o}};
}

static void key_name(const struct string *key, char *name)
{
        static const char hex[] = "0123456789abcdef";
        size_t n = 0;

        for (uint32_t i = 0; i < key->len && n + 4 < NAME_MAX; i++) {
                uint8_t byte = (uint8_t)key->text[i];

                if (byte != '/' && byte != '%' && byte >= ' ' && byte != 127) {
                        name[n++] = (char)byte;
                        continue;
                }
                name[n++] = '%';
                name[n++] = hex[byte >> 4];
                name[n++] = hex[byte & 15];
        }
        name[n] = 0;
}

static bool each_key(const struct directory *d, member_fn fn, void *arg)
{
        char name[NAME_MAX];

        for (uint32_t i = 0; d->keys && i < d->keys->len; i++) {
                const struct obj *key = d->keys->r[i];

                if (!key || key->class != CLASS_string)
                        continue;
                key_name((const struct string *)key, name);
                if (!fn(arg, name, reference(d->values->r[i])))
                        return false;
        }
        return true;
}

static bool each_element(const struct array *a, member_fn fn, void *arg)
{
        enum array_kind kind = array_kind(&a->o);
        char name[16];

        for (uint32_t i = 0; a->store && i < a->store->len; i++) {
                struct value v = {.place = OBJECT};

                snprintf(name, sizeof(name), "%u", i);
                switch (kind) {
                case ARRAY_I:
                        v.type = 'I', v.v.i = a->store->i[i];
                        break;
                case ARRAY_L:
                        v.type = 'L', v.v.l = a->store->l[i];
                        break;
                case ARRAY_F:
                        v.type = 'F', v.v.f = a->store->f[i];
                        break;
                case ARRAY_D:
                        v.type = 'D', v.v.d = a->store->d[i];
                        break;
                default:
                        v = reference(a->store->r[i]);
                        break;
                }
                if (!fn(arg, name, v))
                        return false;
        }
        return true;
}

static bool each_field(const void *o, const struct klass *k, bool is_static, member_fn fn, void *arg)
{
        if (k->parent && !is_static && !each_field(o, k->parent, false, fn, arg))
                return false;
        for (uint32_t i = 0; i < k->nfields; i++) {
                const struct field *f = &k->fields[i];
                struct value v = {.place = OBJECT, .type = f->machine};
                const slot *at;

                if (!(f->flags & PVM_STATIC) == is_static)
                        continue;
                at = is_static ? f->address : (const slot *)((const char *)o + f->offset);
                if (f->machine == 'I' || f->machine == 'F')
                        v.v.i = at->i;
                else
                        v.v.bits = at->bits;
                if (!fn(arg, f->name->text, v))
                        return false;
        }
        return true;
}

/* Of one made by CLOSURE: the class whose method it is, and the values it brings, by their numbers. */
static bool each_of_closure(const struct closure *k, member_fn fn, void *arg)
{
        char name[16];

        if (!k->target)
                return fn(arg, "object", reference(k->object)) && fn(arg, "method", reference(k->method));
        if (!fn(arg, "class", statics(method_by_id(k->target)->class->object)))
                return false;
        for (uint32_t i = 0; k->captured && i < k->captured->len; i++) {
                snprintf(name, sizeof(name), "%u", i);
                if (!fn(arg, name, reference(k->captured->r[i])))
                        return false;
        }
        return true;
}

/* Internal classes with members that are of interest. */
static bool each_internal(struct obj *o, member_fn fn, void *arg)
{
        switch (o->class) {
        case CLASS_directory:
                return each_key((struct directory *)o, fn, arg);
        case CLASS_mutex:
                return fn(arg, "owner", reference(((struct mutex *)o)->owner));
        case CLASS_weakref:
                return fn(arg, "target", reference(((struct weakref *)o)->target));
        case CLASS_closure:
                return each_of_closure((struct closure *)o, fn, arg);
        case CLASS_thread:
                return fn(arg, "object", reference(((struct thread *)o)->object)) &&
                       fn(arg, "waits_for", reference(((struct thread *)o)->waits_for));
        default:
                return true;
        }
}

static bool each_object_member(struct obj *o, member_fn fn, void *arg)
{
        struct klass *k = obj_class(o);

        if (k->kind == CLASS_REFS || k->kind == CLASS_STACK)
                return true;
        if (array_kind(o) && k->kind == CLASS_PLAIN)
                return each_element((struct array *)o, fn, arg);
        return each_internal(o, fn, arg) && each_field(o, k, false, fn, arg);
}

/* Of each class its name, and name@version of what was replaced and still runs. */
static bool each_class(member_fn fn, void *arg)
{
        const struct store *replaced = root()->versions;
        char name[NAME_MAX];

        for (uint32_t i = CLASS_FIXED; i < root()->nclasses; i++) {
                struct class_obj *o = (struct class_obj *)root()->classes->r[i];

                if (!o->file)
                        continue;
                if (!fn(arg, o->name->text, statics(o)))
                        return false;
                for (uint32_t k = 0; replaced && k < replaced->len; k++) {
                        struct class_obj *before = (struct class_obj *)replaced->r[k];

                        if (before->index != i)
                                continue;
                        snprintf(name, sizeof(name), "%s@%u", o->name->text, before->replaced.version);
                        if (!fn(arg, name, (struct value){REPLACED_VERSION, 'R', {.r = &before->o}}))
                                return false;
                }
        }
        return true;
}

static bool each_member(struct value v, member_fn fn, void *arg)
{
        char name[16];

        switch (v.place) {
        case TOP:
                return fn(arg, "threads", (struct value){.place = THREADS}) &&
                       fn(arg, "classes", (struct value){.place = CLASSES}) &&
                       fn(arg, "objects", reference(root()->directory));
        case THREADS:
                for (struct thread *t = root()->threads; t; t = t->next) {
                        snprintf(name, sizeof(name), "%u", t->id);
                        if (!fn(arg, name, reference(t)))
                                return false;
                }
                return true;
        case CLASSES:
                return each_class(fn, arg);
        case REPLACED_VERSION:
                return true;
        case CLASS_STATICS:
                return each_field(NULL, class_by_index(((struct class_obj *)v.v.r)->index), true, fn, arg);
        default:
                return v.type != 'R' || !v.v.r || each_object_member(v.v.r, fn, arg);
        }
}

/* ---- printed forms ---- */

struct out {
        inspect_put put;
        void *arg;
        unsigned members;
        bool values;
};

static void say(const struct out *o, const char *text)
{
        o->put(o->arg, text, strlen(text));
}

static void say_text(const struct out *o, const struct string *s)
{
        uint32_t len = s->len < TEXT_MAX ? s->len : TEXT_MAX;

        while (len < s->len && len && ((uint8_t)s->text[len] & 0xc0) == 0x80)
                len--; /* whole code points */
        say(o, "\"");
        for (uint32_t i = 0; i < len; i++) {
                char c = s->text[i], code[8];

                if (c == '"' || c == '\\')
                        snprintf(code, sizeof(code), "\\%c", c);
                else if (c == '\n')
                        snprintf(code, sizeof(code), "\\n");
                else if ((uint8_t)c < ' ' || c == 127)
                        snprintf(code, sizeof(code), "\\x%02x", (unsigned)c);
                else
                        snprintf(code, sizeof(code), "%c", c);
                say(o, code);
        }
        say(o, len < s->len ? "\"..." : "\"");
}

static char boxed_type(const struct obj *o)
{
        return o->class == CLASS_int ? 'I' : o->class == CLASS_long ? 'L' : o->class == CLASS_float ? 'F' : 'D';
}

/* What fits in a word or two; false: its members have to be shown as well. */
static bool say_short(const struct out *o, struct value v)
{
        struct obj *r = v.v.r;
        char text[64];

        if (v.place != OBJECT)
                return say(o, "..."), true;
        if (v.type == 'R' && !r)
                return say(o, "null"), true;
        if (v.type == 'R' && r->class == CLASS_string)
                return say_text(o, (struct string *)r), true;
        if (v.type == 'R' && is_number(r)) {
                v.type = boxed_type(r);
                unbox(r, v.type, &v.v);
        }
        if (v.type != 'R') {
                o->put(o->arg, text, format_number(v.type, v.v, text));
                return true;
        }
        say(o, obj_class(r)->name->text);
        if (r->class == CLASS_thread)
                snprintf(text, sizeof(text), " %u", ((struct thread *)r)->id);
        else if (array_kind(r) && obj_class(r)->kind == CLASS_PLAIN)
                snprintf(text, sizeof(text), " of %u",
                         ((struct array *)r)->store ? ((struct array *)r)->store->len : 0);
        else if (r->class == CLASS_binary)
                snprintf(text, sizeof(text), " of %u",
                         ((struct binary *)r)->store ? ((struct binary *)r)->store->len : 0);
        else
                text[0] = 0;
        say(o, text);
        return r->class == CLASS_class;
}

static bool print_member(void *arg, const char *name, struct value v)
{
        struct out *o = arg;

        if (o->members == INNER_MAX) {
                say(o, ", ...");
                return false;
        }
        say(o, o->members++ ? ", " : " { ");
        say(o, name);
        say(o, ": ");
        say_short(o, v);
        return true;
}

static void say_class(const struct out *o, const struct class_obj *c, bool replaced)
{
        uint32_t version = replaced ? c->replaced.version : class_by_index(c->index)->version;
        char text[40];

        snprintf(text, sizeof(text), " version %u%s", version, replaced ? ", replaced" : "");
        say(o, c->name->text);
        if (replaced || version > 1)
                say(o, text);
}

static void print_value(struct out *o, struct value v)
{
        if (v.place == OBJECT && say_short(o, v))
                return;
        if (v.place == CLASS_STATICS || v.place == REPLACED_VERSION)
                say_class(o, (struct class_obj *)v.v.r, v.place == REPLACED_VERSION);
        o->members = 0;
        each_member(v, print_member, o);
        if (o->members)
                say(o, " }");
}

/* ---- walking ---- */

struct search {
        const char *name;
        size_t len;
        struct value found;
        bool is_found;
};

static bool search_member(void *arg, const char *name, struct value v)
{
        struct search *s = arg;

        if (strlen(name) != s->len || memcmp(name, s->name, s->len))
                return true;
        s->found = v;
        s->is_found = true;
        return false;
}

static bool walk(const char *path, struct value *v, char *why, size_t why_len)
{
        *v = (struct value){.place = TOP};
        for (const char *p = path, *end; *p; p = end) {
                struct search s = {0};

                for (end = p; *end && *end != '/'; end++)
                        ;
                s.name = p;
                s.len = (size_t)(end - p);
                if (s.len)
                        each_member(*v, search_member, &s);
                if (s.len && !s.is_found) {
                        snprintf(why, why_len, "nothing is called %.*s", (int)(end - path), path);
                        return false;
                }
                if (s.len)
                        *v = s.found;
                end += *end == '/';
        }
        return true;
}

static bool list_member(void *arg, const char *name, struct value v)
{
        struct out *o = arg;

        say(o, name);
        if (o->values) {
                say(o, "\t");
                say_short(o, v);
        }
        say(o, "\n");
        return true;
}

bool inspect_list(const char *path, bool values, inspect_put put, void *arg, char *why, size_t why_len)
{
        struct out o = {.put = put, .arg = arg, .values = values};
        struct value v;

        if (!walk(path, &v, why, why_len))
                return false;
        each_member(v, list_member, &o);
        return true;
}

bool inspect_print(const char *path, inspect_put put, void *arg, char *why, size_t why_len)
{
        struct out o = {.put = put, .arg = arg};
        struct value v;

        if (!walk(path, &v, why, why_len))
                return false;
        print_value(&o, v);
        say(&o, "\n");
        return true;
}

struct obj *inspect_object(const char *path, char *why, size_t why_len)
{
        struct value v;

        if (!walk(path, &v, why, why_len))
                return NULL;
        if (v.place == OBJECT && v.type == 'R' && v.v.r)
                return v.v.r;
        snprintf(why, why_len, "%s is not an object", path);
        return NULL;
}

static const char *state_name(const struct thread *t)
{
        if (t->paused)
                return "paused";
        if (t->state == THREAD_READY)
                return "ready";
        if (!t->waits_for)
                return "sleeps";
        switch (t->waits_for->class) {
        case CLASS_mutex:
                return "mutex";
        case CLASS_cond:
                return "cond";
        case CLASS_sema:
                return "sema";
        case CLASS_thread:
                return "joins";
        default:
                return "console";
        }
}

void inspect_threads(inspect_put put, void *arg)
{
        struct out o = {.put = put, .arg = arg};
        char text[64];

        for (struct thread *t = root()->threads; t; t = t->next) {
                const struct frame *f = t->top;

                snprintf(text, sizeof(text), "%u %s ", t->id, state_name(t));
                say(&o, text);
                say(&o, t->object ? obj_class(t->object)->name->text : "-");
                /* The newest frame of the program's own. */
                while (f && !method_by_id(f->method)->code)
                        f = f->prev;
                if (f) {
                        const struct method *m = method_by_id(f->method);
                        uint32_t line = line_of(m, f->pc);

                        say(&o, " in ");
                        say(&o, m->name->text);
                        snprintf(text, sizeof(text), " line %u", line);
                        if (line)
                                say(&o, text);
                }
                say(&o, "\n");
        }
}
