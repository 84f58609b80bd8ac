/* cred.c - user and group ids, groups, capabilities, who may do what to whom. Needs root to show anything. */
#include "lib/test.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

static void need_root(void)
{
        if (geteuid())
                test_skip("not root");
}
static void ids(uid_t r, uid_t e, uid_t s)
{
        uid_t a, b, c;

        CHECK(getresuid(&a, &b, &c) == 0);
        if (a != r || b != e || c != s)
                test_fail("uids %d %d %d, not %d %d %d", a, b, c, r, e, s);
}
static uint64_t caps(int which)
{
        struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct d[2];

        CHECK(syscall(SYS_capget, &h, d) == 0);
        return which == 0   ? d[0].effective | (uint64_t)d[1].effective << 32
               : which == 1 ? d[0].permitted | (uint64_t)d[1].permitted << 32
                            : d[0].inheritable | (uint64_t)d[1].inheritable << 32;
}
static long capset(uint64_t e, uint64_t p, uint64_t i)
{
        struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct d[2] = {{(uint32_t)e, (uint32_t)p, (uint32_t)i},
                                              {(uint32_t)(e >> 32), (uint32_t)(p >> 32), (uint32_t)(i >> 32)}};

        return syscall(SYS_capset, &h, d);
}

TEST(setuid_gives_up_all)
{
        need_root();
        CHECK(setuid(1000) == 0);
        ids(1000, 1000, 1000);
        CHECK(caps(0) == 0 && caps(1) == 0);
        CHECK_ERR(setuid(0), EPERM);
        CHECK_ERR(setuid(1001), EPERM);
        CHECK(setuid(1000) == 0);
        CHECK_ERR(syscall(SYS_setuid, -1), EINVAL);
}

TEST(seteuid_and_back)
{
        need_root();
        CHECK(seteuid(1000) == 0);
        ids(0, 1000, 0);
        CHECK(caps(0) == 0 && caps(1) != 0);
        CHECK_ERR(chown("/tmp", 0, 0), EPERM);
        CHECK(seteuid(0) == 0 && caps(0) != 0);
        ids(0, 0, 0);
}

TEST(setreuid_setresuid)
{
        need_root();
        CHECK(setreuid(1000, 1001) == 0);
        ids(1000, 1001, 1001);
        CHECK(setreuid(1001, 1000) == 0);
        ids(1001, 1000, 1000);
        CHECK_ERR(setreuid(5, -1), EPERM);
        CHECK_ERR(setresuid(-1, -1, 5), EPERM);
        CHECK(setresuid(1000, 1001, 1001) == 0);
        ids(1000, 1001, 1001);
        CHECK(setresuid(-1, -1, -1) == 0);
        ids(1000, 1001, 1001);
}

TEST(gids)
{
        gid_t a, b, c;

        need_root();
        CHECK(setresgid(10, 20, 30) == 0 && getresgid(&a, &b, &c) == 0 && a == 10 && b == 20 && c == 30);
        CHECK(getgid() == 10 && getegid() == 20);
        CHECK(setregid(11, 21) == 0 && getresgid(&a, &b, &c) == 0 && a == 11 && b == 21 && c == 21);
        CHECK(setgid(40) == 0 && getresgid(&a, &b, &c) == 0 && a == 40 && b == 40 && c == 40);
        CHECK(setuid(1000) == 0);
        CHECK_ERR(setgid(41), EPERM);
        CHECK(setgid(40) == 0);
}

TEST(groups)
{
        gid_t in[5] = {50, 40, 30, 20, 10}, out[10];

        need_root();
        CHECK(setgroups(5, in) == 0);
        CHECK(getgroups(0, 0) == 5 && getgroups(10, out) == 5);
        CHECK(out[0] + out[1] + out[2] + out[3] + out[4] == 150);
        CHECK_ERR(getgroups(3, out), EINVAL);
        CHECK_ERR(syscall(SYS_setgroups, 65537, in), EINVAL);
        CHECK_ERR(syscall(SYS_setgroups, 5, (void *)8), EFAULT);
        CHECK(setuid(1000) == 0);
        CHECK_ERR(setgroups(0, 0), EPERM);
        CHECK(getgroups(10, out) == 5);
}

