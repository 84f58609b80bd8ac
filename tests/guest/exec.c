/* exec.c - execve: errors, arguments, scripts, what is kept and what is not. The program runs itself with a first argument that begins with '@'. */
#include "lib/test.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

extern char **environ;
static char self_path[512];
#define SELF self_path /* not /proc/self/exe: what is tested here needs no /proc */

static int status_of(pid_t pid)
{
        int s;

        waitpid(pid, &s, 0);
        return WIFEXITED(s) ? WEXITSTATUS(s) : 1000 + WTERMSIG(s);
}
static char *write_file(const char *text, size_t len, int mode)
{
        static char name[32];
        int fd;

        strcpy(name, "/tmp/execXXXXXX");
        fd = mkstemp(name);
        CHECK(fd >= 0 && write(fd, text, len) == (ssize_t)len);
        fchmod(fd, (mode_t)mode);
        close(fd);
        return name;
}
static int run(const char *path, char *const argv[], char *const envp[])
{
        pid_t pid = fork();

        if (pid == 0) {
                execve(path, argv, envp);
                _exit(200 + (errno == ENOEXEC) + 2 * (errno == EACCES) + 4 * (errno == E2BIG) + 8 * (errno == ELOOP));
        }
        return status_of(pid);
}
static int fails(const char *path, int error)
{
        char *argv[] = {"x", NULL};

        return execve(path, argv, environ) == -1 && errno == error;
}

