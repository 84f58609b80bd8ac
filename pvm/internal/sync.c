/*
 * sync.c - mutexes, conditions, semaphores, threads, the boot object, the terminal.
 *
 * A lock is handed over: who unlocks makes the first who waits the owner. So nothing is decided between a wake-up and the woken thread's first step, and nothing can be
 * lost there. Waiting functions go on in a later phase, with c->thread->granted saying how it ended: 1 granted, 2 the time is over.
 */
#include "pvm/internal/internal.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

int block(struct call *c, struct obj *what, uint64_t deadline, uint32_t phase)
{
        thread_wait(c->thread, what, deadline);
        c->phase = phase;
        return BLOCK;
}

uint64_t in_ms(int32_t ms)
{
        uint64_t at = pvm_host->monotonic_ns() + (ms > 0 ? (uint64_t)ms * 1000000 : 0);

        return at ? at : 1;
}

bool may_use(struct call *c, struct klass *k, int *r)
{
        switch (class_static_init(k, c->thread, &c->callee)) {
        case INIT_RUN:
                c->ncallee_args = 0;
                *r = CALL;
                return false;
        case INIT_WAIT:
                *r = block(c, NULL, in_ms(1), c->phase);
                return false;
        default:
                return true;
        }
}

/* ---- mutex ---- */

static void own(struct mutex *m, struct thread *t)
{
        m->owner = t;
        heap_wrote(m);
}

/* Who has ended owns nothing. */
static bool is_owned(const struct mutex *m)
{
        return m->owner && m->owner->state != THREAD_ENDED;
}

int n_mutex_lock(struct call *c)
{
        struct mutex *m = (struct mutex *)OBJECT(c);

        if (c->phase)
                return DONE;
        if (m->owner == c->thread)
                return throw_error(c, CLASS_error_state, "the mutex is this thread's already");
        if (is_owned(m))
                return block(c, &m->o, 0, 1);
        own(m, c->thread);
        return DONE;
}

int n_mutex_trylock(struct call *c)
{
        struct mutex *m = (struct mutex *)OBJECT(c);

        if (is_owned(m))
                return give_int(c, 0);
        own(m, c->thread);
        return give_int(c, 1);
}

static void hand_over(struct mutex *m)
{
        own(m, thread_wake_first(&m->o, 1));
}

void mutex_of_the_ended(struct mutex *m)
{
        if (!is_owned(m))
                hand_over(m);
}

int n_mutex_unlock(struct call *c)
{
        struct mutex *m = (struct mutex *)OBJECT(c);

        if (m->owner != c->thread)
                return throw_error(c, CLASS_error_state, "the mutex is not this thread's");
        hand_over(m);
        return DONE;
}

/* ---- cond ---- */

static int cond_wait(struct call *c, uint64_t deadline)
{
        struct cond *w = (struct cond *)OBJECT(c);
        struct mutex *m = (struct mutex *)c->args[1].r;
        int r;

        switch (c->phase) {
        case 0:
                if (!want(c, 1, CLASS_mutex, &r))
                        return r;
                if (m->owner != c->thread)
                        return throw_error(c, CLASS_error_state, "the mutex is not this thread's");
                r = block(c, &w->o, deadline, 1);
                hand_over(m);
                return r;
        case 1:
                /* Woken, or late: what counts is noted, then the mutex is taken again. */
                c->frame->r[c->frame->nregs - 1].l = c->thread->granted;
                if (is_owned(m))
                        return block(c, &m->o, 0, 2);
                own(m, c->thread);
                break;
        default:
                break;
        }
        return give_int(c, c->frame->r[c->frame->nregs - 1].l == 1);
}

int n_cond_wait(struct call *c)
{
        int r = cond_wait(c, 0);

        if (r == DONE)
                c->result.r = NULL;
        return r;
}

int n_cond_twait(struct call *c)
{
        return cond_wait(c, c->phase ? 0 : in_ms(c->args[2].i));
}

int n_cond_broadcast(struct call *c)
{
        while (thread_wake_first(OBJECT(c), 1))
                ;
        return DONE;
}

int n_cond_signal(struct call *c)
{
        thread_wake_first(OBJECT(c), 1);
        return DONE;
}

/* ---- sema ---- */

