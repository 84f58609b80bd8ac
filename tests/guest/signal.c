/* signal.c - signals: masks, delivery, frames, alternate stacks, restart of calls, queues, synchronous faults, waiting for them. */
#include "lib/test.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static volatile sig_atomic_t count, last, order[64];
static siginfo_t info;
static ucontext_t context;
static void *handler_sp;

static void handler(int n)
{
        if (count < 64)
                order[count] = n;
        count++;
        last = n;
        handler_sp = __builtin_frame_address(0);
}
static void info_handler(int n, siginfo_t *i, void *u)
{
        handler(n);
        info = *i;
        context = *(ucontext_t *)u;
}
static void install(int n, void (*fn)(int), int flags)
{
        struct sigaction a = {.sa_handler = fn, .sa_flags = flags};

        CHECK(sigaction(n, &a, 0) == 0);
}
static void install_info(int n, int flags)
{
        struct sigaction a = {.sa_sigaction = info_handler, .sa_flags = SA_SIGINFO | flags};

        CHECK(sigaction(n, &a, 0) == 0);
}
static void msleep(int ms)
{
        struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

        nanosleep(&t, 0);
}
static void block(int how, int n)
{
        sigset_t s;

        sigemptyset(&s);
        sigaddset(&s, n);
        CHECK(sigprocmask(how, &s, 0) == 0);
}
static pid_t later(int ms, int n)
{
        pid_t parent = getpid(), pid = fork();

        if (pid == 0) {
                msleep(ms);
                kill(parent, n);
                _exit(0);
        }
        return pid;
}

TEST(raise_runs_handler)
{
        install(SIGUSR1, handler, 0);
        CHECK(raise(SIGUSR1) == 0 && count == 1 && last == SIGUSR1);
        CHECK(kill(getpid(), SIGUSR1) == 0 && count == 2);
}

TEST(info_of_kill)
{
        install_info(SIGUSR1, 0);
        kill(getpid(), SIGUSR1);
        CHECK(info.si_signo == SIGUSR1 && info.si_code == SI_USER && info.si_pid == getpid() &&
              info.si_uid == getuid());
        syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
        CHECK(info.si_code == SI_TKILL && count == 2);
}

TEST(sigaction_errors)
{
        struct sigaction a = {.sa_handler = handler};

        CHECK_ERR(sigaction(SIGKILL, &a, 0), EINVAL);
        CHECK_ERR(sigaction(SIGSTOP, &a, 0), EINVAL);
        CHECK_ERR(syscall(SYS_rt_sigaction, 0, 0, 0, 8), EINVAL);
        CHECK_ERR(syscall(SYS_rt_sigaction, 65, 0, 0, 8), EINVAL);
        CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, 0, 0, 4), EINVAL);
        CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, 0, 8), EFAULT);
        CHECK_ERR(syscall(SYS_rt_sigprocmask, 77, &a, 0, 8), EINVAL);
        CHECK(syscall(SYS_rt_sigprocmask, 77, 0, 0, 8) == 0);
        CHECK(sigaction(SIGUSR1, &a, 0) == 0);
        a.sa_handler = SIG_DFL;
        CHECK(sigaction(SIGUSR1, 0, &a) == 0 && a.sa_handler == handler);
}

TEST(blocked_is_pending)
{
        sigset_t s;

        install(SIGUSR1, handler, 0);
        block(SIG_BLOCK, SIGUSR1);
        kill(getpid(), SIGUSR1);
        kill(getpid(), SIGUSR1);
        CHECK(count == 0);
        CHECK(sigpending(&s) == 0 && sigismember(&s, SIGUSR1) == 1 && sigismember(&s, SIGUSR2) == 0);
        block(SIG_UNBLOCK, SIGUSR1);
        CHECK(count == 1);
        sigpending(&s);
        CHECK(!sigismember(&s, SIGUSR1));
}

