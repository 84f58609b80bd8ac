/*
 * machine.h - the object machine's own structures: objects and threads as they lie in the heap [P], classes and methods as they are known to
 * the running machine [V].
 *
 * Invariants, checked by pvm_heap_check and by asserts:
 *   M1  Nothing in the heap points to volatile memory: classes are named by index, methods by id, places in code by index.
 *   M2  A register of type R, an R field and an element of a store of references is null or the beginning of an object.
 *   M3  An object's class index and size never change. A new version of its class that wants another size makes another object of it, at a safepoint,
 *       and no reference to the one before is left (upgrade.c).
 *   M4  Only at a safepoint (poll, block, end of a thread) may objects be collected or a snapshot be taken: then the frames are all that is known
 *       of a thread. C code between two safepoints keeps plain pointers.
 */
#pragma once
#include "pvm/file.h"
#include "pvm/host.h"

/* ---- objects [P] ---- */

struct obj {
        uint32_t class; /* [I] */
        uint32_t
                info; /* [I] but for OBJ_IMMUTABLE, OBJ_PENDING: size in 8 bytes (0: large, the size stands before it), flags */
};
#define OBJ_UNITS     0x00ffffffu
#define OBJ_ARRAY     0x07000000u /* kind of array: 0 none, ARRAY_x */
#define OBJ_IMMUTABLE 0x08000000u
#define OBJ_RELAID    0x10000000u /* a new version of its class has moved it: struct trailer is its end */
#define OBJ_PENDING   0x20000000u /* a migrate() of its class, or of one above, has still to run on it */
enum array_kind { ARRAY_NONE, ARRAY_I, ARRAY_L, ARRAY_F, ARRAY_D, ARRAY_R };
#define ARRAY_BITS(kind) ((uint32_t)(kind) << 24)

/* The last bytes of an object that was moved. */
struct trailer {
        uint32_t identity; /* obj_identity() of where it was made */
        uint32_t seen;     /* upgrades (root.generation) that it needs no migrate() for any more */
        uint32_t by;       /* id of the thread that runs migrate() on it; 0: none */
        uint32_t zero;
};

typedef union slot {
        int32_t i;
        int64_t l;
        float f;
        double d;
        struct obj *r;
        uint64_t bits;
} slot;

struct string {
        struct obj o;
        uint32_t len;
        char text[]; /* and a NUL */
};
struct box32 {
        struct obj o;
        union {
                int32_t i;
                float f;
        };
        uint32_t pad;
};
struct box64 {
        struct obj o;
        union {
                int64_t l;
                double d;
        };
};
/* Elements. What is behind len may be anything: who makes it longer writes there first. */
struct store {
        struct obj o;
        uint32_t len, cap; /* elements */
        union {
                int32_t i[0];
                int64_t l[0];
                float f[0];
                double d[0];
                struct obj *r[0];
                uint8_t b[0];
        };
};
struct array {
        struct obj o;
        struct store *store;
};
struct binary {
        struct obj o;
        struct store *store; /* bytes */
};
struct iterator {
        struct obj o;
        struct array *array;
        uint32_t next, pad;
};
/*
 * Of a class, or (in root.versions) of a version that was replaced: then without statics, with the class's index.
 */
struct class_obj {
        struct obj o;
        struct string *name;
        struct store *file;     /* bytes of the class file; NULL: internal, or an array's */
        struct store *literals; /* references: strings and binaries of the pool, in its order */
        struct store *static_refs, *static_raw;
        uint32_t index;       /* class index of its objects */
        uint32_t method_base; /* id of its first method */
        uint32_t nmethods;
        union {
                uint32_t initialised; /* 0: .static was not begun; CLASS_INITIALISED; else its thread's id, and 2 */
                struct {
                        uint32_t
                                keeps_fields : 1; /* the class's objects have fields of this version that the newest one has not */
                        uint32_t version : 31; /* from 1 on */
                } replaced;
        };
};
#define CLASS_INITIALISED 1u /* .static has ended, or there is none */

