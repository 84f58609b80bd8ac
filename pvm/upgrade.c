/*
 * upgrade.c - new versions of classes, under the objects and frames of a program that runs.
 *
 * A class keeps its index, its class object and its statics; a version is a file, with method ids of its own. All happens at one safepoint, so a snapshot has all of it or
 * nothing:
 *
 *   1. the new file is checked; everything reachable is marked: which versions run, which objects are of the class
 *   2. the class object gets the new file, root.versions the old one; all classes are made anew from what is in the heap, as after a recovery, beside those that were
 *   3. what others use of the class must be there still; each of its objects is copied into the new layout
 *   4. all references to the objects become references to the copies
 *
 * Up to 3 anything may fail: then the class object and the root get back what they had, the old classes are the known ones again, and what was allocated is garbage. 4 cannot fail.
 *
 * Frames of a version that was replaced run on in its code. What they name they find in the class as it is now; what it has no more, in their own version: methods there, fields
 * among the kept ones, which the new layout has as long as such frames, or closures, were there when it was made.
 *
 * Heaps of older versions (root.version) become ones of this at their recovery, in the same way.
 *
 * migrate(): pvm.md has it run when a newer field is used. Here any field of the class is, so that nobody sees an object between two versions.
 */
#include "pvm/machine.h"
#include "pvm/jit/jit.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <asm/errno.h>
#include <stdarg.h>

/* How an object's bytes get from one layout to the other. */
struct plan {
        uint32_t size;  /* of this */
        uint32_t plain; /* bytes behind the header that stay: those of internal classes above */
        uint32_t n;
        struct {
                uint32_t from, to, bytes;
        } field[];
};

static struct change {
        struct klass *k;         /* as it was */
        struct obj **from, **to; /* to: one more, for what else is new and has references: the statics */
        size_t n, cap;
        bool failed;         /* no volatile memory for the list */
        struct plan **plans; /* by class index */
        uint32_t nplans;
} change;

