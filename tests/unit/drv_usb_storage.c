/*
 * drv_usb_storage.c - the driver of USB disks against a disk that misbehaves: data and statuses that stall, nonsense in
 * statuses, no answer, refused commands, resets that fail, sizes that lie. Each request ends once; what was said to be
 * written is read back; a disk that cannot be mended is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/drivers/usb/storage.c"

#define DISK_SECTORS 128u
#define QUEUE        8u
#define FOREVER      ~0u

/* ---- the disk ---- */

enum fault {
        GOOD,
        STALL_DATA,
        STALL_STATUS,
        REFUSE,
        BAD_TAG,
        BAD_SIGNATURE,
        SHORT_STATUS,
        PHASE_ERROR,
        RESIDUE,
        SHORT_DATA,
        SILENT
};

struct usb_endpoint {
        bool in, halted;
        unsigned n;
        struct queued {
                struct usb_transfer *t;
                struct usb_segment seg[BLOCK_SEGS_MAX];
                unsigned nsegs;
        } queue[QUEUE];
};

static struct {
        uint8_t data[DISK_SECTORS * 512];
        struct usb_endpoint in, out;
        enum { COMMAND, DATA, STATUS } phase;
        struct cbw cbw;
        enum fault fault; /* of the next `times` commands with data or more */
        unsigned times;
        bool any_command; /* the fault is of each command, not only of reads, writes and flushes */
        enum fault now;   /* of the command under way */
        bool refused, silent, resets_fail;
        uint8_t key, asc;
        uint32_t last_block, block_size;
        bool read_only, cached, unready;
} disk;

static struct usb_device device;
static uint64_t now_ns;
static struct vtimer *timer;
static unsigned gone_calls, registered;

static void fill(uint8_t *to, uint32_t len, uint8_t op)
{
        memset(to, 0, len);
        switch (op) {
        case INQUIRY:
                memcpy(to + 8, "PHANTOM TEST DISK       1   ", 28);
                break;
        case REQUEST_SENSE:
                to[0] = 0x70;
                to[2] = disk.key;
                to[12] = disk.asc;
                break;
        case READ_CAPACITY_10:
                put_be(to, disk.last_block, 4);
                put_be(to + 4, disk.block_size, 4);
                break;
        case MODE_SENSE_6:
                to[2] = disk.read_only ? 0x80 : 0;
                to[4] = MODE_CACHING;
                to[5] = 18;
                to[6] = disk.cached ? 4 : 0;
                break;
        }
}

static bool is_transfer(uint8_t op)
{
        return op == READ_10 || op == WRITE_10 || op == SYNCHRONIZE;
}

/* The bytes of the data stage, one way or the other. */
static uint32_t move(struct queued *q, bool in, uint32_t most)
{
        uint8_t op = disk.cbw.cdb[0], page[512];
        uint64_t at = get_be(disk.cbw.cdb + 2, 4) * 512;
        uint32_t moved = 0;

        fill(page, sizeof(page), op);
        for (unsigned i = 0; i < q->nsegs && moved < most; i++) {
                uint32_t n = MIN(q->seg[i].len, most - moved);
                uint8_t *mem = direct(q->seg[i].pa);

                if (op == READ_10 || op == WRITE_10) {
                        assert_true(at + moved + n <= sizeof(disk.data));
                        if (in)
                                memcpy(mem, disk.data + at + moved, n);
                        else
                                memcpy(disk.data + at + moved, mem, n);
                } else if (in) {
                        assert_true(moved + n <= sizeof(page));
                        memcpy(mem, page + moved, n);
                }
                moved += n;
        }
        return moved;
}

static struct usb_transfer *take(struct usb_endpoint *e)
{
        struct usb_transfer *t = e->queue[0].t;

        memmove(e->queue, e->queue + 1, --e->n * sizeof(e->queue[0]));
        return t;
}

static void end(struct usb_endpoint *e, int status, uint32_t actual)
{
        struct usb_transfer *t = take(e);

        t->status = status;
        t->actual = actual;
        if (status == -EPIPE)
                e->halted = true;
        if (status || !t->quiet)
                t->done(t);
}

