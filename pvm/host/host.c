/*
 * host.c - struct pvm_host of a Linux process: memory from mmap, class files from folders, the console is stdin and stdout.
 */
#define _GNU_SOURCE
#include "pvm/host/host.h"
#include "pvm/host/image.h"
#include "pvm/host/monitor.h"
#include "pvm/host/store.h"
#include "pvm/host/unix.h"
#include "pvm/format.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define HEAP_BYTES  (PVM_BLOCKS_MAX * PVM_BLOCK_BYTES)
#define MAX_FOLDERS 64

static char *folders[MAX_FOLDERS];
static unsigned nfolders;
static bool mapped, stored;
static uint64_t clock_offset, last_snapshot;
#define SNAPSHOT_NS  100000000ul
#define WORKER_STACK (8ul << 20)
#define TICK_US      10000
#define TICK_TIMES   3
void (*hosted_pvm_console)(const char *text, size_t len);

static void *mem_alloc(size_t len)
{
        return calloc(1, len ? len : 1);
}

static void mem_free(void *p, size_t len)
{
        (void)len;
        free(p);
}

static int heap_provide(void *start, size_t len)
{
        /* Without a store all of it was mapped, and is given a page when it is touched. */
        return stored ? heap_store_provide(start, len) : 0;
}

static int read_file(const char *path, void **file, size_t *size)
{
        FILE *f = fopen(path, "rb");
        long len;
        int r = -EIO;

        if (!f)
                return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG ? -ENOENT : -EIO;
        *file = NULL;
        if (!fseek(f, 0, SEEK_END) && (len = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET)) {
                if ((size_t)len > PVM_MAX_FILE) {
                        r = -EFBIG;
                } else {
                        *file = mem_alloc((size_t)len);
                        *size = (size_t)len;
                        r = !*file ? -ENOMEM : fread(*file, 1, *size, f) == *size ? 0 : -EIO;
                }
        }
        fclose(f);
        if (r)
                free(*file);
        return r;
}

/* .a.b.c is a/b/c.pvmc; names have no '/' in them. */
static int find_class(const char *name, size_t len, void **file, size_t *size)
{
        char path[4096];

        for (unsigned i = 0; i < nfolders; i++) {
                int n = snprintf(path, sizeof(path), "%s/%.*s%s", folders[i], (int)len - 1, name + 1, PVM_SUFFIX);
                size_t at = strlen(folders[i]) + 1;
                int r;

                if (n < 0 || (size_t)n >= sizeof(path))
                        continue;
                for (size_t k = at; k < at + len - 1; k++)
                        if (path[k] == '.')
                                path[k] = '/';
                r = read_file(path, file, size);
                if (r != -ENOENT)
                        return r;
        }
        return -ENOENT;
}

static void console_write(const char *text, size_t len)
{
        if (hosted_pvm_console)
                hosted_pvm_console(text, len);
        else
                fwrite(text, 1, len, stdout);
}

/* What was read and not yet asked for. */
static struct {
        uint8_t bytes[4096];
        size_t at, end;
} input;

static bool console_ready(void)
{
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

        return input.at < input.end || poll(&in, 1, 0) > 0;
}

static bool input_ready(uint32_t source)
{
        return source ? unix_ready(source) : console_ready();
}

static int console_read(void)
{
        ssize_t n;

        if (!console_ready())
                return PVM_CONSOLE_LATER;
        if (input.at < input.end)
                return input.bytes[input.at++];
        fflush(stdout);
        n = read(STDIN_FILENO, input.bytes, sizeof(input.bytes));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return PVM_CONSOLE_LATER;
        if (n <= 0)
                return PVM_CONSOLE_END;
        input.at = 1;
        input.end = (size_t)n;
        return input.bytes[0];
}

