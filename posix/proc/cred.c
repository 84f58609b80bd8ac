/*
 * cred.c - who a thread is: user and group ids, groups, capabilities, and the calls that change them.
 * A cred is never changed once a thread has it: a change makes a new one, so that what another CPU reads is always whole. Only a thread changes its own.
 * Capabilities follow the ids as capabilities(7) says; there are no user namespaces, no file capabilities and no keep-caps surprises beyond SECBIT_*.
 */
#include "posix/proc/proc.h"
#include "kernel/include/log.h"
#include <linux/prctl.h>
#include <linux/securebits.h>

#define CAPS_ALL ((1ul << (CAP_LAST_CAP + 1)) - 1)
#define CAPS_FS                                                                                                        \
        (1ul << CAP_CHOWN | 1ul << CAP_MKNOD | 1ul << CAP_DAC_OVERRIDE | 1ul << CAP_DAC_READ_SEARCH |                  \
         1ul << CAP_FOWNER | 1ul << CAP_FSETID | 1ul << CAP_LINUX_IMMUTABLE | 1ul << CAP_MAC_OVERRIDE)
#define NGROUPS_MAX_ 32768u /* half of Linux: the block must fit in the pages that one section may dirty */

bool cred_capable(const struct cred *c, unsigned cap)
{
        return c->cap_effective >> cap & 1;
}

