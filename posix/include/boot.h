/* boot.h - starting the personality (kernel/init). */
#pragma once
#include "persist/space.h"
/* First boot: makes all Unix state in an empty space and leaves pid 1 ready to run. 0, or -Exxx with the reason logged. Boot CPU, no thread runs, no section open. */
int posix_boot(void);
/* How a recovered space is to go on: as it was, but for */
struct posix_start {
        bool fresh; /* all processes end, the files stay, init starts anew */
        int stop; /* this process (posix_may_stop), which is stopped as by SIGSTOP, its threads where they stand; 0: none */
};
/*
 * The same for a space that was recovered: makes again all that is volatile and leaves every thread ready to run, asleep or stopped, as it was. The clocks go on from
 * `then`, those of the recovered state. Absent pages come by themselves meanwhile (space_open).
 */
int posix_recover(const struct space_clock *then, const struct posix_start *how);

struct boot_process {
        int pid;
        char state; /* as in /proc: R, D, S, T, Z; of the thread that would run soonest */
        char comm[16];
};
/*
 * Before posix_recover, outside sections: the processes of the recovered space without init, those first that were running or ready to, then by number. Fills in at most max; returns how
 * many there are.
 */
unsigned posix_processes(struct boot_process *out, unsigned max);
/* There too. 0, or why this process cannot be stopped: -ESRCH there is none of that number; -EPERM it is init; -ECHILD it is ending, or has ended; -EALREADY it is stopped. */
int posix_may_stop(int pid);
/*
 * Soft storm (tests): all that posix_recover makes of a space is thrown away and made anew. At a barrier, the caller leading, all other CPUs parked; no thread is current
 * on any CPU afterwards. 0, or -Exxx: then nothing can go on.
 */
int posix_storm(void);
