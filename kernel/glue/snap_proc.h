/* snap_proc.h - time travel in /proc/phantom. */
#pragma once
void snap_proc_register(void); /* boot, when the space is there */