TEST(errors)
{
        char *argv[] = {"x", NULL}, *bad[] = {(char *)8, NULL};
        char *f;

        CHECK(fails("/does/not/exist", ENOENT));
        CHECK(fails("/tmp", EACCES));
        f = write_file("hello", 5, 0644);
        CHECK(fails(f, EACCES));
        unlink(f);
        f = write_file("hello", 5, 0755);
        CHECK(fails(f, ENOEXEC));
        unlink(f);
        f = write_file("", 0, 0755);
        CHECK(fails(f, ENOEXEC));
        unlink(f);
        f = write_file("#!/does/not/exist\n", 18, 0755);
        CHECK(fails(f, ENOENT));
        unlink(f);
        CHECK(execve(SELF, bad, environ) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_execve, SELF, 8, environ) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_execve, 8, argv, environ) == -1 && errno == EFAULT);
}
TEST(script_loop)
{
        char *f = write_file("", 0, 0755);
        int fd = open(f, O_WRONLY);

        dprintf(fd, "#!%s\n", f);
        close(fd);
        CHECK(fails(f, ELOOP));
        unlink(f);
}
TEST(too_big)
{
        char *huge = malloc(200000), *argv[] = {"x", huge, NULL};

        memset(huge, 'h', 199999);
        huge[199999] = 0;
        CHECK(execve(SELF, argv, environ) == -1 && errno == E2BIG);
}
TEST(text_busy)
{
        char *f = write_file("\x7f"
                             "ELF",
                             4, 0755);
        int fd = open(f, O_WRONLY);

        CHECK(fails(f, ETXTBSY));
        close(fd);
        fd = open(SELF, O_WRONLY);
        CHECK(fd == -1 && (errno == ETXTBSY || errno == EROFS || errno == EACCES));
        unlink(f);
}
TEST(arguments)
{
        char *argv[] = {"me", "@args", "", "two words", NULL}, *envp[] = {"A=1", "B=", NULL};

        CHECK(run(SELF, argv, envp) == 0);
}
TEST(many_arguments)
{
        enum { N = 3000 };
        static char *argv[N + 3], text[N][40];

        argv[0] = "me";
        argv[1] = "@many";
        for (int i = 0; i < N; i++) {
                snprintf(text[i], sizeof(text[i]), "argument number %d is this", i);
                argv[i + 2] = text[i];
        }
        CHECK(run(SELF, argv, environ) == 0);
}
TEST(long_arguments)
{
        static char a[100000], b[131000];
        char *argv[] = {"me", "@long", a, b, a, NULL};

        memset(a, 'a', sizeof(a) - 1);
        memset(b, 'b', sizeof(b) - 1);
        CHECK(run(SELF, argv, environ) == 0);
}
TEST(untouched_argument_pages)
{
        char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *argv[] = {"me", "@empty", p + 4096, NULL};

        CHECK(p != MAP_FAILED && run(SELF, argv, environ) == 0);
}
TEST(script)
{
        char text[600], *argv[] = {"ignored", "last", NULL}, *f;
        int r;

        if (strlen(SELF) > 200)
                test_skip("path too long for a #! line");
        snprintf(text, sizeof(text), "#! %s  @script \n", SELF);
        f = write_file(text, strlen(text), 0755);
        r = run(f, argv, environ);
        unlink(f);
        CHECK(r == 0);
}
TEST(close_on_exec)
{
        char a[16], b[16], *argv[] = {"me", "@fds", a, b, NULL};
        int keep = dup(2), gone = fcntl(2, F_DUPFD_CLOEXEC, 50);

        snprintf(a, sizeof(a), "%d", keep);
        snprintf(b, sizeof(b), "%d", gone);
        CHECK(run(SELF, argv, environ) == 0);
}
static void handler(int s)
{
        (void)s;
}
TEST(signals)
{
        char *argv[] = {"me", "@signals", NULL};
        sigset_t set;
        pid_t pid = fork();

        if (pid == 0) {
                signal(SIGUSR1, handler);
                signal(SIGUSR2, SIG_IGN);
                sigemptyset(&set);
                sigaddset(&set, SIGTERM);
                sigprocmask(SIG_SETMASK, &set, NULL);
                raise(SIGTERM);
                execve(SELF, argv, environ);
                _exit(99);
        }
        CHECK(status_of(pid) == 0);
}
static void *from_thread(void *arg)
{
        char pid[16], *argv[] = {"me", "@pid", pid, NULL};

        (void)arg;
        snprintf(pid, sizeof(pid), "%d", getpid());
        execve(SELF, argv, environ);
        _exit(99);
}
static void *idle(void *arg)
{
        for (;;)
                pause();
        return arg;
}
TEST(from_a_thread)
{
        pid_t pid = fork();

        if (pid == 0) {
                pthread_t t;

                for (int i = 0; i < 3; i++)
                        pthread_create(&t, NULL, idle, NULL);
                pthread_create(&t, NULL, from_thread, NULL);
                for (;;)
                        pause();
        }
        CHECK(status_of(pid) == 0);
}
TEST(by_descriptor)
{
        char *argv[] = {"me", "@empty", "", NULL};
        int fd = open(SELF, O_RDONLY | O_CLOEXEC);
        pid_t pid = fork();

        if (pid == 0) {
                syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
                _exit(99);
        }
        CHECK(status_of(pid) == 0);
}
TEST(vfork_shares)
{
        volatile int x = 0;
        pid_t pid = vfork();

        if (pid == 0) {
                x = 1;
                _exit(3);
        }
        CHECK(x == 1 && status_of(pid) == 3);
}
TEST(malformed_elf)
{
        /* Every header field in turn gets nasty values: whatever happens, this process and the system go on. */
        static const uint64_t nasty[] = {
                0, 1, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffff, 0x7ffffffff000, 1ul << 63, ~0ul};
        struct {
                Elf64_Ehdr e;
                Elf64_Phdr p[2];
                char code[16];
        } image, good = {
                         .e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
                               .e_type = ET_EXEC,
                               .e_machine = EM_X86_64,
                               .e_version = 1,
                               .e_entry = 0x400000 + sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr),
                               .e_phoff = sizeof(Elf64_Ehdr),
                               .e_ehsize = sizeof(Elf64_Ehdr),
                               .e_phentsize = sizeof(Elf64_Phdr),
                               .e_phnum = 2},
                         .p = {{.p_type = PT_LOAD,
                                .p_flags = PF_R | PF_X,
                                .p_vaddr = 0x400000,
                                .p_filesz = sizeof(image),
                                .p_memsz = sizeof(image),
                                .p_align = 4096},
                               {.p_type = PT_LOAD,
                                .p_flags = PF_R | PF_W,
                                .p_vaddr = 0x600000,
                                .p_filesz = 0,
                                .p_memsz = 8192,
                                .p_align = 4096}},
                 };
        char *argv[] = {"x", NULL}, *f;

        memcpy(good.code, "\xb8\xe7\x00\x00\x00\xbf\x2a\x00\x00\x00\x0f\x05", 12); /* exit_group(42) */
        f = write_file((char *)&good, sizeof(good), 0755);
        CHECK(run(f, argv, environ) == 42);
        unlink(f);
        for (size_t at = 16; at + 8 <= sizeof(good.e) + sizeof(good.p); at += 4)
                for (size_t k = 0; k < sizeof(nasty) / sizeof(nasty[0]); k++) {
                        image = good;
                        memcpy((char *)&image + at, &nasty[k], k % 2 ? 8 : 4);
                        f = write_file((char *)&image, sizeof(image), 0755);
                        run(f, argv, environ);
                        unlink(f);
                }
        for (size_t len = 0; len < sizeof(good); len += 7) {
                f = write_file((char *)&good, len, 0755);
                run(f, argv, environ);
                unlink(f);
        }
}
TEST(auxiliary_vector)
{
        CHECK(getauxval(AT_PAGESZ) == 4096);
        CHECK(getauxval(AT_CLKTCK) == 100);
        CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid());
        CHECK(getauxval(AT_RANDOM) != 0 && getauxval(AT_PHDR) != 0 && getauxval(AT_SECURE) == 0);
        CHECK(strcmp((char *)getauxval(AT_PLATFORM), "x86_64") == 0);
        CHECK(getauxval(AT_SYSINFO_EHDR) && memcmp((void *)getauxval(AT_SYSINFO_EHDR), ELFMAG, SELFMAG) == 0);
}
TEST(vdso_clocks_agree)
{
        static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                                     CLOCK_MONOTONIC_COARSE};

        for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
                struct timespec a, b, c;
                int64_t na, nb, nc;

                CHECK(syscall(SYS_clock_gettime, clocks[i], &a) == 0 && clock_gettime(clocks[i], &b) == 0 &&
                      syscall(SYS_clock_gettime, clocks[i], &c) == 0);
                na = a.tv_sec * 1000000000l + a.tv_nsec;
                nb = b.tv_sec * 1000000000l + b.tv_nsec;
                nc = c.tv_sec * 1000000000l + c.tv_nsec;
                CHECK(nb + 20000000 >= na && nb <= nc + 20000000);
                CHECK(b.tv_nsec >= 0 && b.tv_nsec < 1000000000);
        }
}

