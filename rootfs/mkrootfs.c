/*
 * mkrootfs.c - makes the boot archive (FORMAT.md), or the same tree as a cpio archive for Linux, from manifests.
 *
 *   mkrootfs [-c] [-t MTIME] [-I DIR]... -o OUT MANIFEST...
 *   mkrootfs -l IMAGE           checks an image in full and lists it
 *
 * A manifest has one entry per line; sources are looked for in the directories given by -I, in that order:
 *
 *   dir PATH MODE UID GID                    link PATH TARGET
 *   file PATH MODE UID GID SOURCE            symlink PATH TARGET
 *   char PATH MODE UID GID MAJOR MINOR       applets TARGET LIST   a hard link to TARGET for each line of the file
 *   block PATH MODE UID GID MAJOR MINOR                            LIST, unless something stands there already
 *   tree PATH UID GID SOURCE                 a directory with all that is in it, with its modes
 *
 * Directories must be named before what is in them; `tree` and `applets` make those that are missing, with mode 755.
 * The same input gives the same bytes.
 */
#include <dirent.h>
#include <errno.h>
#include <lz4.h>
#include <lz4hc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>
#include "rootfs/image.h"

struct node {
        char *path; /* without the leading slash; the root is "" */
        char *text; /* symlink: target; file: source on this machine */
        struct image_entry entry;
};

static struct node *nodes;
static unsigned nnodes;
static const char *search[16];
static unsigned nsearch;
static const char *where = "mkrootfs";
static unsigned line_number;
static int64_t mtime;

static __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...)
{
        va_list ap;

        if (line_number)
                fprintf(stderr, "%s:%u: ", where, line_number);
        else
                fprintf(stderr, "%s: ", where);
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
        exit(1);
}

static void *more(void *p, size_t size)
{
        p = realloc(p, size);
        if (!p)
                die("no memory");
        return p;
}

static char *copy(const char *s)
{
        return strcpy(more(NULL, strlen(s) + 1), s);
}

/* A whole file in memory; the length into *len. */
static char *slurp(const char *path, size_t *len)
{
        FILE *f = fopen(path, "rb");
        char *data = NULL;
        size_t room = 0, n;

        if (!f)
                die("%s: %s", path, strerror(errno));
        *len = 0;
        do {
                if (*len == room)
                        data = more(data, room = room * 2 + 65536);
                n = fread(data + *len, 1, room - *len, f);
                *len += n;
        } while (n);
        if (ferror(f))
                die("%s: %s", path, strerror(errno));
        fclose(f);
        return data;
}

/* ---- the tree ---- */

static unsigned find(const char *path)
{
        for (unsigned i = 0; i < nnodes; i++)
                if (strcmp(nodes[i].path, path) == 0)
                        return i;
        return IMAGE_NO_ENTRY;
}

static const char *relative(const char *path)
{
        if (*path != '/')
                die("%s: a path begins with /", path);
        return path + 1;
}

/* Adds an entry below its directory; entries of kind `same_as` and of files, links and devices are completed by the caller. */
static struct node *add(const char *path, uint32_t mode, uint32_t uid, uint32_t gid)
{
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        char *dir = copy(path);
        struct node *n;
        unsigned parent;

        dir[slash ? slash - path : 0] = 0;
        parent = *path ? find(dir) : 0;
        if (parent == IMAGE_NO_ENTRY || (*path && !S_ISDIR(nodes[parent].entry.mode)))
                die("/%s: no directory /%s", path, dir);
        if (find(path) != IMAGE_NO_ENTRY)
                die("/%s: twice", path);
        if (strlen(name) > IMAGE_NAME_MAX)
                die("/%s: name too long", path);
        free(dir);
        nodes = more(nodes, (nnodes + 1) * sizeof(*nodes));
        n = &nodes[nnodes++];
        *n = (struct node){.path = copy(path)};
        n->entry = (struct image_entry){.parent = parent,
                                        .name_len = strlen(name),
                                        .mode = mode,
                                        .uid = uid,
                                        .gid = gid,
                                        .same_as = IMAGE_NO_ENTRY,
                                        .mtime = mtime};
        return n;
}

static void add_missing_dirs(const char *path)
{
        char *dir = copy(path);

        for (char *p = dir; (p = strchr(p, '/')); p++) {
                *p = 0;
                if (find(dir) == IMAGE_NO_ENTRY)
                        add(dir, S_IFDIR | 0755, 0, 0);
                *p = '/';
        }
        free(dir);
}

static char *locate(const char *source)
{
        char *path = NULL;

        for (unsigned i = 0; i < nsearch; i++) {
                path = more(path, strlen(search[i]) + strlen(source) + 2);
                sprintf(path, "%s/%s", search[i], source);
                if (access(path, R_OK) == 0)
                        return path;
        }
        die("%s: not found", source);
}