TEST(groups_give_access)
{
        gid_t g = 77;
        int s;

        need_root();
        char name[] = "/tmp/credXXXXXX";
        int fd = mkstemp(name);
        CHECK(fchown(fd, 0, 77) == 0 && fchmod(fd, 0640) == 0);
        for (int with = 0; with < 2; with++) {
                if (fork() == 0) {
                        if (setgroups(with, &g) || setgid(1000) || setuid(1000))
                                _exit(9);
                        _exit(open(name, O_RDONLY) >= 0);
                }
                wait(&s);
                CHECK(WEXITSTATUS(s) == with);
        }
        unlink(name);
}

TEST(fsuid)
{
        need_root();
        CHECK(syscall(SYS_setfsuid, 1000) == 0);
        CHECK(syscall(SYS_setfsuid, -1) == 1000);
        char name[] = "/tmp/fsuidXXXXXX";
        struct stat st;
        int fd = mkstemp(name);
        CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 1000);
        unlink(name);
        CHECK(syscall(SYS_setfsuid, 0) == 1000);
        CHECK(syscall(SYS_setfsgid, 5) == 0 && syscall(SYS_setfsgid, -1) == 5);
}

TEST(capability_calls)
{
        struct __user_cap_header_struct h = {0x12345678, 0};
        struct __user_cap_data_struct d[2];
        uint64_t all;

        CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
        CHECK(h.version == _LINUX_CAPABILITY_VERSION_3);
        h.pid = 999999;
        CHECK_ERR(syscall(SYS_capget, &h, d), ESRCH);
        h.pid = -1;
        CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
        need_root();
        all = caps(1);
        CHECK(all);
        CHECK(capset(0, all & ~(1ul << CAP_CHOWN), 0) == 0);
        CHECK(caps(0) == 0 && caps(1) == (all & ~(1ul << CAP_CHOWN)));
        CHECK_ERR(capset(0, all, 0), EPERM);
        CHECK_ERR(capset(1ul << CAP_CHOWN, 0, 0), EPERM);
        CHECK_ERR(chown("/tmp", 1, 1), EPERM);
}

TEST(bounding_and_keepcaps)
{
        need_root();
        CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
        CHECK(prctl(PR_CAPBSET_DROP, CAP_CHOWN) == 0);
        CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 0);
        CHECK_ERR(prctl(PR_CAPBSET_READ, 99), EINVAL);
        CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
        uint64_t p = caps(1);
        CHECK(setuid(1000) == 0);
        CHECK(caps(1) == p && caps(0) == 0);
        CHECK(capset(1ul << CAP_SETUID, 1ul << CAP_SETUID, 0) == 0);
        CHECK(setuid(1001) == 0);
}

TEST(exec_and_capabilities)
{
        need_root();
        int s;
        if (fork() == 0) {
                char *argv[] = {"sh", "-c", "test `id -u` = 1000 && chown 0 /tmp 2>/dev/null && exit 1; exit 0", 0};

                if (prctl(PR_SET_KEEPCAPS, 1) || setuid(1000))
                        _exit(9);
                execv("/bin/sh", argv);
                _exit(8);
        }
        wait(&s);
        CHECK(WEXITSTATUS(s) == 0);
}

TEST(setuid_programs)
{
        char name[] = "/tmp/suidXXXXXX", cmd[200];
        int fd, s;

        need_root();
        fd = mkstemp(name);
        snprintf(cmd, sizeof(cmd), "cat /proc/self/exe > %s", name);
        close(fd);
        char *argv[] = {name, "-ids", 0};
        int in = open("/proc/self/exe", O_RDONLY), n;
        char buf[4096];
        fd = open(name, O_WRONLY | O_TRUNC);
        while ((n = (int)read(in, buf, sizeof(buf))) > 0)
                CHECK(write(fd, buf, (size_t)n) == n);
        CHECK(fchown(fd, 1234, 1235) == 0 && fchmod(fd, 06755) == 0);
        close(fd);
        close(in);
        for (int nnp = 0; nnp < 2; nnp++) {
                if (fork() == 0) {
                        if (setgid(1000) || setuid(1000))
                                _exit(9);
                        if (nnp)
                                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                        execv(name, argv);
                        _exit(8);
                }
                wait(&s);
                if (WEXITSTATUS(s) != (nnp ? 10 : 11))
                        test_fail("status %#x with no_new_privs %d", s, nnp);
        }
        unlink(name);
}

