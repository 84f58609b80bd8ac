/*
 * group.c - process groups, sessions, and what being orphaned means.
 * A group is found by number while it has members (zombies count until they are reaped); its record lives on as long as something names it. A
 * session's record is named by its processes, its groups and its terminal.
 * Everything here is guarded by LOCK_PROCTREE.
 */
#include "posix/proc/proc.h"

static struct pgrp **pgrp_bucket(int pgid)
{
        return &posix_root()->pgrp_hash[(unsigned)pgid % ARRAY_SIZE(((struct posix_root *)0)->pgrp_hash)];
}

static struct session **session_bucket(int sid)
{
        return &posix_root()->session_hash[(unsigned)sid % ARRAY_SIZE(((struct posix_root *)0)->session_hash)];
}

struct pgrp *pgrp_find(int pgid)
{
        struct pgrp *g = READ_ONCE(*pgrp_bucket(pgid));

        while (g && g->pgid != pgid)
                g = READ_ONCE(g->hash_next);
        return g;
}

struct session *session_find(int sid)
{
        struct session *s = READ_ONCE(*session_bucket(sid));

        while (s && s->sid != sid)
                s = READ_ONCE(s->hash_next);
        return s;
}

struct session *session_new(int sid)
{
        struct session *s = object_new(TYPE_SESSION);

        s->sid = sid;
        s->hash_next = *session_bucket(sid);
        __atomic_store_n(session_bucket(sid), s, __ATOMIC_RELEASE);
        return s;
}

struct pgrp *pgrp_new(int pgid, struct session *s)
{
        struct pgrp *g = object_new(TYPE_PGRP);

        g->pgid = pgid;
        g->session = s;
        object_get(s);
        g->hash_next = *pgrp_bucket(pgid);
        __atomic_store_n(pgrp_bucket(pgid), g, __ATOMIC_RELEASE);
        return g;
}

void pgrp_leave(struct process *p)
{
        struct pgrp *g = p->pgrp;

        if (!g)
                return;
        if (p->pgrp_prev)
                p->pgrp_prev->pgrp_next = p->pgrp_next;
        else
                g->members = p->pgrp_next;
        if (p->pgrp_next)
                p->pgrp_next->pgrp_prev = p->pgrp_prev;
        p->pgrp_prev = NULL; /* pgrp_next stays for a reader on its way */
        if (!g->members)
                for (struct pgrp **at = pgrp_bucket(g->pgid); *at; at = &(*at)->hash_next)
                        if (*at == g) {
                                WRITE_ONCE(*at, g->hash_next);
                                break;
                        }
        p->pgrp = NULL;
        object_put(g);
}

void pgrp_join(struct process *p, struct pgrp *g)
{
        object_get(g);
        if (p->session != g->session) {
                object_get(g->session);
                object_put(p->session);
                p->session = g->session;
        }
        pgrp_leave(p);
        p->pgrp = g;
        p->pgrp_prev = NULL;
        p->pgrp_next = g->members;
        if (g->members)
                g->members->pgrp_prev = p;
        WRITE_ONCE(g->members, p);
}

bool session_release(void *object)
{
        struct session *s = object;

        proctree_lock();
        for (struct session **at = session_bucket(s->sid); *at; at = &(*at)->hash_next)
                if (*at == s) {
                        WRITE_ONCE(*at, s->hash_next);
                        break;
                }
        proctree_unlock();
        space_free(s);
        return false;
}

bool pgrp_release(void *object)
{
        struct pgrp *g = object;

        proctree_lock();
        if (g->session->foreground == g)
                g->session->foreground = NULL; /* the terminal's group is gone: nobody is in front */
        proctree_unlock();
        object_put(g->session);
        space_free(g);
        return false;
}

/* A group is orphaned when no member's parent is in another group of the same session: nobody is left who could continue a stopped job. Who is about to end counts no longer, so that its children, which see that they have another parent before it is a zombie, find what will hold. */
bool process_orphaned_pgrp(struct pgrp *g)
{
        for (struct process *p = g->members; p; p = p->pgrp_next) {
                struct process *parent = p->parent;

                if (p->exiting || p->state >= PROCESS_ZOMBIE || !parent || parent == posix_root()->init)
                        continue;
                if (parent->pgrp != g && parent->session == p->session)
                        return false;
        }
        return true;
}

void pgrp_orphan_check(struct pgrp *g)
{
        bool stopped = false;

        if (!g)
                return;
        for (struct process *p = g->members; p && !stopped; p = p->pgrp_next)
                stopped = p->state == PROCESS_STOPPED;
        if (!stopped || !process_orphaned_pgrp(g))
                return;
        signal_send_pgrp(g, SIGHUP, NULL);
        signal_send_pgrp(g, SIGCONT, NULL);
}

long quick_getpgrp(struct thread *t, struct frame *f)
{
        (void)f;
        return t->proc->pgrp->pgid;
}

long sys_getpgid(struct call *c)
{
        int pid = (int)c->arg[0];
        struct process *p = pid ? process_find(pid) : process_current();
        struct pgrp *g = p ? READ_ONCE(p->pgrp) : NULL;

        return g ? g->pgid : -ESRCH;
}

long sys_getsid(struct call *c)
{
        int pid = (int)c->arg[0];
        struct process *p = pid ? process_find(pid) : process_current();
        struct session *s = p ? READ_ONCE(p->session) : NULL;

        return s ? s->sid : -ESRCH;
}

long sys_setsid(struct call *c)
{
        struct process *p = process_current();
        struct session *s;
        struct pgrp *g;

        if (!space_room(2))
                return -ENOMEM;
        proctree_lock();
        if (p->session->sid == p->pid || pgrp_find(p->pid))
                return -EPERM;
        changes(c);
        s = session_new(p->pid);
        g = pgrp_new(p->pid, s);
        pgrp_join(p, g);
        object_put(g);
        object_put(s);
        return p->pid;
}

long sys_setpgid(struct call *c)
{
        int pid = (int)c->arg[0], pgid = (int)c->arg[1];
        struct process *self = process_current(), *p = self;
        struct pgrp *g;

        if (pgid < 0)
                return -EINVAL;
        if (!space_room(1))
                return -ENOMEM;
        proctree_lock();
        if (pid && pid != self->pid) {
                p = process_find(pid);
                if (!p || p->parent != self)
                        return -ESRCH;
                if (p->session != self->session)
                        return -EPERM;
                if (p->did_exec)
                        return -EACCES;
        }
        if (p->state >= PROCESS_ZOMBIE)
                return -ESRCH;
        if (p->session->sid == p->pid)
                return -EPERM;
        if (pgid == 0)
                pgid = p->pid;
        g = pgrp_find(pgid);
        if (pgid != p->pid && (!g || g->session != self->session))
                return -EPERM;
        if (g == p->pgrp)
                return 0;
        changes(c);
        if (g) {
                pgrp_join(p, g);
        } else {
                g = pgrp_new(pgid, self->session);
                pgrp_join(p, g);
                object_put(g);
        }
        return 0;
}