TEST(ignored_goes_away)
{
        sigset_t s;

        block(SIG_BLOCK, SIGUSR1);
        kill(getpid(), SIGUSR1);
        install(SIGUSR1, SIG_IGN, 0);
        CHECK(sigpending(&s) == 0 && !sigismember(&s, SIGUSR1));
        install(SIGUSR1, handler, 0);
        block(SIG_UNBLOCK, SIGUSR1);
        CHECK(count == 0);
        CHECK(kill(getpid(), SIGCHLD) == 0 && kill(getpid(), SIGWINCH) == 0);
}

TEST(mask_during_handler)
{
        sigset_t s;
        struct sigaction a = {.sa_sigaction = info_handler, .sa_flags = SA_SIGINFO};

        sigaddset(&a.sa_mask, SIGUSR2);
        sigaction(SIGUSR1, &a, 0);
        block(SIG_BLOCK, SIGALRM);
        raise(SIGUSR1);
        CHECK(count == 1);
        sigprocmask(SIG_BLOCK, 0, &s);
        CHECK(sigismember(&s, SIGALRM) && !sigismember(&s, SIGUSR1) && !sigismember(&s, SIGUSR2));
        CHECK(sigismember(&context.uc_sigmask, SIGALRM) == 1 && sigismember(&context.uc_sigmask, SIGUSR1) == 0);
}

static sigset_t inside;
static void look_inside(int n)
{
        sigprocmask(SIG_BLOCK, 0, &inside);
        last = n;
}

TEST(nodefer_and_resethand)
{
        struct sigaction a;

        install(SIGUSR1, look_inside, 0);
        raise(SIGUSR1);
        CHECK(sigismember(&inside, SIGUSR1) == 1);
        install(SIGUSR1, look_inside, SA_NODEFER);
        raise(SIGUSR1);
        CHECK(sigismember(&inside, SIGUSR1) == 0);
        install(SIGUSR1, handler, SA_RESETHAND);
        raise(SIGUSR1);
        sigaction(SIGUSR1, 0, &a);
        CHECK(count == 1 && a.sa_handler == SIG_DFL);
}

TEST(realtime_queue_in_order)
{
        union sigval v;
        sigset_t s;
        siginfo_t i;
        struct timespec zero = {0, 0};

        sigemptyset(&s);
        for (int n = SIGRTMIN; n < SIGRTMIN + 3; n++)
                sigaddset(&s, n);
        sigprocmask(SIG_BLOCK, &s, 0);
        for (int k = 0; k < 3; k++)
                for (int n = SIGRTMIN + 2; n >= SIGRTMIN; n--) {
                        v.sival_int = n * 10 + k;
                        CHECK(sigqueue(getpid(), n, v) == 0);
                }
        for (int n = SIGRTMIN; n < SIGRTMIN + 3; n++)
                for (int k = 0; k < 3; k++) {
                        CHECK(sigtimedwait(&s, &i, &zero) == n);
                        CHECK(i.si_value.sival_int == n * 10 + k && i.si_code == SI_QUEUE && i.si_pid == getpid());
                }
        CHECK_ERR(sigtimedwait(&s, &i, &zero), EAGAIN);
}

TEST(queue_limit)
{
        struct rlimit r = {5, 5};
        union sigval v = {0};
        int n = 0;

        if (geteuid() == 0 && setuid(12345))
                test_skip("cannot change user");
        block(SIG_BLOCK, SIGRTMIN);
        CHECK(setrlimit(RLIMIT_SIGPENDING, &r) == 0);
        while (n < 20 && sigqueue(getpid(), SIGRTMIN, v) == 0)
                n++;
        CHECK(n == 5 && errno == EAGAIN);
        CHECK(kill(getpid(), SIGRTMIN) == 0);
}

TEST(sigqueueinfo_rules)
{
        siginfo_t i = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
        pid_t pid = fork();

        if (pid == 0)
                for (;;)
                        pause();
        i.si_code = SI_USER;
        CHECK_ERR(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &i), EPERM);
        i.si_code = SI_TKILL;
        CHECK_ERR(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &i), EPERM);
        i.si_code = SI_QUEUE;
        CHECK(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &i) == 0);
        int s;
        CHECK(waitpid(pid, &s, 0) == pid && WTERMSIG(s) == SIGUSR1);
        CHECK_ERR(syscall(SYS_rt_sigqueueinfo, 999999, SIGUSR1, &i), ESRCH);
        CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &i), EINVAL);
}

