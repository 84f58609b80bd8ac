/* fs.c - files, directories, names, attributes, descriptors: what POSIX and the Linux man pages promise. Run as root. */
#include "lib/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/stat.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static char dir[64];

/* A fresh directory, which becomes the working directory; the runner's /tmp takes it. */
static void fresh(void)
{
        strcpy(dir, "/tmp/fstestXXXXXX");
        CHECK(mkdtemp(dir));
        CHECK(chdir(dir) == 0);
}
static int make(const char *name, const char *text)
{
        int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

        CHECK(fd >= 0);
        CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        return fd;
}
static void as_user(uid_t uid, gid_t gid)
{
        CHECK(setgroups(0, NULL) == 0);
        CHECK(setresgid(gid, gid, gid) == 0);
        CHECK(setresuid(uid, uid, uid) == 0);
}
/* Runs fn in a child as an ordinary user; its CHECKs count. */
static void user_does(void (*fn)(void))
{
        int st;
        pid_t p = fork();

        CHECK(p >= 0);
        if (p == 0) {
                as_user(1000, 1000);
                fn();
                _exit(0);
        }
        CHECK(waitpid(p, &st, 0) == p);
        CHECK(st == 0);
}

TEST(open_errors)
{
        int fd;

        fresh();
        CHECK_ERR(open("no", O_RDONLY), ENOENT);
        CHECK_ERR(open("", O_RDONLY), ENOENT);
        CHECK_ERR(open("no/x", O_CREAT | O_RDWR, 0600), ENOENT);
        close(make("f", "x"));
        CHECK_ERR(open("f/x", O_RDONLY), ENOTDIR);
        CHECK_ERR(open("f/", O_RDONLY), ENOTDIR);
        CHECK_ERR(open("new/", O_CREAT | O_RDWR, 0600), EISDIR);
        CHECK_ERR(open("f", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
        CHECK(mkdir("d", 0755) == 0);
        CHECK_ERR(open("d", O_RDWR), EISDIR);
        CHECK_ERR(open("d", O_CREAT | O_RDONLY, 0600), EISDIR);
        CHECK_ERR(open("f", O_DIRECTORY), ENOTDIR);
        CHECK(symlink("loop", "loop") == 0);
        CHECK_ERR(open("loop", O_RDONLY), ELOOP);
        CHECK(symlink("f", "link") == 0);
        CHECK_ERR(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
        CHECK_ERR(open("link", O_CREAT | O_EXCL, 0600), EEXIST);
        CHECK_ERR(open((char *)8, O_RDONLY), EFAULT);
        char name[300];
        memset(name, 'a', 256);
        name[256] = 0;
        CHECK_ERR(open(name, O_CREAT | O_RDWR, 0600), ENAMETOOLONG);
        name[255] = 0;
        CHECK((fd = open(name, O_CREAT | O_RDWR, 0600)) >= 0);
        char longpath[5000];
        memset(longpath, '/', 4096);
        longpath[4096] = 0;
        CHECK_ERR(open(longpath, O_RDONLY), ENAMETOOLONG);
        /* A dangling link is followed by O_CREAT. */
        CHECK(symlink("target", "dangling") == 0);
        CHECK((fd = open("dangling", O_CREAT | O_RDWR, 0600)) >= 0);
        CHECK(access("target", F_OK) == 0);
        CHECK(open("d", O_RDONLY) >= 0);
        CHECK_ERR(openat(fd, "x", O_RDONLY), ENOTDIR);
        CHECK_ERR(openat(999, "x", O_RDONLY), EBADF);
}

TEST(create_mode)
{
        struct stat st;

        fresh();
        umask(027);
        close(open("f", O_CREAT | O_RDWR, 0666));
        CHECK(stat("f", &st) == 0 && (st.st_mode & 07777) == 0640);
        CHECK(mkdir("d", 0777) == 0 && stat("d", &st) == 0 && (st.st_mode & 07777) == 0750);
        CHECK(st.st_nlink == 2);
        CHECK(mkdir("d/e", 0700) == 0 && stat("d", &st) == 0 && st.st_nlink == 3);
        umask(0);
        CHECK(mkdir("g", 0777) == 0 && chown("g", 0, 55) == 0 && chmod("g", 02777) == 0);
        close(open("g/f", O_CREAT | O_RDWR, 0666));
        CHECK(stat("g/f", &st) == 0 && st.st_gid == 55);
        CHECK(mkdir("g/d", 0755) == 0 && stat("g/d", &st) == 0 && st.st_gid == 55 && (st.st_mode & S_ISGID));
        CHECK(mknod("fifo", S_IFIFO | 0600, 0) == 0 && stat("fifo", &st) == 0 && S_ISFIFO(st.st_mode));
        CHECK(mknod("plain", 0600, 0) == 0 && stat("plain", &st) == 0 && S_ISREG(st.st_mode));
        CHECK(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && stat("null", &st) == 0 &&
              st.st_rdev == makedev(1, 3));
        CHECK_ERR(mknod("x", S_IFDIR | 0755, 0), EPERM);
        CHECK_ERR(mkdir("d", 0755), EEXIST);
        CHECK_ERR(mkdir("d/.", 0755), EEXIST);
        CHECK_ERR(mkdir("/", 0755), EEXIST);
        CHECK(mkdir("slash/", 0755) == 0);
}

TEST(read_write_positions)
{
        char b[64];
        int fd;

        fresh();
        fd = make("f", "hello world");
        CHECK(lseek(fd, 0, SEEK_CUR) == 11);
        CHECK(lseek(fd, 6, SEEK_SET) == 6 && read(fd, b, 64) == 5 && memcmp(b, "world", 5) == 0);
        CHECK(read(fd, b, 64) == 0);
        CHECK(pread(fd, b, 5, 0) == 5 && memcmp(b, "hello", 5) == 0 && lseek(fd, 0, SEEK_CUR) == 11);
        CHECK(pwrite(fd, "J", 1, 0) == 1 && pread(fd, b, 1, 0) == 1 && b[0] == 'J');
        CHECK(lseek(fd, -1, SEEK_END) == 10);
        CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
        CHECK_ERR(lseek(fd, 0, 77), EINVAL);
        CHECK_ERR(pread(fd, b, 1, -1), EINVAL);
        CHECK(lseek(fd, 100000, SEEK_SET) == 100000 && write(fd, "x", 1) == 1);
        struct stat st;
        CHECK(fstat(fd, &st) == 0 && st.st_size == 100001 && st.st_blocks < 100);
        CHECK(pread(fd, b, 10, 50000) == 10 && b[0] == 0 && b[9] == 0);
        struct iovec v[3] = {{b, 2}, {b + 10, 3}, {b + 20, 4}};
        CHECK(preadv(fd, v, 3, 0) == 9 && b[0] == 'J' && b[10] == 'l' && b[20] == ' ');
        CHECK(pwritev(fd, v, 3, 200) == 9);
        CHECK_ERR(pread(fd, (void *)16, 10, 0), EFAULT);
        CHECK_ERR(write(fd, (void *)16, 10), EFAULT);
        CHECK(read(fd, b, 0) == 0);
        int ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);
        CHECK_ERR(write(ro, b, 1), EBADF);
        CHECK_ERR(read(wo, b, 1), EBADF);
        CHECK_ERR(read(77, b, 1), EBADF);
        int d = open(".", O_RDONLY);
        CHECK_ERR(read(d, b, 1), EISDIR);
}

TEST(append_atomic)
{
        int fd, st;

        fresh();
        fd = make("f", "");
        for (int k = 0; k < 4; k++) {
                if (fork() == 0) {
                        int a = open("f", O_WRONLY | O_APPEND);
                        char line[16];

                        for (int n = 0; n < 200; n++) {
                                snprintf(line, sizeof(line), "%d:%06d\n", k, n);
                                if (write(a, line, 9) != 9)
                                        _exit(1);
                        }
                        _exit(0);
                }
        }
        for (int k = 0; k < 4; k++)
                CHECK(wait(&st) > 0 && st == 0);
        char buf[8192];
        int next[4] = {0};
        CHECK(pread(fd, buf, sizeof(buf), 0) == 4 * 200 * 9);
        for (int at = 0; at < 4 * 200 * 9; at += 9) {
                int k = buf[at] - '0';

                CHECK(k >= 0 && k < 4 && buf[at + 8] == '\n' && atoi(buf + at + 2) == next[k]);
                next[k]++;
        }
}

TEST(big_write_and_read)
{
        size_t n = 3 * 1024 * 1024 + 17;
        unsigned char *a = malloc(n), *b = malloc(n);
        int fd;

        fresh();
        for (size_t k = 0; k < n; k++)
                a[k] = (unsigned char)(k * 7 + (k >> 13));
        fd = open("f", O_CREAT | O_RDWR, 0600);
        CHECK(write(fd, a, n) == (ssize_t)n);
        CHECK(lseek(fd, 0, SEEK_SET) == 0 && read(fd, b, n + 100) == (ssize_t)n && memcmp(a, b, n) == 0);
        CHECK(pwrite(fd, a, 100000, 4095) == 100000 && pread(fd, b, 100000, 4095) == 100000 &&
              memcmp(a, b, 100000) == 0);
        /* A bad page in the middle: what came before counts. */
        char *m = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(munmap(m + 4096, 4096) == 0);
        CHECK(pread(fd, m, 3 * 4096, 0) == 4096);
        CHECK(pwrite(fd, m, 3 * 4096, 0) == 4096);
        CHECK_ERR(pread(fd, m + 4096, 4096, 0), EFAULT);
}

TEST(truncate_and_tail)
{
        char b[8192];
        struct stat st;
        int fd;

        fresh();
        fd = make("f", "abcdefghij");
        CHECK(ftruncate(fd, 5) == 0 && fstat(fd, &st) == 0 && st.st_size == 5);
        CHECK(ftruncate(fd, 10) == 0 && pread(fd, b, 10, 0) == 10 && memcmp(b, "abcde\0\0\0\0\0", 10) == 0);
        char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(m != MAP_FAILED);
        m[100] = 'x'; /* behind the end: must not show when the file grows */
        CHECK(ftruncate(fd, 200) == 0 && pread(fd, b, 200, 0) == 200 && b[100] == 0);
        m[5] = 'z';
        CHECK(pread(fd, b, 10, 0) == 10 && b[5] == 'z');
        CHECK(pwrite(fd, "Q", 1, 6) == 1 && m[6] == 'Q');
        CHECK(truncate("f", 100000) == 0 && stat("f", &st) == 0 && st.st_size == 100000);
        CHECK(truncate("f", 0) == 0 && stat("f", &st) == 0 && st.st_size == 0 && st.st_blocks == 0);
        CHECK_ERR(ftruncate(fd, -1), EINVAL);
        CHECK_ERR(truncate(".", 0), EISDIR);
        int ro = open("f", O_RDONLY);
        CHECK_ERR(ftruncate(ro, 0), EINVAL);
        CHECK(write(fd, b, 0) == 0);
        close(make("g", "content"));
        close(open("g", O_WRONLY | O_TRUNC));
        CHECK(stat("g", &st) == 0 && st.st_size == 0);
}

TEST(seek_data_hole)
{
        int fd;

        fresh();
        fd = open("f", O_CREAT | O_RDWR, 0600);
        CHECK(pwrite(fd, "x", 1, 1 << 20) == 1);
        CHECK(ftruncate(fd, 2 << 20) == 0);
        off_t d = lseek(fd, 0, SEEK_DATA);
        CHECK(d <= 1 << 20 && d >= 0);
        CHECK(lseek(fd, 0, SEEK_HOLE) == 0 || d == 0);
        off_t h = lseek(fd, 1 << 20, SEEK_HOLE);
        CHECK(h > 1 << 20 && h <= 2 << 20);
        CHECK_ERR(lseek(fd, 2 << 20, SEEK_DATA), ENXIO);
        CHECK_ERR(lseek(fd, 3 << 20, SEEK_HOLE), ENXIO);
}

TEST(fallocate_modes)
{
        char b[8192], z[8192] = {0};
        struct stat st;
        int fd;

        fresh();
        fd = open("f", O_CREAT | O_RDWR, 0600);
        if (fallocate(fd, 0, 0, 300000) < 0 && errno == EOPNOTSUPP)
                test_skip("no fallocate here");
        CHECK(fstat(fd, &st) == 0 && st.st_size == 300000 && st.st_blocks >= 300000 / 512);
        CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 300000, 100000) == 0 && fstat(fd, &st) == 0 && st.st_size == 300000);
        memset(b, 'a', sizeof(b));
        for (int k = 0; k < 20; k++)
                CHECK(pwrite(fd, b, 8192, k * 8192) == 8192);
        CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 100000) == 0);
        CHECK(pread(fd, b, 5000, 0) == 5000 && b[4999] == 'a');
        CHECK(pread(fd, b, 8192, 5000) == 8192 && memcmp(b, z, 8192) == 0);
        CHECK(pread(fd, b, 8192, 100000) == 8192 && memcmp(b, z, 5000) == 0 && b[5000] == 'a');
        CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
        CHECK_ERR(fallocate(fd, 0, -1, 10), EINVAL);
        CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
        CHECK(posix_fallocate(fd, 0, 500000) == 0 && fstat(fd, &st) == 0 && st.st_size == 500000);
}

