/*
 * message.c - sending and receiving. A stream's write is a row of messages without bounds between them.
 *
 * Sending: the receiver's queue is locked; small data goes through the stack, big data is probed before the change and copied straight into the
 * message after it. A stream publishes what there was when the copy stops short; a datagram that stops short is thrown away and the call
 * runs again. Descriptors are looked up and counted first, 32 a section, into a carrier that the call holds.
 * Receiving: data, name, control and flags are copied out before the change; then the messages are taken off and descriptors installed.
 *
 * Locks: LOCK_FDTABLE (only when a message carries descriptors), LOCK_SOCKETS(SCM_KEY) (likewise), LOCK_SOCK of the receiving socket.
 */
#include "posix/socket/socket_internal.h"
#include "kernel/lib/string.h"
#include <asm/socket.h>
#include <linux/fcntl.h>
#include <linux/uio.h>

enum { STAGE_MESSAGE = 1, STAGE_FILES, STAGE_RUN };
enum { SLOT_PEER = 1, SLOT_CARRIER = 2 }; /* in call.objects */
#define FILES_PIECE 32u
#define PEEK_FILES  32u

struct user_msghdr {
        uint64_t name;
        uint32_t name_len, pad;
        uint64_t iov, iov_len, control, control_len;
        uint32_t flags, pad2;
};
struct user_cmsghdr {
        uint64_t len;
        uint32_t level, type;
};
#define CMSG_SPACE_OF(n) (((n) + 7) & ~7ul)

struct msg_state {
        uint64_t hdr; /* recvmsg: user msghdr, else 0 */
        uint64_t name, name_len_at;
        uint64_t control, control_len;
        uint64_t count_at; /* mmsg: where the length goes */
        uint64_t files_at; /* descriptors still to be counted: user address */
        uint32_t nfiles, flags;
        uint32_t index, vlen; /* mmsg */
        struct peer_cred cred;
        uint8_t has_cred, many, pad[2];
        uint64_t many_deadline;
};

static struct msg_state *state_of(struct call *c)
{
        return call_state(c, struct msg_state);
}

static void state_init(struct call *c)
{
        memset(state_of(c), 0, sizeof(struct msg_state));
}

/* ---- sending: decode ---- */

static long cred_check(const struct peer_cred *p)
{
        const struct cred *me = thread_current()->cred;

        if ((p->pid != process_current()->pid && !capable(CAP_SYS_ADMIN)) ||
            (p->uid != me->uid && p->uid != me->euid && p->uid != me->suid && !capable(CAP_SETUID)) ||
            (p->gid != me->gid && p->gid != me->egid && p->gid != me->sgid && !capable(CAP_SETGID)))
                return -EPERM;
        return 0;
}

/* Control messages: credentials are taken, the place of the descriptors is noted (one row of them, as everybody sends it). */
static long decode_control(struct call *c)
{
        struct msg_state *m = state_of(c);
        uint64_t at = 0;
        long r;

        if (m->control_len > 1u << 16)
                return -ENOBUFS;
        while (m->control_len - at >= sizeof(struct user_cmsghdr)) {
                struct user_cmsghdr h;

                if (!copy_in(c, &h, m->control + at, sizeof(h)))
                        return user_fault(c);
                if (h.len < sizeof(h) || h.len > m->control_len - at)
                        return -EINVAL;
                if (h.level == SOL_SOCKET && h.type == SCM_RIGHTS) {
                        uint64_t n = (h.len - sizeof(h)) / sizeof(int);

                        if (n > SKB_FILES || (n && m->nfiles))
                                return -EINVAL;
                        if (n) {
                                m->nfiles = (uint32_t)n;
                                m->files_at = m->control + at + sizeof(h);
                        }
                } else if (h.level == SOL_SOCKET && h.type == SCM_CREDENTIALS) {
                        if (h.len != sizeof(h) + sizeof(m->cred))
                                return -EINVAL;
                        if (!copy_in(c, &m->cred, m->control + at + sizeof(h), sizeof(m->cred)))
                                return user_fault(c);
                        r = cred_check(&m->cred);
                        if (r)
                                return r;
                        m->has_cred = 1;
                } else if (h.level == SOL_SOCKET) {
                        return -EINVAL;
                }
                at += CMSG_SPACE_OF(h.len);
                if (at > m->control_len)
                        break;
        }
        return 0;
}