static stack_t alt;
static int alt_flags;
static void alt_handler(int n)
{
        stack_t s;

        handler(n);
        sigaltstack(0, &s);
        alt_flags = s.ss_flags;
        s.ss_flags = 0;
        errno = 0;
        if (sigaltstack(&s, 0) != -1 || errno != EPERM)
                alt_flags = -1;
}

TEST(alternate_stack)
{
        stack_t s;

        CHECK(sigaltstack(0, &s) == 0 && s.ss_flags == SS_DISABLE);
        alt.ss_sp = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        alt.ss_size = 65536;
        CHECK(sigaltstack(&alt, 0) == 0);
        CHECK(sigaltstack(0, &s) == 0 && s.ss_flags == 0 && s.ss_sp == alt.ss_sp && s.ss_size == 65536);
        install(SIGUSR1, alt_handler, SA_ONSTACK);
        raise(SIGUSR1);
        CHECK((char *)handler_sp > (char *)alt.ss_sp && (char *)handler_sp < (char *)alt.ss_sp + 65536 &&
              alt_flags == SS_ONSTACK);
        install(SIGUSR1, handler, 0);
        raise(SIGUSR1);
        CHECK(!((char *)handler_sp > (char *)alt.ss_sp && (char *)handler_sp < (char *)alt.ss_sp + 65536));
        s.ss_flags = 12;
        CHECK_ERR(sigaltstack(&s, 0), EINVAL);
        s.ss_flags = 0;
        s.ss_size = 1000;
        CHECK_ERR(sigaltstack(&s, 0), ENOMEM);
        s.ss_flags = SS_DISABLE;
        CHECK(sigaltstack(&s, 0) == 0);
        CHECK(sigaltstack(0, &s) == 0 && s.ss_flags == SS_DISABLE);
}

static sigjmp_buf jump;
static void jump_handler(int n, siginfo_t *i, void *u)
{
        info_handler(n, i, u);
        siglongjmp(jump, 1);
}

static int recurse(volatile char *p)
{
        volatile char a[8192];

        a[0] = *p;
        return *p == 77 ? 0 : recurse(a) + a[0];
}