TEST(fsize_limit)
{
        struct rlimit l = {1000, 1000};
        char b[600];
        int fd;

        fresh();
        signal(SIGXFSZ, SIG_IGN);
        CHECK(setrlimit(RLIMIT_FSIZE, &l) == 0);
        fd = open("f", O_CREAT | O_RDWR, 0600);
        CHECK(write(fd, b, 600) == 600);
        CHECK(write(fd, b, 600) == 400);
        CHECK_ERR(write(fd, b, 1), EFBIG);
        CHECK_ERR(ftruncate(fd, 2000), EFBIG);
}

TEST(links_and_unlink)
{
        struct stat st, s2;
        int fd;
        char b[8];

        fresh();
        fd = make("a", "data");
        CHECK(link("a", "b") == 0 && stat("b", &st) == 0 && st.st_nlink == 2);
        CHECK(fstat(fd, &s2) == 0 && s2.st_ino == st.st_ino && s2.st_dev == st.st_dev);
        CHECK_ERR(link("a", "b"), EEXIST);
        CHECK_ERR(link("no", "c"), ENOENT);
        CHECK(mkdir("d", 0755) == 0);
        CHECK_ERR(link("d", "e"), EPERM);
        CHECK(unlink("a") == 0 && stat("b", &st) == 0 && st.st_nlink == 1);
        CHECK(unlink("b") == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0);
        CHECK(pread(fd, b, 4, 0) == 4 && memcmp(b, "data", 4) == 0);
        CHECK_ERR(unlink("b"), ENOENT);
        CHECK_ERR(unlink("d"), EISDIR);
        CHECK_ERR(rmdir("no"), ENOENT);
        close(make("f", ""));
        CHECK_ERR(rmdir("f"), ENOTDIR);
        CHECK_ERR(unlink("f/"), ENOTDIR);
        close(make("d/x", ""));
        CHECK_ERR(rmdir("d"), ENOTEMPTY);
        CHECK_ERR(rmdir("d/."), EINVAL);
        CHECK(rmdir("d/..") == -1 && (errno == ENOTEMPTY || errno == EBUSY));
        CHECK(unlink("d/x") == 0 && rmdir("d") == 0);
        CHECK(symlink("f", "s") == 0 && link("s", "t") == 0 && lstat("t", &st) == 0 && S_ISLNK(st.st_mode));
        CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW) == 0 && lstat("u", &st) == 0 &&
              S_ISREG(st.st_mode));
}

TEST(symlinks)
{
        char b[300], deep[64];
        struct stat st;

        fresh();
        CHECK(symlink("hello", "l") == 0);
        CHECK(readlink("l", b, sizeof(b)) == 5 && memcmp(b, "hello", 5) == 0);
        CHECK(readlink("l", b, 3) == 3);
        CHECK(lstat("l", &st) == 0 && st.st_size == 5);
        CHECK_ERR(stat("l", &st), ENOENT);
        close(make("f", ""));
        CHECK_ERR(readlink("f", b, 10), EINVAL);
        CHECK_ERR(syscall(SYS_readlink, "l", b, 0), EINVAL);
        CHECK_ERR(symlink("x", "l"), EEXIST);
        CHECK_ERR(symlink("", "m"), ENOENT);
        CHECK(mkdir("d", 0755) == 0 && symlink("d", "dl") == 0);
        close(make("d/x", "1"));
        CHECK(stat("dl/x", &st) == 0 && stat("dl/", &st) == 0 && S_ISDIR(st.st_mode));
        CHECK(lstat("dl/", &st) == 0 && S_ISDIR(st.st_mode));
        CHECK(symlink("../d/./../d/x", "d/rel") == 0 && stat("d/rel", &st) == 0);
        for (int k = 0; k < 40; k++) {
                char to[32];

                snprintf(deep, sizeof(deep), "c%d", k);
                snprintf(to, sizeof(to), k ? "c%d" : "f", k - 1);
                CHECK(symlink(to, deep) == 0);
        }
        CHECK(stat("c39", &st) == 0);
        CHECK(symlink("c39", "c40") == 0);
        CHECK_ERR(stat("c40", &st), ELOOP);
        CHECK_ERR(rmdir("dl"), ENOTDIR);
}

