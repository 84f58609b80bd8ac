/*
 * phantom_proc.c - /proc/phantom: the knobs and figures of the persistent space. Tests and the curious use them; programs need none.
 */
#include "kernel/glue/gate.h"
#include "kernel/glue/old_pages.h"
#include "kernel/glue/phantom_proc.h"
#include "kernel/include/boot.h"
#include "kernel/include/input.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/lib/string.h"
#include "persist/section.h"
#include "persist/space.h"
#include "posix/include/process.h"
#include "posix/include/procfs.h"

extern uint32_t chaos_per_mille; /* posix/call */

static void show_rate(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "%u\n", barrier_rate());
}

static long set_rate(struct call *c, const char *text, size_t len, void *arg)
{
        uint64_t hz;

        (void)c;
        (void)len;
        (void)arg;
        if (proc_parse_u64(text, &hz) || hz > 10000)
                return -EINVAL;
        barrier_set_rate((uint32_t)hz);
        return 0;
}

static void show_storm(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "%u\n", storm_interval());
}

static long set_storm(struct call *c, const char *text, size_t len, void *arg)
{
        uint64_t ms;

        (void)c;
        (void)len;
        (void)arg;
        if (proc_parse_u64(text, &ms) || ms > 3600000)
                return -EINVAL;
        return storm_set_interval((uint32_t)ms);
}

static void show_fresh(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "%u\n", posix_root()->fresh);
}

static long set_fresh(struct call *c, const char *text, size_t len, void *arg)
{
        uint64_t on;

        (void)len;
        (void)arg;
        if (proc_parse_u64(text, &on) || on > 1)
                return -EINVAL;
        changes(c);
        posix_root()->fresh = (uint32_t)on;
        return 0;
}

static void show_check(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "%d\n", space_check_each_barrier);
}

static long set_check(struct call *c, const char *text, size_t len, void *arg)
{
        uint64_t on;

        (void)c;
        (void)len;
        (void)arg;
        if (proc_parse_u64(text, &on) || on > 1)
                return -EINVAL;
        space_check_each_barrier = on;
        return 0;
}

static void show_stats(struct proc_text *t, void *arg)
{
        static const char *const kinds[PAGE_KINDS] = {"free", "meta", "slab", "run", "node", "anon", "file", "dir"};
        struct barrier_stats b;
        struct space_stats s;

        (void)arg;
        snapshot_barrier_stats(&b);
        space_stats(&s);
        proc_printf(t,
                    "epoch %lu\nbarriers %lu\npause_last_ticks %lu\npause_max_ticks %lu\npause_mean_ticks "
                    "%lu\nentries_last %lu\n",
                    s.epoch, b.count, b.pause_last, b.pause_max, b.count ? b.pause_sum / b.count : 0, b.entries_last);
        proc_printf(t, "dirty %lu\ndeferred %lu\nframes_total %lu\nframes_free %lu\npages_top %lu\npages_cached %lu\n",
                    s.dirty_now, s.deferred, frames_total(), frames_free(), s.pages_top, s.pages_cached);
        for (unsigned k = 0; k < PAGE_KINDS; k++)
                proc_printf(t, "pages_%s %lu\n", kinds[k], s.pages[k]);
        proc_printf(t, "storms %lu\n", storm_count());
        proc_printf(t, "abandoned %lu\n", section_this()->abandoned);
}

static void show_watchdog(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "%u\n", watchdog_left());
}

static long set_watchdog(struct call *c, const char *text, size_t len, void *arg)
{
        uint64_t s;

        (void)c;
        (void)len;
        (void)arg;
        if (proc_parse_u64(text, &s) || s)
                return -EINVAL;
        watchdog_stop();
        return 0;
}

static void show_keyboard(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "%s\n", keyboard_layout());
}

static long set_keyboard(struct call *c, const char *text, size_t len, void *arg)
{
        char name[sizeof(posix_root()->keyboard)];

        (void)arg;
        if (len && text[len - 1] == '\n')
                len--;
        if (len >= sizeof(name))
                return -EINVAL;
        memset(name, 0, sizeof(name));
        memcpy(name, text, len);
        if (keyboard_layout_set(name))
                return -EINVAL;
        changes(c);
        memcpy(posix_root()->keyboard, name, sizeof(name));
        return 0;
}

/* What was chosen last stays so; before that, the command line's. */
static void keyboard_restore(void)
{
        char name[sizeof(posix_root()->keyboard)] = "";

        boot_option("keyboard", name, sizeof(name));
        if (posix_root()->keyboard[0])
                memcpy(name, posix_root()->keyboard, sizeof(name));
        if (name[0] && keyboard_layout_set(name))
                klog(LOG_WARN, "there is no keyboard layout `%s`", name);
}

void phantom_proc_register(void)
{
        static struct proc_number chaos = {&chaos_per_mille, 4, 1000, NULL},
                                  absent = {&space_absent_per_mille, 4, 1000, NULL},
                                  live = {&snapshot_live, 4, 1, old_pages_live};

        proc_register("/proc/phantom/barrier_hz", 0644, show_rate, set_rate, NULL);
        proc_register("/proc/phantom/storm", 0644, show_storm, set_storm, NULL);
        proc_register("/proc/phantom/fresh", 0644, show_fresh, set_fresh, NULL);
        proc_register("/proc/phantom/check", 0644, show_check, set_check, NULL);
        keyboard_restore();
        proc_register("/proc/phantom/keyboard", 0644, show_keyboard, set_keyboard, NULL);
        proc_register("/proc/phantom/watchdog", 0644, show_watchdog, set_watchdog, NULL);
        proc_register("/proc/phantom/stats", 0444, show_stats, NULL, NULL);
        proc_register_number("/proc/phantom/chaos", &chaos);
        proc_register_number("/proc/phantom/absent", &absent);
        proc_register_number("/proc/phantom/snapshot_live", &live);
}
