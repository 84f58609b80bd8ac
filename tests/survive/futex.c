/*
 * futex.c - threads: mutexes, condition variables, semaphores, barriers and robust mutexes. A wake-up that is lost stops a part, one that is doubled breaks its count.
 */
#include "tests/survive/survive.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#define THREADS 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static uint64_t turn, inside;
static volatile uint64_t *counter;
static sem_t sems[THREADS];
static pthread_barrier_t barrier;

static void start(void *(*fn)(void *))
{
        pthread_t t;

        for (long i = 1; i < THREADS; i++)
                SAME(pthread_create(&t, NULL, fn, (void *)i), 0);
        fn(NULL);
}

/* In turn, by a condition that all wait for: broadcast moves waiters from one futex to the other. */
static void *take_turns(void *arg)
{
        uint64_t me = (uint64_t)arg;

        for (;;) {
                SAME(pthread_mutex_lock(&lock), 0);
                while (turn % THREADS != me)
                        SAME(pthread_cond_wait(&turned, &lock), 0);
                SAME(++inside, 1);
                turn++;
                *counter = turn;
                inside--;
                SAME(pthread_cond_broadcast(&turned), 0);
                SAME(pthread_mutex_unlock(&lock), 0);
                if (me == 0)
                        survive_nap(5);
        }
}

static void turns(volatile uint64_t *good)
{
        counter = good;
        start(take_turns);
}

/* Holds the mutex asleep, so that the others are found waiting. */
static void *hold(void *arg)
{
        uint64_t mine = 0;

        (void)arg;
        for (;;) {
                SAME(pthread_mutex_lock(&lock), 0);
                SAME(++inside, 1);
                survive_nap(3);
                SAME(--inside, 0);
                (*counter)++;
                SAME(pthread_mutex_unlock(&lock), 0);
                mine++;
                survive_nap(mine % 4);
        }
}

static void holds(volatile uint64_t *good)
{
        counter = good;
        start(hold);
}

static void *pass_on(void *arg)
{
        uint64_t me = (uint64_t)arg, n = 0;

        for (;; n++) {
                SAME(sem_wait(&sems[me]), 0);
                SAME(++inside, 1);
                SAME(turn, n * THREADS + me);
                turn++;
                inside--;
                *counter = turn;
                if (me == 0)
                        survive_nap(5);
                SAME(sem_post(&sems[(me + 1) % THREADS]), 0);
        }
}

static void ring(volatile uint64_t *good)
{
        counter = good;
        for (unsigned i = 0; i < THREADS; i++)
                SAME(sem_init(&sems[i], 0, i == 0), 0);
        start(pass_on);
}

static void *meet(void *arg)
{
        for (uint64_t n = 1;; n++) {
                int r;

                __atomic_add_fetch(&turn, 1, __ATOMIC_SEQ_CST);
                r = pthread_barrier_wait(&barrier);
                MUST(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
                SAME(__atomic_load_n(&turn, __ATOMIC_SEQ_CST), n * THREADS);
                r = pthread_barrier_wait(&barrier);
                MUST(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
                if (arg == NULL) {
                        *counter = n;
                        survive_nap(10);
                }
        }
}

static void barriers(volatile uint64_t *good)
{
        counter = good;
        SAME(pthread_barrier_init(&barrier, NULL, THREADS), 0);
        start(meet);
}

/* A child dies with the mutex; who waits for it is told. */
static void robust(volatile uint64_t *good)
{
        struct shared {
                pthread_mutex_t lock;
                volatile uint64_t taken;
        } *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pthread_mutexattr_t a;
        int status;

        MUST(s != MAP_FAILED);
        pthread_mutexattr_init(&a);
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
        pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
        SAME(pthread_mutex_init(&s->lock, &a), 0);
        for (uint64_t n = 1;; n++) {
                pid_t pid = fork();

                MUST(pid >= 0);
                if (pid == 0) {
                        SAME(pthread_mutex_lock(&s->lock), 0);
                        s->taken = n;
                        survive_nap(20);
                        _exit(0);
                }
                while (s->taken != n)
                        sched_yield();
                SAME(pthread_mutex_lock(&s->lock), EOWNERDEAD);
                SAME(pthread_mutex_consistent(&s->lock), 0);
                SAME(pthread_mutex_unlock(&s->lock), 0);
                MUST(waitpid(pid, &status, 0) == pid && status == 0);
                *good = n;
        }
}

int main(void)
{
        survive_begin("futex");
        survive_part(turns);
        survive_part(holds);
        survive_part(ring);
        survive_part(barriers);
        survive_part(robust);
        survive_watch();
}
