/* poll.c - poll, select, epoll, eventfd, timerfd, signalfd. */
#include "lib/test.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

static void nap(int ms)
{
        struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

        nanosleep(&ts, NULL);
}
static double now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}
static volatile int got;
static void on_signal(int s)
{
        got = s;
}
static void handle(int s, int flags)
{
        struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

        sigaction(s, &sa, NULL);
}

TEST(poll_basic)
{
        int p[2];
        struct pollfd f[4];

        CHECK(pipe(p) == 0);
        f[0] = (struct pollfd){p[0], POLLIN, -1};
        f[1] = (struct pollfd){p[1], POLLOUT, -1};
        f[2] = (struct pollfd){-1, POLLIN, -1};
        f[3] = (struct pollfd){77, POLLIN, -1};
        CHECK(poll(f, 4, 0) == 2);
        CHECK(f[0].revents == 0 && f[1].revents == POLLOUT && f[2].revents == 0 && f[3].revents == POLLNVAL);
        CHECK(write(p[1], "x", 1) == 1);
        CHECK(poll(f, 1, 0) == 1 && f[0].revents == POLLIN);
        CHECK_ERR(poll((void *)8, 1, 0), EFAULT);
        CHECK(poll(NULL, 0, 10) == 0);
        CHECK_ERR(poll(f, 0x7fffffff, 0), EINVAL);
}

TEST(poll_timeout)
{
        int p[2];
        double t = now();

        CHECK(pipe(p) == 0);
        struct pollfd f = {p[0], POLLIN, 0};
        CHECK(poll(&f, 1, 100) == 0);
        t = now() - t;
        CHECK(t >= 0.099 && t < 2);
}

TEST(poll_many_wakes)
{
        enum { N = 40 };
        struct pollfd f[N];
        int p[N][2];

        for (int i = 0; i < N; i++) {
                CHECK(pipe(p[i]) == 0);
                f[i] = (struct pollfd){p[i][0], POLLIN, 0};
        }
        for (int k = 0; k < N; k += 13) {
                char c;

                if (fork() == 0) {
                        nap(30);
                        _exit(write(p[k][1], "x", 1) != 1);
                }
                CHECK(poll(f, N, -1) == 1 && f[k].revents == POLLIN);
                CHECK(read(p[k][0], &c, 1) == 1);
                wait(NULL);
        }
}

TEST(poll_interrupted)
{
        handle(SIGALRM, SA_RESTART);
        alarm(1);
        CHECK_ERR(poll(NULL, 0, 5000), EINTR);
        CHECK(got == SIGALRM);
}

TEST(poll_survives_stop)
{
        int p[2], st;
        double t = now();

        CHECK(pipe(p) == 0);
        pid_t pid = fork();
        if (pid == 0) {
                struct pollfd f = {p[0], POLLIN, 0};
                _exit(poll(&f, 1, 400) != 0);
        }
        nap(50);
        kill(pid, SIGSTOP);
        nap(50);
        kill(pid, SIGCONT);
        CHECK(waitpid(pid, &st, 0) == pid && st == 0);
        t = now() - t;
        CHECK(t >= 0.39);
}

TEST(ppoll_mask)
{
        sigset_t block, none;
        struct timespec ts = {5, 0};

        sigemptyset(&none);
        sigemptyset(&block);
        sigaddset(&block, SIGUSR1);
        sigprocmask(SIG_BLOCK, &block, NULL);
        handle(SIGUSR1, 0);
        raise(SIGUSR1);
        CHECK(got == 0);
        CHECK_ERR(ppoll(NULL, 0, &ts, &none), EINTR);
        CHECK(got == SIGUSR1);
        sigset_t cur;
        sigprocmask(SIG_SETMASK, NULL, &cur);
        CHECK(sigismember(&cur, SIGUSR1));
        /* from another process, while it sleeps */
        got = 0;
        pid_t me = getpid();
        if (fork() == 0) {
                nap(50);
                kill(me, SIGUSR1);
                _exit(0);
        }
        CHECK_ERR(ppoll(NULL, 0, &ts, &none), EINTR);
        CHECK(got == SIGUSR1);
        /* ready descriptors come first, the signal stays pending */
        got = 0;
        int p[2];
        CHECK(pipe(p) == 0);
        struct pollfd f = {p[1], POLLOUT, 0};
        raise(SIGUSR1);
        CHECK(ppoll(&f, 1, &ts, &none) == 1 && got == 0);
        sigset_t pend;
        sigpending(&pend);
        CHECK(sigismember(&pend, SIGUSR1));
}

