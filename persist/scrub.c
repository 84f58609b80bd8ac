/*
 * scrub.c - a pass over all that the store has, beside what else is to do: every page of the newest state and of the kept snapshots is read and compared with its checksum, each block once.
 * A damaged page that is in memory is noted dirty, so that the next commit writes it elsewhere; what is not in memory cannot be mended, and whoever reads it gets an error, as before. All is
 * told on the log. The writer's: it is done between commits, some pages at a time.
 * States are gone through from the oldest to the newest, and of each the blocks that were written after the one before: so a state that is kept or dropped meanwhile changes nothing but that
 * some blocks are read twice, or are left for the next pass.
 */
#include "persist/engine.h"
#include "persist/store/store.h"

#define STEP_PAGES  64u /* read in one step */
#define YIELD_PAGES 8u
#define STEP_LOOKS  8192u             /* and looked at */
#define STEP_NS     50000000ul        /* from step to step */
#define FIRST_NS    3600000000000ul   /* the first pass of a life begins after an hour, */
#define AGAIN_NS    604800000000000ul /* the next one a week after the last has begun */
#define TOLD_MAX    16u               /* damaged pages of a pass that the log names */

static uint32_t wanted;          /* [a] somebody asked for a pass */
static struct scrub_stats stats; /* [a] each field */
/* The writer's. */
static bool running;
static uint64_t begin_ns, step_ns; /* when the next pass, and the next step, are due; 0: not known yet */
static uint64_t since, epoch;      /* of the state that is read: blocks born after `since`; epoch 0: the newest */
static struct page_range ranges[SPACE_RANGES];
static unsigned nrange;
static ppn_t at;

void scrub_stats(struct scrub_stats *s)
{
        *s = stats;
}

void scrub_start(void)
{
        __atomic_store_n(&wanted, 1, __ATOMIC_RELEASE);
        persist_host->writer_wake();
}

/* The kept snapshot after `since`, else the newest state; which pages it may have. */
static int state_begin(void)
{
        static uint8_t page[PAGE_BYTES];
        const struct root_page *then = (const struct root_page *)page;
        int r;

        epoch = store_kept_after(space_store, since);
        r = epoch ? store_read_at(space_store, epoch, ROOT_PPN, page) : store_read(space_store, ROOT_PPN, page);
        if (!r && (then->magic != ROOT_MAGIC || then->frontier > SPACE_PAGES || then->records_end > SPACE_PAGES))
                r = -EIO;
        if (r)
                then = root(); /* as far as we know */
        space_ranges(ranges, then->records_end, then->frontier);
        nrange = 0;
        at = ranges[0].first;
        return r == -ENOMEM ? r : 0;
}

static void count(uint64_t *n)
{
        __atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

static void damaged(ppn_t ppn)
{
        bool mended = false;

        count(&stats.damaged);
        if (persist_host->page_present(ppn) && store_renew(space_store, epoch, ppn)) {
                page_note(ppn);
                count(&stats.mended);
                mended = true;
        }
        if (stats.damaged > TOLD_MAX)
                return;
        persist_host->log("store: page %lx of %s %lu is damaged on the disk; %s\n", ppn,
                          epoch ? "kept snapshot" : "epoch", epoch ? epoch : snapshot_epoch(),
                          mended ? "it is in memory, and is written anew" : "whoever reads it gets an error");
}

/* The pass goes on for a step. */
static int step(void)
{
        unsigned looked = 0, read = 0;

        while (looked++ < STEP_LOOKS && read < STEP_PAGES) {
                int r;

                while (nrange < SPACE_RANGES && at >= ranges[nrange].end)
                        at = ++nrange < SPACE_RANGES ? ranges[nrange].first : 0;
                if (nrange == SPACE_RANGES) {
                        if (!epoch) {
                                running = false;
                                persist_host->log("store: all pages were read, %lu in %lu states: %lu damaged, %lu of "
                                                  "them written anew\n",
                                                  stats.pages, stats.states + 1, stats.damaged, stats.mended);
                                count(&stats.passes);
                                return 0;
                        }
                        count(&stats.states);
                        since = epoch;
                        r = state_begin();
                        if (r)
                                return r;
                        continue;
                }
                r = store_verify(space_store, epoch, at, since);
                if (r == -ENOMEM)
                        return r;
                if (r == -ENOENT && epoch && store_kept_after(space_store, epoch - 1) != epoch) {
                        r = state_begin(); /* it was dropped */
                        if (r)
                                return r;
                        continue;
                }
                if (r != -ENOENT) {
                        count(&stats.pages);
                        if (++read % YIELD_PAGES == 0) { /* who waits for a page does not wait for all of these */
                                pager_serve();
                                persist_host->writer_yield();
                        }
                }
                if (r == -EIO)
                        damaged(at);
                at++;
        }
        return 0;
}

uint64_t scrub_step(uint64_t now_ns)
{
        if (!begin_ns)
                begin_ns = now_ns + FIRST_NS;
        if (!running && (__atomic_exchange_n(&wanted, 0, __ATOMIC_ACQUIRE) || now_ns >= begin_ns)) {
                begin_ns = now_ns + AGAIN_NS;
                step_ns = now_ns;
                since = 0;
                stats = (struct scrub_stats){.passes = stats.passes};
                running = state_begin() == 0;
        }
        if (running && now_ns >= step_ns) {
                if (step())
                        running = false; /* no memory: another time */
                step_ns = now_ns + STEP_NS;
        }
        stats.running = running;
        return running ? step_ns : begin_ns;
}

void scrub_forget(void)
{
        stats = (struct scrub_stats){0};
        running = false;
        begin_ns = step_ns = 0;
        wanted = 0;
}
