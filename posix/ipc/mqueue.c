/*
 * mqueue.c - POSIX message queues. A queue is an object with a name in a list; a descriptor is a file on it. Messages are kept highest priority first, equal ones
 * in the order they came. Senders and receivers wait with CONDITION.
 *
 * Notification goes to the process that asked when a message comes to an empty queue nobody waits at; hence the count of sleeping receivers, which
 * a receiver raises before its first sleep and lowers when its call ends.
 *
 * Locks: LOCK_IPC of the list of names, or of a queue; never both but by lock2.
 */
#include "posix/ipc/ipc_internal.h"
#include "posix/ipc/message.h"
#include "posix/include/deadline.h"
#include "posix/include/poll.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include <linux/fcntl.h>
#include <linux/mqueue.h>
#include <linux/time_types.h>

#define QUEUES_MAX   256u /* fs.mqueue.queues_max */
#define MSG_MAX      10   /* fs.mqueue.msg_max and msg_default */
#define MSGSIZE_MAX  8192 /* fs.mqueue.msgsize_max and msgsize_default */
#define HARD_MSG_MAX 65536
#define HARD_MSGSIZE 65536 /* Linux's is 16 MiB; a message moves in one section here */
#define PRIO_END     32768u
#define NAME_LEN     255u
#define NOBODY       (-1)

enum { STAGE_RUN = 1, STAGE_ASLEEP };

#define LIST_KEY ((const void *)&ipc_state()->queues)

static struct mqueue *file_queue(struct file *f)
{
        return (struct mqueue *)f->priv;
}

bool mqueue_release(void *object)
{
        struct mqueue *q = object;

        if (messages_drop(&q->head))
                return true;
        space_free_bytes(q->name);
        space_free(q);
        return false;
}

void mqueue_touch(void *object)
{
        messages_touch(((struct mqueue *)object)->head);
}

/* ---- names ---- */

static struct mqueue **place_of(const char *name)
{
        struct mqueue **p = &ipc_state()->queues;

        while (*p && strcmp((*p)->name, name))
                p = &(*p)->next;
        return p;
}

static long name_copy(struct call *c, char *name, uint64_t user)
{
        long len = copy_string(c, name, user, NAME_LEN + 1);

        if (len == -EFAULT)
                return user_fault(c);
        if (len < 0)
                return -ENAMETOOLONG;
        if (len == 0)
                return -ENOENT;
        for (const char *s = name; *s; s++)
                if (*s == '/')
                        return -EACCES;
        return 0;
}

static uint32_t file_mode(uint32_t flags)
{
        static const uint32_t modes[] = {FMODE_READ, FMODE_WRITE, FMODE_READ | FMODE_WRITE, 0};

        return modes[flags & O_ACCMODE];
}

static long may_open(const struct mqueue *q, uint32_t mode)
{
        const struct cred *me = thread_current()->cred;
        uint32_t want = (mode & FMODE_READ ? 4 : 0) | (mode & FMODE_WRITE ? 2 : 0), granted = q->mode;

        if (me->fsuid == q->uid)
                granted >>= 6;
        else if (cred_in_group(me, q->gid))
                granted >>= 3;
        return want & ~granted & 7 && !capable(CAP_DAC_OVERRIDE) ? -EACCES : 0;
}

static long check_attr(struct call *c, const struct mq_attr *a)
{
        bool hard = capable(CAP_SYS_RESOURCE);

        if (a->mq_maxmsg <= 0 || a->mq_msgsize <= 0 || a->mq_maxmsg > (hard ? HARD_MSG_MAX : MSG_MAX) ||
            a->mq_msgsize > (hard ? HARD_MSGSIZE : MSGSIZE_MAX))
                return -EINVAL;
        if ((uint64_t)a->mq_maxmsg * ((uint64_t)a->mq_msgsize + 80) > rlimit_of(c->thread->proc, RLIMIT_MSGQUEUE))
                return -EMFILE;
        return 0;
}

static struct file *queue_file(struct mqueue *q, uint32_t flags)
{
        struct inode *i = inode_anonymous(S_IFREG | (q->mode & 0777), "mqueue");
        struct file *f;

        i->uid = q->uid;
        i->gid = q->gid;
        f = file_new(FILE_MQUEUE, file_mode(flags), flags & (O_ACCMODE | O_NONBLOCK), i, q);
        object_put(i);
        return f;
}

