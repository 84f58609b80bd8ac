/*
 * mount.c - see mount.h. Requests come one after the other from a descriptor, and are answered there: <linux/fuse.h>, version 7.31.
 *
 * A node is a name that the kernel knows: it has a number that is never given again, until the kernel has forgotten it as often as it was told of it, and all that is below it. A name whose object
 * becomes something of another kind is another node. What is behind a node is asked for at each access, and is what the path leads to then; what is opened stays as it was when it was opened.
 * All that comes from a program is its user's, who may have written something that only looks like a program: it is checked as what comes from the wire is.
 */
#define _GNU_SOURCE
#include "pvm/host/mount.h"
#include "pvm/host/programs.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MINOR         31u
#define MINOR_MIN     23u /* before that, structures were shorter */
#define SECOND        1000000000ul
#define VALID_NS      SECOND /* what may be remembered of names and kinds; nothing of the programs themselves, which end */
#define REQUEST_MAX   16384u /* at least FUSE_MIN_READ_BUFFER */
#define LISTING_BYTES 4096u
#define FILE_NAME     255u
#define PATH_BYTES    4096u
#define DEPTH_MAX     32u
#define TARGET_MAX    1024u
/* A user can hold that much of the server's memory, and no more. */
#define NODES_MAX   (1u << 18)
#define HANDLES_MAX 1024u
#define HELD_MAX    (32u << 20)
#define RECENT_MAX  65536u

/* ---- nodes ---- */

struct node {
        struct node *next_id, *next_name; /* of the same hash */
        struct node *parent;
        struct program *program; /* of the program's own node and all below */
        uint64_t id, ino;
        uint64_t lookups; /* that the kernel has not forgotten */
        uint32_t children;
        uint16_t depth; /* 0: a program, and the root */
        char kind;      /* d, f, l: a folder, a file, a symbolic link */
        char name[];
};
static struct node root = {.id = FUSE_ROOT_ID, .ino = FUSE_ROOT_ID, .kind = 'd'};
static struct node **by_id, **by_name; /* nbuckets of each, a power of two */
static size_t nbuckets, nnodes;
static uint64_t last_id = FUSE_ROOT_ID;

/* FNV-1a, from the folder's number on: a file has the same number whoever asks, and in listings. */
static uint64_t ino_of(const struct node *parent, const char *name, size_t len)
{
        uint64_t h = 0xcbf29ce484222325ul ^ parent->ino;

        for (size_t i = 0; i < len; i++)
                h = (h ^ (uint8_t)name[i]) * 0x100000001b3ul;
        return h > FUSE_ROOT_ID ? h : h + 2;
}

static struct node **id_bucket(uint64_t id)
{
        return &by_id[id & (nbuckets - 1)];
}

static struct node **name_bucket(uint64_t ino)
{
        return &by_name[(ino ^ ino >> 32) & (nbuckets - 1)];
}

static void node_insert(struct node *n)
{
        struct node **id = id_bucket(n->id), **name = name_bucket(n->ino);

        n->next_id = *id;
        *id = n;
        n->next_name = *name;
        *name = n;
}

static bool nodes_grow(void)
{
        size_t before = nbuckets, now = before ? before * 2 : 64;
        struct node **ids = calloc(now, sizeof(*ids)), **names = calloc(now, sizeof(*names)), **old = by_id;

        if (!ids || !names) {
                free(ids);
                free(names);
                return false;
        }
        free(by_name);
        by_id = ids;
        by_name = names;
        nbuckets = now;
        for (size_t i = 0; i < before; i++) {
                for (struct node *n = old[i], *next; n; n = next) {
                        next = n->next_id;
                        node_insert(n);
                }
        }
        free(old);
        return true;
}

static struct node *node_of(uint64_t id)
{
        struct node *n = id == FUSE_ROOT_ID ? &root : nbuckets ? *id_bucket(id) : NULL;

        while (n && n->id != id)
                n = n->next_id;
        return n;
}

/* who: it is the node of a program, this one. */
static struct node *node_find(const struct node *parent, const char *name, uint64_t ino, char kind,
                              const struct program *who)
{
        struct node *n = nbuckets ? *name_bucket(ino) : NULL;

        while (n && (n->ino != ino || n->parent != parent || n->kind != kind || strcmp(n->name, name) ||
                     (who && (n->program->start != who->start || n->program->uid != who->uid))))
                n = n->next_name;
        return n;
}