/* Of a class that was upgraded: an element of root.upgrades; version 0: it never was, its version is 1. */
struct upgrade {
        uint32_t version;
        uint32_t generation; /* which upgrade in this heap it was, from 1 on */
};
struct directory {
        struct obj o;
        struct store *keys, *values; /* references; sorted by key */
};
struct mutex {
        struct obj o;
        struct thread *owner;
        struct thread *first, *last; /* who waits, by thread.next_waiter */
};
struct cond {
        struct obj o;
        struct thread *first, *last;
};
struct sema {
        struct obj o;
        struct thread *first, *last;
        uint64_t count;
};
struct weakref {
        struct obj o;
        struct obj *target; /* not traced */
};
struct closure {
        struct obj o;
        /* made by new: of an object, by name */
        struct obj *object;
        struct string *method;
        /* made by CLOSURE: a static method (0: by name), and its first arguments as references; NULL: none */
        struct store *captured;
        uint32_t target, pad;
};
struct error {
        struct obj o;
        struct string *message;
};
struct bitmap {
        struct obj o;
        struct store *pixels; /* 0xAARRGGBB each, row by row; NULL: none */
        uint32_t width, height;
};
struct connection {
        struct obj o;
        struct obj *callback; /* NULL: none */
        struct thread *timer; /* that calls it when its time comes; NULL: none */
        uint32_t method;      /* of the callback: its ordinal */
        uint32_t kind;        /* 0: not connected */
};

enum thread_state { THREAD_NEW, THREAD_READY, THREAD_BLOCKED, THREAD_ENDED };
struct thread {
        struct obj o;
        struct thread *next;        /* list of all that were started and have not ended */
        struct thread *next_waiter; /* queue of what it waits for */
        struct obj *waits_for;      /* mutex, cond, sema, thread (join), root's boot (console) or NULL (sleep) */
        struct obj *object;         /* what runs */
        struct store *
                arguments; /* of its program, which these tell from others; NULL: root's, of the program that the machine was started with */
        struct obj *user, *os;
        struct obj *thrown;     /* last object thrown, and where */
        struct store *trace;    /* bytes: struct trace_entry[] */
        struct stack *stack;    /* newest segment */
        struct thread *joiners; /* who waits for its end, by next_waiter */
        struct frame *top;      /* newest frame, in *stack */
        uint64_t deadline;      /* monotonic; 0: none */
        uint32_t state;
        uint32_t granted; /* what it waited for it has: 1; the time is over: 2 */
        uint32_t paused;
        uint32_t id;
        uint32_t trace_len, failed;
        uint64_t stack_bytes;
};
#define THREAD_REFS 11 /* from next on */

struct trace_entry {
        uint32_t method, pc;
};

/* A segment of a stack: frames, one behind the other. */
struct stack {
        struct obj o;
        struct stack *prev;
        uint64_t end; /* address behind the segment */
        uint64_t data[];
};
struct frame {
        struct frame *prev;
        uint32_t method; /* id */
        uint32_t
                pc; /* word to go on at; what stands in an interpreter's register while the frame runs. Native: phase */
        uint8_t dest; /* the caller's register for the result */
        uint8_t flags;
        uint16_t nregs;
        uint32_t pad;
        slot r[];
};
#define FRAME_FIRST 1u  /* first of its segment */
#define FRAME_BOX   2u  /* the caller wants the result as a reference */
#define FRAME_VOID  4u  /* the caller wants no result */
#define FRAME_TEXT  8u  /* the result must be a string */
#define FRAME_LAST  16u /* the thread ends with it */
#define FRAME_MIGRATE                                                                                                  \
        32u /* a migrate() that the machine called: register 0, which its code never writes, is the object */
#define FRAME_AGAIN                                                                                                    \
        64u /* the caller's instruction runs once more behind it: a .static, or what loads a class that was missing */
#define FRAME_SCANNED                                                                                                  \
        128u /* frames below it have not run since a young collection has looked at them (collect.c, C4) */
