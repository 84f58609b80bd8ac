/* tty.c - terminals, by pseudo terminals: line discipline, job control, ioctls. */
#include "lib/test.h"
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>

static void nap(int ms)
{
        struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

        nanosleep(&ts, NULL);
}
static double now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}
static volatile int got;
static void on_signal(int s)
{
        got = s;
}
static void handle(int s, int flags)
{
        struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

        sigaction(s, &sa, NULL);
}

static int master, slave;
static struct termios tio;

static void make(void)
{
        CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
        CHECK(tcgetattr(slave, &tio) == 0);
        CHECK(fcntl(master, F_SETFL, O_NONBLOCK) == 0);
}
static void type(const char *s)
{
        CHECK(write(master, s, strlen(s)) == (ssize_t)strlen(s));
        nap(3); /* Linux hands it to the line discipline a little later */
}
static void set(void)
{
        CHECK(tcsetattr(slave, TCSANOW, &tio) == 0);
}
/* What the master sees now. */
static const char *shown(void)
{
        static char buf[4096];
        ssize_t n, at = 0;

        nap(2);
        while ((n = read(master, buf + at, sizeof(buf) - 1 - (size_t)at)) > 0)
                at += n;
        buf[at] = 0;
        return buf;
}
static const char *line(void)
{
        static char buf[4096];
        ssize_t n;

        CHECK(fcntl(slave, F_SETFL, O_NONBLOCK) == 0);
        n = read(slave, buf, sizeof(buf) - 1);
        if (n < 0)
                return errno == EAGAIN ? "<none>" : "<error>";
        buf[n] = 0;
        return buf;
}
#define IS(a, b)                                                                                                       \
        do {                                                                                                           \
                const char *a_ = (a);                                                                                  \
                if (strcmp(a_, b))                                                                                     \
                        test_fail("%s:%d: %s is \"%s\" not \"%s\"", __FILE__, __LINE__, #a, a_, b);                    \
        } while (0)

TEST(canonical)
{
        make();
        type("hello");
        IS(line(), "<none>");
        type("\r");
        IS(shown(), "hello\r\n");
        IS(line(), "hello\n");
        type("a\nb\n");
        IS(line(), "a\n");
        IS(line(), "b\n");
        type("end\x04");
        IS(line(), "end");
        type("\x04");
        IS(line(), "");
        IS(line(), "<none>");
        int n;
        type("abc\ndef");
        CHECK(ioctl(slave, FIONREAD, &n) == 0 && n == 4);
}

TEST(partial_line)
{
        char b[10] = {0};

        make();
        type("abcdef\n");
        CHECK(read(slave, b, 3) == 3 && !strcmp(b, "abc"));
        CHECK(read(slave, b, 9) == 4 && !strcmp(b, "def\n"));
        type("xyz\x04");
        CHECK(read(slave, b, 3) == 3);
        IS(line(), "<none>");
}

TEST(erase)
{
        make();
        type("abx\x7f"
             "c\r");
        IS(shown(), "abx\b \bc\r\n");
        IS(line(), "abc\n");
        type("one two\x17three\r");
        IS(shown(), "one two\b \b\b \b\b \bthree\r\n");
        IS(line(), "one three\n");
        type("gone\x15kept\r");
        IS(shown(), "gone\b \b\b \b\b \b\b \bkept\r\n");
        IS(line(), "kept\n");
        type("\x7f\x7fz\r");
        IS(shown(), "z\r\n");
        IS(line(), "z\n");
        /* a tab goes back to where it began */
        type("ab\t\x7f\x7fQ\r");
        IS(shown(), "ab\t\b\b\b\b\b\b\b \bQ\r\n");
        IS(line(), "aQ\n");
        type("\x01\x7fx\r");
        IS(shown(), "^A\b \b\b \bx\r\n");
        IS(line(), "x\n");
}

TEST(erase_utf8)
{
        make();
        tio.c_iflag |= IUTF8;
        set();
        type("a\xc3\xa9\x7f"
             "b\r");
        IS(shown(), "a\xc3\xa9\b \bb\r\n");
        IS(line(), "ab\n");
}

TEST(kill_echo)
{
        make();
        tio.c_lflag &= ~(tcflag_t)ECHOKE;
        set();
        type("gone\x15k\r");
        IS(shown(), "gone^U\r\nk\r\n");
        IS(line(), "k\n");
        tio.c_lflag &= ~(tcflag_t)ECHOE;
        set();
        type("ab\x7f"
             "c\r");
        IS(shown(), "ab^?c\r\n");
        IS(line(), "ac\n");
}

TEST(echoprt)
{
        make();
        tio.c_lflag |= ECHOPRT;
        set();
        type("abc\x7f\x7fX\r");
        IS(shown(), "abc\\cb/X\r\n");
        IS(line(), "aX\n");
}

TEST(no_echo)
{
        make();
        tio.c_lflag &= ~(tcflag_t)ECHO;
        set();
        type("secret\r");
        IS(shown(), "");
        IS(line(), "secret\n");
        tio.c_lflag |= ECHONL;
        set();
        type("s\r");
        IS(shown(), "\r\n");
        IS(line(), "s\n");
}

TEST(lnext_and_reprint)
{
        make();
        type("a\x16\x03"
             "b\r");
        IS(shown(), "a^\b^Cb\r\n");
        IS(line(), "a\003b\n");
        type("xy\x12z\r");
        IS(shown(), "xy^R\r\nxyz\r\n");
        IS(line(), "xyz\n");
}

TEST(eol_chars)
{
        make();
        tio.c_cc[VEOL] = ';';
        tio.c_cc[VEOL2] = '!';
        set();
        type("a;b!c\r");
        IS(line(), "a;");
        IS(line(), "b!");
        IS(line(), "c\n");
}

TEST(input_mapping)
{
        make();
        tio.c_iflag = INLCR;
        set();
        tio.c_cc[VEOL] = '\r';
        set();
        type("a\n");
        IS(line(), "a\r");
        tio.c_iflag = IGNCR;
        set();
        type("a\rb\n");
        IS(line(), "ab\n");
        tio.c_iflag = ICRNL | ISTRIP;
        set();
        type("\xe1\r");
        IS(line(), "a\n");
}

TEST(output_mapping)
{
        make();
        CHECK(write(slave, "a\nb", 3) == 3);
        IS(shown(), "a\r\nb");
        CHECK(write(slave, "\r", 1) == 1);
        shown();
        tio.c_oflag |= TAB3;
        set();
        CHECK(write(slave, "ab\tc", 4) == 4);
        IS(shown(), "ab      c");
        tio.c_oflag = OPOST | OCRNL;
        set();
        CHECK(write(slave, "x\ry", 3) == 3);
        IS(shown(), "x\ny");
        tio.c_oflag = OPOST | OLCUC;
        set();
        CHECK(write(slave, "low", 3) == 3);
        IS(shown(), "LOW");
        tio.c_oflag = OPOST | ONLCR | ONOCR;
        set();
        CHECK(write(slave, "\n\rq\r", 4) == 4);
        IS(shown(), "\r\nq\r");
        tio.c_oflag = ONLCR;
        set();
        CHECK(write(slave, "raw\n", 4) == 4);
        IS(shown(), "raw\n");
}

static void raw(int min, int time)
{
        cfmakeraw(&tio);
        tio.c_cc[VMIN] = (cc_t)min;
        tio.c_cc[VTIME] = (cc_t)time;
        set();
}

TEST(min_time)
{
        char b[20];
        double t;

        make();
        raw(0, 0);
        CHECK(read(slave, b, 10) == 0);
        type("abc");
        CHECK(read(slave, b, 10) == 3);
        raw(0, 2);
        t = now();
        CHECK(read(slave, b, 10) == 0 && now() - t >= 0.19 && now() - t < 2);
        type("x");
        CHECK(read(slave, b, 10) == 1);
        raw(3, 0);
        struct pollfd f = {slave, POLLIN, 0};
        type("ab");
        CHECK(poll(&f, 1, 0) == 0);
        if (fork() == 0) {
                nap(50);
                type("cd");
                _exit(0);
        }
        CHECK(read(slave, b, 10) == 4);
        raw(5, 1);
        type("xy");
        t = now();
        CHECK(read(slave, b, 10) == 2 && now() - t >= 0.09 && now() - t < 2);
        raw(2, 0);
        type("123456");
        CHECK(read(slave, b, 1) == 1 && read(slave, b, 20) == 5);
        wait(NULL);
}

TEST(signals)
{
        int st;

        make();
        pid_t pid = fork();
        if (pid == 0) {
                close(master);
                setsid();
                CHECK(ioctl(slave, TIOCSCTTY, 0) == 0);
                handle(SIGINT, 0);
                handle(SIGQUIT, 0);
                handle(SIGWINCH, 0);
                CHECK(write(slave, "R", 1) == 1);
                for (int want = 0; want < 3; want++) {
                        static const int sig[3] = {SIGINT, SIGQUIT, SIGWINCH};
                        while (!got)
                                nap(5);
                        CHECK(got == sig[want]);
                        got = 0;
                        CHECK(write(slave, "K", 1) == 1);
                }
                signal(SIGINT, SIG_DFL);
                CHECK(write(slave, "D", 1) == 1);
                for (;;)
                        pause();
        }
        struct pollfd f = {master, POLLIN, 0};
        poll(&f, 1, 5000);
        IS(shown(), "R");
        type("abc\x03");
        poll(&f, 1, 5000);
        nap(50);
        IS(shown(), "^CK");
        type("\x1c");
        nap(50);
        IS(shown(), "^\\K");
        struct winsize ws = {30, 90, 0, 0}, got_ws;
        CHECK(ioctl(master, TIOCSWINSZ, &ws) == 0);
        CHECK(ioctl(slave, TIOCGWINSZ, &got_ws) == 0 && got_ws.ws_row == 30 && got_ws.ws_col == 90);
        nap(50);
        IS(shown(), "KD");
        type("\x03");
        CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == SIGINT);
}

