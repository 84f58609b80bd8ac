/*
 * main.c - the machine as a command.
 *
 *   pvm run [--store FILE] [--heap MB] [--stack KB] [-j N] [--interpreter | --compile=always] [-L DIR]... .class.name [ARGUMENT...]
 *                           so many threads run at once (as many as there are processors, or as PVM_WORKERS says); classes are looked for in the folders named, without one in the present folder; then, on the system, in its library
 *   pvm start|ps|ls|inspect|call|load|gc|stat|stop ...     running programs (monitor.h)
 *   pvm mount DIR           running programs as files (mount.h)
 *   pvm dis FILE            a class file as text
 *   pvm check FILE...       are these class files good?
 */
#define _GNU_SOURCE
#include "pvm/dis.h"
#include "pvm/host/host.h"
#include "pvm/host/monitor.h"
#include "pvm/host/mount.h"
#include "pvm/host/store.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

static int usage(void)
{
        fprintf(stderr,
                "usage: pvm run [--store FILE] [--heap MB] [--stack KB] [-j N] [--interpreter | --compile=always]\n"
                "               [-L DIR]... .class.name [ARGUMENT...]\n"
                "       pvm start PID [-L DIR]... .class.name [ARGUMENT]...     a program in the heap of that one, "
                "beside it\n"
                "       pvm ps [PID]             running programs and their threads\n"
                "       pvm ls [PID[/PATH]]      what is in a program: threads, classes, objects, and what is "
                "in those\n"
                "       pvm inspect PID[/PATH]   an object\n"
                "       pvm call PID/PATH METHOD [ARGUMENT]...     a method of an object; what it gives is printed\n"
                "       pvm load PID .class.name          a class, or its new version, for the objects that there are\n"
                "       pvm gc PID\n"
                "       pvm stat PID\n"
                "       pvm stop PID[/threads/N]     all; or the program that has this thread\n"
                "       pvm mount DIR | --fd N   running programs as files; N: of a connection of FUSE that is open\n"
                "       pvm dis FILE\n"
                "       pvm check FILE...\n");
        return 2;
}

static bool number(const char *text, uint64_t unit, uint64_t *v)
{
        char *end;

        errno = 0;
        *v = strtoull(text, &end, 10) * unit;
        if (!errno && end != text && !*end && *v)
                return true;
        fprintf(stderr, "pvm: \"%s\" is not a number above 0\n", text);
        return false;
}

/* Half of the memory, so that a program without end meets its own limit before the machine's. */
static uint64_t default_heap(void)
{
        struct sysinfo s;
        uint64_t half = sysinfo(&s) ? 0 : (uint64_t)s.totalram * s.mem_unit / 2, most = 4096ul << 20;

        return half && half < most ? half : most;
}

/* Fewer collections where nobody takes snapshots; on the system somebody always does. */
static uint64_t default_young(const char *store)
{
#ifdef PVM_LIBRARY
        return 0;
#endif
        return store ? 0 : 8ul << 20;
}

/* As many as there are processors for it; PVM_WORKERS in the environment is for tests. */
static uint64_t default_workers(void)
{
        const char *text = getenv("PVM_WORKERS");
        cpu_set_t set;
        int n = text ? atoi(text) : sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

        return n > 0 ? (uint64_t)n : 1;
}

/* For tests. */
static uint64_t image_bytes(void)
{
        const char *text = getenv("PVM_IMAGE_BYTES");

        return text ? strtoull(text, NULL, 10) : 0;
}