static void take_command(void)
{
        memcpy(&disk.cbw, direct(disk.out.queue[0].seg[0].pa), sizeof(disk.cbw));
        assert_int_equal(disk.out.queue[0].t->length, sizeof(disk.cbw));
        assert_int_equal(disk.cbw.signature, CBW_SIGNATURE);
        disk.phase = disk.cbw.length ? DATA : STATUS;
        disk.now = GOOD;
        if (disk.times && (disk.any_command || is_transfer(disk.cbw.cdb[0]))) {
                disk.now = disk.fault;
                if (disk.times != FOREVER)
                        disk.times--;
        }
        disk.silent = disk.now == SILENT;
        disk.refused = disk.now == REFUSE || (disk.cbw.cdb[0] == TEST_READY && disk.unready) ||
                       disk.cbw.cdb[0] == SERVICE_IN_16;
        end(&disk.out, 0, sizeof(disk.cbw));
}

static void give_status(void)
{
        struct csw csw = {CSW_SIGNATURE, disk.cbw.tag, 0, disk.refused ? CSW_FAILED : 0};
        uint32_t len = sizeof(csw);

        if (disk.now == STALL_STATUS) {
                disk.now = GOOD;
                end(&disk.in, -EPIPE, 0);
                return;
        }
        csw.tag += disk.now == BAD_TAG;
        csw.signature += disk.now == BAD_SIGNATURE;
        if (disk.now == PHASE_ERROR)
                csw.status = 2;
        if (disk.now == RESIDUE)
                csw.residue = 512;
        if (disk.now == SHORT_STATUS)
                len = 5;
        memcpy(direct(disk.in.queue[0].seg[0].pa), &csw, len);
        disk.phase = COMMAND;
        end(&disk.in, 0, len);
}

/* True: something has moved. */
static bool step(void)
{
        bool in = disk.cbw.flags & CBW_IN;
        struct usb_endpoint *e = in ? &disk.in : &disk.out;

        if (disk.silent)
                return false;
        if (disk.phase == COMMAND && disk.out.n && !disk.out.halted) {
                take_command();
                return true;
        }
        if (disk.phase == DATA && e->n && !e->halted) {
                uint32_t most = disk.refused ? 0 : disk.now == SHORT_DATA ? disk.cbw.length / 2 : disk.cbw.length;
                uint32_t moved = move(&e->queue[0], in, most);

                disk.phase = STATUS;
                if (disk.refused || disk.now == STALL_DATA || (disk.now == SHORT_DATA && !in))
                        end(e, -EPIPE, 0);
                else
                        end(e, 0, moved);
                disk.refused |= disk.now == STALL_DATA;
                return true;
        }
        if (disk.phase == STATUS && disk.in.n && !disk.in.halted) {
                give_status();
                return true;
        }
        return false;
}

/* ---- what the driver stands on ---- */

int usb_submit(struct usb_endpoint *e, struct usb_transfer *t, const struct usb_segment *seg, unsigned nsegs)
{
        struct queued *q = &e->queue[e->n];

        if (device.gone)
                return -ENODEV;
        assert_true(e->n < QUEUE && nsegs <= BLOCK_SEGS_MAX);
        *q = (struct queued){.t = t, .nsegs = nsegs};
        memcpy(q->seg, seg, nsegs * sizeof(*seg));
        t->length = t->actual = 0;
        t->status = 0;
        for (unsigned i = 0; i < nsegs; i++)
                t->length += seg[i].len;
        e->n++;
        return 0;
}

void usb_forget(struct usb_endpoint *e, struct usb_transfer *t)
{
        for (unsigned i = 0; i < e->n; i++)
                assert_true(e->queue[i].t != t); /* what is still queued may not be forgotten */
}

static void cancel(struct usb_endpoint *e, int status)
{
        while (e->n) {
                struct usb_transfer *t = take(e);

                t->status = status;
                t->done(t);
        }
}

int usb_restart(struct usb_endpoint *e, bool clear)
{
        if (device.gone)
                return -ENODEV;
        cancel(e, -ECANCELED);
        e->halted = !clear;
        return 0;
}

int usb_request(struct usb_device *d, uint8_t type, uint8_t request, uint16_t value, uint16_t index, void *buf,
                uint16_t len)
{
        (void)value, (void)index, (void)buf, (void)len;
        assert_ptr_equal(d, &device);
        assert_int_equal(type, USB_TYPE_CLASS | USB_TO_INTERFACE);
        assert_int_equal(request, REQUEST_RESET);
        if (disk.resets_fail)
                return -EIO;
        disk.phase = COMMAND;
        disk.silent = false;
        return 0;
}

