/*
 * nvme.c - NVMe disks (NVM Express base specification 1.4; section numbers are its).
 *
 * A controller has one pair of admin queues, used by polling while it is probed and never again, and a pair of queues
 * for each CPU, four at most. Each active namespace is a disk. A command's identifier is the number of its slot; a slot
 * owns a list of pages (PRP) in memory that the device sees, so that submitting never allocates. Slots are fewer than
 * the entries of the rings: neither ring can overflow. Requests that find no slot wait, in order.
 *
 * States of a controller: PROBING (admin commands, one CPU) -> RUNNING -> DEAD. Dead is for ever: it may not touch
 * memory any more (no bus master), what was in flight has failed, and everything else fails. It dies of nonsense in a
 * completion, of a failure that it reports (CSTS.CFS), of being gone (registers read as ones), and of a request that is
 * not answered in REQUEST_NS.
 *
 * Locks: queue.lock for rings, slots and waiting requests; interrupts are off while it is held, and done() is called
 * without it. Trust: a completion is three numbers, each checked before it is used; what Identify says is bounded.
 */
#include "kernel/drivers/block/nvme.h"
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

#define CLASS_NVME      0x010802
#define QUEUES_MAX      4u
#define RING_ENTRIES    64u
#define SLOTS           32u /* of a queue */
#define PRP_LIST_BYTES  1024u
#define PRPS_MAX        (PRP_LIST_BYTES / 8)
#define NAMESPACES_MAX  8u
#define MINORS          16u
#define MAJOR_NVME      259
#define DISCARD_SECTORS (1u << 21) /* 1 GiB a request */
#define REQUEST_NS      (30 * NSEC_PER_SEC)
#define WATCH_NS        (5 * NSEC_PER_SEC)
#define ADMIN_NS        (10 * NSEC_PER_SEC)
#define POLLS_PER_WATCH 4096u
#define COMPLAINTS_MAX  16u

/* Registers (3.1). */
#define REG_CAP         0x00
#define REG_CC          0x14
#define REG_CSTS        0x1c
#define REG_AQA         0x24
#define REG_ASQ         0x28
#define REG_ACQ         0x30
#define REG_DOORBELLS   0x1000
#define CAP_MQES(cap)   ((uint32_t)((cap)&0xffff))
#define CAP_TO_NS(cap)  (((cap) >> 24 & 0xff) * (NSEC_PER_SEC / 2))
#define CAP_DSTRD(cap)  (4u << ((cap) >> 32 & 0xf))
#define CAP_NVM(cap)    ((cap) >> 37 & 1)
#define CAP_MPSMIN(cap) ((cap) >> 48 & 0xf)
#define CC_ON           (1u | 6u << 16 | 4u << 20) /* enabled; NVM commands, pages of 4 KiB, entries of 64 and 16 bytes */
#define CSTS_RDY        1u
#define CSTS_CFS        2u
#define REGISTERS_GONE  ~0u

enum opcode {
        ADMIN_CREATE_SQ = 0x01,
        ADMIN_CREATE_CQ = 0x05,
        ADMIN_IDENTIFY = 0x06,
        ADMIN_SET_FEATURES = 0x09,
        NVM_FLUSH = 0x00,
        NVM_WRITE = 0x01,
        NVM_READ = 0x02,
        NVM_DATASET = 0x09,
};
#define IDENTIFY_NAMESPACE  0u
#define IDENTIFY_CONTROLLER 1u
#define IDENTIFY_ACTIVE     2u
#define FEATURE_QUEUES      7u
#define QUEUE_CONTIGUOUS    1u
#define QUEUE_INTERRUPTS    2u
#define DATASET_DEALLOCATE  4u
#define ONCS_DATASET        4u
#define VWC_PRESENT         1u
#define NSATTR_PROTECTED    1u

struct command {
        uint8_t opcode, flags;
        uint16_t id;
        uint32_t nsid;
        uint64_t reserved, metadata;
        uint64_t prp1, prp2;
        uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};
_Static_assert(sizeof(struct command) == 64, "4.2");

struct completion {
        uint32_t result, reserved;
        uint16_t sq_head, sq_id;
        uint16_t id, status; /* status: bit 0 is the phase */
};
_Static_assert(sizeof(struct completion) == 16, "4.6");

