/*
 * survive.h - the frame of a program whose state must survive a power cut.
 *
 * A program has parts, processes that set up state and then check it for ever; each check that held raises the part's counter. The program itself watches: it writes the smallest counter
 * to /s/NAME, `NAME alive N`. What must not be is written there, and to the console, as `NAME FAILED why`, and stays. So one look at /s tells from outside whether all went on, and two
 * looks whether all still go on. No part judges wall time: `late` is for what would never come.
 */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SURVIVE_PARTS    16
#define SURVIVE_LINE     64  /* bytes of the line at the beginning of /s/NAME; a failure follows it */
#define SURVIVE_COUNTERS 100 /* descriptors that outlive an exec: the counters, */
#define SURVIVE_FILE     101 /* and /s/NAME */

static const char *survive_name;
static volatile uint64_t *survive_count; /* one for each part, shared */
static unsigned survive_nparts;

__attribute__((format(printf, 1, 2), noreturn, unused)) static void survive_fail(const char *fmt, ...)
{
        char text[400];
        int n = snprintf(text, sizeof(text), "%s FAILED pid %d: ", survive_name, (int)getpid()), console;
        va_list ap;

        va_start(ap, fmt);
        n += vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
        va_end(ap);
        n = n < (int)sizeof(text) - 1 ? n : (int)sizeof(text) - 2;
        text[n++] = '\n';
        console = open("/dev/console", O_WRONLY | O_NOCTTY);
        if (pwrite(SURVIVE_FILE, text, (size_t)n, SURVIVE_LINE) < 0 || write(console, text, (size_t)n) < 0)
                _exit(3);
        _exit(1);
}

#define MUST(c)                                                                                                        \
        do {                                                                                                           \
                if (!(c))                                                                                              \
                        survive_fail("%s:%d: %s (errno %d)", __FILE__, __LINE__, #c, errno);                           \
        } while (0)
/* Two numbers that must be equal, shown if they are not. */
#define SAME(a, b)                                                                                                     \
        do {                                                                                                           \
                long a_ = (long)(a), b_ = (long)(b);                                                                   \
                if (a_ != b_)                                                                                          \
                        survive_fail("%s:%d: %s is %ld, %s is %ld (errno %d)", __FILE__, __LINE__, #a, a_, #b, b_,     \
                                     errno);                                                                           \
        } while (0)

/* Counters and file that descriptors name: at the beginning, and again behind an exec. */
__attribute__((unused)) static void survive_join(const char *name)
{
        survive_name = name;
        survive_count =
                mmap(NULL, SURVIVE_PARTS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, SURVIVE_COUNTERS, 0);
        MUST(survive_count != MAP_FAILED);
}

__attribute__((unused)) static void survive_begin(const char *name)
{
        char path[64];
        int fd;

        survive_name = name;
        snprintf(path, sizeof(path), "/s/%s", name);
        mkdir("/s", 0755);
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
        if (fd < 0 || dup2(fd, SURVIVE_FILE) < 0 || close(fd))
                exit(2);
        fd = memfd_create(name, 0);
        MUST(fd >= 0 && ftruncate(fd, SURVIVE_PARTS * sizeof(uint64_t)) == 0);
        MUST(dup2(fd, SURVIVE_COUNTERS) >= 0 && close(fd) == 0);
        survive_join(name);
}

/* One more part: a process that runs fn. */
__attribute__((unused)) static void survive_part(void (*fn)(volatile uint64_t *good))
{
        volatile uint64_t *good = &survive_count[survive_nparts++];
        pid_t pid = fork();

        MUST(pid >= 0 && survive_nparts <= SURVIVE_PARTS);
        if (pid)
                return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fn(good);
        survive_fail("part %u came to an end", survive_nparts);
}

__attribute__((unused)) static void survive_nap(unsigned ms)
{
        struct timespec t = {ms / 1000, ms % 1000 * 1000000};

        SAME(nanosleep(&t, NULL), 0); /* nobody has signals here that could end it */
}

__attribute__((unused)) static uint64_t survive_now(void)
{
        struct timespec t;

        MUST(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The n-th of a sequence of numbers that look random. */
__attribute__((unused)) static uint64_t survive_mix(uint64_t n)
{
        n = (n ^ n >> 31) * 0x9e3779b97f4a7c15;
        n = (n ^ n >> 29) * 0xbf58476d1ce4e5b9;
        return n ^ n >> 32;
}

__attribute__((unused)) static void survive_read(int fd, void *buf, size_t len)
{
        for (size_t at = 0; at < len;) {
                ssize_t n = read(fd, (char *)buf + at, len - at);

                MUST(n > 0);
                at += (size_t)n;
        }
}

__attribute__((unused)) static void survive_write(int fd, const void *buf, size_t len)
{
        for (size_t at = 0; at < len;) {
                ssize_t n = write(fd, (const char *)buf + at, len - at);

                MUST(n > 0);
                at += (size_t)n;
        }
}

/* Watches over the parts for ever. */
__attribute__((noreturn, unused)) static void survive_watch(void)
{
        for (;;) {
                uint64_t least = ~0ul;
                char line[SURVIVE_LINE + 1];
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG);

                if (pid > 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 1))
                        survive_fail("part %d ended with status %#x", (int)pid, (unsigned)status);
                for (unsigned i = 0; i < survive_nparts; i++)
                        least = survive_count[i] < least ? survive_count[i] : least;
                snprintf(line, sizeof(line), "%-12s alive %-44lu\n", survive_name, (unsigned long)least);
                MUST(pwrite(SURVIVE_FILE, line, SURVIVE_LINE, 0) == SURVIVE_LINE);
                survive_nap(30);
        }
}
