/*
 * conn.c - connections: /dev/fuse, which the server reads requests from and writes answers to, and the mount that ties one to a directory.
 * A connection begins with mount(2) and ends when the last descriptor of the device is closed, or with umount(2): its queue goes, and takes whoever waits with it. What a file system had
 * of it (inodes, open files) stays, and answers ENOTCONN.
 */
#include "posix/fuse/fuse_internal.h"
#include "posix/include/process.h"
#include "kernel/lib/fmt.h"

static struct fuse_conn *conn_of(const struct file *f)
{
        return (struct fuse_conn *)READ_ONCE(f->priv);
}

/* ---- the device ----------------------------------------------------------------------------------------------------------- */

static long fuse_device_read(struct call *c, struct file *f)
{
        struct fuse_conn *conn = conn_of(f);
        struct fuse_request *r;
        char message[sizeof(struct fuse_in_header) + NAME_MAX_LEN + 1];
        size_t len;

        if (!conn)
                return -EPERM;
        lock(LOCK_EVENT, conn);
        if (!conn->queue)
                return -ENODEV;
        if (c->io.len < FUSE_MIN_READ_BUFFER)
                return -EINVAL;
        r = conn->queue->pending;
        if (!r) {
                if (f->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &conn->readers, INTERRUPTIBLE, NO_DEADLINE);
        }
        len = fuse_message(r, message, sizeof(message));
        if (io_copy_out(&c->io, message, len) != len)
                return user_fault(c);
        changes(c);
        if (r->opcode == FUSE_FORGET) { /* has no answer */
                fuse_unlink(r);
                object_put(r);
        } else {
                fuse_sent(r);
        }
        return (long)len;
}

/* What the server says by itself is about caches, which there are not. */
static long notification(int32_t code)
{
        return code == FUSE_NOTIFY_INVAL_INODE || code == FUSE_NOTIFY_INVAL_ENTRY || code == FUSE_NOTIFY_DELETE;
}

static long fuse_device_write(struct call *c, struct file *f)
{
        struct fuse_conn *conn = conn_of(f);
        struct vfs_scratch *s = vfs_scratch();
        size_t total = c->io.len, len, got;
        struct fuse_out_header h;
        struct fuse_request *r;
        struct io_mark start;
        uint32_t min, max;
        int32_t error;
        bool sound;

        if (!conn)
                return -EPERM;
        if (!s)
                return -ENOMEM;
        if (total < sizeof(h))
                return -EINVAL;
        if (io_copy_in(&c->io, &h, sizeof(h)) != sizeof(h))
                return user_fault(c);
        if (h.len != total)
                return -EINVAL;
        if (!h.unique)
                return notification(h.error) ? (long)total : -EINVAL;
        if (h.error > 0 || h.error <= -512)
                return -EINVAL;
        len = MIN(total - sizeof(h), (size_t)SCRATCH_OUT);
        start = io_mark(&c->io);
        io_advance(&c->io, sizeof(h));
        got = io_copy_in(&c->io, s->out, len);
        io_reset(&c->io, start);
        if (got != len)
                return user_fault(c);
        lock(LOCK_EVENT, conn);
        r = conn->queue ? conn->queue->sent : NULL;
        while (r && r->unique != h.unique)
                r = r->next;
        if (!r)
                return -ENOENT;
        fuse_answer_limits(r, &min, &max);
        len = total - sizeof(h);
        sound = h.error ? len == 0 : len >= min && len <= max;
        error = sound ? h.error : -EIO;
        if (!error && min < max && !space_room(SMALL_CHANGE + SCRATCH_OUT / PAGE_SIZE))
                error = -ENOMEM; /* the caller's: a server would not say it again */
        fuse_request_touch(r);
        changes(c);
        fuse_unlink(r);
        r->error = error;
        fuse_answer(r, s->out, (uint32_t)len);
        object_put(r);
        return sound ? (long)total : -EINVAL;
}

static uint32_t fuse_device_poll(struct file *f, struct poll_table *pt)
{
        struct fuse_conn *conn = conn_of(f);
        struct fuse_queue *q;

        if (!conn)
                return EPOLLERR;
        poll_register(pt, &conn->readers);
        q = READ_ONCE(conn->queue);
        if (!q)
                return EPOLLERR;
        return EPOLLOUT | EPOLLWRNORM | (READ_ONCE(q->pending) ? EPOLLIN | EPOLLRDNORM : 0u);
}

static void fuse_device_release(struct file *f)
{
        if (f->priv)
                fuse_end(conn_of(f));
}

