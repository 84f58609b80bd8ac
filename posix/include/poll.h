/*
 * poll.h - waiting for many: poll, select, epoll, and the descriptors made to be waited for (posix/poll).
 */
#pragma once
#include "posix/include/file.h"
#include <linux/eventpoll.h>

#define POLL_ALWAYS ((uint32_t)(EPOLLERR | EPOLLHUP))

/* What is ready on f of `events` and POLL_ALWAYS; registers with pt. */
static inline uint32_t file_poll(struct file *f, struct poll_table *pt)
{
        const struct file_ops *ops = file_ops(f);

        return ops->poll ? ops->poll(f, pt) : (uint32_t)(EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM);
}

/* An epoll set. [P, l LOCK_EPOLL] */
struct epitem;
struct epoll {
        struct object obj;
        struct file *file;      /* FIELD_BORROW: its only file */
        struct epitem ***index; /* FIELD_OWN: by descriptor number, chunks of EPOLL_CHUNK */
        uint32_t nchunks, nitems;
        struct epitem *ready,
                *ready_last; /* level: what may be ready; edge and one-shot: what has an event to report. &ready is the wake key */
        uint32_t nready, releasing;
};
#define EPOLL_CHUNK 64u
#define EPOLL_DEPTH 5u /* sets in sets */

/* One interest. Resident: wakers write it. [P, l LOCK_EPOLL] */
struct epitem {
        struct epoll *set;   /* [I] FIELD_BORROW */
        struct file *file;   /* [I] FIELD_BORROW: the item goes when the file goes */
        uint32_t fd, events; /* events: with EPOLLET, EPOLLONESHOT...; 0: a one-shot that has fired */
        uint64_t data;
        struct epitem *same_fd; /* further items under this number: other files that had it */
        struct epitem *file_next, *file_prev;
        struct epitem *ready_next, *ready_prev;
        uint32_t on_ready, pad;
        uint64_t signal_key; /* signalfd: wake key of the process that added the item; only a number */
};

extern const struct file_ops epoll_file_ops, eventfd_file_ops, timerfd_file_ops, signalfd_file_ops;
/* The last reference to a watched file is gone: removes up to 32 items that watch it, after changes(); true: call again in another section. */
bool epoll_file_gone(struct file *f);
int epoll_boot(void);    /* recovery, before any thread runs: volatile entries anew. 0 or -ENOMEM */
void epoll_forget(void); /* storm: without them */

int timerfd_boot(void); /* recovery: pending expirations are armed again */
/* restart_syscall for a poll that was interrupted: the call's run function when thread.restart.nr is __NR_poll. */
long poll_restart(struct call *c);
