/*
 * call.h - a system call (calls.md). `struct call` is volatile, on the CPU's stack, until call_save() copies it into the thread's record. A call is
 * a function of its struct: run again from it after a wake-up, a signal, a barrier or a reboot. No other state survives a wait.
 *
 * Shape of a call: decode once (stage 0 -> 1), look up, lock, check, copy user memory, space_room(), changes(c), change, wake, return.
 * Results: >= 0 or -Exxx (also -ERESTART* from call_interrupted), or one of CALL_*.
 */
#pragma once
#include "posix/include/types.h"
#include "kernel/include/uaccess.h"

#define CALL_WAIT  (-0x10000L) /* saved and queued: leave the thread */
#define CALL_AGAIN (-0x10001L) /* made progress; dispatch again after the gate */
#define CALL_FAULT (-0x10002L) /* a user address must be resolved (user_fault()); then dispatch again */
#define CALL_RETRY (-0x10003L) /* sleep refused, `why` is set: dispatch again */
#define CALL_DONE  (-0x10004L) /* registers are already as they must be (sigreturn, exec): leave rax alone */
#define CALL_EXIT  (-0x10005L) /* the thread is gone: leave it */

/* Linux's internal restart codes: never seen by user mode. */
#define ERESTARTSYS           512 /* restart if SA_RESTART or no handler */
#define ERESTARTNOINTR        513 /* always restart */
#define ERESTARTNOHAND        514 /* restart only if no handler runs */
#define ERESTART_RESTARTBLOCK 516 /* restart_syscall when no handler runs, else EINTR */

enum why { WHY_RUN = 0, WHY_SIGNAL, WHY_KILL, WHY_DEADLINE };
enum interrupt { INTERRUPTIBLE, KILLABLE, UNINTERRUPTIBLE };
enum wait_kind { CONDITION, GRANT };
#define NO_DEADLINE  0ul
#define PIECE_MAX    65536ul /* bulk data per section */
#define MAX_RW_COUNT 0x7ffff000ul

struct thread;
struct frame;
struct file;
struct inode;
struct syscall_entry;

/* Where data of a read or write goes in user memory. Up to 8 vectors inline, more in `overflow` (volatile until saved). */
#define IO_INLINE 8
struct user_vec {
        uint64_t base, len;
};
struct user_io {
        size_t len;        /* bytes left */
        size_t done;       /* bytes transferred */
        uint32_t nvec, at; /* vectors, the current one */
        uint64_t offset;   /* in the current one */
        uint32_t kernel;   /* the vectors are addresses of the kernel's: sendfile and its kin, anew at each dispatch */
        uint32_t pad;
        struct user_vec *overflow;
        struct user_vec vec[IO_INLINE];
};

#define CALL_OBJECTS     4
#define CALL_STATE_BYTES 160
struct call {
        struct thread *thread;             /* [I] */
        const struct syscall_entry *entry; /* [V] never valid in the record: set from nr at dispatch */
        uint16_t nr;
        uint8_t stage;        /* 0 before decode; numbered per call, part of the schema */
        uint8_t why;          /* enum why: set by the dispatcher */
        uint8_t saved;        /* it put itself into the record, with what it had decoded; objects[] are counted */
        uint8_t counted;      /* bit i: objects[i] is counted */
        uint8_t fault_failed; /* the last CALL_FAULT could not be resolved: end with done or -EFAULT */
        uint8_t has_mask;     /* saved_mask is to be restored at the end (ppoll, sigsuspend...) */
        uint64_t arg[6];
        union {
                struct object *objects[CALL_OBJECTS]; /* borrowed until saved */
                struct {
                        struct file *file, *file2;
                        struct inode *inode, *inode2;
                };
        };
        uint64_t deadline; /* absolute CLOCK_MONOTONIC ns, NO_DEADLINE = none */
        uint64_t saved_mask;
        uint64_t fault_addr, fault_err; /* for CALL_FAULT */
        void *overflow; /* byte block: volatile (kmalloc) until saved, then in the space; see call_overflow() */
        uint32_t overflow_len;
        uint32_t overflow_saved;
        uint64_t pos; /* file position for p{read,write}* */
        struct user_io io;
        uint64_t state[CALL_STATE_BYTES / 8]; /* per-call decoded state: call_state() */
};
/* Per-call state as a struct of the call's own: zeroed at stage 0 by call_state_init. */
#define call_state(c, T)                                                                                               \
        ({                                                                                                             \
                _Static_assert(sizeof(T) <= CALL_STATE_BYTES, "call state too big");                                   \
                (T *)(c)->state;                                                                                       \
        })

typedef long (*call_fn)(struct call *c);
typedef long (*quick_fn)(struct thread *t, struct frame *f);
struct syscall_entry {
        const char *name;
        call_fn run;
        quick_fn quick;     /* no call, no section: reads or writes only the current thread's and process's own words */
        uint16_t interrupt; /* enum interrupt */
        uint16_t restart;   /* code for call_interrupted: EINTR or ERESTART* */
};

/* Marks the first change. Everything that can fail stands before it. */
#define changes(c) ((void)(c), section_changes())

/* Save and sleep. Condition: the call looks again when woken by wake(key), a deadline or a signal. Returns CALL_WAIT or CALL_RETRY. Locks stay held until the section ends. */
long call_wait(struct call *c, enum wait_kind kind, const void *key, enum interrupt i, uint64_t deadline_ns);
/* GRANT wait: sleeps until granted. bits: for futex bitsets (else ~0). */
long call_wait_grant(struct call *c, const void *key, uint64_t bits, enum interrupt i, uint64_t deadline_ns);
/* At re-dispatch of a GRANT wait: true and *result when granted. Else the caller looks at c->why; if it gives up it calls call_ungrant(c), which loses the race when
 * a grant came meanwhile (returns true: take the result after all). If it goes on waiting: call_wait_more(c). */
