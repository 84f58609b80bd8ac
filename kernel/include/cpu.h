/*
 * cpu.h - the per-CPU block and the trap frame. One kernel stack per CPU (calls.md): entry from user mode always starts at
 * the top of that stack, so the frame of the user state stands at a fixed place: cpu->frame.
 * %gs points at struct cpu while in the kernel. Volatile.
 */
#pragma once
#include "kernel/include/types.h"

/* What entry.S pushes, lowest address first. Offsets are used by assembly. */
struct frame {
        uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
        uint64_t nr;  /* system call number, or the vector with FRAME_TRAP set */
        uint64_t err; /* error code of the exception, or 0 */
        uint64_t rip, cs, rflags, rsp, ss;
};
#define FRAME_TRAP (1ul << 32)

struct section; /* persist/section.h */
struct thread;  /* posix/include/thread.h */
struct mmu;

struct cpu {
        struct cpu *self;        /* %gs:0 */
        uint64_t stack_top;      /* %gs:8  entry starts here */
        uint64_t scratch;        /* %gs:16 user rsp during syscall entry */
        struct thread *current;  /* %gs:24 the Unix thread whose frame is on the stack, or NULL */
        struct section *section; /* %gs:32 this CPU's section state (persist) */
        uint32_t id;             /* dense, 0 is the boot CPU */
        uint32_t apic_id;
        volatile uint32_t need; /* NEED_*: looked at before the return to user mode and in idle */
        uint32_t irq_depth;     /* > 0 in an interrupt handler */
        bool irq_from_user;     /* the interrupt being served came from user mode */
        bool in_user_fixup;     /* copying through the user mapping: a fault goes to the fix-up */
        struct mmu *mmu;        /* address space that is loaded */
        struct frame *frame;    /* user frame at the top of the stack */
        void *tss;
        uint8_t vec_busy; /* vector.S: how many of the user's vector registers are saved here; 0xff: they are not to be used */
        uint8_t vec_save[128] __attribute__((aligned(64)));
        uint64_t idle_ns, busy_since_ns;
        uint64_t fault_addr;         /* CR2 of the last user-copy fault that the fix-up caught */
        uint64_t fault_err;          /* and its error code */
        bool probing;                /* safe_read64: every fault goes to the fix-up, also one on the space */
        struct frame *stopped_frame; /* panic: where the stop caught this CPU */
};

#define NEED_RESCHED 1u /* pick again: time slice over or a better thread woke */
#define NEED_PARK    2u /* a barrier waits for this CPU */
#define NEED_WORK    4u /* volatile work queued for this CPU */
#define NEED_SIGNAL  8u /* the current thread has something to look at before user mode */

static inline struct cpu *cpu_this(void)
{
        struct cpu *c;
        __asm__("mov %%gs:0, %0" : "=r"(c)); /* not volatile: a section never changes CPU */
        return c;
}
extern struct cpu cpus[MAX_CPUS];
extern unsigned cpu_count; /* CPUs that run */

static inline uint64_t irq_save(void)
{
        uint64_t f;
        __asm__ volatile("pushfq; popq %0; cli" : "=r"(f)::"memory");
        return f;
}
static inline void irq_restore(uint64_t f)
{
        if (f & 0x200)
                __asm__ volatile("sti" ::: "memory");
}
/* Interrupts are off: until one comes, also if that was since then. They are on afterwards. */
static inline void cpu_halt(void)
{
        __asm__ volatile("sti; hlt" ::: "memory"); /* sti takes effect after hlt has begun */
}
static inline void cpu_relax(void)
{
        __asm__ volatile("pause" ::: "memory");
}
static inline uint64_t rdtsc(void)
{
        uint32_t lo, hi;
        __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
        return (uint64_t)hi << 32 | lo;
}

/* Volatile lock for volatile data; also used by interrupt handlers, hence interrupts off while held. */
struct spinlock {
        volatile uint32_t word;
};
static inline uint64_t spin_lock(struct spinlock *l)
{
        uint64_t f = irq_save();
        while (__atomic_exchange_n(&l->word, 1, __ATOMIC_ACQUIRE))
                while (l->word)
                        cpu_relax();
        return f;
}
/* The same with interrupts as they are: for data that no interrupt handler touches, in code that is not preempted (sections). */
static inline void spin_acquire(struct spinlock *l)
{
        while (__atomic_exchange_n(&l->word, 1, __ATOMIC_ACQUIRE))
                while (l->word)
                        cpu_relax();
}
static inline void spin_release(struct spinlock *l)
{
        __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
}
static inline void spin_unlock(struct spinlock *l, uint64_t f)
{
        __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
        irq_restore(f);
}
