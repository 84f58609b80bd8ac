/* debug.h - among the files of kernel/debug. */
#pragma once
#include <stdarg.h>
#include "kernel/include/cpu.h"
#include "kernel/include/log.h"

void klog_enter_panic(void); /* from now on: every level to the consoles, no lock */
bool klog_has_screen(void);
/* Name and offset of the function that holds addr; NULL when it is none of ours. */
const char *ksym_find(uint64_t addr, uint64_t *offset);
uint64_t ksym_by_name(const char *name); /* 0: unknown */
void frame_print(const struct frame *f);
noreturn void kdb_enter(const struct frame *f, uint64_t rbp); /* f NULL: no exception, start from rbp */
