/* socket.c - AF_UNIX sockets. */
#include "lib/test.h"
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
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
static socklen_t name_path(struct sockaddr_un *un, const char *path)
{
        memset(un, 0, sizeof(*un));
        un->sun_family = AF_UNIX;
        strcpy(un->sun_path, path);
        return sizeof(*un);
}
static socklen_t name_abstract(struct sockaddr_un *un, const char *name)
{
        memset(un, 0, sizeof(*un));
        un->sun_family = AF_UNIX;
        strcpy(un->sun_path + 1, name);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}
#define SA(x) ((struct sockaddr *)&(x))

TEST(families)
{
        CHECK_ERR(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
        CHECK_ERR(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
        CHECK_ERR(socket(AF_UNIX, 77, 0), EINVAL);
        CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT);
        CHECK_ERR(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(s >= 0 && fcntl(s, F_GETFD) == FD_CLOEXEC && fcntl(s, F_GETFL) == (O_RDWR | O_NONBLOCK));
        struct stat st;
        CHECK(fstat(s, &st) == 0 && S_ISSOCK(st.st_mode));
        CHECK_ERR(listen(0, 1), ENOTSOCK);
        CHECK_ERR(listen(88, 1), EBADF);
}

TEST(pair_stream)
{
        int s[2], n;
        char buf[100];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        CHECK(write(s[0], "hello ", 6) == 6 && write(s[0], "world", 5) == 5);
        CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == 11);
        CHECK(recv(s[1], buf, 3, MSG_PEEK) == 3 && !memcmp(buf, "hel", 3));
        CHECK(read(s[1], buf, 100) == 11 && !memcmp(buf, "hello world", 11));
        CHECK_ERR(recv(s[1], buf, 1, MSG_DONTWAIT), EAGAIN);
        CHECK(send(s[1], "x", 1, 0) == 1 && read(s[0], buf, 9) == 1);
        close(s[0]);
        CHECK(read(s[1], buf, 1) == 0);
        CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
        handle(SIGPIPE, 0);
        CHECK_ERR(write(s[1], "x", 1), EPIPE);
        CHECK(got == SIGPIPE);
}

TEST(pair_dgram)
{
        int s[2];
        char buf[10];
        struct iovec v = {buf, 3};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

        CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
        CHECK(send(s[0], "first", 5, 0) == 5 && send(s[0], "", 0, 0) == 0 && send(s[0], "third", 5, 0) == 5);
        CHECK(recvmsg(s[1], &m, 0) == 3 && m.msg_flags == MSG_TRUNC);
        CHECK(recv(s[1], buf, 10, 0) == 0);
        CHECK(recv(s[1], buf, 2, MSG_TRUNC) == 5 && !memcmp(buf, "th", 2));
        CHECK_ERR(recv(s[1], buf, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(pair_seqpacket)
{
        int s[2];
        char buf[10];

        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
        CHECK(write(s[0], "abc", 3) == 3 && write(s[0], "defg", 4) == 4);
        CHECK(read(s[1], buf, 2) == 2);
        CHECK(read(s[1], buf, 10) == 4 && !memcmp(buf, "defg", 4));
        close(s[0]);
        CHECK(read(s[1], buf, 1) == 0);
}

TEST(stream_server)
{
        struct sockaddr_un un, peer;
        socklen_t len, plen = sizeof(peer);
        int l = socket(AF_UNIX, SOCK_STREAM, 0), c, a, st;
        char buf[100];

        unlink("/tmp/t.sock");
        len = name_path(&un, "/tmp/t.sock");
        CHECK_ERR(connect(l, SA(un), len), ENOENT);
        CHECK(bind(l, SA(un), len) == 0);
        CHECK_ERR(bind(l, SA(un), len), EADDRINUSE);
        c = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK_ERR(connect(c, SA(un), len), ECONNREFUSED);
        CHECK_ERR(accept(l, NULL, NULL), EINVAL);
        CHECK(listen(l, 5) == 0);
        struct stat sst;
        CHECK(stat("/tmp/t.sock", &sst) == 0 && S_ISSOCK(sst.st_mode));
        CHECK_ERR(open("/tmp/t.sock", O_RDWR), ENXIO);
        if (fork() == 0) {
                CHECK(connect(c, SA(un), len) == 0);
                CHECK_ERR(connect(c, SA(un), len), EISCONN);
                CHECK(write(c, "ping", 4) == 4);
                CHECK(read(c, buf, 100) == 4 && !memcmp(buf, "pong", 4));
                struct sockaddr_un who;
                socklen_t wl = sizeof(who);
                CHECK(getpeername(c, SA(who), &wl) == 0 && !strcmp(who.sun_path, "/tmp/t.sock"));
                wl = sizeof(who);
                CHECK(getsockname(c, SA(who), &wl) == 0 && wl == sizeof(sa_family_t));
                _exit(0);
        }
        close(c);
        a = accept4(l, SA(peer), &plen, SOCK_CLOEXEC);
        CHECK(a >= 0 && fcntl(a, F_GETFD) == FD_CLOEXEC && plen == sizeof(sa_family_t));
        CHECK(read(a, buf, 100) == 4 && !memcmp(buf, "ping", 4));
        CHECK(write(a, "pong", 4) == 4);
        wait(&st);
        CHECK(st == 0);
        CHECK(read(a, buf, 1) == 0);
        struct ucred cr;
        socklen_t cl = sizeof(cr);
        CHECK(getsockopt(a, SOL_SOCKET, SO_PEERCRED, &cr, &cl) == 0 && cr.pid != getpid() && cr.uid == getuid());
        int other = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK_ERR(bind(other, SA(un), len), EADDRINUSE);
        close(l);
        CHECK_ERR(connect(other, SA(un), len), ECONNREFUSED);
        unlink("/tmp/t.sock");
        int d = socket(AF_UNIX, SOCK_DGRAM, 0);
        CHECK(bind(d, SA(un), len) == 0);
        CHECK_ERR(connect(other, SA(un), len), EPROTOTYPE);
        unlink("/tmp/t.sock");
}

TEST(abstract_names)
{
        struct sockaddr_un un, got_name;
        socklen_t len = name_abstract(&un, "phantom.test"), gl = sizeof(got_name);
        int l = socket(AF_UNIX, SOCK_STREAM, 0), l2 = socket(AF_UNIX, SOCK_STREAM, 0),
            c = socket(AF_UNIX, SOCK_STREAM, 0);

        CHECK(bind(l, SA(un), len) == 0);
        CHECK_ERR(bind(l2, SA(un), len), EADDRINUSE);
        CHECK(listen(l, 1) == 0);
        CHECK(connect(c, SA(un), len) == 0);
        CHECK(getpeername(c, SA(got_name), &gl) == 0 && gl == len && !memcmp(&got_name, &un, len));
        close(l);
        CHECK(bind(l2, SA(un), len) == 0);
        close(l2);
        CHECK_ERR(connect(socket(AF_UNIX, SOCK_STREAM, 0), SA(un), len), ECONNREFUSED);
        /* by itself */
        int a = socket(AF_UNIX, SOCK_DGRAM, 0);
        un.sun_family = AF_UNIX;
        CHECK(bind(a, SA(un), sizeof(sa_family_t)) == 0);
        gl = sizeof(got_name);
        CHECK(getsockname(a, SA(got_name), &gl) == 0 && gl == sizeof(sa_family_t) + 6 && got_name.sun_path[0] == 0);
}

TEST(dgram_named)
{
        struct sockaddr_un a_un, b_un, from;
        socklen_t al = name_abstract(&a_un, "t.dg.a"), bl = name_abstract(&b_un, "t.dg.b"), fl = sizeof(from);
        int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0), x = socket(AF_UNIX, SOCK_DGRAM, 0);
        char buf[20];

        CHECK(bind(a, SA(a_un), al) == 0 && bind(b, SA(b_un), bl) == 0);
        CHECK_ERR(send(a, "x", 1, 0), ENOTCONN);
        CHECK(sendto(a, "to b", 4, 0, SA(b_un), bl) == 4);
        CHECK(recvfrom(b, buf, 20, 0, SA(from), &fl) == 4 && fl == al && !memcmp(&from, &a_un, al));
        CHECK(connect(a, SA(b_un), bl) == 0);
        CHECK(send(a, "again", 5, 0) == 5 && recv(b, buf, 20, 0) == 5);
        CHECK(connect(b, SA(a_un), al) == 0);
        CHECK_ERR(sendto(x, "no", 2, 0, SA(b_un), bl), EPERM);
        fl = sizeof(from);
        struct sockaddr un = {AF_UNSPEC};
        CHECK(connect(b, &un, sizeof(un)) == 0);
        CHECK(sendto(x, "yes", 3, 0, SA(b_un), bl) == 3);
        CHECK(recvfrom(b, buf, 20, 0, SA(from), &fl) == 3 && fl == 0);
        close(b);
        CHECK_ERR(send(a, "x", 1, 0), ECONNREFUSED);
        CHECK_ERR(send(a, "x", 1, 0), ENOTCONN);
}

TEST(dgram_queue_limit)
{
        int s[2], n = 0;
        struct sockaddr_un un;
        socklen_t len = name_abstract(&un, "t.dg.limit");
        char c;

        s[0] = socket(AF_UNIX, SOCK_DGRAM, 0);
        s[1] = socket(AF_UNIX, SOCK_DGRAM, 0);
        CHECK(bind(s[1], SA(un), len) == 0 && connect(s[0], SA(un), len) == 0);
        while (send(s[0], "x", 1, MSG_DONTWAIT) == 1)
                n++;
        CHECK(errno == EAGAIN && n >= 10);
        struct pollfd f = {s[0], POLLOUT, 0};
        CHECK(poll(&f, 1, 0) == 0);
        if (fork() == 0) {
                nap(50);
                recv(s[1], &c, 1, 0);
                _exit(0);
        }
        CHECK(poll(&f, 1, 5000) == 1);
        CHECK(send(s[0], "y", 1, 0) == 1);
        wait(NULL);
}

static int send_fds(int s, const int *fds, int n, const char *data, size_t len)
{
        char ctl[CMSG_SPACE(sizeof(int) * 250)] __attribute__((aligned(8)));
        struct iovec v = {(void *)(uintptr_t)data, len};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = ctl,
                           .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n)};
        struct cmsghdr *h;

        memset(ctl, 0, sizeof(ctl));
        h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
        memcpy(CMSG_DATA(h), fds, sizeof(int) * (size_t)n);
        return (int)sendmsg(s, &m, 0);
}

static int recv_fds(int s, int *fds, int max, char *data, size_t len, int flags, int *mflags)
{
        char ctl[CMSG_SPACE(sizeof(int) * 250)] __attribute__((aligned(8)));
        struct iovec v = {data, len};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = ctl,
                           .msg_controllen = max ? CMSG_SPACE(sizeof(int) * (size_t)max) : 0};
        struct cmsghdr *h;
        int n = 0;

        memset(ctl, 0xff, sizeof(ctl));
        if (recvmsg(s, &m, flags) < 0)
                return -1;
        h = m.msg_controllen ? CMSG_FIRSTHDR(&m) : NULL;
        if (h && h->cmsg_type == SCM_RIGHTS) {
                n = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                memcpy(fds, CMSG_DATA(h), sizeof(int) * (size_t)n);
        }
        *mflags = m.msg_flags;
        return n;
}

