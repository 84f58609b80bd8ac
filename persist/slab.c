/*
 * slab.c - typed objects and byte blocks.
 *
 * Each CPU owns one slab per type, its current one, and allocates from it without a lock. A slab that a CPU has used up goes to the
 * type's list of full slabs; when something in it is freed, to the partial list, from which CPUs take their next one. An object freed
 * into a slab that another CPU owns goes to the slab's `remote` list, which the owner takes over when it runs out. Freed here always
 * means: its grace period is over (defer.c).
 *
 * Locks: LOCK_SPACE guards the lists, owner changes, and everything in slabs without an owner. Only pushing to `remote` is atomic
 * instead, and it is done under LOCK_SPACE too, so that the owner cannot go away meanwhile.
 * Absence: slabs that a CPU owns are never absent; a slab list is linked through page records, and absent slabs are passed over, so
 * allocation meets no absent page (P14).
 */
#include "persist/engine.h"

#define MIGRATE_PAGES 32u   /* made dirty by one call of space_migrate */
#define MIGRATE_LOOKS 4096u /* and looked at by it */
#define FRESH_BATCH   8u    /* objects never used before that are linked into the free list at once */

struct type_info type_info[SPACE_TYPES];

static const uint16_t class_size[BYTE_CLASSES] = {16, 32, 48, 64, 96, 128, 192, 256, 320, 432, 576, 800, 1344, 2016};
static uint8_t class_of[BYTES_SLAB_MAX / 16 + 1]; /* by length / 16, rounded up */

void space_types_register(const struct space_type *table, unsigned ntypes)
{
        must(ntypes <= TYPE_BYTES, "%u types: the space has numbers for %u", ntypes, TYPE_BYTES);
        for (unsigned i = 1; i < ntypes; i++) {
                const struct space_type *t = &table[i];
                uint32_t align = t->flags & SPACE_ALIGN64 ? 64 : 16;

                if (!t->size)
                        continue;
                must(t->size <= BYTES_SLAB_MAX, "type %s: %u bytes do not fit a slab", t->name, t->size);
                type_info[i] = (struct type_info){t, (t->size + align - 1) & ~(align - 1), t->flags};
        }
        for (unsigned i = 0, c = 0; i <= BYTES_SLAB_MAX / 16; i++) {
                if (i * 16 > class_size[c])
                        c++;
                class_of[i] = c;
        }
        for (unsigned c = 0; c < BYTE_CLASSES;
             c++) /* owners of byte blocks are not told when they are read: resident */
                type_info[TYPE_BYTES + c] = (struct type_info){NULL, class_size[c], 0};
}

static inline struct slab *slab_of(const void *object)
{
        return (struct slab *)((uint64_t)object & ~(uint64_t)(PAGE_BYTES - 1));
}

static inline uint16_t *link_of(struct slab *b, uint32_t offset)
{
        return (uint16_t *)((char *)b + offset);
}

/*
 * Live bits change by plain read and write, by whoever may change the slab; another CPU may look at the bit of an object it is freeing
 * (which is set and stays so) while its neighbours change.
 */
static inline void live_set(struct slab *b, uint32_t offset)
{
        uint64_t *word = &b->live[offset >> 10];

        __atomic_store_n(word, *word | 1ul << (offset >> 4 & 63), __ATOMIC_RELAXED);
}

static inline void live_clear(struct slab *b, uint32_t offset)
{
        uint64_t *word = &b->live[offset >> 10];

        __atomic_store_n(word, *word & ~(1ul << (offset >> 4 & 63)), __ATOMIC_RELAXED);
}

static inline bool live_test(const struct slab *b, uint32_t offset)
{
        return __atomic_load_n(&b->live[offset >> 10], __ATOMIC_RELAXED) >> (offset >> 4 & 63) & 1;
}

static bool slab_has_room(const struct slab *b)
{
        return b->free || b->fresh + b->size <= PAGE_BYTES;
}

/* ---- lists of a type; LOCK_SPACE held ---- */

void slab_list_add(uint32_t *head, ppn_t ppn)
{
        struct page_record *r = record(ppn);

        r->prev = 0;
        r->next = *head;
        if (*head)
                record(*head)->prev = (uint32_t)ppn;
        *head = (uint32_t)ppn;
}

static void slab_list_remove(uint32_t *head, ppn_t ppn)
{
        struct page_record *r = record(ppn);

        if (r->prev)
                record(r->prev)->next = r->next;
        else
                *head = r->next;
        if (r->next)
                record(r->next)->prev = r->prev;
        r->next = r->prev = 0;
}

/* ---- inside one slab ---- */

/* The object's place becomes free. By the owner, or under LOCK_SPACE if there is none. */
static void put_local(struct slab *b, uint32_t offset)
{
        live_clear(b, offset);
        *link_of(b, offset) = b->free;
        b->free = offset;
        b->used--;
}

