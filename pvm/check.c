/*
 * check.c - is the heap whole? Volatile memory of its own alone: neither marks nor cards are touched.
 */
#include "pvm/heap.h"
#include "kernel/lib/fmt.h"

static struct {
        char *why;
        size_t len;
        bool ok;
        bool all_old;   /* nothing is young */
        uint64_t *seen; /* like side.marks */
        struct obj **stack;
        size_t n, cap;
} check;

static void note_seen(struct obj *o)
{
        uint64_t unit = unit_of(o);

        if (check.seen[unit / 64] >> unit % 64 & 1)
                return;
        check.seen[unit / 64] |= 1ul << unit % 64;
        if (!room_for((void **)&check.stack, &check.cap, check.n, sizeof(*check.stack)))
                pvm_host->panic("no memory to check the heap");
        check.stack[check.n++] = o;
}

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
        if (!wrong && check.all_old && !is_old(o))
                wrong = "to what the collection has not found";
        if (wrong) {
                check.ok = false;
                fmt_append(check.why, check.len, 0, "reference at %p to %p: %s", (void *)ref, (const void *)o, wrong);
                return;
        }
        note_seen(*ref);
}

bool pvm_heap_check(char *why, size_t why_len)
{
        struct obj **roots[] = ROOT_REFS(root());
        size_t size = (root()->frontier - FIRST_BLOCK) * (size_t)CARDS * sizeof(*check.seen);

        check.why = why;
        check.len = why_len;
        check.ok = true;
        check.seen = pvm_host->mem_alloc(size);
        if (!check.seen)
                pvm_host->panic("no memory to check the heap");
        for (unsigned i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
                check_ref(roots[i], NULL);
        while (check.ok && check.n)
                obj_each_ref(check.stack[--check.n], check_ref, NULL);
        pvm_host->mem_free(check.seen, size);
        if (check.stack)
                pvm_host->mem_free(check.stack, check.cap * sizeof(*check.stack));
        check.stack = NULL;
        check.n = check.cap = 0;
        return check.ok;
}

static void check_card(struct obj **ref, void *arg)
{
        struct obj *o = arg;
        bool store = obj_class(o)->kind == CLASS_REFS;

        if (*ref && !is_old(*ref) && !side.cards[card_of(store ? (void *)ref : o)])
                pvm_host->panic("old %p of class %s refers at %p to young %p of class %s, and its card is clean",
                                (void *)o, obj_class(o)->name->text, (void *)ref, (void *)*ref,
                                obj_class(*ref)->name->text);
}

static bool runs(const struct obj *o)
{
        const struct thread *t = o->class == CLASS_thread ? root()->threads : NULL;

        while (t && &t->o != o)
                t = t->next;
        return t;
}

/* When each card of the block has been looked at. Blocks that wait to be swept behind an image may have more. */
static void check_fill(uint32_t b, uint64_t units)
{
        uint64_t fill = side.fill[b - FIRST_BLOCK];

        if (kinds[b] == BLOCK_SMALL && (fill < units || (fill > units && !heap_stats.images)))
                pvm_host->panic("block %u has %lu units of old objects, not %lu", b, units, fill);
}

void check_before_young(void)
{
        uint64_t units = 0;

        for (uint64_t card = 0; card < (root()->frontier - FIRST_BLOCK) * (uint64_t)CARDS; card++) {
                for (uint64_t bits = side.marks[card]; bits; bits &= bits - 1) {
                        struct obj *o = unit_object(card * 64 + (unsigned)__builtin_ctzl(bits));

                        units += obj_size(o) / 8;
                        if (!runs(o))
                                obj_each_ref(o, check_card, o);
                        if (obj_class(o)->kind == CLASS_WEAK)
                                check_card(&((struct weakref *)o)->target, o);
                }
                if (card % CARDS == CARDS - 1) {
                        check_fill(FIRST_BLOCK + (uint32_t)(card / CARDS), units);
                        units = 0;
                }
        }
}

void check_behind_young(void)
{
        char why[200];

        check.all_old = true;
        if (!pvm_heap_check(why, sizeof(why)))
                pvm_host->panic("behind a young collection: %s", why);
        check.all_old = false;
}
