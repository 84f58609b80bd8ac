/*
 * socket.h - AF_UNIX sockets (posix/socket).
 */
#pragma once
#include "posix/include/process.h"
#include "posix/include/vfs.h"
#include <linux/socket.h>
#include <linux/un.h>

#define AF_UNSPEC  0
#define AF_UNIX    1
#define NAME_BYTES (sizeof(struct sockaddr_un))

enum sock_state { SOCK_UNCONNECTED, SOCK_LISTENING, SOCK_CONNECTED, SOCK_CLOSED };
enum { SHUT_IN = 1, SHUT_OUT = 2 };
struct peer_cred {
        int32_t pid;
        uint32_t uid, gid;
};

/* One message, or what one write put into a stream. Owned by the queue it is in. */
#define SKB_INLINE 128u
#define SKB_FILES  253u /* SCM_MAX_FD */
struct skb {
        struct skb *next;    /* FIELD_OWN */
        char *data;          /* FIELD_OWN byte block; NULL: in `small` */
        struct file **files; /* FIELD_OWN block of counted files (SCM_RIGHTS) */
        struct sock *sender; /* FIELD_REF: whose name recvfrom tells; NULL in a connection */
        struct sock *owner;  /* FIELD_BORROW: in whose queue it was put; NULL: not sent yet */
        struct skb *flight_next,
                *flight_prev;       /* FIELD_BORROW list of messages with sockets among their files; LOCK_SOCKETS */
        uint32_t nfiles, in_flight; /* in_flight: is in that list */
        uint32_t off, len;          /* what is left; a message has off 0 */
        struct peer_cred cred;
        char small[SKB_INLINE];
};

/*
 * [P, l LOCK_SOCK]. Two ends of a connection refer to each other until one is closed. Wake keys: &rx_bytes (something arrived, or the state changed),
 * &tx (the peer's queue has room), &queue_room (a datagram or listening socket's queue has).
 */
struct sock {
        struct object obj;
        uint8_t type;  /* [I] SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
        uint8_t state; /* enum sock_state */
        uint8_t shut;  /* SHUT_IN, SHUT_OUT */
        uint8_t pass_cred, reuse, keepalive, broadcast, linger_on, oob_inline, debug, dont_route, no_check,
                has_peer_cred;
        uint8_t name_copied; /* the name is the listener's, not its own in the table */
        int32_t linger_s, error, priority, rcvlowat, peek_off;
        uint32_t sndbuf, rcvbuf;
        uint64_t rcvtimeo_ns, sndtimeo_ns; /* 0 none */
        struct sock *peer;                 /* FIELD_REF */
        struct skb *head, *tail;           /* FIELD_OWN head */
        uint32_t rx_count, naccept;
        uint64_t rx_bytes, tx, queue_room;
        struct sock *accept_head, *accept_tail; /* FIELD_REF head: made by connect, not yet accepted */
        struct sock *accept_next;               /* FIELD_REF */
        uint32_t backlog, name_len;
        char *name;                 /* FIELD_OWN: struct sockaddr_un, name_len bytes of it */
        struct sock *name_next;     /* FIELD_BORROW: bucket of names without a file; LOCK_SOCKETS */
        struct file *file;          /* FIELD_BORROW: its own; NULL: not accepted yet, or closed */
        struct sock *listener;      /* FIELD_BORROW: while it is not accepted */
        struct peer_cred peer_cred; /* SO_PEERCRED */
        uint64_t spare[2];
};
extern const struct file_ops socket_file_ops;
/* posix/vfs: makes the node `path` for s. 0 with the section changed; -EADDRINUSE, and what mknod says, with nothing changed; CALL_*. */
long socket_name_make(struct call *c, const char *path, struct sock *s);
void socket_boot(void); /* every boot */
