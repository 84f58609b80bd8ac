/*
 * late.c - from a machine that runs to a system: wires the layers to each other, makes the persistent space, starts the personality.
 * The order matters: hooks before anything can call up, drivers before what opens devices, all state in the space before other CPUs run threads.
 */
#include "kernel/glue/gate.h"
#include "kernel/glue/old_pages.h"
#include "kernel/glue/persist_host.h"
#include "kernel/glue/phantom_proc.h"
#include "kernel/glue/snap_proc.h"
#include "kernel/glue/store_boot.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/boot.h"
#include "kernel/include/drivers.h"
#include "kernel/include/hooks.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/sched.h"
#include "kernel/init/init.h"
#include "kernel/init/menu.h"
#include "posix/include/boot.h"
#include "posix/include/thread.h"

static void run_threads(void)
{
        fpu_cpu_follow();
        persist_cpu_online();
        irq_restore(0x200); /* from here on sections run, with interrupts on */
        arch_stack_reset(sched_loop, NULL);
}

static void mark_changes(void)
{
        section_changes();
}

static void wire(void)
{
        hooks.syscall = call_syscall_entry;
        hooks.user_fault = call_user_fault_entry;
        hooks.user_trap = call_user_trap_entry;
        hooks.user_irq_return = call_user_irq_return;
        hooks.arena_fault = persist_arena_fault;
        hooks.cpu_start = run_threads;
        hooks.changes = mark_changes;
        hooks.tick = sched_tick;
        sched_hooks.run = thread_run;
        sched_hooks.resume = thread_resume;
        sched_hooks.idle = gate_idle;
        sched_hooks.awake = gate_awake;
        sched_hooks.gate = gate_run;
}

noreturn void kernel_main_late(void)
{
        struct posix_start how = {.fresh = boot_option("fresh", NULL, 0)};
        enum store_boot_result found;
        struct space_clock clock;
        int r;

        wire();
        drivers_init();
        sched_init();
        drivers_start();
        posix_types_register();
        found = store_boot_open(&clock);
        if (found != STORE_RECOVERED) {
                r = space_create();
                if (r < 0)
                        panic("no memory for the persistent space: error %d", r);
        }
        if (found == STORE_EMPTY)
                store_boot_attach();
        persist_cpu_online();
        if (found == STORE_RECOVERED && !how.fresh)
                menu_ask(store_boot_store(), &how);
        old_pages_register();
        r = found == STORE_RECOVERED ? posix_recover(&clock, &how) : posix_boot();
        if (r < 0)
                panic("the system cannot be started: error %d", r);
        phantom_proc_register();
        kernel_note_register();
        snap_proc_register();
        store_boot_run();
        space_absent_per_mille = (uint32_t)boot_option_u64("absent", 0);
        space_check_each_barrier = boot_option("check", NULL, 0);
        barrier_set_rate((uint32_t)boot_option_u64("barrier", 0));
        if (storm_set_interval((uint32_t)boot_option_u64("storm", 0)))
                klog(LOG_WARN, "no storms: the space has a store");
        smp_release();
        klog(LOG_INFO, "%u CPU%s, %lu MiB in use", cpu_count, cpu_count == 1 ? "" : "s",
             (frames_total() - frames_free()) >> 8);
        run_threads();
        __builtin_unreachable();
}
