/*
 * unix.c - Unix files and processes of a machine in a process (pvm/host.h).
 *
 * Memory of the heap is only touched here, never given to the kernel: on a store it may be write-protected, or not there, which the kernel would call an error. Files are opened for one call each; what is not a file or a directory is opened without waiting for anybody. Processes have pipes to their standard input and output, and numbers of the machine's own:
 * a place in a table, and how often that was used, so that a number is not given again soon.
 */
#define _GNU_SOURCE
#include "pvm/host/unix.h"
#include "pvm/host.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES UNIX_PROCESSES
#define LIST_MAX  (16u << 20)

static char bounce[65536];

static size_t piece(uint64_t len)
{
        return len < sizeof(bounce) ? (size_t)len : sizeof(bounce);
}

/* ---- files ---- */

static int open_plain(const char *path, int flags)
{
        int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);

        return fd < 0 ? -errno : fd;
}

int64_t unix_read(const char *path, uint64_t at, void *to, uint64_t len)
{
        int fd = open_plain(path, O_RDONLY);
        uint64_t done = 0;
        ssize_t n = 1;

        if (fd < 0)
                return fd;
        while (n > 0 && done < len) {
                n = pread(fd, bounce, piece(len - done), (off_t)(at + done));
                if (n > 0) {
                        memcpy((char *)to + done, bounce, (size_t)n);
                        done += (uint64_t)n;
                }
        }
        n = n < 0 ? -errno : 0;
        close(fd);
        return n ? n : (int64_t)done;
}

static int write_all(int fd, int64_t at, const char *from, uint64_t len)
{
        while (len) {
                size_t now = piece(len);
                ssize_t n;

                memcpy(bounce, from, now);
                n = at < 0 ? write(fd, bounce, now) : pwrite(fd, bounce, now, at);
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                from += n;
                len -= (uint64_t)n;
                at += at < 0 ? 0 : n;
        }
        return 0;
}

int unix_write(const char *path, int64_t at, const void *from, uint64_t len)
{
        int fd = open_plain(path, O_WRONLY | O_CREAT | (at < 0 ? O_APPEND : 0)), r;

        if (fd < 0)
                return fd;
        r = write_all(fd, at, from, len);
        return close(fd) && !r ? -errno : r;
}

int unix_replace(const char *path, const void *from, uint64_t len)
{
        struct stat old;
        char *other;
        int fd, r;

        if (asprintf(&other, "%s.XXXXXX", path) < 0)
                return -ENOMEM;
        fd = mkostemp(other, O_CLOEXEC);
        r = fd < 0 ? -errno : write_all(fd, -1, from, len);
        if (fd >= 0) {
                mode_t mask = umask(0);

                umask(mask);
                if (!r && fchmod(fd, stat(path, &old) ? 0666 & ~mask : old.st_mode & 07777))
                        r = -errno;
                if (!r && fsync(fd)) /* else a power cut might leave the new name with nothing in it */
                        r = -errno;
                if (close(fd) && !r)
                        r = -errno;
                if (!r && rename(other, path))
                        r = -errno;
                if (r)
                        unlink(other);
        }
        free(other);
        return r;
}

int unix_info(const char *path, struct pvm_unix_file *f)
{
        struct stat s;

        if (stat(path, &s))
                return -errno;
        f->kind = S_ISREG(s.st_mode) ? 1 : S_ISDIR(s.st_mode) ? 2 : 3;
        f->sized = f->kind == 1 && s.st_size; /* those in /proc say 0 */
        f->size = f->kind == 1 ? (uint64_t)s.st_size : 0;
        f->changed_ms = (int64_t)s.st_mtim.tv_sec * 1000 + s.st_mtim.tv_nsec / 1000000;
        return 0;
}