TEST(flush_by_signal)
{
        make();
        signal(SIGINT, SIG_IGN);
        type("typed\x03"
             "after\r");
        IS(line(), "after\n");
        tio.c_lflag |= NOFLSH;
        set();
        type("typed\x03"
             "after\r");
        IS(line(), "typedafter\n");
}

TEST(flow_control)
{
        make();
        CHECK(fcntl(slave, F_SETFL, O_NONBLOCK) == 0);
        type("\x13");
        nap(5);
        CHECK_ERR(write(slave, "x", 1), EAGAIN);
        type("\x11");
        nap(5);
        CHECK(write(slave, "x", 1) == 1);
        IS(shown(), "x");
        CHECK(tcflow(slave, TCOOFF) == 0);
        CHECK_ERR(write(slave, "x", 1), EAGAIN);
        CHECK(tcflow(slave, TCOON) == 0);
        CHECK(write(slave, "y", 1) == 1);
        IS(shown(), "y");
}

TEST(job_control)
{
        int st;

        make();
        pid_t leader = fork();
        if (leader == 0) {
                char c;
                setsid();
                CHECK(ioctl(slave, TIOCSCTTY, 0) == 0);
                CHECK(tcgetpgrp(slave) == getpid() && tcgetsid(slave) == getpid());
                signal(SIGTTOU, SIG_IGN);
                pid_t kid = fork();
                if (kid == 0) {
                        setpgid(0, 0);
                        signal(SIGTTOU, SIG_DFL);
                        /* a background group that reads is stopped */
                        _exit(read(slave, &c, 1) != 1);
                }
                setpgid(kid, kid);
                CHECK(waitpid(kid, &st, WUNTRACED) == kid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTIN);
                CHECK(tcsetpgrp(slave, kid) == 0 && tcgetpgrp(slave) == kid);
                CHECK(kill(-kid, SIGCONT) == 0);
                CHECK(waitpid(kid, &st, 0) == kid && st == 0);
                CHECK(tcsetpgrp(slave, getpid()) == 0);
                CHECK_ERR(tcsetpgrp(slave, 1), EPERM);
                CHECK_ERR(tcsetpgrp(slave, 999999), ESRCH);
                CHECK_ERR(tcsetpgrp(slave, -5), EINVAL);
                /* TOSTOP, and setting the terminal, stop a background group */
                tio.c_lflag |= TOSTOP;
                set();
                kid = fork();
                if (kid == 0) {
                        setpgid(0, 0);
                        signal(SIGTTOU, SIG_DFL);
                        _exit(write(slave, "bg", 2) != 2);
                }
                setpgid(kid, kid);
                CHECK(waitpid(kid, &st, WUNTRACED) == kid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTOU);
                kill(-kid, SIGKILL);
                CHECK(waitpid(kid, &st, 0) == kid);
                kid = fork();
                if (kid == 0) {
                        setpgid(0, 0);
                        signal(SIGTTIN, SIG_IGN);
                        CHECK_ERR(read(slave, &c, 1), EIO);
                        CHECK(write(slave, "ok", 2) == 2); /* SIGTTOU is ignored: it may */
                        _exit(0);
                }
                setpgid(kid, kid);
                CHECK(waitpid(kid, &st, WUNTRACED) == kid && st == 0);
                _exit(0);
        }
        nap(150);
        type("j\r");
        CHECK(waitpid(leader, &st, 0) == leader && st == 0);
}

