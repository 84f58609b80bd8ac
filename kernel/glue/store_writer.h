/*
 * store_writer.h - the worker that alone uses the store: leads barriers that freeze, commits, reads absent pages (persist/space.h, snapshot_step).
 */
#pragma once
#include "kernel/include/types.h"

/* At boot: from here on commits are made, if the space has a store, or once it gets one. 0 or -ENOMEM. */
int writer_start(void);
struct worker;
const struct worker *writer_worker(void); /* NULL: not yet */
void writer_yield(void);                  /* the writer itself, while it works */
void writer_wake(void);                   /* any context */