TEST(rights)
{
        int s[2], p[2], fd[4], fl;
        char buf[10];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
        CHECK(send_fds(s[0], p, 2, "x", 1) == 1);
        close(p[0]);
        close(p[1]);
        CHECK(recv_fds(s[1], fd, 4, buf, 10, MSG_CMSG_CLOEXEC, &fl) == 2);
        CHECK(fcntl(fd[0], F_GETFD) == FD_CLOEXEC);
        CHECK(write(fd[1], "through", 7) == 7 && read(fd[0], buf, 10) == 7);
        close(fd[1]);
        CHECK(read(fd[0], buf, 1) == 0);
        /* no room for them */
        CHECK(send_fds(s[0], fd, 1, "y", 1) == 1);
        CHECK(recv_fds(s[1], fd, 0, buf, 10, 0, &fl) == 0 && fl == MSG_CTRUNC);
        int bad = 99;
        CHECK_ERR(send_fds(s[0], &bad, 1, "z", 1), EBADF);
        CHECK_ERR(recv(s[1], buf, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(rights_many)
{
        int s[2], fds[250], back[250], fl, p[2];
        char c;

        CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 && pipe(p) == 0);
        for (int i = 0; i < 250; i++)
                fds[i] = p[i & 1];
        CHECK(send_fds(s[0], fds, 250, "m", 1) == 1);
        CHECK(recv_fds(s[1], back, 250, &c, 1, 0, &fl) == 250 && fl == 0);
        CHECK(write(back[247], "q", 1) == 1 && read(back[248], &c, 1) == 1 && c == 'q');
}

TEST(rights_closed_unread)
{
        int s[2], p[2];
        char c;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
        CHECK(send_fds(s[0], &p[1], 1, "x", 1) == 1);
        close(p[1]);
        close(s[0]);
        close(s[1]); /* the descriptor in the queue was the last writer */
        CHECK(read(p[0], &c, 1) == 0);
}

TEST(rights_cycle)
{
        int p[2], s[2];
        char c;

        /* a socket pair that carries itself and a pipe's end: only the collector frees the pipe */
        CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        int all[3] = {s[0], s[1], p[1]};
        CHECK(send_fds(s[0], all, 3, "x", 1) == 1);
        close(p[1]);
        close(s[0]);
        close(s[1]);
        struct pollfd f = {p[0], POLLIN, 0};
        for (int i = 0; i < 50 && poll(&f, 1, 100) == 0; i++)
                close(socket(AF_UNIX, SOCK_STREAM, 0));
        CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLHUP);
        CHECK(read(p[0], &c, 1) == 0);
}

TEST(credentials)
{
        int s[2], on = 1;
        char buf[4], ctl[CMSG_SPACE(sizeof(struct ucred))] __attribute__((aligned(8)));
        struct iovec v = {buf, 4};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)};
        struct cmsghdr *h;
        struct ucred cr;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
        pid_t pid = fork();
        if (pid == 0)
                _exit(write(s[0], "hi", 2) != 2);
        wait(NULL);
        CHECK(recvmsg(s[1], &m, 0) == 2);
        h = CMSG_FIRSTHDR(&m);
        CHECK(h && h->cmsg_type == SCM_CREDENTIALS);
        memcpy(&cr, CMSG_DATA(h), sizeof(cr));
        CHECK(cr.pid == pid && cr.uid == getuid() && cr.gid == getgid());
}

