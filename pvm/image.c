/*
 * image.c - full collections on an image of the heap, beside the program.
 *
 * At a safepoint, right behind a young collection, the host makes an image of all memory (S), in which somebody else marks, into memory that is shared with the machine; the machine
 * goes on. What was old in S and is not marked there can never be reached again: it was garbage then. At a later safepoint, again right behind a young collection, this verdict is taken:
 * such objects lose their marks, and blocks are swept.
 *
 *   NONE -image_begin-> MARKING -the marks are complete-> DECIDED -image_verdict, image_sweep_first-> NONE; blocks that were handed out meanwhile are swept behind the next young ones
 *   MARKING, DECIDED -image_abandon-> NONE; MARKING -there is no memory, or the image is killed-> FAILED -image_abandon-> NONE
 *
 * Invariants:
 *   I1  Behind a young collection all that lives is old. What is old keeps its mark, hence its place, until a verdict or a full collection; so an address that was an object's in S is
 *       that object's until the verdict, and its bytes stay what they are if it is dead.
 *   I2  The image is only read; what is shared is written by it alone, but for `asked`.
 *   I3  References come from roots, frames and fields, which S has, or from a weak load (image_weak_load): of what is in a weak reference, or is found in some other way than by
 *       strong references. A weak load asks the image to mark its object, and what that leads to in S, until it has decided; from then on it gives NULL for what the image has not marked.
 *   I4  Whatever moves objects, makes versions of classes, or clears marks abandons the image first.
 *
 * Nothing of this is known after a recovery.
 */
#include "pvm/heap.h"
#include "kernel/lib/string.h"

/*
 * If nobody says (pvm_limits). Less than this is marked within 30 ms, and in less processor time than an image takes: most of that goes into copies of the pages that are written meanwhile.
 */
#define IMAGE_BYTES (64ul << 20)
/* Blocks that need a look at each object, swept behind one young collection. */
#define SWEEP_AT_ONCE 256u

#define DECIDED (1ul << 63)

/* Shared memory begins with this. */
struct shared {
        uint64_t asked; /* weak loads so far; DECIDED: all of them are marked, and there will be no more */
        uint64_t live;  /* bytes; this and all tables but `asks` are final when it has decided */
};

bool image_marking;
static struct {
        uint32_t blocks; /* of S, from FIRST_BLOCK on */
        uint32_t classes;
        struct shared *shared;
        size_t bytes;
        /* In shared memory, by block: */
        uint64_t *
                marks; /* like side.marks; set, too, where no object was old in S. So what lives has its bit from the beginning or will get it */
        uint64_t *asks;                /* what weak loads have asked for: may be old in S */
        uint64_t (*lines)[LINES / 64]; /* what is marked reaches into them */
        uint64_t *weak;                /* a bit a card: a weak reference, marked, whose target is not */
        uint16_t *fill;                /* like side.fill */
        uint8_t *has_asks;
        uint8_t *pending; /* by class: some object waits for its migrate() */
        /* The machine's own: */
        uint8_t *
                handed_out; /* by block: some of it was handed out since S, so `lines` does not say what is in use. While sweeping: it is swept later than the others */
        uint32_t sweep_at;  /* of those: the ones before it have been swept */
        uint64_t promoted;  /* before S */
} image;

/* ---- in the image ---- */

static void mark_asked(const uint64_t *then)
{
        for (uint32_t b = 0; b < image.blocks; b++) {
                if (!__atomic_exchange_n(&image.has_asks[b], 0, __ATOMIC_ACQUIRE))
                        continue;
                for (unsigned card = 0; card < CARDS; card++) {
                        uint64_t unit = (b * (uint64_t)CARDS + card) * 64,
                                 bits = __atomic_load_n(&image.asks[unit / 64], __ATOMIC_RELAXED) & then[unit / 64];

                        for (; bits; bits &= bits - 1)
                                collect_mark_from(unit_object(unit + (unsigned)__builtin_ctzl(bits)));
                }
        }
}

/* What the machine needs to know beside the marks. Bits that another ask has made superfluous do no harm. */
static bool report(void)
{
        struct weakref **weak;
        size_t nweak;

        if (!collect_marked(&image.shared->live, &weak, &nweak))
                return false;
        for (size_t i = 0; i < nweak; i++)
                if (weak[i]->target && !is_old(weak[i]->target))
                        image.weak[card_of(weak[i]) / CARDS] |= 1ul << card_of(weak[i]) % CARDS;
        for (uint32_t i = 0; i < image.classes; i++)
                image.pending[i] = classes[i] && classes[i]->pending;
        return true;
}

/* Without DECIDED in the end: there was no memory. */
static void mark_image(void)
{
        const uint64_t *then = side.marks;
        uint64_t *marks = image.marks, asked = 0;

        for (uint64_t i = 0; i < image.blocks * (uint64_t)CARDS; i++)
                __atomic_store_n(&marks[i], ~then[i], __ATOMIC_RELAXED);
        collect_mark_image(marks, image.lines[0] - FIRST_BLOCK * (LINES / 64), image.fill);
        do {
                asked = __atomic_load_n(&image.shared->asked, __ATOMIC_ACQUIRE);
                mark_asked(then);
                if (!report())
                        return;
        } while (!__atomic_compare_exchange_n(&image.shared->asked, &asked, asked | DECIDED, false, __ATOMIC_RELEASE,
                                              __ATOMIC_RELAXED));
}

/* ---- beside it ---- */

static bool decided(void)
{
        return __atomic_load_n(&image.shared->asked, __ATOMIC_ACQUIRE) & DECIDED;
}

static bool is_marked(uint64_t unit)
{
        return __atomic_load_n(&image.marks[unit / 64], __ATOMIC_RELAXED) >> unit % 64 & 1;
}