TEST(orphaned_group)
{
        int st, p[2], alive[2], hold[2];

        make();
        CHECK(pipe(p) == 0 && pipe(hold) == 0);
        pid_t leader = fork();
        if (leader == 0) {
                setsid();
                CHECK(ioctl(slave, TIOCSCTTY, 0) == 0 && pipe(alive) == 0);
                pid_t mid = fork();
                if (mid == 0) {
                        setpgid(0, 0);
                        mid = getpid();
                        for (int i = 0; i < 40;
                             i++) /* it has many to leave to another: the reader is not the last one */
                                if (fork() == 0) {
                                        close(hold[1]);
                                        close(alive[1]);
                                        _exit((int)read(hold[0], &st, 1));
                                }
                        if (fork() == 0) {
                                char c;
                                while (getppid() == mid) /* until then its group has somebody to continue it */
                                        sched_yield();
                                int e = read(slave, &c, 1) == -1 && errno == EIO;
                                CHECK(write(p[1], e ? "y" : "n", 1) == 1);
                                _exit(0);
                        }
                        _exit(0);
                }
                setpgid(mid, mid);
                waitpid(mid, &st, 0);
                close(hold[1]);
                close(alive[1]);
                CHECK(read(alive[0], &st, 1) == 0); /* the reader has ended: until then the terminal is the session's */
                _exit(0);
        }
        char c;
        CHECK(read(p[0], &c, 1) == 1 && c == 'y');
        close(hold[1]);
        waitpid(leader, &st, 0);
}

