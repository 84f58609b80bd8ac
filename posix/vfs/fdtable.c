/*
 * fdtable.c - descriptor tables. Numbers come in chunks of 32: a bitmap word of used, one of close-on-exec, 32 pointers. The first chunk stands in the table itself, so
 * that most processes have one object of 570 bytes that fork copies whole; the others hang on nodes of 32, and nodes and chunks are counted and shared by
 * fork until one side changes them. The fan-out is what one section's credit of pages allows: each of 32 objects may stand on a page of its own, and a
 * copy counts them all.
 *
 * Lookups take no lock: a pointer is one word, and what it named when read stays readable until the section ends. All changes hold LOCK_FDTABLE.
 * Invariants: bit i of `used` is set exactly when file[i] is not NULL; cloexec is a subset of used; a chunk or node with refs > 1, or below such
 * a node, is not written.
 * Before the change (P14): fdtable_prepare() for the number that will be set or taken.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"

static struct fdchunk *chunk_at(const struct fdtable *t, uint64_t chunk)
{
        if (chunk == 0)
                return (struct fdchunk *)&t->first;
        if (chunk < FD_CHUNK * FD_CHUNK) {
                struct fdnode *n = READ_ONCE(t->node[chunk / FD_CHUNK]);

                return n ? READ_ONCE(n->chunk[chunk % FD_CHUNK]) : NULL;
        }
        return NULL;
}

struct file *fdtable_get(const struct fdtable *t, uint64_t fd)
{
        struct fdchunk *k;

        if (likely(fd < FD_CHUNK))
                return READ_ONCE(t->first.file[fd]);
        k = chunk_at(t, fd / FD_CHUNK);
        return k ? READ_ONCE(k->file[fd % FD_CHUNK]) : NULL;
}

uint64_t fdtable_next(const struct fdtable *t, uint64_t fd)
{
        for (uint64_t chunk = fd / FD_CHUNK; chunk < MAX(t->nchunks, 1u); chunk++) {
                struct fdchunk *k = chunk_at(t, chunk);
                uint32_t word = k ? k->used : 0;

                if (chunk == fd / FD_CHUNK)
                        word &= ~0u << fd % FD_CHUNK;
                if (word)
                        return chunk * FD_CHUNK + (uint64_t)__builtin_ctz(word);
        }
        return ~0ul;
}

struct file *fd_lookup(struct call *c, uint64_t fd)
{
        /* A descriptor is an int: upper halves of registers are not looked at. */
        return fdtable_get(c->thread->proc->files, (uint32_t)fd);
}

struct file *fd_lookup_io(struct call *c, uint64_t fd)
{
        struct file *f = fdtable_get(c->thread->proc->files, (uint32_t)fd);

        return f && likely(f->ops_type != FILE_PATH) ? f : NULL;
}

static uint64_t lowest_free(const struct fdtable *t, uint64_t min)
{
        uint64_t chunk = min / FD_CHUNK;

        if (chunk < t->first_free) {
                chunk = t->first_free;
                min = chunk * FD_CHUNK;
        }
        for (;; chunk++) {
                struct fdchunk *k = chunk_at(t, chunk);
                uint32_t word = k ? ~k->used : ~0u;

                if (chunk == min / FD_CHUNK)
                        word &= ~0u << min % FD_CHUNK;
                if (word)
                        return chunk * FD_CHUNK + (uint64_t)__builtin_ctz(word);
        }
}

static void chunk_touch(const struct fdchunk *k)
{
        for (uint32_t word = k->used; word; word &= word - 1)
                (void)READ_ONCE(k->file[__builtin_ctz(word)]->obj.refs);
}

static void node_touch(const struct fdnode *n)
{
        for (unsigned i = 0; i < FD_CHUNK; i++) {
                if (n->chunk[i])
                        (void)READ_ONCE(n->chunk[i]->obj.refs);
        }
}

long fdtable_prepare(struct fdtable *t, uint64_t fd)
{
        struct fdchunk *k;
        struct fdnode *n;
        bool copy;

        if (likely(fd < FD_CHUNK))
                return 0;
        n = t->node[fd / FD_CHUNK / FD_CHUNK];
        k = chunk_at(t, fd / FD_CHUNK);
        copy = n && n->obj.refs > 1;
        if (copy)
                node_touch(n);
        if (k && (copy || k->obj.refs > 1)) {
                chunk_touch(k);
                copy = true;
        }
        return (copy || !k) && !space_room(2) ? -ENOMEM : 0;
}

