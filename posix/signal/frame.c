/*
 * frame.c - the frame of a handler on the user's stack, and rt_sigreturn. The layout is Linux's, byte for byte: debuggers, unwinders and language run-times read it.
 *
 *      [fpstate: XSAVE image, 64-byte aligned, FP_XSTATE_MAGIC2 after it]
 *      [rt_sigframe: return address, ucontext, siginfo; (address + 8) is 16-byte aligned, as after a call]
 *
 * Nothing that user mode can write into a frame gives it more than it could have without: segments are fixed, flags are masked, the address must be one
 * that user mode can run, the processor state must be loadable. A frame that fails any of it is SIGSEGV.
 *
 * Per-CPU buffers: user memory and processor state meet in them. What is saved and what is restored use different ones, because XSAVEOPT takes an area
 * that was last restored from as still valid.
 */
#include "posix/signal/signal_internal.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/mem.h"
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <asm/processor-flags.h>

#define USER_CS 0x33
#define USER_SS 0x2b

#define FLAGS_USER (X86_EFLAGS_AC | X86_EFLAGS_OF | X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_AF | \
                    X86_EFLAGS_PF | X86_EFLAGS_CF | X86_EFLAGS_RF)

struct rt_sigframe {
        uint64_t return_address;
        struct ucontext uc;
        siginfo_t info;
};
_Static_assert(sizeof(struct ucontext) == 304, "Linux's ucontext");
_Static_assert(sizeof(struct rt_sigframe) == 440, "Linux's rt_sigframe");
_Static_assert(offsetof(struct ucontext, uc_mcontext) == 40 && offsetof(struct ucontext, uc_sigmask) == 296, "Linux's ucontext");

#define SW_BYTES_OFFSET 464 /* of struct _fpx_sw_bytes in the legacy area */
#define MAGIC2_SIZE     4
#define REDZONE         128
#define LEGACY_SIZE     512 /* then the XSAVE header, then what CPUID says */
#define XSAVE_MIN       576

struct fpu_buffers { void *save, *load; };
static struct fpu_buffers buffers[MAX_CPUS];
static void *initial_fpu;

static uint64_t sigaltstack_flags(const struct thread *t, uint64_t sp)
{
        if (!t->altstack_size)
                return SS_DISABLE;
        if (t->altstack_flags & SS_AUTODISARM)
                return 0;
        return sp > t->altstack_sp && sp - t->altstack_sp <= t->altstack_size ? SS_ONSTACK : 0;
}

bool signal_on_altstack(const struct thread *t, uint64_t sp)
{
        return sigaltstack_flags(t, sp) == SS_ONSTACK;
}

/* Where the processor state goes and where the frame goes; 0: it would leave the alternate stack. */
static uint64_t place(const struct thread *t, const struct sigaction64 *a, uint64_t sp, uint64_t *fpstate)
{
        bool on = signal_on_altstack(t, sp), entering = false;
        size_t size = fpu_size() + (fpu_features() > 3 ? MAGIC2_SIZE : 0);

        sp -= REDZONE;
        if ((a->flags & SA_ONSTACK) && sigaltstack_flags(t, sp) == 0) {
                sp = t->altstack_sp + t->altstack_size;
                entering = true;
        }
        sp = ALIGN_DOWN(sp - size, 64ul);
        *fpstate = sp;
        sp = ALIGN_DOWN(sp - sizeof(struct rt_sigframe), 16ul) - 8;
        if ((on || entering) && !(sp > t->altstack_sp && sp - t->altstack_sp <= t->altstack_size))
                return 0;
        return sp;
}

/*
 * The processor state. Components that are in their initial state are said to be so in the header: those past the SSE registers need not be there at all then.
 */
static long write_fpstate(struct call *c, uint64_t to)
{
        char *area = buffers[cpu_this()->id].save;
        struct _fpx_sw_bytes *sw = (void *)(area + SW_BYTES_OFFSET);
        uint64_t features = fpu_features();
        uint32_t magic = FP_XSTATE_MAGIC2;
        size_t size = fpu_size();

        fpu_save_whole(area);
        if (features <= 3)
                return copy_out(c, to, area, size) ? 0 : user_fault(c);
        sw->magic1 = FP_XSTATE_MAGIC1;
        sw->extended_size = (uint32_t)size + MAGIC2_SIZE;
        sw->xfeatures = features;
        sw->xstate_size = (uint32_t)size;
        if (*(uint64_t *)(area + LEGACY_SIZE) & ~3ul) {
                *(uint32_t *)(area + size) = magic;
                return copy_out(c, to, area, size + MAGIC2_SIZE) ? 0 : user_fault(c);
        }
        return copy_out(c, to, area, XSAVE_MIN) && copy_out(c, to + size, &magic, sizeof(magic)) ? 0 : user_fault(c);
}

