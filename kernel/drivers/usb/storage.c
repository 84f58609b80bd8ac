/*
 * storage.c - USB disks: the Bulk-Only transport (USB Mass Storage Class Bulk-Only Transport 1.0, "BOT") with SCSI
 * commands (SPC-4, SBC-3).
 *
 * One command at a time: a command block (CBW) goes out, data one way or the other, a status (CSW) comes in. Command and
 * data are queued together, and the command does not interrupt; the status is asked for when the data have moved. (BOT
 * 3.3 lets the host ask before, but QEMU's disk then never answers: it forgets who waits when the data were read.)
 *
 * States, changed under the lock:
 *   IDLE -> BUSY      a command has begun
 *   BUSY -> IDLE      its status has come and is good: the next request begins, all in the interrupt
 *   BUSY -> TROUBLE   a stall, no answer, nonsense, a status that is not good, or REQUEST_NS: the thread of control takes it up
 *   TROUBLE -> IDLE   mended: halts cleared or the device reset (BOT 5.3.4), the sense data read; the request ends or is done again
 *   any -> DEAD       taken out, cannot be mended, or another medium is in it: everything fails from then on
 * A command of the thread of control's own (no `request`) goes the same way, and the state is TROUBLE again at its end.
 *
 * A disk that has been taken out keeps its device; when the same comes back (vendor, product, serial number, size), and
 * no store was open on it, it is the same disk again.
 *
 * Trust: lengths, tag and signature of a status are checked; sizes are bounded; texts are printable.
 */
#include "kernel/include/block.h"
#include "kernel/drivers/block/list.h"
#include "kernel/drivers/usb/usb.h"
#include "kernel/include/cpu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/include/worker.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define SUBCLASS_SCSI   6u
#define PROTOCOL_BULK   0x50u
#define REQUEST_RESET   0xffu /* BOT 3.1 */
#define REQUEST_NS      (30 * NSEC_PER_SEC)
#define BOOT_REQUEST_NS (5 * NSEC_PER_SEC) /* before the system runs: a dead disk does not hold it up for long */
#define WATCH_NS        (5 * NSEC_PER_SEC)
#define READY_NS        (10 * NSEC_PER_SEC)
#define READY_STEP_NS   (NSEC_PER_SEC / 10)
#define READY_TIMES     200u
#define STATUS_NS       (5 * NSEC_PER_SEC)
#define POLLS_PER_WATCH 4096u
#define RETRIES         3u
#define COMPLAINTS_MAX  16u
#define SEG_MAX         (1u << 16) /* at super speed; slower sticks are known to take no more than 120 KiB at once */
#define SEG_MAX_SLOW    4096u
#define DISCARD_MAX     (1u << 21) /* sectors */
#define DISKS_MAX       32u

#define CBW_SIGNATURE 0x43425355u
#define CSW_SIGNATURE 0x53425355u
#define CBW_IN        0x80u
#define CSW_FAILED    1u

struct cbw { /* BOT 5.1 */
        uint32_t signature, tag, length;
        uint8_t flags, lun, cdb_len, cdb[16];
} __attribute__((packed));
_Static_assert(sizeof(struct cbw) == 31, "BOT 5.1");

struct csw { /* BOT 5.2 */
        uint32_t signature, tag, residue;
        uint8_t status;
} __attribute__((packed));
_Static_assert(sizeof(struct csw) == 13, "BOT 5.2");

enum scsi {
        TEST_READY = 0x00,
        REQUEST_SENSE = 0x03,
        INQUIRY = 0x12,
        MODE_SENSE_6 = 0x1a,
        READ_CAPACITY_10 = 0x25,
        READ_10 = 0x28,
        WRITE_10 = 0x2a,
        SYNCHRONIZE = 0x35,
        UNMAP = 0x42,
        READ_16 = 0x88,
        WRITE_16 = 0x8a,
        SERVICE_IN_16 = 0x9e,
};
#define SERVICE_CAPACITY_16 0x10u
#define PAGE_LIMITS         0xb0u
#define PAGE_PROVISIONING   0xb2u
#define MODE_CACHING        8u
#define MODE_ALL            0x3fu
#define MODE_PROTECTED      0x80u
#define KEY_NOT_READY       2u
#define KEY_UNIT_ATTENTION  6u
#define KEY_PROTECTED       7u
#define ASC_NO_MEDIUM       0x3au
#define ASC_OTHER_MEDIUM    0x28u

