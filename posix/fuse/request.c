/*
 * request.c - requests: asked by calls, queued, answered, and what becomes of them.
 * States (fuse_request.place, .answered): PENDING -> SENT -> answered. A FORGET ends when it is read. A call that gives up takes a PENDING one off the queue; what is SENT is answered
 * without it, and owes what it owes.
 * A call that waits is run again from its beginning: the answers it had are on its thread's list, found by what was asked (calls.md).
 */
#include "posix/fuse/fuse_internal.h"
#include "posix/include/process.h"
#include "kernel/include/time.h"

static struct fuse_request **list_of(struct fuse_queue *q, const struct fuse_request *r, struct fuse_request ***last)
{
        *last = r->place == PLACE_PENDING ? &q->pending_last : &q->sent_last;
        return r->place == PLACE_PENDING ? &q->pending : &q->sent;
}

static void append(struct fuse_queue *q, struct fuse_request *r, enum fuse_place place)
{
        struct fuse_request **first, **last;

        r->place = (uint8_t)place;
        first = list_of(q, r, &last);
        r->next = NULL;
        r->prev = *last;
        if (*last)
                (*last)->next = r;
        else
                *first = r;
        *last = r;
}

void fuse_push(struct fuse_request *r)
{
        append(r->conn->queue, r, PLACE_PENDING);
        wake(&r->conn->readers);
}

void fuse_sent(struct fuse_request *r)
{
        fuse_unlink(r);
        append(r->conn->queue, r, PLACE_SENT);
}

void fuse_unlink(struct fuse_request *r)
{
        struct fuse_request **first, **last;

        first = list_of(r->conn->queue, r, &last);
        if (r->prev)
                r->prev->next = r->next;
        else
                *first = r->next;
        if (r->next)
                r->next->prev = r->prev;
        else
                *last = r->prev;
        r->next = r->prev = NULL;
        r->place = PLACE_NONE;
}

struct fuse_request *fuse_request_new(struct fuse_conn *conn, uint32_t opcode, uint64_t nodeid, const void *body,
                                      uint32_t len)
{
        struct fuse_request *r = object_new(TYPE_FUSE_REQUEST);

        r->conn = conn;
        object_get(conn);
        r->opcode = opcode;
        r->nodeid = nodeid;
        r->unique = conn->unique += 2; /* as Linux: odd numbers are for interrupts */
        if (len) {
                r->in = space_alloc_bytes(len);
                memcpy(r->in, body, len);
                r->in_len = len;
        }
        return r;
}

/* ---- asking --------------------------------------------------------------------------------------------------------------- */

static struct fuse_request *asked(const struct thread *t, const struct fuse_ask *a, unsigned *n)
{
        *n = 0;
        for (struct fuse_request *r = t->fuse; r; r = r->call_next, ++*n) {
                if (r->conn == a->conn && r->opcode == a->opcode && r->nodeid == a->nodeid && r->inode == a->inode &&
                    r->in_len == a->len && (!a->len || memcmp(r->in, a->body, a->len) == 0))
                        return r;
        }
        return NULL;
}

static struct fuse_request *ask_new(struct thread *t, const struct fuse_ask *a)
{
        struct fuse_request *r = fuse_request_new(a->conn, a->opcode, a->nodeid, a->body, a->len);

        r->want = a->want;
        r->flags = a->flags;
        r->uid = t->cred->fsuid;
        r->gid = t->cred->fsgid;
        r->pid = (uint32_t)t->proc->pid;
        r->node = a->node;
        object_get(a->node);
        r->inode = a->inode;
        object_get(a->inode);
        r->call_next = t->fuse;
        t->fuse = r;
        object_get(r);
        fuse_push(r);
        return r;
}

long fuse_ask(struct call *c, const struct fuse_ask *a, struct fuse_request **out)
{
        struct fuse_conn *conn = a->conn;
        struct thread *t = c->thread;
        struct fuse_request *r;
        long result = 0;
        unsigned n;

        lock(LOCK_EVENT, conn);
        r = asked(t, a, &n);
        if (r && r->answered)
                result = r->error;
        else if (!conn->queue)
                result = -ENOTCONN;
        else if (conn->refused)
                result = -ECONNREFUSED;
        else if (c->why != WHY_RUN)
                result = call_interrupted(c);
        else if (!conn->ready)
                return call_wait(c, CONDITION, &conn->ready, (enum interrupt)c->entry->interrupt, NO_DEADLINE);
        else if (!r && (n >= FUSE_ASKED_MAX || !space_room(SMALL_CHANGE)))
                result = -ENOMEM;
        else {
                object_look(a->inode);
                changes(c);
                if (!r)
                        r = ask_new(t, a);
                return call_wait(c, CONDITION, r, (enum interrupt)c->entry->interrupt, NO_DEADLINE);
        }
        unlock(LOCK_EVENT, conn);
        *out = r;
        return result;
}

