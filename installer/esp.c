/*
 * esp.c - files of a FAT32 file system, in place (esp.h; Microsoft's FAT specification 1.03, sections 3 to 6). Lengths and chains are bounded by the size of the partition.
 * The environment is GRUB's (its manual, "Environment block"): a signature line, NAME=VALUE lines, filled up with #.
 */
#include "esp.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR      512u
#define CHAIN_END   0x0ffffff8u
#define ENTRY_BYTES 32u
#define ATTR_VOLUME 0x08u
#define ATTR_DIR    0x10u
#define ATTR_LONG   0x0fu
#define SIGNATURE   "# GRUB Environment Block\n"
#define ENV_PATH    "PHANTOM/ENV"

static uint32_t u16(const uint8_t *b)
{
        return b[0] | (uint32_t)b[1] << 8;
}

static uint32_t u32(const uint8_t *b)
{
        return u16(b) | u16(b + 2) << 16;
}

static int transfer(const struct esp *e, bool write, uint64_t at, void *buf, size_t n)
{
        uint8_t *b = buf;

        at += e->base;
        while (n) {
                ssize_t r = write ? pwrite(e->fd, b, n, (off_t)at) : pread(e->fd, b, n, (off_t)at);

                if (r <= 0)
                        return -EIO;
                b += r;
                n -= (size_t)r;
                at += (uint64_t)r;
        }
        return 0;
}

int esp_open(struct esp *e, const char *device, uint64_t base, bool write)
{
        uint8_t b[SECTOR];
        uint64_t nsectors, data;
        off_t bytes;
        int r;

        *e = (struct esp){.fd = open(device, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC), .base = base};
        if (e->fd < 0)
                return -errno;
        bytes = lseek(e->fd, 0, SEEK_END);
        r = transfer(e, false, 0, b, sizeof(b));
        if (!r) {
                nsectors = u32(b + 32);
                data = u16(b + 14) + (uint64_t)b[16] * u32(b + 36);
                e->cluster_bytes = b[13] * SECTOR;
                e->root = u32(b + 44);
                e->fat_at = (uint64_t)u16(b + 14) * SECTOR;
                e->data_at = data * SECTOR;
                if (u16(b + 510) != 0xaa55 || u16(b + 11) != SECTOR || !b[13] || (b[13] & (b[13] - 1)) || !b[16] ||
                    u16(b + 22) || data >= nsectors || bytes < (off_t)base ||
                    nsectors > ((uint64_t)bytes - base) / SECTOR)
                        r = -EMEDIUMTYPE;
                else
                        e->nclusters = (uint32_t)((nsectors - data) / b[13]);
                if (!r && (uint64_t)e->nclusters + 2 > (uint64_t)u32(b + 36) * 128)
                        r = -EMEDIUMTYPE;
        }
        if (r)
                esp_close(e);
        return r;
}

void esp_close(struct esp *e)
{
        close(e->fd);
        e->fd = -1;
}

static bool is_cluster(const struct esp *e, uint32_t n)
{
        return n >= 2 && n - 2 < e->nclusters;
}

static uint64_t cluster_at(const struct esp *e, uint32_t n)
{
        return e->data_at + (uint64_t)(n - 2) * e->cluster_bytes;
}

/* The cluster behind n, CHAIN_END at the end. */
static int chain_next(struct esp *e, uint32_t n, uint32_t *next)
{
        uint32_t sector = 1 + n / 128;
        int r = 0;

        if (e->fat_sector != sector)
                r = transfer(e, false, e->fat_at + (uint64_t)(sector - 1) * SECTOR, e->fat, sizeof(e->fat));
        e->fat_sector = r ? 0 : sector;
        *next = e->fat[n % 128] & 0x0fffffff;
        if (r)
                return r;
        if (*next >= CHAIN_END)
                *next = CHAIN_END;
        else if (!is_cluster(e, *next))
                return -EUCLEAN;
        return 0;
}

/* Where a file lies whose first cluster is n. size: bytes, 0 for a directory. */
static int chain_read(struct esp *e, uint32_t n, uint32_t size, struct esp_file *f)
{
        uint64_t have = 0;
        int r;

        f->nextents = 0;
        for (uint32_t steps = 0; n != CHAIN_END && (!size || have < size); steps++) {
                uint64_t at = cluster_at(e, n);
                uint32_t last = f->nextents - 1;

                if (!is_cluster(e, n) || steps > e->nclusters)
                        return -EUCLEAN;
                if (f->nextents && f->extent[last].at + f->extent[last].bytes == at)
                        f->extent[last].bytes += e->cluster_bytes;
                else if (f->nextents == sizeof(f->extent) / sizeof(f->extent[0]))
                        return -E2BIG;
                else {
                        f->extent[f->nextents].at = at;
                        f->extent[f->nextents++].bytes = e->cluster_bytes;
                }
                have += e->cluster_bytes;
                r = chain_next(e, n, &n);
                if (r)
                        return r;
        }
        if (have < size)
                return -EUCLEAN;
        f->size = size ? size : (uint32_t)have;
        return 0;
}

/* "KERNEL.A" as a directory has it: eight and three bytes, filled up with blanks. */
static void short_name(char to[11], const char *from, size_t n)
{
        size_t at = 0;

        memset(to, ' ', 11);
        for (size_t i = 0; i < n && at < 11; i++) {
                if (from[i] == '.')
                        at = 8;
                else
                        to[at++] = from[i];
        }
}

