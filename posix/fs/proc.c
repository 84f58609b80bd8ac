/*
 * proc.c - /proc and /sys: a registry of computed files (volatile, made at every boot), and the file operations of everything computed.
 * Inodes are made in the section's scratch when a walk comes by; whoever keeps one makes it real (inode_hold). A text is made anew for each read, from its start;
 * only what lies at the read's position is kept.
 */
#include "posix/fs/proc_internal.h"
#include "kernel/include/mem.h"
#include "kernel/lib/hash.h"
#include <linux/fs.h>

struct proc_node proc_root = {.name = "", .mode = S_IFDIR | 0555}, sys_root = {.name = "", .mode = S_IFDIR | 0555};
static struct spinlock registry;
static uint32_t next_cookie = 16;

/* ---- text ---- */

void proc_put(struct proc_text *t, const char *bytes, size_t len)
{
        size_t n;

        if (t->skip >= len) {
                t->skip -= len;
                return;
        }
        bytes += t->skip;
        len -= t->skip;
        t->skip = 0;
        n = MIN(len, t->cap - t->len);
        memcpy(t->buf + t->len, bytes, n);
        t->len += n;
        t->full |= t->len == t->cap;
}

void proc_printf(struct proc_text *t, const char *fmt, ...)
{
        char line[512];
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(line, sizeof(line), fmt, ap);
        va_end(ap);
        if (n > 0)
                proc_put(t, line, MIN((size_t)n, sizeof(line) - 1));
}

bool proc_full(const struct proc_text *t)
{
        return t->full;
}

int proc_parse_u64(const char *text, uint64_t *value)
{
        const char *end;
        unsigned long v;

        while (*text == ' ' || *text == '\t')
                text++;
        if (!fmt_parse_u64(text, 0, &end, &v))
                return -EINVAL;
        while (*end == ' ' || *end == '\n' || *end == '\t')
                end++;
        if (*end)
                return -EINVAL;
        *value = v;
        return 0;
}

/* ---- registry ---- */

static struct proc_node *child(const struct proc_node *dir, const char *name, size_t len)
{
        struct proc_node *n = READ_ONCE(dir->children);

        while (n && (strncmp(n->name, name, len) != 0 || n->name[len]))
                n = READ_ONCE(n->next);
        return n;
}

static struct proc_node *shown_child(const struct proc_node *dir, const char *name, size_t len)
{
        struct proc_node *n = child(dir, name, len);

        return n && !READ_ONCE(n->hidden) ? n : NULL;
}

static struct proc_node *add(struct proc_node *dir, const char *name, size_t len, uint32_t mode)
{
        struct proc_node *n = kzalloc(sizeof(*n) + len + 1), **at;
        char *copy;
        uint64_t f;

        if (!n)
                return NULL;
        copy = (char *)(n + 1);
        memcpy(copy, name, len);
        n->name = copy;
        n->parent = dir;
        n->mode = mode;
        n->hash = hash_bytes(name, len, dir->hash + 1);
        f = spin_lock(&registry);
        n->cookie = next_cookie++;
        for (at = &dir->children; *at; at = &(*at)->next)
                ;
        __atomic_store_n(at, n, __ATOMIC_RELEASE);
        spin_unlock(&registry, f);
        return n;
}

/* The node at path; its directories are made. NULL and *error: not possible. */
static struct proc_node *make(const char *path, uint32_t mode, int *error)
{
        struct proc_node *n = strncmp(path, "/sys/", 5) == 0 ? &sys_root : &proc_root;

        path += n == &sys_root ? 5 : 6;
        for (;;) {
                const char *end = strchr(path, '/');
                size_t len = end ? (size_t)(end - path) : strlen(path);
                struct proc_node *next = child(n, path, len);

                if (next && !end) {
                        *error = -EEXIST;
                        return S_ISDIR(mode) && S_ISDIR(next->mode) ? next : NULL;
                }
                if (!next)
                        next = add(n, path, len, end ? S_IFDIR | 0555 : mode);
                if (!next) {
                        *error = -ENOMEM;
                        return NULL;
                }
                n = next;
                if (!end)
                        return n;
                path = end + 1;
        }
}

