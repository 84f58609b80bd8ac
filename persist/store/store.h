/*
 * store.h - the persistent space on a disk: commits, recovery, kept snapshots. FORMAT.md says how it lies there.
 *
 * One thread at a time uses a store. Functions return 0 or -Exxx: -EIO (device, or a checksum that does not hold), -ENOSPC, -ENOMEM, -EUCLEAN (the
 * store contradicts itself). After an error inside a commit or checkpoint the store is `failed`: it takes no more commits, and what
 * was acknowledged before is on the disk.
 */
#pragma once
#include "persist/host.h"

struct store_disk {
        uint64_t nblocks; /* of 4096 bytes */
        int (*read)(struct store_disk *d, uint64_t block, void *buf, uint32_t nblocks);
        int (*write)(struct store_disk *d, uint64_t block, const void *buf, uint32_t nblocks);
        int (*write_sector)(struct store_disk *d, uint64_t sector, const void *buf); /* 512 bytes */
        int (*flush)(struct store_disk *d);
        /* The blocks' contents are not needed any more. NULL: it has no use for that. It works well in units of discard_unit blocks, from block 0 on. */
        int (*discard)(struct store_disk *d, uint64_t block, uint32_t nblocks);
        uint32_t discard_unit;
        /*
         * These blocks will be read one by one: they may be read at once, and kept until something is written or they are to be forgotten, since another machine may have written. NULL: nothing is
         * ever read ahead.
         */
        void (*ahead)(struct store_disk *d, uint64_t block, uint32_t nblocks);
        void (*forget)(struct store_disk *d);
        bool can_share; /* at_once may be set at any time */
        bool at_once; /* who waits for the disk does not give way: several may use it in turn, from wherever they are */
};

struct store;

struct store_clock {
        uint64_t mono_ns, real_ns;
};

/* An empty store over the whole disk. -EINVAL: too small (2 MiB at least) or too large (16 TiB). */
int store_format(struct store_disk *d, const uint8_t uuid[16], uint64_t base);

/*
 * Opens and recovers: finds the newest state that is whole. Writes nothing but the attempt sector, which makes it ours: if another machine
 * has it open, that one stops with -EBUSY. owner: a random number; 0: only to look, nothing at all is written and commits are -EROFS.
 * -ENOENT: no store here: neither superblock has its magic. What else is wrong is said on the log, and nothing was written: -EOPNOTSUPP: of
 * another version, or with contents of another schema; -EINVAL: the disk is smaller than the store; -EUCLEAN: no superblock is
 * whole, or none leads to a state that is; -EIO: the disk cannot be read where a superblock would be; -EROFS: it cannot be
 * written; -ENOMEM.
 */
int store_open(struct store_disk *d, uint64_t owner, struct store **store);
/*
 * on: whoever reads from now on may be another one each time, one at a time, also one who may not give way. False: this disk cannot do that, and nothing has changed. It does no good to
 * writes and is not meant for them.
 */
bool store_share(struct store *s, bool on);
void store_close(struct store *s); /* frees memory; the disk stays as it is */
int store_leave(struct store *s);  /* marks the store as closed in order; nothing more is written then */
int store_well(struct store *s);   /* this boot went well: attempts are counted from 0 again */
/*
 * Another machine may have had the store when it was opened, and may write on for a moment: so many ns from now on the first write would have to wait, and does (0: none). Who has
 * something else to do meanwhile asks first.
 */
uint64_t store_wait_ns(const struct store *s);

/* Of the state last committed. evidence: a newer epoch that the disk claims durable and does not have (0: none): it lost writes. */
struct store_info {
        uint64_t epoch, evidence, incarnation, base;
        struct store_clock clock;
        uint64_t nblocks, free, recent, pending, nkept;
        uint64_t moved; /* blocks that the cleaner moved in this life */
        uint32_t attempts;
        bool fell_back;  /* the newest superblock was not good */
        bool lists_lost; /* lists of blocks were damaged: some room is lost, and perhaps kept snapshots */
};
void store_info(const struct store *s, struct store_info *info);

/*
 * Contents of a page in the last commit, or in a kept one (epoch != 0). -ENOENT: none, all zeroes (buf is zeroed). Allowed while a commit is open, between its calls, for
 * pages that are not in it.
 */
