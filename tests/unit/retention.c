/* Which snapshots stay: two months in which one is kept every minute, looked at every few hours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/glue/retention.h"
#include "persist/store/format.h"

#define MAX   1024u                 /* as many as a store keeps */
#define START (1767225600ul + 1234) /* 2026, not at a full hour */
#define HOUR  3600ul
#define DAY   86400ul

static struct store_kept list[MAX];
static unsigned n;
static uint64_t shown; /* the one in use; 0: none */

static bool in_use(uint64_t epoch)
{
        return shown && epoch == shown;
}

static void drop(unsigned i)
{
        memmove(&list[i], &list[i + 1], (--n - i) * sizeof(list[0]));
}

/* What the machine does once a minute. The epoch is the minute. */
static void minute(uint64_t at_s, uint32_t flags)
{
        static struct store_kept seen[MAX];
        unsigned nseen = n, gone = 0;

        memcpy(seen, list, sizeof(list));
        for (unsigned i = 0; i < nseen; i++)
                if (retention_goes(seen, nseen, i, at_s, in_use))
                        drop(i - gone++);
        assert_true(n < MAX);
        list[n++] = (struct store_kept){(at_s - START) / 60 + 1, {1, at_s * 1000000000}, flags};
}

static unsigned between(uint64_t now_s, uint64_t younger, uint64_t older)
{
        unsigned count = 0;

        for (unsigned i = 0; i < n; i++) {
                uint64_t age = now_s - list[i].clock.real_ns / 1000000000;

                count += age >= younger && age < older;
        }
        return count;
}

static bool there(uint64_t epoch)
{
        for (unsigned i = 0; i < n; i++)
                if (list[i].epoch == epoch)
                        return true;
        return false;
}

static void two_months(void **state)
{
        const uint64_t made[] = {START + 100 * 60, START + 3000 * 60,
                                 START + 50000 * 60}; /* what stays: pinned, in use, pinned */
        uint64_t now = START;

        (void)state;
        n = 0;
        shown = 0;
        for (unsigned m = 0; m < 62 * 24 * 60; m++, now += 60) {
                minute(now, now == made[0] || now == made[2] ? KEPT_PINNED : 0);
                if (now == made[1])
                        shown = list[n - 1].epoch;
                if (m % 177 || m < 33 * 24 * 60)
                        continue;
                assert_int_equal(between(now, 0, HOUR), 60);
                /* One an hour: 23 of them, and one that is about to be a day's. */
                assert_in_range(between(now, HOUR, DAY), 23, 25);
                /* One a day, but for the pinned one and the one in use, which are counted by themselves. */
                for (uint64_t day = 1; day < 31; day++)
                        assert_in_range(between(now, day * DAY, (day + 1) * DAY), 1, 3);
                assert_in_range(between(now, DAY, 31 * DAY), 29, 33);
                /* Older: only what is pinned or in use. */
                assert_int_equal(between(now, 31 * DAY + HOUR, ~0ul),
                                 1 + (now >= made[1] + 31 * DAY + HOUR) + (now >= made[2] + 31 * DAY + HOUR));
                assert_true(there(101) && there(shown));
                assert_int_equal(there(50001), now >= made[2]);
        }
        shown = 0;
        minute(now, 0);
        assert_false(there(3001));
        assert_true(there(101) && there(50001));
}

/* Each hour, and each day, is shown by its newest snapshot. */
static void the_newest_stays(void **state)
{
        uint64_t now = START;

        (void)state;
        n = 0;
        shown = 0;
        for (unsigned m = 0; m < 40 * 24 * 60; m++, now += 60)
                minute(now, 0);
        for (unsigned i = 0; i < n; i++) {
                uint64_t at = list[i].clock.real_ns / 1000000000, age = now - at;

                if (age >= 2 * HOUR && age < DAY - HOUR)
                        assert_int_equal(at / HOUR, (at + 60) / HOUR - 1);
                if (age >= 2 * DAY)
                        assert_int_equal(at / DAY, (at + 60) / DAY - 1);
        }
}

/* A clock that is set back two days loses nothing, and when it has caught up all is as if nothing had been. */
static void clock_set_back(void **state)
{
        uint64_t now = START;
        unsigned before;

        (void)state;
        n = 0;
        shown = 0;
        for (unsigned m = 0; m < 5 * 24 * 60; m++, now += 60)
                minute(now, 0);
        before = n;
        for (unsigned i = 0; i < n; i++)
                assert_false(retention_goes(list, n, i, now - 2 * DAY, in_use) &&
                             list[i].clock.real_ns / 1000000000 > now - 2 * DAY);
        minute(now, 0);
        assert_in_range(n, before - 1, before + 1);
}

/* Pinned ones stay also when room is needed; so does what is in use. */
static void room(void **state)
{
        struct store_kept pinned = {1, {0, 0}, KEPT_PINNED}, other = {2, {0, 0}, 0};

        (void)state;
        shown = 0;
        assert_false(retention_may_go(&pinned, in_use));
        assert_true(retention_may_go(&other, in_use));
        shown = 2;
        assert_false(retention_may_go(&other, in_use));
        assert_false(retention_goes(&other, 1, 0, 100 * DAY, in_use));
        shown = 0;
        assert_true(retention_goes(&other, 1, 0, 100 * DAY, in_use));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(two_months),
                cmocka_unit_test(the_newest_stays),
                cmocka_unit_test(clock_set_back),
                cmocka_unit_test(room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
