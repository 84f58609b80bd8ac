/*
 * fuse.c - a file system that a program serves: the server here speaks the raw protocol of <linux/fuse.h>. What it serves is a table, and a directory of many files; what is named
 * "hang" is never answered, "bad_..." wrongly.
 */
#include "lib/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define MANY          700 /* files in /many: several READDIRs */
#define BIG_BYTES     100000u
#define FIRST_DEEP    5000u /* each has a directory "d" */
#define FIRST_OF_MANY 1000u
#define SECRET_UID    1234

static const struct node {
        uint64_t id, parent;
        const char *name;
        uint32_t mode;
        const char *text; /* contents, or a link's target */
} nodes[] = {
        {1, 0, "", S_IFDIR | 0755, NULL},
        {2, 1, "dir", S_IFDIR | 0755, NULL},
        {3, 2, "sub", S_IFDIR | 0755, NULL},
        {4, 3, "file", S_IFREG | 0644, "nested\n"},
        {5, 1, "hello", S_IFREG | 0444, "hello, world\n"},
        {6, 1, "link", S_IFLNK | 0777, "dir/sub/file"},
        {7, 1, "loop", S_IFLNK | 0777, "loop"},
        {8, 1, "up", S_IFLNK | 0777, "dir/../hello"},
        {9, 1, "big", S_IFREG | 0644, NULL},
        {10, 1, "many", S_IFDIR | 0755, NULL},
        {11, 1, "secret", S_IFREG | 0600, "secret"},
        {12, 1, "pipe", S_IFIFO | 0666, NULL},
        {13, 1, "tool", S_IFREG | 0755, "#!/bin/sh\n"},
        {14, 1, "bad_read", S_IFREG | 0644, "x"},
        {15, 1, "bad_dir", S_IFDIR | 0755, NULL},
        {16, 1, "broken", S_IFREG | 0644, "x"},
        {17, 1, "slow", S_IFREG | 0644, "slow"},
        {18, 1, "stuck", S_IFREG | 0644, "x"},
        {19, 1, "self", S_IFLNK | 0777, "/proc/self/exe"},
        {FIRST_DEEP, 1, "deep", S_IFDIR | 0755, NULL},
};
#define NODES (sizeof(nodes) / sizeof(nodes[0]))

/* What the server tells of itself, shared. */
static struct shared {
        volatile int lookups, forgets, opens, releases, reads, readdirs, hung, inits, no_open;
} * seen;

static int device;
static char where[64];
static char buffer[1 << 17];

static const struct node *node_of(uint64_t id)
{
        for (size_t k = 0; k < NODES; k++)
                if (nodes[k].id == id)
                        return &nodes[k];
        return NULL;
}

static char big_byte(uint64_t at)
{
        return (char)(at * 7 + at / 251);
}

static void attr_of(uint64_t id, struct fuse_attr *a)
{
        const struct node *n = node_of(id);

        *a = (struct fuse_attr){
                .ino = id, .mode = S_IFREG | 0644, .nlink = 1, .blksize = 4096, .mtime = 1000000000, .mtimensec = 5};
        if (id >= FIRST_DEEP) {
                a->mode = S_IFDIR | 0755;
                return;
        }
        if (!n) { /* one of the many */
                a->size = id;
                return;
        }
        a->mode = n->mode;
        a->size = n->id == 9 ? BIG_BYTES : n->text ? strlen(n->text) : 0;
        a->blocks = (a->size + 4095) / 4096 * 8;
        if (!strcmp(n->name, "secret"))
                a->uid = a->gid = SECRET_UID;
}

static void answer(uint64_t unique, int error, const void *body, size_t len)
{
        struct fuse_out_header h = {.len = (uint32_t)(sizeof(h) + len), .error = error, .unique = unique};
        struct iovec v[2] = {{&h, sizeof(h)}, {(void *)(uintptr_t)body, len}};

        if (writev(device, v, 2) < 0 && errno != ENOENT && errno != EINVAL)
                _exit(40);
}