/* Destination of one message, if it names one. */
static long decode_name(struct call *c, uint64_t name, uint64_t len)
{
        struct sock *s = file_sock(c->file), *to;
        struct unix_name n;
        long r;

        if (!name || !(uint32_t)len)
                return 0;
        if (is_stream(s))
                return s->state == SOCK_CONNECTED ? -EISCONN : -EOPNOTSUPP;
        r = name_copy_in(c, &n, name, len);
        if (r)
                return r;
        if (s->type == SOCK_SEQPACKET)
                return 0; /* Linux ignores it for a connection of messages */
        r = name_find(c, &n, s->type, &to);
        if (r)
                return r;
        c->objects[SLOT_PEER] = &to->obj;
        return 0;
}

static long decode_send_flags(uint32_t flags)
{
        return flags & MSG_OOB ? -EOPNOTSUPP : 0;
}

static long decode_send_msghdr(struct call *c, uint64_t at)
{
        struct msg_state *m = state_of(c);
        struct user_msghdr h;
        long r;

        if (!copy_in(c, &h, at, sizeof(h)))
                return user_fault(c);
        if ((int)h.name_len < 0)
                return -EINVAL;
        if (h.iov_len > UIO_MAXIOV)
                return -EMSGSIZE;
        r = io_vectors(c, h.iov, h.iov_len);
        if (!r)
                r = decode_name(c, h.name, h.name_len);
        if (r)
                return r;
        m->nfiles = 0;
        m->has_cred = 0;
        m->control = h.control;
        m->control_len = h.control ? h.control_len : 0;
        return m->control_len ? decode_control(c) : 0;
}

/* One section's share of the descriptors to send: found, counted, put into the carrier. */
static long count_files(struct call *c)
{
        struct msg_state *m = state_of(c);
        struct sock *carrier = (struct sock *)c->objects[SLOT_CARRIER];
        struct skb *b = carrier ? carrier->head : NULL;
        uint32_t have = b ? b->nfiles : 0, n = MIN(m->nfiles - have, FILES_PIECE);
        struct file *f[FILES_PIECE];
        int fd[FILES_PIECE];

        if (!copy_in(c, fd, m->files_at + have * sizeof(int), n * sizeof(int)))
                return user_fault(c);
        for (uint32_t i = 0; i < n; i++) {
                f[i] = fd_lookup(c, (uint64_t)(uint32_t)fd[i]);
                if (!f[i])
                        return -EBADF;
                (void)READ_ONCE(f[i]->obj.refs);
        }
        if (!space_room(4))
                return -ENOMEM;
        changes(c);
        if (!carrier) {
                carrier = carrier_new();
                b = space_alloc(TYPE_SKB);
                b->files = space_alloc_bytes(m->nfiles * sizeof(struct file *));
                carrier->head = b;
                c->objects[SLOT_CARRIER] = &carrier->obj;
                c->counted |= 1u << SLOT_CARRIER; /* its reference is the call's */
        }
        for (uint32_t i = 0; i < n; i++) {
                object_get(f[i]);
                b->files[b->nfiles++] = f[i];
        }
        if (b->nfiles == m->nfiles)
                c->stage = STAGE_RUN;
        return CALL_AGAIN;
}

/* ---- sending ---- */

static long broken_pipe(struct call *c, const struct sock *s)
{
        if (is_stream(s) && !(state_of(c)->flags & MSG_NOSIGNAL)) {
                changes(c);
                signal_send_thread(c->thread, SIGPIPE, NULL);
        }
        return c->io.done ? (long)c->io.done : -EPIPE;
}

static long sock_error(struct call *c, struct sock *s)
{
        int e = s->error;

        changes(c);
        s->error = 0;
        return -e;
}

