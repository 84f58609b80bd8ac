/* phantom_proc.h - registers /proc/phantom; once, after posix_boot(). */
#pragma once
void phantom_proc_register(void);
void kernel_note_register(void); /* /proc/phantom/kernel and disk (kernel_note.c) */
