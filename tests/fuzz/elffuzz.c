/*
 * elffuzz.c - malformed programs: `elffuzz SECONDS SEED PROGRAM`. Mutates the headers (and now and then the body) of a good ELF program and executes it; the kernel must answer
 * with an errno or run (and perhaps kill) it, never fall over, and lose no memory. Prints `PASS elffuzz` or `FAIL elffuzz why`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/fuzz/memory.h"

#define USER 1000 /* who the programs are */

static uint64_t state;

static uint64_t next(void)
{
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
}

static void mutate(unsigned char *image, size_t len)
{
        static const uint64_t edges[] = {0,
                                         1,
                                         0x1000,
                                         0xfff,
                                         0x7fffffffffff,
                                         0x800000000000,
                                         0xffff900000000000,
                                         0xffffffff80000000,
                                         (uint64_t)-1,
                                         0x7fffffffffffffff,
                                         0x8000000000000000};
        int n = 1 + (int)(next() % 6);

        while (n--) {
                /* Mostly the file header and the program headers. */
                size_t reach = next() % 8 ? 64 + 56 * 8 : len, at = next() % (reach < len ? reach : len);

                switch (next() % 4) {
                case 0:
                        image[at] = (unsigned char)next();
                        break;
                case 1:
                        image[at] ^= (unsigned char)(1 << next() % 8);
                        break;
                case 2:
                        at &= ~7ul;
                        if (at + 8 <= len)
                                memcpy(image + at, &edges[next() % (sizeof(edges) / sizeof(edges[0]))], 8);
                        break;
                default:
                        at &= ~7ul;
                        if (at + 8 <= len) {
                                uint64_t v;

                                memcpy(&v, image + at, 8);
                                v += (uint64_t)((int64_t)(next() % 8193) - 4096);
                                memcpy(image + at, &v, 8);
                        }
                }
        }
}

/* When all that the programs have left behind is gone: some start others that run on, in groups of their own. */
static long settled_kb(void)
{
        pid_t p = fork();

        if (p == 0) {
                if (setgid(USER) || setuid(USER))
                        _exit(1);
                kill(-1, SIGKILL);
                _exit(0);
        }
        waitpid(p, NULL, 0);
        usleep(300000);
        return mem_free_kb();
}

/* Where memory is, in one line: what is free, and on our system how many pages there are of which kind. */
static void tell_memory(unsigned round)
{
        char line[128], name[64];
        FILE *f = fopen("/proc/phantom/stats", "r");
        unsigned long n;

        printf("elffuzz: round %u: %ld kB free", round, mem_free_kb());
        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "%63s %lu", name, &n) == 2 &&
                    (!strncmp(name, "pages_", 6) || !strncmp(name, "frames_", 7) || !strcmp(name, "deferred")))
                        printf(" %s %lu", name, n);
        if (f)
                fclose(f);
        putchar('\n');
        fflush(stdout);
}

/* The most memory that programs may take, once: what the kernel notes of each page that was ever in use stays, and is no loss. */
static void use_memory(void)
{
        size_t len = (size_t)settled_kb() / 8 * 7 * 1024;
        pid_t p = fork();

        if (p == 0) {
                char *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                for (size_t at = 0; m != MAP_FAILED && at < len; at += 4096)
                        m[at] = 1;
                _exit(0);
        }
        waitpid(p, NULL, 0);
        for (long was = -1, now; (now = settled_kb()) > was; was = now) /* it is given back bit by bit */
                ;
}

int main(int argc, char **argv)
{
        static unsigned char good[1 << 20], image[1 << 20];
        long seconds = argc > 1 ? atol(argv[1]) : 10, before = 0, after;
        time_t end = time(NULL) + seconds, tell = 0;
        unsigned ran = 0, refused = 0;
        ssize_t len;
        int fd, quiet;

        state = (argc > 2 ? strtoul(argv[2], NULL, 0) : 1) * 2654435761u + 1;
        fd = open(argc > 3 ? argv[3] : argv[0], O_RDONLY);
        len = fd < 0 ? -1 : read(fd, good, sizeof(good));
        if (len < 128) {
                printf("FAIL elffuzz no program to mutate\n");
                return 1;
        }
        close(fd);
        signal(SIGINT, SIG_IGN);
        quiet = open("/dev/null", O_WRONLY);
        for (unsigned round = 0; time(NULL) < end || round < 64; round++) {
                int status;
                pid_t p;

                if (round == 32) {
                        use_memory();
                        before = settled_kb();
                }
                if (round >= 32 && time(NULL) >= tell) {
                        tell_memory(round);
                        tell = time(NULL) + (seconds + 9) / 10;
                }
                memcpy(image, good, (size_t)len);
                mutate(image, (size_t)len);
                unlink("/tmp/elf.fuzz");
                fd = open("/tmp/elf.fuzz", O_CREAT | O_WRONLY | O_TRUNC, 0755);
                if (fd < 0 || write(fd, image, next() % 16 ? (size_t)len : next() % (size_t)len) < 0) {
                        printf("FAIL elffuzz /tmp/elf.fuzz: %s\n", strerror(errno));
                        return 1;
                }
                close(fd);
                p = fork();
                if (p == 0) {
                        char *av[] = {"/tmp/elf.fuzz", "--nothing", NULL}, *ev[] = {NULL};
                        struct rlimit few = {40, 40}, cpu = {2, 2}, space = {512 << 20, 512 << 20}, none = {0, 0};

                        setrlimit(RLIMIT_CPU, &cpu);
                        setrlimit(RLIMIT_AS, &space);
                        setrlimit(RLIMIT_CORE, &none);
                        setrlimit(RLIMIT_FSIZE, &none); /* no files that stay */
                        setpgid(0, 0);
                        dup2(quiet, 1);
                        dup2(quiet, 2);
                        if (setgid(USER) || setuid(USER))
                                _exit(126);
                        setrlimit(RLIMIT_NPROC, &few);
                        alarm(2);
                        execve(av[0], av, ev);
                        _exit(127);
                }
                waitpid(p, &status, WUNTRACED);
                kill(-p, SIGKILL);
                if (WIFSTOPPED(status))
                        waitpid(p, &status, 0);
                if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                        refused++;
                else
                        ran++;
        }
        unlink("/tmp/elf.fuzz");
        after = settled_kb();
        tell_memory(ran + refused);
        printf("elffuzz: %u ran, %u refused, free memory %ld -> %ld kB\n", ran, refused, before, after);
        if (before - after > 1024) {
                printf("FAIL elffuzz lost %ld kB\n", before - after);
                return 1;
        }
        puts("PASS elffuzz");
        return 0;
}
