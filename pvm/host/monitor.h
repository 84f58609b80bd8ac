/*
 * monitor.h - a running `pvm run` lets its user look into it: requests come by a socket in the user's own folder, one a connection, and are answered at a
 * safepoint. Request: a line of text. Answer: "ok" or "no" and the reason, in a line; then what was asked for.
 *
 *   ps   ls PATH   print PATH   what PATH   look PATH   read PATH   load .class.name   gc   stat   stop [PATH]   call PATH METHOD ARGUMENT...   start [-L FOLDER]... .class.name ARGUMENT...
 *
 * stop: all, or the program of the thread at the path. start: a program in this heap; classes are looked for in these folders, of absolute paths, too. The answer is its thread's path.
 * what, look, read: what a file system asks (inspect.h).
 * load: the class, or, if its file has changed, its new version (upgrade.c); the answer is its version.
 * What follows call and start is separated by one space each; %, spaces and line breaks are %25, %20, %0a. It is answered when the method has returned; what it throws comes behind "no".
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void monitor_open(void); /* without it, or when it fails (a warning), the machine runs without a monitor */
void monitor_close(void);
int monitor_fd(void); /* readable when there is a request; -1: no monitor */
void monitor_serve(void);
void monitor_call_text(uint32_t call, const char *text, size_t len); /* of struct pvm_host */
void monitor_call_ended(uint32_t call, bool ok);
extern bool monitor_stopped; /* somebody said stop */

/* The command's side: pvm start|ps|ls|inspect|call|load|gc|stat|stop. Exit status. */
int monitor_command(int argc, char **argv);
bool monitor_is_command(const char *name);
