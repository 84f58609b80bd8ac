/*
 * membarrier.c - membarrier(2): memory barriers on other CPUs by an interrupt that they take. A thread that is not running passed a full barrier when it was left
 * and passes another when it is entered.
 */
#include "posix/mm/mm_internal.h"
#include <linux/membarrier.h>

#define EXPEDITED (MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)
#define COMMANDS                                                                                                       \
        (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |          \
         EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)

static long enroll(struct call *c, struct mm *m, uint32_t command)
{
        if (m->membarrier & command)
                return 0;
        changes(c);
        __atomic_fetch_or(&m->membarrier, command, __ATOMIC_RELAXED);
        return 0;
}

long sys_membarrier(struct call *c)
{
        struct mm *m = c->thread->proc->mm;
        int command = (int)c->arg[0];
        struct mmu *tables;

        if (c->arg[1])
                return -EINVAL;
        switch (command) {
        case MEMBARRIER_CMD_QUERY:
                return COMMANDS;
        case MEMBARRIER_CMD_GLOBAL:
        case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
                arena_flush(); /* an interrupt for every CPU */
                return 0;
        case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
                return 0; /* the global one reaches all CPUs in any case */
        case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
                return enroll(c, m, MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
                return enroll(c, m, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
        case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
        case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
                if (!(m->membarrier & (uint32_t)command))
                        return -EPERM;
                tables = mm_tables(m);
                if (tables)
                        mmu_sync(tables);
                return 0;
        default:
                return -EINVAL;
        }
}
