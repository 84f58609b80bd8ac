/*
 * log.h - the kernel log and the end of the world.
 * klog keeps the last 64 KiB in a volatile ring (syslog(2), dmesg) and sends lines at or below the console level to serial
 * and screen. Callable from every context, interrupts included. panic prints a symbolised backtrace, stops the other CPUs
 * and halts (or resets, or leaves QEMU through isa-debug-exit when the command line says panic=exit).
 */
#pragma once
#include <stdarg.h>
#include "kernel/include/types.h"

enum klog_level { LOG_ERR = 3, LOG_WARN = 4, LOG_INFO = 6, LOG_DEBUG = 7 };

void klog(enum klog_level level, const char *fmt, ...) printf_like(2, 3);
void klog_v(enum klog_level level, const char *fmt, va_list ap);
void klog_set_console_level(int level);
size_t klog_read(uint64_t from, char *buf, size_t len, uint64_t *next); /* copies out ring bytes from sequence `from` */
/*
 * A console gets text as it is logged, and at registration what the ring still holds. write is called with interrupts off, from any context,
 * and must not log; while klog_panicking() it takes no lock and has everything out when it returns. COM1 (polled) is one from the
 * start; a console that sends to COM1 itself takes its place (replaces_serial) and gets nothing repeated.
 */
struct klog_console {
        void (*write)(struct klog_console *, const char *text, size_t len);
        bool replaces_serial;
        bool quiet; /* warnings and errors only: a program has this screen. May be set at any time */
        struct klog_console *next;
};
bool klog_panicking(void);
/* Text for the consoles alone: what is asked before programs run. Empty: what they have not drawn yet is drawn, where no timer does it. */
void klog_echo(const char *text, size_t len);
void klog_console_register(struct klog_console *c);
void klog_console_unregister(struct klog_console *c);
uint64_t klog_end(void); /* sequence number after the newest byte */
noreturn void panic(const char *fmt, ...) printf_like(1, 2);
void backtrace_print(uint64_t rbp);

#define assert(c)                                                                                                      \
        do {                                                                                                           \
                if (unlikely(!(c)))                                                                                    \
                        panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c);                                  \
        } while (0)