long sys_mq_open(struct call *c)
{
        uint32_t flags = (uint32_t)c->arg[1], mode = (uint32_t)c->arg[2];
        struct mq_attr a = {.mq_maxmsg = MSG_MAX, .mq_msgsize = MSGSIZE_MAX};
        struct mqueue **p, *q;
        char name[NAME_LEN + 1];
        struct file *f;
        long r;
        int fd;

        if (c->arg[3] && flags & O_CREAT && !copy_in(c, &a, c->arg[3], sizeof(a)))
                return user_fault(c);
        r = name_copy(c, name, c->arg[0]);
        if (r)
                return r;
        if (!file_mode(flags))
                return -EINVAL;
        lock(LOCK_IPC, LIST_KEY);
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        p = place_of(name);
        q = *p;
        if (q) {
                if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
                        return -EEXIST;
                r = may_open(q, file_mode(flags));
        } else if (!(flags & O_CREAT)) {
                r = -ENOENT;
        } else if (ipc_state()->nqueues >= QUEUES_MAX && !capable(CAP_SYS_RESOURCE)) {
                r = -ENOSPC;
        } else {
                r = check_attr(c, &a);
        }
        if (r)
                return r;
        if (!space_room(5))
                return -ENOMEM;
        changes(c);
        if (!q) {
                q = object_new(TYPE_MQUEUE);
                q->name = space_alloc_bytes(strlen(name) + 1);
                memcpy(q->name, name, strlen(name) + 1);
                q->mode = mode & 0777 & ~c->thread->proc->fs->umask;
                q->uid = c->thread->cred->fsuid;
                q->gid = c->thread->cred->fsgid;
                q->maxmsg = a.mq_maxmsg;
                q->msgsize = a.mq_msgsize;
                q->notify_method = NOBODY;
                *p = q;
                ipc_state()->nqueues++;
        }
        f = queue_file(q, flags);
        fd_install(c, fd, f, flags & O_CLOEXEC);
        return fd;
}

long sys_mq_unlink(struct call *c)
{
        const struct cred *me = c->thread->cred;
        char name[NAME_LEN + 1];
        struct mqueue **p, *q;
        long r = name_copy(c, name, c->arg[0]);

        if (r)
                return r;
        lock(LOCK_IPC, LIST_KEY);
        p = place_of(name);
        q = *p;
        if (!q)
                return -ENOENT;
        if (me->fsuid != q->uid && !capable(CAP_FOWNER)) /* the directory of names is sticky */
                return -EPERM;
        changes(c);
        *p = q->next;
        q->next = NULL;
        ipc_state()->nqueues--;
        object_put(q);
        return 0;
}

static struct mqueue *queue_of(struct call *c, uint32_t mode, struct file **f)
{
        *f = fd_lookup_io(c, c->arg[0]);
        return *f && (*f)->ops_type == FILE_MQUEUE && ((*f)->mode & mode) == mode ? file_queue(*f) : NULL;
}

/* ---- notification ---- */

static void notify(struct mqueue *q)
{
        struct process *p = process_find(q->notify_pid);

        if (q->notify_method == SIGEV_SIGNAL && p) {
                siginfo_t info;

                memset(&info, 0, sizeof(info));
                info.si_signo = q->notify_signo;
                info.si_code = SI_MESGQ;
                info.si_pid = process_current()->pid;
                info.si_uid = thread_current()->cred->uid;
                info.si_value.sival_ptr = (void *)q->notify_value;
                signal_send_process(p, q->notify_signo, &info);
        }
        q->notify_method = NOBODY;
}

