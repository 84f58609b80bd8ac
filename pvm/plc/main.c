/*
 * main.c - plc, the compiler of the Phantom language: options, files in, class files out.
 *
 * Exit status 0: all class files are written; 1: errors, and none is.
 */
#include "pvm/plc/plc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SOURCE (1u << 30)

static const char usage[] = "usage: plc [-o DIR] [-L DIR]... [--original] [-w] FILE.ph...\n"
                            "  -o DIR      class files go to DIR (present folder)\n"
                            "  -L DIR      look for the class files of other classes here\n"
                            "  --original  & and | bind tighter than *, as in the original\n"
                            "  -w          no warnings\n";

char *read_whole(const char *path, size_t limit, size_t *len)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return NULL;
        char *data = NULL;
        size_t cap = 0, n = 0;
        struct stat st;
        if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
                close(fd);
                errno = EISDIR;
                return NULL;
        }
        data = grown(data, &cap, st.st_size > 0 && (size_t)st.st_size < limit ? (size_t)st.st_size + 2 : 65536, 1);
        for (;;) {
                ssize_t got = read(fd, data + n, cap - 1 - n);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0 || n + (size_t)got > limit) {
                        int error = got < 0 ? errno : EFBIG;
                        free(data);
                        close(fd);
                        errno = error;
                        return NULL;
                }
                if (!got)
                        break;
                n += (size_t)got;
                if (n + 1 >= cap)
                        data = grown(data, &cap, cap * 2, 1);
        }
        close(fd);
        data[n] = 0;
        *len = n;
        return data;
}

static void add_source(struct run *run, const char *path)
{
        size_t len = 0;
        char *text = read_whole(path, MAX_SOURCE, &len);
        if (!text) {
                error_plain("%s: %s", path, strerror(errno));
                return;
        }
        struct source *source = arena_alloc(&permanent, sizeof(*source));
        bool marked = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3); /* as some editors begin UTF-8 */
        source->path = path;
        source->text = text + 3 * marked;
        source->len = (uint32_t)(len - 3 * marked);
        *run->sources_end = source;
        run->sources_end = &source->next;
}

static bool make_folders(char *path)
{
        for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                int failed = mkdir(path, 0777) && errno != EEXIST;
                *slash = '/';
                if (failed)
                        return false;
        }
        return true;
}

/* Writes beside and renames, so that a file is whole or not there. */
static bool write_file(struct output *output)
{
        size_t room = strlen(output->path) + 8;
        char *beside = arena_alloc(&permanent, room);
        snprintf(beside, room, "%s.new", output->path);
        if (!make_folders(beside))
                return false;
        int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0)
                return false;
        for (size_t done = 0; done < output->len;) {
                ssize_t n = write(fd, output->data + done, output->len - done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        int error = errno;
                        close(fd);
                        unlink(beside);
                        errno = error;
                        return false;
                }
                done += (size_t)n;
        }
        if (close(fd) || rename(beside, output->path)) {
                int error = errno;
                unlink(beside);
                errno = error;
                return false;
        }
        return true;
}

static int write_outputs(struct run *run)
{
        for (struct output *output = run->outputs; output; output = output->next) {
                if (write_file(output))
                        continue;
                fprintf(stderr, "plc: %s: %s\n", output->path, strerror(errno));
                for (struct output *written = run->outputs; written != output; written = written->next)
                        unlink(written->path);
                return 1;
        }
        return 0;
}

int main(int argc, char **argv)
{
        struct run run = {.directory = "."};
        run.sources_end = &run.sources;
        run.classes_end = &run.classes;
        run.outputs_end = &run.outputs;
        run.paths = calloc((size_t)argc + 2, sizeof(*run.paths));
        bool files_only = false;
        for (int i = 1; i < argc && run.paths; i++) {
                const char *arg = argv[i];
                if (files_only || arg[0] != '-' || !arg[1]) {
                        add_source(&run, arg);
                } else if (!strcmp(arg, "--")) {
                        files_only = true;
                } else if (arg[1] == 'o' || arg[1] == 'L') {
                        const char *value = arg[2] ? arg + 2 : i + 1 < argc ? argv[++i] : NULL;
                        if (!value) {
                                fprintf(stderr, "plc: a folder expected behind %s\n%s", arg, usage);
                                return 1;
                        }
                        if (arg[1] == 'o')
                                run.directory = value;
                        else
                                run.paths[run.npaths++] = value;
                } else if (!strcmp(arg, "--original")) {
                        run.original = true;
                } else if (!strcmp(arg, "-w")) {
                        text_no_warnings = true;
                } else if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
                        fputs(usage, stdout);
                        return 0;
                } else {
                        fprintf(stderr, "plc: unknown option '%s'\n%s", arg, usage);
                        return 1;
                }
        }
#ifdef PVM_LIBRARY
        run.paths[run.npaths++] = PVM_LIBRARY;
#endif
        if (!run.sources) {
                if (!text_errors)
                        fputs(usage, stderr);
                return 1;
        }
        lex_init();
        classes_init(&run);
        for (struct source *source = run.sources; source; source = source->next)
                parse_file(&run, source);
        classes_link(&run);
        for (struct cls *cls = run.classes; cls; cls = cls->next)
                gen_class(&run, cls);
        if (text_errors) {
                fprintf(stderr, "plc: %u error%s\n", text_errors, text_errors == 1 ? "" : "s");
                return 1;
        }
        return write_outputs(&run);
}
