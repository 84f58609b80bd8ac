/*
 * programs.c - see programs.h.
 *
 * What lies in /tmp/pvm-UID is its user's: any name there may be a link to anywhere, also to a file that this same server would have to be asked for, or a socket of something else. So no path of
 * his is followed: the socket itself is opened (O_PATH), connected through /proc/self/fd, and nothing is sent before the kernel has said who listens.
 */
#define _GNU_SOURCE
#include "pvm/host/programs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SECOND      1000000000ul
#define PATIENCE_NS (3 * SECOND)
#define MUTE_NS     (5 * SECOND)
#define ANSWER_MAX  (8u << 20)
#define START_FIELD 22 /* of /proc/PID/stat, from 1 on; proc(5) */
#define RETRY_MS    10

uint64_t monotonic_now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* ---- who it is ---- */

static bool start_of(int pid, uint64_t *start)
{
        char path[32], text[1024], *p, *end;
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[n < 0 ? 0 : n] = 0;
        p = strrchr(text, ')'); /* the name before it may hold anything */
        for (int field = 2; p && field < START_FIELD; field++) {
                p = strchr(p, ' ');
                p += p ? 1 : 0;
        }
        *start = p ? strtoull(p, &end, 10) : 0;
        return p && end != p;
}

bool program_find(int pid, struct program *p)
{
        char path[32];
        struct stat st;
        uint64_t start;

        snprintf(path, sizeof(path), "/proc/%d", pid);
        if (stat(path, &st) || (geteuid() && st.st_uid != geteuid()) || !start_of(pid, &start))
                return false;
        *p = (struct program){.pid = pid, .uid = st.st_uid, .gid = st.st_gid, .start = start};
        return true;
}

bool program_is_there(const struct program *p)
{
        struct program now;

        return program_find(p->pid, &now) && now.start == p->start && now.uid == p->uid;
}

/* ---- a connection ---- */

/* The socket's file, -errno. */
static int socket_file(const struct program *p)
{
        char name[32];
        struct stat st;
        int folder, fd;

        snprintf(name, sizeof(name), "/tmp/pvm-%u", p->uid);
        folder = open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0)
                return -errno;
        snprintf(name, sizeof(name), "%d", p->pid);
        fd = fstat(folder, &st) || st.st_uid != p->uid || st.st_mode & 077
                     ? -EPERM
                     : openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd == -1)
                fd = -errno;
        close(folder);
        if (fd >= 0 && (fstat(fd, &st) || !S_ISSOCK(st.st_mode))) {
                close(fd);
                fd = -EPERM;
        }
        return fd;
}

/* The process that listens is the one that is meant. */
static bool is_peer(const struct program *p, int fd)
{
        struct ucred who;
        socklen_t len = sizeof(who);

        return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) && who.pid == p->pid && who.uid == p->uid;
}

/* Never blocks. -EAGAIN: there are many others before us. */
static int connect_to(const struct program *p)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int file = socket_file(p), fd, r = 0;

        if (file < 0)
                return file;
        snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", file);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
                r = -errno;
        else if (!is_peer(p, fd))
                r = -EPERM;
        close(file);
        if (r && fd >= 0)
                close(fd);
        return r ? r : fd;
}

bool program_listens(const struct program *p)
{
        int fd = connect_to(p);

        if (fd >= 0)
                close(fd);
        return fd >= 0 || fd == -EAGAIN;
}

/* ---- a request ---- */

static int until(uint64_t deadline)
{
        uint64_t now = monotonic_now();

        return now < deadline ? (int)((deadline - now) / 1000000 + 1) : 0;
}

/* 0, or -ETIMEDOUT. */
static int wait_for(int fd, short events, uint64_t deadline)
{
        struct pollfd p = {.fd = fd, .events = events};
        int ms = until(deadline);

        if (!ms)
                return -ETIMEDOUT;
        poll(&p, 1, ms);
        return 0;
}

static int connect_within(const struct program *p, uint64_t deadline)
{
        int fd;

        while ((fd = connect_to(p)) == -EAGAIN) {
                if (!until(deadline))
                        return -ETIMEDOUT;
                poll(NULL, 0, RETRY_MS);
        }
        return fd;
}

static int send_within(int fd, const char *text, size_t len, uint64_t deadline)
{
        int r = 0;

        while (len && !r) {
                ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        return -errno;
                if (n < 0 && errno == EAGAIN)
                        r = wait_for(fd, POLLOUT, deadline);
                text += n > 0 ? n : 0;
                len -= n > 0 ? (size_t)n : 0;
        }
        return r;
}

/* All there is to the end. */
static int receive_within(int fd, char **text, size_t *len, uint64_t deadline)
{
        size_t cap = 0;
        ssize_t n = 1;
        int r = 0;

        *text = NULL;
        *len = 0;
        while (n && !r) {
                if (*len == cap) {
                        char *more = cap < ANSWER_MAX ? realloc(*text, cap ? cap * 2 : 512) : NULL;

                        if (!more) {
                                r = cap < ANSWER_MAX ? -ENOMEM : -EFBIG;
                                break;
                        }
                        *text = more;
                        cap = cap ? cap * 2 : 512;
                }
                n = recv(fd, *text + *len, cap - *len, 0);
                if (n > 0)
                        *len += (size_t)n;
                else if (n < 0 && errno == EAGAIN)
                        r = wait_for(fd, POLLIN, deadline);
                else if (n < 0 && errno != EINTR)
                        r = -errno;
        }
        if (r)
                free(*text);
        return r;
}

/* "ok", or "no" and the reason; it is not needed. */
static int take_answer(char **text, size_t *len)
{
        bool ok = *len >= 3 && !memcmp(*text, "ok\n", 3), no = *len >= 3 && !memcmp(*text, "no ", 3);
        char *less;

        if (!ok) {
                free(*text);
                return no ? -ENOENT : -EIO;
        }
        *len -= 3;
        memmove(*text, *text + 3, *len);
        less = realloc(*text, *len + 1); /* it may be kept for long */
        *text = less ? less : *text;
        return 0;
}

int program_ask(struct program *p, const char *request, const char *path, char **text, size_t *len)
{
        uint64_t now = monotonic_now(), deadline = now + PATIENCE_NS;
        char line[4200];
        int n = snprintf(line, sizeof(line), "%s %s\n", request, path), fd, r;

        if (n < 0 || (size_t)n >= sizeof(line))
                return -ENAMETOOLONG;
        if (!program_is_there(p))
                return -ESTALE;
        if (now < p->mute_until)
                return -EIO;
        r = fd = connect_within(p, deadline);
        if (fd >= 0) {
                r = send_within(fd, line, (size_t)n, deadline);
                if (!r)
                        r = receive_within(fd, text, len, deadline);
                close(fd);
        }
        if (!r)
                r = take_answer(text, len);
        if (r == -ETIMEDOUT)
                p->mute_until = monotonic_now() + MUTE_NS;
        if (!r || r == -ENOENT || r == -EFBIG || r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return fd == -ENOENT ? -ESTALE : r; /* its socket is gone: it is about to end */
        return program_is_there(p) && fd != -ECONNREFUSED ? -EIO : -ESTALE;
}