TEST(select_basic)
{
        int p[2];
        fd_set r, w, x;
        struct timeval tv = {0, 50000};

        CHECK(pipe(p) == 0);
        FD_ZERO(&r);
        FD_ZERO(&w);
        FD_ZERO(&x);
        FD_SET(p[0], &r);
        FD_SET(p[1], &w);
        FD_SET(p[0], &x);
        CHECK(select(p[1] + 1, &r, &w, &x, NULL) == 1);
        CHECK(!FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w) && !FD_ISSET(p[0], &x));
        FD_SET(p[0], &r);
        CHECK(syscall(SYS_select, p[0] + 1, &r, NULL, NULL, &tv) == 0 && tv.tv_sec == 0 && tv.tv_usec == 0);
        CHECK(!FD_ISSET(p[0], &r));
        FD_SET(99, &r);
        CHECK_ERR(select(100, &r, NULL, NULL, &tv), EBADF);
        CHECK_ERR(select(-1, NULL, NULL, NULL, &tv), EINVAL);
        int hi = dup2(p[0], 700);
        CHECK(hi == 700);
        FD_ZERO(&r);
        FD_SET(hi, &r);
        CHECK(write(p[1], "x", 1) == 1);
        CHECK(select(hi + 1, &r, NULL, NULL, NULL) == 1 && FD_ISSET(hi, &r));
}

TEST(select_remaining)
{
        int p[2];
        fd_set r;
        struct timeval tv = {5, 0};

        CHECK(pipe(p) == 0);
        if (fork() == 0) {
                nap(100);
                write(p[1], "x", 1);
                _exit(0);
        }
        FD_ZERO(&r);
        FD_SET(p[0], &r);
        CHECK(syscall(SYS_select, p[0] + 1, &r, NULL, NULL, &tv) == 1);
        CHECK(tv.tv_sec == 4);
}

TEST(pselect_mask)
{
        sigset_t block, none;
        struct timespec ts = {5, 0};

        sigemptyset(&none);
        sigemptyset(&block);
        sigaddset(&block, SIGALRM);
        sigprocmask(SIG_BLOCK, &block, NULL);
        handle(SIGALRM, 0);
        struct itimerval it = {.it_value = {0, 50000}};
        setitimer(ITIMER_REAL, &it, NULL);
        CHECK_ERR(pselect(0, NULL, NULL, NULL, &ts, &none), EINTR);
        CHECK(got == SIGALRM && ts.tv_sec == 5);
}

