/*
 * psnap.c - time travel from the shell: what is kept, keep, look at, go back, drop. It speaks with the kernel by three files in /proc/phantom
 * (kernel/glue/snap_proc.c says what is in them) and by mount(2), type `snapshot`.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#define KEPT_MAX 1024

struct kept {
        uint64_t epoch, real_ns;
        bool pinned, mounted;
};
struct figure {
        char name[32];
        unsigned long long value;
};

static bool json;

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        fprintf(stderr, "psnap: ");
        vfprintf(stderr, fmt, ap);
        fprintf(stderr, "\n");
        va_end(ap);
        exit(1);
}

static void usage(void)
{
        fputs("usage: psnap [--json] COMMAND\n"
              "  status                 what is durable, how fast, and what it costs\n"
              "  now                    keeps what is now, until it is dropped; prints its epoch\n"
              "  list                   snapshots that are kept, oldest first\n"
              "  mount EPOCH DIR        shows the files of that instant below DIR, read-only; umount DIR ends it\n"
              "  rollback EPOCH [--yes] everything becomes as it was then, and the machine starts again from there\n"
              "  drop EPOCH             gives up a snapshot\n"
              "  scrub                  reads all that is stored, compares checksums, and writes anew what can be "
              "mended\n"
              "  policy [interval MS] [auto SECONDS]\n"
              "                         shows or sets how often the machine commits, and how often it keeps a snapshot "
              "by itself\n"
              "EPOCH is a number of `psnap list`, or `last` for the newest of them.\n",
              stderr);
        exit(2);
}

static const char *why(int error)
{
        switch (error) {
        case ENODEV:
                return "this system runs in memory alone: it has no store to keep snapshots in";
        case ENOENT:
                return "no such snapshot";
        case EBUSY:
                return "it is mounted";
        case EMFILE:
                return "too many snapshots are kept";
        case ENOSPC:
                return "the store is full";
        case EACCES:
        case EPERM:
                return "only root may do that";
        default:
                return strerror(error);
        }
}

static void command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void command(const char *fmt, ...)
{
        char text[128];
        va_list ap;
        int fd = open("/proc/phantom/control", O_WRONLY), n;

        if (fd < 0)
                fail("%s", errno == ENOENT ? "this kernel keeps no snapshots" : why(errno));
        va_start(ap, fmt);
        n = vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        if (write(fd, text, (size_t)n) != n)
                fail("%s", why(errno));
        close(fd);
}

static FILE *file(const char *name)
{
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/phantom/%s", name);
        f = fopen(path, "r");
        if (!f)
                fail("%s: %s", path, strerror(errno));
        return f;
}

static unsigned snapshots(struct kept *list)
{
        FILE *f = file("snapshots");
        char kind[16], use[16];
        unsigned long long epoch, ns;
        unsigned n = 0;

        while (n < KEPT_MAX && fscanf(f, "%llu %llu %15s %15s", &epoch, &ns, kind, use) == 4)
                list[n++] = (struct kept){epoch, ns, !strcmp(kind, "pinned"), !strcmp(use, "mounted")};
        fclose(f);
        return n;
}

static unsigned figures(struct figure *list, unsigned max)
{
        FILE *f = file("status");
        unsigned n = 0;
        long long v;

        while (n < max && fscanf(f, "%31s %lld", list[n].name, &v) == 2)
                list[n++].value = (unsigned long long)v;
        fclose(f);
        return n;
}

static unsigned long long figure(const struct figure *list, unsigned n, const char *name)
{
        for (unsigned i = 0; i < n; i++)
                if (!strcmp(list[i].name, name))
                        return list[i].value;
        return 0;
}

static uint64_t epoch_of(const char *text)
{
        static struct kept list[KEPT_MAX];
        char *end;
        uint64_t epoch;

        if (!strcmp(text, "last")) {
                unsigned n = snapshots(list);

                if (!n)
                        fail("no snapshot is kept");
                return list[n - 1].epoch;
        }
        errno = 0;
        epoch = strtoull(text, &end, 10);
        if (!isdigit((unsigned char)*text) || *end || errno || !epoch)
                fail("`%s` is not an epoch: `psnap list` shows them", text);
        return epoch;
}

static void when(uint64_t ns, char out[32])
{
        time_t t = (time_t)(ns / 1000000000);
        struct tm tm;

        localtime_r(&t, &tm);
        strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

static const char *size(double bytes, char out[32])
{
        static const char units[] = "BKMGT";
        unsigned u = 0;

        for (; bytes >= 1024 && u < 4; u++)
                bytes /= 1024;
        snprintf(out, 32, u ? "%.1f %ciB" : "%.0f %c", bytes, units[u]);
        return out;
}

static void status(void)
{
        struct figure before[64], now[64];
        unsigned nb = figures(before, 64), n;
        char text[32], text2[32];
        double rate, committed, written;

        usleep(500000);
        n = figures(now, 64);
#define F(name) figure(now, n, name)
        rate = (double)(F("commits") - figure(before, nb, "commits")) / 0.5;
        if (F("commits") < figure(before, nb, "commits")) /* the machine was off in between */
                rate = 0;
        committed = (double)F("committed_pages") * 4096;
        written = (double)F("disk_written_bytes");
        if (json) {
                printf("{");
                for (unsigned i = 0; i < n; i++)
                        printf("\"%s\": %lld, ", now[i].name, (long long)now[i].value);
                printf("\"commits_per_second\": %.1f, \"amplification\": %.3f}\n", rate,
                       committed ? written / committed : 0);
                return;
        }
        if (!F("store")) {
                printf("store       none: everything is in memory, and lost at power off\n");
        } else {
                if (F("error"))
                        printf("error       commits have stopped: %s\n", strerror(-(int)F("error")));
                printf("durable     epoch %llu of %llu\n", F("durable_epoch"), F("epoch"));
                printf("rate        %.1f commits a second now, %llu since boot\n", rate, F("commits"));
                printf("committed   %s since boot", size(committed, text));
                printf(", for which %s were written (%.2f times as much), with %llu flushes\n", size(written, text),
                       committed ? written / committed : 0, F("disk_flushes"));
                printf("store       %s, %s free, %llu snapshots kept\n", size((double)F("store_blocks") * 4096, text),
                       size((double)F("store_free") * 4096, text2), F("kept"));
        }
        printf("state       %s in use, %s of it changed since the last snapshot\n",
               size((double)F("used_pages") * 4096, text), size((double)F("dirty_pages") * 4096, text2));
        printf("used by    ");
        for (unsigned i = 0; i < n; i++)
                if (!strncmp(now[i].name, "pages_", 6))
                        printf(" %s %s%s", now[i].name + 6, size((double)now[i].value * 4096, text),
                               i + 1 < n && !strncmp(now[i + 1].name, "pages_", 6) ? "," : "\n");
        if (F("scrub_passes") || F("scrub_running"))
                printf("scrub       %s: %s read, %llu damaged pages, of which %llu were written anew\n",
                       F("scrub_running") ? "under way" : "done", size((double)F("scrub_pages") * 4096, text),
                       F("scrub_damaged"), F("scrub_mended"));
        printf("pauses      %llu; half below %.1f us, 99 of 100 below %.1f us, the longest %.1f us\n", F("pauses"),
               (double)F("pause_p50_ns") / 1000, (double)F("pause_p99_ns") / 1000, (double)F("pause_max_ns") / 1000);
