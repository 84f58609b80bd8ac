/*
 * msg.c - System V message queues. Senders wait for room, receivers for a message of theirs, both with CONDITION. The text is copied in once, at decode, and
 * stays with the call while it waits.
 */
#include "posix/ipc/ipc_internal.h"
#include "posix/ipc/message.h"
#include "kernel/lib/string.h"
#include <asm/msgbuf.h>
#include <linux/msg.h>

#define QUEUES_MAX  32000u
#define TEXT_MAX    8192u  /* MSGMAX */
#define QUEUE_BYTES 16384u /* MSGMNB */

struct ipc_message *message_new(const char *text, size_t len, int64_t type)
{
        struct ipc_message *m = space_alloc(TYPE_MSG);

        m->type = type;
        m->len = len;
        if (len > sizeof(m->small))
                m->data = space_alloc_bytes(len);
        memcpy(message_text(m), text, len);
        return m;
}

void message_free(struct ipc_message *m)
{
        space_free_bytes(m->data);
        space_free(m);
}

bool messages_drop(struct ipc_message **head)
{
        for (unsigned n = 0; *head && n < 16; n++) {
                struct ipc_message *m = *head;

                *head = m->next;
                message_free(m);
        }
        return *head != NULL;
}

void messages_touch(const struct ipc_message *m)
{
        for (unsigned n = 0; m && n < 17; n++, m = m->next)
                (void)READ_ONCE(m->len);
}

bool msgq_release(void *object)
{
        struct msgq *q = object;

        if (messages_drop(&q->head))
                return true;
        space_free(q);
        return false;
}

void msgq_touch(void *object)
{
        messages_touch(((struct msgq *)object)->head);
}

long sys_msgget(struct call *c)
{
        int key = (int)c->arg[0];
        uint32_t flags = (uint32_t)c->arg[1];
        struct ipc_object *o;
        long r = ipc_get_begin(IPC_MSG, key, flags, &o), allowed;
        struct msgq *q;

        if (r == -ENODATA)
                return -ENOENT;
        if (r >= 0) {
                allowed = ipc_allowed(o, flags);
                return allowed ? allowed : r;
        }
        if (r != -ENOENT)
                return r;
        r = ipc_full(IPC_MSG, QUEUES_MAX);
        if (r)
                return r;
        if (!space_room(ipc_room(IPC_MSG) + 1))
                return -ENOMEM;
        changes(c);
        q = object_new(TYPE_MSGQ);
        q->limit = QUEUE_BYTES;
        return ipc_add(&q->ipc, IPC_MSG, key, flags);
}

/* ---- sending ---- */

static long send_decode(struct call *c)
{
        int64_t len = (int64_t)c->arg[2];
        int64_t *text;

        if (len < 0 || len > TEXT_MAX || (int)c->arg[0] < 0)
                return -EINVAL;
        text = call_overflow(c, sizeof(*text) + (size_t)len);
        if (!text)
                return -ENOMEM;
        if (!copy_in(c, text, c->arg[1], sizeof(*text) + (size_t)len)) {
                c->overflow = NULL;
                return user_fault(c);
        }
        if (*text < 1)
                return -EINVAL;
        c->objects[1] = (struct object *)ipc_find(IPC_MSG, (int)c->arg[0]);
        if (!c->objects[1])
                return -EINVAL;
        c->stage = 1;
        return 0;
}

