/*
 * inotify.c - inotify: watches on inodes, events in a ring of the instance.
 *
 * A watch hangs on its inode's list and on its instance's; it counts neither: the inode's end takes its watches along (IN_DELETE_SELF, IN_IGNORED), and so does the
 * instance's. The ring has a fixed size and holds events as the program will read them, so that an event allocates nothing; what does not fit is one
 * IN_Q_OVERFLOW. Events come after the changes() of the section that does what they tell; watches_touch() or watches_touch_self() came before it.
 * One LOCK_NOTIFY word guards everything here: events are rare, and a section that has none only looks at notify_active.
 */
#include "posix/include/poll.h"
#include "posix/vfs/vfs_internal.h"
#include "kernel/lib/string.h"
#include <asm/ioctls.h>
#include <linux/inotify.h>

#define RING          (64u * 1024)
#define EVENTS_MAX    1024u
#define WATCHES_MAX   8192u
#define PARENT_EVENTS (IN_ACCESS | IN_MODIFY | IN_ATTRIB | IN_OPEN | IN_CLOSE)
#define RELEASE_PIECE 24u

struct inotify {
        struct object obj;
        uint64_t head, tail;   /* bytes ever written and read; head's address is the wake key */
        uint64_t last;         /* where the newest event begins; == head: none to compare with */
        char *ring;            /* FIELD_OWN */
        struct watch *watches; /* FIELD_OWN list */
        uint32_t nevents, nwatches;
        int32_t next_wd;
        uint32_t overflowed; /* the newest event is an IN_Q_OVERFLOW */
};

struct watch {
        struct inotify *instance;  /* FIELD_BORROW */
        struct inode *inode;       /* FIELD_BORROW; NULL: a computed inode, to which nothing happens */
        struct watch *inode_next;  /* FIELD_OWN */
        struct watch *next, *prev; /* FIELD_BORROW: of the instance */
        int32_t wd;
        uint32_t mask;
};

const struct space_field inotify_fields[] = {{offsetof(struct inotify, ring), FIELD_OWN, 2}, {0, 0, 0}};
const struct space_field watch_fields[] = {{offsetof(struct watch, instance), FIELD_BORROW, 5}, {0, 0, 0}};
_Static_assert(sizeof(struct inotify) == INOTIFY_BYTES && sizeof(struct watch) == WATCH_BYTES, "types.c");

bool notify_active; /* [V] some watch exists or may exist */

static void notify_lock(void)
{
        if (!lock_held(LOCK_NOTIFY, &notify_active))
                lock(LOCK_NOTIFY, &notify_active);
}

/* ---- events ---- */

static void ring_put(struct inotify *in, const void *src, size_t len)
{
        size_t at = in->head % RING, first = MIN(len, RING - at);

        memcpy(in->ring + at, src, first);
        memcpy(in->ring, (const char *)src + first, len - first);
        in->head += len;
}

static void ring_get(const struct inotify *in, uint64_t pos, void *dst, size_t len)
{
        size_t at = pos % RING, first = MIN(len, RING - at);

        memcpy(dst, in->ring + at, first);
        memcpy((char *)dst + first, in->ring, len - first);
}

/* The same as the newest event, which nobody has read yet? */
static bool repeats(const struct inotify *in, const struct inotify_event *e, const char *name, unsigned len)
{
        struct inotify_event last;
        char old[NAME_MAX_LEN + 1];

        if (in->last == in->head || in->last < in->tail)
                return false;
        ring_get(in, in->last, &last, sizeof(last));
        if (memcmp(&last, e, sizeof(last)) != 0)
                return false;
        if (!e->len)
                return true;
        ring_get(in, in->last + sizeof(last), old, len + 1);
        return memcmp(old, name, len) == 0 && old[len] == 0;
}

