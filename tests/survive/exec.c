/*
 * exec.c - processes that come and go: fork of a big memory, exec with long arguments, a process that is another program all the time.
 */
#include "tests/survive/survive.h"
#include <spawn.h>

extern char **environ;
static char self[64], filler[16000];

static const char *long_text(void)
{
        memset(filler, 'e', sizeof(filler) - 1);
        return filler;
}

/* fork, exec, and the status that the program ends with; in turn by fork, vfork, posix_spawn. */
static void comings(volatile uint64_t *good)
{
        char number[32], *const argv[] = {self, "child", number, (char *)long_text(), NULL};
        int status;

        for (volatile uint64_t n = 0;; n++) { /* volatile: vfork shares this frame */
                pid_t pid;

                snprintf(number, sizeof(number), "%lu", n);
                if (n % 3 == 0) {
                        pid = fork();
                } else if (n % 3 == 1) {
                        pid = vfork();
                } else {
                        SAME(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
                }
                MUST(pid >= 0);
                if (pid == 0) {
                        execv(self, argv);
                        _exit(99);
                }
                MUST(waitpid(pid, &status, 0) == pid);
                SAME(status, (long)(n % 90) << 8);
                *good = n + 1;
        }
}

/* 4 MiB that parent and child write to after the fork: each sees its own. */
static void copies(volatile uint64_t *good)
{
        const size_t npages = 1024;
        volatile uint64_t *p = mmap(NULL, npages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int status;

        MUST(p != MAP_FAILED);
        for (uint64_t n = 1;; n++) {
                pid_t pid;

                for (size_t i = n % 16; i < npages; i += 16)
                        p[i * 512] = n;
                pid = fork();
                MUST(pid >= 0);
                for (size_t i = n % 16; i < npages; i += 32) {
                        SAME(p[i * 512], n);
                        p[i * 512] = pid ? n + 1000000 : n + 2000000;
                        if (i % 256 < 16)
                                survive_nap(1);
                }
                for (size_t i = n % 16; i < npages; i += 32)
                        SAME(p[i * 512], pid ? n + 1000000 : n + 2000000);
                if (pid == 0)
                        _exit(7);
                MUST(waitpid(pid, &status, 0) == pid);
                SAME(status, 7 << 8);
                *good = n;
                survive_nap(20);
        }
}

/* One process that calls exec for ever; the next program finds the number in its arguments, and as its own count. */
static void chain_step(uint64_t n, volatile uint64_t *good)
{
        char number[32], *const argv[] = {self, "chain", number, (char *)long_text(), NULL};

        if (n)
                SAME(*good, n);
        *good = n + 1;
        survive_nap(5);
        snprintf(number, sizeof(number), "%lu", n + 1);
        execv(self, argv);
        survive_fail("exec: errno %d", errno);
}

static void chain(volatile uint64_t *good)
{
        chain_step(0, good);
}

int main(int argc, char **argv)
{
        MUST(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        if (argc == 4) {
                uint64_t n = strtoul(argv[2], NULL, 10);

                survive_join("exec");
                SAME(strlen(argv[3]), sizeof(filler) - 1);
                MUST(strspn(argv[3], "e") == sizeof(filler) - 1);
                if (strcmp(argv[1], "chain") == 0)
                        chain_step(n, &survive_count[2]);
                survive_nap(n % 8);
                _exit((int)(n % 90));
        }
        survive_begin("exec");
        survive_part(comings);
        survive_part(copies);
        survive_part(chain);
        survive_watch();
}
