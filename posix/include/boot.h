/* boot.h - starting the personality (kernel/init). */
#pragma once
#include "persist/space.h"
/* First boot: makes all Unix state in an empty space and leaves pid 1 ready to run. 0, or -Exxx with the reason logged. Boot CPU, no thread runs, no section open. */
int posix_boot(void);
/*
 * The same for a space that was recovered: makes again all that is volatile and leaves every thread ready to run, asleep or stopped, as it was. The clocks go on from
 * `then`, those of the recovered state. Absent pages come by themselves meanwhile (space_open). fresh: all processes end, the files
 * stay, init starts anew.
 */
int posix_recover(const struct space_clock *then, bool fresh);
/*
 * Soft storm (tests): all that posix_recover makes of a space is thrown away and made anew. At a barrier, the caller leading, all other CPUs parked; no thread is current
 * on any CPU afterwards. 0, or -Exxx: then nothing can go on.
 */
int posix_storm(void);
