/*
 * heap.c - objects in blocks of 32 KiB with lines of 128 bytes; nothing moves.
 *
 *   block 0                 struct root
 *   blocks 1 .. 64          kinds: a byte a block
 *   blocks 65 .. 2112       line maps: 32 bytes a block, a bit a line: in use
 *   FIRST_BLOCK ..          blocks
 *
 * Objects are made in runs, one behind the other: short ones, of up to a line, in gaps between old objects, to the byte; longer ones in free lines, in a run of their own; those of more than
 * OBJ_LARGE take blocks of their own. All lines of a run are in use in the line map from when it is handed out, so after a recovery what is behind the last object of a run is lost until the
 * next full collection, and nothing else.
 *
 * Where runs come from: first from the blocks that the last young collection has swept, so that what is written again is what was written just now, in the caches and in the pages that the
 * next snapshot has to take anyway; then from what the last full collection has left free in other blocks; then from free blocks. If much is free in blocks in use (holes_first), free blocks
 * wait, those that were swept, too.
 *
 * Each worker has runs of its own; where they come from is under PVM_LOCK_HEAP, behind which no other is taken. Side tables are used without it: they grow while nobody else runs,
 * ahead of need (heap_safepoint).
 *
 * Since nothing moves, what keeps the heap small is that any gap is used again, and who shares blocks with whom (group_of).
 */
#include "pvm/heap.h"
#include "kernel/lib/string.h"
#include <asm/errno.h>

#define CHUNK 32u /* blocks provided at once */
#define GAP   24u /* shorter gaps are not worth a run */
#define DENSE                                                                                                          \
        (PVM_BLOCK_BYTES / 8 * 31 /                                                                                    \
         32) /* units of 8 bytes: a block with more than that of old objects is not worth a look at each of them */
#define AHEAD 256u /* blocks for which side tables have room before they are needed, if there are several workers */

struct side side;
struct runs given;
struct pvm_limits pvm_limits;
static uint32_t provided;    /* blocks below it are there */
static uint32_t side_wanted; /* blocks for which side tables are to have room from the next safepoint on */

static void heap_lock(void)
{
        if (!machine_alone)
                pvm_host->lock(PVM_LOCK_HEAP);
}

static void heap_unlock(void)
{
        if (!machine_alone)
                pvm_host->unlock(PVM_LOCK_HEAP);
}

static struct {
        uint32_t *block;
        size_t n, cap;
} swept; /* blocks that the last young collection has swept, and where something was given back since */
/* Where the search for holes goes on, in `swept` and in all blocks: of objects of up to a line, up to 2, 4, 8... */
#define SIZES 10u
static struct place {
        uint32_t at;
        unsigned offset;
        unsigned none; /* but in_swept: for so many bytes there is nothing */
} in_swept[SIZES], in_group[SIZES], in_all[SIZES];
/* What next_run gives: nobody else has it, so it is cleared, if it is not zero, when the lock is free again. */
struct room {
        char *cur, *end;
        bool zero;
};
static bool holes_first;         /* there are so many of them that free blocks wait */
static uint32_t free_block_hint; /* no block below it is free */

void heap_wrote_elements(const struct store *s, uint32_t from, uint32_t n)
{
        const char *at = (const char *)&s->r[from], *last = (const char *)&s->r[from + n] - 1;

        for (; n && at < last; at += CARD)
                heap_wrote(at);
        if (n)
                heap_wrote(last);
}

size_t obj_size(const struct obj *o)
{
        uint32_t units = o->info & OBJ_UNITS;

        return units ? units * 8ul : ((const uint64_t *)o)[-2];
}

bool room_for(void **array, size_t *cap, size_t n, size_t each)
{
        size_t more = *cap ? *cap * 2 : 4096;
        void *p;

        if (n < *cap)
                return true;
        p = pvm_host->mem_alloc(more * each);
        if (!p)
                return false;
        if (*array) {
                memcpy(p, *array, n * each);
                pvm_host->mem_free(*array, *cap * each);
        }
        *array = p;
        *cap = more;
        return true;
}

