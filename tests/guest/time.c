/* time.c - clocks, sleeping, POSIX timers. */
#include "lib/test.h"
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

static int64_t ns(struct timespec t)
{
        return t.tv_sec * 1000000000l + t.tv_nsec;
}
static int64_t now(clockid_t c)
{
        struct timespec t;

        CHECK(clock_gettime(c, &t) == 0);
        return ns(t);
}
static struct timespec after(clockid_t c, int64_t d)
{
        int64_t n = now(c) + d;

        return (struct timespec){n / 1000000000, n % 1000000000};
}

TEST(clocks_run)
{
        static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
                                           CLOCK_TAI};
        struct timespec r;

        for (unsigned i = 0; i < 5; i++) {
                int64_t a = now(clocks[i]), b = now(clocks[i]);

                CHECK(b >= a);
                usleep(1000);
                CHECK(now(clocks[i]) > b);
                CHECK(clock_getres(clocks[i], &r) == 0 && r.tv_sec == 0 && r.tv_nsec >= 1);
        }
        CHECK(now(CLOCK_REALTIME_COARSE) > 0 && now(CLOCK_MONOTONIC_COARSE) > 0);
        CHECK(clock_getres(CLOCK_MONOTONIC_COARSE, &r) == 0 && r.tv_nsec >= 1000000);
        CHECK_ERR(syscall(SYS_clock_gettime, 77, &r), EINVAL);
        CHECK_ERR(syscall(SYS_clock_getres, 77, &r), EINVAL);
        CHECK_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)8), EFAULT);
        CHECK(syscall(SYS_clock_getres, CLOCK_MONOTONIC, 0) == 0);
}

TEST(call_and_vdso_agree)
{
        struct timespec t;
        struct timeval v;
        time_t s;

        int64_t a = now(CLOCK_MONOTONIC);
        CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) == 0 && ns(t) >= a && now(CLOCK_MONOTONIC) >= ns(t));
        a = now(CLOCK_REALTIME);
        CHECK(syscall(SYS_clock_gettime, CLOCK_REALTIME, &t) == 0 && ns(t) >= a && now(CLOCK_REALTIME) >= ns(t));
        CHECK(syscall(SYS_gettimeofday, &v, 0) == 0 && v.tv_sec >= t.tv_sec && v.tv_usec < 1000000);
        CHECK(syscall(SYS_time, &s) == s && s >= t.tv_sec);
        CHECK(s > 1700000000);
}

TEST(cpu_clocks)
{
        int64_t p = now(CLOCK_PROCESS_CPUTIME_ID), t = now(CLOCK_THREAD_CPUTIME_ID);
        clockid_t c;
        struct timespec ts;

        for (volatile int i = 0; i < 3000000; i++)
                ;
        CHECK(now(CLOCK_PROCESS_CPUTIME_ID) > p && now(CLOCK_THREAD_CPUTIME_ID) > t);
        p = now(CLOCK_PROCESS_CPUTIME_ID);
        usleep(50000);
        CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - p < 40000000);
        CHECK(clock_getcpuclockid(0, &c) == 0 && now(c) > 0);
        CHECK(clock_getcpuclockid(getpid(), &c) == 0 && now(c) > 0);
        CHECK(pthread_getcpuclockid(pthread_self(), &c) == 0 && now(c) > 0);
        CHECK(clock_getcpuclockid(999999, &c) != 0);
        CHECK_ERR(syscall(SYS_clock_gettime, -999999 * 8 - 6, &ts), EINVAL);
}

TEST(setting_clocks)
{
        struct timespec t = {0, -1};

        CHECK_ERR(clock_settime(CLOCK_MONOTONIC, &(struct timespec){5, 0}), EINVAL);
        CHECK_ERR(clock_settime(CLOCK_REALTIME, &t), EINVAL);
        CHECK_ERR(clock_settime(99, &t), EINVAL);
        if (fork() == 0) {
                if (setuid(12345))
                        _exit(0);
                clock_gettime(CLOCK_REALTIME, &t);
                _exit(clock_settime(CLOCK_REALTIME, &t) == -1 && errno == EPERM ? 0 : 1);
        }
        int s;
        wait(&s);
        CHECK(WEXITSTATUS(s) == 0);
}

TEST(adjtimex_reads)
{
        struct timex t;

        memset(&t, 0, sizeof(t));
        CHECK(adjtimex(&t) >= 0 && t.tick >= 9000 && t.time.tv_sec > 1700000000);
}

TEST(nanosleep_sleeps)
{
        int64_t a = now(CLOCK_MONOTONIC);
        struct timespec t = {0, 20000000};

        CHECK(nanosleep(&t, 0) == 0);
        CHECK(now(CLOCK_MONOTONIC) - a >= 20000000);
        t.tv_nsec = 0;
        CHECK(nanosleep(&t, 0) == 0);
        t.tv_nsec = 1000000000;
        CHECK_ERR(nanosleep(&t, 0), EINVAL);
        t.tv_nsec = -1;
        CHECK_ERR(nanosleep(&t, 0), EINVAL);
        CHECK_ERR(syscall(SYS_nanosleep, 8, 0), EFAULT);
}

