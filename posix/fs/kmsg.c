/*
 * kmsg.c - /dev/kmsg and /proc/kmsg: the kernel's log as records, one a read; what is written becomes a line of the log. The position counts bytes ever logged.
 * The log is volatile: a position from before a reboot that lies beyond its end begins anew.
 */
#include "posix/fs/fs_internal.h"
#include "posix/include/poll.h"
#include "kernel/include/work.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <linux/fs.h>

static const char kmsg_key[1];

static void tell_readers(struct work *w)
{
        (void)w;
        wake(kmsg_key);
}

static struct work telling = {.fn = tell_readers};

/* Called from any context, with interrupts off: only queues. */
static void line_logged(struct klog_console *c, const char *text, size_t len)
{
        (void)c;
        (void)text;
        (void)len;
        if (!klog_panicking())
                work_queue(&telling);
}

static struct klog_console listener = {.write = line_logged};

/* The line at *pos into buf, without its newline; *pos moves behind it. -1: none yet. */
static int next_line(uint64_t *pos, char *buf, size_t len)
{
        uint64_t at = *pos > klog_end() ? 0 : *pos, next;
        size_t n = klog_read(at, buf, len, &next);
        char *end = n ? memchr(buf, '\n', n) : NULL;

        if (!n)
                return -1;
        if (!end) /* a line that is still being written, or longer than any */
                return n < len ? -1 : (*pos = next, (int)n);
        *pos = next - n + (uint64_t)(end - buf) + 1;
        return (int)(end - buf);
}

/* "<6>[    1.234567] text" to "6,SEQ,1234567,-;text\n". */
static size_t record(uint64_t seq, char *line, int len, char *out, size_t size)
{
        uint64_t us = 0;
        char *text = line, level = '6';

        line[len] = 0;
        if (text[0] == '<' && text[1] && text[2] == '>') {
                level = text[1];
                text += 3;
        }
        if (text[0] == '[') {
                for (text++; *text && *text != ']'; text++) {
                        if (*text >= '0' && *text <= '9')
                                us = us * 10 + (uint64_t)(*text - '0');
                }
                text += *text == ']';
                text += *text == ' ';
        }
        return fmt_append(out, size, 0, "%c,%lu,%lu,-;%s\n", level, seq, us, text);
}

static long kmsg_read(struct call *c, struct file *f)
{
        struct vfs_scratch *s = vfs_scratch();
        uint64_t pos = f->pos;
        size_t n;
        int len;

        if (!s)
                return -ENOMEM;
        len = next_line(&pos, s->block, sizeof(s->block) - 1);
        if (len < 0) {
                if (f->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                /* Nothing holds the log still: stand in the queue first, then look again. */
                if (poll_key(c, kmsg_key))
                        return -ENOMEM;
                len = next_line(&pos, s->block, sizeof(s->block) - 1);
                if (len < 0)
                        return call_wait_poll(c, INTERRUPTIBLE, NO_DEADLINE);
        }
        n = record(f->pos, s->block, len, s->out, SCRATCH_OUT);
        if (n > c->io.len)
                return -EINVAL;
        if (io_copy_out(&c->io, s->out, n) < n)
                return user_fault(c);
        changes(c);
        f->pos = pos;
        return (long)n;
}

static long kmsg_write(struct call *c, struct file *f)
{
        struct vfs_scratch *s = vfs_scratch();
        size_t len = MIN(c->io.len, (size_t)960);
        char *text;
        int level = LOG_INFO;

        (void)f;
        if (!s)
                return -ENOMEM;
        if (io_copy_in(&c->io, s->block, len) < len)
                return user_fault(c);
        s->block[len] = 0;
        text = s->block;
        if (text[0] == '<' && strchr(text, '>')) { /* "<4>text": a level, as syslog's */
                level = text[1] >= '0' && text[1] <= '9' ? (text[1] - '0') & 7 : level;
                text = strchr(text, '>') + 1;
        }
        while (len && s->block[len - 1] == '\n')
                s->block[--len] = 0;
        klog((enum klog_level)level, "%s", text);
        return (long)c->io.len;
}

static uint32_t kmsg_poll(struct file *f, struct poll_table *pt)
{
        uint64_t end = klog_end();

        poll_register(pt, kmsg_key);
        return EPOLLOUT | EPOLLWRNORM | (f->pos != end ? EPOLLIN | EPOLLRDNORM : 0);
}

static long kmsg_seek(struct call *c, struct file *f, int64_t off, int whence)
{
        if (off)
                return -ESPIPE;
        changes(c);
        f->pos = whence == SEEK_END ? klog_end() : 0;
        return 0;
}

const struct file_ops kmsg_file_ops = {
        .name = "kmsg", .read = kmsg_read, .write = kmsg_write, .poll = kmsg_poll, .seek = kmsg_seek};

void kmsg_boot(void)
{
        klog_console_register(&listener);
}
