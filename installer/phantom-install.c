/*
 * phantom-install.c - puts the running system on a disk. It copies what boots, then has the kernel give the space its store there (/proc/phantom/control, `attach`), which takes the
 * session along as it is; with --fresh the store is left empty, and the disk's first boot begins from the boot archive.
 *
 * Order of writes: sector 0 goes first, then the old table, and sector 0 comes last. So a power cut leaves a disk that boots, or one with nothing on it. This program goes on after
 * the cut, too, if it came behind `attach`: it is part of the session. Everything from there on may be done twice.
 */
#include "esp.h"
#include "gpt.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ARCHIVE   "/dev/ram0"
#define CONTROL   "/proc/phantom/control"
#define STATUS    "/proc/phantom/status"
#define KEYBOARD  "/proc/phantom/keyboard"
#define DISKS_MAX 32
#define PARTS_MAX 128

#define CORE_SECTORS 2048u                                             /* of a BIOS boot partition beside others */
#define STORE_MIN    65536u                                            /* 32 MiB */
#define ESP_NEEDED   (2ul * (SLOT_KERNEL + SLOT_ARCHIVE) + (4u << 20)) /* of a partition that others have, too */

struct disk {
        char name[32], model[64];
        uint64_t nsectors;
        bool read_only;
};

/* Where things go. */
static struct {
        bool beside; /* other systems stay: nothing outside of what was free is written, but for tables and the shared partition */
        bool by_bios;                    /* sector 0 is ours, or was empty */
        uint64_t core_first;             /* sectors; 0: no BIOS boot partition */
        uint64_t esp_first, esp_sectors; /* sectors 0: esp_shared is used */
        char esp_shared[64];             /* the device of an EFI system partition that was there */
        uint64_t store_first, store_sectors;
} plan;

static struct {
        bool yes, fresh, erase, upgrade, beside;
        char disk[32], hostname[65], password[128], timezone[64], keyboard[8];
} want;
static char work[] = "/tmp/phantom-install.XXXXXX"; /* files on their way; work[0] is 0 when there are none */
extern char **environ;

/* ---- messages ---- */

static void files_remove(void);

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        fprintf(stderr, "phantom-install: ");
        vfprintf(stderr, fmt, ap);
        fprintf(stderr, "\n");
        va_end(ap);
        files_remove();
        exit(1);
}

static void usage(void)
{
        fputs("usage: phantom-install [--disk DISK] [--yes] [--erase | --beside] [--fresh] [--config FILE]\n"
              "       phantom-install --upgrade --disk DISK\n"
              "       phantom-install --list\n"
              "Puts this system on a disk, all of whose contents are lost, or beside other systems. What runs now runs "
              "on from there; with "
              "--fresh the\n"
              "disk gets a system as it was before its first start.\n"
              "  --disk DISK    /dev/vda, for example; without it you are asked\n"
              "  --yes          nothing is asked\n"
              "  --erase        with --yes: even a Phantom that is on the disk is lost\n"
              "  --beside       other systems on the disk stay as they are: only what no partition has is used\n"
              "  --upgrade      the Phantom on the disk gets this CD's kernel, and keeps all the rest\n"
              "  --config FILE  lines hostname=NAME, password=ROOT'S PASSWORD, keyboard=us|de|fr|ru|uk, timezone=TZ "
              "(as in\n"
              "                 TZ=CET-1CEST,M3.5.0,M10.5.0/3)\n"
              "Exit status: 0 installed, 1 not (the message says why), 2 used wrongly.\n",
              stderr);
        exit(2);
}

static void step(const char *what)
{
        printf("%-34s", what);
        fflush(stdout);
}

static void done(void)
{
        puts(" done");
}

/* ---- disks ---- */

static bool read_line(const char *path, char *to, size_t size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);

        if (fd >= 0)
                close(fd);
        if (n < 0)
                return false;
        while (n > 0 && isspace((unsigned char)to[n - 1]))
                n--;
        to[n] = 0;
        return true;
}