int unix_change(enum pvm_unix_change how, const char *path, const char *to, uint64_t size)
{
        int r = -1;

        switch (how) {
        case PVM_UNIX_REMOVE:
                r = remove(path);
                break;
        case PVM_UNIX_RENAME:
                r = rename(path, to);
                break;
        case PVM_UNIX_MKDIR:
                r = mkdir(path, 0777);
                break;
        case PVM_UNIX_RESIZE:
                r = truncate(path, (off_t)size);
                break;
        }
        return r ? -errno : 0;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

int unix_list(const char *path, void **names, size_t *len)
{
        DIR *d = opendir(path);
        char **list = NULL, *to;
        size_t n = 0, bytes = 0;
        struct dirent *e;
        int r = 0;

        if (!d)
                return -errno;
        while (!r && (errno = 0, e = readdir(d))) {
                if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
                        continue;
                if (!(n & (n - 1))) {
                        char **more = realloc(list, (n ? 2 * n : 1) * sizeof(*list));

                        r = more ? 0 : -ENOMEM;
                        list = more ? more : list;
                }
                if (!r && !(list[n] = strdup(e->d_name)))
                        r = -ENOMEM;
                n += !r;
                bytes += strlen(e->d_name) + 1;
                if (bytes > LIST_MAX)
                        r = -E2BIG;
        }
        if (!r)
                r = -errno;
        closedir(d);
        if (n)
                qsort(list, n, sizeof(*list), by_name);
        *len = 0;
        *names = to = r ? NULL : pvm_host->mem_alloc(bytes + 1);
        if (!r && !to)
                r = -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                if (!r) {
                        size_t k = strlen(list[i]) + 1;

                        memcpy(to + *len, list[i], k);
                        *len += k;
                }
                free(list[i]);
        }
        free(list);
        return r;
}

const char *unix_error_text(int error)
{
        return strerror(error);
}

/* Of a machine whose programs go on. Elsewhere they would be lost. */
int unix_reboot(void)
{
        if (access("/proc/phantom", F_OK))
                return -ENOSYS;
        return reboot(RB_AUTOBOOT) ? -errno : 0;
}

/* ---- processes ---- */

static struct process {
        pid_t pid; /* 0: the place is free */
        int number;
        int in, out; /* -1: closed */
        int status;  /* -1: it runs */
        bool forgotten;
        bool asked[PVM_PROCESS_EVENTS]; /* since idle waited last */
} processes[PROCESSES];
static int rounds;
static bool children; /* SIGCHLD is blocked but in unix_wait, so that none is missed */

static void on_child(int sig)
{
        (void)sig;
}

/* Who has ended, of these: an image of the machine (image.c) is waited for where it was made. */
static void reap(void)
{
        int status;

        for (struct process *p = processes; p < processes + PROCESSES; p++) {
                if (!p->pid || p->status >= 0 || waitpid(p->pid, &status, WNOHANG) != p->pid)
                        continue;
                p->status = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
                if (p->forgotten)
                        p->pid = 0;
        }
}

static struct process *find(int number)
{
        struct process *p = &processes[(unsigned)number % PROCESSES];

        reap();
        return number > 0 && p->pid && p->number == number && !p->forgotten ? p : NULL;
}

static void close_end(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static int spawn(const char *const *args, int in, int out, pid_t *pid)
{
        posix_spawn_file_actions_t files;
        posix_spawnattr_t how;
        sigset_t none, all;
        int r;

        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&files);
        posix_spawnattr_init(&how);
        r = posix_spawn_file_actions_adddup2(&files, in, 0);
        if (!r)
                r = posix_spawn_file_actions_adddup2(&files, out, 1);
        if (!r)
                r = posix_spawnattr_setsigmask(&how, &none);
        if (!r)
                r = posix_spawnattr_setsigdefault(&how, &all);
        if (!r)
                r = posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (!r)
                r = posix_spawnp(pid, args[0], &files, &how, (char *const *)args, environ);
        posix_spawnattr_destroy(&how);
        posix_spawn_file_actions_destroy(&files);
        return -r;
}

void unix_children(void)
{
        struct sigaction sa = {.sa_handler = on_child};
        sigset_t child;

        if (children)
                return;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigaction(SIGCHLD, &sa, NULL);
        pthread_sigmask(SIG_BLOCK, &child, NULL);
        children = true;
}

int process_start(const char *const *args)
{
        struct process *p = processes;
        int in[2], out[2], r;

        unix_children();
        reap();
        while (p < processes + PROCESSES && p->pid)
                p++;
        if (p == processes + PROCESSES)
                return -EAGAIN;
        if (pipe2(in, O_CLOEXEC))
                return -errno;
        if (pipe2(out, O_CLOEXEC)) {
                r = -errno;
                close(in[0]);
                close(in[1]);
                return r;
        }
        fflush(stdout);
        r = spawn(args, in[0], out[1], &p->pid);
        close(in[0]);
        close(out[1]);
        if (r) {
                close(in[1]);
                close(out[0]);
                p->pid = 0;
                return r;
        }
        fcntl(in[1], F_SETFL, O_NONBLOCK);
        fcntl(out[0], F_SETFL, O_NONBLOCK);
        *p = (struct process){.pid = p->pid, .in = in[1], .out = out[0], .status = -1};
        rounds = (rounds + 1) & 0xffffff;
        p->number = rounds * PROCESSES + (int)(p - processes);
        if (!p->number)
                p->number = PROCESSES;
        return p->number;
}