int n_sema_newCount(struct call *c)
{
        if (c->args[1].i < 0)
                return throw_error(c, CLASS_error_argument, "a semaphore of %d", c->args[1].i);
        ((struct sema *)OBJECT(c))->count = (uint64_t)c->args[1].i;
        return DONE;
}

static int acquire(struct call *c, uint64_t deadline)
{
        struct sema *s = (struct sema *)OBJECT(c);

        if (c->phase)
                return give_int(c, c->thread->granted == 1);
        if (!s->count)
                return block(c, &s->o, deadline, 1);
        s->count--;
        return give_int(c, 1);
}

int n_sema_acquire(struct call *c)
{
        int r = acquire(c, 0);

        if (r == DONE)
                c->result.r = NULL;
        return r;
}

int n_sema_tacquire(struct call *c)
{
        return acquire(c, c->phase ? 0 : in_ms(c->args[1].i));
}

int n_sema_release(struct call *c)
{
        struct sema *s = (struct sema *)OBJECT(c);

        if (!thread_wake_first(&s->o, 1))
                s->count++;
        return DONE;
}

int n_sema_zero(struct call *c)
{
        ((struct sema *)OBJECT(c))->count = 0;
        return DONE;
}

/* ---- thread, world ---- */

static struct thread *self(struct call *c)
{
        return (struct thread *)OBJECT(c);
}

static int strings(struct call *c, const struct store *from)
{
        struct klass *k = class_find("[.internal.string;", 18);
        struct array *a = k ? array_new(k, from ? (int32_t)from->len : 0) : NULL;

        if (a && from)
                memcpy(a->store->r, from->r, from->len * 8ul);
        return give(c, a);
}

static const struct store *arguments_of(const struct thread *t)
{
        return t->arguments ? t->arguments : root()->arguments;
}

int n_thread_newOf(struct call *c)
{
        struct thread *t = self(c);

        if (t->state != THREAD_NEW || t->object)
                return throw_error(c, CLASS_error_state, "the thread has an object already");
        if (!c->args[1].r)
                return throw_error(c, CLASS_error_reference, "a thread of null");
        t->object = c->args[1].r;
        thread_inherits(t, c->thread);
        t->id = root()->next_thread++;
        heap_wrote(t);
        return DONE;
}

int n_thread_start(struct call *c)
{
        struct thread *t = self(c);

        if (t->state != THREAD_NEW || !t->object)
                return throw_error(c, CLASS_error_state, "the thread was started before, or has no object");
        return thread_start(t, false) ? DONE : OUT_OF_MEMORY(c);
}

int n_thread_main(struct call *c)
{
        return thread_main(c);
}

int n_thread_pause(struct call *c)
{
        thread_pause(self(c), true);
        return DONE;
}

int n_thread_unpause(struct call *c)
{
        thread_pause(self(c), false);
        return DONE;
}

int n_thread_getEnvironment(struct call *c)
{
        return strings(c, arguments_of(self(c)));
}

int n_thread_getUser(struct call *c)
{
        c->result.r = self(c)->user;
        return DONE;
}

int n_thread_getOsInterface(struct call *c)
{
        c->result.r = self(c)->os;
        return DONE;
}

int n_thread_join(struct call *c)
{
        struct thread *t = self(c);

        if (c->phase || t->state == THREAD_ENDED)
                return DONE;
        if (t->state == THREAD_NEW || t == c->thread)
                return throw_error(c, CLASS_error_state, "waiting for a thread that was not started, or for itself");
        return block(c, &t->o, 0, 1);
}

int n_thread_isAlive(struct call *c)
{
        return give_int(c, self(c)->state == THREAD_READY || self(c)->state == THREAD_BLOCKED);
}

int n_world_getMyThread(struct call *c)
{
        return give(c, c->thread);
}

int n_world_collect(struct call *c)
{
        (void)c;
        heap_wants = WANTS_FULL;
        pvm_interrupt();
        return DONE;
}

int n_world_yield(struct call *c)
{
        (void)c;
        __atomic_fetch_or(&worker.poll, 1, __ATOMIC_RELAXED);
        return DONE;
}

/* ---- boot ---- */

