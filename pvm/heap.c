/*
 * heap.c - objects in blocks of 32 KiB with lines of 128 bytes; nothing moves.
 *
 *   block 0                 struct root
 *   blocks 1 .. 64          kinds: a byte a block
 *   blocks 65 .. 2112       line maps: 32 bytes a block, a bit a line: in use
 *   FIRST_BLOCK ..          blocks
 *
 * Small objects go into runs of free lines, one behind the other; those of more than MEDIUM bytes into whole new blocks, so that holes are not passed over for
 * their sake; those of more than OBJ_LARGE take blocks of their own. A run is in use in the line map from when it is taken, so after a recovery
 * what is behind the last object of a run is lost until the next collection, and nothing else.
 *
 * The collection is complete and at one safepoint: marks from the roots (a bit for each 8 bytes, volatile), makes the line maps anew, writes only those that
 * have changed. It writes to no object but dead weak references, and to the table of replaced versions (upgrade.c). What moves objects is there, too.
 */
#include "pvm/machine.h"
#include "pvm/jit/jit.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <asm/errno.h>

#define FIRST_BLOCK 2113u
#define LINE        128u
#define LINES       (PVM_BLOCK_BYTES / LINE)
#define MEDIUM      512u
#define CHUNK       32u /* blocks provided at once */

enum block_kind { BLOCK_FREE, BLOCK_SMALL, BLOCK_LARGE, BLOCK_LARGE_NEXT };

static uint8_t *const kinds = (uint8_t *)(PVM_HEAP_START + PVM_BLOCK_BYTES);
static uint64_t (*const lines)[LINES / 64] = (void *)(PVM_HEAP_START + 65 * PVM_BLOCK_BYTES);

/* Large objects have this before them, at the beginning of their first block. */
struct large {
        uint64_t size; /* of the object */
        uint64_t zero;
        struct obj o;
};

struct root_volatile heap;
struct pvm_limits pvm_limits;
bool heap_wants_collection;
static uint32_t provided;              /* blocks below it are there */
static uint32_t scan_block, scan_line; /* where the search for free lines goes on */
static uint32_t free_block_hint;
static uint64_t since_collection, next_collection;
static struct pvm_stats stats;

static char *block_address(uint32_t b)
{
        return (char *)PVM_HEAP_START + b * PVM_BLOCK_BYTES;
}

static uint32_t block_of(const void *p)
{
        return (uint32_t)(((uint64_t)p - PVM_HEAP_START) / PVM_BLOCK_BYTES);
}

size_t obj_size(const struct obj *o)
{
        uint32_t units = o->info & OBJ_UNITS;

        return units ? units * 8ul : ((const uint64_t *)o)[-2];
}

static void taken(uint64_t bytes)
{
        stats.allocated += bytes;
        since_collection += bytes;
        if (since_collection >= next_collection && !heap_wants_collection) {
                heap_wants_collection = true;
                pvm_poll = 1;
        }
}

static bool provide(uint32_t end)
{
        if (end <= provided)
                return true;
        end = (end + CHUNK - 1) / CHUNK * CHUNK;
        if (end > PVM_BLOCKS_MAX)
                return false;
        /* Pages of the tables first, then the blocks. */
        uint64_t k0 = (uint64_t)&kinds[provided] & ~4095ul, k1 = ((uint64_t)&kinds[end] + 4095) & ~4095ul;
        uint64_t l0 = (uint64_t)&lines[provided] & ~4095ul, l1 = ((uint64_t)&lines[end] + 4095) & ~4095ul;

        if (pvm_host->heap_provide((void *)k0, k1 - k0) || pvm_host->heap_provide((void *)l0, l1 - l0) ||
            pvm_host->heap_provide(block_address(provided), (end - provided) * PVM_BLOCK_BYTES))
                return false;
        provided = end;
        return true;
}