/* Disks that one could install on: /sys/block without what is in memory, and drives for CDs. */
static int disks_find(struct disk *disks)
{
        DIR *d = opendir("/sys/block");
        struct dirent *e;
        int n = 0;

        while (d && n < DISKS_MAX && (e = readdir(d))) {
                struct disk *k = &disks[n];
                char path[128], text[64];

                if (e->d_name[0] == '.' || !strncmp(e->d_name, "ram", 3) || !strncmp(e->d_name, "sr", 2) ||
                    strlen(e->d_name) >= sizeof(k->name))
                        continue;
                snprintf(path, sizeof(path), "/sys/block/%s/partition", e->d_name);
                if (access(path, F_OK) == 0)
                        continue;
                snprintf(path, sizeof(path), "/sys/block/%s/size", e->d_name);
                if (!read_line(path, text, sizeof(text)))
                        continue;
                *k = (struct disk){.nsectors = strtoull(text, NULL, 10)};
                strcpy(k->name, e->d_name);
                snprintf(path, sizeof(path), "/sys/block/%s/ro", e->d_name);
                k->read_only = read_line(path, text, sizeof(text)) && text[0] == '1';
                snprintf(path, sizeof(path), "/sys/block/%s/device/model", e->d_name);
                if (!read_line(path, k->model, sizeof(k->model)))
                        k->model[0] = 0;
                n++;
        }
        if (d)
                closedir(d);
        return n;
}

static bool all_zero(const uint8_t *p, size_t n)
{
        while (n && !*p)
                p++, n--;
        return !n;
}

