/*
 * node.c - inodes of a served file system, and its open files.
 * An inode is computed, as in /proc: proc_key[0] is the server's number of the node, proc_key[1] the time till which the attributes hold (CLOCK_MONOTONIC), priv the LOOKUP that found
 * it, or, of the root, the connection. A LOOKUP knows its directory's: so a node knows the way to the root, and none is forgotten before those below it.
 * A volatile inode with generation 1 was found or asked for in this run of the call: its attributes are today's.
 */
#include "posix/fuse/fuse_internal.h"
#include "posix/include/process.h"
#include "kernel/include/time.h"
#include <linux/fs.h>

static struct fuse_request *node_of(const struct inode *i)
{
        return i->priv->type == TYPE_FUSE_REQUEST ? (struct fuse_request *)i->priv : NULL;
}

static struct fuse_conn *conn_of(const struct inode *i)
{
        struct fuse_request *node = node_of(i);

        return node ? node->conn : (struct fuse_conn *)i->priv;
}

static struct fuse_ask ask(const struct inode *i, uint32_t opcode, const void *body, size_t len)
{
        return (struct fuse_ask){.conn = conn_of(i),
                                 .opcode = opcode,
                                 .len = (uint32_t)len,
                                 .nodeid = i->proc_key[0],
                                 .body = body,
                                 .node = node_of(i)};
}

/* ---- attributes ----------------------------------------------------------------------------------------------------------- */

bool fuse_attr_sound(const struct fuse_attr *a)
{
        switch (a->mode & S_IFMT) {
        case S_IFREG:
        case S_IFDIR:
        case S_IFLNK:
        case S_IFCHR:
        case S_IFBLK:
        case S_IFIFO:
        case S_IFSOCK:
                return (int64_t)a->size >= 0;
        default:
                return false;
        }
}

static int64_t time_of(uint64_t seconds, uint32_t ns)
{
        const int64_t limit = INT64_MAX / (int64_t)NSEC_PER_SEC - 1;
        int64_t s = (int64_t)seconds;

        s = s > limit ? limit : s < -limit ? -limit : s;
        return s * (int64_t)NSEC_PER_SEC + MIN(ns, (uint32_t)NSEC_PER_SEC - 1);
}

void fuse_show(struct inode *i, const struct fuse_attr *a, uint64_t until)
{
        i->ino = a->ino;
        i->mode = a->mode & (S_IFMT | 07777);
        i->nlink = a->nlink;
        i->uid = a->uid;
        i->gid = a->gid;
        i->rdev = a->rdev;
        i->size = a->size;
        i->data.npages = a->blocks / (PAGE_SIZE / 512) + (a->blocks % (PAGE_SIZE / 512) != 0);
        i->atime_ns = time_of(a->atime, a->atimensec);
        i->mtime_ns = time_of(a->mtime, a->mtimensec);
        i->ctime_ns = i->btime_ns = time_of(a->ctime, a->ctimensec);
        i->proc_key[1] = until;
}

static struct inode *show(struct fuse_request *node, uint32_t dev, bool now)
{
        struct inode *i = scratch_inode();

        if (!i)
                return NULL;
        *i = (struct inode){.kind = INODE_FUSE, .dev = dev, .priv = &node->obj, .generation = now};
        i->proc_key[0] = node->id;
        fuse_show(i, &node->attr, node->until);
        return i;
}

/* Without allow_other, the file system is its owner's: also root might be shown anything by it. */
static bool may_enter(const struct fuse_conn *conn)
{
        const struct cred *cr = cred_current();

        return conn->allow_other ||
               (cr->uid == conn->user_id && cr->euid == conn->user_id && cr->suid == conn->user_id &&
                cr->gid == conn->group_id && cr->egid == conn->group_id && cr->sgid == conn->group_id);
}

static long refresh(struct call *c, struct inode *i)
{
        struct fuse_getattr_in in = {0};
        struct fuse_ask a = ask(i, FUSE_GETATTR, &in, sizeof(in));
        struct fuse_request *r;
        long result;

        if (!may_enter(a.conn))
                return -EACCES;
        if (inode_is_volatile(i) ? i->generation : READ_ONCE(a.conn->queue) != NULL && time_mono_ns() < i->proc_key[1])
                return 0;
        if (!inode_is_volatile(i))
                a.inode = i;
        result = fuse_ask(c, &a, &r);
        if (result)
                return result;
        if (inode_is_volatile(i)) {
                fuse_show(i, &a.node->attr, a.node->until);
                i->generation = 1;
        }
        return 0;
}

/* ---- names ---------------------------------------------------------------------------------------------------------------- */

static long lookup(struct call *c, struct inode *dir, const char *name, unsigned len, struct inode **out)
{
        char text[NAME_MAX_LEN + 1];
        struct fuse_request *r;
        struct fuse_ask a;
        long result;

        if (len > NAME_MAX_LEN)
                return -ENAMETOOLONG;
        memcpy(text, name, len);
        text[len] = 0;
        a = ask(dir, FUSE_LOOKUP, text, len + 1);
        result = fuse_ask(c, &a, &r);
        if (result)
                return result;
        *out = show(r, dir->dev, true);
        return *out ? 0 : -ENOMEM;
}

