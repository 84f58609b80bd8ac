/*
 * sem.c - System V semaphores. A set of operations is done whole or not at all. Who cannot go on sleeps with GRANT: whoever changes the set does the sleepers'
 * operations for them, in the order they came, until nobody more can go on, and gives them their result. For that the sleeper's operations stand in
 * its record, which is resident; lists of more than SOPS_INLINE operations do not fit there and sleep with CONDITION (they look
 * again at every change), with the same result but for their place in the queue.
 *
 * SEM_UNDO: a process has one record per set (struct sem_undo), made before the operations are done. Exit applies them, one set a section.
 *
 * Locks: LOCK_IPC of the set guards values, pids, and the list and contents of its undo records; a process's own list of them is changed by its own
 * threads under LOCK_IPC of the process.
 */
#include "posix/ipc/ipc_internal.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"
#include <asm/sembuf.h>
#include <linux/sem.h>
#include <linux/time_types.h>

#define SETS_MAX    32000u /* SEMMNI */
#define SOPS_MAX    500u   /* SEMOPM */
#define SEMS_TOTAL  1024000000
#define SOPS_INLINE 20u

enum { STAGE_TRY = 1, STAGE_ASLEEP, STAGE_LOOKING };

struct semop_state {
        uint32_t n;
        uint16_t alters, undo;
        struct sem_undo *record; /* of this process for the set; NULL: no operation has SEM_UNDO */
        struct sembuf op[SOPS_INLINE];
};

static struct sembuf *ops_of(struct call *c)
{
        struct semop_state *st = call_state(c, struct semop_state);

        return st->n > SOPS_INLINE ? c->overflow : st->op;
}

/* ---- sets ---- */

bool semset_release(void *object)
{
        struct semset *s = object;

        space_free_bytes(s->value);
        space_free_bytes(s->pid);
        space_free(s);
        return false;
}

static long set_make(struct call *c, int key, int nsems, uint32_t flags)
{
        struct semset *s;
        long r;

        if (nsems <= 0)
                return -EINVAL;
        r = ipc_full(IPC_SEM, SETS_MAX);
        if (r)
                return r;
        if (!space_room(ipc_room(IPC_SEM) + 4 + (uint64_t)nsems * 12 / PAGE_SIZE))
                return -ENOMEM;
        changes(c);
        s = object_new(TYPE_SEMSET);
        s->nsems = (uint32_t)nsems;
        s->value = space_alloc_bytes(s->nsems * sizeof(*s->value));
        s->pid = space_alloc_bytes(s->nsems * sizeof(*s->pid));
        return ipc_add(&s->ipc, IPC_SEM, key, flags);
}

long sys_semget(struct call *c)
{
        int key = (int)c->arg[0], nsems = (int)c->arg[1];
        uint32_t flags = (uint32_t)c->arg[2];
        struct ipc_object *o;
        long r, allowed;

        if (nsems < 0 || nsems > (int)SEMS_MAX)
                return -EINVAL;
        r = ipc_get_begin(IPC_SEM, key, flags, &o);
        if (r == -ENOENT)
                return set_make(c, key, nsems, flags);
        if (r < 0)
                return r == -ENODATA ? -ENOENT : r;
        if ((uint32_t)nsems > ((struct semset *)o)->nsems)
                return -EINVAL;
        allowed = ipc_allowed(o, flags);
        return allowed ? allowed : r;
}

/* Before the change: all that applying operations and letting sleepers go on may read or write. LOCK_IPC of the set is held. */
static void set_touch(struct semset *s)
{
        for (uint64_t at = 0; at < s->nsems * sizeof(*s->value); at += PAGE_SIZE)
                (void)READ_ONCE(*((char *)s->value + at));
        for (uint64_t at = 0; at < s->nsems * sizeof(*s->pid); at += PAGE_SIZE)
                (void)READ_ONCE(*((char *)s->pid + at));
        for (struct sem_undo *u = s->undo; u; u = u->set_next)
                for (uint64_t at = 0; at < s->nsems * sizeof(*u->adjust); at += PAGE_SIZE)
                        (void)READ_ONCE(*((char *)u->adjust + at));
}

/* ---- operations ---- */

/*
 * Tries the operations in order. 0: they are done. 1: one would have to wait. -ERANGE, -EAGAIN (one that would wait has IPC_NOWAIT). In all but the
 * first case nothing is changed in the end; `dry` leaves the set alone in any case.
 */
