/*
 * tty.c - terminals: a pty in canonical mode, an editor on a screen, and sessions with jobs that are stopped and go on.
 */
#include "tests/survive/survive.h"
#include <sys/ioctl.h>
#include <termios.h>

/* A pty; in the child, a session on its slave. Returns the pid; the master in *master. */
static pid_t session(int *master, int echo)
{
        struct winsize size = {.ws_row = 24, .ws_col = 80};
        struct termios t;
        pid_t pid;
        int slave;

        *master = posix_openpt(O_RDWR | O_NOCTTY);
        MUST(*master >= 0 && grantpt(*master) == 0 && unlockpt(*master) == 0);
        pid = fork();
        MUST(pid >= 0);
        if (pid)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        MUST(setsid() > 0);
        slave = open(ptsname(*master), O_RDWR);
        MUST(slave >= 0 && ioctl(slave, TIOCSCTTY, 0) == 0 && ioctl(slave, TIOCSWINSZ, &size) == 0);
        MUST(tcgetattr(slave, &t) == 0);
        if (!echo)
                t.c_lflag &= ~(tcflag_t)ECHO;
        MUST(tcsetattr(slave, TCSANOW, &t) == 0);
        for (int i = 0; i < 3; i++)
                MUST(dup2(slave, i) == i);
        close(slave);
        close(*master);
        return 0;
}

/* Reads up to the end of a line, which is \r\n behind a pty. */
static void expect_line(int fd, const char *want)
{
        char got[128];
        size_t len = 0;

        do {
                MUST(len < sizeof(got) - 1);
                survive_read(fd, got + len, 1);
        } while (got[len++] != '\n');
        got[len] = 0;
        if (len < 2 || got[len - 2] != '\r' || strncmp(got, want, len - 2) != 0 || strlen(want) != len - 2)
                survive_fail("the terminal said \"%s\", not \"%s\"", got, want);
}

static void lines(volatile uint64_t *good)
{
        char line[64];
        int master;

        if (session(&master, 1) == 0) {
                MUST(write(1, "ready\n", 6) == 6);
                for (;;) {
                        ssize_t n = read(0, line, sizeof(line) - 1);

                        MUST(n > 0 && line[n - 1] == '\n');
                        survive_nap(3);
                        MUST(write(1, "got ", 4) == 4 && write(1, line, (size_t)n) == n);
                }
        }
        expect_line(master, "ready");
        for (uint64_t n = 0;; n++) {
                char want[80];
                int len = snprintf(line, sizeof(line), "line %lu", n);

                /* Typed in two halves, with a wrong letter that is erased: half a line waits in the terminal meanwhile. */
                survive_write(master, line, 3);
                survive_nap(4);
                survive_write(master, "x\177", 2);
                survive_write(master, line + 3, (size_t)len - 3);
                survive_write(master, "\n", 1);
                snprintf(want, sizeof(want), "%.3sx\b \b%s", line, line + 3);
                expect_line(master, want);
                snprintf(want, sizeof(want), "got %s", line);
                expect_line(master, want);
                *good = n + 1;
        }
}

static uint64_t number_in(const char *path)
{
        char text[64] = "";
        int fd = open(path, O_RDONLY);
        ssize_t n;

        if (fd < 0)
                return 0;
        n = read(fd, text, sizeof(text) - 1);
        MUST(n >= 0 && close(fd) == 0);
        return strtoul(text, NULL, 10);
}

/* Reads what vi draws until its status line says `mode` ("I" inserting, "-" not). So no key comes before the one in front of it was understood, however slow the machine is. */
static void until_mode(int master, char mode, const char *path)
{
        char want[64], seen[64] = "";
        size_t n = (size_t)snprintf(want, sizeof(want), "%c %s", mode, path), len = 0;

        while (len < n || memcmp(seen + len - n, want, n) != 0) {
                if (len == n)
                        memmove(seen, seen + 1, --len);
                survive_read(master, seen + len++, 1);
        }
}

/* vi, with a text that it has not saved; each round changes the text, then saves. */
static void editor(volatile uint64_t *good)
{
        static char screen[65536];
        const char *path = "/tmp/survive-vi";
        char keys[80];
        int master;

        unlink(path);
        if (session(&master, 1) == 0) {
                setenv("TERM", "linux", 1);
                execlp("vi", "vi", path, (char *)NULL);
                survive_fail("cannot start vi: errno %d", errno);
        }
        do
                survive_read(master, screen, 1);
        while (screen[0] != '~'); /* it has drawn its empty screen, and reads keys as they come */
        for (uint64_t n = 1;; n++) {
                survive_write(master, "ggdGi", 5);
                until_mode(master, 'I', path);
                for (int i = 0, len = snprintf(keys, sizeof(keys), "%lu", n); i < len; i++) {
                        survive_write(master, &keys[i], 1);
                        survive_nap(10);
                }
                survive_write(master, "\033", 1); /* Escape alone is a key only when nothing follows */
                until_mode(master, '-', path);
                SAME(number_in(path), n - 1);
                survive_write(master, ":w\n", 3);
                MUST(fcntl(master, F_SETFL, O_NONBLOCK) == 0);
                while (number_in(path) != n) {
                        MUST(number_in(path) == n - 1 || number_in(path) == 0 || number_in(path) == n);
                        while (read(master, screen, sizeof(screen)) > 0)
                                ;
                        survive_nap(10);
                }
                MUST(fcntl(master, F_SETFL, 0) == 0);
                *good = n;
        }
}

/* The leader of a session that starts jobs, as a shell does. Prints what becomes of them. */
static void shell(void)
{
        int status;

        signal(SIGTTOU, SIG_IGN);
        for (uint64_t n = 0;; n++) {
                pid_t job = fork();

                MUST(job >= 0);
                if (job == 0) {
                        signal(SIGTTOU, SIG_DFL);
                        setpgid(0, 0);
                        while (tcgetpgrp(0) != getpgrp())
                                sched_yield();
                        printf("job\n");
                        fflush(stdout);
                        for (;;)
                                pause();
                }
                setpgid(job, job);
                MUST(tcsetpgrp(0, job) == 0);
                MUST(waitpid(job, &status, WUNTRACED) == job);
                MUST(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
                MUST(tcsetpgrp(0, getpgrp()) == 0);
                printf("stopped\n");
                fflush(stdout);
                survive_nap(20);
                SAME(waitpid(job, &status, WNOHANG | WUNTRACED), 0); /* it stays stopped, and is told of once */
                MUST(tcsetpgrp(0, job) == 0 && kill(-job, SIGCONT) == 0);
                MUST(waitpid(job, &status, WCONTINUED) == job && WIFCONTINUED(status));
                printf("continued\n");
                fflush(stdout);
                MUST(waitpid(job, &status, WUNTRACED) == job);
                MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
                MUST(tcsetpgrp(0, getpgrp()) == 0);
                printf("ended %lu\n", n);
                fflush(stdout);
        }
}

static void jobs(volatile uint64_t *good)
{
        char line[64];
        int master;

        if (session(&master, 0) == 0)
                shell();
        for (uint64_t n = 0;; n++) {
                expect_line(master, "job");
                survive_nap(5);
                survive_write(master, "\032", 1);
                expect_line(master, "stopped");
                expect_line(master, "continued");
                survive_nap(5);
                survive_write(master, "\003", 1);
                snprintf(line, sizeof(line), "ended %lu", n);
                expect_line(master, line);
                *good = n + 1;
        }
}

int main(void)
{
        survive_begin("tty");
        survive_part(lines);
        survive_part(editor);
        survive_part(jobs);
        survive_watch();
}