static void lookup(const struct fuse_in_header *h, const char *name)
{
        struct fuse_entry_out e = {0};

        seen->lookups++;
        if (!strcmp(name, "hang")) {
                seen->hung++;
                return;
        }
        if (!strcmp(name, "bad_length")) {
                answer(h->unique, 0, &e, 8);
                return;
        }
        if (!strcmp(name, "denied")) {
                answer(h->unique, -EDOM, NULL, 0);
                return;
        }
        if (!strcmp(name, "slow"))
                usleep(200000);
        if (h->nodeid == 10 && !strncmp(name, "file_", 5) && atoi(name + 5) < MANY)
                e.nodeid = FIRST_OF_MANY + (unsigned)atoi(name + 5);
        if (h->nodeid >= FIRST_DEEP && !strcmp(name, "d"))
                e.nodeid = h->nodeid + 1;
        for (size_t k = 1; k < NODES; k++)
                if (nodes[k].parent == h->nodeid && !strcmp(nodes[k].name, name))
                        e.nodeid = nodes[k].id;
        if (!strcmp(name, "bad_node"))
                e.nodeid = FUSE_ROOT_ID;
        if (!strcmp(name, "bad_mode") || !strcmp(name, "bad_size"))
                e.nodeid = 5;
        if (!strcmp(name, "negative")) {
                answer(h->unique, 0, &e, sizeof(e));
                return;
        }
        if (!e.nodeid) {
                answer(h->unique, -ENOENT, NULL, 0);
                return;
        }
        attr_of(e.nodeid, &e.attr);
        if (!strcmp(name, "bad_mode"))
                e.attr.mode = 0644;
        if (!strcmp(name, "bad_size"))
                e.attr.size = ~0ul;
        answer(h->unique, 0, &e, sizeof(e));
}

static size_t dirent(char *to, uint64_t ino, uint64_t off, uint32_t mode, const char *name, size_t len)
{
        struct fuse_dirent d = {.ino = ino, .off = off, .namelen = (uint32_t)len, .type = mode >> 12};

        memset(to, 0, FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len));
        memcpy(to, &d, FUSE_NAME_OFFSET);
        memcpy(to + FUSE_NAME_OFFSET, name, len);
        return FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len);
}

static void readdir_of(const struct fuse_in_header *h, const struct fuse_read_in *in)
{
        size_t n = 0;
        char name[32];

        seen->readdirs++;
        if (h->nodeid == 15)
                n = in->offset ? 0 : dirent(buffer, 5, 1, S_IFREG, "a/b", 3);
        else if (h->nodeid == 10) {
                for (uint64_t at = in->offset; at < MANY; at++) {
                        size_t len = (size_t)sprintf(name, "file_%d", (int)at);

                        if (n + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len) > in->size)
                                break;
                        n += dirent(buffer + n, FIRST_OF_MANY + at, at + 1, S_IFREG, name, len);
                }
        } else {
                for (uint64_t at = in->offset; at < NODES; at++) {
                        const char *called = at ? nodes[at].name : ".";

                        if (at && nodes[at].parent != h->nodeid)
                                continue;
                        if (n + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + strlen(called)) > in->size)
                                break;
                        n += dirent(buffer + n, at ? nodes[at].id : h->nodeid, at + 1, at ? nodes[at].mode : S_IFDIR,
                                    called, strlen(called));
                }
        }
        answer(h->unique, 0, buffer, n);
}

static void read_of(const struct fuse_in_header *h, const struct fuse_read_in *in)
{
        const struct node *n = node_of(h->nodeid);
        size_t len = 0;

        seen->reads++;
        if (h->nodeid == 16) {
                answer(h->unique, -EFBIG, NULL, 0);
                return;
        }
        if (h->nodeid == 18) {
                seen->hung++;
                return;
        }
        if (h->nodeid == 14) {
                answer(h->unique, 0, buffer, in->size + 1);
                return;
        }
        if (h->nodeid == 9) {
                for (; len < in->size && in->offset + len < BIG_BYTES; len++)
                        buffer[len] = big_byte(in->offset + len);
        } else if (n && n->text && in->offset < strlen(n->text)) {
                len = strlen(n->text) - in->offset;
                len = len < in->size ? len : in->size;
                memcpy(buffer, n->text + in->offset, len);
        }
        answer(h->unique, 0, buffer, len);
}