static int run(int argc, char **argv)
{
        struct pvm_limits limits = {.heap_bytes = default_heap(), .stack_bytes = 16ul << 20};
        uint64_t workers = default_workers();
        bool folder = false;
        const char *store = NULL;
        char why[500];
        unsigned failures;
        int i, state;

        for (i = 0; i < argc && argv[i][0] == '-'; i += 2) {
                if (!strcmp(argv[i], "--interpreter") || !strcmp(argv[i], "--compile=always")) {
                        pvm_compile = argv[i--][2] == 'i' ? PVM_COMPILE_NEVER : PVM_COMPILE_ALWAYS;
                        continue;
                }
                if (i + 1 == argc)
                        return usage();
                if (!strcmp(argv[i], "-L")) {
                        if (!hosted_pvm_folder(argv[i + 1])) {
                                fprintf(stderr, "pvm: too many folders\n");
                                return 2;
                        }
                        folder = true;
                } else if (!strcmp(argv[i], "--store")) {
                        store = argv[i + 1];
                } else if (!strcmp(argv[i], "--heap")) {
                        if (!number(argv[i + 1], 1ul << 20, &limits.heap_bytes))
                                return 2;
                        limits.use_heap = true;
                } else if (!strcmp(argv[i], "-j")) {
                        if (!number(argv[i + 1], 1, &workers))
                                return 2;
                } else if (!strcmp(argv[i], "--stack")) {
                        if (!number(argv[i + 1], 1ul << 10, &limits.stack_bytes))
                                return 2;
                } else {
                        return usage();
                }
        }
        if (i == argc)
                return usage();
        if (!folder)
                hosted_pvm_folder(".");
#ifdef PVM_LIBRARY
        hosted_pvm_folder(PVM_LIBRARY);
#endif
        limits.young_bytes = default_young(store);
        limits.image_bytes = image_bytes();
        pvm_workers = workers < PVM_WORKERS ? (unsigned)workers : PVM_WORKERS;
        state = hosted_pvm_open(store, limits.heap_bytes);
        if (state < 0)
                return 2;
        if (state ? pvm_recover(&limits, why, sizeof(why)) : pvm_create(&limits, why, sizeof(why))) {
                fprintf(stderr, "pvm: %s\n", why);
                return 2;
        }
        if (!pvm_has_threads() &&
            !pvm_start(argv[i], (const char *const *)argv + i + 1, (unsigned)(argc - i - 1), why, sizeof(why))) {
                fprintf(stderr, "pvm: %s\n", why);
                return 2;
        }
        pvm_unix = true;
        monitor_open();
        hosted_pvm_ticks(true);
        failures = pvm_run();
        if (monitor_stopped) {
                fflush(stdout);
                fprintf(stderr, "pvm: stopped\n");
                failures++;
        }
        hosted_pvm_ticks(false);
        monitor_close();
        if (getenv("PVM_STATS")) {
                struct pvm_stats s;

                pvm_stats(&s);
                fprintf(stderr,
                        "%lu full collections (%lu on images) in %lu us, %lu young ones in %lu us, at most %lu us at a "
                        "time\n",
                        s.collections, s.images, s.full_ns / 1000, s.young, s.young_ns / 1000, s.longest_ns / 1000);
                fprintf(stderr, "%lu blocks, %lu bytes allocated, %lu live\n", s.blocks, s.allocated, s.live);
                fprintf(stderr, "%lu snapshots of %lu pages\n", heap_store_commits(), heap_store_pages());
                fprintf(stderr, "%lu methods compiled, %lu words to %lu bytes in %lu us\n", s.compiled,
                        s.compiled_words, s.code_bytes, s.compile_ns / 1000);
        }
        pvm_forget();
        hosted_pvm_close();
        return failures ? 1 : 0;
}

static void *load(const char *path, size_t *size)
{
        FILE *f = fopen(path, "rb");
        uint8_t *p = NULL;
        size_t n = 0, cap = 0, got;

        if (!f) {
                fprintf(stderr, "pvm: %s: %s\n", path, strerror(errno));
                return NULL;
        }
        do {
                if (n == cap) {
                        cap = cap ? cap * 2 : 65536;
                        p = realloc(p, cap);
                        if (!p)
                                break;
                }
                got = fread(p + n, 1, cap - n, f);
                n += got;
        } while (got && n <= PVM_MAX_FILE);
        fclose(f);
        *size = n;
        return p;
}

static void put(void *arg, const char *line)
{
        (void)arg;
        puts(line);
}

static int check(const char *path, bool text)
{
        struct pvm_file f;
        char why[300];
        size_t size;
        void *data = load(path, &size);
        bool ok;

        if (!data)
                return 1;
        ok = pvm_file_open(&f, data, size, why, sizeof(why));
        if (ok && text)
                pvm_disassemble(&f, put, NULL);
        ok = ok && pvm_file_verify(&f, why, sizeof(why));
        free(data);
        if (!ok)
                fprintf(stderr, "pvm: %s: %s\n", path, why);
        return !ok;
}

int main(int argc, char **argv)
{
        int r = 0;

        if (argc >= 2 && monitor_is_command(argv[1]))
                return monitor_command(argc - 1, argv + 1);
        if (argc < 3)
                return usage();
        if (!strcmp(argv[1], "mount"))
                return mount_command(argc - 1, argv + 1);
        if (!strcmp(argv[1], "run"))
                return run(argc - 2, argv + 2);
        if (!strcmp(argv[1], "dis") && argc == 3)
                return check(argv[2], true);
        if (strcmp(argv[1], "check"))
                return usage();
        for (int i = 2; i < argc; i++)
                r |= check(argv[i], false);
        return r;
}