long frame_build(struct call *c, const struct resume *at, const struct sigaction64 *a, const siginfo_t *info, sigset64 mask, uint64_t *sp)
{
        const struct thread *t = c->thread;
        const struct frame *regs = user_frame();
        struct rt_sigframe f;
        struct sigcontext *m = (struct sigcontext *)&f.uc.uc_mcontext;
        uint64_t fpstate;
        size_t len = sizeof(f);
        long r;

        if (!(a->flags & SA_RESTORER))
                return -EFAULT;
        *sp = place(t, a, regs->rsp, &fpstate);
        if (!*sp)
                return -EFAULT;
        f.return_address = a->restorer;
        f.uc.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (fpu_features() > 3 ? UC_FP_XSTATE : 0);
        f.uc.uc_link = NULL;
        f.uc.uc_stack.ss_sp = (void *)t->altstack_sp;
        f.uc.uc_stack.ss_flags = (int)(t->altstack_size ? t->altstack_flags : SS_DISABLE);
        f.uc.uc_stack.ss_size = t->altstack_size;
        m->r8 = regs->r8;
        m->r9 = regs->r9;
        m->r10 = regs->r10;
        m->r11 = regs->r11;
        m->r12 = regs->r12;
        m->r13 = regs->r13;
        m->r14 = regs->r14;
        m->r15 = regs->r15;
        m->rdi = regs->rdi;
        m->rsi = regs->rsi;
        m->rbp = regs->rbp;
        m->rbx = regs->rbx;
        m->rdx = regs->rdx;
        m->rax = at->rax;
        m->rcx = regs->rcx;
        m->rsp = regs->rsp;
        m->rip = at->rip;
        m->eflags = regs->rflags;
        m->cs = USER_CS;
        m->gs = m->fs = 0;
        m->ss = USER_SS;
        m->err = t->trap_err;
        m->trapno = t->trap_nr;
        m->oldmask = mask;
        m->cr2 = t->trap_addr;
        m->fpstate = (void *)fpstate;
        for (unsigned i = 0; i < ARRAY_SIZE(m->reserved1); i++)
                m->reserved1[i] = 0;
        __builtin_memcpy(&f.uc.uc_sigmask, &mask, sizeof(mask));
        if (a->flags & SA_SIGINFO)
                f.info = *info;
        else
                len = offsetof(struct rt_sigframe, info);
        r = write_fpstate(c, fpstate);
        if (r)
                return r;
        return copy_out(c, *sp, &f, len) ? 0 : user_fault(c);
}

void frame_enter(const struct sigaction64 *a, int signo, uint64_t sp)
{
        struct frame *f = user_frame();

        f->rdi = (uint64_t)signo;
        f->rsi = sp + offsetof(struct rt_sigframe, info);
        f->rdx = sp + offsetof(struct rt_sigframe, uc);
        f->rax = 0;
        f->rip = a->handler;
        f->rsp = sp;
        f->rflags &= ~(uint64_t)(X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF);
        fpu_restore(initial_fpu);
}

int signal_boot(void)
{
        size_t size = ALIGN_UP(fpu_size() + MAGIC2_SIZE, PAGE_SIZE);

        initial_fpu = vmalloc(size);
        for (unsigned i = 0; i < cpu_count; i++) {
                buffers[i].save = vmalloc(size);
                buffers[i].load = vmalloc(size);
                if (!buffers[i].save || !buffers[i].load)
                        return -ENOMEM;
                fpu_init_area(buffers[i].save); /* XSAVE leaves most of the header as it is, and XRSTOR wants it zero */
                fpu_init_area(buffers[i].load);
        }
        if (!initial_fpu)
                return -ENOMEM;
        fpu_init_area(initial_fpu);
        return 0;
}

/* ---- rt_sigreturn ---- */

static bool runnable(uint64_t rip)
{
        return rip < USER_TOP;
}

