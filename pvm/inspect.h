/*
 * inspect.h - looking into a machine from outside: its threads, classes and named objects as a tree of names.
 *
 *   /threads/ID   /classes/NAME   /objects/KEY   and behind each the members of the object: fields, elements, keys. In a key, % and / are %25 and %2f, control
 * bytes likewise; the keys ".", ".." and ".value" begin with %2e.
 *
 * At a safepoint only. Nothing of the program runs, nothing in the heap changes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef void (*inspect_put)(void *arg, const char *text, size_t len);

/* The names of what is there, one a line; with values: each with a tab and its value behind it. False, and `why`: no such path. */
bool inspect_list(const char *path, bool values, inspect_put put, void *arg, char *why, size_t why_len);
/* The printed form, one line. */
bool inspect_print(const char *path, inspect_put put, void *arg, char *why, size_t why_len);
/*
 * The same tree as files, for `pvm mount`. Folders are what has members, with the printed form of an object in .value; strings, numbers, null and binaries are files with the value in them, all but binaries with a line break behind it.
 * An object that is one of the folders on its own path is a link to it, and a class, a running thread or a named object is a link to where it stands in /classes, /threads, /objects. At the depth
 * INSPECT_DEPTH objects are files with the printed form: so a walk through all of it ends.
 *
 * what: a line, "d", TAB; or "f", TAB, size; or "l", TAB, target. look: for each member a line, its name, TAB, that. read: what is in the file, an object's printed form. False: `why`.
 */
#define INSPECT_DEPTH 16u
#define INSPECT_VALUE ".value"
bool inspect_what(const char *path, inspect_put put, void *arg, char *why, size_t why_len);
bool inspect_look(const char *path, inspect_put put, void *arg, char *why, size_t why_len);
bool inspect_read(const char *path, inspect_put put, void *arg, char *why, size_t why_len);
/* The object that is there; NULL: `why`. */
struct obj;
struct obj *inspect_object(const char *path, char *why, size_t why_len);
/* Each thread a line: number, state, class of what runs, where it is. */
void inspect_threads(inspect_put put, void *arg);