long sys_msgsnd(struct call *c)
{
        size_t len = c->arg[2];
        struct ipc_message *m;
        int64_t *text;
        struct msgq *q;
        long r;

        if (c->stage == 0) {
                r = send_decode(c);
                if (r)
                        return r;
        }
        q = (struct msgq *)c->objects[1];
        text = c->overflow;
        lock(LOCK_IPC, q);
        if (q->ipc.deleted)
                return -EIDRM;
        r = ipc_allowed(&q->ipc, 0222);
        if (r)
                return r;
        if (q->bytes + len > q->limit || q->count + 1 > q->limit) {
                if (c->arg[3] & IPC_NOWAIT)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &q->limit, INTERRUPTIBLE, NO_DEADLINE);
        }
        (void)READ_ONCE(*(char *)text);
        if (q->tail)
                (void)READ_ONCE(q->tail->len);
        for (size_t at = 0; at < len; at += PAGE_SIZE)
                (void)READ_ONCE(*((char *)text + at));
        if (!space_room(2 + len / PAGE_SIZE))
                return -ENOMEM;
        changes(c);
        m = message_new((char *)(text + 1), len, *text);
        if (q->tail)
                q->tail->next = m;
        else
                q->head = m;
        q->tail = m;
        q->bytes += len;
        q->count++;
        q->lspid = c->thread->proc->pid;
        q->stime = IPC_STAT_TIME();
        wake(&q->head);
        return 0;
}

/* ---- receiving ---- */

/* The message msgrcv's type asks for, and the one before it. */
static struct ipc_message *pick(struct msgq *q, int64_t type, uint32_t flags, struct ipc_message **before)
{
        struct ipc_message *best = NULL, *prev = NULL;
        int64_t n = 0;

        for (struct ipc_message *m = q->head; m; prev = m, m = m->next) {
                bool fits;

                if (flags & MSG_COPY)
                        fits = n++ == type;
                else if (type == 0)
                        fits = true;
                else if (type < 0)
                        fits = m->type <= -type && (!best || m->type < best->type);
                else
                        fits = flags & MSG_EXCEPT ? m->type != type : m->type == type;
                if (!fits)
                        continue;
                best = m;
                *before = prev;
                if (type >= 0 || flags & MSG_COPY)
                        break;
        }
        return best;
}

long sys_msgrcv(struct call *c)
{
        uint32_t flags = (uint32_t)c->arg[4];
        int64_t type = (int64_t)c->arg[3];
        struct ipc_message *m, *before = NULL;
        struct msgq *q;
        size_t n;
        long r;

        if (c->stage == 0) {
                if ((int)c->arg[0] < 0 || (int64_t)c->arg[2] < 0)
                        return -EINVAL;
                if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)))
                        return -EINVAL;
                c->objects[1] = (struct object *)ipc_find(IPC_MSG, (int)c->arg[0]);
                if (!c->objects[1])
                        return -EINVAL;
                c->stage = 1;
        }
        if (type == INT64_MIN)
                type = -INT64_MAX;
        q = (struct msgq *)c->objects[1];
        lock(LOCK_IPC, q);
        if (q->ipc.deleted)
                return -EIDRM;
        r = ipc_allowed(&q->ipc, 0444);
        if (r)
                return r;
        m = pick(q, type, flags, &before);
        if (!m) {
                if (flags & IPC_NOWAIT)
                        return -ENOMSG;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &q->head, INTERRUPTIBLE, NO_DEADLINE);
        }
        if (m->len > c->arg[2] && !(flags & MSG_NOERROR))
                return -E2BIG;
        n = MIN(m->len, c->arg[2]);
        if (!copy_out(c, c->arg[1], &m->type, sizeof(m->type)) ||
            !copy_out(c, c->arg[1] + sizeof(m->type), message_text(m), n))
                return user_fault(c);
        if (flags & MSG_COPY)
                return (long)n;
        changes(c);
        if (before)
                before->next = m->next;
        else
                q->head = m->next;
        if (q->tail == m)
                q->tail = before;
        q->bytes -= m->len;
        q->count--;
        q->lrpid = c->thread->proc->pid;
        q->rtime = IPC_STAT_TIME();
        message_free(m);
        wake(&q->limit);
        return (long)n;
}

/* ---- msgctl ---- */

