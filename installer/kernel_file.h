/*
 * kernel_file.h - what a new kernel comes in: the kernel's ELF file, or the image of a live CD, which has a boot archive as well; as a file or as a device (CD, stick, disk).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* What a kernel says of itself in its note (README.md). */
struct kernel_facts {
        uint32_t schema_oldest, schema, store_version;
        uint32_t size, sum; /* the sum tells kernels apart */
};
struct kernel_file {
        uint8_t *kernel, *archive; /* NULL: no archive came with it */
        size_t kernel_len, archive_len;
        struct kernel_facts facts;
};
/* Reads and checks all of it, at most max bytes each. NULL: it is good. Otherwise what is wrong with it, in words; then nothing is to be freed. */
const char *kernel_file_open(const char *path, size_t max, struct kernel_file *k);
/* The boot archive of a file of its own takes the place of the one that k has, or has not. As kernel_file_open. */
const char *archive_file_open(const char *path, size_t max, struct kernel_file *k);
/* A boot archive at the beginning of n bytes; its length. NULL or what is wrong. */
const char *archive_check(const uint8_t *image, size_t n, size_t *len);
void kernel_file_close(struct kernel_file *k);
/* The facts in the beginning of a kernel, n bytes of it; NULL or what is wrong. The sum is only looked at if n is the kernel's whole size, or more. */
const char *kernel_facts_read(const uint8_t *image, size_t n, struct kernel_facts *facts);
