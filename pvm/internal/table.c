/* table.c - internal.def as the machine's table of native methods. */
#include "pvm/internal/internal.h"

#define NONE PVM_NO_ORDINAL
#define CLASS(id, name, parent, flags)
#define FIELD(id, name, desc)
#define METHOD(id, function, name, ordinal, desc) {CLASS_##id, name, desc, n_##id##_##function, ordinal, false},
#define STATIC(id, function, name, ordinal, desc) {CLASS_##id, name, desc, n_##id##_##function, PVM_NO_ORDINAL, true},
#define MISSING(id, name, ordinal, desc)          {CLASS_##id, name, desc, NULL, ordinal, false},
const struct native_method native_methods[] = {
#include "pvm/internal.def"
};
const unsigned native_nmethods = sizeof(native_methods) / sizeof(native_methods[0]);

bool want(struct call *c, unsigned arg, uint32_t class, int *r)
{
        struct obj *o = c->args[arg].r;

        if (o && o->class == class)
                return true;
        *r = o ? throw_error(c, CLASS_error_cast, "argument %u is %s, not %s", arg, obj_class(o)->name->text,
                             classes[class]->name->text)
               : throw_error(c, CLASS_error_reference, "argument %u is null", arg);
        return false;
}
