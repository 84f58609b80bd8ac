/*
 * client.c - see monitor.h. The command's side.
 */
#define _GNU_SOURCE
#include "pvm/host/monitor.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 4096u /* bytes of a call; the machine's side takes a little more */

static const struct command {
        const char *name, *request;
        enum { MACHINE, PATH, CLASS, METHOD } argument;
} commands[] = {
        {"ps", "ps", MACHINE}, {"ls", "ls", PATH},        {"inspect", "print", PATH}, {"load", "load", CLASS},
        {"gc", "gc", MACHINE}, {"stat", "stat", MACHINE}, {"stop", "stop", MACHINE},  {"call", "call", METHOD},
};

static const struct command *command_of(const char *name)
{
        for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
                if (!strcmp(commands[i].name, name))
                        return &commands[i];
        return NULL;
}

bool monitor_is_command(const char *name)
{
        return command_of(name);
}

/* A connection to the machine; -1, errno. What a killed one left behind goes. */
static int machine(long pid)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char folder[64];
        int fd, error;

        if (!monitor_folder(folder, sizeof(folder), false))
                return -1;
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%ld", folder, pid);
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

/* Sends the request; the answer, without its first line, goes to stdout, each line behind `before`. */
static int ask(long pid, const char *what, const char *path, const char *before)
{
        int fd = machine(pid), status = 1;
        char *line = NULL;
        size_t cap = 0;
        FILE *f = fd < 0 ? NULL : fdopen(fd, "r+");

        if (!f) {
                fprintf(stderr, "pvm: program %ld: %s\n", pid,
                        errno == ENOENT || errno == ECONNREFUSED ? "no such program" : strerror(errno));
                if (fd >= 0)
                        close(fd);
                return 1;
        }
        fprintf(f, "%s %s\n", what, path);
        fflush(f);
        if (getline(&line, &cap, f) <= 0) {
                fprintf(stderr, "pvm: program %ld gave no answer\n", pid);
        } else if (!strncmp(line, "no ", 3)) {
                fprintf(stderr, "pvm: %s", line + 3);
                while (getline(&line, &cap, f) > 0)
                        fputs(line, stderr);
        } else {
                status = 0;
                while (getline(&line, &cap, f) > 0)
                        printf("%s%s", before, line);
        }
        free(line);
        fclose(f);
        return status;
}

static int is_machine(const struct dirent *e)
{
        return isdigit((unsigned char)e->d_name[0]);
}

/* All machines of this user: their numbers, or their threads. */
static int all(bool threads)
{
        struct dirent **entries;
        char folder[64], before[32];
        int n = monitor_folder(folder, sizeof(folder), false) ? scandir(folder, &entries, is_machine, versionsort) : 0;

        if (threads)
                printf("PID THREAD STATE WHAT\n");
        for (int i = 0; i < n; i++) {
                long pid = strtol(entries[i]->d_name, NULL, 10);
                int fd = machine(pid);

                free(entries[i]);
                if (fd < 0)
                        continue;
                close(fd);
                snprintf(before, sizeof(before), "%ld ", pid);
                if (threads)
                        ask(pid, "ps", "", before);
                else
                        printf("%ld\n", pid);
        }
        if (n > 0)
                free(entries);
        return 0;
}

static void encode(FILE *f, const char *word)
{
        for (; *word; word++)
                if (*word == '%' || *word == ' ' || *word == '\n')
                        fprintf(f, "%%%02x", (unsigned)*word);
                else
                        fputc(*word, f);
}

static int call(long pid, const char *path, int nwords, char **words)
{
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        int status = 1;

        if (!f)
                return 1;
        encode(f, path);
        for (int i = 0; i < nwords; i++) {
                fputc(' ', f);
                encode(f, words[i]);
        }
        if (!fclose(f) && len < REQUEST_MAX)
                status = ask(pid, "call", text, "");
        else
                fprintf(stderr, "pvm: these are too many arguments, or too long ones\n");
        free(text);
        return status;
}

int monitor_command(int argc, char **argv)
{
        const struct command *c = command_of(argv[0]);
        char *end = NULL;
        bool with_path, enough;
        long pid;

        signal(SIGPIPE, SIG_IGN); /* a machine that hangs up is said, like one that gives no answer */
        if (argc == 1 && (!strcmp(c->name, "ps") || !strcmp(c->name, "ls")))
                return all(!strcmp(c->name, "ps"));
        errno = 0;
        pid = argc > 1 ? strtol(argv[1], &end, 10) : 0;
        with_path = c->argument == PATH || c->argument == METHOD;
        enough = c->argument == METHOD ? argc >= 3 : argc == (c->argument == CLASS ? 3 : 2);
        if (!enough || errno || end == argv[1] || pid <= 0 || (*end && (!with_path || *end != '/'))) {
                fprintf(stderr, "usage: pvm %s %s\n", c->name,
                        c->argument == CLASS    ? "PID .class.name"
                        : c->argument == METHOD ? "PID/PATH METHOD [ARGUMENT]..."
                        : c->argument == PATH   ? "PID[/PATH]"
                                                : "PID");
                return 2;
        }
        if (c->argument == METHOD)
                return call(pid, end, argc - 2, argv + 2);
        if (strchr(argv[argc - 1], '\n')) {
                fprintf(stderr, "pvm: no name has a line break in it\n");
                return 2;
        }
        return ask(pid, c->request, c->argument == CLASS ? argv[2] : end, "");
}
