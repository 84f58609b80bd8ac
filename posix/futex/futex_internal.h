/*
 * futex_internal.h - between the files of posix/futex only.
 */
#pragma once
#include "posix/include/futex.h"
#include "posix/include/mm.h"
#include "posix/include/process.h"
#include <linux/futex.h>

/* Sleep-queue key of a word; bit 62 apart for those who wait to own it (PI). */
#define FUTEX_PI_KEY 1ul
const void *futex_key(struct mm *m, uint64_t va, bool private, bool pi);

/* pi.c */
struct futex_state;
long futex_lock_pi(struct call *c, struct futex_state *s, bool try);
long futex_unlock_pi(struct call *c, struct futex_state *s);
/* The owner of word `uval` at va (of the current thread's process) is the current thread and goes: the next in line owns it. 0, CALL_FAULT, CALL_AGAIN (raced). */
long futex_pi_hand_over(struct call *c, struct mm *m, uint64_t va, const void *key, uint32_t uval, bool died);

/* Decoded arguments: c->state. Numbers are those of futex(2). */
struct futex_state {
        uint64_t uaddr, uaddr2;
        const void *key, *key2;
        uint64_t deadline; /* monotonic, or on the wall clock when `real` */
        uint32_t op, val, val3;
        uint32_t wake, requeue; /* what is left to do */
        uint32_t done;          /* woken and requeued */
        bool private, real, timed, cmp_passed;
};
long futex_sleep_end(struct call *c, const struct futex_state *s); /* the sleeper was dispatched: result or CALL_WAIT */
uint64_t futex_deadline(const struct futex_state *s);              /* for call_wait_grant */
