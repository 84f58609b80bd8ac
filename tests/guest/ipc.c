/* ipc.c - System V IPC and POSIX message queues. */
#include "lib/test.h"
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

union semun {
        int val;
        struct semid_ds *buf;
        unsigned short *array;
        struct seminfo *info;
};

static void nap(int ms)
{
        struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

        nanosleep(&ts, NULL);
}
static volatile int got, got_code, got_value;
static void on_signal(int s)
{
        got = s;
}
static void on_info(int s, siginfo_t *si, void *uc)
{
        (void)uc;
        got = s;
        got_code = si->si_code;
        got_value = si->si_value.sival_int;
}
static void handle(int s, int flags)
{
        struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

        sigaction(s, &sa, NULL);
}

TEST(shm_basic)
{
        int id = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600), st;
        struct shmid_ds ds;
        char *p, *q;

        CHECK(id >= 0);
        p = shmat(id, NULL, 0);
        CHECK(p != (void *)-1);
        CHECK(p[0] == 0 && p[9999] == 0);
        strcpy(p + 5000, "shared");
        q = shmat(id, NULL, SHM_RDONLY);
        CHECK(q != (void *)-1 && !strcmp(q + 5000, "shared"));
        CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 2 && ds.shm_segsz == 10000 && ds.shm_cpid == getpid());
        if (fork() == 0) {
                CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 4);
                strcpy(p + 100, "child");
                _exit(0);
        }
        wait(&st);
        CHECK(st == 0 && !strcmp(q + 100, "child"));
        CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 2);
        CHECK(shmdt(q) == 0);
        CHECK_ERR(shmdt(q), EINVAL);
        CHECK(shmctl(id, IPC_RMID, NULL) == 0);
        CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_perm.mode & SHM_DEST);
        CHECK(!strcmp(p + 5000, "shared"));
        CHECK(shmdt(p) == 0);
        CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
}

TEST(shm_keys)
{
        key_t key = 0x12345;
        int id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);

        if (id < 0 && errno == EEXIST) {
                shmctl(shmget(key, 0, 0), IPC_RMID, NULL);
                id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);
        }
        CHECK(id >= 0);
        CHECK(shmget(key, 4096, 0) == id && shmget(key, 0, 0) == id && shmget(key, 100, IPC_CREAT) == id);
        CHECK_ERR(shmget(key, 5000, 0), EINVAL);
        CHECK_ERR(shmget(key, 4096, IPC_CREAT | IPC_EXCL), EEXIST);
        CHECK_ERR(shmget(0x777123, 4096, 0), ENOENT);
        CHECK_ERR(shmget(IPC_PRIVATE, 0, IPC_CREAT), EINVAL);
        char *p = shmat(id, NULL, 0);
        CHECK_ERR(shmat(id, p, 0), EINVAL);
        CHECK(shmat(id, p, SHM_REMAP) == p);
        CHECK(shmctl(id, IPC_RMID, NULL) == 0);
        CHECK_ERR(shmget(key, 4096, 0), ENOENT);
        CHECK_ERR(shmat(id + 1, NULL, 0), EINVAL);
}

TEST(shm_exit_detaches)
{
        int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
        struct shmid_ds ds;

        if (fork() == 0) {
                CHECK(shmat(id, NULL, 0) != (void *)-1);
                CHECK(shmctl(id, IPC_RMID, NULL) == 0);
                _exit(0);
        }
        wait(NULL);
        for (int i = 0; i < 100 && shmctl(id, IPC_STAT, &ds) == 0; i++)
                nap(10);
        CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
}

TEST(sem_basic)
{
        int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600);
        unsigned short vals[3] = {5, 0, 2}, out[3];
        struct sembuf op[3] = {{0, -2, 0}, {2, 1, 0}, {1, 0, 0}};
        struct semid_ds ds;

        CHECK(id >= 0);
        CHECK(semctl(id, 0, SETALL, (union semun){.array = vals}) == 0);
        CHECK(semop(id, op, 3) == 0);
        CHECK(semctl(id, 0, GETALL, (union semun){.array = out}) == 0 && out[0] == 3 && out[1] == 0 && out[2] == 3);
        CHECK(semctl(id, 0, GETVAL) == 3 && semctl(id, 0, GETPID) == getpid());
        CHECK(semctl(id, 1, SETVAL, (union semun){.val = 7}) == 0 && semctl(id, 1, GETVAL) == 7);
        op[0] = (struct sembuf){0, -4, IPC_NOWAIT};
        CHECK_ERR(semop(id, op, 1), EAGAIN);
        op[0] = (struct sembuf){3, 1, 0};
        CHECK_ERR(semop(id, op, 1), EFBIG);
        op[0] = (struct sembuf){0, 32767, 0};
        CHECK_ERR(semop(id, op, 1), ERANGE);
        CHECK_ERR(semop(id, op, 0), EINVAL);
        CHECK_ERR(semop(id, op, 1000), E2BIG);
        CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = 40000}), ERANGE);
        CHECK_ERR(semctl(id, 9, GETVAL), EINVAL);
        CHECK(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}) == 0 && ds.sem_nsems == 3);
        CHECK(semctl(id, 0, IPC_RMID) == 0);
        CHECK_ERR(semop(id, op, 1), EINVAL);
        CHECK_ERR(semget(IPC_PRIVATE, 0, IPC_CREAT), EINVAL);
        CHECK_ERR(semget(IPC_PRIVATE, 40000, IPC_CREAT), EINVAL);
}

