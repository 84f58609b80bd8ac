/*
 * test.h - the frame of a guest test program. Each TEST runs in a child process of its own with an alarm, so that one that dies or hangs costs only itself;
 * prints `PASS prog.name` or `FAIL prog.name why`. The same binary must pass on Linux.
 *
 *      TEST(pipe_eof) { int p[2]; CHECK(pipe(p) == 0); close(p[1]); CHECK(read(p[0], &c, 1) == 0); }
 *      TEST_MAIN
 */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct test {
        const char *name;
        void (*fn)(void);
        struct test *next;
};
extern struct test *test_first, **test_tail;

#define TEST(n)                                                                                                        \
        static void test_##n(void);                                                                                    \
        __attribute__((constructor)) static void test_add_##n(void)                                                    \
        {                                                                                                              \
                static struct test t = {#n, test_##n, 0};                                                              \
                *test_tail = &t;                                                                                       \
                test_tail = &t.next;                                                                                   \
        }                                                                                                              \
        static void test_##n(void)

/* A failed check ends the test (this process: also right in a child that a test forked, whose status the test looks at). */
#define CHECK(c)                                                                                                       \
        do {                                                                                                           \
                if (!(c))                                                                                              \
                        test_fail("%s:%d: %s (errno %d %s)", __FILE__, __LINE__, #c, errno, strerror(errno));          \
        } while (0)
#define CHECK_ERR(call, e)                                                                                             \
        do {                                                                                                           \
                errno = 0;                                                                                             \
                long r_ = (long)(call);                                                                                \
                if (r_ != -1 || errno != (e))                                                                          \
                        test_fail("%s:%d: %s gave %ld errno %d %s, not %s", __FILE__, __LINE__, #call, r_, errno,      \
                                  strerror(errno), #e);                                                                \
        } while (0)

void test_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void test_skip(const char *why) __attribute__((noreturn)); /* prints SKIP: what this machine cannot show */
int test_main(int argc, char **argv);
#define TEST_MAIN                                                                                                      \
        int main(int argc, char **argv)                                                                                \
        {                                                                                                              \
                return test_main(argc, argv);                                                                          \
        }
#ifndef TEST_SECONDS
#define TEST_SECONDS 60
#endif