/* What the first 64 KiB tell of a disk's contents, in words. True: a Phantom is installed there. */
static bool contents(const struct disk *k, char *to, size_t size)
{
        static uint8_t b[65536];
        bool phantom = false;
        struct gpt_part parts[PARTS_MAX];
        char path[64];
        ssize_t n;
        int fd, nparts;

        snprintf(path, sizeof(path), "/dev/%s", k->name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : pread(fd, b, sizeof(b), 0);
        if (fd >= 0)
                close(fd);
        if (n < (ssize_t)sizeof(b)) {
                snprintf(to, size, fd < 0 ? "cannot be opened" : "cannot be read");
                return false;
        }
        nparts = gpt_read(b + SECTOR, k->nsectors, parts, PARTS_MAX);
        if (nparts >= 0) {
                size_t at = (size_t)snprintf(to, size, "%d partition%s", nparts, nparts == 1 ? "" : "s");

                for (int i = 0; i < nparts; i++)
                        phantom = phantom || !memcmp(parts[i].type, gpt_type_store, 16);
                if (phantom)
                        at += (size_t)snprintf(to + at, size - at, ", an installed Phantom");
                for (int i = 0; i < nparts && at < size; i++)
                        at += (size_t)snprintf(to + at, size - at, "%s%s", i ? ", " : ": ",
                                               parts[i].name[0] ? parts[i].name : "?");
        } else if (all_zero(b, sizeof(b))) {
                snprintf(to, size, "empty");
        } else if (b[510] == 0x55 && b[511] == 0xaa) {
                snprintf(to, size, "%s",
                         all_zero(b + 446, 64) ? "a file system or boot program" : "partitions of the old kind (MBR)");
        } else if (b[1080] == 0x53 && b[1081] == 0xef) {
                snprintf(to, size, "a Linux file system");
        } else {
                snprintf(to, size, "something that is not known here");
        }
        return phantom;
}

static void disk_print(const struct disk *k)
{
        char what[256];

        contents(k, what, sizeof(what));
        printf("  /dev/%-10s %8.1f GiB  %-24s %s%s\n", k->name, (double)k->nsectors / 2097152,
               k->model[0] ? k->model : "-", what, k->read_only ? " (read-only)" : "");
}

static void ask_line(const char *question, char *to, size_t size)
{
        printf("%s", question);
        fflush(stdout);
        if (!fgets(to, (int)size, stdin))
                fail("nothing was chosen; nothing was changed");
        to[strcspn(to, "\n")] = 0;
}

/* Which one: as asked for on the command line, or by the user. */
static struct disk disk_choose(const struct disk *disks, int n)
{
        if (!n)
                fail("no disk was found");
        if (!want.disk[0]) {
                if (want.yes)
                        fail("--yes needs --disk: nothing is guessed");
                puts("Disks:");
                for (int i = 0; i < n; i++)
                        disk_print(&disks[i]);
                ask_line("Install on which one? ", want.disk, sizeof(want.disk));
        }
        for (int i = 0; i < n; i++)
                if (!strcmp(disks[i].name, !strncmp(want.disk, "/dev/", 5) ? want.disk + 5 : want.disk))
                        return disks[i];
        fail("%s is no disk that one can install on; --list shows them", want.disk[0] ? want.disk : "that");
}

/* A Phantom is there: it is not lost by the way. */
static void agree_phantom(const struct disk *k)
{
        char answer[64];

        if (want.yes && !want.erase)
                fail("/dev/%s has an installed Phantom, with a session of its own. --erase says that it may be lost; "
                     "--upgrade gives it this kernel. Nothing was changed",
                     k->name);
        if (want.yes)
                return;
        disk_print(k);
        puts("It has a session of its own, which goes on when the machine is started from there. What shall become of "
             "it?\n"
             "  resume   it stays as it is: take the CD out, and start again\n"
             "  upgrade  it stays, and gets this CD's kernel\n"
             "  erase    it is lost; another one is put in its place");
        ask_line("Type one of these words: ", answer, sizeof(answer));
        if (!strcmp(answer, "resume")) {
                printf("Nothing was changed. Take the CD out and start the machine from /dev/%s.\n", k->name);
                exit(0);
        }
        want.upgrade = !strcmp(answer, "upgrade");
        if (!want.upgrade && strcmp(answer, "erase"))
                fail("none was chosen; nothing was changed");
}

/* Others are there, and room: it need not be all of the disk. */
static void ask_beside(const struct disk *k)
{
        static uint8_t head[TABLE_SECTORS * SECTOR];
        struct gpt_part first;
        char path[64], answer[64];
        uint64_t at, room = 0;
        int fd;

        snprintf(path, sizeof(path), "/dev/%s", k->name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && pread(fd, head, sizeof(head), SECTOR) == (ssize_t)sizeof(head) &&
            gpt_read(head, k->nsectors, &first, 1) > 0)
                room = gpt_gap(head, k->nsectors, &at);
        if (fd >= 0)
                close(fd);
        if (want.yes || want.beside || want.erase || room < STORE_MIN)
                return;
        disk_print(k);
        printf("%lu MiB of it belong to no partition. Type `beside` to use these and leave all others as they are, "
               "`all` for "
               "the whole disk: ",
               (unsigned long)room >> 11);
        ask_line("", answer, sizeof(answer));
        want.beside = !strcmp(answer, "beside");
        if (!want.beside && strcmp(answer, "all"))
                fail("none was chosen; nothing was changed");
}

static void agree(const struct disk *k)
{
        char answer[64];

        if (want.yes)
                return;
        puts(want.beside ? "\nWhat no partition has on this disk will be used:"
                         : "\nEverything on this disk will be lost:");
        disk_print(k);
        printf(want.fresh ? "It gets a fresh system; what runs now stays here, in memory.\n"
                          : "What runs now goes on from there, this program included.\n");
        ask_line("Type `yes` to agree: ", answer, sizeof(answer));
        if (strcmp(answer, "yes"))
                fail("not agreed; nothing was changed");
}

/* ---- what boots ---- */

/* When it fails in the middle. */
static const char *left(void)
{
        return plan.beside ? "The other systems are as they were" : "The disk is left without a system";
}

static void pwrite_all(int fd, const void *p, size_t n, uint64_t at, const char *what)
{
        const char *b = p;

        while (n) {
                ssize_t w = pwrite(fd, b, n, (off_t)at);

                if (w <= 0)
                        fail("%s cannot be written: %s. %s", what, w ? strerror(errno) : "it ends too soon", left());
                b += w;
                n -= (size_t)w;
                at += (size_t)w;
        }
}

static void flush(int fd)
{
        if (fsync(fd))
                fail("the disk does not keep what is written: %s. %s", strerror(errno), left());
}

static void files_remove(void)
{
        static const char *const names[] = {"boot.img", "core.img",   "BOOTX64.EFI", "grub.cfg",
                                            "kernel",   "rootfs.img", "options.cfg", "env"};

        if (!work[0] || strstr(work, "XXXXXX"))
                return;
        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                char path[128];

                snprintf(path, sizeof(path), "%s/%s", work, names[i]);
                unlink(path);
        }
        rmdir(work);
        work[0] = 0;
}

/* Runs a program of the system; its words go to a log that is shown when it fails. */
static void run(const char *const words[])
{
        posix_spawn_file_actions_t actions;
        char log[128], text[2048] = "";
        int status, r;
        pid_t pid;

        snprintf(log, sizeof(log), "%s/log", work);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        posix_spawn_file_actions_adddup2(&actions, 1, 2);
        r = posix_spawnp(&pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r)
                fail("%s cannot be run: %s", words[0], strerror(r));
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (status)
                read_line(log, text, sizeof(text));
        unlink(log);
        if (status)
                fail("%s failed: %s", words[0], text);
}

/* Unpacks the archive of the live system. */
static void files_unpack(void)
{
        if (access(ARCHIVE, R_OK))
                fail("this system was not started from the live CD, which has the files that a disk needs (%s)",
                     ARCHIVE);
        if (!mkdtemp(work))
                fail("%s: %s", work, strerror(errno));
        run((const char *[]){"tar", "-xf", ARCHIVE, "-C", work, NULL});
}

