/*
 * prctl.c - prctl(2), arch_prctl(2), personality(2), set_tid_address(2): words of a thread or process that only it sets.
 */
#include "posix/proc/proc.h"
#include "kernel/include/arch/thread_regs.h"
#include <asm/prctl.h>
#include <linux/prctl.h>

#define TIMER_SLACK_DEFAULT_NS 50000u

static long put_int(struct call *c, uint64_t to, int value)
{
        return copy_out(c, to, &value, sizeof(value)) ? 0 : user_fault(c);
}

static long set_name(struct call *c)
{
        struct thread *t = c->thread;
        char name[16] = {0};
        long r = copy_string(c, name, c->arg[1], sizeof(name));

        if (r == -EFAULT)
                return user_fault(c);
        name[15] = 0; /* a longer one is cut */
        changes(c);
        __builtin_memcpy(t->comm, name, sizeof(name));
        return 0;
}

long sys_prctl(struct call *c)
{
        struct thread *t = c->thread;
        struct process *p = t->proc;
        int option = (int)c->arg[0];
        uint64_t arg = c->arg[1];
        bool rest = c->arg[2] | c->arg[3] | c->arg[4];
        long r;

        switch (option) {
        case PR_SET_PDEATHSIG:
                if (arg > SIGNAL_MAX)
                        return -EINVAL;
                changes(c);
                t->pdeath_signal = (int32_t)arg;
                return 0;
        case PR_GET_PDEATHSIG:
                return put_int(c, arg, t->pdeath_signal);
        case PR_GET_DUMPABLE:
                return p->dumpable;
        case PR_SET_DUMPABLE:
                if (arg > 1)
                        return -EINVAL;
                changes(c);
                p->dumpable = (uint8_t)arg;
                return 0;
        case PR_SET_NAME:
                return set_name(c);
        case PR_GET_NAME:
                return copy_out(c, arg, t->comm, sizeof(t->comm)) ? 0 : user_fault(c);
        case PR_SET_NO_NEW_PRIVS:
                if (arg != 1 || rest)
                        return -EINVAL;
                changes(c);
                p->no_new_privs = 1;
                return 0;
        case PR_GET_NO_NEW_PRIVS:
                return arg || rest ? -EINVAL : p->no_new_privs;
        case PR_SET_CHILD_SUBREAPER:
                changes(c);
                p->child_subreaper = arg != 0;
                return 0;
        case PR_GET_CHILD_SUBREAPER:
                return put_int(c, arg, p->child_subreaper);
        case PR_SET_TIMERSLACK:
                changes(c);
                t->timer_slack_ns = (int64_t)arg <= 0 ? 0 : (uint32_t)MIN(arg, 0xfffffffful);
                return 0;
        case PR_GET_TIMERSLACK:
                return t->timer_slack_ns ? t->timer_slack_ns : TIMER_SLACK_DEFAULT_NS;
        case PR_GET_TIMING:
                return PR_TIMING_STATISTICAL;
        case PR_SET_TIMING:
                return arg == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
        case PR_GET_TSC:
                return put_int(c, arg, PR_TSC_ENABLE);
        case PR_SET_TSC:
                return arg == PR_TSC_ENABLE ? 0 : -EINVAL;
        case PR_GET_SECCOMP:
                return 0;
        case PR_GET_THP_DISABLE:
                return arg || rest ? -EINVAL : 0;
        case PR_MCE_KILL_GET:
                return arg || rest ? -EINVAL : PR_MCE_KILL_DEFAULT;
        case PR_GET_TID_ADDRESS:
                return copy_out(c, arg, &t->clear_tid, sizeof(t->clear_tid)) ? 0 : user_fault(c);
        case PR_GET_SPECULATION_CTRL:
        case PR_SET_SPECULATION_CTRL:
                return -ENODEV;
        }
        r = cred_prctl(c, option);
        return r == -ENOSYS ? -EINVAL : r;
}

long sys_arch_prctl(struct call *c)
{
        struct thread *t = c->thread;
        uint64_t arg = c->arg[1];

        switch ((int)c->arg[0]) {
        case ARCH_SET_FS:
                if (arg >= USER_TOP)
                        return -EPERM;
                changes(c);
                t->fs_base = arg;
                fs_base_set(arg);
                return 0;
        case ARCH_SET_GS:
                if (arg >= USER_TOP)
                        return -EPERM;
                changes(c);
                t->gs_base = arg;
                gs_base_user_set(arg);
                return 0;
        case ARCH_GET_FS:
                return copy_out(c, arg, &t->fs_base, sizeof(arg)) ? 0 : user_fault(c);
        case ARCH_GET_GS:
                return copy_out(c, arg, &t->gs_base, sizeof(arg)) ? 0 : user_fault(c);
        case ARCH_GET_CPUID:
                return 1;
        case ARCH_SET_CPUID:
                return -ENODEV;
        }
        return -EINVAL;
}

long sys_personality(struct call *c)
{
        struct process *p = c->thread->proc;
        uint32_t old = p->personality, new = (uint32_t)c->arg[0];

        if (new != 0xffffffff && new != old) {
                changes(c);
                p->personality = new;
        }
        return old;
}

long sys_set_tid_address(struct call *c)
{
        changes(c);
        c->thread->clear_tid = c->arg[0];
        return c->thread->tid;
}

long quick_getpid(struct thread *t, struct frame *f)
{
        (void)f;
        return t->proc->pid;
}

long quick_gettid(struct thread *t, struct frame *f)
{
        (void)f;
        return t->tid;
}

long quick_getppid(struct thread *t, struct frame *f)
{
        struct process *parent = READ_ONCE(t->proc->parent);

        (void)f;
        return parent ? parent->pid : 0;
}
