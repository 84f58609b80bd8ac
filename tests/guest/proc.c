/* proc.c - processes: fork, vfork, clone, exit, wait, groups, sessions, orphans, priorities, limits, prctl. */
#include "lib/test.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static void msleep(int ms)
{
        struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

        nanosleep(&t, 0);
}

TEST(fork_exit_wait)
{
        int s;
        pid_t pid = fork();

        if (pid == 0)
                _exit(42);
        CHECK(pid > 0);
        CHECK(waitpid(pid, &s, 0) == pid && WIFEXITED(s) && WEXITSTATUS(s) == 42);
        CHECK_ERR(waitpid(pid, &s, 0), ECHILD);
        CHECK_ERR(waitpid(-1, &s, 0), ECHILD);
        CHECK_ERR(waitpid(-1, &s, 0x1000), EINVAL);
        CHECK_ERR(waitpid(INT_MIN, &s, 0), ESRCH);
}

TEST(fork_memory_is_private)
{
        static int x = 1;
        int s, *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (fork() == 0) {
                x = 2;
                *shared = x;
                _exit(0);
        }
        wait(&s);
        CHECK(x == 1 && *shared == 2);
}

TEST(wait_nohang_and_signal)
{
        int s;
        pid_t pid = fork();

        if (pid == 0)
                for (;;)
                        pause();
        CHECK(waitpid(pid, &s, WNOHANG) == 0);
        CHECK(kill(pid, SIGTERM) == 0);
        CHECK(waitpid(pid, &s, 0) == pid && WIFSIGNALED(s) && WTERMSIG(s) == SIGTERM);
}

TEST(wait_stopped_continued)
{
        siginfo_t i;
        int s;
        pid_t pid = fork();

        if (pid == 0)
                for (;;)
                        pause();
        CHECK(kill(pid, SIGSTOP) == 0);
        CHECK(waitpid(pid, &s, WUNTRACED) == pid && WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP);
        CHECK(waitpid(pid, &s, WUNTRACED | WNOHANG) == 0);
        CHECK(kill(pid, SIGCONT) == 0);
        CHECK(waitpid(pid, &s, WCONTINUED) == pid && WIFCONTINUED(s));
        CHECK(waitpid(pid, &s, WCONTINUED | WNOHANG) == 0);
        kill(pid, SIGSTOP);
        memset(&i, 0, sizeof(i));
        CHECK(waitid(P_PID, pid, &i, WSTOPPED) == 0 && i.si_pid == pid && i.si_code == CLD_STOPPED &&
              i.si_status == SIGSTOP);
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, &s, 0) == pid && WTERMSIG(s) == SIGKILL);
}

TEST(waitid_nowait)
{
        siginfo_t i;
        pid_t pid = fork();

        if (pid == 0)
                _exit(7);
        memset(&i, 0, sizeof(i));
        CHECK(waitid(P_ALL, 0, &i, WEXITED | WNOWAIT) == 0);
        CHECK(i.si_pid == pid && i.si_code == CLD_EXITED && i.si_status == 7 && i.si_signo == SIGCHLD);
        CHECK(waitid(P_PID, pid, &i, WEXITED) == 0 && i.si_status == 7);
        CHECK_ERR(waitid(P_PID, pid, &i, WEXITED), ECHILD);
        CHECK_ERR(waitid(P_PID, pid, &i, 0), EINVAL);
        CHECK_ERR(waitid((idtype_t)77, pid, &i, WEXITED), EINVAL);
}

TEST(wait_blocks_until_exit)
{
        int s;
        pid_t a = fork(), b;

        if (a == 0) {
                msleep(60);
                _exit(1);
        }
        b = fork();
        if (b == 0) {
                msleep(20);
                _exit(2);
        }
        CHECK(wait(&s) == b && WEXITSTATUS(s) == 2);
        CHECK(wait(&s) == a && WEXITSTATUS(s) == 1);
}

TEST(wait_bad_status_pointer)
{
        pid_t pid = fork();

        if (pid == 0)
                _exit(3);
        CHECK_ERR(syscall(SYS_wait4, pid, (void *)8, 0, 0),
                  EFAULT); /* whether the child is still there then is not said */
}

