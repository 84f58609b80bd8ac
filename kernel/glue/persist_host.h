/*
 * persist_host.h - the kernel under persist/: what kernel/init calls, and the fault it wires into hooks.arena_fault.
 * Order at boot: types registered, space_create(), then persist_cpu_online() on each CPU before its first section (again is nothing).
 */
#pragma once
#include "kernel/include/cpu.h"

void persist_cpu_online(void);
bool persist_arena_fault(uint64_t addr, uint64_t err, struct frame *f);