/* n blocks in a row, whose kind is set; 0: none. *fresh: they are zero. */
static uint32_t take_blocks(uint32_t n, enum block_kind kind, bool *fresh)
{
        struct root *r = root();
        uint32_t b, run = 0;

        if ((r->blocks_in_use + n) * PVM_BLOCK_BYTES > pvm_limits.heap_bytes)
                return 0;
        for (b = free_block_hint; b < r->frontier; b++) {
                run = kinds[b] == BLOCK_FREE ? run + 1 : 0;
                if (run == n)
                        break;
        }
        if (run == n) {
                b = b + 1 - n;
                if (b == free_block_hint)
                        free_block_hint = b + n;
                *fresh = false;
        } else {
                if (n == 1)
                        free_block_hint = r->frontier;
                b = r->frontier;
                if (n > PVM_BLOCKS_MAX - b || !provide(b + n))
                        return 0;
                r->frontier = b + n;
                *fresh = true;
        }
        r->blocks_in_use += n;
        kinds[b] = kind;
        for (uint32_t i = 1; i < n; i++)
                kinds[b + i] = BLOCK_LARGE_NEXT;
        return b;
}

static void *alloc_large(uint32_t class, size_t size, uint32_t flags)
{
        size_t whole = size + offsetof(struct large, o);
        uint32_t n, b;
        bool fresh;
        struct large *l;

        if (whole > (uint64_t)PVM_BLOCKS_MAX * PVM_BLOCK_BYTES / 2)
                return NULL;
        n = (uint32_t)((whole + PVM_BLOCK_BYTES - 1) / PVM_BLOCK_BYTES);
        b = take_blocks(n, BLOCK_LARGE, &fresh);
        if (!b)
                return NULL;
        l = (struct large *)block_address(b);
        if (!fresh)
                memset(l, 0, whole);
        taken(n * PVM_BLOCK_BYTES);
        l->size = size;
        l->o.class = class;
        l->o.info = flags;
        return &l->o;
}

static bool line_used(uint32_t b, unsigned line)
{
        return lines[b][line / 64] >> line % 64 & 1;
}

static void lines_use(uint32_t b, unsigned from, unsigned to)
{
        for (unsigned i = from; i < to; i++)
                lines[b][i / 64] |= 1ul << i % 64;
}

/* The next run of free lines, in the blocks that the collection left partly used; else a new block. */
static bool next_run(char **cur, char **end)
{
        struct root *r = root();
        bool fresh;
        uint32_t b;

        for (; scan_block < r->frontier; scan_block++, scan_line = 0) {
                unsigned from = scan_line, to;

                if (kinds[scan_block] != BLOCK_SMALL)
                        continue;
                while (from < LINES && line_used(scan_block, from))
                        from = lines[scan_block][from / 64] == ~0ul ? (from / 64 + 1) * 64 : from + 1;
                if (from >= LINES)
                        continue;
                for (to = from + 1; to < LINES && !line_used(scan_block, to); to++)
                        ;
                lines_use(scan_block, from, to);
                scan_line = to;
                *cur = block_address(scan_block) + from * LINE;
                *end = block_address(scan_block) + to * LINE;
                memset(*cur, 0, (size_t)(*end - *cur));
                taken((uint64_t)(*end - *cur));
                return true;
        }
        b = take_blocks(1, BLOCK_SMALL, &fresh);
        if (!b)
                return false;
        lines_use(b, 0, LINES);
        *cur = block_address(b);
        *end = *cur + PVM_BLOCK_BYTES;
        if (!fresh)
                memset(*cur, 0, PVM_BLOCK_BYTES);
        taken(PVM_BLOCK_BYTES);
        return true;
}

static void *place(char **cur, uint32_t class, size_t size, uint32_t flags)
{
        struct obj *o = (struct obj *)*cur;

        *cur += size;
        o->class = class;
        o->info = (uint32_t)(size / 8) | flags;
        return o;
}

void *heap_alloc_slow(uint32_t class, size_t size, uint32_t flags)
{
        if (size > OBJ_LARGE)
                return alloc_large(class, size, flags);
        if (size > MEDIUM) {
                if (size > (size_t)(heap.mend - heap.mcur)) {
                        bool fresh;
                        uint32_t b = take_blocks(1, BLOCK_SMALL, &fresh);

                        if (!b)
                                return NULL;
                        lines_use(b, 0, LINES);
                        heap.mcur = block_address(b);
                        heap.mend = heap.mcur + PVM_BLOCK_BYTES;
                        if (!fresh)
                                memset(heap.mcur, 0, PVM_BLOCK_BYTES);
                        taken(PVM_BLOCK_BYTES);
                }
                return place(&heap.mcur, class, size, flags);
        }
        while (size > (size_t)(heap.end - heap.cur))
                if (!next_run(&heap.cur, &heap.end))
                        return NULL;
        return place(&heap.cur, class, size, flags);
}