TEST(wait_rusage)
{
        struct rusage r;
        int s;
        pid_t pid = fork();

        if (pid == 0) {
                for (volatile int i = 0; i < 30000000; i++)
                        ;
                _exit(0);
        }
        CHECK(wait4(pid, &s, 0, &r) == pid);
        CHECK(r.ru_utime.tv_sec * 1000000 + r.ru_utime.tv_usec > 1000);
        CHECK(getrusage(RUSAGE_CHILDREN, &r) == 0 && r.ru_utime.tv_sec * 1000000 + r.ru_utime.tv_usec > 1000);
}

TEST(sigchld_ignored_reaps)
{
        int s;

        signal(SIGCHLD, SIG_IGN);
        for (int i = 0; i < 3; i++)
                if (fork() == 0)
                        _exit(i);
        CHECK_ERR(wait(&s), ECHILD);
}

TEST(nocldwait_reaps)
{
        struct sigaction a = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
        int s;

        sigaction(SIGCHLD, &a, 0);
        if (fork() == 0)
                _exit(0);
        CHECK_ERR(wait(&s), ECHILD);
}

static volatile sig_atomic_t got;
static siginfo_t got_info;
static void on_signal(int n)
{
        got = n;
}
static void on_info(int n, siginfo_t *i, void *u)
{
        (void)u;
        got = n;
        got_info = *i;
}

TEST(sigchld_info)
{
        struct sigaction a = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
        sigset_t set, old;
        pid_t pid;

        sigaction(SIGCHLD, &a, 0);
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigprocmask(SIG_BLOCK, &set, &old);
        pid = fork();
        if (pid == 0)
                _exit(9);
        while (!got)
                sigsuspend(&old);
        CHECK(got == SIGCHLD && got_info.si_pid == pid && got_info.si_code == CLD_EXITED && got_info.si_status == 9 &&
              got_info.si_uid == getuid());
        CHECK(waitpid(pid, 0, 0) == pid);
}

TEST(vfork_shares_and_suspends)
{
        volatile int x = 0;
        int s;
        pid_t pid = vfork();

        if (pid == 0) {
                x = 5;
                usleep(30000);
                x = 6;
                _exit(1);
        }
        CHECK(x == 6);
        CHECK(waitpid(pid, &s, 0) == pid && WEXITSTATUS(s) == 1);
}

TEST(vfork_exec)
{
        char *argv[] = {"true", 0};
        int s;
        pid_t pid = vfork();

        if (pid == 0) {
                execv("/bin/true", argv);
                _exit(99);
        }
        CHECK(waitpid(pid, &s, 0) == pid && WIFEXITED(s) && WEXITSTATUS(s) == 0);
}

TEST(many_children)
{
        int n = 0, s;

        for (int i = 0; i < 100; i++)
                if (fork() == 0)
                        _exit(i & 63);
        while (wait(&s) > 0)
                n++;
        CHECK(n == 100);
}

TEST(pids_are_different)
{
        pid_t seen[200];

        for (int i = 0; i < 200; i++) {
                seen[i] = fork();
                if (seen[i] == 0)
                        _exit(0);
                waitpid(seen[i], 0, 0);
                for (int j = 0; j < i; j++)
                        CHECK(seen[i] != seen[j]);
        }
}

TEST(orphan_goes_to_init)
{
        int p[2];
        pid_t parent = 0;

        CHECK(pipe(p) == 0);
        if (fork() == 0) {
                if (fork() == 0) {
                        pid_t me = getppid();

                        for (int i = 0; i < 200 && getppid() == me; i++)
                                msleep(5);
                        parent = getppid();
                        if (write(p[1], &parent, sizeof(parent)) < 0)
                                _exit(1);
                        _exit(0);
                }
                _exit(0);
        }
        wait(0);
        CHECK(read(p[0], &parent, sizeof(parent)) == sizeof(parent));
        CHECK(parent == 1 || parent != getpid());
}