/* Groups are sorted. */
static bool in_groups(const uint32_t *groups, uint32_t n, uint32_t gid)
{
        uint32_t lo = 0, hi = n;

        while (lo < hi) {
                uint32_t mid = lo + (hi - lo) / 2;

                if (groups[mid] == gid)
                        return true;
                if (groups[mid] < gid)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return false;
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
        return gid == c->fsgid || in_groups(c->groups, c->ngroups, gid);
}

struct user *user_get(uint32_t uid)
{
        struct posix_root *root = posix_root();
        struct user **b = &root->user_hash[uid % ARRAY_SIZE(root->user_hash)];
        struct user *u;

        for (u = *b; u; u = u->hash_next)
                if (u->uid == uid && READ_ONCE(u->obj.refs)) {
                        object_get(u);
                        return u;
                }
        u = object_new(TYPE_USER);
        u->uid = uid;
        u->hash_next = *b;
        *b = u;
        return u;
}

bool user_release(void *object)
{
        struct posix_root *root = posix_root();
        struct user *u = object;

        proctree_lock();
        for (struct user **at = &root->user_hash[u->uid % ARRAY_SIZE(root->user_hash)]; *at; at = &(*at)->hash_next)
                if (*at == u) {
                        *at = u->hash_next;
                        break;
                }
        proctree_unlock();
        space_free(u);
        return false;
}

bool cred_release(void *object)
{
        struct cred *c = object;

        object_put(c->user);
        space_free_bytes(c->groups);
        space_free(c);
        return false;
}

/* The groups' block may be absent: whoever will copy a cred looks at it before the change. */
static void cred_touch(const struct cred *c)
{
        for (uint32_t i = 0; i < c->ngroups; i += 1024)
                (void)READ_ONCE(c->groups[i]);
        if (c->ngroups)
                (void)READ_ONCE(c->groups[c->ngroups - 1]);
}

struct cred *cred_copy(const struct cred *from)
{
        struct cred *c = object_new(TYPE_CRED);
        struct object obj = c->obj;

        *c = *from;
        c->obj = obj;
        if (from->ngroups) {
                c->groups = space_alloc_bytes(from->ngroups * sizeof(uint32_t));
                __builtin_memcpy(c->groups, from->groups, from->ngroups * sizeof(uint32_t));
        }
        object_get(c->user);
        return c;
}

void cred_install(struct cred *new)
{
        struct thread *t = thread_current();
        struct cred *old = t->cred;

        if (new->uid != new->user->uid) {
                struct user *u;

                proctree_lock();
                u = user_get(new->uid);
                proctree_unlock();
                object_put(new->user);
                new->user = u;
                __atomic_fetch_add(&u->nthreads, 1, __ATOMIC_RELAXED);
                __atomic_fetch_sub(&old->user->nthreads, 1, __ATOMIC_RELAXED);
        }
        if (new->euid != old->euid || new->egid != old->egid || new->fsuid != old->fsuid || new->fsgid != old->fsgid ||
            (new->cap_permitted & ~old->cap_permitted)) {
                t->proc->dumpable = 0;
                t->pdeath_signal = 0;
        }
        __atomic_store_n(&t->cred, new, __ATOMIC_RELEASE);
        object_put(old);
}

/* What a change of user ids does to capabilities (capabilities(7)). */
static void fix_caps(struct cred *new, const struct cred *old)
{
        bool had_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
        bool has_root = new->uid == 0 || new->euid == 0 || new->suid == 0;

        if (new->securebits & SECBIT_NO_SETUID_FIXUP)
                return;
        if (had_root && !has_root) {
                if (!(new->securebits &SECBIT_KEEP_CAPS)) {
                        new->cap_permitted = 0;
                        new->cap_effective = 0;
                }
                new->cap_ambient = 0;
        }
        if (old->euid == 0 && new->euid != 0)
                new->cap_effective = 0;
        if (old->euid != 0 && new->euid == 0)
                new->cap_effective = new->cap_permitted;
}

struct cred *cred_exec(const struct cred *old, uint32_t uid, uint32_t gid, bool setuid, bool setgid)
{
        struct cred *c = cred_copy(old);
        bool root;

        if (setuid)
                c->euid = uid;
        if (setgid)
                c->egid = gid;
        c->suid = c->fsuid = c->euid;
        c->sgid = c->fsgid = c->egid;
        root = (c->uid == 0 || c->euid == 0) && !(c->securebits & SECBIT_NOROOT);
        if (setuid || setgid)
                c->cap_ambient = 0;
        if (root) {
                c->cap_permitted = c->cap_bounding | c->cap_inheritable;
                c->cap_effective = c->euid == 0 ? c->cap_permitted : c->cap_ambient;
        } else {
                c->cap_permitted = c->cap_ambient;
                c->cap_effective = c->cap_ambient;
        }
        c->securebits &= ~SECBIT_KEEP_CAPS;
        return c;
}

/* Every call below: decide on a filled-in copy on the stack, then make it real. The copy shares the groups of the old one. */
static long replace(struct call *c, struct cred *draft)
{
        struct cred *new;

        if (!space_room(4 + draft->ngroups / 1024))
                return -ENOMEM;
        cred_touch(draft);
        changes(c);
        new = cred_copy(draft);
        cred_install(new);
        return 0;
}

static bool may_setuid(const struct cred *c)
{
        return cred_capable(c, CAP_SETUID);
}

static bool may_setgid(const struct cred *c)
{
        return cred_capable(c, CAP_SETGID);
}

long quick_getuid(struct thread *t, struct frame *f)
{
        (void)f;
        return t->cred->uid;
}

long quick_geteuid(struct thread *t, struct frame *f)
{
        (void)f;
        return t->cred->euid;
}

long quick_getgid(struct thread *t, struct frame *f)
{
        (void)f;
        return t->cred->gid;
}

long quick_getegid(struct thread *t, struct frame *f)
{
        (void)f;
        return t->cred->egid;
}

#define NO_ID ((uint32_t)-1)

long sys_setuid(struct call *c)
{
        const struct cred *old = thread_current()->cred;
        uint32_t uid = (uint32_t)c->arg[0];
        struct cred new = *old;

        if (uid == NO_ID)
                return -EINVAL;
        if (may_setuid(old))
                new.uid = new.suid = uid;
        else if (uid != old->uid && uid != old->suid)
                return -EPERM;
        new.euid = new.fsuid = uid;
        fix_caps(&new, old);
        return replace(c, &new);
}

long sys_setgid(struct call *c)
{
        const struct cred *old = thread_current()->cred;
        uint32_t gid = (uint32_t)c->arg[0];
        struct cred new = *old;

        if (gid == NO_ID)
                return -EINVAL;
        if (may_setgid(old))
                new.gid = new.sgid = gid;
        else if (gid != old->gid && gid != old->sgid)
                return -EPERM;
        new.egid = new.fsgid = gid;
        return replace(c, &new);
}

long sys_setreuid(struct call *c)
{
        const struct cred *old = thread_current()->cred;
        uint32_t ruid = (uint32_t)c->arg[0], euid = (uint32_t)c->arg[1];
        struct cred new = *old;

        if (ruid != NO_ID) {
                new.uid = ruid;
                if (ruid != old->uid && ruid != old->euid && !may_setuid(old))
                        return -EPERM;
        }
        if (euid != NO_ID) {
                new.euid = euid;
                if (euid != old->uid && euid != old->euid && euid != old->suid && !may_setuid(old))
                        return -EPERM;
        }
        if (ruid != NO_ID || (euid != NO_ID && euid != old->uid))
                new.suid = new.euid;
        new.fsuid = new.euid;
        fix_caps(&new, old);
        return replace(c, &new);
}

long sys_setregid(struct call *c)
{
        const struct cred *old = thread_current()->cred;
        uint32_t rgid = (uint32_t)c->arg[0], egid = (uint32_t)c->arg[1];
        struct cred new = *old;

        if (rgid != NO_ID) {
                new.gid = rgid;
                if (rgid != old->gid && rgid != old->egid && !may_setgid(old))
                        return -EPERM;
        }
        if (egid != NO_ID) {
                new.egid = egid;
                if (egid != old->gid && egid != old->egid && egid != old->sgid && !may_setgid(old))
                        return -EPERM;
        }
        if (rgid != NO_ID || (egid != NO_ID && egid != old->gid))
                new.sgid = new.egid;
        new.fsgid = new.egid;
        return replace(c, &new);
}

static bool one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t d)
{
        return id == NO_ID || id == a || id == b || id == d;
}

