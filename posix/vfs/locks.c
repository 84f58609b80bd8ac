/*
 * locks.c - file locks: flock(2), POSIX record locks, and those of open file descriptions (OFD).
 * All locks of an inode stand in one byte block, so that taking many away at once (close, exit) writes few pages. A lock names its owner by address without
 * counting it: the owner's end removes its locks first (POSIX: the descriptor table, at each close; the others: the open file).
 * Who must wait waits for the condition "something was unlocked" (key &inode->locks) and looks again. POSIX waiters note in their table whom they wait for,
 * by pid: a ring of those is EDEADLK.
 * LOCK_FLOCK of the inode guards the block.
 */
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"
#include <linux/fs.h>

enum lock_kind { KIND_FLOCK, KIND_POSIX, KIND_OFD };

struct lock_record {
        const void *owner;   /* FIELD_BORROW: fdtable or file */
        uint64_t start, end; /* inclusive */
        int32_t pid;
        uint8_t type, kind; /* F_RDLCK, F_WRLCK; enum lock_kind */
        uint16_t pad;
};
struct lock_set {
        uint32_t n, cap;
        struct lock_record rec[];
};
#define RECORDS_MAX    2000u /* 16 pages: what one section can copy */
#define DEADLOCK_DEPTH 10

struct lock_range {
        uint64_t start, end;
        int32_t type, kind;
        uint8_t wait;
};

static bool same_space(unsigned a, unsigned b)
{
        return (a == KIND_FLOCK) == (b == KIND_FLOCK);
}

/* The lock of somebody else that stands in the way; NULL: none. */
static const struct lock_record *conflict(const struct lock_set *s, const void *owner, const struct lock_range *r)
{
        for (uint32_t k = 0; s && k < s->n; k++) {
                const struct lock_record *l = &s->rec[k];

                if (l->owner == owner && l->kind == r->kind)
                        continue;
                if (same_space(l->kind, (unsigned)r->kind) && l->start <= r->end && r->start <= l->end &&
                    (l->type == F_WRLCK || r->type == F_WRLCK))
                        return l;
        }
        return NULL;
}

static struct lock_record *append(struct lock_set *s)
{
        return &s->rec[s->n++];
}

/* Room for two more records. Before the change. */
static long room(const struct lock_set *s)
{
        uint32_t n = s ? s->n : 0;

        if (n + 2 > RECORDS_MAX)
                return -ENOLCK;
        return !s || n + 2 > s->cap ? space_room(1 + 2 * (n + 2) * sizeof(struct lock_record) / PAGE_SIZE) ? 0 : -ENOLCK
                                    : 0;
}

/* After changes(): the block with room for two more. */
static struct lock_set *grown(struct inode *i)
{
        struct lock_set *s = i->locks, *bigger;
        uint32_t n = s ? s->n : 0;

        if (s && n + 2 <= s->cap)
                return s;
        bigger = space_alloc_bytes(sizeof(*s) + MAX(2 * (n + 2), 8u) * sizeof(s->rec[0]));
        bigger->cap = (uint32_t)((space_bytes_size(bigger) - sizeof(*s)) / sizeof(s->rec[0]));
        bigger->n = n;
        if (s)
                memcpy(bigger->rec, s->rec, n * sizeof(s->rec[0]));
        space_free_bytes(s);
        i->locks = bigger;
        return bigger;
}

static void shrink(struct inode *i)
{
        struct lock_set *s = i->locks;

        if (s && s->n == 0) {
                i->locks = NULL;
                space_free_bytes(s);
        }
}

/* After changes(), room() before: the owner's locks in the range become of this type (F_UNLCK: none). Neighbours of one type join. */
static void apply(struct inode *i, const void *owner, struct lock_range r, int32_t pid)
{
        struct lock_set *s = grown(i);
        uint32_t old = s->n;

        for (uint32_t k = 0; k < old;) {
                struct lock_record *l = &s->rec[k];
                bool remove = false;

                if (l->owner != owner || l->kind != r.kind) {
                        k++;
                        continue;
                }
                if (l->type == r.type) {
                        bool touches = l->start <= r.end + (r.end != ~0ul) && r.start <= l->end + (l->end != ~0ul);

                        if (touches) {
                                r.start = MIN(r.start, l->start);
                                r.end = MAX(r.end, l->end);
                                remove = true;
                        }
                } else if (l->start <= r.end && r.start <= l->end) {
                        if (l->start < r.start && l->end > r.end) {
                                struct lock_record *right = append(s);

                                *right = *l;
                                right->start = r.end + 1;
                                l->end = r.start - 1;
                        } else if (l->start < r.start) {
                                l->end = r.start - 1;
                        } else if (l->end > r.end) {
                                l->start = r.end + 1;
                        } else {
                                remove = true;
                        }
                }
                if (!remove) {
                        k++;
                        continue;
                }
                /* The hole is filled from the end of those not yet looked at, that one from the very end. */
                *l = s->rec[--old];
                s->rec[old] = s->rec[--s->n];
        }
        if (r.type != F_UNLCK)
                *append(s) = (struct lock_record){owner, r.start, r.end, pid, (uint8_t)r.type, (uint8_t)r.kind, 0};
        shrink(i);
        wake(&i->locks);
}