TEST(clock_nanosleep_kinds)
{
        struct timespec t = after(CLOCK_MONOTONIC, 20000000);

        CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0) == 0 && now(CLOCK_MONOTONIC) >= ns(t));
        CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0) == 0);
        t = after(CLOCK_REALTIME, 20000000);
        CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, 0) == 0 && now(CLOCK_REALTIME) >= ns(t));
        t = (struct timespec){0, 10000000};
        CHECK(clock_nanosleep(CLOCK_BOOTTIME, 0, &t, 0) == 0);
        CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, 0) == EINVAL);
        CHECK(clock_nanosleep(77, 0, &t, 0) == EINVAL);
        CHECK(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &t, 0) == -1 && errno == EOPNOTSUPP);
}

static volatile sig_atomic_t count;
static siginfo_t info;
static volatile pid_t who;
static void handler(int n, siginfo_t *i, void *u)
{
        (void)n;
        (void)u;
        info = *i;
        who = (pid_t)syscall(SYS_gettid);
        count++;
}
static void install(int n)
{
        struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

        sigaction(n, &a, 0);
}

TEST(sleep_again_after_handler)
{
        struct timespec t = {0, 300000000}, left = {0, 0};
        struct itimerval it = {{0, 0}, {0, 50000}};

        install(SIGALRM);
        setitimer(ITIMER_REAL, &it, 0);
        CHECK_ERR(nanosleep(&t, &left), EINTR);
        CHECK(count == 1 && ns(left) > 0 && ns(left) <= 280000000);
        it.it_value.tv_usec = 30000;
        setitimer(ITIMER_REAL, &it, 0);
        t = after(CLOCK_MONOTONIC, 200000000);
        CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0) == EINTR);
}

TEST(timer_one_shot_and_periodic)
{
        struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 1234};
        struct itimerspec s = {{0, 0}, {0, 20000000}}, old;
        timer_t t;

        install(SIGUSR1);
        CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
        CHECK(timer_gettime(t, &old) == 0 && ns(old.it_value) == 0);
        CHECK(timer_settime(t, 0, &s, &old) == 0);
        CHECK(timer_gettime(t, &old) == 0 && ns(old.it_value) > 0 && ns(old.it_value) <= 20000000);
        while (!count)
                usleep(1000);
        CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 1234);
        CHECK(timer_gettime(t, &old) == 0 && ns(old.it_value) == 0);
        s.it_interval.tv_nsec = 10000000;
        CHECK(timer_settime(t, 0, &s, 0) == 0);
        while (count < 6)
                usleep(1000);
        CHECK(timer_delete(t) == 0);
        int n = count;
        usleep(30000);
        CHECK(count == n);
        CHECK_ERR(syscall(SYS_timer_delete, 12345), EINVAL);
        CHECK_ERR(syscall(SYS_timer_gettime, 12345, &old), EINVAL);
}

/* Who sleeps longer than a timer takes has its signal when he wakes, whatever CPU sees to either. */
TEST(timer_before_sleeper)
{
        struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
        timer_t t;

        install(SIGUSR1);
        CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
        for (int i = 0; i < 100; i++) {
                struct itimerspec s = {{0, 0}, {0, 2000000}};
                struct timespec longer = {0, 2000000 + (long)i * 2000};

                CHECK(timer_settime(t, 0, &s, 0) == 0);
                nanosleep(&longer, 0);
                CHECK(count == i + 1);
        }
}

TEST(timer_overrun)
{
        struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
        struct itimerspec s = {{0, 5000000}, {0, 5000000}};
        sigset_t set;
        siginfo_t i;
        int64_t from;
        timer_t t;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, 0);
        CHECK(timer_create(CLOCK_REALTIME, &e, &t) == 0);
        CHECK(timer_settime(t, 0, &s, 0) == 0);
        usleep(100000);
        from = now(CLOCK_MONOTONIC);
        CHECK(sigwaitinfo(&set, &i) == SIGUSR1);
        CHECK(i.si_overrun >= 10 && i.si_overrun < 1000);
        CHECK(timer_getoverrun(t) == i.si_overrun);
        CHECK(sigwaitinfo(&set, &i) == SIGUSR1);
        /* Those of the first signal are not among them. */
        CHECK(i.si_overrun <= (now(CLOCK_MONOTONIC) - from) / 5000000 + 1);
}

