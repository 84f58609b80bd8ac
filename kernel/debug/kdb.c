#include "kernel/debug/debug.h"
noreturn void kdb_enter(void){for(;;);}
