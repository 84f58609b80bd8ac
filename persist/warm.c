/*
 * warm.c - the working set: what programs asked for in the first second of a life is read in the next one before they ask, beside them, in the order in which it lies on the disk.
 * The list is in the space (ROOT_WARM). What was read ahead is asked for by nobody, so nothing tells whether it is still needed: in each life an eighth of the list, another one
 * each time, is not read ahead, and stays on the list only if it is asked for.
 * Nothing depends on the list: a page of it that is free by now, or another's, is passed over, or was read in vain.
 */
#include "persist/engine.h"
#include "kernel/lib/sort.h"
#include "persist/store/store.h"

#define TRIALS   8u  /* 3 bits of a hash */
#define NEAR_MAX 64u /* blocks that are read at once; */
#define NEAR_GAP 4u  /* so few between two of them are read for nothing */
#define LOOKS    64u /* places asked for in one step */

static uint64_t todo[WARM_MAX]; /* the writer's: page numbers; in the upper half where they lie, once `placed` */
static uint32_t ntodo, placed, next;
static uint32_t seen[WARM_MAX]; /* asked for; by the writer */
static uint32_t nseen;          /* [a] */
static bool noting;             /* [a] */
static uint64_t life;
static uint64_t nread; /* [a] */

static bool on_trial(uint32_t ppn)
{
        return ppn * 0x9e3779b1u >> 29 == life % TRIALS;
}

void warm_open(uint64_t number)
{
        const struct warm *w = space_root_get(ROOT_WARM);

        life = number;
        for (uint32_t i = 0; w && i < w->n && i < WARM_MAX; i++)
                if (!on_trial(w->ppn[i]))
                        todo[ntodo++] = w->ppn[i];
        noting = true;
}

void warm_note(ppn_t ppn)
{
        if (__atomic_load_n(&noting, __ATOMIC_RELAXED) && nseen < WARM_MAX) {
                seen[nseen] = (uint32_t)ppn;
                __atomic_store_n(&nseen, nseen + 1, __ATOMIC_RELEASE);
        }
}

static bool is_wanted(ppn_t ppn)
{
        return ppn >= DATA_PPN && ppn < root()->frontier && record(ppn)->kind != PAGE_FREE &&
               !persist_host->page_present(ppn);
}

/* Reads those that lie close together, from the next one on. False: there is no memory for them. */
static bool read_some(void)
{
        uint64_t first = todo[next] >> 32, last = first;
        uint32_t end = next + 1;

        for (; first && end < ntodo && (todo[end] >> 32) - last <= NEAR_GAP && (todo[end] >> 32) - first < NEAR_MAX;
             end++)
                last = todo[end] >> 32;
        if (end - next > 1) {
                turn_take();
                store_ahead(space_store, first, (uint32_t)(last - first) + 1);
                turn_give();
        }
        for (; next < end; next++) {
                ppn_t ppn = (uint32_t)todo[next];

                if (!is_wanted(ppn))
                        continue;
                if (pager_fetch(ppn) == -ENOMEM) /* a page that is damaged: who asks for it is told */
                        return false;
                __atomic_store_n(&nread, nread + 1, __ATOMIC_RELAXED);
        }
        return true;
}

bool warm_step(void)
{
        if (next >= ntodo)
                return false;
        if (placed < ntodo) {
                for (unsigned n = 0; n < LOOKS && placed < ntodo; n++, placed++) {
                        if (!is_wanted(todo[placed]))
                                continue;
                        turn_take();
                        todo[placed] |= store_place(space_store, todo[placed]) << 32;
                        turn_give();
                }
                if (placed == ntodo)
                        sort_u64(todo, ntodo);
        } else if (reclaim_wanted() || !read_some()) {
                ntodo = 0;
        }
        return next < ntodo;
}

uint64_t warm_read(void)
{
        return __atomic_load_n(&nread, __ATOMIC_RELAXED);
}

/* What the list is to be, into `list`, each page once; how many. */
static uint32_t list_make(uint64_t *list, const struct warm *was)
{
        uint32_t n = 0, k = 0, asked = __atomic_load_n(&nseen, __ATOMIC_ACQUIRE);

        for (uint32_t i = 0; i < asked; i++)
                list[n++] = seen[i];
        for (uint32_t i = 0; was && i < was->n; i++)
                if (!on_trial(was->ppn[i]) && record(was->ppn[i])->kind != PAGE_FREE)
                        list[n++] = was->ppn[i];
        sort_u64(list, n);
        for (uint32_t i = 0; i < n; i++)
                if (!k || list[k - 1] != list[i])
                        list[k++] = list[i];
        return k < WARM_MAX ? k : WARM_MAX;
}

void space_warm_write(void)
{
        static uint64_t list[2 * WARM_MAX];
        struct warm *w = space_root_get(ROOT_WARM);
        uint32_t n, same = 0;

        if (!__atomic_load_n(&noting, __ATOMIC_RELAXED))
                return;
        n = list_make(list, w);
        while (w && same < n && same < w->n && w->ppn[same] == list[same])
                same++;
        if (!(w && same == n && n == w->n) && (w || space_room(sizeof(*w) / PAGE_BYTES))) {
                section_changes();
                if (!w) {
                        w = space_alloc_bytes(sizeof(*w));
                        space_root_set(ROOT_WARM, w);
                }
                for (uint32_t i = same; i < n; i++)
                        w->ppn[i] = (uint32_t)list[i];
                w->n = n;
        }
        __atomic_store_n(&noting, false, __ATOMIC_RELAXED);
}

void warm_forget(void)
{
        ntodo = placed = next = nseen = 0;
        nread = 0;
        noting = false;
}
