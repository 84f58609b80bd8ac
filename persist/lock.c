/*
 * lock.c - ranked volatile locks over persistent objects.
 * One table of words per rank, hashed by the object's address: no lock word is in the space, so nothing needs unlocking at recovery and
 * reading an object dirties nothing. A word holds the owner's CPU + 1. Two objects may share a word; that only makes them wait for each
 * other, since a section holds one word per rank (lock2: two).
 * Spinning keeps interrupts on: a CPU that waits serves shoot-downs. Sections end soon, so nobody sleeps here.
 * Invariants: P3. Order: enum lock_rank, checked at every lock().
 */
#include "persist/engine.h"

#define WORDS 128u

static volatile uint32_t words[LOCK_RANKS][WORDS];

static const char *const rank_name[LOCK_RANKS] = {
        [LOCK_IPC] = "IPC",     [LOCK_RENAME] = "RENAME",     [LOCK_FDTABLE] = "FDTABLE", [LOCK_MM] = "MM",
        [LOCK_FILE] = "FILE",   [LOCK_INODE] = "INODE",       [LOCK_FLOCK] = "FLOCK",     [LOCK_NOTIFY] = "NOTIFY",
        [LOCK_SOCK] = "SOCK",   [LOCK_PIPE] = "PIPE",         [LOCK_TTY] = "TTY",         [LOCK_EVENT] = "EVENT",
        [LOCK_EPOLL] = "EPOLL", [LOCK_PROCTREE] = "PROCTREE", [LOCK_SIGNAL] = "SIGNAL",   [LOCK_TIMER] = "TIMER",
        [LOCK_FUTEX] = "FUTEX", [LOCK_SPACE] = "SPACE",
};

static inline volatile uint32_t *word_of(enum lock_rank rank, const void *object)
{
        uint64_t h = (uint64_t)object >> 4;

        return &words[rank][(h ^ h >> 7 ^ h >> 17) % WORDS];
}

static void word_wait(volatile uint32_t *word, uint32_t self)
{
        uint32_t free = 0;

        while (!__atomic_compare_exchange_n(word, &free, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
                while (__atomic_load_n(word, __ATOMIC_RELAXED))
                        cpu_pause();
                free = 0;
        }
}

static inline void word_lock(volatile uint32_t *word, uint32_t self)
{
        uint32_t free = 0;

        if (unlikely_(!__atomic_compare_exchange_n(word, &free, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
                word_wait(word, self);
}

static inline void word_unlock(volatile uint32_t *word)
{
        __atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

static inline void held_push(struct section *s, volatile uint32_t *word, uint32_t rank)
{
        unsigned n = s->nheld;

        must(n < SECTION_HELD_MAX, "section holds too many locks, wants %s", rank_name[rank]);
        s->held[n].word = word;
        s->held[n].rank = rank;
        s->nheld = n + 1;
}

__attribute__((noinline, cold)) static void order_panic(const struct section *s, enum lock_rank rank)
{
        if (!s->active)
                persist_panic("lock %s outside a section", rank_name[rank]);
        persist_panic("lock order: %s wanted while %s is held", rank_name[rank], rank_name[s->held[s->nheld - 1].rank]);
}

static inline void order_check(const struct section *s, enum lock_rank rank)
{
        if (unlikely_(!s->active || (s->nheld && s->held[s->nheld - 1].rank >= rank)))
                order_panic(s, rank);
}

void lock(enum lock_rank rank, const void *object)
{
        struct section *s = section_this();
        volatile uint32_t *word = word_of(rank, object);

        order_check(s, rank);
        word_lock(word, s->cpu + 1);
        held_push(s, word, rank);
}

static void unlock_word(struct section *s, volatile uint32_t *word, enum lock_rank rank)
{
        unsigned i = s->nheld;

        while (i && s->held[i - 1].word != word)
                i--;
        must(i, "unlock of %s, which is not held", rank_name[rank]);
        for (s->nheld--; i <= s->nheld; i++) /* the others keep their order, which order_check() relies on */
                s->held[i - 1] = s->held[i];
        word_unlock(word);
}

void unlock(enum lock_rank rank, const void *object)
{
        unlock_word(section_this(), word_of(rank, object), rank);
}

void lock2(enum lock_rank rank, const void *a, const void *b)
{
        struct section *s = section_this();
        volatile uint32_t *low = word_of(rank, a), *high = word_of(rank, b), *swap;

        if (low > high) {
                swap = low;
                low = high;
                high = swap;
        }
        order_check(s, rank);
        word_lock(low, s->cpu + 1);
        held_push(s, low, rank);
        if (low == high)
                return;
        word_lock(high, s->cpu + 1);
        held_push(s, high, rank);
}

void unlock2(enum lock_rank rank, const void *a, const void *b)
{
        struct section *s = section_this();
        volatile uint32_t *wa = word_of(rank, a), *wb = word_of(rank, b);

        unlock_word(s, wa, rank);
        if (wa != wb)
                unlock_word(s, wb, rank);
}

bool lock_held(enum lock_rank rank, const void *object)
{
        return __atomic_load_n(word_of(rank, object), __ATOMIC_RELAXED) == section_this()->cpu + 1;
}

void locks_release(struct section *s)
{
        for (unsigned i = s->nheld; i--;)
                word_unlock(s->held[i].word);
        s->nheld = 0;
}

void space_lock(void)
{
        word_lock(&words[LOCK_SPACE][0], section_this()->cpu + 1);
}

void space_unlock(void)
{
        word_unlock(&words[LOCK_SPACE][0]);
}

void locks_check_free(void)
{
        for (unsigned rank = 0; rank < LOCK_RANKS; rank++)
                for (unsigned i = 0; i < WORDS; i++)
                        must(!words[rank][i], "P3: lock %s, word %u is held by CPU %u at the barrier", rank_name[rank], i,
                             words[rank][i] - 1);
}
