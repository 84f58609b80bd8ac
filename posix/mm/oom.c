/*
 * oom.c - memory is gone, nothing can be evicted, and a fault cannot be answered. Calls that grow memory get ENOMEM instead and never come here.
 *
 * The process with the most resident pages, weighted by oom_score_adj as in Linux, is killed; faults wait for it to give its memory back and then are tried
 * again. What the dying need is in the allocator's reserve (P10). While one is dying no second one is chosen, unless it takes too long.
 */
#include "posix/mm/mm_internal.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include <linux/oom.h>

#define PATIENCE_NS (2ul * NSEC_PER_SEC)
#define RETRY_NS    (10ul * 1000000)

static struct process *last_victim; /* [V] only compared */
static int last_pid;
static uint64_t last_kill_ns;

struct choice {
        struct process *worst;
        int64_t points;
        bool dying;
};

static bool is_dying(const struct process *p)
{
        return p->exiting || p->state == PROCESS_ZOMBIE || (p == last_victim && p->pid == last_pid);
}

static bool consider(struct process *p, void *arg)
{
        struct choice *best = arg;
        struct mm *m = READ_ONCE(p->mm);
        int64_t points;

        if (!m || p->pid == 1 || p->oom_score_adj == OOM_SCORE_ADJ_MIN)
                return true;
        if (is_dying(p)) {
                best->dying |= p->exiting || time_mono_ns() - last_kill_ns < PATIENCE_NS;
                return true;
        }
        points = (int64_t)mm_rss_pages(m) + p->oom_score_adj * (int64_t)(frames_total() / 1000);
        if (points > best->points || !best->worst) {
                best->points = points;
                best->worst = p;
        }
        return true;
}

long oom_act(struct call *c)
{
        struct process *self = c->thread->proc;
        struct choice best = {NULL, 0, false};

        space_make_room();
        process_each(consider, &best);
        if (best.dying && time_mono_ns() - last_kill_ns < PATIENCE_NS)
                best.worst = NULL;
        else if (!best.worst)
                best.worst = self;
        if (best.worst) {
                struct process *p = best.worst;

                klog(LOG_ERR, "out of memory: killed process %d (%s), %lu KiB resident, oom_score_adj %d", p->pid,
                     p->leader ? p->leader->comm : "?", mm_rss_pages(p->mm) * (PAGE_SIZE / 1024), p->oom_score_adj);
                last_victim = p;
                last_pid = p->pid;
                last_kill_ns = time_mono_ns();
                changes(c);
                signal_send_process(p, SIGKILL, NULL);
        }
        if (is_dying(self)) /* the signal is met on the way out; a copy by the kernel ends with EFAULT */
                return c->nr == NR_USER_FAULT ? 0 : -EFAULT;
        if (c->nr == NR_SIGNAL)
                return -EFAULT;
        return call_wait(c, CONDITION, c->thread, KILLABLE, time_mono_ns() + RETRY_NS);
}