TEST(rename_rules)
{
        struct stat a, b;

        fresh();
        close(make("a", "1"));
        CHECK(stat("a", &a) == 0 && rename("a", "b") == 0 && stat("b", &b) == 0 && a.st_ino == b.st_ino);
        CHECK_ERR(rename("a", "c"), ENOENT);
        close(make("c", "2"));
        CHECK(rename("b", "c") == 0 && stat("c", &b) == 0 && b.st_ino == a.st_ino);
        CHECK(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
        CHECK_ERR(rename("c", "d"), EISDIR);
        CHECK_ERR(rename("d", "c"), ENOTDIR);
        CHECK(rename("d", "e") == 0);
        CHECK_ERR(rename("e", "e/x"), EINVAL);
        CHECK(mkdir("e/s", 0755) == 0 && mkdir("g", 0755) == 0);
        CHECK(rename("g", "e") == -1 && (errno == ENOTEMPTY || errno == EEXIST));
        CHECK_ERR(rename("e/s", "e"), ENOTEMPTY);
        CHECK(rename("e/s", "s") == 0 && stat("e", &b) == 0 && b.st_nlink == 2 && stat("s/..", &a) == 0);
        CHECK(stat(".", &b) == 0 && a.st_ino == b.st_ino);
        CHECK_ERR(rename(".", "x"), EBUSY);
        CHECK_ERR(rename("/", "/x"), EBUSY);
        CHECK_ERR(rename("/proc/version", "/"), EXDEV);
        CHECK(mkdir("/root-of-rename", 0755) == 0);
        CHECK_ERR(rename("/root-of-rename", "/"), EBUSY);
        CHECK(rmdir("/root-of-rename") == 0);
        CHECK(syscall(SYS_renameat2, AT_FDCWD, "/", AT_FDCWD, "//", 1) == -1 && errno == EBUSY);
        CHECK(link("c", "c2") == 0 && rename("c", "c2") == 0 && access("c", F_OK) == 0 && access("c2", F_OK) == 0);
        CHECK_ERR(rename("c/", "z"), ENOTDIR);
        CHECK(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "c2", 1) == -1 && errno == EEXIST);
        close(make("x", "x"));
        CHECK(stat("x", &a) == 0 && stat("s", &b) == 0);
        CHECK(syscall(SYS_renameat2, AT_FDCWD, "x", AT_FDCWD, "s", 2) == 0);
        struct stat x, s;
        CHECK(stat("x", &x) == 0 && stat("s", &s) == 0 && x.st_ino == b.st_ino && s.st_ino == a.st_ino);
        CHECK(syscall(SYS_renameat2, AT_FDCWD, "x", AT_FDCWD, "nothing", 2) == -1 && errno == ENOENT);
        CHECK(syscall(SYS_renameat2, AT_FDCWD, "x", AT_FDCWD, "y", 3) == -1 && errno == EINVAL);
        CHECK(mkdir("p", 0755) == 0 && mkdir("p/q", 0755) == 0 && mkdir("r", 0755) == 0);
        CHECK(rename("p/q", "r/q") == 0 && stat("p", &a) == 0 && a.st_nlink == 2 && stat("r", &a) == 0 &&
              a.st_nlink == 3);
}

TEST(tmpfile)
{
        char path[64], b[8];
        struct stat st;
        int fd;

        fresh();
        fd = open(".", O_TMPFILE | O_RDWR, 0600);
        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
                test_skip("no O_TMPFILE here");
        CHECK(fd >= 0 && write(fd, "tmp", 3) == 3 && fstat(fd, &st) == 0 && st.st_nlink == 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        CHECK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
        CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1);
        int again = open("named", O_RDONLY);
        CHECK(again >= 0 && read(again, b, 8) == 3);
        fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        CHECK_ERR(linkat(AT_FDCWD, path, AT_FDCWD, "other", AT_SYMLINK_FOLLOW), ENOENT);
        CHECK_ERR(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
}

static void permissions_user(void)
{
        CHECK_ERR(open("secret", O_RDONLY), EACCES);
        CHECK_ERR(open("ro", O_RDWR), EACCES);
        CHECK(open("ro", O_RDONLY) >= 0);
        CHECK_ERR(open("closed/x", O_RDONLY), EACCES);
        CHECK_ERR(open("new", O_CREAT | O_RDWR, 0600), EACCES);
        CHECK_ERR(mkdir("new", 0700), EACCES);
        CHECK_ERR(unlink("ro"), EACCES);
        CHECK_ERR(unlink("sticky/root"), EPERM);
        CHECK_ERR(rename("sticky/root", "sticky/mine"), EPERM);
        close(make("sticky/own", ""));
        CHECK(unlink("sticky/own") == 0);
        CHECK_ERR(chmod("ro", 0777), EPERM);
        CHECK_ERR(chown("ro", 1000, 1000), EPERM);
        CHECK(access("secret", F_OK) == 0);
        CHECK_ERR(access("secret", R_OK), EACCES);
        CHECK_ERR(access("ro", W_OK), EACCES);
        CHECK_ERR(mknod("sticky/dev", S_IFCHR | 0600, makedev(1, 3)), EPERM);
        close(make("sticky/f", "x"));
        CHECK_ERR(chown("sticky/f", 0, -1), EPERM);
        CHECK_ERR(chown("sticky/f", -1, 7), EPERM);
        CHECK(chown("sticky/f", -1, 1000) == 0);
        CHECK(chmod("sticky/f", 06755) == 0);
        int fd = open("sticky/f", O_WRONLY);
        CHECK(write(fd, "y", 1) == 1);
        struct stat st;
        CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0755);
        CHECK_ERR(open("closed", O_RDONLY), EACCES);
        CHECK_ERR(chdir("closed"), EACCES);
        CHECK_ERR(open("secret", O_RDONLY | O_NOATIME), EACCES);
        CHECK_ERR(open("ro", O_RDONLY | O_NOATIME), EPERM);
        CHECK_ERR(utimensat(AT_FDCWD, "ro", NULL, 0), EACCES);
        struct timespec ts[2] = {{1, 0}, {1, 0}};
        CHECK_ERR(utimensat(AT_FDCWD, "ro", ts, 0), EPERM);
        CHECK_ERR(truncate("ro", 0), EACCES);
        CHECK_ERR(chroot("/"), EPERM);
        CHECK_ERR(mount("none", "/", "tmpfs", 0, ""), EPERM);
        CHECK(open("group", O_RDWR) == -1 && errno == EACCES);
}

