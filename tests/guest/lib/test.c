/*
 * test.c - runs the tests of one program. `prog NAME...` runs only those; `prog -l` lists them. Exit status 1 if any failed.
 * The child writes why it failed into a pipe, which is kept out of the way at a high descriptor.
 */
#include "tests/guest/lib/test.h"
#include <fcntl.h>
#include <stdarg.h>

struct test *test_first, **test_tail = &test_first;
static int report = -1;

void test_fail(const char *fmt, ...)
{
        char text[512];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        if (write(report, text, strlen(text)) < 0)
                _exit(3);
        _exit(1);
}

void test_skip(const char *why)
{
        if (write(report, why, strlen(why)) < 0)
                _exit(3);
        _exit(2);
}

static int run(const char *prog, struct test *t)
{
        char why[600] = "";
        size_t len = 0;
        int p[2], status;
        pid_t pid;

        fflush(stdout);
        if (pipe(p)) {
                printf("FAIL %s.%s pipe: %s\n", prog, t->name, strerror(errno));
                return 1;
        }
        pid = fork();
        if (pid == 0) {
                report = fcntl(p[1], F_DUPFD_CLOEXEC, 200);
                close(p[0]);
                close(p[1]);
                setpgid(0, 0);
                alarm(TEST_SECONDS);
                t->fn();
                _exit(0);
        }
        close(p[1]);
        while (len < sizeof(why) - 1) {
                ssize_t n = read(p[0], why + len, sizeof(why) - 1 - len);

                if (n <= 0)
                        break;
                len += (size_t)n;
        }
        close(p[0]);
        waitpid(pid, &status, 0);
        kill(-pid, SIGKILL);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                printf("PASS %s.%s\n", prog, t->name);
                return 0;
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
                printf("SKIP %s.%s %s\n", prog, t->name, why);
                return 0;
        }
        if (WIFSIGNALED(status))
                printf("FAIL %s.%s killed by signal %d%s %s\n", prog, t->name, WTERMSIG(status),
                       WTERMSIG(status) == SIGALRM ? " (hang)" : "", why);
        else
                printf("FAIL %s.%s %s\n", prog, t->name, why);
        return 1;
}

int test_main(int argc, char **argv)
{
        const char *prog = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
        int failed = 0;

        for (struct test *t = test_first; t; t = t->next) {
                int wanted = argc < 2;

                if (argc == 2 && !strcmp(argv[1], "-l")) {
                        puts(t->name);
                        continue;
                }
                for (int i = 1; i < argc; i++)
                        wanted |= !strcmp(argv[i], t->name);
                if (wanted)
                        failed |= run(prog, t);
        }
        fflush(stdout);
        return failed;
}
