/*
 * phantom.h - for Unix programs that talk with programs of the object machine (`pvm run`) of the same user: libphantom.a. Any thread may call any of it at any time; SIGPIPE is not raised.
 * What comes back is text with a NUL at its end, by malloc; the caller frees it, whatever the result was.
 */
#pragma once
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif

enum { PHANTOM_OK = 0, PHANTOM_REFUSED = 1 };

/*
 * Calls the method of the object at the path ("/objects/bank": inspect.h, `pvm ls PID`) in the program with this process number. Arguments are text; where the method wants a number, one is read. Waits until the
 * method has returned: PHANTOM_OK, and *result is what it gave, printed, each line ended; PHANTOM_REFUSED: *result is why not, or what was thrown, with its trace; -1: errno. ENOENT, ECONNREFUSED: no such
 * program; E2BIG: more than 4 KiB of arguments; ENODATA: the program ended before the method did; EPERM: the folder of the user's programs is not the user's alone.
 */
int phantom_call(long program, const char *path, const char *method, const char *const *arguments, unsigned narguments,
                 char **result);

/*
 * Starts a program in the heap of that one, beside it: words are "-L" and the absolute path of a folder in which classes are looked for, too, for each of these; then the class (".shop.client"), then the program's arguments. *thread is its first
 * thread's path ("/threads/7"). Errors as of phantom_call.
 */
int phantom_start(long program, const char *const *words, unsigned nwords, char **thread);

/* Any request of pvm/host/monitor.h, a line without its end; as phantom_call. */
int phantom_request(long program, const char *request, char **answer);

/* The folder with a socket for each program of the user, named by its process number. 0, or -1, errno. make: it is made. */
int phantom_folder(char *path, size_t len, int make);

#ifdef __cplusplus
}
#endif