bool usb_wait(struct usb_device *d, const uint32_t *done, uint64_t ns)
{
        (void)d;
        while (!*done && step())
                ;
        if (!*done)
                now_ns += ns;
        return *done;
}

void worker_pause(uint64_t ns)
{
        now_ns += ns;
}

void usb_wake(struct usb_device *d)
{
        if (d)
                d->work = 1;
}

void usb_give_up(struct usb_device *d)
{
        d->given_up = true;
}

void usb_stop(struct usb_device *d)
{
        d->gone = true;
        cancel(&disk.in, -ENODEV);
        cancel(&disk.out, -ENODEV);
}

void usb_poll(struct usb_device *d)
{
        (void)d;
}

void usb_work(void)
{
}

bool usb_has_worker(void)
{
        return true;
}

uint64_t time_mono_ns(void)
{
        return now_ns;
}

void vtimer_arm(struct vtimer *t, uint64_t deadline_ns)
{
        t->deadline_ns = deadline_ns;
        timer = t;
}

void vtimer_cancel(struct vtimer *t)
{
        if (timer == t)
                timer = NULL;
}

paddr_t frame_alloc(void)
{
        return direct_pa(aligned_alloc(PAGE_SIZE, PAGE_SIZE));
}

void frame_free(paddr_t pa)
{
        free(direct(pa));
}

void *kzalloc(size_t size)
{
        return calloc(1, size);
}

void kfree(void *p)
{
        free(p);
}

void klog(enum klog_level level, const char *fmt, ...)
{
        (void)level, (void)fmt;
}

bool klog_panicking(void)
{
        return false;
}

void block_name_sd(struct block_device *d)
{
        strcpy(d->name, "sdx");
}

int block_register(struct block_device *d)
{
        (void)d;
        registered++;
        return 0;
}

void block_gone(struct block_device *d)
{
        d->gone = true;
        gone_calls++;
}

void block_changed(void)
{
}

int block_rescan(struct block_rescan *r)
{
        r->done(r, 0);
        return 0;
}

/* ---- a stick is plugged in ---- */

static int plug(const char *serial)
{
        static const uint8_t addresses[] = {0x81, 0x02};

        memset(&disk.in, 0, sizeof(disk.in));
        memset(&disk.out, 0, sizeof(disk.out));
        disk.in.in = true;
        disk.phase = COMMAND;
        disk.silent = disk.resets_fail = disk.any_command = disk.unready = disk.read_only = false;
        disk.times = 0;
        disk.cached = true;
        disk.last_block = DISK_SECTORS - 1;
        disk.block_size = 512;
        device = (struct usb_device){.speed = USB_HIGH, .vendor = 1, .product = 2};
        strcpy(device.serial, serial);
        device.interface.nendpoints = 2;
        for (unsigned i = 0; i < 2; i++) {
                device.interface.endpoint[i].address = addresses[i];
                device.interface.endpoint[i].kind = USB_BULK;
        }
        device.endpoint[0] = &disk.in;
        device.endpoint[1] = &disk.out;
        return 0;
}

static void unplug(void)
{
        usb_stop(&device);
        usb_storage_driver.detach(&device);
}

static struct storage *attached(const char *serial)
{
        plug(serial);
        assert_int_equal(usb_storage_driver.attach(&device), 0);
        return device.driver_data;
}

struct asked {
        struct block_request r;
        unsigned ended;
        int status;
};

static void asked_done(struct block_request *r, int status)
{
        struct asked *a = r->arg;

        a->ended++;
        a->status = status;
}

/* Until it has ended: the disk moves, the thread of control has its turn, time passes. */
static int ask(struct storage *s, enum block_op op, uint64_t sector, uint8_t *buf, uint32_t nsectors)
{
        struct asked a = {.r = {.op = op, .sector = sector, .nsectors = nsectors, .done = asked_done, .arg = &a}};

        if (nsectors) {
                a.r.nsegs = 1;
                a.r.seg[0].pa = direct_pa(buf);
                a.r.seg[0].len = nsectors * 512;
        }
        if (storage_ops.submit(&s->disk, &a.r))
                return -EIO;
        for (unsigned turn = 0; !a.ended; turn++) {
                assert_true(turn < 10000);
                if (step())
                        continue;
                if (device.work) {
                        device.work = 0;
                        usb_storage_driver.work(&device);
                        if (device.given_up)
                                unplug();
                } else {
                        struct vtimer *t = timer;

                        assert_non_null(t); /* else it would wait for ever */
                        timer = NULL;
                        now_ns = MAX(now_ns, t->deadline_ns) + 1;
                        t->fn(t);
                }
        }
        assert_int_equal(a.ended, 1);
        return a.status;
}

