/*
 * unix.c - Unix files and processes, for who holds the boot object: what the machine's user may, by path and by number. Nothing of them is in the heap: a file is opened, used and closed in one call,
 * a process is the host's, and a number that it does not know (any more) is an error. An error of Unix is .internal.error.unavailable, with the path and the reason.
 */
#include "pvm/internal/internal.h"
#include <asm/errno.h>
#include "kernel/lib/string.h"

bool pvm_unix;

static int unix_error(struct call *c, const char *what, int64_t error)
{
        return throw_error(c, CLASS_error_unavailable, "%s: %s", what, pvm_host->error_text((int)-error));
}

/* Argument n is a path: a string without a NUL in it. False: *r. */
static bool path_of(struct call *c, unsigned n, const char **path, int *r)
{
        if (!pvm_unix) {
                *r = throw_error(c, CLASS_error_unavailable, "there is no Unix here");
                return false;
        }
        if (!want(c, n, CLASS_string, r))
                return false;
        *path = STRING(c, n)->text;
        if (strlen(*path) == STRING(c, n)->len)
                return true;
        *r = throw_error(c, CLASS_error_argument, "a path with a zero byte");
        return false;
}

/* Argument n is a binary of which [from, from + len) is meant. False: *r. */
static bool bytes_of(struct call *c, unsigned n, int64_t from, int64_t len, const uint8_t **bytes, int *r)
{
        const struct binary *b = (struct binary *)c->args[n].r;
        uint32_t all;

        if (!want(c, n, CLASS_binary, r))
                return false;
        all = b->store ? b->store->len : 0;
        if (from < 0 || len < 0 || from + len > all) {
                *r = throw_error(c, CLASS_error_bounds, "%ld bytes from %ld on, of %u", (long)len, (long)from, all);
                return false;
        }
        *bytes = all ? b->store->b + from : (const uint8_t *)"";
        return true;
}

static struct binary *binary_of(uint32_t len)
{
        struct binary *b = heap_alloc(CLASS_binary, sizeof(*b), 0);

        if (b)
                b->store = store_new(CLASS_store_raw, len, len, 1);
        return b && b->store ? b : NULL;
}

int n_bootstrap_reboot(struct call *c)
{
        int r = pvm_unix ? pvm_host->reboot() : -ENOSYS;

        return r ? unix_error(c, "reboot", r) : DONE;
}

/* ---- files ---- */

int n_bootstrap_fileRead(struct call *c)
{
        int64_t at = c->args[2].l, len = c->args[3].i, got;
        struct pvm_unix_file f;
        struct binary *b;
        const char *path;
        int r;

        if (!path_of(c, 1, &path, &r))
                return r;
        if (at < 0 || len < 0)
                return throw_error(c, CLASS_error_bounds, "%ld bytes from %ld on", (long)len, (long)at);
        r = pvm_host->unix_info(path, &f);
        if (r)
                return unix_error(c, path, r);
        if (f.sized && (uint64_t)(at + len) > f.size)
                len = f.size > (uint64_t)at ? (int64_t)(f.size - (uint64_t)at) : 0;
        b = binary_of((uint32_t)len);
        if (!b)
                return OUT_OF_MEMORY(c);
        got = pvm_host->unix_read(path, (uint64_t)at, b->store->b, (uint64_t)len);
        if (got < 0)
                return unix_error(c, path, got);
        b->store->len = (uint32_t)got;
        return give(c, b);
}

int n_bootstrap_fileWrite(struct call *c)
{
        int32_t from = c->args[4].i, len = c->args[5].i;
        const uint8_t *bytes;
        const char *path;
        int r;

        if (!path_of(c, 1, &path, &r) || !bytes_of(c, 3, from, len, &bytes, &r))
                return r;
        r = pvm_host->unix_write(path, c->args[2].l, bytes, (uint64_t)len);
        return r ? unix_error(c, path, r) : DONE;
}

int n_bootstrap_fileReplace(struct call *c)
{
        const uint8_t *bytes;
        const char *path;
        int r;

        if (!path_of(c, 1, &path, &r) || !bytes_of(c, 2, 0, c->args[3].i, &bytes, &r))
                return r;
        r = pvm_host->unix_replace(path, bytes, (uint64_t)c->args[3].i);
        return r ? unix_error(c, path, r) : DONE;
}

/* What there is; a file that is not there is of kind 0. */
static int info(struct call *c, struct pvm_unix_file *f)
{
        const char *path;
        int r;

        if (!path_of(c, 1, &path, &r))
                return r;
        r = pvm_host->unix_info(path, f);
        if (r == -ENOENT || r == -ENOTDIR) {
                *f = (struct pvm_unix_file){0};
                return DONE;
        }
        return r ? unix_error(c, path, r) : DONE;
}

int n_bootstrap_fileKind(struct call *c)
{
        struct pvm_unix_file f;
        int r = info(c, &f);

        return r == DONE ? give_int(c, (int32_t)f.kind) : r;
}

int n_bootstrap_fileSize(struct call *c)
{
        struct pvm_unix_file f;
        int r = info(c, &f);

        c->result.l = r != DONE ? c->result.l : f.kind ? (int64_t)f.size : -1;
        return r;
}

int n_bootstrap_fileTime(struct call *c)
{
        struct pvm_unix_file f;
        int r = info(c, &f);

        c->result.l = r != DONE ? c->result.l : f.kind ? f.changed_ms : -1;
        return r;
}