/* How much may be allocated until the next collection: half of what lives, but something, and not past the limit. */
static uint64_t collect_after(uint64_t live)
{
        uint64_t after = live / 2 > 32ul << 20 ? live / 2 : 32ul << 20, most = pvm_limits.heap_bytes / 4;

        return after < most ? after : most;
}

static void volatile_state(void)
{
        heap = (struct root_volatile){0};
        scan_block = root()->frontier;
        scan_line = 0;
        free_block_hint = FIRST_BLOCK;
        since_collection = 0;
        next_collection = collect_after(0);
        heap_wants_collection = false;
        stats = (struct pvm_stats){0};
}

int heap_create(void)
{
        if (pvm_host->heap_provide(root(), PVM_BLOCK_BYTES))
                return -ENOMEM;
        provided = FIRST_BLOCK;
        *root() = (struct root){.frontier = FIRST_BLOCK};
        volatile_state();
        return provide(FIRST_BLOCK + 1) ? 0 : -ENOMEM;
}

int heap_recover(void)
{
        if (root()->frontier < FIRST_BLOCK || root()->frontier > PVM_BLOCKS_MAX)
                return -EINVAL;
        provided = FIRST_BLOCK;
        if (!provide(root()->frontier))
                return -ENOMEM;
        volatile_state();
        return 0;
}

uint32_t pvm_frontier(void)
{
        const struct root *r = root();

        return r->magic == ROOT_MAGIC && r->frontier >= FIRST_BLOCK && r->frontier <= PVM_BLOCKS_MAX ? r->frontier : 0;
}

bool pvm_heap_part(unsigned part, uint32_t frontier, uint64_t *from, uint64_t *end)
{
        uint32_t top = frontier ? (frontier + CHUNK - 1) / CHUNK * CHUNK : 0;
        void *const part_from[] = {root(), &kinds[FIRST_BLOCK], &lines[FIRST_BLOCK], block_address(FIRST_BLOCK)};
        void *const part_end[] = {(char *)root() + PVM_BLOCK_BYTES, &kinds[top], &lines[top], block_address(top)};

        if (part >= 4 || !frontier)
                return false;
        *from = (uint64_t)part_from[part] - PVM_HEAP_START;
        *end = (uint64_t)part_end[part] - PVM_HEAP_START;
        return true;
}

void heap_forget(void)
{
        heap = (struct root_volatile){0};
        provided = 0;
}

/* ---- marking ---- */

static struct {
        uint64_t *bits;  /* a bit for each 8 bytes of the blocks from FIRST_BLOCK on */
        uint64_t *moved; /* the same; whose new address stands where its header was */
        uint64_t size;
        struct obj **stack;
        size_t n, cap;
        struct weakref **weak;
        size_t nweak, weak_cap;
        bool failed; /* no volatile memory: this collection frees nothing */
        uint64_t live;
        uint64_t (*map)[LINES / 64];
} mark;

static bool grow(void **array, size_t *cap, size_t n, size_t each)
{
        size_t more = *cap ? *cap * 2 : 4096;
        void *p;

        if (n < *cap)
                return true;
        p = pvm_host->mem_alloc(more * each);
        if (!p) {
                mark.failed = true;
                return false;
        }
        if (*array) {
                memcpy(p, *array, n * each);
                pvm_host->mem_free(*array, *cap * each);
        }
        *array = p;
        *cap = more;
        return true;
}

static uint64_t unit_of(const struct obj *o)
{
        return ((uint64_t)o - (uint64_t)block_address(FIRST_BLOCK)) / 8;
}

static bool marked(const struct obj *o)
{
        return mark.bits[unit_of(o) / 64] >> unit_of(o) % 64 & 1;
}

