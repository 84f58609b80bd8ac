/*
 * sleep.c - sleeps and timers of every kind: none ends early, by a signal, or with the wrong time left; periods are neither lost nor counted twice, since CLOCK_MONOTONIC has no gap.
 */
#include "tests/survive/survive.h"
#include <linux/futex.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#define MS   1000000ul
#define LATE (600ul * 1000 * MS) /* as good as never */

static void woke(uint64_t begin, uint64_t ms, volatile uint64_t *good)
{
        uint64_t slept = survive_now() - begin;

        if (slept + MS < ms * MS || slept > ms * MS + LATE)
                survive_fail("slept %lu us, not %lu ms", slept / 1000, ms);
        (*good)++;
}

static struct timespec after(uint64_t begin, uint64_t ms)
{
        return (struct timespec){(time_t)((begin + ms * MS) / 1000000000), (long)((begin + ms * MS) % 1000000000)};
}

static void sleeps(volatile uint64_t *good)
{
        for (uint64_t n = 0;; n++) {
                uint64_t ms = 200 + n % 5 * 150, begin = survive_now();
                struct timespec at = after(begin, ms);

                if (n % 2)
                        SAME(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL), 0);
                else
                        survive_nap((unsigned)ms);
                woke(begin, ms, good);
        }
}

static void polls(volatile uint64_t *good)
{
        int p[2], ms;

        MUST(pipe(p) == 0);
        for (uint64_t n = 0;; n++) {
                struct pollfd f = {.fd = p[0], .events = POLLIN};
                struct timeval tv;
                uint64_t begin = survive_now();
                fd_set set;

                ms = 150 + (int)(n % 4) * 200;
                tv = (struct timeval){0, ms * 1000};
                FD_ZERO(&set);
                FD_SET(p[0], &set);
                if (n % 2)
                        SAME(poll(&f, 1, ms), 0);
                else
                        SAME(select(p[0] + 1, &set, NULL, NULL, &tv), 0);
                woke(begin, (uint64_t)ms, good);
        }
}

static void futexes(volatile uint64_t *good)
{
        static uint32_t word = 7;

        for (uint64_t n = 0;; n++) {
                uint64_t ms = 100 + n % 6 * 120, begin = survive_now();
                struct timespec rel = {(time_t)(ms / 1000), (long)(ms % 1000 * MS)}, at = after(begin, ms);

                if (n % 2)
                        SAME(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 7, &rel, NULL, 0), -1);
                else
                        SAME(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 7, &at, NULL, ~0u), -1);
                SAME(errno, ETIMEDOUT);
                woke(begin, ms, good);
        }
}

/* The deadline of a timer is where it was: what is left, added to the time, gives it again. */
static void remaining(volatile uint64_t *good)
{
        struct itimerval set = {.it_value = {1000000, 0}}, left;
        uint64_t before = survive_now(), after_set;

        MUST(setitimer(ITIMER_REAL, &set, NULL) == 0);
        after_set = survive_now();
        for (;;) {
                uint64_t then = survive_now(), now, rest;

                MUST(getitimer(ITIMER_REAL, &left) == 0);
                now = survive_now();
                rest = (uint64_t)left.it_value.tv_sec * 1000000000 + (uint64_t)left.it_value.tv_usec * 1000;
                /* Microseconds, and a tick of slack for rounding. */
                MUST(then + rest <= after_set + 1000000ul * 1000 * MS + 20 * MS);
                MUST(now + rest + 20 * MS >= before + 1000000ul * 1000 * MS);
                (*good)++;
                survive_nap(100);
        }
}

static void periods(volatile uint64_t *good)
{
        const uint64_t period = 20 * MS;
        struct itimerspec set = {.it_interval = {0, (long)period}};
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        uint64_t begin = survive_now(), total = 0, n;

        set.it_value = after(begin, 20);
        MUST(fd >= 0 && timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, NULL) == 0);
        for (;;) {
                uint64_t then = survive_now(), now;

                survive_read(fd, &n, sizeof(n));
                now = survive_now();
                total += n;
                if (total < (then - begin) / period || total > (now - begin) / period)
                        survive_fail("%lu periods between %lu and %lu us", total, (then - begin) / 1000,
                                     (now - begin) / 1000);
                (*good)++;
        }
}

/* A timer's signals, and the periods that one signal stands for. */
static void signals(volatile uint64_t *good)
{
        const uint64_t period = 30 * MS;
        struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3, .sigev_value.sival_int = 77};
        struct itimerspec set = {.it_interval = {0, (long)period}};
        uint64_t begin, total = 0;
        siginfo_t info;
        sigset_t mask;
        timer_t timer;

        sigemptyset(&mask);
        sigaddset(&mask, SIGRTMIN + 3);
        MUST(sigprocmask(SIG_BLOCK, &mask, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &e, &timer) == 0);
        begin = survive_now();
        set.it_value = after(begin, 30);
        MUST(timer_settime(timer, TIMER_ABSTIME, &set, NULL) == 0);
        for (;;) {
                uint64_t now;

                SAME(sigwaitinfo(&mask, &info), SIGRTMIN + 3);
                SAME(info.si_value.sival_int, 77);
                total += 1 + (uint64_t)timer_getoverrun(timer);
                now = survive_now();
                if (total > (now - begin) / period)
                        survive_fail("%lu periods in %lu us", total, (now - begin) / 1000);
                (*good)++;
        }
}

int main(void)
{
        survive_begin("sleep");
        survive_part(sleeps);
        survive_part(polls);
        survive_part(futexes);
        survive_part(remaining);
        survive_part(periods);
        survive_part(signals);
        survive_watch();
}
