/* program.c - see program.h. */
#include "tests/pvm/program.h"
#include "pvm/host.h"
#include "tests/pvm/asm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *path)
{
        perror(path);
        exit(2);
}

void program_write_file(const char *folder, const char *name, uint8_t *file, size_t size)
{
        char path[256];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s.pvmc", folder, name);
        f = fopen(path, "wb");
        if (!f || fwrite(file, 1, size, f) != size || fclose(f))
                give_up(path);
        free(file);
}

void program_write_class(const char *folder, const char *name, const char *text)
{
        size_t size;
        uint8_t *file = pvm_assemble(text, &size);

        program_write_file(folder, name, file, size);
}

/* Names of the classes of a program, as often as they are there. */
struct seen {
        char name[64][64];
        unsigned n;
};

static void write_class(const char *folder, const char *text, struct seen *seen)
{
        char *name = seen->name[seen->n++], file[80];
        unsigned version = 0;

        if (seen->n > 64 || sscanf(text, "class .%63s", name) != 1)
                give_up(text);
        for (unsigned i = 0; i < seen->n; i++)
                version += !strcmp(seen->name[i], name);
        snprintf(file, sizeof(file), version > 1 ? "%s@%u" : "%s", name, version);
        program_write_class(folder, file, text);
}

void program_read(const char *path, const char *folder, struct program *p)
{
        static char text[1 << 16];
        FILE *f = fopen(path, "r");
        char *line, *class = NULL;
        size_t n = 0, end = 0;
        struct seen seen = {.n = 0};

        if (!f)
                give_up(path);
        n = fread(text, 1, sizeof(text) - 1, f);
        text[n] = 0;
        fclose(f);
        *p = (struct program){.heap_bytes = 64ul << 20, .life = 200};
        for (line = text; *line;) {
                size_t len = strcspn(line, "\n");
                char *next = line + len + (line[len] == '\n');
                unsigned long heap;

                if (!strncmp(line, "#>", 2))
                        end += (size_t)snprintf(p->expected + end, sizeof(p->expected) - end, "%.*s\n",
                                                (int)(len > 3 ? len - 3 : 0), line + 3);
                sscanf(line, "#failures %u", &p->failures);
                sscanf(line, "#life %u", &p->life);
                if (sscanf(line, "#heap %lu", &heap) == 1)
                        p->heap_bytes = heap << 20;
                p->calm |= !strncmp(line, "#calm", 5);
                if (!strncmp(line, "class ", 6)) {
                        if (class) {
                                line[-1] = 0; /* the class before ends here */
                                write_class(folder, class, &seen);
                        }
                        class = line;
                }
                line = next;
        }
        write_class(folder, class, &seen);
}

/* ---- versions ---- */

static const struct pvm_host *real;
static struct pvm_host versions;
static struct {
        char name[64];
        unsigned version;
        bool wanted;
} next;

static int find_class(const char *name, size_t len, void **file, size_t *size)
{
        char other[80];
        int n = snprintf(other, sizeof(other), "%.*s@%u", (int)len, name, next.version);

        if (next.wanted && next.version > 1 && strlen(next.name) == len && !memcmp(next.name, name, len))
                return real->find_class(other, (size_t)n, file, size);
        return real->find_class(name, len, file, size);
}

const struct pvm_host *program_host(const struct pvm_host *host)
{
        real = host;
        versions = *host;
        versions.find_class = find_class;
        return &versions;
}

void program_watch(const char *text, size_t len)
{
        char line[100];

        snprintf(line, sizeof(line), "%.*s", (int)len, text);
        if (sscanf(line, "load %63s %u", next.name, &next.version) != 2)
                return;
        next.wanted = true;
        pvm_interrupt();
}

void program_load(void (*print)(const char *text, size_t len))
{
        char text[500];

        if (!next.wanted)
                return;
        pvm_load(next.name, text, sizeof(text) - 1);
        next.wanted = false;
        strcat(text, "\n");
        print(text, strlen(text));
}
