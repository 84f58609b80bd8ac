/*
 * dir.c - directories: a B+tree of PAGE_DIR blocks, keyed by a 63-bit hash of the name.
 *
 * The key is also the cookie of getdents64 (d_off): it does not change when other names come and go, so a reader that was interrupted anywhere sees every
 * name that was there all the time exactly once. Names whose hashes agree in the upper 59 bits take consecutive keys; the low 4 bits tell them apart, and a split never
 * parts such a group.
 *
 * Block: header, then (leaf) 16-byte slots in key order growing up and records growing down from the end; (inner) pairs of lowest key and child. The first
 * child's key counts as 0. dir->dir points at the root block; NULL: no name yet. A leaf without names goes, and inner blocks without children.
 * The caller holds LOCK_INODE of the directory. A lookup reads only; dir_room() comes before the change and has read all that the insertion writes.
 * An entry does not count a reference: the inode's `held` does, for all its names (inode.c).
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/hash.h"
#include "kernel/lib/string.h"

struct dir_slot {
        uint64_t key;
        uint16_t off;      /* of the record, from the block's start */
        uint8_t len, type; /* of the name; DT_* */
        uint32_t pad;
};
struct dir_child {
        uint64_t key;
        struct dir_block *block;
};
struct dir_record {
        struct inode *inode;
        uint64_t ino;
        char name[];
};
struct dir_block {
        uint16_t level; /* 0: leaf */
        uint16_t count;
        uint16_t low;  /* leaf: lowest byte that records use */
        uint16_t dead; /* leaf: bytes of removed records */
        uint64_t pad;
        union {
                struct dir_slot slot[0];
                struct dir_child child[0];
        };
};
#define HEADER     sizeof(struct dir_block)
#define FANOUT_MAX ((PAGE_SIZE - HEADER) / sizeof(struct dir_child))
#define GROUP      15ul /* low bits of a key: number in its group of equal hashes */
_Static_assert(HEADER == 16, "directory block");

static unsigned record_size(unsigned len)
{
        return (unsigned)((sizeof(struct dir_record) + len + 7) & ~7ul);
}

static struct dir_record *record_of(const struct dir_block *b, unsigned at)
{
        return (struct dir_record *)((char *)b + b->slot[at].off);
}

static uint64_t name_key(const char *name, unsigned len)
{
        uint64_t key = hash_bytes(name, len, fs_state()->hash_seed) >> 1 & ~GROUP;

        return key < DIR_COOKIE_FIRST ? DIR_COOKIE_FIRST : key;
}

/* First slot of a leaf with a key >= key. */
static unsigned slot_find(const struct dir_block *b, uint64_t key)
{
        unsigned lo = 0, n = b->count;

        while (n) {
                unsigned half = n / 2;

                if (b->slot[lo + half].key < key) {
                        lo += half + 1;
                        n -= half + 1;
                } else {
                        n = half;
                }
        }
        return lo;
}

/* Child of an inner block that covers key. */
static unsigned child_find(const struct dir_block *b, uint64_t key)
{
        unsigned lo = 1, n = b->count - 1u;

        while (n) {
                unsigned half = n / 2;

                if (b->child[lo + half].key <= key) {
                        lo += half + 1;
                        n -= half + 1;
                } else {
                        n = half;
                }
        }
        return lo - 1;
}

static void entry_fill(const struct dir_block *b, unsigned at, struct dir_entry *e)
{
        const struct dir_record *r = record_of(b, at);

        *e = (struct dir_entry){
                .inode = r->inode,
                .ino = r->ino,
                .cookie = b->slot[at].key,
                .name = r->name,
                .len = b->slot[at].len,
                .type = b->slot[at].type,
        };
}

static bool same_name(const struct dir_block *b, unsigned at, const char *name, unsigned len)
{
        const char *n = record_of(b, at)->name;

        if (b->slot[at].len != len)
                return false;
        for (unsigned i = 0; i < len; i++) {
                if (n[i] != name[i])
                        return false;
        }
        return true;
}

struct inode *dir_lookup(struct inode *dir, const char *name, unsigned len)
{
        const struct dir_block *b = dir->dir;
        uint64_t key;

        if (!b)
                return NULL;
        key = name_key(name, len);
        while (b->level)
                b = b->child[child_find(b, key)].block;
        for (unsigned at = slot_find(b, key); at < b->count && (b->slot[at].key & ~GROUP) == key; at++) {
                if (same_name(b, at, name, len))
                        return record_of(b, at)->inode;
        }
        return NULL;
}