/* The processor state at `from`, checked, into this CPU's buffer: 0, -EFAULT (bad), CALL_FAULT. */
static long read_fpstate(struct call *c, uint64_t from)
{
        char *area = buffers[cpu_this()->id].load;
        const struct _fpx_sw_bytes *sw = (void *)(area + SW_BYTES_OFFSET);
        uint64_t *in_use = (uint64_t *)(area + LEGACY_SIZE);
        size_t size = fpu_size(), first = MIN(size, (size_t)XSAVE_MIN);
        uint32_t magic;

        if (fpu_features() <= 3)
                return !copy_in(c, area, from, size) ? user_fault(c) : fpu_sanitize(area) ? 0 : -EFAULT;
        if (from % 64)
                return -EFAULT;
        if (!copy_in(c, area, from, first))
                return user_fault(c);
        if (sw->magic1 == FP_XSTATE_MAGIC1 && sw->xstate_size >= XSAVE_MIN && sw->xstate_size <= size && sw->extended_size >= sw->xstate_size + MAGIC2_SIZE) {
                size_t given = sw->xstate_size;
                uint64_t features = sw->xfeatures & fpu_features();

                if (!copy_in(c, &magic, from + given, sizeof(magic)))
                        return user_fault(c);
                if (magic == FP_XSTATE_MAGIC2) {
                        *in_use &= features;
                        if (*in_use & ~3ul) {
                                if (!copy_in(c, area + XSAVE_MIN, from + XSAVE_MIN, given - XSAVE_MIN))
                                        return user_fault(c);
                                __builtin_memset(area + given, 0, size - given);
                        }
                        return fpu_sanitize(area) ? 0 : -EFAULT;
                }
        }
        /* FXSAVE image only: the rest takes its initial state. */
        __builtin_memset(in_use, 0, XSAVE_MIN - LEGACY_SIZE);
        *in_use = 3;
        return fpu_sanitize(area) ? 0 : -EFAULT;
}

static long bad_frame(struct call *c)
{
        struct thread *t = c->thread;

        changes(c);
        klog(LOG_DEBUG, "%s[%d]: bad signal frame at %#lx, ip %#lx\n", t->comm, t->tid, user_frame()->rsp, user_frame()->rip);
        signal_force_fault(t, SIGSEGV, SI_KERNEL, 0, 0, 0);
        return CALL_DONE;
}

long sys_rt_sigreturn(struct call *c)
{
        struct thread *t = c->thread;
        struct frame *regs = user_frame();
        struct ucontext uc;
        const struct sigcontext *m = (const struct sigcontext *)&uc.uc_mcontext;
        uint64_t frame = regs->rsp - 8, fpstate;
        sigset64 mask;
        long r;

        if (!copy_in(c, &uc, frame + offsetof(struct rt_sigframe, uc), sizeof(uc))) {
                r = user_fault(c);
                return r == CALL_FAULT ? r : bad_frame(c);
        }
        fpstate = (uint64_t)m->fpstate;
        if (fpstate) {
                r = read_fpstate(c, fpstate);
                if (r == CALL_FAULT)
                        return r;
                if (r)
                        return bad_frame(c);
        }
        if ((m->cs | 3) != USER_CS || !runnable(m->rip))
                return bad_frame(c);
        __builtin_memcpy(&mask, &uc.uc_sigmask, sizeof(mask));

        changes(c);
        fpu_restore(fpstate ? buffers[cpu_this()->id].load : initial_fpu);
        signal_mask_set(t, mask);
        *regs = (struct frame){
                .r15 = m->r15, .r14 = m->r14, .r13 = m->r13, .r12 = m->r12, .rbp = m->rbp, .rbx = m->rbx, .r11 = m->r11, .r10 = m->r10, .r9 = m->r9,
                .r8 = m->r8, .rax = m->rax, .rcx = m->rcx, .rdx = m->rdx, .rsi = m->rsi, .rdi = m->rdi, .nr = regs->nr, .err = 0, .rip = m->rip,
                .cs = USER_CS, .rflags = (regs->rflags & ~(uint64_t)FLAGS_USER) | (m->eflags & FLAGS_USER) | X86_EFLAGS_IF | 2, .rsp = m->rsp, .ss = USER_SS,
        };
        signal_altstack_set(t, (uint64_t)uc.uc_stack.ss_sp, (uint32_t)uc.uc_stack.ss_flags, uc.uc_stack.ss_size, m->rsp); /* errors: nobody to tell */
        return CALL_DONE;
}
