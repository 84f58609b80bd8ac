/*
 * sync.c - fsync and its kin, O_SYNC and RWF_SYNC: what they accept, what they refuse, and that what they return is what was done. That the data is really on a disk is the crash
 * laboratory's to show.
 */
#include "lib/test.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PG 4096

static int fresh(int flags)
{
        char name[] = "/tmp/synctestXXXXXX";
        int fd = mkstemp(name), again;

        CHECK(fd >= 0);
        again = open(name, flags);
        CHECK(again >= 0);
        close(fd);
        CHECK(unlink(name) == 0);
        return again;
}

TEST(fsync_of_files)
{
        int fd = fresh(O_RDWR);

        CHECK(fsync(fd) == 0);
        CHECK(write(fd, "abc", 3) == 3);
        CHECK(fsync(fd) == 0);
        CHECK(fdatasync(fd) == 0);
        CHECK(ftruncate(fd, 100000) == 0);
        CHECK(fsync(fd) == 0);
        close(fd);
        fd = fresh(O_RDONLY); /* no need to be able to write */
        CHECK(fsync(fd) == 0);
        CHECK(fdatasync(fd) == 0);
}

TEST(fsync_of_directories)
{
        int fd = open("/tmp", O_RDONLY | O_DIRECTORY);

        CHECK(fd >= 0);
        CHECK(mkdir("/tmp/synctestdir", 0755) == 0);
        CHECK(fsync(fd) == 0);
        CHECK(rmdir("/tmp/synctestdir") == 0);
        CHECK(fdatasync(fd) == 0);
}

TEST(fsync_refuses)
{
        int p[2], s[2], fd;

        CHECK_ERR(fsync(-1), EBADF);
        CHECK_ERR(fdatasync(999), EBADF);
        fd = open("/tmp", O_PATH);
        CHECK_ERR(fsync(fd), EBADF);
        CHECK_ERR(fdatasync(fd), EBADF);
        CHECK_ERR(syncfs(fd), EBADF);
        CHECK_ERR(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), EBADF);
        CHECK(pipe(p) == 0);
        CHECK_ERR(fsync(p[0]), EINVAL);
        CHECK_ERR(fdatasync(p[1]), EINVAL);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        CHECK_ERR(fsync(s[0]), EINVAL);
        CHECK_ERR(fsync(eventfd(0, 0)), EINVAL);
        CHECK_ERR(fsync(epoll_create1(0)), EINVAL);
        fd = open("/dev/null", O_WRONLY);
        CHECK_ERR(fsync(fd), EINVAL);
        CHECK_ERR(fdatasync(fd), EINVAL);
}

TEST(sync_and_syncfs)
{
        int fd = fresh(O_RDWR), p[2];

        sync();
        CHECK(syncfs(fd) == 0);
        CHECK_ERR(syncfs(-1), EBADF);
        CHECK(pipe(p) == 0);
        CHECK(syncfs(p[0]) == 0);
}

TEST(range)
{
        const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
        int fd = fresh(O_RDWR), p[2];

        CHECK(write(fd, "abc", 3) == 3);
        for (unsigned flags = 0; flags <= all; flags++)
                CHECK(sync_file_range(fd, 0, 0, flags) == 0);
        CHECK(sync_file_range(fd, PG, 10 * PG, all) == 0);
        CHECK_ERR(sync_file_range(fd, 0, 0, 8), EINVAL);
        CHECK_ERR(sync_file_range(fd, -1, 0, all), EINVAL);
        CHECK_ERR(sync_file_range(fd, 0, -1, all), EINVAL);
        CHECK_ERR(sync_file_range(fd, 0x7fffffffffffffff, 2, all), EINVAL);
        CHECK_ERR(sync_file_range(-1, 0, 0, all), EBADF);
        CHECK(pipe(p) == 0);
        CHECK_ERR(sync_file_range(p[0], 0, 0, all), ESPIPE);
}