/* A connected datagram socket whose peer is gone: no longer connected. LOCK_SOCK of `to` is held. */
static long refused(struct call *c, struct sock *s, struct sock *to)
{
        if (s->type == SOCK_SEQPACKET)
                return -EPIPE;
        unlock(LOCK_SOCK, to);
        lock(LOCK_SOCK, s);
        if (s->peer == to && !c->objects[SLOT_PEER]) {
                changes(c);
                s->peer = NULL;
                s->state = SOCK_UNCONNECTED;
                object_put(to);
        }
        return -ECONNREFUSED;
}

/* How many bytes may go now; all or nothing but for a stream. */
static bool room_for(const struct sock *s, const struct sock *to, size_t n)
{
        if (is_stream(s))
                return queued_memory(to) < s->sndbuf;
        if (s->type == SOCK_DGRAM && to->peer != s && receives_full(to))
                return false;
        return !to->rx_count || queued_memory(to) + n <= s->sndbuf;
}

static void enqueue(struct sock *to, struct skb *b)
{
        b->owner = to;
        if (to->tail)
                to->tail->next = b;
        else
                to->head = b;
        to->tail = b;
        to->rx_count++;
        to->rx_bytes += b->len;
        wake(&to->rx_bytes);
}

/* A message of n bytes from the call, with what its carrier has. After changes(). NULL: the user's memory is gone (nothing happened). */
static struct skb *message_make(struct call *c, struct sock *s, const char *small, size_t n)
{
        struct msg_state *m = state_of(c);
        struct sock *carrier = (struct sock *)c->objects[SLOT_CARRIER];
        struct skb *b = carrier && carrier->head ? carrier->head : space_alloc(TYPE_SKB);

        if (n <= SKB_INLINE) {
                memcpy(b->small, small, n);
        } else {
                size_t got;

                b->data = space_alloc_bytes(n);
                got = io_copy_in(&c->io, b->data, n);
                if (got < n && (!got || !is_stream(s))) {
                        space_free_bytes(b->data);
                        b->data = NULL;
                        if (!carrier || carrier->head != b)
                                space_free(b);
                        return NULL;
                }
                n = got;
        }
        if (carrier && carrier->head == b)
                carrier->head = NULL;
        b->len = (uint32_t)n;
        b->cred = m->has_cred ? m->cred : peer_cred_current();
        if (s->type == SOCK_DGRAM) {
                b->sender = s;
                object_get(s);
        }
        return b;
}

static bool carries_socket(const struct skb *b)
{
        for (uint32_t i = 0; i < b->nfiles; i++)
                if (b->files[i]->ops_type == FILE_SOCKET)
                        return true;
        return false;
}

static long send_run(struct call *c)
{
        struct msg_state *m = state_of(c);
        struct sock *s = file_sock(c->file), *to = (struct sock *)c->objects[SLOT_PEER];
        struct sock *carrier = (struct sock *)c->objects[SLOT_CARRIER];
        bool carrying = carrier && carrier->head;
        char small[SKB_INLINE];
        struct skb *b;
        size_t n;

        if (!to)
                to = READ_ONCE(s->peer);
        if (is_stream(s) && !to)
                return -ENOTCONN;
        if (s->shut & SHUT_OUT)
                return broken_pipe(c, s);
        if (s->error && !is_stream(s))
                return sock_error(c, s);
        if (!to || (s->type == SOCK_SEQPACKET && s->state != SOCK_CONNECTED))
                return -ENOTCONN;
        if (is_stream(s) && c->io.len == 0)
                return c->io.done;
        n = is_stream(s) ? MIN(c->io.len, STREAM_PIECE) : c->io.len;
        if (n > MESSAGE_MAX || (!is_stream(s) && n > s->sndbuf - 32))
                return -EMSGSIZE;
        if (carrying)
                lock(LOCK_SOCKETS, SCM_KEY);
        lock(LOCK_SOCK, to);
        if (is_stream(s) && (to->state == SOCK_CLOSED || to->shut & SHUT_IN))
                return broken_pipe(c, s);
        if (to->state == SOCK_CLOSED)
                return refused(c, s, to);
        if (to->shut & SHUT_IN)
                return -EPIPE;
        if (s->type == SOCK_DGRAM && to->peer && to->peer != s)
                return -EPERM;
        if (!room_for(s, to, n)) {
                if (c->file->flags & O_NONBLOCK || m->flags & MSG_DONTWAIT)
                        return c->io.done ? (long)c->io.done : -EAGAIN;
                if (c->why != WHY_RUN)
                        return sock_interrupted(c);
                return call_wait(c, CONDITION, s->type == SOCK_DGRAM ? &to->queue_room : &s->tx, INTERRUPTIBLE,
                                 c->deadline);
        }
        if (n <= SKB_INLINE ? io_copy_in(&c->io, small, n) != n : !io_probe_in(&c->io, n))
                return user_fault(c);
        if (m->count_at) {
                uint32_t count = (uint32_t)(c->io.done + n);

                if (!copy_out(c, m->count_at, &count, sizeof(count)))
                        return user_fault(c);
        }
        if (carrying) {
                for (uint32_t i = 0; i < carrier->head->nfiles; i++)
                        (void)READ_ONCE(carrier->head->files[i]->ops_type);
                if (socket_state()->flight)
                        (void)READ_ONCE(socket_state()->flight->len);
        }
        if (to->tail)
                (void)READ_ONCE(to->tail->len); /* the new one is put behind it */
        if (!space_room(2 + n / 2048 + n / PAGE_SIZE))
                return c->io.done ? (long)c->io.done : -ENOBUFS;
        changes(c);
        b = message_make(c, s, small, n);
        if (!b)
                return CALL_AGAIN;
        if (carrying && carries_socket(b))
                flight_add(b);
        io_advance(&c->io, b->len);
        enqueue(to, b);
        if (is_stream(s) && c->io.len)
                return CALL_AGAIN;
        return c->io.done;
}

