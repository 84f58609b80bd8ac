/*
 * types.h - type numbers of everything the personality keeps in the space. A number is part of the schema: never reuse one.
 * posix/types.c has the table (size, version, pointer fields); release functions are in object_release_table there.
 */
#pragma once
#include "kernel/include/types.h"
#include "persist/object.h"
#include "persist/section.h"
#include "persist/space.h"

enum posix_type_nr {
        TYPE_NONE = 0,
        /* counted objects (struct object first) */
        TYPE_THREAD = 1,
        TYPE_PROCESS = 2,
        TYPE_SESSION = 3,
        TYPE_PGRP = 4,
        TYPE_CRED = 5,
        TYPE_MM = 6,
        TYPE_FDTABLE = 7,
        TYPE_FS = 8,
        TYPE_SIGHAND = 9,
        TYPE_FILE = 10,
        TYPE_INODE = 11,
        TYPE_MOUNT = 12,
        TYPE_PIPE = 13,
        TYPE_SOCKET = 14,
        TYPE_EPOLL = 15,
        TYPE_EVENTFD = 16,
        TYPE_TIMERFD = 17,
        TYPE_SIGNALFD = 18,
        TYPE_INOTIFY = 19,
        TYPE_TTY = 20,
        TYPE_SHM = 21,
        TYPE_SEMSET = 22,
        TYPE_MSGQ = 23,
        TYPE_MQUEUE = 24,
        TYPE_UTS = 25,
        TYPE_EPITEM_REF = 26,
        TYPE_USER = 27,
        TYPE_FDCHUNK = 28,
        TYPE_FDNODE = 29,
        TYPE_FUSE_CONN = 30,
        TYPE_FUSE_QUEUE = 31,
        TYPE_FUSE_REQUEST = 32,
        /* owned pieces */
        TYPE_ROOT = 40,
        TYPE_VMA = 41,
        TYPE_SIGQUEUE = 42,
        TYPE_DIRENT = 43,
        TYPE_FLOCK = 44,
        TYPE_XATTR = 45,
        TYPE_EPITEM = 46,
        TYPE_WATCH = 47,
        TYPE_INEVENT = 48,
        TYPE_SKB = 49,
        TYPE_PTIMER = 50,
        TYPE_MSG = 51,
        TYPE_SEMUNDO = 52,
        TYPE_SHMATT = 53,
        TYPE_FPU = 54,
        TYPE_PATHCURSOR = 55,
        TYPE_FS_STATE = 60,
        TYPE_SIGBULK = 70,
        POSIX_TYPES = 96
};

/* Counts. object_get and object_put after changes(). object_put at zero hangs the object on the current thread's dying list (or the reaper's). */
static inline void object_get(void *o)
{
        if (o)
                __atomic_fetch_add(&((struct object *)o)->refs, 1, __ATOMIC_RELAXED);
}
void object_put(void *o);
/* Before the change: makes sure that the count can be changed then (the object may be on an absent page). */
static inline void object_look(const void *o)
{
        if (o)
                (void)__atomic_load_n(&((const struct object *)o)->refs, __ATOMIC_RELAXED);
}
void object_init(void *o, unsigned type); /* refs 1 */
void *object_new(unsigned type);          /* space_alloc + object_init */
/*
 * Destroys one dead object: called with no lock held, as a section of its own that has begun its change (touch ran before it). May leave work undone: returns
 * true when it is to be called again (bulk goes in bounded pieces), false when the object is gone (freed by it).
 */
typedef bool (*object_release_fn)(void *object);
/*
 * One area's types: `const struct posix_type <area>_types[]`, ended by type 0. posix/types.c puts the areas' tables together:
 * mm proc signal futex time vfs fs tty pipe poll socket ipc fuse.
 */
struct posix_type {
        uint16_t type;
        struct space_type space;
        object_release_fn release; /* runs after the section's first change */
        void (*touch)(
                void *object); /* before it: reads whatever one call of release will write, so that nothing of it is absent then (P14); may be NULL */
};
extern object_release_fn object_release_table[POSIX_TYPES]; /* filled once at boot */
extern void (*object_touch_table[POSIX_TYPES])(void *object);
void object_touch(
        struct object *
                o); /* before section_changes() by who will do what a release does: the drainers, a call that gives up */
void posix_types_register(void);
void object_destroy(
        struct object
                *o); /* the drainers': runs its release function; hangs it on the list again when that asks for it */
void object_put_dying(struct object *o);
