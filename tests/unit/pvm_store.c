/*
 * pvm_store.c - programs on a store, killed again and again: a snapshot is committed at every safepoint, and after some of them the process ends as if by SIGKILL.
 * The next one goes on from the last commit. What all of them print together is what one undisturbed run prints, but for what came between the last commit and the
 * end: that is printed again. Some lives are interpreted, some compiled; young objects are collected at most safepoints; some machines are hostile.
 */
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pvm/host/host.h"
#include "pvm/host/store.h"
#include "pvm/machine.h"
#include "tests/pvm/program.h"

static char folder[64], store[80];
static struct program program;
static int to_parent;
static unsigned commits_left;
static struct pvm_host host;

static void console(const char *text, size_t len)
{
        program_watch(text, len);
        while (len) {
                ssize_t n = write(to_parent, text, len);

                if (n <= 0)
                        _exit(3);
                text += n;
                len -= (size_t)n;
        }
}

static void safepoint(void)
{
        program_load(console);
        if (commits_left % 3 == 1)
                pvm_snapshot_comes();
        heap_store_snapshot(host.monotonic_ns(), true);
        if (!--commits_left)
                raise(SIGKILL);
        if (commits_left % 3)
                heap_wants = WANTS_YOUNG;
        pvm_interrupt();
}

static void child(void)
{
        struct pvm_limits limits = {.heap_bytes = program.heap_bytes, .stack_bytes = 1ul << 16};
        char why[500];
        unsigned failures;
        int r;

        heap_store_survives = true;
        r = hosted_pvm_open(store, limits.heap_bytes);
        if (r < 0)
                _exit(4);
        hosted_pvm_folder(folder);
        pvm_compile = commits_left % 2 ? PVM_COMPILE_ALWAYS : PVM_COMPILE_NEVER;
        pvm_hostile = commits_left % 4 > 1;
        pvm_workers = commits_left % 5 > 2 ? 4 : 1;
        hosted_pvm_console = console;
        host = *program_host(pvm_host);
        host.safepoint = safepoint;
        pvm_host = &host;
        if (r ? pvm_recover(&limits, why, sizeof(why)) : pvm_create(&limits, why, sizeof(why)))
                fprintf(stderr, "%s\n", why), _exit(5);
        if (!pvm_heap_check(why, sizeof(why)))
                fprintf(stderr, "heap: %s\n", why), _exit(6);
        if (r && !pvm_has_threads())
                _exit(0); /* killed when all had ended: a second run would find another heap than the first */
        if (!r && !pvm_start(".main", NULL, 0, why, sizeof(why)))
                fprintf(stderr, "%s\n", why), _exit(7);
        failures = pvm_run();
        if (failures != program.failures)
                fprintf(stderr, "%u failures, not %u\n", failures, program.failures), _exit(8);
        hosted_pvm_close();
        _exit(0);
}

/* One life; what it prints goes to out. Its end, as of wait(). */
static int life(char *out, size_t size)
{
        int fds[2], status;
        size_t n = 0;
        ssize_t got;
        pid_t pid;

        fflush(NULL);
        if (pipe(fds) || (pid = fork()) < 0)
                exit(2);
        if (!pid) {
                close(fds[0]);
                to_parent = fds[1];
                child();
        }
        close(fds[1]);
        while ((got = read(fds[0], out + n, size - 1 - n)) > 0)
                n += (size_t)got;
        out[n] = 0;
        close(fds[0]);
        waitpid(pid, &status, 0);
        return status;
}

static bool test(const char *path, unsigned seed)
{
        char out[1 << 14];
        size_t at = 0; /* of what is expected, so much was printed */
        unsigned lives = 0;
        int status;

        program_read(path, folder, &program);
        if (program.calm)
                return true;
        unlink(store);
        do {
                const char *found = NULL;
                size_t len;

                seed = seed * 1103515245 + 12345;
                commits_left = 1 + (seed >> 16) % program.life;
                status = life(out, sizeof(out));
                len = strlen(out);
                /* It begins where one before it was, or before that; the furthest place that fits. */
                for (const char *p = program.expected; p <= program.expected + at; p++)
                        if (!strncmp(p, out, len))
                                found = p;
                if (!found || lives++ == 10000) {
                        printf("%s: life %u printed:\n%s\nafter %zu bytes of:\n%s\n", path, lives, out, at,
                               program.expected);
                        return false;
                }
                if ((size_t)(found - program.expected) + len > at)
                        at = (size_t)(found - program.expected) + len;
        } while (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (status || program.expected[at]) {
                printf("%s: ended with %x, printed %zu bytes of:\n%s\n", path, (unsigned)status, at, program.expected);
                return false;
        }
        printf("%s: %u lives\n", path, lives);
        return true;
}

int main(void)
{
        glob_t g;
        bool ok = true;
        char command[100];

        strcpy(folder, "/tmp/pvm-store-XXXXXX");
        if (!mkdtemp(folder) || glob("tests/pvm/programs/*.asm", 0, NULL, &g))
                return 1;
        snprintf(store, sizeof(store), "%s/store", folder);
        for (size_t i = 0; i < g.gl_pathc; i++)
                ok = test(g.gl_pathv[i], (unsigned)i) && ok;
        globfree(&g);
        snprintf(command, sizeof(command), "rm -rf %s", folder);
        return system(command) || !ok;
}
