/*
 * thread.c - threads, and the machine as its host sees it.
 *
 * Threads are objects; root()->threads lists those that were started and have not ended. Workers, threads of the host's, run them, in turns that their polls end. The first worker is who
 * calls pvm_run; more are made when there is work for them. Who waits is in
 * the queue of what it waits for (mutex, cond, sema, thread) and says so itself, with its deadline: all of it in the heap, so that after a recovery
 * nothing has to be found out. Who wakes grants: what was waited for is handed over, and written down in the thread that gets it.
 *
 * A worker runs a thread (worker.runs; counted in `running`), or has the machine's lock, or waits for it: `work` below. At a safepoint one has the lock and `running` is 0. Who runs a thread
 * may take the lock for as long as one instruction lasts, so who stops the others lets go of it until all have come; and nothing that is done with the lock waits for a safepoint. All that
 * is static here is under the lock, but for `wanted` and the table of workers, which a signal's handler uses.
 *
 * In the heap a thread that runs is ready, as it was before its turn: so a recovery finds it at its last safepoint.
 */
#include "pvm/machine.h"
#include "pvm/inspect.h"
#include "pvm/jit/jit.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <asm/errno.h>
#include <stdarg.h>

_Thread_local struct worker worker;
struct worker *workers[PVM_WORKERS];
unsigned nworkers;
bool machine_alone = true;
unsigned pvm_workers = 1;
static void *hired[PVM_WORKERS];
static unsigned nhired;
static unsigned running;
static bool stopping;        /* somebody has stopped the others, or waits for that */
static bool over;            /* pvm_run is to return */
static unsigned waiting;     /* workers that wait for something to do */
static bool idling;          /* one of the others is in host->idle */
static uint64_t idle_until;  /* as it was told */
static volatile bool wanted; /* pvm_interrupt was called since the last safepoint */

static void poll_all(void)
{
        for (unsigned i = 0; i < nworkers; i++)
                __atomic_fetch_or(&workers[i]->poll, 1, __ATOMIC_SEQ_CST);
}

void pvm_interrupt(void)
{
        __atomic_store_n(&wanted, true, __ATOMIC_SEQ_CST);
        poll_all();
}

/* The first worker: of who makes the machine. */
static void work_alone(void)
{
        workers[0] = &worker;
        nworkers = 1;
}

/* A thread can run that could not. */
static void became_ready(void)
{
        if (waiting || idling)
                pvm_host->wake();
        else if (nhired + 1 < pvm_workers)
                __atomic_fetch_or(&worker.poll, 1, __ATOMIC_RELAXED);
}

/* The call from outside whose outcome is being told; 0: what is printed goes to the console. */
static uint32_t telling;

static void tell(const char *text, size_t len)
{
        if (telling)
                pvm_host->call_text(telling, text, len);
        else
                pvm_host->console_write(text, len);
}

