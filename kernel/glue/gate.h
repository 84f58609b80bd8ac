/* gate.h - the barrier clock and the gate between sections (kernel/glue; wired into the scheduler by kernel/init). */
#pragma once
#include "kernel/include/types.h"
void gate_run(bool may_park); /* outside sections; may_park: the current thread, if any, is in its record */
void gate_idle(void);
void gate_awake(void);
void park_if_asked(void); /* persist_host.c */
/* An idle CPU counts as parked: no barrier wakes it. Between the two it touches nothing of the space. */
void park_idle_begin(void);
void park_idle_end(void);
void barrier_set_rate(uint32_t hz); /* 0: off; at most 10,000 */
uint32_t barrier_rate(void);
int storm_set_interval(uint32_t ms); /* 0: none; at most an hour. -EBUSY: the space has a store */
uint32_t storm_interval(void);
uint64_t storm_count(void);
