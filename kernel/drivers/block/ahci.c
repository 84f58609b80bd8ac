/*
 * ahci.c - SATA disks and CD drives (Serial ATA AHCI 1.3.1; ATA8-ACS, SATA 3.x for queued commands; MMC for CD drives).
 *
 * A port has one device (port multipliers are left alone). A request takes one of the port's 32 slots, each with a
 * command table set aside at probing. Reads and writes are queued commands (NCQ) where device and controller have them;
 * all else - flush, TRIM, packets, retries - is done alone: it waits until nothing is in flight, and nothing is started
 * beside it. Requests that cannot start yet wait, in order.
 *
 * States of a port, edges in port_step():
 *
 *   RUNNING -> RESET      error with queued commands in flight, timeout, device stuck: commands stop, the link is reset
 *   RESET -> LINK         RESET_NS later
 *   LINK -> RUNNING       device there and ready: what was in flight begins again, each command alone, once
 *   LINK, RUNNING -> DEAD no device for GONE_NS, not ready for READY_NS, or DEATHS resets without an answer between
 *
 * After an error with queued commands the device does not say in one way which of them failed; done again alone, each
 * has its own answer (`alone` counts them). A command alone that fails has failed: the queue is started anew (RUNNING
 * stays), and a packet command is repeated when the sense key says that only the state of the unit has changed.
 * DEAD is for ever; when all ports are dead the controller may touch memory no more.
 *
 * Lock: port.lock for all of the port; interrupts are off while it is held, and done() is called without it.
 * Trust: what the device gives are bits of slots (masked with those in flight), a status, and Identify (bounded).
 */
#include "kernel/drivers/block/ahci.h"
#include "kernel/drivers/block/list.h"
#include "kernel/drivers/bus/pci.h"
#include "kernel/include/arch/io.h"
#include "kernel/include/block.h"
#include "kernel/include/cpu.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define CLASS_AHCI      0x010601
#define PORTS           32u
#define SLOTS           32u
#define TABLE_BYTES     512u
#define ATA_SEG_MAX     (1u << 20) /* a table entry could have 4 MiB */
#define CD_SEG_MAX      (1u << 16)
#define MAJOR_SR        11
#define REQUEST_NS      (30 * NSEC_PER_SEC)
#define RESET_NS        (NSEC_PER_SEC / 500)
#define GONE_NS         (2 * NSEC_PER_SEC)
#define READY_NS        (15 * NSEC_PER_SEC)
#define WATCH_NS        (5 * NSEC_PER_SEC)
#define STEP_NS         (NSEC_PER_SEC / 100)
#define PROBE_NS        (10 * NSEC_PER_SEC)
#define STOP_SPINS      100000u
#define POLLS_PER_WATCH 4096u
#define DEATHS          5u
#define COMPLAINTS_MAX  16u
#define UNIT_RETRIES    3u

/* Registers of the controller (3.1) and of a port (3.3). */
#define HBA_CAP      0x00
#define CAP_SLOTS(c) (((c) >> 8 & 0x1f) + 1)
#define CAP_SSS      (1u << 27) /* staggered spin-up */
#define CAP_SNCQ     (1u << 30)
#define CAP_S64A     (1u << 31)
#define HBA_GHC      0x04
#define GHC_IE       (1u << 1)
#define GHC_AE       (1u << 31)
#define HBA_IS       0x08
#define HBA_PI       0x0c
#define HBA_CAP2     0x24
#define CAP2_BOH     1u
#define HBA_BOHC     0x28
#define BOHC_BOS     1u
#define BOHC_OOS     2u
#define HBA_PORTS    0x100
#define PORT_BYTES   0x80
#define PX_CLB       0x00
#define PX_FB        0x08
#define PX_IS        0x10
#define PX_IE        0x14
#define PX_CMD       0x18
#define PX_TFD       0x20
#define PX_SIG       0x24
#define PX_SSTS      0x28
#define PX_SCTL      0x2c
#define PX_SERR      0x30
#define PX_SACT      0x34
#define PX_CI        0x38
#define CMD_ST       (1u << 0)
#define CMD_SUD      (1u << 1)
#define CMD_POD      (1u << 2)
#define CMD_FRE      (1u << 4)
#define CMD_FR       (1u << 14)
#define CMD_CR       (1u << 15)
#define CMD_ICC      (0xfu << 28)
#define CMD_ACTIVE   (1u << 28)
#define TFD_ERR      (1u << 0)
#define TFD_DRQ      (1u << 3)
#define TFD_BSY      (1u << 7)
#define TFD_SENSE(t) ((t) >> 12 & 0xf)
#define SSTS_DET     0xfu
#define DET_PRESENT  3u
#define SCTL_QUIET   0x300u /* no power states */
#define SCTL_RESET   0x301u
#define SIG_ATA      0x00000101u
#define SIG_ATAPI    0xeb140101u
#define IS_DHRS      (1u << 0)
#define IS_PSS       (1u << 1)
#define IS_SDBS      (1u << 3)
#define IS_PCS       (1u << 6)
#define IS_PRCS      (1u << 22)
#define IS_IFS       (1u << 27)
#define IS_HBDS      (1u << 28)
#define IS_HBFS      (1u << 29)
#define IS_TFES      (1u << 30)
#define IS_ERRORS    (IS_IFS | IS_HBDS | IS_HBFS | IS_TFES)
#define IS_WANTED    (IS_DHRS | IS_PSS | IS_SDBS | IS_PCS | IS_PRCS | IS_ERRORS)
#define GONE         ~0u /* all registers of a controller that was taken out */