void fuse_used(struct fuse_request *r)
{
        struct fuse_request **at = &thread_current()->fuse;

        while (*at != r)
                at = &(*at)->call_next;
        *at = r->call_next;
        r->call_next = NULL;
        object_put(r);
}

bool fuse_call_end(struct thread *t)
{
        for (unsigned n = 0; t->fuse && n < FUSE_END_PIECE; n++) {
                struct fuse_request *r = t->fuse;

                t->fuse = r->call_next;
                r->call_next = NULL;
                lock(LOCK_EVENT, r->conn);
                if (r->place == PLACE_PENDING && r->conn->queue) {
                        fuse_unlink(r);
                        object_put(r);
                }
                unlock(LOCK_EVENT, r->conn);
                object_put(r);
        }
        return t->fuse != NULL;
}

/* ---- the server's side ---------------------------------------------------------------------------------------------------- */

size_t fuse_message(const struct fuse_request *r, void *buf, size_t room)
{
        struct fuse_in_header h = {.opcode = r->opcode,
                                   .unique = r->unique,
                                   .nodeid = r->nodeid,
                                   .uid = r->uid,
                                   .gid = r->gid,
                                   .pid = r->pid};
        struct fuse_forget_in forget = {.nlookup = 1};
        struct fuse_release_in release = {.fh = r->id, .flags = r->flags};
        const void *body = r->in;
        size_t len = r->in_len;

        if (r->opcode == FUSE_FORGET) {
                body = &forget;
                len = sizeof(forget);
        } else if (r->opcode == FUSE_RELEASE || r->opcode == FUSE_RELEASEDIR) {
                body = &release;
                len = sizeof(release);
        }
        assert(sizeof(h) + len <= room);
        h.len = (uint32_t)(sizeof(h) + len);
        memcpy(buf, &h, sizeof(h));
        if (len)
                memcpy((char *)buf + sizeof(h), body, len);
        return h.len;
}

void fuse_answer_limits(const struct fuse_request *r, uint32_t *min, uint32_t *max)
{
        uint32_t fixed = 0;

        switch (r->opcode) {
        case FUSE_LOOKUP:
                fixed = sizeof(struct fuse_entry_out);
                break;
        case FUSE_GETATTR:
                fixed = sizeof(struct fuse_attr_out);
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                fixed = sizeof(struct fuse_open_out);
                break;
        case FUSE_INIT:
                *min = 2 * sizeof(uint32_t);
                *max = sizeof(struct fuse_init_out);
                return;
        case FUSE_READ:
        case FUSE_READDIR:
        case FUSE_READLINK:
                *min = 0;
                *max = r->want;
                return;
        default:
                break;
        }
        *min = *max = fixed;
}

static uint64_t valid_until(uint64_t seconds, uint32_t ns)
{
        uint64_t now = time_mono_ns();

        if (seconds > (~0ul / 2 - now) / NSEC_PER_SEC - 1)
                return ~0ul / 2;
        return now + seconds * NSEC_PER_SEC + MIN(ns, (uint32_t)NSEC_PER_SEC - 1);
}

static void answer_lookup(struct fuse_request *r, const struct fuse_entry_out *e)
{
        if (e->nodeid == 0) {
                r->error = -ENOENT;
                return;
        }
        if (e->nodeid == FUSE_ROOT_ID) {
                r->error = -EIO;
                return;
        }
        r->id = e->nodeid;
        r->owes = 1;
        r->attr = e->attr;
        r->until = valid_until(e->attr_valid, e->attr_valid_nsec);
        if (!fuse_attr_sound(&e->attr))
                r->error = -EIO;
}

static void answer_attr(struct fuse_request *r, const struct fuse_attr_out *a)
{
        uint32_t was = r->inode ? r->inode->mode : r->node->attr.mode;
        uint64_t until = valid_until(a->attr_valid, a->attr_valid_nsec);

        if (!fuse_attr_sound(&a->attr) || (a->attr.mode & S_IFMT) != (was & S_IFMT)) {
                r->error = -EIO;
                return;
        }
        if (r->node) {
                r->node->attr = a->attr;
                r->node->until = until;
        }
        if (r->inode)
                fuse_show(r->inode, &a->attr, until);
}

