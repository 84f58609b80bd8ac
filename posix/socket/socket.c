/*
 * socket.c - AF_UNIX sockets: making, connecting, accepting, closing; poll. Messages are message.c's.
 *
 * A connection: connect() makes the server's end, joins it with the caller and puts it on the listener's list; accept() gives it a file. Both ends hold
 * a reference on each other. Closing one breaks its own reference; the other keeps its (for getpeername and what is still to be read)
 * until it is closed in turn. So there is no cycle of two, and queues are emptied at close; cycles through files in messages are scm.c's.
 */
#include "posix/socket/socket_internal.h"
#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/sockios.h>

#define NPROTO     46
#define DROP_FILES 16u /* file references a section drops: each may be in a page of its own */
#define DROP_SKBS  16u

struct peer_cred peer_cred_current(void)
{
        struct thread *t = thread_current();

        return (struct peer_cred){t->proc->pid, t->cred->euid, t->cred->egid};
}

struct sock *sock_of(struct call *c, uint64_t fd, struct file **f, long *error)
{
        *f = fd_lookup_io(c, fd);
        *error = *f ? -ENOTSOCK : -EBADF;
        return *f && (*f)->ops_type == FILE_SOCKET ? file_sock(*f) : NULL;
}

struct sock *sock_new(unsigned type)
{
        struct sock *s = object_new(TYPE_SOCKET);

        s->type = (uint8_t)type;
        s->sndbuf = s->rcvbuf = SNDBUF_DEFAULT;
        s->rcvlowat = 1;
        s->peek_off = -1;
        return s;
}

struct file *sock_file_new(struct sock *s, uint32_t flags)
{
        struct inode *i = inode_anonymous(S_IFSOCK | 0777, "socket");
        struct file *f = file_new(FILE_SOCKET, FMODE_READ | FMODE_WRITE, O_RDWR | (flags & O_NONBLOCK), i, s);

        object_put(i);
        object_put(s);
        s->file = f;
        return f;
}

struct sock *carrier_new(void)
{
        struct sock *s = object_new(TYPE_SOCKET);

        s->state = SOCK_CLOSED;
        return s;
}

/* ---- end ---- */

static void skb_free(struct skb *b)
{
        space_free_bytes(b->files);
        space_free_bytes(b->data);
        object_put(b->sender);
        space_free(b);
}

void skb_done(struct skb *b)
{
        struct sock *carrier;

        if (!b->nfiles) {
                skb_free(b);
                return;
        }
        carrier = carrier_new();
        b->next = NULL;
        carrier->head = b;
        object_put(carrier);
}

static void sock_close(struct sock *s, bool never_accepted);

/* Nobody knows the socket any more: what is left in it goes, in pieces. */
static bool sock_release(void *object)
{
        struct sock *s = object, *a;
        unsigned files = 0, skbs = 0;

        while (s->head) {
                struct skb *b = s->head;

                if (b->in_flight) {
                        lock(LOCK_SOCKETS, SCM_KEY);
                        flight_remove(b);
                        unlock(LOCK_SOCKETS, SCM_KEY);
                }
                while (b->nfiles && files++ < DROP_FILES)
                        object_put(b->files[--b->nfiles]);
                if (b->nfiles || skbs++ == DROP_SKBS)
                        return true;
                s->head = b->next;
                skb_free(b);
        }
        a = s->accept_head;
        if (a) {
                s->accept_head = a->accept_next;
                a->accept_next = NULL;
                a->listener = NULL;
                sock_close(a, true);
                object_put(a);
                return true;
        }
        object_put(s->peer);
        space_free_bytes(s->name);
        space_free(s);
        return false;
}

/* What one piece of the above reads and writes. */
static void sock_release_touch(void *object)
{
        struct sock *s = object, *a = s->accept_head;
        unsigned files = 0, skbs = 0;

        for (struct skb *b = s->head; b && skbs++ <= DROP_SKBS; b = b->next) {
                for (uint32_t i = b->nfiles; i && files++ < DROP_FILES; i--)
                        file_touch(b->files[i - 1]);
                if (b->in_flight && b->flight_next)
                        (void)READ_ONCE(b->flight_next->len);
                if (b->in_flight && b->flight_prev)
                        (void)READ_ONCE(b->flight_prev->len);
                if (b->sender)
                        (void)READ_ONCE(b->sender->state);
        }
        if (a && a->peer)
                (void)READ_ONCE(a->peer->state);
        if (s->peer)
                (void)READ_ONCE(s->peer->state);
}