/* The node at path, which is there. */
static struct proc_node *find_path(const char *path)
{
        struct proc_node *n = strncmp(path, "/sys/", 5) == 0 ? &sys_root : &proc_root;

        path += n == &sys_root ? 5 : 6;
        while (n && *path) {
                const char *end = strchr(path, '/');
                size_t len = end ? (size_t)(end - path) : strlen(path);

                n = child(n, path, len);
                path += len + (end != NULL);
        }
        return n;
}

int proc_register(const char *path, uint32_t mode, proc_read_fn read, proc_write_fn write, void *arg)
{
        int error = 0;
        struct proc_node *n = make(path, S_IFREG | mode, &error);

        if (!n)
                return error;
        n->read = read;
        n->write = write;
        n->arg = arg;
        return 0;
}

int proc_register_dir(const char *path)
{
        int error = 0;

        return make(path, S_IFDIR | 0555, &error) ? 0 : error;
}

static char *copy_text(const char *s)
{
        size_t len = strlen(s) + 1;
        char *copy = kmalloc(len);

        if (copy)
                memcpy(copy, s, len);
        return copy;
}

int proc_register_link(const char *path, const char *target)
{
        int error = 0;
        struct proc_node *n = make(path, S_IFLNK | 0777, &error);

        if (n)
                n->target = copy_text(target);
        return n ? n->target ? 0 : -ENOMEM : error;
}

void proc_hide(const char *path, bool hidden)
{
        struct proc_node *n = find_path(path);

        if (n)
                WRITE_ONCE(n->hidden, hidden);
}

static uint64_t number_get(const struct proc_number *n)
{
        return n->bytes == 4 ? *(volatile uint32_t *)n->at : *(volatile uint64_t *)n->at;
}

static void number_read(struct proc_text *t, void *arg)
{
        proc_printf(t, "%lu\n", number_get(arg));
}

static long number_write(struct call *c, const char *text, size_t len, void *arg)
{
        struct proc_number *n = arg;
        uint64_t value;

        (void)c;
        (void)len;
        if (proc_parse_u64(text, &value) || value > n->max)
                return -EINVAL;
        if (n->set)
                n->set(value);
        else if (n->bytes == 4)
                *(volatile uint32_t *)n->at = (uint32_t)value;
        else
                *(volatile uint64_t *)n->at = value;
        return 0;
}

int proc_register_number(const char *path, struct proc_number *n)
{
        return proc_register(path, n->max ? 0644 : 0444, number_read, n->max ? number_write : NULL, n);
}

static struct proc_node *find_hash(struct proc_node *n, uint64_t hash)
{
        for (n = n->children; n; n = n->next) {
                struct proc_node *found;

                if (n->hash == hash)
                        return n;
                found = S_ISDIR(n->mode) ? find_hash(n, hash) : NULL;
                if (found)
                        return found;
        }
        return NULL;
}

/* The node an inode shows. key[1] 0 is the root. */
static struct proc_node *node_of(const struct inode *i)
{
        struct proc_node *root = i->kind == INODE_SYS ? &sys_root : &proc_root;

        return i->proc_key[1] ? find_hash(root, i->proc_key[1]) : root;
}

/* ---- inodes ---- */

uint64_t proc_ino(uint64_t a, uint64_t b)
{
        return (hash_pair(a, b) >> 20) | 1ul << 44;
}

struct inode *proc_inode(enum inode_kind kind, enum proc_tag tag, unsigned index, int pid, uint64_t key, uint32_t mode)
{
        struct inode *i = scratch_inode();
        uint64_t key0 = tag | (uint64_t)index << 8 | (uint64_t)(uint32_t)pid << 32;

