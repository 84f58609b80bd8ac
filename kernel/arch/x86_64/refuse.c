/*
 * refuse.c - this machine cannot run us: say so on serial and screen, and stop. Called before there are drivers.
 */
#include <stdarg.h>
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/power.h"
#include "kernel/lib/fmt.h"

noreturn void boot_refuse(const char *fmt, ...)
{
        char text[160];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        early_screen_start();
        klog(LOG_ERR, "Phantom cannot run on this machine: %s. Stopped.", text);
        if (boot_option("panic", NULL, 0))
                power_test_exit(PANIC_EXIT_STATUS);
        for (;;)
                __asm__ volatile("cli; hlt");
}
