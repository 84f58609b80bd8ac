/*
 * socket_internal.h - between the files of posix/socket only.
 * Lock order: LOCK_FDTABLE, LOCK_INODE, LOCK_SOCKETS (SCM_KEY, then not together NAMES_KEY), LOCK_SOCK (one, or the two ends by lock2).
 */
#pragma once
#include "posix/include/socket.h"
#include "posix/include/poll.h"
#include "kernel/include/time.h"

#define SOCK_STREAM    1
#define SOCK_DGRAM     2
#define SOCK_RAW       3
#define SOCK_SEQPACKET 5
#define SOCK_TYPE_MASK 0xfu

#define MSG_OOB          0x1u
#define MSG_PEEK         0x2u
#define MSG_CTRUNC       0x8u
#define MSG_TRUNC        0x20u
#define MSG_DONTWAIT     0x40u
#define MSG_EOR          0x80u
#define MSG_WAITALL      0x100u
#define MSG_ERRQUEUE     0x2000u
#define MSG_NOSIGNAL     0x4000u
#define MSG_WAITFORONE   0x10000u
#define MSG_CMSG_CLOEXEC 0x40000000u
#define SCM_RIGHTS       1
#define SCM_CREDENTIALS  2

#define SNDBUF_DEFAULT 212992u
#define MESSAGE_MAX    65536u /* one datagram: what a section can move; Linux's own limit is the send buffer */
#define STREAM_PIECE   32768u /* one skb of a stream */
#define DGRAM_QUEUE    10u    /* net.unix.max_dgram_qlen */
#define SOMAXCONN_     4096u

#define NAME_BUCKETS 256u
struct socket_state {
        struct sock *names[NAME_BUCKETS]; /* FIELD_BORROW: abstract names */
        struct skb *flight;               /* FIELD_BORROW: messages that carry sockets */
        uint32_t nflight, autobind;
};
static inline struct socket_state *socket_state(void)
{
        return posix_root()->socket_state;
}
#define NAMES_KEY ((const void *)socket_state())
#define SCM_KEY   ((const void *)&socket_state()->flight)

static inline struct sock *file_sock(struct file *f)
{
        return (struct sock *)f->priv;
}
static inline bool is_stream(const struct sock *s)
{
        return s->type == SOCK_STREAM;
}
static inline bool is_connected_type(const struct sock *s)
{
        return s->type != SOCK_DGRAM;
}
static inline bool receives_full(const struct sock *r)
{
        return r->rx_count > DGRAM_QUEUE;
}

/* An address from user memory, checked. */
struct unix_name {
        uint16_t len;
        struct sockaddr_un un;
        char end;
};
long name_copy_in(struct call *c, struct unix_name *n, uint64_t user, uint64_t len); /* 0, -EINVAL, CALL_* */
static inline bool name_is_abstract(const struct unix_name *n)
{
        return n->len > 2 && !n->un.sun_path[0];
}
/* The address of s (or none) to user memory, with value-result length at user_len. True, or user_fault() is due. */
bool name_copy_out(struct call *c, const struct sock *s, uint64_t user, uint64_t user_len);
/* Who has the name and may be sent to: 0, -ECONNREFUSED, -EPROTOTYPE, -EACCES, path errors, CALL_*. Before the change. */
long name_find(struct call *c, const struct unix_name *n, unsigned type, struct sock **out);
void name_touch(struct sock *s);                /* before the change: what name_drop reads */
void name_drop(struct sock *s);                 /* after changes(): an abstract name is free again */
long name_auto(struct call *c, struct sock *s); /* a name by ourselves; 0 or -ENOSPC; changes */

struct sock *sock_of(struct call *c, uint64_t fd, struct file **f, long *error);
struct sock *sock_new(unsigned type);                       /* after changes() */
struct file *sock_file_new(struct sock *s, uint32_t flags); /* after changes(), 2 pages; takes s's reference */
struct peer_cred peer_cred_current(void);
long sock_interrupted(struct call *c);
static inline size_t queued_memory(const struct sock *s)
{
        return s->rx_bytes + s->rx_count * sizeof(struct skb);
}
static inline char *skb_data(struct skb *b)
{
        return (b->data ? b->data : b->small) + b->off;
}

/* A message is done with: without files it goes at once; with files it is left to the dying list, which drops them in pieces. */
void skb_done(struct skb *b);
/* A socket that is none: holds messages that are to be destroyed, or files that wait to be sent. */
struct sock *carrier_new(void);

/* scm.c: LOCK_SOCKETS(SCM_KEY) held */
void flight_add(struct skb *b);
void flight_remove(struct skb *b);
void collect_later(void); /* perhaps a cycle lost its last reference from outside */