#define NATIVE_LOCALS                                                                                                  \
        4u /* registers of a native method's frame behind its arguments: a reference (the result of what it called), then numbers */

/* Page 0 of the heap. */
struct root {
        uint64_t magic;
        uint32_t version;
        uint32_t frontier; /* first block never used */
        uint32_t nclasses, nmethods;
        struct store *classes; /* references: struct class_obj, by index; 0 is none */
        struct directory *directory;
        struct obj *boot;
        struct store *arguments;
        struct thread *threads;
        struct thread *current;
        struct obj *no_memory; /* the error, made while there is memory */
        struct obj *class_loader;
        struct obj *os;
        uint32_t next_thread;
        uint32_t failures;
        uint64_t blocks_in_use;
        /* Before the first upgrade all 0. */
        struct store *
                versions; /* references: struct class_obj, of versions that were replaced; a collection drops those of which nothing runs */
        struct store *upgrades; /* bytes: struct upgrade by class index; may be shorter than classes */
        uint32_t generation;    /* upgrades so far */
        uint32_t zero;
};
#define ROOT_MAGIC 0x3150414548435650ul
/* 2: closures have captured values. 3: there may be versions of classes. 4: bitmaps and connections are more than a header. Recovery makes this version of those from the oldest on. */
#define ROOT_VERSION        4u
#define ROOT_VERSION_OLDEST 2u
#define ROOT_REFS(root)                                                                                                \
        {                                                                                                              \
                (struct obj **)&(root)->classes, (struct obj **)&(root)->directory, &(root)->boot,                     \
                        (struct obj **)&(root)->arguments, (struct obj **)&(root)->threads,                            \
                        (struct obj **)&(root)->current, &(root)->no_memory, &(root)->class_loader, &(root)->os,       \
                        (struct obj **)&(root)->versions, (struct obj **)&(root)->upgrades                             \
        }
static inline struct root *root(void)
{
        return (struct root *)PVM_HEAP_START;
}

/* ---- classes, methods [V] ---- */

/* A name or descriptor, one of each: compared by address. */
struct atom {
        struct atom *next;
        uint32_t hash, len;
        char text[];
};

enum class_kind {
        CLASS_PLAIN, /* references where refs says */
        CLASS_RAW,   /* no references */
        CLASS_REFS,  /* struct store of references */
        CLASS_STACK,
        CLASS_THREAD,
        CLASS_WEAK,
};

struct field {
        const struct atom *name, *type;
        struct klass *class;
        uint16_t flags;
        char machine;
        uint32_t offset; /* bytes from the beginning of the object; static: slot of static_refs or static_raw */
        slot *address;   /* static */
};

struct call;
typedef int (*native_fn)(struct call *c);
enum { DONE, THROW, BLOCK, CALL };

struct handler {
        uint32_t start, end, target, reg;
        uint16_t class; /* pool; 0: all */
};
struct method {
        struct klass *class;
        uint32_t *code; /* the file's, changed as the machine learns; NULL: native or abstract */
        uint32_t ncode;
        uint16_t nregs, nargs; /* receiver included */
        const char *types;     /* of all registers; of the arguments, if native */
        char result;
        uint8_t flags; /* PVM_x */
        bool unlocked; /* native, and called without the machine's lock */
        uint32_t id, ordinal;
        int32_t vindex; /* -1: called only directly */
        native_fn native;
        const struct atom *name, *desc, *params;
        const struct pvm_file_method *file;
        struct klass **params_classes; /* see class_params */
        slot *constants;               /* its class's */
        struct site *sites;            /* its class's */
        /* jit/ */
        void *native_code;         /* where compiled code calls it; NULL: nobody does yet */
        struct jit_code *compiled; /* NULL: not compiled */
        uint32_t heat;             /* counts calls and turns, till it is compiled */
        uint32_t compilations;
        bool starts;  /* it is a .static */
        bool careful; /* compiled code had to leave often: it guesses less */
        bool plain;   /* by an untyped call it takes any arguments as they are; once that is known */
};

