/*
 * file.c - files: locks that are held and waited for, files without a name, mapped files, folders that change.
 */
#include "tests/survive/survive.h"
#include <dirent.h>
#include <stdbool.h>
#include <sys/file.h>

enum kind { RECORD, WHOLE, OPEN_FILE };

static void take(int fd, enum kind kind, bool lock)
{
        struct flock l = {.l_type = lock ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 8};

        if (kind == WHOLE)
                MUST(flock(fd, lock ? LOCK_EX : LOCK_UN) == 0);
        else
                MUST(fcntl(fd, kind == RECORD ? F_SETLKW : F_OFD_SETLKW, &l) == 0);
}

/* Three processes add to a number in a file, each under the lock, and nap with it. */
static void locks(volatile uint64_t *good, enum kind kind, const char *path)
{
        volatile uint64_t *inside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        uint64_t number = 0;
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

        MUST(inside != MAP_FAILED && fd >= 0);
        MUST(pwrite(fd, &number, sizeof(number), 0) == sizeof(number));
        for (int i = 0; i < 2; i++) {
                if (fork() == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        break;
                }
        }
        fd = open(path, O_RDWR);
        MUST(fd >= 0);
        for (uint64_t n = 0;; n++) {
                take(fd, kind, true);
                SAME(__atomic_add_fetch(inside, 1, __ATOMIC_SEQ_CST), 1);
                MUST(pread(fd, &number, sizeof(number), 0) == sizeof(number));
                SAME(number, *good);
                number++;
                survive_nap(3);
                MUST(pwrite(fd, &number, sizeof(number), 0) == sizeof(number));
                *good = number;
                SAME(__atomic_sub_fetch(inside, 1, __ATOMIC_SEQ_CST), 0);
                take(fd, kind, false);
                if (n % 3 == 0)
                        survive_nap(2);
        }
}

static void record_locks(volatile uint64_t *good)
{
        locks(good, RECORD, "/tmp/survive-record");
}

static void whole_locks(volatile uint64_t *good)
{
        locks(good, WHOLE, "/tmp/survive-flock");
}

static void open_file_locks(volatile uint64_t *good)
{
        locks(good, OPEN_FILE, "/tmp/survive-ofd");
}

/* Two files that no folder names: one unlinked, one that never had a name. */
static void nameless(volatile uint64_t *good)
{
        static uint64_t page[512], got[512];
        struct stat st;
        int fd[2];

        fd[0] = open("/tmp/survive-gone", O_RDWR | O_CREAT | O_TRUNC, 0600);
        MUST(fd[0] >= 0 && unlink("/tmp/survive-gone") == 0);
        fd[1] = open("/tmp", O_RDWR | O_TMPFILE, 0600);
        MUST(fd[1] >= 0);
        for (uint64_t n = 0;; n++) {
                int f = fd[n % 2];
                off_t at = (off_t)(n / 2 % 20 * sizeof(page));

                if (n >= 40) {
                        MUST(pread(f, got, sizeof(got), at) == sizeof(got));
                        for (uint64_t i = 0; i < 512; i++)
                                SAME(got[i], (n - 40) * 1000 + i);
                }
                for (uint64_t i = 0; i < 512; i++)
                        page[i] = n * 1000 + i;
                MUST(pwrite(f, page, sizeof(page), at) == sizeof(page));
                MUST(fstat(f, &st) == 0);
                SAME(st.st_nlink, 0);
                SAME(st.st_size, (n / 2 < 20 ? n / 2 + 1 : 20) * sizeof(page));
                *good = n + 1;
                survive_nap(5);
        }
}

/* What is written through the mapping is read from the file, and the other way round; the file grows and shrinks. */
static void mapped(volatile uint64_t *good)
{
        int fd = open("/tmp/survive-mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
        volatile uint64_t *p;

        MUST(fd >= 0 && ftruncate(fd, 16 * 4096) == 0);
        p = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        MUST(p != MAP_FAILED);
        for (uint64_t n = 1;; n++) {
                uint64_t got, i = n % 16 * 512 + n % 512;
                off_t at = (off_t)(i * 8);

                p[i] = n;
                MUST(pread(fd, &got, sizeof(got), at) == sizeof(got));
                SAME(got, n);
                got = n * 7;
                MUST(pwrite(fd, &got, sizeof(got), at) == sizeof(got));
                survive_nap(2);
                SAME(p[i], n * 7);
                if (n % 64 == 0) {
                        MUST(ftruncate(fd, 8 * 4096) == 0 && ftruncate(fd, 16 * 4096) == 0);
                        SAME(p[8 * 512], 0);
                        SAME(p[16 * 512 - 1], 0);
                }
                *good = n;
        }
}

/* A folder with a window of sixteen names that moves on: create, rename, link, unlink. */
static void folder(volatile uint64_t *good)
{
        char a[64], b[64];

        mkdir("/tmp/survive-dir", 0755);
        for (uint64_t n = 0;; n++) {
                uint64_t files = 0, sum = 0, want = 0;
                struct dirent *e;
                struct stat st;
                DIR *d;
                int fd;

                snprintf(a, sizeof(a), "/tmp/survive-dir/new%lu", n);
                fd = open(a, O_WRONLY | O_CREAT | O_EXCL, 0600);
                MUST(fd >= 0);
                survive_write(fd, &n, sizeof(n));
                MUST(close(fd) == 0);
                snprintf(b, sizeof(b), "/tmp/survive-dir/%lu", n);
                MUST(link(a, b) == 0 && stat(b, &st) == 0);
                SAME(st.st_nlink, 2);
                MUST(rename(a, b) == 0 && unlink(a) == 0); /* both names are of one file: rename does nothing */
                if (n >= 16) {
                        snprintf(b, sizeof(b), "/tmp/survive-dir/%lu", n - 16);
                        MUST(unlink(b) == 0);
                }
                survive_nap(4);
                d = opendir("/tmp/survive-dir");
                MUST(d);
                while ((e = readdir(d)) != NULL) {
                        if (e->d_name[0] == '.')
                                continue;
                        files++;
                        sum += strtoul(e->d_name, NULL, 10);
                }
                MUST(closedir(d) == 0);
                for (uint64_t i = n >= 15 ? n - 15 : 0; i <= n; i++)
                        want += i;
                SAME(files, n >= 15 ? 16 : n + 1);
                SAME(sum, want);
                *good = n + 1;
        }
}

int main(void)
{
        survive_begin("file");
        survive_part(record_locks);
        survive_part(whole_locks);
        survive_part(open_file_locks);
        survive_part(nameless);
        survive_part(mapped);
        survive_part(folder);
        survive_watch();
}
