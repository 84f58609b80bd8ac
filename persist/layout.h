/*
 * layout.h - the allocator's own pages, as they lie in the space. What stands here is part of the format: it outlives the kernel.
 *
 *   page 0                     never mapped: a null pointer's page
 *   ROOT_PPN                   root page: the slots everything hangs on, global free lists
 *   CPU_PPN ...                one page per CPU: its free pages, current slabs, deferred frees
 *   RESIDENT_PPN ...           the resident map: a bit for each page of records
 *   RECORD_PPN ...             page records, 16 bytes a page, indexed by page number; only the parts in use have frames
 *   DATA_PPN ... frontier      pages of all other kinds; the frontier only grows
 *
 * All of these, below DATA_PPN, are resident: never absent, but for page records when a life begins (records.c). Everything here is [P].
 */
#pragma once
#include "persist/space.h"

#define PAGE_BYTES   4096u
#define PERSIST_CPUS 64u

#define ROOT_PPN     1ul
#define CPU_PPN      2ul
#define RESIDENT_PPN 1024ul
#define RECORD_PPN   4096ul
#define RECORDS_PAGE 256ul /* records in a page */
#define RECORD_PAGES (SPACE_PAGES / RECORDS_PAGE)
#define DATA_PPN     (RECORD_PPN + RECORD_PAGES)
#define RECORD_FIRST (RECORD_PPN + DATA_PPN / RECORDS_PAGE) /* the allocator's own pages have no records */

/* The page that has the record of ppn; with records_end: the first behind those that there are. */
static inline uint64_t record_ppn(uint64_t ppn)
{
        return RECORD_PPN + ppn / RECORDS_PAGE;
}

/*
 * Resident map: bit i is of the page of records RECORD_PPN + i. Set: there may be records of resident pages in it, those that are in memory from a life's beginning: runs, pages of
 * older deferred frees, slabs of byte blocks and of types with SPACE_RESIDENT. Clear: there is none.
 */
#define RESIDENT_BITS  (8ul * PAGE_BYTES)
#define RESIDENT_FIRST (RESIDENT_PPN + DATA_PPN / RECORDS_PAGE / RESIDENT_BITS)
_Static_assert(RESIDENT_PPN >= CPU_PPN + PERSIST_CPUS && RESIDENT_PPN + RECORD_PAGES / RESIDENT_BITS <= RECORD_PPN,
               "the resident map's place");

/* The first page behind those that the map has, with records up to records_end. */
static inline uint64_t resident_stop(uint64_t records_end)
{
        return RESIDENT_PPN + (records_end / RECORDS_PAGE + RESIDENT_BITS - 1) / RESIDENT_BITS;
}

#define SPACE_TYPES    128u /* type numbers: those of the users from 1, byte classes from TYPE_BYTES */
#define TYPE_BYTES     112u
#define BYTE_CLASSES   14u
#define BYTES_SLAB_MAX 2016u

#define RUN_ORDERS 7u    /* runs of 1 << order pages, order 0 only as a byte block of one page */
#define RUN_INNER  0x40u /* page_record.order of the pages of a run after its first */
#define FREE_BARE  0x80u /* page_record.order of a free page that has no frame */

struct page_record {
        uint32_t refs; /* [a] persistent references; 0 while free */
        uint8_t kind;  /* enum page_kind */
        uint8_t order; /* run: log2 of its pages, or RUN_INNER. Free: order of the free run it is, FREE_BARE */
        uint16_t type; /* slab: type number. First page of a free chain: how many pages the chain has */
        uint32_t next; /* free: next page of its list. Slab: list of its type */
        uint32_t prev; /* slab: list of its type. First page of a free chain: first page of the next chain */
};
_Static_assert(sizeof(struct page_record) == PAGE_BYTES / RECORDS_PAGE, "page record");

