/*
 * unpack.c - the boot archive (rootfs/FORMAT.md) into the file tree, once, at the first boot.
 * The archive is read in place where the loader put it; one block of 64 KiB at a time is decompressed into a buffer and its parts copied into pages of files. A file
 * is made in sections of at most 16 pages. The checksum has been verified before anything is made; every offset is checked all the same, and a broken image
 * is an error, never half a tree in use.
 */
#include "posix/fs/fs_internal.h"
#include "kernel/include/boot.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"
#include "rootfs/image.h"
#include <lz4.h>
#include <xxhash.h>

struct unpack {
        const char *image;
        const struct image_header *head;
        const struct image_entry *entry;
        const struct image_block *block;
        const char *strings;
        struct inode **made; /* volatile: by entry, for directories and linked files */
        char *buf;           /* the block decompressed last */
        uint32_t in_buf;
};

static int broken(const char *what)
{
        klog(LOG_ERR, "the boot archive is broken: %s", what);
        return -EINVAL;
}

static bool in_image(const struct image_header *h, uint64_t at, uint64_t count, uint64_t size)
{
        return at <= h->size && count * size <= h->size - at;
}

static int check_header(struct unpack *u, uint64_t len)
{
        const struct image_header *h = u->head;

        if (len < sizeof(*h) || h->magic != IMAGE_MAGIC)
                return broken("no such thing at its place");
        if (h->version != IMAGE_VERSION || h->header_size != sizeof(*h))
                return broken("another version");
        if (h->size > len || h->size < sizeof(*h))
                return broken("it is cut off");
        if (XXH64(u->image + 16, h->size - 16, 0) != h->checksum)
                return broken("wrong checksum");
        if (!in_image(h, h->entries_at, h->nentries, sizeof(*u->entry)) ||
            !in_image(h, h->blocks_at, h->nblocks, sizeof(*u->block)) ||
            !in_image(h, h->strings_at, h->strings_len, 1) || !h->nentries)
                return broken("a table lies outside");
        u->entry = (const struct image_entry *)(u->image + h->entries_at);
        u->block = (const struct image_block *)(u->image + h->blocks_at);
        u->strings = u->image + h->strings_at;
        return 0;
}

static int need_block(struct unpack *u, uint32_t n)
{
        const struct image_block *b = &u->block[n];

        if (u->in_buf == n)
                return 0;
        if (n >= u->head->nblocks || !in_image(u->head, b->at, b->packed_len, 1) || b->raw_len > IMAGE_BLOCK_SIZE ||
            b->packed_len > b->raw_len)
                return broken("a block");
        if (b->packed_len == b->raw_len)
                memcpy(u->buf, u->image + b->at, b->raw_len);
        else if (LZ4_decompress_safe(u->image + b->at, u->buf, (int)b->packed_len, IMAGE_BLOCK_SIZE) != (int)b->raw_len)
                return broken("a block cannot be decompressed");
        u->in_buf = n;
        return 0;
}

static int fill_file(struct unpack *u, const struct image_entry *e, struct inode *i)
{
        uint64_t pos = 0;

        while (pos < e->size) {
                uint64_t at = e->offset + pos;
                uint32_t n = e->block + (uint32_t)(at / IMAGE_BLOCK_SIZE), in_block = (uint32_t)(at % IMAGE_BLOCK_SIZE);
                size_t len = MIN(e->size - pos, (uint64_t)(IMAGE_BLOCK_SIZE - in_block));
                int r = need_block(u, n);

                if (r)
                        return r;
                if (in_block + len > u->block[n].raw_len)
                        return broken("a file reaches beyond its block");
                fs_section_begin();
                if (!space_room(inode_write_room(i, pos, len))) {
                        section_end();
                        return -ENOSPC;
                }
                section_changes();
                inode_write_kernel(i, pos, u->buf + in_block, len);
                section_end();
                pos += len;
        }
        return 0;
}

