/*
 * name.c - addresses of AF_UNIX: paths, abstract names, and none. Names without a file stand in a hash table in the space, guarded by
 * LOCK_SOCKETS(NAMES_KEY).
 */
#include "posix/socket/socket_internal.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/hash.h"
#include "kernel/lib/string.h"

#define NAME_BASE offsetof(struct sockaddr_un, sun_path)

long name_copy_in(struct call *c, struct unix_name *n, uint64_t user, uint64_t len)
{
        if ((int)len < 0 || len > sizeof(struct sockaddr_un))
                return -EINVAL;
        if (len < NAME_BASE)
                return -EINVAL;
        memset(n, 0, sizeof(*n));
        if (!copy_in(c, &n->un, user, len))
                return user_fault(c);
        if (n->un.sun_family != AF_UNIX)
                return -EINVAL;
        n->len = (uint16_t)len;
        if (len > NAME_BASE && n->un.sun_path[0]) /* a path ends at its NUL, given or not */
                n->len = (uint16_t)(NAME_BASE + strlen(n->un.sun_path) + 1);
        return 0;
}

bool name_copy_out(struct call *c, const struct sock *s, uint64_t user, uint64_t user_len)
{
        static const uint16_t unnamed = AF_UNIX;
        const void *name = s && s->name ? (const void *)s->name : &unnamed;
        int len = s && s->name ? (int)s->name_len : (int)sizeof(unnamed), room;

        if (!user)
                return true;
        if (!copy_in(c, &room, user_len, sizeof(room)))
                return false;
        if (room < 0)
                room = 0; /* the callers that must refuse it have looked */
        if (!copy_out(c, user_len, &len, sizeof(len)))
                return false;
        return copy_out(c, user, name, (size_t)MIN(room, len));
}

static struct sock **bucket(const void *name, size_t len)
{
        return &socket_state()->names[hash_bytes(name, len, 0) % NAME_BUCKETS];
}

static struct sock *abstract_find(const void *name, size_t len, unsigned type)
{
        for (struct sock *s = *bucket(name, len); s; s = s->name_next)
                if (s->type == type && s->name_len == len && !memcmp(s->name, name, len))
                        return s;
        return NULL;
}

static void name_set(struct sock *s, const void *name, size_t len)
{
        char *copy = space_alloc_bytes(len);

        memcpy(copy, name, len);
        s->name_len = (uint32_t)len;
        __atomic_store_n(&s->name, copy, __ATOMIC_RELEASE);
}

static void abstract_add(struct sock *s, const void *name, size_t len)
{
        struct sock **b = bucket(name, len);

        name_set(s, name, len);
        s->name_next = *b;
        *b = s;
}

static bool in_table(const struct sock *s)
{
        return s->name && s->name_len > NAME_BASE && !s->name[NAME_BASE] && !s->name_copied;
}

void name_touch(struct sock *s)
{
        for (struct sock *n = in_table(s) ? *bucket(s->name, s->name_len) : NULL; n; n = n->name_next)
                (void)READ_ONCE(n->state);
}

void name_drop(struct sock *s)
{
        if (!in_table(s))
                return;
        lock(LOCK_SOCKETS, NAMES_KEY);
        for (struct sock **p = bucket(s->name, s->name_len); *p; p = &(*p)->name_next)
                if (*p == s) {
                        *p = s->name_next;
                        break;
                }
        s->name_next = NULL;
        unlock(LOCK_SOCKETS, NAMES_KEY);
}

/* Linux's names of five hexadecimal digits. */
long name_auto(struct call *c, struct sock *s)
{
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        uint32_t first;
        char digits[8];

        lock(LOCK_SOCKETS, NAMES_KEY);
        first = socket_state()->autobind;
        for (uint32_t k = 1; k <= 0xfffff; k++) {
                snprintf(digits, sizeof(digits), "%05x", (first + k) & 0xfffff);
                memcpy(un.sun_path + 1, digits, 5);
                if (abstract_find(&un, NAME_BASE + 6, s->type))
                        continue;
                changes(c);
                socket_state()->autobind = first + k;
                abstract_add(s, &un, NAME_BASE + 6);
                unlock(LOCK_SOCKETS, NAMES_KEY);
                return 0;
        }
        return -ENOSPC;
}