static int ops_try(struct semset *s, const struct sembuf *op, uint32_t n, struct sem_undo *record, int pid, bool dry)
{
        int result = 0;
        uint32_t i;

        for (i = 0; i < n; i++) {
                int v = s->value[op[i].sem_num], add = op[i].sem_op;

                /* Earlier operations of the list on the same semaphore count. */
                for (uint32_t k = 0; k < i; k++)
                        if (op[k].sem_num == op[i].sem_num)
                                v += op[k].sem_op;
                if ((!add && v) || v + add < 0) {
                        result = op[i].sem_flg & IPC_NOWAIT ? -EAGAIN : 1;
                        break;
                }
                if (v + add > SEM_VALUE_MAX) {
                        result = -ERANGE;
                        break;
                }
                if (op[i].sem_flg & SEM_UNDO && record) {
                        int adjust = record->adjust[op[i].sem_num] - add;

                        if (adjust < -SEM_VALUE_MAX - 1 || adjust > SEM_VALUE_MAX) {
                                result = -ERANGE;
                                break;
                        }
                }
        }
        if (result || dry)
                return result;
        for (i = 0; i < n; i++) {
                s->value[op[i].sem_num] = (uint16_t)(s->value[op[i].sem_num] + op[i].sem_op);
                s->pid[op[i].sem_num] = pid;
                if (op[i].sem_flg & SEM_UNDO && record)
                        record->adjust[op[i].sem_num] = (int16_t)(record->adjust[op[i].sem_num] - op[i].sem_op);
        }
        s->otime = IPC_STAT_TIME();
        return 0;
}

struct wake_args {
        struct semset *set;
        bool again;
};

/* One sleeper: does its operations if they can be done now. Its record is resident, the rest was touched. */
static bool let_go(struct thread *t, void *arg)
{
        struct wake_args *a = arg;
        struct semop_state *st = call_state(&t->call, struct semop_state);
        int r = ops_try(a->set, st->op, st->n, st->record, t->proc->pid, false);

        if (r == 1)
                return true;
        grant_now(t, r);
        if (r == 0 && st->alters)
                a->again = true;
        return true;
}

/* After a change of values: everybody who can go on does. */
static void set_changed(struct semset *s)
{
        struct wake_args a = {.set = s};

        do {
                a.again = false;
                grant_each(s, let_go, &a);
        } while (a.again);
        wake(&s->change);
}

/* ---- undo records ---- */

static struct sem_undo *undo_find(struct process *p, struct semset *s)
{
        for (struct sem_undo *u = p->sem_undo; u; u = u->proc_next)
                if (u->set == s)
                        return u;
        return NULL;
}

/* After changes(), LOCK_IPC of the set held. */
static struct sem_undo *undo_make(struct process *p, struct semset *s)
{
        struct sem_undo *u = space_alloc(TYPE_SEMUNDO);

        u->proc = p;
        u->set = s;
        u->adjust = space_alloc_bytes(s->nsems * sizeof(*u->adjust));
        u->set_next = s->undo;
        if (s->undo)
                s->undo->set_prev = u;
        s->undo = u;
        /* Other threads of p may add one for another set at the same time. */
        u->proc_next = p->sem_undo;
        while (!__atomic_compare_exchange_n(&p->sem_undo, (void **)&u->proc_next, u, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_SEQ_CST))
                ;
        return u;
}

static void undo_unlink_set(struct sem_undo *u)
{
        if (u->set_prev)
                u->set_prev->set_next = u->set_next;
        else
                u->set->undo = u->set_next;
        if (u->set_next)
                u->set_next->set_prev = u->set_prev;
        u->set_next = u->set_prev = NULL;
}

/* No threads are left. One set a section. A record whose set is gone has set NULL. */
void ipc_exit(struct process *p)
{
        struct sem_undo *u = p->sem_undo;
        struct semset *s;

        if (!u)
                return;
        s = u->set;
        if (s) {
                lock(LOCK_IPC, s);
                if (u->set)
                        set_touch(s);
        }
        section_changes();
        p->sem_undo = u->proc_next;
        if (u->set) {
                bool any = false;

                for (uint32_t i = 0; i < s->nsems; i++) {
                        int v = s->value[i] + u->adjust[i];

                        if (!u->adjust[i])
                                continue;
                        s->value[i] = (uint16_t)(v < 0 ? 0 : MIN(v, SEM_VALUE_MAX));
                        s->pid[i] = p->pid;
                        any = true;
                }
                undo_unlink_set(u);
                if (any) {
                        s->otime = IPC_STAT_TIME();
                        set_changed(s);
                }
        }
        space_free_bytes(u->adjust);
        space_free(u);
}