/* ---- receiving ---- */

/* The control buffer as it is put together: every message that does not fit whole sets MSG_CTRUNC. */
struct control {
        char *bytes;
        size_t room, used;
        uint32_t flags;
};

static void control_put(struct control *k, uint32_t type, const void *data, size_t len)
{
        struct user_cmsghdr h = {sizeof(h) + len, SOL_SOCKET, type};

        if (k->room - k->used < sizeof(h)) {
                k->flags |= MSG_CTRUNC;
                return;
        }
        if (k->room - k->used < h.len) {
                k->flags |= MSG_CTRUNC;
                h.len = k->room - k->used;
        }
        memcpy(k->bytes + k->used, &h, sizeof(h));
        memcpy(k->bytes + k->used + sizeof(h), data, h.len - sizeof(h));
        k->used = MIN(k->used + CMSG_SPACE_OF(h.len), k->room);
}

/* What one receive takes: found under the lock, before the change. */
struct intake {
        struct skb *with_files; /* the message whose descriptors come along */
        struct skb *first;      /* whose credentials and sender are told */
        uint32_t nskbs, part;   /* whole messages, and bytes of the one after */
        size_t bytes;
        uint32_t flags; /* MSG_TRUNC */
        long result;
};

static size_t copy_message(struct user_io *io, struct skb *b, size_t n)
{
        size_t got = io_copy_out(io, skb_data(b), n);

        io_advance(io, got);
        return got;
}

static bool same_writer(const struct skb *a, const struct skb *b)
{
        return a->cred.pid == b->cred.pid && a->cred.uid == b->cred.uid && a->cred.gid == b->cred.gid;
}

/* Copies a stream's bytes out. False: user_fault() is due. `files`: messages with descriptors may be taken. */
static bool take_stream(struct call *c, struct sock *s, struct intake *in, bool files)
{
        size_t want = MIN(c->io.len, PIECE_MAX);

        for (struct skb *b = s->head; b && want; b = b->next) {
                size_t n = MIN((size_t)b->len, want), got;

                if (in->first && s->pass_cred && !same_writer(in->first, b))
                        break;
                if (b->nfiles && !files)
                        break;
                got = copy_message(&c->io, b, n);
                if (got && !in->first)
                        in->first = b;
                if (got && b->nfiles)
                        in->with_files = b;
                in->bytes += got;
                want -= got;
                if (got < b->len) {
                        in->part = (uint32_t)got;
                        if (got < n && !in->bytes)
                                return false;
                        break;
                }
                in->nskbs++;
                if (b->nfiles)
                        break;
        }
        in->result = (long)c->io.done;
        return true;
}

