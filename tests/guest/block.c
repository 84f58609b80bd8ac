/*
 * block.c - reads and writes of a block device, above all direct ones, where the device may work on the program's own pages: every alignment, and whatever else happens to those pages
 * meanwhile. Needs the disk that suites.py gives: its last sector says that it is for this.
 */
#include "lib/test.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <linux/fs.h>

#define SECTOR     512u
#define PAGE       4096u
#define AREA       (256u << 10) /* each test has its own part of the disk */
#define MEBI       (1u << 20)
#define MAGIC      "disk for tests/guest/block.c"
#define WORDS      (SECTOR / 8)
#define AREA_OF(n) ((off_t)(n)*MEBI)
#define DISK_END   (AREA_OF(16) - (off_t)SECTOR) /* the last sector says whose it is */

static int disk(int flags)
{
        static const char *const names[] = {"/dev/vdb", "/dev/vda"};
        uint64_t size;
        char last[SECTOR];

        for (unsigned k = 0; k < 2; k++) {
                int fd = open(names[k], O_RDWR | flags);

                if (fd < 0)
                        continue;
                if (ioctl(fd, BLKGETSIZE64, &size) == 0 && size >= SECTOR) {
                        int plain = open(names[k], O_RDONLY);
                        ssize_t n = pread(plain, last, SECTOR, (off_t)(size - SECTOR));

                        close(plain);
                        if (n == SECTOR && !memcmp(last, MAGIC, sizeof(MAGIC)))
                                return fd;
                }
                close(fd);
        }
        test_skip("there is no disk to write to");
}

static void *memory(size_t len)
{
        void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        CHECK(p != MAP_FAILED);
        return p;
}

/* Every word says where on the disk it belongs, and in which round it was written. */
static uint64_t word_at(uint64_t byte, uint64_t round)
{
        return (byte / 8 + 1) * 0x9e3779b97f4a7c15ul ^ round;
}
static off_t byte_of(uint64_t word, uint64_t round)
{
        return (off_t)(((word ^ round) * 0xf1de83e19937733dul - 1) * 8); /* the inverse of word_at's factor */
}
static void fill(void *buf, size_t len, off_t pos, uint64_t round)
{
        uint64_t *w = buf;

        for (size_t i = 0; i < len / 8; i++)
                w[i] = word_at((uint64_t)pos + i * 8, round);
}
static void expect(const void *buf, size_t len, off_t pos, uint64_t round)
{
        const uint64_t *w = buf;

        for (size_t i = 0; i < len / 8; i++)
                if (w[i] != word_at((uint64_t)pos + i * 8, round))
                        test_fail("byte %zu of %zu from disk offset %ld is %#lx, not of round %lu", i * 8, len,
                                  (long)pos, (long)w[i], (unsigned long)round);
}
static void expect_bytes(const void *buf, size_t len, int value)
{
        const unsigned char *b = buf;

        if (!len || (b[0] == value && !memcmp(b, b + 1, len - 1)))
                return;
        for (size_t i = 0; i < len; i++)
                if (b[i] != value)
                        test_fail("byte %zu of %zu is %#x, not %#x", i, len, b[i], value);
}
/* What is on the disk, or goes there, without O_DIRECT. */
static void put(int fd, size_t len, off_t pos, uint64_t round)
{
        void *buf = memory(len);

        fill(buf, len, pos, round);
        CHECK(pwrite(fd, buf, len, pos) == (ssize_t)len);
        CHECK(fsync(fd) == 0);
        munmap(buf, len);
}