static void *file_read(const char *name, size_t *len)
{
        char path[128];
        struct stat st;
        void *p = NULL;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", work, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && !fstat(fd, &st) && (p = calloc(1, (size_t)st.st_size + SECTOR)) &&
            read(fd, p, (size_t)st.st_size) == st.st_size)
                *len = (size_t)st.st_size;
        else
                fail("the installation archive is damaged: no good %s in it", name);
        close(fd);
        return p;
}

/* The options that this kernel was started with go on, but for the one that makes it a live system. */
static void options_write(void)
{
        char path[128], line[1024];
        FILE *f;

        if (!read_line("/proc/cmdline", line, sizeof(line)))
                line[0] = 0;
        snprintf(path, sizeof(path), "%s/options.cfg", work);
        f = fopen(path, "w");
        if (!f)
                fail("%s: %s", path, strerror(errno));
        fputs("set options=\"", f);
        for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
                if (strcmp(word, "live") && strcmp(word, "nostore"))
                        fprintf(f, "%s ", word);
        fputs("\"\n", f);
        if (fclose(f))
                fail("%s: %s", path, strerror(errno));
}

/* A slot's file has room for what a later kernel brings. */
static void file_pad(const char *name, uint32_t size)
{
        char path[128];
        struct stat st;

        snprintf(path, sizeof(path), "%s/%s", work, name);
        if (stat(path, &st) || st.st_size > size || truncate(path, size))
                fail("the installation archive is damaged: no good %s in it", name);
}

/* Slot A is started; slot B waits for an upgrade. */
static void env_file_write(void)
{
        char path[128], text[ENV_BYTES];
        FILE *f;

        env_make(text, &(struct boot_env){'a', 0, -1});
        snprintf(path, sizeof(path), "%s/env", work);
        f = fopen(path, "w");
        if (!f || fwrite(text, sizeof(text), 1, f) != 1 || fclose(f))
                fail("%s: %s", path, strerror(errno));
}

/* The EFI system partition: by mkfs.fat and mtools, which need no mount. */
static void esp_format(const char *device)
{
        char offset[32], kib[32];

        snprintf(offset, sizeof(offset), "--offset=%lu", (unsigned long)plan.esp_first);
        snprintf(kib, sizeof(kib), "%lu", (unsigned long)plan.esp_sectors / 2);
        run((const char *[]){"mkfs.fat", "-I", "-F", "32", "-s", "1", "-n", "PHANTOM", offset, device, kib, NULL});
}

static void esp_copy(const char *image, const char *file, const char *name)
{
        char path[128], to[64];

        snprintf(path, sizeof(path), "%s/%s", work, file);
        snprintf(to, sizeof(to), "::/%s", name);
        run((const char *[]){"mcopy", "-o", "-i", image, path, to, NULL});
}

static const char *const esp_files[][2] = {{"grub.cfg", "PHANTOM/grub.cfg"},
                                           {"options.cfg", "PHANTOM/options.cfg"},
                                           {"kernel", "PHANTOM/kernel.a"},
                                           {"rootfs.img", "PHANTOM/rootfs.a"},
                                           {"kernel", "PHANTOM/kernel.b"},
                                           {"rootfs.img", "PHANTOM/rootfs.b"},
                                           {"BOOTX64.EFI", "EFI/PHANTOM/BOOTX64.EFI"},
                                           {"env", "PHANTOM/env"}};

/* mtools does not say of every write that it failed. */
static void esp_verify(const char *device)
{
        struct esp e;

        if (esp_open(&e, plan.esp_sectors ? device : plan.esp_shared, plan.esp_sectors ? plan.esp_first * SECTOR : 0,
                     false))
                fail("the boot partition cannot be read again. %s", left());
        for (unsigned i = 0; i < sizeof(esp_files) / sizeof(esp_files[0]); i++) {
                struct esp_file f;
                char path[32];
                size_t n;
                uint8_t *should = file_read(esp_files[i][0], &n), *is = malloc(n);

                snprintf(path, sizeof(path), "%s", esp_files[i][1]);
                for (char *c = path; *c; c++)
                        *c = (char)toupper((unsigned char)*c);
                if (!is || esp_find(&e, path, &f) || f.size != n || esp_read(&e, &f, 0, is, n) || memcmp(should, is, n))
                        fail("the disk did not keep /%s as it was written. %s", esp_files[i][1], left());
                free(should);
                free(is);
        }
        esp_close(&e);
}

