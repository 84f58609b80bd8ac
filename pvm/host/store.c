/*
 * store.c - see store.h.
 *
 * Threads of the machine write at any time, each fault is its thread's own affair; snapshots are made while none of them runs.
 *
 * Units of 32 KiB are NONE (no access), CLEAN (read-only: as in the last snapshot) or DIRTY (writable, in the list). A store to a clean unit faults and makes it dirty. At a
 * safepoint the pages of dirty units whose contents have changed (by their 128-bit hash) are copied, the units become clean, and the writer's thread commits the copies
 * while the machine goes on. One snapshot at a time: the next one waits until the commit has ended, so what is at risk is what was done since.
 *
 * Pages that are free (pvm_pages_free) are not copied: the store has something older in them, or nothing. Units of such pages alone stay dirty: they are where new objects are made, and need no
 * fault to be written again. They come first in the list, and are looked at again when something else is dirty: so is the heap's line map, when one of their pages is not free any more.
 */
#define _GNU_SOURCE
#include "pvm/host/store.h"
#include "persist/host/filedisk.h"
#include "persist/host/hosted.h"
#include "persist/store/store.h"
#include "pvm/host.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define PAGE       4096ul
#define UNIT       PVM_BLOCK_BYTES
#define UNIT_PAGES (UNIT / PAGE)
#define HEAP_BYTES (PVM_BLOCKS_MAX * UNIT)

enum { NONE, CLEAN, DIRTY };

static int fd = -1;
static struct filedisk disk;
static struct store *store;
static uint8_t *state; /* of units */
static uint32_t *dirty;
static volatile uint32_t ndirty;
static uint32_t nfree;        /* the first so many were free when the last snapshot was taken */
static XXH128_hash_t *hashes; /* of pages, as they were committed last */
static uint64_t provided, provided_max;
static uint64_t commits, captured; /* captured: pages */