/* With one more lookup; NULL: no memory. */
static struct node *node_take(struct node *parent, const char *name, char kind, const struct program *who)
{
        size_t len = strlen(name);
        uint64_t ino = ino_of(parent, name, len);
        struct node *n = node_find(parent, name, ino, kind, who);

        if (!n) {
                if (nnodes == NODES_MAX || (nnodes == nbuckets && !nodes_grow()))
                        return NULL;
                n = calloc(1, sizeof(*n) + len + 1);
                if (!n)
                        return NULL;
                n->program = parent->program;
                if (who) {
                        n->program = malloc(sizeof(*who));
                        if (!n->program) {
                                free(n);
                                return NULL;
                        }
                        *n->program = *who;
                }
                n->parent = parent;
                n->id = ++last_id;
                n->ino = ino;
                n->kind = kind;
                n->depth = parent == &root ? 0 : (uint16_t)(parent->depth + 1);
                memcpy(n->name, name, len);
                parent->children++;
                nnodes++;
                node_insert(n);
        }
        n->lookups++;
        return n;
}

static void node_free(struct node *n)
{
        struct node **p = id_bucket(n->id);

        while (*p != n)
                p = &(*p)->next_id;
        *p = n->next_id;
        p = name_bucket(n->ino);
        while (*p != n)
                p = &(*p)->next_name;
        *p = n->next_name;
        if (n->parent == &root)
                free(n->program);
        free(n);
        nnodes--;
}

static void node_forget(uint64_t id, uint64_t times)
{
        struct node *n = node_of(id);

        if (!n || n == &root)
                return;
        n->lookups -= times < n->lookups ? times : n->lookups;
        while (n != &root && !n->lookups && !n->children) {
                struct node *parent = n->parent;

                node_free(n);
                parent->children--;
                n = parent;
        }
}

/* Below its program, with the name behind it, "" or one; -ENAMETOOLONG. */
static int path_of(const struct node *n, const char *name, char path[PATH_BYTES])
{
        size_t at = PATH_BYTES - 1, len = strlen(name);
        const char *part = name;

        path[at] = 0;
        for (;; len = strlen(part)) {
                if (len + 1 > at)
                        return -ENAMETOOLONG;
                at -= len;
                memcpy(path + at, part, len);
                if (len)
                        path[--at] = '/';
                if (n->parent == &root || n == &root)
                        break;
                part = n->name;
                n = n->parent;
        }
        memmove(path, path + at, PATH_BYTES - at);
        return 0;
}

/* ---- what programs say ---- */

struct shape {
        char kind;
        uint64_t size;
        uint64_t valid_ns;
        char target[TARGET_MAX + 1];
};

/* It stays in what the program shows: "../" as often as there are folders to leave, then names. */
static bool is_target(const char *p, size_t len, unsigned depth)
{
        const char *end = p + len;
        bool down = false;

        if (!len || len > TARGET_MAX || memchr(p, 0, len) || *p == '/')
                return false;
        for (const char *q; p < end; p = q + 1) {
                q = memchr(p, '/', (size_t)(end - p));
                q = q ? q : end;
                if (q - p == 2 && p[0] == '.' && p[1] == '.') {
                        if (down || !depth--)
                                return false;
                } else {
                        down = true;
                }
        }
        return true;
}

/* "d", TAB; "f", TAB, size; "l", TAB, target: of something in a folder of that depth. */
static bool parse_shape(const char *p, size_t len, unsigned depth, struct shape *s)
{
        if (len < 2 || p[1] != '\t' || !strchr("dfl", *p) || !*p)
                return false;
        s->kind = *p;
        s->size = 0;
        p += 2;
        len -= 2;
        if (s->kind == 'd')
                return true;
        if (s->kind == 'l') {
                if (!is_target(p, len, depth))
                        return false;
                memcpy(s->target, p, len);
                s->target[len] = 0;
                s->size = len;
                return true;
        }
        for (size_t i = 0; i < len; i++) {
                if (!isdigit((unsigned char)p[i]) || i == 15)
                        return false;
                s->size = s->size * 10 + (uint64_t)(p[i] - '0');
        }
        return len;
}