static bool take_message(struct call *c, struct sock *s, struct intake *in, uint32_t flags)
{
        struct skb *b = s->head;
        size_t n = MIN((size_t)b->len, c->io.len);

        object_look(b->sender);
        in->first = b;
        in->with_files = b->nfiles ? b : NULL;
        in->nskbs = 1;
        in->bytes = b->len;
        if (n && copy_message(&c->io, b, n) != n)
                return false;
        if (b->len > n)
                in->flags |= MSG_TRUNC;
        in->result = flags & MSG_TRUNC ? (long)b->len : (long)n;
        return true;
}

/* Name, control messages and flags to the user. fds: numbers reserved for descriptors. False: user_fault() is due. */
static bool tell(struct call *c, struct sock *s, struct intake *in, const int *fds, uint32_t nfds)
{
        struct msg_state *m = state_of(c);
        struct sock *from = in->first ? in->first->sender ? in->first->sender : READ_ONCE(s->peer) : NULL;
        char bytes[2 * sizeof(struct user_cmsghdr) + 16 + SKB_FILES * sizeof(int) + 16];
        struct control k = {.bytes = bytes, .room = MIN(m->control_len, sizeof(bytes)), .flags = in->flags};
        uint32_t none = 0;

        if (m->name || m->name_len_at) {
                if (from && from->name) {
                        if (m->name && !name_copy_out(c, from, m->name, m->name_len_at))
                                return false;
                } else if (m->name && !copy_out(c, m->name_len_at, &none, sizeof(none))) {
                        return false;
                }
        }
        if (!m->hdr)
                return true;
        memset(bytes, 0, k.room);
        if (s->pass_cred && in->first)
                control_put(&k, SCM_CREDENTIALS, &in->first->cred, sizeof(in->first->cred));
        if (in->with_files) {
                if (nfds)
                        control_put(&k, SCM_RIGHTS, fds, nfds * sizeof(int));
                if (nfds < in->with_files->nfiles)
                        k.flags |= MSG_CTRUNC;
        }
        if (m->flags & MSG_CMSG_CLOEXEC)
                k.flags |= MSG_CMSG_CLOEXEC;
        if (k.used && !copy_out(c, m->control, bytes, k.used))
                return false;
        return copy_out(c, m->hdr + offsetof(struct user_msghdr, control_len), &k.used, sizeof(k.used)) &&
               copy_out(c, m->hdr + offsetof(struct user_msghdr, flags), &k.flags, sizeof(k.flags));
}

/* How many descriptors of b the caller's control buffer takes. */
static uint32_t files_wanted(struct call *c, const struct sock *s, const struct skb *b)
{
        struct msg_state *m = state_of(c);
        uint64_t room = m->hdr ? m->control_len : 0,
                 before = s->pass_cred ? CMSG_SPACE_OF(sizeof(struct user_cmsghdr) + 12) : 0;
        uint32_t most = m->flags & MSG_PEEK ? PEEK_FILES : SKB_FILES;

        if (room <= before + sizeof(struct user_cmsghdr))
                return 0;
        return (uint32_t)MIN((room - before - sizeof(struct user_cmsghdr)) / sizeof(int),
                             (uint64_t)MIN(b->nfiles, most));
}

