/* host.h - the machine in a Linux process. One machine at a time. */
#pragma once
#include "pvm/host.h"

/*
 * The heap's addresses are there, empty. store: a file that keeps it (made if there is none, with room for so much), or NULL. 0: empty; 1: what the store had is
 * there; -1: an error was printed. With a store, a snapshot is made at the first safepoint of each 100 ms.
 */
int hosted_pvm_open(const char *store, uint64_t heap_bytes);
void hosted_pvm_close(void); /* with a store: after a last snapshot */
bool hosted_pvm_folder(
        const char *folder); /* where class files are looked for; the last one named comes last. False: too many */
/* Threads give way every 10 ms of processor time; with several workers, every 20 to 40 ms of all of them together. */
void hosted_pvm_ticks(bool on);

/* For tests: what the console got goes here, if it is set. */
extern void (*hosted_pvm_console)(const char *text, size_t len);