/* The run is in use from here on. */
static void give_run(uint32_t b, unsigned from, unsigned to, uint64_t bytes)
{
        lines_set(b, from, to, true);
        if (room_for((void **)&given.run, &given.cap, given.n, sizeof(*given.run)))
                given.run[given.n++] = (struct run){b, (uint16_t)from, (uint16_t)to};
        else
                given.incomplete = true;
        given.bytes += bytes;
        heap_stats.allocated += bytes;
        if (given.bytes >= collect_at && heap_wants == WANTS_NOTHING) {
                heap_wants = WANTS_YOUNG;
                pvm_interrupt();
        }
}

static void side_free(struct side *s)
{
        if (s->marks)
                pvm_host->mem_free(s->marks, s->blocks * CARDS * sizeof(*s->marks));
        if (s->cards)
                pvm_host->mem_free(s->cards, s->blocks * CARDS);
        if (s->holes)
                pvm_host->mem_free(s->holes, s->blocks);
        if (s->fill)
                pvm_host->mem_free(s->fill, s->blocks * sizeof(*s->fill));
        if (s->group)
                pvm_host->mem_free(s->group, s->blocks);
        memset(s, 0, sizeof(*s));
}

static bool side_room(uint32_t blocks)
{
        uint32_t more = side.blocks * 2 > blocks ? side.blocks * 2 : blocks, before = side.blocks;
        struct side new = {
                .marks = pvm_host->mem_alloc(more * CARDS * sizeof(*new.marks)),
                .cards = pvm_host->mem_alloc(more * CARDS),
                .holes = pvm_host->mem_alloc(more),
                .fill = pvm_host->mem_alloc(more * sizeof(*new.fill)),
                .group = pvm_host->mem_alloc(more),
                .blocks = more,
        };
        bool ok = new.marks &&new.cards &&new.holes &&new.fill &&new.group;

        if (ok && before) {
                memcpy(new.marks, side.marks, before * CARDS * sizeof(*new.marks));
                memcpy(new.cards, side.cards, before * CARDS);
                memcpy(new.holes, side.holes, before);
                memcpy(new.fill, side.fill, before * sizeof(*new.fill));
                memcpy(new.group, side.group, before);
        }
        side_free(ok ? &side : &new);
        if (!ok)
                return false;
        side = new;
        for (unsigned i = 0; i < nworkers; i++)
                workers[i]->cards = (uint64_t)side.cards - (uint64_t)block_address(FIRST_BLOCK) / CARD;
        return true;
}

/* Side tables have room for so many blocks. While others use them they stay where they are. */
static bool side_has(uint32_t blocks)
{
        if (!machine_alone && blocks + AHEAD > side.blocks) {
                side_wanted = blocks + 2 * AHEAD > side_wanted ? blocks + 2 * AHEAD : side_wanted;
                pvm_interrupt();
        }
        return blocks <= side.blocks || (machine_alone && side_room(blocks));
}

void heap_safepoint(void)
{
        if (side_wanted <= side.blocks || side_room(side_wanted))
                side_wanted = 0;
}

void heap_share(void)
{
        side_wanted = provided - FIRST_BLOCK + 2 * AHEAD;
        heap_safepoint();
}

static bool provide(uint32_t end)
{
        if (end <= provided)
                return true;
        end = (end + CHUNK - 1) / CHUNK * CHUNK;
        if (end > PVM_BLOCKS_MAX || !side_has(end - FIRST_BLOCK))
                return false;
        /* Pages of the tables first, then the blocks. */
        uint64_t k0 = (uint64_t)&kinds[provided] & ~4095ul, k1 = ((uint64_t)&kinds[end] + 4095) & ~4095ul;
        uint64_t l0 = (uint64_t)&lines[provided] & ~4095ul, l1 = ((uint64_t)&lines[end] + 4095) & ~4095ul;

        if (pvm_host->heap_provide((void *)k0, k1 - k0) || pvm_host->heap_provide((void *)l0, l1 - l0) ||
            pvm_host->heap_provide(block_address(provided), (end - provided) * PVM_BLOCK_BYTES))
                return false;
        provided = end;
        return true;
}