/* After changes(): what the intake says leaves the queue. */
static void consume(struct call *c, struct sock *s, struct intake *in, const int *fds, uint32_t nfds)
{
        bool cloexec = state_of(c)->flags & MSG_CMSG_CLOEXEC, peek = state_of(c)->flags & MSG_PEEK;
        struct skb *f = in->with_files;

        for (uint32_t i = 0; i < nfds; i++) {
                if (peek)
                        object_get(f->files[i]);
                fd_install(c, fds[i], f->files[i], cloexec);
        }
        if (peek)
                return;
        if (f) {
                if (f->in_flight)
                        flight_remove(f);
                /* Those that were installed have moved on; the rest is dropped. */
                for (uint32_t i = nfds; i < f->nfiles; i++)
                        f->files[i - nfds] = f->files[i];
                f->nfiles -= nfds;
        }
        s->rx_bytes -= in->bytes;
        for (; in->nskbs; in->nskbs--) {
                struct skb *b = s->head;

                s->head = b->next;
                if (!s->head)
                        s->tail = NULL;
                s->rx_count--;
                skb_done(b);
        }
        if (in->part) {
                s->head->off += in->part;
                s->head->len -= in->part;
                if (f == s->head && f->nfiles) {
                        /* Descriptors go with the first byte, whether or not somebody wanted them. */
                        struct skb *rest = space_alloc(TYPE_SKB);

                        rest->files = f->files;
                        rest->nfiles = f->nfiles;
                        f->files = NULL;
                        f->nfiles = 0;
                        skb_done(rest);
                }
        }
        if (is_connected_type(s)) {
                if (s->peer)
                        wake(&s->peer->tx);
        } else {
                wake(&s->queue_room);
        }
}

static long receive_nothing(struct call *c, struct sock *s)
{
        uint32_t flags = state_of(c)->flags;

        if (s->error && !c->io.done)
                return sock_error(c, s);
        if (s->shut & SHUT_IN)
                return c->io.done;
        if (is_connected_type(s) && s->state != SOCK_CONNECTED)
                return s->type == SOCK_SEQPACKET ? -ENOTCONN : -EINVAL;
        if (c->file->flags & O_NONBLOCK || flags & MSG_DONTWAIT)
                return c->io.done ? (long)c->io.done : -EAGAIN;
        if (c->why != WHY_RUN)
                return sock_interrupted(c);
        return call_wait(c, CONDITION, &s->rx_bytes, INTERRUPTIBLE, c->deadline);
}

static bool files_queued(const struct sock *s)
{
        for (struct skb *b = READ_ONCE(s->head); b; b = READ_ONCE(b->next))
                if (b->nfiles)
                        return true;
        return false;
}

static long recv_run(struct call *c)
{
        struct msg_state *m = state_of(c);
        struct sock *s = file_sock(c->file);
        struct io_mark mark = io_mark(&c->io);
        struct intake in = {0};
        uint32_t nfds = 0, count, target;
        int fds[SKB_FILES];
        bool files = files_queued(s), ok;

        if (is_stream(s) && s->state != SOCK_CONNECTED && !s->head && !s->error && !(s->shut & SHUT_IN))
                return -EINVAL;
        if (files) {
                int fd = fd_reserve(c, 0); /* locks the table; -EMFILE shows below */

                (void)fd;
                lock(LOCK_SOCKETS, SCM_KEY);
        }
        lock(LOCK_SOCK, s);
        if (is_stream(s) && c->io.len == 0)
                return c->io.done;
        if (!s->head)
                return receive_nothing(c, s);
        ok = is_stream(s) ? take_stream(c, s, &in, files) : take_message(c, s, &in, m->flags);
        if (!ok)
                goto fault;
        if (!in.nskbs && !in.part) {
                io_reset(&c->io, mark);
                section_step(); /* descriptors came since the look */
                return recv_run(c);
        }
        if (in.with_files) {
                uint32_t want = files_wanted(c, s, in.with_files);

                for (int fd = -1; nfds < want; nfds++) {
                        fd = nfds ? fd_reserve_next(c, fd) : fd_reserve(c, 0);
                        if (fd < 0)
                                break;
                        fds[nfds] = fd;
                }
                for (uint32_t i = 0; i < in.with_files->nfiles; i++)
                        file_touch(in.with_files->files[i]);
                if (in.with_files->flight_next)
                        (void)READ_ONCE(in.with_files->flight_next->len);
                if (in.with_files->flight_prev)
                        (void)READ_ONCE(in.with_files->flight_prev->len);
        }
        if (!tell(c, s, &in, fds, nfds))
                goto fault;
        count = (uint32_t)in.result;
        if (m->count_at && !copy_out(c, m->count_at, &count, sizeof(count)))
                goto fault;
        changes(c);
        consume(c, s, &in, fds, nfds);
        target = m->flags & MSG_WAITALL ? ~0u : (uint32_t)MAX(s->rcvlowat, 1);
        if (is_stream(s) && !(m->flags & MSG_PEEK) && c->io.len && !in.with_files && (s->head || c->io.done < target)) {
                if (s->head)
                        return s->pass_cred ? (long)c->io.done : CALL_AGAIN;
                return receive_nothing(c, s);
        }
        return in.result;
fault:
        io_reset(&c->io, mark);
        return user_fault(c);
}

