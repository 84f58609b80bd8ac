/*
 * collect.c - marks, collections, and what moves objects.
 *
 * Two kinds of collections, both at one safepoint, with the same marks (sticky mark bits: Demers et al. 1990; with lines: Blackburn and McKinley 2008):
 *
 *   young  what is marked is old, and stays. Roots are those of the heap, the frames, and the old objects that have got a reference since the last collection. What they lead to and
 *          is not marked gets its mark; then the lines of the runs that were handed out since the last collection are free but for what is marked in them now.
 *   full   all marks are cleared and made again from the roots; so are the line maps, of which only those that have changed are written. Where the host can, that is done beside the
 *          program, on an image of the heap (image.c); if memory is short, or if it is not known what is old, all waits for it.
 *
 * Invariants:
 *   C1  A reference that an old object has to a young one is on a dirty card, or the object is a thread of root()->threads: whoever stores a reference into an object says so
 *       (heap_wrote), unless no safepoint lies between that and the object's allocation.
 *   C2  All that a collection has marked refers to marked objects alone; so behind it no card is dirty.
 *   C3  If it is not known what is old (`known`), the next collection is a full one: behind a recovery, behind one that was given up, behind what moves objects.
 *       Then nobody hands out gaps between old objects, either (heap_no_holes): what has no mark would be taken for dead.
 *   C4  Frames below one that has FRAME_SCANNED have not run since a young collection looked at them. It goes when its frame returns, with the frame.
 *
 * A young object's references count from the moment when it is marked, whoever stored them. A collection writes to no object but dead weak references, frames of deep stacks (C4, young ones
 * alone), and the table of replaced versions (upgrade.c).
 */
#include "pvm/heap.h"
#include "pvm/jit/jit.h"
#include "kernel/lib/string.h"

#define YOUNG_BYTES                                                                                                    \
        (3ul << 19)    /* if nobody says (pvm_limits); with what is lost at the ends of runs that is 2 MiB of pages */
#define YOUNG_TIMES 4u /* so many times more, at most, if most of it survives */
/* So much becomes old before a full collection, at least. */
#define FULL_LEAST (4ul << 20)
/* If fewer bytes are young, a snapshot may have them. */
#define SNAPSHOT_LEAST (64ul << 10)
/* Frames between two that get FRAME_SCANNED. */
#define SCAN_FRAMES 64u

uint64_t collect_at;
enum heap_wants heap_wants;
struct pvm_stats heap_stats;
static bool known;
static bool grows; /* the last full collection has found more that lives than the one before, and little that is dead */
static uint64_t promoted, full_at; /* bytes that became old since the last full collection; when the next one is due */
static uint64_t young_bytes;       /* handed out between two young collections */

static struct {
        struct obj **stack;
        size_t n, cap;
        struct weakref **weak;
        size_t nweak, weak_cap;
        uint32_t *card; /* dirty ones with old objects */
        size_t ncard, card_cap;
        bool failed; /* no volatile memory: this collection frees nothing */
        uint64_t live;
        bool all;        /* of old objects, too */
        uint64_t *map;   /* of all lines: what is marked; NULL: neither this nor fill is wanted */
        uint16_t *fill;  /* of all blocks: like side.fill */
        uint64_t *moved; /* like side.marks: whose new address stands where its header was */
        uint64_t moved_words;
        struct {
                uint64_t card;         /* was looked at last */
                struct obj *o;         /* before it */
                uint32_t block, large; /* a block of a large object, and the object's first */
        } before;
} mark;

/* ---- marking ---- */

/*
 * What of `mark` the loop of marking needs, in registers: nobody gets its address. On the stack are references; those with MARKED have led to their object first, and its mark is set. Of the
 * others several may lead to the same object, and marked ones.
 */
#define MARKED 1ul
struct grey {
        uint64_t *marks;
        struct obj **stack;
        size_t n, cap;
};

static inline struct grey grey(void)
{
        return (struct grey){side.marks, mark.stack, mark.n, mark.cap};
}

