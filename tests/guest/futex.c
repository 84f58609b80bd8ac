/* futex.c - futexes: wait and wake, bitsets, requeue, WAKE_OP, timeouts, PI, robust lists, shared memory; and what thread libraries make of them. */
#include "lib/test.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static long futex(void *a, int op, unsigned val, const void *timeout, void *a2, unsigned val3)
{
        return syscall(SYS_futex, a, op, val, timeout, a2, val3);
}
static void msleep(int ms)
{
        struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

        nanosleep(&t, 0);
}
static struct timespec in_ms(int clock, int ms)
{
        struct timespec t;

        clock_gettime(clock, &t);
        t.tv_nsec += ms % 1000 * 1000000l;
        t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        return t;
}

TEST(errors)
{
        uint32_t w = 1;
        struct timespec bad = {0, 1000000000}, t = {0, 1000};

        CHECK_ERR(futex(&w, FUTEX_WAIT, 2, 0, 0, 0), EAGAIN);
        CHECK_ERR(futex((char *)&w + 1, FUTEX_WAIT, 1, 0, 0, 0), EINVAL);
        CHECK_ERR(futex(&w, FUTEX_WAIT, 1, &bad, 0, 0), EINVAL);
        CHECK_ERR(futex(&w, FUTEX_WAIT, 1, &t, 0, 0), ETIMEDOUT);
        CHECK_ERR(futex((void *)8, FUTEX_WAIT, 1, 0, 0, 0), EFAULT);
        CHECK_ERR(futex((void *)0xffff800000000000ul, FUTEX_WAIT, 1, 0, 0, 0), EFAULT);
        CHECK_ERR(futex(&w, 99, 1, 0, 0, 0), ENOSYS);
        CHECK_ERR(futex(&w, FUTEX_WAIT_BITSET, 1, 0, 0, 0), EINVAL);
        CHECK_ERR(futex(&w, FUTEX_WAKE_BITSET, 1, 0, 0, 0), EINVAL);
        CHECK_ERR(futex(&w, FUTEX_CMP_REQUEUE, 1, (void *)1, &w, 7), EAGAIN);
        CHECK(futex(&w, FUTEX_WAKE, 1, 0, 0, 0) == 0);
        CHECK_ERR(futex(&w, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, 0, 0, 0), ENOSYS);
}

static uint32_t word, other;
static int woken[8];
struct arg {
        int i;
        unsigned bits;
};
static void *waiter(void *p)
{
        struct arg *a = p;

        if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, 0, 0, a->bits) == 0)
                __atomic_fetch_add(&woken[a->i], 1, __ATOMIC_SEQ_CST);
        return 0;
}
static int sum(void)
{
        int n = 0;

        for (int i = 0; i < 8; i++)
                n += __atomic_load_n(&woken[i], __ATOMIC_SEQ_CST);
        return n;
}
static void start(pthread_t *t, struct arg *a, int n, unsigned bits)
{
        for (int i = 0; i < n; i++) {
                a[i] = (struct arg){i, bits ? bits << i : ~0u};
                CHECK(pthread_create(&t[i], 0, waiter, &a[i]) == 0);
        }
        msleep(50);
}
static void expect_sum(int n)
{
        for (int i = 0; i < 500 && sum() < n; i++)
                msleep(2);
        CHECK(sum() == n);
}

TEST(wake_counts)
{
        pthread_t t[6];
        struct arg a[6];

        start(t, a, 6, 0);
        CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 2, 0, 0, 0) == 2);
        expect_sum(2);
        CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 0, 0, 0, 0) == 1);
        CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 100, 0, 0, 0) == 3);
        expect_sum(6);
        CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 100, 0, 0, 0) == 0);
}

TEST(wake_by_bits)
{
        pthread_t t[4];
        struct arg a[4];

        start(t, a, 4, 1);
        CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, 0, 0, 4) == 1);
        expect_sum(1);
        CHECK(woken[2] == 1);
        CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, 0, 0, 3) == 2);
        expect_sum(3);
        CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0) == 1);
        expect_sum(4);
}

TEST(requeue)
{
        pthread_t t[6];
        struct arg a[6];

        start(t, a, 6, 0);
        CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)3, &other, 0) == 4);
        expect_sum(1);
        CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0) == 2);
        expect_sum(3);
        CHECK(futex(&other, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0) == 3);
        expect_sum(6);
        CHECK_ERR(futex(&word, FUTEX_REQUEUE_PRIVATE, -1, (void *)3, &other, 0), EINVAL);
}

