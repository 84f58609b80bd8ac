/* job.c - sessions with a terminal: foreground and background groups, keys that signal, stop and continue, hang-up. */
#include "lib/test.h"
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>

static void msleep(int ms)
{
        struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

        nanosleep(&t, 0);
}
static int master;
static char slave[64];
static void make_pty(void)
{
        int n, zero = 0;

        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        CHECK(master >= 0);
        CHECK(ioctl(master, TIOCSPTLCK, &zero) == 0);
        CHECK(ioctl(master, TIOCGPTN, &n) == 0);
        snprintf(slave, sizeof(slave), "/dev/pts/%d", n);
}
/* A child that leads a session on the pty. Its exit status is the result. */
static pid_t session(void (*fn)(int tty))
{
        pid_t pid = fork();

        if (pid == 0) {
                int tty;

                setsid();
                tty = open(slave, O_RDWR);
                if (tty < 0)
                        _exit(101);
                close(master);
                fn(tty);
                _exit(0);
        }
        return pid;
}
static int status(pid_t pid)
{
        int s;

        CHECK(waitpid(pid, &s, 0) == pid);
        return WIFEXITED(s) ? WEXITSTATUS(s) : 1000 + WTERMSIG(s);
}
static void expect_status(pid_t pid, int want)
{
        int s = status(pid);

        if (s != want)
                test_fail("status %d, not %d", s, want);
}
static void key(char c)
{
        CHECK(write(master, &c, 1) == 1);
}

static void first(int tty)
{
        pid_t pg = 0, sid = 0;
        int fd = open("/dev/tty", O_RDWR);

        if (fd < 0)
                _exit(1);
        if (tcgetpgrp(tty) != getpid() || ioctl(fd, TIOCGSID, &sid) || sid != getpid())
                _exit(2);
        if (ioctl(tty, TIOCGPGRP, &pg) || pg != getpid())
                _exit(3);
        signal(SIGHUP, SIG_IGN);
        if (ioctl(tty, TIOCNOTTY))
                _exit(4);
        if (open("/dev/tty", O_RDWR) >= 0 || errno != ENXIO)
                _exit(5);
}
TEST(controlling_terminal)
{
        make_pty();
        expect_status(session(first), 0);
}

static void wait_for_key(int tty)
{
        (void)tty;
        if (write(tty, "go", 2) != 2)
                _exit(3);
        for (;;)
                pause();
}
/* Behind echoes of keys. */
static void expect_go(void)
{
        char c = 0, last;

        do {
                last = c;
                CHECK(read(master, &c, 1) == 1);
        } while (last != 'g' || c != 'o');
}

TEST(interrupt_and_quit_keys)
{
        pid_t pid;

        make_pty();
        pid = session(wait_for_key);
        expect_go();
        key(3);
        expect_status(pid, 1000 + SIGINT);
        make_pty();
        pid = session(wait_for_key);
        expect_go();
        key(28);
        expect_status(pid, 1000 + SIGQUIT);
}

static void shell_like(int tty)
{
        pid_t job;
        int s;

        signal(SIGTTOU, SIG_IGN);
        job = fork();
        if (job == 0) {
                setpgid(0, 0);
                tcsetpgrp(tty, getpid());
                signal(SIGTTOU, SIG_DFL);
                if (write(tty, "go", 2) != 2)
                        _exit(3);
                for (;;)
                        pause();
        }
        setpgid(job, job);
        tcsetpgrp(tty, job);
        if (waitpid(job, &s, WUNTRACED) != job || !WIFSTOPPED(s) || WSTOPSIG(s) != SIGTSTP)
                _exit(10);
        tcsetpgrp(tty, getpid());
        if (waitpid(job, &s, WUNTRACED | WNOHANG) != 0)
                _exit(11);
        tcsetpgrp(tty, job);
        kill(-job, SIGCONT);
        if (waitpid(job, &s, WUNTRACED | WCONTINUED) != job || !WIFCONTINUED(s))
                _exit(12);
        if (write(tty, "go", 2) != 2)
                _exit(13);
        if (waitpid(job, &s, 0) != job || !WIFSIGNALED(s) || WTERMSIG(s) != SIGINT)
                _exit(14);
}

TEST(stop_continue_interrupt_job)
{
        pid_t pid;

        make_pty();
        pid = session(shell_like);
        expect_go();
        key(26);
        expect_go();
        key(3);
        expect_status(pid, 0);
}

