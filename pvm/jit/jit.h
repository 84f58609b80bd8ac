/*
 * jit.h - the compiler to x86-64. README.md says how it works and why.
 */
#pragma once
#include "pvm/machine.h"

/* Why compiled code came back; worker.top is the frame on top then. */
enum jit_end {
        JIT_EXIT,   /* something is not as it was: the interpreter does the instruction at its pc */
        JIT_LEAVE,  /* so it does here, always */
        JIT_YIELD,  /* a poll: go on at its pc */
        JIT_CALL,   /* its method has no code yet; its registers behind the arguments are not set */
        JIT_RETURN, /* somebody returned to it: go on at its pc */
};

/* Of all methods that were compiled so far. */
struct jit {
        uint64_t methods, words, bytes, ns;
};
extern struct jit jit;
#define JIT_STACK 8192u

/* A method's code. */
struct jit_code {
        uint32_t size; /* of this */
        bool learning; /* there are instructions that had not run yet, or not like this */
        uint32_t exits;
        uint32_t entry[]; /* by pc: offset in the code area where a run may begin; 0: nowhere */
};

/* False: this host has no memory for code, or does not want any. */
bool jit_create(void);
void jit_destroy(void);
/* All code is dropped. This, and what comes next, at safepoints alone. */
void jit_drop(void);
void jit_drop_method(struct method *m);
/* Compiles; false: it stays with the interpreter. */
bool jit_compile(struct method *m);
/* Runs the frame f, whose segment is t's last, from f->pc on. entry is not 0. */
enum jit_end jit_run(struct thread *t, struct frame *f, uint32_t entry);
static inline uint32_t jit_entry(const struct method *m, uint32_t pc)
{
        return m->compiled ? m->compiled->entry[pc] : 0;
}

/* ---- code.c, for compile.c ---- */
#define JIT_AREA (32ul << 20)
/* Compiled code has its worker in r15. */
#define JIT_WORKER(field) ((int32_t) __builtin_offsetof(struct worker, field))
extern struct jit_stubs {
        uint32_t run, exit, leave, poll, call; /* offsets in the area */
} jit_stubs;
/* Puts code into the area, at the offset that jit_place said: calls and jumps in it are relative. False: no room. */
uint32_t jit_place(void);
bool jit_install(const uint8_t *code, uint32_t len);
void *jit_address(uint32_t offset);

/* ---- interp.c, for compiled code ---- */
/* Does the instruction at pc, which neither calls nor polls. Not 0: it must be done by the interpreter; nothing has changed. */
uint32_t interp_step(struct method *m, slot *r, const uint32_t *pc);
/* What a call of `site` by CALLV or CALLC runs for that receiver: a method with code; else NULL. */
struct method *interp_find(const struct site *site, const struct obj *o, uint32_t virtual);
