/*
 * object.h - header of every counted persistent object (files, inodes, processes, pipes, address spaces...).
 * Persistent counts count persistent references only: code in a section borrows. A release that reaches zero hangs the object on the releasing
 * thread's dying list (posix) or is destroyed by the reaper; never inside the section that holds locks on it.
 */
#pragma once
#include <stdint.h>
struct object {
        uint32_t refs;             /* [P] changed with atomic instructions, in sections after the first change */
        uint16_t type;             /* [I,P] type number of the space_type table: indexes the release table */
        uint16_t flags;            /* [P] OBJECT_* */
        struct object *next_dying; /* [P] */
};
#define OBJECT_DYING 1u
#define OBJECT_ALONE 2u /* its release has begun: no section can have borrowed it any more */