/* o gets its mark; false: it had one. */
static inline bool set_mark(uint64_t *marks, const struct obj *o)
{
        uint64_t unit = unit_of(o), *at = &marks[unit / 64], with = *at | 1ul << unit % 64;

        if (*at == with)
                return false;
        *at = with;
        return true;
}

/*
 * Room for n more on the stack: what leads to the same object as another goes, since of these there may be many more than objects. So behind it each has MARKED, and half of the stack is
 * free, or it has grown.
 */
static __attribute__((noinline)) bool grey_room(struct grey *g, unsigned n)
{
        size_t kept = 0;

        for (size_t i = 0; i < g->n; i++) {
                uint64_t o = (uint64_t)g->stack[i];

                if (o & MARKED || set_mark(g->marks, (struct obj *)o))
                        g->stack[kept++] = (struct obj *)(o | MARKED);
        }
        g->n = kept;
        while (kept + n > mark.cap / 2)
                if (!room_for((void **)&mark.stack, &mark.cap, mark.cap, sizeof(*mark.stack))) {
                        mark.failed |= kept + n > mark.cap;
                        break;
                }
        g->stack = mark.stack;
        g->cap = mark.cap;
        return !mark.failed;
}

/*
 * o gets its mark, and is to be looked at, if it had none. Without a branch for either: whether there is an object, and whether it is known, is what no processor can guess.
 */
static inline __attribute__((always_inline)) void shade(struct grey *g, struct obj *o)
{
        static uint64_t nowhere;
        uint64_t some = o != NULL, unit = unit_of(o) & -some, bit = some << unit % 64, *at = &g->marks[unit / 64];
        uint64_t with = *at | bit;
        bool white = with != *at;

        at = white ? at : &nowhere;
        *at = with;
        if (__builtin_expect(g->n == g->cap, 0) && !grey_room(g, 1))
                return;
        g->stack[g->n] = (struct obj *)((uint64_t)o | MARKED);
        g->n += white;
}

static void mark_ref(struct obj **ref, void *arg)
{
        struct grey g = grey();

        (void)arg;
        shade(&g, *ref);
        mark.n = g.n;
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

static void frame_each_ref(struct frame *f, ref_visit visit, void *arg)
{
        struct method *m = method_by_id(f->method);
        unsigned typed = m->code ? m->nregs : m->nargs;

        for (unsigned i = 0; i < typed; i++)
                if (m->types[i] == 'R')
                        visit(&f->r[i].r, arg);
        if (!m->code)
                visit(&f->r[m->nargs].r, arg);
}

static void thread_fields(struct thread *t, ref_visit visit, void *arg)
{
        for (unsigned i = 0; i < THREAD_REFS; i++)
                visit((struct obj **)&t->next + i, arg);
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
                thread_fields((struct thread *)o, visit, arg);
                for (struct frame *f = ((struct thread *)o)->top; f; f = f->prev)
                        frame_each_ref(f, visit, arg);
                if (root()->versions)
                        thread_versions((struct thread *)o, visit, arg);
                return;
        default:
                return;
        }
}

static void note_weak(struct obj *o)
{
        if (room_for((void **)&mark.weak, &mark.weak_cap, mark.nweak, sizeof(*mark.weak)))
                mark.weak[mark.nweak++] = (struct weakref *)o;
        else
                mark.failed = true;
}