TEST(subreaper)
{
        int s, v = 0;
        pid_t grandchild = 0;
        int p[2];

        CHECK(pipe(p) == 0);
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        CHECK(prctl(PR_GET_CHILD_SUBREAPER, &v) == 0 && v == 1);
        pid_t child = fork();
        if (child == 0) {
                pid_t g = fork();

                if (g == 0) {
                        msleep(30);
                        _exit(17);
                }
                if (write(p[1], &g, sizeof(g)) < 0)
                        _exit(1);
                _exit(0);
        }
        CHECK(read(p[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
        CHECK(waitpid(child, &s, 0) == child);
        CHECK(waitpid(grandchild, &s, 0) == grandchild && WEXITSTATUS(s) == 17);
}

TEST(parent_death_signal)
{
        int p[2];
        char c;

        CHECK(pipe(p) == 0);
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        if (fork() == 0) {
                int ready[2];

                if (pipe(ready))
                        _exit(1);
                if (fork() == 0) {
                        signal(SIGUSR1, on_signal);
                        prctl(PR_SET_PDEATHSIG, SIGUSR1);
                        close(ready[0]);
                        close(ready[1]);
                        for (int i = 0; i < 300 && !got; i++)
                                msleep(5);
                        c = got == SIGUSR1 ? 'y' : 'n';
                        if (write(p[1], &c, 1) < 0)
                                _exit(1);
                        _exit(0);
                }
                close(ready[1]);
                if (read(ready[0], &c, 1) < 0)
                        _exit(1);
                msleep(10);
                _exit(0);
        }
        CHECK(read(p[0], &c, 1) == 1 && c == 'y');
}

TEST(groups_and_sessions)
{
        pid_t pid, me = getpid();
        int p[2], s;
        char c;

        CHECK(getpgid(0) == me && getpgrp() == me);
        CHECK_ERR(setpgid(0, -1), EINVAL);
        CHECK_ERR(setpgid(1, 0), ESRCH);
        CHECK_ERR(getpgid(999999), ESRCH);
        CHECK_ERR(getsid(999999), ESRCH);
        CHECK(pipe(p) == 0);
        pid = fork();
        if (pid == 0) {
                if (read(p[0], &c, 1) != 1)
                        _exit(9);
                if (getpgrp() != getpid())
                        _exit(1);
                if (setsid() != -1 || errno != EPERM) /* leads a group */
                        _exit(2);
                pid_t k = fork();
                if (k == 0) {
                        if (setsid() != getpid() || getpgrp() != getpid() || getsid(0) != getpid())
                                _exit(3);
                        if (setpgid(0, 0) != -1 || errno != EPERM)
                                _exit(4);
                        if (open("/dev/tty", O_RDWR) >= 0)
                                _exit(5);
                        _exit(0);
                }
                waitpid(k, &s, 0);
                _exit(WEXITSTATUS(s));
        }
        CHECK(setpgid(pid, pid) == 0);
        CHECK(getpgid(pid) == pid);
        CHECK(getsid(pid) == getsid(0));
        CHECK(write(p[1], "x", 1) == 1);
        CHECK(waitpid(pid, &s, 0) == pid && WIFEXITED(s));
        CHECK(WEXITSTATUS(s) == 0);
}

TEST(wait_by_group)
{
        int s;
        pid_t a = fork();

        if (a == 0) {
                setpgid(0, 0);
                msleep(20);
                _exit(1);
        }
        setpgid(a, a);
        if (fork() == 0)
                _exit(2);
        CHECK(waitpid(-a, &s, 0) == a && WEXITSTATUS(s) == 1);
        CHECK(waitpid(0, &s, 0) > 0 && WEXITSTATUS(s) == 2);
}

TEST(orphaned_group_gets_hup)
{
        int p[2];
        char c = 0;

        CHECK(pipe(p) == 0);
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        if (fork() == 0) {
                pid_t k = fork();

                if (k == 0) {
                        setpgid(0, 0);
                        signal(SIGHUP, on_signal);
                        raise(SIGSTOP);
                        c = got == SIGHUP ? 'y' : 'n';
                        if (write(p[1], &c, 1) < 0)
                                _exit(1);
                        _exit(0);
                }
                setpgid(k, k);
                waitpid(k, 0, WUNTRACED);
                prctl(PR_SET_CHILD_SUBREAPER, 0);
                _exit(0); /* the group's only tie to the session; it becomes orphaned only if the new parent is in another session or init */
        }
        close(p[1]);
        /* The subreaper is in the same session and another group: not orphaned, nothing comes. */
        struct pollfd pf = {p[0], POLLIN, 0};
        CHECK(poll(&pf, 1, 100) == 0);
        wait(0);
        kill(-1 * 0, 0);
}

TEST(stop_signal_in_orphaned_group_ignored)
{
        int s;
        pid_t pid = fork();

        if (pid == 0) {
                setsid();
                raise(SIGTSTP); /* the group is orphaned: nothing happens */
                _exit(5);
        }
        CHECK(waitpid(pid, &s, WUNTRACED) == pid && WIFEXITED(s) && WEXITSTATUS(s) == 5);
}

TEST(clone_errors)
{
        CHECK_ERR(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0), EINVAL);
        CHECK_ERR(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
        CHECK_ERR(syscall(SYS_clone, CLONE_VM | CLONE_THREAD, 0, 0, 0, 0), EINVAL);
        CHECK_ERR(syscall(SYS_clone3, (void *)8, 64), EFAULT);
        CHECK_ERR(syscall(SYS_clone3, (void *)8, 8), EINVAL);
        CHECK_ERR(syscall(SYS_clone3, (void *)8, 5000), E2BIG);
}

struct clone_args_ {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
                cgroup;
};

static int open_many(int *fd, int n)
{
        int k = 0;

        while (k < n && (fd[k] = open("/dev/null", O_RDONLY)) >= 0)
                k++;
        return k;
}
static volatile int cloning = 1;
static void *fills_descriptors(void *arg)
{
        int fd[64];

        while (cloning) {
                int n = open_many(fd, 64);
                char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                if (p == MAP_FAILED || munmap(p, 4096))
                        return arg;
                while (n)
                        close(fd[--n]);
        }
        return NULL;
}
/* Descriptors run out while the memory is being copied: the clone fails, and the other thread's memory goes on. */
TEST(clone_fails_half_way)
{
        struct rlimit few = {24, 24};
        char *p = mmap(NULL, 400 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pthread_t t;
        void *bad;

        for (int k = 0; k < 400; k += 2)
                CHECK(mprotect(p + k * 4096, 4096, PROT_READ) == 0);
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
        CHECK(pthread_create(&t, NULL, fills_descriptors, p) == 0);
        for (int i = 0; i < 300; i++) {
                int pidfd = -1;
                long pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);

                if (pid == 0)
                        _exit(0);
                CHECK(pid > 0 || errno == EMFILE);
                if (pid > 0) {
                        close(pidfd);
                        CHECK(waitpid((pid_t)pid, NULL, 0) == pid);
                }
        }
        cloning = 0;
        CHECK(pthread_join(t, &bad) == 0 && !bad);
}
TEST(clone3_pidfd_tids)
{
        int pidfd = -1, s;
        pid_t ptid = 0, ctid = 0, pid;
        struct clone_args_ a = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
                                .exit_signal = SIGCHLD};
        siginfo_t i;

        a.pidfd = (uint64_t)&pidfd;
        a.parent_tid = (uint64_t)&ptid;
        a.child_tid = (uint64_t)&ctid;
        pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
        if (pid == 0) {
                msleep(30);
                _exit(ctid == syscall(SYS_gettid) ? 0 : 1);
        }
        CHECK(pid > 0);
        CHECK(ptid == pid && ctid == 0 && pidfd >= 0);
        struct pollfd p = {pidfd, POLLIN, 0};
        CHECK(poll(&p, 1, 0) == 0);
        CHECK(syscall(SYS_pidfd_send_signal, pidfd, 0, 0, 0) == 0);
        CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLIN);
        memset(&i, 0, sizeof(i));
        CHECK(waitid((idtype_t)P_PIDFD, pidfd, &i, WEXITED) == 0 && i.si_pid == pid && i.si_status == 0);
        CHECK_ERR(syscall(SYS_pidfd_send_signal, pidfd, 0, 0, 0), ESRCH);
        (void)s;
        a.flags |= 1ull << 60;
        CHECK_ERR(syscall(SYS_clone3, &a, sizeof(a)), EINVAL);
}

TEST(pidfd_open)
{
        int s;
        pid_t pid = fork();

        if (pid == 0)
                for (;;)
                        pause();
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        CHECK(fd >= 0);
        CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
        CHECK(syscall(SYS_pidfd_send_signal, fd, SIGKILL, 0, 0) == 0);
        CHECK(waitpid(pid, &s, 0) == pid && WTERMSIG(s) == SIGKILL);
        CHECK_ERR(syscall(SYS_pidfd_open, pid, 0), ESRCH);
        CHECK_ERR(syscall(SYS_pidfd_open, -1, 0), EINVAL);
        CHECK_ERR(syscall(SYS_pidfd_open, getpid(), 1), EINVAL);
        CHECK_ERR(syscall(SYS_pidfd_send_signal, 0, 0, 0, 0), EBADF);
}

static void *thread_id(void *arg)
{
        *(pid_t *)arg = (pid_t)syscall(SYS_gettid);
        return arg;
}

TEST(threads_have_ids)
{
        pthread_t t;
        pid_t tid = 0;
        void *r;

        CHECK(pthread_create(&t, 0, thread_id, &tid) == 0);
        CHECK(pthread_join(t, &r) == 0 && r == &tid);
        CHECK(tid > 0 && tid != getpid());
}

static void *count_up(void *arg)
{
        for (int i = 0; i < 10000; i++)
                __atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
        return 0;
}

TEST(many_threads)
{
        pthread_t t[32];
        int n = 0;

        for (int i = 0; i < 32; i++)
                CHECK(pthread_create(&t[i], 0, count_up, &n) == 0);
        for (int i = 0; i < 32; i++)
                CHECK(pthread_join(t[i], 0) == 0);
        CHECK(n == 320000);
}

static void *sleep_long(void *arg)
{
        (void)arg;
        for (;;)
                pause();
        return 0;
}

TEST(exit_group_ends_all)
{
        int s;
        pid_t pid = fork();

        if (pid == 0) {
                pthread_t t;

                for (int i = 0; i < 8; i++)
                        pthread_create(&t, 0, sleep_long, 0);
                msleep(5);
                _exit(12);
        }
        CHECK(waitpid(pid, &s, 0) == pid && WEXITSTATUS(s) == 12);
}

static void *exit_later(void *arg)
{
        msleep(30);
        syscall(SYS_exit, (int)(long)arg);
        return 0;
}

TEST(leader_exits_first)
{
        int s;
        pid_t pid = fork();

        if (pid == 0) {
                pthread_t t;

                pthread_create(&t, 0, exit_later, (void *)3);
                syscall(SYS_exit, 4);
        }
        CHECK(waitpid(pid, &s, WNOHANG) == 0);
        msleep(10);
        CHECK(kill(pid, 0) == 0);
        CHECK(waitpid(pid, &s, 0) == pid && WIFEXITED(s));
}

static void *kill_self(void *arg)
{
        (void)arg;
        msleep(5);
        raise(SIGKILL);
        return 0;
}

TEST(kill_ends_all_threads)
{
        int s;
        pid_t pid = fork();

        if (pid == 0) {
                pthread_t t;

                for (int i = 0; i < 4; i++)
                        pthread_create(&t, 0, sleep_long, 0);
                pthread_create(&t, 0, kill_self, 0);
                for (;;)
                        ;
        }
        CHECK(waitpid(pid, &s, 0) == pid && WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL);
}

static void *exec_true(void *arg)
{
        char *argv[] = {"sh", "-c", "test $$ = $0 && exit 21", arg, 0};

        execv("/bin/sh", argv);
        _exit(98);
}

TEST(exec_from_thread)
{
        int s;
        pid_t pid = fork();

        if (pid == 0) {
                char me[16];
                pthread_t t;

                snprintf(me, sizeof(me), "%d", getpid());
                for (int i = 0; i < 4; i++)
                        pthread_create(&t, 0, sleep_long, 0);
                pthread_create(&t, 0, exec_true, me);
                for (;;)
                        pause();
        }
        CHECK(waitpid(pid, &s, 0) == pid && WIFEXITED(s));
        CHECK(WEXITSTATUS(s) == 21);
}

TEST(priorities)
{
        errno = 0;
        CHECK(getpriority(PRIO_PROCESS, 0) == 0 && errno == 0);
        CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
        CHECK(getpriority(PRIO_PROCESS, 0) == 5);
        CHECK(setpriority(PRIO_PGRP, 0, 7) == 0);
        CHECK(getpriority(PRIO_PGRP, 0) == 7);
        CHECK(setpriority(PRIO_PROCESS, 0, 100) == 0);
        CHECK(getpriority(PRIO_PROCESS, 0) == 19);
        CHECK_ERR(getpriority(9, 0), EINVAL);
        CHECK_ERR(getpriority(PRIO_PROCESS, 999999), ESRCH);
}

TEST(scheduling_policies)
{
        struct sched_param p = {.sched_priority = 0};
        struct timespec t;

        CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1);
        CHECK_ERR(sched_get_priority_max(77), EINVAL);
        CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER);
        CHECK(syscall(SYS_sched_getparam, 0, &p) == 0 && p.sched_priority == 0);
        p.sched_priority = 1;
        CHECK_ERR(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &p), EINVAL);
        CHECK_ERR(syscall(SYS_sched_setscheduler, 999999, SCHED_FIFO, &p), ESRCH);
        CHECK(syscall(SYS_sched_rr_get_interval, 0, &t) == 0);
        if (geteuid() == 0 && syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &p) == 0) {
                CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_FIFO);
                p.sched_priority = 0;
                CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &p) == 0);
        }
        CHECK(sched_yield() == 0);
}

