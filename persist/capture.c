/*
 * capture.c - a frozen page's contents, as they were at the barrier, are kept by whoever is first: the writer, which takes the pages of the frozen set one after the other, or the
 * CPU that wants to write to one (persistence.md, "Capture").
 *
 * State of a page of the set: frozen -> (under its bucket's lock) copied -> captured. The copy is written out; the live page keeps its frame and its mappings. A page that was
 * free at the barrier needs no copy: its record says so, as it was then. Records are pages of the set like others, and come before the pages they describe; so the
 * copies of the allocator's own pages are kept until all of the set is taken.
 * Invariant: P5. Locks: one word a bucket, volatile, innermost; interrupt handlers never come here.
 */
#include "persist/engine.h"

#define BUCKETS 1024u

struct copy {
        struct copy *next;
        ppn_t ppn;
        void *data;
};

bool capture_open;
static struct {
        uint32_t lock;
        struct copy *first;
} bucket[BUCKETS];
static uint64_t
        filled[BUCKETS / 64]; /* [a] buckets that got a copy since capture_close; it need not look at the others */
static uint64_t ncopied;
static struct copy *loose;            /* the writer's: its own copy of the page it has at hand */
static struct copy *spare;            /* [spare_lock] set aside for when memory is gone (P10) */
static uint64_t nspare, spare_wanted; /* [a] */
static uint32_t spare_lock;

static unsigned bucket_of(ppn_t ppn)
{
        return (ppn ^ ppn >> 10) % BUCKETS;
}

/* Its lock is held. */
static struct copy **find(unsigned i, ppn_t ppn)
{
        struct copy **at = &bucket[i].first;

        while (*at && (*at)->ppn != ppn)
                at = &(*at)->next;
        return at;
}

/* Its lock is held. */
static void bucket_add(unsigned i, struct copy *c)
{
        c->next = bucket[i].first;
        bucket[i].first = c;
        __atomic_fetch_or(&filled[i / 64], 1ul << i % 64, __ATOMIC_RELAXED);
}

static struct copy *copy_make(void)
{
        struct copy *c = persist_host->mem_alloc(sizeof(*c));

        if (!c)
                return NULL;
        c->data = persist_host->frame_get();
        if (c->data)
                return c;
        persist_host->mem_free(c, sizeof(*c));
        return NULL;
}

/* P10: what is set aside is enough for all sections that passed the gate. */
static struct copy *copy_new(ppn_t ppn)
{
        struct copy *c = copy_make();

        if (unlikely_(!c)) {
                spin_take(&spare_lock);
                c = spare;
                if (c) {
                        spare = c->next;
                        __atomic_store_n(&nspare, nspare - 1, __ATOMIC_RELAXED);
                }
                spin_give(&spare_lock);
                must(c, "P10: no memory to copy page %lx, which is frozen", ppn);
        }
        c->ppn = ppn;
        return c;
}

static void spare_add(struct copy *c)
{
        spin_take(&spare_lock);
        c->next = spare;
        spare = c;
        __atomic_store_n(&nspare, nspare + 1, __ATOMIC_RELAXED);
        spin_give(&spare_lock);
}

bool capture_reserve(uint64_t n)
{
        spare_wanted = n;
        while (capture_spare() < n) {
                struct copy *c = copy_make();

                if (!c)
                        return false;
                spare_add(c);
        }
        return true;
}

uint64_t capture_spare(void)
{
        return __atomic_load_n(&nspare, __ATOMIC_RELAXED);
}

/* What was taken from what is set aside comes back there first. */
static void copy_free(struct copy *c)
{
        if (capture_spare() < spare_wanted) {
                spare_add(c);
                return;
        }
        persist_host->frame_put(c->data);
        persist_host->mem_free(c, sizeof(*c));
}

/*
 * Was the page free at the barrier? Its record tells, if it is known as it was then: from the copy of its page, or because that was not written since. Else false: it is
 * then taken for a page in use. Own bucket's lock not held.
 */