TEST(stack_overflow_on_alternate_stack)
{
        struct sigaction a = {.sa_sigaction = jump_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        char x = 0;

        alt.ss_sp = malloc(65536);
        alt.ss_size = 65536;
        sigaltstack(&alt, 0);
        sigaction(SIGSEGV, &a, 0);
        for (int k = 0; k < 3; k++)
                if (!sigsetjmp(jump, 1))
                        recurse(&x);
        CHECK(count == 3 && last == SIGSEGV);
}

TEST(fault_information)
{
        struct sigaction a = {.sa_sigaction = jump_handler, .sa_flags = SA_SIGINFO};
        volatile char *p = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        sigaction(SIGSEGV, &a, 0);
        sigaction(SIGBUS, &a, 0);
        sigaction(SIGFPE, &a, 0);
        sigaction(SIGILL, &a, 0);
        sigaction(SIGTRAP, &a, 0);
        if (!sigsetjmp(jump, 1))
                p[100] = 1;
        CHECK(last == SIGSEGV && info.si_code == SEGV_ACCERR && info.si_addr == p + 100);
        CHECK(context.uc_mcontext.gregs[REG_TRAPNO] == 14 && (context.uc_mcontext.gregs[REG_ERR] & 6) == 6);
        CHECK((void *)context.uc_mcontext.gregs[REG_CR2] == p + 100);
        munmap((void *)p, 4096);
        if (!sigsetjmp(jump, 1))
                (void)p[5];
        CHECK(last == SIGSEGV && info.si_code == SEGV_MAPERR && info.si_addr == p + 5);
        if (!sigsetjmp(jump, 1))
                *(volatile char *)(uintptr_t)0x8000000000000000ul = 1;
        CHECK(last == SIGSEGV && info.si_code == SI_KERNEL && info.si_addr == 0);
        if (!sigsetjmp(jump, 1)) {
                volatile int zero = 0, one = 1;

                one /= zero;
        }
        CHECK(last == SIGFPE && info.si_code == FPE_INTDIV);
        if (!sigsetjmp(jump, 1))
                __asm__ volatile("ud2");
        CHECK(last == SIGILL && info.si_code == ILL_ILLOPN);
        if (!sigsetjmp(jump, 1))
                __asm__ volatile("int3");
        CHECK(last == SIGTRAP);
}

TEST(bus_error_past_end_of_file)
{
        struct sigaction a = {.sa_sigaction = jump_handler, .sa_flags = SA_SIGINFO};
        char name[] = "/tmp/busXXXXXX";
        int fd = mkstemp(name);
        volatile char *p;

        unlink(name);
        CHECK(ftruncate(fd, 100) == 0);
        p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        sigaction(SIGBUS, &a, 0);
        p[50] = 1;
        if (!sigsetjmp(jump, 1))
                p[5000] = 1;
        CHECK(last == SIGBUS && info.si_code == BUS_ADRERR && info.si_addr == p + 5000);
}

TEST(blocked_fault_kills)
{
        int s;

        if (fork() == 0) {
                install(SIGSEGV, handler, 0);
                block(SIG_BLOCK, SIGSEGV);
                *(volatile char *)(uintptr_t)strtoul("8", 0, 0) = 1;
                _exit(0);
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV);
        if (fork() == 0) {
                signal(SIGSEGV, SIG_IGN);
                *(volatile char *)(uintptr_t)strtoul("8", 0, 0) = 1;
                _exit(0);
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV);
}

static void change_registers(int n, siginfo_t *i, void *u)
{
        ucontext_t *c = u;

        (void)n;
        (void)i;
        c->uc_mcontext.gregs[REG_RIP] += 2;
        c->uc_mcontext.gregs[REG_RBX] = 0x1234567890abcdef;
        c->uc_mcontext.gregs[REG_EFL] |= 1 | 0x3000 /* IOPL: must not get in */;
}

TEST(handler_changes_registers)
{
        struct sigaction a = {.sa_sigaction = change_registers, .sa_flags = SA_SIGINFO};
        uint64_t rbx = 0, flags = 0;

        sigaction(SIGILL, &a, 0);
        __asm__ volatile("clc; ud2; mov %%rbx, %0; pushfq; pop %1" : "=r"(rbx), "=r"(flags)::"rbx", "cc", "memory");
        CHECK(rbx == 0x1234567890abcdef && (flags & 1) && !(flags & 0x3000));
}

TEST(registers_survive_handler)
{
        uint64_t out[6];

        install(SIGUSR1, handler, 0);
        __asm__ volatile("mov $1, %%r12; mov $2, %%r13; mov $3, %%r14; mov $4, %%r15; mov $5, %%rbx; mov $6, %%r10\n"
                         "mov %1, %%eax; mov %2, %%edi; mov %3, %%esi; syscall\n"
                         "mov %%r12, (%0); mov %%r13, 8(%0); mov %%r14, 16(%0); mov %%r15, 24(%0); mov %%rbx, 32(%0); "
                         "mov %%r10, 40(%0)\n" ::"r"(out),
                         "i"(SYS_kill), "r"(getpid()), "i"(SIGUSR1)
                         : "rax", "rdi", "rsi", "rcx", "r11", "r12", "r13", "r14", "r15", "rbx", "r10", "memory");
        CHECK(count == 1);
        for (unsigned i = 0; i < 6; i++)
                CHECK(out[i] == i + 1);
}

TEST(red_zone_survives)
{
        uint64_t ok = 0;

        install(SIGALRM, handler, 0);
        struct itimerval it = {{0, 1000}, {0, 1000}};
        setitimer(ITIMER_REAL, &it, 0);
        __asm__ volatile("mov $0x5555aaaa, %%rax; mov $0, %%rcx\n"
                         "1: mov %%rax, -8(%%rsp); mov %%rax, -120(%%rsp); mov $200, %%rdx\n"
                         "2: dec %%rdx; jnz 2b\n"
                         "cmp %%rax, -8(%%rsp); jne 3f; cmp %%rax, -120(%%rsp); jne 3f\n"
                         "inc %%rcx; cmp $300000, %%rcx; jne 1b; mov $1, %0\n"
                         "3:"
                         : "+r"(ok)::"rax", "rcx", "rdx", "cc", "memory");
        CHECK(ok == 1 && count > 0);
}

static void fpu_handler(int n)
{
        volatile double d = 3.25;

        for (int i = 0; i < 10; i++)
                d *= 1.5;
        __asm__ volatile("pxor %%xmm5, %%xmm5; pxor %%xmm9, %%xmm9" ::: "xmm5", "xmm9");
        handler(n);
}

TEST(fpu_survives_handler)
{
        uint64_t a = 0x1122334455667788, b = 0xaabbccdd, x, y;

        install(SIGUSR1, fpu_handler, 0);
        __asm__ volatile("movq %2, %%xmm5; movq %3, %%xmm9; mov %4, %%eax; mov %5, %%edi; mov %6, %%esi; syscall; movq "
                         "%%xmm5, %0; movq %%xmm9, %1"
                         : "=&r"(x), "=&r"(y)
                         : "r"(a), "r"(b), "i"(SYS_kill), "r"(getpid()), "i"(SIGUSR1)
                         : "rax", "rdi", "rsi", "rcx", "r11", "xmm5", "xmm9", "memory");
        CHECK(count == 1 && x == a && y == b);
}

static uint32_t magic1, magic2, extended, mxcsr_in_handler;
static uintptr_t fp_address;
static void look_at_fpstate(int n, siginfo_t *i, void *u)
{
        ucontext_t *c = u;
        char *fp = (char *)c->uc_mcontext.fpregs;
        uint32_t size;

        (void)n;
        (void)i;
        fp_address = (uintptr_t)fp;
        memcpy(&magic1, fp + 464, 4);
        memcpy(&extended, fp + 468, 4);
        memcpy(&size, fp + 480, 4);
        if (magic1 == 0x46505853)
                memcpy(&magic2, fp + size, 4);
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr_in_handler));
}

