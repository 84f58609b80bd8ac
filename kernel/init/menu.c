/*
 * menu.c - what to start (menu.h). There are no threads and no interrupts yet: keyboards and the serial line are polled. What is asked, and what is typed, goes to the consoles and not to the
 * log, so that it fits on 80 by 25 without the log's times; the log has what was chosen.
 */
#include <linux/input-event-codes.h>
#include "kernel/init/menu.h"
#include "kernel/init/menu_line.h"
#include "kernel/glue/snap_request.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/drivers.h"
#include "kernel/include/input.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define FAILED_BOOTS 3u
#define ANSWER_S     10ul
#define NUMBER_S     60ul /* since the last key */
#define DRAW_NS      20000000ul
#define SHOWN        9u /* one digit */
#define PROCESSES    15u
#define NO_ANSWER    (-1)

static struct store_kept kept[SNAP_KEPT_MAX];
static struct boot_process processes[PROCESSES];
static char typed[16]; /* on keyboards, and not looked at */
static unsigned ntyped;

static void say(const char *fmt, ...) printf_like(1, 2);
static void say(const char *fmt, ...)
{
        char text[160];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        klog_echo(text, strlen(text));
}

static void on_key(struct input_device *d, const struct input_event_raw *ev)
{
        char c = ev->type == EV_KEY && ev->value ? menu_key_char(ev->code) : 0;

        (void)d;
        if (c && ntyped < sizeof(typed))
                typed[ntyped++] = c;
}

static int keyboard_getc(void)
{
        char c;

        drivers_poll_input();
        if (!ntyped)
                return NO_ANSWER;
        c = typed[0];
        memmove(typed, typed + 1, --ntyped);
        return c;
}

static uint64_t in_seconds(uint64_t n)
{
        return time_mono_ns() + n * NSEC_PER_SEC;
}

static int get_key(uint64_t end_ns)
{
        uint64_t now = time_mono_ns(), draw = now;
        int c = NO_ANSWER;

        for (; c < 0 && now < end_ns; now = time_mono_ns()) {
                if (now >= draw) { /* no timer does it */
                        klog_echo("", 0);
                        draw = now + DRAW_NS;
                }
                c = serial_early_getc();
                if (c < 0)
                        c = keyboard_getc();
                cpu_relax();
        }
        return c;
}

/* ---- one process ---- */

static void show_processes(void)
{
        unsigned total = posix_processes(processes, PROCESSES), n = MIN(total, PROCESSES);

        say("\nProcesses, by number, state and name; those that were running first:\n");
        for (unsigned i = 0; i < n; i++) {
                struct boot_process *p = &processes[i];

                for (char *c = p->comm; *c; c++) /* the program chose its name */
                        if (*c < ' ' || *c > '~')
                                *c = '?';
                say("%7d %c %s\n", p->pid, p->state, p->comm);
        }
        if (total > n)
                say("        and %u more\n", total - n);
}

/* 0, or it was said why this line names no process that can be stopped. */
static int check_process(const struct menu_line *l)
{
        int pid = menu_line_number(l), r = pid < 0 ? -ESRCH : posix_may_stop(pid);

        switch (r) {
        case 0:
                return 0;
        case -EPERM:
                say("Process %d is init, without which nothing runs: it cannot be stopped.\n", pid);
                break;
        case -ECHILD:
                say("Process %d is ending: it cannot be stopped.\n", pid);
                break;
        case -EALREADY:
                say("Process %d is stopped already.\n", pid);
                break;
        default:
                say("There is no process %s.\n", l->text);
        }
        return r;
}

/* The number of a process that can be stopped; 0: none after all; NO_ANSWER. */
static int ask_process(void)
{
        const char *echo;

        for (;;) {
                struct menu_line l = {.len = 0};
                int c;

                say("Which one shall be stopped? Its number and Enter; 0: none. ");
                do {
                        c = get_key(in_seconds(NUMBER_S));
                        if (c < 0) {
                                say("\n");
                                return NO_ANSWER;
                        }
                        if (menu_line_add(&l, c, &echo))
                                break;
                        klog_echo(echo, strlen(echo));
                } while (true);
                say("\n");
                if (l.len && !menu_line_number(&l))
                        return 0;
                if (l.len && !check_process(&l))
                        return menu_line_number(&l);
        }
}

/* ---- snapshots ---- */

/* Newest first. */
static unsigned show(const struct store *s)
{
        unsigned total = MIN(store_kept(s, kept, SNAP_KEPT_MAX), SNAP_KEPT_MAX), n = MIN(total, SHOWN);
        uint64_t now = time_real_ns();

        say("\nWhat shall be started? Without an answer in %lu s, the newest state.\n", ANSWER_S);
        say("  Enter  the newest state\n");
        say("  p      the newest state, but one process is stopped\n");
        say("  f      the files alone: all programs end\n");
        for (unsigned i = 0; i < n; i++) {
                const struct store_kept *k = &kept[total - 1 - i];
                uint64_t age_s = now > k->clock.real_ns ? (now - k->clock.real_ns) / NSEC_PER_SEC : 0;

                say("  %u      the snapshot of epoch %lu, %lu h %lu min ago\n", i + 1, k->epoch, age_s / 3600,
                    age_s / 60 % 60);
        }
        return total;
}

static void go_back(struct store *s, uint64_t epoch)
{
        uint64_t newest;
        int r = store_keep(s, KEPT_PINNED, &newest); /* the way back from a wrong choice */

        if (!r)
                r = snap_rollback(s, epoch);
        klog(LOG_ERR, "cannot go back to epoch %lu: error %d. The newest state is started", epoch, r);
}

/* A key that means something here: '\r', 'f', 'p', '1' up to the last of n; or NO_ANSWER. */
static int choose(unsigned n)
{
        uint64_t end = in_seconds(ANSWER_S);

        for (;;) {
                int c = get_key(end);

                if (c == '\n')
                        c = '\r';
                if (c == NO_ANSWER || c == '\r' || c == 'f' || c == 'p' || (c >= '1' && c < '1' + (int)n))
                        return c;
        }
}

static void ask(struct store *s, struct posix_start *how)
{
        for (;;) {
                unsigned total = show(s);
                int c = choose(MIN(total, SHOWN));

                if (c == 'p') {
                        show_processes();
                        how->stop = ask_process();
                        if (!how->stop)
                                continue;
                        if (how->stop == NO_ANSWER)
                                how->stop = 0;
                }
                if (c >= '1' && c <= '9')
                        go_back(s, kept[total - 1 - (unsigned)(c - '1')].epoch);
                how->fresh = c == 'f';
                return;
        }
}

void menu_ask(struct store *s, struct posix_start *how)
{
        struct store_info info;

        store_info(s, &info);
        if (info.attempts <= FAILED_BOOTS && !boot_option("menu", NULL, 0))
                return;
        input_grab(on_key);
        ask(s, how);
        input_grab(NULL);
}
