/*
 * virtqueue.h - the driver's side of a virtio split ring (virtio 1.1, 2.6), apart from any transport: also built
 * hosted, where a test plays the device. Not locked: the owner serialises. Nothing that the device writes is trusted: a
 * used entry with an impossible id breaks the queue, and a broken queue gives nothing more back.
 */
#pragma once
#include <linux/virtio_ring.h>
#include "kernel/include/types.h"

#define VQ_SIZE_MAX 256

/* What a full barrier takes besides the processor's, where that does not reach devices; NULL: nothing. */
extern void (*vq_barrier)(void);

struct vq_segment {
        paddr_t pa;
        uint32_t len;
};

struct virtqueue {
        uint16_t size; /* a power of two */
        uint16_t free_head;
        uint16_t nfree;
        uint16_t avail_idx;  /* next to publish */
        uint16_t kicked_idx; /* avail_idx when the device was last told */
        uint16_t used_idx;   /* next to take */
        bool event_idx;      /* VIRTIO_RING_F_EVENT_IDX was negotiated */
        bool broken;
        struct vring_desc *desc;
        struct vring_avail *avail;
        struct vring_used *used;
        paddr_t desc_pa, avail_pa, used_pa;
        void *cookie[VQ_SIZE_MAX];  /* by head descriptor; NULL: not in flight */
        uint16_t next[VQ_SIZE_MAX]; /* free list and chains: the device may write the ring's own copy */
};

/* Bytes of ring memory for this many descriptors. It is zeroed, aligned to a page, and seen by the device at `pa`. */
size_t vq_memory(uint16_t size);
void vq_init(struct virtqueue *vq, uint16_t size, void *memory, paddr_t pa, bool event_idx);
/*
 * One request: first nout segments that the device reads, then nin that it writes. With `table` (nout + nin descriptors
 * in the device's view at table_pa) it takes one ring entry, else one for each segment. The cookie comes back from
 * vq_take. 0 or -ENOSPC.
 */
int vq_add(struct virtqueue *vq, const struct vq_segment *segs, unsigned nout, unsigned nin, struct vring_desc *table,
           paddr_t table_pa, void *cookie);
/* After adding: whether the device wants to be told. */
bool vq_kick_needed(struct virtqueue *vq);
/* The next request that the device has finished, or NULL. *len: bytes it says it has written, as it says. */
void *vq_take(struct virtqueue *vq, uint32_t *len);
/* Ask for an interrupt at the next completion. Returns false when there is one already: take again. */
bool vq_wait_for_interrupt(struct virtqueue *vq);
