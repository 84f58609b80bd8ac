/*
 * host.h - how the machine sees the world: one set of operations. A Linux process has one (host/), the kernel will have another.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PVM_HEAP_START  0x200000000000ul /* of a hosted machine; part of its store's format */
#define PVM_BLOCK_BYTES 32768ul
#define PVM_BLOCKS_MAX  (1ul << 21)

struct pvm_unix_file {
        uint32_t kind; /* 0 none, 1 file, 2 directory, 3 something else */
        bool sized;    /* size says how much can be read */
        uint64_t size;
        int64_t changed_ms;
};
enum pvm_unix_change { PVM_UNIX_REMOVE, PVM_UNIX_RENAME, PVM_UNIX_MKDIR, PVM_UNIX_RESIZE };
#define PVM_UNIX_ARGS 64u
/* A source of input is a process's number times PVM_PROCESS_EVENTS, and one of these. */
enum pvm_process_event { PVM_PROCESS_OUTPUT, PVM_PROCESS_INPUT, PVM_PROCESS_END, PVM_PROCESS_EVENTS };
extern bool pvm_unix; /* programs may use Unix files and processes */

/* In their order: who has the second one takes no other. */
enum pvm_lock { PVM_LOCK_MACHINE, PVM_LOCK_HEAP, PVM_LOCKS };
/* So many threads of the host's run managed code at once, at most: see pvm_workers. */
#define PVM_WORKERS 16u

