/*
 * pin.c - pages that a device reads or writes by itself (persistence.md, "DMA"). Volatile: after a power cut no device works for anybody.
 *
 * A pinned page keeps its frame, and the frame its owner: the page is not evicted, and when it is freed it stays with the frees that wait. It is no reference: whoever counts pages does not
 * see it. What a device writes to is noted dirty in each epoch that ends while it is pinned, since programs may have seen of it; whoever unpins it notes it in the epoch then. The barrier
 * may capture any mixture of before and after: the call that asked has not returned, and asks again after a recovery.
 *
 * To say whether a page is pinned there are counts by a hash of its number. Another page of the same hash is taken for pinned, too: it goes a little later.
 */
#include "persist/engine.h"

#define COUNTS 4096u

static uint32_t count[COUNTS];  /* [a] */
static struct space_pins *list; /* [lock_word] those a device writes to */
static uint32_t npinned;        /* [a] pages of the list, or about to be */
static uint32_t lock_word;

bool space_pin(struct space_pins *p)
{
        if (p->device_writes) {
                if (__atomic_add_fetch(&npinned, p->n, __ATOMIC_RELAXED) > PINS_MAX) {
                        __atomic_fetch_sub(&npinned, p->n, __ATOMIC_RELAXED);
                        return false;
                }
                for (unsigned i = 0; i < p->n; i++)
                        page_note(p->ppn[i]);
                spin_take(&lock_word);
                p->prev = NULL;
                p->next = list;
                if (list)
                        list->prev = p;
                list = p;
                spin_give(&lock_word);
        }
        for (unsigned i = 0; i < p->n; i++)
                __atomic_fetch_add(&count[p->ppn[i] % COUNTS], 1, __ATOMIC_RELAXED);
        return true;
}

void space_unpin(struct space_pins *p)
{
        if (p->device_writes) {
                for (unsigned i = 0; i < p->n; i++)
                        page_note(p->ppn[i]);
                spin_take(&lock_word);
                if (p->prev)
                        p->prev->next = p->next;
                else
                        list = p->next;
                if (p->next)
                        p->next->prev = p->prev;
                spin_give(&lock_word);
                __atomic_fetch_sub(&npinned, p->n, __ATOMIC_RELAXED);
        }
        for (unsigned i = 0; i < p->n; i++)
                __atomic_fetch_sub(&count[p->ppn[i] % COUNTS], 1, __ATOMIC_RELEASE);
}

bool page_is_pinned(ppn_t ppn)
{
        return __atomic_load_n(&count[ppn % COUNTS], __ATOMIC_ACQUIRE) != 0;
}

void pins_note_dirty(void)
{
        for (const struct space_pins *p = list; p; p = p->next)
                for (unsigned i = 0; i < p->n; i++)
                        page_note(p->ppn[i]);
}

void pins_forget(void)
{
        list = NULL;
        npinned = 0;
        memset(count, 0, sizeof(count));
}
