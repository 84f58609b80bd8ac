/*
 * shm.c - System V shared memory. A segment is an inode's pages; attaching maps them through one file that belongs to the segment. Each area has a reference
 * on that file: fork, a split, the end of a process need nothing from us, and the number of attachments is the number of its references.
 * Its release is the last detach.
 */
#include "posix/ipc/ipc_internal.h"
#include "posix/include/mm.h"
#include "kernel/lib/fmt.h"
#include <asm/mman.h>
#include <asm/shmbuf.h>
#include <linux/fcntl.h>

/* <linux/shm.h> wants a libc header. */
#define SHM_DEST     01000u
#define SHM_LOCKED   02000u
#define SHM_HUGETLB  04000u
#define SHM_RDONLY   010000u
#define SHM_RND      020000u
#define SHM_REMAP    040000u
#define SHM_EXEC     0100000u
#define SHM_LOCK     11
#define SHM_UNLOCK   12
#define SHM_STAT     13
#define SHM_INFO     14
#define SHM_STAT_ANY 15
#define SHMLBA       PAGE_SIZE
struct shm_info {
        int used_ids;
        uint64_t shm_tot, shm_rss, shm_swp, swap_attempts, swap_successes;
};

#define SHM_COUNT_MAX 4096u
#define SHM_SIZE_MAX  (1ul << 42) /* beyond what the space holds; Linux's own limit is no limit */

uint64_t shm_attached(const struct shm *s)
{
        struct file *f = READ_ONCE(s->file);

        return f ? READ_ONCE(f->obj.refs) : 0;
}

bool shm_release(void *object)
{
        struct shm *s = object;

        __atomic_fetch_sub(&ipc_state()->shm_pages, ALIGN_UP(s->size, PAGE_SIZE) / PAGE_SIZE, __ATOMIC_RELAXED);
        object_put(s->inode);
        space_free(s);
        return false;
}

void shm_touch(void *object)
{
        struct shm *s = object;

        (void)READ_ONCE(s->inode->obj.refs);
}

/* The last area is gone. */
static void shm_file_release(struct file *f)
{
        struct shm *s = (struct shm *)f->priv;

        ipc_lock_both(&s->ipc);
        s->dtime = IPC_STAT_TIME();
        if (s->file != f) { /* attached anew since */
                unlock2(LOCK_IPC, ipc_table(IPC_SHM), s);
                return;
        }
        s->file = NULL;
        if (s->ipc.mode & SHM_DEST && !s->ipc.deleted)
                ipc_remove(&s->ipc);
        unlock2(LOCK_IPC, ipc_table(IPC_SHM), s);
}

const struct file_ops shm_file_ops = {.name = "shm", .release = shm_file_release};

static long shm_make(struct call *c, int key, uint64_t size, uint32_t flags)
{
        struct inode *i;
        struct shm *s;
        long r;

        if (size < 1 || size > SHM_SIZE_MAX)
                return -EINVAL;
        if (flags & SHM_HUGETLB)
                return -ENOMEM;
        r = ipc_full(IPC_SHM, SHM_COUNT_MAX);
        if (r)
                return r;
        if (!space_room(ipc_room(IPC_SHM) + 2))
                return -ENOMEM;
        changes(c);
        s = object_new(TYPE_SHM);
        i = inode_anonymous(S_IFREG | (flags & 0777), "SYSV");
        i->size = size;
        s->inode = i;
        s->size = size;
        s->cpid = c->thread->proc->pid;
        ipc_state()->shm_pages += ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
        return ipc_add(&s->ipc, IPC_SHM, key, flags);
}

long sys_shmget(struct call *c)
{
        int key = (int)c->arg[0];
        uint32_t flags = (uint32_t)c->arg[2];
        struct ipc_object *o;
        long r = ipc_get_begin(IPC_SHM, key, flags, &o), allowed;

        if (r == -ENOENT)
                return shm_make(c, key, c->arg[1], flags);
        if (r < 0)
                return r == -ENODATA ? -ENOENT : r;
        if (((struct shm *)o)->size < c->arg[1])
                return -EINVAL;
        allowed = ipc_allowed(o, flags);
        return allowed ? allowed : r;
}

