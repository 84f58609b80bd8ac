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
        void (*flush)(void); /* forget translations of the space everywhere */
        /*
         * Barrier: every page read-only again; returns of how many entries the right to write was taken. freeze: what was dirty becomes the frozen set, of which nothing is left from before.
         * frozen_take: up to max pages of the set, each once, ascending; 0: no more. The others tell, of one page, whether it still waits to be captured, and that
         * it does not any more. Withdrawing a page takes it from those that wait.
         */
        uint64_t (*protect_all)(bool freeze);
        unsigned (*frozen_take)(ppn_t *ppns, unsigned max);
        bool (*page_frozen)(ppn_t ppn);
        void (*page_captured)(ppn_t ppn);
        bool (*page_is_dirty)(ppn_t ppn);                       /* noted in this epoch */
        uint64_t (*pages_differ)(const void *a, const void *b); /* aligned; bit i: bytes [64 i, 64 i + 64) do */
        /*
         * One page of volatile memory each, for copies and for pages that are read in; NULL: none. page_install gives such a page to the space as the
         * contents of ppn, mapped and clean: 0, -ENOMEM, or -EEXIST if it has a frame by now (the caller keeps the page).
         */
        void *(*frame_get)(void);
        void (*frame_put)(void *frame);
        int (*page_install)(ppn_t ppn, void *frame);
        void (*check_tracking)(void); /* P4, all CPUs parked; panics */
        uint64_t (*frames_free)(void);
        uint64_t (*frames_total)(void);
        /*
         * Eviction, all other CPUs parked. evict_begin: user mappings that were not used since the last time go; -ENOMEM: not now. page_evict: the page loses its frame, unless it is dirty,
         * frozen, still mapped by a user, or was used since the last time. evict_end: all translations are forgotten, then the frames are free.
         */
        int (*evict_begin)(void);
        bool (*page_evict)(ppn_t ppn);
        void (*evict_end)(void);
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
        /* This CPU waits for what another does soon, interrupts on; turn: how often it has looked. */
        void (*spin)(unsigned turn);
        /* Drops this CPU's stack and runs retry(arg) on an empty one. */
        void (*abandon)(void (*retry)(void *arg), void *arg) __attribute__((__noreturn__));
        uint64_t (*clock_ticks)(void);
        void (*clock)(uint64_t *mono_ns, uint64_t *real_ns);
        uint64_t (*uptime_ns)(void);   /* of this machine: never jumps, begins anywhere */
        void (*wake)(const void *key); /* sleepers on the key look again */
        /*
         * The writer: the one thread that commits. writer_yield is called by it, often, while it works, holding nothing: others run; it comes back. writer_wake
         * makes it look at what there is to do (snapshot_step); any context.
         */
        void (*writer_yield)(void);
        void (*writer_pause)(uint64_t ns); /* for so long, at least; before there is a writer, too */
        void (*writer_wake)(void);
        /* Volatile scratch memory for the checkers, valid till the next call; NULL: none. Called while all others are parked. */
        void *(*scratch)(size_t len);
        /* Volatile memory; contents undefined; NULL: none. May be called from sections. */
        void *(*mem_alloc)(size_t len);
        void (*mem_free)(void *p, size_t len);
        void (*set_aside)(
                size_t len); /* so much is for the writer's mem_alloc alone; frame_get and frames_free leave it out */
        void (*use_aside)(bool on); /* this CPU takes of it, too, for a moment in which it does nothing else */
        void (*log)(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
        void (*panic)(const char *fmt, ...) __attribute__((format(printf, 1, 2), __noreturn__));
};
extern const struct persist_host *persist_host;
