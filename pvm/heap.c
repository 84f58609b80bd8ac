/*
 * heap.c - objects in blocks of 32 KiB with lines of 128 bytes; nothing moves.
 *
 *   block 0                 struct root
 *   blocks 1 .. 64          kinds: a byte a block
 *   blocks 65 .. 2112       line maps: 32 bytes a block, a bit a line: in use
 *   FIRST_BLOCK ..          blocks
 *
 * Small objects go into runs of free lines, one behind the other; those of more than MEDIUM bytes into whole new blocks, so that holes are not passed over for
 * their sake; those of more than OBJ_LARGE take blocks of their own. A run is in use in the line map from when it is taken, so after a recovery
 * what is behind the last object of a run is lost until the next full collection, and nothing else.
 *
 * Where runs come from: first from the blocks that the last young collection has swept, so that what is written again is what was written just now, in the caches and in the pages
 * that the next snapshot has to take anyway; then from the holes that the last full collection has found; then from free blocks.
 */
#include "pvm/heap.h"
#include "kernel/lib/string.h"
#include <asm/errno.h>

#define MEDIUM 512u
#define CHUNK  32u /* blocks provided at once */

struct root_volatile heap;
struct side side;
struct runs given;
struct pvm_limits pvm_limits;
static uint32_t provided; /* blocks below it are there */
static struct {
        uint32_t *block;
        size_t n, cap, at;
        unsigned line;
} swept;                               /* by the last young collection; `line` of the block `at` is next */
static uint32_t scan_block, scan_line; /* where the search for holes goes on in the others */
static uint32_t free_block_hint;       /* no block below it is free */

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
                pvm_poll = 1;
        }
}

static bool side_room(uint32_t blocks)
{
        uint32_t more = side.blocks * 2 > blocks ? side.blocks * 2 : blocks;
        uint64_t *marks;
        uint8_t *cards;

        if (blocks <= side.blocks)
                return true;
        marks = pvm_host->mem_alloc(more * CARDS * sizeof(*marks));
        cards = pvm_host->mem_alloc(more * CARDS);
        if (!marks || !cards) {
                if (marks)
                        pvm_host->mem_free(marks, more * CARDS * sizeof(*marks));
                if (cards)
                        pvm_host->mem_free(cards, more * CARDS);
                return false;
        }
        if (side.blocks) {
                memcpy(marks, side.marks, side.blocks * CARDS * sizeof(*marks));
                memcpy(cards, side.cards, side.blocks * CARDS);
                pvm_host->mem_free(side.marks, side.blocks * CARDS * sizeof(*marks));
                pvm_host->mem_free(side.cards, side.blocks * CARDS);
        }
        side = (struct side){marks, cards, more};
        heap.cards = (uint64_t)cards - (uint64_t)block_address(FIRST_BLOCK) / CARD;
        return true;
}

static bool provide(uint32_t end)
{
        if (end <= provided)
                return true;
        end = (end + CHUNK - 1) / CHUNK * CHUNK;
        if (end > PVM_BLOCKS_MAX || !side_room(end - FIRST_BLOCK))
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
        b = take_blocks(n, BLOCK_LARGE, &fresh);
        if (!b)
                return NULL;
        l = (struct large *)block_address(b);
        if (!fresh)
                memset(l, 0, whole);
        give_run(b, 0, 0, n * PVM_BLOCK_BYTES);
        l->size = size;
        l->o.class = class;
        l->o.info = flags;
        return &l->o;
}

/* The next free lines of the block, from *line on. */
static bool hole_in(uint32_t b, unsigned *line, char **cur, char **end)
{
        unsigned from = *line, to;

        while (from < LINES && line_used(b, from))
                from = lines[b][from / 64] == ~0ul ? (from / 64 + 1) * 64 : from + 1;
        if (from >= LINES)
                return false;
        for (to = from + 1; to < LINES && !line_used(b, to); to++)
                ;
        *line = to;
        *cur = block_address(b) + from * LINE;
        *end = block_address(b) + to * LINE;
        give_run(b, from, to, (to - from) * LINE);
        memset(*cur, 0, (to - from) * LINE);
        return true;
}