static void __attribute__((format(printf, 1, 2))) print(const char *fmt, ...)
{
        char text[1200];
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        tell(text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* ---- queues ---- */

static struct thread **queue_of(struct obj *o, struct thread ***last)
{
        static struct thread *none;

        *last = NULL;
        switch (o->class) {
        case CLASS_mutex:
                *last = &((struct mutex *)o)->last;
                return &((struct mutex *)o)->first;
        case CLASS_cond:
                *last = &((struct cond *)o)->last;
                return &((struct cond *)o)->first;
        case CLASS_sema:
                *last = &((struct sema *)o)->last;
                return &((struct sema *)o)->first;
        case CLASS_thread:
                return &((struct thread *)o)->joiners;
        default:
                return &none;
        }
}

void thread_wait(struct thread *t, struct obj *what, uint64_t deadline)
{
        struct thread **last, **first;

        t->state = THREAD_BLOCKED;
        t->granted = 0;
        t->deadline = deadline;
        t->waits_for = what;
        t->next_waiter = NULL;
        if (!what || what == root()->boot)
                return;
        first = queue_of(what, &last);
        heap_wrote(what);
        if (!last) {
                t->next_waiter = *first;
                *first = t;
                return;
        }
        if (*last)
                (*last)->next_waiter = t;
        else
                *first = t;
        *last = t;
}

/* For the console (0) or a process (host.h); `granted` says which as long as it waits. */
void thread_wait_input(struct thread *t, uint32_t source)
{
        thread_wait(t, root()->boot, 0);
        t->granted = source;
        if (idling)
                pvm_host->wake(); /* who idles does not know of it */
}

static void unqueue(struct thread *t)
{
        struct thread **last, **p, *before = NULL;

        if (!t->waits_for || t->waits_for == root()->boot)
                return;
        p = queue_of(t->waits_for, &last);
        for (; *p && *p != t; p = &(*p)->next_waiter)
                before = *p;
        if (!*p)
                return;
        heap_wrote(t->waits_for);
        *p = t->next_waiter;
        if (last && *last == t)
                *last = before;
}

void thread_wake(struct thread *t, uint32_t granted)
{
        unqueue(t);
        t->waits_for = NULL;
        t->next_waiter = NULL;
        t->deadline = 0;
        t->granted = granted;
        t->state = THREAD_READY;
        became_ready();
}

void thread_pause(struct thread *t, bool pause)
{
        t->paused = pause;
        if (pause)
                poll_all();
        else
                became_ready();
}

struct thread *thread_wake_first(struct obj *what, uint32_t granted)
{
        struct thread **last, *t = *queue_of(what, &last);

        if (t)
                thread_wake(t, granted);
        return t;
}

/* ---- beginning and end ---- */

struct thread *thread_new(struct obj *object)
{
        struct thread *t = heap_alloc(CLASS_thread, sizeof(*t), 0);

        if (t) {
                t->object = object;
                t->id = root()->next_thread++;
        }
        return t;
}

void thread_inherits(struct thread *t, const struct thread *from)
{
        t->arguments = from->arguments;
        t->user = from->user;
        t->os = from->os;
}

static struct method *thread_method(const char *name)
{
        struct klass *k = classes[CLASS_thread];

        for (uint32_t i = 0; i < k->nmethods; i++)
                if (!strcmp(k->methods[i].name->text, name))
                        return &k->methods[i];
        return NULL;
}

bool thread_lives(uint32_t id)
{
        const struct thread *t = root()->threads;

        while (t && t->id != id)
                t = t->next;
        return t;
}

bool thread_start(struct thread *t, bool make_object)
{
        slot self = {.r = &t->o};

        if (!interp_begin(t, thread_method(".start"), &self, 1))
                return false;
        t->top->pc = make_object ? 0 : 2;
        t->state = THREAD_READY;
        t->next = root()->threads;
        root()->threads = t;
        became_ready();
        return true;
}

static int call_method(struct call *c, struct method *m, const slot *args, unsigned nargs, uint32_t phase)
{
        c->callee = m;
        memcpy(c->callee_args, args, nargs * sizeof(*args));
        c->ncallee_args = nargs;
        c->phase = phase;
        return CALL;
}

/* A call from outside: its thread's object is a store of references, the receiver, the method's name, arguments; in the end the first one is the result. */
enum { CALL_RECEIVER, CALL_NAME, CALL_ARGUMENTS };
enum { PHASE_CALL = 4, PHASE_RESULT, PHASE_TEXT };

static struct store *call_of(const struct thread *t)
{
        return t->object && t->object->class == CLASS_store_refs ? (struct store *)t->object : NULL;
}

/* A string that stands for a number of that type, as that number. NULL: it does not, or (*memory false) there is none. */
static struct obj *number_of(const struct string *s, char type, bool *memory)
{
        bool negative = s->text[0] == '-';
        const char *end = NULL;
        struct obj *o = NULL;
        unsigned long n;
        slot v = {0};

        *memory = true;
        if (type == 'F' || type == 'D') {
                if (!parse_double(s->text, s->len, &v.d))
                        return NULL;
                if (type == 'F')
                        v.f = (float)v.d;
        } else {
                uint64_t most = type == 'I' ? INT32_MAX : INT64_MAX;

                if (!fmt_parse_u64(s->text + negative, 10, &end, &n) || end != s->text + s->len || n > most + negative)
                        return NULL;
                v.l = (int64_t)(negative ? -n : n);
                if (type == 'I')
                        v.i = (int32_t)v.l;
        }
        o = box(type, v);
        *memory = o;
        return o;
}

static int call_begin(struct call *c, struct store *s)
{
        slot args[PVM_MAX_ARGS];
        const struct string *name = (struct string *)s->r[CALL_NAME];
        unsigned nargs = s->len - CALL_ARGUMENTS + 1;
        const struct atom *a = atom(name->text, name->len);
        struct method *m;
        uint32_t error;

        if (!a)
                return throw_object(c, root()->no_memory);
        if (name->text[0] == '.')
                return throw_error(c, CLASS_error_link, "a constructor is not to be called");
        args[0].r = s->r[CALL_RECEIVER];
        for (unsigned i = 1; i < nargs; i++)
                args[i].r = s->r[CALL_ARGUMENTS + i - 1];
        error = untyped_choose(obj_class(args[0].r), a, 0, nargs, args, &m);
        if (error)
                return throw_error(c, error, "%s", class_error);
        for (unsigned i = 1; i < nargs; i++) {
                const struct string *text = (struct string *)args[i].r;
                bool memory;

                if (m->types[i] == 'R')
                        continue;
                args[i].r = number_of(text, m->types[i], &memory);
                if (!memory)
                        return throw_object(c, root()->no_memory);
                if (!args[i].r)
                        return throw_error(c, CLASS_error_argument,
                                           "argument %u of %s: \"%.100s\" is not such a number", i, m->name->text,
                                           text->text);
        }
        error = untyped_convert(m, args);
        return error ? throw_error(c, error, "%s", class_error) : call_method(c, m, args, nargs, PHASE_RESULT);
}

static int call_from_outside(struct call *c, struct store *s)
{
        slot result;
        struct method *m;

        if (c->phase == PHASE_CALL)
                return call_begin(c, s);
        result.r = c->frame->r[c->frame->nregs - NATIVE_LOCALS].r;
        s->r[CALL_RECEIVER] = result.r;
        heap_wrote(&s->r[CALL_RECEIVER]);
        if (c->phase == PHASE_TEXT || !result.r || result.r->class == CLASS_string)
                return DONE;
        if (untyped_choose(obj_class(result.r), atom("toString", 8), 0, 1, &result, &m))
                return throw_error(c, CLASS_error_link, "%s", class_error);
        return call_method(c, m, &result, 1, PHASE_TEXT);
}

/*
 * What a thread does. Phases: 0 the class's .static, until there is none to be run; 1 an object is made, and its constructor runs; 2 its run is called, with the boot
 * object if it wants one; 3 that was it. From PHASE_CALL on: a call from outside.
 */
int thread_main(struct call *c)
{
        struct thread *t = (struct thread *)c->args[0].r;
        slot args[PVM_MAX_ARGS];
        struct klass *k;
        struct method *m;
        const struct atom *name;
        int r;

        if (t != c->thread || !c->frame)
                return throw_error(c, CLASS_error_state, "not to be called");
        if (call_of(t))
                return call_from_outside(c, call_of(t));
        if (c->phase < 2) {
                k = class_by_index(((struct class_obj *)t->object)->index);
                if (!may_use(c, k, &r))
                        return r;
                args[0].r = heap_alloc(k->index, k->size, 0);
                if (!args[0].r)
                        return throw_object(c, root()->no_memory);
                t->object = args[0].r;
                m = class_method(k, atom(".new", 4), atom("()", 2));
                return call_method(c, m, args, 1, 2);
        }
        if (c->phase == 3 || !t->object) /* no object: it was cancelled */
                return DONE;
        if (t->object->class == CLASS_connection && ((struct connection *)t->object)->timer == t) {
                c->phase = 3;
                return connection_due(c, (struct connection *)t->object);
        }
        if (t->object->class == CLASS_closure) {
                const struct closure *closure = (const struct closure *)t->object;
                uint32_t error;

                args[0].r = root()->boot;
                error = closure_arguments(closure, args, 1, &m);
                if (error == CLASS_error_link)
                        error = closure_arguments(closure, args, 0, &m);
                return error ? throw_error(c, error, "%s", class_error) : call_method(c, m, args, m->nargs, 3);
        }
        name = atom("run", 3);
        args[0].r = t->object;
        args[1].r = root()->boot;
        k = obj_class(t->object);
        if (untyped_choose(k, name, 0, 2, args, &m)) {
                uint32_t error = untyped_choose(k, name, 0, 1, args, &m);

                return error ? throw_error(c, error, "%s", class_error) : call_method(c, m, args, 1, 3);
        }
        uint32_t error = untyped_convert(m, args);

        return error ? throw_error(c, error, "%s", class_error) : call_method(c, m, args, 2, 3);
}

static void print_uncaught(const struct thread *t)
{
        const struct trace_entry *e = t->trace ? (const struct trace_entry *)t->trace->b : NULL;
        const struct klass *k = obj_class(t->thrown);
        const struct string *message = NULL;
        slot v;

        if (class_is(k, classes[CLASS_error]))
                message = ((struct error *)t->thrown)->message;
        else if (k->index == CLASS_string)
                message = (struct string *)t->thrown;
        if (message && message->o.class != CLASS_string)
                message = NULL;
        if (is_number(t->thrown)) {
                char type = k->index == CLASS_int     ? 'I'
                            : k->index == CLASS_long  ? 'L'
                            : k->index == CLASS_float ? 'F'
                                                      : 'D';

                unbox(t->thrown, type, &v);
                message = string_of_number(type, v);
        }
        print("uncaught in thread %u: %s%s%.*s\n", t->id, k->name->text, message ? ": " : "",
              message ? (int)message->len : 0, message ? message->text : "");
        for (unsigned i = 0; i < t->trace_len; i++) {
                const struct method *m = method_by_id(e[i].method);
                struct pvm_text source = {"", 0};
                uint32_t line = line_of(m, e[i].pc);

                if (!strcmp(m->name->text, ".start"))
                        continue;
                if (m->code && m->class->file.h->source)
                        source = pvm_file_text(&m->class->file, m->class->file.h->source);
                if (line)
                        print("        at %s.%s (%.*s:%u)\n", m->class->name->text, m->name->text, (int)source.len,
                              source.p, line);
                else
                        print("        at %s.%s\n", m->class->name->text, m->name->text);
        }
}

static void leave(struct thread *t)
{
        struct thread **p = &root()->threads;

        for (; *p != t; p = &(*p)->next)
                ;
        *p = t->next;
        heap_wrote(t); /* it is a thread of root()->threads no more */
        t->next = NULL;
        t->state = THREAD_ENDED;
        t->stack = NULL;
        t->top = NULL;
        t->stack_bytes = 0;
        while (thread_wake_first(&t->o, 1))
                ;
        for (struct thread *w = root()->threads; w; w = w->next)
                if (w->waits_for && w->waits_for->class == CLASS_mutex)
                        mutex_of_the_ended((struct mutex *)w->waits_for);
}

/* On some worker. */
static bool runs(const struct thread *t)
{
        for (unsigned i = 0; i < nworkers; i++)
                if (workers[i]->runs == t)
                        return true;
        return false;
}

void thread_cancel(struct thread *t)
{
        t->deadline = 0;
        if (runs(t))
                t->object = NULL; /* a worker has just taken it: that is what it finds first */
        else if (thread_lives(t->id))
                leave(t);
}

static void ended(struct thread *t)
{
        const struct store *call = call_of(t);
        const struct string *result = call ? (struct string *)call->r[CALL_RECEIVER] : NULL;

        telling = call ? t->id : 0;
        if (t->failed) {
                print_uncaught(t);
                root()->failures += !call;
        } else if (result && result->o.class == CLASS_string) {
                tell(result->text, result->len);
                tell("\n", 1);
        }
        if (call)
                pvm_host->call_ended(t->id, !t->failed);
        telling = 0;
        leave(t);
}

/* ---- the machine ---- */

/* The next one after `after` in the list that can run; its time may be over while it waits. *input: some wait for the console. *n: how many can run. */
static struct thread *choose(struct thread *after, uint64_t *until, bool *input, unsigned *n)
{
        uint64_t now = 0;
        struct thread *first = NULL, *next = NULL;
        bool passed = false;

        *until = 0;
        *input = false;
        *n = 0;
        for (struct thread *t = root()->threads; t; t = t->next) {
                if (t->state == THREAD_BLOCKED && t->deadline) {
                        if (!now)
                                now = pvm_host->monotonic_ns();
                        if (now >= t->deadline)
                                thread_wake(t, 2);
                        else if (!*until || t->deadline < *until)
                                *until = t->deadline;
                } else if (t->state == THREAD_BLOCKED && t->waits_for == root()->boot) {
                        if (pvm_host->input_ready(t->granted))
                                thread_wake(t, 1);
                        else
                                *input = true;
                }
                if (t->state == THREAD_READY && !t->paused && !runs(t)) {
                        ++*n;
                        if (!first)
                                first = t;
                        if (passed && !next)
                                next = t;
                }
                passed |= t == after;
        }
        return next ? next : first;
}

bool pvm_hostile;
static bool stopped;

void pvm_stop(void)
{
        stopped = true;
}

static void lock(void)
{
        pvm_host->lock(PVM_LOCK_MACHINE);
        worker.locked = 1;
}

static void unlock(void)
{
        worker.locked = 0;
        pvm_host->unlock(PVM_LOCK_MACHINE);
}

/* The worker runs no thread, or it is at a safepoint. */
static void runs_none(void)
{
        running--;
        if (stopping && !running)
                pvm_host->wake();
}

/* The caller has the lock, and nobody has stopped it. */
static void stop_others(void)
{
        stopping = true;
        if (running)
                poll_all();
        while (running)
                pvm_host->wait();
        machine_alone = true;
}

static void let_others_go(void)
{
        methods_of_frames();
        stopping = false;
        machine_alone = !nhired;
        if (nhired)
                pvm_host->wake();
}

bool at_safepoint(void (*fn)(void *arg), void *arg)
{
        bool ok;

        lock();
        runs_none();
        while (stopping && !over)
                pvm_host->wait();
        ok = !over;
        if (ok) {
                stop_others();
                fn(arg);
                let_others_go();
        }
        running++;
        unlock();
        return ok;
}

/* For tests. */
static void maybe_drop(void)
{
        static uint32_t random = 1;

        random = random * 1103515245 + 12345;
        if ((random >> 16) % pvm_drop_code == 0)
                jit_drop();
}

static void safepoint(void)
{
        wanted = false;
        stop_others();
        heap_safepoint();
        if (heap_wants != WANTS_NOTHING || pvm_hostile || image_marking)
                heap_collect_wanted();
        pvm_host->safepoint();
        if (pvm_drop_code)
                maybe_drop();
        over |= stopped;
        let_others_go();
}

static void work(void);

static void work_too(void)
{
        lock();
        if (!over) {
                worker.cards = workers[0]->cards;
                workers[nworkers] = &worker;
                __atomic_store_n(&nworkers, nworkers + 1, __ATOMIC_RELEASE);
        }
        unlock();
        work();
}

/* One more worker. */
static void hire(void)
{
        if (!nhired)
                heap_share();
        hired[nhired] = pvm_host->worker_start(work_too);
        if (!hired[nhired]) {
                pvm_workers = nhired + 1; /* there are no more to be had */
                return;
        }
        nhired++;
        machine_alone = false;
}

/* Nothing can run: until something can. */
static void rest(uint64_t until, bool input)
{
        unsigned stuck = 0;
        bool busy = false;

        if (!idling && (until || input)) {
                idling = true;
                idle_until = until;
                pvm_host->idle(until, input);
                idling = false;
                return;
        }
        /* Something may come of who has a thread, also of who waits to stop the others. */
        for (unsigned i = 0; i < nworkers; i++)
                busy |= workers[i]->runs != NULL;
        if (busy || idling) {
                waiting++;
                pvm_host->wait();
                waiting--;
                return;
        }
        for (const struct thread *t = root()->threads; t; t = t->next)
                stuck++;
        print("%u threads wait for what can never happen\n", stuck);
        root()->failures += stuck;
        over = true;
}

/* When this time has come some worker must look, and at the console. t: what this one will run meanwhile; NULL: it will itself, if nobody does. */
static void see_to(uint64_t until, bool input, const struct thread *t)
{
        if (idling ? until && (!idle_until || until < idle_until) : t && waiting && (until || input))
                pvm_host->wake();
}

static void work(void)
{
        struct root *r = root();
        enum run_end end;
        struct thread *t;
        uint64_t until;
        unsigned n;
        bool input;

        lock();
        while (!over) {
                if (stopping) {
                        pvm_host->wait();
                        continue;
                }
                /* First this: what is wanted from here on, the poll says. */
                __atomic_store_n(&worker.poll, pvm_hostile, __ATOMIC_SEQ_CST);
                if (wanted || pvm_hostile || pvm_drop_code)
                        safepoint();
                over |= !r->threads;
                if (over)
                        break;
                t = choose(r->current, &until, &input, &n);
                see_to(until, input, t);
                if (t || !running)
                        r->current = t;
                if (!t) {
                        rest(until, input);
                        continue;
                }
                worker.runs = t;
                if (n > 1 && !waiting && !idling && nhired + 1 < pvm_workers)
                        hire();
                running++;
                unlock();
                end = interp_run(t);
                lock();
                worker.runs = NULL;
                runs_none();
                if (end == RUN_ENDED)
                        ended(t);
        }
        pvm_host->wake();
        unlock();
}

unsigned pvm_run(void)
{
        struct root *r = root();
        unsigned failures;

        wanted = true;
        work();
        lock();
        stop_others();
        nworkers = 1; /* nobody looks at those that are about to go */
        unlock();
        while (nhired)
                pvm_host->worker_join(hired[--nhired]);
        stopping = over = stopped = false;
        failures = r->failures;
        for (struct thread *t = r->threads; t; t = t->next)
                heap_wrote(t);
        r->threads = r->current = NULL;
        r->failures = 0;
        pvm_host->safepoint();
        return failures;
}

bool pvm_has_threads(void)
{
        return root()->threads;
}

static void __attribute__((format(printf, 3, 4))) say(char *why, size_t why_len, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(why, why_len, fmt, ap);
        va_end(ap);
}

int pvm_create(const struct pvm_limits *limits, char *why, size_t why_len)
{
        struct root *r = root();
        struct string *s;
        struct error *e;

        pvm_limits = *limits;
        work_alone();
        jit_create();
        if (heap_create() || class_create()) {
                say(why, why_len, "no memory for an empty heap");
                return -ENOMEM;
        }
        r->next_thread = 1;
        r->boot = heap_alloc(CLASS_bootstrap, sizeof(struct obj), 0);
        r->directory = heap_alloc(CLASS_directory, sizeof(struct directory), 0);
        s = string_new("the heap is full", 16);
        e = s ? heap_alloc(CLASS_error_memory, sizeof(*e), 0) : NULL;
        if (!r->boot || !r->directory || !e) {
                say(why, why_len, "no memory for an empty heap");
                return -ENOMEM;
        }
        e->message = s;
        r->no_memory = &e->o;
        r->version = ROOT_VERSION;
        r->magic = ROOT_MAGIC;
        return 0;
}

int pvm_recover(const struct pvm_limits *limits, char *why, size_t why_len)
{
        int e;

        pvm_limits = *limits;
        work_alone();
        jit_create();
        if (root()->magic != ROOT_MAGIC) {
                say(why, why_len, "not the heap of an object machine");
                return -EINVAL;
        }
        if (root()->version < ROOT_VERSION_OLDEST || root()->version > ROOT_VERSION) {
                say(why, why_len, "a heap of version %u, this machine has version %u", root()->version, ROOT_VERSION);
                return -EINVAL;
        }
        e = heap_recover();
        if (!e)
                e = class_recover();
        if (!e && !upgrade_older_objects())
                e = -ENOMEM;
        if (e)
                say(why, why_len, "%s", e == -ENOMEM ? "no memory" : class_error);
        return e;
}

uint32_t pvm_start(const char *class_name, const char *const *arguments, unsigned narguments, char *why, size_t why_len)
{
        bool first = !root()->threads;
        struct klass *k = class_find(class_name, strlen(class_name));
        struct store *args;
        struct thread *t;

        if (!k) {
                say(why, why_len, "%s", class_error);
                return 0;
        }
        if (k->no_new || k->flags & (PVM_CLASS_ABSTRACT | PVM_CLASS_INTERFACE)) {
                say(why, why_len, "%s cannot be made by new", class_name);
                return 0;
        }
        args = store_new(CLASS_store_refs, narguments, narguments, 8);
        t = args ? thread_new(&k->object->o) : NULL;
        for (unsigned i = 0; t && i < narguments; i++) {
                args->r[i] = (struct obj *)string_new(arguments[i], strlen(arguments[i]));
                if (!args->r[i])
                        t = NULL;
        }
        if (!t || !thread_start(t, true)) {
                say(why, why_len, "no memory");
                return 0;
        }
        if (first)
                root()->arguments = args;
        else
                t->arguments = args;
        return t->id;
}

/* In the middle of whatever it does, or waits for. */
static void stop(struct thread *t)
{
        if (call_of(t)) {
                pvm_host->call_text(t->id, "stopped\n", 8);
                pvm_host->call_ended(t->id, false);
        }
        unqueue(t);
        leave(t);
}

bool pvm_stop_program(const char *path, char *why, size_t why_len)
{
        struct obj *o = inspect_object(path, why, why_len);
        const struct thread *of = (struct thread *)o;

        if (!o)
                return false;
        if (o->class != CLASS_thread || !thread_lives(of->id)) {
                say(why, why_len, "%s is no thread that runs", path);
                return false;
        }
        for (struct thread *t = root()->threads, *next; t; t = next) {
                next = t->next;
                if (t->arguments == of->arguments)
                        stop(t);
        }
        root()->failures++;
        return true;
}

void pvm_collect(void)
{
        heap_collect();
}

bool pvm_load(const char *class_name, char *text, size_t text_len)
{
        uint32_t n = root()->nclasses;
        struct klass *k = class_find(class_name, strlen(class_name));

        if (k && k->index < n)
                return class_upgrade(k, text, text_len);
        if (k)
                say(text, text_len, "%s: version 1", k->name->text);
        else
                say(text, text_len, "%s", class_error);
        return k;
}

bool pvm_call(const char *path, const char *method, const char *const *arguments, unsigned narguments, uint32_t *call,
              char *why, size_t why_len)
{
        struct obj *o = inspect_object(path, why, why_len);
        uint32_t n = CALL_ARGUMENTS + narguments;
        struct store *s;
        struct thread *t;

        if (!o)
                return false;
        if (narguments >= PVM_MAX_ARGS) {
                say(why, why_len, "too many arguments");
                return false;
        }
        s = store_new(CLASS_store_refs, n, n, 8);
        t = s ? thread_new(&s->o) : NULL;
        for (uint32_t i = CALL_NAME; t && i < n; i++) {
                const char *text = i == CALL_NAME ? method : arguments[i - CALL_ARGUMENTS];

                s->r[i] = (struct obj *)string_new(text, strlen(text));
                if (!s->r[i])
                        t = NULL;
        }
        if (!t || !thread_start(t, false)) {
                say(why, why_len, "no memory");
                return false;
        }
        s->r[CALL_RECEIVER] = o;
        t->top->pc = PHASE_CALL;
        *call = t->id;
        return true;
}

void pvm_forget(void)
{
        jit_drop();
        jit_destroy();
        class_forget();
        heap_forget();
}
