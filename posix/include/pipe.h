/*
 * pipe.h - pipes and FIFOs (posix/pipe), and how open(2) hands over FIFOs and terminals.
 */
#pragma once
#include "posix/include/vfs.h"

#define PIPE_SLOTS_DEFAULT 16u
#define PIPE_SLOTS_MAX     256u /* F_SETPIPE_SZ: 1 MiB, as Linux lets users have */

/* One buffer: a page of its own, or (splice, tee) a page that others use too. */
struct pipe_slot {
        uint64_t page; /* ppn; kept in an empty slot as a spare while the ring is small */
        uint16_t off, len;
        uint16_t flags; /* PIPE_SLOT_* */
        uint16_t pad;
};
#define PIPE_SLOT_PACKET 1u /* O_DIRECT: one write, read whole */
#define PIPE_SLOT_SHARED 2u /* others refer to the page: neither merge into it nor keep it */

/* All fields [P, l LOCK_PIPE]; poll reads them without the lock. */
struct pipe {
        struct object obj;
        uint32_t nreaders, nwriters; /* open files */
        uint32_t r_opens, w_opens;   /* counters and wake keys: an opener of that kind came */
        uint32_t head, count;        /* first used slot, slots in use */
        uint32_t nslots;             /* a power of two */
        uint32_t pad;
        uint64_t len;           /* bytes in it; &len is the readers' wake key */
        uint64_t space;         /* &space is the writers' wake key */
        struct pipe_slot *ring; /* FIELD_OWN; NULL: `slot` below */
        struct pipe_slot slot[PIPE_SLOTS_DEFAULT];
};
void pipe_boot(void);                       /* shows the checker which pages pipes have */
extern const struct file_ops pipe_file_ops; /* FILE_PIPE and FILE_FIFO */

static inline struct pipe *file_pipe(struct file *f)
{
        return (struct pipe *)f->priv;
}

/* F_GETPIPE_SZ, F_SETPIPE_SZ for fcntl: size, or -EBADF (no pipe), -EPERM, -EBUSY, -ENOMEM, -EINVAL. */
long pipe_fcntl(struct call *c, struct file *f, unsigned cmd, uint64_t arg);

/*
 * open(2) of what is no plain file. Called when the walk and the permission check are done, before any change and with no lock held: the rest of
 * the call is theirs (descriptor, file, waiting for the partner of a FIFO); the result is the call's. When they have to wait they set
 * c->stage >= STAGE_SPECIAL_OPEN: sys_open and its kin then hand the call on to special_open_more() at once.
 * flags: open's, O_CLOEXEC included.
 */
#define STAGE_SPECIAL_OPEN 100
long fifo_open(struct call *c, struct inode *i, uint32_t flags);
long tty_open(struct call *c, struct inode *i, uint32_t flags); /* character devices with tty_device(rdev) */
bool tty_device(uint32_t rdev);
long special_open_more(struct call *c);
