/*
 * frame.c - the frame of a handler on the user's stack, and rt_sigreturn. The layout is Linux's, byte for byte: debuggers, unwinders and language run-times read it.
 *
 *      [fpstate: XSAVE image, 64-byte aligned, FP_XSTATE_MAGIC2 after it]
 *      [rt_sigframe: return address, ucontext, siginfo; (address + 8) is 16-byte aligned, as after a call]
 *
 * Nothing that user mode can write into a frame gives it more than it could have without: segments are fixed, flags are masked, the address must be one
 * that user mode can run, the processor state must be loadable. A frame that fails any of it is SIGSEGV.
 *
 * Frame and state always stand at the same distance, so that one copy moves both: each CPU has an image of the whole, to build one in and to read one into. Two
 * images, because XSAVEOPT takes an area that was last restored from as still valid.
 */
#include "posix/signal/signal_internal.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/mem.h"
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <asm/processor-flags.h>

#define USER_CS 0x33
#define USER_SS 0x2b

#define FLAGS_USER                                                                                                     \
        (X86_EFLAGS_AC | X86_EFLAGS_OF | X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_SF | X86_EFLAGS_ZF |               \
         X86_EFLAGS_AF | X86_EFLAGS_PF | X86_EFLAGS_CF | X86_EFLAGS_RF)

struct rt_sigframe {
        uint64_t return_address;
        struct ucontext uc;
        siginfo_t info;
};
_Static_assert(sizeof(struct ucontext) == 304, "Linux's ucontext");
_Static_assert(sizeof(struct rt_sigframe) == 440, "Linux's rt_sigframe");
_Static_assert(offsetof(struct ucontext, uc_mcontext) == 40 && offsetof(struct ucontext, uc_sigmask) == 296,
               "Linux's ucontext");

#define SW_BYTES_OFFSET 464 /* of struct _fpx_sw_bytes in the legacy area */
#define MAGIC2_SIZE     4
#define REDZONE         128
#define LEGACY_SIZE     512 /* then the XSAVE header, then what CPUID says */
#define XSAVE_MIN       576

/* The state is 64-byte aligned, the frame 8 less than 16-byte aligned below it: 456 bytes between their beginnings. */
#define FPSTATE_OFFSET 456
struct image {
        uint8_t before[56];
        struct rt_sigframe frame;
        uint8_t between[16];
        uint8_t fpu[];
};
_Static_assert(offsetof(struct image, fpu) == 512 &&
                       offsetof(struct image, fpu) - offsetof(struct image, frame) == FPSTATE_OFFSET,
               "image of a frame");

static struct {
        struct image *out, *in;
        bool info_used;
} images[MAX_CPUS];
static void *initial_fpu;
static size_t fpu_bytes;  /* of the state */
static size_t tail_bytes; /* FP_XSTATE_MAGIC2 behind it; 0: FXSAVE only */

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

        sp -= REDZONE;
        if ((a->flags & SA_ONSTACK) && sigaltstack_flags(t, sp) == 0) {
                sp = t->altstack_sp + t->altstack_size;
                entering = true;
        }
        *fpstate = ALIGN_DOWN(sp - fpu_bytes - tail_bytes, 64ul);
        sp = *fpstate - FPSTATE_OFFSET;
        if ((on || entering) && !(sp > t->altstack_sp && sp - t->altstack_sp <= t->altstack_size))
                return 0;
        return sp;
}

static void put_fpstate(struct image *im)
{
        struct _fpx_sw_bytes *sw = (void *)(im->fpu + SW_BYTES_OFFSET);

        fpu_save_whole(im->fpu);
        if (!tail_bytes)
                return;
        sw->magic1 = FP_XSTATE_MAGIC1;
        sw->extended_size = (uint32_t)(fpu_bytes + MAGIC2_SIZE);
        sw->xfeatures = fpu_features();
        sw->xstate_size = (uint32_t)fpu_bytes;
        *(uint32_t *)(im->fpu + fpu_bytes) = FP_XSTATE_MAGIC2;
}