int store_read(struct store *s, ppn_t ppn, void *buf);
/* The block that has the page's contents in the last commit; 0: none, or it is not alone in one. */
uint64_t store_place(struct store *s, ppn_t ppn);
/* Pages will be read that lie in these blocks, in their order: the blocks may be read at once. */
void store_ahead(struct store *s, uint64_t block, uint32_t n);
int store_read_at(struct store *s, uint64_t epoch, ppn_t ppn, void *buf);

/* Is the page another one in a kept snapshot than in the last commit? 1, 0, or an error. Compares sums: no page is read. Allowed when store_read is. */
int store_differs(struct store *s, uint64_t epoch, ppn_t ppn);

/*
 * For a scrub. store_verify: is the page's block whole (if later changes of it are in records: what they build on), in the last commit or in a kept one (epoch != 0)? 0, -EIO, -ENOENT: there is none born after epoch `since`, or no such snapshot. Allowed when
 * store_read is. store_renew: the page is damaged in that state; if the last commit has the same block for it, the next commit of the page writes it elsewhere, even if it has not changed: true.
 * store_kept_after: the oldest kept snapshot with a greater epoch; 0: none.
 */
int store_verify(struct store *s, uint64_t epoch, ppn_t ppn, uint64_t since);
bool store_renew(struct store *s, uint64_t epoch, ppn_t ppn);
uint64_t store_kept_after(const struct store *s, uint64_t epoch);

/*
 * A commit: begin, then each page that changed (once), then end, which returns when it is durable. npages is a hint: few pages are packed into the
 * record. epoch: the caller's number for the state, store_next_epoch() or greater (-EINVAL else). A page of zeroes takes no room. store_commit_none: the page is free.
 */
int store_commit_begin(struct store *s, uint64_t npages, uint64_t epoch, const struct store_clock *clock);
uint64_t store_next_epoch(const struct store *s);
int store_commit_page(struct store *s, ppn_t ppn, const void *page);
int store_commit_none(struct store *s, ppn_t ppn);
int store_commit_end(struct store *s);

/* Is there room for a commit of npages changed pages, and nnew new ones besides, and for the checkpoint that may follow? */
bool store_room(const struct store *s, uint64_t npages, uint64_t nnew);
/* How many bytes of memory a commit of npages pages, and the checkpoint that may follow, can take at most. */
uint64_t store_memory(const struct store *s, uint64_t npages);
/* The largest nnew with which store_room says yes; 0, too, if there is none. */
uint64_t store_growth(const struct store *s, uint64_t npages);

/*
 * Frees what dead blocks only wait for newer superblocks and commits, with a checkpoint and, if need be, up to three epochs in which nothing changes. Worth it when room is short:
 * info.pending tells how many blocks wait.
 */
int store_settle(struct store *s);

/*
 * The cleaner: when free space is in crumbs, some work to have long runs of it again. To be called outside commits, when nothing else is due; it does nothing that leaves no room for a commit
 * of `spare` pages. True: there is more to do.
 */
bool store_clean(struct store *s, uint64_t spare);

/*
 * Tells the disk of some blocks that have become free; if the caller has other work (idle false), only when they are many. To be called outside commits, when nobody waits for one. True: there are
 * more to tell. After an error no more is told in this life.
 */
bool store_discard(struct store *s, bool idle);

/*
 * The map on disk becomes that of the last commit; done by itself when needed. Cheap: much was committed since the last one, and it would write little beside that; who does it when nobody waits
 * spares recovery the replay.
 */
int store_checkpoint(struct store *s);
bool store_checkpoint_is_cheap(const struct store *s);

/* Kept snapshots: of the last commit; epoch of it in *epoch. Dropping frees what only it had. -ENOENT, -EMFILE (too many). */
int store_keep(struct store *s, uint32_t flags, uint64_t *epoch);
int store_drop(struct store *s, uint64_t epoch);
struct store_kept {
        uint64_t epoch;
        struct store_clock clock;
        uint32_t flags;
};
unsigned store_kept(const struct store *s, struct store_kept *list, unsigned max);

/* P11 and all checksums: walks everything. 0, -EUCLEAN with a line per finding given to report(). */
int store_check(struct store *s, bool read_pages, void (*report)(void *arg, const char *line), void *arg);
