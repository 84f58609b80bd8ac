/*
 * section.h - who may touch the space, and when (persistence.md, "Sections").
 * A section is a stretch of kernel code that is neither preempted nor sleeps. Between section_begin and section_changes it only
 * reads the space and takes what the undo list names; after section_changes nothing can fail, wait or meet an absent page (P14).
 * Per-CPU state; volatile.
 */
#pragma once
#include "persist/host.h"

/*
 * Locks: volatile words in one table per rank, hashed by object address. Taken in increasing rank; dropped at the section's end or earlier
 * by unlock. Two objects of one rank only by lock2. Order violations panic. Interrupts stay on; interrupt handlers never take them.
 */
enum lock_rank {
        LOCK_IPC = 1, /* SysV and POSIX IPC registries */
        LOCK_RENAME,  /* cross-directory renames: one for the file system */
        LOCK_FDTABLE, /* a process's descriptor table */
        LOCK_MM,      /* areas and page tree of an address space */
        LOCK_FILE,    /* open file: position, flags */
        LOCK_INODE,   /* inode and its contents; lock2 for two directories */
        LOCK_MAPPING, /* volatile register of the address spaces that map an inode */
        LOCK_CHILD, /* directory that gets a name, or that goes: after its own or its parent's LOCK_INODE; lock2 for both */
        LOCK_FLOCK,   /* file lock lists of an inode */
        LOCK_NOTIFY,  /* inotify instances */
        LOCK_SOCKETS, /* AF_UNIX: names without a file; another word: sockets whose files are in flight */
        LOCK_SOCK,    /* AF_UNIX socket; lock2 for the two ends */
        LOCK_PIPE,
        LOCK_TTY,      /* a pty pair shares one word */
        LOCK_EVENT,    /* eventfd, timerfd, signalfd, a FUSE connection */
        LOCK_PROCTREE, /* one word: pids, parents and children, groups, sessions, zombies */
        LOCK_SIGNAL,   /* signal state of a process (its sighand) */
        LOCK_TIMER,    /* POSIX timers and itimers of a process */
        LOCK_FUTEX,    /* futex key */
        LOCK_NODE,     /* a page-tree node, while one of two sharers lets go of it */
        LOCK_EPOLL,    /* one word: all epoll sets; taken by wakers, whatever they hold */
        LOCK_SPACE,    /* allocator; persist's own, last */
        LOCK_RANKS
};
#define LOCK_WORDS 128u

#define SECTION_UNDO_MAX 8
#define SECTION_PAGES    64 /* pages one section may dirty */

struct section {
        bool active;
        bool changed;
        uint8_t nundo;
        uint32_t nheld;
        uint32_t cpu;
        uint32_t dirtied;      /* pages that this section was the first to dirty in the epoch */
        uint32_t dirtied_meta; /* the same for the allocator's own pages, which have a reserve of their own */
        uint64_t generation;   /* [a] for deferred frees: 0 while inactive */
        struct cpu_heap *heap; /* [I] this CPU's persistent lists (layout.h) */
        ppn_t pending;         /* the page for which the last section was abandoned */
        uint32_t npins;        /* pages fetched and not yet used: the test knob leaves them present */
        ppn_t pins[SECTION_PAGES];
        void (*retry)(void *arg); /* what to run, on an empty stack, when the section was abandoned */
        void *retry_arg;
        uint64_t abandoned; /* how often, since boot (tests) */
        /*
         * Lock words held: rank * LOCK_WORDS + place in the rank's table, ascending ranks, from held[1]. held[0] is 0 in a section, and
         * outside one so great that no rank may follow.
         */
        uint32_t held[2 * LOCK_RANKS];
        struct {
                void (*fn)(void *arg);
                void *arg;
        } undo[SECTION_UNDO_MAX];
};

#ifdef PERSIST_HOSTED
extern _Thread_local struct section *persist_section;
static inline struct section *section_this(void)
{
        return persist_section;
}
#else
static inline struct section *section_this(void)
{
        struct section *s;
        __asm__("mov %%gs:32, %0" : "=r"(s)); /* struct cpu.section */
        return s;
}
#endif

void section_cpu_init(struct section *s, unsigned cpu);
/* Enter. The gate (reserves, parking) was passed by the caller. `retry` gets control, on an empty stack, if the section is abandoned. */
void section_begin(void (*retry)(void *arg), void *arg);
/* The same without the gate: for the few stores of one who is going to wait there. */
void section_begin_ungated(void (*retry)(void *arg), void *arg);
/* Leave: locks are dropped, undo entries forgotten, deferred frees may be drained. */
void section_end(void);
/* Between two steps of one long call when nobody waits for this CPU: drops locks, clears `changed`, keeps borrowed pointers valid. */
void section_step(void);
/* Undo everything taken before the first change and leave. Only before section_changes. */
void section_abandon(void);
/* Everything this CPU must do before it may park: nothing is held, no section runs. For asserts. */
static inline bool section_quiet(void)
{
        struct section *s = section_this();

        return !s || !s->active;
}
/* Test builds catch early stores at their line: guarded from the beginning of a section to its first change. */
static inline void section_guard(bool on)
{
#if PHANTOM_CHECKS && !defined(PERSIST_HOSTED)
        persist_host->guard(on);
#else
        (void)on;
#endif
}
/*
 * Has every section that ran somewhere else when the stamp was taken ended? Who takes something out of all tables, stamps, and then waits for
 * this (outside sections, holding nothing) knows that nobody borrows it any more.
 */
uint64_t section_stamp(void);
bool section_passed(uint64_t stamp);
void section_wait_passed(uint64_t stamp);
/* Mark the first change (P14). From here on allocation from the credit cannot fail. */
static inline void section_changes(void)
{
        section_this()->changed = true;
        section_guard(false);
}
/* Volatile thing taken before the first change, to be given back when the section is abandoned (not at its normal end). */
void section_on_abandon(void (*fn)(void *arg), void *arg);
/* Forget the newest entry with this arg (it was given back, or handed on). */
void section_undo_forget(void *arg);

/* See enum lock_rank. What is still held at the section's end is dropped there. */
void lock(enum lock_rank rank, const void *object);
void unlock(enum lock_rank rank, const void *object);
void lock2(enum lock_rank rank, const void *a, const void *b); /* word order; equal words once; unlock2 likewise */
void unlock2(enum lock_rank rank, const void *a, const void *b);
bool lock_held(enum lock_rank rank, const void *object);
