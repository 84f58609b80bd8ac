#include "kernel/include/arch/machine.h"
#include "kernel/include/time.h"
#include "kernel/include/power.h"
#include "kernel/debug/debug.h"
#include "kernel/arch/x86_64/x86.h"
void irq_init(void){}
void irq_dispatch(unsigned v){(void)v;}
void time_init(void){}
void smp_init(void){}
void tlb_flush_kernel(uint64_t va,size_t n){while(n--){invlpg(va);va+=4096;}}
uint64_t time_mono_ns(void){return rdtsc();}
uint64_t time_tsc_khz(void){return 1000000;}
void ipi_stop_others(void){}
void power_test_exit(unsigned char s){outb(0xf4,s);}
int power_reset(void){return -1;}
noreturn void kdb_enter(void){for(;;);}
