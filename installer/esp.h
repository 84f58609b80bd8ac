/*
 * esp.h - the EFI system partition of an installed disk as an upgrade changes it: files that are there are written in place, so that nothing of the file system itself is written,
 * and one sector, the loader's environment, says which of two slots is started. What is in the partition is made by phantom-install or mkdisk:
 *
 *   /EFI/BOOT/BOOTX64.EFI              GRUB; it reads the rest
 *   /PHANTOM/KERNEL.A  ROOTFS.A        slot A: kernel, boot archive, each followed by zeroes up to SLOT_KERNEL, SLOT_ARCHIVE bytes
 *   /PHANTOM/KERNEL.B  ROOTFS.B        slot B
 *   /PHANTOM/GRUB.CFG  OPTIONS.CFG     the menu, what the kernel is told
 *   /PHANTOM/ENV                       the environment: one sector
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOT_KERNEL  (4u << 20)
#define SLOT_ARCHIVE (12u << 20)
#define ENV_BYTES    512u
#define ENV_TRIES    3

struct esp {
        int fd;
        uint64_t base;            /* where the file system begins on what fd is, bytes */
        uint64_t fat_at, data_at; /* bytes, from there */
        uint32_t cluster_bytes, nclusters, root;
        uint32_t fat_sector; /* in fat[], or 0 */
        uint32_t fat[128];
};
struct esp_file {
        uint32_t size, nextents;
        struct {
                uint64_t at;
                uint32_t bytes;
        } extent[64];
};
/* slot: 'a' or 'b', what is started; other: the slot with the previous kernel, or 0; tries: how often slot may be tried before the other one is taken, -1: it is good. */
struct boot_env {
        char slot, other;
        int tries;
};

/* A FAT32 file system on a device, from byte `base` on. 0, -errno of opening or reading; -EMEDIUMTYPE: something else is on it. */
int esp_open(struct esp *e, const char *device, uint64_t base, bool write);
void esp_close(struct esp *e);
/* A file by its 8.3 names, "PHANTOM/KERNEL.A", or a directory, "PHANTOM/". 0, -ENOENT, -EIO, -EUCLEAN (damaged), -E2BIG (in more than 64 pieces). */
int esp_find(struct esp *e, const char *path, struct esp_file *f);
/* at and n within the file; to write, multiples of 512. 0 or -EIO. */
int esp_read(struct esp *e, const struct esp_file *f, uint64_t at, void *to, size_t n);
int esp_write(struct esp *e, const struct esp_file *f, uint64_t at, const void *from, size_t n);
int esp_flush(struct esp *e);
int esp_free(struct esp *e, uint64_t *bytes); /* what no file has. 0 or -EIO */
/* 0, or as esp_find; -EUCLEAN: what stands there is no environment of ours. */
int env_read(struct esp *e, struct boot_env *env);
/* One sector, and a flush: it is there whole, or the one before is. */
int env_write(struct esp *e, const struct boot_env *env);
/* The sector's contents. */
void env_make(char text[ENV_BYTES], const struct boot_env *env);