long sys_setresuid(struct call *c)
{
        const struct cred *old = thread_current()->cred;
        uint32_t r = (uint32_t)c->arg[0], e = (uint32_t)c->arg[1], s = (uint32_t)c->arg[2];
        struct cred new = *old;

        if (!may_setuid(old) &&
            !(one_of(r, old->uid, old->euid, old->suid) && one_of(e, old->uid, old->euid, old->suid) &&
              one_of(s, old->uid, old->euid, old->suid)))
                return -EPERM;
        if (r != NO_ID)
                new.uid = r;
        if (e != NO_ID)
                new.euid = e;
        if (s != NO_ID)
                new.suid = s;
        new.fsuid = new.euid;
        fix_caps(&new, old);
        return replace(c, &new);
}

long sys_setresgid(struct call *c)
{
        const struct cred *old = thread_current()->cred;
        uint32_t r = (uint32_t)c->arg[0], e = (uint32_t)c->arg[1], s = (uint32_t)c->arg[2];
        struct cred new = *old;

        if (!may_setgid(old) &&
            !(one_of(r, old->gid, old->egid, old->sgid) && one_of(e, old->gid, old->egid, old->sgid) &&
              one_of(s, old->gid, old->egid, old->sgid)))
                return -EPERM;
        if (r != NO_ID)
                new.gid = r;
        if (e != NO_ID)
                new.egid = e;
        if (s != NO_ID)
                new.sgid = s;
        new.fsgid = new.egid;
        return replace(c, &new);
}

static long three_out(struct call *c, uint32_t a, uint32_t b, uint32_t d)
{
        uint32_t v[3] = {a, b, d};

        for (unsigned i = 0; i < 3; i++)
                if (!copy_out(c, c->arg[i], &v[i], sizeof(v[i])))
                        return user_fault(c);
        return 0;
}

long sys_getresuid(struct call *c)
{
        const struct cred *cr = thread_current()->cred;

        return three_out(c, cr->uid, cr->euid, cr->suid);
}

long sys_getresgid(struct call *c)
{
        const struct cred *cr = thread_current()->cred;

        return three_out(c, cr->gid, cr->egid, cr->sgid);
}

/* Both return the former value, whatever becomes of the request. */
long sys_setfsuid(struct call *c)
{
        const struct cred *old = thread_current()->cred;
        uint32_t uid = (uint32_t)c->arg[0], before = old->fsuid;
        struct cred new = *old;

        if (uid == NO_ID || uid == before || !(may_setuid(old) || one_of(uid, old->uid, old->euid, old->suid)))
                return before;
        new.fsuid = uid;
        if (!(old->securebits & SECBIT_NO_SETUID_FIXUP)) {
                if (before == 0)
                        new.cap_effective &= ~CAPS_FS;
                if (uid == 0)
                        new.cap_effective |= new.cap_permitted &CAPS_FS;
        }
        (void)replace(c, &new);
        return before;
}

long sys_setfsgid(struct call *c)
{
        const struct cred *old = thread_current()->cred;
        uint32_t gid = (uint32_t)c->arg[0], before = old->fsgid;
        struct cred new = *old;

        if (gid == NO_ID || gid == before || !(may_setgid(old) || one_of(gid, old->gid, old->egid, old->sgid)))
                return before;
        new.fsgid = gid;
        (void)replace(c, &new);
        return before;
}