/* Guarded by LOCK_SPACE, but for the slots. */
struct root_page {
        uint64_t magic;
        uint32_t layout; /* LAYOUT_VERSION */
        uint32_t ncpus;  /* CPU pages that exist */
        void *slot[ROOT_SLOTS];
        uint64_t frontier;    /* first page never used */
        uint64_t records_end; /* first page without a record */
        uint64_t nfree;       /* free single pages with a frame in the chains below */
        uint32_t chains;      /* first page of the first chain of free pages */
        uint32_t bare;        /* first free single page without a frame */
        uint64_t nbare;
        struct {
                uint32_t framed, bare;   /* first page of the first free run */
                uint32_t nframed, nbare; /* how many runs */
        } run[RUN_ORDERS];
        uint32_t partial[SPACE_TYPES]; /* slabs of the type that no CPU owns and that have room */
        uint32_t full[SPACE_TYPES];    /* and those that have none */
        uint32_t schema;               /* no typed object is of an older schema than this; 0: 1 */
        uint32_t resident_map;         /* 1: there is one, and what it says holds; 0: not yet */
};
#define ROOT_MAGIC     0x5048414e544f4d31ul
#define LAYOUT_VERSION 1u
/*
 * Of everything in the space: layouts of types, type numbers, stages of progress records, hash functions. A store says of which it is; one of a newer schema,
 * or of one older than SPACE_SCHEMA_OLDEST, is not opened for writing. Raise it with every change that makes old contents mean something else, and say in the
 * types that change how they come over (space_type.migrate). README.md, "Schema", has the list.
 */
#define SPACE_SCHEMA        5u
#define SPACE_SCHEMA_OLDEST 1u
_Static_assert(sizeof(struct root_page) <= PAGE_BYTES, "root page");

/* Touched by its CPU only; by others at recovery and, read-only, when all CPUs are parked. */
#define BAG_ENTRIES 352u
struct cpu_heap {
        uint32_t free; /* first free page */
        uint32_t nfree;
        uint32_t bag_first, bag_end;      /* entries of bag[] in use */
        uint32_t chain_first, chain_last; /* pages of older deferred frees, linked by their records' next */
        uint64_t ndeferred;               /* entries in chain and bag */
        int64_t count[8]; /* pages per kind: allocations minus frees on this CPU; all CPUs' sum is the truth */
        struct slab *slab[SPACE_TYPES]; /* current slab of each type, owned by this CPU */
        void *bag[BAG_ENTRIES];         /* deferred frees, oldest first: objects, byte blocks, pages */
};
_Static_assert(PAGE_KINDS <= 8, "kinds fit in cpu_heap.count");
_Static_assert(sizeof(struct cpu_heap) <= PAGE_BYTES, "CPU page");

/* A page of older deferred frees, filled from the bag when that is full. */
struct bag_page {
        uint32_t first, end;
        void *entry[BAG_ENTRIES];
};
_Static_assert(sizeof(struct bag_page) <= PAGE_BYTES, "bag page");

/* What ROOT_WARM has: pages that were asked for in the first second of a life (warm.c), ascending. */
#define WARM_MAX 4092u
struct warm {
        uint32_t n, pad[3];
        uint32_t ppn[WARM_MAX];
};
_Static_assert(sizeof(struct warm) == 4 * PAGE_BYTES, "a run of pages");

/*
 * Slab: one page of objects of one type. Offsets are bytes from the page's start; 0 means none. An object's bit in live[] is its offset
 * / 16. An owned slab is changed by its owner alone, but for `remote`; an unowned one under LOCK_SPACE. Its list links are in the page's
 * record, so that an absent slab can be taken from a list.
 */
struct slab {
        uint16_t type, version, size;
        uint16_t used;  /* objects handed out and not come back (those in `remote` have not) */
        uint16_t free;  /* first free object; its first two bytes name the next */
        uint16_t fresh; /* first object never used */
        uint16_t owner; /* [a] CPU + 1; changes under LOCK_SPACE */
        uint16_t pad;
        uint32_t remote; /* [a] objects freed by other CPUs while this one owns the slab */
        uint32_t pad2[3];
        uint64_t live[4]; /* handed out and not come back */
};
#define SLAB_FIRST 64u
_Static_assert(sizeof(struct slab) == SLAB_FIRST, "slab header");