TEST(shutdown_half)
{
        int s[2];
        char c;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        CHECK_ERR(shutdown(s[0], 9), EINVAL);
        CHECK(write(s[0], "a", 1) == 1);
        CHECK(shutdown(s[0], SHUT_WR) == 0);
        CHECK(read(s[1], &c, 1) == 1 && read(s[1], &c, 1) == 0);
        CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
        CHECK(write(s[1], "b", 1) == 1 && read(s[0], &c, 1) == 1 && c == 'b');
        struct pollfd f = {s[1], POLLIN | POLLRDHUP, 0};
        CHECK(poll(&f, 1, 0) == 1 && f.revents == (POLLIN | POLLRDHUP));
        shutdown(s[0], SHUT_RD);
        CHECK(poll(&f, 1, 0) == 1 && f.revents == (POLLIN | POLLRDHUP | POLLHUP));
}

TEST(blocking_big)
{
        enum { N = 1 << 20 };
        static unsigned char in[N], out[N];
        int s[2], st;
        size_t at = 0;

        for (int i = 0; i < N; i++)
                in[i] = (unsigned char)(i * 13 + i / 251);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        if (fork() == 0) {
                close(s[1]);
                _exit(write(s[0], in, N) != N);
        }
        close(s[0]);
        for (ssize_t r; (r = read(s[1], out + at, 50001)) > 0;)
                at += (size_t)r;
        CHECK(at == N && !memcmp(in, out, N));
        wait(&st);
        CHECK(st == 0);
}