TEST(permissions)
{
        fresh();
        CHECK(chmod(".", 0755) == 0);
        close(make("secret", "s"));
        CHECK(chmod("secret", 0600) == 0);
        close(make("ro", "r"));
        close(make("group", "g"));
        CHECK(chown("group", 0, 1000) == 0 && chmod("group", 0606) == 0); /* the group has less than others */
        CHECK(mkdir("closed", 0700) == 0);
        close(make("closed/x", ""));
        CHECK(mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
        close(make("sticky/root", ""));
        user_does(permissions_user);
}

TEST(chown_clears_setid)
{
        struct stat st;

        fresh();
        close(make("f", ""));
        CHECK(chmod("f", 06755) == 0 && chown("f", 1, 1) == 0 && stat("f", &st) == 0 && (st.st_mode & 07777) == 0755);
        CHECK(chmod("f", 02644) == 0 && chown("f", 1, 1) == 0 && stat("f", &st) == 0 && (st.st_mode & 07777) == 02644);
        CHECK(symlink("f", "l") == 0 && lchown("l", 5, 6) == 0 && lstat("l", &st) == 0 && st.st_uid == 5 &&
              st.st_gid == 6);
        CHECK(stat("f", &st) == 0 && st.st_uid == 1);
        CHECK(fchownat(AT_FDCWD, "l", 9, 9, AT_SYMLINK_NOFOLLOW) == 0 && lstat("l", &st) == 0 && st.st_uid == 9);
}

TEST(times)
{
        struct timespec ts[2] = {{1000, 5}, {2000, 7}};
        struct stat st, s2;
        int fd;

        fresh();
        fd = make("f", "x");
        CHECK(utimensat(AT_FDCWD, "f", ts, 0) == 0 && stat("f", &st) == 0);
        CHECK(st.st_atim.tv_sec == 1000 && st.st_atim.tv_nsec == 5 && st.st_mtim.tv_sec == 2000 &&
              st.st_mtim.tv_nsec == 7);
        ts[0].tv_nsec = UTIME_OMIT;
        ts[1].tv_nsec = UTIME_NOW;
        CHECK(futimens(fd, ts) == 0 && fstat(fd, &st) == 0 && st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec > 1000000);
        ts[0].tv_nsec = 1000000000;
        CHECK_ERR(futimens(fd, ts), EINVAL);
        CHECK(stat("f", &st) == 0);
        usleep(20000);
        CHECK(write(fd, "y", 1) == 1 && stat("f", &s2) == 0);
        CHECK(s2.st_mtim.tv_sec > st.st_mtim.tv_sec || s2.st_mtim.tv_nsec > st.st_mtim.tv_nsec);
        CHECK(s2.st_ctim.tv_sec == s2.st_mtim.tv_sec);
        CHECK(stat(".", &st) == 0);
        usleep(20000);
        close(make("g", ""));
        CHECK(stat(".", &s2) == 0 &&
              (s2.st_mtim.tv_sec > st.st_mtim.tv_sec || s2.st_mtim.tv_nsec > st.st_mtim.tv_nsec));
        CHECK(symlink("f", "l") == 0);
        struct timespec t2[2] = {{7, 0}, {8, 0}};
        CHECK(utimensat(AT_FDCWD, "l", t2, AT_SYMLINK_NOFOLLOW) == 0 && lstat("l", &st) == 0 && st.st_mtim.tv_sec == 8);
        CHECK_ERR(utimensat(AT_FDCWD, "no", t2, 0), ENOENT);
}

/* ---- directories ---- */

TEST(many_names)
{
        enum { N = 3000 };
        char name[64], *seen = calloc(N, 1);
        struct dirent *e;
        DIR *d;
        int n = 0;

        fresh();
        for (int k = 0; k < N; k++) {
                snprintf(name, sizeof(name), "file-with-a-longish-name-%d", k);
                int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
                CHECK(fd >= 0);
                close(fd);
        }
        CHECK((d = opendir(".")));
        while ((e = readdir(d))) {
                if (e->d_name[0] == '.')
                        continue;
                int k = atoi(strrchr(e->d_name, '-') + 1);
                CHECK(k >= 0 && k < N && !seen[k] && (e->d_type == DT_REG || e->d_type == DT_UNKNOWN));
                seen[k] = 1;
                n++;
                if (n % 3 == 0) { /* removed while being read */
                        CHECK(unlink(e->d_name) == 0);
                        seen[k] = 2;
                }
        }
        CHECK(n == N);
        closedir(d);
        for (int k = 0; k < N; k++) {
                snprintf(name, sizeof(name), "file-with-a-longish-name-%d", k);
                CHECK((access(name, F_OK) == 0) == (seen[k] == 1));
                if (seen[k] == 1)
                        CHECK(unlink(name) == 0);
        }
        CHECK((d = opendir(".")));
        n = 0;
        while ((e = readdir(d)))
                n++;
        CHECK(n == 2);
        CHECK(chdir("/") == 0 && rmdir(dir) == 0);
}

TEST(stable_offsets)
{
        char name[32], first[100][32];
        struct dirent *e;
        long at[100];
        DIR *d;
        int n = 0;

        fresh();
        for (int k = 0; k < 100; k++) {
                snprintf(name, sizeof(name), "n%d", k);
                close(make(name, ""));
        }
        CHECK((d = opendir(".")));
        for (;;) {
                long pos = telldir(d);
                if (!(e = readdir(d)))
                        break;
                if (e->d_name[0] == '.')
                        continue;
                at[n] = pos;
                strcpy(first[n++], e->d_name);
        }
        CHECK(n == 100);
        for (int k = 99; k >= 0; k -= 7) {
                seekdir(d, at[k]);
                CHECK((e = readdir(d)) && strcmp(e->d_name, first[k]) == 0);
        }
        rewinddir(d);
        n = 0;
        while ((e = readdir(d)))
                n++;
        CHECK(n == 102);
        /* A buffer that holds no record. */
        char b[16];
        int fd = open(".", O_RDONLY);
        CHECK_ERR(syscall(SYS_getdents64, fd, b, 8), EINVAL);
        int f = open("n1", O_RDONLY);
        CHECK_ERR(syscall(SYS_getdents64, f, b, 16), ENOTDIR);
}

TEST(deleted_directory)
{
        struct stat st;
        char b[256];
        DIR *d;

        fresh();
        CHECK(mkdir("d", 0755) == 0 && chdir("d") == 0);
        CHECK((d = opendir(".")));
        CHECK(rmdir("../d") == 0);
        CHECK_ERR(open("x", O_CREAT | O_RDWR, 0600), ENOENT);
        CHECK_ERR(mkdir("x", 0700), ENOENT);
        errno = 0;
        CHECK(getcwd(b, sizeof(b)) == NULL && errno == ENOENT);
        CHECK(stat(".", &st) == 0 && st.st_nlink == 0);
}

TEST(getcwd_paths)
{
        char b[PATH_MAX], want[128];

        fresh();
        CHECK(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0 && chdir("a/b") == 0);
        snprintf(want, sizeof(want), "%s/a/b", dir);
        CHECK(getcwd(b, sizeof(b)) && strcmp(b, want) == 0);
        CHECK(rename("../../a", "../../z") == 0);
        snprintf(want, sizeof(want), "%s/z/b", dir);
        CHECK(getcwd(b, sizeof(b)) && strcmp(b, want) == 0);
        errno = 0;
        CHECK(getcwd(b, 3) == NULL && errno == ERANGE);
        CHECK(chdir("../../../../../../..") == 0 && getcwd(b, sizeof(b)) && strcmp(b, "/") == 0);
        int fd = open(dir, O_RDONLY);
        CHECK(fchdir(fd) == 0 && getcwd(b, sizeof(b)) && strcmp(b, dir) == 0);
        CHECK_ERR(chdir("no"), ENOENT);
        close(make("f", ""));
        CHECK_ERR(chdir("f"), ENOTDIR);
}

TEST(chroot_holds)
{
        struct stat st;

        fresh();
        CHECK(mkdir("jail", 0755) == 0 && mkdir("jail/in", 0755) == 0);
        close(make("outside", ""));
        CHECK(symlink("/in", "jail/abs") == 0);
        CHECK(chroot("jail") == 0 && chdir("/") == 0);
        CHECK_ERR(stat("../outside", &st), ENOENT);
        CHECK_ERR(stat("/../../outside", &st), ENOENT);
        CHECK(stat("/in", &st) == 0 && stat("/abs/", &st) == 0);
        char b[64];
        CHECK(getcwd(b, sizeof(b)) && strcmp(b, "/") == 0);
}

/* ---- descriptors ---- */

TEST(descriptors)
{
        int a, b, c;

        fresh();
        a = make("f", "abc");
        b = dup(a);
        CHECK(b > a && lseek(a, 1, SEEK_SET) == 1 && lseek(b, 0, SEEK_CUR) == 1);
        CHECK(close(a) == 0);
        CHECK_ERR(close(a), EBADF);
        CHECK(open("f", O_RDONLY) == a);
        CHECK(dup2(b, 50) == 50 && dup2(b, b) == b);
        CHECK_ERR(dup2(99, 5), EBADF);
        CHECK_ERR(dup2(b, -1), EBADF);
        CHECK_ERR(dup3(b, b, 0), EINVAL);
        CHECK(dup3(b, 51, O_CLOEXEC) == 51 && fcntl(51, F_GETFD) == FD_CLOEXEC);
        c = fcntl(b, F_DUPFD, 100);
        CHECK(c == 100);
        CHECK(fcntl(b, F_DUPFD_CLOEXEC, 100) == 101 && fcntl(101, F_GETFD) == FD_CLOEXEC);
        CHECK(fcntl(c, F_GETFD) == 0 && fcntl(c, F_SETFD, FD_CLOEXEC) == 0 && fcntl(c, F_GETFD) == FD_CLOEXEC);
        CHECK((fcntl(b, F_GETFL) & O_ACCMODE) == O_RDWR);
        CHECK(fcntl(b, F_SETFL, O_APPEND | O_NONBLOCK) == 0 &&
              (fcntl(b, F_GETFL) & (O_APPEND | O_NONBLOCK)) == (O_APPEND | O_NONBLOCK));
        CHECK(write(b, "d", 1) == 1 && lseek(b, 0, SEEK_CUR) == 4);
        CHECK_ERR(fcntl(b, F_DUPFD, 1 << 30), EINVAL);
        CHECK_ERR(fcntl(b, 9999), EINVAL);
        CHECK(syscall(SYS_close_range, 40, 200, 0) == 0);
        CHECK_ERR(fcntl(50, F_GETFD), EBADF);
        CHECK_ERR(fcntl(101, F_GETFD), EBADF);
        CHECK(fcntl(b, F_GETFD) == 0);
        CHECK(syscall(SYS_close_range, b, b, 4) == 0 && fcntl(b, F_GETFD) == FD_CLOEXEC);
}

/* By the system call: musl's fcntl asks with F_GETOWN_EX. An owner is somebody; so what comes back is no error's number. */
TEST(owner_of_a_descriptor)
{
        int fd;

        fresh();
        fd = make("f", "x");
        CHECK(syscall(SYS_fcntl, fd, F_GETOWN) == 0);
        CHECK(syscall(SYS_fcntl, fd, F_SETOWN, getpid()) == 0 && syscall(SYS_fcntl, fd, F_GETOWN) == getpid());
        CHECK_ERR(syscall(SYS_fcntl, fd, F_SETOWN, -262678033), ESRCH);
        CHECK_ERR(syscall(SYS_fcntl, fd, F_SETOWN, 262678033), ESRCH);
        CHECK_ERR(syscall(SYS_fcntl, fd, F_SETOWN, INT_MIN), EINVAL);
        CHECK(syscall(SYS_fcntl, fd, F_GETOWN) == getpid());
        CHECK(setpgid(0, 0) == 0);
        CHECK(syscall(SYS_fcntl, fd, F_SETOWN, -getpgrp()) == 0);
        CHECK(syscall(SYS_fcntl, fd, F_SETOWN, 0) == 0 && syscall(SYS_fcntl, fd, F_GETOWN) == 0);
}

TEST(many_descriptors)
{
        struct rlimit l;
        int fd, last = 0, st;

        fresh();
        fd = make("f", "x");
        CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0);
        l.rlim_cur = l.rlim_max < 3000 ? l.rlim_max : 3000;
        CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
        while ((last = dup(fd)) >= 0) {
                if ((rlim_t)last == l.rlim_cur - 1)
                        break;
        }
        CHECK((rlim_t)last == l.rlim_cur - 1);
        CHECK_ERR(dup(fd), EMFILE);
        CHECK_ERR(open("f", O_RDONLY), EMFILE);
        pid_t p = fork();
        if (p == 0) {
                char c;

                for (int k = fd; k <= last; k += 3)
                        close(k);
                if (close(last - 1) < 0 && errno != EBADF)
                        _exit(1);
                _exit(pread(fd + 1, &c, 1, 0) == 1 && c == 'x' ? 0 : 2);
        }
        CHECK(waitpid(p, &st, 0) == p && st == 0);
        for (int k = fd; k <= last; k++)
                CHECK(fcntl(k, F_GETFD) != -1);
        CHECK(close(1500) == 0 && dup(fd) == 1500);
}

