/*
 * store.h - the heap of a hosted machine on a store (persist/store): what was written since the last snapshot is known by page protection, copied at
 * a safepoint, and committed by a thread of its own.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Opens the file, or makes it, with room for a heap of that size, maps the heap, and reads what the last commit had. 0: the heap is empty; 1: it is as it was; -1: a
 * message was printed. clock_ns: what the monotonic clock was then.
 */
int heap_store_open(const char *path, uint64_t heap_bytes, uint64_t *clock_ns);
int heap_store_provide(void *start, size_t len); /* 0, -ENOMEM */
/* Is the last snapshot committed, and has anything changed since? */
bool heap_store_ready(void);
/* At a safepoint: if the last snapshot is committed, a new one; with wait, also its commit is waited for. Ends the process if commits cannot go on. */
void heap_store_snapshot(uint64_t clock_ns, bool wait);
void heap_store_close(void);
uint64_t heap_store_commits(void);
uint64_t heap_store_pages(void); /* of 4 KiB, that snapshots have captured so far */
/* For tests that end only processes, not the machine: nothing is flushed. Set before opening. */
extern bool heap_store_survives;