long sys_getgroups(struct call *c)
{
        const struct cred *cr = thread_current()->cred;
        int64_t size = (int)c->arg[0];

        if (size < 0)
                return -EINVAL;
        if (size == 0)
                return cr->ngroups;
        if ((uint64_t)size < cr->ngroups)
                return -EINVAL;
        if (cr->ngroups && !copy_out(c, c->arg[1], cr->groups, cr->ngroups * sizeof(uint32_t)))
                return user_fault(c);
        return cr->ngroups;
}

/* Shell sort: no recursion, no extra memory, fast enough for 32,768. */
static void sort_ids(uint32_t *v, uint32_t n)
{
        for (uint32_t gap = n / 2; gap; gap /= 2)
                for (uint32_t i = gap; i < n; i++) {
                        uint32_t x = v[i], j = i;

                        for (; j >= gap && v[j - gap] > x; j -= gap)
                                v[j] = v[j - gap];
                        v[j] = x;
                }
}

long sys_setgroups(struct call *c)
{
        const struct cred *old = thread_current()->cred;
        uint32_t n = (uint32_t)c->arg[0];
        uint32_t *list = NULL;
        struct cred *new;

        if (!may_setgid(old))
                return -EPERM;
        if (n > NGROUPS_MAX_)
                return -EINVAL;
        if (n) {
                list = call_scratch(c, 0, n * sizeof(*list));
                if (!list)
                        return -ENOMEM;
                if (!copy_in(c, list, c->arg[1], n * sizeof(*list)))
                        return user_fault(c);
                for (uint32_t i = 0; i < n; i++)
                        if (list[i] == NO_ID)
                                return -EINVAL;
                sort_ids(list, n);
        }
        if (!space_room(2 + n / 1024 + 1))
                return -ENOMEM;
        struct cred draft = *old;

        draft.ngroups = n;
        draft.groups = list;
        changes(c);
        new = cred_copy(&draft);
        if (!n)
                new->groups = NULL;
        cred_install(new);
        return 0;
}

/* capget, capset: 1 has 32 bits, 2 and 3 have 64. */
static long cap_header(struct call *c, struct __user_cap_header_struct *h, unsigned *words)
{
        uint32_t version = _LINUX_CAPABILITY_VERSION_3;

        if (!copy_in(c, h, c->arg[0], sizeof(*h)))
                return user_fault(c);
        switch (h->version) {
        case _LINUX_CAPABILITY_VERSION_1:
                *words = 1;
                return 0;
        case _LINUX_CAPABILITY_VERSION_2:
        case _LINUX_CAPABILITY_VERSION_3:
                *words = 2;
                return 0;
        }
        if (!copy_out(c, c->arg[0], &version, sizeof(version)))
                return user_fault(c);
        return -EINVAL;
}

long sys_capget(struct call *c)
{
        struct __user_cap_header_struct h;
        struct __user_cap_data_struct d[2] = {0};
        unsigned words;
        long r = cap_header(c, &h, &words);
        const struct cred *cr = thread_current()->cred;

        if (r)
                return c->arg[1] == 0 && r == -EINVAL ? 0 : r; /* a probe for the version */
        if (h.pid < 0)
                return -EINVAL;
        if (h.pid) {
                struct thread *t = thread_find(h.pid);

                if (!t)
                        return -ESRCH;
                cr = t->cred;
        }
        for (unsigned i = 0; i < words; i++) {
                d[i].effective = (uint32_t)(cr->cap_effective >> 32 * i);
                d[i].permitted = (uint32_t)(cr->cap_permitted >> 32 * i);
                d[i].inheritable = (uint32_t)(cr->cap_inheritable >> 32 * i);
        }
        if (c->arg[1] && !copy_out(c, c->arg[1], d, words * sizeof(d[0])))
                return user_fault(c);
        return 0;
}