/* What a call site has learnt. Any worker learns, at any time: so what belongs together is one word. */
#define SITE_BEFORE 3u
struct site {
        uint64_t
                last; /* the receiver's last class, and in the upper half the id of the method that ran; 0: none has run */
        struct method *ref; /* the method named, once it is known; untyped: what ran last */
        uint32_t pool;      /* or ordinal */
        uint32_t nbefore;
        uint64_t before[SITE_BEFORE]; /* the same of other classes, that were seen before; 0: none */
};

struct klass {
        uint32_t index;
        uint8_t kind, array, depth, state;
        uint16_t flags; /* PVM_CLASS_x, KLASS_x */
        bool no_new;
        uint32_t size; /* bytes of an object */
        uint16_t nrefs;
        uint16_t *refs;                    /* offsets / 8 */
        const struct atom *name, *element; /* element: descriptor, of an array's class */
        struct klass *parent, *next;       /* next: of its hash chain */
        struct klass *display[PVM_MAX_DEPTH + 1];
        struct klass **interfaces; /* all, also those of parents */
        uint32_t ninterfaces;
        struct field *fields; /* its own; behind them, for code of replaced versions, those that only these have */
        uint32_t nfields, nkept;
        uint32_t nstatic_refs, nstatic_raw;
        struct method *methods; /* its own */
        uint32_t nmethods;
        struct method **vtable;
        uint32_t nvtable;
        struct method **lookup; /* hash of vtable by name and parameters */
        uint32_t lookup_mask;
        struct class_obj *object;
        struct pvm_file file;
        slot *constants; /* by pool index: numbers, strings, binaries; struct klass, struct field, once found; see pool_type for what is behind */
        struct site *sites;
        uint32_t nsites;
        struct klass *current; /* itself; of a replaced version: the class, as it is now */
        uint32_t version;
        uint32_t generation;    /* root.generation of its last upgrade; 0: none */
        struct method *migrate; /* its own migrate(), if it was upgraded to this version; NULL: none */
        bool lazy;              /* some of its objects may be OBJ_PENDING: nobody may learn where its fields are */
        bool pending;           /* upgrade.c, heap.c: there is such an object */
        bool used;              /* upgrade.c: frames or closures run its code */
};

/* Internal classes have fixed indexes, in the order of internal.def, from 1. */
enum {
        CLASS_NONE,
#define CLASS(id, name, parent, flags) CLASS_##id,
#define FIELD(id, name, desc)
#define METHOD(id, function, name, ordinal, desc)
#define STATIC(id, function, name, ordinal, desc)
#define MISSING(id, name, ordinal, desc)
#include "pvm/internal.def"
        CLASS_INTERNAL,
        CLASS_store_raw = CLASS_INTERNAL,
        CLASS_store_refs,
        CLASS_stack,
        CLASS_array_i,
        CLASS_array_l,
        CLASS_array_f,
        CLASS_array_d,
        CLASS_array_u,
        CLASS_FIXED
};

struct call {
        struct thread *thread;
        slot *args; /* receiver first */
        slot result;
        struct frame *frame; /* its own, NULL in the first phase */
        uint32_t phase;
        /* CALL: what to call; the result will be frame->r[nargs] as a reference */
        struct method *callee;
        slot callee_args[PVM_MAX_ARGS];
        unsigned ncallee_args;
        /* BLOCK: what for is written into the thread by the function */
};

/* ---- thread.c: workers ---- */

