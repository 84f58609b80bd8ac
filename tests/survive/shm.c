/*
 * shm.c - memory that processes share, of every kind, with semaphores and message queues beside it.
 */
#include "tests/survive/survive.h"
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

/* Three processes in turn, each in its own mapping of the memory; sem_post wakes the next. */
struct turns {
        sem_t sem[3];
        volatile uint64_t n;
};

static void turns(struct turns *(*map)(void), volatile uint64_t *good)
{
        struct turns *t = map();
        uint64_t me = 0;

        for (unsigned i = 0; i < 3; i++)
                MUST(sem_init(&t->sem[i], 1, i == 0) == 0);
        for (uint64_t i = 1; i < 3 && me == 0; i++) {
                if (fork() == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        me = i;
                        t = map();
                }
        }
        for (uint64_t n = me;; n += 3) {
                MUST(sem_wait(&t->sem[me]) == 0);
                SAME(t->n, n);
                t->n = n + 1;
                if (me == 0)
                        *good = n + 1, survive_nap(5);
                MUST(sem_post(&t->sem[(me + 1) % 3]) == 0);
        }
}

static struct turns *anonymous(void)
{
        static struct turns *t; /* inherited: mapped once */

        if (!t)
                t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        MUST(t != MAP_FAILED);
        return t;
}

static struct turns *posix(void)
{
        int fd = shm_open("/survive", O_RDWR | O_CREAT, 0600);
        struct turns *t;

        MUST(fd >= 0 && ftruncate(fd, sizeof(*t)) == 0);
        t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        MUST(t != MAP_FAILED && close(fd) == 0);
        return t;
}

static struct turns *sysv(void)
{
        int id = shmget(0x5eed, sizeof(struct turns), IPC_CREAT | 0600);
        struct turns *t;

        MUST(id >= 0);
        t = shmat(id, NULL, 0);
        MUST(t != (void *)-1);
        return t;
}

static void anonymous_memory(volatile uint64_t *good)
{
        turns(anonymous, good);
}

static void posix_memory(volatile uint64_t *good)
{
        turns(posix, good);
}

static void sysv_memory(volatile uint64_t *good)
{
        turns(sysv, good);
}

/* SysV semaphores: a set operated on at once, and SEM_UNDO of a process that dies. */
static void semaphores(volatile uint64_t *good)
{
        int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600), status;
        struct sembuf take[2] = {{0, -1, SEM_UNDO}, {1, -1, SEM_UNDO}}, give[2] = {{0, 1, SEM_UNDO}, {1, 1, SEM_UNDO}},
                      done = {2, 1, 0}, wait_done = {2, -1, 0};

        MUST(id >= 0 && semctl(id, 0, SETVAL, 1) == 0 && semctl(id, 1, SETVAL, 1) == 0);
        for (uint64_t n = 0;; n++) {
                pid_t child = fork();

                MUST(child >= 0);
                if (child == 0) {
                        MUST(semop(id, take, 2) == 0 && semop(id, &done, 1) == 0);
                        survive_nap(10);
                        if (n % 2)
                                MUST(semop(id, give, 2) == 0);
                        _exit(0); /* else undone */
                }
                MUST(semop(id, &wait_done, 1) == 0);
                MUST(semop(id, take, 2) == 0);
                SAME(semctl(id, 0, GETVAL), 0);
                SAME(semctl(id, 1, GETVAL), 0);
                MUST(semop(id, give, 2) == 0);
                MUST(waitpid(child, &status, 0) == child && status == 0);
                SAME(semctl(id, 0, GETVAL), 1);
                SAME(semctl(id, 1, GETVAL), 1);
                *good = n + 1;
        }
}

/* A queue that always holds messages of two types; a child waits for the answer. */
static void messages(volatile uint64_t *good)
{
        struct message {
                long type;
                uint64_t n;
        } m;
        int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

        MUST(id >= 0);
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (uint64_t n = 0;; n++) {
                        SAME(msgrcv(id, &m, sizeof(m.n), 1, 0), sizeof(m.n));
                        SAME(m.n, n);
                        m = (struct message){2, n * 5};
                        MUST(msgsnd(id, &m, sizeof(m.n), 0) == 0);
                }
        }
        for (uint64_t n = 0;; n++) {
                m = (struct message){1, n};
                MUST(msgsnd(id, &m, sizeof(m.n), 0) == 0);
                if (n < 10)
                        continue;
                survive_nap(4);
                SAME(msgrcv(id, &m, sizeof(m.n), 2, 0), sizeof(m.n));
                SAME(m.n, (n - 10) * 5);
                *good = n;
        }
}

int main(void)
{
        survive_begin("shm");
        survive_part(anonymous_memory);
        survive_part(posix_memory);
        survive_part(sysv_memory);
        survive_part(semaphores);
        survive_part(messages);
        survive_watch();
}
