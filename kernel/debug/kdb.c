/*
 * kdb.c - a debugger prompt on COM1 after a panic, when the command line says `kdb`. Interrupts are off, the other CPUs stand in their NMI
 * handler, the port is polled. It only reads: the machine does not go on from here. Every read may fail and says so.
 */
#include "kernel/debug/debug.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/mem.h"
#include "kernel/include/power.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define LINE_MAX   128
#define DUMP_WORDS 16

static const struct frame *panic_frame;
static uint64_t panic_rbp;

static void put(const char *s)
{
        while (*s)
                serial_early_putc(*s++);
}

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
        char line[256];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(line, sizeof(line), fmt, ap);
        va_end(ap);
        put(line);
}

static void read_line(char *line)
{
        size_t n = 0;

        for (;;) {
                int c = serial_early_getc();
                if (c < 0) {
                        cpu_relax();
                } else if (c == '\r' || c == '\n') {
                        put("\n");
                        line[n] = 0;
                        return;
                } else if (c == 8 || c == 127) {
                        if (n) {
                                n--;
                                put("\b \b");
                        }
                } else if (c >= ' ' && c < 127 && n + 1 < LINE_MAX) {
                        line[n++] = (char)c;
                        serial_early_putc((char)c);
                }
        }
}

/* A number (0x for hexadecimal), or a function's name, or name+offset. */
static bool parse_address(const char **s, uint64_t *addr)
{
        char name[64];
        size_t n = 0;
        unsigned long v;
        const char *p = *s;

        while (*p == ' ')
                p++;
        if (fmt_parse_u64(p, 0, s, &v)) {
                *addr = v;
                return true;
        }
        while (*p && *p != ' ' && *p != '+' && n + 1 < sizeof(name))
                name[n++] = *p++;
        name[n] = 0;
        *addr = n ? ksym_by_name(name) : 0;
        if (!*addr)
                return false;
        if (*p == '+' && fmt_parse_u64(p + 1, 0, &p, &v))
                *addr += v;
        *s = p;
        return true;
}

static const struct frame *frame_of(unsigned cpu)
{
        return cpu == cpu_this()->id ? panic_frame : cpus[cpu].stopped_frame;
}

/* The CPU that a command names, else the one that panicked. */
static bool parse_cpu(const char *s, unsigned *cpu)
{
        uint64_t v;

        *cpu = cpu_this()->id;
        if (!parse_address(&s, &v))
                return true;
        if (v >= cpu_count) {
                say("there is no CPU %lu\n", v);
                return false;
        }
        *cpu = (unsigned)v;
        return true;
}

static void cmd_regs(const char *s)
{
        unsigned cpu;
        const struct frame *f;

        if (!parse_cpu(s, &cpu))
                return;
        f = frame_of(cpu);
        if (f)
                frame_print(f);
        else
                say("no registers of CPU %u: it %s\n", cpu,
                    cpu == cpu_this()->id ? "panicked without an exception" : "did not stop");
}

static void cmd_backtrace(const char *s)
{
        unsigned cpu;
        const struct frame *f;

        if (!parse_cpu(s, &cpu))
                return;
        f = frame_of(cpu);
        if (f)
                backtrace_print((uint64_t)f | 1);
        else if (cpu == cpu_this()->id)
                backtrace_print(panic_rbp);
        else
                say("CPU %u did not stop\n", cpu);
}

static void cmd_cpus(const char *s)
{
        (void)s;
        for (unsigned i = 0; i < cpu_count; i++) {
                const struct frame *f = frame_of(i);
                uint64_t offset = 0;
                const char *name = f ? ksym_find(f->rip, &offset) : NULL;
                say("CPU %u apic %u need %x current %p mmu %p at %016lx %s+0x%lx%s\n", i, cpus[i].apic_id, cpus[i].need,
                    (void *)cpus[i].current, (void *)cpus[i].mmu, f ? f->rip : 0, name ? name : "?", offset,
                    i == cpu_this()->id ? " (panicked)" : "");
        }
}

static void cmd_dump(const char *s)
{
        uint64_t addr, n = DUMP_WORDS, v;

        if (!parse_address(&s, &addr)) {
                say("usage: d ADDRESS [WORDS]\n");
                return;
        }
        parse_address(&s, &n);
        addr &= ~7ul;
        for (uint64_t i = 0; i < n; i++) {
                if (i % 4 == 0)
                        say("%s%016lx:", i ? "\n" : "", addr + i * 8);
                if (safe_read64(addr + i * 8, &v))
                        say(" %016lx", v);
                else
                        say(" (cannot be read)");
        }
        say("\n");
}

static void cmd_symbol(const char *s)
{
        uint64_t addr, offset;
        const char *name;

        if (!parse_address(&s, &addr)) {
                say("unknown\n");
                return;
        }
        name = ksym_find(addr, &offset);
        say("%016lx %s+0x%lx\n", addr, name ? name : "?", name ? offset : 0);
}

static void cmd_log(const char *s)
{
        char buf[128];
        uint64_t at = 0;
        size_t n;

        (void)s;
        while ((n = klog_read(at, buf, sizeof(buf) - 1, &at))) {
                buf[n] = 0;
                put(buf);
        }
}

static void cmd_memory(const char *s)
{
        (void)s;
        say("%lu of %lu frames free\n", frames_free(), frames_total());
}

static void cmd_reset(const char *s)
{
        (void)s;
        power_reset();
}

static void cmd_off(const char *s)
{
        (void)s;
        power_test_exit(PANIC_EXIT_STATUS);
        power_off();
}

static void cmd_help(const char *s);
static const struct {
        const char *name;
        void (*run)(const char *args);
        const char *help;
} commands[] = {
        {"help", cmd_help, "this list"},
        {"r", cmd_regs, "r [CPU]: registers"},
        {"bt", cmd_backtrace, "bt [CPU]: backtrace"},
        {"cpus", cmd_cpus, "where each CPU stands"},
        {"d", cmd_dump, "d ADDRESS [WORDS]: memory"},
        {"sym", cmd_symbol, "sym ADDRESS|NAME: symbol"},
        {"log", cmd_log, "the kernel log"},
        {"mem", cmd_memory, "free frames"},
        {"reset", cmd_reset, "start the machine again"},
        {"off", cmd_off, "switch it off"},
};

static void cmd_help(const char *s)
{
        (void)s;
        for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
                say("  %-6s %s\n", commands[i].name, commands[i].help);
}

static void run(const char *line)
{
        size_t n;

        while (*line == ' ')
                line++;
        for (n = 0; line[n] && line[n] != ' ';)
                n++;
        if (!n)
                return;
        for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
                if (strlen(commands[i].name) == n && !memcmp(commands[i].name, line, n)) {
                        commands[i].run(line + n);
                        return;
                }
        }
        say("unknown command; `help` lists them\n");
}

noreturn void kdb_enter(const struct frame *f, uint64_t rbp)
{
        char line[LINE_MAX];

        panic_frame = f;
        panic_rbp = rbp;
        say("kernel debugger; `help` lists the commands\n");
        for (;;) {
                say("kdb> ");
                read_line(line);
                run(line);
        }
}