enum state { IDLE, BUSY, TROUBLE, DEAD };
enum trouble { NO_TROUBLE, STALLED_IN, STALLED_OUT, BAD_STATUS, NO_ANSWER, CHECK };

struct command {
        uint8_t cdb[16];
        uint8_t cdb_len;
        bool in;
        uint32_t length, nsegs;
        struct usb_segment seg[BLOCK_SEGS_MAX];
};

struct storage {
        struct block_device disk;
        struct usb_device *dev;
        uint16_t vendor, product;
        struct usb_endpoint *in, *out;
        struct spinlock lock;
        enum state state;              /* l */
        enum trouble trouble;          /* l */
        struct block_request *request; /* l; NULL: own */
        struct request_list waiting;   /* l */
        uint32_t own_done;             /* atomic */
        uint64_t deadline_ns;          /* l */
        struct command command;        /* the one in flight */
        uint32_t tag, moved;           /* moved: data that came, if not all did */
        unsigned tries;
        uint32_t complaints, polls;
        struct usb_transfer cbw_transfer, data_transfer, csw_transfer;
        uint8_t *page; /* what the device reads and writes: */
        struct cbw *cbw;
        struct csw *csw;
        uint8_t *unmap, *buf; /* 24 and 512 bytes */
        struct vtimer watch;
        uint32_t watching; /* atomic */
        bool scanning;
        struct block_rescan rescan;
};

static struct storage *disks[DISKS_MAX];
static unsigned ndisks;

static void put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
        for (unsigned i = 0; i < bytes; i++)
                p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static uint64_t get_be(const uint8_t *p, unsigned bytes)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < bytes; i++)
                v = v << 8 | p[i];
        return v;
}

/* ---- one command ---- */

static void watch_later(struct storage *s)
{
        if (!__atomic_exchange_n(&s->watching, 1, __ATOMIC_ACQ_REL))
                vtimer_arm(&s->watch, time_mono_ns() + WATCH_NS);
}

/* Lock held. */
static void in_trouble(struct storage *s, enum trouble t)
{
        if (s->state != BUSY)
                return;
        s->state = TROUBLE;
        s->trouble = t;
        if (!s->request)
                __atomic_store_n(&s->own_done, 1, __ATOMIC_RELEASE);
        usb_wake(s->request ? s->dev : NULL);
}

static int ask_status(struct storage *s)
{
        struct usb_segment seg = {direct_pa(s->csw), sizeof(*s->csw)};

        return usb_submit(s->in, &s->csw_transfer, &seg, 1);
}

static uint64_t patience_ns(void)
{
        return usb_has_worker() ? REQUEST_NS : BOOT_REQUEST_NS;
}

/* Lock held, IDLE. What cannot be queued is found in trouble. */
static void begin(struct storage *s)
{
        const struct command *c = &s->command;
        struct usb_segment seg = {direct_pa(s->cbw), sizeof(*s->cbw)};
        int err;

        s->state = BUSY;
        s->trouble = NO_TROUBLE;
        s->own_done = 0;
        s->deadline_ns = time_mono_ns() + patience_ns();
        s->moved = 0;
        *s->cbw = (struct cbw){.signature = CBW_SIGNATURE,
                               .tag = ++s->tag,
                               .length = c->length,
                               .flags = c->in ? CBW_IN : 0,
                               .cdb_len = c->cdb_len};
        memcpy(s->cbw->cdb, c->cdb, sizeof(c->cdb));
        s->csw->signature = 0;
        err = usb_submit(s->out, &s->cbw_transfer, &seg, 1);
        if (!err)
                err = c->length ? usb_submit(c->in ? s->in : s->out, &s->data_transfer, c->seg, c->nsegs)
                                : ask_status(s);
        if (err)
                in_trouble(s, NO_ANSWER);
        watch_later(s);
}