        if (!i)
                return NULL;
        *i = (struct inode){
                .ino = proc_ino(key0, key),
                .mode = mode,
                .nlink = S_ISDIR(mode) ? 2 : 1,
                .kind = (uint8_t)kind,
                .proc_key = {key0, key},
        };
        i->dev = kind == INODE_SYS ? fs_state()->sys_dev : fs_state()->proc_dev;
        i->atime_ns = i->mtime_ns = i->ctime_ns = i->btime_ns = (int64_t)time_now_coarse_ns();
        return i;
}

static struct inode *node_inode(enum inode_kind kind, const struct proc_node *n)
{
        return proc_inode(kind, PROC_NODE, 0, 0, n->hash, n->mode);
}

static long node_lookup(struct inode *dir, const char *name, unsigned len, struct inode **out)
{
        struct proc_node *d = node_of(dir), *n = d ? shown_child(d, name, len) : NULL;

        if (n) {
                *out = node_inode((enum inode_kind)dir->kind, n);
                return *out ? 0 : -ENOMEM;
        }
        if (d == &proc_root && len < 8) {
                int pid = 0;

                for (unsigned k = 0; k < len; k++) {
                        if (name[k] < '0' || name[k] > '9' || (k == 0 && name[k] == '0'))
                                return -ENOENT;
                        pid = pid * 10 + (name[k] - '0');
                }
                *out = pid_inode(pid);
                return *out ? 0 : -ENOENT;
        }
        return -ENOENT;
}

static long computed_lookup(struct call *c, struct inode *dir, const char *name, unsigned len, struct inode **out)
{
        (void)c;
        return proc_tag(dir) == PROC_NODE ? node_lookup(dir, name, len, out) : pid_lookup(dir, name, len, out);
}

static struct inode *root_inode(enum inode_kind kind)
{
        struct mount *m = fs_state()->mounts;

        while (m && (m->root->kind != kind))
                m = m->next;
        return m ? m->root : NULL;
}

static struct inode *computed_parent(struct inode *i)
{
        struct proc_node *n;

        if (proc_tag(i) != PROC_NODE)
                return proc_tag(i) == PROC_PID ? root_inode(INODE_PROC) : pid_parent(i);
        n = node_of(i);
        if (!n || !n->parent)
                return NULL;
        return n->parent->parent ? node_inode((enum inode_kind)i->kind, n->parent)
                                 : root_inode((enum inode_kind)i->kind);
}

static bool computed_next(struct inode *dir, uint64_t cookie, struct dir_entry *e)
{
        struct proc_node *d, *n;

        if (proc_tag(dir) != PROC_NODE)
                return pid_next(dir, cookie, e);
        d = node_of(dir);
        if (cookie < PROC_PID_COOKIE) {
                for (n = d ? d->children : NULL; n && (n->cookie <= cookie || READ_ONCE(n->hidden)); n = n->next)
                        ;
                if (n) {
                        *e = (struct dir_entry){.ino = proc_ino(PROC_NODE, n->hash),
                                                .cookie = n->cookie,
                                                .name = n->name,
                                                .len = (uint8_t)strlen(n->name),
                                                .type = mode_to_dtype(n->mode)};
                        return true;
                }
        }
        return d == &proc_root && pid_root_next(cookie, e);
}

static long computed_readlink(struct call *c, struct inode *i, const char **target, uint32_t *len, struct inode **jump,
                              struct file **magic)
{
        struct vfs_scratch *s = vfs_scratch();
        struct proc_node *n;
        int k;

        (void)c;
        if (proc_tag(i) != PROC_NODE)
                return pid_readlink(i, target, len, jump, magic);
        n = node_of(i);
        if (!n || !S_ISLNK(n->mode) || !s)
                return -EINVAL;
        if (n->target) {
                *target = n->target;
                *len = (uint32_t)strlen(n->target);
                return 0;
        }
        k = n->link(s->block, sizeof(s->block));
        if (k < 0)
                return k;
        *target = s->block;
        *len = (uint32_t)k;
        return 0;
}