TEST(sem_wakes)
{
        int id = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600), st;
        struct sembuf op[2];

        for (int i = 0; i < 3; i++)
                if (fork() == 0) {
                        op[0] = (struct sembuf){0, -1, 0};
                        op[1] = (struct sembuf){1, 1, 0};
                        _exit(semop(id, op, 2) != 0);
                }
        while (semctl(id, 0, GETNCNT) != 3)
                nap(5);
        op[0] = (struct sembuf){0, 2, 0};
        CHECK(semop(id, op, 1) == 0);
        CHECK(wait(&st) > 0 && st == 0 && wait(&st) > 0 && st == 0);
        CHECK(semctl(id, 1, GETVAL) == 2 && semctl(id, 0, GETVAL) == 0 && semctl(id, 0, GETNCNT) == 1);
        CHECK(semctl(id, 0, SETVAL, (union semun){.val = 1}) == 0);
        CHECK(wait(&st) > 0 && st == 0);
        /* wait for zero */
        CHECK(semctl(id, 0, SETVAL, (union semun){.val = 1}) == 0);
        if (fork() == 0) {
                op[0] = (struct sembuf){0, 0, 0};
                _exit(semop(id, op, 1) != 0);
        }
        while (semctl(id, 0, GETZCNT) != 1)
                nap(5);
        op[0] = (struct sembuf){0, -1, 0};
        CHECK(semop(id, op, 1) == 0);
        CHECK(wait(&st) > 0 && st == 0);
        semctl(id, 0, IPC_RMID);
}

TEST(sem_removed)
{
        int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600), st;

        if (fork() == 0) {
                struct sembuf op = {0, -1, 0};
                _exit(semop(id, &op, 1) == -1 && errno == EIDRM ? 0 : 1);
        }
        while (semctl(id, 0, GETNCNT) != 1)
                nap(5);
        CHECK(semctl(id, 0, IPC_RMID) == 0);
        wait(&st);
        CHECK(st == 0);
}

TEST(sem_timeout_and_signal)
{
        int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
        struct sembuf op = {0, -1, 0};
        struct timespec ts = {0, 50000000};

        CHECK_ERR(semtimedop(id, &op, 1, &ts), EAGAIN);
        handle(SIGALRM, SA_RESTART);
        alarm(1);
        CHECK_ERR(semop(id, &op, 1), EINTR);
        CHECK(semctl(id, 0, GETNCNT) == 0);
        semctl(id, 0, IPC_RMID);
}

TEST(sem_undo)
{
        int id = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600), st;

        CHECK(semctl(id, 0, SETVAL, (union semun){.val = 3}) == 0);
        if (fork() == 0) {
                struct sembuf op[2] = {{0, -2, SEM_UNDO}, {1, 4, SEM_UNDO}};
                CHECK(semop(id, op, 2) == 0);
                CHECK(semctl(id, 0, GETVAL) == 1 && semctl(id, 1, GETVAL) == 4);
                _exit(0);
        }
        wait(&st);
        CHECK(st == 0);
        CHECK(semctl(id, 0, GETVAL) == 3 && semctl(id, 1, GETVAL) == 0);
        /* an undo lets a sleeper go on */
        CHECK(semctl(id, 0, SETVAL, (union semun){.val = 1}) == 0);
        pid_t a = fork();
        if (a == 0) {
                struct sembuf op = {0, -1, SEM_UNDO};
                semop(id, &op, 1);
                pause();
        }
        while (semctl(id, 0, GETVAL) != 0)
                nap(5);
        pid_t b = fork();
        if (b == 0) {
                struct sembuf op = {0, -1, 0};
                _exit(semop(id, &op, 1) != 0);
        }
        while (semctl(id, 0, GETNCNT) != 1)
                nap(5);
        kill(a, SIGKILL);
        CHECK(waitpid(b, &st, 0) == b && st == 0);
        semctl(id, 0, IPC_RMID);
}