TEST(frame_has_xsave_state)
{
        struct sigaction a = {.sa_sigaction = look_at_fpstate, .sa_flags = SA_SIGINFO};
        uint32_t mxcsr = 0x3f80, after;

        sigaction(SIGUSR1, &a, 0);
        __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
        raise(SIGUSR1);
        __asm__ volatile("stmxcsr %0" : "=m"(after));
        CHECK(after == 0x3f80 && mxcsr_in_handler == 0x1f80);
        CHECK(fp_address);
        if (magic1 == 0x46505853)
                CHECK(magic2 == 0x46505845 && fp_address % 64 == 0);
}

static void spoil_frame(int n, siginfo_t *i, void *u)
{
        ucontext_t *c = u;

        (void)i;
        switch (last) {
        case 0:
                c->uc_mcontext.gregs[REG_RIP] = (long long)0x8000000000000000ull;
                break;
        case 1:
                memset((char *)c->uc_mcontext.fpregs + 24, 0xff, 4); /* MXCSR: reserved bits */
                break;
        case 2:
                c->uc_mcontext.fpregs = (void *)8;
                break;
        case 3:
                c->uc_mcontext.gregs[REG_RIP] = (long long)0xffffffff80200000ull;
                break;
        case 4:
                memcpy(&magic1, (char *)c->uc_mcontext.fpregs + 464, 4);
                if (magic1 == 0x46505853)
                        memset((char *)c->uc_mcontext.fpregs + 520, 0xff, 40); /* XSAVE header: reserved bytes */
                else
                        c->uc_mcontext.fpregs = (void *)8;
                break;
        case 5:
                c->uc_mcontext.gregs[REG_CSGSFS] =
                        (c->uc_mcontext.gregs[REG_CSGSFS] & ~0xffffll) | 0x10; /* the kernel's code segment */
                break;
        }
        handler(n);
}