#define WORKER_VALUES 384u
#define WORKER_FOUND  256u
/* [V] What belongs to who runs managed code, a thread of the host's: its own alone, but for what its comments say. Compiled code finds it in r15. */
struct worker {                 /* of compiled code: what is used often comes first */
        char *cur, *end;        /* where short objects go: zeroed */
        char *mcur, *mend;      /* where longer ones go */
        uint64_t cards;         /* the card of what is at an address is at that >> CARD_SHIFT, and this */
        volatile uint32_t poll; /* not 0: at the next jump or call it gets to a safepoint; anybody sets it */
        uint32_t locked;        /* how often it has taken the machine's lock */
        /* jit/code.c */
        void *base;                    /* native stack: where frames of compiled code begin */
        void *limit;                   /* below: they are dropped, all of them */
        uint64_t stack_end;            /* of the segment on top */
        struct frame *top;             /* at the end of a run of compiled code */
        struct thread *runs;           /* NULL: none */
        size_t long_run;               /* in `given` (heap.h): the run of mcur */
        slot temporary[WORKER_VALUES]; /* values of inlined methods that found no register; none lives at a safepoint */
        /* What calls with receivers of several classes have found. */
        struct found {
                const struct method *ref;
                uint32_t class, virtual;
                struct method *target;
        } found[WORKER_FOUND];
};
extern _Thread_local struct worker worker;
extern struct worker *workers[PVM_WORKERS];
extern unsigned nworkers;
/* Nobody else runs managed code, or is in a function of the machine's: there is one worker, or the others are parked. */
extern bool machine_alone;
/*
 * The machine's lock: native functions, whatever changes classes, threads, what they wait for. For who runs managed code; may be taken again by who has it. Who has it never waits
 * for a safepoint.
 */
static inline void machine_lock(void)
{
        if (!machine_alone && !worker.locked++)
                pvm_host->lock(PVM_LOCK_MACHINE);
}
static inline void machine_unlock(void)
{
        if (!machine_alone && !--worker.locked)
                pvm_host->unlock(PVM_LOCK_MACHINE);
}
/*
 * By who runs a thread, all of whose state is in its frames: fn, at a safepoint. Then methods and code are looked up again. False: the machine ends, and nothing was called: the turn is over.
 */
bool at_safepoint(void (*fn)(void *arg), void *arg);

/* ---- heap.c, collect.c ---- */
extern struct pvm_limits pvm_limits;
#define CARD_SHIFT 9
/*
 * A reference was stored into the heap, at `at`: the object, or, if that is a store of references, the element. Who stores one into an object says so before the next
 * safepoint (collect.c, C1), but not of objects that were allocated since the last one, nor of frames, nor of threads of root()->threads.
 */
static inline void heap_wrote(const void *at)
{
        *(uint8_t *)(worker.cards + ((uint64_t)at >> CARD_SHIFT)) = 1;
}
void heap_wrote_elements(const struct store *s, uint32_t from, uint32_t n); /* n of them, any number */
#define OBJ_SHORT 128u                                                      /* longer ones have runs of their own */
#define OBJ_LARGE 24576u
int heap_create(void);
int heap_recover(void);
void heap_forget(void);
void *heap_alloc_slow(uint32_t class, size_t size, uint32_t flags);
/* An object, zeroed but for its header. size in bytes. NULL: the limit, or the host, says no. */
static inline void *heap_alloc(uint32_t class, size_t size, uint32_t flags)
{
        struct obj *o = (struct obj *)worker.cur;

        size = (size + 7) & ~7ul;
        if (__builtin_expect(size > (size_t)(worker.end - worker.cur) || size > OBJ_SHORT, 0))
                return heap_alloc_slow(class, size, flags);
        worker.cur += size;
        o->class = class;
        o->info = (uint32_t)(size / 8) | flags;
        return o;
}
size_t obj_size(const struct obj *o);
/* At a safepoint. heap_collect: all that is unreachable is free then; heap_collect_wanted: if it is wanted, and what is. */
void heap_collect(void);
void heap_collect_wanted(void);
void heap_safepoint(void); /* what else waits for one */
void heap_share(void);     /* there will be several workers */
extern enum heap_wants { WANTS_NOTHING, WANTS_YOUNG, WANTS_FULL } heap_wants;
/*
 * The object, which was found in some other way than by the load of a strong reference: in a weak one, say. NULL: there is none, or it is gone; then nobody gets it any more.
 */
