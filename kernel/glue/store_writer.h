/*
 * store_writer.h - the worker that alone uses the store: leads barriers that freeze, commits, reads absent pages (persist/space.h, snapshot_step).
 */
#pragma once
#include "kernel/include/types.h"

struct store;

/* At boot, when the space has its store: from here on commits are made. 0 or -ENOMEM. */
int writer_start(struct store *store);
void writer_yield(void); /* the writer itself, while it works */
void writer_wake(void);  /* any context */