TEST(waitall)
{
        int s[2], st;
        char buf[10];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        if (fork() == 0) {
                for (int i = 0; i < 10; i++) {
                        nap(5);
                        write(s[0], "z", 1);
                }
                _exit(0);
        }
        CHECK(recv(s[1], buf, 10, MSG_WAITALL) == 10);
        wait(&st);
}

TEST(timeouts)
{
        int s[2];
        struct timeval tv = {0, 100000}, back;
        socklen_t len = sizeof(back);
        char c;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
        CHECK(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &back, &len) == 0 && back.tv_usec == 100000);
        CHECK_ERR(read(s[0], &c, 1), EAGAIN);
        static char big[1 << 20];
        CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0);
        ssize_t n = write(s[0], big, sizeof(big));
        CHECK(n > 0 && n < (ssize_t)sizeof(big));
        CHECK_ERR(write(s[0], big, sizeof(big)), EAGAIN);
}

TEST(options)
{
        int s = socket(AF_UNIX, SOCK_STREAM, 0), v, on = 1;
        socklen_t len = sizeof(v);

        CHECK(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &len) == 0 && v == SOCK_STREAM);
        CHECK(getsockopt(s, SOL_SOCKET, SO_DOMAIN, &v, &len) == 0 && v == AF_UNIX);
        CHECK(getsockopt(s, SOL_SOCKET, SO_ERROR, &v, &len) == 0 && v == 0);
        CHECK(getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN, &v, &len) == 0 && v == 0);
        CHECK(getsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, &len) == 0 && v > 4096);
        CHECK(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
        CHECK(getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, &len) == 0 && v == 1);
        v = 20000;
        CHECK(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)) == 0);
        CHECK(getsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, &len) == 0 && v == 40000);
        CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, 2), EINVAL);
        CHECK_ERR(setsockopt(s, SOL_SOCKET, 9999, &on, sizeof(on)), ENOPROTOOPT);
        CHECK_ERR(getsockopt(s, SOL_SOCKET, SO_TYPE, (void *)8, &len), EFAULT);
}