TEST(msync_waits)
{
        int fd = fresh(O_RDWR);
        char *p;

        CHECK(ftruncate(fd, 4 * PG) == 0);
        p = mmap(0, 4 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(p != MAP_FAILED);
        memset(p, 'x', 4 * PG);
        CHECK(msync(p, 4 * PG, MS_SYNC) == 0);
        CHECK(msync(p + PG, 1, MS_SYNC) == 0);
        CHECK(msync(p, 4 * PG, MS_ASYNC) == 0);
        CHECK(munmap(p + PG, PG) == 0);
        CHECK_ERR(msync(p, 4 * PG, MS_SYNC), ENOMEM); /* what is there was synchronized */
        CHECK(msync(p + 2 * PG, PG, MS_SYNC) == 0);
        p = mmap(0, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        p[0] = 1;
        CHECK(msync(p, PG, MS_SYNC) == 0);
}

/* Writes through a descriptor opened with flags: counts, position and contents are those of any other. */
static void writes(int flags)
{
        static char big[300000], back[300000];
        int fd = fresh(O_RDWR | flags), p[2], from;
        struct iovec v[2] = {{"hello ", 6}, {"world", 5}};
        off_t at = 0;

        CHECK((fcntl(fd, F_GETFL) & flags) == flags);
        CHECK(write(fd, "", 0) == 0);
        CHECK(write(fd, "abc", 3) == 3);
        CHECK(writev(fd, v, 2) == 11);
        CHECK(lseek(fd, 0, SEEK_CUR) == 14);
        CHECK(pwrite(fd, "ABC", 3, 0) == 3);
        CHECK(pwritev(fd, v, 2, 20) == 11);
        CHECK(lseek(fd, 0, SEEK_CUR) == 14);
        CHECK(pread(fd, back, 14, 0) == 14 && memcmp(back, "ABChello world", 14) == 0);
        for (size_t i = 0; i < sizeof(big); i++)
                big[i] = (char)(i * 7 + i / 4096);
        CHECK(pwrite(fd, big, sizeof(big), 0) == sizeof(big));
        CHECK(pread(fd, back, sizeof(back), 0) == sizeof(back) && memcmp(big, back, sizeof(big)) == 0);
        CHECK_ERR(write(fd, (void *)8, 10), EFAULT);
        CHECK_ERR(read(open("/dev/null", O_WRONLY | flags), back, 1), EBADF);
        /* the kernel's own writers */
        from = fd;
        fd = fresh(O_RDWR | flags);
        CHECK(sendfile(fd, from, &at, 100000) == 100000 && at == 100000);
        CHECK(lseek(fd, 0, SEEK_CUR) == 100000);
        CHECK(copy_file_range(from, &at, fd, NULL, 200000, 0) == 200000 && at == 300000);
        CHECK(pread(fd, back, sizeof(back), 0) == sizeof(back) && memcmp(big, back, sizeof(big)) == 0);
        CHECK(pipe(p) == 0);
        CHECK(write(p[1], "through a pipe", 14) == 14);
        at = 5;
        CHECK(splice(p[0], NULL, fd, &at, 14, 0) == 14 && at == 19);
        CHECK(pread(fd, back, 14, 5) == 14 && memcmp(back, "through a pipe", 14) == 0);
        CHECK(fallocate(fd, 0, 0, 400000) == 0);
        CHECK(lseek(fd, 0, SEEK_END) == 400000);
}

TEST(o_sync)
{
        writes(O_SYNC);
}

TEST(o_dsync)
{
        writes(O_DSYNC);
}

TEST(o_sync_append)
{
        int fd = fresh(O_WRONLY | O_SYNC | O_APPEND);

        for (int i = 0; i < 100; i++)
                CHECK(write(fd, "0123456789", 10) == 10);
        CHECK(lseek(fd, 0, SEEK_CUR) == 1000);
}

/* O_SYNC is not one of the flags that F_SETFL changes. */
TEST(o_sync_stays)
{
        int fd = fresh(O_RDWR | O_SYNC);

        CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0);
        CHECK((fcntl(fd, F_GETFL) & (O_SYNC | O_APPEND)) == (O_SYNC | O_APPEND));
        fd = fresh(O_RDWR);
        CHECK(fcntl(fd, F_SETFL, O_SYNC) == 0);
        CHECK((fcntl(fd, F_GETFL) & O_SYNC) == 0);
}

TEST(o_sync_on_what_cannot)
{
        int fd = open("/dev/null", O_WRONLY | O_SYNC);

        CHECK(write(fd, "abc", 3) == 3);
}

static long pwritev2_(int fd, const struct iovec *v, int n, long pos, int flags)
{
        return syscall(SYS_pwritev2, fd, v, n, pos, 0, flags);
}

TEST(rwf_sync)
{
        struct iovec v[2] = {{"hello ", 6}, {"world", 5}};
        char back[16];
        int fd = fresh(O_RDWR);

        CHECK(pwritev2_(fd, v, 2, 0, 4 /* RWF_SYNC */) == 11);
        CHECK(pwritev2_(fd, v, 2, 11, 2 /* RWF_DSYNC */) == 11);
        CHECK(pwritev2_(fd, v, 2, -1, 4) == 11);
        CHECK(lseek(fd, 0, SEEK_CUR) == 11);
        CHECK(pread(fd, back, 11, 11) == 11 && memcmp(back, "hello world", 11) == 0);
        CHECK_ERR(pwritev2_(fd, v, 2, 0, 0x40000000), EOPNOTSUPP);
        CHECK_ERR(pwritev2_(-1, v, 2, 0, 4), EBADF);
}

/* Many at once, each with its own result. */
static void *crowd(void *arg)
{
        int fd = *(int *)arg;
        char c = 'a';

        for (long i = 0; i < 50; i++) {
                if (write(fd, &c, 1) != 1 || (i % 5 == 0 && fsync(fd)))
                        return (void *)1;
        }
        return NULL;
}

TEST(concurrent)
{
        int fd[8];
        pthread_t t[8];
        void *r;

        for (int i = 0; i < 8; i++) {
                fd[i] = fresh(O_RDWR | (i % 2 ? O_SYNC : 0));
                CHECK(pthread_create(&t[i], NULL, crowd, &fd[i]) == 0);
        }
        for (int i = 0; i < 8; i++) {
                CHECK(pthread_join(t[i], &r) == 0 && r == NULL);
                CHECK(lseek(fd[i], 0, SEEK_END) == 50);
        }
}

/* A signal with a handler does not end a wait for the disk. */
static volatile int handled;
static void handler(int s)
{
        (void)s;
        handled++;
}

TEST(signals_do_not_interrupt)
{
        struct sigaction sa = {.sa_handler = handler};
        int fd = fresh(O_RDWR | O_SYNC);
        pid_t parent = getpid(), p;

        CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
        p = fork();
        CHECK(p >= 0);
        if (p == 0) {
                for (int i = 0; i < 50; i++) {
                        kill(parent, SIGUSR1);
                        usleep(1000);
                }
                _exit(0);
        }
        for (int i = 0; i < 200; i++) {
                CHECK(write(fd, "x", 1) == 1);
                CHECK(fsync(fd) == 0);
        }
        while (waitpid(p, NULL, 0) < 0)
                CHECK(errno == EINTR);
        CHECK(handled > 0);
        CHECK(lseek(fd, 0, SEEK_END) == 200);
}

TEST_MAIN