static void mark_roots(void)
{
        struct obj **roots[] = ROOT_REFS(root());

        for (unsigned i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
                mark_ref(roots[i], NULL);
}

static inline void use_lines(uint64_t *map, const struct obj *o, uint64_t size)
{
        uint64_t at = (uint64_t)o - PVM_HEAP_START, line = at / LINE, last = (at + size - 1) / LINE;

        /* Nearly always these two are all, if they are two: no branch for that. */
        map[line / 64] |= 1ul << line % 64;
        map[last / 64] |= 1ul << last % 64;
        while (__builtin_expect(++line < last, 0))
                map[line / 64] |= 1ul << line % 64;
}

/* Waits for its class's migrate(). */
static void note_pending(const struct obj *o)
{
        for (struct klass *k = obj_class(o); k; k = k->parent)
                k->pending = true;
}

#define RING 16u

/*
 * All that is reachable from what is on the stack; fn for each, if there is one. Depth first, fields in their order, which is that of most allocations; but the last few wait in a ring while
 * their headers and marks come into the cache (Cher, Hosking, Vitek 2004). What the fields of small objects refer to is looked at when it leaves the ring, marked or not: so where the stack's
 * top is has not to wait for marks. Elements of stores are marked before, so the stack does not grow with what they have in common.
 */
static void mark_reachable(void (*fn)(struct obj *o, void *arg), void *arg)
{
        struct obj *ring[RING];
        unsigned first = 0, waiting = 0;
        struct grey g = grey();
        uint64_t *map = mark.map, live = 0;
        uint16_t *fill = mark.fill;

        while (!mark.failed && (g.n || waiting)) {
                struct obj *o;
                const struct klass *k;
                uint64_t size;

                if (g.n) {
                        struct obj *next = g.stack[--g.n];

                        __builtin_prefetch(next);
                        __builtin_prefetch(&g.marks[unit_of(next) / 64]);
                        if (waiting < RING) {
                                ring[(first + waiting++) % RING] = next;
                                continue;
                        }
                        o = ring[first % RING];
                        ring[first % RING] = next;
                } else {
                        o = ring[first % RING];
                        waiting--;
                }
                first++;
                if ((uint64_t)o & MARKED)
                        o = (struct obj *)((uint64_t)o & ~MARKED);
                else if (!set_mark(g.marks, o))
                        continue;
                k = obj_class(o);
                size = (o->info & OBJ_UNITS) * 8ul;
                live += size ? size : obj_size(o);
                if (size && map) {
                        use_lines(map, o, size);
                        fill[block_of(o)] += (uint16_t)(size / 8);
                }
                if (fn)
                        fn(o, arg);
                if (k->kind == CLASS_PLAIN && o->class != CLASS_closure) {
                        if (__builtin_expect(g.n + k->nrefs > g.cap, 0) && !grey_room(&g, k->nrefs))
                                break;
                        for (unsigned i = k->nrefs; i--;) {
                                struct obj *to = ((struct obj **)o)[k->refs[i]];

                                g.stack[g.n] = to;
                                g.n += to != NULL;
                        }
                } else if (k->kind == CLASS_REFS && (struct store *)o != root()->versions) {
                        struct store *s = (struct store *)o;

                        for (uint32_t i = s->len; i--;)
                                shade(&g, s->r[i]);
                } else if (k->kind != CLASS_RAW) {
                        mark.n = g.n;
                        obj_each_ref(o, mark_ref, NULL);
                        g = grey();
                }
                if (k->kind == CLASS_WEAK)
                        note_weak(o);
                if (o->info & OBJ_PENDING && mark.all)
                        note_pending(o);
        }
        mark.n = 0;
        mark.live += live;
}

static void clear_dead_weak(void)
{
        for (size_t i = 0; i < mark.nweak; i++)
                if (mark.weak[i]->target && !is_old(mark.weak[i]->target))
                        mark.weak[i]->target = NULL;
}

/* fill: of the blocks from FIRST_BLOCK on. */
static void mark_begin(bool all, uint64_t *map, uint16_t *fill)
{
        mark.all = all;
        mark.map = map;
        mark.fill = fill ? fill - FIRST_BLOCK : NULL;
        mark.n = mark.nweak = mark.ncard = 0;
        mark.live = 0;
        mark.failed = false;
}

/* ---- of an image (image.c) ---- */

void collect_mark_image(uint64_t *marks, uint64_t *map, uint16_t *fill)
{
        side.marks = marks;
        mark_begin(true, map, fill);
        mark_roots();
        mark_reachable(NULL, NULL);
}

void collect_mark_from(struct obj *o)
{
        mark_ref(&o, NULL);
        mark_reachable(NULL, NULL);
}

bool collect_marked(uint64_t *live, struct weakref ***weak, size_t *nweak)
{
        *live = mark.live;
        *weak = mark.weak;
        *nweak = mark.nweak;
        return !mark.failed;
}

static void give_back_lists(void)
{
        if (mark.stack)
                pvm_host->mem_free(mark.stack, mark.cap * sizeof(*mark.stack));
        if (mark.weak)
                pvm_host->mem_free(mark.weak, mark.weak_cap * sizeof(*mark.weak));
        if (mark.card)
                pvm_host->mem_free(mark.card, mark.card_cap * sizeof(*mark.card));
        memset(&mark, 0, sizeof(mark));
}

/* ---- young ---- */

static const char *card_address(uint64_t card)
{
        return block_address(FIRST_BLOCK) + card * CARD;
}

/* Those elements of a store that lie on the card. */
static void mark_elements(struct store *s, const char *card)
{
        struct obj **from = s->r, **end = s->r + s->len;
        struct grey g = grey();

        if ((char *)from < card)
                from = (struct obj **)card;
        if ((const char *)end > card + CARD)
                end = (struct obj **)(card + CARD);
        for (; from < end; from++)
                shade(&g, *from);
        mark.n = g.n;
}

static bool is_store(const struct obj *o)
{
        return obj_class(o)->kind == CLASS_REFS;
}

/* The old object that may reach into the card from before it: the last one in the block, or the large one that the block is of. Cards are asked for in rising order. */
static struct obj *object_before(uint64_t card)
{
        uint64_t first = card / CARDS * CARDS, c = card;
        uint32_t b = FIRST_BLOCK + (uint32_t)(card / CARDS), large = b;
        bool same = mark.before.card >= first && mark.before.card <= card;
        struct obj *o = same ? mark.before.o : NULL;

        if (kinds[b] == BLOCK_SMALL) {
                while (c > (same ? mark.before.card : first) && !side.marks[c - 1])
                        c--;
                if (c > (same ? mark.before.card : first))
                        o = unit_object(c * 64 - 1 - (unsigned)__builtin_clzl(side.marks[c - 1]));
        } else if (!same || !o) {
                while (kinds[large] == BLOCK_LARGE_NEXT && large != mark.before.block)
                        large--;
                if (kinds[large] == BLOCK_LARGE_NEXT)
                        large = mark.before.large;
                if (kinds[large] == BLOCK_LARGE && is_old(large_object(large)) && (large < b || card > first))
                        o = large_object(large);
                mark.before.large = large;
                mark.before.block = b;
        }
        mark.before.card = card;
        mark.before.o = o;
        return o;
}

/* Some old object may have got the reference. Before anything is marked: then young ones are told apart. */
static bool has_old(uint64_t card)
{
        const struct obj *before = side.marks[card] ? NULL : object_before(card);

        return side.marks[card] ||
               (before && is_store(before) && (const char *)before + obj_size(before) > card_address(card));
}

static void find_dirty(void)
{
        uint64_t n = (root()->frontier - FIRST_BLOCK) * (uint64_t)CARDS;

        for (uint64_t card = 0; card < n; card += 8) {
                uint64_t *eight = (uint64_t *)(side.cards + card);

                if (!*eight)
                        continue;
                for (unsigned i = 0; i < 8; i++) {
                        if (!side.cards[card + i] || !has_old(card + i))
                                continue;
                        if (room_for((void **)&mark.card, &mark.card_cap, mark.ncard, sizeof(*mark.card)))
                                mark.card[mark.ncard++] = (uint32_t)(card + i);
                        else
                                mark.failed = true;
                }
                *eight = 0;
        }
}

static void mark_from_card(uint64_t card)
{
        struct obj *before = object_before(card);

        if (before && is_store(before))
                mark_elements((struct store *)before, card_address(card));
        for (uint64_t bits = side.marks[card]; bits; bits &= bits - 1) {
                struct obj *o = unit_object(card * 64 + (unsigned)__builtin_ctzl(bits));

                if (is_store(o))
                        mark_elements((struct store *)o, card_address(card));
                else
                        obj_each_ref(o, mark_ref, NULL);
                if (obj_class(o)->kind == CLASS_WEAK)
                        note_weak(o);
        }
}

static void mark_from_threads(void)
{
        for (struct thread *t = root()->threads; t; t = t->next) {
                unsigned n = 0;

                thread_fields(t, mark_ref, NULL);
                for (struct frame *f = t->top; f; f = f->prev) {
                        frame_each_ref(f, mark_ref, NULL);
                        if (f->flags & FRAME_SCANNED)
                                break;
                        if (++n % SCAN_FRAMES == 0)
                                f->flags |= FRAME_SCANNED;
                }
        }
}

static void set_given(bool used)
{
        for (size_t i = 0; i < given.n; i++)
                lines_set(given.run[i].block, given.run[i].from, given.run[i].to, used);
}

/* A hostile machine: what is not marked in the block is rubbish. */
static void fill_dead(uint32_t b)
{
        char *at = block_address(b), *end = at + PVM_BLOCK_BYTES;

        while (at < end) {
                char *next = at;

                while (next < end && !is_old((struct obj *)next))
                        next += 8;
                memset(at, 0xdb, (size_t)(next - at));
                at = next < end ? next + obj_size((struct obj *)next) : end;
        }
}

/* The block's lines, or its object, are what is marked: it is free if nothing is. */
static void sweep_block(uint32_t b)
{
        const uint64_t *used = lines[b];

        if (kinds[b] == BLOCK_SMALL && used[0] | used[1] | used[2] | used[3])
                find_holes(b);
        else if (kinds[b] == BLOCK_SMALL || (kinds[b] == BLOCK_LARGE && !is_old(large_object(b))))
                block_free(b);
}

void sweep_block_to(uint32_t b, const uint64_t *map)
{
        if (kinds[b] == BLOCK_SMALL && pvm_hostile)
                fill_dead(b);
        if (kinds[b] == BLOCK_SMALL && memcmp(lines[b], map, sizeof(lines[b])) != 0)
                memcpy(lines[b], map, sizeof(lines[b]));
        sweep_block(b);
}

void sweep_block_to_marks(uint32_t b)
{
        uint64_t first = (b - FIRST_BLOCK) * (uint64_t)CARDS, map[LINES / 64] = {0}, bytes = 0;

        for (unsigned card = 0; card < CARDS; card++)
                for (uint64_t bits = side.marks[first + card]; bits; bits &= bits - 1) {
                        const struct obj *o = unit_object((first + card) * 64 + (unsigned)__builtin_ctzl(bits));

                        use_lines(map - b * (LINES / 64), o, obj_size(o));
                        bytes += obj_size(o);
                }
        side.fill[b - FIRST_BLOCK] = (uint16_t)(bytes / 8);
        sweep_block_to(b, map);
}

static void sweep_given(void)
{
        for (size_t r = 0; r < given.n; r++) {
                uint32_t b = given.run[r].block;

                if (r + 1 < given.n && given.run[r + 1].block == b)
                        continue;
                image_handed_out(b);
                if (pvm_hostile && kinds[b] == BLOCK_SMALL)
                        fill_dead(b);
                sweep_block(b);
        }
}

/* What may be used beside what lives, so that collections are rare. */
static uint64_t room_beside(uint64_t live)
{
        uint64_t limit = pvm_limits.heap_bytes;

        if (!pvm_limits.use_heap || limit <= live)
                return 0;
        return limit - live < live ? limit - live : live;
}

/* When is the next one? When as much has died as may, if as much of it survives as did of these bytes. */
static void set_young_bytes(uint64_t bytes, uint64_t survived)
{
        uint64_t may_die = pvm_limits.young_bytes ? pvm_limits.young_bytes : YOUNG_BYTES,
                 most = pvm_limits.heap_bytes / 4, dead = bytes > survived ? bytes - survived : 0,
                 room = room_beside(heap_stats.live) / 2;

        /* What is young, and what died since it became old, is to be small beside what lives, or has room. */
        if (may_die > YOUNG_BYTES && room > YOUNG_BYTES)
                may_die = room;
        else if (may_die > YOUNG_BYTES && may_die > heap_stats.live / 24)
                may_die = heap_stats.live / 24 > YOUNG_BYTES ? heap_stats.live / 24 : YOUNG_BYTES;
        /* Where little survives a collection costs little, and what is made again and again should fit in the caches. */
        if (survived < bytes / 16 && may_die > YOUNG_BYTES)
                may_die = YOUNG_BYTES;
        young_bytes = dead > bytes / YOUNG_TIMES ? may_die * bytes / dead : may_die * YOUNG_TIMES;
        if (young_bytes > most)
                young_bytes = most;
}

static void collect_young(void)
{
        uint64_t began = pvm_host->monotonic_ns();

        if (pvm_hostile)
                check_before_young();
        mark_begin(false, lines[0], side.fill);
        set_given(false);
        mark.before.card = UINT64_MAX;
        mark.before.block = 0;
        find_dirty();
        mark.before.card = UINT64_MAX;
        for (size_t i = 0; i < mark.ncard; i++)
                mark_from_card(mark.card[i]);
        mark_from_threads();
        mark_roots();
        mark_reachable(NULL, NULL);
        if (mark.failed) {
                set_given(true);
                known = false;
                heap_wants = WANTS_FULL;
                return;
        }
        clear_dead_weak();
        sweep_given();
        if (given.bytes >= young_bytes / 2) /* of one that came early the rest would have died */
                set_young_bytes(given.bytes, mark.live);
        promoted += mark.live;
        heap_collected(true, heap_stats.live + promoted);
        collect_at = young_bytes;
        if (pvm_hostile)
                check_behind_young();
        heap_stats.young++;
        heap_stats.young_ns += pvm_host->monotonic_ns() - began;
}

/* ---- full ---- */

/* Everything that is reachable, anew. */
static void mark_all(void (*fn)(struct obj *o, void *arg), void *arg)
{
        uint64_t cards = (root()->frontier - FIRST_BLOCK) * (uint64_t)CARDS;

        memset(side.marks, 0, cards * sizeof(*side.marks));
        memset(side.cards, 0, cards);
        memset(side.fill, 0, (root()->frontier - FIRST_BLOCK) * sizeof(*side.fill));
        known = false;
        heap_no_holes();
        mark_roots();
        mark_reachable(fn, arg);
}

/* Replaced versions of which nothing runs any more. */
static void drop_versions(void)
{
        struct store *s = root()->versions;
        uint32_t n = 0;

        for (uint32_t i = 0; s && i < s->len; i++)
                if (is_old(s->r[i]))
                        s->r[n++] = s->r[i];
                else
                        class_drop_version((struct class_obj *)s->r[i]);
        for (uint32_t i = n; s && i < s->len; i++)
                s->r[i] = NULL;
        if (s && s->len != n)
                s->len = n;
}

/* The maps become what is marked. */
static void sweep_all(void)
{
        for (uint32_t b = FIRST_BLOCK; b < root()->frontier; b++)
                sweep_block_to(b, mark.map + b * (LINES / 64));
}

/*
 * How much may become old until the next one: a quarter of what lives, or, while there is ever more of that and little to be found, half; or half of what may be used beside it; but
 * something, and not more than half of what the limit leaves.
 */
static void set_full_at(uint64_t live)
{
        uint64_t least = grows ? 4 * FULL_LEAST : FULL_LEAST, part = grows ? live / 2 : live / 4,
                 limit = pvm_limits.heap_bytes, most = live < limit * 7 / 8 ? (limit - live) / 2 : limit / 16;

        if (part < room_beside(live) / 2)
                part = room_beside(live) / 2;
        full_at = part > least ? part : least;
        if (full_at > most)
                full_at = most;
}

/* Is it time for a full one? Sooner, if the heap is too large for what lives in it. */
static bool full_is_due(void)
{
        bool large =
                !grows && !pvm_limits.use_heap && root()->blocks_in_use * PVM_BLOCK_BYTES / 4 > heap_stats.live / 3;

        return promoted >= full_at || (large && promoted >= full_at / 3 && promoted >= FULL_LEAST / 2);
}

static void stood_still(uint64_t since)
{
        uint64_t ns = pvm_host->monotonic_ns() - since;

        if (ns > heap_stats.longest_ns)
                heap_stats.longest_ns = ns;
}

/* There are `live` bytes that live, of which promoted are left that became old since it was known what lives. */
static void full_is_over(uint64_t live, uint64_t before)
{
        grows = live > heap_stats.live + before / 2;
        heap_stats.live = live;
        promoted -= before;
        set_full_at(live);
        heap_stats.collections++;
}

/* Right behind a young collection. */
static void take_verdict(void)
{
        uint64_t began = pvm_host->monotonic_ns(), live, before;

        image_verdict(&live, &before);
        drop_versions();
        upgrade_collected();
        image_sweep_first();
        heap_collected(false, live + promoted - before);
        image_sweep();
        full_is_over(live, before);
        if (pvm_hostile)
                check_behind_young();
        heap_stats.images++;
        heap_stats.full_ns += pvm_host->monotonic_ns() - began;
}

static bool begin_image(void)
{
        uint64_t began = pvm_host->monotonic_ns();
        bool ok = image_begin(promoted);

        heap_stats.full_ns += pvm_host->monotonic_ns() - began;
        return ok;
}

void heap_collect(void)
{
        uint64_t began = pvm_host->monotonic_ns();
        size_t size = (root()->frontier - FIRST_BLOCK) * sizeof(*lines);
        uint64_t *map = pvm_host->mem_alloc(size), live = heap_stats.live;

        heap_safepoint(); /* it may be what somebody found no memory for */
        heap_wants = WANTS_NOTHING;
        image_abandon();
        mark_begin(true, map ? map - FIRST_BLOCK * (LINES / 64) : NULL, side.fill);
        mark.failed = !map;
        if (!mark.failed)
                mark_all(NULL, NULL);
        if (!mark.failed) {
                drop_versions();
                upgrade_collected();
                clear_dead_weak();
                sweep_all();
                heap_collected(false, mark.live);
                live = mark.live;
                known = true;
        } else {
                pvm_host->log("pvm: a collection was given up: no memory for marks\n");
        }
        full_is_over(live, promoted);
        collect_at = known ? young_bytes : given.bytes + full_at;
        heap_stats.full_ns += pvm_host->monotonic_ns() - began;
        if (map)
                pvm_host->mem_free(map, size);
        give_back_lists();
        stood_still(began);
}

/* ---- when ---- */

/*
 * A hostile machine collects at half of its safepoints, now like this, now like that. While there is an image, full collections that would abandon it are rare; at some safepoints it is
 * waited for.
 */
static enum heap_wants hostile_wants(uint32_t dice)
{
        static const enum heap_wants what[] = {WANTS_NOTHING, WANTS_NOTHING, WANTS_YOUNG, WANTS_FULL};

        if (!image_marking || dice >> 20 == 0xfff)
                return what[dice >> 30];
        while ((dice >> 24) % 16 == 1 && image_state() == IMAGE_MARKING)
                ;
        return dice >> 31 ? WANTS_YOUNG : WANTS_NOTHING;
}

void heap_collect_wanted(void)
{
        static uint32_t dice;
        uint64_t began = pvm_host->monotonic_ns();
        enum heap_wants what = heap_wants;
        enum image_state image;
        bool full;

        dice = dice * 1664525 + 1013904223;
        if (pvm_hostile && what == WANTS_NOTHING)
                what = hostile_wants(dice);
        image = image_state();
        if (what == WANTS_NOTHING && image == IMAGE_DECIDED)
                what = WANTS_YOUNG;
        full = (full_is_due() || (pvm_hostile && what == WANTS_YOUNG && (dice >> 20) % 512 == 0)) && !image_marking;
        if (image == IMAGE_FAILED || (what == WANTS_YOUNG && (!known || given.incomplete ||
                                                              (full && !image_possible(heap_stats.live + promoted)))))
                what = WANTS_FULL;
        heap_wants = WANTS_NOTHING;
        if (what == WANTS_NOTHING)
                return;
        if (what == WANTS_YOUNG)
                collect_young();
        if (what == WANTS_FULL)
                heap_collect();
        else if (!known)
                return; /* it was given up */
        else if (image == IMAGE_DECIDED)
                take_verdict();
        else if (full && !begin_image())
                heap_collect();
        else
                image_sweep();
        stood_still(began);
}

void pvm_snapshot_comes(void)
{
        if (!known || given.bytes < SNAPSHOT_LEAST)
                return;
        if (heap_wants == WANTS_NOTHING)
                heap_wants = WANTS_YOUNG;
        heap_collect_wanted();
}

void collect_begin(bool all_young)
{
        heap_stats = (struct pvm_stats){0};
        heap_wants = WANTS_NOTHING;
        known = all_young;
        promoted = 0;
        grows = true;
        set_full_at(0);
        set_young_bytes(1, 0);
        collect_at = known ? young_bytes : full_at;
}

void collect_forget(void)
{
        image_forget();
        give_back_lists();
}

void pvm_stats(struct pvm_stats *s)
{
        *s = heap_stats;
        s->blocks = root()->blocks_in_use;
        s->compiled = jit.methods;
        s->compiled_words = jit.words;
        s->code_bytes = jit.bytes;
        s->compile_ns = jit.ns;
}

/* ---- moving ---- */

bool heap_mark(void (*fn)(struct obj *o, void *arg), void *arg)
{
        image_abandon();
        mark_begin(true, NULL, NULL);
        mark.moved_words = (root()->frontier - FIRST_BLOCK) * (uint64_t)CARDS;
        mark.moved = pvm_host->mem_alloc(mark.moved_words * sizeof(*mark.moved));
        mark.failed = !mark.moved;
        if (!mark.failed)
                mark_all(fn, arg);
        return !mark.failed;
}

void heap_moved(struct obj *from, struct obj *to)
{
        mark.moved[unit_of(from) / 64] |= 1ul << unit_of(from) % 64;
        *(struct obj **)from = to;
}

/* What lies behind what was marked is new, and has not moved. */
static bool was_moved(const struct obj *o)
{
        return unit_of(o) / 64 < mark.moved_words && mark.moved[unit_of(o) / 64] >> unit_of(o) % 64 & 1;
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
        if (is_old(weak->target))
                forward_ref(&weak->target, NULL);
        else
                weak->target = NULL; /* it is as its class was before */
}

void heap_forward(struct obj **new, size_t n)
{
        struct obj **roots[] = ROOT_REFS(root());

        for (unsigned i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
                forward_ref(roots[i], NULL);
        for (uint64_t word = 0; word < mark.moved_words; word++)
                for (uint64_t bits = side.marks[word] & ~mark.moved[word]; bits; bits &= bits - 1)
                        forward(unit_object(word * 64 + (unsigned)__builtin_ctzl(bits)));
        for (size_t i = 0; i < n; i++)
                forward(new[i]);
}

void heap_unmark(void)
{
        if (mark.moved)
                pvm_host->mem_free(mark.moved, mark.moved_words * sizeof(*mark.moved));
        give_back_lists();
}