static int reserve_from(struct call *c, uint64_t min)
{
        struct fdtable *t = c->thread->proc->files;
        uint64_t limit = MIN(c->thread->proc->limits[RLIMIT_NOFILE].rlim_cur, (uint64_t)FD_MAX);
        uint64_t fd = lowest_free(t, min);
        long r;

        if (fd >= limit)
                return -EMFILE;
        r = fdtable_prepare(t, fd);
        return r ? (int)r : (int)fd;
}

int fd_reserve(struct call *c, int min)
{
        struct fdtable *t = c->thread->proc->files;

        if (!lock_held(LOCK_FDTABLE, t))
                lock(LOCK_FDTABLE, t);
        return reserve_from(c, (uint64_t)min);
}

int fd_reserve_next(struct call *c, int reserved)
{
        return reserve_from(c, (uint64_t)reserved + 1);
}

static struct fdnode *node_own(struct fdtable *t, uint64_t at)
{
        struct fdnode *old = t->node[at], *n;

        if (old && old->obj.refs == 1)
                return old;
        n = object_new(TYPE_FDNODE);
        if (old) {
                for (unsigned i = 0; i < FD_CHUNK; i++) {
                        n->chunk[i] = old->chunk[i];
                        object_get(n->chunk[i]);
                }
                object_put(old);
        }
        __atomic_store_n(&t->node[at], n, __ATOMIC_RELEASE);
        return n;
}

/* The chunk for fd, made when missing, copied when shared. After changes(). */
static struct fdchunk *chunk_own(struct fdtable *t, uint64_t fd)
{
        uint64_t chunk = fd / FD_CHUNK;
        struct fdchunk *k, *old;
        struct fdnode *n;

        if (likely(chunk == 0))
                return &t->first;
        n = node_own(t, chunk / FD_CHUNK);
        old = n->chunk[chunk % FD_CHUNK];
        if (old && old->obj.refs == 1)
                return old;
        k = object_new(TYPE_FDCHUNK);
        if (old) {
                k->used = old->used;
                k->cloexec = old->cloexec;
                memcpy(k->file, old->file, sizeof(k->file));
                for (uint32_t word = k->used; word; word &= word - 1)
                        object_get(k->file[__builtin_ctz(word)]);
                object_put(old);
        }
        __atomic_store_n(&n->chunk[chunk % FD_CHUNK], k, __ATOMIC_RELEASE);
        if (t->nchunks <= chunk)
                t->nchunks = (uint32_t)chunk + 1;
        return k;
}

void fdtable_set(struct fdtable *t, uint64_t fd, struct file *f, bool cloexec)
{
        struct fdchunk *k = chunk_own(t, fd);
        uint32_t bit = 1u << fd % FD_CHUNK;

        k->used |= bit;
        k->cloexec = cloexec ? k->cloexec | bit : k->cloexec & ~bit;
        __atomic_store_n(&k->file[fd % FD_CHUNK], f, __ATOMIC_RELEASE);
        if (~k->used == 0 && fd / FD_CHUNK == t->first_free)
                t->first_free++;
}

void fd_install(struct call *c, int fd, struct file *f, bool cloexec)
{
        fdtable_set(c->thread->proc->files, (uint64_t)fd, f, cloexec);
}

bool fdtable_cloexec(const struct fdtable *t, uint64_t fd)
{
        struct fdchunk *k = chunk_at(t, fd / FD_CHUNK);

        return k && k->cloexec >> fd % FD_CHUNK & 1;
}

void fdtable_set_cloexec(struct fdtable *t, uint64_t fd, bool on)
{
        struct fdchunk *k = chunk_own(t, fd);
        uint32_t bit = 1u << fd % FD_CHUNK;

        k->cloexec = on ? k->cloexec | bit : k->cloexec & ~bit;
}

struct file *fdtable_take(struct fdtable *t, uint64_t fd)
{
        struct fdchunk *k = chunk_own(t, fd);
        struct file *f = k->file[fd % FD_CHUNK];
        uint32_t bit = 1u << fd % FD_CHUNK;

        k->used &= ~bit;
        k->cloexec &= ~bit;
        k->file[fd % FD_CHUNK] = NULL;
        if (fd / FD_CHUNK < t->first_free)
                t->first_free = (uint32_t)(fd / FD_CHUNK);
        return f;
}

void file_flush(struct file *f, struct fdtable *t)
{
        if (file_ops(f)->flush)
                file_ops(f)->flush(f);
        if (unlikely(f->inode->locks))
                flock_posix_close(f, t);
}

