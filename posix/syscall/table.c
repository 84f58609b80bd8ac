/*
 * table.c - syscall.tbl made into the dispatch table. Calls that nobody defines stay NULL, which the dispatcher answers with ENOSYS.
 */
#include "posix/include/call.h"

#define CALL(nr, name, wait, restart) extern long sys_##name(struct call *c) __attribute__((weak));
#define QUICK(nr, name)               extern long quick_##name(struct thread *t, struct frame *f) __attribute__((weak));
#include "posix/syscall/syscall.tbl"
#undef CALL
#undef QUICK

const struct syscall_entry syscall_table[] = {
#define CALL(nr, n, wait, code) [nr] = {.name = #n, .run = sys_##n, .interrupt = wait, .restart = code},
#define QUICK(nr, n)            [nr] = {.name = #n, .quick = quick_##n},
#include "posix/syscall/syscall.tbl"
};
const unsigned syscall_count = ARRAY_SIZE(syscall_table);