/* ---- calls ---- */

static uint64_t deadline_of(struct call *c, bool sending)
{
        struct sock *s = file_sock(c->file);
        uint64_t ns = sending ? s->sndtimeo_ns : s->rcvtimeo_ns;

        return ns ? time_mono_ns() + ns : NO_DEADLINE;
}

static long begin(struct call *c, bool sending)
{
        struct file *f;
        long r;

        if (!sock_of(c, c->arg[0], &f, &r))
                return r;
        c->file = f;
        c->deadline = deadline_of(c, sending);
        state_init(c);
        return 0;
}

/* read(2), write(2): the file and the vectors are decoded. */
long socket_read(struct call *c, struct file *f)
{
        if (!c->saved) {
                c->file = f;
                state_init(c);
                c->deadline = deadline_of(c, false);
        }
        return recv_run(c);
}

long socket_write(struct call *c, struct file *f)
{
        if (!c->saved) {
                c->file = f;
                state_init(c);
                c->deadline = deadline_of(c, true);
        }
        return send_run(c);
}

static long send_stages(struct call *c)
{
        return c->stage == STAGE_FILES ? count_files(c) : send_run(c);
}

static void next_stage(struct call *c)
{
        c->stage = state_of(c)->nfiles ? STAGE_FILES : STAGE_RUN;
}

long sys_sendto(struct call *c)
{
        long r;

        if (c->stage == 0) {
                r = begin(c, true);
                if (r)
                        return r;
                io_single(&c->io, c->arg[1], c->arg[2]);
                state_of(c)->flags = (uint32_t)c->arg[3];
                r = decode_send_flags((uint32_t)c->arg[3]);
                if (!r)
                        r = decode_name(c, c->arg[4], c->arg[5]);
                if (r)
                        return r;
                c->stage = STAGE_RUN;
        }
        return send_run(c);
}

long sys_sendmsg(struct call *c)
{
        long r;

        if (c->stage == 0) {
                r = begin(c, true);
                if (r)
                        return r;
                state_of(c)->flags = (uint32_t)c->arg[2];
                r = decode_send_flags((uint32_t)c->arg[2]);
                if (!r)
                        r = decode_send_msghdr(c, c->arg[1]);
                if (r)
                        return r;
                next_stage(c);
        }
        return send_stages(c);
}

long sys_recvfrom(struct call *c)
{
        struct msg_state *m = state_of(c);
        long r;

        if (c->stage == 0) {
                r = begin(c, false);
                if (r)
                        return r;
                if (c->arg[3] & MSG_OOB)
                        return -EOPNOTSUPP;
                io_single(&c->io, c->arg[1], c->arg[2]);
                m->flags = (uint32_t)c->arg[3];
                m->name = c->arg[4];
                m->name_len_at = c->arg[5];
                c->stage = STAGE_RUN;
        }
        return recv_run(c);
}

static long decode_recv_msghdr(struct call *c, uint64_t at)
{
        struct msg_state *m = state_of(c);
        struct user_msghdr h;

        if (!copy_in(c, &h, at, sizeof(h)))
                return user_fault(c);
        if ((int)h.name_len < 0)
                return -EINVAL;
        if (h.iov_len > UIO_MAXIOV)
                return -EMSGSIZE;
        m->hdr = at;
        m->name = h.name;
        m->name_len_at = h.name ? at + offsetof(struct user_msghdr, name_len) : 0;
        m->control = h.control;
        m->control_len = h.control ? h.control_len : 0;
        return io_vectors(c, h.iov, h.iov_len);
}