static void queue(struct inotify *in, int32_t wd, uint32_t mask, uint32_t cookie, const char *name, unsigned len)
{
        static const char zeros[16];
        struct inotify_event e = {.wd = wd, .mask = mask, .cookie = cookie, .len = name ? ALIGN_UP(len + 1, 16u) : 0};

        if (repeats(in, &e, name, len))
                return;
        if (in->nevents >= EVENTS_MAX || in->head - in->tail + sizeof(e) + e.len > RING - sizeof(e)) {
                if (in->overflowed)
                        return;
                e = (struct inotify_event){.wd = -1, .mask = IN_Q_OVERFLOW};
                in->overflowed = 1;
                name = NULL;
        }
        in->last = in->head;
        ring_put(in, &e, sizeof(e));
        if (name) {
                ring_put(in, name, len);
                for (unsigned pad = e.len - len; pad;) {
                        unsigned n = MIN(pad, (unsigned)sizeof(zeros));

                        ring_put(in, zeros, n);
                        pad -= n;
                }
        }
        in->nevents++;
        wake(&in->head);
}

static void watch_remove(struct watch *w)
{
        struct inotify *in = w->instance;

        if (w->inode) {
                struct watch **at = (struct watch **)&w->inode->watches;

                while (*at != w)
                        at = &(*at)->inode_next;
                *at = w->inode_next;
        }
        if (w->next)
                w->next->prev = w->prev;
        if (w->prev)
                w->prev->next = w->next;
        else
                in->watches = w->next;
        in->nwatches--;
        space_free(w);
}

/* To the watches on i. */
static void tell(struct inode *i, uint32_t mask, const char *name, unsigned len, uint32_t cookie)
{
        struct watch *next;

        notify_lock();
        for (struct watch *w = i->watches; w; w = next) {
                next = w->inode_next;
                if (!(w->mask & mask & IN_ALL_EVENTS))
                        continue;
                queue(w->instance, w->wd, mask, cookie, name, len);
                if (w->mask & IN_ONESHOT) {
                        queue(w->instance, w->wd, IN_IGNORED, 0, NULL, 0);
                        watch_remove(w);
                }
        }
}

void notify_name(struct inode *dir, uint32_t mask, const char *name, unsigned len, uint32_t cookie)
{
        if (dir->watches)
                tell(dir, mask, name, len, cookie);
}

void notify_self(struct inode *i, uint32_t mask)
{
        if (i->watches)
                tell(i, mask | (S_ISDIR(i->mode) ? IN_ISDIR : 0), NULL, 0, 0);
}

/* Name of i in its directory; false: it has none. Takes the directory's lock: no LOCK_INODE may be held. */
static bool name_in_parent(struct inode *i, char *name, unsigned *len)
{
        struct inode *dir = i->parent;
        struct dir_entry e;
        bool found;

        lock(LOCK_INODE, dir);
        found = dir_next(dir, i->name_key - 1, &e) && e.cookie == i->name_key;
        if (found) {
                memcpy(name, e.name, e.len);
                *len = e.len;
        }
        unlock(LOCK_INODE, dir);
        return found;
}

void notify_event(struct inode *i, uint32_t mask, const char *name, uint32_t cookie)
{
        struct inode *dir = i->parent;
        uint32_t is_dir = S_ISDIR(i->mode) ? IN_ISDIR : 0;
        char text[NAME_MAX_LEN];
        unsigned len;

        if (likely(!notify_active))
                return;
        if (i->watches)
                tell(i, mask | is_dir, name, name ? (unsigned)strlen(name) : 0, cookie);
        if (!dir || !dir->watches || !(mask & PARENT_EVENTS) || inode_is_volatile(i))
                return;
        if (lock_held(LOCK_NOTIFY, &notify_active))
                unlock(LOCK_NOTIFY, &notify_active);
        if (name_in_parent(i, text, &len))
                tell(dir, mask | is_dir, text, len, cookie);
}

void watches_touch_self(struct inode *i)
{
        for (struct watch *w = i->watches; w; w = w->inode_next) {
                struct inotify *in = w->instance;

                (void)*(volatile char *)(in->ring + in->head % RING);
                (void)*(volatile char *)(in->ring +
                                         (in->head + 2 * sizeof(struct inotify_event) + NAME_MAX_LEN) % RING);
                if (in->last < in->head)
                        (void)*(volatile char *)(in->ring + in->last % RING);
                if (w->next)
                        (void)READ_ONCE(w->next->wd);
                if (w->prev)
                        (void)READ_ONCE(w->prev->wd);
        }
}