/* n blocks in a row, whose kind is set; 0: none. *fresh: they are zero. */
static uint32_t take_blocks(uint32_t n, enum block_kind kind, bool *fresh)
{
        struct root *r = root();
        uint32_t b, run = 0;

        if ((r->blocks_in_use + n) * PVM_BLOCK_BYTES > pvm_limits.heap_bytes)
                return 0;
        for (b = free_block_hint; b < r->frontier; b++) {
                run = kinds[b] == BLOCK_FREE ? run + 1 : 0;
                if (run == n)
                        break;
        }
        if (run == n) {
                b = b + 1 - n;
                if (n == 1 || b == free_block_hint)
                        free_block_hint = b + n;
                *fresh = false;
        } else {
                if (n == 1)
                        free_block_hint = r->frontier;
                b = r->frontier;
                if (n > PVM_BLOCKS_MAX - b || !provide(b + n))
                        return 0;
                r->frontier = b + n;
                *fresh = true;
        }
        r->blocks_in_use += n;
        kinds[b] = kind;
        for (uint32_t i = 1; i < n; i++)
                kinds[b + i] = BLOCK_LARGE_NEXT;
        return b;
}

static void *alloc_large(uint32_t class, size_t size, uint32_t flags)
{
        size_t whole = size + offsetof(struct large, o);
        uint32_t n, b;
        bool fresh;
        struct large *l;

        if (whole > (uint64_t)PVM_BLOCKS_MAX * PVM_BLOCK_BYTES / 2)
                return NULL;
        n = (uint32_t)((whole + PVM_BLOCK_BYTES - 1) / PVM_BLOCK_BYTES);
        heap_lock();
        b = take_blocks(n, BLOCK_LARGE, &fresh);
        if (b)
                give_run(b, 0, 0, n * PVM_BLOCK_BYTES);
        heap_unlock();
        if (!b)
                return NULL;
        l = (struct large *)block_address(b);
        if (!fresh)
                memset(l, 0, whole);
        l->size = size;
        l->o.class = class;
        l->o.info = flags;
        return &l->o;
}

/* The first line from `line` on that is in use, or is not; LINES: none. */
static unsigned next_line(uint32_t b, unsigned line, bool used)
{
        while (line < LINES) {
                uint64_t bits = (used ? lines[b][line / 64] : ~lines[b][line / 64]) >> line % 64;

                if (bits)
                        return line + (unsigned)__builtin_ctzl(bits);
                line = line / 64 * 64 + 64;
        }
        return LINES;
}

/* The next n free lines, or more, of the block, from the place on. */
static bool hole_in(uint32_t b, struct place *p, unsigned n, struct room *room)
{
        unsigned from, to = p->offset / LINE;

        do {
                from = next_line(b, to, false);
                to = next_line(b, from, true);
        } while (from < LINES && to - from < n);
        p->offset = to * LINE;
        if (from == LINES)
                return false;
        room->cur = block_address(b) + from * LINE;
        room->end = block_address(b) + to * LINE;
        give_run(b, from, to, (to - from) * LINE);
        return true;
}

/* Where the next old object of the block is, from the offset on, a multiple of 8. */
static unsigned next_old(uint32_t b, unsigned offset)
{
        const uint64_t *marks = side.marks + (b - FIRST_BLOCK) * (uint64_t)CARDS;

        while (offset < PVM_BLOCK_BYTES) {
                uint64_t bits = marks[offset / CARD] >> offset % CARD / 8;

                if (bits)
                        return offset + (unsigned)__builtin_ctzl(bits) * 8;
                offset = offset / CARD * CARD + CARD;
        }
        return PVM_BLOCK_BYTES;
}

/*
 * The first part of [at, end), between two old objects, that can be had: the lines that these reach into are in use for their sake alone, of the others those that are not
 * in use. Returns its end, *at is its beginning.
 */
static unsigned part_of_gap(uint32_t b, unsigned *at, unsigned end)
{
        unsigned first = (*at + LINE - 1) / LINE, last = end / LINE, used;

        if (*at % LINE == 0) {
                first = next_line(b, first, false);
                *at = first < last ? first * LINE : last * LINE;
        }
        used = next_line(b, first, true);
        return used < last ? used * LINE : end;
}

/* The next n bytes, or more, that lie between old objects, from the place on. */
static bool gap_in(uint32_t b, struct place *p, unsigned n, struct room *room)
{
        unsigned at = p->offset;

        while (at < PVM_BLOCK_BYTES) {
                unsigned old = next_old(b, at), part_end;

                if (old == at) {
                        at += (unsigned)obj_size((struct obj *)(block_address(b) + at));
                        continue;
                }
                part_end = part_of_gap(b, &at, old);
                if (part_end - at >= n) {
                        room->cur = block_address(b) + at;
                        room->end = block_address(b) + part_end;
                        p->offset = part_end;
                        give_run(b, (at + LINE - 1) / LINE, part_end / LINE, part_end - at);
                        return true;
                }
                at = part_end;
        }
        p->offset = at;
        return false;
}