TEST(o_path)
{
        struct stat st;
        char b[8];
        int fd;

        fresh();
        close(make("f", "abc"));
        CHECK(chmod("f", 0) == 0);
        fd = open("f", O_PATH);
        CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 3);
        CHECK_ERR(read(fd, b, 1), EBADF);
        CHECK_ERR(ioctl(fd, FIONREAD, b), EBADF);
        CHECK_ERR(syscall(SYS_fchmod, fd, 0777), EBADF);
        CHECK((fcntl(fd, F_GETFL) & O_PATH) != 0);
        CHECK(symlink("f", "l") == 0);
        fd = open("l", O_PATH | O_NOFOLLOW);
        CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
        CHECK(readlinkat(fd, "", b, 8) == 1);
        CHECK(fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISLNK(st.st_mode));
        int d = open(".", O_PATH | O_DIRECTORY);
        CHECK(d >= 0 && openat(d, "f", O_RDONLY) >= 0 && fchdir(d) == 0);
}

TEST(openat2_resolve)
{
        struct how {
                uint64_t flags, mode, resolve;
        } how = {O_RDONLY, 0, 0};
        int d;

        fresh();
        CHECK(mkdir("in", 0755) == 0);
        close(make("in/f", ""));
        close(make("out", ""));
        CHECK(symlink("../out", "in/up") == 0 && symlink("/f", "in/root") == 0 && symlink("f", "in/same") == 0);
        d = open("in", O_RDONLY);
        if (syscall(SYS_openat2, d, "f", &how, sizeof(how)) < 0 && errno == ENOSYS)
                test_skip("no openat2");
        how.resolve = 8; /* BENEATH */
        CHECK(syscall(SYS_openat2, d, "f", &how, sizeof(how)) >= 0);
        CHECK(syscall(SYS_openat2, d, "same", &how, sizeof(how)) >= 0);
        CHECK_ERR(syscall(SYS_openat2, d, "up", &how, sizeof(how)), EXDEV);
        CHECK_ERR(syscall(SYS_openat2, d, "../out", &how, sizeof(how)), EXDEV);
        CHECK_ERR(syscall(SYS_openat2, d, "/f", &how, sizeof(how)), EXDEV);
        how.resolve = 16; /* IN_ROOT */
        CHECK(syscall(SYS_openat2, d, "root", &how, sizeof(how)) >= 0);
        CHECK_ERR(syscall(SYS_openat2, d, "up", &how, sizeof(how)), ENOENT);
        CHECK(syscall(SYS_openat2, d, "/../../f", &how, sizeof(how)) >= 0);
        how.resolve = 4; /* NO_SYMLINKS */
        CHECK_ERR(syscall(SYS_openat2, d, "same", &how, sizeof(how)), ELOOP);
        how.resolve = 1; /* NO_XDEV */
        CHECK_ERR(syscall(SYS_openat2, AT_FDCWD, "/proc/version", &how, sizeof(how)), EXDEV);
        how.resolve = 1 << 20;
        CHECK_ERR(syscall(SYS_openat2, d, "f", &how, sizeof(how)), EINVAL);
        CHECK_ERR(syscall(SYS_openat2, d, "f", &how, 8), EINVAL);
}

TEST(statx_fields)
{
        struct statx sx;
        struct stat st;

        fresh();
        close(make("f", "12345"));
        CHECK(syscall(SYS_statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &sx) == 0);
        CHECK(stat("f", &st) == 0 && sx.stx_ino == st.st_ino && sx.stx_size == 5 && sx.stx_nlink == 1 &&
              (sx.stx_mode & S_IFMT) == S_IFREG);
        CHECK(makedev(sx.stx_dev_major, sx.stx_dev_minor) == st.st_dev);
        CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x80000000u, &sx), EINVAL);
        CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "f", 0x40000, 0, &sx), EINVAL);
        int fd = open("f", O_RDONLY);
        CHECK(syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx) == 0 && sx.stx_size == 5);
        CHECK_ERR(syscall(SYS_statx, fd, "", 0, STATX_SIZE, &sx), ENOENT);
}

TEST(text_busy)
{
        char exe[] = "./prog";
        int fd;

        fresh();
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        CHECK(n > 0);
        self[n] = 0;
        CHECK_ERR(open(self, O_RDWR), ETXTBSY);
        close(make("prog", "#!/no\n"));
        CHECK(chmod("prog", 0755) == 0);
        fd = open("prog", O_WRONLY);
        char *argv[] = {exe, NULL};
        CHECK_ERR(execv(exe, argv), ETXTBSY);
        close(fd);
}

/* ---- locks ---- */

static int locked_elsewhere(int fd, short type, off_t start, off_t len)
{
        struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
        int st;
        pid_t p = fork();

        if (p == 0) {
                if (fcntl(fd, F_GETLK, &fl) < 0)
                        _exit(9);
                _exit(fl.l_type != F_UNLCK);
        }
        waitpid(p, &st, 0);
        CHECK(WIFEXITED(st) && WEXITSTATUS(st) < 2);
        return WEXITSTATUS(st);
}

static int setlk(int fd, int cmd, short type, off_t start, off_t len)
{
        struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

        return fcntl(fd, cmd, &fl);
}

TEST(posix_locks)
{
        int fd, st;

        fresh();
        fd = make("f", "0123456789");
        CHECK(setlk(fd, F_SETLK, F_WRLCK, 0, 10) == 0);
        CHECK(locked_elsewhere(fd, F_RDLCK, 5, 1) && !locked_elsewhere(fd, F_WRLCK, 10, 0));
        CHECK(setlk(fd, F_SETLK, F_UNLCK, 3, 4) == 0); /* splits */
        CHECK(locked_elsewhere(fd, F_RDLCK, 0, 3) && !locked_elsewhere(fd, F_WRLCK, 3, 4) &&
              locked_elsewhere(fd, F_RDLCK, 7, 1));
        CHECK(setlk(fd, F_SETLK, F_RDLCK, 0, 0) == 0);
        CHECK(!locked_elsewhere(fd, F_RDLCK, 0, 0) && locked_elsewhere(fd, F_WRLCK, 100, 1));
        pid_t p = fork();
        if (p == 0) {
                if (setlk(fd, F_SETLK, F_WRLCK, 0, 1) != -1 || (errno != EAGAIN && errno != EACCES))
                        _exit(1);
                if (setlk(fd, F_SETLK, F_RDLCK, 0, 1) != 0)
                        _exit(2);
                _exit(0);
        }
        CHECK(waitpid(p, &st, 0) == p && st == 0);
        /* Any close by the process drops them. */
        close(dup(fd));
        CHECK(!locked_elsewhere(fd, F_WRLCK, 0, 0));
        int ro = open("f", O_RDONLY);
        CHECK_ERR(setlk(ro, F_SETLK, F_WRLCK, 0, 1), EBADF);
        CHECK_ERR(setlk(fd, F_SETLK, 77, 0, 1), EINVAL);
}

