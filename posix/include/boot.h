/* boot.h - starting the personality (kernel/init). */
#pragma once
/* First boot: makes all Unix state in an empty space and leaves pid 1 ready to run. 0, or -Exxx with the reason logged. Boot CPU, no thread runs, no section open. */
int posix_boot(void);