void find_holes(uint32_t b)
{
        unsigned longest = 0;

        for (unsigned from = next_line(b, 0, false), to; from < LINES; from = next_line(b, to, false)) {
                to = next_line(b, from, true);
                longest = to - from > longest ? to - from : longest;
        }
        side.holes[b - FIRST_BLOCK] = (uint8_t)(longest + 1 < UINT8_MAX ? longest + 1 : UINT8_MAX);
}

static void give_block(uint32_t b, unsigned group, bool fresh, struct room *room)
{
        room->cur = block_address(b);
        room->end = room->cur + PVM_BLOCK_BYTES;
        side.holes[b - FIRST_BLOCK] = 0;
        side.group[b - FIRST_BLOCK] = (uint8_t)group;
        room->zero = fresh;
        give_run(b, 0, LINES, PVM_BLOCK_BYTES);
}

/* What shares blocks: objects of up to a line, up to 8 lines, and longer ones. Holes that short ones leave are no use to long ones, and those of long ones are soon gone if short ones get in. */
static unsigned group_of(unsigned log)
{
        return !log ? 1 : log <= 3 ? 2 : 3;
}

/* All gaps in the block, one after the other: nobody else has anything to look for there then (holes is 0). */
static bool short_in(uint32_t b, struct place *p, unsigned size, struct room *room)
{
        uint8_t *holes = &side.holes[b - FIRST_BLOCK];

        if (!*holes && !p->offset)
                return false;
        *holes = 0;
        if (!p->offset && side.fill[b - FIRST_BLOCK] > DENSE)
                return false;
        return gap_in(b, p, size > GAP ? size : GAP, room);
}

static bool run_in(uint32_t b, struct place *p, unsigned size, struct room *room)
{
        unsigned n = (size + LINE - 1) / LINE;
        bool found;

        if (size <= LINE)
                return short_in(b, p, size, room);
        found = side.holes[b - FIRST_BLOCK] > n && hole_in(b, p, n, room);
        if (found)
                find_holes(b);
        return found;
}

/*
 * In blocks of this group, 0: of any. Short ones go through all blocks once between two full collections, long ones round and round till there is nothing for them.
 */
static bool run_in_all(struct place *p, unsigned size, unsigned group, struct room *room)
{
        uint32_t n = root()->frontier - FIRST_BLOCK;

        if (size > LINE && size >= p->none)
                return false;
        for (; n--; p->at++, p->offset = 0) {
                if (p->at >= root()->frontier && size <= LINE)
                        return false;
                if (p->at >= root()->frontier)
                        p->at = FIRST_BLOCK;
                if (kinds[p->at] == BLOCK_SMALL && (!group || side.group[p->at - FIRST_BLOCK] == group) &&
                    run_in(p->at, p, size, room))
                        return true;
        }
        if (size > LINE)
                p->none = size;
        return false;
}

/* A run for `size` bytes. */
static bool next_run(unsigned log, unsigned size, struct room *room)
{
        struct place *p = &in_swept[log];
        struct root *r = root();
        unsigned group = group_of(log);
        bool fresh;
        uint32_t b;

        for (; p->at < swept.n; p->at++, p->offset = 0) {
                b = swept.block[p->at];
                if (kinds[b] == BLOCK_SMALL && side.group[b - FIRST_BLOCK] == group && run_in(b, p, size, room))
                        return true;
                if (kinds[b] != BLOCK_FREE || holes_first ||
                    (r->blocks_in_use + 1) * PVM_BLOCK_BYTES > pvm_limits.heap_bytes)
                        continue;
                r->blocks_in_use++;
                kinds[b] = BLOCK_SMALL;
                give_block(b, group, false, room);
                return true;
        }
        if (run_in_all(&in_group[log], size, group, room))
                return true;
        b = take_blocks(1, BLOCK_SMALL, &fresh);
        if (b)
                give_block(b, group, fresh, room);
        return b || run_in_all(&in_all[log], size, 0, room);
}

static void *place(char **cur, uint32_t class, size_t size, uint32_t flags)
{
        struct obj *o = (struct obj *)*cur;

        *cur += size;
        o->class = class;
        o->info = (uint32_t)(size / 8) | flags;
        return o;
}