TEST(bad_frames_are_sigsegv)
{
        int s;

        for (int k = 0; k < 6; k++) {
                if (fork() == 0) {
                        struct sigaction a = {.sa_sigaction = spoil_frame, .sa_flags = SA_SIGINFO};

                        last = k;
                        sigaction(SIGUSR1, &a, 0);
                        raise(SIGUSR1);
                        _exit(0);
                }
                wait(&s);
                if (!(WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV))
                        test_fail("frame %d: status %#x", k, s);
        }
        if (fork() == 0) {
                __asm__ volatile("mov $15, %%eax; mov $64, %%rsp; syscall" ::: "rax", "memory");
                _exit(0);
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV);
}

TEST(no_stack_for_handler)
{
        int s;

        if (fork() == 0) {
                install(SIGUSR1, handler, 0);
                __asm__ volatile("mov $39, %%eax; syscall; mov %%eax, %%edi; mov $10, %%esi; mov $62, %%eax; mov $128, "
                                 "%%rsp; syscall; ud2" ::
                                         : "rax", "memory");
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV);
}

TEST(read_restarts_or_not)
{
        int p[2];
        char c;
        pid_t pid;

        CHECK(pipe(p) == 0);
        install(SIGUSR1, handler, 0);
        later(30, SIGUSR1);
        CHECK_ERR(read(p[0], &c, 1), EINTR);
        CHECK(count == 1);
        install(SIGUSR1, handler, SA_RESTART);
        pid = fork();
        if (pid == 0) {
                msleep(30);
                kill(getppid(), SIGUSR1);
                msleep(30);
                if (write(p[1], "z", 1) < 0)
                        _exit(1);
                _exit(0);
        }
        CHECK(read(p[0], &c, 1) == 1 && c == 'z' && count == 2);
}

TEST(stop_does_not_end_calls)
{
        int p[2], s;
        char c;
        pid_t pid;

        CHECK(pipe(p) == 0);
        pid = fork();
        if (pid == 0) {
                struct timespec t = {0, 150000000};
                struct pollfd f = {p[0], POLLIN, 0};

                if (nanosleep(&t, 0))
                        _exit(1);
                if (poll(&f, 1, 100) != 0)
                        _exit(2);
                if (read(p[0], &c, 1) != 1)
                        _exit(3);
                _exit(0);
        }
        for (int i = 0; i < 6; i++) {
                msleep(20);
                kill(pid, SIGSTOP);
                CHECK(waitpid(pid, &s, WUNTRACED) == pid && WIFSTOPPED(s));
                kill(pid, SIGCONT);
        }
        msleep(300);
        kill(pid, SIGSTOP);
        waitpid(pid, &s, WUNTRACED);
        kill(pid, SIGCONT);
        CHECK(write(p[1], "x", 1) == 1);
        CHECK(waitpid(pid, &s, 0) == pid && WIFEXITED(s));
        CHECK(WEXITSTATUS(s) == 0);
}

TEST(sleep_interrupted_tells_rest)
{
        struct timespec t = {10, 0}, left = {0, 0};

        install(SIGUSR1, handler, SA_RESTART);
        later(50, SIGUSR1);
        CHECK_ERR(nanosleep(&t, &left), EINTR);
        CHECK(left.tv_sec == 9 && left.tv_nsec > 0);
}

TEST(poll_not_restarted)
{
        struct timespec t = {5, 0};
        struct pollfd f = {-1, 0, 0};

        install(SIGUSR1, handler, SA_RESTART);
        later(30, SIGUSR1);
        CHECK_ERR(poll(&f, 1, 5000), EINTR);
        later(30, SIGUSR1);
        CHECK_ERR(select(0, 0, 0, 0, (struct timeval *)&t), EINTR);
}