/* ---- the program that was started ---- */

static int child(int argc, char **argv)
{
        const char *what = argv[1];

        if (!strcmp(what, "@args"))
                return !(argc == 4 && !strcmp(argv[0], "me") && !strcmp(argv[2], "") && !strcmp(argv[3], "two words") &&
                         !argv[4] && !strcmp(environ[0], "A=1") && !strcmp(environ[1], "B=") && !environ[2]);
        if (!strcmp(what, "@many")) {
                char text[40];

                for (int i = 0; i < argc - 2; i++) {
                        snprintf(text, sizeof(text), "argument number %d is this", i);
                        if (strcmp(argv[i + 2], text))
                                return 1;
                }
                return argc != 3002;
        }
        if (!strcmp(what, "@long"))
                return !(argc == 5 && strlen(argv[2]) == 99999 && strspn(argv[2], "a") == 99999 &&
                         strspn(argv[3], "b") == 130999 && strspn(argv[4], "a") == 99999);
        if (!strcmp(what, "@empty"))
                return !(argc == 3 && !argv[2][0]);
        if (!strcmp(what, "@script"))
                return !(argc == 4 && !strncmp(argv[2], "/tmp/exec", 9) && !strcmp(argv[3], "last"));
        if (!strcmp(what, "@fds"))
                return !(fcntl(atoi(argv[2]), F_GETFD) >= 0 && fcntl(atoi(argv[3]), F_GETFD) == -1 && errno == EBADF);
        if (!strcmp(what, "@signals")) {
                struct sigaction a, b;
                sigset_t pending, blocked;

                sigaction(SIGUSR1, NULL, &a);
                sigaction(SIGUSR2, NULL, &b);
                sigpending(&pending);
                sigprocmask(SIG_BLOCK, NULL, &blocked);
                return !(a.sa_handler == SIG_DFL && b.sa_handler == SIG_IGN && sigismember(&pending, SIGTERM) &&
                         sigismember(&blocked, SIGTERM));
        }
        if (!strcmp(what, "@pid"))
                return !(getpid() == atoi(argv[2]) && syscall(SYS_gettid) == getpid());
        return 100;
}

#undef main
#define main ordinary_main
TEST_MAIN
#undef main
int main(int argc, char **argv)
{
        if (argc > 1 && argv[1][0] == '@')
                return child(argc, argv);
        if (!realpath(argv[0], self_path))
                return 99;
        return ordinary_main(argc, argv);
}