/* What is left of the run of long objects, if nobody has looked for gaps in its block: lines that others may have. */
static void give_back(void)
{
        struct run *run = &given.run[worker.long_run];
        unsigned used = (unsigned)(((uint64_t)worker.mcur % PVM_BLOCK_BYTES + LINE - 1) / LINE);

        if (worker.mend - worker.mcur < (ptrdiff_t)LINE || given.incomplete ||
            (!side.holes[run->block - FIRST_BLOCK] && run->to - run->from < (int)LINES) ||
            !room_for((void **)&swept.block, &swept.cap, swept.n, sizeof(*swept.block)))
                return;
        given.bytes -= (run->to - used) * LINE;
        heap_stats.allocated -= (run->to - used) * LINE;
        lines_set(run->block, used, run->to, false);
        run->to = (uint16_t)used;
        find_holes(run->block);
        swept.block[swept.n++] = run->block;
}

/* [*cur, *end) becomes zeroed room for `size` bytes, instead of what was left there. */
static bool new_run(unsigned log, unsigned size, char **cur, char **end)
{
        struct room room = {NULL, NULL, false};
        bool found;

        heap_lock();
        if (log) {
                give_back();
                worker.mcur = worker.mend = NULL;
        }
        found = next_run(log, size, &room);
        if (log)
                worker.long_run = given.n - 1;
        heap_unlock();
        if (!found)
                return false;
        if (!room.zero)
                memset(room.cur, 0, (size_t)(room.end - room.cur));
        *cur = room.cur;
        *end = room.end;
        return true;
}

void *heap_alloc_slow(uint32_t class, size_t size, uint32_t flags)
{
        unsigned log = 32 - (unsigned)__builtin_clz((unsigned)((size - 1) / LINE) | 1);

        if (size > OBJ_LARGE)
                return alloc_large(class, size, flags);
        if (size <= LINE) {
                if (!new_run(0, (unsigned)size, &worker.cur, &worker.end))
                        return NULL;
                return place(&worker.cur, class, size, flags);
        }
        if (size > (size_t)(worker.mend - worker.mcur) && !new_run(log, (unsigned)size, &worker.mcur, &worker.mend))
                return NULL;
        return place(&worker.mcur, class, size, flags);
}

void block_free(uint32_t b)
{
        if (b < free_block_hint)
                free_block_hint = b;
        do {
                kinds[b++] = BLOCK_FREE;
                root()->blocks_in_use--;
        } while (b < root()->frontier && kinds[b] == BLOCK_LARGE_NEXT);
}

static void next_block(struct place *p)
{
        p->at += p->offset > 0;
        p->offset = 0;
}

static void forget_runs(void)
{
        for (unsigned i = 0; i < nworkers; i++)
                workers[i]->cur = workers[i]->end = workers[i]->mcur = workers[i]->mend = NULL;
}

#define LISTED 0x80u /* in side.group, in note_swept alone */

/* The blocks in `given`, once each, and behind them those in `swept` that nobody has come to. */
static void note_swept(void)
{
        size_t first = 0, kept, listed = 0;

        for (unsigned i = 0; i < SIZES; i++)
                first = in_swept[i].at > first ? in_swept[i].at : first;
        kept = first;
        for (size_t i = 0; i < given.n; i++) {
                uint8_t *group = &side.group[given.run[i].block - FIRST_BLOCK];

                if (*group & LISTED || kinds[given.run[i].block] == BLOCK_LARGE)
                        continue;
                *group |= LISTED;
                given.run[listed++] = given.run[i];
        }
        for (size_t i = first; i < swept.n; i++)
                if (!(side.group[swept.block[i] - FIRST_BLOCK] & LISTED))
                        swept.block[kept++] = swept.block[i];
        kept -= first;
        for (size_t i = 0; i < listed; i++)
                side.group[given.run[i].block - FIRST_BLOCK] &= (uint8_t)~LISTED;
        while (listed + kept > swept.cap)
                if (!room_for((void **)&swept.block, &swept.cap, swept.cap, sizeof(*swept.block))) {
                        kept = 0;
                        listed = listed < swept.cap ? listed : swept.cap;
                }
        if (kept)
                memmove(swept.block + listed, swept.block + first, kept * sizeof(*swept.block));
        for (size_t i = 0; i < listed; i++)
                swept.block[i] = given.run[i].block;
        swept.n = listed + kept;
}

