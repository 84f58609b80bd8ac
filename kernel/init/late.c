/*
 * late.c - from a machine that runs to a system: wires the layers and starts them.
 */
#include "kernel/include/log.h"
#include "kernel/init/init.h"

noreturn void kernel_main_late(void)
{
        panic("nothing to run yet");
}
