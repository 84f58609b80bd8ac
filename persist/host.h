/*
 * host.h - how persist/ sees the world. The kernel supplies one set of operations (kernel/glue/persist_host.c), a Linux process
 * another (persist/host). Nothing else of the outside is called from persist/.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t ppn_t; /* number of a page of the space: (va - SPACE_START) >> 12; 0 means none */

#define HOST_WITHDRAW_MAX 64

struct persist_host {
        /*
         * Frames behind pages. page_provide: the page gets a frame and is mapped writable, noted dirty (a new page is dirty by birth);
         * contents undefined. 0 or -ENOMEM. pages_withdraw: unmaps n <= HOST_WITHDRAW_MAX pages, forgets their translations everywhere
         * with one flush, and gives the frames back; called with interrupts on and no lock held that another CPU may spin for with
         * interrupts off.
         */
        int (*page_provide)(ppn_t ppn);
        void (*pages_withdraw)(const ppn_t *ppns, unsigned n);
        bool (*page_present)(ppn_t ppn);
        void (*page_set_present)(ppn_t ppn,
                                 bool present); /* test knob: the frame stays known, and whether it is dirty */
        bool (*page_note_dirty)(ppn_t ppn);     /* make writable; true if not yet noted in this epoch */
        uint64_t (*dirty_count)(void);
        void (*flush)(void);           /* forget translations of the space everywhere */
        uint64_t (*protect_all)(void); /* barrier: every page read-only again; returns leaves cleared */
        void (*check_tracking)(void);  /* P4, all CPUs parked; panics */
        uint64_t (*frames_free)(void);
#if PHANTOM_CHECKS
        void (*guard)(bool on); /* P14: while on, stores of this CPU to the space are caught */
#endif
        /*
         * CPUs. park_others: ask all others to park and wait until they have; interrupts are on. park_if_asked: what every CPU calls
         * between sections; returns when the barrier that asked is over.
         */
        void (*park_others)(void);
        void (*release_others)(void);
        void (*park_if_asked)(void);
        /* Drops this CPU's stack and runs retry(arg) on an empty one. */
        void (*abandon)(void (*retry)(void *arg), void *arg) __attribute__((__noreturn__));
        uint64_t (*clock_ticks)(void);
        /* Volatile scratch memory for the checkers, valid till the next call; NULL: none. Called while all others are parked. */
        void *(*scratch)(size_t len);
        /* Volatile memory; contents undefined; NULL: none. May be called from sections. */
        void *(*mem_alloc)(size_t len);
        void (*mem_free)(void *p, size_t len);
        void (*log)(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
        void (*panic)(const char *fmt, ...) __attribute__((format(printf, 1, 2), __noreturn__));
};
extern const struct persist_host *persist_host;