static const unsigned shifts[] = {0, 512, 1536, 3584, 8, 100};
static const unsigned places[] = {0, 512, 4096, 5120, 24};
static const unsigned lengths[] = {512, 1024, 4096, 4608, 65536, 66048, 131072 + 512, 1000};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Misaligned ones may be refused, but never do anything else than what was asked. */
TEST(direct_alignments)
{
        int direct = disk(O_DIRECT), plain = disk(0);
        unsigned char *mem = memory(AREA), *back = memory(AREA);
        uint64_t round = 0;

        for (unsigned s = 0; s < COUNT(shifts); s++) {
                for (unsigned p = 0; p < COUNT(places); p++) {
                        for (unsigned l = 0; l < COUNT(lengths); l++) {
                                size_t len = lengths[l], shift = PAGE + shifts[s];
                                off_t pos = AREA_OF(0) + places[p];
                                int aligned = shifts[s] % SECTOR == 0 && places[p] % SECTOR == 0 && len % SECTOR == 0;
                                ssize_t n;

                                round++;
                                memset(back, 0x11, AREA);
                                CHECK(pwrite(plain, back, AREA, AREA_OF(0)) == AREA);
                                CHECK(fsync(plain) == 0);
                                fill(mem + shift, len, pos, round);
                                n = pwrite(direct, mem + shift, len, pos);
                                CHECK(n == (ssize_t)len || (!aligned && n < 0 && errno == EINVAL));
                                if (n < 0)
                                        continue;
                                CHECK(pread(plain, back, AREA, AREA_OF(0)) == AREA);
                                expect_bytes(back, places[p], 0x11);
                                CHECK(!memcmp(back + places[p], mem + shift, len));
                                expect_bytes(back + places[p] + len, AREA - places[p] - len, 0x11);
                                memset(mem, 0x22, AREA);
                                CHECK(pread(direct, mem + shift, len, pos) == (ssize_t)len);
                                expect_bytes(mem, shift, 0x22);
                                expect(mem + shift, len, pos, round);
                                expect_bytes(mem + shift + len, AREA - shift - len, 0x22);
                        }
                }
        }
}

TEST(direct_vectors)
{
        int direct = disk(O_DIRECT);
        unsigned char *mem = memory(MEBI);
        struct iovec v[12];
        static const unsigned len[12] = {512, 4608, 0, 65536, 1024, 0, 0, 131072, 512, 512, 8192, 0};
        off_t pos = AREA_OF(1);
        size_t total = 0, at = 512;

        for (unsigned i = 0; i < 12; i++) {
                v[i] = (struct iovec){mem + at, len[i]};
                fill(mem + at, len[i], pos + (off_t)total, 3);
                total += len[i];
                at += len[i] + SECTOR * (1 + i % 3);
        }
        CHECK(pwritev(direct, v, 12, pos) == (ssize_t)total);
        memset(mem, 0x33, MEBI);
        CHECK(preadv(direct, v, 12, pos) == (ssize_t)total);
        total = 0;
        at = 0;
        for (unsigned i = 0; i < 12; i++) {
                expect_bytes(mem + at, (size_t)((unsigned char *)v[i].iov_base - mem) - at, 0x33);
                expect(v[i].iov_base, len[i], pos + (off_t)total, 3);
                total += len[i];
                at = (size_t)((unsigned char *)v[i].iov_base - mem) + len[i];
        }
        expect_bytes(mem + at, MEBI - at, 0x33);
}

TEST(direct_end_of_disk)
{
        int direct = disk(O_DIRECT);
        unsigned char *mem = memory(AREA);
        uint64_t size;

        CHECK(ioctl(direct, BLKGETSIZE64, &size) == 0);
        CHECK(pread(direct, mem, AREA, (off_t)size - 1024) == 1024);
        CHECK(!memcmp(mem + 512, MAGIC, sizeof(MAGIC)));
        CHECK(pread(direct, mem, AREA, (off_t)size) == 0);
        CHECK(lseek(direct, AREA_OF(1), SEEK_SET) == AREA_OF(1));
        CHECK(read(direct, mem, 8192) == 8192);
        CHECK(lseek(direct, 0, SEEK_CUR) == AREA_OF(1) + 8192);
}

