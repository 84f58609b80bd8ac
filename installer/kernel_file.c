/*
 * kernel_file.c - reads and checks new kernels (kernel_file.h). Nothing of the bytes is trusted: ELF (System V ABI), ISO 9660 (ECMA-119; only what is needed to find two files,
 * which there are contiguous), boot archives (rootfs/FORMAT.md).
 */
#include "kernel_file.h"
#include "crc32.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <xxhash.h>

#define NOTE_NAME    "Phantom"
#define NOTE_KNOWS   1u
#define CD_BLOCK     2048u
#define KERNEL_MAX   (4u << 20)
#define CD_FIRST     16u /* block of the first volume descriptor */
#define DIR_MAX      65536u
#define ARCHIVE_HEAD 64u

struct note {
        uint32_t name_bytes, bytes, type;
        char name[8];
        uint32_t version, schema_oldest, schema, store_version, size, sum;
};

struct place {
        uint64_t at, len;
};

static bool read_at(int fd, void *to, size_t n, uint64_t at)
{
        uint8_t *b = to;

        while (n) {
                ssize_t r = pread(fd, b, n, (off_t)at);

                if (r <= 0)
                        return false;
                b += r;
                n -= (size_t)r;
                at += (uint64_t)r;
        }
        return true;
}

/* ---- the kernel ---- */

const char *kernel_facts_read(const uint8_t *image, size_t n, struct kernel_facts *facts)
{
        Elf64_Ehdr h;
        struct note note;
        uint64_t at = 0;
        uint32_t sum;

        if (n < sizeof(h) || memcmp(image, ELFMAG, SELFMAG))
                return "it is no kernel, and no image of a Phantom CD";
        memcpy(&h, image, sizeof(h));
        if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_machine != EM_X86_64)
                return "it is for another kind of machine";
        for (unsigned i = 0; i < h.e_phnum && h.e_phentsize == sizeof(Elf64_Phdr); i++) {
                Elf64_Phdr p;

                if (h.e_phoff > n || (i + 1) * sizeof(p) > n - h.e_phoff)
                        return "it is damaged: it ends too soon";
                memcpy(&p, image + h.e_phoff + i * sizeof(p), sizeof(p));
                if (p.p_type != PT_NOTE || p.p_filesz < sizeof(note))
                        continue;
                if (p.p_offset > n || sizeof(note) > n - p.p_offset)
                        return "it is damaged: it ends too soon";
                memcpy(&note, image + p.p_offset, sizeof(note));
                if (!memcmp(note.name, NOTE_NAME, sizeof(note.name)) && note.type == NOTE_KNOWS)
                        at = p.p_offset;
        }
        if (!at || note.version != 1)
                return "it is a program, but no kernel of Phantom";
        if (note.size < at + sizeof(note))
                return "it is a kernel of Phantom that was not finished: it has no checksum";
        if (note.size < n)
                n = note.size; /* in a larger place */
        if (n == note.size) {
                const uint32_t zero = 0;

                sum = crc32(0, image, at + offsetof(struct note, sum));
                sum = crc32(sum, &zero, sizeof(zero));
                sum = crc32(sum, image + at + sizeof(note), n - at - sizeof(note));
                if (sum != note.sum)
                        return "it is damaged: its checksum is wrong";
        }
        *facts = (struct kernel_facts){note.schema_oldest, note.schema, note.store_version, note.size, note.sum};
        return NULL;
}

static const char *kernel_read(int fd, struct place p, size_t max, struct kernel_file *k)
{
        const char *wrong;
        size_t head = p.len < KERNEL_MAX ? (size_t)p.len : KERNEL_MAX;

        k->kernel = malloc(head);
        if (!k->kernel)
                return strerror(ENOMEM);
        if (!read_at(fd, k->kernel, head, p.at))
                return "it cannot be read";
        wrong = kernel_facts_read(k->kernel, head, &k->facts);
        if (wrong)
                return wrong;
        if (k->facts.size > p.len)
                return "it is damaged: it ends too soon";
        if (k->facts.size > max || k->facts.size > head)
                return "there is no room on the disk's boot partition: the kernel is too large";
        k->kernel_len = k->facts.size;
        return NULL;
}

/* ---- the boot archive ---- */

const char *archive_check(const uint8_t *image, size_t n, size_t *len)
{
        uint64_t size, sum;

        if (n < ARCHIVE_HEAD || memcmp(image, "PHANTOMA", 8))
                return "it is no boot archive";
        memcpy(&sum, image + 8, 8);
        memcpy(&size, image + 24, 8);
        if (size > n || size < ARCHIVE_HEAD || XXH64(image + 16, (size_t)size - 16, 0) != sum)
                return "its boot archive is damaged";
        *len = (size_t)size;
        return NULL;
}

