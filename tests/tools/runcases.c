/*
 * runcases.c - runs test programs in the guest, several at a time, and prints one result for each.
 *
 *   runcases [-j JOBS] [-t SECONDS] [-o] [-1] LIST
 *
 * A line of LIST is a name, and a command whose words are separated by blanks. Each runs as a session of its own, in an
 * empty directory of its own, with no input; when it ends or its time is over, all of its session's first process group
 * is killed. Prints `PASS name` for status 0, else `FAIL name why` and the end of its output, each line behind `  | `.
 * With -o the command is itself a runner: its output is printed whole, between `OUTPUT name` and the result.
 * With -1 all of them have the first CPU only.
 * The last line is `END passed failed`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS  32
#define TAIL      700 /* bytes of output shown for a failure */
#define MAX_WORDS 64

struct job {
        pid_t pid; /* 0: free */
        int out;   /* what it prints comes from here */
        char *name, *text;
        size_t len;
        double deadline;
        char dir[64];
};

static struct job jobs[MAX_JOBS];
static unsigned njobs = 1, serial, passed, failed;
static double seconds = 60;
static int whole_output, wake[2];

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec + t.tv_nsec / 1e9;
}

static void child_ended(int sig)
{
        int saved = errno;

        (void)sig;
        if (write(wake[1], "", 1) < 0) {
                /* the pipe is full: the main loop is awake anyway */
        }
        errno = saved;
}

static void remove_tree(const char *dir)
{
        pid_t pid = fork();

        if (pid == 0) {
                execlp("rm", "rm", "-rf", dir, (char *)NULL);
                _exit(127);
        }
        waitpid(pid, NULL, 0);
}

static void start(struct job *j, char *line)
{
        char *word[MAX_WORDS + 1];
        unsigned n = 0;
        int p[2];

        for (char *w = strtok(line, " \n"); w && n < MAX_WORDS; w = strtok(NULL, " \n"))
                word[n++] = w;
        word[n] = NULL;
        if (n < 2)
                return;
        j->name = strdup(word[0]);
        snprintf(j->dir, sizeof(j->dir), "/tmp/case.%d.%u", getpid(), serial++);
        if (mkdir(j->dir, 0777) < 0 || pipe2(p, O_CLOEXEC) < 0) {
                perror(j->dir);
                exit(1);
        }
        fflush(stdout);
        j->pid = fork();
        if (j->pid < 0) {
                perror("fork");
                exit(1);
        }
        if (j->pid == 0) {
                setsid();
                signal(SIGCHLD, SIG_DFL);
                close(0);
                if (open("/dev/null", O_RDONLY) != 0 || dup2(p[1], 1) < 0 || dup2(p[1], 2) < 0 || chdir(j->dir) < 0)
                        _exit(126);
                execvp(word[1], word + 1);
                perror(word[1]);
                _exit(127);
        }
        close(p[1]);
        fcntl(p[0], F_SETFL, O_NONBLOCK);
        j->out = p[0];
        j->text = NULL;
        j->len = 0;
        j->deadline = now() + seconds;
}

static void collect(struct job *j)
{
        static char buf[65536];
        ssize_t n;

        while ((n = read(j->out, buf, sizeof(buf))) > 0) {
                j->text = realloc(j->text, j->len + n);
                memcpy(j->text + j->len, buf, n);
                j->len += n;
                /* A program that prints for ever must not take all memory. */
                if (!whole_output && j->len > sizeof(buf)) {
                        memmove(j->text, j->text + j->len - TAIL, TAIL);
                        j->len = TAIL;
                }
        }
}

static void show_tail(const struct job *j)
{
        size_t at = j->len > TAIL ? j->len - TAIL : 0;
        int begin = 1;

        for (; at < j->len; at++) {
                if (begin)
                        fputs("  | ", stdout);
                putchar(j->text[at]);
                begin = j->text[at] == '\n';
        }
        if (!begin)
                putchar('\n');
}

