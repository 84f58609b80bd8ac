/* phantom.c - see phantom.h. One connection a request. */
#define _GNU_SOURCE
#include "pvm/client/phantom.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 4096u /* bytes of a call; the machine's side takes a little more */

int phantom_folder(char *path, size_t len, int make)
{
        struct stat st;
        int n = snprintf(path, len, "/tmp/pvm-%u", (unsigned)geteuid());

        if (n < 0 || (size_t)n >= len) {
                errno = ENAMETOOLONG;
                return -1;
        }
        if ((make && mkdir(path, 0700) && errno != EEXIST) || lstat(path, &st))
                return -1;
        if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077))
                return 0;
        errno = EPERM;
        return -1;
}

/* -1, errno. What a killed program left behind goes. */
static int connect_to(long program)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char folder[64];
        int fd, error;

        if (phantom_folder(folder, sizeof(folder), 0))
                return -1;
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%ld", folder, program);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || !connect(fd, (struct sockaddr *)&address, sizeof(address)))
                return fd;
        error = errno;
        close(fd);
        if (error == ECONNREFUSED)
                unlink(address.sun_path);
        errno = error;
        return -1;
}

static int send_all(int fd, const char *text, size_t len)
{
        while (len) {
                ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -1;
                text += n;
                len -= (size_t)n;
        }
        return 0;
}

/* All there is to the end, with a NUL; NULL: errno. */
static char *receive_all(int fd, size_t *len)
{
        size_t cap = 4096;
        char *text = malloc(cap);
        ssize_t n = 1;

        for (*len = 0; text && n;) {
                char *more;

                n = recv(fd, text + *len, cap - *len - 1, 0);
                if (n < 0 && errno != EINTR) {
                        free(text);
                        return NULL;
                }
                *len += n > 0 ? (size_t)n : 0;
                if (cap - *len > 1)
                        continue;
                more = realloc(text, cap *= 2);
                if (!more)
                        free(text);
                text = more;
        }
        if (text)
                text[*len] = 0;
        return text;
}

int phantom_request(long program, const char *request, char **answer)
{
        int fd = connect_to(program), error, r = -1;
        size_t len = strlen(request);
        char *text = NULL;

        *answer = NULL;
        if (fd < 0)
                return -1;
        if (!send_all(fd, request, len) && !send_all(fd, "\n", 1))
                text = receive_all(fd, &len);
        error = errno;
        close(fd);
        errno = error;
        if (!text)
                return -1;
        if (len < 3 || (strncmp(text, "ok\n", 3) && strncmp(text, "no ", 3))) {
                free(text);
                errno = ENODATA;
                return -1;
        }
        r = text[0] == 'o' ? PHANTOM_OK : PHANTOM_REFUSED;
        memmove(text, text + 3, len - 2);
        *answer = text;
        return r;
}

static void encode(FILE *f, const char *word)
{
        for (; *word; word++)
                if (*word == '%' || *word == ' ' || *word == '\n')
                        fprintf(f, "%%%02x", (unsigned)*word);
                else
                        fputc(*word, f);
}

static int say(long program, const char *request, unsigned nwords, const char *const *words, char **answer)
{
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        int r = -1;

        *answer = NULL;
        if (!f)
                return -1;
        fputs(request, f);
        for (unsigned i = 0; i < nwords; i++) {
                fputc(' ', f);
                encode(f, words[i]);
        }
        if (fclose(f))
                return -1;
        if (len <= REQUEST_MAX + strlen(request))
                r = phantom_request(program, text, answer);
        else
                errno = E2BIG;
        free(text);
        return r;
}

int phantom_call(long program, const char *path, const char *method, const char *const *arguments, unsigned narguments,
                 char **result)
{
        const char **words = calloc(narguments + 2ul, sizeof(*words));
        int r;

        *result = NULL;
        if (!words)
                return -1;
        words[0] = path;
        words[1] = method;
        for (unsigned i = 0; i < narguments; i++)
                words[i + 2] = arguments[i];
        r = say(program, "call", narguments + 2, words, result);
        free(words);
        return r;
}

int phantom_start(long program, const char *const *words, unsigned nwords, char **thread)
{
        return say(program, "start", nwords, words, thread);
}