TEST(hangup)
{
        int st;

        make();
        pid_t pid = fork();
        if (pid == 0) {
                char c;
                close(master);
                setsid();
                CHECK(ioctl(slave, TIOCSCTTY, 0) == 0);
                handle(SIGHUP, 0);
                CHECK(write(slave, "R", 1) == 1);
                ssize_t n = read(slave, &c, 1);
                CHECK(n == 0 || (n == -1 && (errno == EINTR || errno == EIO)));
                CHECK(got == SIGHUP);
                CHECK(read(slave, &c, 1) == 0);
                CHECK_ERR(write(slave, "x", 1), EIO);
                CHECK_ERR(tcgetattr(slave, &tio), EIO);
                struct pollfd f = {slave, POLLIN | POLLOUT, 0};
                CHECK(poll(&f, 1, 0) == 1 && f.revents & POLLHUP);
                CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
                _exit(0);
        }
        close(slave);
        struct pollfd f = {master, POLLIN, 0};
        CHECK(poll(&f, 1, 5000) == 1);
        nap(50);
        close(master);
        CHECK(waitpid(pid, &st, 0) == pid && st == 0);
}

TEST(master_eio)
{
        char b[10];

        make();
        CHECK_ERR(read(master, b, 10), EAGAIN);
        CHECK(write(slave, "last", 4) == 4);
        close(slave);
        struct pollfd f = {master, POLLIN, 0};
        CHECK(poll(&f, 1, 1000) == 1 && f.revents == (POLLIN | POLLHUP));
        CHECK(read(master, b, 10) == 4);
        CHECK_ERR(read(master, b, 10), EIO);
        CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLHUP);
}

