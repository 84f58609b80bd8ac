/*
 * block.h - block devices. Requests are volatile; completion runs in interrupt context (volatile memory only).
 * A request is given to block_submit, which checks it against the device, so that a driver sees only what it can do.
 */
#pragma once
#include "kernel/include/types.h"

#define BLOCK_SEGS_MAX       17
#define BLOCK_PARTITIONS_MAX 15 /* of a disk */

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD };
struct block_request {
        enum block_op op;
        uint64_t sector;   /* 512-byte sectors; 0 for a flush */
        uint32_t nsectors; /* 0 for a flush */
        uint32_t nsegs;    /* 0 for flush and discard */
        struct {
                paddr_t pa;
                uint32_t len;
        } seg[BLOCK_SEGS_MAX]; /* lengths multiples of 512, their sum is nsectors * 512 */
        /* status 0 or -EIO; may be called on another CPU before submit returns */
        void (*done)(struct block_request *, int status);
        void *arg;
        struct block_request *next; /* driver's, as is `driver` */
        void *driver;
};
struct block_device;
struct block_ops {
        /* Queues; the request belongs to the driver until done(). 0 or -EIO (gone). Never waits, never allocates. */
        int (*submit)(struct block_device *, struct block_request *);
        /*
         * Completes what the device has finished, without an interrupt: for code that runs before interrupts, or in a
         * panic.
         */
        void (*poll)(struct block_device *);
};
struct block_device {
        char name[16];   /* "vda" */
        char serial[32]; /* stable identity when the device has one */
        char model[48];
        uint8_t type[16], uuid[16]; /* of a partition, as in its table; else zero */
        uint64_t nsectors;
        uint32_t logical_block;       /* bytes, a multiple of 512; requests keep to it */
        uint32_t physical_block;      /* bytes; what is written well. 0: as logical_block */
        uint32_t max_segs;            /* of one request, 1 to BLOCK_SEGS_MAX */
        uint32_t max_seg_bytes;       /* 4096 at least */
        uint32_t seg_boundary;        /* segments meet at multiples of this, of physical addresses; 0: anywhere */
        uint32_t max_discard_sectors; /* of one request */
        uint32_t discard_align;       /* sectors: what is discarded well */
        bool read_only, has_flush, has_discard; /* has_flush false: every completed write is durable */
        bool polls;                 /* poll alone brings every request to its end, whatever else runs or waits */
        bool rotational, removable; /* for those who ask; removable: the medium, as of a CD drive */
        bool gone; /* [a] failed or taken out, for ever; a partition: until a table has it again. All fails (-EIO) */
        uint32_t major, minor;      /* Linux's numbers; a partition's minor is its disk's and its own number */
        bool claimed;               /* a store is open on it, or on a partition of it: not for programs to write */
        struct block_device *whole; /* of a partition: its disk */
        uint64_t first_sector;      /* of a partition, on its disk */
        const struct block_ops *ops;
        void *driver;
        unsigned index; /* dense, assigned by block_register */
};
int block_register(struct block_device *d); /* keeps the pointer for ever; 0 or -ENOSPC */
void block_name_sd(struct block_device *d); /* the next name of the disks sda, sdb..., and its numbers */
/* For drivers: the disk and its partitions are gone. Then, when all is done: block_changed. */
void block_gone(struct block_device *d);
/*
 * Disks have come, or gone, while the system runs. Any context, without locks. There is one listener: it may only queue.
 */
void block_changed(void);
void block_listen(void (*changed)(void));
struct block_device *block_find(const char *name);
struct block_device *block_by_index(unsigned index);
unsigned block_count(void);
/*
 * Check and queue. 0: done() is called once. Otherwise it is not called: -EINVAL (bounds, alignment, segments), -EROFS,
 * -EOPNOTSUPP (discard, or a flush where has_flush is false), -EIO (the device is gone). Callable with interrupts on or
 * off.
 */
int block_submit(struct block_device *d, struct block_request *r);
/*
 * Submit and spin until it is done, polling the device: for boot (reading a superblock, partition tables) and for the
 * panic path, not for sections. r->done and r->arg are overwritten. 0, -EIO or what block_submit says.
 */
int block_submit_wait(struct block_device *d, struct block_request *r);

/*
 * The partition table of a disk is read again. 0: done() is called once, on a worker, with 0, -EIO (it cannot be read), -EBUSY (a store is open on a partition
 * that the table has elsewhere, or no more: nothing changed) or -ENOMEM. Otherwise not: -EINVAL (no disk, or no table on such), -ENOMEM. Borrows r until then.
 * Partitions that are new are registered, others change or are gone; those that stay as they are notice nothing.
 */
struct block_rescan {
        struct block_device *disk;
        void (*done)(struct block_rescan *r, int status);
        struct block_rescan *next;
};
int block_rescan(struct block_rescan *r);