/* A new process has none of its parent's undo records (semop(2)). */
void ipc_fork(struct process *parent, struct process *child)
{
        (void)parent;
        child->sem_undo = NULL;
        child->shm_attached = NULL;
}

/* ---- semop ---- */

static long semop_decode(struct call *c, uint64_t timeout)
{
        struct semop_state *st = call_state(c, struct semop_state);
        struct __kernel_timespec ts;
        struct sembuf *op;
        uint32_t n = (uint32_t)c->arg[2];

        if (timeout) {
                if (!copy_in(c, &ts, timeout, sizeof(ts)))
                        return user_fault(c);
                if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long long)NSEC_PER_SEC)
                        return -EINVAL;
        }
        if (n < 1 || (int)c->arg[0] < 0)
                return -EINVAL;
        if (n > SOPS_MAX)
                return -E2BIG;
        st->n = n;
        st->alters = st->undo = 0;
        st->record = NULL;
        if (n > SOPS_INLINE && !call_overflow(c, n * sizeof(struct sembuf)))
                return -ENOMEM;
        op = ops_of(c);
        if (!copy_in(c, op, c->arg[1], n * sizeof(*op))) {
                c->overflow = NULL;
                return user_fault(c);
        }
        for (uint32_t i = 0; i < n; i++) {
                st->alters |= op[i].sem_op != 0;
                st->undo |= (op[i].sem_flg & SEM_UNDO) != 0;
        }
        if (timeout)
                c->deadline =
                        time_mono_ns() + (uint64_t)MIN(ts.tv_sec, 1ll << 32) * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
        c->objects[1] = (struct object *)ipc_find(IPC_SEM, (int)c->arg[0]);
        if (!c->objects[1])
                return -EINVAL;
        c->stage = STAGE_TRY;
        return 0;
}

static long semop_check(struct call *c, struct semset *s)
{
        struct semop_state *st = call_state(c, struct semop_state);
        struct sembuf *op = ops_of(c);

        for (uint32_t i = 0; i < st->n; i++)
                if (op[i].sem_num >= s->nsems)
                        return -EFBIG;
        return ipc_allowed(&s->ipc, st->alters ? 0222 : 0444);
}

static long semop_try(struct call *c, struct semset *s)
{
        struct semop_state *st = call_state(c, struct semop_state);
        struct process *p = c->thread->proc;
        struct sembuf *op = ops_of(c);
        int r;

        lock(LOCK_IPC, s);
        if (s->ipc.deleted)
                return -EIDRM;
        set_touch(s);
        if (st->undo && !st->record) {
                st->record = undo_find(p, s);
                if (!st->record && !space_room(4 + s->nsems * 2 / PAGE_SIZE))
                        return -ENOMEM;
        }
        r = ops_try(s, op, st->n, st->record, p->pid, true);
        if (r < 0)
                return r;
        if (r == 1 && c->why == WHY_DEADLINE)
                return -EAGAIN;
        if (r == 1 && c->why != WHY_RUN)
                return -EINTR;
        changes(c);
        if (st->undo && !st->record)
                st->record = undo_make(p, s);
        if (r == 0) {
                ops_try(s, op, st->n, st->record, p->pid, false);
                if (st->alters)
                        set_changed(s);
                return 0;
        }
        if (st->n > SOPS_INLINE) {
                c->stage = STAGE_LOOKING;
                return call_wait(c, CONDITION, &s->change, INTERRUPTIBLE, c->deadline);
        }
        c->stage = STAGE_ASLEEP;
        return call_wait_grant(c, s, ~0ul, INTERRUPTIBLE, c->deadline);
}

static long semop_asleep(struct call *c, struct semset *s)
{
        long r;

        lock(LOCK_IPC, s);
        if (call_granted(c, &r))
                return r;
        if (c->why == WHY_RUN)
                return call_wait_more(c);
        if (call_ungrant(c, &r))
                return r;
        return c->why == WHY_DEADLINE ? -EAGAIN : -EINTR;
}