extern bool image_marking; /* a full collection goes on beside the program (image.c) */
struct obj *image_ask(struct obj *o);
static inline struct obj *heap_weak_load(struct obj *o)
{
        return o && image_marking ? image_ask(o) : o;
}
/* The address of a reference in an object's or a root's own memory, for who walks the heap. */
typedef void (*ref_visit)(struct obj **ref, void *arg);
void obj_each_ref(struct obj *o, ref_visit visit, void *arg);
/*
 * Moving objects, at a safepoint. heap_mark: fn for each object that is reachable, once; false: no volatile memory (for some it was called). Between it and heap_unmark no
 * collection. heap_moved: `to` takes the place of `from`, whose bytes are lost; heap_forward, when all are told: no reference to a `from` is left, neither in what was
 * marked nor in the n new objects.
 */
bool heap_mark(void (*fn)(struct obj *o, void *arg), void *arg);
void heap_moved(struct obj *from, struct obj *to);
void heap_forward(struct obj **new, size_t n);
void heap_unmark(void);

/* ---- object.c ---- */
static inline struct trailer *obj_trailer(struct obj *o) /* of one that is OBJ_RELAID */
{
        return (struct trailer *)((char *)o + obj_size(o)) - 1;
}
uint32_t obj_identity(struct obj *o); /* the same for its whole life */
struct string *string_new(const char *text, size_t len);
struct string *string_room(size_t len); /* text to be filled in */
struct string *string_of_number(char type, slot v);
struct store *store_new(uint32_t class, uint32_t len, uint32_t cap, unsigned element_bytes);
struct array *array_new(struct klass *k, int32_t len);
/* Makes room for element `index`, and the length index + 1, if it was less: the store that has it from then on. NULL: no memory. */
struct store *array_grow(struct array *a, uint32_t index);
static inline enum array_kind array_kind(const struct obj *o)
{
        return (o->info & OBJ_ARRAY) >> 24;
}
unsigned array_element_bytes(enum array_kind kind);
struct obj *box(char type, slot v);            /* NULL: no memory. type R: the reference */
bool unbox(struct obj *o, char type, slot *v); /* o is not NULL. False: not a number, or wider */
bool value_equal(const struct obj *a, const struct obj *b,
                 bool *known); /* known: both are of kinds whose values are known */
int value_compare(const struct obj *a, const struct obj *b, bool *unordered); /* -1 0 1; -2: not of one kind */
bool is_number(const struct obj *o);
char number_type(const struct obj *o); /* of a number: I, L, F, D */
uint32_t bytes_hash(const void *p, size_t len);
size_t format_number(char type, slot v, char *buf); /* buf: 40 bytes */
bool parse_double(const char *p, size_t len, double *v);
bool parse_long(const char *p, size_t len, int64_t *v); /* digits, perhaps a minus before them, that a long can hold */
double fmod_exact(double a, double b);
bool directory_find(const struct directory *d, struct string *key, uint32_t *at);
bool directory_put(struct directory *d, struct string *key, struct obj *value);

/* An array's store: elements, and how many, are asked of one and the same, for it may have another at any time. */
static inline struct store *array_store(const struct array *a)
{
        return __atomic_load_n(&a->store, __ATOMIC_RELAXED);
}

/* ---- class.c ---- */
extern struct klass **classes;              /* by index */
extern struct method **methods;             /* by id */
extern _Thread_local char class_error[400]; /* why the last of these functions failed */
/* If that was because there is no file of a class: its name, which a class loader may know. Else NULL. */
extern _Thread_local const struct atom *class_wanted;
void class_explain(const char *fmt, __builtin_va_list ap)
        __attribute__((format(printf, 1, 0))); /* class_error, and no class is wanted */