long sys_capset(struct call *c)
{
        struct __user_cap_header_struct h;
        struct __user_cap_data_struct d[2] = {0};
        struct thread *t = thread_current();
        const struct cred *old = t->cred;
        struct cred new = *old;
        uint64_t e = 0, p = 0, i = 0;
        unsigned words;
        long r = cap_header(c, &h, &words);

        if (r)
                return r;
        if (h.pid && h.pid != t->tid)
                return -EPERM;
        if (!copy_in(c, d, c->arg[1], words * sizeof(d[0])))
                return user_fault(c);
        for (unsigned w = 0; w < words; w++) {
                e |= (uint64_t)d[w].effective << 32 * w;
                p |= (uint64_t)d[w].permitted << 32 * w;
                i |= (uint64_t)d[w].inheritable << 32 * w;
        }
        e &= CAPS_ALL;
        p &= CAPS_ALL;
        i &= CAPS_ALL;
        if (!cred_capable(old, CAP_SETPCAP) && (i & ~(old->cap_inheritable | old->cap_permitted)))
                return -EPERM;
        if (i & ~(old->cap_inheritable | old->cap_bounding))
                return -EPERM;
        if (p & ~old->cap_permitted)
                return -EPERM;
        if (e & ~p)
                return -EPERM;
        new.cap_effective = e;
        new.cap_permitted = p;
        new.cap_inheritable = i;
        new.cap_ambient &= p &i;
        return replace(c, &new);
}

/* prctl's part of credentials: -ENOSYS: not ours. */
long cred_prctl(struct call *c, int option)
{
        const struct cred *old = thread_current()->cred;
        uint64_t arg = c->arg[1];
        struct cred new = *old;

        switch (option) {
        case PR_CAPBSET_READ:
                return arg > CAP_LAST_CAP ? -EINVAL : (long)(old->cap_bounding >> arg & 1);
        case PR_CAPBSET_DROP:
                if (!cred_capable(old, CAP_SETPCAP))
                        return -EPERM;
                if (arg > CAP_LAST_CAP)
                        return -EINVAL;
                new.cap_bounding &= ~(1ul << arg);
                return replace(c, &new);
        case PR_GET_SECUREBITS:
                return old->securebits;
        case PR_SET_SECUREBITS:
                if (arg & ~(uint64_t)(SECURE_ALL_LOCKS | SECURE_ALL_BITS))
                        return -EPERM;
                if (((old->securebits & SECURE_ALL_LOCKS) >> 1 & (old->securebits ^ arg)) ||
                    (old->securebits & SECURE_ALL_LOCKS & ~arg) || !cred_capable(old, CAP_SETPCAP))
                        return -EPERM;
                new.securebits = (uint32_t)arg;
                return replace(c, &new);
        case PR_GET_KEEPCAPS:
                return !!(old->securebits & SECBIT_KEEP_CAPS);
        case PR_SET_KEEPCAPS:
                if (arg > 1)
                        return -EINVAL;
                if (old->securebits & SECBIT_KEEP_CAPS_LOCKED)
                        return -EPERM;
                new.securebits =
                        arg ? old->securebits | SECBIT_KEEP_CAPS : old->securebits & ~(uint32_t)SECBIT_KEEP_CAPS;
                return replace(c, &new);
        case PR_CAP_AMBIENT:
                if (arg == PR_CAP_AMBIENT_CLEAR_ALL) {
                        if (c->arg[2] | c->arg[3] | c->arg[4])
                                return -EINVAL;
                        new.cap_ambient = 0;
                        return replace(c, &new);
                }
                if ((c->arg[3] | c->arg[4]) || c->arg[2] > CAP_LAST_CAP)
                        return -EINVAL;
                if (arg == PR_CAP_AMBIENT_IS_SET)
                        return old->cap_ambient >> c->arg[2] & 1;
                if (arg == PR_CAP_AMBIENT_RAISE) {
                        if (!(old->cap_permitted & old->cap_inheritable & 1ul << c->arg[2]) ||
                            (old->securebits & SECBIT_NO_CAP_AMBIENT_RAISE))
                                return -EPERM;
                        new.cap_ambient |= 1ul << c->arg[2];
                } else if (arg == PR_CAP_AMBIENT_LOWER) {
                        new.cap_ambient &= ~(1ul << c->arg[2]);
                } else {
                        return -EINVAL;
                }
                return replace(c, &new);
        }
        return -ENOSYS;
}

/* Init's: root, with everything. */
struct cred *cred_root(void)
{
        struct cred *c = object_new(TYPE_CRED);

        c->cap_effective = c->cap_permitted = c->cap_bounding = CAPS_ALL;
        proctree_lock();
        c->user = user_get(0);
        proctree_unlock();
        return c;
}
