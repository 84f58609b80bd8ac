/*
 * program.h - programs of the test assembler, a file each (tests/pvm/programs).
 *
 * A program is the classes in its file; .main runs. Lines that begin with "#>" are what it prints, "#failures N" is how many threads end with an exception,
 * "#heap MB" a limit, "#calm": it would take too long in a hostile machine.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct program {
        char expected[1 << 14];
        unsigned failures;
        uint64_t heap_bytes;
        bool calm;
};

/* Its classes go to the folder, as class files. Ends the process when the file cannot be read. */
void program_read(const char *path, const char *folder, struct program *p);
void program_write_class(const char *folder, const char *name, const char *text);
/* A class file of that name; it takes the file. */
void program_write_file(const char *folder, const char *name, uint8_t *file, size_t size);
