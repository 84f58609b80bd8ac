/*
 * types.c - what posix/ipc keeps in the space. Semaphore sets and undo records are resident: who lets a sleeper go on writes them, one after another, long after
 * its first change.
 */
#include "posix/ipc/ipc_internal.h"

const struct posix_type ipc_types[] = {
        {TYPE_SHM, {"shm", sizeof(struct shm), 1, SPACE_OBJECT, shm_fields}, shm_release, shm_touch},
        {TYPE_SEMSET,
         {"semset", sizeof(struct semset), 1, SPACE_OBJECT | SPACE_RESIDENT, semset_fields},
         semset_release,
         NULL},
        {TYPE_SEMUNDO, {"sem_undo", sizeof(struct sem_undo), 1, SPACE_RESIDENT, undo_fields}, NULL, NULL},
        {TYPE_MSGQ, {"msgq", sizeof(struct msgq), 1, SPACE_OBJECT, msgq_fields}, msgq_release, msgq_touch},
        {TYPE_MSG, {"ipc_message", sizeof(struct ipc_message), 1, 0, message_fields}, NULL, NULL},
        {TYPE_MQUEUE, {"mqueue", sizeof(struct mqueue), 1, SPACE_OBJECT, mqueue_fields}, mqueue_release, mqueue_touch},
        {0},
};