void heap_collected(bool young, uint64_t live)
{
        holes_first = root()->blocks_in_use * PVM_BLOCK_BYTES > live / 4 * 5;
        if (young)
                note_swept();
        else
                swept.n = 0;
        memset(in_swept, 0, sizeof(in_swept));
        for (unsigned i = 0; i < SIZES; i++)
                if (!young) {
                        in_group[i] = in_all[i] = (struct place){FIRST_BLOCK, 0, PVM_BLOCK_BYTES};
                } else { /* the rest of a block is among those swept */
                        next_block(&in_group[i]);
                        next_block(&in_all[i]);
                }
        given.n = 0;
        given.bytes = 0;
        given.incomplete = false;
        forget_runs();
}

void heap_swept(uint32_t b)
{
        if (room_for((void **)&swept.block, &swept.cap, swept.n, sizeof(*swept.block)))
                swept.block[swept.n++] = b;
}

void heap_no_holes(void)
{
        swept.n = 0;
        memset(in_swept, 0, sizeof(in_swept));
        for (unsigned i = 0; i < SIZES; i++)
                in_group[i] = in_all[i] = (struct place){root()->frontier, 0, 0};
        if (side.blocks)
                memset(side.holes, 0, side.blocks);
}

static void volatile_state(void)
{
        heap_no_holes();
        free_block_hint = FIRST_BLOCK;
        given.n = 0;
        given.bytes = 0;
        given.incomplete = false;
        forget_runs();
}

int heap_create(void)
{
        if (pvm_host->heap_provide(root(), PVM_BLOCK_BYTES))
                return -ENOMEM;
        provided = FIRST_BLOCK;
        *root() = (struct root){.frontier = FIRST_BLOCK};
        volatile_state();
        collect_begin(true);
        return provide(FIRST_BLOCK + 1) ? 0 : -ENOMEM;
}

int heap_recover(void)
{
        if (root()->frontier < FIRST_BLOCK || root()->frontier > PVM_BLOCKS_MAX)
                return -EINVAL;
        provided = FIRST_BLOCK;
        if (!provide(root()->frontier))
                return -ENOMEM;
        volatile_state();
        collect_begin(false);
        return 0;
}

uint8_t pvm_pages_free(uint32_t b)
{
        const uint32_t *page = (const uint32_t *)lines[b];
        uint8_t free = 0;

        _Static_assert(PVM_BLOCK_BYTES / 8 / LINE == 32, "a page's lines are a word");
        if (b < FIRST_BLOCK || kinds[b] == BLOCK_LARGE || kinds[b] == BLOCK_LARGE_NEXT)
                return 0;
        if (kinds[b] == BLOCK_FREE)
                return 0xff;
        for (unsigned i = 0; i < 8; i++)
                free |= (uint8_t)(!page[i] << i);
        return free;
}

uint32_t pvm_frontier(void)
{
        const struct root *r = root();

        return r->magic == ROOT_MAGIC && r->frontier >= FIRST_BLOCK && r->frontier <= PVM_BLOCKS_MAX ? r->frontier : 0;
}

bool pvm_heap_part(unsigned part, uint32_t frontier, uint64_t *from, uint64_t *end)
{
        uint32_t top = frontier ? (frontier + CHUNK - 1) / CHUNK * CHUNK : 0;
        void *const part_from[] = {root(), &kinds[FIRST_BLOCK], &lines[FIRST_BLOCK], block_address(FIRST_BLOCK)};
        void *const part_end[] = {(char *)root() + PVM_BLOCK_BYTES, &kinds[top], &lines[top], block_address(top)};

        if (part >= 4 || !frontier)
                return false;
        *from = (uint64_t)part_from[part] - PVM_HEAP_START;
        *end = (uint64_t)part_end[part] - PVM_HEAP_START;
        return true;
}

void heap_forget(void)
{
        if (given.cap)
                pvm_host->mem_free(given.run, given.cap * sizeof(*given.run));
        if (swept.cap)
                pvm_host->mem_free(swept.block, swept.cap * sizeof(*swept.block));
        side_free(&side);
        memset(&given, 0, sizeof(given));
        memset(&swept, 0, sizeof(swept));
        memset(&worker, 0, sizeof(worker));
        provided = 0;
        side_wanted = 0;
        collect_forget();
}