/* One entry: its inode and name, then its contents. */
static int make_entry(struct unpack *u, uint32_t n)
{
        const struct image_entry *e = &u->entry[n];
        const struct image_header *h = u->head;
        struct inode *dir, *i;
        const char *name = u->strings + e->name;
        bool link = e->same_as != IMAGE_NO_ENTRY;

        if (e->parent >= n || (link && e->same_as >= n))
                return broken("an entry before its directory");
        if (e->name_len == 0 || e->name_len > IMAGE_NAME_MAX || (uint64_t)e->name + e->name_len > h->strings_len ||
            memchr(name, '/', e->name_len) || memchr(name, 0, e->name_len))
                return broken("a name");
        dir = u->made[e->parent];
        if (!dir || !S_ISDIR(dir->mode))
                return broken("a directory that is none");
        fs_section_begin();
        if (link) {
                struct dir_place p;

                i = u->made[e->same_as];
                if (!i || !S_ISREG(i->mode)) {
                        section_end();
                        return broken("a link to nothing");
                }
                lock(LOCK_INODE, dir);
                dir_find(dir, name, e->name_len, &p);
                if (p.found || dir_room(dir, &p, e->name_len)) {
                        section_end();
                        return p.found ? broken("a name twice") : -ENOSPC;
                }
                section_changes();
                inode_link(i);
                dir_insert(dir, &p, name, e->name_len, i);
                u->made[n] = i;
                section_end();
                return 0;
        }
        i = fs_make(dir, name, e->name_len, e->mode, RDEV(e->rdev_major, e->rdev_minor));
        if (!i) {
                section_end();
                return -ENOSPC;
        }
        if ((i->mode ^ e->mode) & S_IFMT) {
                section_end();
                return broken("a name twice");
        }
        section_changes();
        i->mode = e->mode;
        i->uid = e->uid;
        i->gid = e->gid;
        if (S_ISLNK(e->mode)) {
                if (!e->target_len || e->target_len > IMAGE_TARGET_MAX ||
                    (uint64_t)e->target + e->target_len > h->strings_len) {
                        section_end();
                        return broken("a symlink");
                }
                inode_set_symlink(i, u->strings + e->target, e->target_len);
        }
        section_end();
        u->made[n] = i;
        if (S_ISREG(e->mode)) {
                int r = fill_file(u, e, i);

                if (r)
                        return r;
        }
        return 0;
}

/* Times last: making what is in a directory has changed the directory's. */
static void set_times(struct unpack *u)
{
        for (uint32_t n = 0; n < u->head->nentries; n++) {
                struct inode *i = u->made[n];

                if (!i)
                        continue;
                fs_section_begin();
                section_changes();
                i->mtime_ns = i->ctime_ns = i->atime_ns = u->entry[n].mtime * 1000000000l;
                section_end();
        }
}

static int unpack(struct unpack *u)
{
        int r;

        u->made[0] = posix_root()->fs_root;
        fs_section_begin();
        section_changes();
        u->made[0]->mode = S_IFDIR | (u->entry[0].mode & 07777);
        section_end();
        for (uint32_t n = 1; n < u->head->nentries; n++) {
                r = make_entry(u, n);
                if (r == -ENOSPC)
                        klog(LOG_ERR, "no room for the files of the boot archive: %lu KiB are needed",
                             u->head->data_size >> 10);
                if (r)
                        return r;
        }
        set_times(u);
        return 0;
}

int fs_populate(void)
{
        struct unpack u = {.in_buf = ~0u};
        paddr_t buf, made;
        size_t nmade;
        int r;

        if (!boot_info.archive_pa) {
                klog(LOG_ERR, "the boot loader gave no boot archive (module2 ... rootfs)");
                return -ENOENT;
        }
        u.image = direct(boot_info.archive_pa);
        u.head = (const struct image_header *)u.image;
        r = check_header(&u, boot_info.archive_len);
        if (r)
                return r;
        nmade = ALIGN_UP(u.head->nentries * sizeof(*u.made), PAGE_SIZE) / PAGE_SIZE;
        buf = frame_alloc_contig(IMAGE_BLOCK_SIZE / PAGE_SIZE, ~0ul);
        made = frame_alloc_contig(nmade, ~0ul);
        if (buf && made) {
                u.buf = direct(buf);
                u.made = direct(made);
                memset(u.made, 0, nmade * PAGE_SIZE);
                r = unpack(&u);
        } else {
                r = -ENOMEM;
        }
        if (buf)
                frame_free_contig(buf, IMAGE_BLOCK_SIZE / PAGE_SIZE);
        if (made)
                frame_free_contig(made, nmade);
        if (!r)
                boot_archive_release();
        return r;
}