static void esp_make(const char *device)
{
        static const char *const dirs[] = {"EFI/", "EFI/BOOT/", "EFI/PHANTOM/", "PHANTOM/"};
        bool others = false, there[4] = {false};
        char image[96], dir[32];

        if (plan.esp_sectors) {
                snprintf(image, sizeof(image), "%s@@%lu", device, (unsigned long)plan.esp_first * SECTOR);
                esp_format(device);
        } else {
                struct esp_file f;
                struct esp e;

                snprintf(image, sizeof(image), "%s", plan.esp_shared);
                if (esp_open(&e, image, 0, false))
                        fail("%s cannot be read. %s", image, left());
                others = !esp_find(&e, "EFI/BOOT/BOOTX64.EFI", &f);
                for (unsigned i = 0; i < 4; i++)
                        there[i] = !esp_find(&e, dirs[i], &f);
                esp_close(&e);
        }
        for (unsigned i = 0; i < 4; i++) {
                snprintf(dir, sizeof(dir), "::/%.*s", (int)strlen(dirs[i]) - 1, dirs[i]);
                if (!there[i])
                        run((const char *[]){"mmd", "-i", image, dir, NULL});
        }
        for (unsigned i = 0; i < sizeof(esp_files) / sizeof(esp_files[0]); i++)
                esp_copy(image, esp_files[i][0], esp_files[i][1]);
        if (!others)
                esp_copy(image, "BOOTX64.EFI", "EFI/BOOT/BOOTX64.EFI");
}

/* ---- the store ---- */

static uint64_t figure(const char *name)
{
        FILE *f = fopen(STATUS, "r");
        char line[128];
        uint64_t value = 0;

        while (f && fgets(line, sizeof(line), f))
                if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ' ')
                        value = strtoull(line + strlen(name), NULL, 10);
        if (f)
                fclose(f);
        return value;
}

/* Another process shows how far it is, once a second, while this one waits. */
static pid_t progress_start(void)
{
        pid_t pid = fork();

        if (pid)
                return pid;
        for (unsigned second = 1;; second++) {
                uint64_t n, all;

                sleep(1);
                n = figure("attach_pages");
                all = figure("attach_total");
                if (n && all)
                        printf("\r%-34s %3lu %%, %lu s left  ", "The running session", (unsigned long)(n * 100 / all),
                               (unsigned long)((all - (n < all ? n : all)) * second / n));
                fflush(stdout);
        }
}

static int control(const char *command)
{
        int fd = open(CONTROL, O_WRONLY | O_CLOEXEC), r = 0;

        if (fd < 0 || write(fd, command, strlen(command)) < 0)
                r = errno;
        if (fd >= 0)
                close(fd);
        return r;
}

static void store_write(const struct disk *k)
{
        char command[128];
        pid_t shows;
        int r;

        snprintf(command, sizeof(command), "%s %s %lu %lu", want.fresh ? "format" : "attach", k->name,
                 (unsigned long)plan.store_first, (unsigned long)plan.store_sectors);
        step(want.fresh ? "An empty store" : "The running session");
        shows = want.fresh ? 0 : progress_start();
        r = control(command);
        if (shows > 0) {
                kill(shows, SIGKILL);
                waitpid(shows, NULL, 0);
        }
        if (r == EEXIST)
                fail("this system has its store on another disk already; --fresh can put a new system on this one");
        if (r)
                fail("the store cannot be made: %s. %s; all goes on in memory as before", strerror(r), left());
        done();
}

/* ---- settings ---- */

static void config_read(const char *path)
{
        FILE *f = fopen(path, "r");
        char line[256];

        if (!f)
                fail("%s: %s", path, strerror(errno));
        for (unsigned n = 1; fgets(line, sizeof(line), f); n++) {
                char *value = strchr(line, '=');

                line[strcspn(line, "\n")] = 0;
                if (!line[0] || line[0] == '#')
                        continue;
                if (value)
                        *value++ = 0;
                if (value && !strcmp(line, "hostname"))
                        snprintf(want.hostname, sizeof(want.hostname), "%s", value);
                else if (value && !strcmp(line, "password"))
                        snprintf(want.password, sizeof(want.password), "%s", value);
                else if (value && !strcmp(line, "timezone"))
                        snprintf(want.timezone, sizeof(want.timezone), "%s", value);
                else if (value && !strcmp(line, "keyboard"))
                        snprintf(want.keyboard, sizeof(want.keyboard), "%s", value);
                else
                        fail("%s:%u: hostname=, password=, keyboard= or timezone= was expected", path, n);
        }
        fclose(f);
}