static void background(int tty)
{
        struct termios t;
        pid_t job;
        int s;
        char c;

        job = fork();
        if (job == 0) {
                setpgid(0, 0);
                if (read(tty, &c, 1) >= 0) /* SIGTTIN stops us */
                        _exit(0);
                _exit(1);
        }
        setpgid(job, job);
        if (waitpid(job, &s, WUNTRACED) != job || !WIFSTOPPED(s) || WSTOPSIG(s) != SIGTTIN)
                _exit(20);
        kill(job, SIGKILL);
        waitpid(job, &s, 0);
        job = fork();
        if (job == 0) {
                setpgid(0, 0);
                signal(SIGTTIN, SIG_IGN);
                _exit(read(tty, &c, 1) == -1 && errno == EIO ? 7 : 8);
        }
        setpgid(job, job);
        if (waitpid(job, &s, WUNTRACED) != job || !WIFEXITED(s) || WEXITSTATUS(s) != 7)
                _exit(21);
        tcgetattr(tty, &t);
        t.c_lflag |= TOSTOP;
        tcsetattr(tty, TCSANOW, &t);
        job = fork();
        if (job == 0) {
                setpgid(0, 0);
                if (write(tty, "x", 1) < 0)
                        _exit(1);
                _exit(0);
        }
        setpgid(job, job);
        if (waitpid(job, &s, WUNTRACED) != job || !WIFSTOPPED(s) || WSTOPSIG(s) != SIGTTOU)
                _exit(22);
        kill(job, SIGKILL);
        waitpid(job, &s, 0);
}

TEST(background_reads_and_writes_stop)
{
        make_pty();
        expect_status(session(background), 0);
}

static volatile int hup, cont;
static void on_hup(int n)
{
        if (n == SIGHUP)
                hup++;
        else
                cont++;
}
static int report_fd;
static void leader_with_job(int tty)
{
        pid_t job;
        int p[2];
        char c;

        if (pipe(p))
                _exit(1);
        signal(SIGTTOU, SIG_IGN); /* whoever of the two is first to move the foreground, from the background */
        job = fork();
        if (job == 0) {
                signal(SIGTTOU, SIG_IGN); /* it may come first, and is in the background then */
                setpgid(0, 0);
                tcsetpgrp(tty, getpid());
                signal(SIGHUP, on_hup);
                signal(SIGCONT, on_hup);
                if (write(p[1], "r", 1) != 1)
                        _exit(1);
                for (int i = 0; i < 1000 && !hup; i++)
                        msleep(5);
                c = (char)('0' + hup);
                if (write(report_fd, &c, 1) != 1)
                        _exit(2);
                _exit(0);
        }
        setpgid(job, job);
        tcsetpgrp(tty, job);
        if (read(p[0], &c, 1) != 1)
                _exit(3);
        _exit(0); /* the leader ends: the foreground group is told */
}

TEST(leader_exit_hangs_up)
{
        int p[2];
        char c;

        CHECK(pipe(p) == 0);
        report_fd = p[1];
        make_pty();
        expect_status(session(leader_with_job), 0);
        CHECK(read(p[0], &c, 1) == 1 && c == '1');
}

static void wait_hup(int tty)
{
        char c;

        signal(SIGHUP, on_hup);
        if (write(tty, "go", 2) != 2)
                _exit(1);
        while (!hup)
                msleep(5);
        _exit(read(tty, &c, 1) == 0 && write(tty, "x", 1) == -1 && errno == EIO ? 4 : 5);
}

TEST(master_close_hangs_up)
{
        pid_t pid;

        make_pty();
        pid = session(wait_hup);
        expect_go();
        close(master);
        expect_status(pid, 4);
}

static void winch(int tty)
{
        signal(SIGWINCH, on_hup);
        if (write(tty, "go", 2) != 2)
                _exit(1);
        while (!cont)
                msleep(5);
        struct winsize w;
        _exit(ioctl(tty, TIOCGWINSZ, &w) == 0 && w.ws_row == 33 && w.ws_col == 99 ? 6 : 7);
}

TEST(window_size_signal)
{
        struct winsize w = {33, 99, 0, 0};
        pid_t pid;

        make_pty();
        pid = session(winch);
        expect_go();
        CHECK(ioctl(master, TIOCSWINSZ, &w) == 0);
        expect_status(pid, 6);
}

static void pgrp_rules(int tty)
{
        if (tcsetpgrp(tty, 999999) != -1 || errno != ESRCH)
                _exit(1);
        if (tcsetpgrp(tty, 1) != -1 || errno != EPERM)
                _exit(2);
        if (tcsetpgrp(tty, -1) != -1 || errno != EINVAL)
                _exit(3);
        int fd = open("/dev/null", O_RDWR);
        if (tcgetpgrp(fd) != -1 || errno != ENOTTY)
                _exit(4);
}

TEST(foreground_rules)
{
        make_pty();
        expect_status(session(pgrp_rules), 0);
}

TEST_MAIN