static void transfer_command(struct storage *s, const struct block_request *r)
{
        struct command *c = &s->command;
        uint32_t unit = s->disk.logical_block / 512, n = r->nsectors / unit;
        uint64_t block = r->sector / unit;
        bool wide = block + n > 0xffffffffull || n > 0xffff;

        c->in = r->op == BLOCK_READ;
        c->length = r->nsectors * 512;
        c->nsegs = r->nsegs;
        for (uint32_t i = 0; i < r->nsegs; i++)
                c->seg[i] = (struct usb_segment){r->seg[i].pa, r->seg[i].len};
        c->cdb_len = wide ? 16 : 10;
        if (wide) {
                c->cdb[0] = c->in ? READ_16 : WRITE_16;
                put_be(c->cdb + 2, block, 8);
                put_be(c->cdb + 10, n, 4);
        } else {
                c->cdb[0] = c->in ? READ_10 : WRITE_10;
                put_be(c->cdb + 2, block, 4);
                put_be(c->cdb + 7, n, 2);
        }
}

static void unmap_command(struct storage *s, const struct block_request *r)
{
        struct command *c = &s->command;
        uint32_t unit = s->disk.logical_block / 512;

        memset(s->unmap, 0, 24); /* SBC-3 5.28: a header and one descriptor */
        put_be(s->unmap, 22, 2);
        put_be(s->unmap + 2, 16, 2);
        put_be(s->unmap + 8, r->sector / unit, 8);
        put_be(s->unmap + 16, r->nsectors / unit, 4);
        c->in = false;
        c->length = 24;
        c->nsegs = 1;
        c->seg[0] = (struct usb_segment){direct_pa(s->unmap), 24};
        c->cdb_len = 10;
        c->cdb[0] = UNMAP;
        put_be(c->cdb + 7, 24, 2);
}

/* Lock held. */
static void begin_next(struct storage *s)
{
        struct block_request *r;

        if (s->state != IDLE)
                return;
        r = list_pop(&s->waiting);
        if (!r)
                return;
        s->request = r;
        memset(s->command.cdb, 0, sizeof(s->command.cdb));
        switch (r->op) {
        case BLOCK_FLUSH:
                s->command.length = s->command.nsegs = 0;
                s->command.cdb_len = 10;
                s->command.cdb[0] = SYNCHRONIZE;
                break;
        case BLOCK_DISCARD:
                unmap_command(s, r);
                break;
        default:
                transfer_command(s, r);
        }
        begin(s);
}

static void cbw_done(struct usb_transfer *t)
{
        struct storage *s = t->arg;
        uint64_t flags = spin_lock(&s->lock);

        if (t->status)
                in_trouble(s, NO_ANSWER); /* a CBW that stalls asks for a reset, too (BOT 6.6.1) */
        spin_unlock(&s->lock, flags);
}

static void data_done(struct usb_transfer *t)
{
        struct storage *s = t->arg;
        uint64_t flags = spin_lock(&s->lock);

        if (t->status == -EPIPE)
                in_trouble(s, s->command.in ? STALLED_IN : STALLED_OUT);
        else if (t->status)
                in_trouble(s, NO_ANSWER);
        else if (s->state == BUSY)
                s->moved = t->actual;
        if (s->state == BUSY && ask_status(s))
                in_trouble(s, NO_ANSWER);
        spin_unlock(&s->lock, flags);
}

/* What a status says: NO_TROUBLE, CHECK, or that it is none. */
static enum trouble read_status(const struct storage *s, const struct usb_transfer *t)
{
        struct csw csw = *s->csw;

        if (t->status == -EPIPE)
                return STALLED_IN;
        if (t->status)
                return NO_ANSWER;
        if (t->actual != sizeof(csw) || csw.signature != CSW_SIGNATURE || csw.tag != s->tag || csw.status > CSW_FAILED)
                return BAD_STATUS;
        if (csw.status == CSW_FAILED)
                return CHECK;
        /* All that was asked for, or the request has not been done. */
        return s->request && (csw.residue || s->moved != s->command.length) ? BAD_STATUS : NO_TROUBLE;
}

