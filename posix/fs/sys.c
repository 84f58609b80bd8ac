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

/* ---- block devices ---- */

enum block_field {
        BLOCK_SIZE,
        BLOCK_RO,
        BLOCK_REMOVABLE,
        BLOCK_DEV,
        BLOCK_SERIAL,
        BLOCK_MODEL,
        BLOCK_UEVENT,
        BLOCK_RANGE,
        BLOCK_LOGICAL,
        BLOCK_PHYSICAL,
        BLOCK_ROTATIONAL,
        BLOCK_ZERO,
        BLOCK_CACHE,
        BLOCK_DISCARD_UNIT,
        BLOCK_DISCARD_MAX,
        BLOCK_MAX_KB,
        BLOCK_START,
        BLOCK_NUMBER,
};

static uint64_t block_number(const struct block_device *d, enum block_field field)
{
        switch (field) {
        case BLOCK_SIZE:
                return d->nsectors;
        case BLOCK_RO:
                return d->read_only;
        case BLOCK_REMOVABLE:
                return d->removable;
        case BLOCK_RANGE:
                return d->removable ? 1 : BLOCK_PARTITIONS_MAX + 1;
        case BLOCK_LOGICAL:
                return d->logical_block;
        case BLOCK_PHYSICAL:
                return MAX(d->physical_block, d->logical_block);
        case BLOCK_ROTATIONAL:
                return d->rotational;
        case BLOCK_DISCARD_UNIT:
                return d->has_discard ? d->discard_align * 512ul : 0;
        case BLOCK_DISCARD_MAX:
                return d->has_discard ? d->max_discard_sectors * 512ul : 0;
        case BLOCK_MAX_KB:
                return PIECE_MAX / 1024;
        case BLOCK_START:
                return d->first_sector;
        case BLOCK_NUMBER:
                return d->minor - d->whole->minor;
        default:
                return 0;
        }
}

static void show_field(struct proc_text *t, const struct block_device *d, enum block_field field)
{
        switch (field) {
        case BLOCK_DEV:
                proc_printf(t, "%u:%u\n", d->major, d->minor);
                break;
        case BLOCK_SERIAL:
                proc_printf(t, "%s\n", d->serial);
                break;
        case BLOCK_MODEL:
                proc_printf(t, "%s\n", d->model);
                break;
        case BLOCK_CACHE:
                proc_printf(t, "%s\n", d->has_flush ? "write back" : "write through");
                break;
        case BLOCK_UEVENT:
                proc_printf(t, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=%s\n", d->major, d->minor, d->name,
                            d->whole ? "partition" : "disk");
                if (d->whole)
                        proc_printf(t, "PARTN=%lu\n", block_number(d, BLOCK_NUMBER));
                break;
        default:
                proc_printf(t, "%lu\n", block_number(d, field));
        }
}

/* What a file shows: which device, which field. */
static void show_block(struct proc_text *t, void *arg)
{
        uint64_t what = (uint64_t)arg;

        show_field(t, block_by_index((unsigned)(what >> 8)), (enum block_field)(what & 0xff));
}

static const struct {
        const char *name;
        enum block_field field;
} disk_files[] =
        {
                {"size", BLOCK_SIZE},
                {"ro", BLOCK_RO},
                {"removable", BLOCK_REMOVABLE},
                {"dev", BLOCK_DEV},
                {"serial", BLOCK_SERIAL},
                {"uevent", BLOCK_UEVENT},
                {"range", BLOCK_RANGE},
                {"ext_range", BLOCK_RANGE},
                {"alignment_offset", BLOCK_ZERO},
                {"device/model", BLOCK_MODEL},
                {"device/serial", BLOCK_SERIAL},
                {"queue/logical_block_size", BLOCK_LOGICAL},
                {"queue/physical_block_size", BLOCK_PHYSICAL},
                {"queue/hw_sector_size", BLOCK_LOGICAL},
                {"queue/minimum_io_size", BLOCK_PHYSICAL},
                {"queue/optimal_io_size", BLOCK_ZERO},
                {"queue/rotational", BLOCK_ROTATIONAL},
                {"queue/read_ahead_kb", BLOCK_ZERO},
                {"queue/write_cache", BLOCK_CACHE},
                {"queue/discard_granularity", BLOCK_DISCARD_UNIT},
                {"queue/discard_max_bytes", BLOCK_DISCARD_MAX},
                {"queue/max_sectors_kb", BLOCK_MAX_KB},
},
  partition_files[] = {
          {"size", BLOCK_SIZE},     {"ro", BLOCK_RO},       {"dev", BLOCK_DEV},
          {"uevent", BLOCK_UEVENT}, {"start", BLOCK_START}, {"partition", BLOCK_NUMBER},
};

static void block_files(const struct block_device *d, const char *dir)
{
        unsigned n = d->whole ? ARRAY_SIZE(partition_files) : ARRAY_SIZE(disk_files);

        for (unsigned k = 0; k < n; k++)
                file(dir, d->whole ? partition_files[k].name : disk_files[k].name, show_block,
                     (void *)((uint64_t)d->index << 8 | (d->whole ? partition_files[k].field : disk_files[k].field)));
}

static void add_block(const struct block_device *d)
{
        char dir[64], path[64], target[64];

        if (d->whole)
                fmt_append(target, sizeof(target), 0, "%s/%s", d->whole->name, d->name);
        else
                fmt_append(target, sizeof(target), 0, "%s", d->name);
        fmt_append(dir, sizeof(dir), 0, "/sys/block/%s", target);
        block_files(d, dir);
        fmt_append(dir, sizeof(dir), 0, "../../block/%s", target);
        fmt_append(path, sizeof(path), 0, "/sys/class/block/%s", d->name);
        proc_register_link(path, dir);
        fmt_append(path, sizeof(path), 0, "/sys/dev/block/%u:%u", d->major, d->minor);
        proc_register_link(path, dir);
}

static void hide_block(const struct block_device *d)
{
        char path[64];

        if (d->whole)
                fmt_append(path, sizeof(path), 0, "/sys/block/%s/%s", d->whole->name, d->name);
        else
                fmt_append(path, sizeof(path), 0, "/sys/block/%s", d->name);
        proc_hide(path, d->gone);
        fmt_append(path, sizeof(path), 0, "/sys/class/block/%s", d->name);
        proc_hide(path, d->gone);
        fmt_append(path, sizeof(path), 0, "/sys/dev/block/%u:%u", d->major, d->minor);
        proc_hide(path, d->gone);
}

void sys_block_renew(void)
{
        static unsigned shown; /* devices are registered in order, and by one worker */
        static struct spinlock renewing;
        uint64_t f = spin_lock(&renewing);
        unsigned from = shown;

        shown = block_count();
        spin_unlock(&renewing, f);
        for (unsigned k = from; k < block_count(); k++)
                add_block(block_by_index(k));
        for (unsigned k = 0; k < block_count(); k++)
                hide_block(block_by_index(k));
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
        sys_block_renew();
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