static void serve_one(const struct fuse_in_header *h, const void *body)
{
        switch (h->opcode) {
        case FUSE_INIT: {
                struct fuse_init_out o = {.major = 7, .minor = 31, .max_write = 4096};

                seen->inits++;
                answer(h->unique, 0, &o, sizeof(o));
                break;
        }
        case FUSE_LOOKUP:
                lookup(h, body);
                break;
        case FUSE_FORGET:
                seen->forgets++;
                break;
        case FUSE_BATCH_FORGET:
                seen->forgets += (int)((const struct fuse_batch_forget_in *)body)->count;
                break;
        case FUSE_GETATTR: {
                struct fuse_attr_out a = {0};

                attr_of(h->nodeid, &a.attr);
                answer(h->unique, 0, &a, sizeof(a));
                break;
        }
        case FUSE_READLINK:
                answer(h->unique, 0, node_of(h->nodeid)->text, strlen(node_of(h->nodeid)->text));
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR: {
                struct fuse_open_out o = {.fh = h->nodeid * 3, .open_flags = FOPEN_DIRECT_IO};

                if (seen->no_open) {
                        answer(h->unique, -ENOSYS, NULL, 0);
                        break;
                }
                seen->opens++;
                answer(h->unique, 0, &o, sizeof(o));
                break;
        }
        case FUSE_READ:
        case FUSE_READDIR: {
                const struct fuse_read_in *in = body;

                if (!seen->no_open && in->fh != h->nodeid * 3)
                        _exit(41);
                if (h->opcode == FUSE_READ)
                        read_of(h, in);
                else
                        readdir_of(h, in);
                break;
        }
        case FUSE_RELEASE:
        case FUSE_RELEASEDIR:
                if (((const struct fuse_release_in *)body)->fh != h->nodeid * 3)
                        _exit(42);
                seen->releases++;
                answer(h->unique, 0, NULL, 0);
                break;
        case FUSE_INTERRUPT:
                answer(((const struct fuse_interrupt_in *)body)->unique, -EINTR, NULL, 0);
                break;
        case FUSE_STATFS: {
                struct fuse_statfs_out o = {.st = {.bsize = 4096, .namelen = 255}};

                answer(h->unique, 0, &o, sizeof(o));
                break;
        }
        default:
                answer(h->unique, -ENOSYS, NULL, 0);
        }
}

static void serve(void)
{
        static char message[FUSE_MIN_READ_BUFFER + 8192];

        for (;;) {
                ssize_t n = read(device, message, sizeof(message));
                const struct fuse_in_header *h = (const void *)message;

                if (n < 0 && errno == ENODEV)
                        _exit(0);
                if (n < (ssize_t)sizeof(*h) || h->len != n)
                        _exit(43);
                serve_one(h, h + 1);
        }
}

/* Mounts; serving begins with start(). */
static void set_up(const char *more)
{
        char options[256];

        seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(seen != MAP_FAILED);
        device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (device < 0 && (errno == ENOENT || errno == ENODEV || errno == EPERM))
                test_skip("no /dev/fuse");
        CHECK(device >= 0);
        strcpy(where, "/tmp/fuse-XXXXXX");
        CHECK(mkdtemp(where));
        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%d,group_id=%d,default_permissions%s", device,
                 (int)getuid(), (int)getgid(), more);
        if (mount("test", where, "fuse", MS_RDONLY | MS_NOSUID | MS_NODEV, options)) {
                rmdir(where);
                if (errno == EPERM || errno == ENODEV)
                        test_skip("no FUSE mounts");
                CHECK(!"mount");
        }
}

static pid_t start(void)
{
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (!pid) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                alarm(0);
                serve();
        }
        return pid;
}

/* The server alone has the device, so that its death ends the connection. */
static pid_t mounted(const char *more)
{
        pid_t pid;

        set_up(more);
        pid = start();
        close(device);
        return pid;
}