static void csw_done(struct usb_transfer *t)
{
        struct storage *s = t->arg;
        struct block_request *r = NULL;
        uint64_t flags;
        enum trouble trouble;

        usb_forget(s->out, &s->cbw_transfer);
        flags = spin_lock(&s->lock);
        if (s->state == BUSY) {
                trouble = read_status(s, t);
                if (trouble != NO_TROUBLE) {
                        in_trouble(s, trouble);
                } else {
                        r = s->request;
                        s->request = NULL;
                        s->state = r ? IDLE : TROUBLE; /* the thread of control keeps it */
                        if (!r)
                                __atomic_store_n(&s->own_done, 1, __ATOMIC_RELEASE);
                        else
                                s->tries = 0;
                        begin_next(s);
                }
        }
        spin_unlock(&s->lock, flags);
        if (r)
                r->done(r, 0);
        else
                usb_wake(NULL);
}

/* ---- mending, in the thread of control; the state is TROUBLE and stays so ---- */

/* BOT 5.3.4. */
static int reset(struct storage *s)
{
        int err = usb_request(s->dev, USB_TYPE_CLASS | USB_TO_INTERFACE, REQUEST_RESET, 0, s->dev->interface.number,
                              NULL, 0);

        if (err >= 0)
                err = usb_restart(s->in, true);
        if (err >= 0)
                err = usb_restart(s->out, true);
        return MIN(err, 0);
}

static void own_csw_done(struct usb_transfer *t)
{
        struct storage *s = t->arg;

        __atomic_store_n(&s->own_done, 1, __ATOMIC_RELEASE);
        usb_wake(NULL);
}

/* The status after data that stalled; it may stall once itself (BOT 6.7.2, figure 2). */
static enum trouble status_by_hand(struct storage *s)
{
        struct usb_segment seg = {direct_pa(s->csw), sizeof(*s->csw)};
        enum trouble trouble = NO_ANSWER;

        for (unsigned turn = 0; turn < 2; turn++) {
                struct usb_transfer *t = &s->csw_transfer;

                s->own_done = 0;
                t->done = own_csw_done;
                if (usb_submit(s->in, t, &seg, 1))
                        break;
                if (!usb_wait(s->dev, &s->own_done, STATUS_NS))
                        break;
                trouble = read_status(s, t);
                if (trouble != STALLED_IN || usb_restart(s->in, true))
                        break;
        }
        s->csw_transfer.done = csw_done;
        return trouble == STALLED_IN ? NO_ANSWER : trouble;
}

/* Nothing is in flight any more. NO_TROUBLE: done after all; CHECK: there is sense data; else not done. *err: it is over. */
static enum trouble mend(struct storage *s, int *err)
{
        enum trouble trouble = s->trouble;

        *err = 0;
        if (trouble == STALLED_IN || trouble == STALLED_OUT) {
                *err = usb_restart(trouble == STALLED_IN ? s->in : s->out, true);
                if (!*err)
                        trouble = status_by_hand(s);
        }
        if (*err || (trouble != NO_TROUBLE && trouble != CHECK))
                *err = reset(s);
        usb_forget(s->out, &s->cbw_transfer);
        return trouble;
}

static void set_state(struct storage *s, enum state state)
{
        uint64_t flags = spin_lock(&s->lock);

        if (s->state != DEAD)
                s->state = state;
        spin_unlock(&s->lock, flags);
}

/*
 * A command of our own, s->command; nothing else is in flight. 0; CHECK as 1: refused, ask for the sense data; -EIO; -ENODEV:
 * the device is beyond mending. The data are in s->buf.
 */
static int run(struct storage *s)
{
        enum trouble trouble;
        uint64_t flags;
        int err;

        s->request = NULL;
        flags = spin_lock(&s->lock);
        if (s->state == DEAD) {
                spin_unlock(&s->lock, flags);
                return -ENODEV;
        }
        s->state = IDLE;
        begin(s);
        spin_unlock(&s->lock, flags);
        if (!usb_wait(s->dev, &s->own_done, patience_ns())) {
                flags = spin_lock(&s->lock);
                in_trouble(s, NO_ANSWER);
                spin_unlock(&s->lock, flags);
        }
        if (s->trouble == NO_TROUBLE)
                return 0;
        trouble = mend(s, &err);
        if (err)
                return -ENODEV;
        return trouble == NO_TROUBLE ? 0 : trouble == CHECK ? 1 : -EIO;
}