struct dataset_range {
        uint32_t attributes, nblocks;
        uint64_t block;
};
_Static_assert(sizeof(struct dataset_range) == 16, "6.7");

struct slot {
        struct block_request *request; /* NULL: free */
        struct namespace *ns;
        uint64_t deadline_ns;
        uint32_t next_free;
};

struct controller;
struct queue {
        struct controller *c;
        struct spinlock lock;
        struct command *sq;
        volatile struct completion *cq;
        volatile uint8_t *sq_doorbell, *cq_doorbell;
        uint32_t entries, tail, rung, head; /* rung: the tail that the device knows */
        uint16_t phase;
        uint16_t id;
        uint32_t nslots, free; /* free: first free slot, nslots: none */
        struct slot slot[SLOTS];
        uint8_t *lists; /* PRP_LIST_BYTES for each slot */
        struct request_list waiting;
};

struct namespace
{
        struct block_device disk;
        struct controller *c;
        uint32_t nsid;
        unsigned shift; /* of a logical block over 512 bytes */
        uint32_t complaints;
};

struct controller {
        struct pci_device *pci;
        volatile uint8_t *regs;
        uint32_t doorbell_bytes; /* between two */
        uint64_t ready_ns;
        uint32_t entries; /* of a ring */
        bool dead;        /* atomic */
        bool has_flush, has_discard;
        uint32_t max_seg_bytes, max_segs;
        unsigned number, nqueues;
        struct queue admin, queue[QUEUES_MAX];
        struct vtimer watch;
        uint32_t watching; /* atomic: the timer is armed */
        uint32_t polls;
        uint32_t nns;
        struct namespace *ns[NAMESPACES_MAX];
        char serial[24], model[48];
};

static bool is_dead(const struct controller *c)
{
        return __atomic_load_n(&c->dead, __ATOMIC_ACQUIRE);
}

static bool is_failed(const struct controller *c)
{
        uint32_t status = mmio_read32(c->regs + REG_CSTS);

        return status == REGISTERS_GONE || (status & CSTS_CFS);
}

/* ---- rings ---- */

static void ring(struct queue *q)
{
        if (q->tail == q->rung)
                return;
        q->rung = q->tail;
        io_wmb();
        mmio_write32(q->sq_doorbell, q->tail);
}

static struct command *next_command(struct queue *q, uint16_t id)
{
        struct command *cmd = &q->sq[q->tail];

        q->tail = q->tail + 1 == q->entries ? 0 : q->tail + 1;
        *cmd = (struct command){.id = id};
        return cmd;
}

/* The next completion, if there is one. The caller rings the doorbell when it has taken them all. */
static bool next_completion(struct queue *q, struct completion *out)
{
        volatile struct completion *e = &q->cq[q->head];
        uint16_t status = __atomic_load_n(&e->status, __ATOMIC_ACQUIRE);

        if ((status & 1) != q->phase)
                return false;
        *out = (struct completion){.result = e->result, .sq_id = e->sq_id, .id = e->id, .status = status >> 1};
        if (++q->head == q->entries) {
                q->head = 0;
                q->phase ^= 1;
        }
        return true;
}

static void took(struct queue *q)
{
        mmio_write32(q->cq_doorbell, q->head);
}

static int queue_memory(struct controller *c, struct queue *q, uint16_t id, uint32_t entries)
{
        paddr_t sq = frame_alloc(), cq = frame_alloc();

        if (!sq || !cq)
                return -ENOMEM;
        q->c = c;
        q->id = id;
        q->entries = entries;
        q->phase = 1;
        q->sq = memset(direct(sq), 0, PAGE_SIZE);
        q->cq = memset(direct(cq), 0, PAGE_SIZE);
        q->sq_doorbell = c->regs + REG_DOORBELLS + 2 * id * c->doorbell_bytes;
        q->cq_doorbell = q->sq_doorbell + c->doorbell_bytes;
        return 0;
}

/* ---- requests ---- */

/*
 * The pages of the segments: the first entry may begin anywhere, the others at pages (4.3); the check of requests
 * (seg_boundary) has seen to that.
 */
