/* console.h - the text console: virtual terminals tty1 to tty4 on screen and keyboard. */
#pragma once

void console_init(void);