void watches_touch(struct inode *i)
{
        char text[NAME_MAX_LEN];
        unsigned len;

        if (likely(!notify_active))
                return;
        watches_touch_self(i);
        if (i->parent && i->parent->watches && !inode_is_volatile(i)) {
                watches_touch_self(i->parent);
                (void)name_in_parent(i, text, &len);
        }
}

void watches_inode_gone(struct inode *i)
{
        struct watch *next;

        if (!i->watches)
                return;
        notify_lock();
        for (struct watch *w = i->watches; w; w = next) {
                next = w->inode_next;
                if (w->mask & IN_DELETE_SELF)
                        queue(w->instance, w->wd, IN_DELETE_SELF, 0, NULL, 0);
                queue(w->instance, w->wd, IN_IGNORED, 0, NULL, 0);
                watch_remove(w);
        }
}

/* ---- the descriptor ---- */

static struct inotify *instance_of(struct file *f)
{
        return (struct inotify *)f->priv;
}

static long inotify_read(struct call *c, struct file *f)
{
        struct inotify *in = instance_of(f);
        struct vfs_scratch *s = vfs_scratch();
        uint64_t at;
        size_t n = 0;
        unsigned events = 0;

        if (!s)
                return -ENOMEM;
        notify_lock();
        at = in->tail;
        if (at == in->head) {
                if (f->flags & O_NONBLOCK)
                        return -EAGAIN;
                if (c->why != WHY_RUN)
                        return call_interrupted(c);
                return call_wait(c, CONDITION, &in->head, INTERRUPTIBLE, NO_DEADLINE);
        }
        while (at < in->head) {
                struct inotify_event e;
                size_t size;

                ring_get(in, at, &e, sizeof(e));
                size = sizeof(e) + e.len;
                if (n + size > MIN(c->io.len, (size_t)SCRATCH_OUT))
                        break;
                ring_get(in, at, s->out + n, size);
                n += size;
                at += size;
                events++;
        }
        if (n == 0)
                return -EINVAL;
        if (io_copy_out(&c->io, s->out, n) < n)
                return user_fault(c);
        changes(c);
        in->tail = at;
        in->nevents -= events;
        if (at == in->head)
                in->overflowed = 0;
        return (long)n;
}

static uint32_t inotify_poll(struct file *f, struct poll_table *pt)
{
        struct inotify *in = instance_of(f);

        poll_register(pt, &in->head);
        return READ_ONCE(in->head) != READ_ONCE(in->tail) ? EPOLLIN | EPOLLRDNORM : 0;
}

static long inotify_ioctl(struct call *c, struct file *f, unsigned cmd, uint64_t arg)
{
        int n = (int)(instance_of(f)->head - instance_of(f)->tail);

        if (cmd != FIONREAD)
                return -ENOTTY;
        return copy_out(c, arg, &n, sizeof(n)) ? 0 : user_fault(c);
}

static int inotify_show(struct file *f, char *buf, size_t len)
{
        (void)f;
        return (int)str_copy(buf, "anon_inode:inotify", len);
}

const struct file_ops inotify_file_ops = {
        .name = "inotify",
        .read = inotify_read,
        .poll = inotify_poll,
        .ioctl = inotify_ioctl,
        .show_path = inotify_show,
};

static long init(struct call *c, uint64_t flags)
{
        struct inotify *in;
        struct inode *i;
        struct file *f;
        int fd;

        if (flags & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK))
                return -EINVAL;
        fd = fd_reserve(c, 0);
        if (fd < 0)
                return fd;
        if (!space_room(SMALL_CHANGE + RING / PAGE_SIZE))
                return -ENOMEM;
        changes(c);
        in = object_new(TYPE_INOTIFY);
        in->ring = space_alloc_bytes(RING);
        in->next_wd = 1;
        i = inode_anonymous(0600, "inotify");
        f = file_new(FILE_INOTIFY, FMODE_READ, (uint32_t)flags & O_NONBLOCK, i, in);
        object_put(in);
        object_put(i);
        fd_install(c, fd, f, flags & O_CLOEXEC);
        return fd;
}

