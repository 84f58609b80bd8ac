/*
 * hosted.h - the space in a Linux process: the same engine over a memory file, mprotect and SIGSEGV; threads are its CPUs. For unit tests,
 * tools and benchmarks. One space at a time.
 */
#pragma once
#include "persist/host.h"
#include "persist/section.h"
#include "persist/space.h"

#define HOSTED_CPUS 16

/* A machine with this many frames, no space on it yet. space_create() comes next, after hosted_cpu_enter(0). */
void hosted_open(uint64_t nframes);
void hosted_close(
        void); /* power off: the process has no space any more; persist/ has forgotten it. Nothing if there is none */

/* The calling thread is this CPU from here on. The first one to enter calls space_create() before hosted_cpu_ready(). */
void hosted_cpu_enter(unsigned cpu);
void hosted_cpu_ready(void);
void hosted_cpu_leave(void); /* goes away for good; what its CPU has stays there */

/*
 * Runs fn(arg) with an empty stack underneath: if a section in it is abandoned, its retry function runs next, from here. To be entered
 * by whatever uses sections that may meet absent pages. Does not nest.
 */
void hosted_run(void (*fn)(void *arg), void *arg);

/* Runs fn(arg), which is to panic. Returns the message, NULL if it did not. The space is then good for looking at only. */
const char *hosted_panic_of(void (*fn)(void *arg), void *arg);

extern uint64_t hosted_clock_ns;      /* what the engine's clocks say; the test moves it, and who pauses */
extern void (*hosted_on_yield)(void); /* called where the writer gives way: what other CPUs do meanwhile */
extern bool hosted_quiet;             /* the engine's log lines are not printed */
extern char hosted_said[2048];        /* its log lines since the test emptied this, as far as there is room */
extern bool hosted_no_frames;         /* there are none any more, for nobody */
uint64_t hosted_frames_used(void);
bool hosted_page_writable(ppn_t ppn);
bool hosted_page_noted(ppn_t ppn);
/* The page through a mapping that is never protected: what the disk, or a device, would see. */
void *hosted_alias(ppn_t ppn);
uint64_t hosted_random(uint64_t *state); /* a number, from a seed that is not 0 */