struct pvm_host {
        /* Volatile memory. mem_alloc: zeroed; NULL: none. Any context. */
        void *(*mem_alloc)(size_t len);
        void (*mem_free)(void *p, size_t len);
        /*
         * Pages of the heap: addresses from PVM_HEAP_START on, multiples of 4096. provide: from here on they are there, as zeroes if they were never
         * provided before; 0 or -ENOMEM. Provided twice is provided.
         */
        int (*heap_provide)(void *start, size_t len);
        /* The class file of that name (".a.b"): bytes by mem_alloc, aligned to 8. -ENOENT, -EIO, -ENOMEM, -EFBIG. */
        int (*find_class)(const char *name, size_t len, void **file, size_t *size);
        void (*console_write)(const char *text, size_t len);
        int (*console_read)(void); /* a byte, or PVM_CONSOLE_x; does not wait */
        bool (*input_ready)(
                uint32_t
                        source); /* 0: console_read would not say "later"; else an event of a process. If not, idle waits for it, too */
        uint64_t (*monotonic_ns)(void); /* goes on over a recovery */
        uint64_t (*real_ns)(void);
        /*
         * Unix, if pvm_unix says so: files by their paths, as the machine's user may. All give -errno. unix_read: how many bytes, fewer than len at the end. unix_write: at < 0: at the end; all, or an
         * error; makes the file. unix_replace: who opens the file finds what was, or these bytes. unix_list: names, each with a NUL, sorted, by mem_alloc.
         */
        int64_t (*unix_read)(const char *path, uint64_t at, void *to, uint64_t len);
        int (*unix_write)(const char *path, int64_t at, const void *from, uint64_t len);
        int (*unix_replace)(const char *path, const void *from, uint64_t len);
        int (*unix_info)(const char *path, struct pvm_unix_file *f);
        int (*unix_change)(enum pvm_unix_change how, const char *path, const char *to, uint64_t size);
        int (*unix_list)(const char *path, void **names, size_t *len);
        const char *(*error_text)(int error);
        int (*reboot)(void); /* -ENOSYS: this host's programs would not go on behind it */
        /*
         * Processes, by numbers from 1 on. -ESRCH: no such process; -EAGAIN: later, when input_ready says so of that event. process_read: 0 is the end. process_status: 0 to 255, or 256 and a signal.
         * process_forget: the number is free; what the process writes goes nowhere.
         */
        int (*process_start)(const char *const *args);
        int64_t (*process_read)(int process, void *to, uint64_t len);
        int64_t (*process_write)(int process, const void *from, uint64_t len);
        int (*process_close_input)(int process);
        int (*process_status)(int process);
        int (*process_signal)(int process, int signal);
        int (*process_forget)(int process);
        /*
         * Nothing can run before this time (0: no such time) or, with input, before a source is ready that was not when input_ready was asked: sleeps until then, until wake, or less. Called
         * with the machine's lock, which is free while it sleeps. What wants a safepoint then calls pvm_interrupt.
         */
        void (*idle)(uint64_t until_ns, bool input);
        /*
         * Workers. worker_start: run() in a thread of its own, to which no signals go; NULL: there is none. worker_join: run() has returned, or will without being waited for. wait: the machine's lock is
         * free until wake, which ends idle, too, or less; wake is called with that lock.
         */
        void (*lock)(enum pvm_lock lock);
        void (*unlock)(enum pvm_lock lock);
        void (*wait)(void);
        void (*wake)(void);
        void *(*worker_start)(void (*run)(void));
        void (*worker_join)(void *w);
        /*
         * At a safepoint, all state in the heap, at least each time that the host has called pvm_interrupt: the time to make a snapshot.
         */
        void (*safepoint)(void);
        /* What a call made by pvm_call gave, in pieces; and its end, ok or with what was thrown. */
        void (*call_text)(uint32_t call, const char *text, size_t len);
        void (*call_ended)(uint32_t call, bool ok);
        /*
         * Memory for compiled code: executable, never writable at the same time; code_write changes it. NULL, or a NULL function: there is none, all is interpreted.
         */
        void *(*code_memory)(size_t len);
        int (*code_write)(void *at, const void *from, size_t len);
        void (*code_free)(void *start, size_t len);
        /*
         * An image of all memory as it is now, in which fn runs, beside the machine: what either writes the other does not see, but in memory of shared_alloc (zeroed; NULL: none). fn calls
         * nothing here but mem_alloc, mem_free, panic, and may end at any time, with its image. One image at a time. image_begin: 0 or -errno. image_runs: fn has not ended. Until image_end, which
         * ends fn, too, idle ends when fn does. image_begin NULL: no images.
         */
        void *(*shared_alloc)(size_t len);
        void (*shared_free)(void *p, size_t len);
        int (*image_begin)(void (*fn)(void));
        bool (*image_runs)(void);
        void (*image_end)(void);
        void (*log)(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
        void (*panic)(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
};
enum { PVM_CONSOLE_END = -1, PVM_CONSOLE_LATER = -2 };
extern const struct pvm_host *pvm_host;

/* By anybody at any time, also in a signal's handler: the machine gets to a safepoint soon and gives other threads a turn. */
void pvm_interrupt(void);

struct pvm_limits {
        uint64_t heap_bytes; /* whole blocks in use */
        bool use_heap; /* as much as twice what lives may be used, if it is below that: collections are as rare as it allows */
        uint64_t stack_bytes; /* of one thread */
        uint64_t
                young_bytes; /* how much may have died when young objects are collected: a snapshot takes these pages in vain; 0: 1.5 MiB */
        uint64_t
                image_bytes; /* if so much may live, full collections are made on an image, beside the program; 0: 64 MiB */
};

/*
 * The machine. pvm_create: an empty heap. pvm_recover: the heap is as it was at a safepoint. 0, or -ENOMEM, -EINVAL (not a heap of this machine); `why` gets the reason.
 * pvm_start: a program: an object of the class, and a thread that calls its run (boot) [8]: the thread's number; 0: `why`. Before pvm_run, or at a safepoint, beside the programs that there are. pvm_run: until all threads have
 * ended, or none can go on ever again; returns how many ended with an exception that nobody caught (their traces went to the console), or were stuck, and how many programs were stopped alone.
 */
int pvm_create(const struct pvm_limits *limits, char *why, size_t why_len);
int pvm_recover(const struct pvm_limits *limits, char *why, size_t why_len);
uint32_t pvm_start(const char *class_name, const char *const *arguments, unsigned narguments, char *why,
                   size_t why_len);
bool pvm_has_threads(void);
unsigned pvm_run(void);
void pvm_stop(void); /* at a safepoint, or while nothing runs: all threads end; pvm_run returns */
/* At a safepoint: the program of the thread at the path (inspect.h), with all of its threads; its mutexes are free. False: `why`. */
bool pvm_stop_program(const char *path, char *why, size_t why_len);
void pvm_collect(void); /* at a safepoint */
/*
 * For who takes snapshots. pvm_snapshot_comes: at a safepoint, right before one: young objects that are dead are free then. pvm_pages_free: which of the block's 8 pages of 4 KiB have nothing in
 * them that anybody will read, a bit a page. A snapshot has no need of these: they are written before they are read.
 */
void pvm_snapshot_comes(void);
uint8_t pvm_pages_free(uint32_t block);
/*
 * At a safepoint: the class is found and loaded; if it is loaded, and its file has changed, that is its new version (upgrade.c). True: `text` has its version; false: why nothing has
 * changed.
 */
bool pvm_load(const char *class_name, char *text, size_t text_len);
/*
 * At a safepoint: a thread that calls the method of the object at the path (inspect.h); it may take any time. Arguments are strings; where the method wants a number, one is read. Its result's
 * printed form, or what was thrown, goes to the host under *call, after this has returned. False: `why`.
 */
bool pvm_call(const char *path, const char *method, const char *const *arguments, unsigned narguments, uint32_t *call,
              char *why, size_t why_len);
void pvm_forget(void); /* all volatile memory is given back */

/*
 * Where things lie in a heap whose first block is there, by offset from its beginning: parts 0, 1...; false: no more. For who reads a heap from a store.
 */
uint32_t pvm_frontier(void); /* 0: the first block is not that of a heap */
bool pvm_heap_part(unsigned part, uint32_t frontier, uint64_t *from, uint64_t *end);

/* What is compiled to machine code: what is hot; nothing; everything at its first call, before it has run once. Before pvm_create or pvm_recover. */
enum pvm_compile { PVM_COMPILE_HOT, PVM_COMPILE_NEVER, PVM_COMPILE_ALWAYS };
extern enum pvm_compile pvm_compile;
/* A method is hot after so many calls. */
extern uint32_t pvm_hot_calls;
/* For tests: at one of so many turns all compiled code is dropped. 0: never. */
extern uint32_t pvm_drop_code;

/* So many threads of the host's run threads at once, at most, from 1 to PVM_WORKERS. Before pvm_run. */
extern unsigned pvm_workers;

/* For tests: every chance to get to a safepoint is taken; at half of them there is a young or a full collection, what is free then is filled with rubbish, and cards are checked. */
extern bool pvm_hostile;

/* Checks the heap from its roots: every reference names an object of a known class inside of its lines. False: `why`. */
bool pvm_heap_check(char *why, size_t why_len);

struct pvm_stats {
        uint64_t collections, young; /* full ones, and of young objects */
        uint64_t images;             /* of the full ones: beside the program, on an image */
        uint64_t full_ns, young_ns;  /* for so long programs have stood still */
        uint64_t longest_ns;         /* at a time, at most */
        uint64_t blocks, allocated;  /* in use; bytes since the beginning, by runs */
        uint64_t live;               /* bytes marked by the last full collection */
        uint64_t compiled, compiled_words, code_bytes,
                compile_ns; /* methods, of how many words of bytecode, to how much code */
};
void pvm_stats(struct pvm_stats *s);
