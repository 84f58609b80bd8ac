/*
 * event.c - epoll, eventfd, timerfd, signalfd and inotify: no event is lost or comes twice.
 */
#include "tests/survive/survive.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

/* A child adds to two eventfds; the sum of what epoll, edge-triggered and one-shot, brings is what was added. */
static void edges(volatile uint64_t *good)
{
        int fd[2] = {eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)}, back = eventfd(0, 0), ep = epoll_create1(0);
        struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u32 = 0};
        uint64_t v, sum[2] = {0, 0};

        MUST(fd[0] >= 0 && fd[1] >= 0 && back >= 0 && ep >= 0);
        MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e) == 0);
        e = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u32 = 1};
        MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd[1], &e) == 0);
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (uint64_t n = 1;; n++) {
                        v = n % 5 + 1;
                        survive_write(fd[n % 2], &v, sizeof(v));
                        if (n % 3 == 0)
                                survive_nap(4);
                        survive_read(back, &v, sizeof(v)); /* each is answered before the next */
                        SAME(v, n);
                }
        }
        for (uint64_t n = 1;; n++) {
                SAME(epoll_wait(ep, &e, 1, -1), 1);
                SAME(e.data.u32, n % 2);
                survive_read(fd[n % 2], &v, sizeof(v));
                SAME(v, n % 5 + 1);
                sum[n % 2] += v;
                SAME(epoll_wait(ep, &e, 1, 0), 0);
                if (n % 2) {
                        e = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u32 = 1};
                        MUST(epoll_ctl(ep, EPOLL_CTL_MOD, fd[1], &e) == 0);
                }
                *good = n;
                survive_write(back, &n, sizeof(n));
        }
}

/* epoll over a timerfd and a signalfd: periods and queued signals are counted exactly. */
static void sources(volatile uint64_t *good)
{
        const uint64_t period = 10000000;
        struct itimerspec set = {.it_interval = {0, 10000000}, .it_value = {0, 10000000}};
        int timer = timerfd_create(CLOCK_MONOTONIC, 0), ep = epoll_create1(0), signals;
        struct epoll_event e = {.events = EPOLLIN};
        uint64_t begin, total = 0, v, sent = 0, got = 0;
        struct signalfd_siginfo info;
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGRTMIN + 4);
        MUST(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
        signals = signalfd(-1, &mask, 0);
        MUST(timer >= 0 && ep >= 0 && signals >= 0);
        e.data.fd = timer;
        MUST(epoll_ctl(ep, EPOLL_CTL_ADD, timer, &e) == 0);
        e.data.fd = signals;
        MUST(epoll_ctl(ep, EPOLL_CTL_ADD, signals, &e) == 0);
        begin = survive_now();
        MUST(timerfd_settime(timer, 0, &set, NULL) == 0);
        for (;;) {
                SAME(epoll_wait(ep, &e, 1, -1), 1);
                if (e.data.fd == timer) {
                        survive_read(timer, &v, sizeof(v));
                        total += v;
                        MUST(total <= (survive_now() - begin) / period);
                        MUST(sigqueue(getpid(), SIGRTMIN + 4, (union sigval){.sival_int = (int)sent++}) == 0);
                } else {
                        survive_read(signals, &info, sizeof(info));
                        SAME(info.ssi_int, (int)got);
                        got++;
                        MUST(got <= sent);
                        *good = got;
                }
        }
}

/* Events of a folder, in order; several wait in the queue while the process naps. */
static void watch(volatile uint64_t *good)
{
        static const uint32_t want[] = {IN_CREATE,     IN_OPEN,     IN_MODIFY, IN_CLOSE_WRITE,
                                        IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE};
        char buf[4096] __attribute__((aligned(8))), a[64], b[64];
        int fd = inotify_init1(IN_NONBLOCK);

        mkdir("/tmp/survive-watch", 0755);
        MUST(fd >= 0 && inotify_add_watch(fd, "/tmp/survive-watch", IN_ALL_EVENTS) >= 0);
        for (uint64_t n = 0;; n++) {
                unsigned seen = 0;
                ssize_t len;
                int f;

                snprintf(a, sizeof(a), "/tmp/survive-watch/a%lu", n);
                snprintf(b, sizeof(b), "/tmp/survive-watch/b%lu", n);
                f = open(a, O_WRONLY | O_CREAT, 0600);
                MUST(f >= 0);
                survive_write(f, &n, sizeof(n));
                MUST(close(f) == 0);
                survive_nap(8);
                MUST(rename(a, b) == 0 && unlink(b) == 0);
                survive_nap(8);
                while ((len = read(fd, buf, sizeof(buf))) > 0) {
                        for (char *p = buf; p < buf + len;) {
                                struct inotify_event *e = (struct inotify_event *)(void *)p;

                                MUST(seen < sizeof(want) / sizeof(want[0]));
                                if (e->mask != want[seen])
                                        survive_fail("event %u of round %lu is %#x, not %#x", seen, n, e->mask,
                                                     want[seen]);
                                SAME(strtoul(e->name + 1, NULL, 10), n);
                                SAME(e->name[0], seen < 5 ? 'a' : 'b');
                                seen++;
                                p += sizeof(*e) + e->len;
                        }
                }
                SAME(seen, sizeof(want) / sizeof(want[0]));
                *good = n + 1;
        }
}

int main(void)
{
        survive_begin("event");
        survive_part(edges);
        survive_part(sources);
        survive_part(watch);
        survive_watch();
}