/* Memory that is not there, may not be written, was never touched, or is not the program's alone. */
TEST(direct_kinds_of_memory)
{
        int direct = disk(O_DIRECT), plain = disk(0), file;
        unsigned char *mem, *shared;
        off_t pos = AREA_OF(2);
        ssize_t n;

        put(plain, AREA, pos, 4);
        mem = memory(AREA);
        CHECK(mprotect(mem, AREA, PROT_READ) == 0);
        CHECK_ERR(pread(direct, mem, AREA, pos), EFAULT);
        CHECK(pwrite(direct, mem, 8192, pos) == 8192);
        CHECK(mprotect(mem, AREA, PROT_NONE) == 0);
        CHECK_ERR(pwrite(direct, mem, AREA, pos), EFAULT);
        CHECK(munmap(mem, AREA) == 0);
        CHECK_ERR(pread(direct, mem, AREA, pos), EFAULT);
        CHECK_ERR(pwrite(direct, mem, AREA, pos), EFAULT);
        mem = memory(AREA);
        CHECK(munmap(mem + AREA / 2, AREA / 2) == 0);
        n = pread(direct, mem, AREA, pos);
        CHECK((n < 0 && errno == EFAULT) || (n > 0 && n <= (ssize_t)AREA / 2));
        mem = memory(AREA);
        CHECK(pread(direct, mem, AREA, pos) == AREA);
        expect_bytes(mem, 8192, 0);
        expect(mem + 8192, AREA - 8192, pos + 8192, 4);
        mem = memory(AREA);
        CHECK(pwrite(direct, mem, AREA, pos) == AREA);
        CHECK(pread(plain, mem, AREA, pos) == AREA);
        expect_bytes(mem, AREA, 0);
        put(plain, AREA, pos, 5);
        shared = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(pread(direct, shared, AREA, pos) == AREA);
        expect(shared, AREA, pos, 5);
        file = open("/tmp/blocktest", O_RDWR | O_CREAT | O_TRUNC, 0600);
        CHECK(file >= 0 && unlink("/tmp/blocktest") == 0 && ftruncate(file, AREA) == 0);
        for (int flags = MAP_SHARED; flags; flags = flags == MAP_SHARED ? MAP_PRIVATE : 0) {
                shared = mmap(NULL, AREA, PROT_READ | PROT_WRITE, flags, file, 0);
                CHECK(pread(direct, shared + 512, AREA - 4096, pos + 512) == AREA - 4096);
                expect(shared + 512, AREA - 4096, pos + 512, 5);
                CHECK(pwrite(direct, shared + 512, AREA - 4096, pos + 512) == AREA - 4096);
        }
        CHECK(pread(direct, mem, AREA, pos) == AREA);
        expect(mem, AREA, pos, 5);
}

/* ---- what happens to the memory meanwhile ---- */

static int fds[2]; /* direct, plain */
static unsigned char *common;
static volatile int stop;

static void *reads_and_checks(void *arg)
{
        off_t pos = AREA_OF(3);

        (void)arg;
        for (uint64_t k = 0; !stop; k++) {
                size_t len = AREA - PAGE;

                memset(common, 0x44, AREA);
                CHECK(pread(fds[0], common + SECTOR, len, pos) == (ssize_t)len);
                expect(common + SECTOR, len, pos, 6);
        }
        return NULL;
}

static void *writes_and_checks(void *arg)
{
        off_t pos = AREA_OF(4);
        unsigned char *back = memory(AREA);

        (void)arg;
        for (uint64_t k = 0; !stop; k++) {
                fill(common + AREA, AREA, pos, k);
                CHECK(pwrite(fds[0], common + AREA, AREA, pos) == AREA);
                CHECK(pread(fds[0], back, AREA, pos) == AREA);
                expect(back, AREA, pos, k);
        }
        return NULL;
}

