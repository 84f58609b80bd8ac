/* retention.c - see retention.h. */
#include "kernel/glue/retention.h"
#include "persist/store/format.h"

#define SECOND_NS 1000000000ul
#define HOUR_S    3600ul
#define DAY_S     86400ul
#define MONTH_S   (31 * DAY_S)

static uint64_t age(const struct store_kept *k, uint64_t now_s)
{
        uint64_t at_s = k->clock.real_ns / SECOND_NS;

        return now_s > at_s ? now_s - at_s : 0;
}

/* Snapshots of one class of age that share a slot of time: only the newest of them stays. */
static uint64_t slot_of(const struct store_kept *k, uint64_t now_s)
{
        uint64_t at_s = k->clock.real_ns / SECOND_NS, age_s = age(k, now_s);

        if (age_s < HOUR_S)
                return ~0ul; /* each for itself */
        return age_s < DAY_S ? at_s / HOUR_S : age_s < MONTH_S ? at_s / DAY_S : 0;
}

bool retention_may_go(const struct store_kept *k, bool (*in_use)(uint64_t epoch))
{
        return !(k->flags & KEPT_PINNED) && !in_use(k->epoch);
}

bool retention_goes(const struct store_kept *list, unsigned n, unsigned i, uint64_t now_s,
                    bool (*in_use)(uint64_t epoch))
{
        uint64_t slot = slot_of(&list[i], now_s);

        if (!retention_may_go(&list[i], in_use))
                return false;
        if (age(&list[i], now_s) >= MONTH_S)
                return true;
        return slot != ~0ul && i + 1 < n && slot == slot_of(&list[i + 1], now_s);
}