static bool refused(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool refused(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        class_explain(fmt, ap);
        va_end(ap);
        return false;
}

/* ---- 1: what is there ---- */

static bool is_name(const struct atom *name, struct pvm_text t)
{
        return name->len == t.len && !memcmp(name->text, t.p, t.len);
}

/* The new file, read and checked as far as it can be alone, as an object. NULL: class_error, or (*same) it is the version that runs. */
static struct store *read_file(const struct klass *k, bool *same)
{
        const struct store *now = k->object->file;
        struct store *file = NULL;
        struct pvm_file f;
        char why[300];
        void *bytes;
        size_t size;
        int r = pvm_host->find_class(k->name->text, k->name->len, &bytes, &size);

        *same = false;
        if (r) {
                refused("%s: its file cannot be read, error %d", k->name->text, -r);
                return NULL;
        }
        *same = size == now->len && !memcmp(bytes, now->b, size);
        if (*same)
                ;
        else if (!pvm_file_open(&f, bytes, size, why, sizeof(why)) || !pvm_file_verify(&f, why, sizeof(why)))
                refused("%s is refused: %s", k->name->text, why);
        else if (!is_name(k->name, pvm_file_class_name(&f, f.h->this_class)))
                refused("%s: the file has another class in it", k->name->text);
        else if (f.h->parent ? !is_name(k->parent->name, pvm_file_class_name(&f, f.h->parent))
                             : k->parent->index != CLASS_object)
                refused("%s: its parent was %s, is another", k->name->text, k->parent->name->text);
        else if ((k->flags ^ f.h->flags) & PVM_CLASS_INTERFACE)
                refused("%s: a class is no interface", k->name->text);
        else if (f.h->flags & ~k->flags & PVM_CLASS_ABSTRACT)
                refused("%s: it would be abstract, there may be objects of it", k->name->text);
        else {
                file = store_new(CLASS_store_raw, (uint32_t)size, (uint32_t)size, 1);
                if (file)
                        memcpy(file->b, bytes, size);
                else
                        refused("no memory");
        }
        pvm_host->mem_free(bytes, size);
        /* Interfaces that are new here are loaded before anything changes. */
        for (uint32_t i = 0; file && pvm_file_open(&f, file->b, file->len, why, sizeof(why)) && i < f.h->ninterfaces;
             i++) {
                struct pvm_text t = pvm_file_class_name(&f, f.interfaces[i]);

                if (!class_find(t.p, t.len))
                        file = NULL;
        }
        return file;
}

static void note_used(uint32_t method)
{
        method_by_id(method)->class->used = true;
}

static void add_object(struct change *c, struct obj *o)
{
        if (c->failed)
                return;
        if (c->n == c->cap) {
                size_t cap = c->cap ? c->cap * 2 : 1024;
                struct obj **from = pvm_host->mem_alloc(cap * sizeof(*from));

                if (!from) {
                        c->failed = true;
                        return;
                }
                if (c->from) {
                        memcpy(from, c->from, c->n * sizeof(*from));
                        pvm_host->mem_free(c->from, c->cap * sizeof(*from));
                }
                c->from = from;
                c->cap = cap;
        }
        c->from[c->n++] = o;
}

static void note_object(struct obj *o, void *arg)
{
        struct change *c = arg;
        const struct klass *k = obj_class(o);

        if (k->index == CLASS_thread) {
                for (struct frame *f = ((struct thread *)o)->top; f; f = f->prev)
                        note_used(f->method);
        } else if (k->index == CLASS_closure && ((struct closure *)o)->target) {
                note_used(((struct closure *)o)->target);
        }
        if (k->index >= CLASS_FIXED && !k->array && class_is(k, c->k))
                add_object(c, o);
}

static void forget_used(void)
{
        const struct store *v = root()->versions;

        for (uint32_t i = CLASS_FIXED; i < root()->nclasses; i++)
                classes[i]->used = false;
        for (uint32_t i = 0; v && i < v->len; i++)
                if (class_version((struct class_obj *)v->r[i]))
                        class_version((struct class_obj *)v->r[i])->used = false;
}

/* ---- 2: the heap says that there is a new version ---- */

static bool declares(const struct pvm_file *f, const struct pvm_file *of, const struct pvm_file_field *field)
{
        struct pvm_text name = pvm_file_text(of, field->name), type = pvm_file_text(of, field->type);

        for (uint32_t i = 0; i < f->h->nfields; i++) {
                struct pvm_text n = pvm_file_text(f, f->fields[i].name), t = pvm_file_text(f, f->fields[i].type);

                if (n.len == name.len && t.len == type.len && !memcmp(n.p, name.p, n.len) &&
                    !memcmp(t.p, type.p, t.len))
                        return true;
        }
        return false;
}

/* Code of this version that still runs may use fields that the new file has not. */
static bool keeps_fields(const struct klass *version, const struct pvm_file *new)
{
        bool keeps = false;

        for (uint32_t i = 0; version && version->used && i < version->file.h->nfields; i++)
                keeps |= !declares(new, &version->file, &version->file.fields[i]);
        return keeps;
}

/* root.versions with the class's version that is replaced now; what was said of the others was said for the layout before. */
static bool add_version(const struct klass *k, const struct pvm_file *new)
{
        const struct store *before = root()->versions;
        uint32_t n = before ? before->len : 0;
        struct store *s = store_new(CLASS_store_refs, n + 1, n + 1, 8);

        if (!s)
                return refused("no memory");
        for (uint32_t i = 0; i <= n; i++) {
                const struct class_obj *from = i < n ? (struct class_obj *)before->r[i] : k->object;
                struct class_obj *o;

                s->r[i] = i < n ? before->r[i] : NULL;
                if (from->index != k->index)
                        continue;
                o = heap_alloc(CLASS_class, sizeof(*o), 0);
                if (!o)
                        return refused("no memory");
                memcpy(o, from, sizeof(*o));
                o->static_refs = o->static_raw = NULL;
                o->replaced.version = i < n ? from->replaced.version : k->version;
                o->replaced.keeps_fields = keeps_fields(i < n ? class_version(from) : k, new);
                s->r[i] = &o->o;
        }
        root()->versions = s;
        return true;
}

/* The first n ids that are in no class's or version's use. */
static uint32_t free_ids(uint32_t n)
{
        const struct store *tables[] = {root()->classes, root()->versions};
        uint32_t base = 0;
        bool again = true;

        while (again) {
                again = false;
                for (unsigned t = 0; t < 2; t++)
                        for (uint32_t i = !t; tables[t] && i < tables[t]->len; i++) {
                                const struct class_obj *o = (const struct class_obj *)tables[t]->r[i];

                                if (base < o->method_base + o->nmethods && o->method_base < base + n) {
                                        base = o->method_base + o->nmethods;
                                        again = true;
                                }
                        }
        }
        return base;
}

static bool count_upgrade(const struct klass *k)
{
        const struct store *before = root()->upgrades;
        uint32_t need = (k->index + 1) * (uint32_t)sizeof(struct upgrade);
        uint32_t len = before && before->len > need ? before->len : need;
        struct store *s = store_new(CLASS_store_raw, len, len, 1);

        if (!s)
                return refused("no memory");
        if (before)
                memcpy(s->b, before->b, before->len);
        root()->generation++;
        ((struct upgrade *)s->b)[k->index] = (struct upgrade){k->version + 1, root()->generation};
        root()->upgrades = s;
        return true;
}

static bool write_version(struct klass *k, struct store *file)
{
        struct class_obj *o = k->object;
        struct pvm_file f;
        char why[300];

        if (!pvm_file_open(&f, file->b, file->len, why, sizeof(why)))
                return refused("%s is refused: %s", k->name->text, why);
        if (!add_version(k, &f) || !count_upgrade(k) || !class_make_literals(o, &f))
                return false;
        o->file = file;
        o->nmethods = 0; /* its ids are its version's, which is in the table */
        o->method_base = free_ids(f.h->nmethods);
        o->nmethods = f.h->nmethods;
        if (o->method_base + o->nmethods > root()->nmethods)
                root()->nmethods = o->method_base + o->nmethods;
        return true;
}

/* ---- 3: is it compatible? ---- */

static const struct field *same_field(const struct klass *k, uint32_t n, const struct field *f)
{
        for (uint32_t i = 0; i < n; i++)
                if (k->fields[i].name == f->name && k->fields[i].type == f->type &&
                    !(k->fields[i].flags & PVM_STATIC) == !(f->flags & PVM_STATIC))
                        return &k->fields[i];
        return NULL;
}

static bool fields_fit(const struct klass *old, const struct klass *new)
{
        for (uint32_t i = 0; i < old->nfields; i++) {
                const struct field *f = &old->fields[i];

                if (same_field(new, new->nfields, f))
                        continue;
                for (uint32_t j = 0; j < new->nfields; j++) {
                        const struct field *g = &new->fields[j];

                        if (g->name == f->name && !same_field(old, old->nfields, g))
                                return refused("%s: field %s was %s%s, would be %s%s", old->name->text, f->name->text,
                                               f->flags & PVM_STATIC ? "static " : "", f->type->text,
                                               g->flags & PVM_STATIC ? "static " : "", g->type->text);
                }
        }
        return true;
}

static bool has_body(const struct klass *k, const struct method *m)
{
        const struct method *body = class_virtual(k, m->name, m->params);

        return body && !(body->flags & PVM_ABSTRACT) && body->result == m->result;
}

static bool methods_fit(const struct klass *old, const struct klass *new)
{
        for (uint32_t i = 0; i < old->nmethods; i++)
                for (uint32_t j = 0; j < new->nmethods; j++) {
                        const struct method *m = &old->methods[i], *n = &new->methods[j];

                        if (m->name == n->name && m->params == n->params && m->ordinal != PVM_NO_ORDINAL &&
                            m->ordinal != n->ordinal)
                                return refused("%s: %s%s had ordinal %u, would have another", old->name->text,
                                               m->name->text, m->desc->text, m->ordinal);
                }
        for (uint32_t i = 0; i < old->ninterfaces; i++) {
                const struct klass *face = old->interfaces[i];
                bool has = false;

                for (uint32_t j = 0; j < new->ninterfaces; j++)
                        has |= new->interfaces[j]->name == face->name;
                if (!has)
                        return refused("%s: it would not implement %s any more", old->name->text, face->name->text);
                for (uint32_t j = 0; j < face->nmethods; j++) {
                        const struct method *m = &face->methods[j];

                        if (has_body(old, m) && !has_body(new, m))
                                return refused("%s: method %s%s of %s would go", old->name->text, m->name->text,
                                               m->desc->text, face->name->text);
                }
        }
        return true;
}

static const struct atom *text_atom(const struct pvm_file *f, unsigned utf8)
{
        struct pvm_text t = pvm_file_text(f, utf8);

        return atom(t.p, t.len);
}

static bool usable(const struct klass *user, unsigned flags_before, unsigned flags, const char *what,
                   const struct atom *name, const struct klass *k)
{
        if ((flags_before ^ flags) & PVM_STATIC)
                return refused("%s: %s %s, which %s uses, was%s static", k->name->text, what, name->text,
                               user->name->text, flags_before & PVM_STATIC ? "" : " not");
        if (flags & ~flags_before & PVM_PRIVATE)
                return refused("%s: %s %s, which %s uses, would be private", k->name->text, what, name->text,
                               user->name->text);
        return true;
}

/* What a pool entry of another class meant in the class before, it must mean in the new one. d: the class that it names, before and now. */
static bool entry_fits(const struct klass *user, const struct pvm_file_pool *e, struct klass *before, struct klass *now)
{
        const struct pvm_file *f = &user->file;
        const struct klass *k = change.k;
        const struct atom *name = text_atom(f, e->b & 0xffff), *desc = text_atom(f, e->b >> 16), *params;
        char types[PVM_MAX_ARGS], result;
        unsigned n;
        uint32_t len;

        if (!name || !desc)
                return false;
        for (unsigned is_static = 0; e->tag == PVM_POOL_FIELD && is_static < 2; is_static++) {
                const struct field *a = class_field(before, name, desc, is_static),
                                   *b = class_field(now, name, desc, is_static);

                if (!a || a->class != k)
                        continue;
                if (!b)
                        return refused("%s: %sfield %s would go, and %s uses it", k->name->text,
                                       is_static ? "static " : "", name->text, user->name->text);
                if (!usable(user, a->flags, b->flags, "field", name, k))
                        return false;
        }
        if (e->tag != PVM_POOL_METHOD ||
            !pvm_method_split((struct pvm_text){desc->text, desc->len}, types, PVM_MAX_ARGS - 1, &n, &result, &len))
                return true;
        params = atom(desc->text, len);
        if (!params)
                return false;
        const struct method *a = class_callable(before, name, params), *b = class_callable(now, name, params);

        if (!a || a->class != k || a->result != result)
                return true;
        if (!b || b->flags & ~a->flags & PVM_ABSTRACT)
                return refused("%s: method %s%s would go, and %s uses it", k->name->text, name->text, desc->text,
                               user->name->text);
        if (b->result != a->result)
                return refused("%s: method %s%s, which %s uses, would have another result: %s", k->name->text,
                               name->text, desc->text, user->name->text, b->desc->text);
        return usable(user, a->flags, b->flags, "method", name, k);
}

static bool user_fits(const struct class_world *w, const struct klass *user)
{
        const struct pvm_file *f = &user->file;

        for (uint32_t i = 1; i < f->h->npool; i++) {
                const struct pvm_file_pool *e = &f->pool[i];
                struct klass *before, *now;
                const struct atom *name;

                if (e->tag != PVM_POOL_FIELD && e->tag != PVM_POOL_METHOD)
                        continue;
                name = text_atom(f, f->pool[e->a].a);
                if (!name)
                        return false;
                now = class_known(name);
                before = now ? class_world_class(w, now->index) : NULL;
                if (before && class_is(before, change.k) && !entry_fits(user, e, before, now))
                        return false;
        }
        return true;
}

static bool users_fit(const struct class_world *w)
{
        const struct store *v = root()->versions;

        for (uint32_t i = CLASS_FIXED; i < root()->nclasses; i++)
                if (classes[i]->object->file && i != change.k->index && !user_fits(w, classes[i]))
                        return false;
        for (uint32_t i = 0; v && i < v->len; i++) {
                const struct klass *user = class_version((struct class_obj *)v->r[i]);

                if (user && user->index != change.k->index && !user_fits(w, user))
                        return false;
        }
        return true;
}

/* ---- 3: copies ---- */

static bool move_statics(const struct klass *old, struct klass *new)
{
        if (!class_make_statics(new))
                return false;
        for (uint32_t i = 0; i < old->nfields + old->nkept; i++) {
                const struct field *f = &old->fields[i], *to = same_field(new, new->nfields + new->nkept, f);

                if (f->flags & PVM_STATIC && to)
                        *to->address = *f->address;
        }
        return true;
}

static struct plan *make_plan(const struct klass *old, const struct klass *new)
{
        uint32_t most = 0;
        struct plan *p;

        for (const struct klass *k = old; k; k = k->parent)
                most += k->nfields + k->nkept;
        p = pvm_host->mem_alloc(sizeof(*p) + most * sizeof(p->field[0]));
        if (!p)
                return NULL;
        p->size = (uint32_t)(sizeof(*p) + most * sizeof(p->field[0]));
        for (; old->index >= CLASS_FIXED; old = old->parent, new = new->parent)
                for (uint32_t i = 0; i < old->nfields + old->nkept; i++) {
                        const struct field *f = &old->fields[i], *to = same_field(new, new->nfields + new->nkept, f);

                        if (f->flags & PVM_STATIC || !to)
                                continue;
                        p->field[p->n].from = f->offset;
                        p->field[p->n].to = to->offset;
                        p->field[p->n++].bytes = f->machine == 'I' || f->machine == 'F' ? 4 : 8;
                }
        p->plain = old->size - (uint32_t)sizeof(struct obj);
        return p;
}

static bool same_layout(const struct klass *old, const struct klass *new)
{
        if (old->size != new->size)
                return false;
        for (; old->index >= CLASS_FIXED; old = old->parent, new = new->parent)
                for (unsigned side = 0; side < 2; side++) {
                        const struct klass *a = side ? new : old, *b = side ? old : new;

                        for (uint32_t i = 0; i < a->nfields + a->nkept; i++) {
                                const struct field *f = &a->fields[i], *g = same_field(b, b->nfields + b->nkept, f);

                                if (!(f->flags & PVM_STATIC) && (!g || g->offset != f->offset))
                                        return false;
                        }
                }
        return true;
}

static struct obj *copy_object(struct obj *o, const struct klass *new, const struct plan *p, bool migrates)
{
        uint32_t flags = o->info & ~OBJ_UNITS;
        struct obj *n = heap_alloc(o->class, ((new->size + 7) & ~7ul) + sizeof(struct trailer),
                                   flags | OBJ_RELAID | (migrates ? OBJ_PENDING : 0));
        struct trailer *t;

        if (!n)
                return NULL;
        memcpy(n + 1, o + 1, p->plain);
        for (uint32_t i = 0; i < p->n; i++)
                memcpy((char *)n + p->field[i].to, (char *)o + p->field[i].from, p->field[i].bytes);
        t = obj_trailer(n);
        t->identity = obj_identity(o);
        t->seen = o->info & OBJ_PENDING ? obj_trailer(o)->seen : root()->generation - 1;
        t->by = o->info & OBJ_PENDING ? obj_trailer(o)->by : 0;
        return n;
}

/* Copies of all objects that need one; false: class_error. */
static bool copy_objects(const struct class_world *w)
{
        const struct klass *k = classes[change.k->index];
        size_t n = 0;

        change.nplans = root()->nclasses;
        change.plans = pvm_host->mem_alloc(change.nplans * sizeof(*change.plans));
        change.to = pvm_host->mem_alloc((change.cap + 1) * sizeof(*change.to));
        if (!change.plans || !change.to)
                return refused("no memory");
        for (size_t i = 0; i < change.n; i++) {
                struct obj *o = change.from[i];
                const struct klass *old = class_world_class(w, o->class), *new = classes[o->class];
                struct plan **p = &change.plans[o->class];

                if (!k->migrate && same_layout(old, new))
                        continue;
                if (!*p)
                        *p = make_plan(old, new);
                change.from[n] = o;
                change.to[n] = *p ? copy_object(o, new, *p, k->migrate) : NULL;
                if (!change.to[n++])
                        return refused("no memory for %zu objects in their new layout", change.n);
        }
        change.n = n;
        return true;
}

/* ---- all of it ---- */

static void forget_change(void)
{
        for (uint32_t i = 0; change.plans && i < change.nplans; i++)
                if (change.plans[i])
                        pvm_host->mem_free(change.plans[i], change.plans[i]->size);
        if (change.plans)
                pvm_host->mem_free(change.plans, change.nplans * sizeof(*change.plans));
        if (change.from)
                pvm_host->mem_free(change.from, change.cap * sizeof(*change.from));
        if (change.to)
                pvm_host->mem_free(change.to, (change.cap + 1) * sizeof(*change.to));
        change = (struct change){0};
        heap_unmark();
}

static bool new_world(const struct class_world *w)
{
        struct klass *new;

        if (class_recover())
                return refused("no memory");
        if (!class_world_build())
                return false;
        new = classes[change.k->index];
        return fields_fit(change.k, new) && users_fit(w) && methods_fit(change.k, new) && move_statics(change.k, new) &&
               copy_objects(w);
}

static bool replace(struct klass *k, struct store *file)
{
        struct root *r = root();
        struct store *versions = r->versions, *upgrades = r->upgrades;
        uint32_t generation = r->generation, nmethods = r->nmethods;
        struct class_obj *object = k->object, before = *object;
        struct class_world *w = NULL;
        bool ok = write_version(k, file) && (w = class_world_leave());

        if (ok && !new_world(w)) {
                class_world_return(w);
                ok = false;
        }
        if (!ok) {
                *object = before;
                r->versions = versions;
                r->upgrades = upgrades;
                r->generation = generation;
                r->nmethods = nmethods;
                return false;
        }
        for (size_t i = 0; i < change.n; i++)
                heap_moved(change.from[i], change.to[i]);
        if (object->static_refs)
                change.to[change.n++] = &object->static_refs->o;
        heap_forward(change.to, change.n);
        class_world_free(w);
        return true;
}

bool class_upgrade(struct klass *k, char *text, size_t text_len)
{
        const struct atom *name = k->name;
        struct store *file;
        uint32_t version;
        bool same, ok;

        if (!k->object->file) {
                snprintf(text, text_len, "%s is the machine's own", k->name->text);
                return false;
        }
        jit_drop();
        heap_collect();
        file = read_file(k, &same);
        version = k->version + !same;
        ok = same;
        if (file && !class_world_build())
                file = NULL;
        if (file) {
                change.k = k;
                forget_used();
                ok = heap_mark(note_object, &change) && !change.failed ? replace(k, file) : refused("no memory");
                forget_change();
        }
        if (ok)
                snprintf(text, text_len, "%s: version %u", name->text, version);
        else
                snprintf(text, text_len, "%s", class_error);
        return ok;
}

/* ---- heaps of older versions: internal classes have more methods now, and two have larger objects ---- */

static struct {
        uint32_t before, n, now; /* numbers of n methods */
} renumbered[CLASS_FIXED];

void upgrade_older_methods(void)
{
        for (uint32_t i = 1; i < CLASS_FIXED; i++) {
                struct class_obj *o = (struct class_obj *)root()->classes->r[i];
                uint32_t n = 0;

                for (unsigned m = 0; m < native_nmethods; m++)
                        n += native_methods[m].class == i;
                renumbered[i].n = 0;
                if (o->nmethods >= n)
                        continue;
                renumbered[i].before = o->method_base;
                renumbered[i].n = o->nmethods;
                renumbered[i].now = o->method_base = root()->nmethods;
                o->nmethods = n;
                root()->nmethods += n;
        }
}

static void renumber(uint32_t *method)
{
        for (uint32_t i = 1; i < CLASS_FIXED; i++)
                if (*method - renumbered[i].before < renumbered[i].n) {
                        *method += renumbered[i].now - renumbered[i].before;
                        return;
                }
}

static void note_older(struct obj *o, void *arg)
{
        struct thread *t = (struct thread *)o;

        if (o->class == CLASS_bitmap || o->class == CLASS_connection)
                add_object(arg, o);
        if (o->class != CLASS_thread)
                return;
        for (struct frame *f = t->top; f; f = f->prev)
                renumber(&f->method);
        for (uint32_t i = 0; t->trace && i < t->trace_len; i++)
                renumber(&((struct trace_entry *)t->trace->b)[i].method);
}

static bool copy_older(void)
{
        static const struct plan header = {.size = 0};

        change.to = pvm_host->mem_alloc((change.cap + 1) * sizeof(*change.to));
        for (size_t i = 0; change.to && i < change.n; i++) {
                change.to[i] = copy_object(change.from[i], classes[change.from[i]->class], &header, false);
                if (!change.to[i])
                        return false;
        }
        return change.to;
}

bool upgrade_older_objects(void)
{
        struct klass *grown[] = {classes[CLASS_bitmap], classes[CLASS_connection]};
        uint16_t nrefs[2];
        bool ok;

        if (root()->version == ROOT_VERSION)
                return true;
        for (unsigned i = 0; i < 2; i++) {
                nrefs[i] = grown[i]->nrefs;
                grown[i]->nrefs = 0; /* their objects are a header */
        }
        ok = heap_mark(note_older, &change) && !change.failed && copy_older();
        for (unsigned i = 0; i < 2; i++)
                grown[i]->nrefs = nrefs[i];
        if (ok) {
                for (size_t i = 0; i < change.n; i++)
                        heap_moved(change.from[i], change.to[i]);
                heap_forward(change.to, change.n);
                root()->version = ROOT_VERSION;
        }
        forget_change();
        return ok;
}

/* ---- migrate() ---- */

/* The oldest upgrade of its class, or of one above, that the object has not seen. */
static struct method *next_migrate(struct obj *o)
{
        struct klass *found = NULL;

        for (struct klass *k = obj_class(o); k; k = k->parent)
                if (k->migrate && k->generation > obj_trailer(o)->seen && (!found || k->generation < found->generation))
                        found = k;
        return found ? found->migrate : NULL;
}

struct method *upgrade_next(struct thread *t, struct obj *o, bool *wait)
{
        struct method *m = NULL;
        uint32_t by;

        machine_lock();
        by = obj_trailer(o)->by;
        *wait = by && by != t->id && thread_lives(by);
        if (by != t->id && !*wait) {
                m = next_migrate(o);
                if (m)
                        obj_trailer(o)->by = t->id;
                else
                        o->info &= ~OBJ_PENDING;
        }
        machine_unlock();
        return m;
}

void upgrade_done(struct method *m, struct obj *o, bool ok)
{
        machine_lock();
        obj_trailer(o)->by = 0;
        if (ok && m->class->migrate == m)
                obj_trailer(o)->seen = m->class->generation;
        if (!next_migrate(o))
                o->info &= ~OBJ_PENDING;
        machine_unlock();
}

void upgrade_not_begun(struct obj *o)
{
        obj_trailer(o)->by = 0;
}

void upgrade_collected(void)
{
        bool all = false;

        for (uint32_t i = CLASS_FIXED; i < root()->nclasses; i++) {
                struct klass *k = classes[i];

                if (k && k->lazy && !k->pending) {
                        k->lazy = false;
                        all = true;
                }
                if (k)
                        k->pending = false;
        }
        if (!all)
                return;
        /* Compiled code leaves at each of their fields, however often it is compiled. */
        jit_drop();
        for (uint32_t id = 0; id < root()->nmethods; id++)
                if (methods[id])
                        methods[id]->compilations = 0;
}