void file_close(struct file *f, struct fdtable *t)
{
        file_flush(f, t);
        object_put(f);
}

/* What is left of close-on-exec in chunk k, or of everything (the table ends). */
static uint32_t chunk_victims(const struct fdchunk *k, bool cloexec_only)
{
        return !k ? 0 : cloexec_only ? k->cloexec : k->used;
}

bool fdtable_close_piece(struct fdtable *t, bool cloexec_only)
{
        uint32_t at = t->cursor, end = MAX(t->nchunks, 1u), word;
        struct fdchunk *k;

        lock(LOCK_FDTABLE, t);
        while (at < end && !chunk_victims(chunk_at(t, at), cloexec_only))
                at++;
        if (at >= end) {
                if (t->cursor) {
                        section_changes();
                        t->cursor = 0;
                }
                unlock(LOCK_FDTABLE, t);
                return false;
        }
        k = chunk_at(t, at);
        word = chunk_victims(k, cloexec_only);
        for (uint32_t w = word; w; w &= w - 1)
                file_touch(k->file[__builtin_ctz(w)]);
        if (cloexec_only)
                (void)fdtable_prepare(t, at * FD_CHUNK); /* a copy of one chunk: exec has asked for more than that */
        section_changes();
        t->cursor = at + 1;
        for (uint32_t w = word; w; w &= w - 1) {
                unsigned bit = (unsigned)__builtin_ctz(w);

                /* A table that ends lets go of shared chunks whole, in its release. */
                if (at && !cloexec_only)
                        file_flush(k->file[bit], t);
                else
                        file_close(fdtable_take(t, at * FD_CHUNK + bit), t);
        }
        unlock(LOCK_FDTABLE, t);
        return true;
}

bool fdtable_close_all_piece(struct fdtable *t)
{
        return fdtable_close_piece(t, false);
}

struct fdtable *fdtable_new(void)
{
        return object_new(TYPE_FDTABLE);
}

/* Before the change: what fdtable_fork() will take, and everything it counts is touched. LOCK_FDTABLE of `from` held until then. */
uint64_t fdtable_pages(struct fdtable *t)
{
        chunk_touch(&t->first);
        for (unsigned i = 0; i < FD_CHUNK; i++) {
                if (t->node[i])
                        (void)READ_ONCE(t->node[i]->obj.refs);
        }
        return 1;
}

struct fdtable *fdtable_fork(struct fdtable *from)
{
        struct fdtable *t = fdtable_new();

        t->first = from->first;
        t->first_free = from->first_free;
        for (uint32_t word = t->first.used; word; word &= word - 1)
                object_get(t->first.file[__builtin_ctz(word)]);
        t->nchunks = from->nchunks;
        for (unsigned i = 0; from->nchunks > 1 && i < FD_CHUNK; i++) {
                t->node[i] = from->node[i];
                object_get(t->node[i]);
        }
        return t;
}

/* What the next call of fdtable_release will write: a chunk's files, at last the nodes. */
void fdtable_release_touch(void *o)
{
        struct fdtable *t = o;

        for (uint32_t at = t->cursor; at < MAX(t->nchunks, 1u); at++) {
                struct fdchunk *k = chunk_at(t, at);

                if (!k || !k->used)
                        continue;
                for (uint32_t w = k->used; w; w &= w - 1)
                        file_touch(k->file[__builtin_ctz(w)]);
                return;
        }
        for (unsigned i = 0; i < FD_CHUNK; i++) {
                if (t->node[i])
                        (void)READ_ONCE(t->node[i]->obj.refs);
        }
}

bool fdtable_release(void *o)
{
        struct fdtable *t = o;

        if (fdtable_close_piece(t, false))
                return true;
        for (unsigned i = 0; i < FD_CHUNK; i++)
                object_put(t->node[i]);
        space_free(t);
        return false;
}

void fdnode_release_touch(void *o)
{
        node_touch(o);
}

bool fdnode_release(void *o)
{
        struct fdnode *n = o;

        for (unsigned i = 0; i < FD_CHUNK; i++)
                object_put(n->chunk[i]);
        space_free(n);
        return false;
}

void fdchunk_release_touch(void *o)
{
        chunk_touch(o);
}

bool fdchunk_release(void *o)
{
        struct fdchunk *k = o;

        for (uint32_t word = k->used; word; word &= word - 1)
                object_put(k->file[__builtin_ctz(word)]);
        space_free(k);
        return false;
}
