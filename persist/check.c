/*
 * check.c - structure checkers: what must hold at every barrier, found by walking.
 * They run while all CPUs are parked, allocate nothing in the space and change nothing in it; what they need is one table in the host's
 * scratch memory: all objects that count references, and everything that is freed and waits (dead: it is neither walked nor may
 * anyone refer to it).
 * Invariants checked: P1, P3 (lock words), P4 (the host's part), P12, and that every page is in exactly one place.
 */
#include "persist/engine.h"

#define WALKERS 24

static void (*walkers[WALKERS])(const struct space_visitor *v);
static unsigned nwalkers;
static uint32_t walked_kinds;

void space_ref_walker_register(void (*walk)(const struct space_visitor *v), uint32_t page_kinds)
{
        for (unsigned i = 0; i < nwalkers; i++)
                if (walkers[i] == walk) /* recovery in place */
                        return;
        must(nwalkers < WALKERS, "too many reference walkers");
        walkers[nwalkers++] = walk;
        walked_kinds |= page_kinds;
}

/* ---- the table ---- */

static struct entry {
        uint64_t addr;
        uint32_t found;
        uint32_t dead;
} * table;
static uint64_t table_mask;
static uint32_t *page_found; /* by page number from DATA_PPN */

static struct entry *entry_of(uint64_t addr)
{
        uint64_t i = (addr >> 4) * 0x9e3779b97f4a7c15ul >> 20;

        while (table[i & table_mask].addr && table[i & table_mask].addr != addr)
                i++;
        return &table[i & table_mask];
}

bool check_is_dead(const void *object)
{
        return table && entry_of((uint64_t)object)->dead;
}

static void count_slab(ppn_t ppn, void *arg)
{
        *(uint64_t *)arg += ((const struct slab *)space_page(ppn))->used;
}

static void count_dead(void *p)
{
        (void)p;
        table_mask++;
}

static void enter_object(void *object, void *arg)
{
        (void)arg;
        entry_of((uint64_t)object)->addr = (uint64_t)object;
}

static void enter_dead(void *p)
{
        struct entry *e = entry_of((uint64_t)p);

        must(!e->dead, "%p was freed twice", p);
        e->addr = (uint64_t)p;
        e->dead = 1;
}

/* False: the host has no memory for the table. */
static bool table_build(void)
{
        uint64_t n = 0, size = 1024, npages = root()->frontier - DATA_PPN;

        for (unsigned type = 1; type < TYPE_BYTES; type++)
                if (type_info[type].flags & SPACE_OBJECT)
                        slab_pages(type, count_slab, &n);
        table = NULL;
        table_mask = 0;
        defer_each(count_dead);
        n += table_mask;
        while (size < 2 * n)
                size *= 2;
        table = persist_host->scratch(size * sizeof(*table) + npages * sizeof(*page_found));
        if (!table) {
                persist_host->log("persist: no memory to check %lu objects\n", n);
                return false;
        }
        zero16(table, size * sizeof(*table));
        page_found = (uint32_t *)(table + size);
        for (uint64_t i = 0; i < npages; i++)
                page_found[i] = 0;
        table_mask = size - 1;
        defer_each(enter_dead);
        for (unsigned type = 1; type < TYPE_BYTES; type++)
                if (type_info[type].flags & SPACE_OBJECT)
                        space_each(type, enter_object, NULL);
        return true;
}

/* ---- P1 ---- */

/* The place that holds the pointer, for messages. */
static struct {
        const void *object;
        unsigned type, offset;
} holder;

#define bad_pointer(what, p)                                                                                           \
        persist_panic("%s: %p, at offset %u of the %s %p", what, p, holder.offset, type_info[holder.type].type->name,  \
                      holder.object)

static bool slab_object_live(const void *p)
{
        const struct slab *b = space_page(space_ppn(p));
        uint32_t offset = (uint64_t)p % PAGE_BYTES;

        return offset >= SLAB_FIRST && (offset - SLAB_FIRST) % b->size == 0 &&
               (b->live[offset >> 10] >> (offset >> 4 & 63) & 1);
}