static void put_info(struct image *im, bool *used, const siginfo_t *info)
{
        if (info)
                im->frame.info = *info;
        else if (*used)
                __builtin_memset(&im->frame.info, 0, sizeof(im->frame.info)); /* not another program's */
        *used = info != NULL;
}

long frame_build(struct call *c, const struct resume *at, const struct sigaction64 *a, const siginfo_t *info,
                 sigset64 mask, uint64_t *sp)
{
        const struct thread *t = c->thread;
        const struct frame *regs = user_frame();
        unsigned cpu = cpu_this()->id;
        struct image *im = images[cpu].out;
        struct rt_sigframe *f = &im->frame;
        struct sigcontext *m = (struct sigcontext *)&f->uc.uc_mcontext;
        uint64_t fpstate;

        if (!(a->flags & SA_RESTORER))
                return -EFAULT;
        *sp = place(t, a, regs->rsp, &fpstate);
        if (!*sp)
                return -EFAULT;
        f->return_address = a->restorer;
        f->uc.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (tail_bytes ? UC_FP_XSTATE : 0);
        f->uc.uc_link = NULL;
        f->uc.uc_stack.ss_sp = (void *)t->altstack_sp;
        f->uc.uc_stack.ss_flags = (int)(t->altstack_size ? t->altstack_flags : SS_DISABLE);
        f->uc.uc_stack.ss_size = t->altstack_size;
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
        __builtin_memcpy(&f->uc.uc_sigmask, &mask, sizeof(mask));
        put_info(im, &images[cpu].info_used, a->flags & SA_SIGINFO ? info : NULL);
        put_fpstate(im);
        return copy_out(c, *sp, f, FPSTATE_OFFSET + fpu_bytes + tail_bytes) ? 0 : user_fault(c);
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
        size_t size;

        fpu_bytes = fpu_size();
        tail_bytes = fpu_features() > 3 ? MAGIC2_SIZE : 0;
        size = ALIGN_UP(sizeof(struct image) + fpu_bytes + tail_bytes, PAGE_SIZE);
        initial_fpu = vmalloc(size);
        for (unsigned i = 0; i < cpu_count; i++) {
                struct image *out = vmalloc(size), *in = vmalloc(size);

                if (!out || !in)
                        return -ENOMEM;
                __builtin_memset(out, 0, sizeof(*out));
                fpu_init_area(out->fpu); /* XSAVE leaves most of the header as it is, and XRSTOR wants it zero */
                fpu_init_area(in->fpu);
                images[i].out = out;
                images[i].in = in;
        }
        if (!initial_fpu)
                return -ENOMEM;
        fpu_init_area(initial_fpu);
        signal_bulk_boot();
        return 0;
}

/* ---- rt_sigreturn ---- */

static bool runnable(uint64_t rip)
{
        return rip < USER_TOP;
}

/* The state that was read into the image, its parts past `known` bytes not yet. 0, -EFAULT (bad), CALL_FAULT. */
static long check_fpstate(struct call *c, struct image *im, uint64_t from, size_t known)
{
        const struct _fpx_sw_bytes *sw = (void *)(im->fpu + SW_BYTES_OFFSET);
        uint64_t *in_use = (uint64_t *)(im->fpu + LEGACY_SIZE);
        size_t given = sw->xstate_size;
        uint32_t magic;

        if (!tail_bytes)
                return fpu_sanitize(im->fpu) ? 0 : -EFAULT;
        if (sw->magic1 == FP_XSTATE_MAGIC1 && given >= XSAVE_MIN && given <= fpu_bytes &&
            sw->extended_size >= given + MAGIC2_SIZE) {
                if (known < given + MAGIC2_SIZE &&
                    !copy_in(c, im->fpu + known, from + known, given + MAGIC2_SIZE - known))
                        return user_fault(c);
                __builtin_memcpy(&magic, im->fpu + given, sizeof(magic));
                if (magic == FP_XSTATE_MAGIC2) {
                        if (given < fpu_bytes)
                                __builtin_memset(im->fpu + given, 0, fpu_bytes - given);
                        *in_use &= sw->xfeatures & fpu_features();
                        return fpu_sanitize(im->fpu) ? 0 : -EFAULT;
                }
        }
        /* FXSAVE image only: the rest takes its initial state. */
        __builtin_memset(in_use, 0, fpu_bytes - LEGACY_SIZE);
        *in_use = 3;
        return fpu_sanitize(im->fpu) ? 0 : -EFAULT;
}