/* On one CPU, who has forked goes on; its child comes when it waits, or its time is over. */
TEST(child_comes_later)
{
        volatile int *runs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        uint64_t mask[16] = {0}, one;
        struct timespec start, now;
        int status, first = 0;

        CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask) >= 8);
        one = mask[0] & -mask[0];
        CHECK(syscall(SYS_sched_setaffinity, 0, 8, &one) == 0);
        for (int i = 0; i < 60; i++) {
                pid_t pid;

                *runs = 0;
                clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
                do
                        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
                while ((now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec < 3000000);
                pid = fork();
                if (!pid) {
                        *runs = 1;
                        _exit(0);
                }
                first += *runs;
                CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        }
        if (first == 60) /* some may: who forked may have to wait for a page */
                test_fail("all children ran at once");
}

TEST(affinity)
{
        uint64_t mask[16] = {0}, one = 1;

        CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask) >= 8);
        CHECK(mask[0]);
        CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 3, mask), EINVAL);
        one = mask[0] & -mask[0];
        CHECK(syscall(SYS_sched_setaffinity, 0, 8, &one) == 0);
        CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask) >= 8 && mask[0] == one);
        one = 0;
        CHECK_ERR(syscall(SYS_sched_setaffinity, 0, 8, &one), EINVAL);
        unsigned cpu = 99;
        CHECK(syscall(SYS_getcpu, &cpu, 0, 0) == 0 && (mask[0] >> cpu & 1));
}

