/*
 * disk.c - all that a store reads and writes passes here, and with it the question whose the store is.
 *
 * Two machines that reach one disk may open the same store. Who opens it puts a random number into the attempt sector: a claim, and the newest one counts. An owner reads the sector again when
 * LEASE_NS have passed since it last did: before it writes, and before it believes a flush, by which something becomes durable for others. Who finds another's number there stops for good.
 * Who claims a store that was not closed in order writes nothing for CLAIM_NS: by then the owner before has noticed, and its last write is on the disk. If what recovery took for the end is not
 * the end any more, that one was alive: then the new owner stops as well, with nothing lost, and the next start finds all of it.
 * Times are of a clock that never jumps. Not covered: a write that the disk finishes later than CLAIM_NS - LEASE_NS; two machines that open a store closed in order in the same instant.
 */
#include "persist/store/internal.h"

/* ---- whose it is ---- */

/* Another machine may have written what was read before. */
static void forget(struct store *s)
{
        if (s->disk->forget)
                s->disk->forget(s->disk);
}

/* Is it still ours? 0, or the error with which the store has failed. */
static int lease(struct store *s)
{
        struct disk_attempt *a = (struct disk_attempt *)s->owner_block;
        uint64_t now = persist_host->uptime_ns();
        int r;

        if (now < s->lease_ns || s->failed)
                return s->failed;
        forget(s);
        r = disk_read(s, BLOCK_ATTEMPT, a, 1);
        if (r) {
                persist_host->log("store: block %u, which says whose it is, cannot be read\n", BLOCK_ATTEMPT);
        } else if (a->magic != ATTEMPT_MAGIC || a->owner != s->attempt.owner) {
                persist_host->log("store: another machine has opened it; nothing more is written\n");
                r = -EBUSY;
        }
        if (r)
                s->failed = r;
        else
                s->lease_ns = now + LEASE_NS;
        return r;
}

int attempt_write(struct store *s)
{
        struct disk_attempt *a = &s->attempt;

        a->magic = ATTEMPT_MAGIC;
        __builtin_memcpy(a->uuid, s->uuid, sizeof(a->uuid));
        a->sum = self_sum(a, &a->sum, sizeof(*a));
        return s->disk->write_sector(s->disk, (uint64_t)BLOCK_ATTEMPT * (STORE_BLOCK / SECTOR), a) ||
                               s->disk->flush(s->disk)
                       ? -EIO
                       : 0;
}

int claim(struct store *s, uint64_t owner)
{
        struct disk_attempt *a = (struct disk_attempt *)s->owner_block;
        int r = disk_read(s, BLOCK_ATTEMPT, a, 1);
        bool whole = !r && a->magic == ATTEMPT_MAGIC && self_sum(a, &a->sum, sizeof(*a)) == a->sum &&
                     !__builtin_memcmp(a->uuid, s->uuid, sizeof(a->uuid));
        bool closed = whole && !a->owner;

        s->attempt.attempts = whole ? a->attempts + 1 : 1;
        s->attempt.owner = owner;
        r = attempt_write(s);
        s->ready_ns = persist_host->uptime_ns() + (closed ? 0 : CLAIM_NS);
        return r;
}

uint64_t store_wait_ns(const struct store *s)
{
        uint64_t now = persist_host->uptime_ns();

        return s->failed || now >= s->ready_ns ? 0 : s->ready_ns - now;
}

int claim_settle(struct store *s)
{
        bool changed = false;
        uint64_t wait;
        int r;

        while ((wait = store_wait_ns(s)))
                persist_host->writer_pause(wait);
        r = lease(s);
        forget(s);
        for (unsigned i = 0; i < 2 && !r; i++)
                if (s->super_seen[i] && !disk_read(s, super_place(s, i), s->owner_block, 1))
                        changed |= block_sum(s->owner_block, STORE_BLOCK) != s->super_seen[i];
        if (!r && !changed) {
                r = chain_goes_on(s);
                changed = r > 0;
        }
        if (changed) {
                persist_host->log(
                        "store: another machine was still writing to it when this one opened it. All it wrote "
                        "is there; nothing is written here\n");
                r = s->failed = -EBUSY;
        }
        return r;
}

int store_well(struct store *s)
{
        int r = lease(s);

        if (r)
                return r;
        s->attempt.attempts = 0;
        return attempt_write(s);
}

int store_leave(struct store *s)
{
        int r = lease(s);

        if (r)
                return r;
        s->attempt.owner = 0;
        s->attempt.attempts = 0;
        r = attempt_write(s);
        s->failed = -EROFS;
        return r;
}

/* ---- access ---- */

bool store_share(struct store *s, bool on)
{
        if (on && !s->disk->can_share)
                return false;
        s->disk->at_once = on;
        return true;
}

int disk_read(struct store *s, uint64_t block, void *buf, uint32_t n)
{
        if (block >= s->disk->nblocks || n > s->disk->nblocks - block)
                return -EUCLEAN;
        return s->disk->read(s->disk, block, buf, n) ? -EIO : 0;
}

int disk_try(struct store *s, uint64_t block, const void *buf, uint32_t n)
{
        int r = lease(s);

        return r ? r : s->disk->write(s->disk, block, buf, n) != 0;
}

int disk_write(struct store *s, uint64_t block, const void *buf, uint32_t n)
{
        int r = disk_try(s, block, buf, n);

        if (r > 0)
                r = s->failed = -EIO;
        return r;
}

int disk_write_new(struct store *s, const void *buf, uint32_t want, uint64_t *block, uint32_t *got)
{
        int r;

        for (unsigned tries = 0; tries < WRITE_TRIES; tries++) {
                r = blocks_alloc(s, want, block, got);
                if (!r)
                        r = disk_try(s, *block, buf, *got);
                if (r <= 0)
                        return r;
                persist_host->log("store: block %lu cannot be written; another is taken\n", *block);
                for (uint32_t i = 0; i < *got; i++) {
                        r = dead_add_old(s, *block + i, 0, 0, DEATH_BAD | DEATH_UNKEPT);
                        if (r)
                                return r;
                }
                blocks_skip(s, tries);
        }
        s->failed = -EIO;
        return -EIO;
}

int disk_discard(struct store *s, uint64_t block, uint32_t n)
{
        int r = lease(s);

        if (r || !s->disk->discard(s->disk, block, n))
                return r;
        persist_host->log("store: the disk cannot discard blocks; it is not told of free ones any more\n");
        return -EIO;
}

int disk_flush(struct store *s)
{
        if (s->disk->flush(s->disk))
                s->failed = -EIO;
        return lease(s);
}
