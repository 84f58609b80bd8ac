/*
 * xml.c - toXML and fromXML: an object, and all that it leads to, as XML 1.0, and back.
 *
 *   values      <int>5</int> <long> <float> <double> <string>a &lt; b</string> <class>.a.b</class> <null/>
 *   objects     <objects> <object id="0" class=".a.b"> <int name="n">5</int> <ref name="next" id="1"/> </object>
 *               <array id="1" class="[i"> <int>1</int> </array> <directory id="2"> <entry> <string>key</string> value </entry> </directory> <binary id="3">00ff</binary> </objects>
 *
 * Objects stand one behind the other and name each other by number, so circles and long lists are nothing special; the first is the receiver. of=".parent": a field of that name which a
 * child hides. A string that XML cannot hold stands as <string bytes="hex">. Private fields are there for who is of their class.
 *
 * Each is one native function, so one step. fromXML makes all objects and fills them, the receiver's part in a copy: if anything is wrong, the receiver is what it was.
 */
#include "pvm/internal/internal.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define TEXT_MAX (1ul << 30)

/* Whose method calls: private fields are for it. */
static const struct klass *caller(const struct call *c)
{
        const struct frame *f = c->frame ? c->frame->prev : c->thread->top;

        return f ? method_by_id(f->method)->class : NULL;
}

static bool shown(const struct field *d, const struct klass *to)
{
        return !(d->flags & PVM_STATIC) && (!(d->flags & PVM_PRIVATE) || (to && d->class->current == to->current));
}

/* Objects of it are fields and nothing else. */
static bool of_fields(const struct klass *k)
{
        const struct klass *p = k;

        while (p->index >= CLASS_FIXED && p->array == ARRAY_NONE)
                p = p->parent;
        return k->kind == CLASS_PLAIN && (p->index == CLASS_object ? k != p : class_is(p, classes[CLASS_error]));
}

/* The field of that name that an object of k shows first. */
static struct field *field_of(const struct klass *k, const struct atom *name, const struct klass *to)
{
        for (; k; k = k->parent)
                for (uint32_t i = 0; i < k->nfields; i++)
                        if (k->fields[i].name == name && shown(&k->fields[i], to))
                                return &k->fields[i];
        return NULL;
}

/* ---- writing ---- */

struct writer {
        struct call *call;
        const struct klass *caller;
        char *text;
        size_t len, cap;
        struct obj **object; /* by id */
        uint32_t *slot_of;   /* hash table of ids + 1, twice as long at least */
        uint32_t n, room;
        int status; /* of the function, once something has failed */
        bool failed;
};

static void fail(struct writer *w, int status)
{
        if (!w->failed)
                w->status = status;
        w->failed = true;
}

static void put(struct writer *w, const char *text, size_t len)
{
        if (len > w->cap - w->len) {
                size_t cap = w->cap ? 2 * w->cap : 4096;
                char *more;

                while (cap - w->len < len)
                        cap *= 2;
                more = cap <= TEXT_MAX ? pvm_host->mem_alloc(cap) : NULL;
                if (!more) {
                        fail(w, OUT_OF_MEMORY(w->call));
                        return;
                }
                if (w->text) {
                        memcpy(more, w->text, w->len);
                        pvm_host->mem_free(w->text, w->cap);
                }
                w->text = more;
                w->cap = cap;
        }
        memcpy(w->text + w->len, text, len);
        w->len += len;
}

static void puts_(struct writer *w, const char *text)
{
        put(w, text, strlen(text));
}

static void put_number(struct writer *w, char type, slot v)
{
        char buf[40];

        put(w, buf, format_number(type, v, buf));
}

static void put_hex(struct writer *w, const uint8_t *p, size_t len)
{
        static const char digit[] = "0123456789abcdef";

        for (; len--; p++)
                put(w, (char[]){digit[*p >> 4], digit[*p & 15]}, 2);
}

static void put_escaped(struct writer *w, const char *p, size_t len)
{
        for (const char *end = p + len, *from = p; from <= end; p++) {
                const char *as = p == end    ? ""
                                 : *p == '<' ? "&lt;"
                                 : *p == '>' ? "&gt;"
                                 : *p == '&' ? "&amp;"
                                 : *p == '"' ? "&quot;"
                                 : *p == 13  ? "&#13;"
                                             : NULL;

                if (!as)
                        continue;
                put(w, from, (size_t)(p - from));
                puts_(w, as);
                from = p + 1;
        }
}