const struct file_ops fuse_device_file_ops = {
        .name = "fuse",
        .read = fuse_device_read,
        .write = fuse_device_write,
        .poll = fuse_device_poll,
        .release = fuse_device_release,
};

/* ---- its end -------------------------------------------------------------------------------------------------------------- */

void fuse_end(struct fuse_conn *conn)
{
        struct fuse_queue *q;

        lock(LOCK_EVENT, conn);
        q = conn->queue;
        conn->queue = NULL;
        conn->ready = 1;
        wake(&conn->ready);
        wake(&conn->readers);
        unlock(LOCK_EVENT, conn);
        object_put(q);
}

/* Nobody else has it any more: no lock. */
bool fuse_queue_release(void *object)
{
        struct fuse_queue *q = object;

        for (unsigned n = 0; n < FUSE_END_PIECE; n++) {
                struct fuse_request **first = q->pending ? &q->pending : &q->sent, *r = *first;

                if (!r) {
                        space_free(q);
                        return false;
                }
                *first = r->next;
                if (r->next)
                        r->next->prev = NULL;
                r->next = NULL;
                wake(r);
                object_put(r);
        }
        return true;
}

bool fuse_conn_release(void *object)
{
        struct fuse_conn *conn = object;

        object_put(conn->queue);
        space_free(conn);
        return false;
}

/* ---- mount(2) ------------------------------------------------------------------------------------------------------------- */

bool fuse_option(struct fuse_options *o, const char *name, const char *value)
{
        static const struct {
                const char *name;
                uint16_t at;
                uint8_t base;
        } numbers[] = {
                {"fd", offsetof(struct fuse_options, fd), 10},
                {"rootmode", offsetof(struct fuse_options, rootmode), 8},
                {"user_id", offsetof(struct fuse_options, user_id), 10},
                {"group_id", offsetof(struct fuse_options, group_id), 10},
        };
        const char *rest;
        unsigned long n;

        for (unsigned k = 0; k < ARRAY_SIZE(numbers); k++) {
                if (strcmp(name, numbers[k].name))
                        continue;
                if (!value || !fmt_parse_u64(value, numbers[k].base, &rest, &n) || *rest || n > ~0u)
                        return false;
                *(uint32_t *)((char *)o + numbers[k].at) = (uint32_t)n;
                o->given |= (uint8_t)(1u << k);
                return true;
        }
        if (!strcmp(name, "max_read") || !strcmp(name, "blksize"))
                return value && fmt_parse_u64(value, 10, &rest, &n) && !*rest;
        if (!strcmp(name, "allow_other"))
                return o->allow_other = true;
        return !strcmp(name, "default_permissions"); /* it is always so */
}

long fuse_mount_check(struct call *c, const struct fuse_options *o, struct file **device)
{
        struct file *f;

        if (o->given != FUSE_OPTIONS_GIVEN || !S_ISDIR(o->rootmode))
                return -EINVAL;
        f = fd_lookup_io(c, o->fd);
        if (!f || f->ops_type != FILE_FUSE_DEVICE || conn_of(f))
                return -EINVAL;
        *device = f;
        return 0;
}

void fuse_mount(const struct fuse_options *o, struct file *device, struct inode *root)
{
        struct fuse_init_in init = {.major = FUSE_KERNEL_VERSION,
                                    .minor = FUSE_MINOR,
                                    .max_readahead = FUSE_READ_MAX,
                                    .flags = FUSE_ASYNC_READ | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT};
        struct fuse_conn *conn = object_new(TYPE_FUSE_CONN);

        conn->queue = object_new(TYPE_FUSE_QUEUE);
        conn->user_id = o->user_id;
        conn->group_id = o->group_id;
        conn->allow_other = o->allow_other;
        root->ino = FUSE_ROOT_ID;
        root->uid = o->user_id;
        root->gid = o->group_id;
        root->proc_key[0] = FUSE_ROOT_ID;
        root->priv = &conn->obj;
        fuse_push(fuse_request_new(conn, FUSE_INIT, 0, &init, FUSE_INIT_BYTES));
        object_get(conn);
        __atomic_store_n(&device->priv, &conn->obj, __ATOMIC_RELEASE);
}

void fuse_unmount(struct inode *root)
{
        fuse_end((struct fuse_conn *)root->priv);
}

int fuse_mount_options(const struct inode *root, char *buf, size_t len, size_t at)
{
        const struct fuse_conn *conn = (const struct fuse_conn *)root->priv;

        return (int)fmt_append(buf, len, at, ",user_id=%u,group_id=%u,default_permissions%s", conn->user_id,
                               conn->group_id, conn->allow_other ? ",allow_other" : "");
}
