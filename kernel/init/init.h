/* init.h - among the files of kernel/init. */
#pragma once
#include "kernel/include/types.h"
noreturn void kernel_main_late(void);
