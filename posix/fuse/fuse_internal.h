/*
 * fuse_internal.h - between the files of posix/fuse. All of this is resident: answers, releases and the ends of calls write it after their section's first change.
 * Lock: LOCK_EVENT of the connection guards it, its queue, and what requests have that is not [I].
 */
#pragma once
#include "posix/include/fuse.h"
#include "posix/include/poll.h"
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"
#include <linux/fuse.h>

#define FUSE_MINOR      31u
#define FUSE_MINOR_MIN  9u                      /* attributes and entries have had their size since */
#define FUSE_READ_MAX   ((uint32_t)SCRATCH_OUT) /* bytes of one READ: an answer is copied in before the change */
#define FUSE_DIR_PIECE  4096u
#define FUSE_LINK_MAX   (PATH_MAX_LEN - 1)
#define FUSE_INIT_BYTES 16u   /* of struct fuse_init_in in this minor version */
#define FUSE_ASKED_MAX  1024u /* requests of one call */
#define FUSE_END_PIECE  8u

/* What the server has to do. An object of its own, so that the end of a connection takes it apart in pieces. */
struct fuse_queue {
        struct object obj;
        struct fuse_request *pending, *sent;           /* FIELD_REF */
        struct fuse_request *pending_last, *sent_last; /* FIELD_BORROW */
};

struct fuse_conn {
        struct object obj;
        struct fuse_queue *queue; /* FIELD_REF; NULL: the connection has ended */
        uint64_t unique;          /* number given last; even */
        uint64_t readers;         /* &readers: wake key of the server */
        uint32_t user_id, group_id;
        uint8_t allow_other;
        uint8_t ready; /* INIT was answered, or the end has come. &ready: wake key */
        uint8_t refused;
        uint8_t pad[5];
        uint64_t spare[2];
};

enum fuse_place { PLACE_NONE, PLACE_PENDING, PLACE_SENT };

/*
 * A request, and then its answer. References: its queue, the call that waits for it (thread.fuse), and, of an answered LOOKUP, OPEN or OPENDIR, whoever uses the node or the handle: inodes,
 * files, requests about them. What the server keeps for it (owes) is given back when the last one goes: the object itself becomes the FORGET or RELEASE.
 */
struct fuse_request {
        struct object obj;
        struct fuse_conn *conn;         /* [I] FIELD_REF */
        struct fuse_request *call_next; /* FIELD_REF: further ones of the same call; the caller's alone */
        struct fuse_request
                *node; /* [I] FIELD_REF: the LOOKUP it is about, for a LOOKUP the directory's; NULL: the root */
        struct fuse_request *next; /* FIELD_REF: in the queue */
        struct inode *inode;       /* [I] FIELD_REF: gets the attributes of a GETATTR */
        struct fuse_request *prev; /* FIELD_BORROW */
        void *in, *out;            /* FIELD_OWN: behind the headers */
        uint64_t unique;
        uint64_t nodeid; /* asked about */
        uint64_t id;     /* answered: node or handle */
        uint64_t until;  /* CLOCK_MONOTONIC: attr may be shown till then without asking */
        uint32_t opcode, in_len, out_len;
        uint32_t want;  /* bytes that the answer may have at most, where that is not fixed */
        uint32_t flags; /* of an open */
        uint32_t uid, gid, pid;
        int32_t error;
        uint8_t place; /* enum fuse_place */
        uint8_t answered, owes, pad;
        struct fuse_attr attr; /* of a LOOKUP */
        uint64_t spare[2];
};
_Static_assert(sizeof(struct fuse_attr) == 88, "part of struct fuse_request");

struct fuse_ask {
        struct fuse_conn *conn;
        uint32_t opcode, len, want, flags;
        uint64_t nodeid;
        const void *body;
        struct fuse_request *node;
        struct inode *inode;
};
/*
 * The answer to a, which the call got before it waited last; else asks. 0: *out is borrowed till the call ends; the server's error; or what the call returns (CALL_WAIT, CALL_RETRY,
 * call_interrupted's, -ENOTCONN, -ECONNREFUSED, -ENOMEM).
 */
long fuse_ask(struct call *c, const struct fuse_ask *a, struct fuse_request **out);
/* After changes(), lock held: a request without a caller, one reference. */
struct fuse_request *fuse_request_new(struct fuse_conn *conn, uint32_t opcode, uint64_t nodeid, const void *body,
                                      uint32_t len);
void fuse_push(struct fuse_request *r);                                    /* to the queue's end; takes the reference */
void fuse_sent(struct fuse_request *r);                                    /* the server has read it, and will answer */
void fuse_unlink(struct fuse_request *r);                                  /* from its queue; gives the reference */
size_t fuse_message(const struct fuse_request *r, void *buf, size_t room); /* as the server reads it */
/* Before the change: how many bytes an answer may have. After it: what r->error and its body (volatile) mean. */
void fuse_answer_limits(const struct fuse_request *r, uint32_t *min, uint32_t *max);
void fuse_answer(struct fuse_request *r, const void *body, uint32_t len);
void fuse_end(struct fuse_conn *conn); /* after changes() */
void fuse_show(struct inode *i, const struct fuse_attr *attr, uint64_t until);
bool fuse_attr_sound(const struct fuse_attr *a);

void fuse_request_touch(void *object);
bool fuse_request_release(void *object);
bool fuse_queue_release(void *object);
bool fuse_conn_release(void *object);