static int ep_add(int ep, int fd, uint32_t events, uint64_t data)
{
        struct epoll_event ev = {.events = events, .data.u64 = data};

        return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

TEST(epoll_level)
{
        int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
        struct epoll_event ev[4];
        char c;

        CHECK(ep >= 0 && fcntl(ep, F_GETFD) == FD_CLOEXEC && pipe(p) == 0);
        CHECK(ep_add(ep, p[0], EPOLLIN, 42) == 0);
        CHECK_ERR(ep_add(ep, p[0], EPOLLIN, 42), EEXIST);
        CHECK(epoll_wait(ep, ev, 4, 0) == 0);
        CHECK(write(p[1], "ab", 2) == 2);
        for (int i = 0; i < 3; i++)
                CHECK(epoll_wait(ep, ev, 4, -1) == 1 && ev[0].events == EPOLLIN && ev[0].data.u64 == 42);
        CHECK(read(p[0], &c, 1) == 1);
        CHECK(epoll_wait(ep, ev, 4, 0) == 1);
        CHECK(read(p[0], &c, 1) == 1);
        CHECK(epoll_wait(ep, ev, 4, 0) == 0);
        close(p[1]);
        CHECK(epoll_wait(ep, ev, 4, 0) == 1 && ev[0].events == EPOLLHUP);
        close(p[0]);
        CHECK(epoll_wait(ep, ev, 4, 0) == 0);
}

TEST(epoll_edge)
{
        int ep = epoll_create1(0), p[2];
        struct epoll_event ev[4];
        char c;

        CHECK(pipe2(p, O_NONBLOCK) == 0);
        CHECK(ep_add(ep, p[0], EPOLLIN | EPOLLET, 1) == 0);
        CHECK(write(p[1], "ab", 2) == 2);
        CHECK(epoll_wait(ep, ev, 4, 0) == 1);
        CHECK(epoll_wait(ep, ev, 4, 0) == 0);
        CHECK(read(p[0], &c, 1) == 1);
        CHECK(epoll_wait(ep, ev, 4, 0) == 0);
        CHECK(write(p[1], "c", 1) == 1);
        CHECK(epoll_wait(ep, ev, 4, 0) == 1 && ev[0].events == EPOLLIN);
        CHECK(epoll_wait(ep, ev, 4, 0) == 0);
}

TEST(epoll_oneshot)
{
        int ep = epoll_create1(0), p[2];
        struct epoll_event ev[4];

        CHECK(pipe(p) == 0);
        CHECK(ep_add(ep, p[0], EPOLLIN | EPOLLONESHOT, 1) == 0);
        CHECK(write(p[1], "a", 1) == 1);
        CHECK(epoll_wait(ep, ev, 4, 0) == 1);
        CHECK(epoll_wait(ep, ev, 4, 0) == 0);
        CHECK(write(p[1], "a", 1) == 1);
        CHECK(epoll_wait(ep, ev, 4, 0) == 0);
        ev[0] = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 9};
        CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], ev) == 0);
        CHECK(epoll_wait(ep, ev, 4, 0) == 1 && ev[0].data.u64 == 9);
}

TEST(epoll_wakes)
{
        int ep = epoll_create1(0), p[2], st;
        struct epoll_event ev[4];

        CHECK(pipe(p) == 0);
        CHECK(ep_add(ep, p[0], EPOLLIN, 1) == 0);
        if (fork() == 0) {
                nap(50);
                _exit(write(p[1], "x", 1) != 1);
        }
        CHECK(epoll_wait(ep, ev, 4, 5000) == 1);
        wait(&st);
        double t = now();
        char c;
        CHECK(read(p[0], &c, 1) == 1);
        CHECK(epoll_wait(ep, ev, 4, 60) == 0);
        CHECK(now() - t >= 0.059);
}

TEST(epoll_errors)
{
        int ep = epoll_create1(0), ep2 = epoll_create(1), p[2], f = open("/tmp/t.reg", O_CREAT | O_RDWR, 0600);
        struct epoll_event ev[1];

        CHECK(pipe(p) == 0);
        CHECK_ERR(syscall(SYS_epoll_create, 0), EINVAL);
        CHECK_ERR(epoll_create1(1), EINVAL);
        CHECK_ERR(ep_add(ep, f, EPOLLIN, 0), EPERM);
        CHECK_ERR(ep_add(ep, 99, EPOLLIN, 0), EBADF);
        CHECK_ERR(ep_add(99, p[0], EPOLLIN, 0), EBADF);
        CHECK_ERR(ep_add(p[1], p[0], EPOLLIN, 0), EINVAL);
        CHECK_ERR(ep_add(ep, ep, EPOLLIN, 0), EINVAL);
        CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), ENOENT);
        CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], ev), ENOENT);
        CHECK_ERR(epoll_ctl(ep, 77, p[0], ev), EINVAL);
        CHECK_ERR(epoll_wait(ep, ev, 0, 0), EINVAL);
        CHECK_ERR(epoll_wait(p[0], ev, 1, 0), EINVAL);
        CHECK(ep_add(ep, ep2, EPOLLIN, 0) == 0);
        CHECK_ERR(ep_add(ep2, ep, EPOLLIN, 0), ELOOP);
        CHECK(ep_add(ep, p[1], EPOLLOUT, 0) == 0);
        CHECK_ERR(epoll_wait(ep, (void *)8, 1, 0), EFAULT);
        unlink("/tmp/t.reg");
}