static void finish(struct job *j, int status, int timed_out)
{
        kill(-j->pid, SIGKILL);
        if (timed_out)
                waitpid(j->pid, &status, 0);
        collect(j);
        close(j->out);
        if (whole_output) {
                printf("OUTPUT %s\n", j->name);
                fwrite(j->text, 1, j->len, stdout);
                if (j->len && j->text[j->len - 1] != '\n')
                        putchar('\n');
        }
        if (timed_out)
                printf("FAIL %s timeout\n", j->name);
        else if (WIFSIGNALED(status))
                printf("FAIL %s signal %d\n", j->name, WTERMSIG(status));
        else if (WEXITSTATUS(status))
                printf("FAIL %s status %d\n", j->name, WEXITSTATUS(status));
        else
                printf("PASS %s\n", j->name);
        if (timed_out || status) {
                failed++;
                if (!whole_output)
                        show_tail(j);
        } else {
                passed++;
        }
        fflush(stdout);
        remove_tree(j->dir);
        free(j->name);
        free(j->text);
        j->pid = 0;
}

/* Waits until something happens; collects output, ends what has ended or is over its time. */
static void turn(void)
{
        struct pollfd fds[MAX_JOBS + 1];
        double first = now() + 60;
        char drop[64];
        int status;

        for (unsigned i = 0; i < njobs; i++) {
                fds[i] = (struct pollfd){.fd = jobs[i].pid ? jobs[i].out : -1, .events = POLLIN};
                if (jobs[i].pid && jobs[i].deadline < first)
                        first = jobs[i].deadline;
        }
        fds[njobs] = (struct pollfd){.fd = wake[0], .events = POLLIN};
        first -= now();
        poll(fds, njobs + 1, first > 0 ? first * 1000 + 1 : 0);
        while (read(wake[0], drop, sizeof(drop)) > 0)
                ;
        for (unsigned i = 0; i < njobs; i++) {
                if (!jobs[i].pid)
                        continue;
                /* Its output is closed but it runs on: poll must not spin on the hang-up. */
                if (fds[i].revents == POLLHUP)
                        poll(NULL, 0, 10);
                collect(&jobs[i]);
                if (waitpid(jobs[i].pid, &status, WNOHANG) == jobs[i].pid)
                        finish(&jobs[i], status, 0);
                else if (now() > jobs[i].deadline)
                        finish(&jobs[i], 0, 1);
        }
}

static struct job *free_job(void)
{
        for (unsigned i = 0; i < njobs; i++)
                if (!jobs[i].pid)
                        return &jobs[i];
        return NULL;
}

static unsigned running(void)
{
        unsigned n = 0;

        for (unsigned i = 0; i < njobs; i++)
                n += jobs[i].pid != 0;
        return n;
}

static void first_cpu_only(void)
{
        cpu_set_t first;

        CPU_ZERO(&first);
        CPU_SET(0, &first);
        if (sched_setaffinity(0, sizeof(first), &first) < 0) {
                perror("runcases: sched_setaffinity");
                exit(2);
        }
}

int main(int argc, char **argv)
{
        char line[4096];
        FILE *list;
        int opt;

        while ((opt = getopt(argc, argv, "j:t:o1")) != -1) {
                switch (opt) {
                case 'j':
                        njobs = atoi(optarg);
                        break;
                case 't':
                        seconds = atof(optarg);
                        break;
                case 'o':
                        whole_output = 1;
                        break;
                case '1':
                        first_cpu_only();
                        break;
                default:
                        return 2;
                }
        }
        list = optind + 1 == argc && njobs >= 1 && njobs <= MAX_JOBS ? fopen(argv[optind], "re") : NULL;
        if (!list || pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0) {
                fprintf(stderr, "runcases: bad arguments, or no list\n");
                return 2;
        }
        sigaction(SIGCHLD, &(struct sigaction){.sa_handler = child_ended, .sa_flags = SA_RESTART}, NULL);
        while (fgets(line, sizeof(line), list)) {
                while (!free_job())
                        turn();
                start(free_job(), line);
        }
        while (running())
                turn();
        printf("END %u %u\n", passed, failed);
        return failed != 0;
}