static void check_pointer(const void *p, unsigned kind)
{
        ppn_t ppn = space_ppn(p);
        const struct page_record *r = record(ppn);

        if (!space_contains((uint64_t)p))
                bad_pointer("P1: pointer out of the space", p);
        if (ppn < DATA_PPN || ppn >= root()->frontier || (r->kind == PAGE_FREE && kind != FIELD_TRAIL))
                bad_pointer("P1: pointer to a page that is not in use", p);
        if (kind == FIELD_BORROW || kind == FIELD_TRAIL)
                return;
        if (r->kind == PAGE_SLAB) {
                if (!slab_object_live(p) || entry_of((uint64_t)p)->dead)
                        bad_pointer("P1: pointer to an object that is not live", p);
        } else if (kind == FIELD_REF || (uint64_t)p % PAGE_BYTES || r->order >= RUN_ORDERS) {
                bad_pointer("P1: pointer to something else than an object or block", p);
        }
        if (kind == FIELD_REF && !(type_info[r->type].flags & SPACE_OBJECT))
                bad_pointer("P1: counted reference to an object without a count", p);
}

/* Calls fn for every pointer that is not NULL in the fields of live objects; sets `holder`. */
static void fields_of_object(void *object, void *arg)
{
        void (*fn)(const void *p, unsigned kind) = *(void (**)(const void *, unsigned))arg;
        unsigned type = space_type_of(object);

        holder.object = object;
        holder.type = type;
        for (const struct space_field *f = type_info[type].type->fields; f->count; f++) {
                for (unsigned i = 0; i < f->count; i++) {
                        void *p = *(void **)((char *)object + f->offset + i * sizeof(void *));

                        holder.offset = f->offset + i * sizeof(void *);
                        if (p)
                                fn(p, f->kind);
                }
        }
}

static void each_field(void (*fn)(const void *p, unsigned kind))
{
        for (unsigned type = 1; type < TYPE_BYTES; type++)
                if (type_info[type].type && type_info[type].type->fields)
                        space_each(type, fields_of_object, &fn);
}

static void check_roots(void)
{
        for (unsigned i = 0; i < ROOT_SLOTS; i++) {
                const void *p = root()->slot[i];
                ppn_t ppn = space_ppn(p);

                must(!p || (space_contains((uint64_t)p) && ppn >= DATA_PPN && ppn < root()->frontier &&
                            record(ppn)->kind != PAGE_FREE),
                     "P1: root slot %u has %p, which is not in use", i, p);
        }
}

void space_check_p1(void)
{
        space_checking = true;
        if (table_build()) {
                check_roots();
                each_field(check_pointer);
        }
        space_checking = false;
        table = NULL;
}

/* ---- P12 ---- */

static void count_object(const void *object)
{
        struct entry *e = entry_of((uint64_t)object);

        must(e->addr && !e->dead, "P12: counted reference to %p, which is not a live object", object);
        e->found++;
}

static void count_field(const void *p, unsigned kind)
{
        if (kind == FIELD_REF)
                count_object(p);
}

static void count_page(ppn_t ppn)
{
        must(ppn >= DATA_PPN && ppn < root()->frontier && record(ppn)->kind != PAGE_FREE,
             "P12: counted reference to page %lx, which is not in use", ppn);
        page_found[ppn - DATA_PPN]++;
}

static void compare_object(void *object, void *arg)
{
        const struct entry *e = entry_of((uint64_t)object);
        const struct object *o = object;

        (void)arg;
        must(e->found == o->refs, "P12: %s %p counts %u references, %u were found",
             type_info[space_type_of(object)].type->name, object, o->refs, e->found);
}

