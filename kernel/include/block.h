/*
 * block.h - block devices. Requests are volatile; completion runs in interrupt context (volatile memory only).
 */
#pragma once
#include "kernel/include/types.h"

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD };
struct block_request {
        enum block_op op;
        uint64_t sector;             /* 512-byte sectors */
        uint32_t nsectors;
        uint32_t nsegs;
        struct { paddr_t pa; uint32_t len; } seg[17];
        void (*done)(struct block_request *, int status);  /* status 0 or -EIO */
        void *arg;
        struct block_request *next;  /* driver's */
};
struct block_device;
struct block_ops {
        /* Queues; the request belongs to the driver until done(). 0 or -EIO (gone), -EINVAL (bounds), -EROFS. */
        int (*submit)(struct block_device *, struct block_request *);
};
struct block_device {
        char name[16];               /* "vda" */
        char serial[32];             /* stable identity when the device has one */
        char model[48];
        uint64_t nsectors;
        uint32_t logical_block;      /* bytes */
        bool read_only, has_flush, has_discard;
        const struct block_ops *ops;
        void *driver;
        unsigned index;              /* dense, assigned by block_register */
};
int block_register(struct block_device *d);   /* keeps the pointer for ever; 0 or -ENOSPC */
struct block_device *block_find(const char *name);
struct block_device *block_by_index(unsigned index);
unsigned block_count(void);