TEST(close_with_unread)
{
        int s[2], v;
        socklen_t len = sizeof(v);
        char c;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        CHECK(write(s[0], "unread", 6) == 6);
        close(s[1]);
        CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
        CHECK(read(s[0], &c, 1) == 0);
        CHECK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &v, &len) == 0 && v == 0);
}

TEST(backlog_and_close)
{
        struct sockaddr_un un;
        socklen_t len = name_abstract(&un, "t.backlog");
        int l = socket(AF_UNIX, SOCK_STREAM, 0), c[8], n = 0;
        char b;

        CHECK(bind(l, SA(un), len) == 0 && listen(l, 2) == 0);
        for (int i = 0; i < 8; i++) {
                c[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
                if (connect(c[i], SA(un), len) == 0)
                        n++;
                else
                        CHECK(errno == EAGAIN);
        }
        CHECK(n == 3);
        struct pollfd f = {l, POLLIN, 0};
        CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLIN);
        close(l);
        CHECK_ERR(read(c[0], &b, 1), ECONNRESET);
        CHECK(read(c[0], &b, 1) == 0);
}

TEST(connect_waits)
{
        struct sockaddr_un un;
        socklen_t len = name_abstract(&un, "t.waits");
        int l = socket(AF_UNIX, SOCK_STREAM, 0), st;

        CHECK(bind(l, SA(un), len) == 0 && listen(l, 0) == 0);
        int a = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK(connect(a, SA(un), len) == 0);
        if (fork() == 0) {
                int b = socket(AF_UNIX, SOCK_STREAM, 0);
                _exit(connect(b, SA(un), len) != 0);
        }
        nap(50);
        CHECK(accept(l, NULL, NULL) >= 0);
        wait(&st);
        CHECK(st == 0);
}

TEST(mmsg)
{
        int s[2];
        char a[3][8] = {"one", "two", "three"}, b[4][8];
        struct iovec iv[3], ov[4];
        struct mmsghdr in[3], out[4];

        CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
        memset(in, 0, sizeof(in));
        memset(out, 0, sizeof(out));
        for (int i = 0; i < 3; i++) {
                iv[i] = (struct iovec){a[i], strlen(a[i])};
                in[i].msg_hdr.msg_iov = &iv[i];
                in[i].msg_hdr.msg_iovlen = 1;
        }
        for (int i = 0; i < 4; i++) {
                ov[i] = (struct iovec){b[i], 8};
                out[i].msg_hdr.msg_iov = &ov[i];
                out[i].msg_hdr.msg_iovlen = 1;
        }
        CHECK(sendmmsg(s[0], in, 3, 0) == 3);
        CHECK(in[0].msg_len == 3 && in[2].msg_len == 5);
        CHECK(recvmmsg(s[1], out, 4, MSG_WAITFORONE, NULL) == 3);
        CHECK(out[0].msg_len == 3 && out[2].msg_len == 5 && !memcmp(b[2], "three", 5));
}

