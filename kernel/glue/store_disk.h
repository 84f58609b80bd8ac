/*
 * store_disk.h - a part of a block device as the disk of a store. Its operations wait: on a worker by worker_sleep, before threads run by polling.
 */
#pragma once
#include "kernel/include/block.h"
#include "persist/store/store.h"

/* sector and nsectors: multiples of 8; the device is borrowed for ever. 0, -EINVAL, -ENOMEM. */
int store_disk_open(struct block_device *d, uint64_t sector, uint64_t nsectors, struct store_disk **disk);
void store_disk_close(struct store_disk *disk);
int store_disk_format(
        struct store_disk *disk); /* an empty store of the space, with a number of its own; as store_format */
uint64_t store_owner(void);       /* a random number, not 0, for store_open */
void store_device_claim(
        struct block_device *d,
        bool claimed); /* the device, and the disk it is a part of, become, or are no longer, the store's */

/* What went to the disks of stores since boot: requests to the device, bytes, flushes; bytes that were read, and told to be free. Any context. */
struct store_disk_counts {
        uint64_t writes, written, flushes, read, discarded;
};
void store_disk_counts(struct store_disk_counts *c);
