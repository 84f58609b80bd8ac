/*
 * pvm_sim.c - programs of the object machine on a store whose disk loses power: the bank and tetris.
 *
 * usage: pvm_sim [-n STATES] [-s SEED] CLASSES LIBRARY
 *
 * A life is a process that runs the machine; what it writes to its disk is recorded, and so is how far the program was, in its output and its input, at each snapshot. A cut takes the disk as it was, all
 * writes before the last flush in front of the cut, and of the later ones any subset, in any order, torn at 512 bytes. From each such state the machine is recovered: its heap is whole, it is at a snapshot that
 * was taken, none that was acknowledged is lost, and the program, run on to its end, prints just what was left of what it prints undisturbed. Then one of the states is where the next life begins, so recoveries are cut,
 * too. A seed repeats the choices, not the runs: these have clocks and threads.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "persist/host/filedisk.h"
#include "persist/host/hosted.h"
#include "persist/host/simdisk.h"
#include "persist/store/format.h"
#include "pvm/host/host.h"
#include "pvm/host/store.h"
#include "pvm/machine.h"

#define MAX_SNAPSHOTS 64u
#define MAX_TEXT      4096u
#define HEAP          (8ul << 20)
#define IMAGE         (HEAP * 2 + (256ul << 20)) /* how large pvm/host/store.c makes a file for such a heap */
#define STATES_A_LIFE 40u

/* In memory that a life and its parent share, as the disk is. */
static struct simdisk *disk;
static struct recording {
        uint32_t nsnapshots;
        size_t begin; /* the operation from which on it may be cut: a new store's file has its name by then */
        /* [0]: where the life began */
        struct taken {
                uint64_t clock;
                size_t ops; /* acknowledged before the next one of these */
                uint32_t in, out;
        } snapshot[MAX_SNAPSHOTS];
        char expected[MAX_TEXT]; /* what the program prints when nothing happens */
} * recording;

static const struct workload {
        const char *class, *argument;
        bool keys;
} workloads[] = {{".test.audited", NULL, false}, {".programs.tetris", "steps", true}};
static const struct workload *workload;
static char input[MAX_TEXT];

static const char *programs, *library;
static char path[64];
static uint64_t seed;
static bool first_life;
static unsigned snapshots_left, one_in; /* a snapshot at one safepoint in so many */
static uint32_t in, out;
static uint64_t recovered_clock;
static struct pvm_host host;

static uint32_t below(uint32_t n)
{
        return (uint32_t)(hosted_random(&seed) % n);
}

/* ---- the disk ---- */

static int sim_read(struct store_disk *d, uint64_t block, void *buf, uint32_t nblocks)
{
        (void)d;
        return disk->d.read(&disk->d, block, buf, nblocks);
}

static int sim_write(struct store_disk *d, uint64_t block, const void *buf, uint32_t nblocks)
{
        (void)d;
        return disk->d.write(&disk->d, block, buf, nblocks);
}

static int sim_write_sector(struct store_disk *d, uint64_t sector, const void *buf)
{
        (void)d;
        return disk->d.write_sector(&disk->d, sector, buf);
}

static int sim_flush(struct store_disk *d)
{
        (void)d;
        return disk->d.flush(&disk->d);
}

/* Instead of filedisk_open (ld --wrap): the machine's store is on this disk. */
void __wrap_filedisk_open(struct filedisk *f, int fd, uint64_t offset, uint64_t len, bool read_only);
void __wrap_filedisk_open(struct filedisk *f, int fd, uint64_t offset, uint64_t len, bool read_only)
{
        if (len > IMAGE)
                _exit(21);
        *f = (struct filedisk){.d = {.nblocks = len / STORE_BLOCK,
                                     .read = sim_read,
                                     .write = sim_write,
                                     .write_sector = sim_write_sector,
                                     .flush = sim_flush,
                                     .can_share = true},
                               .fd = fd,
                               .offset = offset,
                               .read_only = read_only};
}

/* Empty, as it is when the first life begins. */
static void new_disk(void)
{
        simdisk_init(disk, IMAGE / STORE_BLOCK, 1);
        free(disk->base);
        disk->base = NULL;
}

