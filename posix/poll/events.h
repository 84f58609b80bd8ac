/* events.h - eventfd, timerfd and signalfd objects. [P, l LOCK_EVENT]; poll reads them without the lock. */
#pragma once
#include "posix/include/process.h"
#include "posix/include/poll.h"

struct eventfd {
        struct object obj;
        uint64_t count; /* &count: readers' wake key */
        uint64_t space; /* &space: writers' */
        uint32_t semaphore, pad;
};

struct timerfd {
        struct object obj;
        int32_t clock;
        uint8_t cancel_on_set, cancelled, armed, absolute;
        uint64_t deadline_ns; /* first expiration that was not read, on the timer's clock; &deadline_ns: wake key */
        uint64_t interval_ns;
};

struct signalfd {
        struct object obj;
        sigset64 set; /* one word, replaced: no lock */
};

bool eventfd_release(void *object);
bool timerfd_release(void *object);
bool signalfd_release(void *object);