TEST(wake_op)
{
        pthread_t t[3];
        struct arg a[3];

        start(t, a, 3, 0);
        other = 5;
        /* other += 3; wake 1 on word; the old value was not > 9: nothing on other */
        CHECK(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other,
                    FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GT, 9)) == 1);
        CHECK(other == 8);
        CHECK(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, (void *)10, &word,
                    FUTEX_OP(FUTEX_OP_OR, 1, FUTEX_OP_CMP_EQ, 0)) == 2);
        CHECK(word == 1);
        expect_sum(3);
        CHECK(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other,
                    FUTEX_OP(FUTEX_OP_XOR, 0xfff, FUTEX_OP_CMP_LT, 0)) == 0);
        CHECK(other == (8u ^ 0xffffffffu));
        CHECK(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other,
                    FUTEX_OP((FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT), 4, FUTEX_OP_CMP_LT, 0)) == 0);
        CHECK(other == 16);
        CHECK_ERR(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other, FUTEX_OP(7, 0, 0, 0)), ENOSYS);
}

TEST(timeouts)
{
        struct timespec t = {0, 30000000}, a, b;
        uint32_t w = 0;

        clock_gettime(CLOCK_MONOTONIC, &a);
        CHECK_ERR(futex(&w, FUTEX_WAIT, 0, &t, 0, 0), ETIMEDOUT);
        clock_gettime(CLOCK_MONOTONIC, &b);
        CHECK((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec >= 30000000);
        t = in_ms(CLOCK_MONOTONIC, 30);
        CHECK_ERR(futex(&w, FUTEX_WAIT_BITSET, 0, &t, 0, ~0u), ETIMEDOUT);
        t = in_ms(CLOCK_REALTIME, 30);
        CHECK_ERR(futex(&w, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, 0, ~0u), ETIMEDOUT);
        t = in_ms(CLOCK_MONOTONIC, 0);
        CHECK_ERR(futex(&w, FUTEX_WAIT_BITSET, 0, &t, 0, ~0u), ETIMEDOUT);
}

static volatile int hits;
static void on_signal(int n)
{
        (void)n;
        hits++;
}

TEST(signals)
{
        struct sigaction a = {.sa_handler = on_signal};
        struct timespec t = {5, 0};
        uint32_t w = 0;
        pid_t me = getpid();

        sigaction(SIGUSR1, &a, 0);
        if (fork() == 0) {
                msleep(30);
                kill(me, SIGUSR1);
                _exit(0);
        }
        CHECK_ERR(futex(&w, FUTEX_WAIT, 0, 0, 0, 0), EINTR);
        if (fork() == 0) {
                msleep(30);
                kill(me, SIGUSR1);
                _exit(0);
        }
        CHECK_ERR(futex(&w, FUTEX_WAIT, 0, &t, 0, 0), EINTR);
        CHECK(hits == 2);
        /* A stop in a timed wait: it goes on to the same deadline. */
        pid_t pid = fork();
        if (pid == 0) {
                t = (struct timespec){0, 150000000};
                _exit(futex(&w, FUTEX_WAIT, 0, &t, 0, 0) == -1 && errno == ETIMEDOUT ? 0 : 1);
        }
        for (int i = 0; i < 4; i++) {
                msleep(15);
                kill(pid, SIGSTOP);
                msleep(15);
                kill(pid, SIGCONT);
        }
        int s;
        CHECK(waitpid(pid, &s, 0) == pid && WIFEXITED(s) && WEXITSTATUS(s) == 0);
}

TEST(shared_between_processes)
{
        uint32_t *w = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int s;
        pid_t pid = fork();

        if (pid == 0) {
                uint32_t *again = mremap(w, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (char *)w + (64 << 20));

                if (again == MAP_FAILED)
                        _exit(2);
                _exit(futex(again + 1, FUTEX_WAIT, 0, 0, 0, 0) == 0 ? 0 : 1);
        }
        for (int i = 0; i < 500; i++) {
                if (futex(w + 1, FUTEX_WAKE, 1, 0, 0, 0) == 1)
                        break;
                msleep(2);
        }
        CHECK(waitpid(pid, &s, 0) == pid && WEXITSTATUS(s) == 0);
}

TEST(file_mapping_at_two_addresses)
{
        char name[] = "/tmp/futexXXXXXX";
        int fd = mkstemp(name), s;
        uint32_t *a, *b;

        unlink(name);
        CHECK(ftruncate(fd, 8192) == 0);
        a = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        b = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
        pid_t pid = fork();
        if (pid == 0)
                _exit(futex(&a[1024 + 5], FUTEX_WAIT, 0, 0, 0, 0) == 0 ? 0 : 1);
        for (int i = 0; i < 500 && futex(&b[5], FUTEX_WAKE, 1, 0, 0, 0) != 1; i++)
                msleep(2);
        CHECK(waitpid(pid, &s, 0) == pid && WEXITSTATUS(s) == 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;
static void *increments(void *p)
{
        for (int i = 0; i < 5000; i++) {
                pthread_mutex_lock(&mutex);
                counter++;
                if (i % 512 == 0)
                        sched_yield();
                pthread_mutex_unlock(&mutex);
        }
        return p;
}

TEST(mutex_contended)
{
        pthread_t t[8];

        for (int i = 0; i < 8; i++)
                pthread_create(&t[i], 0, increments, 0);
        for (int i = 0; i < 8; i++)
                pthread_join(t[i], 0);
        CHECK(counter == 40000);
}

static int turn;
static void *ping(void *p)
{
        int me = (int)(long)p;

        for (int i = 0; i < 500; i++) {
                pthread_mutex_lock(&mutex);
                while (turn != me)
                        pthread_cond_wait(&cond, &mutex);
                turn = !me;
                pthread_cond_broadcast(&cond);
                pthread_mutex_unlock(&mutex);
        }
        return 0;
}

TEST(condition_variables)
{
        pthread_t a, b;
        struct timespec t = in_ms(CLOCK_REALTIME, 30);

        pthread_create(&a, 0, ping, (void *)0);
        pthread_create(&b, 0, ping, (void *)1);
        pthread_join(a, 0);
        pthread_join(b, 0);
        pthread_mutex_lock(&mutex);
        CHECK(pthread_cond_timedwait(&cond, &mutex, &t) == ETIMEDOUT);
        pthread_mutex_unlock(&mutex);
}

TEST(semaphore_in_shared_memory)
{
        sem_t *s = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int st;

        CHECK(sem_init(s, 1, 0) == 0 && sem_init(s + 1, 1, 0) == 0);
        pid_t pid = fork();
        if (pid == 0) {
                for (int i = 0; i < 300; i++) {
                        sem_wait(s);
                        sem_post(s + 1);
                }
                _exit(0);
        }
        for (int i = 0; i < 300; i++) {
                sem_post(s);
                sem_wait(s + 1);
        }
        CHECK(waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 0);
}

TEST(barrier_and_rwlock)
{
        pthread_barrier_t b;
        pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;

        CHECK(pthread_barrier_init(&b, 0, 1) == 0);
        CHECK(pthread_barrier_wait(&b) == PTHREAD_BARRIER_SERIAL_THREAD);
        CHECK(pthread_rwlock_rdlock(&l) == 0 && pthread_rwlock_tryrdlock(&l) == 0 &&
              pthread_rwlock_trywrlock(&l) == EBUSY);
}

/* ---- owner dies ---- */

TEST(robust_mutex)
{
        pthread_mutex_t *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pthread_mutexattr_t a;

        pthread_mutexattr_init(&a);
        pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
        CHECK(pthread_mutex_init(m, &a) == 0);
        for (int killed = 0; killed < 2; killed++) {
                pid_t pid = fork();

                if (pid == 0) {
                        pthread_mutex_lock(m);
                        msleep(40);
                        if (killed)
                                raise(SIGKILL);
                        _exit(0);
                }
                msleep(15);
                CHECK(pthread_mutex_lock(m) == EOWNERDEAD);
                CHECK(pthread_mutex_consistent(m) == 0);
                CHECK(pthread_mutex_unlock(m) == 0);
                waitpid(pid, 0, 0);
        }
        CHECK(pthread_mutex_lock(m) == 0);
}

static pthread_mutex_t *held;
static void *holds_many(void *n)
{
        for (long k = 0; k < (long)n; k++)
                pthread_mutex_lock(&held[k]);
        pause();
        return 0;
}

/* Threads that hold much are still marking it when the last one has begun to exit: the memory stays until all have. */
TEST(robust_mutexes_of_a_process_that_ends)
{
        enum { THREADS = 4, EACH = 24 };
        pthread_mutexattr_t a;

        held = mmap(0, 16384, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pthread_mutexattr_init(&a);
        pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
        for (int round = 0; round < 20; round++) {
                for (int k = 0; k < THREADS * EACH; k++)
                        CHECK(pthread_mutex_init(&held[k], &a) == 0);
                pid_t pid = fork();

                if (pid == 0) {
                        pthread_mutex_t *all = held;
                        pthread_t t;

                        for (int k = 0; k < THREADS; k++) {
                                held = all + k * EACH;
                                pthread_create(&t, 0, holds_many, (void *)EACH);
                                while (pthread_mutex_trylock(&held[EACH - 1]) != EBUSY) {
                                        pthread_mutex_unlock(&held[EACH - 1]);
                                        sched_yield();
                                }
                        }
                        _exit(0);
                }
                CHECK(waitpid(pid, 0, 0) == pid);
                for (int k = 0; k < THREADS * EACH; k++) {
                        CHECK(pthread_mutex_trylock(&held[k]) == EOWNERDEAD);
                        CHECK(pthread_mutex_consistent(&held[k]) == 0 && pthread_mutex_unlock(&held[k]) == 0);
                }
        }
}

TEST(robust_list_call)
{
        void *head = 0;
        size_t len = 0;

        CHECK_ERR(syscall(SYS_set_robust_list, &head, 7), EINVAL);
        CHECK(syscall(SYS_set_robust_list, &head, 24) == 0);
        void *got = 0;
        CHECK(syscall(SYS_get_robust_list, 0, &got, &len) == 0 && got == &head && len == 24);
        CHECK_ERR(syscall(SYS_get_robust_list, 999999, &got, &len), ESRCH);
        syscall(SYS_set_robust_list, 0, 24);
}

TEST(robust_nonsense_is_harmless)
{
        int s;

        for (int k = 0; k < 4; k++) {
                if (fork() == 0) {
                        uint64_t *head = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                        head[0] = k == 0   ? 8
                                  : k == 1 ? (uint64_t)(head + 8)
                                  : k == 2 ? 0xffff800000001000ul
                                           : (uint64_t)head | 1;
                        head[8] = (uint64_t)(head + 8); /* a circle */
                        head[1] = k == 3 ? 3 : 0;
                        head[2] = k == 3 ? 0x123 : 0;
                        syscall(SYS_set_robust_list, k == 2 ? (void *)8 : head, 24);
                        _exit(3);
                }
                wait(&s);
                CHECK(WIFEXITED(s) && WEXITSTATUS(s) == 3);
        }
}

/* ---- PI ---- */

static uint32_t pi;
static volatile int pi_order[8], pi_n;
static void *pi_waiter(void *p)
{
        uint32_t tid = (uint32_t)syscall(SYS_gettid), zero = 0;

        if (!__atomic_compare_exchange_n(&pi, &zero, tid, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
            futex(&pi, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0))
                return (void *)1;
        if ((__atomic_load_n(&pi, __ATOMIC_SEQ_CST) & FUTEX_TID_MASK) != tid)
                return (void *)2;
        pi_order[pi_n++] = (int)(long)p;
        if (!__atomic_compare_exchange_n(&pi, &tid, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
            futex(&pi, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0))
                return (void *)3;
        return 0;
}

TEST(pi_lock_and_unlock)
{
        uint32_t tid = (uint32_t)syscall(SYS_gettid);
        pthread_t t[4];
        void *r;

        CHECK(futex(&pi, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0) == 0 && pi == tid);
        CHECK_ERR(futex(&pi, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0), EDEADLK);
        for (int i = 0; i < 4; i++) {
                pthread_create(&t[i], 0, pi_waiter, (void *)(long)i);
                msleep(15);
        }
        CHECK(pi == (tid | FUTEX_WAITERS));
        CHECK(futex(&pi, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0) == 0);
        for (int i = 0; i < 4; i++)
                CHECK(pthread_join(t[i], &r) == 0 && r == 0);
        CHECK(pi_n == 4 && pi_order[0] == 0 && (pi & FUTEX_TID_MASK) == 0);
        CHECK_ERR(futex(&pi, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0), EPERM);
}

TEST(pi_errors_and_timeout)
{
        struct timespec t;
        pid_t pid = fork();

        if (pid == 0)
                for (;;)
                        pause();
        pi = (uint32_t)pid;
        CHECK_ERR(futex(&pi, FUTEX_TRYLOCK_PI, 0, 0, 0, 0), EAGAIN);
        t = in_ms(CLOCK_REALTIME, 30);
        CHECK_ERR(futex(&pi, FUTEX_LOCK_PI, 0, &t, 0, 0), ETIMEDOUT);
        kill(pid, SIGKILL);
        waitpid(pid, 0, 0);
        pi = 999999;
        CHECK_ERR(futex(&pi, FUTEX_LOCK_PI, 0, 0, 0, 0), ESRCH);
}

TEST(many_waiters)
{
        enum { N = 100 };
        uint32_t *w = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int n = 0, s;

        for (int i = 0; i < N; i++)
                if (fork() == 0)
                        _exit(futex(w, FUTEX_WAIT, 0, 0, 0, 0) == 0 ? 0 : 1);
        while (n < N) {
                long r = futex(w, FUTEX_WAKE, 1000, 0, 0, 0);

                CHECK(r >= 0);
                n += (int)r;
                msleep(2);
        }
        for (int i = 0; i < N; i++) {
                wait(&s);
                CHECK(WIFEXITED(s) && WEXITSTATUS(s) == 0);
        }
}

TEST_MAIN