TEST(epoll_nested)
{
        int outer = epoll_create1(0), inner = epoll_create1(0), p[2], st;
        struct epoll_event ev[4];
        char c;

        CHECK(pipe(p) == 0);
        CHECK(ep_add(inner, p[0], EPOLLIN, 7) == 0);
        CHECK(ep_add(outer, inner, EPOLLIN, 8) == 0);
        CHECK(epoll_wait(outer, ev, 4, 0) == 0);
        if (fork() == 0) {
                nap(50);
                _exit(write(p[1], "x", 1) != 1);
        }
        CHECK(epoll_wait(outer, ev, 4, 5000) == 1 && ev[0].data.u64 == 8);
        struct pollfd f = {inner, POLLIN, 0};
        CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLIN);
        CHECK(epoll_wait(inner, ev, 4, 0) == 1 && ev[0].data.u64 == 7);
        CHECK(read(p[0], &c, 1) == 1);
        CHECK(epoll_wait(outer, ev, 4, 0) == 0);
        wait(&st);
}

TEST(epoll_many)
{
        enum { N = 300 };
        static int p[N][2];
        struct epoll_event ev[64];
        int ep = epoll_create1(0), seen[N] = {0}, total = 0;

        for (int i = 0; i < N; i++) {
                CHECK(pipe(p[i]) == 0);
                CHECK(ep_add(ep, p[i][0], EPOLLIN, (uint64_t)i) == 0);
                CHECK(write(p[i][1], "x", 1) == 1);
        }
        /* all have their turn although not all fit */
        for (int round = 0; round < 6; round++) {
                int n = epoll_wait(ep, ev, 64, 0);

                CHECK(n > 0);
                for (int i = 0; i < n; i++)
                        seen[ev[i].data.u64]++;
        }
        for (int i = 0; i < N; i++)
                total += seen[i] != 0;
        CHECK(total == N);
}

TEST(epoll_dup)
{
        int ep = epoll_create1(0), p[2], q;
        struct epoll_event ev[4];

        CHECK(pipe(p) == 0);
        CHECK(ep_add(ep, p[0], EPOLLIN, 1) == 0);
        q = dup(p[0]);
        CHECK(ep_add(ep, q, EPOLLIN, 2) == 0);
        CHECK(write(p[1], "x", 1) == 1);
        CHECK(epoll_wait(ep, ev, 4, 0) == 2);
        close(p[0]); /* the description lives on: the item too */
        CHECK(epoll_wait(ep, ev, 4, 0) == 2);
        close(q);
        CHECK(epoll_wait(ep, ev, 4, 0) == 0);
}

TEST(epoll_pwait_mask)
{
        sigset_t block, none;
        struct epoll_event ev[1];
        int ep = epoll_create1(0);

        sigemptyset(&none);
        sigemptyset(&block);
        sigaddset(&block, SIGUSR1);
        sigprocmask(SIG_BLOCK, &block, NULL);
        handle(SIGUSR1, SA_RESTART);
        raise(SIGUSR1);
        CHECK_ERR(epoll_pwait(ep, ev, 1, 5000, &none), EINTR);
        CHECK(got == SIGUSR1);
}