static void fill_pages(struct queue *q, struct command *cmd, unsigned id, const struct block_request *r)
{
        uint64_t *list = (uint64_t *)(q->lists + id * PRP_LIST_BYTES);
        unsigned n = 0;

        for (uint32_t i = 0; i < r->nsegs; i++) {
                paddr_t pa = r->seg[i].pa, end = pa + r->seg[i].len;

                if (i == 0) {
                        cmd->prp1 = pa;
                        pa = ALIGN_DOWN(pa, PAGE_SIZE) + PAGE_SIZE;
                }
                for (; pa < end; pa += PAGE_SIZE)
                        list[n++] = pa;
        }
        if (n == 1)
                cmd->prp2 = list[0];
        else if (n)
                cmd->prp2 = direct_pa(list);
}

static void fill(struct queue *q, struct namespace *ns, unsigned id, const struct block_request *r)
{
        struct command *cmd = next_command(q, (uint16_t)id);
        uint64_t block = r->sector >> ns->shift;
        uint32_t nblocks = r->nsectors >> ns->shift;
        struct dataset_range *range;

        cmd->nsid = ns->nsid;
        switch (r->op) {
        case BLOCK_READ:
        case BLOCK_WRITE:
                cmd->opcode = r->op == BLOCK_READ ? NVM_READ : NVM_WRITE;
                cmd->dw10 = (uint32_t)block;
                cmd->dw11 = (uint32_t)(block >> 32);
                cmd->dw12 = nblocks - 1;
                fill_pages(q, cmd, id, r);
                break;
        case BLOCK_FLUSH:
                cmd->opcode = NVM_FLUSH;
                break;
        case BLOCK_DISCARD:
                range = (struct dataset_range *)(q->lists + id * PRP_LIST_BYTES);
                *range = (struct dataset_range){.nblocks = nblocks, .block = block};
                cmd->opcode = NVM_DATASET;
                cmd->dw10 = 0; /* one range */
                cmd->dw11 = DATASET_DEALLOCATE;
                cmd->prp1 = direct_pa(range);
                break;
        }
}

static bool start_request(struct queue *q, struct block_request *r)
{
        unsigned id = q->free;
        struct slot *s = &q->slot[id];

        if (id == q->nslots)
                return false;
        q->free = s->next_free;
        s->request = r;
        s->ns = r->driver;
        s->deadline_ns = time_mono_ns() + REQUEST_NS;
        fill(q, s->ns, id, r);
        return true;
}

static void start_waiting(struct queue *q)
{
        while (q->waiting.first && start_request(q, q->waiting.first))
                list_pop(&q->waiting);
        ring(q);
}

static void watch_later(struct controller *c)
{
        if (!__atomic_exchange_n(&c->watching, 1, __ATOMIC_ACQ_REL))
                vtimer_arm(&c->watch, time_mono_ns() + WATCH_NS);
}

static int nvme_submit(struct block_device *d, struct block_request *r)
{
        struct namespace *ns = d->driver;
        struct controller *c = ns->c;
        struct queue *q = &c->queue[cpu_this()->id % c->nqueues];
        uint64_t flags = spin_lock(&q->lock);

        if (is_dead(c)) {
                spin_unlock(&q->lock, flags);
                return -EIO;
        }
        r->driver = ns;
        if (q->waiting.first || !start_request(q, r))
                list_push(&q->waiting, r);
        else
                ring(q);
        spin_unlock(&q->lock, flags);
        if (!__atomic_load_n(&c->watching, __ATOMIC_RELAXED))
                watch_later(c);
        return 0;
}

/* Nothing that the device does counts any more, and it can do nothing to memory. Everything fails. */
static void die(struct controller *c, const char *why)
{
        if (__atomic_exchange_n(&c->dead, true, __ATOMIC_ACQ_REL))
                return;
        pci_quiet(c->pci);
        klog(LOG_ERR, "nvme%u: %s: all requests fail from now on", c->number, why);
        for (uint32_t i = 0; i < c->nns; i++)
                block_gone(&c->ns[i]->disk);
        for (unsigned i = 0; i < c->nqueues; i++) {
                struct queue *q = &c->queue[i];
                struct request_list failed = {0};
                uint64_t flags = spin_lock(&q->lock);
                struct block_request *r;

                for (unsigned k = 0; k < q->nslots; k++) {
                        if (q->slot[k].request)
                                list_push(&failed, q->slot[k].request);
                        q->slot[k].request = NULL;
                }
                while ((r = list_pop(&q->waiting)))
                        list_push(&failed, r);
                spin_unlock(&q->lock, flags);
                list_finish(&failed, -EIO);
        }
        block_changed();
}

