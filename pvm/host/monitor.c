/*
 * monitor.c - see monitor.h. The machine's side.
 */
#define _GNU_SOURCE
#include "pvm/host/monitor.h"
#include "pvm/client/phantom.h"
#include "pvm/format.h"
#include "pvm/host/host.h"
#include "pvm/host/store.h"
#include "pvm/inspect.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 4200u

bool monitor_stopped;
static int listener = -1;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char socket_path[sizeof(address.sun_path)]; /* of the socket */

void monitor_open(void)
{
        char folder[64];

        if (!phantom_folder(folder, sizeof(folder), 1)) {
                /* It gets its name when it listens: a client that is refused takes the name for a dead program's, and removes it. */
                snprintf(address.sun_path, sizeof(address.sun_path), "%s/.%ld", folder, (long)getpid());
                snprintf(socket_path, sizeof(socket_path), "%s/%ld", folder, (long)getpid());
                unlink(address.sun_path); /* of one that was killed, with the same number */
                listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                if (listener >= 0 && !bind(listener, (struct sockaddr *)&address, sizeof(address)) &&
                    !listen(listener, 16) && !rename(address.sun_path, socket_path))
                        return;
        }
        fprintf(stderr, "pvm: nobody will see into this program: %s: %s\n", folder, strerror(errno));
        if (listener >= 0)
                close(listener);
        listener = -1;
}

/* Calls whose method runs, and who waits for what it gives. */
static struct waiting {
        struct waiting *next;
        uint32_t call;
        int fd;
        FILE *f;
        char *text;
        size_t len;
} * waiting;

void monitor_close(void)
{
        if (listener < 0)
                return;
        while (waiting) {
                monitor_call_text(waiting->call, "the program has ended\n", 22);
                monitor_call_ended(waiting->call, false);
        }
        unlink(socket_path);
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
        fprintf(f, "collections %lu\ncollections_on_images %lu\ncollections_us %lu\n", s.collections, s.images,
                s.full_ns / 1000);
        fprintf(f, "young_collections %lu\nyoung_collections_us %lu\nlongest_pause_us %lu\n", s.young,
                s.young_ns / 1000, s.longest_ns / 1000);
        fprintf(f, "snapshots %lu\nsnapshot_pages %lu\n", heap_store_commits(), heap_store_pages());
        fprintf(f, "blocks %lu\nallocated_bytes %lu\nlive_bytes %lu\n", s.blocks, s.allocated, s.live);
}

/* In place. */
static void decode(char *word)
{
        char *to = word;

        for (char *p = word; *p; p++) {
                char digits[3] = {p[1], p[1] ? p[2] : (char)0, 0}, *end = NULL;
                long byte = *p == '%' ? strtol(digits, &end, 16) : 0;

                if (byte > 0 && end == digits + 2) {
                        *to++ = (char)byte;
                        p += 2;
                } else {
                        *to++ = *p;
                }
        }
        *to = 0;
}

/* In place: words, separated by one space each. How many; at most `most` are looked for, and *words, if it is not NULL, is what is behind these. */
static unsigned split(char **words, const char **word, unsigned most)
{
        unsigned n = 0;

        while (*words && n < most) {
                char *next = strchr(*words, ' ');

                if (next)
                        *next++ = 0;
                decode(*words);
                word[n++] = *words;
                *words = next;
        }
        return n;
}

static bool start(char *words, FILE *f, char *why, size_t why_len)
{
        const char *word[REQUEST_MAX / 2];
        unsigned n = split(&words, word, REQUEST_MAX / 2), at = 0;
        uint32_t thread;

        for (; at + 1 < n && !strcmp(word[at], "-L"); at += 2)
                if (!hosted_pvm_folder(word[at + 1])) {
                        snprintf(why, why_len, "too many folders");
                        return false;
                }
        if (at == n) {
                snprintf(why, why_len, "no class");
                return false;
        }
        thread = pvm_start(word[at], word + at + 1, n - at - 1, why, why_len);
        if (!thread)
                return false;
        fprintf(f, "/threads/%u\n", thread);
        return true;
}