void dir_find(struct inode *dir, const char *name, unsigned len, struct dir_place *p)
{
        struct dir_block *b = dir->dir;
        uint64_t key = name_key(name, len);
        unsigned at;

        p->depth = 0;
        p->key = key;
        p->found = false;
        if (!b)
                return;
        while (b->level) {
                at = child_find(b, key);
                p->path[p->depth].block = b;
                p->path[p->depth++].at = at;
                b = b->child[at].block;
        }
        p->path[p->depth++].block = b;
        for (at = slot_find(b, key); at < b->count && (b->slot[at].key & ~GROUP) == key; at++) {
                if (same_name(b, at, name, len)) {
                        p->found = true;
                        p->key = b->slot[at].key;
                        entry_fill(b, at, &p->entry);
                        break;
                }
                /* The lowest number of the group that is not taken. */
                if (b->slot[at].key == p->key)
                        p->key++;
        }
        if (!p->found)
                at = slot_find(b, p->key);
        p->path[p->depth - 1].at = at;
}

static unsigned leaf_gap(const struct dir_block *b)
{
        return b->low - (unsigned)(HEADER + b->count * sizeof(struct dir_slot));
}

static bool leaf_fits(const struct dir_block *b, unsigned len)
{
        return leaf_gap(b) + b->dead >= record_size(len) + sizeof(struct dir_slot);
}

long dir_room(struct inode *dir, struct dir_place *p, unsigned len)
{
        unsigned need = 0, level = p->depth;

        (void)dir;
        if ((p->key & GROUP) >= 8)
                return -ENOSPC; /* eight names with one hash: not by chance, and more would not fit one leaf */
        if (level == 0) {
                need = 1;
        } else if (!leaf_fits(p->path[level - 1].block, len)) {
                /* Two leaves more at worst: a long name between two full halves. */
                need = 2;
                for (level--; level && p->path[level - 1].block->count + 2u > FANOUT_MAX; level--)
                        need++;
                if (level == 0) {
                        if (p->depth == DIR_HEIGHT_MAX)
                                return -ENOSPC;
                        need++;
                }
        }
        return need && !space_room(need) ? -ENOSPC : 0;
}

/* Records close up: no dead bytes. In the scratch first, as they move in any order. */
static void leaf_compact(struct dir_block *b)
{
        struct dir_block *copy = (struct dir_block *)vfs_scratch()->block;
        unsigned low = PAGE_SIZE;

        memcpy(copy, b, PAGE_SIZE);
        for (unsigned i = 0; i < b->count; i++) {
                unsigned size = record_size(b->slot[i].len);

                low -= size;
                memcpy((char *)b + low, record_of(copy, i), size);
                b->slot[i].off = (uint16_t)low;
        }
        b->low = (uint16_t)low;
        b->dead = 0;
}

static struct dir_block *block_new(unsigned level)
{
        struct dir_block *b = space_page(space_page_alloc(PAGE_DIR));

        *b = (struct dir_block){.level = (uint16_t)level, .low = PAGE_SIZE};
        return b;
}

static void block_free(struct dir_block *b)
{
        space_page_unref(space_ppn(b));
}

static void move_up(void *base, unsigned size, unsigned at, unsigned count)
{
        memmove((char *)base + (at + 1) * size, (char *)base + at * size, (count - at) * size);
}

static void leaf_put(struct dir_block *b, unsigned at, uint64_t key, const char *name, unsigned len, uint8_t type,
                     struct inode *i, uint64_t ino)
{
        unsigned size = record_size(len);
        struct dir_record *r;

        if (leaf_gap(b) < size + sizeof(struct dir_slot))
                leaf_compact(b);
        move_up(b->slot, sizeof(struct dir_slot), at, b->count);
        b->low = (uint16_t)(b->low - size);
        b->slot[at] = (struct dir_slot){.key = key, .off = b->low, .len = (uint8_t)len, .type = type};
        b->count++;
        r = record_of(b, at);
        r->inode = i;
        r->ino = ino;
        memcpy(r->name, name, len);
}

static void child_put(struct dir_block *b, unsigned at, uint64_t key, struct dir_block *child)
{
        move_up(b->child, sizeof(struct dir_child), at, b->count);
        b->child[at] = (struct dir_child){key, child};
        b->count++;
}

/* Where to cut a leaf: as near to the middle as groups allow; 0: nowhere. */
static unsigned leaf_middle(const struct dir_block *b)
{
        unsigned half = b->count / 2;

        for (unsigned d = 0; d < b->count; d++) {
                if (half + d < b->count && half + d && (b->slot[half + d].key ^ b->slot[half + d - 1].key) & ~GROUP)
                        return half + d;
                if (d < half && (b->slot[half - d].key ^ b->slot[half - d - 1].key) & ~GROUP)
                        return half - d;
        }
        return 0;
}