/* One more reference, unless the last one is gone already (the object waits for its end). */
static bool get_live(struct object *o)
{
        uint32_t refs = READ_ONCE(o->refs);

        while (refs)
                if (__atomic_compare_exchange_n(&o->refs, &refs, refs + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                        return true;
        return false;
}

/* The file all areas of s map; made with the first. After changes(). */
static struct file *shm_file(struct shm *s)
{
        struct file *f = s->file;

        if (f && get_live(&f->obj))
                return f;
        f = file_new(FILE_SHM, FMODE_READ | FMODE_WRITE, O_RDWR, s->inode, s);
        f->path = space_alloc_bytes(32);
        snprintf(f->path, 32, "/SYSV%08x (deleted)", (unsigned)s->ipc.key);
        s->file = f;
        return f;
}

static long shm_place(struct call *c, struct mm *m, uint64_t addr, uint64_t len, uint32_t flags, uint64_t *va)
{
        if (addr & (SHMLBA - 1)) {
                if (!(flags & SHM_RND) && addr & (PAGE_SIZE - 1))
                        return -EINVAL;
                addr &= ~(uint64_t)(SHMLBA - 1);
                if (!addr && flags & SHM_REMAP)
                        return -EINVAL;
        }
        (void)c;
        if (!addr) {
                if (flags & SHM_REMAP)
                        return -EINVAL;
                *va = mm_gap(m, len, PAGE_SIZE);
                return *va ? 0 : -ENOMEM;
        }
        if (addr > USER_TOP || len > USER_TOP - addr || addr < 65536)
                return -EINVAL;
        *va = addr;
        return flags & SHM_REMAP || mm_range_free(m, addr, len) ? 0 : -EINVAL;
}

long sys_shmat(struct call *c)
{
        uint32_t flags = (uint32_t)c->arg[2],
                 prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
        struct shm *s = (struct shm *)ipc_find(IPC_SHM, (int)c->arg[0]);
        struct mm *m = c->thread->proc->mm;
        uint64_t len, va;
        struct file *f;
        long r;

        if (!s)
                return -EINVAL;
        len = ALIGN_UP(s->size, PAGE_SIZE);
        r = ipc_allowed(&s->ipc, (flags & SHM_RDONLY ? 0444 : 0666) | (flags & SHM_EXEC ? 0111 : 0));
        if (r)
                return r;
        lock(LOCK_IPC, s);
        if (s->ipc.deleted)
                return -EIDRM;
        (void)READ_ONCE(s->inode->obj.refs);
        r = mm_enter(c, m);
        if (!r)
                r = shm_place(c, m, c->arg[1], len, flags, &va);
        if (!r)
                r = mm_may_map(m, len, prot, MAP_SHARED);
        if (r)
                return r;
        if (!space_room(MM_AREA_ROOM + 3))
                return -ENOMEM;
        if (flags & SHM_REMAP && !mm_range_free(m, va, len)) {
                r = mm_unmap_piece(c, m, va, va + len);
                if (r)
                        return mm_leave(c, m, r);
        }
        changes(c);
        f = shm_file(s);
        mm_map_area(m, va, len, prot, MAP_SHARED | (flags & SHM_RDONLY ? VMA_NOWRITE : 0), s->inode, 0, f);
        object_put(f); /* the area has its own */
        s->atime = IPC_STAT_TIME();
        s->lpid = c->thread->proc->pid;
        return (long)va;
}

struct shmdt_state {
        uint64_t from, to;
};

long sys_shmdt(struct call *c)
{
        struct shmdt_state *st = call_state(c, struct shmdt_state);
        struct mm *m = c->thread->proc->mm;
        uint64_t addr = c->arg[0];
        struct file *f = NULL;
        struct vma *v;
        long r;

        if (addr & (PAGE_SIZE - 1))
                return -EINVAL;
        r = mm_enter(c, m);
        if (r)
                return r;
        if (c->stage == 0) {
                /* The attachment is what begins at addr with the segment's first page, or what is left of it. */
                for (v = mm_find_next(m, addr); v && !f; v = v->next) {
                        if (v->file && v->file->ops_type == FILE_SHM && v->start - (v->pgoff << PAGE_SHIFT) == addr)
                                f = v->file;
                        else if (v->start > addr)
                                break;
                }
                if (!f)
                        return -EINVAL;
                st->from = addr;
                st->to = addr + ALIGN_UP(((struct shm *)f->priv)->size, PAGE_SIZE);
                c->stage = 1;
                c->file = f;
                return CALL_AGAIN; /* saved, the call has a reference of its own: the file outlives its last area to the end of the call */
        }
        f = c->file;
        /* Other mappings may stand between parts of ours. */
        for (v = mm_find_next(m, st->from); v && v->start < st->to; v = v->next)
                if (v->file == f && v->start - (v->pgoff << PAGE_SHIFT) == addr) {
                        r = mm_unmap_piece(c, m, v->start, v->end);
                        if (!r)
                                ((struct shm *)f->priv)->lpid = c->thread->proc->pid;
                        return mm_leave(c, m, r ? r : CALL_AGAIN);
                }
        return 0;
}

static void stat_fill(struct shm *s, struct shmid64_ds *d)
{
        *d = (struct shmid64_ds){.shm_segsz = s->size,
                                 .shm_atime = s->atime,
                                 .shm_dtime = s->dtime,
                                 .shm_ctime = s->ipc.ctime,
                                 .shm_cpid = s->cpid,
                                 .shm_lpid = s->lpid,
                                 .shm_nattch = shm_attached(s)};
        ipc_perm_fill(&s->ipc, &d->shm_perm);
}

static long shm_stat(struct call *c, int cmd)
{
        bool by_index = cmd != IPC_STAT;
        struct shm *s =
                (struct shm *)(by_index ? ipc_at(IPC_SHM, (unsigned)c->arg[0]) : ipc_find(IPC_SHM, (int)c->arg[0]));
        struct shmid64_ds d;
        long r;

        if (!s)
                return -EINVAL;
        r = cmd == SHM_STAT_ANY ? 0 : ipc_allowed(&s->ipc, 0444);
        if (r)
                return r;
        stat_fill(s, &d);
        if (!copy_out(c, c->arg[2], &d, sizeof(d)))
                return user_fault(c);
        return by_index ? s->ipc.id : 0;
}

static bool add_up(struct ipc_object *o, void *arg)
{
        struct shm_info *i = arg;
        struct shm *s = (struct shm *)o;

        i->used_ids++;
        i->shm_tot += ALIGN_UP(s->size, PAGE_SIZE) / PAGE_SIZE;
        i->shm_rss += s->inode->data.npages;
        return true;
}

static long shm_remove(struct call *c, struct shm *s)
{
        if (!ipc_owner(&s->ipc))
                return -EPERM;
        ipc_lock_both(&s->ipc);
        if (s->ipc.deleted)
                return -EIDRM;
        (void)READ_ONCE(s->inode->obj.refs);
        changes(c);
        if (!s->file) {
                ipc_remove(&s->ipc);
                return 0;
        }
        /* Still attached: no key any more, gone with the last detach. */
        s->ipc.mode |= SHM_DEST;
        ipc_forget_key(&s->ipc);
        return 0;
}

static long shm_set(struct call *c, struct shm *s)
{
        struct shmid64_ds d;

        if (!copy_in(c, &d, c->arg[2], sizeof(d)))
                return user_fault(c);
        if (!ipc_owner(&s->ipc))
                return -EPERM;
        lock(LOCK_IPC, s);
        if (s->ipc.deleted)
                return -EIDRM;
        changes(c);
        ipc_set(&s->ipc, &d.shm_perm);
        return 0;
}

static long shm_lock(struct call *c, struct shm *s, bool on)
{
        if (!ipc_owner(&s->ipc) && !capable(CAP_IPC_LOCK))
                return -EPERM;
        if (on && !capable(CAP_IPC_LOCK) && !rlimit_of(c->thread->proc, RLIMIT_MEMLOCK))
                return -EPERM;
        lock(LOCK_IPC, s);
        if (s->ipc.deleted)
                return -EIDRM;
        changes(c);
        s->ipc.mode = on ? s->ipc.mode | SHM_LOCKED : s->ipc.mode & ~(uint32_t)SHM_LOCKED;
        return 0;
}

long sys_shmctl(struct call *c)
{
        int cmd = (int)c->arg[1] & ~IPC_64;
        struct shm *s;

        if ((int)c->arg[0] < 0 || cmd < 0)
                return -EINVAL;
        switch (cmd) {
        case IPC_INFO: {
                struct shminfo64 i = {.shmmax = ~0ul - (1ul << 24),
                                      .shmmin = 1,
                                      .shmmni = SHM_COUNT_MAX,
                                      .shmseg = SHM_COUNT_MAX,
                                      .shmall = ~0ul - (1ul << 24)};

                return copy_out(c, c->arg[2], &i, sizeof(i)) ? ipc_top(IPC_SHM) : user_fault(c);
        }
        case SHM_INFO: {
                struct shm_info i = {0};

                ipc_each(IPC_SHM, add_up, &i);
                return copy_out(c, c->arg[2], &i, sizeof(i)) ? ipc_top(IPC_SHM) : user_fault(c);
        }
        case IPC_STAT:
        case SHM_STAT:
        case SHM_STAT_ANY:
                return shm_stat(c, cmd);
        }
        s = (struct shm *)ipc_find(IPC_SHM, (int)c->arg[0]);
        if (!s)
                return -EINVAL;
        switch (cmd) {
        case IPC_RMID:
                return shm_remove(c, s);
        case IPC_SET:
                return shm_set(c, s);
        case SHM_LOCK:
        case SHM_UNLOCK:
                return shm_lock(c, s, cmd == SHM_LOCK);
        default:
                return -EINVAL;
        }
}

const struct space_field shm_fields[] = {
        {offsetof(struct shm, ipc.key_next), FIELD_BORROW, 1},
        {offsetof(struct shm, inode), FIELD_REF, 1},
        {offsetof(struct shm, file), FIELD_BORROW, 1},
        {0, 0, 0},
};