static bool may_go(void *arg)
{
        struct controller *c = arg;

        for (uint32_t i = 0; i < c->nns; i++)
                if (c->ns[i]->disk.claimed)
                        return false;
        return true;
}

static void gone(void *arg, const char *why)
{
        die(arg, why);
}

static const struct pci_user nvme_user = {.may_go = may_go, .gone = gone};

static void complain(struct namespace *ns, const struct block_request *r, unsigned status)
{
        static const char *const what[] = {"read", "write", "flush", "discard"};

        if (__atomic_fetch_add(&ns->complaints, 1, __ATOMIC_RELAXED) < COMPLAINTS_MAX)
                klog(LOG_ERR, "%s: %s of %u sectors at %lu failed, status %#x", ns->disk.name, what[r->op], r->nsectors,
                     r->sector, status);
}

/* True: all of them made sense. What is finished goes to the lists, with the lock held. */
static bool take_finished(struct queue *q, struct request_list *ok, struct request_list *failed)
{
        struct completion e;
        bool any = false, sense = true;

        while (sense && next_completion(q, &e)) {
                struct slot *s = e.id < q->nslots ? &q->slot[e.id] : NULL;

                any = true;
                sense = s && s->request && e.sq_id == q->id;
                if (!sense)
                        break;
                if (e.status)
                        complain(s->ns, s->request, e.status);
                list_push(e.status ? failed : ok, s->request);
                s->request = NULL;
                s->next_free = q->free;
                q->free = e.id;
        }
        if (any)
                took(q);
        return sense;
}

static void complete(struct queue *q)
{
        struct request_list ok = {0}, failed = {0};
        uint64_t flags = spin_lock(&q->lock);
        bool sense = true;

        if (!is_dead(q->c)) {
                sense = take_finished(q, &ok, &failed);
                if (sense)
                        start_waiting(q);
        }
        spin_unlock(&q->lock, flags);
        list_finish(&ok, 0);
        list_finish(&failed, -EIO);
        if (!sense)
                die(q->c, "a completion makes no sense");
}

static void interrupt(void *arg)
{
        complete(arg);
}

/* One vector for all: the device has no more. */
static void interrupt_all(void *arg)
{
        struct controller *c = arg;

        for (unsigned i = 0; i < c->nqueues; i++)
                complete(&c->queue[i]);
}

/* True: something is in flight. *late: for too long. */
static bool in_flight(struct queue *q, bool *late)
{
        uint64_t flags = spin_lock(&q->lock), now = time_mono_ns();
        bool any = false;

        for (unsigned k = 0; k < q->nslots; k++) {
                if (q->slot[k].request) {
                        any = true;
                        *late |= q->slot[k].deadline_ns < now;
                }
        }
        spin_unlock(&q->lock, flags);
        return any;
}

/* True: go on watching. */
static bool watch(struct controller *c)
{
        bool any = false, late = false;

        if (is_dead(c))
                return false;
        if (is_failed(c)) {
                die(c, "the controller failed, or is gone");
                return false;
        }
        for (unsigned i = 0; i < c->nqueues; i++) {
                complete(&c->queue[i]); /* an interrupt may have been lost */
                any |= in_flight(&c->queue[i], &late);
        }
        if (late)
                die(c, "a request was not answered");
        return any && !late;
}

static void watch_timer(struct vtimer *t)
{
        struct controller *c = container_of(t, struct controller, watch);

        __atomic_store_n(&c->watching, 0, __ATOMIC_RELEASE);
        if (watch(c))
                watch_later(c);
}

static void nvme_poll(struct block_device *d)
{
        struct namespace *ns = d->driver;
        struct controller *c = ns->c;

        interrupt_all(c);
        if (__atomic_fetch_add(&c->polls, 1, __ATOMIC_RELAXED) % POLLS_PER_WATCH == POLLS_PER_WATCH - 1)
                watch(c);
}

