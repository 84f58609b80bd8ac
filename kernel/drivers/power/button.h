/* button.h - the machine's power button. */
#pragma once

void power_button_init(void);