static void mark_ref(struct obj **ref, void *arg)
{
        struct obj *o = *ref;
        uint64_t unit;

        (void)arg;
        if (!o)
                return;
        unit = unit_of(o);
        if (mark.bits[unit / 64] >> unit % 64 & 1)
                return;
        mark.bits[unit / 64] |= 1ul << unit % 64;
        if (grow((void **)&mark.stack, &mark.cap, mark.n, sizeof(*mark.stack)))
                mark.stack[mark.n++] = o;
}

/* Whatever names a method of a version that was replaced keeps this version. */
static void version_of(uint32_t method, ref_visit visit, void *arg)
{
        struct klass *k = method_by_id(method)->class;

        if (k != k->current)
                visit((struct obj **)&k->object, arg);
}

static void thread_versions(const struct thread *t, ref_visit visit, void *arg)
{
        const struct trace_entry *e = t->trace ? (const struct trace_entry *)t->trace->b : NULL;

        for (struct frame *f = t->top; f; f = f->prev)
                version_of(f->method, visit, arg);
        for (uint32_t i = 0; i < t->trace_len; i++)
                version_of(e[i].method, visit, arg);
}

static void frames_each_ref(struct thread *t, ref_visit visit, void *arg)
{
        for (struct frame *f = t->top; f; f = f->prev) {
                struct method *m = method_by_id(f->method);
                unsigned typed = m->code ? m->nregs : m->nargs;

                for (unsigned i = 0; i < typed; i++)
                        if (m->types[i] == 'R')
                                visit(&f->r[i].r, arg);
                if (!m->code)
                        visit(&f->r[m->nargs].r, arg);
        }
}

void obj_each_ref(struct obj *o, ref_visit visit, void *arg)
{
        struct klass *k = obj_class(o);
        struct store *s;

        switch (k->kind) {
        case CLASS_PLAIN:
                for (unsigned i = 0; i < k->nrefs; i++)
                        visit((struct obj **)o + k->refs[i], arg);
                if (o->class == CLASS_closure && ((struct closure *)o)->target && root()->versions)
                        version_of(((struct closure *)o)->target, visit, arg);
                return;
        case CLASS_REFS:
                s = (struct store *)o;
                for (uint32_t i = 0; i < s->len; i++)
                        if (s != root()->versions || ((struct class_obj *)s->r[i])->replaced.keeps_fields)
                                visit(&s->r[i], arg);
                return;
        case CLASS_STACK:
                visit((struct obj **)&((struct stack *)o)->prev, arg);
                return;
        case CLASS_THREAD:
                for (unsigned i = 0; i < THREAD_REFS; i++)
                        visit((struct obj **)&((struct thread *)o)->next + i, arg);
                frames_each_ref((struct thread *)o, visit, arg);
                if (root()->versions)
                        thread_versions((struct thread *)o, visit, arg);
                return;
        default:
                return;
        }
}

static void mark_lines(const struct obj *o, size_t size)
{
        uint32_t b = block_of(o);
        uint64_t at = (uint64_t)o % PVM_BLOCK_BYTES;

        mark.live += size;
        if (kinds[b] != BLOCK_SMALL) {
                mark.map[b - FIRST_BLOCK][0] = 1;
                return;
        }
        for (uint64_t i = at / LINE; i <= (at + size - 1) / LINE; i++)
                mark.map[b - FIRST_BLOCK][i / 64] |= 1ul << i % 64;
}