TEST(session_leader_exit)
{
        int st, p[2];

        make();
        CHECK(pipe(p) == 0);
        pid_t leader = fork();
        if (leader == 0) {
                setsid();
                CHECK(ioctl(slave, TIOCSCTTY, 0) == 0);
                if (fork() == 0) {
                        /* the foreground group hears of it */
                        handle(SIGHUP, 0);
                        CHECK(write(p[1], "r", 1) == 1);
                        while (!got)
                                nap(5);
                        CHECK(write(p[1], got == SIGHUP ? "h" : "?", 1) == 1);
                        _exit(0);
                }
                char c;
                CHECK(read(p[0], &c, 1) == 1);
                _exit(0);
        }
        waitpid(leader, &st, 0);
        CHECK(st == 0);
        char c;
        CHECK(read(p[0], &c, 1) == 1 && c == 'h');
}

TEST(packet_mode)
{
        char b[50];
        int on = 1;

        make();
        CHECK(ioctl(master, TIOCPKT, &on) == 0);
        CHECK(write(slave, "data", 4) == 4);
        CHECK(read(master, b, 50) == 5 && b[0] == TIOCPKT_DATA && !memcmp(b + 1, "data", 4));
        CHECK(tcflush(slave, TCIFLUSH) == 0);
        CHECK(read(master, b, 50) == 1 && b[0] == TIOCPKT_FLUSHREAD);
        CHECK(tcflow(slave, TCOOFF) == 0);
        struct pollfd f = {master, POLLIN | POLLPRI, 0};
        CHECK(poll(&f, 1, 0) == 1 && f.revents == (POLLIN | POLLPRI));
        CHECK(read(master, b, 50) == 1 && b[0] == TIOCPKT_STOP);
        CHECK(tcflow(slave, TCOON) == 0);
        CHECK(read(master, b, 50) == 1 && b[0] == TIOCPKT_START);
        tio.c_iflag &= ~(tcflag_t)IXON;
        set();
        CHECK(read(master, b, 50) == 1 && b[0] == TIOCPKT_NOSTOP);
}

TEST(names)
{
        char name[64], other[64];
        unsigned n;
        int m = posix_openpt(O_RDWR | O_NOCTTY), s, lock = 1;

        CHECK(m >= 0);
        CHECK(ioctl(m, TIOCGPTN, &n) == 0);
        snprintf(name, sizeof(name), "/dev/pts/%u", n);
        CHECK_ERR(open(name, O_RDWR | O_NOCTTY), EIO);
        CHECK(ioctl(m, TIOCGPTLCK, &lock) == 0 && lock == 1);
        CHECK(grantpt(m) == 0 && unlockpt(m) == 0);
        CHECK(ptsname_r(m, other, sizeof(other)) == 0 && !strcmp(name, other));
        s = open(name, O_RDWR | O_NOCTTY);
        CHECK(s >= 0 && isatty(s) && isatty(m));
        CHECK(ttyname_r(s, other, sizeof(other)) == 0 && !strcmp(name, other));
        int p = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
        CHECK(p >= 0 && isatty(p));
        CHECK(write(p, "peer", 4) == 4);
        close(m);
        CHECK_ERR(open(name, O_RDWR | O_NOCTTY), ENOENT);
}