long sys_recvmsg(struct call *c)
{
        long r;

        if (c->stage == 0) {
                r = begin(c, false);
                if (r)
                        return r;
                if (c->arg[2] & MSG_OOB)
                        return -EOPNOTSUPP;
                state_of(c)->flags = (uint32_t)c->arg[2];
                r = decode_recv_msghdr(c, c->arg[1]);
                if (r)
                        return r;
                c->stage = STAGE_RUN;
        }
        return recv_run(c);
}

/*
 * The calls for many messages: each is a message of its own; the count of those that are done stands in the state. An error after the first is
 * the next call's.
 */
#define MMSG_BYTES 64u /* struct mmsghdr */

/* The vectors of a message that is done with. */
static void vectors_drop(struct user_io *io)
{
        if (io->nvec > IO_INLINE && (uint64_t)io->overflow >= SPACE_BASE &&
            (uint64_t)io->overflow < SPACE_BASE + SPACE_MAX)
                space_free_bytes(io->overflow);
        io->nvec = 0;
        io->overflow = NULL;
}

static long many_next(struct call *c, long r)
{
        struct msg_state *m = state_of(c);

        if (r <= CALL_WAIT)
                return r;
        if (r < 0)
                return m->index ? (long)m->index : r;
        m->index++;
        if (m->index == m->vlen)
                return m->index;
        changes(c);
        if (c->counted >> SLOT_PEER & 1)
                object_put(c->objects[SLOT_PEER]);
        if (c->counted >> SLOT_CARRIER & 1)
                object_put(c->objects[SLOT_CARRIER]);
        c->counted &= (uint8_t) ~(1u << SLOT_PEER | 1u << SLOT_CARRIER);
        c->objects[SLOT_PEER] = c->objects[SLOT_CARRIER] = NULL;
        vectors_drop(&c->io);
        c->stage = STAGE_MESSAGE;
        return CALL_AGAIN;
}

static long many_begin(struct call *c, bool sending)
{
        struct msg_state *m = state_of(c);
        long r = begin(c, sending);

        if (r)
                return r;
        m->flags = (uint32_t)c->arg[3];
        m->vlen = MIN((uint32_t)c->arg[2], (uint32_t)UIO_MAXIOV);
        m->many = 1;
        c->stage = STAGE_MESSAGE;
        return m->flags & MSG_OOB ? -EOPNOTSUPP : 0;
}

long sys_sendmmsg(struct call *c)
{
        struct msg_state *m = state_of(c);
        uint64_t at;
        long r;

        if (c->stage == 0) {
                r = many_begin(c, true);
                if (r || !m->vlen)
                        return r;
        }
        at = c->arg[1] + m->index * MMSG_BYTES;
        if (c->stage == STAGE_MESSAGE) {
                m->count_at = at + sizeof(struct user_msghdr);
                r = decode_send_msghdr(c, at);
                if (r)
                        return many_next(c, r);
                next_stage(c);
        }
        return many_next(c, send_stages(c));
}

long sys_recvmmsg(struct call *c)
{
        struct msg_state *m = state_of(c);
        uint64_t at, ts[2];
        long r;

        if (c->stage == 0) {
                r = many_begin(c, false);
                if (r || !m->vlen)
                        return r;
                if (c->arg[4]) {
                        if (!copy_in(c, ts, c->arg[4], sizeof(ts)))
                                return user_fault(c);
                        if ((int64_t)ts[0] < 0 || ts[1] >= NSEC_PER_SEC)
                                return -EINVAL;
                        m->many_deadline = time_mono_ns() + MIN(ts[0], 1ul << 32) * NSEC_PER_SEC + ts[1];
                }
        }
        at = c->arg[1] + m->index * MMSG_BYTES;
        if (c->stage == STAGE_MESSAGE) {
                /* The time limit is looked at between messages only (recvmmsg(2), BUGS). */
                if (m->index && m->many_deadline && time_mono_ns() >= m->many_deadline)
                        return m->index;
                if (m->index && m->flags & MSG_WAITFORONE)
                        m->flags |= MSG_DONTWAIT;
                m->count_at = at + sizeof(struct user_msghdr);
                r = decode_recv_msghdr(c, at);
                if (r)
                        return many_next(c, r);
                c->stage = STAGE_RUN;
        }
        return many_next(c, recv_run(c));
}
