/* mm.c - address spaces: mappings, protection, copy-on-write, growth, truncation, limits. */
#include "lib/test.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PG   4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)

static sigjmp_buf back;
static volatile int got_signal, got_code;
static void *volatile got_addr;

static void on_fault(int sig, siginfo_t *si, void *uc)
{
        (void)uc;
        got_signal = sig;
        got_code = si->si_code;
        got_addr = si->si_addr;
        siglongjmp(back, 1);
}
static void catch_faults(void)
{
        struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

        sigaction(SIGSEGV, &sa, NULL);
        sigaction(SIGBUS, &sa, NULL);
}
/* Signal that the access gave, 0: none. */
static int touch(volatile char *p, int write)
{
        got_signal = 0;
        if (sigsetjmp(back, 1) == 0) {
                if (write)
                        *p = 1;
                else
                        (void)*p;
        }
        return got_signal;
}
static char *map(size_t len, int prot, int flags)
{
        char *p = mmap(NULL, len, prot, flags, -1, 0);

        CHECK(p != MAP_FAILED);
        return p;
}
static int file_of(size_t pages)
{
        char name[] = "/tmp/mmtestXXXXXX";
        int fd = mkstemp(name);

        CHECK(fd >= 0);
        unlink(name);
        for (size_t i = 0; i < pages; i++) {
                char b[PG];

                memset(b, 'a' + (int)(i % 26), PG);
                CHECK(write(fd, b, PG) == (ssize_t)PG);
        }
        return fd;
}

