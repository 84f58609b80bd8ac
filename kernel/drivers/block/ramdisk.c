/*
 * ramdisk.c - the live system's module `install` as /dev/ram0: a tar of what a disk needs to boot, read-only. It lies in frames that are nobody's, above or
 * below what is direct-mapped alike; requests end before submit returns.
 */
#include "kernel/drivers/block/ramdisk.h"
#include "kernel/include/block.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

static int ramdisk_submit(struct block_device *d, struct block_request *r)
{
        uint64_t at = r->sector * 512;

        (void)d;
        for (uint32_t i = 0; i < r->nsegs; i++) {
                uint64_t left = boot_info.install_len - MIN(at, boot_info.install_len), n = MIN(r->seg[i].len, left);
                char *to = direct(r->seg[i].pa);

                memcpy(to, (const char *)direct(boot_info.install_pa) + at, n);
                memset(to + n, 0, r->seg[i].len - n);
                at += r->seg[i].len;
        }
        r->done(r, 0);
        return 0;
}

static void ramdisk_poll(struct block_device *d)
{
        (void)d;
}

static const struct block_ops ramdisk_ops = {ramdisk_submit, ramdisk_poll};

static struct block_device ram = {
        .name = "ram0",
        .model = "installation archive",
        .logical_block = 512,
        .max_segs = BLOCK_SEGS_MAX,
        .max_seg_bytes = 1u << 20,
        .read_only = true,
        .major = 1, /* Linux's for ram0 */
        .ops = &ramdisk_ops,
};

void ramdisk_init(void)
{
        if (!boot_info.install_pa)
                return;
        ram.nsectors = ALIGN_UP(boot_info.install_len, 512ul) / 512;
        if (block_register(&ram))
                klog(LOG_ERR, "ram0: too many disks");
}
