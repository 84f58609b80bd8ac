/*
 * drv_virtqueue.c - split rings against a device played here: random requests, direct and indirect, finished in any
 * order, with and without event indices; every request comes back once, and descriptors as the device saw them are
 * those that were given. A device that lies breaks the queue and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/drivers/bus/virtqueue.h"

#define SIZE     16
#define REQUESTS 64

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
        seed = seed * 6364136223846793005ul + 1442695040888963407ul;
        return (uint32_t)(seed >> 33) % n;
}

/* "Physical" addresses are those of this process. */
static struct virtqueue vq;
static void *memory;

struct request {
        struct vq_segment seg[6];
        unsigned nout, nin;
        struct vring_desc table[6];
        bool indirect, busy, done;
        uint32_t written;
};
static struct request requests[REQUESTS];

static struct {
        uint16_t avail_idx, used_idx;
        uint16_t waiting[SIZE]; /* heads taken and not finished */
        unsigned nwaiting;
        unsigned interrupts, kicks;
        uint16_t told_used; /* used index at the last interrupt decision */
} device;

static void open_queue(bool event_idx)
{
        memory = calloc(1, vq_memory(SIZE));
        vq_init(&vq, SIZE, memory, (paddr_t)memory, event_idx);
        memset(&device, 0, sizeof(device));
        memset(requests, 0, sizeof(requests));
        assert_int_equal(vq.desc_pa, (paddr_t)memory);
        assert_int_equal(vq.used_pa % 4, 0);
        vq_wait_for_interrupt(&vq);
}

static void close_queue(void)
{
        free(memory);
}

/* What the device reads of a chain must be what was given. */
static void device_checks(uint16_t head)
{
        struct request *r = vq.cookie[head];
        const struct vring_desc *d = &vq.desc[head], *table = vq.desc;
        unsigned n = 0;

        assert_non_null(r);
        if (d->flags & VRING_DESC_F_INDIRECT) {
                assert_true(r->indirect);
                assert_int_equal(d->flags, VRING_DESC_F_INDIRECT);
                assert_int_equal(d->len, (r->nout + r->nin) * sizeof(struct vring_desc));
                table = (const struct vring_desc *)d->addr;
                d = table;
        }
        for (;;) {
                assert_true(n < r->nout + r->nin);
                assert_int_equal(d->addr, r->seg[n].pa);
                assert_int_equal(d->len, r->seg[n].len);
                assert_int_equal(!!(d->flags & VRING_DESC_F_WRITE), n >= r->nout);
                n++;
                if (!(d->flags & VRING_DESC_F_NEXT))
                        break;
                d = &table[d->next];
        }
        assert_int_equal(n, r->nout + r->nin);
}

static void device_takes(void)
{
        while (device.avail_idx != vq.avail->idx) {
                uint16_t head = vq.avail->ring[device.avail_idx++ % SIZE];

                assert_true(head < SIZE);
                device_checks(head);
                device.waiting[device.nwaiting++] = head;
        }
        if (vq.event_idx)
                *(volatile uint16_t *)&vq.used->ring[SIZE] = device.avail_idx;
}

static void device_finishes(unsigned n)
{
        uint16_t before = device.used_idx;

        while (n-- && device.nwaiting) {
                unsigned i = rnd(device.nwaiting);
                uint16_t head = device.waiting[i];
                struct request *r = vq.cookie[head];

                device.waiting[i] = device.waiting[--device.nwaiting];
                r->written = rnd(5000);
                vq.used->ring[device.used_idx++ % SIZE] = (struct vring_used_elem){.id = head, .len = r->written};
                vq.used->idx = device.used_idx;
        }
        if (vq.event_idx ? vring_need_event(vq.avail->ring[SIZE], device.used_idx, before) : before != device.used_idx)
                device.interrupts++;
}

static bool driver_adds(void)
{
        struct request *r = &requests[rnd(REQUESTS)];

        if (r->busy)
                return true;
        memset(r, 0, sizeof(*r));
        r->nout = 1 + rnd(3);
        r->nin = rnd(4);
        r->indirect = rnd(2);
        for (unsigned i = 0; i < r->nout + r->nin; i++)
                r->seg[i] = (struct vq_segment){.pa = 1 + rnd(1 << 30), .len = 1 + rnd(1 << 20)};
        if (vq_add(&vq, r->seg, r->nout, r->nin, r->indirect ? r->table : NULL, (paddr_t)r->table, r) < 0)
                return false;
        r->busy = true;
        return true;
}

