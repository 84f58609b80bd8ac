/*
 * lock.c - ranked volatile locks over persistent objects.
 * One table of words per rank, hashed by the object's address: no lock word is in the space, so nothing needs unlocking at recovery and
 * reading an object dirties nothing. A word holds the owner's CPU + 1. Two objects may share a word; that only makes them wait for each
 * other, since a section holds one word per rank (lock2: two).
 * Spinning keeps interrupts on: a CPU that waits serves shoot-downs. Sections end soon, so nobody sleeps here.
 * Invariants: P3. Order: enum lock_rank, checked at every lock().
 */
#include "persist/engine.h"

static volatile uint32_t words[LOCK_RANKS * LOCK_WORDS];

static const char *const rank_name[LOCK_RANKS] = {
        [LOCK_IPC] = "IPC",         [LOCK_RENAME] = "RENAME",
        [LOCK_FDTABLE] = "FDTABLE", [LOCK_MM] = "MM",
        [LOCK_FILE] = "FILE",       [LOCK_INODE] = "INODE",
        [LOCK_CHILD] = "CHILD",     [LOCK_FLOCK] = "FLOCK",
        [LOCK_NOTIFY] = "NOTIFY",   [LOCK_SOCKETS] = "SOCKETS",
        [LOCK_SOCK] = "SOCK",       [LOCK_PIPE] = "PIPE",
        [LOCK_TTY] = "TTY",         [LOCK_EVENT] = "EVENT",
        [LOCK_EPOLL] = "EPOLL",     [LOCK_PROCTREE] = "PROCTREE",
        [LOCK_SIGNAL] = "SIGNAL",   [LOCK_TIMER] = "TIMER",
        [LOCK_FUTEX] = "FUTEX",     [LOCK_NODE] = "NODE",
        [LOCK_MAPPING] = "MAPPING", [LOCK_SPACE] = "SPACE",
};
_Static_assert(LOCK_RANKS == 23, "a new rank needs a name above");

static inline uint32_t index_of(enum lock_rank rank, const void *object)
{
        uint32_t h = (uint32_t)((uint64_t)object >> 4) * 0x9e3779b1u;

        return rank * LOCK_WORDS + h / (UINT32_MAX / LOCK_WORDS + 1);
}

__attribute__((noinline)) static void word_wait(volatile uint32_t *word, uint32_t self)
{
        uint32_t free = 0;
        unsigned turn = 0;

        while (!__atomic_compare_exchange_n(word, &free, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
                while (__atomic_load_n(word, __ATOMIC_RELAXED))
                        persist_host->spin(turn++);
                free = 0;
        }
}

static inline void word_lock(volatile uint32_t *word, uint32_t self)
{
        uint32_t free = 0;

        if (unlikely_(!__atomic_compare_exchange_n(word, &free, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
                word_wait(word, self);
}

static inline void word_unlock(uint32_t index)
{
        __atomic_store_n(&words[index], 0, __ATOMIC_RELEASE);
}

__attribute__((noinline, cold)) static void order_panic(const struct section *s, enum lock_rank rank)
{
        if (!s->active)
                persist_panic("lock %s outside a section", rank_name[rank]);
        persist_panic("lock order: %s wanted while %s is held", rank_name[rank],
                      rank_name[s->held[s->nheld] / LOCK_WORDS]);
}

/* The order leaves room for two entries a rank, which is what held[] has: it cannot overflow. */
void lock(enum lock_rank rank, const void *object)
{
        struct section *s = section_this();
        uint32_t n = s->nheld, index = index_of(rank, object);

        if (unlikely_(s->held[n] >= rank * LOCK_WORDS))
                order_panic(s, rank);
        word_lock(&words[index], s->cpu + 1);
        s->held[n + 1] = index;
        s->nheld = n + 1;
}

/* Drops a word that is not the newest. The others keep their order, which lock() relies on. */
__attribute__((noinline)) static void unlock_inner(struct section *s, uint32_t index)
{
        uint32_t i = s->nheld;

        while (i && s->held[i] != index)
                i--;
        must(i, "unlock of %s, which is not held", rank_name[index / LOCK_WORDS]);
        for (; i < s->nheld; i++)
                s->held[i] = s->held[i + 1];
        s->nheld--;
        word_unlock(index);
}

void unlock(enum lock_rank rank, const void *object)
{
        struct section *s = section_this();
        uint32_t n = s->nheld, index = s->held[n];

        if (unlikely_(index / LOCK_WORDS != rank)) {
                unlock_inner(s, index_of(rank, object));
                return;
        }
        s->nheld = n - 1; /* one word a rank, so this is the one; two are given back by unlock2 */
        word_unlock(index);
}

void lock2(enum lock_rank rank, const void *a, const void *b)
{
        struct section *s = section_this();
        uint32_t n = s->nheld, ia = index_of(rank, a), ib = index_of(rank, b);
        uint32_t low = ia < ib ? ia : ib, high = ia < ib ? ib : ia;

        if (unlikely_(s->held[n] >= rank * LOCK_WORDS))
                order_panic(s, rank);
        word_lock(&words[low], s->cpu + 1);
        s->held[++n] = low;
        if (low != high) {
                word_lock(&words[high], s->cpu + 1);
                s->held[++n] = high;
        }
        s->nheld = n;
}

void unlock2(enum lock_rank rank, const void *a, const void *b)
{
        struct section *s = section_this();
        uint32_t ia = index_of(rank, a), ib = index_of(rank, b);

        unlock_inner(s, ia);
        if (ia != ib)
                unlock_inner(s, ib);
}

bool lock_held(enum lock_rank rank, const void *object)
{
        return __atomic_load_n(&words[index_of(rank, object)], __ATOMIC_RELAXED) == section_this()->cpu + 1;
}

void locks_release(struct section *s)
{
        for (uint32_t i = s->nheld; i; i--)
                word_unlock(s->held[i]);
        s->nheld = 0;
}

void space_lock(void)
{
        word_lock(&words[LOCK_SPACE * LOCK_WORDS], section_this()->cpu + 1);
}

void space_unlock(void)
{
        word_unlock(LOCK_SPACE * LOCK_WORDS);
}

void locks_check_free(void)
{
        for (unsigned i = 0; i < LOCK_RANKS * LOCK_WORDS; i++)
                must(!words[i], "P3: lock %s, word %u, is held by CPU %u at the barrier", rank_name[i / LOCK_WORDS],
                     i % LOCK_WORDS, words[i] - 1);
}

void lock_forget(void)
{
        for (unsigned i = 0; i < LOCK_RANKS * LOCK_WORDS; i++)
                words[i] = 0;
}