/* The upper part of path[level]'s block goes to a new block on its right, which is entered above; the path is not right any more. */
static void block_split(struct inode *dir, struct dir_place *p, unsigned level)
{
        struct dir_block *b = p->path[level].block, *right, *above;
        unsigned cut = b->level ? b->count / 2u : leaf_middle(b);
        uint64_t key;

        if (level == 0) { /* a new root above */
                above = block_new(b->level + 1u);
                above->child[0] = (struct dir_child){0, b};
                above->count = 1;
                dir->dir = above;
                memmove(&p->path[1], &p->path[0], p->depth * sizeof(p->path[0]));
                p->path[0].block = above;
                p->path[0].at = 0;
                p->depth++;
                level = 1;
        } else if (p->path[level - 1].block->count == FANOUT_MAX) {
                unsigned depth = p->depth;

                block_split(dir, p, level - 1);
                level += p->depth - depth;
                /* The one above may have moved to the new block beside it. */
                above = p->path[level - 1].block;
                if (p->path[level - 1].at >= above->count) {
                        p->path[level - 1].at -= above->count;
                        p->path[level - 1].block = p->path[level - 2].block->child[p->path[level - 2].at + 1].block;
                        p->path[level - 2].at++;
                }
        }
        above = p->path[level - 1].block;
        right = block_new(b->level);
        if (b->level) {
                key = b->child[cut].key;
                right->count = (uint16_t)(b->count - cut);
                memcpy(right->child, &b->child[cut], right->count * sizeof(struct dir_child));
                b->count = (uint16_t)cut;
        } else {
                key = b->slot[cut].key & ~GROUP;
                for (unsigned i = cut; i < b->count; i++) {
                        struct dir_record *r = record_of(b, i);

                        leaf_put(right, i - cut, b->slot[i].key, r->name, b->slot[i].len, b->slot[i].type, r->inode,
                                 r->ino);
                        b->dead = (uint16_t)(b->dead + record_size(b->slot[i].len));
                }
                b->count = (uint16_t)cut;
        }
        child_put(above, p->path[level - 1].at + 1, key, right);
}

void dir_insert(struct inode *dir, struct dir_place *p, const char *name, unsigned len, struct inode *child)
{
        unsigned level;
        struct dir_block *b;

        if (p->depth == 0) {
                dir->dir = b = block_new(0);
                p->path[0].block = b;
                p->path[0].at = 0;
                p->depth = 1;
        }
        for (level = p->depth - 1; !leaf_fits(p->path[level].block, len); level = p->depth - 1) {
                uint64_t key = p->key;

                block_split(dir, p, level);
                /* Down again: at most twice, and all of it was just written. */
                p->depth = 0;
                for (b = dir->dir; b->level; b = b->child[p->path[p->depth - 1].at].block) {
                        p->path[p->depth].block = b;
                        p->path[p->depth++].at = child_find(b, key);
                }
                p->path[p->depth].block = b;
                p->path[p->depth++].at = slot_find(b, key);
        }
        b = p->path[level].block;
        leaf_put(b, p->path[level].at, p->key, name, len, mode_to_dtype(child->mode), child, child->ino);
        child->parent = dir;
        child->name_key = p->key;
        inode_note_change(dir);
        dir->nentries++;
        dir->size += 20; /* what tmpfs shows for a name */
}

/* A name of i is gone: if it was the one given last, i does not know where it is. */
static void name_lost(struct inode *dir, struct inode *i, uint64_t key)
{
        if (i->parent == dir && i->name_key == key)
                i->parent = NULL;
}

static void slot_remove(struct dir_block *b, unsigned at)
{
        b->dead = (uint16_t)(b->dead + record_size(b->slot[at].len));
        memmove(&b->slot[at], &b->slot[at + 1], (b->count - at - 1u) * sizeof(struct dir_slot));
        b->count--;
}

void dir_remove(struct inode *dir, struct dir_place *p)
{
        unsigned level = p->depth - 1;
        struct dir_block *b = p->path[level].block;

        name_lost(dir, record_of(b, p->path[level].at)->inode, p->key);
        slot_remove(b, p->path[level].at);
        inode_note_change(dir);
        dir->nentries--;
        dir->size -= 20;
        while (b->count == 0 && level) { /* empty blocks go; the root leaf stays for the next name */
                struct dir_block *above = p->path[level - 1].block;
                unsigned at = p->path[level - 1].at;

                block_free(b);
                if (at == 0 && above->count > 1)
                        above->child[1].key = above->child[0].key;
                memmove(&above->child[at], &above->child[at + 1], (above->count - at - 1u) * sizeof(struct dir_child));
                above->count--;
                b = above;
                level--;
        }
        if (level == 0 && b->level && b->count == 0) {
                block_free(b);
                dir->dir = NULL;
                return;
        }
        if (b->level && b->count == 1 &&
            level == 0) { /* a root with one child is no use; the child is present: it is on the path or beside it */
                struct dir_block *child = b->child[0].block;

                if (!space_page_absent(space_ppn(child))) {
                        dir->dir = child;
                        block_free(b);
                }
        }
}