/* name NULL: none. */
static void put_attribute(struct writer *w, const char *name, const struct atom *value)
{
        if (!value)
                return;
        puts_(w, " ");
        puts_(w, name);
        puts_(w, "=\"");
        put_escaped(w, value->text, value->len);
        puts_(w, "\"");
}

static bool ids_room(struct writer *w)
{
        uint32_t room = w->room ? 2 * w->room : 64;
        struct obj **object = pvm_host->mem_alloc(room * sizeof(*object));
        uint32_t *slot_of = pvm_host->mem_alloc(2ul * room * sizeof(*slot_of));

        if (!object || !slot_of) {
                if (object)
                        pvm_host->mem_free(object, room * sizeof(*object));
                if (slot_of)
                        pvm_host->mem_free(slot_of, 2ul * room * sizeof(*slot_of));
                return false;
        }
        for (uint32_t id = 0; id < w->n; id++) {
                uint32_t i = bytes_hash(&w->object[id], 8);

                object[id] = w->object[id];
                while (slot_of[i & (2 * room - 1)])
                        i++;
                slot_of[i & (2 * room - 1)] = id + 1;
        }
        if (w->room) {
                pvm_host->mem_free(w->object, w->room * sizeof(*object));
                pvm_host->mem_free(w->slot_of, 2ul * w->room * sizeof(*slot_of));
        }
        w->object = object;
        w->slot_of = slot_of;
        w->room = room;
        return true;
}

static uint32_t id_of(struct writer *w, struct obj *o)
{
        const struct klass *k = obj_class(o);
        uint32_t i = bytes_hash(&o, 8), id;

        for (; w->room && (id = w->slot_of[i & (2 * w->room - 1)]); i++)
                if (w->object[id - 1] == o)
                        return id - 1;
        if (array_kind(o) == ARRAY_NONE && o->class != CLASS_binary && o->class != CLASS_directory && !of_fields(k))
                fail(w, throw_error(w->call, CLASS_error_state, "%s cannot be written as XML", k->name->text));
        else if (o->info & OBJ_PENDING)
                fail(w,
                     throw_error(w->call, CLASS_error_state, "an object of %s waits for its migrate()", k->name->text));
        else if (w->n == w->room && !ids_room(w))
                fail(w, OUT_OF_MEMORY(w->call));
        if (w->failed)
                return 0;
        for (i = bytes_hash(&o, 8); w->slot_of[i & (2 * w->room - 1)]; i++)
                ;
        w->slot_of[i & (2 * w->room - 1)] = w->n + 1;
        w->object[w->n] = o;
        return w->n++;
}

static const char *number_name(char type)
{
        return type == 'I' ? "int" : type == 'L' ? "long" : type == 'F' ? "float" : "double";
}

static void put_value(struct writer *w, char type, slot v, const struct atom *name, const struct atom *of);

static void put_string(struct writer *w, const struct string *s, const struct atom *name, const struct atom *of)
{
        bool plain = true;

        for (uint32_t i = 0; plain && i < s->len; i++)
                plain = (uint8_t)s->text[i] >= ' ' || s->text[i] == '\t' || s->text[i] == '\n' || s->text[i] == '\r';
        puts_(w, "<string");
        put_attribute(w, "name", name);
        put_attribute(w, "of", of);
        puts_(w, plain ? ">" : " bytes=\"hex\">");
        if (plain)
                put_escaped(w, s->text, s->len);
        else
                put_hex(w, (const uint8_t *)s->text, s->len);
        puts_(w, "</string>");
}

static void put_reference(struct writer *w, struct obj *o, const struct atom *name, const struct atom *of)
{
        char id[24];

        if (o && o->class == CLASS_string) {
                put_string(w, (struct string *)o, name, of);
                return;
        }
        if (o && is_number(o)) {
                char type = number_type(o);
                slot v;

                unbox(o, type, &v);
                put_value(w, type, v, name, of);
                return;
        }
        puts_(w, !o ? "<null" : o->class == CLASS_class ? "<class" : "<ref");
        put_attribute(w, "name", name);
        put_attribute(w, "of", of);
        if (o && o->class == CLASS_class) {
                puts_(w, ">");
                put_escaped(w, ((struct class_obj *)o)->name->text, ((struct class_obj *)o)->name->len);
                puts_(w, "</class>");
                return;
        }
        if (o)
                put(w, id, fmt_append(id, sizeof(id), 0, " id=\"%u\"", id_of(w, o)));
        puts_(w, "/>");
}