static void text_write(const char *path, const char *fmt, const char *value)
{
        FILE *f = fopen(path, "w");

        if (!f || fprintf(f, fmt, value) < 0 || fclose(f))
                fail("%s: %s", path, strerror(errno));
}

static void hostname_check(void)
{
        const char *p = want.hostname;

        for (; *p; p++)
                if (!isalnum((unsigned char)*p) && *p != '-' && *p != '.')
                        fail("`%s` is no host name: letters, digits, - and . only", want.hostname);
}

static void password_set(void)
{
        FILE *f = popen("chpasswd 2>/dev/null", "w");

        if (!f || fprintf(f, "root:%s\n", want.password) < 0 || pclose(f))
                fail("the password could not be set");
}

/* The kernel knows which there are, and keeps the choice. */
static void keyboard_set(void)
{
        int fd = open(KEYBOARD, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, want.keyboard, strlen(want.keyboard)) < 0)
                fail("`%s` is no keyboard layout: us, de, fr, ru and uk are. Nothing was changed", want.keyboard);
        close(fd);
}

/* An empty answer, or none, leaves what is. */
static void ask_setting(const char *question, bool hidden, char *to, size_t size)
{
        struct termios was, quiet;
        bool tty = hidden && !tcgetattr(0, &was);

        if (*to)
                return;
        /* Before the question: whoever sees it may answer at once. */
        if (tty) {
                quiet = was;
                quiet.c_lflag &= ~(tcflag_t)ECHO;
                tcsetattr(0, TCSAFLUSH, &quiet);
        }
        printf("%s", question);
        fflush(stdout);
        if (!fgets(to, (int)size, stdin))
                *to = 0;
        to[strcspn(to, "\n")] = 0;
        if (tty) {
                tcsetattr(0, TCSADRAIN, &was);
                puts("");
        }
}

static void settings_ask(void)
{
        if (want.yes || want.fresh)
                return;
        puts("\nSettings; Enter leaves them as they are.");
        ask_setting("Host name: ", false, want.hostname, sizeof(want.hostname));
        ask_setting("Root's password: ", true, want.password, sizeof(want.password));
        ask_setting("Keyboard (us, de, fr, ru, uk): ", false, want.keyboard, sizeof(want.keyboard));
        ask_setting("Time zone (CET-1CEST,M3.5.0,M10.5.0/3, for example): ", false, want.timezone,
                    sizeof(want.timezone));
}

/* They are made in the running system, before it goes to the disk. */
static void settings_apply(void)
{
        if (want.hostname[0]) {
                hostname_check();
                text_write("/etc/hostname", "%s\n", want.hostname);
                if (sethostname(want.hostname, strlen(want.hostname)))
                        fail("host name: %s", strerror(errno));
        }
        if (want.keyboard[0])
                keyboard_set();
        if (want.password[0])
                password_set();
        if (want.timezone[0]) {
                if (strpbrk(want.timezone, "'\\\n"))
                        fail("`%s` is no time zone", want.timezone);
                mkdir("/etc/profile.d", 0755);
                text_write("/etc/profile.d/timezone.sh", "export TZ='%s'\n", want.timezone);
        }
}

/* ---- the whole ---- */

static void boot_sectors(uint8_t *sector, uint64_t nsectors)
{
        uint32_t last = nsectors - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(nsectors - 1);
        const uint8_t entry[8] = {0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff};

        memcpy(sector + 446, entry, sizeof(entry));
        memcpy(sector + 454, &(uint32_t){1}, 4);
        memcpy(sector + 458, &last, 4);
}

/* What phantom-upgrade does, from the outside: with the kernel and the archive of this CD. */
static void upgrade(const struct disk *k)
{
        char kernel[128], archive[128];

        files_unpack();
        snprintf(kernel, sizeof(kernel), "%s/kernel", work);
        snprintf(archive, sizeof(archive), "%s/rootfs.img", work);
        step("The kernel");
        run((const char *[]){"phantom-upgrade", "--disk", k->name, "--archive", archive, kernel, NULL});
        done();
        files_remove();
        printf("\nThe Phantom on /dev/%s goes on with the new kernel: take the CD out and start from it. The kernel "
               "before "
               "is in its boot menu.\n",
               k->name);
}

static void plan_whole(const struct disk *k, uint8_t *head, uint8_t *tail)
{
        if (k->nsectors < DISK_MIN)
                fail("/dev/%s is too small: %u MiB are needed", k->name, DISK_MIN / 2048);
        plan.by_bios = true;
        plan.core_first = CORE_FIRST;
        plan.esp_first = ESP_FIRST;
        plan.esp_sectors = ESP_SECTORS;
        plan.store_first = STORE_FIRST;
        plan.store_sectors = gpt_store_sectors(k->nsectors);
        if (gpt_make(k->nsectors, head, tail))
                fail("no random numbers");
}