static long msg_stat(struct call *c, int cmd)
{
        bool by_index = cmd != IPC_STAT;
        struct msgq *q =
                (struct msgq *)(by_index ? ipc_at(IPC_MSG, (unsigned)c->arg[0]) : ipc_find(IPC_MSG, (int)c->arg[0]));
        struct msqid64_ds d = {0};
        long r;

        if (!q)
                return -EINVAL;
        r = cmd == MSG_STAT_ANY ? 0 : ipc_allowed(&q->ipc, 0444);
        if (r)
                return r;
        ipc_perm_fill(&q->ipc, &d.msg_perm);
        d.msg_stime = q->stime;
        d.msg_rtime = q->rtime;
        d.msg_ctime = q->ipc.ctime;
        d.msg_cbytes = q->bytes;
        d.msg_qnum = q->count;
        d.msg_qbytes = q->limit;
        d.msg_lspid = q->lspid;
        d.msg_lrpid = q->lrpid;
        if (!copy_out(c, c->arg[2], &d, sizeof(d)))
                return user_fault(c);
        return by_index ? q->ipc.id : 0;
}

static bool add_up(struct ipc_object *o, void *arg)
{
        struct msginfo *i = arg;

        i->msgpool++;
        i->msgmap += (int)((struct msgq *)o)->count;
        i->msgtql += (int)((struct msgq *)o)->bytes;
        return true;
}

static long msg_info(struct call *c, int cmd)
{
        struct msginfo i = {.msgpool = (int)(QUEUES_MAX * QUEUE_BYTES / 1024),
                            .msgmap = QUEUE_BYTES,
                            .msgmax = TEXT_MAX,
                            .msgmnb = QUEUE_BYTES,
                            .msgmni = QUEUES_MAX,
                            .msgssz = 16,
                            .msgtql = QUEUE_BYTES,
                            .msgseg = 0xffff};

        if (cmd == MSG_INFO) {
                i.msgpool = i.msgmap = i.msgtql = 0;
                ipc_each(IPC_MSG, add_up, &i);
        }
        return copy_out(c, c->arg[2], &i, sizeof(i)) ? ipc_top(IPC_MSG) : user_fault(c);
}

static long msg_remove(struct call *c, struct msgq *q)
{
        if (!ipc_owner(&q->ipc))
                return -EPERM;
        ipc_lock_both(&q->ipc);
        if (q->ipc.deleted)
                return -EIDRM;
        changes(c);
        ipc_remove(&q->ipc);
        wake(&q->head);
        wake(&q->limit);
        return 0;
}

static long msg_set(struct call *c, struct msgq *q)
{
        struct msqid64_ds d;

        if (!copy_in(c, &d, c->arg[2], sizeof(d)))
                return user_fault(c);
        if (!ipc_owner(&q->ipc))
                return -EPERM;
        if (d.msg_qbytes > QUEUE_BYTES && !capable(CAP_SYS_RESOURCE))
                return -EPERM;
        lock(LOCK_IPC, q);
        if (q->ipc.deleted)
                return -EIDRM;
        changes(c);
        ipc_set(&q->ipc, &d.msg_perm);
        q->limit = d.msg_qbytes;
        wake(&q->head);
        wake(&q->limit);
        return 0;
}

long sys_msgctl(struct call *c)
{
        int cmd = (int)c->arg[1] & ~IPC_64;
        struct msgq *q;

        if ((int)c->arg[0] < 0 || cmd < 0)
                return -EINVAL;
        switch (cmd) {
        case IPC_INFO:
        case MSG_INFO:
                return msg_info(c, cmd);
        case IPC_STAT:
        case MSG_STAT:
        case MSG_STAT_ANY:
                return msg_stat(c, cmd);
        }
        q = (struct msgq *)ipc_find(IPC_MSG, (int)c->arg[0]);
        if (!q)
                return -EINVAL;
        switch (cmd) {
        case IPC_RMID:
                return msg_remove(c, q);
        case IPC_SET:
                return msg_set(c, q);
        default:
                return -EINVAL;
        }
}

const struct space_field msgq_fields[] = {
        {offsetof(struct msgq, ipc.key_next), FIELD_BORROW, 1},
        {offsetof(struct msgq, head), FIELD_OWN, 1},
        {offsetof(struct msgq, tail), FIELD_BORROW, 1},
        {0, 0, 0},
};
const struct space_field message_fields[] = {
        {offsetof(struct ipc_message, next), FIELD_OWN, 1},
        {offsetof(struct ipc_message, data), FIELD_OWN, 1},
        {0, 0, 0},
};