static long read_fpstate(struct call *c, struct image *im, uint64_t from)
{
        if (tail_bytes && from % 64)
                return -EFAULT;
        if (!copy_in(c, im->fpu, from, LEGACY_SIZE))
                return user_fault(c);
        return check_fpstate(c, im, from, LEGACY_SIZE);
}

static long bad_frame(struct call *c)
{
        struct thread *t = c->thread;

        changes(c);
        klog(LOG_DEBUG, "%s[%d]: bad signal frame at %#lx, ip %#lx\n", t->comm, t->tid, user_frame()->rsp,
             user_frame()->rip);
        signal_force_fault(t, SIGSEGV, SI_KERNEL, 0, 0, 0);
        return CALL_DONE;
}

long sys_rt_sigreturn(struct call *c)
{
        struct thread *t = c->thread;
        struct frame *regs = user_frame();
        struct image *im = images[cpu_this()->id].in;
        const struct ucontext *uc = &im->frame.uc;
        const struct sigcontext *m = (const struct sigcontext *)&uc->uc_mcontext;
        uint64_t frame = regs->rsp - 8, fpstate;
        bool whole = copy_in(c, &im->frame, frame, FPSTATE_OFFSET + fpu_bytes + tail_bytes);
        sigset64 mask;
        long r;

        /* What is not as we built it (a run-time's own frame, perhaps shorter) is read piece by piece. */
        if (!whole && !copy_in(c, &im->frame.uc, frame + offsetof(struct rt_sigframe, uc), sizeof(*uc))) {
                r = user_fault(c);
                return r == CALL_FAULT ? r : bad_frame(c);
        }
        fpstate = (uint64_t)m->fpstate;
        if (fpstate) {
                r = whole && fpstate == frame + FPSTATE_OFFSET && fpstate % 64 == 0
                            ? check_fpstate(c, im, fpstate, fpu_bytes + tail_bytes)
                            : read_fpstate(c, im, fpstate);
                if (r == CALL_FAULT)
                        return r;
                if (r)
                        return bad_frame(c);
        }
        if ((m->cs | 3) != USER_CS || !runnable(m->rip))
                return bad_frame(c);
        __builtin_memcpy(&mask, &uc->uc_sigmask, sizeof(mask));

        changes(c);
        fpu_restore(fpstate ? im->fpu : initial_fpu);
        signal_mask_set(t, mask);
        *regs = (struct frame){
                .r15 = m->r15,
                .r14 = m->r14,
                .r13 = m->r13,
                .r12 = m->r12,
                .rbp = m->rbp,
                .rbx = m->rbx,
                .r11 = m->r11,
                .r10 = m->r10,
                .r9 = m->r9,
                .r8 = m->r8,
                .rax = m->rax,
                .rcx = m->rcx,
                .rdx = m->rdx,
                .rsi = m->rsi,
                .rdi = m->rdi,
                .nr = regs->nr,
                .err = 0,
                .rip = m->rip,
                .cs = USER_CS,
                .rflags = (regs->rflags & ~(uint64_t)FLAGS_USER) | (m->eflags & FLAGS_USER) | X86_EFLAGS_IF | 2,
                .rsp = m->rsp,
                .ss = USER_SS,
        };
        if (uc->uc_stack.ss_size | t->altstack_size)
                signal_altstack_set(t, (uint64_t)uc->uc_stack.ss_sp, (uint32_t)uc->uc_stack.ss_flags,
                                    uc->uc_stack.ss_size, m->rsp); /* errors: nobody to tell */
        return CALL_DONE;
}
