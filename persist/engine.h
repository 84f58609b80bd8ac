/*
 * engine.h - what the files of persist/ share among themselves. Nobody else includes it.
 */
#pragma once
#include <asm/errno.h>
#include "kernel/lib/string.h"
#include "persist/layout.h"
#include "persist/object.h"
#include "persist/section.h"

#define likely_(x)   __builtin_expect(!!(x), 1)
#define unlikely_(x) __builtin_expect(!!(x), 0)

/* A CPU's own list has at least this many pages when a section begins: SECTION_PAGES for it, the rest for the allocator's needs. */
#define CPU_CREDIT     (SECTION_PAGES + 8u)
#define CHAIN_PAGES    64u /* pages move between a CPU's list and the global one in chains of this many */
#define CPU_SPILL      (CPU_CREDIT + 4u * CHAIN_PAGES) /* a list that grows beyond this gives chains back */
#define META_DIRTY_MAX 128u                            /* the allocator's own pages a section may dirty */

#define persist_panic(...) persist_host->panic(__VA_ARGS__)
/* A broken invariant of our own, or misuse by kernel code. */
#define must(cond, ...)                                                                                                \
        do {                                                                                                           \
                if (unlikely_(!(cond)))                                                                                \
                        persist_panic(__VA_ARGS__);                                                                    \
        } while (0)

#ifdef PERSIST_HOSTED
#include <sched.h>
static inline void cpu_pause(void)
{
        sched_yield();
}
#else
static inline void cpu_pause(void)
{
        __asm__ volatile("pause" ::: "memory");
}
#endif

/* Volatile, for a few instructions; whoever holds one neither waits nor touches a page that may be absent. */
static inline void spin_take(uint32_t *word)
{
        while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE))
                cpu_pause();
}