/* A line of a listing is a name, TAB, a shape. Its end, and the name; NULL: it is the last, or nothing that can be shown. */
static bool parse_line(const char *p, const char *end, const char **line_end, size_t *name_len)
{
        const char *stop = memchr(p, '\n', (size_t)(end - p)), *tab;

        *line_end = stop ? stop : end;
        tab = memchr(p, '\t', (size_t)(*line_end - p));
        *name_len = tab ? (size_t)(tab - p) : 0;
        return tab && tab > p && *name_len <= FILE_NAME && *line_end - tab >= 3 && !memchr(p, '/', *name_len) &&
               !memchr(p, 0, *name_len) && !(*name_len == 1 && *p == '.') &&
               !(*name_len == 2 && p[0] == '.' && p[1] == '.');
}

/* ---- what is open ---- */

struct handle {
        struct handle *next;
        uint64_t fh, node, taken_ns;
        char *text; /* of a file what is in it, of a folder its listing */
        size_t len;
        bool folder;
};
static struct handle *handles,
        *recent; /* recent: the listing that was closed last, since who reads one asks for each name in it then */
static size_t nhandles, held;
static uint64_t last_fh;

static struct handle **handle_at(uint64_t fh, uint64_t node, bool folder)
{
        struct handle **p = &handles;

        while (*p && ((*p)->fh != fh || (*p)->node != node || (*p)->folder != folder))
                p = &(*p)->next;
        return p;
}

static void handle_free(struct handle *h)
{
        if (h)
                free(h->text);
        free(h);
}

/* Takes the text, also when it fails. 0, -ENFILE, -ENOMEM. */
static int handle_new(const struct node *n, char *text, size_t len, struct fuse_open_out *out)
{
        struct handle *h = nhandles < HANDLES_MAX && len <= HELD_MAX - held ? malloc(sizeof(*h)) : NULL;

        if (!h) {
                free(text);
                return nhandles == HANDLES_MAX ? -ENFILE : -ENOMEM;
        }
        *h = (struct handle){handles, ++last_fh, n->id, monotonic_now(), text, len, n->kind == 'd'};
        handles = h;
        nhandles++;
        held += len;
        *out = (struct fuse_open_out){.fh = h->fh, .open_flags = h->folder ? 0 : FOPEN_DIRECT_IO};
        return 0;
}

static bool handle_drop(uint64_t fh, uint64_t node, bool folder)
{
        struct handle **p = handle_at(fh, node, folder), *h = *p;

        if (!h)
                return false;
        *p = h->next;
        nhandles--;
        held -= h->len;
        if (folder && h->len <= RECENT_MAX) {
                handle_free(recent);
                recent = h;
        } else {
                handle_free(h);
        }
        return true;
}

/* In a listing that is not old: false if there is none of the folder, or it does not have the name. */
static bool listed(const struct node *folder, const char *name, struct shape *s)
{
        uint64_t now = monotonic_now();
        const struct handle *newest = recent && recent->node == folder->id ? recent : NULL;
        size_t len = strlen(name), found;

        for (const struct handle *h = handles; h; h = h->next)
                if (h->folder && h->node == folder->id && (!newest || h->taken_ns > newest->taken_ns))
                        newest = h;
        if (!newest || now - newest->taken_ns >= VALID_NS)
                return false;
        s->valid_ns = VALID_NS - (now - newest->taken_ns);
        for (const char *p = newest->text, *end = p + newest->len, *stop; p < end; p = stop + 1)
                if (parse_line(p, end, &stop, &found) && found == len && !memcmp(p, name, len))
                        return parse_shape(p + len + 1, (size_t)(stop - p) - len - 1, folder->depth, s);
        return false;
}

/* What the name in the folder is. folder is not the root. 0, -ENOENT, -ESTALE, -EIO... */
static int ask_shape(struct node *folder, const char *name, struct shape *s)
{
        char path[PATH_BYTES], *text;
        size_t len;
        int r = path_of(folder, name, path);

        if (!r)
                r = program_ask(folder->program, "what", path, &text, &len);
        if (r)
                return r;
        s->valid_ns = VALID_NS;
        r = len && text[len - 1] == '\n' && parse_shape(text, len - 1, folder->depth, s) ? 0 : -EIO;
        free(text);
        return r;
}