static const struct block_ops nvme_ops = {.submit = nvme_submit, .poll = nvme_poll};

/* ---- probing ---- */

/* One admin command, waited for. 0; -EIO: refused (the device works); -ETIMEDOUT: no answer, or nonsense. */
static int admin(struct controller *c, const struct command *what, uint32_t *result)
{
        uint64_t end = time_mono_ns() + ADMIN_NS;
        struct command *cmd = next_command(&c->admin, 0);
        struct completion e;

        *cmd = *what;
        ring(&c->admin);
        while (!next_completion(&c->admin, &e)) {
                if (time_mono_ns() > end)
                        return -ETIMEDOUT;
                cpu_relax();
        }
        took(&c->admin);
        if (e.id != 0 || e.sq_id != 0)
                return -ETIMEDOUT;
        if (result)
                *result = e.result;
        return e.status ? -EIO : 0;
}

static int identify(struct controller *c, uint32_t what, uint32_t nsid, void *page)
{
        struct command cmd = {.opcode = ADMIN_IDENTIFY, .nsid = nsid, .prp1 = direct_pa(page), .dw10 = what};

        memset(page, 0, PAGE_SIZE);
        return admin(c, &cmd, NULL);
}

static int wait_ready(struct controller *c, bool ready)
{
        uint64_t end = time_mono_ns() + c->ready_ns;
        uint32_t status;

        for (;;) {
                status = mmio_read32(c->regs + REG_CSTS);
                if (status == REGISTERS_GONE || (ready && (status & CSTS_CFS)))
                        return -EIO;
                if ((status & CSTS_RDY) == (ready ? CSTS_RDY : 0))
                        return 0;
                if (time_mono_ns() > end)
                        return -ETIMEDOUT;
                cpu_relax();
        }
}

/* 7.6.1: off, admin queues, on. */
static int enable(struct controller *c)
{
        uint64_t cap;
        int err;

        c->regs = pci_map(c->pci, 0, 0, REG_DOORBELLS);
        if (!c->regs)
                return -ENODEV;
        cap = mmio_read32(c->regs + REG_CAP) | (uint64_t)mmio_read32(c->regs + REG_CAP + 4) << 32;
        if (!CAP_NVM(cap) || CAP_MPSMIN(cap) || CAP_MQES(cap) < 1)
                return -EOPNOTSUPP;
        c->entries = MIN(CAP_MQES(cap) + 1, RING_ENTRIES);
        c->doorbell_bytes = CAP_DSTRD(cap);
        c->ready_ns = CAP_TO_NS(cap) + NSEC_PER_SEC;
        c->regs = pci_map(c->pci, 0, 0, REG_DOORBELLS + (uint64_t)(QUEUES_MAX + 1) * 2 * c->doorbell_bytes);
        if (!c->regs)
                return -ENODEV;
        mmio_write32(c->regs + REG_CC, 0);
        err = wait_ready(c, false);
        if (!err)
                err = queue_memory(c, &c->admin, 0, c->entries);
        if (err)
                return err;
        mmio_write32(c->regs + REG_AQA, (c->entries - 1) << 16 | (c->entries - 1));
        mmio_write64(c->regs + REG_ASQ, direct_pa(c->admin.sq));
        mmio_write64(c->regs + REG_ACQ, direct_pa((void *)(uintptr_t)c->admin.cq));
        mmio_write32(c->regs + REG_CC, CC_ON);
        return wait_ready(c, true);
}

/* A field of text is padded with spaces and may have any bytes. */
static void copy_text(char *to, size_t size, const uint8_t *from, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len && n + 1 < size; i++)
                to[n++] = from[i] >= ' ' && from[i] < 0x7f ? (char)from[i] : ' ';
        while (n && to[n - 1] == ' ')
                n--;
        to[n] = 0;
}

