/*
 * pipe.c - pipes with data in them, readers and writers that wait, FIFOs: every byte comes once and in order.
 */
#include "tests/survive/survive.h"

static uint8_t byte_at(uint64_t pos)
{
        return (uint8_t)(pos * 2654435761u >> 13 ^ pos >> 16);
}

static void produce(int fd)
{
        static uint8_t buf[20000];
        uint64_t pos = 0;

        for (uint64_t n = 0;; n++) {
                size_t len = 1 + survive_mix(n) % (n % 8 ? 300 : sizeof(buf));

                for (size_t i = 0; i < len; i++)
                        buf[i] = byte_at(pos + i);
                survive_write(fd, buf, len);
                pos += len;
                if (n % 4 == 0)
                        survive_nap(4);
        }
}

static void pass(int in, int out)
{
        static uint8_t buf[5000];

        for (;;) {
                ssize_t n = read(in, buf, sizeof(buf));

                MUST(n > 0);
                survive_write(out, buf, (size_t)n);
        }
}

/* produce | pass | verify */
static void pipeline(volatile uint64_t *good)
{
        static uint8_t buf[70000];
        int a[2], b[2];
        uint64_t pos = 0;

        MUST(pipe(a) == 0 && pipe(b) == 0);
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                produce(a[1]);
        }
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                pass(a[0], b[1]);
        }
        for (uint64_t n = 0;; n++) {
                ssize_t len = read(b[0], buf, 1 + survive_mix(n + 99) % (n % 4 ? 1000 : sizeof(buf)));

                MUST(len > 0);
                for (ssize_t i = 0; i < len; i++)
                        SAME(buf[i], byte_at(pos + (uint64_t)i));
                pos += (uint64_t)len;
                *good = n + 1;
                if (n % 8 == 0)
                        survive_nap(8); /* what is in the pipes waits, and who writes too */
        }
}

/* A pipe that always holds a hundred numbers: one goes in, the oldest comes out. */
static void stock(volatile uint64_t *good)
{
        uint64_t in = 0, out;
        int p[2];

        MUST(pipe(p) == 0);
        while (in < 100)
                survive_write(p[1], &in, sizeof(in)), in++;
        for (;; in++) {
                survive_write(p[1], &in, sizeof(in));
                survive_read(p[0], &out, sizeof(out));
                SAME(out, in - 100);
                (*good)++;
                survive_nap(5);
        }
}

/* A FIFO, opened anew each time by both sides; the end of the file comes when the writer has closed. */
static void fifo(volatile uint64_t *good)
{
        const char *path = "/tmp/survive-fifo";
        uint64_t got;
        int ack[2];

        unlink(path);
        MUST(mkfifo(path, 0600) == 0 && pipe(ack) == 0);
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (uint64_t n = 0;; n++) {
                        int fd = open(path, O_WRONLY);

                        MUST(fd >= 0);
                        survive_write(fd, &n, sizeof(n));
                        survive_nap(5);
                        MUST(close(fd) == 0);
                        survive_read(ack[0], &got, sizeof(got)); /* the reader has closed it, too */
                        SAME(got, n);
                }
        }
        for (uint64_t n = 0;; n++) {
                int fd = open(path, O_RDONLY);

                MUST(fd >= 0);
                survive_read(fd, &got, sizeof(got));
                SAME(got, n);
                SAME(read(fd, &got, sizeof(got)), 0);
                MUST(close(fd) == 0);
                survive_write(ack[1], &n, sizeof(n));
                *good = n + 1;
        }
}

int main(void)
{
        survive_begin("pipe");
        survive_part(pipeline);
        survive_part(stock);
        survive_part(fifo);
        survive_watch();
}
