/*
 * monitor.c - see monitor.h. The machine's side.
 */
#define _GNU_SOURCE
#include "pvm/host/monitor.h"
#include "pvm/host.h"
#include "pvm/inspect.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

bool monitor_stopped;
static int listener = -1;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

bool monitor_folder(char *path, size_t len, bool make)
{
        struct stat st;
        int n = snprintf(path, len, "/tmp/pvm-%u", (unsigned)geteuid());

        if (n < 0 || (size_t)n >= len)
                return false;
        if (make && mkdir(path, 0700) && errno != EEXIST)
                return false;
        if (lstat(path, &st))
                return false;
        errno = EPERM;
        return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077);
}

void monitor_open(void)
{
        char folder[64];

        if (monitor_folder(folder, sizeof(folder), true)) {
                snprintf(address.sun_path, sizeof(address.sun_path), "%s/%ld", folder, (long)getpid());
                unlink(address.sun_path); /* of one that was killed, with the same number */
                listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                if (listener >= 0 && !bind(listener, (struct sockaddr *)&address, sizeof(address)) &&
                    !listen(listener, 16))
                        return;
        }
        fprintf(stderr, "pvm: nobody will see into this program: %s: %s\n", folder, strerror(errno));
        if (listener >= 0)
                close(listener);
        listener = -1;
}

void monitor_close(void)
{
        if (listener < 0)
                return;
        unlink(address.sun_path);
        close(listener);
        listener = -1;
}

int monitor_fd(void)
{
        return listener;
}

static void put(void *f, const char *text, size_t len)
{
        fwrite(text, 1, len, f);
}

static void stat_put(FILE *f)
{
        struct pvm_stats s;

        pvm_stats(&s);
        fprintf(f, "collections %lu\nblocks %lu\nallocated_bytes %lu\nlive_bytes %lu\n", s.collections, s.blocks,
                s.allocated, s.live);
}

static bool obey(const char *what, const char *path, FILE *f, char *why, size_t why_len)
{
        if (!strcmp(what, "ls"))
                return inspect_list(path, true, put, f, why, why_len);
        if (!strcmp(what, "print"))
                return inspect_print(path, put, f, why, why_len);
        if (!strcmp(what, "load"))
                return pvm_load(path, why, why_len);
        if (!strcmp(what, "ps")) {
                inspect_threads(put, f);
        } else if (!strcmp(what, "gc")) {
                pvm_collect();
        } else if (!strcmp(what, "stat")) {
                stat_put(f);
        } else if (!strcmp(what, "stop")) {
                monitor_stopped = true;
                pvm_stop();
        } else {
                snprintf(why, why_len, "no such request");
                return false;
        }
        return true;
}

/* All of it, or the other side is gone or has fallen asleep. */
static bool send_all(int fd, const char *text, size_t len)
{
        for (ssize_t n; len; text += n, len -= (size_t)n) {
                n = send(fd, text, len, MSG_NOSIGNAL);
                if (n <= 0)
                        return false;
        }
        return true;
}

static void answer(int fd)
{
        struct timeval patience = {.tv_sec = 1};
        char request[4200], why[500], *path, *text = NULL;
        size_t n = 0, len = 0;
        ssize_t got;
        FILE *f;
        bool ok;

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        while (n < sizeof(request) && !memchr(request, '\n', n)) {
                got = recv(fd, request + n, sizeof(request) - n, 0);
                if (got <= 0)
                        return;
                n += (size_t)got;
        }
        path = memchr(request, '\n', n);
        if (!path)
                return;
        *path = 0;
        path = request + strcspn(request, " ");
        if (*path)
                *path++ = 0;
        f = open_memstream(&text, &len);
        if (!f)
                return;
        ok = obey(request, path, f, why, sizeof(why));
        if (fclose(f) || (ok && !send_all(fd, "ok\n", 3)))
                ok = false;
        else if (ok)
                send_all(fd, text, len);
        else if (send_all(fd, "no ", 3) && send_all(fd, why, strlen(why)))
                send_all(fd, "\n", 1);
        free(text);
}

void monitor_serve(void)
{
        int fd;

        while (listener >= 0 && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                answer(fd);
                close(fd);
        }
}
