/* old_pages.h - copies of pages of kept snapshots (persist/old.h). */
#pragma once
#include "kernel/include/types.h"

extern uint32_t snapshot_live;         /* the test knob */
void old_pages_live(uint64_t on);      /* sets it; copies made so far are forgotten */
void old_pages_register(void);         /* boot, before a process can run */
bool old_pages_in_use(uint64_t epoch); /* mounted: not to be dropped */
