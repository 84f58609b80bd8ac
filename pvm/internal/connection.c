/*
 * connection.c - connections, as the original has them: by a name that says what for. Of its kinds there is tmr:, a timer.
 *
 * A timer that runs is a thread that has not begun and waits for nothing but its time: so it is in the heap like all that waits, and goes on after a recovery. It calls the callback.
 * Of a timer that is set again, or disconnected, the thread ends without having run; connection.timer is NULL or such a thread.
 */
#include "pvm/internal/internal.h"
#include "kernel/lib/string.h"

enum { CLOSED, TIMER };
#define SET 0 /* the one operation that a timer has */

static struct connection *self(const struct call *c)
{
        return (struct connection *)OBJECT(c);
}

static void disarm(struct connection *k)
{
        if (k->timer)
                thread_cancel(k->timer);
        k->timer = NULL;
}

static int closed(struct call *c)
{
        return throw_error(c, CLASS_error_state, "the connection is not connected");
}

int n_connection_connect(struct call *c)
{
        static const struct {
                const char *prefix, *why;
        } missing[] = {
                {"udp:", "there is no network"},
                {"url:", "there is no network"},
                {"fio:", "files belong to the boot object: boot.fileRead and its like"},
                {"stat:", "the machine's figures are in `pvm stat`"},
                {"stt:", "the machine's figures are in `pvm stat`"},
        };
        const char *to;
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        to = STRING(c, 1)->text;
        for (unsigned i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
                if (!strncmp(to, missing[i].prefix, strlen(missing[i].prefix)))
                        return throw_error(c, CLASS_error_unavailable,
                                           "a connection to \"%.100s\" is not available: %s", to, missing[i].why);
        if (strncmp(to, "tmr:", 4))
                return throw_error(c, CLASS_error_argument, "no connection leads to \"%.100s\"; tmr: is a timer", to);
        disarm(self(c));
        self(c)->kind = TIMER;
        return give_int(c, 0);
}

int n_connection_disconnect(struct call *c)
{
        disarm(self(c));
        self(c)->kind = CLOSED;
        return give_int(c, 0);
}

/* 1: there was one. */
int n_connection_setCallback(struct call *c)
{
        struct connection *k = self(c);
        struct obj *o = c->args[1].r;
        bool before = k->callback;
        struct method *m;

        if (o && untyped_choose(obj_class(o), NULL, (uint32_t)c->args[2].i, 2, c->args, &m))
                return throw_error(c, CLASS_error_link, "%s", class_error);
        k->callback = o;
        heap_wrote(k);
        k->method = (uint32_t)c->args[2].i;
        return give_int(c, before);
}

int n_connection_invoke(struct call *c)
{
        struct connection *k = self(c);
        struct thread *t;
        slot ms;

        if (k->kind != TIMER)
                return closed(c);
        if (c->args[2].i != SET)
                return throw_error(c, CLASS_error_argument, "a timer has no operation %d; %d sets it", c->args[2].i,
                                   SET);
        if (!c->args[1].r || !unbox(c->args[1].r, 'I', &ms))
                return throw_error(c, CLASS_error_argument, "a timer is set to milliseconds, an int");
        t = thread_new(&k->o);
        if (!t || !thread_start(t, false))
                return OUT_OF_MEMORY(c);
        thread_inherits(t, c->thread);
        thread_wait(t, NULL, in_ms(ms.i));
        disarm(k);
        k->timer = t;
        heap_wrote(k);
        return give_int(c, 0);
}

int n_connection_block(struct call *c)
{
        if (c->phase) {
                c->result.r = NULL;
                return DONE;
        }
        return self(c)->kind == TIMER ? block(c, NULL, in_ms(c->args[2].i), 1) : closed(c);
}

int connection_due(struct call *c, struct connection *k)
{
        int64_t now = (int64_t)(pvm_host->real_ns() / 1000000000);
        uint32_t error;

        if (!k->callback) {
                k->timer = NULL;
                return DONE;
        }
        c->callee_args[0].r = k->callback;
        c->callee_args[1].r = box('I', (slot){.i = now > INT32_MAX ? INT32_MAX : (int32_t)now});
        if (!c->callee_args[1].r)
                return OUT_OF_MEMORY(c);
        k->timer = NULL;
        error = untyped_choose(obj_class(k->callback), NULL, k->method, 2, c->callee_args, &c->callee);
        if (!error)
                error = untyped_convert(c->callee, c->callee_args);
        c->ncallee_args = 2;
        return error ? throw_error(c, error, "%s", class_error) : CALL;
}
