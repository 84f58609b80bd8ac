/* power.h - leave this machine. None returns when it works; -ENODEV/-EIO otherwise. */
#pragma once
int power_off(void);                        /* ACPI S5 */
int power_reset(void);                      /* FADT reset register, then 8042, then triple fault */
void power_test_exit(unsigned char status); /* isa-debug-exit (tests): returns if there is no such device */
#define PANIC_EXIT_STATUS 99                /* what panic=exit hands to power_test_exit */