static uint64_t clock_ns(clockid_t id)
{
        struct timespec t;

        clock_gettime(id, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t monotonic_ns(void)
{
        return clock_ns(CLOCK_MONOTONIC) + clock_offset;
}

static uint64_t real_ns(void)
{
        return clock_ns(CLOCK_REALTIME);
}

/* ---- ticks ---- */

static bool ticks;
static unsigned nstarted; /* workers, but the first one */

static void tick(int sig)
{
        (void)sig;
        pvm_interrupt();
}

/* Of processor time: who waits is not woken by it. Of that of all workers, so there is more of it to a tick when there are several: each tick stops them all. */
static void set_ticks(void)
{
        long us = ticks ? TICK_US * (1 + (nstarted < TICK_TIMES ? nstarted : TICK_TIMES)) : 0;
        struct itimerval every = {{0, us}, {0, us}};

        setitimer(ITIMER_PROF, &every, NULL);
}

/* ---- workers ---- */

static pthread_mutex_t locks[PVM_LOCKS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool idles;                   /* somebody is in idle */
static int alarm_pipe[2] = {-1, -1}; /* what is written there ends it; open if there are several workers */

static void lock(enum pvm_lock l)
{
        pthread_mutex_lock(&locks[l]);
}

static void unlock(enum pvm_lock l)
{
        pthread_mutex_unlock(&locks[l]);
}

static void wait_for_wake(void)
{
        pthread_cond_wait(&changed, &locks[PVM_LOCK_MACHINE]);
}

static void wake(void)
{
        pthread_cond_broadcast(&changed);
        if (idles && write(alarm_pipe[1], "", 1) < 0 && errno != EAGAIN)
                perror("pvm: wake");
}

static void idle(uint64_t until, bool wants_input)
{
        uint64_t now = monotonic_ns(), wait = until > now ? until - now : 0;
        struct pollfd fds[] = {{.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN},
                               {.fd = monitor_fd(), .events = POLLIN},
                               {.fd = alarm_pipe[0], .events = POLLIN},
                               {.fd = image_fd(), .events = POLLIN}};
        struct unix_wait w;
        char rubbish[64];

        if (stored && (!until || wait > SNAPSHOT_NS))
                wait = SNAPSHOT_NS;
        struct timespec t = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};

        fflush(stdout);
        image_reap(true);
        unix_wait_begin(&w, fds, 4);
        idles = true;
        unlock(PVM_LOCK_MACHINE);
        unix_wait(&w, until || stored ? &t : NULL);
        lock(PVM_LOCK_MACHINE);
        idles = false;
        if (w.fds[2].revents && read(alarm_pipe[0], rubbish, sizeof(rubbish)) < 0)
                perror("pvm: idle");
        if (w.fds[1].revents || w.fds[3].revents || (stored && monotonic_ns() - last_snapshot >= SNAPSHOT_NS))
                pvm_interrupt();
}

static void *run_worker(void *run)
{
        ((void (*)(void))run)();
        return NULL;
}

static void *worker_start(void (*run)(void))
{
        pthread_t *thread = malloc(sizeof(*thread));
        pthread_attr_t how;
        sigset_t blocked, before;
        int r = -1;

        if (alarm_pipe[0] < 0 && pipe2(alarm_pipe, O_CLOEXEC | O_NONBLOCK))
                alarm_pipe[0] = -1;
        unix_children();
        /* Signals go to the first worker, but those of faults, and who writes to nobody. */
        sigfillset(&blocked);
        sigdelset(&blocked, SIGSEGV);
        sigdelset(&blocked, SIGBUS);
        sigdelset(&blocked, SIGFPE);
        sigdelset(&blocked, SIGILL);
        sigdelset(&blocked, SIGPIPE);
        if (thread && alarm_pipe[0] >= 0 && !pthread_attr_init(&how)) {
                pthread_attr_setstacksize(&how, WORKER_STACK);
                pthread_sigmask(SIG_SETMASK, &blocked, &before);
                r = pthread_create(thread, &how, run_worker, (void *)run);
                pthread_sigmask(SIG_SETMASK, &before, NULL);
                pthread_attr_destroy(&how);
        }
        if (r) {
                free(thread);
                return NULL;
        }
        nstarted++;
        set_ticks();
        return thread;
}

static void worker_join(void *w)
{
        pthread_join(*(pthread_t *)w, NULL);
        free(w);
        nstarted--;
        set_ticks();
}

static void safepoint(void)
{
        uint64_t now;

        monitor_serve();
        image_reap(false);
        if (!stored)
                return;
        now = monotonic_ns();
        if (now - last_snapshot < SNAPSHOT_NS)
                return;
        last_snapshot = now;
        fflush(stdout);
        if (heap_store_ready())
                pvm_snapshot_comes();
        heap_store_snapshot(now, false);
}

static void *code_memory(size_t len)
{
        void *p = mmap(NULL, len, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        return p == MAP_FAILED ? NULL : p;
}

static int code_write(void *at, const void *from, size_t len)
{
        char *page = (char *)((uint64_t)at & ~4095ul);
        size_t bytes = (size_t)((char *)at + len - page);

        if (mprotect(page, bytes, PROT_READ | PROT_WRITE))
                return -errno;
        memcpy(at, from, len);
        return mprotect(page, bytes, PROT_READ | PROT_EXEC) ? -errno : 0;
}

static void code_free(void *start, size_t len)
{
        munmap(start, len);
}

static void __attribute__((format(printf, 1, 2))) host_log(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
}

static void __attribute__((format(printf, 1, 2), noreturn)) host_panic(const char *fmt, ...)
{
        va_list ap;

        fflush(stdout);
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
        abort();
}

static const struct pvm_host host = {
        .mem_alloc = mem_alloc,
        .mem_free = mem_free,
        .heap_provide = heap_provide,
        .find_class = find_class,
        .console_write = console_write,
        .console_read = console_read,
        .input_ready = input_ready,
        .unix_read = unix_read,
        .unix_write = unix_write,
        .unix_replace = unix_replace,
        .unix_info = unix_info,
        .unix_change = unix_change,
        .unix_list = unix_list,
        .error_text = unix_error_text,
        .reboot = unix_reboot,
        .process_start = process_start,
        .process_read = process_read,
        .process_write = process_write,
        .process_close_input = process_close_input,
        .process_status = process_status,
        .process_signal = process_signal,
        .process_forget = process_forget,
        .monotonic_ns = monotonic_ns,
        .real_ns = real_ns,
        .idle = idle,
        .lock = lock,
        .unlock = unlock,
        .wait = wait_for_wake,
        .wake = wake,
        .worker_start = worker_start,
        .worker_join = worker_join,
        .safepoint = safepoint,
        .call_text = monitor_call_text,
        .call_ended = monitor_call_ended,
        .code_memory = code_memory,
        .code_write = code_write,
        .code_free = code_free,
        .shared_alloc = image_shared_alloc,
        .shared_free = image_shared_free,
        .image_begin = image_start,
        .image_runs = image_runs,
        .image_end = image_end,
        .log = host_log,
        .panic = host_panic,
};
const struct pvm_host *pvm_host = &host;

int hosted_pvm_open(const char *store, uint64_t heap_bytes)
{
        clock_offset = 0;
        if (store) {
                uint64_t then;
                int r = heap_store_open(store, heap_bytes, &then);

                if (r < 0)
                        return r;
                stored = true;
                last_snapshot = 0;
                /* The clock goes on from where it was. */
                clock_offset = then - clock_ns(CLOCK_MONOTONIC);
                return r;
        }
        if (mmap((void *)PVM_HEAP_START, HEAP_BYTES, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != (void *)PVM_HEAP_START) {
                perror("pvm: no room for the heap");
                return -1;
        }
        /* If it can be had: a collection goes everywhere in the heap, and large pages spare it misses of the TLB. With a store there are no such pages: protection is by 32 KiB. */
        madvise((void *)PVM_HEAP_START, HEAP_BYTES, MADV_HUGEPAGE);
        mapped = true;
        return 0;
}

void hosted_pvm_close(void)
{
        if (stored) {
                heap_store_snapshot(monotonic_ns(), true);
                heap_store_close();
        }
        if (mapped)
                munmap((void *)PVM_HEAP_START, HEAP_BYTES);
        mapped = stored = false;
        while (nfolders)
                free(folders[--nfolders]);
        image_end();
        image_reap(true);
        unix_close();
        fflush(stdout);
}

bool hosted_pvm_folder(const char *folder)
{
        unsigned i = 0;

        while (i < nfolders && strcmp(folders[i], folder) != 0)
                i++;
        if (i == MAX_FOLDERS)
                return false;
        if (i == nfolders)
                folders[i] = strdup(folder);
        if (!folders[i])
                return false;
        nfolders += i == nfolders;
        return true;
}

void hosted_pvm_ticks(bool on)
{
        struct sigaction sa = {.sa_handler = tick, .sa_flags = SA_RESTART};

        sigaction(SIGPROF, &sa, NULL);
        ticks = on;
        set_ticks();
}
