/*
 * retention.h - which of the snapshots that the machine keeps by itself stay: of the last hour all, then one an hour for a day, then one a day for a month. Pinned ones, and those in use,
 * stay in any case. Plain functions over a list, so that a test can live through months (tests/unit/retention.c).
 */
#pragma once
#include "persist/store/store.h"

/*
 * Is the one at i of the n in list, oldest first, too old by now, or does the next one stand for the same stretch of time? in_use: shown below some directory. What a clock that was set
 * back makes of the future counts as new.
 */
bool retention_goes(const struct store_kept *list, unsigned n, unsigned i, uint64_t now_s,
                    bool (*in_use)(uint64_t epoch));

/* May it go when room is needed? */
bool retention_may_go(const struct store_kept *k, bool (*in_use)(uint64_t epoch));
