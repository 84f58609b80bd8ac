/*
 * watch.h - volatile halves of epoll items: their entries in the sleep queues, found by the item's address, made anew at boot.
 * Blocks come from a pool and never leave it: a waker that still holds one which was given back meanwhile meets another object's half, at worst
 * a spurious wake-up, never freed memory. Between the files of posix/poll only.
 */
#pragma once
#include "posix/include/poll.h"

#define WATCH_KEYS 3 /* keys that one poll function registers at most */
struct watch {
        struct watch *next; /* in its bucket, or in the pool */
        void *object;       /* NULL while it is in the pool */
        unsigned nwaiters;
        struct waiter waiter[WATCH_KEYS];
};
int watch_reserve(void); /* before the change: the next watch_new on this CPU cannot fail. 0 or -ENOMEM */
struct watch *watch_new(void *object);
struct watch *watch_find(const void *object);
void watch_forget(void);          /* storm: none is left */
void watch_free(struct watch *w); /* its waiters are off their queues */