struct obj *image_ask(struct obj *o)
{
        uint64_t unit = unit_of(o), asked;

        if (unit / 64 / CARDS >= image.blocks || !is_old(o) || is_marked(unit))
                return o;
        __atomic_fetch_or(&image.asks[unit / 64], 1ul << unit % 64, __ATOMIC_RELAXED);
        __atomic_store_n(&image.has_asks[unit / 64 / CARDS], 1, __ATOMIC_RELEASE);
        asked = __atomic_load_n(&image.shared->asked, __ATOMIC_ACQUIRE);
        while (!(asked & DECIDED))
                if (__atomic_compare_exchange_n(&image.shared->asked, &asked, asked + 1, false, __ATOMIC_ACQ_REL,
                                                __ATOMIC_ACQUIRE))
                        return o;
        return is_marked(unit) ? o : NULL;
}

void image_forget(void)
{
        if (image_marking)
                pvm_host->image_end();
        if (image.shared)
                pvm_host->shared_free(image.shared, image.bytes);
        if (image.handed_out)
                pvm_host->mem_free(image.handed_out, image.blocks);
        memset(&image, 0, sizeof(image));
        image_marking = false;
}

bool image_possible(uint64_t live)
{
        uint64_t least = pvm_limits.image_bytes ? pvm_limits.image_bytes : IMAGE_BYTES;

        return pvm_host->image_begin && !image_marking && (pvm_hostile || live >= least);
}

bool image_begin(uint64_t promoted)
{
        uint64_t n = root()->frontier - FIRST_BLOCK, classes = root()->nclasses;
        char *p;

        image_forget(); /* what was not swept yet the next verdict sweeps */
        image.blocks = (uint32_t)n;
        image.classes = (uint32_t)classes;
        image.promoted = promoted;
        image.bytes = sizeof(*image.shared) +
                      n * (2 * CARDS * sizeof(*image.marks) + sizeof(*image.lines) + sizeof(*image.weak) +
                           sizeof(*image.fill) + 1) +
                      classes;
        image.shared = pvm_host->shared_alloc(image.bytes);
        image.handed_out = pvm_host->mem_alloc(n);
        if (image.shared && image.handed_out) {
                image.marks = (void *)(p = (char *)(image.shared + 1));
                image.asks = (void *)(p += n * CARDS * sizeof(*image.marks));
                image.lines = (void *)(p += n * CARDS * sizeof(*image.asks));
                image.weak = (void *)(p += n * sizeof(*image.lines));
                image.fill = (void *)(p += n * sizeof(*image.weak));
                image.has_asks = (void *)(p += n * sizeof(*image.fill));
                image.pending = (void *)(p + n);
                image_marking = !pvm_host->image_begin(mark_image);
        }
        if (!image_marking)
                image_forget();
        return image_marking;
}

enum image_state image_state(void)
{
        if (!image_marking)
                return IMAGE_NONE;
        if (decided())
                return IMAGE_DECIDED;
        /* It may have decided before it ended. */
        return pvm_host->image_runs() ? IMAGE_MARKING : decided() ? IMAGE_DECIDED : IMAGE_FAILED;
}

void image_handed_out(uint32_t b)
{
        if (image_marking && b - FIRST_BLOCK < image.blocks)
                image.handed_out[b - FIRST_BLOCK] = 1;
}

static bool is_dead(const struct obj *o)
{
        uint64_t unit = unit_of(o);

        return unit / 64 / CARDS < image.blocks && !is_marked(unit);
}

static void clear_weak(void)
{
        for (uint32_t b = 0; b < image.blocks; b++)
                for (uint64_t cards = image.weak[b]; cards; cards &= cards - 1) {
                        uint64_t card = b * (uint64_t)CARDS + (unsigned)__builtin_ctzl(cards);

                        for (uint64_t bits = side.marks[card]; bits; bits &= bits - 1) {
                                struct obj *o = unit_object(card * 64 + (unsigned)__builtin_ctzl(bits));
                                struct weakref *weak = (struct weakref *)o;

                                if (obj_class(o)->kind == CLASS_WEAK && weak->target && is_dead(weak->target))
                                        weak->target = NULL;
                        }
                }
}

void image_abandon(void)
{
        if (image_marking && decided()) /* who was told that an object is gone does not see it again */
                clear_weak();
        image_forget();
}

void image_verdict(uint64_t *live, uint64_t *promoted)
{
        uint64_t *marks = image.marks;

        for (uint64_t i = 0; i < image.blocks * (uint64_t)CARDS; i++)
                side.marks[i] &= marks[i];
        clear_weak();
        for (uint32_t i = 0; i < image.classes; i++)
                if (image.pending[i])
                        classes[i]->pending = true;
        *live = image.shared->live;
        *promoted = image.promoted;
}

void image_sweep_first(void)
{
        for (uint32_t i = 0, b = FIRST_BLOCK; i < image.blocks; i++, b++)
                if (!image.handed_out[i] || kinds[b] != BLOCK_SMALL) {
                        side.fill[i] = image.fill[i];
                        sweep_block_to(b, image.lines[i]);
                }
        pvm_host->image_end();
        pvm_host->shared_free(image.shared, image.bytes);
        image.shared = NULL;
        image_marking = false;
}

void image_sweep(void)
{
        unsigned left = SWEEP_AT_ONCE;

        if (image_marking || !image.handed_out)
                return;
        for (; image.sweep_at < image.blocks && left; image.sweep_at++) {
                uint32_t b = FIRST_BLOCK + image.sweep_at;

                if (!image.handed_out[image.sweep_at] || kinds[b] != BLOCK_SMALL)
                        continue;
                sweep_block_to_marks(b);
                heap_swept(b);
                left--;
        }
        if (image.sweep_at == image.blocks)
                image_forget();
}