static int run_cdb(struct storage *s, const uint8_t *cdb, uint8_t cdb_len, uint32_t bytes)
{
        struct command *c = &s->command;

        memset(c->cdb, 0, sizeof(c->cdb));
        memcpy(c->cdb, cdb, cdb_len);
        c->cdb_len = cdb_len;
        c->in = true;
        c->length = bytes;
        c->nsegs = bytes ? 1 : 0;
        c->seg[0] = (struct usb_segment){direct_pa(s->buf), bytes};
        memset(s->buf, 0, 512);
        return run(s);
}

/* SPC-4 4.5.3: fixed format. *key, *asc 0 when there is none. */
static int sense(struct storage *s, unsigned *key, unsigned *asc)
{
        const uint8_t cdb[6] = {REQUEST_SENSE, 0, 0, 0, 18};
        int err = run_cdb(s, cdb, sizeof(cdb), 18);

        *key = *asc = 0;
        if (!err && (s->buf[0] & 0x7e) == 0x70) {
                *key = s->buf[2] & 15;
                *asc = s->buf[12];
        }
        return err == -ENODEV ? err : 0;
}

/* ---- requests that went wrong ---- */

static void fail_all(struct storage *s)
{
        struct request_list failed = {0};
        struct block_request *r;
        uint64_t flags = spin_lock(&s->lock);

        s->state = DEAD;
        if (s->request)
                list_push(&failed, s->request);
        s->request = NULL;
        while ((r = list_pop(&s->waiting)))
                list_push(&failed, r);
        spin_unlock(&s->lock, flags);
        list_finish(&failed, -EIO);
}

static void complain(struct storage *s, const struct block_request *r, unsigned key, unsigned asc)
{
        static const char *const what[] = {"read", "write", "flush", "discard"};

        if (s->complaints++ < COMPLAINTS_MAX)
                klog(LOG_ERR, "%s: %s of %u sectors at %lu failed, sense %#x, %#x", s->disk.name, what[r->op],
                     r->nsectors, r->sector, key, asc);
}

/* The request ends, or begins again; the next goes on. */
static void go_on(struct storage *s, struct block_request *r, bool again, int status)
{
        uint64_t flags = spin_lock(&s->lock);

        s->request = NULL;
        if (s->state != DEAD)
                s->state = IDLE;
        if (again) {
                list_push_front(&s->waiting, r);
                r = NULL;
        } else {
                s->tries = 0;
        }
        begin_next(s);
        spin_unlock(&s->lock, flags);
        if (r)
                r->done(r, status);
}

static void work(struct usb_device *d)
{
        struct storage *s = d->driver_data;
        struct block_request *r = s->request;
        unsigned key = 0, asc = 0;
        enum trouble trouble;
        bool again;
        int err;

        if (s->state != TROUBLE || !r)
                return;
        trouble = mend(s, &err);
        if (!err && trouble == CHECK) {
                err = sense(s, &key, &asc);
                s->request = r;
        }
        if (!err && (asc == ASC_NO_MEDIUM || asc == ASC_OTHER_MEDIUM))
                err = -ENOMEDIUM;
        if (err) {
                s->request = r; /* nothing moves its data any more after the device is let go of */
                klog(LOG_ERR, "%s: %s", s->disk.name,
                     err == -ENOMEDIUM ? "its medium was taken out" : "it cannot be made to answer any more");
                usb_give_up(d);
                return;
        }
        again = trouble != NO_TROUBLE && (trouble != CHECK || key == KEY_UNIT_ATTENTION) && s->tries++ < RETRIES;
        if (trouble != NO_TROUBLE && !again)
                complain(s, r, key, asc);
        go_on(s, r, again, trouble == NO_TROUBLE ? 0 : -EIO);
}

/* True: something is in flight. */
static bool check_deadline(struct storage *s)
{
        uint64_t flags = spin_lock(&s->lock);
        bool any = s->state == BUSY || s->state == TROUBLE;

        if (s->state == BUSY && s->request && time_mono_ns() > s->deadline_ns)
                in_trouble(s, NO_ANSWER);
        spin_unlock(&s->lock, flags);
        return any;
}

static void watch(struct vtimer *t)
{
        struct storage *s = container_of(t, struct storage, watch);

        __atomic_store_n(&s->watching, 0, __ATOMIC_RELEASE);
        if (check_deadline(s))
                watch_later(s);
}