static long semop_run(struct call *c, uint64_t timeout)
{
        struct semset *s;
        long r;

        if (c->stage == 0) {
                r = semop_decode(c, timeout);
                if (!r)
                        r = semop_check(c, (struct semset *)c->objects[1]);
                if (r)
                        return r;
        }
        s = (struct semset *)c->objects[1];
        return c->stage == STAGE_ASLEEP ? semop_asleep(c, s) : semop_try(c, s);
}

long sys_semop(struct call *c)
{
        return semop_run(c, 0);
}

long sys_semtimedop(struct call *c)
{
        return semop_run(c, c->arg[3]);
}

/* ---- semctl ---- */

struct count_args {
        uint32_t sem;
        bool zero;
        int n;
};

static bool count_sleeper(struct thread *t, void *arg)
{
        struct count_args *a = arg;
        struct semop_state *st = call_state(&t->call, struct semop_state);

        for (uint32_t i = 0; i < st->n; i++)
                if (st->op[i].sem_num == a->sem && (st->op[i].sem_op == 0) == a->zero &&
                    (a->zero || st->op[i].sem_op < 0)) {
                        a->n++;
                        break;
                }
        return true;
}

static int count_sleepers(struct semset *s, uint32_t sem, bool zero)
{
        struct count_args a = {sem, zero, 0};

        grant_each(s, count_sleeper, &a);
        return a.n;
}

static long sem_stat(struct call *c, int cmd)
{
        bool by_index = cmd != IPC_STAT;
        struct semset *s =
                (struct semset *)(by_index ? ipc_at(IPC_SEM, (unsigned)c->arg[0]) : ipc_find(IPC_SEM, (int)c->arg[0]));
        struct semid64_ds d = {0};
        long r;

        if (!s)
                return -EINVAL;
        r = cmd == SEM_STAT_ANY ? 0 : ipc_allowed(&s->ipc, 0444);
        if (r)
                return r;
        ipc_perm_fill(&s->ipc, &d.sem_perm);
        d.sem_otime = s->otime;
        d.sem_ctime = s->ipc.ctime;
        d.sem_nsems = s->nsems;
        if (!copy_out(c, c->arg[3], &d, sizeof(d)))
                return user_fault(c);
        return by_index ? s->ipc.id : 0;
}

static bool add_up(struct ipc_object *o, void *arg)
{
        struct seminfo *i = arg;

        i->semusz++;
        i->semaem += (int)((struct semset *)o)->nsems;
        return true;
}

static long sem_info(struct call *c, int cmd)
{
        struct seminfo i = {.semmap = SEMS_TOTAL,
                            .semmni = SETS_MAX,
                            .semmns = SEMS_TOTAL,
                            .semmnu = SEMS_TOTAL,
                            .semmsl = SEMS_MAX,
                            .semopm = SOPS_MAX,
                            .semume = SOPS_MAX,
                            .semusz = 20,
                            .semvmx = SEM_VALUE_MAX,
                            .semaem = SEM_VALUE_MAX};

        if (cmd == SEM_INFO) {
                i.semusz = i.semaem = 0;
                ipc_each(IPC_SEM, add_up, &i);
        }
        return copy_out(c, c->arg[3], &i, sizeof(i)) ? ipc_top(IPC_SEM) : user_fault(c);
}

static long sem_remove(struct call *c, struct semset *s)
{
        if (!ipc_owner(&s->ipc))
                return -EPERM;
        ipc_lock_both(&s->ipc);
        if (s->ipc.deleted)
                return -EIDRM;
        changes(c);
        for (struct sem_undo *u = s->undo; u; u = u->set_next)
                u->set = NULL; /* their processes free them */
        s->undo = NULL;
        ipc_remove(&s->ipc);
        grant(s, ~0u, ~0ul, -EIDRM);
        wake(&s->change);
        return 0;
}

static long sem_set(struct call *c, struct semset *s)
{
        struct semid64_ds d;

        if (!copy_in(c, &d, c->arg[3], sizeof(d)))
                return user_fault(c);
        if (!ipc_owner(&s->ipc))
                return -EPERM;
        lock(LOCK_IPC, s);
        if (s->ipc.deleted)
                return -EIDRM;
        changes(c);
        ipc_set(&s->ipc, &d.sem_perm);
        return 0;
}