TEST(epoll_edge)
{
        int s[2], ep = epoll_create1(0);
        struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET}, out[2];
        char c;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &ev) == 0);
        CHECK(epoll_wait(ep, out, 2, 0) == 1 && out[0].events == EPOLLOUT);
        CHECK(epoll_wait(ep, out, 2, 0) == 0);
        CHECK(write(s[1], "x", 1) == 1);
        CHECK(epoll_wait(ep, out, 2, 0) == 1 && out[0].events == (EPOLLIN | EPOLLOUT));
        CHECK(read(s[0], &c, 1) == 1);
        close(s[1]);
        CHECK(epoll_wait(ep, out, 2, 0) == 1 && out[0].events == (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP));
}

TEST(interrupted)
{
        int s[2];
        char c;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        handle(SIGALRM, 0);
        alarm(1);
        CHECK_ERR(recv(s[0], &c, 1, 0), EINTR);
        struct sockaddr_un un;
        socklen_t len = name_abstract(&un, "t.intr");
        int l = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK(bind(l, SA(un), len) == 0 && listen(l, 1) == 0);
        alarm(1);
        CHECK_ERR(accept(l, NULL, NULL), EINTR);
}

TEST(ping_pong)
{
        int s[2], st;
        char c = 0;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        if (fork() == 0) {
                for (int i = 0; i < 1000; i++)
                        if (read(s[1], &c, 1) != 1 || write(s[1], &c, 1) != 1)
                                _exit(1);
                _exit(0);
        }
        for (int i = 0; i < 1000; i++) {
                char d = (char)i;
                CHECK(write(s[0], &d, 1) == 1 && read(s[0], &c, 1) == 1 && c == d);
        }
        wait(&st);
        CHECK(st == 0);
}

/* So many sockets and messages that those made before stand on pages that nobody looks at; then a time in which such pages can go. */
static void many_more(void)
{
        for (int i = 0; i < 48; i++) {
                int fd[2];

                CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0 && write(fd[0], "many", 4) == 4);
        }
        nap(60);
}
/* What a call changes may be on a page that only comes when it is looked at: of a queue, what stands before and behind; of a socket, who is joined with it. */
TEST(far_apart)
{
        struct sockaddr_un here, there;
        socklen_t hl = name_abstract(&here, "far-here"), tl = name_abstract(&there, "far-there");
        char buf[8];
        int l = socket(AF_UNIX, SOCK_STREAM, 0), a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0),
            s = socket(AF_UNIX, SOCK_DGRAM, 0), c[3], e;

        CHECK(bind(l, SA(here), hl) == 0 && listen(l, 8) == 0 && bind(a, SA(there), tl) == 0);
        for (int i = 0; i < 3; i++) { /* the last in the list of those who wait to be accepted */
                c[i] = socket(AF_UNIX, SOCK_STREAM, 0);
                CHECK(connect(c[i], SA(here), hl) == 0);
                many_more();
        }
        e = accept(l, NULL, NULL); /* the first of them */
        CHECK(e >= 0 && write(c[0], "one", 3) == 3);
        many_more();
        CHECK(write(c[0], "two", 3) == 3); /* the last message */
        many_more();
        CHECK(read(e, buf, 6) == 6 && memcmp(buf, "onetwo", 6) == 0);
        many_more();
        CHECK(shutdown(c[0], SHUT_WR) == 0 && read(e, buf, 6) == 0); /* the other end */
        CHECK(connect(s, SA(there), tl) == 0 && write(s, "gram", 4) == 4);
        many_more();
        CHECK(recv(a, buf, 8, 0) == 4); /* the sender */
        tl = name_abstract(&there, "far-else");
        CHECK(bind(b, SA(there), tl) == 0);
        many_more();
        CHECK(connect(s, SA(there), tl) == 0 && write(s, "else", 4) == 4 &&
              recv(b, buf, 8, 0) == 4); /* the peer of before */
        many_more();
        close(s);
        close(c[1]);
        close(l);
}
TEST_MAIN