int class_create(void);                        /* internal classes in a new heap */
int class_recover(void);
void class_forget(void);
const struct atom *atom(const char *text, size_t len);  /* NULL: no memory */
struct klass *class_find(const char *name, size_t len); /* loads it; NULL */
/* The same, but where no file is found, of these bytes; they are copied. */
struct klass *class_define(const char *name, size_t len, const void *bytes, size_t size);
struct klass *class_by_index(uint32_t index);       /* of an object: loads after a recovery; panics if that fails */
struct klass *class_known(const struct atom *name); /* if it is loaded already and was used in this life; NULL */
/*
 * All that is volatile of classes. class_world_leave puts it aside, as if the machine had just begun: class_recover comes next, and class_world_build, which loads every class and
 * replaced version that the heap has (false: class_error). class_world_return: back to what was put aside, what is new is freed; class_world_free: that is freed.
 */
struct class_world *class_world_leave(void); /* NULL: no memory */
bool class_world_build(void);
void class_world_return(struct class_world *w);
void class_world_free(struct class_world *w);
struct klass *class_world_class(const struct class_world *w, uint32_t index); /* as it was there; NULL */
struct klass *class_version(const struct class_obj *replaced); /* what is known of it; NULL: it has no methods */
/*
 * The persistent part of a class, or of its new version, for a file that was opened: strings and binaries of its pool; places for its static fields, all 0, which the
 * fields then know. False: class_error.
 */
bool class_make_literals(struct class_obj *o, const struct pvm_file *f);
bool class_make_statics(struct klass *k);
void class_drop_version(const struct class_obj *replaced); /* nothing runs its code any more */
struct klass *class_of_type(struct pvm_text type); /* class that values of a descriptor of references have; NULL */
struct method *method_by_id(uint32_t id);
/* At a safepoint, once after a recovery or an upgrade: methods[] has those of all frames, so that returning finds them. */
void methods_of_frames(void);
bool class_is(const struct klass *k, const struct klass *of);
struct field *class_field(struct klass *k, const struct atom *name, const struct atom *type, bool is_static);
struct method *class_method(struct klass *k, const struct atom *name,
                            const struct atom *params); /* in k or its parents, also static, private */
/* The same, for calls: also in interfaces, and what interfaces have of .internal.object. */
struct method *class_callable(struct klass *k, const struct atom *name, const struct atom *params);
/* Kept fields of k and its parents: see struct klass. */
struct field *class_kept_field(struct klass *k, const struct atom *name, const struct atom *type, bool is_static);
struct method *class_virtual(const struct klass *k, const struct atom *name, const struct atom *params);
extern struct method *object_equals, *object_toString, *bootstrap_loadClass; /* .internal.object's and boot's */
/* Of each argument but the receiver, by its index: the class that it must have; NULL: any, or a number. NULL: class_error. */
struct klass **class_params(struct method *m);
struct method *class_by_ordinal(const struct klass *k, uint32_t ordinal);
static inline struct klass *obj_class(const struct obj *o)
{
        struct klass *k = classes[o->class];

        return __builtin_expect(!!k, 1) ? k : class_by_index(o->class);
}
/*
 * A class is about to be used by the thread. INIT_RUN: *init has to run first, it is begun; INIT_WAIT: another thread runs one. INIT_OWN: the thread itself is in one, so it may, but for others that says
 * nothing.
 */
enum class_init { INIT_DONE, INIT_OWN, INIT_RUN, INIT_WAIT };
enum class_init class_static_init(struct klass *k, const struct thread *t, struct method **init);
void class_initialised(const struct method *m);        /* that was m: it has ended */
void class_not_begun(const struct method *m);          /* if that was m: it could not be called, and does not count */
uint32_t line_of(const struct method *m, uint32_t pc); /* 0: unknown */
static inline uint64_t site_last(const struct site *s)
{
        return __atomic_load_n(&s->last, __ATOMIC_RELAXED);
}
static inline uint32_t site_class(const struct site *s)
{
        return (uint32_t)site_last(s);
}
/* Of another class: the n-th. NULL: there are not so many. */
static inline struct method *site_before(const struct site *s, unsigned n, uint32_t *class)
{
        uint64_t before = __atomic_load_n(&s->before[n], __ATOMIC_RELAXED);

        *class = (uint32_t)before;
        return before ? methods[before >> 32] : NULL;
}
static inline struct method *site_target(const struct site *s)
{
        return site_last(s) ? methods[site_last(s) >> 32] : NULL;
}