static int node_path(const struct proc_node *n, char *buf, size_t len, size_t at)
{
        if (!n->parent)
                return (int)at;
        at = (size_t)node_path(n->parent, buf, len, at);
        return (int)fmt_append(buf, len, at, "/%s", n->name);
}

static int computed_path(struct inode *i, char *buf, size_t len)
{
        struct proc_node *n;

        if (proc_tag(i) != PROC_NODE)
                return pid_path(i, buf, len);
        n = node_of(i);
        return n ? node_path(n, buf, len, 0) : -ENOENT;
}

static long computed_refresh(struct call *c, struct inode *i)
{
        (void)c;
        if (proc_tag(i) != PROC_NODE)
                pid_refresh(i);
        return 0;
}

const struct inode_ops proc_inode_ops = {
        .lookup = computed_lookup,
        .parent = computed_parent,
        .readlink = computed_readlink,
        .next = computed_next,
        .directory_type = FILE_DIRECTORY,
        .regular_type = FILE_PROC,
        .path = computed_path,
        .refresh = computed_refresh,
};

/* ---- open files ---- */

static long proc_read(struct call *c, struct file *f)
{
        struct vfs_scratch *s = vfs_scratch();
        struct inode *i = f->inode;
        bool positional = c->pos != POS_CURRENT;
        uint64_t pos = positional ? c->pos : f->pos;
        struct proc_text t;

        if (!s)
                return -ENOMEM;
        if (pid_is_mem(i))
                return pid_mem_io(c, f, false);
        t = (struct proc_text){.buf = s->out, .cap = MIN(c->io.len, (size_t)SCRATCH_OUT), .skip = pos};
        if (!t.cap)
                return 0;
        if (proc_tag(i) == PROC_NODE) {
                struct proc_node *n = node_of(i);

                if (!n)
                        return -ENODEV;
                if (!n->read)
                        return -EINVAL;
                n->read(&t, n->arg);
        } else {
                long r = pid_open_check(i);

                if (r)
                        return r;
                pid_show(i, &t);
        }
        section_step(); /* making the text may have brought in pages of another process */
        if (io_copy_out(&c->io, t.buf, t.len) < t.len)
                return user_fault(c);
        if (!positional && t.len) {
                lock(LOCK_FILE, f);
                changes(c);
                f->pos = pos + t.len;
        }
        return (long)t.len;
}

static long proc_write(struct call *c, struct file *f)
{
        struct vfs_scratch *s = vfs_scratch();
        size_t len = MIN(c->io.len, (size_t)PAGE_SIZE - 1);
        struct proc_node *n;
        long r;

        if (!s)
                return -ENOMEM;
        if (pid_is_mem(f->inode))
                return pid_mem_io(c, f, true);
        if (c->stage == PROC_WRITE_MORE) {
                n = node_of(f->inode);
                r = n && n->write ? n->write(c, NULL, 0, n->arg) : -ENODEV;
                return r ? r : (long)len;
        }
        if (io_copy_in(&c->io, s->block, len) < len)
                return user_fault(c);
        s->block[len] = 0;
        if (proc_tag(f->inode) != PROC_NODE) {
                r = pid_write(c, f->inode, s->block, len);
        } else {
                n = node_of(f->inode);
                if (!n)
                        return -ENODEV;
                r = n->write ? n->write(c, s->block, len, n->arg) : -EINVAL;
        }
        return r ? r : (long)len;
}

static long proc_seek(struct call *c, struct file *f, int64_t off, int whence)
{
        int64_t pos;

        lock(LOCK_FILE, f);
        if (whence == SEEK_SET)
                pos = off;
        else if (whence == SEEK_CUR)
                pos = (int64_t)f->pos + off;
        else
                return -EINVAL;
        if (pos < 0 && !pid_is_mem(f->inode))
                return -EINVAL;
        changes(c);
        f->pos = (uint64_t)pos;
        return pos;
}

const struct file_ops proc_file_ops = {.name = "proc", .read = proc_read, .write = proc_write, .seek = proc_seek};