static uint8_t some[2048], back[2048];

static void write_and_read(struct storage *s, uint64_t sector)
{
        for (unsigned i = 0; i < sizeof(some); i++)
                some[i] = (uint8_t)rand();
        memset(back, 0, sizeof(back));
        assert_int_equal(ask(s, BLOCK_WRITE, sector, some, 4), 0);
        assert_int_equal(ask(s, BLOCK_READ, sector, back, 4), 0);
        assert_memory_equal(some, back, sizeof(some));
}

static void fault(enum fault what, unsigned times, uint8_t key, uint8_t asc)
{
        disk.fault = what;
        disk.times = times;
        disk.key = key;
        disk.asc = asc;
}

static void good(void **state)
{
        struct storage *s = attached("good");

        (void)state;
        assert_int_equal(s->disk.nsectors, DISK_SECTORS);
        assert_string_equal(s->disk.model, "PHANTOM TEST DISK");
        assert_true(s->disk.has_flush);
        assert_false(s->disk.read_only || s->disk.has_discard);
        write_and_read(s, 0);
        write_and_read(s, DISK_SECTORS - 4);
        assert_int_equal(ask(s, BLOCK_FLUSH, 0, NULL, 0), 0);
        unplug();
        assert_int_equal(ask(s, BLOCK_READ, 0, back, 4), -EIO);
        plug("protected");
        disk.read_only = true;
        assert_int_equal(usb_storage_driver.attach(&device), 0);
        assert_true(((struct storage *)device.driver_data)->disk.read_only);
        unplug();
}

/* What happens once is mended, and the request is done. */
static void once(void **state)
{
        static const enum fault faults[] = {STALL_STATUS, BAD_TAG, BAD_SIGNATURE, SHORT_STATUS,
                                            PHASE_ERROR,  RESIDUE, SHORT_DATA,    SILENT};
        struct storage *s = attached("once");

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
                fault(faults[i], 1, 0, 0);
                write_and_read(s, 8);
                fault(faults[i], 1, 0, 0);
                assert_int_equal(ask(s, BLOCK_READ, 8, back, 4), 0);
                assert_memory_equal(some, back, sizeof(some));
                assert_int_equal(disk.times, 0);
        }
        fault(REFUSE, 1, KEY_UNIT_ATTENTION, 0x29);
        assert_int_equal(ask(s, BLOCK_FLUSH, 0, NULL, 0), 0);
        fault(STALL_DATA, 2, KEY_UNIT_ATTENTION, 0x29);
        write_and_read(s, 12);
        assert_false(s->disk.gone);
        unplug();
}

/* What happens again and again fails the request, and only it. */
static void again(void **state)
{
        static const enum fault faults[] = {STALL_DATA,  REFUSE,  BAD_TAG,    BAD_SIGNATURE, SHORT_STATUS,
                                            PHASE_ERROR, RESIDUE, SHORT_DATA, SILENT};
        struct storage *s = attached("again");

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
                fault(faults[i], FOREVER, 3, 0x11);
                assert_int_equal(ask(s, BLOCK_READ, 0, back, 4), -EIO);
                fault(faults[i], FOREVER, 3, 0x11);
                assert_int_equal(ask(s, BLOCK_WRITE, 0, some, 4), -EIO);
                fault(GOOD, 0, 0, 0);
                write_and_read(s, 4);
        }
        fault(REFUSE, FOREVER, KEY_UNIT_ATTENTION, 0x29);
        assert_int_equal(ask(s, BLOCK_READ, 0, back, 4), -EIO);
        assert_false(s->disk.gone);
        unplug();
}