enum ata_command {
        ATA_READ = 0x25,
        ATA_WRITE = 0x35,
        ATA_READ_QUEUED = 0x60,
        ATA_WRITE_QUEUED = 0x61,
        ATA_FLUSH = 0xea,
        ATA_DATASET = 0x06,
        ATA_PACKET = 0xa0,
        ATA_IDENTIFY = 0xec,
        ATA_IDENTIFY_PACKET = 0xa1,
};
enum packet { PACKET_READY = 0x00, PACKET_SENSE = 0x03, PACKET_CAPACITY = 0x25, PACKET_READ = 0xa8 };
#define SENSE_UNIT_ATTENTION 6u

#define HEADER_FIS_DWORDS  5u
#define HEADER_PACKET      (1u << 5)
#define HEADER_WRITE       (1u << 6)
#define HEADER_PREFETCH    (1u << 7)
#define HEADER_ENTRIES(n)  ((uint32_t)(n) << 16)
#define FIS_H2D            0x27
#define FIS_COMMAND        0x80
#define DEVICE_LBA         0x40
#define FEATURE_TRIM       1u
#define FEATURE_PACKET_DMA 1u
#define TRIM_ENTRY_MAX     65535u
#define TRIM_ENTRIES       64u /* of one block of 512 bytes */

struct header {
        uint32_t flags, done_bytes;
        uint64_t table;
        uint32_t reserved[4];
};
_Static_assert(sizeof(struct header) == 32, "4.2.2");

struct table {
        uint8_t fis[64], packet[16], reserved[48];
        struct {
                uint64_t pa;
                uint32_t reserved, last; /* bytes - 1 */
        } entry[BLOCK_SEGS_MAX];
};
_Static_assert(sizeof(struct table) == 128 + 16 * BLOCK_SEGS_MAX && sizeof(struct table) <= TABLE_BYTES, "4.2.3");

enum port_state { PORT_RUNNING, PORT_RESET, PORT_LINK, PORT_DEAD };

struct port {
        struct block_device disk;
        struct hba *hba;
        unsigned index;
        volatile uint8_t *regs;
        struct spinlock lock;
        enum port_state state; /* l */
        uint64_t until_ns, begun_ns;
        unsigned deaths; /* resets since the last answer to a command */
        bool packet, queued, packet_dmadir;
        struct header *headers;
        uint8_t *tables;
        uint64_t *trim; /* TRIM's ranges: one such command at a time */
        uint32_t nslots;
        uint32_t busy;   /* slots in flight */
        bool busy_alone; /* the one in flight is no queued command */
        unsigned alone;  /* so many of the waiting are to be done alone */
        unsigned unit_retries;
        uint32_t complaints;
        uint32_t polls;
        struct block_request *request[SLOTS];
        uint64_t deadline_ns[SLOTS];
        struct request_list waiting;
        struct vtimer timer;
        uint32_t timing; /* atomic: the timer is armed */
};

struct hba {
        struct pci_device *pci;
        volatile uint8_t *regs;
        uint32_t cap, implemented;
        uint32_t alive; /* atomic: ports that are not dead */
        struct port *port[PORTS];
};

static uint32_t px(const struct port *p, unsigned reg)
{
        return mmio_read32(p->regs + reg);
}

static void px_set(const struct port *p, unsigned reg, uint32_t v)
{
        mmio_write32(p->regs + reg, v);
}

static bool px_becomes(const struct port *p, unsigned reg, uint32_t mask, uint32_t value, uint64_t ns)
{
        uint64_t end = time_mono_ns() + ns;

        while ((px(p, reg) & mask) != value) {
                if (time_mono_ns() > end)
                        return false;
                cpu_relax();
        }
        return true;
}

/* ---- commands ---- */

static struct table *table_of(const struct port *p, unsigned slot)
{
        return (struct table *)(p->tables + (size_t)slot * TABLE_BYTES);
}

static void fill_fis(struct table *t, uint8_t command, uint64_t lba, uint32_t count, uint32_t features, uint8_t device)
{
        memset(t->fis, 0, 20);
        t->fis[0] = FIS_H2D;
        t->fis[1] = FIS_COMMAND;
        t->fis[2] = command;
        t->fis[3] = (uint8_t)features;
        for (unsigned i = 0; i < 3; i++) {
                t->fis[4 + i] = (uint8_t)(lba >> 8 * i);
                t->fis[8 + i] = (uint8_t)(lba >> (24 + 8 * i));
        }
        t->fis[7] = device;
        t->fis[11] = (uint8_t)(features >> 8);
        t->fis[12] = (uint8_t)count;
        t->fis[13] = (uint8_t)(count >> 8);
}

