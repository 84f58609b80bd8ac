/*
 * sysfuzz.c - random system calls from several threads, for a number of seconds; the kernel must neither panic nor lose memory.
 * `sysfuzz SECONDS SEED [THREADS]`. Each round is a child process (an ordinary user, few processes and files allowed, a directory of its own) whose threads call at
 * random with arguments drawn from what kernels trip over: good and bad descriptors, paths, edges of mappings, huge sizes, negative numbers. Prints the
 * seed of each round so that one can be run again, then `PASS sysfuzz` or `FAIL sysfuzz why`. Memory is compared before and after, when all children are gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/fuzz/fuse_server.h"
#include "tests/fuzz/memory.h"

enum { MAX_NR = 451, ROUND_CALLS = 4000 };

/* Stand in the area; under m is a file server that lies. */
static const char *const paths[] = {
        "f",   ".",      "..",        "d",          "d/x",           "l",         "l/x", "m",
        "m/a", "m/a/b",  "m/b/../c/", "m/a/b/c/d",  "/proc/self/fd", "/dev/null", "",    "n",
        "m/",  "f/none", "/dev/fuse", "/tmp/fuzz/m"};
enum { NPATHS = sizeof(paths) / sizeof(paths[0]), PATHS_AT = 1024, PATH_ROOM = 64 };

static char *area; /* read-write, then a page without access */
static char *readonly;
static volatile int stop;

static uint64_t next(uint64_t *s)
{
        *s ^= *s << 13;
        *s ^= *s >> 7;
        *s ^= *s << 17;
        return *s;
}

/* Calls that would end the machine or the run itself, or reach outside. */
static int excluded(long nr)
{
        static const short list[] = {SYS_reboot,
                                     SYS_kexec_load,
                                     SYS_kexec_file_load,
                                     SYS_init_module,
                                     SYS_finit_module,
                                     SYS_delete_module,
                                     SYS_swapon,
                                     SYS_swapoff,
                                     SYS_iopl,
                                     SYS_ioperm,
                                     SYS_pause,
                                     SYS_rt_sigsuspend,
                                     SYS_vhangup,
                                     SYS_setsid,
                                     SYS_setpgid,
                                     SYS_kill,
                                     SYS_tkill,
                                     SYS_tgkill,
                                     SYS_rt_sigqueueinfo,
                                     SYS_rt_tgsigqueueinfo,
                                     SYS_pidfd_send_signal,
                                     SYS_ptrace,
                                     SYS_exit_group,
                                     SYS_exit,
                                     SYS_rt_sigreturn,
                                     SYS_alarm,
                                     SYS_setitimer,
                                     SYS_timer_settime,
                                     SYS_setrlimit,
                                     SYS_prlimit64,
                                     SYS_process_vm_writev,
                                     SYS_clock_settime,
                                     SYS_settimeofday};

        for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++)
                if (list[i] == nr)
                        return 1;
        return 0;
}

static uint64_t argument(uint64_t *s)
{
        static const uint64_t edges[] = {0,
                                         1,
                                         2,
                                         3,
                                         4,
                                         7,
                                         8,
                                         16,
                                         100,
                                         511,
                                         512,
                                         4095,
                                         4096,
                                         4097,
                                         65536,
                                         0x7fffffff,
                                         0x80000000,
                                         0xffffffff,
                                         0x7fffffffffffffff,
                                         0x8000000000000000,
                                         0x00007ffffffff000,
                                         0x0000800000000000,
                                         0xffff800000000000,
                                         0xffff900000000000,
                                         0xffffffff80200000,
                                         (uint64_t)-1,
                                         (uint64_t)-2,
                                         (uint64_t)-100,
                                         (uint64_t)-4096,
                                         0x1000,
                                         0xfff};
        uint64_t r = next(s);

        switch (r % 12) {
        case 0:
        case 1:
        case 2:
                return r >> 32 & 31; /* descriptors, small numbers */
        case 3:
                return (uint64_t)area + PATHS_AT + (r >> 20) % NPATHS * PATH_ROOM;
        case 4:
        case 5:
                return (uint64_t)area + (r >> 20) % 65536;
        case 6:
                return (uint64_t)area + 65536 - (r >> 20) % 64; /* across the edge */
        case 7:
                return (uint64_t)readonly + (r >> 20) % 4096;
        case 8:
        case 9:
                return edges[(r >> 8) % (sizeof(edges) / sizeof(edges[0]))];
        case 10:
                return 1ul << (r >> 8) % 64;
        default:
                return next(s);
        }
}

static void *hammer(void *arg)
{
        uint64_t s = (uint64_t)arg;

        for (int i = 0; i < ROUND_CALLS && !stop; i++) {
                long nr = (long)(next(&s) % MAX_NR);
                uint64_t a[6];

                if (nr >= 335 && nr < 424)
                        nr = (long)(next(&s) % 335);
                if (excluded(nr))
                        continue;
                for (int k = 0; k < 6; k++)
                        a[k] = argument(&s);
                if (nr == SYS_clone || nr == SYS_fork || nr == SYS_vfork || nr == SYS_clone3) {
                        pid_t p = fork();

                        if (p == 0)
                                _exit((int)(a[0] & 127));
                        continue;
                }
                /* Ones that may wait for ever get a chance to, bounded by the round's alarm. Keep our own memory. */
                if ((nr == SYS_munmap || nr == SYS_mremap || nr == SYS_mprotect || nr == SYS_madvise ||
                     nr == SYS_mmap || nr == SYS_remap_file_pages || nr == SYS_pkey_mprotect || nr == SYS_brk ||
                     nr == SYS_shmat) &&
                    (a[0] < (uint64_t)area || a[0] > (uint64_t)area + 61440))
                        a[0] = (uint64_t)area;
                if (nr == SYS_execve || nr == SYS_execveat)
                        a[1] = 1;
                syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        }
        return NULL;
}