static void give_block(uint32_t b, bool fresh, char **cur, char **end)
{
        *cur = block_address(b);
        *end = *cur + PVM_BLOCK_BYTES;
        give_run(b, 0, LINES, PVM_BLOCK_BYTES);
        if (!fresh)
                memset(*cur, 0, PVM_BLOCK_BYTES);
}

static bool next_block(char **cur, char **end)
{
        bool fresh;
        uint32_t b = take_blocks(1, BLOCK_SMALL, &fresh);

        if (b)
                give_block(b, fresh, cur, end);
        return b;
}

static bool next_run(char **cur, char **end)
{
        struct root *r = root();

        for (; swept.at < swept.n; swept.at++, swept.line = 0) {
                uint32_t b = swept.block[swept.at];

                if (kinds[b] == BLOCK_SMALL && hole_in(b, &swept.line, cur, end))
                        return true;
                if (kinds[b] != BLOCK_FREE || (r->blocks_in_use + 1) * PVM_BLOCK_BYTES > pvm_limits.heap_bytes)
                        continue;
                r->blocks_in_use++;
                kinds[b] = BLOCK_SMALL;
                swept.line = LINES;
                give_block(b, false, cur, end);
                return true;
        }
        for (; scan_block < r->frontier; scan_block++, scan_line = 0)
                if (kinds[scan_block] == BLOCK_SMALL && hole_in(scan_block, &scan_line, cur, end))
                        return true;
        return next_block(cur, end);
}

static void *place(char **cur, uint32_t class, size_t size, uint32_t flags)
{
        struct obj *o = (struct obj *)*cur;

        *cur += size;
        o->class = class;
        o->info = (uint32_t)(size / 8) | flags;
        return o;
}

void *heap_alloc_slow(uint32_t class, size_t size, uint32_t flags)
{
        if (size > OBJ_LARGE)
                return alloc_large(class, size, flags);
        if (size > MEDIUM) {
                if (size > (size_t)(heap.mend - heap.mcur) && !next_block(&heap.mcur, &heap.mend))
                        return NULL;
                return place(&heap.mcur, class, size, flags);
        }
        while (size > (size_t)(heap.end - heap.cur))
                if (!next_run(&heap.cur, &heap.end))
                        return NULL;
        return place(&heap.cur, class, size, flags);
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

void heap_collected(bool young)
{
        swept.n = swept.at = 0;
        swept.line = 0;
        for (size_t i = 0; young && i < given.n; i++) {
                uint32_t b = given.run[i].block;

                if ((i && b == given.run[i - 1].block) || kinds[b] == BLOCK_LARGE)
                        continue;
                if (!room_for((void **)&swept.block, &swept.cap, swept.n, sizeof(*swept.block)))
                        break;
                swept.block[swept.n++] = b;
        }
        if (!young) {
                scan_block = FIRST_BLOCK;
                scan_line = 0;
        }
        given.n = 0;
        given.bytes = 0;
        given.incomplete = false;
        heap.cur = heap.end = heap.mcur = heap.mend = NULL;
}

static void volatile_state(void)
{
        swept.n = swept.at = 0;
        scan_block = root()->frontier;
        scan_line = 0;
        free_block_hint = FIRST_BLOCK;
        given.n = 0;
        given.bytes = 0;
        given.incomplete = false;
        heap.cur = heap.end = heap.mcur = heap.mend = NULL;
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
        if (side.blocks) {
                pvm_host->mem_free(side.marks, side.blocks * CARDS * sizeof(*side.marks));
                pvm_host->mem_free(side.cards, side.blocks * CARDS);
        }
        memset(&given, 0, sizeof(given));
        memset(&swept, 0, sizeof(swept));
        memset(&side, 0, sizeof(side));
        memset(&heap, 0, sizeof(heap));
        provided = 0;
        collect_forget();
}