int64_t process_read(int process, void *to, uint64_t len)
{
        struct process *p = find(process);
        ssize_t n;

        if (!p)
                return -ESRCH;
        if (p->out < 0)
                return 0;
        n = read(p->out, bounce, piece(len));
        if (n < 0)
                return -errno;
        memcpy(to, bounce, (size_t)n);
        if (!n)
                close_end(&p->out);
        return n;
}

/* SIGPIPE is kept off this write alone: for the console it means what it always does. */
int64_t process_write(int process, const void *from, uint64_t len)
{
        struct process *p = find(process);
        const struct timespec now = {0, 0};
        sigset_t pipe, old;
        int64_t n;

        if (!p)
                return -ESRCH;
        if (p->in < 0)
                return -EPIPE;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe, &old);
        len = piece(len);
        memcpy(bounce, from, len);
        n = write(p->in, bounce, len);
        if (n < 0) {
                n = -errno;
                if (n == -EPIPE && !sigismember(&old, SIGPIPE))
                        sigtimedwait(&pipe, NULL, &now);
        }
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        return n;
}

int process_close_input(int process)
{
        struct process *p = find(process);

        if (!p)
                return -ESRCH;
        close_end(&p->in);
        return 0;
}

int process_status(int process)
{
        struct process *p = find(process);

        return !p ? -ESRCH : p->status < 0 ? -EAGAIN : p->status;
}

int process_signal(int process, int signal)
{
        struct process *p = find(process);

        if (!p || p->status >= 0)
                return -ESRCH;
        return kill(p->pid, signal) ? -errno : 0;
}

int process_forget(int process)
{
        struct process *p = find(process);

        if (!p)
                return -ESRCH;
        close_end(&p->in);
        close_end(&p->out);
        p->forgotten = true;
        if (p->status >= 0)
                p->pid = 0;
        return 0;
}

/* ---- waiting ---- */

bool unix_ready(uint32_t source)
{
        enum pvm_process_event event = source % PVM_PROCESS_EVENTS;
        struct process *p = find((int)(source / PVM_PROCESS_EVENTS));
        struct pollfd fd;

        if (!p) /* the call finds that out */
                return true;
        fd = event == PVM_PROCESS_OUTPUT ? (struct pollfd){.fd = p->out, .events = POLLIN}
                                         : (struct pollfd){.fd = p->in, .events = POLLOUT};
        if (event == PVM_PROCESS_END ? p->status >= 0 : fd.fd < 0 || poll(&fd, 1, 0) > 0)
                return true;
        p->asked[event] = true;
        return false;
}

void unix_wait_begin(struct unix_wait *w, const struct pollfd *more, unsigned nmore)
{
        w->n = 0;
        for (; w->n < nmore && w->n < UNIX_WAIT_MORE; w->n++)
                w->fds[w->n] = more[w->n];
        for (struct process *p = processes; p < processes + PROCESSES; p++) {
                if (p->pid && p->asked[PVM_PROCESS_OUTPUT])
                        w->fds[w->n++] = (struct pollfd){.fd = p->out, .events = POLLIN};
                if (p->pid && p->asked[PVM_PROCESS_INPUT])
                        w->fds[w->n++] = (struct pollfd){.fd = p->in, .events = POLLOUT};
                memset(p->asked, 0, sizeof(p->asked));
        }
}

int unix_wait(struct unix_wait *w, const struct timespec *time)
{
        sigset_t mask;

        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        sigdelset(&mask, SIGCHLD);
        return ppoll(w->fds, w->n, time, children ? &mask : NULL);
}

void unix_close(void)
{
        for (struct process *p = processes; p < processes + PROCESSES; p++) {
                if (!p->pid)
                        continue;
                close_end(&p->in);
                close_end(&p->out);
                p->pid = 0;
        }
}