/* NULL: it can be none. Its class may be another version than when it became the loader. */
static struct method *loader_method(struct obj *loader)
{
        struct method *m = class_by_ordinal(obj_class(loader), 8);
        struct klass **types = m && m->nargs == 2 && m->types[1] == 'R' && m->result == 'R' ? class_params(m) : NULL;

        return types && (!types[1] || class_is(classes[CLASS_string], types[1])) ? m : NULL;
}

static int no_loader(struct call *c, const struct obj *loader)
{
        return throw_error(c, CLASS_error_link,
                           "%s: as a class loader it needs a method [8] that gets a string and gives an object",
                           obj_class(loader)->name->text);
}

/* What the class loader gave for the class of this name. */
static struct klass *loaded(const struct string *name, struct obj *o)
{
        const struct binary *b = (const struct binary *)o;

        if (!o || o->class != CLASS_binary) /* or it is there by other ways */
                return class_find(name->text, name->len);
        return class_define(name->text, name->len, b->store ? b->store->b : (const void *)"",
                            b->store ? b->store->len : 0);
}

/* The class loader is being asked for that class by this thread, and asks us: by way of files alone, then. */
static bool is_asked(const struct call *c)
{
        const struct string *name = STRING(c, 1);

        for (const struct frame *f = c->frame ? c->frame->prev : c->thread->top; f; f = f->prev) {
                const struct string *other = (const struct string *)f->r[1].r;

                if (f->method == bootstrap_loadClass->id && f->pc == 1 && other->len == name->len &&
                    !memcmp(other->text, name->text, name->len))
                        return true;
        }
        return false;
}

int load_wanted(struct call *c)
{
        c->callee_args[0].r = root()->boot;
        c->callee_args[1].r = (struct obj *)string_new(class_wanted->text, class_wanted->len);
        c->ncallee_args = 2;
        c->callee = bootstrap_loadClass;
        return c->callee_args[1].r ? CALL : OUT_OF_MEMORY(c);
}

/*
 * If there is no file the class loader is asked, in phase 1. What the class needs, a parent or an interface, may be missing, too: that is loaded in the same way, by a call of this
 * function (phase 2), and then the class again.
 */
int n_bootstrap_loadClass(struct call *c)
{
        struct obj *loader = root()->class_loader, *given = c->phase == 1 ? c->frame->r[2].r : NULL;
        struct klass *k;
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        k = c->phase == 1 ? loaded(STRING(c, 1), given) : class_find(STRING(c, 1)->text, STRING(c, 1)->len);
        if (k)
                return give(c, k->object);
        if (!class_wanted || !loader || is_asked(c))
                return throw_error(c, CLASS_error_link, "%s", class_error);
        if (class_wanted == atom(STRING(c, 1)->text, STRING(c, 1)->len)) {
                if (c->phase == 1)
                        return throw_error(c, CLASS_error_link, "%s, nor does the class loader know it", class_error);
                c->callee = loader_method(loader);
                if (!c->callee)
                        return no_loader(c, loader);
                c->callee_args[0].r = loader;
                c->callee_args[1] = c->args[1];
                c->ncallee_args = 2;
                c->phase = 1;
                return CALL;
        }
        c->phase = 2;
        return load_wanted(c);
}

int n_bootstrap_setClassLoader(struct call *c)
{
        struct obj *loader = c->args[1].r;

        if (loader && !loader_method(loader))
                return no_loader(c, loader);
        root()->class_loader = loader;
        return DONE;
}

static int print(struct call *c, struct obj *o)
{
        char buf[40];
        slot v;
        char type;

        if (!o) {
                pvm_host->console_write("null", 4);
                return DONE;
        }
        if (o->class == CLASS_string) {
                pvm_host->console_write(((struct string *)o)->text, ((struct string *)o)->len);
                return DONE;
        }
        if (!is_number(o))
                return throw_error(c, CLASS_error_cast, "toString gave %s", obj_class(o)->name->text);
        type = number_type(o);
        unbox(o, type, &v);
        pvm_host->console_write(buf, format_number(type, v, buf));
        return DONE;
}

