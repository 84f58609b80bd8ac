/*
 * virtqueue.c - virtio split rings. Order of memory accesses: x86 keeps stores in order, so a compiler barrier
 * publishes descriptors before the index; reading what the device asks for (event index, flags) after writing our index
 * needs a full barrier on both sides of the ring.
 */
#include "kernel/drivers/bus/virtqueue.h"

#define USED_ALIGN 4

static size_t used_offset(uint16_t size)
{
        size_t avail = sizeof(struct vring_desc) * size + sizeof(struct vring_avail) + sizeof(uint16_t) * (size + 1u);

        return ALIGN_UP(avail, (size_t)USED_ALIGN);
}

size_t vq_memory(uint16_t size)
{
        return used_offset(size) + sizeof(struct vring_used) + sizeof(struct vring_used_elem) * size + sizeof(uint16_t);
}

/* Where the device says after which avail index it wants to be told, and where we say the same for used. */
static volatile uint16_t *avail_event(struct virtqueue *vq)
{
        return (volatile uint16_t *)&vq->used->ring[vq->size];
}

static volatile uint16_t *used_event(struct virtqueue *vq)
{
        return &vq->avail->ring[vq->size];
}

void (*vq_barrier)(void);

static void full_barrier(void)
{
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (vq_barrier)
                vq_barrier();
}

void vq_init(struct virtqueue *vq, uint16_t size, void *memory, paddr_t pa, bool event_idx)
{
        char *base = memory;

        *vq = (struct virtqueue){.size = size, .nfree = size, .event_idx = event_idx};
        vq->desc = memory;
        vq->avail = (struct vring_avail *)(base + sizeof(struct vring_desc) * size);
        vq->used = (struct vring_used *)(base + used_offset(size));
        vq->desc_pa = pa;
        vq->avail_pa = pa + sizeof(struct vring_desc) * size;
        vq->used_pa = pa + used_offset(size);
        for (uint16_t i = 0; i < size; i++)
                vq->next[i] = i + 1;
}

static struct vring_desc descriptor(const struct vq_segment *s, bool device_writes)
{
        return (struct vring_desc){.addr = s->pa, .len = s->len, .flags = device_writes ? VRING_DESC_F_WRITE : 0};
}

static uint16_t take_free(struct virtqueue *vq)
{
        uint16_t i = vq->free_head;

        vq->free_head = vq->next[i];
        vq->nfree--;
        return i;
}

static uint16_t add_indirect(struct virtqueue *vq, const struct vq_segment *segs, unsigned nout, unsigned n,
                             struct vring_desc *table, paddr_t table_pa)
{
        uint16_t head = take_free(vq);

        for (unsigned i = 0; i < n; i++) {
                table[i] = descriptor(&segs[i], i >= nout);
                if (i + 1 < n) {
                        table[i].flags |= VRING_DESC_F_NEXT;
                        table[i].next = i + 1;
                }
        }
        vq->desc[head] = (struct vring_desc){
                .addr = table_pa, .len = n * sizeof(struct vring_desc), .flags = VRING_DESC_F_INDIRECT};
        vq->next[head] = head; /* a chain ends at itself */
        return head;
}

static uint16_t add_chain(struct virtqueue *vq, const struct vq_segment *segs, unsigned nout, unsigned n)
{
        uint16_t head = vq->free_head, last = head;

        for (unsigned i = 0; i < n; i++) {
                uint16_t at = take_free(vq);

                vq->desc[at] = descriptor(&segs[i], i >= nout);
                if (i + 1 < n) {
                        vq->desc[at].flags |= VRING_DESC_F_NEXT;
                        vq->desc[at].next = vq->free_head;
                        vq->next[at] = vq->free_head;
                }
                last = at;
        }
        vq->next[last] = last;
        return head;
}

int vq_add(struct virtqueue *vq, const struct vq_segment *segs, unsigned nout, unsigned nin, struct vring_desc *table,
           paddr_t table_pa, void *cookie)
{
        unsigned n = nout + nin;
        uint16_t head;

        if (vq->nfree < (table ? 1 : n))
                return -ENOSPC;
        head = table ? add_indirect(vq, segs, nout, n, table, table_pa) : add_chain(vq, segs, nout, n);
        vq->cookie[head] = cookie;
        vq->avail->ring[vq->avail_idx % vq->size] = head;
        barrier();
        WRITE_ONCE(vq->avail->idx, ++vq->avail_idx);
        return 0;
}

bool vq_kick_needed(struct virtqueue *vq)
{
        uint16_t before = vq->kicked_idx;

        full_barrier();
        vq->kicked_idx = vq->avail_idx;
        if (before == vq->avail_idx)
                return false;
        if (vq->event_idx)
                return vring_need_event(*avail_event(vq), vq->avail_idx, before);
        return !(READ_ONCE(vq->used->flags) & VRING_USED_F_NO_NOTIFY);
}

static void release(struct virtqueue *vq, uint16_t head)
{
        uint16_t first_free = vq->free_head;
        uint16_t at = head;

        vq->free_head = head;
        while (vq->nfree++, vq->next[at] != at)
                at = vq->next[at];
        vq->next[at] = first_free;
}

void *vq_take(struct virtqueue *vq, uint32_t *len)
{
        struct vring_used_elem *e;
        uint32_t id;
        void *cookie;

        if (vq->broken || vq->used_idx == READ_ONCE(vq->used->idx))
                return NULL;
        barrier();
        e = &vq->used->ring[vq->used_idx % vq->size];
        id = READ_ONCE(e->id);
        if (id >= vq->size || !vq->cookie[id]) {
                vq->broken = true;
                return NULL;
        }
        *len = READ_ONCE(e->len);
        cookie = vq->cookie[id];
        vq->cookie[id] = NULL;
        vq->used_idx++;
        release(vq, id);
        return cookie;
}

bool vq_wait_for_interrupt(struct virtqueue *vq)
{
        if (vq->event_idx)
                *used_event(vq) = vq->used_idx;
        else
                WRITE_ONCE(vq->avail->flags, 0);
        full_barrier();
        return vq->broken || vq->used_idx == READ_ONCE(vq->used->idx);
}
