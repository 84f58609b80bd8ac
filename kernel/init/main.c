/*
 * main.c - the composition root. early_main is called by boot.S on the boot stack and brings up the machine in the only order that works:
 * each step may use what the steps before it made. It ends on the boot CPU's real stack in kernel_main_late (late.c), which wires the
 * layers above.
 */
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/init/init.h"

extern char init_bss_start[], image_end[];

static noreturn void on_real_stack(void *unused)
{
        (void)unused;
        /* Boot page tables and boot stack are behind us. */
        frames_add((paddr_t)init_bss_start - KIMAGE_BASE, (paddr_t)image_end - KIMAGE_BASE);
        if (boot_option("selftest", NULL, 0))
                selftest_run();
        kernel_main_late();
}

noreturn void early_main(uint32_t info_pa)
{
        serial_early_init();
        cpu_init(0); /* from here exceptions are reported */
        boot_init(info_pa);
        time_early_init(boot_info.entry_tsc);
        cpu_require();
        paging_init();
        frames_init();
        kheap_init();
        cpu_stacks_init(0);
        klog(LOG_INFO, "Phantom: %lu MiB of memory, %s, command line \"%s\"", frames_total() >> 8,
             boot_info.uefi ? "UEFI" : "BIOS", boot_info.cmdline);
        irq_init();
        time_init();
        rng_init();
        smp_init();
        arch_stack_reset(on_real_stack, NULL);
}
