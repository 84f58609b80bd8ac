/*
 * old_pages.c - copies of pages of kept snapshots in memory, for persist/old.c: a hash table of entries, each with one frame, filled by the writer and used again by the clock's rule.
 *
 * An entry: EMPTY -> READING (fetch) -> READY or FAILED (done) -> READING for another page. A section that found a copy may look at it to its end, so a frame is used again only when
 * all sections that ran when the entry lost its page are over. The table is made when the first page is wanted; a 64th of memory is what it takes at most, with its frames a 32nd.
 * The test knob /proc/phantom/snapshot_live answers from the running space instead of the store: what reads snapshots can then be tried without a disk, and while nothing
 * changes it must find exactly what is there.
 */
#include "kernel/glue/old_pages.h"
#include "kernel/glue/snap_request.h"
#include "kernel/include/cpu.h"
#include "kernel/include/mem.h"
#include "kernel/include/sched.h"
#include "kernel/lib/hash.h"
#include "kernel/lib/string.h"
#include "persist/old.h"
#include "persist/section.h"
#include <asm/errno.h>

enum state { EMPTY, READING, READY, FAILED };
struct entry {
        uint64_t epoch;
        ppn_t ppn;
        struct entry *next; /* of its chain; EMPTY ones are in none */
        void *frame;        /* once it has one, it keeps it */
        uint8_t state, used;
        int error;
        struct snap_request request;
};

#define ENTRIES_MIN 256u
#define ENTRIES_MAX 65536u
#define USES        64u

static struct spinlock table_lock;
static struct entry *entries, **chains;
static uint64_t nentries, hand; /* a power of two */
static bool no_table;           /* there was no memory for it */
static struct {
        uint64_t epoch;
        uint32_t count;
} uses[USES];
uint32_t snapshot_live;

static struct entry **chain_of(uint64_t epoch, ppn_t ppn)
{
        return &chains[hash_pair(epoch, ppn) & (nentries - 1)];
}

static struct entry *lookup(uint64_t epoch, ppn_t ppn)
{
        struct entry *e = *chain_of(epoch, ppn);

        while (e && (e->epoch != epoch || e->ppn != ppn))
                e = e->next;
        return e;
}

static void unchain(struct entry *e)
{
        struct entry **at = chain_of(e->epoch, e->ppn);

        while (*at != e)
                at = &(*at)->next;
        *at = e->next;
        e->state = EMPTY;
}

static const void *find(uint64_t epoch, ppn_t ppn, int *error)
{
        const void *frame = NULL;
        struct entry *e;
        uint64_t f;

        *error = no_table ? -ENOMEM : 0;
        f = spin_lock(&table_lock);
        e = entries ? lookup(epoch, ppn) : NULL;
        if (e && e->state == READY) {
                e->used = 1;
                frame = e->frame;
        } else if (e && e->state == FAILED) {
                *error = e->error;
                if (e->error == -ENOMEM) /* the next one to ask tries again */
                        unchain(e);
        }
        spin_unlock(&table_lock, f);
        return frame;
}

static void done(struct snap_request *r)
{
        struct entry *e = container_of(r, struct entry, request);
        uint64_t f = spin_lock(&table_lock);

        e->error = r->status;
        e->state = r->status ? FAILED : READY;
        e->used = 1;
        spin_unlock(&table_lock, f);
        sched_wake(old_key(), ~0u);
}

static void make_table(void)
{
        uint64_t n = ENTRIES_MIN, f;
        size_t bytes;
        char *memory;

        while (n < ENTRIES_MAX && n * 2 <= frames_total() / 64)
                n *= 2;
        bytes = ALIGN_UP(n * (sizeof(struct entry) + sizeof(struct entry *)), PAGE_SIZE);
        memory = vmalloc(bytes);
        if (memory)
                memset(memory, 0, bytes);
        f = spin_lock(&table_lock);
        if (!memory) {
                no_table = !entries;
        } else if (!entries) {
                nentries = n;
                chains = (struct entry **)(memory + n * sizeof(struct entry));
                entries = (struct entry *)memory;
                memory = NULL;
        }
        spin_unlock(&table_lock, f);
        vfree(memory);
}