/* What the node is now; -ESTALE: something else. */
static int shape_of(struct node *n, struct shape *s)
{
        int r;

        *s = (struct shape){.kind = 'd'};
        if (n == &root)
                return 0;
        if (n->parent == &root)
                return program_is_there(n->program) ? 0 : -ESTALE;
        r = ask_shape(n->parent, n->name, s);
        return r ? r : s->kind == n->kind ? 0 : -ESTALE;
}

static int ask_content(struct node *n, const char *request, char **text, size_t *len)
{
        char path[PATH_BYTES];
        int r = path_of(n, "", path);

        if (!r)
                r = program_ask(n->program, request, path, text, len);
        return r == -ENOENT ? -ESTALE : r;
}

/* All programs: a listing, as those of other folders are. */
static int list_programs(char **text, size_t *len)
{
        DIR *d = opendir("/proc");
        const struct dirent *e;
        struct program p;
        FILE *f;

        if (!d)
                return -errno;
        *text = NULL;
        f = open_memstream(text, len);
        while (f && (e = readdir(d))) {
                long pid = isdigit((unsigned char)e->d_name[0]) ? strtol(e->d_name, NULL, 10) : 0;

                if (pid > 0 && pid <= INT_MAX && program_find((int)pid, &p) && program_listens(&p))
                        fprintf(f, "%d\td\t\n", p.pid);
        }
        closedir(d);
        if (f && !fclose(f))
                return 0;
        free(*text);
        return -ENOMEM;
}

/* ---- requests ---- */

struct request {
        const struct fuse_in_header *header;
        struct node *node;
        const void *body;
        size_t len; /* of the body: at least what the operation has */
};
static int device;
static bool begun; /* INIT was answered */

static bool is_over(int error)
{
        return error == ENODEV || error == EPIPE || error == ECONNRESET || error == ENOTCONN || error == EBADF;
}

/* True: again. */
static bool wait_again(int error, short events)
{
        struct pollfd p = {.fd = device, .events = events};

        if (error == EAGAIN)
                poll(&p, 1, -1);
        return error == EINTR || error == EAGAIN;
}

/* error is 0 or -Exxx, with nothing behind it. */
static void reply(const struct request *rq, int error, const void *data, size_t len)
{
        struct fuse_out_header head = {(uint32_t)(sizeof(head) + len), error, rq->header->unique};
        struct iovec v[] = {{&head, sizeof(head)}, {(void *)data, len}};
        ssize_t n;

        do
                n = writev(device, v, len ? 2 : 1);
        while (n < 0 && wait_again(errno, POLLOUT));
        if (n < 0 && len && !is_over(errno) && errno != ENOENT) /* ENOENT: nobody waits for it any more */
                reply(rq, -EIO, NULL, 0);
}

static void reply_error(const struct request *rq, int error)
{
        reply(rq, error, NULL, 0);
}

static void set_valid(uint64_t ns, uint64_t *seconds, uint32_t *rest)
{
        *seconds = ns / SECOND;
        *rest = (uint32_t)(ns % SECOND);
}

static void set_attr(struct fuse_attr *a, const struct node *n, const struct shape *s)
{
        static const uint32_t programs = S_IFDIR | 0555, folder = S_IFDIR | 0500, file = S_IFREG | 0400,
                              link = S_IFLNK | 0777;
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        *a = (struct fuse_attr){.ino = n->ino, .size = s->size, .nlink = 1, .blksize = 4096};
        a->blocks = (s->size + 511) / 512;
        a->atime = a->mtime = a->ctime = (uint64_t)now.tv_sec;
        a->atimensec = a->mtimensec = a->ctimensec = (uint32_t)now.tv_nsec;
        a->mode = n == &root ? programs : n->kind == 'd' ? folder : n->kind == 'f' ? file : link;
        a->uid = n->program ? n->program->uid : geteuid();
        a->gid = n->program ? n->program->gid : getegid();
}

static void op_init(const struct request *rq)
{
        const uint32_t *in = rq->body; /* major, minor, max_readahead, flags; newer kernels have more */
        struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = MINOR};

        if (in[0] < FUSE_KERNEL_VERSION || (in[0] == FUSE_KERNEL_VERSION && in[1] < MINOR_MIN)) {
                reply_error(rq, -EPROTO);
                return;
        }
        if (in[0] == FUSE_KERNEL_VERSION) { /* else it begins again with ours */
                out.minor = in[1] < MINOR ? in[1] : MINOR;
                out.max_readahead = in[2];
                out.max_write = 4096;
                out.time_gran = 1;
                begun = true;
        }
        reply(rq, 0, &out, sizeof(out));
}