int __real_heap_store_open(const char *file, uint64_t heap_bytes, uint64_t *clock_ns);
int __wrap_heap_store_open(const char *file, uint64_t heap_bytes, uint64_t *clock_ns);
int __wrap_heap_store_open(const char *file, uint64_t heap_bytes, uint64_t *clock_ns)
{
        int r = __real_heap_store_open(file, heap_bytes, clock_ns);

        recovered_clock = *clock_ns;
        return r;
}

/* ---- the machine ---- */

static void console(const char *text, size_t len)
{
        if (len <= strlen(recording->expected + out) && !memcmp(recording->expected + out, text, len)) {
                out += (uint32_t)len;
                return;
        }
        fprintf(stderr, "printed behind %u bytes: %.*s\n", out, (int)len, text);
        _exit(10);
}

static void note_console(const char *text, size_t len)
{
        if (out + len >= MAX_TEXT)
                _exit(11);
        memcpy(recording->expected + out, text, len);
        out += (uint32_t)len;
}

static int console_read(void)
{
        return input[in] ? input[in++] : PVM_CONSOLE_END;
}

static bool input_ready(uint32_t source)
{
        return !source;
}

static void safepoint(void)
{
        struct recording *r = recording;
        uint64_t before = heap_store_commits(), now;

        pvm_interrupt();
        if (disk->forgets || below(one_in))
                return;
        pvm_snapshot_comes();
        now = pvm_host->monotonic_ns();
        heap_store_snapshot(now, true);
        if (heap_store_commits() == before)
                return;
        r->snapshot[r->nsnapshots++] = (struct taken){now, disk->nops, in, out};
        if (!--snapshots_left)
                _exit(1);
        if (below(3) == 0)
                heap_wants = WANTS_YOUNG;
}

static void fail(const char *what, const char *why)
{
        fprintf(stderr, "%s: %s\n", what, why);
        _exit(12);
}

/* Runs the program, from the store or, without, from its beginning. least: a snapshot as new as that one, or a newer one, must be there. The process ends: 0 with the program, 1 before that, else it was wrong. */
static void run(bool on_store, uint32_t least)
{
        static const enum pvm_compile how[] = {PVM_COMPILE_NEVER, PVM_COMPILE_HOT, PVM_COMPILE_ALWAYS};
        struct pvm_limits limits = {.heap_bytes = HEAP, .stack_bytes = 1ul << 16};
        char why[500];
        uint32_t at = 0;
        unsigned failures;
        int r;

        pvm_compile = how[below(3)];
        pvm_workers = below(4) ? 1 : 3;
        hosted_pvm_console = on_store ? console : note_console;
        r = hosted_pvm_open(on_store ? path : NULL, HEAP);
        if (r < 0)
                _exit(13);
        if (first_life)
                recording->begin = disk->nops;
        if (r) {
                while (at < recording->nsnapshots && recording->snapshot[at].clock != recovered_clock)
                        at++;
                if (at == recording->nsnapshots)
                        fail("recovery", "to a snapshot that never was");
        }
        if (at < least)
                fail("recovery", "a snapshot is lost that was acknowledged");
        in = recording->snapshot[at].in;
        out = recording->snapshot[at].out;
        if (!disk->forgets) {
                recording->snapshot[0] = recording->snapshot[at];
                recording->snapshot[0].ops = 0;
                recording->nsnapshots = 1;
        }
        hosted_pvm_folder(programs);
        hosted_pvm_folder(library);
        host = *pvm_host;
        host.console_read = console_read;
        host.input_ready = input_ready;
        host.safepoint = safepoint;
        pvm_host = &host;
        if (r ? pvm_recover(&limits, why, sizeof(why)) : pvm_create(&limits, why, sizeof(why)))
                fail("the machine", why);
        if (!pvm_heap_check(why, sizeof(why)))
                fail("the heap", why);
        if (!r && !pvm_start(workload->class, &workload->argument, workload->argument != NULL, why, sizeof(why)))
                fail(workload->class, why);
        pvm_interrupt(); /* turns are short, so that all threads are in the middle of something */
        failures = pvm_run();
        if (failures)
                fail("the program", "a thread ended with an exception");
        if (!pvm_heap_check(why, sizeof(why)))
                fail("the heap at the end", why);
        if (on_store && recording->expected[out])
                fail("the program", "has ended early");
        _exit(0);
}

