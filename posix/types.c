/*
 * types.c - the areas' type tables put together, once at boot, for the allocator, the checkers and the release of objects.
 */
#include "posix/include/process.h"
#include "kernel/include/log.h"

#define AREA(name) extern const struct posix_type name##_types[] __attribute__((weak));
/* clang-format off */
#define AREAS \
        AREA(mm) AREA(proc) AREA(signal) AREA(futex) AREA(time) AREA(vfs) AREA(fs) AREA(tty) AREA(pipe) AREA(poll) \
        AREA(socket) AREA(ipc) AREA(fuse)
/* clang-format on */
AREAS
#undef AREA

static struct space_type types[POSIX_TYPES];
object_release_fn object_release_table[POSIX_TYPES];
void (*object_touch_table[POSIX_TYPES])(void *object);

static void add(const struct posix_type *area)
{
        for (; area && area->type; area++) {
                assert(area->type < POSIX_TYPES && !types[area->type].size);
                types[area->type] = area->space;
                object_release_table[area->type] = area->release;
                object_touch_table[area->type] = area->touch;
        }
}

void posix_types_register(void)
{
#define AREA(name) add(name##_types);
        AREAS
#undef AREA
        space_types_register(types, POSIX_TYPES);
}
