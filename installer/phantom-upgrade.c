/*
 * phantom-upgrade.c - another kernel for an installed Phantom. All programs go on: the machine turns itself off in the middle of this one (reboot(2) keeps what runs), and on again
 * with the new kernel, and here it goes on as well: it looks which kernel has come up, and makes that the one that is started.
 *
 * Two slots on the EFI system partition hold a kernel each (esp.h). States of its environment, each one sector that is written whole or not at all:
 *
 *   slot X, other Y         X is good; Y is the previous kernel in the menu
 *   slot X                  while Y is written: nothing refers to it
 *   slot Y, other X, tries  Y is tried, if the machine is started from here (nobody would confirm it otherwise); the loader counts down before each start, and at 0 takes X
 *   slot Y, other X         Y came up
 *   slot X                  Y did not: the loader took X, and this program found itself there
 *
 * A power cut at any moment leaves one of these. Until all checks are done nothing is written.
 */
#include "esp.h"
#include "gpt.h"
#include "kernel_file.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>
#include <xxhash.h>

#define KERNEL      "/proc/phantom/kernel"
#define DISK        "/proc/phantom/disk"
#define WATCHDOG    "/proc/phantom/watchdog"
#define PARTS_MAX   128
#define BLOCK       4096u
#define SUPER_MAGIC "PantStor"

static struct {
        const char *file, *archive, *disk;
        bool confirm, stay;
} want;

struct target {
        char device[80];                /* of the EFI system partition */
        uint32_t schema, store_version; /* of the store */
        bool ours;                      /* the store is that of the running system */
};

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        fprintf(stderr, "phantom-upgrade: ");
        vfprintf(stderr, fmt, ap);
        fprintf(stderr, "\n");
        va_end(ap);
        exit(1);
}

static void usage(void)
{
        fputs("usage: phantom-upgrade [--no-reboot] [--disk DISK] [--archive ARCHIVE] NEW\n"
              "       phantom-upgrade --confirm\n"
              "Gives an installed Phantom the kernel of NEW: the image of a CD (a file, /dev/sr0, a stick), or a "
              "kernel. "
              "The machine starts\n"
              "again with it, all programs go on, and the kernel before stays in the boot menu. A kernel that does not "
              "come up three\n"
              "times gives way to it.\n"
              "  --no-reboot        the new kernel is taken at the next start, whether it comes up or not\n"
              "  --disk DISK        not this system's disk, but another one with a Phantom; nothing is started there\n"
              "  --archive ARCHIVE  boot archive that belongs to a kernel, for a fresh start; a CD has its own\n"
              "  --confirm          the kernel that runs is good: it is the one to start from now on\n"
              "Exit status: 0 done, 1 not (the message says why, and nothing was changed), 2 used wrongly, 3 the new "
              "kernel did not come up.\n",
              stderr);
        exit(2);
}

/* ---- what is there ---- */

/* A number from a file of lines NAME NUMBER. */
static bool figure(const char *path, const char *name, uint32_t *value)
{
        FILE *f = fopen(path, "r");
        char line[128];
        bool found = false;

        while (f && fgets(line, sizeof(line), f))
                if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ' ') {
                        *value = (uint32_t)strtoul(line + strlen(name), NULL, 10);
                        found = true;
                }
        if (f)
                fclose(f);
        return found;
}

static void running_disk(char *name, size_t size)
{
        FILE *f = fopen(DISK, "r");

        name[0] = 0;
        if (f && fgets(name, (int)size, f))
                name[strcspn(name, "\n")] = 0;
        if (f)
                fclose(f);
}

/* A superblock of a store (persist/store/FORMAT.md): magic, sum, version, schema; the sum covers all of the block, what precedes it as seed for what follows. */
static bool super_read(int fd, uint64_t at, struct target *t, uint64_t *sequence)
{
        uint64_t block[BLOCK / 8];

        if (pread(fd, block, sizeof(block), (off_t)at) != sizeof(block) || memcmp(block, SUPER_MAGIC, 8) ||
            XXH64(block + 2, sizeof(block) - 16, XXH64(block, 8, 0)) != block[1] || block[5] < *sequence)
                return false;
        t->store_version = (uint32_t)block[2];
        t->schema = (uint32_t)(block[2] >> 32);
        *sequence = block[5];
        return true;
}