TEST(limits)
{
        struct rlimit r, old;

        CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0 && old.rlim_cur <= old.rlim_max);
        r = old;
        r.rlim_cur = 20;
        CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
        CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur == 20);
        r.rlim_cur = r.rlim_max + 1;
        if (r.rlim_cur)
                CHECK_ERR(setrlimit(RLIMIT_NOFILE, &r), EINVAL);
        CHECK_ERR(getrlimit(99, &r), EINVAL);
        CHECK_ERR(syscall(SYS_prlimit64, 999999, RLIMIT_NOFILE, 0, &r), ESRCH);
        int s;
        if (fork() == 0)
                _exit(getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur != 20);
        wait(&s);
        CHECK(WEXITSTATUS(s) == 0);
}

TEST(cpu_limit_kills)
{
        struct rlimit r = {1, 2};
        int s;

        if (fork() == 0) {
                setrlimit(RLIMIT_CPU, &r);
                for (;;)
                        ;
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGXCPU);
}

TEST(usage_and_times)
{
        struct rusage r;
        struct tms t;

        for (volatile int i = 0; i < 20000000; i++)
                ;
        CHECK(getrusage(RUSAGE_SELF, &r) == 0 && (r.ru_utime.tv_sec || r.ru_utime.tv_usec));
        CHECK(getrusage(RUSAGE_THREAD, &r) == 0);
        CHECK_ERR(getrusage(5, &r), EINVAL);
        CHECK(times(&t) != (clock_t)-1);
        CHECK_ERR(syscall(SYS_getrusage, RUSAGE_SELF, (void *)8), EFAULT);
}