/*
 * One end is closed: the other is told. After changes(), no lock held. What was queued goes to a carrier, which the dying list destroys in
 * pieces.
 */
static void sock_close(struct sock *s, bool never_accepted)
{
        struct sock *peer = s->peer, *carrier = NULL;

        name_drop(s);
        lock2(LOCK_SOCK, s, peer ? peer : s);
        if (peer && is_connected_type(s)) {
                peer->shut = SHUT_IN | SHUT_OUT;
                if (s->head || never_accepted)
                        peer->error = ECONNRESET;
        }
        if (s->head || s->accept_head) {
                carrier = carrier_new();
                carrier->head = s->head;
                carrier->accept_head = s->accept_head;
        }
        s->state = SOCK_CLOSED;
        s->shut = SHUT_IN | SHUT_OUT;
        s->file = NULL;
        s->peer = NULL;
        s->head = s->tail = NULL;
        s->accept_head = s->accept_tail = NULL;
        s->rx_count = s->naccept = 0;
        s->rx_bytes = 0;
        unlock2(LOCK_SOCK, s, peer ? peer : s);
        wake(&s->rx_bytes);
        wake(&s->tx);
        wake(&s->queue_room);
        if (peer) {
                wake(&peer->rx_bytes);
                wake(&peer->tx);
                object_put(peer);
        }
        if (carrier)
                object_put(carrier);
}

static void socket_file_release(struct file *f)
{
        sock_close(file_sock(f), false);
        if (socket_state()->nflight)
                collect_later();
}

static void socket_file_touch(struct file *f)
{
        struct sock *s = file_sock(f);

        if (s->peer)
                (void)READ_ONCE(s->peer->state);
        if (s->name && s->name_len > 2 && !s->name[2]) /* its bucket of abstract names */
                name_touch(s);
}

/* ---- making ---- */

static long decode_type(struct call *c, uint32_t *type)
{
        int family = (int)c->arg[0], protocol = (int)c->arg[2];
        uint32_t t = (uint32_t)c->arg[1];

        if (t & ~(SOCK_TYPE_MASK | O_CLOEXEC | O_NONBLOCK))
                return -EINVAL;
        *type = t & SOCK_TYPE_MASK;
        if (family < 0 || family >= NPROTO)
                return -EAFNOSUPPORT;
        if (*type == 0 || *type > 10)
                return -EINVAL;
        if (family != AF_UNIX)
                return -EAFNOSUPPORT;
        if (protocol && protocol != AF_UNIX)
                return -EPROTONOSUPPORT;
        if (*type == SOCK_RAW)
                *type = SOCK_DGRAM;
        return *type == SOCK_STREAM || *type == SOCK_DGRAM || *type == SOCK_SEQPACKET ? 0 : -ESOCKTNOSUPPORT;
}

/* The root block is made with the first socket. */
static void state_make(void)
{
        if (!socket_state())
                posix_root()->socket_state = space_alloc_bytes(sizeof(struct socket_state));
}

long sys_socket(struct call *c)
{
        uint32_t type, flags = (uint32_t)c->arg[1];
        long r = decode_type(c, &type);
        int fd;

        if (r)
                return r;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        lock(LOCK_SOCKETS, &posix_root()->socket_state);
        if (!space_room(4))
                return -ENOBUFS;
        changes(c);
        state_make();
        fd_install(c, fd, sock_file_new(sock_new(type), flags), flags & O_CLOEXEC);
        return fd;
}

