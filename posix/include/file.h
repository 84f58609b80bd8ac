/*
 * file.h - open file descriptions, descriptor tables, operations by number, poll (posix/vfs).
 * file->ops_type indexes file_ops_table (posix/vfs/file_ops_table.c): no code pointer in the space.
 */
#pragma once
#include "posix/include/thread.h"
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/stat.h>

enum file_type {
        FILE_NONE = 0,
        FILE_REGULAR = 1,
        FILE_DIRECTORY = 2,
        FILE_PATH = 3 /* O_PATH */,
        FILE_PIPE = 4,
        FILE_FIFO = 5,
        FILE_SOCKET = 6,
        FILE_EPOLL = 7,
        FILE_EVENTFD = 8,
        FILE_TIMERFD = 9,
        FILE_SIGNALFD = 10,
        FILE_INOTIFY = 11,
        FILE_TTY = 12,
        FILE_PTMX = 13,
        FILE_DEV_NULL = 14,
        FILE_DEV_ZERO = 15,
        FILE_DEV_FULL = 16,
        FILE_DEV_RANDOM = 17,
        FILE_DEV_KMSG = 18,
        FILE_BLOCK = 19,
        FILE_PROC = 20,
        FILE_PROC_DIR = 21,
        FILE_MQUEUE = 22,
        FILE_PIDFD = 23,
        FILE_MEMFD = 24,
        FILE_DEV_MEM = 25,
        FILE_INPUT = 26,
        FILE_FB = 27,
        FILE_DEV_CONSOLE = 28,
        FILE_SHM = 29,
        FILE_SNAP = 30,
        FILE_FUSE_DEVICE = 31,
        FILE_FUSE = 32,
        FILE_FUSE_DIR = 33,
        FILE_TYPES = 64
};
#define FMODE_READ  1u
#define FMODE_WRITE 2u
#define FMODE_PREAD 4u /* seekable: p{read,write} allowed */
#define FMODE_EXEC  8u

struct file {
        struct object obj;
        uint16_t ops_type; /* [I] enum file_type */
        uint16_t pad;
        uint32_t mode; /* [I] FMODE_* */
        uint32_t
                flags; /* [l LOCK_FILE] O_APPEND, O_NONBLOCK, O_DIRECT, O_ASYNC, O_NOATIME; access mode and O_PATH fixed */
        int32_t owner_pid, owner_signal; /* F_SETOWN, F_SETSIG */
        uint32_t owner_type;
        uint64_t pos;             /* [l LOCK_FILE] */
        struct inode *inode;      /* FIELD_REF: what fstat shows; never NULL */
        struct object *priv;      /* FIELD_REF or NULL: pipe, socket, epoll, tty... */
        struct thread *pos_owner; /* FIELD_BORROW: owner field for long positional operations */
        char *path;               /* FIELD_OWN: how it was opened (d_path when the inode has no name), may be NULL */
        struct epitem *
                epoll_items; /* FIELD_BORROW list of the epoll items that watch this file; LOCK_EPOLL. The last release calls epoll_file_gone() */
        uint64_t aux[3]; /* per type */
};

struct vma_request;
/*
 * poll: ready mask (EPOLL* = POLL* bits). Registers its keys first, then looks; takes no lock at all (it is called with LOCK_EPOLL held, and what it
 * reads cannot vanish in a section). Wakers change the state, then wake the key. A key that can only mean some events is registered with
 * poll_register_for, so that who asks for others is not woken.
 */
struct poll_table {
        void (*add)(struct poll_table *pt, const void *key); /* NULL: only look */
        uint32_t events;                                     /* what the poller asks for; POLLERR and POLLHUP always */
        struct call *call;
        long error;
        void *watch;            /* epoll's */
        const void *signal_key; /* epoll's: whose signals (the process that added the item); NULL: the current one's */
};
static inline void poll_register_for(struct poll_table *pt, const void *key, uint32_t events)
{
        if (pt->add && (pt->events & events))
                pt->add(pt, key);
}
static inline void poll_register(struct poll_table *pt, const void *key)
{
        if (pt->add)
                pt->add(pt, key);
}

#define POS_CURRENT (~0ul) /* c->pos of read, write, readv, writev */

