/*
 * simdisk.c - see simdisk.h. A lost flush is recorded as nothing, so a cut later may lose what came before it: a disk that lies.
 */
#include "persist/host/simdisk.h"
#include "persist/host/hosted.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK       4096ul
#define SECTOR_SIZE 512ul
#define MAX_OPS     (1ul << 24)
#define MAX_DATA    (8ul << 30)

static void *must_have(void *p)
{
        if (!p)
                abort();
        return p;
}

/* Of memory only what is used counts. */
static void *shared(size_t len)
{
        void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        return must_have(p == MAP_FAILED ? NULL : p);
}

static void record(struct simdisk *s, uint64_t sector, uint32_t nsectors, const void *data)
{
        size_t len = nsectors * SECTOR_SIZE;

        if (!s->forgets) {
                if (s->nops == MAX_OPS || s->ndata + len > MAX_DATA)
                        abort();
                if (!s->nops && s->base)
                        memcpy(s->base, s->now, s->d.nblocks * BLOCK);
                s->op[s->nops++] = (struct simdisk_op){sector, nsectors, s->data + s->ndata};
                memcpy(s->data + s->ndata, data, len);
                s->ndata += len;
        }
        memcpy(s->now + sector * SECTOR_SIZE, data, len);
}

static bool chance(struct simdisk *s, uint32_t per_mille)
{
        return per_mille && hosted_random(&s->rng) % 1000 < per_mille;
}

static int disk_read_(struct store_disk *d, uint64_t block, void *buf, uint32_t n)
{
        struct simdisk *s = (struct simdisk *)d;

        if (s->unreadable && block <= s->unreadable && block + n > s->unreadable)
                return -1;
        s->nblocks_read += n;
        memcpy(buf, s->now + block * BLOCK, n * BLOCK);
        return 0;
}

static bool is_bad(const struct simdisk *s, uint64_t block)
{
        return (s->bad_block && block == s->bad_block) ||
               (block >= s->bad_from && block < (s->bad_until ? s->bad_until : s->d.nblocks - 1) &&
                (block * 0x9e3779b97f4a7c15ul >> 32) % 1000 < s->bad_per_mille);
}

static int write_sectors(struct simdisk *s, uint64_t sector, const void *buf, uint32_t n)
{
        bool bad = chance(s, s->fail_writes);

        s->nwrites++;
        for (uint64_t b = sector / 8; b <= (sector + n - 1) / 8; b++)
                bad |= is_bad(s, b);
        if (bad) {
                uint32_t some = (uint32_t)(hosted_random(&s->rng) % n);

                if (some)
                        record(s, sector, some, buf);
                return -1;
        }
        record(s, sector, n, buf);
        return 0;
}

static int disk_write_(struct store_disk *d, uint64_t block, const void *buf, uint32_t n)
{
        struct simdisk *s = (struct simdisk *)d;

        if (block + n > d->nblocks)
                abort();
        s->nblocks_written += n;
        return write_sectors(s, block * (BLOCK / SECTOR_SIZE), buf, n * (BLOCK / SECTOR_SIZE));
}

static int disk_write_sector(struct store_disk *d, uint64_t sector, const void *buf)
{
        return write_sectors((struct simdisk *)d, sector, buf, 1);
}

static int disk_flush_(struct store_disk *d)
{
        struct simdisk *s = (struct simdisk *)d;

        s->nflushes++;
        if (!chance(s, s->lose_flushes))
                record(s, 0, 0, s->now);
        return 0;
}

/* What was there is anything now. */
static int disk_discard_(struct store_disk *d, uint64_t block, uint32_t n)
{
        struct simdisk *s = (struct simdisk *)d;
        uint8_t *any = must_have(malloc(n * BLOCK));

        if (block + n > d->nblocks)
                abort();
        s->ndiscards++;
        for (size_t i = 0; i < n * BLOCK / 8; i++)
                ((uint64_t *)any)[i] = hosted_random(&s->rng);
        record(s, block * (BLOCK / SECTOR_SIZE), n * (BLOCK / SECTOR_SIZE), any);
        free(any);
        return chance(s, s->fail_discards) ? -1 : 0;
}

void simdisk_init(struct simdisk *s, uint64_t nblocks, uint64_t seed)
{
        *s = (struct simdisk){.d = {nblocks, disk_read_, disk_write_, disk_write_sector, disk_flush_, disk_discard_, 1,
                                    .can_share = true},
                              .rng = seed};
        s->now = must_have(calloc(nblocks, BLOCK));
        s->base = must_have(malloc(nblocks * BLOCK));
        s->op = shared(MAX_OPS * sizeof(*s->op));
        s->data = shared(MAX_DATA);
}

void simdisk_settle(struct simdisk *s)
{
        s->nops = s->ndata = 0;
}

void simdisk_free(struct simdisk *s)
{
        munmap(s->op, MAX_OPS * sizeof(*s->op));
        munmap(s->data, MAX_DATA);
        free(s->now);
        free(s->base);
}

static bool survives(enum cut_mode mode, uint64_t *rng)
{
        uint64_t x = hosted_random(rng);

        switch (mode) {
        case CUT_ALL:
                return false;
        case CUT_RANDOM:
                return x % 2;
        case CUT_FEW:
                return x % 20 == 0;
        case CUT_MOST:
                return x % 20 != 0;
        default:
                return true;
        }
}

void simdisk_cut(const struct simdisk *s, size_t at, enum cut_mode mode, uint64_t *rng, struct simdisk *to)
{
        size_t flushed = at, npending, *order, victim;

        if (to->now != s->now)
                memcpy(to->now, s->nops && s->base ? s->base : s->now, s->d.nblocks * BLOCK);
        while (flushed && s->op[flushed - 1].nsectors)
                flushed--;
        for (size_t i = 0; i < flushed; i++)
                if (s->op[i].nsectors)
                        memcpy(to->now + s->op[i].sector * SECTOR_SIZE, s->op[i].data, s->op[i].nsectors * SECTOR_SIZE);
        npending = at - flushed;
        order = must_have(malloc((npending + 1) * sizeof(*order)));
        for (size_t i = 0; i < npending; i++)
                order[i] = flushed + i;
        for (size_t i = npending; mode != CUT_NONE && i > 1; i--) {
                size_t j = hosted_random(rng) % i, swap = order[i - 1];

                order[i - 1] = order[j];
                order[j] = swap;
        }
        victim = npending ? flushed + hosted_random(rng) % npending : at;
        for (size_t i = 0; i < npending; i++) {
                const struct simdisk_op *op = &s->op[order[i]];

                if (mode == CUT_ONE && order[i] == victim)
                        continue;
                for (uint32_t k = 0; k < op->nsectors; k++)
                        if (survives(mode, rng))
                                memcpy(to->now + (op->sector + k) * SECTOR_SIZE, op->data + k * SECTOR_SIZE,
                                       SECTOR_SIZE);
        }
        free(order);
        simdisk_settle(to);
}
