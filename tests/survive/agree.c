/*
 * agree.c - one instant: a number that goes through memory, shared memory, a file, a mapped file, a pipe and another process, one behind the other. Whatever instant a machine comes
 * back to, they agree; if any of them were of another commit than the rest, they would not, for the worker knows exactly where each must be, and an observer who looks at any time
 * knows which may be one behind.
 */
#include "tests/survive/survive.h"

#define MESSAGES 5

struct shared {
        volatile uint64_t memory;
        volatile uint64_t turns;
};

static struct shared *shared;
static int file, other;
static volatile uint64_t *mapped;

static uint64_t file_number(void)
{
        uint64_t n;

        MUST(pread(file, &n, sizeof(n), 0) == sizeof(n));
        return n;
}

static void work(volatile uint64_t *good)
{
        static volatile uint64_t mine[600 * 512]; /* one page a step: what is dirty differs from commit to commit */
        int pipe_fd[2], to[2], from[2];
        uint64_t got, n;

        MUST(pipe(pipe_fd) == 0 && pipe(to) == 0 && pipe(from) == 0);
        for (n = 1; n <= MESSAGES; n++)
                survive_write(pipe_fd[1], &n, sizeof(n));
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (uint64_t last = MESSAGES;; last++) { /* counts by itself, and answers */
                        survive_read(to[0], &got, sizeof(got));
                        SAME(got, last + 1);
                        SAME(shared->memory, got);
                        SAME(file_number(), got);
                        survive_write(from[1], &got, sizeof(got));
                }
        }
        for (n = MESSAGES + 1;; n++) {
                SAME(shared->memory, n - 1 == MESSAGES ? 0 : n - 1);
                shared->memory = n;
                MUST(pwrite(file, &n, sizeof(n), 0) == sizeof(n));
                *mapped = n;
                mine[n % 600 * 512] = n;
                survive_write(pipe_fd[1], &n, sizeof(n));
                survive_read(pipe_fd[0], &got, sizeof(got));
                SAME(got, n - MESSAGES);
                survive_write(to[1], &n, sizeof(n));
                if (n % 8 == 0)
                        survive_nap(2);
                survive_read(from[0], &got, sizeof(got));
                SAME(got, n);
                SAME(shared->memory, n);
                SAME(file_number(), n);
                SAME(*mapped, n);
                got = 0;
                MUST(pread(other, &got, sizeof(got), 0) == sizeof(got));
                SAME(got, n);
                if (n > 600 + MESSAGES)
                        SAME(mine[(n + 1) % 600 * 512], n - 599);
                *good = n;
        }
}

/* Looks without any lock: the file is never ahead of memory, nor more than one behind; nor the mapped file of the file. */
static void observe(volatile uint64_t *good)
{
        while (shared->memory <= MESSAGES + 1)
                survive_nap(5);
        for (;;) {
                uint64_t in_file = file_number(), in_memory = shared->memory, in_mapping = *mapped;

                if (in_memory < in_file || in_mapping + 1 < in_file)
                        survive_fail("file %lu, then memory %lu, mapped file %lu", in_file, in_memory, in_mapping);
                in_memory = shared->memory;
                in_file = file_number();
                if (in_file + 1 < in_memory)
                        survive_fail("memory %lu, then file %lu", in_memory, in_file);
                (*good)++;
                survive_nap(3);
        }
}

int main(void)
{
        uint64_t zero = 0;

        survive_begin("agree");
        shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        file = open("/tmp/survive-agree", O_RDWR | O_CREAT | O_TRUNC, 0600);
        other = open("/tmp/survive-agree-mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
        MUST(shared != MAP_FAILED && file >= 0 && other >= 0 && ftruncate(other, 4096) == 0);
        MUST(pwrite(file, &zero, sizeof(zero), 0) == sizeof(zero));
        mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
        MUST(mapped != MAP_FAILED);
        survive_part(work);
        survive_part(observe);
        survive_watch();
}