#undef F
}

static void list_all(void)
{
        static struct kept list[KEPT_MAX];
        unsigned n = snapshots(list);
        char text[32];

        if (json)
                printf("[");
        else
                printf("%-12s %-20s %s\n", "EPOCH", "TIME", "KIND");
        for (unsigned i = 0; i < n; i++) {
                when(list[i].real_ns, text);
                if (json)
                        printf("%s{\"epoch\": %llu, \"time_ns\": %llu, \"pinned\": %s, \"mounted\": %s}", i ? ", " : "",
                               (unsigned long long)list[i].epoch, (unsigned long long)list[i].real_ns,
                               list[i].pinned ? "true" : "false", list[i].mounted ? "true" : "false");
                else
                        printf("%-12llu %-20s %s%s\n", (unsigned long long)list[i].epoch, text,
                               list[i].pinned ? "pinned" : "auto", list[i].mounted ? ", mounted" : "");
        }
        if (json)
                printf("]\n");
}

static void done(uint64_t epoch, const char *what)
{
        if (json)
                printf("{\"epoch\": %llu}\n", (unsigned long long)epoch);
        else
                printf(what, (unsigned long long)epoch);
}

static void now(void)
{
        command("keep");
        done(epoch_of("last"), "%llu\n");
}

/* Until the pass is over, with progress for who looks. Exit status 1: something was damaged and could not be mended. */
static void scrub(void)
{
        struct figure f[64];
        unsigned n = figures(f, 64);
        unsigned long long passes = figure(f, n, "scrub_passes"), lost;
        bool look = !json && isatty(1), running = true;
        char text[32];

        command("scrub");
        while (running) {
                usleep(200000);
                n = figures(f, 64);
                running = figure(f, n, "scrub_running") || figure(f, n, "scrub_passes") == passes;
                if (look)
                        printf("\r%s read, %llu damaged pages ", size((double)figure(f, n, "scrub_pages") * 4096, text),
                               figure(f, n, "scrub_damaged"));
                fflush(stdout);
        }
        lost = figure(f, n, "scrub_damaged") - figure(f, n, "scrub_mended");
        if (json)
                printf("{\"states\": %llu, \"pages\": %llu, \"damaged\": %llu, \"mended\": %llu}\n",
                       figure(f, n, "scrub_states") + 1, figure(f, n, "scrub_pages"), figure(f, n, "scrub_damaged"),
                       figure(f, n, "scrub_mended"));
        else
                printf("%s%s read in %llu states, %llu damaged pages, of which %llu were written anew\n",
                       look ? "\r" : "", size((double)figure(f, n, "scrub_pages") * 4096, text),
                       figure(f, n, "scrub_states") + 1, figure(f, n, "scrub_damaged"), figure(f, n, "scrub_mended"));
        if (lost)
                exit(1);
}