long sys_mq_notify(struct call *c)
{
        int pid = c->thread->proc->pid;
        struct sigevent ev = {0};
        struct mqueue *q;
        struct file *f;

        if (c->arg[1]) {
                if (!copy_in(c, &ev, c->arg[1], sizeof(ev)))
                        return user_fault(c);
                if (ev.sigev_notify != SIGEV_NONE && ev.sigev_notify != SIGEV_SIGNAL && ev.sigev_notify != SIGEV_THREAD)
                        return -EINVAL;
                if (ev.sigev_notify == SIGEV_SIGNAL && (ev.sigev_signo < 0 || ev.sigev_signo > 64))
                        return -EINVAL;
                if (ev.sigev_notify == SIGEV_THREAD)
                        return -EBADF; /* its way is a netlink socket, and there is none */
        }
        q = queue_of(c, 0, &f);
        if (!q)
                return -EBADF;
        lock(LOCK_IPC, q);
        if (!c->arg[1]) {
                if (q->notify_method == NOBODY || q->notify_pid != pid)
                        return 0;
                changes(c);
                q->notify_method = NOBODY;
                return 0;
        }
        if (q->notify_method != NOBODY)
                return -EBUSY;
        changes(c);
        q->notify_method = ev.sigev_notify;
        q->notify_signo = ev.sigev_signo;
        q->notify_value = (uint64_t)ev.sigev_value.sival_ptr;
        q->notify_pid = pid;
        return 0;
}

/* A process that closes any descriptor of the queue takes its request back. */
static void mqueue_flush(struct file *f)
{
        struct mqueue *q = file_queue(f);

        if (q->notify_method == NOBODY || !thread_current() || q->notify_pid != process_current()->pid)
                return;
        section_changes();
        q->notify_method = NOBODY;
}

/* ---- messages ---- */

static long decode_deadline(struct call *c, uint64_t user)
{
        struct __kernel_timespec ts;
        uint64_t ns;

        if (!user)
                return 0;
        if (!copy_in(c, &ts, user, sizeof(ts)))
                return user_fault(c);
        if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long long)NSEC_PER_SEC)
                return -EINVAL;
        ns = (uint64_t)MIN(ts.tv_sec, 1ll << 33) * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
        c->deadline = ns ? time_real_to_mono(ns) : 1;
        return 0;
}

static long send_decode(struct call *c)
{
        struct mqueue *q;
        long r;

        if (c->arg[3] >= PRIO_END)
                return -EINVAL;
        r = decode_deadline(c, c->arg[4]);
        if (r)
                return r;
        q = queue_of(c, FMODE_WRITE, &c->file);
        if (!q)
                return -EBADF;
        if (c->arg[2] > (uint64_t)q->msgsize)
                return -EMSGSIZE;
        if (!call_overflow(c, c->arg[2] + 1))
                return -ENOMEM;
        if (!copy_in(c, c->overflow, c->arg[1], c->arg[2])) {
                c->overflow = NULL;
                return user_fault(c);
        }
        c->stage = STAGE_RUN;
        return 0;
}

long sys_mq_timedsend(struct call *c)
{
        struct ipc_message *m, *before = NULL;
        size_t len = c->arg[2];
        struct mqueue *q;
        bool was_empty;
        long r;

        if (c->stage == 0) {
                r = send_decode(c);
                if (r)
                        return r;
        }
        q = file_queue(c->file);
        lock(LOCK_IPC, q);
        if (q->count >= q->maxmsg) {
                if (c->file->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why == WHY_DEADLINE)
                        return -ETIMEDOUT;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &q->maxmsg, INTERRUPTIBLE, c->deadline);
        }
        for (m = q->head; m && m->type >= (int64_t)c->arg[3]; m = m->next)
                before = m;
        for (size_t at = 0; at < len; at += PAGE_SIZE)
                (void)READ_ONCE(*((char *)c->overflow + at));
        if (!space_room(2 + 2 * len / PAGE_SIZE))
                return -ENOMEM;
        changes(c);
        was_empty = !q->head;
        m = message_new(c->overflow, len, (int64_t)c->arg[3]);
        m->next = before ? before->next : q->head;
        if (before)
                before->next = m;
        else
                q->head = m;
        q->count++;
        q->bytes += len;
        if (was_empty && !q->nreceivers && q->notify_method != NOBODY)
                notify(q);
        wake(&q->head);
        return 0;
}

/* After changes() or with the intent to begin it: the receiver is no longer asleep. */
static void awake(struct call *c, struct mqueue *q)
{
        if (c->stage != STAGE_ASLEEP)
                return;
        changes(c);
        q->nreceivers--;
        c->stage = STAGE_RUN;
}