static long set_value(struct call *c, struct semset *s, uint32_t sem, int value)
{
        long r = ipc_allowed(&s->ipc, 0222);

        if (value < 0 || value > SEM_VALUE_MAX)
                return -ERANGE;
        if (r)
                return r;
        lock(LOCK_IPC, s);
        if (s->ipc.deleted)
                return -EIDRM;
        if (sem >= s->nsems)
                return -EINVAL;
        set_touch(s);
        changes(c);
        for (struct sem_undo *u = s->undo; u; u = u->set_next)
                u->adjust[sem] = 0;
        s->value[sem] = (uint16_t)value;
        s->pid[sem] = c->thread->proc->pid;
        s->ipc.ctime = IPC_STAT_TIME();
        set_changed(s);
        return 0;
}

static long set_all(struct call *c, struct semset *s)
{
        long r = ipc_allowed(&s->ipc, 0222);
        size_t bytes = s->nsems * sizeof(uint16_t);
        uint16_t *v;

        if (r)
                return r;
        v = call_scratch(c, 0, bytes);
        if (!v)
                return -ENOMEM;
        if (!copy_in(c, v, c->arg[3], bytes))
                return user_fault(c);
        for (uint32_t i = 0; i < s->nsems; i++)
                if (v[i] > SEM_VALUE_MAX)
                        return -ERANGE;
        lock(LOCK_IPC, s);
        if (s->ipc.deleted)
                return -EIDRM;
        set_touch(s);
        changes(c);
        memcpy(s->value, v, bytes);
        for (uint32_t i = 0; i < s->nsems; i++)
                s->pid[i] = c->thread->proc->pid;
        for (struct sem_undo *u = s->undo; u; u = u->set_next)
                memset(u->adjust, 0, s->nsems * sizeof(*u->adjust));
        s->ipc.ctime = IPC_STAT_TIME();
        set_changed(s);
        return 0;
}

static long get_one(struct semset *s, int cmd, uint32_t sem)
{
        long r = ipc_allowed(&s->ipc, 0444);

        if (r)
                return r;
        lock(LOCK_IPC, s);
        if (s->ipc.deleted)
                return -EIDRM;
        if (sem >= s->nsems)
                return -EINVAL;
        switch (cmd) {
        case GETVAL:
                return s->value[sem];
        case GETPID:
                return s->pid[sem];
        case GETNCNT:
                return count_sleepers(s, sem, false);
        default:
                return count_sleepers(s, sem, true);
        }
}

static long get_all(struct call *c, struct semset *s)
{
        long r = ipc_allowed(&s->ipc, 0444);

        if (r)
                return r;
        lock(LOCK_IPC, s);
        if (s->ipc.deleted)
                return -EIDRM;
        return copy_out(c, c->arg[3], s->value, s->nsems * sizeof(uint16_t)) ? 0 : user_fault(c);
}

long sys_semctl(struct call *c)
{
        int cmd = (int)c->arg[2] & ~IPC_64;
        struct semset *s;

        if ((int)c->arg[0] < 0)
                return -EINVAL;
        switch (cmd) {
        case IPC_INFO:
        case SEM_INFO:
                return sem_info(c, cmd);
        case IPC_STAT:
        case SEM_STAT:
        case SEM_STAT_ANY:
                return sem_stat(c, cmd);
        }
        s = (struct semset *)ipc_find(IPC_SEM, (int)c->arg[0]);
        if (!s)
                return -EINVAL;
        switch (cmd) {
        case IPC_RMID:
                return sem_remove(c, s);
        case IPC_SET:
                return sem_set(c, s);
        case GETALL:
                return get_all(c, s);
        case SETALL:
                return set_all(c, s);
        case SETVAL:
                return set_value(c, s, (uint32_t)c->arg[1], (int)c->arg[3]);
        case GETVAL:
        case GETPID:
        case GETNCNT:
        case GETZCNT:
                return get_one(s, cmd, (uint32_t)c->arg[1]);
        default:
                return -EINVAL;
        }
}

const struct space_field semset_fields[] = {
        {offsetof(struct semset, ipc.key_next), FIELD_BORROW, 1},
        {offsetof(struct semset, value), FIELD_OWN, 2},
        {offsetof(struct semset, undo), FIELD_BORROW, 1},
        {0, 0, 0},
};
const struct space_field undo_fields[] = {
        {offsetof(struct sem_undo, proc), FIELD_BORROW, 2},
        {offsetof(struct sem_undo, proc_next), FIELD_OWN, 1},
        {offsetof(struct sem_undo, set_next), FIELD_BORROW, 2},
        {offsetof(struct sem_undo, adjust), FIELD_OWN, 1},
        {0, 0, 0},
};
