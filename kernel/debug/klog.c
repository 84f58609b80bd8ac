/*
 * klog.c - the kernel log: a ring of the newest 64 KiB, and consoles.
 * Lines stand in the ring as "<level>[seconds] text\n", Linux's form (dmesg takes it apart); consoles get them without the level. A
 * sequence number counts all bytes ever written, so a reader knows what it missed.
 * Lock: klog_lock, the innermost of all (volatile, interrupts off). A panic goes on without it.
 */
#include <stdarg.h>
#include "kernel/include/arch/machine.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define RING_SIZE 65536ul
#define LINE_MAX  512

static char ring[RING_SIZE];
static uint64_t end;
static int console_level = LOG_INFO;
static struct spinlock klog_lock;
static bool unlocked; /* panic */

static void serial_write(struct klog_console *c, const char *text, size_t len)
{
        (void)c;
        while (len--)
                serial_early_putc(*text++);
}
static struct klog_console serial = {.write = serial_write};
static struct klog_console *consoles = &serial;

static void ring_put(const char *text, size_t len)
{
        while (len) {
                size_t at = end % RING_SIZE, n = MIN(len, RING_SIZE - at);
                memcpy(ring + at, text, n);
                end += n;
                text += n;
                len -= n;
        }
}

static uint64_t log_lock(void)
{
        return unlocked ? irq_save() : spin_lock(&klog_lock);
}

static void log_unlock(uint64_t f)
{
        if (unlocked)
                irq_restore(f);
        else
                spin_unlock(&klog_lock, f);
}

void klog_v(enum klog_level level, const char *fmt, va_list ap)
{
        char line[LINE_MAX];
        uint64_t now = time_mono_ns(), f;
        size_t n, prefix;

        prefix = fmt_append(line, sizeof(line), 0, "<%d>", level);
        n = fmt_append(line, sizeof(line), prefix, "[%5lu.%06lu] ", now / NSEC_PER_SEC, now % NSEC_PER_SEC / 1000);
        n += MIN((size_t)vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap), sizeof(line) - n - 2);
        if (line[n - 1] != '\n')
                line[n++] = '\n';
        f = log_lock();
        ring_put(line, n);
        if ((int)level <= console_level) {
                for (struct klog_console *c = consoles; c; c = c->next)
                        if (!c->quiet || level <= LOG_WARN || unlocked)
                                c->write(c, line + prefix, n - prefix);
        }
        log_unlock(f);
}

void klog(enum klog_level level, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        klog_v(level, fmt, ap);
        va_end(ap);
}

void klog_echo(const char *text, size_t len)
{
        uint64_t f = log_lock();

        for (struct klog_console *c = consoles; c; c = c->next)
                c->write(c, text, len);
        log_unlock(f);
}

void klog_set_console_level(int level)
{
        console_level = level;
}

bool klog_panicking(void)
{
        return unlocked;
}

bool klog_has_screen(void)
{
        for (struct klog_console *c = consoles; c; c = c->next) {
                if (c != &serial && !c->replaces_serial)
                        return true;
        }
        return false;
}

void klog_enter_panic(void)
{
        unlocked = true;
        console_level = LOG_DEBUG;
}

size_t klog_read(uint64_t from, char *buf, size_t len, uint64_t *next)
{
        uint64_t f = log_lock();
        size_t done = 0;

        if (end > RING_SIZE && from < end - RING_SIZE)
                from = end - RING_SIZE;
        if (from > end)
                from = end;
        while (done < len && from < end) {
                size_t at = from % RING_SIZE, n = MIN(len - done, MIN(RING_SIZE - at, end - from));
                memcpy(buf + done, ring + at, n);
                done += n;
                from += n;
        }
        if (next)
                *next = from;
        log_unlock(f);
        return done;
}

uint64_t klog_end(void)
{
        return READ_ONCE(end);
}

/* What the ring holds and the console should have shown, without the "<n>" at the start of each line. */
static void replay(struct klog_console *c)
{
        uint64_t from = end > RING_SIZE ? end - RING_SIZE : 0;
        char text[LINE_MAX];
        size_t n = 0;
        bool in_level = false, start = true;
        char level = 0;

        for (; from < end; from++) {
                char ch = ring[from % RING_SIZE];
                if (start && ch == '<') {
                        in_level = true;
                } else if (in_level) {
                        if (ch == '>')
                                in_level = false;
                        else
                                level = ch;
                } else if (level - '0' <= console_level) {
                        text[n++] = ch;
                }
                start = ch == '\n';
                if (n == sizeof(text) || (start && n)) {
                        c->write(c, text, n);
                        n = 0;
                }
        }
}

static void remove_console(struct klog_console *c)
{
        for (struct klog_console **p = &consoles; *p; p = &(*p)->next) {
                if (*p == c) {
                        *p = c->next;
                        break;
                }
        }
}

void klog_console_register(struct klog_console *c)
{
        uint64_t f = log_lock();

        if (c->replaces_serial)
                remove_console(&serial);
        else
                replay(c);
        c->next = consoles;
        consoles = c;
        log_unlock(f);
}

void klog_console_unregister(struct klog_console *c)
{
        uint64_t f = log_lock();

        remove_console(c);
        log_unlock(f);
}