static void store_look(int fd, const struct gpt_part *p, const char *disk, struct target *t)
{
        uint64_t first = p->first * SECTOR, end = (p->last + 1) / 8 * 8 * SECTOR, sequence = 0;
        bool a = super_read(fd, first + BLOCK, t, &sequence), b = super_read(fd, end - BLOCK, t, &sequence);

        if (!a && !b)
                fail("/dev/%s has a partition of Phantom's, but no whole store in it", disk);
}

/* A disk with several systems may have several of them: ours has an environment. The first one, if none has. */
static void esp_choose(struct target *t, const char *disk, const struct gpt_part *parts, int n)
{
        t->device[0] = 0;
        for (int i = 0; i < n; i++) {
                struct boot_env env;
                struct esp e;
                char path[80];
                bool ours;

                if (memcmp(parts[i].type, gpt_type_esp, 16))
                        continue;
                snprintf(path, sizeof(path), "/dev/%s%s%u", disk,
                         isdigit((unsigned char)disk[strlen(disk) - 1]) ? "p" : "", parts[i].number);
                ours = !esp_open(&e, path, 0, false);
                if (ours) {
                        ours = !env_read(&e, &env);
                        esp_close(&e);
                }
                if (ours || !t->device[0])
                        snprintf(t->device, sizeof(t->device), "%s", path);
                if (ours)
                        return;
        }
}

/* Fills in where the loader is, and what the store is like. */
static void target_find(struct target *t)
{
        static uint8_t b[(1 + TABLE_SECTORS) * SECTOR];
        static struct gpt_part parts[PARTS_MAX];
        const struct gpt_part *store = NULL;
        char disk[32], path[64];
        int fd, n;

        running_disk(disk, sizeof(disk));
        if (want.disk)
                snprintf(disk, sizeof(disk), "%s", !strncmp(want.disk, "/dev/", 5) ? want.disk + 5 : want.disk);
        if (!disk[0])
                fail("this system is not installed: it runs from the CD. phantom-install puts it on a disk");
        snprintf(path, sizeof(path), "/dev/%s", disk);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || pread(fd, b, sizeof(b), 0) != sizeof(b))
                fail("%s cannot be read: %s", path, strerror(errno));
        n = gpt_read(b + SECTOR, (uint64_t)lseek(fd, 0, SEEK_END) / SECTOR, parts, PARTS_MAX);
        for (int i = 0; i < n && !store; i++)
                if (!memcmp(parts[i].type, gpt_type_store, 16))
                        store = &parts[i];
        esp_choose(t, disk, parts, n);
        if (!t->device[0] || !store)
                fail("%s has no Phantom that phantom-install put there", path);
        t->ours = !want.disk;
        if (!t->ours)
                store_look(fd, store, disk, t);
        else if (!figure(KERNEL, "schema", &t->schema) || !figure(KERNEL, "store_version", &t->store_version))
                fail("%s is missing", KERNEL);
        close(fd);
}

/* ---- slots ---- */

struct slot {
        struct esp_file kernel, archive;
};

static const char *trouble(int r)
{
        switch (-r) {
        case EMEDIUMTYPE:
                return "it is no FAT32 file system";
        case ENOENT:
                return "it has no place for a second kernel, as phantom-install makes it";
        case EUCLEAN:
                return "it is damaged; fsck.fat says more";
        case E2BIG:
                return "its files are in too many pieces";
        case EBUSY:
                return "the disk is in use as a whole until the next start; reboot first";
        default:
                return strerror(-r);
        }
}

static int slot_open(struct esp *e, char which, struct slot *s)
{
        char path[32];
        int r;

        snprintf(path, sizeof(path), "PHANTOM/KERNEL.%c", toupper(which));
        r = esp_find(e, path, &s->kernel);
        snprintf(path, sizeof(path), "PHANTOM/ROOTFS.%c", toupper(which));
        return r ? r : esp_find(e, path, &s->archive);
}

/* The sum that the kernel in a slot carries; false: there is none. */
static bool slot_sum(struct esp *e, char which, uint32_t *sum)
{
        struct kernel_facts facts;
        struct slot s;
        uint8_t *b = slot_open(e, which, &s) ? NULL : malloc(s.kernel.size);
        bool good = b && !esp_read(e, &s.kernel, 0, b, s.kernel.size) && !kernel_facts_read(b, s.kernel.size, &facts);

        if (good)
                *sum = facts.sum;
        free(b);
        return good;
}