TEST(ppoll_mask)
{
        sigset_t none, s;
        struct timespec zero = {0, 0}, t = {5, 0};

        install(SIGUSR1, handler, 0);
        block(SIG_BLOCK, SIGUSR1);
        raise(SIGUSR1);
        sigemptyset(&none);
        CHECK_ERR(ppoll(0, 0, &t, &none), EINTR);
        CHECK(count == 1);
        sigprocmask(SIG_BLOCK, 0, &s);
        CHECK(sigismember(&s, SIGUSR1));
        CHECK(ppoll(0, 0, &zero, &none) == 0);
        sigprocmask(SIG_BLOCK, 0, &s);
        CHECK(sigismember(&s, SIGUSR1));
}

TEST(sigsuspend_waits_and_restores)
{
        sigset_t none, s;

        install_info(SIGUSR1, 0);
        block(SIG_BLOCK, SIGUSR1);
        later(30, SIGUSR1);
        sigemptyset(&none);
        sigaddset(&none, SIGUSR2);
        CHECK_ERR(sigsuspend(&none), EINTR);
        CHECK(count == 1);
        sigprocmask(SIG_BLOCK, 0, &s);
        CHECK(sigismember(&s, SIGUSR1) && !sigismember(&s, SIGUSR2));
        CHECK(sigismember(&context.uc_sigmask, SIGUSR1) == 1 && sigismember(&context.uc_sigmask, SIGUSR2) == 0);
}

TEST(pause_ends_by_handler)
{
        install(SIGUSR1, handler, SA_RESTART);
        later(30, SIGUSR1);
        CHECK_ERR(pause(), EINTR);
}

TEST(sigwait_family)
{
        sigset_t s;
        siginfo_t i;
        int n;
        struct timespec t = {0, 50000000}, bad = {0, -1};

        block(SIG_BLOCK, SIGUSR1);
        block(SIG_BLOCK, SIGUSR2);
        sigemptyset(&s);
        sigaddset(&s, SIGUSR1);
        later(30, SIGUSR1);
        CHECK(sigwait(&s, &n) == 0 && n == SIGUSR1);
        CHECK_ERR(sigtimedwait(&s, &i, &t), EAGAIN);
        CHECK_ERR(sigtimedwait(&s, &i, &bad), EINVAL);
        later(10, SIGUSR1);
        CHECK(sigwaitinfo(&s, &i) == SIGUSR1 && i.si_code == SI_USER);
        /* A signal that is not waited for interrupts. */
        install(SIGALRM, handler, 0);
        later(20, SIGALRM);
        t.tv_sec = 5;
        CHECK_ERR(syscall(SYS_rt_sigtimedwait, &s, &i, &t, 8), EINTR);
        CHECK(count == 1);
        /* An ignored one is taken while it is blocked. */
        block(SIG_BLOCK, SIGCHLD);
        sigemptyset(&s);
        sigaddset(&s, SIGCHLD);
        if (fork() == 0)
                _exit(0);
        CHECK(sigwaitinfo(&s, &i) == SIGCHLD);
}

TEST(alarm_and_itimer)
{
        struct itimerval it = {{0, 20000}, {0, 20000}}, old;

        install(SIGALRM, handler, 0);
        CHECK(alarm(10) > 0); /* the frame's own */
        CHECK(alarm(0) == 10);
        CHECK(setitimer(ITIMER_REAL, &it, 0) == 0);
        while (count < 5)
                pause();
        CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_interval.tv_usec == 20000);
        memset(&it, 0, sizeof(it));
        CHECK(setitimer(ITIMER_REAL, &it, &old) == 0);
        CHECK_ERR(setitimer(9, &it, 0), EINVAL);
        it.it_value.tv_usec = 1000000;
        CHECK_ERR(setitimer(ITIMER_REAL, &it, 0), EINVAL);
}