static int read_controller(struct controller *c, const uint8_t *page)
{
        unsigned mdts = page[77];
        uint64_t most = mdts && mdts < 16 ? PAGE_SIZE << mdts : ~0ul;
        uint32_t seg_max = (PRPS_MAX / BLOCK_SEGS_MAX) * PAGE_SIZE;

        copy_text(c->serial, sizeof(c->serial), page + 4, 20);
        copy_text(c->model, sizeof(c->model), page + 24, 40);
        c->max_segs = MIN(most / PAGE_SIZE, (uint64_t)BLOCK_SEGS_MAX);
        c->max_seg_bytes = (uint32_t)MIN(ALIGN_DOWN(most / c->max_segs, PAGE_SIZE), (uint64_t)seg_max);
        c->has_discard = (page[520] | page[521] << 8) & ONCS_DATASET;
        c->has_flush = page[525] & VWC_PRESENT;
        return 0;
}

static int create_queue(struct controller *c, struct queue *q, unsigned vector)
{
        uint32_t which = (q->entries - 1) << 16 | q->id;
        struct command cq = {.opcode = ADMIN_CREATE_CQ,
                             .prp1 = direct_pa((void *)(uintptr_t)q->cq),
                             .dw10 = which,
                             .dw11 = vector << 16 | QUEUE_INTERRUPTS | QUEUE_CONTIGUOUS};
        struct command sq = {.opcode = ADMIN_CREATE_SQ,
                             .prp1 = direct_pa(q->sq),
                             .dw10 = which,
                             .dw11 = (uint32_t)q->id << 16 | QUEUE_CONTIGUOUS};
        int err = admin(c, &cq, NULL);

        return err ? err : admin(c, &sq, NULL);
}

static int make_slots(struct queue *q)
{
        size_t nframes;
        paddr_t pa;

        q->nslots = MIN(q->entries - 1, SLOTS);
        nframes = ALIGN_UP(q->nslots * PRP_LIST_BYTES, PAGE_SIZE) / PAGE_SIZE;
        pa = frame_alloc_contig(nframes, ~0ul);
        if (!pa)
                return -ENOMEM;
        q->lists = direct(pa);
        for (unsigned k = 0; k < q->nslots; k++)
                q->slot[k].next_free = k + 1;
        return 0;
}

static int make_queues(struct controller *c)
{
        unsigned wanted = MIN(cpu_count, QUEUES_MAX);
        struct command cmd = {.opcode = ADMIN_SET_FEATURES, .dw10 = FEATURE_QUEUES};
        uint32_t granted = 0;
        int err = pci_msix_enable(c->pci);
        bool many = !err && c->pci->msix_count > 1;

        if (many)
                wanted = MIN(wanted, (unsigned)c->pci->msix_count - 1);
        else
                wanted = 1;
        cmd.dw11 = (wanted - 1) << 16 | (wanted - 1);
        err = admin(c, &cmd, &granted);
        if (err)
                return err;
        wanted = MIN(wanted, MIN(granted & 0xffff, granted >> 16) + 1);
        for (unsigned i = 0; i < wanted; i++) {
                struct queue *q = &c->queue[i];

                err = queue_memory(c, q, (uint16_t)(i + 1), c->entries);
                if (!err)
                        err = make_slots(q);
                if (!err)
                        err = many ? pci_msix_set(c->pci, i + 1, interrupt, q, i)
                                   : pci_one_vector(c->pci, interrupt_all, c);
                if (!err)
                        err = create_queue(c, q, many ? i + 1 : 0);
                if (err == -ETIMEDOUT || (err && i == 0))
                        return err;
                if (err)
                        break; /* what is set up is enough */
                c->nqueues = i + 1;
        }
        return 0;
}

