/* uart.h - 16550 serial ports, ttyS0 to ttyS3. */
#pragma once
#include "kernel/include/types.h"

void uart_init(void);
