/* program.c - see program.h. */
#include "tests/pvm/program.h"
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

static void write_class(const char *folder, const char *text)
{
        char name[64];

        if (sscanf(text, "class .%63s", name) != 1)
                give_up(text);
        program_write_class(folder, name, text);
}

void program_read(const char *path, const char *folder, struct program *p)
{
        static char text[1 << 16];
        FILE *f = fopen(path, "r");
        char *line, *class = NULL;
        size_t n = 0, end = 0;

        if (!f)
                give_up(path);
        n = fread(text, 1, sizeof(text) - 1, f);
        text[n] = 0;
        fclose(f);
        *p = (struct program){.heap_bytes = 64ul << 20};
        for (line = text; *line;) {
                size_t len = strcspn(line, "\n");
                char *next = line + len + (line[len] == '\n');
                unsigned long heap;

                if (!strncmp(line, "#>", 2))
                        end += (size_t)snprintf(p->expected + end, sizeof(p->expected) - end, "%.*s\n",
                                                (int)(len > 3 ? len - 3 : 0), line + 3);
                sscanf(line, "#failures %u", &p->failures);
                if (sscanf(line, "#heap %lu", &heap) == 1)
                        p->heap_bytes = heap << 20;
                p->calm |= !strncmp(line, "#calm", 5);
                if (!strncmp(line, "class ", 6)) {
                        if (class) {
                                line[-1] = 0; /* the class before ends here */
                                write_class(folder, class);
                        }
                        class = line;
                }
                line = next;
        }
        write_class(folder, class);
}