void flock_touch(struct inode *i)
{
        struct lock_set *s = i->locks;

        for (uint32_t k = 0; s && k < s->n; k += PAGE_SIZE / sizeof(s->rec[0]) / 2)
                (void)READ_ONCE(s->rec[k].type);
}

static void remove_all(struct inode *i, const void *owner, bool posix)
{
        struct lock_set *s;
        bool any = false;

        lock(LOCK_FLOCK, i);
        s = i->locks;
        for (uint32_t k = 0; s && k < s->n;) {
                if (s->rec[k].owner == owner && (s->rec[k].kind == KIND_POSIX) == posix) {
                        s->rec[k] = s->rec[--s->n];
                        any = true;
                } else {
                        k++;
                }
        }
        if (any) {
                shrink(i);
                wake(&i->locks);
        }
        unlock(LOCK_FLOCK, i);
}

void flock_posix_close(struct file *f, struct fdtable *t)
{
        remove_all(f->inode, t, true);
}

void flock_file_release(struct file *f)
{
        remove_all(f->inode, f, false);
}

/* Would waiting for pid close a ring that comes back to t? */
static bool deadlock(const struct fdtable *t, int32_t pid)
{
        for (unsigned depth = 0; pid && depth < DEADLOCK_DEPTH; depth++) {
                struct process *p = process_find(pid);
                struct fdtable *files = p ? p->files : NULL;

                if (!files)
                        return false;
                if (files == t)
                        return true;
                pid = files->waits_for_pid;
        }
        return false;
}

static void waits_for(struct call *c, int32_t pid)
{
        struct fdtable *t = c->thread->proc->files;

        if (t->waits_for_pid != pid) {
                changes(c);
                t->waits_for_pid = pid;
        }
}

/* ---- fcntl ---------------------------------------------------------------------------------------------------------------- */

static long decode(struct call *c, struct file *f, uint64_t arg, struct flock *fl, struct lock_range *r)
{
        int64_t base, start, end;

        if (!copy_in(c, fl, arg, sizeof(*fl)))
                return user_fault(c);
        switch (fl->l_whence) {
        case SEEK_SET:
                base = 0;
                break;
        case SEEK_CUR:
                base = (int64_t)f->pos;
                break;
        case SEEK_END:
                base = (int64_t)f->inode->size;
                break;
        default:
                return -EINVAL;
        }
        if (__builtin_add_overflow(base, fl->l_start, &start))
                return -EOVERFLOW;
        if (start < 0)
                return -EINVAL;
        if (fl->l_len > 0) {
                if (__builtin_add_overflow(start, fl->l_len - 1, &end))
                        return -EOVERFLOW;
                r->start = (uint64_t)start;
                r->end = (uint64_t)end;
        } else if (fl->l_len < 0) {
                if (start + fl->l_len < 0)
                        return -EINVAL;
                r->start = (uint64_t)(start + fl->l_len);
                r->end = (uint64_t)start - 1;
        } else {
                r->start = (uint64_t)start;
                r->end = ~0ul;
        }
        if (fl->l_type != F_RDLCK && fl->l_type != F_WRLCK && fl->l_type != F_UNLCK)
                return -EINVAL;
        r->type = fl->l_type;
        return 0;
}

static long get_lock(struct call *c, struct file *f, const void *owner, uint64_t arg, struct flock *fl,
                     const struct lock_range *r)
{
        const struct lock_record *l;

        if (r->type == F_UNLCK)
                return -EINVAL;
        lock(LOCK_FLOCK, f->inode);
        l = conflict(f->inode->locks, owner, r);
        if (l) {
                fl->l_type = l->type;
                fl->l_whence = SEEK_SET;
                fl->l_start = (int64_t)l->start;
                fl->l_len = l->end == ~0ul ? 0 : (int64_t)(l->end - l->start + 1);
                fl->l_pid = l->kind == KIND_OFD ? -1 : l->pid;
        } else {
                fl->l_type = F_UNLCK;
        }
        return copy_out(c, arg, fl, sizeof(*fl)) ? 0 : user_fault(c);
}