TEST(prctl_words)
{
        char name[16] = {0};
        int v = 0;

        CHECK(prctl(PR_SET_NAME, "a-name-that-is-too-long") == 0);
        CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "a-name-that-is-"));
        CHECK(prctl(PR_GET_DUMPABLE) == 1);
        CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
        CHECK_ERR(prctl(PR_SET_DUMPABLE, 7), EINVAL);
        CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && prctl(PR_GET_PDEATHSIG, &v) == 0 && v == SIGUSR1);
        CHECK_ERR(prctl(PR_SET_PDEATHSIG, 99), EINVAL);
        CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
        CHECK_ERR(prctl(123456), EINVAL);
}

TEST(names_of_the_machine)
{
        struct utsname u;
        struct sysinfo s;

        CHECK(uname(&u) == 0 && !strcmp(u.sysname, "Linux") && !strcmp(u.machine, "x86_64"));
        CHECK(atoi(u.release) >= 3);
        CHECK(sysinfo(&s) == 0 && s.totalram > 1000 && s.procs >= 1);
        CHECK_ERR(syscall(SYS_uname, (void *)8), EFAULT);
}

TEST(ids_of_self)
{
        CHECK(getpid() == syscall(SYS_gettid));
        CHECK(getppid() > 0);
        CHECK(syscall(SYS_set_tid_address, 0) == getpid());
}