TEST(kill_permission)
{
        int s;
        pid_t pid;

        need_root();
        pid = fork();
        if (pid == 0)
                for (;;)
                        pause();
        if (fork() == 0) {
                if (setuid(1000))
                        _exit(9);
                if (kill(pid, SIGTERM) != -1 || errno != EPERM)
                        _exit(1);
                if (kill(pid, 0) != -1 || errno != EPERM)
                        _exit(2);
                if (kill(pid, SIGCONT) != 0) /* the same session */
                        _exit(3);
                if (kill(1, SIGTERM) != -1 || errno != EPERM)
                        _exit(4);
                pid_t own = fork();
                if (own == 0)
                        for (;;)
                                pause();
                if (kill(own, SIGTERM) != 0)
                        _exit(5);
                _exit(0);
        }
        CHECK(wait(&s) > 0 && WIFEXITED(s));
        CHECK(WEXITSTATUS(s) == 0);
        kill(pid, SIGKILL);
        wait(&s);
}

TEST(init_is_safe)
{
        need_root();
        if (getpid() == 1 || getppid() == 0)
                test_skip("is init");
        CHECK(kill(1, 0) == 0);
        CHECK(kill(1, SIGKILL) == 0);
        CHECK(kill(1, SIGSTOP) == 0);
        usleep(10000);
        CHECK(kill(1, 0) == 0);
}

TEST(priority_permission)
{
        need_root();
        CHECK(setpriority(PRIO_PROCESS, 0, -5) == 0);
        CHECK(setuid(1000) == 0);
        CHECK_ERR(setpriority(PRIO_PROCESS, 0, -6), EACCES);
        CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0);
        CHECK_ERR(setpriority(PRIO_PROCESS, 0, 0), EACCES);
        CHECK_ERR(setpriority(PRIO_PROCESS, 1, 10), EPERM);
        struct sched_param p = {.sched_priority = 1};
        CHECK_ERR(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &p), EPERM);
}

TEST(limit_permission)
{
        struct rlimit r = {5, 5};

        need_root();
        CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
        r.rlim_max = 10;
        CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
        CHECK(setuid(1000) == 0);
        r.rlim_max = 11;
        CHECK_ERR(setrlimit(RLIMIT_NOFILE, &r), EPERM);
        CHECK_ERR(syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, 0, &r), EPERM);
        r.rlim_max = 9;
        CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
}

TEST(process_limit)
{
        struct rlimit r = {3, 3};
        int n = 0, s;

        need_root();
        CHECK(setuid(34567) == 0);
        CHECK(setrlimit(RLIMIT_NPROC, &r) == 0);
        for (; n < 10; n++) {
                pid_t pid = fork();

                if (pid == 0) {
                        pause();
                        _exit(0);
                }
                if (pid < 0)
                        break;
        }
        CHECK(n == 2 && errno == EAGAIN);
        signal(SIGTERM, SIG_IGN);
        kill(0, SIGTERM);
        while (wait(&s) > 0)
                ;
}

TEST(names_need_privilege)
{
        need_root();
        char old[65];
        CHECK(gethostname(old, sizeof(old)) == 0);
        CHECK(sethostname(old, strlen(old)) == 0);
        CHECK_ERR(sethostname(old, 65), EINVAL);
        CHECK(setuid(1000) == 0);
        CHECK_ERR(sethostname(old, strlen(old)), EPERM);
        CHECK_ERR(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x89abcdef, 0), EPERM);
}

TEST(reboot_magic)
{
        need_root();
        CHECK_ERR(syscall(SYS_reboot, 1, 2, 3, 0), EINVAL);
        CHECK_ERR(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x55555, 0), EINVAL);
        CHECK(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0) == 0); /* Ctrl-Alt-Del off */
}

int main(int argc, char **argv)
{
        if (argc == 2 && !strcmp(argv[1], "-ids"))
                return geteuid() == 1234 && getegid() == 1235 && getuid() == 1000 ? 11
                       : geteuid() == 1000 && getegid() == 1000                   ? 10
                                                                                  : 12;
        return test_main(argc, argv);
}