/* What cannot be mended, and a medium that is no longer the same, ends the disk: nothing waits for ever. */
static void beyond_mending(void **state)
{
        static const uint8_t asc[] = {ASC_NO_MEDIUM, ASC_OTHER_MEDIUM};
        struct storage *s = attached("beyond");

        (void)state;
        fault(SILENT, FOREVER, 0, 0);
        disk.resets_fail = true;
        gone_calls = 0;
        assert_int_equal(ask(s, BLOCK_READ, 0, back, 4), -EIO);
        assert_int_equal(gone_calls, 1);
        assert_int_equal(ask(s, BLOCK_READ, 0, back, 4), -EIO);
        for (unsigned i = 0; i < ARRAY_SIZE(asc); i++) {
                s = attached("medium");
                fault(REFUSE, 1, asc[i] == ASC_NO_MEDIUM ? KEY_NOT_READY : KEY_UNIT_ATTENTION, asc[i]);
                assert_int_equal(ask(s, BLOCK_READ, 0, back, 4), -EIO);
                assert_true(s->disk.gone);
        }
}

/* A disk that lies, or does not answer, is not taken: attaching it ends. */
static void not_taken(void **state)
{
        static const uint32_t sizes[] = {0, 1, 511, 513, 8192, ~0u};
        unsigned before = registered;

        (void)state;
        for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
                plug("lies");
                disk.block_size = sizes[i];
                assert_true(usb_storage_driver.attach(&device) < 0);
        }
        plug("long");
        disk.last_block = ~0u; /* and it has no READ CAPACITY (16) */
        assert_true(usb_storage_driver.attach(&device) < 0);
        for (enum fault f = STALL_DATA; f <= SILENT; f++) {
                if (f == STALL_STATUS || f == RESIDUE || f == SHORT_DATA)
                        continue; /* these it may be used with */
                plug("mute");
                disk.any_command = true;
                fault(f, FOREVER, 0, 0);
                assert_true(usb_storage_driver.attach(&device) < 0);
        }
        for (unsigned i = 0; i < 3; i++) {
                plug("never ready");
                disk.unready = true;
                disk.key = i == 0 ? KEY_UNIT_ATTENTION : KEY_NOT_READY;
                disk.asc = i == 2 ? ASC_NO_MEDIUM : 4;
                assert_int_equal(usb_storage_driver.attach(&device), i == 2 ? -ENOMEDIUM : -EIO);
        }
        assert_int_equal(registered, before);
}

static void comes_back(void **state)
{
        struct storage *first = attached("first"), *s;

        (void)state;
        write_and_read(first, 0);
        unplug();
        assert_true(first->disk.gone);
        s = attached("second");
        assert_ptr_not_equal(s, first);
        unplug();
        assert_ptr_equal(attached("first"), first);
        assert_false(first->disk.gone);
        write_and_read(first, 0);
        unplug();
        first->disk.claimed = true; /* a store was open on it */
        assert_ptr_not_equal(attached("first"), first);
        assert_true(first->disk.gone);
        unplug();
        first->disk.claimed = false;
        s = attached("");
        unplug();
        assert_ptr_not_equal(attached(""), s);
        unplug();
}

/* Faults at random: a sector that was said to be written has what was written, or what a write that failed had. */
static void any_faults(void **state)
{
        struct storage *s = attached("any");

        (void)state;
        srand(1);
        for (unsigned n = 0; n < 3000; n++) {
                fault((enum fault)(rand() % (SILENT + 1)), (unsigned)rand() % 6, rand() % 2 ? 3 : KEY_UNIT_ATTENTION,
                      0x11);
                memset(back, 0, sizeof(back));
                for (unsigned i = 0; i < sizeof(some); i++)
                        some[i] = (uint8_t)rand();
                if (ask(s, BLOCK_WRITE, 16, some, 4) == 0) {
                        assert_memory_equal(disk.data + 16 * 512, some, sizeof(some));
                        if (ask(s, BLOCK_READ, 16, back, 4) == 0)
                                assert_memory_equal(some, back, sizeof(some));
                }
                assert_false(s->disk.gone);
        }
        fault(GOOD, 0, 0, 0);
        write_and_read(s, 16);
        unplug();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(good),           cmocka_unit_test(once),      cmocka_unit_test(again),
                cmocka_unit_test(beyond_mending), cmocka_unit_test(not_taken), cmocka_unit_test(comes_back),
                cmocka_unit_test(any_faults),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
