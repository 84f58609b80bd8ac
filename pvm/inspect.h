/*
 * inspect.h - looking into a machine from outside: its threads, classes and named objects as a tree of names.
 *
 *   /threads/ID   /classes/NAME   /objects/KEY   and behind each the members of the object: fields, elements, keys. In a key, % and / are %25 and %2f.
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
/* The object that is there; NULL: `why`. */
struct obj;
struct obj *inspect_object(const char *path, char *why, size_t why_len);
/* Each thread a line: number, state, class of what runs, where it is. */
void inspect_threads(inspect_put put, void *arg);