static void answer_init(struct fuse_conn *conn, const void *body, uint32_t len)
{
        struct fuse_init_out o = {0};

        memcpy(&o, body, len);
        conn->refused = o.major != FUSE_KERNEL_VERSION || o.minor < FUSE_MINOR_MIN;
}

void fuse_answer(struct fuse_request *r, const void *body, uint32_t len)
{
        bool open = r->opcode == FUSE_OPEN || r->opcode == FUSE_OPENDIR;

        r->answered = 1;
        wake(r);
        if (r->opcode == FUSE_INIT) {
                if (r->error)
                        r->conn->refused = 1;
                else
                        answer_init(r->conn, body, len);
                r->conn->ready = 1;
                wake(&r->conn->ready);
                return;
        }
        if (r->error) {
                if (r->error == -ENOSYS && open)
                        r->error = 0; /* a server that needs no handles */
                return;
        }
        switch (r->opcode) {
        case FUSE_LOOKUP:
                answer_lookup(r, body);
                break;
        case FUSE_GETATTR:
                answer_attr(r, body);
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                r->id = ((const struct fuse_open_out *)body)->fh;
                r->owes = 1;
                break;
        case FUSE_READ:
        case FUSE_READDIR:
        case FUSE_READLINK:
                r->out_len = len;
                if (r->opcode == FUSE_READLINK)
                        len++; /* the target ends with a zero byte */
                if (!len)
                        break;
                r->out = space_alloc_bytes(len);
                memcpy(r->out, body, r->out_len);
                break;
        default:
                break;
        }
}

/* ---- ends ----------------------------------------------------------------------------------------------------------------- */

void fuse_request_touch(void *object)
{
        struct fuse_request *r = object;

        object_look(r->inode);
}

/* The server learns what it need not keep any more; true: r is that message now. */
static bool give_back(struct fuse_request *r)
{
        bool told = false;

        lock(LOCK_EVENT, r->conn);
        if (r->conn->queue) {
                if (r->opcode == FUSE_LOOKUP)
                        r->nodeid = r->id;
                r->opcode = r->opcode == FUSE_LOOKUP ? FUSE_FORGET
                            : r->opcode == FUSE_OPEN ? FUSE_RELEASE
                                                     : FUSE_RELEASEDIR;
                r->unique = r->conn->unique += 2;
                r->uid = r->gid = r->pid = 0;
                r->error = 0;
                r->answered = 0;
                r->obj.refs = 1;
                __atomic_fetch_and(&r->obj.flags, (uint16_t) ~(OBJECT_DYING | OBJECT_ALONE), __ATOMIC_SEQ_CST);
                fuse_push(r);
                told = true;
        }
        r->owes = 0;
        unlock(LOCK_EVENT, r->conn);
        return told;
}

bool fuse_request_release(void *object)
{
        struct fuse_request *r = object;

        if (r->owes && give_back(r))
                return false;
        object_put(r->conn);
        object_put(r->node);
        object_put(r->inode);
        space_free_bytes(r->in);
        space_free_bytes(r->out);
        space_free(r);
        return false;
}

static const struct space_field request_fields[] = {
        {offsetof(struct fuse_request, conn), FIELD_REF, 5},
        {offsetof(struct fuse_request, prev), FIELD_BORROW, 1},
        {offsetof(struct fuse_request, in), FIELD_OWN, 2},
        {0, 0, 0},
};
static const struct space_field queue_fields[] = {
        {offsetof(struct fuse_queue, pending), FIELD_REF, 2},
        {offsetof(struct fuse_queue, pending_last), FIELD_BORROW, 2},
        {0, 0, 0},
};
static const struct space_field conn_fields[] = {{offsetof(struct fuse_conn, queue), FIELD_REF, 1}, {0, 0, 0}};

const struct posix_type fuse_types[] = {
        {TYPE_FUSE_CONN,
         {"fuse_conn", sizeof(struct fuse_conn), 1, SPACE_OBJECT | SPACE_RESIDENT, conn_fields},
         fuse_conn_release},
        {TYPE_FUSE_QUEUE,
         {"fuse_queue", sizeof(struct fuse_queue), 1, SPACE_OBJECT | SPACE_RESIDENT, queue_fields},
         fuse_queue_release},
        {TYPE_FUSE_REQUEST,
         {"fuse_request", sizeof(struct fuse_request), 1, SPACE_OBJECT | SPACE_RESIDENT, request_fields},
         fuse_request_release,
         fuse_request_touch},
        {0},
};