/* Writes, and reads it again. */
static void file_write(struct esp *e, const struct esp_file *f, const uint8_t *from, size_t n, const char *what)
{
        size_t whole = (n + SECTOR - 1) / SECTOR * SECTOR;
        uint8_t *b = calloc(1, whole), *again = malloc(whole);
        int r = b && again ? 0 : -ENOMEM;

        if (!r) {
                memcpy(b, from, n);
                r = esp_write(e, f, 0, b, whole);
        }
        if (!r)
                r = esp_flush(e);
        if (!r)
                r = esp_read(e, f, 0, again, whole);
        if (!r && memcmp(b, again, whole))
                r = -EIO;
        free(b);
        free(again);
        if (r)
                fail("the new %s cannot be written: %s. The old kernel stays", what, strerror(-r));
}

/* A kernel that comes alone goes on with the archive of the one before. */
static void archive_copy(struct esp *e, const struct slot *from, const struct slot *to)
{
        uint8_t *b = malloc(from->archive.size);
        size_t n;

        if (!b || esp_read(e, &from->archive, 0, b, from->archive.size))
                fail("the boot archive cannot be read. The old kernel stays");
        if (archive_check(b, from->archive.size, &n))
                fail("the boot archive that is there is damaged. The old kernel stays");
        file_write(e, &to->archive, b, n, "boot archive");
        free(b);
}

/* ---- which kernel came up ---- */

/* The kernel that runs came up, whatever can be written down of that: kernel/time/watchdog.c. */
static void watchdog_stop(void)
{
        FILE *f = fopen(WATCHDOG, "w");

        if (f) {
                fputs("0\n", f);
                fclose(f);
        }
}

/* started: the machine was, since the switch. 0: the kernel that was to; 3: the one before, which is what is started from now on. */
static int confirm(struct esp *e, bool started)
{
        uint32_t running = 0, slot = 0, other = 0;
        struct boot_env env;
        int r = env_read(e, &env);

        watchdog_stop();
        if (r)
                fail("the boot partition: %s", trouble(r));
        if (env.tries < 0)
                return 0;
        if (env.tries == ENV_TRIES && !started) {
                fputs("phantom-upgrade: the new kernel was not started yet\n", stderr);
                return 0;
        }
        figure(KERNEL, "sum", &running);
        if (env.other && slot_sum(e, env.other, &other) && running == other &&
            !(slot_sum(e, env.slot, &slot) && slot == running)) {
                r = env_write(e, &(struct boot_env){env.other, 0, -1});
                if (!r)
                        fputs("phantom-upgrade: the new kernel did not come up; the one before runs on, and stays\n",
                              stderr);
        } else {
                env.tries = -1;
                r = env_write(e, &env);
        }
        if (r)
                fail("the boot partition cannot be written: %s", strerror(-r));
        return env.tries < 0 ? 0 : 3;
}

/* ---- the whole ---- */

static void schema_check(const struct kernel_file *k, const struct target *t)
{
        const struct kernel_facts *f = &k->facts;

        if (t->store_version > f->store_version)
                fail("the store is of format %u, and the new kernel knows none above %u. Nothing was changed",
                     t->store_version, f->store_version);
        if (t->schema < f->schema_oldest || t->schema > f->schema)
                fail("what is in the store is of schema %u, and the new kernel knows %u to %u. Nothing was changed",
                     t->schema, f->schema_oldest, f->schema);
}

static void read_new(struct kernel_file *k)
{
        const char *wrong = kernel_file_open(want.file, SLOT_ARCHIVE, k);

        if (wrong)
                fail("%s: %s. Nothing was changed", want.file, wrong);
        if (!want.archive)
                return;
        wrong = archive_file_open(want.archive, SLOT_ARCHIVE, k);
        if (wrong)
                fail("%s: %s. Nothing was changed", want.archive, wrong);
}

/* All that can be wrong is found out here, before the first write. */
static void slots_check(struct esp *e, struct boot_env *env, const struct kernel_file *k, struct slot *from,
                        struct slot *to)
{
        char next;
        int r = env_read(e, env);

        next = !r && env->slot == 'a' ? 'b' : 'a';
        if (!r)
                r = slot_open(e, env->slot, from);
        if (!r)
                r = slot_open(e, next, to);
        if (r)
                fail("the boot partition: %s. Nothing was changed", trouble(r));
        if (k->kernel_len > to->kernel.size || (k->archive ? k->archive_len : from->archive.size) > to->archive.size)
                fail("there is no room on the disk's boot partition: the new kernel needs %zu KiB, and its place has "
                     "%u. "
                     "Nothing was changed",
                     (k->kernel_len + k->archive_len) >> 10, (to->kernel.size + to->archive.size) >> 10);
}