void space_check_p12(void)
{
        static const struct space_visitor visitor = {count_object, count_page};

        space_checking = true;
        if (!table_build())
                goto out;
        each_field(count_field);
        for (unsigned i = 0; i < nwalkers; i++)
                walkers[i](&visitor);
        for (unsigned type = 1; type < TYPE_BYTES; type++)
                if (type_info[type].flags & SPACE_OBJECT)
                        space_each(type, compare_object, NULL);
        for (ppn_t ppn = DATA_PPN; ppn < root()->frontier; ppn++) {
                const struct page_record *r = record(ppn);

                must(!(walked_kinds >> r->kind & 1) || r->refs == page_found[ppn - DATA_PPN],
                     "P12: page %lx of kind %u counts %u references, %u were found", ppn, r->kind, r->refs,
                     page_found[ppn - DATA_PPN]);
        }
out:
        space_checking = false;
        table = NULL;
}

/* ---- pages ---- */

/* A free list of single pages: each free, with or without frame as the list says. Returns its length. */
static uint64_t check_list(uint32_t first, unsigned order, const char *name)
{
        uint64_t n = 0;

        for (uint32_t ppn = first; ppn; ppn = record(ppn)->next, n++) {
                const struct page_record *r = record(ppn);

                must(r->kind == PAGE_FREE && !r->refs && r->order == order,
                     "page %x in list %s: kind %u, refs %u, order %x", ppn, name, r->kind, r->refs, r->order);
                must(space_store || persist_host->page_present(ppn) == !(order & FREE_BARE),
                     "page %x in list %s: its frame is %s", ppn, name, order & FREE_BARE ? "there" : "missing");
                must(n <= SPACE_PAGES, "list %s is a ring", name);
        }
        return n;
}

void space_check_pages(void)
{
        const struct root_page *r = root();
        uint64_t listed = 0, n, found[PAGE_KINDS] = {0};
        int64_t count[PAGE_KINDS] = {0};

        for (unsigned cpu = 0; cpu < r->ncpus; cpu++) {
                const struct cpu_heap *h = space_page(CPU_PPN + cpu);

                n = check_list(h->free, 0, "of a CPU");
                must(n == h->nfree, "CPU %u: %lu free pages, counted %u", cpu, n, h->nfree);
                listed += n;
                for (unsigned k = 0; k < PAGE_KINDS; k++)
                        count[k] += h->count[k];
        }
        n = 0;
        for (uint32_t ppn = r->chains; ppn; ppn = record(ppn)->prev)
                n += check_list(ppn, 0, "of free chains");
        must(n == r->nfree, "%lu pages in free chains, counted %lu", n, r->nfree);
        listed += n;
        n = check_list(r->bare, FREE_BARE, "of bare pages");
        must(n == r->nbare, "%lu bare pages, counted %lu", n, r->nbare);
        listed += n;
        for (unsigned order = 0; order < RUN_ORDERS; order++) {
                n = check_list(r->run[order].framed, order, "of free runs");
                must(n == r->run[order].nframed, "%lu free runs of order %u, counted %u", n, order,
                     r->run[order].nframed);
                listed += n << order;
                n = check_list(r->run[order].bare, order | FREE_BARE, "of bare runs");
                must(n == r->run[order].nbare, "%lu bare runs of order %u, counted %u", n, order, r->run[order].nbare);
                listed += n << order;
        }
        for (ppn_t ppn = DATA_PPN; ppn < r->frontier; ppn++) {
                must(record(ppn)->kind < PAGE_KINDS, "page %lx has kind %u", ppn, record(ppn)->kind);
                found[record(ppn)->kind]++;
                must(!record_is_resident(record(ppn)) || !r->resident_map || resident_is_noted(ppn),
                     "page %lx is resident, and the map does not say so", ppn);
        }
        must(found[PAGE_FREE] == listed, "%lu pages are free, %lu are in lists", found[PAGE_FREE], listed);
        for (unsigned k = PAGE_FREE + 1; k < PAGE_KINDS; k++)
                must(count[k] == (int64_t)found[k], "%lu pages of kind %u, counted %ld", found[k], k, count[k]);
}

void check_barrier(void)
{
        locks_check_free();
        persist_host->check_tracking();
        space_check_pages();
        space_check_p1();
        space_check_p12();
}

void check_forget(void)
{
        nwalkers = 0;
        walked_kinds = 0;
}
