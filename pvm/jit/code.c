/*
 * code.c - memory for compiled code, and the way into it and out of it.
 *
 * The area is never writable and executable at once. Code is put behind code until there is no room; then all of it is dropped: nothing but struct method points to it, for
 * code is compiled, and dropped, at safepoints.
 *
 * On the native stack compiled code keeps return addresses alone, 16 bytes a call, above worker.base. They are a short cut: whoever leaves drops them, and who returns
 * with none left is led by the frames (`returned`, below).
 */
#include "pvm/jit/jit.h"
#include "kernel/lib/string.h"
#include "pvm/jit/x86.h"

struct jit jit;
struct jit_stubs jit_stubs;
static uint8_t *area;
static uint32_t used, first;

/* enter(code, registers, &worker) */
static void make_stubs(struct x86 *x)
{
        static const uint8_t saved[] = {RBX, RBP, R12, R13, R14, R15};
        uint32_t lea, to_leave, exit;

        x_byte(x, 0xcc);
        jit_stubs.run = x->n;
        for (unsigned i = 0; i < sizeof(saved); i++)
                x_opcode(x, 0x50 | (saved[i] & 7), false, 0, 0, saved[i]);
        x_ri(x, 5, true, RSP, 8);
        x_rr(x, X_LOAD, true, R15, RDX);
        x_rr(x, X_LOAD, true, RBX, RSI);
        x_byte(x, 0x48); /* lea rax, [rip + returned] */
        x_byte(x, 0x8d);
        x_byte(x, 0x05);
        x_u32(x, 0);
        lea = x->n - 4;
        x_byte(x, 0x50);
        x_ri(x, 5, true, RSP, 8);
        x_rm(x, X_STORE, true, RSP, R15, JIT_WORKER(base));
        x_rr(x, 0xff, false, 4, RDI);

        jit_stubs.exit = x->n;
        x_imm(x, RAX, JIT_EXIT);
        exit = x->n + 5;
        x_land(x, x_jmp(x), exit);
        x_rm(x, X_LEA, true, RCX, RBX, -(int32_t)sizeof(struct frame));
        x_rm(x, X_STORE, true, RCX, R15, JIT_WORKER(top));
        x_rm(x, X_LOAD, true, RSP, R15, JIT_WORKER(base));
        x_ri(x, 0, true, RSP, 24);
        for (unsigned i = sizeof(saved); i--;)
                x_opcode(x, 0x58 | (saved[i] & 7), false, 0, 0, saved[i]);
        x_byte(x, 0xc3);

        jit_stubs.leave = x->n;
        x_imm(x, RAX, JIT_LEAVE);
        x_land(x, x_jmp(x), exit);
        jit_stubs.poll = x->n;
        x_imm(x, RAX, JIT_YIELD);
        x_land(x, x_jmp(x), exit);
        jit_stubs.call = x->n;
        x_imm(x, RAX, JIT_CALL);
        x_land(x, x_jmp(x), exit);

        /* returned: to a frame without a native return address. The result is in rax, rbx still at the frame that ended. */
        x_land(x, lea, x->n);
        x_rm(x, X_MOVZXB, false, RCX, RBX, (int32_t)(__builtin_offsetof(struct frame, dest) - sizeof(struct frame)));
        x_rm(x, X_LOAD, true, RDX, RBX, (int32_t)(__builtin_offsetof(struct frame, prev) - sizeof(struct frame)));
        x_rmx(x, X_STORE, true, RAX, RDX, RCX, 3, sizeof(struct frame));
        x_rm(x, X_LEA, true, RBX, RDX, sizeof(struct frame));
        x_imm(x, RAX, JIT_RETURN);
        to_leave = x_jmp(x);
        x_land(x, to_leave, exit);
        while (x->n % 16)
                x_byte(x, 0xcc);
}

bool jit_create(void)
{
        uint8_t code[512];
        struct x86 x = {.p = code, .cap = sizeof(code)};

        if (area)
                return true;
        if (!pvm_host->code_memory || pvm_compile == PVM_COMPILE_NEVER)
                return false;
        area = pvm_host->code_memory(JIT_AREA);
        if (!area)
                return false;
        used = 0;
        make_stubs(&x);
        if (x.full || !jit_install(code, x.n))
                return false;
        first = used;
        return true;
}

void jit_destroy(void)
{
        memset(&jit, 0, sizeof(jit));
        if (area)
                pvm_host->code_free(area, JIT_AREA);
        area = NULL;
}

uint32_t jit_place(void)
{
        return used;
}

bool jit_install(const uint8_t *code, uint32_t len)
{
        if (len > JIT_AREA - used || pvm_host->code_write(area + used, code, len))
                return false;
        used = (used + len + 15) & ~15u;
        return true;
}

void *jit_address(uint32_t offset)
{
        return area + offset;
}

void jit_drop_method(struct method *m)
{
        if (m->compiled)
                pvm_host->mem_free(m->compiled, m->compiled->size);
        m->compiled = NULL;
        if (m->native_code)
                m->native_code = area + jit_stubs.call;
}

void jit_drop(void)
{
        for (uint32_t i = 0; methods && i < root()->nmethods; i++)
                if (methods[i]) {
                        jit_drop_method(methods[i]);
                        methods[i]->heat = 0;
                }
        for (unsigned i = 0; i < nworkers; i++)
                memset(workers[i]->found, 0, sizeof(workers[i]->found));
        used = first;
}

enum jit_end jit_run(struct thread *t, struct frame *f, uint32_t entry)
{
        uint32_t (*run)(void *, slot *, void *) = (uint32_t(*)(void *, slot *, void *))(uint64_t)(area + jit_stubs.run);

        worker.limit = (char *)__builtin_frame_address(0) - JIT_STACK;
        worker.stack_end = t->stack->end;
        return (enum jit_end)run(area + entry, f->r, &worker);
}