static void add_link(const char *path, const char *target)
{
        unsigned to = find(relative(target));
        struct image_entry *e;

        if (to == IMAGE_NO_ENTRY || !S_ISREG(nodes[to].entry.mode))
                die("%s: no such file", target);
        if (nodes[to].entry.same_as != IMAGE_NO_ENTRY)
                to = nodes[to].entry.same_as;
        e = &add(path, nodes[to].entry.mode, nodes[to].entry.uid, nodes[to].entry.gid)->entry;
        e->same_as = to;
}

static void add_symlink(const char *path, const char *target)
{
        struct node *n = add(path, S_IFLNK | 0777, 0, 0);

        if (!*target || strlen(target) > IMAGE_TARGET_MAX)
                die("%s: bad symlink target", path);
        n->text = copy(target);
        n->entry.target_len = strlen(target);
}

static void add_applets(const char *target, const char *list)
{
        size_t len;
        char *text = slurp(list, &len);

        text = more(text, len + 1);
        text[len] = 0;
        for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n")) {
                if (find(relative(p)) != IMAGE_NO_ENTRY)
                        continue;
                add_missing_dirs(relative(p));
                add_link(relative(p), target);
        }
        free(text);
}

static void add_tree(const char *path, uint32_t uid, uint32_t gid, const char *source)
{
        struct dirent **names;
        int n = scandir(source, &names, NULL, alphasort);

        if (n < 0)
                die("%s: %s", source, strerror(errno));
        if (find(path) == IMAGE_NO_ENTRY) {
                add_missing_dirs(path);
                add(path, S_IFDIR | 0755, uid, gid);
        }
        for (int i = 0; i < n; i++) {
                const char *name = names[i]->d_name;
                char *from, *to, target[IMAGE_TARGET_MAX + 1];
                struct stat st;
                ssize_t len;

                if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                        continue;
                from = more(NULL, strlen(source) + strlen(name) + 2);
                to = more(NULL, strlen(path) + strlen(name) + 2);
                sprintf(from, "%s/%s", source, name);
                sprintf(to, "%s%s%s", path, *path ? "/" : "", name);
                if (lstat(from, &st) < 0)
                        die("%s: %s", from, strerror(errno));
                if (S_ISDIR(st.st_mode)) {
                        add_tree(to, uid, gid, from);
                } else if (S_ISLNK(st.st_mode)) {
                        len = readlink(from, target, sizeof(target) - 1);
                        target[len < 0 ? 0 : len] = 0;
                        add_symlink(to, target);
                } else if (S_ISREG(st.st_mode)) {
                        add(to, S_IFREG | (st.st_mode & 07777), uid, gid)->text = copy(from);
                }
                free(from);
                free(to);
                free(names[i]);
        }
        free(names);
}

static unsigned long number(const char *s, int base)
{
        char *end;
        unsigned long value;

        errno = 0;
        value = strtoul(s, &end, base);
        if (!*s || *end || errno)
                die("%s: not a number", s);
        return value;
}

static void read_line(char *line)
{
        char *word[8];
        unsigned n = 0;
        struct node *e;
        uint32_t mode;

        for (char *p = strtok(line, " \t\n"); p && *p != '#' && n < 8; p = strtok(NULL, " \t\n"))
                word[n++] = p;
        if (n == 0)
                return;
#define IS(name, words) (strcmp(word[0], name) == 0 && n == (words))
        if (IS("link", 3)) {
                add_link(relative(word[1]), word[2]);
        } else if (IS("symlink", 3)) {
                add_symlink(relative(word[1]), word[2]);
        } else if (IS("applets", 3)) {
                add_applets(word[1], locate(word[2]));
        } else if (IS("tree", 5)) {
                add_tree(relative(word[1]), number(word[2], 10), number(word[3], 10), locate(word[4]));
        } else if (IS("dir", 5) || IS("file", 6) || IS("char", 7) || IS("block", 7)) {
                mode = number(word[2], 8);
                mode |= *word[0] == 'd' ? S_IFDIR : *word[0] == 'f' ? S_IFREG : *word[0] == 'c' ? S_IFCHR : S_IFBLK;
                e = add(relative(word[1]), mode, number(word[3], 10), number(word[4], 10));
                if (S_ISREG(mode))
                        e->text = locate(word[5]);
                if (S_ISCHR(mode) || S_ISBLK(mode)) {
                        e->entry.rdev_major = number(word[5], 10);
                        e->entry.rdev_minor = number(word[6], 10);
                }
        } else {
                die("%s: unknown, or a wrong number of words", word[0]);
        }
#undef IS
}