TEST(timer_absolute_and_none)
{
        struct sigevent e = {.sigev_notify = SIGEV_NONE};
        struct itimerspec s = {{0, 0}, {0, 0}}, now_;
        timer_t t;

        CHECK(timer_create(CLOCK_REALTIME, &e, &t) == 0);
        s.it_value = after(CLOCK_REALTIME, 30000000);
        CHECK(timer_settime(t, TIMER_ABSTIME, &s, 0) == 0);
        CHECK(timer_gettime(t, &now_) == 0 && ns(now_.it_value) > 0);
        usleep(40000);
        CHECK(timer_gettime(t, &now_) == 0 && ns(now_.it_value) == 0);
        timer_delete(t);
        e.sigev_notify = SIGEV_SIGNAL;
        e.sigev_signo = SIGUSR1;
        install(SIGUSR1);
        CHECK(timer_create(CLOCK_REALTIME, &e, &t) == 0);
        s.it_value = after(CLOCK_REALTIME, -1000000000);
        CHECK(timer_settime(t, TIMER_ABSTIME, &s, 0) == 0);
        for (int i = 0; i < 100 && !count; i++)
                usleep(1000);
        CHECK(count == 1);
}

TEST(timer_errors)
{
        struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99};
        struct itimerspec s = {{0, 0}, {0, 1000000000}};
        int id;

        CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id), EINVAL);
        e.sigev_notify = 77;
        CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id), EINVAL);
        CHECK_ERR(syscall(SYS_timer_create, 99, 0, &id), EINVAL);
        CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, 0, 8), EFAULT);
        CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, 0, &id) == 0);
        CHECK_ERR(syscall(SYS_timer_settime, id, 0, &s, 0), EINVAL);
        CHECK_ERR(syscall(SYS_timer_settime, id, 0, 0, 0), EINVAL);
        CHECK(syscall(SYS_timer_delete, id) == 0);
}

static void notify(union sigval v)
{
        who = (pid_t)syscall(SYS_gettid);
        __atomic_fetch_add((int *)v.sival_ptr, 1, __ATOMIC_SEQ_CST);
}

TEST(timer_thread)
{
        static int n;
        struct sigevent e = {
                .sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify, .sigev_value.sival_ptr = &n};
        struct itimerspec s = {{0, 10000000}, {0, 10000000}};
        timer_t t;

        CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
        CHECK(timer_settime(t, 0, &s, 0) == 0);
        for (int i = 0; i < 1000 && __atomic_load_n(&n, __ATOMIC_SEQ_CST) < 3; i++)
                usleep(2000);
        CHECK(n >= 3 && who != getpid());
        timer_delete(t);
}

TEST(timer_on_cpu_clock)
{
        struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
        struct itimerspec s = {{0, 0}, {0, 50000000}};
        timer_t t;

        install(SIGUSR1);
        CHECK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, &t) == 0);
        CHECK(timer_settime(t, 0, &s, 0) == 0);
        usleep(100000);
        CHECK(count == 0);
        while (!count)
                ;
        CHECK(now(CLOCK_PROCESS_CPUTIME_ID) >= 50000000);
}

TEST(timers_not_inherited)
{
        struct itimerval it = {{0, 0}, {5, 0}};
        struct itimerspec s;
        int st, id;

        CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, 0, &id) == 0);
        setitimer(ITIMER_REAL, &it, 0);
        if (fork() == 0) {
                getitimer(ITIMER_REAL, &it);
                if (it.it_value.tv_sec)
                        _exit(1);
                _exit(syscall(SYS_timer_gettime, id, &s) == -1 ? 0 : 2);
        }
        wait(&st);
        CHECK(WEXITSTATUS(st) == 0);
}

TEST(many_sleepers)
{
        int64_t a = now(CLOCK_MONOTONIC);
        int s;

        for (int i = 0; i < 50; i++)
                if (fork() == 0) {
                        usleep(100000 + i * 1000);
                        _exit(0);
                }
        while (wait(&s) > 0)
                CHECK(WEXITSTATUS(s) == 0);
        CHECK(now(CLOCK_MONOTONIC) - a >= 149000000);
}

static void *set_cpu_timers(void *arg)
{
        uint32_t x = (uint32_t)(uintptr_t)arg * 2654435761u + 1;

        for (int i = 0; i < 4000; i++) {
                struct itimerval it = {{0, 0}, {0, 1 + (x = x * 1664525 + 1013904223) % 3000}};
                struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};

                setitimer(x & 1 << 20 ? ITIMER_VIRTUAL : ITIMER_PROF, &it, NULL);
                if (i % 4 == 0)
                        setrlimit(RLIMIT_CPU, &r);
        }
        return NULL;
}

/* Several threads set what one timer of the kernel's looks after, while it expires, and while processes end. */
TEST(cpu_timers_from_many)
{
        signal(SIGVTALRM, SIG_IGN);
        signal(SIGPROF, SIG_IGN);
        for (int round = 0; round < 4; round++) {
                pid_t pid = fork();

                if (pid == 0) {
                        pthread_t t[3];

                        for (uintptr_t k = 0; k < 3; k++)
                                CHECK(pthread_create(&t[k], NULL, set_cpu_timers, (void *)(k + 4 * (uintptr_t)round)) ==
                                      0);
                        set_cpu_timers((void *)99);
                        _exit(0); /* with the others at work */
                }
                int s;

                CHECK(waitpid(pid, &s, 0) == pid && s == 0);
        }
}

TEST_MAIN
