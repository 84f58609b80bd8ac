/*
 * env.c - what a process is: its folder, root, mounts, masks, limits, names, users and groups.
 */
#include "tests/survive/survive.h"
#include <grp.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statfs.h>

static void folders(volatile uint64_t *good)
{
        char text[256];
        struct stat st;
        int fd;

        mkdir("/tmp/survive-root", 0755);
        mkdir("/tmp/survive-root/inner", 0755);
        MUST(chroot("/tmp/survive-root") == 0 && chdir("/inner") == 0);
        mkdir("gone", 0755);
        fd = open("gone", O_RDONLY | O_DIRECTORY);
        MUST(fd >= 0 && rmdir("gone") == 0);
        for (;;) {
                MUST(getcwd(text, sizeof(text)) && strcmp(text, "/inner") == 0);
                MUST(stat("/inner", &st) == 0 && stat("/s", &st) < 0 && errno == ENOENT);
                MUST(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
                MUST(fchdir(fd) == 0 && getcwd(text, sizeof(text)) == NULL && errno == ENOENT);
                MUST(chdir("/inner") == 0);
                (*good)++;
                survive_nap(20);
        }
}

static void mounts(volatile uint64_t *good)
{
        struct statfs before, there;
        int fd;

        mkdir("/tmp/survive-mnt", 0755);
        umount("/tmp/survive-mnt");
        MUST(statfs("/tmp", &before) == 0 && mount("tmpfs", "/tmp/survive-mnt", "tmpfs", 0, "size=1m") == 0);
        fd = open("/tmp/survive-mnt/number", O_RDWR | O_CREAT, 0600);
        MUST(fd >= 0 && statfs("/tmp/survive-mnt", &there) == 0);
        for (uint64_t n = 0;; n++) {
                struct statfs now;
                uint64_t got;
                int other;

                MUST(pwrite(fd, &n, sizeof(n), 0) == sizeof(n));
                survive_nap(20);
                other = open("/tmp/survive-mnt/number", O_RDONLY);
                MUST(other >= 0);
                survive_read(other, &got, sizeof(got));
                SAME(got, n);
                MUST(close(other) == 0 && statfs("/tmp/survive-mnt", &now) == 0);
                SAME(now.f_type, there.f_type);
                *good = n + 1;
        }
}

static void masks(volatile uint64_t *good)
{
        struct rlimit limit = {.rlim_cur = 77, .rlim_max = 99}, got;
        struct sigaction act;
        sigset_t set, old;
        char name[17] = "";
        struct stat st;
        pid_t sid;
        int fd;

        umask(037);
        MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0 && setpriority(PRIO_PROCESS, 0, 7) == 0);
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGRTMIN + 9);
        MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && signal(SIGQUIT, SIG_IGN) != SIG_ERR);
        MUST(prctl(PR_SET_NAME, "survivor") == 0 && setenv("SURVIVE", "yes", 1) == 0);
        sid = setsid();
        MUST(sid == getpid());
        for (;;) {
                unlink("/tmp/survive-mask");
                fd = open("/tmp/survive-mask", O_CREAT | O_WRONLY, 0777);
                MUST(fd >= 0 && fstat(fd, &st) == 0 && close(fd) == 0);
                SAME(st.st_mode & 0777, 0740);
                MUST(getrlimit(RLIMIT_NOFILE, &got) == 0 && got.rlim_cur == 77 && got.rlim_max == 99);
                SAME(getpriority(PRIO_PROCESS, 0), 7);
                MUST(sigprocmask(SIG_BLOCK, NULL, &old) == 0);
                MUST(sigismember(&old, SIGHUP) == 1 && sigismember(&old, SIGRTMIN + 9) == 1 &&
                     sigismember(&old, SIGINT) == 0);
                MUST(sigaction(SIGQUIT, NULL, &act) == 0 && act.sa_handler == SIG_IGN);
                MUST(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "survivor") == 0);
                MUST(strcmp(getenv("SURVIVE"), "yes") == 0);
                SAME(getsid(0), sid);
                SAME(getpgrp(), sid);
                (*good)++;
                survive_nap(20);
        }
}

static void users(volatile uint64_t *good)
{
        const gid_t groups[3] = {100, 200, 300};
        gid_t got[8], r, e, s;
        int fd;

        fd = open("/tmp/survive-private", O_CREAT | O_WRONLY, 0600);
        MUST(fd >= 0 && fchmod(fd, 0600) == 0 && close(fd) == 0);
        MUST(setgroups(3, groups) == 0 && setresgid(11, 12, 13) == 0 && setresuid(21, 22, 23) == 0);
        for (;;) {
                uid_t ru, eu, su;

                MUST(getresuid(&ru, &eu, &su) == 0 && ru == 21 && eu == 22 && su == 23);
                MUST(getresgid(&r, &e, &s) == 0 && r == 11 && e == 12 && s == 13);
                SAME(getgroups(8, got), 3);
                MUST(memcmp(got, groups, sizeof(groups)) == 0);
                MUST(open("/tmp/survive-private", O_RDONLY) < 0 && errno == EACCES);
                MUST(setuid(0) < 0 && errno == EPERM);
                (*good)++;
                survive_nap(20);
        }
}

int main(void)
{
        survive_begin("env");
        survive_part(folders);
        survive_part(mounts);
        survive_part(masks);
        survive_part(users);
        survive_watch();
}