static void add_namespace(struct controller *c, uint32_t nsid, const uint8_t *page)
{
        static unsigned minors;
        uint64_t nblocks;
        unsigned format = (page[26] & 0xf) | (page[26] >> 1 & 0x30);
        const uint8_t *lbaf = page + 128 + 4 * (size_t)format;
        unsigned bits = lbaf[2];
        struct namespace *ns;
        struct block_device *d;

        memcpy(&nblocks, page, sizeof(nblocks));
        if (!nblocks)
                return;
        if (bits < 9 || bits > 12 || lbaf[0] || lbaf[1] || nblocks > ~0ul >> (bits + 1)) {
                klog(LOG_WARN, "nvme%un%u: its format is not supported (blocks of 2^%u bytes, %u bytes of metadata)",
                     c->number, nsid, bits, lbaf[0] | lbaf[1] << 8);
                return;
        }
        ns = kzalloc(sizeof(*ns));
        if (!ns)
                return;
        ns->c = c;
        ns->nsid = nsid;
        ns->shift = bits - 9;
        d = &ns->disk;
        fmt_append(d->name, sizeof(d->name), 0, "nvme%un%u", c->number, nsid);
        str_copy(d->serial, c->serial, sizeof(d->serial));
        str_copy(d->model, c->model, sizeof(d->model));
        d->nsectors = nblocks << ns->shift;
        d->logical_block = d->physical_block = 1u << bits;
        d->max_segs = c->max_segs;
        d->max_seg_bytes = c->max_seg_bytes;
        d->seg_boundary = PAGE_SIZE;
        d->max_discard_sectors = DISCARD_SECTORS;
        d->discard_align = 1u << ns->shift;
        d->read_only = page[99] & NSATTR_PROTECTED;
        d->has_flush = c->has_flush;
        d->has_discard = c->has_discard && !d->read_only;
        d->polls = true;
        d->major = MAJOR_NVME;
        d->minor = minors++ * MINORS;
        d->ops = &nvme_ops;
        d->driver = ns;
        if (block_register(d)) {
                klog(LOG_WARN, "%s: too many disks", d->name);
                kfree(ns);
                return;
        }
        c->ns[c->nns++] = ns;
        klog(LOG_INFO, "%s: %s, %lu MiB, %u queue%s%s%s%s%s%s", d->name, d->model, d->nsectors >> 11, c->nqueues,
             c->nqueues == 1 ? "" : "s", d->has_flush ? ", flush" : "", d->has_discard ? ", discard" : "",
             d->read_only ? ", read-only" : "", d->serial[0] ? ", serial " : "", d->serial);
}

/* Controllers before 1.1 have no list of active namespaces: then they are numbered from 1. */
static int find_namespaces(struct controller *c, uint8_t *page, uint32_t count)
{
        uint32_t list[NAMESPACES_MAX] = {0};
        int err = identify(c, IDENTIFY_ACTIVE, 0, page);

        if (err == -ETIMEDOUT)
                return err;
        if (!err)
                memcpy(list, page, sizeof(list));
        else
                for (uint32_t i = 0; i < MIN(count, NAMESPACES_MAX); i++)
                        list[i] = i + 1;
        for (uint32_t i = 0; i < NAMESPACES_MAX && list[i]; i++) {
                err = identify(c, IDENTIFY_NAMESPACE, list[i], page);
                if (err == -ETIMEDOUT)
                        return err;
                if (!err)
                        add_namespace(c, list[i], page);
        }
        return 0;
}

static int start(struct controller *c)
{
        uint8_t *page = direct(frame_alloc());
        uint32_t count;
        int err;

        if (page == direct(0))
                return -ENOMEM;
        pci_enable(c->pci);
        err = enable(c);
        if (!err)
                err = identify(c, IDENTIFY_CONTROLLER, 0, page);
        if (!err)
                err = read_controller(c, page);
        memcpy(&count, page + 516, sizeof(count));
        if (!err)
                err = make_queues(c);
        if (!err)
                err = find_namespaces(c, page, count);
        if (!err)
                frame_free(direct_pa(page)); /* else the device may still write to it */
        return err;
}

static void probe(struct pci_device *pci)
{
        static unsigned controllers;
        struct controller *c = kzalloc(sizeof(*c));
        int err;

        if (!c)
                return;
        c->pci = pci;
        c->number = controllers++;
        c->watch.fn = watch_timer;
        err = start(c);
        if (!err) {
                pci->user_arg = c;
                pci->user = &nvme_user;
                return;
        }
        klog(LOG_WARN, "nvme%u at %02x:%02x.%x: error %d", c->number, pci->bus, pci->slot, pci->function, err);
        if (c->nns)
                die(c, "it stopped answering while it was probed");
        else
                pci_quiet(pci); /* its memory is not given back: this happens once */
}

void nvme_init(void)
{
        for (struct pci_device *pci = pci_first(); pci; pci = pci->next)
                if (pci->class == CLASS_NVME)
                        probe(pci);
}