struct file_ops {
        const char *name;
        /* c->io says where; c->pos is the offset, or POS_CURRENT: then f->pos is used and moved by the op. */
        long (*read)(struct call *c, struct file *f);
        long (*write)(struct call *c, struct file *f);
        uint32_t (*poll)(struct file *f, struct poll_table *pt); /* NULL: always readable and writable */
        long (*ioctl)(struct call *c, struct file *f, unsigned cmd, uint64_t arg); /* NULL: -ENOTTY */
        long (*seek)(struct call *c, struct file *f, int64_t off, int whence);     /* NULL: -ESPIPE */
        long (*getdents)(struct call *c, struct file *f);
        long (*fsync)(struct call *c, struct file *f, bool data_only); /* NULL: 0 for regular, -EINVAL else */
        /* mmap: fill the area; NULL: -ENODEV. */
        long (*mmap)(struct call *c, struct file *f, struct vma_request *r);
        void (*flush)(struct file *f);   /* each close(2) of a descriptor (POSIX locks) */
        void (*release)(struct file *f); /* last reference: own section, after changes() */
        int (*set_flags)(struct file *f, uint32_t flags);
        int (*show_path)(struct file *f, char *buf, size_t len); /* "pipe:[12]" ...; NULL: by inode's path */
        void (*touch)(struct file *f); /* before changes(): reads all that release will write */
};
extern const struct file_ops *const file_ops_table[FILE_TYPES];
static inline const struct file_ops *file_ops(const struct file *f)
{
        return file_ops_table[f->ops_type];
}

/*
 * Descriptor tables: a radix tree of fan-out 32. The first chunk of 32 is inline, the others hang on nodes; chunks and nodes are counted objects that fork shares
 * copy-on-write. A lookup reads without a lock: what was found stays readable to the section's end. Changes hold LOCK_FDTABLE.
 */
#define FD_CHUNK 32u
#define FD_MAX   (FD_CHUNK * FD_CHUNK * FD_CHUNK) /* no table grows past this: the ceiling of RLIMIT_NOFILE */
struct fdchunk {
        struct object obj;
        uint32_t used, cloexec;
        struct file *file[FD_CHUNK]; /* FIELD_REF */
};
struct fdnode {
        struct object obj;
        struct fdchunk *chunk[FD_CHUNK]; /* FIELD_REF */
};
struct fdtable {
        struct object obj;
        uint32_t nchunks;              /* [l] chunks that were ever made lie below this number */
        uint32_t first_free;           /* [l] no free number in chunks below this one */
        uint32_t cursor;               /* [l] close in pieces: next chunk to look at */
        int32_t waits_for_pid;         /* a thread waits for a POSIX lock of that process; 0: none */
        struct fdnode *node[FD_CHUNK]; /* [l] FIELD_REF: chunk k >= 1 is node[k / 32]->chunk[k % 32] */
        struct fdchunk first;          /* chunk 0; its header is not used */
};
struct file *fd_lookup(struct call *c, uint64_t fd);            /* borrows; NULL: -EBADF; O_PATH files too */
struct file *fd_lookup_io(struct call *c, uint64_t fd);         /* not O_PATH */
struct file *fdtable_get(const struct fdtable *t, uint64_t fd); /* any process's table; borrows */
uint64_t fdtable_next(const struct fdtable *t, uint64_t fd);    /* first used number at or after fd; ~0: none */
/* Two steps, so that nothing fails after the change: find and lock (before), install (after changes()). */
int fd_reserve(struct call *c, int min);           /* number, table locked until the section ends; -EMFILE, -ENOMEM */
int fd_reserve_next(struct call *c, int reserved); /* a second one (pipe2, socketpair), above the first */
void fd_install(struct call *c, int fd, struct file *f, bool cloexec); /* takes the reference */
struct file *file_new(enum file_type type, uint32_t mode, uint32_t flags, struct inode *inode,
                      void *priv); /* refs 1; gets inode and priv; after changes() */
/* exec: one chunk in the caller's section, which has not changed anything yet. True: call again (next section). Exit just puts the table. */
bool fdtable_close_piece(struct fdtable *t, bool cloexec_only);
bool fdtable_close_all_piece(struct fdtable *t); /* the same for all of them */
/* An inode without a name for pipes, sockets, event descriptors: S_IFIFO, S_IFSOCK, 0600... After changes(). */
struct inode *inode_anonymous(uint32_t mode, const char *kind);
/* Touches what a last object_put of f will read: before the changes() of a section that may drop it. */
void file_touch(struct file *f);
