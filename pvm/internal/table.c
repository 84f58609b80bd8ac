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

/*
 * Those that need no lock: what they look at does not change, or they look at it once; what they change is one word, or new. Errors and memory they get as code does that runs.
 */
#define NUMBER(id)                                                                                                     \
        n_##id##_equals, n_##id##_toString, n_##id##_hashCode, n_##id##_toInt, n_##id##_toLong, n_##id##_toFloat,      \
                n_##id##_toDouble
static const native_fn unlocked[] = {
        n_object_new,
        n_object_destruct,
        n_object_getClass,
        n_object_equals,
        n_object_toString,
        n_object_hashCode,
        n_string_equals,
        n_string_toString,
        n_string_hashCode,
        n_string_substring,
        n_string_charAt,
        n_string_concat,
        n_string_length,
        n_string_strstr,
        n_string_toInt,
        n_string_toLong,
        n_string_toFloat,
        n_string_toDouble,
        n_string_indexOf,
        n_string_compareTo,
        n_string_startsWith,
        n_string_endsWith,
        n_string_toUpper,
        n_string_toLower,
        n_string_trim,
        n_string_codePoints,
        n_string_codePointAt,
        n_string_toBinary,
        n_string_split,
        n_string_replace,
        n_string_fromCodePoint,
        NUMBER(int),
        NUMBER(long),
        NUMBER(float),
        NUMBER(double),
        n_array_iterator,
        n_array_get,
        n_array_set,
        n_array_size,
        n_iterator_hasNext,
        n_iterator_next,
        n_binary_getByte,
        n_binary_setByte,
        n_binary_length,
        n_closure_call0,
        n_closure_call1,
        n_closure_call2,
        n_closure_call3,
        n_closure_call4,
        n_closure_call5,
        n_closure_call6,
        n_error_newMessage,
        n_time_now,
        n_time_monotonic,
        n_math_sqrt,
        n_math_sin,
        n_math_cos,
        n_math_atan2,
        n_math_exp,
        n_math_log,
        n_math_pow,
        n_math_floor,
        n_math_ceil,
        n_world_getMyThread,
};

bool native_is_unlocked(native_fn fn)
{
        for (unsigned i = 0; i < sizeof(unlocked) / sizeof(unlocked[0]); i++)
                if (unlocked[i] == fn)
                        return true;
        return false;
}

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
