/*
 * robust.c - robust lists: what a thread held when it died. User mode keeps the list; a dying thread walks it, a bounded number of steps in all and a few a section,
 * and marks each word it owned with FUTEX_OWNER_DIED. A list that is nonsense ends the walk: it can hurt only its own process.
 */
#include "posix/futex/futex_internal.h"

#define STEPS_MAX     2048u
#define STEPS_SECTION 32u

enum { CURSOR_ENTRY, CURSOR_STEPS, CURSOR_PHASE };
enum { PHASE_START, PHASE_LIST, PHASE_PENDING, PHASE_DONE };

struct head {
        uint64_t next;
        int64_t offset;
        uint64_t pending;
};

long sys_set_robust_list(struct call *c)
{
        if (c->arg[1] != sizeof(struct head))
                return -EINVAL;
        changes(c);
        c->thread->robust_list = c->arg[0];
        c->thread->robust_len = c->arg[1];
        return 0;
}

long sys_get_robust_list(struct call *c)
{
        int pid = (int)c->arg[0];
        struct thread *t = pid ? thread_find(pid) : c->thread;
        uint64_t len = sizeof(struct head);

        if (!t)
                return -ESRCH;
        if (t->proc != c->thread->proc && t->cred->uid != c->thread->cred->euid && !capable(CAP_SYS_PTRACE))
                return -EPERM;
        if (!copy_out(c, c->arg[2], &len, sizeof(len)) ||
            !copy_out(c, c->arg[1], &t->robust_list, sizeof(t->robust_list)))
                return user_fault(c);
        return 0;
}

/* 0: nothing to do; 1: done, and something changed; CALL_FAULT or -EFAULT. */
static long word_died(struct call *c, uint64_t va, bool pi, bool pending)
{
        struct thread *t = c->thread;
        struct mm *m = t->proc->mm;
        uint32_t now, seen;

        if (va & 3 || va >= USER_TOP)
                return -EFAULT;
        if (user_read32(va, &now) < 0)
                return user_fault(c);
        if (pending && !pi && !now) {
                changes(c);
                futex_wake_word(m, va, 1); /* died between the unlock and its wake-up */
                return 1;
        }
        while ((now & FUTEX_TID_MASK) == (uint32_t)t->tid) {
                if (pi) {
                        const void *key = futex_key(m, va, false, true);
                        long r;

                        lock(LOCK_FUTEX, key);
                        r = futex_pi_hand_over(c, m, va, key, now, true);
                        unlock(LOCK_FUTEX, key);
                        if (r != CALL_AGAIN)
                                return r ? r : 1;
                        if (user_read32(va, &now) < 0)
                                return user_fault(c);
                        continue;
                }
                if (user_cmpxchg32(va, now, (now & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen) < 0)
                        return user_fault(c);
                if (seen == now) {
                        if (now & FUTEX_WAITERS) {
                                changes(c);
                                futex_wake_word(m, va, 1);
                                return 1;
                        }
                        return 0;
                }
                now = seen;
        }
        return 0;
}

long futex_exit_robust(struct call *c, uint64_t cursor[3])
{
        uint64_t head_at = c->thread->robust_list;
        struct head h;

        if (cursor[CURSOR_PHASE] == PHASE_DONE)
                return 0;
        if (user_copy_in(&h, head_at, sizeof(h)))
                return user_fault(c) == CALL_FAULT ? CALL_FAULT : 0;
        if (cursor[CURSOR_PHASE] == PHASE_START) {
                cursor[CURSOR_ENTRY] = h.next;
                cursor[CURSOR_PHASE] = PHASE_LIST;
        }
        for (unsigned n = 0; cursor[CURSOR_PHASE] == PHASE_LIST; n++) {
                uint64_t entry = cursor[CURSOR_ENTRY], next;
                long r = 0;

                if ((entry & ~1ul) == head_at || cursor[CURSOR_STEPS] >= STEPS_MAX) {
                        cursor[CURSOR_PHASE] = PHASE_PENDING;
                        break;
                }
                if (n == STEPS_SECTION)
                        return CALL_AGAIN;
                /* The link first: once the word is given away, its new owner may free it. */
                if (user_read64(entry & ~1ul, &next) < 0)
                        r = user_fault(c);
                else if ((entry & ~1ul) != (h.pending & ~1ul))
                        r = word_died(c, (entry & ~1ul) + (uint64_t)h.offset, entry & 1, false);
                if (r == CALL_FAULT)
                        return r;
                if (r < 0) {
                        cursor[CURSOR_PHASE] = PHASE_DONE;
                        return 0;
                }
                cursor[CURSOR_ENTRY] = next;
                cursor[CURSOR_STEPS]++;
                if (r)
                        return CALL_AGAIN;
        }
        if (h.pending) {
                long r = word_died(c, (h.pending & ~1ul) + (uint64_t)h.offset, h.pending & 1, true);

                if (r == CALL_FAULT)
                        return r;
        }
        cursor[CURSOR_PHASE] = PHASE_DONE;
        return 0;
}
