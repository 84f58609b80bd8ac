/* gate.h - the barrier clock and the gate between sections (kernel/glue; wired into the scheduler by kernel/init). */
#pragma once
#include "kernel/include/types.h"
void gate_run(void);                 /* outside sections; registers of the current thread are in its record */
void gate_idle(void);
void park_if_asked(void);            /* persist_host.c */
void barrier_set_rate(uint32_t hz);  /* 0: off; at most 10,000 */
uint32_t barrier_rate(void);