static int storage_submit(struct block_device *d, struct block_request *r)
{
        struct storage *s = d->driver;
        uint64_t flags = spin_lock(&s->lock);

        if (s->state == DEAD) {
                spin_unlock(&s->lock, flags);
                return -EIO;
        }
        list_push(&s->waiting, r);
        begin_next(s);
        spin_unlock(&s->lock, flags);
        return 0;
}

static void storage_poll(struct block_device *d)
{
        struct storage *s = d->driver;

        if (s->state == DEAD)
                return;
        usb_poll(s->dev);
        if (++s->polls % POLLS_PER_WATCH == 0)
                check_deadline(s); /* there may be no interrupts, and so no timers */
        if (s->state == TROUBLE && klog_panicking())
                fail_all(s); /* nobody mends it any more */
        else if (!usb_has_worker())
                usb_work();
}

static const struct block_ops storage_ops = {.submit = storage_submit, .poll = storage_poll};

/* ---- a new one ---- */

static bool match(const struct usb_interface *i)
{
        bool in = false, out = false;

        for (unsigned k = 0; k < i->nendpoints; k++) {
                if (i->endpoint[k].kind != USB_BULK)
                        continue;
                in |= i->endpoint[k].address & USB_IN;
                out |= !(i->endpoint[k].address & USB_IN);
        }
        return i->class == USB_CLASS_STORAGE && i->subclass == SUBCLASS_SCSI && i->protocol == PROTOCOL_BULK && in &&
               out;
}

static void copy_text(char *to, size_t size, const uint8_t *from, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len && n + 1 < size && from[i]; i++)
                if (n || from[i] != ' ')
                        to[n++] = from[i] > ' ' && from[i] < 0x7f ? (char)from[i] : ' ';
        while (n && to[n - 1] == ' ')
                n--;
        to[n] = 0;
}

/* 0; -ENOMEDIUM; or it does not become ready. */
static int wait_ready(struct storage *s)
{
        static const uint8_t cdb[6] = {TEST_READY};
        uint64_t end = time_mono_ns() + READY_NS;
        unsigned key, asc, times = 0;

        for (;;) {
                int err = run_cdb(s, cdb, sizeof(cdb), 0);

                if (err != 1)
                        return err;
                err = sense(s, &key, &asc);
                if (err)
                        return err;
                if (asc == ASC_NO_MEDIUM)
                        return -ENOMEDIUM;
                if (time_mono_ns() > end || ++times > READY_TIMES)
                        return -EIO;
                if (key != KEY_UNIT_ATTENTION)
                        worker_pause(READY_STEP_NS);
        }
}

static int read_capacity(struct storage *s, uint64_t *nblocks, uint32_t *size, bool *provisioned)
{
        const uint8_t short_cdb[10] = {READ_CAPACITY_10};
        const uint8_t long_cdb[16] = {SERVICE_IN_16, SERVICE_CAPACITY_16, [13] = 32};
        int err = run_cdb(s, short_cdb, sizeof(short_cdb), 8);

        if (err)
                return err == 1 ? -EIO : err;
        *nblocks = get_be(s->buf, 4) + 1;
        *size = (uint32_t)get_be(s->buf + 4, 4);
        err = run_cdb(s, long_cdb, sizeof(long_cdb), 32); /* of old sticks refused */
        if (err == -ENODEV || (err && *nblocks > 0xffffffff))
                return err == 1 ? -EIO : err;
        if (!err && get_be(s->buf + 8, 4) == *size && get_be(s->buf, 8) + 1 >= *nblocks) {
                *nblocks = get_be(s->buf, 8) + 1;
                s->disk.physical_block = MIN(*size << (s->buf[13] & 15), 1u << 20);
                *provisioned = s->buf[14] & 0x80;
        }
        if (*size != 512 && *size != 1024 && *size != 2048 && *size != 4096)
                return -EOPNOTSUPP;
        return *nblocks == 0 || *nblocks > ~0ull / *size ? -EIO : 0;
}

