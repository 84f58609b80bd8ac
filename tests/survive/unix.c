/*
 * unix.c - AF_UNIX sockets: descriptors in flight, connections that wait to be accepted, datagrams and their bounds.
 */
#include "tests/survive/survive.h"
#include <sys/socket.h>
#include <sys/un.h>

#define FLYING 8

static void send_fd(int via, int fd, uint64_t n)
{
        char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
        struct iovec io = {&n, sizeof(n)};
        struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
        SAME(sendmsg(via, &m, 0), sizeof(n));
}

static int receive_fd(int via, uint64_t *n)
{
        char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
        struct iovec io = {n, sizeof(*n)};
        struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        struct cmsghdr *c;
        int fd;

        SAME(recvmsg(via, &m, 0), sizeof(*n));
        c = CMSG_FIRSTHDR(&m);
        MUST(c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)));
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
        return fd;
}

/* Eight pipes are always in flight, named by nobody but the messages; each still holds its number when it arrives. */
static void flight(volatile uint64_t *good)
{
        uint64_t n, got, number;
        int s[2];

        MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
        for (n = 0;; n++) {
                int p[2], fd;

                MUST(pipe(p) == 0);
                survive_write(p[1], &n, sizeof(n));
                send_fd(s[0], p[0], n);
                MUST(close(p[0]) == 0 && close(p[1]) == 0);
                if (n < FLYING)
                        continue;
                fd = receive_fd(s[1], &got);
                SAME(got, n - FLYING);
                survive_read(fd, &number, sizeof(number));
                SAME(number, got);
                SAME(read(fd, &number, 1), 0); /* its writer is gone */
                MUST(close(fd) == 0);
                *good = n;
                survive_nap(6);
        }
}

/* A server whose clients connect, write and wait in its queue while it naps. */
static void server(volatile uint64_t *good)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/tmp/survive-socket"};
        int s = socket(AF_UNIX, SOCK_STREAM, 0);
        uint64_t n, got;

        unlink(a.sun_path);
        MUST(s >= 0 && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 4) == 0);
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (n = 0;; n++) {
                        int c = socket(AF_UNIX, SOCK_STREAM, 0);

                        MUST(c >= 0 && connect(c, (struct sockaddr *)&a, sizeof(a)) == 0);
                        survive_write(c, &n, sizeof(n));
                        if (n % 3 == 0) { /* waits for the answer; others leave */
                                survive_read(c, &got, sizeof(got));
                                SAME(got, n * 3);
                        }
                        MUST(close(c) == 0);
                }
        }
        for (n = 0;; n++) {
                struct ucred who;
                socklen_t len = sizeof(who);
                int c = accept(s, NULL, NULL);

                MUST(c >= 0);
                survive_read(c, &got, sizeof(got));
                SAME(got, n);
                MUST(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == 0 && who.pid > 0);
                if (n % 3 == 0) {
                        got *= 3;
                        survive_write(c, &got, sizeof(got));
                }
                SAME(read(c, &got, 1), 0);
                MUST(close(c) == 0);
                *good = n + 1;
                survive_nap(6);
        }
}

/* Datagrams of growing length, several in the queue. */
static void datagrams(volatile uint64_t *good)
{
        static uint8_t in[3000], out[3000];
        int s[2];

        MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
        for (uint64_t n = 0;; n++) {
                for (uint64_t i = 0; i < 4; i++) {
                        size_t len = 1 + (n * 4 + i) * 37 % sizeof(out);

                        memset(out, (int)(n + i), len);
                        SAME(send(s[0], out, len, 0), (long)len);
                }
                survive_nap(8);
                for (uint64_t i = 0; i < 4; i++) {
                        size_t len = 1 + (n * 4 + i) * 37 % sizeof(out);

                        SAME(recv(s[1], in, sizeof(in), 0), (long)len);
                        for (size_t k = 0; k < len; k++)
                                SAME(in[k], (uint8_t)(n + i));
                }
                SAME(recv(s[1], in, sizeof(in), MSG_DONTWAIT), -1);
                SAME(errno, EAGAIN);
                *good = n + 1;
        }
}

int main(void)
{
        survive_begin("unix");
        survive_part(flight);
        survive_part(server);
        survive_part(datagrams);
        survive_watch();
}