static void put_value(struct writer *w, char type, slot v, const struct atom *name, const struct atom *of)
{
        if (type == 'R') {
                put_reference(w, v.r, name, of);
                return;
        }
        puts_(w, "<");
        puts_(w, number_name(type));
        put_attribute(w, "name", name);
        put_attribute(w, "of", of);
        puts_(w, ">");
        put_number(w, type, v);
        puts_(w, "</");
        puts_(w, number_name(type));
        puts_(w, ">");
}

static void put_fields(struct writer *w, struct obj *o, const struct klass *k)
{
        if (k->parent)
                put_fields(w, o, k->parent);
        for (uint32_t i = 0; i < k->nfields; i++) {
                const struct field *d = &k->fields[i];
                slot v = {0};

                if (!shown(d, w->caller))
                        continue;
                memcpy(&v, (char *)o + d->offset, d->machine == 'I' || d->machine == 'F' ? 4 : 8);
                put_value(w, d->machine, v, d->name, field_of(obj_class(o), d->name, w->caller) == d ? NULL : k->name);
        }
}

static void put_elements(struct writer *w, const struct array *a)
{
        enum array_kind kind = array_kind(&a->o);

        for (uint32_t i = 0; i < a->store->len && !w->failed; i++) {
                slot v = {0};

                memcpy(&v, a->store->b + i * array_element_bytes(kind), array_element_bytes(kind));
                put_value(w, "-ILFDR"[kind], v, NULL, NULL);
        }
}

static void put_object(struct writer *w, uint32_t id)
{
        struct obj *o = w->object[id];
        const struct klass *k = obj_class(o);
        const char *what = array_kind(o) != ARRAY_NONE   ? "array"
                           : o->class == CLASS_binary    ? "binary"
                           : o->class == CLASS_directory ? "directory"
                                                         : "object";
        char head[40];

        put(w, head, fmt_append(head, sizeof(head), 0, "<%s id=\"%u\"", what, id));
        if (*what == 'a' || *what == 'o')
                put_attribute(w, "class", k->name);
        puts_(w, ">");
        if (*what == 'a') {
                put_elements(w, (struct array *)o);
        } else if (*what == 'b') {
                const struct store *s = ((struct binary *)o)->store;

                put_hex(w, s ? s->b : NULL, s ? s->len : 0);
        } else if (*what == 'd') {
                const struct directory *d = (struct directory *)o;

                for (uint32_t i = 0; d->keys && i < d->keys->len && !w->failed; i++) {
                        puts_(w, "<entry>");
                        put_reference(w, d->keys->r[i], NULL, NULL);
                        put_reference(w, d->values->r[i], NULL, NULL);
                        puts_(w, "</entry>");
                }
        } else {
                put_fields(w, o, k);
        }
        puts_(w, "</");
        puts_(w, what);
        puts_(w, ">\n");
}

int n_object_toXML(struct call *c)
{
        struct writer w = {.call = c, .caller = caller(c)};
        struct obj *o = OBJECT(c);
        struct string *s = NULL;

        if (o->class == CLASS_string || o->class == CLASS_class || is_number(o)) {
                put_reference(&w, o, NULL, NULL);
        } else {
                puts_(&w, "<objects>\n");
                id_of(&w, o);
                for (uint32_t id = 0; id < w.n && !w.failed; id++)
                        put_object(&w, id);
                puts_(&w, "</objects>\n");
        }
        if (!w.failed)
                s = string_new(w.text, w.len);
        if (w.text)
                pvm_host->mem_free(w.text, w.cap);
        if (w.room) {
                pvm_host->mem_free(w.object, w.room * sizeof(*w.object));
                pvm_host->mem_free(w.slot_of, 2ul * w.room * sizeof(*w.slot_of));
        }
        return w.failed ? w.status : give(c, s);
}

/* ---- reading: tags ---- */

enum tag { TAG_OPEN, TAG_EMPTY, TAG_CLOSE };
enum attribute { NAME, OF, ID, CLASS_NAME, BYTES, NATTRIBUTES };
struct reader {
        struct call *call;
        const struct klass *caller;
        const char *text;
        uint32_t at, len;
        int status; /* of the function, once something has failed */
        /* the tag read last */
        enum tag tag;
        struct pvm_text name, attribute[NATTRIBUTES]; /* p NULL: not there; as it stands there, with entities */
        uint32_t tag_at;
        /* of all objects, by id; the receiver's number 0 is a copy, which is filled */
        struct store *object;
        struct obj *filled;
};