bool call_granted(struct call *c, long *result);
bool call_ungrant(struct call *c, long *result);
long call_wait_more(struct call *c);
/* poll: entries first (volatile), then the caller checks all objects, then sleeps. */
int poll_key(struct call *c, const void *key); /* 0 or -ENOMEM */
long call_wait_poll(struct call *c, enum interrupt i, uint64_t deadline_ns);
/*
 * Waits for the commit that makes `epoch` durable. 0: it is; else what the call returns: -EIO or -ENOSPC (commits cannot go on), -EINTR (a kill), CALL_WAIT or CALL_RETRY.
 * The caller keeps the epoch in its call, from the section of the change (snapshot_epoch()): it asks again at each dispatch. No key registered before.
 */
long call_wait_commit(struct call *c, uint64_t epoch);
/* Default end for a call that was interrupted, by c->why: bytes done, or the table's restart code; WHY_DEADLINE: done or -EAGAIN unless the caller handled it. */
long call_interrupted(struct call *c);
/* A user copy stopped: returns CALL_FAULT, or (when it was resolved in vain) done > 0 ? done : -EFAULT. */
long user_fault(struct call *c);

/* Wakers, in the waker's section after changes(). */
void wake(const void *key);
unsigned wake_some(const void *key, unsigned max);
/* Grants: the oldest `max` GRANT sleepers on key whose bits & mask != 0 get result; returns how many. */
unsigned grant(const void *key, unsigned max, uint64_t mask, long result);
unsigned grant_requeue(const void *from, const void *to, unsigned max);
void grant_thread(struct thread *t, long result); /* this very thread, which waits with GRANT */
/* Calls fn for each GRANT sleeper on key in ticket order until it returns false (semop, flock queues). */
void grant_now(struct thread *t, long result); /* inside grant_each's fn: this one gets it */
void grant_each(const void *key, bool (*fn)(struct thread *t, void *arg), void *arg);

/* Vectors. Decode at stage 0. */
void io_single(struct user_io *io, uint64_t base, size_t len);
long io_vectors(struct call *c, uint64_t iov, uint64_t count); /* 0, -EINVAL, -ENOMEM, or CALL_FAULT via user_fault */
size_t io_copy_out(struct user_io *io, const void *src,
                   size_t len); /* to user, from the current position; does not advance; bytes copied */
size_t io_copy_in(struct user_io *io, void *dst, size_t len);
size_t io_zero(struct user_io *io, size_t len);
/* How much of the user's memory from the current position on is in one piece, and its address; 0: nothing is left, or it is the kernel's. */
size_t io_straight(const struct user_io *io, uint64_t *va);
void io_advance(struct user_io *io, size_t len);
/* Is the user's memory there? Reads a byte of each page of the next n; false: return user_fault(c). For bulk that is copied in after the change. */
bool io_probe_in(struct user_io *io, size_t n);
/* Place in an io, to go back to when a copy in parts stops short before the change. */
struct io_mark {
        size_t len, done;
        uint64_t offset;
        uint32_t at;
};
static inline struct io_mark io_mark(const struct user_io *io)
{
        return (struct io_mark){io->len, io->done, io->offset, io->at};
}
static inline void io_reset(struct user_io *io, struct io_mark m)
{
        io->len = m.len;
        io->done = m.done;
        io->offset = m.offset;
        io->at = m.at;
}
/* Volatile block of len bytes (<= 64 pages), zeroed, that becomes persistent when the call is saved and is freed with the call: c->overflow; find it there
 * at each dispatch, as it moves. One a call. NULL: no memory. */
void *call_overflow(struct call *c, size_t len);
/* Volatile block for this run of the call only (which: 0 or 1; 1 is io_vectors'): freed when the call ends, waits or is abandoned. Asked again in a slot, it frees
 * the former. NULL: no memory. */
void *call_scratch(struct call *c, unsigned which, size_t len);

/* User structs. On failure they return false: the caller returns user_fault(c). */
bool copy_in(struct call *c, void *dst, uint64_t src, size_t len);
bool copy_out(struct call *c, uint64_t dst, const void *src, size_t len);
/* Absolute path strings etc. >= 0 length, -ENAMETOOLONG, or -EFAULT: then return user_fault(c). */
long copy_string(struct call *c, char *dst, uint64_t src, size_t len);

/* A struct that may grow with time: `usize` bytes given by the user, what the kernel does not know must be 0. 0, -E2BIG, or what user_fault() returns. */
long copy_struct_in(struct call *c, void *dst, size_t ksize, uint64_t src, size_t usize);

void call_save(struct call *c);
/* Let a kernel-made call run as thread t's next dispatch (init's execve, new threads): t is not running. */
void call_prepare(struct thread *t, unsigned nr, const uint64_t arg[6]);
extern const struct syscall_entry syscall_table[];
extern const unsigned syscall_count;
/* Pseudo-calls, numbers above the table. */
enum {
        NR_PSEUDO = 1024,
        NR_USER_FAULT = NR_PSEUDO,
        NR_SIGNAL,
        NR_EXIT,
        NR_START_INIT,
        NR_CHILD_TID,
        NR_USER_TRAP,
        NR_PSEUDO_END
};