static inline void spin_give(uint32_t *word)
{
        __atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

extern struct section *persist_sections[PERSIST_CPUS]; /* [V] set once per CPU */
extern unsigned persist_ncpus;                         /* [V] one more than the highest CPU number */

static inline struct root_page *root(void)
{
        return space_page(ROOT_PPN);
}

/* Can objects of the space with this root page be made today's? */
static inline bool schema_is_known(const struct root_page *r)
{
        uint32_t oldest = r->schema ? r->schema : 1;

        return oldest >= SPACE_SCHEMA_OLDEST && oldest <= SPACE_SCHEMA;
}

static inline struct page_record *record(ppn_t ppn)
{
        return (struct page_record *)(SPACE_START + RECORD_PPN * PAGE_BYTES) + ppn;
}

static inline bool space_contains(uint64_t addr)
{
        return addr - SPACE_START < SPACE_PAGES * PAGE_BYTES;
}

/* Where pages are, of a space with records up to records_end and this frontier. */
#define SPACE_RANGES 4u
struct page_range {
        ppn_t first, end;
};
static inline void space_ranges(struct page_range *range, uint64_t records_end, ppn_t frontier)
{
        range[0] = (struct page_range){ROOT_PPN, CPU_PPN + PERSIST_CPUS};
        range[1] = (struct page_range){RESIDENT_FIRST, resident_stop(records_end)};
        range[2] = (struct page_range){RECORD_FIRST, record_ppn(records_end)};
        range[3] = (struct page_range){DATA_PPN, frontier};
}

/* A word of the resident map. */
static inline uint64_t *resident_word(uint64_t index)
{
        return (uint64_t *)(SPACE_START + RESIDENT_PPN * PAGE_BYTES) + index / 64;
}

/* n bytes, a multiple of 16, at a 16-aligned address. Plain stores are the fastest for few; for many memset knows what the machine has (kernel/lib/string.c, kernel/arch: vector registers). */
static inline void zero16(void *p, size_t n)
{
        uint64_t *q = p, *end = (uint64_t *)((char *)p + (n & ~(size_t)63));

        if (n >= 512) {
                __builtin_memset(p, 0, n);
                return;
        }
        for (; q < end; q += 8) {
                q[0] = q[1] = q[2] = q[3] = q[4] = q[5] = q[6] = q[7] = 0;
                __asm__ volatile("" ::: "memory"); /* else the compiler makes it a call of memset */
        }
        for (end = (uint64_t *)((char *)p + n); q < end; q += 2) {
                q[0] = q[1] = 0;
                __asm__ volatile("" ::: "memory");
        }
}

/* memset knows the fastest way of the machine (kernel/lib/string.c, kernel/arch: vector registers). */
static inline void zero_page(void *p)
{
        memset(p, 0, PAGE_BYTES);
}

/* What space_forget() calls in each file. */
void lock_forget(void);
void page_forget(void);
void defer_forget(void);
void section_forget(void);
void snapshot_forget(void);
void check_forget(void);
void capture_forget(void);
void pager_forget(void);
void pins_forget(void);
void records_forget(void);
void reclaim_forget(void);

/* lock.c */
void space_lock(void); /* LOCK_SPACE, not in the section's list: held within one function of persist/ only */
void space_unlock(void);
void locks_release(struct section *s);
void locks_check_free(void); /* P3, all CPUs parked */

extern bool space_may_be_absent; /* [V] set for good when a page was made absent (space.c) */

/* page.c */
extern bool space_is_low; /* [V] memory is short: space_room takes a closer look */
void pages_refill(struct cpu_heap *h);
uint64_t pages_trim(uint64_t npages); /* the writer, outside barriers: free pages give frames back; how many */
void pages_spill(struct cpu_heap *h); /* the own list is longer than CPU_SPILL */
void run_free_now(struct cpu_heap *h, ppn_t ppn, unsigned order); /* takes LOCK_SPACE */
ppn_t run_alloc(unsigned order);                                  /* refs 1, kind PAGE_RUN; contents undefined */
void page_dirtied(ppn_t ppn); /* accounts one more dirty page to the running section */

bool page_let_go(struct cpu_heap *h, ppn_t ppn);
void pages_open(void);                  /* the space is a recovered one: none of its free pages has a frame */
int pages_open_own(struct cpu_heap *h); /* frames for a CPU's own list; 0 or -ENOMEM */

/* A single page whose grace period is over goes to the own list. The caller sees to pages_spill() in the end. */
static inline void page_free_now(struct cpu_heap *h, ppn_t ppn)
{
        struct page_record *r = record(ppn);

        must(r->kind != PAGE_FREE && !r->refs, "page %lx freed: kind %u, %u references", ppn, r->kind, r->refs);
        if (unlikely_(space_may_be_absent) && !page_let_go(h, ppn))
                return;
        h->count[r->kind]--;
        *r = (struct page_record){.next = h->free};
        h->free = (uint32_t)ppn;
        h->nfree++;
}

/* slab.c */
struct type_info {
        const struct space_type *type; /* NULL: a byte class, or not registered */
        uint16_t size, flags;          /* size as allocated; 0: no such type */
};
extern struct type_info type_info[SPACE_TYPES];
static inline bool type_is_resident(unsigned type)
{
        return type >= TYPE_BYTES || type_info[type].flags & SPACE_RESIDENT;
}

static inline bool record_is_resident(const struct page_record *r)
{
        enum { SOME = 1u << PAGE_META | 1u << PAGE_RUN | 1u << PAGE_SLAB };

        return SOME >> r->kind & 1 && (r->kind != PAGE_SLAB || type_is_resident(r->type));
}
void slab_free_now(struct cpu_heap *h, void *object);
/* A slab page, not at its place yet or a copy: its objects become today's version. 0, or -EOPNOTSUPP: of a version that nobody knows. */
int slab_migrate(struct slab *b, unsigned type);
void slab_list_add(uint32_t *head, ppn_t ppn);
/* Calls fn for every slab page of the type, present or not. */
void slab_pages(unsigned type, void (*fn)(ppn_t ppn, void *arg), void *arg);

/* defer.c */
extern uint64_t
        persist_generation; /* [V,a] raised when something was freed; each section carries the one it began with */
void defer_free(void *p);
void defer_drain(struct section *s);
void defer_each(void (*fn)(void *p)); /* all CPUs parked */

/* space.c */
extern bool space_checking; /* [V] checkers run: an absent page they meet is brought back */
void space_cpu_create(unsigned cpu);

/* capture.c */
extern bool capture_open; /* [V] some page of the frozen set may not be captured yet */
void capture_before_write(ppn_t ppn);
void capture_before_withdraw(ppn_t ppn);
/* The writer: the page of the set as it was at the barrier. NULL: it was free. Valid until capture_done(ppn). */
const void *capture_take(ppn_t ppn);
void capture_done(ppn_t ppn);
void capture_close(void); /* all of the set was taken: copies that were kept go */
uint64_t capture_copied(void);
bool capture_reserve(
        uint64_t
                n); /* the writer, before it freezes: so many copies are set aside. False: there is no memory for that */
uint64_t capture_spare(void); /* how many are */

/* Called for each page that is about to be written for the first time in the epoch, and by nobody else. */
static inline void page_note(ppn_t ppn)
{
        if (unlikely_(__atomic_load_n(&capture_open, __ATOMIC_ACQUIRE)))
                capture_before_write(ppn);
        if (persist_host->page_note_dirty(ppn))
                page_dirtied(ppn);
}

/* pin.c */
#define PINS_MAX (16u * SPACE_PINS) /* pages that devices write to at a time */
bool page_is_pinned(ppn_t ppn);     /* true for some that are not, too */
void pins_note_dirty(void); /* all CPUs parked, before they freeze: what devices write to is of the epoch that ends */

/* pager.c */
extern struct store *space_store; /* [V] NULL: the space is in memory alone */
int pager_bring(ppn_t ppn); /* for who cannot wait (boot, checkers), while nobody else uses the store: 0 or an error */
void pager_serve(void);     /* the writer: reads all pages that are wanted */
bool pager_waits(void);     /* some are still wanted: there was no memory for them */
int pager_fetch(ppn_t ppn); /* the writer, or boot: 0, -EIO, -ENOMEM */
uint64_t pager_fetched(void);

/* records.c */
int records_open(void);        /* recovery: the resident pages, and as many records as they need. 0 or an error */
bool records_fault(ppn_t ppn); /* somebody touched a page of records that is absent: true, it is there now */
bool records_missing(
        void); /* some have yet to come; the writer does nothing before they have, but records_step and reading what is wanted */
void records_step(void);            /* the writer: reads some of them */
uint64_t records_on_the_spot(void); /* how many were, by who touched them */
uint64_t records_frames(void);      /* that must stay free for them */
/* Around what the pager, and who reads ahead, want of the store: while records are missing there are others. No page of the space is touched in between. */
void turn_take(void);
void turn_give(void);
int resident_map_extend(
        const struct root_page *r); /* there is a place for the next page of records. LOCK_SPACE held; 0 or -ENOMEM */

/* Does the map say that there are resident pages in this page's page of records? */
static inline bool resident_is_noted(ppn_t ppn)
{
        uint64_t index = ppn / RECORDS_PAGE;

        return __atomic_load_n(resident_word(index), __ATOMIC_RELAXED) >> index % 64 & 1;
}

/* The page is about to become resident: the map says so. In a section that has changed something. */
static inline void resident_note(ppn_t ppn)
{
        uint64_t index = ppn / RECORDS_PAGE;

        if (unlikely_(!resident_is_noted(ppn)))
                __atomic_fetch_or(resident_word(index), 1ul << index % 64, __ATOMIC_RELAXED);
}

/* warm.c */
void warm_open(uint64_t number); /* the space was opened, for this life of its store */
void warm_note(ppn_t ppn);       /* the writer: this page was asked for */
bool warm_step(void);            /* the writer, when nothing else is due: true if it is to be called again at once */
uint64_t warm_read(void);
void warm_forget(void);

/* reclaim.c */
extern uint32_t space_gate; /* [V,a] not 0: a section that begins takes a closer look (reclaim_gate) */
void reclaim_look(void);    /* sets or clears it */
void reclaim_note(void);    /* sets it if there is a reason; from faults */
void reclaim_disk(void);    /* the writer, at the beginning and after each commit: is there room to grow? */
/* The writer, before and after each commit: makes room of what is dead, if there is none for the next one, or none to grow. */
void reclaim_settle(void);
bool reclaim_disk_full(void);
void reclaim_failed(void); /* before commits stop */
bool reclaim_must_wait(void);
extern bool space_at_once;                    /* space_fetch_at_once */
void reclaim_gate(struct section *s);         /* may abandon the section that is about to begin */
uint64_t reclaim_dirty_max(uint64_t nblocks); /* pages of an epoch, with a store of that size */
uint64_t reclaim_copies(void);                /* that must be set aside for the sections of all CPUs */
bool reclaim_wanted(void);
bool reclaim(void); /* the writer, between commits: true if it gained frames */
uint64_t reclaim_evicted(void);

/* scrub.c */
uint64_t scrub_step(uint64_t now_ns); /* the writer, when nothing else is due: returns when to call again */
void scrub_forget(void);

/* snapshot.c, check.c */
extern uint32_t snapshot_idle; /* [V,a] the writer sleeps, since nothing is dirty */
void snapshot_first_dirty(void);
bool page_evictable(
        ppn_t ppn); /* all CPUs parked: its contents can come back from the store, and nobody has it pinned */
void check_barrier(void);
bool check_is_dead(const void *object); /* space_checking: freed, and waiting for its grace period */