TEST(kill_rules)
{
        CHECK(kill(getpid(), 0) == 0);
        CHECK_ERR(kill(getpid(), 99), EINVAL);
        CHECK_ERR(kill(999999, 0), ESRCH);
        CHECK_ERR(kill(-999999, 0), ESRCH);
        CHECK_ERR(syscall(SYS_tgkill, getpid(), 999999, 0), ESRCH);
        CHECK_ERR(syscall(SYS_tgkill, -1, 1, 0), EINVAL);
        CHECK_ERR(syscall(SYS_tkill, 0, 0), EINVAL);
        CHECK(syscall(SYS_tgkill, getpid(), getpid(), 0) == 0);
}

TEST(kill_group)
{
        pid_t pid[3];
        int s;

        for (int i = 0; i < 3; i++) {
                pid[i] = fork();
                if (pid[i] == 0)
                        for (;;)
                                pause();
                setpgid(pid[i], pid[0]);
        }
        CHECK(kill(-pid[0], SIGTERM) == 0);
        for (int i = 0; i < 3; i++)
                CHECK(waitpid(pid[i], &s, 0) == pid[i] && WTERMSIG(s) == SIGTERM);
}

TEST(large_group)
{
        enum { N = 150 };
        static pid_t pid[N];
        int s;

        for (int i = 0; i < N; i++) {
                pid[i] = fork();
                if (pid[i] == 0)
                        for (;;)
                                pause();
                CHECK(pid[i] > 0 && setpgid(pid[i], pid[0]) == 0);
        }
        CHECK(setpriority(PRIO_PGRP, pid[0], 3) == 0 && getpriority(PRIO_PROCESS, pid[N - 1]) == 3 &&
              getpriority(PRIO_PGRP, pid[0]) == 3);
        for (int round = 0; round < 2; round++) {
                CHECK(kill(-pid[0], SIGSTOP) == 0);
                for (int i = 0; i < N; i++)
                        CHECK(waitpid(pid[i], &s, WUNTRACED) == pid[i] && WIFSTOPPED(s));
                CHECK(kill(-pid[0], SIGCONT) == 0);
                for (int i = 0; i < N; i++)
                        CHECK(waitpid(pid[i], &s, WCONTINUED) == pid[i] && WIFCONTINUED(s));
        }
        CHECK(kill(-pid[0], SIGTERM) == 0);
        for (int i = 0; i < N; i++)
                CHECK(waitpid(pid[i], &s, 0) == pid[i] && WTERMSIG(s) == SIGTERM);
        CHECK_ERR(kill(-pid[0], 0), ESRCH);
}

static volatile int running;
static void *count_for_ever(void *arg)
{
        (void)arg;
        __atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
        for (;;)
                usleep(2000);
        return 0;
}