TEST(posix_lock_waits)
{
        int fd, st, p[2];
        char c;

        fresh();
        fd = make("f", "x");
        CHECK(pipe(p) == 0 && setlk(fd, F_SETLK, F_WRLCK, 0, 1) == 0);
        pid_t k = fork();
        if (k == 0) {
                if (write(p[1], "w", 1) != 1 || setlk(fd, F_SETLKW, F_WRLCK, 0, 1) != 0 || write(p[1], "l", 1) != 1)
                        _exit(1);
                _exit(0);
        }
        CHECK(read(p[0], &c, 1) == 1 && c == 'w');
        usleep(50000);
        fcntl(p[0], F_SETFL, O_NONBLOCK);
        CHECK_ERR(read(p[0], &c, 1), EAGAIN);
        fcntl(p[0], F_SETFL, 0);
        CHECK(setlk(fd, F_SETLK, F_UNLCK, 0, 1) == 0);
        CHECK(read(p[0], &c, 1) == 1 && c == 'l');
        CHECK(waitpid(k, &st, 0) == k && st == 0);
}

static void on_alarm(int s)
{
        (void)s;
}

TEST(posix_deadlock)
{
        int fd, st, go[2];
        char c;

        fresh();
        fd = make("f", "xx");
        CHECK(pipe(go) == 0 && setlk(fd, F_SETLK, F_WRLCK, 0, 1) == 0);
        pid_t k = fork();
        if (k == 0) {
                CHECK(setlk(fd, F_SETLK, F_WRLCK, 1, 1) == 0);
                CHECK(write(go[1], "x", 1) == 1);
                _exit(setlk(fd, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : 1);
        }
        CHECK(read(go[0], &c, 1) == 1);
        usleep(100000);
        CHECK_ERR(setlk(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
        CHECK(setlk(fd, F_SETLK, F_UNLCK, 0, 1) == 0);
        CHECK(waitpid(k, &st, 0) == k && st == 0);
        /* A signal ends the wait. */
        k = fork();
        if (k == 0) {
                CHECK(setlk(fd, F_SETLK, F_WRLCK, 0, 1) == 0 && write(go[1], "x", 1) == 1);
                pause();
                _exit(0);
        }
        CHECK(read(go[0], &c, 1) == 1);
        struct sigaction sa = {.sa_handler = on_alarm};
        sigaction(SIGALRM, &sa, NULL);
        ualarm(50000, 0);
        CHECK_ERR(setlk(fd, F_SETLKW, F_WRLCK, 0, 1), EINTR);
        kill(k, SIGKILL);
        waitpid(k, &st, 0);
        CHECK(setlk(fd, F_SETLK, F_WRLCK, 0, 1) == 0); /* died with it */
}

#ifndef F_OFD_SETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif
TEST(ofd_locks)
{
        int a, b;

        fresh();
        a = make("f", "x");
        b = open("f", O_RDWR);
        CHECK(setlk(a, F_OFD_SETLK, F_WRLCK, 0, 1) == 0);
        CHECK(setlk(b, F_OFD_SETLK, F_RDLCK, 0, 1) == -1 && errno == EAGAIN);
        CHECK(setlk(b, F_SETLK, F_RDLCK, 0, 1) == -1 && (errno == EAGAIN || errno == EACCES));
        int c = dup(a);
        close(a);
        CHECK(setlk(b, F_OFD_SETLK, F_RDLCK, 0, 1) == -1);
        close(c);
        CHECK(setlk(b, F_OFD_SETLK, F_RDLCK, 0, 1) == 0);
}

TEST(flock_locks)
{
        int a, b, st;

        fresh();
        a = make("f", "x");
        b = open("f", O_RDONLY);
        CHECK(flock(a, LOCK_EX) == 0);
        CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
        CHECK(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
        CHECK_ERR(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
        CHECK(flock(b, LOCK_UN) == 0 && flock(a, LOCK_EX | LOCK_NB) == 0);
        pid_t p = fork(); /* the child has the same lock */
        if (p == 0)
                _exit(flock(a, LOCK_EX | LOCK_NB) == 0 ? 0 : 1);
        CHECK(waitpid(p, &st, 0) == p && st == 0);
        CHECK_ERR(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
        p = fork();
        if (p == 0) {
                close(a);
                _exit(flock(b, LOCK_EX) == 0 ? 0 : 1);
        }
        usleep(50000);
        close(a);
        CHECK(waitpid(p, &st, 0) == p && st == 0);
        CHECK_ERR(flock(b, 77), EINVAL);
        CHECK_ERR(flock(99, LOCK_SH), EBADF);
}

/* ---- splice and kin ---- */

TEST(sendfile_and_copy)
{
        size_t n = 200000;
        char *a = malloc(n), *b = malloc(n);
        off_t off = 100;
        int in, out, p[2];

        fresh();
        for (size_t k = 0; k < n; k++)
                a[k] = (char)(k * 13 + (k >> 9));
        in = open("in", O_CREAT | O_RDWR, 0600);
        CHECK(write(in, a, n) == (ssize_t)n);
        out = open("out", O_CREAT | O_RDWR, 0600);
        CHECK(sendfile(out, in, &off, 50000) == 50000 && off == 50100 && lseek(in, 0, SEEK_CUR) == (off_t)n);
        CHECK(pread(out, b, 50000, 0) == 50000 && memcmp(a + 100, b, 50000) == 0);
        CHECK(lseek(in, 0, SEEK_SET) == 0 && lseek(out, 0, SEEK_SET) == 0);
        size_t sum = 0;
        ssize_t r;
        while ((r = sendfile(out, in, NULL, n)) > 0)
                sum += (size_t)r;
        CHECK(r == 0 && sum == n && lseek(in, 0, SEEK_CUR) == (off_t)n && lseek(out, 0, SEEK_CUR) == (off_t)n);
        CHECK(pread(out, b, n, 0) == (ssize_t)n && memcmp(a, b, n) == 0);
        CHECK(pipe(p) == 0);
        off = 0;
        CHECK(sendfile(p[1], in, &off, 1000) == 1000 && read(p[0], b, 5000) == 1000 && memcmp(a, b, 1000) == 0);
        CHECK_ERR(sendfile(out, p[0], NULL, 10), EINVAL);
        off_t i = 10, o = 3;
        int c = open("copy", O_CREAT | O_RDWR, 0600);
        r = syscall(SYS_copy_file_range, in, &i, c, &o, 150000ul, 0);
        CHECK(r > 0 && i == 10 + r && o == 3 + r);
        CHECK(pread(c, b, (size_t)r, 3) == r && memcmp(a + 10, b, (size_t)r) == 0);
        CHECK_ERR(syscall(SYS_copy_file_range, in, &i, c, &o, 10ul, 1), EINVAL);
        i = o = 0;
        CHECK_ERR(syscall(SYS_copy_file_range, in, &i, in, &o, 10ul, 0), EINVAL);
}

TEST(splice_pipes)
{
        char b[70000], a[70000];
        int p[2], q[2], f, g;

        fresh();
        for (size_t k = 0; k < sizeof(a); k++)
                a[k] = (char)(k * 3 + (k >> 8));
        f = open("f", O_CREAT | O_RDWR, 0600);
        CHECK(write(f, a, sizeof(a)) == sizeof(a));
        CHECK(pipe(p) == 0 && pipe(q) == 0);
        loff_t off = 5;
        CHECK(splice(f, &off, p[1], NULL, 10000, 0) == 10000 && off == 10005);
        CHECK(tee(p[0], q[1], 10000, 0) == 10000);
        CHECK(read(q[0], b, sizeof(b)) == 10000 && memcmp(b, a + 5, 10000) == 0);
        g = open("g", O_CREAT | O_RDWR, 0600);
        CHECK(splice(p[0], NULL, g, NULL, 4000, 0) == 4000 && lseek(g, 0, SEEK_CUR) == 4000);
        off = 4000;
        CHECK(splice(p[0], NULL, g, &off, 6000, 0) == 6000 && off == 10000);
        CHECK(pread(g, b, sizeof(b), 0) == 10000 && memcmp(b, a + 5, 10000) == 0);
        CHECK(write(p[1], "hello", 5) == 5 && splice(p[0], NULL, q[1], NULL, 100, 0) == 5 && read(q[0], b, 100) == 5 &&
              memcmp(b, "hello", 5) == 0);
        CHECK_ERR(splice(p[0], NULL, q[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
        CHECK_ERR(splice(f, NULL, g, NULL, 10, 0), EINVAL);
        CHECK_ERR(splice(p[0], &off, g, NULL, 10, 0), ESPIPE);
        struct iovec v = {a, 100};
        CHECK(vmsplice(p[1], &v, 1, 0) == 100 && read(p[0], b, 200) == 100 && memcmp(a, b, 100) == 0);
        close(p[1]);
        CHECK(splice(p[0], NULL, g, NULL, 10, 0) == 0);
}

/* ---- extended attributes, inotify, memfd ---- */

TEST(xattrs)
{
        char b[256];
        int fd;

        fresh();
        fd = make("f", "");
        if (setxattr("f", "user.a", "1", 1, 0) < 0 && errno == EOPNOTSUPP)
                test_skip("no user attributes here");
        CHECK(setxattr("f", "user.b", "value", 5, XATTR_CREATE) == 0);
        CHECK_ERR(setxattr("f", "user.b", "x", 1, XATTR_CREATE), EEXIST);
        CHECK_ERR(setxattr("f", "user.c", "x", 1, XATTR_REPLACE), ENODATA);
        CHECK(getxattr("f", "user.b", b, sizeof(b)) == 5 && memcmp(b, "value", 5) == 0);
        CHECK(getxattr("f", "user.b", NULL, 0) == 5);
        CHECK_ERR(getxattr("f", "user.b", b, 2), ERANGE);
        CHECK_ERR(getxattr("f", "user.no", b, 2), ENODATA);
        CHECK(listxattr("f", NULL, 0) == 14 && listxattr("f", b, sizeof(b)) == 14);
        CHECK(fsetxattr(fd, "user.b", "longer value", 12, XATTR_REPLACE) == 0 &&
              fgetxattr(fd, "user.b", b, sizeof(b)) == 12);
        CHECK(removexattr("f", "user.a") == 0);
        CHECK_ERR(removexattr("f", "user.a"), ENODATA);
        CHECK(listxattr("f", b, sizeof(b)) == 7);
        CHECK_ERR(setxattr("f", "nonsense", "x", 1, 0), EOPNOTSUPP);
        CHECK_ERR(setxattr("f", "user.", "x", 1, 0), EINVAL);
}

static void expect_event(int fd, char **at, int wd, uint32_t mask, const char *name)
{
        struct inotify_event *e = (struct inotify_event *)*at;

        (void)fd;
        if (e->wd != wd || e->mask != mask || (name ? strcmp(e->name, name) != 0 : e->len != 0))
                test_fail("event wd %d mask %x name %s, not wd %d mask %x %s", e->wd, e->mask, e->len ? e->name : "-",
                          wd, mask, name ? name : "-");
        *at += sizeof(*e) + e->len;
}

TEST(inotify_events)
{
        char buf[4096] __attribute__((aligned(8))), *at = buf;
        int in, dw, fw, fd;
        ssize_t n;

        fresh();
        in = inotify_init1(IN_NONBLOCK);
        CHECK(in >= 0);
        CHECK_ERR(read(in, buf, sizeof(buf)), EAGAIN);
        dw = inotify_add_watch(in, ".", IN_ALL_EVENTS & ~(IN_ACCESS));
        CHECK(dw == 1);
        fd = open("f", O_CREAT | O_RDWR, 0600);
        CHECK(write(fd, "x", 1) == 1);
        close(fd);
        CHECK(mkdir("d", 0755) == 0 && rename("f", "g") == 0);
        int avail;
        CHECK(ioctl(in, FIONREAD, &avail) == 0 && avail > 0);
        n = read(in, buf, sizeof(buf));
        CHECK(n == avail);
        expect_event(in, &at, dw, IN_CREATE, "f");
        expect_event(in, &at, dw, IN_OPEN, "f");
        expect_event(in, &at, dw, IN_MODIFY, "f");
        expect_event(in, &at, dw, IN_CLOSE_WRITE, "f");
        expect_event(in, &at, dw, IN_CREATE | IN_ISDIR, "d");
        uint32_t c1 = ((struct inotify_event *)at)->cookie;
        expect_event(in, &at, dw, IN_MOVED_FROM, "f");
        uint32_t c2 = ((struct inotify_event *)at)->cookie;
        expect_event(in, &at, dw, IN_MOVED_TO, "g");
        CHECK(c1 == c2 && c1 && at == buf + n);
        CHECK(inotify_rm_watch(in, dw) == 0);
        fw = inotify_add_watch(in, "g", IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_CLOSE_NOWRITE);
        CHECK(fw == 2);
        CHECK(chmod("g", 0644) == 0);
        close(open("g", O_RDONLY));
        CHECK(rename("g", "h") == 0 && unlink("h") == 0);
        at = buf;
        n = read(in, buf, sizeof(buf));
        expect_event(in, &at, dw, IN_IGNORED, NULL);
        expect_event(in, &at, fw, IN_ATTRIB, NULL);
        expect_event(in, &at, fw, IN_CLOSE_NOWRITE, NULL);
        expect_event(in, &at, fw, IN_MOVE_SELF, NULL);
        expect_event(in, &at, fw, IN_ATTRIB, NULL);
        expect_event(in, &at, fw, IN_DELETE_SELF, NULL);
        expect_event(in, &at, fw, IN_IGNORED, NULL);
        CHECK(at == buf + n);
        CHECK_ERR(inotify_rm_watch(in, fw), EINVAL);
        CHECK_ERR(inotify_add_watch(in, "no", IN_OPEN), ENOENT);
        CHECK_ERR(inotify_add_watch(in, ".", 0), EINVAL);
        CHECK_ERR(read(in, buf, sizeof(buf)), EAGAIN);
}

TEST(memfd)
{
        char b[16];
        int fd = (int)syscall(SYS_memfd_create, "name", 3);

        CHECK(fd >= 0 && write(fd, "hello", 5) == 5 && pread(fd, b, 16, 0) == 5);
        CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
        CHECK(fcntl(fd, 1034 /* F_GET_SEALS */) == 0);
        char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(m != MAP_FAILED && m[1] == 'e');
        CHECK_ERR(fcntl(fd, 1033 /* F_ADD_SEALS */, 8), EBUSY);
        munmap(m, 4096);
        CHECK(fcntl(fd, 1033, 2 | 4) == 0); /* SHRINK, GROW */
        CHECK_ERR(ftruncate(fd, 2), EPERM);
        CHECK_ERR(ftruncate(fd, 20), EPERM);
        CHECK(fcntl(fd, 1033, 8) == 0);
        CHECK_ERR(pwrite(fd, "x", 1, 0), EPERM);
        CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
        CHECK(fcntl(fd, 1033, 1) == 0);
        CHECK_ERR(fcntl(fd, 1033, 2), EPERM);
        fd = (int)syscall(SYS_memfd_create, "plain", 0);
        CHECK(fcntl(fd, 1034) == 1);
        CHECK_ERR(syscall(SYS_memfd_create, "x", 0x100), EINVAL);
}

/* ---- devices, /proc, mounts ---- */

TEST(devices)
{
        char b[4096], z[4096] = {0};
        int fd;

        CHECK((fd = open("/dev/null", O_RDWR)) >= 0 && read(fd, b, 10) == 0 && write(fd, b, 4096) == 4096);
        CHECK((fd = open("/dev/zero", O_RDWR)) >= 0 && read(fd, b, 4096) == 4096 && memcmp(b, z, 4096) == 0);
        char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        CHECK(m != MAP_FAILED && m[5000] == 0 && (m[5000] = 1));
        CHECK((fd = open("/dev/full", O_RDWR)) >= 0 && read(fd, b, 10) == 10);
        CHECK_ERR(write(fd, b, 1), ENOSPC);
        CHECK((fd = open("/dev/urandom", O_RDONLY)) >= 0 && read(fd, b, 4096) == 4096 && memcmp(b, z, 4096) != 0);
        CHECK(syscall(SYS_getrandom, b, 100, 0) == 100);
        CHECK_ERR(syscall(SYS_getrandom, b, 100, 64), EINVAL);
        fresh();
        CHECK(mknod("dev", S_IFCHR | 0600, makedev(77, 77)) == 0);
        CHECK_ERR(open("dev", O_RDONLY), ENXIO);
        CHECK(mknod("sock", S_IFSOCK | 0600, 0) == 0);
        CHECK_ERR(open("sock", O_RDONLY), ENXIO);
}

TEST(proc_self)
{
        char b[4096], path[64], want[128];
        int fd, n;

        fresh();
        fd = make("a file", "x");
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = (int)readlink(path, b, sizeof(b));
        CHECK(n > 0);
        b[n] = 0;
        snprintf(want, sizeof(want), "%s/a file", dir);
        CHECK(strcmp(b, want) == 0);
        int again = open(path, O_RDONLY);
        CHECK(again >= 0 && read(again, b, 4) == 1 && b[0] == 'x');
        n = (int)readlink("/proc/self/cwd", b, sizeof(b));
        CHECK(n > 0 && (size_t)n == strlen(dir) && memcmp(b, dir, (size_t)n) == 0);
        n = (int)readlink("/proc/self", b, sizeof(b));
        b[n] = 0;
        CHECK(atoi(b) == getpid());
        CHECK((fd = open("/proc/self/stat", O_RDONLY)) >= 0 && (n = (int)read(fd, b, sizeof(b) - 1)) > 0);
        b[n] = 0;
        int fields = 1;
        for (char *s = strrchr(b, ')') + 1; *s; s++)
                fields += *s == ' ';
        CHECK(atoi(b) == getpid() && fields == 52 - 1);
        CHECK((fd = open("/proc/self/statm", O_RDONLY)) >= 0 && read(fd, b, sizeof(b)) > 10);
        CHECK((fd = open("/proc/self/maps", O_RDONLY)) >= 0 && (n = (int)read(fd, b, sizeof(b) - 1)) > 0);
        b[n] = 0;
        CHECK(strstr(b, "[stack]") && strstr(b, " r-xp "));
        CHECK((fd = open("/proc/self/cmdline", O_RDONLY)) >= 0 && (n = (int)read(fd, b, sizeof(b))) > 0 &&
              b[n - 1] == 0);
        CHECK((fd = open("/proc/self/status", O_RDONLY)) >= 0 && (n = (int)read(fd, b, sizeof(b) - 1)) > 0);
        b[n] = 0;
        CHECK(strstr(b, "\nPid:\t") && strstr(b, "\nVmRSS:\t") && strstr(b, "\nThreads:\t1\n"));
        CHECK_ERR(open("/proc/999999", O_RDONLY), ENOENT);
        CHECK_ERR(open("/proc/new", O_CREAT | O_RDWR, 0600), ENOENT);
        static char mark[] = "a mark in memory";
        CHECK((fd = open("/proc/self/mem", O_RDWR)) >= 0 && pread(fd, b, 16, (off_t)(uintptr_t)mark) == 16 &&
              memcmp(b, mark, 16) == 0);
        CHECK(pwrite(fd, "A", 1, (off_t)(uintptr_t)mark) == 1 && mark[0] == 'A');
        DIR *d = opendir("/proc/self/task");
        struct dirent *e;
        int tasks = 0;
        while ((e = readdir(d)))
                tasks += e->d_name[0] != '.' && atoi(e->d_name) == getpid();
        CHECK(tasks == 1);
}

TEST(proc_system)
{
        static const char *const files[] = {"meminfo",
                                            "stat",
                                            "loadavg",
                                            "uptime",
                                            "cpuinfo",
                                            "version",
                                            "mounts",
                                            "filesystems",
                                            "partitions",
                                            "cmdline",
                                            "sys/kernel/hostname",
                                            "sys/kernel/osrelease",
                                            "sys/kernel/pid_max",
                                            "sys/kernel/ngroups_max",
                                            "sys/vm/overcommit_memory",
                                            "self/mountinfo",
                                            "self/limits",
                                            "self/cgroup"};
        char path[64], b[4096];

        for (size_t k = 0; k < sizeof(files) / sizeof(*files); k++) {
                snprintf(path, sizeof(path), "/proc/%s", files[k]);
                int fd = open(path, O_RDONLY), n;

                if (fd < 0 || (n = (int)read(fd, b, sizeof(b))) <= 0)
                        test_fail("%s: %s", path, strerror(errno));
                /* In small steps: the same text. */
                if (strcmp(files[k], "version") == 0) {
                        char c;
                        for (int at = 0; at < n; at++)
                                CHECK(pread(fd, &c, 1, at) == 1 && c == b[at]);
                        CHECK(pread(fd, &c, 1, n) == 0);
                }
                close(fd);
        }
        struct statfs s;
        CHECK(statfs("/proc", &s) == 0 && s.f_type == 0x9fa0);
        CHECK(statfs("/sys", &s) != 0 || s.f_type == 0x62656572 || s.f_type == 0x01021994 || s.f_type);
        CHECK(access("/proc/self/fd/0", F_OK) == 0 || errno == ENOENT);
}

TEST(mounts)
{
        struct stat a, b;

        fresh();
        CHECK(mkdir("m", 0755) == 0 && stat("m", &a) == 0);
        if (mount("none", "m", "tmpfs", MS_NODEV, "mode=700") < 0 && errno == EPERM)
                test_skip("not allowed to mount");
        CHECK(stat("m", &b) == 0 && b.st_dev != a.st_dev && (b.st_mode & 07777) == 0700);
        close(make("m/f", "x"));
        CHECK(mkdir("m/d", 0755) == 0 && stat("m/d/../..", &b) == 0 && stat(".", &a) == 0 && a.st_ino == b.st_ino);
        CHECK_ERR(rename("m/f", "f"), EXDEV);
        CHECK_ERR(link("m/f", "f"), EXDEV);
        CHECK_ERR(rmdir("m"), EBUSY);
        CHECK_ERR(rename("m", "n"), EBUSY);
        int fd = open("m/f", O_RDONLY);
        CHECK_ERR(umount("m"), EBUSY);
        CHECK(mknod("m/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
        CHECK_ERR(open("m/null", O_RDONLY), EACCES);
        CHECK(mount("none", "m", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
        CHECK_ERR(open("m/g", O_CREAT | O_RDWR, 0600), EROFS);
        CHECK_ERR(unlink("m/f"), EROFS);
        CHECK_ERR(chmod("m/f", 0600), EROFS);
        CHECK_ERR(open("m/f", O_WRONLY), EROFS);
        close(fd);
        CHECK(umount("m") == 0);
        CHECK(stat("m", &b) == 0 && b.st_dev == a.st_dev);
        CHECK_ERR(umount("m"), EINVAL);
        CHECK_ERR(mount("none", "m", "nosuchfs", 0, NULL), ENODEV);
        CHECK_ERR(mount("none", "no", "tmpfs", 0, NULL), ENOENT);
        CHECK(mount("none", "m", "tmpfs", 0, NULL) == 0);
        fd = open("m/x", O_CREAT | O_RDWR, 0600);
        CHECK(umount2("m", MNT_DETACH) == 0 && write(fd, "y", 1) == 1);
}

#define SHARED_READS 400
static int shared_fd;
static unsigned char seen[SHARED_READS];

static void *reader(void *arg)
{
        uint16_t v;

        while (read(shared_fd, &v, 2) == 2)
                __atomic_add_fetch(&seen[v], 1, __ATOMIC_SEQ_CST);
        return arg;
}

TEST(threads_share_position)
{
        /* Reads by several threads of one open file never hand out a byte twice. */
        enum { N = SHARED_READS };
        pthread_t t[4];
        int fd;

        fresh();
        fd = open("f", O_CREAT | O_RDWR, 0600);
        for (int k = 0; k < N; k++) {
                uint16_t v = (uint16_t)k;
                CHECK(write(fd, &v, 2) == 2);
        }
        lseek(fd, 0, SEEK_SET);
        shared_fd = fd;
        for (int k = 0; k < 4; k++)
                CHECK(pthread_create(&t[k], NULL, reader, NULL) == 0);
        for (int k = 0; k < 4; k++)
                pthread_join(t[k], NULL);
        for (int k = 0; k < N; k++)
                CHECK(seen[k] == 1);
}

TEST(names_race)
{
        /* Four processes make, rename and remove the same few names; the directory must be sound at the end. */
        int st, n = 0;
        struct dirent *e;
        DIR *d;

        fresh();
        CHECK(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
        for (int k = 0; k < 4; k++) {
                if (fork() == 0) {
                        unsigned seed = (unsigned)k + 1;
                        char x[16], y[16];

                        for (int i = 0; i < 500; i++) {
                                seed = seed * 1103515245 + 12345;
                                snprintf(x, sizeof(x), "%c/%u", 'a' + (seed >> 16 & 1), seed >> 17 & 7);
                                seed = seed * 1103515245 + 12345;
                                snprintf(y, sizeof(y), "%c/%u", 'a' + (seed >> 16 & 1), seed >> 17 & 7);
                                switch (seed >> 24 & 7) {
                                case 0:
                                case 1:
                                        close(open(x, O_CREAT | O_RDWR, 0600));
                                        break;
                                case 2:
                                        mkdir(x, 0700);
                                        break;
                                case 3:
                                        unlink(x);
                                        break;
                                case 4:
                                        rmdir(x);
                                        break;
                                case 5:
                                case 6:
                                        rename(x, y);
                                        break;
                                case 7:
                                        link(x, y);
                                        break;
                                }
                        }
                        _exit(0);
                }
        }
        for (int k = 0; k < 4; k++)
                CHECK(wait(&st) > 0 && st == 0);
        for (char *p = "ab"; *p; p++) {
                char name[2] = {*p, 0};
                int subdirs = 0;
                struct stat s;

                CHECK((d = opendir(name)));
                while ((e = readdir(d))) {
                        if (e->d_name[0] == '.')
                                continue;
                        CHECK(fstatat(dirfd(d), e->d_name, &s, 0) == 0);
                        subdirs += S_ISDIR(s.st_mode);
                        CHECK(unlinkat(dirfd(d), e->d_name, S_ISDIR(s.st_mode) ? AT_REMOVEDIR : 0) == 0);
                        n++;
                }
                CHECK(stat(name, &s) == 0 && s.st_nlink == 2);
                closedir(d);
                CHECK(rmdir(name) == 0);
        }
}

TEST_MAIN
