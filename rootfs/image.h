/*
 * image.h - the boot archive, byte for byte (FORMAT.md has the prose). Written by mkrootfs.c, read by posix/fs.
 * All numbers are little-endian; all offsets count from the first byte of the image unless said otherwise.
 * Whoever reads one checks magic, version and checksum first, and every offset, length and index before use all the same.
 */
#pragma once
#include <stdint.h>

#define IMAGE_MAGIC      0x414d4f544e414850ul /* "PHANTOMA" as bytes */
#define IMAGE_VERSION    1u
#define IMAGE_BLOCK_SIZE 65536u
#define IMAGE_NO_ENTRY   0xffffffffu
#define IMAGE_NAME_MAX   255u
#define IMAGE_TARGET_MAX 4095u

struct image_header {
        uint64_t magic;
        uint64_t checksum; /* XXH64, seed 0, of the bytes from `version` to the end of the image */
        uint32_t version;
        uint32_t header_size; /* sizeof(struct image_header) */
        uint64_t size;        /* of the whole image */
        uint32_t nentries;
        uint32_t nblocks;
        uint32_t entries_at; /* struct image_entry[nentries]; multiple of 8 */
        uint32_t blocks_at;  /* struct image_block[nblocks]; multiple of 8 */
        uint32_t strings_at; /* names and symlink targets, without NUL */
        uint32_t strings_len;
        uint64_t
                data_size; /* sum of the sizes of all files: what unpacking takes at most, less the rounding to pages */
};
_Static_assert(sizeof(struct image_header) == 64, "image_header");

/* Entry 0 is the root directory. A directory stands before what it holds. */
struct image_entry {
        uint32_t parent; /* index of the directory; 0 for the root itself */
        uint32_t name;   /* offset in the strings of the last component; the root's is empty */
        uint16_t name_len;
        uint16_t target_len; /* symlinks only */
        uint32_t target;     /* offset in the strings; symlinks only */
        uint32_t mode;       /* as st_mode: S_IFDIR, S_IFREG, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO and permissions */
        uint32_t uid;
        uint32_t gid;
        uint32_t same_as;    /* hard link: index of an earlier entry whose inode this is, all below then unused */
        uint32_t rdev_major; /* devices only */
        uint32_t rdev_minor;
        int64_t mtime;   /* seconds since 1970 */
        uint64_t size;   /* regular files: bytes */
        uint32_t block;  /* regular files: number of the block with the first byte */
        uint32_t offset; /* in that block, uncompressed; 0 if the file has more than one block */
};
_Static_assert(sizeof(struct image_entry) == 64, "image_entry");

/* One block of data: an LZ4 block (no frame), or the bytes as they are if packed_len == raw_len. */
struct image_block {
        uint32_t at;
        uint32_t packed_len;
        uint32_t
                raw_len; /* at most IMAGE_BLOCK_SIZE; less only in the last block before a file that begins a new one */
        uint32_t reserved;
};
_Static_assert(sizeof(struct image_block) == 16, "image_block");