TEST(zero_pages)
{
        char *p = map(8 * PG, RW, ANON);

        for (size_t i = 0; i < 8 * PG; i++)
                CHECK(p[i] == 0);
        p[5 * PG] = 1;
        CHECK(p[5 * PG] == 1 && p[4 * PG] == 0 && p[5 * PG + 1] == 0);
        CHECK(munmap(p, 8 * PG) == 0);
}
TEST(unmapped_is_maperr)
{
        char *p = map(3 * PG, RW, ANON);

        catch_faults();
        CHECK(munmap(p + PG, PG) == 0);
        CHECK(touch(p, 1) == 0 && touch(p + 2 * PG, 1) == 0);
        CHECK(touch(p + PG + 7, 0) == SIGSEGV && got_code == SEGV_MAPERR && got_addr == p + PG + 7);
}
TEST(protection_is_accerr)
{
        char *p = map(4 * PG, RW, ANON);

        catch_faults();
        memset(p, 7, 4 * PG);
        CHECK(mprotect(p + PG, 2 * PG, PROT_READ) == 0);
        CHECK(touch(p + PG, 0) == 0 && p[PG] == 7);
        CHECK(touch(p + PG, 1) == SIGSEGV && got_code == SEGV_ACCERR);
        CHECK(mprotect(p + PG, PG, PROT_NONE) == 0);
        CHECK(touch(p + PG, 0) == SIGSEGV && got_code == SEGV_ACCERR);
        CHECK(mprotect(p, 4 * PG, RW) == 0);
        CHECK(p[PG] == 7 && touch(p + PG, 1) == 0 && p[3 * PG] == 7);
}
TEST(mprotect_hole)
{
        char *p = map(3 * PG, RW, ANON);

        munmap(p + PG, PG);
        CHECK(mprotect(p, 3 * PG, PROT_READ) == -1 && errno == ENOMEM);
        CHECK(syscall(SYS_mprotect, p + 1, PG, PROT_READ) == -1 && errno == EINVAL); /* libc rounds */
        CHECK(mprotect(p, 0, PROT_READ) == 0);
}
TEST(execute_permission)
{
        unsigned char *p = (unsigned char *)map(PG, RW, ANON);

        catch_faults();
        memcpy(p, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42, %eax; ret */
        got_signal = 0;
        if (sigsetjmp(back, 1) == 0)
                ((int (*)(void))p)();
        CHECK(got_signal == SIGSEGV && got_code == SEGV_ACCERR);
        CHECK(mprotect(p, PG, PROT_READ | PROT_EXEC) == 0);
        CHECK(((int (*)(void))p)() == 42);
}
TEST(toggle_many)
{
        char *p = map(64 * PG, RW, ANON);

        memset(p, 3, 64 * PG);
        for (int round = 0; round < 40; round++) {
                for (int i = round % 2; i < 64; i += 2)
                        CHECK(mprotect(p + i * PG, PG, PROT_READ) == 0);
                CHECK(mprotect(p, 64 * PG, RW) == 0);
        }
        for (size_t i = 0; i < 64 * PG; i++)
                CHECK(p[i] == 3);
}
TEST(mmap_errors)
{
        int fd = file_of(1), ro;
        char *p = map(PG, RW, ANON);

        CHECK(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
        CHECK(mmap(NULL, PG, RW, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
        CHECK(mmap(NULL, PG, RW, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
        CHECK(syscall(SYS_mmap, 0, PG, RW, MAP_PRIVATE, fd, 12) == -1 && errno == EINVAL);
        CHECK(mmap(p + 1, PG, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);
        CHECK(mmap(p, PG, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
        CHECK(mmap(NULL, 1ul << 60, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
        CHECK(munmap(p + 1, PG) == -1 && errno == EINVAL);
        CHECK(munmap(p, 0) == -1 && errno == EINVAL);
        ro = open("/proc/self/exe", O_RDONLY);
        if (ro >= 0) {
                CHECK(mmap(NULL, PG, RW, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES);
                CHECK(mmap(NULL, PG, RW, MAP_PRIVATE, ro, 0) != MAP_FAILED);
                p = mmap(NULL, PG, PROT_READ, MAP_SHARED, ro, 0);
                CHECK(p != MAP_FAILED && mprotect(p, PG, RW) == -1 && errno == EACCES);
        }
}
TEST(fixed_replaces)
{
        char *p = map(8 * PG, RW, ANON);

        memset(p, 9, 8 * PG);
        CHECK(mmap(p + 2 * PG, 3 * PG, RW, ANON | MAP_FIXED, -1, 0) == p + 2 * PG);
        CHECK(p[2 * PG] == 0 && p[4 * PG] == 0 && p[PG] == 9 && p[5 * PG] == 9);
}
TEST(fixed_replaces_many_areas)
{
        char *p = map(200 * PG, RW, ANON);

        memset(p, 9, 200 * PG);
        for (int i = 0; i < 200; i += 2)
                CHECK(mprotect(p + i * PG, PG, PROT_READ) == 0);
        CHECK(mmap(p, 200 * PG, RW, ANON | MAP_FIXED, -1, 0) == p);
        for (int i = 0; i < 200; i++)
                CHECK(p[i * PG] == 0);
        CHECK(munmap(p, 200 * PG) == 0);
}
TEST(big_reservation)
{
        char *p = mmap(NULL, 64ul << 30, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);

        CHECK(p != MAP_FAILED);
        CHECK(mprotect(p + (33ul << 30), 4 * PG, RW) == 0);
        p[33ul << 30] = 5;
        CHECK(munmap(p, 64ul << 30) == 0);
}
TEST(cow_after_fork)
{
        char *p = map(600 * PG, RW, ANON);
        int status;

        for (int i = 0; i < 600; i++)
                p[i * PG] = (char)i;
        if (fork() == 0) {
                for (int i = 0; i < 600; i++) {
                        if (p[i * PG] != (char)i)
                                _exit(1);
                        p[i * PG] = (char)(i + 1);
                }
                if (fork() == 0) {
                        for (int i = 0; i < 600; i++) {
                                if (p[i * PG] != (char)(i + 1))
                                        _exit(1);
                                p[i * PG] = 0;
                        }
                        _exit(0);
                }
                wait(&status);
                for (int i = 0; i < 600; i++)
                        if (p[i * PG] != (char)(i + 1))
                                _exit(1);
                _exit(status ? 1 : 0);
        }
        for (int i = 0; i < 600; i += 3)
                p[i * PG] = 77;
        wait(&status);
        CHECK(status == 0);
        for (int i = 0; i < 600; i++)
                CHECK(p[i * PG] == (i % 3 ? (char)i : 77));
}
TEST(shared_over_fork)
{
        volatile char *p = map(4 * PG, RW, MAP_SHARED | MAP_ANONYMOUS);
        int status;

        p[0] = 1;
        if (fork() == 0) {
                p[PG] = p[0] + 1;
                _exit(0);
        }
        wait(&status);
        CHECK(p[PG] == 2);
}
TEST(private_file)
{
        int fd = file_of(4);
        char *p = mmap(NULL, 4 * PG, RW, MAP_PRIVATE, fd, 0), b[1];

        CHECK(p != MAP_FAILED && p[0] == 'a' && p[3 * PG] == 'd');
        p[PG] = 'X';
        CHECK(p[PG] == 'X' && p[PG + 1] == 'b');
        CHECK(pread(fd, b, 1, PG) == 1 && b[0] == 'b');
        CHECK(madvise(p + PG, PG, MADV_DONTNEED) == 0 && p[PG] == 'b');
}
TEST(shared_file_is_coherent)
{
        int fd = file_of(4);
        char *p = mmap(NULL, 4 * PG, RW, MAP_SHARED, fd, 0), b[1];

        CHECK(p != MAP_FAILED);
        p[PG] = 'X';
        CHECK(pread(fd, b, 1, PG) == 1 && b[0] == 'X');
        CHECK(pwrite(fd, "Y", 1, 2 * PG) == 1 && p[2 * PG] == 'Y');
        CHECK(msync(p, 4 * PG, MS_SYNC) == 0);
}
TEST(offset_mapping)
{
        int fd = file_of(6);
        char *p = mmap(NULL, 2 * PG, PROT_READ, MAP_SHARED, fd, 3 * PG);

        CHECK(p != MAP_FAILED && p[0] == 'd' && p[PG] == 'e');
}
TEST(hole_is_shared)
{
        int fd = file_of(0);
        char *p, *q, b[1];

        CHECK(ftruncate(fd, 8 * PG) == 0);
        p = mmap(NULL, 8 * PG, PROT_READ, MAP_SHARED, fd, 0);
        q = mmap(NULL, 8 * PG, RW, MAP_SHARED, fd, 0);
        CHECK(p[3 * PG] == 0);
        q[3 * PG] = 'q';
        CHECK(p[3 * PG] == 'q' && pread(fd, b, 1, 3 * PG) == 1 && b[0] == 'q');
        CHECK(p[5 * PG] == 0 && pwrite(fd, "w", 1, 5 * PG) == 1 && p[5 * PG] == 'w');
}
TEST(beyond_the_end_is_sigbus)
{
        int fd = file_of(2);
        char *p = mmap(NULL, 4 * PG, RW, MAP_SHARED, fd, 0);

        catch_faults();
        CHECK(touch(p + PG, 1) == 0);
        CHECK(touch(p + 2 * PG, 0) == SIGBUS && got_code == BUS_ADRERR);
        CHECK(ftruncate(fd, 4 * PG) == 0 && touch(p + 2 * PG, 1) == 0);
}
TEST(truncate_unmaps)
{
        int fd = file_of(40);
        char *p = mmap(NULL, 40 * PG, RW, MAP_SHARED, fd, 0), *q = mmap(NULL, 40 * PG, RW, MAP_PRIVATE, fd, 0);

        catch_faults();
        for (int i = 0; i < 40; i++) {
                p[i * PG] = 1;
                if (i % 2)
                        q[i * PG] = 2;
                else
                        CHECK(q[i * PG] == 1);
        }
        CHECK(ftruncate(fd, 10 * PG + 100) == 0);
        CHECK(touch(p + 10 * PG, 1) == 0 && touch(p + 11 * PG, 0) == SIGBUS && touch(p + 39 * PG, 1) == SIGBUS);
        CHECK(touch(q + 20 * PG, 0) == SIGBUS && touch(q + 21 * PG, 0) == SIGBUS);
        CHECK(ftruncate(fd, 40 * PG) == 0 && p[11 * PG] == 0 && p[10 * PG + 100] == 0);
}
TEST(mremap_grow_move_shrink)
{
        char *p = map(4 * PG, RW, ANON), *q, *wall;

        for (int i = 0; i < 4; i++)
                p[i * PG] = (char)(i + 1);
        q = mremap(p, 4 * PG, 300 * PG, MREMAP_MAYMOVE);
        CHECK(q != MAP_FAILED);
        for (int i = 0; i < 4; i++)
                CHECK(q[i * PG] == i + 1);
        CHECK(q[4 * PG] == 0 && q[299 * PG] == 0);
        q[299 * PG] = 9;
        CHECK(mremap(q, 300 * PG, 2 * PG, 0) == q && q[PG] == 2);
        catch_faults();
        CHECK(touch(q + 2 * PG, 0) == SIGSEGV);
        wall = map(8 * PG, RW, ANON);
        wall[0] = 'w';
        p = mremap(q, 2 * PG, 3 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, wall + 2 * PG);
        CHECK(p == wall + 2 * PG && p[0] == 1 && p[PG] == 2 && p[2 * PG] == 0 && wall[0] == 'w');
        CHECK(mremap(p + 1, PG, PG, 0) == MAP_FAILED && errno == EINVAL);
        CHECK(mremap(q, PG, 2 * PG, 0) == MAP_FAILED && errno == EFAULT);
}
TEST(mremap_part_of_area)
{
        char *p = map(10 * PG, RW, ANON), *q;

        for (int i = 0; i < 10; i++)
                p[i * PG] = (char)(i + 1);
        q = mremap(p + 3 * PG, 4 * PG, 9 * PG, MREMAP_MAYMOVE);
        CHECK(q != MAP_FAILED && q[0] == 4 && q[3 * PG] == 7 && q[4 * PG] == 0);
        CHECK(p[2 * PG] == 3 && p[7 * PG] == 8);
        catch_faults();
        CHECK(touch(p + 3 * PG, 0) == SIGSEGV);
}
TEST(dontneed_zeroes)
{
        char *p = map(1200 * PG, RW, ANON);

        memset(p, 5, 1200 * PG);
        CHECK(madvise(p + 100 * PG, 1000 * PG, MADV_DONTNEED) == 0);
        CHECK(p[99 * PG] == 5 && p[1100 * PG] == 5);
        for (int i = 100; i < 1100; i++)
                CHECK(p[i * PG] == 0);
        CHECK(madvise(p + 1, PG, MADV_DONTNEED) == -1 && errno == EINVAL);
        CHECK(madvise(p, PG, 9999) == -1 && errno == EINVAL);
        munmap(p + PG, PG);
        CHECK(madvise(p, 3 * PG, MADV_DONTNEED) == -1 && errno == ENOMEM && p[0] == 0 && p[2 * PG] == 0);
}
TEST(fork_advice)
{
        char *p = map(3 * PG, RW, ANON);
        int status;

        memset(p, 5, 3 * PG);
        CHECK(madvise(p, PG, MADV_WIPEONFORK) == 0);
        CHECK(madvise(p + 2 * PG, PG, MADV_DONTFORK) == 0);
        if (fork() == 0) {
                catch_faults();
                _exit(p[0] == 0 && p[PG] == 5 && touch(p + 2 * PG, 0) == SIGSEGV ? 0 : 1);
        }
        wait(&status);
        CHECK(status == 0 && p[0] == 5 && p[2 * PG] == 5);
}
TEST(brk_grows_and_shrinks)
{
        char *start = (char *)syscall(SYS_brk, 0), *p = start + (-(uintptr_t)start & (PG - 1));

        CHECK((char *)syscall(SYS_brk, p + 20 * PG) == p + 20 * PG);
        p[19 * PG] = 4;
        CHECK((char *)syscall(SYS_brk, p + 5 * PG) == p + 5 * PG);
        catch_faults();
        CHECK(touch(p + 19 * PG, 0) == SIGSEGV && touch(p + 4 * PG, 1) == 0);
        CHECK((char *)syscall(SYS_brk, p + 20 * PG) == p + 20 * PG && p[19 * PG] == 0);
        CHECK((char *)syscall(SYS_brk, 1) == p + 20 * PG);
}
static int deep(int n)
{
        volatile char block[PG];

        block[0] = (char)n;
        return n ? deep(n - 1) + block[0] - (char)n : 0;
}
TEST(stack_grows)
{
        CHECK(deep(1000) == 0);
}
TEST(stack_limit)
{
        struct rlimit rl = {256 * 1024, 256 * 1024};
        int status;

        if (fork() == 0) {
                signal(SIGSEGV, SIG_DFL);
                setrlimit(RLIMIT_STACK, &rl);
                _exit(deep(2000) ? 1 : 2);
        }
        wait(&status);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}
TEST(address_space_limit)
{
        struct rlimit rl = {64 << 20, 64 << 20};

        CHECK(setrlimit(RLIMIT_AS, &rl) == 0);
        CHECK(mmap(NULL, 128 << 20, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
        CHECK(mmap(NULL, 1 << 20, RW, ANON, -1, 0) != MAP_FAILED);
}
TEST(mincore_tells)
{
        char *p = map(4 * PG, RW, ANON);
        unsigned char v[4];

        p[PG] = 1;
        CHECK(mincore(p, 4 * PG, v) == 0 && (v[1] & 1) && !(v[3] & 1));
        CHECK(mincore(p + 1, PG, v) == -1 && errno == EINVAL);
        munmap(p, PG);
        CHECK(mincore(p, PG, v) == -1 && errno == ENOMEM);
}
TEST(locks)
{
        char *p = map(4 * PG, RW, ANON);
        unsigned char v[4];

        CHECK(mlock(p, 2 * PG) == 0);
        CHECK(mincore(p, 4 * PG, v) == 0 && (v[0] & 1) && (v[1] & 1));
        CHECK(madvise(p, PG, MADV_DONTNEED) == -1 && errno == EINVAL);
        CHECK(munlock(p, 4 * PG) == 0 && madvise(p, PG, MADV_DONTNEED) == 0);
        munmap(p + PG, PG);
        CHECK(mlock(p, 3 * PG) == -1 && errno == ENOMEM);
}
TEST(populate)
{
        char *p = map(64 * PG, RW, ANON | MAP_POPULATE);
        unsigned char v[64];

        CHECK(mincore(p, 64 * PG, v) == 0);
        for (int i = 0; i < 64; i++)
                CHECK(v[i] & 1);
}
TEST(msync_errors)
{
        char *p = map(3 * PG, RW, ANON);

        CHECK(msync(p, PG, MS_SYNC | MS_ASYNC) == -1 && errno == EINVAL);
        CHECK(msync(p + 1, PG, MS_SYNC) == -1 && errno == EINVAL);
        munmap(p + PG, PG);
        CHECK(msync(p, 3 * PG, MS_ASYNC) == -1 && errno == ENOMEM);
}
TEST(kernel_meets_bad_pointers)
{
        char *p = map(2 * PG, RW, ANON);
        int fd[2];

        CHECK(pipe(fd) == 0);
        mprotect(p + PG, PG, PROT_NONE);
        CHECK(write(fd[1], p + PG, 4) == -1 && errno == EFAULT);
        CHECK(write(fd[1], p + PG - 2, 2) == 2);
        CHECK(read(fd[0], (void *)8, 1) == -1 && errno == EFAULT);
        CHECK(read(fd[0], p, 2) == 2); /* not touched before: the copy makes the page */
}
TEST(process_vm)
{
        char *p = map(4 * PG, RW, ANON), mine[3 * PG];
        int go[2], status;
        pid_t pid;

        memset(p, 'p', 4 * PG);
        CHECK(pipe(go) == 0);
        if ((pid = fork()) == 0) {
                char c;

                close(go[1]);
                read(go[0], &c, 1);
                _exit(p[PG] == 'z' && p[PG + 1] == 'p' ? 0 : 1);
        }
        close(go[0]);
        struct iovec l = {mine, 3 * PG}, r = {p + 100, 3 * PG};
        CHECK(process_vm_readv(pid, &l, 1, &r, 1, 0) == 3 * PG && mine[0] == 'p' && mine[3 * PG - 1] == 'p');
        mine[0] = 'z';
        l.iov_len = 1;
        r = (struct iovec){p + PG, 1};
        CHECK(process_vm_writev(pid, &l, 1, &r, 1, 0) == 1 && p[PG] == 'p');
        r.iov_base = (void *)8;
        CHECK(process_vm_readv(pid, &l, 1, &r, 1, 0) == -1 && errno == EFAULT);
        close(go[1]);
        waitpid(pid, &status, 0);
        CHECK(status == 0);
}
static volatile int stop;
static char *arena;
static void *toucher(void *arg)
{
        long n = (long)arg;

        for (unsigned i = 0; !stop; i++)
                arena[((i * 7 + n) % 64) * PG] = (char)i;
        return NULL;
}
TEST(threads_fault_and_fork)
{
        pthread_t t[3];

        arena = map(64 * PG, RW, ANON);
        for (long i = 0; i < 3; i++)
                CHECK(pthread_create(&t[i], NULL, toucher, (void *)i) == 0);
        for (int i = 0; i < 60; i++) {
                pid_t pid = fork();
                int status;

                if (pid == 0) {
                        char v = arena[5 * PG];

                        for (int k = 0; k < 2000; k++)
                                if (*(volatile char *)&arena[5 * PG] != v)
                                        _exit(1); /* the parent's writes must not be seen */
                        _exit(0);
                }
                madvise(arena + 32 * PG, 8 * PG, MADV_DONTNEED);
                waitpid(pid, &status, 0);
                CHECK(status == 0);
        }
        stop = 1;
        for (int i = 0; i < 3; i++)
                pthread_join(t[i], NULL);
}
/* Address spaces that end in many pieces, many at a time: what is left of one never points at what is gone. */
TEST(many_areas_end)
{
        for (int i = 0; i < 80; i++) {
                int status;

                if (fork() == 0) {
                        char *p = map(1000 * PG, RW, ANON);

                        for (int k = 0; k < 1000; k += 2)
                                if (mprotect(p + k * PG, PG, PROT_READ))
                                        _exit(1);
                        _exit(0);
                }
                if (i >= 8)
                        CHECK(wait(&status) > 0 && status == 0);
        }
        while (wait(NULL) > 0)
                ;
}
TEST(random_operations)
{
        enum { N = 96 };
        char *p = map(N * PG, RW, ANON);
        unsigned char value[N] = {0}, mapped[N], writable[N];
        unsigned seed = 12345;

        memset(mapped, 1, N);
        memset(writable, 1, N);
        for (int step = 0; step < 3000; step++) {
                unsigned a, n, op;

                seed = seed * 1664525 + 1013904223;
                a = (seed >> 8) % N;
                n = 1 + (seed >> 16) % 12;
                if (a + n > N)
                        n = N - a;
                op = (seed >> 24) % 6;
                if (op == 0) {
                        CHECK(munmap(p + a * PG, n * PG) == 0);
                        memset(mapped + a, 0, n);
                } else if (op == 1) {
                        CHECK(mmap(p + a * PG, n * PG, RW, ANON | MAP_FIXED, -1, 0) != MAP_FAILED);
                        memset(mapped + a, 1, n);
                        memset(writable + a, 1, n);
                        memset(value + a, 0, n);
                } else if (op == 2 || op == 3) {
                        unsigned k = a;

                        while (k < a + n && mapped[k])
                                k++;
                        CHECK(mprotect(p + a * PG, n * PG, op == 2 ? PROT_READ : RW) == (k == a + n ? 0 : -1));
                        memset(writable + a, op == 3, k - a);
                } else if (op == 4) {
                        madvise(p + a * PG, n * PG, MADV_DONTNEED);
                        for (unsigned k = a; k < a + n; k++)
                                if (mapped[k])
                                        value[k] = 0;
                } else {
                        for (unsigned k = a; k < a + n; k++)
                                if (mapped[k] && writable[k])
                                        p[k * PG] = (char)(value[k] = (unsigned char)(step | 1));
                }
                for (unsigned k = 0; k < N; k++)
                        if (mapped[k])
                                CHECK((unsigned char)p[k * PG] == value[k]);
        }
}
TEST_MAIN