static void stop(pid_t pid)
{
        int status;

        CHECK(umount(where) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        CHECK(rmdir(where) == 0);
}

static const char *in(const char *name)
{
        static char path[4][PATH_MAX];
        static unsigned next;
        char *p = path[next++ % 4];

        snprintf(p, PATH_MAX, "%s/%s", where, name);
        return p;
}

static void wait_until(volatile int *count, int least)
{
        for (int k = 0; *count < least; k++) {
                CHECK(k < 3000);
                usleep(10000);
        }
}

/* ---- what there is -------------------------------------------------------------------------------------------------------- */

TEST(look)
{
        pid_t pid = mounted("");
        struct stat st;
        struct statfs fs;
        char text[64];

        CHECK(stat(where, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0755 && st.st_ino == 1);
        CHECK(stat(in("hello"), &st) == 0 && st.st_mode == (S_IFREG | 0444) && st.st_size == 13 && st.st_ino == 5);
        CHECK(st.st_mtim.tv_sec == 1000000000 && st.st_mtim.tv_nsec == 5 && st.st_nlink == 1 && st.st_blocks == 8);
        CHECK(stat(in("dir/sub/file"), &st) == 0 && st.st_ino == 4);
        CHECK(lstat(in("link"), &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 12);
        CHECK(stat(in("link"), &st) == 0 && st.st_ino == 4);
        CHECK(stat(in("up"), &st) == 0 && st.st_ino == 5);
        CHECK(stat(in("dir/sub/../../dir/sub/file"), &st) == 0 && st.st_ino == 4);
        CHECK(stat(in("dir/.."), &st) == 0 && st.st_ino == 1);
        CHECK(readlink(in("link"), text, sizeof(text)) == 12 && !memcmp(text, "dir/sub/file", 12));
        CHECK_ERR(readlink(in("hello"), text, sizeof(text)), EINVAL);
        CHECK_ERR(stat(in("loop"), &st), ELOOP);
        CHECK_ERR(stat(in("none"), &st), ENOENT);
        CHECK_ERR(stat(in("negative"), &st), ENOENT);
        CHECK_ERR(stat(in("dir/none/x"), &st), ENOENT);
        CHECK_ERR(stat(in("hello/x"), &st), ENOTDIR);
        CHECK_ERR(stat(in("denied"), &st), EDOM);
        CHECK(access(in("hello"), R_OK) == 0);
        CHECK(statfs(where, &fs) == 0 && fs.f_type == 0x65735546);
        stop(pid);
        CHECK(seen->inits == 1);
}

TEST(list)
{
        pid_t pid = mounted("");
        bool found[MANY] = {false};
        int n = 0;
        struct dirent *e;
        long at = 0;
        DIR *d;

        CHECK((d = opendir(where)));
        while ((e = readdir(d))) {
                n++;
                if (!strcmp(e->d_name, "dir"))
                        CHECK(e->d_type == DT_DIR && e->d_ino == 2);
                if (!strcmp(e->d_name, "link"))
                        CHECK(e->d_type == DT_LNK);
        }
        closedir(d);
        CHECK(n == 18); /* all that have the root as parent, and "." */
        CHECK((d = opendir(in("many"))));
        for (n = 0; (e = readdir(d)); n++) {
                int k = atoi(e->d_name + 5);

                CHECK(!strncmp(e->d_name, "file_", 5) && k >= 0 && k < MANY && !found[k]);
                found[k] = true;
                if (k == 300)
                        at = telldir(d);
        }
        CHECK(n == MANY && seen->readdirs >= 3);
        seekdir(d, at);
        CHECK((e = readdir(d)) && !strcmp(e->d_name, "file_301"));
        rewinddir(d);
        CHECK((e = readdir(d)) && !strcmp(e->d_name, "file_0"));
        closedir(d);
        CHECK((d = opendir(in("bad_dir"))));
        errno = 0;
        CHECK(!readdir(d) && errno == EIO);
        closedir(d);
        CHECK(!opendir(in("hello")) && errno == ENOTDIR);
        stop(pid);
}

TEST(contents)
{
        pid_t pid = mounted("");
        static char data[BIG_BYTES + 10];
        struct stat st;
        int fd;

        CHECK((fd = open(in("hello"), O_RDONLY)) >= 0);
        CHECK(read(fd, data, 5) == 5 && !memcmp(data, "hello", 5));
        CHECK(read(fd, data, 100) == 8 && !memcmp(data, ", world\n", 8));
        CHECK(read(fd, data, 100) == 0);
        CHECK(pread(fd, data, 5, 7) == 5 && !memcmp(data, "world", 5));
        CHECK(pread(fd, data, 5, 1000) == 0);
        CHECK(lseek(fd, -6, SEEK_END) == 7 && read(fd, data, 5) == 5 && !memcmp(data, "world", 5));
        CHECK(fstat(fd, &st) == 0 && st.st_size == 13 && st.st_ino == 5);
        CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENODEV);
        close(fd);
        CHECK((fd = open(in("big"), O_RDONLY)) >= 0);
        CHECK(read(fd, data, sizeof(data)) == BIG_BYTES);
        for (unsigned k = 0; k < BIG_BYTES; k++)
                CHECK(data[k] == big_byte(k));
        CHECK(pread(fd, data, 40000, 50001) == 40000);
        for (unsigned k = 0; k < 40000; k++)
                CHECK(data[k] == big_byte(50001 + k));
        CHECK(lseek(fd, 0, SEEK_SET) == 0);
        CHECK_ERR(syscall(SYS_read, fd, 1, 100), EFAULT);
        close(fd);
        CHECK((fd = open(in("broken"), O_RDONLY)) >= 0);
        CHECK_ERR(read(fd, data, 1), EFBIG);
        close(fd);
        stop(pid);
}

TEST(read_only)
{
        pid_t pid = mounted("");
        char *const args[] = {"tool", NULL};

        CHECK_ERR(open(in("dir/sub/file"), O_WRONLY), EROFS);
        CHECK_ERR(open(in("dir/sub/file"), O_RDWR), EROFS);
        CHECK_ERR(open(in("dir/sub/file"), O_RDONLY | O_TRUNC), EROFS);
        CHECK_ERR(open(in("new"), O_WRONLY | O_CREAT, 0644), EROFS);
        CHECK_ERR(mkdir(in("new"), 0755), EROFS);
        CHECK_ERR(mkdir(in("dir"), 0755), EEXIST);
        CHECK_ERR(unlink(in("hello")), EROFS);
        CHECK_ERR(rename(in("hello"), in("other")), EROFS);
        CHECK_ERR(chmod(in("hello"), 0600), EROFS);
        CHECK_ERR(truncate(in("dir/sub/file"), 0), EROFS);
        CHECK(open(in("pipe"), O_RDONLY | O_NONBLOCK) >= 0 || errno == ENXIO); /* Linux makes a pipe of it */
        CHECK_ERR(execv(in("tool"), args), EACCES);
        stop(pid);
}

/* A process can stand in the file system. */
TEST(stand)
{
        pid_t pid = mounted("");
        char path[PATH_MAX], expected[PATH_MAX];
        struct stat st;
        int fd;

        CHECK(chdir(in("dir/sub")) == 0);
        CHECK(stat("file", &st) == 0 && st.st_ino == 4);
        CHECK(stat("../../hello", &st) == 0 && st.st_ino == 5);
        CHECK(getcwd(path, sizeof(path)) && !strcmp(path, in("dir/sub")));
        CHECK_ERR(umount(where), EBUSY);
        CHECK((fd = open("file", O_RDONLY)) >= 0);
        sprintf(path, "/proc/self/fd/%d", fd);
        CHECK(readlink(path, expected, sizeof(expected)) > 0 &&
              !strncmp(expected, in("dir/sub/file"), strlen(in("dir/sub/file"))));
        CHECK(chdir("/") == 0);
        CHECK_ERR(umount(where), EBUSY);
        close(fd);
        wait_until(&seen->releases, 1);
        CHECK((fd = open(in("dir"), O_RDONLY | O_DIRECTORY)) >= 0);
        CHECK(fstatat(fd, "sub/file", &st, 0) == 0 && st.st_ino == 4);
        CHECK(fstatat(fd, "../hello", &st, 0) == 0 && st.st_ino == 5);
        close(fd);
        stop(pid);
}

/* All that was looked up is forgotten, all that was opened is released. */
TEST(given_back)
{
        pid_t pid = mounted("");
        struct stat st;
        int fd;

        for (int k = 0; k < 20; k++) {
                CHECK(stat(in("dir/sub/file"), &st) == 0);
                CHECK((fd = open(in("dir/sub/file"), O_RDONLY)) >= 0);
                close(fd);
        }
        wait_until(&seen->releases, 20);
        CHECK(seen->opens == 20);
        if (access("/proc/phantom", F_OK) == 0) { /* Linux keeps nodes as long as it likes */
                wait_until(&seen->forgets, seen->lookups);
                CHECK(seen->forgets == seen->lookups && seen->lookups == 120);
        }
        stop(pid);
}

/* A call of many requests, and the end of a connection with many messages that nobody reads. */
TEST(deep)
{
        pid_t pid = mounted("");
        char path[PATH_MAX] = "deep", text[PATH_MAX];
        struct stat st;
        int status;

        for (int k = 0; k < 100; k++)
                strcat(path, "/d");
        CHECK(stat(in(path), &st) == 0 && st.st_ino == FIRST_DEEP + 100);
        CHECK(chdir(in(path)) == 0 && getcwd(text, sizeof(text)) && !strcmp(text, in(path)));
        CHECK(stat("../../d", &st) == 0 && st.st_ino == FIRST_DEEP + 99);
        kill(pid, SIGSTOP);
        CHECK(chdir("/") == 0);
        CHECK(umount(where) == 0);
        kill(pid, SIGCONT);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        rmdir(where);
}

/* What is run by a link there, and where interpreters are looked for. */
TEST(run_by_link)
{
        pid_t pid = mounted(""), child;
        char script[64];
        int status, fd;
        FILE *f;

        sprintf(script, "/tmp/fuse-script-%d", (int)getpid());

        if (!(child = fork())) {
                if (dup2(open("/dev/null", O_WRONLY), 1) < 0)
                        _exit(1);
                execl(in("self"), "fuse", "-l", NULL);
                _exit(2);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        CHECK((f = fopen(script, "w")) && fprintf(f, "#!%s -l\n", in("self")) > 0 && fclose(f) == 0);
        CHECK(chmod(script, 0755) == 0);
        if (!(child = fork())) {
                if (dup2(open("/dev/null", O_WRONLY), 1) < 0)
                        _exit(1);
                execl(script, "script", NULL);
                _exit(errno);
        }
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == ELOOP || WEXITSTATUS(status) == EACCES);
        unlink(script);
        CHECK((fd = open(in("self"), O_RDONLY)) >= 0);
        close(fd);
        stop(pid);
}

TEST(no_handles)
{
        pid_t pid = mounted("");
        char text[8];
        DIR *d;
        int fd;

        seen->no_open = 1;
        CHECK((fd = open(in("hello"), O_RDONLY)) >= 0 && read(fd, text, 5) == 5);
        close(fd);
        CHECK((d = opendir(in("many"))) && readdir(d));
        closedir(d);
        CHECK(seen->opens == 0 && seen->releases == 0);
        stop(pid);
}

TEST(wrong_answers)
{
        pid_t pid = mounted("");
        struct stat st;
        char text[64];
        int fd;

        CHECK_ERR(stat(in("bad_length"), &st), EIO);
        CHECK_ERR(stat(in("bad_node"), &st), EIO);
        CHECK_ERR(stat(in("bad_mode"), &st), EIO);
        CHECK_ERR(stat(in("bad_size"), &st), EIO);
        CHECK((fd = open(in("bad_read"), O_RDONLY)) >= 0);
        CHECK_ERR(read(fd, text, sizeof(text)), EIO);
        close(fd);
        CHECK(stat(in("hello"), &st) == 0);
        stop(pid);
}

/* A server that answers at random: every call ends, and so does the file system. */
static void babble(void)
{
        static const size_t sizes[] = {
                0, sizeof(struct fuse_entry_out), sizeof(struct fuse_attr_out), sizeof(struct fuse_open_out), 40, 4096};
        static char message[65536];
        const struct fuse_in_header *h = (const void *)message;
        struct fuse_entry_out *e = (void *)buffer;
        struct fuse_attr_out *a = (void *)buffer;

        srand(1);
        while (read(device, message, sizeof(message)) > 0) {
                size_t len = sizes[(size_t)rand() % 6];

                if (h->opcode == FUSE_INIT) {
                        serve_one(h, h + 1);
                        continue;
                }
                for (size_t k = 0; k < 4200; k++)
                        buffer[k] = (char)(rand() % 8 ? rand() : 0);
                if (h->opcode == FUSE_LOOKUP && rand() % 4) {
                        len = sizeof(*e);
                        e->attr.mode = rand() % 2 ? S_IFDIR | 0777 : (uint32_t)(rand() % 16) << 12 | 0777;
                        e->attr.size &= ~0ul >> 1;
                        e->nodeid = (uint64_t)rand() % 5;
                }
                if (h->opcode == FUSE_GETATTR && rand() % 4) {
                        len = sizeof(*a);
                        a->attr.mode = S_IFDIR | 0777;
                        a->attr.size &= ~0ul >> 1;
                        a->attr_valid = (uint64_t)rand() % 3 ? 0 : ~0ul;
                }
                if ((h->opcode == FUSE_OPEN || h->opcode == FUSE_OPENDIR) && rand() % 4)
                        len = sizeof(struct fuse_open_out);
                answer(h->unique + (uint64_t)(rand() % 16 ? 0 : rand() % 8), 0, buffer, len);
                answer(h->unique, rand() % 2 ? -(rand() % 600) : rand(), NULL, 0);
                answer(h->unique, -EIO, NULL, 0); /* unless it was answered */
        }
        _exit(errno == ENODEV ? 0 : 1);
}

TEST(nonsense)
{
        pid_t pid;
        int status;

        set_up("");
        if (!(pid = fork())) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                alarm(0);
                babble();
        }
        close(device);
        for (int k = 0; k < 300; k++) {
                static const char *const names[] = {"a", "a/b", "a/b/c", "a/../b/./c", "", "a/b/c/d/e"};
                const char *name = in(names[k % 6]);
                char text[5000];
                struct dirent *e;
                struct stat st;
                DIR *d;
                int fd;

                stat(name, &st);
                lstat(name, &st);
                readlink(name, text, sizeof(text));
                if ((fd = open(name, O_RDONLY | O_NONBLOCK)) >= 0) {
                        fstat(fd, &st);
                        read(fd, text, sizeof(text));
                        pread(fd, text, sizeof(text), (off_t)k << 40);
                        lseek(fd, 0, SEEK_END);
                        close(fd);
                }
                if ((d = opendir(name))) {
                        for (int n = 0; n < 20 && (e = readdir(d)); n++)
                                CHECK(*e->d_name && !strchr(e->d_name, '/'));
                        closedir(d);
                }
                if (!chdir(name)) {
                        stat("../x", &st);
                        CHECK(!getcwd(text, sizeof(text)) || *text);
                        CHECK(chdir("/") == 0);
                }
        }
        CHECK(umount(where) == 0 && rmdir(where) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

TEST(permissions)
{
        pid_t pid, child;
        int status;

        if (getuid())
                test_skip("not root");
        pid = mounted("");
        if (!(child = fork())) {
                struct stat st;

                if (setgid(SECRET_UID) || setuid(SECRET_UID))
                        _exit(1);
                if (stat(in("hello"), &st) != -1 || errno != EACCES)
                        _exit(2);
                _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        stop(pid);
        pid = mounted(",allow_other");
        if (!(child = fork())) {
                struct stat st;

                if (setgid(SECRET_UID + 1) || setuid(SECRET_UID + 1))
                        _exit(1);
                if (stat(in("hello"), &st))
                        _exit(3);
                if (open(in("hello"), O_RDONLY) < 0)
                        _exit(4);
                if (open(in("secret"), O_RDONLY) != -1 || errno != EACCES)
                        _exit(5);
                if (chdir(where))
                        _exit(6);
                _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        stop(pid);
}

/* ---- waiting -------------------------------------------------------------------------------------------------------------- */

static void on_alarm(int s)
{
        (void)s;
}

TEST(interrupted)
{
        pid_t pid = mounted(""), child;
        struct sigaction sa = {.sa_handler = on_alarm};
        struct stat st;
        int status, fd;

        sigaction(SIGUSR1, &sa, NULL);
        if (!(child = fork())) {
                errno = 0;
                _exit(stat(in("hang"), &st) == -1 && errno == EINTR ? 0 : 1);
        }
        wait_until(&seen->hung, 1);
        kill(child, SIGUSR1);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        CHECK((fd = open(in("stuck"), O_RDONLY)) >= 0);
        if (!(child = fork())) {
                char c;

                read(fd, &c, 1);
                _exit(1);
        }
        wait_until(&seen->hung, 2);
        kill(child, SIGKILL);
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        close(fd);
        CHECK(stat(in("hello"), &st) == 0);
        stop(pid);
}

TEST(two_callers)
{
        pid_t pid = mounted(""), child[6];
        int status;

        for (int k = 0; k < 6; k++) {
                if ((child[k] = fork()))
                        continue;
                for (int n = 0; n < 10; n++) {
                        static char data[BIG_BYTES];
                        struct stat st;
                        int fd = open(in(k % 2 ? "big" : "dir/sub/file"), O_RDONLY);

                        if (fd < 0 || stat(in("link"), &st) || st.st_ino != 4)
                                _exit(1);
                        if (k % 2 && (pread(fd, data, 20000, 1000 * n) != 20000 ||
                                      data[19999] != big_byte(19999 + 1000u * (unsigned)n)))
                                _exit(2);
                        close(fd);
                }
                _exit(0);
        }
        for (int k = 0; k < 6; k++)
                CHECK(waitpid(child[k], &status, 0) == child[k] && status == 0);
        stop(pid);
}

/* One open file, read by two: each byte goes to one of them. */
TEST(shared_position)
{
        pid_t pid = mounted(""), child;
        static char data[BIG_BYTES];
        int status, fd, p[2];
        unsigned total = 0, n, theirs;

        CHECK(pipe(p) == 0 && (fd = open(in("big"), O_RDONLY)) >= 0);
        if (!(child = fork())) {
                while ((n = (unsigned)read(fd, data, 1000)) > 0)
                        total += n;
                _exit(write(p[1], &total, sizeof(total)) != sizeof(total));
        }
        while ((n = (unsigned)read(fd, data, 1000)) > 0)
                total += n;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        CHECK(read(p[0], &theirs, sizeof(theirs)) == sizeof(theirs) && total + theirs == BIG_BYTES);
        close(fd);
        stop(pid);
}

TEST(server_dies)
{
        pid_t pid = mounted(""), child;
        struct stat st;
        int status, fd;
        char c;

        CHECK((fd = open(in("hello"), O_RDONLY)) >= 0);
        if (!(child = fork())) {
                errno = 0;
                _exit(stat(in("hang"), &st) == -1 && (errno == ENOTCONN || errno == ECONNABORTED) ? 0 : 1);
        }
        wait_until(&seen->hung, 1);
        kill(pid, SIGKILL);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_ERR(stat(in("hello"), &st), ENOTCONN);
        CHECK_ERR(stat(where, &st), ENOTCONN);
        CHECK_ERR(read(fd, &c, 1), ENOTCONN);
        close(fd);
        CHECK(umount(where) == 0);
        CHECK(stat(where, &st) == 0);
}

/* ---- the device ----------------------------------------------------------------------------------------------------------- */

/* Child that looks at something in the file system. */
static pid_t looker(const char *name)
{
        pid_t pid = fork();
        struct stat st;

        if (!pid)
                _exit(stat(in(name), &st) ? errno : 0);
        return pid;
}

TEST(device)
{
        static char message[65536];
        struct fuse_in_header *h = (void *)message;
        struct fuse_out_header out = {.len = sizeof(out)};
        struct pollfd p;
        struct stat st;
        pid_t child;
        int status, other;

        CHECK((other = open("/dev/fuse", O_RDWR)) >= 0);
        CHECK(fstat(other, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == (10 << 8 | 229));
        CHECK_ERR(read(other, message, sizeof(message)), EPERM);
        CHECK_ERR(write(other, &out, sizeof(out)), EPERM);
        close(other);
        set_up("");
        fcntl(device, F_SETFL, O_NONBLOCK);
        p = (struct pollfd){device, POLLIN | POLLOUT, 0};
        CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
        CHECK_ERR(read(device, message, 100), EINVAL);
        CHECK(read(device, message, sizeof(message)) >= (ssize_t)sizeof(*h) + 16);
        CHECK(h->opcode == FUSE_INIT && h->unique);
        CHECK_ERR(read(device, message, sizeof(message)), EAGAIN);
        CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
        CHECK_ERR(write(device, &out, 8), EINVAL);
        out.unique = h->unique + 1000;
        CHECK_ERR(write(device, &out, sizeof(out)), ENOENT);
        out.unique = h->unique;
        out.error = 5;
        CHECK_ERR(write(device, &out, sizeof(out)), EINVAL);
        out.error = -5;
        out.len = 200;
        CHECK_ERR(write(device, &out, sizeof(out)), EINVAL);
        serve_one(h, h + 1);
        CHECK(seen->inits == 1);
        /* A caller: its first request wakes poll. How many it has is the kernel's affair. */
        child = looker("hello");
        p.events = POLLIN;
        CHECK(poll(&p, 1, 20000) == 1 && p.revents == POLLIN);
        while (waitpid(child, &status, WNOHANG) != child)
                if (poll(&p, 1, 10) == 1 && read(device, message, sizeof(message)) > 0)
                        serve_one(h, h + 1);
        CHECK(status == 0);
        /* One that is not read before its caller goes leaves nothing. */
        child = looker("hello");
        CHECK(poll(&p, 1, 20000) == 1);
        kill(child, SIGKILL);
        CHECK(waitpid(child, &status, 0) == child);
        while (read(device, message, sizeof(message)) > 0)
                CHECK(h->opcode == FUSE_FORGET || h->opcode == FUSE_BATCH_FORGET || h->opcode == FUSE_INTERRUPT);
        CHECK(umount(where) == 0);
        CHECK_ERR(read(device, message, sizeof(message)), ENODEV);
        CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLERR);
        close(device);
}

TEST(old_server)
{
        static char message[65536];
        struct fuse_in_header *h = (void *)message;
        struct fuse_init_out o = {.major = 7, .minor = 4};
        pid_t child;
        int status;

        set_up("");
        CHECK(read(device, message, sizeof(message)) > 0 && h->opcode == FUSE_INIT);
        o.major = 6;
        answer(h->unique, 0, &o, sizeof(o));
        child = looker("hello");
        CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == ECONNREFUSED);
        CHECK(umount(where) == 0 && rmdir(where) == 0);
        close(device);
}

TEST(bad_mounts)
{
        char options[128], other[64];
        int null = open("/dev/null", O_RDWR);

        set_up("");
        if (getuid())
                test_skip("not root");
        strcpy(other, "/tmp/fuse-XXXXXX");
        CHECK(mkdtemp(other));
        CHECK_ERR(mount("x", other, "fuse", 0, ""), EINVAL);
        CHECK_ERR(mount("x", other, "fuse", 0, NULL), EINVAL);
        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", null);
        CHECK_ERR(mount("x", other, "fuse", 0, options), EINVAL);
        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", device); /* has a mount */
        if (mount("x", other, "fuse", 0, options) == 0) /* Linux shows the same one here as well */
                CHECK(umount(other) == 0);
        else
                CHECK(errno == EINVAL);
        close(device);
        device = open("/dev/fuse", O_RDWR);
        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0", device);
        CHECK_ERR(mount("x", other, "fuse", 0, options), EINVAL);
        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,frobnicate", device);
        CHECK_ERR(mount("x", other, "fuse", 0, options), EINVAL);
        close(device);
        CHECK(umount(where) == 0 && rmdir(where) == 0 && rmdir(other) == 0);
}

TEST_MAIN