static void put_be32(uint8_t *p, uint32_t v)
{
        for (unsigned i = 0; i < 4; i++)
                p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_be32(const uint8_t *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t fill_packet(struct port *p, struct table *t, enum packet op, uint32_t lba, uint32_t count)
{
        fill_fis(t, ATA_PACKET, 0, 0, FEATURE_PACKET_DMA | (p->packet_dmadir ? 4 : 0), 0);
        memset(t->packet, 0, sizeof(t->packet));
        t->packet[0] = (uint8_t)op;
        if (op == PACKET_READ) {
                put_be32(t->packet + 2, lba);
                put_be32(t->packet + 6, count);
        } else if (op == PACKET_SENSE) {
                t->packet[4] = (uint8_t)count;
        }
        return HEADER_PACKET;
}

static uint32_t fill_trim(struct port *p, struct table *t, uint64_t block, uint32_t nblocks)
{
        unsigned n = 0;

        memset(p->trim, 0, 512);
        for (uint32_t some; nblocks && n < TRIM_ENTRIES; nblocks -= some, block += some) {
                some = MIN(nblocks, TRIM_ENTRY_MAX);
                p->trim[n++] = block | (uint64_t)some << 48;
        }
        fill_fis(t, ATA_DATASET, 0, 1, FEATURE_TRIM, DEVICE_LBA);
        t->entry[0].pa = direct_pa(p->trim);
        t->entry[0].last = 511;
        return HEADER_WRITE | HEADER_ENTRIES(1);
}

static uint32_t fill_transfer(struct port *p, struct table *t, unsigned slot, const struct block_request *r,
                              bool queued)
{
        uint32_t per_block = p->disk.logical_block / 512, flags = HEADER_ENTRIES(r->nsegs);
        uint32_t nblocks = r->nsectors / per_block;
        uint64_t block = r->sector / per_block;
        bool write = r->op == BLOCK_WRITE;

        for (uint32_t i = 0; i < r->nsegs; i++) {
                t->entry[i].pa = r->seg[i].pa;
                t->entry[i].last = r->seg[i].len - 1;
        }
        if (p->packet)
                return flags | fill_packet(p, t, PACKET_READ, (uint32_t)block, nblocks);
        if (write)
                flags |= HEADER_WRITE;
        if (queued)
                fill_fis(t, write ? ATA_WRITE_QUEUED : ATA_READ_QUEUED, block, slot << 3, nblocks & 0xffff, DEVICE_LBA);
        else
                fill_fis(t, write ? ATA_WRITE : ATA_READ, block, nblocks & 0xffff, 0, DEVICE_LBA);
        return flags;
}

static void issue(struct port *p, unsigned slot, uint32_t flags, bool queued)
{
        p->headers[slot] = (struct header){.flags = flags | HEADER_FIS_DWORDS, .table = direct_pa(table_of(p, slot))};
        io_wmb();
        if (queued)
                px_set(p, PX_SACT, 1u << slot);
        px_set(p, PX_CI, 1u << slot);
}

/* Lock held, RUNNING. False: it has to wait. */
static bool start_request(struct port *p, struct block_request *r)
{
        uint32_t all = p->nslots == 32 ? ~0u : (1u << p->nslots) - 1, flags;
        bool queued = p->queued && !p->alone && (r->op == BLOCK_READ || r->op == BLOCK_WRITE);
        struct table *t;
        unsigned slot;

        if (p->busy && (p->busy_alone || !queued || (p->busy & all) == all))
                return false;
        slot = (unsigned)__builtin_ctz(~p->busy);
        t = table_of(p, slot);
        switch (r->op) {
        case BLOCK_FLUSH:
                fill_fis(t, ATA_FLUSH, 0, 0, 0, DEVICE_LBA);
                flags = 0;
                break;
        case BLOCK_DISCARD:
                flags = fill_trim(p, t, r->sector / (p->disk.logical_block / 512),
                                  r->nsectors / (p->disk.logical_block / 512));
                break;
        default:
                flags = fill_transfer(p, t, slot, r, queued);
        }
        p->busy |= 1u << slot;
        p->busy_alone = !queued;
        p->request[slot] = r;
        p->deadline_ns[slot] = time_mono_ns() + REQUEST_NS;
        issue(p, slot, flags, queued);
        return true;
}

static void start_waiting(struct port *p)
{
        while (p->state == PORT_RUNNING && p->waiting.first && start_request(p, p->waiting.first))
                list_pop(&p->waiting);
}

/* ---- finishing, errors, resets: all with the lock held; what is finished goes to the lists ---- */

struct finished {
        struct request_list ok, failed;
        bool died; /* the port */
};

static void finish_slot(struct port *p, unsigned slot, struct request_list *list)
{
        list_push(list, p->request[slot]);
        p->request[slot] = NULL;
        p->busy &= ~(1u << slot);
        if (p->alone && p->busy_alone)
                p->alone--;
}

static void complain(struct port *p, const struct block_request *r, uint32_t tfd)
{
        static const char *const what[] = {"read", "write", "flush", "discard"};

        if (p->complaints++ < COMPLAINTS_MAX)
                klog(LOG_ERR, "%s: %s of %u sectors at %lu failed, status %#x", p->disk.name, what[r->op], r->nsectors,
                     r->sector, tfd & 0xffff);
}

static void take_finished(struct port *p, struct finished *f)
{
        uint32_t done = p->busy & ~(px(p, PX_CI) | px(p, PX_SACT));
        unsigned slot;

        while (done) {
                slot = (unsigned)__builtin_ctz(done);
                done &= done - 1;
                /* A packet command says how much came. */
                if (p->packet && p->headers[slot].done_bytes != p->request[slot]->nsectors * 512) {
                        complain(p, p->request[slot], 0);
                        finish_slot(p, slot, &f->failed);
                        continue;
                }
                p->deaths = 0;
                p->unit_retries = 0;
                finish_slot(p, slot, &f->ok);
        }
}

static void timer_arm(struct port *p, uint64_t ns)
{
        if (!__atomic_exchange_n(&p->timing, 1, __ATOMIC_ACQ_REL))
                vtimer_arm(&p->timer, time_mono_ns() + ns);
}

/* What is in flight is done again, alone, before anything else. */
static void take_back(struct port *p)
{
        for (unsigned slot = SLOTS; slot-- > 0;) {
                if (!(p->busy & 1u << slot))
                        continue;
                if (!p->busy_alone || !p->alone)
                        p->alone++;
                list_push_front(&p->waiting, p->request[slot]);
                p->request[slot] = NULL;
        }
        p->busy = 0;
}

static void die(struct port *p, const char *why, struct finished *f)
{
        struct block_request *r;

        p->state = PORT_DEAD;
        f->died = true;
        block_gone(&p->disk);
        px_set(p, PX_IE, 0);
        px_set(p, PX_CMD, px(p, PX_CMD) & ~CMD_ST);
        klog(LOG_ERR, "%s: %s: all requests fail from now on", p->disk.name, why);
        take_back(p);
        while ((r = list_pop(&p->waiting)))
                list_push(&f->failed, r);
        p->alone = 0;
        if (!(__atomic_and_fetch(&p->hba->alive, ~(1u << p->index), __ATOMIC_ACQ_REL)))
                pci_quiet(p->hba->pci);
}

static void reset_begin(struct port *p, struct finished *f)
{
        take_back(p);
        if (++p->deaths > DEATHS) {
                die(p, "it does not recover from errors", f);
                return;
        }
        px_set(p, PX_IE, 0);
        px_set(p, PX_CMD, px(p, PX_CMD) & ~CMD_ST);
        px_set(p, PX_SCTL, SCTL_RESET);
        p->state = PORT_RESET;
        p->begun_ns = time_mono_ns();
        p->until_ns = p->begun_ns + RESET_NS;
        __atomic_store_n(&p->timing, 1, __ATOMIC_RELEASE);
        vtimer_arm(&p->timer, p->until_ns); /* sooner than the watch, if that is armed */
}

/* The list of commands starts anew (6.2.2.1): 0, or -EIO when the port is stuck and needs a reset. */
static int restart(struct port *p)
{
        px_set(p, PX_CMD, px(p, PX_CMD) & ~CMD_ST);
        for (unsigned spin = 0; px(p, PX_CMD) & CMD_CR; spin++)
                if (spin == STOP_SPINS)
                        return -EIO;
        px_set(p, PX_SERR, ~0u);
        px_set(p, PX_IS, ~0u);
        if (px(p, PX_TFD) & (TFD_BSY | TFD_DRQ))
                return -EIO;
        px_set(p, PX_CMD, px(p, PX_CMD) | CMD_ST);
        return 0;
}

static void recover(struct port *p, uint32_t status, struct finished *f)
{
        uint32_t tfd = px(p, PX_TFD);
        unsigned slot;

        take_finished(p, f);
        if (!p->busy || !p->busy_alone || !(status & IS_TFES)) {
                reset_begin(p, f);
                return;
        }
        slot = (unsigned)__builtin_ctz(p->busy);
        if (p->packet && TFD_SENSE(tfd) == SENSE_UNIT_ATTENTION && p->unit_retries++ < UNIT_RETRIES) {
                list_push_front(&p->waiting, p->request[slot]);
                p->request[slot] = NULL;
                p->busy = 0;
        } else {
                complain(p, p->request[slot], tfd);
                finish_slot(p, slot, &f->failed);
                p->deaths = 0; /* an answer, if not a good one */
        }
        if (restart(p))
                reset_begin(p, f);
}

static bool is_late(const struct port *p, uint64_t now)
{
        for (uint32_t left = p->busy; left; left &= left - 1)
                if (p->deadline_ns[__builtin_ctz(left)] < now)
                        return true;
        return false;
}

/* A command that was not answered has failed; those beside it are done again. */
static void fail_late(struct port *p, uint64_t now, struct finished *f)
{
        for (uint32_t left = p->busy; left; left &= left - 1) {
                unsigned slot = (unsigned)__builtin_ctz(left);

                if (p->deadline_ns[slot] < now) {
                        complain(p, p->request[slot], px(p, PX_TFD));
                        finish_slot(p, slot, &f->failed);
                }
        }
}

static void link_step(struct port *p, uint64_t now, struct finished *f)
{
        if ((px(p, PX_SSTS) & SSTS_DET) != DET_PRESENT) {
                if (now > p->begun_ns + GONE_NS)
                        die(p, "the device is gone", f);
                return;
        }
        px_set(p, PX_SERR, ~0u);
        if (px(p, PX_TFD) & (TFD_BSY | TFD_DRQ)) {
                if (now > p->begun_ns + READY_NS)
                        die(p, "the device does not get ready", f);
                return;
        }
        if (px(p, PX_SIG) != (p->packet ? SIG_ATAPI : SIG_ATA)) {
                die(p, "another device is in its place", f);
                return;
        }
        if (px(p, PX_CMD) & CMD_CR) {
                if (now > p->begun_ns + READY_NS)
                        die(p, "the port does not stop", f);
                return;
        }
        px_set(p, PX_IS, ~0u);
        px_set(p, PX_CMD, px(p, PX_CMD) | CMD_FRE | CMD_ST);
        px_set(p, PX_IE, IS_WANTED);
        p->state = PORT_RUNNING;
}

static void port_step(struct port *p, struct finished *f)
{
        uint64_t now = time_mono_ns();

        if (p->state == PORT_RUNNING) {
                if ((px(p, PX_SSTS) & SSTS_DET) != DET_PRESENT || px(p, PX_CMD) == GONE) {
                        reset_begin(p, f);
                } else if (is_late(p, now)) {
                        fail_late(p, now, f);
                        reset_begin(p, f);
                }
        } else if (p->state == PORT_RESET && now >= p->until_ns) {
                px_set(p, PX_SCTL, SCTL_QUIET);
                p->state = PORT_LINK;
        } else if (p->state == PORT_LINK) {
                link_step(p, now, f);
        }
}

/* ---- from outside ---- */

static void tell(struct finished *f)
{
        list_finish(&f->ok, 0);
        list_finish(&f->failed, -EIO);
        if (f->died)
                block_changed();
}

enum cause { FROM_INTERRUPT, FROM_TIMER, FROM_POLL };

static void handle(struct port *p, enum cause cause)
{
        struct finished f = {0};
        uint64_t flags = spin_lock(&p->lock);
        uint32_t status = p->state == PORT_RUNNING ? px(p, PX_IS) : 0;

        if (p->state == PORT_RUNNING) {
                px_set(p, PX_IS, status);
                if (status & (IS_PCS | IS_PRCS))
                        px_set(p, PX_SERR, ~0u);
                if (status & IS_ERRORS)
                        recover(p, status, &f);
                else
                        take_finished(p, &f);
        } else if (cause == FROM_INTERRUPT) {
                px_set(p, PX_IS, ~0u);
        }
        if (cause == FROM_TIMER || (status & (IS_PCS | IS_PRCS)) || p->state != PORT_RUNNING ||
            ++p->polls % POLLS_PER_WATCH == 0)
                port_step(p, &f);
        start_waiting(p);
        if (p->state == PORT_RESET || p->state == PORT_LINK)
                timer_arm(p, STEP_NS);
        else if (p->busy && cause == FROM_TIMER)
                timer_arm(p, WATCH_NS);
        spin_unlock(&p->lock, flags);
        tell(&f);
}

static bool may_go(void *arg)
{
        const struct hba *h = arg;

        for (unsigned i = 0; i < PORTS; i++)
                if (h->port[i] && h->port[i]->disk.claimed)
                        return false;
        return true;
}

static void gone(void *arg, const char *why)
{
        struct hba *h = arg;

        for (unsigned i = 0; i < PORTS; i++) {
                struct finished f = {0};
                struct port *p = h->port[i];
                uint64_t flags;

                if (!p)
                        continue;
                flags = spin_lock(&p->lock);
                if (p->state != PORT_DEAD)
                        die(p, why, &f);
                spin_unlock(&p->lock, flags);
                tell(&f);
        }
}

static const struct pci_user ahci_user = {.may_go = may_go, .gone = gone};

static void interrupt(void *arg)
{
        struct hba *h = arg;
        uint32_t status;

        for (unsigned turn = 0; turn < PORTS && (status = mmio_read32(h->regs + HBA_IS)); turn++) {
                for (uint32_t left = status; left; left &= left - 1) {
                        unsigned i = (unsigned)__builtin_ctz(left);

                        if (h->port[i])
                                handle(h->port[i], FROM_INTERRUPT);
                }
                mmio_write32(h->regs + HBA_IS, status);
        }
}

static void timer(struct vtimer *t)
{
        struct port *p = container_of(t, struct port, timer);

        __atomic_store_n(&p->timing, 0, __ATOMIC_RELEASE);
        handle(p, FROM_TIMER);
}

static void ahci_poll(struct block_device *d)
{
        handle(d->driver, FROM_POLL);
}

static int ahci_submit(struct block_device *d, struct block_request *r)
{
        struct port *p = d->driver;
        uint64_t flags = spin_lock(&p->lock);

        if (p->state == PORT_DEAD) {
                spin_unlock(&p->lock, flags);
                return -EIO;
        }
        if (p->state != PORT_RUNNING || p->waiting.first || !start_request(p, r))
                list_push(&p->waiting, r);
        if (!__atomic_load_n(&p->timing, __ATOMIC_RELAXED))
                timer_arm(p, WATCH_NS);
        spin_unlock(&p->lock, flags);
        return 0;
}

static const struct block_ops ahci_ops = {.submit = ahci_submit, .poll = ahci_poll};

/* ---- probing: one CPU, by polling ---- */

/* A command in slot 0 that reads `bytes` into the buffer: 0, -EIO (refused; *tfd), -ETIMEDOUT. */
static int command(struct port *p, uint32_t flags, void *buf, uint32_t bytes, uint32_t *tfd)
{
        struct table *t = table_of(p, 0);
        uint64_t end = time_mono_ns() + PROBE_NS;

        if (bytes) {
                t->entry[0].pa = direct_pa(buf);
                t->entry[0].last = bytes - 1;
                flags |= HEADER_ENTRIES(1);
                memset(buf, 0, bytes);
        }
        px_set(p, PX_IS, ~0u);
        issue(p, 0, flags, false);
        while (px(p, PX_CI) & 1) {
                if (px(p, PX_IS) & IS_ERRORS)
                        break;
                if (time_mono_ns() > end)
                        return -ETIMEDOUT;
                cpu_relax();
        }
        *tfd = px(p, PX_TFD);
        if (!(px(p, PX_IS) & IS_ERRORS) && !(*tfd & TFD_ERR))
                return 0;
        return restart(p) ? -ETIMEDOUT : -EIO;
}

/* Strings have their bytes in pairs, exchanged, and spaces at the end; they may hold anything. */
static void copy_text(char *to, size_t size, const uint16_t *words, unsigned nwords)
{
        size_t n = 0;

        for (unsigned i = 0; i < 2 * nwords && n + 1 < size; i++) {
                char c = (char)(words[i / 2] >> (i % 2 ? 0 : 8));

                if (n || c != ' ')
                        to[n++] = c >= ' ' && c < 0x7f ? c : ' ';
        }
        while (n && to[n - 1] == ' ')
                n--;
        to[n] = 0;
}

static void name_disk(struct block_device *d)
{
        static unsigned drives;

        if (!d->removable) {
                block_name_sd(d);
                return;
        }
        d->minor = drives++;
        d->major = MAJOR_SR;
        fmt_append(d->name, sizeof(d->name), 0, "sr%u", d->minor);
}

#define WORD_QUEUE_DEPTH    75
#define WORD_SATA           76
#define SATA_NCQ            (1u << 8)
#define WORD_SETS           83
#define SETS_LBA48          (1u << 10)
#define SETS_FLUSH          (1u << 13)
#define WORD_ENABLED        85
#define ENABLED_WRITE_CACHE (1u << 5)
#define WORD_SECTORS        100
#define WORD_SECTOR_SIZE    106
#define SECTOR_SIZE_VALID   0x4000u
#define SECTOR_SIZE_LONG    (1u << 12)
#define SECTOR_SIZE_MANY    (1u << 13)
#define WORD_SECTOR_WORDS   117
#define WORD_DATASET        169
#define WORD_ROTATION       217
#define ROTATION_NONE       1u

static int read_disk(struct port *p, const uint16_t *id)
{
        struct block_device *d = &p->disk;
        uint64_t nblocks = id[WORD_SECTORS] | (uint64_t)id[WORD_SECTORS + 1] << 16 |
                           (uint64_t)id[WORD_SECTORS + 2] << 32 | (uint64_t)id[WORD_SECTORS + 3] << 48;
        uint16_t sizes = id[WORD_SECTOR_SIZE];
        uint32_t size = 512;

        if (!(id[WORD_SETS] & SETS_LBA48) || !nblocks || nblocks >> 48)
                return -EOPNOTSUPP;
        if ((sizes & 0xc000) != SECTOR_SIZE_VALID)
                sizes = 0;
        if (sizes & SECTOR_SIZE_LONG)
                size = (id[WORD_SECTOR_WORDS] | (uint32_t)id[WORD_SECTOR_WORDS + 1] << 16) * 2;
        if (size != 512 && size != 1024 && size != 2048 && size != 4096)
                return -EOPNOTSUPP;
        copy_text(d->serial, sizeof(d->serial), id + 10, 10);
        copy_text(d->model, sizeof(d->model), id + 27, 20);
        d->logical_block = size;
        d->physical_block = sizes & SECTOR_SIZE_MANY ? MIN(size << (sizes & 0xf), 1u << 20) : size;
        d->nsectors = nblocks * (size / 512);
        d->max_seg_bytes = ATA_SEG_MAX;
        d->has_flush = (id[WORD_SETS] & SETS_FLUSH) && (id[WORD_ENABLED] & ENABLED_WRITE_CACHE);
        d->has_discard = id[WORD_DATASET] & 1;
        d->polls = true;
        d->max_discard_sectors = TRIM_ENTRIES * TRIM_ENTRY_MAX / 8 * 8;
        d->discard_align = d->physical_block / 512;
        d->rotational = id[WORD_ROTATION] != ROTATION_NONE;
        p->queued = (p->hba->cap & CAP_SNCQ) && (id[WORD_SATA] & SATA_NCQ);
        if (p->queued)
                p->nslots = MIN(p->nslots, (id[WORD_QUEUE_DEPTH] & 0x1fu) + 1);
        return 0;
}

/* A drive without a disc has no sectors. */
static int read_drive(struct port *p, const uint16_t *id, uint8_t *buf)
{
        struct block_device *d = &p->disk;
        uint32_t tfd, last, size;
        int err = -EIO;

        if ((id[0] >> 8 & 0x1f) != 5) /* no CD or DVD */
                return -EOPNOTSUPP;
        copy_text(d->serial, sizeof(d->serial), id + 10, 10);
        copy_text(d->model, sizeof(d->model), id + 27, 20);
        p->packet_dmadir = id[62] & 0x8000;
        d->read_only = d->removable = true;
        d->logical_block = 2048;
        d->max_seg_bytes = CD_SEG_MAX;
        for (unsigned i = 0; err == -EIO && i <= UNIT_RETRIES; i++) {
                err = command(p, fill_packet(p, table_of(p, 0), PACKET_CAPACITY, 0, 0), buf, 8, &tfd);
                if (err == -EIO) {
                        int e = command(p, fill_packet(p, table_of(p, 0), PACKET_SENSE, 0, 18), buf, 18, &tfd);

                        err = e == -ETIMEDOUT ? e : err;
                }
        }
        if (err)
                return err == -EIO ? 0 : err;
        last = get_be32(buf);
        size = get_be32(buf + 4);
        if (last == ~0u || size != 2048)
                return 0;
        d->nsectors = ((uint64_t)last + 1) * 4;
        return 0;
}

static int port_memory(struct port *p)
{
        paddr_t lists = frame_alloc(), tables = frame_alloc_contig(SLOTS * TABLE_BYTES / PAGE_SIZE, ~0ul);
        uint8_t *page;

        if (!lists || !tables)
                return -ENOMEM;
        page = memset(direct(lists), 0, PAGE_SIZE); /* 1 KiB of headers, 256 bytes of answers, 512 of TRIM */
        p->headers = (struct header *)page;
        p->trim = (uint64_t *)(page + 2048);
        p->tables = memset(direct(tables), 0, SLOTS * TABLE_BYTES);
        px_set(p, PX_CLB, (uint32_t)lists);
        px_set(p, PX_CLB + 4, (uint32_t)(lists >> 32));
        px_set(p, PX_FB, (uint32_t)(lists + 1024));
        px_set(p, PX_FB + 4, (uint32_t)((lists + 1024) >> 32));
        return 0;
}

/* What the firmware may have left running ends (10.1.2). */
static bool stop(struct port *p)
{
        px_set(p, PX_IE, 0);
        px_set(p, PX_CMD, px(p, PX_CMD) & ~CMD_ST);
        if (!px_becomes(p, PX_CMD, CMD_CR, 0, NSEC_PER_SEC))
                return false;
        px_set(p, PX_CMD, px(p, PX_CMD) & ~CMD_FRE);
        return px_becomes(p, PX_CMD, CMD_FR, 0, NSEC_PER_SEC);
}

/* 0; -ENODEV: nothing that could be used. */
static int start(struct port *p)
{
        bool spin_up = p->hba->cap & CAP_SSS;
        uint32_t det = px(p, PX_SSTS) & SSTS_DET, tfd;
        uint8_t *page;
        int err;

        if (!det && !spin_up)
                return -ENODEV;
        if (!stop(p))
                return -EIO;
        px_set(p, PX_CMD, (px(p, PX_CMD) & ~CMD_ICC) | CMD_SUD | CMD_POD | CMD_ACTIVE);
        px_set(p, PX_SCTL, SCTL_QUIET);
        if (!px_becomes(p, PX_SSTS, SSTS_DET, DET_PRESENT, det ? NSEC_PER_SEC : NSEC_PER_SEC / 50))
                return -ENODEV;
        err = port_memory(p);
        if (err)
                return err;
        px_set(p, PX_SERR, ~0u);
        px_set(p, PX_IS, ~0u);
        px_set(p, PX_CMD, px(p, PX_CMD) | CMD_FRE);
        if (!px_becomes(p, PX_TFD, TFD_BSY | TFD_DRQ, 0, PROBE_NS))
                return -EIO;
        if (px(p, PX_SIG) != SIG_ATA && px(p, PX_SIG) != SIG_ATAPI)
                return -ENODEV;
        p->packet = px(p, PX_SIG) == SIG_ATAPI;
        px_set(p, PX_CMD, px(p, PX_CMD) | CMD_ST);

        page = direct(frame_alloc());
        if (page == direct(0))
                return -ENOMEM;
        fill_fis(table_of(p, 0), p->packet ? ATA_IDENTIFY_PACKET : ATA_IDENTIFY, 0, 0, 0, 0);
        err = command(p, 0, page, 512, &tfd);
        if (!err)
                err = p->packet ? read_drive(p, (uint16_t *)page, page + 512) : read_disk(p, (uint16_t *)page);
        if (err != -ETIMEDOUT)
                frame_free(direct_pa(page)); /* else it may still be written to */
        return err;
}

static void probe_port(struct hba *h, unsigned index)
{
        struct port *p = kzalloc(sizeof(*p));
        struct block_device *d;
        int err;

        if (!p)
                return;
        d = &p->disk;
        p->hba = h;
        p->index = index;
        p->regs = h->regs + HBA_PORTS + index * PORT_BYTES;
        p->nslots = CAP_SLOTS(h->cap);
        p->timer.fn = timer;
        err = start(p);
        if (err) {
                if (err != -ENODEV) {
                        stop(p);
                        klog(LOG_WARN, "ahci at %02x:%02x.%x, port %u: error %d", h->pci->bus, h->pci->slot,
                             h->pci->function, index, err);
                }
                kfree(p);
                return;
        }
        d->max_segs = BLOCK_SEGS_MAX;
        d->ops = &ahci_ops;
        d->driver = p;
        name_disk(d);
        h->port[index] = p;
        h->alive |= 1u << index;
        if (block_register(d)) {
                klog(LOG_WARN, "%s: too many disks", d->name);
                return;
        }
        px_set(p, PX_IS, ~0u);
        px_set(p, PX_IE, IS_WANTED);
        klog(LOG_INFO, "%s: %s, %lu MiB%s%s%s%s%s", d->name, d->model, d->nsectors >> 11, p->queued ? ", queued" : "",
             d->has_flush ? ", flush" : "", d->has_discard ? ", discard" : "", d->serial[0] ? ", serial " : "",
             d->serial);
}

/* The firmware lets go of the controller, if it knows how to (10.6). */
static void take_over(struct hba *h)
{
        uint64_t end = time_mono_ns() + 2 * NSEC_PER_SEC;

        if (!(mmio_read32(h->regs + HBA_CAP2) & CAP2_BOH))
                return;
        mmio_write32(h->regs + HBA_BOHC, mmio_read32(h->regs + HBA_BOHC) | BOHC_OOS);
        while ((mmio_read32(h->regs + HBA_BOHC) & BOHC_BOS) && time_mono_ns() < end)
                cpu_relax();
}

static int open_hba(struct hba *h)
{
        unsigned nports;
        int err;

        pci_enable(h->pci);
        h->regs = pci_map(h->pci, 5, 0, HBA_PORTS);
        if (!h->regs)
                return -ENODEV;
        take_over(h);
        mmio_write32(h->regs + HBA_GHC, GHC_AE);
        h->cap = mmio_read32(h->regs + HBA_CAP);
        h->implemented = mmio_read32(h->regs + HBA_PI);
        if (!h->implemented)
                return -ENODEV;
        nports = 32 - (unsigned)__builtin_clz(h->implemented);
        h->regs = pci_map(h->pci, 5, 0, HBA_PORTS + nports * PORT_BYTES);
        if (!h->regs)
                return -ENODEV;
        if (!(h->cap & CAP_S64A))
                return -EOPNOTSUPP; /* memory may be anywhere */
        err = pci_msix_enable(h->pci);
        if (err && err != -ENODEV)
                return err;
        return pci_one_vector(h->pci, interrupt, h);
}

static void probe(struct pci_device *pci)
{
        struct hba *h = kzalloc(sizeof(*h));
        int err;

        if (!h)
                return;
        h->pci = pci;
        err = open_hba(h);
        if (err) {
                klog(LOG_WARN, "ahci at %02x:%02x.%x: error %d", pci->bus, pci->slot, pci->function, err);
                pci_quiet(pci);
                kfree(h);
                return;
        }
        for (unsigned i = 0; i < PORTS; i++)
                if (h->implemented & 1u << i)
                        probe_port(h, i);
        if (!h->alive) {
                pci_quiet(pci);
                return; /* h stays: the vector is its */
        }
        pci->user_arg = h;
        pci->user = &ahci_user;
        mmio_write32(h->regs + HBA_IS, ~0u);
        mmio_write32(h->regs + HBA_GHC, GHC_AE | GHC_IE);
}

void ahci_init(void)
{
        for (struct pci_device *pci = pci_first(); pci; pci = pci->next)
                if (pci->class == CLASS_AHCI)
                        probe(pci);
}
