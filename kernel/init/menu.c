/*
 * menu.c - what to start (menu.h). There are no threads and no interrupts yet: keyboard and serial line are polled, the log is what is seen.
 */
#include "kernel/init/menu.h"
#include "kernel/glue/snap_request.h"
#include "kernel/include/arch/io.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"

#define FAILED_BOOTS 3u
#define ANSWER_S     10ul
#define SHOWN        9u /* one digit */

#define I8042_DATA   0x60
#define I8042_STATUS 0x64
#define STATUS_FULL  0x01
#define STATUS_AUX   0x20
#define SCAN_1       0x02 /* set 1: 1 to 9 in a row */
#define SCAN_ENTER   0x1c
#define SCAN_F       0x21

static struct store_kept kept[SNAP_KEPT_MAX];

static int keyboard_getc(void)
{
        uint8_t status = inb(I8042_STATUS), code;

        if (!(status & STATUS_FULL))
                return -1;
        code = inb(I8042_DATA);
        if (status & STATUS_AUX) /* the mouse's, or no controller at all */
                return -1;
        if (code >= SCAN_1 && code < SCAN_1 + SHOWN)
                return '1' + code - SCAN_1;
        return code == SCAN_ENTER ? '\r' : code == SCAN_F ? 'f' : -1;
}

/* 0: the newest state, 'f': fresh, '1' up to the last of n. */
static int answer(unsigned n)
{
        uint64_t end = time_mono_ns() + ANSWER_S * NSEC_PER_SEC;

        while (time_mono_ns() < end) {
                int c = serial_early_getc();

                if (c < 0)
                        c = keyboard_getc();
                if (c == '\r' || c == '\n')
                        return 0;
                if (c == 'f' || (c >= '1' && c < '1' + (int)n))
                        return c;
                cpu_relax();
        }
        return 0;
}

/* Newest first. */
static unsigned show(const struct store *s)
{
        unsigned total = MIN(store_kept(s, kept, SNAP_KEPT_MAX), SNAP_KEPT_MAX), n = MIN(total, SHOWN);
        uint64_t now = time_real_ns();

        klog(LOG_WARN, "What shall be started? Without an answer in %lu s, the newest state.", ANSWER_S);
        klog(LOG_WARN, "  Enter  the newest state");
        klog(LOG_WARN, "  f      the files alone: all programs end");
        for (unsigned i = 0; i < n; i++) {
                const struct store_kept *k = &kept[total - 1 - i];
                uint64_t age_s = now > k->clock.real_ns ? (now - k->clock.real_ns) / NSEC_PER_SEC : 0;

                klog(LOG_WARN, "  %u      the snapshot of epoch %lu, %lu h %lu min ago", i + 1, k->epoch, age_s / 3600,
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

bool menu_ask_fresh(struct store *s)
{
        struct store_info info;
        unsigned total;
        int c;

        store_info(s, &info);
        if (info.attempts <= FAILED_BOOTS && !boot_option("menu", NULL, 0))
                return false;
        total = show(s);
        c = answer(MIN(total, SHOWN));
        if (c >= '1' && c <= '9')
                go_back(s, kept[total - 1 - (unsigned)(c - '1')].epoch);
        return c == 'f';
}
