/*
 * machine.h - the contract among the parts of the machine layer (arch, mm, irq, time, debug) and with kernel/init, which calls the *_init
 * functions in the order of early_main. Nobody else needs it.
 */
#pragma once
#include "kernel/include/types.h"
#include "kernel/include/cpu.h"

/* Boot. */
struct ram_range {
        paddr_t start, end;
        bool usable;
};
extern struct ram_range ram_map[]; /* RAM as the loader told: usable, and what firmware keeps (ACPI tables) */
extern unsigned ram_ranges;
void boot_init(uint32_t info_pa); /* fills boot_info and ram_map; nothing of the information block is needed after it */
extern paddr_t ap_trampoline;     /* a page below 640 KiB where other CPUs start; 0: none was free */
paddr_t early_frame(void);        /* frames for the first page tables; below 4 GiB; zeroed; until frames_init */
noreturn void boot_refuse(const char *fmt, ...)
        printf_like(1, 2); /* this machine lacks something: say what on screen and serial, stop */

/* CPUs. */
void cpu_init(unsigned id);        /* descriptor tables, control registers, MSRs of the CPU that calls */
void cpu_require(void);            /* boot CPU: what we cannot do without */
void cpu_stacks_init(unsigned id); /* stack and exception stacks with guard pages */
void rng_init(void);
void smp_init(void);    /* starts the other CPUs; they wait until smp_release */
void smp_release(void); /* hooks are set: they call hooks.cpu_start */
void ipi_send(unsigned cpu, unsigned vector);
void ipi_stop_others(void); /* panic: by NMI */
bool cpu_online(unsigned cpu);

/* Kernel page tables. */
void paging_init(void);
bool paging_ready(void); /* the boot page tables are behind us */
#define KMAP_W  1u
#define KMAP_UC 2u
#define KMAP_WC 4u
int kmap(uint64_t va, paddr_t pa,
         unsigned flags);              /* in the KHEAP range; 0, -ENOMEM, -EINVAL (no such physical address) */
paddr_t kunmap(uint64_t va);           /* what was there, or 0; flushed by tlb_flush_kernel */
paddr_t kernel_translate(uint64_t va); /* any kernel address; 0: not mapped */
bool direct_covers(paddr_t pa, size_t len);
void tlb_flush_kernel(uint64_t va, size_t npages); /* on all CPUs */

/* Memory. */
void frames_init(void);
void frames_add(paddr_t start, paddr_t end);
void kheap_init(void);
void *phys_map(paddr_t pa, size_t len); /* firmware tables: direct map where it reaches, else a cached mapping; NULL */
/* One byte a frame: what it is. Frame allocator and heap share it. */
#define FRAME_POISON 0xdb /* test builds: what freed memory is filled with */
#define FRAME_CACHED 0xfe /* test builds: free, in a CPU's cache */
#define FRAME_USED   0xff /* allocated, or no RAM */
#define FRAME_SLAB   0x80 /* | size class */
#define FRAME_LARGE  0x40 /* first frame of a large heap block */
#define FRAME_CONT   0x41 /* further frames of it */
extern uint8_t *frame_state;

/* Interrupts and time. */
void irq_init(void);
void irq_dispatch(unsigned vector); /* interrupts off */
void irq_eoi(void);
#define IRQ_VECTOR_FIRST 0x30u
#define IRQ_VECTORS      0xb0u
void irq_local(unsigned vector); /* timer, IPIs, spurious ones; does its own end of interrupt */
int irq_route_gsi(unsigned gsi, unsigned vector, bool level, bool active_low); /* 0 or -ENODEV */
void time_early_init(uint64_t entry_tsc);                                      /* for log lines before time_init */
void time_init(void);                                                          /* calibrates, reads the RTC */
uint64_t tsc_calibrate(void);                                                  /* Hz */
uint64_t tsc_refine(void); /* Hz over the time since tsc_calibrate; 0: no better than before */
uint64_t rtc_read(void);   /* seconds since 1970; 0: no clock */
void timer_calibrate(void);
void timer_cpu_init(void);
void timer_interrupt(void);               /* VECTOR_TIMER */
void timer_program(uint64_t deadline_ns); /* this CPU's one-shot; ~0: none */
void vtimer_cpu_init(void);
void tlb_interrupt(void); /* VECTOR_TLB */

/* Serial, before and beside the driver in kernel/drivers/tty: COM1, polled. */
void serial_early_init(void);
void serial_early_putc(char c);
int serial_early_getc(void); /* -1: nothing there */

/* Before there is a screen driver: shows the log, and what comes, on the loader's frame buffer. Does nothing where that cannot be reached. */
void early_screen_start(void);

/* Traps. */
noreturn void panic_trap(struct frame *f, const char *what, uint64_t addr);
bool safe_read64(uint64_t addr, uint64_t *value); /* any address; false if it cannot be read */
bool probe_write(uint64_t addr);                  /* can the byte be written? It keeps its value */
noreturn void selftest_run(void);                 /* kernel/debug/selftest.c */
const char *vector_name(unsigned vector);
