/*
 * fuse_server.h - a file server that lies: `fuse_server(dir, seed)` mounts there and answers from a child process, mostly well, sometimes with wrong lengths, numbers, names and kinds, with errors
 * that are none, twice, or never, until it ends in the middle. False: it could not be mounted.
 */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t fuse_random(uint64_t *s)
{
        *s ^= *s << 13;
        *s ^= *s >> 7;
        *s ^= *s << 17;
        return *s;
}

static struct fuse_attr fuse_some_attr(uint64_t *s, uint64_t nodeid)
{
        static const uint32_t kinds[] = {S_IFDIR, S_IFDIR, S_IFREG, S_IFREG, S_IFLNK, S_IFIFO, S_IFCHR, S_IFSOCK, 0};
        uint64_t r = fuse_random(s);

        return (struct fuse_attr){
                .ino = nodeid,
                .mode = nodeid == FUSE_ROOT_ID ? S_IFDIR | 0777 : kinds[r % 9] | (r >> 8 & 1 ? 0777 : r >> 9 & 07777),
                .size = r >> 30 & 3 ? r >> 40 : r,
                .nlink = (uint32_t)(r >> 20) & 3,
                .uid = r >> 24 & 1 ? 1000 : (uint32_t)r,
                .mtimensec = (uint32_t)(r >> 25),
                .rdev = (uint32_t)(r >> 16),
        };
}

/* A good answer to the request, behind the header: how long it is. */
static size_t fuse_good(const struct fuse_in_header *in, char *body, size_t room, uint64_t *s)
{
        uint64_t r = fuse_random(s);

        switch (in->opcode) {
        case FUSE_INIT:
                *(struct fuse_init_out *)body = (struct fuse_init_out){
                        .major = 7, .minor = 31, .max_write = 4096, .max_readahead = (uint32_t)r};
                return sizeof(struct fuse_init_out);
        case FUSE_LOOKUP: {
                uint64_t node = 2 + r % 30;

                *(struct fuse_entry_out *)body = (struct fuse_entry_out){.nodeid = node,
                                                                         .attr_valid = r >> 20 & 1,
                                                                         .entry_valid = r >> 21 & 1,
                                                                         .attr = fuse_some_attr(s, node)};
                return sizeof(struct fuse_entry_out);
        }
        case FUSE_GETATTR:
                *(struct fuse_attr_out *)body =
                        (struct fuse_attr_out){.attr_valid = r & 1, .attr = fuse_some_attr(s, in->nodeid)};
                return sizeof(struct fuse_attr_out);
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                *(struct fuse_open_out *)body = (struct fuse_open_out){.fh = r, .open_flags = (uint32_t)(r >> 40) & 7};
                return sizeof(struct fuse_open_out);
        case FUSE_READLINK:
                return (size_t)snprintf(body, room, "%s",
                                        r & 1   ? "a/b"
                                        : r & 2 ? "../f"
                                        : r & 4 ? "/tmp/fuzz/m/a"
                                                : "a");
        case FUSE_READ:
                memset(body, (int)r, 512);
                return r >> 8 & 511;
        case FUSE_READDIR: {
                size_t at = 0;

                for (unsigned n = r & 3; n--; r = fuse_random(s)) {
                        struct fuse_dirent *d = (struct fuse_dirent *)(body + at);

                        *d = (struct fuse_dirent){.ino = r,
                                                  .off = r >> 60 ? r >> 56 : 0,
                                                  .namelen = 1 + (r >> 20 & 7),
                                                  .type = (uint32_t)(r >> 30) & 15};
                        memset(d->name, 'a' + (int)(r >> 40 & 3), d->namelen);
                        if (!(r >> 44 & 31))
                                d->name[0] = "/\0.\xff"[r >> 50 & 3];
                        if (!(r >> 46 & 31))
                                d->namelen = (uint32_t)r;
                        at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + 8);
                }
                return at;
        }
        default:
                return 0;
        }
}

static void fuse_serve(int fd, uint64_t seed)
{
        static _Alignas(16) char in[65536], out[65536 + 16];
        struct fuse_out_header *h = (struct fuse_out_header *)out;
        const struct fuse_in_header *rq = (const struct fuse_in_header *)in;
        unsigned left = 20 + (unsigned)(fuse_random(&seed) % 400);

        while (left--) {
                ssize_t n = read(fd, in, sizeof(in));
                uint64_t r = fuse_random(&seed);
                size_t len;

                if (n < (ssize_t)sizeof(*rq)) {
                        if (n < 0 && (errno == EINTR || errno == ENOENT))
                                continue;
                        break;
                }
                if (rq->opcode == FUSE_FORGET || rq->opcode == FUSE_BATCH_FORGET || rq->opcode == FUSE_INTERRUPT)
                        continue;
                len = fuse_good(rq, out + sizeof(*h), sizeof(out) - sizeof(*h), &seed);
                *h = (struct fuse_out_header){.unique = rq->unique};
                switch (rq->opcode == FUSE_INIT && r >> 40 & 7 ? 31 : r & 31) {
                case 0:
                        h->error = -(int)(r >> 8 & 255);
                        len = 0;
                        break;
                case 1:
                        h->error = (int)(r >> 8);
                        break;
                case 2:
                        len = r >> 8 & 127;
                        break;
                case 3:
                        len = r >> 8 & 65535;
                        break;
                case 4:
                        for (unsigned i = 0; i < 8; i++)
                                out[sizeof(*h) + (fuse_random(&seed) & 127)] = (char)fuse_random(&seed);
                        break;
                case 5:
                        if (!(r >> 45 & 31))
                                continue; /* never: who waits for it does no more in this round */
                        break;
                case 6:
                        h->unique += r >> 8 & 3;
                        break;
                default:
                        break;
                }
                h->len = (uint32_t)(sizeof(*h) + len);
                if ((r >> 32 & 31) == 1)
                        h->len = (uint32_t)(r >> 3);
                (void)!write(fd, out, sizeof(*h) + len);
                if ((r >> 37 & 31) == 1)
                        (void)!write(fd, out, sizeof(*h) + len); /* again */
        }
}

static bool fuse_server(const char *dir, uint64_t seed)
{
        char options[100];
        int fd = open("/dev/fuse", O_RDWR);
        pid_t p;

        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other%s", fd,
                 seed & 1 ? ",default_permissions" : "");
        if (fd < 0 || mount("fuzz", dir, "fuse", MS_NOSUID | MS_NODEV, options)) {
                close(fd);
                return false;
        }
        p = fork();
        if (p == 0) {
                fuse_serve(fd, seed | 1);
                _exit(0);
        }
        close(fd);
        return p > 0;
}