/* The snapshot that is being committed. */
static struct {
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool busy, end;
        int error;
        uint64_t clock_ns;
        size_t n;
        ppn_t *ppn;
        uint8_t *pages;
        size_t cap;
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *unit_address(uint64_t unit)
{
        return (void *)(PVM_HEAP_START + unit * UNIT);
}

static void protect(uint64_t unit, uint64_t n, int prot)
{
        if (!mprotect(unit_address(unit), n * UNIT, prot))
                return;
        perror("pvm: mprotect");
        _exit(2);
}

/* If the unit's state is `from`. Also by several threads at once. */
static void note_dirty(uint64_t unit, uint8_t from)
{
        if (__atomic_compare_exchange_n(&state[unit], &from, DIRTY, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                dirty[__atomic_fetch_add(&ndirty, 1, __ATOMIC_RELAXED)] = (uint32_t)unit;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
        uint64_t unit = ((uint64_t)info->si_addr - PVM_HEAP_START) / UNIT;

        (void)context;
        /* Of several threads that write to it at once one notes it; the others may be here before it is writable. */
        if ((uint64_t)info->si_addr - PVM_HEAP_START < HEAP_BYTES && state[unit] != NONE) {
                note_dirty(unit, CLEAN);
                protect(unit, 1, PROT_READ | PROT_WRITE);
                return;
        }
        signal(sig, SIG_DFL);
}

/* ---- the writer ---- */

static int commit(void)
{
        struct store_clock clock = {.mono_ns = writer.clock_ns};
        int r = store_commit_begin(store, writer.n, store_next_epoch(store), &clock);

        for (size_t i = 0; !r && i < writer.n; i++)
                r = store_commit_page(store, writer.ppn[i], writer.pages + i * PAGE);
        return r ? r : store_commit_end(store);
}

static void *write_snapshots(void *arg)
{
        pthread_mutex_lock(&writer.lock);
        for (;;) {
                while (!writer.busy && !writer.end)
                        pthread_cond_wait(&writer.changed, &writer.lock);
                if (!writer.busy)
                        break;
                pthread_mutex_unlock(&writer.lock);
                int r = commit();

                pthread_mutex_lock(&writer.lock);
                writer.busy = false;
                writer.error = r;
                commits++;
                pthread_cond_broadcast(&writer.changed);
        }
        pthread_mutex_unlock(&writer.lock);
        return arg;
}

static void make_room(size_t npages)
{
        if (npages <= writer.cap)
                return;
        free(writer.ppn);
        free(writer.pages);
        writer.cap = npages + npages / 2;
        writer.ppn = malloc(writer.cap * sizeof(*writer.ppn));
        writer.pages = malloc(writer.cap * PAGE);
        if (writer.ppn && writer.pages)
                return;
        fprintf(stderr, "pvm: no memory for a snapshot of %zu pages\n", npages);
        exit(2);
}

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static void copy_unit(uint64_t unit)
{
        uint8_t free = pvm_pages_free((uint32_t)unit);

        for (uint64_t page = unit * UNIT_PAGES; page < (unit + 1) * UNIT_PAGES; page++) {
                const void *p = (const void *)(PVM_HEAP_START + page * PAGE);
                XXH128_hash_t hash;

                if (free >> page % UNIT_PAGES & 1)
                        continue;
                hash = XXH3_128bits(p, PAGE);
                if (XXH128_isEqual(hash, hashes[page]))
                        continue;
                hashes[page] = hash;
                captured++;
                memcpy(writer.pages + writer.n * PAGE, p, PAGE);
                writer.ppn[writer.n++] = page + 1; /* 0 is no page */
        }
}

static void copy_dirty(void)
{
        uint32_t n;

        nfree = 0;
        for (uint32_t i = 0; i < ndirty; i++) {
                uint32_t unit = dirty[i];

                if (pvm_pages_free(unit) == 0xff) {
                        dirty[i] = dirty[nfree];
                        dirty[nfree++] = unit;
                }
        }
        n = ndirty - nfree;
        make_room(n * UNIT_PAGES);
        qsort(dirty + nfree, n, sizeof(*dirty), by_number);
        writer.n = 0;
        for (uint32_t i = nfree, run; i < ndirty; i += run) {
                for (run = 1; i + run < ndirty && dirty[i + run] == dirty[i] + run; run++)
                        ;
                protect(dirty[i], run, PROT_READ);
                memset(state + dirty[i], CLEAN, run);
                for (uint32_t unit = dirty[i]; unit < dirty[i] + run; unit++)
                        copy_unit(unit);
        }
        ndirty = nfree;
}

/* writer.lock held. */
static bool is_ready(void)
{
        return !writer.busy && !writer.error && ndirty > nfree;
}

bool heap_store_ready(void)
{
        bool ready;

        pthread_mutex_lock(&writer.lock);
        ready = is_ready();
        pthread_mutex_unlock(&writer.lock);
        return ready;
}

void heap_store_snapshot(uint64_t clock_ns, bool wait)
{
        pthread_mutex_lock(&writer.lock);
        while (wait && writer.busy)
                pthread_cond_wait(&writer.changed, &writer.lock);
        if (is_ready()) {
                copy_dirty();
                writer.clock_ns = clock_ns;
                if (wait) {
                        writer.error = commit();
                        commits++;
                } else {
                        writer.busy = true;
                        pthread_cond_broadcast(&writer.changed);
                }
        }
        if (writer.error) {
                fflush(stdout);
                fprintf(stderr, "pvm: the store takes no more commits: %s\n", strerror(-writer.error));
                _exit(2);
        }
        pthread_mutex_unlock(&writer.lock);
}

uint64_t heap_store_commits(void)
{
        return commits;
}

uint64_t heap_store_pages(void)
{
        return captured;
}

/* ---- opening ---- */

static void *reserve(size_t len)
{
        void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p != MAP_FAILED)
                return p;
        perror("pvm: mmap");
        exit(2);
}

int heap_store_provide(void *start, size_t len)
{
        uint64_t first = ((uint64_t)start - PVM_HEAP_START) / UNIT,
                 end = ((uint64_t)start + len - PVM_HEAP_START + UNIT - 1) / UNIT;

        for (uint64_t u = first; u < end; u++) {
                if (state[u] != NONE)
                        continue;
                if (provided + UNIT > provided_max)
                        return -ENOMEM;
                provided += UNIT;
                note_dirty(u, NONE);
                protect(u, 1, PROT_READ | PROT_WRITE);
        }
        return 0;
}

/* A new store appears under its name when it is whole. */
static int make(const char *path, uint64_t bytes)
{
        char temporary[4096];
        uint8_t uuid[16];
        int n = snprintf(temporary, sizeof(temporary), "%s.new", path), f, r = -EIO;

        if (n < 0 || (size_t)n >= sizeof(temporary))
                return -ENAMETOOLONG;
        f = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (f < 0)
                return -errno;
        filedisk_open(&disk, f, 0, bytes, false);
        if (getrandom(uuid, sizeof(uuid), 0) == sizeof(uuid) && !ftruncate(f, (off_t)bytes))
                r = store_format(&disk.d, uuid, PVM_HEAP_START);
        if (!r && (fsync(f) || rename(temporary, path)))
                r = -errno;
        close(f);
        if (r)
                unlink(temporary);
        return r;
}

/* Pages of the last commit, from `from` to `end`; all of it becomes clean. */
static int read_pages(uint64_t from, uint64_t end)
{
        for (uint64_t u = from / UNIT_PAGES; u < (end + UNIT_PAGES - 1) / UNIT_PAGES; u++) {
                protect(u, 1, PROT_READ | PROT_WRITE);
                for (uint64_t page = u * UNIT_PAGES; page < (u + 1) * UNIT_PAGES; page++) {
                        void *p = (void *)(PVM_HEAP_START + page * PAGE);
                        int r = store_read(store, page + 1, p);

                        if (r && r != -ENOENT)
                                return r;
                        hashes[page] = XXH3_128bits(p, PAGE);
                }
                if (state[u] == NONE)
                        provided += UNIT;
                state[u] = CLEAN;
                protect(u, 1, PROT_READ);
        }
        return 0;
}

bool heap_store_survives;

static int no_flush(struct store_disk *d)
{
        (void)d;
        return 0;
}

static int fail(const char *path, const char *what)
{
        fprintf(stderr, "pvm: %s: %s\n", path, what);
        return -1;
}

/* The image (image.c) of a machine that was killed just now may have the file for moments. */
static bool lock_file(int f)
{
        for (unsigned tries = 0; flock(f, LOCK_EX | LOCK_NB); tries++) {
                if (errno != EWOULDBLOCK || tries == 50)
                        return false;
                nanosleep(&(struct timespec){0, 10000000}, NULL);
        }
        return true;
}

int heap_store_open(const char *path, uint64_t heap_bytes, uint64_t *clock_ns)
{
        struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
        struct store_info info;
        struct stat st;
        uint64_t owner = 0, bytes = heap_bytes * 2 + (256ul << 20);
        sigset_t all, before;
        int r;

        hosted_quiet = true;
        if (stat(path, &st) && errno == ENOENT) {
                r = make(path, bytes);
                if (r)
                        return fail(path, strerror(-r));
        }
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st))
                return fail(path, strerror(errno));
        if (!lock_file(fd))
                return fail(path, "another machine runs on it");
        filedisk_open(&disk, fd, 0, (uint64_t)st.st_size, false);
        if (heap_store_survives)
                disk.d.flush = no_flush;
        while (!owner)
                if (getrandom(&owner, sizeof(owner), 0) != sizeof(owner))
                        return fail(path, "no random numbers");
        r = store_open(&disk.d, owner, &store);
        if (r)
                return fail(path, r == -ENOENT       ? "not a store"
                                  : r == -EOPNOTSUPP ? "a store of another version"
                                                     : strerror(-r));
        store_info(store, &info);
        if (info.base != PVM_HEAP_START)
                return fail(path, "the store is another system's");
        if (mmap((void *)PVM_HEAP_START, HEAP_BYTES, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != (void *)PVM_HEAP_START)
                return fail(path, "no room for the heap");
        state = reserve(PVM_BLOCKS_MAX);
        dirty = reserve(PVM_BLOCKS_MAX * sizeof(*dirty));
        hashes = reserve(HEAP_BYTES / PAGE * sizeof(*hashes));
        ndirty = nfree = 0;
        provided = 0;
        provided_max = (uint64_t)st.st_size / 2;
        *clock_ns = info.clock.mono_ns;
        if (sigaction(SIGSEGV, &sa, NULL))
                return fail(path, strerror(errno));
        r = read_pages(0, UNIT_PAGES);
        bool empty = !*(uint64_t *)PVM_HEAP_START;

        if (r)
                return fail(path, "the heap's first page cannot be read");
        if (!empty) {
                uint32_t frontier = pvm_frontier();
                uint64_t from, end;

                for (unsigned part = 0; !r && pvm_heap_part(part, frontier, &from, &end); part++)
                        r = read_pages(from / PAGE, (end + PAGE - 1) / PAGE);
                if (r)
                        return fail(path, "the heap cannot be read");
        } else {
                /* As if it had never been there. */
                state[0] = NONE;
                provided = 0;
        }
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        writer.end = writer.busy = false;
        writer.error = 0;
        r = pthread_create(&writer.thread, NULL, write_snapshots, NULL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r ? fail(path, strerror(r)) : !empty;
}

void heap_store_close(void)
{
        pthread_mutex_lock(&writer.lock);
        writer.end = true;
        pthread_cond_broadcast(&writer.changed);
        pthread_mutex_unlock(&writer.lock);
        pthread_join(writer.thread, NULL);
        store_leave(store);
        store_close(store);
        close(fd);
        munmap((void *)PVM_HEAP_START, HEAP_BYTES);
        munmap(state, PVM_BLOCKS_MAX);
        munmap(dirty, PVM_BLOCKS_MAX * sizeof(*dirty));
        munmap(hashes, HEAP_BYTES / PAGE * sizeof(*hashes));
        free(writer.ppn);
        free(writer.pages);
        writer.ppn = NULL;
        writer.pages = NULL;
        writer.cap = 0;
        signal(SIGSEGV, SIG_DFL);
}