TEST(sem_many_ops)
{
        int id = semget(IPC_PRIVATE, 100, IPC_CREAT | 0600), st;
        struct sembuf op[100];

        if (fork() == 0) {
                for (int i = 0; i < 100; i++)
                        op[i] = (struct sembuf){(unsigned short)i, -1, 0};
                _exit(semop(id, op, 100) != 0);
        }
        nap(50);
        for (int i = 0; i < 100; i++) {
                op[0] = (struct sembuf){(unsigned short)i, 1, 0};
                CHECK(semop(id, op, 1) == 0);
        }
        wait(&st);
        CHECK(st == 0);
        for (int i = 0; i < 100; i++)
                CHECK(semctl(id, i, GETVAL) == 0);
        semctl(id, 0, IPC_RMID);
}

struct text {
        long type;
        char body[100];
};

TEST(msg_types)
{
        int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
        struct text m = {0};
        struct msqid_ds ds;

        CHECK(id >= 0);
        for (int i = 1; i <= 5; i++) {
                m.type = 6 - i;
                sprintf(m.body, "msg%d", i);
                CHECK(msgsnd(id, &m, 5, 0) == 0);
        }
        CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 5 && ds.msg_lspid == getpid());
        CHECK(msgrcv(id, &m, 100, 3, 0) == 5 && m.type == 3 && !strcmp(m.body, "msg3"));
        CHECK(msgrcv(id, &m, 100, -2, 0) == 5 && m.type == 1);
        CHECK(msgrcv(id, &m, 100, 5, MSG_EXCEPT) == 5 && m.type == 4);
        CHECK(msgrcv(id, &m, 100, 0, 0) == 5 && m.type == 5);
        CHECK_ERR(msgrcv(id, &m, 2, 0, 0), E2BIG);
        CHECK(msgrcv(id, &m, 2, 0, MSG_NOERROR) == 2 && m.type == 2);
        CHECK_ERR(msgrcv(id, &m, 2, 0, IPC_NOWAIT), ENOMSG);
        m.type = 0;
        CHECK_ERR(msgsnd(id, &m, 1, 0), EINVAL);
        CHECK_ERR(msgsnd(id, &m, 100000, 0), EINVAL);
        CHECK(msgctl(id, IPC_RMID, NULL) == 0);
        CHECK_ERR(msgsnd(id, &m, 1, 0), EINVAL);
}

TEST(msg_blocks)
{
        static struct {
                long type;
                char body[8192];
        } big = {.type = 1};
        int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600), pid, st;
        char path[32], state;
        FILE *f;

        CHECK(msgsnd(id, &big, 8192, 0) == 0 && msgsnd(id, &big, 8192, 0) == 0);
        CHECK_ERR(msgsnd(id, &big, 1, IPC_NOWAIT), EAGAIN);
        if (fork() == 0) {
                nap(50);
                _exit(msgrcv(id, &big, 8192, 0, 0) != 8192);
        }
        CHECK(msgsnd(id, &big, 8000, 0) == 0);
        wait(&st);
        CHECK(st == 0);
        CHECK(msgrcv(id, &big, 8192, 0, 0) == 8192 && msgrcv(id, &big, 8192, 0, 0) == 8000);
        pid = fork();
        if (pid == 0)
                _exit(msgrcv(id, &big, 8192, 9, 0) == -1 && errno == EIDRM ? 0 : 1);
        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        do { /* removed before it sleeps, the queue would not be found: EINVAL */
                nap(10);
                f = fopen(path, "r");
                CHECK(f && fscanf(f, "%*d %*s %c", &state) == 1 && fclose(f) == 0);
        } while (state != 'S');
        CHECK(msgctl(id, IPC_RMID, NULL) == 0);
        wait(&st);
        CHECK(st == 0);
}

TEST(permissions)
{
        int id, st;

        if (getuid())
                test_skip("needs root");
        id = semget(IPC_PRIVATE, 1, 0600);
        if (fork() == 0) {
                CHECK(setgid(1000) == 0 && setuid(1000) == 0);
                CHECK_ERR(semctl(id, 0, GETVAL), EACCES);
                CHECK_ERR(semctl(id, 0, IPC_RMID), EPERM);
                _exit(0);
        }
        wait(&st);
        CHECK(st == 0);
        semctl(id, 0, IPC_RMID);
}

