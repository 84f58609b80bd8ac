/*
 * bench.c - instructions per operation: the rows of the speed table, on Phantom and on Linux with the same binary (static, musl).
 * Under QEMU's -icount shift=0 one tick of the time stamp counter is one guest instruction. Prints `BENCH name value` for each row, `BENCH-END` last.
 * Each row: a warm-up, then the least of five runs of n operations, divided by n (an interrupt may hit a run; the least has none).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>

static const char *self;
static char page[65536];

static uint64_t ticks(void)
{
        uint32_t lo, hi;

        __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
        return (uint64_t)hi << 32 | lo;
}

static void die(const char *what)
{
        printf("BENCH-FAILED %s: %s\n", what, strerror(errno));
        exit(1);
}

static void row(const char *name, void (*fn)(int n), int n)
{
        uint64_t best = ~0ul;

        fn(n > 4 ? n / 4 : 1);
        for (int i = 0; i < 5; i++) {
                uint64_t t = ticks();

                fn(n);
                t = (ticks() - t) / (unsigned)n;
                if (t < best)
                        best = t;
        }
        printf("BENCH %s %lu\n", name, best);
        fflush(stdout);
}

static void b_getpid(int n)
{
        while (n--)
                syscall(SYS_getpid);
}

static void b_clock(int n)
{
        struct timespec ts;

        while (n--)
                clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void reap(pid_t p)
{
        int status;

        if (p < 0)
                die("fork");
        if (waitpid(p, &status, 0) != p || !WIFEXITED(status) || WEXITSTATUS(status))
                die("child");
}

static void b_fork(int n)
{
        while (n--) {
                pid_t p = fork();

                if (p == 0)
                        _exit(0);
                reap(p);
        }
}

static void b_fork_exec(int n)
{
        char *argv[] = {(char *)self, "--nothing", NULL}, *envp[] = {NULL};

        while (n--) {
                pid_t p = fork();

                if (p == 0) {
                        execve(self, argv, envp);
                        _exit(1);
                }
                reap(p);
        }
}

static void b_vfork_exec(int n)
{
        char *argv[] = {(char *)self, "--nothing", NULL}, *envp[] = {NULL};

        while (n--) {
                pid_t p = vfork();

                if (p == 0) {
                        execve(self, argv, envp);
                        _exit(1);
                }
                reap(p);
        }
}

static int ping[2], pong[2];

static void echo_child(void)
{
        char c;

        while (read(ping[0], &c, 1) == 1)
                if (write(pong[1], &c, 1) != 1)
                        break;
        _exit(0);
}

static void b_round_trip(int n)
{
        char c = 'x';

        while (n--)
                if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
                        die("round trip");
}

static void pipe_rows(void)
{
        pid_t p;

        if (pipe(ping) || pipe(pong))
                die("pipe");
        p = fork();
        if (p == 0) {
                close(ping[1]);
                close(pong[0]);
                echo_child();
        }
        close(ping[0]);
        row("pipe_round_trip", b_round_trip, 100);
        close(ping[1]);
        waitpid(p, NULL, 0);
        close(pong[0]);
        close(pong[1]);
}

static void unix_rows(void)
{
        int sv[2];
        pid_t p;

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
                die("socketpair");
        p = fork();
        if (p == 0) {
                close(sv[0]);
                ping[0] = pong[1] = sv[1];
                echo_child();
        }
        close(sv[1]);
        ping[1] = pong[0] = sv[0];
        row("unix_round_trip", b_round_trip, 100);
        close(sv[0]);
        waitpid(p, NULL, 0);
}

static volatile int turn;

static void futex_hand_over(int to)
{
        __atomic_store_n(&turn, to, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_await(int mine)
{
        int now;

        while ((now = __atomic_load_n(&turn, __ATOMIC_SEQ_CST)) != mine && now != 2)
                syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
}

static void *futex_peer(void *arg)
{
        for (;;) {
                futex_await(1);
                if (turn == 2)
                        return arg;
                futex_hand_over(0);
        }
}

static void b_futex(int n)
{
        while (n--) {
                futex_hand_over(1);
                futex_await(0);
        }
}

static void futex_rows(void)
{
        pthread_t t;

        if (pthread_create(&t, NULL, futex_peer, NULL))
                die("pthread_create");
        row("futex_round_trip", b_futex, 100);
        futex_hand_over(2);
        pthread_join(t, NULL);
}

static const char *scratch = "/tmp/bench.tmp";

static void b_create(int n)
{
        while (n--) {
                int fd = open(scratch, O_CREAT | O_RDWR | O_EXCL, 0600);

                if (fd < 0 || write(fd, page, 4096) != 4096 || close(fd) || unlink(scratch))
                        die("create");
        }
}

static int through[2];

static void b_pipe_bulk(int n)
{
        char buf[4096];

        while (n--) {
                size_t got = 0;

                if (write(through[1], page, 65536) != 65536)
                        die("pipe write");
                while (got < 65536) {
                        ssize_t r = read(through[0], buf, sizeof(buf));

                        if (r <= 0)
                                die("pipe read");
                        got += (size_t)r;
                }
        }
}

static int file;

static void b_open(int n)
{
        while (n--) {
                int fd = open(scratch, O_RDONLY);

                if (fd < 0)
                        die("open");
                close(fd);
        }
}

static void b_stat(int n)
{
        struct stat st;

        while (n--)
                if (stat(scratch, &st))
                        die("stat");
}

static void b_pread(int n)
{
        while (n--)
                if (pread(file, page, 4096, 0) != 4096)
                        die("pread");
}

static void b_pwrite(int n)
{
        while (n--)
                if (pwrite(file, page, 4096, 0) != 4096)
                        die("pwrite");
}

/* At an address of its own: where chance puts it over the border of two page tables, it costs two. */
static void b_touch(int n)
{
        char *m =
                mmap((void *)(1ul << 33), (size_t)n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for (int i = 0; i < n; i++)
                m[i * 4096L] = 1;
        munmap(m, (size_t)n * 4096);
}

static void b_mmap(int n)
{
        while (n--) {
                char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                *m = 1;
                munmap(m, 4096);
        }
}

/* Copy-on-write is measured inside the child: only its writes count. */
static void cow_row(void)
{
        enum { PAGES = 64 };
        /* All in one page table: whether it is one or two is chance, and 100 instructions. */
        char *room = mmap(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *m = (char *)(((uintptr_t)room + (2 << 20) - 1) & -(uintptr_t)(2 << 20));
        uint64_t *best = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        *best = ~0ul;
        mprotect(m, PAGES * 4096, PROT_READ | PROT_WRITE);
        for (int i = 0; i < PAGES; i++)
                m[i * 4096] = 1;
        for (int run = 0; run < 5; run++) {
                pid_t p = fork();

                if (p == 0) {
                        uint64_t t = ticks();

                        for (int i = 0; i < PAGES; i++)
                                m[i * 4096] = 2;
                        t = (ticks() - t) / PAGES;
                        if (t < *best)
                                *best = t;
                        _exit(0);
                }
                reap(p);
        }
        printf("BENCH cow_fault %lu\n", *best);
}

static volatile int caught;

static void on_signal(int s)
{
        (void)s;
        caught++;
}

static void b_signal(int n)
{
        pid_t me = getpid();

        while (n--)
                kill(me, SIGUSR1);
}

static void *nothing(void *arg)
{
        return arg;
}

static void b_pthread(int n)
{
        while (n--) {
                pthread_t t;

                if (pthread_create(&t, NULL, nothing, NULL))
                        die("pthread_create");
                pthread_join(t, NULL);
        }
}

static struct pollfd fds[10];

static void b_poll(int n)
{
        while (n--)
                if (poll(fds, 10, 0) < 0)
                        die("poll");
}

int main(int argc, char **argv)
{
        int p[2];

        if (argc > 1 && !strcmp(argv[1], "--nothing"))
                _exit(0);
        self = argv[0];
        setvbuf(stdout, NULL, _IOLBF, 0);
        file = open(scratch, O_CREAT | O_RDWR | O_TRUNC, 0600);
        if (file < 0 || write(file, page, 8192) != 8192)
                die(scratch);

        row("getpid", b_getpid, 1000);
        row("clock_gettime", b_clock, 1000);
        row("fork_exit_wait", b_fork, 10);
        row("fork_exec_wait", b_fork_exec, 10);
        row("vfork_exec_wait", b_vfork_exec, 10);
        pipe_rows();
        unix_rows();
        futex_rows();
        row("open_close", b_open, 100);
        row("stat", b_stat, 100);
        row("pread_4k", b_pread, 100);
        row("pwrite_4k", b_pwrite, 100);
        row("touch_page", b_touch, 64);
        row("mmap_touch_munmap", b_mmap, 100);
        cow_row();
        signal(SIGUSR1, on_signal);
        row("signal_self", b_signal, 100);
        row("pthread_create_join", b_pthread, 20);
        if (pipe(p))
                die("pipe");
        for (int i = 0; i < 10; i++)
                fds[i] = (struct pollfd){.fd = p[0], .events = POLLIN};
        row("poll_10", b_poll, 100);
        unlink(scratch);
        row("create_write_unlink", b_create, 20);
        if (pipe(through))
                die("pipe");
        row("pipe_64k", b_pipe_bulk, 10);
        puts("BENCH-END");
        return 0;
}