static void mark_all(void (*fn)(struct obj *o, void *arg), void *arg)
{
        struct obj **roots[] = ROOT_REFS(root());

        for (unsigned i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
                mark_ref(roots[i], NULL);
        while (mark.n && !mark.failed) {
                struct obj *o = mark.stack[--mark.n];

                fn(o, arg);
                obj_each_ref(o, mark_ref, NULL);
        }
}

static void collect_object(struct obj *o, void *arg)
{
        (void)arg;
        mark_lines(o, obj_size(o));
        if (obj_class(o)->kind == CLASS_WEAK &&
            grow((void **)&mark.weak, &mark.weak_cap, mark.nweak, sizeof(*mark.weak)))
                mark.weak[mark.nweak++] = (struct weakref *)o;
        for (struct klass *k = o->info & OBJ_PENDING ? obj_class(o) : NULL; k; k = k->parent)
                k->pending = true;
}

/* Replaced versions of which nothing runs any more. */
static void drop_versions(void)
{
        struct store *s = root()->versions;
        uint32_t n = 0;

        for (uint32_t i = 0; s && i < s->len; i++)
                if (marked(s->r[i]))
                        s->r[n++] = s->r[i];
                else
                        class_drop_version((struct class_obj *)s->r[i]);
        for (uint32_t i = n; s && i < s->len; i++)
                s->r[i] = NULL;
        if (s && s->len != n)
                s->len = n;
}

/* The maps become what is marked; a block in which nothing is, is free. */
static void sweep(void)
{
        struct root *r = root();

        free_block_hint = r->frontier;
        for (uint32_t b = FIRST_BLOCK; b < r->frontier; b++) {
                uint64_t *now = lines[b], *new = mark.map[b - FIRST_BLOCK];
                bool used = new[0] | new[1] | new[2] | new[3];

                if (pvm_hostile && kinds[b] == BLOCK_SMALL)
                        for (unsigned i = 0; i < LINES; i++)
                                if (!(new[i / 64] >> i % 64 & 1))
                                        memset(block_address(b) + i * LINE, 0xdb, LINE);
                if (kinds[b] == BLOCK_SMALL) {
                        if (memcmp(now, new, sizeof(lines[b])))
                                memcpy(now, new, sizeof(lines[b]));
                        if (!used) {
                                kinds[b] = BLOCK_FREE;
                                r->blocks_in_use--;
                        }
                } else if (kinds[b] == BLOCK_LARGE && !used) {
                        do {
                                kinds[b++] = BLOCK_FREE;
                                r->blocks_in_use--;
                        } while (b < r->frontier && kinds[b] == BLOCK_LARGE_NEXT);
                        b--;
                        free_block_hint = FIRST_BLOCK;
                }
                if (kinds[b] == BLOCK_FREE && b < free_block_hint)
                        free_block_hint = b;
        }
        scan_block = FIRST_BLOCK;
        scan_line = 0;
        heap = (struct root_volatile){0};
}

void heap_collect(void)
{
        uint64_t n = root()->frontier - FIRST_BLOCK;

        heap_wants_collection = false;
        since_collection = 0;
        mark.size = n * (PVM_BLOCK_BYTES / 64);
        mark.bits = pvm_host->mem_alloc(mark.size);
        mark.map = pvm_host->mem_alloc(n * sizeof(*mark.map));
        mark.failed = !mark.bits || !mark.map;
        mark.n = mark.nweak = 0;
        mark.live = 0;
        if (!mark.failed)
                mark_all(collect_object, NULL);
        if (!mark.failed) {
                drop_versions();
                upgrade_collected();
                for (size_t i = 0; i < mark.nweak; i++)
                        if (mark.weak[i]->target && !marked(mark.weak[i]->target))
                                mark.weak[i]->target = NULL;
                sweep();
                stats.live = mark.live;
        } else {
                pvm_host->log("pvm: a collection was given up: no memory for marks\n");
        }
        next_collection = collect_after(mark.live);
        stats.collections++;
        if (mark.map)
                pvm_host->mem_free(mark.map, n * sizeof(*mark.map));
        heap_unmark();
}

/* ---- moving ---- */

bool heap_mark(void (*fn)(struct obj *o, void *arg), void *arg)
{
        mark.size = (root()->frontier - FIRST_BLOCK) * (PVM_BLOCK_BYTES / 64);
        mark.bits = pvm_host->mem_alloc(mark.size);
        mark.moved = pvm_host->mem_alloc(mark.size);
        mark.failed = !mark.bits || !mark.moved;
        if (!mark.failed)
                mark_all(fn, arg);
        return !mark.failed;
}

void heap_moved(struct obj *from, struct obj *to)
{
        mark.moved[unit_of(from) / 64] |= 1ul << unit_of(from) % 64;
        *(struct obj **)from = to;
}

/* What is not marked is new, and has not moved. */
static bool was_moved(const struct obj *o)
{
        return unit_of(o) / 8 < mark.size && mark.moved[unit_of(o) / 64] >> unit_of(o) % 64 & 1;
}

static void forward_ref(struct obj **ref, void *arg)
{
        (void)arg;
        if (*ref && was_moved(*ref))
                *ref = *(struct obj **)*ref;
}

static void forward(struct obj *o)
{
        struct weakref *weak = (struct weakref *)o;

        obj_each_ref(o, forward_ref, NULL);
        if (obj_class(o)->kind != CLASS_WEAK || !weak->target)
                return;
        if (marked(weak->target))
                forward_ref(&weak->target, NULL);
        else
                weak->target = NULL; /* it is as its class was before */
}

void heap_forward(struct obj **new, size_t n)
{
        struct obj **roots[] = ROOT_REFS(root());

        for (unsigned i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
                forward_ref(roots[i], NULL);
        for (uint64_t word = 0; word < mark.size / 8; word++)
                for (uint64_t bits = mark.bits[word] & ~mark.moved[word]; bits; bits &= bits - 1) {
                        uint64_t unit = word * 64 + (unsigned)__builtin_ctzl(bits);

                        forward((struct obj *)(block_address(FIRST_BLOCK) + unit * 8));
                }
        for (size_t i = 0; i < n; i++)
                forward(new[i]);
}

void heap_unmark(void)
{
        if (mark.bits)
                pvm_host->mem_free(mark.bits, mark.size);
        if (mark.moved)
                pvm_host->mem_free(mark.moved, mark.size);
        if (mark.stack)
                pvm_host->mem_free(mark.stack, mark.cap * sizeof(*mark.stack));
        if (mark.weak)
                pvm_host->mem_free(mark.weak, mark.weak_cap * sizeof(*mark.weak));
        memset(&mark, 0, sizeof(mark));
}

void pvm_stats(struct pvm_stats *s)
{
        *s = stats;
        s->blocks = root()->blocks_in_use;
        s->compiled = jit.methods;
        s->compiled_words = jit.words;
        s->code_bytes = jit.bytes;
        s->compile_ns = jit.ns;
}

/* ---- checking ---- */

static struct {
        char *why;
        size_t len;
        bool ok;
} check;

static void check_ref(struct obj **ref, void *arg)
{
        const struct obj *o = *ref;
        const char *wrong = NULL;
        uint32_t b = block_of(o);

        (void)arg;
        if (!o || !check.ok)
                return;
        if ((uint64_t)o % 8 || b < FIRST_BLOCK || b >= root()->frontier)
                wrong = "outside of the heap";
        else if (kinds[b] != BLOCK_SMALL &&
                 (kinds[b] != BLOCK_LARGE || (uint64_t)o % PVM_BLOCK_BYTES != offsetof(struct large, o)))
                wrong = "to a block that is free, or into a large object";
        else if (!o->class || o->class >= root()->nclasses)
                wrong = "to what has no class";
        else if (kinds[b] == BLOCK_SMALL) {
                uint64_t at = (uint64_t)o % PVM_BLOCK_BYTES, size = obj_size(o);

                if (size < 8 || at + size > PVM_BLOCK_BYTES)
                        wrong = "to what is longer than its block";
                else
                        for (uint64_t i = at / LINE; !wrong && i <= (at + size - 1) / LINE; i++)
                                if (!line_used(b, (unsigned)i))
                                        wrong = "to a free line";
        }
        if (!wrong && obj_size(o) < obj_class(o)->size + (o->info & OBJ_RELAID ? sizeof(struct trailer) : 0))
                wrong = "to what is shorter than its class says";
        if (wrong) {
                check.ok = false;
                fmt_append(check.why, check.len, 0, "reference at %p to %p: %s", (void *)ref, (const void *)o, wrong);
                return;
        }
        mark_ref(ref, NULL);
}

bool pvm_heap_check(char *why, size_t why_len)
{
        struct obj **roots[] = ROOT_REFS(root());
        uint64_t n = root()->frontier - FIRST_BLOCK;

        check.why = why;
        check.len = why_len;
        check.ok = true;
        mark.size = n * (PVM_BLOCK_BYTES / 64);
        mark.bits = pvm_host->mem_alloc(mark.size);
        if (!mark.bits)
                pvm_host->panic("no memory to check the heap");
        for (unsigned i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
                check_ref(roots[i], NULL);
        while (check.ok && mark.n)
                obj_each_ref(mark.stack[--mark.n], check_ref, NULL);
        heap_unmark();
        return check.ok;
}