TEST(ioctls)
{
        struct winsize ws;
        int n;

        make();
        CHECK(ioctl(slave, TIOCGWINSZ, &ws) == 0 && ws.ws_row == 0);
        CHECK_ERR(ioctl(slave, TIOCGPGRP, &n), ENOTTY);
        CHECK_ERR(ioctl(slave, 0x12345, &n), ENOTTY);
        CHECK_ERR(ioctl(0x7fff, TIOCGWINSZ, &ws), EBADF);
        CHECK_ERR(ioctl(slave, TCGETS, (void *)8), EFAULT);
        CHECK_ERR(tcflush(slave, 77), EINVAL);
        CHECK(tcdrain(slave) == 0);
        CHECK(ioctl(slave, TIOCGETD, &n) == 0 && n == 0);
        CHECK(ioctl(slave, TIOCOUTQ, &n) == 0 && n == 0);
        int p[2];
        CHECK(pipe(p) == 0);
        CHECK_ERR(ioctl(p[0], TCGETS, &tio), ENOTTY);
        CHECK(cfgetospeed(&tio) == B38400);
        cfsetspeed(&tio, B115200);
        set();
        CHECK(tcgetattr(slave, &tio) == 0 && cfgetospeed(&tio) == B115200);
        char c = 'q';
        if (getuid() == 0) {
                CHECK(ioctl(slave, TIOCSTI, &c) == 0);
                c = '\n';
                CHECK(ioctl(slave, TIOCSTI, &c) == 0);
                IS(line(), "q\n");
        }
        /* queued bytes become a line when canonical mode comes back */
        struct termios old = tio;
        raw(1, 0);
        type("pend");
        tio = old;
        set();
        IS(line(), "pend");
        type("flush me\n");
        CHECK(tcflush(slave, TCIFLUSH) == 0);
        IS(line(), "<none>");
}

TEST(dev_tty)
{
        int st;

        make();
        if (fork() == 0) {
                setsid();
                CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
                char name[64];
                CHECK(ttyname_r(slave, name, sizeof(name)) == 0);
                int s = open(name, O_RDWR); /* becomes the controlling terminal */
                CHECK(s >= 0 && tcgetsid(s) == getpid());
                int t = open("/dev/tty", O_RDWR);
                CHECK(t >= 0 && write(t, "via", 3) == 3);
                CHECK_ERR(ioctl(t, TIOCSCTTY, 0) == 0 ? -1 : 0, 0);
                handle(SIGHUP, SA_RESTART);
                CHECK(ioctl(t, TIOCNOTTY, 0) == 0);
                CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
                _exit(0);
        }
        wait(&st);
        CHECK(st == 0);
        IS(shown(), "via");
}

TEST(long_line)
{
        static char big[6000], back[6000];

        make();
        tio.c_lflag &= ~(tcflag_t)ECHO;
        set();
        memset(big, 'x', sizeof(big));
        for (size_t at = 0; at < sizeof(big); at += 500)
                CHECK(write(master, big + at, 500) == 500);
        type("\n");
        nap(20);
        CHECK(fcntl(slave, F_SETFL, O_NONBLOCK) == 0);
        ssize_t n = read(slave, back, sizeof(back));
        CHECK(n == 4096 && back[4095] == '\n');
}

TEST(bulk)
{
        enum { N = 200000 };
        static char in[N], out[N];
        int st;
        size_t at = 0;

        make();
        raw(1, 0);
        CHECK(fcntl(master, F_SETFL, 0) == 0);
        for (int i = 0; i < N; i++)
                in[i] = (char)(i * 11 + i / 253);
        if (fork() == 0)
                _exit(write(slave, in, N) != N);
        for (ssize_t r; at < N && (r = read(master, out + at, N - at)) > 0;)
                at += (size_t)r;
        CHECK(at == N && !memcmp(in, out, N));
        wait(&st);
        CHECK(st == 0);
        at = 0;
        if (fork() == 0)
                _exit(write(master, in, N) != N);
        for (ssize_t r; at < N && (r = read(slave, out + at, N - at)) > 0;)
                at += (size_t)r;
        CHECK(at == N && !memcmp(in, out, N));
        wait(&st);
        CHECK(st == 0);
}

TEST_MAIN
