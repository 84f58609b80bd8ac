/* i8042.h - the PC's keyboard controller: PS/2 keyboard and mouse. */
#pragma once

void i8042_init(void);
void i8042_poll(void); /* as its interrupt */
