/*
 * internal.h - the C functions behind internal.def: n_CLASS_FUNCTION, and what they share.
 *
 * A function gets its receiver and arguments as the descriptor says (checked by the caller: machine types; references may be null or of any class) and returns
 * DONE with c->result, or THROW. BLOCK and CALL: it is entered again at c->phase, with its arguments and NATIVE_LOCALS registers in c->frame. It allocates before it
 * changes anything: a function that ran out of memory is run again after a collection.
 */
#pragma once
#include "pvm/machine.h"

#define CLASS(id, name, parent, flags)
#define FIELD(id, name, desc)
#define METHOD(id, function, name, ordinal, desc) int n_##id##_##function(struct call *c);
#define STATIC(id, function, name, ordinal, desc) int n_##id##_##function(struct call *c);
#define MISSING(id, name, ordinal, desc)
#include "pvm/internal.def"

#define OUT_OF_MEMORY(c) throw_object(c, root()->no_memory)
#define OBJECT(c)        ((c)->args[0].r)

static inline int give(struct call *c, void *object)
{
        c->result.r = object;
        return object ? DONE : OUT_OF_MEMORY(c);
}
static inline int give_int(struct call *c, int32_t v)
{
        c->result.bits = (uint32_t)v;
        return DONE;
}
/* An argument that must be a string (or of that class): false, and the error is made. */
bool want(struct call *c, unsigned arg, uint32_t class, int *r);
#define STRING(c, n) ((struct string *)(c)->args[n].r)
/* sync.c: the thread waits for the object (NULL: none), until the deadline (0: none), and goes on at phase, with c->thread->granted. */
int block(struct call *c, struct obj *what, uint64_t deadline, uint32_t phase);
uint64_t in_ms(int32_t ms);      /* as a deadline */
int load_wanted(struct call *c); /* sync.c: a call of boot.loadClass for class_wanted; there is a class loader */
/* text.c: a code point as 1 to 4 bytes; how many. */
unsigned utf8_encode(uint32_t v, char *to);