long sys_mq_timedreceive(struct call *c)
{
        struct ipc_message *m;
        struct mqueue *q;
        uint32_t prio;
        long r;

        if (c->stage == 0) {
                r = decode_deadline(c, c->arg[4]);
                if (r)
                        return r;
                q = queue_of(c, FMODE_READ, &c->file);
                if (!q)
                        return -EBADF;
                if (c->arg[2] < (uint64_t)q->msgsize)
                        return -EMSGSIZE;
                c->stage = STAGE_RUN;
        }
        q = file_queue(c->file);
        lock(LOCK_IPC, q);
        m = q->head;
        if (!m) {
                if (c->file->flags & O_NONBLOCK) {
                        r = -EAGAIN;
                } else if (c->why == WHY_DEADLINE) {
                        r = -ETIMEDOUT;
                } else if (c->why != WHY_RUN) {
                        r = call_interrupted(c);
                } else {
                        changes(c);
                        if (c->stage != STAGE_ASLEEP)
                                q->nreceivers++;
                        c->stage = STAGE_ASLEEP;
                        return call_wait(c, CONDITION, &q->head, INTERRUPTIBLE, c->deadline);
                }
                awake(c, q);
                return r;
        }
        prio = (uint32_t)m->type;
        if ((c->arg[3] && !copy_out(c, c->arg[3], &prio, sizeof(prio))) ||
            !copy_out(c, c->arg[1], message_text(m), m->len)) {
                r = user_fault(c);
                if (r != CALL_FAULT)
                        awake(c, q);
                return r;
        }
        if (m->next)
                (void)READ_ONCE(m->next->len);
        changes(c);
        awake(c, q);
        r = (long)m->len;
        q->head = m->next;
        q->count--;
        q->bytes -= m->len;
        message_free(m);
        wake(&q->maxmsg);
        return r;
}

long sys_mq_getsetattr(struct call *c)
{
        struct mq_attr new = {0}, old = {0};
        struct mqueue *q;
        struct file *f;

        if (c->arg[1]) {
                if (!copy_in(c, &new, c->arg[1], sizeof(new)))
                        return user_fault(c);
                if (new.mq_flags & ~(long)O_NONBLOCK)
                        return -EINVAL;
        }
        q = queue_of(c, 0, &f);
        if (!q)
                return -EBADF;
        lock(LOCK_IPC, q);
        old.mq_flags = f->flags & O_NONBLOCK;
        old.mq_maxmsg = q->maxmsg;
        old.mq_msgsize = q->msgsize;
        old.mq_curmsgs = q->count;
        if (c->arg[2] && !copy_out(c, c->arg[2], &old, sizeof(old)))
                return user_fault(c);
        if (c->arg[1]) {
                changes(c);
                f->flags = (f->flags & ~(uint32_t)O_NONBLOCK) | (uint32_t) new.mq_flags;
        }
        return 0;
}

static long mqueue_read(struct call *c, struct file *f)
{
        struct mqueue *q = file_queue(f);
        bool asked = q->notify_method != NOBODY;
        uint64_t pos = c->pos == POS_CURRENT ? f->pos : c->pos;
        char text[96];
        size_t len, n;

        len = (size_t)snprintf(text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", q->bytes,
                               asked ? q->notify_method : 0,
                               asked && q->notify_method == SIGEV_SIGNAL ? q->notify_signo : 0,
                               asked ? q->notify_pid : 0);
        if (pos >= len || !c->io.len)
                return 0;
        n = io_copy_out(&c->io, text + pos, len - pos);
        if (!n)
                return user_fault(c);
        if (c->pos == POS_CURRENT) {
                changes(c);
                f->pos += n;
        }
        return (long)n;
}

static uint32_t mqueue_poll(struct file *f, struct poll_table *pt)
{
        struct mqueue *q = file_queue(f);

        poll_register_for(pt, &q->head, EPOLLIN | EPOLLRDNORM);
        poll_register_for(pt, &q->maxmsg, EPOLLOUT | EPOLLWRNORM);
        return (q->count ? EPOLLIN | EPOLLRDNORM : 0) | (q->count < q->maxmsg ? EPOLLOUT | EPOLLWRNORM : 0);
}

const struct file_ops mqueue_file_ops = {
        .name = "mqueue",
        .read = mqueue_read,
        .poll = mqueue_poll,
        .flush = mqueue_flush,
};

const struct space_field mqueue_fields[] = {
        {offsetof(struct mqueue, next), FIELD_REF, 1},
        {offsetof(struct mqueue, name), FIELD_OWN, 1},
        {offsetof(struct mqueue, head), FIELD_OWN, 1},
        {0, 0, 0},
};