static long bind_path(struct call *c, struct sock *s, const struct unix_name *n)
{
        struct walk w;
        long r;

        if (s->name) { /* Linux makes the node first and finds out then */
                r = path_walk_kernel(c, c->thread->proc->fs->cwd, n->un.sun_path, WALK_PARENT | WALK_NO_WAIT, &w);
                return r ? r : w.inode ? -EADDRINUSE : -EINVAL;
        }
        r = socket_name_make(c, n->un.sun_path, s);
        if (r)
                return r;
        name_set(s, &n->un, n->len);
        return 0;
}

static long bind_abstract(struct call *c, struct sock *s, const struct unix_name *n)
{
        lock(LOCK_SOCKETS, NAMES_KEY);
        if (abstract_find(&n->un, n->len, s->type))
                return -EADDRINUSE;
        if (!space_room(1))
                return -ENOMEM;
        changes(c);
        abstract_add(s, &n->un, n->len);
        return 0;
}

long sys_bind(struct call *c)
{
        struct unix_name n;
        struct file *f;
        struct sock *s;
        long r;

        s = sock_of(c, c->arg[0], &f, &r);
        if (!s)
                return r;
        r = name_copy_in(c, &n, c->arg[1], c->arg[2]);
        if (r)
                return r;
        if (n.len == NAME_BASE)
                return s->name ? 0 : space_room(1) ? name_auto(c, s) : -ENOMEM;
        if (!name_is_abstract(&n))
                return bind_path(c, s, &n);
        return s->name ? -EINVAL : bind_abstract(c, s, &n);
}

long name_find(struct call *c, const struct unix_name *n, unsigned type, struct sock **out)
{
        struct sock *s;
        struct walk w;
        long r;

        if (n->len == NAME_BASE)
                return -ECONNREFUSED;
        if (name_is_abstract(n)) {
                lock(LOCK_SOCKETS, NAMES_KEY);
                s = abstract_find(&n->un, n->len, type);
                unlock(LOCK_SOCKETS, NAMES_KEY);
                if (!s)
                        return -ECONNREFUSED;
                *out = s;
                return 0;
        }
        r = path_walk_kernel(c, c->thread->proc->fs->cwd, n->un.sun_path, WALK_FOLLOW | WALK_NO_WAIT, &w);
        if (r)
                return r;
        r = inode_permission(w.inode, 2);
        if (r)
                return r;
        s = S_ISSOCK(w.inode->mode) && w.inode->kind != INODE_FUSE ? (struct sock *)w.inode->priv : NULL;
        if (!s || s->state == SOCK_CLOSED)
                return -ECONNREFUSED;
        if (s->type != type)
                return -EPROTOTYPE;
        *out = s;
        return 0;
}

long sys_getsockname(struct call *c)
{
        struct file *f;
        struct sock *s;
        long r;
        int room;

        s = sock_of(c, c->arg[0], &f, &r);
        if (!s)
                return r;
        if (!copy_in(c, &room, c->arg[2], sizeof(room)))
                return user_fault(c);
        if (room < 0)
                return -EINVAL;
        return name_copy_out(c, s, c->arg[1], c->arg[2]) ? 0 : user_fault(c);
}

long sys_getpeername(struct call *c)
{
        struct sock *s, *peer;
        struct file *f;
        long r;
        int room;

        s = sock_of(c, c->arg[0], &f, &r);
        if (!s)
                return r;
        peer = READ_ONCE(s->peer);
        if (!peer)
                return -ENOTCONN;
        if (!copy_in(c, &room, c->arg[2], sizeof(room)))
                return user_fault(c);
        if (room < 0)
                return -EINVAL;
        return name_copy_out(c, peer, c->arg[1], c->arg[2]) ? 0 : user_fault(c);
}
