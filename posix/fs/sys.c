/*
 * sys.c - /sys: as much of it as programs look at. Registered at every boot from what the machine has.
 */
#include "posix/fs/proc_internal.h"
#include "kernel/include/block.h"
#include "kernel/include/boot.h"
#include "kernel/include/tty.h"

static void show_cpus(struct proc_text *t, void *arg)
{
        unsigned last = cpu_count - 1;

        (void)arg;
        if (last)
                proc_printf(t, "0-%u\n", last);
        else
                proc_printf(t, "0\n");
}

static void show_number(struct proc_text *t, void *arg)
{
        proc_printf(t, "%lu\n", (uint64_t)arg);
}

static void show_string(struct proc_text *t, void *arg)
{
        proc_printf(t, "%s\n", (const char *)arg);
}

static void show_dev(struct proc_text *t, void *arg)
{
        uint64_t dev = (uint64_t)arg;

        proc_printf(t, "%lu:%lu\n", dev >> 32, dev & 0xffffffff);
}

static void *dev_arg(uint32_t major, uint32_t minor)
{
        return (void *)((uint64_t)major << 32 | minor);
}

static void file(const char *dir, const char *name, proc_read_fn read, void *arg)
{
        char path[128];

        fmt_append(path, sizeof(path), 0, "%s/%s", dir, name);
        proc_register(path, 0444, read, NULL, arg);
}

static void add_block(struct block_device *d, unsigned index)
{
        char dir[64], queue[80], path[96], target[64];

        fmt_append(dir, sizeof(dir), 0, "/sys/block/%s", d->name);
        fmt_append(queue, sizeof(queue), 0, "%s/queue", dir);
        file(dir, "size", show_number, (void *)d->nsectors);
        file(dir, "ro", show_number, (void *)(uint64_t)d->read_only);
        file(dir, "removable", show_number, NULL);
        file(dir, "dev", show_dev, dev_arg(BLOCK_MAJOR, index * 16));
        file(dir, "serial", show_string, d->serial);
        file(dir, "range", show_number, (void *)16);
        file(queue, "logical_block_size", show_number, (void *)(uint64_t)d->logical_block);
        file(queue, "physical_block_size", show_number, (void *)(uint64_t)d->logical_block);
        file(queue, "hw_sector_size", show_number, (void *)(uint64_t)d->logical_block);
        file(queue, "rotational", show_number, NULL);
        file(queue, "read_ahead_kb", show_number, NULL);
        fmt_append(target, sizeof(target), 0, "../../block/%s", d->name);
        fmt_append(path, sizeof(path), 0, "/sys/class/block/%s", d->name);
        proc_register_link(path, target);
        fmt_append(path, sizeof(path), 0, "/sys/dev/block/%u:%u", BLOCK_MAJOR, index * 16);
        proc_register_link(path, target);
}

static void add_tty(const char *name, uint32_t major, uint32_t minor)
{
        char dir[64];

        fmt_append(dir, sizeof(dir), 0, "/sys/class/tty/%s", name);
        file(dir, "dev", show_dev, dev_arg(major, minor));
}

void sys_boot(void)
{
        static const char *const dirs[] = {
                "/sys/block",       "/sys/bus",       "/sys/class/net", "/sys/class/block",     "/sys/class/tty",
                "/sys/class/input", "/sys/dev/block", "/sys/dev/char",  "/sys/devices/virtual", "/sys/firmware",
                "/sys/fs",          "/sys/module",    "/sys/power",     "/sys/kernel/debug",
        };
        static const char *const cpu_lists[] = {"online", "possible", "present"};
        struct tty_port *p;
        char path[64];

        for (unsigned k = 0; k < ARRAY_SIZE(dirs); k++)
                proc_register_dir(dirs[k]);
        for (unsigned k = 0; k < ARRAY_SIZE(cpu_lists); k++)
                file("/sys/devices/system/cpu", cpu_lists[k], show_cpus, NULL);
        file("/sys/devices/system/cpu", "kernel_max", show_number, (void *)(uint64_t)(MAX_CPUS - 1));
        file("/sys/devices/system/node", "online", show_number, NULL);
        for (unsigned k = 0; k < cpu_count; k++) {
                fmt_append(path, sizeof(path), 0, "/sys/devices/system/cpu/cpu%u/topology", k);
                file(path, "core_id", show_number, (void *)(uint64_t)k);
                file(path, "physical_package_id", show_number, NULL);
        }
        for (unsigned k = 0; k < block_count(); k++)
                add_block(block_by_index(k), k);
        add_tty("tty", 5, 0);
        add_tty("console", 5, 1);
        add_tty("ptmx", 5, 2);
        file("/sys/class/tty/console", "active", show_string, (void *)(uintptr_t) "ttyS0 tty1");
        for (unsigned k = 0; (p = tty_port_by_index(k)); k++)
                add_tty(p->name, 4, p->minor);
        file("/sys/kernel/mm/transparent_hugepage", "enabled", show_string,
             (void *)(uintptr_t) "always madvise [never]");
        if (boot_info.uefi)
                file("/sys/firmware/efi", "fw_platform_size", show_number, (void *)64);
}
