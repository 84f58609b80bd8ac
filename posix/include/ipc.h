/*
 * ipc.h - System V shared memory, semaphores and message queues, POSIX message queues (posix/ipc).
 */
#pragma once
#include "posix/include/process.h"
#include "posix/include/vfs.h"

enum ipc_kind { IPC_SHM, IPC_SEM, IPC_MSG, IPC_KINDS };
#define IPC_INDEX_BITS 15u /* an id is sequence << 15 | index, as on Linux */
#define IPC_CHUNK      64u
#define IPC_CHUNKS     512u
#define IPC_BUCKETS    64u

/* What all three have. [P, l LOCK_IPC of the object, unless told] */
struct ipc_object {
        struct object obj;
        uint8_t kind, deleted; /* deleted: off the table, sleepers get EIDRM */
        uint16_t seq;
        int32_t id;  /* [I] */
        int32_t key; /* LOCK_IPC of the table too */
        uint32_t uid, gid, cuid, cgid, mode;
        struct ipc_object *key_next; /* FIELD_BORROW; LOCK_IPC of the table */
        int64_t ctime;               /* seconds */
};

struct shm {
        struct ipc_object ipc;
        uint64_t size;
        struct inode *inode; /* FIELD_REF: its pages */
        struct file *file;   /* FIELD_BORROW: what its areas map; references to it are the attachments */
        int64_t atime, dtime;
        int32_t cpid, lpid;
};

#define SEMS_MAX      32000u /* SEMMSL */
#define SEM_VALUE_MAX 32767
struct sem_undo;
struct semset {
        struct ipc_object ipc;
        uint32_t nsems, pad;
        uint16_t *value; /* FIELD_OWN */
        int32_t *pid;    /* FIELD_OWN: of the last operation */
        int64_t otime;
        struct sem_undo *undo; /* FIELD_BORROW list */
        uint64_t change;       /* wake key of those who look again (long lists of operations) */
};
/* What a process's exit does to a set. Resident, as is the sleeper's record: who lets a sleeper go on writes both. */
struct sem_undo {
        struct process *proc;       /* [I] FIELD_BORROW */
        struct semset *set;         /* [I] FIELD_BORROW: the set ends them when it goes */
        struct sem_undo *proc_next; /* FIELD_OWN: of the process; only its own threads change it */
        struct sem_undo *set_next, *set_prev;
        int16_t *adjust; /* FIELD_OWN: nsems */
        uint64_t pad;
};

struct ipc_message {
        struct ipc_message *next; /* FIELD_OWN */
        int64_t type;             /* mqueue: priority */
        uint64_t len;
        char *data; /* FIELD_OWN; NULL: small */
        char small[96];
};
struct msgq {
        struct ipc_object ipc;
        struct ipc_message *head, *tail; /* &head: receivers' wake key */
        uint64_t bytes, count, limit;    /* msg_cbytes, msg_qnum, msg_qbytes; &limit: senders' wake key */
        int64_t stime, rtime;
        int32_t lspid, lrpid;
};

struct mqueue {
        struct object obj;
        struct mqueue *next; /* FIELD_REF: list of names; LOCK_IPC of the list */
        char *name;          /* FIELD_OWN; NULL: unlinked */
        uint32_t uid, gid, mode, pad;
        int64_t maxmsg, msgsize, count; /* &maxmsg: senders' wake key */
        struct ipc_message *head;       /* FIELD_OWN: highest priority first; &head: receivers' key */
        uint64_t bytes;
        uint32_t nreceivers;   /* asleep in mq_receive */
        int32_t notify_method; /* SIGEV_*; -1: nobody asked */
        int32_t notify_signo, notify_pid;
        uint64_t notify_value;
        uint64_t spare[2];
};
extern const struct file_ops mqueue_file_ops, shm_file_ops;

void ipc_exit(
        struct process *p); /* one step, in a section that has not changed anything; p->sem_undo is NULL when done */
void ipc_fork(struct process *parent, struct process *child);
void ipc_boot(void); /* every boot */
/* /proc/sysvipc: calls fn for each object of the kind by index until it returns false. No lock; what it shows cannot vanish in the section. */
void ipc_each(enum ipc_kind kind, bool (*fn)(struct ipc_object *o, void *arg), void *arg);
uint64_t shm_attached(const struct shm *s);
