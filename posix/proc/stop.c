/*
 * stop.c - one process is kept from running in the life that begins: what the menu before recovery (kernel/init) asks, and does. No thread has an entity of the
 * scheduler yet, so all is read from the records.
 */
#include "posix/proc/proc.h"
#include "posix/include/boot.h"
#include "posix/include/signal.h"

/* Those first that would run soonest. */
static const char by_likelihood[] = "RDSTZ";

static unsigned rank(char state)
{
        unsigned i = 0;

        while (by_likelihood[i] && by_likelihood[i] != state)
                i++;
        return i;
}

/* What /proc would have said. One that was woken and had not run yet passes for a sleeper: that was told by its queue place alone. */
static char thread_letter(const struct thread *t)
{
        if (t->run == THREAD_DEAD)
                return 'Z';
        if (thread_is_stopped(t) && !thread_is_doomed(t))
                return 'T';
        if (!t->in_call || !t->wait.active || t->wait.granted)
                return 'R';
        return t->wait.interrupt == INTERRUPTIBLE ? 'S' : 'D';
}

static char process_letter(const struct process *p)
{
        char state = 'Z';

        if (p->state >= PROCESS_ZOMBIE)
                return state;
        for (const struct thread *t = p->threads; t; t = t->next) {
                char letter = thread_letter(t);

                if (rank(letter) < rank(state))
                        state = letter;
        }
        return state;
}

struct list {
        struct boot_process *out;
        unsigned max, n, total;
};

static bool before(const struct boot_process *a, const struct boot_process *b)
{
        unsigned ra = rank(a->state), rb = rank(b->state);

        return ra != rb ? ra < rb : a->pid < b->pid;
}

/* Keeps the first ones, sorted. */
static bool list_one(struct process *p, void *arg)
{
        struct boot_process b = {.pid = p->pid, .state = process_letter(p)};
        struct list *l = arg;
        unsigned i;

        if (p->state == PROCESS_DEAD || p == posix_root()->init)
                return true;
        __builtin_memcpy(b.comm, p->leader->comm, sizeof(b.comm));
        b.comm[sizeof(b.comm) - 1] = 0;
        l->total++;
        if (l->n < l->max)
                l->n++;
        else if (!l->max || !before(&b, &l->out[l->max - 1]))
                return true;
        for (i = l->n - 1; i > 0 && before(&b, &l->out[i - 1]); i--)
                l->out[i] = l->out[i - 1];
        l->out[i] = b;
        return true;
}

unsigned posix_processes(struct boot_process *out, unsigned max)
{
        struct list l = {.out = out, .max = max};

        if (posix_root())
                process_each(list_one, &l);
        return l.total;
}

int posix_may_stop(int pid)
{
        struct process *p = posix_root() ? process_find(pid) : NULL;

        if (!p || p->state == PROCESS_DEAD)
                return -ESRCH;
        if (p == posix_root()->init)
                return -EPERM;
        if (p->state == PROCESS_ZOMBIE || p->exiting || !p->nlive)
                return -ECHILD;
        return p->state == PROCESS_STOPPED ? -EALREADY : 0;
}

bool process_stop_piece(int pid)
{
        return !posix_may_stop(pid) && signal_stop_piece(process_find(pid));
}
