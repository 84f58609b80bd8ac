/*
 * signal.c - signals that are pending, handlers that are running, waits that signals end: each comes once.
 */
#include "tests/survive/survive.h"

static volatile sig_atomic_t depth, deepest;
static volatile uint64_t handled;

/* Ten queued values and a plain signal stay pending while the process naps, and are there afterwards, once each. */
static void pending(volatile uint64_t *good)
{
        const struct timespec none = {0, 0};
        siginfo_t info;
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN + 1);
        sigaddset(&set, SIGUSR1);
        MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
        for (uint64_t n = 0;; n++) {
                for (int i = 0; i < 10; i++)
                        MUST(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = (int)n * 10 + i}) == 0);
                MUST(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0);
                survive_nap(30);
                SAME(sigtimedwait(&set, &info, &none), SIGUSR1);
                for (int i = 0; i < 10; i++) {
                        SAME(sigtimedwait(&set, &info, &none), SIGRTMIN + 1);
                        SAME(info.si_value.sival_int, (int)n * 10 + i);
                        SAME(info.si_pid, getpid());
                }
                SAME(sigtimedwait(&set, &info, &none), -1);
                SAME(errno, EAGAIN);
                *good = n + 1;
        }
}

/* A handler on a stack of its own that sleeps, and is itself interrupted by another signal's. */
static void handler(int sig, siginfo_t *info, void *context)
{
        struct timespec t = {0, 10000000};

        (void)context;
        SAME(info->si_value.sival_int, (int)handled + (sig == SIGRTMIN + 2));
        depth++;
        deepest = depth > deepest ? depth : deepest;
        if (sig == SIGRTMIN + 1)
                MUST(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = (int)handled + 1}) == 0);
        while (nanosleep(&t, &t))
                SAME(errno, EINTR);
        depth--;
}

static void nested(volatile uint64_t *good)
{
        struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536}, now;

        MUST(stack.ss_sp && sigaltstack(&stack, NULL) == 0);
        MUST(sigaction(SIGRTMIN + 1, &a, NULL) == 0 && sigaction(SIGRTMIN + 2, &a, NULL) == 0);
        for (;; handled++) {
                deepest = 0;
                MUST(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = (int)handled}) == 0);
                SAME(depth, 0);
                SAME(deepest, 2);
                MUST(sigaltstack(NULL, &now) == 0 && now.ss_sp == stack.ss_sp && now.ss_flags == 0);
                *good = handled + 1;
        }
}

/* Two processes that wake each other by signals, one a turn. */
static void turns(volatile uint64_t *good)
{
        pid_t parent = getpid(), child;
        siginfo_t info;
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN + 1);
        MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
        child = fork();
        MUST(child >= 0);
        if (child == 0)
                prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int n = 0;; n++) {
                if (child)
                        MUST(sigqueue(child, SIGRTMIN + 1, (union sigval){.sival_int = n}) == 0);
                SAME(sigwaitinfo(&set, &info), SIGRTMIN + 1);
                SAME(info.si_value.sival_int, n);
                if (child == 0)
                        MUST(sigqueue(parent, SIGRTMIN + 1, (union sigval){.sival_int = n}) == 0);
                else
                        *good = (uint64_t)n + 1, survive_nap(5);
        }
}

static void count(int sig)
{
        (void)sig;
        handled++;
}

/* A read that a signal ends (EINTR), or that goes on behind the handler (SA_RESTART): neither by itself. */
static void interrupted(volatile uint64_t *good)
{
        struct sigaction ends = {.sa_handler = count}, restarts = {.sa_handler = count, .sa_flags = SA_RESTART};
        pid_t parent = getpid();
        int p[2], q[2];
        char c;

        MUST(pipe(p) == 0 && pipe(q) == 0);
        MUST(sigaction(SIGUSR1, &ends, NULL) == 0 && sigaction(SIGUSR2, &restarts, NULL) == 0);
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (uint64_t n = 0;; n++) {
                        survive_read(q[0], &c, 1);
                        survive_nap(20);
                        MUST(kill(parent, n % 2 ? SIGUSR2 : SIGUSR1) == 0);
                        survive_nap(20);
                        survive_write(p[1], n % 2 ? "x" : "i", 1);
                }
        }
        for (uint64_t n = 0;; n++) {
                ssize_t r;

                survive_write(q[1], "q", 1);
                r = read(p[0], &c, 1);
                if (n % 2) {
                        SAME(r, 1);
                        SAME(c, 'x');
                } else {
                        /* The signal may have come before the read began, or the letter too. */
                        if (r < 0) {
                                SAME(errno, EINTR);
                                SAME(handled, n + 1);
                                survive_read(p[0], &c, 1);
                        }
                        SAME(c, 'i');
                }
                SAME(handled, n + 1);
                *good = n + 1;
        }
}

int main(void)
{
        survive_begin("signal");
        survive_part(pending);
        survive_part(nested);
        survive_part(turns);
        survive_part(interrupted);
        survive_watch();
}