long sys_socketpair(struct call *c)
{
        uint32_t type, flags = (uint32_t)c->arg[1];
        struct sock *a, *b;
        int fd[2];
        long r = decode_type(c, &type);

        if (r)
                return r;
        fd[0] = fd_reserve(c, 0);
        if (fd[0] < 0)
                return fd[0];
        fd[1] = fd_reserve_next(c, fd[0]);
        if (fd[1] < 0)
                return fd[1];
        if (!copy_out(c, c->arg[3], fd, sizeof(fd)))
                return user_fault(c);
        lock(LOCK_SOCKETS, &posix_root()->socket_state);
        if (!space_room(6))
                return -ENOBUFS;
        changes(c);
        state_make();
        a = sock_new(type);
        b = sock_new(type);
        a->peer = b;
        b->peer = a;
        object_get(a);
        object_get(b);
        a->state = b->state = SOCK_CONNECTED;
        a->peer_cred = b->peer_cred = peer_cred_current();
        a->has_peer_cred = b->has_peer_cred = 1;
        fd_install(c, fd[0], sock_file_new(a, flags), flags & O_CLOEXEC);
        fd_install(c, fd[1], sock_file_new(b, flags), flags & O_CLOEXEC);
        return 0;
}

/* ---- connecting ---- */

long sys_listen(struct call *c)
{
        struct file *f;
        struct sock *s;
        long r;

        s = sock_of(c, c->arg[0], &f, &r);
        if (!s)
                return r;
        if (!is_connected_type(s))
                return -EOPNOTSUPP;
        lock(LOCK_SOCK, s);
        if (!s->name || s->state == SOCK_CONNECTED)
                return -EINVAL;
        changes(c);
        s->backlog = MIN((uint32_t)c->arg[1], SOMAXCONN_);
        s->state = SOCK_LISTENING;
        s->peer_cred = peer_cred_current();
        s->has_peer_cred = 1;
        wake(&s->queue_room);
        return 0;
}

static uint64_t timeout_deadline(uint64_t ns)
{
        return ns ? time_mono_ns() + ns : NO_DEADLINE;
}

/* -EINTR when a time limit is set: a restart would have it begin anew. */
long sock_interrupted(struct call *c)
{
        if (c->why == WHY_SIGNAL && c->deadline && !c->io.done)
                return -EINTR;
        return call_interrupted(c);
}

static long connect_datagram(struct call *c, struct sock *s, struct sock *to)
{
        struct sock *old;

        lock(LOCK_SOCK, s);
        if (to && to->peer && to->peer != s)
                return -EPERM;
        old = s->peer;
        object_look(old);
        changes(c);
        s->peer = to;
        object_get(to);
        s->state = to ? SOCK_CONNECTED : SOCK_UNCONNECTED;
        object_put(old);
        wake(&s->tx);
        return 0;
}

/* The server's end, joined with s and put on the list. Both locked. */
static void connect_join(struct sock *s, struct sock *listener)
{
        struct sock *e = sock_new(s->type);

        e->peer = s;
        object_get(s);
        s->peer = e;
        object_get(e);
        e->state = s->state = SOCK_CONNECTED;
        e->peer_cred = peer_cred_current();
        s->peer_cred = listener->peer_cred;
        e->has_peer_cred = s->has_peer_cred = 1;
        e->pass_cred = listener->pass_cred;
        if (listener->name) {
                e->name = space_alloc_bytes(listener->name_len);
                __builtin_memcpy(e->name, listener->name, listener->name_len);
                e->name_len = listener->name_len;
                e->name_copied = 1;
        }
        e->listener = listener;
        if (listener->accept_tail)
                listener->accept_tail->accept_next = e;
        else
                listener->accept_head = e;
        listener->accept_tail = e;
        listener->naccept++;
        wake(&listener->rx_bytes);
        wake(&s->rx_bytes);
        wake(&s->tx);
}