TEST(epoll_exclusive)
{
        int ep = epoll_create1(0), p[2];
        struct epoll_event ev[2];

        CHECK(pipe(p) == 0);
        CHECK_ERR(ep_add(ep, p[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 1), EINVAL);
        CHECK(ep_add(ep, p[0], EPOLLIN | EPOLLEXCLUSIVE, 1) == 0);
        ev[0].events = EPOLLIN;
        CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], ev), EINVAL);
        CHECK(write(p[1], "x", 1) == 1);
        CHECK(epoll_wait(ep, ev, 2, 0) == 1);
}

TEST(eventfd_counter)
{
        int e = eventfd(3, EFD_NONBLOCK);
        uint64_t v;

        CHECK(e >= 0);
        CHECK(read(e, &v, 8) == 8 && v == 3);
        CHECK_ERR(read(e, &v, 8), EAGAIN);
        CHECK_ERR(read(e, &v, 4), EINVAL);
        v = 5;
        CHECK(write(e, &v, 8) == 8 && write(e, &v, 8) == 8);
        struct pollfd f = {e, POLLIN | POLLOUT, 0};
        CHECK(poll(&f, 1, 0) == 1 && f.revents == (POLLIN | POLLOUT));
        CHECK(read(e, &v, 8) == 8 && v == 10);
        v = ~0ull;
        CHECK_ERR(write(e, &v, 8), EINVAL);
        v = ~0ull - 1;
        CHECK(write(e, &v, 8) == 8);
        CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLIN);
        v = 1;
        CHECK_ERR(write(e, &v, 8), EAGAIN);
}

TEST(eventfd_semaphore)
{
        int e = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
        uint64_t v;

        CHECK(read(e, &v, 8) == 8 && v == 1);
        CHECK(read(e, &v, 8) == 8 && v == 1);
        CHECK_ERR(read(e, &v, 8), EAGAIN);
}

TEST(eventfd_blocks)
{
        int e = eventfd(0, 0), st;
        uint64_t v;

        if (fork() == 0) {
                nap(50);
                v = 6;
                _exit(write(e, &v, 8) != 8);
        }
        CHECK(read(e, &v, 8) == 8 && v == 6);
        wait(&st);
        CHECK(st == 0);
}

TEST(timerfd_oneshot)
{
        int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        struct itimerspec its = {.it_value = {0, 50000000}}, cur;
        uint64_t v;

        CHECK(t >= 0);
        CHECK_ERR(read(t, &v, 8), EAGAIN);
        double b = now();
        CHECK(timerfd_settime(t, 0, &its, NULL) == 0);
        CHECK(timerfd_gettime(t, &cur) == 0 && cur.it_value.tv_sec == 0 && cur.it_value.tv_nsec <= 50000000);
        struct pollfd f = {t, POLLIN, 0};
        CHECK(poll(&f, 1, 5000) == 1 && now() - b >= 0.05);
        CHECK(read(t, &v, 8) == 8 && v == 1);
        CHECK_ERR(read(t, &v, 8), EAGAIN);
        CHECK(timerfd_gettime(t, &cur) == 0 && cur.it_value.tv_sec == 0 && cur.it_value.tv_nsec == 0);
        CHECK_ERR(timerfd_create(77, 0), EINVAL);
        CHECK_ERR(timerfd_settime(0, 0, &its, NULL), EINVAL);
        its.it_value.tv_nsec = 1000000000;
        CHECK_ERR(timerfd_settime(t, 0, &its, NULL), EINVAL);
}

TEST(timerfd_periodic)
{
        int t = timerfd_create(CLOCK_REALTIME, 0);
        struct itimerspec its = {.it_value = {0, 20000000}, .it_interval = {0, 20000000}};
        uint64_t v, sum = 0;

        CHECK(timerfd_settime(t, 0, &its, NULL) == 0);
        nap(110);
        CHECK(read(t, &v, 8) == 8 && v >= 4);
        for (int i = 0; i < 3; i++) {
                CHECK(read(t, &v, 8) == 8);
                sum += v;
        }
        CHECK(sum >= 3);
}