TEST(cpu_timers)
{
        struct itimerval it = {{0, 0}, {0, 50000}};

        install(SIGVTALRM, handler, 0);
        install(SIGPROF, handler, 0);
        CHECK(setitimer(ITIMER_VIRTUAL, &it, 0) == 0);
        while (count < 1)
                ;
        CHECK(last == SIGVTALRM);
        CHECK(setitimer(ITIMER_PROF, &it, 0) == 0);
        while (count < 2)
                getppid();
        CHECK(last == SIGPROF);
}

TEST(nested_handlers_order)
{
        sigset_t s;

        install(SIGUSR1, handler, 0);
        install(SIGUSR2, handler, 0);
        sigfillset(&s);
        sigprocmask(SIG_SETMASK, &s, 0);
        raise(SIGUSR2);
        raise(SIGUSR1);
        sigemptyset(&s);
        sigprocmask(SIG_SETMASK, &s, 0);
        CHECK(count == 2); /* the later frame runs first */
        CHECK(order[0] == SIGUSR2 && order[1] == SIGUSR1);
}

static volatile pid_t who;
static void tid_handler(int n)
{
        who = (pid_t)syscall(SYS_gettid);
        handler(n);
}
static volatile int stop_thread;
static volatile pid_t thread_tid;
static void *wait_thread(void *arg)
{
        (void)arg;
        thread_tid = (pid_t)syscall(SYS_gettid);
        while (!stop_thread)
                msleep(2);
        return 0;
}

TEST(thread_takes_what_leader_blocks)
{
        pthread_t t;

        install(SIGUSR1, tid_handler, 0);
        pthread_create(&t, 0, wait_thread, 0);
        while (!thread_tid)
                msleep(1);
        block(SIG_BLOCK, SIGUSR1);
        kill(getpid(), SIGUSR1);
        for (int i = 0; i < 500 && !count; i++)
                msleep(2);
        CHECK(count == 1 && who == thread_tid);
        CHECK(pthread_kill(t, SIGUSR1) == 0);
        for (int i = 0; i < 500 && count < 2; i++)
                msleep(2);
        CHECK(count == 2 && who == thread_tid);
        stop_thread = 1;
        pthread_join(t, 0);
}

TEST(child_inherits_mask_and_handlers)
{
        sigset_t s;
        int st;

        install(SIGUSR1, handler, 0);
        signal(SIGUSR2, SIG_IGN);
        block(SIG_BLOCK, SIGALRM);
        raise(SIGALRM);
        if (fork() == 0) {
                struct sigaction a;

                sigprocmask(SIG_BLOCK, 0, &s);
                if (!sigismember(&s, SIGALRM))
                        _exit(1);
                sigpending(&s);
                if (sigismember(&s, SIGALRM))
                        _exit(2);
                sigaction(SIGUSR1, 0, &a);
                if (a.sa_handler != handler)
                        _exit(3);
                sigaction(SIGUSR2, 0, &a);
                _exit(a.sa_handler == SIG_IGN ? 0 : 4);
        }
        wait(&st);
        CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

TEST(exec_keeps_ignored_resets_caught)
{
        char *argv[] = {"sh", "-c", "kill -USR2 $$; kill -USR1 $$; exit 5", 0};
        int s;

        if (fork() == 0) {
                install(SIGUSR1, handler, 0);
                signal(SIGUSR2, SIG_IGN);
                execv("/bin/sh", argv);
                _exit(9);
        }
        wait(&s);
        CHECK(WIFSIGNALED(s) && WTERMSIG(s) == SIGUSR1);
}

TEST(storm_between_processes)
{
        pid_t pid;
        int s;

        install(SIGUSR1, handler, 0);
        pid = fork();
        if (pid == 0) {
                while (count < 500)
                        kill(getppid(), SIGUSR1), sched_yield();
                _exit(0);
        }
        while (waitpid(pid, &s, WNOHANG) == 0)
                kill(pid, SIGUSR1);
        CHECK(WIFEXITED(s) && WEXITSTATUS(s) == 0);
}

TEST_MAIN