/* In a process of its own: its exit status. */
static int child(void (*what)(size_t), size_t argument)
{
        int status;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        if (pid < 0) {
                perror("fork");
                exit(2);
        }
        if (!pid)
                what(argument);
        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void undisturbed(size_t unused)
{
        (void)unused;
        disk->forgets = true;
        run(false, 0);
}

static void live(size_t first)
{
        disk->forgets = false;
        first_life = first;
        run(true, 0);
}

static void cut(size_t end, struct simdisk *to)
{
        simdisk_cut(disk, end, (enum cut_mode)below(CUT_MODES), &seed, to);
}

static void after_cut(size_t end)
{
        static struct simdisk mine;
        uint32_t least = 0;

        mine = *disk;
        cut(end, &mine);
        disk = &mine;
        disk->forgets = true;
        while (least + 1 < recording->nsnapshots && recording->snapshot[least + 1].ops <= end)
                least++;
        run(true, least);
}

/* Where the life may be cut. */
static size_t some_end(void)
{
        return recording->begin + below((uint32_t)(disk->nops - recording->begin) + 1);
}

/* One program from its beginning to its end, through as many lives as that takes; at most so many states. How many were looked at; 0: one was wrong. */
static uint32_t program(uint32_t most)
{
        uint32_t states = 0;
        bool first = true;
        int how;

        for (uint32_t k = 0; workload->keys && k < 300; k++)
                input[k] = "adws..... "[below(10)];
        recording->nsnapshots = 1;
        recording->snapshot[0] = (struct taken){0};
        memset(recording->expected, 0, sizeof(recording->expected));
        how = child(undisturbed, 0);
        if (how) {
                fprintf(stderr, "%s alone: ended with %d\n", workload->class, how);
                return 0;
        }
        simdisk_free(disk);
        new_disk();
        unlink(path);
        do {
                recording->begin = 0;
                snapshots_left = 1 + below(20);
                one_in = 1 + below(60);
                below(1000); /* the life's choices are its own */
                how = child(live, first);
                first = false;
                for (uint32_t k = 0; how < 2 && k < STATES_A_LIFE && states < most; k++, states++) {
                        uint64_t was = seed;
                        size_t end = some_end();
                        int found = child(after_cut, end);

                        if (found) {
                                fprintf(stderr, "%s: cut behind %zu of %zu writes, seed %lu: ended with %d\n",
                                        workload->class, end, disk->nops, was, found);
                                return 0;
                        }
                        below(1000);
                }
                if (how < 2)
                        cut(some_end(), disk);
        } while (how == 1 && states < most);
        if (how > 1) {
                fprintf(stderr, "%s: a life ended with %d, seed %lu\n", workload->class, how, seed);
                return 0;
        }
        return states;
}

int main(int argc, char **argv)
{
        uint32_t states = 2000, done[2] = {0}, runs[2] = {0};
        int c;

        seed = 1;
        while ((c = getopt(argc, argv, "n:s:")) > 0)
                if (c == 'n')
                        states = (uint32_t)atoi(optarg);
                else if (c == 's')
                        seed = strtoul(optarg, NULL, 10);
                else
                        return 2;
        if (argc - optind != 2)
                return 2;
        programs = argv[optind];
        library = argv[optind + 1];
        recording = mmap(NULL, sizeof(*recording) + sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                         -1, 0);
        if (recording == MAP_FAILED) {
                perror("mmap");
                return 2;
        }
        disk = (struct simdisk *)(recording + 1);
        new_disk();
        snprintf(path, sizeof(path), "/tmp/pvm-sim-%d", getpid());
        for (unsigned k = 0; done[0] + done[1] < states; k = !k) {
                uint32_t n, left = states - done[0] - done[1];

                workload = &workloads[k];
                n = program(left);
                unlink(path);
                if (!n)
                        return 1;
                done[k] += n;
                runs[k]++;
        }
        for (unsigned k = 0; k < 2; k++)
                printf("%s: %u states of %u runs, all whole\n", workloads[k].class, done[k], runs[k]);
        return 0;
}
