/*
 * client.c - see monitor.h. The command's side.
 */
#define _GNU_SOURCE
#include "pvm/host/monitor.h"
#include "pvm/client/phantom.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
        const char *name, *request;
        enum { MACHINE, PATH, THREAD, CLASS, METHOD, PROGRAM } argument;
} commands[] = {
        {"ps", "ps", MACHINE},    {"ls", "ls", PATH},       {"inspect", "print", PATH},
        {"load", "load", CLASS},  {"gc", "gc", MACHINE},    {"stat", "stat", MACHINE},
        {"stop", "stop", THREAD}, {"call", "call", METHOD}, {"start", "start", PROGRAM},
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

/* Says what is wrong, or prints the answer, each line behind `before`. */
static int tell(long pid, int r, const char *answer, const char *before)
{
        if (r < 0 && errno == E2BIG)
                fprintf(stderr, "pvm: these are too many arguments, or too long ones\n");
        else if (r < 0 && (errno == ENODATA || errno == EPIPE || errno == ECONNRESET))
                fprintf(stderr, "pvm: program %ld gave no answer\n", pid);
        else if (r < 0)
                fprintf(stderr, "pvm: program %ld: %s\n", pid,
                        errno == ENOENT || errno == ECONNREFUSED ? "no such program" : strerror(errno));
        else if (r)
                fprintf(stderr, "pvm: %s", answer);
        for (const char *line = answer, *end; !r && *line; line = end) {
                end = strchr(line, '\n');
                end = end ? end + 1 : line + strlen(line);
                printf("%s%.*s", before, (int)(end - line), line);
        }
        return r ? 1 : 0;
}

static int ask(long pid, const char *what, const char *argument, const char *before)
{
        char *request, *answer = NULL;
        int r;

        if (asprintf(&request, "%s %s", what, argument) < 0)
                return 1;
        r = phantom_request(pid, request, &answer);
        r = tell(pid, r, answer, before);
        free(request);
        free(answer);
        return r;
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
        int n = phantom_folder(folder, sizeof(folder), 0) ? 0 : scandir(folder, &entries, is_machine, versionsort);

        if (threads)
                printf("PID THREAD STATE WHAT\n");
        for (int i = 0; i < n; i++) {
                long pid = strtol(entries[i]->d_name, NULL, 10);
                char *answer = NULL;
                int r = phantom_request(pid, "ps ", &answer);
                bool dead = r < 0 && (errno == ENOENT || errno == ECONNREFUSED);

                free(entries[i]);
                if (dead) /* one that was killed */
                        continue;
                snprintf(before, sizeof(before), "%ld ", pid);
                if (threads)
                        tell(pid, r, answer, before);
                else
                        printf("%ld\n", pid);
                free(answer);
        }
        if (n > 0)
                free(entries);
        return 0;
}

static int usage(const struct command *c)
{
        fprintf(stderr, "usage: pvm %s %s\n", c->name,
                c->argument == CLASS     ? "PID .class.name"
                : c->argument == METHOD  ? "PID/PATH METHOD [ARGUMENT]..."
                : c->argument == PROGRAM ? "PID [-L DIR]... .class.name [ARGUMENT]..."
                : c->argument == PATH    ? "PID[/PATH]"
                : c->argument == THREAD  ? "PID[/threads/N]"
                                         : "PID");
        return 2;
}

static int call(long pid, const char *path, int nwords, char **words)
{
        char *answer = NULL;
        int r = phantom_call(pid, path, words[0], (const char *const *)words + 1, (unsigned)nwords - 1, &answer);

        r = tell(pid, r, answer, "");
        free(answer);
        return r;
}

static int start(long pid, int nwords, char **words)
{
        char *answer = NULL, before[32];
        int r, n = 0;

        for (; n + 1 < nwords && !strcmp(words[n], "-L"); n += 2) {
                char *folder = realpath(words[n + 1], NULL);

                if (!folder) {
                        fprintf(stderr, "pvm: %s: %s\n", words[n + 1], strerror(errno));
                        return 1;
                }
                words[n + 1] = folder;
        }
        if (n == nwords || words[n][0] != '.')
                return usage(command_of("start"));
        snprintf(before, sizeof(before), "%ld", pid);
        r = phantom_start(pid, (const char *const *)words, (unsigned)nwords, &answer);
        r = tell(pid, r, answer, before);
        free(answer);
        return r;
}

int monitor_command(int argc, char **argv)
{
        const struct command *c = command_of(argv[0]);
        char *end = NULL;
        bool with_path, more, enough;
        long pid;

        if (argc == 1 && (!strcmp(c->name, "ps") || !strcmp(c->name, "ls")))
                return all(!strcmp(c->name, "ps"));
        errno = 0;
        pid = argc > 1 ? strtol(argv[1], &end, 10) : 0;
        with_path = c->argument == PATH || c->argument == METHOD || c->argument == THREAD;
        more = c->argument == METHOD || c->argument == PROGRAM;
        enough = more ? argc >= 3 : argc == (c->argument == CLASS ? 3 : 2);
        if (!enough || errno || end == argv[1] || pid <= 0 || (*end && (!with_path || *end != '/')))
                return usage(c);
        if (c->argument == METHOD)
                return call(pid, end, argc - 2, argv + 2);
        if (c->argument == PROGRAM)
                return start(pid, argc - 2, argv + 2);
        if (strchr(argv[argc - 1], '\n')) {
                fprintf(stderr, "pvm: no name has a line break in it\n");
                return 2;
        }
        return ask(pid, c->request, c->argument == CLASS ? argv[2] : end, "");
}