/* The owner takes over what others freed. True if that was anything. */
static bool remote_take(struct slab *b)
{
        uint32_t offset, next;

        if (!__atomic_load_n(&b->remote, __ATOMIC_RELAXED))
                return false;
        for (offset = __atomic_exchange_n(&b->remote, 0, __ATOMIC_ACQUIRE); offset; offset = next) {
                next = *link_of(b, offset);
                put_local(b, offset);
        }
        return true;
}

static void remote_push(struct slab *b, uint32_t offset)
{
        uint32_t first = __atomic_load_n(&b->remote, __ATOMIC_RELAXED);

        do
                *link_of(b, offset) = first;
        while (!__atomic_compare_exchange_n(&b->remote, &first, offset, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static struct slab *slab_create(unsigned type)
{
        const struct type_info *ti = &type_info[type];
        ppn_t ppn = space_page_alloc(PAGE_SLAB);
        struct slab *b = space_page(ppn);

        if (type_is_resident(type))
                resident_note(ppn);
        record(ppn)->type = type;
        *b = (struct slab){
                .type = type, .version = ti->type ? ti->type->version : 0, .size = ti->size, .fresh = SLAB_FIRST};
        return b;
}

/* A partial slab that is present, or NULL. LOCK_SPACE held. */
static struct slab *partial_take(struct root_page *r, unsigned type)
{
        unsigned tries = 16;

        for (uint32_t ppn = r->partial[type]; ppn && tries; ppn = record(ppn)->next, tries--) {
                if (space_may_be_absent && !persist_host->page_present(ppn))
                        continue;
                slab_list_remove(&r->partial[type], ppn);
                return space_page(ppn);
        }
        return NULL;
}

/* This CPU's slab of the type, with a free object in it. */
__attribute__((noinline)) static struct slab *slab_refill(struct section *s, unsigned type)
{
        struct cpu_heap *h = s->heap;
        struct slab *b = h->slab[type];
        struct root_page *r = root();

        must(type < SPACE_TYPES && type_info[type].size, "allocation of type %u, which is not registered", type);
        if (b && (slab_has_room(b) || remote_take(b)))
                goto found;
        space_lock();
        if (b) {
                __atomic_store_n(&b->owner, 0, __ATOMIC_RELAXED);
                slab_list_add(remote_take(b) ? &r->partial[type] : &r->full[type], space_ppn(b));
        }
        b = partial_take(r, type);
        if (b)
                __atomic_store_n(&b->owner, s->cpu + 1, __ATOMIC_RELAXED);
        space_unlock();
        if (!b) {
                b = slab_create(type);
                __atomic_store_n(&b->owner, s->cpu + 1, __ATOMIC_RELAXED);
        }
        h->slab[type] = b;
found:
        if (b->free)
                return b;
        for (unsigned i = 0; i < FRESH_BATCH && b->fresh + b->size <= PAGE_BYTES; i++) {
                *link_of(b, b->fresh) = b->free;
                b->free = b->fresh;
                b->fresh += b->size;
        }
        return b;
}

static inline void *alloc(struct section *s, unsigned type)
{
        struct slab *b = s->heap->slab[type];
        uint32_t offset;
        void *p;

        must(s->changed, "P14: object allocated before section_changes");
        if (unlikely_(!b || !b->free))
                b = slab_refill(s, type);
        offset = b->free;
        p = (char *)b + offset;
        b->free = *link_of(b, offset);
        b->used++;
        live_set(b, offset);
        zero16(p, b->size);
        return p;
}

void *space_alloc(unsigned type)
{
        return alloc(section_this(), type);
}

/* An object of a slab that another CPU owns, or nobody. */
__attribute__((noinline)) static void free_elsewhere(struct cpu_heap *h, struct slab *b, uint32_t offset)
{
        struct root_page *r = root();
        ppn_t ppn = space_ppn(b);
        bool had_room, empty = false;

        space_lock();
        if (__atomic_load_n(&b->owner, __ATOMIC_RELAXED)) {
                remote_push(b, offset);
                space_unlock();
                return;
        }
        had_room = slab_has_room(b);
        put_local(b, offset);
        if (!had_room) {
                slab_list_remove(&r->full[b->type], ppn);
                slab_list_add(&r->partial[b->type], ppn);
        }
        /* One empty slab is kept per type, so that a program at the edge does not make and break slabs. */
        if (!b->used && (record(ppn)->next || record(ppn)->prev)) {
                slab_list_remove(&r->partial[b->type], ppn);
                empty = true;
        }
        space_unlock();
        if (empty) {
                record(ppn)->refs = 0;
                page_free_now(h, ppn);
        }
}

/* The grace period of an object is over. Its slab is present. */
void slab_free_now(struct cpu_heap *h, void *object)
{
        struct slab *b = slab_of(object);
        uint32_t offset = (uint64_t)object % PAGE_BYTES;

        must(offset % 16 == 0 && live_test(b, offset), "%p freed, which is not a live object of type %u", object,
             b->type);
        if (likely_(__atomic_load_n(&b->owner, __ATOMIC_RELAXED) == section_this()->cpu + 1))
                put_local(b, offset);
        else
                free_elsewhere(h, b, offset);
}

void space_free(void *object)
{
        defer_free(object);
}

unsigned space_type_of(const void *object)
{
        return record(space_ppn(object))->type;
}

/* ---- byte blocks ---- */

static unsigned run_order(size_t len)
{
        unsigned order = 0;

        while ((size_t)PAGE_BYTES << order < len)
                order++;
        return order;
}

void *space_alloc_bytes(size_t len)
{
        unsigned order;
        ppn_t ppn;

        if (len <= BYTES_SLAB_MAX)
                return alloc(section_this(), TYPE_BYTES + class_of[(len + 15) / 16]);
        order = run_order(len);
        must(order < RUN_ORDERS, "block of %zu bytes: more than 64 pages", len);
        ppn = run_alloc(order);
        for (uint32_t i = 0; i < 1u << order; i++) {
                space_page_dirty(ppn + i);
                zero_page(space_page(ppn + i));
        }
        return space_page(ppn);
}

void space_free_bytes(void *block)
{
        if (block)
                defer_free(block);
}

size_t space_bytes_size(const void *block)
{
        const struct page_record *r = record(space_ppn(block));

        return r->kind == PAGE_RUN ? (size_t)PAGE_BYTES << r->order : type_info[r->type].size;
}

/* ---- walking ---- */

void slab_pages(unsigned type, void (*fn)(ppn_t ppn, void *arg), void *arg)
{
        const struct root_page *r = root();
        uint32_t next;

        for (unsigned cpu = 0; cpu < r->ncpus; cpu++) {
                const struct cpu_heap *h = space_page(CPU_PPN + cpu);

                if (h->slab[type])
                        fn(space_ppn(h->slab[type]), arg);
        }
        for (uint32_t ppn = r->partial[type]; ppn; ppn = next) {
                next = record(ppn)->next;
                fn(ppn, arg);
        }
        for (uint32_t ppn = r->full[type]; ppn; ppn = next) {
                next = record(ppn)->next;
                fn(ppn, arg);
        }
}

struct each {
        void (*fn)(void *object, void *arg);
        void *arg;
};

/* The bits of live[] without those of objects that came back and were not taken over yet. */
static void live_and_out(struct slab *b, uint64_t live[4])
{
        for (unsigned word = 0; word < 4; word++)
                live[word] = b->live[word];
        for (uint32_t offset = b->remote; offset; offset = *link_of(b, offset))
                live[offset >> 10] &= ~(1ul << (offset >> 4 & 63));
}

#define for_each_bit(live, word, bits)                                                                                 \
        for (unsigned word = 0; word < 4; word++)                                                                      \
                for (uint64_t bits = (live)[word]; bits; bits &= bits - 1)

static void *at_bit(struct slab *b, unsigned word, uint64_t bits)
{
        return (char *)b + (word * 64 + __builtin_ctzl(bits)) * 16;
}

static void each_in_slab(ppn_t ppn, void *arg)
{
        const struct each *e = arg;
        struct slab *b = space_page(ppn);
        uint64_t live[4];

        live_and_out(b, live);
        for_each_bit(live, word, bits)
        {
                void *object = at_bit(b, word, bits);

                if (!space_checking || !check_is_dead(object))
                        e->fn(object, e->arg);
        }
}

void space_each(unsigned type, void (*fn)(void *object, void *arg), void *arg)
{
        struct each e = {fn, arg};

        slab_pages(type, each_in_slab, &e);
}

/* ---- versions ---- */

int slab_migrate(struct slab *b, unsigned type)
{
        const struct space_type *t = type_info[type].type;
        uint64_t live[4];

        if (!t || b->version == t->version)
                return 0;
        if (b->type != type || b->version > t->version || !b->version || !t->migrate || b->size != type_info[type].size)
                return -EOPNOTSUPP;
        live_and_out(b, live);
        for_each_bit(live, word, bits) t->migrate(at_bit(b, word, bits), b->version);
        __atomic_store_n(&b->version, t->version, __ATOMIC_RELEASE);
        return 0;
}

bool space_is_migrated(void)
{
        return root()->schema == SPACE_SCHEMA;
}

bool space_migrate(ppn_t *at)
{
        struct root_page *r = root();
        ppn_t pages[MIGRATE_PAGES], ppn = *at ? *at : DATA_PPN;
        unsigned n = 0;

        for (ppn_t end = ppn + MIGRATE_LOOKS; ppn < end && ppn < r->frontier && n < MIGRATE_PAGES; ppn++) {
                const struct page_record *p = record(ppn);

                if (p->kind != PAGE_SLAB || !type_info[p->type].type || !type_info[p->type].type->migrate)
                        continue;
                (void)*(volatile char *)space_page(ppn);
                pages[n++] = ppn;
        }
        section_changes();
        for (unsigned i = 0; i < n; i++)
                space_page_dirty(pages[i]);
        *at = ppn;
        if (ppn < r->frontier)
                return false;
        r->schema = SPACE_SCHEMA;
        return true;
}