int n_bootstrap_consolePrint(struct call *c)
{
        struct obj *o = c->args[1].r;

        if (c->phase)
                return print(c, c->frame->r[2].r);
        if (!o || o->class == CLASS_string || is_number(o))
                return print(c, o);
        c->callee_args[0].r = o;
        c->ncallee_args = 1;
        if (untyped_choose(obj_class(o), atom("toString", 8), 0, 1, c->callee_args, &c->callee))
                return throw_error(c, CLASS_error_link, "%s", class_error);
        c->phase = 1;
        return CALL;
}

int n_bootstrap_startThread(struct call *c)
{
        struct thread *t;

        if (!c->args[1].r)
                return throw_error(c, CLASS_error_reference, "a thread of null");
        t = thread_new(c->args[1].r);
        if (!t)
                return OUT_OF_MEMORY(c);
        thread_inherits(t, c->thread);
        return thread_start(t, false) ? give(c, t) : OUT_OF_MEMORY(c);
}

int n_bootstrap_createBinary(struct call *c)
{
        int32_t len = c->args[1].i;
        struct binary *b;

        if (len < 0)
                return throw_error(c, CLASS_error_bounds, "a binary of %d bytes", len);
        b = heap_alloc(CLASS_binary, sizeof(*b), 0);
        if (!b)
                return OUT_OF_MEMORY(c);
        b->store = store_new(CLASS_store_raw, (uint32_t)len, (uint32_t)len, 1);
        return b->store ? give(c, b) : OUT_OF_MEMORY(c);
}

int n_bootstrap_sleep(struct call *c)
{
        return c->phase ? DONE : block(c, NULL, in_ms(c->args[1].i), 1);
}

int n_bootstrap_setOsInterface(struct call *c)
{
        c->thread->os = c->args[1].r;
        return DONE;
}

int n_bootstrap_getKernelEnvironment(struct call *c)
{
        return strings(c, NULL);
}

int n_bootstrap_getArguments(struct call *c)
{
        return strings(c, arguments_of(c->thread));
}

int n_bootstrap_getRoot(struct call *c)
{
        return give(c, root()->directory);
}

/* ---- tty: the console ---- */

static int wait_for_console(struct call *c)
{
        thread_wait_input(c->thread, 0);
        c->phase = 1;
        return BLOCK;
}

int n_tty_getwc(struct call *c)
{
        int byte = pvm_host->console_read();

        return byte == PVM_CONSOLE_LATER ? wait_for_console(c) : give_int(c, byte);
}

int n_tty_putws(struct call *c)
{
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        return print(c, c->args[1].r);
}

int n_tty_debug(struct call *c)
{
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        pvm_host->log("%s\n", STRING(c, 1)->text);
        return DONE;
}

static int escape(struct call *c, const char *end, int a, int b)
{
        char text[64];

        (void)c;
        pvm_host->console_write(text, fmt_append(text, sizeof(text), 0, "\033[%d", a));
        pvm_host->console_write(text, b < 0 ? 0 : fmt_append(text, sizeof(text), 0, ";%d", b));
        pvm_host->console_write(end, strlen(end));
        return DONE;
}

/* Columns and rows from 0 on. */
int n_tty_gotoxy(struct call *c)
{
        if (c->args[1].i < 0 || c->args[2].i < 0 || c->args[1].i > 9999 || c->args[2].i > 9999)
                return throw_error(c, CLASS_error_bounds, "no place %d, %d on a terminal", c->args[1].i, c->args[2].i);
        return escape(c, "H", c->args[2].i + 1, c->args[1].i + 1);
}

int n_tty_clear(struct call *c)
{
        escape(c, "H", 1, 1);
        return escape(c, "J", 2, -1);
}

/* 0 to 7, and 8 to 15 bright. */
int n_tty_setcolor(struct call *c)
{
        return escape(c, "m", (c->args[1].i & 8 ? 90 : 30) + (c->args[1].i & 7), -1);
}

int n_tty_setbgcolor(struct call *c)
{
        return escape(c, "m", (c->args[1].i & 8 ? 100 : 40) + (c->args[1].i & 7), -1);
}

int n_tty_setTitle(struct call *c)
{
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        pvm_host->console_write("\033]0;", 4);
        pvm_host->console_write(STRING(c, 1)->text, STRING(c, 1)->len);
        pvm_host->console_write("\a", 1);
        return DONE;
}
