/*
 * menu.h - what to start: the question before recovery, where GRUB cannot ask it, since it cannot read the store.
 */
#pragma once
#include "persist/store/store.h"
#include "posix/include/boot.h"
/*
 * Boot CPU, interrupts off, after space_open and before recovery. Asks on the serial line and on the screen when the command line has `menu`, or when three boots in a row
 * have failed; who does not answer in time, or is not asked, gets the newest state: how, all zeros, stays so. Else it says: the files alone, or the process that is not to run. Does not
 * return when a kept snapshot was chosen: the newest state is kept, the snapshot takes its place, and the machine starts again.
 */
void menu_ask(struct store *s, struct posix_start *how);