long sys_inotify_init(struct call *c)
{
        return init(c, 0);
}

long sys_inotify_init1(struct call *c)
{
        return init(c, c->arg[0]);
}

long sys_inotify_add_watch(struct call *c)
{
        uint32_t mask = (uint32_t)c->arg[2];
        struct inotify *in;
        struct file *f;
        struct walk walk;
        struct watch *w;
        long r;

        if (!(mask & IN_ALL_EVENTS))
                return -EINVAL;
        f = fd_lookup_io(c, c->arg[0]);
        if (!f)
                return -EBADF;
        if (f->ops_type != FILE_INOTIFY || (mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE))
                return -EINVAL;
        in = instance_of(f);
        r = path_walk(c, AT_FDCWD, c->arg[1],
                      (mask & IN_DONT_FOLLOW ? 0 : WALK_FOLLOW) | (mask & IN_ONLYDIR ? WALK_DIRECTORY : 0), &walk);
        if (!r)
                r = inode_permission(walk.inode, MAY_READ);
        if (r)
                return r;
        notify_lock();
        for (w = walk.inode->watches; w && w->instance != in; w = w->inode_next)
                ;
        mask &= IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT | IN_MASK_ADD | IN_MASK_CREATE;
        if (w) {
                if (mask & IN_MASK_CREATE)
                        return -EEXIST;
                changes(c);
                w->mask = mask & IN_MASK_ADD ? w->mask | (mask & ~(uint32_t)IN_MASK_ADD) : mask;
                return w->wd;
        }
        if (in->nwatches >= WATCHES_MAX || !space_room(2))
                return -ENOSPC;
        if (in->watches)
                (void)READ_ONCE(in->watches->wd);
        changes(c);
        notify_active = true;
        w = space_alloc(TYPE_WATCH);
        w->instance = in;
        w->mask = mask & ~(uint32_t)(IN_MASK_ADD | IN_MASK_CREATE);
        w->wd = in->next_wd++;
        w->next = in->watches;
        if (w->next)
                w->next->prev = w;
        in->watches = w;
        in->nwatches++;
        if (!inode_is_volatile(walk.inode)) {
                w->inode = walk.inode;
                w->inode_next = walk.inode->watches;
                walk.inode->watches = w;
        }
        return w->wd;
}

long sys_inotify_rm_watch(struct call *c)
{
        struct file *f = fd_lookup_io(c, c->arg[0]);
        struct inotify *in;
        struct watch *w;

        if (!f)
                return -EBADF;
        if (f->ops_type != FILE_INOTIFY)
                return -EINVAL;
        in = instance_of(f);
        notify_lock();
        for (w = in->watches; w && w->wd != (int32_t)c->arg[1]; w = w->next)
                ;
        if (!w)
                return -EINVAL;
        if (w->inode)
                watches_touch_self(w->inode);
        (void)*(volatile char *)(in->ring + in->head % RING);
        changes(c);
        queue(in, w->wd, IN_IGNORED, 0, NULL, 0);
        watch_remove(w);
        return 0;
}

void inotify_release_touch(void *o)
{
        struct inotify *in = o;
        unsigned n = 0;

        for (struct watch *w = in->watches; w && n < RELEASE_PIECE; w = w->next, n++) {
                if (w->inode)
                        watches_touch_self(w->inode);
        }
}

bool inotify_release(void *o)
{
        struct inotify *in = o;

        notify_lock();
        for (unsigned n = 0; in->watches && n < RELEASE_PIECE; n++)
                watch_remove(in->watches);
        if (in->watches)
                return true;
        space_free_bytes(in->ring);
        space_free(in);
        return false;
}

static void saw_one(void *watch, void *arg)
{
        (void)watch;
        *(bool *)arg = true;
}

void inotify_boot(void)
{
        space_each(TYPE_WATCH, saw_one, &notify_active);
}