static struct inode *parent(struct inode *dir)
{
        struct fuse_request *node = node_of(dir);
        struct mount *m;

        if (node && node->node)
                return show(node->node, dir->dev, false);
        m = mount_of(dir);
        return m ? m->root : NULL;
}

static int path(struct inode *i, char *buf, size_t len)
{
        size_t at = len;

        for (struct fuse_request *node = node_of(i); node; node = node->node) {
                size_t n = node->in_len - 1;

                if (at < n + 1)
                        return -ENAMETOOLONG;
                at -= n;
                memcpy(buf + at, node->in, n);
                buf[--at] = '/';
        }
        memmove(buf, buf + at, len - at);
        return (int)(len - at);
}

static long readlink(struct call *c, struct inode *i, const char **target, uint32_t *len, struct inode **jump,
                     struct file **magic)
{
        struct fuse_ask a = ask(i, FUSE_READLINK, NULL, 0);
        struct fuse_request *r;
        long result;

        (void)jump;
        (void)magic;
        if (!S_ISLNK(i->mode))
                return -EINVAL;
        a.want = FUSE_LINK_MAX;
        result = fuse_ask(c, &a, &r);
        if (result)
                return result;
        *target = r->out;
        *len = r->out_len;
        return 0;
}

const struct inode_ops fuse_inode_ops = {
        .lookup = lookup,
        .parent = parent,
        .readlink = readlink,
        .path = path,
        .refresh = refresh,
        .directory_type = FILE_FUSE_DIR,
        .regular_type = FILE_FUSE,
};

/* ---- open files: priv is the answered OPEN or OPENDIR ----------------------------------------------------------------------- */

static uint64_t handle_of(const struct file *f)
{
        return ((const struct fuse_request *)f->priv)->id;
}

long fuse_open(struct call *c, struct inode *i, uint32_t flags, void **handle)
{
        struct fuse_open_in in = {.flags = flags & ~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_CLOEXEC)};
        struct fuse_ask a = ask(i, S_ISDIR(i->mode) ? FUSE_OPENDIR : FUSE_OPEN, &in, sizeof(in));
        struct fuse_request *r;
        long result;

        a.flags = in.flags;
        result = fuse_ask(c, &a, &r);
        if (!result)
                *handle = r;
        return result;
}

/* One piece of f, a READ or READDIR. */
static long ask_piece(struct call *c, struct file *f, uint32_t opcode, uint64_t pos, uint32_t size,
                      struct fuse_request **r)
{
        struct fuse_read_in in = {.fh = handle_of(f), .offset = pos, .size = size, .flags = f->flags};
        struct fuse_ask a = ask(f->inode, opcode, &in, sizeof(in));

        a.want = size;
        return fuse_ask(c, &a, r);
}

long fuse_readdir(struct call *c, struct file *f, uint64_t pos, struct fuse_request **r, const char **data,
                  uint32_t *len)
{
        long result = ask_piece(c, f, FUSE_READDIR, pos, FUSE_DIR_PIECE, r);

        if (result)
                return result;
        *data = (*r)->out;
        *len = (*r)->out_len;
        return 0;
}

/* A piece that is shorter than it was asked for is the last one. */
static long fuse_file_read(struct call *c, struct file *f)
{
        bool positional = c->pos != POS_CURRENT;
        struct fuse_request *r;
        uint64_t pos;
        size_t n, got;
        long result;

        if (!positional)
                lock(LOCK_FILE, f);
        pos = positional ? c->pos : f->pos;
        n = MIN(c->io.len, (size_t)FUSE_READ_MAX);
        if (n == 0 || pos >= FILE_SIZE_MAX || (c->io.done && c->why != WHY_RUN))
                return (long)c->io.done;
        result = ask_piece(c, f, FUSE_READ, pos, (uint32_t)n, &r);
        if (result)
                return result < 0 && result > CALL_WAIT && c->io.done ? (long)c->io.done : result;
        got = io_copy_out(&c->io, r->out, r->out_len);
        if (got < r->out_len && (got == 0 || !c->fault_failed))
                return user_fault(c);
        if (got == 0)
                return (long)c->io.done;
        io_advance(&c->io, got);
        changes(c);
        if (positional)
                c->pos = pos + got;
        else
                f->pos = pos + got;
        fuse_used(r);
        return got == n && c->io.len ? CALL_AGAIN : (long)c->io.done;
}

static long fuse_file_seek(struct call *c, struct file *f, int64_t off, int whence)
{
        long r;

        lock(LOCK_FILE, f);
        r = whence != SEEK_SET && whence != SEEK_CUR ? refresh(c, f->inode) : 0;
        return r ? r : file_seek_within(c, f, off, whence, f->inode->size);
}

const struct file_ops fuse_file_ops = {
        .name = "fuse file", .read = fuse_file_read, .seek = fuse_file_seek, .fsync = space_fsync};