/* An EFI system partition of others, with room for what is ours. */
static void esp_share(const struct disk *k, const struct gpt_part *parts, int n)
{
        for (int i = 0; i < n && !plan.esp_shared[0]; i++) {
                uint64_t bytes = 0;
                struct esp e;
                char path[64];

                snprintf(path, sizeof(path), "/dev/%s%s%u", k->name,
                         isdigit((unsigned char)k->name[strlen(k->name) - 1]) ? "p" : "", parts[i].number);
                if (memcmp(parts[i].type, gpt_type_esp, 16) || esp_open(&e, path, 0, true))
                        continue;
                if (!esp_free(&e, &bytes) && bytes >= ESP_NEEDED)
                        snprintf(plan.esp_shared, sizeof(plan.esp_shared), "%s", path);
                esp_close(&e);
        }
}

/* In the largest stretch that no partition has; head and tail become the table with what is ours in it. boot: sector 0 as it is. */
static void plan_beside(const struct disk *k, const uint8_t *boot, uint8_t *head, uint8_t *tail)
{
        static struct gpt_part parts[PARTS_MAX];
        struct gpt_new add[3];
        uint64_t at = 0, room = gpt_gap(head, k->nsectors, &at), end = at + room;
        int n = gpt_read(head, k->nsectors, parts, PARTS_MAX), nadd = 0, r;

        if (n < 0)
                fail("/dev/%s has no whole partition table of the new kind (GPT), beside whose partitions one could be "
                     "put. Nothing was changed",
                     k->name);
        plan.beside = true;
        plan.by_bios = all_zero(boot, 440);
        esp_share(k, parts, n);
        if (plan.by_bios) {
                plan.core_first = at;
                at += CORE_SECTORS;
                add[nadd++] = (struct gpt_new){gpt_type_bios, "BIOS boot", plan.core_first, at - 1};
        }
        if (!plan.esp_shared[0]) {
                plan.esp_first = at;
                plan.esp_sectors = ESP_SECTORS;
                at += ESP_SECTORS;
                add[nadd++] = (struct gpt_new){gpt_type_esp, "EFI system", plan.esp_first, at - 1};
        }
        if (at + STORE_MIN > end)
                fail("/dev/%s has only %lu MiB in one piece that no partition has; %lu are needed. Nothing was changed",
                     k->name, (unsigned long)room >> 11, (unsigned long)(at + STORE_MIN - (end - room)) >> 11);
        plan.store_first = at;
        plan.store_sectors = end - at;
        add[nadd++] = (struct gpt_new){gpt_type_store, "Phantom store", at, end - 1};
        r = gpt_add(head, tail, k->nsectors, add, nadd);
        if (r)
                fail("the partition table of /dev/%s cannot take more: %s. Nothing was changed", k->name,
                     r == -EINVAL ? "its copy is not at the disk's end" : strerror(-r));
}

/* Sector 0: the loader's first part, which finds the second where it is told. Beside others the rest of the sector stays. */
static void loader_patch(const struct disk *k, uint8_t *boot, const uint8_t *was, uint8_t *core)
{
        uint64_t second = plan.core_first + 1;

        memcpy(boot + 0x5c, &plan.core_first, 8);
        memcpy(core + 0x1f4, &second, 8);
        if (plan.beside && was[510] == 0x55 && was[511] == 0xaa)
                memcpy(boot + 440, was + 440, SECTOR - 440);
        else
                boot_sectors(boot, k->nsectors);
}

static void farewell(const char *device)
{
        if (want.fresh)
                printf("\n%s has a fresh Phantom: take the CD out and start from it.\n", device);
        else
                printf("\nThis session lives on %s now. Take the CD out; pull the plug when you like: it goes on from "
                       "there.\n",
                       device);
        if (plan.beside)
                printf("UEFI starts it by \\EFI\\PHANTOM\\BOOTX64.EFI; the firmware's menu can choose that file%s.\n",
                       plan.by_bios ? "" : ". By BIOS the other system starts, as before");
}

