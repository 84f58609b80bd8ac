/*
 * futex.h - what the end of a thread needs of posix/futex.
 */
#pragma once
#include "posix/include/thread.h"

struct mm;
/* Robust list and PI words of a dying thread, a bounded piece a call: 0 done, CALL_AGAIN, CALL_FAULT. `cursor` (3 words) is kept by the caller, 0 at first. */
long futex_exit_robust(struct call *c, uint64_t cursor[3]);
/* Wakes up to n waiters of the private or shared word at va. After changes(). */
void futex_wake_word(struct mm *m, uint64_t va, unsigned n);
