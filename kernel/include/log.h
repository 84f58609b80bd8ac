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
 * and must not log. COM1 (polled) is one from the start.
 */
struct klog_console { void (*write)(struct klog_console *, const char *text, size_t len); struct klog_console *next; };
void klog_console_register(struct klog_console *c);
void klog_console_unregister(struct klog_console *c);
uint64_t klog_end(void);                                                /* sequence number after the newest byte */
/*
 * Where lines at or below the console level go. Until a sink with `replaces_early` is added klog writes to COM1 itself, by polling.
 * write() is called with interrupts as they are, in any context, with whole lines; it is quick and does not call klog. In a
 * panic it takes no lock that may be held and has everything out when it returns.
 */
struct klog_sink {
        void (*write)(struct klog_sink *s, const char *bytes, size_t len, bool panicking);
        bool replaces_early;
        struct klog_sink *next;   /* klog's */
};
void klog_sink_add(struct klog_sink *s);   /* for ever; earlier lines are not repeated (klog_read has them) */
noreturn void panic(const char *fmt, ...) printf_like(1, 2);
void backtrace_print(uint64_t rbp);

#define assert(c) do { if (unlikely(!(c))) panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c); } while (0)