/* A child has its copy, in which no device writes, and out of which no device reads any more. */
TEST(direct_and_fork)
{
        pthread_t t[2];

        fds[0] = disk(O_DIRECT);
        fds[1] = disk(0);
        common = memory(2 * AREA);
        put(fds[1], AREA, AREA_OF(3), 6);
        CHECK(pthread_create(&t[0], NULL, reads_and_checks, NULL) == 0);
        CHECK(pthread_create(&t[1], NULL, writes_and_checks, NULL) == 0);
        for (int k = 0; k < 40; k++) {
                pid_t p = fork();
                int st;

                CHECK(p >= 0);
                if (p == 0) {
                        memset(common, 0x55, 2 * AREA);
                        for (int i = 0; i < 5; i++) {
                                usleep(500);
                                expect_bytes(common, 2 * AREA, 0x55);
                        }
                        _exit(0);
                }
                if (k % 2)
                        usleep(1000);
                CHECK(waitpid(p, &st, 0) == p && st == 0);
        }
        stop = 1;
        for (int i = 0; i < 2; i++)
                CHECK(pthread_join(t[i], NULL) == 0);
}

static void *reads_into(void *arg)
{
        (void)!pread(fds[0], arg, MEBI, AREA_OF(5));
        return NULL;
}

/* Memory that is given back while the device works on it is nobody else's before that is over. What comes next has an address of its own: a read may begin, or go on, behind munmap. */
TEST(direct_and_munmap)
{
        fds[0] = disk(O_DIRECT);
        for (int k = 0; k < 60; k++) {
                unsigned char *mem = memory(MEBI), *other = memory(2 * MEBI);
                pthread_t t;

                if (k % 2)
                        memset(mem, 1, MEBI);
                CHECK(pthread_create(&t, NULL, reads_into, mem) == 0);
                for (int i = 0; i < k % 7; i++)
                        sched_yield();
                if (k % 3 == 0) {
                        CHECK(madvise(mem, MEBI, MADV_DONTNEED) == 0);
                } else if (k % 3 == 1) {
                        mem = mremap(mem, MEBI, MEBI / 2, 0);
                        CHECK(mem != MAP_FAILED);
                } else {
                        CHECK(mprotect(mem, MEBI, PROT_NONE) == 0);
                }
                CHECK(munmap(mem, MEBI) == 0);
                memset(other, 0x66, 2 * MEBI);
                CHECK(pthread_join(t, NULL) == 0);
                expect_bytes(other, 2 * MEBI, 0x66);
                CHECK(munmap(other, 2 * MEBI) == 0);
        }
}

/* The same for a process that ends, or is killed, in the middle. */
TEST(direct_and_exit)
{
        unsigned char *other;

        fds[0] = disk(O_DIRECT);
        for (int k = 0; k < 40; k++) {
                pid_t p = fork();
                int st;

                CHECK(p >= 0);
                if (p == 0) {
                        for (int i = 0; i < 3; i++) {
                                pthread_t t;

                                CHECK(pthread_create(&t, NULL, reads_into, memory(MEBI)) == 0);
                        }
                        for (int i = 0; i < k % 5; i++)
                                sched_yield();
                        if (k % 3 == 0)
                                execl("/bin/true", "true", NULL);
                        if (k % 3 == 1)
                                pause();
                        _exit(0);
                }
                if (k % 3 == 1) {
                        usleep(500 * (k % 4));
                        kill(p, SIGKILL);
                }
                CHECK(waitpid(p, &st, 0) == p);
                other = memory(2 * MEBI);
                memset(other, 0x77, 2 * MEBI);
                usleep(200);
                expect_bytes(other, 2 * MEBI, 0x77);
                CHECK(munmap(other, 2 * MEBI) == 0);
        }
}

#define SHARERS 6

static void *shares_a_page(void *arg)
{
        unsigned n = (unsigned)(uintptr_t)arg;
        unsigned char *mine = common + n * SECTOR;
        off_t pos = AREA_OF(6) + n * SECTOR;

        for (uint64_t k = 0; k < 150; k++) {
                fill(mine, SECTOR, pos, k);
                CHECK(pwrite(fds[0], mine, SECTOR, pos) == SECTOR);
                memset(mine, 0, SECTOR);
                CHECK(pread(fds[0], mine, SECTOR, pos) == SECTOR);
                expect(mine, SECTOR, pos, k);
        }
        return NULL;
}