TEST(mq_basic)
{
        struct mq_attr a = {.mq_maxmsg = 3, .mq_msgsize = 50}, b;
        char buf[50];
        unsigned prio;
        mqd_t q;

        mq_unlink("/t.mq");
        q = mq_open("/t.mq", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &a);
        CHECK(q >= 0);
        CHECK_ERR(mq_open("/t.mq", O_RDWR | O_CREAT | O_EXCL, 0600, &a), EEXIST);
        CHECK_ERR(mq_open("/t.none", O_RDWR), ENOENT);
        CHECK_ERR(mq_receive(q, buf, 50, &prio), EAGAIN);
        CHECK_ERR(mq_receive(q, buf, 49, &prio), EMSGSIZE);
        CHECK(mq_send(q, "low", 3, 1) == 0 && mq_send(q, "high", 4, 9) == 0 && mq_send(q, "low2", 4, 1) == 0);
        CHECK_ERR(mq_send(q, "x", 1, 1), EAGAIN);
        CHECK_ERR(mq_send(q, buf, 51, 1), EMSGSIZE);
        CHECK_ERR(mq_send(q, buf, 1, 40000), EINVAL);
        CHECK(mq_getattr(q, &b) == 0 && b.mq_maxmsg == 3 && b.mq_msgsize == 50 && b.mq_curmsgs == 3 &&
              b.mq_flags == O_NONBLOCK);
        CHECK(mq_receive(q, buf, 50, &prio) == 4 && prio == 9 && !memcmp(buf, "high", 4));
        CHECK(mq_receive(q, buf, 50, &prio) == 3 && prio == 1 && !memcmp(buf, "low", 3));
        CHECK(mq_receive(q, buf, 50, &prio) == 4 && !memcmp(buf, "low2", 4));
        struct pollfd f = {q, POLLIN | POLLOUT, 0};
        CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLOUT);
        CHECK(mq_unlink("/t.mq") == 0);
        CHECK_ERR(mq_unlink("/t.mq"), ENOENT);
        CHECK(mq_send(q, "z", 1, 0) == 0 && mq_receive(q, buf, 50, NULL) == 1);
        CHECK(mq_close(q) == 0);
}

TEST(mq_blocks)
{
        struct mq_attr a = {.mq_maxmsg = 1, .mq_msgsize = 8};
        struct timespec ts;
        char buf[8];
        mqd_t q;
        int st;

        mq_unlink("/t.mq2");
        q = mq_open("/t.mq2", O_RDWR | O_CREAT, 0600, &a);
        CHECK(q >= 0);
        if (fork() == 0) {
                nap(50);
                _exit(mq_send(q, "go", 2, 0) != 0);
        }
        CHECK(mq_receive(q, buf, 8, NULL) == 2);
        wait(&st);
        CHECK(st == 0);
        clock_gettime(CLOCK_REALTIME, &ts);
        ts.tv_nsec += 50000000;
        if (ts.tv_nsec >= 1000000000)
                ts.tv_sec++, ts.tv_nsec -= 1000000000;
        CHECK_ERR(mq_timedreceive(q, buf, 8, NULL, &ts), ETIMEDOUT);
        CHECK(mq_send(q, "a", 1, 0) == 0);
        CHECK_ERR(mq_timedsend(q, "b", 1, 0, &ts), ETIMEDOUT);
        mq_unlink("/t.mq2");
}

TEST(mq_notify_signal)
{
        struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
        struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
        struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 8};
        char buf[8];
        mqd_t q;

        mq_unlink("/t.mq3");
        q = mq_open("/t.mq3", O_RDWR | O_CREAT, 0600, &a);
        CHECK(q >= 0);
        sigaction(SIGUSR1, &sa, NULL);
        CHECK(mq_notify(q, &ev) == 0);
        CHECK_ERR(mq_notify(q, &ev), EBUSY);
        CHECK(mq_send(q, "x", 1, 0) == 0);
        CHECK(got == SIGUSR1 && got_code == SI_MESGQ && got_value == 77);
        got = 0;
        CHECK(mq_send(q, "x", 1, 0) == 0 && got == 0);
        CHECK(mq_notify(q, &ev) == 0 && mq_notify(q, NULL) == 0);
        CHECK(mq_receive(q, buf, 8, NULL) == 1 && mq_receive(q, buf, 8, NULL) == 1);
        CHECK(mq_send(q, "x", 1, 0) == 0 && got == 0);
        mq_unlink("/t.mq3");
}

TEST_MAIN