static long connect_run(struct call *c)
{
        struct sock *s = file_sock(c->file), *to = (struct sock *)c->objects[1];

        if (s->state == SOCK_CONNECTED)
                return -EISCONN;
        if (s->state != SOCK_UNCONNECTED)
                return -EINVAL;
        lock2(LOCK_SOCK, s, to);
        if (s->state != SOCK_UNCONNECTED)
                return s->state == SOCK_CONNECTED ? -EISCONN : -EINVAL;
        if (to->state != SOCK_LISTENING || to->shut & SHUT_IN)
                return -ECONNREFUSED;
        if (to->naccept > to->backlog) {
                if (c->file->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return sock_interrupted(c);
                return call_wait(c, CONDITION, &to->queue_room, INTERRUPTIBLE, c->deadline);
        }
        object_look(to->accept_tail);
        if (!space_room(3))
                return -ENOMEM;
        changes(c);
        connect_join(s, to);
        return 0;
}

long sys_connect(struct call *c)
{
        struct unix_name n;
        struct file *f;
        struct sock *s, *to;
        uint16_t family = AF_UNIX;
        long r;

        if (c->stage)
                return connect_run(c);
        s = sock_of(c, c->arg[0], &f, &r);
        if (!s)
                return r;
        if (!is_connected_type(s) && (int)c->arg[2] >= (int)sizeof(family)) {
                if (!copy_in(c, &family, c->arg[1], sizeof(family)))
                        return user_fault(c);
                if (family == AF_UNSPEC)
                        return connect_datagram(c, s, NULL);
        }
        r = name_copy_in(c, &n, c->arg[1], c->arg[2]);
        if (r)
                return r;
        r = name_find(c, &n, s->type, &to);
        if (r)
                return r;
        if (!is_connected_type(s)) {
                if (s->pass_cred && !s->name) {
                        r = space_room(1) ? name_auto(c, s) : -ENOMEM;
                        return r ? r : CALL_AGAIN;
                }
                return connect_datagram(c, s, to);
        }
        c->file = f;
        c->objects[1] = &to->obj;
        c->deadline = timeout_deadline(s->sndtimeo_ns);
        c->stage = 1;
        return connect_run(c);
}

static long accept_run(struct call *c, uint32_t flags)
{
        struct sock *s, *e;
        struct file *f;
        long r;
        int fd, room;

        if (c->stage == 0) {
                if (flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK))
                        return -EINVAL;
                s = sock_of(c, c->arg[0], &c->file, &r);
                if (!s)
                        return r;
                if (!is_connected_type(s))
                        return -EOPNOTSUPP;
                c->deadline = timeout_deadline(s->rcvtimeo_ns);
                c->stage = 1;
        }
        s = file_sock(c->file);
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        lock(LOCK_SOCK, s);
        if (s->state != SOCK_LISTENING)
                return -EINVAL;
        e = s->accept_head;
        if (!e) {
                if (s->shut & SHUT_IN)
                        return -EINVAL;
                if (c->file->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return sock_interrupted(c);
                return call_wait(c, CONDITION, &s->rx_bytes, INTERRUPTIBLE, c->deadline);
        }
        if (c->arg[1]) {
                if (!copy_in(c, &room, c->arg[2], sizeof(room)))
                        return user_fault(c);
                if (room < 0)
                        return -EINVAL;
                if (!name_copy_out(c, e->peer, c->arg[1], c->arg[2]))
                        return user_fault(c);
        }
        object_look(e);
        if (!space_room(2))
                return -ENFILE;
        changes(c);
        s->accept_head = e->accept_next;
        if (!s->accept_head)
                s->accept_tail = NULL;
        e->accept_next = NULL;
        e->listener = NULL;
        s->naccept--;
        wake(&s->queue_room);
        f = sock_file_new(e, flags);
        fd_install(c, fd, f, flags & O_CLOEXEC);
        return fd;
}

long sys_accept(struct call *c)
{
        return accept_run(c, 0);
}

long sys_accept4(struct call *c)
{
        return accept_run(c, (uint32_t)c->arg[3]);
}

long sys_shutdown(struct call *c)
{
        uint32_t how = (uint32_t)c->arg[1] + 1;
        struct sock *s, *peer;
        struct file *f;
        long r;

        s = sock_of(c, c->arg[0], &f, &r);
        if (!s)
                return r;
        if (how < 1 || how > 3)
                return -EINVAL;
        peer = is_connected_type(s) ? s->peer : NULL;
        lock2(LOCK_SOCK, s, peer ? peer : s);
        object_look(peer);
        changes(c);
        s->shut |= (uint8_t)how;
        if (peer)
                peer->shut |= (uint8_t)((how & SHUT_IN ? SHUT_OUT : 0) | (how & SHUT_OUT ? SHUT_IN : 0));
        wake(&s->rx_bytes);
        wake(&s->tx);
        if (peer) {
                wake(&peer->rx_bytes);
                wake(&peer->tx);
        }
        return 0;
}

/* ---- poll, ioctl ---- */

static bool writable(const struct sock *s, const struct sock *peer)
{
        if (s->state == SOCK_LISTENING)
                return false;
        if (!peer)
                return true;
        if (!is_connected_type(s) && peer->peer != s && receives_full(peer))
                return false;
        return queued_memory(peer) * 4 <= s->sndbuf;
}

static uint32_t socket_poll(struct file *f, struct poll_table *pt)
{
        struct sock *s = file_sock(f), *peer = READ_ONCE(s->peer);
        uint32_t ready = 0;

        poll_register(pt, &s->rx_bytes);
        poll_register_for(pt, &s->tx, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
        if (peer && !is_connected_type(s))
                poll_register_for(pt, &peer->queue_room, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
        if (s->error)
                ready |= EPOLLERR;
        if (s->shut == (SHUT_IN | SHUT_OUT))
                ready |= EPOLLHUP;
        if (s->shut & SHUT_IN)
                ready |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
        if (READ_ONCE(s->head) || READ_ONCE(s->accept_head))
                ready |= EPOLLIN | EPOLLRDNORM;
        if (is_connected_type(s) && s->state == SOCK_UNCONNECTED)
                ready |= EPOLLHUP;
        if (writable(s, peer))
                ready |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
        return ready;
}

static long socket_ioctl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        struct sock *s = file_sock(f);
        int value;

        switch (cmd) {
        case SIOCINQ:
                if (s->state == SOCK_LISTENING)
                        return -EINVAL;
                value = is_stream(s) || s->type == SOCK_SEQPACKET ? (int)s->rx_bytes : 0;
                if (!is_connected_type(s) && s->rx_count) {
                        lock(LOCK_SOCK, s);
                        value = s->head ? (int)s->head->len : 0;
                }
                break;
        case SIOCOUTQ:
                value = s->peer ? (int)s->peer->rx_bytes : 0;
                break;
        case SIOCATMARK:
                value = 0;
                break;
        default:
                return -ENOTTY;
        }
        return copy_out(c, arg, &value, sizeof(value)) ? 0 : user_fault(c);
}

long socket_read(struct call *c, struct file *f);
long socket_write(struct call *c, struct file *f);

const struct file_ops socket_file_ops = {
        .name = "socket",
        .read = socket_read,
        .write = socket_write,
        .poll = socket_poll,
        .ioctl = socket_ioctl,
        .release = socket_file_release,
        .touch = socket_file_touch,
};

static const struct space_field sock_fields[] = {
        {offsetof(struct sock, peer), FIELD_REF, 1},           {offsetof(struct sock, head), FIELD_OWN, 1},
        {offsetof(struct sock, tail), FIELD_BORROW, 1},        {offsetof(struct sock, accept_head), FIELD_REF, 1},
        {offsetof(struct sock, accept_tail), FIELD_BORROW, 1}, {offsetof(struct sock, accept_next), FIELD_REF, 1},
        {offsetof(struct sock, name), FIELD_OWN, 1},           {offsetof(struct sock, name_next), FIELD_BORROW, 1},
        {offsetof(struct sock, file), FIELD_BORROW, 2},        {0, 0, 0},
};
static const struct space_field skb_fields[] = {
        {offsetof(struct skb, next), FIELD_OWN, 3},
        {offsetof(struct skb, sender), FIELD_REF, 1},
        {offsetof(struct skb, owner), FIELD_BORROW, 3},
        {0, 0, 0},
};
const struct posix_type socket_types[] = {
        {TYPE_SOCKET, {"sock", sizeof(struct sock), 1, SPACE_OBJECT, sock_fields}, sock_release, sock_release_touch},
        {TYPE_SKB, {"skb", sizeof(struct skb), 1, 0, skb_fields}, NULL, NULL},
        {0},
};