/* An entry to use anew; NULL: all are being read. */
static struct entry *victim(void)
{
        for (uint64_t i = 0; i < 2 * nentries; i++) {
                struct entry *e = &entries[hand++ & (nentries - 1)];

                if (e->state == EMPTY)
                        return e;
                if (e->state == READING)
                        continue;
                if (!e->used) {
                        unchain(e);
                        return e;
                }
                e->used = 0;
        }
        return NULL;
}

static void never(void *arg)
{
        (void)arg;
        __builtin_trap(); /* what read_live touches is present */
}

/* The running space's page. */
static int read_live(ppn_t ppn, void *to)
{
        struct space_stats stats;
        bool here = false;

        space_stats(&stats);
        if (ppn >= stats.pages_top)
                return -EIO;
        while (!here) {
                section_begin(never, NULL);
                if (ppn >= stats.pages_first && space_page_kind(ppn) == PAGE_FREE) {
                        memset(to, 0, PAGE_SIZE);
                        here = true;
                } else if (!space_page_absent(ppn)) {
                        memcpy(to, space_page(ppn), PAGE_SIZE);
                        here = true;
                }
                section_end();
                if (!here &&
                    space_fetch_start(ppn)) /* the live space's absent pages: only the test knob's come at once */
                        return -EIO;
        }
        return 0;
}

static void fetch(uint64_t epoch, ppn_t ppn)
{
        struct entry *e;
        uint64_t f, stamp;
        paddr_t pa;

        if (!entries)
                make_table();
        if (!entries)
                return;
        f = spin_lock(&table_lock);
        e = lookup(epoch, ppn) ? NULL : victim();
        if (e) {
                e->epoch = epoch;
                e->ppn = ppn;
                e->state = READING;
                e->next = *chain_of(epoch, ppn);
                *chain_of(epoch, ppn) = e;
        }
        spin_unlock(&table_lock, f);
        if (!e)
                return; /* somebody reads it, or everything is being read: there will be a wake-up */
        stamp = section_stamp();
        section_wait_passed(stamp);
        if (!e->frame && (pa = frame_alloc()))
                e->frame = direct(pa);
        e->request =
                (struct snap_request){.op = SNAP_READ_PAGE, .epoch = epoch, .ppn = ppn, .buf = e->frame, .done = done};
        if (!e->frame) {
                e->request.status = -ENOMEM;
                done(&e->request);
        } else if (snapshot_live) {
                e->request.status = read_live(ppn, e->frame);
                done(&e->request);
        } else {
                snap_submit(&e->request);
        }
}

bool old_pages_in_use(uint64_t epoch)
{
        uint64_t f = spin_lock(&table_lock);
        bool found = false;

        for (unsigned i = 0; i < USES; i++)
                found |= uses[i].count && uses[i].epoch == epoch;
        spin_unlock(&table_lock, f);
        return found;
}

static int use(uint64_t epoch, bool on)
{
        int r = on ? -EMFILE : -ENOENT;
        unsigned at = USES;
        uint64_t f;

        if (on && !snapshot_live && !snap_is_kept(epoch)) /* copies of its pages may still be here */
                return -ENOENT;
        f = spin_lock(&table_lock);
        for (unsigned i = 0; i < USES; i++) {
                if (uses[i].count && uses[i].epoch == epoch)
                        at = i;
                else if (at == USES && on && !uses[i].count)
                        at = i;
        }
        if (at < USES) {
                uses[at].epoch = epoch;
                uses[at].count += on ? 1u : -1u;
                r = 0;
        }
        spin_unlock(&table_lock, f);
        return r;
}

/* What was read live is not what the next one should find. */
void old_pages_live(uint64_t on)
{
        uint64_t f = spin_lock(&table_lock);

        snapshot_live = (uint32_t)on;
        for (uint64_t i = 0; i < nentries; i++)
                if (entries[i].state == READY || entries[i].state == FAILED)
                        unchain(&entries[i]);
        spin_unlock(&table_lock, f);
}

void old_pages_register(void)
{
        static const struct old_source source = {.find = find, .fetch = fetch, .use = use};

        old_source_register(&source);
}