static unsigned driver_takes(void)
{
        struct request *r;
        uint32_t len;
        unsigned n = 0;

        while ((r = vq_take(&vq, &len))) {
                assert_true(r->busy);
                assert_int_equal(len, r->written);
                r->busy = false;
                n++;
        }
        return n;
}

static void run(bool event_idx)
{
        unsigned long added = 0, taken = 0;

        open_queue(event_idx);
        for (unsigned step = 0; step < 200000; step++) {
                unsigned before = device.interrupts;

                switch (rnd(4)) {
                case 0:
                        for (unsigned i = rnd(4); i > 0; i--) {
                                uint16_t was = vq.avail_idx;

                                driver_adds();
                                added += (uint16_t)(vq.avail_idx - was);
                        }
                        if (vq_kick_needed(&vq)) {
                                device.kicks++;
                                device_takes();
                        }
                        break;
                case 1:
                        device_takes();
                        break;
                case 2:
                        device_finishes(1 + rnd(4));
                        if (device.interrupts != before) {
                                do
                                        taken += driver_takes();
                                while (!vq_wait_for_interrupt(&vq));
                        }
                        break;
                case 3:
                        if (!rnd(8))
                                taken += driver_takes(); /* polling between interrupts is harmless */
                        break;
                }
        }
        device_takes();
        device_finishes(SIZE);
        taken += driver_takes();
        assert_int_equal(added, taken);
        assert_true(added > 10000);
        assert_int_equal(vq.nfree, SIZE);
        for (unsigned i = 0; i < REQUESTS; i++)
                assert_false(requests[i].busy);
        close_queue();
}

static void without_event_index(void **state)
{
        (void)state;
        run(false);
}

static void with_event_index(void **state)
{
        (void)state;
        run(true);
}

/* A kick is not lost: when the device was told nothing it had asked for nothing. */
static void full_ring(void **state)
{
        unsigned n = 0;

        (void)state;
        open_queue(true);
        while (driver_adds() && n < 1000)
                n++;
        assert_true(vq.nfree < 6);
        assert_true(vq_kick_needed(&vq));
        assert_false(vq_kick_needed(&vq));
        device_takes();
        device_finishes(SIZE);
        assert_true(driver_takes() > 0);
        assert_int_equal(vq.nfree, SIZE);
        close_queue();
}

static void device_lies(void **state)
{
        uint32_t len;

        (void)state;
        for (unsigned kind = 0; kind < 3; kind++) {
                struct request *r;

                open_queue(false);
                while (vq.avail_idx == 0)
                        driver_adds();
                device_takes();
                r = vq.cookie[device.waiting[0]];
                if (kind == 0) { /* no such descriptor */
                        vq.used->ring[0].id = 40000;
                        vq.used->idx = 1;
                } else if (kind == 1) { /* one that is not in flight */
                        vq.used->ring[0].id = (device.waiting[0] + 9) % SIZE;
                        vq.used->idx = 1;
                } else { /* the same twice */
                        vq.used->ring[0].id = vq.used->ring[1].id = device.waiting[0];
                        vq.used->idx = 2;
                        assert_ptr_equal(vq_take(&vq, &len), r);
                }
                assert_null(vq_take(&vq, &len));
                assert_true(vq.broken);
                vq.used->idx += 3;
                assert_null(vq_take(&vq, &len));
                assert_true(vq_wait_for_interrupt(&vq)); /* and nobody spins on it */
                close_queue();
        }
}

static void answers(void)
{
        vq.used->idx++;
}

static void looks(void)
{
        *(volatile uint16_t *)&vq.used->ring[vq.size] =
                vq.avail_idx - 1; /* asks to be told of the last one: too late to be told */
}

/* What the device does while the processor's own barrier does not reach it is seen behind vq_barrier. */
static void barriers(void **state)
{
        struct vq_segment seg = {0x1000, 16};

        (void)state;
        open_queue(true);
        vq_barrier = answers;
        assert_false(vq_wait_for_interrupt(&vq));
        close_queue();
        vq_barrier = NULL;
        open_queue(true);
        *(volatile uint16_t *)&vq.used->ring[vq.size] = 100;
        assert_int_equal(vq_add(&vq, &seg, 1, 0, NULL, 0, &seg), 0);
        vq_barrier = looks;
        assert_true(vq_kick_needed(&vq));
        vq_barrier = NULL;
        close_queue();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_event_index), cmocka_unit_test(with_event_index), cmocka_unit_test(full_ring),
                cmocka_unit_test(device_lies),         cmocka_unit_test(barriers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