static void install(const struct disk *k)
{
        static uint8_t nothing[TABLE_SECTORS * SECTOR], was[(1 + TABLE_SECTORS) * SECTOR], tail[TABLE_SECTORS * SECTOR];
        uint8_t *core, *boot, *head = was + SECTOR;
        uint64_t tail_at = (k->nsectors - TABLE_SECTORS) * SECTOR;
        size_t core_len, boot_len;
        char device[64];
        int fd;

        snprintf(device, sizeof(device), "/dev/%s", k->name);
        if (k->read_only)
                fail("%s is read-only", device);
        if (!want.fresh && figure("store"))
                fail("this system has its store on another disk already; --fresh can put a new system on this one");
        fd = open(device, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                fail("%s: %s", device,
                     errno == EBUSY ? "it is in use, as the disk of this system's store" : strerror(errno));
        if (pread(fd, was, sizeof(was), 0) != (ssize_t)sizeof(was))
                fail("%s cannot be read. Nothing was changed", device);
        if (want.beside)
                plan_beside(k, was, head, tail);
        else
                plan_whole(k, head, tail);
        files_unpack();
        options_write();
        env_file_write();
        file_pad("kernel", SLOT_KERNEL);
        file_pad("rootfs.img", SLOT_ARCHIVE);
        core = file_read("core.img", &core_len);
        boot = file_read("boot.img", &boot_len);
        if (boot_len != SECTOR || core_len > (ESP_FIRST - CORE_FIRST) * SECTOR)
                fail("the installation archive is damaged: GRUB's images have the wrong size");
        loader_patch(k, boot, was, core);
        if (!want.fresh)
                settings_apply();

        if (!plan.beside) {
                step("The old contents");
                pwrite_all(fd, nothing, SECTOR, 0, device);
                flush(fd);
                pwrite_all(fd, nothing, sizeof(nothing), SECTOR, device);
                pwrite_all(fd, nothing, sizeof(tail), tail_at, device);
                flush(fd);
                done();
        }
        step("What the machine starts from");
        if (plan.core_first)
                pwrite_all(fd, core, (core_len + SECTOR - 1) / SECTOR * SECTOR, plan.core_first * SECTOR, device);
        esp_make(device);
        flush(fd);
        esp_verify(device);
        done();
        files_remove();
        store_write(k);
        step("The partition table");
        pwrite_all(fd, tail, sizeof(tail), tail_at, device);
        flush(fd);
        pwrite_all(fd, head, TABLE_SECTORS * SECTOR, SECTOR, device);
        flush(fd);
        if (plan.by_bios)
                pwrite_all(fd, boot, SECTOR, 0, device);
        flush(fd);
        done();
        ioctl(fd, BLKRRPART);
        close(fd);
        free(core);
        free(boot);
        farewell(device);
}

int main(int argc, char **argv)
{
        struct disk disks[DISKS_MAX], k;
        bool list = false, phantom;
        char what[256];
        int n;

        for (int i = 1; i < argc; i++) {
                if (!strcmp(argv[i], "--yes"))
                        want.yes = true;
                else if (!strcmp(argv[i], "--erase"))
                        want.erase = true;
                else if (!strcmp(argv[i], "--beside"))
                        want.beside = true;
                else if (!strcmp(argv[i], "--upgrade"))
                        want.upgrade = true;
                else if (!strcmp(argv[i], "--fresh"))
                        want.fresh = true;
                else if (!strcmp(argv[i], "--list"))
                        list = true;
                else if (!strcmp(argv[i], "--disk") && i + 1 < argc)
                        snprintf(want.disk, sizeof(want.disk), "%s", argv[++i]);
                else if (!strcmp(argv[i], "--config") && i + 1 < argc)
                        config_read(argv[++i]);
                else
                        usage();
        }
        if (want.erase + want.beside + want.upgrade > 1)
                usage();
        if (geteuid())
                fail("only root can install");
        n = disks_find(disks);
        if (list) {
                for (int i = 0; i < n; i++)
                        disk_print(&disks[i]);
                return 0;
        }
        if (want.fresh && (want.hostname[0] || want.password[0] || want.timezone[0] || want.keyboard[0]))
                fail("settings are made in the running system, which --fresh does not take along");
        k = disk_choose(disks, n);
        phantom = contents(&k, what, sizeof(what));
        if (want.beside && phantom)
                fail("/dev/%s has a Phantom already; there can be one on a disk. Nothing was changed", k.name);
        if (want.upgrade && !phantom)
                fail("/dev/%s has no Phantom that could be upgraded", k.name);
        if (phantom && !want.upgrade)
                agree_phantom(&k);
        if (want.upgrade) {
                upgrade(&k);
                return 0;
        }
        if (!phantom)
                ask_beside(&k);
        agree(&k);
        settings_ask();
        install(&k);
        return 0;
}
