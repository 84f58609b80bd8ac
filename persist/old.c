/*
 * old.c - reading the space as it was (old.h).
 * What this CPU's section wants and does not find is noted in `wanted`; the notes stand until the next section wants something. Volatile, touched by its CPU only.
 */
#include "persist/old.h"
#include "persist/engine.h"

struct wanted {
        uint64_t epoch;
        ppn_t ppn;
};
static struct {
        unsigned n;
        bool fetched; /* the dispatcher knows them: what is wanted from here on is a new list */
        struct wanted page[OLD_WANT_MAX];
} wanted[PERSIST_CPUS];
static const struct old_source *source;

void old_source_register(const struct old_source *s)
{
        source = s;
}

const void *old_key(void)
{
        return &source;
}

int old_use(uint64_t epoch, bool on)
{
        return source ? source->use(epoch, on) : -ENOENT;
}

/* NULL and false: not here yet. */
static const void *find(uint64_t epoch, ppn_t ppn, bool *known)
{
        const void *page = NULL;
        int error = -EIO;

        if (source && ppn && ppn < SPACE_PAGES)
                page = source->find(epoch, ppn, &error);
        *known = page || error;
        return page;
}

bool old_want(uint64_t epoch, ppn_t ppn)
{
        unsigned cpu = section_this()->cpu;
        bool known;

        (void)find(epoch, ppn, &known);
        if (!known && wanted[cpu].fetched) {
                wanted[cpu].n = 0;
                wanted[cpu].fetched = false;
        }
        if (!known && wanted[cpu].n < OLD_WANT_MAX)
                wanted[cpu].page[wanted[cpu].n++] = (struct wanted){epoch, ppn};
        return known;
}

void old_wait(void)
{
        struct section *s = section_this();

        if (!old_pending())
                return;
        must(!s->changed, "P14: an old page is wanted after the first change");
        section_abandon();
        persist_host->abandon(s->retry, s->retry_arg);
}

const void *old_page(uint64_t epoch, ppn_t ppn)
{
        bool known;
        const void *page = find(epoch, ppn, &known);

        if (!known) {
                old_want(epoch, ppn);
                old_wait();
        }
        return page;
}

bool old_pending(void)
{
        unsigned cpu = section_this()->cpu;

        return wanted[cpu].n && !wanted[cpu].fetched;
}

void old_fetch(void)
{
        unsigned cpu = section_this()->cpu;

        for (unsigned i = 0; i < wanted[cpu].n; i++)
                source->fetch(wanted[cpu].page[i].epoch, wanted[cpu].page[i].ppn);
        wanted[cpu].fetched = true;
}

bool old_arrived(void)
{
        unsigned cpu = section_this()->cpu;
        bool all = true, known;

        for (unsigned i = 0; i < wanted[cpu].n && all; i++) {
                (void)find(wanted[cpu].page[i].epoch, wanted[cpu].page[i].ppn, &known);
                all = known;
        }
        return all;
}

/* ---- the allocator's structures ---- */

static bool place(const void *at, size_t len, ppn_t *ppn, unsigned *offset)
{
        uint64_t addr = (uint64_t)at - SPACE_START;

        if (addr / PAGE_BYTES >= SPACE_PAGES || addr / PAGE_BYTES < DATA_PPN || len > PAGE_BYTES - addr % PAGE_BYTES)
                return false;
        *ppn = addr / PAGE_BYTES;
        *offset = addr % PAGE_BYTES;
        return true;
}

const void *old_root(uint64_t epoch, enum root_slot slot)
{
        const struct root_page *r = old_page(epoch, ROOT_PPN);

        if (!r || r->magic != ROOT_MAGIC || r->layout != LAYOUT_VERSION || !schema_is_known(r))
                return NULL;
        return r->slot[slot];
}

/* The copy in memory is what is migrated, once. */
static uint32_t migrating;

static bool as_today(const struct slab *b, unsigned type)
{
        bool known = true;

        if (__atomic_load_n(&b->version, __ATOMIC_ACQUIRE) == type_info[type].type->version)
                return true;
        spin_take(&migrating);
        known = !slab_migrate((struct slab *)b, type);
        spin_give(&migrating);
        return known;
}

const void *old_object(uint64_t epoch, const void *at, unsigned type)
{
        const struct type_info *ti = &type_info[type];
        const struct slab *b;
        unsigned offset;
        ppn_t ppn;

        if (!place(at, ti->size, &ppn, &offset) || offset < SLAB_FIRST || offset % 16)
                return NULL;
        b = old_page(epoch, ppn);
        if (!b || b->type != type || b->size != ti->size || !as_today(b, type) || (offset - SLAB_FIRST) % ti->size ||
            !(b->live[offset >> 10] >> (offset >> 4 & 63) & 1))
                return NULL;
        return (const char *)b + offset;
}

const void *old_bytes(uint64_t epoch, const void *at, size_t len)
{
        const char *page;
        unsigned offset;
        ppn_t ppn;

        if (!place(at, len, &ppn, &offset))
                return NULL;
        page = old_page(epoch, ppn);
        return page ? page + offset : NULL;
}

bool old_copy(uint64_t epoch, const void *at, void *to, size_t len)
{
        while (len) {
                size_t n = PAGE_BYTES - ((uint64_t)at & (PAGE_BYTES - 1));
                const void *from;

                n = n < len ? n : len;
                from = old_bytes(epoch, at, n);
                if (!from)
                        return false;
                memcpy(to, from, n);
                at = (const char *)at + n;
                to = (char *)to + n;
                len -= n;
        }
        return true;
}