static void *counts(void *arg)
{
        volatile uint64_t *last = (void *)(common + (SHARERS + 1) * SECTOR);

        (void)arg;
        for (uint64_t k = 1; !stop; k++) {
                CHECK(*last == k - 1);
                *last = k;
                if (k % 64 == 0)
                        sched_yield();
        }
        return NULL;
}

/* Several requests, and a program that writes, in one page: to each its sector. */
TEST(direct_in_one_page)
{
        pthread_t t[SHARERS], counter;

        fds[0] = disk(O_DIRECT);
        common = memory(PAGE);
        CHECK(pthread_create(&counter, NULL, counts, NULL) == 0);
        for (uintptr_t i = 0; i < SHARERS; i++)
                CHECK(pthread_create(&t[i], NULL, shares_a_page, (void *)i) == 0);
        for (int i = 0; i < SHARERS; i++)
                CHECK(pthread_join(t[i], NULL) == 0);
        stop = 1;
        CHECK(pthread_join(counter, NULL) == 0);
}

#define MANY 32

static void *reads_its_part(void *arg)
{
        unsigned n = (unsigned)(uintptr_t)arg;
        unsigned char *mem = memory(AREA);

        for (int k = 0; k < 12; k++) {
                off_t pos = AREA_OF(7) + (off_t)((n * 12 + (unsigned)k) % 16) * 65536;

                CHECK(pread(fds[0], mem + n % 8 * SECTOR, 131072, pos - pos % 131072) == 131072);
                expect(mem + n % 8 * SECTOR, 131072, pos - pos % 131072, 7);
        }
        return NULL;
}

/* More at a time than may work on memory directly. */
TEST(direct_many)
{
        pthread_t t[MANY];

        fds[0] = disk(O_DIRECT);
        fds[1] = disk(0);
        put(fds[1], MEBI, AREA_OF(7), 7);
        for (uintptr_t i = 0; i < MANY; i++)
                CHECK(pthread_create(&t[i], NULL, reads_its_part, (void *)i) == 0);
        for (int i = 0; i < MANY; i++)
                CHECK(pthread_join(t[i], NULL) == 0);
}

static void *reads_on(void *arg)
{
        unsigned char *mem = memory(AREA);
        const uint64_t *w = (void *)mem;
        int fd = *(int *)arg;

        for (int k = 0; k < 200; k++) {
                ssize_t n = read(fd, mem, 65536);
                off_t at = n ? byte_of(w[0], 8) : DISK_END;

                CHECK(n >= 0 && n % SECTOR == 0 && at >= AREA_OF(8) && at <= DISK_END && at % SECTOR == 0);
                expect(mem, (size_t)(n < DISK_END - at ? n : DISK_END - at), at, 8);
                if (k % 8 == 0 || at + n >= DISK_END)
                        CHECK(lseek(fd, AREA_OF(8), SEEK_SET) == AREA_OF(8));
        }
        return NULL;
}

/* Threads that move the position under each other's reads get what is somewhere on the disk, in one piece. A read that was under way may have the last word on the position, on Linux too: up to the end of the disk. */
TEST(shared_position)
{
        pthread_t t[2];

        for (int flags = 0;; flags = O_DIRECT) {
                int fd = disk(flags);

                put(fd, DISK_END - AREA_OF(8), AREA_OF(8), 8);
                CHECK(lseek(fd, AREA_OF(8), SEEK_SET) == AREA_OF(8));
                for (int i = 0; i < 2; i++)
                        CHECK(pthread_create(&t[i], NULL, reads_on, &fd) == 0);
                for (int i = 0; i < 2; i++)
                        CHECK(pthread_join(t[i], NULL) == 0);
                if (flags)
                        break;
        }
}

TEST_MAIN