static void read_manifest(const char *path)
{
        FILE *f = fopen(path, "r");
        char line[8192];

        if (!f)
                die("%s: %s", path, strerror(errno));
        where = path;
        for (line_number = 1; fgets(line, sizeof(line), f); line_number++)
                read_line(line);
        fclose(f);
        where = "mkrootfs";
        line_number = 0;
}

/* ---- the image ---- */

static char *image, *strings, *packed;
static size_t image_len, strings_len, packed_len;
static struct image_block *blocks;
static unsigned nblocks;
static char current[IMAGE_BLOCK_SIZE]; /* the block being filled */
static uint32_t current_len;

static uint32_t add_string(const char *s, size_t len)
{
        strings = more(strings, strings_len + len + 1);
        memcpy(strings + strings_len, s, len);
        strings_len += len;
        return strings_len - len;
}

static void finish_block(void)
{
        char out[LZ4_COMPRESSBOUND(IMAGE_BLOCK_SIZE)];
        int len = LZ4_compress_HC(current, out, current_len, sizeof(out), LZ4HC_CLEVEL_MAX);
        const char *from = out;

        if (current_len == 0)
                return;
        if (len <= 0 || (uint32_t)len >= current_len) {
                from = current;
                len = current_len;
        }
        blocks = more(blocks, (nblocks + 1) * sizeof(*blocks));
        blocks[nblocks++] = (struct image_block){.at = packed_len, .packed_len = len, .raw_len = current_len};
        packed = more(packed, packed_len + len);
        memcpy(packed + packed_len, from, len);
        packed_len += len;
        current_len = 0;
}

static void add_data(struct image_entry *e, const char *data, size_t len)
{
        e->size = len;
        if (len == 0)
                return;
        if (len > IMAGE_BLOCK_SIZE - current_len)
                finish_block();
        e->block = nblocks;
        e->offset = current_len;
        while (len > 0) {
                size_t n = len < IMAGE_BLOCK_SIZE - current_len ? len : IMAGE_BLOCK_SIZE - current_len;

                memcpy(current + current_len, data, n);
                current_len += n;
                data += n;
                len -= n;
                if (current_len == IMAGE_BLOCK_SIZE)
                        finish_block();
        }
}

static uint32_t append(const void *data, size_t len)
{
        size_t at = (image_len + 7) & ~7ul;

        if (at + len > UINT32_MAX)
                die("the image is too large");
        image = more(image, at + len);
        memset(image + image_len, 0, at - image_len);
        if (len)
                memcpy(image + at, data, len);
        image_len = at + len;
        return at;
}

static void write_out(const char *path, const char *data, size_t len)
{
        FILE *f = fopen(path, "wb");

        if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
                die("%s: %s", path, strerror(errno));
}

static void write_image(const char *out)
{
        struct image_header header = {.magic = IMAGE_MAGIC, .version = IMAGE_VERSION, .header_size = sizeof(header)};
        struct image_entry *entries = more(NULL, nnodes * sizeof(*entries));
        uint64_t sum;

        for (unsigned i = 0; i < nnodes; i++) {
                struct node *n = &nodes[i];
                struct image_entry *e = &entries[i];

                if (n->entry.same_as != IMAGE_NO_ENTRY) {
                        *e = entries[n->entry.same_as];
                        e->same_as = n->entry.same_as;
                        e->parent = n->entry.parent;
                        e->name_len = n->entry.name_len;
                } else {
                        *e = n->entry;
                }
                e->name = add_string(n->path + strlen(n->path) - e->name_len, e->name_len);
                if (S_ISLNK(e->mode))
                        e->target = add_string(n->text, e->target_len);
                if (S_ISREG(e->mode) && e->same_as == IMAGE_NO_ENTRY) {
                        size_t len;
                        char *data = slurp(n->text, &len);

                        add_data(e, data, len);
                        header.data_size += len;
                        free(data);
                }
        }
        finish_block();

        append(&header, sizeof(header));
        header.nentries = nnodes;
        header.entries_at = append(entries, nnodes * sizeof(*entries));
        header.nblocks = nblocks;
        header.blocks_at = append(blocks, nblocks * sizeof(*blocks));
        header.strings_len = strings_len;
        header.strings_at = append(strings, strings_len);
        sum = append(packed, packed_len);
        for (unsigned i = 0; i < nblocks; i++)
                ((struct image_block *)(image + header.blocks_at))[i].at += sum;
        header.size = image_len;
        memcpy(image, &header, sizeof(header));
        header.checksum = XXH64(image + 16, image_len - 16, 0);
        memcpy(image, &header, sizeof(header));
        write_out(out, image, image_len);
}

/* ---- the same tree for Linux: cpio, "newc" ---- */

static void cpio_pad(void)
{
        while (image_len % 4)
                image = more(image, image_len + 1), image[image_len++] = 0;
}

static void cpio_put(const void *data, size_t len)
{
        if (len == 0)
                return;
        image = more(image, image_len + len);
        memcpy(image + image_len, data, len);
        image_len += len;
        cpio_pad();
}