TEST(timerfd_absolute)
{
        int t = timerfd_create(CLOCK_MONOTONIC, 0);
        struct itimerspec its = {0};
        uint64_t v;

        clock_gettime(CLOCK_MONOTONIC, &its.it_value);
        CHECK(timerfd_settime(t, TFD_TIMER_ABSTIME, &its, NULL) == 0);
        CHECK(read(t, &v, 8) == 8 && v == 1);
}

TEST(timerfd_epoll)
{
        int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), ep = epoll_create1(0);
        struct itimerspec its = {.it_value = {0, 10000000}, .it_interval = {0, 10000000}};
        struct epoll_event ev[2];
        uint64_t v;

        CHECK(ep_add(ep, t, EPOLLIN | EPOLLET, 5) == 0);
        CHECK(timerfd_settime(t, 0, &its, NULL) == 0);
        for (int i = 0; i < 5; i++) {
                CHECK(epoll_wait(ep, ev, 2, 5000) == 1 && ev[0].data.u64 == 5);
                CHECK(read(t, &v, 8) == 8 && v >= 1);
        }
}

TEST(signalfd_reads)
{
        sigset_t set;
        struct signalfd_siginfo si[3];

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, NULL);
        int s = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        CHECK(s >= 0);
        CHECK_ERR(read(s, si, sizeof(si)), EAGAIN);
        CHECK_ERR(read(s, si, 100), EINVAL);
        struct pollfd f = {s, POLLIN, 0};
        CHECK(poll(&f, 1, 0) == 0);
        kill(getpid(), SIGUSR1);
        union sigval sv = {.sival_int = 1234};
        sigqueue(getpid(), SIGUSR2, sv);
        CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLIN);
        CHECK(read(s, si, sizeof(si)) == 2 * sizeof(si[0]));
        CHECK(si[0].ssi_signo == SIGUSR1 && si[0].ssi_pid == (unsigned)getpid() && si[0].ssi_code == SI_USER);
        CHECK(si[1].ssi_signo == SIGUSR2 && si[1].ssi_int == 1234 && si[1].ssi_code == SI_QUEUE);
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        CHECK(signalfd(s, &set, 0) == s);
        raise(SIGUSR1);
        CHECK(poll(&f, 1, 0) == 0);
        CHECK_ERR(signalfd(0, &set, 0), EINVAL);
}

TEST(signalfd_wakes)
{
        sigset_t set;
        struct signalfd_siginfo si;
        struct epoll_event ev[1];
        pid_t me = getpid();

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        int s = signalfd(-1, &set, 0), ep = epoll_create1(0);
        CHECK(ep_add(ep, s, EPOLLIN, 3) == 0);
        for (int i = 0; i < 2; i++) {
                if (fork() == 0) {
                        nap(50);
                        kill(me, SIGUSR1);
                        _exit(0);
                }
                if (i)
                        CHECK(epoll_wait(ep, ev, 1, 5000) == 1 && ev[0].data.u64 == 3);
                CHECK(read(s, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGUSR1);
        }
}

static int shared_ep;
static void *waiter(void *arg)
{
        struct epoll_event ev[1];

        (void)arg;
        return (void *)(long)epoll_wait(shared_ep, ev, 1, 5000);
}

TEST(epoll_threads)
{
        pthread_t th[4];
        int p[2];
        void *r;

        CHECK(pipe(p) == 0);
        shared_ep = epoll_create1(0);
        CHECK(ep_add(shared_ep, p[0], EPOLLIN, 1) == 0);
        for (int i = 0; i < 4; i++)
                CHECK(pthread_create(&th[i], NULL, waiter, NULL) == 0);
        nap(50);
        CHECK(write(p[1], "x", 1) == 1);
        for (int i = 0; i < 4; i++) {
                pthread_join(th[i], &r);
                CHECK((long)r == 1);
        }
}

TEST_MAIN