static void open_things(void)
{
        int sv[2];

        for (int fd = 3; fd < 32; fd++)
                close(fd);
        if (open("f", O_RDWR | O_CREAT, 0666) < 0 || open(".", O_RDONLY | O_DIRECTORY) < 0 || mkdir("d", 0777) ||
            symlink("d", "l"))
                _exit(9);
        if (pipe(sv) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) ||
            socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sv))
                _exit(9);
        syscall(SYS_eventfd2, 0, O_NONBLOCK);
        syscall(SYS_epoll_create1, 0);
        syscall(SYS_timerfd_create, CLOCK_MONOTONIC, O_NONBLOCK);
        syscall(SYS_inotify_init1, O_NONBLOCK);
        open("/dev/zero", O_RDWR);
        open("/dev/null", O_RDWR);
        open("/proc/self/maps", O_RDONLY);
        open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
        open("m", O_RDONLY | O_DIRECTORY | O_NONBLOCK);
        open("m/a", O_RDONLY | O_NONBLOCK);
}

static void round_child(uint64_t seed, int threads)
{
        struct rlimit few = {60, 60}, files = {128, 128}, size = {1 << 20, 1 << 20}, space = {256 << 20, 256 << 20},
                      core = {0, 0};
        pthread_t t[16];

        if (chdir("/tmp/fuzz"))
                _exit(9);
        umask(0);
        alarm(3); /* opening things may wait for the server */
        setrlimit(RLIMIT_NOFILE, &files);
        setrlimit(RLIMIT_FSIZE, &size);
        setrlimit(RLIMIT_AS, &space);
        setrlimit(RLIMIT_CORE, &core);
        area = mmap(NULL, 65536 + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(area + 65536, 4096, PROT_NONE);
        for (int i = 0; i < 65536; i += 8)
                *(uint64_t *)(area + i) = i % 64 ? (uint64_t)i : (uint64_t)area + (uint64_t)i / 2;
        for (unsigned i = 0; i < NPATHS; i++)
                strcpy(area + PATHS_AT + PATH_ROOM * i, paths[i]);
        open_things();
        if (setgid(1000) || setuid(1000))
                _exit(9);
        setrlimit(RLIMIT_NPROC, &few);
        for (int sig = 1; sig < 32; sig++)
                if (sig != SIGALRM && sig != SIGSEGV && sig != SIGBUS && sig != SIGILL && sig != SIGFPE)
                        signal(sig, SIG_IGN);
        alarm(3);
        for (int i = 0; i < threads; i++)
                if (pthread_create(&t[i], NULL, hammer, (void *)(seed + (uint64_t)i * 7919 + 1)))
                        _exit(9);
        for (int i = 0; i < threads; i++)
                pthread_join(t[i], NULL);
        _exit(0);
}

static void clean(void)
{
        (void)!umount2("/tmp/fuzz/m", MNT_DETACH);
        (void)!system("rm -rf /tmp/fuzz; for i in $(ipcs -m 2>/dev/null | awk '$2 ~ /^[0-9]+$/ {print $2}'); do ipcrm "
                      "-m $i; done;"
                      "for i in $(ipcs -s 2>/dev/null | awk '$2 ~ /^[0-9]+$/ {print $2}'); do ipcrm -s $i; done;"
                      "for i in $(ipcs -q 2>/dev/null | awk '$2 ~ /^[0-9]+$/ {print $2}'); do ipcrm -q $i; done");
}

int main(int argc, char **argv)
{
        long seconds = argc > 1 ? atol(argv[1]) : 10;
        uint64_t seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
        int threads = argc > 3 ? atoi(argv[3]) : 3, rounds = 0;
        time_t end = time(NULL) + seconds;
        long before = 0, after;

        if (threads > 16)
                threads = 16;
        do {
                pid_t p;
                int status;

                clean();
                if (mkdir("/tmp/fuzz", 0777) || chmod("/tmp/fuzz", 0777)) {
                        printf("FAIL sysfuzz /tmp/fuzz: %s\n", strerror(errno));
                        return 1;
                }
                if (mkdir("/tmp/fuzz/m", 0777) || !fuse_server("/tmp/fuzz/m", seed)) {
                        printf("FAIL sysfuzz /tmp/fuzz/m: %s\n", strerror(errno));
                        return 1;
                }
                if (rounds == 2)
                        before = mem_free_kb(); /* caches are warm */
                p = fork();
                if (p == 0) {
                        setpgid(0, 0);
                        round_child(seed, threads);
                }
                waitpid(p, &status, 0);
                kill(-p, SIGKILL);
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
                if (WIFEXITED(status) && WEXITSTATUS(status) == 9) {
                        printf("FAIL sysfuzz could not set up\n");
                        return 1;
                }
                seed = seed * 6364136223846793005ul + 1442695040888963407ul;
                rounds++;
        } while (time(NULL) < end || rounds < 4);
        clean();
        usleep(300000);
        after = mem_free_kb();
        printf("sysfuzz: %d rounds, free memory %ld -> %ld kB, next seed %lu\n", rounds, before, after, seed);
        if (before - after > 2048 + rounds * 4) {
                printf("FAIL sysfuzz lost %ld kB\n", before - after);
                return 1;
        }
        puts("PASS sysfuzz");
        return 0;
}