static void cpio_entry(const char *path, const struct image_entry *e, unsigned ino, unsigned nlink, const char *data,
                       size_t len)
{
        char head[120];
        int n = snprintf(head, sizeof(head), "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ino,
                         e->mode, e->uid, e->gid, nlink, (unsigned)e->mtime, len, 0, 0, e->rdev_major, e->rdev_minor,
                         strlen(path) + 1, 0);

        image = more(image, image_len + n + strlen(path) + 1);
        memcpy(image + image_len, head, n);
        memcpy(image + image_len + n, path, strlen(path) + 1);
        image_len += n + strlen(path) + 1;
        cpio_pad();
        cpio_put(data, len);
}

static void write_cpio(const char *out)
{
        for (unsigned i = 0; i < nnodes; i++) {
                const struct image_entry *e = &nodes[i].entry;
                unsigned owner = e->same_as == IMAGE_NO_ENTRY ? i : e->same_as, nlink = S_ISDIR(e->mode) ? 2 : 1;
                char *data = nodes[i].text;
                size_t len = e->target_len;

                for (unsigned j = 0; j < nnodes; j++)
                        nlink += nodes[j].entry.same_as == owner;
                /* Linux takes the data of hard links from the first of them. */
                if (S_ISREG(e->mode) && owner == i)
                        data = slurp(data, &len);
                cpio_entry(*nodes[i].path ? nodes[i].path : ".", e, owner + 1, nlink, data, len);
        }
        cpio_entry("TRAILER!!!", &(struct image_entry){0}, 0, 1, NULL, 0);
        write_out(out, image, image_len);
}

/* ---- looking into an image ---- */

static void list_entry(const struct image_entry *entries, unsigned i, const char *text)
{
        const struct image_entry *e = &entries[i];
        char path[4096] = "";
        unsigned at = i;

        while (at) {
                char longer[4096];

                snprintf(longer, sizeof(longer), "/%.*s%s", entries[at].name_len, text + entries[at].name, path);
                strcpy(path, longer);
                at = entries[at].parent;
        }
        printf("%06o %u:%u %8lu %s", e->mode, e->uid, e->gid, e->size, *path ? path : "/");
        if (S_ISLNK(e->mode))
                printf(" -> %.*s", e->target_len, text + e->target);
        if (S_ISCHR(e->mode) || S_ISBLK(e->mode))
                printf(" %u,%u", e->rdev_major, e->rdev_minor);
        puts("");
}

static void list_image(const char *path)
{
        size_t len;
        char *data = slurp(path, &len), raw[IMAGE_BLOCK_SIZE];
        const struct image_header *h = (void *)data;
        const struct image_entry *entries;
        const struct image_block *b;

        where = path;
        if (len < sizeof(*h) || h->magic != IMAGE_MAGIC)
                die("no boot archive");
        if (h->version != IMAGE_VERSION || h->header_size != sizeof(*h))
                die("version %u", h->version);
        if (h->size > len || h->size < sizeof(*h) || XXH64(data + 16, h->size - 16, 0) != h->checksum)
                die("damaged");
        entries = (void *)(data + h->entries_at);
        b = (void *)(data + h->blocks_at);
        for (unsigned i = 0; i < h->nblocks; i++)
                if (b[i].packed_len != b[i].raw_len &&
                    LZ4_decompress_safe(data + b[i].at, raw, b[i].packed_len, sizeof(raw)) != (int)b[i].raw_len)
                        die("block %u is damaged", i);
        for (unsigned i = 0; i < h->nentries; i++)
                list_entry(entries, i, data + h->strings_at);
        printf("%u entries, %u blocks, %lu bytes of data in %lu\n", h->nentries, h->nblocks, h->data_size, h->size);
}

int main(int argc, char **argv)
{
        const char *out = NULL;
        int cpio = 0, opt;

        mtime = time(NULL);
        while ((opt = getopt(argc, argv, "cI:l:o:t:")) != -1) {
                switch (opt) {
                case 'c':
                        cpio = 1;
                        break;
                case 'I':
                        if (nsearch == sizeof(search) / sizeof(search[0]))
                                die("too many -I");
                        search[nsearch++] = optarg;
                        break;
                case 'l':
                        list_image(optarg);
                        return 0;
                case 'o':
                        out = optarg;
                        break;
                case 't':
                        mtime = number(optarg, 10);
                        break;
                default:
                        return 2;
                }
        }
        if (!out || optind == argc)
                die("see the head of mkrootfs.c");
        add("", S_IFDIR | 0755, 0, 0);
        while (optind < argc)
                read_manifest(argv[optind++]);
        if (cpio)
                write_cpio(out);
        else
                write_image(out);
        return 0;
}