static bool obey(const char *what, char *path, FILE *f, char *why, size_t why_len)
{
        if (!strcmp(what, "ls"))
                return inspect_list(path, true, put, f, why, why_len);
        if (!strcmp(what, "print"))
                return inspect_print(path, put, f, why, why_len);
        if (!strcmp(what, "what"))
                return inspect_what(path, put, f, why, why_len);
        if (!strcmp(what, "look"))
                return inspect_look(path, put, f, why, why_len);
        if (!strcmp(what, "read"))
                return inspect_read(path, put, f, why, why_len);
        if (!strcmp(what, "start"))
                return start(path, f, why, why_len);
        if (!strcmp(what, "load")) {
                bool ok = pvm_load(path, why, why_len);

                if (ok)
                        fprintf(f, "%s\n", why);
                return ok;
        }
        if (!strcmp(what, "ps")) {
                inspect_threads(put, f);
        } else if (!strcmp(what, "gc")) {
                pvm_collect();
        } else if (!strcmp(what, "stat")) {
                stat_put(f);
        } else if (!strcmp(what, "stop") && *path) {
                return pvm_stop_program(path, why, why_len);
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
                do /* a call with a time limit is not restarted behind a signal (signal(7)), and ticks are signals */
                        n = send(fd, text, len, MSG_NOSIGNAL);
                while (n < 0 && errno == EINTR);
                if (n <= 0)
                        return false;
        }
        return true;
}

static void reply(int fd, bool ok, const char *text, size_t len)
{
        if (send_all(fd, ok ? "ok\n" : "no ", 3))
                send_all(fd, text, len);
}

static struct waiting **who_waits(uint32_t call)
{
        struct waiting **p = &waiting;

        while (*p && (*p)->call != call)
                p = &(*p)->next;
        return p;
}

void monitor_call_text(uint32_t call, const char *text, size_t len)
{
        struct waiting *w = *who_waits(call);

        if (w)
                fwrite(text, 1, len, w->f);
}

void monitor_call_ended(uint32_t call, bool ok)
{
        struct waiting **p = who_waits(call), *w = *p;

        if (!w)
                return; /* it was made in another life of the machine */
        *p = w->next;
        if (!fclose(w->f))
                reply(w->fd, ok, w->text, w->len);
        close(w->fd);
        free(w->text);
        free(w);
}

/* The connection is kept until the method has returned; false: `why`. */
static bool call(int fd, char *words, char *why, size_t why_len)
{
        const char *word[PVM_MAX_ARGS + 2];
        struct waiting *w;
        unsigned n = split(&words, word, PVM_MAX_ARGS + 2);

        if (n < 2 || words) {
                snprintf(why, why_len, words ? "too many arguments" : "no method");
                return false;
        }
        w = calloc(1, sizeof(*w));
        if (w)
                w->f = open_memstream(&w->text, &w->len);
        if (!w || !w->f) {
                snprintf(why, why_len, "no memory");
                free(w);
                return false;
        }
        if (!pvm_call(word[0], word[1], word + 2, n - 2, &w->call, why, why_len)) {
                fclose(w->f);
                free(w->text);
                free(w);
                return false;
        }
        w->fd = fd;
        w->next = waiting;
        waiting = w;
        return true;
}

/* A line, of which the first word is `request` and the rest what is returned; NULL: nothing of the kind came. */
static char *receive(int fd, char *request, size_t size)
{
        size_t n = 0;
        ssize_t got;
        char *end;

        while (n < size && !memchr(request, '\n', n)) {
                do
                        got = recv(fd, request + n, size - n, 0);
                while (got < 0 && errno == EINTR);
                if (got <= 0)
                        return NULL;
                n += (size_t)got;
        }
        end = memchr(request, '\n', n);
        if (!end)
                return NULL;
        *end = 0;
        request += strcspn(request, " ");
        if (*request)
                *request++ = 0;
        return request;
}

/* True: the connection is still needed. */
static bool answer(int fd)
{
        struct timeval patience = {.tv_sec = 10}; /* the asker's pages may have to come from the disk first */
        char request[REQUEST_MAX], why[500], *rest, *text = NULL;
        size_t len = 0;
        FILE *f;
        bool ok;

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        rest = receive(fd, request, sizeof(request));
        if (!rest)
                return false;
        if (!strcmp(request, "call")) {
                if (call(fd, rest, why, sizeof(why) - 1))
                        return true;
                strcat(why, "\n");
                reply(fd, false, why, strlen(why));
                return false;
        }
        f = open_memstream(&text, &len);
        if (!f)
                return false;
        ok = obey(request, rest, f, why, sizeof(why));
        if (!ok)
                fprintf(f, "%s\n", why);
        if (!fclose(f))
                reply(fd, ok, text, len);
        free(text);
        return false;
}

void monitor_serve(void)
{
        int fd;

        while (listener >= 0 && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
                if (!answer(fd))
                        close(fd);
}
