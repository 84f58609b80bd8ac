/*
 * image.c - images of a machine in a process, by fork.
 *
 * The image has nothing of the process but its memory: no files, since whoever waits for the end of a pipe or for a lock would wait for it; no handlers of signals, so on a store it can only read the
 * heap. It looks for its parent now and then: one that was killed leaves nobody who kills it. Its end is the end of a pipe, so nobody else who waits for processes has to know it.
 */
#define _GNU_SOURCE
#include "pvm/host/image.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_US 100000

static pid_t child;            /* 0: none */
static int ends[2] = {-1, -1}; /* of the pipe: the image has ends[1], and it alone */
static pid_t parent;           /* in the image */

void *image_shared_alloc(size_t len)
{
        void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        return p == MAP_FAILED ? NULL : p;
}

void image_shared_free(void *p, size_t len)
{
        munmap(p, len);
}

static void look_for_parent(int sig)
{
        (void)sig;
        if (getppid() != parent)
                _exit(1);
}

static void __attribute__((noreturn)) be_image(void (*fn)(void))
{
        struct sigaction look = {.sa_handler = look_for_parent, .sa_flags = SA_RESTART};
        struct itimerval every = {{0, LOOK_US}, {0, LOOK_US}};
        sigset_t none;

        dup2(ends[1], 0);
        syscall(SYS_close_range, 1u, ~0u, 0u);
        for (int sig = 1; sig < NSIG; sig++)
                signal(sig, SIG_DFL);
        sigaction(SIGALRM, &look, NULL);
        setitimer(ITIMER_REAL, &every, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        look_for_parent(0);
        fn();
        _exit(0);
}

void image_reap(bool wait)
{
        if (child && ends[0] < 0 && waitpid(child, NULL, wait ? 0 : WNOHANG))
                child = 0;
}

static void forget_pipe(void)
{
        if (ends[0] >= 0)
                close(ends[0]);
        ends[0] = -1;
}

int image_start(void (*fn)(void))
{
        sigset_t all, before;
        pid_t pid;

        image_reap(true);
        if (pipe2(ends, O_CLOEXEC))
                return -errno;
        parent = getpid();
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        pid = fork();
        if (!pid)
                be_image(fn);
        if (pid < 0)
                pid = -errno;
        sigprocmask(SIG_SETMASK, &before, NULL);
        close(ends[1]);
        if (pid < 0)
                forget_pipe();
        else
                child = pid;
        return pid < 0 ? pid : 0;
}

bool image_runs(void)
{
        struct pollfd end = {.fd = ends[0], .events = POLLIN};

        return ends[0] >= 0 && !poll(&end, 1, 0);
}

int image_fd(void)
{
        return ends[0];
}

void image_end(void)
{
        if (child)
                kill(child, SIGKILL);
        forget_pipe();
}