void dir_replace(struct inode *dir, struct dir_place *p, struct inode *child)
{
        struct dir_block *b = p->path[p->depth - 1].block;
        unsigned at = p->path[p->depth - 1].at;
        struct dir_record *r = record_of(b, at);

        name_lost(dir, r->inode, p->key);
        inode_note_change(dir);
        child->parent = dir;
        child->name_key = p->key;
        r->inode = child;
        r->ino = child->ino;
        b->slot[at].type = mode_to_dtype(child->mode);
}

bool dir_next(struct inode *dir, uint64_t after, struct dir_entry *e)
{
        const struct dir_block *b;
        uint64_t key = after + 1;

        for (;;) {
                uint64_t beyond = 0; /* lowest key right of the leaf we come to */
                unsigned at;

                b = dir->dir;
                if (!b)
                        return false;
                while (b->level) {
                        at = child_find(b, key);
                        if (at + 1u < b->count)
                                beyond = b->child[at + 1].key;
                        b = b->child[at].block;
                }
                at = slot_find(b, key);
                if (at < b->count) {
                        entry_fill(b, at, e);
                        return true;
                }
                if (!beyond)
                        return false;
                key = beyond;
        }
}

void dir_free(struct inode *dir)
{
        if (dir->dir)
                block_free(dir->dir);
        dir->dir = NULL;
}

/* ---- copies ---- */

/* The leaf that covers key, and the lowest key right of it (0: none). NULL: unreadable. */
static const struct dir_block *read_leaf(const struct dir_reader *d, uint64_t key, uint64_t *beyond)
{
        const void *at = d->root;
        unsigned above = DIR_HEIGHT_MAX;

        *beyond = 0;
        for (;;) {
                const struct dir_block *b = (uint64_t)at % PAGE_SIZE ? NULL : d->block(d->arg, at);
                unsigned k;

                if (!b || b->level >= above)
                        return NULL;
                if (!b->level)
                        return HEADER + b->count * sizeof(struct dir_slot) <= PAGE_SIZE ? b : NULL;
                if (!b->count || b->count > FANOUT_MAX)
                        return NULL;
                k = child_find(b, key);
                if (k + 1u < b->count)
                        *beyond = b->child[k + 1].key;
                above = b->level;
                at = b->child[k].block;
        }
}

static bool record_sound(const struct dir_block *b, unsigned at)
{
        const struct dir_slot *s = &b->slot[at];

        return s->len && s->off >= HEADER && s->off % 8 == 0 &&
               s->off + sizeof(struct dir_record) + s->len <= PAGE_SIZE;
}

long dir_read_find(const struct dir_reader *d, const char *name, unsigned len, struct dir_entry *e)
{
        uint64_t key = name_key(name, len), beyond;
        const struct dir_block *b;

        if (!d->root)
                return -ENOENT;
        b = read_leaf(d, key, &beyond);
        if (!b)
                return -EIO;
        for (unsigned at = slot_find(b, key); at < b->count && (b->slot[at].key & ~GROUP) == key; at++) {
                if (!record_sound(b, at))
                        return -EIO;
                if (same_name(b, at, name, len)) {
                        entry_fill(b, at, e);
                        return 0;
                }
        }
        return -ENOENT;
}

bool dir_read_next(const struct dir_reader *d, uint64_t after, struct dir_entry *e)
{
        uint64_t key = after + 1, beyond;

        while (d->root) {
                const struct dir_block *b = read_leaf(d, key, &beyond);
                unsigned at = b ? slot_find(b, key) : 0;

                if (!b)
                        return false;
                if (at < b->count) {
                        if (!record_sound(b, at))
                                return false;
                        entry_fill(b, at, e);
                        return e->cookie > after;
                }
                if (beyond <= key)
                        return false;
                key = beyond;
        }
        return false;
}

static void walk_block(const struct dir_block *b, const struct space_visitor *v)
{
        v->page(space_ppn(b));
        for (unsigned i = 0; b->level && i < b->count; i++)
                walk_block(b->child[i].block, v);
}

void dir_walk_pages(struct inode *dir, const struct space_visitor *v)
{
        if (dir->dir)
                walk_block(dir->dir, v);
}