/* Write protection and the write cache (SPC-4 6.11, SBC-3 6.5.5). */
static int read_modes(struct storage *s)
{
        const uint8_t all[6] = {MODE_SENSE_6, 0, MODE_ALL, 0, 192}, cache[6] = {MODE_SENSE_6, 0, MODE_CACHING, 0, 64};
        const uint8_t sync[10] = {SYNCHRONIZE};
        int err = run_cdb(s, all, sizeof(all), 192);
        const uint8_t *page;

        if (err == -ENODEV)
                return err;
        s->disk.read_only = !err && (s->buf[2] & MODE_PROTECTED);
        err = run_cdb(s, cache, sizeof(cache), 64);
        if (err == -ENODEV)
                return err;
        page = s->buf + 4 + MIN(s->buf[3], 8u);
        if (!err && (page[0] & 0x3f) == MODE_CACHING && page[1] >= 10) {
                s->disk.has_flush = page[2] & 4;
                return 0;
        }
        err = run_cdb(s, sync, sizeof(sync), 0); /* one that knows the command may need it */
        s->disk.has_flush = err == 0;
        return err == -ENODEV ? err : 0;
}

/* SBC-3 6.6.4 and 6.6.6: only of those that say they have it; others are known to be upset by the question. */
static int read_unmap(struct storage *s)
{
        const uint8_t what[6] = {INQUIRY, 1, PAGE_PROVISIONING, 0, 64}, limits[6] = {INQUIRY, 1, PAGE_LIMITS, 0, 64};
        uint32_t unit = s->disk.logical_block / 512, most, grain;
        int err = run_cdb(s, what, sizeof(what), 64);

        if (err || s->buf[1] != PAGE_PROVISIONING || !(s->buf[5] & 0x80))
                return err == -ENODEV ? err : 0;
        err = run_cdb(s, limits, sizeof(limits), 64);
        if (err || s->buf[1] != PAGE_LIMITS)
                return err == -ENODEV ? err : 0;
        most = (uint32_t)get_be(s->buf + 20, 4);
        grain = (uint32_t)get_be(s->buf + 28, 4);
        if (!most || !get_be(s->buf + 24, 4))
                return 0;
        s->disk.has_discard = !s->disk.read_only;
        s->disk.max_discard_sectors = MIN(most, DISCARD_MAX / unit) * unit;
        s->disk.discard_align = MAX(MIN(grain, 1u << 20), 1u) * unit;
        return 0;
}

static int read_disk(struct storage *s)
{
        const uint8_t inquiry[6] = {INQUIRY, 0, 0, 0, 36};
        struct block_device *d = &s->disk;
        bool provisioned = false;
        char vendor[16], product[24];
        uint64_t nblocks;
        int err = run_cdb(s, inquiry, sizeof(inquiry), 36);

        if (err)
                return err == 1 ? -EIO : err;
        if (s->buf[0] & 0x1f)
                return -EOPNOTSUPP; /* no disk */
        copy_text(vendor, sizeof(vendor), s->buf + 8, 8);
        copy_text(product, sizeof(product), s->buf + 16, 16);
        fmt_append(d->model, sizeof(d->model), 0, "%s%s%s", vendor, vendor[0] ? " " : "", product);
        str_copy(d->serial, s->dev->serial, sizeof(d->serial));
        err = wait_ready(s);
        if (!err)
                err = read_capacity(s, &nblocks, &d->logical_block, &provisioned);
        if (!err)
                err = read_modes(s);
        if (!err && provisioned)
                err = read_unmap(s);
        if (err)
                return err == 1 ? -EIO : err;
        d->nsectors = nblocks * (d->logical_block / 512);
        d->max_segs = BLOCK_SEGS_MAX;
        d->max_seg_bytes = s->dev->speed >= USB_SUPER ? SEG_MAX : SEG_MAX_SLOW;
        d->ops = &storage_ops;
        d->driver = s;
        return 0;
}

static int prepare(struct storage *s, struct usb_device *d)
{
        paddr_t pa = frame_alloc();

        if (!pa)
                return -ENOMEM;
        s->page = memset(direct(pa), 0, PAGE_SIZE);
        s->cbw = (struct cbw *)s->page;
        s->csw = (struct csw *)(s->page + 64);
        s->unmap = s->page + 128;
        s->buf = s->page + 1024;
        s->cbw_transfer = (struct usb_transfer){.done = cbw_done, .arg = s, .quiet = true};
        s->data_transfer = (struct usb_transfer){.done = data_done, .arg = s};
        s->csw_transfer = (struct usb_transfer){.done = csw_done, .arg = s};
        s->watch.fn = watch;
        s->dev = d;
        s->vendor = d->vendor;
        s->product = d->product;
        s->state = TROUBLE; /* the thread of control's */
        for (unsigned i = 0; i < d->interface.nendpoints; i++) {
                if (d->interface.endpoint[i].kind != USB_BULK)
                        continue;
                if (d->interface.endpoint[i].address & USB_IN)
                        s->in = d->endpoint[i];
                else
                        s->out = d->endpoint[i];
        }
        return 0;
}