int n_bootstrap_fileList(struct call *c)
{
        struct klass *k = class_find("[.internal.string;", 18);
        int32_t n = 0, i = 0;
        struct array *a;
        const char *path, *name;
        void *names;
        size_t len;
        int r;

        if (!path_of(c, 1, &path, &r))
                return r;
        r = pvm_host->unix_list(path, &names, &len);
        if (r)
                return unix_error(c, path, r);
        for (size_t at = 0; at < len; at++)
                n += !((const char *)names)[at];
        a = k ? array_new(k, n) : NULL;
        for (name = names; a && i < n; i++, name += strlen(name) + 1) {
                struct string *s =
                        pvm_utf8_ok(name, strlen(name)) ? string_new(name, strlen(name)) : string_new("?", 1);

                a->store->r[i] = (struct obj *)s;
                if (!s)
                        a = NULL;
        }
        pvm_host->mem_free(names, len);
        return give(c, a);
}

static int change(struct call *c, enum pvm_unix_change how, uint64_t size)
{
        const char *path, *to = NULL;
        int r;

        if (!path_of(c, 1, &path, &r) || (how == PVM_UNIX_RENAME && !path_of(c, 2, &to, &r)))
                return r;
        r = pvm_host->unix_change(how, path, to, size);
        return r ? unix_error(c, path, r) : DONE;
}

int n_bootstrap_fileRemove(struct call *c)
{
        return change(c, PVM_UNIX_REMOVE, 0);
}

int n_bootstrap_fileRename(struct call *c)
{
        return change(c, PVM_UNIX_RENAME, 0);
}

int n_bootstrap_fileMakeDirectory(struct call *c)
{
        return change(c, PVM_UNIX_MKDIR, 0);
}

int n_bootstrap_fileResize(struct call *c)
{
        if (c->args[2].l < 0)
                return throw_error(c, CLASS_error_bounds, "a file of %ld bytes", (long)c->args[2].l);
        return change(c, PVM_UNIX_RESIZE, (uint64_t)c->args[2].l);
}

/* ---- processes ---- */

int n_bootstrap_processStart(struct call *c)
{
        const struct array *a = (struct array *)c->args[1].r;
        const char *args[PVM_UNIX_ARGS + 1];
        uint32_t n;
        int r;

        if (!pvm_unix)
                return throw_error(c, CLASS_error_unavailable, "there is no Unix here");
        if (!a)
                return throw_error(c, CLASS_error_reference, "no arguments");
        n = a->store ? a->store->len : 0;
        if (!n || n > PVM_UNIX_ARGS)
                return throw_error(c, CLASS_error_argument, "%u arguments: 1 to %u expected", n, PVM_UNIX_ARGS);
        for (uint32_t i = 0; i < n; i++) {
                const struct string *s = (struct string *)a->store->r[i];

                if (!s || s->o.class != CLASS_string || strlen(s->text) != s->len)
                        return throw_error(c, CLASS_error_argument, "argument %u is no string, or has a zero byte", i);
                args[i] = s->text;
        }
        args[n] = NULL;
        r = pvm_host->process_start(args);
        return r < 0 ? unix_error(c, args[0], r) : give_int(c, r);
}

/* Comes back when the process has something to say about that: the call is made again. */
static int later(struct call *c, int32_t process, enum pvm_process_event event)
{
        thread_wait_input(c->thread, (uint32_t)process * PVM_PROCESS_EVENTS + event);
        c->phase = 1;
        return BLOCK;
}

static int process_error(struct call *c, int32_t process, int64_t error)
{
        if (error == -ESRCH)
                return throw_error(c, CLASS_error_state, "there is no process %d, or it was another machine's",
                                   process);
        return throw_error(c, CLASS_error_unavailable, "process %d: %s", process, pvm_host->error_text((int)-error));
}

int n_bootstrap_processRead(struct call *c)
{
        int32_t process = c->args[1].i, max = c->args[2].i;
        struct binary *b;
        int64_t got;

        if (max < 1)
                return throw_error(c, CLASS_error_bounds, "at most %d bytes", max);
        b = binary_of((uint32_t)max < 65536 ? (uint32_t)max : 65536);
        if (!b)
                return OUT_OF_MEMORY(c);
        got = pvm_host->process_read(process, b->store->b, b->store->len);
        if (got == -EAGAIN)
                return later(c, process, PVM_PROCESS_OUTPUT);
        if (got < 0)
                return process_error(c, process, got);
        b->store->len = (uint32_t)got;
        c->result.r = got ? &b->o : NULL;
        return DONE;
}

int n_bootstrap_processWrite(struct call *c)
{
        int32_t process = c->args[1].i;
        const uint8_t *bytes;
        int64_t done;
        int r;

        if (!bytes_of(c, 2, c->args[3].i, c->args[4].i, &bytes, &r))
                return r;
        done = pvm_host->process_write(process, bytes, (uint64_t)c->args[4].i);
        if (done == -EAGAIN)
                return later(c, process, PVM_PROCESS_INPUT);
        return done < 0 ? process_error(c, process, done) : give_int(c, (int32_t)done);
}

int n_bootstrap_processCloseInput(struct call *c)
{
        int r = pvm_host->process_close_input(c->args[1].i);

        return r ? process_error(c, c->args[1].i, r) : DONE;
}

int n_bootstrap_processWait(struct call *c)
{
        int r = pvm_host->process_status(c->args[1].i);

        if (r == -EAGAIN)
                return later(c, c->args[1].i, PVM_PROCESS_END);
        return r < 0 ? process_error(c, c->args[1].i, r) : give_int(c, r);
}

int n_bootstrap_processSignal(struct call *c)
{
        int r = pvm_host->process_signal(c->args[1].i, c->args[2].i);

        return r ? process_error(c, c->args[1].i, r) : DONE;
}

int n_bootstrap_processForget(struct call *c)
{
        int r = pvm_host->process_forget(c->args[1].i);

        return r ? process_error(c, c->args[1].i, r) : DONE;
}