/* In directory f: *f becomes the file of that name. */
static int descend(struct esp *e, const char name[11], bool directory, struct esp_file *f)
{
        uint8_t b[SECTOR];
        int r;

        for (uint64_t at = 0; at < f->size; at += SECTOR) {
                r = esp_read(e, f, at, b, sizeof(b));
                if (r)
                        return r;
                for (const uint8_t *d = b; d < b + SECTOR; d += ENTRY_BYTES) {
                        uint32_t first = u16(d + 26) | u16(d + 20) << 16;

                        if (!d[0])
                                return -ENOENT;
                        if (memcmp(d, name, 11) || (d[11] & ATTR_LONG) == ATTR_LONG || (d[11] & ATTR_VOLUME) ||
                            !(d[11] & ATTR_DIR) == directory)
                                continue;
                        if (!directory && !u32(d + 28))
                                return -EUCLEAN;
                        return chain_read(e, first, directory ? 0 : u32(d + 28), f);
                }
        }
        return -ENOENT;
}

int esp_find(struct esp *e, const char *path, struct esp_file *f)
{
        int r = chain_read(e, e->root, 0, f);

        while (!r && *path) {
                size_t n = strcspn(path, "/");
                char name[11];

                short_name(name, path, n);
                r = descend(e, name, path[n] == '/', f);
                path += n + (path[n] == '/');
        }
        return r;
}

static int file_transfer(struct esp *e, const struct esp_file *f, bool write, uint64_t at, uint8_t *b, size_t n)
{
        int r = 0;

        for (uint32_t i = 0; i < f->nextents && n && !r; i++) {
                uint64_t piece = f->extent[i].bytes;

                if (at >= piece) {
                        at -= piece;
                        continue;
                }
                piece = piece - at < n ? piece - at : n;
                r = transfer(e, write, f->extent[i].at + at, b, (size_t)piece);
                b += piece;
                n -= (size_t)piece;
                at = 0;
        }
        return r ? r : n ? -EIO : 0;
}

int esp_read(struct esp *e, const struct esp_file *f, uint64_t at, void *to, size_t n)
{
        return file_transfer(e, f, false, at, to, n);
}

int esp_write(struct esp *e, const struct esp_file *f, uint64_t at, const void *from, size_t n)
{
        return file_transfer(e, f, true, at, (void *)(uintptr_t)from, n);
}

int esp_flush(struct esp *e)
{
        return fsync(e->fd) ? -errno : 0;
}

int esp_free(struct esp *e, uint64_t *bytes)
{
        int r = 0;

        *bytes = 0;
        for (uint32_t n = 0; n < e->nclusters + 2 && !r; n++) {
                if (n % 128 == 0)
                        r = transfer(e, false, e->fat_at + (uint64_t)n * 4, e->fat, sizeof(e->fat));
                if (!r && n >= 2 && !(e->fat[n % 128] & 0x0fffffff))
                        *bytes += e->cluster_bytes;
        }
        e->fat_sector = 0;
        return r;
}

/* ---- the environment ---- */

/* The value of a name, its length in *n; NULL: not there. */
static const char *value(const char *text, const char *name, size_t *n)
{
        size_t len = strlen(name);

        for (const char *line = text; *line && *line != '#'; line += strcspn(line, "\n"), line += *line == '\n') {
                if (strncmp(line, name, len) || line[len] != '=')
                        continue;
                *n = strcspn(line + len + 1, "\n");
                return line + len + 1;
        }
        return NULL;
}

static char slot_value(const char *text, const char *name)
{
        size_t n;
        const char *v = value(text, name, &n);

        return v && n == 1 && (*v == 'a' || *v == 'b') ? *v : 0;
}

int env_read(struct esp *e, struct boot_env *env)
{
        char text[ENV_BYTES + 1] = "";
        struct esp_file f;
        const char *tries, *names = text + sizeof(SIGNATURE) - 1;
        size_t n;
        int r = esp_find(e, ENV_PATH, &f);

        if (!r && f.size != ENV_BYTES)
                r = -EUCLEAN;
        if (!r)
                r = esp_read(e, &f, 0, text, ENV_BYTES);
        if (r)
                return r;
        if (strncmp(text, SIGNATURE, sizeof(SIGNATURE) - 1) || !slot_value(names, "slot"))
                return -EUCLEAN;
        tries = value(names, "tries", &n);
        *env = (struct boot_env){slot_value(names, "slot"), slot_value(names, "other"),
                                 tries && n == 1 && *tries >= '0' && *tries <= '0' + ENV_TRIES ? *tries - '0' : -1};
        return 0;
}

void env_make(char text[ENV_BYTES], const struct boot_env *env)
{
        char head[64];
        int n = snprintf(head, sizeof(head), SIGNATURE "slot=%c\n", env->slot);

        if (env->other)
                n += snprintf(head + n, sizeof(head) - (size_t)n, "other=%c\n", env->other);
        if (env->tries >= 0)
                n += snprintf(head + n, sizeof(head) - (size_t)n, "tries=%d\n", env->tries);
        memset(text, '#', ENV_BYTES);
        memcpy(text, head, (size_t)n);
}

int env_write(struct esp *e, const struct boot_env *env)
{
        char text[ENV_BYTES];
        struct esp_file f;
        int r = esp_find(e, ENV_PATH, &f);

        env_make(text, env);
        if (!r)
                r = esp_write(e, &f, 0, text, sizeof(text));
        return r ? r : esp_flush(e);
}
