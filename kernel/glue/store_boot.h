/*
 * store_boot.h - finding the store at boot, and giving it to the space (kernel/init).
 */
#pragma once
#include "persist/space.h"

enum store_boot_result {
        STORE_NONE,      /* no disk has one: the space is in memory alone */
        STORE_EMPTY,     /* there is one, with nothing in it: space_create, then store_boot_attach */
        STORE_RECOVERED, /* the space is the one that was */
};
/*
 * Boot CPU, before the first section; types are registered. Looks at all disks, in order. A store that cannot be used stops the machine with a message that says why, unless
 * the command line has `nostore`: nothing is overwritten. With `live` stores are looked for, read-only, and named in the log, but not used; with `safe` programs cannot write to them, either.
 */
enum store_boot_result store_boot_open(struct space_clock *clock);
struct store *store_boot_store(void); /* what was opened, until store_boot_run gives it to the writer; or NULL */
void store_boot_attach(void);
/* The store's writer starts. After posix_boot or posix_recover. */
void store_boot_run(void);