/* A number as it is printed. */
static int pid_of(const char *name)
{
        long pid = 0;

        for (const char *p = name; *p; p++) {
                if (!isdigit((unsigned char)*p) || *name == '0' || pid > INT_MAX / 10)
                        return 0;
                pid = pid * 10 + (*p - '0');
        }
        return pid <= INT_MAX ? (int)pid : 0;
}

static int look_up(struct node *folder, const char *name, struct node **n, struct shape *s)
{
        struct program who;
        int pid, r = 0;

        if (folder == &root) {
                pid = pid_of(name);
                if (!pid || !program_find(pid, &who) || !program_listens(&who))
                        return -ENOENT;
                *s = (struct shape){.kind = 'd'};
        } else {
                if (folder->depth == DEPTH_MAX || strchr(name, '\n'))
                        return folder->depth == DEPTH_MAX ? -ENAMETOOLONG : -ENOENT;
                if (!program_is_there(folder->program))
                        return -ENOENT;
                if (!listed(folder, name, s))
                        r = ask_shape(folder, name, s);
                if (r)
                        return r == -ESTALE ? -ENOENT : r;
        }
        *n = node_take(folder, name, s->kind, folder == &root ? &who : NULL);
        return *n ? 0 : -ENOMEM;
}

static void op_lookup(const struct request *rq)
{
        const char *name = rq->body;
        struct fuse_entry_out out = {.generation = 0};
        struct shape s;
        struct node *n;
        int r = 0;

        if (rq->node->kind != 'd')
                r = -ENOTDIR;
        else if (!memchr(name, 0, rq->len) || !*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
                r = -EINVAL;
        else if (strlen(name) > FILE_NAME)
                r = -ENAMETOOLONG;
        if (!r)
                r = look_up(rq->node, name, &n, &s);
        if (r) {
                reply_error(rq, r);
                return;
        }
        out.nodeid = n->id;
        set_valid(s.valid_ns, &out.entry_valid, &out.entry_valid_nsec);
        set_valid(s.valid_ns, &out.attr_valid, &out.attr_valid_nsec);
        set_attr(&out.attr, n, &s);
        reply(rq, 0, &out, sizeof(out));
}

static void op_forget(const struct request *rq)
{
        const struct fuse_forget_in *in = rq->body;

        node_forget(rq->header->nodeid, in->nlookup);
}

static void op_batch_forget(const struct request *rq)
{
        const struct fuse_batch_forget_in *in = rq->body;
        const struct fuse_forget_one *one = (const void *)(in + 1);

        for (size_t i = 0; i < in->count && i < (rq->len - sizeof(*in)) / sizeof(*one); i++)
                node_forget(one[i].nodeid, one[i].nlookup);
}

static void op_getattr(const struct request *rq)
{
        struct fuse_attr_out out = {.dummy = 0};
        struct shape s;
        int r = shape_of(rq->node, &s);

        if (r) {
                reply_error(rq, r == -ENOENT ? -ESTALE : r);
                return;
        }
        set_valid(s.valid_ns, &out.attr_valid, &out.attr_valid_nsec);
        set_attr(&out.attr, rq->node, &s);
        reply(rq, 0, &out, sizeof(out));
}

static void op_readlink(const struct request *rq)
{
        struct shape s;
        int r = rq->node->kind == 'l' ? shape_of(rq->node, &s) : -EINVAL;

        if (r)
                reply_error(rq, r == -ENOENT ? -ESTALE : r);
        else
                reply(rq, 0, s.target, s.size);
}

static void op_open(const struct request *rq)
{
        const struct fuse_open_in *in = rq->body;
        bool folder = rq->header->opcode == FUSE_OPENDIR;
        struct fuse_open_out out;
        char *text;
        size_t len;
        int r;

        if (folder && rq->node->kind != 'd')
                r = -ENOTDIR;
        else if (!folder && rq->node->kind != 'f')
                r = rq->node->kind == 'd' ? -EISDIR : -ELOOP;
        else if ((in->flags & O_ACCMODE) != O_RDONLY || in->flags & O_TRUNC)
                r = -EROFS;
        else if (rq->node == &root)
                r = list_programs(&text, &len);
        else
                r = ask_content(rq->node, folder ? "look" : "read", &text, &len);
        if (!r)
                r = handle_new(rq->node, text, len, &out);
        if (r)
                reply_error(rq, r);
        else
                reply(rq, 0, &out, sizeof(out));
}

static void op_read(const struct request *rq)
{
        const struct fuse_read_in *in = rq->body;
        const struct handle *h = *handle_at(in->fh, rq->header->nodeid, false);
        size_t left = h && in->offset < h->len ? h->len - (size_t)in->offset : 0;

        if (!h)
                reply_error(rq, -EBADF);
        else
                reply(rq, 0, left ? h->text + in->offset : NULL, left < in->size ? left : in->size);
}

/* False: no more room. */
static bool put_entry(char *to, size_t room, size_t *at, uint64_t ino, uint64_t off, const char *name, size_t len,
                      uint32_t type)
{
        struct fuse_dirent e = {.ino = ino, .off = off, .namelen = (uint32_t)len, .type = type >> 12};
        size_t bytes = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len);

        if (bytes > room - *at)
                return false;
        memset(to + *at, 0, bytes);
        memcpy(to + *at, &e, FUSE_NAME_OFFSET);
        memcpy(to + *at + FUSE_NAME_OFFSET, name, len);
        *at += bytes;
        return true;
}

