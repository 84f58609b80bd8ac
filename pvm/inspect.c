/*
 * inspect.c - see inspect.h. A place in the tree is a value; each_member() is the one function that knows what is in a value, walking and listing are both made
 * of it. Names are looked for one after the other: who looks is a person.
 */
#include "pvm/inspect.h"
#include "pvm/machine.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define TEXT_MAX   200u /* bytes of a string in a printed form */
#define INNER_MAX  16u  /* members in the printed form of an object */
#define NAME_MAX   512u
#define FILE_NAME  255u  /* bytes of a file's name */
#define PATH_BYTES 4200u /* of a request of the monitor */
#define NAMED_MAX  256u  /* keys of the root directory among which an object's name is looked for */

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
        if (strcmp(name, ".") && strcmp(name, "..") && strcmp(name, INSPECT_VALUE))
                return;
        memmove(name + 3, name + 1, n);
        memcpy(name, "%2e", 3);
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
                return fn(arg, "target", reference(heap_weak_load(((struct weakref *)o)->target)));
        case CLASS_closure:
                return each_of_closure((struct closure *)o, fn, arg);
        case CLASS_connection:
                return fn(arg, "callback", reference(((struct connection *)o)->callback)) &&
                       fn(arg, "timer", reference((struct obj *)((struct connection *)o)->timer));
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
                v.type = number_type(r);
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
        unsigned before; /* other members */
        bool is_found;
};

static bool search_member(void *arg, const char *name, struct value v)
{
        struct search *s = arg;

        if (strlen(name) != s->len || memcmp(name, s->name, s->len)) {
                s->before++;
                return true;
        }
        s->found = v;
        s->is_found = true;
        return false;
}

/* What a path leads past: v[n] is its end. Of a longer one v has the beginning. */
struct way {
        unsigned n;
        struct value v[INSPECT_DEPTH + 1];
};

static bool walk(const char *path, struct way *way, struct value *v, char *why, size_t why_len)
{
        *v = (struct value){.place = TOP};
        if (way)
                *way = (struct way){.v = {*v}};
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
                if (s.len && way && ++way->n <= INSPECT_DEPTH)
                        way->v[way->n] = *v;
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

        if (!walk(path, NULL, &v, why, why_len))
                return false;
        each_member(v, list_member, &o);
        return true;
}

bool inspect_print(const char *path, inspect_put put, void *arg, char *why, size_t why_len)
{
        struct out o = {.put = put, .arg = arg};
        struct value v;

        if (!walk(path, NULL, &v, why, why_len))
                return false;
        print_value(&o, v);
        say(&o, "\n");
        return true;
}

struct obj *inspect_object(const char *path, char *why, size_t why_len)
{
        struct value v;

        if (!walk(path, NULL, &v, why, why_len))
                return NULL;
        if (v.place == OBJECT && v.type == 'R' && v.v.r)
                return v.v.r;
        snprintf(why, why_len, "%s is not an object", path);
        return NULL;
}

/* ---- as files ---- */

static bool is_object(struct value v)
{
        return v.place == OBJECT && v.type == 'R' && v.v.r;
}

/* Of what has members; that it has none now is no reason to be something else. */
static bool is_folder(struct value v)
{
        const struct obj *r = v.v.r;

        if (v.place != OBJECT)
                return true;
        return is_object(v) && r->class != CLASS_string && r->class != CLASS_binary && r->class != CLASS_class &&
               !is_number(r);
}

/* Beside the members: the printed form. */
static bool has_printed(struct value v)
{
        return v.place == CLASS_STATICS || v.place == REPLACED_VERSION || (is_object(v) && is_folder(v));
}

static bool is_printed(struct value parent, const char *name)
{
        return !strcmp(name, INSPECT_VALUE) && has_printed(parent);
}

static void print_line(struct out *o, struct value v)
{
        print_value(o, v);
        say(o, "\n");
}

static void say_content(struct out *o, struct value v)
{
        const struct string *s = (struct string *)v.v.r;
        const struct binary *b = (struct binary *)v.v.r;

        if (is_object(v) && s->o.class == CLASS_binary) {
                if (b->store)
                        o->put(o->arg, (const char *)b->store->b, b->store->len);
        } else if (is_object(v) && s->o.class == CLASS_string) {
                o->put(o->arg, s->text, s->len);
                say(o, "\n");
        } else {
                print_line(o, v);
        }
}

static void count(void *arg, const char *text, size_t len)
{
        (void)text;
        *(size_t *)arg += len;
}

static void say_file(const struct out *o, void (*content)(struct out *, struct value), struct value v)
{
        size_t size = 0;
        struct out counted = {.put = count, .arg = &size};
        char text[32];

        content(&counted, v);
        snprintf(text, sizeof(text), "f\t%lu", size);
        say(o, text);
}

static void say_up(const struct out *o, unsigned levels, const char *folder, const char *name)
{
        say(o, "l\t");
        if (!levels && !*folder)
                say(o, ".");
        for (unsigned i = 0; i < levels; i++)
                say(o, i ? "/.." : "..");
        say(o, *folder ? "/" : "");
        say(o, folder);
        say(o, name);
}

static bool thread_runs(const struct obj *o)
{
        for (const struct thread *t = root()->threads; t; t = t->next)
                if (&t->o == o)
                        return true;
        return false;
}

/* Its first name in the root directory. */
static bool root_name(const struct obj *o, char *name)
{
        const struct directory *d = root()->directory;

        if (!d->keys || d->keys->len > NAMED_MAX)
                return false;
        for (uint32_t i = 0; i < d->keys->len; i++) {
                const struct obj *key = d->keys->r[i];

                if (d->values->r[i] != o || !key || key->class != CLASS_string)
                        continue;
                key_name((const struct string *)key, name);
                if (*name && strlen(name) <= FILE_NAME)
                        return true;
        }
        return false;
}