static long set_lock(struct call *c, struct file *f, const void *owner, const struct lock_range *r)
{
        struct fdtable *t = c->thread->proc->files;
        struct inode *i = f->inode;
        const struct lock_record *l;
        long x;

        lock(LOCK_FLOCK, i);
        l = r->type == F_UNLCK ? NULL : conflict(i->locks, owner, r);
        if (!l) {
                waits_for(c, 0);
                if (fdtable_get(t, (uint32_t)c->arg[0]) != f)
                        return -EBADF; /* closed while we waited */
                if (r->type == F_UNLCK && !i->locks)
                        return 0;
                x = room(i->locks);
                if (x)
                        return x;
                changes(c);
                apply(i, owner, *r, c->thread->proc->pid);
                return 0;
        }
        if (!r->wait)
                return -EAGAIN;
        if (c->why != WHY_RUN) {
                waits_for(c, 0);
                return call_interrupted(c);
        }
        if (r->kind == KIND_POSIX && l->kind == KIND_POSIX) {
                if (deadlock(t, l->pid))
                        return -EDEADLK;
                waits_for(c, l->pid);
        }
        return call_wait(c, CONDITION, &i->locks, INTERRUPTIBLE, NO_DEADLINE);
}

long flock_fcntl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        struct lock_range *r = call_state(c, struct lock_range);
        bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
        const void *owner = ofd ? (const void *)f : c->thread->proc->files;

        if (c->stage == 0) {
                struct flock fl;
                long x;

                *r = (struct lock_range){.kind = ofd ? KIND_OFD : KIND_POSIX,
                                         .wait = cmd == F_SETLKW || cmd == F_OFD_SETLKW};
                x = decode(c, f, arg, &fl, r);
                if (x)
                        return x;
                if (ofd && fl.l_pid)
                        return -EINVAL;
                if (cmd == F_GETLK || cmd == F_OFD_GETLK)
                        return get_lock(c, f, owner, arg, &fl, r);
                if ((r->type == F_RDLCK && !(f->mode & FMODE_READ)) || (r->type == F_WRLCK && !(f->mode & FMODE_WRITE)))
                        return -EBADF;
                c->file = f;
                c->stage = 1;
        }
        return set_lock(c, f, owner, r);
}

/* ---- flock ---------------------------------------------------------------------------------------------------------------- */

long sys_flock(struct call *c)
{
        struct lock_range r = {.start = 0, .end = ~0ul, .kind = KIND_FLOCK};
        uint64_t op = c->arg[1] & ~4ul;
        struct file *f = c->stage ? c->file : fd_lookup_io(c, c->arg[0]);
        const struct lock_record *l;
        struct inode *i;
        long x;

        if (!f)
                return -EBADF;
        switch (op) {
        case 1:
                r.type = F_RDLCK;
                break;
        case 2:
                r.type = F_WRLCK;
                break;
        case 8:
                r.type = F_UNLCK;
                break;
        default:
                return -EINVAL;
        }
        c->file = f;
        c->stage = 1;
        i = f->inode;
        lock(LOCK_FLOCK, i);
        if (r.type == F_UNLCK && !i->locks)
                return 0;
        x = room(i->locks);
        if (x)
                return x;
        l = r.type == F_UNLCK ? NULL : conflict(i->locks, f, &r);
        if (!l) {
                changes(c);
                apply(i, f, r, c->thread->proc->pid);
                return 0;
        }
        /* A conversion lets go of the lock that was held, also when it then fails. */
        for (uint32_t k = 0; k < ((struct lock_set *)i->locks)->n; k++) {
                struct lock_record *held = &((struct lock_set *)i->locks)->rec[k];

                if (held->owner == f && held->kind == KIND_FLOCK && held->type != r.type) {
                        changes(c);
                        r.type = F_UNLCK;
                        apply(i, f, r, 0);
                        break;
                }
        }
        if (c->arg[1] & 4 /* LOCK_NB */)
                return -EAGAIN;
        if (c->why != WHY_RUN)
                return call_interrupted(c);
        return call_wait(c, CONDITION, &i->locks, INTERRUPTIBLE, NO_DEADLINE);
}