static void mount_at(uint64_t epoch, const char *dir)
{
        char options[64], source[64];

        snprintf(options, sizeof(options), "epoch=%llu", (unsigned long long)epoch);
        snprintf(source, sizeof(source), "epoch-%llu", (unsigned long long)epoch);
        if (mount(source, dir, "snapshot", MS_RDONLY, options)) {
                if (errno == EINVAL)
                        fail("the snapshot of epoch %llu is of another kernel, which knew another form of files",
                             (unsigned long long)epoch);
                if (errno == EIO || (errno == ENOENT && access(dir, F_OK) == 0))
                        fail("there is no snapshot of epoch %llu: `psnap list` shows what is kept",
                             (unsigned long long)epoch);
                fail("%s: %s", dir, strerror(errno));
        }
        if (json)
                printf("{\"epoch\": %llu, \"directory\": \"%s\"}\n", (unsigned long long)epoch, dir);
        else
                printf("%s shows the files of epoch %llu; `umount %s` ends it\n", dir, (unsigned long long)epoch, dir);
}

static void rollback(uint64_t epoch, bool yes)
{
        char answer[16];

        if (!yes) {
                if (!isatty(0))
                        fail("going back gives up everything since then: say --yes if that is meant");
                printf("All files and programs become as they were at epoch %llu, and the machine starts again from "
                       "there.\n"
                       "What is now can be found again only if it is kept: `psnap now` does that.\n"
                       "Go back? Type yes: ",
                       (unsigned long long)epoch);
                fflush(stdout);
                if (!fgets(answer, sizeof(answer), stdin) || strcmp(answer, "yes\n"))
                        fail("nothing was changed");
        }
        command("rollback %llu", (unsigned long long)epoch);
}

static void policy(char **arg)
{
        struct figure list[64];
        unsigned n;

        for (; *arg; arg += 2) {
                if (!arg[1] || (strcmp(*arg, "interval") && strcmp(*arg, "auto")))
                        usage();
                command("%s %s", arg[0], arg[1]);
        }
        n = figures(list, 64);
        if (json)
                printf("{\"interval_ms\": %llu, \"auto_s\": %llu}\n", figure(list, n, "interval_ms"),
                       figure(list, n, "auto_s"));
        else
                printf("interval %llu ms: at most so much is lost when the power goes (0: only what was synced is "
                       "safe)\n"
                       "auto     %llu s: a snapshot is kept so often; all for an hour, hourly ones for a day, daily "
                       "ones for a "
                       "month\n",
                       figure(list, n, "interval_ms"), figure(list, n, "auto_s"));
}

int main(int argc, char **argv)
{
        char *arg[8] = {0};
        int n = 0;
        bool yes = false;

        for (int i = 1; i < argc; i++) {
                if (!strcmp(argv[i], "--json"))
                        json = true;
                else if (!strcmp(argv[i], "--yes"))
                        yes = true;
                else if (argv[i][0] == '-' || n == 7)
                        usage();
                else
                        arg[n++] = argv[i];
        }
        if (n == 1 && !strcmp(arg[0], "status"))
                status();
        else if (n == 1 && !strcmp(arg[0], "now"))
                now();
        else if (n == 1 && !strcmp(arg[0], "list"))
                list_all();
        else if (n == 3 && !strcmp(arg[0], "mount"))
                mount_at(epoch_of(arg[1]), arg[2]);
        else if (n == 2 && !strcmp(arg[0], "rollback"))
                rollback(epoch_of(arg[1]), yes);
        else if (n == 2 && !strcmp(arg[0], "drop")) {
                uint64_t epoch = epoch_of(arg[1]);

                command("drop %llu", (unsigned long long)epoch);
                done(epoch, "epoch %llu is dropped\n");
        } else if (n == 1 && !strcmp(arg[0], "scrub"))
                scrub();
        else if (n >= 1 && !strcmp(arg[0], "policy"))
                policy(arg + 1);
        else
                usage();
        return 0;
}
