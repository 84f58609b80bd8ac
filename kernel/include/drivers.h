/*
 * drivers.h - the devices of the machine.
 * drivers_init probes everything once, on the boot CPU, after interrupts, memory, time and the ACPI tables are there. A missing
 * device is no error; each device that is found logs one line.
 */
#pragma once

void drivers_init(void);
/* Keyboards, while interrupts are off: what has been typed becomes events (input.h). */
void drivers_poll_input(void);
/* Threads can be made: workers of drivers begin. On the boot CPU. */
void drivers_start(void);