static void start_threads(int n)
{
        pthread_attr_t a;
        pthread_t t;

        pthread_attr_init(&a);
        pthread_attr_setstacksize(&a, 16384);
        for (int i = 0; i < n; i++)
                if (pthread_create(&t, &a, count_for_ever, 0))
                        _exit(90);
        while (running < n)
                usleep(1000);
}

TEST(many_threads_stop_and_continue)
{
        int s = 0;
        pid_t pid = fork();

        if (pid == 0) {
                start_threads(120);
                raise(SIGSTOP);
                raise(SIGSTOP);
                for (;;)
                        pause();
        }
        for (int i = 0; i < 2; i++) {
                if (!i || !WIFSTOPPED(s)) /* not seen yet */
                        CHECK(waitpid(pid, &s, WUNTRACED) == pid && WIFSTOPPED(s));
                CHECK(kill(pid, SIGCONT) == 0);
                /* That it goes on, or that it has stopped again already, which hides it. */
                CHECK(waitpid(pid, &s, WCONTINUED | (i ? 0 : WUNTRACED)) == pid);
        }
        kill(pid, SIGSTOP);
        CHECK(waitpid(pid, &s, WUNTRACED) == pid && WIFSTOPPED(s));
        CHECK(kill(pid, SIGKILL) == 0);
        CHECK(waitpid(pid, &s, 0) == pid && WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL);
}

TEST(many_threads_exec)
{
        char *argv[] = {"sh", "-c", "exit 23", 0};
        int s;
        pid_t pid = fork();

        if (pid == 0) {
                start_threads(120);
                execv("/bin/sh", argv);
                _exit(91);
        }
        CHECK(waitpid(pid, &s, 0) == pid && WIFEXITED(s) && WEXITSTATUS(s) == 23);
}

TEST(many_children_left_to_init)
{
        int s;
        pid_t pid = fork();

        if (pid == 0) {
                for (int i = 0; i < 100; i++)
                        if (fork() == 0) {
                                if (i & 1)
                                        usleep(100000);
                                _exit(0);
                        }
                _exit(6);
        }
        CHECK(waitpid(pid, &s, 0) == pid && WEXITSTATUS(s) == 6);
}

TEST(fault_kills)
{
        int s;

        if (fork() == 0) {
                *(volatile int *)(uintptr_t)strtoul("16", 0, 10) = 1;
                _exit(0);
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV);
        if (fork() == 0) {
                __asm__ volatile("ud2");
                _exit(0);
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGILL);
        if (fork() == 0) {
                __asm__ volatile("hlt");
                _exit(0);
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV);
        if (fork() == 0) {
                volatile int a = 1, b = 0;

                a = a / b;
                _exit(0);
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGFPE);
}

TEST(fork_tree)
{
        int s;

        for (int d = 0; d < 5; d++) {
                if (fork() == 0)
                        continue;
                if (fork() == 0)
                        continue;
                while (wait(&s) > 0)
                        CHECK(WIFEXITED(s) && WEXITSTATUS(s) == 0);
                if (d)
                        _exit(0);
                return;
        }
        _exit(0);
}

static void *pauses(void *unused)
{
        pause();
        return unused;
}
/* The process is gone when its last thread is, however they overtake each other on the way out. */
TEST(exit_with_threads_often)
{
        for (int i = 0; i < 400; i++) {
                pid_t pid = fork();

                if (pid == 0) {
                        pthread_t t;

                        for (int k = 0; k < 3; k++)
                                pthread_create(&t, 0, pauses, 0);
                        _exit(7);
                }
                int s;

                CHECK(waitpid(pid, &s, 0) == pid && WIFEXITED(s) && WEXITSTATUS(s) == 7);
        }
}
TEST(fpu_over_fork)
{
        volatile double x = 1.5;
        int s;

        for (int i = 0; i < 20; i++) {
                double y = x * i;

                if (fork() == 0) {
                        for (int k = 0; k < 1000; k++)
                                y = y * 1.0000001;
                        _exit(y >= x * i ? 0 : 1);
                }
                y += 1;
                wait(&s);
                CHECK(WEXITSTATUS(s) == 0 && y == x * i + 1);
        }
}

TEST_MAIN
