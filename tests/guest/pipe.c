/* pipe.c - pipes and FIFOs. */
#include "lib/test.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

static void nap(int ms)
{
        struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

        nanosleep(&ts, NULL);
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

TEST(basic)
{
        char buf[10];
        int p[2];

        CHECK(pipe(p) == 0);
        CHECK(write(p[1], "hello", 5) == 5);
        CHECK(read(p[0], buf, 3) == 3 && !memcmp(buf, "hel", 3));
        CHECK(read(p[0], buf, 10) == 2 && !memcmp(buf, "lo", 2));
        CHECK_ERR(write(p[0], "x", 1), EBADF);
        CHECK_ERR(read(p[1], buf, 1), EBADF);
        CHECK_ERR(lseek(p[0], 0, SEEK_SET), ESPIPE);
        CHECK_ERR(pread(p[0], buf, 1, 0), ESPIPE);
        close(p[1]);
        CHECK(read(p[0], buf, 1) == 0);
        CHECK_ERR(syscall(SYS_pipe, 8), EFAULT);
        CHECK_ERR(pipe2(p, 0x40000000), EINVAL);
}

TEST(flags)
{
        int p[2];
        char c;

        CHECK(pipe2(p, O_NONBLOCK | O_CLOEXEC) == 0);
        CHECK(fcntl(p[0], F_GETFD) == FD_CLOEXEC && fcntl(p[1], F_GETFD) == FD_CLOEXEC);
        CHECK((fcntl(p[0], F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDONLY | O_NONBLOCK));
        CHECK((fcntl(p[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_WRONLY | O_NONBLOCK));
        CHECK_ERR(read(p[0], &c, 1), EAGAIN);
        struct stat st;
        CHECK(fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode));
}

TEST(capacity)
{
        static char buf[4096];
        int p[2], n = 0, left;
        long total = 0, r;

        CHECK(pipe2(p, O_NONBLOCK) == 0);
        CHECK(fcntl(p[1], F_GETPIPE_SZ) == 65536);
        while ((r = write(p[1], buf, sizeof(buf))) > 0)
                n++, total += r;
        CHECK(errno == EAGAIN && n == 16 && total == 65536);
        CHECK(ioctl(p[0], FIONREAD, &left) == 0 && left == 65536);
        struct pollfd f = {p[1], POLLOUT, 0};
        CHECK(poll(&f, 1, 0) == 0);
        CHECK(read(p[0], buf, 1) == 1);
        CHECK(read(p[0], buf, 4095) == 4095);
        CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLOUT);
        CHECK(write(p[1], buf, 4096) == 4096);
        /* small writes share pages */
        while (read(p[0], buf, sizeof(buf)) > 0)
                ;
        for (n = 0; write(p[1], "x", 1) == 1; n++)
                ;
        CHECK(n == 65536);
}

TEST(atomic)
{
        static char buf[PIPE_BUF];
        int p[2];

        CHECK(pipe2(p, O_NONBLOCK) == 0);
        for (int i = 0; i < 15; i++)
                CHECK(write(p[1], buf, PIPE_BUF) == PIPE_BUF);
        CHECK(write(p[1], buf, 100) == 100);
        CHECK_ERR(write(p[1], buf, PIPE_BUF), EAGAIN);
        CHECK(write(p[1], buf, PIPE_BUF - 100) == PIPE_BUF - 100);
        CHECK_ERR(write(p[1], buf, 1), EAGAIN);
}

TEST(partial_nonblocking)
{
        static char buf[100000];
        int p[2];

        CHECK(pipe2(p, O_NONBLOCK) == 0);
        CHECK(write(p[1], buf, sizeof(buf)) == 65536);
        CHECK_ERR(write(p[1], buf, sizeof(buf)), EAGAIN);
}

TEST(sigpipe)
{
        int p[2];

        CHECK(pipe(p) == 0);
        close(p[0]);
        handle(SIGPIPE, 0);
        CHECK_ERR(write(p[1], "x", 1), EPIPE);
        CHECK(got == SIGPIPE);
        struct pollfd f = {p[1], POLLOUT, 0};
        CHECK(poll(&f, 1, 0) == 1 && f.revents == (POLLOUT | POLLERR));
        signal(SIGPIPE, SIG_DFL);
        if (fork() == 0) {
                write(p[1], "x", 1);
                _exit(0);
        }
        int st;
        wait(&st);
        CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGPIPE);
}

TEST(blocking_reader)
{
        int p[2], st;
        char c;

        CHECK(pipe(p) == 0);
        if (fork() == 0) {
                nap(50);
                _exit(write(p[1], "z", 1) != 1);
        }
        CHECK(read(p[0], &c, 1) == 1 && c == 'z');
        wait(&st);
        CHECK(st == 0);
}

TEST(big_transfer)
{
        enum { N = 1 << 20 };
        static unsigned char in[N], out[N];
        int p[2], st;
        size_t at = 0;

        for (int i = 0; i < N; i++)
                in[i] = (unsigned char)(i * 7 + i / 255);
        CHECK(pipe(p) == 0);
        if (fork() == 0) {
                close(p[0]);
                _exit(write(p[1], in, N) != N);
        }
        close(p[1]);
        for (ssize_t r; (r = read(p[0], out + at, 33333)) > 0;)
                at += (size_t)r;
        CHECK(at == N && !memcmp(in, out, N));
        wait(&st);
        CHECK(st == 0);
}

TEST(vectors)
{
        char a[3], b[100], c[9000], out[9103];
        struct iovec v[3] = {{a, 3}, {b, 100}, {c, 9000}}, w[1] = {{out, sizeof(out)}};
        int p[2];

        memset(a, 'a', 3), memset(b, 'b', 100), memset(c, 'c', 9000);
        CHECK(pipe(p) == 0);
        CHECK(writev(p[1], v, 3) == 9103);
        CHECK(readv(p[0], w, 1) == 9103);
        CHECK(out[0] == 'a' && out[2] == 'a' && out[3] == 'b' && out[102] == 'b' && out[103] == 'c' &&
              out[9102] == 'c');
        CHECK(write(p[1], out, 9103) == 9103);
        CHECK(readv(p[0], v, 3) == 9103 && a[2] == 'a' && b[0] == 'b' && c[8999] == 'c');
}

TEST(faults)
{
        static char page[8192] __attribute__((aligned(4096)));
        int p[2];

        CHECK(pipe2(p, O_NONBLOCK) == 0);
        CHECK_ERR(write(p[1], (void *)16, 10), EFAULT);
        CHECK_ERR(write(p[1], (void *)16, 10000), EFAULT);
        CHECK_ERR(read(p[0], page, 1), EAGAIN);
        CHECK(write(p[1], "abc", 3) == 3);
        CHECK_ERR(read(p[0], (void *)16, 3), EFAULT);
        CHECK(read(p[0], page, 10) == 3);
}

TEST(interrupted)
{
        int p[2];
        char c;

        CHECK(pipe(p) == 0);
        handle(SIGALRM, 0);
        alarm(1);
        CHECK_ERR(read(p[0], &c, 1), EINTR);
        CHECK(got == SIGALRM);
        /* a write that was begun returns what it did */
        static char buf[100000];
        alarm(1);
        CHECK(write(p[1], buf, sizeof(buf)) == 65536);
}

TEST(restarted)
{
        int p[2];
        char c;

        CHECK(pipe(p) == 0);
        handle(SIGUSR1, SA_RESTART);
        pid_t me = getpid();
        if (fork() == 0) {
                nap(50);
                kill(me, SIGUSR1);
                nap(50);
                write(p[1], "q", 1);
                _exit(0);
        }
        CHECK(read(p[0], &c, 1) == 1 && c == 'q' && got == SIGUSR1);
}

TEST(packets)
{
        char buf[100];
        int p[2];

        CHECK(pipe2(p, O_DIRECT) == 0);
        CHECK(write(p[1], "one", 3) == 3 && write(p[1], "second", 6) == 6);
        CHECK(read(p[0], buf, 100) == 3);
        CHECK(read(p[0], buf, 2) == 2 && !memcmp(buf, "se", 2));
        CHECK(write(p[1], "third", 5) == 5);
        CHECK(read(p[0], buf, 100) == 5 && !memcmp(buf, "third", 5));
}

TEST(resize)
{
        static char buf[131072];
        int p[2];

        CHECK(pipe2(p, O_NONBLOCK) == 0);
        CHECK(write(p[1], "start", 5) == 5);
        CHECK(fcntl(p[0], F_SETPIPE_SZ, 100000) == 131072);
        CHECK(fcntl(p[1], F_GETPIPE_SZ) == 131072);
        CHECK(read(p[0], buf, 5) == 5 && !memcmp(buf, "start", 5));
        long n = 0, r;
        while ((r = write(p[1], buf, sizeof(buf))) > 0)
                n += r;
        CHECK(n == 131072);
        CHECK_ERR(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
        while (read(p[0], buf, sizeof(buf)) > 0)
                ;
        CHECK(fcntl(p[1], F_SETPIPE_SZ, 1) == 4096);
        CHECK(write(p[1], buf, 5000) == 4096);
}

TEST(hangup_poll)
{
        int p[2];

        CHECK(pipe(p) == 0);
        struct pollfd f = {p[0], POLLIN, 0};
        CHECK(poll(&f, 1, 0) == 0);
        close(p[1]);
        CHECK(poll(&f, 1, -1) == 1 && f.revents == POLLHUP);
}

TEST(fifo)
{
        char c, *name = "/tmp/t.fifo";
        int fd, st;

        unlink(name);
        CHECK(mkfifo(name, 0600) == 0);
        CHECK_ERR(open(name, O_WRONLY | O_NONBLOCK), ENXIO);
        if (fork() == 0) {
                nap(50);
                fd = open(name, O_WRONLY);
                nap(20);
                _exit(write(fd, "f", 1) != 1);
        }
        fd = open(name, O_RDONLY);
        CHECK(fd >= 0);
        CHECK(read(fd, &c, 1) == 1 && c == 'f');
        wait(&st);
        CHECK(st == 0);
        CHECK(read(fd, &c, 1) == 0);
        close(fd);
        /* the writer waits for a reader */
        if (fork() == 0) {
                nap(50);
                fd = open(name, O_RDONLY);
                _exit(read(fd, &c, 1) != 1);
        }
        fd = open(name, O_WRONLY);
        CHECK(write(fd, "g", 1) == 1);
        wait(&st);
        CHECK(st == 0);
        close(fd);
        fd = open(name, O_RDWR);
        CHECK(fd >= 0 && write(fd, "h", 1) == 1 && read(fd, &c, 1) == 1);
        close(fd);
        unlink(name);
}

TEST(fifo_nonblocking_reader)
{
        char c, *name = "/tmp/t.fifo2";
        int r, w;

        unlink(name);
        CHECK(mkfifo(name, 0600) == 0);
        r = open(name, O_RDONLY | O_NONBLOCK);
        CHECK(r >= 0);
        CHECK(read(r, &c, 1) == 0);
        struct pollfd f = {r, POLLIN, 0};
        CHECK(poll(&f, 1, 0) == 0);
        w = open(name, O_WRONLY | O_NONBLOCK);
        CHECK(w >= 0);
        CHECK_ERR(read(r, &c, 1), EAGAIN);
        close(w);
        CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLHUP);
        close(r);
        unlink(name);
}

TEST(fifo_interrupted)
{
        char *name = "/tmp/t.fifo3";

        unlink(name);
        CHECK(mkfifo(name, 0600) == 0);
        handle(SIGALRM, 0);
        alarm(1);
        CHECK_ERR(open(name, O_RDONLY), EINTR);
        /* the opener that gave up counts no more */
        CHECK_ERR(open(name, O_WRONLY | O_NONBLOCK), ENXIO);
        unlink(name);
}

/* The same while pages go away: the FIFO is not in the slab that new files come from. */
TEST(fifo_interrupted_far)
{
        struct itimerval soon = {.it_value = {0, 30000}};
        char name[] = "/tmp/t.far/000";

        CHECK(mkdir("/tmp/t.far", 0700) == 0);
        for (int k = 0; k < 120; k++) {
                sprintf(name, "/tmp/t.far/%d", k);
                CHECK(mkfifo(name, 0600) == 0);
        }
        handle(SIGALRM, 0);
        for (int k = 0; k < 10; k++) {
                sprintf(name, "/tmp/t.far/%d", k);
                setitimer(ITIMER_REAL, &soon, NULL);
                CHECK_ERR(open(name, O_RDONLY), EINTR);
        }
        for (int k = 0; k < 120; k++) {
                sprintf(name, "/tmp/t.far/%d", k);
                unlink(name);
        }
        CHECK(rmdir("/tmp/t.far") == 0);
}

/* Opens a FIFO for reading until that is not interrupted, and reads what a writer has put there. */
static void interrupted_reader(const char *name, int ack, int n)
{
        struct itimerval often = {{0, 300}, {0, 300}};

        handle(SIGALRM, 0);
        setitimer(ITIMER_REAL, &often, NULL);
        for (char c; n;) {
                int fd = open(name, O_RDONLY);

                if (fd < 0) {
                        if (errno != EINTR)
                                _exit(1);
                        continue;
                }
                for (ssize_t got = 0, r = 1; r; got += r > 0 ? r : 0) { /* till the writer has closed it */
                        r = read(fd, &c, 1);
                        if ((r < 0 && errno != EINTR) || (r == 0 && got != 1))
                                _exit(2);
                }
                close(fd);
                while (write(ack, &c, 1) != 1)
                        ;
                n--;
        }
        _exit(0);
}
/* Whoever finds a reader that waits in its open has found a reader: that open is not interrupted any more. */
TEST(fifo_interrupted_or_found)
{
        char c = 'x', *name = "/tmp/t.fifo4";
        int ack[2], n = 300, status;
        pid_t pid;

        unlink(name);
        CHECK(mkfifo(name, 0600) == 0 && pipe(ack) == 0);
        pid = fork();
        if (pid == 0)
                interrupted_reader(name, ack[1], n);
        while (n--) {
                int fd;

                while ((fd = open(name, O_WRONLY | O_NONBLOCK)) < 0)
                        CHECK(errno == ENXIO);
                CHECK(write(fd, &c, 1) == 1);
                close(fd);
                CHECK(read(ack[0], &c, 1) == 1);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        unlink(name);
}

TEST(ping_pong)
{
        int a[2], b[2], st;
        char c = 0;

        CHECK(pipe(a) == 0 && pipe(b) == 0);
        if (fork() == 0) {
                for (int i = 0; i < 2000; i++) {
                        if (read(a[0], &c, 1) != 1)
                                _exit(1);
                        c++;
                        if (write(b[1], &c, 1) != 1)
                                _exit(2);
                }
                _exit(0);
        }
        for (int i = 0; i < 2000; i++) {
                char was = c;
                CHECK(write(a[1], &c, 1) == 1 && read(b[0], &c, 1) == 1 && c == (char)(was + 1));
        }
        wait(&st);
        CHECK(st == 0);
}

TEST(many_writers)
{
        int p[2];
        struct {
                int who, seq;
                char pad[56];
        } m;
        int seen[8] = {0};

        CHECK(pipe(p) == 0);
        for (int w = 0; w < 8; w++)
                if (fork() == 0) {
                        memset(&m, w, sizeof(m));
                        m.who = w;
                        for (m.seq = 0; m.seq < 500; m.seq++)
                                if (write(p[1], &m, sizeof(m)) != sizeof(m))
                                        _exit(1);
                        _exit(0);
                }
        close(p[1]);
        for (int i = 0; i < 4000; i++) {
                CHECK(read(p[0], &m, sizeof(m)) == sizeof(m));
                CHECK(m.who >= 0 && m.who < 8 && m.seq == seen[m.who]++ && m.pad[0] == m.who && m.pad[55] == m.who);
        }
        CHECK(read(p[0], &m, 1) == 0);
}

TEST_MAIN