static bool there_already(struct esp *e, const struct slot *s, const struct kernel_file *k)
{
        size_t n = k->kernel_len > k->archive_len ? k->kernel_len : k->archive_len;
        uint8_t *b = malloc(n);
        bool same = b && !esp_read(e, &s->kernel, 0, b, k->kernel_len) && !memcmp(b, k->kernel, k->kernel_len);

        if (same && k->archive)
                same = !esp_read(e, &s->archive, 0, b, k->archive_len) && !memcmp(b, k->archive, k->archive_len);
        free(b);
        return same;
}

/* After a power cut behind the switch this program may find itself before it, in a system that runs on the new kernel: that one is good then. */
static void tried_before(struct esp *e, const struct target *t)
{
        struct boot_env env;

        if (!t->ours || env_read(e, &env) || env.tries < 0)
                return;
        if (env.tries == ENV_TRIES)
                fail("another upgrade is waiting for the next start. Nothing was changed");
        confirm(e, true);
}

static void upgrade(struct esp *e, const struct target *t)
{
        struct boot_env env;
        struct kernel_file k;
        struct slot from, to;
        char next;
        int r;

        read_new(&k);
        schema_check(&k, t);
        tried_before(e, t);
        slots_check(e, &env, &k, &from, &to);
        if (there_already(e, &from, &k)) {
                puts("This kernel is the one that is there already.");
                exit(0);
        }
        next = env.slot == 'a' ? 'b' : 'a';
        r = env_write(e, &(struct boot_env){env.slot, 0, -1});
        if (r)
                fail("the boot partition cannot be written: %s", strerror(-r));
        file_write(e, &to.kernel, k.kernel, k.kernel_len, "kernel");
        if (k.archive)
                file_write(e, &to.archive, k.archive, k.archive_len, "boot archive");
        else
                archive_copy(e, &from, &to);
        r = env_write(e, &(struct boot_env){next, env.slot, t->ours && !want.stay ? ENV_TRIES : -1});
        if (r)
                fail("the switch to the new kernel cannot be written: %s", strerror(-r));
        kernel_file_close(&k);
}

/* What must not end in between: this program is what says that the new kernel is good. */
static void signals_block(void)
{
        sigset_t all;

        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
}

/* Another life, perhaps in another machine: everything is looked for again. A commit that is durable shows that the kernel is good. */
static int gone_on(struct esp *e)
{
        struct target t = {0};
        int r;

        sync();
        esp_close(e);
        target_find(&t);
        r = esp_open(e, t.device, 0, true);
        if (r)
                fail("%s, the boot partition: %s. The new kernel is not confirmed", t.device, trouble(r));
        r = confirm(e, true);
        if (!r)
                puts("Phantom runs on the new kernel now; the one before is in the boot menu.");
        return r;
}

int main(int argc, char **argv)
{
        struct target t = {0};
        struct esp e;
        int r;

        for (int i = 1; i < argc; i++) {
                if (!strcmp(argv[i], "--confirm"))
                        want.confirm = true;
                else if (!strcmp(argv[i], "--no-reboot"))
                        want.stay = true;
                else if (!strcmp(argv[i], "--disk") && i + 1 < argc)
                        want.disk = argv[++i];
                else if (!strcmp(argv[i], "--archive") && i + 1 < argc)
                        want.archive = argv[++i];
                else if (argv[i][0] != '-' && !want.file)
                        want.file = argv[i];
                else
                        usage();
        }
        if (want.confirm ? want.file || want.disk || want.archive : !want.file)
                usage();
        if (geteuid())
                fail("only root can upgrade");
        target_find(&t);
        r = esp_open(&e, t.device, 0, true);
        if (r)
                fail("%s, the boot partition: %s. Nothing was changed", t.device, trouble(r));
        if (want.confirm)
                return confirm(&e, false);
        signals_block();
        upgrade(&e, &t);
        if (!t.ours) {
                printf("The Phantom on /dev/%s has the new kernel; the one before is in its boot menu.\n", want.disk);
                return 0;
        }
        if (want.stay) {
                puts("The new kernel is taken at the next start; the one before is in the boot menu.");
        } else {
                puts("The machine starts again, with the new kernel.");
                fflush(stdout);
                sync();
                if (reboot(RB_AUTOBOOT))
                        fail("the machine cannot be started anew: %s. The new kernel is tried at the next start",
                             strerror(errno));
                return gone_on(&e);
        }
        return 0;
}
