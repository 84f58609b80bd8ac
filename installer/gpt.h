/*
 * gpt.h - the partition table of a disk on which Phantom is installed (UEFI specification, chapter 5): made, and read. Sectors have 512 bytes.
 *
 *   sector 0        boot.img, with a protective entry for the whole disk
 *   1 to 33         the table;  the disk's last 33: its copy
 *   34 to 2047      BIOS boot partition: GRUB's core image
 *   2048 ...        EFI system partition, 64 MiB: GRUB, kernels, boot archive
 *   then            the store
 *
 * Beside others the last three lie in what was free, at whole MiB; the EFI system partition may be one that was there.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define SECTOR        512u
#define TABLE_SECTORS 33u /* header and 128 entries */
#define CORE_FIRST    34u
#define ESP_FIRST     2048u
#define ESP_SECTORS   131072u
#define STORE_FIRST   (ESP_FIRST + ESP_SECTORS)
#define DISK_MIN      (STORE_FIRST + 65536u) /* sectors: 32 MiB for the store */

extern const uint8_t gpt_type_bios[16], gpt_type_esp[16], gpt_type_store[16]; /* as on the disk */

struct gpt_part {
        uint8_t type[16], id[16];
        uint32_t number;      /* /dev/vda1 is 1 */
        uint64_t first, last; /* sectors, both of it */
        char name[37];
};

/* Sectors of the store: a multiple of 8, up to the copy of the table. */
uint64_t gpt_store_sectors(uint64_t nsectors);
/* The table of such a disk with fresh numbers: head for sectors 1 to 33, tail for the last 33 (both TABLE_SECTORS * SECTOR bytes). 0 or -errno (no random numbers). */
int gpt_make(uint64_t nsectors, uint8_t *head, uint8_t *tail);
/* What bytes of sectors 1 to 33 say: how many partitions, at most max; -1: there is no valid table. */
int gpt_read(const uint8_t *head, uint64_t nsectors, struct gpt_part *parts, int max);

/* Beside others: the table stays as it is but for what is added. head: a valid one, bytes of sectors 1 to 33. */
struct gpt_new {
        const uint8_t *type;
        const char *name;
        uint64_t first, last;
};
/* The largest stretch that belongs to no partition, whole MiB of it: its first sector, and how many; 0: there is none. */
uint64_t gpt_gap(const uint8_t *head, uint64_t nsectors, uint64_t *first);
/* Both copies with n partitions more, tail as for gpt_make. 0, -ENOSPC (no free entries), -EINVAL (the copy's place is not the disk's end), -errno. */
int gpt_add(uint8_t *head, uint8_t *tail, uint64_t nsectors, const struct gpt_new *add, int n);