static const char *archive_read(int fd, struct place p, size_t max, struct kernel_file *k)
{
        uint8_t *b;

        if (p.len > max)
                return "there is no room on the disk's boot partition: the boot archive is too large";
        b = realloc(k->archive, (size_t)p.len + 1);
        if (!b)
                return strerror(ENOMEM);
        k->archive = b;
        if (!read_at(fd, b, (size_t)p.len, p.at))
                return "its boot archive cannot be read";
        return archive_check(b, (size_t)p.len, &k->archive_len);
}

/* ---- the CD ---- */

/* A name as ISO 9660 has it, KERNEL. or ROOTFS.IMG;1, is the one that is looked for. */
static bool same_name(const uint8_t *name, unsigned n, const char *want)
{
        for (unsigned i = 0; i < n; i++)
                if (name[i] == ';')
                        n = i;
        if (n && name[n - 1] == '.')
                n--;
        return n == strlen(want) && !strncasecmp((const char *)name, want, n);
}

static uint32_t number(const uint8_t *b)
{
        uint32_t v;

        memcpy(&v, b, 4);
        return v;
}

/* Record of a directory: length 0, extent 2, bytes 10, flags 25, length of the name 32, name 33. Replaces *p, the directory's place, by the entry's. */
static bool descend(int fd, const char *want, bool directory, struct place *p)
{
        uint8_t *dir = p->len && p->len <= DIR_MAX ? malloc((size_t)p->len) : NULL;
        bool found = false;

        if (dir && read_at(fd, dir, (size_t)p->len, p->at)) {
                for (size_t at = 0; at + 34 <= p->len && !found;) {
                        const uint8_t *r = dir + at;

                        if (!r[0]) { /* the rest of a block */
                                at = at / CD_BLOCK * CD_BLOCK + CD_BLOCK;
                                continue;
                        }
                        if (r[0] < 34 || at + r[0] > p->len || 33u + r[32] > r[0])
                                break;
                        found = !(r[25] & 2) != directory && same_name(r + 33, r[32], want);
                        if (found)
                                *p = (struct place){(uint64_t)number(r + 2) * CD_BLOCK, number(r + 10)};
                        at += r[0];
                }
        }
        free(dir);
        return found;
}

static const char *cd_find(int fd, struct place *kernel, struct place *archive)
{
        uint8_t volume[CD_BLOCK];
        struct place boot;

        if (!read_at(fd, volume, sizeof(volume), (uint64_t)CD_FIRST * CD_BLOCK) || memcmp(volume, "\1CD001", 6))
                return "it is no kernel, and no image of a Phantom CD";
        boot = (struct place){(uint64_t)number(volume + 156 + 2) * CD_BLOCK, number(volume + 156 + 10)};
        if (!descend(fd, "boot", true, &boot))
                return "it is an image of a CD, but not of Phantom's";
        *kernel = *archive = boot;
        if (!descend(fd, "kernel", false, kernel) || !descend(fd, "rootfs.img", false, archive))
                return "it is an image of a CD, but not of Phantom's";
        return NULL;
}

/* ---- both ---- */

static const char *open_with(int fd, size_t max, struct kernel_file *k)
{
        off_t len = lseek(fd, 0, SEEK_END);
        struct place kernel = {0, len > 0 ? (uint64_t)len : 0}, archive = {0};
        const char *wrong = NULL;
        uint8_t magic[SELFMAG];

        if (kernel.len < CD_BLOCK || !read_at(fd, magic, sizeof(magic), 0))
                return len < 0 || kernel.len >= CD_BLOCK ? "it cannot be read" : "it is no kernel: it is too short";
        if (memcmp(magic, ELFMAG, SELFMAG))
                wrong = cd_find(fd, &kernel, &archive);
        if (!wrong && kernel.at + kernel.len > (uint64_t)len)
                wrong = "it is damaged: it ends too soon";
        if (!wrong)
                wrong = kernel_read(fd, kernel, max, k);
        if (!wrong && archive.len)
                wrong = archive_read(fd, archive, max, k);
        return wrong;
}

const char *kernel_file_open(const char *path, size_t max, struct kernel_file *k)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        const char *wrong;

        *k = (struct kernel_file){0};
        if (fd < 0)
                return strerror(errno);
        wrong = open_with(fd, max, k);
        close(fd);
        if (wrong)
                kernel_file_close(k);
        return wrong;
}

const char *archive_file_open(const char *path, size_t max, struct kernel_file *k)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        off_t len = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
        const char *wrong;

        if (fd < 0)
                return strerror(errno);
        wrong = len < 0 ? "it cannot be read" : archive_read(fd, (struct place){0, (uint64_t)len}, max, k);
        close(fd);
        return wrong;
}

void kernel_file_close(struct kernel_file *k)
{
        free(k->kernel);
        free(k->archive);
        *k = (struct kernel_file){0};
}