static bool no_memory(struct reader *r)
{
        r->status = OUT_OF_MEMORY(r->call);
        return false;
}

static bool __attribute__((format(printf, 2, 3))) wrong(struct reader *r, const char *fmt, ...)
{
        uint32_t line = 1, column = 1;
        char text[400];
        __builtin_va_list ap;

        for (uint32_t i = 0; i < r->tag_at; i++) {
                line += r->text[i] == '\n';
                column = r->text[i] == '\n' ? 1 : column + ((r->text[i] & 0xc0) != 0x80);
        }
        __builtin_va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        __builtin_va_end(ap);
        r->status = throw_error(r->call, CLASS_error_argument, "XML, line %u, column %u: %s", line, column, text);
        return false;
}

static bool ahead(const struct reader *r, const char *text)
{
        size_t n = strlen(text);

        return r->len - r->at >= n && !memcmp(r->text + r->at, text, n);
}

static bool is_blank(char ch)
{
        return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

static void skip_blanks(struct reader *r)
{
        while (r->at < r->len && is_blank(r->text[r->at]))
                r->at++;
}

/* Blanks, comments, and <? ... ?>. */
static bool skip_between(struct reader *r)
{
        for (;;) {
                const char *end;

                skip_blanks(r);
                end = ahead(r, "<!--") ? "-->" : ahead(r, "<?") ? "?>" : NULL;
                r->tag_at = r->at;
                if (!end)
                        return true;
                for (r->at += 2; r->at < r->len && !ahead(r, end); r->at++)
                        ;
                if (r->at == r->len)
                        return wrong(r, "no %s behind it", end);
                r->at += (uint32_t)strlen(end);
        }
}

static struct pvm_text word(struct reader *r)
{
        uint32_t from = r->at;

        while (r->at < r->len && ((r->text[r->at] | 32) >= 'a') && (r->text[r->at] | 32) <= 'z')
                r->at++;
        return (struct pvm_text){r->text + from, r->at - from};
}

static bool text_is(struct pvm_text t, const char *text)
{
        return t.len == strlen(text) && !memcmp(t.p, text, t.len);
}

static bool read_attribute(struct reader *r)
{
        static const char *const names[NATTRIBUTES] = {"name", "of", "id", "class", "bytes"};
        struct pvm_text name = word(r);
        unsigned i = 0;
        uint32_t from;
        char quote;

        while (i < NATTRIBUTES && !text_is(name, names[i]))
                i++;
        if (i == NATTRIBUTES || r->attribute[i].p)
                return wrong(r, "an attribute that is not known here, or there twice: %.*s",
                             (int)(name.len < 40 ? name.len : 40), name.p);
        skip_blanks(r);
        if (!ahead(r, "="))
                return wrong(r, "%s has no value", names[i]);
        r->at++;
        skip_blanks(r);
        quote = r->at < r->len ? r->text[r->at] : 0;
        if (quote != '"' && quote != '\'')
                return wrong(r, "%s: a value in quotes expected", names[i]);
        for (from = ++r->at; r->at < r->len && r->text[r->at] != quote && r->text[r->at] != '<'; r->at++)
                ;
        if (r->at == r->len || r->text[r->at] != quote)
                return wrong(r, "%s: a value without end", names[i]);
        r->attribute[i] = (struct pvm_text){r->text + from, r->at++ - from};
        return true;
}

/* The next tag; nothing but blanks and comments comes before it. */
static bool read_tag(struct reader *r)
{
        if (!skip_between(r))
                return false;
        if (!ahead(r, "<"))
                return wrong(r, r->at == r->len ? "it ends too early" : "a tag expected");
        r->at++;
        r->tag = TAG_OPEN;
        if (ahead(r, "/")) {
                r->tag = TAG_CLOSE;
                r->at++;
        }
        r->name = word(r);
        memset(r->attribute, 0, sizeof(r->attribute));
        for (skip_blanks(r); r->at < r->len && !ahead(r, ">") && !ahead(r, "/"); skip_blanks(r))
                if (r->tag == TAG_CLOSE || !read_attribute(r))
                        return r->tag == TAG_CLOSE ? wrong(r, "a closing tag with more than a name") : false;
        if (ahead(r, "/")) {
                if (r->tag == TAG_CLOSE)
                        return wrong(r, "a tag that opens and closes nothing");
                r->tag = TAG_EMPTY;
                r->at++;
        }
        if (!ahead(r, ">"))
                return wrong(r, "a tag without end");
        r->at++;
        return true;
}

/* The closing tag of an element of that name comes next. */
static bool read_close(struct reader *r, struct pvm_text name)
{
        if (!read_tag(r))
                return false;
        return (r->tag == TAG_CLOSE && r->name.len == name.len && !memcmp(r->name.p, name.p, name.len)) ||
               wrong(r, "</%.*s> expected", (int)name.len, name.p);
}

/* What stands between tags or quotes, without entities, to `to` (NULL: only counted). */
static bool decode(struct reader *r, struct pvm_text t, char *to, size_t *len)
{
        static const struct {
                const char *name;
                char ch;
        } entities[] = {{"lt;", '<'}, {"gt;", '>'}, {"amp;", '&'}, {"quot;", '"'}, {"apos;", '\''}};
        char scratch[4];

        *len = 0;
        for (uint32_t i = 0; i < t.len;) {
                uint32_t v = 0, from = i, base = 10;
                unsigned e = 0;

                if (t.p[i] != '&') {
                        if (to)
                                to[*len] = t.p[i];
                        ++*len;
                        i++;
                        continue;
                }
                i++;
                for (; e < 5; e++)
                        if (t.len - i >= strlen(entities[e].name) &&
                            !memcmp(t.p + i, entities[e].name, strlen(entities[e].name)))
                                break;
                if (e < 5) {
                        v = (uint8_t)entities[e].ch;
                        i += (uint32_t)strlen(entities[e].name);
                } else if (i < t.len && t.p[i] == '#') {
                        if (++i < t.len && t.p[i] == 'x') {
                                base = 16;
                                i++;
                        }
                        for (; i < t.len && t.p[i] != ';' && v < 0x110000; i++) {
                                char ch = t.p[i] | 32;
                                uint32_t d = t.p[i] >= '0' && t.p[i] <= '9' ? (uint32_t)(t.p[i] - '0')
                                             : ch >= 'a' && ch <= 'f'       ? (uint32_t)(ch - 'a' + 10)
                                                                            : 99;

                                v = d < base ? v * base + d : 0x110000;
                        }
                        if (i == t.len || t.p[i++] != ';' || !v || v >= 0x110000 || (v >= 0xd800 && v < 0xe000))
                                return wrong(r, "a character by number that is none: %.*s", 12, t.p + from);
                } else {
                        return wrong(r, "an & that begins nothing known");
                }
                *len += utf8_encode(v, to ? to + *len : scratch);
        }
        return true;
}

/* A name in an attribute, which may be missing: NULL without an error. */
static bool attribute_name(struct reader *r, enum attribute a, const struct atom **name)
{
        char buf[PVM_MAX_NAME + 2];
        size_t len;

        *name = NULL;
        if (!r->attribute[a].p)
                return true;
        if (r->attribute[a].len >= sizeof(buf))
                return wrong(r, "a name that is too long");
        if (!decode(r, r->attribute[a], buf, &len))
                return false;
        *name = atom(buf, len);
        return *name || no_memory(r);
}

/* ---- reading: values ---- */

static bool number_of(struct pvm_text t, char type, slot *v)
{
        static const double special[] = {__builtin_inf(), -__builtin_inf(), __builtin_nan("")};
        char buf[40];

        v->bits = 0;
        if (type == 'L')
                return parse_long(t.p, t.len, &v->l);
        if (type == 'I') {
                int64_t n;
                bool ok = parse_long(t.p, t.len, &n) && n == (int32_t)n;

                v->bits = ok ? (uint32_t)n : 0;
                return ok;
        }
        for (unsigned i = 0; i < 3; i++) {
                slot s = {.d = special[i]};
                size_t n = format_number('D', s, buf);

                if (t.len == n && !memcmp(t.p, buf, n)) {
                        if (type == 'D')
                                v->d = s.d;
                        else
                                v->f = (float)s.d;
                        return true;
                }
        }
        if (type == 'D')
                return parse_double(t.p, t.len, &v->d);
        {
                double d;
                bool ok = parse_double(t.p, t.len, &d);

                v->f = (float)d;
                return ok;
        }
}

static bool unhex(struct reader *r, struct pvm_text t, uint8_t *to)
{
        for (uint32_t i = 0; i < t.len; i++) {
                char ch = t.p[i] | 32;
                uint8_t d = t.p[i] >= '0' && t.p[i] <= '9' ? (uint8_t)(t.p[i] - '0')
                            : ch >= 'a' && ch <= 'f'       ? (uint8_t)(ch - 'a' + 10)
                                                           : 99;

                if (d > 15 || t.len % 2)
                        return wrong(r, "pairs of hexadecimal digits expected");
                to[i / 2] = (uint8_t)(i % 2 ? to[i / 2] | d : d << 4);
        }
        return true;
}

/* The element's text, up to its closing tag. */
static bool read_text(struct reader *r, struct pvm_text *t)
{
        struct pvm_text name = r->name;
        uint32_t from = r->at;

        *t = (struct pvm_text){r->text, 0};
        if (r->tag == TAG_EMPTY)
                return true;
        while (r->at < r->len && r->text[r->at] != '<')
                r->at++;
        *t = (struct pvm_text){r->text + from, r->at - from};
        return read_close(r, name);
}

static struct pvm_text trimmed(struct pvm_text t)
{
        while (t.len && is_blank(*t.p)) {
                t.p++;
                t.len--;
        }
        while (t.len && is_blank(t.p[t.len - 1]))
                t.len--;
        return t;
}

static bool string_value(struct reader *r, struct obj **o)
{
        bool hex = r->attribute[BYTES].p;
        struct pvm_text t;
        struct string *s;
        size_t len;

        if (hex && !text_is(r->attribute[BYTES], "hex"))
                return wrong(r, "bytes can be hex, nothing else");
        if (!read_text(r, &t))
                return false;
        if (hex) {
                t = trimmed(t);
                len = t.len / 2;
        } else if (!decode(r, t, NULL, &len)) {
                return false;
        }
        s = string_room(len);
        *o = &s->o;
        if (!s)
                return no_memory(r);
        return hex ? unhex(r, t, (uint8_t *)s->text) : decode(r, t, s->text, &len);
}

/* A class by name: if it has to be loaded or initialised first, the function is left for that (CALL) and begins anew. NULL: r->status. */
static struct klass *find(struct reader *r, const struct atom *name)
{
        struct klass *k = name ? class_find(name->text, name->len) : NULL;

        if (k)
                return k;
        if (!name || !class_wanted || !root()->class_loader) {
                wrong(r, "%s", name ? class_error : "it has no class");
                return NULL;
        }
        r->status = load_wanted(r->call);
        return NULL;
}

/* The element whose tag was read: *type R, or the number's. */
static bool read_value(struct reader *r, char *type, slot *v)
{
        static const char *const numbers[] = {"int", "long", "float", "double"};
        struct pvm_text t;
        int64_t id;

        *type = 'R';
        v->bits = 0;
        if (r->tag == TAG_CLOSE)
                return wrong(r, "a value expected");
        for (unsigned i = 0; i < 4; i++)
                if (text_is(r->name, numbers[i])) {
                        *type = "ILFD"[i];
                        return read_text(r, &t) &&
                               (number_of(trimmed(t), *type, v) || wrong(r, "a number that is no %s", numbers[i]));
                }
        if (text_is(r->name, "string"))
                return string_value(r, &v->r);
        if (text_is(r->name, "null"))
                return read_text(r, &t) && (!trimmed(t).len || wrong(r, "null with something in it"));
        if (text_is(r->name, "class")) {
                const struct atom *name;
                struct klass *k;

                if (!read_text(r, &t))
                        return false;
                t = trimmed(t);
                name = t.len <= PVM_MAX_NAME ? atom(t.p, t.len) : NULL;
                k = find(r, name);
                v->r = k ? &k->object->o : NULL;
                return k;
        }
        if (!text_is(r->name, "ref"))
                return wrong(r, "<%.*s>, which is no value", (int)(r->name.len < 40 ? r->name.len : 40), r->name.p);
        if (!parse_long(r->attribute[ID].p, r->attribute[ID].len, &id) || id < 0 || !r->object || id >= r->object->len)
                return wrong(r, "a ref to an object that is not there");
        v->r = r->object->r[id];
        return read_text(r, &t) && (!trimmed(t).len || wrong(r, "a ref with something in it"));
}

/* May it stand where that type is? Numbers are boxed for references. type: a descriptor. */
static bool suit(struct reader *r, char type, slot *v, char machine, struct pvm_text want)
{
        struct klass *k;
        struct obj *o;

        if (machine != 'R') {
                o = type == 'R' ? v->r : box(type, *v);
                if (!o && type != 'R')
                        return no_memory(r);
                return (o && is_number(o) && unbox(o, machine, v)) ||
                       wrong(r, "its type is %s, and that does not fit", number_name(machine));
        }
        o = box(type, *v);
        if (!o && type != 'R')
                return no_memory(r);
        v->r = o;
        if (!o || *want.p == 'u')
                return true;
        k = class_of_type(want);
        return (k && class_is(obj_class(o), k)) || wrong(r, "its type is %.*s, and that does not fit",
                                                         (int)(want.len - (want.p[want.len - 1] == ';')), want.p);
}

/* ---- reading: objects ---- */

/* The object that the tag begins, empty. */
static struct obj *make(struct reader *r)
{
        const struct atom *name;
        struct obj *o = NULL;
        struct klass *k;

        if (text_is(r->name, "binary"))
                o = heap_alloc(CLASS_binary, sizeof(struct binary), 0);
        else if (text_is(r->name, "directory"))
                o = heap_alloc(CLASS_directory, sizeof(struct directory), 0);
        if (text_is(r->name, "binary") || text_is(r->name, "directory")) {
                if (!o)
                        no_memory(r);
                return o;
        }
        if (!text_is(r->name, "object") && !text_is(r->name, "array")) {
                wrong(r, "an object expected");
                return NULL;
        }
        if (!attribute_name(r, CLASS_NAME, &name))
                return NULL;
        k = find(r, name);
        if (!k)
                return NULL;
        if (k->array != ARRAY_NONE) {
                o = (struct obj *)array_new(k, 0);
        } else if (k->no_new || k->flags & (PVM_CLASS_INTERFACE | PVM_CLASS_ABSTRACT) || !of_fields(k)) {
                wrong(r, "%s cannot be made of XML", k->name->text);
                return NULL;
        } else {
                if (!may_use(r->call, k, &r->status))
                        return NULL;
                o = heap_alloc(k->index, k->size, 0);
        }
        if (!o)
                no_memory(r);
        else if ((k->array == ARRAY_NONE) != text_is(r->name, "object"))
                return wrong(r, "arrays are <array>, other objects are not"), NULL;
        return o;
}

static bool fill_field(struct reader *r, struct obj *o)
{
        const struct atom *name, *of;
        const struct klass *k = obj_class(o);
        struct field *d;
        char type;
        slot v;

        if (!attribute_name(r, NAME, &name) || !attribute_name(r, OF, &of))
                return false;
        while (of && k && k->name != of)
                k = k->parent;
        d = name && k ? field_of(k, name, r->caller) : NULL;
        if (!d)
                return wrong(r, "%s has no field %s that can be seen here", obj_class(o)->name->text,
                             name ? name->text : "without a name");
        if (!read_value(r, &type, &v) || !suit(r, type, &v, d->machine, (struct pvm_text){d->type->text, d->type->len}))
                return false;
        memcpy((char *)o + d->offset, &v, d->machine == 'I' || d->machine == 'F' ? 4 : 8);
        return true;
}

static bool fill_element(struct reader *r, struct array *a)
{
        const struct klass *k = obj_class(&a->o);
        enum array_kind kind = array_kind(&a->o);
        unsigned bytes = array_element_bytes(kind);
        uint32_t at = a->store->len;
        char type;
        slot v;

        if (!read_value(r, &type, &v) ||
            !suit(
                    r, type, &v, "-ILFDR" [kind], (struct pvm_text) { k->element->text, k->element->len }))
                return false;
        if (at == INT32_MAX || !array_grow(a, at))
                return no_memory(r);
        memcpy(a->store->b + (size_t)at * bytes, &v, bytes);
        return true;
}

static bool fill_entry(struct reader *r, struct directory *d)
{
        struct pvm_text name = r->name;
        char type;
        slot key, v;

        if (r->tag != TAG_OPEN || !text_is(name, "entry"))
                return wrong(r, "<entry> expected");
        if (!read_tag(r))
                return false;
        if (!text_is(r->name, "string"))
                return wrong(r, "an entry begins with its key, a string");
        if (!read_value(r, &type, &key) || !read_tag(r) || !read_value(r, &type, &v))
                return false;
        v.r = box(type, v);
        if ((!v.r && type != 'R') || !directory_put(d, (struct string *)key.r, v.r))
                return no_memory(r);
        return read_close(r, name);
}

static bool fill_binary(struct reader *r, struct binary *b)
{
        struct pvm_text t;

        if (!read_text(r, &t))
                return false;
        t = trimmed(t);
        b->store = store_new(CLASS_store_raw, t.len / 2, t.len / 2, 1);
        return b->store ? unhex(r, t, b->store->b) : no_memory(r);
}

/* What is in the element whose tag was read, to the object. */
static bool fill(struct reader *r, struct obj *o)
{
        struct pvm_text name = r->name;

        if (o->class == CLASS_binary)
                return fill_binary(r, (struct binary *)o);
        while (r->tag == TAG_OPEN || r->tag == TAG_CLOSE) {
                bool ok;

                if (!read_tag(r))
                        return false;
                if (r->tag == TAG_CLOSE)
                        break;
                ok = array_kind(o) != ARRAY_NONE   ? fill_element(r, (struct array *)o)
                     : o->class == CLASS_directory ? fill_entry(r, (struct directory *)o)
                                                   : fill_field(r, o);
                if (!ok)
                        return false;
                r->tag = TAG_OPEN;
        }
        return r->tag == TAG_EMPTY || (r->name.len == name.len && !memcmp(r->name.p, name.p, name.len)) ||
               wrong(r, "</%.*s> expected", (int)name.len, name.p);
}

/* Goes past the element whose tag was read. */
static bool skip(struct reader *r)
{
        uint32_t depth = r->tag == TAG_OPEN;

        while (depth) {
                while (r->at < r->len && r->text[r->at] != '<')
                        r->at++;
                if (!read_tag(r))
                        return false;
                depth += r->tag == TAG_OPEN;
                depth -= r->tag == TAG_CLOSE;
        }
        return true;
}

static bool each_object(struct reader *r, bool (*fn)(struct reader *r, uint32_t id))
{
        int64_t id;

        r->at = 0;
        if (!read_tag(r))
                return false;
        if (r->tag != TAG_OPEN || !text_is(r->name, "objects"))
                return wrong(r, "<objects> expected");
        for (uint32_t n = 0;; n++) {
                if (!read_tag(r))
                        return false;
                if (r->tag == TAG_CLOSE)
                        break;
                if (!parse_long(r->attribute[ID].p, r->attribute[ID].len, &id) || id != n)
                        return wrong(r, "id=\"%u\" expected", n);
                if (!fn(r, n))
                        return false;
        }
        if (!text_is(r->name, "objects"))
                return wrong(r, "</objects> expected");
        if (!skip_between(r))
                return false;
        return r->at == r->len || wrong(r, "something behind </objects>");
}

static bool make_one(struct reader *r, uint32_t id)
{
        struct store *s = r->object;
        struct obj *o = make(r);

        if (!o)
                return false;
        if (s->len == s->cap) {
                s = store_new(CLASS_store_refs, s->len, 2 * s->cap, 8);
                if (!s)
                        return no_memory(r);
                memcpy(s->r, r->object->r, s->len * 8ul);
                r->object = s;
        }
        if (!id) {
                struct obj *receiver = OBJECT(r->call);

                if (o->class != receiver->class)
                        return wrong(r, "its class is %s, the object's %s", obj_class(o)->name->text,
                                     obj_class(receiver)->name->text);
                if (of_fields(obj_class(o))) /* fields that are not told stay */
                        memcpy(o + 1, receiver + 1, obj_class(o)->size - sizeof(*o));
                r->filled = o;
                o = receiver;
        }
        s->r[s->len++] = o;
        return skip(r);
}

static bool fill_one(struct reader *r, uint32_t id)
{
        return fill(r, id ? r->object->r[id] : r->filled);
}

int n_object_fromXML(struct call *c)
{
        struct obj *o = OBJECT(c);
        const struct klass *k = obj_class(o);
        struct reader r = {.call = c, .caller = caller(c)};
        int e;

        if (!want(c, 1, CLASS_string, &e))
                return e;
        if (o->info & OBJ_IMMUTABLE ||
            (array_kind(o) == ARRAY_NONE && o->class != CLASS_binary && o->class != CLASS_directory && !of_fields(k)))
                return throw_error(c, CLASS_error_state, "%s: this object cannot be changed by XML", k->name->text);
        if (o->info & OBJ_PENDING)
                return throw_error(c, CLASS_error_state, "an object of %s waits for its migrate()", k->name->text);
        r.text = STRING(c, 1)->text;
        r.len = STRING(c, 1)->len;
        r.object = store_new(CLASS_store_refs, 0, 16, 8);
        if (!r.object)
                return OUT_OF_MEMORY(c);
        if (!each_object(&r, make_one))
                return r.status;
        if (!r.filled)
                return wrong(&r, "no object") ? DONE : r.status;
        if (!each_object(&r, fill_one))
                return r.status;
        memcpy(o + 1, r.filled + 1, k->size - sizeof(*o));
        heap_wrote(o);
        return DONE;
}