static void scanned(struct block_rescan *r, int status)
{
        struct storage *s = container_of(r, struct storage, rescan);

        (void)status;
        __atomic_store_n(&s->scanning, false, __ATOMIC_RELEASE);
        block_changed();
}

/* At boot the partitions of all disks are read later. */
static void scan(struct storage *s)
{
        if (!usb_has_worker() || __atomic_exchange_n(&s->scanning, true, __ATOMIC_ACQ_REL))
                return;
        s->rescan = (struct block_rescan){.disk = &s->disk, .done = scanned};
        if (block_rescan(&s->rescan))
                scanned(&s->rescan, -ENOMEM);
}

static bool is_back(const struct storage *old, const struct storage *s)
{
        return old->disk.gone && !old->disk.claimed && !old->scanning && old->vendor == s->vendor &&
               old->product == s->product && old->disk.nsectors == s->disk.nsectors &&
               old->disk.logical_block == s->disk.logical_block && old->disk.read_only == s->disk.read_only &&
               strcmp(old->disk.serial, s->disk.serial) == 0 && old->disk.serial[0];
}

/* The disk that was taken out goes on in its place: its device is known by its address. */
static struct storage *bring_back(struct storage *old, struct storage *s)
{
        uint64_t flags = spin_lock(&old->lock);

        old->dev = s->dev;
        old->in = s->in;
        old->out = s->out;
        old->page = s->page;
        old->cbw = s->cbw;
        old->csw = s->csw;
        old->unmap = s->unmap;
        old->buf = s->buf;
        old->tag = s->tag;
        old->disk.max_seg_bytes = s->disk.max_seg_bytes;
        old->complaints = 0;
        old->state = IDLE;
        spin_unlock(&old->lock, flags);
        vtimer_cancel(&s->watch);
        kfree(s);
        __atomic_store_n(&old->disk.gone, false, __ATOMIC_RELEASE);
        return old;
}

static int show(struct storage *s)
{
        struct block_device *d = &s->disk;

        if (ndisks == DISKS_MAX)
                return -ENOSPC;
        block_name_sd(d);
        if (block_register(d))
                return -ENOSPC;
        disks[ndisks++] = s;
        return 0;
}

static int attach(struct usb_device *d)
{
        struct storage *s = kzalloc(sizeof(*s)), *old = NULL;
        int err = s ? prepare(s, d) : -ENOMEM;

        if (!err)
                err = read_disk(s);
        for (unsigned i = 0; !err && i < ndisks && !old; i++)
                if (is_back(disks[i], s))
                        old = disks[i];
        if (!err && old)
                s = bring_back(old, s);
        else if (!err)
                err = show(s);
        if (err) {
                usb_stop(d); /* the page may still be written to until then */
                if (s) {
                        s->state = DEAD;
                        vtimer_cancel(&s->watch);
                        if (s->page)
                                frame_free(direct_pa(s->page));
                }
                kfree(s);
                return err;
        }
        d->driver_data = s;
        klog(LOG_INFO, "%s: %s on %s, %lu MiB%s%s%s%s%s", s->disk.name, s->disk.model, d->name, s->disk.nsectors >> 11,
             s->disk.has_flush ? ", flush" : "", s->disk.has_discard ? ", discard" : "",
             s->disk.read_only ? ", read-only" : "", s->disk.serial[0] ? ", serial " : "", s->disk.serial);
        set_state(s, IDLE);
        scan(s);
        return 0;
}

static void detach(struct usb_device *d)
{
        struct storage *s = d->driver_data;

        block_gone(&s->disk);
        klog(LOG_ERR, "%s: it was taken out: all requests fail from now on", s->disk.name);
        fail_all(s);
        frame_free(direct_pa(s->page));
        s->page = NULL;
        block_changed();
}

const struct usb_driver usb_storage_driver = {"disk", match, attach, detach, work};
