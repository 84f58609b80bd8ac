/*
 * program.h - programs of the test assembler, a file each (tests/pvm/programs).
 *
 * A program is the classes in its file; .main runs. Lines that begin with "#>" are what it prints, "#failures N" is how many threads end with an exception,
 * "#heap MB" a limit, "#calm": it would take too long in a hostile machine, "#life N": on a store it is killed after so many commits, at most. A class that is there again is its
 * next version: when the program prints "load .name 2", it is loaded at the next safepoint, and what pvm_load says of it is printed.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pvm_host;

struct program {
        char expected[1 << 14];
        unsigned failures;
        uint64_t heap_bytes;
        bool calm;
        unsigned life;
};

/* Its classes go to the folder, as class files. Ends the process when the file cannot be read. */
void program_read(const char *path, const char *folder, struct program *p);
/*
 * For programs that load versions of their classes. program_host: the host's operations, to be used as pvm_host's, that find the version that was asked for; program_watch looks at what
 * the program has printed; program_load is called at each safepoint.
 */
const struct pvm_host *program_host(const struct pvm_host *host);
void program_watch(const char *text, size_t len);
void program_load(void (*print)(const char *text, size_t len));

void program_write_class(const char *folder, const char *name, const char *text);
/* A class file of that name; it takes the file. */
void program_write_file(const char *folder, const char *name, uint8_t *file, size_t size);