static bool was_free(ppn_t ppn)
{
        ppn_t where = record_ppn(ppn);
        unsigned i = bucket_of(where);
        bool is_free = false;
        struct copy *c;

        if (ppn < DATA_PPN)
                return false;
        spin_take(&bucket[i].lock);
        c = *find(i, where);
        if (c)
                is_free = ((struct page_record *)c->data)[ppn % RECORDS_PAGE].kind == PAGE_FREE;
        else if (!persist_host->page_is_dirty(where))
                is_free = record(ppn)->kind == PAGE_FREE;
        spin_give(&bucket[i].lock);
        return is_free;
}

void capture_before_write(ppn_t ppn)
{
        unsigned i = bucket_of(ppn);
        bool is_free;

        if (!persist_host->page_frozen(ppn))
                return;
        is_free = was_free(ppn);
        spin_take(&bucket[i].lock);
        if (persist_host->page_frozen(ppn)) {
                if (!is_free) {
                        struct copy *c = copy_new(ppn);

                        __builtin_memcpy(c->data, space_page(ppn), PAGE_BYTES);
                        bucket_add(i, c);
                        __atomic_fetch_add(&ncopied, 1, __ATOMIC_RELAXED);
                }
                persist_host->page_captured(ppn);
        }
        spin_give(&bucket[i].lock);
}

void capture_before_withdraw(ppn_t ppn)
{
        if (__atomic_load_n(&capture_open, __ATOMIC_ACQUIRE))
                capture_before_write(ppn);
}

const void *capture_take(ppn_t ppn)
{
        unsigned i = bucket_of(ppn);
        bool is_free = was_free(ppn);
        struct copy *c;

        spin_take(&bucket[i].lock);
        c = *find(i, ppn);
        if (!c && !is_free && persist_host->page_frozen(ppn)) {
                if (ppn < DATA_PPN || !loose) {
                        c = copy_new(ppn);
                        bucket_add(i, c);
                } else {
                        c = loose;
                }
                __builtin_memcpy(c->data, space_page(ppn), PAGE_BYTES);
        }
        must(c || is_free, "P5: page %lx was written after the barrier, and nobody has a copy", ppn);
        persist_host->page_captured(ppn);
        spin_give(&bucket[i].lock);
        return c ? c->data : NULL;
}

void capture_done(ppn_t ppn)
{
        unsigned i = bucket_of(ppn);
        struct copy **at, *c = NULL;

        if (ppn < DATA_PPN)
                return;
        spin_take(&bucket[i].lock);
        at = find(i, ppn);
        if (*at) {
                c = *at;
                *at = c->next;
        }
        spin_give(&bucket[i].lock);
        if (!c)
                return;
        if (loose)
                copy_free(c);
        else
                loose = c;
}

static void bucket_empty(unsigned i)
{
        struct copy *c, *next;

        spin_take(&bucket[i].lock);
        c = bucket[i].first;
        bucket[i].first = NULL;
        spin_give(&bucket[i].lock);
        for (; c; c = next) {
                next = c->next;
                copy_free(c);
        }
}

void capture_close(void)
{
        __atomic_store_n(&capture_open, false, __ATOMIC_RELEASE);
        for (unsigned word = 0; word < BUCKETS / 64; word++)
                for (uint64_t bits = __atomic_exchange_n(&filled[word], 0, __ATOMIC_RELAXED); bits; bits &= bits - 1)
                        bucket_empty(word * 64 + (unsigned)__builtin_ctzl(bits));
        if (loose)
                copy_free(loose);
        loose = NULL;
}

uint64_t capture_copied(void)
{
        return __atomic_load_n(&ncopied, __ATOMIC_RELAXED);
}

void capture_forget(void)
{
        capture_close();
        spare_wanted = 0;
        for (struct copy *c; (c = spare); copy_free(c))
                spare = c->next;
        nspare = 0;
        ncopied = 0;
}