/* Offsets: 0 is ".", 1 "..", and 2 + n the line at byte n of the listing. */
static void op_readdir(const struct request *rq)
{
        static char out[LISTING_BYTES];
        const struct fuse_read_in *in = rq->body;
        const struct handle *h = *handle_at(in->fh, rq->header->nodeid, true);
        const struct node *parent = rq->node->parent ? rq->node->parent : &root;
        size_t room = in->size < sizeof(out) ? in->size : sizeof(out), at = 0, name_len;
        uint64_t off = in->offset;
        bool fits = true;

        if (!h || (off > 2 && off - 2 != h->len && (off - 2 > h->len || h->text[off - 3] != '\n'))) {
                reply_error(rq, h ? -EINVAL : -EBADF);
                return;
        }
        for (; off < 2 && fits; off += fits)
                fits = put_entry(out, room, &at, off ? parent->ino : rq->node->ino, off + 1, "..", off + 1, S_IFDIR);
        for (const char *p, *end = h->text + h->len, *stop; fits && off >= 2 && (p = h->text + off - 2) < end;) {
                bool good = parse_line(p, end, &stop, &name_len);
                uint64_t next = (uint64_t)(stop - h->text) + (stop < end) + 2;
                uint32_t type;

                if (!good) {
                        off = next;
                        continue;
                }
                type = p[name_len + 1] == 'd' ? S_IFDIR : p[name_len + 1] == 'l' ? S_IFLNK : S_IFREG;
                fits = put_entry(out, room, &at, ino_of(rq->node, p, name_len), next, p, name_len, type);
                off = fits ? next : off;
        }
        if (fits || at)
                reply(rq, 0, out, at);
        else
                reply_error(rq, -EINVAL);
}

static void op_release(const struct request *rq)
{
        const struct fuse_release_in *in = rq->body;
        bool folder = rq->header->opcode == FUSE_RELEASEDIR;

        reply_error(rq, handle_drop(in->fh, rq->header->nodeid, folder) ? 0 : -EBADF);
}

static void op_statfs(const struct request *rq)
{
        struct fuse_statfs_out out = {.st = {.bsize = 4096, .frsize = 4096, .namelen = FILE_NAME}};

        reply(rq, 0, &out, sizeof(out));
}

static void op_destroy(const struct request *rq)
{
        reply_error(rq, 0);
}

/* An answer is on its way in any case, in seconds. */
static void op_interrupt(const struct request *rq)
{
        (void)rq;
}