/* ---- upgrade.c ---- */
/*
 * At a safepoint: the class's file is found again; if it has changed, that is the class's new version, and objects, frames and classes below go on with it. `text` says what the version
 * is, or, false, why nothing has changed.
 */
bool class_upgrade(struct klass *k, char *text, size_t text_len);
/*
 * An object's field is about to be used, by the thread; the object is pending. The next migrate() to run on it, which the thread's it is then; NULL: none is left, or it is the thread's own. *wait: another thread runs it.
 */
struct method *upgrade_next(struct thread *t, struct obj *o, bool *wait);
void upgrade_not_begun(struct obj *o);                       /* if that could not be called */
void upgrade_done(struct method *m, struct obj *o, bool ok); /* of a FRAME_MIGRATE */
void upgrade_collected(void); /* pending says what the collection has seen: classes stop to be lazy */
/*
 * A heap of an older version, in two steps of its recovery. Before its classes are known: internal ones get the methods that are new. When the internal ones are: frames get the
 * numbers that methods have now, objects that internal classes have now; false: no memory.
 */
void upgrade_older_methods(void);
bool upgrade_older_objects(void);

/* ---- interp.c ---- */
enum run_end { RUN_YIELD, RUN_BLOCKED, RUN_ENDED };
enum run_end interp_run(struct thread *t);
/* A frame for the first call of a thread. False: no memory. */
bool interp_begin(struct thread *t, struct method *m, const slot *args, unsigned nargs);
/*
 * An untyped call: chooses among methods of the name (or ordinal) for the arguments, all references; converts them to what the method wants. 0; else the class of the error, in
 * class_error why.
 */
uint32_t untyped_choose(struct klass *k, const struct atom *name, uint32_t ordinal, unsigned nargs, const slot *args,
                        struct method **chosen);
uint32_t untyped_convert(struct method *m, slot *args);
/* The call of a closure with n arguments, all references: its method, and in args (they are there, room for PVM_MAX_ARGS) what that wants. Errors as above. */
uint32_t closure_arguments(const struct closure *k, slot *args, unsigned n, struct method **m);
/* For native code: makes an error the result, `return throw_error(...)`. */
int throw_error(struct call *c, uint32_t class, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int throw_object(struct call *c, struct obj *o);

/* ---- thread.c ---- */
struct thread *thread_new(struct obj *object);
void thread_inherits(struct thread *t, const struct thread *from); /* it is of that one's program */
bool thread_lives(uint32_t id);                                    /* it was started, and has not ended */
bool thread_start(struct thread *t,
                  bool make_object); /* make_object: object is a class; one of it is made and runs. False: no memory */
void thread_wait(struct thread *t, struct obj *what,
                 uint64_t deadline); /* becomes blocked; queued at what, if it has a queue */
void thread_wait_input(struct thread *t, uint32_t source);
void thread_wake(struct thread *t, uint32_t granted);
void thread_pause(struct thread *t, bool pause);
struct thread *thread_wake_first(struct obj *what, uint32_t granted); /* of its queue; NULL: nobody */
/* It has not run yet, and waits for no object: it ends, if it did not with a program before this one. */
void thread_cancel(struct thread *t);
void mutex_of_the_ended(struct mutex *m); /* somebody waits for it: if its owner has ended it gets the next one */

/* ---- internal/ ---- */
struct native_method {
        uint32_t class;
        const char *name, *desc;
        native_fn fn; /* NULL: missing */
        uint16_t ordinal;
        bool is_static;
};
int thread_main(struct call *c); /* .start: what a thread's first frame runs */
/* sync.c: the class may be used. False: *r is what the function returns, to be entered again in the same phase. */
bool may_use(struct call *c, struct klass *k, int *r);
int connection_due(struct call *c, struct connection *k); /* connection.c: what a timer's thread does */
extern const struct native_method native_methods[];
extern const unsigned native_nmethods;
bool native_is_unlocked(native_fn fn);