/*
 * What has a place of its own nearer to the top is there, and a link elsewhere: the folders that lead here, so that there are no cycles; then classes, threads that
 * run, and what the root directory has. False: it has none, or it is here.
 */
static bool say_link(const struct out *o, const struct way *parent, struct value v)
{
        const struct value *here = &parent->v[parent->n];
        struct obj *r = v.v.r;
        char name[NAME_MAX];

        if (!is_object(v))
                return false;
        if (r->class == CLASS_class) {
                const struct class_obj *c = (struct class_obj *)r;
                bool listed = c->file && root()->classes->r[c->index] == r && c->name->len <= FILE_NAME;

                if (listed)
                        say_up(o, parent->n, "classes/", c->name->text);
                return listed;
        }
        if (!is_folder(v))
                return false;
        for (unsigned i = 0; i <= parent->n; i++) {
                if (is_object(parent->v[i]) && parent->v[i].v.r == r) {
                        say_up(o, parent->n - i, "", "");
                        return true;
                }
        }
        if (r == &root()->directory->o && here->place != TOP) {
                say_up(o, parent->n, "objects", "");
                return true;
        }
        if (r->class == CLASS_thread && here->place != THREADS && thread_runs(r)) {
                snprintf(name, sizeof(name), "%u", ((struct thread *)r)->id);
                say_up(o, parent->n, "threads/", name);
                return true;
        }
        if (here->place == TOP || here->place == THREADS || here->v.r == &root()->directory->o || !root_name(r, name))
                return false;
        say_up(o, parent->n, "objects/", name);
        return true;
}

static void say_kind(const struct out *o, const struct way *parent, struct value v)
{
        if (say_link(o, parent, v))
                return;
        if (is_folder(v) && parent->n < INSPECT_DEPTH)
                say(o, "d\t");
        else
                say_file(o, say_content, v);
}

struct look {
        struct out o;
        struct way way;
        struct value v;
        unsigned n;
};

/* Fields that another of the same name hides, of another type or of a parent, cannot be reached by a path. */
static bool is_hidden(const struct look *l, const char *name)
{
        struct search s = {.name = name, .len = strlen(name)};

        if (l->v.place == CLASSES || l->v.place == THREADS || (l->v.place == OBJECT && array_kind(l->v.v.r)) ||
            (l->v.place == OBJECT && ((struct obj *)l->v.v.r)->class == CLASS_directory))
                return false;
        each_member(l->v, search_member, &s);
        return s.before != l->n;
}

static bool look_member(void *arg, const char *name, struct value v)
{
        struct look *l = arg;

        if (*name && strlen(name) <= FILE_NAME && !is_hidden(l, name)) {
                say(&l->o, name);
                say(&l->o, "\t");
                say_kind(&l->o, &l->way, v);
                say(&l->o, "\n");
        }
        l->n++;
        return true;
}

bool inspect_look(const char *path, inspect_put put, void *arg, char *why, size_t why_len)
{
        struct look l = {.o = {.put = put, .arg = arg}};

        if (!walk(path, &l.way, &l.v, why, why_len))
                return false;
        if (!is_folder(l.v) || l.way.n > INSPECT_DEPTH) {
                snprintf(why, why_len, "%s has no members, or is too deep", path);
                return false;
        }
        if (has_printed(l.v)) {
                say(&l.o, INSPECT_VALUE "\t");
                say_file(&l.o, print_line, l.v);
                say(&l.o, "\n");
        }
        each_member(l.v, look_member, &l);
        return true;
}

/* The last name of the path, and what the rest leads to. */
static const char *walk_to_parent(const char *path, struct way *way, struct value *parent, char *why, size_t why_len)
{
        char folder[PATH_BYTES];
        const char *name = strrchr(path, '/');

        name = name ? name + 1 : path;
        if ((size_t)(name - path) >= sizeof(folder) || !*name) {
                snprintf(why, why_len, "no name");
                return NULL;
        }
        memcpy(folder, path, (size_t)(name - path));
        folder[name - path] = 0;
        if (!walk(folder, way, parent, why, why_len))
                return NULL;
        if (way->n <= INSPECT_DEPTH)
                return name;
        snprintf(why, why_len, "too deep");
        return NULL;
}

/* What the path leads to, as a file system sees it: printed, then it is the form of v, or v itself, in the folder at the end of way. */
static bool find_file(const char *path, struct way *way, struct value *v, bool *printed, char *why, size_t why_len)
{
        struct value parent;
        const char *name = walk_to_parent(path, way, &parent, why, why_len);
        struct search s = {.name = name};

        if (!name)
                return false;
        *v = parent;
        *printed = is_printed(parent, name);
        if (*printed)
                return true;
        s.len = strlen(name);
        each_member(parent, search_member, &s);
        *v = s.found;
        if (!s.is_found)
                snprintf(why, why_len, "nothing is called %s", name);
        return s.is_found;
}

bool inspect_what(const char *path, inspect_put put, void *arg, char *why, size_t why_len)
{
        struct out o = {.put = put, .arg = arg};
        struct value v;
        struct way way;
        bool printed;

        if (!find_file(path, &way, &v, &printed, why, why_len))
                return false;
        if (printed)
                say_file(&o, print_line, v);
        else
                say_kind(&o, &way, v);
        say(&o, "\n");
        return true;
}

bool inspect_read(const char *path, inspect_put put, void *arg, char *why, size_t why_len)
{
        struct out o = {.put = put, .arg = arg};
        struct value v;
        struct way way;
        bool printed;

        if (!find_file(path, &way, &v, &printed, why, why_len))
                return false;
        if (printed)
                print_line(&o, v);
        else
                say_content(&o, v);
        return true;
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
