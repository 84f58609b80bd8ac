/*
 * store_writer.c - the writer: a worker in a loop of snapshot_step() (persist/snapshot.c) and of what others want of the store (snap_request.c).
 */
#include "kernel/glue/store_writer.h"
#include "kernel/glue/snap_request.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"
#include "kernel/include/worker.h"
#include "persist/space.h"

#define WELL_NS (10 * NSEC_PER_SEC) /* a system that runs so long has come up well */

/*
 * All who wait for a page or for a commit wait for the writer, and so does the promise of how much is at risk: with one share of the CPU among a dozen busy programs a commit of 4,000 pages
 * took ten seconds. It weighs as much as 28 of them; what wakes from a sleep still goes before it.
 */
#define WRITER_NICE (-15)

static struct worker *writer;

/*
 * A wake that comes while the writer waits for the disk ends that wait, not the sleep below: without this word a commit that was asked for during another one, or the first change after it,
 * was seen when something else woke the writer, perhaps never.
 */
static bool woken; /* [a] since the writer last began to look */

/* The store is told that this boot went well, once it has. Returns when to look next; 0: no more. */
static uint64_t well(uint64_t since_ns)
{
        struct store *s = snapshot_store();
        int r;

        if (time_mono_ns() < since_ns + WELL_NS)
                return since_ns + WELL_NS;
        r = s && !snapshot_error() ? store_well(s) : 0;
        if (r)
                klog(LOG_WARN, "store: it cannot be noted that this boot went well: error %d", r);
        return 0;
}

static void run(void *arg)
{
        uint64_t next_ns, since_ns = time_mono_ns(), well_ns = since_ns;

        (void)arg;
        for (;;) {
                __atomic_store_n(&woken, false, __ATOMIC_SEQ_CST);
                if (snapshot_step(&next_ns)) {
                        snap_serve(snapshot_store());
                        if (well_ns)
                                well_ns = well(since_ns);
                        if (well_ns && (!next_ns || well_ns < next_ns))
                                next_ns = well_ns;
                }
                if (__atomic_load_n(&woken, __ATOMIC_SEQ_CST))
                        writer_yield();
                else
                        worker_sleep(next_ns);
        }
}

int writer_start(void)
{
        writer = worker_create("writer", run, NULL);
        if (!writer)
                return -ENOMEM;
        worker_set_nice(writer, WRITER_NICE);
        return 0;
}

const struct worker *writer_worker(void)
{
        return writer;
}

void writer_yield(void)
{
        if (worker_this()) /* else at boot, with nobody to give way to */
                worker_yield();
}

void writer_wake(void)
{
        __atomic_store_n(&woken, true, __ATOMIC_SEQ_CST);
        if (writer)
                worker_wake(writer);
}