static const struct operation {
        void (*run)(const struct request *rq);
        size_t body;
        bool any_node; /* of none, or one that we need not know any more */
        bool silent;   /* has no answer, not even when it is wrong */
} operations[] = {
        [FUSE_INIT] = {.run = op_init, .body = 4 * sizeof(uint32_t), .any_node = true},
        [FUSE_LOOKUP] = {.run = op_lookup, .body = 1},
        [FUSE_FORGET] = {.run = op_forget, .body = sizeof(struct fuse_forget_in), .any_node = true, .silent = true},
        [FUSE_BATCH_FORGET] = {.run = op_batch_forget,
                               .body = sizeof(struct fuse_batch_forget_in),
                               .any_node = true,
                               .silent = true},
        [FUSE_GETATTR] = {.run = op_getattr, .body = sizeof(struct fuse_getattr_in)},
        [FUSE_READLINK] = {.run = op_readlink, .body = 0},
        [FUSE_OPEN] = {.run = op_open, .body = sizeof(struct fuse_open_in)},
        [FUSE_READ] = {.run = op_read, .body = sizeof(struct fuse_read_in)},
        [FUSE_RELEASE] = {.run = op_release, .body = sizeof(struct fuse_release_in), .any_node = true},
        [FUSE_OPENDIR] = {.run = op_open, .body = sizeof(struct fuse_open_in)},
        [FUSE_READDIR] = {.run = op_readdir, .body = sizeof(struct fuse_read_in)},
        [FUSE_RELEASEDIR] = {.run = op_release, .body = sizeof(struct fuse_release_in), .any_node = true},
        [FUSE_STATFS] = {.run = op_statfs, .body = 0, .any_node = true},
        [FUSE_INTERRUPT] = {.run = op_interrupt, .body = 0, .any_node = true, .silent = true},
        [FUSE_DESTROY] = {.run = op_destroy, .body = 0, .any_node = true},
};

/* len: of what came, the header at least. */
static void obey(const struct fuse_in_header *header, size_t len)
{
        struct request rq = {header, node_of(header->nodeid), header + 1, len - sizeof(*header)};
        const struct operation *o =
                header->opcode < sizeof(operations) / sizeof(operations[0]) ? &operations[header->opcode] : NULL;
        int r = 0;

        if (header->len != len)
                r = -EINVAL;
        else if (!begun && header->opcode != FUSE_INIT)
                r = -EIO;
        else if (!o || !o->run)
                r = -ENOSYS;
        else if (rq.len < o->body)
                r = -EINVAL;
        else if (!rq.node && !o->any_node)
                r = -ESTALE;
        if (!r)
                o->run(&rq);
        else if (!o || !o->silent)
                reply_error(&rq, r);
}

/* Until it is unmounted. */
static int serve(void)
{
        static _Alignas(struct fuse_in_header) uint8_t in[REQUEST_MAX];

        signal(SIGPIPE, SIG_IGN);
        for (;;) {
                ssize_t n = read(device, in, sizeof(in));

                if (n >= (ssize_t)sizeof(struct fuse_in_header))
                        obey((const struct fuse_in_header *)in, (size_t)n);
                else if (!n || (n < 0 && is_over(errno)))
                        return 0;
                else if (n < 0 && errno != ENOENT && !wait_again(errno, POLLIN)) /* ENOENT: it was taken back */
                        break;
        }
        perror("pvm: mount");
        return 1;
}

static bool mount_at(const char *folder)
{
        char options[160];

        device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (device < 0) {
                fprintf(stderr, "pvm: /dev/fuse: %s\n", strerror(errno));
                return false;
        }
        snprintf(options, sizeof(options),
                 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other,default_permissions", device,
                 (unsigned)geteuid(), (unsigned)getegid());
        if (!mount("pvm", folder, "fuse", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options))
                return true;
        fprintf(stderr, "pvm: %s: %s\n", folder, strerror(errno));
        return false;
}

int mount_command(int argc, char **argv)
{
        char *end;
        long fd;

        if (argc == 2 && argv[1][0] != '-')
                return mount_at(argv[1]) ? serve() : 1;
        if (argc == 3 && !strcmp(argv[1], "--fd")) {
                errno = 0;
                fd = strtol(argv[2], &end, 10);
                if (!errno && end != argv[2] && !*end && fd >= 0 && fd <= INT_MAX && fcntl((int)fd, F_GETFD) >= 0) {
                        device = (int)fd;
                        return serve();
                }
        }
        fprintf(stderr, "usage: pvm mount DIR | --fd N\n");
        return 2;
}
